/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_between_hot.c - like process_between.c: a tenant whose window is open (lib/hot.h), while
 * another broker takes all the rest, the limit changes, the second ends, or a word is damaged.
 */
#include "between.h"

#include "rate.h"

enum { LIMIT = 1000, LOWER = 600 };

/* of the window that the read is in: what `other` was granted, and the total before it */
static uint64_t granted, total_before, limit;
static uint32_t source;

static void admit(struct k2k_registry *reg, struct shared *answer)
{
	answer->verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	answer->code = k2k_message_admit(reg, 1, no_tag, 1, &answer->verdict);
}

static void take(uint64_t n)
{
	assert_int_equal(k2k_message_admit(other, 1, no_tag, n, NULL), 0);
	granted += n;
}

/* In a new second: two are granted, and it is open. The victim has no credit. */
static void open_anew(struct k2k_registry *by, uint64_t n)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	(void)n;
	limit = quota.max_messages_per_sec = LIMIT;
	assert_int_equal(k2k_tenant_update(by, 1, &quota, K2K_UPDATE_RATE), 0);
	shared->clock_ns += SECOND;
	total_before = tenant_info(by, 1).admitted_total;
	granted = 0;
	take(1);
	k2k_rate_open_window(&other->map, 0, &other->clock);
	assert_true(k2k_hot_is(by->map.cells[0].admitted));
	take(1);
	source = by->map.cells[0].source;
}

/* The same, but the victim has credit. */
static void open_with_credit(struct k2k_registry *by, uint64_t n)
{
	const struct k2k_map *map = &by->map;
	uint32_t victim = other->broker.slot == 0;
	struct k2k_shm_share *share;
	uint64_t version;

	open_anew(by, n);
	version = K2K_SELECT_VERSION(map->tenants[0].select);
	assert_int_equal(
		k2k_hot_draw(map, 0, victim, map->cells[0].opening, version, LIMIT, 1, &share),
		K2K_HOT_RAISED);
	assert_true(share->spent.second & K2K_HOT_CREDIT_MAX);
	granted++;
}

static uint64_t rest(struct k2k_registry *by)
{
	return k2k_sat_sub(limit, tenant_info(by, 1).messages_this_second);
}

static void take_all(struct k2k_registry *by, uint64_t n)
{
	(void)n;
	take(rest(by));
}

static void lower(struct k2k_registry *by, uint64_t n)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	(void)n;
	limit = quota.max_messages_per_sec = LOWER;
	assert_int_equal(k2k_tenant_update(by, 1, &quota, K2K_UPDATE_RATE), 0);
	take(1);
	k2k_rate_open_window(&other->map, 0, &other->clock);
	take(1);
}

static void fold_and_open_again(struct k2k_registry *by, uint64_t n)
{
	(void)n;
	assert_true(k2k_hot_fold(&other->map, 0));
	take(1);
	k2k_rate_open_window(&other->map, 0, &other->clock);
	take(1);
	assert_true(k2k_hot_is(by->map.cells[0].admitted));
}

/* `other` begins the window of the next second, and opens it. */
static void end_the_second(struct k2k_registry *by, uint64_t n)
{
	(void)n;
	shared->clock_ns += SECOND;
	fold_and_open_again(by, n);
}

/* What was granted is counted, all that is left is granted, and not one more. */
static void all_is_exact(uint64_t n)
{
	uint64_t total = tenant_info(admin, 1).admitted_total - total_before, left;

	granted += shared->code == 0;
	if (total != granted)
		fail_msg("after %" PRIu64 " instructions: granted %" PRIu64 ", counted %" PRIu64, n,
		         granted, total);
	if (tenant_info(admin, 1).messages_this_second > limit)
		fail_msg("after %" PRIu64 " instructions: more than the limit", n);
	left = rest(admin);
	if (shared->code == K2K_ERATE && left)
		fail_msg("after %" PRIu64 " instructions: refused, but %" PRIu64 " are free", n,
		         left);
	if (left)
		take(left);
	assert_int_equal(k2k_message_admit(other, 1, no_tag, 1, NULL), K2K_ERATE);
	assert_true(shared->code == 0 || shared->code == K2K_ERATE);
}

static void begin_open(void)
{
	begin_sized(2, 4, true);
	register_tenant(admin, 1, LIMIT, 0);
}

TEST(a_draw_while_all_the_rest_is_taken)
{
	begin_open();
	interrupt(&(struct scene){ K2K_ROLE_BROKER, admit, open_anew, take_all, all_is_exact });
}

TEST(a_draw_while_the_limit_falls)
{
	begin_open();
	interrupt(&(struct scene){ K2K_ROLE_BROKER, admit, open_anew, lower, all_is_exact });
}

TEST(a_draw_while_it_is_folded_and_opened_again)
{
	begin_open();
	interrupt(&(struct scene){ K2K_ROLE_BROKER, admit, open_anew, fold_and_open_again,
	                           all_is_exact });
}

TEST(a_draw_while_the_second_ends)
{
	begin_open();
	interrupt(
		&(struct scene){ K2K_ROLE_BROKER, admit, open_anew, end_the_second, all_is_exact });
}

TEST(credit_is_spent_while_all_the_rest_is_taken)
{
	begin_open();
	interrupt(&(struct scene){ K2K_ROLE_BROKER, admit, open_with_credit, take_all,
	                           all_is_exact });
}

TEST(credit_is_spent_while_the_limit_falls)
{
	begin_open();
	interrupt(&(struct scene){ K2K_ROLE_BROKER, admit, open_with_credit, lower, all_is_exact });
}

TEST(credit_is_spent_while_it_is_folded_and_opened_again)
{
	begin_open();
	interrupt(&(struct scene){ K2K_ROLE_BROKER, admit, open_with_credit, fold_and_open_again,
	                           all_is_exact });
}

TEST(credit_is_spent_while_the_second_ends)
{
	begin_open();
	interrupt(&(struct scene){ K2K_ROLE_BROKER, admit, open_with_credit, end_the_second,
	                           all_is_exact });
}

/* ---- observers, which store nothing ---- */

static void read_total(struct k2k_registry *reg, struct shared *answer)
{
	answer->info = (struct k2k_tenant_info){ .size = sizeof(answer->info) };
	answer->code = k2k_tenant_get(reg, 1, &answer->info);
}

static void fold(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	assert_true(k2k_hot_fold(&other->map, 0));
}

/* `granted` is what is counted after the change; before it, it was 2. */
static void it_was_true_during_the_read(uint64_t n)
{
	uint64_t total = shared->info.admitted_total - total_before;

	if (shared->code != 0 || total < 2 || total > granted)
		fail_msg("after %" PRIu64 " instructions: %s, %" PRIu64 " of %" PRIu64, n,
		         k2k_errname(shared->code), total, granted);
}

TEST(an_observer_reads_the_total_while_it_is_folded)
{
	begin_open();
	interrupt(&(struct scene){ K2K_ROLE_OBSERVER, read_total, open_anew, fold,
	                           it_was_true_during_the_read });
}

TEST(an_observer_reads_the_total_while_it_is_folded_and_opened_again)
{
	begin_open();
	interrupt(&(struct scene){ K2K_ROLE_OBSERVER, read_total, open_anew, fold_and_open_again,
	                           it_was_true_during_the_read });
}

static void peek(struct k2k_registry *reg, struct shared *answer)
{
	answer->code = k2k_quota_check(reg, 1, no_tag, 1, NULL);
}

/* No grace period waits for an observer. */
static void replace(struct k2k_registry *by, uint64_t n)
{
	(void)n;
	assert_int_equal(k2k_tenant_deregister(by, 1, NULL), 0);
	register_tenant(by, 2, LIMIT, 0);
	assert_int_equal(k2k_message_admit(other, 2, no_tag, 1, NULL), 0);
	k2k_rate_open_window(&other->map, 0, &other->clock);
	assert_int_equal(k2k_message_admit(other, 2, no_tag, LIMIT - 1, NULL), 0);
}

static void it_had_room_or_was_gone(uint64_t n)
{
	if (shared->code != 0 && shared->code != K2K_ENOTENANT)
		fail_msg("after %" PRIu64 " instructions: %s", n, k2k_errname(shared->code));
	assert_int_equal(k2k_tenant_deregister(admin, 2, NULL), 0);
	register_tenant(admin, 1, LIMIT, 0);
}

TEST(an_observer_checks_while_another_tenant_gets_the_slot_and_the_source)
{
	interrupt_every = 7; /* each time the administrator waits for a grace period */
	begin_sized(1, 4, true);
	register_tenant(admin, 1, LIMIT, 0);
	interrupt(&(struct scene){ K2K_ROLE_OBSERVER, peek, open_anew, replace,
	                           it_had_room_or_was_gone });
}

/* ---- damage ---- */

static void damage_the_link(struct k2k_registry *by, uint64_t n)
{
	(void)n;
	by->map.cells[0].source = UINT32_MAX;
}

static void it_was_refused_or_counted(uint64_t n)
{
	admin->map.cells[0].source = source;
	if (shared->code != 0 && shared->code != K2K_ECORRUPT)
		fail_msg("after %" PRIu64 " instructions: %s", n, k2k_errname(shared->code));
}

TEST(a_draw_while_the_link_is_damaged)
{
	begin_open();
	interrupt(&(struct scene){ K2K_ROLE_BROKER, admit, open_anew, damage_the_link,
	                           it_was_refused_or_counted });
}
