/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_scene.h - the scene of a kill: a registry in a known state and a broker at work beside the
 * victim
 *
 * The processes of one scene:
 *
 * - The director is this process: it creates the registry, traces, kills and judges. It has an
 *   administrator's handle.
 * - The bystander is a broker that admits, tracks, acquires, releases and looks up its own tenant
 *   the whole time.
 * - In some states there is a stopped broker: it is under SIGSTOP, holds a kernel slot and memory
 *   of each tenant, and keeps grace periods from ending.
 * - For some operations there was a broker that is dead, and every other broker slot is a dead
 *   broker's too.
 * - The victim runs the operation and is killed in it (crash_stores.h, crash_trace.h).
 *
 * After each kill the judge (crash_judge.h) asks that
 *
 * 1. each call of the bystander succeeds at once: without going to sleep, and in at most
 *    BYSTANDER_CPU_NS of its own processor time (the time that other processes take from it does
 *    not count);
 * 2. one administrative operation, or one attach, succeeds;
 * 3. the checker finds nothing;
 * 4. everything that the interface shows is as before the operation, or as after it;
 * 5. so are the numbers of records in use, once `repair` has freed what the dead had claimed.
 *
 * "Before" and "after" are what the same judge saw after it killed a victim before the first
 * instruction and after the last one.
 */
#ifndef K2K_TESTS_CRASH_SCENE_H
#define K2K_TESTS_CRASH_SCENE_H

#include "crash_stores.h"

#include <poll.h>
#include <sys/resource.h>

#define BYSTANDER_CPU_NS UINT64_C(20000000)
#define SECOND UINT64_C(1000000000)
#define MS UINT64_C(1000000)
#define HOUR (3600 * SECOND)

enum {
	TENANTS = 8,
	ENGAGEMENTS = 16,
	LEASES = 32,
	BUDGETS = 16,
	SUBJECT = 7,      /* the tenant that operations change or use */
	BYSTANDERS = 900, /* the bystander's */
	ENGAGEMENT = 70,  /* of the subject: has a cost and a budget */
	SUBJECT_RATE = 100,
	SUBJECT_KERNELS = 4,
};
#define SUBJECT_MEMORY UINT64_C(1048576)

enum state {
	STATE_EMPTY,     /* nothing but what the operation needs */
	STATE_HALF_FULL, /* other tenants with budgets, costs and leases */
	/* slots that were used before: chains and free lists are in another order */
	STATE_REMOVED,
	/* a retired tenant whose grace period can't end: a stopped broker is behind */
	STATE_WAITING,
	/* a retired tenant whose grace period has ended: the next change reaps it */
	STATE_PASSED,
	STATE_STOPPED, /* a stopped broker that holds something of every tenant */
	STATES,
};
static const char *const state_names[STATES] HARNESS_USED = { "empty",   "half full", "removed",
	                                                      "waiting", "passed",    "stopped" };

#define BYSTANDERS_KERNEL "the bystander's"
#define KERNELS 8 /* that the directory has room for */

struct scene;

struct victim {
	const char *name;
	struct k2k_registry *reg;
	struct k2k_lease lease;
	struct k2k_reservation reservation;
	_Atomic uint64_t *clock_ns;
};

struct operation {
	const char *name;
	enum k2k_role role; /* the victim opens the registry in this role first; 0: it does not */
	int (*run)(struct victim *victim);
	int expected; /* the code that it returns */
	/* what it needs besides the state; called by the director, last */
	void (*arrange)(struct scene *scene);
	void (*occupy)(struct k2k_registry *broker); /* called by the bystander, first */
	void (*prepare)(struct victim *victim);      /* called by the victim, first */
	bool no_subject;                             /* the subject is not registered */
	/* every broker slot has an owner, and most owners are dead */
	bool has_dead;
	bool no_registry; /* there is no registry of this name before it */
	bool removes;     /* the registry may be gone: K2K_EFENCED is expected */
	/* a grace period must end in it, which a stopped broker prevents */
	bool needs_grace_period;
	/* killed half way it may leave an empty record, which the next operation finds and uses */
	bool may_leave_record;
};

/* ---- what the director shares with the others --------------------------------------------- */

struct stage {
	/* the brokers' clock stands still: the window of a call does not depend on its speed */
	_Atomic uint64_t clock_ns;
	_Atomic uint64_t
		wall_ns; /* the same: the period of a budget does not depend on the test's */
	atomic_uint round_asked, pause_asked;
	atomic_int round_code;         /* of the last round that was asked for */
	_Atomic uint64_t round_cpu_ns; /* the longest call in it */
	_Atomic uint64_t round_sleeps;
	_Atomic uint64_t rounds; /* all rounds of the bystander */
	atomic_int fenced_is_fine;
	atomic_int run_code; /* the victim's */
};

struct scene {
	const struct operation *operation;
	enum state state;
	const char *name;
	struct k2k_registry *admin;
	struct stage *stage;
	struct gate ready, answered, paused, resume;
	pid_t bystander, stopped, victim;
	uint32_t bystander_slot;
	bool has_changed; /* a victim may have raised an intent, as administrators do */
	/* for the discovery */
	unsigned char *seen_defs, *seen_live;
};

/* Waits for a gate that must open within PATIENCE_S. */
static void gate_expect(struct gate *gate, const char *what)
{
	struct pollfd fd = { .fd = gate->fd[0], .events = POLLIN };

	int status;

	if (poll(&fd, 1, PATIENCE_S * 1000) == 1) {
		gate_wait(gate);
		return;
	}
	if (waitpid(-1, &status, WNOHANG) > 0)
		fail_msg("a process of the scene ended (%#x) before: %s", (unsigned int)status,
		         what);
	fail_msg("not within %d s: %s", PATIENCE_S, what);
}

static void gate_close(struct gate *gate)
{
	close(gate->fd[0]);
	close(gate->fd[1]);
}

static void inject_clocks(struct k2k_registry *reg, struct stage *stage)
{
	reg->clock.injected_ns = &stage->clock_ns;
	reg->clock.injected_wall_ns = &stage->wall_ns;
}

static struct k2k_registry *open_with_clock(struct scene *scene, enum k2k_role role)
{
	struct k2k_registry *reg = open_as(scene->name, role);

	inject_clocks(reg, scene->stage);
	return reg;
}

static struct k2k_audit_tag tag_of(uint64_t engagement)
{
	return (struct k2k_audit_tag){ 1, engagement };
}

/* ---- the bystander --------------------------------------------------------------------------- */

struct meter {
	uint64_t cpu_ns, sleeps;
	int code;
};

static uint64_t thread_sleeps(void)
{
	struct rusage usage;

	assert_int_equal(getrusage(RUSAGE_THREAD, &usage), 0);
	return (uint64_t)usage.ru_nvcsw;
}

static uint64_t metered_from;

static void meter_start(void)
{
	metered_from = thread_cpu_ns();
}

static void meter_stop(struct meter *meter, int code)
{
	uint64_t took = thread_cpu_ns() - metered_from;

	if (took > meter->cpu_ns)
		meter->cpu_ns = took;
	if (code && !meter->code)
		meter->code = code;
}

/* One call of each kind that a broker makes. */
static struct meter bystander_round(struct k2k_registry *reg)
{
	struct meter meter = { 0, thread_sleeps(), 0 };
	struct k2k_tenant_info info = { .size = sizeof info };
	struct k2k_lease lease = K2K_LEASE_INIT, memory = K2K_LEASE_INIT;
	struct k2k_route route = K2K_ROUTE_INIT;

	meter_start();
	meter_stop(&meter, k2k_message_admit(reg, BYSTANDERS, tag_of(1), 1, NULL));
	meter_start();
	meter_stop(&meter, k2k_usage_track(reg, BYSTANDERS, tag_of(1), 5));
	meter_start();
	meter_stop(&meter, k2k_kernel_acquire(reg, BYSTANDERS, &lease, NULL));
	meter_start();
	meter_stop(&meter, k2k_gpu_memory_acquire(reg, BYSTANDERS, 4096, &memory, NULL));
	meter_start();
	meter_stop(&meter, k2k_message_route(reg, BYSTANDERS_KERNEL, BYSTANDERS_KERNEL, tag_of(1),
	                                     1, &route, NULL));
	meter_start();
	meter_stop(&meter, k2k_kernel_add(reg, BYSTANDERS_KERNEL, BYSTANDERS, no_tag, NULL, NULL));
	meter_start();
	meter_stop(&meter, k2k_tenant_get(reg, BYSTANDERS, &info));
	if (lease.amount) {
		meter_start();
		meter_stop(&meter, k2k_kernel_release(reg, &lease));
	}
	if (memory.amount) {
		meter_start();
		meter_stop(&meter, k2k_gpu_memory_release(reg, &memory));
	}
	meter.sleeps = thread_sleeps() - meter.sleeps;
	return meter;
}

static void bystand(struct scene *scene)
{
	struct stage *stage = scene->stage;
	unsigned int answered = 0;
	struct k2k_registry *reg;

	/*
	 * It asks the kernel in its own thread: so whatever it sleeps for is another process.
	 */
	k2k_agent_in_caller = true;
	reg = open_with_clock(scene, K2K_ROLE_BROKER);
	assert_int_equal(k2k_kernel_add(reg, BYSTANDERS_KERNEL, BYSTANDERS, no_tag, NULL, NULL), 0);
	assert_int_equal(bystander_round(reg).code, 0); /* from now on it has all its records */
	gate_open(&scene->ready);
	gate_wait(&scene->resume);
	if (scene->operation->occupy)
		scene->operation->occupy(reg);
	gate_open(&scene->ready);
	for (;;) {
		unsigned int asked = atomic_load(&stage->round_asked);
		struct meter meter;

		if (atomic_load(&stage->pause_asked)) {
			gate_open(&scene->paused);
			gate_wait(&scene->resume);
			continue;
		}
		meter = bystander_round(reg);
		if (meter.code &&
		    !(meter.code == K2K_EFENCED && atomic_load(&stage->fenced_is_fine)))
			fail_msg("a call of a broker at work answered %s", k2k_errname(meter.code));
		atomic_fetch_add(&stage->rounds, 1);
		if (asked != answered) {
			answered = asked;
			atomic_store(&stage->round_code, meter.code);
			atomic_store(&stage->round_cpu_ns, meter.cpu_ns);
			atomic_store(&stage->round_sleeps, meter.sleeps);
			gate_open(&scene->answered);
		} else {
			sched_yield();
		}
	}
}

static void pause_bystander(struct scene *scene)
{
	atomic_store(&scene->stage->pause_asked, 1);
	gate_expect(&scene->paused, "the bystander pauses");
}

static void resume_bystander(struct scene *scene)
{
	atomic_store(&scene->stage->pause_asked, 0);
	gate_open(&scene->resume);
}

/* ---- the states ------------------------------------------------------------------------------ */

static void register_with(struct k2k_registry *admin, k2k_tenant_id id, uint64_t engagement)
{
	struct k2k_budget budget = { engagement, 1000 * MS };
	struct k2k_quota quota = K2K_QUOTA_STANDARD;

	quota.max_messages_per_sec = SUBJECT_RATE;
	quota.max_concurrent_kernels = SUBJECT_KERNELS;
	quota.max_gpu_memory_bytes = SUBJECT_MEMORY;
	quota.budget_count = 1;
	quota.budgets = &budget;
	assert_int_equal(k2k_tenant_register(admin, id, &quota), 0);
}

/*
 * Waits until the bystander's helper has answered the newest grace period. No other broker is both
 * alive and running.
 */
static void wait_answered(const struct scene *scene)
{
	const struct k2k_map *map = &scene->admin->map;

	while (atomic_load(&map->slots[scene->bystander_slot].ack) <
	       atomic_load(&map->defs->grace_token))
		sched_yield();
}

static void deregister(struct k2k_registry *admin, k2k_tenant_id id)
{
	assert_int_equal(k2k_tenant_deregister(admin, id, NULL), 0);
}

/* A broker that uses all tenants and stays until it is stopped or killed. */
static pid_t start_user(struct scene *scene)
{
	pid_t pid = spawn();

	if (pid == 0) {
		struct k2k_registry *reg = open_with_clock(scene, K2K_ROLE_BROKER);
		k2k_tenant_id ids[TENANTS];
		size_t count;

		assert_int_equal(k2k_tenant_ids(reg, ids, TENANTS, &count), 0);
		for (size_t i = 0; i < count; i++) {
			/* an operation that fills up the subject needs all of it */
			if (ids[i] == SUBJECT && scene->operation->occupy)
				continue;
			assert_int_equal(k2k_usage_track(reg, ids[i], tag_of(ENGAGEMENT), 11), 0);
			assert_int_equal(k2k_kernel_acquire(reg, ids[i], NULL, NULL), 0);
			assert_int_equal(k2k_gpu_memory_acquire(reg, ids[i], 1000, NULL, NULL), 0);
		}
		gate_open(&scene->ready);
		for (;;)
			pause();
	}
	gate_expect(&scene->ready, "a broker is ready");
	return pid;
}

/* Before the bystander attaches. */
static void arrange_early(struct scene *scene)
{
	struct k2k_registry *admin = scene->admin;

	if (scene->state == STATE_REMOVED) {
		for (k2k_tenant_id id = 31; id <= 34; id++)
			register_with(admin, id, id);
		deregister(admin, 34);
		deregister(admin, 32);
	}
	assert_int_equal(
		k2k_tenant_register(admin, BYSTANDERS, &(struct k2k_quota)K2K_QUOTA_UNLIMITED), 0);
	if (!scene->operation->no_subject)
		register_with(admin, SUBJECT, ENGAGEMENT);
	if (scene->state == STATE_HALF_FULL) {
		register_with(admin, 21, 21);
		register_with(admin, 22, ENGAGEMENT);
	}
	if (scene->state == STATE_WAITING || scene->state == STATE_PASSED)
		register_with(admin, 41, ENGAGEMENT);
}

static void arrange_late(struct scene *scene)
{
	struct k2k_registry *admin = scene->admin;

	switch (scene->state) {
	case STATE_HALF_FULL: kill_broker(admin, start_user(scene)); break;
	case STATE_REMOVED:
		deregister(admin, 33);
		wait_answered(scene);
		register_with(admin, 35, ENGAGEMENT);
		/*
		 * until what this reaped can be used again: else a ledger that is full now has room
		 * later
		 */
		wait_answered(scene);
		break;
	case STATE_WAITING:
		scene->stopped = start_user(scene);
		stop_process(scene->stopped);
		deregister(admin, 41);
		break;
	case STATE_PASSED:
		kill_broker(admin, start_user(scene));
		deregister(admin, 41);
		wait_answered(scene);
		break;
	case STATE_STOPPED:
		scene->stopped = start_user(scene);
		stop_process(scene->stopped);
		break;
	default: break;
	}
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static void create_small(const char *name, struct k2k_registry **admin)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	options.max_tenants = TENANTS;
	options.max_engagements = ENGAGEMENTS;
	options.max_leases = LEASES;
	options.max_budgets = BUDGETS;
	/*
	 * few, because all bytes are compared again and again, and the checker looks at all events;
	 * but of 2 events a helper would close one
	 */
	options.max_audit_events = 4;
	options.max_kernels = KERNELS;
	assert_int_equal(k2k_registry_create(name, &options, admin), 0);
	/*
	 * not a random key: in each scene the same names share a chain, so that the operation has
	 * the same points each time
	 */
	for (int i = 0; i < K2K_KERNEL_NAME_WORDS; i++)
		(*admin)->map.defs->kernel_key[i] = (uint64_t)i + 1;
}

/*
 * A victim of `operation`, at its first instruction. `watched`: its stores are caught, and with
 * `end` it kills itself after that one (crash_stores.h).
 */
static pid_t start_victim(struct scene *scene, const struct operation *operation, bool watched,
                          const struct point *end)
{
	pid_t pid = spawn();

	scene->has_changed |= operation->role == K2K_ROLE_ADMIN || operation->removes;
	if (pid == 0) {
		struct victim victim = { .name = scene->name,
			                 .lease = K2K_LEASE_INIT,
			                 .reservation = K2K_RESERVATION_INIT,
			                 .clock_ns = &scene->stage->clock_ns };
		int code;

		k2k_agent_in_caller = true;
		if (operation->role) {
			victim.reg = open_with_clock(scene, operation->role);
			if (scene->stopped)
				/* there are no final totals: the test is how it gives up */
				victim.reg->timeout_ns = 50 * MS;
		}
		if (operation->prepare)
			operation->prepare(&victim);
		if (watched)
			catch_stores(victim.reg, end);
		victim_offer();
		operation_begins();
		code = operation->run(&victim);
		atomic_store(&scene->stage->run_code, code);
		operation_ends();
		stores_ended();
		pause();
	}
	victim_take(pid);
	return pid;
}

static uint32_t slot_of(struct k2k_registry *reg, pid_t pid)
{
	struct k2k_broker_info brokers[K2K_BROKERS_MAX] = { { .size = sizeof brokers[0] } };
	size_t count;

	assert_int_equal(k2k_broker_list(reg, brokers, K2K_BROKERS_MAX, &count), 0);
	for (size_t i = 0; i < count; i++)
		if (brokers[i].pid == (uint64_t)pid && brokers[i].state != K2K_BROKER_DEAD)
			return brokers[i].slot;
	fail_msg("process %ld is in no broker slot", (long)pid);
}

/*
 * As if as many brokers had been killed: gives all free slots to incarnations whose bytes nobody
 * has locked. Their start times are long past: a victim's start time, in ticks of 10 ms, must
 * differ from a dead broker's every time.
 */
static void fill_with_dead(const struct k2k_registry *reg, uint32_t dead_slot)
{
	for (uint32_t i = 0; i < reg->map.sizes.slots; i++) {
		struct k2k_shm_slot *slot = &reg->map.slots[i];

		if (atomic_load(&slot->owner) == 0) {
			atomic_store(&slot->ack, atomic_load(&reg->map.defs->grace_token));
			atomic_store(&slot->state, K2K_SLOT_ACTIVE);
			/* reported: else a helper reports it at any time */
			atomic_store(&slot->death_reported, K2K_LOCK_BYTE_LIFE_MIN + i);
			atomic_store(&slot->owner, K2K_LOCK_BYTE_LIFE_MIN + i);
			atomic_store(&slot->start_time, 1);
		}
		if (i == dead_slot)
			atomic_store(&slot->start_time, 1);
	}
}

HARNESS_USED static bool is_possible(const struct operation *operation, enum state state)
{
	return !operation->needs_grace_period || (state != STATE_WAITING && state != STATE_STOPPED);
}

HARNESS_USED static void scene_open(struct scene *scene, const struct operation *operation,
                                    enum state state)
{
	pid_t dead = 0;

	memset(scene, 0, sizeof *scene);
	scene->operation = operation;
	scene->state = state;
	scene->name = fresh_registry();
	scene->stage = shared_bytes(sizeof *scene->stage);
	atomic_store(&scene->stage->fenced_is_fine, operation->removes);
	gate_make(&scene->ready);
	gate_make(&scene->answered);
	gate_make(&scene->paused);
	gate_make(&scene->resume);
	if (operation->no_registry)
		return;
	create_small(scene->name, &scene->admin);
	atomic_store(&scene->stage->clock_ns,
	             k2k_clock_now(&scene->admin->clock).second * SECOND + 500 * MS);
	atomic_store(&scene->stage->wall_ns, 500000 * HOUR);
	inject_clocks(scene->admin, scene->stage);
	arrange_early(scene);
	if (operation->has_dead)
		dead = start_user(scene);
	scene->bystander = spawn();
	if (scene->bystander == 0)
		bystand(scene);
	gate_expect(&scene->ready, "the bystander is ready");
	scene->bystander_slot = slot_of(scene->admin, scene->bystander);
	arrange_late(scene);
	gate_open(&scene->resume);
	gate_expect(&scene->ready, "the bystander has occupied what it should");
	if (operation->arrange)
		operation->arrange(scene);
	if (dead) {
		uint32_t dead_slot = slot_of(scene->admin, dead);

		kill_broker(scene->admin, dead);
		fill_with_dead(scene->admin, dead_slot);
	}
	wait_answered(scene);
}

static void end_process(pid_t *pid)
{
	if (*pid > 0)
		victim_kill(*pid);
	*pid = 0;
}

HARNESS_USED static void scene_close(struct scene *scene)
{
	int code;

	end_process(&scene->victim);
	end_process(&scene->bystander);
	end_process(&scene->stopped);
	if (scene->admin)
		assert_int_equal(k2k_registry_close(&scene->admin), 0);
	code = k2k_registry_destroy(scene->name, 0, NULL);
	assert_true(code == 0 || (code == K2K_ENOREGISTRY &&
	                          (scene->operation->removes || scene->operation->no_registry)));
	check_nothing_left(scene->name);
	gate_close(&scene->ready);
	gate_close(&scene->answered);
	gate_close(&scene->paused);
	gate_close(&scene->resume);
	munmap(scene->stage, sizeof *scene->stage);
	free(scene->seen_defs);
	free(scene->seen_live);
	memset(scene, 0, sizeof *scene);
}

/* ---- for the discovery: did the operation change a byte? --------------------------------- */

/*
 * The bystander's helper answers grace periods, and any agent wakes readers of the trail: these are
 * not changes by the operation.
 */
static void forget_answers(const struct scene *scene)
{
	const k2k_u64 *ack = &scene->admin->map.slots[scene->bystander_slot].ack;
	const k2k_u32 *wake = &scene->admin->map.live->audit_wake;

	memcpy(scene->seen_live + ((const unsigned char *)ack - scene->admin->live.base),
	       (const void *)ack, sizeof *ack);
	memcpy(scene->seen_live + ((const unsigned char *)wake - scene->admin->live.base),
	       (const void *)wake, sizeof *wake);
}

HARNESS_USED static bool scene_changed(void *context)
{
	struct scene *scene = context;
	const struct k2k_registry *reg = scene->admin;
	bool changed;

	if (!reg)
		return false;
	if (!scene->seen_defs) {
		scene->seen_defs = malloc(reg->defs.bytes);
		scene->seen_live = malloc(reg->live.bytes);
		assert_true(scene->seen_defs && scene->seen_live);
	}
	forget_answers(scene);
	changed = memcmp(scene->seen_defs, reg->defs.base, reg->defs.bytes) != 0 ||
	          memcmp(scene->seen_live, reg->live.base, reg->live.bytes) != 0;
	if (changed) {
		memcpy(scene->seen_defs, reg->defs.base, reg->defs.bytes);
		memcpy(scene->seen_live, reg->live.base, reg->live.bytes);
	}
	return changed;
}

#endif
