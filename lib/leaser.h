/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * leaser.h (F7) - a broker's own leases by its handle, and the wait for one of their locks.
 */
#ifndef K2K_LEASER_H
#define K2K_LEASER_H

#include "handle.h"
#include "lease.h"

/* A lease of a caller may have these flags, also from an earlier use. */
#define K2K_LEASE_FLAGS (K2K_LEASE_KERNEL | K2K_LEASE_GPU_MEMORY)

/* Is the registration that the key is of still there? */
bool k2k_lease_is_registered(const struct k2k_map *map, const struct k2k_lease_key *key);

/* For a thread that has this lock. */
static inline struct k2k_leaser k2k_leaser_of(struct k2k_registry *reg, uint32_t lock)
{
	return (struct k2k_leaser){ .map = &reg->map,
		                    .liveness = &reg->liveness,
		                    .broker = &reg->broker,
		                    .own = &reg->own_leases,
		                    .others = reg->others + (size_t)lock * reg->map.sizes.slots,
		                    .is_registered = k2k_lease_is_registered,
		                    .lock = lock };
}

/* A kernel slot for a name in the directory. For tenant 0, slot and generation are 0. */
struct k2k_named_slot {
	k2k_tenant_id id;
	uint32_t slot;       /* the tenant's index */
	uint64_t generation; /* of its registration */
	/* what the application is told once the caller has given back its mutex: k2k_tell_sink() */
	struct k2k_sink *sink;
	struct k2k_rejection rejection;
};

/* As k2k_kernel_acquire(), for named->id, but does not call the application's sink. */
int k2k_acquire_named(struct k2k_registry *reg, struct k2k_named_slot *named,
                      struct k2k_verdict *verdict);
/* Gives such a slot back, if it still counts. Waits for no other process. */
void k2k_release_named(struct k2k_registry *reg, uint32_t slot, uint64_t generation);
/* Calls the sink, if it is not null, and leaves it. */
void k2k_tell_sink(struct k2k_registry *reg, struct k2k_sink *sink,
                   const struct k2k_rejection *rejection);

/*
 * Another thread has the lock, and this one is in no read section. *spins begins as 0. 0; K2K_EIO,
 * as k2k_lease_share().
 */
int k2k_wait_for_lease_lock(struct k2k_registry *reg, uint32_t *spins);

#endif
