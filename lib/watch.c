/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch.h"

#include <string.h>

#include "alert.h"
#include "budget.h"
#include "lease.h"
#include "ledger.h"
#include "period.h"
#include "rate.h"

/* What an event is about. */
struct subject {
	struct k2k_registry *reg;
	enum k2k_alert_limit kind;
	k2k_tenant_id id;
	uint64_t generation;
	struct k2k_audit_tag tag;
	uint32_t alerts;
	uint64_t sequence, used, limit;
};

static void append(const struct subject *s, uint32_t percent)
{
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_ALERT,
		                       .tenant = s->id,
		                       .generation = s->generation,
		                       .org_id = s->tag.org_id,
		                       .engagement_id = s->tag.engagement_id,
		                       .used = s->used,
		                       .limit = s->limit };
	uint64_t *values = body.more.change.values;

	values[K2K_AUDIT_ALERT_PERCENT] = percent;
	values[K2K_AUDIT_ALERT_LIMIT] = s->kind;
	values[K2K_AUDIT_ALERT_SEQUENCE] = s->sequence;
	if (s->reg->role == K2K_GATE_BROKER)
		k2k_trail_append(&s->reg->trail, &body);
	else
		k2k_trail_append_locked(&s->reg->trail, &body);
}

/* Reports each threshold above `before`, up to the level. */
static void report(const struct subject *s, uint32_t before, uint32_t level)
{
	K2K_DELAY(alerted);
	for (int i = 0; i < K2K_ALERTS; i++) {
		uint32_t percent = k2k_alert_percent(s->alerts, i);

		if (percent > before && percent <= level)
			append(s, percent);
	}
}

/* ---- the rate ------------------------------------------------------------------------ */

void k2k_watch_rate(struct k2k_registry *reg, const struct k2k_rate_use *use)
{
	struct subject s = { .reg = reg,
		             .kind = K2K_ALERT_RATE,
		             .id = use->id,
		             .generation = use->generation,
		             .tag = use->tag,
		             .sequence = use->second,
		             .used = use->used,
		             .limit = use->limit };
	struct k2k_limits limits;
	uint32_t level, before;

	k2k_tenant_limits(&reg->map, use->slot, &limits);
	/* the next message is decided by the definition that is in force now */
	if (limits.version != use->version)
		return;
	s.alerts = limits.alerts;
	level = k2k_alert_level(limits.alerts, use->used, use->limit);
	if (level && k2k_alert_raise(&reg->map.cells_cold[use->slot].alert_rate, use->second, level,
	                             &before))
		report(&s, before, level);
}

void k2k_watch_record(struct k2k_registry *reg, k2k_tenant_id id, uint32_t slot, uint64_t state_gen)
{
	struct k2k_rate_use use = { .id = id,
		                    .slot = slot,
		                    .generation = k2k_tenant_generation(state_gen) };
	struct k2k_rate_view view;

	if (k2k_rate_look(&reg->map, slot, &reg->clock, &view) != 0)
		return;
	use.version = view.terms.version;
	use.second = k2k_rate_named(&view);
	use.used = k2k_rate_used(&view);
	use.limit = k2k_rate_limit(&view);
	k2k_watch_rate(reg, &use);
}

/* ---- budgets ------------------------------------------------------------------------- */

struct budget_use {
	struct k2k_limits limits;
	k2k_u64 *word;
	uint64_t sequence, used, limit;
};

/* The budget in force and its use. False: it has none, or no thresholds, or it is damaged. */
static bool look(const struct k2k_map *map, const struct k2k_hash_key *key, struct budget_use *use)
{
	struct k2k_budget_view view;
	struct k2k_period_copy copy;
	uint64_t since = 0;
	uint32_t index;
	int code;

	do {
		k2k_tenant_limits(map, key->slot, &use->limits);
		if (!use->limits.alerts)
			return false;
		code = k2k_budget_find(map, key, use->limits.version, &index);
		if (!code)
			code = k2k_budget_view(map, key, index, &view);
		if (!code)
			/* relaxed: published with the link */
			since = k2k_load_relaxed(&map->budgets[index].since);
		/* a walk can miss a budget of a version that is over: see k2k_message_budget() */
		k2k_fence_acquire();
		/* relaxed: ordered by the fence */
	} while (K2K_SELECT_VERSION(k2k_load_relaxed(&map->tenants[key->slot].select)) !=
	         use->limits.version);
	if (code)
		return false;
	use->limit = view.limit_ns;
	if (view.period) {
		/* the period in force, not that of the clock: what was booked just now is in it */
		k2k_period_look(view.period, &view.cost->cost_ns, &copy);
		use->word = &view.period->alerts;
		use->sequence = k2k_period_number(copy.word);
		use->used = copy.used;
	} else {
		use->word = &view.cost->alerts;
		use->sequence = since;
		use->used = k2k_ledger_corrected(view.cost);
	}
	return true;
}

void k2k_watch_budget(struct k2k_registry *reg, k2k_tenant_id id, const struct k2k_hash_key *key,
                      uint64_t org_id)
{
	struct subject s = { .reg = reg,
		             .kind = K2K_ALERT_BUDGET,
		             .id = id,
		             .generation = key->gen,
		             .tag = { org_id, key->key } };
	struct budget_use use;
	uint32_t level, before;

	if (!look(&reg->map, key, &use))
		return;
	s.alerts = use.limits.alerts;
	s.sequence = use.sequence;
	s.used = use.used;
	s.limit = use.limit;
	level = k2k_alert_level(s.alerts, use.used, use.limit);
	if (level && k2k_alert_raise(use.word, use.sequence, level, &before))
		report(&s, before, level);
}

void k2k_watch_mark_budget(struct k2k_registry *reg, const struct k2k_hash_key *key)
{
	struct budget_use use;
	uint32_t level, before;

	if (!look(&reg->map, key, &use))
		return;
	level = k2k_alert_level(use.limits.alerts, use.used, use.limit);
	if (level)
		k2k_alert_raise(use.word, use.sequence, level, &before);
}

/* ---- leases -------------------------------------------------------------------------- */

/* Does its broker live, as far as the words of its slot say? */
static bool counts(const struct k2k_map *map, const struct k2k_holding *h)
{
	const struct k2k_shm_slot *slot = &map->slots[h->broker_slot];

	/* relaxed, both: one that changes now is seen a second later */
	return k2k_load_relaxed(&slot->owner) == h->incarnation &&
	       k2k_load_relaxed(&slot->death_reported) != h->incarnation;
}

/* False: the leases are damaged. */
static bool sum(const struct k2k_map *map, const struct k2k_lease_key *key,
                uint64_t held[K2K_RESOURCES])
{
	struct k2k_lease_walk walk;
	struct k2k_holding h;

	memset(held, 0, K2K_RESOURCES * sizeof(*held));
	k2k_lease_walk(&walk, map, key);
	while (k2k_lease_next(&walk, &h))
		for (int i = 0; i < K2K_RESOURCES; i++)
			if (counts(map, &h))
				held[i] = k2k_sat_add(held[i], h.held[i]);
	return walk.code == 0;
}

static void follow(struct subject *s, k2k_u64 *word, enum k2k_alert_limit kind, uint64_t used,
                   uint64_t limit)
{
	uint32_t level = k2k_alert_level(s->alerts, used, limit), before;

	s->kind = kind;
	s->used = used;
	s->limit = limit;
	if (k2k_alert_follow(word, s->sequence, level, &before))
		report(s, before, level);
}

/* In a read section, so that the slot stays this tenant's. */
static void watch_tenant(struct k2k_registry *reg, uint32_t slot, uint64_t second)
{
	const struct k2k_map *map = &reg->map;
	struct k2k_shm_cell_cold *cold = &map->cells_cold[slot];
	/* observe[tenant-state]: id, cell and limits of this generation */
	uint64_t state_gen = k2k_load_acquire(&map->tenants[slot].state_gen);
	struct subject s = { .reg = reg,
		             .generation = k2k_tenant_generation(state_gen),
		             .sequence = second };
	struct k2k_lease_key key = k2k_lease_of_tenant(slot, s.generation);
	uint64_t held[K2K_RESOURCES];
	struct k2k_limits limits;

	if (k2k_tenant_state(state_gen) != K2K_TENANT_LIVE)
		return;
	k2k_tenant_limits(map, slot, &limits);
	if (!limits.alerts || !sum(map, &key, held))
		return;
	s.id = k2k_load_relaxed(&map->tenants[slot].id); /* relaxed: published with LIVE */
	s.alerts = limits.alerts;
	follow(&s, &cold->alert_kernels, K2K_ALERT_KERNELS, held[K2K_RESOURCE_KERNELS],
	       limits.kernels == K2K_UNLIMITED_KERNELS ? K2K_UNLIMITED : limits.kernels);
	follow(&s, &cold->alert_gpu_memory, K2K_ALERT_GPU_MEMORY, held[K2K_RESOURCE_GPU_MEMORY],
	       limits.gpu_memory_bytes);
}

/*
 * Can there be anything to report of its leases? Not if nobody ever held one, and no threshold is
 * reached: most tenants of a large registry cost two cache lines then.
 */
static bool may_report(const struct k2k_map *map, uint32_t slot)
{
	const struct k2k_shm_cell_cold *cold = &map->cells_cold[slot];

	/* relaxed, both: watch_tenant() decides */
	return k2k_watch_counts(map, slot) &&
	       (k2k_lease_any(map, slot) ||
	        k2k_alert_level_of(k2k_load_relaxed(&cold->alert_kernels)) ||
	        k2k_alert_level_of(k2k_load_relaxed(&cold->alert_gpu_memory)));
}

void k2k_watch_leases(struct k2k_registry *reg, uint64_t second)
{
	k2k_u32 *word = &reg->map.live->alerts_second;
	/* relaxed, both: it only shares out the work */
	uint32_t last = k2k_load_relaxed(word);

	if (last == (uint32_t)second || !k2k_cas_relaxed(word, &last, (uint32_t)second) ||
	    !k2k_thread_get())
		return;
	for (uint32_t i = 0; i < reg->map.sizes.tenants; i++) {
		if (!may_report(&reg->map, i))
			continue;
		k2k_read_lock();
		watch_tenant(reg, i, second);
		k2k_read_unlock();
	}
}
