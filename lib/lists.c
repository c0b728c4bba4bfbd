/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lists.c (F7) - lists of brokers, leases, budgets and usage, into the caller's array. Each list
 * says how many elements there are, even if the array has room for fewer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "budget.h"
#include "handle.h"
#include "lease.h"
#include "ledger.h"
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

/* ---- usage -------------------------------------------------------------------------- */

static int add_usage(void *context, const struct k2k_cost_copy *cost)
{
	struct out *out = context;
	k2k_tenant_id id = id_of(out, cost->slot, cost->generation);
	struct k2k_usage_info info = { .id = id,
		                       .generation = cost->generation,
		                       .engagement_id = cost->engagement,
		                       .gpu_ns = cost->cost_ns };

	if (id != K2K_TENANT_UNSPECIFIED)
		put(out, &info, sizeof(info));
	return 0;
}

int k2k_usage_list(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_usage_info *list,
                   size_t capacity, size_t *count)
{
	K2K_UNCANCELLED;
	struct out out = { .list = list, .capacity = capacity };
	int code = reg ? K2K_CHECK_LIST(list, capacity, count, 0) : 0;

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

/* Reads the cost in the budget's ledger record, as brokers do. False: it names no such record. */
static bool used_of(const struct k2k_map *map, const struct k2k_shm_budget *budget,
                    const struct k2k_hash_key *key, uint64_t *ns)
{
	/* relaxed, all: between two looks at the state */
	uint32_t index = k2k_load_relaxed(&budget->ledger) - 1;

	if (index >= map->sizes.engagements || !k2k_hash_matches(&map->ledger[index].entry, key))
		return false;
	*ns = k2k_load_relaxed(&map->ledger[index].cost_ns);
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
	if (!used_of(map, budget,
	             &(struct k2k_hash_key){ info.generation, info.engagement_id, slot },
	             &info.used_ns))
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

/*
 * Adds one row for a tenant whose leases can't be determined, so that its damage does not hide the
 * leases of other tenants.
 */
static void add_damaged(struct out *out, k2k_tenant_id id, uint64_t generation)
{
	struct k2k_lease_info info = { .flags = K2K_TENANT_DAMAGED,
		                       .id = id,
		                       .generation = generation,
		                       .slot = K2K_LEASE_SLOT_NONE };

	put(out, &info, sizeof(info));
}

static int add_leases(struct out *out, uint32_t slot, k2k_tenant_id id, uint64_t generation)
{
	struct k2k_registry *reg = out->reg;
	struct k2k_holdings holdings;
	int code = k2k_lease_collect(&reg->map, slot, generation, &holdings);

	if (!k2k_tenant_still(&reg->map, slot, k2k_tenant_word(K2K_TENANT_LIVE, generation)))
		return 0; /* deregistered meanwhile: holds nothing */
	if (code && out->id == K2K_TENANT_UNSPECIFIED) {
		add_damaged(out, id, generation);
		return 0;
	}
	for (uint32_t i = 0; !code && i < holdings.count; i++) {
		const struct k2k_holding *h = &holdings.list[i];
		struct k2k_lease_info info = { .id = id, .generation = generation };

		if (!(h->held[0] || h->held[1]) ||
		    !k2k_liveness_alive(&reg->liveness, h->incarnation))
			continue;
		info.slot = h->broker_slot;
		/* relaxed: for diagnostics */
		info.pid = k2k_load_relaxed(&reg->map.slots[h->broker_slot].pid);
		info.kernels = h->held[K2K_RESOURCE_KERNELS];
		info.gpu_memory_bytes = h->held[K2K_RESOURCE_GPU_MEMORY];
		put(out, &info, sizeof(info));
	}
	return code;
}

/* Adds the leases of one tenant slot, if it is a live registration. */
static int add_leases_of_slot(struct out *out, uint32_t slot)
{
	/* observe[tenant-state]: its leases */
	uint64_t word = k2k_load_acquire(&out->reg->map.tenants[slot].state_gen);
	k2k_tenant_id id;

	if (k2k_tenant_state(word) != K2K_TENANT_LIVE || !k2k_lease_any(&out->reg->map, slot))
		return 0;
	id = id_of(out, slot, k2k_tenant_generation(word));
	return id ? add_leases(out, slot, id, k2k_tenant_generation(word)) : 0;
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

static void add_holdings(struct k2k_registry *reg, uint64_t kernels[K2K_SLOTS],
                         uint64_t bytes[K2K_SLOTS])
{
	struct k2k_holdings holdings;

	memset(kernels, 0, sizeof(uint64_t) * K2K_SLOTS);
	memset(bytes, 0, sizeof(uint64_t) * K2K_SLOTS);
	for (uint32_t slot = 0; slot < reg->map.sizes.tenants; slot++) {
		/* observe[tenant-state]: its leases */
		uint64_t word = k2k_load_acquire(&reg->map.tenants[slot].state_gen);

		if (k2k_tenant_state(word) != K2K_TENANT_LIVE ||
		    k2k_lease_collect(&reg->map, slot, k2k_tenant_generation(word), &holdings) !=
		            0 ||
		    !k2k_tenant_still(&reg->map, slot, word))
			continue;
		for (uint32_t i = 0; i < holdings.count; i++) {
			const struct k2k_holding *h = &holdings.list[i];

			/* it is a former owner's; relaxed: only compared */
			if (h->incarnation !=
			    k2k_load_relaxed(&reg->map.slots[h->broker_slot].owner))
				continue;
			kernels[h->broker_slot] += h->held[K2K_RESOURCE_KERNELS];
			bytes[h->broker_slot] = k2k_sat_add(bytes[h->broker_slot],
			                                    h->held[K2K_RESOURCE_GPU_MEMORY]);
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
	uint64_t kernels[K2K_SLOTS], bytes[K2K_SLOTS];
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

	for (uint32_t i = 0; i < K2K_SLOTS; i++) {
		/* observe[slot-owner]: its identity */
		uint64_t owner = k2k_load_acquire(&reg->map.slots[i].owner);
		struct k2k_broker_info info = { .flags = 0 };

		if (owner == 0)
			continue;
		if (has_room(out))
			copy_broker(reg, i, owner, &info);
		if (info.state != K2K_BROKER_DEAD) {
			info.kernels = list->kernels[i];
			info.gpu_memory_bytes = list->bytes[i];
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
	if (capacity)
		add_holdings(reg, brokers.kernels, brokers.bytes);
	k2k_agent_run(&reg->agent, list_brokers, &brokers);
	k2k_read_unlock();
	*count = brokers.out.count;
	return 0;
}
