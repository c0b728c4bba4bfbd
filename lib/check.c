/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * check.c (F7) - the invariants that can be seen from outside; and repair.
 *
 * An administrator looks under the writer's lock: definitions hold still. What
 * brokers write moves all the time: a finding there, and any finding of a reader
 * without the lock, counts only if a second look finds the same.
 *
 * No finding are: a dead broker's slot, its claims and its leases (they count as
 * nothing and are taken by whoever needs them), and tenants that wait for a
 * grace period.
 *
 * Loads are relaxed where they have no label: numbers that are compared; what matters is found again on the second look.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "handle.h"
#include "ledger.h"
#include "rate.h"
#include "tenant.h"

#define FINDINGS_MAX 256 /* that are kept for the second look; more are counted as this many */
#define LOOKS 5
#define PAUSE_NS UINT64_C(20000000)

struct findings {
	struct k2k_registry *reg;
	struct k2k_finding list[FINDINGS_MAX];
	size_t count;
};

static void find(struct findings *f, const char *invariant, const char *object, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void find(struct findings *f, const char *invariant, const char *object, const char *format, ...)
{
	struct k2k_finding *finding;
	va_list args;

	if (f->count == FINDINGS_MAX)
		return;
	finding = &f->list[f->count++];
	memset(finding, 0, sizeof(*finding));
	snprintf(finding->invariant, sizeof(finding->invariant), "%s", invariant);
	snprintf(finding->object, sizeof(finding->object), "%s", object);
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
}

/* ---- chains ------------------------------------------------------------------------ */

/* Bits of what was reached: each record at most once, each in its own bucket. */
static bool mark(uint8_t *seen, uint32_t index)
{
	bool was = seen[index / 8] & (1u << index % 8);

	seen[index / 8] |= (uint8_t)(1u << index % 8);
	return was;
}

static bool is_marked(const uint8_t *seen, uint32_t index)
{
	return seen[index / 8] & (1u << index % 8);
}

static void check_tenant_chain(struct findings *f, uint32_t bucket, uint8_t *seen)
{
	const struct k2k_map *map = &f->reg->map;
	uint32_t link = k2k_load_acquire(&map->tenant_heads[bucket]); /* observe[tenant-link]: the definition's fields */

	while (link != 0) {
		const struct k2k_shm_tenant *tenant;

		if (link > map->sizes.tenants) {
			find(f, "I1", "tenants", "bucket %u: a link points outside of the table", bucket);
			return;
		}
		tenant = &map->tenants[link - 1];
		if (mark(seen, link - 1)) {
			find(f, "I1", "tenants", "bucket %u: slot %u is linked twice", bucket, link - 1);
			return;
		}
		if (k2k_tenant_bucket(map, k2k_load_relaxed(&tenant->id)) != bucket)
			find(f, "I1", "tenants", "slot %u is in bucket %u, which is not its own", link - 1, bucket);
		if (k2k_tenant_state(k2k_load_relaxed(&tenant->state_gen)) != K2K_TENANT_LIVE)
			find(f, "I1", "tenants", "slot %u is linked, but not live", link - 1);
		link = k2k_load_acquire(&tenant->next); /* observe[tenant-link]: as above */
	}
}

static void check_duplicates(struct findings *f, uint32_t slot)
{
	const struct k2k_map *map = &f->reg->map;
	k2k_tenant_id id = k2k_load_relaxed(&map->tenants[slot].id);
	uint64_t word = 0;
	uint32_t found = slot;

	if (k2k_tenant_find(map, id, &found, &word) == 0 && found != slot)
		find(f, "I1", "tenants", "tenant %" PRIu64 " is defined in slots %u and %u", id, slot, found);
}

static void check_tenant(struct findings *f, uint32_t slot, const uint8_t *seen)
{
	const struct k2k_map *map = &f->reg->map;
	uint64_t word = k2k_load_relaxed(&map->tenants[slot].state_gen);
	uint64_t token = k2k_load_relaxed(&map->defs->grace_token);
	uint64_t generation = k2k_tenant_generation(word);

	if (generation > k2k_load_relaxed(&map->defs->generation))
		find(f, "I1", "tenants", "slot %u has generation %" PRIu64 ", which was not given yet", slot, generation);
	switch (k2k_tenant_state(word)) {
	case K2K_TENANT_FREE:
		break;
	case K2K_TENANT_BUILDING:
		find(f, "intent", "tenants", "slot %u: a register has not ended", slot);
		break;
	case K2K_TENANT_LIVE:
		if (!is_marked(seen, slot))
			find(f, "I1", "tenants", "slot %u is live, but not linked", slot);
		else
			check_duplicates(f, slot);
		break;
	case K2K_TENANT_RETIRED:
		if (k2k_load_relaxed(&map->tenants_cold[slot].retired_token) > token)
			find(f, "I2", "tenants", "slot %u is retired with a token that was not published", slot);
		break;
	default:
		find(f, "I1", "tenants", "slot %u has state %u", slot, (unsigned int)k2k_tenant_state(word));
	}
}

static void check_tenants(struct findings *f)
{
	const struct k2k_map *map = &f->reg->map;
	uint8_t *seen = calloc(map->sizes.tenants / 8 + 1, 1);

	if (!seen)
		return;
	for (uint32_t i = 0; i <= map->tenant_mask; i++)
		check_tenant_chain(f, i, seen);
	for (uint32_t i = 0; i < map->sizes.tenants; i++)
		check_tenant(f, i, seen);
	free(seen);
}

/* ---- pooled records ------------------------------------------------------------------ */

static void check_chain(struct findings *f, const struct k2k_hash *hash, const char *object, uint32_t bucket, uint8_t *seen)
{
	uint32_t link = k2k_load_acquire(&hash->heads[bucket]); /* observe[entry-link]: its fields */

	while (link != 0) {
		const struct k2k_shm_entry *entry;
		unsigned int state;

		if (link > hash->pool.capacity) {
			find(f, "I5", object, "bucket %u: a link points outside of the table", bucket);
			return;
		}
		entry = k2k_pool_at(&hash->pool, link - 1);
		if (mark(seen, link - 1)) {
			find(f, "I5", object, "bucket %u: record %u is linked twice", bucket, link - 1);
			return;
		}
		if (k2k_hash_bucket(hash, k2k_load_relaxed(&entry->gen), k2k_load_relaxed(&entry->key)) != bucket)
			find(f, "I5", object, "record %u is in bucket %u, which is not its own", link - 1, bucket);
		state = k2k_entry_state(k2k_load_relaxed(&entry->state));
		if (state == K2K_ENTRY_FREE || state == K2K_ENTRY_RETIRED)
			find(f, "I2", object, "record %u is linked, but %s", link - 1, state == K2K_ENTRY_FREE ? "free" : "retired");
		link = k2k_load_acquire(&entry->next); /* observe[entry-link]: as above */
	}
}

static bool tenant_exists(const struct k2k_map *map, uint32_t slot, uint64_t generation)
{
	uint64_t word;

	if (slot >= map->sizes.tenants)
		return false;
	word = k2k_load_relaxed(&map->tenants[slot].state_gen);
	return k2k_tenant_generation(word) == generation &&
	       (k2k_tenant_state(word) == K2K_TENANT_LIVE || k2k_tenant_state(word) == K2K_TENANT_RETIRED);
}

static void check_entries(struct findings *f, const struct k2k_hash *hash, const char *object)
{
	const struct k2k_map *map = &f->reg->map;
	uint8_t *seen = calloc(hash->pool.capacity / 8 + 1, 1);
	uint64_t token = k2k_load_relaxed(&map->defs->grace_token);

	if (!seen)
		return;
	for (uint32_t i = 0; i <= hash->mask; i++)
		check_chain(f, hash, object, i, seen);
	for (uint32_t i = 0; i < hash->pool.capacity; i++) {
		const struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, i);
		uint64_t word = k2k_load_relaxed(&entry->state);

		if (k2k_entry_state(word) == K2K_ENTRY_LIVE) {
			if (!is_marked(seen, i))
				find(f, "I5", object, "record %u is live, but not linked", i);
			if (!tenant_exists(map, k2k_load_relaxed(&entry->slot), k2k_load_relaxed(&entry->gen)))
				find(f, "I2", object, "record %u belongs to no tenant", i);
		}
		if (k2k_entry_state(word) == K2K_ENTRY_RETIRED && k2k_entry_above(word) > token)
			find(f, "I2", object, "record %u is retired with a token that was not published", i);
	}
	free(seen);
}

static void check_budgets(struct findings *f)
{
	const struct k2k_map *map = &f->reg->map;
	struct k2k_hash hash = k2k_budget_hash(map);

	check_entries(f, &hash, "budgets");
	for (uint32_t i = 0; i < map->sizes.budgets; i++) {
		const struct k2k_shm_budget *budget = &map->budgets[i];
		uint32_t slot = k2k_load_relaxed(&budget->entry.slot);
		uint64_t version, until = k2k_load_relaxed(&budget->until), word = k2k_load_relaxed(&budget->entry.state);

		if (k2k_entry_state(word) == K2K_ENTRY_CLAIMED)
			find(f, "intent", "budgets", "record %u: a change of budgets has not ended", i);
		if (k2k_entry_state(word) != K2K_ENTRY_LIVE || slot >= map->sizes.tenants ||
		    k2k_load_relaxed(&map->tenants[slot].state_gen) !=
		            k2k_tenant_word(K2K_TENANT_LIVE, k2k_load_relaxed(&budget->entry.gen)))
			continue;
		version = K2K_SELECT_VERSION(k2k_load_relaxed(&map->tenants[slot].select));
		if (k2k_load_relaxed(&budget->since) > version || until != 0)
			find(f, "intent", "budgets", "record %u: a change of budgets has not ended", i);
	}
}

/* ---- what brokers write --------------------------------------------------------------- */

static void check_cells(struct findings *f)
{
	struct k2k_registry *reg = f->reg;

	for (uint32_t i = 0; i < reg->map.sizes.tenants; i++) {
		uint64_t word = k2k_load_relaxed(&reg->map.tenants[i].state_gen), held;
		struct k2k_holdings holdings;
		struct k2k_rate rate;

		if (k2k_tenant_state(word) != K2K_TENANT_LIVE)
			continue;
		if (k2k_rate_look(&reg->map.cells[i], &reg->clock, false, &rate) != 0)
			find(f, "I3", "cells", "slot %u: its window is second %" PRIu64 ", which has not come", i, rate.second);
		if (k2k_lease_collect(&reg->map, i, &holdings) != 0) {
			find(f, "I4", "leases", "slot %u: %.100s", i, k2k_error_detail()->text);
			continue;
		}
		for (uint32_t j = 0; j < holdings.count; j++)
			for (int r = 0; r < K2K_RESOURCES; r++) {
				const struct k2k_holding *h = &holdings.list[j];

				held = h->asked[r] - h->ended[r];
				if (h->held[r] > held)
					find(f, "I4", "leases", "broker %u holds %" PRIu64 " of slot %u, but asked for %" PRIu64,
					     h->broker_slot, h->held[r], i, held);
			}
	}
}

static void check_slots(struct findings *f)
{
	const struct k2k_map *map = &f->reg->map;

	for (uint32_t i = 0; i < K2K_SLOTS; i++) {
		uint64_t ack = k2k_load_acquire(&map->slots[i].ack); /* observe[grace-ack]: so that the token is newer */
		uint64_t owner = k2k_load_relaxed(&map->slots[i].owner);
		uint64_t token = k2k_load_acquire(&map->defs->grace_token); /* observe[grace-token]: only compared */

		if (ack > token)
			find(f, "I2", "brokers", "slot %u has answered grace period %" PRIu64 ", which has not begun", i, ack);
		if (owner != 0 && (owner < K2K_LOCK_BYTE_LIFE_MIN || owner >= K2K_LOCK_BYTE_LIFE_MAX))
			find(f, "I6", "brokers", "slot %u has owner %" PRIu64 ", which is nobody's", i, owner);
	}
}

static void check_lease_pool(struct findings *f)
{
	const struct k2k_map *map = &f->reg->map;
	struct k2k_pool pool = k2k_lease_pool(map);

	for (uint32_t i = 0; i < pool.capacity; i++) {
		const struct k2k_shm_entry *entry = k2k_pool_at(&pool, i);

		if (k2k_entry_state(k2k_load_relaxed(&entry->state)) == K2K_ENTRY_LIVE &&
		    !tenant_exists(map, k2k_load_relaxed(&entry->slot), k2k_load_relaxed(&entry->gen)))
			find(f, "I2", "leases", "record %u belongs to no tenant", i);
	}
}

static void look(struct findings *f)
{
	struct k2k_hash ledger = k2k_ledger_hash(&f->reg->map);
	enum k2k_operation intent = k2k_writer_intent(&f->reg->map);

	f->count = 0;
	if (intent != K2K_OP_NONE)
		find(f, "intent", "writer", "an operation has not ended (%s): any change finishes it, or repair",
		     k2k_writer_operation_name(intent));
	check_tenants(f);
	check_budgets(f);
	check_entries(f, &ledger, "engagements");
	check_lease_pool(f);
	check_cells(f);
	check_slots(f);
}

/* Keeps what both looks found. A text holds no number that moves by itself. */
static void intersect(struct findings *f, const struct findings *again)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->count; i++)
		for (size_t j = 0; j < again->count; j++)
			if (strcmp(f->list[i].text, again->list[j].text) == 0 &&
			    strcmp(f->list[i].object, again->list[j].object) == 0) {
				f->list[kept++] = f->list[i];
				break;
			}
	f->count = kept;
}

static int look_until_stable(struct findings *f)
{
	struct findings *again = malloc(sizeof(*again));

	if (!again)
		return k2k_fail(K2K_ENOMEM, "check", NULL, "no memory");
	again->reg = f->reg;
	look(f);
	for (int i = 0; f->count && i < LOOKS; i++) {
		k2k_clock_sleep_ns(PAUSE_NS);
		look(again);
		intersect(f, again);
	}
	free(again);
	return 0;
}

static int check_as_reader(struct findings *f)
{
	int code = k2k_enter(f->reg, K2K_GATE_ANY);

	if (code)
		return code;
	code = look_until_stable(f);
	k2k_read_unlock();
	return code;
}

static int check_as_admin(struct findings *f)
{
	struct k2k_lock lock;
	int code = k2k_change_begin(f->reg, K2K_OP_CHECK, k2k_deadline(f->reg), &lock);

	if (code)
		return code;
	code = look_until_stable(f);
	k2k_change_leave(f->reg, &lock);
	return code;
}

int k2k_registry_check(struct k2k_registry *reg, struct k2k_finding *list, size_t capacity, size_t *count)
{
	struct findings *f;
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = K2K_CHECK_LIST(list, capacity, count);
	if (code)
		return code;
	f = malloc(sizeof(*f));
	if (!f)
		return k2k_fail(K2K_ENOMEM, "check", NULL, "no memory");
	f->reg = reg;
	code = reg->role == K2K_GATE_ADMIN ? check_as_admin(f) : check_as_reader(f);
	if (!code) {
		size_t stride = capacity ? list->size : 0;

		*count = f->count;
		for (size_t i = 0; i < f->count && i < capacity; i++) {
			struct k2k_finding *out = k2k_element(list, stride, i);

			*out = f->list[i];
			out->size = (uint32_t)stride;
		}
	}
	free(f);
	return code;
}

/* ---- repair ------------------------------------------------------------------------------- */

static void clear_dead_slots(struct k2k_registry *reg, struct k2k_mended *mended)
{
	for (uint32_t i = 0; i < K2K_SLOTS; i++) {
		uint64_t owner = k2k_load_acquire(&reg->map.slots[i].owner); /* observe[slot-owner]: as it died */

		/* publish[slot-owner]: nothing; from a dead owner only */
		if (owner != 0 && !k2k_census_alive(&reg->census, owner) &&
		    k2k_cas_acq_rel(&reg->map.slots[i].owner, &owner, 0))
			mended->brokers++;
	}
}

int k2k_registry_repair(struct k2k_registry *reg, struct k2k_repair_info *info)
{
	struct k2k_mended mended = { 0, 0, 0, 0, 0 };
	struct k2k_lock lock;
	uint64_t files = 0;
	uint32_t size;
	int code = reg ? K2K_CHECK_STRUCT(info, 0) : k2k_fail_argument("registry", "null");

	if (!code)
		code = k2k_change_begin(reg, K2K_OP_CHECK, k2k_deadline(reg), &lock); /* recovery is counted here, not in begin */
	if (code)
		return code;
	k2k_writer_begin(&reg->map, K2K_OP_REPAIR);
	clear_dead_slots(reg, &mended);
	code = k2k_recover(reg, &mended);
	if (!code) {
		k2k_writer_begin(&reg->map, K2K_OP_REPAIR);
		code = k2k_reap(reg, &mended);
	}
	if (!code)
		k2k_writer_end(&reg->map);
	if (!code)
		k2k_sweep(reg->name, &files);
	k2k_change_leave(reg, &lock);
	if (code)
		return code;
	size = info->size;
	memset(info, 0, sizeof(*info));
	info->size = size;
	info->files = files;
	info->tenants = mended.tenants;
	info->budgets = mended.budgets;
	info->engagements = mended.engagements;
	info->leases = mended.leases;
	info->brokers = mended.brokers;
	return 0;
}
