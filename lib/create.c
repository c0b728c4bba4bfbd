/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * create.c (F7) - plan and create.
 *
 * create, killed after:
 *   step                    others see     what the next create, destroy or open as ADMIN does
 *   built, unnamed          nothing        nothing: the kernel has freed the objects
 *   creator's byte locked   nothing        nothing: the same
 *   live linked             no registry    removes live: its byte is free, and no defs refers to it
 *   defs linked             the registry   nothing
 *
 * Model: tests/model/create.pml, together with destroy, attach and the sweepers. Its steps are
 * system calls on names and lock bytes, which the kernel orders. The one word in memory,
 * `poisoned`, is published before the unlink and looked at again under the writer's lock.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "budget.h"
#include "handle.h"
#include "sweep.h"
#include "tenant.h"

#define DEFAULT_TENANTS 4096
#define DEFAULT_ENGAGEMENTS 65536
#define DEFAULT_BUDGETS 16384
#define DEFAULT_KERNELS 16384
#define MOST_TENANTS (1u << 24)
#define MOST_RECORDS (1u << 28)
#define MOST_EVENTS (1u << 16)
#define MANY_SLOTS 256
#define DEFAULT_MODE 0660u

static int check_create_options(const struct k2k_create_options *options)
{
	if (options->max_tenants > MOST_TENANTS)
		return k2k_fail_argument("max_tenants", "above 2^24");
	if (options->max_engagements > MOST_RECORDS)
		return k2k_fail_argument("max_engagements", "above 2^28");
	if (options->max_leases > MOST_RECORDS)
		return k2k_fail_argument("max_leases", "above 2^28");
	if (options->max_budgets > MOST_RECORDS)
		return k2k_fail_argument("max_budgets", "above 2^28");
	if (options->max_kernels > MOST_RECORDS)
		return k2k_fail_argument("max_kernels", "above 2^28");
	if (options->max_audit_events > MOST_EVENTS)
		return k2k_fail_argument("max_audit_events", "above 2^16");
	if (options->max_brokers > K2K_SLOTS_MAX)
		return k2k_fail_argument("max_brokers", "above 1024");
	if ((options->flags & K2K_CREATE_MODE) &&
	    ((options->mode & ~0777u) || (options->mode & 0600) != 0600))
		return k2k_fail_argument(
			"mode", "not 0600 to 0777 with read and write permission for the owner");
	return 0;
}

/* Copies and checks the caller's options. Null means the defaults. */
static int take_create_options(const struct k2k_create_options *options,
                               struct k2k_create_options *mine)
{
	static const struct k2k_create_options none = K2K_CREATE_OPTIONS_INIT;
	int code = K2K_TAKE_STRUCT(mine, options ? options : &none,
	                           K2K_CREATE_GROUP | K2K_CREATE_MODE | K2K_CREATE_REQUIRE_AUDIT |
	                                   K2K_CREATE_SIMULATED | K2K_CREATE_STRICT);

	return code ? code : check_create_options(mine);
}

static uint32_t or_default(uint64_t value, uint32_t otherwise)
{
	return value ? (uint32_t)value : otherwise;
}

/* The smallest power of two that is at least `least`. */
static uint32_t power_of_two(uint32_t least)
{
	uint32_t power = 1;

	while (power < least)
		power *= 2;
	return power;
}

/* Fewer in each ring, the more rings there are: those of 1024 brokers take 32 MiB, not 128. */
static uint32_t default_events(uint32_t slots)
{
	return slots <= K2K_SLOTS_DEFAULT ? 256 : slots <= MANY_SLOTS ? 128 : 64;
}

static void read_sizes(const struct k2k_create_options *options, struct k2k_sizes *sizes)
{
	sizes->tenants = or_default(options->max_tenants, DEFAULT_TENANTS);
	sizes->engagements = or_default(options->max_engagements, DEFAULT_ENGAGEMENTS);
	sizes->slots = or_default(options->max_brokers, K2K_SLOTS_DEFAULT);
	sizes->leases = or_default(options->max_leases, 4 * sizes->tenants) + sizes->slots;
	sizes->budgets = or_default(options->max_budgets, DEFAULT_BUDGETS);
	sizes->kernels = or_default(options->max_kernels, DEFAULT_KERNELS);
	sizes->events = power_of_two(
		or_default(options->max_audit_events, default_events(sizes->slots)));
}

/* Runs on the agent. */
static int make_plan(const struct k2k_create_options *options, struct k2k_registry_plan *plan)
{
	struct k2k_shm_header defs, live;
	struct k2k_sizes sizes;
	struct k2k_room room;
	int code = k2k_room_read(&room);

	if (code)
		return code;
	read_sizes(options, &sizes);
	k2k_map_lay_out(&sizes, &defs, &live);
	plan->defs_bytes = defs.total_bytes;
	plan->live_bytes = live.total_bytes;
	plan->total_bytes = defs.total_bytes + live.total_bytes;
	plan->shm_free_bytes = room.shm_bytes;
	plan->memory_free_bytes = room.memory_bytes;
	plan->cgroup_free_bytes = room.cgroup_bytes;
	plan->max_tenants = sizes.tenants;
	plan->max_engagements = sizes.engagements;
	plan->max_leases = K2K_LEASES(sizes);
	plan->max_budgets = sizes.budgets;
	plan->max_audit_events = sizes.events;
	plan->max_brokers = sizes.slots;
	plan->max_kernels = sizes.kernels;
	return 0;
}

struct planning {
	struct k2k_create_options options;
	struct k2k_registry_plan plan;
};

static int plan_on_agent(void *context)
{
	struct planning *planning = context;

	return make_plan(&planning->options, &planning->plan);
}

int k2k_registry_plan(const struct k2k_create_options *options, struct k2k_registry_plan *plan)
{
	K2K_UNCANCELLED;
	struct planning planning = { .plan = { .flags = 0 } };
	struct k2k_agent agent;
	int code = k2k_rcu_join();

	if (!code)
		code = K2K_CHECK_STRUCT(plan, 0);
	if (!code)
		code = take_create_options(options, &planning.options);
	if (!code)
		code = k2k_agent_start(&agent);
	if (code)
		return code;
	code = k2k_agent_run(&agent, plan_on_agent, &planning);
	k2k_agent_stop(&agent);
	if (!code)
		K2K_GIVE_STRUCT(plan, &planning.plan);
	return code;
}

static int check_room(const struct k2k_registry_plan *plan)
{
	const struct {
		uint64_t free;
		const char *where;
	} limits[] = { { plan->shm_free_bytes, K2K_SHM_DIR },
		       { plan->memory_free_bytes, "the machine's memory" },
		       { plan->cgroup_free_bytes, "the memory control group" } };

	for (size_t i = 0; i < K2K_COUNT_OF(limits); i++)
		if (plan->total_bytes > limits[i].free)
			return k2k_fail_values(K2K_ENOMEM, "room", limits[i].where,
			                       plan->total_bytes, limits[i].free,
			                       "the registry needs %llu bytes, but %s has only "
			                       "%llu free: create a smaller one, or free memory",
			                       (unsigned long long)plan->total_bytes,
			                       limits[i].where, (unsigned long long)limits[i].free);
	return 0;
}

/*
 * For a create that ran out of memory although check_room() found enough: puts the current numbers
 * into the detail.
 */
static int no_room(const struct k2k_registry_plan *plan)
{
	struct k2k_error_detail detail = *k2k_error_detail();
	struct k2k_room room;

	detail.expected = plan->total_bytes;
	if (k2k_room_read(&room) == 0)
		detail.found = room.shm_bytes < room.memory_bytes ? room.shm_bytes
		                                                  : room.memory_bytes;
	k2k_restore_detail(&detail);
	return K2K_ENOMEM;
}

/* ---- create ------------------------------------------------------------------------- */

struct creation {
	struct k2k_agent agent;
	const char *name;
	struct k2k_create_options options;
	struct k2k_segment defs, live;
	struct k2k_lock byte;
};

static int fill_header(struct k2k_segment *seg, const struct k2k_shm_header *plan, uint64_t magic,
                       const uint8_t uuid[16], mode_t mode)
{
	struct k2k_shm_header *header = (struct k2k_shm_header *)(void *)seg->base;
	int code;

	*header = *plan;
	header->magic = magic;
	header->layout_version = K2K_LAYOUT_VERSION;
	header->byte_order = K2K_BYTE_ORDER;
	header->header_bytes = sizeof(*header);
	header->fingerprint = k2k_layout_fingerprint();
	header->compatible = K2K_COMPATIBLE;
	memcpy(header->uuid, uuid, sizeof(header->uuid));
	code = k2k_segment_boot_id(header->boot_id);
	header->created_at_ns = k2k_clock_realtime_ns();
	header->clock = K2K_CLOCK_MONOTONIC_COARSE_HOST;
	header->object_mode = mode;
	header->checksum = k2k_layout_checksum(header);
	seg->header = *header;
	return code;
}

/* Makes a list of all records, in order. No other process has the object yet. */
static void fill_list(const struct k2k_list *list)
{
	for (uint32_t i = 0; i < list->capacity; i++)
		k2k_list_append(list, i);
}

/* Appends the first event of the administrators' ring. */
static int report(const struct k2k_map *map, mode_t mode)
{
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_CREATED };
	uint64_t *values = body.more.change.values;
	struct k2k_trail_writer writer;
	int code = k2k_trail_writer_open(&writer, map, NULL);

	if (code)
		return code;
	values[K2K_AUDIT_CREATED_MAX_TENANTS] = map->sizes.tenants;
	values[K2K_AUDIT_CREATED_MAX_ENGAGEMENTS] = map->sizes.engagements;
	values[K2K_AUDIT_CREATED_MAX_LEASES] = K2K_LEASES(map->sizes);
	values[K2K_AUDIT_CREATED_MAX_BUDGETS] = map->sizes.budgets;
	values[K2K_AUDIT_CREATED_MAX_EVENTS] = map->sizes.events;
	values[K2K_AUDIT_CREATED_MODE] = mode;
	values[K2K_AUDIT_CREATED_MAX_BROKERS] = map->sizes.slots;
	k2k_trail_append_locked(&writer.trail, &body);
	return 0;
}

static int fill(struct creation *creation, const struct k2k_shm_header *defs,
                const struct k2k_shm_header *live, mode_t mode)
{
	struct k2k_list tenants, budgets, periods;
	struct k2k_map map;
	uint64_t key[K2K_KERNEL_NAME_WORDS];
	uint8_t uuid[16];
	int code;

	if (getrandom(uuid, sizeof(uuid), 0) != (ssize_t)sizeof(uuid))
		return k2k_fail_errno(K2K_EIO, errno, "uuid",
		                      "getrandom(2) gives no random number");
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return k2k_fail_errno(K2K_EIO, errno, "kernel_key",
		                      "getrandom(2) gives no random number");
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40); /* RFC 4122, version 4 */
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	code = fill_header(&creation->defs, defs, K2K_DEFS_MAGIC, uuid, mode & ~022u);
	if (!code)
		code = fill_header(&creation->live, live, K2K_LIVE_MAGIC, uuid, mode);
	if (!code)
		code = k2k_map_bind(&map, &creation->defs, &creation->live);
	if (code)
		return code;
	tenants = k2k_tenant_free_list(&map);
	budgets = k2k_budget_free_list(&map);
	fill_list(&tenants);
	fill_list(&budgets);
	periods = k2k_budget_period_list(&map);
	fill_list(&periods);
	memcpy(map.defs->kernel_key, key, sizeof(key));
	/* relaxed: no other process has it yet; a token of 0 means "never" */
	k2k_store_relaxed(&map.defs->grace_token, 1);
	k2k_store_relaxed(&map.defs->grace_wake, 1);
	return report(&map, mode);
}

static int build(struct creation *creation, const struct k2k_create_options *options,
                 const struct k2k_sizes *sizes)
{
	mode_t mode = options->flags & K2K_CREATE_MODE ? (mode_t)options->mode : DEFAULT_MODE;
	bool has_group = options->flags & K2K_CREATE_GROUP;
	gid_t group = has_group ? (gid_t)options->gid : 0;
	struct k2k_shm_header defs, live;
	int code;

	memset(&defs, 0, sizeof(defs));
	memset(&live, 0, sizeof(live));
	if (options->flags & K2K_CREATE_REQUIRE_AUDIT)
		defs.incompatible |= K2K_FEATURE_REQUIRE_AUDIT; /* fill_header() copies it */
	if (options->flags & K2K_CREATE_STRICT)
		defs.incompatible |= K2K_FEATURE_STRICT;
	if (options->flags & K2K_CREATE_SIMULATED)
		defs.incompatible |= K2K_FEATURE_SIMULATED;
	k2k_map_lay_out(sizes, &defs, &live);
	code = k2k_segment_build(&creation->defs, &creation->agent, "defs", defs.total_bytes,
	                         mode & ~022u, has_group, group);
	if (!code)
		code = k2k_segment_build(&creation->live, &creation->agent, "live",
		                         live.total_bytes, mode, has_group, group);
	return code ? code : fill(creation, &defs, &live, mode);
}

/*
 * Links live, then defs. If two processes create at once, only one can link defs; the other unlinks
 * its live.
 */
static int name_objects(struct creation *creation, const char *name)
{
	char defs_path[K2K_PATH_MAX], live_path[K2K_PATH_MAX];
	int code;

	k2k_segment_defs_path(defs_path, name);
	k2k_segment_live_path(live_path, name, creation->defs.header.uuid);
	code = k2k_lock_try(&creation->live, K2K_LOCK_BYTE_CREATOR, &creation->byte);
	if (!code)
		code = k2k_segment_link(&creation->live, live_path);
	if (code)
		return code;
	code = k2k_segment_link(&creation->defs, defs_path);
	if (code)
		unlink(live_path);
	return code;
}

/*
 * 0 if the name is free, K2K_EEXIST if a registry has it. A registry whose destroyer was killed is
 * removed first.
 */
static int check_free(struct k2k_agent *agent, const char *name)
{
	char path[K2K_PATH_MAX];
	struct k2k_segment defs;
	bool poisoned;
	int code;

	k2k_segment_defs_path(path, name);
	code = k2k_segment_open(&defs, agent, "defs", path, true, NULL);
	if (code == K2K_ENOREGISTRY)
		return 0;
	if (code == 0) {
		/* relaxed: it never changes back */
		poisoned = k2k_load_relaxed(
				   &((struct k2k_shm_defs *)(void *)defs.base)->poisoned) ==
		           K2K_POISONED;
		code = poisoned ? k2k_sweep_poisoned(name, &defs) : 0;
		k2k_segment_close(&defs);
		if (code == K2K_ENOREGISTRY)
			return 0;
	}
	if (code == K2K_EIO || code == K2K_ENOMEM)
		return code;
	/* a registry, a damaged one or another file has the name: it is never replaced */
	return k2k_fail(K2K_EEXIST, "name", NULL, "%s already exists: open it, or destroy it first",
	                path);
}

/* Runs on the agent. */
static int create(void *context)
{
	struct k2k_registry_plan plan;
	struct creation *creation = context;
	struct k2k_sizes sizes;
	int code = make_plan(&creation->options, &plan);

	read_sizes(&creation->options, &sizes);
	if (!code)
		code = check_free(&creation->agent, creation->name);
	if (code)
		return code;
	k2k_sweep(&creation->agent, creation->name, NULL);
	code = check_room(&plan);
	if (code)
		return code;
	code = build(creation, &creation->options, &sizes);
	if (code == K2K_ENOMEM)
		code = no_room(&plan);
	if (!code)
		code = name_objects(creation, creation->name);
	k2k_lock_drop(&creation->byte);
	return code;
}

/* Runs on the agent. Removes the new registry: a create that fails leaves nothing behind. */
static int take_back(void *context)
{
	struct creation *creation = context;

	k2k_sweep_ours(creation->name, &creation->defs);
	return 0;
}

static int unmap(void *context)
{
	struct creation *creation = context;

	k2k_segment_close(&creation->live);
	k2k_segment_close(&creation->defs);
	return 0;
}

int k2k_registry_create(const char *name, const struct k2k_create_options *options,
                        struct k2k_registry **handle)
{
	K2K_UNCANCELLED;
	struct creation creation;
	int code;

	if (handle)
		*handle = NULL;
	code = k2k_segment_check_name(name);
	if (!code)
		code = k2k_rcu_join();
	if (code)
		return code;
	memset(&creation, 0, sizeof(creation));
	code = take_create_options(options, &creation.options);
	if (code)
		return code;
	if (handle && (creation.options.flags & K2K_CREATE_SIMULATED))
		return k2k_fail_argument("handle",
		                         "a simulation is opened with a clock of its own");
	creation.name = name;
	creation.defs.fd = -1;
	creation.live.fd = -1;
	code = k2k_agent_start(&creation.agent);
	if (code)
		return code;
	code = k2k_agent_run(&creation.agent, create, &creation);
	if (!code && handle) {
		code = k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, handle);
		if (code) {
			struct k2k_error_detail detail = *k2k_error_detail();

			k2k_agent_run(&creation.agent, take_back, &creation);
			k2k_restore_detail(&detail);
		}
	}
	k2k_agent_run(&creation.agent, unmap, &creation);
	k2k_agent_stop(&creation.agent);
	return code;
}
