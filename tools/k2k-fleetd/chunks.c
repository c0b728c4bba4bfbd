/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * chunks.c - draws chunks of budgets over the fleet, and returns what is not used
 *
 * The registry's own budget of an engagement is `base + drawn`: what had been used when the agent
 * found the tenant, and what this run has drawn. Model: tests/model/fleet_draw.pml.
 *
 * 1. The budget is set only in a batch, after an answer of the database that came in this batch.
 *    The answer shows that no other agent had greeted by then; one that greets later waits for the
 *    writer's lock before it sets the budget. So an agent that was stopped can't set it to what its
 *    successor has returned since.
 * 2. What is not used is returned in this order: lower the budget to what is used and reserved;
 *    wait until every broker has answered a grace period, so that no call is under way that saw
 *    more; report; return the rest. What calls have used meanwhile is kept.
 * 3. A chunk that was forgotten is returned in the same way, which settles it.
 *
 *   killed after                  what is so, and what the next agent does
 *   the draw is committed         the budget is lower than `drawn`; raises it
 *   the budget is raised          nothing
 *   the budget is lowered         as after the first
 *   the rest is returned          nothing
 */
#include "agent.h"
#include "common/clock.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_engagement(const void *a, const void *b)
{
	const struct chunk *x = a, *y = b;

	if (x->generation != y->generation)
		return x->generation < y->generation ? -1 : 1;
	return (x->engagement > y->engagement) - (x->engagement < y->engagement);
}

static struct chunk *find(struct agent *a, uint64_t generation, uint64_t engagement)
{
	const struct chunk key = { .generation = generation, .engagement = engagement };

	return a->chunk_count ? bsearch(&key, a->chunks, a->chunk_count, sizeof(key), by_engagement)
	                      : NULL;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	const uint64_t most = UINT64_MAX - 1; /* UINT64_MAX would be no budget */

	return a < most && b < most - a ? a + b : most;
}

int chunks_fetch(struct agent *a)
{
	PGresult *result = link_call(a,
	                             "select generation, engagement, base, drawn, closed, short "
	                             "from k2k_fleet.chunks($1, $2) order by 1, 2",
	                             0, NULL);
	struct chunk *list;
	size_t count;

	if (!result)
		return a->db.code;
	count = (size_t)PQntuples(result);
	list = check_memory(calloc(count + 1, sizeof(*list)));
	for (size_t i = 0; i < count; i++) {
		const struct chunk *old;

		list[i] = (struct chunk){ .generation = db_u64(result, (int)i, 0),
			                  .engagement = db_u64(result, (int)i, 1) };
		old = find(a, list[i].generation, list[i].engagement);
		if (old)
			list[i] = *old;
		list[i].base = db_u64(result, (int)i, 2);
		list[i].drawn = db_u64(result, (int)i, 3);
		list[i].closed = PQgetvalue(result, (int)i, 4)[0] == 't';
		list[i].is_short = PQgetvalue(result, (int)i, 5)[0] == 't';
		if (list[i].state == CHUNK_HELD)
			list[i].budget = sum(list[i].base, list[i].drawn);
	}
	PQclear(result);
	free(a->chunks);
	a->chunks = list;
	a->chunk_count = count;
	return 0;
}

void chunks_greeted(struct agent *a)
{
	for (size_t i = 0; i < a->chunk_count; i++)
		a->chunks[i].state = CHUNK_HELD;
	a->lowered = false;
}

/* ---- definitions ------------------------------------------------------------------------- */

void chunks_into_document(struct agent *a, const struct tenants *now, struct document *d)
{
	size_t t = 0;

	for (size_t i = 0; i < d->count; i++) {
		const struct entry *e = &d->entries[i];

		while (t < now->count && now->rows[t].info.id < e->id)
			t++;
		for (size_t b = e->first_budget; b < e->first_budget + e->budget_count; b++) {
			const struct chunk *c = NULL;

			if (d->budgets.list[b].renewal != UNITS_FLEET)
				continue;
			if (t < now->count && now->rows[t].info.id == e->id)
				c = find(a, now->rows[t].info.generation,
				         d->budgets.list[b].engagement);
			d->budgets.list[b].ns = c ? c->budget : 0;
			d->budgets.list[b].renewal = K2K_RENEWAL_NEVER;
		}
	}
}

/* ---- a look at the registry -------------------------------------------------------------- */

/* Of several budgets they are one number. */
static uint64_t rejections(struct agent *a, k2k_tenant_id tenant)
{
	struct k2k_tenant_info info = { .size = sizeof(info) };

	return k2k_tenant_get(a->reg, tenant, &info) ? 0 : info.rejected_total.budget;
}

static uint64_t spare(const struct chunk *c)
{
	return c->drawn > c->used ? c->drawn - c->used : 0;
}

static void look_at(struct agent *a, struct chunk *c, const struct k2k_budget_info *b)
{
	uint64_t used = sum(b->used_ns, b->reserved_ns), rejected = rejections(a, b->id);
	bool refused = c->looked && rejected != c->rejected;

	used = used > c->base ? used - c->base : 0;
	c->there = true;
	c->in_force = b->renewal == K2K_RENEWAL_NEVER ? b->budget_ns : UINT64_MAX;
	c->wants = !c->looked || refused || used > c->used;
	c->used = used;
	/* it may have been too large for all that is there */
	c->ask = refused && spare(c) >= a->chunk_ns ? sum(spare(c), spare(c)) : a->chunk_ns;
	c->rejected = rejected;
	c->looked = true;
}

static int look(struct agent *a)
{
	struct k2k_budget_info *budgets;
	size_t count;
	int code = fetch_list(a->reg, LIST_BUDGETS, 0, (void **)&budgets, &count);

	if (code)
		return code;
	for (size_t i = 0; i < a->chunk_count; i++)
		a->chunks[i].there = false;
	for (size_t i = 0; i < count; i++) {
		struct chunk *c = find(a, budgets[i].generation, budgets[i].engagement_id);
		const struct registration *r = registration_find(a, budgets[i].generation);

		if (c && r && !r->leaving_since_ns && !(budgets[i].flags & K2K_TENANT_DAMAGED))
			look_at(a, c, &budgets[i]);
	}
	free(budgets);
	return 0;
}

/* ---- drawing ----------------------------------------------------------------------------- */

static bool draws(const struct chunk *c)
{
	return c->there && c->state == CHUNK_HELD && !c->closed && (c->wants || !c->is_short) &&
	       spare(c) < c->ask && clock_monotonic_ns() >= c->ask_after_ns;
}

static void take_drawn(struct agent *a, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct chunk *c = find(a, db_u64(result, row, 0), db_u64(result, row, 1));

		uint64_t drawn = db_u64(result, row, 2);

		if (!c)
			continue;
		if (drawn > c->drawn)
			a->counts.drawn_ns += drawn - c->drawn;
		else
			a->counts.returned_ns += c->drawn - drawn;
		if (drawn == c->drawn)
			c->ask_after_ns = clock_monotonic_ns() + a->report_ns;
		c->drawn = drawn;
		c->closed = false;
		c->state = CHUNK_HELD;
		c->budget = sum(c->base, c->drawn);
	}
}

/* Chunks, as the arrays of a statement. */
struct statement {
	struct db_array generations, engagements, had, amounts, asks;
	size_t count;
};

static void statement_begin(struct statement *s)
{
	struct db_array *const arrays[] = { &s->generations, &s->engagements, &s->had, &s->amounts,
		                            &s->asks };

	for (size_t i = 0; i < 5; i++)
		db_array_begin(arrays[i]);
	s->count = 0;
}

static void statement_add(struct statement *s, const struct chunk *c, uint64_t amount)
{
	db_array_u64(&s->generations, c->generation);
	db_array_u64(&s->engagements, c->engagement);
	db_array_u64(&s->had, c->drawn);
	db_array_u64(&s->amounts, amount);
	db_array_u64(&s->asks, c->ask);
	s->count++;
}

static int statement_send(struct agent *a, struct statement *s, const char *sql, bool has_asks)
{
	char sequence[24];
	PGresult *result;

	snprintf(sequence, sizeof(sequence), "%" PRIu64, ++a->sequence);
	result = link_call(a, sql, has_asks ? 6 : 5,
	                   (const char *[]){ sequence, db_array_end(&s->generations),
	                                     db_array_end(&s->engagements), db_array_end(&s->had),
	                                     db_array_end(&s->amounts), db_array_end(&s->asks) });
	if (result)
		take_drawn(a, result);
	PQclear(result);
	return result ? 0 : a->db.code;
}

static void statement_free(struct statement *s)
{
	struct db_array *const arrays[] = { &s->generations, &s->engagements, &s->had, &s->amounts,
		                            &s->asks };

	for (size_t i = 0; i < 5; i++)
		db_array_free(arrays[i]);
}

static int set_budget(struct agent *a, const struct chunk *c)
{
	const struct registration *r = registration_find(a, c->generation);
	int code = r ? k2k_budget_set_renewing(a->reg, r->tenant, c->engagement, c->budget,
	                                       K2K_RENEWAL_NEVER)
	             : 0;

	if (code && code != K2K_ENOTENANT)
		say(a, "tenant %" PRIu64 ", engagement %" PRIu64 ": its budget can't be set: %s",
		    r->tenant, c->engagement, k2k_strerror(code));
	return code == K2K_ENOTENANT ? 0 : code;
}

static bool differs(const struct chunk *c)
{
	return c->there && (c->state == CHUNK_LOWERING || (!c->closed && c->in_force != c->budget));
}

/* In a batch: asks for more, or whether this is still the host's agent; then sets the budgets. */
static int draw_in_batch(struct agent *a)
{
	struct statement s;
	int code;

	statement_begin(&s);
	for (size_t i = 0; i < a->chunk_count; i++)
		if (draws(&a->chunks[i]))
			statement_add(&s, &a->chunks[i], a->chunks[i].used);
	code = statement_send(a, &s,
	                      "select generation, engagement, drawn from "
	                      "k2k_fleet.draw($1, $2, $3, $4, $5, $6, $7, $8)",
	                      true);
	statement_free(&s);
	for (size_t i = 0; i < a->chunk_count && !code; i++) {
		struct chunk *c = &a->chunks[i];

		if (!differs(c))
			continue;
		code = set_budget(a, c);
		if (!code && c->state == CHUNK_LOWERING) {
			c->state = CHUNK_LOWERED;
			a->lowered = true;
		}
	}
	return code;
}

static int draw(struct agent *a)
{
	bool needed = false;
	int code;

	for (size_t i = 0; i < a->chunk_count; i++)
		needed = needed || differs(&a->chunks[i]) || draws(&a->chunks[i]);
	if (!needed)
		return 0;
	code = k2k_batch_begin(a->reg);
	if (code) {
		say(a, "registry '%s': %s", a->ctl.registry, k2k_error_detail()->text);
		return code;
	}
	code = draw_in_batch(a);
	k2k_batch_end(a->reg);
	return code;
}

/* ---- returning --------------------------------------------------------------------------- */

/*
 * Others need what this host doesn't, or the chunk is closed. Then a host that has used nothing
 * since the last time keeps nothing; another one keeps twice what it used, and a chunk at least.
 */
static bool returns(struct agent *a, struct chunk *c)
{
	uint64_t used = c->used - (c->used_before < c->used ? c->used_before : c->used);
	bool idle = !used && c->rejected == c->rejected_before;

	c->used_before = c->used;
	c->rejected_before = c->rejected;
	if (!c->there || c->state != CHUNK_HELD)
		return false;
	c->keep = c->used;
	if (!c->closed && !idle)
		c->keep = sum(c->used, 2 * used > a->chunk_ns ? 2 * used : a->chunk_ns);
	return c->closed || (c->is_short && c->drawn > c->keep);
}

static void begin_returns(struct agent *a)
{
	for (size_t i = 0; i < a->chunk_count; i++)
		if (returns(a, &a->chunks[i])) {
			a->chunks[i].budget = sum(a->chunks[i].base, a->chunks[i].keep);
			a->chunks[i].state = CHUNK_LOWERING;
		}
}

/* Whether every broker has answered the grace periods of all changes so far. */
static int grace_is_over(struct agent *a, bool *over)
{
	struct k2k_broker_info *brokers;
	size_t count;
	int code = fetch_list(a->reg, LIST_BROKERS, 0, (void **)&brokers, &count);

	*over = !code;
	for (size_t i = 0; !code && i < count; i++)
		*over = *over && !brokers[i].grace_behind;
	if (!code)
		free(brokers);
	return code;
}

/* A broker that is stopped delays returns: who needs its chunk meanwhile goes on with it. */
static void stay(struct agent *a)
{
	for (size_t i = 0; i < a->chunk_count; i++) {
		struct chunk *c = &a->chunks[i];

		if (c->state == CHUNK_LOWERED && c->wants && !c->closed) {
			c->state = CHUNK_HELD;
			c->budget = sum(c->base, c->drawn);
		}
	}
}

static int give_back(struct agent *a)
{
	struct statement s;
	int code;

	statement_begin(&s);
	for (size_t i = 0; i < a->chunk_count; i++) {
		const struct chunk *c = &a->chunks[i];

		if (c->state == CHUNK_LOWERED)
			statement_add(&s, c, c->keep > c->used ? c->keep : c->used);
	}
	code = !s.count ? 0
	                : statement_send(a, &s,
	                                 "select generation, engagement, drawn from "
	                                 "k2k_fleet.give_back($1, $2, $3, $4, $5, $6, $7)",
	                                 false);
	statement_free(&s);
	return code;
}

/* Goes on with returns whose budgets are lowered. */
static int go_on(struct agent *a)
{
	bool over;
	int code = grace_is_over(a, &over);

	if (!code)
		code = look(a); /* after the grace period: what calls have used that saw more */
	if (code)
		return code;
	if (!over) {
		stay(a);
		return 0;
	}
	code = report(a);
	if (!code)
		code = give_back(a);
	if (code)
		return code;
	chunks_greeted(a);
	return 0;
}

int chunks_step(struct agent *a, bool may_return)
{
	int code;

	if (!a->chunk_count)
		return 0;
	code = a->lowered ? go_on(a) : look(a);
	if (code)
		return code;
	if (may_return)
		begin_returns(a);
	return draw(a);
}
