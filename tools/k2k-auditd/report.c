/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report.h"

#include <stdio.h>
#include <syslog.h>

void report_args(const char *format, va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof(text), format, args);
	fprintf(stderr, "k2k-auditd: %s\n", text);
	syslog(LOG_CRIT, "%s", text);
}

void report(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	report_args(format, args);
	va_end(args);
}
