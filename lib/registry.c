/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "change.h"
#include "deaths.h"
#include "lease.h"
#include "rate.h"
#include "sweep.h"
#include "watch.h"

#define RETRY_NS UINT64_C(1000000)
#define USERS_POLL_NS UINT64_C(50000)
#define KNOWN_OPEN_FLAGS                                                                          \
	(K2K_OPEN_CALLER_FORK_HOOKS | K2K_OPEN_OWNER_UID | K2K_OPEN_TIMEOUT | K2K_OPEN_FOLLOWER | \
	 K2K_OPEN_CLOCK)

/*
 * Both lists change only under the fork guard, so that no forked child finds one half changed.
 * `all` holds every handle, so that leak checkers find it.
 */
static struct k2k_registry *all, *closed;

#define TEXT_OF(number) #number
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *k2k_version(void)
{
	return VERSION_TEXT(K2K_VERSION_MAJOR, K2K_VERSION_MINOR, K2K_VERSION_PATCH);
}

static void tick(struct k2k_registry *reg, uint64_t second)
{
	/* relaxed: it is read again every second */
	if (k2k_load_relaxed(&reg->map.defs->poisoned) == K2K_POISONED ||
	    k2k_segment_check_identity(&reg->defs) != 0 ||
	    k2k_segment_check_identity(&reg->live) != 0) {
		k2k_handle_fence(reg);
	} else {
		k2k_watch_deaths(reg, second);
		k2k_watch_leases(reg, second);
	}
}

/*
 * A broker's agent calls this at its start, and again each time the nanoseconds that it returned
 * have passed. It never waits for a reader or for another process.
 */
static uint64_t look(void *context)
{
	struct k2k_registry *reg = context;
	uint64_t second = k2k_clock_now(&reg->clock).second, next, soon;

	if (second != reg->ticked_second) {
		reg->ticked_second = second;
		tick(reg, second);
	}
	soon = k2k_trail_look(&reg->trail);
	next = k2k_clock_until_next_second(&reg->clock);
	return soon && soon < next ? soon : next;
}

static uint64_t ask_passed(void *context)
{
	const struct k2k_registry *reg = context;
	uint32_t behind;

	return k2k_grace_passed(&reg->grace, &behind);
}

/* ---- open ----------------------------------------------------------------------- */

static int new_handle(struct k2k_registry **handle)
{
	struct k2k_registry *reg;
	k2k_u32 *gate;

	k2k_fork_guard_lock();
	reg = closed;
	if (reg)
		closed = reg->next_closed;
	k2k_fork_guard_unlock();
	if (!reg) {
		reg = aligned_alloc(K2K_CACHE_LINE, (sizeof(*reg) + K2K_CACHE_LINE - 1) /
		                                            K2K_CACHE_LINE * K2K_CACHE_LINE);
		gate = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (!reg || gate == MAP_FAILED || madvise(gate, 4096, MADV_WIPEONFORK) != 0) {
			int error = errno;

			free(reg);
			if (gate != MAP_FAILED)
				munmap(gate, 4096);
			return k2k_fail_errno(error == ENOMEM ? K2K_ENOMEM : K2K_EIO, error,
			                      "handle",
			                      "can't get memory for a handle, with a page that is "
			                      "zeroed in forked children");
		}
		k2k_store_relaxed(gate, K2K_GATE_CLOSED); /* relaxed: no other thread has it yet */
		reg->gate = gate;
		pthread_mutex_init(&reg->mutex, NULL);
		pthread_mutex_init(&reg->sink_mutex, NULL);
		pthread_mutex_init(&reg->kernel_mutex, NULL);
		k2k_fork_guard_lock();
		reg->next_of_all = all;
		all = reg;
		k2k_fork_guard_unlock();
	}
	memset((char *)reg + offsetof(struct k2k_registry, role), 0,
	       sizeof(*reg) - offsetof(struct k2k_registry, role));
	reg->ledger_full_at = UINT64_MAX;
	reg->kernels_full_at = UINT64_MAX;
	reg->defs.fd = -1;
	reg->live.fd = -1;
	*handle = reg;
	return 0;
}

static void give_back(struct k2k_registry *reg)
{
	k2k_fork_guard_lock();
	reg->next_closed = closed;
	closed = reg;
	k2k_fork_guard_unlock();
}

/* Only a simulated registry takes a made-up time. */
static int check_simulation(const struct k2k_registry *reg)
{
	bool simulated = reg->defs.header.incompatible & K2K_FEATURE_SIMULATED;

	if (simulated && !reg->simulated)
		return k2k_fail_argument("clock", "null, but the registry is a simulation");
	if (!simulated && reg->simulated)
		return k2k_fail_argument("clock", "set, but the registry is no simulation");
	return 0;
}

static int open_objects(struct k2k_registry *reg, const struct k2k_trust *trust)
{
	const struct k2k_shm_defs *defs;
	char path[K2K_PATH_MAX];
	uint32_t poisoned;
	int code;

	k2k_segment_defs_path(path, reg->name);
	code = k2k_segment_open(&reg->defs, &reg->agent, "defs", path, reg->role == K2K_GATE_ADMIN,
	                        trust);
	if (code)
		return code;
	defs = (const struct k2k_shm_defs *)(const void *)reg->defs.base;
	/* relaxed: an old value has the same effect as an earlier open */
	poisoned = k2k_load_relaxed(&defs->poisoned);
	if (poisoned == K2K_POISONED) {
		/* relaxed: for diagnostics */
		reg->held_up_by = k2k_load_relaxed(&defs->writer_pid);
		return k2k_sweep_poisoned(reg->name, &reg->defs);
	}
	if (poisoned)
		return k2k_fail_values(K2K_ECORRUPT, "defs", "poisoned", 0, poisoned,
		                       "the word of %s that says \"being destroyed\" is corrupt: "
		                       "destroy the registry and create it again",
		                       path);
	k2k_segment_live_path(path, reg->name, reg->defs.header.uuid);
	code = k2k_segment_open(&reg->live, &reg->agent, "live", path,
	                        reg->role != K2K_GATE_OBSERVER || reg->follows, trust);
	if (code == K2K_ENOREGISTRY)
		/* the registry was destroyed between the two opens, or only live was removed */
		return k2k_segment_check_identity(&reg->defs) != 0
		               ? K2K_EFENCED
		               : k2k_fail(K2K_ECORRUPT, "live", "name",
		                          "%s is missing: destroy the registry and create it again",
		                          path);
	if (!code)
		code = check_simulation(reg);
	if (!code)
		code = k2k_map_bind(&reg->map, &reg->defs, &reg->live);
	if (code || reg->role != K2K_GATE_BROKER)
		return code;
	reg->others = calloc((size_t)reg->map.sizes.slots * K2K_LEASE_LOCKS, sizeof(*reg->others));
	return reg->others ? 0
	                   : k2k_fail_errno(K2K_ENOMEM, ENOMEM, "handle",
	                                    "no memory for the leases of other brokers");
}

static void close_objects(struct k2k_registry *reg)
{
	free(reg->others);
	reg->others = NULL;
	k2k_segment_close(&reg->live);
	k2k_segment_close(&reg->defs);
}

static void detach(struct k2k_registry *reg)
{
	k2k_broker_detach(&reg->map, &reg->broker); /* its leases end with the incarnation */
	k2k_writer_close(&reg->writer);
	k2k_follower_detach(&reg->follower);
}

static int attach(struct k2k_registry *reg)
{
	int code = 0;

	reg->liveness.object = &reg->live;
	reg->admins.object = &reg->defs;
	reg->grace.map = &reg->map;
	reg->grace.liveness = &reg->liveness;
	reg->passed.ask = ask_passed;
	reg->passed.context = reg;
	if (reg->role == K2K_GATE_BROKER) {
		code = k2k_broker_attach(&reg->map, &reg->liveness, &reg->own, &reg->broker);
		k2k_reserved_begin(&reg->reserved, reg->broker.incarnation);
	} else if (reg->role == K2K_GATE_ADMIN) {
		code = k2k_writer_open(&reg->writer, &reg->map, &reg->admins, &reg->own);
	} else if (reg->follows) {
		code = k2k_follower_attach(&reg->map, &reg->liveness, &reg->own, &reg->follower);
	}
	/* Checked last: both objects must still be what the name refers to. */
	if (!code && (k2k_segment_check_identity(&reg->defs) != 0 ||
	              k2k_segment_check_identity(&reg->live) != 0)) {
		detach(reg);
		code = K2K_EFENCED;
	}
	return code;
}

static int attach_until(struct k2k_registry *reg, const struct k2k_trust *trust)
{
	uint64_t deadline = k2k_deadline(reg);

	for (;;) {
		int code = open_objects(reg, trust);

		if (!code)
			code = attach(reg);
		if (!code)
			return 0;
		close_objects(reg);
		if (code == K2K_ENOREGISTRY && reg->role != K2K_GATE_BROKER)
			k2k_sweep(&reg->agent, reg->name, NULL);
		if (code != K2K_EFENCED)
			return code;
		if (k2k_clock_monotonic_ns() >= deadline)
			return k2k_fail_pid(K2K_EBUSY, "name", reg->held_up_by,
			                    "registry %s is being destroyed, or was replaced "
			                    "during each attempt",
			                    reg->name);
		k2k_clock_sleep_ns(RETRY_NS);
	}
}

static int apply_options(struct k2k_registry *reg, const struct k2k_open_options *options,
                         struct k2k_trust *trust)
{
	struct k2k_open_options mine = K2K_OPEN_OPTIONS_INIT;
	char comm[16];
	int code = options ? K2K_TAKE_STRUCT(&mine, options, KNOWN_OPEN_FLAGS) : 0;

	if (code)
		return code;
	reg->timeout_ns = mine.flags & K2K_OPEN_TIMEOUT ? mine.timeout_ns : K2K_DEFAULT_TIMEOUT_NS;
	trust->has_owner = mine.flags & K2K_OPEN_OWNER_UID;
	trust->owner = mine.owner_uid;
	reg->follows = mine.flags & K2K_OPEN_FOLLOWER;
	if (reg->follows && reg->role != K2K_GATE_OBSERVER)
		return k2k_fail_argument("flags", "K2K_OPEN_FOLLOWER needs the role OBSERVER");
	reg->simulated = mine.flags & K2K_OPEN_CLOCK ? mine.clock : NULL;
	if ((mine.flags & K2K_OPEN_CLOCK) && !mine.clock)
		return k2k_fail_argument("clock", "null");
	k2k_identity_read(&reg->own);
	k2k_identity_comm(comm, reg->own.comm[0], reg->own.comm[1]);
	return k2k_audit_init(&reg->audit, mine.actor ? mine.actor : comm, &reg->clock);
}

/* Must run before this handle appends its first event. */
static int open_trail(struct k2k_registry *reg)
{
	struct k2k_trail_options options = { .map = &reg->map,
		                             .clock = &reg->clock,
		                             .liveness = &reg->liveness,
		                             .ring = K2K_RING_ADMIN,
		                             .pid = reg->own.pid,
		                             .actor = reg->audit.actor };
	const struct k2k_broker *broker = &reg->broker;
	int code;

	if (reg->role == K2K_GATE_BROKER) {
		options.ring = K2K_RING_REJECTIONS(broker->slot);
		options.incarnation = broker->incarnation;
		memcpy(options.comm, reg->own.comm, sizeof(options.comm));
		options.rejects = true;
	}
	code = k2k_trail_open(&reg->trail, &options);
	if (!code && broker->predecessor) {
		struct k2k_dead dead = { broker->slot,
			                 broker->predecessor,
			                 broker->predecessor_identity.pid,
			                 broker->predecessor_attached_ns,
			                 { broker->predecessor_identity.comm[0],
			                   broker->predecessor_identity.comm[1] } };

		k2k_report_death(reg, &dead);
		/* wakes the trail's readers here, because the agent does not call look() yet */
		k2k_trail_look(&reg->trail);
	}
	return code;
}

static int start_threads(struct k2k_registry *reg)
{
	int code;

	reg->helper.map = &reg->map;
	reg->helper.slot = reg->broker.slot;
	/* the attach has just checked everything, so the first tick comes with the next second */
	reg->ticked_second = k2k_clock_now(&reg->clock).second;
	code = k2k_helper_start(&reg->helper);
	if (code)
		return code;
	k2k_agent_set_wake(&reg->agent, look, reg);
	return 0;
}

/* The steps after k2k_audit_init(). If one fails, those before it are undone. */
static int open_parts(struct k2k_registry *reg, const struct k2k_trust *trust)
{
	int code = k2k_rate_open();

	if (!code)
		code = k2k_clock_open(&reg->clock);

	if (code)
		return code;
	if (reg->simulated)
		k2k_clock_simulate(&reg->clock, &reg->simulated->monotonic_ns,
		                   &reg->simulated->wall_ns);
	code = attach_until(reg, trust);
	if (code)
		return code;
	if (reg->role == K2K_GATE_ADMIN)
		k2k_sweep(&reg->agent, reg->name, NULL);
	if (reg->role != K2K_GATE_OBSERVER)
		code = open_trail(reg);
	if (code)
		goto detached;
	if (reg->role == K2K_GATE_BROKER) {
		code = start_threads(reg);
		if (code)
			goto close_trail;
	}
	return 0;
close_trail:
	k2k_trail_close(&reg->trail);
detached:
	detach(reg);
	close_objects(reg);
	return code;
}

struct opening {
	struct k2k_registry *reg;
	const struct k2k_open_options *options;
};

/* Runs on the agent, because it opens files. */
static int open_on_agent(void *context)
{
	const struct opening *opening = context;
	struct k2k_trust trust;
	int code = apply_options(opening->reg, opening->options, &trust);

	if (code)
		return code;
	code = open_parts(opening->reg, &trust);
	if (code)
		k2k_audit_fini(&opening->reg->audit);
	return code;
}

int k2k_registry_open(const char *name, enum k2k_role role, const struct k2k_open_options *options,
                      struct k2k_registry **handle)
{
	K2K_UNCANCELLED;
	struct opening opening = { NULL, options };
	struct k2k_registry *reg = NULL;
	int code;

	if (!handle)
		return k2k_fail_argument("handle", "null");
	*handle = NULL;
	code = k2k_segment_check_name(name);
	if (!code)
		code = k2k_rcu_join();
	if (code)
		return code;
	if (role != K2K_ROLE_ADMIN && role != K2K_ROLE_BROKER && role != K2K_ROLE_OBSERVER)
		return k2k_fail_argument("role", "not one of ADMIN, BROKER, OBSERVER");
	code = new_handle(&reg);
	if (code)
		return code;
	strcpy(reg->name, name);
	reg->role = role == K2K_ROLE_ADMIN    ? K2K_GATE_ADMIN
	            : role == K2K_ROLE_BROKER ? K2K_GATE_BROKER
	                                      : K2K_GATE_OBSERVER;
	opening.reg = reg;
	code = k2k_agent_start(&reg->agent);
	if (!code) {
		code = k2k_agent_run(&reg->agent, open_on_agent, &opening);
		if (code)
			k2k_agent_stop(&reg->agent);
	}
	if (code) {
		give_back(reg);
		return code;
	}
	k2k_store_release(reg->gate, reg->role); /* publish[gate]: the handle's fields */
	*handle = reg;
	return 0;
}

/* ---- close ------------------------------------------------------------------------- */

static int close_on_agent(void *context)
{
	struct k2k_registry *reg = context;

	k2k_agent_set_wake(&reg->agent, NULL, NULL);
	k2k_trail_close(&reg->trail);
	detach(reg);
	close_objects(reg);
	return 0;
}

int k2k_registry_close(struct k2k_registry **handle)
{
	struct k2k_registry *reg;
	uint32_t gate;
	int code;

	K2K_UNCANCELLED;
	if (!handle || !*handle)
		return k2k_fail_argument("handle", "null");
	if (!k2k_thread_get())
		return k2k_no_thread();
	reg = *handle;
	if (k2k_audit_is_inside())
		return k2k_fail(K2K_EBUSY, "sink", NULL, "an audit sink can't close its registry");
	/* observe[gate]: the handle's fields */
	if (k2k_load_acquire(reg->gate) & (K2K_GATE_ANY | K2K_GATE_FENCED)) {
		code = k2k_batch_close(reg);
		if (code)
			return code;
	}
	/* publish[gate]: closed for all; observe[gate]: only one closer gets the previous value */
	gate = k2k_exchange_acq_rel(reg->gate, K2K_GATE_CLOSED);
	if (gate == K2K_GATE_FORKED) {
		/* relaxed: the page is the child's own */
		k2k_store_relaxed(reg->gate, K2K_GATE_FORKED);
		*handle = NULL;
		/* a child inherits none of its mappings, threads and descriptors */
		return k2k_fail(
			K2K_EFORKED, "handle", NULL,
			"this handle was opened before fork(): only the child's copy is closed");
	}
	if (gate & K2K_GATE_CLOSED)
		return k2k_fail_argument("registry", "this handle is closed");
	code = k2k_rcu_synchronize(); /* waits for calls that passed the gate and read */
	*handle = NULL;
	if (code)
		/* calls may still read: nothing may be unmapped until the process ends */
		return code;
	/* observe[handle-users]: waits for calls that passed the gate and may sleep or lock */
	while (k2k_load_acquire(&reg->users) != 0) {
		if (k2k_load_relaxed(&reg->sleepers)) /* relaxed: read again in each round */
			k2k_ring_disturb(&reg->map);
		k2k_clock_sleep_ns(USERS_POLL_NS);
	}
	k2k_helper_stop(&reg->helper);
	k2k_audit_set(&reg->audit, NULL, NULL);
	k2k_agent_run(&reg->agent, close_on_agent, reg);
	k2k_agent_stop(&reg->agent);
	k2k_audit_fini(&reg->audit);
	free(reg->cuts);
	reg->cuts = NULL;
	k2k_reserved_end(&reg->reserved);
	give_back(reg);
	return 0;
}

int k2k_registry_set_audit_sink(struct k2k_registry *reg, k2k_audit_sink sink, void *context)
{
	K2K_UNCANCELLED;
	int code;

	code = k2k_hold(reg, K2K_GATE_ANY);
	if (code)
		return code;
	if (k2k_audit_is_inside()) {
		code = k2k_fail(K2K_EBUSY, "sink", NULL, "an audit sink can't replace itself");
	} else {
		pthread_mutex_lock(&reg->sink_mutex);
		code = k2k_audit_set(&reg->audit, sink, context);
		pthread_mutex_unlock(&reg->sink_mutex);
	}
	k2k_unhold(reg);
	return code;
}
