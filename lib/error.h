/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * error.h (F0) - codes, their names, and the thread's detail of its last error.
 *
 * The detail is in the thread's record (thread.h). If there is no memory for one, all such threads
 * share a detail: then its text may be another thread's, and nothing else goes wrong.
 *
 * Three kinds of wrong: the caller's mistake is a code; damage in shared memory is K2K_ECORRUPT
 * with what and where; our own impossible aborts.
 */
#ifndef K2K_ERROR_H
#define K2K_ERROR_H

#include <stdint.h>

#include "k2k/registry.h"

/*
 * Fills this thread's detail and returns `code`. `object` and `field` may be
 * null. errno is read by k2k_fail_errno only, which appends its text.
 */
int k2k_fail(int code, const char *object, const char *field, const char *format, ...)
	__attribute__((format(printf, 4, 5), cold));
int k2k_fail_errno(int code, int error, const char *object, const char *format, ...)
	__attribute__((format(printf, 4, 5), cold));
int k2k_fail_values(int code, const char *object, const char *field, uint64_t expected,
                    uint64_t found, const char *format, ...)
	__attribute__((format(printf, 6, 7), cold));
int k2k_fail_pid(int code, const char *object, uint64_t pid, const char *format, ...)
	__attribute__((format(printf, 4, 5), cold));

/* A null result pointer, or a struct whose size or flags are unknown. */
int k2k_fail_argument(const char *field, const char *why) __attribute__((cold));

/* Puts back a detail that a later step of the same call would have replaced. */
void k2k_restore_detail(const struct k2k_error_detail *detail);

#endif
