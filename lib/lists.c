/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lists.c (F7) - lists of brokers, leases, budgets and usage, into the caller's array. Each list
 * says how many elements there are, even if the array has room for fewer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alert.h"
#include "budget.h"
#include "handle.h"
#include "lease.h"
#include "ledger.h"
#include "period.h"
#include "tenant.h"

/* The caller's array, which is filled as far as it has room. */
struct out {
	struct k2k_registry *reg;
	k2k_tenant_id id; /* K2K_TENANT_UNSPECIFIED: all */
	uint32_t slot;    /* of id */
	uint64_t generation;
	void *list;
	uint32_t stride;
	size_t capacity, count;
};

static bool has_room(const struct out *out)
{
	return out->count < out->capacity;
}

static void put(struct out *out, const void *info, size_t bytes)
{
	if (has_room(out))
		k2k_struct_give(k2k_element(out->list, out->stride, out->count), out->stride, info,
		                bytes);
	out->count++;
}

/* The id of a live registration; 0 if that is gone, or is not of the tenant that was asked for. */
static k2k_tenant_id id_of(const struct out *out, uint32_t slot, uint64_t generation)
{
	const struct k2k_shm_tenant *tenant = &out->reg->map.tenants[slot];
	uint64_t word = k2k_tenant_word(K2K_TENANT_LIVE, generation);
	k2k_tenant_id id;

	if (k2k_load_acquire(&tenant->state_gen) != word) /* observe[tenant-state]: its id */
		return K2K_TENANT_UNSPECIFIED;
	id = k2k_load_relaxed(&tenant->id); /* relaxed: between the two looks at the state */
	if (!k2k_tenant_still(&out->reg->map, slot, word) || (out->id && out->id != id))
		return K2K_TENANT_UNSPECIFIED;
	return id;
}

/* Begins a list. 0: a read section has begun. Else the error, and no section. */
static int begin(struct out *out, struct k2k_registry *reg, k2k_tenant_id id)
{
	uint64_t word;
	int code = k2k_enter(reg, K2K_GATE_ANY);

	if (code)
		return code;
	out->reg = reg;
	out->id = id;
	if (id == K2K_TENANT_UNSPECIFIED)
		return 0;
	code = k2k_tenant_find(&reg->map, id, &out->slot, &word);
	if (code)
		k2k_read_unlock();
	else
		out->generation = k2k_tenant_generation(word);
	return code;
}

/* What is reserved of the engagement that has this ledger record. */
static int reserved_of(struct k2k_registry *reg, uint32_t ledger, uint64_t generation, uint64_t *ns)
{
	const struct k2k_lease_key key = k2k_lease_of_engagement(ledger, generation);
	uint64_t held[K2K_RESOURCES] = { 0 };
	int code = 0;

	if (k2k_lease_any_reserved(&reg->map, ledger))
		code = k2k_lease_sum(&reg->map, &reg->liveness, &key, held);
	*ns = held[K2K_RESOURCE_GPU_TIME];
	return code;
}

/* ---- usage -------------------------------------------------------------------------- */

static int add_usage(void *context, const struct k2k_cost_copy *cost)
{
	struct out *out = context;
	k2k_tenant_id id = id_of(out, cost->slot, cost->generation);
	struct k2k_usage_info info = { .id = id,
		                       .generation = cost->generation,
		                       .engagement_id = cost->engagement,
		                       .gpu_ns = cost->cost_ns,
		                       .corrected_ns = cost->corrected_ns };

	if (id == K2K_TENANT_UNSPECIFIED)
		return 0;
	if (reserved_of(out->reg, cost->index, cost->generation, &info.reserved_ns))
		info.flags = K2K_TENANT_DAMAGED;
	put(out, &info, sizeof(info));
	return 0;
}

int k2k_usage_list(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_usage_info *list,
                   size_t capacity, size_t *count)
{
	K2K_UNCANCELLED;
	struct out out = { .list = list, .capacity = capacity };
	int code = reg ? K2K_CHECK_LIST(list, capacity, count, K2K_TENANT_DAMAGED) : 0;

	if (!code)
		code = begin(&out, reg, id);
	if (code)
		return code;
	out.stride = K2K_STRIDE(list, capacity);
	code = k2k_ledger_sweep(&reg->map, add_usage, &out);
	k2k_read_unlock();
	if (!code)
		*count = out.count;
	return code;
}

/* ---- budgets ------------------------------------------------------------------------ */

static void add_period(struct k2k_registry *reg, const struct k2k_shm_period *period,
                       const k2k_u64 *cost, enum k2k_every every, struct k2k_budget_info *info)
{
	uint64_t hour = k2k_period_hour(k2k_clock_wall_exact_ns(&reg->clock)), begin;
	struct k2k_period_copy copy;

	k2k_period_view(period, cost, every, hour, &copy);
	begin = k2k_period_begin(copy.word);
	info->used_ns = copy.used;
	info->period = k2k_period_number(copy.word);
	info->began_at_ns = begin * K2K_PERIOD_HOUR_NS;
	info->renews_at_ns = k2k_period_end_ns(every, begin > hour ? begin : hour);
	info->corrected_ns = copy.corrected;
}

/* The highest threshold that was reported in this period, or of this budget. */
static void add_alert(const k2k_u64 *word, uint64_t sequence, struct k2k_budget_info *info)
{
	uint64_t reported = k2k_load_relaxed(word); /* relaxed: a number */

	if (k2k_alert_sequence(reported) == (uint32_t)sequence)
		info->alerted = k2k_alert_level_of(reported);
}

/*
 * Reads the use of the budget, as brokers do. False: it does not name the records that it should.
 */
static bool add_use(struct k2k_registry *reg, const struct k2k_shm_budget *budget,
                    const struct k2k_hash_key *key, struct k2k_budget_info *info)
{
	const struct k2k_map *map = &reg->map;
	/* relaxed, all: between two looks at the state */
	uint32_t index = k2k_load_relaxed(&budget->ledger) - 1,
		 period = k2k_load_relaxed(&budget->period);
	enum k2k_every every = k2k_load_relaxed(&budget->every);

	info->renewal = every == K2K_EVERY_NONE ? K2K_RENEWAL_NEVER : every;
	if (index >= map->sizes.engagements || period > map->sizes.budgets ||
	    !k2k_hash_matches(&map->ledger[index].entry, key) ||
	    reserved_of(reg, index, key->gen, &info->reserved_ns))
		return false;
	if (period) {
		add_period(reg, &map->periods[period - 1], &map->ledger[index].cost_ns, every,
		           info);
		add_alert(&map->periods[period - 1].alerts, info->period, info);
	} else {
		info->used_ns = k2k_ledger_corrected(&map->ledger[index]);
		add_alert(&map->ledger[index].alerts, k2k_load_relaxed(&budget->since), info);
	}
	return true;
}

static void add_budget(struct out *out, uint32_t index)
{
	const struct k2k_map *map = &out->reg->map;
	const struct k2k_shm_budget *budget = &map->budgets[index];
	/* observe[budget-state]: its fields */
	uint64_t word = k2k_load_acquire(&budget->entry.state);
	struct k2k_budget_info info = { .flags = 0 };
	uint64_t version;
	uint32_t slot;

	/* relaxed, all: between two looks at the state */
	slot = k2k_load_relaxed(&budget->entry.slot);
	info.generation = k2k_load_relaxed(&budget->entry.gen);
	info.engagement_id = k2k_load_relaxed(&budget->entry.key);
	K2K_DELAY(half_copied);
	info.budget_ns = k2k_load_relaxed(&budget->budget_ns);
	if (k2k_entry_state(word) != K2K_ENTRY_LIVE || slot >= map->sizes.tenants)
		return;
	info.id = id_of(out, slot, info.generation);
	if (info.id == K2K_TENANT_UNSPECIFIED)
		return;
	k2k_tenant_rate(map, slot, &version);
	if (!k2k_budget_visible(budget, version))
		return;
	if (!add_use(out->reg, budget,
	             &(struct k2k_hash_key){ info.generation, info.engagement_id, slot }, &info))
		info.flags = K2K_TENANT_DAMAGED;
	k2k_fence_acquire(); /* the copies before, the second look after */
	if (k2k_load_relaxed(&budget->entry.state) == word)
		put(out, &info, sizeof(info));
}

int k2k_budget_list(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_budget_info *list,
                    size_t capacity, size_t *count)
{
	K2K_UNCANCELLED;
	struct out out = { .list = list, .capacity = capacity };
	int code = reg ? K2K_CHECK_LIST(list, capacity, count, K2K_TENANT_DAMAGED) : 0;

	if (!code)
		code = begin(&out, reg, id);
	if (code)
		return code;
	out.stride = K2K_STRIDE(list, capacity);
	for (uint32_t i = 0; i < reg->map.sizes.budgets; i++)
		add_budget(&out, i);
	k2k_read_unlock();
	*count = out.count;
	return 0;
}

/* ---- leases --------------------------------------------------------------------------- */

/* Whose leases are added. */
struct holder {
	struct k2k_lease_key key;
	uint32_t slot; /* the tenant's */
	k2k_tenant_id id;
	uint64_t engagement; /* of reservations */
};

/*
 * Adds one row for leases that can't be determined, so that the damage does not hide the leases of
 * other tenants.
 */
static void add_damaged(struct out *out, const struct holder *of)
{
	struct k2k_lease_info info = { .flags = K2K_TENANT_DAMAGED,
		                       .id = of->id,
		                       .generation = of->key.generation,
		                       .slot = K2K_LEASE_SLOT_NONE,
		                       .engagement_id = of->engagement };

	put(out, &info, sizeof(info));
}

static int add_leases(struct out *out, const struct holder *of)
{
	uint64_t generation = of->key.generation;
	struct k2k_registry *reg = out->reg;
	size_t before = out->count;
	struct k2k_lease_walk walk;
	struct k2k_holding h;

	k2k_lease_walk(&walk, &reg->map, &of->key);
	while (k2k_lease_next(&walk, &h)) {
		struct k2k_lease_info info = { .id = of->id,
			                       .generation = generation,
			                       .engagement_id = of->engagement };

		if (!(h.held[0] || h.held[1] || h.held[2]) ||
		    !k2k_liveness_alive(&reg->liveness, h.incarnation))
			continue;
		info.slot = h.broker_slot;
		/* relaxed: for diagnostics */
		info.pid = k2k_load_relaxed(&reg->map.slots[h.broker_slot].pid);
		info.kernels = h.held[K2K_RESOURCE_KERNELS];
		info.gpu_memory_bytes = h.held[K2K_RESOURCE_GPU_MEMORY];
		info.reserved_ns = h.held[K2K_RESOURCE_GPU_TIME];
		put(out, &info, sizeof(info));
	}
	if (!k2k_tenant_still(&reg->map, of->slot, k2k_tenant_word(K2K_TENANT_LIVE, generation))) {
		out->count = before; /* deregistered meanwhile: holds nothing */
		return 0;
	}
	if (walk.code)
		out->count = before;
	if (walk.code && out->id == K2K_TENANT_UNSPECIFIED) {
		add_damaged(out, of);
		return 0;
	}
	return walk.code;
}

/* Adds the leases of one tenant slot, if it is a live registration. */
static int add_leases_of_slot(struct out *out, uint32_t slot)
{
	/* observe[tenant-state]: its leases */
	uint64_t word = k2k_load_acquire(&out->reg->map.tenants[slot].state_gen),
		 generation = k2k_tenant_generation(word);
	struct holder of = { .key = k2k_lease_of_tenant(slot, generation), .slot = slot };

	if (k2k_tenant_state(word) != K2K_TENANT_LIVE || !k2k_lease_any(&out->reg->map, slot))
		return 0;
	of.id = id_of(out, slot, generation);
	return of.id ? add_leases(out, &of) : 0;
}

static int add_reservations(void *context, const struct k2k_cost_copy *cost)
{
	struct out *out = context;
	struct holder of = { .key = k2k_lease_of_engagement(cost->index, cost->generation),
		             .slot = cost->slot,
		             .engagement = cost->engagement };

	if (!k2k_lease_any_reserved(&out->reg->map, cost->index))
		return 0;
	of.id = id_of(out, cost->slot, cost->generation);
	return of.id ? add_leases(out, &of) : 0;
}

int k2k_lease_list(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_lease_info *list,
                   size_t capacity, size_t *count)
{
	K2K_UNCANCELLED;
	struct out out = { .list = list, .capacity = capacity };
	int code = reg ? K2K_CHECK_LIST(list, capacity, count, K2K_TENANT_DAMAGED) : 0;

	if (!code)
		code = begin(&out, reg, id);
	if (code)
		return code;
	out.stride = K2K_STRIDE(list, capacity);
	if (id != K2K_TENANT_UNSPECIFIED)
		code = add_leases_of_slot(&out, out.slot);
	for (uint32_t i = 0; id == K2K_TENANT_UNSPECIFIED && !code && i < reg->map.sizes.tenants;
	     i++)
		code = add_leases_of_slot(&out, i);
	if (!code)
		code = k2k_ledger_sweep(&reg->map, add_reservations, &out);
	k2k_read_unlock();
	if (!code)
		*count = out.count;
	return code;
}

/* ---- brokers ---------------------------------------------------------------------------- */

/* Does a file of the cgroup file system have this line? If it can't be read: no. */
static int cgroup_says(const char *mount, const char *group, const char *file, const char *wanted)
{
	char path[600], line[128];
	FILE *f;
	int says = 0;

	if ((size_t)snprintf(path, sizeof(path), "%s%s/%s", mount, group, file) >= sizeof(path))
		return 0;
	f = fopen(path, "re");
	while (f && !says && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		says = !strcmp(line, wanted);
	}
	if (f)
		fclose(f);
	return says;
}

/*
 * Is the process frozen by the freezer of its cgroup, as by `docker pause`? /proc/PID/stat shows
 * such a process as sleeping. A line of /proc/PID/cgroup is "0::/group" in version 2, and
 * "NUMBER:freezer:/group" in version 1. Both hierarchies are looked for at their usual mount
 * points.
 */
static int is_frozen(uint64_t pid)
{
	char path[64], line[512];
	int frozen = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%llu/cgroup", (unsigned long long)pid);
	f = fopen(path, "re");
	while (f && !frozen && fgets(line, sizeof(line), f)) {
		char *controllers = strchr(line, ':'),
		     *group = controllers ? strchr(controllers + 1, ':') : NULL;

		line[strcspn(line, "\n")] = 0;
		if (!group)
			continue;
		*group++ = 0;
		if (!strcmp(controllers + 1, "freezer"))
			frozen = cgroup_says("/sys/fs/cgroup/freezer", group, "freezer.state",
			                     "FROZEN");
		else if (!controllers[1])
			frozen = cgroup_says("/sys/fs/cgroup", group, "cgroup.events",
			                     "frozen 1") ||
			         cgroup_says("/sys/fs/cgroup/unified", group, "cgroup.events",
			                     "frozen 1");
	}
	if (f)
		fclose(f);
	return frozen;
}

/*
 * Reads the state letter of /proc/PID/stat: T or t is stopped. UNKNOWN if the process is in another
 * pid namespace, where the pid names another process, or if the file can't be read.
 */
static enum k2k_broker_state run_state(uint64_t pid, uint64_t pid_namespace)
{
	struct stat st;
	char path[64], line[512], *after;
	FILE *file;

	if (stat("/proc/self/ns/pid", &st) != 0 || st.st_ino != pid_namespace)
		return K2K_BROKER_UNKNOWN;
	snprintf(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)pid);
	file = fopen(path, "re");
	if (!file)
		return K2K_BROKER_UNKNOWN;
	after = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	if (!after || strlen(after) < 3)
		return K2K_BROKER_UNKNOWN;
	if (after[2] == 'T' || after[2] == 't')
		return K2K_BROKER_STOPPED;
	/* a running process is not frozen */
	return after[2] != 'R' && is_frozen(pid) ? K2K_BROKER_STOPPED : K2K_BROKER_ACTIVE;
}

/* What one broker slot's owner holds of all tenants. */
struct held {
	uint64_t kernels, bytes;
};

static void add_holdings(struct k2k_registry *reg, struct held *held)
{
	for (uint32_t slot = 0; slot < reg->map.sizes.tenants; slot++) {
		/* observe[tenant-state]: its leases */
		uint64_t word = k2k_load_acquire(&reg->map.tenants[slot].state_gen);
		struct k2k_lease_key key = k2k_lease_of_tenant(slot, k2k_tenant_generation(word));
		struct k2k_lease_walk walk;
		struct k2k_holding h;

		if (k2k_tenant_state(word) != K2K_TENANT_LIVE)
			continue;
		k2k_lease_walk(&walk, &reg->map, &key);
		while (k2k_lease_next(&walk, &h)) {
			/* it is a former owner's; relaxed: only compared */
			if (h.incarnation !=
			            k2k_load_relaxed(&reg->map.slots[h.broker_slot].owner) ||
			    !k2k_tenant_still(&reg->map, slot, word))
				continue;
			held[h.broker_slot].kernels += h.held[K2K_RESOURCE_KERNELS];
			held[h.broker_slot].bytes = k2k_sat_add(held[h.broker_slot].bytes,
			                                        h.held[K2K_RESOURCE_GPU_MEMORY]);
		}
	}
}

static void copy_broker(struct k2k_registry *reg, uint32_t i, uint64_t owner,
                        struct k2k_broker_info *info)
{
	const struct k2k_shm_slot *slot = &reg->map.slots[i];
	bool alive = k2k_liveness_alive(&reg->liveness, owner);
	/* relaxed, all: for diagnostics */
	uint64_t token = k2k_load_relaxed(&reg->map.defs->grace_token);

	info->slot = i;
	info->incarnation = owner;
	info->pid = k2k_load_relaxed(&slot->pid);
	info->pid_namespace = k2k_load_relaxed(&slot->pid_namespace);
	info->attached_at_ns = k2k_load_relaxed(&slot->attached_at_ns);
	k2k_identity_comm(info->comm, k2k_load_relaxed(&slot->comm[0]),
	                  k2k_load_relaxed(&slot->comm[1]));
	info->cross_tenant_total = k2k_load_relaxed(&slot->cross_tenant_total);
	info->unknown_tenant_total = k2k_load_relaxed(&slot->unknown_tenant_total);
	info->state = alive ? (uint32_t)run_state(info->pid, info->pid_namespace)
	                    : (uint32_t)K2K_BROKER_DEAD;
	info->grace_behind = alive ? k2k_sat_sub(token, k2k_load_relaxed(&slot->ack)) : 0;
}

struct broker_out {
	struct out out;
	struct held *held; /* by broker slot; null: no room is left in the list anyway */
};

/*
 * Runs on the agent, because it opens files to learn whether a process is stopped. The caller is in
 * a read section meanwhile.
 */
static int list_brokers(void *context)
{
	struct broker_out *list = context;
	struct out *out = &list->out;
	struct k2k_registry *reg = out->reg;

	for (uint32_t i = 0; i < reg->map.sizes.slots; i++) {
		/* observe[slot-owner]: its identity */
		uint64_t owner = k2k_load_acquire(&reg->map.slots[i].owner);
		struct k2k_broker_info info = { .flags = 0 };

		if (owner == 0)
			continue;
		if (has_room(out))
			copy_broker(reg, i, owner, &info);
		if (list->held && info.state != K2K_BROKER_DEAD) {
			info.kernels = list->held[i].kernels;
			info.gpu_memory_bytes = list->held[i].bytes;
		}
		put(out, &info, sizeof(info));
	}
	return 0;
}

int k2k_broker_list(struct k2k_registry *reg, struct k2k_broker_info *list, size_t capacity,
                    size_t *count)
{
	K2K_UNCANCELLED;
	struct broker_out brokers = { .out = { .list = list, .capacity = capacity } };
	int code = reg ? K2K_CHECK_LIST(list, capacity, count, 0) : 0;

	if (!code)
		code = begin(&brokers.out, reg, K2K_TENANT_UNSPECIFIED);
	if (code)
		return code;
	brokers.out.stride = K2K_STRIDE(list, capacity);
	if (capacity) {
		brokers.held = calloc(reg->map.sizes.slots, sizeof(*brokers.held));
		if (!brokers.held)
			code = k2k_fail_errno(K2K_ENOMEM, ENOMEM, "brokers",
			                      "no memory for their leases");
		else
			add_holdings(reg, brokers.held);
	}
	if (!code)
		k2k_agent_run(&reg->agent, list_brokers, &brokers);
	k2k_read_unlock();
	free(brokers.held);
	if (!code)
		*count = brokers.out.count;
	return code;
}
