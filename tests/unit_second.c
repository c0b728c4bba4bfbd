/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_second - the second in which a message is counted, and when a refused message may be sent
 * again
 *
 * Real clocks, unless a test says otherwise.
 */
#include "quiet_agent.h"
#include "registry_fixture.h"

#include <sched.h>

enum { LIMIT = 5, TENANTS = 200 };

struct scene {
	const char *name;
	struct k2k_registry *admin, *broker, *other;
};

static uint64_t second(const struct k2k_registry *reg)
{
	return k2k_clock_now(&reg->clock).second;
}

/* Polls the clock: no other event shows that a second begins. */
static void await_second(const struct k2k_registry *reg, uint64_t wanted)
{
	while (second(reg) < wanted)
		sched_yield();
}

static void open_scene(struct scene *s)
{
	struct k2k_quota quota = quota_standard();

	s->name = fresh_registry();
	assert_int_equal(k2k_registry_create(s->name, NULL, &s->admin), 0);
	assert_int_equal(k2k_registry_open(s->name, K2K_ROLE_BROKER, NULL, &s->broker), 0);
	assert_int_equal(k2k_registry_open(s->name, K2K_ROLE_BROKER, NULL, &s->other), 0);
	quota.max_messages_per_sec = LIMIT;
	assert_int_equal(k2k_tenant_register(s->admin, 1, &quota), 0);
}

static void close_scene(struct scene *s)
{
	struct k2k_finding finding = { .size = sizeof(finding) };
	size_t count;

	assert_int_equal(k2k_registry_check(s->admin, &finding, 1, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(k2k_registry_close(&s->other), 0);
	assert_int_equal(k2k_registry_close(&s->broker), 0);
	assert_int_equal(k2k_registry_close(&s->admin), 0);
	assert_int_equal(k2k_registry_destroy(s->name, 0, NULL), 0);
}

static int admit(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_verdict *verdict)
{
	*verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	return k2k_message_admit(reg, id, no_tag, 1, verdict);
}

TEST(each_message_is_counted_in_the_second_it_comes_in_though_no_thread_of_the_broker_runs)
{
	struct k2k_verdict verdict;
	struct scene s;
	uint64_t first, before = 0;

	open_scene(&s);
	quiet_agent(s.broker);
	k2k_helper_stop(&s.broker->helper);
	first = second(s.broker);
	while (before < first + 3) {
		before = second(s.broker);
		int code = admit(s.broker, 1, &verdict);
		uint64_t after = k2k_clock_exact(&s.broker->clock).second;

		assert_true(code == 0 || code == K2K_ERATE);
		assert_true(before <= verdict.window && verdict.window <= after);
		/* The same for a peek. */
		before = second(s.broker);
		code = k2k_quota_check(s.broker, 1, no_tag, 1, &verdict);
		after = k2k_clock_exact(&s.broker->clock).second;
		assert_true(code == 0 || code == K2K_ERATE);
		assert_true(before <= verdict.window && verdict.window <= after);
	}
	close_scene(&s);
}

struct refused {
	k2k_tenant_id id;
	uint64_t until_ns;
};

static int by_time(const void *one, const void *other)
{
	const struct refused *a = one, *b = other;

	return a->until_ns < b->until_ns ? -1 : a->until_ns > b->until_ns;
}

TEST(who_waits_as_long_as_told_is_not_refused_again)
{
	struct refused refused[TENANTS];
	struct k2k_quota quota = quota_standard();
	struct k2k_verdict verdict;
	struct scene s;

	open_scene(&s);
	quota.max_messages_per_sec = 1;
	for (k2k_tenant_id id = 2; id < 2 + TENANTS; id++)
		assert_int_equal(k2k_tenant_register(s.admin, id, &quota), 0);
	/* Repeats until enough messages came before the coarse clock showed the new second. */
	for (int round = 0, early = 0; early < 20 && round < 30; round++) {
		await_second(s.broker, second(s.broker) + 1);
		/* At all phases of the coarse clock's tick. */
		for (int i = 0; i < TENANTS; i++) {
			k2k_tenant_id id = 2 + (k2k_tenant_id)i;
			uint64_t next = now_ns() + 100000;
			int code;

			while ((code = admit(s.broker, id, &verdict)) == 0)
				;
			assert_int_equal(code, K2K_ERATE);
			assert_true(verdict.retry_after_ns > 0 && verdict.retry_after_ns <= SECOND);
			refused[i] = (struct refused){ id, now_ns() + verdict.retry_after_ns };
			while (now_ns() < next)
				;
		}
		qsort(refused, TENANTS, sizeof refused[0], by_time);
		/*
		 * Sleeps instead of spinning: the scheduler preempts a process that was busy for a
		 * second, and would do so when it matters.
		 */
		while (now_ns() + 400000 < refused[0].until_ns)
			nanosleep(&(struct timespec){ 0, 300000 }, NULL);
		for (int i = 0; i < TENANTS; i++) {
			while (now_ns() < refused[i].until_ns)
				;
			early += k2k_clock_now(&s.broker->clock).second <
			         k2k_clock_exact(&s.broker->clock).second;
			assert_int_equal(i % 2 ? admit(s.other, refused[i].id, &verdict)
			                       : k2k_quota_check(s.broker, refused[i].id, no_tag, 1,
			                                         &verdict),
			                 0);
		}
	}
	close_scene(&s);
}

TEST(a_clock_that_is_behind_the_window_is_no_damage_and_admits_no_more)
{
	struct k2k_verdict verdict;
	_Atomic uint64_t ahead, behind;
	struct scene s;
	uint64_t now;

	open_scene(&s);
	now = second(s.broker);
	atomic_store(&ahead, (now + 1) * SECOND);
	atomic_store(&behind, now * SECOND + SECOND - 1);
	s.broker->clock.injected_ns = &ahead;
	s.other->clock.injected_ns = &behind;
	assert_int_equal(admit(s.broker, 1, &verdict), 0);
	for (int i = 1; i < LIMIT; i++) {
		assert_int_equal(admit(s.other, 1, &verdict), 0);
		assert_int_equal(verdict.window, now + 1);
		assert_int_equal(verdict.used, i + 1);
	}
	assert_int_equal(admit(s.other, 1, &verdict), K2K_ERATE);
	assert_int_equal(verdict.window, now + 1);
	s.broker->clock.injected_ns = NULL;
	s.other->clock.injected_ns = NULL;
	close_scene(&s);
}

TEST(windows_by_two_clocks_that_differ_never_hold_more_than_the_limit)
{
	enum { SECONDS = 3 };
	uint64_t in_window[64] = { 0 }, first, now;
	struct k2k_verdict verdict;
	_Atomic uint64_t late;
	struct scene s;

	open_scene(&s);
	first = second(s.broker);
	atomic_store(&late, first * SECOND);
	s.other->clock.injected_ns = &late;
	while ((now = second(s.broker)) < first + SECONDS) {
		/* a twentieth of a second behind */
		atomic_store(&late,
		             now * SECOND + k2k_clock_now(&s.broker->clock).ns - SECOND / 20);
		for (int i = 0; i < 2; i++)
			if (admit(i ? s.other : s.broker, 1, &verdict) == 0) {
				assert_true(verdict.window >= first - 1 &&
				            verdict.window - first + 1 < 64);
				in_window[verdict.window - first + 1]++;
			}
	}
	for (int i = 0; i < 64; i++)
		assert_true(in_window[i] <= LIMIT);
	/* As many as the limit, if more were asked for. */
	for (uint64_t i = 2; i < SECONDS; i++)
		assert_int_equal(in_window[i], LIMIT);
	s.other->clock.injected_ns = NULL;
	close_scene(&s);
}
