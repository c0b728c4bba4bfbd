/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util.h"
#include "common/audit_event.h"
#include "common/memory.h"

#include <json-c/json.h>
#include <stdio.h>
#include <syslog.h>

void text_add_body(struct text *text, json_object *object)
{
	size_t size;
	const char *bytes = json_object_to_json_string_length(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &size);

	check_memory((void *)(uintptr_t)bytes);
	text_add(text, bytes + 1, size - 2);
	text_add(text, "\n", 1);
	json_object_put(object);
}

void say_args(const char *format, va_list args)
{
	char text[1024];

	vsnprintf(text, sizeof(text), format, args);
	fprintf(stderr, "k2k-auditd: %s\n", text);
	syslog(LOG_CRIT, "%s", text);
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_args(format, args);
	va_end(args);
}
