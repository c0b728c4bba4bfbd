/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * error.h (F0) - error codes, their names, and each thread's detail of its last error.
 *
 * The detail is in the thread's record (thread.h). A thread that can't get a record, for example
 * because there is no memory, uses one detail that all such threads share, so the text may describe
 * another thread's error. The library itself never decides anything by a detail.
 *
 * There are three kinds of failure. A caller's mistake returns a code. Corrupt shared memory
 * returns K2K_ECORRUPT, with the object and the field. A violated assumption of the library itself
 * aborts in builds without NDEBUG (assert(), see base.h).
 */
#ifndef K2K_ERROR_H
#define K2K_ERROR_H

#include <stdint.h>

#include "k2k/registry.h"

/*
 * Results that functions of the library return to each other beside the public codes. They are
 * positive, so none can be mistaken for an error, and no public call returns one.
 */
enum k2k_private_code {
	K2K_HASH_ABSENT = 1,         /* no record has the key, or the record is not linked */
	K2K_HASH_EXISTS = 2,         /* another record has the key already */
	K2K_DECIDE_AGAIN = 3,        /* the window or the definition changed: try again */
	K2K_DECIDE_BUDGET = 4,       /* the rate admits it: check the budgets too */
	K2K_LEASE_AT_LIMIT = 5,      /* the tenant's whole limit is held: refuse the lease */
	K2K_LEASE_AGAIN = 6,         /* other claims are in the way: leave the section, retry */
	K2K_LEASE_REPORT_DEATHS = 7, /* report deaths, which may free a record, and retry */
	K2K_CHANGE_WAIT = 8,         /* no record is free until a grace period passes: wait */
	K2K_DECIDE_MODE = 9,         /* no window of a second, or a lost race: another short way */
	K2K_LEASE_LOCKED = 10,       /* another thread of this process has the lock: try again */
	K2K_KERNEL_OURS = 11,        /* this broker has the name already */
	K2K_KERNEL_AGAIN = 12,       /* another broker changes this part of the directory: retry */
};

/*
 * These functions fill this thread's detail and return `code`. `object` and `field` may be null.
 * k2k_fail_errno() appends the text of `error`, and the name of the system limit that may be the
 * cause.
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

/* K2K_EINVAL for an argument: a null result pointer, or a struct with an unknown size or flags. */
int k2k_fail_argument(const char *field, const char *why) __attribute__((cold));

/*
 * Makes *detail this thread's detail: the one that a later step of the same call has replaced, or
 * that the agent filled on this thread's behalf.
 */
void k2k_restore_detail(const struct k2k_error_detail *detail);

#endif
