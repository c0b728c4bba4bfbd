/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "definitions.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static uint32_t count_changed(const struct k2k_change *change)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < change->budget_count; i++)
		count += change->budgets[i].changed;
	return count;
}

/* ---- the trail ------------------------------------------------------------------- */

/*
 * If the process is killed between the commit store and this call, the change is complete, but its
 * events are missing. The reverse can't happen: no event reports a change that was not made.
 */
void k2k_change_append_events(const struct k2k_change *change)
{
	const struct k2k_limits *limits = &change->limits;
	uint32_t changed = change->changed;
	struct k2k_event_body body = { .tenant = change->id, .generation = change->generation };
	uint64_t *values = body.more.change.values;

	k2k_assert_writer(&change->reg->writer);
	/* as in the sink: a change of budgets alone has only their events; no change has none */
	if (changed & ~(uint32_t)K2K_UPDATE_BUDGETS) {
		body.kind = change->operation == K2K_OP_REGISTER ? K2K_AUDIT_KIND_REGISTER
		                                                 : K2K_AUDIT_KIND_UPDATE;
		if (changed & K2K_UPDATE_RATE)
			values[K2K_AUDIT_REGISTER_RATE] = limits->rate;
		if (changed & K2K_UPDATE_GPU_MEMORY)
			values[K2K_AUDIT_REGISTER_GPU_MEMORY] = limits->gpu_memory_bytes;
		if (changed & K2K_UPDATE_KERNELS)
			values[K2K_AUDIT_REGISTER_KERNELS] = limits->kernels;
		values[K2K_AUDIT_REGISTER_BUDGETS] = count_changed(change);
		values[K2K_AUDIT_REGISTER_MASK] = changed;
		k2k_trail_append_locked(&change->reg->trail, &body);
		memset(&body.more, 0, sizeof(body.more));
	}
	body.kind = K2K_AUDIT_KIND_BUDGET_CHANGE;
	for (uint32_t i = 0; i < change->budget_count; i++) {
		if (!change->budgets[i].changed)
			continue;
		body.engagement_id = change->budgets[i].budget.engagement_id;
		body.limit = change->budgets[i].budget.budget_ns;
		k2k_trail_append_locked(&change->reg->trail, &body);
	}
}

/* ---- the application's sink ------------------------------------------------------- */

#define FIELDS_MOST 5

struct text {
	char numbers[FIELDS_MOST][24];
	struct k2k_audit_field fields[FIELDS_MOST];
	uint32_t count;
};

static void add_field(struct text *text, const char *key, uint64_t value)
{
	snprintf(text->numbers[text->count], sizeof(text->numbers[0]), "%" PRIu64, value);
	text->fields[text->count].key = key;
	text->fields[text->count].value = text->numbers[text->count];
	text->count++;
}

static void begin_text(struct text *text, const struct k2k_change *change)
{
	text->count = 0;
	add_field(text, "tenant", change->id);
	add_field(text, "generation", change->generation);
}

static void report_limits(const struct k2k_change *change, struct k2k_sink *sink)
{
	char description[80];
	struct text text;

	begin_text(&text, change);
	if (change->changed & K2K_UPDATE_RATE)
		add_field(&text, "max_messages_per_sec", change->limits.rate);
	if (change->changed & K2K_UPDATE_GPU_MEMORY)
		add_field(&text, "max_gpu_memory_bytes", change->limits.gpu_memory_bytes);
	if (change->changed & K2K_UPDATE_KERNELS)
		add_field(&text, "max_concurrent_kernels", change->limits.kernels);
	snprintf(description, sizeof(description), "tenant %" PRIu64 " %s", change->id,
	         change->verb);
	k2k_audit_change(&change->reg->audit, sink, description, text.fields, text.count);
}

static void report_budget(const struct k2k_change *change, const struct k2k_budget *budget,
                          struct k2k_sink *sink)
{
	char description[80];
	struct text text;

	begin_text(&text, change);
	add_field(&text, "engagement_id", budget->engagement_id);
	add_field(&text, "budget_ns", budget->budget_ns);
	snprintf(description, sizeof(description), "tenant %" PRIu64 " budget %s", change->id,
	         budget->budget_ns == K2K_UNLIMITED ? "unset" : "set");
	k2k_audit_change(&change->reg->audit, sink, description, text.fields, text.count);
}

void k2k_change_call_sink(const struct k2k_change *change)
{
	struct k2k_sink *sink;

	k2k_read_lock();
	sink = k2k_gate(change->reg, K2K_GATE_ADMIN) ? NULL : k2k_audit_enter(&change->reg->audit);
	k2k_read_unlock();
	if (!sink)
		return;
	/* a change of budgets alone is reported by its budgets */
	if (change->changed != K2K_UPDATE_BUDGETS)
		report_limits(change, sink);
	for (uint32_t i = 0; i < change->budget_count; i++)
		if (change->budgets[i].changed)
			report_budget(change, &change->budgets[i].budget, sink);
	k2k_audit_leave(sink);
}
