/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "requests.h"
#include "audit_time.h"
#include "document.h"
#include "common/printable.h"

#include <ctype.h>
#include <csv.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S UINT64_C(1000000000)

static void add(struct requests *requests, const struct request *request)
{
	if (requests->count == requests->room) {
		requests->room = requests->room ? 2 * requests->room : 1024;
		requests->list = check_memory(
			realloc(requests->list, requests->room * sizeof(*requests->list)));
	}
	requests->list[requests->count++] = *request;
}

/* The list is in the order of the file: an index as a tie breaker keeps equal times in it. */
static int by_time(const void *a, const void *b)
{
	const struct request *x = a, *y = b;

	return x->at_ns < y->at_ns ? -1 : x->at_ns > y->at_ns;
}

static void sort(struct requests *requests)
{
	for (size_t i = 1; i < requests->count; i++)
		if (requests->list[i].at_ns < requests->list[i - 1].at_ns) {
			/* the C library's qsort() is a merge sort, unless memory is short */
			qsort(requests->list, requests->count, sizeof(*requests->list), by_time);
			return;
		}
}

void requests_free(struct requests *requests)
{
	free(requests->list);
	*requests = (struct requests){ 0 };
}

/* ---- a table ------------------------------------------------------------------------ */

enum { TIME, TENANT, ENGAGEMENT, ORG, GPU_TIME, COLUMNS };

static const struct {
	const char *name, *other;
	char prefix; /* of a number n that means n + 1 */
	bool needed;
} columns[COLUMNS] = {
	[TIME] = { "time", "gmt_create", 0, true },
	[TENANT] = { "tenant", "groupId", 'G', true },
	[ENGAGEMENT] = { "engagement", "checkpoint_model_version_id", 'M', false },
	[ORG] = { "org", NULL, 0, false },
	[GPU_TIME] = { "gpu_time", "exec_time_seconds", 0, false },
};

struct reading {
	struct ctl *ctl;
	const char *name;
	struct requests *requests;
	struct request request;
	size_t line, field; /* line: of records, from 1 */
	size_t fields;      /* of the header */
	int place[COLUMNS]; /* of each column in the file, or -1 */
	bool seen[COLUMNS];
	int exit_code;
};

static void bad(struct reading *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void bad(struct reading *r, const char *format, ...)
{
	char text[400];
	va_list args;

	if (r->exit_code)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	r->exit_code = fail_usage(r->ctl, "%s: line %zu: %s", r->name, r->line, text);
}

static bool is_column(int column, const char *text)
{
	return !strcasecmp(text, columns[column].name) ||
	       (columns[column].other && !strcasecmp(text, columns[column].other));
}

static bool take_id(int column, const char *text, uint64_t *id)
{
	struct units_fault fault;
	char prefix = columns[column].prefix;

	if (!prefix || toupper((unsigned char)*text) != prefix)
		return units_parse_id(text, id, &fault) == 0;
	if (units_parse_count(text + 1, 0, UINT64_MAX - 1, id, &fault))
		return false;
	++*id;
	return true;
}

/* Seconds, "32.0", as a duration without a unit. */
static bool take_seconds(const char *text, uint64_t *ns)
{
	char with_unit[64];
	struct units_fault fault;

	if (strlen(text) > sizeof(with_unit) - 2)
		return false;
	snprintf(with_unit, sizeof(with_unit), "%ss", text);
	return units_parse_duration(with_unit, ns, &fault) == 0;
}

static bool take_time(const char *text, uint64_t *ns)
{
	return when_parse_date(text, ns) || take_seconds(text, ns);
}

static bool take_duration(const char *text, uint64_t *ns)
{
	struct units_fault fault;

	return take_seconds(text, ns) || units_parse_duration(text, ns, &fault) == 0;
}

static void take_value(struct reading *r, int column, const char *text)
{
	struct request *to = &r->request;
	bool fine = false;

	if (!*text && !columns[column].needed)
		return;
	switch (column) {
	case TIME: fine = take_time(text, &to->at_ns); break;
	case TENANT: fine = take_id(column, text, &to->tenant); break;
	case ENGAGEMENT: fine = take_id(column, text, &to->tag.engagement_id); break;
	case ORG: fine = take_id(column, text, &to->tag.org_id); break;
	case GPU_TIME: fine = take_duration(text, &to->gpu_ns) && to->gpu_ns != UINT64_MAX; break;
	default: break;
	}
	r->seen[column] = true;
	if (!fine)
		bad(r, "%s '%.60s' can't be read", columns[column].name, text);
}

static void take_name(struct reading *r, const char *text)
{
	for (int column = 0; column < COLUMNS; column++)
		if (is_column(column, text)) {
			if (r->place[column] >= 0)
				bad(r, "two columns are the %s", columns[column].name);
			r->place[column] = (int)r->field;
		}
}

static void on_field(void *value, size_t length, void *context)
{
	struct reading *r = context;
	/* libcsv appends a zero byte; without a value there is none */
	const char *text = value ? value : "";

	if (strlen(text) != length)
		bad(r, "a field has a zero byte");
	else if (r->line == 1)
		take_name(r, length > 2 && !r->field && !memcmp(text, "\xef\xbb\xbf", 3) ? text + 3
		                                                                         : text);
	else
		for (int column = 0; column < COLUMNS; column++)
			if (r->place[column] == (int)r->field)
				take_value(r, column, text);
	r->field++;
}

static void on_record(int end, void *context)
{
	struct reading *r = context;

	(void)end;
	if (r->line == 1)
		r->fields = r->field;
	else if (r->field > r->fields)
		bad(r, "%zu fields, but the header has %zu", r->field, r->fields);
	for (int column = 0; column < COLUMNS; column++)
		if (columns[column].needed && r->line == 1 && r->place[column] < 0)
			bad(r, "no column is named %s", columns[column].name);
		else if (columns[column].needed && r->line > 1 && !r->seen[column])
			bad(r, "the %s is missing", columns[column].name);
	if (r->line > 1)
		add(r->requests, &r->request);
	r->request = (struct request){ .count = 1 };
	memset(r->seen, 0, sizeof(r->seen));
	r->field = 0;
	r->line++;
}

static void parse_table(struct reading *r, const char *data, size_t length)
{
	struct csv_parser parser;

	if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL)) {
		r->exit_code = fail_with(r->ctl, K2K_ENOMEM, "%s: no memory", r->name);
		return;
	}
	if (csv_parse(&parser, data, length, on_field, on_record, r) != length ||
	    csv_fini(&parser, on_field, on_record, r))
		bad(r, "%s",
		    csv_error(&parser) == CSV_EPARSE
		            ? "a quote (\") is not closed, or is in the middle of a field"
		            : csv_strerror(csv_error(&parser)));
	csv_free(&parser);
	if (r->line == 1)
		bad(r, "the header is missing");
}

int requests_read_table(struct ctl *ctl, const char *path, struct requests *requests)
{
	char *data, *name = check_memory(strdup(strcmp(path, "-") ? path : "standard input"));
	struct reading r = { .ctl = ctl,
		             .requests = requests,
		             .request = { .count = 1 },
		             .line = 1,
		             .place = { -1, -1, -1, -1, -1 } };
	size_t length;

	printable(name);
	r.name = name;
	r.exit_code = read_file(ctl, path, &data, &length);
	if (!r.exit_code) {
		parse_table(&r, data, length);
		free(data);
	}
	free(name);
	if (r.exit_code)
		requests_free(requests);
	else
		sort(requests);
	return r.exit_code;
}

/* ---- a log of k2k-auditd --------------------------------------------------------------- */

static bool take_member(json_object *line, const char *name, uint64_t *value)
{
	struct units_fault fault;
	json_object *member;

	return json_object_object_get_ex(line, name, &member) &&
	       units_parse_count(json_object_get_string(member), 0, UINT64_MAX, value, &fault) == 0;
}

/* Is it the event of a message that was refused? */
static bool is_message(json_object *line)
{
	json_object *kind;
	const char *text;

	if (!json_object_object_get_ex(line, "kind", &kind))
		return false;
	text = json_object_get_string(kind);
	return text && (!strcmp(text, "rate") || !strcmp(text, "budget") ||
	                !strcmp(text, "unknown_tenant"));
}

static bool take_line(json_object *line, struct requests *requests, uint64_t *others)
{
	struct request request = { .count = 1 };

	if (!is_message(line)) {
		++*others;
		return true;
	}
	if (!take_member(line, "time_ns", &request.at_ns) ||
	    !take_member(line, "tenant", &request.tenant) ||
	    !take_member(line, "engagement_id", &request.tag.engagement_id))
		return false;
	take_member(line, "org_id", &request.tag.org_id);
	take_member(line, "count", &request.count);
	add(requests, &request);
	return true;
}

int requests_read_log(struct ctl *ctl, const char *path, struct requests *requests,
                      uint64_t *others)
{
	char *data, *name = check_memory(strdup(strcmp(path, "-") ? path : "standard input"));
	size_t length, number = 0;
	int exit_code = read_file(ctl, path, &data, &length);
	char *rest = exit_code ? NULL : data, *text;

	printable(name);
	*others = 0;
	while (!exit_code && (text = strsep(&rest, "\n"))) {
		json_object *line;

		number++;
		if (!*text)
			continue;
		line = json_tokener_parse(text);
		if (!line || !json_object_is_type(line, json_type_object) ||
		    !take_line(line, requests, others))
			exit_code = fail_usage(ctl, "%s: line %zu: not a line of k2k-auditd", name,
			                       number);
		json_object_put(line);
	}
	if (!exit_code)
		sort(requests);
	else
		requests_free(requests);
	free(data);
	free(name);
	return exit_code;
}
