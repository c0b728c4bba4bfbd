/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * deregister.c (F7) - deregister, and the final totals.
 *
 * RETIRED is the commit store of each. Killed before it nothing has happened, after it all of it
 * has: who reaps the slot tells the final totals, where they were asked for (totals_due is stored
 * before RETIRED).
 */
#include "definitions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reap.h"

static void expect_totals(const struct k2k_map *map, uint32_t slot, uint64_t generation)
{
	/* relaxed: carried by RETIRED; only writers look */
	k2k_store_relaxed(&map->tenants_cold[slot].totals_due, generation);
}

static void tell_deregistered(const struct k2k_change *change)
{
	const struct k2k_shm_cell_cold *cold = &change->reg->map.cells_cold[change->slot];
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_DEREGISTER,
		                       .tenant = change->id,
		                       .generation = change->generation };
	uint64_t *values = body.more.change.values;

	/* relaxed, all: counts, to which calls under way may add */
	values[K2K_AUDIT_TOTALS_ADMITTED] = k2k_load_relaxed(
		&change->reg->map.cells[change->slot].admitted);
	values[K2K_AUDIT_TOTALS_REJECTED_RATE] = k2k_load_relaxed(&cold->rejected_rate);
	values[K2K_AUDIT_TOTALS_REJECTED_BUDGET] = k2k_load_relaxed(&cold->rejected_budget);
	values[K2K_AUDIT_TOTALS_REJECTED_KERNELS] = k2k_load_relaxed(&cold->rejected_kernels);
	values[K2K_AUDIT_TOTALS_REJECTED_MEMORY] = k2k_load_relaxed(&cold->rejected_gpu_memory);
	values[K2K_AUDIT_TOTALS_UNATTRIBUTED_NS] = k2k_load_relaxed(&cold->unattributed_ns);
	k2k_trail_append_locked(&change->reg->trail, &body);
}

/* ---- one ----------------------------------------------------------------------------- */

/*
 * Who waits for the final totals of the slot: 0, nobody. relaxed: in a writer's turn, which orders
 * it
 */
static void pin(const struct k2k_change *change, uint64_t incarnation)
{
	k2k_store_relaxed(&change->reg->map.tenants_cold[change->slot].pinned_by, incarnation);
}

/* Outside of a turn: nobody else changes it while we live, and we only give up what is ours. */
static void unpin(const struct k2k_change *change)
{
	uint64_t own = change->reg->writer.incarnation;

	/* publish[tenant-pin], observe[tenant-pin]: nothing but itself */
	k2k_cas_acq_rel(&change->reg->map.tenants_cold[change->slot].pinned_by, &own, 0);
}

static int retire(struct k2k_change *change, bool keep)
{
	const struct k2k_map *map = &change->reg->map;
	uint64_t token;
	int code = k2k_change_find_live(change);

	if (!code)
		code = k2k_change_reap(change);
	if (code)
		return code;
	pin(change, keep ? change->reg->writer.incarnation : 0);
	token = k2k_grace_next(map);
	change->undo = true;
	expect_totals(map, change->slot, keep ? change->generation : 0);
	code = k2k_tenant_retire(map, change->slot, token);
	if (code)
		return code;
	k2k_grace_publish(map, token);
	change->wait_token = token;
	change->undo = false;
	return 0;
}

/*
 * Waits without the lock; then, with it, takes the totals and frees the slot. Where that can't be
 * done, the totals are as counted so far, and who reaps the slot tells the final ones in the trail:
 * 0, unless the handle itself is of no use any more.
 */
static int finish(struct k2k_change *change, uint64_t deadline, struct k2k_tenant_totals *totals)
{
	struct k2k_registry *reg = change->reg;
	struct k2k_final final = { change->slot, change->generation, totals, false };
	uint32_t behind;
	int code = k2k_wait_passed(reg, change->wait_token, deadline, &behind);

	if (!code)
		code = k2k_change_begin(reg, K2K_OP_DEREGISTER, deadline);
	if (code) {
		int counted = k2k_totals_of(reg, &final, 1); /* pinned: nobody has reaped it */

		return code == K2K_EINVAL || code == K2K_EFENCED || code == K2K_EFORKED ? code
		                                                                        : counted;
	}
	/* relaxed: under the lock */
	if (k2k_load_relaxed(&reg->map.tenants[change->slot].state_gen) ==
	    k2k_tenant_word(K2K_TENANT_RETIRED, change->generation)) {
		code = k2k_reap_finals(reg, &final, 1);
		totals->final = final.done;
		if (code && !final.done)
			k2k_totals_of(reg, &final, 1);
	}
	if (final.done)
		pin(change, 0);
	k2k_change_end(reg, code != 0);
	return code;
}

static int deregister_held(struct k2k_change *change, struct k2k_tenant_totals *totals)
{
	struct k2k_registry *reg = change->reg;
	struct k2k_tenant_totals counted = { .final = 0 };
	uint64_t deadline = k2k_deadline(reg);
	int code = k2k_change_begin(reg, K2K_OP_DEREGISTER, deadline);

	if (code)
		return code;
	code = retire(change, totals != NULL);
	if (!code)
		tell_deregistered(change);
	k2k_change_end(reg, change->undo);
	if (code)
		return code;
	if (totals) {
		code = finish(change, deadline, &counted);
		if (!counted.final)
			unpin(change);
		K2K_GIVE_STRUCT(totals, &counted);
	}
	/* whatever became of the totals, the tenant is gone */
	k2k_change_call_sink(change);
	return code;
}

int k2k_tenant_deregister(struct k2k_registry *reg, k2k_tenant_id id,
                          struct k2k_tenant_totals *totals)
{
	K2K_UNCANCELLED;
	struct k2k_change change = { .reg = reg, .verb = "deregistered", .id = id };
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = k2k_change_check_id(id);
	if (!code && totals)
		code = K2K_CHECK_STRUCT(totals, K2K_TENANT_DAMAGED);
	if (!code)
		code = k2k_hold(reg, K2K_GATE_ADMIN);
	if (code)
		return code;
	code = deregister_held(&change, totals);
	k2k_unhold(reg);
	return code;
}

/* ---- many ------------------------------------------------------------------------------ */

struct many {
	struct k2k_registry *reg;
	const k2k_tenant_id *ids;
	size_t count;
	struct k2k_tenant_totals *totals; /* one for each id; null: nobody asks for them */
	int *codes;
	struct k2k_final *finals;
	size_t retired; /* as many finals are filled */
	uint64_t token;
	int first; /* the first of the codes that is not 0 */
};

static void note_code(struct many *many, size_t index, int code)
{
	if (many->codes)
		many->codes[index] = code;
	if (code && !many->first)
		many->first = code;
}

/*
 * All with one token. Killed between: what is stamped with it is RETIRED, and recovery unlinks it
 * and publishes.
 */
static int retire_all(struct many *many)
{
	const struct k2k_map *map = &many->reg->map;

	many->token = k2k_grace_next(map);
	for (size_t i = 0; i < many->count; i++) {
		struct k2k_change change = { .reg = many->reg, .id = many->ids[i] };
		int code = k2k_change_check_id(change.id);

		if (!code)
			code = k2k_change_find_live(&change);
		note_code(many, i, code);
		if (code == K2K_ECORRUPT)
			return code;
		if (code)
			continue;
		pin(&change, 0);
		expect_totals(map, change.slot, many->totals ? change.generation : 0);
		code = k2k_tenant_retire(map, change.slot, many->token);
		if (code) {
			note_code(many, i, code);
			return code;
		}
		many->finals[many->retired++] = (struct k2k_final){ change.slot, change.generation,
			                                            many->totals ? &many->totals[i]
			                                                         : NULL,
			                                            false };
		tell_deregistered(&change);
	}
	if (many->retired)
		k2k_grace_publish(map, many->token);
	return 0;
}

/* With the lock, which keeps others from reaping them: pins of each would be many. */
static int finish_all(struct many *many, uint64_t deadline)
{
	struct k2k_registry *reg = many->reg;
	uint32_t behind;
	int code = k2k_wait_passed(reg, many->token, deadline, &behind);

	if (!code) {
		code = k2k_reap_finals(reg, many->finals, many->retired);
		for (size_t i = 0; i < many->retired; i++)
			many->finals[i].totals->final = many->finals[i].done;
	}
	if (code && !(many->retired && many->finals[0].done)) {
		int counted = k2k_totals_of(reg, many->finals, many->retired);

		code = code == K2K_EBUSY ? counted : code;
	}
	return code;
}

static void audit_all(struct many *many)
{
	for (size_t i = 0, retired = 0; i < many->count && retired < many->retired; i++) {
		struct k2k_change change = { .reg = many->reg,
			                     .verb = "deregistered",
			                     .id = many->ids[i],
			                     .generation = many->finals[retired].generation };

		/* finals are in the order of ids; what was not retired has a code */
		if (many->codes[i] == 0) {
			k2k_change_call_sink(&change);
			retired++;
		}
	}
}

static int deregister_all(struct many *many)
{
	uint64_t deadline = k2k_deadline(many->reg);
	bool undo = false;
	int code = k2k_change_begin(many->reg, K2K_OP_DEREGISTER, deadline);

	if (code) {
		for (size_t i = 0; i < many->count; i++)
			note_code(many, i, code);
		return code;
	}
	code = retire_all(many);
	undo = code != 0;
	if (!code && many->retired && many->totals) {
		code = finish_all(many, deadline);
		undo = code != 0;
	}
	k2k_change_end(many->reg, undo);
	audit_all(many);
	return code ? code : many->first;
}

int k2k_tenant_deregister_many(struct k2k_registry *reg, const k2k_tenant_id *ids, size_t count,
                               struct k2k_tenant_totals *totals, int *codes)
{
	K2K_UNCANCELLED;
	struct many many = { .reg = reg, .ids = ids, .count = count };
	uint32_t stride;
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	if (count && !ids)
		return k2k_fail_argument("ids", "null");
	code = count && totals ? K2K_CHECK_STRUCT(totals, K2K_TENANT_DAMAGED) : 0;
	if (!code)
		code = k2k_hold(reg, K2K_GATE_ADMIN);
	if (code)
		return code;
	stride = totals ? K2K_STRIDE(totals, count) : 0;
	many.totals = totals ? calloc(count + 1, sizeof(*many.totals)) : NULL;
	many.finals = malloc(sizeof(*many.finals) * (count + 1));
	many.codes = codes ? codes : malloc(sizeof(*many.codes) * (count + 1));
	if (!many.finals || !many.codes || (totals && !many.totals)) {
		code = k2k_fail_errno(K2K_ENOMEM, ENOMEM, "tenants", "no memory for %zu tenants",
		                      count);
	} else {
		for (size_t i = 0; i < count; i++) {
			many.codes[i] = K2K_ENOTENANT;
			if (many.totals)
				many.totals[i].id = ids[i];
		}
		code = deregister_all(&many);
		for (size_t i = 0; many.totals && i < count; i++)
			K2K_GIVE_ELEMENT(totals, stride, i, &many.totals[i]);
	}
	free(many.totals);
	if (!codes)
		free(many.codes);
	free(many.finals);
	k2k_unhold(reg);
	return code;
}
