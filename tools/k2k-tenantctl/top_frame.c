/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* top --once: what happened in one interval, in the form of the other commands. */
#include "brokers.h"
#include "output.h"
#include "top.h"
#include "top_model.h"
#include "common/clock.h"
#include "common/units.h"

#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>

/* Of the interval, as in `stat`: the exact numbers. Rates are for tables. */
static const struct field program_fields[] = {
	{ "generation", NULL, KIND_ID, 0 },
	{ "admitted", NULL, KIND_TOTAL, 0 },
	{ "rejected.rate", NULL, KIND_TOTAL, 0 },
	{ "rejected.budget", NULL, KIND_TOTAL, 0 },
	{ "rejected.kernels", NULL, KIND_TOTAL, 0 },
	{ "rejected.gpu_memory", NULL, KIND_TOTAL, 0 },
	{ "gpu_ns", NULL, KIND_NS, 0 },
	{ "unattributed_ns", NULL, KIND_NS, 0 },
	{ "kernels", NULL, KIND_COUNT, 0 },
	{ "gpu_memory_bytes", NULL, KIND_BYTES, 0 },
	{ "used_percent.rate", NULL, KIND_COUNT, FIELD_LIMIT },
	{ "used_percent.budget", NULL, KIND_COUNT, FIELD_LIMIT },
	{ "used_percent.kernels", NULL, KIND_COUNT, FIELD_LIMIT },
	{ "used_percent.gpu_memory", NULL, KIND_COUNT, FIELD_LIMIT },
};
#define PROGRAM_FIELDS (sizeof(program_fields) / sizeof(program_fields[0]))

static void program_values(const struct top *t, size_t row, struct value *values)
{
	const struct k2k_tenant_info *i = &t->now.tenants[row].info;
	const struct change *c = &t->each[row];
	const struct top_use *use = &t->use[row];
	const struct value all[PROGRAM_FIELDS] = {
		NUMBER(i->generation),       NUMBER(c->admitted),        NUMBER(c->rate),
		NUMBER(c->budget),           NUMBER(c->kernels),         NUMBER(c->memory),
		NUMBER(c->gpu_ns),           NUMBER(c->unattributed_ns), NUMBER(i->kernels),
		NUMBER(i->gpu_memory_bytes), NUMBER(use->rate),          NUMBER(use->budget),
		NUMBER(use->kernels),        NUMBER(use->memory),
	};

	for (size_t f = 0; f < PROGRAM_FIELDS; f++)
		values[f] = all[f];
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

/* The columns of the screen for people, then those of programs. */
static void print_tenants(struct ctl *ctl, const struct top *t, const struct field *extra,
                          const struct value *extra_values, size_t extra_count)
{
	static const char *const colors[] = {
		[MARK_NONE] = NULL, [MARK_WARN] = "brown", [MARK_ALARM] = "red"
	};
	size_t columns;
	const struct top_column *column = top_columns(TOP_TENANTS, &columns);
	struct field *fields = check_memory(calloc(columns + PROGRAM_FIELDS, sizeof(*fields)));
	struct value *values = check_memory(calloc(columns + PROGRAM_FIELDS, sizeof(*values)));
	char(*texts)[TOP_TEXT] = check_memory(calloc(columns, sizeof(*texts)));
	struct list list;

	fields[0] = (struct field){ "id", column[0].heading, KIND_ID, 0 };
	for (size_t i = 1; i < columns; i++)
		fields[i] = (struct field){ NULL, column[i].heading, KIND_TEXT,
			                    FIELD_RIGHT | FIELD_SPARE };
	for (size_t i = 0; i < PROGRAM_FIELDS; i++)
		fields[columns + i] = program_fields[i];
	list_begin(&list, ctl, "tenants", fields, columns + PROGRAM_FIELDS, extra, extra_values,
	           extra_count);
	for (size_t n = 0; n < t->order[TOP_TENANTS].count; n++) {
		size_t row = t->order[TOP_TENANTS].rows[n];

		values[0] = NUMBER(t->now.tenants[row].info.id);
		for (size_t i = 1; i < columns; i++) {
			values[i] = TEXT(texts[i]);
			values[i].color = colors[top_cell(t, TOP_TENANTS, row, i, texts[i])];
		}
		program_values(t, row, values + columns);
		list_row(&list, values);
	}
	list_end(&list);
	free(fields);
	free(values);
	free(texts);
}

static void print_frame(struct ctl *ctl, const struct top *t, uint64_t interval_ns)
{
	static const struct field extra[] = {
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
	print_tenants(ctl, t, extra,
	              (const struct value[]){
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
			      NUMBER(t->all.unknown),
			      NUMBER(t->all.cross),
			      { .json = brokers },
		      },
	              sizeof(extra) / sizeof(extra[0]));
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
	code = top_look(&t, reg);
	if (!code) {
		clock_sleep_until(t.now.taken_ns + interval_ns);
		code = top_look(&t, reg);
	}
	if (!code)
		print_frame(ctl, &t, interval_ns);
	top_end(&t);
	return code ? fail(ctl, code, "registry '%s'", ctl->registry) : EXIT_DONE;
}
