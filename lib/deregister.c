/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * deregister.c (F7) - deregister, and the final totals.
 *
 * RETIRED is the commit store. Killed before it nothing has happened, after it all of it has.
 */
#include "definitions.h"

#include <string.h>

#include "tenant.h"

static int retire(struct k2k_change *change, bool pin, struct k2k_lock *pinned)
{
	const struct k2k_map *map = &change->reg->map;
	uint64_t token;
	int code = k2k_change_find_live(change);

	if (!code)
		code = k2k_change_reap(change);
	if (code)
		return code;
	/* taken by a reader's lock, say: then others may reap it first, and what we have counted here is all that can be told */
	if (pin && k2k_lock_try(&change->reg->defs, K2K_LOCK_BYTE_PIN(change->slot), pinned) != 0)
		pinned->page = NULL;
	token = k2k_grace_next(map);
	change->undo = true;
	code = k2k_tenant_retire(map, change->slot, token);
	if (code)
		return code;
	k2k_grace_publish(map, token);
	change->wait_token = token;
	change->undo = false;
	return 0;
}

static void tell_deregistered(struct k2k_change *change)
{
	const struct k2k_shm_cell_cold *cold = &change->reg->map.cells_cold[change->slot];
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_DEREGISTER, .tenant = change->id, .generation = change->generation };
	uint64_t *values = body.more.change.values;

	/* relaxed, all: counts, to which calls under way may add */
	values[0] = k2k_load_relaxed(&change->reg->map.cells[change->slot].admitted);
	values[1] = k2k_load_relaxed(&cold->rejected_rate);
	values[2] = k2k_load_relaxed(&cold->rejected_budget);
	values[3] = k2k_load_relaxed(&cold->rejected_kernels);
	values[4] = k2k_load_relaxed(&cold->rejected_gpu_memory);
	values[6] = k2k_load_relaxed(&cold->unattributed_ns);
	k2k_trail_tell_locked(&change->reg->trail, &body);
}

static void tell_totals(struct k2k_change *change, const struct k2k_tenant_totals *totals)
{
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_FINAL_TOTALS, .tenant = change->id, .generation = change->generation };
	const uint64_t values[K2K_EVENT_VALUES] = { totals->admitted_total, totals->rejected_total.rate, totals->rejected_total.budget,
		                                    totals->rejected_total.kernels, totals->rejected_total.gpu_memory,
		                                    totals->gpu_ns_total, totals->unattributed_ns, totals->kernels,
		                                    totals->gpu_memory_bytes };

	memcpy(body.more.change.values, values, sizeof(values));
	k2k_trail_tell_locked(&change->reg->trail, &body);
}

/*
 * Waits without the lock; then, with it, takes the totals and frees the slot. Where that can't be done in time, or
 * somebody has reaped it before us, *totals stays as it was counted before.
 */
static int finish(struct k2k_change *change, uint64_t deadline, struct k2k_lock *pinned, struct k2k_tenant_totals *totals)
{
	struct k2k_registry *reg = change->reg;
	struct k2k_lock lock;
	uint32_t behind;
	int code = k2k_wait_passed(reg, change->wait_token, deadline, &behind);

	if (!code)
		code = k2k_change_begin(reg, K2K_OP_DEREGISTER, deadline, &lock);
	if (code == K2K_EBUSY)
		return pinned->page ? k2k_totals(reg, change->slot, change->generation, totals) : 0;
	if (code)
		return code;
	if (k2k_load_relaxed(&reg->map.tenants[change->slot].state_gen) == /* relaxed: under the lock */
	    k2k_tenant_word(K2K_TENANT_RETIRED, change->generation)) {
		code = k2k_reap_slot(reg, change->slot, change->generation, totals);
		totals->final = code == 0;
		if (!code)
			tell_totals(change, totals);
	}
	k2k_lock_drop(pinned); /* under the lock: the slot's next tenant finds it free */
	k2k_change_end(reg, &lock, code != 0);
	return code;
}

static int deregister_held(struct k2k_change *change, struct k2k_tenant_totals *totals)
{
	struct k2k_registry *reg = change->reg;
	struct k2k_lock lock, pinned = { NULL };
	uint64_t deadline = k2k_deadline(reg);
	uint32_t size = totals ? totals->size : 0;
	int code = k2k_change_begin(reg, K2K_OP_DEREGISTER, deadline, &lock);

	if (code)
		return code;
	code = retire(change, totals != NULL, &pinned);
	if (!code)
		tell_deregistered(change);
	if (!code && totals) {
		memset(totals, 0, sizeof(*totals));
		totals->size = size;
		if (!pinned.page)
			code = k2k_totals(reg, change->slot, change->generation, totals);
	}
	k2k_change_end(reg, &lock, change->undo);
	if (code)
		return code;
	if (totals)
		code = finish(change, deadline, &pinned, totals);
	k2k_lock_drop(&pinned);
	/* whatever became of the totals, the tenant is gone */
	k2k_change_audit(change, "deregistered", 0);
	return code;
}

int k2k_tenant_deregister(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_tenant_totals *totals)
{
	struct k2k_change change = { .reg = reg, .id = id };
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = k2k_change_check_id(id);
	if (!code && totals)
		code = K2K_CHECK_STRUCT(totals, 0);
	if (!code)
		code = k2k_hold(reg, K2K_GATE_ADMIN);
	if (code)
		return code;
	code = deregister_held(&change, totals);
	k2k_unhold(reg);
	return code;
}
