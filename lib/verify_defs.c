/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * verify_defs.c (F6, on top of its peers) - verifies tenants, budgets and the writer's words.
 *
 * Loads without a label are relaxed: see verify.h.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alert.h"
#include "budget.h"
#include "tenant.h"
#include "text.h"
#include "verify.h"
#include "writer.h"

/* ---- the writer's words ---------------------------------------------------------------- */

static void check_words(struct k2k_verify *verify)
{
	const struct k2k_shm_defs *defs = verify->map->defs;

	if (k2k_load_relaxed(&defs->poisoned))
		k2k_verify_report(verify, "layout", "defs",
		                  "the word that says \"being destroyed\" is corrupt");
	if (k2k_writer_intent(verify->map) == K2K_OP_NONE &&
	    k2k_load_relaxed(&defs->grace_wake) != (uint32_t)k2k_load_relaxed(&defs->grace_token))
		k2k_verify_report(verify, "I2", "defs",
		                  "the word that brokers wait on differs from the grace token");
	if (k2k_load_relaxed(&defs->shares_until_ns) && !k2k_load_relaxed(&defs->shares_epoch))
		k2k_verify_report(verify, "layout", "defs",
		                  "shares hold, but no agent has an epoch: end them");
	if (k2k_writer_intent(verify->map) == K2K_OP_NONE &&
	    k2k_load_relaxed(&defs->correcting) == k2k_load_relaxed(&defs->corrections) + 1)
		k2k_verify_report(verify, "intent", "defs", "a correction was interrupted");
	k2k_verify_reserved(verify, "defs", 0, &defs->reserved0, sizeof(defs->reserved0));
	k2k_verify_reserved(verify, "defs", 1, defs->reserved1, sizeof(defs->reserved1));
	k2k_verify_reserved(verify, "defs", 5, &defs->reserved5, sizeof(defs->reserved5));
	k2k_verify_reserved(verify, "defs", 6, defs->reserved6, sizeof(defs->reserved6));
	k2k_verify_reserved(verify, "defs", 9, defs->reserved7, sizeof(defs->reserved7));
	for (uint32_t i = 0; i < K2K_CORRECTIONS; i++) {
		k2k_verify_reserved(verify, "defs", 7, &defs->correction[i].reserved0,
		                    sizeof(defs->correction[i].reserved0));
		k2k_verify_reserved(verify, "defs", 8, &defs->correction[i].reserved1,
		                    sizeof(defs->correction[i].reserved1));
	}
}

/* ---- lists of free and of retired records ------------------------------------------------ */

enum place { IN_NONE, IN_FREE, IN_RETIRED };

/* Which list a record belongs to by its state, and the token that it waits for. */
typedef enum place (*placing)(const struct k2k_map *map, uint32_t index, uint64_t *token);

static enum place place_tenant(const struct k2k_map *map, uint32_t index, uint64_t *token)
{
	enum k2k_tenant_state state = k2k_tenant_state(
		k2k_load_relaxed(&map->tenants[index].state_gen));

	*token = k2k_load_relaxed(&map->tenants_cold[index].retired_token);
	return state == K2K_TENANT_FREE      ? IN_FREE
	       : state == K2K_TENANT_RETIRED ? IN_RETIRED
	                                     : IN_NONE;
}

static enum place place_budget(const struct k2k_map *map, uint32_t index, uint64_t *token)
{
	uint64_t word = k2k_load_relaxed(&map->budgets[index].entry.state);

	*token = k2k_entry_above(word);
	return k2k_entry_state(word) == K2K_ENTRY_FREE      ? IN_FREE
	       : k2k_entry_state(word) == K2K_ENTRY_RETIRED ? IN_RETIRED
	                                                    : IN_NONE;
}

static void check_list(struct k2k_verify *verify, const struct k2k_list *list, const char *object,
                       enum place place, placing placer)
{
	const char *name = place == IN_FREE ? "free" : "retired";
	uint32_t link = k2k_load_relaxed(&list->shared->head), last = 0, count = 0, records = 0;
	uint64_t token, newest = 0;

	while (link != 0 && link <= list->capacity && count < list->capacity) {
		if (placer(verify->map, link - 1, &token) != place)
			k2k_verify_report(
				verify, "I6", object,
				"record %u is in the %s list, where its state does not belong",
				link - 1, name);
		if (place == IN_RETIRED && token < newest)
			k2k_verify_report(verify, "I6", object,
			                  "the %s list is not ordered by token", name);
		newest = token;
		last = link;
		count++;
		link = k2k_load_relaxed(
			(const k2k_u32 *)(const void *)(list->next + list->stride * (link - 1)));
	}
	for (uint32_t i = 0; i < list->capacity; i++)
		records += placer(verify->map, i, &token) == place;
	if (link != 0 || count != records || k2k_load_relaxed(&list->shared->tail) != last ||
	    k2k_list_count(list) != count)
		k2k_verify_report(verify, "I6", object,
		                  "the %s list is corrupt: repair rebuilds it", name);
	k2k_verify_reserved(verify, object, 0, &list->shared->reserved,
	                    sizeof(list->shared->reserved));
}

/*
 * Each period record is in the free list, or a budget has it: in use, or retired without a later
 * budget that has it.
 */
static void check_periods(struct k2k_verify *verify)
{
	const struct k2k_map *map = verify->map;
	struct k2k_list list = k2k_budget_period_list(map);
	uint8_t *seen = calloc(map->sizes.budgets / 8 + 1, 1);
	uint32_t link = k2k_load_relaxed(&list.shared->head), last = 0, count = 0, owned = 0;

	for (uint32_t i = 0; seen && i < map->sizes.budgets; i++) {
		uint32_t period = k2k_budget_owned_period(&map->budgets[i]);

		if (period == 0)
			continue;
		owned++;
		if (period > map->sizes.budgets || k2k_verify_mark(seen, period - 1))
			k2k_verify_report(verify, "I8", "budgets",
			                  "record %u: its period record belongs to another budget",
			                  i);
	}
	while (seen && link != 0 && link <= list.capacity && count < list.capacity) {
		if (k2k_verify_mark(seen, link - 1))
			k2k_verify_report(verify, "I6", "budgets",
			                  "period record %u is in the free list, but in use",
			                  link - 1);
		last = link;
		count++;
		link = k2k_load_relaxed(&map->budgets[link - 1].period_next);
	}
	if (seen &&
	    (link != 0 || count + owned != list.capacity ||
	     k2k_load_relaxed(&list.shared->tail) != last || k2k_list_count(&list) != count))
		k2k_verify_report(verify, "I6", "budgets",
		                  "the list of free period records is corrupt: repair rebuilds it");
	k2k_verify_reserved(verify, "budgets", 1, &list.shared->reserved,
	                    sizeof(list.shared->reserved));
	free(seen);
}

/*
 * Only the writer uses the lists: to any other process they look wrong while a change is in
 * progress.
 */
static void check_lists(struct k2k_verify *verify)
{
	struct k2k_list tenants_free = k2k_tenant_free_list(verify->map),
			tenants_retired = k2k_tenant_retired_list(verify->map);
	struct k2k_list budgets_free = k2k_budget_free_list(verify->map),
			budgets_retired = k2k_budget_retired_list(verify->map);

	if (!verify->alone || k2k_writer_intent(verify->map) != K2K_OP_NONE)
		return;
	check_list(verify, &tenants_free, "tenants", IN_FREE, place_tenant);
	check_list(verify, &tenants_retired, "tenants", IN_RETIRED, place_tenant);
	check_list(verify, &budgets_free, "budgets", IN_FREE, place_budget);
	check_list(verify, &budgets_retired, "budgets", IN_RETIRED, place_budget);
	check_periods(verify);
}

/* ---- tenants ------------------------------------------------------------------------------- */

static void check_tenant_chain(struct k2k_verify *verify, uint32_t bucket, uint8_t *seen)
{
	const struct k2k_map *map = verify->map;
	/* observe[tenant-link]: the definition's fields */
	uint32_t link = k2k_load_acquire(&map->tenant_heads[bucket]);

	while (link != 0) {
		const struct k2k_shm_tenant *tenant;

		if (link > map->sizes.tenants) {
			k2k_verify_report(verify, "I1", "tenants",
			                  "bucket %u: a link points outside the table", bucket);
			return;
		}
		tenant = &map->tenants[link - 1];
		if (k2k_verify_mark(seen, link - 1)) {
			k2k_verify_report(verify, "I1", "tenants",
			                  "bucket %u: slot %u is linked twice", bucket, link - 1);
			return;
		}
		if (k2k_tenant_bucket(map, k2k_load_relaxed(&tenant->id)) != bucket)
			k2k_verify_report(verify, "I1", "tenants",
			                  "slot %u is in bucket %u, where its id does not belong",
			                  link - 1, bucket);
		if (k2k_tenant_state(k2k_load_relaxed(&tenant->state_gen)) != K2K_TENANT_LIVE)
			k2k_verify_report(verify, "I1", "tenants",
			                  "slot %u is linked, but not live", link - 1);
		link = k2k_load_acquire(&tenant->next); /* observe[tenant-link]: as above */
	}
}

static void check_duplicates(struct k2k_verify *verify, uint32_t slot)
{
	const struct k2k_map *map = verify->map;
	k2k_tenant_id id = k2k_load_relaxed(&map->tenants[slot].id);
	uint64_t word = 0;
	uint32_t found = slot;

	if (k2k_tenant_find(map, id, &found, &word) == 0 && found != slot)
		k2k_verify_report(verify, "I1", "tenants",
		                  "tenant %" PRIu64 " is defined in slots %u and %u", id, slot,
		                  found);
}

/* A name of damaged bytes is shown with '?' in their place. */
static void check_name(struct k2k_verify *verify, uint32_t slot)
{
	struct k2k_limits limits;
	const char *name = (const char *)limits.name;
	size_t length;

	k2k_tenant_limits(verify->map, slot, &limits);
	length = strnlen(name, sizeof(limits.name));
	for (size_t i = length; i < sizeof(limits.name); i++)
		if (name[i])
			length = sizeof(limits.name);
	if (length == sizeof(limits.name) || !k2k_text_is_clean(name, length))
		k2k_verify_report(verify, "layout", "tenants",
		                  "slot %u has a name that can't be one: give it another", slot);
}

static void check_thresholds(struct k2k_verify *verify, uint32_t slot, uint64_t select)
{
	const struct k2k_map *map = verify->map;
	uint32_t alerts = k2k_load_relaxed(
		&map->tenants_cold[slot].alerts[K2K_SELECT_VERSION(select) & 1]);

	if (!k2k_alert_is_list(alerts))
		k2k_verify_report(verify, "layout", "tenants",
		                  "slot %u has thresholds that can't be any: give it others", slot);
	if ((alerts != 0) != ((K2K_SELECT_MODE(select) & K2K_MODE_ALERTS) != 0) ||
	    (alerts && !(k2k_load_relaxed(&map->tenants[slot].flags) & K2K_DEF_ALERTS)))
		k2k_verify_report(verify, "layout", "tenants",
		                  "slot %u: its mode or its flags do not match its thresholds",
		                  slot);
}

static void check_share(struct k2k_verify *verify, uint32_t slot, uint32_t mode, uint64_t alone)
{
	if (mode & K2K_MODE_SHARED ? (mode & (K2K_MODE_BUCKET | K2K_MODE_PERIOD)) != 0 : alone != 0)
		k2k_verify_report(verify, "layout", "tenants",
		                  "slot %u: its rate can't be a share: set its rate again", slot);
}

/* Checks what must be true of every live definition. */
static void check_fields(struct k2k_verify *verify, uint32_t slot)
{
	const struct k2k_shm_tenant *tenant = &verify->map->tenants[slot];
	uint64_t select = k2k_load_relaxed(&tenant->select);

	if (k2k_tenant_generation(k2k_load_relaxed(&tenant->state_gen)) == 0)
		k2k_verify_report(verify, "I1", "tenants", "slot %u is live without a generation",
		                  slot);
	if (k2k_load_relaxed(&tenant->id) == K2K_TENANT_UNSPECIFIED)
		k2k_verify_report(verify, "I1", "tenants", "slot %u defines tenant 0", slot);
	if ((K2K_SELECT_MODE(select) & ~K2K_MODE_KNOWN) || K2K_SELECT_VERSION(select) == 0)
		k2k_verify_report(verify, "layout", "tenants",
		                  "slot %u has an unknown mode, or no version in force", slot);
	if (K2K_BURST_MODE(k2k_load_relaxed(&tenant->burst[K2K_SELECT_VERSION(select) & 1])) !=
	    (K2K_SELECT_MODE(select) & K2K_MODE_RATE))
		k2k_verify_report(verify, "layout", "tenants",
		                  "slot %u has two modes: one by its version, one by its limits",
		                  slot);
	check_share(
		verify, slot, K2K_SELECT_MODE(select),
		k2k_load_relaxed(
			&verify->map->tenants_cold[slot].alone[K2K_SELECT_VERSION(select) & 1]));
	check_thresholds(verify, slot, select);
	if (k2k_load_relaxed(&tenant->flags) &
	    ~(uint32_t)(K2K_DEF_HAS_BUDGETS | K2K_DEF_RENEWS | K2K_DEF_ALERTS))
		k2k_verify_report(verify, "layout", "tenants", "slot %u has unknown flags", slot);
	if (k2k_load_relaxed(&verify->map->tenants_cold[slot].retired_token))
		k2k_verify_report(verify, "I2", "tenants",
		                  "slot %u is live but has the token of a retired one", slot);
}

static void check_retired(struct k2k_verify *verify, uint32_t slot)
{
	const struct k2k_map *map = verify->map;
	uint64_t token = k2k_load_relaxed(&map->tenants_cold[slot].retired_token);

	if (token == 0 || token > k2k_load_relaxed(&map->defs->grace_token))
		k2k_verify_report(verify, "I2", "tenants",
		                  "slot %u is retired with a token that was not published", slot);
	if (k2k_load_relaxed(&map->tenants[slot].next) > map->sizes.tenants)
		k2k_verify_report(verify, "I2", "tenants",
		                  "slot %u is retired and its link points outside the table", slot);
}

static void check_tenant(struct k2k_verify *verify, uint32_t slot, const uint8_t *seen)
{
	const struct k2k_map *map = verify->map;
	const struct k2k_shm_tenant_cold *cold = &map->tenants_cold[slot];
	uint64_t word = k2k_load_relaxed(&map->tenants[slot].state_gen),
		 generation = k2k_tenant_generation(word);

	if (generation > k2k_load_relaxed(&map->defs->generation))
		k2k_verify_report(verify, "I1", "tenants",
		                  "slot %u has generation %" PRIu64
		                  ", which was not given to any tenant yet",
		                  slot, generation);
	switch (k2k_tenant_state(word)) {
	case K2K_TENANT_FREE: break;
	case K2K_TENANT_BUILDING:
		k2k_verify_report(verify, "intent", "tenants",
		                  "slot %u: the registration of a tenant was interrupted", slot);
		break;
	case K2K_TENANT_LIVE:
		if (!k2k_verify_is_marked(seen, slot))
			k2k_verify_report(verify, "I1", "tenants",
			                  "slot %u is live, but not linked", slot);
		else
			check_duplicates(verify, slot);
		check_fields(verify, slot);
		check_name(verify, slot);
		break;
	case K2K_TENANT_RETIRED: check_retired(verify, slot); break;
	default:
		k2k_verify_report(verify, "I1", "tenants", "slot %u has the unknown state %u", slot,
		                  (unsigned int)k2k_tenant_state(word));
	}
	k2k_verify_reserved(verify, "tenants", slot, cold->reserved, sizeof(cold->reserved));
}

struct named {
	uint64_t name[K2K_NAME_WORDS];
	uint32_t slot;
};

static int by_name(const void *a, const void *b)
{
	return memcmp(((const struct named *)a)->name, ((const struct named *)b)->name,
	              sizeof(((const struct named *)a)->name));
}

/* Only under the writer's lock: a name may move from one tenant to another. */
static void check_names(struct k2k_verify *verify)
{
	const struct k2k_map *map = verify->map;
	struct named *list = verify->alone ? malloc(map->sizes.tenants * sizeof(*list)) : NULL;
	size_t count = 0;

	for (uint32_t i = 0; list && i < map->sizes.tenants; i++) {
		struct k2k_limits limits;

		if (k2k_tenant_state(k2k_load_relaxed(&map->tenants[i].state_gen)) !=
		    K2K_TENANT_LIVE)
			continue;
		k2k_tenant_limits(map, i, &limits);
		memcpy(list[count].name, limits.name, sizeof(limits.name));
		list[count].slot = i;
		count += limits.name[0] != 0;
	}
	if (count)
		qsort(list, count, sizeof(*list), by_name);
	for (size_t i = 1; i < count; i++)
		if (by_name(&list[i - 1], &list[i]) == 0)
			k2k_verify_report(verify, "I1", "tenants",
			                  "slots %u and %u have the same name: rename one",
			                  list[i - 1].slot, list[i].slot);
	free(list);
}

static void check_tenants(struct k2k_verify *verify)
{
	const struct k2k_map *map = verify->map;
	uint8_t *seen = calloc(map->sizes.tenants / 8 + 1, 1);

	if (!seen)
		return;
	for (uint32_t i = 0; i <= map->tenant_mask; i++)
		check_tenant_chain(verify, i, seen);
	for (uint32_t i = 0; i < map->sizes.tenants; i++)
		check_tenant(verify, i, seen);
	free(seen);
	check_names(verify);
}

/* ---- budgets --------------------------------------------------------------------------------- */

/* A budget's reserved ledger record must belong to the same engagement. */
static void check_reserved_cost(struct k2k_verify *verify, uint32_t index)
{
	const struct k2k_map *map = verify->map;
	const struct k2k_shm_budget *budget = &map->budgets[index];
	uint32_t record = k2k_load_relaxed(&budget->ledger) - 1;

	if (record >= map->sizes.engagements ||
	    k2k_load_relaxed(&map->ledger[record].entry.gen) !=
	            k2k_load_relaxed(&budget->entry.gen) ||
	    k2k_load_relaxed(&map->ledger[record].entry.key) !=
	            k2k_load_relaxed(&budget->entry.key) ||
	    k2k_load_relaxed(&map->ledger[record].entry.slot) !=
	            k2k_load_relaxed(&budget->entry.slot))
		k2k_verify_report(verify, "I8", "budgets",
		                  "record %u: its ledger record belongs to another engagement",
		                  index);
}

static void check_renewal(struct k2k_verify *verify, uint32_t index, uint32_t slot)
{
	const struct k2k_map *map = verify->map;
	const struct k2k_shm_budget *budget = &map->budgets[index];
	uint32_t every = k2k_load_relaxed(&budget->every),
		 period = k2k_load_relaxed(&budget->period);

	if ((every != K2K_EVERY_NONE && every < K2K_EVERY_HOUR) || every > K2K_EVERY_MONTH ||
	    (every != K2K_EVERY_NONE) != (period != 0) || period > map->sizes.budgets ||
	    k2k_load_relaxed(&budget->period_kept))
		k2k_verify_report(verify, "I8", "budgets",
		                  "record %u: its renewal or its period record can't be true",
		                  index);
	if (period && !(k2k_load_relaxed(&map->tenants[slot].flags) & K2K_DEF_RENEWS))
		k2k_verify_report(verify, "I8", "budgets",
		                  "slot %u has a budget that renews, but its flag says that it has "
		                  "none",
		                  slot);
}

/* Checks one budget, and counts it in counts[slot] if it is in force. */
static void check_budget(struct k2k_verify *verify, uint32_t index, uint32_t *counts)
{
	const struct k2k_map *map = verify->map;
	const struct k2k_shm_budget *budget = &map->budgets[index];
	uint32_t slot = k2k_load_relaxed(&budget->entry.slot);
	uint64_t word = k2k_load_relaxed(&budget->entry.state),
		 since = k2k_load_relaxed(&budget->since);

	if (k2k_entry_state(word) == K2K_ENTRY_CLAIMED)
		k2k_verify_report(verify, "intent", "budgets",
		                  "record %u: a change of budgets was interrupted", index);
	if (k2k_entry_state(word) != K2K_ENTRY_LIVE ||
	    !k2k_verify_has_tenant(map, slot, k2k_load_relaxed(&budget->entry.gen)))
		return;
	if (since == 0 ||
	    since > K2K_SELECT_VERSION(k2k_load_relaxed(&map->tenants[slot].select)) ||
	    k2k_load_relaxed(&budget->until) != 0)
		k2k_verify_report(verify, "intent", "budgets",
		                  "record %u: a change of budgets was interrupted", index);
	check_reserved_cost(verify, index);
	check_renewal(verify, index, slot);
	counts[slot]++;
}

static void check_budgets(struct k2k_verify *verify)
{
	const struct k2k_map *map = verify->map;
	struct k2k_hash hash = k2k_budget_hash(map);
	uint32_t *counts = calloc(map->sizes.tenants, sizeof(*counts));

	k2k_verify_hash(verify, &hash, "budgets", true);
	for (uint32_t i = 0; counts && i < map->sizes.budgets; i++)
		check_budget(verify, i, counts);
	/* only under the writer's lock: a reader without it sees counts of different moments */
	for (uint32_t i = 0; counts && verify->alone && i < map->sizes.tenants; i++) {
		if (k2k_tenant_state(k2k_load_relaxed(&map->tenants[i].state_gen)) !=
		    K2K_TENANT_LIVE)
			continue;
		if (counts[i] != k2k_load_relaxed(&map->tenants_cold[i].budget_count))
			k2k_verify_report(verify, "I8", "budgets",
			                  "slot %u has %u budgets, but its own count differs", i,
			                  counts[i]);
		if (counts[i] && !(k2k_load_relaxed(&map->tenants[i].flags) & K2K_DEF_HAS_BUDGETS))
			k2k_verify_report(verify, "I8", "budgets",
			                  "slot %u has budgets, but its flag says that it has none",
			                  i);
	}
	free(counts);
}

void k2k_verify_definitions(struct k2k_verify *verify)
{
	check_words(verify);
	check_tenants(verify);
	check_budgets(verify);
	check_lists(verify);
}
