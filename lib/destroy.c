/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * destroy.c (F7) - removes a registry.
 *
 * killed after:                others see        the next command on this name
 *   told in the trail          an event too many -
 *   poisoned                   FENCED            unlinks defs, then live
 *   defs unlinked              no registry       sweeps live
 *   live unlinked              no registry       -
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "handle.h"

static uint32_t count_brokers(const struct k2k_map *map, struct k2k_segment *live, uint64_t *pid)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < K2K_SLOTS; i++) {
		/* observe[slot-owner]: its pid, for people */
		uint64_t owner = k2k_load_acquire(&map->slots[i].owner);

		if (owner >= K2K_LOCK_BYTE_LIFE_MIN && owner < K2K_LOCK_BYTE_LIFE_MAX && k2k_lock_is_held(live, owner)) {
			*pid = k2k_load_relaxed(&map->slots[i].pid); /* relaxed: for people */
			count++;
		}
	}
	return count;
}

static void tell(const struct k2k_map *map, uint32_t flags, uint32_t brokers, const char *actor)
{
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_DESTROYED };
	struct k2k_teller teller;

	if (k2k_teller_open(&teller, map, actor) != 0)
		return; /* in a strange time namespace: the event's times would be wrong */
	body.more.change.values[0] = flags;
	body.more.change.values[1] = brokers;
	k2k_trail_tell_locked(&teller.trail, &body);
}

/* Is nobody attached? Then, or by force, tells those who read the trail. */
static int look_at_live(const struct k2k_map *map, struct k2k_segment *live, uint32_t flags, const char *actor)
{
	uint64_t pid = 0;
	uint32_t brokers = count_brokers(map, live, &pid);

	if (brokers && !(flags & K2K_DESTROY_FORCE))
		return k2k_fail_pid(K2K_EBUSY, "brokers", pid, "process %llu is attached as a broker", (unsigned long long)pid);
	tell(map, flags, brokers, actor);
	return 0;
}

static int poison(const char *name, struct k2k_segment *defs)
{
	struct k2k_shm_defs *words = (struct k2k_shm_defs *)(void *)defs->base;

	k2k_store_relaxed(&words->intent, K2K_OP_DESTROY); /* relaxed: for people */
	/* publish[poisoned]: from here on every lookup answers FENCED; seen by relaxed looks in tenant_find, which need nothing with it */
	k2k_store_release(&words->poisoned, K2K_POISONED);
	return k2k_sweep_unlink(name, defs);
}

/* Only a live that is missing can have no brokers; where it can't be looked at, that takes FORCE. */
static int destroy_locked(const char *name, uint32_t flags, struct k2k_segment *defs, const struct k2k_trust *trust, const char *actor)
{
	char path[K2K_PATH_MAX];
	struct k2k_segment live;
	struct k2k_map map;
	int code = k2k_segment_check_identity(defs);

	if (code)
		return k2k_fail(K2K_ENOREGISTRY, "name", NULL, "registry %s is gone", name);
	k2k_segment_live_path(path, name, defs->header.uuid);
	code = k2k_segment_open(&live, "live", path, true, trust);
	if (code)
		return code == K2K_ENOREGISTRY || (flags & K2K_DESTROY_FORCE) ? poison(name, defs) : code;
	code = k2k_map_bind(&map, defs, &live);
	if (!code)
		code = look_at_live(&map, &live, flags, actor);
	if (!code || (flags & K2K_DESTROY_FORCE)) {
		bool bound = code == 0;

		code = poison(name, defs);
		if (bound)
			k2k_ring_wake(&map);
	}
	k2k_segment_close(&live);
	return code;
}

/*
 * Of another boot, another layout, or damaged: by the name alone. Under its writer's lock, and only if it still is what it
 * was: two who replace it at once must not remove the new one.
 */
static int destroy_foreign(const char *name, int why, uint32_t flags, const struct k2k_trust *trust)
{
	char path[K2K_PATH_MAX];
	struct k2k_segment defs, again;
	struct k2k_shm_header header;
	struct k2k_lock lock;
	int code;

	/* a file that is no registry's, or not our file, stays */
	k2k_segment_defs_path(path, name);
	if ((why != K2K_EBOOT && !(flags & K2K_DESTROY_FORCE)) || k2k_segment_peek(path, K2K_DEFS_MAGIC, &header) != 0 ||
	    k2k_segment_refer(&defs, path) != 0)
		return why;
	code = k2k_lock_try(&defs, K2K_LOCK_BYTE_WRITER, &lock);
	if (!code) {
		code = k2k_segment_open(&again, "defs", path, true, trust);
		if (code == 0)
			k2k_segment_close(&again);
		if (code == why && k2k_segment_check_identity(&defs) == 0)
			code = unlink(path) == 0 ? 0 : k2k_fail_errno(K2K_EPERM, errno, "defs", "can't remove %s", path);
		else
			code = k2k_fail(K2K_ENOREGISTRY, "name", NULL, "registry %s was replaced meanwhile", name);
		k2k_lock_drop(&lock);
	}
	k2k_segment_close(&defs);
	if (!code)
		k2k_sweep(name, NULL);
	return code == K2K_EBUSY ? k2k_fail(K2K_EBUSY, "writer", NULL, "somebody else is removing %s", path) : code;
}

int k2k_registry_destroy(const char *name, uint32_t flags, const struct k2k_open_options *options)
{
	K2K_UNCANCELLED;
	uint64_t timeout_ns = K2K_DEFAULT_TIMEOUT_NS, deadline;
	char path[K2K_PATH_MAX];
	struct k2k_segment defs;
	struct k2k_trust trust = { false, 0 };
	struct k2k_map map;
	struct k2k_identity own;
	struct k2k_lock lock;
	int code = k2k_segment_check_name(name);

	if (!code)
		code = k2k_rcu_join();
	if (code)
		return code;
	if (flags & ~(uint32_t)K2K_DESTROY_FORCE)
		return k2k_fail_argument("flags", "unknown flags");
	if (options) {
		code = K2K_CHECK_STRUCT(options, K2K_OPEN_CALLER_FORK_HOOKS | K2K_OPEN_OWNER_UID | K2K_OPEN_TIMEOUT);
		if (code)
			return code;
		if (options->flags & K2K_OPEN_TIMEOUT)
			timeout_ns = options->timeout_ns;
		trust.has_owner = options->flags & K2K_OPEN_OWNER_UID;
		trust.owner = options->owner_uid;
	}
	deadline = k2k_sat_add(k2k_clock_monotonic_ns(), timeout_ns);
	k2k_segment_defs_path(path, name);
	code = k2k_segment_open(&defs, "defs", path, true, &trust);
	if (code == K2K_EBOOT || code == K2K_ELAYOUT || code == K2K_ECORRUPT)
		return destroy_foreign(name, code, flags, &trust);
	if (code == K2K_ENOREGISTRY)
		k2k_sweep(name, NULL);
	if (code)
		return code;
	memset(&map, 0, sizeof(map));
	map.defs = (struct k2k_shm_defs *)(void *)defs.base;
	k2k_identity_read(&own);
	code = k2k_writer_lock(&map, &defs, &own, deadline, &lock);
	if (code == K2K_EFENCED)
		code = k2k_fail(K2K_ENOREGISTRY, "name", NULL, "registry %s is gone", name);
	if (!code) {
		code = destroy_locked(name, flags, &defs, &trust, options ? options->actor : NULL);
		k2k_writer_unlock(&map, &lock);
	}
	k2k_segment_close(&defs);
	if (!code)
		k2k_sweep(name, NULL);
	return code;
}
