/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics.h"
#include "memory.h"
#include "metrics_out.h"
#include "units.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BROKERS_SHOWN = 64, BEHIND = 1 };

/* ---- tenants ---------------------------------------------------------------------- */

static const struct tenant_metric {
	const char *name, *type, *labels;
	enum metrics_amount amount;
	enum metrics_unit unit;
	const char *help;
} tenant_metrics[] = {
	{ "messages_admitted_total", "counter", "", AMOUNT_ADMITTED, METRICS_COUNT,
	  "Messages admitted, or recorded without asking." },
	{ "requests_rejected_total", "counter", ",reason=\"rate\"", AMOUNT_REJECTED_RATE,
	  METRICS_COUNT,
	  "Requests rejected by a limit: rate, budget, kernels or gpu_memory; or suspended." },
	{ "requests_rejected_total", NULL, ",reason=\"budget\"", AMOUNT_REJECTED_BUDGET,
	  METRICS_COUNT, NULL },
	{ "requests_rejected_total", NULL, ",reason=\"kernels\"", AMOUNT_REJECTED_KERNELS,
	  METRICS_COUNT, NULL },
	{ "requests_rejected_total", NULL, ",reason=\"gpu_memory\"", AMOUNT_REJECTED_MEMORY,
	  METRICS_COUNT, NULL },
	{ "requests_rejected_total", NULL, ",reason=\"suspended\"", AMOUNT_REJECTED_SUSPENDED,
	  METRICS_COUNT, NULL },
	{ "requests_shadow_rejected_total", "counter", ",reason=\"rate\"", AMOUNT_SHADOW_RATE,
	  METRICS_COUNT, "Requests that a limit would have rejected, but it is in shadow." },
	{ "requests_shadow_rejected_total", NULL, ",reason=\"budget\"", AMOUNT_SHADOW_BUDGET,
	  METRICS_COUNT, NULL },
	{ "requests_shadow_rejected_total", NULL, ",reason=\"kernels\"", AMOUNT_SHADOW_KERNELS,
	  METRICS_COUNT, NULL },
	{ "requests_shadow_rejected_total", NULL, ",reason=\"gpu_memory\"", AMOUNT_SHADOW_MEMORY,
	  METRICS_COUNT, NULL },
	{ "gpu_seconds_total", "counter", "", AMOUNT_GPU_NS, METRICS_SECONDS,
	  "GPU time booked, over all engagements." },
	{ "gpu_unattributed_seconds_total", "counter", "", AMOUNT_UNATTRIBUTED_NS, METRICS_SECONDS,
	  "GPU time that could not be booked on an engagement, because the table of engagements is "
	  "full." },
	{ "kernels_held", "gauge", "", AMOUNT_KERNELS, METRICS_COUNT,
	  "Kernel slots held by living brokers." },
	{ "gpu_memory_held_bytes", "gauge", "", AMOUNT_MEMORY, METRICS_COUNT,
	  "GPU memory held by living brokers." },
	{ "gpu_reserved_seconds", "gauge", "", AMOUNT_RESERVED_NS, METRICS_SECONDS,
	  "GPU time reserved by living brokers, over all engagements." },
	{ "kernels_named", "gauge", "", AMOUNT_NAMES, METRICS_COUNT,
	  "Names of kernels in the directory; each takes one of the slots held." },
	{ "kernels_limit", "gauge", "", AMOUNT_LIMIT_KERNELS, METRICS_LIMIT,
	  "Kernel slots that may be held at once; +Inf is unlimited." },
	{ "gpu_memory_limit_bytes", "gauge", "", AMOUNT_LIMIT_MEMORY, METRICS_LIMIT,
	  "GPU memory that may be held at once; +Inf is unlimited." },
	{ "tenant_in_shadow", "gauge", "", AMOUNT_IN_SHADOW, METRICS_COUNT,
	  "1: the tenant's limits are in shadow, and refuse nothing; of tenant=\"other\", how many "
	  "are." },
	{ "tenant_suspended", "gauge", "", AMOUNT_SUSPENDED, METRICS_COUNT,
	  "1: the tenant is suspended, and is refused everything; of tenant=\"other\", how many "
	  "are." },
};

static void put_tenants(struct metrics_out *o, const struct snapshot *s, const bool *own,
                        const struct metrics_past *past)
{
	struct metrics_amounts sum = past->summed, a;
	bool with_sum = false;

	for (size_t n = 0; n < AMOUNT_COUNTERS; n++)
		with_sum = with_sum || sum.n[n];
	for (size_t i = 0; i < s->tenant_count; i++) {
		with_sum = with_sum || !own[i];
		amounts_of(&a, &s->tenants[i]);
		for (size_t n = AMOUNT_COUNTERS; n < AMOUNTS && !own[i]; n++)
			amount_add(&sum.n[n], a.n[n]);
	}
	for (size_t m = 0; m < sizeof(tenant_metrics) / sizeof(tenant_metrics[0]); m++) {
		const struct tenant_metric *metric = &tenant_metrics[m];

		if (metric->type)
			metrics_family(o, metric->name, metric->type, metric->help);
		for (size_t i = 0; i < s->tenant_count; i++) {
			if (!own[i])
				continue;
			/* an unknown number is left out; 0 would be wrong */
			if ((s->tenants[i].info.flags & K2K_TENANT_DAMAGED) &&
			    (metric->amount == AMOUNT_KERNELS || metric->amount == AMOUNT_MEMORY))
				continue;
			amounts_of(&a, &s->tenants[i]);
			metrics_series(o, metric->name, metric->unit, a.n[metric->amount],
			               ",tenant=\"%llu\"%s",
			               (unsigned long long)s->tenants[i].info.id, metric->labels);
		}
		if (with_sum)
			metrics_series(o, metric->name, metric->unit, sum.n[metric->amount],
			               ",tenant=\"other\"%s", metric->labels);
	}
}

/*
 * What is not a number of a tenant. A name is a label of this series alone: on every series it
 * would begin all of them again with each rename. Without a sum: there are no names of many.
 */
static void put_tenant_info(struct metrics_out *o, const struct snapshot *s, const bool *own)
{
	metrics_family(o, "tenant_info", "gauge", "Each tenant's name, or an empty one: always 1.");
	for (size_t i = 0; i < s->tenant_count; i++) {
		const struct k2k_tenant_info *t = &s->tenants[i].info;
		char name[METRICS_NAME_ROOM];

		if (own[i])
			metrics_series(o, "tenant_info", METRICS_COUNT, 1,
			               ",tenant=\"%llu\",name=\"%s\"", (unsigned long long)t->id,
			               metrics_name(name, t->name));
	}
}

/* Only of tenants with thresholds, and with series of their own: percentages have no sum. */
static void put_thresholds(struct metrics_out *o, const struct snapshot *s, const bool *own)
{
	metrics_family(
		o, "threshold_reached_percent", "gauge",
		"The highest threshold (--alert) that a tenant's use has reached, of its rate in "
		"the "
		"last minute or this window; 0: none.");
	for (size_t i = 0; i < s->tenant_count; i++) {
		const struct k2k_tenant_info *t = &s->tenants[i].info;
		const uint8_t reached[] = { t->alerted_rate, t->alerted_kernels,
			                    t->alerted_gpu_memory };
		static const char *const limits[] = { "rate", "kernels", "gpu_memory" };

		for (size_t l = 0; l < sizeof(reached) && own[i] && t->alerts[0]; l++)
			metrics_series(o, "threshold_reached_percent", METRICS_COUNT, reached[l],
			               ",tenant=\"%llu\",limit=\"%s\"", (unsigned long long)t->id,
			               limits[l]);
	}
}

static void put_budget_thresholds(struct metrics_out *o, const struct snapshot *s, const bool *own)
{
	metrics_family(
		o, "budget_threshold_reached_percent", "gauge",
		"The highest threshold (--alert) that was reached in a budget's period; none if "
		"none was.");
	for (size_t i = 0; i < s->budget_count; i++)
		if (own[i] && s->budgets[i].alerted)
			metrics_series(o, "budget_threshold_reached_percent", METRICS_COUNT,
			               s->budgets[i].alerted,
			               ",tenant=\"%llu\",engagement=\"%llu\"",
			               (unsigned long long)s->budgets[i].id,
			               (unsigned long long)s->budgets[i].engagement_id);
}

/* ---- budgets -------------------------------------------------------------------------- */

static uint64_t limit_of(const struct k2k_budget_info *b)
{
	return b->budget_ns;
}
static uint64_t used_of(const struct k2k_budget_info *b)
{
	return b->used_ns;
}
static uint64_t reserved_of(const struct k2k_budget_info *b)
{
	return b->reserved_ns;
}

static void put_budget(struct metrics_out *o, const struct snapshot *s, const bool *own,
                       uint64_t (*value)(const struct k2k_budget_info *b), const char *name)
{
	bool with_sum = false;
	uint64_t sum = 0;

	for (size_t i = 0; i < s->budget_count; i++) {
		const struct k2k_budget_info *b = &s->budgets[i];
		uint64_t ns = value(b);

		if (own[i])
			metrics_series(o, name, METRICS_SECONDS, ns,
			               ",tenant=\"%llu\",engagement=\"%llu\"",
			               (unsigned long long)b->id,
			               (unsigned long long)b->engagement_id);
		else
			amount_add(&sum, ns);
		with_sum = with_sum || !own[i];
	}
	if (with_sum)
		metrics_series(o, name, METRICS_SECONDS, sum,
		               ",tenant=\"other\",engagement=\"other\"");
}

static uint64_t budget_period(const struct k2k_budget_info *b)
{
	return b->period;
}
static uint64_t budget_began(const struct k2k_budget_info *b)
{
	return b->began_at_ns;
}
static uint64_t budget_renews(const struct k2k_budget_info *b)
{
	return b->renews_at_ns;
}

/* Only of budgets with series of their own: times have no sum. */
static void put_renewals(struct metrics_out *o, const struct snapshot *s, const bool *own)
{
	static const struct {
		const char *name, *type;
		uint64_t (*value)(const struct k2k_budget_info *b);
		enum metrics_unit unit;
		const char *help;
	} all[] = {
		{ "budget_periods_total", "counter", budget_period, METRICS_COUNT,
		  "Periods of a budget that have begun; none if it never renews." },
		{ "budget_period_start_timestamp_seconds", "gauge", budget_began, METRICS_SECONDS,
		  "When the current period of a budget began, since 1970; none if it never "
		  "renews." },
		{ "budget_renewal_timestamp_seconds", "gauge", budget_renews, METRICS_SECONDS,
		  "When a budget renews, since 1970; none if it never does." },
	};

	metrics_family(
		o, "budget_info", "gauge",
		"How often a budget renews, each hour, day, week or month, or never: always 1.");
	for (size_t i = 0; i < s->budget_count; i++)
		if (own[i])
			metrics_series(o, "budget_info", METRICS_COUNT, 1,
			               ",tenant=\"%llu\",engagement=\"%llu\",renewal=\"%s\"",
			               (unsigned long long)s->budgets[i].id,
			               (unsigned long long)s->budgets[i].engagement_id,
			               units_renewal_name(s->budgets[i].renewal));
	for (size_t g = 0; g < sizeof(all) / sizeof(all[0]); g++) {
		metrics_family(o, all[g].name, all[g].type, all[g].help);
		for (size_t i = 0; i < s->budget_count; i++)
			if (own[i] && s->budgets[i].period)
				metrics_series(o, all[g].name, all[g].unit,
				               all[g].value(&s->budgets[i]),
				               ",tenant=\"%llu\",engagement=\"%llu\"",
				               (unsigned long long)s->budgets[i].id,
				               (unsigned long long)s->budgets[i].engagement_id);
	}
}

static void put_budgets(struct metrics_out *o, const struct snapshot *s, const bool *own)
{
	metrics_family(
		o, "budget_limit_seconds", "gauge",
		"GPU time that an engagement of a tenant may use, in each period if the budget "
		"renews.");
	put_budget(o, s, own, limit_of, "budget_limit_seconds");
	metrics_family(
		o, "budget_used_seconds", "gauge",
		"GPU time of the budget that is used, in the current period if it renews, with "
		"corrections.");
	put_budget(o, s, own, used_of, "budget_used_seconds");
	metrics_family(
		o, "budget_reserved_seconds", "gauge",
		"GPU time of the budget that living brokers have reserved, beside what is used.");
	put_budget(o, s, own, reserved_of, "budget_reserved_seconds");
	put_renewals(o, s, own);
	put_budget_thresholds(o, s, own);
}

/* ---- brokers ------------------------------------------------------------------------ */

static void put_broker_states(struct metrics_out *o, const struct snapshot *s)
{
	metrics_family(o, "brokers", "gauge",
	               "Brokers by state; the slot of a dead one is free for the next.");
	for (uint32_t state = K2K_BROKER_ACTIVE; state <= K2K_BROKER_UNKNOWN; state++) {
		uint64_t count = 0;

		for (size_t i = 0; i < s->broker_count; i++)
			count += s->brokers[i].state == state;
		metrics_series(o, "brokers", METRICS_COUNT, count, ",state=\"%s\"",
		               snapshot_broker_state(state));
	}
	metrics_single(o, "broker_places", "gauge", METRICS_COUNT, s->registry.max_brokers,
	               "Brokers that can be attached at once.");
}

static uint64_t broker_stopped(const struct k2k_broker_info *b)
{
	return b->state == K2K_BROKER_STOPPED;
}
static uint64_t broker_attached(const struct k2k_broker_info *b)
{
	return b->attached_at_ns;
}
static uint64_t broker_kernels(const struct k2k_broker_info *b)
{
	return b->kernels;
}
static uint64_t broker_memory(const struct k2k_broker_info *b)
{
	return b->gpu_memory_bytes;
}
static uint64_t broker_behind(const struct k2k_broker_info *b)
{
	return b->grace_behind;
}

/* Of hundreds of brokers, which have series of their own? Returns how many have none. */
static uint64_t choose_brokers(const struct snapshot *s, bool *own)
{
	uint64_t living = 0, none = 0;

	for (size_t i = 0; i < s->broker_count; i++) {
		const struct k2k_broker_info *b = &s->brokers[i];

		if (b->state == K2K_BROKER_DEAD)
			continue;
		own[i] = living++ < BROKERS_SHOWN || b->state == K2K_BROKER_STOPPED ||
		         b->grace_behind > BEHIND;
		none += !own[i];
	}
	return none;
}

static void put_brokers(struct metrics_out *o, const struct snapshot *s)
{
	static const struct {
		const char *name;
		uint64_t (*value)(const struct k2k_broker_info *b);
		enum metrics_unit unit;
		const char *help;
	} gauges[] = {
		{ "broker_stopped", broker_stopped, METRICS_COUNT,
		  "1: the broker is alive but does not run (SIGSTOP, a debugger)." },
		{ "broker_attached_timestamp_seconds", broker_attached, METRICS_SECONDS,
		  "When the broker attached, since 1970." },
		{ "broker_kernels_held", broker_kernels, METRICS_COUNT,
		  "Kernel slots that the broker holds." },
		{ "broker_gpu_memory_held_bytes", broker_memory, METRICS_COUNT,
		  "GPU memory that the broker holds." },
		{ "broker_grace_periods_behind", broker_behind, METRICS_COUNT,
		  "Grace periods that the broker has not answered; above 0, what was deregistered "
		  "can't "
		  "be used again." },
	};
	char comm[sizeof(s->brokers->comm) + 1];
	bool *own = check_memory(calloc(s->broker_count + 1, sizeof(*own)));

	metrics_single(
		o, "brokers_without_series", "gauge", METRICS_COUNT, choose_brokers(s, own),
		"Brokers without series of their own: the first 64 have them, and those that are "
		"stopped or behind.");
	metrics_family(o, "broker_info", "gauge",
	               "A broker that is attached and not dead: always 1.");
	for (size_t i = 0; i < s->broker_count; i++) {
		const struct k2k_broker_info *b = &s->brokers[i];

		if (own[i])
			metrics_series(o, "broker_info", METRICS_COUNT, 1,
			               ",slot=\"%lu\",pid=\"%llu\",command=\"%s\"",
			               (unsigned long)b->slot, (unsigned long long)b->pid,
			               metrics_label(comm, sizeof(comm), b->comm, sizeof(b->comm)));
	}
	for (size_t g = 0; g < sizeof(gauges) / sizeof(gauges[0]); g++) {
		metrics_family(o, gauges[g].name, "gauge", gauges[g].help);
		for (size_t i = 0; i < s->broker_count; i++)
			if (own[i])
				metrics_series(o, gauges[g].name, gauges[g].unit,
				               gauges[g].value(&s->brokers[i]), ",slot=\"%lu\"",
				               (unsigned long)s->brokers[i].slot);
	}
	free(own);
}

/* ---- the registry --------------------------------------------------------------------- */

static void put_tables(struct metrics_out *o, const struct snapshot *s)
{
	const struct k2k_registry_info *r = &s->registry;
	const struct {
		const char *name;
		const struct k2k_table_info *table;
	} tables[] = {
		{ "tenants", &r->tenants },      { "engagements", &r->engagements },
		{ "leases", &r->leases },        { "budgets", &r->budgets },
		{ "kernels", &s->kernel_table },
	};
	const size_t count = sizeof(tables) / sizeof(tables[0]);

	metrics_family(o, "table_used_records", "gauge", "Records in use.");
	for (size_t i = 0; i < count; i++)
		metrics_series(o, "table_used_records", METRICS_COUNT, tables[i].table->used,
		               ",table=\"%s\"", tables[i].name);
	metrics_family(o, "table_retired_records", "gauge",
	               "Records that wait for a grace period before they can be used again.");
	for (size_t i = 0; i < count; i++)
		metrics_series(o, "table_retired_records", METRICS_COUNT, tables[i].table->retired,
		               ",table=\"%s\"", tables[i].name);
	metrics_family(o, "table_capacity_records", "gauge",
	               "Records in the table; fixed when the registry is created.");
	for (size_t i = 0; i < count; i++)
		metrics_series(o, "table_capacity_records", METRICS_COUNT,
		               tables[i].table->capacity, ",table=\"%s\"", tables[i].name);
}

static void put_registry(struct metrics_out *o, const struct snapshot *s)
{
	const struct k2k_registry_info *r = &s->registry;
	char uuid[sizeof(r->uuid) + 1];

	metrics_family(o, "registry_info", "gauge", "The registry's identity: always 1.");
	metrics_series(o, "registry_info", METRICS_COUNT, 1,
	               ",uuid=\"%s\",layout=\"%lu\",library=\"%s\"",
	               metrics_label(uuid, sizeof(uuid), r->uuid, sizeof(r->uuid)),
	               (unsigned long)r->layout_version, k2k_version());
	metrics_single(o, "registry_created_timestamp_seconds", "gauge", METRICS_SECONDS,
	               r->created_at_ns, "When the registry was created, since 1970.");
	metrics_family(o, "registry_size_bytes", "gauge", "Shared memory that the registry uses.");
	metrics_series(o, "registry_size_bytes", METRICS_COUNT, r->defs_bytes, ",object=\"defs\"");
	metrics_series(o, "registry_size_bytes", METRICS_COUNT, r->live_bytes, ",object=\"live\"");
	metrics_single(o, "tenant_registrations_total", "counter", METRICS_COUNT, r->generation,
	               "Registrations of tenants since creation.");
	metrics_single(
		o, "gpu_cut_seconds_total", "counter", METRICS_SECONDS, r->cut_gpu_ns,
		"GPU time of corrupt records that a repair removed and that belong to no known "
		"tenant.");
	metrics_single(o, "unknown_tenant_requests_total", "counter", METRICS_COUNT,
	               r->unknown_tenant_total, "Requests for tenants that are not registered.");
	metrics_single(o, "cross_tenant_attempts_total", "counter", METRICS_COUNT,
	               r->cross_tenant_total, "Messages to another tenant's kernel, all rejected.");
	metrics_single(o, "kernels_strict", "gauge", METRICS_COUNT,
	               (r->flags & K2K_INFO_STRICT) != 0,
	               "1: messages from kernels that are not in the directory are refused.");
	put_tables(o, s);
}

static void put_audit_kinds(struct metrics_out *o, const char *name,
                            const uint64_t counts[K2K_AUDIT_KINDS_MAX], const char *help)
{
	metrics_family(o, name, "counter", help);
	for (uint32_t kind = 1; kind < K2K_AUDIT_KINDS_MAX; kind++)
		if (strcmp(k2k_audit_kind_name(kind), "unknown"))
			metrics_series(o, name, METRICS_COUNT, counts[kind], ",kind=\"%s\"",
			               k2k_audit_kind_name(kind));
}

/*
 * Events that followers found overwritten, and events that are overwritten and not read yet. The
 * sum never falls.
 */
static uint64_t overwritten(const struct snapshot *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->follower_count; i++) {
		amount_add(&sum, s->followers[i].lost);
		amount_add(&sum, s->followers[i].overwritten);
	}
	return sum;
}

static void put_audit(struct metrics_out *o, const struct snapshot *s)
{
	const struct k2k_audit_stats *a = &s->audit;

	put_audit_kinds(o, "audit_events_written_total", a->written_by_kind,
	                "Events written to the audit trail.");
	put_audit_kinds(o, "audit_repeats_total", a->coalesced_by_kind,
	                "Repeats that were counted in an event written before.");
	put_audit_kinds(o, "audit_events_lost_total", a->lost_by_kind,
	                "Events that could not be written to the audit trail, by kind; kind "
	                "overwritten: events that were overwritten before a follower kept them.");
	metrics_series(o, "audit_events_lost_total", METRICS_COUNT, overwritten(s),
	               ",kind=\"overwritten\"");
	metrics_single(o, "audit_required", "gauge", METRICS_COUNT,
	               (s->registry.flags & K2K_INFO_REQUIRE_AUDIT) != 0,
	               "1: changes are refused while no follower keeps up.");
}

/* ---- followers ------------------------------------------------------------------------ */

static uint64_t follower_up(const struct k2k_audit_follower_info *f)
{
	return f->state == K2K_FOLLOWER_ACTIVE;
}
static uint64_t follower_failing(const struct k2k_audit_follower_info *f)
{
	return f->failing_since_ns != 0;
}
static uint64_t follower_failures(const struct k2k_audit_follower_info *f)
{
	return f->failures;
}
static uint64_t follower_lag(const struct k2k_audit_follower_info *f)
{
	return f->behind;
}
static uint64_t follower_damaged(const struct k2k_audit_follower_info *f)
{
	return f->damaged;
}
static uint64_t follower_silence(const struct k2k_audit_follower_info *f)
{
	return f->said_ago_ns == K2K_NEVER_NS ? 0 : f->said_ago_ns;
}

static void put_followers(struct metrics_out *o, const struct snapshot *s)
{
	static const struct {
		const char *name, *type;
		uint64_t (*value)(const struct k2k_audit_follower_info *f);
		enum metrics_unit unit;
		const char *help;
	} all[] = {
		{ "audit_follower_up", "gauge", follower_up, METRICS_COUNT,
		  "1: the follower keeps the audit trail; 0: it is dead, silent, or can't write." },
		{ "audit_follower_lag_events", "gauge", follower_lag, METRICS_COUNT,
		  "Events that the follower has not kept yet." },
		{ "audit_follower_silence_seconds", "gauge", follower_silence, METRICS_SECONDS,
		  "Time since the follower last reported what it has kept." },
		{ "audit_follower_failing", "gauge", follower_failing, METRICS_COUNT,
		  "1: the follower can't write its log." },
		{ "audit_follower_failures_total", "counter", follower_failures, METRICS_COUNT,
		  "How often the follower began to fail." },
		{ "audit_damaged_rings_total", "counter", follower_damaged, METRICS_COUNT,
		  "Audit rings that the follower found damaged." },
	};
	char comm[sizeof(s->followers->comm) + 1];

	for (size_t g = 0; g < sizeof(all) / sizeof(all[0]); g++) {
		metrics_family(o, all[g].name, all[g].type, all[g].help);
		for (size_t i = 0; i < s->follower_count; i++)
			if (s->followers[i].state != K2K_FOLLOWER_NONE)
				metrics_series(
					o, all[g].name, all[g].unit, all[g].value(&s->followers[i]),
					",follower=\"%lu\",command=\"%s\"",
					(unsigned long)s->followers[i].index,
					metrics_label(comm, sizeof(comm), s->followers[i].comm,
				                      sizeof(s->followers[i].comm)));
	}
}

/* Which tenants have series of their own, and after them, which budgets. */
static bool *choose_series(const struct snapshot *s, uint64_t max_series, struct metrics_past *past)
{
	bool *own = calloc(s->tenant_count + s->budget_count + 1, sizeof(*own));

	if (own && !series_choose_budgets(s, max_series, own + s->tenant_count) &&
	    !series_choose(past, s, max_series, own))
		return own;
	free(own);
	return NULL;
}

static void put_snapshot(struct metrics_out *o, const struct snapshot *s, const bool *own,
                         const struct metrics_past *past)
{
	uint64_t summed = 0;

	for (size_t i = 0; i < s->tenant_count; i++)
		summed += !own[i];
	put_registry(o, s);
	put_audit(o, s);
	put_followers(o, s);
	put_broker_states(o, s);
	put_brokers(o, s);
	metrics_single(o, "tenants", "gauge", METRICS_COUNT, s->tenant_count,
	               "Tenants registered.");
	metrics_single(
		o, "tenants_damaged", "gauge", METRICS_COUNT, s->damaged_count,
		"Tenants whose window or leases a broker has corrupted: their unknown numbers are "
		"left out until a repair.");
	metrics_single(o, "tenants_summed", "gauge", METRICS_COUNT, summed,
	               "Tenants without series of their own, summed as tenant=\"other\".");
	put_tenants(o, s, own, past);
	metrics_put_rates(o, s, own);
	metrics_put_corrections(o, s, own);
	put_tenant_info(o, s, own);
	put_thresholds(o, s, own);
	put_budgets(o, s, own + s->tenant_count);
	metrics_single(o, "collect_duration_seconds", "gauge", METRICS_SECONDS, s->took_ns,
	               "Time that reading the registry took.");
}

int metrics_text(const char *registry, const struct snapshot *s, uint64_t max_series,
                 struct metrics_past *past, char **text, size_t *length)
{
	struct metrics_past none = { 0 };
	struct metrics_out o = { .registry = registry };
	bool *own = NULL;
	int failed;

	*text = NULL;
	*length = 0;
	if (!past)
		past = &none;
	if (s && !(own = choose_series(s, max_series, past)))
		return K2K_ENOMEM;
	o.text = open_memstream(text, length);
	if (o.text) {
		metrics_single(&o, "up", "gauge", METRICS_COUNT, s != NULL,
		               "1: the registry can be read; 0: it can't, and there are no other "
		               "metrics.");
		if (s)
			put_snapshot(&o, s, own, past);
	}
	free(own);
	metrics_forget(&none);
	failed = !o.text || ferror(o.text);
	if ((o.text && fclose(o.text)) || failed) {
		free(*text);
		*text = NULL;
		return K2K_ENOMEM;
	}
	return 0;
}
