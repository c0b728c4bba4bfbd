/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * messages.c (F7) - the calls of every message: check, record, admit, track.
 *
 * One read section holds find, decide, count, and the trail of a rejection; the application's sink
 * is called after it. There is no system call, no lock, no allocation.
 *
 * Each call has a fast path, inlined into the public function, and a slow path out of line. Both
 * are made of the same steps (k2k_rate_try_look(), try_decide(), k2k_ledger_add()): the fast path
 * calls a step once and gives up if it fails, the slow path repeats it.
 *
 * A call that is killed before the one store that counts (rate.h, ledger.h) has done nothing; one
 * that is killed after it has done everything. The totals may miss the last rejection of a killed
 * process.
 */
#include "budget.h"
#include "handle.h"
#include "ledger.h"
#include "rate.h"
#include "tenant.h"

/*
 * What a decision is based on. It is set field by field, and only inlined functions take its
 * address, so the fast path keeps it in registers: in memory it would cost an admission as much
 * time as its compare-exchange does.
 */
struct decision {
	uint32_t slot;
	uint64_t state_gen;
	uint64_t version; /* of the definition */
	struct k2k_rate rate;
	uint64_t used, limit;
	uint64_t rest_ns; /* of the second, if the rate refused */
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
		verdict->retry_after_ns = n <= k2k_rate_effective(d->limit) ? d->rest_ns
		                                                            : K2K_NEVER_NS;
	else if (code)
		verdict->retry_after_ns = K2K_NEVER_NS;
}

static ALWAYS_INLINE void decide_nothing(struct decision *d)
{
	d->slot = 0;
	d->state_gen = 0;
	d->rate.second = 0;
	d->used = 0;
	d->limit = 0;
	d->rest_ns = 0;
}

/* For a caller of any version. The fast paths fill a verdict of today's version in place. */
static ALWAYS_INLINE void give_verdict(const struct decision *d, uint64_t n, int code,
                                       struct k2k_verdict *verdict)
{
	struct k2k_verdict mine = K2K_VERDICT_INIT;

	if (!verdict)
		return;
	fill_verdict(d, n, code, &mine);
	K2K_GIVE_STRUCT(verdict, &mine);
}

struct budget_answer {
	int code;
	uint64_t used, limit;
};

/* As k2k_budget_check(); or K2K_DECIDE_AGAIN if `version` is no longer in force. */
static __attribute__((noinline)) struct budget_answer check_budget(const struct k2k_map *map,
                                                                   const struct k2k_hash_key *key,
                                                                   uint64_t version)
{
	struct budget_answer answer;

	answer.code = k2k_budget_check(map, key, version, &answer.used, &answer.limit);
	/*
	 * A budget is unlinked right after the version is raised, so a walk can miss a budget of
	 * the old version. That walk sees the new version here: the fence keeps this load after the
	 * walk, and is paired with fence[tenant-select] in k2k_tenant_prepare().
	 */
	k2k_fence_acquire();
	/* relaxed: ordered by the fence */
	if (K2K_SELECT_VERSION(k2k_load_relaxed(&map->tenants[key->slot].select)) != version)
		answer.code = K2K_DECIDE_AGAIN;
	return answer;
}

/* Asks the engagement's budget that is in force at the version of the decision. */
static ALWAYS_INLINE int ask_budget(const struct k2k_registry *reg, uint64_t engagement,
                                    struct decision *d)
{
	struct k2k_hash_key key = { k2k_tenant_generation(d->state_gen), engagement, d->slot };
	struct budget_answer answer = check_budget(&reg->map, &key, d->version);

	if (answer.code == K2K_EBUDGET) {
		d->used = answer.used;
		d->limit = answer.limit;
	}
	return answer.code;
}

/*
 * Tries once to decide as of second `now`; stores nothing in shared memory. 0: the message passes.
 * K2K_ERATE: the window has no room. K2K_DECIDE_BUDGET: it has room, and the tenant has budgets.
 * K2K_DECIDE_AGAIN: the window is of another second, or a word changed during the try.
 */
static ALWAYS_INLINE int try_decide(const struct k2k_registry *reg, uint64_t now, uint64_t n,
                                    bool admits, struct decision *d)
{
	const struct k2k_shm_tenant *tenant = &reg->map.tenants[d->slot];

	if (k2k_unlikely(!k2k_rate_try_look(&reg->map.cells[d->slot], now, admits, &d->rate) ||
	                 !k2k_tenant_try_rate(tenant, &d->limit, &d->version)))
		return K2K_DECIDE_AGAIN;
	d->used = d->rate.used;
	if (k2k_unlikely(!k2k_rate_fits(&d->rate, d->limit, n)))
		return K2K_ERATE;
	/* relaxed: published with the version, or with LIVE */
	if (k2k_unlikely(k2k_load_relaxed(&tenant->flags) & K2K_DEF_HAS_BUDGETS))
		return K2K_DECIDE_BUDGET;
	return 0;
}

/*
 * A refusal holds only if it is about the newest second, and while that second's window is in
 * force. The precise clock decides which second is the newest: a caller that waits for rest_ns and
 * tries again is then in the next second, even if the coarse clock does not show it yet.
 */
static ALWAYS_INLINE bool refusal_holds(const struct k2k_registry *reg, uint64_t *now,
                                        struct decision *d)
{
	struct k2k_instant exact = k2k_clock_exact(&reg->clock);

	*now = exact.second;
	d->rest_ns = K2K_NS_PER_SEC - exact.ns;
	return exact.second <= d->rate.second &&
	       k2k_rate_unchanged(&reg->map.cells[d->slot], &d->rate);
}

/*
 * Repeats try_decide() until it decides: first the rate, then the budget. With `admits` it begins
 * an expired window, and counts the message if it passes. 0, K2K_ERATE, K2K_EBUDGET, K2K_ECORRUPT,
 * K2K_EIO. Each repetition means that another process or the clock made progress.
 */
static ALWAYS_INLINE int decide(const struct k2k_registry *reg, uint64_t engagement, uint64_t n,
                                bool admits, struct decision *d)
{
	struct k2k_shm_cell *cell = &reg->map.cells[d->slot];
	uint64_t now = k2k_clock_now(&reg->clock).second;

	for (;;) {
		int code = try_decide(reg, now, n, admits, d);

		if (code == K2K_DECIDE_BUDGET)
			code = ask_budget(reg, engagement, d);
		if (code == K2K_ERATE && !refusal_holds(reg, &now, d))
			continue;
		if (code == K2K_DECIDE_AGAIN) {
			code = k2k_rate_catch_up(cell, &reg->clock, &now, admits, &d->rate);
			if (code)
				return code;
		} else if (code || !admits || k2k_rate_take(cell, &d->rate, n)) {
			return code;
		}
	}
}

/*
 * The fast path, which nearly every message takes: the arguments are valid, the tenant is not 0 and
 * near the head of its bucket, its window is of this second, its rate has room, and it has no
 * budgets. True: the message passes, and is counted if `admits`. False: nothing is decided, and the
 * slow path begins from the start. This path calls only the clock and repeats only a lost race, so
 * it needs few registers: compiled into one function with the slow path it takes twice as long.
 */
static ALWAYS_INLINE bool decide_fast(const struct k2k_registry *reg, k2k_tenant_id id, uint64_t n,
                                      bool admits, struct decision *d)
{
	uint64_t now = k2k_clock_now(&reg->clock).second;

	if (k2k_unlikely(!k2k_tenant_find_near(&reg->map, id, &d->slot, &d->state_gen)))
		return false;
	do
		if (k2k_unlikely(try_decide(reg, now, n, admits, d) != 0))
			return false;
	while (admits && k2k_unlikely(!k2k_rate_take(&reg->map.cells[d->slot], &d->rate, n)));
	return true;
}

/* ---- rejections --------------------------------------------------------------- */

static void count_unknown(struct k2k_registry *reg)
{
	if (reg->role == K2K_GATE_BROKER) /* relaxed: a count */
		k2k_add_relaxed(&reg->map.slots[reg->broker.slot].unknown_tenant_total, 1);
}

static void count_rejection(struct k2k_registry *reg, uint32_t slot, int code)
{
	struct k2k_shm_cell_cold *cold = &reg->map.cells_cold[slot];

	/* relaxed, both: counts */
	if (code == K2K_ERATE)
		k2k_add_relaxed(&cold->rejected_rate, 1);
	else if (code == K2K_EBUDGET)
		k2k_add_relaxed(&cold->rejected_budget, 1);
	else
		count_unknown(reg);
}

/*
 * Reports a rejection, and ends the read section before it calls the sink. The rejection is counted
 * and written to the trail only with `admits`: a check (a peek) leaves no trace there.
 */
static __attribute__((cold, noinline)) int refuse(struct k2k_registry *reg, uint32_t slot,
                                                  const struct k2k_rejection *rejection,
                                                  bool admits)
{
	struct k2k_sink *sink = k2k_audit_enter(&reg->audit);
	uint64_t second = k2k_clock_now(&reg->clock).second;

	if (admits) {
		count_rejection(reg, slot, rejection->code);
		k2k_trail_reject(&reg->trail, rejection, second);
	}
	k2k_read_unlock();
	if (sink) {
		k2k_audit_reject(&reg->audit, sink, rejection, second);
		k2k_audit_leave(sink);
	}
	return rejection->code;
}

/* ---- check and admit -------------------------------------------------------------------- */

/* For a tenant other than 0. As decide(); or what k2k_tenant_find() returns. */
static ALWAYS_INLINE int find_and_decide(const struct k2k_registry *reg, k2k_tenant_id id,
                                         uint64_t engagement, uint64_t n, bool admits,
                                         struct decision *d)
{
	int code = k2k_tenant_find(&reg->map, id, &d->slot, &d->state_gen);

	if (code)
		return code;
	code = decide(reg, engagement, n, admits, d);
	/*
	 * A peek may come from a process without a broker slot. No grace period waits for such a
	 * process, so the tenant's slot may be another tenant's by now.
	 */
	if (!admits && !k2k_tenant_still(&reg->map, d->slot, d->state_gen))
		return K2K_ENOTENANT;
	if (!code && admits)
		d->used += n;
	return code;
}

/* The slow path of check and admit. With `admits` it counts the message, or its rejection. */
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
	decide_nothing(&d);
	if (id == K2K_TENANT_UNSPECIFIED)
		d.limit = K2K_UNLIMITED; /* passes, and is counted nowhere */
	else
		code = find_and_decide(reg, id, tag.engagement_id, n, admits, &d);
	give_verdict(&d, n, code, verdict);
	if (code == K2K_ERATE || code == K2K_EBUDGET || code == K2K_ENOTENANT) {
		struct k2k_rejection rejection = {
			.code = code, .tenant = id, .tag = tag, .used = d.used, .limit = d.limit
		};

		return refuse(reg, d.slot, &rejection, admits);
	}
	k2k_read_unlock();
	return code;
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
		bool passes = decide_fast(reg, id, n, true, &d);

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

/* ---- calls that report what has happened ---------------------------------------------------- */

/* For record and track. They ask for no permission, so the application's sink is not called. */
static __attribute__((cold, noinline)) void report_unknown(struct k2k_registry *reg,
                                                           k2k_tenant_id id,
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
			report_unknown(reg, id, (struct k2k_audit_tag){ 0, 0 });
	}
	k2k_read_unlock();
	return code;
}

int k2k_message_record(struct k2k_registry *reg, k2k_tenant_id id)
{
	if (k2k_likely(id != K2K_TENANT_UNSPECIFIED && k2k_enter_fast(reg))) {
		uint64_t now = k2k_clock_now(&reg->clock).second, state_gen;
		struct k2k_rate rate;
		uint32_t slot;
		bool found = k2k_tenant_find_near(&reg->map, id, &slot, &state_gen) &&
		             k2k_rate_try_look(&reg->map.cells[slot], now, true, &rate);

		if (k2k_likely(found))
			k2k_rate_count(&reg->map.cells[slot], 1);
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
	/* relaxed, both: a number that publishes nothing else */
	uint64_t was = k2k_load_relaxed(total);

	while (!k2k_cas_weak_relaxed(total, &was, k2k_sat_add(was, ns)))
		;
}

/* Adds to the record. What exceeds 64 bits is counted as unattributed: 0 or K2K_EUNBOOKED. */
static ALWAYS_INLINE int add(struct k2k_registry *reg, uint32_t slot, uint32_t index,
                             uint64_t gpu_ns)
{
	uint64_t rest = k2k_ledger_add(&reg->map.ledger[index], gpu_ns);

	if (k2k_likely(rest == 0))
		return 0;
	add_unattributed(reg, slot, rest);
	return K2K_EUNBOOKED;
}

static int book(struct k2k_registry *reg, const struct k2k_hash_key *key, uint64_t gpu_ns)
{
	struct k2k_claimer claimer = { reg->broker.incarnation, &reg->passed,
		                       &reg->ledger_full_at };
	uint32_t index;
	int code = k2k_ledger_obtain(&reg->map, &claimer, key, &index);

	if (!code)
		return add(reg, key->slot, index, gpu_ns);
	if (code != K2K_EFULL)
		return code;
	add_unattributed(reg, key->slot, gpu_ns);
	return K2K_EUNBOOKED;
}

/*
 * Ends the read section of a booking. The tenant's final totals wait for this section, so they
 * contain the booking in any case. K2K_EGONE: totals that were not final may lack it.
 */
static ALWAYS_INLINE int end_booking(const struct k2k_registry *reg, uint32_t slot,
                                     uint64_t state_gen, int code)
{
	K2K_DELAY(booked);
	if ((code == 0 || code == K2K_EUNBOOKED) && !k2k_tenant_still(&reg->map, slot, state_gen))
		code = K2K_EGONE;
	k2k_read_unlock();
	return code;
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
			struct k2k_hash_key key = { k2k_tenant_generation(state_gen),
				                    tag.engagement_id, slot };

			return end_booking(reg, slot, state_gen, book(reg, &key, gpu_ns));
		}
		if (code == K2K_ENOTENANT)
			report_unknown(reg, id, tag);
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

		if (k2k_likely(k2k_tenant_find_near(&reg->map, id, &slot, &state_gen))) {
			struct k2k_hash_key key = { k2k_tenant_generation(state_gen),
				                    tag.engagement_id, slot };

			if (k2k_likely(k2k_ledger_find_near(&reg->map, &key, &index)))
				return end_booking(reg, slot, state_gen,
				                   add(reg, slot, index, gpu_ns));
		}
		k2k_read_unlock();
	}
	return track(reg, id, tag, gpu_ns);
}
