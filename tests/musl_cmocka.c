/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The subset of cmocka that the tests of musl.sh need. Debian has cmocka for glibc alone, as a
 * shared library; musl.sh compiles this file instead, against cmocka's header.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static jmp_buf end_of_test;
static const char *filter;
static int skipped;

void print_message(const char *const format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	fflush(stdout);
}

void print_error(const char *const format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
}

void _fail(const char *const file, const int line)
{
	print_error("%s:%d: error: Failure!\n", file, line);
	if (getenv("CMOCKA_TEST_ABORT"))
		abort();
	longjmp(end_of_test, 1);
}

void _skip(const char *const file, const int line)
{
	(void)file, (void)line;
	skipped = 1;
	longjmp(end_of_test, 1);
}

void _assert_true(const LargestIntegralType result, const char *const expression,
                  const char *const file, const int line)
{
	if (!result) {
		print_error("%s\n", expression);
		_fail(file, line);
	}
}

void _assert_int_equal(const LargestIntegralType a, const LargestIntegralType b,
                       const char *const file, const int line)
{
	if (a != b) {
		print_error("%#lx != %#lx\n", a, b);
		_fail(file, line);
	}
}

void _assert_int_not_equal(const LargestIntegralType a, const LargestIntegralType b,
                           const char *const file, const int line)
{
	_assert_true(a != b, "two equal numbers", file, line);
}

void _assert_string_equal(const char *const a, const char *const b, const char *const file,
                          const int line)
{
	if (strcmp(a, b) != 0) {
		print_error("\"%s\" != \"%s\"\n", a, b);
		_fail(file, line);
	}
}

void _assert_memory_equal(const void *const a, const void *const b, const size_t size,
                          const char *const file, const int line)
{
	_assert_true(memcmp(a, b, size) == 0, "memory differs", file, line);
}

void _assert_in_set(const LargestIntegralType value, const LargestIntegralType values[],
                    const size_t number_of_values, const char *const file, const int line)
{
	int found = 0;

	for (size_t i = 0; i < number_of_values; i++)
		found |= value == values[i];
	_assert_true(found, "not in the set", file, line);
}

void _assert_in_range(const LargestIntegralType value, const LargestIntegralType minimum,
                      const LargestIntegralType maximum, const char *const file, const int line)
{
	_assert_true(value >= minimum && value <= maximum, "not in the range", file, line);
}

void cmocka_set_message_output(enum cm_message_output output)
{
	(void)output;
}

void cmocka_set_test_filter(const char *pattern)
{
	filter = pattern;
}

int _cmocka_run_group_tests(const char *group_name, const struct CMUnitTest *const tests,
                            const size_t num_tests, CMFixtureFunction group_setup,
                            CMFixtureFunction group_teardown)
{
	volatile int failed = 0;

	(void)group_name, (void)group_setup, (void)group_teardown;
	for (volatile size_t i = 0; i < num_tests; i++) {
		void *state = tests[i].initial_state;
		const char *volatile answer = "ok";

		if (!tests[i].name || (filter && strcmp(filter, tests[i].name) != 0))
			continue;
		skipped = 0;
		if (setjmp(end_of_test) == 0) {
			tests[i].test_func(&state);
		} else if (!skipped) {
			answer = "not ok";
			failed++;
		}
		if (tests[i].teardown_func)
			tests[i].teardown_func(&state);
		print_message("%s - %s%s\n", answer, tests[i].name, skipped ? " # SKIP" : "");
	}
	return failed;
}
