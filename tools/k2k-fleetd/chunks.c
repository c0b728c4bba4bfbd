/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * chunks.c - draws chunks of budgets and shares of limits over the fleet, and returns what is not
 * used
 *
 * The registry's own budget of an engagement is `base + drawn`: what had been used when the agent
 * found the tenant, and what this run has drawn. Its own limit is the share. Models:
 * tests/model/fleet_draw.pml, and of rates, whose shares are under a lease (lease.c),
 * fleet_lease.pml.
 *
 * A host asks for more if its spare is below a step: a 64th of the limit, or a quarter of what it
 * uses or, after a rejection for lack of it, twice the spare. It gets half of what is free divided
 * by the number of hosts, a step at least. While others get less than they ask for, it returns what
 * is above its use and a quarter of that (kept_of_share); of a rate also what is above the fair
 * part, limit / hosts, if another host has less than that; then no host gets more than that part.
 * So who comes anew gets something as soon as the others have looked, and hosts that all want more
 * end at equal parts.
 *
 * 1. The budget is set only in a batch, after an answer of the database that came in this batch.
 *    The answer shows that no other agent had greeted by then; one that greets later waits for the
 *    writer's lock before it sets the budget. So an agent that was stopped can't set it to what its
 *    successor has returned since.
 * 2. What is not used is returned in this order: lower the budget to what is used and reserved;
 *    wait until every broker has answered a grace period, so that no call is under way that saw
 *    more; report; return the rest. What calls have used meanwhile is kept.
 *    Of kernels and GPU memory what is held is kept. A rate is returned after the end of the window
 *    in which it was lowered.
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

#define WINDOW_NS UINT64_C(1000000000) /* of a rate over the fleet */

static int by_key(const void *a, const void *b)
{
	const struct chunk *x = a, *y = b;

	if (x->generation != y->generation)
		return x->generation < y->generation ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return (x->engagement > y->engagement) - (x->engagement < y->engagement);
}

struct chunk *chunk_find(struct agent *a, enum chunk_kind kind, uint64_t generation,
                         uint64_t engagement)
{
	const struct chunk key = { .kind = kind,
		                   .generation = generation,
		                   .engagement = engagement };

	return a->chunk_count ? bsearch(&key, a->chunks, a->chunk_count, sizeof(key), by_key)
	                      : NULL;
}

bool chunks_have_shares(const struct agent *a)
{
	for (size_t i = 0; i < a->chunk_count; i++)
		if (a->chunks[i].kind != CHUNK_BUDGET)
			return true;
	return false;
}

static enum chunk_kind kind_of(const char *name)
{
	enum chunk_kind kind = CHUNK_BUDGET;

	while (kind + 1 < CHUNK_KINDS && strcmp(chunk_kind_names[kind], name) != 0)
		kind++;
	return kind;
}

static bool flag(const PGresult *result, size_t row, int column)
{
	return PQgetvalue(result, (int)row, column)[0] == 't';
}

/* The rows of the answer, each with what was known of it. */
static struct chunk *take_rows(struct agent *a, const PGresult *result, struct chunk *list)
{
	for (size_t row = 0; row < (size_t)PQntuples(result); row++, list++) {
		enum chunk_kind kind = kind_of(PQgetvalue(result, (int)row, 1));
		uint64_t generation = db_u64(result, (int)row, 0);
		uint64_t engagement = db_u64(result, (int)row, 2);
		const struct chunk *old = chunk_find(a, kind, generation, engagement);

		*list = old ? *old
		            : (struct chunk){ .kind = kind,
			                      .generation = generation,
			                      .engagement = engagement };
		list->base = db_u64(result, (int)row, 3);
		list->drawn = db_u64(result, (int)row, 4);
		list->closed = flag(result, row, 5);
		list->is_short = flag(result, row, 6);
		list->excess = flag(result, row, 7);
		list->least = kind == CHUNK_BUDGET ? a->chunk_ns : db_u64(result, (int)row, 8);
		list->fair = db_u64(result, (int)row, 9);
		list->alone = db_u64(result, (int)row, 10);
		if (list->state == CHUNK_HELD)
			list->budget = chunk_sum(list->base, list->drawn);
	}
	return list;
}

int chunks_fetch(struct agent *a)
{
	static const char *const sql[2] = {
		"select generation, 'budget', engagement, base, drawn, closed, short, false, 0, 0, "
		"0 "
		"from k2k_fleet.chunks($1, $2)",
		"select generation, kind, 0, 0, amount, closed, short, excess, step, fair, alone "
		"from k2k_fleet.shares($1, $2)",
	};
	PGresult *results[2] = { NULL, NULL };
	struct chunk *list, *end;

	for (int i = 0; i < 2; i++) {
		results[i] = link_call(a, sql[i], 0, NULL);
		if (!results[i]) {
			PQclear(results[0]);
			return a->db.code;
		}
	}
	list = check_memory(
		calloc((size_t)(PQntuples(results[0]) + PQntuples(results[1])) + 1, sizeof(*list)));
	end = take_rows(a, results[1], take_rows(a, results[0], list));
	PQclear(results[0]);
	PQclear(results[1]);
	free(a->chunks);
	a->chunks = list;
	a->chunk_count = (size_t)(end - list);
	qsort(list, a->chunk_count, sizeof(*list), by_key);
	return 0;
}

void chunks_greeted(struct agent *a)
{
	for (size_t i = 0; i < a->chunk_count; i++)
		a->chunks[i].state = CHUNK_HELD;
	a->lowered = false;
}

/* ---- definitions ------------------------------------------------------------------------- */

/* What the registry's own is to be; nothing, if the tenant is not there yet. */
static uint64_t own(struct agent *a, const struct k2k_tenant_info *t, enum chunk_kind kind,
                    uint64_t engagement)
{
	const struct chunk *c = t ? chunk_find(a, kind, t->generation, engagement) : NULL;

	return c ? c->budget : 0;
}

static void own_limits(struct agent *a, const struct k2k_tenant_info *t, struct entry *e)
{
	if (e->fleet & FLEET_RATE)
		e->rate.number = own(a, t, CHUNK_RATE, 0);
	e->rate.fleet = false;
	if (e->fleet & FLEET_KERNELS)
		e->kernels = (uint32_t)own(a, t, CHUNK_KERNELS, 0);
	if (e->fleet & FLEET_GPU_MEMORY)
		e->gpu_memory_bytes = own(a, t, CHUNK_GPU_MEMORY, 0);
	e->fleet = 0;
}

void chunks_into_document(struct agent *a, const struct tenants *now, struct document *d)
{
	size_t t = 0;

	for (size_t i = 0; i < d->count; i++) {
		struct entry *e = &d->entries[i];
		const struct k2k_tenant_info *info;

		while (t < now->count && now->rows[t].info.id < e->id)
			t++;
		info = t < now->count && now->rows[t].info.id == e->id ? &now->rows[t].info : NULL;
		own_limits(a, info, e);
		for (size_t b = e->first_budget; b < e->first_budget + e->budget_count; b++) {
			struct engagement_ns *budget = &d->budgets.list[b];

			if (budget->renewal != UNITS_FLEET)
				continue;
			budget->ns = own(a, info, CHUNK_BUDGET, budget->engagement);
			budget->renewal = K2K_RENEWAL_NEVER;
		}
	}
}

/* ---- drawing ----------------------------------------------------------------------------- */

static uint64_t spare(const struct chunk *c)
{
	return c->drawn > c->used ? c->drawn - c->used : 0;
}

static bool draws(const struct chunk *c)
{
	return c->there && c->state == CHUNK_HELD && !c->closed && (c->wants || !c->is_short) &&
	       spare(c) < c->ask && clock_monotonic_ns() >= c->ask_after_ns;
}

static void take_drawn(struct agent *a, const PGresult *result)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct chunk *c = chunk_find(a, kind_of(PQgetvalue(result, row, 1)),
		                             db_u64(result, row, 0), db_u64(result, row, 2));

		uint64_t drawn = db_u64(result, row, 3);

		if (!c)
			continue;
		if (c->kind == CHUNK_BUDGET && drawn > c->drawn)
			a->counts.drawn_ns += drawn - c->drawn;
		else if (c->kind == CHUNK_BUDGET)
			a->counts.returned_ns += c->drawn - drawn;
		if (drawn == c->drawn)
			c->ask_after_ns = clock_monotonic_ns() + (c->kind == CHUNK_BUDGET
			                                                  ? a->report_ns
			                                                  : a->lease_ns / 4);
		c->drawn = drawn;
		c->closed = false;
		c->state = CHUNK_HELD;
		c->budget = chunk_sum(c->base, c->drawn);
	}
}

/* Chunks of budgets, or shares, as the arrays of a statement. */
enum { GENERATIONS, KEYS, HAD, AMOUNTS, ASKS, ARRAYS };
struct statement {
	struct db_array arrays[ARRAYS];
	bool shares;
};

static void statement_begin(struct statement *s, bool shares)
{
	for (size_t i = 0; i < ARRAYS; i++)
		db_array_begin(&s->arrays[i]);
	s->shares = shares;
}

static void statement_add(struct statement *s, const struct chunk *c, uint64_t amount)
{
	if ((c->kind != CHUNK_BUDGET) != s->shares)
		return;
	db_array_u64(&s->arrays[GENERATIONS], c->generation);
	if (s->shares)
		db_array_text(&s->arrays[KEYS], chunk_kind_names[c->kind]);
	else
		db_array_u64(&s->arrays[KEYS], c->engagement);
	db_array_u64(&s->arrays[HAD], c->drawn);
	db_array_u64(&s->arrays[AMOUNTS], amount);
	db_array_u64(&s->arrays[ASKS], c->ask);
}

/* sql[1] is that of shares. Sends nothing if there is nothing and it `may_be_left`. */
static int statement_send(struct agent *a, struct statement *s, const char *const sql[2],
                          bool has_asks, bool may_be_left)
{
	const char *values[ARRAYS];
	PGresult *result = NULL;
	bool left = may_be_left && !s->arrays[GENERATIONS].count;

	for (size_t i = 0; i < ARRAYS; i++)
		values[i] = db_array_end(&s->arrays[i]);
	if (!left)
		result = link_next(a, sql[s->shares], has_asks ? ARRAYS : ARRAYS - 1, values);
	if (result)
		take_drawn(a, result);
	PQclear(result);
	for (size_t i = 0; i < ARRAYS; i++)
		db_array_free(&s->arrays[i]);
	return left || result ? 0 : a->db.code;
}

static bool differs(const struct chunk *c)
{
	return c->there && (c->state == CHUNK_LOWERING || (!c->closed && c->in_force != c->budget));
}

/* In a batch: asks for more, or whether this is still the host's agent; then sets the budgets. */
static int draw_in_batch(struct agent *a)
{
	static const char *const sql[2] = {
		"select generation, 'budget', engagement, drawn from "
		"k2k_fleet.draw($1, $2, $3, $4, $5, $6, $7, $8)",
		"select generation, kind, 0, amount from "
		"k2k_fleet.draw_shares($1, $2, $3, $4, $5, $6, $7, $8)",
	};
	bool shares = chunks_have_shares(a);
	int code = 0;

	for (int of = shares; of >= 0 && !code; of--) {
		struct statement s;

		statement_begin(&s, of);
		for (size_t i = 0; i < a->chunk_count; i++)
			if (draws(&a->chunks[i]))
				statement_add(&s, &a->chunks[i], a->chunks[i].used);
		code = statement_send(a, &s, sql, true, of);
	}
	for (size_t i = 0; i < a->chunk_count && !code; i++) {
		struct chunk *c = &a->chunks[i];

		if (!differs(c))
			continue;
		code = chunk_set(a, c);
		if (!code && c->state == CHUNK_LOWERING) {
			c->state = CHUNK_LOWERED;
			c->lowered_at_ns = clock_monotonic_ns();
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
	code = link_batch_begin(a);
	if (code)
		return code;
	code = draw_in_batch(a);
	link_batch_end(a);
	return code;
}

/* ---- returning --------------------------------------------------------------------------- */

/*
 * Others need what this host doesn't, or the chunk is closed. Then a host that has used nothing
 * of a budget since the last time keeps nothing; another one keeps twice what it used, and a chunk
 * at least.
 */
static uint64_t kept_of_budget(struct agent *a, const struct chunk *c)
{
	uint64_t used = c->used - (c->used_before < c->used ? c->used_before : c->used);

	if (!used && c->rejected == c->rejected_before)
		return c->used;
	return chunk_sum(c->used, 2 * used > a->chunk_ns ? 2 * used : a->chunk_ns);
}

/*
 * It keeps a quarter more than what it uses. Who uses little keeps a step, but a quarter of its
 * fair part at most: all that use nothing keep no more than a quarter of the limit together. Of a
 * rate no host keeps more than its fair part.
 */
static uint64_t kept_of_share(const struct chunk *c)
{
	uint64_t least = chunk_floor(c), more = c->used / 4 > least ? c->used / 4 : least;
	uint64_t keep = c->excess ? c->used : chunk_sum(c->used, more);

	return c->kind == CHUNK_RATE && keep > c->fair ? c->fair : keep;
}

static bool returns(struct agent *a, struct chunk *c)
{
	c->keep = c->closed                 ? c->used
	          : c->kind == CHUNK_BUDGET ? kept_of_budget(a, c)
	                                    : kept_of_share(c);
	c->used_before = c->used;
	c->rejected_before = c->rejected;
	return c->there && c->state == CHUNK_HELD &&
	       (c->closed || (c->is_short && c->drawn > c->keep));
}

static void begin_returns(struct agent *a, bool budgets, bool shares)
{
	for (size_t i = 0; i < a->chunk_count; i++) {
		struct chunk *c = &a->chunks[i];

		if ((c->kind == CHUNK_BUDGET ? budgets : shares) && returns(a, c)) {
			c->budget = chunk_sum(c->base, c->keep);
			c->state = CHUNK_LOWERING;
		}
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

		if (c->kind == CHUNK_BUDGET && c->state == CHUNK_LOWERED && c->wants &&
		    !c->closed) {
			c->state = CHUNK_HELD;
			c->budget = chunk_sum(c->base, c->drawn);
		}
	}
}

/* A rate was used in the window in which it was lowered: it is returned after its end. */
static bool is_due(const struct chunk *c, uint64_t now_ns)
{
	return c->state == CHUNK_LOWERED &&
	       (c->kind != CHUNK_RATE || now_ns - c->lowered_at_ns > WINDOW_NS);
}

static int give_back(struct agent *a, uint64_t now_ns)
{
	static const char *const sql[2] = {
		"select generation, 'budget', engagement, drawn from "
		"k2k_fleet.give_back($1, $2, $3, $4, $5, $6, $7)",
		"select generation, kind, 0, amount from "
		"k2k_fleet.give_back_shares($1, $2, $3, $4, $5, $6, $7)",
	};
	int code = 0;

	for (int of = 0; of < 2 && !code; of++) {
		struct statement s;

		statement_begin(&s, of);
		for (size_t i = 0; i < a->chunk_count; i++) {
			const struct chunk *c = &a->chunks[i];

			if (is_due(c, now_ns))
				statement_add(&s, c,
				              c->kind == CHUNK_RATE || c->keep > c->used ? c->keep
				                                                         : c->used);
		}
		code = statement_send(a, &s, sql, false, true);
	}
	return code;
}

/* Those that were due, and were not in the answer, are no longer the database's. */
static void returned(struct agent *a, uint64_t now_ns)
{
	a->lowered = false;
	for (size_t i = 0; i < a->chunk_count; i++) {
		if (is_due(&a->chunks[i], now_ns))
			a->chunks[i].state = CHUNK_HELD;
		a->lowered = a->lowered || a->chunks[i].state == CHUNK_LOWERED;
	}
}

/* Goes on with returns whose budgets are lowered. */
static int go_on(struct agent *a)
{
	uint64_t now_ns = clock_monotonic_ns();
	bool over;
	int code = grace_is_over(a, &over);

	if (!code)
		code = chunks_look(
			a); /* after the grace period: what calls have used that saw more */
	if (code)
		return code;
	if (!over) {
		stay(a);
		return 0;
	}
	code = report(a);
	if (!code)
		code = give_back(a, now_ns);
	if (!code)
		returned(a, now_ns);
	return code;
}

int chunks_step(struct agent *a, bool may_return_budgets, bool may_return_shares)
{
	int code;

	if (!a->chunk_count)
		return 0;
	code = a->lowered ? go_on(a) : chunks_look(a);
	if (code)
		return code;
	begin_returns(a, may_return_budgets, may_return_shares);
	return draw(a);
}
