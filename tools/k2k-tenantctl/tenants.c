/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tenants.h"
#include "output.h"
#include "rates.h"
#include "common/thresholds.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- reading -------------------------------------------------------------- */

static int by_number(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_ids(const void *a, const void *b)
{
	return by_number(*(const k2k_tenant_id *)a, *(const k2k_tenant_id *)b);
}

static int compare_usage(const void *a, const void *b)
{
	const struct k2k_usage_info *x = a, *y = b;

	return x->id != y->id ? by_number(x->id, y->id) : by_number(x->generation, y->generation);
}

static int compare_budgets(const void *a, const void *b)
{
	const struct k2k_budget_info *x = a, *y = b;
	int order = by_number(x->id, y->id);

	if (!order)
		order = by_number(x->generation, y->generation);
	return order ? order : by_number(x->engagement_id, y->engagement_id);
}

/*
 * Each tenant's GPU time and budgets are found by binary search in lists that are sorted once, so
 * that 100,000 tenants take n log n. The generation is compared too: a tenant may have been
 * deregistered and registered again between two calls.
 */
static void sum_usage(const struct k2k_usage_info *usage, size_t count, struct tenant *t)
{
	const struct k2k_usage_info key = { .id = t->info.id, .generation = t->info.generation };
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_usage(&usage[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < count && !compare_usage(&usage[low], &key); low++) {
		int64_t by = usage[low].corrected_ns;

		if (__builtin_add_overflow(t->gpu_ns_total, usage[low].gpu_ns, &t->gpu_ns_total))
			t->gpu_ns_total = UINT64_MAX;
		if (__builtin_add_overflow(t->corrected_ns, by, &t->corrected_ns))
			t->corrected_ns = by < 0 ? INT64_MIN : INT64_MAX;
		if (__builtin_add_overflow(t->reserved_ns, usage[low].reserved_ns, &t->reserved_ns))
			t->reserved_ns = UINT64_MAX;
	}
}

static void find_budgets(const struct k2k_budget_info *budgets, size_t count, struct tenant *t)
{
	const struct k2k_budget_info key = { .id = t->info.id, .generation = t->info.generation };
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_budgets(&budgets[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	t->first_budget = low;
	while (low < count && budgets[low].id == key.id &&
	       budgets[low].generation == key.generation)
		low++;
	t->budget_count = low - t->first_budget;
}

/* `of` is one tenant, whose lists are short, or all: cheaper than a walk for each of several. */
static int load_lists(struct ctl *ctl, struct k2k_registry *reg, k2k_tenant_id of,
                      struct tenants *tenants)
{
	struct k2k_usage_info *usage = NULL;
	size_t usage_count = 0;
	int code = fetch_list(reg, LIST_USAGE, of, (void **)&usage, &usage_count);

	if (!code)
		code = fetch_list(reg, LIST_BUDGETS, of, (void **)&tenants->budgets,
		                  &tenants->budget_count);
	if (code) {
		free(usage);
		/* it was deregistered between two calls */
		return code == K2K_ENOTENANT ? fail_tenant(ctl, code, of, false)
		                             : fail(ctl, code, "registry '%s'", ctl->registry);
	}
	qsort(usage, usage_count, sizeof(*usage), compare_usage);
	qsort(tenants->budgets, tenants->budget_count, sizeof(*tenants->budgets), compare_budgets);
	for (size_t i = 0; i < tenants->count; i++) {
		struct tenant *t = &tenants->rows[i];

		sum_usage(usage, usage_count, t);
		find_budgets(tenants->budgets, tenants->budget_count, t);
	}
	free(usage);
	return 0;
}

int tenants_load(struct ctl *ctl, struct k2k_registry *reg, const k2k_tenant_id *ids, size_t count,
                 bool skip_missing, struct tenants *tenants)
{
	*tenants = (struct tenants){ 0 };
	tenants->rows = check_memory(calloc(count + 1, sizeof(*tenants->rows)));
	for (size_t i = 0; i < count; i++) {
		struct tenant *t = &tenants->rows[tenants->count];
		int code;

		t->info.size = sizeof(t->info);
		code = k2k_tenant_get(reg, ids[i], &t->info);
		if (!code) {
			tenants->count++;
		} else if (t->info.flags & K2K_TENANT_DAMAGED) {
			/* report it, but print what could be read of it, and the others */
			fail_tenant(ctl, code, ids[i], true);
			t->info.flags = 0;
			tenants->damaged++;
			tenants->count++;
		} else if (code != K2K_ENOTENANT || !skip_missing) {
			int exit_code = fail_tenant(ctl, code, ids[i], count > 1);

			if (count == 1) {
				tenants_free(tenants);
				return exit_code;
			}
		}
	}
	if (tenants->count) {
		bool one = count == 1 && !skip_missing;
		int exit_code = load_lists(ctl, reg, one ? ids[0] : K2K_TENANT_UNSPECIFIED,
		                           tenants);

		if (exit_code) {
			tenants_free(tenants);
			return exit_code;
		}
	}
	return 0;
}

int tenants_load_all(struct ctl *ctl, struct k2k_registry *reg, struct tenants *tenants)
{
	k2k_tenant_id *ids;
	size_t count;
	int code = fetch_list(reg, LIST_TENANT_IDS, 0, (void **)&ids, &count), exit_code;

	*tenants = (struct tenants){ 0 };
	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	qsort(ids, count, sizeof(*ids), compare_ids);
	exit_code = tenants_load(ctl, reg, ids, count, true, tenants);
	free(ids);
	return exit_code;
}

int tenants_load_limits(struct k2k_registry *reg, k2k_tenant_id id, struct tenants *tenants)
{
	int code;

	*tenants = (struct tenants){ .rows = check_memory(calloc(1, sizeof(*tenants->rows))) };
	tenants->rows[0].info.size = sizeof(tenants->rows[0].info);
	code = k2k_tenant_get(reg, id, &tenants->rows[0].info);
	/* brokers can corrupt its usage, but not its limits */
	if (!code || tenants->rows[0].info.flags & K2K_TENANT_DAMAGED)
		code = fetch_list(reg, LIST_BUDGETS, id, (void **)&tenants->budgets,
		                  &tenants->budget_count);
	if (code) {
		tenants_free(tenants);
		return code;
	}
	qsort(tenants->budgets, tenants->budget_count, sizeof(*tenants->budgets), compare_budgets);
	tenants->rows[0].budget_count = tenants->budget_count;
	tenants->count = 1;
	return 0;
}

void tenants_free(struct tenants *tenants)
{
	free(tenants->rows);
	free(tenants->budgets);
	*tenants = (struct tenants){ 0 };
}

/* ---- printing ------------------------------------------------------------- */

static uint64_t saturating_sum(const struct k2k_rejected *r)
{
	uint64_t sum = r->rate;

	if (__builtin_add_overflow(sum, r->budget, &sum) ||
	    __builtin_add_overflow(sum, r->kernels, &sum) ||
	    __builtin_add_overflow(sum, r->gpu_memory, &sum))
		sum = UINT64_MAX;
	return sum;
}

static uint64_t kernels_limit(uint32_t kernels)
{
	return kernels == K2K_UNLIMITED_KERNELS ? UINT64_MAX : kernels;
}

static void json_budgets(json_object *array, const struct tenants *tenants, const struct tenant *t)
{
	static const struct field fields[] = {
		{ "engagement", NULL, KIND_ID, 0 },
		{ "budget_ns", NULL, KIND_NS, 0 },
		{ "used_ns", NULL, KIND_NS, 0 },
		{ "reserved_ns", NULL, KIND_NS, 0 },
		{ "renewal", NULL, KIND_TEXT, 0 },
		{ "period", NULL, KIND_TOTAL, 0 },
		{ "began_at_ns", NULL, KIND_TOTAL, FIELD_NONE },
		{ "renews_at_ns", NULL, KIND_TOTAL, FIELD_NONE },
		{ "corrected_ns", NULL, KIND_SIGNED_NS, 0 },
		{ "alerted_percent", NULL, KIND_COUNT, 0 },
	};
	size_t before = json_object_array_length(array);

	if (before)
		json_object_array_del_idx(array, 0, before);
	for (size_t i = 0; i < t->budget_count; i++) {
		const struct k2k_budget_info *b = &tenants->budgets[t->first_budget + i];
		const struct value values[] = { NUMBER(b->engagement_id),
			                        NUMBER(b->budget_ns),
			                        NUMBER(b->used_ns),
			                        NUMBER(b->reserved_ns),
			                        TEXT(units_renewal_name(b->renewal)),
			                        NUMBER(b->period),
			                        NUMBER(b->period ? b->began_at_ns : UINT64_MAX),
			                        NUMBER(b->period ? b->renews_at_ns : UINT64_MAX),
			                        NUMBER((uint64_t)b->corrected_ns),
			                        NUMBER(b->alerted) };

		json_append_row(array, fields, values, sizeof(values) / sizeof(values[0]));
	}
}

#define ALERTED_TEXT 80

static void add_alerted(char text[ALERTED_TEXT], const char *limit, uint32_t percent)
{
	size_t length = strlen(text);

	if (percent)
		snprintf(text + length, ALERTED_TEXT - length, "%s%s %" PRIu32 "%%",
		         length ? ", " : "", limit, percent);
}

/* Which limits have reached which threshold: "rate 80%, kernels 50%"; null: none. */
static const char *alerted_text(char text[ALERTED_TEXT], const struct tenants *tenants,
                                const struct tenant *t)
{
	uint32_t budgets = 0;

	for (size_t i = 0; i < t->budget_count; i++)
		if (tenants->budgets[t->first_budget + i].alerted > budgets)
			budgets = tenants->budgets[t->first_budget + i].alerted;
	text[0] = 0;
	add_alerted(text, "rate", t->info.alerted_rate);
	add_alerted(text, "budget", budgets);
	add_alerted(text, "kernels", t->info.alerted_kernels);
	add_alerted(text, "memory", t->info.alerted_gpu_memory);
	return text[0] ? text : NULL;
}

static void print_row(struct list *list, const struct tenants *tenants, const struct tenant *t,
                      json_object *budgets)
{
	const struct k2k_tenant_info *i = &t->info;
	const struct rate rate = rate_of_tenant(i);
	char alerts[THRESHOLDS_TEXT], alerted[ALERTED_TEXT];
	const struct value values[COL_TENANT_COUNT] = {
		[COL_TENANT_ID] = NUMBER(i->id),
		[COL_TENANT_GENERATION] = NUMBER(i->generation),
		[COL_TENANT_REGISTERED] = NUMBER(i->registered_at_ns),
		[COL_TENANT_RATE] = { .number = i->max_messages_per_sec,
		                      .none = rate.number != UINT64_MAX &&
		                              rate.period != K2K_PERIOD_SECOND },
		[COL_TENANT_RATE_NUMBER] = { .number = rate.number, .period = rate.period },
		[COL_TENANT_RATE_PERIOD] = TEXT(units_period_name(rate.period)),
		[COL_TENANT_RATE_POLICY] = TEXT(rate_policy_name(rate.policy)),
		[COL_TENANT_BURST] = NUMBER(rate.policy == K2K_RATE_BUCKET ? rate.burst
		                                                           : UINT64_MAX),
		[COL_TENANT_ALONE] = { .number = i->rate_alone, .none = !rate.shared },
		[COL_TENANT_HOLDS] = { .number = i->rate_holds, .none = !rate.shared },
		[COL_TENANT_KERNELS] = NUMBER(kernels_limit(i->max_concurrent_kernels)),
		[COL_TENANT_GPU_MEMORY] = NUMBER(i->max_gpu_memory_bytes),
		[COL_TENANT_BUDGET_LIST] = { .json = budgets },
		[COL_TENANT_BUDGETS] = NUMBER(t->budget_count),
		[COL_TENANT_ADMITTED] = NUMBER(i->admitted_total),
		[COL_TENANT_REJECTED] = NUMBER(saturating_sum(&i->rejected_total)),
		[COL_TENANT_BY_RATE] = NUMBER(i->rejected_total.rate),
		[COL_TENANT_BY_BUDGET] = NUMBER(i->rejected_total.budget),
		[COL_TENANT_BY_KERNELS] = NUMBER(i->rejected_total.kernels),
		[COL_TENANT_BY_MEMORY] = NUMBER(i->rejected_total.gpu_memory),
		[COL_TENANT_GPU_TIME] = NUMBER(t->gpu_ns_total),
		[COL_TENANT_UNATTRIBUTED] = NUMBER(i->unattributed_ns),
		[COL_TENANT_RESERVED] = NUMBER(t->reserved_ns),
		[COL_TENANT_THIS_SECOND] = NUMBER(i->messages_this_second),
		[COL_TENANT_KERNELS_HELD] = NUMBER(i->kernels),
		[COL_TENANT_MEMORY_HELD] = NUMBER(i->gpu_memory_bytes),
		[COL_TENANT_NAME] = TEXT(i->name[0] ? i->name : NULL),
		[COL_TENANT_SHADOW] = NUMBER(i->shadow),
		[COL_TENANT_SUSPENDED] = NUMBER(i->suspended),
		[COL_TENANT_SHADOW_REJECTED] = NUMBER(saturating_sum(&i->shadow_rejected_total)),
		[COL_TENANT_SHADOW_RATE] = NUMBER(i->shadow_rejected_total.rate),
		[COL_TENANT_SHADOW_BUDGET] = NUMBER(i->shadow_rejected_total.budget),
		[COL_TENANT_SHADOW_KERNELS] = NUMBER(i->shadow_rejected_total.kernels),
		[COL_TENANT_SHADOW_MEMORY] = NUMBER(i->shadow_rejected_total.gpu_memory),
		[COL_TENANT_BY_SUSPENSION] = NUMBER(i->suspended_rejected_total),
		[COL_TENANT_CORRECTED] = NUMBER((uint64_t)t->corrected_ns),
		[COL_TENANT_ALERTS] = TEXT(i->alerts[0] ? thresholds_print(alerts, i->alerts)
		                                        : NULL),
		[COL_TENANT_ALERTED] = TEXT(alerted_text(alerted, tenants, t)),
		[COL_TENANT_ALERTED_RATE] = NUMBER(i->alerted_rate),
		[COL_TENANT_ALERTED_KERNELS] = NUMBER(i->alerted_kernels),
		[COL_TENANT_ALERTED_MEMORY] = NUMBER(i->alerted_gpu_memory),
	};

	if (budgets)
		json_budgets(budgets, tenants, t);
	list_row(list, values);
}

/* ", renews 2026-12-01T00:00:00Z", or "". */
static const char *renews_text(char *text, size_t room, const struct k2k_budget_info *budget)
{
	time_t seconds = (time_t)(budget->renews_at_ns / 1000000000);
	struct tm tm;

	text[0] = 0;
	if (budget->period && gmtime_r(&seconds, &tm))
		strftime(text, room, ", renews %Y-%m-%dT%H:%M:%SZ", &tm);
	return text;
}

static void print_block(const struct ctl *ctl, const struct tenants *tenants,
                        const struct tenant *t)
{
	const struct k2k_tenant_info *i = &t->info;
	const struct rate rate = rate_of_tenant(i);
	char limit_of_rate[RATE_TEXT], counted[32];
	char alerts[THRESHOLDS_TEXT], alerted[ALERTED_TEXT];
	const char *reached = alerted_text(alerted, tenants, t);
	const struct field fields[] = {
		{ NULL, "tenant", KIND_ID, 0 },
		{ NULL, "name", KIND_TEXT, 0 },
		{ NULL, "suspended", KIND_BOOL, 0 },
		{ NULL, "limits in shadow", KIND_BOOL, 0 },
		{ NULL, "alerts at", KIND_TEXT, 0 },
		{ NULL, "  reached", KIND_TEXT, 0 },
		{ NULL, "generation", KIND_ID, 0 },
		{ NULL, "registered", KIND_TIME, 0 },
		{ NULL, "rate", KIND_TEXT, 0 },
		{ NULL, "  in force", KIND_TEXT, 0 },
		{ NULL, counted, KIND_TOTAL, 0 },
		{ NULL, "kernels", KIND_COUNT, FIELD_LIMIT },
		{ NULL, "  held", KIND_COUNT, 0 },
		{ NULL, "GPU memory", KIND_BYTES, FIELD_LIMIT },
		{ NULL, "  held", KIND_BYTES, 0 },
		{ NULL, "admitted", KIND_TOTAL, 0 },
		{ NULL, "rejected by rate", KIND_TOTAL, 0 },
		{ NULL, "  by budget", KIND_TOTAL, 0 },
		{ NULL, "  by kernels", KIND_TOTAL, 0 },
		{ NULL, "  by GPU memory", KIND_TOTAL, 0 },
		{ NULL, "  as suspended", KIND_TOTAL, 0 },
		{ NULL, "in shadow, by rate", KIND_TOTAL, 0 },
		{ NULL, "  by budget", KIND_TOTAL, 0 },
		{ NULL, "  by kernels", KIND_TOTAL, 0 },
		{ NULL, "  by GPU memory", KIND_TOTAL, 0 },
		{ NULL, "GPU time", KIND_NS, 0 },
		{ NULL, "  corrected by", KIND_SIGNED_NS, 0 },
		{ NULL, "  unattributed", KIND_NS, 0 },
		{ NULL, "  reserved", KIND_NS, 0 },
	};
	const struct value values[] = {
		NUMBER(i->id),
		TEXT(i->name[0] ? i->name : NULL),
		NUMBER(i->suspended),
		NUMBER(i->shadow),
		TEXT(i->alerts[0] ? thresholds_print(alerts, i->alerts) : "none"),
		TEXT(reached ? reached : "none"),
		NUMBER(i->generation),
		NUMBER(i->registered_at_ns),
		TEXT(rate_print(limit_of_rate, &rate)),
		TEXT(!rate.shared    ? "always"
		     : i->rate_holds ? "the share"
		                     : "alone"),
		NUMBER(i->messages_this_second),
		NUMBER(kernels_limit(i->max_concurrent_kernels)),
		NUMBER(i->kernels),
		NUMBER(i->max_gpu_memory_bytes),
		NUMBER(i->gpu_memory_bytes),
		NUMBER(i->admitted_total),
		NUMBER(i->rejected_total.rate),
		NUMBER(i->rejected_total.budget),
		NUMBER(i->rejected_total.kernels),
		NUMBER(i->rejected_total.gpu_memory),
		NUMBER(i->suspended_rejected_total),
		NUMBER(i->shadow_rejected_total.rate),
		NUMBER(i->shadow_rejected_total.budget),
		NUMBER(i->shadow_rejected_total.kernels),
		NUMBER(i->shadow_rejected_total.gpu_memory),
		NUMBER(t->gpu_ns_total),
		NUMBER((uint64_t)t->corrected_ns),
		NUMBER(i->unattributed_ns),
		NUMBER(t->reserved_ns),
	};
	struct libscols_table *block = block_begin(ctl);

	snprintf(counted, sizeof(counted), "  in this %s",
	         rate.policy == K2K_RATE_BUCKET ? "burst" : units_period_name(rate.period));
	block_fields(block, fields, values, sizeof(fields) / sizeof(fields[0]));
	for (size_t b = 0; b < t->budget_count; b++) {
		const struct k2k_budget_info *budget = &tenants->budgets[t->first_budget + b];
		char heading[64], text[200], renews[64], used[UNITS_TEXT], limit[UNITS_TEXT],
			reserved[UNITS_TEXT];

		snprintf(heading, sizeof(heading), "budget %" PRIu64, budget->engagement_id);
		snprintf(text, sizeof(text), "%s, used %s%s%s%s",
		         units_print_renewing(limit, budget->budget_ns, budget->renewal),
		         units_print_duration(used, budget->used_ns),
		         budget->reserved_ns ? ", reserved " : "",
		         budget->reserved_ns ? units_print_duration(reserved, budget->reserved_ns)
		                             : "",
		         renews_text(renews, sizeof(renews), budget));
		block_line(block, heading, text);
	}
	block_end(block);
}

static const struct field totals_fields[] = {
	{ "id", "TENANT", KIND_ID, 0 },
	{ "generation", "GENERATION", KIND_ID, 0 },
	{ "final", "FINAL", KIND_BOOL, 0 },
	{ "usage.admitted_total", "ADMITTED", KIND_TOTAL, 0 },
	{ NULL, "REJECTED", KIND_TOTAL, 0 },
	{ "usage.rejected_total.rate", NULL, KIND_TOTAL, 0 },
	{ "usage.rejected_total.budget", NULL, KIND_TOTAL, 0 },
	{ "usage.rejected_total.kernels", NULL, KIND_TOTAL, 0 },
	{ "usage.rejected_total.gpu_memory", NULL, KIND_TOTAL, 0 },
	{ "usage.gpu_ns_total", "GPU-TIME", KIND_NS, 0 },
	{ "usage.unattributed_ns", "UNATTRIBUTED", KIND_NS, 0 },
	{ "usage.kernels", "KERNELS-ENDED", KIND_COUNT, 0 },
	{ "usage.gpu_memory_bytes", "MEMORY-ENDED", KIND_BYTES, 0 },
	{ "usage.shadow_rejected_total.rate", NULL, KIND_TOTAL, 0 },
	{ "usage.shadow_rejected_total.budget", NULL, KIND_TOTAL, 0 },
	{ "usage.shadow_rejected_total.kernels", NULL, KIND_TOTAL, 0 },
	{ "usage.shadow_rejected_total.gpu_memory", NULL, KIND_TOTAL, 0 },
	{ "usage.suspended_rejected_total", NULL, KIND_TOTAL, 0 },
	{ "usage.corrected_ns", "CORRECTED", KIND_SIGNED_NS, 0 },
};
#define TOTALS_FIELDS (sizeof(totals_fields) / sizeof(totals_fields[0]))
static const struct table totals_table = { "tenants", totals_fields, TOTALS_FIELDS, NULL, 0 };

static void totals_values(const struct k2k_tenant_totals *t, struct value values[TOTALS_FIELDS])
{
	const struct value all[TOTALS_FIELDS] = {
		NUMBER(t->id),
		NUMBER(t->generation),
		NUMBER(t->final),
		NUMBER(t->admitted_total),
		NUMBER(saturating_sum(&t->rejected_total)),
		NUMBER(t->rejected_total.rate),
		NUMBER(t->rejected_total.budget),
		NUMBER(t->rejected_total.kernels),
		NUMBER(t->rejected_total.gpu_memory),
		NUMBER(t->gpu_ns_total),
		NUMBER(t->unattributed_ns),
		NUMBER(t->kernels),
		NUMBER(t->gpu_memory_bytes),
		NUMBER(t->shadow_rejected_total.rate),
		NUMBER(t->shadow_rejected_total.budget),
		NUMBER(t->shadow_rejected_total.kernels),
		NUMBER(t->shadow_rejected_total.gpu_memory),
		NUMBER(t->suspended_rejected_total),
		NUMBER((uint64_t)t->corrected_ns),
	};

	memcpy(values, all, sizeof(all));
}

static json_object *totals_json(const struct k2k_tenant_totals *totals, size_t count)
{
	json_object *array = json_new_list();

	for (size_t i = 0; i < count; i++) {
		struct value values[TOTALS_FIELDS];

		totals_values(&totals[i], values);
		json_append_row(array, totals_fields, values, TOTALS_FIELDS);
	}
	return array;
}

static void print_list(struct ctl *ctl, const struct tenants *tenants, const struct extra *extra)
{
	json_object *budgets = NULL;
	struct list list;

	if (ctl->format == FORMAT_JSON)
		budgets = json_new_list();
	list_begin(&list, ctl, &tenants_table, extra);
	for (size_t i = 0; i < tenants->count; i++)
		print_row(&list, tenants, &tenants->rows[i], budgets);
	list_end(&list);
	json_object_put(budgets);
}

void tenants_print_applied(struct ctl *ctl, const struct tenants *tenants,
                           const struct applied *applied)
{
	static const struct field fields[] = {
		{ "registered", NULL, KIND_COUNT, 0 },   { "updated", NULL, KIND_COUNT, 0 },
		{ "deregistered", NULL, KIND_COUNT, 0 }, { "unchanged", NULL, KIND_COUNT, 0 },
		{ "totals", NULL, KIND_JSON, 0 },
	};
	json_object *totals = NULL;

	if (ctl->format == FORMAT_JSON)
		totals = totals_json(applied->totals, applied->deregistered);
	const struct value values[] = {
		NUMBER(applied->registered),
		NUMBER(applied->updated),
		NUMBER(applied->deregistered),
		NUMBER(applied->unchanged),
		{ .json = totals },
	};

	print_list(ctl, tenants, &(const struct extra){ fields, values, 5 });
	json_object_put(totals);
}

void tenants_print(struct ctl *ctl, const struct tenants *tenants, bool blocks)
{
	if (!blocks || ctl->format != FORMAT_TABLE) {
		print_list(ctl, tenants, NULL);
		return;
	}
	for (size_t i = 0; i < tenants->count; i++) {
		if (i)
			putchar('\n');
		print_block(ctl, tenants, &tenants->rows[i]);
	}
}

void tenants_print_changed(struct ctl *ctl, const struct tenants *tenants, json_object *differences)
{
	static const struct field field = { "differences", NULL, KIND_JSON, 0 };

	const struct value value = { .json = differences };

	print_list(ctl, tenants, differences ? &(const struct extra){ &field, &value, 1 } : NULL);
}

void totals_print(struct ctl *ctl, const struct k2k_tenant_totals *totals, size_t count)
{
	struct list list;

	list_begin(&list, ctl, &totals_table, NULL);
	for (size_t i = 0; i < count; i++) {
		struct value values[TOTALS_FIELDS];

		totals_values(&totals[i], values);
		list_row(&list, values);
	}
	list_end(&list);
}
