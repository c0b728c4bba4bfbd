/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

_Noreturn void die(const char *format, ...)
{
	va_list args;
	char text[600];

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, BENCH_NAME ": %s\n", text);
	_exit(EXIT_FAILED);
}

_Noreturn void die_of(int code, const char *what)
{
	const struct k2k_error_detail *detail = k2k_error_detail();

	die("%s: %s (%s)%s%s", what, k2k_strerror(code), k2k_errname(code),
	    detail->code == code ? ": " : "", detail->code == code ? detail->text : "");
}
