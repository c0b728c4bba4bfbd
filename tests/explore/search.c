/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * search.c - runs a program of two to four threads in every way that C11 allows.
 *
 * The threads are coroutines of this process. Each runs up to its next step, an access of lib/base.h
 * or a question (explore.h), and stops in front of it. Then the search chooses: which thread makes
 * its step, or whose process dies, or who stands still for ever; and if the step reads, which of the
 * stores that memory.h offers. The first execution takes the first alternative everywhere. Each
 * further one takes the same choices as the one before up to the last that has an alternative left,
 * and takes that. So it is a depth-first search that keeps no state but the list of choices; it ends
 * when no choice has an alternative. It is complete: no bound on preemptions, only one on the steps
 * of a thread, and executions that meet it are counted.
 *
 * The idea of such a search for C11 is CDSChecker's (Norris and Demsky, OOPSLA 2013), relacy's (Vyukov)
 * and GenMC's (Kokologiannakis and others: RCMC, POPL 2018; GenMC, CAV 2021). Death is ours.
 *
 * Three reductions leave out interleavings that come to the same. A step of thread B can be moved
 * in front of a step of A, without changing what either can come to, unless B reads a location that
 * A writes: what B writes is not hidden by it, because A may read an older store, and a store of A may
 * be put in front of B's in the modification order. Also two seq_cst fences keep their order, and a
 * death and a question about it. So of two steps only the order of a read after a write matters.
 *
 * 1. Eager steps. A step that can't be affected by any other thread that still runs is made at once,
 *    without an alternative: a store, and a load or a read-modify-write of a location that no other
 *    running thread ever stores to (a persistent set of one thread). Which threads store to a location
 *    is learned: if an execution finds a new one, the search begins again. Not if the thread's
 *    process may still die, because death has its order with questions.
 * 2. Sleep sets (Godefroid 1996; Abdulla, Aronis, Jonsson, Sagonas: Source-DPOR, POPL 2014, have the
 *    same sets). After all executions in which B's step comes next, those in which A's comes next
 *    need B only after something has made a difference to B: B sleeps until a thread writes what B
 *    reads.
 * 3. States. Where each thread has read the same from the same stores, and the modification orders
 *    are equal, all that can follow is equal: the state is known by a 64-bit hash of it, and is
 *    explored once. With it the sleep set is stored, as the threads that were left out; a later visit that has one of
 *    these awake explores that one (Godefroid's rule for the two together).
 *    Two states of equal hash would hide one: with 10^7 states once in 300,000 programs.
 *
 * What is not explored: load buffering (memory.h); spurious failures of a weak compare-exchange; data
 * races on what is not atomic (every word of the registry is).
 */
#include "search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "memory.h"
#include "run.h"

#define CHOICES 65536

/* One choice of the execution that runs, and of those that follow with the same beginning. */
struct choice {
	uint32_t todo; /* of actors: those left; of values: how many alternatives */
	uint32_t taken;
	uint32_t sleep; /* of actors: those that need not be taken here */
	bool of_actors;
};

static struct {
	uint32_t sleep; /* actors that sleep now */
	struct choice choices[CHOICES];
	size_t depth, length;
	const char *replay; /* what is left of it */
	uint64_t *states;   /* pairs: hash, sleep set */
	size_t state_room;
} s;

/* ---- the table of states ------------------------------------------------------------- */

static uint64_t *find_state(uint64_t hash)
{
	size_t at = hash & (s.state_room - 1);

	while (s.states[2 * at] && s.states[2 * at] != hash)
		at = (at + 1) & (s.state_room - 1);
	return &s.states[2 * at];
}

static void grow_states(size_t room)
{
	uint64_t *before = s.states;
	size_t count = s.state_room;

	s.states = calloc(2 * room, sizeof(uint64_t));
	if (!s.states) {
		fprintf(stderr, "explore: no memory for %zu states\n", room);
		exit(2);
	}
	s.state_room = room;
	for (size_t i = 0; before && i < count; i++)
		if (before[2 * i])
			memcpy(find_state(before[2 * i]), &before[2 * i], 2 * sizeof(uint64_t));
	free(before);
}

static uint64_t hash_state(uint32_t enabled)
{
	uint64_t hash = memory_mix(memory_hash(), enabled);

	for (int i = 0; i < run.count; i++)
		hash += memory_mix(run.threads[i].history,
		                   (uint64_t)run.threads[i].state << 8 | (unsigned int)i);
	return hash ? hash : 1;
}

/*
 * Is anything to be explored here? *sleep: who need not be. False: all that follows was explored, from
 * this state or another.
 */
static bool enter_state(uint32_t enabled, uint32_t *sleep)
{
	uint64_t hash = hash_state(enabled), *known = find_state(hash);

	if (run.options->no_cache)
		return (enabled & ~*sleep) != 0;
	if (known[0]) {
		uint32_t left_out = (uint32_t)known[1] & ~*sleep & enabled;

		if (!left_out)
			return false;
		known[1] &= *sleep;
		*sleep |= enabled & ~left_out;
		return true;
	}
	known[0] = hash;
	known[1] = *sleep & enabled;
	if (++run.figures->states > s.state_room / 2)
		grow_states(2 * s.state_room);
	return (enabled & ~*sleep) != 0;
}

/* ---- what depends on what ---------------------------------------------------------------- */

static bool reads(const struct step *step)
{
	return step->kind == STEP_LOAD || step->kind == STEP_RMW || step->kind == STEP_CAS;
}

static bool writes(const struct step *step)
{
	return step->kind == STEP_STORE || step->kind == STEP_RMW || step->kind == STEP_CAS;
}

static bool is_seq_cst(const struct step *step)
{
	return (step->kind == STEP_FENCE && step->order == EXPLORE_SEQ_CST) ||
	       step->kind == STEP_BARRIER;
}

/* Does it make a difference to `sleeper`, whose step would have come first, that `actor` has come first? */
static bool wakes(uint32_t actor, uint32_t sleeper)
{
	int a = actor_thread(actor), b = actor_thread(sleeper);
	const struct step *done = &run.threads[a].step, *next = &run.threads[b].step;

	if (a == b || (run.process[a] == run.process[b] && !(is_run(actor) && is_run(sleeper))))
		return true;
	/* a fence of a whole process, of what its threads have done by then */
	if (next->kind == STEP_BARRIER && run.process[a] == run.process[b])
		return true;
	if (is_run(actor) && is_run(sleeper))
		return (reads(next) && writes(done) && next->location == done->location) ||
		       (is_seq_cst(done) && is_seq_cst(next));
	/* a standing still is seen by nobody; a death by a question, and as a seq_cst fence */
	if (actor >= STOP(0) || sleeper >= STOP(0))
		return false;
	if (is_run(actor))
		return done->kind == STEP_ASK || is_seq_cst(done);
	if (is_run(sleeper))
		return next->kind == STEP_ASK || is_seq_cst(next);
	return true;
}

static void put_to_rest(uint32_t actor)
{
	uint32_t sleep = 0;

	for (uint32_t left = s.sleep; left; left &= left - 1) {
		uint32_t sleeper = left & -left;

		if (!wakes(actor, sleeper))
			sleep |= sleeper;
	}
	s.sleep = run.options->no_sleep ? 0 : sleep;
}

/* ---- choices --------------------------------------------------------------------------------- */

static struct choice *next_choice(void)
{
	if (s.depth == CHOICES) {
		fprintf(stderr, "explore: an execution of more than %d choices\n", CHOICES);
		exit(2);
	}
	return &s.choices[s.depth++];
}

/* One of n alternatives. */
unsigned int search_choose_value(unsigned int n)
{
	struct choice *choice;
	bool again;

	if (n == 1)
		return 0;
	if (run.options->replay) {
		unsigned int value = trace_replay_value(&s.replay);

		if (value >= n) {
			fprintf(stderr, "explore: the string to replay is of another program\n");
			exit(2);
		}
		trace_log_value(value);
		return value;
	}
	again = s.depth < s.length;
	choice = next_choice();
	if (!again) {
		*choice = (struct choice){ .todo = n };
		s.length = s.depth;
	}
	trace_log_value(choice->taken);
	return choice->taken;
}

/* A death is of a process: its first thread that lives stands for all. */
static bool may_die(int thread)
{
	if (run.deaths >= run.program->deaths || !(run.program->mortal >> thread & 1))
		return false;
	for (int i = 0; i < thread; i++)
		if (run.process[i] == run.process[thread] &&
		    run.threads[i].state <= THREAD_FINISHED)
			return false;
	return true;
}

static uint32_t enabled_actors(void)
{
	uint32_t actors = 0;

	for (int i = 0; i < run.count; i++) {
		if (run.threads[i].state > THREAD_FINISHED)
			continue;
		if (run_is_enabled(&run.threads[i]))
			actors |= RUN(i);
		if (may_die(i))
			actors |= DIE(i);
		if (run.threads[i].state == THREAD_READY && run.stops < run.program->stops &&
		    (run.program->stopping >> i & 1))
			actors |= STOP(i);
	}
	return actors;
}

/* Can no other thread that still runs make a difference to what it does next? */
static bool is_eager(int thread)
{
	const struct step *step = &run.threads[thread].step;
	unsigned int others = 0;

	if (run.options->no_eager || !run_is_enabled(&run.threads[thread]) ||
	    step->kind == STEP_ASK)
		return false;
	if (run.deaths < run.program->deaths)
		for (int i = 0; i < run.count; i++)
			if (run.process[i] == run.process[thread] && run.program->mortal >> i & 1)
				return false;
	for (int i = 0; i < run.count; i++)
		if (i != thread && run.threads[i].state == THREAD_READY) {
			if ((run.barriers >> i & 1) && run.process[i] == run.process[thread])
				return false;
			others |= 1u << i;
		}
	if (is_seq_cst(step) || step->kind == STEP_YIELD || step->kind == STEP_BARRIER)
		return others == 0;
	return !reads(step) || !(memory_location(step->location)->writers & others);
}

static uint32_t eager_actors(uint32_t enabled)
{
	for (int i = 0; i < run.count; i++) {
		int thread = (run.current + i) % run.count;

		if ((enabled & RUN(thread)) && is_eager(thread))
			return enabled & (RUN(thread) | STOP(thread));
	}
	return enabled;
}

/* The actor of a new choice among `actors`. 0: the execution ends here. */
static uint32_t first_choice(uint32_t actors)
{
	uint32_t sleep = s.sleep;
	struct choice *choice;

	if (!enter_state(actors, &sleep))
		return 0;
	choice = next_choice();
	s.length = s.depth;
	*choice = (struct choice){ .of_actors = true, .sleep = sleep, .todo = actors & ~sleep };
	/* first whoever runs already: the fewer switches, the shorter the trace */
	choice->taken = choice->todo & RUN(run.current) ? RUN(run.current)
	                                                : choice->todo & -choice->todo;
	choice->todo &= ~choice->taken;
	return choice->taken;
}

uint32_t search_choose_actor(void)
{
	uint32_t enabled = enabled_actors(), actors, actor;

	if (run.options->replay) {
		actor = trace_replay_actor(&s.replay);
		if (actor && !(enabled & actor)) {
			fprintf(stderr, "explore: the string to replay is of another program\n");
			exit(2);
		}
		return actor;
	}
	actors = eager_actors(enabled);
	if ((actors & (actors - 1)) == 0) {
		actor = actors & ~s.sleep;
	} else if (s.depth < s.length) {
		struct choice *choice = next_choice();

		actor = choice->taken;
		s.sleep = choice->sleep;
	} else {
		actor = first_choice(actors);
		s.sleep = s.choices[s.depth - 1].sleep;
	}
	if (actor)
		put_to_rest(actor);
	return actor;
}

/* The next execution's choices. False: none has an alternative left. */
static bool advance(void)
{
	for (; s.length > 0; s.length--) {
		struct choice *choice = &s.choices[s.length - 1];

		if (!choice->of_actors) {
			if (++choice->taken < choice->todo)
				return true;
		} else if (choice->todo) {
			choice->sleep |= choice->taken;
			choice->taken = choice->todo & -choice->todo;
			choice->todo &= ~choice->taken;
			return true;
		}
	}
	return false;
}

static void finish(void)
{
	run.figures->executions++;
	for (int i = 0; i < run.count; i++)
		if (run.threads[i].state == THREAD_READY && !run.program->may_wait)
			explore_fail(run.threads[i].step.site->file, run.threads[i].step.site->line,
			             "thread %d waits for what never comes", i);
	if (run.program->check)
		run.program->check();
	outcome_end();
}

static void run_once(void)
{
	s.depth = 0;
	s.sleep = 0;
	run.current = -1;
	trace_begin();
	outcome_begin();
	memory_begin();
	if (run.program->setup)
		run.program->setup();
	run_threads();
	if (run.how == RUN_CUT)
		run.figures->cut++;
	else if (run.how == RUN_REDUNDANT)
		run.figures->redundant++;
	else
		finish();
}

void search(struct explore_program *program, const struct search_options *options,
            struct search_figures *figures)
{
	struct timespec begun, ended;

	clock_gettime(CLOCK_MONOTONIC, &begun);
	run.program = program;
	run.options = options;
	run.figures = figures;
	s.replay = options->replay;
	memory_forget();
	run.barriers = 0;
	do {
		memset(figures, 0, sizeof(*figures));
		free(s.states);
		s.states = NULL;
		s.state_room = 0;
		grow_states(1 << 12);
		run.learned = false;
		s.length = 0;
		outcome_forget();
		do {
			run_once();
		} while (!run.learned && !options->replay && advance() &&
		         (!options->executions || figures->executions < options->executions));
	} while (run.learned && !options->replay);
	figures->complete = s.length == 0;
	clock_gettime(CLOCK_MONOTONIC, &ended);
	figures->seconds = (double)(ended.tv_sec - begun.tv_sec) +
	                   1e-9 * (double)(ended.tv_nsec - begun.tv_nsec);
}
