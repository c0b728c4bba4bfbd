/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* report.h - how the daemon says that something is wrong */
#ifndef K2K_AUDITD_REPORT_H
#define K2K_AUDITD_REPORT_H

#include <stdarg.h>

/* One line on standard error, and in the system's log. */
void report(const char *format, ...) __attribute__((format(printf, 1, 2)));
void report_args(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

#endif
