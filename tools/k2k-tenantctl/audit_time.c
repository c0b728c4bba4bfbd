/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit_time.h"
#include "common/clock.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

/* ".123", up to nine digits that count. Returns the rest of the text. */
static const char *take_fraction(const char *at, uint64_t *ns)
{
	uint64_t unit = NS_PER_S;

	*ns = 0;
	if (*at != '.' || !isdigit((unsigned char)at[1]))
		return at;
	for (at++; isdigit((unsigned char)*at) && unit >= 10; at++) {
		unit /= 10;
		*ns += (uint64_t)(*at - '0') * unit;
	}
	return at;
}

/* "Z", "+01:00", or nothing. Returns the rest of the text, or null. */
static const char *take_zone(const char *at, int64_t *offset_s)
{
	int hours, minutes, length = 0;

	*offset_s = 0;
	if (*at == 'Z' || *at == 'z')
		return at + 1;
	if (*at != '+' && *at != '-')
		return at;
	if (sscanf(at + 1, "%2d:%2d%n", &hours, &minutes, &length) != 2 || length != 5 ||
	    hours > 23 || minutes > 59 || hours < 0 || minutes < 0)
		return NULL;
	*offset_s = (hours * 60 + minutes) * (*at == '-' ? -60 : 60);
	return at + 1 + length;
}

bool when_parse_date(const char *text, uint64_t *wall_ns)
{
	static const char *const forms[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
		                             "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d" };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = { 0 };
		const char *at = strptime(text, forms[i], &tm);
		uint64_t ns = 0;
		int64_t seconds, offset_s;

		if (at && i < 2)
			at = take_fraction(at, &ns);
		if (at && i < 4)
			at = take_zone(at, &offset_s);
		else
			offset_s = 0;
		seconds = at && !*at ? (int64_t)timegm(&tm) - offset_s : -1;
		if (seconds < 0 || (uint64_t)seconds > UINT64_MAX / NS_PER_S - 1)
			continue;
		*wall_ns = (uint64_t)seconds * NS_PER_S + ns;
		return true;
	}
	return false;
}

static bool looks_like_date(const char *text)
{
	return strlen(text) > 4 && strspn(text, "0123456789") == 4 && text[4] == '-';
}

bool when_parse(struct ctl *ctl, const char *option, const char *text, struct when *when)
{
	uint64_t wall_ns = clock_wall_ns(), monotonic_ns = clock_monotonic_ns(), ago;

	if (!looks_like_date(text)) {
		if (!arg_duration(ctl, option, text, &ago))
			return false;
		when->wall_ns = ago < wall_ns ? wall_ns - ago : 0;
		when->monotonic_ns = ago < monotonic_ns ? monotonic_ns - ago : 0;
		return true;
	}
	if (!when_parse_date(text, &when->wall_ns)) {
		fail_usage(ctl,
		           "%s '%.100s': no such time; it is like 2026-11-29T18:00:00Z, 2026-11-29 "
		           "18:00 (UTC), or 10m for ten minutes ago",
		           option, text);
		return false;
	}
	if (when->wall_ns > wall_ns)
		when->monotonic_ns = monotonic_ns + (when->wall_ns - wall_ns);
	else
		when->monotonic_ns = wall_ns - when->wall_ns < monotonic_ns
		                             ? monotonic_ns - (wall_ns - when->wall_ns)
		                             : 0;
	return true;
}

bool when_is_before(const struct k2k_audit_record *record, const struct when *when)
{
	return record->time_ns < when->wall_ns && record->monotonic_ns < when->monotonic_ns;
}

bool when_is_after(const struct k2k_audit_record *record, const struct when *when)
{
	return record->time_ns > when->wall_ns && record->monotonic_ns > when->monotonic_ns;
}
