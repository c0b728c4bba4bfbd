/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lease_calls.c (F7) - the public calls for kernel slots and GPU memory, and the record of
 * cross-tenant attempts.
 */
#include "deaths.h"
#include "handle.h"
#include "lease.h"
#include "tenant.h"

#define PATIENCE_NS UINT64_C(20000000) /* how long an acquire is tried again */
#define PAUSE_NS UINT64_C(50000)

struct resource {
	enum k2k_resource resource;
	uint32_t lease_flag;
	int32_t rejection;
};

static const struct resource kernels = { K2K_RESOURCE_KERNELS, K2K_LEASE_KERNEL, K2K_EKERNELS };
static const struct resource gpu_memory = { K2K_RESOURCE_GPU_MEMORY, K2K_LEASE_GPU_MEMORY,
	                                    K2K_EGPUMEM };

static uint64_t limit_of(const struct k2k_map *map, uint32_t slot, enum k2k_resource resource)
{
	struct k2k_limits limits;

	k2k_tenant_limits(map, slot, &limits);
	if (resource == K2K_RESOURCE_GPU_MEMORY)
		return limits.gpu_memory_bytes;
	return limits.kernels == K2K_UNLIMITED_KERNELS ? K2K_UNLIMITED : limits.kernels;
}

static bool is_registered(const struct k2k_map *map, uint32_t slot, uint64_t generation)
{
	return k2k_tenant_still(map, slot, k2k_tenant_word(K2K_TENANT_LIVE, generation));
}

static struct k2k_leaser leaser_of(struct k2k_registry *reg)
{
	struct k2k_leaser leaser = { &reg->map, &reg->liveness, &reg->broker, &reg->kept_lease,
		                     is_registered };

	return leaser;
}

struct acquisition {
	struct k2k_registry *reg;
	const struct resource *resource;
	k2k_tenant_id id;
	uint64_t amount, used, limit, generation;
	bool exact_used;
	uint64_t blocker_pid; /* the broker whose claim was in the way at the last attempt */
	struct k2k_sink *sink;
};

static void count_rejection(struct acquisition *a, uint32_t slot)
{
	struct k2k_shm_cell_cold *cold = &a->reg->map.cells_cold[slot];

	/* relaxed: a count */
	k2k_add_relaxed(a->resource->resource == K2K_RESOURCE_KERNELS ? &cold->rejected_kernels
	                                                              : &cold->rejected_gpu_memory,
	                1);
}

/* For the error: finds a broker with a claim that has not been granted. */
static void find_blocker(struct acquisition *a, uint32_t slot)
{
	enum k2k_resource resource = a->resource->resource;
	struct k2k_registry *reg = a->reg;
	struct k2k_holdings holdings;

	if (k2k_lease_collect(&reg->map, slot, a->generation, &holdings) != 0)
		return;
	for (uint32_t i = 0; i < holdings.count; i++) {
		const struct k2k_holding *h = &holdings.list[i];

		if (h->broker_slot != reg->broker.slot &&
		    h->asked[resource] - h->ended[resource] > h->held[resource])
			/* relaxed: for diagnostics */
			a->blocker_pid = k2k_load_relaxed(&reg->map.slots[h->broker_slot].pid);
	}
}

/* One attempt, under the handle's mutex and in a read section, which ends before each pause. */
static int try_acquire(struct acquisition *a)
{
	struct k2k_registry *reg = a->reg;
	struct k2k_leaser leaser = leaser_of(reg);
	struct k2k_lease_request request = { .resource = a->resource->resource,
		                             .amount = a->amount,
		                             .limit = limit_of,
		                             .exact_used = a->exact_used };
	uint64_t state_gen;
	int code;

	k2k_assert_locked(&reg->mutex);
	k2k_read_lock();
	code = k2k_gate(reg, K2K_GATE_BROKER);
	if (!code)
		code = k2k_tenant_find(&reg->map, a->id, &request.slot, &state_gen);
	/* generation 0 in a release means the current one, so such a lease can't be released */
	if (!code && k2k_tenant_generation(state_gen) == 0)
		code = k2k_fail_values(K2K_ECORRUPT, "tenants", "generation", 1, 0,
		                       "tenant slot %u is live without a generation", request.slot);
	if (!code) {
		request.generation = a->generation = k2k_tenant_generation(state_gen);
		code = k2k_lease_acquire(&leaser, &request, &a->used, &a->limit);
		if (code == K2K_LEASE_REPORT_DEATHS) {
			k2k_report_deaths(reg);
			code = k2k_lease_acquire(&leaser, &request, &a->used, &a->limit);
		}
		if (code == K2K_LEASE_REPORT_DEATHS) /* another broker has died meanwhile */
			code = K2K_LEASE_AGAIN;
		if (code == K2K_LEASE_AGAIN)
			find_blocker(a, request.slot);
		if (code == K2K_LEASE_AT_LIMIT) {
			count_rejection(a, request.slot);
			code = a->resource->rejection;
		}
	} else if (code == K2K_ENOTENANT) {
		/* relaxed: a count */
		k2k_add_relaxed(&reg->map.slots[reg->broker.slot].unknown_tenant_total, 1);
	}
	if (code == a->resource->rejection || code == K2K_ENOTENANT) {
		struct k2k_rejection rejection = {
			.code = code, .tenant = a->id, .used = a->used, .limit = a->limit
		};

		k2k_trail_reject(&reg->trail, &rejection, k2k_clock_now(&reg->clock).second);
		a->sink = k2k_audit_enter(&reg->audit);
	}
	k2k_read_unlock();
	return code;
}

/*
 * True: a read section is begun and the handle's mutex is taken. The mutex is only tried, because a
 * wait for it would keep the read section open. False: use k2k_hold() and the mutex.
 */
static bool lock_fast(struct k2k_registry *reg)
{
	if (!k2k_enter_fast(reg))
		return false;
	if (pthread_mutex_trylock(&reg->mutex) == 0)
		return true;
	k2k_read_unlock();
	return false;
}

static void unlock_fast(struct k2k_registry *reg)
{
	pthread_mutex_unlock(&reg->mutex);
	k2k_read_unlock();
}

static int acquire(struct acquisition *a)
{
	uint64_t deadline = 0;
	int code;

	/*
	 * A full table is tried again, too: a record may have been freed behind the search, while
	 * others took those ahead of it
	 */
	while ((code = try_acquire(a)) == K2K_LEASE_AGAIN || code == K2K_EFULL) {
		uint64_t now = k2k_clock_monotonic_ns();

		if (!deadline)
			deadline = now + PATIENCE_NS;
		if (now >= deadline && code == K2K_EFULL)
			return code;
		if (now >= deadline)
			return k2k_fail_pid(
				K2K_EBUSY, "leases", a->blocker_pid,
				"a request of process %llu is in the way: is it stopped?",
				(unsigned long long)a->blocker_pid);
		/* higher slots sleep longer, so that brokers stop giving way to each other */
		k2k_clock_sleep_ns(PAUSE_NS + PAUSE_NS / 16 * a->reg->broker.slot);
	}
	return code;
}

static int acquire_waiting(struct acquisition *a)
{
	struct k2k_registry *reg = a->reg;
	int code = k2k_hold(reg, K2K_GATE_BROKER);

	if (code)
		return code;
	if (a->id == K2K_TENANT_UNSPECIFIED) {
		a->limit = K2K_UNLIMITED;
	} else {
		pthread_mutex_lock(&reg->mutex);
		code = acquire(a);
		pthread_mutex_unlock(&reg->mutex);
	}
	k2k_unhold(reg);
	return code;
}

static void give_verdict(const struct acquisition *a, int code, struct k2k_verdict *verdict)
{
	struct k2k_verdict mine = {
		.code = code,
		.used = a->used,
		.limit = a->limit,
		.remaining = a->limit == K2K_UNLIMITED ? K2K_UNLIMITED
		                                       : k2k_sat_sub(a->limit, a->used),
		.retry_after_ns = code ? K2K_NEVER_NS : 0,
	};

	if (verdict)
		K2K_GIVE_STRUCT(verdict, &mine);
}

static void give_lease(const struct acquisition *a, struct k2k_lease *lease)
{
	struct k2k_lease mine = { .flags = a->resource->lease_flag,
		                  .id = a->id,
		                  .generation = a->generation,
		                  .amount = a->amount };

	if (lease)
		K2K_GIVE_STRUCT(lease, &mine);
}

/* A lease that is to be filled may have these flags from an earlier use. */
#define LEASE_FLAGS (K2K_LEASE_KERNEL | K2K_LEASE_GPU_MEMORY)

static int acquire_call(struct k2k_registry *reg, k2k_tenant_id id, uint64_t amount,
                        struct k2k_lease *lease, struct k2k_verdict *verdict,
                        const struct resource *resource)
{
	K2K_UNCANCELLED;
	struct acquisition a = { .reg = reg,
		                 .resource = resource,
		                 .id = id,
		                 .amount = amount,
		                 .exact_used = verdict != NULL };
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	if (amount == 0)
		return k2k_fail_argument("bytes", "0");
	code = lease ? K2K_CHECK_STRUCT(lease, LEASE_FLAGS) : 0;
	if (!code && verdict)
		code = K2K_CHECK_STRUCT(verdict, 0);
	if (code)
		return code;
	if (id != K2K_TENANT_UNSPECIFIED && lock_fast(reg)) {
		code = try_acquire(&a);
		unlock_fast(reg);
	} else {
		code = K2K_LEASE_AGAIN;
	}
	if (code == K2K_LEASE_AGAIN || code == K2K_EFULL)
		code = acquire_waiting(&a);
	if (code == K2K_EFULL)
		code = k2k_fail_values(K2K_EFULL, "leases", NULL, K2K_LEASES(reg->map.sizes),
		                       K2K_LEASES(reg->map.sizes),
		                       "the table of leases is full: %u pairs of tenant and living "
		                       "broker hold something",
		                       K2K_LEASES(reg->map.sizes));
	give_verdict(&a, code, verdict);
	if (!code)
		give_lease(&a, lease);
	if (a.sink) {
		struct k2k_rejection rejection = {
			.code = code, .tenant = id, .used = a.used, .limit = a.limit
		};

		k2k_audit_reject(&reg->audit, a.sink, &rejection,
		                 k2k_clock_now(&reg->clock).second);
		k2k_audit_leave(a.sink);
	}
	return code;
}

/* Call it in a read section, under the mutex. */
static int release_locked(struct k2k_registry *reg, k2k_tenant_id id, uint64_t generation,
                          uint64_t amount, const struct resource *resource)
{
	struct k2k_leaser leaser = leaser_of(reg);
	uint64_t state_gen;
	uint32_t slot;
	int code;

	k2k_assert_locked(&reg->mutex);
	k2k_assert_in_section();
	code = k2k_tenant_find(&reg->map, id, &slot, &state_gen);
	if (generation &&
	    (code == K2K_ENOTENANT || (!code && k2k_tenant_generation(state_gen) != generation)))
		return K2K_ESTALE;
	return code ? code
	            : k2k_lease_release(&leaser, slot, k2k_tenant_generation(state_gen),
	                                resource->resource, amount);
}

/* Generation 0 means the current one. */
static int release(struct k2k_registry *reg, k2k_tenant_id id, uint64_t generation, uint64_t amount,
                   const struct resource *resource)
{
	int code;

	if (lock_fast(reg)) {
		code = release_locked(reg, id, generation, amount, resource);
		unlock_fast(reg);
		return code;
	}
	code = k2k_hold(reg, K2K_GATE_BROKER);
	if (code)
		return code;
	pthread_mutex_lock(&reg->mutex);
	k2k_read_lock();
	code = k2k_gate(reg, K2K_GATE_BROKER);
	if (!code)
		code = release_locked(reg, id, generation, amount, resource);
	k2k_read_unlock();
	pthread_mutex_unlock(&reg->mutex);
	k2k_unhold(reg);
	return code;
}

static int release_lease(struct k2k_registry *reg, struct k2k_lease *lease,
                         const struct resource *resource)
{
	K2K_UNCANCELLED;
	struct k2k_lease mine;
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = K2K_TAKE_STRUCT(&mine, lease, LEASE_FLAGS);
	if (!code)
		code = k2k_gate(reg, K2K_GATE_BROKER);
	if (code)
		return code;
	if (mine.amount == 0)
		return K2K_ENOTHELD;
	if (mine.flags != resource->lease_flag)
		return k2k_fail_argument("lease", "of another resource");
	if (mine.id != K2K_TENANT_UNSPECIFIED) {
		if (mine.generation == 0)
			return k2k_fail_argument("lease", "without a generation");
		code = release(reg, mine.id, mine.generation, mine.amount, resource);
	}
	if (!code) {
		mine.amount = 0;
		K2K_GIVE_STRUCT(lease, &mine);
	}
	return code;
}

static int release_id(struct k2k_registry *reg, k2k_tenant_id id, uint64_t amount,
                      const struct resource *resource)
{
	K2K_UNCANCELLED;
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	if (amount == 0)
		return k2k_fail_argument("bytes", "0");
	code = k2k_gate(reg, K2K_GATE_BROKER);
	if (code || id == K2K_TENANT_UNSPECIFIED)
		return code;
	return release(reg, id, 0, amount, resource);
}

int k2k_kernel_acquire(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_lease *lease,
                       struct k2k_verdict *verdict)
{
	return acquire_call(reg, id, 1, lease, verdict, &kernels);
}

int k2k_kernel_release(struct k2k_registry *reg, struct k2k_lease *lease)
{
	return release_lease(reg, lease, &kernels);
}

int k2k_kernel_release_id(struct k2k_registry *reg, k2k_tenant_id id)
{
	return release_id(reg, id, 1, &kernels);
}

int k2k_gpu_memory_acquire(struct k2k_registry *reg, k2k_tenant_id id, uint64_t bytes,
                           struct k2k_lease *lease, struct k2k_verdict *verdict)
{
	return acquire_call(reg, id, bytes, lease, verdict, &gpu_memory);
}

int k2k_gpu_memory_release(struct k2k_registry *reg, struct k2k_lease *lease)
{
	return release_lease(reg, lease, &gpu_memory);
}

int k2k_gpu_memory_release_id(struct k2k_registry *reg, k2k_tenant_id id, uint64_t bytes)
{
	return release_id(reg, id, bytes, &gpu_memory);
}

/* ---- cross-tenant attempts ------------------------------------------------------------- */

int k2k_is_cross_tenant(k2k_tenant_id from, k2k_tenant_id to)
{
	return from != to;
}

int k2k_audit_cross_tenant(struct k2k_registry *reg, k2k_tenant_id from, k2k_tenant_id to,
                           const char *source, const char *destination, struct k2k_audit_tag tag)
{
	struct k2k_rejection rejection = {
		.tenant = from, .to = to, .tag = tag, .source = source, .destination = destination
	};
	struct k2k_sink *sink;
	uint64_t second;
	int code;

	if (reg && !source)
		return k2k_fail_argument("source", "null");
	if (reg && !destination)
		return k2k_fail_argument("destination", "null");
	code = k2k_enter(reg, K2K_GATE_BROKER);
	if (code)
		return code;
	/* relaxed: a count */
	k2k_add_relaxed(&reg->map.slots[reg->broker.slot].cross_tenant_total, 1);
	second = k2k_clock_now(&reg->clock).second;
	k2k_trail_reject(&reg->trail, &rejection, second);
	sink = k2k_audit_enter(&reg->audit);
	k2k_read_unlock();
	if (sink) {
		k2k_audit_reject(&reg->audit, sink, &rejection, second);
		k2k_audit_leave(sink);
	}
	return 0;
}
