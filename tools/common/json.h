/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * json.h - JSON for other programs, by json-c
 *
 * 64-bit numbers are written as decimal strings, because many readers of JSON keep no more than
 * 53 bits. An unlimited limit is null. Keys are not copied: they are literals, and each is put
 * once. Running out of memory ends the program.
 */
#ifndef K2K_COMMON_JSON_H
#define K2K_COMMON_JSON_H

#include <json-c/json_object.h>
#include <stdint.h>
#include <stdio.h>

json_object *json_new(void); /* an empty object */
json_object *json_new_list(void);

/* Each takes over the value it is given. A null text is null. */
void json_put(json_object *object, const char *key, json_object *value);
void json_put_text(json_object *object, const char *key, const char *text);
void json_put_bool(json_object *object, const char *key, int value);
void json_put_u64(json_object *object, const char *key, uint64_t value);
void json_put_limit(json_object *object, const char *key, uint64_t value); /* UINT64_MAX: null */
void json_put_count(json_object *object, const char *key, uint64_t value); /* a JSON number */
void json_append(json_object *list, json_object *value);

/* Writes it on one line, without spaces or a newline, and frees it. */
void json_write(FILE *out, json_object *object);
/* The same of its members only, without the braces. */
void json_write_members(FILE *out, json_object *object);

#endif
