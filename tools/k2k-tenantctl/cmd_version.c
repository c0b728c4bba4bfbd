/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* version: of the program and of its library */
#include "commands.h"
#include "output.h"

#include <stdio.h>

int cmd_version(struct ctl *ctl)
{
	static const struct field fields[] = {
		{ "version", NULL, KIND_TEXT, 0 },
		{ "library", NULL, KIND_TEXT, 0 },
	};
	char version[32];

	snprintf(version, sizeof(version), "%d.%d.%d", K2K_VERSION_MAJOR, K2K_VERSION_MINOR,
	         K2K_VERSION_PATCH);
	if (ctl->format == FORMAT_TABLE)
		printf(CTL_NAME " %s (library %s)\n", version, k2k_version());
	else
		print_record(ctl, fields,
		             (const struct value[]){ TEXT(version), TEXT(k2k_version()) }, 2);
	return EXIT_DONE;
}
