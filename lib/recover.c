/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "recover.h"

#include <errno.h>
#include <stdlib.h>

#include "budget.h"
#include "deaths.h"
#include "ledger.h"
#include "period.h"
#include "tenant.h"

struct recovery {
	struct k2k_registry *reg;
	const struct k2k_map *map;
	/* the next one, for what recovery unlinks; a record that has it already is completed */
	uint64_t token;
	struct k2k_mended *mended;
};

/* Does (slot, generation) name a registration that is LIVE or RETIRED? */
static bool is_current(const struct k2k_map *map, uint32_t slot, uint64_t generation,
                       enum k2k_tenant_state *state)
{
	uint64_t word;

	if (slot >= map->sizes.tenants)
		return false;
	/* relaxed: under the writer's lock */
	word = k2k_load_relaxed(&map->tenants[slot].state_gen);
	*state = k2k_tenant_state(word);
	return k2k_tenant_generation(word) == generation &&
	       (*state == K2K_TENANT_LIVE || *state == K2K_TENANT_RETIRED);
}

static int recover_tenant(struct recovery *r, uint32_t slot)
{
	struct k2k_shm_tenant *tenant = &r->map->tenants[slot];
	/* relaxed, here and below: under the writer's lock */
	uint64_t word = k2k_load_relaxed(&tenant->state_gen);
	int code;

	switch (k2k_tenant_state(word)) {
	case K2K_TENANT_FREE: return 0;
	case K2K_TENANT_BUILDING:
		/* publish[tenant-state]: nothing, because no reader could find the tenant */
		k2k_store_release(&tenant->state_gen,
		                  k2k_tenant_word(K2K_TENANT_FREE, k2k_tenant_generation(word)));
		r->mended->tenants++;
		return 0;
	case K2K_TENANT_LIVE:
		/* recover_budget() counts them again */
		k2k_store_relaxed(&r->map->tenants_cold[slot].budget_count, 0);
		/* a deregister may have been killed before it stored RETIRED */
		k2k_store_relaxed(&r->map->tenants_cold[slot].retired_token, 0);
		code = k2k_tenant_is_linked(r->map, slot);
		if (code == K2K_ENOTENANT) {
			k2k_tenant_link(r->map, slot);
			r->mended->tenants++;
			code = 0;
		}
		return code;
	case K2K_TENANT_RETIRED:
		if (k2k_load_relaxed(&r->map->tenants_cold[slot].retired_token) != r->token)
			return 0;
		r->mended->tenants++;
		return k2k_tenant_unlink(r->map, slot);
	case K2K_TENANT_SUSPENDED: break;
	}
	return k2k_fail_values(K2K_ECORRUPT, "tenants", "state", K2K_TENANT_LIVE, word,
	                       "tenant slot %u has state %u", slot,
	                       (unsigned int)k2k_tenant_state(word));
}

static void count_budget(struct recovery *r, uint32_t slot, const struct k2k_shm_budget *budget)
{
	k2k_u32 *count = &r->map->tenants_cold[slot].budget_count;
	/* relaxed: under the writer's lock */
	uint32_t flags = k2k_load_relaxed(&budget->period) ? K2K_DEF_HAS_BUDGETS | K2K_DEF_RENEWS
	                                                   : K2K_DEF_HAS_BUDGETS;

	/* relaxed, all: under the writer's lock */
	k2k_store_relaxed(count, k2k_load_relaxed(count) + 1);
	/* missing only if a killed change never came into force; to set the flag is harmless */
	k2k_store_relaxed(&r->map->tenants[slot].flags,
	                  k2k_load_relaxed(&r->map->tenants[slot].flags) | flags);
}

static int retire_budget(struct recovery *r, uint32_t index)
{
	r->mended->budgets++;
	return k2k_budget_retire(r->map, index, r->token);
}

static int recover_live_budget(struct recovery *r, uint32_t index)
{
	struct k2k_shm_budget *budget = &r->map->budgets[index];
	/* relaxed, all: under the writer's lock */
	uint32_t slot = k2k_load_relaxed(&budget->entry.slot);
	enum k2k_tenant_state state;
	uint64_t version, until;

	if (!is_current(r->map, slot, k2k_load_relaxed(&budget->entry.gen), &state))
		return retire_budget(r, index);
	if (state == K2K_TENANT_RETIRED)
		return 0; /* reaped with its tenant */
	version = K2K_SELECT_VERSION(k2k_load_relaxed(&r->map->tenants[slot].select));
	if (k2k_load_relaxed(&budget->since) > version)
		return retire_budget(r, index);
	until = k2k_load_relaxed(&budget->until);
	if (until != 0 && until <= version)
		return retire_budget(r, index);
	if (until > version) {
		k2k_store_relaxed(&budget->until, 0);
		r->mended->budgets++;
	}
	count_budget(r, slot, budget);
	return 0;
}

static int recover_budget(struct recovery *r, uint32_t index)
{
	struct k2k_shm_budget *budget = &r->map->budgets[index];
	struct k2k_hash hash = k2k_budget_hash(r->map);
	/* relaxed: under the writer's lock */
	uint64_t word = k2k_load_relaxed(&budget->entry.state);
	int code;

	switch (k2k_entry_state(word)) {
	case K2K_ENTRY_CLAIMED:
		/* publish[budget-state]: nothing, because a claimed budget was never linked */
		k2k_store_release(&budget->entry.state, K2K_ENTRY_FREE);
		r->mended->budgets++;
		return 0;
	case K2K_ENTRY_LIVE: return recover_live_budget(r, index);
	case K2K_ENTRY_RETIRED:
		if (k2k_entry_above(word) != r->token)
			return 0;
		r->mended->budgets++;
		code = k2k_hash_unlink(&hash, index);
		return code == K2K_HASH_ABSENT ? 0 : code;
	default: return 0;
	}
}

/* Is it claimed by a dead broker, or by an earlier writer? */
static bool is_abandoned(struct recovery *r, uint64_t word)
{
	return k2k_entry_state(word) == K2K_ENTRY_CLAIMED &&
	       !k2k_liveness_alive(&r->reg->liveness, k2k_entry_above(word));
}

/* If a chain was damaged again after it was mended, its record is left to the next recovery. */
static int skip_damage(struct recovery *r, int code)
{
	if (code != K2K_ECORRUPT)
		return code;
	r->mended->damage.links++;
	return 0;
}

static int recover_claim(const struct k2k_pool *pool, uint32_t index, uint64_t word, int linked)
{
	if (linked == 0) {
		/* publish[entry-state]: that it is linked. By CAS: brokers may write it too */
		k2k_cas_acq_rel(&k2k_pool_at(pool, index)->state, &word,
		                k2k_entry_word(K2K_ENTRY_LIVE, k2k_entry_above(word)));
		return 0;
	}
	if (linked != K2K_HASH_ABSENT)
		return linked;
	k2k_pool_free(pool, index);
	return 0;
}

/* Sets *word to the record's state afterwards. */
static int recover_cost_claim(struct recovery *r, const struct k2k_hash *hash, uint32_t index,
                              uint64_t *word)
{
	const struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, index);
	int code;

	*word = k2k_load_acquire(&entry->state); /* observe[entry-state]: its key */
	if (!is_abandoned(r, *word))
		return 0;
	r->mended->engagements++;
	code = recover_claim(&hash->pool, index, *word, k2k_hash_is_linked(hash, index));
	*word = k2k_load_acquire(&entry->state); /* observe[entry-state]: as we left it */
	return skip_damage(r, code);
}

static int recover_cost(struct recovery *r, const struct k2k_hash *hash, uint32_t index)
{
	const struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, index);
	enum k2k_tenant_state state;
	uint64_t word;
	int code = recover_cost_claim(r, hash, index, &word);

	if (code)
		return code;
	if (k2k_entry_state(word) == K2K_ENTRY_LIVE) {
		/* relaxed, both: a live record keeps its key */
		if (is_current(r->map, k2k_load_relaxed(&entry->slot),
		               k2k_load_relaxed(&entry->gen), &state))
			return 0;
		k2k_pool_retire(&hash->pool, index, r->token);
	} else if (k2k_entry_state(word) != K2K_ENTRY_RETIRED ||
	           k2k_entry_above(word) != r->token) {
		return 0;
	}
	r->mended->engagements++;
	code = k2k_hash_unlink(hash, index);
	return code == K2K_HASH_ABSENT ? 0 : skip_damage(r, code);
}

/* ---- lists ----------------------------------------------------------------------- */

struct stamp {
	uint64_t token;
	uint32_t index;
};

static int by_token(const void *a, const void *b)
{
	const struct stamp *x = a, *y = b;

	return x->token < y->token   ? -1
	       : x->token > y->token ? 1
	       : x->index < y->index ? -1
	                             : x->index > y->index;
}

static int rebuild(const struct k2k_list *free_list, const struct k2k_list *retired_list,
                   bool (*look)(const struct k2k_map *, uint32_t, bool *, uint64_t *),
                   const struct k2k_map *map)
{
	struct stamp *stamps = malloc(sizeof(*stamps) * free_list->capacity);
	uint32_t count = 0;

	if (!stamps)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "recovery",
		                      "no memory to sort %u records", free_list->capacity);
	k2k_list_clear(free_list);
	k2k_list_clear(retired_list);
	for (uint32_t i = 0; i < free_list->capacity; i++) {
		bool is_free;
		uint64_t token;

		if (!look(map, i, &is_free, &token))
			continue;
		if (is_free) {
			k2k_list_append(free_list, i);
		} else {
			stamps[count].token = token;
			stamps[count++].index = i;
		}
	}
	qsort(stamps, count, sizeof(*stamps), by_token);
	for (uint32_t i = 0; i < count; i++)
		k2k_list_append(retired_list, stamps[i].index);
	free(stamps);
	return 0;
}

/* True if the tenant belongs in one of the two lists. relaxed, both: under the writer's lock */
static bool look_tenant(const struct k2k_map *map, uint32_t slot, bool *is_free, uint64_t *token)
{
	enum k2k_tenant_state state = k2k_tenant_state(
		k2k_load_relaxed(&map->tenants[slot].state_gen));

	*is_free = state == K2K_TENANT_FREE;
	*token = k2k_load_relaxed(&map->tenants_cold[slot].retired_token);
	return *is_free || state == K2K_TENANT_RETIRED;
}

/* The same of a budget. relaxed: under the writer's lock */
static bool look_budget(const struct k2k_map *map, uint32_t index, bool *is_free, uint64_t *token)
{
	uint64_t word = k2k_load_relaxed(&map->budgets[index].entry.state);

	*is_free = k2k_entry_state(word) == K2K_ENTRY_FREE;
	*token = k2k_entry_above(word);
	return *is_free || k2k_entry_state(word) == K2K_ENTRY_RETIRED;
}

/*
 * A retired budget whose period record a live one has was replaced by that one; the flag that says
 * so may be missing, since a killed change stores it after its commit store.
 */
static void mark_periods(const struct k2k_map *map, unsigned int state, uint8_t *owned)
{
	for (uint32_t i = 0; i < map->sizes.budgets; i++) {
		uint32_t period = k2k_budget_owned_period(&map->budgets[i]);

		/* relaxed: under the writer's lock */
		if (period == 0 || period > map->sizes.budgets ||
		    k2k_entry_state(k2k_load_relaxed(&map->budgets[i].entry.state)) != state)
			continue;
		if (k2k_verify_mark(owned, period - 1) && state == K2K_ENTRY_RETIRED)
			k2k_budget_keep_period(map, i);
	}
}

static int rebuild_periods(const struct k2k_map *map)
{
	struct k2k_list list = k2k_budget_period_list(map);
	uint8_t *owned = calloc(map->sizes.budgets / 8 + 1, 1);

	if (!owned)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "recovery",
		                      "no memory to sort %u records", map->sizes.budgets);
	mark_periods(map, K2K_ENTRY_LIVE, owned);
	mark_periods(map, K2K_ENTRY_RETIRED, owned);
	k2k_list_clear(&list);
	for (uint32_t i = 0; i < map->sizes.budgets; i++)
		if (!k2k_verify_is_marked(owned, i))
			k2k_list_append(&list, i);
	free(owned);
	return 0;
}

static int rebuild_lists(const struct k2k_map *map)
{
	struct k2k_list free_tenants = k2k_tenant_free_list(map),
			retired_tenants = k2k_tenant_retired_list(map);
	struct k2k_list free_budgets = k2k_budget_free_list(map),
			retired_budgets = k2k_budget_retired_list(map);
	int code = rebuild(&free_tenants, &retired_tenants, look_tenant, map);

	if (!code)
		code = rebuild(&free_budgets, &retired_budgets, look_budget, map);
	return code ? code : rebuild_periods(map);
}

/* An incarnation in live, as brokers have one, for as long as a repair takes. */
struct life {
	struct k2k_registry *reg;
	struct k2k_lock lock;
	uint64_t incarnation;
};

static int begin_life(void *context)
{
	struct life *life = context;

	return k2k_life_begin(&life->reg->live, &life->lock, &life->incarnation);
}

static int end_life(void *context)
{
	struct life *life = context;

	k2k_lock_drop(&life->lock);
	return 0;
}

int k2k_mend_live(struct k2k_registry *reg, uint64_t token, bool *stamped,
                  struct k2k_mended *mended)
{
	struct k2k_mend mend = { .map = &reg->map,
		                 .clock = &reg->clock,
		                 .liveness = &reg->liveness,
		                 .passed = &reg->passed,
		                 .live_header = &reg->live.header,
		                 .token = token,
		                 .thorough = mended->verify != NULL,
		                 .counts = mended->damage,
		                 .verify = mended->verify };
	struct life life = { .reg = reg };
	int code = 0;

	k2k_assert_writer(&reg->writer);
	if (mend.thorough)
		code = k2k_agent_run(&reg->agent, begin_life, &life);
	if (code)
		return code;
	mend.incarnation = life.incarnation;
	code = k2k_mend(&mend);
	if (mend.thorough)
		k2k_agent_run(&reg->agent, end_life, &life);
	mended->damage = mend.counts;
	mended->engagements += mend.adopted_costs;
	mended->leases += mend.adopted_leases;
	*stamped = *stamped || mend.stamped;
	return code;
}

int k2k_mend_now(struct k2k_registry *reg)
{
	struct k2k_mended mended = { .verify = NULL };
	uint64_t token = k2k_grace_next(&reg->map);
	bool stamped = false;
	int code = k2k_mend_live(reg, token, &stamped, &mended);

	if (stamped)
		k2k_grace_publish(&reg->map, token);
	if (k2k_mended_anything(&mended.damage))
		k2k_report_repair(reg, &mended);
	return code;
}

void k2k_report_repair(struct k2k_registry *reg, const struct k2k_mended *mended)
{
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_REPAIR };
	const struct k2k_mend_counts *damage = &mended->damage;
	uint64_t *values = body.more.change.values;

	k2k_assert_writer(&reg->writer);
	values[K2K_AUDIT_REPAIR_TENANTS] = mended->tenants;
	values[K2K_AUDIT_REPAIR_BUDGETS] = mended->budgets;
	values[K2K_AUDIT_REPAIR_ENGAGEMENTS] = mended->engagements;
	values[K2K_AUDIT_REPAIR_LEASES] = mended->leases;
	values[K2K_AUDIT_REPAIR_BROKERS] = mended->brokers;
	values[K2K_AUDIT_REPAIR_DAMAGED] = damage->links + damage->records + damage->words +
	                                   damage->rings + damage->merged + damage->leases;
	values[K2K_AUDIT_REPAIR_CUT_LEASES] = damage->leases;
	values[K2K_AUDIT_REPAIR_CUT_GPU_NS] = damage->cut_ns;
	values[K2K_AUDIT_REPAIR_UNATTRIBUTED_NS] = damage->unattributed_ns;
	k2k_trail_append_locked(&reg->trail, &body);
}

/* ---- corrections ----------------------------------------------------------------- */

void k2k_end_correction(const struct k2k_map *map, uint32_t record, uint64_t after)
{
	/* relaxed: a number */
	k2k_store_relaxed(&map->ledger[record].corrected_ns, after);
	/* publish[corrections]: the sum, for a successor after a kill */
	k2k_store_release(&map->defs->corrections,
	                  /* relaxed: under the writer's lock */
	                  k2k_load_relaxed(&map->defs->corrections) + 1);
}

/* Completes a correction that is in force, and forgets any other (correct.c). */
static void recover_correction(const struct k2k_map *map)
{
	/* observe[corrections], observe[correcting]: the element that they are about */
	uint64_t number = k2k_load_acquire(&map->defs->corrections);
	const struct k2k_shm_correction *intent = k2k_correction_at(map, number);
	uint32_t record, period;
	bool in_force;

	/* observe[correcting]: as above */
	if (k2k_load_acquire(&map->defs->correcting) != number + 1)
		return;
	/* relaxed, all: under the writer's lock */
	record = k2k_load_relaxed(&intent->ledger) - 1;
	period = k2k_load_relaxed(&intent->period);
	if (record < map->sizes.engagements && period <= map->sizes.budgets &&
	    k2k_load_relaxed(&map->ledger[record].entry.gen) ==
	            k2k_load_relaxed(&intent->generation) &&
	    k2k_load_relaxed(&map->ledger[record].entry.key) ==
	            k2k_load_relaxed(&intent->engagement)) {
		uint64_t after = k2k_load_relaxed(&intent->after);

		in_force = period ? k2k_period_made(k2k_load_relaxed(
					    &map->periods[period - 1].now.first)) !=
		                            k2k_load_relaxed(&intent->made)
		                  : k2k_load_relaxed(&map->ledger[record].corrected_ns) == after;
		if (in_force)
			k2k_end_correction(map, record, after);
	}
	k2k_store_relaxed(&map->defs->correcting, 0);
}

static int recover_all(struct recovery *r)
{
	struct k2k_hash ledger = k2k_ledger_hash(r->map);
	bool stamped = false; /* the token is published anyway */
	uint32_t ledger_high;
	int code = 0;

	for (uint32_t i = 0; !code && i < r->map->sizes.tenants; i++)
		code = recover_tenant(r, i);
	if (!code)
		code = k2k_mend_live(r->reg, r->token, &stamped, r->mended);
	if (!code)
		recover_correction(r->map);
	ledger_high = k2k_pool_high(&ledger.pool);
	for (uint32_t i = 0; !code && i < r->map->sizes.budgets; i++)
		code = recover_budget(r, i);
	for (uint32_t i = 0; !code && i < ledger_high; i++)
		code = recover_cost(r, &ledger, i);
	k2k_pool_recount(&ledger.pool);
	k2k_ledger_recount(r->map);
	/* an update that was killed may have lowered a limit, and promises a grace period then */
	if (!code)
		k2k_grace_publish(r->map, r->token);
	return code ? code : rebuild_lists(r->map);
}

int k2k_recover_claims(struct k2k_registry *reg, struct k2k_mended *mended)
{
	struct recovery r = { .reg = reg, .map = &reg->map, .mended = mended };
	struct k2k_hash ledger = k2k_ledger_hash(r.map);
	uint32_t ledger_high = k2k_pool_high(&ledger.pool);
	uint64_t word;
	int code = 0;

	k2k_assert_writer(&reg->writer);
	for (uint32_t i = 0; !code && i < ledger_high; i++)
		code = recover_cost_claim(&r, &ledger, i, &word);
	return code;
}

int k2k_recover(struct k2k_registry *reg, struct k2k_mended *mended)
{
	struct k2k_mended own = { .verify = NULL };
	struct recovery r = { reg, &reg->map, k2k_grace_next(&reg->map), mended ? mended : &own };
	int code;

	k2k_assert_writer(&reg->writer);
	/* first, because recovery frees leases, and the reports contain their amounts */
	k2k_report_deaths(reg);
	code = recover_all(&r);
	/* damage is never cut out without a report; repair writes its own */
	if (!code && !mended && k2k_mended_anything(&own.damage))
		k2k_report_repair(reg, &own);
	if (!code)
		k2k_writer_end(&reg->writer);
	return code;
}
