/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Numbers with units: what is read, what is refused and at which position, and that printed values
 * can be read back.
 */
#include "harness.h"
#include "common/units.h"

#define MAX "18446744073709551615" /* 2^64 - 1 */
#define UNTOUCHED UINT64_C(0x5a5a5a5a5a5a5a5a)

typedef int parser(const char *, uint64_t *, struct units_fault *);

static void reads(parser *parse, const char *text, uint64_t expected)
{
	struct units_fault fault = { 0, "" };
	uint64_t value = UNTOUCHED;

	if (parse(text, &value, &fault))
		fail_msg("'%s' is refused: %s at position %zu", text, fault.what, fault.position);
	if (value != expected)
		fail_msg("'%s' is read as %" PRIu64 ", expected %" PRIu64, text, value, expected);
}

static void refuses(parser *parse, const char *text, size_t position, const char *what)
{
	struct units_fault fault = { 0, "" };
	uint64_t value = UNTOUCHED;

	if (!parse(text, &value, &fault))
		fail_msg("'%s' is read as %" PRIu64, text, value);
	if (value != UNTOUCHED)
		fail_msg("'%s' is refused, but its value was set", text);
	if (fault.position != position || !strstr(fault.what, what))
		fail_msg("'%s': %s at position %zu, expected %s at position %zu", text, fault.what,
		         fault.position, what, position);
}

/* Texts that no unit accepts, with the position that all of them return. */
static void refuses_what_is_no_number(parser *parse)
{
	refuses(parse, "", 1, "nothing given");
	refuses(parse, " ", 1, "digit");
	refuses(parse, " 1", 1, "digit");
	refuses(parse, "+1", 1, "digit");
	refuses(parse, "-1", 1, "digit");
	refuses(parse, ".5", 1, "digit");
	refuses(parse, "x", 1, "digit");
	refuses(parse, "Unlimited", 1, "digit");
	refuses(parse, "unlimitedx", 1, "digit");
	refuses(parse, "\xc2\xb2", 1, "digit");
}

/* ---- ids ------------------------------------------------------------------- */

TEST(an_id_is_decimal_or_hexadecimal_over_all_of_u64)
{
	reads(units_parse_id, "0", 0);
	reads(units_parse_id, "1", 1);
	reads(units_parse_id, "0042", 42);
	reads(units_parse_id, "9007199254740993", 9007199254740993u);
	reads(units_parse_id, MAX, UINT64_MAX);
	reads(units_parse_id, "0x0", 0);
	reads(units_parse_id, "0x2a", 42);
	reads(units_parse_id, "0xfFfFfFfFfFfFfFfF", UINT64_MAX);
	reads(units_parse_id, "0x0000000000000000000001", 1);
}

TEST(an_id_that_is_none_is_refused_where_it_goes_wrong)
{
	refuses_what_is_no_number(units_parse_id);
	refuses(units_parse_id, "0x", 3, "digit");
	refuses(units_parse_id, "0X1", 2, "digit");
	refuses(units_parse_id, "x1", 1, "digit");
	refuses(units_parse_id, "0x1g", 4, "digit");
	refuses(units_parse_id, "0x 1", 3, "digit");
	refuses(units_parse_id, "12a", 3, "digit");
	refuses(units_parse_id, "1 ", 2, "digit");
	refuses(units_parse_id, "1\n", 2, "digit");
	refuses(units_parse_id, "1_000", 2, "digit");
	refuses(units_parse_id, "1.0", 2, "digit");
	refuses(units_parse_id, "unlimited", 1, "digit");
	refuses(units_parse_id, "18446744073709551616", 1, "too large");
	refuses(units_parse_id, "99999999999999999999999", 1, "too large");
	refuses(units_parse_id, "0x10000000000000000", 1, "too large");
}

/* ---- counts, kernels, modes -------------------------------------------------- */

static int count_to_ten(const char *text, uint64_t *value, struct units_fault *fault)
{
	return units_parse_count(text, 2, 10, value, fault);
}

static int count_all(const char *text, uint64_t *value, struct units_fault *fault)
{
	return units_parse_count(text, 0, UINT64_MAX, value, fault);
}

TEST(a_count_has_bounds)
{
	reads(count_to_ten, "2", 2);
	reads(count_to_ten, "10", 10);
	reads(count_all, MAX, UINT64_MAX);
	refuses_what_is_no_number(count_all);
	refuses(count_to_ten, "1", 1, "too small");
	refuses(count_to_ten, "11", 1, "too large");
	refuses(count_all, "18446744073709551616", 1, "too large");
	refuses(count_all, "0x10", 2, "digit");
	refuses(count_all, "1k", 2, "digit");
	refuses(count_all, "unlimited", 1, "digit");
}

static int kernels(const char *text, uint64_t *value, struct units_fault *fault)
{
	uint32_t n;

	if (units_parse_kernels(text, &n, fault))
		return -1;
	*value = n;
	return 0;
}

TEST(kernels_end_one_below_unlimited)
{
	reads(kernels, "0", 0);
	reads(kernels, "16", 16);
	reads(kernels, "4294967294", UINT32_MAX - 1);
	reads(kernels, "unlimited", UINT32_MAX);
	refuses_what_is_no_number(kernels);
	refuses(kernels, "4294967295", 1, "too large");
	refuses(kernels, "4294967296", 1, "too large");
	refuses(kernels, "1.5", 2, "digit");
}

static int mode(const char *text, uint64_t *value, struct units_fault *fault)
{
	uint32_t m;

	if (units_parse_mode(text, &m, fault))
		return -1;
	*value = m;
	return 0;
}

TEST(a_mode_is_octal)
{
	reads(mode, "0", 0);
	reads(mode, "660", 0660);
	reads(mode, "0660", 0660);
	reads(mode, "00777", 0777);
	refuses(mode, "", 1, "nothing given");
	refuses(mode, "8", 1, "octal");
	refuses(mode, "068", 3, "octal");
	refuses(mode, "1000", 1, "too large");
	refuses(mode, "777777777777777777777777", 1, "too large");
	refuses(mode, "-1", 1, "octal");
	refuses(mode, "rw", 1, "octal");
}

/* ---- sizes ------------------------------------------------------------------- */

TEST(a_size_has_binary_and_decimal_units)
{
	static const char letters[] = "KMGTPE";
	uint64_t binary = 1, decimal = 1;
	char text[32];

	reads(units_parse_size, "0", 0);
	reads(units_parse_size, "0E", 0);
	reads(units_parse_size, "512", 512);
	reads(units_parse_size, "512B", 512);
	reads(units_parse_size, "2G", UINT64_C(2147483648));
	reads(units_parse_size, "2GiB", UINT64_C(2147483648));
	reads(units_parse_size, "1GB", UINT64_C(1000000000));
	reads(units_parse_size, "2k", 2048);
	reads(units_parse_size, "2kB", 2000);
	for (const char *l = letters; *l; l++) {
		binary *= 1024;
		decimal *= 1000;
		snprintf(text, sizeof(text), "3%c", *l);
		reads(units_parse_size, text, 3 * binary);
		snprintf(text, sizeof(text), "3%ciB", *l);
		reads(units_parse_size, text, 3 * binary);
		snprintf(text, sizeof(text), "3%cB", *l);
		reads(units_parse_size, text, 3 * decimal);
	}
	reads(units_parse_size, "unlimited", UINT64_MAX);
}

TEST(a_size_ends_one_below_unlimited)
{
	reads(units_parse_size, "18446744073709551614", UINT64_MAX - 1);
	reads(units_parse_size, "15E", UINT64_C(15) << 60);
	reads(units_parse_size, "18EB", UINT64_C(18000000000000000000));
	reads(units_parse_size, "18446744073709551.614KB", UINT64_MAX - 1);
	reads(units_parse_size, "17179869183G", UINT64_C(17179869183) << 30);
	refuses(units_parse_size, MAX, 1, "too large");
	refuses(units_parse_size, "18446744073709551616", 1, "too large");
	refuses(units_parse_size, "16E", 1, "too large");
	refuses(units_parse_size, "17179869184G", 1, "too large");
	refuses(units_parse_size, "18446744073709551.615KB", 1, "too large");
	refuses(units_parse_size, "18446744073709551.616KB", 1, "too large");
	refuses(units_parse_size, "19EB", 1, "too large");
	refuses(units_parse_size, "100000000000000000000K", 1, "too large");
}

TEST(a_fraction_of_a_size_is_exact_or_refused)
{
	reads(units_parse_size, "1.5G", UINT64_C(1610612736));
	reads(units_parse_size, "0.5K", 512);
	reads(units_parse_size, "0.0009765625K", 1);
	reads(units_parse_size, "1.0", 1);
	reads(units_parse_size,
	      "1.000000000000000000000000000000000000000000000000000000000000000000000000B", 1);
	reads(units_parse_size, "0.001KB", 1);
	reads(units_parse_size, "1.000000001GB", UINT64_C(1000000001));
	/* 1 / 2^60, with its sixty digits */
	reads(units_parse_size, "0.000000000000000000867361737988403547205962240695953369140625E",
	      1);
	refuses(units_parse_size,
	        "0.0000000000000000008673617379884035472059622406959533691406250000001E", 2,
	        "even");
	refuses(units_parse_size, "0.1K", 2, "even");
	refuses(units_parse_size, "12.0001KB", 3, "even");
	refuses(units_parse_size, "1.5", 2, "even");
	refuses(units_parse_size, "1.5B", 2, "even");
	refuses(units_parse_size, "1.", 3, "digit");
	refuses(units_parse_size, "1.G", 3, "digit");
	refuses(units_parse_size, "1.5.5G", 4, "no such unit");
	refuses(units_parse_size, "1,5G", 2, "no such unit");
}

TEST(a_size_with_another_unit_is_refused_where_it_goes_wrong)
{
	refuses_what_is_no_number(units_parse_size);
	refuses(units_parse_size, "5x", 2, "no such unit");
	refuses(units_parse_size, "5 G", 2, "no such unit");
	refuses(units_parse_size, "5G ", 3, "should end");
	refuses(units_parse_size, "5Gi", 3, "should end");
	refuses(units_parse_size, "5GiBs", 5, "should end");
	refuses(units_parse_size, "5g", 2, "no such unit");
	refuses(units_parse_size, "5m", 2, "no such unit");
	refuses(units_parse_size, "5b", 2, "no such unit");
	refuses(units_parse_size, "0x10", 2, "no such unit");
	refuses(units_parse_size, "1e9", 2, "no such unit");
	refuses(units_parse_size, "5G5", 3, "should end");
	refuses(units_parse_size, "5/s", 2, "no such unit");
}

/* ---- durations ----------------------------------------------------------------- */

#define S UINT64_C(1000000000)

TEST(a_duration_carries_units)
{
	reads(units_parse_duration, "1ns", 1);
	reads(units_parse_duration, "1us", 1000);
	reads(units_parse_duration, "250ms", 250000000);
	reads(units_parse_duration, "1.5s", 3 * S / 2);
	reads(units_parse_duration, "2m", 120 * S);
	reads(units_parse_duration, "1h30m", 5400 * S);
	reads(units_parse_duration, "1d", 86400 * S);
	reads(units_parse_duration, "1d2h3m4s5ms6us7ns", (86400 + 7200 + 180 + 4) * S + 5006007);
	reads(units_parse_duration, "90m", 5400 * S);
	reads(units_parse_duration, "1h0.5s", 3600 * S + S / 2);
	reads(units_parse_duration, "unlimited", UINT64_MAX);
}

TEST(a_duration_of_zero_needs_no_unit)
{
	reads(units_parse_duration, "0", 0);
	reads(units_parse_duration, "0s", 0);
	reads(units_parse_duration, "0h0m0s", 0);
	reads(units_parse_duration, "0.0h", 0);
	refuses(units_parse_duration, "1h0", 4, "a unit is missing");
}

TEST(a_duration_ends_one_below_unlimited)
{
	reads(units_parse_duration, "18446744073709551614ns", UINT64_MAX - 1);
	reads(units_parse_duration, "18446744073.709551614s", UINT64_MAX - 1);
	reads(units_parse_duration, "18446744073s709551614ns", UINT64_MAX - 1);
	refuses(units_parse_duration, MAX "ns", 1, "too large");
	refuses(units_parse_duration, "18446744073.709551615s", 1, "too large");
	refuses(units_parse_duration, "18446744073s709551615ns", 1, "too large");
	refuses(units_parse_duration, "18446744073s709551616ns", 1, "too large");
	refuses(units_parse_duration, "18446744073.709551616s", 1, "too large");
	refuses(units_parse_duration, "213504d", 1, "too large");
	refuses(units_parse_duration, "1h99999999999999999999s", 3, "too large");
}

TEST(a_fraction_of_a_duration_is_exact_or_refused)
{
	reads(units_parse_duration, "0.000000001s", 1);
	reads(units_parse_duration, "0.1us", 100);
	reads(units_parse_duration, "0.5h", 1800 * S);
	reads(units_parse_duration, "1h1.5m", 3690 * S);
	reads(units_parse_duration, "1.0ns", 1);
	refuses(units_parse_duration, "0.0000000001s", 2, "even");
	refuses(units_parse_duration, "1.5ns", 2, "even");
	refuses(units_parse_duration, "1h0.1ns", 4, "even");
	refuses(units_parse_duration, "1.5h30m", 2, "only the last part");
	refuses(units_parse_duration, "1.s", 3, "digit");
}

TEST(a_duration_with_another_unit_is_refused_where_it_goes_wrong)
{
	refuses_what_is_no_number(units_parse_duration);
	refuses(units_parse_duration, "5", 2, "a unit is missing");
	refuses(units_parse_duration, "1h30", 5, "a unit is missing");
	refuses(units_parse_duration, "5x", 2, "no such unit");
	refuses(units_parse_duration, "5S", 2, "no such unit");
	refuses(units_parse_duration, "5M", 2, "no such unit");
	refuses(units_parse_duration, "5 s", 2, "no such unit");
	refuses(units_parse_duration, "5s ", 3, "should end");
	refuses(units_parse_duration, "5sec", 3, "should end");
	refuses(units_parse_duration, "5min", 3, "should end");
	refuses(units_parse_duration, "5s-1ms", 3, "should end");
	refuses(units_parse_duration, "1h 30m", 3, "should end");
	refuses(units_parse_duration, "30m1h", 5, "larger units come first");
	refuses(units_parse_duration, "1s1s", 4, "larger units come first");
	refuses(units_parse_duration, "1ms1s", 5, "larger units come first");
}

static void shows_size(uint64_t bytes, const char *expected)
{
	char text[UNITS_TEXT];

	assert_string_equal(units_print_short_size(text, bytes), expected);
}

TEST(a_short_size_is_exact_where_that_is_short_and_never_more_than_it_is)
{
	shows_size(0, "0B");
	shows_size(9999, "9999B");
	shows_size(10001, "9.76KiB");
	shows_size(UINT64_C(1) << 31, "2GiB");
	shows_size(1536 * 1024, "1536KiB");
	shows_size(1048575, "1023KiB");
	shows_size(10485759, "9.99MiB");
	shows_size(104857599, "99.9MiB");
	shows_size(UINT64_MAX - 1, "15.9EiB");
	shows_size(1000000000, "1GB");
}

/* ---- rates ----------------------------------------------------------------------- */

static int rate(const char *text, uint64_t *value, struct units_fault *fault)
{
	uint32_t period;

	return units_parse_rate(text, value, &period, fault);
}

TEST(a_rate_is_a_whole_number_a_second)
{
	reads(rate, "5000/s", 5000);
	reads(rate, "5k/s", 5000);
	reads(rate, "5M/s", 5000000);
	reads(rate, "5G/s", UINT64_C(5000000000));
	reads(rate, "1.5k/s", 1500);
	reads(rate, "0", 0);
	reads(rate, "0/s", 0);
	reads(rate, "unlimited", UINT64_MAX);
	refuses(rate, "0.5/s", 2, "even");
	refuses(rate, "1.0005k/s", 2, "even");
}

static void reads_rate(const char *text, uint64_t expected, uint32_t expected_period)
{
	struct units_fault fault = { 0, "" };
	uint64_t value = UNTOUCHED;
	uint32_t period = UINT32_MAX;

	if (units_parse_rate(text, &value, &period, &fault))
		fail_msg("'%s' is refused: %s at position %zu", text, fault.what, fault.position);
	assert_int_equal(value, expected);
	assert_int_equal(period, expected_period);
}

TEST(a_rate_has_a_period_that_is_not_converted)
{
	reads_rate("6000/s", 6000, UNITS_PER_SECOND);
	reads_rate("6000/min", 6000, UNITS_PER_MINUTE);
	reads_rate("6k/min", 6000, UNITS_PER_MINUTE);
	reads_rate("0/min", 0, UNITS_PER_MINUTE);
	reads_rate("500/h", 500, UNITS_PER_HOUR);
	reads_rate("10k/day", 10000, UNITS_PER_DAY);
	reads_rate("0", 0, UNITS_PER_SECOND);
	reads_rate("unlimited", UINT64_MAX, UNITS_PER_SECOND);
}

TEST(a_refused_rate_leaves_its_period_alone)
{
	static const char *const bad[] = { MAX "/min", "5/week", "0.5/h", "5" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct units_fault fault;
		uint64_t value = UNTOUCHED;
		uint32_t period = 77;

		assert_int_equal(units_parse_rate(bad[i], &value, &period, &fault), -1);
		assert_int_equal(value, UNTOUCHED);
		assert_int_equal(period, 77);
	}
}

TEST(a_rate_ends_one_below_unlimited)
{
	reads(rate, "18446744073709551614/s", UINT64_MAX - 1);
	reads(rate, "18446744073.709551614G/s", UINT64_MAX - 1);
	refuses(rate, MAX "/s", 1, "too large");
	refuses(rate, "18446744073709551616/s", 1, "too large");
	refuses(rate, "18446744074G/s", 1, "too large");
}

TEST(a_rate_with_another_unit_is_refused_where_it_goes_wrong)
{
	refuses_what_is_no_number(rate);
	refuses(rate, "5000", 5, "missing");
	refuses(rate, "5k", 3, "missing");
	refuses(rate, "0k", 3, "missing");
	refuses(rate, "5x/s", 2, "no such unit");
	refuses(rate, "5K/s", 2, "no such unit");
	refuses(rate, "5kk/s", 3, "no such unit");
	refuses(rate, "5 /s", 2, "no such unit");
	refuses(rate, "5/", 3, "expected");
	refuses(rate, "5/w", 3, "expected");
	refuses(rate, "5/m", 3, "expected");
	refuses(rate, "5/ s", 3, "expected");
	refuses(rate, "5/sec", 3, "expected");
	refuses(rate, "60/minute", 4, "expected");
	refuses(rate, "5/s ", 3, "expected");
}

/* ---- budgets ----------------------------------------------------------------------- */

TEST(a_budget_is_an_engagement_and_a_duration)
{
	struct units_fault fault;
	uint64_t engagement, ns;
	uint32_t renewal;

	assert_false(units_parse_budget("7=1h", &engagement, &ns, &renewal, &fault));
	assert_int_equal(engagement, 7);
	assert_int_equal(ns, 3600 * S);
	assert_int_equal(renewal, UNITS_NEVER);
	assert_false(units_parse_budget("7=10h/day", &engagement, &ns, &renewal, &fault));
	assert_int_equal(ns, 36000 * S);
	assert_int_equal(renewal, UNITS_DAY);
	assert_false(units_parse_budget("0=0", &engagement, &ns, &renewal, &fault));
	assert_int_equal(engagement, 0);
	assert_int_equal(ns, 0);
	assert_false(units_parse_budget("0xffffffffffffffff=unlimited", &engagement, &ns, &renewal,
	                                &fault));
	assert_int_equal(engagement, UINT64_MAX);
	assert_int_equal(ns, UINT64_MAX);
}

static int budget(const char *text, uint64_t *value, struct units_fault *fault)
{
	uint64_t ns = 0;
	uint32_t renewal;

	return units_parse_budget(text, value, &ns, &renewal, fault);
}

TEST(a_renewing_budget_reads_back_as_it_is_printed)
{
	static const char *const texts[] = { "10h", "10h/hour", "1h30m/day", "0s/week",
		                             "1ns/month" };
	char text[UNITS_TEXT];
	struct units_fault fault;
	uint32_t renewal;
	uint64_t ns;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_false(units_parse_renewing(texts[i], &ns, &renewal, &fault));
		assert_string_equal(units_print_renewing(text, ns, renewal), texts[i]);
	}
	assert_string_equal(units_print_renewing(text, UINT64_MAX - 1, UNITS_MONTH),
	                    "5124095h34m33.709551614s/month");
}

TEST(a_correction_is_a_duration_with_a_sign)
{
	char text[UNITS_TEXT];
	struct units_fault fault;
	int64_t ns;

	assert_false(units_parse_signed_duration("-1h30m", &ns, &fault));
	assert_true(ns == -5400 * (int64_t)S);
	assert_string_equal(units_print_signed_duration(text, ns), "-1h30m");
	assert_false(units_parse_signed_duration("+2s", &ns, &fault));
	assert_true(ns == 2 * (int64_t)S);
	assert_string_equal(units_print_signed_duration(text, ns), "2s");
	assert_true(units_parse_signed_duration("-unlimited", &ns, &fault));
	assert_int_equal(fault.position, 2);
	assert_true(units_parse_signed_duration("--1s", &ns, &fault));
}

TEST(a_fault_in_a_budget_counts_from_its_start)
{
	refuses(budget, "7=1h/", 6, "expected");
	refuses(budget, "7=1h/year", 6, "expected");
	refuses(budget, "7=1h/day ", 6, "expected");
	refuses(budget, "7=/day", 3, "nothing given");
	refuses(budget, "7=unlimited/day", 12, "should end");
	refuses(budget, "", 1, "missing");
	refuses(budget, "7", 2, "missing");
	refuses(budget, "=1h", 1, "nothing given");
	refuses(budget, "7=", 3, "nothing given");
	refuses(budget, "7=1x", 4, "no such unit");
	refuses(budget, "7=1h30", 7, "a unit is missing");
	refuses(budget, "x=1h", 1, "digit");
	refuses(budget, "7 =1h", 2, "digit");
	refuses(budget, "7==1h", 3, "digit");
	refuses(budget, "7= 1h", 3, "digit");
	refuses(budget, "18446744073709551616=1h", 1, "too large");
	refuses(budget, "0000000000000000000000000000000000000000000000007=1h", 1, "too large");
	refuses(budget, "7=-1h", 3, "digit");
}

/* ---- printing ------------------------------------------------------------------------ */

static void prints(char *print(char *, uint64_t), parser *parse, uint64_t value,
                   const char *expected)
{
	char text[UNITS_TEXT];

	assert_string_equal(print(text, value), expected);
	reads(parse, text, value);
}

static char *per_second(char text[UNITS_TEXT], uint64_t number)
{
	return units_print_rate(text, number, UNITS_PER_SECOND);
}

TEST(what_is_printed_is_short_and_exact)
{
	prints(units_print_size, units_parse_size, 0, "0B");
	prints(units_print_size, units_parse_size, 1, "1B");
	prints(units_print_size, units_parse_size, 1024, "1KiB");
	prints(units_print_size, units_parse_size, 1000, "1kB");
	prints(units_print_size, units_parse_size, UINT64_C(2147483648), "2GiB");
	prints(units_print_size, units_parse_size, UINT64_C(2147483649), "2147483649B");
	prints(units_print_size, units_parse_size, UINT64_C(2000000000), "2GB");
	prints(units_print_size, units_parse_size, UINT64_C(15) << 60, "15EiB");
	prints(units_print_size, units_parse_size, UINT64_MAX - 1, "18446744073709551614B");
	prints(units_print_duration, units_parse_duration, 0, "0s");
	prints(units_print_duration, units_parse_duration, 1, "1ns");
	prints(units_print_duration, units_parse_duration, 1500, "1.5us");
	prints(units_print_duration, units_parse_duration, 250000000, "250ms");
	prints(units_print_duration, units_parse_duration, S - 1, "999.999999ms");
	prints(units_print_duration, units_parse_duration, S + 1, "1.000000001s");
	prints(units_print_duration, units_parse_duration, 5400 * S, "1h30m");
	prints(units_print_duration, units_parse_duration, 3600 * S + S / 2, "1h0.5s");
	prints(units_print_duration, units_parse_duration, UINT64_MAX - 1,
	       "5124095h34m33.709551614s");
	prints(per_second, rate, 0, "0/s");
	prints(per_second, rate, UINT64_MAX - 1, "18446744073709551614/s");
}

static void prints_number(uint64_t value)
{
	char text[UNITS_TEXT], expected[UNITS_TEXT];
	size_t length;

	memset(text, '#', sizeof(text));
	length = units_print_number(text, value);
	snprintf(expected, sizeof(expected), "%" PRIu64, value);
	assert_string_equal(text, expected);
	assert_int_equal(length, strlen(expected));
}

TEST(a_plain_number_is_printed_with_all_its_digits)
{
	uint64_t power = 1;

	prints_number(0);
	prints_number(UINT64_MAX);
	for (int digits = 1; digits <= 20; digits++, power *= 10) {
		prints_number(power - 1);
		prints_number(power);
		prints_number(power + 1);
	}
}

TEST(what_is_printed_reads_back)
{
	uint64_t x = 88172645463325252u;

	for (int i = 0; i < 300000; i++) {
		char text[UNITS_TEXT];
		uint64_t value;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		value = x >> (x % 64);
		if (i % 3 == 0)
			value -= value % 1000;
		if (value == UINT64_MAX)
			continue;
		reads(units_parse_size, units_print_size(text, value), value);
		reads(units_parse_duration, units_print_duration(text, value), value);
		reads_rate(units_print_rate(text, value, (uint32_t)i % 4), value, (uint32_t)i % 4);
	}
}
