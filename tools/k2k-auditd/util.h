/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* util.h - bodies of lines and how this program says that something is wrong */
#ifndef K2K_AUDITD_UTIL_H
#define K2K_AUDITD_UTIL_H

#include "common/text.h"

#include <json-c/json_object.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* The members of an object, without its braces, and a newline: a body. Frees the object. */
void text_add_body(struct text *text, json_object *object);

/* One line on standard error, and in the system's log. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_args(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

#endif
