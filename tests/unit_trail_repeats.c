/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_trail_repeats.c - repeats of rejections: each kind has one event a second with an exact
 * count, however many kinds there are.
 */
#include "registry_fixture.h"
#include "trail_reader.h"

static struct reader r;

static void open_small(struct fixture *f, uint64_t events)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	options.max_audit_events = events;
	fixture_open_sized(f, &options);
}

/* The helper closes the events of a second that is over. */
static void next_second(struct fixture *f)
{
	atomic_fetch_add(&f->clock_ns, SECOND);
}

static void cross_numbered(struct fixture *f, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i <= to; i++)
		assert_int_equal(k2k_audit_cross_tenant(f->broker, 1, 2, "a", "b", tag_of(i, 0)),
		                 0);
}

static uint64_t count_of(uint32_t kind, uint64_t org, size_t *events)
{
	uint64_t sum = 0;

	*events = 0;
	for (size_t i = 0; i < r.count; i++)
		if (r.records[i].kind == kind && r.records[i].tag.org_id == org) {
			sum += r.records[i].count;
			++*events;
		}
	return sum;
}

/*
 * A repeat whose event was overwritten waits for the next second: there is one event a second, and
 * the count is exact.
 */
TEST(a_repeat_of_what_is_written_over_is_counted_in_the_next_second)
{
	struct k2k_audit_stats stats;
	struct fixture f;
	size_t events;

	open_small(&f, 8);
	cross_numbered(&f, 1, 1);
	cross_numbered(&f, 1, 1);
	cross_numbered(&f, 2, 9);
	for (int i = 0; i < 5; i++)
		cross_numbered(&f, 1, 1);
	assert_int_equal(stats_of(f.broker).written[K2K_AUDIT_KIND_CROSS_TENANT], 9);
	next_second(&f);
	cross_numbered(&f, 1, 1); /* counts the five too, unless the helper's event does */
	next_second(&f);
	reader_open(&r, f.broker);
	reader_take_all(&r);
	assert_int_equal(count_of(K2K_AUDIT_KIND_CROSS_TENANT, 1, &events), 6);
	assert_int_equal(events, 1);
	stats = stats_of(f.broker);
	assert_int_equal(stats.written[K2K_AUDIT_KIND_CROSS_TENANT], 10);
	assert_int_equal(stats.coalesced[K2K_AUDIT_KIND_CROSS_TENANT], 6);
	fixture_close(&f);
}

/* The helper writes the event of a repeat that no later rejection follows. */
TEST(a_repeat_that_waits_gets_an_event_when_its_second_is_over)
{
	struct k2k_audit_stats stats;
	struct fixture f;
	size_t events;

	open_small(&f, 8);
	cross_numbered(&f, 1, 9);
	for (int i = 0; i < 3; i++)
		cross_numbered(&f, 1, 1);
	next_second(&f);
	WAIT_UNTIL(stats_of(f.broker).written[K2K_AUDIT_KIND_CROSS_TENANT] == 10, PATIENCE_S);
	next_second(&f);
	reader_open(&r, f.broker);
	reader_take_all(&r);
	assert_int_equal(count_of(K2K_AUDIT_KIND_CROSS_TENANT, 1, &events), 3);
	assert_int_equal(events, 1);
	stats = stats_of(f.broker);
	assert_int_equal(stats.written[K2K_AUDIT_KIND_CROSS_TENANT] +
	                         stats.coalesced[K2K_AUDIT_KIND_CROSS_TENANT],
	                 12);
	/* One that is reported by the close of its handle. */
	cross_numbered(&f, 1, 9);
	for (int i = 0; i < 3; i++)
		cross_numbered(&f, 1, 1);
	assert_int_equal(k2k_registry_close(&f.broker), 0);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &f.broker), 0);
	stats = stats_of(f.broker);
	assert_int_equal(stats.written[K2K_AUDIT_KIND_CROSS_TENANT], 20);
	assert_int_equal(stats.written[K2K_AUDIT_KIND_CROSS_TENANT] +
	                         stats.coalesced[K2K_AUDIT_KIND_CROSS_TENANT],
	                 24);
	fixture_close(&f);
}

/* ---- the table of repeats -------------------------------------------------------------------- */

/*
 * IN_THE_WAY: allowance for rejections that get an event of their own, or are given up, because the
 * agent was preempted while it held the table's entry or the ring's.
 */
enum { PAIRS = 10000, IN_THE_WAY = 20 };

TEST(ten_thousand_pairs_that_are_rejected_at_once_are_an_event_each_a_second)
{
	const unsigned int kind = K2K_AUDIT_KIND_UNKNOWN_TENANT;
	struct k2k_audit_stats stats;
	struct fixture f;

	fixture_open(
		&f); /* rings of FIXTURE_EVENTS events: most are overwritten before their repeats */
	for (int round = 0; round < 4; round++)
		for (uint64_t pair = 0; pair < PAIRS; pair++)
			assert_int_equal(k2k_message_admit(f.broker, 1000 + pair / 10,
			                                   tag_of(1, pair % 10), 1, NULL),
			                 K2K_ENOTENANT);
	stats = stats_of(f.broker);
	assert_true(stats.written[kind] + stats.lost[kind] <= PAIRS + IN_THE_WAY);
	assert_true(stats.lost[kind] <= IN_THE_WAY);
	next_second(&f);
	for (uint64_t pair = 0; pair < PAIRS; pair++)
		assert_int_equal(k2k_message_admit(f.broker, 1000 + pair / 10, tag_of(1, pair % 10),
		                                   1, NULL),
		                 K2K_ENOTENANT);
	stats = stats_of(f.broker);
	assert_true(stats.written[kind] <= 2 * PAIRS + IN_THE_WAY);
	/* The repeats that wait are reported in the next second. */
	next_second(&f);
	WAIT_UNTIL((stats = stats_of(f.broker),
	            stats.written[kind] + stats.coalesced[kind] + stats.lost[kind] == 5 * PAIRS),
	           60);
	assert_true(stats.written[kind] <= 3 * PAIRS + IN_THE_WAY);
	assert_true(stats.lost[kind] <= IN_THE_WAY);
	fixture_close(&f);
}

TEST(no_number_of_rejections_writes_over_a_cross_tenant_attempt)
{
	struct fixture f;

	fixture_open(&f);
	cross_numbered(&f, 1, 10);
	for (uint64_t i = 0; i < 2000; i++)
		assert_int_equal(k2k_message_admit(f.broker, 1000 + i, no_tag, 1, NULL),
		                 K2K_ENOTENANT);
	next_second(&f);
	reader_open(&r, f.admin);
	reader_take_all(&r);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_CROSS_TENANT, i)->tag.org_id,
		                 i + 1);
	fixture_close(&f);
}
