/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * deregister.c (F7) - deregister, and the final totals.
 *
 * The commit store of each tenant is its state RETIRED. If the process is killed before that store,
 * nothing has happened to the tenant; if after it, the tenant is deregistered. Final totals are
 * known once the tenant's grace period has passed. The call waits for that without the writer's
 * lock; as long as the waiting process lives, a pin keeps others from reaping the slot. If it can't
 * wait long enough, or is killed, the process that reaps the slot reports the final totals in the
 * trail, because totals_due was stored before RETIRED.
 */
#include "definitions.h"

#include <errno.h>
#include <stdlib.h>

#include "reap.h"

struct deregistration {
	struct k2k_registry *reg;
	const k2k_tenant_id *ids;
	size_t count;
	int *codes;                       /* one for each id */
	struct k2k_tenant_totals *totals; /* one for each id; null: not asked for */
	struct k2k_finals finals;         /* the tenants that it has retired, in the order of ids */
	uint64_t token;                   /* of the grace period that all of them wait for */
	bool undo;                        /* a retirement is half done: recovery completes it */
};

static void append_event(const struct k2k_change *change)
{
	const struct k2k_shm_cell_cold *cold = &change->reg->map.cells_cold[change->slot];
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_DEREGISTER,
		                       .tenant = change->id,
		                       .generation = change->generation };
	uint64_t *values = body.more.change.values;

	k2k_hot_total(&change->reg->map, change->slot, &values[K2K_AUDIT_TOTALS_ADMITTED]);
	/* relaxed, all: counts; calls under way may still add to them */
	values[K2K_AUDIT_TOTALS_REJECTED_RATE] = k2k_load_relaxed(&cold->rejected_rate);
	values[K2K_AUDIT_TOTALS_REJECTED_BUDGET] = k2k_load_relaxed(&cold->rejected_budget);
	values[K2K_AUDIT_TOTALS_REJECTED_KERNELS] = k2k_load_relaxed(&cold->rejected_kernels);
	values[K2K_AUDIT_TOTALS_REJECTED_MEMORY] = k2k_load_relaxed(&cold->rejected_gpu_memory);
	values[K2K_AUDIT_TOTALS_UNATTRIBUTED_NS] = k2k_load_relaxed(&cold->unattributed_ns);
	k2k_trail_append_locked(&change->reg->trail, &body);
}

/* ---- pins --------------------------------------------------------------------------------- */

/* Under the writer's lock. incarnation: of the administrator that waits; 0: none waits. */
static void pin(const struct deregistration *d, uint32_t slot, uint64_t incarnation)
{
	k2k_assert_writer(&d->reg->writer);
	/* relaxed: the next writer reads it, ordered by writer-owner */
	k2k_store_relaxed(&d->reg->map.tenants_cold[slot].pinned_by, incarnation);
}

/* Without the lock: no other process changes our pin while we live. */
static void unpin(const struct deregistration *d, uint32_t slot)
{
	uint64_t own = d->reg->writer.incarnation;

	/* publish[tenant-pin], observe[tenant-pin]: only the word itself */
	k2k_cas_acq_rel(&d->reg->map.tenants_cold[slot].pinned_by, &own, 0);
}

static void unpin_rest(const struct deregistration *d)
{
	for (size_t i = 0; d->totals && i < d->finals.count; i++)
		if (!d->finals.list[i].done)
			unpin(d, d->finals.list[i].slot);
}

/* ---- the change ----------------------------------------------------------------------------- */

static int retire(struct deregistration *d, size_t number)
{
	const struct k2k_map *map = &d->reg->map;
	struct k2k_change change = { .reg = d->reg, .id = d->ids[number] };
	int code = k2k_change_check_id(change.id);

	if (!code)
		code = k2k_change_find_live(&change);
	if (code)
		return code;
	pin(d, change.slot, d->totals ? d->reg->writer.incarnation : 0);
	/* relaxed: published by the store of RETIRED; only writers read it */
	k2k_store_relaxed(&map->tenants_cold[change.slot].totals_due,
	                  d->totals ? change.generation : 0);
	code = k2k_tenant_retire(map, change.slot, d->token);
	if (code) {
		d->undo = true;
		pin(d, change.slot, 0);
		return code;
	}
	append_event(&change);
	d->finals.list[d->finals.count++] = (struct k2k_final){
		.id = change.id,
		.slot = change.slot,
		.generation = change.generation,
		.totals = d->totals ? &d->totals[number] : NULL
	};
	return 0;
}

/*
 * If the process is killed in between, each tenant that is RETIRED is stamped with the token:
 * recovery unlinks it and publishes the token. The other tenants stay registered.
 */
static int retire_all(struct deregistration *d)
{
	struct k2k_change reaping = { .reg = d->reg };
	int fatal = k2k_change_reap(&reaping);

	d->undo = reaping.undo;
	d->token = k2k_grace_next(&d->reg->map);
	for (size_t i = 0; i < d->count; i++) {
		d->codes[i] = fatal ? fatal : retire(d, i);
		if (d->codes[i] == K2K_ECORRUPT)
			fatal = K2K_ECORRUPT;
	}
	if (!d->undo && d->finals.count)
		k2k_grace_publish(&d->reg->map, d->token);
	return fatal;
}

/*
 * Waits without the writer's lock; then takes it, takes the final totals and frees the slots. If
 * that can't be done, the totals are as counted so far. The tenants are gone in any case, so an
 * error is returned only if the handle can't be used any more.
 */
static int finish(struct deregistration *d, uint64_t deadline)
{
	struct k2k_registry *reg = d->reg;
	bool all_done = false;
	uint32_t behind;
	int code = d->undo ? K2K_ECORRUPT : k2k_wait_passed(reg, d->token, deadline, &behind);

	if (!code)
		code = k2k_change_begin(reg, K2K_OP_DEREGISTER, deadline);
	if (!code) {
		code = k2k_reap_finals(reg, &d->finals);
		all_done = true;
		for (size_t i = 0; i < d->finals.count; i++) {
			struct k2k_final *final = &d->finals.list[i];

			final->totals->final = final->done;
			all_done = all_done && final->done;
			if (final->done)
				pin(d, final->slot, 0);
		}
		k2k_change_end(reg, code != 0);
	}
	if (!all_done)
		k2k_totals_so_far(reg, &d->finals);
	return code == K2K_EINVAL || code == K2K_EFENCED || code == K2K_EFORKED ? code : 0;
}

static void call_sink(const struct deregistration *d)
{
	for (size_t i = 0; i < d->finals.count; i++) {
		struct k2k_change change = { .reg = d->reg,
			                     .verb = "deregistered",
			                     .id = d->finals.list[i].id,
			                     .generation = d->finals.list[i].generation };

		k2k_change_call_sink(&change);
	}
}

/* For a failure before the first tenant: none of them is deregistered, and each has this code. */
static int refuse(struct deregistration *d, int code)
{
	for (size_t i = 0; i < d->count; i++)
		d->codes[i] = code;
	return code;
}

static int deregister_held(struct deregistration *d)
{
	uint64_t deadline = k2k_deadline(d->reg);
	int finished = 0, code = k2k_change_begin(d->reg, K2K_OP_DEREGISTER, deadline);

	if (code)
		return refuse(d, code);
	code = retire_all(d);
	k2k_change_end(d->reg, d->undo);
	if (d->totals && d->finals.count)
		finished = finish(d, deadline);
	unpin_rest(d);
	call_sink(d);
	code = code ? code : finished;
	for (size_t i = 0; !code && i < d->count; i++)
		code = d->codes[i];
	return code;
}

/* The caller provides codes, finals.list and, if asked for, totals for `count` tenants. */
static int deregister(struct deregistration *d)
{
	uint32_t slots = d->reg->map.sizes.tenants;
	int code;

	/* before anything is retired, so that nothing after that needs memory */
	d->finals.costs = d->totals ? calloc(slots, sizeof(*d->finals.costs)) : NULL;
	if (d->totals && !d->finals.costs)
		return refuse(d,
		              k2k_fail_errno(K2K_ENOMEM, ENOMEM, "tenants",
		                             "no memory to count the costs of %u tenants", slots));
	code = deregister_held(d);
	free(d->finals.costs);
	return code;
}

int k2k_tenant_deregister(struct k2k_registry *reg, k2k_tenant_id id,
                          struct k2k_tenant_totals *totals)
{
	K2K_UNCANCELLED;
	struct k2k_tenant_totals mine = { .final = 0 };
	struct k2k_final final;
	int id_code;
	struct deregistration d = { .reg = reg,
		                    .ids = &id,
		                    .count = 1,
		                    .codes = &id_code,
		                    .totals = totals ? &mine : NULL,
		                    .finals.list = &final };
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
	code = deregister(&d);
	k2k_unhold(reg);
	if (totals && d.finals.count)
		K2K_GIVE_STRUCT(totals, &mine);
	return code;
}

static void give_totals(const struct deregistration *d, struct k2k_tenant_totals *totals,
                        uint32_t stride)
{
	for (size_t i = 0; i < d->count; i++) {
		d->totals[i].id = d->ids[i];
		K2K_GIVE_ELEMENT(totals, stride, i, &d->totals[i]);
	}
}

int k2k_tenant_deregister_many(struct k2k_registry *reg, const k2k_tenant_id *ids, size_t count,
                               struct k2k_tenant_totals *totals, int *codes)
{
	K2K_UNCANCELLED;
	struct deregistration d = { .reg = reg, .ids = ids, .count = count };
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
	d.totals = totals ? calloc(count + 1, sizeof(*d.totals)) : NULL;
	d.finals.list = malloc(sizeof(*d.finals.list) * (count + 1));
	d.codes = codes ? codes : malloc(sizeof(*d.codes) * (count + 1));
	if (!d.finals.list || !d.codes || (totals && !d.totals)) {
		code = k2k_fail_errno(K2K_ENOMEM, ENOMEM, "tenants", "no memory for %zu tenants",
		                      count);
	} else {
		code = deregister(&d);
		if (totals)
			give_totals(&d, totals, stride);
	}
	free(d.totals);
	if (!codes)
		free(d.codes);
	free(d.finals.list);
	k2k_unhold(reg);
	return code;
}
