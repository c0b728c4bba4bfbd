/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "status.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * One tenant is one JSON object of json-c's, written and freed: so a hundred thousand take no more
 * memory than their text.
 */
struct out {
	char *bytes;
	size_t length, room;
	bool failed; /* no memory: what follows is dropped */
};

static void put_bytes(struct out *o, const char *bytes, size_t size)
{
	if (!o->failed && o->room - o->length < size + 1) {
		size_t room = 2 * (o->length + size) + 16384;
		char *more = realloc(o->bytes, room);

		o->failed = !more;
		if (more) {
			o->bytes = more;
			o->room = room;
		}
	}
	if (o->failed)
		return;
	memcpy(o->bytes + o->length, bytes, size);
	o->length += size;
}

/* ---- members ------------------------------------------------------------------- */

struct making {
	struct json_object *object;
	bool failed;
};

static struct making begin(void)
{
	struct json_object *object = json_object_new_object();

	return (struct making){ object, !object };
}

static void member(struct making *m, const char *key, struct json_object *value, bool null)
{
	if (m->failed || (!value && !null) ||
	    json_object_object_add_ex(m->object, key, value,
	                              JSON_C_OBJECT_ADD_KEY_IS_NEW |
	                                      JSON_C_OBJECT_ADD_CONSTANT_KEY)) {
		m->failed = true;
		json_object_put(value);
	}
}

static void put_text(struct making *m, const char *key, const char *text)
{
	member(m, key, json_object_new_string(text), false);
}

/* Bytes of strangers: what is no printable ASCII might be half a character. */
static void put_name(struct making *m, const char *key, const char *bytes, size_t most)
{
	char text[64];
	size_t i;

	for (i = 0; i + 1 < sizeof(text) && i < most && bytes[i]; i++)
		text[i] = (unsigned char)bytes[i] < 0x20 || (unsigned char)bytes[i] >= 0x7f
		                  ? '?'
		                  : bytes[i];
	text[i] = 0;
	put_text(m, key, text);
}

static void put_count(struct making *m, const char *key, uint64_t value)
{
	member(m, key, json_object_new_uint64(value), false);
}

/* 64-bit numbers leave as strings: many readers of JSON keep no more than 53 bits. */
static void put_u64(struct making *m, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	put_text(m, key, digits);
}

static void put_limit(struct making *m, const char *key, uint64_t value)
{
	if (value == UINT64_MAX)
		member(m, key, NULL, true);
	else
		put_u64(m, key, value);
}

static void put_object(struct making *m, const char *key, struct making *inner)
{
	m->failed = m->failed || inner->failed;
	if (m->failed)
		json_object_put(inner->object);
	else
		member(m, key, inner->object, false);
}

/* The object, without its braces where it is only a part of one; frees it. */
static void finish(struct out *o, struct making *m, bool part)
{
	size_t size = 0;
	const char *text = m->failed ? NULL
	                             : json_object_to_json_string_length(
					       m->object,
					       JSON_C_TO_STRING_PLAIN |
						       JSON_C_TO_STRING_NOSLASHESCAPE,
					       &size);

	if (!text)
		o->failed = true;
	else if (part)
		put_bytes(o, text + 1, size - 2);
	else
		put_bytes(o, text, size);
	json_object_put(m->object);
}

/* ---- what there is ---------------------------------------------------------------- */

static void put_table(struct making *tables, const char *name, const struct k2k_table_info *table)
{
	struct making m = begin();

	put_count(&m, "used", table->used);
	put_count(&m, "retired", table->retired);
	put_count(&m, "capacity", table->capacity);
	put_object(tables, name, &m);
}

static void put_registry(struct making *m, const struct snapshot *s)
{
	const struct k2k_registry_info *r = &s->registry;
	struct making tables = begin(), audit = begin();
	uint64_t written = 0, repeats = 0, lost = 0;
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	put_u64(m, "taken_ns", s->taken_ns);
	put_u64(m, "taken_at_ns",
	        (uint64_t)wall.tv_sec * 1000000000 + (uint64_t)wall.tv_nsec -
	                (snapshot_now() - s->taken_ns));
	put_u64(m, "took_ns", s->took_ns);
	put_name(m, "uuid", r->uuid, sizeof(r->uuid));
	put_u64(m, "created_at_ns", r->created_at_ns);
	put_u64(m, "unknown_tenant_total", r->unknown_tenant_total);
	put_u64(m, "cross_tenant_total", r->cross_tenant_total);
	put_table(&tables, "tenants", &r->tenants);
	put_table(&tables, "engagements", &r->engagements);
	put_table(&tables, "leases", &r->leases);
	put_table(&tables, "budgets", &r->budgets);
	put_object(m, "tables", &tables);
	for (uint32_t kind = 1; kind < K2K_AUDIT_KINDS; kind++) {
		written += s->audit.written[kind];
		repeats += s->audit.coalesced[kind];
		lost += s->audit.lost[kind];
	}
	put_u64(&audit, "written", written);
	put_u64(&audit, "repeats", repeats);
	put_u64(&audit, "lost", lost);
	put_object(m, "audit", &audit);
	put_count(m, "broker_places", K2K_BROKERS_MAX);
	put_count(m, "tenants_damaged", s->damaged_count);
}

static void put_broker(struct out *o, const struct k2k_broker_info *b)
{
	static const char *const states[] = {
		[K2K_BROKER_ACTIVE] = "active",
		[K2K_BROKER_STOPPED] = "stopped",
		[K2K_BROKER_DEAD] = "dead",
		[K2K_BROKER_UNKNOWN] = "unknown",
	};
	struct making m = begin();

	put_count(&m, "slot", b->slot);
	put_count(&m, "pid", b->pid);
	put_name(&m, "comm", b->comm, sizeof(b->comm));
	put_text(&m, "state",
	         b->state <= K2K_BROKER_UNKNOWN && states[b->state] ? states[b->state] : "unknown");
	put_u64(&m, "attached_at_ns", b->attached_at_ns);
	put_count(&m, "kernels", b->kernels);
	put_u64(&m, "gpu_memory_bytes", b->gpu_memory_bytes);
	put_u64(&m, "grace_behind", b->grace_behind);
	put_u64(&m, "cross_tenant_total", b->cross_tenant_total);
	put_u64(&m, "unknown_tenant_total", b->unknown_tenant_total);
	finish(o, &m, false);
}

static struct json_object *budget_of(const struct k2k_budget_info *b)
{
	struct making m = begin();

	put_u64(&m, "engagement", b->engagement_id);
	put_u64(&m, "budget_ns", b->budget_ns);
	put_u64(&m, "used_ns", b->used_ns);
	if (!m.failed)
		return m.object;
	json_object_put(m.object);
	return NULL;
}

static void put_quota(struct making *m, const struct k2k_tenant_info *t,
                      const struct k2k_budget_info *budgets, size_t count)
{
	struct json_object *list = json_object_new_array();
	struct making quota = begin();

	put_limit(&quota, "rate_per_sec", t->max_messages_per_sec);
	if (t->max_concurrent_kernels == K2K_UNLIMITED_KERNELS)
		member(&quota, "kernels", NULL, true);
	else
		put_count(&quota, "kernels", t->max_concurrent_kernels);
	put_limit(&quota, "gpu_memory_bytes", t->max_gpu_memory_bytes);
	for (size_t i = 0; list && i < count; i++) {
		struct json_object *budget = budget_of(&budgets[i]);

		if (budget && json_object_array_add(list, budget) == 0)
			continue;
		json_object_put(budget);
		quota.failed = true;
	}
	member(&quota, "budgets", list, false);
	put_object(m, "quota", &quota);
}

static void put_tenant(struct out *o, const struct snapshot_tenant *tenant,
                       const struct k2k_budget_info *budgets, size_t count)
{
	struct making m = begin(), usage = begin(), rejected = begin();
	const struct k2k_tenant_info *t = &tenant->info;

	put_u64(&m, "id", t->id);
	put_u64(&m, "generation", t->generation);
	put_u64(&m, "registered_at_ns", t->registered_at_ns);
	put_quota(&m, t, budgets, count);
	put_u64(&usage, "admitted_total", t->admitted_total);
	put_u64(&rejected, "rate", t->rejected_total.rate);
	put_u64(&rejected, "budget", t->rejected_total.budget);
	put_u64(&rejected, "kernels", t->rejected_total.kernels);
	put_u64(&rejected, "gpu_memory", t->rejected_total.gpu_memory);
	put_object(&usage, "rejected_total", &rejected);
	put_u64(&usage, "gpu_ns_total", tenant->gpu_ns);
	put_u64(&usage, "unattributed_ns", t->unattributed_ns);
	put_u64(&usage, "messages_this_second", t->messages_this_second);
	put_count(&usage, "kernels", t->kernels);
	put_u64(&usage, "gpu_memory_bytes", t->gpu_memory_bytes);
	put_object(&m, "usage", &usage);
	finish(o, &m, false);
}

static void put_lists(struct out *o, const struct snapshot *s)
{
	size_t budget = 0;

	put_bytes(o, ",\"brokers\":[", 12);
	for (size_t i = 0; i < s->broker_count; i++) {
		put_bytes(o, ",", i > 0);
		put_broker(o, &s->brokers[i]);
	}
	put_bytes(o, "],\"tenants\":[", 13);
	/* both are by generation */
	for (size_t i = 0; i < s->tenant_count; i++) {
		size_t first = budget;

		while (budget < s->budget_count &&
		       s->budgets[budget].generation == s->tenants[i].info.generation)
			budget++;
		put_bytes(o, ",", i > 0);
		put_tenant(o, &s->tenants[i], s->budgets + first, budget - first);
	}
	put_bytes(o, "]", 1);
}

static void put_failure(struct making *m, int code)
{
	const struct k2k_error_detail *detail = k2k_error_detail();
	struct making failure = begin();

	put_text(&failure, "name", k2k_errname(code));
	put_text(&failure, "message",
	         detail->code == code && detail->text[0] ? detail->text : k2k_strerror(code));
	put_object(m, "error", &failure);
}

int status_text(const char *registry, int code, const struct snapshot *s, char **text,
                size_t *length)
{
	struct out o = { 0 };
	struct making m = begin();

	put_text(&m, "schema", "k2k-exporter/1");
	put_text(&m, "registry", registry);
	put_text(&m, "library", k2k_version());
	member(&m, "up", json_object_new_boolean(!code), false);
	if (code)
		put_failure(&m, code);
	else
		put_registry(&m, s);
	put_bytes(&o, "{", 1);
	finish(&o, &m, true);
	if (!code)
		put_lists(&o, s);
	put_bytes(&o, "}\n", 2);
	if (o.failed) {
		free(o.bytes);
		return K2K_ENOMEM;
	}
	*text = o.bytes;
	*length = o.length;
	return 0;
}
