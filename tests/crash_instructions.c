/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_instructions - that the points of crash_points and crash_recovery leave nothing out
 *
 * 1. admit and register, killed after every single instruction.
 * 2. The points, found in another way. crash_points catches stores by page faults; here every
 *    instruction is stepped over, and both objects are compared after each. Both find the same
 *    stores in the same order, and system calls at the same instructions: of every operation, and
 *    of what recovers from deaths. (A store of what is there already makes no new state.)
 */
#define HARNESS_TIMEOUT_S 3600

#include "crash_run.h"

static const struct operation *operation_named(const char *name)
{
	for (size_t i = 0; i < sizeof admin_operations / sizeof admin_operations[0]; i++)
		if (strcmp(admin_operations[i].name, name) == 0)
			return &admin_operations[i];
	for (size_t i = 0; i < sizeof broker_operations / sizeof broker_operations[0]; i++)
		if (strcmp(broker_operations[i].name, name) == 0)
			return &broker_operations[i];
	fail_msg("no operation %s", name);
}

static void kill_at_every_instruction(const char *name)
{
	kill_everywhere(operation_named(name), STATE_EMPTY, true);
	check_reached();
}

TEST(every_instruction_of_admit)
{
	kill_at_every_instruction("admit");
}
TEST(every_instruction_of_admit_rolling_the_window)
{
	kill_at_every_instruction("admit, rolling the window");
}
TEST(every_instruction_of_register)
{
	kill_at_every_instruction("register");
}

/* ---- the same points, found by stepping ------------------------------------------------------ */

/* The next of the stores from number `i` on; points->count: there is none. */
static size_t next_store(const struct points *points, size_t i)
{
	while (i < points->count && points->list[i].is_call)
		i++;
	return i;
}

static bool same_stores(const struct points *a, const struct points *b)
{
	size_t i = next_store(a, 0), j = next_store(b, 0);

	while (i < a->count && j < b->count && a->list[i].at == b->list[j].at) {
		i = next_store(a, i + 1);
		j = next_store(b, j + 1);
	}
	return i == a->count && j == b->count;
}

/* Whether `b` has a call at each instruction at which `a` has one: a wait may take more turns. */
static bool has_calls_of(const struct points *a, const struct points *b)
{
	for (size_t i = 0; i < a->count; i++) {
		size_t j = 0;

		while (a->list[i].is_call && j < b->count &&
		       !(b->list[j].is_call && b->list[j].at == a->list[i].at))
			j++;
		if (j == b->count)
			return false;
	}
	return true;
}

static void print_difference(const struct points *caught, const struct points *stepped)
{
	size_t i = next_store(caught, 0), j = next_store(stepped, 0);
	char text[200];

	while (i < caught->count || j < stepped->count) {
		bool same = i < caught->count && j < stepped->count &&
		            caught->list[i].at == stepped->list[j].at;

		if (!same && i < caught->count) {
			describe(text, &caught->list[i]);
			print_error("caught: %s\n", text);
		}
		if (!same && j < stepped->count) {
			describe(text, &stepped->list[j]);
			print_error("stepped: %s\n", text);
		}
		i = next_store(caught, i + (i < caught->count));
		j = next_store(stepped, j + (j < stepped->count));
	}
}

static void compare(const struct operation *operation, enum state state,
                    const struct death *earlier)
{
	struct points caught = { 0 }, stepped = { 0 };
	bool same = false;

	/*
	 * tried again if another process stored something while the victim was stepped: a store
	 * that is really left out is left out each time
	 */
	for (int i = 0; !same && i < 4; i++) {
		points_free(&caught);
		points_free(&stepped);
		if (!discover(&caught, operation, state, false, false, earlier) ||
		    !discover(&stepped, operation, state, true, false, earlier))
			continue;
		same = same_stores(&caught, &stepped) && has_calls_of(&caught, &stepped) &&
		       has_calls_of(&stepped, &caught);
	}
	printf("# stores | %s%s%s | %s | %zu | %zu | %zu\n",
	       earlier ? earlier->operation->name : "", earlier ? ", then " : "", operation->name,
	       state_names[state], caught.steps - caught.calls, caught.changes, stepped.changes);
	fflush(stdout);
	if (!same) {
		print_difference(&caught, &stepped);
		fail_msg("%s: page faults and steps don't find the same points", operation->name);
	}
	points_free(&caught);
	points_free(&stepped);
}

static void compare_each(const struct operation *operations, size_t count)
{
	/*
	 * the objects of a creator have no name while it fills them: no other process can see those
	 * stores, and crash_points does not kill after them
	 */
	for (size_t i = 0; i < count; i++)
		if (is_wanted(&operations[i]) && !operations[i].no_registry &&
		    is_next_case(STATE_HALF_FULL))
			compare(&operations[i], STATE_HALF_FULL, NULL);
}

TEST(no_store_is_left_out)
{
	compare_each(admin_operations, sizeof admin_operations / sizeof admin_operations[0]);
	compare_each(broker_operations, sizeof broker_operations / sizeof broker_operations[0]);
}

static const struct operation change = ADMIN("the next change", run_neutral_update),
			      repair = ADMIN("repair", run_repair);

/* After a death in the middle of the operation, when most is half done. */
static void compare_recovery(const struct operation *operation, const struct operation *recovery,
                             enum state state)
{
	struct points firsts = { 0 };
	struct death first = { .operation = operation };

	if (!is_wanted(operation) || !operation->role || !is_next(&points_seen))
		return;
	assert_true(discover(&firsts, operation, state, false, false, NULL));
	for (size_t i = 0; i <= firsts.count / 2; i++)
		if (firsts.list[i].is_change)
			first.point = &firsts.list[i];
	if (first.point)
		compare(recovery, state, &first);
	points_free(&firsts);
}

TEST(no_store_of_a_recovery_is_left_out)
{
	for (size_t i = 0; i < sizeof admin_operations / sizeof admin_operations[0]; i++) {
		compare_recovery(&admin_operations[i], &change, STATE_HALF_FULL);
		compare_recovery(&admin_operations[i], &repair, STATE_EMPTY);
	}
}
