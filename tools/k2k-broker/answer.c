/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "answer.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

/* ---- an answer into a line ------------------------------------------------------------ */

static struct json_object *object_new(void)
{
	return must(json_object_new_object());
}

static void put(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add_ex(object, key, value,
	                              JSON_C_OBJECT_ADD_KEY_IS_NEW |
	                                      JSON_C_OBJECT_ADD_CONSTANT_KEY))
		must(NULL);
}

static void put_string(struct json_object *object, const char *key, const char *value)
{
	put(object, key, value ? must(json_object_new_string(value)) : NULL);
}

/* 64-bit numbers leave as strings: many readers of JSON keep no more than 53 bits. */
static void put_u64(struct json_object *object, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof digits, "%" PRIu64, value);
	put_string(object, key, digits);
}

/* Null where there is no limit. */
static void put_limit(struct json_object *object, const char *key, uint64_t value)
{
	if (value == UINT64_MAX)
		put(object, key, NULL);
	else
		put_u64(object, key, value);
}

static void finish(struct text *out, struct json_object *object)
{
	size_t size;
	const char *line = json_object_to_json_string_length(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &size);

	must((void *)(uintptr_t)line);
	text_add(out, line, size);
	text_add(out, "\n", 1);
	json_object_put(object);
}

/* Which line is answered, and the id that it gave. */
static struct json_object *object_for(uint64_t number, const struct line_parsed *parsed)
{
	struct json_object *object = object_new();

	put_u64(object, "line", number);
	if (parsed->id)
		put(object, "id", json_object_get(parsed->id));
	return object;
}

static void add_error(struct text *out, uint64_t number, const struct line_parsed *parsed,
                      const struct line_error *error)
{
	struct json_object *object = object_for(number, parsed);

	put(object, "column", must(json_object_new_int64((int64_t)error->column)));
	put_string(object, "error", error->text);
	finish(out, object);
}

static void add_answer(struct text *out, uint64_t number, const struct line_parsed *parsed,
                       const struct broker_answer *answer)
{
	const struct broker_request *request = &parsed->request;
	struct json_object *object = object_for(number, parsed);
	int send = request->operation == BROKER_SEND;

	if (!send)
		put_string(object, "kernel", request->operation == BROKER_ADD ? "add" : "remove");
	put_string(object, send ? "send" : "name", request->name);
	if (send)
		put_string(object, "to", request->to);
	put_string(object, "decision", broker_decision_name(answer->decision));
	put_string(object, "reason", broker_reason_name(answer->reason));
	if (answer->code && (answer->reason == BROKER_ERROR || answer->unbooked == BROKER_ERROR ||
	                     answer->decision == BROKER_TENANT_MISMATCH))
		put_string(object, "error", k2k_errname(answer->code));
	put_u64(object, "tenant", answer->tenant);
	if (answer->decision == BROKER_TENANT_MISMATCH)
		put_u64(object, "to_tenant", answer->to_tenant);
	put_u64(object, "org", answer->tag.org_id);
	put_u64(object, "engagement", answer->tag.engagement_id);
	if (answer->has_verdict) {
		put_u64(object, "used", answer->verdict.used);
		put_limit(object, "limit", answer->verdict.limit);
		if (answer->verdict.limit == K2K_UNLIMITED)
			put(object, "remaining", NULL);
		else
			put_u64(object, "remaining", answer->verdict.remaining);
		put_limit(object, "retry_after_ns", answer->verdict.retry_after_ns);
		if (answer->verdict.window)
			put_u64(object, "window", answer->verdict.window);
	}
	if (send) {
		put_u64(object, "booked_ns", answer->booked_ns);
		if (answer->unbooked)
			put_string(object, "unbooked", broker_reason_name(answer->unbooked));
	}
	finish(out, object);
}

void answer_add_message(struct text *out, const struct broker_message *message)
{
	struct json_object *object = object_new();

	put_string(object, "deliver", message->to);
	put_string(object, "from", message->from);
	put_u64(object, "tenant", message->tenant);
	put_u64(object, "org", message->tag.org_id);
	put_u64(object, "engagement", message->tag.engagement_id);
	put_u64(object, "gpu_ns", message->gpu_ns);
	finish(out, object);
}

/* Those that occurred. */
static void put_reasons(struct json_object *object, const char *key,
                        const uint64_t reasons[BROKER_REASONS])
{
	struct json_object *list = object_new();

	for (enum broker_reason reason = 1; reason < BROKER_REASONS; reason++) {
		if (reasons[reason])
			put_u64(list, broker_reason_name(reason), reasons[reason]);
	}
	put(object, key, list);
}

static void put_counts(struct json_object *object, const struct broker_counts *counts)
{
	put_u64(object, "kernels", counts->kernels);
	put_u64(object, "kernels_added", counts->decisions[BROKER_ADDED]);
	put_u64(object, "kernels_moved", counts->decisions[BROKER_MOVED]);
	put_u64(object, "kernels_removed", counts->decisions[BROKER_REMOVED]);
	put_reasons(object, "kernels_refused", counts->refused);
	put_u64(object, "sends", counts->sends);
	put_u64(object, "admitted", counts->admitted);
	put_u64(object, "delivered", counts->decisions[BROKER_DELIVERED]);
	put_u64(object, "queue_full", counts->decisions[BROKER_QUEUE_FULL]);
	put_u64(object, "not_found", counts->decisions[BROKER_NOT_FOUND]);
	put_u64(object, "tenant_mismatch", counts->decisions[BROKER_TENANT_MISMATCH]);
	put_reasons(object, "rejected", counts->rejected);
	put_u64(object, "gpu_ns_booked", counts->gpu_ns_booked);
	put_u64(object, "gpu_ns_unbooked", counts->gpu_ns_unbooked);
	put_u64(object, "unbooked", counts->unbooked);
}

static void put_tenant(const struct broker_tenant *tenant, void *tenants)
{
	struct json_object *object = object_new();

	put_u64(object, "tenant", tenant->id);
	put_counts(object, &tenant->counts);
	if (json_object_array_add(tenants, object))
		must(NULL);
}

static void add_counts(struct text *out, const struct broker *broker,
                       const struct answer_counts *counts, struct json_object *object)
{
	struct json_object *tenants = must(json_object_new_array());

	put(object, "stats", must(json_object_new_boolean(1)));
	put_u64(object, "lines", counts->lines);
	put_u64(object, "malformed", counts->malformed);
	put_counts(object, broker_counts(broker));
	broker_tenants(broker, put_tenant, tenants);
	put(object, "tenants", tenants);
	finish(out, object);
}

void answer_add_totals(struct text *out, const struct broker *broker,
                       const struct answer_counts *counts)
{
	add_counts(out, broker, counts, object_new());
}

/* ---- from line to answer ---------------------------------------------------------------- */

int answer_lines(struct line_input *input, int at_end, struct broker *broker,
                 struct broker_inbox *inbox, struct answer_counts *counts, struct text *out,
                 size_t enough)
{
	while (!out || out->size < enough) {
		struct line_parsed parsed;
		struct broker_answer answer;
		struct line_error error;
		enum line_kind kind;
		const char *line;
		size_t size;

		kind = line_next(input, at_end, &line, &size);
		if (kind == LINE_NONE)
			return 0;
		counts->lines++;
		if (line_parse(kind, line, size, &parsed, &error)) {
			counts->malformed++;
			if (out)
				add_error(out, input->number, &parsed, &error);
		} else if (parsed.request.operation != BROKER_STATS) {
			broker_decide(broker, inbox, &parsed.request, &answer);
			if (out)
				add_answer(out, input->number, &parsed, &answer);
		} else if (out) {
			add_counts(out, broker, counts, object_for(input->number, &parsed));
		}
		line_forget(&parsed);
	}
	return 1;
}
