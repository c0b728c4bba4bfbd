/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reads.c (F7) - copies of a tenant's definition and numbers, and of the registry's; in any role.
 *
 * A copy of a tenant is consistent if the word with its state and generation is the same after the
 * copy as before it.
 */
#include <string.h>
#include <sys/stat.h>

#include "alert.h"
#include "budget.h"
#include "handle.h"
#include "lease.h"
#include "ledger.h"
#include "rate.h"
#include "tenant.h"
#include "text.h"

#define COPIES 100 /* an attempt fails only if the tenant is registered again during it */

/* The numbers of the current window; an expired one counts as unused. */
static int copy_window(const struct k2k_registry *reg, uint32_t slot, struct k2k_tenant_info *info)
{
	struct k2k_rate_view view;
	int code = k2k_rate_look(&reg->map, slot, &reg->clock, &view);

	info->admitted_total = view.found.admitted; /* loaded even if the window is damaged */
	info->messages_this_second = code ? 0 : k2k_rate_used(&view);
	info->window = code ? 0 : k2k_rate_named(&view);
	return code;
}

/* Which thresholds were reported: of the rate in this window or lately, of leases as held now. */
static void copy_alerts(const struct k2k_registry *reg, const struct k2k_shm_cell_cold *cold,
                        struct k2k_tenant_info *info)
{
	/* relaxed, all: numbers */
	uint64_t rate = k2k_load_relaxed(&cold->alert_rate);
	uint64_t since = k2k_sat_sub(k2k_clock_exact(&reg->clock).second, K2K_ALERT_SHOWN_SECONDS);

	if (k2k_alert_sequence(rate) == (uint32_t)info->window || k2k_alert_sequence(rate) > since)
		info->alerted_rate = (uint8_t)k2k_alert_level_of(rate);
	if (info->kernels)
		info->alerted_kernels = (uint8_t)k2k_alert_level_of(
			k2k_load_relaxed(&cold->alert_kernels));
	if (info->gpu_memory_bytes)
		info->alerted_gpu_memory = (uint8_t)k2k_alert_level_of(
			k2k_load_relaxed(&cold->alert_gpu_memory));
}

static int copy_tenant(struct k2k_registry *reg, uint32_t slot, uint64_t state_gen,
                       struct k2k_tenant_info *info)
{
	const struct k2k_shm_tenant_cold *cold = &reg->map.tenants_cold[slot];
	const struct k2k_shm_cell_cold *counts = &reg->map.cells_cold[slot];
	const struct k2k_lease_key key = k2k_lease_of_tenant(slot,
	                                                     k2k_tenant_generation(state_gen));
	uint64_t held[K2K_RESOURCES];
	struct k2k_limits limits;
	int code, leases;

	k2k_tenant_limits(&reg->map, slot, &limits);
	/* if brokers damaged the window or the leases, all other numbers are still filled in */
	code = copy_window(reg, slot, info);
	leases = k2k_lease_sum(&reg->map, &reg->liveness, &key, held);
	if (leases)
		held[0] = held[1] = 0;
	code = code ? code : leases;
	info->flags = code ? K2K_TENANT_DAMAGED : 0;
	/* relaxed, all: numbers, between two looks at the state */
	info->kernels = held[K2K_RESOURCE_KERNELS];
	info->gpu_memory_bytes = held[K2K_RESOURCE_GPU_MEMORY];
	info->id = k2k_load_relaxed(&reg->map.tenants[slot].id);
	info->generation = k2k_tenant_generation(state_gen);
	info->registered_at_ns = k2k_load_relaxed(&cold->registered_at_ns);
	info->budget_count = k2k_load_relaxed(&cold->budget_count);
	info->max_messages_per_sec = limits.rate;
	info->max_gpu_memory_bytes = limits.gpu_memory_bytes;
	info->max_concurrent_kernels = limits.kernels;
	info->burst = limits.burst;
	info->rate_alone = limits.alone;
	info->rate_shared = (limits.mode & K2K_MODE_SHARED) != 0;
	info->rate_holds = info->rate_shared && k2k_rate_shares_hold(&reg->map, &reg->clock);
	info->rate_policy = limits.mode & K2K_MODE_BUCKET ? K2K_RATE_BUCKET : K2K_RATE_WINDOW;
	info->rate_period = (limits.mode & K2K_MODE_PERIOD) >> K2K_MODE_PERIOD_SHIFT;
	info->shadow = (limits.mode & K2K_MODE_SHADOW) != 0;
	info->suspended = (limits.mode & K2K_MODE_SUSPENDED) != 0;
	k2k_text_copy(info->name, (const char *)limits.name, sizeof(info->name));
	memcpy(info->alerts, &limits.alerts, sizeof(info->alerts));
	if (limits.alerts)
		copy_alerts(reg, counts, info);
	info->rejected_total.rate = k2k_load_relaxed(&counts->rejected_rate);
	info->rejected_total.budget = k2k_load_relaxed(&counts->rejected_budget);
	info->rejected_total.kernels = k2k_load_relaxed(&counts->rejected_kernels);
	info->rejected_total.gpu_memory = k2k_load_relaxed(&counts->rejected_gpu_memory);
	info->unattributed_ns = k2k_load_relaxed(&counts->unattributed_ns);
	k2k_tenant_shadow_counts(counts, &info->shadow_rejected_total);
	info->suspended_rejected_total = k2k_load_relaxed(&counts->rejected_suspended);
	return code;
}

/* Call it inside a read section. */
static int get(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_tenant_info *info)
{
	for (int i = 0; i < COPIES; i++) {
		uint64_t state_gen;
		uint32_t slot;
		int code = k2k_tenant_find(&reg->map, id, &slot, &state_gen);

		info->flags = 0;
		if (code)
			return code;
		code = copy_tenant(reg, slot, state_gen, info);
		if (k2k_tenant_still(&reg->map, slot, state_gen))
			return code;
	}
	return k2k_fail(K2K_EBUSY, "tenant", NULL, "the tenant is registered again and again");
}

int k2k_tenant_get(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_tenant_info *info)
{
	K2K_UNCANCELLED;
	struct k2k_tenant_info copy;
	int code = reg ? K2K_CHECK_STRUCT(info, K2K_TENANT_DAMAGED) : 0;

	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	memset(&copy, 0, sizeof(copy));
	code = id == K2K_TENANT_UNSPECIFIED ? K2K_ENOTENANT : get(reg, id, &copy);
	k2k_read_unlock();
	if (code && !copy.flags)
		return code;
	K2K_GIVE_STRUCT(info, &copy);
	return code;
}

int k2k_tenant_is_registered(struct k2k_registry *reg, k2k_tenant_id id, int *registered)
{
	uint64_t state_gen = 0;
	uint32_t slot = 0;
	int code = !reg || registered ? 0 : k2k_fail_argument("registered", "null");

	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	code = id == K2K_TENANT_UNSPECIFIED ? K2K_ENOTENANT
	                                    : k2k_tenant_find(&reg->map, id, &slot, &state_gen);
	/* if the word has changed, the registration that was found was deregistered meanwhile */
	if (!code && !k2k_tenant_still(&reg->map, slot, state_gen))
		code = K2K_ENOTENANT;
	k2k_read_unlock();
	if (code && code != K2K_ENOTENANT)
		return code;
	*registered = code == 0;
	return 0;
}

int k2k_tenant_ids(struct k2k_registry *reg, k2k_tenant_id *ids, size_t capacity, size_t *count)
{
	K2K_UNCANCELLED;
	size_t found = 0;
	int code = 0;

	if (reg && !count)
		code = k2k_fail_argument("count", "null");
	else if (reg && capacity && !ids)
		code = k2k_fail_argument("ids", "null");
	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	code = k2k_tenant_check_fence(&reg->map);
	for (uint32_t i = 0; !code && i < reg->map.sizes.tenants; i++) {
		const struct k2k_shm_tenant *tenant = &reg->map.tenants[i];
		/* observe[tenant-state]: its id */
		uint64_t word = k2k_load_acquire(&tenant->state_gen);
		k2k_tenant_id id;

		if (k2k_tenant_state(word) != K2K_TENANT_LIVE)
			continue;
		/* relaxed: between the two looks at the state */
		id = k2k_load_relaxed(&tenant->id);
		if (!k2k_tenant_still(&reg->map, i, word))
			continue; /* deregistered meanwhile */
		if (found < capacity)
			ids[found] = id;
		found++;
	}
	k2k_read_unlock();
	if (!code)
		*count = found;
	return code;
}

int k2k_tenant_count(struct k2k_registry *reg, size_t *count)
{
	K2K_UNCANCELLED;
	return k2k_tenant_ids(reg, NULL, 0, count);
}

/* ---- GPU time of one engagement -------------------------------------------------------- */

struct engagement {
	const struct k2k_map *map;
	uint64_t id, ns;
};

static int add(void *context, const struct k2k_cost_copy *cost)
{
	struct engagement *e = context;

	/* relaxed: a registration that ends now may be counted or not */
	if (cost->engagement == e->id && k2k_load_relaxed(&e->map->tenants[cost->slot].state_gen) ==
	                                         k2k_tenant_word(K2K_TENANT_LIVE, cost->generation))
		e->ns = k2k_sat_add(e->ns, cost->cost_ns);
	return 0;
}

int k2k_usage_engagement(struct k2k_registry *reg, struct k2k_audit_tag tag, uint64_t *gpu_ns)
{
	K2K_UNCANCELLED;
	struct engagement e = { .id = tag.engagement_id };
	int code = !reg || gpu_ns ? 0 : k2k_fail_argument("gpu_ns", "null");

	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	e.map = &reg->map;
	code = k2k_ledger_sweep(&reg->map, add, &e);
	k2k_read_unlock();
	if (!code)
		*gpu_ns = e.ns;
	return code;
}

/* A number of an engagement that has the ledger record `index`. 0, K2K_ECORRUPT. */
typedef int number_of(struct k2k_registry *reg, uint32_t index, uint64_t generation, uint64_t *ns);

static int cost_of(struct k2k_registry *reg, uint32_t index, uint64_t generation, uint64_t *ns)
{
	(void)generation;
	*ns = k2k_load_relaxed(&reg->map.ledger[index].cost_ns); /* relaxed: a number */
	return 0;
}

static int reserved_of(struct k2k_registry *reg, uint32_t index, uint64_t generation, uint64_t *ns)
{
	const struct k2k_lease_key key = k2k_lease_of_engagement(index, generation);
	uint64_t held[K2K_RESOURCES] = { 0 };
	int code = k2k_lease_any_reserved(&reg->map, index)
	                   ? k2k_lease_sum(&reg->map, &reg->liveness, &key, held)
	                   : 0;

	*ns = held[K2K_RESOURCE_GPU_TIME];
	return code;
}

/* The number is 0 if the engagement has no record. Call it inside a read section. */
static int find_number(struct k2k_registry *reg, k2k_tenant_id id, uint64_t engagement,
                       number_of *number, uint64_t *ns)
{
	for (int i = 0; i < COPIES; i++) {
		struct k2k_hash_key key = { .key = engagement };
		uint64_t token = k2k_grace_token(&reg->map), state_gen;
		uint32_t index = 0;
		int code = k2k_tenant_find(&reg->map, id, &key.slot, &state_gen);
		bool absent;

		if (code)
			return code;
		*ns = 0;
		key.gen = k2k_tenant_generation(state_gen);
		code = k2k_ledger_find(&reg->map, &key, &index);
		absent = code == K2K_HASH_ABSENT;
		if (!code)
			code = number(reg, index, key.gen, ns);
		if (!k2k_tenant_still(&reg->map, key.slot, state_gen))
			continue;
		if (!absent)
			return code;
		/* is it absent, or did the walk lose its way in a record that was reused? */
		if (k2k_grace_is_still(&reg->map, token))
			return 0;
	}
	return k2k_fail(K2K_EBUSY, "tenant", NULL, "the tenant is registered again and again");
}

static int get_number(struct k2k_registry *reg, k2k_tenant_id id, uint64_t engagement,
                      number_of *number, const char *argument, uint64_t *result)
{
	uint64_t ns = 0;
	int code = !reg || result ? 0 : k2k_fail_argument(argument, "null");

	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	code = id == K2K_TENANT_UNSPECIFIED ? K2K_ENOTENANT
	                                    : find_number(reg, id, engagement, number, &ns);
	k2k_read_unlock();
	if (!code)
		*result = ns;
	return code;
}

int k2k_usage_engagement_for(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                             uint64_t *gpu_ns)
{
	K2K_UNCANCELLED;
	return get_number(reg, id, tag.engagement_id, cost_of, "gpu_ns", gpu_ns);
}

int k2k_usage_reserved(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                       uint64_t *reserved_ns)
{
	K2K_UNCANCELLED;
	return get_number(reg, id, tag.engagement_id, reserved_of, "reserved_ns", reserved_ns);
}

/* ---- the registry ------------------------------------------------------------------------ */

static void count_pool(const struct k2k_pool *pool, struct k2k_table_info *info)
{
	uint32_t high = k2k_pool_high(pool);

	info->used = info->retired = 0;
	info->capacity = pool->capacity;
	for (uint32_t i = 0; i < high; i++) {
		/* relaxed: a count */
		unsigned int state = k2k_entry_state(
			k2k_load_relaxed(&k2k_pool_at(pool, i)->state));

		if (state == K2K_ENTRY_RETIRED)
			info->retired++;
		else if (state != K2K_ENTRY_FREE)
			info->used++;
	}
}

static void count_list(const struct k2k_shm_list *free_list, const struct k2k_shm_list *retired,
                       uint64_t capacity, struct k2k_table_info *info)
{
	/* relaxed, both: counts for diagnostics */
	uint64_t is_free = k2k_load_relaxed(&free_list->count);

	info->retired = k2k_load_relaxed(&retired->count);
	info->capacity = capacity;
	info->used = k2k_sat_sub(capacity, k2k_sat_add(is_free, info->retired));
}

static void count_brokers(struct k2k_registry *reg, struct k2k_registry_info *info)
{
	for (uint32_t i = 0; i < reg->map.sizes.slots; i++) {
		const struct k2k_shm_slot *slot = &reg->map.slots[i];

		/* relaxed, all: counts for diagnostics */
		info->cross_tenant_total += k2k_load_relaxed(&slot->cross_tenant_total);
		info->unknown_tenant_total += k2k_load_relaxed(&slot->unknown_tenant_total);
		if (k2k_liveness_alive(&reg->liveness, k2k_load_relaxed(&slot->owner)))
			info->brokers++;
	}
}

static void copy_files(const struct k2k_registry *reg, struct k2k_registry_info *info)
{
	struct stat st;

	if (k2k_segment_stat(&reg->defs, &st) == 0) {
		info->owner_uid = st.st_uid;
		info->owner_gid = st.st_gid;
		info->defs_mode = st.st_mode & 0777;
	}
	if (k2k_segment_stat(&reg->live, &st) == 0)
		info->live_mode = st.st_mode & 0777;
}

static void copy_info(struct k2k_registry *reg, struct k2k_registry_info *info)
{
	const struct k2k_map *map = &reg->map;
	const struct k2k_shm_defs *defs = map->defs;
	struct k2k_hash ledger = k2k_ledger_hash(map);

	info->flags = k2k_audit_has_sink(&reg->audit) ? K2K_INFO_AUDIT_SINK : 0;
	strcpy(info->name, reg->name);
	k2k_segment_uuid_text(info->uuid, defs->header.uuid);
	info->layout_version = defs->header.layout_version;
	info->created_at_ns = defs->header.created_at_ns;
	info->defs_bytes = reg->defs.bytes;
	info->live_bytes = reg->live.bytes;
	/* observe[generation]: only a number */
	info->generation = k2k_load_acquire(&defs->generation);
	info->grace_token = k2k_load_relaxed(&defs->grace_token); /* relaxed: only a number */
	count_list(&defs->tenant_free, &defs->tenant_retired, map->sizes.tenants, &info->tenants);
	count_list(&defs->budget_free, &defs->budget_retired, map->sizes.budgets, &info->budgets);
	count_pool(&ledger.pool, &info->engagements);
	info->leases.capacity = K2K_LEASES(map->sizes);
	info->leases.used = k2k_lease_count(map, &reg->liveness);
	/* the table has spare records, which are not part of its capacity and may be used too */
	if (info->leases.used > info->leases.capacity)
		info->leases.used = info->leases.capacity;
	count_brokers(reg, info);
	info->max_audit_events = map->sizes.events;
	info->max_brokers = map->sizes.slots;
	info->max_kernels = map->sizes.kernels;
	info->cut_gpu_ns = k2k_load_relaxed(&defs->cut_ns); /* relaxed: only a number */
	if (reg->defs.header.incompatible & K2K_FEATURE_REQUIRE_AUDIT)
		info->flags |= K2K_INFO_REQUIRE_AUDIT;
	if (reg->defs.header.incompatible & K2K_FEATURE_SIMULATED)
		info->flags |= K2K_INFO_SIMULATED;
	if (reg->defs.header.incompatible & K2K_FEATURE_STRICT)
		info->flags |= K2K_INFO_STRICT;
	copy_files(reg, info);
}

int k2k_registry_info(struct k2k_registry *reg, struct k2k_registry_info *info)
{
	K2K_UNCANCELLED;
	struct k2k_registry_info copy;
	/* a struct that is used again may have these flags */
	int code = reg ? K2K_CHECK_STRUCT(info, K2K_INFO_AUDIT_SINK | K2K_INFO_REQUIRE_AUDIT |
	                                                K2K_INFO_SIMULATED | K2K_INFO_STRICT)
	               : 0;

	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	memset(&copy, 0, sizeof(copy));
	copy_info(reg, &copy);
	k2k_read_unlock();
	K2K_GIVE_STRUCT(info, &copy);
	return 0;
}
