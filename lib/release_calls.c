/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * release_calls.c (F7) - the public calls that give back kernel slots and GPU memory, and commit or
 * cancel a reservation of GPU time.
 */
#include "budget_use.h"
#include "lease_fast.h"
#include "leaser.h"
#include "ledger.h"
#include "reservation.h"
#include "tenant.h"
#include "watch.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))

struct release {
	struct k2k_registry *reg;
	k2k_tenant_id id;
	uint64_t generation, amount; /* generation 0 means the current one */
	enum k2k_resource resource;
};

/* In a read section. K2K_LEASE_LOCKED: another thread has the lock. */
static int release_found(const struct release *r, uint32_t slot, uint64_t state_gen)
{
	const struct k2k_lease_key key = k2k_lease_of_tenant(slot,
	                                                     k2k_tenant_generation(state_gen));
	struct k2k_leaser leaser = k2k_leaser_of(r->reg, k2k_lease_lock_of_tenant(slot));
	int code;

	if (r->generation && r->generation != key.generation)
		return K2K_ESTALE;
	if (k2k_unlikely(!k2k_lease_try_lock(&r->reg->own_leases, leaser.lock)))
		return K2K_LEASE_LOCKED;
	code = k2k_lease_release(&leaser, &key, r->resource, r->amount);
	k2k_lease_unlock(&r->reg->own_leases, leaser.lock);
	return code;
}

static int try_release(void *context)
{
	const struct release *r = context;
	uint64_t state_gen;
	uint32_t slot;
	int code = k2k_enter(r->reg, K2K_GATE_BROKER);

	if (code)
		return code;
	code = k2k_tenant_find(&r->reg->map, r->id, &slot, &state_gen);
	if (!code)
		code = release_found(r, slot, state_gen);
	else if (code == K2K_ENOTENANT && r->generation)
		code = K2K_ESTALE;
	k2k_read_unlock();
	return code;
}

/* Repeats what another thread's lock is in the way of. */
static int repeat(struct k2k_registry *reg, int (*try)(void *context), void *context)
{
	uint32_t spins = 0;
	int code = try(context);

	if (k2k_likely(code != K2K_LEASE_LOCKED))
		return code;
	code = k2k_hold(reg, K2K_GATE_BROKER);
	if (code)
		return code;
	while ((code = try(context)) == K2K_LEASE_LOCKED) {
		code = k2k_wait_for_lease_lock(reg, &spins);
		if (code)
			break;
	}
	k2k_unhold(reg);
	return code;
}

static __attribute__((noinline)) void rest_record(struct k2k_registry *reg, uint32_t lock,
                                                  const struct k2k_shm_lease *record)
{
	struct k2k_leaser leaser = k2k_leaser_of(reg, lock);

	k2k_lease_rest(&leaser, record);
}

/* Under the lock. */
static ALWAYS_INLINE bool release_locked_fast(struct k2k_registry *reg, uint32_t lock,
                                              const struct k2k_lease_key *key,
                                              enum k2k_resource resource, uint64_t amount)
{
	const struct k2k_lease_row row = k2k_lease_row(&reg->map, key);
	struct k2k_shm_lease *record = k2k_lease_find_live(&reg->map, &reg->broker, &row);

	if (k2k_unlikely(!record || k2k_lease_unnamed(record, resource) < amount))
		return false;
	k2k_lease_give_back(&record->claims[resource], amount);
	if (k2k_unlikely(!k2k_lease_stays(&reg->map, &reg->own_leases, lock, record)))
		rest_record(reg, lock, record);
	return true;
}

/* As acquire_fast(). False: nothing has changed. */
static ALWAYS_INLINE bool release_fast(struct k2k_registry *reg, const struct k2k_lease *lease,
                                       enum k2k_resource resource)
{
	const struct k2k_shm_tenant *tenant;
	struct k2k_lease_key key;
	uint64_t state_gen;
	uint32_t slot, lock;
	bool released = false;

	if (!k2k_enter_fast(reg))
		return false;
	if (k2k_likely(k2k_tenant_find_near(&reg->map, lease->id, &slot, &tenant, &state_gen) &&
	               k2k_tenant_generation(state_gen) == lease->generation)) {
		lock = k2k_lease_lock_of_tenant(slot);
		key = k2k_lease_of_tenant(slot, lease->generation);
		if (k2k_likely(k2k_lease_try_lock(&reg->own_leases, lock))) {
			released = release_locked_fast(reg, lock, &key, resource, lease->amount);
			k2k_lease_unlock(&reg->own_leases, lock);
		}
	}
	k2k_read_end();
	return released;
}

static __attribute__((noinline)) int release_lease_slow(struct k2k_registry *reg,
                                                        struct k2k_lease *lease,
                                                        enum k2k_resource resource, uint32_t flag)
{
	K2K_UNCANCELLED;
	struct k2k_lease mine;
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = K2K_TAKE_STRUCT(&mine, lease, K2K_LEASE_FLAGS);
	if (!code)
		code = k2k_gate(reg, K2K_GATE_BROKER);
	if (code)
		return code;
	if (mine.amount == 0)
		return K2K_ENOTHELD;
	if (mine.flags != flag)
		return k2k_fail_argument("lease", "of another resource");
	if (mine.id != K2K_TENANT_UNSPECIFIED) {
		struct release r = { reg, mine.id, mine.generation, mine.amount, resource };

		if (mine.generation == 0)
			return k2k_fail_argument("lease", "without a generation");
		code = repeat(reg, try_release, &r);
	}
	if (!code) {
		mine.amount = 0;
		K2K_GIVE_STRUCT(lease, &mine);
	}
	return code;
}

static ALWAYS_INLINE int release_lease(struct k2k_registry *reg, struct k2k_lease *lease,
                                       enum k2k_resource resource, uint32_t flag)
{
	if (k2k_likely(lease && lease->size == sizeof(*lease) && lease->flags == flag &&
	               lease->amount != 0 && lease->id != K2K_TENANT_UNSPECIFIED &&
	               lease->generation != 0 && release_fast(reg, lease, resource))) {
		lease->amount = 0;
		return 0;
	}
	return release_lease_slow(reg, lease, resource, flag);
}

static int release_id(struct k2k_registry *reg, k2k_tenant_id id, uint64_t amount,
                      enum k2k_resource resource)
{
	K2K_UNCANCELLED;
	struct release r = { reg, id, 0, amount, resource };
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	if (amount == 0)
		return k2k_fail_argument("bytes", "0");
	code = k2k_gate(reg, K2K_GATE_BROKER);
	if (code || id == K2K_TENANT_UNSPECIFIED)
		return code;
	return repeat(reg, try_release, &r);
}

struct named_release {
	struct k2k_registry *reg;
	uint32_t slot;
	uint64_t generation;
};

static int try_release_named(void *context)
{
	const struct named_release *r = context;
	const struct k2k_lease_key key = k2k_lease_of_tenant(r->slot, r->generation);
	struct k2k_leaser leaser = k2k_leaser_of(r->reg, k2k_lease_lock_of_tenant(r->slot));
	int code = k2k_enter(r->reg, K2K_GATE_BROKER);

	if (code)
		return code;
	if (!k2k_lease_try_lock(&r->reg->own_leases, leaser.lock)) {
		code = K2K_LEASE_LOCKED;
	} else {
		/* not held: the tenant is gone, or a repair has set the record aside */
		code = k2k_lease_name(&leaser, &key, -1);
		K2K_DELAY(kernel_unnamed);
		if (!code)
			code = k2k_lease_release(&leaser, &key, K2K_RESOURCE_KERNELS, 1);
		k2k_lease_unlock(&r->reg->own_leases, leaser.lock);
	}
	k2k_read_unlock();
	return code;
}

void k2k_release_named(struct k2k_registry *reg, uint32_t slot, uint64_t generation)
{
	struct named_release r = { reg, slot, generation };

	if (generation)
		repeat(reg, try_release_named, &r);
}

int k2k_kernel_release(struct k2k_registry *reg, struct k2k_lease *lease)
{
	return release_lease(reg, lease, K2K_RESOURCE_KERNELS, K2K_LEASE_KERNEL);
}

int k2k_kernel_release_id(struct k2k_registry *reg, k2k_tenant_id id)
{
	return release_id(reg, id, 1, K2K_RESOURCE_KERNELS);
}

int k2k_gpu_memory_release(struct k2k_registry *reg, struct k2k_lease *lease)
{
	return release_lease(reg, lease, K2K_RESOURCE_GPU_MEMORY, K2K_LEASE_GPU_MEMORY);
}

int k2k_gpu_memory_release_id(struct k2k_registry *reg, k2k_tenant_id id, uint64_t bytes)
{
	return release_id(reg, id, bytes, K2K_RESOURCE_GPU_MEMORY);
}

/* ---- reservations ------------------------------------------------------------------------ */

struct booking {
	struct k2k_registry *reg;
	const struct k2k_reserved_entry *entry;
	struct k2k_hash_key key;
	uint64_t ns;
	int code;
};

/*
 * Books in the record that the reservation is of; or, if a repair has joined that with another, in
 * the one that has the key now.
 */
static void book(void *context)
{
	struct booking *b = context;
	struct k2k_registry *reg = b->reg;
	const struct k2k_map *map = &reg->map;
	struct k2k_claimer claimer = { reg->broker.incarnation, &reg->passed,
		                       &reg->ledger_full_at };
	uint32_t index = b->entry->ledger;
	uint64_t rest = b->ns;

	if (k2k_budget_may_renew(&map->tenants[b->key.slot]))
		k2k_budget_renew_now(map, &reg->clock, &b->key);
	/* relaxed: RETIRED only if a repair has removed it, which comes before a grace period */
	if (k2k_entry_state(k2k_load_relaxed(&map->ledger[index].entry.state)) != K2K_ENTRY_LIVE ||
	    !k2k_hash_matches(&map->ledger[index].entry, &b->key))
		b->code = k2k_ledger_obtain(map, &claimer, &b->key, &index);
	if (!b->code)
		rest = k2k_ledger_add(&map->ledger[index], b->ns);
	else if (b->code != K2K_EFULL)
		return;
	b->code = 0;
	if (rest) {
		k2k_ledger_add_unattributed(map, b->key.slot, rest);
		b->code = K2K_EUNBOOKED;
	}
}

/* Is the tenant still registered as when the reservation was made? *key: that of the engagement. */
static int find_tenant(struct k2k_registry *reg, const struct k2k_reserved_entry *entry,
                       struct k2k_hash_key *key)
{
	uint64_t state_gen;
	int code = k2k_tenant_find(&reg->map, entry->id, &key->slot, &state_gen);

	if (code == K2K_ENOTENANT ||
	    (!code && k2k_tenant_generation(state_gen) != entry->generation))
		return K2K_EGONE;
	key->gen = entry->generation;
	key->key = entry->engagement;
	return code;
}

/* In a read section, under the lock. *of: the engagement, unless it fails. */
static int commit_locked(struct k2k_registry *reg, const struct k2k_reserved_entry *entry,
                         uint64_t gpu_ns, struct k2k_hash_key *of)
{
	const struct k2k_lease_key key = k2k_lease_of_engagement(entry->ledger, entry->generation);
	struct k2k_leaser leaser = k2k_leaser_of(reg, K2K_LOCK_OF_RESERVATIONS);
	struct booking booking = { .reg = reg, .entry = entry, .ns = gpu_ns };
	int code = find_tenant(reg, entry, &booking.key);

	if (code) {
		/* what the record says of it counts no more, but it can be used again */
		k2k_lease_release(&leaser, &key, K2K_RESOURCE_GPU_TIME, entry->amount_ns);
		return code;
	}
	/* the result is only whether it was still reserved */
	k2k_lease_commit(&leaser, &key, K2K_RESOURCE_GPU_TIME, entry->amount_ns, book, &booking);
	*of = booking.key;
	if ((booking.code == 0 || booking.code == K2K_EUNBOOKED) &&
	    !k2k_tenant_still(&reg->map, booking.key.slot,
	                      k2k_tenant_word(K2K_TENANT_LIVE, entry->generation)))
		return K2K_EGONE;
	return booking.code;
}

/* In a read section, under the lock. */
static int cancel_locked(struct k2k_registry *reg, const struct k2k_reserved_entry *entry)
{
	const struct k2k_lease_key key = k2k_lease_of_engagement(entry->ledger, entry->generation);
	struct k2k_leaser leaser = k2k_leaser_of(reg, K2K_LOCK_OF_RESERVATIONS);
	int code = k2k_lease_release(&leaser, &key, K2K_RESOURCE_GPU_TIME, entry->amount_ns);

	/* not held: its tenant is gone, or a repair has set the record aside */
	return code == K2K_ENOTHELD ? 0 : code;
}

struct ending {
	struct k2k_registry *reg;
	uint64_t number, org_id;
	uint32_t place;
	const uint64_t *gpu_ns; /* null: books nothing */
};

static int try_end(void *context)
{
	const struct ending *e = context;
	struct k2k_registry *reg = e->reg;
	struct k2k_reserved_entry entry;
	struct k2k_hash_key of;
	int code = k2k_enter(reg, K2K_GATE_BROKER);

	if (code)
		return code;
	if (!k2k_lease_try_lock(&reg->own_leases, K2K_LOCK_OF_RESERVATIONS)) {
		code = K2K_LEASE_LOCKED;
	} else {
		/* it ends here: whatever happens now, no other call finds it */
		if (!k2k_reserved_remove(&reg->reserved, e->number, e->place, &entry))
			code = K2K_ESTALE;
		else if (e->gpu_ns)
			code = commit_locked(reg, &entry, *e->gpu_ns, &of);
		else
			code = cancel_locked(reg, &entry);
		k2k_lease_unlock(&reg->own_leases, K2K_LOCK_OF_RESERVATIONS);
		if (e->gpu_ns && (code == 0 || code == K2K_EUNBOOKED) &&
		    k2k_watch_books(&reg->map, of.slot))
			k2k_watch_budget(reg, entry.id, &of, e->org_id);
	}
	k2k_read_unlock();
	return code;
}

/* ---- the short way of a commit ------------------------------------------------------------ */

/* What a commit changes, all of it found and checked. */
struct commit {
	const struct k2k_shm_tenant *tenant;
	uint32_t slot;
	uint64_t state_gen;
	struct k2k_shm_cost *cost;
	struct k2k_shm_lease *record;
	uint64_t reserved_ns;
};

/* Under the lock. False: use the long way. */
static ALWAYS_INLINE bool find_commit(struct k2k_registry *reg,
                                      const struct k2k_reserved_entry *entry, struct commit *c)
{
	const struct k2k_lease_key of = k2k_lease_of_engagement(entry->ledger, entry->generation);
	const struct k2k_lease_row row = k2k_lease_row(&reg->map, &of);
	struct k2k_hash_key key = { entry->generation, entry->engagement, 0 };

	if (k2k_unlikely(!k2k_tenant_find_near(&reg->map, entry->id, &c->slot, &c->tenant,
	                                       &c->state_gen) ||
	                 k2k_tenant_generation(c->state_gen) != entry->generation ||
	                 k2k_budget_may_renew(c->tenant) || k2k_watch_books(&reg->map, c->slot)))
		return false;
	key.slot = c->slot;
	c->cost = &reg->map.ledger[entry->ledger];
	c->record = k2k_lease_find_live(&reg->map, &reg->broker, &row);
	c->reserved_ns = entry->amount_ns;
	/* relaxed: as in book() */
	return k2k_likely(
		k2k_entry_state(k2k_load_relaxed(&c->cost->entry.state)) == K2K_ENTRY_LIVE &&
		k2k_hash_matches(&c->cost->entry, &key) && c->record &&
		/* relaxed: only we write our record, under our lock */
		k2k_load_relaxed(&c->record->claims[K2K_RESOURCE_GPU_TIME].held) >= c->reserved_ns);
}

/* As commit_locked(). */
static ALWAYS_INLINE int commit_found(struct k2k_registry *reg, const struct commit *c,
                                      uint64_t gpu_ns)
{
	uint64_t rest;

	k2k_lease_begin_move(c->record);
	rest = k2k_ledger_add(c->cost, gpu_ns);
	if (k2k_unlikely(rest))
		k2k_ledger_add_unattributed(&reg->map, c->slot, rest);
	k2k_lease_end_move(c->record, K2K_RESOURCE_GPU_TIME, c->reserved_ns);
	if (k2k_unlikely(!k2k_lease_stays(&reg->map, &reg->own_leases, K2K_LOCK_OF_RESERVATIONS,
	                                  c->record)))
		rest_record(reg, K2K_LOCK_OF_RESERVATIONS, c->record);
	if (k2k_unlikely(!k2k_tenant_is_still(c->tenant, c->state_gen)))
		return K2K_EGONE;
	return k2k_unlikely(rest) ? K2K_EUNBOOKED : 0;
}

/* As acquire_fast(). False: nothing has changed. *code: the result of the commit. */
static ALWAYS_INLINE bool commit_fast(struct k2k_registry *reg, struct k2k_reservation *reservation,
                                      uint64_t gpu_ns, int *code)
{
	const struct k2k_reserved_entry *entry;
	struct k2k_reserved_entry removed;
	bool done = false;
	struct commit c;

	if (!reservation || reservation->size != sizeof(*reservation) || reservation->flags != 0 ||
	    reservation->id == K2K_TENANT_UNSPECIFIED || !k2k_enter_fast(reg))
		return false;
	if (k2k_likely(k2k_lease_try_lock(&reg->own_leases, K2K_LOCK_OF_RESERVATIONS))) {
		entry = k2k_reserved_find(&reg->reserved, reservation->number, reservation->place);
		if (k2k_likely(entry && find_commit(reg, entry, &c))) {
			done = k2k_reserved_remove(&reg->reserved, reservation->number,
			                           reservation->place, &removed);
			*code = commit_found(reg, &c, gpu_ns);
		}
		k2k_lease_unlock(&reg->own_leases, K2K_LOCK_OF_RESERVATIONS);
	}
	if (done) {
		reservation->over_ns = *code == 0 ? k2k_sat_sub(gpu_ns, reservation->reserved_ns)
		                                  : 0;
		reservation->reserved_ns = 0;
	}
	k2k_read_end();
	return done;
}

/* Ends a reservation: books *gpu_ns, or nothing if that is null. */
static int end_reservation(struct k2k_registry *reg, struct k2k_reservation *reservation,
                           const uint64_t *gpu_ns)
{
	struct k2k_reservation mine;
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = K2K_TAKE_STRUCT(&mine, reservation, 0);
	if (!code)
		code = k2k_gate(reg, K2K_GATE_BROKER);
	if (code)
		return code;
	if (mine.id == K2K_TENANT_UNSPECIFIED) {
		if (mine.reserved_ns == 0)
			return K2K_ESTALE;
	} else {
		struct ending ending = { reg, mine.number, mine.tag.org_id, mine.place, gpu_ns };

		code = repeat(reg, try_end, &ending);
		if (code == K2K_ESTALE)
			return code;
	}
	mine.over_ns = gpu_ns && code == 0 ? k2k_sat_sub(*gpu_ns, mine.reserved_ns) : 0;
	mine.reserved_ns = 0;
	K2K_GIVE_STRUCT(reservation, &mine);
	return code;
}

static __attribute__((noinline)) int commit_slow(struct k2k_registry *reg,
                                                 struct k2k_reservation *reservation,
                                                 uint64_t gpu_ns)
{
	K2K_UNCANCELLED;
	return end_reservation(reg, reservation, &gpu_ns);
}

int k2k_usage_commit(struct k2k_registry *reg, struct k2k_reservation *reservation, uint64_t gpu_ns)
{
	int code;

	if (k2k_likely(commit_fast(reg, reservation, gpu_ns, &code)))
		return code;
	return commit_slow(reg, reservation, gpu_ns);
}

int k2k_usage_cancel(struct k2k_registry *reg, struct k2k_reservation *reservation)
{
	K2K_UNCANCELLED;
	return end_reservation(reg, reservation, NULL);
}
