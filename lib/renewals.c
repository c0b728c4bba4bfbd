/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * renewals.c (F7) - the periods of a budget that renews, for administrators and readers.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "budget.h"
#include "definitions.h"
#include "period.h"

#define COPIES 100 /* an attempt fails only if the tenant or its budgets change during it */

/* ---- history ----------------------------------------------------------------------- */

struct history {
	struct k2k_period_copy list[K2K_PERIODS_KEPT + 1];
	uint32_t count; /* closed ones; the current one follows */
};

/* One attempt, in a read section. K2K_DECIDE_AGAIN: something has changed. */
static int try_history(struct k2k_registry *reg, k2k_tenant_id id, uint64_t engagement,
                       struct history *history)
{
	struct k2k_hash_key key = { .key = engagement };
	struct k2k_budget_view view;
	struct k2k_limits limits;
	uint64_t token = k2k_grace_token(&reg->map), state_gen, version;
	int code = k2k_tenant_find(&reg->map, id, &key.slot, &state_gen);

	if (code)
		return code;
	key.gen = k2k_tenant_generation(state_gen);
	k2k_tenant_limits(&reg->map, key.slot, &limits);
	version = limits.version;
	code = k2k_budget_look(&reg->map, &key, version, &view);
	if (!code && view.period)
		k2k_period_list(view.period, &view.cost->cost_ns, view.every,
		                k2k_period_hour(k2k_clock_wall_exact_ns(&reg->clock)),
		                history->list, &history->count);
	/* the period record may be another budget's by now: a reader has no grace period */
	k2k_tenant_limits(&reg->map, key.slot, &limits);
	if (!k2k_tenant_still(&reg->map, key.slot, state_gen) || limits.version != version)
		return K2K_DECIDE_AGAIN;
	/* is it absent, or did the walk lose its way in a record that was reused? */
	if (code == K2K_HASH_ABSENT && !k2k_grace_is_still(&reg->map, token))
		return K2K_DECIDE_AGAIN;
	if (code == K2K_HASH_ABSENT || (!code && !view.period))
		return K2K_ENOBUDGET;
	return code;
}

int k2k_budget_history(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                       struct k2k_budget_use *list, size_t capacity, size_t *count)
{
	K2K_UNCANCELLED;
	struct history history = { .count = 0 };
	int code = reg ? K2K_CHECK_LIST(list, capacity, count, K2K_BUDGET_USE_PENDING) : 0;
	int attempts = COPIES;

	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	do
		code = id == K2K_TENANT_UNSPECIFIED
		               ? K2K_ENOTENANT
		               : try_history(reg, id, tag.engagement_id, &history);
	while (code == K2K_DECIDE_AGAIN && --attempts > 0);
	k2k_read_unlock();
	if (code == K2K_DECIDE_AGAIN)
		return k2k_fail(K2K_EBUSY, "tenant", NULL,
		                "the tenant's budgets change again and again");
	if (code)
		return code;
	for (uint32_t i = 0; i < history.count && i < capacity; i++) {
		const struct k2k_period_copy *copy = &history.list[i];
		struct k2k_budget_use use = { .period = k2k_period_number(copy->word),
			                      .began_at_ns = k2k_period_begin(copy->word) *
			                                     K2K_PERIOD_HOUR_NS,
			                      .used_ns = copy->used };

		use.flags = copy->pending ? K2K_BUDGET_USE_PENDING : 0;
		use.next_began_at_ns = k2k_period_begin(copy[1].word) * K2K_PERIOD_HOUR_NS;
		K2K_GIVE_ELEMENT(list, K2K_STRIDE(list, capacity), i, &use);
	}
	*count = history.count;
	return 0;
}

/* ---- renew now --------------------------------------------------------------------- */

struct renewal {
	struct k2k_change change; /* its tenant */
	struct k2k_audit_tag tag;
	struct k2k_period_copy closed, now;
};

static void append_event(const struct renewal *renewal)
{
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_BUDGET_RENEWED,
		                       .tenant = renewal->change.id,
		                       .generation = renewal->change.generation,
		                       .org_id = renewal->tag.org_id,
		                       .engagement_id = renewal->tag.engagement_id };
	uint64_t *values = body.more.change.values;

	values[K2K_AUDIT_RENEWED_PERIOD] = k2k_period_number(renewal->now.word);
	values[K2K_AUDIT_RENEWED_BEGAN_AT_NS] = k2k_period_begin(renewal->now.word) *
	                                        K2K_PERIOD_HOUR_NS;
	values[K2K_AUDIT_RENEWED_CLOSED_BEGAN_AT_NS] = k2k_period_begin(renewal->closed.word) *
	                                               K2K_PERIOD_HOUR_NS;
	values[K2K_AUDIT_RENEWED_CLOSED_USED_NS] = renewal->closed.used;
	k2k_trail_append_locked(&renewal->change.reg->trail, &body);
}

/*
 * One store takes effect (period.h), so there is nothing to undo. If the process is killed after
 * it, the event is missing.
 */
static int try_renew(struct renewal *renewal)
{
	struct k2k_change *change = &renewal->change;
	const struct k2k_map *map = &change->reg->map;
	struct k2k_budget_view view;
	struct k2k_hash_key key;
	struct k2k_limits limits;
	uint64_t hour = k2k_period_hour(k2k_clock_wall_exact_ns(&change->reg->clock));
	int code = k2k_change_find_live(change);

	if (code)
		return code;
	key = (struct k2k_hash_key){ change->generation, renewal->tag.engagement_id, change->slot };
	k2k_tenant_limits(map, change->slot, &limits);
	code = k2k_budget_look(map, &key, limits.version, &view);
	if (code == K2K_HASH_ABSENT || (!code && !view.period))
		return K2K_ENOBUDGET;
	if (code)
		return code;
	/* what readers see as closed already is closed first */
	k2k_period_renew(view.period, &view.cost->cost_ns, view.every, hour);
	k2k_period_look(view.period, &view.cost->cost_ns, &renewal->closed);
	k2k_period_force(view.period, &view.cost->cost_ns, view.every, hour);
	k2k_period_look(view.period, &view.cost->cost_ns, &renewal->now);
	append_event(renewal);
	return 0;
}

static void call_sink(const struct renewal *renewal)
{
	struct k2k_registry *reg = renewal->change.reg;
	char engagement[24], period[24], description[80];
	const struct k2k_audit_field fields[] = { { "engagement_id", engagement },
		                                  { "period", period } };
	struct k2k_sink *sink = k2k_change_enter_sink(reg);

	if (!sink)
		return;
	snprintf(engagement, sizeof(engagement), "%" PRIu64, renewal->tag.engagement_id);
	snprintf(period, sizeof(period), "%" PRIu64, k2k_period_number(renewal->now.word));
	snprintf(description, sizeof(description), "tenant %" PRIu64 " budget renewed",
	         renewal->change.id);
	k2k_audit_change(&reg->audit, sink, description, fields, K2K_COUNT_OF(fields));
	k2k_audit_leave(sink);
}

int k2k_budget_renew(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag)
{
	K2K_UNCANCELLED;
	struct renewal renewal = { .change = { .reg = reg, .operation = K2K_OP_BUDGET, .id = id },
		                   .tag = tag };
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = k2k_change_check_id(id);
	if (!code)
		code = k2k_hold(reg, K2K_GATE_ADMIN);
	if (code)
		return code;
	code = k2k_change_begin(reg, K2K_OP_BUDGET, k2k_deadline(reg));
	if (!code) {
		code = try_renew(&renewal);
		k2k_change_end(reg, false);
		if (!code)
			call_sink(&renewal);
	}
	k2k_unhold(reg);
	return code;
}
