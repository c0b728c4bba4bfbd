/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tenants.h"
#include "output.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
static uint64_t sum_usage(const struct k2k_usage_info *usage, size_t count,
                          const struct k2k_tenant_info *info)
{
	const struct k2k_usage_info key = { .id = info->id, .generation = info->generation };
	size_t low = 0, high = count;
	uint64_t sum = 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_usage(&usage[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < count && !compare_usage(&usage[low], &key); low++)
		if (__builtin_add_overflow(sum, usage[low].gpu_ns, &sum))
			sum = UINT64_MAX;
	return sum;
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

		t->gpu_ns_total = sum_usage(usage, usage_count, &t->info);
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
	};
	size_t before = json_object_array_length(array);

	if (before)
		json_object_array_del_idx(array, 0, before);
	for (size_t i = 0; i < t->budget_count; i++) {
		const struct k2k_budget_info *b = &tenants->budgets[t->first_budget + i];
		const struct value values[] = { NUMBER(b->engagement_id), NUMBER(b->budget_ns),
			                        NUMBER(b->used_ns) };

		json_append_row(array, fields, values, 3);
	}
}

static void print_row(struct list *list, const struct tenants *tenants, const struct tenant *t,
                      json_object *budgets)
{
	const struct k2k_tenant_info *i = &t->info;
	const struct value values[COL_TENANT_COUNT] = {
		[COL_TENANT_ID] = NUMBER(i->id),
		[COL_TENANT_GENERATION] = NUMBER(i->generation),
		[COL_TENANT_REGISTERED] = NUMBER(i->registered_at_ns),
		[COL_TENANT_RATE] = NUMBER(i->max_messages_per_sec),
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
		[COL_TENANT_THIS_SECOND] = NUMBER(i->messages_this_second),
		[COL_TENANT_KERNELS_HELD] = NUMBER(i->kernels),
		[COL_TENANT_MEMORY_HELD] = NUMBER(i->gpu_memory_bytes),
	};

	if (budgets)
		json_budgets(budgets, tenants, t);
	list_row(list, values);
}

static void print_block(const struct ctl *ctl, const struct tenants *tenants,
                        const struct tenant *t)
{
	static const struct field fields[] = {
		{ NULL, "tenant", KIND_ID, 0 },
		{ NULL, "generation", KIND_ID, 0 },
		{ NULL, "registered", KIND_TIME, 0 },
		{ NULL, "rate", KIND_RATE, FIELD_LIMIT },
		{ NULL, "  in this second", KIND_TOTAL, 0 },
		{ NULL, "kernels", KIND_COUNT, FIELD_LIMIT },
		{ NULL, "  held", KIND_COUNT, 0 },
		{ NULL, "GPU memory", KIND_BYTES, FIELD_LIMIT },
		{ NULL, "  held", KIND_BYTES, 0 },
		{ NULL, "admitted", KIND_TOTAL, 0 },
		{ NULL, "rejected by rate", KIND_TOTAL, 0 },
		{ NULL, "  by budget", KIND_TOTAL, 0 },
		{ NULL, "  by kernels", KIND_TOTAL, 0 },
		{ NULL, "  by GPU memory", KIND_TOTAL, 0 },
		{ NULL, "GPU time", KIND_NS, 0 },
		{ NULL, "  unattributed", KIND_NS, 0 },
	};
	const struct k2k_tenant_info *i = &t->info;
	const struct value values[] = {
		NUMBER(i->id),
		NUMBER(i->generation),
		NUMBER(i->registered_at_ns),
		NUMBER(i->max_messages_per_sec),
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
		NUMBER(t->gpu_ns_total),
		NUMBER(i->unattributed_ns),
	};
	struct libscols_table *block = block_begin(ctl);

	block_fields(block, fields, values, sizeof(fields) / sizeof(fields[0]));
	for (size_t b = 0; b < t->budget_count; b++) {
		const struct k2k_budget_info *budget = &tenants->budgets[t->first_budget + b];
		char heading[64], text[160], used[UNITS_TEXT], limit[UNITS_TEXT];

		snprintf(heading, sizeof(heading), "budget %" PRIu64, budget->engagement_id);
		snprintf(text, sizeof(text), "%s, used %s",
		         units_print_duration(limit, budget->budget_ns),
		         units_print_duration(used, budget->used_ns));
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
