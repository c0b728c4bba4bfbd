/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "line.h"
#include "clients.h"
#include "common/memory.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Skips the white space at `at`. */
static size_t space(const char *line, size_t size, size_t at)
{
	while (at < size && is_space(line[at]))
		at++;
	return at;
}

/* ---- bytes into lines ----------------------------------------------------------- */

char *line_room(struct line_input *input, size_t *room)
{
	memmove(input->bytes, input->bytes + input->start, input->end - input->start);
	input->end -= input->start;
	input->start = 0;
	*room = sizeof input->bytes - input->end;
	return input->bytes + input->end;
}

void line_read(struct line_input *input, size_t size)
{
	input->end += size;
}

enum line_kind line_next(struct line_input *input, int at_end, const char **line, size_t *size)
{
	for (;;) {
		const char *start = input->bytes + input->start;
		size_t have = input->end - input->start, length, taken;
		const char *newline = memchr(start, '\n', have);

		length = newline ? (size_t)(newline - start) : have;
		taken = newline ? length + 1 : length;
		if (input->skipping) {
			input->start += taken;
			input->skipping = !newline;
			if (!newline)
				return LINE_NONE;
			continue;
		}
		/* + 1 for a '\r' */
		if (!newline && have <= LINE_MAX_BYTES + 1 && !(at_end && have > 0))
			return LINE_NONE;
		input->number++;
		input->start += taken;
		if (length > 0 && start[length - 1] == '\r')
			length--;
		if (length > LINE_MAX_BYTES) {
			input->skipping = !newline;
			return LINE_TOO_LONG;
		}
		if (space(start, length, 0) == length)
			continue;
		*line = start;
		*size = length;
		return LINE_WHOLE;
	}
}

/* ---- a line into a request -------------------------------------------------------- */

enum key {
	KERNEL,
	NAME,
	TENANT,
	ORG,
	ENGAGEMENT,
	SEND,
	TO,
	GPU_NS,
	RESERVE,
	COMMIT,
	CANCEL,
	CLIENT,
	STATS,
	ID,
	KEYS
};
static const char *const key_names[KEYS] = {
	"kernel", "name",    "tenant", "org",    "engagement", "send",  "to",
	"gpu_ns", "reserve", "commit", "cancel", "client",     "stats", "id",
};
#define BIT(key) (1u << (key))
enum {
	/* each of them may have an id */
	ADD_KEYS = BIT(KERNEL) | BIT(NAME) | BIT(TENANT) | BIT(ORG) | BIT(ENGAGEMENT),
	REMOVE_KEYS = BIT(KERNEL) | BIT(NAME),
	SEND_KEYS = BIT(SEND) | BIT(TO) | BIT(ORG) | BIT(ENGAGEMENT) | BIT(GPU_NS),
	RESERVE_KEYS = BIT(RESERVE) | BIT(TENANT) | BIT(ORG) | BIT(ENGAGEMENT) | BIT(GPU_NS),
	COMMIT_KEYS = BIT(COMMIT) | BIT(GPU_NS),
};

/* A key and its value in the line. */
struct member {
	size_t key_column, value_column; /* from 1; 0: the key is missing */
	const char *value;
	size_t value_size;
	struct json_object *json;
};

int line_wrong(struct line_error *error, size_t column, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(error->text, sizeof error->text, format, ap);
	va_end(ap);
	error->column = column;
	return -1;
}

/* Skips the JSON value at `at`, in a line that json-c accepted. */
static size_t past_value(const char *line, size_t size, size_t at)
{
	int depth = 0;

	for (int quoted = 0; at < size; at++) {
		char c = line[at];

		if (quoted) {
			if (c == '\\')
				at++;
			else if (c == '"')
				quoted = 0;
		} else if (c == '"') {
			quoted = 1;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if (c == '}' || c == ']') {
			if (depth-- == 0)
				break;
		} else if ((c == ',' || c == ':') && depth == 0) {
			break;
		}
	}
	while (is_space(line[at - 1]))
		at--;
	return at;
}

/* json-c reads a key that is written with escapes. */
static enum key key_of(const char *quoted, size_t size)
{
	struct json_tokener *tokener = NULL;
	struct json_object *string = NULL;
	enum key key;

	if (memchr(quoted, '\\', size)) {
		tokener = check_memory(json_tokener_new());
		string = json_tokener_parse_ex(tokener, quoted, (int)size);
	}
	for (key = 0; key < KEYS; key++) {
		if (string ? strcmp(json_object_get_string(string), key_names[key]) == 0
		           : strlen(key_names[key]) == size - 2 &&
		                     memcmp(quoted + 1, key_names[key], size - 2) == 0)
			break;
	}
	json_object_put(string);
	if (tokener)
		json_tokener_free(tokener);
	return key;
}

/* Finds the members of an object that json-c accepted. */
static int find_members(const char *line, size_t size, struct json_object *object,
                        struct member members[KEYS], struct line_error *error)
{
	size_t at = space(line, size, space(line, size, 0) + 1);

	while (line[at] != '}') {
		size_t start = at, end = past_value(line, size, at);
		struct member *member;
		int shown;
		enum key key;

		if (line[at] != '"') /* json-c accepts single quotes, JSON does not */
			return line_wrong(error, at + 1, "a key must be in double quotes");
		key = key_of(line + start, end - start);
		for (shown = (int)(end - start < 60 ? end - start : 60);
		     shown > 0 && (line[start + (size_t)shown] & 0xc0) == 0x80;)
			shown--; /* don't cut a character in two */
		if (key == KEYS)
			return line_wrong(error, start + 1, "unknown key %.*s", shown,
			                  line + start);
		member = &members[key];
		if (member->key_column)
			return line_wrong(error, start + 1, "key %.*s occurs twice", shown,
			                  line + start);
		at = space(line, size, space(line, size, end) + 1);
		end = past_value(line, size, at);
		*member = (struct member){ start + 1, at + 1, line + at, end - at,
			                   json_object_object_get(object, key_names[key]) };
		at = space(line, size, end);
		if (line[at] == ',')
			at = space(line, size, at + 1);
	}
	return 0;
}

/* Reads "0" to "18446744073709551615", without sign, fraction, exponent or leading zeros. */
static int get_number(const struct member *member, enum key key, uint64_t *number,
                      struct line_error *error)
{
	const char *digits = member->value;
	size_t size = member->value_size;
	uint64_t value = 0;

	*number = 0;
	if (!member->key_column)
		return 0;
	if (json_object_is_type(member->json, json_type_string)) {
		digits = json_object_get_string(member->json);
		size = (size_t)json_object_get_string_len(member->json);
	}
	for (size_t i = 0; i < size; i++) {
		unsigned digit = (unsigned)(digits[i] - '0');

		if (digit > 9 || value > (UINT64_MAX - digit) / 10)
			size = 0;
		else
			value = value * 10 + digit;
	}
	if (size == 0 || (digits[0] == '0' && size > 1))
		return line_wrong(error, member->value_column,
		                  "\"%s\" must be a whole number from 0 to %" PRIu64,
		                  key_names[key], UINT64_MAX);
	*number = value;
	return 0;
}

static size_t name_max(enum key key)
{
	switch (key) {
	case CLIENT: return CLIENT_NAME_MAX;
	case RESERVE:
	case COMMIT:
	case CANCEL: return BROKER_NAME_MAX;
	default: return K2K_KERNEL_NAME_MAX;
	}
}

static int get_name(const struct member *member, enum key key, const char **name,
                    struct line_error *error)
{
	size_t size, most = name_max(key);

	if (!json_object_is_type(member->json, json_type_string))
		return line_wrong(error, member->value_column, "\"%s\" must be a string",
		                  key_names[key]);
	*name = json_object_get_string(member->json);
	size = (size_t)json_object_get_string_len(member->json);
	if (size == 0 || size > most || strlen(*name) != size)
		return line_wrong(error, member->value_column,
		                  "\"%s\" must have 1 to %zu bytes, none of them 0", key_names[key],
		                  most);
	return 0;
}

static int allow(const struct member members[KEYS], unsigned allowed, unsigned required,
                 const char *what, size_t size, struct line_error *error)
{
	for (enum key key = 0; key < KEYS; key++) {
		if (members[key].key_column && !((allowed | BIT(ID)) & BIT(key)))
			return line_wrong(error, members[key].key_column,
			                  "key \"%s\" does not belong to %s", key_names[key], what);
	}
	for (enum key key = 0; key < KEYS; key++) {
		if ((required & BIT(key)) && !members[key].key_column)
			return line_wrong(error, size, "%s needs \"%s\"", what, key_names[key]);
	}
	return 0;
}

static int interpret_send(const struct member members[KEYS], size_t size,
                          struct broker_request *request, struct line_error *error)
{
	request->operation = BROKER_SEND;
	return allow(members, SEND_KEYS, BIT(TO), "\"send\"", size, error) ||
	       get_name(&members[SEND], SEND, &request->name, error) ||
	       get_name(&members[TO], TO, &request->to, error);
}

static int interpret_kernel(const struct member members[KEYS], size_t size,
                            struct broker_request *request, struct line_error *error)
{
	const struct member *kernel = &members[KERNEL];
	const char *verb = "";

	if (json_object_is_type(kernel->json, json_type_string))
		verb = json_object_get_string(kernel->json);
	if (strcmp(verb, "add") != 0 && strcmp(verb, "remove") != 0)
		return line_wrong(error, kernel->value_column,
		                  "\"kernel\" must be \"add\" or \"remove\"");
	request->operation = verb[0] == 'a' ? BROKER_ADD : BROKER_REMOVE;
	return allow(members, verb[0] == 'a' ? ADD_KEYS : REMOVE_KEYS, BIT(NAME),
	             verb[0] == 'a' ? "\"kernel\":\"add\"" : "\"kernel\":\"remove\"", size,
	             error) ||
	       get_name(&members[NAME], NAME, &request->name, error);
}

static int interpret_reserve(const struct member members[KEYS], size_t size,
                             struct broker_request *request, struct line_error *error)
{
	request->operation = BROKER_RESERVE;
	if (allow(members, RESERVE_KEYS, BIT(GPU_NS), "\"reserve\"", size, error) ||
	    get_name(&members[RESERVE], RESERVE, &request->name, error) ||
	    get_number(&members[GPU_NS], GPU_NS, &request->gpu_ns, error))
		return -1;
	if (request->gpu_ns == 0)
		return line_wrong(error, members[GPU_NS].value_column,
		                  "\"gpu_ns\" must be at least 1 to be reserved");
	return 0;
}

static int interpret_commit(const struct member members[KEYS], size_t size,
                            struct broker_request *request, struct line_error *error)
{
	request->operation = BROKER_COMMIT;
	return allow(members, COMMIT_KEYS, BIT(GPU_NS), "\"commit\"", size, error) ||
	       get_name(&members[COMMIT], COMMIT, &request->name, error);
}

static int interpret_cancel(const struct member members[KEYS], size_t size,
                            struct broker_request *request, struct line_error *error)
{
	request->operation = BROKER_CANCEL;
	return allow(members, BIT(CANCEL), 0, "\"cancel\"", size, error) ||
	       get_name(&members[CANCEL], CANCEL, &request->name, error);
}

static int interpret_client(const struct member members[KEYS], size_t size,
                            struct broker_request *request, struct line_error *error)
{
	request->operation = BROKER_CLIENT;
	return allow(members, BIT(CLIENT), 0, "\"client\"", size, error) ||
	       get_name(&members[CLIENT], CLIENT, &request->name, error);
}

static int interpret_stats(const struct member members[KEYS], size_t size,
                           struct broker_request *request, struct line_error *error)
{
	const struct member *stats = &members[STATS];

	request->operation = BROKER_STATS;
	if (!json_object_is_type(stats->json, json_type_boolean) ||
	    !json_object_get_boolean(stats->json))
		return line_wrong(error, stats->value_column, "\"stats\" must be true");
	return allow(members, BIT(STATS), 0, "\"stats\"", size, error);
}

static int interpret(const struct member members[KEYS], size_t size, struct line_parsed *parsed,
                     struct line_error *error)
{
	/* the first of these keys that a line has says what kind of line it is */
	static const struct {
		enum key key;
		int (*interpret)(const struct member members[KEYS], size_t size,
		                 struct broker_request *request, struct line_error *error);
	} kinds[] = {
		{ SEND, interpret_send },       { KERNEL, interpret_kernel },
		{ RESERVE, interpret_reserve }, { COMMIT, interpret_commit },
		{ CANCEL, interpret_cancel },   { CLIENT, interpret_client },
		{ STATS, interpret_stats },
	};
	struct broker_request *request = &parsed->request;

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		parsed->column = members[kinds[i].key].key_column;
		if (parsed->column)
			return kinds[i].interpret(members, size, request, error) ||
			                       get_number(&members[TENANT], TENANT,
			                                  &request->tenant, error) ||
			                       get_number(&members[ORG], ORG, &request->tag.org_id,
			                                  error) ||
			                       get_number(&members[ENGAGEMENT], ENGAGEMENT,
			                                  &request->tag.engagement_id, error) ||
			                       get_number(&members[GPU_NS], GPU_NS,
			                                  &request->gpu_ns, error)
			               ? -1
			               : 0;
	}
	return line_wrong(error, size,
	                  "one of \"send\", \"kernel\", \"reserve\", \"commit\", \"cancel\", "
	                  "\"client\" and \"stats\" is needed");
}

/* json-c also accepts NaN, Infinity and "1.". They are not JSON: a client could not read them. */
static int is_number(const char *value, size_t size)
{
	const char *point = memchr(value, '.', size);
	char first = value[0] == '-' ? value[1] : value[0];

	return first >= '0' && first <= '9' && (!point || (point[1] >= '0' && point[1] <= '9'));
}

/*
 * A number is returned with the characters that it came with. json-c would change one of more than
 * 64 bits, or "1.0", and the client could not recognise it.
 */
static int get_id(const struct member *member, struct line_parsed *parsed, struct line_error *error)
{
	enum json_type type = json_object_get_type(member->json);
	struct json_object **id = &parsed->id;

	parsed->id_column = member->value_column;
	if (!member->key_column)
		return 0;
	if (type == json_type_string) {
		*id = json_object_get(member->json);
	} else if ((type == json_type_int || type == json_type_double) &&
	           is_number(member->value, member->value_size)) {
		char *digits = check_memory(strndup(member->value, member->value_size));

		*id = check_memory(json_object_new_double_s(0, digits));
		free(digits);
	} else {
		return line_wrong(error, member->value_column,
		                  "\"id\" must be a string or a number");
	}
	return 0;
}

int line_parse(enum line_kind kind, const char *line, size_t size, struct line_parsed *parsed,
               struct line_error *error)
{
	static struct json_tokener *tokener; /* one thread; made once */
	struct member members[KEYS] = { 0 };
	enum json_tokener_error code;
	const char *zero;
	size_t start;

	*parsed = (struct line_parsed){ 0 };
	if (kind == LINE_TOO_LONG)
		return line_wrong(error, LINE_MAX_BYTES + 1, "a line has at most %d bytes",
		                  LINE_MAX_BYTES);
	start = space(line, size, 0);
	zero = memchr(line, 0, size);
	if (zero)
		return line_wrong(error, (size_t)(zero - line) + 1, "the line has a byte 0");
	if (start == size || line[start] != '{')
		return line_wrong(error, start + 1, "a line is one JSON object");
	if (!tokener) {
		tokener = check_memory(json_tokener_new());
		json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	}
	json_tokener_reset(tokener);
	parsed->json = json_tokener_parse_ex(tokener, line, (int)size);
	code = json_tokener_get_error(tokener);
	if (code == json_tokener_continue)
		return line_wrong(error, size + 1, "the line ends within the object");
	if (code != json_tokener_success)
		return line_wrong(error, json_tokener_get_parse_end(tokener) + 1, "%s",
		                  json_tokener_error_desc(code));
	if (find_members(line, size, parsed->json, members, error) ||
	    get_id(&members[ID], parsed, error))
		return -1;
	return interpret(members, past_value(line, size, start), parsed, error);
}

void line_forget(struct line_parsed *parsed)
{
	json_object_put(parsed->id);
	json_object_put(parsed->json);
	*parsed = (struct line_parsed){ 0 };
}
