/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_run.h - kills one operation at each of its points in turn
 *
 * Each case prints one line, from which scripts/crash-test makes its table:
 *
 *	# kills | operation | state | steps | changes | calls | kills | before | after | either
 *		| unreached
 *
 * K2K_CRASH_EVERY=N kills at every N-th point only, from point K2K_CRASH_SEED modulo N on; if there
 * are two deaths, at every N-th point of each. K2K_CRASH_CASES=N takes every N-th case only: to
 * find the points of a case takes longer than some kills. K2K_CRASH_ONLY=TEXT takes only operations
 * whose name contains TEXT.
 */
#ifndef K2K_TESTS_CRASH_RUN_H
#define K2K_TESTS_CRASH_RUN_H

#include "crash_judge.h"
#include "crash_operations.h"

#include <dlfcn.h>

static bool is_wanted(const struct operation *operation)
{
	const char *only = getenv("K2K_CRASH_ONLY");

	return !only || strstr(operation->name, only);
}

/* For each state other operations are the N-th. */
static bool is_next_case(enum state state)
{
	static size_t seen;
	size_t every = number_of("K2K_CRASH_CASES", 1);

	return (seen++ + state) % every == number_of("K2K_CRASH_SEED", 0) % every;
}

/*
 * True for every N-th call. The counter is not reset between cases, so that a sample is spread over
 * all of them.
 */
static bool is_next(size_t *counter)
{
	size_t every = number_of("K2K_CRASH_EVERY", 1);

	return (*counter)++ % every == number_of("K2K_CRASH_SEED", 0) % every;
}

static size_t points_seen;

/* An earlier death, whose traces are in the registry. */
struct death {
	const struct operation *operation;
	const struct point *point;
};

/*
 * Starts a victim of `operation` and kills it right after `point`. False if it did not get there.
 * With `slow` it stops on its way as often as in the discovery.
 */
static bool kill_after(struct scene *scene, const struct operation *operation,
                       const struct point *point, bool slow)
{
	bool by_itself = !point->stepped && !point->is_call && !slow, there;
	bool watched = by_itself || (slow && !point->stepped);

	scene->victim = start_victim(scene, operation, watched, by_itself ? point : NULL);
	if (by_itself) {
		there = stores_let_go(scene->victim);
		scene->victim = 0;
		return there;
	}
	if (!slow)
		there = victim_bring_to(scene->victim, point);
	else if (point->stepped)
		there = victim_step_to(scene->victim, point);
	else
		there = stores_bring_to(scene->victim, point);
	end_process(&scene->victim);
	return there;
}

/* Opens a scene; after the death `earlier`, if there is one. False: its point was not reached. */
static bool open_after(struct scene *scene, const struct operation *operation, enum state state,
                       const struct death *earlier)
{
	scene_open(scene, earlier ? earlier->operation : operation, state);
	return !earlier || kill_after(scene, earlier->operation, earlier->point, false);
}

/* False if the earlier point was not reached this time. */
static bool discover(struct points *points, const struct operation *operation, enum state state,
                     bool stepped, bool every_instruction, const struct death *earlier)
{
	struct scene scene;
	bool there = open_after(&scene, operation, state, earlier);

	if (there) {
		scene.victim = start_victim(&scene, operation, !stepped, NULL);
		if (scene.bystander)
			pause_bystander(&scene);
		if (stepped)
			victim_discover(scene.victim, scene_changed, &scene, every_instruction,
			                points);
		else
			stores_discover(scene.victim, scene_changed, &scene, points);
	}
	scene_close(&scene);
	return there;
}

static void describe(char text[200], const struct point *point)
{
	Dl_info info = { .dli_fname = "?" };

	dladdr((void *)point->at, &info);
	snprintf(text, 200, "after %s+%#lx (%s, arrival %u)", info.dli_fname,
	         (unsigned long)(point->at - (uintptr_t)info.dli_fbase),
	         point->is_call ? "system call" : "store", point->arrival);
}

static void kill_at(const struct operation *operation, enum state state,
                    const struct oracle *oracle, const struct points *points, size_t number,
                    const struct death *earlier, struct tally *tally)
{
	/* a wait may take more turns or fewer; the last tries are as slow as the discovery */
	enum { FAST_TRIES = 2, TRIES = 4 };
	struct scene scene;
	bool there = false;
	char where[512], last[200], first[200] = "";

	describe(last, &points->list[number]);
	if (earlier)
		describe(first, earlier->point);
	snprintf(where, sizeof where, "%s%s%s at point %zu of %zu, %s", first,
	         earlier ? ", then " : "", earlier ? operation->name : "", number + 1,
	         points->count, last);
	for (int i = 0; !there && i < TRIES; i++) {
		there = open_after(&scene, operation, state, earlier) &&
		        kill_after(&scene, operation, &points->list[number], i >= FAST_TRIES);
		if (there)
			judge(&scene, oracle, number, where, tally);
		scene_close(&scene);
	}
	tally->unreached += !there;
	tally->missed += !there &&
	                 !(points->list[number].is_call && points->list[number].arrival > 1);
}

static struct tally sum;

static void print_row(const char *operation, enum state state, const struct points *points,
                      const struct tally *tally)
{
	printf("# kills | %s | %s | %zu | %zu | %zu | %zu | %zu | %zu | %zu | %zu\n", operation,
	       state_names[state], points->steps, points->changes, points->calls, tally->kills,
	       tally->before, tally->after, tally->either, tally->unreached);
	fflush(stdout);
	sum.kills += tally->kills;
	sum.missed += tally->missed;
}

/* At the end of a test: nearly all of its points were reached. */
HARNESS_USED static void check_reached(void)
{
	assert_true(sum.missed * 20 <= sum.kills + 20);
}

HARNESS_USED static void kill_everywhere(const struct operation *operation, enum state state,
                                         bool every_instruction)
{
	struct points points = { 0 };
	struct oracle oracle;
	struct tally tally = { 0 };

	if (!is_wanted(operation) || !is_possible(operation, state) || !is_next_case(state))
		return;
	consult(&oracle, operation, state);
	assert_true(
		discover(&points, operation, state, every_instruction, every_instruction, NULL));
	/* of every instruction the fewest of three times: turns of a wait are not reached again */
	for (int i = 0; every_instruction && i < 2; i++) {
		struct points again = { 0 };

		assert_true(discover(&again, operation, state, true, true, NULL));
		if (again.count < points.count) {
			points_free(&points);
			points = again;
		} else {
			points_free(&again);
		}
	}
	for (size_t i = 0; i < points.count; i++)
		if (is_next(&points_seen))
			kill_at(operation, state, &oracle, &points, i, NULL, &tally);
	print_row(operation->name, state, &points, &tally);
	points_free(&points);
	oracle_free(&oracle);
}

#endif
