/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "status.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/printable.h"
#include "common/thresholds.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * Each tenant and broker is a JSON object of its own, which is written and freed before the next.
 * So a list of a hundred thousand needs no more memory than its text.
 */

/* The registry does not check these bytes, and invalid UTF-8 would make all of the text invalid. */
static void put_name(json_object *object, const char *key, const char *bytes, size_t size)
{
	char text[64];

	json_put_text(object, key, printable_copy(text, sizeof(text), bytes, size));
}

static void put_table(json_object *tables, const char *name, const struct k2k_table_info *table)
{
	json_object *m = json_new();

	json_put_count(m, "used", table->used);
	json_put_count(m, "retired", table->retired);
	json_put_count(m, "capacity", table->capacity);
	json_put(tables, name, m);
}

static void put_registry(json_object *m, const struct snapshot *s)
{
	const struct k2k_registry_info *r = &s->registry;
	json_object *tables = json_new(), *audit = json_new(), *shares = json_new();
	uint64_t written = 0, repeats = 0, lost = 0;

	json_put_u64(m, "taken_ns", s->taken_ns);
	json_put_u64(m, "taken_at_ns", clock_wall_ns() - (clock_monotonic_ns() - s->taken_ns));
	json_put_u64(m, "took_ns", s->took_ns);
	put_name(m, "uuid", r->uuid, sizeof(r->uuid));
	json_put_u64(m, "created_at_ns", r->created_at_ns);
	json_put_u64(m, "unknown_tenant_total", r->unknown_tenant_total);
	json_put_u64(m, "cross_tenant_total", r->cross_tenant_total);
	put_table(tables, "tenants", &r->tenants);
	put_table(tables, "engagements", &r->engagements);
	put_table(tables, "leases", &r->leases);
	put_table(tables, "budgets", &r->budgets);
	put_table(tables, "kernels", &s->kernel_table);
	json_put(m, "tables", tables);
	for (uint32_t kind = 1; kind < K2K_AUDIT_KINDS_MAX; kind++) {
		written += s->audit.written_by_kind[kind];
		repeats += s->audit.coalesced_by_kind[kind];
		lost += s->audit.lost_by_kind[kind];
	}
	json_put_u64(audit, "written", written);
	json_put_u64(audit, "repeats", repeats);
	json_put_u64(audit, "lost", lost);
	json_put_bool(audit, "required", (r->flags & K2K_INFO_REQUIRE_AUDIT) != 0);
	json_put(m, "audit", audit);
	json_put_u64(shares, "hold_for_ns", snapshot_shares_left_ns(&s->shares));
	json_put_u64(shares, "ended_at_ns", s->shares_ended_at_ns);
	json_put_count(shares, "tenants_alone", s->alone_count);
	json_put(m, "shares", shares);
	json_put_bool(m, "strict", (r->flags & K2K_INFO_STRICT) != 0);
	json_put_count(m, "broker_places", r->max_brokers);
	json_put_count(m, "tenants_damaged", s->damaged_count);
}

static void put_broker(FILE *out, const struct k2k_broker_info *b)
{
	json_object *m = json_new();

	json_put_count(m, "slot", b->slot);
	json_put_count(m, "pid", b->pid);
	put_name(m, "comm", b->comm, sizeof(b->comm));
	json_put_text(m, "state", snapshot_broker_state(b->state));
	json_put_u64(m, "attached_at_ns", b->attached_at_ns);
	json_put_count(m, "kernels", b->kernels);
	json_put_u64(m, "gpu_memory_bytes", b->gpu_memory_bytes);
	json_put_u64(m, "grace_behind", b->grace_behind);
	json_put_u64(m, "cross_tenant_total", b->cross_tenant_total);
	json_put_u64(m, "unknown_tenant_total", b->unknown_tenant_total);
	json_write(out, m);
}

static void put_follower(FILE *out, const struct k2k_audit_follower_info *f)
{
	json_object *m = json_new();

	json_put_count(m, "index", f->index);
	json_put_text(m, "state", snapshot_follower_state(f->state));
	put_name(m, "comm", f->comm, sizeof(f->comm));
	json_put_count(m, "pid", f->pid);
	json_put_limit(m, "said_ago_ns", f->said_ago_ns);
	json_put_u64(m, "failing_since_ns", f->failing_since_ns);
	json_put_u64(m, "behind", f->behind);
	json_put_u64(m, "overwritten", f->overwritten);
	json_put_u64(m, "lost_total", f->lost);
	json_write(out, m);
}

static void put_signed(json_object *object, const char *key, int64_t number)
{
	char text[UNITS_TEXT];

	snprintf(text, sizeof(text), "%" PRId64, number);
	json_put_text(object, key, text);
}

static json_object *budget_of(const struct k2k_budget_info *b)
{
	json_object *budget = json_new();

	json_put_u64(budget, "engagement", b->engagement_id);
	json_put_u64(budget, "budget_ns", b->budget_ns);
	json_put_u64(budget, "used_ns", b->used_ns);
	json_put_u64(budget, "reserved_ns", b->reserved_ns);
	json_put_text(budget, "renewal", units_renewal_name(b->renewal));
	json_put_u64(budget, "period", b->period);
	json_put_limit(budget, "began_at_ns", b->period ? b->began_at_ns : UINT64_MAX);
	json_put_limit(budget, "renews_at_ns", b->period ? b->renews_at_ns : UINT64_MAX);
	put_signed(budget, "corrected_ns", b->corrected_ns);
	json_put_count(budget, "alerted_percent", b->alerted);
	return budget;
}

static void put_quota(json_object *m, const struct k2k_tenant_info *t,
                      const struct k2k_budget_info *budgets, size_t count)
{
	json_object *quota = json_new(), *list = json_new_list();
	bool bucket = t->rate_policy == K2K_RATE_BUCKET;
	char alerts[THRESHOLDS_TEXT];

	/* of a longer period no number per second is true */
	json_put_limit(quota, "rate_per_sec",
	               t->rate_period == K2K_PERIOD_SECOND ? t->max_messages_per_sec : UINT64_MAX);
	json_put_limit(quota, "rate", t->max_messages_per_sec);
	json_put_text(quota, "rate_period", units_period_name(t->rate_period));
	json_put_text(quota, "rate_policy", bucket ? "bucket" : "window");
	json_put_limit(quota, "burst", bucket ? t->burst : UINT64_MAX);
	json_put_limit(quota, "rate_alone", t->rate_shared ? t->rate_alone : UINT64_MAX);
	if (t->max_concurrent_kernels == K2K_UNLIMITED_KERNELS)
		json_put(quota, "kernels", NULL);
	else
		json_put_count(quota, "kernels", t->max_concurrent_kernels);
	json_put_limit(quota, "gpu_memory_bytes", t->max_gpu_memory_bytes);
	for (size_t i = 0; i < count; i++)
		json_append(list, budget_of(&budgets[i]));
	json_put(quota, "budgets", list);
	json_put_bool(quota, "shadow", t->shadow != 0);
	json_put_text(quota, "alerts", t->alerts[0] ? thresholds_print(alerts, t->alerts) : NULL);
	json_put(m, "quota", quota);
}

static json_object *rejected_of(const struct k2k_rejected *counts)
{
	json_object *rejected = json_new();

	json_put_u64(rejected, "rate", counts->rate);
	json_put_u64(rejected, "budget", counts->budget);
	json_put_u64(rejected, "kernels", counts->kernels);
	json_put_u64(rejected, "gpu_memory", counts->gpu_memory);
	return rejected;
}

static void put_tenant(FILE *out, const struct snapshot_tenant *tenant,
                       const struct k2k_budget_info *budgets, size_t count)
{
	json_object *m = json_new(), *usage = json_new(), *alerted = json_new();
	const struct k2k_tenant_info *t = &tenant->info;

	json_put_u64(m, "id", t->id);
	json_put_text(m, "name", t->name[0] ? t->name : NULL);
	json_put_bool(m, "suspended", t->suspended != 0);
	json_put_u64(m, "generation", t->generation);
	json_put_u64(m, "registered_at_ns", t->registered_at_ns);
	put_quota(m, t, budgets, count);
	json_put_u64(usage, "admitted_total", t->admitted_total);
	json_put(usage, "rejected_total", rejected_of(&t->rejected_total));
	json_put(usage, "shadow_rejected_total", rejected_of(&t->shadow_rejected_total));
	json_put_u64(usage, "suspended_rejected_total", t->suspended_rejected_total);
	json_put_u64(usage, "gpu_ns_total", tenant->gpu_ns);
	put_signed(usage, "corrected_ns", tenant->corrected_ns);
	json_put_u64(usage, "unattributed_ns", t->unattributed_ns);
	json_put_u64(usage, "reserved_ns", tenant->reserved_ns);
	json_put_u64(usage, "messages_this_second", t->messages_this_second);
	json_put_count(usage, "kernels", t->kernels);
	json_put_u64(usage, "gpu_memory_bytes", t->gpu_memory_bytes);
	json_put_count(alerted, "rate", t->alerted_rate);
	json_put_count(alerted, "kernels", t->alerted_kernels);
	json_put_count(alerted, "gpu_memory", t->alerted_gpu_memory);
	json_put(usage, "alerted_percent", alerted);
	if (t->rate_shared)
		json_put_bool(usage, "rate_holds", t->rate_holds != 0);
	else
		json_put(usage, "rate_holds", NULL);
	json_put(m, "usage", usage);
	json_write(out, m);
}

static void put_lists(FILE *out, const struct snapshot *s)
{
	size_t budget = 0;

	fputs(",\"brokers\":[", out);
	for (size_t i = 0; i < s->broker_count; i++) {
		fputs(i ? "," : "", out);
		put_broker(out, &s->brokers[i]);
	}
	fputs("],\"followers\":[", out);
	for (size_t i = 0; i < s->follower_count; i++) {
		fputs(i ? "," : "", out);
		put_follower(out, &s->followers[i]);
	}
	fputs("],\"tenants\":[", out);
	/* both lists are sorted by generation */
	for (size_t i = 0; i < s->tenant_count; i++) {
		size_t first = budget;

		while (budget < s->budget_count &&
		       s->budgets[budget].generation == s->tenants[i].info.generation)
			budget++;
		fputs(i ? "," : "", out);
		put_tenant(out, &s->tenants[i], s->budgets + first, budget - first);
	}
	fputs("]", out);
}

static void put_failure(json_object *m, int code)
{
	const struct k2k_error_detail *detail = k2k_error_detail();
	json_object *failure = json_new();

	json_put_text(failure, "name", k2k_errname(code));
	json_put_text(failure, "message",
	              detail->code == code && detail->text[0] ? detail->text : k2k_strerror(code));
	json_put(m, "error", failure);
}

int status_text(const char *registry, int code, const struct snapshot *s, char **text,
                size_t *length)
{
	FILE *out = open_memstream(text, length);
	json_object *m;

	if (!out)
		return K2K_ENOMEM;
	m = json_new();
	json_put_text(m, "schema", "k2k-exporter/1");
	json_put_text(m, "registry", registry);
	json_put_text(m, "library", k2k_version());
	json_put_bool(m, "up", !code);
	if (code)
		put_failure(m, code);
	else
		put_registry(m, s);
	fputs("{", out);
	json_write_members(out, m);
	if (!code)
		put_lists(out, s);
	fputs("}\n", out);
	code = ferror(out) ? K2K_ENOMEM : 0;
	if (fclose(out) || code) {
		free(*text);
		return K2K_ENOMEM;
	}
	return 0;
}
