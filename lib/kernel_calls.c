/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * kernel_calls.c (F7) - the public calls of the directory of kernels. What a killed process leaves
 * is in kernel.h.
 */
#include "kernel.h"

#include <string.h>

#include "leaser.h"
#include "tenant.h"

#define PATIENCE_NS UINT64_C(20000000) /* how long an add is tried again */
#define PAUSE_NS UINT64_C(50000)

/* ---- add ----------------------------------------------------------------------------------- */

struct adding {
	struct k2k_registry *reg;
	struct k2k_kernel_name name;
	struct k2k_kernel_of of;
	struct k2k_named_slot slot;
	struct k2k_verdict *verdict;
};

static struct k2k_kernel_user user_of(struct k2k_registry *reg)
{
	k2k_assert_locked(&reg->kernel_mutex);
	return (struct k2k_kernel_user){ .map = &reg->map,
		                         .liveness = &reg->liveness,
		                         .broker = &reg->broker,
		                         .full_at = &reg->kernels_full_at };
}

static int bad_name(void)
{
	return k2k_fail_argument("name", "not 1 to 63 bytes");
}

/* For diagnostics. */
static uint64_t pid_of(const struct k2k_map *map, uint64_t incarnation)
{
	for (uint32_t i = 0; i < map->sizes.slots; i++)
		/* relaxed, both: for diagnostics */
		if (k2k_load_relaxed(&map->slots[i].owner) == incarnation)
			return k2k_load_relaxed(&map->slots[i].pid);
	return 0;
}

/* A number that is another one once a broker has died, or has closed. */
static uint64_t living_brokers(struct k2k_registry *reg)
{
	uint64_t owners[K2K_LIVENESS_AT_ONCE], sum = 0;
	bool alive[K2K_LIVENESS_AT_ONCE];
	uint32_t count = 0;

	for (uint32_t i = 0; i < reg->map.sizes.slots; i++) {
		/* relaxed: the kernel is asked */
		owners[count++] = k2k_load_relaxed(&reg->map.slots[i].owner);
		if (count < K2K_LIVENESS_AT_ONCE && i + 1 < reg->map.sizes.slots)
			continue;
		k2k_liveness_ask(&reg->liveness, owners, alive, count);
		for (; count > 0; count--)
			sum += alive[count - 1] ? owners[count - 1] : 0;
	}
	return sum;
}

/*
 * Frees what nobody has, unless that has just been tried in vain, since it takes a pass. What a
 * broker had that has ended since is free at once.
 */
static bool make_room(struct k2k_registry *reg)
{
	struct k2k_kernel_user user = user_of(reg);
	uint64_t now = k2k_clock_monotonic_ns(), living = living_brokers(reg);

	if (reg->kernels_swept_ns && reg->kernels_living == living &&
	    now - reg->kernels_swept_ns < K2K_NS_PER_SEC)
		return false;
	if (k2k_kernel_sweep(&user))
		return true;
	reg->kernels_swept_ns = now;
	reg->kernels_living = living;
	return false;
}

/* As k2k_kernel_reserve(), but waits, and then it is K2K_EBUSY; and fills the detail. */
static int reserve(struct adding *a, struct k2k_kernel_copy *copy)
{
	struct k2k_registry *reg = a->reg;
	struct k2k_kernel_user user = user_of(reg);
	uint64_t deadline = 0, other = 0, now, pid;
	int code;

	for (;;) {
		code = k2k_kernel_reserve(&user, &a->name, copy, &other);
		if (code == K2K_EFULL && make_room(reg))
			continue;
		if (code != K2K_KERNEL_AGAIN)
			break;
		now = k2k_clock_monotonic_ns();
		if (!deadline)
			deadline = now + PATIENCE_NS;
		if (now >= deadline) {
			code = K2K_EBUSY;
			break;
		}
		k2k_clock_sleep_ns(PAUSE_NS);
	}
	if (code == K2K_EFULL)
		return k2k_fail_values(
			K2K_EFULL, "kernels", NULL, reg->map.sizes.kernels, reg->map.sizes.kernels,
			"the directory is full: %u names are in use", reg->map.sizes.kernels);
	if (code != K2K_EBUSY && code != K2K_EEXIST)
		return code;
	pid = pid_of(&reg->map, other);
	return k2k_fail_pid(code, "kernels", pid,
	                    code == K2K_EEXIST ? "process %llu has a kernel of that name"
	                                       : "process %llu changes the same part of the "
	                                         "directory: is it stopped?",
	                    (unsigned long long)pid);
}

/* Does the kernel stay with the registration that it has? Then it keeps its slot. */
static int is_same_tenant(const struct adding *a, const struct k2k_kernel_copy *copy, bool *same)
{
	uint64_t state_gen;
	uint32_t slot;
	int code;

	*same = copy->of.generation == 0;
	if (a->slot.id == K2K_TENANT_UNSPECIFIED)
		return 0;
	*same = false;
	code = k2k_enter(a->reg, K2K_GATE_BROKER);
	if (code)
		return code;
	/* of an unknown tenant the acquire says so, and counts it */
	if (k2k_tenant_find(&a->reg->map, a->slot.id, &slot, &state_gen) == 0)
		*same = k2k_tenant_generation(state_gen) == copy->of.generation;
	k2k_read_unlock();
	return 0;
}

/* The name is ours: it gets a new tenant, tag and address. */
static int change(struct adding *a, const struct k2k_kernel_copy *copy)
{
	struct k2k_kernel_user user = user_of(a->reg);
	bool same;
	int code = is_same_tenant(a, copy, &same);

	if (code)
		return code;
	if (same) {
		a->of.slot = copy->of.slot;
		a->of.generation = copy->of.generation;
		k2k_kernel_publish(&user, copy->index, &a->of);
		return 0;
	}
	code = k2k_acquire_named(a->reg, &a->slot, a->verdict);
	if (code)
		return code;
	K2K_DELAY(kernel_leased);
	a->of.slot = a->slot.slot;
	a->of.generation = a->slot.generation;
	k2k_kernel_publish(&user, copy->index, &a->of);
	K2K_DELAY(kernel_moved);
	k2k_release_named(a->reg, copy->of.slot, copy->of.generation);
	return 0;
}

/* Under the mutex. */
static int add(struct adding *a)
{
	struct k2k_kernel_user user = user_of(a->reg);
	struct k2k_kernel_copy copy;
	int code = reserve(a, &copy);

	if (code == K2K_KERNEL_OURS)
		return change(a, &copy);
	if (code)
		return code;
	code = k2k_acquire_named(a->reg, &a->slot, a->verdict);
	if (code) {
		struct k2k_error_detail detail = *k2k_error_detail();

		k2k_kernel_drop(&user, &a->name, copy.index, k2k_kernel_park(&user, copy.index));
		k2k_restore_detail(&detail);
		return code;
	}
	K2K_DELAY(kernel_leased);
	a->of.slot = a->slot.slot;
	a->of.generation = a->slot.generation;
	k2k_kernel_publish(&user, copy.index, &a->of);
	return 0;
}

int k2k_kernel_add(struct k2k_registry *reg, const char *name, k2k_tenant_id id,
                   struct k2k_audit_tag tag, const struct k2k_kernel_address *address,
                   struct k2k_verdict *verdict)
{
	K2K_UNCANCELLED;
	struct adding a = { .reg = reg, .of = { .tag = tag }, .slot = { .id = id } };
	struct k2k_verdict nothing = K2K_VERDICT_INIT;
	int code = reg ? 0 : k2k_fail_argument("registry", "null");

	if (!code && !name)
		code = k2k_fail_argument("name", "null");
	if (!code && verdict)
		code = K2K_CHECK_STRUCT(verdict, 0);
	if (!code)
		code = k2k_hold(reg, K2K_GATE_BROKER);
	if (code)
		return code;
	if (k2k_kernel_name(&reg->map, name, &a.name)) {
		if (address)
			a.of.address = *address;
		if (verdict)
			K2K_GIVE_STRUCT(verdict, &nothing);
		a.verdict = verdict;
		pthread_mutex_lock(&reg->kernel_mutex);
		code = add(&a);
		pthread_mutex_unlock(&reg->kernel_mutex);
	} else {
		code = bad_name();
	}
	k2k_tell_sink(reg, a.slot.sink, &a.slot.rejection);
	k2k_unhold(reg);
	return code;
}

/* ---- remove -------------------------------------------------------------------------------- */

static int remove_name(struct k2k_registry *reg, const struct k2k_kernel_name *name)
{
	struct k2k_kernel_user user = user_of(reg);
	struct k2k_kernel_copy copy;
	uint64_t parked;
	int code = k2k_kernel_look(&reg->map, name, &copy);

	if (code == K2K_HASH_ABSENT)
		return K2K_ENOKERNEL;
	if (code)
		return code;
	if (k2k_kernel_state(copy.word) != K2K_KERNEL_LIVE)
		return K2K_ENOKERNEL;
	if (copy.incarnation != reg->broker.incarnation)
		return k2k_kernel_seems_alive(&reg->map, &reg->liveness, &copy) ? K2K_ENOTHELD
		                                                                : K2K_ENOKERNEL;
	parked = k2k_kernel_park(&user, copy.index);
	k2k_release_named(reg, copy.of.slot, copy.of.generation);
	k2k_kernel_drop(&user, name, copy.index, parked);
	return 0;
}

int k2k_kernel_remove(struct k2k_registry *reg, const char *text)
{
	K2K_UNCANCELLED;
	struct k2k_kernel_name name;
	int code = reg ? 0 : k2k_fail_argument("registry", "null");

	if (!code && !text)
		code = k2k_fail_argument("name", "null");
	if (!code)
		code = k2k_hold(reg, K2K_GATE_BROKER);
	if (code)
		return code;
	if (k2k_kernel_name(&reg->map, text, &name)) {
		pthread_mutex_lock(&reg->kernel_mutex);
		code = remove_name(reg, &name);
		pthread_mutex_unlock(&reg->kernel_mutex);
	} else {
		code = bad_name();
	}
	k2k_unhold(reg);
	return code;
}

/* ---- find and list ------------------------------------------------------------------------- */

static void fill_info(const struct k2k_map *map, const struct k2k_kernel_copy *copy,
                      const uint64_t words[K2K_KERNEL_NAME_WORDS], struct k2k_kernel_info *info)
{
	*info = (struct k2k_kernel_info){ .generation = copy->of.generation,
		                          .tag = copy->of.tag,
		                          .address = copy->of.address,
		                          .incarnation = copy->incarnation,
		                          /* relaxed: for diagnostics */
		                          .pid = k2k_load_relaxed(&map->slots[copy->broker].pid),
		                          .broker = copy->broker };
	memcpy(info->name, words, sizeof(info->name));
	info->name[K2K_KERNEL_NAME_MAX] = '\0'; /* bytes may lie */
	if (copy->of.generation &&
	    !k2k_tenant_id_at(map, copy->of.slot, copy->of.generation, &info->id)) {
		info->id = K2K_TENANT_UNSPECIFIED;
		info->flags = K2K_KERNEL_STALE;
	}
}

/*
 * A broker's own agent reports deaths within a second. If no broker is left, nobody does, so in the
 * other roles the kernel is asked.
 */
static bool owner_lives(struct k2k_registry *reg, const struct k2k_kernel_copy *copy)
{
	return reg->role == K2K_GATE_BROKER
	               ? k2k_kernel_seems_alive(&reg->map, &reg->liveness, copy)
	               : k2k_liveness_alive(&reg->liveness, copy->incarnation);
}

int k2k_kernel_find(struct k2k_registry *reg, const char *text, struct k2k_kernel_info *info)
{
	K2K_UNCANCELLED;
	struct k2k_kernel_info mine;
	struct k2k_kernel_name name;
	struct k2k_kernel_copy copy;
	int code = reg ? K2K_CHECK_STRUCT(info, K2K_KERNEL_STALE)
	               : k2k_fail_argument("registry", "null");

	if (!code && !text)
		code = k2k_fail_argument("name", "null");
	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	code = k2k_kernel_name(&reg->map, text, &name) ? k2k_kernel_look(&reg->map, &name, &copy)
	                                               : bad_name();
	if (code == K2K_HASH_ABSENT ||
	    (!code && (k2k_kernel_state(copy.word) != K2K_KERNEL_LIVE || !owner_lives(reg, &copy))))
		code = K2K_ENOKERNEL;
	if (!code)
		fill_info(&reg->map, &copy, name.words, &mine);
	k2k_read_unlock();
	if (!code)
		K2K_GIVE_STRUCT(info, &mine);
	return code;
}

struct listing {
	struct k2k_registry *reg;
	uint64_t generation; /* 0: all */
	struct k2k_kernel_info *list;
	size_t capacity, count;
	uint32_t stride;
};

static void list_record(struct listing *out, uint32_t index)
{
	const struct k2k_map *map = &out->reg->map;
	uint64_t words[K2K_KERNEL_NAME_WORDS];
	struct k2k_kernel_copy copy;
	struct k2k_kernel_info info;
	bool copied = false;

	for (int tries = 0; !copied && tries < 8; tries++)
		copied = k2k_kernel_copy_at(map, index, words, &copy);
	if (!copied || k2k_kernel_state(copy.word) != K2K_KERNEL_LIVE ||
	    (out->generation && out->generation != copy.of.generation) ||
	    !k2k_liveness_alive(&out->reg->liveness, copy.incarnation))
		return;
	if (out->count < out->capacity) {
		fill_info(map, &copy, words, &info);
		K2K_GIVE_ELEMENT(out->list, out->stride, out->count, &info);
	}
	out->count++;
}

int k2k_kernel_list(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_kernel_info *list,
                    size_t capacity, size_t *count)
{
	K2K_UNCANCELLED;
	struct listing out = { .reg = reg, .list = list, .capacity = capacity };
	int code = reg ? K2K_CHECK_LIST(list, capacity, count, K2K_KERNEL_STALE) : 0;
	uint64_t state_gen;
	uint32_t slot;

	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	out.stride = K2K_STRIDE(list, capacity);
	if (id != K2K_TENANT_UNSPECIFIED) {
		code = k2k_tenant_find(&reg->map, id, &slot, &state_gen);
		out.generation = k2k_tenant_generation(state_gen);
	}
	if (!code) {
		const struct k2k_hash hash = k2k_kernel_hash(&reg->map);
		uint32_t high = k2k_pool_high(&hash.pool);

		for (uint32_t i = 0; i < high; i++)
			list_record(&out, i);
	}
	k2k_read_unlock();
	if (!code)
		*count = out.count;
	return code;
}
