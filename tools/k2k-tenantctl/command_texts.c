/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Texts that all commands share; see command_table.h. */
#include "command_table.h"

const struct exit_text exit_texts[] = {
	{ EXIT_DONE, "done" },
	{ EXIT_NO, "the answer is no" },
	{ EXIT_USAGE, "usage" },
	{ EXIT_MISSING, "no such tenant or budget" },
	{ EXIT_EXISTS, "exists already" },
	{ EXIT_FULL, "full" },
	{ EXIT_REGISTRY, "no usable registry" },
	{ EXIT_PERMISSION, "permission denied" },
	{ EXIT_BUSY, "busy or timed out; or no k2k-auditd keeps the audit that is required" },
	{ EXIT_PARTLY, "some of several failed" },
	{ EXIT_SYSTEM, "the system failed (silently if the reader of the output has gone)" },
};
const size_t exit_text_count = sizeof(exit_texts) / sizeof(exit_texts[0]);

const char *const value_texts[VALUE_KINDS] = {
	[VALUE_SIZE] =
		"Sizes are bytes: 512MiB, 2G (= 2GiB), 1GB (= 10^9 bytes); fractions only if "
		"they are exact.",
	[VALUE_RATE] = "Rates are messages per second, minute, hour or day: 5k/s, 30/min, 500/h, "
		       "10k/day. None is converted: 60/min may all come in one second.",
	[VALUE_DURATION] = "Durations carry a unit: 250ms, 1.5s, 1h30m.",
	[VALUE_TENANT] = "A tenant's ID is decimal, or hexadecimal with 0x: 1 to "
			 "18446744073709551615; or @ and the tenant's name: @vision-team.",
	[VALUE_ENGAGEMENT] = "An engagement (ENG) is decimal, or hexadecimal with 0x: 0 to "
			     "18446744073709551615.",
	[VALUE_REGISTRY] = "A registry's NAME has 1 to 64 characters of A-Z a-z 0-9 _ -.",
};
