/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_recovery - two deaths deep: an operation is killed after each of its stores, and what
 * recovers from that is killed after each store and each system call of its own
 *
 * What is left after the second death is judged like what the first one left: the first operation
 * happened, or it did not.
 *
 * One first death is taken for each half-done state that recovery distinguishes. If recovery makes
 * the same stores and system calls in the same order as after an earlier first death, and the same
 * stores change something, it is not killed again.
 */
#define HARNESS_TIMEOUT_S 7200

#include "crash_run.h"

static const struct operation change = ADMIN("the next change", run_neutral_update),
			      repair = ADMIN("repair", run_repair),
			      attach = NOBODY("the next attach", run_attach),
			      open_admin = NOBODY("the next open", run_open_admin, .removes = true);

enum { PATHS = 1024 };

static bool is_new_path(uint64_t paths[PATHS], uint64_t path)
{
	size_t i = 0;

	while (paths[i] && paths[i] != path)
		assert_true(++i < PATHS);
	if (paths[i])
		return false;
	paths[i] = path;
	return true;
}

/*
 * For each half-done state that `operation` can leave: one death that leaves it, and after it every
 * death of `recovery`.
 */
static void kill_recovery(const struct operation *operation, enum state state,
                          const struct operation *recovery)
{
	struct points firsts = { 0 }, all = { 0 };
	/* its half-done states differ by system calls, not by stores */
	bool by_names = operation->no_registry || operation->removes;
	static size_t firsts_seen;
	struct oracle oracle;
	struct tally tally = { 0 };
	uint64_t paths[PATHS] = { 0 };
	char name[128];

	if (!is_wanted(operation) || !is_possible(operation, state) || !is_next_case(state))
		return;
	consult(&oracle, operation, state);
	assert_true(discover(&firsts, operation, state, false, false, NULL));
	for (size_t i = 0; i < firsts.count; i++) {
		struct death first = { operation, &firsts.list[i] };
		struct points points = { 0 };
		bool is_new;

		if ((!first.point->is_change && !by_names) || !is_next(&firsts_seen))
			continue;
		if (!discover(&points, recovery, state, false, false, &first)) {
			tally.unreached++;
			continue;
		}
		is_new = is_new_path(paths, points.path);
		for (size_t j = 0; is_new && j < points.count; j++)
			if (is_next(&points_seen))
				kill_at(recovery, state, &oracle, &points, j, &first, &tally);
		all.steps += points.steps;
		all.changes += points.changes;
		all.calls += points.calls;
		points_free(&points);
	}
	snprintf(name, sizeof name, "%s, then %s", operation->name, recovery->name);
	print_row(name, state, &all, &tally);
	points_free(&firsts);
	oracle_free(&oracle);
}

/* After every `step`-th operation, from number `first` on. */
static void kill_recovery_of_admins(const struct operation *recovery, enum state state,
                                    size_t first, size_t step)
{
	for (size_t i = first; i < sizeof admin_operations / sizeof admin_operations[0]; i += step)
		if (admin_operations[i].role && admin_operations[i].run != run_close &&
		    admin_operations[i].run != run_check)
			kill_recovery(&admin_operations[i], state, recovery);
	check_reached();
}

static void kill_recovery_of_brokers(const struct operation *recovery, enum state state)
{
	for (size_t i = 0; i < sizeof broker_operations / sizeof broker_operations[0]; i++)
		kill_recovery(&broker_operations[i], state, recovery);
	check_reached();
}

TEST(a_change_after_a_killed_administrator)
{
	kill_recovery_of_admins(&change, STATE_HALF_FULL, 0, 1);
}
TEST(a_change_that_reaps_after_a_killed_administrator)
{
	kill_recovery_of_admins(&change, STATE_PASSED, 0, 1);
}
/* Two tests, so that two processors share them: they take the longest. */
TEST(a_repair_after_a_killed_administrator)
{
	kill_recovery_of_admins(&repair, STATE_EMPTY, 0, 2);
}
TEST(a_repair_after_another_killed_administrator)
{
	kill_recovery_of_admins(&repair, STATE_EMPTY, 1, 2);
}
TEST(an_attach_after_a_killed_broker)
{
	kill_recovery_of_brokers(&attach, STATE_HALF_FULL);
}
TEST(a_repair_after_a_killed_broker)
{
	kill_recovery_of_brokers(&repair, STATE_HALF_FULL);
}

TEST(the_next_open_after_a_killed_creator_or_destroyer)
{
	for (size_t i = 0; i < sizeof admin_operations / sizeof admin_operations[0]; i++)
		if (admin_operations[i].no_registry || admin_operations[i].removes)
			kill_recovery(&admin_operations[i], STATE_EMPTY, &open_admin);
	check_reached();
}
