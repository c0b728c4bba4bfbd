/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "world.h"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "budget.h"
#include "engine.h"
#include "lease.h"
#include "period.h"

/* what begins with __wrap_ is called by the linker's --wrap alone */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define YIELD_NS UINT64_C(1000000)
#define MONOTONIC_NS (UINT64_C(1000) * K2K_NS_PER_SEC)
#define OBJECT_BYTES ((size_t)1 << 20)

struct k2k_map world_map;
struct k2k_registry world_handles[EXPLORE_THREADS];

static struct world_memory {
	struct k2k_segment defs, live;
	unsigned char *bytes[2];
	struct k2k_sizes sizes;
} memory;
static struct gate {
	_Alignas(64) k2k_u32 gate;
} gates[EXPLORE_THREADS];
static EXPLORE_SHARED k2k_u64 second_ns, wall_ns;
static struct k2k_thread *records[EXPLORE_THREADS];
static uint64_t slept_ns[EXPLORE_THREADS];
static struct k2k_holding others[EXPLORE_THREADS][K2K_SLOTS_MAX];

/* ---- the registry ------------------------------------------------------------------------ */

static void bind_segment(struct k2k_segment *seg, const struct k2k_shm_header *header,
                         unsigned char **bytes)
{
	if (!*bytes)
		*bytes = aligned_alloc(4096, OBJECT_BYTES);
	if (!*bytes || header->total_bytes > OBJECT_BYTES)
		run_refuse("no memory for a registry of %llu bytes",
		           (unsigned long long)header->total_bytes);
	memset(*bytes, 0, header->total_bytes);
	memcpy(*bytes, header, sizeof(*header));
	memset(seg, 0, sizeof(*seg));
	seg->base = *bytes;
	seg->bytes = header->total_bytes;
	seg->header = *header;
}

/*
 * The explorer puts back each word that was changed through base.h, so the objects are laid out
 * once.
 */
static void lay_out(const struct k2k_sizes *sizes)
{
	struct k2k_sizes large = *sizes;
	struct k2k_shm_header defs, live;

	if (memcmp(sizes, &memory.sizes, sizeof(*sizes)) == 0)
		return;
	memory.sizes = *sizes;
	large.leases += sizes->slots; /* what k2k_map_bind() asks for at least */
	memset(&defs, 0, sizeof(defs));
	memset(&live, 0, sizeof(live));
	k2k_map_lay_out(&large, &defs, &live);
	bind_segment(&memory.defs, &defs, &memory.bytes[0]);
	bind_segment(&memory.live, &live, &memory.bytes[1]);
	if (k2k_map_bind(&world_map, &memory.defs, &memory.live) != 0)
		run_refuse("%s", k2k_error_detail()->text);
	world_map.sizes.leases = sizes->leases;
}

/* Once for all executions: they stay in lib/thread.c's list. */
static void take_records(void)
{
	for (int i = 0; i < EXPLORE_THREADS; i++) {
		k2k_thread_self = NULL;
		records[i] = k2k_thread_first_use();
		if (!records[i])
			run_refuse("no memory for threads");
	}
	k2k_thread_self = NULL;
	/* each process has its own list */
	for (int i = 0; i < EXPLORE_THREADS; i++)
		explore_make_private(records[i], sizeof(*records[i]));
	explore_keep();
}

static void fill_list(struct k2k_list list)
{
	for (uint32_t i = 0; i < list.capacity; i++)
		k2k_list_append(&list, i);
}

void world_begin(const struct world_sizes *sizes)
{
	const struct k2k_sizes all = { .tenants = sizes->tenants ? sizes->tenants : 1,
		                       .engagements = sizes->engagements ? sizes->engagements : 1,
		                       .leases = sizes->leases ? sizes->leases : 1,
		                       .budgets = sizes->budgets ? sizes->budgets : 1,
		                       .events = sizes->events ? sizes->events : 2,
		                       .slots = sizes->slots ? sizes->slots : K2K_SLOTS_DEFAULT,
		                       .kernels = sizes->kernels ? sizes->kernels : 1 };

	if (!records[0])
		take_records();
	lay_out(&all);
	fill_list(k2k_tenant_free_list(&world_map));
	fill_list(k2k_budget_free_list(&world_map));
	fill_list(k2k_budget_period_list(&world_map));
	k2k_store_relaxed(&world_map.defs->grace_token, 1);
	k2k_store_relaxed(&world_map.defs->grace_wake, 1);
	k2k_store_relaxed(&k2k_rcu.phase, URCU_GP_COUNT | K2K_RCU_LIGHT);
	memset(slept_ns, 0, sizeof(slept_ns));
	world_set_second(WORLD_SECOND);
	world_set_hour(WORLD_HOUR);
}

static uint64_t ask_passed(void *context)
{
	uint32_t behind;

	return k2k_grace_passed(context, &behind);
}

uint64_t world_incarnation(int thread)
{
	return K2K_LOCK_BYTE_LIFE_MIN + 1 + (uint64_t)thread;
}

static struct k2k_registry *open_handle(int thread, uint32_t role)
{
	struct k2k_registry *reg = &world_handles[thread];

	memset(reg, 0, sizeof(*reg));
	reg->gate = &gates[thread].gate;
	k2k_store_relaxed(reg->gate, role);
	pthread_mutex_init(&reg->mutex, NULL);
	pthread_mutex_init(&reg->sink_mutex, NULL);
	reg->role = role;
	reg->map = world_map;
	reg->others = others[thread];
	reg->clock.injected_ns = &second_ns;
	reg->clock.injected_wall_ns = &wall_ns;
	reg->ledger_full_at = UINT64_MAX;
	reg->kernels_full_at = UINT64_MAX;
	reg->defs = memory.defs;
	reg->live = memory.live;
	reg->liveness.object = &reg->live;
	reg->admins.object = &reg->defs;
	reg->writer.map = &reg->map;
	reg->writer.admins = &reg->admins;
	reg->writer.own = &reg->own;
	reg->grace.map = &reg->map;
	reg->grace.liveness = &reg->liveness;
	reg->passed.ask = ask_passed;
	reg->passed.context = &reg->grace;
	reg->timeout_ns = K2K_NS_PER_SEC;
	reg->watched_second = MONOTONIC_NS / K2K_NS_PER_SEC;
	run.selves[thread] = records[thread];
	return reg;
}

void world_broker(int thread)
{
	struct k2k_registry *reg = open_handle(thread, K2K_GATE_BROKER);
	struct k2k_shm_slot *slot = &world_map.slots[thread];

	reg->broker.incarnation = world_incarnation(thread);
	reg->broker.slot = (uint32_t)thread;
	k2k_store_relaxed(&slot->owner, reg->broker.incarnation);
	k2k_store_relaxed(&slot->ack, k2k_load_relaxed(&world_map.defs->grace_token));
	k2k_store_relaxed(&slot->state, K2K_SLOT_ACTIVE);
}

/* With a trail that waits for no follower. */
void world_admin(int thread)
{
	struct k2k_registry *reg = open_handle(thread, K2K_GATE_ADMIN);

	reg->writer.incarnation = world_incarnation(thread);
	reg->trail.map = &reg->map;
	reg->trail.clock = &reg->clock;
	reg->trail.ring = k2k_ring_of(&world_map, K2K_RING_ADMIN);
}

uint32_t world_tenant(k2k_tenant_id id, const struct k2k_limits *limits)
{
	uint64_t generation;
	uint32_t slot;

	if (k2k_tenant_build(&world_map, id, limits, &slot, &generation) != 0)
		run_refuse("no room for tenant %llu", (unsigned long long)id);
	k2k_tenant_publish(&world_map, slot);
	return slot;
}

/* What a thread of the library's would run: lib/thread.h. */
static void *(*helper_run)(void *);
static void *helper_context;

int __wrap_k2k_worker_start(pthread_t *thread, void *(*run_thread)(void *), void *context,
                            size_t stack_bytes, const char *object)
{
	(void)thread, (void)stack_bytes, (void)object;
	helper_run = run_thread;
	helper_context = context;
	return 0;
}

void world_start_helper(int broker)
{
	struct k2k_helper *helper = &world_handles[broker].helper;

	helper->map = &world_map;
	helper->slot = (uint32_t)broker;
	k2k_store_relaxed(&helper->stop, 0);
	k2k_helper_start(helper);
}

void world_helper(void)
{
	helper_run(helper_context);
}

void world_set_second(uint64_t second)
{
	k2k_store_relaxed(&second_ns, second * K2K_NS_PER_SEC);
}

void world_set_hour(uint64_t hour)
{
	k2k_store_relaxed(&wall_ns, hour * K2K_PERIOD_HOUR_NS);
}

struct k2k_registry *world_self(void)
{
	return &world_handles[explore_self()];
}

/*
 * ---- the system, for what is linked with --wrap -------------------------------------------------
 */

int __real_clock_gettime(clockid_t id, struct timespec *ts);
void __real_k2k_trail_reject(struct k2k_trail *trail, const struct k2k_rejection *rejection,
                             uint64_t second);

/* A handle without a trail has no place for what was refused. */
void __wrap_k2k_trail_reject(struct k2k_trail *trail, const struct k2k_rejection *rejection,
                             uint64_t second)
{
	if (trail->entries)
		__real_k2k_trail_reject(trail, rejection, second);
}

/* The incarnation that a thread draws is its own, and its byte is locked as long as it lives. */
ssize_t __wrap_getrandom(void *bytes, size_t count, unsigned int flags)
{
	uint64_t incarnation = world_incarnation(explore_self());

	(void)flags;
	for (size_t i = 0; i < count; i += sizeof(incarnation))
		memcpy((char *)bytes + i, &incarnation,
		       count - i < sizeof(incarnation) ? count - i : sizeof(incarnation));
	return (ssize_t)count;
}

int __wrap_k2k_lock_try(const struct k2k_segment *seg, uint64_t byte, struct k2k_lock *lock)
{
	(void)seg, (void)byte;
	lock->fd = 3;
	return 0;
}

void __wrap_k2k_lock_drop(struct k2k_lock *lock)
{
	lock->fd = 0;
}

/* No name is removed. */
int __wrap_k2k_segment_check_identity(const struct k2k_segment *seg)
{
	(void)seg;
	return 0;
}

bool __wrap_k2k_lock_is_held(const struct k2k_segment *seg, uint64_t byte)
{
	(void)seg;
	if (byte < world_incarnation(0) || byte >= world_incarnation(EXPLORE_THREADS))
		return false;
	return explore_is_alive((int)(byte - world_incarnation(0)));
}

void __wrap_k2k_lock_are_held(const struct k2k_segment *seg, const uint64_t *bytes, bool *held,
                              uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		held[i] = __wrap_k2k_lock_is_held(seg, bytes[i]);
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	uint64_t ns;

	if (explore_self() < 0)
		return __real_clock_gettime(id, ts);
	ns = MONOTONIC_NS + slept_ns[explore_self()];
	ts->tv_sec = (time_t)(ns / K2K_NS_PER_SEC);
	ts->tv_nsec = (long)(ns % K2K_NS_PER_SEC);
	return 0;
}

void __wrap_k2k_clock_sleep_ns(uint64_t ns)
{
	if (explore_self() < 0)
		return;
	slept_ns[explore_self()] += ns;
	explore_yield();
}

int __wrap_sched_yield(void)
{
	__wrap_k2k_clock_sleep_ns(YIELD_NS);
	return 0;
}

long __wrap_syscall(long number, ...)
{
	if (number == SYS_membarrier && explore_self() >= 0) {
		explore_fence_process();
	} else if (number == SYS_futex && explore_self() >= 0) {
		va_list arguments;
		k2k_u32 *word;
		int operation;
		uint32_t expected;

		va_start(arguments, number);
		word = va_arg(arguments, k2k_u32 *);
		operation = va_arg(arguments, int) & ~FUTEX_PRIVATE_FLAG;
		expected = va_arg(arguments, uint32_t);
		va_end(arguments);
		if (operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET)
			while (k2k_load_relaxed(word) == expected)
				__wrap_k2k_clock_sleep_ns(YIELD_NS);
	}
	return 0;
}
