/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "answer.h"
#include "common/json.h"

#include <json-c/json.h>
#include <string.h>

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

/* What the answer is to. */
static void put_request(json_object *object, const struct broker_request *request)
{
	switch (request->operation) {
	case BROKER_SEND:
		json_put_text(object, "send", request->name);
		json_put_text(object, "to", request->to);
		break;
	case BROKER_ADD:
	case BROKER_REMOVE:
		json_put_text(object, "kernel",
		              request->operation == BROKER_ADD ? "add" : "remove");
		json_put_text(object, "name", request->name);
		break;
	case BROKER_RESERVE: json_put_text(object, "reserve", request->name); break;
	case BROKER_COMMIT: json_put_text(object, "commit", request->name); break;
	case BROKER_CANCEL: json_put_text(object, "cancel", request->name); break;
	case BROKER_CLIENT: json_put_text(object, "client", request->name); break;
	case BROKER_STATS: break;
	}
}

static void put_verdict(json_object *object, const struct broker_answer *answer)
{
	json_put_u64(object, "used", answer->verdict.used);
	json_put_limit(object, "limit", answer->verdict.limit);
	if (answer->verdict.limit == K2K_UNLIMITED)
		json_put(object, "remaining", NULL);
	else
		json_put_u64(object, "remaining", answer->verdict.remaining);
	json_put_limit(object, "retry_after_ns", answer->verdict.retry_after_ns);
	if (answer->verdict.window)
		json_put_u64(object, "window", answer->verdict.window);
	if (answer->shadow)
		json_put_text(object, "shadow", broker_reason_name(answer->shadow));
}

static void write_answer(FILE *out, uint64_t number, const struct line_parsed *parsed,
                         const struct broker_answer *answer, int repeated)
{
	const struct broker_request *request = &parsed->request;
	int commit = request->operation == BROKER_COMMIT;
	json_object *object = object_for(number, parsed);

	put_request(object, request);
	json_put_text(object, "decision", broker_decision_name(answer->decision));
	json_put_text(object, "reason", broker_reason_name(answer->reason));
	if (answer->code && (answer->reason == BROKER_ERROR || answer->unbooked == BROKER_ERROR ||
	                     answer->decision == BROKER_TENANT_MISMATCH))
		json_put_text(object, "error", k2k_errname(answer->code));
	json_put_u64(object, "tenant", answer->tenant);
	if (answer->decision == BROKER_TENANT_MISMATCH)
		json_put_u64(object, "to_tenant", answer->to_tenant);
	if (answer->decision == BROKER_FORWARDED || answer->decision == BROKER_ELSEWHERE)
		json_put_count(object, "broker", answer->broker);
	json_put_u64(object, "org", answer->tag.org_id);
	json_put_u64(object, "engagement", answer->tag.engagement_id);
	if (answer->has_verdict)
		put_verdict(object, answer);
	if (commit || request->operation == BROKER_RESERVE || request->operation == BROKER_CANCEL)
		json_put_u64(object, "reserved_ns", answer->reserved_ns);
	if (commit || request->operation == BROKER_SEND) {
		json_put_u64(object, "booked_ns", answer->booked_ns);
		if (answer->unbooked)
			json_put_text(object, "unbooked", broker_reason_name(answer->unbooked));
	}
	if (repeated)
		json_put_bool(object, "repeated", 1);
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
	put_reasons(object, "shadow", counts->shadow);
	json_put_u64(object, "reservations", counts->reservations);
	json_put_u64(object, "reserved", counts->decisions[BROKER_RESERVED]);
	json_put_u64(object, "committed", counts->decisions[BROKER_COMMITTED]);
	json_put_u64(object, "cancelled", counts->decisions[BROKER_CANCELLED]);
	put_reasons(object, "reservations_refused", counts->reservations_refused);
	json_put_u64(object, "forwarded", counts->decisions[BROKER_FORWARDED]);
	json_put_u64(object, "elsewhere", counts->decisions[BROKER_ELSEWHERE]);
}

/* What became of the messages from other brokers. */
static void put_received(json_object *object, const uint64_t received[BROKER_RECEIPTS])
{
	static const char *const names[BROKER_RECEIPTS] = {
		[BROKER_RECEIVED] = "delivered",
		[BROKER_RECEIVED_QUEUE_FULL] = "queue_full",
		[BROKER_RECEIVED_NOT_FOUND] = "not_found",
		[BROKER_RECEIVED_MISMATCH] = "tenant_mismatch",
		[BROKER_RECEIVED_REFUSED] = "others_kernel",
	};
	json_object *list = json_new();

	for (enum broker_receipt receipt = 0; receipt < BROKER_RECEIPTS; receipt++)
		json_put_u64(list, names[receipt], received[receipt]);
	json_put(object, "received", list);
}

static void put_tenant(const struct broker_tenant *tenant, void *tenants)
{
	json_object *object = json_new();

	json_put_u64(object, "tenant", tenant->id);
	put_counts(object, &tenant->counts);
	json_append(tenants, object);
}

/* The object begins with what the answer is to. */
static void write_counts(FILE *out, const struct answers *answers, json_object *object)
{
	json_object *tenants = json_new_list();

	json_put_bool(object, "stats", 1);
	json_put_u64(object, "lines", answers->lines);
	json_put_u64(object, "malformed", answers->malformed);
	put_counts(object, broker_counts(answers->broker));
	json_put_u64(object, "repeated", answers->repeated);
	put_received(object, broker_counts(answers->broker)->received);
	broker_tenants(answers->broker, put_tenant, tenants);
	json_put(object, "tenants", tenants);
	write_line(out, object);
}

void answer_write_totals(FILE *out, const struct answers *answers)
{
	write_counts(out, answers, json_new());
}

static void write_client(FILE *out, uint64_t number, const struct line_parsed *parsed,
                         const struct session *session, const struct answers *answers)
{
	json_object *object = object_for(number, parsed);

	put_request(object, &parsed->request);
	json_put_u64(object, "remembered", client_remembered(session->client));
	json_put_u64(object, "remembers", clients_keep(answers->clients));
	write_line(out, object);
}

/* ---- sessions --------------------------------------------------------------------- */

void session_begin(struct session *session, struct broker_inbox *inbox)
{
	*session = (struct session){ .inbox = inbox };
	LIST_INIT(&session->own.reservations);
	LIST_INIT(&inbox->kernels);
	inbox->holder = &session->own;
}

void session_end(struct session *session, struct answers *answers)
{
	broker_leave(answers->broker, session->inbox);
	broker_cancel_all(answers->broker, &session->own);
	if (session->client) {
		session->inbox->holder = &session->own;
		client_leave(answers->clients, answers->broker, &session->client);
	}
}

/* ---- one line --------------------------------------------------------------------- */

static struct client_id id_of(const struct line_parsed *parsed)
{
	int is_string = json_object_is_type(parsed->id, json_type_string);
	/* a number's text is as it came */
	const char *text = is_string ? json_object_get_string(parsed->id)
	                             : json_object_to_json_string(parsed->id);

	return (struct client_id){ .is_string = is_string,
		                   .bytes = text,
		                   .size = is_string
		                                   ? (size_t)json_object_get_string_len(parsed->id)
		                                   : strlen(text) };
}

/* Kernels belong to a connection, so a new one has to add them again, whatever was answered. */
static bool is_remembered(const struct session *session, const struct line_parsed *parsed)
{
	return session->client && parsed->id && parsed->request.operation != BROKER_ADD &&
	       parsed->request.operation != BROKER_REMOVE;
}

/*
 * Decides it, or finds the first answer to it. -1 with *error: the id can't be used for it, and
 * nothing was done.
 */
static int decide(struct session *session, struct answers *answers,
                  const struct line_parsed *parsed, struct broker_answer *answer, int *repeated,
                  struct line_error *error)
{
	const struct broker_request *request = &parsed->request;
	struct client_id id;

	*repeated = 0;
	if (!is_remembered(session, parsed)) {
		broker_decide(answers->broker, session->inbox, request, answer);
		return 0;
	}
	id = id_of(parsed);
	if (id.size > CLIENT_ID_MAX)
		return line_wrong(error, parsed->id_column,
		                  "the \"id\" of a client's request has at most %d bytes",
		                  CLIENT_ID_MAX);
	switch (client_recall(session->client, &id, request, answer)) {
	case CLIENT_OTHER:
		return line_wrong(error, parsed->id_column,
		                  "this \"id\" belongs to another request of the client");
	case CLIENT_REPEAT:
		*repeated = 1;
		answers->repeated++;
		return 0;
	case CLIENT_NEW: break;
	}
	broker_decide(answers->broker, session->inbox, request, answer);
	client_remember(answers->clients, session->client, &id, request, answer);
	return 0;
}

/* -1 with *error: it is too late for that. */
static int name_client(struct session *session, struct answers *answers,
                       const struct line_parsed *parsed, struct line_error *error)
{
	if (session->begun)
		return line_wrong(error, parsed->column,
		                  "\"client\" must come before other requests");
	session->client = client_join(answers->clients, parsed->request.name);
	session->inbox->holder = client_holder(session->client);
	return 0;
}

/* Does what a request asks for, and answers. -1 with *error: it is refused, nothing was done. */
static int answer_request(struct session *session, struct answers *answers,
                          const struct line_parsed *parsed, struct line_error *error, FILE *out)
{
	uint64_t number = session->input.number;
	struct broker_answer answer;
	int failed = 0, repeated;

	switch (parsed->request.operation) {
	case BROKER_CLIENT:
		failed = name_client(session, answers, parsed, error);
		if (!failed && out)
			write_client(out, number, parsed, session, answers);
		break;
	case BROKER_STATS:
		if (out)
			write_counts(out, answers, object_for(number, parsed));
		break;
	default:
		failed = decide(session, answers, parsed, &answer, &repeated, error);
		if (!failed && out)
			write_answer(out, number, parsed, &answer, repeated);
	}
	session->begun = true;
	return failed;
}

bool answer_line(struct session *session, int at_end, struct answers *answers, FILE *out)
{
	struct line_parsed parsed;
	struct line_error error;
	enum line_kind kind;
	const char *line;
	size_t size;

	kind = line_next(&session->input, at_end, &line, &size);
	if (kind == LINE_NONE)
		return false;
	answers->lines++;
	if (line_parse(kind, line, size, &parsed, &error) ||
	    answer_request(session, answers, &parsed, &error, out)) {
		answers->malformed++;
		if (out)
			write_error(out, session->input.number, &parsed, &error);
	}
	line_forget(&parsed);
	return true;
}
