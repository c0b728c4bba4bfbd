/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * units.h - numbers with units, as people write them on a command line
 *
 *   id        42, 0x2a                     any 64-bit number
 *   size      512, 2G = 2GiB, 1GB = 10^9   bytes; K (or k), M, G, T, P, E alone or with iB are
 *                                          powers of 1024, with B powers of 1000
 *   duration  250ms, 1.5s, 1h30m           ns, us, ms, s, m, h, d; larger units first, each once
 *   budget    10h, 10h/day                 a duration; of one that renews with /hour, /day, /week
 *                                          or /month
 *   rate      5000/s, 5k/s, 30/min         a whole number per second, minute (min), hour (h) or
 *                                          day; k, M, G are powers of 1000. The period is part of
 *                                          the limit and never converted: 60/min is not 1/s
 *
 * Sizes, durations, rates and kernels may be "unlimited", which is UINT64_MAX (UINT32_MAX for
 * kernels). That number itself is refused, so that no finite text means "unlimited". A duration or
 * a rate of 0 needs no unit.
 *
 * Fractions are accepted if the result is a whole number; nothing is ever rounded. Nothing here
 * uses floating point, allocates memory, or depends on the locale. What is printed reads back as
 * the same number, except short sizes.
 *
 * A parser returns 0 and sets *value; or it returns -1, leaves *value alone, and reports what is
 * wrong at which character. All functions are pure.
 */
#ifndef K2K_COMMON_UNITS_H
#define K2K_COMMON_UNITS_H

#include <stddef.h>
#include <stdint.h>

struct units_fault {
	size_t position; /* of the character, from 1; length + 1: something is missing at the end */
	const char *what; /* a static text, without the position */
};

int units_parse_id(const char *text, uint64_t *id, struct units_fault *fault);
/* A plain decimal number from min to max. */
int units_parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *count,
                      struct units_fault *fault);
int units_parse_kernels(const char *text, uint32_t *kernels, struct units_fault *fault);
int units_parse_size(const char *text, uint64_t *bytes, struct units_fault *fault);
int units_parse_duration(const char *text, uint64_t *ns, struct units_fault *fault);
/* The periods of a rate: the numbers of enum k2k_rate_period. */
enum { UNITS_PER_SECOND = 0, UNITS_PER_MINUTE = 1, UNITS_PER_HOUR = 2, UNITS_PER_DAY = 3 };
/* What is unlimited, and a 0 without a unit, is per second. */
int units_parse_rate(const char *text, uint64_t *rate, uint32_t *period, struct units_fault *fault);
/* How often a budget renews: the numbers of enum k2k_budget_renewal. */
enum { UNITS_NEVER = 1, UNITS_HOUR = 2, UNITS_DAY = 3, UNITS_WEEK = 4, UNITS_MONTH = 5 };
/* In documents of a fleet: it does not renew, and all hosts together have it. */
enum { UNITS_FLEET = 1000 };
/* A budget; *renewal is UNITS_NEVER unless the text says how often. */
int units_parse_renewing(const char *text, uint64_t *ns, uint32_t *renewal,
                         struct units_fault *fault);
/* ENGAGEMENT=BUDGET; the position of a fault counts from the start of the whole text. */
int units_parse_budget(const char *text, uint64_t *engagement, uint64_t *ns, uint32_t *renewal,
                       struct units_fault *fault);
/* A duration with an optional sign: at most INT64_MAX ns, and not unlimited. */
int units_parse_signed_duration(const char *text, int64_t *ns, struct units_fault *fault);
/* An access mode in octal, at most 0777. */
int units_parse_mode(const char *text, uint32_t *mode, struct units_fault *fault);

#define UNITS_TEXT 48 /* room for any of these, with its terminator */

/* The plain decimal number. Returns its length. */
size_t units_print_number(char text[UNITS_TEXT], uint64_t number);
/* Each fills `text` and returns it. The caller handles "unlimited". */
char *units_print_size(char text[UNITS_TEXT], uint64_t bytes);
/* Exact if that is short ("1536KiB", "2GiB"), else rounded down to three digits ("7.01MiB"). */
char *units_print_short_size(char text[UNITS_TEXT], uint64_t bytes);
char *units_print_duration(char text[UNITS_TEXT], uint64_t ns);
/* "10h/day"; without a renewal "10h". */
char *units_print_renewing(char text[UNITS_TEXT], uint64_t ns, uint32_t renewal);
char *units_print_signed_duration(char text[UNITS_TEXT], int64_t ns);
/* "never", "hour", "day", "week", "month" or "fleet". */
const char *units_renewal_name(uint32_t renewal);
char *units_print_rate(char text[UNITS_TEXT], uint64_t rate, uint32_t period);
/* "second", "minute", "hour" or "day". */
const char *units_period_name(uint32_t period);

#endif
