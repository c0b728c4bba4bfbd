/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit_event.h"
#include "json.h"
#include "memory.h"
#include "thresholds.h"
#include "units.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- positions ---------------------------------------------------------------------- */

void position_begin(struct position *position, const char *uuid)
{
	snprintf(position->uuid, sizeof(position->uuid), "%s", uuid);
	for (int i = 0; i < RINGS_MOST; i++)
		position->next[i] = 1;
}

void position_pass(struct position *position, uint32_t ring, uint64_t sequence, uint64_t lost)
{
	if (ring < RINGS_MOST)
		position->next[ring] = sequence + (lost ? lost : 1);
}

/* Rings of which nothing was read yet are left out. */
void position_put(const struct position *position, json_object *object)
{
	json_object *next = json_new();
	char ring[8];

	json_put_text(object, "uuid", position->uuid);
	for (int i = 0; i < RINGS_MOST; i++)
		if (position->next[i] > 1) {
			json_object *number;
			char digits[24];

			snprintf(ring, sizeof(ring), "%d", i);
			snprintf(digits, sizeof(digits), "%" PRIu64, position->next[i]);
			number = check_memory(json_object_new_string(digits));
			if (json_object_object_add(next, ring, number))
				out_of_memory();
		}
	json_put(object, "next", next);
}

static bool read_number(const char *text, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && !errno;
}

bool position_get(struct position *position, json_object *object)
{
	json_object *uuid, *next;

	if (!json_object_object_get_ex(object, "uuid", &uuid) ||
	    !json_object_is_type(uuid, json_type_string) ||
	    json_object_get_string_len(uuid) >= (int)sizeof(position->uuid) ||
	    !json_object_object_get_ex(object, "next", &next) ||
	    !json_object_is_type(next, json_type_object))
		return false;
	position_begin(position, json_object_get_string(uuid));
	json_object_object_foreach(next, key, value)
	{
		uint64_t ring, number;

		if (!read_number(key, &ring) || ring >= RINGS_MOST ||
		    !json_object_is_type(value, json_type_string) ||
		    !read_number(json_object_get_string(value), &number))
			return false;
		position->next[ring] = number;
	}
	return true;
}

/* ---- events ---------------------------------------------------------------------------- */

static void put_time(json_object *object, uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	char date[40], text[64];
	struct tm tm;

	if (gmtime_r(&seconds, &tm) && strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm)) {
		snprintf(text, sizeof(text), "%s.%09" PRIu64 "Z", date, ns % 1000000000);
		json_put_text(object, "time", text);
	}
	json_put_u64(object, "time_ns", ns);
}

static void put_tag(json_object *object, const struct k2k_audit_record *r)
{
	json_put_u64(object, "org_id", r->tag.org_id);
	json_put_u64(object, "engagement_id", r->tag.engagement_id);
}

static void put_rejection(json_object *object, const struct k2k_audit_record *r)
{
	json_put_text(object, "error", k2k_errname(r->code));
	json_put_u64(object, "tenant", r->tenant);
	put_tag(object, r);
	if (r->flags & K2K_AUDIT_SHADOW)
		json_put_bool(object, "shadow", 1);
	if (r->kind != K2K_AUDIT_KIND_UNKNOWN_TENANT && r->kind != K2K_AUDIT_KIND_SUSPENDED) {
		json_put_u64(object, "used", r->used);
		json_put_limit(object, "limit", r->limit);
	}
}

static void put_cross_tenant(json_object *object, const struct k2k_audit_record *r)
{
	json_put_u64(object, "from_tenant", r->tenant);
	json_put_u64(object, "to_tenant", r->to);
	json_put_text(object, "source_kernel", r->source);
	json_put_text(object, "destination_kernel", r->destination);
	if (r->flags & (K2K_AUDIT_CUT_SOURCE | K2K_AUDIT_CUT_DESTINATION))
		json_put_bool(object, "cut", 1);
	put_tag(object, r);
}

uint32_t event_period(const struct k2k_audit_record *r)
{
	return (uint32_t)(r->values[K2K_AUDIT_REGISTER_MODE] & K2K_AUDIT_MODE_PERIOD) >>
	       K2K_AUDIT_MODE_PERIOD_SHIFT;
}

/* The key says the period, so no reader takes a number for one of another period. */
static void put_rate(json_object *object, const struct k2k_audit_record *r)
{
	static const char *const keys[] = { [K2K_PERIOD_SECOND] = "max_messages_per_sec",
		                            [K2K_PERIOD_MINUTE] = "max_messages_per_minute",
		                            [K2K_PERIOD_HOUR] = "max_messages_per_hour",
		                            [K2K_PERIOD_DAY] = "max_messages_per_day" };

	json_put_limit(object, keys[event_period(r)], r->values[K2K_AUDIT_REGISTER_RATE]);
	if (r->values[K2K_AUDIT_REGISTER_MODE] & K2K_AUDIT_MODE_BUCKET)
		json_put_u64(object, "burst", r->values[K2K_AUDIT_REGISTER_BURST]);
	if (r->values[K2K_AUDIT_REGISTER_MODE] & K2K_AUDIT_MODE_SHARED)
		json_put_limit(object, "rate_alone", r->values[K2K_AUDIT_REGISTER_BURST]);
}

static void put_definition(json_object *object, const struct k2k_audit_record *r)
{
	uint64_t mask = r->values[K2K_AUDIT_REGISTER_MASK];
	uint64_t kernels = r->values[K2K_AUDIT_REGISTER_KERNELS];

	json_put_u64(object, "tenant", r->tenant);
	json_put_u64(object, "generation", r->generation);
	if (mask & K2K_UPDATE_RATE)
		put_rate(object, r);
	if (mask & K2K_UPDATE_GPU_MEMORY)
		json_put_limit(object, "max_gpu_memory_bytes",
		               r->values[K2K_AUDIT_REGISTER_GPU_MEMORY]);
	if ((mask & K2K_UPDATE_KERNELS) && kernels == K2K_UNLIMITED_KERNELS)
		json_put(object, "max_concurrent_kernels", NULL);
	else if (mask & K2K_UPDATE_KERNELS)
		json_put_count(object, "max_concurrent_kernels", kernels);
	if (mask & K2K_UPDATE_BUDGETS)
		json_put_count(object, "budgets", r->values[K2K_AUDIT_REGISTER_BUDGETS]);
	if (mask & K2K_UPDATE_NAME)
		json_put_text(object, "name", r->source);
	if (mask & K2K_UPDATE_SHADOW)
		json_put_bool(object, "shadow",
		              (r->values[K2K_AUDIT_REGISTER_MODE] & K2K_AUDIT_MODE_SHADOW) != 0);
	if (mask & K2K_UPDATE_SUSPENDED)
		json_put_bool(object, "suspended",
		              (r->values[K2K_AUDIT_REGISTER_MODE] & K2K_AUDIT_MODE_SUSPENDED) != 0);
	if (mask & K2K_UPDATE_ALERTS) {
		uint8_t alerts[K2K_ALERTS_MAX];
		char text[THRESHOLDS_TEXT];

		thresholds_unpack(alerts, r->values[K2K_AUDIT_REGISTER_ALERTS]);
		json_put_text(object, "alerts", alerts[0] ? thresholds_print(text, alerts) : NULL);
	}
}

static void put_alert(json_object *object, const struct k2k_audit_record *r)
{
	uint64_t limit = r->values[K2K_AUDIT_ALERT_LIMIT];

	json_put_u64(object, "tenant", r->tenant);
	json_put_u64(object, "generation", r->generation);
	put_tag(object, r);
	json_put_text(object, "limit_of", threshold_limit_name(limit));
	json_put_count(object, "percent", r->values[K2K_AUDIT_ALERT_PERCENT]);
	json_put_u64(object, "used", r->used);
	json_put_u64(object, "limit", r->limit);
	json_put_u64(object, limit == K2K_ALERT_BUDGET ? "period" : "second",
	             r->values[K2K_AUDIT_ALERT_SEQUENCE]);
}

static void put_numbers(json_object *object, const struct k2k_audit_record *r,
                        const char *const keys[K2K_AUDIT_VALUES])
{
	for (int i = 0; i < K2K_AUDIT_VALUES; i++)
		if (keys[i])
			json_put_u64(object, keys[i], r->values[i]);
}

/* GPU time, and what was held at the end, is known only in final totals. */
static void put_totals(json_object *object, const struct k2k_audit_record *r)
{
	static const char *const counted[K2K_AUDIT_VALUES] = {
		[K2K_AUDIT_TOTALS_ADMITTED] = "admitted_total",
		[K2K_AUDIT_TOTALS_REJECTED_RATE] = "rejected_rate_total",
		[K2K_AUDIT_TOTALS_REJECTED_BUDGET] = "rejected_budget_total",
		[K2K_AUDIT_TOTALS_REJECTED_KERNELS] = "rejected_kernels_total",
		[K2K_AUDIT_TOTALS_REJECTED_MEMORY] = "rejected_gpu_memory_total",
	};

	json_put_u64(object, "tenant", r->tenant);
	json_put_u64(object, "generation", r->generation);
	put_numbers(object, r, counted);
	if (r->kind == K2K_AUDIT_KIND_FINAL_TOTALS)
		json_put_u64(object, "gpu_ns_total", r->values[K2K_AUDIT_TOTALS_GPU_NS]);
	json_put_u64(object, "unattributed_ns", r->values[K2K_AUDIT_TOTALS_UNATTRIBUTED_NS]);
	if (r->kind == K2K_AUDIT_KIND_FINAL_TOTALS) {
		json_put_u64(object, "kernels", r->values[K2K_AUDIT_TOTALS_KERNELS]);
		json_put_u64(object, "gpu_memory_bytes", r->values[K2K_AUDIT_TOTALS_GPU_MEMORY]);
	}
}

static void put_budget(json_object *object, const struct k2k_audit_record *r)
{
	json_put_u64(object, "tenant", r->tenant);
	json_put_u64(object, "generation", r->generation);
	json_put_u64(object, "engagement_id", r->tag.engagement_id);
	json_put_limit(object, "budget_ns", r->limit);
	json_put_text(object, "renewal",
	              units_renewal_name((uint32_t)r->values[K2K_AUDIT_BUDGET_RENEWAL]));
}

static void put_signed(json_object *object, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, (int64_t)value);
	json_put_text(object, key, text);
}

static void put_correction(json_object *object, const struct k2k_audit_record *r)
{
	json_put_u64(object, "tenant", r->tenant);
	json_put_u64(object, "generation", r->generation);
	put_tag(object, r);
	put_signed(object, "ns", r->values[K2K_AUDIT_CORRECTION_NS]);
	put_signed(object, "corrected_ns", r->values[K2K_AUDIT_CORRECTION_SUM_NS]);
	json_put_u64(object, "request", r->values[K2K_AUDIT_CORRECTION_REQUEST]);
	json_put_text(object, "reason", r->source);
}

static void put_renewal(json_object *object, const struct k2k_audit_record *r)
{
	static const char *const keys[K2K_AUDIT_VALUES] = {
		[K2K_AUDIT_RENEWED_PERIOD] = "period",
		[K2K_AUDIT_RENEWED_BEGAN_AT_NS] = "began_at_ns",
		[K2K_AUDIT_RENEWED_CLOSED_BEGAN_AT_NS] = "closed_began_at_ns",
		[K2K_AUDIT_RENEWED_CLOSED_USED_NS] = "closed_used_ns",
	};

	json_put_u64(object, "tenant", r->tenant);
	json_put_u64(object, "generation", r->generation);
	put_tag(object, r);
	put_numbers(object, r, keys);
}

static void put_kind(json_object *object, const struct k2k_audit_record *r)
{
	static const char *const dead[K2K_AUDIT_VALUES] = {
		[K2K_AUDIT_DEAD_SLOT] = "slot",
		[K2K_AUDIT_DEAD_KERNELS] = "kernels",
		[K2K_AUDIT_DEAD_GPU_MEMORY] = "gpu_memory_bytes",
		[K2K_AUDIT_DEAD_LEASES] = "leases",
		[K2K_AUDIT_DEAD_ATTACHED_AT_NS] = "attached_at_ns",
	};
	static const char *const created[K2K_AUDIT_VALUES] = {
		[K2K_AUDIT_CREATED_MAX_TENANTS] = "max_tenants",
		[K2K_AUDIT_CREATED_MAX_ENGAGEMENTS] = "max_engagements",
		[K2K_AUDIT_CREATED_MAX_LEASES] = "max_leases",
		[K2K_AUDIT_CREATED_MAX_BUDGETS] = "max_budgets",
		[K2K_AUDIT_CREATED_MAX_EVENTS] = "max_audit_events",
		[K2K_AUDIT_CREATED_MAX_BROKERS] = "max_brokers",
	};
	static const char *const destroyed[K2K_AUDIT_VALUES] = {
		[K2K_AUDIT_DESTROYED_FLAGS] = "flags",
		[K2K_AUDIT_DESTROYED_BROKERS] = "brokers",
	};
	static const char *const repair[K2K_AUDIT_VALUES] = {
		[K2K_AUDIT_REPAIR_TENANTS] = "tenants",
		[K2K_AUDIT_REPAIR_BUDGETS] = "budgets",
		[K2K_AUDIT_REPAIR_ENGAGEMENTS] = "engagements",
		[K2K_AUDIT_REPAIR_LEASES] = "leases",
		[K2K_AUDIT_REPAIR_BROKERS] = "brokers",
	};
	char mode[8];

	switch (r->kind) {
	case K2K_AUDIT_KIND_CROSS_TENANT: put_cross_tenant(object, r); break;
	case K2K_AUDIT_KIND_RATE:
	case K2K_AUDIT_KIND_BUDGET:
	case K2K_AUDIT_KIND_KERNELS:
	case K2K_AUDIT_KIND_GPU_MEMORY:
	case K2K_AUDIT_KIND_SUSPENDED:
	case K2K_AUDIT_KIND_UNKNOWN_TENANT: put_rejection(object, r); break;
	case K2K_AUDIT_KIND_REGISTER:
	case K2K_AUDIT_KIND_UPDATE: put_definition(object, r); break;
	case K2K_AUDIT_KIND_DEREGISTER:
	case K2K_AUDIT_KIND_FINAL_TOTALS: put_totals(object, r); break;
	case K2K_AUDIT_KIND_BUDGET_CHANGE: put_budget(object, r); break;
	case K2K_AUDIT_KIND_CORRECTION: put_correction(object, r); break;
	case K2K_AUDIT_KIND_ALERT: put_alert(object, r); break;
	case K2K_AUDIT_KIND_BUDGET_RENEWED: put_renewal(object, r); break;
	case K2K_AUDIT_KIND_BROKER_DEAD: put_numbers(object, r, dead); break;
	case K2K_AUDIT_KIND_CREATED:
		put_numbers(object, r, created);
		snprintf(mode, sizeof(mode), "%04" PRIo64,
		         r->values[K2K_AUDIT_CREATED_MODE] & 07777);
		json_put_text(object, "mode", mode);
		break;
	case K2K_AUDIT_KIND_DESTROYED: put_numbers(object, r, destroyed); break;
	case K2K_AUDIT_KIND_REPAIR: put_numbers(object, r, repair); break;
	}
}

void event_put(json_object *object, const struct k2k_audit_record *r)
{
	bool lost = (r->flags & K2K_AUDIT_LOST) != 0;

	/* a ring that can't be read has no sequence, so the reader's position stays */
	if (lost && !r->count) {
		json_put_text(object, "kind", "damaged");
		json_put_count(object, "ring", r->ring);
		put_time(object, r->time_ns);
		return;
	}
	json_put_text(object, "kind", lost ? "lost" : k2k_audit_kind_name(r->kind));
	json_put_count(object, "ring", r->ring);
	json_put_u64(object, "sequence", r->sequence);
	if (lost) {
		json_put_u64(object, "lost", r->count);
		put_time(object, r->time_ns);
		if (r->flags & K2K_AUDIT_DAMAGED)
			json_put_bool(object, "damaged", 1);
		return;
	}
	json_put_text(object, "level", k2k_audit_level_name(r->level));
	json_put_text(object, "type", k2k_audit_type_name(r->type));
	put_time(object, r->time_ns);
	json_put_u64(object, "monotonic_ns", r->monotonic_ns);
	json_put_u64(object, "count", r->count);
	json_put_text(object, "actor", r->actor);
	if (r->kind <= K2K_AUDIT_KIND_UNKNOWN_TENANT || r->kind == K2K_AUDIT_KIND_BROKER_DEAD ||
	    r->kind == K2K_AUDIT_KIND_SUSPENDED)
		json_put_text(object, "comm", r->comm);
	json_put_u64(object, "pid", r->pid);
	if (r->incarnation)
		json_put_u64(object, "incarnation", r->incarnation);
	put_kind(object, r);
}

static const char *take(const char *at, const char *end, const char *what)
{
	size_t size = strlen(what);

	return at && (size_t)(end - at) >= size && !memcmp(at, what, size) ? at + size : NULL;
}

static const char *take_number(const char *at, const char *end, uint64_t *number)
{
	const char *start = at;

	for (*number = 0; at && at < end && *at >= '0' && *at <= '9'; at++)
		*number = *number * 10 + (uint64_t)(*at - '0');
	return at == start ? NULL : at;
}

bool event_place(const char *kind, size_t kind_size, const char *end, uint32_t *ring,
                 uint64_t *sequence, uint64_t *lost)
{
	const char *at = take(kind + kind_size, end, "\",\"ring\":");
	uint64_t number;

	at = take_number(at, end, &number);
	at = take_number(take(at, end, ",\"sequence\":\""), end, sequence);
	if (!at || number >= RINGS_MOST)
		return false;
	*ring = (uint32_t)number;
	*lost = 0;
	if (kind_size == 4 && !memcmp(kind, "lost", 4))
		at = take_number(take(at, end, "\",\"lost\":\""), end, lost);
	return at != NULL;
}
