/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* top --once: what happened in one interval, printed like other listings */
#include "brokers.h"
#include "output.h"
#include "rates.h"
#include "top.h"
#include "top_model.h"
#include "common/clock.h"
#include "common/units.h"

#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <string.h>

/* One row: what the screen shows, then exact numbers of the interval for programs, as in `stat`. */
static void row_values(const struct top *t, size_t row, char texts[COL_TOP_SCREEN][TOP_TEXT],
                       struct value values[COL_TOP_COUNT])
{
	static const char *const colors[] = {
		[MARK_NONE] = NULL, [MARK_WARN] = "brown", [MARK_ALARM] = "red"
	};
	const struct k2k_tenant_info *i = &t->now.tenants[row].info;
	const struct change *c = &t->each[row];
	const struct top_use *use = &t->use[row];
	const struct value all[COL_TOP_COUNT] = {
		[COL_TOP_ID] = NUMBER(i->id),
		[COL_TOP_GENERATION] = NUMBER(i->generation),
		[COL_TOP_ADMITTED] = NUMBER(c->admitted),
		[COL_TOP_REJECTED_RATE] = NUMBER(c->rate),
		[COL_TOP_REJECTED_BUDGET] = NUMBER(c->budget),
		[COL_TOP_REJECTED_KERNELS] = NUMBER(c->kernels),
		[COL_TOP_REJECTED_MEMORY] = NUMBER(c->memory),
		[COL_TOP_GPU_NS] = NUMBER(c->gpu_ns),
		[COL_TOP_UNATTRIBUTED_NS] = NUMBER(c->unattributed_ns),
		[COL_TOP_KERNELS_HELD] = NUMBER(i->kernels),
		[COL_TOP_BYTES_HELD] = NUMBER(i->gpu_memory_bytes),
		[COL_TOP_EXACT_NAME] = TEXT(i->name[0] ? i->name : NULL),
		[COL_TOP_SUSPENDED] = NUMBER(i->suspended),
		[COL_TOP_IN_SHADOW] = NUMBER(i->shadow),
		[COL_TOP_RATE] = NUMBER(i->max_messages_per_sec),
		[COL_TOP_RATE_PERIOD] = TEXT(units_period_name(i->rate_period)),
		[COL_TOP_RATE_POLICY] = TEXT(rate_policy_name(i->rate_policy)),
		[COL_TOP_BURST] = NUMBER(i->rate_policy == K2K_RATE_BUCKET ? i->burst : UINT64_MAX),
		[COL_TOP_ALONE] = { .number = i->rate_alone, .none = !i->rate_shared },
		[COL_TOP_HOLDS] = { .number = i->rate_holds, .none = !i->rate_shared },
		[COL_TOP_REJECTED_SUSPENDED] = NUMBER(c->suspended),
		[COL_TOP_REJECTED_SHADOW] = NUMBER(c->shadowed),
		[COL_TOP_PERCENT_RATE] = NUMBER(use->rate),
		[COL_TOP_PERCENT_BUDGET] = NUMBER(use->budget),
		[COL_TOP_PERCENT_KERNELS] = NUMBER(use->kernels),
		[COL_TOP_PERCENT_MEMORY] = NUMBER(use->memory),
	};

	memcpy(values, all, sizeof(all));
	for (size_t s = COL_TOP_ID + 1; s < COL_TOP_SCREEN; s++) {
		values[s] = TEXT(texts[s]);
		values[s].color = colors[top_cell(t, TOP_TENANTS, row, s, texts[s])];
		values[s].number = top_sort_number(t, row, s);
	}
}

static void print_facts(struct ctl *ctl, const struct top *t, uint64_t interval_ns)
{
	char interval[UNITS_TEXT];
	struct top_fact facts[TOP_FACTS];
	size_t count = top_facts(t, facts);
	struct libscols_table *block = block_begin(ctl);

	block_line(block, "registry", t->now.registry.name);
	block_line(block, "interval", units_print_duration(interval, interval_ns));
	for (size_t i = 0; i < count; i++)
		block_line(block, facts[i].name, facts[i].text);
	block_end(block);
	putchar('\n');
}

static void print_tenants(struct ctl *ctl, const struct top *t, const struct extra *extra)
{
	char texts[COL_TOP_SCREEN][TOP_TEXT];
	struct value values[COL_TOP_COUNT];
	struct list list;

	list_begin(&list, ctl, &rates_table, extra);
	for (size_t n = 0; n < t->order[TOP_TENANTS].count; n++) {
		row_values(t, t->order[TOP_TENANTS].rows[n], texts, values);
		list_row(&list, values);
	}
	list_end(&list);
}

static void print_frame(struct ctl *ctl, const struct top *t, uint64_t interval_ns)
{
	static const struct field fields[] = {
		{ "time_ns", NULL, KIND_TIME, 0 },
		{ "interval_ns", NULL, KIND_NS, 0 },
		{ "tables.tenants.used", NULL, KIND_COUNT, 0 },
		{ "tables.tenants.capacity", NULL, KIND_COUNT, 0 },
		{ "tables.engagements.used", NULL, KIND_COUNT, 0 },
		{ "tables.engagements.capacity", NULL, KIND_COUNT, 0 },
		{ "tables.leases.used", NULL, KIND_COUNT, 0 },
		{ "tables.leases.capacity", NULL, KIND_COUNT, 0 },
		{ "tables.budgets.used", NULL, KIND_COUNT, 0 },
		{ "tables.budgets.capacity", NULL, KIND_COUNT, 0 },
		{ "tables.kernels.used", NULL, KIND_COUNT, 0 },
		{ "tables.kernels.capacity", NULL, KIND_COUNT, 0 },
		{ "shares.hold_for_ns", NULL, KIND_NS, 0 },
		{ "shares.ended_at_ns", NULL, KIND_TIME, 0 },
		{ "shares.tenants_alone", NULL, KIND_COUNT, 0 },
		{ "unknown_tenant", NULL, KIND_TOTAL, 0 },
		{ "cross_tenant", NULL, KIND_TOTAL, 0 },
		{ "brokers", NULL, KIND_JSON, 0 },
	};
	const struct k2k_registry_info *r = &t->now.registry;
	json_object *brokers = NULL;

	if (ctl->format == FORMAT_JSON)
		brokers = brokers_json(t->now.brokers, t->now.broker_count);
	else if (ctl->format == FORMAT_TABLE)
		print_facts(ctl, t, interval_ns);
	const struct value values[] = {
		NUMBER(clock_wall_ns()),
		NUMBER(t->all.interval_ns),
		NUMBER(r->tenants.used),
		NUMBER(r->tenants.capacity),
		NUMBER(r->engagements.used),
		NUMBER(r->engagements.capacity),
		NUMBER(r->leases.used),
		NUMBER(r->leases.capacity),
		NUMBER(r->budgets.used),
		NUMBER(r->budgets.capacity),
		NUMBER(t->now.kernel_count),
		NUMBER(r->max_kernels),
		NUMBER(snapshot_shares_left_ns(&t->now.shares)),
		NUMBER(t->now.shares_ended_at_ns),
		NUMBER(t->now.alone_count),
		NUMBER(t->all.unknown),
		NUMBER(t->all.cross),
		{ .json = brokers },
	};

	print_tenants(ctl, t,
	              &(const struct extra){ fields, values, sizeof(fields) / sizeof(fields[0]) });
	json_object_put(brokers);
	if (ctl->format == FORMAT_TABLE && t->now.broker_count) {
		putchar('\n');
		brokers_print(ctl, t->now.brokers, t->now.broker_count);
	}
}

int top_frame(struct ctl *ctl, struct k2k_registry *reg, uint64_t interval_ns)
{
	struct top t;
	int code;

	top_begin(&t);
	code = top_refresh(&t, reg);
	if (!code) {
		clock_sleep_until(t.now.taken_ns + interval_ns);
		code = top_refresh(&t, reg);
	}
	if (!code)
		print_frame(ctl, &t, interval_ns);
	top_end(&t);
	return code ? fail(ctl, code, "registry '%s'", ctl->registry) : EXIT_DONE;
}
