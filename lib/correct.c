/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * correct.c (F7) - an administrator corrects what was booked for an engagement.
 *
 * The cost never shrinks (I5): a correction is added to a sum of its own beside it. A budget for
 * ever counts cost and sum. A budget that renews has a sum in its period record (period.h), which
 * may lack a part of the engagement's: a correction takes no more from a period than it has used.
 *
 * The element of defs.correction that follows the newest one is the intent. A correction is in
 * force by one store: with a budget that renews by the exchange of its period's pair, else by the
 * store of the engagement's sum.
 *
 * killed after                          others see           recovery
 *   element written                     nothing              nothing has happened
 *   `correcting` stored                 nothing              forgets it
 *   other sum of the period stored      nothing              forgets it
 *   pair exchanged                      the period's part    stores the engagement's sum
 *   engagement's sum stored             the correction       -
 *   `corrections` raised                the correction       -
 *
 * After the last step the request's number is known, so a repeat of the request changes nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "budget.h"
#include "definitions.h"
#include "ledger.h"
#include "period.h"
#include "recover.h"
#include "watch.h"

struct correction {
	struct k2k_change change; /* its tenant */
	struct k2k_audit_tag tag;
	int64_t ns;
	uint64_t request_id;
	const char *reason;
	uint32_t record;
	int64_t before, after; /* the engagement's sum */
	bool repeated;
};

/* ---- repeats ----------------------------------------------------------------------- */

/* relaxed, all loads and stores of the elements: under the writer's lock */
static bool is_same(const struct k2k_shm_correction *done, const struct correction *c)
{
	return k2k_load_relaxed(&done->generation) == c->change.generation &&
	       k2k_load_relaxed(&done->engagement) == c->tag.engagement_id &&
	       (int64_t)k2k_load_relaxed(&done->ns) == c->ns;
}

/* Sets c->repeated if the request was carried out. 0; K2K_EEXIST: it was another one. */
static int find_repeat(struct correction *c)
{
	const struct k2k_map *map = &c->change.reg->map;
	uint64_t count = k2k_load_relaxed(&map->defs->corrections); /* relaxed: as above */

	for (uint64_t n = count; c->request_id && n > 0 && n + K2K_CORRECTIONS > count; n--) {
		const struct k2k_shm_correction *done = k2k_correction_at(map, n - 1);

		if (k2k_load_relaxed(&done->request_id) != c->request_id)
			continue;
		if (!is_same(done, c))
			return k2k_fail(K2K_EEXIST, "usage", "request_id",
			                "request %" PRIu64 " was another correction",
			                c->request_id);
		c->repeated = true;
		return 0;
	}
	return 0;
}

/* ---- the sums ---------------------------------------------------------------------- */

static int check_sum(struct correction *c)
{
	const struct k2k_shm_cost *cost = &c->change.reg->map.ledger[c->record];
	uint64_t booked;

	/* relaxed, both: numbers; only the writer, us, changes the sum, and the cost only grows */
	c->before = (int64_t)k2k_load_relaxed(&cost->corrected_ns);
	booked = k2k_load_relaxed(&cost->cost_ns);
	if (__builtin_add_overflow(c->before, c->ns, &c->after))
		return k2k_fail_argument("ns", "the sum of all corrections has no room for it");
	if (c->after < 0 && -(uint64_t)c->after > booked)
		return k2k_fail_values(K2K_EINVAL, "usage", "ns",
		                       k2k_sat_add_signed(booked, c->before), -(uint64_t)c->ns,
		                       "only %" PRIu64 " ns are left to take back",
		                       k2k_sat_add_signed(booked, c->before));
	return 0;
}

/* The intent: from the last store on it is valid. relaxed: under the writer's lock */
static void write_intent(const struct correction *c, uint32_t period, uint32_t made)
{
	struct k2k_shm_defs *defs = c->change.reg->map.defs;
	uint64_t number = k2k_load_relaxed(&defs->corrections);
	struct k2k_shm_correction *intent = k2k_correction_at(&c->change.reg->map, number);

	k2k_store_relaxed(&defs->correcting, 0);
	k2k_store_relaxed(&intent->request_id, c->request_id);
	k2k_store_relaxed(&intent->generation, c->change.generation);
	k2k_store_relaxed(&intent->engagement, c->tag.engagement_id);
	k2k_store_relaxed(&intent->ns, (uint64_t)c->ns);
	k2k_store_relaxed(&intent->after, (uint64_t)c->after);
	k2k_store_relaxed(&intent->ledger, c->record + 1);
	k2k_store_relaxed(&intent->period, period);
	k2k_store_relaxed(&intent->made, made);
	/* publish[correcting]: the element, for a successor after a kill: no store comes earlier */
	k2k_store_release(&defs->correcting, number + 1);
	K2K_DELAY(correcting);
}

static void correct_period(struct correction *c, const struct k2k_budget_view *view)
{
	struct k2k_registry *reg = c->change.reg;
	uint32_t index = (uint32_t)(view->period - reg->map.periods);
	struct k2k_period_copy copy;

	do {
		k2k_period_renew(view->period, &view->cost->cost_ns, view->every,
		                 k2k_period_hour(k2k_clock_wall_exact_ns(&reg->clock)));
		k2k_period_prepare(view->period, &view->cost->cost_ns, c->ns, &copy);
		write_intent(c, index + 1, k2k_period_made(copy.word));
	} while (!k2k_period_commit(view->period, &copy));
}

/* ---- the call ---------------------------------------------------------------------- */

static void append_event(const struct correction *c)
{
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_CORRECTION,
		                       .tenant = c->change.id,
		                       .generation = c->change.generation,
		                       .org_id = c->tag.org_id,
		                       .engagement_id = c->tag.engagement_id,
		                       .used = (uint64_t)c->before,
		                       .limit = (uint64_t)c->after };

	_Static_assert(K2K_AUDIT_REASON_MAX + 1 == K2K_EVENT_REASON_VALUES * sizeof(uint64_t),
	               "the reason takes the values before the request");
	snprintf((char *)body.more.change.values, K2K_AUDIT_REASON_MAX + 1, "%s", c->reason);
	body.more.change.values[K2K_EVENT_REASON_VALUES] = c->request_id;
	k2k_trail_append_locked(&c->change.reg->trail, &body);
}

static void call_sink(const struct correction *c)
{
	struct k2k_registry *reg = c->change.reg;
	char engagement[24], ns[24], sum[24], description[80];
	const struct k2k_audit_field fields[] = { { "engagement_id", engagement },
		                                  { "corrected_ns", ns },
		                                  { "sum_ns", sum },
		                                  { "reason", c->reason } };
	struct k2k_sink *sink = k2k_change_enter_sink(reg);

	if (!sink)
		return;
	snprintf(engagement, sizeof(engagement), "%" PRIu64, c->tag.engagement_id);
	snprintf(ns, sizeof(ns), "%" PRId64, c->ns);
	snprintf(sum, sizeof(sum), "%" PRId64, c->after);
	snprintf(description, sizeof(description), "tenant %" PRIu64 " usage corrected",
	         c->change.id);
	k2k_audit_change(&reg->audit, sink, description, fields, K2K_COUNT_OF(fields));
	k2k_audit_leave(sink);
}

static int try_correct(struct correction *c)
{
	struct k2k_change *change = &c->change;
	const struct k2k_map *map = &change->reg->map;
	struct k2k_budget_view view = { .period = NULL };
	struct k2k_hash_key key;
	struct k2k_limits limits;
	int code = k2k_change_find_live(change);

	if (!code)
		code = find_repeat(c);
	if (code || c->repeated)
		return code;
	code = k2k_change_obtain_record(change, c->tag.engagement_id, &c->record);
	if (code == K2K_EFULL)
		return k2k_fail(K2K_EFULL, "engagements", NULL, "the table of engagements is full");
	if (!code)
		code = check_sum(c);
	if (code)
		return code;
	key = (struct k2k_hash_key){ change->generation, c->tag.engagement_id, change->slot };
	k2k_tenant_limits(map, change->slot, &limits);
	code = k2k_budget_look(map, &key, limits.version, &view);
	if (code && code != K2K_HASH_ABSENT)
		return code;
	if (code == 0 && view.period)
		correct_period(c, &view);
	else
		write_intent(c, 0, 0);
	k2k_end_correction(map, c->record, (uint64_t)c->after);
	append_event(c);
	k2k_watch_budget(change->reg, change->id, &key, c->tag.org_id);
	return 0;
}

static int run(struct correction *c)
{
	struct k2k_registry *reg = c->change.reg;
	int code = k2k_hold(reg, K2K_GATE_ADMIN);

	if (code)
		return code;
	code = k2k_change_begin(reg, K2K_OP_CORRECT, k2k_deadline(reg));
	if (!code) {
		code = try_correct(c);
		k2k_change_end(reg, false);
		if (!code && !c->repeated)
			call_sink(c);
	}
	k2k_unhold(reg);
	return code;
}

int k2k_usage_correct(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                      int64_t ns, const char *reason, uint64_t request_id)
{
	K2K_UNCANCELLED;
	struct correction c = { .change = { .reg = reg, .operation = K2K_OP_CORRECT, .id = id },
		                .tag = tag,
		                .ns = ns,
		                .request_id = request_id,
		                .reason = reason };
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = k2k_change_check_id(id);
	if (!code && ns == 0)
		code = k2k_fail_argument("ns", "0");
	if (!code && (!reason || !*reason || strlen(reason) > K2K_AUDIT_REASON_MAX))
		code = k2k_fail_argument("reason", "null, empty, or longer than an event keeps");
	return code ? code : run(&c);
}
