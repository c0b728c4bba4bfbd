/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "json.h"
#include "memory.h"

#include <inttypes.h>
#include <json-c/json.h>

json_object *json_new(void)
{
	return check_memory(json_object_new_object());
}

json_object *json_new_list(void)
{
	return check_memory(json_object_new_array());
}

void json_put(json_object *object, const char *key, json_object *value)
{
	if (json_object_object_add_ex(object, key, value,
	                              JSON_C_OBJECT_ADD_KEY_IS_NEW |
	                                      JSON_C_OBJECT_ADD_CONSTANT_KEY))
		out_of_memory();
}

void json_put_text(json_object *object, const char *key, const char *text)
{
	json_put(object, key, text ? check_memory(json_object_new_string(text)) : NULL);
}

void json_put_bool(json_object *object, const char *key, int value)
{
	json_put(object, key, check_memory(json_object_new_boolean(value)));
}

void json_put_u64(json_object *object, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	json_put_text(object, key, digits);
}

void json_put_limit(json_object *object, const char *key, uint64_t value)
{
	if (value == UINT64_MAX)
		json_put(object, key, NULL);
	else
		json_put_u64(object, key, value);
}

void json_put_count(json_object *object, const char *key, uint64_t value)
{
	json_put(object, key, check_memory(json_object_new_uint64(value)));
}

void json_append(json_object *list, json_object *value)
{
	if (json_object_array_add(list, value))
		out_of_memory();
}

static void write_part(FILE *out, json_object *object, size_t skip)
{
	size_t size;
	const char *text = json_object_to_json_string_length(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &size);

	if (!text)
		out_of_memory();
	fwrite(text + skip, 1, size - 2 * skip, out);
	json_object_put(object);
}

void json_write(FILE *out, json_object *object)
{
	write_part(out, object, 0);
}

void json_write_members(FILE *out, json_object *object)
{
	write_part(out, object, 1);
}
