/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_trail_threads.c - the audit trail under threads: exact numbers, no torn events, sleepers
 * that wake.
 */
#include <pthread.h>

#include "deaths.h"
#include "registry_fixture.h"
#include "trail_reader.h"

enum { THREADS = 4 };

static struct reader r;
static _Atomic int stop;

/* ---- repeats --------------------------------------------------------------------------------- */

enum { CALLS = 100000 };

static void *reject_the_same(void *argument)
{
	struct fixture *f = argument;

	for (int i = 0; i < CALLS; i++)
		assert_int_equal(k2k_message_admit(f->broker, 7, tag_of(1, 2), 1, NULL),
		                 K2K_ENOTENANT);
	return NULL;
}

TEST(many_threads_that_are_rejected_alike_are_counted_exactly)
{
	const unsigned int kind = K2K_AUDIT_KIND_UNKNOWN_TENANT;
	pthread_t threads[THREADS];
	struct k2k_audit_stats stats;
	struct fixture f;
	uint64_t sum = 0;

	fixture_open(&f);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reject_the_same, &f), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	atomic_fetch_add(&f.clock_ns, SECOND);
	stats = stats_of(f.admin);
	assert_int_equal(stats.written[kind] + stats.coalesced[kind] + stats.lost[kind],
	                 THREADS * CALLS);
	reader_open(&r, f.admin);
	reader_take_all(&r);
	for (size_t i = 0; i < r.count; i++)
		sum += r.records[i].kind == kind ? r.records[i].count : 0;
	printf("# %" PRIu64 " events for %d rejections, %" PRIu64 " lost\n", stats.written[kind],
	       THREADS * CALLS, stats.lost[kind]);
	/*
	 * A thread that is preempted in the table may make others write events of their own; those
	 * that were not overwritten are counted.
	 */
	if (stats.newest[f.broker->broker.slot] <= stats.capacity)
		assert_int_equal(sum + stats.lost[kind], THREADS * CALLS);
	assert_true(stats.written[kind] < THREADS * CALLS / 10);
	fixture_close(&f);
}

/* ---- floods ---------------------------------------------------------------------------------- */

static uint64_t check_sum(uint64_t number)
{
	return k2k_mix64(number + 0x9e3779b97f4a7c15u);
}

struct flooder {
	struct fixture *f;
	uint64_t number, calls;
	pthread_t thread;
};

static void *flood(void *argument)
{
	struct flooder *flooder = argument;

	while (!stop) {
		uint64_t x = flooder->calls++ * THREADS + flooder->number;
		char source[32], destination[40];

		snprintf(source, sizeof source, "%" PRIu64, x);
		snprintf(destination, sizeof destination, "%" PRIx64, check_sum(x));
		assert_int_equal(k2k_audit_cross_tenant(flooder->f->broker, x, ~x, source,
		                                        destination,
		                                        tag_of(check_sum(x), check_sum(~x))),
		                 0);
	}
	return NULL;
}

static void check_whole(const struct k2k_audit_record *e)
{
	uint64_t x = e->tenant;
	char source[32], destination[40];

	snprintf(source, sizeof source, "%" PRIu64, x);
	snprintf(destination, sizeof destination, "%" PRIx64, check_sum(x));
	assert_int_equal(e->kind, K2K_AUDIT_KIND_CROSS_TENANT);
	assert_int_equal(e->to, ~x);
	assert_int_equal(e->tag.org_id, check_sum(x));
	assert_int_equal(e->tag.engagement_id, check_sum(~x));
	assert_int_equal(e->count, 1);
	assert_string_equal(e->source, source);
	assert_string_equal(e->destination, destination);
}

static void flood_and_read(uint64_t events, uint32_t flags, uint64_t for_ns)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct flooder flooders[THREADS];
	struct k2k_registry *observer;
	struct k2k_audit_stats stats;
	uint64_t taken = 0, lost = 0, calls = 0, next = 1, end = now_ns() + for_ns;
	struct fixture f;
	uint32_t slot; /* the broker's ring */

	options.max_audit_events = events;
	fixture_open_sized(&f, &options);
	slot = K2K_AUDIT_RING_SECURITY + f.broker->broker.slot;
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_OBSERVER, NULL, &observer), 0);
	reader_open(&r, observer);
	reader_take(&r, 0);
	r.cursor.next[slot] = 1;
	stop = 0;
	for (uint64_t i = 0; i < THREADS; i++) {
		flooders[i] = (struct flooder){ &f, i, 0, 0 };
		assert_int_equal(pthread_create(&flooders[i].thread, NULL, flood, &flooders[i]), 0);
	}
	for (int last = 0; !last;) {
		/* beside other load, the threads may not even have begun */
		if (now_ns() >= end && taken > 0 && !stop) {
			stop = 1;
			for (int i = 0; i < THREADS; i++) {
				assert_int_equal(pthread_join(flooders[i].thread, NULL), 0);
				calls += flooders[i].calls;
			}
			/* The close closes open events. */
			assert_int_equal(k2k_registry_close(&f.broker), 0);
		}
		last = stop;
		do {
			reader_take(&r, flags);
			for (size_t i = 0; i < r.count; i++) {
				const struct k2k_audit_record *e = &r.records[i];

				assert_int_equal(e->ring, slot);
				/*
				 * No event comes twice or out of order; a snapshot may skip an
				 * event that was being written.
				 */
				assert_true(e->sequence == next || (flags && e->sequence > next));
				next = e->sequence + (e->flags & K2K_AUDIT_LOST ? e->count : 1);
				if (e->flags & K2K_AUDIT_LOST) {
					lost += e->count;
				} else {
					check_whole(e);
					taken++;
				}
			}
		} while (r.count);
	}
	assert_int_equal(r.cursor.waiting, 0);
	stats = stats_of(observer);
	printf("# %" PRIu64 " calls: %" PRIu64 " written, %" PRIu64 " given up; read %" PRIu64
	       ", told of %" PRIu64 " missing\n",
	       calls, stats.written[1], stats.lost[1], taken, lost);
	assert_int_equal(stats.written[1] + stats.lost[1] + stats.coalesced[1], calls);
	assert_int_equal(stats.newest[slot], calls);
	assert_int_equal(next, calls + 1);
	if (!flags)
		assert_int_equal(taken + lost, calls);
	assert_int_equal(k2k_registry_close(&observer), 0);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &f.broker), 0);
	fixture_close(&f);
}

TEST(a_reader_of_a_flood_gets_whole_events_and_exact_numbers)
{
	flood_and_read(256, 0, 1500 * MS);
}

TEST(a_reader_of_a_flood_in_a_tiny_ring_gets_whole_events_and_exact_numbers)
{
	flood_and_read(4, 0, 1500 * MS);
}

TEST(a_snapshot_of_a_flood_shows_whole_events)
{
	flood_and_read(16, K2K_AUDIT_OPEN_TOO, 1000 * MS);
}

/* ---- deaths ---------------------------------------------------------------------------------- */

enum { DEATHS = 500 };
static pthread_barrier_t together;

static void *find_dead(void *reg)
{
	for (int i = 0; i < DEATHS; i++) {
		pthread_barrier_wait(&together);
		k2k_report_deaths(reg);
		pthread_barrier_wait(&together);
	}
	return NULL;
}

TEST(of_many_that_find_a_dead_broker_one_tells)
{
	const unsigned int kind = K2K_AUDIT_KIND_BROKER_DEAD;
	struct k2k_registry *brokers[THREADS];
	pthread_t threads[THREADS];
	struct k2k_shm_slot *slot;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(pthread_barrier_init(&together, NULL, THREADS + 1), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_BROKER, NULL, &brokers[i]), 0);
		assert_int_equal(pthread_create(&threads[i], NULL, find_dead, brokers[i]), 0);
	}
	slot = &f.admin->map.slots[40];
	/* Makes the sum take long, so that the threads overlap. */
	f.admin->map.live->lease_pool.high = f.admin->map.sizes.leases;
	for (uint64_t i = 0; i < DEATHS; i++) {
		/* Nobody has locked that byte, and the owner left no signature. */
		slot->owner = K2K_LOCK_BYTE_LIFE_MIN + i;
		pthread_barrier_wait(&together);
		pthread_barrier_wait(&together);
		if (stats_of(f.admin).written[kind] != i + 1)
			fail_msg("death %" PRIu64 " was told %" PRIu64 " times", i,
			         stats_of(f.admin).written[kind] - i);
	}
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(k2k_registry_close(&brokers[i]), 0);
	}
	reader_open(&r, f.admin);
	reader_take_all(&r);
	for (size_t i = 0; i < r.count; i++) {
		assert_true(r.records[i].kind == kind ||
		            r.records[i].kind == K2K_AUDIT_KIND_CREATED);
		if (r.records[i].kind == kind)
			assert_true(r.records[i].incarnation >= K2K_LOCK_BYTE_LIFE_MIN &&
			            r.records[i].pid == 0);
	}
	fixture_close(&f);
}

/* ---- sleepers -------------------------------------------------------------------------------- */

struct sleeper {
	struct k2k_registry *reg;
	struct k2k_audit_cursor cursor;
	_Atomic int code, done;
	pthread_t thread;
};

static void *sleep_on(void *argument)
{
	struct sleeper *sleeper = argument;

	sleeper->code = k2k_audit_wait(sleeper->reg, &sleeper->cursor, UINT64_MAX);
	sleeper->done = 1;
	return NULL;
}

/* Waits until the thread sleeps in k2k_audit_wait: it is counted, and no longer runs. */
static void fall_asleep(struct sleeper *sleeper, struct k2k_registry *reg)
{
	struct k2k_audit_record record = { .size = sizeof record };
	size_t count;

	memset(sleeper, 0, sizeof *sleeper);
	sleeper->reg = reg;
	sleeper->cursor = (struct k2k_audit_cursor)K2K_AUDIT_CURSOR_INIT;
	do
		assert_int_equal(k2k_audit_read(reg, &sleeper->cursor, 0, &record, 1, &count), 0);
	while (count);
	assert_int_equal(pthread_create(&sleeper->thread, NULL, sleep_on, sleeper), 0);
	WAIT_UNTIL(reg->sleepers == 1, PATIENCE_S);
	assert_int_equal(sleeper->done, 0);
}

static void wakes(struct sleeper *sleeper, int code)
{
	WAIT_UNTIL(sleeper->done, PATIENCE_S);
	assert_int_equal(pthread_join(sleeper->thread, NULL), 0);
	assert_int_equal(sleeper->code, code);
}

TEST(an_observer_sleeps_until_something_is_told)
{
	struct k2k_registry *observer;
	struct sleeper sleeper;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_OBSERVER, NULL, &observer), 0);
	fall_asleep(&sleeper, observer);
	register_rate(&f, 1, 0); /* An administrator wakes it at once. */
	wakes(&sleeper, 0);
	fall_asleep(&sleeper, observer);
	/* The broker's helper wakes it within a second. */
	assert_int_equal(k2k_message_admit(f.broker, 1, no_tag, 1, NULL), K2K_ERATE);
	wakes(&sleeper, 0);
	assert_int_equal(k2k_registry_close(&observer), 0);
	fixture_close(&f);
}

/* A sleeper wakes each second by itself, so the test watches the word that it sleeps on. */
TEST(a_change_wakes_sleepers_though_another_has_just_done_so)
{
	struct fixture f;
	uint32_t word;

	fixture_open(&f);
	assert_int_equal(k2k_registry_close(&f.broker), 0);
	word = k2k_ring_wake_word(&f.admin->map);
	f.admin->trail.woken_ns = k2k_clock_monotonic_ns() - (uint64_t)f.admin->clock.offset_ns;
	register_rate(&f, 1, 0);
	assert_int_not_equal(k2k_ring_wake_word(&f.admin->map), word);
	assert_int_equal(k2k_registry_close(&f.admin), 0);
	assert_int_equal(k2k_registry_destroy(f.name, 0, NULL), 0);
}

TEST(close_wakes_a_sleeper_of_its_own_handle)
{
	struct k2k_registry *observer, *same;
	struct sleeper sleeper;
	struct fixture f;
	uint64_t before;

	fixture_open(&f);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_OBSERVER, NULL, &observer), 0);
	same = observer;
	fall_asleep(&sleeper, same);
	before = now_ns();
	assert_int_equal(k2k_registry_close(&observer), 0);
	assert_true(now_ns() - before < SECOND);
	wakes(&sleeper, K2K_EINVAL);
	fixture_close(&f);
}

TEST(a_destroyed_registry_wakes_its_sleepers)
{
	struct k2k_registry *observer;
	struct sleeper sleeper;
	struct fixture f;

	fixture_open(&f);
	assert_int_equal(k2k_registry_open(f.name, K2K_ROLE_OBSERVER, NULL, &observer), 0);
	assert_int_equal(k2k_registry_close(&f.broker), 0);
	assert_int_equal(k2k_registry_close(&f.admin), 0);
	fall_asleep(&sleeper, observer);
	assert_int_equal(k2k_registry_destroy(f.name, 0, NULL), 0);
	wakes(&sleeper, K2K_EFENCED);
	assert_int_equal(k2k_registry_close(&observer), 0);
}

TEST(a_wait_ends_with_its_time)
{
	struct fixture f;
	uint64_t before;

	fixture_open(&f);
	reader_open(&r, f.broker);
	reader_take(&r, 0);
	before = now_ns();
	assert_int_equal(k2k_audit_wait(f.broker, &r.cursor, 30 * MS), 0);
	assert_true(now_ns() - before >= 30 * MS);
	r.cursor.wake--; /* as if an event came since */
	before = now_ns();
	assert_int_equal(k2k_audit_wait(f.broker, &r.cursor, 20 * SECOND), 0);
	assert_true(now_ns() - before < 10 * SECOND);
	fixture_close(&f);
}
