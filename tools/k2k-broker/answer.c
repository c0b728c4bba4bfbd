/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "answer.h"
#include "common/json.h"

#include <json-c/json.h>

static void write_line(FILE *out, json_object *object)
{
	json_write(out, object);
	putc('\n', out);
}

/* Begins an answer with the number of the line, and the line's id. */
static json_object *object_for(uint64_t number, const struct line_parsed *parsed)
{
	json_object *object = json_new();

	json_put_u64(object, "line", number);
	if (parsed->id)
		json_put(object, "id", json_object_get(parsed->id));
	return object;
}

static void write_error(FILE *out, uint64_t number, const struct line_parsed *parsed,
                        const struct line_error *error)
{
	json_object *object = object_for(number, parsed);

	json_put_count(object, "column", error->column);
	json_put_text(object, "error", error->text);
	write_line(out, object);
}

static void write_answer(FILE *out, uint64_t number, const struct line_parsed *parsed,
                         const struct broker_answer *answer)
{
	const struct broker_request *request = &parsed->request;
	json_object *object = object_for(number, parsed);
	int send = request->operation == BROKER_SEND;

	if (!send)
		json_put_text(object, "kernel",
		              request->operation == BROKER_ADD ? "add" : "remove");
	json_put_text(object, send ? "send" : "name", request->name);
	if (send)
		json_put_text(object, "to", request->to);
	json_put_text(object, "decision", broker_decision_name(answer->decision));
	json_put_text(object, "reason", broker_reason_name(answer->reason));
	if (answer->code && (answer->reason == BROKER_ERROR || answer->unbooked == BROKER_ERROR ||
	                     answer->decision == BROKER_TENANT_MISMATCH))
		json_put_text(object, "error", k2k_errname(answer->code));
	json_put_u64(object, "tenant", answer->tenant);
	if (answer->decision == BROKER_TENANT_MISMATCH)
		json_put_u64(object, "to_tenant", answer->to_tenant);
	json_put_u64(object, "org", answer->tag.org_id);
	json_put_u64(object, "engagement", answer->tag.engagement_id);
	if (answer->has_verdict) {
		json_put_u64(object, "used", answer->verdict.used);
		json_put_limit(object, "limit", answer->verdict.limit);
		if (answer->verdict.limit == K2K_UNLIMITED)
			json_put(object, "remaining", NULL);
		else
			json_put_u64(object, "remaining", answer->verdict.remaining);
		json_put_limit(object, "retry_after_ns", answer->verdict.retry_after_ns);
		if (answer->verdict.window)
			json_put_u64(object, "window", answer->verdict.window);
	}
	if (send) {
		json_put_u64(object, "booked_ns", answer->booked_ns);
		if (answer->unbooked)
			json_put_text(object, "unbooked", broker_reason_name(answer->unbooked));
	}
	write_line(out, object);
}

void answer_write_message(FILE *out, const struct broker_message *message)
{
	json_object *object = json_new();

	json_put_text(object, "deliver", message->to);
	json_put_text(object, "from", message->from);
	json_put_u64(object, "tenant", message->tenant);
	json_put_u64(object, "org", message->tag.org_id);
	json_put_u64(object, "engagement", message->tag.engagement_id);
	json_put_u64(object, "gpu_ns", message->gpu_ns);
	write_line(out, object);
}

/* Only reasons that occurred. */
static void put_reasons(json_object *object, const char *key,
                        const uint64_t reasons[BROKER_REASONS])
{
	json_object *list = json_new();

	for (enum broker_reason reason = 1; reason < BROKER_REASONS; reason++) {
		if (reasons[reason])
			json_put_u64(list, broker_reason_name(reason), reasons[reason]);
	}
	json_put(object, key, list);
}

static void put_counts(json_object *object, const struct broker_counts *counts)
{
	json_put_u64(object, "kernels", counts->kernels);
	json_put_u64(object, "kernels_added", counts->decisions[BROKER_ADDED]);
	json_put_u64(object, "kernels_moved", counts->decisions[BROKER_MOVED]);
	json_put_u64(object, "kernels_removed", counts->decisions[BROKER_REMOVED]);
	put_reasons(object, "kernels_refused", counts->refused);
	json_put_u64(object, "sends", counts->sends);
	json_put_u64(object, "admitted", counts->admitted);
	json_put_u64(object, "delivered", counts->decisions[BROKER_DELIVERED]);
	json_put_u64(object, "queue_full", counts->decisions[BROKER_QUEUE_FULL]);
	json_put_u64(object, "not_found", counts->decisions[BROKER_NOT_FOUND]);
	json_put_u64(object, "tenant_mismatch", counts->decisions[BROKER_TENANT_MISMATCH]);
	put_reasons(object, "rejected", counts->rejected);
	json_put_u64(object, "gpu_ns_booked", counts->gpu_ns_booked);
	json_put_u64(object, "gpu_ns_unbooked", counts->gpu_ns_unbooked);
	json_put_u64(object, "unbooked", counts->unbooked);
}

static void put_tenant(const struct broker_tenant *tenant, void *tenants)
{
	json_object *object = json_new();

	json_put_u64(object, "tenant", tenant->id);
	put_counts(object, &tenant->counts);
	json_append(tenants, object);
}

static void write_counts(FILE *out, const struct broker *broker, const struct answer_counts *counts,
                         json_object *object)
{
	json_object *tenants = json_new_list();

	json_put_bool(object, "stats", 1);
	json_put_u64(object, "lines", counts->lines);
	json_put_u64(object, "malformed", counts->malformed);
	put_counts(object, broker_counts(broker));
	broker_tenants(broker, put_tenant, tenants);
	json_put(object, "tenants", tenants);
	write_line(out, object);
}

void answer_write_totals(FILE *out, const struct broker *broker, const struct answer_counts *counts)
{
	write_counts(out, broker, counts, json_new());
}

bool answer_line(struct line_input *input, int at_end, struct broker *broker,
                 struct broker_inbox *inbox, struct answer_counts *counts, FILE *out)
{
	struct line_parsed parsed;
	struct broker_answer answer;
	struct line_error error;
	enum line_kind kind;
	const char *line;
	size_t size;

	kind = line_next(input, at_end, &line, &size);
	if (kind == LINE_NONE)
		return false;
	counts->lines++;
	if (line_parse(kind, line, size, &parsed, &error)) {
		counts->malformed++;
		if (out)
			write_error(out, input->number, &parsed, &error);
	} else if (parsed.request.operation != BROKER_STATS) {
		broker_decide(broker, inbox, &parsed.request, &answer);
		if (out)
			write_answer(out, input->number, &parsed, &answer);
	} else if (out) {
		write_counts(out, broker, counts, object_for(input->number, &parsed));
	}
	line_forget(&parsed);
	return true;
}
