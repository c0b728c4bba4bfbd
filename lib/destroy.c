/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * destroy.c (F7) - removes a registry.
 *
 * destroy, killed after:
 *   step                      others see       what the next command on this name does
 *   reported in the trail     an extra event   nothing
 *   poisoned                  K2K_EFENCED      unlinks defs, then live
 *   defs unlinked             no registry      unlinks live
 *   live unlinked             no registry      nothing
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "handle.h"
#include "sweep.h"
#include "visitor.h"

static uint32_t count_brokers(const struct k2k_map *map, struct k2k_segment *live, uint64_t *pid)
{
	struct k2k_liveness brokers = { .object = live };
	uint32_t count = 0;

	for (uint32_t i = 0; i < map->sizes.slots; i++)
		/* observe[slot-owner]: its pid, for messages */
		if (k2k_liveness_alive(&brokers, k2k_load_acquire(&map->slots[i].owner))) {
			*pid = k2k_load_relaxed(&map->slots[i].pid); /* relaxed: for messages */
			count++;
		}
	return count;
}

static void report(const struct k2k_map *map, uint32_t flags, uint32_t brokers, const char *actor)
{
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_DESTROYED };
	struct k2k_trail_writer writer;

	if (k2k_trail_writer_open(&writer, map, actor) != 0)
		/* The time namespace's offset is unknown: no event is better than wrong times. */
		return;
	body.more.change.values[K2K_AUDIT_DESTROYED_FLAGS] = flags;
	body.more.change.values[K2K_AUDIT_DESTROYED_BROKERS] = brokers;
	k2k_trail_append_locked(&writer.trail, &body);
}

/* Reports the destroy in the trail. Refuses it if a broker is attached, unless FORCE is given. */
static int look_at_live(const struct k2k_map *map, struct k2k_segment *live, uint32_t flags,
                        const char *actor)
{
	uint64_t pid = 0;
	uint32_t brokers = count_brokers(map, live, &pid);

	if (brokers && !(flags & K2K_DESTROY_FORCE))
		return k2k_fail_pid(
			K2K_EBUSY, "brokers", pid,
			"process %llu is attached as a broker: stop it, or destroy by force",
			(unsigned long long)pid);
	report(map, flags, brokers, actor);
	return 0;
}

static int poison(const char *name, struct k2k_segment *defs)
{
	struct k2k_shm_defs *words = (struct k2k_shm_defs *)(void *)defs->base;

	k2k_store_relaxed(&words->intent, K2K_OP_DESTROY); /* relaxed: for diagnostics */
	/*
	 * publish[poisoned]: from here on every lookup returns K2K_EFENCED; seen by relaxed loads
	 * in k2k_tenant_find(), which need nothing else that was stored
	 */
	k2k_store_release(&words->poisoned, K2K_POISONED);
	return k2k_sweep_unlink(name, defs);
}

/*
 * If live is missing, no broker can be attached, and the registry is removed. If live is there but
 * can't be opened, only FORCE removes the registry.
 */
static int destroy_locked(const char *name, uint32_t flags, struct k2k_segment *defs,
                          const struct k2k_trust *trust, const char *actor)
{
	char path[K2K_PATH_MAX];
	struct k2k_segment live;
	struct k2k_map map;
	int code = k2k_segment_check_identity(defs);

	if (code)
		return k2k_fail(K2K_ENOREGISTRY, "name", NULL, "registry %s was removed meanwhile",
		                name);
	k2k_segment_live_path(path, name, defs->header.uuid);
	code = k2k_segment_open(&live, defs->agent, "live", path, true, trust);
	if (code)
		return code == K2K_ENOREGISTRY || (flags & K2K_DESTROY_FORCE) ? poison(name, defs)
		                                                              : code;
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
 * Removes a registry of another boot, of another layout, or with a corrupt header, by its name
 * alone. The remover's byte is locked, and the name must still refer to the same file: otherwise,
 * of two processes that replace the registry at once, one could remove the other's new one.
 */
static int destroy_foreign(struct k2k_agent *agent, const char *name, int why, uint32_t flags,
                           const struct k2k_trust *trust)
{
	char path[K2K_PATH_MAX];
	struct k2k_segment defs, again;
	struct k2k_shm_header header;
	struct k2k_lock lock;
	int code;

	/* a file that is no registry, or can't be opened, stays */
	k2k_segment_defs_path(path, name);
	if ((why != K2K_EBOOT && !(flags & K2K_DESTROY_FORCE)) ||
	    k2k_segment_peek(path, K2K_DEFS_MAGIC, &header) != 0 ||
	    k2k_segment_refer(&defs, agent, path) != 0)
		return why;
	code = k2k_lock_try(&defs, K2K_LOCK_BYTE_REMOVER, &lock);
	if (!code) {
		code = k2k_segment_open(&again, agent, "defs", path, true, trust);
		if (code == 0)
			k2k_segment_close(&again);
		if (code == why && k2k_segment_check_identity(&defs) == 0)
			code = unlink(path) == 0 ? 0
			                         : k2k_fail_errno(K2K_EPERM, errno, "defs",
			                                          "can't remove %s", path);
		else
			code = k2k_fail(K2K_ENOREGISTRY, "name", NULL,
			                "registry %s was replaced meanwhile", name);
		k2k_lock_drop(&lock);
	}
	k2k_segment_close(&defs);
	if (!code)
		k2k_sweep(agent, name, NULL);
	return code == K2K_EBUSY
	               ? k2k_fail(K2K_EBUSY, "writer", NULL, "another process is removing %s", path)
	               : code;
}

struct destruction {
	struct k2k_agent agent;
	const char *name;
	uint32_t flags;
	struct k2k_trust trust;
	const char *actor;
	uint64_t timeout_ns;
};

static int destroy(void *context)
{
	struct destruction *d = context;
	uint64_t deadline = k2k_sat_add(k2k_clock_monotonic_ns(), d->timeout_ns);
	struct k2k_visitor visitor;
	char path[K2K_PATH_MAX];
	struct k2k_segment defs;
	int code;

	k2k_segment_defs_path(path, d->name);
	code = k2k_segment_open(&defs, &d->agent, "defs", path, true, &d->trust);
	if (code == K2K_EBOOT || code == K2K_ELAYOUT || code == K2K_ECORRUPT)
		return destroy_foreign(&d->agent, d->name, code, d->flags, &d->trust);
	if (code == K2K_ENOREGISTRY)
		k2k_sweep(&d->agent, d->name, NULL);
	if (code)
		return code;
	code = k2k_visitor_enter(&visitor, &defs, deadline);
	if (code == K2K_EFENCED)
		code = k2k_fail(K2K_ENOREGISTRY, "name", NULL, "registry %s was removed meanwhile",
		                d->name);
	if (!code) {
		code = destroy_locked(d->name, d->flags, &defs, &d->trust, d->actor);
		k2k_visitor_leave(&visitor);
	}
	k2k_segment_close(&defs);
	if (!code)
		k2k_sweep(&d->agent, d->name, NULL);
	return code;
}

int k2k_registry_destroy(const char *name, uint32_t flags, const struct k2k_open_options *options)
{
	K2K_UNCANCELLED;
	struct destruction d = { .name = name,
		                 .flags = flags,
		                 .timeout_ns = K2K_DEFAULT_TIMEOUT_NS };
	int code = k2k_segment_check_name(name);

	if (!code)
		code = k2k_rcu_join();
	if (code)
		return code;
	if (flags & ~(uint32_t)K2K_DESTROY_FORCE)
		return k2k_fail_argument("flags", "unknown flags");
	if (options) {
		struct k2k_open_options mine;

		code = K2K_TAKE_STRUCT(&mine, options,
		                       K2K_OPEN_CALLER_FORK_HOOKS | K2K_OPEN_OWNER_UID |
		                               K2K_OPEN_TIMEOUT);
		if (code)
			return code;
		if (mine.flags & K2K_OPEN_TIMEOUT)
			d.timeout_ns = mine.timeout_ns;
		d.trust.has_owner = mine.flags & K2K_OPEN_OWNER_UID;
		d.trust.owner = mine.owner_uid;
		d.actor = mine.actor;
	}
	code = k2k_agent_start(&d.agent);
	if (code)
		return code;
	code = k2k_agent_run(&d.agent, destroy, &d);
	k2k_agent_stop(&d.agent);
	return code;
}
