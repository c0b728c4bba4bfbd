/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics_out.h"
#include "printable.h"

#include <stdarg.h>
#include <stdbool.h>

/* METRICS_SIGNED_SECONDS: value is an int64_t */
static void put_value(struct metrics_out *o, enum metrics_unit unit, uint64_t value)
{
	bool minus = unit == METRICS_SIGNED_SECONDS && value > INT64_MAX;
	bool seconds = unit == METRICS_SECONDS || unit == METRICS_SIGNED_SECONDS;
	uint64_t rest;
	int digits = 9;

	value = minus ? 0 - value : value;
	rest = value % 1000000000;
	if (unit == METRICS_LIMIT && value == UINT64_MAX) {
		fprintf(o->text, " +Inf\n");
	} else if (seconds && rest) {
		for (; rest % 10 == 0; rest /= 10)
			digits--;
		fprintf(o->text, " %s%llu.%0*llu\n", minus ? "-" : "",
		        (unsigned long long)(value / 1000000000), digits, (unsigned long long)rest);
	} else {
		fprintf(o->text, " %s%llu\n", minus ? "-" : "",
		        (unsigned long long)(seconds ? value / 1000000000 : value));
	}
}

void metrics_family(struct metrics_out *o, const char *name, const char *type, const char *help)
{
	fprintf(o->text, "# HELP k2k_%s %s\n# TYPE k2k_%s %s\n", name, help, name, type);
}

void metrics_series(struct metrics_out *o, const char *name, enum metrics_unit unit, uint64_t value,
                    const char *labels, ...)
{
	char text[512];
	va_list args;

	va_start(args, labels);
	vsnprintf(text, sizeof(text), labels, args);
	va_end(args);
	fprintf(o->text, "k2k_%s{registry=\"%s\"%s}", name, o->registry, text);
	put_value(o, unit, value);
}

void metrics_single(struct metrics_out *o, const char *name, const char *type,
                    enum metrics_unit unit, uint64_t value, const char *help)
{
	metrics_family(o, name, type, help);
	metrics_series(o, name, unit, value, "%s", "");
}

/*
 * A label's value must be valid UTF-8, and a quote or a backslash would end it or start an escape.
 */
const char *metrics_label(char *to, size_t room, const char *from, size_t size)
{
	printable_copy(to, room, from, size);
	for (char *c = to; *c; c++)
		if (*c == '"' || *c == '\\')
			*c = '?';
	return to;
}

const char *metrics_name(char to[METRICS_NAME_ROOM], const char *name)
{
	size_t at = 0;

	for (size_t i = 0; i < K2K_TENANT_NAME_MAX && name[i]; i++) {
		if (name[i] == '"' || name[i] == '\\')
			to[at++] = '\\';
		to[at++] = name[i];
	}
	to[at] = 0;
	return to;
}
