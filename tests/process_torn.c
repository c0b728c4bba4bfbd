/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_torn.c - a read is interrupted after each of its instructions, while others change what
 * it reads: it sees one state or the other, never parts of both. x86-64 only, as crash_trace.h.
 */
#include "interrupt.h"

#include "rate.h"
#include "tenant.h"

static void begin(struct k2k_registry **admin)
{
	shared = shared_bytes(sizeof *shared);
	shared->clock_ns = UINT64_C(1000000000000);
	name = small_registry(1, admin);
	(*admin)->clock.injected_ns = &shared->clock_ns;
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void set_limits(struct k2k_registry *admin, uint64_t n)
{
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 1000 + n,
		                   .max_gpu_memory_bytes = 2000 + n,
		                   .max_concurrent_kernels = (uint32_t)(3000 + n) };

	assert_int_equal(
		k2k_tenant_update(admin, 1, &quota,
	                          K2K_UPDATE_RATE | K2K_UPDATE_GPU_MEMORY | K2K_UPDATE_KERNELS),
		0);
}

/*
 * Puts one set of limits in force; prepares the next in the set that the reader may be reading, but
 * never puts that in force.
 */
static void update_and_prepare(struct k2k_registry *admin, uint64_t n)
{
	struct k2k_limits never = { .rate = 77, .gpu_memory_bytes = 77, .kernels = 77 };

	set_limits(admin, n);
	k2k_tenant_prepare(&admin->map, 0, &never);
}

static void check_limit(uint64_t limit, uint64_t base, uint64_t n)
{
	if (limit != base + n - 1 && limit != base + n)
		fail_msg("after %" PRIu64 " instructions: limit %" PRIu64 ", in force was %" PRIu64
		         " or one less",
		         n, limit, base + n);
}

static void read_tenant(struct k2k_registry *reg, struct shared *answer)
{
	answer->info = (struct k2k_tenant_info){ .size = sizeof answer->info };
	answer->code = k2k_tenant_get(reg, 1, &answer->info);
}

static void limits_are_of_one_set(uint64_t n)
{
	const struct k2k_tenant_info *info = &shared->info;

	assert_int_equal(shared->code, 0);
	check_limit(info->max_messages_per_sec, 1000, n);
	assert_int_equal(info->max_gpu_memory_bytes, info->max_messages_per_sec + 1000);
	assert_int_equal(info->max_concurrent_kernels, info->max_messages_per_sec + 2000);
}

static void read_check(struct k2k_registry *reg, struct shared *answer)
{
	answer->verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	answer->code = k2k_quota_check(reg, 1, (struct k2k_audit_tag){ 0, 0 }, 1, &answer->verdict);
}

static void rate_is_one_that_was_in_force(uint64_t n)
{
	assert_int_equal(shared->code, 0);
	check_limit(shared->verdict.limit, 1000, n);
	assert_int_equal(shared->verdict.remaining, shared->verdict.limit);
}

static void read_kernels(struct k2k_registry *reg, struct shared *answer)
{
	answer->verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	answer->code = k2k_kernel_acquire(reg, 1, NULL, &answer->verdict);
	if (answer->code == 0)
		answer->code = k2k_kernel_release_id(reg, 1);
}

static void kernels_are_of_a_limit_that_was_in_force(uint64_t n)
{
	assert_int_equal(shared->code, 0);
	check_limit(shared->verdict.limit, 3000, n);
}

static void interrupt_by_updates(enum k2k_role role,
                                 void (*read)(struct k2k_registry *, struct shared *),
                                 void (*judge)(uint64_t))
{
	struct scene scene = {
		.role = role, .read = read, .change = update_and_prepare, .judge = judge
	};
	struct k2k_registry *admin;

	begin(&admin);
	register_tenant(admin, 1, 1, 1);
	set_limits(admin, 0);
	interrupt_everywhere(admin, &scene);
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
	interrupt_by_updates(K2K_ROLE_BROKER, read_kernels,
	                     kernels_are_of_a_limit_that_was_in_force);
}

/* ---- windows --------------------------------------------------------------------------------- */

/* Acts as a broker that counts three messages in the next second: each second had three. */
static void count_in_next_second(struct k2k_registry *admin, uint64_t n)
{
	struct k2k_shm_cell *cell = &admin->map.cells[0];

	(void)n;
	shared->clock_ns += UINT64_C(1000000000);
	cell->window = k2k_rate_pack_second(shared->clock_ns / 1000000000u, 1);
	cell->ceiling = cell->admitted;
	cell->admitted += 3;
}

static void window_and_count_belong_together(uint64_t n)
{
	const struct k2k_tenant_info *info = &shared->info;

	assert_int_equal(shared->code, 0);
	/* the read saw the old window with 3, the same one expired, or the new one with 3 */
	if (info->window == 1000 + n)
		assert_true(info->admitted_total == 3 * n ||
		            (info->admitted_total == 3 * n + 3 && info->messages_this_second == 3));
	else
		assert_true(info->window == 1000 + n - 1 && info->admitted_total == 3 * n &&
		            info->messages_this_second == 3);
	assert_true(info->messages_this_second == 0 || info->messages_this_second == 3);
}

static void verdict_is_of_one_second(uint64_t n)
{
	const struct k2k_verdict *v = &shared->verdict;

	assert_int_equal(shared->code, 0);
	assert_true(v->window == 1000 + n || (v->window == 1000 + n - 1 && v->used == 3));
	assert_true(v->used == 0 || v->used == 3);
}

static void interrupt_by_windows(enum k2k_role role,
                                 void (*read)(struct k2k_registry *, struct shared *),
                                 void (*judge)(uint64_t))
{
	struct scene scene = {
		.role = role, .read = read, .change = count_in_next_second, .judge = judge
	};
	struct k2k_registry *admin;

	begin(&admin);
	register_tenant(admin, 1, 100, 1);
	shared->clock_ns -= UINT64_C(1000000000);
	count_in_next_second(admin, 0);
	interrupt_everywhere(admin, &scene);
	close_and_destroy(name, &admin);
}

TEST(a_copy_of_a_tenant_counts_the_messages_of_one_second)
{
	interrupt_by_windows(K2K_ROLE_OBSERVER, read_tenant, window_and_count_belong_together);
}

TEST(a_check_counts_the_messages_of_one_second)
{
	interrupt_by_windows(K2K_ROLE_OBSERVER, read_check, verdict_is_of_one_second);
}

TEST(a_brokers_check_counts_the_messages_of_one_second)
{
	interrupt_by_windows(K2K_ROLE_BROKER, read_check, verdict_is_of_one_second);
}

/* ---- admissions ------------------------------------------------------------------------------ */

static uint64_t base; /* of the second */

/* One of three has been counted, in a second of its own. */
static void begin_second(struct k2k_registry *admin, uint64_t n)
{
	struct k2k_shm_cell *cell = &admin->map.cells[0];

	(void)n;
	base = cell->admitted;
	shared->clock_ns += UINT64_C(1000000000);
	cell->window = k2k_rate_pack_second(shared->clock_ns / 1000000000u, 1);
	cell->ceiling = base;
	cell->admitted = base + 1;
}

/* Another broker takes two, or what is left of them. */
static void take_the_rest(struct k2k_registry *admin, uint64_t n)
{
	(void)n;
	while (admin->map.cells[0].admitted < base + 3)
		admin->map.cells[0].admitted++;
}

/* Asks for two messages when two are left. */
static void read_admit(struct k2k_registry *reg, struct shared *answer)
{
	answer->verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	answer->code = k2k_message_admit(reg, 1, (struct k2k_audit_tag){ 0, 0 }, 2,
	                                 &answer->verdict);
}

static struct k2k_registry *counted;

static void two_or_none_were_admitted(uint64_t n)
{
	(void)n;
	assert_int_equal(counted->map.cells[0].admitted, base + 3);
	assert_true(shared->code == 0 || shared->code == K2K_ERATE);
	assert_int_equal(shared->verdict.used, 3);
}

TEST(an_admission_that_another_comes_before_counts_all_of_it_or_nothing)
{
	struct scene scene = { K2K_ROLE_BROKER, read_admit, begin_second, take_the_rest,
		               two_or_none_were_admitted };
	struct k2k_registry *admin;

	begin(&admin);
	register_tenant(admin, 1, 3, 1);
	counted = admin;
	begin_second(admin, 0);
	interrupt_everywhere(admin, &scene);
	close_and_destroy(name, &admin);
}

/* ---- registrations --------------------------------------------------------------------------- */

static uint64_t newest; /* the generation that was given */

/* Every counter and setting of this registration is `seed`. */
static void restore(struct k2k_registry *admin, k2k_tenant_id id, uint64_t seed)
{
	struct k2k_usage usage = { 7, seed };
	struct k2k_budget budget = { 9, 5 };
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = seed,
		                   .max_gpu_memory_bytes = seed,
		                   .max_concurrent_kernels = (uint32_t)seed,
		                   .budget_count = seed % 2 ? 1 : 0,
		                   .budgets = &budget };
	struct k2k_tenant_image image = { .size = sizeof image,
		                          .id = id,
		                          .generation = seed,
		                          .registered_at_ns = seed,
		                          .admitted_total = seed,
		                          .rejected_total = { seed, seed, seed, seed },
		                          .unattributed_ns = seed,
		                          .quota = &quota,
		                          .usage = &usage,
		                          .usage_count = 1 };

	assert_int_equal(k2k_tenant_restore(admin, &image), 0);
	newest = seed;
}

static void remove_tenant(struct k2k_registry *admin, k2k_tenant_id id)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };

	assert_int_equal(k2k_tenant_deregister(admin, id, &totals), 0);
	assert_int_equal(totals.final, 1);
	assert_int_equal(totals.gpu_ns_total, newest);
}

/* Registers the same id again, in the only slot. */
static void register_anew(struct k2k_registry *admin, uint64_t n)
{
	(void)n;
	remove_tenant(admin, 1);
	restore(admin, 1, newest + 1);
}

static void all_is_of_one_registration(uint64_t n)
{
	const struct k2k_tenant_info *info = &shared->info;
	uint64_t seed = info->generation;

	assert_int_equal(shared->code, 0);
	if (seed != newest && seed != newest - 1)
		fail_msg("after %" PRIu64 " instructions: generation %" PRIu64, n, seed);
	assert_int_equal(info->id, 1);
	assert_int_equal(info->registered_at_ns, seed);
	assert_int_equal(info->max_messages_per_sec, seed);
	assert_int_equal(info->max_gpu_memory_bytes, seed);
	assert_int_equal(info->max_concurrent_kernels, seed);
	assert_int_equal(info->budget_count, seed % 2);
	assert_int_equal(info->admitted_total, seed);
	assert_int_equal(info->rejected_total.rate, seed);
	assert_int_equal(info->rejected_total.budget, seed);
	assert_int_equal(info->rejected_total.kernels, seed);
	assert_int_equal(info->rejected_total.gpu_memory, seed);
	assert_int_equal(info->unattributed_ns, seed);
}

/* Puts another tenant into the only slot; for the next read, the first one again. */
static k2k_tenant_id there;

static void put(struct k2k_registry *admin, k2k_tenant_id id)
{
	if (there == id)
		return;
	remove_tenant(admin, there);
	restore(admin, id, newest + 1);
	there = id;
}

static void back_to_first(struct k2k_registry *admin, uint64_t n)
{
	(void)n;
	put(admin, 1);
}

static void replace(struct k2k_registry *admin, uint64_t n)
{
	(void)n;
	put(admin, 2);
}

static void nothing_of_another_tenant_is_read(uint64_t n)
{
	if (shared->code == K2K_ENOTENANT)
		return;
	assert_int_equal(shared->code, 0);
	if (shared->number != newest - 1)
		fail_msg("after %" PRIu64 " instructions: %" PRIu64 ", tenant 1 had %" PRIu64, n,
		         shared->number, newest - 1);
}

static void read_cost(struct k2k_registry *reg, struct shared *answer)
{
	answer->code = k2k_usage_engagement_for(reg, 1, (struct k2k_audit_tag){ 0, 7 },
	                                        &answer->number);
}

static void read_limit(struct k2k_registry *reg, struct shared *answer)
{
	read_check(reg, answer);
	answer->number = answer->verdict.limit;
}

static void interrupt_by_registrations(const struct scene *scene)
{
	struct k2k_registry *admin;

	begin(&admin);
	there = 1;
	restore(admin, 1, 100);
	interrupt_everywhere(admin, scene);
	close_and_destroy(name, &admin);
}

TEST(a_copy_of_a_tenant_is_of_one_registration)
{
	interrupt_by_registrations(&(struct scene){ K2K_ROLE_OBSERVER, read_tenant, NULL,
	                                            register_anew, all_is_of_one_registration });
}

TEST(a_cost_is_never_another_tenants)
{
	interrupt_by_registrations(&(struct scene){ K2K_ROLE_OBSERVER, read_cost, back_to_first,
	                                            replace, nothing_of_another_tenant_is_read });
}

TEST(a_check_is_never_decided_by_another_tenants_limit)
{
	interrupt_by_registrations(&(struct scene){ K2K_ROLE_OBSERVER, read_limit, back_to_first,
	                                            replace, nothing_of_another_tenant_is_read });
}

/* ---- a registration that is never complete --------------------------------------------------- */

static k2k_tenant_id never; /* in the bucket of tenant 1 */

/* Does what the successor of a killed writer would undo. */
static void undo_building(struct k2k_registry *admin, uint64_t n)
{
	struct k2k_repair_info repaired = { .size = sizeof repaired };

	if (n <= 1)
		return;
	assert_int_equal(k2k_registry_repair(admin, &repaired), 0);
	assert_int_equal(repaired.tenants, 1);
	restore(admin, 1, newest + 2);
}

static void begin_another(struct k2k_registry *admin, uint64_t n)
{
	struct k2k_limits limits = { .rate = 1 };
	uint64_t generation;
	uint32_t slot;

	(void)n;
	remove_tenant(admin, 1);
	assert_int_equal(k2k_tenant_build(&admin->map, never, &limits, &slot, &generation), 0);
}

static void read_never(struct k2k_registry *reg, struct shared *answer)
{
	int registered = 0;
	k2k_tenant_id id = 0;
	size_t count = 0;

	answer->code = k2k_tenant_is_registered(reg, never, &registered);
	if (!answer->code && !registered)
		answer->code = k2k_tenant_ids(reg, &id, 1, &count);
	answer->number = registered || (count && id != 1);
}

static void nobody_has_seen_it(uint64_t n)
{
	assert_int_equal(shared->code, 0);
	if (shared->number)
		fail_msg("after %" PRIu64
		         " instructions a tenant was seen that never was registered",
		         n);
}

TEST(a_registration_that_is_never_complete_is_never_seen)
{
	struct scene scene = { K2K_ROLE_OBSERVER, read_never, undo_building, begin_another,
		               nobody_has_seen_it };
	struct k2k_repair_info repaired = { .size = sizeof repaired };
	struct k2k_registry *admin;

	begin(&admin);
	for (never = 2; k2k_tenant_bucket(&admin->map, never) != k2k_tenant_bucket(&admin->map, 1);
	     never++)
		;
	restore(admin, 1, 100);
	interrupt_everywhere(admin, &scene);
	assert_int_equal(k2k_registry_repair(admin, &repaired), 0);
	close_and_destroy(name, &admin);
}
