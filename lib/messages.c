/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * messages.c (F7) - what happens on every message: check, record, admit, track.
 *
 * One read section around find, look, take and the trail of a rejection; then,
 * outside of it, the application's sink. No system call, no lock, no allocation.
 *
 * Killed: before the one store that counts (rate.h, ledger.h) nothing has
 * happened, after it all of it. A total of rejections may miss the last one.
 */
#include "budget.h"
#include "handle.h"
#include "ledger.h"
#include "rate.h"
#include "tenant.h"

/*
 * What an answer was decided on. Set field by field, and its address goes to inlined functions
 * only: so where all goes well it stays in registers (as a struct in memory it costs an admission
 * as much as its atomic).
 */
struct decision {
	uint32_t slot;
	uint64_t state_gen;
	uint64_t version; /* of the definition */
	struct k2k_rate rate;
	uint64_t used, limit;
	uint64_t rest_ns; /* of the second, where the rate refused */
};

#define ALWAYS_INLINE inline __attribute__((always_inline))

static ALWAYS_INLINE bool arguments_are_fine(uint64_t n, const struct k2k_verdict *verdict)
{
	return n - 1 < K2K_ADMIT_MAX &&
	       (!verdict || (verdict->size == sizeof(*verdict) && verdict->flags == 0));
}

static int check_arguments(const struct k2k_registry *reg, uint64_t n,
                           const struct k2k_verdict *verdict)
{
	if (!reg)
		return k2k_fail_argument("registry", "null");
	if (n == 0 || n > K2K_ADMIT_MAX)
		return k2k_fail_argument("n", "not from 1 to 2^32");
	return verdict ? K2K_CHECK_STRUCT(verdict, 0) : 0;
}

static ALWAYS_INLINE void fill_verdict(const struct decision *d, uint64_t n, int code,
                                       struct k2k_verdict *verdict)
{
	verdict->code = code;
	verdict->reserved = 0;
	verdict->used = d->used;
	verdict->limit = d->limit;
	verdict->remaining = d->limit == K2K_UNLIMITED ? K2K_UNLIMITED
	                                               : k2k_sat_sub(d->limit, d->used);
	verdict->window = d->rate.second;
	verdict->retry_after_ns = 0;
	if (code == K2K_ERATE)
		verdict->retry_after_ns = n <= d->rate.effective ? d->rest_ns : K2K_NEVER_NS;
	else if (code)
		verdict->retry_after_ns = K2K_NEVER_NS;
}

static ALWAYS_INLINE void decide_nothing(struct decision *d)
{
	d->slot = 0;
	d->state_gen = 0;
	d->rate.second = 0;
	d->rate.effective = 0;
	d->used = 0;
	d->limit = 0;
	d->rest_ns = 0;
}

/* Of tenant 0: passes, counted nowhere. Ends the read section. */
static __attribute__((noinline)) int pass_unspecified(uint64_t n, struct k2k_verdict *verdict)
{
	struct decision d;

	k2k_read_unlock();
	decide_nothing(&d);
	d.limit = K2K_UNLIMITED;
	if (verdict)
		fill_verdict(&d, n, 0, verdict);
	return 0;
}

/* The budget in force at a version, or K2K_TENANT_CHANGED. */
struct budget_answer {
	int code;
	uint64_t used, limit;
};

static __attribute__((noinline)) struct budget_answer decide_on_budget(const struct k2k_map *map,
                                                                       uint32_t slot,
                                                                       uint64_t state_gen,
                                                                       uint64_t version,
                                                                       uint64_t engagement)
{
	struct budget_answer answer;

	answer.code = k2k_budget_check(map, slot, k2k_tenant_generation(state_gen), version,
	                               engagement, &answer.used, &answer.limit);
	/*
	 * A budget is unlinked right after the version is raised: who walked past its place, and
	 * took that for "no budget", sees the new version now. The walk before, the version after:
	 * fence[tenant-select] of k2k_tenant_prepare.
	 */
	k2k_fence_acquire();
	/* relaxed: ordered by the fence */
	if (K2K_SELECT_VERSION(k2k_load_relaxed(&map->tenants[slot].select)) != version)
		answer.code = K2K_TENANT_CHANGED;
	return answer;
}

/*
 * Rate, then budget. 0, K2K_ERATE, K2K_EBUDGET, K2K_ECORRUPT. `roll`: begin the window where it is
 * due.
 */
static ALWAYS_INLINE int decide(const struct k2k_registry *reg, uint64_t engagement, uint64_t n,
                                bool roll, struct decision *d)
{
	const struct k2k_map *map = &reg->map;
	struct k2k_shm_cell *cell = &map->cells[d->slot];
	uint64_t now = k2k_clock_now(&reg->clock).second;

	/*
	 * again where the window has rolled, or the definition was changed: each time somebody
	 * else, or the clock, got on
	 */
	for (;;) {
		int code = k2k_rate_look(cell, &reg->clock, now, roll, &d->rate);

		if (k2k_unlikely(code))
			return code;
		k2k_rate_set_limit(&d->rate, k2k_tenant_rate(map, d->slot, &d->version));
		d->used = d->rate.used;
		d->limit = d->rate.limit;
		if (k2k_unlikely(!k2k_rate_fits(&d->rate, n))) {
			struct k2k_instant exact = k2k_clock_exact(&reg->clock);

			/*
			 * "no" holds for the newest second only, and while it is in force. The
			 * precise clock is asked, so whoever waits for rest_ns and comes again is
			 * in the next second, though the coarse clock may not show it yet.
			 */
			if (exact.second <= d->rate.second && k2k_rate_unchanged(cell, &d->rate)) {
				d->rest_ns = K2K_NS_PER_SEC - exact.ns;
				return K2K_ERATE;
			}
			now = exact.second;
			continue;
		}
		/* relaxed: carried by the version, or by LIVE */
		if (k2k_unlikely(k2k_load_relaxed(&map->tenants[d->slot].flags) &
		                 K2K_DEF_HAS_BUDGETS)) {
			struct budget_answer answer = decide_on_budget(map, d->slot, d->state_gen,
			                                               d->version, engagement);

			if (answer.code == K2K_TENANT_CHANGED)
				continue;
			if (answer.code == K2K_EBUDGET) {
				d->used = answer.used;
				d->limit = answer.limit;
			}
			return answer.code;
		}
		return 0;
	}
}

/* ---- what did not pass --------------------------------------------------------------- */

static void count_unknown(struct k2k_registry *reg)
{
	if (reg->role == K2K_GATE_BROKER) /* relaxed: a count */
		k2k_add_relaxed(&reg->map.slots[reg->broker.slot].unknown_tenant_total, 1);
}

static __attribute__((cold, noinline)) void count_rejection(struct k2k_registry *reg, uint32_t slot,
                                                            int code)
{
	struct k2k_shm_cell_cold *cold = &reg->map.cells_cold[slot];

	/* relaxed, both: counts */
	if (code == K2K_ERATE)
		k2k_add_relaxed(&cold->rejected_rate, 1);
	else if (code == K2K_EBUDGET)
		k2k_add_relaxed(&cold->rejected_budget, 1);
	else if (code == K2K_ENOTENANT)
		count_unknown(reg);
}

/*
 * Ends the read section; the sink is called outside. counted: it is no peek, and goes into the
 * trail. Returns the code.
 */
static __attribute__((cold, noinline)) int refuse(struct k2k_registry *reg, k2k_tenant_id id,
                                                  struct k2k_audit_tag tag, int code, uint64_t used,
                                                  uint64_t limit, bool counted)
{
	struct k2k_rejection rejection = {
		.code = code, .tenant = id, .tag = tag, .used = used, .limit = limit
	};
	bool rejected = code == K2K_ERATE || code == K2K_EBUDGET || code == K2K_ENOTENANT;
	struct k2k_sink *sink = rejected ? k2k_audit_enter(&reg->audit) : NULL;
	uint64_t second = k2k_clock_now(&reg->clock).second;

	if (rejected && counted)
		k2k_trail_reject(&reg->trail, &rejection, second);
	k2k_read_unlock();
	if (sink) {
		k2k_audit_reject(&reg->audit, sink, &rejection, second);
		k2k_audit_leave(sink);
	}
	return code;
}

/* ---- the short way ------------------------------------------------------------------------ */

/*
 * Nearly every message: no argument is wrong, the tenant is not 0 (for which no word of its tables
 * is read), it is near the head of its bucket, its window is of this second, its rate has room, it
 * has no budgets. True: decided as by find and decide(), in the same order of loads. False: nothing
 * is known, and the call begins anew the long way. It calls nothing but the clock and repeats
 * nothing, so it needs few registers: in one function with the long way it takes twice as long.
 */
static ALWAYS_INLINE bool find_window_fast(const struct k2k_registry *reg, k2k_tenant_id id,
                                           bool roll, struct decision *d)
{
	uint64_t now = k2k_clock_now(&reg->clock).second;

	return k2k_likely(k2k_tenant_find_near(&reg->map, id, &d->slot, &d->state_gen) &&
	                  k2k_rate_look_fast(&reg->map.cells[d->slot], now, roll, &d->rate));
}

static ALWAYS_INLINE bool decide_fast(const struct k2k_registry *reg, k2k_tenant_id id, uint64_t n,
                                      bool roll, struct decision *d)
{
	const struct k2k_shm_tenant *tenant;

	if (k2k_unlikely(!find_window_fast(reg, id, roll, d)))
		return false;
	tenant = &reg->map.tenants[d->slot];
	if (k2k_unlikely(!k2k_tenant_rate_fast(tenant, &d->limit, &d->version)))
		return false;
	d->used = d->rate.used;
	d->rate.effective = d->limit < K2K_RATE_MAX ? d->limit : K2K_RATE_MAX;
	/* relaxed: carried by the version, or by LIVE */
	return k2k_likely(d->used + n <= d->rate.effective &&
	                  !(k2k_load_relaxed(&tenant->flags) & K2K_DEF_HAS_BUDGETS));
}

/* ---- check and admit -------------------------------------------------------------------- */

/*
 * The long way of both. `admits`: what passes is counted, what doesn't too. Without, it is a peek.
 */
static ALWAYS_INLINE int decide_slow(struct k2k_registry *reg, k2k_tenant_id id,
                                     struct k2k_audit_tag tag, uint64_t n, bool admits,
                                     struct k2k_verdict *verdict)
{
	struct decision d;
	int code = check_arguments(reg, n, verdict);

	if (!code)
		code = k2k_enter(reg, admits ? K2K_GATE_BROKER : K2K_GATE_ANY);
	if (code)
		return code;
	if (id == K2K_TENANT_UNSPECIFIED)
		return pass_unspecified(n, verdict);
	decide_nothing(&d);
	code = k2k_tenant_find(&reg->map, id, &d.slot, &d.state_gen);
	if (!code) {
		do
			code = decide(reg, tag.engagement_id, n, admits, &d);
		while (!code && admits && !k2k_rate_take(&reg->map.cells[d.slot], &d.rate, n));
		/*
		 * without a read section of this registry the slot may be another tenant's by now;
		 * a broker has one
		 */
		if (!admits && !k2k_tenant_still(&reg->map, d.slot, d.state_gen))
			code = K2K_ENOTENANT;
	}
	if (!code && admits)
		d.used += n;
	if (verdict)
		fill_verdict(&d, n, code, verdict);
	if (code && admits)
		count_rejection(reg, d.slot, code);
	if (code)
		return refuse(reg, id, tag, code, d.used, d.limit, admits);
	k2k_read_unlock();
	return 0;
}

static __attribute__((noinline)) int check_slow(struct k2k_registry *reg, k2k_tenant_id id,
                                                struct k2k_audit_tag tag, uint64_t n,
                                                struct k2k_verdict *verdict)
{
	K2K_UNCANCELLED;
	return decide_slow(reg, id, tag, n, false, verdict);
}

static __attribute__((noinline)) int admit_slow(struct k2k_registry *reg, k2k_tenant_id id,
                                                struct k2k_audit_tag tag, uint64_t n,
                                                struct k2k_verdict *verdict)
{
	K2K_UNCANCELLED;
	return decide_slow(reg, id, tag, n, true, verdict);
}

int k2k_quota_check(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                    uint64_t n, struct k2k_verdict *verdict)
{
	if (k2k_likely(id != K2K_TENANT_UNSPECIFIED && arguments_are_fine(n, verdict) &&
	               k2k_enter_fast(reg))) {
		struct decision d;
		bool passes = decide_fast(reg, id, n, false, &d);

		k2k_read_unlock();
		if (k2k_likely(passes)) {
			if (verdict)
				fill_verdict(&d, n, 0, verdict);
			return 0;
		}
	}
	return check_slow(reg, id, tag, n, verdict);
}

int k2k_message_admit(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                      uint64_t n, struct k2k_verdict *verdict)
{
	if (k2k_likely(id != K2K_TENANT_UNSPECIFIED && arguments_are_fine(n, verdict) &&
	               k2k_enter_fast(reg))) {
		struct decision d;
		bool passes;

		do /* again where another message was counted meanwhile */
			passes = decide_fast(reg, id, n, true, &d);
		while (k2k_likely(passes) &&
		       k2k_unlikely(!k2k_rate_take(&reg->map.cells[d.slot], &d.rate, n)));
		k2k_read_unlock();
		if (k2k_likely(passes)) {
			d.used += n;
			if (verdict)
				fill_verdict(&d, n, 0, verdict);
			return 0;
		}
	}
	return admit_slow(reg, id, tag, n, verdict);
}

/* ---- what reports what has happened ------------------------------------------------------- */

/* Of record and track, which ask nothing: the application's sink isn't called. */
static __attribute__((cold, noinline)) void tell_unknown(struct k2k_registry *reg, k2k_tenant_id id,
                                                         struct k2k_audit_tag tag)
{
	struct k2k_rejection rejection = { .code = K2K_ENOTENANT, .tenant = id, .tag = tag };

	count_unknown(reg);
	k2k_trail_reject(&reg->trail, &rejection, k2k_clock_now(&reg->clock).second);
}

/* ---- record ------------------------------------------------------------------------------- */

static __attribute__((noinline)) int record(struct k2k_registry *reg, k2k_tenant_id id)
{
	K2K_UNCANCELLED;
	uint64_t state_gen;
	struct k2k_rate rate;
	uint32_t slot;
	int code = k2k_enter(reg, K2K_GATE_BROKER);

	if (code)
		return code;
	if (id != K2K_TENANT_UNSPECIFIED) {
		code = k2k_tenant_find(&reg->map, id, &slot, &state_gen);
		if (!code)
			code = k2k_rate_look(&reg->map.cells[slot], &reg->clock,
			                     k2k_clock_now(&reg->clock).second, true, &rate);
		if (!code)
			k2k_rate_count(&reg->map.cells[slot], 1);
		else if (code == K2K_ENOTENANT)
			tell_unknown(reg, id, (struct k2k_audit_tag){ 0, 0 });
	}
	k2k_read_unlock();
	return code;
}

int k2k_message_record(struct k2k_registry *reg, k2k_tenant_id id)
{
	if (k2k_likely(id != K2K_TENANT_UNSPECIFIED && k2k_enter_fast(reg))) {
		struct decision d;
		bool found = find_window_fast(reg, id, true, &d);

		if (k2k_likely(found))
			k2k_rate_count(&reg->map.cells[d.slot], 1);
		k2k_read_unlock();
		if (k2k_likely(found))
			return 0;
	}
	return record(reg, id);
}

/* ---- track ---------------------------------------------------------------------------------- */

static void add_unattributed(struct k2k_registry *reg, uint32_t slot, uint64_t ns)
{
	k2k_u64 *total = &reg->map.cells_cold[slot].unattributed_ns;
	/* relaxed, both: a number that carries nothing else */
	uint64_t was = k2k_load_relaxed(total);

	while (!k2k_cas_weak_relaxed(total, &was, k2k_sat_add(was, ns)))
		;
}

static int book(struct k2k_registry *reg, uint32_t slot, uint64_t generation, uint64_t engagement,
                uint64_t gpu_ns)
{
	uint64_t rest = gpu_ns;
	uint32_t index;
	int code = k2k_ledger_find(&reg->map, slot, generation, engagement, &index);

	if (code == K2K_HASH_ABSENT)
		code = k2k_ledger_obtain(&reg->map, reg->broker.incarnation, &reg->passed,
		                         &reg->ledger_full_at, slot, generation, engagement,
		                         &index);
	if (!code)
		rest = k2k_ledger_add(&reg->map.ledger[index], gpu_ns);
	else if (code != K2K_EFULL)
		return code;
	if (code == 0 && rest == 0)
		return 0;
	add_unattributed(reg, slot, rest);
	return K2K_EUNBOOKED;
}

static __attribute__((noinline)) int track(struct k2k_registry *reg, k2k_tenant_id id,
                                           struct k2k_audit_tag tag, uint64_t gpu_ns)
{
	K2K_UNCANCELLED;
	uint64_t state_gen;
	uint32_t slot;
	int code = k2k_enter(reg, K2K_GATE_BROKER);

	if (code)
		return code;
	if (id != K2K_TENANT_UNSPECIFIED) {
		code = k2k_tenant_find(&reg->map, id, &slot, &state_gen);
		if (!code) {
			code = book(reg, slot, k2k_tenant_generation(state_gen), tag.engagement_id,
			            gpu_ns);
			K2K_DELAY(booked);
			/*
			 * What was answered with 0 is in the final totals in any case: they wait
			 * for this section. GONE tells that totals which were not final may lack
			 * it.
			 */
			if ((code == 0 || code == K2K_EUNBOOKED) &&
			    !k2k_tenant_still(&reg->map, slot, state_gen))
				code = K2K_EGONE;
		} else if (code == K2K_ENOTENANT) {
			tell_unknown(reg, id, tag);
		}
	}
	k2k_read_unlock();
	return code;
}

int k2k_usage_track(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                    uint64_t gpu_ns)
{
	if (k2k_likely(id != K2K_TENANT_UNSPECIFIED && k2k_enter_fast(reg))) {
		uint64_t state_gen;
		uint32_t slot, index;
		bool booked = k2k_tenant_find_near(&reg->map, id, &slot, &state_gen) &&
		              k2k_ledger_find_near(&reg->map, slot,
		                                   k2k_tenant_generation(state_gen),
		                                   tag.engagement_id, &index) &&
		              k2k_ledger_add_fast(&reg->map.ledger[index], gpu_ns);
		bool still;

		K2K_DELAY(booked);
		still = booked && k2k_tenant_still(&reg->map, slot, state_gen);
		k2k_read_unlock();
		if (k2k_likely(booked))
			return k2k_likely(still) ? 0 : K2K_EGONE; /* as in track() */
	}
	return track(reg, id, tag, gpu_ns);
}
