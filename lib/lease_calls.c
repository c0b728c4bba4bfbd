/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lease_calls.c (F7) - the public calls that take kernel slots and GPU memory and reserve GPU time,
 * and the record of cross-tenant attempts. release_calls.c has those that give back.
 */
#include <errno.h>

#include "budget.h"
#include "budget_use.h"
#include "deaths.h"
#include "lease_fast.h"
#include "leaser.h"
#include "ledger.h"
#include "reservation.h"
#include "tenant.h"

#define PATIENCE_NS UINT64_C(20000000) /* how long an acquire is tried again */
#define PAUSE_NS UINT64_C(50000)

#define ALWAYS_INLINE inline __attribute__((always_inline))

struct resource {
	enum k2k_resource resource;
	uint32_t lease_flag;
	int32_t rejection;
};

static const struct resource kernels = { K2K_RESOURCE_KERNELS, K2K_LEASE_KERNEL, K2K_EKERNELS };
static const struct resource gpu_memory = { K2K_RESOURCE_GPU_MEMORY, K2K_LEASE_GPU_MEMORY,
	                                    K2K_EGPUMEM };

static const struct resource gpu_time = { K2K_RESOURCE_GPU_TIME, 0, K2K_EBUDGET };

static int limit_of(const struct k2k_map *map, const struct k2k_lease_request *request,
                    struct k2k_bound *bound)
{
	struct k2k_limits limits;

	k2k_tenant_lease_limits(map, request->key.of, &limits);
	bound->version = limits.version;
	if (request->resource == K2K_RESOURCE_GPU_MEMORY)
		bound->limit = limits.gpu_memory_bytes;
	else
		bound->limit = limits.kernels == K2K_UNLIMITED_KERNELS ? K2K_UNLIMITED
		                                                       : limits.kernels;
	return 0;
}

struct acquisition {
	struct k2k_registry *reg;
	const struct resource *resource;
	k2k_tenant_id id;
	struct k2k_audit_tag tag; /* of GPU time */
	uint64_t amount, used, limit, generation;
	uint32_t slot, lock;
	bool exact_used;
	bool named;             /* the slot is for a name in the directory */
	const char *full_table; /* of K2K_EFULL */
	/* of GPU time: the engagement's record, and where the reservation is once it is granted */
	uint32_t ledger, place;
	uint64_t number;
	uint64_t rest_ns;     /* of a refused reservation: until the budget renews */
	int32_t shadow_code;  /* granted, but only because the limits are in shadow; else 0 */
	uint64_t blocker_pid; /* the broker whose claim was in the way at the last attempt */
	struct k2k_sink *sink;
};

/* As k2k_lease_acquire(), but reports deaths that are in the way. */
static int acquire_or_report(struct acquisition *a, const struct k2k_lease_request *request,
                             uint64_t *limit)
{
	struct k2k_leaser leaser = k2k_leaser_of(a->reg, a->lock);
	int code = k2k_lease_acquire(&leaser, request, &a->used, limit);

	if (code == K2K_LEASE_REPORT_DEATHS) {
		k2k_report_deaths(a->reg);
		code = k2k_lease_acquire(&leaser, request, &a->used, limit);
	}
	/* another broker may have died meanwhile */
	return code == K2K_LEASE_REPORT_DEATHS ? K2K_LEASE_AGAIN : code;
}

static int unlimited(const struct k2k_map *map, const struct k2k_lease_request *request,
                     struct k2k_bound *bound)
{
	(void)map;
	(void)request;
	*bound = (struct k2k_bound){ .limit = K2K_UNLIMITED, .version = 1 };
	return 0;
}

/*
 * After a refusal at a->limit: the rejection; or, if that limit is in shadow, grants the lease
 * beyond it, as acquire_or_report(). K2K_LEASE_AGAIN also if the limit has changed.
 */
static int refuse_or_pass(struct acquisition *a, const struct k2k_lease_request *refused)
{
	struct k2k_lease_request request = *refused;
	struct k2k_bound bound = { 0 };
	struct k2k_limits limits;
	uint64_t limit;
	int code;

	k2k_tenant_limits(&a->reg->map, a->slot, &limits);
	code = refused->bound(&a->reg->map, refused, &bound);
	if (code)
		return code;
	if (bound.limit != a->limit || bound.version != limits.version)
		return K2K_LEASE_AGAIN;
	if (!(limits.mode & K2K_MODE_SHADOW))
		return a->resource->rejection;
	request.bound = unlimited;
	code = acquire_or_report(a, &request, &limit);
	if (!code)
		a->shadow_code = a->resource->rejection;
	return code;
}

/* For the error: finds a broker with a claim that has not been granted, or inside a commit. */
static void find_blocker(struct acquisition *a, const struct k2k_lease_key *key)
{
	enum k2k_resource resource = a->resource->resource;
	struct k2k_registry *reg = a->reg;
	struct k2k_lease_walk walk;
	struct k2k_holding h;

	k2k_lease_walk(&walk, &reg->map, key);
	while (k2k_lease_next(&walk, &h))
		if (h.broker_slot != reg->broker.slot &&
		    (h.asked[resource] - h.ended[resource] > h.held[resource] ||
		     /* relaxed: for diagnostics */
		     k2k_load_relaxed(&reg->map.leases[h.index].moving)))
			/* relaxed: for diagnostics */
			a->blocker_pid = k2k_load_relaxed(&reg->map.slots[h.broker_slot].pid);
}

static struct k2k_rejection rejection_of(const struct acquisition *a, int code)
{
	struct k2k_rejection rejection = { .code = code ? code : a->shadow_code,
		                           .shadow = code == 0,
		                           .tenant = a->id,
		                           .tag = a->tag,
		                           .used = a->used,
		                           .limit = a->limit };

	return rejection;
}

/* Finds or makes the engagement's record, and asks for its budget. */
static int request_budget(struct acquisition *a, struct k2k_lease_request *request)
{
	struct k2k_registry *reg = a->reg;
	struct k2k_claimer claimer = { reg->broker.incarnation, &reg->passed,
		                       &reg->ledger_full_at };
	const struct k2k_hash_key key = { a->generation, a->tag.engagement_id, a->slot };
	int code = k2k_ledger_obtain(&reg->map, &claimer, &key, &a->ledger);

	if (code)
		return code;
	k2k_reservation_request(&reg->clock, &key, a->ledger, a->amount, request);
	if (!k2k_reserved_make_room(&reg->reserved))
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "reservation",
		                      "no memory to note one more reservation");
	return 0;
}

/* Notes what has been granted: from now on commit and cancel find it. */
static void note_reservation(struct acquisition *a)
{
	const struct k2k_reserved_entry entry = { .id = a->id,
		                                  .generation = a->generation,
		                                  .engagement = a->tag.engagement_id,
		                                  .amount_ns = a->amount,
		                                  .ledger = a->ledger };

	a->number = k2k_reserved_add(&a->reg->reserved, &entry, &a->place);
}

static int request_of_tenant(struct acquisition *a, struct k2k_lease_request *request)
{
	*request = (struct k2k_lease_request){ .key = k2k_lease_of_tenant(a->slot, a->generation),
		                               .resource = a->resource->resource,
		                               .amount = a->amount,
		                               .bound = limit_of };
	return 0;
}

/* Under the lock. */
static int acquire_locked(struct acquisition *a)
{
	struct k2k_lease_request request;
	int code;

	a->full_table = "engagements";
	code = a->resource == &gpu_time ? request_budget(a, &request)
	                                : request_of_tenant(a, &request);
	if (code)
		return code;
	request.exact_used = a->exact_used;
	a->full_table = "leases";
	code = acquire_or_report(a, &request, &a->limit);
	if (code == K2K_LEASE_AT_LIMIT)
		code = refuse_or_pass(a, &request);
	if (code == K2K_LEASE_AGAIN)
		find_blocker(a, &request.key);
	if (!code && a->named) {
		const struct k2k_leaser leaser = k2k_leaser_of(a->reg, a->lock);

		code = k2k_lease_name(&leaser, &request.key, 1);
	}
	if (code == K2K_EBUDGET)
		a->rest_ns = k2k_reservation_rest_ns(&a->reg->map, &request);
	if (!code && a->resource == &gpu_time)
		note_reservation(a);
	return code;
}

/* Finds the tenant, and which lock its leases are under. */
static int find_tenant_to_acquire(struct acquisition *a)
{
	const struct k2k_map *map = &a->reg->map;
	uint64_t state_gen;
	int code = k2k_tenant_find(map, a->id, &a->slot, &state_gen);

	if (code)
		return code;
	a->generation = k2k_tenant_generation(state_gen);
	/* generation 0 in a release means the current one, so such a lease can't be released */
	if (a->generation == 0)
		return k2k_fail_values(K2K_ECORRUPT, "tenants", "generation", 1, 0,
		                       "tenant slot %u is live without a generation", a->slot);
	a->lock = a->resource == &gpu_time ? K2K_LOCK_OF_RESERVATIONS
	                                   : k2k_lease_lock_of_tenant(a->slot);
	return k2k_tenant_select(map, a->slot) & K2K_MODE_SUSPENDED ? K2K_ESUSPENDED : 0;
}

/* One attempt, in a read section, which ends before each pause. */
static int try_acquire(struct acquisition *a)
{
	struct k2k_registry *reg = a->reg;
	int code = k2k_enter(reg, K2K_GATE_BROKER);

	if (code)
		return code;
	code = find_tenant_to_acquire(a);
	if (!code && !k2k_lease_try_lock(&reg->own_leases, a->lock))
		code = K2K_LEASE_LOCKED;
	if (!code) {
		code = acquire_locked(a);
		k2k_lease_unlock(&reg->own_leases, a->lock);
	} else if (code == K2K_ENOTENANT) {
		/* relaxed: a count */
		k2k_add_relaxed(&reg->map.slots[reg->broker.slot].unknown_tenant_total, 1);
	}
	if (a->shadow_code || code == a->resource->rejection || code == K2K_ESUSPENDED)
		k2k_tenant_count_rejection(&reg->map, a->slot, code ? code : a->shadow_code, !code);
	if (a->shadow_code || code == a->resource->rejection || code == K2K_ESUSPENDED ||
	    code == K2K_ENOTENANT) {
		struct k2k_rejection rejection = rejection_of(a, code);

		k2k_trail_reject(&reg->trail, &rejection, k2k_clock_now(&reg->clock).second);
		a->sink = k2k_audit_enter(&reg->audit);
	}
	k2k_read_unlock();
	return code;
}

static int acquire(struct acquisition *a)
{
	uint64_t deadline = 0;
	uint32_t spins = 0;
	int code;

	/*
	 * A full table is tried again, too: a record may have been freed behind the search, while
	 * others took those ahead of it
	 */
	while ((code = try_acquire(a)) == K2K_LEASE_LOCKED || code == K2K_LEASE_AGAIN ||
	       code == K2K_EFULL) {
		uint64_t now;

		if (code == K2K_LEASE_LOCKED) {
			code = k2k_wait_for_lease_lock(a->reg, &spins);
			if (code)
				return code;
			continue;
		}
		now = k2k_clock_monotonic_ns();

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
	if (a->id == K2K_TENANT_UNSPECIFIED)
		a->limit = K2K_UNLIMITED;
	else
		code = acquire(a);
	k2k_unhold(reg);
	return code;
}

static void give_verdict(const struct acquisition *a, int code, struct k2k_verdict *verdict)
{
	struct k2k_verdict mine = {
		.code = code,
		.shadow_code = a->shadow_code,
		.used = a->used,
		.limit = a->limit,
		.remaining = a->limit == K2K_UNLIMITED ? K2K_UNLIMITED
		                                       : k2k_sat_sub(a->limit, a->used),
		.retry_after_ns = !code                 ? 0
		                  : code == K2K_EBUDGET ? a->rest_ns
		                                        : K2K_NEVER_NS,
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

static int no_record(const struct acquisition *a)
{
	const struct k2k_sizes *sizes = &a->reg->map.sizes;

	if (a->full_table[0] == 'e')
		return k2k_fail_values(
			K2K_EFULL, "engagements", NULL, sizes->engagements, sizes->engagements,
			"the table of engagements is full, or this tenant has its half of it");
	return k2k_fail_values(K2K_EFULL, "leases", NULL, K2K_LEASES(*sizes), K2K_LEASES(*sizes),
	                       "the table of leases, of %u pairs of tenant, or reservation, and "
	                       "living broker, is full, or reservations have their half of it",
	                       K2K_LEASES(*sizes));
}

/* Without the application's sink. */
static int acquire_and_judge(struct acquisition *a, struct k2k_verdict *verdict)
{
	int code = K2K_LEASE_AGAIN;

	if (a->id != K2K_TENANT_UNSPECIFIED)
		code = try_acquire(a);
	if (code == K2K_LEASE_LOCKED || code == K2K_LEASE_AGAIN || code == K2K_EFULL)
		code = acquire_waiting(a);
	if (code == K2K_EFULL)
		code = no_record(a);
	give_verdict(a, code, verdict);
	return code;
}

void k2k_tell_sink(struct k2k_registry *reg, struct k2k_sink *sink,
                   const struct k2k_rejection *rejection)
{
	if (!sink)
		return;
	k2k_audit_reject(&reg->audit, sink, rejection, k2k_clock_now(&reg->clock).second);
	k2k_audit_leave(sink);
}

static int acquire_call(struct acquisition *a, struct k2k_verdict *verdict)
{
	int code = acquire_and_judge(a, verdict);
	struct k2k_rejection rejection = rejection_of(a, code);

	k2k_tell_sink(a->reg, a->sink, &rejection);
	return code;
}

int k2k_acquire_named(struct k2k_registry *reg, struct k2k_named_slot *named,
                      struct k2k_verdict *verdict)
{
	struct acquisition a = { .reg = reg,
		                 .resource = &kernels,
		                 .id = named->id,
		                 .amount = 1,
		                 .exact_used = verdict != NULL,
		                 .named = true };
	int code = acquire_and_judge(&a, verdict);

	named->slot = a.slot;
	named->generation = a.generation;
	named->sink = a.sink;
	named->rejection = rejection_of(&a, code);
	return code;
}

static __attribute__((noinline)) int acquire_lease_slow(struct k2k_registry *reg, k2k_tenant_id id,
                                                        uint64_t amount, struct k2k_lease *lease,
                                                        struct k2k_verdict *verdict,
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
	code = lease ? K2K_CHECK_STRUCT(lease, K2K_LEASE_FLAGS) : 0;
	if (!code && verdict)
		code = K2K_CHECK_STRUCT(verdict, 0);
	if (!code)
		code = acquire_call(&a, verdict);
	if (!code)
		give_lease(&a, lease);
	return code;
}

/* ---- the short way of what is granted at once ------------------------------------------- */

struct tenant_bound {
	const struct k2k_shm_tenant *tenant;
	const struct k2k_shm_tenant_cold *cold;
};

/* For k2k_lease_acquire_fast(), of kernels and memory. False also of a suspended tenant. */
static ALWAYS_INLINE bool look_at_tenant(const struct k2k_lease_attempt *attempt, void *context)
{
	const struct tenant_bound *b = context;
	/* observe[tenant-select]: the set of limits that it selects */
	uint64_t select = k2k_load_acquire(&b->tenant->select);
	unsigned int set = K2K_SELECT_VERSION(select) & 1;
	uint64_t limit, room;

	/* relaxed, both: between the two looks at select */
	if (attempt->resource == K2K_RESOURCE_GPU_MEMORY) {
		limit = k2k_load_relaxed(&b->cold->gpu_memory_bytes[set]);
	} else {
		limit = k2k_load_relaxed(&b->cold->kernels[set]);
		if (limit == K2K_UNLIMITED_KERNELS)
			limit = K2K_UNLIMITED;
	}
	k2k_fence_acquire(); /* the copy comes before the second look */
	/* relaxed: ordered by the fence */
	return k2k_likely(!(select & K2K_MODE_SUSPENDED) &&
	                  k2k_load_relaxed(&b->tenant->select) == select &&
	                  k2k_lease_look_fast(attempt, limit, &room));
}

/* As k2k_lease_settle(). */
static __attribute__((noinline)) bool settle(struct k2k_registry *reg, uint32_t lock,
                                             const struct k2k_lease_request *of,
                                             struct k2k_shm_lease *record)
{
	struct k2k_leaser leaser = k2k_leaser_of(reg, lock);

	return k2k_lease_settle(&leaser, of, record) == 0;
}

/* Under the lock. */
static ALWAYS_INLINE bool acquire_locked_fast(struct k2k_registry *reg, uint32_t lock,
                                              uint32_t slot, uint64_t generation,
                                              enum k2k_resource resource, uint64_t amount)
{
	struct tenant_bound bound = { &reg->map.tenants[slot], &reg->map.tenants_cold[slot] };
	const struct k2k_lease_key key = k2k_lease_of_tenant(slot, generation);
	struct k2k_lease_attempt attempt = { .map = &reg->map,
		                             .row = k2k_lease_row(&reg->map, &key),
		                             .own_slot = reg->broker.slot,
		                             .resource = resource,
		                             .amount = amount };
	enum k2k_lease_fast result;

	attempt.record = k2k_lease_find_live(&reg->map, &reg->broker, &attempt.row);
	if (k2k_unlikely(!attempt.record))
		return false;
	result = k2k_lease_acquire_fast(&attempt, look_at_tenant, &bound);
	if (k2k_unlikely(result == K2K_LEASE_CLAIMED)) {
		const struct k2k_lease_request request = {
			.key = key, .resource = resource, .amount = amount, .bound = limit_of
		};

		return settle(reg, lock, &request, attempt.record);
	}
	return k2k_likely(result == K2K_LEASE_GRANTED);
}

/*
 * Reaches no cancellation point, copies no struct, and needs no clock. False: nothing is taken,
 * begin from the start.
 */
static ALWAYS_INLINE bool acquire_fast(struct k2k_registry *reg, k2k_tenant_id id, uint64_t amount,
                                       struct k2k_lease *lease, enum k2k_resource resource,
                                       uint32_t flag)
{
	const struct k2k_shm_tenant *tenant;
	uint64_t state_gen, generation;
	bool granted = false;
	uint32_t slot, lock;

	if (id == K2K_TENANT_UNSPECIFIED ||
	    (lease && (lease->size != sizeof(*lease) || lease->flags & ~K2K_LEASE_FLAGS)) ||
	    !k2k_enter_fast(reg))
		return false;
	if (k2k_unlikely(!k2k_tenant_find_near(&reg->map, id, &slot, &tenant, &state_gen)))
		goto end;
	generation = k2k_tenant_generation(state_gen);
	lock = k2k_lease_lock_of_tenant(slot);
	if (k2k_likely(generation != 0 && k2k_lease_try_lock(&reg->own_leases, lock))) {
		granted = acquire_locked_fast(reg, lock, slot, generation, resource, amount);
		k2k_lease_unlock(&reg->own_leases, lock);
	}
	if (k2k_likely(granted && lease)) {
		lease->flags = flag;
		lease->id = id;
		lease->generation = generation;
		lease->amount = amount;
	}
end:
	k2k_read_end();
	return granted;
}

static ALWAYS_INLINE int acquire_lease(struct k2k_registry *reg, k2k_tenant_id id, uint64_t amount,
                                       struct k2k_lease *lease, struct k2k_verdict *verdict,
                                       const struct resource *resource)
{
	if (k2k_likely(
		    !verdict && amount != 0 &&
		    acquire_fast(reg, id, amount, lease, resource->resource, resource->lease_flag)))
		return 0;
	return acquire_lease_slow(reg, id, amount, lease, verdict, resource);
}

int k2k_kernel_acquire(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_lease *lease,
                       struct k2k_verdict *verdict)
{
	return acquire_lease(reg, id, 1, lease, verdict, &kernels);
}

int k2k_gpu_memory_acquire(struct k2k_registry *reg, k2k_tenant_id id, uint64_t bytes,
                           struct k2k_lease *lease, struct k2k_verdict *verdict)
{
	return acquire_lease(reg, id, bytes, lease, verdict, &gpu_memory);
}

/* ---- reservations ------------------------------------------------------------------------ */

/* The budget in force, of an engagement whose budget does not renew. */
struct budget_bound {
	const struct k2k_shm_tenant *tenant;
	const struct k2k_shm_reserve_row *first;
	const struct k2k_hash_key *key;
	const struct k2k_shm_cost *cost;
	uint32_t ledger;
	uint64_t version, limit; /* of the last look; version 0: none */
};

/* Brings b->limit up to date with `select`. False: use the long way. */
static ALWAYS_INLINE bool update_bound(const struct k2k_map *map, uint64_t select,
                                       struct budget_bound *b)
{
	uint32_t index;
	int code;

	b->version = K2K_SELECT_VERSION(select);
	b->limit = K2K_UNLIMITED;
	code = k2k_budget_find(map, b->key, b->version, &index);
	if (k2k_likely(code == 0)) {
		/* relaxed, all: published with the link */
		b->limit = k2k_load_relaxed(&map->budgets[index].budget_ns);
		if (k2k_load_relaxed(&map->budgets[index].ledger) != b->ledger + 1 ||
		    k2k_load_relaxed(&map->budgets[index].period) != 0)
			return false;
	} else if (code != K2K_HASH_ABSENT) {
		return false;
	}
	/* fence[tenant-select] with that of k2k_tenant_prepare(): as in budget_bound() */
	k2k_fence_acquire();
	/* relaxed: ordered by the fence */
	return k2k_likely(k2k_load_relaxed(&b->tenant->select) == select);
}

/* For k2k_lease_acquire_fast(), as k2k_reservation_request(). */
static ALWAYS_INLINE bool look_at_budget(const struct k2k_lease_attempt *attempt, void *context)
{
	struct budget_bound *b = context;
	/* observe[tenant-select]: the budgets of that version */
	uint64_t select = k2k_load_acquire(&b->tenant->select), room, booked;

	if (k2k_unlikely(select & K2K_MODE_SUSPENDED) ||
	    (K2K_SELECT_VERSION(select) != b->version && !update_bound(attempt->map, select, b)))
		return false;
	/* observe[lease-link]: the rows within reach */
	if (k2k_unlikely(k2k_load_acquire(&b->first->reach) != 0 ||
	                 !k2k_lease_look_fast(attempt, b->limit, &room)))
		return false;
	booked = k2k_ledger_corrected(b->cost);
	k2k_fence_acquire(); /* fence[lease-moving] with that of k2k_lease_begin_move() */
	return booked <= room;
}

/* Under the lock. */
static ALWAYS_INLINE bool reserve_locked_fast(struct k2k_registry *reg,
                                              const struct k2k_shm_tenant *tenant,
                                              const struct k2k_hash_key *of, uint32_t ledger,
                                              uint64_t amount)
{
	const struct k2k_map *map = &reg->map;
	const struct k2k_lease_key key = k2k_lease_of_engagement(ledger, of->gen);
	struct budget_bound bound = { .tenant = tenant,
		                      .first = &map->reserve_rows[ledger & map->reserve_mask],
		                      .key = of,
		                      .cost = &map->ledger[ledger],
		                      .ledger = ledger };
	struct k2k_lease_attempt attempt = { .map = map,
		                             .row = k2k_lease_row(map, &key),
		                             .own_slot = reg->broker.slot,
		                             .resource = K2K_RESOURCE_GPU_TIME,
		                             .amount = amount };
	enum k2k_lease_fast result;

	attempt.record = k2k_lease_find_live(map, &reg->broker, &attempt.row);
	if (k2k_unlikely(!reg->reserved.unused || !attempt.record))
		return false;
	result = k2k_lease_acquire_fast(&attempt, look_at_budget, &bound);
	if (k2k_unlikely(result == K2K_LEASE_CLAIMED)) {
		struct k2k_lease_request request;

		k2k_reservation_request(&reg->clock, of, ledger, amount, &request);
		return settle(reg, K2K_LOCK_OF_RESERVATIONS, &request, attempt.record);
	}
	return k2k_likely(result == K2K_LEASE_GRANTED);
}

/* As acquire_fast(), of a reservation. */
static ALWAYS_INLINE bool reserve_fast(struct k2k_registry *reg, k2k_tenant_id id,
                                       struct k2k_audit_tag tag, uint64_t gpu_ns,
                                       struct k2k_reservation *reservation)
{
	struct k2k_reserved_entry entry = { .id = id,
		                            .engagement = tag.engagement_id,
		                            .amount_ns = gpu_ns };
	const struct k2k_shm_tenant *tenant;
	struct k2k_hash_key key;
	uint64_t state_gen;
	bool reserved = false;

	if (id == K2K_TENANT_UNSPECIFIED || !reservation ||
	    reservation->size != sizeof(*reservation) || reservation->flags != 0 ||
	    !k2k_enter_fast(reg))
		return false;
	if (k2k_likely(k2k_tenant_find_near(&reg->map, id, &key.slot, &tenant, &state_gen) &&
	               k2k_tenant_generation(state_gen) != 0 && !k2k_budget_may_renew(tenant))) {
		key.gen = entry.generation = k2k_tenant_generation(state_gen);
		key.key = tag.engagement_id;
		if (k2k_likely(k2k_ledger_find_near(&reg->map, &key, &entry.ledger) &&
		               k2k_lease_try_lock(&reg->own_leases, K2K_LOCK_OF_RESERVATIONS))) {
			reserved = reserve_locked_fast(reg, tenant, &key, entry.ledger, gpu_ns);
			if (k2k_likely(reserved))
				reservation->number = k2k_reserved_add(&reg->reserved, &entry,
				                                       &reservation->place);
			k2k_lease_unlock(&reg->own_leases, K2K_LOCK_OF_RESERVATIONS);
		}
	}
	if (k2k_likely(reserved)) {
		reservation->id = id;
		reservation->tag = tag;
		reservation->generation = entry.generation;
		reservation->reserved_ns = gpu_ns;
		reservation->over_ns = 0;
		reservation->reserved = 0;
	}
	k2k_read_end();
	return reserved;
}

static __attribute__((noinline)) int reserve_slow(struct k2k_registry *reg, k2k_tenant_id id,
                                                  struct k2k_audit_tag tag, uint64_t gpu_ns,
                                                  struct k2k_reservation *reservation,
                                                  struct k2k_verdict *verdict)
{
	K2K_UNCANCELLED;
	struct acquisition a = { .reg = reg,
		                 .resource = &gpu_time,
		                 .id = id,
		                 .tag = tag,
		                 .amount = gpu_ns,
		                 .exact_used = verdict != NULL };
	struct k2k_reservation mine = { .id = id, .tag = tag, .reserved_ns = gpu_ns };
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	if (gpu_ns == 0)
		return k2k_fail_argument("gpu_ns", "0");
	code = K2K_CHECK_STRUCT(reservation, 0);
	if (!code && verdict)
		code = K2K_CHECK_STRUCT(verdict, 0);
	if (!code)
		code = acquire_call(&a, verdict);
	if (code)
		return code;
	mine.generation = a.generation;
	mine.number = a.number;
	mine.place = a.place;
	K2K_GIVE_STRUCT(reservation, &mine);
	return 0;
}

int k2k_usage_reserve(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                      uint64_t gpu_ns, struct k2k_reservation *reservation,
                      struct k2k_verdict *verdict)
{
	if (k2k_likely(!verdict && gpu_ns != 0 && reserve_fast(reg, id, tag, gpu_ns, reservation)))
		return 0;
	return reserve_slow(reg, id, tag, gpu_ns, reservation, verdict);
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
