/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_hot.c - a window that is opened to its brokers' shares, in every state that another call can
 * find: what is counted, refused, read and changed is the same as without it.
 */
#include <string.h>

#include "rate.h"
#include "registry_fixture.h"
#include "tenant.h"

enum { LIMIT = 1000 };

struct hot {
	struct fixture f;
	struct k2k_registry *other; /* another broker */
	struct k2k_shm_cell *cell;
};

static void begin(struct hot *h, uint64_t rate)
{
	fixture_open(&h->f);
	assert_int_equal(k2k_registry_open(h->f.name, K2K_ROLE_BROKER, NULL, &h->other), 0);
	h->other->clock.injected_ns = &h->f.clock_ns;
	register_rate(&h->f, 1, rate);
	h->cell = &h->f.admin->map.cells[0];
}

static void end(struct hot *h)
{
	assert_int_equal(k2k_registry_close(&h->other), 0);
	fixture_close(&h->f);
}

static bool is_open(const struct hot *h)
{
	return k2k_hot_is(h->cell->admitted);
}

static struct k2k_verdict ask(struct k2k_registry *broker, uint64_t n)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	int code = k2k_message_admit(broker, 1, no_tag, n, &verdict);

	assert_int_equal(verdict.code, code);
	return verdict;
}

static void admits(struct k2k_registry *broker, uint64_t n)
{
	assert_int_equal(ask(broker, n).code, 0);
}

/* As after a lost race; the window has begun, and one message is counted in it. */
static void open_window(struct hot *h)
{
	admits(h->f.broker, 1);
	k2k_rate_open_window(&h->f.broker->map, 0, &h->f.broker->clock);
	assert_true(is_open(h));
}

static void counts(const struct hot *h, uint64_t total, uint64_t used)
{
	struct k2k_tenant_info info = info_of(h->f.admin, 1);

	assert_int_equal(info.admitted_total, total);
	assert_int_equal(info.messages_this_second, used);
}

/* Exactly so many are free. */
static void has_free(struct hot *h, uint64_t n)
{
	assert_int_equal(k2k_quota_check(h->f.broker, 1, no_tag, n, NULL), 0);
	assert_int_equal(k2k_quota_check(h->f.broker, 1, no_tag, n + 1, NULL), K2K_ERATE);
	assert_int_equal(k2k_quota_check(h->other, 1, no_tag, n, NULL), 0);
	assert_int_equal(k2k_quota_check(h->other, 1, no_tag, n + 1, NULL), K2K_ERATE);
}

TEST(what_both_brokers_spend_is_counted_and_nothing_else)
{
	struct hot h;

	begin(&h, LIMIT);
	open_window(&h);
	counts(&h, 1, 1);
	admits(h.f.broker, 1);
	admits(h.other, 2);
	admits(h.f.broker, 3);
	assert_true(is_open(&h));
	counts(&h, 7, 7);
	has_free(&h, LIMIT - 7);
	assert_true(is_open(&h));
	/* drawn are more: the verdict says how much of the window is left to draw */
	assert_true(ask(h.other, 1).used > 8);
	counts(&h, 8, 8);
	end(&h);
}

TEST(the_last_message_is_granted_and_the_next_one_refused)
{
	struct k2k_verdict verdict;
	struct hot h;

	begin(&h, LIMIT);
	open_window(&h);
	admits(h.f.broker, 1);
	for (int i = 0; i < LIMIT - 2; i++)
		admits(h.other, 1);
	counts(&h, LIMIT, LIMIT);
	verdict = ask(h.other, 1);
	assert_int_equal(verdict.code, K2K_ERATE);
	assert_int_equal(verdict.used, LIMIT);
	assert_int_equal(verdict.remaining, 0);
	assert_int_equal(verdict.retry_after_ns, SECOND);
	assert_int_equal(ask(h.f.broker, 1).code, K2K_ERATE);
	assert_false(is_open(&h));
	end(&h);
}

TEST(a_message_that_needs_what_others_have_drawn_gets_it)
{
	struct hot h;

	begin(&h, LIMIT);
	open_window(&h);
	admits(h.f.broker, 1);
	admits(h.other, 1);
	assert_int_equal(ask(h.other, LIMIT - 2).code, K2K_ERATE);
	admits(h.other, LIMIT - 3);
	assert_int_equal(ask(h.f.broker, 1).code, K2K_ERATE);
	counts(&h, LIMIT, LIMIT);
	end(&h);
}

TEST(credit_ends_with_its_second)
{
	struct hot h;

	begin(&h, LIMIT);
	open_window(&h);
	admits(h.f.broker, 1);
	admits(h.other, 1);
	h.f.clock_ns += SECOND;
	counts(&h, 3, 0);
	admits(h.f.broker, 1);
	assert_false(is_open(&h));
	counts(&h, 4, 1);
	admits(h.other, 1);
	counts(&h, 5, 2);
	h.f.clock_ns += SECOND;
	open_window(&h);
	admits(h.other, LIMIT - 1);
	assert_int_equal(ask(h.f.broker, 1).code, K2K_ERATE);
	counts(&h, 5 + LIMIT, LIMIT);
	end(&h);
}

TEST(a_late_clock_spends_of_the_second_that_the_window_names)
{
	struct k2k_verdict verdict;
	struct hot h;

	begin(&h, LIMIT);
	open_window(&h);
	admits(h.f.broker, 1);
	h.f.clock_ns -= 1;
	verdict = ask(h.f.broker, 1);
	assert_int_equal(verdict.code, 0);
	assert_int_equal(verdict.window, 1000);
	verdict = ask(h.other, 1);
	assert_int_equal(verdict.code, 0);
	assert_int_equal(verdict.window, 1000);
	h.f.clock_ns += 1;
	counts(&h, 4, 4);
	end(&h);
}

TEST(a_changed_limit_is_in_force_at_once)
{
	struct k2k_quota quota = quota_standard();
	struct hot h;

	begin(&h, LIMIT);
	open_window(&h);
	admits(h.f.broker, 1);
	admits(h.other, 1);
	quota.max_messages_per_sec = 4;
	assert_int_equal(k2k_tenant_update(h.f.admin, 1, &quota, K2K_UPDATE_RATE), 0);
	has_free(&h, 1);
	admits(h.f.broker, 1);
	assert_int_equal(ask(h.other, 1).code, K2K_ERATE);
	quota.max_messages_per_sec = 2 * LIMIT;
	assert_int_equal(k2k_tenant_update(h.f.admin, 1, &quota, K2K_UPDATE_RATE), 0);
	open_window(&h);
	admits(h.other, 1);
	has_free(&h, 2 * LIMIT - 6);
	end(&h);
}

/* The administrator was killed right after the new limit was in force. */
TEST(credit_of_an_earlier_limit_is_not_spent_though_nobody_has_folded)
{
	struct k2k_limits limits;
	struct hot h;

	begin(&h, LIMIT);
	open_window(&h);
	admits(h.f.broker, 1);
	admits(h.other, 1);
	k2k_tenant_limits(&h.f.admin->map, 0, &limits);
	limits.rate = 4;
	k2k_tenant_prepare(&h.f.admin->map, 0, &limits);
	k2k_tenant_flip(&h.f.admin->map, 0, limits.mode);
	assert_true(is_open(&h));
	admits(h.f.broker, 1);
	assert_int_equal(ask(h.other, 1).code, K2K_ERATE);
	counts(&h, 4, 4);
	end(&h);
}

TEST(a_window_that_becomes_something_else_is_folded_first)
{
	struct k2k_quota quota = quota_standard();
	struct hot h;

	begin(&h, LIMIT);
	open_window(&h);
	admits(h.f.broker, 2);
	admits(h.other, 3);
	quota.rate_policy = K2K_RATE_BUCKET;
	quota.max_messages_per_sec = LIMIT;
	quota.burst = 500;
	assert_int_equal(k2k_tenant_update(h.f.admin, 1, &quota, K2K_UPDATE_RATE), 0);
	assert_false(is_open(&h));
	has_free(&h, 500);
	admits(h.other, 500);
	assert_int_equal(ask(h.f.broker, 1).code, K2K_ERATE);
	k2k_rate_open_window(&h.f.broker->map, 0, &h.f.broker->clock);
	assert_false(is_open(&h));
	quota.rate_policy = K2K_RATE_WINDOW;
	quota.burst = 0;
	h.f.clock_ns += SECOND;
	assert_int_equal(k2k_tenant_update(h.f.admin, 1, &quota, K2K_UPDATE_RATE), 0);
	open_window(&h);
	admits(h.other, 1);
	/* suspended: nothing passes, though there is credit */
	assert_int_equal(k2k_tenant_suspend(h.f.admin, 1), 0);
	assert_int_equal(ask(h.other, 1).code, K2K_ESUSPENDED);
	assert_int_equal(k2k_tenant_resume(h.f.admin, 1), 0);
	admits(h.other, 1);
	end(&h);
}

TEST(record_takes_room_and_is_never_refused)
{
	struct hot h;

	begin(&h, LIMIT);
	open_window(&h);
	for (int i = 0; i < LIMIT + 5; i++)
		assert_int_equal(k2k_message_record(i % 2 ? h.f.broker : h.other, 1), 0);
	counts(&h, LIMIT + 6, LIMIT + 6);
	assert_int_equal(ask(h.other, 1).code, K2K_ERATE);
	end(&h);
}

TEST(a_tenant_without_a_limit_has_shares_too)
{
	struct hot h;

	begin(&h, K2K_UNLIMITED);
	open_window(&h);
	admits(h.f.broker, 1);
	admits(h.other, 1);
	admits(h.other, K2K_ADMIT_MAX);
	admits(h.f.broker, 1);
	counts(&h, 4 + K2K_ADMIT_MAX, 4 + K2K_ADMIT_MAX);
	end(&h);
}

/* The top bit of the cell is no part of the total. */
TEST(the_total_begins_again_at_2_to_the_63)
{
	struct hot h;

	begin(&h, K2K_UNLIMITED);
	admits(h.f.broker, 1);
	h.cell->admitted = K2K_HOT - 2;
	h.f.clock_ns += SECOND;
	admits(h.f.broker, 1);
	admits(h.other, 3);
	assert_int_equal(h.cell->admitted, 2);
	assert_int_equal(k2k_message_record(h.other, 1), 0);
	h.f.clock_ns += SECOND;
	counts(&h, 3, 0);

	h.cell->admitted = K2K_HOT - 2;
	assert_int_equal(k2k_message_record(h.other, 1), 0);
	assert_int_equal(k2k_message_record(h.other, 2), K2K_ENOTENANT);
	assert_int_equal(k2k_message_record(h.other, 1), 0);
	assert_int_equal(h.cell->admitted, 0);
	h.f.clock_ns += SECOND;

	h.cell->admitted = K2K_HOT - 2;
	open_window(&h);
	admits(h.other, 4);
	assert_int_equal(info_of(h.f.admin, 1).admitted_total, 3);
	assert_true(k2k_hot_fold(&h.other->map, 0));
	assert_int_equal(h.cell->admitted, 3);
	h.f.clock_ns += SECOND;
	admits(h.f.broker, 1);
	counts(&h, 4, 1);
	end(&h);
}

TEST(a_tenant_opens_only_so_often_in_a_second)
{
	struct hot h;
	int openings = 0;

	begin(&h, LIMIT);
	admits(h.f.broker, 1);
	for (int i = 0; i < 50; i++) {
		k2k_rate_open_window(&h.f.broker->map, 0, &h.f.broker->clock);
		openings += is_open(&h);
		admits(h.f.broker, 1);
		assert_true(k2k_hot_fold(&h.other->map, 0));
		assert_false(is_open(&h));
	}
	assert_int_equal(openings, K2K_HOT_OPENINGS);
	counts(&h, 51, 51);
	end(&h);
}

TEST(the_final_totals_have_what_the_shares_have_spent_and_the_source_is_free_again)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	struct hot h;

	begin(&h, LIMIT);
	open_window(&h);
	admits(h.f.broker, 2);
	admits(h.other, 3);
	assert_int_equal(h.f.admin->map.sources[h.cell->source - 1].owner,
	                 info_of(h.f.admin, 1).generation);
	assert_int_equal(k2k_tenant_deregister(h.f.admin, 1, &totals), 0);
	assert_int_equal(totals.admitted_total, 6);
	for (uint32_t i = 0; i < h.f.admin->map.sizes.sources; i++)
		assert_int_equal(h.f.admin->map.sources[i].owner, 0);
	/* in the same slot and second, with labels from the beginning */
	register_rate(&h.f, 1, LIMIT);
	open_window(&h);
	admits(h.f.broker, 1);
	admits(h.other, 1);
	counts(&h, 3, 3);
	end(&h);
}

TEST(more_tenants_than_sources_are_cold_and_exact)
{
	struct hot h;
	int open = 0;

	begin(&h, LIMIT);
	for (uint32_t i = 0; i < 2 * K2K_SOURCES_MAX; i++) {
		struct k2k_shm_cell *cell = &h.f.admin->map.cells[1 + i];

		register_rate(&h.f, 100 + i, LIMIT);
		assert_int_equal(k2k_message_admit(h.f.broker, 100 + i, no_tag, 1, NULL), 0);
		k2k_rate_open_window(&h.f.broker->map, 1 + i, &h.f.broker->clock);
		open += k2k_hot_is(cell->admitted);
		assert_int_equal(k2k_message_admit(h.other, 100 + i, no_tag, LIMIT - 1, NULL), 0);
		assert_int_equal(k2k_message_admit(h.f.broker, 100 + i, no_tag, 1, NULL),
		                 K2K_ERATE);
	}
	assert_int_equal(open, K2K_SOURCES_MAX);
	end(&h);
}

/* ---- damage ------------------------------------------------------------------------------ */

static void is_repaired(struct hot *h, const char *invariant)
{
	struct k2k_finding finding = { .size = sizeof(finding) };
	struct k2k_repair_info repaired = { .size = sizeof(repaired) };
	size_t count;

	assert_int_equal(k2k_registry_check(h->f.admin, &finding, 1, &count), 0);
	assert_int_equal(count, 1);
	assert_string_equal(finding.invariant, invariant);
	assert_int_equal(k2k_registry_repair(h->f.admin, &repaired), 0);
	assert_int_equal(repaired.damaged, 1);
	assert_false(is_open(h));
}

TEST(an_opening_that_can_t_be_is_ended)
{
	struct hot h;
	uint32_t source;

	begin(&h, LIMIT);
	admits(h.f.broker, 1);
	h.cell->admitted |= K2K_HOT; /* without a label */
	assert_int_equal(ask(h.f.broker, 1).code, K2K_ECORRUPT);
	assert_int_equal(k2k_message_record(h.other, 1), K2K_ECORRUPT);
	is_repaired(&h, "I3");
	admits(h.f.broker, 1);
	counts(&h, 2, 2);

	open_window(&h);
	admits(h.other, 3);
	h.cell->admitted &= ~K2K_HOT; /* its shares are there: what they have spent counts */
	is_repaired(&h, "I3");
	counts(&h, 6, 6);

	open_window(&h);
	admits(h.other, 3);
	source = h.cell->source;
	h.cell->source = source + 1; /* leads to no source of this tenant */
	assert_int_equal(ask(h.f.broker, LIMIT).code, K2K_ECORRUPT);
	is_repaired(&h, "I3"); /* what the shares had spent is lost */
	counts(&h, 7, 7);
	h.f.clock_ns += 4 * SECOND;
	open_window(&h);
	assert_int_equal(h.cell->source, source);

	h.cell->opening += UINT64_C(1000) << K2K_HOT_NUMBER_BITS;
	is_repaired(&h, "I3");
	admits(h.f.broker, 1);
	end(&h);
}

TEST(a_share_or_a_source_that_can_t_be_costs_its_own_count)
{
	struct k2k_shm_source *source;
	struct hot h;

	begin(&h, LIMIT);
	open_window(&h);
	admits(h.f.broker, 2);
	admits(h.other, 3);
	source = &h.f.admin->map.sources[h.cell->source - 1];
	k2k_hot_share(&h.f.admin->map, h.cell->source - 1, 1)->spent.second |= UINT64_C(1) << 63;
	source->left.first |= UINT64_C(1) << 63;
	assert_int_equal(ask(h.f.broker, LIMIT + 1).code, K2K_ERATE);
	assert_false(is_open(&h));
	counts(&h, 3, 3);
	has_free(&h, LIMIT - 3);
	end(&h);
}

/* The clock stands still, so only the fold ends it. */
TEST(a_share_that_can_t_be_raised_is_folded_after_one_draw)
{
	struct k2k_shm_share *share;
	struct hot h;

	begin(&h, K2K_UNLIMITED);
	open_window(&h);
	share = k2k_hot_share(&h.f.admin->map, h.cell->source - 1, h.other->broker.slot);
	share->spent.second |= UINT64_C(1) << 63;
	admits(h.other, 1);
	assert_false(is_open(&h));
	assert_int_equal(share->draws, 1);
	counts(&h, 2, 2);
	end(&h);
}

TEST(final_totals_say_that_what_shares_have_spent_is_lost)
{
	struct k2k_tenant_totals totals = { .size = sizeof(totals) };
	struct hot h;

	begin(&h, LIMIT);
	open_window(&h);
	admits(h.other, 3);
	h.cell->source++; /* leads to no source of this tenant */
	assert_int_equal(k2k_tenant_deregister(h.f.admin, 1, &totals), 0);
	assert_int_equal(totals.flags, K2K_TENANT_DAMAGED);
	assert_int_equal(totals.admitted_total, 1);
	end(&h);
}

TEST(a_source_without_a_tenant_is_freed)
{
	struct hot h;

	begin(&h, LIMIT);
	h.f.admin->map.sources[5].owner = 12345;
	is_repaired(&h, "I2");
	assert_int_equal(h.f.admin->map.sources[5].owner, 0);
	end(&h);
}
