/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_periods.c - several brokers book on one budget that renews, are killed and stopped, while
 * the wall clock steps back and forth and an administrator corrects. Each process writes down what
 * it booked, and the director recounts.
 */
#include <inttypes.h>
#include <signal.h>

#include "handle.h"
#include "process.h"

#define HOUR UINT64_C(3600000000000)

enum { BROKERS = 4, LIVES = 200, STEPS = 600, TENANT = 3, ENGAGEMENT = 9, PERIODS = 4000 };

static const struct k2k_audit_tag tag = { 1, ENGAGEMENT };

/* What one broker booked: `done` is certain, `doing` may be booked if it was killed. */
struct life {
	_Atomic uint64_t done, doing;
};

struct shared {
	_Atomic uint64_t wall_ns;
	struct life lives[LIVES];
};

struct director {
	const char *name;
	struct k2k_registry *admin;
	struct shared *shared;
	pid_t brokers[BROKERS];
	bool stopped[BROKERS];
	unsigned int lives;
	int64_t corrected;
	/* as the history showed them, by number */
	uint64_t used_ns[PERIODS], began_at_ns[PERIODS], newest;
	uint64_t pending_ns; /* of a period that is over, but not closed yet */
};

static void be_broker(const struct director *d, struct life *life)
{
	struct k2k_registry *reg;

	random_seed((uint64_t)getpid());
	assert_int_equal(k2k_registry_open(d->name, K2K_ROLE_BROKER, NULL, &reg), 0);
	reg->clock.injected_wall_ns = &d->shared->wall_ns;
	for (;;) {
		uint64_t ns = 1 + random_below(1000);
		struct k2k_verdict verdict = K2K_VERDICT_INIT;
		int code = k2k_message_admit(reg, TENANT, tag, 1, &verdict);

		assert_true(code == 0 || (code == K2K_EBUDGET && verdict.used >= verdict.limit &&
		                          verdict.retry_after_ns > 0));
		atomic_store(&life->doing, ns);
		assert_int_equal(k2k_usage_track(reg, TENANT, tag, ns), 0);
		atomic_store(&life->done, atomic_load(&life->done) + ns);
		atomic_store(&life->doing, 0);
		dither();
		usleep(20); /* the director and the other brokers have to run, too */
	}
}

static uint64_t booked(const struct director *d)
{
	uint64_t ns = 0;

	for (unsigned int i = 0; i < d->lives; i++)
		ns += atomic_load(&d->shared->lives[i].done);
	return ns;
}

/* Until something was booked, if a broker runs. */
static void wait_booked(const struct director *d)
{
	uint64_t before = booked(d);
	bool runs = false;

	for (unsigned int i = 0; i < BROKERS; i++)
		runs = runs || !d->stopped[i];
	if (runs)
		WAIT_UNTIL(booked(d) > before, PATIENCE_S);
}

static void start_broker(struct director *d, unsigned int i)
{
	struct life *life = &d->shared->lives[d->lives++];

	assert_true(d->lives <= LIVES);
	d->stopped[i] = false;
	d->brokers[i] = spawn();
	if (d->brokers[i] == 0)
		be_broker(d, life);
}

static struct k2k_budget_info budget_of(struct director *d)
{
	struct k2k_budget_info info = { .size = sizeof info };
	size_t count;

	assert_int_equal(k2k_budget_list(d->admin, TENANT, &info, 1, &count), 0);
	assert_int_equal(count, 1);
	return info;
}

/* Closed periods never change; their numbers have no gap, and their begins rise. */
static void read_history(struct director *d)
{
	struct k2k_budget_use list[K2K_BUDGET_PERIODS_KEPT] = { { .size = sizeof list[0] } };
	size_t count;

	assert_int_equal(
		k2k_budget_history(d->admin, TENANT, tag, list, K2K_BUDGET_PERIODS_KEPT, &count),
		0);
	d->pending_ns = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t n = list[i].period;

		if (list[i].flags & K2K_BUDGET_USE_PENDING) {
			assert_int_equal(i, count - 1);
			d->pending_ns = list[i].used_ns;
			return;
		}
		assert_true(n > 0 && n < PERIODS);
		assert_true(list[i].began_at_ns < list[i].next_began_at_ns);
		if (i > 0) {
			assert_int_equal(n, list[i - 1].period + 1);
			assert_int_equal(list[i].began_at_ns, list[i - 1].next_began_at_ns);
		}
		if (n <= d->newest) {
			assert_int_equal(list[i].used_ns, d->used_ns[n]);
			assert_int_equal(list[i].began_at_ns, d->began_at_ns[n]);
			continue;
		}
		assert_int_equal(n, d->newest + 1);
		d->used_ns[n] = list[i].used_ns;
		d->began_at_ns[n] = list[i].began_at_ns;
		d->newest = n;
	}
}

static void step_clock(struct director *d)
{
	uint64_t way = random_below(10);

	if (way == 0)
		atomic_fetch_sub(&d->shared->wall_ns, (1 + random_below(3)) * HOUR);
	else if (way == 1)
		atomic_fetch_add(&d->shared->wall_ns, (2 + random_below(40)) * HOUR);
	else
		atomic_fetch_add(&d->shared->wall_ns, HOUR);
}

/* Takes back, too: the sum of all corrections never takes more than was booked. */
static void correct(struct director *d)
{
	int64_t ns = (int64_t)random_below(4000) - 2000;
	struct k2k_budget_info before, after;
	int code = k2k_usage_correct(d->admin, TENANT, tag, ns ? ns : 1, "test", 0);

	if (code == K2K_EINVAL)
		return;
	assert_int_equal(code, 0);
	before = budget_of(d);
	after = budget_of(d);
	assert_true(after.used_ns >= before.used_ns || after.period > before.period);
	d->corrected += ns ? ns : 1;
}

static void disturb(struct director *d)
{
	unsigned int i = (unsigned int)random_below(BROKERS);

	switch (random_below(8)) {
	case 0:
		if (d->lives < LIVES) {
			spawn_kill(d->brokers[i]);
			start_broker(d, i);
		}
		break;
	case 1:
		kill(d->brokers[i], SIGSTOP);
		d->stopped[i] = true;
		break;
	case 2:
		for (i = 0; i < BROKERS; i++) {
			kill(d->brokers[i], SIGCONT);
			d->stopped[i] = false;
		}
		break;
	case 3: correct(d); break;
	default: break;
	}
}

static void recount(struct director *d)
{
	struct k2k_budget_info budget = budget_of(d);
	struct k2k_usage_info usage = { .size = sizeof usage };
	uint64_t done = 0, doing = 0, uses = budget.used_ns + d->pending_ns;
	size_t count;

	assert_int_equal(k2k_usage_list(d->admin, TENANT, &usage, 1, &count), 0);
	assert_int_equal(count, 1);
	for (unsigned int i = 0; i < d->lives; i++) {
		done += atomic_load(&d->shared->lives[i].done);
		doing += atomic_load(&d->shared->lives[i].doing);
	}
	for (uint64_t n = 1; n <= d->newest; n++)
		uses += d->used_ns[n];
	assert_in_range(usage.gpu_ns, done, done + doing);
	assert_int_equal(usage.corrected_ns, d->corrected);
	assert_in_range(budget.period, d->newest + 1, d->newest + 2);
	assert_int_equal(uses, usage.gpu_ns + (uint64_t)budget.corrected_ns);
	print_message("%" PRIu64 " periods, %u lives, %" PRIu64 " ns\n", d->newest, d->lives,
	              usage.gpu_ns);
	assert_true(d->newest > STEPS / 8 && d->lives > BROKERS + 10);
}

TEST(the_periods_add_up_whoever_is_killed_or_stopped_and_however_the_clock_steps)
{
	struct k2k_budget budget = { ENGAGEMENT, 20000 };
	struct k2k_budget_terms terms = { .renewal = K2K_RENEWAL_HOUR };
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	static struct director d;
	struct k2k_finding finding = { .size = sizeof finding };
	size_t count;

	random_seed(7);
	d.name = fresh_registry();
	d.shared = shared_bytes(sizeof *d.shared);
	atomic_store(&d.shared->wall_ns, 400000 * HOUR);
	assert_int_equal(k2k_registry_create(d.name, NULL, &d.admin), 0);
	d.admin->clock.injected_wall_ns = &d.shared->wall_ns;
	quota.budgets = &budget;
	quota.budget_count = 1;
	quota.budget_terms = &terms;
	assert_int_equal(k2k_tenant_register(d.admin, TENANT, &quota), 0);
	for (unsigned int i = 0; i < BROKERS; i++)
		start_broker(&d, i);
	for (int i = 0; i < STEPS; i++) {
		step_clock(&d);
		if (random_below(4))
			wait_booked(&d);
		disturb(&d);
		read_history(&d);
		if (i % 100 == 0) /* an amount changes; the period goes on */
			assert_int_equal(
				k2k_budget_set(d.admin, TENANT, ENGAGEMENT, 20000 + (uint64_t)i),
				0);
	}
	for (unsigned int i = 0; i < BROKERS; i++) {
		kill(d.brokers[i], SIGCONT);
		spawn_kill(d.brokers[i]);
	}
	read_history(&d);
	recount(&d);
	assert_int_equal(k2k_registry_check(d.admin, &finding, 1, &count), 0);
	if (count)
		fail_msg("check: %s: %s", finding.object, finding.text);
	assert_int_equal(k2k_registry_close(&d.admin), 0);
	assert_int_equal(k2k_registry_destroy(d.name, 0, NULL), 0);
}
