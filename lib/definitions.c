/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * definitions.c (F7) - register, restore, update and budgets.
 *
 * Each takes effect by one commit store: a register by the state LIVE, an update or a change of
 * budgets by the raised version. If the process is killed before that store, nothing has happened;
 * if after it, the whole change has. Recovery sees from the records which of the two it was.
 */
#include "definitions.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "alert.h"
#include "ledger.h"
#include "names.h"
#include "rate.h"
#include "reap.h"
#include "watch.h"

#define RETRY_FIRST_NS UINT64_C(200000)
#define RETRY_MOST_NS UINT64_C(10000000)

#define ALL_UPDATES                                                                          \
	(K2K_UPDATE_RATE | K2K_UPDATE_GPU_MEMORY | K2K_UPDATE_KERNELS | K2K_UPDATE_BUDGETS | \
	 K2K_UPDATE_NAME | K2K_UPDATE_SHADOW | K2K_UPDATE_ALERTS)
/* what the event of a register names even if it has the default */
#define ALWAYS_REPORTED \
	(K2K_UPDATE_RATE | K2K_UPDATE_GPU_MEMORY | K2K_UPDATE_KERNELS | K2K_UPDATE_BUDGETS)

/* ---- what every change begins with ------------------------------------------------- */

int k2k_change_check_id(k2k_tenant_id id)
{
	if (id == K2K_TENANT_UNSPECIFIED)
		return k2k_fail(K2K_EUNSPECIFIED, "tenant", "id",
		                "tenant 0 is the unspecified tenant: it is never limited and can't "
		                "be defined");
	return 0;
}

static int take_limits(struct k2k_limits *limits, const struct k2k_quota *quota)
{
	if (quota->rate_policy > K2K_RATE_BUCKET)
		return k2k_fail_argument("rate_policy", "unknown");
	if (quota->rate_period > K2K_PERIOD_DAY)
		return k2k_fail_argument("rate_period", "unknown");
	if (quota->shadow > 1)
		return k2k_fail_argument("shadow", "neither 0 nor 1");
	if (quota->rate_policy == K2K_RATE_WINDOW && quota->burst)
		return k2k_fail_argument("burst", "not 0, but the policy is not a bucket");
	if (quota->rate_policy == K2K_RATE_BUCKET &&
	    k2k_sat_add(quota->max_messages_per_sec, quota->burst) >= K2K_RATE_MAX)
		return k2k_fail_argument("burst", "together with a bucket's rate it must be less "
		                                  "than 2^33");
	if (quota->rate_shared > 1)
		return k2k_fail_argument("rate_shared", "neither 0 nor 1");
	if (quota->rate_shared &&
	    (quota->rate_policy != K2K_RATE_WINDOW || quota->rate_period != K2K_PERIOD_SECOND))
		return k2k_fail_argument("rate_shared", "1, but the rate is not a window of a "
		                                        "second: no other can be shared");
	if (quota->rate_alone && !quota->rate_shared)
		return k2k_fail_argument("rate_alone", "not 0, but the rate is not shared");
	if (quota->reserved)
		return k2k_fail_argument("reserved", "not 0");
	memcpy(&limits->alerts, quota->alerts, sizeof(limits->alerts));
	if (!k2k_alert_is_list(limits->alerts))
		return k2k_fail_argument("alerts", "not percentages up to 100 in ascending order");
	limits->rate = quota->max_messages_per_sec;
	limits->burst = quota->burst;
	limits->alone = quota->rate_alone;
	limits->mode = (quota->rate_policy == K2K_RATE_BUCKET ? K2K_MODE_BUCKET : 0u) |
	               (quota->rate_shared ? K2K_MODE_SHARED : 0u) |
	               quota->rate_period << K2K_MODE_PERIOD_SHIFT |
	               (quota->shadow ? K2K_MODE_SHADOW : 0u) |
	               (limits->alerts ? K2K_MODE_ALERTS : 0u);
	limits->gpu_memory_bytes = quota->max_gpu_memory_bytes;
	limits->kernels = quota->max_concurrent_kernels;
	return 0;
}

/*
 * Checks the caller's quota and copies it; its budgets only if the mask names them. Nothing else
 * reads the original.
 */
static int take_quota(struct k2k_change *change, const struct k2k_quota *quota)
{
	struct k2k_quota mine;
	int code = K2K_TAKE_STRUCT(&mine, quota, 0);

	if (!code && mine.budget_count && !mine.budgets)
		code = k2k_fail_argument("budgets", "null, but budget_count is not 0");
	if (code)
		return code;
	code = take_limits(&change->limits, &mine);
	if (!code && change->mask & K2K_UPDATE_NAME && mine.name)
		code = k2k_name_take(change->limits.name, mine.name);
	if (code)
		return code;
	return change->mask & K2K_UPDATE_BUDGETS ? k2k_change_take_budgets(change, &mine) : 0;
}

int k2k_change_find_live(struct k2k_change *change)
{
	uint64_t word;
	int code = k2k_tenant_find(&change->reg->map, change->id, &change->slot, &word);

	if (!code)
		change->generation = k2k_tenant_generation(word);
	return code;
}

/* If reaping fails halfway, the change must be undone, so that recovery completes the reaping. */
int k2k_change_reap(struct k2k_change *change)
{
	struct k2k_list free_list = k2k_tenant_free_list(&change->reg->map);
	int code;

	if (k2k_change_in_batch(change->reg) && !change->full && !change->image &&
	    k2k_list_count(&free_list) > 0)
		return 0;
	change->undo = true;
	code = k2k_reap(change->reg, NULL);
	change->undo = code != 0;
	return code;
}

/* 0, or K2K_EEXIST: another tenant than that in `slot` has the new name. */
static int check_name(const struct k2k_change *change, uint32_t slot)
{
	k2k_tenant_id id;

	if (!change->limits.name[0] ||
	    !k2k_name_is_taken(change->reg, change->limits.name, slot, &id))
		return 0;
	return k2k_fail_values(K2K_EEXIST, "tenant", "name", change->id, id,
	                       "tenant %" PRIu64 " has the name %s already", id,
	                       (const char *)change->limits.name);
}

static void note_name(const struct k2k_change *change)
{
	if (change->limits.name[0])
		k2k_name_note(change->reg, change->slot, change->limits.name);
}

/* ---- register ----------------------------------------------------------------------- */

static void restore_correction(const struct k2k_tenant_image *image, uint32_t i,
                               struct k2k_shm_cost *cost)
{
	int64_t ns = image->corrected_ns ? image->corrected_ns[i] : 0;

	/* relaxed, both: published by the store of LIVE */
	k2k_store_relaxed(
		&cost->corrected_ns,
		(uint64_t)k2k_sat_sum((int64_t)k2k_load_relaxed(&cost->corrected_ns), ns));
}

/* Stores the totals and costs of the image in a tenant that no other process has seen yet. */
static int restore_counts(struct k2k_change *change)
{
	const struct k2k_tenant_image *image = change->image;
	const struct k2k_map *map = &change->reg->map;
	struct k2k_shm_cell_cold *cold = &map->cells_cold[change->slot];
	int code = 0;

	/* relaxed, all: published by the store of LIVE */
	k2k_store_relaxed(&map->cells[change->slot].admitted, image->admitted_total);
	k2k_store_relaxed(&cold->rejected_rate, image->rejected_total.rate);
	k2k_store_relaxed(&cold->rejected_budget, image->rejected_total.budget);
	k2k_store_relaxed(&cold->rejected_kernels, image->rejected_total.kernels);
	k2k_store_relaxed(&cold->rejected_gpu_memory, image->rejected_total.gpu_memory);
	k2k_store_relaxed(&cold->unattributed_ns, image->unattributed_ns);
	k2k_store_relaxed(&cold->rejected_suspended, image->suspended_rejected_total);
	k2k_store_relaxed(&cold->shadow_rate, image->shadow_rejected_total.rate);
	k2k_store_relaxed(&cold->shadow_budget, image->shadow_rejected_total.budget);
	k2k_store_relaxed(&cold->shadow_kernels, image->shadow_rejected_total.kernels);
	k2k_store_relaxed(&cold->shadow_gpu_memory, image->shadow_rejected_total.gpu_memory);
	k2k_store_relaxed(&map->tenants_cold[change->slot].registered_at_ns,
	                  image->registered_at_ns);
	for (uint32_t i = 0; !code && i < image->usage_count; i++) {
		uint32_t record;

		code = k2k_change_obtain_record(change, image->usage[i].engagement_id, &record);
		if (code == K2K_EFULL)
			return k2k_fail(K2K_EFULL, "engagements", NULL,
			                "the table of engagements is full");
		if (code)
			return code;
		k2k_ledger_add(&map->ledger[record], image->usage[i].gpu_ns);
		restore_correction(image, i, &map->ledger[record]);
	}
	code = k2k_change_restore_periods(change);
	for (uint32_t i = 0; !code && i < change->budget_count; i++) {
		struct k2k_hash_key key = { change->generation,
			                    change->budgets[i].budget.engagement_id, change->slot };

		k2k_watch_mark_budget(change->reg, &key);
	}
	return code;
}

/* Raises the registry's generation so that the next tenant gets the one of the image. */
static int pass_generations(struct k2k_change *change)
{
	struct k2k_shm_defs *defs = change->reg->map.defs;
	uint64_t generation = k2k_load_relaxed(&defs->generation); /* relaxed: under the lock */

	if (change->image->generation <= generation)
		return k2k_fail_values(K2K_EINVAL, "tenant", "generation", generation + 1,
		                       change->image->generation,
		                       "generation %" PRIu64
		                       " has been passed: this registry is at %" PRIu64,
		                       change->image->generation, generation);
	/* publish[generation] seen by observe[generation] in info */
	k2k_store_release(&defs->generation, change->image->generation - 1);
	return 0;
}

static int try_register(struct k2k_change *change)
{
	struct k2k_registry *reg = change->reg;
	struct k2k_list retired = k2k_tenant_retired_list(&reg->map);
	struct k2k_list free_list = k2k_tenant_free_list(&reg->map);
	uint64_t word;
	int code = k2k_tenant_find(&reg->map, change->id, &change->slot, &word);

	if (code == 0)
		return k2k_fail(K2K_EEXIST, "tenant", NULL, "tenant %" PRIu64 " already registered",
		                change->id);
	if (code != K2K_ENOTENANT)
		return code;
	code = check_name(change, UINT32_MAX);
	if (!code)
		code = k2k_change_reap(change);
	if (code)
		return code;
	if (change->image) {
		/* first, so that a full table uses up no generation */
		if (k2k_list_count(&free_list) == 0)
			return k2k_change_full(change, "tenants", false);
		code = pass_generations(change);
		if (code)
			return code;
	}
	code = k2k_tenant_build(&reg->map, change->id, &change->limits, &change->slot,
	                        &change->generation);
	if (code == K2K_EFULL)
		return k2k_change_full(change, "tenants", k2k_list_count(&retired) > 0);
	if (code)
		return code;
	change->undo = true;
	if (change->limits.alerts)
		k2k_tenant_add_flags(&reg->map, change->slot, K2K_DEF_ALERTS);
	code = k2k_change_budgets(change, 1);
	if (!code && change->image)
		code = restore_counts(change);
	/* another attempt would find that the image's generation has been passed */
	if (code == K2K_CHANGE_WAIT && change->image)
		code = k2k_fail(K2K_EFULL, change->full, NULL, "the table of %s is full",
		                change->full);
	if (code)
		return code;
	k2k_tenant_publish(&reg->map, change->slot);
	note_name(change);
	change->changed = ALWAYS_REPORTED | (change->limits.name[0] ? K2K_UPDATE_NAME : 0u) |
	                  (change->limits.alerts ? K2K_UPDATE_ALERTS : 0u) |
	                  (change->limits.mode & K2K_MODE_SHADOW ? K2K_UPDATE_SHADOW : 0u) |
	                  (change->limits.mode & K2K_MODE_SUSPENDED ? K2K_UPDATE_SUSPENDED : 0u);
	change->undo = false;
	return 0;
}

/* ---- update --------------------------------------------------------------------------- */

/* The bits of a tenant's mode that an update of `mask` sets. */
static uint32_t modes_of(uint32_t mask)
{
	return (mask & K2K_UPDATE_RATE ? K2K_MODE_RATE : 0u) |
	       (mask & K2K_UPDATE_SHADOW ? K2K_MODE_SHADOW : 0u) |
	       (mask & K2K_UPDATE_SUSPENDED ? K2K_MODE_SUSPENDED : 0u) |
	       (mask & K2K_UPDATE_ALERTS ? K2K_MODE_ALERTS : 0u);
}

/* Replaces in *limits what the mask names, and notes what differs. */
static void change_limits(struct k2k_change *change, struct k2k_limits *limits)
{
	const struct k2k_limits old = *limits, *given = &change->limits;
	uint32_t modes = modes_of(change->mask);

	limits->mode = (old.mode & ~modes) | (given->mode & modes);
	if (change->mask & K2K_UPDATE_RATE) {
		limits->rate = given->rate;
		limits->burst = given->burst;
		limits->alone = given->alone;
	}
	if (change->mask & K2K_UPDATE_GPU_MEMORY)
		limits->gpu_memory_bytes = given->gpu_memory_bytes;
	if (change->mask & K2K_UPDATE_KERNELS)
		limits->kernels = given->kernels;
	if (change->mask & K2K_UPDATE_ALERTS)
		limits->alerts = given->alerts;
	if (change->mask & K2K_UPDATE_NAME)
		memcpy(limits->name, given->name, sizeof(limits->name));
	if (limits->rate != old.rate || limits->burst != old.burst || limits->alone != old.alone ||
	    (limits->mode ^ old.mode) & modes_of(K2K_UPDATE_RATE))
		change->changed |= K2K_UPDATE_RATE;
	change->lowered = limits->rate < old.rate || limits->burst < old.burst ||
	                  limits->alone < old.alone || (limits->mode ^ old.mode) & K2K_MODE_RATE ||
	                  limits->gpu_memory_bytes < old.gpu_memory_bytes ||
	                  limits->kernels < old.kernels;
	if (limits->gpu_memory_bytes != old.gpu_memory_bytes)
		change->changed |= K2K_UPDATE_GPU_MEMORY;
	if (limits->kernels != old.kernels)
		change->changed |= K2K_UPDATE_KERNELS;
	if (limits->alerts != old.alerts)
		change->changed |= K2K_UPDATE_ALERTS;
	if ((limits->mode ^ old.mode) & K2K_MODE_SHADOW)
		change->changed |= K2K_UPDATE_SHADOW;
	if ((limits->mode ^ old.mode) & K2K_MODE_SUSPENDED)
		change->changed |= K2K_UPDATE_SUSPENDED;
	if (memcmp(limits->name, old.name, sizeof(limits->name)) != 0)
		change->changed |= K2K_UPDATE_NAME;
}

static int try_update(struct k2k_change *change)
{
	const struct k2k_map *map = &change->reg->map;
	struct k2k_limits limits;
	int code = k2k_change_find_live(change);

	if (!code)
		code = k2k_change_reap(change);
	if (code)
		return code;
	k2k_tenant_limits(map, change->slot, &limits);
	if (limits.version >= K2K_VERSION_MAX)
		return k2k_fail(K2K_EFULL, "versions", NULL,
		                "this registration has used up all versions: register it again");
	change_limits(change, &limits);
	code = change->changed & K2K_UPDATE_NAME ? check_name(change, change->slot) : 0;
	if (code)
		return code;
	change->undo = true;
	k2k_rate_settle(map, change->slot, &change->reg->clock);
	k2k_tenant_prepare(map, change->slot, &limits);
	if (limits.alerts)
		k2k_tenant_add_flags(map, change->slot, K2K_DEF_ALERTS);
	code = k2k_change_budgets(change, limits.version + 1);
	if (!code && change->changed) {
		k2k_tenant_flip(map, change->slot, limits.mode);
		if (change->changed & K2K_UPDATE_NAME)
			note_name(change);
		/* now, and not with the next message: a window may run out until then */
		k2k_rate_settle(map, change->slot, &change->reg->clock);
		code = k2k_change_retire_ended(change);
	}
	change->undo = code != 0;
	return code;
}

/* ---- the frame ---------------------------------------------------------------------------- */

static void begin_attempt(struct k2k_change *change)
{
	change->undo = false;
	change->changed = 0;
	change->lowered = false;
	for (uint32_t i = 0; i < change->budget_count; i++) {
		change->budgets[i].changed = change->budgets[i].keeps = false;
		change->budgets[i].every = K2K_EVERY_NONE;
		change->budgets[i].ended = 0;
	}
}

static int run_held(struct k2k_change *change, int (*attempt)(struct k2k_change *))
{
	uint64_t deadline = k2k_deadline(change->reg), pause_ns = RETRY_FIRST_NS;

	for (;;) {
		uint32_t behind;
		int code = k2k_change_begin(change->reg, change->operation, deadline);

		if (code)
			return code;
		begin_attempt(change);
		code = attempt(change);
		if (!code) {
			k2k_change_append_events(change);
			k2k_change_watch_budgets(change);
		}
		k2k_change_end(change->reg, change->undo);
		if (code != K2K_CHANGE_WAIT)
			return code;
		/* without the lock, so that others can go on */
		code = k2k_wait_passed(change->reg, change->wait_token, deadline, &behind);
		if (code)
			return code == K2K_EBUSY ? k2k_held_up(change->reg, behind, change->full)
			                         : code;
		if (k2k_clock_monotonic_ns() >= deadline)
			return k2k_held_up(change->reg, K2K_SLOT_NONE, change->full);
		/* the token has passed, but a deregister that takes final totals pins the slots */
		k2k_clock_sleep_ns(pause_ns);
		if (pause_ns < RETRY_MOST_NS)
			pause_ns *= 2;
	}
}

/* Runs a whole call: the attempts, the waits between them, and the sink. */
static int run(struct k2k_change *change, int (*attempt)(struct k2k_change *))
{
	int code = k2k_hold(change->reg, K2K_GATE_ADMIN);

	if (code)
		return code;
	code = run_held(change, attempt);
	if (!code && change->changed) /* an update to what is in force already is not reported */
		k2k_change_call_sink(change);
	k2k_unhold(change->reg);
	return code;
}

int k2k_tenant_register(struct k2k_registry *reg, k2k_tenant_id id, const struct k2k_quota *quota)
{
	K2K_UNCANCELLED;
	static const struct k2k_quota standard = K2K_QUOTA_STANDARD;
	struct k2k_change change = { .reg = reg,
		                     .operation = K2K_OP_REGISTER,
		                     .verb = "registered",
		                     .id = id,
		                     .mask = ALL_UPDATES };
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = k2k_change_check_id(id);
	if (!code)
		code = take_quota(&change, quota ? quota : &standard);
	if (!code)
		code = run(&change, try_register);
	free(change.budgets);
	return code;
}

static int take_image(struct k2k_tenant_image *mine, const struct k2k_tenant_image *image)
{
	int code = K2K_TAKE_STRUCT(mine, image, 0);

	if (!code && mine->usage_count && !mine->usage)
		code = k2k_fail_argument("usage", "null, but usage_count is not 0");
	if (!code && (!mine->generation || mine->generation > K2K_GENERATION_MAX))
		code = k2k_fail_argument("generation", "0, or larger than any that is given");
	if (!code && k2k_hot_is(mine->admitted_total))
		code = k2k_fail_argument("admitted_total", "2^63 or more");
	if (!code && mine->suspended > 1)
		code = k2k_fail_argument("suspended", "neither 0 nor 1");
	return code ? code : k2k_change_check_periods(mine);
}

int k2k_tenant_restore(struct k2k_registry *reg, const struct k2k_tenant_image *image)
{
	K2K_UNCANCELLED;
	struct k2k_change change = {
		.reg = reg, .operation = K2K_OP_REGISTER, .verb = "restored", .mask = ALL_UPDATES
	};
	struct k2k_tenant_image mine;
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = take_image(&mine, image);
	if (code)
		return code;
	change.image = &mine;
	change.id = mine.id;
	code = k2k_change_check_id(change.id);
	if (!code)
		code = take_quota(&change, mine.quota);
	if (mine.suspended)
		change.limits.mode |= K2K_MODE_SUSPENDED;
	if (!code)
		code = run(&change, try_register);
	free(change.budgets);
	return code;
}

int k2k_generation_pass(struct k2k_registry *reg, uint64_t generation)
{
	K2K_UNCANCELLED;
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	if (generation > K2K_GENERATION_MAX)
		return k2k_fail_argument("generation", "larger than any that is given");
	/* one store: nothing to complete or to undo */
	code = k2k_change_begin(reg, K2K_OP_CHECK, k2k_deadline(reg));
	if (code)
		return code;
	if (k2k_load_relaxed(&reg->map.defs->generation) < generation) /* relaxed: under the lock */
		/* publish[generation] seen by observe[generation] in info */
		k2k_store_release(&reg->map.defs->generation, generation);
	k2k_change_leave(reg);
	return 0;
}

int k2k_tenant_update(struct k2k_registry *reg, k2k_tenant_id id, const struct k2k_quota *quota,
                      uint32_t mask)
{
	K2K_UNCANCELLED;
	struct k2k_change change = {
		.reg = reg, .operation = K2K_OP_UPDATE, .verb = "updated", .id = id, .mask = mask
	};
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = k2k_change_check_id(id);
	if (!code)
		code = take_quota(&change, quota);
	if (!code && (mask & ~(uint32_t)ALL_UPDATES))
		code = k2k_fail_argument("mask", "unknown bits");
	if (!code)
		code = run(&change, try_update);
	free(change.budgets);
	return code;
}

/* ---- suspend, resume --------------------------------------------------------------------- */

static int set_suspended(struct k2k_registry *reg, k2k_tenant_id id, bool suspended)
{
	struct k2k_change change = { .reg = reg,
		                     .operation = K2K_OP_UPDATE,
		                     .verb = suspended ? "suspended" : "resumed",
		                     .id = id,
		                     .mask = K2K_UPDATE_SUSPENDED,
		                     .limits.mode = suspended ? K2K_MODE_SUSPENDED : 0 };
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = k2k_change_check_id(id);
	return code ? code : run(&change, try_update);
}

int k2k_tenant_suspend(struct k2k_registry *reg, k2k_tenant_id id)
{
	K2K_UNCANCELLED;
	return set_suspended(reg, id, true);
}

int k2k_tenant_resume(struct k2k_registry *reg, k2k_tenant_id id)
{
	K2K_UNCANCELLED;
	return set_suspended(reg, id, false);
}

/* ---- budgets ------------------------------------------------------------------------------- */

static int update_budget(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_budget budget,
                         uint32_t renewal, int (*attempt)(struct k2k_change *))
{
	const struct k2k_budget_terms terms = { .renewal = renewal };
	const struct k2k_quota quota = {
		.size = sizeof(quota), .budget_count = 1, .budgets = &budget, .budget_terms = &terms
	};
	struct k2k_change change = { .reg = reg,
		                     .operation = K2K_OP_BUDGET,
		                     .verb = "updated",
		                     .id = id,
		                     .mask = K2K_UPDATE_BUDGETS };
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = k2k_change_check_id(id);
	if (!code)
		code = take_quota(&change, &quota);
	if (!code)
		code = run(&change, attempt);
	free(change.budgets);
	return code;
}

int k2k_budget_set_renewing(struct k2k_registry *reg, k2k_tenant_id id, uint64_t engagement_id,
                            uint64_t budget_ns, uint32_t renewal)
{
	K2K_UNCANCELLED;

	if (budget_ns == K2K_UNLIMITED)
		return k2k_fail_argument("budget_ns", "unlimited: unset the budget instead");
	return update_budget(reg, id, (struct k2k_budget){ engagement_id, budget_ns }, renewal,
	                     try_update);
}

int k2k_budget_set(struct k2k_registry *reg, k2k_tenant_id id, uint64_t engagement_id,
                   uint64_t budget_ns)
{
	K2K_UNCANCELLED;

	return k2k_budget_set_renewing(reg, id, engagement_id, budget_ns, K2K_RENEWAL_KEEP);
}

/* Unlike an update, an unset returns an error if there is no such budget. */
static int try_unset(struct k2k_change *change)
{
	int code = try_update(change);

	return !code && !change->changed ? K2K_ENOBUDGET : code;
}

int k2k_budget_unset(struct k2k_registry *reg, k2k_tenant_id id, uint64_t engagement_id)
{
	K2K_UNCANCELLED;

	return update_budget(reg, id, (struct k2k_budget){ engagement_id, K2K_UNLIMITED },
	                     K2K_RENEWAL_KEEP, try_unset);
}
