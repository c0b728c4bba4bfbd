/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_alerts.c - several brokers reach thresholds at once: each is reported exactly once if
 * nobody is killed, and at most once if somebody is; then the tenant's words show what is missing.
 */
#include <inttypes.h>
#include <signal.h>

#include "handle.h"
#include "process.h"
#include "trail_reader.h"

#define HOUR UINT64_C(3600000000000)
#define SECOND UINT64_C(1000000000)
enum { BROKERS = 4, ROUNDS = 300, KILLED_ROUNDS = 150, TENANT = 3, ENGAGEMENT = 9, LIMIT = 40 };

static const struct k2k_audit_tag tag = { 1, ENGAGEMENT };
static struct reader reader;

struct shared {
	_Atomic uint64_t clock_ns, wall_ns, used;
	struct meeting meeting;
};

struct director {
	const char *name;
	struct k2k_registry *admin;
	struct shared *shared;
};

/* A budget of LIMIT an hour and a rate of LIMIT a second, with thresholds of 25, 50, 90 and 100. */
static void create(struct director *d)
{
	struct k2k_budget budget = { ENGAGEMENT, LIMIT };
	struct k2k_budget_terms terms = { .renewal = K2K_RENEWAL_HOUR };
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	d->name = fresh_registry();
	d->shared = shared_bytes(sizeof *d->shared);
	atomic_store(&d->shared->wall_ns, 400000 * HOUR);
	atomic_store(&d->shared->clock_ns, 1000 * SECOND);
	assert_int_equal(k2k_registry_create(d->name, NULL, &d->admin), 0);
	d->admin->clock.injected_wall_ns = &d->shared->wall_ns;
	d->admin->clock.injected_ns = &d->shared->clock_ns;
	quota.max_messages_per_sec = LIMIT;
	memcpy(quota.alerts, (uint8_t[]){ 25, 50, 90, 100 }, sizeof quota.alerts);
	quota.budgets = &budget;
	quota.budget_count = 1;
	quota.budget_terms = &terms;
	assert_int_equal(k2k_tenant_register(d->admin, TENANT, &quota), 0);
	reader_open(&reader, d->admin);
}

static struct k2k_registry *attach(const struct director *d)
{
	struct k2k_registry *reg;

	random_seed((uint64_t)getpid());
	assert_int_equal(k2k_registry_open(d->name, K2K_ROLE_BROKER, NULL, &reg), 0);
	reg->clock.injected_wall_ns = &d->shared->wall_ns;
	reg->clock.injected_ns = &d->shared->clock_ns;
	return reg;
}

/* ---- nobody is killed --------------------------------------------------------------- */

/* Each round uses exactly the limit, by all brokers together. */
static void be_broker(const struct director *d, bool books)
{
	struct k2k_registry *reg = attach(d);

	for (int round = 0; round < ROUNDS; round++) {
		meet(&d->shared->meeting, BROKERS + 1);
		for (int i = 0; i < LIMIT / BROKERS; i++) {
			dither();
			if (books)
				assert_int_equal(k2k_usage_track(reg, TENANT, tag, 1), 0);
			else
				assert_int_equal(k2k_message_admit(reg, TENANT, tag, 1, NULL), 0);
		}
		meet(&d->shared->meeting, BROKERS + 1);
		meet(&d->shared->meeting, BROKERS + 1); /* the director has moved the clock */
	}
	assert_int_equal(k2k_registry_close(&reg), 0);
}

/* Takes what is new: each threshold of the limit once, in the sequence of the first. */
static void need_each_once(enum k2k_alert_limit limit)
{
	static const uint8_t thresholds[] = { 25, 50, 90, 100 };
	unsigned int seen[101] = { 0 };
	uint64_t sequence = 0;

	reader_take_all(&reader);
	for (size_t i = 0; i < reader.count; i++) {
		const struct k2k_audit_record *r = &reader.records[i];

		assert_false(r->flags & K2K_AUDIT_LOST);
		if (r->kind != K2K_AUDIT_KIND_ALERT)
			continue;
		assert_int_equal(r->values[K2K_AUDIT_ALERT_LIMIT], limit);
		if (!sequence)
			sequence = r->values[K2K_AUDIT_ALERT_SEQUENCE];
		assert_int_equal(r->values[K2K_AUDIT_ALERT_SEQUENCE], sequence);
		assert_in_range(r->values[K2K_AUDIT_ALERT_PERCENT], 1, 100);
		assert_true(r->used * 100 >= LIMIT * r->values[K2K_AUDIT_ALERT_PERCENT]);
		seen[r->values[K2K_AUDIT_ALERT_PERCENT]]++;
	}
	for (size_t i = 0; i < sizeof thresholds; i++)
		if (seen[thresholds[i]] != 1)
			fail_msg("%u %% was reported %u times in sequence %" PRIu64, thresholds[i],
			         seen[thresholds[i]], sequence);
}

static void race(bool books)
{
	struct director d;
	pid_t brokers[BROKERS];

	create(&d);
	for (int i = 0; i < BROKERS; i++) {
		brokers[i] = spawn();
		if (brokers[i] == 0) {
			be_broker(&d, books);
			exit(0);
		}
	}
	for (int round = 0; round < ROUNDS; round++) {
		meet(&d.shared->meeting, BROKERS + 1);
		meet(&d.shared->meeting, BROKERS + 1);
		need_each_once(books ? K2K_ALERT_BUDGET : K2K_ALERT_RATE);
		if (books)
			atomic_fetch_add(&d.shared->wall_ns, HOUR);
		else
			atomic_fetch_add(&d.shared->clock_ns, SECOND);
		meet(&d.shared->meeting, BROKERS + 1);
	}
	wait_all(brokers, BROKERS);
	check_clean(d.admin);
	close_and_destroy(d.name, &d.admin);
}

TEST(each_threshold_of_a_budget_is_reported_once_whoever_reaches_it)
{
	race(true);
}

TEST(each_threshold_of_a_rate_is_reported_once_whoever_reaches_it)
{
	race(false);
}

/* ---- brokers are killed --------------------------------------------------------------- */

static void book_until_killed(const struct director *d)
{
	struct k2k_registry *reg = attach(d);

	for (;;) {
		assert_int_equal(k2k_usage_track(reg, TENANT, tag, 1), 0);
		atomic_fetch_add(&d->shared->used, 1);
	}
}

/* What was reported of the sequence, at most once each; returns how many. */
static unsigned int at_most_once(uint64_t sequence)
{
	unsigned int seen[101] = { 0 }, count = 0;

	reader_take_all(&reader);
	for (size_t i = 0; i < reader.count; i++) {
		const struct k2k_audit_record *r = &reader.records[i];

		if (r->kind != K2K_AUDIT_KIND_ALERT)
			continue;
		assert_int_equal(r->values[K2K_AUDIT_ALERT_SEQUENCE], sequence);
		assert_int_equal(seen[r->values[K2K_AUDIT_ALERT_PERCENT]]++, 0);
		count++;
	}
	return count;
}

TEST(whoever_is_killed_no_threshold_is_reported_twice_and_the_words_show_it)
{
	struct k2k_budget_info info = { .size = sizeof info };
	unsigned int reported = 0;
	struct director d;
	pid_t brokers[2];
	size_t count;

	create(&d);
	for (uint64_t round = 1; round <= KILLED_ROUNDS; round++) {
		uint64_t enough = atomic_load(&d.shared->used) + random_below(2 * LIMIT);

		for (int i = 0; i < 2; i++) {
			brokers[i] = spawn();
			if (brokers[i] == 0)
				book_until_killed(&d);
		}
		WAIT_UNTIL(atomic_load(&d.shared->used) > enough, PATIENCE_S);
		for (int i = 0; i < 2; i++)
			spawn_kill(brokers[i]);
		assert_int_equal(k2k_budget_list(d.admin, TENANT, &info, 1, &count), 0);
		assert_int_equal(info.period, round);
		reported += at_most_once(round);
		/* who was killed between its booking and its look has not seen it: the next does */
		if (info.used_ns > 2 + LIMIT)
			assert_int_equal(info.alerted, 100);
		else if (info.used_ns * 100 < 25 * LIMIT)
			assert_int_equal(info.alerted, 0);
		atomic_fetch_add(&d.shared->wall_ns, HOUR);
	}
	print_message("%u of at most %u reported\n", reported, 4 * KILLED_ROUNDS);
	assert_true(reported > KILLED_ROUNDS);
	check_clean(d.admin);
	close_and_destroy(d.name, &d.admin);
}

/* ---- leases: by the brokers' own agents, in real time -------------------------------------- */

static void hold_until_killed(const char *name, struct meeting *meeting)
{
	struct k2k_registry *reg;

	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg), 0);
	assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
	meet(meeting, 3);
	for (;;)
		pause();
}

static uint32_t kernels_alerted(struct k2k_registry *reg)
{
	return tenant_info(reg, TENANT).alerted_kernels;
}

TEST(brokers_look_at_leases_once_a_second_and_one_of_them_reports)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	struct meeting *meeting = shared_bytes(sizeof *meeting);
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t brokers[2];

	quota.max_concurrent_kernels = 2;
	quota.alerts[0] = 50;
	quota.alerts[1] = 100;
	assert_int_equal(k2k_tenant_register(admin, TENANT, &quota), 0);
	reader_open(&reader, admin);
	for (int i = 0; i < 2; i++) {
		brokers[i] = spawn();
		if (brokers[i] == 0)
			hold_until_killed(name, meeting);
	}
	meet(meeting, 3);
	WAIT_UNTIL(kernels_alerted(admin) == 100, PATIENCE_S);
	/* a dead broker's kernel does not count any more: one is held */
	spawn_kill(brokers[0]);
	WAIT_UNTIL(kernels_alerted(admin) == 50, PATIENCE_S);
	reader_take_all(&reader);
	for (int i = 0; i < 2; i++) {
		const struct k2k_audit_record *r = reader_need(&reader, K2K_AUDIT_KIND_ALERT,
		                                               (size_t)i);

		assert_int_equal(r->values[K2K_AUDIT_ALERT_LIMIT], K2K_ALERT_KERNELS);
		assert_int_equal(r->values[K2K_AUDIT_ALERT_PERCENT], i ? 100 : 50);
		assert_int_equal(r->limit, 2);
	}
	assert_null(reader_find(&reader, K2K_AUDIT_KIND_ALERT, 2));
	spawn_kill(brokers[1]);
	check_clean(admin);
	close_and_destroy(name, &admin);
}
