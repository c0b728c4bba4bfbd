/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_second - the second that a broker's helper keeps for the message path may be old, and nothing goes wrong
 *
 * Real clocks. The helper is stopped where a test needs the kept second to stay what it is.
 */
#include "registry_fixture.h"

#include <sched.h>

#define LIMIT 5

struct scene {
	const char *name;
	struct k2k_registry *admin, *fresh, *stale;
};

static uint64_t second(const struct k2k_registry *reg)
{
	return k2k_clock_now(&reg->clock).second;
}

/* Of the clock's own moving on, not of a wait: nothing else tells that a second begins. */
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
	assert_int_equal(k2k_registry_open(s->name, K2K_ROLE_BROKER, NULL, &s->fresh), 0);
	assert_int_equal(k2k_registry_open(s->name, K2K_ROLE_BROKER, NULL, &s->stale), 0);
	quota.max_messages_per_sec = LIMIT;
	assert_int_equal(k2k_tenant_register(s->admin, 1, &quota), 0);
	k2k_helper_stop(&s->stale->helper);
}

static void close_scene(struct scene *s)
{
	struct k2k_finding finding = { .size = sizeof(finding) };
	size_t count;

	assert_int_equal(k2k_registry_check(s->admin, &finding, 1, &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(k2k_registry_close(&s->stale), 0);
	assert_int_equal(k2k_registry_close(&s->fresh), 0);
	assert_int_equal(k2k_registry_close(&s->admin), 0);
	assert_int_equal(k2k_registry_destroy(s->name, 0, NULL), 0);
}

static int admit(struct k2k_registry *reg, struct k2k_verdict *verdict)
{
	*verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	return k2k_message_admit(reg, 1, no_tag, 1, verdict);
}

TEST(the_helper_keeps_the_second_and_follows_the_clock)
{
	struct scene s;
	uint64_t before, kept;

	open_scene(&s);
	while ((before = k2k_load_relaxed(&s.fresh->clock.kept)) == 0)
		sched_yield();
	assert_true(before <= second(s.fresh));
	for (int i = 0; i < 2; i++) {
		/* it wakes for it: a second later it has a newer one, without anybody asking */
		while ((kept = k2k_load_relaxed(&s.fresh->clock.kept)) == before)
			assert_true(second(s.fresh) <= before + 3);
		assert_true(kept > before && kept <= second(s.fresh));
		before = kept;
	}
	close_scene(&s);
}

TEST(a_broker_whose_kept_second_is_old_is_refused_only_by_the_newest_second)
{
	struct k2k_verdict verdict;
	struct scene s;
	uint64_t now;

	open_scene(&s);
	now = second(s.stale) + 1;
	await_second(s.stale, now);
	s.stale->clock.kept = now;
	for (int i = 0; i < LIMIT; i++)
		assert_int_equal(admit(s.stale, &verdict), 0);
	await_second(s.stale, now + 1);
	/* by the kept second it is full; by the clock a new one has begun */
	assert_int_equal(admit(s.stale, &verdict), 0);
	assert_true(verdict.window > now && verdict.used == 1);
	assert_int_equal(k2k_quota_check(s.stale, 1, no_tag, LIMIT - 1, &verdict), 0);
	close_scene(&s);
}

TEST(a_kept_second_far_behind_the_window_is_no_damage_and_admits_no_more)
{
	struct k2k_verdict verdict;
	struct scene s;
	uint64_t window;

	open_scene(&s);
	await_second(s.fresh, second(s.fresh) + 1); /* a whole second to do it in */
	assert_int_equal(admit(s.fresh, &verdict), 0);
	window = verdict.window;
	s.stale->clock.kept = window - 10;
	for (int i = 1; i < LIMIT; i++) {
		assert_int_equal(admit(s.stale, &verdict), 0);
		assert_true(verdict.window > window || verdict.used == (uint64_t)i + 1);
	}
	if (verdict.window == window) {
		int code = admit(s.stale, &verdict);

		assert_true(code == K2K_ERATE ? verdict.window == window : verdict.window > window);
		assert_true(code == 0 || (verdict.retry_after_ns > 0 && verdict.retry_after_ns <= SECOND));
	}
	close_scene(&s);
}

TEST(windows_by_two_kept_seconds_never_hold_more_than_the_limit)
{
	enum { SECONDS = 3 };
	uint64_t in_window[64] = { 0 }, first, now;
	struct k2k_verdict verdict;
	struct scene s;

	open_scene(&s);
	first = second(s.fresh);
	s.stale->clock.kept = first;
	while ((now = second(s.fresh)) < first + SECONDS)
		for (int i = 0; i < 2; i++)
			if (admit(i ? s.stale : s.fresh, &verdict) == 0) {
				assert_true(verdict.window >= first && verdict.window <= second(s.fresh) && verdict.window - first < 64);
				in_window[verdict.window - first]++;
			}
	for (int i = 0; i < 64; i++)
		assert_true(in_window[i] <= LIMIT);
	/* and as many as the limit where more was asked */
	for (uint64_t i = 1; i < SECONDS; i++)
		assert_int_equal(in_window[i], LIMIT);
	close_scene(&s);
}
