/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* assertions.h - cmocka with what it asks to be included first, and with waiting; for harness.h */
#ifndef K2K_TESTS_ASSERTIONS_H
#define K2K_TESTS_ASSERTIONS_H

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define HARNESS_USED __attribute__((unused))

/* Behind fail() and skip(); cmocka 1.1.5 does not tell the compiler that neither returns. */
__attribute__((noreturn)) void _fail(const char *file, int line);
__attribute__((noreturn)) void _skip(const char *file, int line);
#define skip_msg(...) (print_message("# " __VA_ARGS__), print_message("\n"), skip())
#define assert_contains(text, part)                                                         \
	do {                                                                                \
		const char *harness_text = (text), *harness_part = (part);                  \
		if (!strstr(harness_text, harness_part))                                    \
			fail_msg("no \"%s\" in %s: %s", harness_part, #text, harness_text); \
	} while (0)

HARNESS_USED static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

HARNESS_USED static uint64_t thread_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* For what comes at once on a quiet machine. */
enum { PATIENCE_S = 60 };

/* Looks every millisecond, for what gives no event to wait for. */
#define WAIT_UNTIL(condition, seconds)                                                       \
	do {                                                                                 \
		uint64_t harness_end_ns = now_ns() + (uint64_t)(seconds)*1000000000u;        \
		for (; !(condition); nanosleep(&(struct timespec){ 0, 1000000 }, NULL))      \
			if (now_ns() > harness_end_ns)                                       \
				fail_msg("not within %d s: %s", (int)(seconds), #condition); \
	} while (0)

#endif
