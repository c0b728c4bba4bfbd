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
 *  - A question whether a process lives, and its death. A membarrier, and any step of another
 *    thread of that process.
 *
 * Whether a step depends on an earlier one is told by vector clocks along program order,
 * reads-from, and the order of all that is named last. An actor that leads to a step is the first
 * of those that the step depends on, after the node and not depending on it: they have to come
 * before, or the step would be another one.
 *
 * Sleep sets (Godefroid 1996) leave out what is seen twice. Once all executions with an actor at a
 * node are done, it sleeps in those with another actor: for a load that means that it reads only
 * stores that came after the node, because those with the older ones are done. A death that sleeps
 * is not tried in place of its thread's step; but a later step that wakes it counts as if it had
 * been, since the death may come after that one.
 *
 * Complete: there is no bound on preemptions. There is one on the steps of a thread, and executions
 * that meet it are counted as cut. A thread that waits (explore_yield) goes on after some other
 * store, and in the end sees the newest ones; how often it looks in vain before that is not
 * explored.
 * Left out: load buffering (memory.h), compare-exchanges that fail for no reason, and data races on
 * what is not atomic (each word of the registry is).
 *
 * --compare checks this: besides, it takes each actor at each node, and gives up an execution only
 * in a state that was there before, known by a hash. That is slow. Both have to come to as many
 * executions, except of a program that waits; and, because of two stores with the same value only
 * the older one is read (steps.c), of which not each interleaving has both, to as many outcomes
 * with that rule as without. `explore --compare random` does so for programs that are made by
 * chance: random.c.
 *
 * Relatives: CDSChecker (Norris and Demsky, OOPSLA 2013), relacy (Vyukov). Death and standing still
 * are ours.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine.h"
#include "memory.h"

#define NODES 32768
#define STATES (1u << 22)

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
	unsigned int next_value;    /* the one to try after it, or 0 */
	struct step step;           /* when it is made */
	struct clock clock;         /* with the step */
	/* list_node(): the one before, or null */
	struct node *reader_before, *special_before;
};

static struct {
	struct figures *figures;
	struct node nodes[NODES];
	size_t length;    /* of those that repeat the execution before */
	size_t first_new; /* the nodes before it are as they were */
	/* hashes of states (naive), or of executions: a table */
	uint64_t states[STATES];
	size_t state_count;
} s;

/* Of one execution; all begins with 0. */
static struct {
	size_t depth; /* nodes so far */
	struct clock clocks[EXPLORE_THREADS], fences;
	struct clock deaths[EXPLORE_THREADS];   /* by thread */
	struct clock asked[EXPLORE_THREADS];    /* by thread: questions that were answered yes */
	struct clock barriers[EXPLORE_THREADS]; /* by process: its last one */
	bool has_barrier;                       /* so far: any step may differ from it */
	struct node *of_store[MEMORY_STORES];
	/* the newest that reads a location, and that makes a difference beyond any location */
	struct node *readers[MEMORY_LOCATIONS], *special;
} now;

/* ---- states: for --compare ------------------------------------------------------------- */

/* False: it was there before. */
static bool is_new_state(uint64_t hash)
{
	size_t at = hash % STATES;

	for (; s.states[at]; at = (at + 1) % STATES)
		if (s.states[at] == hash)
			return false;
	if (++s.state_count == STATES)
		run_refuse("out of states (search.c)");
	s.states[at] = hash;
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
	return hash ? hash : 1;
}

/* What a program can tell: what each thread has read, how it ended, and the last values. */
static uint64_t hash_outcome(void)
{
	uint64_t hash = memory_hash_values();

	for (int i = 0; i < run.count; i++)
		hash += memory_mix(run.threads[i].told,
		                   (uint64_t)run.threads[i].state << 8 | (unsigned int)i);
	return hash ? hash : 1;
}

/* Adds the step to the history of each thread that knows of it. */
static void remember(int thread, const struct step *step)
{
	for (int i = 0; i < run.count; i++) {
		uint64_t *history = &run.threads[i].history;

		if (i != thread && (step->kind != STEP_BARRIER || !run_is_same_process(i, thread)))
			continue;
		*history = memory_mix(*history, (uint64_t)step->kind << 1 | (i == thread));
		*history = memory_mix(*history, (uintptr_t)step->address);
		*history = memory_mix(*history, memory_stores[step->from].ident);
		*history = memory_mix(*history, memory_mix(step->value, step->high_value));
		if (step_is_seq_cst(step))
			*history = memory_mix(*history, memory_hash_view(i));
	}
	if (step_reads(step) || step->kind == STEP_ASK) {
		uint64_t *told = &run.threads[thread].told;

		*told = memory_mix(*told, (uintptr_t)step->address);
		*told = memory_mix(*told, memory_mix(step_reads(step) ? step->read : step->value,
		                                     step->high_read));
	}
}

static const struct step death = { .kind = STEP_DIE }, stop = { .kind = STEP_STOP };

/* What the actor would do now. */
static const struct step *step_of(uint32_t actor)
{
	return is_run(actor)    ? &run.threads[actor_thread(actor)].step
	       : is_stop(actor) ? &stop
	                        : &death;
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

static bool asks_of(const struct step *step, const struct step *other, int thread)
{
	return step->kind == STEP_ASK && other->kind == STEP_DIE && step->asked == thread;
}

/* Does the order of these two steps make a difference, whatever location they are of? */
static bool meets(int a_thread, const struct step *a, int b_thread, const struct step *b)
{
	return (step_is_seq_cst(a) && step_is_seq_cst(b)) || asks_of(a, b, b_thread) ||
	       asks_of(b, a, a_thread) ||
	       ((a->kind == STEP_BARRIER || b->kind == STEP_BARRIER) &&
	        run_is_same_process(a_thread, b_thread));
}

/*
 * The thread's death before this step was not tried, since it sleeps. A later step that would have
 * woken it makes the same difference to it as if it had been.
 */
static bool has_sleeping_death(const struct node *node)
{
	return is_run(node->actor) && (node->sleeping & DIE(actor_thread(node->actor)));
}

/* Would it make a difference if `later` came before `earlier`, if it can? */
static bool differs(const struct node *earlier, const struct node *later)
{
	const struct step *a = &earlier->step, *b = &later->step;

	return (step_reads(a) && step_writes(b) &&
	        (a->location == b->location || (b->high && a->location == b->high_location))) ||
	       meets(actor_thread(earlier->actor), a, actor_thread(later->actor), b) ||
	       (has_sleeping_death(earlier) &&
	        meets(actor_thread(earlier->actor), &death, actor_thread(later->actor), b));
}

/*
 * Of the steps after `from` that the newest one depends on, without those that depend on `from`,
 * and itself: those that depend on no other of them. *first: the first of them.
 */
static uint32_t find_initials(const struct node *from, const struct node *newest, uint32_t *first)
{
	const struct node *needed[EXPLORE_THREADS];
	uint32_t initials = 0, threads = 0;
	int count = 0;

	*first = 0;
	for (const struct node *node = from + 1; node <= newest; node++) {
		bool depends = false;

		/* a thread's first step of these stands for its later ones */
		if ((threads >> actor_thread(node->actor) & 1) ||
		    (node != newest &&
		     (!has_seen(&newest->clock, node) || has_seen(&node->clock, from))))
			continue;
		threads |= 1u << actor_thread(node->actor);
		for (int i = 0; i < count && !depends; i++)
			depends = has_seen(&node->clock, needed[i]);
		needed[count++] = node;
		if (depends)
			continue;
		initials |= node->actor;
		if (!*first)
			*first = node->actor;
	}
	return initials;
}

static void find_difference(struct node *node, const struct node *newest,
                            const struct clock *before)
{
	uint32_t initials, first;

	if (!differs(node, newest) || has_seen(before, node))
		return;
	initials = find_initials(node, newest, &first);
	if ((node->todo | node->done | node->actor | node->sleeping) & initials)
		return;
	if (node->enabled & first)
		node->todo |= first;
	else
		node->todo |= node->enabled & ~node->sleeping & ~node->actor;
}

static void find_readers(unsigned int location, const struct node *newest,
                         const struct clock *before)
{
	for (struct node *node = now.readers[location]; node; node = node->reader_before)
		find_difference(node, newest, before);
}

/* Each earlier node is looked at by itself, in any order; most can't make a difference. */
static void find_differences(const struct node *newest, const struct clock *before)
{
	if (newest->step.kind == STEP_BARRIER) {
		for (struct node *node = s.nodes; node < newest; node++)
			find_difference(node, newest, before);
		return;
	}
	for (struct node *node = now.special; node; node = node->special_before)
		find_difference(node, newest, before);
	if (step_writes(&newest->step))
		find_readers(newest->step.location, newest, before);
	if (newest->step.high)
		find_readers(newest->step.high_location, newest, before);
}

/* Puts the node into the lists that find_differences() goes through. */
static void list_node(struct node *node)
{
	if (step_is_seq_cst(&node->step) || node->step.kind == STEP_ASK ||
	    has_sleeping_death(node)) {
		node->special_before = now.special;
		now.special = node;
	}
	if (step_reads(&node->step)) {
		node->reader_before = now.readers[node->step.location];
		now.readers[node->step.location] = node;
	}
}

/* ---- sleep --------------------------------------------------------------------------------- */

/* Who sleeps after `before`, the node before. */
static void inherit_sleep(struct node *node, const struct node *before)
{
	int thread = actor_thread(before->actor);

	for (uint32_t left = (before->asleep | before->done) & ~before->actor; left;
	     left &= left - 1) {
		uint32_t actor = left & -left;
		int sleeper = actor_thread(actor);

		if (sleeper == thread || meets(thread, &before->step, sleeper, step_of(actor)))
			continue;
		node->asleep |= actor;
		if (is_run(actor))
			node->asleep_since[sleeper] = before->done & actor
			                                      ? before->stores
			                                      : before->asleep_since[sleeper];
	}
}

/* What reads sleeps as long as there is nothing new that it may read. */
static bool sleeps(const struct node *node, uint32_t actor)
{
	int thread = actor_thread(actor);
	const struct step *step = step_of(actor);
	unsigned int found[RUN_CANDIDATES];

	return (node->asleep & actor) &&
	       (!step_reads(step) ||
	        run_candidates(thread, step, node->asleep_since[thread], found) == 0);
}

/* ---- choices --------------------------------------------------------------------------------- */

static uint32_t find_enabled(void)
{
	uint32_t actors = 0;

	for (int i = 0; i < run.count; i++) {
		if (run.threads[i].state != EXPLORE_WAITING)
			continue;
		if (run_is_enabled(&run.threads[i]))
			actors |= RUN(i);
		if (run.deaths < run.program->deaths && (run.program->mortal >> i & 1))
			actors |= DIE(i);
		if (run.stops < run.program->stops && (run.program->stopping >> i & 1))
			actors |= STOP(i);
	}
	return actors;
}

/* Besides its step: that it stands still before it, or dies. */
static uint32_t instead_of(uint32_t actor, uint32_t enabled)
{
	int thread = actor_thread(actor);

	return is_run(actor) ? (STOP(thread) | DIE(thread)) & enabled : 0;
}

/* Of a new node. */
static void choose_first(struct node *node)
{
	uint32_t actors;

	memset(node, 0, sizeof(*node));
	node->enabled = find_enabled();
	node->stores = memory_store_count;
	if (node > s.nodes && !run.naive)
		inherit_sleep(node, node - 1);
	for (uint32_t left = node->enabled; left; left &= left - 1)
		if (sleeps(node, left & -left))
			node->sleeping |= left & -left;
	actors = node->enabled & ~node->sleeping;
	if (!actors || (run.naive && !is_new_state(hash_state(node->enabled))))
		return;
	/* first whoever runs already: the fewer switches, the shorter the trace */
	node->actor = run.current >= 0 && (actors & RUN(run.current)) ? RUN(run.current)
	                                                              : actors & -actors;
	node->todo = run.naive ? actors
	                       : node->actor | (instead_of(node->actor, node->enabled) & actors);
}

uint32_t search_choose_actor(void)
{
	struct node *node = &s.nodes[now.depth];

	if (now.depth == NODES)
		run_refuse("an execution of more than %d steps", NODES);
	if (now.depth >= s.length)
		choose_first(node);
	else if (!node->enabled && !(find_enabled() & node->actor))
		run_refuse("the string to replay is of another program");
	now.depth += node->actor != 0;
	return node->actor;
}

/* From node->value on. What slept leaves out the stores that were there when it fell asleep. */
unsigned int search_choose_value(const unsigned int *stores, unsigned int n)
{
	struct node *node = &s.nodes[now.depth - 1];
	bool slept = stores && (node->asleep & node->actor);
	unsigned int since = slept ? node->asleep_since[actor_thread(node->actor)] : 0;
	unsigned int found[2], count = 0; /* this one and the next */

	for (unsigned int i = node->value; i < n && count < 2; i++)
		if (!slept || memory_is_newer(stores[i], since))
			found[count++] = i;
	if (count == 0)
		run_refuse("the string to replay is of another program");
	node->value = found[0];
	node->next_value = count > 1 ? found[1] : 0;
	node->values = n;
	return node->value;
}

/* Of the newest step: what it depends on, and who depends on it. */
static void join_clocks(struct clock *clock, int thread, const struct step *step)
{
	int process = run.process[thread];

	join(clock, &now.barriers[process]);
	if (now.of_store[step->from])
		join(clock, &now.of_store[step->from]->clock);
	if (step->kind == STEP_ASK && step->value)
		join(&now.asked[step->asked], clock);
	else if (step->kind == STEP_ASK)
		join(clock, &now.deaths[step->asked]);
	if (step->kind == STEP_DIE)
		join(clock, &now.asked[thread]);
	for (int i = 0; i < run.count && step->kind == STEP_BARRIER; i++)
		if (run_is_same_process(i, thread))
			join(clock, &now.clocks[i]);
	if (step_is_seq_cst(step)) {
		join(clock, &now.fences);
		now.fences = *clock;
	}
	if (step->kind == STEP_DIE)
		now.deaths[thread] = *clock;
	if (step->kind == STEP_BARRIER)
		now.barriers[process] = *clock;
}

void search_done(uint32_t actor)
{
	const struct step *step = step_of(actor);
	struct node *node = &s.nodes[now.depth - 1];
	int thread = actor_thread(actor);
	struct clock *clock = &now.clocks[thread], before = *clock;

	node->step = *step;
	s.figures->steps += is_run(actor);
	if (run.compare)
		remember(thread, step);
	clock->seen[thread]++;
	join_clocks(clock, thread, step);
	node->clock = *clock;
	/* most steps are loads, which come too late for nothing */
	now.has_barrier |= step->kind == STEP_BARRIER;
	if (now.depth >= s.first_new && !run.naive &&
	    (step_writes(step) || step_is_seq_cst(step) || step->kind == STEP_ASK ||
	     now.has_barrier))
		find_differences(node, &before);
	list_node(node);
	if (step->to)
		now.of_store[step->to] = node;
	if (step->high_to)
		now.of_store[step->high_to] = node;
}

/* The next execution's choices. False: no node has an alternative left. */
static bool advance(void)
{
	for (; s.length > 0; s.length--) {
		struct node *node = &s.nodes[s.length - 1];
		uint32_t left;

		s.first_new = s.length;
		node->value = node->next_value;
		if (node->value)
			return true;
		node->done |= node->actor;
		left = node->todo & ~node->done;
		if (left) {
			/*
			 * a death or a standing still before another thread, which then need not
			 * try them
			 */
			node->actor = 1u << (31 - __builtin_clz(left));
			if (!run.naive)
				node->todo |= instead_of(node->actor,
				                         node->enabled & ~node->sleeping);
			node->values = 0;
			return true;
		}
	}
	return false;
}

/* ---- the string of an execution ---------------------------------------------------------------
 *
 * It has a letter for each step: a to d let thread 0 to 3 make its next step, A to D let its
 * process die, s to v let it stand still. A number is the alternative that the step before took, if
 * it had several.
 */

static const char letters[] = "abcdefgh"
			      "ABCDEFGH"
			      "stuvwxyz";

/* Of a node whose step no other thread has anything to do with. */
static bool is_idle(const struct step *step)
{
	return step->kind == STEP_LOAD && memory_locations[step->location].count == 1;
}

void search_print(bool all)
{
	unsigned int idle = 0;

	for (size_t i = 0; i < now.depth; i++)
		if (!all && is_idle(&s.nodes[i].step))
			idle++;
		else
			trace_print_step((unsigned int)i + 1, actor_thread(s.nodes[i].actor),
			                 &s.nodes[i].step);
	if (idle)
		printf("(left out: %u loads of words that nobody has stored to; --replay prints "
		       "them)\n",
		       idle);
	printf("replay: explore %s --replay ", run.program->name);
	for (size_t i = 0; i < now.depth; i++) {
		putchar(letters[__builtin_ctz(s.nodes[i].actor)]);
		if (s.nodes[i].values > 1)
			printf("%u", s.nodes[i].value);
	}
	printf("\n");
}

static void read_string(const char *text)
{
	memset(s.nodes, 0, sizeof(s.nodes));
	for (s.length = 0; *text && s.length < NODES; s.length++) {
		const char *found = strchr(letters, *text);

		if (!found)
			run_refuse("'%c' in the string to replay is no actor", *text);
		s.nodes[s.length].actor = 1u << (found - letters);
		s.nodes[s.length].value = (unsigned int)strtoul(text + 1, (char **)&text, 10);
	}
}

/*
 * ---- executions ---------------------------------------------------------------------------------
 */

static void finish(void)
{
	s.figures->executions++;
	if (run.compare) {
		s.figures->distinct += is_new_state(hash_state(UINT64_MAX));
		s.figures->outcomes += is_new_state(hash_outcome());
	}
	for (int i = 0; i < run.count; i++)
		if (run.threads[i].state == EXPLORE_WAITING && !run.program->may_wait)
			explore_fail(run.threads[i].step.site->file, run.threads[i].step.site->line,
			             "thread %d waits for what never comes", i);
	if (run.program->check)
		run.program->check();
	outcome_end();
}

static void run_once(void)
{
	memset(&now, 0, sizeof(now));
	outcome_begin();
	memory_begin();
	if (run.program->setup)
		run.program->setup();
	run_threads();
	if (run.how == RUN_CUT)
		s.figures->cut++;
	else if (run.how == RUN_REDUNDANT)
		s.figures->redundant++;
	else
		finish();
	s.length = now.depth;
}

void search(struct explore_program *program, const char *replay, struct figures *figures)
{
	clock_t begun = clock();

	run.program = program;
	memset(figures, 0, sizeof(*figures));
	s.figures = figures;
	s.length = s.first_new = 0;
	if (run.compare)
		memset(s.states, 0, sizeof(s.states));
	s.state_count = 0;
	if (replay)
		read_string(replay);
	do
		run_once();
	while (!replay && advance());
	figures->seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;
}
