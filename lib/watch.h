/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * watch.h (F7) - looks whether what a tenant uses has reached one of its thresholds, and reports it
 * in the audit trail (alert.h).
 *
 * Who looks, and when:
 *
 *   rate      the call that has counted: admit with the numbers that it decided on, record with a
 *             look of its own. Only tenants with thresholds take this way: their mode says so, and
 *             sends their messages over the slow path
 *   budget    the call that has booked (track, commit), after the addition; and the administrator
 *             after a correction, and after a change of a budget or of the thresholds. What is
 *             reserved does not count
 *   leases    the agents of the brokers, of which the first in each second looks at all tenants. A
 *             use that is over within a second may be missed. It asks the kernel for nothing: a
 *             dead broker counts until its death was reported, which the same agent has done just
 *             before
 *
 * The application's sink is not called: what is reported has passed.
 */
#ifndef K2K_WATCH_H
#define K2K_WATCH_H

#include "handle.h"
#include "hash.h"
#include "tenant.h"

/* Has the tenant had thresholds at some time? Then its bookings take the slow path. */
static inline bool k2k_watch_books(const struct k2k_map *map, uint32_t slot)
{
	/* relaxed: published with the version, or with LIVE */
	return k2k_load_relaxed(&map->tenants[slot].flags) & K2K_DEF_ALERTS;
}

/* Does the tenant have thresholds now? */
static inline bool k2k_watch_counts(const struct k2k_map *map, uint32_t slot)
{
	/* relaxed: the call that follows looks at the set that the version selects */
	return k2k_load_relaxed(&map->tenants[slot].select) & K2K_MODE_ALERTS;
}

/* A use of the rate: the numbers of one decision, of one version of the definition. */
struct k2k_rate_use {
	k2k_tenant_id id;
	uint32_t slot;
	uint64_t generation, version;
	struct k2k_audit_tag tag;
	uint64_t second; /* k2k_rate_named() */
	uint64_t used, limit;
};

/* Call these in a read section, or with the writer's lock. */
void k2k_watch_rate(struct k2k_registry *reg, const struct k2k_rate_use *use);
/* Counts one message, as record does, and looks at what is used afterwards. */
void k2k_watch_record(struct k2k_registry *reg, k2k_tenant_id id, uint32_t slot,
                      uint64_t state_gen);
void k2k_watch_budget(struct k2k_registry *reg, k2k_tenant_id id, const struct k2k_hash_key *key,
                      uint64_t org_id);
/* Of a tenant that is restored: what it has reached was reported before it was saved. */
void k2k_watch_mark_budget(struct k2k_registry *reg, const struct k2k_hash_key *key);
/* For a broker's agent once a second, as k2k_watch_deaths(), and after it. */
void k2k_watch_leases(struct k2k_registry *reg, uint64_t second);

#endif
