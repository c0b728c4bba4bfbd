/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_torn.c - a read that is interrupted after each of its instructions, while others change what it reads: it sees one state
 * or the other, never parts of both. x86-64 only, as crash_trace.h.
 */
#include "crash_trace.h"

#include "handle.h"
#include "tenant.h"

/* What the reader, a process of its own, is asked and answers. */
struct shared {
	int code;
	struct k2k_tenant_info info;
	struct k2k_verdict verdict;
	uint64_t ns;
};

typedef void (*reading)(struct k2k_registry *reg, struct shared *shared);
/* `state` counts the points; between two of them the test makes the registry what it was. */
typedef void (*interruption)(struct k2k_registry *admin, uint64_t state);
typedef void (*judgement)(const struct shared *shared, uint64_t state);

static const char *name;

static void read_again_and_again(enum k2k_role role, reading read, struct shared *shared)
{
	struct k2k_registry *reg = open_as(name, role);

	read(reg, shared); /* a thread's first call is another */
	victim_offer();
	for (;;) {
		operation_begins();
		read(reg, shared);
		operation_ends();
	}
}

static void run_to(pid_t pid, void (*place)(void))
{
	break_at(pid, (uintptr_t)place, 0);
	victim_run(pid);
	break_at(pid, 0, 0);
}

static bool nothing_changed(void *context)
{
	(void)context;
	return false;
}

/*
 * Interrupts one read after its first instruction, the next after its second, and so on. A read that takes another way than the
 * first did, say because a second has begun, may not come by: then it is interrupted when it has ended.
 */
static void interrupt_everywhere(struct k2k_registry *admin, enum k2k_role role, reading read, interruption change, judgement judge)
{
	struct shared *shared = shared_bytes(sizeof *shared);
	struct points points = { 0 };
	size_t interrupted = 0;
	pid_t pid = spawn();

	if (pid == 0)
		read_again_and_again(role, read, shared);
	victim_take(pid);
	victim_discover(pid, nothing_changed, NULL, true, &points);
	for (size_t i = 0; i < points.count; i++) {
		run_to(pid, operation_begins);
		interrupted += victim_bring_to(pid, &points.list[i]);
		change(admin, i + 1);
		if (victim_at(pid) != (uintptr_t)operation_ends)
			run_to(pid, operation_ends);
		judge(shared, i + 1);
	}
	CHECK(points.count > 50);
	CHECK(interrupted > points.count / 2);
	victim_kill(pid);
	points_free(&points);
}

/* ---- limits ----------------------------------------------------------------------------------- */

static void set_limits(struct k2k_registry *admin, uint64_t n)
{
	struct k2k_quota quota = { sizeof quota, 0, 1000 + n, 2000 + n, (uint32_t)(3000 + n), 0, NULL };

	CHECK_EQ(k2k_tenant_update(admin, 1, &quota, K2K_UPDATE_RATE | K2K_UPDATE_GPU_MEMORY | K2K_UPDATE_KERNELS), 0);
}

/* Two updates: the first leaves the reader's set alone, the second writes it. And one that is prepared, but never in force. */
static void update_twice(struct k2k_registry *admin, uint64_t n)
{
	struct k2k_limits never = { .rate = 77, .gpu_memory_bytes = 77, .kernels = 77 };

	set_limits(admin, 2 * n - 1);
	set_limits(admin, 2 * n);
	k2k_tenant_prepare(&admin->map, 0, &never);
}

static void check_limit(uint64_t limit, uint64_t base, uint64_t n)
{
	if (limit < base + 2 * n - 2 || limit > base + 2 * n)
		FAIL("after %" PRIu64 " instructions: limit %" PRIu64 " of tenant at %" PRIu64, n, limit, base + 2 * n);
}

static void read_tenant(struct k2k_registry *reg, struct shared *shared)
{
	shared->info = (struct k2k_tenant_info){ .size = sizeof shared->info };
	shared->code = k2k_tenant_get(reg, 1, &shared->info);
}

static void limits_are_of_one_set(const struct shared *shared, uint64_t n)
{
	const struct k2k_tenant_info *info = &shared->info;

	CHECK_EQ(shared->code, 0);
	check_limit(info->max_messages_per_sec, 1000, n);
	CHECK_EQ(info->max_gpu_memory_bytes, info->max_messages_per_sec + 1000);
	CHECK_EQ(info->max_concurrent_kernels, info->max_messages_per_sec + 2000);
}

static void read_check(struct k2k_registry *reg, struct shared *shared)
{
	shared->verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	shared->code = k2k_quota_check(reg, 1, (struct k2k_audit_tag){ 0, 0 }, 1, &shared->verdict);
}

static void rate_is_one_that_was_in_force(const struct shared *shared, uint64_t n)
{
	CHECK_EQ(shared->code, 0);
	check_limit(shared->verdict.limit, 1000, n);
	CHECK_EQ(shared->verdict.remaining, shared->verdict.limit);
}

static void read_kernels(struct k2k_registry *reg, struct shared *shared)
{
	shared->verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	shared->code = k2k_kernel_acquire(reg, 1, NULL, &shared->verdict);
	if (shared->code == 0)
		shared->code = k2k_kernel_release_id(reg, 1);
}

static void kernels_are_of_a_limit_that_was_in_force(const struct shared *shared, uint64_t n)
{
	CHECK_EQ(shared->code, 0);
	check_limit(shared->verdict.limit, 3000, n);
}

static void interrupt_by_updates(enum k2k_role role, reading read, judgement judge)
{
	struct k2k_registry *admin;

	name = small_registry(1, &admin);
	register_tenant(admin, 1, 1, 1);
	set_limits(admin, 0);
	interrupt_everywhere(admin, role, read, update_twice, judge);
	close_and_destroy(name, &admin);
}

TEST(a_copy_of_a_tenant_has_limits_that_were_in_force_together)
{
	interrupt_by_updates(K2K_ROLE_OBSERVER, read_tenant, limits_are_of_one_set);
}

TEST(a_check_is_decided_under_a_rate_that_was_in_force)
{
	interrupt_by_updates(K2K_ROLE_OBSERVER, read_check, rate_is_one_that_was_in_force);
}

TEST(a_brokers_check_is_decided_under_a_rate_that_was_in_force)
{
	interrupt_by_updates(K2K_ROLE_BROKER, read_check, rate_is_one_that_was_in_force);
}

TEST(a_kernel_slot_is_granted_under_a_limit_that_was_in_force)
{
	interrupt_by_updates(K2K_ROLE_BROKER, read_kernels, kernels_are_of_a_limit_that_was_in_force);
}

/* ---- registrations -------------------------------------------------------------------------------- */

static uint64_t newest;      /* generation that was given */

/* Everything that is counted or set of this registration says `seed`. */
static void restore(struct k2k_registry *admin, k2k_tenant_id id, uint64_t seed)
{
	struct k2k_usage usage = { 7, seed };
	struct k2k_budget budget = { 9, 5 };
	struct k2k_quota quota = { sizeof quota, 0, seed, seed, (uint32_t)seed, seed % 2 ? 1 : 0, &budget };
	struct k2k_tenant_image image = { .size = sizeof image, .id = id, .generation = seed, .registered_at_ns = seed,
		                          .admitted_total = seed, .rejected_total = { seed, seed, seed, seed },
		                          .unattributed_ns = seed, .quota = &quota, .usage = &usage, .usage_count = 1 };

	CHECK_EQ(k2k_tenant_restore(admin, &image), 0);
	newest = seed;
}

static void remove_tenant(struct k2k_registry *admin, k2k_tenant_id id)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };

	CHECK_EQ(k2k_tenant_deregister(admin, id, &totals), 0);
	CHECK_EQ(totals.final, 1);
	CHECK_EQ(totals.gpu_ns_total, newest);
}

/* The same id again, in the only place that there is. */
static void register_anew(struct k2k_registry *admin, uint64_t n)
{
	(void)n;
	remove_tenant(admin, 1);
	restore(admin, 1, newest + 1);
}

static void all_is_of_one_registration(const struct shared *shared, uint64_t n)
{
	const struct k2k_tenant_info *info = &shared->info;
	uint64_t seed = info->generation;

	CHECK_EQ(shared->code, 0);
	if (seed != newest && seed != newest - 1)
		FAIL("after %" PRIu64 " instructions: generation %" PRIu64, n, seed);
	CHECK_EQ(info->id, 1);
	CHECK_EQ(info->registered_at_ns, seed);
	CHECK_EQ(info->max_messages_per_sec, seed);
	CHECK_EQ(info->max_gpu_memory_bytes, seed);
	CHECK_EQ(info->max_concurrent_kernels, seed);
	CHECK_EQ(info->budget_count, seed % 2);
	CHECK_EQ(info->admitted_total, seed);
	CHECK_EQ(info->rejected_total.rate, seed);
	CHECK_EQ(info->rejected_total.budget, seed);
	CHECK_EQ(info->rejected_total.kernels, seed);
	CHECK_EQ(info->rejected_total.gpu_memory, seed);
	CHECK_EQ(info->unattributed_ns, seed);
}

/* Another tenant in the only place; and for the next read back to the first. */
static k2k_tenant_id there;

static void replace(struct k2k_registry *admin, uint64_t n)
{
	(void)n;
	remove_tenant(admin, there);
	there = there == 1 ? 2 : 1;
	restore(admin, there, newest + 1);
}

static void nothing_of_another_tenant_is_read(const struct shared *shared, uint64_t n)
{
	uint64_t before = newest - 1; /* who was there before is tenant 1, or who is there now */

	if (shared->code == K2K_ENOTENANT)
		return;
	CHECK_EQ(shared->code, 0);
	if (shared->ns != (there == 1 ? newest : before))
		FAIL("after %" PRIu64 " instructions: %" PRIu64 ", tenant %" PRIu64 " is at %" PRIu64, n, shared->ns, there, newest);
}

static void read_cost(struct k2k_registry *reg, struct shared *shared)
{
	shared->code = k2k_usage_engagement_for(reg, 1, (struct k2k_audit_tag){ 0, 7 }, &shared->ns);
}

static void read_limit(struct k2k_registry *reg, struct shared *shared)
{
	read_check(reg, shared);
	shared->ns = shared->verdict.limit;
}

static void read_ids(struct k2k_registry *reg, struct shared *shared)
{
	k2k_tenant_id id = 0;
	size_t count = 0;

	shared->code = k2k_tenant_ids(reg, &id, 1, &count);
	shared->ns = count ? id : 0;
}

/* Between the two there is a moment without any. */
static void ids_are_of_those_who_were_there(const struct shared *shared, uint64_t n)
{
	(void)n;
	CHECK_EQ(shared->code, 0);
	CHECK(shared->ns <= 2);
}

static void interrupt_by_registrations(reading read, interruption change, judgement judge)
{
	struct k2k_registry *admin;

	name = small_registry(1, &admin);
	there = 1;
	restore(admin, 1, 100);
	interrupt_everywhere(admin, K2K_ROLE_OBSERVER, read, change, judge);
	close_and_destroy(name, &admin);
}

TEST(a_copy_of_a_tenant_is_of_one_registration)
{
	interrupt_by_registrations(read_tenant, register_anew, all_is_of_one_registration);
}

TEST(a_cost_is_never_another_tenants)
{
	interrupt_by_registrations(read_cost, replace, nothing_of_another_tenant_is_read);
}

TEST(a_check_is_never_decided_by_another_tenants_limit)
{
	interrupt_by_registrations(read_limit, replace, nothing_of_another_tenant_is_read);
}

TEST(a_list_of_ids_has_nobody_who_never_was_there)
{
	interrupt_by_registrations(read_ids, replace, ids_are_of_those_who_were_there);
}
