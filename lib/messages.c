/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * messages.c (F7) - what happens on every message: check, record, admit, track.
 *
 * One read section around find, look and take; then, outside of it, the audit
 * of a rejection. No system call, no lock, no allocation.
 *
 * Killed: before the one store that counts (rate.h, ledger.h) nothing has
 * happened, after it all of it. A total of rejections may miss the last one.
 */
#include "budget.h"
#include "handle.h"
#include "ledger.h"
#include "rate.h"
#include "tenant.h"

struct request {
	struct k2k_registry *reg;
	k2k_tenant_id id;
	struct k2k_audit_tag tag;
	uint64_t n;
	uint32_t slot;
	uint64_t state_gen;
	uint64_t version;        /* of the definition */
	struct k2k_rate rate;
	uint64_t used, limit;    /* what it was decided on */
};

static int check_arguments(const struct k2k_registry *reg, uint64_t n, const struct k2k_verdict *verdict)
{
	if (k2k_unlikely(!reg))
		return k2k_fail_argument("registry", "null");
	if (k2k_unlikely(n == 0 || n > K2K_ADMIT_MAX))
		return k2k_fail_argument("n", "not from 1 to 2^32");
	if (verdict && k2k_unlikely(verdict->size != sizeof(*verdict) || verdict->flags))
		return K2K_CHECK_STRUCT(verdict, 0);
	return 0;
}

static void fill_verdict(const struct request *r, int code, struct k2k_verdict *verdict)
{
	verdict->code = code;
	verdict->reserved = 0;
	verdict->used = r->used;
	verdict->limit = r->limit;
	verdict->remaining = r->limit == K2K_UNLIMITED ? K2K_UNLIMITED : k2k_sat_sub(r->limit, r->used);
	verdict->window = r->rate.second;
	verdict->retry_after_ns = 0;
	if (code == K2K_ERATE)
		verdict->retry_after_ns = r->n <= r->rate.effective ? r->rate.rest_ns : K2K_NEVER_NS;
	else if (code)
		verdict->retry_after_ns = K2K_NEVER_NS;
}

static void pass_unspecified(uint64_t n, struct k2k_verdict *verdict)
{
	struct request r = { .n = n, .limit = K2K_UNLIMITED };

	if (verdict)
		fill_verdict(&r, 0, verdict);
}

/* The rate's numbers; the window ones stay for a budget's rejection. */
static void decide_on_rate(struct request *r)
{
	r->used = r->rate.used;
	r->limit = r->rate.limit;
}

/* The budget in force at r->version. AGAIN: the definition has changed meanwhile. */
enum { AGAIN = 1 };

static int decide_on_budget(struct request *r)
{
	const struct k2k_map *map = &r->reg->map;
	uint64_t used, limit;
	int code = k2k_budget_check(map, r->slot, k2k_tenant_generation(r->state_gen), r->version, r->tag.engagement_id, &used,
	                            &limit);

	/*
	 * A budget is unlinked right after the version is raised: who walked past its place, and took that for "no budget",
	 * sees the new version now. The walk before, the version after: fence[tenant-select] of k2k_tenant_prepare.
	 */
	k2k_fence_acquire();
	if (K2K_SELECT_VERSION(k2k_load_relaxed(&map->tenants[r->slot].select)) != r->version) /* relaxed: ordered by the fence */
		return AGAIN;
	if (code == K2K_EBUDGET) {
		r->used = used;
		r->limit = limit;
	}
	return code;
}

/* Rate, then budget. 0, K2K_ERATE, K2K_EBUDGET, K2K_ECORRUPT. `roll`: begin the window where it is due. */
static inline int decide(struct request *r, bool roll)
{
	const struct k2k_map *map = &r->reg->map;
	struct k2k_shm_cell *cell = &map->cells[r->slot];
	int code;

	/* again where the window has rolled, or the definition was changed: each time somebody else got on */
	for (;;) {
		code = k2k_rate_look(cell, &r->reg->clock, roll, &r->rate);
		if (k2k_unlikely(code))
			return code;
		k2k_rate_set_limit(&r->rate, k2k_tenant_rate(map, r->slot, &r->version));
		decide_on_rate(r);
		if (k2k_unlikely(!k2k_rate_fits(&r->rate, r->n))) {
			if (k2k_rate_unchanged(cell, &r->rate))
				return K2K_ERATE;
			continue;
		}
		/* relaxed: carried by the version, or by LIVE */
		if (k2k_likely(!(k2k_load_relaxed(&map->tenants[r->slot].flags) & K2K_DEF_HAS_BUDGETS)))
			return 0;
		code = decide_on_budget(r);
		if (code != AGAIN)
			return code;
	}
}

/* ---- the audit of a rejection -------------------------------------------------------- */

/* Inside the section; what comes of it is reported outside. */
static inline struct k2k_sink *keep_sink(struct k2k_registry *reg, int code)
{
	bool rejected = code == K2K_ERATE || code == K2K_EBUDGET || code == K2K_ENOTENANT;

	return k2k_unlikely(rejected) ? k2k_audit_enter(&reg->audit) : NULL;
}

static void report(const struct request *r, int code, struct k2k_sink *sink)
{
	struct k2k_rejection rejection = { .code = code, .tenant = r->id, .tag = r->tag, .used = r->used, .limit = r->limit };

	k2k_audit_reject(&r->reg->audit, sink, &rejection, k2k_clock_now(&r->reg->clock).second);
	k2k_audit_leave(sink);
}

static void count_unknown(struct k2k_registry *reg)
{
	if (reg->role == K2K_GATE_BROKER) /* relaxed: a count */
		k2k_add_relaxed(&reg->map.slots[reg->broker.slot].unknown_tenant_total, 1);
}

/* ---- check ----------------------------------------------------------------------------- */

static int peek(struct request *r)
{
	int code = k2k_tenant_find(&r->reg->map, r->id, &r->slot, &r->state_gen);

	if (code)
		return code;
	code = decide(r, false);
	/* without a read section of this registry the slot may be another tenant's by now */
	return k2k_tenant_still(&r->reg->map, r->slot, r->state_gen) ? code : K2K_ENOTENANT;
}

int k2k_quota_check(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag, uint64_t n,
                    struct k2k_verdict *verdict)
{
	struct request r = { .reg = reg, .id = id, .tag = tag, .n = n };
	struct k2k_sink *sink;
	int code = check_arguments(reg, n, verdict);

	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	if (id == K2K_TENANT_UNSPECIFIED) {
		k2k_read_unlock();
		pass_unspecified(n, verdict);
		return 0;
	}
	code = peek(&r);
	sink = keep_sink(reg, code);
	k2k_read_unlock();
	if (verdict)
		fill_verdict(&r, code, verdict);
	if (sink)
		report(&r, code, sink);
	return code;
}

/* ---- admit ------------------------------------------------------------------------------- */

static void count_rejection(const struct request *r, int code)
{
	struct k2k_shm_cell_cold *cold = &r->reg->map.cells_cold[r->slot];

	/* relaxed, both: counts */
	if (code == K2K_ERATE)
		k2k_add_relaxed(&cold->rejected_rate, 1);
	else if (code == K2K_EBUDGET)
		k2k_add_relaxed(&cold->rejected_budget, 1);
}

static inline int admit(struct request *r)
{
	int code = k2k_tenant_find(&r->reg->map, r->id, &r->slot, &r->state_gen);
	struct k2k_shm_cell *cell;

	if (k2k_unlikely(code)) {
		if (code == K2K_ENOTENANT)
			count_unknown(r->reg);
		return code;
	}
	cell = &r->reg->map.cells[r->slot];
	do {
		code = decide(r, true);
		if (k2k_unlikely(code)) {
			count_rejection(r, code);
			return code;
		}
	} while (k2k_unlikely(!k2k_rate_take(cell, &r->rate, r->n)));
	r->used += r->n;
	return 0;
}

int k2k_message_admit(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag, uint64_t n,
                      struct k2k_verdict *verdict)
{
	struct request r;
	struct k2k_sink *sink;
	int code = check_arguments(reg, n, verdict);

	if (k2k_likely(!code))
		code = k2k_enter(reg, K2K_GATE_BROKER);
	if (k2k_unlikely(code))
		return code;
	if (id == K2K_TENANT_UNSPECIFIED) {
		k2k_read_unlock();
		pass_unspecified(n, verdict);
		return 0;
	}
	r.reg = reg;
	r.id = id;
	r.tag = tag;
	r.n = n;
	r.used = 0;
	r.limit = 0;
	r.rate.second = 0;
	code = admit(&r);
	sink = keep_sink(reg, code);
	k2k_read_unlock();
	if (verdict)
		fill_verdict(&r, code, verdict);
	if (k2k_unlikely(sink != NULL))
		report(&r, code, sink);
	return code;
}

/* ---- record ------------------------------------------------------------------------------- */

int k2k_message_record(struct k2k_registry *reg, k2k_tenant_id id)
{
	uint64_t state_gen;
	struct k2k_rate rate;
	uint32_t slot;
	int code = k2k_enter(reg, K2K_GATE_BROKER);

	if (code)
		return code;
	if (id != K2K_TENANT_UNSPECIFIED) {
		code = k2k_tenant_find(&reg->map, id, &slot, &state_gen);
		if (!code)
			code = k2k_rate_look(&reg->map.cells[slot], &reg->clock, true, &rate);
		if (!code) /* publish[rate-admitted]: the window that was looked at; observe[rate-admitted] */
			k2k_add_acq_rel(&reg->map.cells[slot].admitted, 1);
	}
	k2k_read_unlock();
	return code;
}

/* ---- track ---------------------------------------------------------------------------------- */

static void add_unattributed(struct k2k_registry *reg, uint32_t slot, uint64_t ns)
{
	k2k_u64 *total = &reg->map.cells_cold[slot].unattributed_ns;
	uint64_t was = k2k_load_relaxed(total); /* relaxed, both: a number that carries nothing else */

	while (!atomic_compare_exchange_weak_explicit(total, &was, k2k_sat_add(was, ns), memory_order_relaxed,
	                                              memory_order_relaxed))
		;
}

static int book(struct k2k_registry *reg, uint32_t slot, uint64_t generation, uint64_t engagement, uint64_t gpu_ns)
{
	uint64_t rest = gpu_ns;
	uint32_t index;
	int code = k2k_ledger_find(&reg->map, slot, generation, engagement, &index);

	if (code == K2K_HASH_ABSENT)
		code = k2k_ledger_obtain(&reg->map, reg->broker.incarnation, &reg->passed, &reg->ledger_full_at, slot, generation,
		                         engagement, &index);
	if (!code)
		rest = k2k_ledger_add(&reg->map.ledger[index], gpu_ns);
	else if (code != K2K_EFULL)
		return code;
	if (code == 0 && rest == 0)
		return 0;
	add_unattributed(reg, slot, rest);
	return K2K_EUNBOOKED;
}

int k2k_usage_track(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag, uint64_t gpu_ns)
{
	uint64_t state_gen;
	uint32_t slot;
	int code = k2k_enter(reg, K2K_GATE_BROKER);

	if (code)
		return code;
	if (id != K2K_TENANT_UNSPECIFIED) {
		code = k2k_tenant_find(&reg->map, id, &slot, &state_gen);
		if (!code) {
			code = book(reg, slot, k2k_tenant_generation(state_gen), tag.engagement_id, gpu_ns);
			K2K_DELAY(booked);
			/*
			 * What was answered with 0 is in the final totals in any case: they wait for this section. GONE tells that
			 * totals which were not final may lack it.
			 */
			if ((code == 0 || code == K2K_EUNBOOKED) && !k2k_tenant_still(&reg->map, slot, state_gen))
				code = K2K_EGONE;
		} else if (code == K2K_ENOTENANT) {
			count_unknown(reg);
		}
	}
	k2k_read_unlock();
	return code;
}
