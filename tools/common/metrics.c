/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics.h"
#include "printable.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- text ------------------------------------------------------------------- */

struct out {
	FILE *text;
	const char *registry;
};

enum unit { COUNT, SECONDS, LIMIT };

static void put_value(struct out *o, enum unit unit, uint64_t value)
{
	uint64_t rest = value % 1000000000;
	int digits = 9;

	if (unit == LIMIT && value == UINT64_MAX) {
		fprintf(o->text, " +Inf\n");
	} else if (unit == SECONDS && rest) {
		for (; rest % 10 == 0; rest /= 10)
			digits--;
		fprintf(o->text, " %llu.%0*llu\n", (unsigned long long)(value / 1000000000), digits,
		        (unsigned long long)rest);
	} else {
		fprintf(o->text, " %llu\n",
		        (unsigned long long)(unit == SECONDS ? value / 1000000000 : value));
	}
}

static void family(struct out *o, const char *name, const char *type, const char *help)
{
	fprintf(o->text, "# HELP k2k_%s %s\n# TYPE k2k_%s %s\n", name, help, name, type);
}

/* Further labels begin with a comma: the registry's label comes first. */
static void series(struct out *o, const char *name, enum unit unit, uint64_t value,
                   const char *labels, ...) __attribute__((format(printf, 5, 6)));

static void series(struct out *o, const char *name, enum unit unit, uint64_t value,
                   const char *labels, ...)
{
	char text[512];
	va_list args;

	va_start(args, labels);
	vsnprintf(text, sizeof(text), labels, args);
	va_end(args);
	fprintf(o->text, "k2k_%s{registry=\"%s\"%s}", name, o->registry, text);
	put_value(o, unit, value);
}

static void single(struct out *o, const char *name, const char *type, enum unit unit,
                   uint64_t value, const char *help)
{
	family(o, name, type, help);
	series(o, name, unit, value, "%s", "");
}

/*
 * A label's value must be valid UTF-8, and a quote or a backslash would end it or start an escape.
 */
static const char *label_text(char *to, size_t room, const char *from, size_t size)
{
	printable_copy(to, room, from, size);
	for (char *c = to; *c; c++)
		if (*c == '"' || *c == '\\')
			*c = '?';
	return to;
}

/* ---- tenants ---------------------------------------------------------------------- */

static const struct tenant_metric {
	const char *name, *type, *labels;
	enum metrics_amount amount;
	enum unit unit;
	const char *help;
} tenant_metrics[] = {
	{ "messages_admitted_total", "counter", "", AMOUNT_ADMITTED, COUNT,
	  "Messages admitted, or recorded without asking." },
	{ "requests_rejected_total", "counter", ",reason=\"rate\"", AMOUNT_REJECTED_RATE, COUNT,
	  "Requests rejected by a limit: rate, budget, kernels or gpu_memory." },
	{ "requests_rejected_total", NULL, ",reason=\"budget\"", AMOUNT_REJECTED_BUDGET, COUNT,
	  NULL },
	{ "requests_rejected_total", NULL, ",reason=\"kernels\"", AMOUNT_REJECTED_KERNELS, COUNT,
	  NULL },
	{ "requests_rejected_total", NULL, ",reason=\"gpu_memory\"", AMOUNT_REJECTED_MEMORY, COUNT,
	  NULL },
	{ "gpu_seconds_total", "counter", "", AMOUNT_GPU_NS, SECONDS,
	  "GPU time booked, over all engagements." },
	{ "gpu_unattributed_seconds_total", "counter", "", AMOUNT_UNATTRIBUTED_NS, SECONDS,
	  "GPU time that could not be booked on an engagement, because the table of engagements is "
	  "full." },
	{ "kernels_held", "gauge", "", AMOUNT_KERNELS, COUNT,
	  "Kernel slots held by living brokers." },
	{ "gpu_memory_held_bytes", "gauge", "", AMOUNT_MEMORY, COUNT,
	  "GPU memory held by living brokers." },
	{ "messages_per_second_limit", "gauge", "", AMOUNT_LIMIT_RATE, LIMIT,
	  "Messages that may be admitted per second; +Inf is unlimited." },
	{ "kernels_limit", "gauge", "", AMOUNT_LIMIT_KERNELS, LIMIT,
	  "Kernel slots that may be held at once; +Inf is unlimited." },
	{ "gpu_memory_limit_bytes", "gauge", "", AMOUNT_LIMIT_MEMORY, LIMIT,
	  "GPU memory that may be held at once; +Inf is unlimited." },
};

static void put_tenants(struct out *o, const struct snapshot *s, const bool *own,
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
			family(o, metric->name, metric->type, metric->help);
		for (size_t i = 0; i < s->tenant_count; i++) {
			if (!own[i])
				continue;
			/* an unknown number is left out; 0 would be wrong */
			if ((s->tenants[i].info.flags & K2K_TENANT_DAMAGED) &&
			    (metric->amount == AMOUNT_KERNELS || metric->amount == AMOUNT_MEMORY))
				continue;
			amounts_of(&a, &s->tenants[i]);
			series(o, metric->name, metric->unit, a.n[metric->amount],
			       ",tenant=\"%llu\"%s", (unsigned long long)s->tenants[i].info.id,
			       metric->labels);
		}
		if (with_sum)
			series(o, metric->name, metric->unit, sum.n[metric->amount],
			       ",tenant=\"other\"%s", metric->labels);
	}
}

static void put_budget(struct out *o, const struct snapshot *s, const bool *own, bool used,
                       const char *name)
{
	bool with_sum = false;
	uint64_t sum = 0;

	for (size_t i = 0; i < s->budget_count; i++) {
		const struct k2k_budget_info *b = &s->budgets[i];
		uint64_t ns = used ? b->used_ns : b->budget_ns;

		if (own[i])
			series(o, name, SECONDS, ns, ",tenant=\"%llu\",engagement=\"%llu\"",
			       (unsigned long long)b->id, (unsigned long long)b->engagement_id);
		else
			amount_add(&sum, ns);
		with_sum = with_sum || !own[i];
	}
	if (with_sum)
		series(o, name, SECONDS, sum, ",tenant=\"other\",engagement=\"other\"");
}

static void put_budgets(struct out *o, const struct snapshot *s, const bool *own)
{
	family(o, "budget_limit_seconds", "gauge",
	       "GPU time that an engagement of a tenant may use, if it has a budget.");
	put_budget(o, s, own, false, "budget_limit_seconds");
	family(o, "budget_used_seconds", "gauge", "GPU time of the budget that is used.");
	put_budget(o, s, own, true, "budget_used_seconds");
}

/* ---- brokers ------------------------------------------------------------------------ */

static void put_broker_states(struct out *o, const struct snapshot *s)
{
	family(o, "brokers", "gauge",
	       "Brokers by state; the slot of a dead one is free for the next.");
	for (uint32_t state = K2K_BROKER_ACTIVE; state <= K2K_BROKER_UNKNOWN; state++) {
		uint64_t count = 0;

		for (size_t i = 0; i < s->broker_count; i++)
			count += s->brokers[i].state == state;
		series(o, "brokers", COUNT, count, ",state=\"%s\"", snapshot_broker_state(state));
	}
	single(o, "broker_places", "gauge", COUNT, K2K_BROKERS_MAX,
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

static void put_brokers(struct out *o, const struct snapshot *s)
{
	static const struct {
		const char *name;
		uint64_t (*value)(const struct k2k_broker_info *b);
		enum unit unit;
		const char *help;
	} gauges[] = {
		{ "broker_stopped", broker_stopped, COUNT,
		  "1: the broker is alive but does not run (SIGSTOP, a debugger)." },
		{ "broker_attached_timestamp_seconds", broker_attached, SECONDS,
		  "When the broker attached, since 1970." },
		{ "broker_kernels_held", broker_kernels, COUNT,
		  "Kernel slots that the broker holds." },
		{ "broker_gpu_memory_held_bytes", broker_memory, COUNT,
		  "GPU memory that the broker holds." },
		{ "broker_grace_periods_behind", broker_behind, COUNT,
		  "Grace periods that the broker has not answered; above 0, what was deregistered "
		  "can't "
		  "be used again." },
	};
	char comm[sizeof(s->brokers->comm) + 1];

	family(o, "broker_info", "gauge", "A broker that is attached and not dead: always 1.");
	for (size_t i = 0; i < s->broker_count; i++) {
		const struct k2k_broker_info *b = &s->brokers[i];

		if (b->state != K2K_BROKER_DEAD)
			series(o, "broker_info", COUNT, 1,
			       ",slot=\"%lu\",pid=\"%llu\",command=\"%s\"", (unsigned long)b->slot,
			       (unsigned long long)b->pid,
			       label_text(comm, sizeof(comm), b->comm, sizeof(b->comm)));
	}
	for (size_t g = 0; g < sizeof(gauges) / sizeof(gauges[0]); g++) {
		family(o, gauges[g].name, "gauge", gauges[g].help);
		for (size_t i = 0; i < s->broker_count; i++)
			if (s->brokers[i].state != K2K_BROKER_DEAD)
				series(o, gauges[g].name, gauges[g].unit,
				       gauges[g].value(&s->brokers[i]), ",slot=\"%lu\"",
				       (unsigned long)s->brokers[i].slot);
	}
}

/* ---- the registry --------------------------------------------------------------------- */

static void put_tables(struct out *o, const struct k2k_registry_info *r)
{
	const struct {
		const char *name;
		const struct k2k_table_info *table;
	} tables[] = {
		{ "tenants", &r->tenants },
		{ "engagements", &r->engagements },
		{ "leases", &r->leases },
		{ "budgets", &r->budgets },
	};

	family(o, "table_used_records", "gauge", "Records in use.");
	for (size_t i = 0; i < 4; i++)
		series(o, "table_used_records", COUNT, tables[i].table->used, ",table=\"%s\"",
		       tables[i].name);
	family(o, "table_retired_records", "gauge",
	       "Records that wait for a grace period before they can be used again.");
	for (size_t i = 0; i < 4; i++)
		series(o, "table_retired_records", COUNT, tables[i].table->retired, ",table=\"%s\"",
		       tables[i].name);
	family(o, "table_capacity_records", "gauge",
	       "Records in the table; fixed when the registry is created.");
	for (size_t i = 0; i < 4; i++)
		series(o, "table_capacity_records", COUNT, tables[i].table->capacity,
		       ",table=\"%s\"", tables[i].name);
}

static void put_registry(struct out *o, const struct k2k_registry_info *r)
{
	char uuid[sizeof(r->uuid) + 1];

	family(o, "registry_info", "gauge", "The registry's identity: always 1.");
	series(o, "registry_info", COUNT, 1, ",uuid=\"%s\",layout=\"%lu\",library=\"%s\"",
	       label_text(uuid, sizeof(uuid), r->uuid, sizeof(r->uuid)),
	       (unsigned long)r->layout_version, k2k_version());
	single(o, "registry_created_timestamp_seconds", "gauge", SECONDS, r->created_at_ns,
	       "When the registry was created, since 1970.");
	family(o, "registry_size_bytes", "gauge", "Shared memory that the registry uses.");
	series(o, "registry_size_bytes", COUNT, r->defs_bytes, ",object=\"defs\"");
	series(o, "registry_size_bytes", COUNT, r->live_bytes, ",object=\"live\"");
	single(o, "tenant_registrations_total", "counter", COUNT, r->generation,
	       "Registrations of tenants since creation.");
	single(o, "gpu_cut_seconds_total", "counter", SECONDS, r->cut_gpu_ns,
	       "GPU time of corrupt records that a repair removed and that belong to no known "
	       "tenant.");
	single(o, "unknown_tenant_requests_total", "counter", COUNT, r->unknown_tenant_total,
	       "Requests for tenants that are not registered.");
	single(o, "cross_tenant_attempts_total", "counter", COUNT, r->cross_tenant_total,
	       "Messages to another tenant's kernel, all rejected.");
	put_tables(o, r);
}

static void put_audit_kinds(struct out *o, const char *name,
                            const uint64_t counts[K2K_AUDIT_KINDS_MAX], const char *help)
{
	family(o, name, "counter", help);
	for (uint32_t kind = 1; kind < K2K_AUDIT_KINDS_MAX; kind++)
		if (strcmp(k2k_audit_kind_name(kind), "unknown"))
			series(o, name, COUNT, counts[kind], ",kind=\"%s\"",
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

static void put_audit(struct out *o, const struct snapshot *s)
{
	const struct k2k_audit_stats *a = &s->audit;

	put_audit_kinds(o, "audit_events_written_total", a->written_by_kind,
	                "Events written to the audit trail.");
	put_audit_kinds(o, "audit_repeats_total", a->coalesced_by_kind,
	                "Repeats that were counted in an event written before.");
	put_audit_kinds(o, "audit_events_lost_total", a->lost_by_kind,
	                "Events that could not be written to the audit trail, by kind; kind "
	                "overwritten: events that were overwritten before a follower kept them.");
	series(o, "audit_events_lost_total", COUNT, overwritten(s), ",kind=\"overwritten\"");
	single(o, "audit_required", "gauge", COUNT,
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

static void put_followers(struct out *o, const struct snapshot *s)
{
	static const struct {
		const char *name, *type;
		uint64_t (*value)(const struct k2k_audit_follower_info *f);
		enum unit unit;
		const char *help;
	} all[] = {
		{ "audit_follower_up", "gauge", follower_up, COUNT,
		  "1: the follower keeps the audit trail; 0: it is dead, silent, or can't write." },
		{ "audit_follower_lag_events", "gauge", follower_lag, COUNT,
		  "Events that the follower has not kept yet." },
		{ "audit_follower_silence_seconds", "gauge", follower_silence, SECONDS,
		  "Time since the follower last reported what it has kept." },
		{ "audit_follower_failing", "gauge", follower_failing, COUNT,
		  "1: the follower can't write its log." },
		{ "audit_follower_failures_total", "counter", follower_failures, COUNT,
		  "How often the follower began to fail." },
		{ "audit_damaged_rings_total", "counter", follower_damaged, COUNT,
		  "Audit rings that the follower found damaged." },
	};
	char comm[sizeof(s->followers->comm) + 1];

	for (size_t g = 0; g < sizeof(all) / sizeof(all[0]); g++) {
		family(o, all[g].name, all[g].type, all[g].help);
		for (size_t i = 0; i < s->follower_count; i++)
			if (s->followers[i].state != K2K_FOLLOWER_NONE)
				series(o, all[g].name, all[g].unit, all[g].value(&s->followers[i]),
				       ",follower=\"%lu\",command=\"%s\"",
				       (unsigned long)s->followers[i].index,
				       label_text(comm, sizeof(comm), s->followers[i].comm,
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

static void put_snapshot(struct out *o, const struct snapshot *s, const bool *own,
                         const struct metrics_past *past)
{
	uint64_t summed = 0;

	for (size_t i = 0; i < s->tenant_count; i++)
		summed += !own[i];
	put_registry(o, &s->registry);
	put_audit(o, s);
	put_followers(o, s);
	put_broker_states(o, s);
	put_brokers(o, s);
	single(o, "tenants", "gauge", COUNT, s->tenant_count, "Tenants registered.");
	single(o, "tenants_damaged", "gauge", COUNT, s->damaged_count,
	       "Tenants whose window or leases a broker has corrupted: their unknown numbers are "
	       "left out until a repair.");
	single(o, "tenants_summed", "gauge", COUNT, summed,
	       "Tenants without series of their own, summed as tenant=\"other\".");
	put_tenants(o, s, own, past);
	put_budgets(o, s, own + s->tenant_count);
	single(o, "collect_duration_seconds", "gauge", SECONDS, s->took_ns,
	       "Time that reading the registry took.");
}

int metrics_text(const char *registry, const struct snapshot *s, uint64_t max_series,
                 struct metrics_past *past, char **text, size_t *length)
{
	struct metrics_past none = { 0 };
	struct out o = { .registry = registry };
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
		single(&o, "up", "gauge", COUNT, s != NULL,
		       "1: the registry can be read; 0: it can't, and there are no other metrics.");
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
