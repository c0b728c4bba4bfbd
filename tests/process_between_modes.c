/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_between_modes.c - like process_between.c: a change of limits and of their shadow, which
 * is one store; and suspended tenants.
 */
#include "between.h"

static const struct k2k_audit_tag engaged = { 0, 7 };

/*
 * Two definitions by which every request passes: limits of 0 in shadow, and no limits, enforced. A
 * mixture of the two refuses, or tells of a shadow that there was not.
 */
static void pass_by(struct k2k_registry *by, bool shadow)
{
	struct k2k_budget budget = { engaged.engagement_id, shadow ? 0 : K2K_UNLIMITED };
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	quota.shadow = shadow;
	quota.budgets = &budget;
	quota.budget_count = 1;
	if (shadow)
		quota.max_messages_per_sec = quota.max_gpu_memory_bytes =
			quota.max_concurrent_kernels = 0;
	assert_int_equal(k2k_tenant_update(by, 1, &quota,
	                                   K2K_UPDATE_RATE | K2K_UPDATE_GPU_MEMORY |
	                                           K2K_UPDATE_KERNELS | K2K_UPDATE_BUDGETS |
	                                           K2K_UPDATE_SHADOW),
	                 0);
}

static void arrange_one(struct k2k_registry *by, uint64_t n)
{
	pass_by(by, n % 2);
}

static void change_to_the_other(struct k2k_registry *by, uint64_t n)
{
	pass_by(by, n % 2 == 0);
}

static void it_passed_by_one(uint64_t n)
{
	const struct k2k_verdict *v = &shared->verdict;

	if (shared->code != 0)
		fail_msg("after %" PRIu64 " instructions: %s, by a limit of %" PRIu64, n,
		         k2k_errname(shared->code), v->limit);
	if ((v->shadow_code != 0) != (v->limit == 0))
		fail_msg("after %" PRIu64 " instructions: %s in shadow, by a limit of %" PRIu64, n,
		         k2k_errname(v->shadow_code), v->limit);
}

static void admit(struct k2k_registry *reg, struct shared *answer)
{
	answer->verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	answer->code = k2k_message_admit(reg, 1, engaged, 1, &answer->verdict);
}

static void peek(struct k2k_registry *reg, struct shared *answer)
{
	answer->verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	answer->code = k2k_quota_check(reg, 1, engaged, 1, &answer->verdict);
}

static void acquire(struct k2k_registry *reg, struct shared *answer)
{
	struct k2k_lease lease = K2K_LEASE_INIT;

	answer->verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	answer->code = k2k_kernel_acquire(reg, 1, &lease, &answer->verdict);
	if (answer->code == 0)
		answer->code = k2k_kernel_release(reg, &lease);
}

static void begin_passing(void)
{
	begin_sized(2, 4, false);
	register_tenant(admin, 1, K2K_UNLIMITED, K2K_UNLIMITED_KERNELS);
}

TEST(an_admission_sees_a_limit_with_its_own_shadow)
{
	begin_passing();
	interrupt(&(struct scene){ K2K_ROLE_BROKER, admit, arrange_one, change_to_the_other,
	                           it_passed_by_one });
}

TEST(a_check_sees_a_limit_with_its_own_shadow)
{
	begin_passing();
	interrupt(&(struct scene){ K2K_ROLE_OBSERVER, peek, arrange_one, change_to_the_other,
	                           it_passed_by_one });
}

TEST(an_acquire_sees_a_limit_with_its_own_shadow)
{
	begin_passing();
	interrupt(&(struct scene){ K2K_ROLE_BROKER, acquire, arrange_one, change_to_the_other,
	                           it_passed_by_one });
}

/* ---- the other way round: the update stands still between two of its stores ---- */

static void change_all(struct k2k_registry *reg, struct shared *answer)
{
	pass_by(reg, answer->number % 2);
	answer->code = 0;
}

static void arrange_the_other(struct k2k_registry *by, uint64_t n)
{
	shared->number = n;
	pass_by(by, n % 2 == 0);
}

static void all_passes(struct k2k_registry *by, uint64_t n)
{
	struct k2k_tenant_info info = tenant_info(by, 1);

	admit(other, shared);
	it_passed_by_one(n);
	acquire(other, shared);
	it_passed_by_one(n);
	assert_int_equal(info.shadow, info.max_messages_per_sec == 0);
	assert_int_equal(info.shadow, info.max_concurrent_kernels == 0);
}

static void it_has_changed(uint64_t n)
{
	assert_int_equal(tenant_info(admin, 1).shadow, n % 2);
}

TEST(an_update_of_limits_and_shadow_is_seen_at_once)
{
	begin_sized(4, 4, true);
	register_tenant(admin, 1, K2K_UNLIMITED, K2K_UNLIMITED_KERNELS);
	interrupt_at(admin,
	             &(struct scene){ K2K_ROLE_ADMIN, change_all, arrange_the_other, all_passes,
	                              it_has_changed },
	             defs_changed);
	end();
}

/* ---- shares ---- */

static void set_share(struct k2k_registry *by, uint64_t share, uint64_t alone)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	quota.max_messages_per_sec = share;
	quota.rate_shared = 1;
	quota.rate_alone = alone;
	assert_int_equal(k2k_tenant_update(by, 1, &quota, K2K_UPDATE_RATE), 0);
}

/* There is a window to look at, so the short way is tried. */
static void begin_with_shares(void)
{
	begin_sized(2, 4, true);
	register_tenant(admin, 1, K2K_UNLIMITED, K2K_UNLIMITED_KERNELS);
	assert_int_equal(k2k_message_record(other, 1), 0);
}

/*
 * A message passes by the earlier epoch, whose shares have ended, since there is no limit alone,
 * and by the later one, whose share is unlimited. It is refused if it is decided by the share of
 * the earlier and the time of the later one.
 */
static void end_shares_of_nothing(struct k2k_registry *by, uint64_t n)
{
	assert_int_equal(k2k_shares_hold(by, n + 1, 0), 0);
	set_share(by, 0, K2K_UNLIMITED);
}

static void begin_unlimited_shares(struct k2k_registry *by, uint64_t n)
{
	set_share(by, K2K_UNLIMITED, K2K_UNLIMITED);
	assert_int_equal(k2k_shares_hold(by, n + 1, UINT64_MAX), 0);
}

static void it_passed(uint64_t n)
{
	if (shared->code != 0)
		fail_msg("after %" PRIu64 " instructions: %s, by a limit of %" PRIu64, n,
		         k2k_errname(shared->code), shared->verdict.limit);
}

TEST(an_admission_takes_no_share_by_the_time_of_a_later_epoch)
{
	begin_with_shares();
	interrupt(&(struct scene){ K2K_ROLE_BROKER, admit, end_shares_of_nothing,
	                           begin_unlimited_shares, it_passed });
}

/* The other way round: both refuse, and the mixture passes, which the short way does at once. */
static void end_unlimited_shares(struct k2k_registry *by, uint64_t n)
{
	assert_int_equal(k2k_shares_hold(by, n + 1, 0), 0);
	set_share(by, K2K_UNLIMITED, 0);
}

static void begin_shares_of_nothing(struct k2k_registry *by, uint64_t n)
{
	set_share(by, 0, 0);
	assert_int_equal(k2k_shares_hold(by, n + 1, UINT64_MAX), 0);
}

static void it_was_refused(uint64_t n)
{
	if (shared->code != K2K_ERATE)
		fail_msg("after %" PRIu64 " instructions: %s, by a limit of %" PRIu64, n,
		         k2k_errname(shared->code), shared->verdict.limit);
}

TEST(a_check_takes_no_share_by_the_time_of_a_later_epoch)
{
	begin_with_shares();
	interrupt(&(struct scene){ K2K_ROLE_BROKER, peek, end_unlimited_shares,
	                           begin_shares_of_nothing, it_was_refused });
}

/* Each epoch has a time of its own, which is shown with it; or none yet. */
static void hold(struct k2k_registry *by, uint64_t epoch)
{
	assert_int_equal(k2k_shares_hold(by, epoch, 0), 0);
	assert_int_equal(k2k_shares_hold(by, epoch, UINT64_MAX / 2 + epoch), 0);
}

static void hold_even_epoch(struct k2k_registry *by, uint64_t n)
{
	hold(by, 2 * n + 2);
}

static void hold_next_epoch(struct k2k_registry *by, uint64_t n)
{
	hold(by, 2 * n + 3);
}

static void look_at_shares(struct k2k_registry *reg, struct shared *answer)
{
	struct k2k_shares shares = K2K_SHARES_INIT;

	answer->code = k2k_shares_get(reg, &shares);
	answer->number = shares.epoch;
	answer->verdict.used = shares.until_ns;
}

static void time_is_of_its_epoch(uint64_t n)
{
	assert_int_equal(shared->code, 0);
	if (shared->verdict.used && shared->verdict.used != UINT64_MAX / 2 + shared->number)
		fail_msg("after %" PRIu64 " instructions: epoch %" PRIu64
		         " with the time of epoch %" PRIu64,
		         n, shared->number, shared->verdict.used - UINT64_MAX / 2);
}

TEST(a_look_at_shares_has_the_time_of_its_epoch)
{
	begin_sized(2, 4, false);
	interrupt(&(struct scene){ K2K_ROLE_OBSERVER, look_at_shares, hold_even_epoch,
	                           hold_next_epoch, time_is_of_its_epoch });
}

/* ---- suspend ---- */

static void run_free(struct k2k_registry *by, uint64_t n)
{
	(void)n;
	assert_int_equal(k2k_tenant_resume(by, 1), 0);
	shared->number = tenant_info(by, 1).kernels;
}

/* As a drain: what is held once the call has ended stays held, whatever the call saw. */
static void suspend(struct k2k_registry *by, uint64_t n)
{
	(void)n;
	assert_int_equal(k2k_tenant_suspend(by, 1), 0);
}

static void admit_and_hold(struct k2k_registry *reg, struct shared *answer)
{
	answer->verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	answer->code = k2k_kernel_acquire(reg, 1, NULL, &answer->verdict);
}

static void it_is_held_or_refused(uint64_t n)
{
	uint64_t held = tenant_info(admin, 1).kernels - shared->number;

	if (shared->code != 0 && shared->code != K2K_ESUSPENDED)
		fail_msg("after %" PRIu64 " instructions: %s", n, k2k_errname(shared->code));
	assert_int_equal(held, shared->code == 0);
	assert_int_equal(k2k_kernel_acquire(other, 1, NULL, NULL), K2K_ESUSPENDED);
}

TEST(an_acquire_during_a_suspend_holds_its_lease_or_is_refused)
{
	begin_sized(2, 4, true);
	register_tenant(admin, 1, K2K_UNLIMITED, K2K_UNLIMITED_KERNELS);
	interrupt(&(struct scene){ K2K_ROLE_BROKER, admit_and_hold, run_free, suspend,
	                           it_is_held_or_refused });
}
