/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * messages.c (F7) - the calls of every message: check, record, admit, track.
 *
 * One read section holds find, decide, count, and the trail of a rejection; the application's sink
 * is called after it. There is no system call, no lock, no allocation, except before a refusal for
 * what others have reserved (k2k_message_reserved()).
 *
 * Each call has a fast path, inlined into the public function, and a slow path out of line. Both
 * are made of the same steps (k2k_rate_try_look(), try_decide(), k2k_ledger_add()): the fast path
 * calls a step once and gives up if it fails, the slow path repeats it.
 *
 * A call that is killed before the one store that counts (rate.h, ledger.h) has done nothing, and
 * after it everything. The totals may miss the last rejection of a killed process.
 */
#include "admission.h"
#include "budget.h"
#include "budget_use.h"
#include "handle.h"
#include "ledger.h"
#include "message_budget.h"
#include "period.h"
#include "rate.h"
#include "reservation.h"
#include "tenant.h"
#include "watch.h"

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
	uint64_t second; /* that the verdict names */
	uint64_t used, limit;
	uint64_t wait_ns; /* if the rate refused, or a budget that renews */
	int shadow_code;  /* it passes, but only because the limits are in shadow; else 0 */
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

static ALWAYS_INLINE void fill_verdict(const struct decision *d, int code,
                                       struct k2k_verdict *verdict)
{
	verdict->code = code;
	verdict->shadow_code = 0;
	verdict->used = d->used;
	verdict->limit = d->limit;
	verdict->remaining = d->limit == K2K_UNLIMITED ? K2K_UNLIMITED
	                                               : k2k_sat_sub(d->limit, d->used);
	verdict->window = d->second;
	verdict->retry_after_ns = 0;
	if (code)
		verdict->retry_after_ns = code == K2K_ERATE || code == K2K_EBUDGET ? d->wait_ns
		                                                                   : K2K_NEVER_NS;
}

static ALWAYS_INLINE void decide_nothing(struct decision *d)
{
	d->slot = 0;
	d->state_gen = 0;
	d->second = 0;
	d->used = 0;
	d->limit = 0;
	d->wait_ns = 0;
	d->shadow_code = 0;
}

/* For a caller of any version. The fast paths fill a verdict of today's version in place. */
static ALWAYS_INLINE void give_verdict(const struct decision *d, int code,
                                       struct k2k_verdict *verdict)
{
	struct k2k_verdict mine = K2K_VERDICT_INIT;

	if (!verdict)
		return;
	fill_verdict(d, code, &mine);
	mine.shadow_code = d->shadow_code;
	K2K_GIVE_STRUCT(verdict, &mine);
}

/* Asks the engagement's budget that is in force at the version of the decision. */
static ALWAYS_INLINE int ask_budget(const struct k2k_registry *reg, uint64_t engagement,
                                    struct decision *d)
{
	struct k2k_hash_key key = { k2k_tenant_generation(d->state_gen), engagement, d->slot };
	uint64_t token = k2k_grace_token(&reg->map);
	struct k2k_budget_answer answer = k2k_message_budget(reg, &key, d->version);
	uint64_t rest_ns = answer.rest_ns;

	if (answer.code == 0 && answer.limit != K2K_UNLIMITED &&
	    k2k_unlikely(k2k_lease_any_reserved(&reg->map, answer.ledger)))
		answer = k2k_message_reserved(reg, &key, d->version, answer.ledger);
	if (answer.code == K2K_EBUDGET) {
		d->used = answer.used;
		d->limit = answer.limit;
		/* a budget of 0 admits nothing in its next period either */
		d->wait_ns = answer.limit ? rest_ns : K2K_NEVER_NS;
	}
	/* a peek without a read section may have lost its way in a record that was reused */
	if (!answer.code && !k2k_grace_is_still(&reg->map, token))
		return K2K_DECIDE_AGAIN;
	return answer.code;
}

/*
 * Tries once to decide by a window of a second, of a definition whose mode is nothing else; stores
 * nothing in shared memory. 0: there is room. K2K_DECIDE_AGAIN: the window is of another time or
 * version, or has no room, or a word changed during the try: the long way decides.
 */
static ALWAYS_INLINE int try_decide(const struct k2k_registry *reg,
                                    const struct k2k_shm_tenant *tenant, struct k2k_shm_cell *cell,
                                    uint64_t select, uint64_t n, struct decision *d)
{
	d->second = k2k_clock_now(&reg->clock).second;
	d->version = K2K_SELECT_VERSION(select);
	/*
	 * relaxed: the pair is still of this version when it is read again below, and before its
	 * set is overwritten it is converted (k2k_rate_settle())
	 */
	d->limit = k2k_load_relaxed(tenant->rate + (K2K_SELECT_VERSION(select) & 1));
	if (k2k_unlikely(!k2k_rate_try_look(cell, &d->rate) ||
	                 d->rate.window != k2k_rate_pack_second(d->second, d->version)))
		return K2K_DECIDE_AGAIN;
	d->used = d->rate.admitted - d->rate.ceiling;
	_Static_assert(2 * K2K_ADMIT_MAX <= K2K_RATE_MAX,
	               "no sum that passes is above the maximum");
	/*
	 * the first test leaves what k2k_rate_has_room() has to look at more closely to the slow
	 * path: 2^32 messages in a second, an open window, a base above `admitted`, which is damage
	 */
	return k2k_likely(d->used < K2K_ADMIT_MAX && d->used + n <= d->limit) ? 0
	                                                                      : K2K_DECIDE_AGAIN;
}

/*
 * As try_decide(), by the precise clock, which is read after the words: so it may refuse, too.
 * K2K_ERATE: full of the second that the clock shows. What it does not decide is for
 * decide_exactly(), which takes twice as long.
 */
static ALWAYS_INLINE int try_refuse(const struct k2k_registry *reg,
                                    const struct k2k_shm_tenant *tenant, struct k2k_shm_cell *cell,
                                    uint64_t select, uint64_t n, struct decision *d)
{
	struct k2k_instant now;
	bool consistent;

	d->version = K2K_SELECT_VERSION(select);
	/* relaxed: as in try_decide() */
	d->limit = k2k_load_relaxed(tenant->rate + (d->version & 1));
	consistent = k2k_rate_try_look(cell, &d->rate);
	now = k2k_clock_exact(&reg->clock);
	if (k2k_unlikely(!consistent || k2k_hot_is(d->rate.admitted) ||
	                 d->rate.window != k2k_rate_pack_second(now.second, d->version)))
		return K2K_DECIDE_AGAIN;
	d->second = now.second;
	d->used = d->rate.admitted - d->rate.ceiling;
	if (k2k_rate_has_room(&d->rate, d->limit, n))
		return 0;
	d->wait_ns = n <= k2k_rate_effective(d->limit) ? K2K_NS_PER_SEC - now.ns : K2K_NEVER_NS;
	return K2K_ERATE;
}

static inline bool has_budgets(const struct k2k_shm_tenant *tenant)
{
	/* relaxed: published with the version, or with LIVE */
	return k2k_load_relaxed(&tenant->flags) & K2K_DEF_HAS_BUDGETS;
}

/* The short way of a tenant that is open. */
static __attribute__((noinline)) bool pass_open(const struct k2k_registry *reg,
                                                const struct k2k_shm_cell *cell, uint64_t n,
                                                bool admits, struct k2k_verdict *verdict)
{
	uint32_t slot = (uint32_t)(cell - reg->map.cells);
	uint64_t second = k2k_clock_now(&reg->clock).second;
	struct k2k_rate_drawn drawn;
	struct decision d;

	if (k2k_unlikely(
		    !k2k_rate_spend(&reg->map, slot, reg->broker.slot, second, n, admits, &drawn) &&
		    (!admits || !k2k_rate_admit_open(&reg->map, slot, reg->broker.slot, &reg->clock,
	                                             n, &drawn))))
		return false;
	d.second = drawn.second;
	d.used = drawn.used;
	d.limit = drawn.limit;
	if (verdict)
		fill_verdict(&d, 0, verdict);
	return true;
}

/*
 * The short way of all tenants without budgets: buckets, longer windows, limits in shadow, and
 * windows of a second for which the fast path has lost a race. True: the message passes within its
 * limits, and is counted if `admits`. It has a function of its own so that it takes no registers
 * from the fast path.
 */
static __attribute__((noinline)) bool pass_by_mode(const struct k2k_registry *reg,
                                                   const struct k2k_shm_tenant *tenant,
                                                   struct k2k_shm_cell *cell, uint64_t n,
                                                   bool admits, struct k2k_verdict *verdict)
{
	struct k2k_instant now;
	struct k2k_terms terms;
	struct k2k_rate rate;
	struct decision d;
	uint64_t select, until;
	bool lost = false;

	do {
		if (lost)
			k2k_rate_open_window(&reg->map, (uint32_t)(cell - reg->map.cells),
			                     &reg->clock);
		lost = true;
		/* observe[tenant-select]: the set of limits that it selects */
		select = k2k_load_acquire(&tenant->select);
		terms.version = K2K_SELECT_VERSION(select);
		terms.mode = K2K_SELECT_MODE(select);
		if (has_budgets(tenant))
			return false;
		/* relaxed, both: as in try_decide() */
		terms.rate = k2k_load_relaxed(&tenant->rate[terms.version & 1]);
		terms.burst = K2K_BURST(k2k_load_relaxed(&tenant->burst[terms.version & 1]));
		until = terms.mode & K2K_MODE_SHARED ? k2k_rate_shares_until(&reg->map)
		                                     : K2K_NEVER_NS;
		if (terms.mode & (K2K_MODE_SUSPENDED | K2K_MODE_ALERTS) ||
		    !k2k_rate_try_look(cell, &rate) || !k2k_rate_is_of(rate.window, terms.version))
			return false;
		if (k2k_hot_is(rate.admitted))
			return pass_open(reg, cell, n, admits, verdict);
		if (terms.mode & K2K_MODE_BUCKET) {
			uint64_t free;

			now = k2k_clock_exact(&reg->clock);
			if (!k2k_rate_try_free(cell, &rate, &terms, k2k_rate_time(&now), admits,
			                       &free) ||
			    free < n)
				return false;
			d.second = now.second;
			d.used = terms.burst - free;
			d.limit = terms.burst;
		} else {
			now = k2k_clock_now(&reg->clock);
			if ((until != K2K_NEVER_NS && k2k_clock_boot_ns(&reg->clock) >= until) ||
			    !k2k_rate_is_current(&rate, terms.version, terms.mode, now.second) ||
			    !k2k_rate_has_room(&rate, terms.rate, n))
				return false;
			d.second = k2k_rate_second(rate.window);
			d.used = rate.admitted - rate.ceiling;
			d.limit = terms.rate;
		}
	} while (admits && !k2k_rate_take(cell, &rate, n));
	if (verdict) {
		d.used += admits ? n : 0;
		fill_verdict(&d, 0, verdict);
	}
	return true;
}

/*
 * Decides whatever the definition and the words are; with `admits` it first brings the words up to
 * date. 0, K2K_ERATE, K2K_DECIDE_BUDGET, K2K_ECORRUPT, K2K_EIO. A refusal is by the precise clock:
 * a caller that waits for wait_ns and tries again is in the next window, even if the coarse clock
 * does not show it yet.
 */
static __attribute__((noinline)) int decide_exactly(const struct k2k_registry *reg, uint64_t n,
                                                    bool admits, struct decision *d)
{
	const struct k2k_shm_tenant *tenant = &reg->map.tenants[d->slot];
	struct k2k_rate_view view;
	int code = admits ? k2k_rate_renew(&reg->map, d->slot, &reg->clock, &view)
	                  : k2k_rate_look(&reg->map, d->slot, &reg->clock, &view);

	if (code)
		return code;
	d->version = view.terms.version;
	d->rate = view.rate;
	d->second = k2k_rate_named(&view);
	d->used = k2k_rate_used(&view);
	d->limit = k2k_rate_limit(&view);
	if (!k2k_rate_fits(&view, n)) {
		d->wait_ns = k2k_rate_wait_ns(&view, n);
		return K2K_ERATE;
	}
	return has_budgets(tenant) ? K2K_DECIDE_BUDGET : 0;
}

/*
 * What becomes of a decision by the mode of the definition that it was made by: `code`,
 * K2K_ESUSPENDED, or 0 for a rejection in shadow. K2K_DECIDE_AGAIN: another definition is in force.
 * So a change of the limits and of their mode, which is one store, is seen as one.
 */
static ALWAYS_INLINE int apply_mode(const struct k2k_registry *reg, int code, struct decision *d)
{
	uint64_t select = k2k_tenant_select(&reg->map, d->slot);

	if (code && code != K2K_ERATE && code != K2K_EBUDGET)
		return code;
	if (K2K_SELECT_VERSION(select) != d->version)
		return K2K_DECIDE_AGAIN;
	if (select & K2K_MODE_SUSPENDED)
		return K2K_ESUSPENDED;
	if (!code || !(select & K2K_MODE_SHADOW))
		return code;
	d->shadow_code = code;
	return 0;
}

/* Counts the message in this broker's share, if the tenant is open (hot.h). */
static ALWAYS_INLINE bool spend_open(const struct k2k_registry *reg, uint32_t slot, uint64_t n,
                                     struct decision *d)
{
	struct k2k_rate_drawn drawn;

	/* relaxed: who sees the bit late fails in the cell */
	if (!k2k_hot_is(k2k_load_relaxed(&reg->map.cells[slot].admitted)) ||
	    !k2k_rate_admit_open(&reg->map, slot, reg->broker.slot, &reg->clock, n, &drawn))
		return false;
	d->version = drawn.version;
	d->second = drawn.second;
	d->used = k2k_sat_sub(drawn.used, n); /* the caller adds it */
	d->limit = drawn.limit;
	return true;
}

/*
 * Repeats until it is decided: first the rate, then the budget, then the mode. With `admits` it
 * counts the message if it passes by its limits. 0, K2K_ERATE, K2K_EBUDGET, K2K_ESUSPENDED,
 * K2K_ECORRUPT, K2K_EIO. Each repetition means that another process or the clock made progress.
 */
static ALWAYS_INLINE int decide(const struct k2k_registry *reg, uint64_t engagement, uint64_t n,
                                bool admits, struct decision *d)
{
	const struct k2k_shm_tenant *tenant = &reg->map.tenants[d->slot];
	struct k2k_shm_cell *cell = &reg->map.cells[d->slot];

	for (;;) {
		uint64_t select = k2k_tenant_select(&reg->map, d->slot);
		int code = K2K_DECIDE_AGAIN;

		if (admits && spend_open(reg, d->slot, n, d))
			return 0;
		/* without budgets it comes here after a try, which has most likely found it full */
		if (K2K_SELECT_MODE(select) == 0)
			code = has_budgets(tenant) ? try_decide(reg, tenant, cell, select, n, d)
			                           : try_refuse(reg, tenant, cell, select, n, d);
		if (code == 0 && has_budgets(tenant))
			code = K2K_DECIDE_BUDGET;
		if (code == K2K_DECIDE_AGAIN)
			code = decide_exactly(reg, n, admits, d);
		if (code == K2K_DECIDE_BUDGET)
			code = ask_budget(reg, engagement, d);
		if (code == K2K_DECIDE_AGAIN)
			continue;
		code = apply_mode(reg, code, d);
		if (code == K2K_DECIDE_AGAIN)
			continue;
		if (code || d->shadow_code || !admits || k2k_rate_take(cell, &d->rate, n))
			return code;
	}
}

/*
 * The fast path, which nearly every message takes: the arguments are valid, the tenant is not 0 and
 * near the head of its bucket, its window is of this second and has room, and it has no budgets. 0:
 * the message passes, and is counted if `admits`. K2K_DECIDE_MODE: pass_by_mode() may do it. Else
 * nothing is decided, and the slow path begins from the start. This path calls only the clock and
 * repeats nothing, so it needs few registers: compiled into one function with the slow path it
 * takes twice as long.
 */
static ALWAYS_INLINE int decide_fast(const struct k2k_registry *reg, k2k_tenant_id id, uint64_t n,
                                     bool admits, const struct k2k_shm_tenant **tenant,
                                     struct k2k_shm_cell **cell, struct decision *d)
{
	uint64_t select;
	int code;

	if (k2k_unlikely(!k2k_tenant_find_near(&reg->map, id, &d->slot, tenant, &d->state_gen)))
		return K2K_DECIDE_AGAIN;
	*cell = &reg->map.cells[d->slot];
	/* observe[tenant-select]: the set of limits that it selects, and the flags */
	select = k2k_load_acquire(&(*tenant)->select);
	/* relaxed: published with the version, or with LIVE */
	if (k2k_unlikely(K2K_SELECT_MODE(select | k2k_load_relaxed(&(*tenant)->flags)) != 0))
		return K2K_DECIDE_MODE;
	code = try_decide(reg, *tenant, *cell, select, n, d);
	if (k2k_unlikely(code))
		return k2k_hot_is(d->rate.admitted) ? K2K_DECIDE_MODE : code;
	if (admits && k2k_unlikely(!k2k_rate_take(*cell, &d->rate, n)))
		code = K2K_DECIDE_MODE;
	return code;
}

/* ---- rejections --------------------------------------------------------------- */

static void count_unknown(struct k2k_registry *reg)
{
	if (reg->role == K2K_GATE_BROKER) /* relaxed: a count */
		k2k_add_relaxed(&reg->map.slots[reg->broker.slot].unknown_tenant_total, 1);
}

static bool is_rejection(int code)
{
	return code == K2K_ERATE || code == K2K_EBUDGET || code == K2K_ESUSPENDED ||
	       code == K2K_ENOTENANT;
}

/*
 * Reports a rejection, and ends the read section before it calls the sink. The rejection is counted
 * and written to the trail only with `admits`: a check (a peek) leaves no trace there.
 */
static __attribute__((cold, noinline)) void report(struct k2k_registry *reg, uint32_t slot,
                                                   const struct k2k_rejection *rejection,
                                                   bool admits)
{
	struct k2k_sink *sink = k2k_audit_enter(&reg->audit);
	uint64_t second = k2k_clock_now(&reg->clock).second;

	if (admits) {
		if (rejection->code == K2K_ENOTENANT)
			count_unknown(reg);
		else
			k2k_tenant_count_rejection(&reg->map, slot, rejection->code,
			                           rejection->shadow);
		k2k_trail_reject(&reg->trail, rejection, second);
	}
	k2k_read_unlock();
	if (sink) {
		k2k_audit_reject(&reg->audit, sink, rejection, second);
		k2k_audit_leave(sink);
	}
}

/* ---- check and admit -------------------------------------------------------------------- */

/* For a tenant other than 0, or `of`. As decide(); or what finds the tenant. */
static ALWAYS_INLINE int find_and_decide(const struct k2k_registry *reg,
                                         const struct k2k_registration_of *of, k2k_tenant_id *id,
                                         uint64_t engagement, uint64_t n, bool admits,
                                         struct decision *d)
{
	int code = of ? k2k_tenant_find_at(&reg->map, of, id, &d->slot, &d->state_gen)
	              : k2k_tenant_find(&reg->map, *id, &d->slot, &d->state_gen);

	if (code)
		return code;
	code = decide(reg, engagement, n, admits, d);
	/*
	 * A peek may come from a process without a broker slot. No grace period waits for such a
	 * process, so the tenant's slot may be another tenant's by now.
	 */
	if (!admits && !k2k_tenant_still(&reg->map, d->slot, d->state_gen)) {
		d->shadow_code = 0;
		return K2K_ENOTENANT;
	}
	if (!code && !d->shadow_code && admits)
		d->used += n;
	return code;
}

/* After a message was counted. */
static __attribute__((noinline)) void watch_rate(struct k2k_registry *reg, k2k_tenant_id id,
                                                 struct k2k_audit_tag tag, const struct decision *d)
{
	struct k2k_rate_use use = { .id = id,
		                    .slot = d->slot,
		                    .generation = k2k_tenant_generation(d->state_gen),
		                    .version = d->version,
		                    .tag = tag,
		                    .second = d->second,
		                    .used = d->used,
		                    .limit = d->limit };

	if (id != K2K_TENANT_UNSPECIFIED && k2k_watch_counts(&reg->map, d->slot))
		k2k_watch_rate(reg, &use);
}

/* The slow path. With `admits` it counts the message, or its rejection. */
static ALWAYS_INLINE int decide_slow(struct k2k_registry *reg, k2k_tenant_id id,
                                     const struct k2k_registration_of *of, struct k2k_audit_tag tag,
                                     uint64_t n, bool admits, struct k2k_verdict *verdict)
{
	struct decision d;
	int code = check_arguments(reg, n, verdict);

	if (!code)
		code = k2k_enter(reg, admits ? K2K_GATE_BROKER : K2K_GATE_ANY);
	if (code)
		return code;
	decide_nothing(&d);
	if (id == K2K_TENANT_UNSPECIFIED && !of)
		d.limit = K2K_UNLIMITED; /* passes, and is counted nowhere */
	else
		code = find_and_decide(reg, of, &id, tag.engagement_id, n, admits, &d);
	if (admits && !code && !d.shadow_code)
		watch_rate(reg, id, tag, &d);
	give_verdict(&d, code, verdict);
	if (d.shadow_code || is_rejection(code)) {
		struct k2k_rejection rejection = { .code = code ? code : d.shadow_code,
			                           .shadow = code == 0,
			                           .tenant = id,
			                           .tag = tag,
			                           .used = d.used,
			                           .limit = d.limit };

		report(reg, d.slot, &rejection, admits);
	} else {
		k2k_read_unlock();
	}
	return code;
}

static __attribute__((noinline)) int check_slow(struct k2k_registry *reg, k2k_tenant_id id,
                                                struct k2k_audit_tag tag, uint64_t n,
                                                struct k2k_verdict *verdict)
{
	K2K_UNCANCELLED;
	return decide_slow(reg, id, NULL, tag, n, false, verdict);
}

static __attribute__((noinline)) int admit_slow(struct k2k_registry *reg, k2k_tenant_id id,
                                                struct k2k_audit_tag tag, uint64_t n,
                                                struct k2k_verdict *verdict)
{
	K2K_UNCANCELLED;
	return decide_slow(reg, id, NULL, tag, n, true, verdict);
}

int k2k_admit_registration(struct k2k_registry *reg, const struct k2k_registration_of *of,
                           struct k2k_audit_tag tag, uint64_t n, struct k2k_verdict *verdict)
{
	return decide_slow(reg, K2K_TENANT_UNSPECIFIED, of, tag, n, true, verdict);
}

int k2k_quota_check(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                    uint64_t n, struct k2k_verdict *verdict)
{
	if (k2k_likely(id != K2K_TENANT_UNSPECIFIED && arguments_are_fine(n, verdict) &&
	               k2k_enter_fast(reg))) {
		const struct k2k_shm_tenant *tenant;
		struct k2k_shm_cell *cell;
		struct decision d;
		int code = decide_fast(reg, id, n, false, &tenant, &cell, &d);

		if (k2k_likely(code == 0)) {
			k2k_read_end();
			if (verdict)
				fill_verdict(&d, 0, verdict);
			return 0;
		}
		if (code == K2K_DECIDE_MODE && pass_by_mode(reg, tenant, cell, n, false, verdict))
			code = 0;
		k2k_read_end();
		if (code == 0)
			return 0;
	}
	return check_slow(reg, id, tag, n, verdict);
}

int k2k_message_admit(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                      uint64_t n, struct k2k_verdict *verdict)
{
	if (k2k_likely(id != K2K_TENANT_UNSPECIFIED && arguments_are_fine(n, verdict) &&
	               k2k_enter_fast(reg))) {
		const struct k2k_shm_tenant *tenant;
		struct k2k_shm_cell *cell;
		struct decision d;
		int code = decide_fast(reg, id, n, true, &tenant, &cell, &d);

		if (k2k_likely(code == 0)) {
			k2k_read_end();
			d.used += n;
			if (verdict)
				fill_verdict(&d, 0, verdict);
			return 0;
		}
		if (code == K2K_DECIDE_MODE && pass_by_mode(reg, tenant, cell, n, true, verdict))
			code = 0;
		k2k_read_end();
		if (code == 0)
			return 0;
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
	struct decision d;
	uint32_t slot;
	int code = k2k_enter(reg, K2K_GATE_BROKER);

	if (code)
		return code;
	if (id != K2K_TENANT_UNSPECIFIED) {
		code = k2k_tenant_find(&reg->map, id, &slot, &state_gen);
		if (!code && !spend_open(reg, slot, 1, &d))
			code = k2k_rate_count(&reg->map, slot, &reg->clock);
		if (!code && k2k_watch_counts(&reg->map, slot))
			k2k_watch_record(reg, id, slot, state_gen);
		else if (code == K2K_ENOTENANT)
			report_unknown(reg, id, (struct k2k_audit_tag){ 0, 0 });
	}
	k2k_read_unlock();
	return code;
}

static ALWAYS_INLINE bool finds_window(const struct k2k_clock *clock,
                                       const struct k2k_shm_tenant *tenant,
                                       struct k2k_shm_cell *cell, uint64_t *admitted)
{
	/*
	 * observe[tenant-select]: only the mode, which changes with the version that the tag names
	 */
	uint64_t select = k2k_load_acquire(&tenant->select);
	struct k2k_rate rate;

	if (k2k_unlikely(K2K_SELECT_MODE(select) != 0 || !k2k_rate_try_look(cell, &rate)))
		return false;
	*admitted = rate.admitted;
	return rate.window ==
	       k2k_rate_pack_second(k2k_clock_now(clock).second, K2K_SELECT_VERSION(select));
}

int k2k_message_record(struct k2k_registry *reg, k2k_tenant_id id)
{
	if (k2k_likely(id != K2K_TENANT_UNSPECIFIED && k2k_enter_fast(reg))) {
		uint64_t state_gen, admitted;
		uint32_t slot;
		const struct k2k_shm_tenant *tenant;
		bool counted = k2k_tenant_find_near(&reg->map, id, &slot, &tenant, &state_gen) &&
		               finds_window(&reg->clock, tenant, &reg->map.cells[slot],
		                            &admitted) &&
		               k2k_rate_try_count(&reg->map.cells[slot], admitted, 1);

		k2k_read_end();
		if (k2k_likely(counted))
			return 0;
	}
	return record(reg, id);
}

/* Adds to the record. What exceeds 64 bits is counted as unattributed: 0 or K2K_EUNBOOKED. */
static ALWAYS_INLINE int add(struct k2k_registry *reg, uint32_t slot, uint32_t index,
                             uint64_t gpu_ns)
{
	uint64_t rest = k2k_ledger_add(&reg->map.ledger[index], gpu_ns);

	if (k2k_likely(rest == 0))
		return 0;
	k2k_ledger_add_unattributed(&reg->map, slot, rest);
	return K2K_EUNBOOKED;
}

static int book(struct k2k_registry *reg, const struct k2k_hash_key *key, uint64_t gpu_ns)
{
	struct k2k_claimer claimer = { reg->broker.incarnation, &reg->passed,
		                       &reg->ledger_full_at };
	uint32_t index;
	int code;

	if (k2k_unlikely(k2k_budget_may_renew(&reg->map.tenants[key->slot])))
		k2k_budget_renew_now(&reg->map, &reg->clock, key);
	code = k2k_ledger_obtain(&reg->map, &claimer, key, &index);
	if (!code)
		return add(reg, key->slot, index, gpu_ns);
	if (code != K2K_EFULL)
		return code;
	k2k_ledger_add_unattributed(&reg->map, key->slot, gpu_ns);
	return K2K_EUNBOOKED;
}

/*
 * The result of a booking, before its read section ends. The tenant's final totals wait for this
 * section, so they contain the booking in any case. K2K_EGONE: totals that were not final may lack
 * it.
 */
static ALWAYS_INLINE int judge_booking(const struct k2k_shm_tenant *tenant, uint64_t state_gen,
                                       int code)
{
	K2K_DELAY(booked);
	if (code != 0 && code != K2K_EUNBOOKED)
		return code;
	return k2k_likely(k2k_tenant_is_still(tenant, state_gen)) ? code : K2K_EGONE;
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

			code = book(reg, &key, gpu_ns);
			if (k2k_watch_books(&reg->map, slot))
				k2k_watch_budget(reg, id, &key, tag.org_id);
			code = judge_booking(&reg->map.tenants[slot], state_gen, code);
		} else if (code == K2K_ENOTENANT) {
			report_unknown(reg, id, tag);
		}
	}
	k2k_read_unlock();
	return code;
}

/* relaxed: published with the version, or with LIVE */
static ALWAYS_INLINE bool books_slowly(const struct k2k_shm_tenant *tenant)
{
	return k2k_load_relaxed(&tenant->flags) & (K2K_DEF_RENEWS | K2K_DEF_ALERTS);
}

int k2k_usage_track(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                    uint64_t gpu_ns)
{
	if (k2k_likely(id != K2K_TENANT_UNSPECIFIED && k2k_enter_fast(reg))) {
		const struct k2k_shm_tenant *tenant;
		uint64_t state_gen;
		uint32_t slot, index;

		if (k2k_likely(k2k_tenant_find_near(&reg->map, id, &slot, &tenant, &state_gen) &&
		               !books_slowly(tenant))) {
			struct k2k_hash_key key = { k2k_tenant_generation(state_gen),
				                    tag.engagement_id, slot };

			if (k2k_likely(k2k_ledger_find_near(&reg->map, &key, &index))) {
				int code = judge_booking(tenant, state_gen,
				                         add(reg, slot, index, gpu_ns));

				k2k_read_end();
				return code;
			}
		}
		k2k_read_end();
	}
	return track(reg, id, tag, gpu_ns);
}
