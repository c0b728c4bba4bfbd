/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char TOO_LARGE[] = "too large";
static const char DIGIT[] = "a digit is expected";
static const char EMPTY[] = "nothing given";

struct unit {
	const char *name;
	uint64_t factor;
};

#define KI (UINT64_C(1) << 10)
#define KB UINT64_C(1000)

static const struct unit size_units[] = { { "B", 1 },
	                                  { "K", KI },
	                                  { "k", KI },
	                                  { "KiB", KI },
	                                  { "KB", KB },
	                                  { "kB", KB },
	                                  { "M", KI *KI },
	                                  { "MiB", KI *KI },
	                                  { "MB", KB *KB },
	                                  { "G", KI *KI *KI },
	                                  { "GiB", KI *KI *KI },
	                                  { "GB", KB *KB *KB },
	                                  { "T", KI *KI *KI *KI },
	                                  { "TiB", KI *KI *KI *KI },
	                                  { "TB", KB *KB *KB *KB },
	                                  { "P", KI *KI *KI *KI *KI },
	                                  { "PiB", KI *KI *KI *KI *KI },
	                                  { "PB", KB *KB *KB *KB *KB },
	                                  { "E", KI *KI *KI *KI *KI *KI },
	                                  { "EiB", KI *KI *KI *KI *KI *KI },
	                                  { "EB", KB *KB *KB *KB *KB *KB },
	                                  { NULL, 0 } };

#define SECOND UINT64_C(1000000000)

static const struct unit duration_units[] = {
	{ "ns", 1 },          { "us", 1000 },         { "ms", 1000000 },       { "s", SECOND },
	{ "m", 60 * SECOND }, { "h", 3600 * SECOND }, { "d", 86400 * SECOND }, { NULL, 0 }
};

static const struct unit rate_units[] = {
	{ "k", KB }, { "M", KB *KB }, { "G", KB *KB *KB }, { NULL, 0 }
};

/* A decimal number in a text: [whole, point) and, after the point, [point + 1, end). */
struct number {
	const char *whole, *point, *end;
};

struct reader {
	const char *text, *at;
	struct units_fault *fault;
};

static struct reader reader_of(const char *text, struct units_fault *fault)
{
	return (struct reader){ text, text, fault };
}

static int fault_at(const struct reader *r, const char *at, const char *what)
{
	r->fault->position = (size_t)(at - r->text) + 1;
	r->fault->what = what;
	return -1;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int read_number(struct reader *r, struct number *n)
{
	const char *p = r->at;

	if (!is_digit(*p))
		return fault_at(r, p, p == r->text && !*p ? EMPTY : DIGIT);
	n->whole = p;
	while (is_digit(*p))
		p++;
	n->point = n->end = p;
	if (*p == '.') {
		p++;
		if (!is_digit(*p))
			return fault_at(r, p, DIGIT);
		while (is_digit(*p))
			p++;
		n->end = p;
	}
	r->at = p;
	return 0;
}

/* The longest name of a unit with which the text continues, or null. */
static const struct unit *read_unit(struct reader *r, const struct unit *units)
{
	const struct unit *best = NULL;
	size_t length = 0;

	for (; units->name; units++) {
		size_t l = strlen(units->name);

		if (l > length && !strncmp(r->at, units->name, l)) {
			best = units;
			length = l;
		}
	}
	r->at += length;
	return best;
}

/*
 * number x factor, exactly. The fraction is multiplied as on paper, from its last digit: every
 * digit of the product after the point must be 0, and what is carried over the point is whole. The
 * largest factor is 2^60, so 9 x factor + carry stays below 2^64 however many digits there are.
 */
static int scale(const struct reader *r, const struct number *n, uint64_t factor, uint64_t *value)
{
	uint64_t whole = 0, carry = 0;

	for (const char *p = n->whole; p < n->point; p++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
			return fault_at(r, n->whole, TOO_LARGE);
	for (const char *p = n->end; p > n->point + 1; p--) {
		carry += (uint64_t)(p[-1] - '0') * factor;
		if (carry % 10)
			return fault_at(r, n->point, "the fraction does not come out even");
		carry /= 10;
	}
	if (__builtin_mul_overflow(whole, factor, &whole) ||
	    __builtin_add_overflow(whole, carry, &whole))
		return fault_at(r, n->whole, TOO_LARGE);
	*value = whole;
	return 0;
}

static bool is_unlimited(const char *text)
{
	return !strcmp(text, "unlimited");
}

static int finish(const struct reader *r, uint64_t value, uint64_t *result)
{
	if (*r->at)
		return fault_at(r, r->at, "the text should end here");
	if (value == UINT64_MAX)
		return fault_at(r, r->text, "too large for a limit, unless it is 'unlimited'");
	*result = value;
	return 0;
}

int units_parse_id(const char *text, uint64_t *id, struct units_fault *fault)
{
	struct reader r = reader_of(text, fault);
	bool hex = text[0] == '0' && text[1] == 'x';
	uint64_t value = 0;

	if (!*text)
		return fault_at(&r, text, EMPTY);
	if (hex)
		r.at += 2;
	if (!*r.at)
		return fault_at(&r, r.at, DIGIT);
	for (; *r.at; r.at++) {
		char c = *r.at;
		uint64_t digit;

		if (is_digit(c))
			digit = (uint64_t)(c - '0');
		else if (hex && c >= 'a' && c <= 'f')
			digit = (uint64_t)(c - 'a') + 10;
		else if (hex && c >= 'A' && c <= 'F')
			digit = (uint64_t)(c - 'A') + 10;
		else
			return fault_at(&r, r.at, DIGIT);
		if (__builtin_mul_overflow(value, hex ? 16 : 10, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return fault_at(&r, text, TOO_LARGE);
	}
	*id = value;
	return 0;
}

int units_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *count,
                      struct units_fault *fault)
{
	struct reader r = reader_of(text, fault);
	uint64_t value = 0;

	if (!*text)
		return fault_at(&r, text, EMPTY);
	for (; *r.at; r.at++) {
		if (!is_digit(*r.at))
			return fault_at(&r, r.at, DIGIT);
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(*r.at - '0'), &value))
			return fault_at(&r, text, TOO_LARGE);
	}
	if (value > max)
		return fault_at(&r, text, TOO_LARGE);
	if (value < min)
		return fault_at(&r, text, "too small");
	*count = value;
	return 0;
}

int units_parse_kernels(const char *text, uint32_t *kernels, struct units_fault *fault)
{
	uint64_t value;

	if (is_unlimited(text)) {
		*kernels = UINT32_MAX;
		return 0;
	}
	if (units_parse_count(text, 0, UINT32_MAX - 1, &value, fault))
		return -1;
	*kernels = (uint32_t)value;
	return 0;
}

int units_parse_size(const char *text, uint64_t *bytes, struct units_fault *fault)
{
	struct reader r = reader_of(text, fault);
	const struct unit *unit = NULL;
	struct number n;
	uint64_t value;

	if (is_unlimited(text)) {
		*bytes = UINT64_MAX;
		return 0;
	}
	if (read_number(&r, &n))
		return -1;
	if (*r.at && !(unit = read_unit(&r, size_units)))
		return fault_at(&r, r.at, "no such unit");
	if (scale(&r, &n, unit ? unit->factor : 1, &value))
		return -1;
	return finish(&r, value, bytes);
}

int units_parse_duration(const char *text, uint64_t *ns, struct units_fault *fault)
{
	struct reader r = reader_of(text, fault);
	uint64_t total = 0, part, smallest = UINT64_MAX;
	const char *fraction = NULL;

	if (is_unlimited(text)) {
		*ns = UINT64_MAX;
		return 0;
	}
	do {
		const struct unit *unit;
		const char *at;
		struct number n;

		if (read_number(&r, &n))
			return -1;
		if (fraction)
			return fault_at(&r, fraction, "only the last part may have a fraction");
		if (n.end > n.point)
			fraction = n.point;
		at = r.at;
		unit = read_unit(&r, duration_units);
		if (!unit) {
			if (*at)
				return fault_at(&r, at, "no such unit");
			if (n.whole != text || scale(&r, &n, 1, &part) || part)
				return fault_at(&r, at, "a unit is missing");
			break; /* a plain 0 */
		}
		if (unit->factor >= smallest)
			return fault_at(&r, at, "larger units come first, and each once");
		smallest = unit->factor;
		if (scale(&r, &n, unit->factor, &part))
			return -1;
		if (__builtin_add_overflow(total, part, &total))
			return fault_at(&r, text, TOO_LARGE);
		if (*r.at && !is_digit(*r.at))
			return fault_at(&r, r.at, "the text should end here");
	} while (*r.at);
	return finish(&r, total, ns);
}

static const struct {
	const char *name, *unit;
} periods[] = {
	[UNITS_PER_SECOND] = { "second", "s" },
	[UNITS_PER_MINUTE] = { "minute", "min" },
	[UNITS_PER_HOUR] = { "hour", "h" },
	[UNITS_PER_DAY] = { "day", "day" },
};
#define PERIODS (sizeof(periods) / sizeof(periods[0]))

const char *units_period_name(uint32_t period)
{
	return periods[period < PERIODS ? period : UNITS_PER_SECOND].name;
}

int units_parse_rate(const char *text, uint64_t *rate, uint32_t *period, struct units_fault *fault)
{
	struct reader r = reader_of(text, fault);
	uint32_t found = UNITS_PER_SECOND;
	const struct unit *unit;
	struct number n;
	uint64_t value;

	if (is_unlimited(text)) {
		*rate = UINT64_MAX;
		*period = found;
		return 0;
	}
	if (read_number(&r, &n))
		return -1;
	unit = read_unit(&r, rate_units);
	if (scale(&r, &n, unit ? unit->factor : 1, &value))
		return -1;
	if (*r.at && *r.at != '/')
		return fault_at(&r, r.at, "no such unit");
	if (!*r.at && (unit || value))
		return fault_at(&r, r.at, "'/s', '/min', '/h' or '/day' is missing");
	if (*r.at) {
		r.at++;
		while (found < PERIODS && strcmp(r.at, periods[found].unit) != 0)
			found++;
		if (found == PERIODS)
			return fault_at(&r, r.at, "'s', 'min', 'h' or 'day' is expected");
		r.at += strlen(r.at);
	}
	if (finish(&r, value, rate))
		return -1;
	*period = found;
	return 0;
}

static const char *const renewals[] = {
	[UNITS_NEVER] = "never", [UNITS_HOUR] = "hour",   [UNITS_DAY] = "day",
	[UNITS_WEEK] = "week",   [UNITS_MONTH] = "month",
};

const char *units_renewal_name(uint32_t renewal)
{
	if (renewal == UNITS_FLEET)
		return "fleet";
	return renewal >= UNITS_NEVER && renewal <= UNITS_MONTH ? renewals[renewal] : "never";
}

int units_parse_renewing(const char *text, uint64_t *ns, uint32_t *renewal,
                         struct units_fault *fault)
{
	struct reader r = reader_of(text, fault);
	const char *slash = strchr(text, '/');
	char left[UNITS_TEXT * 2];
	uint64_t value;
	uint32_t often = UNITS_NEVER;

	if (!slash) {
		if (units_parse_duration(text, ns, fault))
			return -1;
		*renewal = often;
		return 0;
	}
	/* no duration is so long: enough of it is left to be refused */
	snprintf(left, sizeof(left), "%.*s", (int)(slash - text), text);
	if (units_parse_duration(left, &value, fault))
		return -1;
	if (value == UINT64_MAX)
		return fault_at(&r, slash, "what is unlimited does not renew: the text should end");
	for (uint32_t i = UNITS_HOUR; i <= UNITS_MONTH; i++)
		if (!strcmp(slash + 1, renewals[i]))
			often = i;
	if (often == UNITS_NEVER)
		return fault_at(&r, slash + 1, "hour, day, week or month is expected");
	*ns = value;
	*renewal = often;
	return 0;
}

int units_parse_signed_duration(const char *text, int64_t *ns, struct units_fault *fault)
{
	struct reader r = reader_of(text, fault);
	size_t sign = *text == '-' || *text == '+';
	uint64_t value;

	if (units_parse_duration(text + sign, &value, fault)) {
		fault->position += sign;
		return -1;
	}
	if (value > INT64_MAX)
		return fault_at(&r, text + sign, TOO_LARGE);
	*ns = *text == '-' ? -(int64_t)value : (int64_t)value;
	return 0;
}

int units_parse_budget(const char *text, uint64_t *engagement, uint64_t *ns, uint32_t *renewal,
                       struct units_fault *fault)
{
	struct reader r = reader_of(text, fault);
	const char *equals = strchr(text, '=');
	uint64_t id;
	char left[32];
	size_t length;

	if (!equals)
		return fault_at(&r, text + strlen(text), "'=' and a duration are missing");
	/* an id without leading zeros is shorter; of a longer text enough is left to be refused */
	length = (size_t)(equals - text);
	if (length >= sizeof(left))
		length = sizeof(left) - 1;
	memcpy(left, text, length);
	left[length] = 0;
	if (units_parse_id(left, &id, fault))
		return -1;
	if (length != (size_t)(equals - text))
		return fault_at(&r, text, TOO_LARGE);
	if (units_parse_renewing(equals + 1, ns, renewal, fault)) {
		fault->position += (size_t)(equals + 1 - text);
		return -1;
	}
	*engagement = id;
	return 0;
}

int units_parse_mode(const char *text, uint32_t *mode, struct units_fault *fault)
{
	struct reader r = reader_of(text, fault);
	uint32_t value = 0;

	if (!*text)
		return fault_at(&r, text, EMPTY);
	for (; *r.at; r.at++) {
		if (*r.at < '0' || *r.at > '7')
			return fault_at(&r, r.at, "an octal digit is expected");
		value = value * 8 + (uint32_t)(*r.at - '0');
		if (value > 0777)
			return fault_at(&r, text, "too large; at most 0777");
	}
	*mode = value;
	return 0;
}

/* Without snprintf, because a long list prints millions of numbers. */
size_t units_print_number(char text[UNITS_TEXT], uint64_t number)
{
	char digits[UNITS_TEXT];
	size_t first = sizeof(digits), length;

	do
		digits[--first] = (char)('0' + number % 10);
	while (number /= 10);
	length = sizeof(digits) - first;
	memcpy(text, digits + first, length);
	text[length] = 0;
	return length;
}

char *units_print_size(char text[UNITS_TEXT], uint64_t bytes)
{
	const struct unit *best = &size_units[0];

	/* the largest unit without a remainder, by its full name: "KiB" or "kB", not "K" or "KB" */
	for (const struct unit *u = size_units; bytes && u->name; u++)
		if (strlen(u->name) > 1 && strcmp(u->name, "KB") && bytes % u->factor == 0 &&
		    u->factor > best->factor)
			best = u;
	snprintf(text, UNITS_TEXT, "%" PRIu64 "%s", bytes / best->factor, best->name);
	return text;
}

char *units_print_short_size(char text[UNITS_TEXT], uint64_t bytes)
{
	static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	uint64_t hundredths;
	size_t unit = 0;

	units_print_size(text, bytes);
	if (strspn(text, "0123456789") <= 4)
		return text;
	while (bytes >> (10 * unit) >= 1024)
		unit++;
	/* rounded down, so that free space is never shown as more than it is */
	hundredths = (uint64_t)((__extension__(unsigned __int128) bytes * 100) >> (10 * unit));
	if (hundredths < 1000)
		snprintf(text, UNITS_TEXT, "%" PRIu64 ".%02" PRIu64 "%s", hundredths / 100,
		         hundredths % 100, names[unit]);
	else if (hundredths < 10000)
		snprintf(text, UNITS_TEXT, "%" PRIu64 ".%" PRIu64 "%s", hundredths / 100,
		         hundredths / 10 % 10, names[unit]);
	else
		snprintf(text, UNITS_TEXT, "%" PRIu64 "%s", hundredths / 100, names[unit]);
	return text;
}

/* whole.fraction without zeros at its end; the fraction has `digits` digits */
static int print_fraction(char *text, size_t room, uint64_t whole, uint64_t fraction, int digits,
                          const char *unit)
{
	if (!fraction)
		return snprintf(text, room, "%" PRIu64 "%s", whole, unit);
	while (fraction % 10 == 0) {
		fraction /= 10;
		digits--;
	}
	return snprintf(text, room, "%" PRIu64 ".%0*" PRIu64 "%s", whole, digits, fraction, unit);
}

char *units_print_duration(char text[UNITS_TEXT], uint64_t ns)
{
	uint64_t hours = ns / (3600 * SECOND), minutes = ns / (60 * SECOND) % 60,
		 rest = ns % (60 * SECOND);
	char *p = text, *end = text + UNITS_TEXT;

	if (!ns) {
		snprintf(text, UNITS_TEXT, "0s");
	} else if (ns < 1000) {
		snprintf(text, UNITS_TEXT, "%" PRIu64 "ns", ns);
	} else if (ns < 1000000) {
		print_fraction(text, UNITS_TEXT, ns / 1000, ns % 1000, 3, "us");
	} else if (ns < SECOND) {
		print_fraction(text, UNITS_TEXT, ns / 1000000, ns % 1000000, 6, "ms");
	} else {
		if (hours)
			p += snprintf(p, (size_t)(end - p), "%" PRIu64 "h", hours);
		if (minutes)
			p += snprintf(p, (size_t)(end - p), "%" PRIu64 "m", minutes);
		if (rest)
			print_fraction(p, (size_t)(end - p), rest / SECOND, rest % SECOND, 9, "s");
	}
	return text;
}

char *units_print_renewing(char text[UNITS_TEXT], uint64_t ns, uint32_t renewal)
{
	units_print_duration(text, ns);
	if (renewal > UNITS_NEVER) {
		size_t length = strlen(text);

		snprintf(text + length, UNITS_TEXT - length, "/%s", units_renewal_name(renewal));
	}
	return text;
}

char *units_print_signed_duration(char text[UNITS_TEXT], int64_t ns)
{
	char *at = text;

	if (ns < 0)
		*at++ = '-';
	/* a duration is shorter than the room by more than a sign */
	units_print_duration(at, ns < 0 ? -(uint64_t)ns : (uint64_t)ns);
	return text;
}

char *units_print_rate(char text[UNITS_TEXT], uint64_t rate, uint32_t period)
{
	snprintf(text, UNITS_TEXT, "%" PRIu64 "/%s", rate,
	         periods[period < PERIODS ? period : UNITS_PER_SECOND].unit);
	return text;
}
