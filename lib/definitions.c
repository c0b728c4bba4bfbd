/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * definitions.c (F7) - register, update; budgets.
 *
 * Each is one commit store: LIVE in register, the raised version in update and
 * budget changes. Killed before it nothing has happened, after it all of it has;
 * recover.c tells which from the records.
 */
#include "definitions.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"
#include "ledger.h"
#include "reap.h"
#include "tenant.h"

#define RETRY_NS UINT64_C(200000)
#define RETRY_MOST_NS UINT64_C(10000000)

#define ALL_UPDATES \
	(K2K_UPDATE_RATE | K2K_UPDATE_GPU_MEMORY | K2K_UPDATE_KERNELS | K2K_UPDATE_BUDGETS)

int k2k_change_check_id(k2k_tenant_id id)
{
	if (id == K2K_TENANT_UNSPECIFIED)
		return k2k_fail(K2K_EUNSPECIFIED, "tenant", "id",
		                "tenant 0 is the unspecified tenant: it is never limited and can't "
		                "be defined");
	return 0;
}

static int check_quota(const struct k2k_quota *quota)
{
	int code = K2K_CHECK_STRUCT(quota, 0);

	if (!code && quota->budget_count && !quota->budgets)
		code = k2k_fail_argument("budgets", "null, but budget_count is not 0");
	return code;
}

/* ---- budgets within a change ------------------------------------------------------ */

static int by_engagement(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;

	if (x->budget.engagement_id != y->budget.engagement_id)
		return x->budget.engagement_id < y->budget.engagement_id ? -1 : 1;
	return x->number < y->number ? -1 : 1;
}

/* change->list: of the same engagement the last one given. */
static int last_of_each(struct k2k_change *change, uint32_t *count)
{
	const struct k2k_quota *quota = change->quota;
	struct numbered *list = malloc(sizeof(*list) * ((size_t)quota->budget_count + 1));
	uint32_t kept = 0;

	*count = 0;
	change->list = list;
	if (!list)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "budgets", "no memory for %u budgets",
		                      quota->budget_count);
	for (uint32_t i = 0; i < quota->budget_count; i++) {
		list[i].budget = quota->budgets[i];
		list[i].number = i;
	}
	qsort(list, quota->budget_count, sizeof(*list), by_engagement);
	for (uint32_t i = 0; i < quota->budget_count; i++)
		if (i + 1 == quota->budget_count ||
		    list[i].budget.engagement_id != list[i + 1].budget.engagement_id)
			list[kept++] = list[i];
	*count = kept;
	return 0;
}

/* A table is full; `waiting`: something of it is retired, and comes back. */
static int full(struct k2k_change *change, const char *table, bool waiting)
{
	struct k2k_mended mended = { .look = NULL };

	change->full = table;
	if (!waiting && k2k_recover_claims(change->reg, &mended) == 0)
		waiting = mended.engagements > 0; /* killed brokers had claimed some */
	if (!waiting)
		return k2k_fail(K2K_EFULL, table, NULL, "the table of %s is full", table);
	/* relaxed: under the lock */
	change->wait_token = k2k_load_relaxed(&change->reg->map.defs->grace_token);
	return K2K_CHANGE_WAIT;
}

/* Records of retired tenants, retired budgets, or costs that wait for their second grace period. */
static bool something_comes_back(const struct k2k_registry *reg)
{
	struct k2k_list tenants = k2k_tenant_retired_list(&reg->map),
			budgets = k2k_budget_retired_list(&reg->map);
	uint32_t behind;

	return k2k_list_count(&tenants) > 0 || k2k_list_count(&budgets) > 0 ||
	       /* relaxed: under the lock */
	       k2k_grace_passed(&reg->grace, &behind) <
	               k2k_load_relaxed(&reg->map.defs->grace_token);
}

static struct k2k_hash_key key_of(const struct k2k_change *change, uint64_t engagement)
{
	return (struct k2k_hash_key){ change->generation, engagement, change->slot };
}

/*
 * The engagement's ledger record. Damage of others' records must not refuse this change: it is cut
 * out, and told.
 */
static int obtain_record(struct k2k_change *change, uint64_t engagement, uint32_t *record)
{
	struct k2k_registry *reg = change->reg;
	struct k2k_claimer claimer = { K2K_INCARNATION_WRITER, &reg->passed, &reg->ledger_full_at };
	struct k2k_hash_key key = key_of(change, engagement);
	int code = k2k_ledger_obtain(&reg->map, &claimer, &key, record);

	if (code == K2K_ECORRUPT && k2k_mend_now(reg) == 0)
		code = k2k_ledger_obtain(&reg->map, &claimer, &key, record);
	return code;
}

static int add_budget(struct k2k_change *change, uint64_t since, const struct k2k_budget *budget)
{
	struct k2k_registry *reg = change->reg;
	/* asked before: what comes back meanwhile is found by the next try */
	bool waiting = something_comes_back(reg);
	struct k2k_hash_key key = key_of(change, budget->engagement_id);
	struct k2k_list free_list = k2k_budget_free_list(&reg->map);
	uint32_t record;
	int code;

	/* first, so that a full table of budgets takes no ledger record */
	if (k2k_list_count(&free_list) == 0)
		return full(change, "budgets", waiting);
	code = obtain_record(change, budget->engagement_id, &record);
	if (code == K2K_EFULL)
		return full(change, "engagements", waiting);
	if (code)
		return code;
	return k2k_budget_add(&reg->map, &key, since, budget->budget_ns, record);
}

static void set_budget_count(struct k2k_change *change, int64_t by)
{
	struct k2k_shm_tenant *tenant = &change->reg->map.tenants[change->slot];
	k2k_u32 *count = &change->reg->map.tenants_cold[change->slot].budget_count;

	/* relaxed, all: under the lock; the flag is carried by the version or by LIVE */
	k2k_store_relaxed(count, (uint32_t)((int64_t)k2k_load_relaxed(count) + by));
	if (by > 0)
		k2k_store_relaxed(&tenant->flags,
		                  k2k_load_relaxed(&tenant->flags) | K2K_DEF_HAS_BUDGETS);
}

/* Prepares what is in force from `version` + 1; *ended lists (index + 1) what ends then. */
static int change_one_budget(struct k2k_change *change, uint64_t version,
                             const struct k2k_budget *budget, int64_t *by, uint32_t *ended)
{
	const struct k2k_map *map = &change->reg->map;
	bool remove = budget->budget_ns == K2K_UNLIMITED;
	struct k2k_hash_key key = key_of(change, budget->engagement_id);
	uint32_t index;
	int code = k2k_budget_find(map, &key, version, &index);

	*ended = 0;
	if (code && code != K2K_HASH_ABSENT)
		return code;
	if (code == K2K_HASH_ABSENT && remove)
		return 0;
	/* relaxed: ours */
	if (!code && !remove &&
	    k2k_load_relaxed(&map->budgets[index].budget_ns) == budget->budget_ns)
		return 0;
	if (!remove) {
		int added;

		set_budget_count(change, 0);
		added = add_budget(change, version + 1, budget);
		if (added)
			return added;
		(*by)++;
	}
	if (!code) {
		k2k_budget_end(map, index, version + 1);
		*ended = index + 1;
		(*by)--;
	}
	return 0;
}

/*
 * What fails in it halfway must not be taken for done: the intent stays raised, or recovery does
 * it.
 */
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

/* ---- register ----------------------------------------------------------------------- */

static int add_all_budgets(struct k2k_change *change)
{
	uint32_t count;
	int code;

	if (!change->quota->budget_count)
		return 0;
	code = last_of_each(change, &count);
	for (uint32_t i = 0; !code && i < count; i++) {
		if (change->list[i].budget.budget_ns == K2K_UNLIMITED)
			continue;
		code = add_budget(change, 1, &change->list[i].budget);
		change->list[change->count++] = change->list[i];
	}
	if (!code && change->count)
		set_budget_count(change, change->count);
	return code;
}

/* What the image says was counted, in a tenant that nobody else has seen. */
static int restore_counts(struct k2k_change *change)
{
	const struct k2k_tenant_image *image = change->image;
	const struct k2k_map *map = &change->reg->map;
	struct k2k_shm_cell_cold *cold = &map->cells_cold[change->slot];
	int code = 0;

	/* relaxed, all: carried by LIVE */
	k2k_store_relaxed(&map->cells[change->slot].admitted, image->admitted_total);
	k2k_store_relaxed(&cold->rejected_rate, image->rejected_total.rate);
	k2k_store_relaxed(&cold->rejected_budget, image->rejected_total.budget);
	k2k_store_relaxed(&cold->rejected_kernels, image->rejected_total.kernels);
	k2k_store_relaxed(&cold->rejected_gpu_memory, image->rejected_total.gpu_memory);
	k2k_store_relaxed(&cold->unattributed_ns, image->unattributed_ns);
	k2k_store_relaxed(&map->tenants_cold[change->slot].registered_at_ns,
	                  image->registered_at_ns);
	for (uint32_t i = 0; !code && i < image->usage_count; i++) {
		uint32_t record;

		code = obtain_record(change, image->usage[i].engagement_id, &record);
		if (code == K2K_EFULL)
			return k2k_fail(K2K_EFULL, "engagements", NULL,
			                "the table of engagements is full");
		if (!code)
			k2k_ledger_add(&map->ledger[record], image->usage[i].gpu_ns);
	}
	return code;
}

/* The generation before the image's counts as given: so the next one is the image's. */
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

static int check_image(const struct k2k_tenant_image *image)
{
	int code = K2K_CHECK_STRUCT(image, 0);

	if (!code && !image->quota)
		code = k2k_fail_argument("quota", "null");
	if (!code)
		code = check_quota(image->quota);
	if (!code && image->usage_count && !image->usage)
		code = k2k_fail_argument("usage", "null, but usage_count is not 0");
	if (!code && (!image->generation || image->generation > K2K_GENERATION_MAX))
		code = k2k_fail_argument("generation", "0, or larger than any that is given");
	return code;
}

static int try_register(struct k2k_change *change)
{
	struct k2k_registry *reg = change->reg;
	const struct k2k_quota *quota = change->quota;
	struct k2k_limits limits = { .rate = quota->max_messages_per_sec,
		                     .gpu_memory_bytes = quota->max_gpu_memory_bytes,
		                     .kernels = quota->max_concurrent_kernels };
	struct k2k_list retired = k2k_tenant_retired_list(&reg->map);
	uint64_t word;
	int code = k2k_tenant_find(&reg->map, change->id, &change->slot, &word);

	if (code == 0)
		return k2k_fail(K2K_EEXIST, "tenant", NULL, "tenant %" PRIu64 " already registered",
		                change->id);
	if (code != K2K_ENOTENANT)
		return code;
	code = k2k_change_reap(change);
	if (code)
		return code;
	if (change->image) {
		struct k2k_list free_list = k2k_tenant_free_list(&reg->map);

		/* asked before: what is refused for want of room is not to use up the generation */
		if (k2k_list_count(&free_list) == 0)
			return full(change, "tenants", false);
		code = pass_generations(change);
		if (code)
			return code;
	}
	code = k2k_tenant_build(&reg->map, change->id, &limits, &change->slot, &change->generation);
	if (code == K2K_EFULL)
		return full(change, "tenants", k2k_list_count(&retired) > 0);
	if (code)
		return code;
	change->undo = true;
	code = add_all_budgets(change);
	if (!code && change->image)
		code = restore_counts(change);
	if (code == K2K_CHANGE_WAIT &&
	    change->image) /* another attempt would need the generation again */
		code = k2k_fail(K2K_EFULL, change->full, NULL, "the table of %s is full",
		                change->full);
	if (code)
		return code;
	k2k_tenant_publish(&reg->map, change->slot);
	change->changed = ALL_UPDATES;
	change->undo = false;
	return 0;
}

/* ---- update --------------------------------------------------------------------------- */

int k2k_change_find_live(struct k2k_change *change)
{
	uint64_t word;
	int code = k2k_tenant_find(&change->reg->map, change->id, &change->slot, &word);

	if (!code)
		change->generation = k2k_tenant_generation(word);
	return code;
}

static int retire_ended(struct k2k_change *change, const uint32_t *ended, uint32_t count)
{
	const struct k2k_map *map = &change->reg->map;
	uint64_t token = k2k_grace_next(map);
	bool stamped = false;
	int code = 0;

	for (uint32_t i = 0; !code && i < count; i++)
		if (ended[i]) {
			code = k2k_budget_retire(map, ended[i] - 1, token);
			stamped = true;
		}
	if (stamped && !code)
		k2k_grace_publish(map, token);
	return code;
}

static int update_budgets(struct k2k_change *change, const struct k2k_limits *limits,
                          uint32_t **ended, uint32_t *count, int64_t *by)
{
	int code = last_of_each(change, count);

	*ended = calloc((size_t)*count + 1, sizeof(**ended));
	if (!code && !*ended)
		code = k2k_fail_errno(K2K_ENOMEM, ENOMEM, "budgets", "no memory for %u budgets",
		                      *count);
	for (uint32_t i = 0; !code && i < *count; i++) {
		int64_t before = *by;

		code = change_one_budget(change, limits->version, &change->list[i].budget, by,
		                         &(*ended)[i]);
		if (!code && ((*ended)[i] || *by != before))
			change->list[change->count++] = change->list[i];
	}
	if (change->count)
		change->changed |= K2K_UPDATE_BUDGETS;
	return code;
}

static int try_update(struct k2k_change *change)
{
	struct k2k_registry *reg = change->reg;
	const struct k2k_quota *quota = change->quota;
	struct k2k_limits limits, old;
	uint32_t *ended = NULL, count = 0;
	int64_t by = 0;
	int code = k2k_change_find_live(change);

	if (!code)
		code = k2k_change_reap(change);
	if (code)
		return code;
	k2k_tenant_limits(&reg->map, change->slot, &limits);
	if (limits.version >= K2K_VERSION_MAX)
		return k2k_fail(K2K_EFULL, "versions", NULL,
		                "this registration has used up all versions: register it anew");
	old = limits;
	if (change->mask & K2K_UPDATE_RATE)
		limits.rate = quota->max_messages_per_sec;
	if (change->mask & K2K_UPDATE_GPU_MEMORY)
		limits.gpu_memory_bytes = quota->max_gpu_memory_bytes;
	if (change->mask & K2K_UPDATE_KERNELS)
		limits.kernels = quota->max_concurrent_kernels;
	change->changed = (limits.rate != old.rate ? K2K_UPDATE_RATE : 0) |
	                  (limits.kernels != old.kernels ? K2K_UPDATE_KERNELS : 0) |
	                  (limits.gpu_memory_bytes != old.gpu_memory_bytes ? K2K_UPDATE_GPU_MEMORY
	                                                                   : 0);
	change->undo = true;
	k2k_tenant_prepare(&reg->map, change->slot, &limits);
	if (change->mask & K2K_UPDATE_BUDGETS)
		code = update_budgets(change, &limits, &ended, &count, &by);
	if (!code) {
		set_budget_count(change, by);
		if (count) /* carried by the version: a reader that sees it looks for budgets */
			set_budget_count(change, 0);
		k2k_tenant_flip(&reg->map, change->slot);
		code = retire_ended(change, ended, count);
		change->undo = code != 0;
	}
	free(ended);
	return code;
}

/* ---- the frame ---------------------------------------------------------------------------- */

/*
 * In the trail: after it took effect, before the intent is cleared. Killed in between, what is
 * complete lacks an event; no event tells of what did not happen.
 */
static void tell_change(struct k2k_change *change, enum k2k_operation operation)
{
	uint32_t mask = change->changed;
	const struct k2k_quota *quota = change->quota;
	struct k2k_event_body body = { .tenant = change->id, .generation = change->generation };

	/* as the sink is told: a change of budgets alone by its budgets, no change not at all */
	if (mask & ~(uint32_t)K2K_UPDATE_BUDGETS) {
		body.kind = operation == K2K_OP_REGISTER ? K2K_AUDIT_KIND_REGISTER
		                                         : K2K_AUDIT_KIND_UPDATE;
		body.more.change.values[0] = mask & K2K_UPDATE_RATE ? quota->max_messages_per_sec
		                                                    : 0;
		body.more.change.values[1] = mask & K2K_UPDATE_GPU_MEMORY
		                                     ? quota->max_gpu_memory_bytes
		                                     : 0;
		body.more.change.values[2] = mask & K2K_UPDATE_KERNELS
		                                     ? quota->max_concurrent_kernels
		                                     : 0;
		body.more.change.values[3] = change->count;
		body.more.change.values[4] = mask;
		k2k_trail_append_locked(&change->reg->trail, &body);
		memset(&body.more, 0, sizeof(body.more));
	}
	body.kind = K2K_AUDIT_KIND_BUDGET_CHANGE;
	for (uint32_t i = 0; i < change->count; i++) {
		body.engagement_id = change->list[i].budget.engagement_id;
		body.limit = change->list[i].budget.budget_ns;
		k2k_trail_append_locked(&change->reg->trail, &body);
	}
}

/* Of an attempt that is to be made again, or of the call. */
static void forget_changed(struct k2k_change *change)
{
	free(change->list);
	change->list = NULL;
	change->changed = change->count = 0;
}

static int run_held(struct k2k_change *change, enum k2k_operation operation,
                    int (*attempt)(struct k2k_change *))
{
	uint64_t deadline = k2k_deadline(change->reg), pause_ns = RETRY_NS;

	for (;;) {
		uint32_t behind;
		int code = k2k_change_begin(change->reg, operation, deadline);

		if (code)
			return code;
		change->undo = false;
		forget_changed(change);
		code = attempt(change);
		if (!code)
			tell_change(change, operation);
		k2k_change_end(change->reg, change->undo);
		if (code != K2K_CHANGE_WAIT)
			return code;
		/* without the lock: others go on */
		code = k2k_wait_passed(change->reg, change->wait_token, deadline, &behind);
		if (code)
			return code == K2K_EBUSY ? k2k_held_up(change->reg, behind, change->full)
			                         : code;
		if (k2k_clock_monotonic_ns() >= deadline)
			return k2k_held_up(change->reg, K2K_SLOTS, change->full);
		/* passed, but kept by somebody who takes its final totals */
		k2k_clock_sleep_ns(pause_ns);
		if (pause_ns < RETRY_MOST_NS)
			pause_ns *= 2;
	}
}

/* The whole of a call: change, wait, change again, audit. */
static int run(struct k2k_change *change, enum k2k_operation operation,
               int (*attempt)(struct k2k_change *), const char *verb)
{
	int code = k2k_hold(change->reg, K2K_GATE_ADMIN);

	if (code)
		return code;
	code = run_held(change, operation, attempt);
	if (!code && change->changed) /* an update to what is in force already is none */
		k2k_change_audit(change, verb, change->changed);
	forget_changed(change);
	k2k_unhold(change->reg);
	return code;
}

struct change_text {
	char numbers[5][24];
	struct k2k_audit_field fields[5];
	uint32_t count;
};

static void add_field(struct change_text *text, const char *key, uint64_t value)
{
	snprintf(text->numbers[text->count], sizeof(text->numbers[0]), "%" PRIu64, value);
	text->fields[text->count].key = key;
	text->fields[text->count].value = text->numbers[text->count];
	text->count++;
}

void k2k_change_audit(struct k2k_change *change, const char *verb, uint32_t mask)
{
	struct change_text text;
	struct k2k_sink *sink;
	char description[80];

	k2k_read_lock();
	sink = k2k_gate(change->reg, K2K_GATE_ADMIN) ? NULL : k2k_audit_enter(&change->reg->audit);
	k2k_read_unlock();
	if (!sink)
		return;
	memset(&text, 0, sizeof(text));
	add_field(&text, "tenant", change->id);
	add_field(&text, "generation", change->generation);
	if (mask & K2K_UPDATE_RATE)
		add_field(&text, "max_messages_per_sec", change->quota->max_messages_per_sec);
	if (mask & K2K_UPDATE_GPU_MEMORY)
		add_field(&text, "max_gpu_memory_bytes", change->quota->max_gpu_memory_bytes);
	if (mask & K2K_UPDATE_KERNELS)
		add_field(&text, "max_concurrent_kernels", change->quota->max_concurrent_kernels);
	snprintf(description, sizeof(description), "tenant %" PRIu64 " %s", change->id, verb);
	/* a change of budgets alone is told by its budgets */
	if (mask != K2K_UPDATE_BUDGETS)
		k2k_audit_change(&change->reg->audit, sink, description, text.fields, text.count);
	for (uint32_t i = 0; i < change->count; i++) {
		const struct k2k_budget *budget = &change->list[i].budget;

		text.count = 2;
		add_field(&text, "engagement_id", budget->engagement_id);
		add_field(&text, "budget_ns", budget->budget_ns);
		snprintf(description, sizeof(description), "tenant %" PRIu64 " budget %s",
		         change->id, budget->budget_ns == K2K_UNLIMITED ? "unset" : "set");
		k2k_audit_change(&change->reg->audit, sink, description, text.fields, text.count);
	}
	k2k_audit_leave(sink);
}

int k2k_tenant_register(struct k2k_registry *reg, k2k_tenant_id id, const struct k2k_quota *quota)
{
	K2K_UNCANCELLED;
	static const struct k2k_quota standard = K2K_QUOTA_STANDARD;
	struct k2k_change change = { .reg = reg, .id = id, .quota = quota ? quota : &standard };
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = k2k_change_check_id(id);
	if (!code)
		code = check_quota(change.quota);
	if (!code)
		code = run(&change, K2K_OP_REGISTER, try_register, "registered");
	return code;
}

int k2k_tenant_restore(struct k2k_registry *reg, const struct k2k_tenant_image *image)
{
	K2K_UNCANCELLED;
	struct k2k_change change = { .reg = reg, .image = image };
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = check_image(image);
	if (code)
		return code;
	change.id = image->id;
	change.quota = image->quota;
	code = k2k_change_check_id(image->id);
	if (!code)
		code = run(&change, K2K_OP_REGISTER, try_register, "restored");
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
	struct k2k_change change = { .reg = reg, .id = id, .quota = quota, .mask = mask };
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = k2k_change_check_id(id);
	if (!code)
		code = check_quota(quota);
	if (!code && (mask & ~(uint32_t)ALL_UPDATES))
		code = k2k_fail_argument("mask", "unknown bits");
	if (!code)
		code = run(&change, K2K_OP_UPDATE, try_update, "updated");
	return code;
}

/* ---- budgets ------------------------------------------------------------------------------- */

static int update_budget(struct k2k_registry *reg, k2k_tenant_id id,
                         const struct k2k_budget *budget, int (*attempt)(struct k2k_change *))
{
	struct k2k_quota quota = { .size = sizeof(quota), .budget_count = 1, .budgets = budget };
	struct k2k_change change = {
		.reg = reg, .id = id, .quota = &quota, .mask = K2K_UPDATE_BUDGETS
	};
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	code = k2k_change_check_id(id);
	if (!code)
		code = run(&change, K2K_OP_BUDGET, attempt, "updated");
	return code;
}

int k2k_budget_set(struct k2k_registry *reg, k2k_tenant_id id, uint64_t engagement_id,
                   uint64_t budget_ns)
{
	K2K_UNCANCELLED;
	struct k2k_budget budget = { engagement_id, budget_ns };

	if (budget_ns == K2K_UNLIMITED)
		return k2k_fail_argument("budget_ns", "unlimited: unset the budget instead");
	return update_budget(reg, id, &budget, try_update);
}

static int try_unset(struct k2k_change *change)
{
	struct k2k_hash_key key;
	uint64_t version;
	uint32_t index;
	int code = k2k_change_find_live(change);

	if (code)
		return code;
	key = key_of(change, change->quota->budgets[0].engagement_id);
	k2k_tenant_rate(&change->reg->map, change->slot, &version);
	code = k2k_budget_find(&change->reg->map, &key, version, &index);
	if (code)
		return code == K2K_HASH_ABSENT ? K2K_ENOBUDGET : code;
	return try_update(change);
}

int k2k_budget_unset(struct k2k_registry *reg, k2k_tenant_id id, uint64_t engagement_id)
{
	K2K_UNCANCELLED;
	struct k2k_budget budget = { engagement_id, K2K_UNLIMITED };

	return update_budget(reg, id, &budget, try_unset);
}
