/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "definitions.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "alert.h"

static uint32_t count_changed(const struct k2k_change *change)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < change->budget_count; i++)
		count += change->budgets[i].changed;
	return count;
}

/* enum k2k_rate_period */
static uint64_t period_of(const struct k2k_limits *limits)
{
	return (limits->mode & K2K_MODE_PERIOD) >> K2K_MODE_PERIOD_SHIFT;
}

static uint64_t mode_of(const struct k2k_limits *limits, uint32_t changed)
{
	uint64_t mode = 0;

	if (changed & K2K_UPDATE_SHADOW && limits->mode & K2K_MODE_SHADOW)
		mode |= K2K_AUDIT_MODE_SHADOW;
	if (changed & K2K_UPDATE_SUSPENDED && limits->mode & K2K_MODE_SUSPENDED)
		mode |= K2K_AUDIT_MODE_SUSPENDED;
	if (changed & K2K_UPDATE_RATE) {
		mode |= limits->mode & K2K_MODE_BUCKET ? K2K_AUDIT_MODE_BUCKET : 0;
		mode |= limits->mode & K2K_MODE_SHARED ? K2K_AUDIT_MODE_SHARED : 0;
		mode |= period_of(limits) << K2K_AUDIT_MODE_PERIOD_SHIFT;
	}
	return mode;
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
		if (changed & K2K_UPDATE_RATE) {
			values[K2K_AUDIT_REGISTER_RATE] = limits->rate;
			values[K2K_AUDIT_REGISTER_BURST] = limits->burst;
			if (limits->mode & K2K_MODE_SHARED)
				values[K2K_AUDIT_REGISTER_BURST] = limits->alone;
		}
		if (changed & K2K_UPDATE_GPU_MEMORY)
			values[K2K_AUDIT_REGISTER_GPU_MEMORY] = limits->gpu_memory_bytes;
		if (changed & K2K_UPDATE_KERNELS)
			values[K2K_AUDIT_REGISTER_KERNELS] = limits->kernels;
		if (changed & K2K_UPDATE_NAME)
			k2k_event_set_name(&body, limits->name);
		values[K2K_AUDIT_REGISTER_MODE] = mode_of(limits, changed);
		if (changed & K2K_UPDATE_ALERTS)
			values[K2K_AUDIT_REGISTER_ALERTS] = limits->alerts;
		values[K2K_AUDIT_REGISTER_BUDGETS] = count_changed(change);
		values[K2K_AUDIT_REGISTER_MASK] = changed;
		k2k_trail_append_locked(&change->reg->trail, &body);
		memset(&body, 0, sizeof(body));
		body.tenant = change->id;
		body.generation = change->generation;
	}
	body.kind = K2K_AUDIT_KIND_BUDGET_CHANGE;
	for (uint32_t i = 0; i < change->budget_count; i++) {
		if (!change->budgets[i].changed)
			continue;
		body.engagement_id = change->budgets[i].budget.engagement_id;
		body.limit = change->budgets[i].budget.budget_ns;
		values[K2K_AUDIT_BUDGET_RENEWAL] = change->budgets[i].every == K2K_EVERY_NONE
		                                           ? (uint64_t)K2K_RENEWAL_NEVER
		                                           : change->budgets[i].every;
		k2k_trail_append_locked(&change->reg->trail, &body);
	}
}

/* ---- the application's sink ------------------------------------------------------- */

#define FIELDS_MOST 10

struct text {
	char numbers[FIELDS_MOST][24];
	struct k2k_audit_field fields[FIELDS_MOST];
	uint32_t count;
};

static void add_text(struct text *text, const char *key, const char *value)
{
	text->fields[text->count].key = key;
	text->fields[text->count].value = value;
	text->count++;
}

static void add_field(struct text *text, const char *key, uint64_t value)
{
	char *number = text->numbers[text->count];

	snprintf(number, sizeof(text->numbers[0]), "%" PRIu64, value);
	add_text(text, key, number);
}

/* "80,95", or "none" */
static void add_alerts(struct text *text, uint32_t alerts)
{
	char *list = text->numbers[text->count];
	size_t room = sizeof(text->numbers[0]), length = 0;

	snprintf(list, room, "none");
	for (int i = 0; i < K2K_ALERTS && k2k_alert_percent(alerts, i); i++)
		length += (size_t)snprintf(list + length, room - length, "%s%u", i ? "," : "",
		                           k2k_alert_percent(alerts, i));
	add_text(text, "alerts", list);
}

static void begin_text(struct text *text, const struct k2k_change *change)
{
	text->count = 0;
	add_field(text, "tenant", change->id);
	add_field(text, "generation", change->generation);
}

static void add_rate(struct text *text, const struct k2k_limits *limits)
{
	static const char *const keys[] = { [K2K_PERIOD_SECOND] = "max_messages_per_sec",
		                            [K2K_PERIOD_MINUTE] = "max_messages_per_minute",
		                            [K2K_PERIOD_HOUR] = "max_messages_per_hour",
		                            [K2K_PERIOD_DAY] = "max_messages_per_day" };

	add_field(text, keys[period_of(limits)], limits->rate);
	if (limits->mode & K2K_MODE_BUCKET)
		add_field(text, "burst", limits->burst);
	if (limits->mode & K2K_MODE_SHARED)
		add_field(text, "rate_alone", limits->alone);
}

static void report_limits(const struct k2k_change *change, struct k2k_sink *sink)
{
	char description[80];
	struct text text;

	begin_text(&text, change);
	if (change->changed & K2K_UPDATE_RATE)
		add_rate(&text, &change->limits);
	if (change->changed & K2K_UPDATE_GPU_MEMORY)
		add_field(&text, "max_gpu_memory_bytes", change->limits.gpu_memory_bytes);
	if (change->changed & K2K_UPDATE_KERNELS)
		add_field(&text, "max_concurrent_kernels", change->limits.kernels);
	if (change->changed & K2K_UPDATE_NAME)
		add_text(&text, "name", (const char *)change->limits.name);
	if (change->changed & K2K_UPDATE_SHADOW)
		add_field(&text, "shadow", (change->limits.mode & K2K_MODE_SHADOW) != 0);
	if (change->changed & K2K_UPDATE_SUSPENDED)
		add_field(&text, "suspended", (change->limits.mode & K2K_MODE_SUSPENDED) != 0);
	if (change->changed & K2K_UPDATE_ALERTS)
		add_alerts(&text, change->limits.alerts);
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

struct k2k_sink *k2k_change_enter_sink(struct k2k_registry *reg)
{
	struct k2k_sink *sink;

	k2k_read_lock();
	sink = k2k_gate(reg, K2K_GATE_ADMIN) ? NULL : k2k_audit_enter(&reg->audit);
	k2k_read_unlock();
	return sink;
}

void k2k_change_call_sink(const struct k2k_change *change)
{
	struct k2k_sink *sink = k2k_change_enter_sink(change->reg);

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
