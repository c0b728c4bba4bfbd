/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * search.c - runs a program of two to four threads in every way that C11 allows.
 *
 * The threads are coroutines of this process. Each runs up to its next step, an access of
 * lib/base.h or a question (explore.h), and stops in front of it. Then the search chooses an actor:
 * a thread that makes its step, a process that dies, or a thread that stands still for ever. If the
 * step reads, the search also chooses which of the stores that memory.h offers, and if it stores,
 * at which place in the modification order. So an execution is a list of nodes, one a step. The
 * next execution repeats the list up to the last node that has an alternative left, and takes that.
 * It is a depth-first search that keeps nothing but the list, and it ends when no node has an
 * alternative.
 *
 * Each node begins with one actor, and gets others only if a later step makes a difference to what
 * that actor did: source-DPOR (Abdulla, Aronis, Jonsson, Sagonas: Optimal Dynamic Partial Order
 * Reduction, POPL 2014), for the executions of a weak memory model as RCMC and GenMC have them
 * (Kokologiannakis and others, POPL 2018, PLDI 2019). Two executions are the same if each load
 * reads from the same store, each location has the same modification order, and fences, deaths and
 * questions have the same order. What makes a difference:
 *
 *  - A load (or a read-modify-write, or a compare-exchange that fails) comes before a store of the
 *    same location that does not depend on it: it could have read that store. Then the node of the
 *    load gets an actor that leads to the store. The other way round makes none: a load after a
 *    store may read an older one as well, and of two stores the later one may take the place before
 *    the other.
 *  - Two seq_cst fences (or deaths, or membarriers), in any order.
 *  - A question whether a process lives, and its death. A death, and a membarrier, and any step of
 *    another thread of that process.
 *
 * Whether a step depends on an earlier one is told by vector clocks along program order,
 * reads-from, and the order of seq_cst fences. An actor that leads to a step is the first of those
 * that the step depends on, after the node.
 *
 * Sleep sets (Godefroid 1996) leave out what is seen twice. Once all executions with an actor at a
 * node are done, it sleeps in those with another actor: for a load that means that it reads only
 * stores that came after the node, because those with the older ones are done.
 *
 * Complete: there is no bound on preemptions. There is one on the steps of a thread, and executions
 * that meet it are counted as cut. A thread that waits (explore_yield) goes on after some other
 * store, and in the end sees the newest ones; how often it looks in vain before that is not
 * explored.
 * Left out: load buffering (memory.h), compare-exchanges that fail for no reason, and data races on
 * what is not atomic (each word of the registry is).
 *
 * --naive takes each actor at each node, and gives up an execution in a state that was there
 * before, known by a hash. It is slow, and the reference: --compare counts the executions that both
 * come to.
 *
 * Relatives: CDSChecker (Norris and Demsky, OOPSLA 2013), relacy (Vyukov). Death and standing still
 * are ours.
 */
#include "search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "memory.h"
#include "run.h"

#define NODES 32768

struct clock {
	uint16_t seen[EXPLORE_THREADS]; /* how many nodes of each thread */
};

/* One step of the execution, and what else may come in its place. */
struct node {
	uint32_t actor;
	uint32_t enabled, todo, done; /* actors: that could come, that shall, that have */
	uint32_t asleep, sleeping;    /* those with something new to read don't sleep */
	unsigned int asleep_since[EXPLORE_THREADS]; /* how many stores there were then */
	unsigned int stores;                        /* how many there were before the step */
	unsigned int value, values; /* which of how many alternatives of its store */
	/* the step, when it is made */
	enum step_kind kind;
	bool reads, writes, is_seq_cst;
	unsigned int location;
	int asked;          /* thread */
	struct clock clock; /* with the step */
};

static struct {
	struct node nodes[NODES];
	size_t depth, length;
	size_t first_new; /* the nodes before it are as they were */
	struct clock clocks[EXPLORE_THREADS], fences,
		deaths[EXPLORE_THREADS]; /* by thread, by process */
	bool has_barrier;                /* or a death: a step of a whole process */
	struct node *of_store[MEMORY_STORES];
	const char *replay; /* what is left of it */
	/* hashes of states (naive), or of executions: a table */
	uint64_t *states;
	size_t state_room, state_count;
} s;

/* ---- states ------------------------------------------------------------------------ */

static uint64_t *find_state(uint64_t hash)
{
	size_t at = hash & (s.state_room - 1);

	while (s.states[at] && s.states[at] != hash)
		at = (at + 1) & (s.state_room - 1);
	return &s.states[at];
}

static void make_states(size_t room)
{
	uint64_t *before = s.states;
	size_t count = s.state_room;

	s.states = calloc(room, sizeof(*s.states));
	if (!s.states) {
		fprintf(stderr, "explore: no memory for %zu states\n", room);
		exit(2);
	}
	s.state_room = room;
	for (size_t i = 0; before && i < count; i++)
		if (before[i])
			*find_state(before[i]) = before[i];
	free(before);
}

/* False: it was there before. */
static bool is_new_state(uint64_t hash)
{
	uint64_t *state = find_state(hash ? hash : 1);

	if (*state)
		return false;
	*state = hash ? hash : 1;
	if (++s.state_count > s.state_room / 2)
		make_states(2 * s.state_room);
	return true;
}

/*
 * What each thread has done and read, and the modification orders: all that can follow depends on
 * that.
 */
static uint64_t hash_state(uint64_t more)
{
	uint64_t hash = memory_mix(memory_hash(), more);

	for (int i = 0; i < run.count; i++)
		hash += memory_mix(run.threads[i].history,
		                   (uint64_t)run.threads[i].state << 8 | (unsigned int)i);
	return hash;
}

/* ---- what makes a difference --------------------------------------------------------- */

static bool has_seen(const struct clock *clock, const struct node *node)
{
	int thread = actor_thread(node->actor);

	return clock->seen[thread] >= node->clock.seen[thread];
}

static void join(struct clock *into, const struct clock *from)
{
	for (int i = 0; i < EXPLORE_THREADS; i++)
		if (into->seen[i] < from->seen[i])
			into->seen[i] = from->seen[i];
}

static bool same_process(const struct node *a, const struct node *b)
{
	return run.process[actor_thread(a->actor)] == run.process[actor_thread(b->actor)];
}

static bool is_of_process(const struct node *node)
{
	return is_death(node->actor) || (is_run(node->actor) && node->kind == STEP_BARRIER);
}

static bool asks_of(const struct node *node, const struct node *death)
{
	return is_run(node->actor) && node->kind == STEP_ASK && is_death(death->actor) &&
	       run.process[node->asked] == run.process[actor_thread(death->actor)];
}

/* Would it make a difference if `later` came before `earlier`, if it can? */
static bool differs(const struct node *earlier, const struct node *later)
{
	if (earlier->reads && later->writes && earlier->location == later->location)
		return true;
	if (earlier->is_seq_cst && later->is_seq_cst)
		return true;
	if (asks_of(earlier, later) || asks_of(later, earlier))
		return true;
	return (is_of_process(earlier) || is_of_process(later)) && same_process(earlier, later);
}

/*
 * Of the steps after `from` that the newest one depends on, and itself: those that depend on no
 * other of them. *first: the first of them.
 */
static uint32_t find_initials(const struct node *from, const struct node *newest,
                              const struct clock *before, uint32_t *first)
{
	const struct node *needed[EXPLORE_THREADS];
	uint32_t initials = 0, threads = 0;
	int count = 0;

	*first = 0;
	for (const struct node *node = from + 1; node <= newest; node++) {
		const struct clock *clock = node == newest ? before : &node->clock;
		bool depends = false;

		/* a thread's first step of these stands for its later ones */
		if ((threads >> actor_thread(node->actor) & 1) ||
		    (node != newest && !has_seen(before, node)))
			continue;
		threads |= 1u << actor_thread(node->actor);
		for (int i = 0; i < count && !depends; i++)
			depends = has_seen(clock, needed[i]);
		needed[count++] = node;
		if (depends)
			continue;
		initials |= node->actor;
		if (!*first)
			*first = node->actor;
	}
	return initials;
}

static void find_differences(struct node *newest, const struct clock *before)
{
	for (struct node *node = s.nodes; node < newest; node++) {
		uint32_t initials, first;

		if (!differs(node, newest) || has_seen(before, node))
			continue;
		initials = find_initials(node, newest, before, &first);
		if ((node->todo | node->done | node->actor | node->sleeping) & initials)
			continue;
		if (node->enabled & first)
			node->todo |= first;
		else
			node->todo |= node->enabled & ~node->sleeping & ~node->actor;
	}
}

/* ---- sleep --------------------------------------------------------------------------------- */

/*
 * The sleeper's step would have come first: does it make a difference to it that `node` has come?
 */
static bool wakes(const struct node *node, uint32_t sleeper)
{
	int thread = actor_thread(sleeper);
	const struct step *step = &run.threads[thread].step;
	bool same = run.process[actor_thread(node->actor)] == run.process[thread];

	if (actor_thread(node->actor) == thread || (is_of_process(node) && same))
		return true;
	if (is_stop(sleeper))
		return false;
	if (is_death(sleeper))
		return same || node->is_seq_cst ||
		       (is_run(node->actor) && node->kind == STEP_ASK &&
		        run.process[node->asked] == run.process[thread]);
	if (step->kind == STEP_BARRIER && same)
		return true;
	if (run_is_seq_cst(step) && node->is_seq_cst)
		return true;
	return step->kind == STEP_ASK && is_death(node->actor) &&
	       run.process[step->read] == run.process[actor_thread(node->actor)];
}

/* Who sleeps after `before`, the node before. */
static void inherit_sleep(struct node *node, const struct node *before)
{
	uint32_t asleep = (before->asleep | before->done) & ~before->actor;

	node->asleep = 0;
	for (uint32_t left = asleep; left; left &= left - 1) {
		uint32_t sleeper = left & -left;
		int thread = actor_thread(sleeper);

		if (wakes(before, sleeper))
			continue;
		node->asleep |= sleeper;
		if (is_run(sleeper))
			node->asleep_since[thread] = before->done & sleeper
			                                     ? before->stores
			                                     : before->asleep_since[thread];
	}
}

/* A load sleeps as long as there is nothing new to read. */
static bool sleeps(const struct node *node, uint32_t actor)
{
	const struct step *step = &run.threads[actor_thread(actor)].step;

	if (!(node->asleep & actor))
		return false;
	return !is_run(actor) || !run_reads(step) ||
	       !memory_has_newer(actor_thread(actor), step->location,
	                         node->asleep_since[actor_thread(actor)]);
}

/* ---- choices --------------------------------------------------------------------------------- */

/* The first thread of a process that runs stands for its death. */
static bool may_die(int thread)
{
	bool mortal = false;

	for (int i = 0; i < run.count; i++) {
		if (run.process[i] != run.process[thread])
			continue;
		if (i < thread && run.threads[i].state == THREAD_READY)
			return false;
		mortal |= run.program->mortal >> i & 1;
	}
	return mortal && run.deaths < run.program->deaths;
}

static uint32_t find_enabled(void)
{
	uint32_t actors = 0;

	for (int i = 0; i < run.count; i++) {
		if (run.threads[i].state != THREAD_READY)
			continue;
		if (run_is_enabled(&run.threads[i]))
			actors |= RUN(i);
		if (may_die(i))
			actors |= DIE(i);
		if (run.stops < run.program->stops && (run.program->stopping >> i & 1))
			actors |= STOP(i);
	}
	return actors;
}

/* Besides its step: that it stands still before it, or that its process dies. */
static uint32_t instead_of(uint32_t actor, uint32_t enabled)
{
	uint32_t others = is_run(actor) ? STOP(actor_thread(actor)) : 0;

	for (int i = 0; i < run.count; i++)
		if (run.process[i] == run.process[actor_thread(actor)])
			others |= DIE(i);
	return others & enabled;
}

static uint32_t choose_first(struct node *node)
{
	uint32_t actors;

	for (uint32_t left = node->enabled; left; left &= left - 1)
		if (sleeps(node, left & -left))
			node->sleeping |= left & -left;
	actors = node->enabled & ~node->sleeping;
	if (!actors || (run.options->naive && !is_new_state(hash_state(node->enabled))))
		return 0;
	/* first whoever runs already: the fewer switches, the shorter the trace */
	node->actor = run.current >= 0 && (actors & RUN(run.current)) ? RUN(run.current)
	                                                              : actors & -actors;
	node->todo = run.options->naive
	                     ? actors
	                     : node->actor | (instead_of(node->actor, node->enabled) & actors);
	return node->actor;
}

static struct node *next_node(void)
{
	if (s.depth == NODES) {
		fprintf(stderr, "explore: an execution of more than %d steps\n", NODES);
		exit(2);
	}
	return &s.nodes[s.depth++];
}

uint32_t search_choose_actor(void)
{
	struct node *node = next_node();

	if (run.options->replay) {
		node->actor = trace_replay_actor(&s.replay);
		if (node->actor && !(find_enabled() & node->actor)) {
			fprintf(stderr, "explore: the string to replay is of another program\n");
			exit(2);
		}
		return node->actor;
	}
	if (s.depth <= s.length)
		return node->actor;
	memset(node, 0, sizeof(*node));
	node->enabled = find_enabled();
	node->stores = memory_store_count();
	node->values = 1;
	if (s.depth > 1 && !run.options->naive)
		inherit_sleep(node, node - 1);
	if (!choose_first(node)) {
		s.depth--;
		return 0;
	}
	s.length = s.depth;
	return node->actor;
}

unsigned int search_choose_value(const unsigned int *stores, unsigned int n)
{
	struct node *node = &s.nodes[s.depth - 1];
	unsigned int chosen = 0, values = 0;

	if (run.options->replay) {
		chosen = n > 1 ? trace_replay_value(&s.replay) : 0;
		if (chosen >= n) {
			fprintf(stderr, "explore: the string to replay is of another program\n");
			exit(2);
		}
	} else {
		bool old = stores && (node->asleep & node->actor);
		unsigned int since = node->asleep_since[actor_thread(node->actor)];

		for (unsigned int i = 0; i < n; i++)
			if (!old || memory_is_newer(stores[i], since)) {
				if (values == node->value)
					chosen = i;
				values++;
			}
		node->values = values;
		if (values == 0)
			run_end(RUN_REDUNDANT);
	}
	if (n > 1)
		trace_log_value(chosen);
	return chosen;
}

void search_done(uint32_t actor, const struct step *step)
{
	struct node *node = &s.nodes[s.depth - 1];
	int thread = actor_thread(actor);
	struct clock *clock = &s.clocks[thread], before;

	if (run.options->replay)
		return;
	node->kind = step->kind;
	node->reads = is_run(actor) && run_reads(step);
	node->writes = is_run(actor) && run_writes(step);
	node->is_seq_cst = is_death(actor) || (is_run(actor) && run_is_seq_cst(step));
	node->location = step->location;
	node->asked = step->kind == STEP_ASK ? (int)step->read : 0;
	if (is_death(actor))
		for (int i = 0; i < run.count; i++)
			if (run.process[i] == run.process[thread])
				join(clock, &s.clocks[i]);
	before = *clock;
	clock->seen[thread]++;
	node->clock = *clock;
	/* most steps are loads, which come too late for nothing */
	s.has_barrier |= is_of_process(node);
	if (s.depth >= s.first_new && !run.options->naive &&
	    (node->writes || node->is_seq_cst || node->kind == STEP_ASK || s.has_barrier))
		find_differences(node, &before);
	if (node->reads && s.of_store[step->from])
		join(clock, &s.of_store[step->from]->clock);
	if (is_run(actor) && step->kind == STEP_ASK && !step->value)
		join(clock, &s.deaths[run.process[node->asked]]);
	if (node->is_seq_cst) {
		join(clock, &s.fences);
		join(&s.fences, clock);
	}
	if (is_of_process(node))
		for (int i = 0; i < run.count; i++)
			if (run.process[i] == run.process[thread]) {
				join(clock, &s.clocks[i]);
				s.clocks[i] = *clock;
			}
	if (is_death(actor))
		s.deaths[run.process[thread]] = *clock;
	node->clock = *clock;
	if (node->writes && step->to)
		s.of_store[step->to] = node;
}

/* The next execution's choices. False: no node has an alternative left. */
static bool advance(void)
{
	for (; s.length > 0; s.length--) {
		struct node *node = &s.nodes[s.length - 1];
		uint32_t left;

		s.first_new = s.length;
		if (++node->value < node->values)
			return true;
		node->done |= node->actor;
		left = node->todo & ~node->done;
		if (left) {
			/*
			 * a death or a standing still before another thread, which then need not
			 * try them
			 */
			node->actor = 1u << (31 - __builtin_clz(left));
			node->todo |= run.options->naive ? 0
			                                 : instead_of(node->actor, node->enabled);
			node->value = 0;
			node->values = 1;
			return true;
		}
	}
	return false;
}

/*
 * ---- executions ---------------------------------------------------------------------------------
 */

static void finish(void)
{
	run.figures->executions++;
	run.figures->distinct += is_new_state(hash_state(UINT64_MAX));
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
	s.has_barrier = false;
	memset(s.clocks, 0, sizeof(s.clocks));
	memset(&s.fences, 0, sizeof(s.fences));
	memset(s.deaths, 0, sizeof(s.deaths));
	run.current = -1;
	trace_begin();
	outcome_begin();
	memset(s.of_store, 0, memory_store_count() * sizeof(s.of_store[0]));
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

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begun);
	run.program = program;
	run.options = options;
	run.figures = figures;
	memset(figures, 0, sizeof(*figures));
	memory_forget();
	outcome_forget();
	s.replay = options->replay;
	s.length = s.first_new = 0;
	free(s.states);
	s.states = NULL;
	s.state_count = s.state_room = 0;
	make_states(1 << 12);
	do {
		run_once();
	} while (!options->replay && advance() &&
	         (!options->executions || figures->executions < options->executions));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
	figures->seconds = (double)(ended.tv_sec - begun.tv_sec) +
	                   1e-9 * (double)(ended.tv_nsec - begun.tv_nsec);
}
