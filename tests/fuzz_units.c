/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fuzz_units.c - any text for the parsers of ids and units of k2k-tenantctl (libFuzzer).
 *
 * The first byte says which parser, the rest is the text. What is accepted is what a slower
 * calculation in 128 bits says, so no overflow passes; what is printed reads back; what is refused
 * changes nothing and says where.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/units.h"

#define UNTOUCHED UINT64_C(0x5a5a5a5a5a5a5a5a)

typedef unsigned __int128 wide;

struct unit {
	const char *name;
	uint64_t factor;
};

#define KI (UINT64_C(1) << 10)
#define SECOND UINT64_C(1000000000)
static const struct unit no_units[] = { { "", 1 }, { NULL, 0 } };
static const struct unit sizes[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "K", KI },
	{ "k", KI },
	{ "KiB", KI },
	{ "KB", 1000 },
	{ "kB", 1000 },
	{ "M", KI *KI },
	{ "MiB", KI *KI },
	{ "MB", 1000000 },
	{ "G", KI *KI *KI },
	{ "GiB", KI *KI *KI },
	{ "GB", SECOND },
	{ "T", KI *KI *KI *KI },
	{ "TiB", KI *KI *KI *KI },
	{ "TB", SECOND * 1000 },
	{ "P", KI *KI *KI *KI *KI },
	{ "PiB", KI *KI *KI *KI *KI },
	{ "PB", SECOND * 1000000 },
	{ "E", KI *KI *KI *KI *KI *KI },
	{ "EiB", KI *KI *KI *KI *KI *KI },
	{ "EB", SECOND *SECOND },
	{ NULL, 0 },
};
static const struct unit durations[] = {
	{ "", 1 },       { "ns", 1 },          { "us", 1000 },         { "ms", 1000000 },
	{ "s", SECOND }, { "m", 60 * SECOND }, { "h", 3600 * SECOND }, { "d", 86400 * SECOND },
	{ NULL, 0 },
};
static const struct unit rates[] = {
	{ "", 1 }, { "k", 1000 }, { "M", 1000000 }, { "G", SECOND }, { NULL, 0 }
};

static const char *given;

__attribute__((noreturn)) static void broken(const char *what)
{
	fprintf(stderr, "== %s: \"%s\"\n", what, given);
	abort();
}

/* One number with its unit: its value, exactly; *text moves behind it. */
static wide value_of(const char **text, const struct unit *units)
{
	const wide most = (wide)1 << 66;
	wide whole = 0, fraction = 0, scale = 1;
	const char *p = *text, *unit;
	size_t length = 0, digits;

	for (; *p >= '0' && *p <= '9'; p++)
		whole = whole > most ? whole : whole * 10 + (unsigned int)(*p - '0');
	if (*p == '.') {
		digits = strspn(++p, "0123456789");
		unit = p + digits;
		while (digits && p[digits - 1] == '0')
			digits--;
		if (digits > 18)
			broken("accepted a fraction that no unit makes whole");
		for (; digits; digits--, p++) {
			fraction = fraction * 10 + (unsigned int)(*p - '0');
			scale *= 10;
		}
		p = unit;
	}
	while (p[length] && p[length] != '/' && !(p[length] >= '0' && p[length] <= '9'))
		length++;
	for (; units->name; units++)
		if (strlen(units->name) == length && memcmp(units->name, p, length) == 0)
			break;
	if (!units->name)
		broken("accepted a unit that there is none");
	*text = p + length;
	if (fraction * units->factor % scale)
		broken("accepted what does not come out even");
	if (whole > (wide)UINT64_MAX)
		broken("accepted an overflow");
	return whole * units->factor + fraction * units->factor / scale;
}

static void is_value(uint64_t accepted, wide expected, uint64_t max)
{
	if (expected > max)
		broken("accepted an overflow");
	if (accepted != (uint64_t)expected)
		broken("read as another number");
}

static void is_fault(const char *text, const struct units_fault *fault, uint64_t value)
{
	if (value != UNTOUCHED)
		broken("refused, and yet set");
	if (!fault->what || !fault->what[0] || fault->position < 1 ||
	    fault->position > strlen(text) + 1)
		broken("refused, and does not say where");
}

static void reads_back(int (*parse)(const char *, uint64_t *, struct units_fault *),
                       const char *printed, uint64_t value)
{
	struct units_fault fault;
	uint64_t again = UNTOUCHED;

	if (value == UINT64_MAX)
		return; /* unlimited */
	if (strlen(printed) >= UNITS_TEXT || parse(printed, &again, &fault) || again != value)
		broken("printed, it does not read back");
}

static void try_size(const char *text)
{
	struct units_fault fault = { 0, NULL };
	uint64_t value = UNTOUCHED;
	char printed[UNITS_TEXT];

	if (units_parse_size(text, &value, &fault))
		return is_fault(text, &fault, value);
	if (strcmp(text, "unlimited") != 0) {
		const char *at = text;

		is_value(value, value_of(&at, sizes), UINT64_MAX - 1);
		if (*at)
			broken("accepted something behind the unit");
	}
	reads_back(units_parse_size, units_print_size(printed, value), value);
}

static wide sum_of_durations(const char *text)
{
	wide sum = 0;

	while (*text)
		sum += value_of(&text, durations);
	return sum;
}

static void try_duration(const char *text)
{
	struct units_fault fault = { 0, NULL };
	uint64_t value = UNTOUCHED;
	char printed[UNITS_TEXT];

	if (units_parse_duration(text, &value, &fault))
		return is_fault(text, &fault, value);
	if (strcmp(text, "unlimited") != 0)
		is_value(value, sum_of_durations(text), UINT64_MAX - 1);
	reads_back(units_parse_duration, units_print_duration(printed, value), value);
}

static int parse_rate(const char *text, uint64_t *value, struct units_fault *fault)
{
	uint32_t period;

	return units_parse_rate(text, value, &period, fault);
}

static void try_rate(const char *text)
{
	struct units_fault fault = { 0, NULL };
	uint64_t value = UNTOUCHED;
	char printed[UNITS_TEXT];

	if (parse_rate(text, &value, &fault))
		return is_fault(text, &fault, value);
	if (strcmp(text, "unlimited") != 0) {
		const char *at = text;
		wide expected = value_of(&at, rates);

		if (*at ? strcmp(at, "/s") && strcmp(at, "/min") && strcmp(at, "/h") &&
		                    strcmp(at, "/day")
		        : expected != 0)
			broken("accepted no rate");
		is_value(value, expected, UINT64_MAX - 1);
	}
	for (uint32_t period = UNITS_PER_SECOND; period <= UNITS_PER_DAY; period++)
		reads_back(parse_rate, units_print_rate(printed, value, period), value);
}

static void try_id(const char *text)
{
	struct units_fault fault = { 0, NULL };
	uint64_t value = UNTOUCHED;
	const char *at = text;
	wide expected = 0;

	if (units_parse_id(text, &value, &fault))
		return is_fault(text, &fault, value);
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		for (at += 2; *at; at++) {
			const char *digits = "0123456789abcdef",
				   *digit = strchr(digits,
			                           *at >= 'A' && *at <= 'F' ? *at + 32 : *at);

			if (!digit || expected >> 64)
				broken("accepted no id");
			expected = expected * 16 + (unsigned int)(digit - digits);
		}
	else
		expected = value_of(&at, no_units);
	if (*at || at == text)
		broken("accepted no id");
	is_value(value, expected, UINT64_MAX);
}

static void try_count(const char *text)
{
	static const uint64_t bounds[][2] = {
		{ 0, UINT64_MAX }, { 1, 100 }, { 1, UINT64_C(1) << 24 }, { 10, 10 }
	};

	for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
		struct units_fault fault = { 0, NULL };
		uint64_t value = UNTOUCHED;
		const char *at = text;

		if (units_parse_count(text, bounds[i][0], bounds[i][1], &value, &fault)) {
			is_fault(text, &fault, value);
			continue;
		}
		is_value(value, value_of(&at, no_units), bounds[i][1]);
		if (*at || value < bounds[i][0])
			broken("accepted no count");
	}
}

static void try_kernels(const char *text)
{
	struct units_fault fault = { 0, NULL };
	uint32_t kernels = (uint32_t)UNTOUCHED;
	const char *at = text;

	if (units_parse_kernels(text, &kernels, &fault))
		return is_fault(text, &fault, kernels == (uint32_t)UNTOUCHED ? UNTOUCHED : 0);
	if (strcmp(text, "unlimited") != 0)
		is_value(kernels, value_of(&at, no_units), UINT32_MAX - 1);
	else if (kernels != UINT32_MAX)
		broken("unlimited is a number");
}

static void try_mode(const char *text)
{
	struct units_fault fault = { 0, NULL };
	uint32_t mode = (uint32_t)UNTOUCHED;

	if (units_parse_mode(text, &mode, &fault))
		return is_fault(text, &fault, mode == (uint32_t)UNTOUCHED ? UNTOUCHED : 0);
	if (strspn(text, "01234567") != strlen(text) || mode != strtoull(text, NULL, 8) ||
	    mode > 0777)
		broken("accepted no mode");
}

static void try_budget(const char *text)
{
	struct units_fault fault = { 0, NULL };
	uint64_t engagement = UNTOUCHED, ns = UNTOUCHED, id, alone;
	uint32_t renewal = 0, again;
	const char *equals = strchr(text, '=');
	char *left;

	if (units_parse_budget(text, &engagement, &ns, &renewal, &fault)) {
		is_fault(text, &fault, engagement);
		return is_fault(text, &fault, ns);
	}
	if (!equals)
		broken("accepted no budget");
	left = strndup(text, (size_t)(equals - text));
	if (!left || units_parse_id(left, &id, &fault) || id != engagement ||
	    units_parse_renewing(equals + 1, &alone, &again, &fault) || alone != ns ||
	    again != renewal)
		broken("its halves read otherwise");
	free(left);
}

/* Eight bytes as a number: printed, it reads back. */
static void try_print(const char *text, size_t size)
{
	uint64_t value = 0;
	char printed[UNITS_TEXT];

	memcpy(&value, text, size < 8 ? size : 8);
	reads_back(units_parse_size, units_print_size(printed, value), value);
	reads_back(units_parse_duration, units_print_duration(printed, value), value);
	reads_back(parse_rate, units_print_rate(printed, value, value % 4), value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const parsers[])(const char *) = { try_size, try_duration, try_rate,
		                                         try_id,   try_count,    try_kernels,
		                                         try_mode, try_budget };
	const size_t count = sizeof parsers / sizeof parsers[0];
	char *text;

	if (size == 0)
		return -1;
	/* of exactly its size, so that a step too far is seen */
	text = malloc(size);
	if (!text)
		return -1;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	given = text;
	if (data[0] % (count + 1) == count)
		try_print(text, size - 1);
	else
		parsers[data[0] % (count + 1)](text);
	free(text);
	return 0;
}
