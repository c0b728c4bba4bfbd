/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * verify_kernels.c (F6, on top of its peers) - verifies the directory of kernels (kernel.h).
 *
 *   N1  A name has at most one LIVE record with a living owner, and who looks for it finds that.
 *   N2  For each tenant and living broker: names <= named <= kernels held.
 *
 * What nobody has is no finding: records that are PARKED or of a dead owner, linked or not, and
 * claims of dead processes. Loads without a label are relaxed: see verify.h.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "lease_records.h"
#include "tenant.h"
#include "verify.h"

#define OBJECT "kernels"

/* Names of each lease record, as far as they were counted. */
struct counts {
	uint32_t *names; /* null: no memory */
};

/* For a record that a living broker has LIVE. */
static void check_slot(struct k2k_verify *verify, const struct k2k_kernel_copy *copy,
                       struct counts *counts)
{
	const struct k2k_map *map = verify->map;
	uint64_t now = k2k_tenant_generation(
		k2k_load_relaxed(&map->tenants[copy->of.slot].state_gen));
	struct k2k_lease_key key = k2k_lease_of_tenant(copy->of.slot, copy->of.generation);
	uint32_t lease;

	key.broker_slot = copy->broker;
	if (copy->of.generation == 0)
		return;
	if (copy->of.generation > now) {
		k2k_verify_report(verify, "N2", OBJECT, "record %u belongs to no tenant",
		                  copy->index);
		return;
	}
	/* if its registration is over, the lease may be gone */
	if (!k2k_verify_has_tenant(map, copy->of.slot, copy->of.generation))
		return;
	if (!k2k_lease_find_of(map, &key, copy->incarnation, &lease))
		k2k_verify_report(verify, "N2", OBJECT, "record %u: its broker has no slot for it",
		                  copy->index);
	else if (counts->names)
		counts->names[lease]++;
}

/* For a record that a living broker has RESERVED or LIVE. */
static void check_owned(struct k2k_verify *verify, const struct k2k_kernel_copy *copy,
                        const uint64_t *words, struct counts *counts)
{
	const struct k2k_map *map = verify->map;
	struct k2k_kernel_copy found;
	struct k2k_kernel_name name;
	char text[sizeof(name.words) + 1] = { 0 };

	memcpy(text, words, sizeof(name.words));
	if (!k2k_kernel_name(map, text, &name) ||
	    memcmp(name.words, words, sizeof(name.words)) != 0) {
		k2k_verify_report(verify, "N1", OBJECT, "record %u: its name can't be one",
		                  copy->index);
		return;
	}
	if (k2k_kernel_state(copy->word) == K2K_KERNEL_LIVE &&
	    k2k_load_relaxed(&map->slots[copy->broker].owner) != copy->incarnation)
		k2k_verify_report(verify, "N1", OBJECT,
		                  "record %u names a slot that its broker does not have",
		                  copy->index);
	if (k2k_kernel_look(map, &name, &found) != 0)
		k2k_verify_report(verify, "N1", OBJECT,
		                  "record %u: who looks for its name does not find it",
		                  copy->index);
	else if (found.index != copy->index)
		k2k_verify_report(verify, "N1", OBJECT,
		                  "records %u and %u have the same name, and both are in use",
		                  copy->index, found.index);
	else if (k2k_kernel_state(copy->word) == K2K_KERNEL_LIVE)
		check_slot(verify, copy, counts);
}

static void check_record(struct k2k_verify *verify, uint32_t index, struct counts *counts)
{
	const struct k2k_map *map = verify->map;
	const struct k2k_shm_kernel *kernel = &map->kernels[index];
	const struct k2k_hash hash = k2k_kernel_hash(map);
	/* observe[entry-state]: the mark, which is raised before the state changes */
	uint64_t words[K2K_KERNEL_NAME_WORDS], state = k2k_load_acquire(&kernel->entry.state);
	struct k2k_kernel_copy copy;

	switch (k2k_entry_state(state)) {
	case K2K_ENTRY_FREE:
		if (k2k_entry_above(state))
			k2k_verify_report(verify, "I6", OBJECT,
			                  "record %u is free but has an owner", index);
		break;
	case K2K_ENTRY_RETIRED:
		k2k_verify_report(verify, "I6", OBJECT, "record %u is retired, as none ever is",
		                  index);
		break;
	default: k2k_verify_claim(verify, OBJECT, index, state);
	}
	if (k2k_entry_state(state) != K2K_ENTRY_FREE && index >= k2k_pool_high(&hash.pool))
		k2k_verify_report(verify, "I5", OBJECT,
		                  "record %u is in use, but lies above the high-water mark", index);
	k2k_verify_reserved(verify, OBJECT, index, &kernel->reserved0, sizeof(kernel->reserved0));
	k2k_verify_reserved(verify, OBJECT, index, &kernel->reserved1, sizeof(kernel->reserved1));
	k2k_verify_reserved(verify, OBJECT, index, kernel->reserved2, sizeof(kernel->reserved2));
	for (int i = 0; i < 2; i++)
		k2k_verify_reserved(verify, OBJECT, index, &kernel->sets[i].reserved,
		                    sizeof(kernel->sets[i].reserved));
	if (!k2k_kernel_copy_at(map, index, words, &copy)) {
		if (k2k_kernel_is_still(map, &copy) &&
		    k2k_liveness_alive(verify->liveness, copy.incarnation))
			k2k_verify_report(verify, "N1", OBJECT,
			                  "record %u names a broker or a tenant that can't exist",
			                  index);
		return;
	}
	if (k2k_kernel_state(copy.word) > K2K_KERNEL_LIVE)
		k2k_verify_report(verify, "N1", OBJECT, "record %u has a state that can't be",
		                  index);
	/* of a record that is being filled, the name may be the last one's */
	else if (k2k_kernel_state(copy.word) != K2K_KERNEL_PARKED &&
	         (k2k_entry_state(state) != K2K_ENTRY_CLAIMED ||
	          k2k_kernel_state(copy.word) == K2K_KERNEL_LIVE) &&
	         k2k_liveness_alive(verify->liveness, copy.incarnation))
		check_owned(verify, &copy, words, counts);
}

static void check_named(struct k2k_verify *verify, uint32_t index, uint32_t names)
{
	const struct k2k_shm_lease *lease = &verify->map->leases[index];
	/* named before held: a broker raises held first, and lowers it last */
	uint64_t named = k2k_load_relaxed(&lease->named);

	/* observe[entry-state]: its counts */
	if (k2k_entry_state(k2k_load_acquire(&lease->state)) == K2K_ENTRY_FREE ||
	    !k2k_liveness_alive(verify->liveness, k2k_load_relaxed(&lease->incarnation)))
		return;
	if (named > k2k_load_relaxed(&lease->claims[K2K_RESOURCE_KERNELS].held))
		k2k_verify_report(verify, "N2", "leases",
		                  "record %u has slots for more names than it holds", index);
	if (named < names)
		k2k_verify_report(verify, "N2", "leases",
		                  "record %u has slots for fewer names than its broker has", index);
}

void k2k_verify_kernels(struct k2k_verify *verify)
{
	const struct k2k_map *map = verify->map;
	const struct k2k_hash hash = k2k_kernel_hash(map);
	struct counts counts = { calloc(map->sizes.leases, sizeof(uint32_t)) };
	uint8_t *seen = calloc(map->sizes.kernels / 8 + 1, 1);

	if (seen)
		k2k_verify_chains(verify, &hash, OBJECT, seen);
	free(seen);
	for (uint32_t i = 0; i < map->sizes.kernels; i++)
		check_record(verify, i, &counts);
	for (uint32_t i = 0; counts.names && i < map->sizes.leases; i++)
		check_named(verify, i, counts.names[i]);
	free(counts.names);
	k2k_verify_reserved(verify, OBJECT, 0, &map->live->kernel_pool.writer_hint,
	                    sizeof(map->live->kernel_pool.writer_hint));
	k2k_verify_reserved(verify, OBJECT, 0, map->live->reserved3, sizeof(map->live->reserved3));
}
