/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mend_leases.c (F6, on top of its peers) - each tenant's list of leases, rebuilt from its records.
 *
 * As in mend_costs.c: first each list is followed and what does not belong is taken out, then each record that is LIVE and
 * in no list is put back. Brokers put records in at the head only, which they have CLAIMED, with their key, before they make
 * them LIVE: none of that looks like damage.
 *
 * Counters belong to the broker that owns the record, and it writes them without a compare-exchange. So where they can't be,
 * nothing is computed from them: the record is said to be nobody's (incarnation 0). It counts as nothing, and its owner
 * begins anew at its next acquire, as the next owner of a slot does. What it held is told, and a release of it answers
 * K2K_ENOTHELD.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "lease.h"
#include "mend.h"
#include "tenant.h"

#define OBJECT "leases"

struct list {
	uint32_t slot;
	uint64_t generation;
	uint64_t brokers;        /* whose records were passed */
};

static bool is_incarnation(uint64_t number)
{
	return number >= K2K_LOCK_BYTE_LIFE_MIN && number < K2K_LOCK_BYTE_LIFE_MAX;
}

/* The slot of the broker whose counters they are; K2K_SLOTS: of none. */
static uint32_t slot_of(const struct k2k_mend *mend, uint64_t incarnation)
{
	for (uint32_t i = 0; is_incarnation(incarnation) && i < K2K_SLOTS; i++)
		if (k2k_load_relaxed(&mend->map->slots[i].owner) == incarnation) /* relaxed: compared */
			return i;
	return K2K_SLOTS;
}

/* Its key: of the definitions' generation and slot, where one of the two says so; and of a broker's place. */
static bool mend_key(struct k2k_mend *mend, struct k2k_shm_lease *lease, uint32_t index, uint32_t slot, uint64_t generation)
{
	/* relaxed, all: a linked record's key changes by us only */
	uint64_t own = k2k_load_relaxed(&lease->entry.gen);
	bool slot_fits = k2k_load_relaxed(&lease->entry.slot) == slot;

	if (own != generation && (!slot_fits || k2k_mend_registration(mend, own)))
		return false;
	if (own != generation || !slot_fits) {
		k2k_store_relaxed(&lease->entry.gen, generation);
		k2k_store_relaxed(&lease->entry.slot, slot);
		k2k_mend_tell(mend, &mend->counts.records, "I4", OBJECT, "record %u is tenant slot %u's, and said that it was another's", index,
		              slot);
	}
	if (k2k_load_relaxed(&lease->entry.key) >= K2K_SLOTS) {
		uint32_t broker = slot_of(mend, k2k_load_relaxed(&lease->incarnation));

		if (broker == K2K_SLOTS)
			return false;
		k2k_store_relaxed(&lease->entry.key, broker);
		k2k_mend_tell(mend, &mend->counts.records, "I4", OBJECT, "record %u is that of broker %u, and said that it was of no broker's place",
		              index, broker);
	}
	return true;
}

/* One that says it is free, and is linked and of this registration all the same. */
static bool is_free_by_damage(struct k2k_mend *mend, const struct k2k_pool *pool, const struct list *list, uint32_t index)
{
	const struct k2k_shm_entry *entry = k2k_pool_at(pool, index);

	/* relaxed, all: looked at again once it is ours */
	if (k2k_load_relaxed(&entry->gen) != list->generation || k2k_load_relaxed(&entry->slot) != list->slot ||
	    k2k_load_relaxed(&entry->key) >= K2K_SLOTS || !k2k_mend_revive(mend, pool, index, list->generation))
		return false;
	k2k_mend_tell(mend, &mend->counts.records, "I4", OBJECT, "record %u was in use, and said that it is not", index);
	return true;
}

static bool belongs(struct k2k_mend *mend, const struct k2k_pool *pool, struct list *list, uint32_t index)
{
	struct k2k_shm_lease *lease = &mend->map->leases[index];
	unsigned int state = k2k_entry_state(k2k_load_acquire(&lease->entry.state)); /* observe[entry-state]: as it is */
	uint64_t broker;

	if (state == K2K_ENTRY_FREE || state == K2K_ENTRY_RETIRED) {
		if (!is_free_by_damage(mend, pool, list, index))
			return false;
	} else if (!mend_key(mend, lease, index, list->slot, list->generation)) {
		return false;
	}
	broker = UINT64_C(1) << k2k_load_relaxed(&lease->entry.key); /* relaxed: as above */
	if (list->brokers & broker)
		return false; /* a second one of the same broker: it uses the first */
	list->brokers |= broker;
	return true;
}

/* The link that leads to `link`; null where none does any more. */
static k2k_u32 *find_link(const struct k2k_map *map, uint32_t slot, uint32_t link)
{
	k2k_u32 *at = &map->cells[slot].lease_head;
	uint32_t steps = 0, to;

	while ((to = k2k_load_acquire(at)) != link) { /* observe[lease-link]: its key */
		if (to == 0 || to > map->sizes.leases || steps++ > map->sizes.leases)
			return NULL;
		at = &map->leases[to - 1].entry.next;
	}
	return at;
}

static void follow(struct k2k_mend *mend, const struct k2k_pool *pool, const struct k2k_registration *of, uint8_t *seen)
{
	const struct k2k_map *map = mend->map;
	k2k_u32 *at = &map->cells[of->slot].lease_head;
	uint32_t link = k2k_load_acquire(at), steps = 0; /* observe[lease-link]: its key */
	struct list list = { of->slot, of->generation, 0 };

	while (link != 0) {
		bool ends = link > pool->capacity || steps++ > pool->capacity || k2k_look_marked(seen, link - 1);
		struct k2k_shm_entry *entry = ends ? NULL : k2k_pool_at(pool, link - 1);
		uint32_t to;

		if (entry && belongs(mend, pool, &list, link - 1)) {
			k2k_look_mark(seen, link - 1);
			at = &entry->next;
			link = k2k_load_acquire(at); /* observe[lease-link]: its key */
			continue;
		}
		to = entry ? k2k_load_acquire(&entry->next) : 0; /* observe[lease-link]: its key */
		if (to == link)
			to = 0;
		while (at && !k2k_mend_set_link(at, at == &map->cells[of->slot].lease_head, link, to))
			at = find_link(map, of->slot, link);
		if (!at)
			return;
		k2k_mend_tell(mend, &mend->counts.links, "I4", OBJECT, "tenant %" PRIu64 ": a link of its leases to %s%u was cut out",
		              k2k_load_relaxed(&map->tenants[of->slot].id), link > pool->capacity ? "nowhere: " : "record ", link - 1); /* relaxed: under the lock */
		link = to;
	}
}

static void retire(struct k2k_mend *mend, const struct k2k_pool *pool, uint32_t index)
{
	struct k2k_shm_lease *lease = &mend->map->leases[index];
	/* relaxed, all: numbers for people; a broker that still writes them does so in vain */
	uint64_t kernels = k2k_load_relaxed(&lease->claims[K2K_RESOURCE_KERNELS].held);
	uint64_t bytes = k2k_load_relaxed(&lease->claims[K2K_RESOURCE_GPU_MEMORY].held);

	k2k_pool_retire(pool, index, mend->token);
	k2k_store_relaxed(&lease->entry.gen, 0);
	mend->stamped = true;
	k2k_mend_tell(mend, &mend->counts.leases, "I4", OBJECT, "record %u was cut out: %" PRIu64 " kernels and %" PRIu64
	              " bytes that it said were held count no more", index, kernels, bytes);
}

/* Whether the list has one of this broker already; else it is put in at the head. */
static bool put_in(struct k2k_mend *mend, const struct k2k_registration *of, uint32_t index)
{
	const struct k2k_map *map = mend->map;
	k2k_u32 *head = &map->cells[of->slot].lease_head;
	uint64_t broker = k2k_load_relaxed(&map->leases[index].entry.key); /* relaxed: a live record keeps it */
	uint32_t first = k2k_load_acquire(head), steps = 0; /* observe[lease-link]: those before it */

	for (;;) {
		for (uint32_t link = first; link != 0 && link <= map->sizes.leases && steps++ <= map->sizes.leases;
		     link = k2k_load_acquire(&map->leases[link - 1].entry.next)) { /* observe[lease-link]: the next one's key */
			if (link == index + 1)
				return true;
			if (k2k_load_relaxed(&map->leases[link - 1].entry.key) == broker) /* relaxed: carried by the link */
				return false;
		}
		k2k_store_relaxed(&map->leases[index].entry.next, first); /* relaxed: carried by the compare-exchange */
		if (k2k_cas_acq_rel(head, &first, index + 1)) { /* publish[lease-link]: its key and counters */
			k2k_mend_tell(mend, &mend->counts.records, "I4", OBJECT, "tenant %" PRIu64 ": the leases of broker %u (record %u) were not"
			              " linked any more: they are again", k2k_load_relaxed(&map->tenants[of->slot].id), (unsigned int)broker, index); /* relaxed: under the lock */
			return true;
		}
		steps = 0;
	}
}

/* What a broker holds is at most what it asked for and has not ended. */
static bool can_be(const struct k2k_shm_lease *lease)
{
	for (int i = 0; i < K2K_RESOURCES; i++) {
		const struct k2k_shm_claim *claim = &lease->claims[i];
		/* in the order that makes a sound one never look wrong: held is raised after asked, and lowered before ended */
		uint64_t ended = k2k_load_acquire(&claim->ended); /* observe[lease-ended]: the `asked` that it ends */
		uint64_t held = k2k_load_acquire(&claim->held); /* observe[lease-held]: the `asked` before it */
		uint64_t asked = k2k_load_acquire(&claim->asked); /* observe[lease-asked]: as ever */

		if (held > asked - ended)
			return false;
	}
	return true;
}

static void mend_counters(struct k2k_mend *mend, uint32_t index)
{
	struct k2k_shm_lease *lease = &mend->map->leases[index];
	uint64_t owner = k2k_load_acquire(&lease->incarnation); /* observe[lease-incarnation]: its counters, or later */

	if (owner == 0 || (is_incarnation(owner) && can_be(lease)))
		return;
	k2k_fence_acquire(); /* fence[lease-reset] with that of reset(): the counters before, the incarnation again after */
	/* publish[lease-incarnation]: nobody's; who has reset it meanwhile keeps it */
	if (k2k_cas_acq_rel(&lease->incarnation, &owner, 0))
		k2k_mend_tell(mend, &mend->counts.leases, "I4", OBJECT, "broker %u: its counters of tenant slot %u can't be: it holds nothing there"
		              " any more", (unsigned int)k2k_load_relaxed(&lease->entry.key), k2k_load_relaxed(&lease->entry.slot)); /* relaxed: for people */
}

static void mend_lease(struct k2k_mend *mend, const struct k2k_pool *pool, uint32_t index, const uint8_t *seen)
{
	struct k2k_shm_lease *lease = &mend->map->leases[index];
	const struct k2k_registration *of;
	uint64_t generation;
	uint32_t slot;

	k2k_mend_state_word(mend, pool, index, OBJECT);
	k2k_mend_reserved(mend, OBJECT, index, lease->reserved, sizeof(lease->reserved));
	if (k2k_entry_state(k2k_mend_adopt(mend, pool, index, k2k_look_marked(seen, index), &mend->adopted_leases)) !=
	    K2K_ENTRY_LIVE)
		return;
	if (!k2k_look_marked(seen, index)) {
		generation = k2k_load_relaxed(&lease->entry.gen); /* relaxed, both: a live record keeps them */
		slot = k2k_load_relaxed(&lease->entry.slot);
		of = k2k_mend_registration(mend, generation);
		/* of a tenant that is being reaped, or was: recovery frees what the reaper has left */
		if (!of && k2k_mend_is_over(mend, slot, generation))
			return;
		if (of && k2k_tenant_state(k2k_load_relaxed(&mend->map->tenants[of->slot].state_gen)) == K2K_TENANT_RETIRED) /* relaxed: under the lock */
			return;
		if (!of || !mend_key(mend, lease, index, of->slot, of->generation) || !put_in(mend, of, index)) {
			retire(mend, pool, index);
			return;
		}
	}
	mend_counters(mend, index);
}

int k2k_mend_leases(struct k2k_mend *mend)
{
	struct k2k_pool pool = k2k_lease_pool(mend->map);
	uint8_t *seen = calloc(pool.capacity / 8 + 1, 1);
	uint32_t high;

	if (!seen)
		return k2k_fail(K2K_ENOMEM, "repair", NULL, "no memory to look at %u records", pool.capacity);
	k2k_mend_mark(mend, &pool, OBJECT);
	for (size_t i = 0; i < mend->registration_count; i++)
		follow(mend, &pool, &mend->registrations[i], seen);
	high = mend->thorough ? pool.capacity : k2k_pool_high(&pool);
	for (uint32_t i = 0; i < high; i++)
		mend_lease(mend, &pool, i, seen);
	free(seen);
	return 0;
}
