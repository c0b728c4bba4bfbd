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

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "memory.h"
#include "trace.h"

#define STACK_BYTES ((size_t)64 << 10)
#define CHOICES 65536
#define STEPS_DEFAULT 2000
/* Actors: a thread's next step, the death of its process, its standing still. Bits of a set. */
#define RUN(thread) (1u << (thread))
#define DIE(thread) (1u << (8 + (thread)))
#define STOP(thread) (1u << (16 + (thread)))

enum state {
	READY,           /* stands in front of a step */
	FINISHED,
	DEAD,
	STOPPED,
};

struct thread {
	ucontext_t context;
	unsigned char *stack;
	enum state state;
	struct step step;
	uint64_t stores_seen;    /* of a yield: how many stores there were when it began */
	uint64_t caught_up;      /* how many there were, and one, when it was last shown all of them */
	bool woken;
	uint64_t history;        /* hash of all that it has done and read */
	uint32_t events, yields;
	uint64_t clock_ns;
};

/* One choice of the execution that runs, and of those that follow with the same beginning. */
struct choice {
	uint32_t todo;           /* of actors: those left; of values: how many alternatives */
	uint32_t taken;
	uint32_t sleep;          /* of actors: those that need not be taken here */
	bool of_actors;
};

static struct {
	struct explore_program *program;
	const struct search_options *options;
	struct search_figures *figures;
	ucontext_t main;
	struct thread threads[EXPLORE_THREADS];
	int count, current;      /* current: -1 outside of the threads */
	bool starting, several;  /* processes */
	uint64_t stores;         /* made so far */
	unsigned int deaths, stops;
	unsigned int barriers;   /* threads that have ever fenced their whole process */
	struct k2k_thread *selves[EXPLORE_THREADS], *main_self;
	uint32_t sleep;          /* actors that sleep now */
	bool learned;            /* a new writer: what was left out may have been too much */
	enum { RUNS, ENDED, REDUNDANT, CUT } how;

	struct choice choices[CHOICES];
	size_t depth, length;
	const char *replay;      /* what is left of it */

	uint64_t *states;        /* pairs: hash, sleep set */
	size_t state_room;
} s = { .current = -1 };

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

	for (int i = 0; i < s.count; i++)
		hash += memory_mix(s.threads[i].history, (uint64_t)s.threads[i].state << 8 | (unsigned int)i);
	return hash ? hash : 1;
}

/*
 * Is anything to be explored here? *sleep: who need not be. False: all that follows was explored, from
 * this state or another.
 */
static bool enter_state(uint32_t enabled, uint32_t *sleep)
{
	uint64_t hash = hash_state(enabled), *known = find_state(hash);

	if (s.options->no_cache)
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
	if (++s.figures->states > s.state_room / 2)
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
	return (step->kind == STEP_FENCE && step->order == EXPLORE_SEQ_CST) || step->kind == STEP_BARRIER;
}

static int actor_thread(uint32_t actor)
{
	return __builtin_ctz(actor) % 8;
}

static bool is_run(uint32_t actor)
{
	return actor < 1u << 8;
}

static int process_of(int thread)
{
	return s.program->process[thread] ? s.program->process[thread] : -1 - thread;
}

/* Does it make a difference to `sleeper`, whose step would have come first, that `actor` has come first? */
static bool wakes(uint32_t actor, uint32_t sleeper)
{
	int a = actor_thread(actor), b = actor_thread(sleeper);
	const struct step *done = &s.threads[a].step, *next = &s.threads[b].step;

	if (a == b || (process_of(a) == process_of(b) && !(is_run(actor) && is_run(sleeper))))
		return true;
	/* a fence of a whole process, of what its threads have done by then */
	if (next->kind == STEP_BARRIER && process_of(a) == process_of(b))
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
	s.sleep = s.options->no_sleep ? 0 : sleep;
}

/* ---- choices --------------------------------------------------------------------------------- */

static void end_execution(int how)
{
	s.how = how;
	if (s.current < 0)
		return;
	s.current = -1;
	k2k_thread_self = s.main_self;
	setcontext(&s.main);
}

static struct choice *next_choice(void)
{
	if (s.depth == CHOICES) {
		fprintf(stderr, "explore: an execution of more than %d choices\n", CHOICES);
		exit(2);
	}
	return &s.choices[s.depth++];
}

/* One of n alternatives. */
static unsigned int choose_value(unsigned int n)
{
	struct choice *choice;
	bool again;

	if (n == 1)
		return 0;
	if (s.options->replay) {
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

static bool is_enabled(const struct thread *thread)
{
	return thread->state == READY &&
	       (thread->step.kind != STEP_YIELD || s.stores > thread->stores_seen || thread->woken);
}

/* A death is of a process: its first thread that lives stands for all. */
static bool may_die(int thread)
{
	if (s.deaths >= s.program->deaths || !(s.program->mortal >> thread & 1))
		return false;
	for (int i = 0; i < thread; i++)
		if (process_of(i) == process_of(thread) && s.threads[i].state <= FINISHED)
			return false;
	return true;
}

static uint32_t enabled_actors(void)
{
	uint32_t actors = 0;

	for (int i = 0; i < s.count; i++) {
		if (s.threads[i].state > FINISHED)
			continue;
		if (is_enabled(&s.threads[i]))
			actors |= RUN(i);
		if (may_die(i))
			actors |= DIE(i);
		if (s.threads[i].state == READY && s.stops < s.program->stops && (s.program->stopping >> i & 1))
			actors |= STOP(i);
	}
	return actors;
}

/* Can no other thread that still runs make a difference to what it does next? */
static bool is_eager(int thread)
{
	const struct step *step = &s.threads[thread].step;
	unsigned int others = 0;

	if (s.options->no_eager || !is_enabled(&s.threads[thread]) || step->kind == STEP_ASK)
		return false;
	if (s.deaths < s.program->deaths)
		for (int i = 0; i < s.count; i++)
			if (process_of(i) == process_of(thread) && s.program->mortal >> i & 1)
				return false;
	for (int i = 0; i < s.count; i++)
		if (i != thread && s.threads[i].state == READY) {
			if ((s.barriers >> i & 1) && process_of(i) == process_of(thread))
				return false;
			others |= 1u << i;
		}
	if (is_seq_cst(step) || step->kind == STEP_YIELD || step->kind == STEP_BARRIER)
		return others == 0;
	return !reads(step) || !(memory_location(step->location)->writers & others);
}

static uint32_t eager_actors(uint32_t enabled)
{
	for (int i = 0; i < s.count; i++) {
		int thread = (s.current + i) % s.count;

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
	choice->taken = choice->todo & RUN(s.current) ? RUN(s.current) : choice->todo & -choice->todo;
	choice->todo &= ~choice->taken;
	return choice->taken;
}

static uint32_t choose_actor(void)
{
	uint32_t enabled = enabled_actors(), actors, actor;

	if (s.options->replay) {
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

/* ---- threads ----------------------------------------------------------------------------------- */

static void die(int thread)
{
	s.deaths++;
	s.stores++; /* who waits looks again */
	for (int i = 0; i < s.count; i++) {
		if (process_of(i) != process_of(thread) || s.threads[i].state > FINISHED)
			continue;
		/* what it stored is in memory for whoever looks behind a full fence: lib/lock.h */
		s.threads[i].history = memory_mix(s.threads[i].history, memory_fence(i, EXPLORE_SEQ_CST));
		s.threads[i].state = DEAD;
	}
}

static bool can_run(void)
{
	for (int i = 0; i < s.count; i++)
		if (is_enabled(&s.threads[i]))
			return true;
	return false;
}

/* All wait: one of them sees what there is, as any processor does in time. False: that was so already. */
static bool let_see(void)
{
	for (int i = 0; i < s.count; i++) {
		struct thread *thread = &s.threads[i];

		if (thread->state != READY || thread->caught_up == s.stores + 1)
			continue;
		memory_catch_up(i);
		thread->caught_up = s.stores + 1;
		thread->woken = true;
		thread->history = memory_mix(thread->history, STEP_YIELD);
		return true;
	}
	return false;
}

static void switch_to(int thread)
{
	int before = s.current;

	if (before == thread)
		return;
	*(before < 0 ? &s.main_self : &s.selves[before]) = k2k_thread_self;
	k2k_thread_self = thread < 0 ? s.main_self : s.selves[thread];
	s.current = thread;
	swapcontext(before < 0 ? &s.main : &s.threads[before].context,
	            thread < 0 ? &s.main : &s.threads[thread].context);
}

/* Returns if the current thread is to make its step; outside of the threads, if the execution is over. */
static void schedule(void)
{
	for (;;) {
		uint32_t actor = 0;
		bool waiting = false;

		for (int i = 0; i < s.count; i++)
			waiting |= s.threads[i].state == READY;
		if (!waiting || (!can_run() && !let_see())) {
			end_execution(ENDED);
			return;
		}
		actor = choose_actor();
		if (!actor) {
			end_execution(s.options->replay ? ENDED : REDUNDANT);
			return;
		}
		trace_log_actor(actor);
		if (!is_run(actor)) {
			if (actor >= STOP(0)) {
				s.stops++;
				s.threads[actor_thread(actor)].state = STOPPED;
			} else {
				die(actor_thread(actor));
			}
			trace_note(actor_thread(actor), actor >= STOP(0) ? "stands still" : "dies");
			continue;
		}
		switch_to(actor_thread(actor));
		return;
	}
}

static void thread_main(unsigned int number)
{
	s.program->threads[number]();
	s.threads[number].state = FINISHED;
	if (s.starting)
		switch_to(-1);
	else
		schedule();
}

/* The first thread of its process: which stands for it. */
static int first_of(int thread)
{
	int first = 0;

	while (process_of(first) != process_of(thread))
		first++;
	return first;
}

/* Takes from the step what --weaken says. */
static void weaken(struct step *step)
{
	const char *what = s.options->weaken, *equals, *file;
	unsigned int kept = 0;
	size_t bytes;

	if (!what || !(equals = strchr(what, '=')))
		return;
	if (strtol(strchr(what, ':') + 1, NULL, 10) != step->site->line)
		return;
	bytes = (size_t)(strchr(what, ':') - what);
	file = strlen(step->site->file) < bytes ? "" : step->site->file + strlen(step->site->file) - bytes;
	if (strncmp(file, what, bytes) != 0)
		return;
	if (strcmp(equals, "=acquire") == 0)
		kept = EXPLORE_ACQUIRE;
	else if (strcmp(equals, "=release") == 0)
		kept = EXPLORE_RELEASE;
	else if (strcmp(equals, "=acq_rel") == 0)
		kept = EXPLORE_ACQ_REL;
	s.figures->weakened = true;
	step->order &= kept;
	step->failure &= kept;
}

/* Stands in front of `step`, until it is this thread's turn. */
static struct step *wait_for_turn(const struct step *step)
{
	struct thread *self = &s.threads[s.current];
	unsigned int most = s.program->steps ? s.program->steps : STEPS_DEFAULT;

	self->step = *step;
	if (step->size)
		self->step.location = memory_locate(step->address, step->size, s.several ? first_of(s.current) : -1,
		                                    step->site->text);
	if (step->site)
		weaken(&self->step);
	self->stores_seen = s.stores;
	if (s.starting)
		switch_to(-1);
	else
		schedule();
	s.figures->steps++;
	if (++self->events > most)
		end_execution(CUT);
	return &self->step;
}

static void begin_threads(void)
{
	s.starting = true;
	for (s.count = 0; s.count < EXPLORE_THREADS && s.program->threads[s.count]; s.count++) {
		struct thread *thread = &s.threads[s.count];
		unsigned char *stack = thread->stack ? thread->stack : malloc(STACK_BYTES);

		if (!stack) {
			fprintf(stderr, "explore: no memory for a stack\n");
			exit(2);
		}
		memset(thread, 0, sizeof(*thread));
		thread->stack = stack;
		getcontext(&thread->context);
		thread->context.uc_stack.ss_sp = stack;
		thread->context.uc_stack.ss_size = STACK_BYTES;
		makecontext(&thread->context, (void (*)(void))thread_main, 1, (unsigned int)s.count);
	}
	s.several = false;
	for (int i = 1; i < s.count; i++)
		s.several |= process_of(i) != process_of(0);
	for (int i = 0; i < s.count; i++)
		switch_to(i);
	s.starting = false;
}

static void finish(void)
{
	s.figures->executions++;
	for (int i = 0; i < s.count; i++)
		if (s.threads[i].state == READY && !s.program->may_wait)
			explore_fail(s.threads[i].step.site->file, s.threads[i].step.site->line,
			             "thread %d waits for what never comes", i);
	if (s.program->check)
		s.program->check();
	outcome_end();
}

static void run_once(void)
{
	s.depth = 0;
	s.sleep = 0;
	s.stores = 0;
	s.deaths = s.stops = 0;
	s.how = RUNS;
	s.current = -1;
	trace_begin();
	outcome_begin();
	memory_begin();
	if (s.program->setup)
		s.program->setup();
	begin_threads();
	schedule();
	if (s.how == CUT)
		s.figures->cut++;
	else if (s.how == REDUNDANT)
		s.figures->redundant++;
	else
		finish();
}

void search(struct explore_program *program, const struct search_options *options,
            struct search_figures *figures)
{
	struct timespec begun, ended;

	clock_gettime(CLOCK_MONOTONIC, &begun);
	s.program = program;
	s.options = options;
	s.figures = figures;
	s.replay = options->replay;
	memory_forget();
	s.barriers = 0;
	do {
		memset(figures, 0, sizeof(*figures));
		free(s.states);
		s.states = NULL;
		s.state_room = 0;
		grow_states(1 << 12);
		s.learned = false;
		s.length = 0;
		outcome_forget();
		do {
			run_once();
		} while (!s.learned && !options->replay && advance() &&
		         (!options->executions || figures->executions < options->executions));
	} while (s.learned && !options->replay);
	figures->complete = s.length == 0;
	clock_gettime(CLOCK_MONOTONIC, &ended);
	figures->seconds = (double)(ended.tv_sec - begun.tv_sec) + 1e-9 * (double)(ended.tv_nsec - begun.tv_nsec);
}

static uint64_t ident(void)
{
	return (uint64_t)(s.current + 1) << 32 | s.threads[s.current].events;
}

static void remember(uint64_t what, uint64_t more)
{
	struct thread *self = &s.threads[s.current];

	self->history = memory_mix(memory_mix(self->history, what), more);
}

/* ---- the steps ---------------------------------------------------------------------------------------- */

static uint64_t narrow(uint64_t value, size_t bytes)
{
	return bytes == 8 ? value : value & ((UINT64_C(1) << 8 * bytes) - 1);
}

static uint64_t compute(enum explore_rmw what, uint64_t before, uint64_t operand)
{
	switch (what) {
	case EXPLORE_ADD:
		return before + operand;
	case EXPLORE_SUB:
		return before - operand;
	case EXPLORE_OR:
		return before | operand;
	case EXPLORE_AND:
		return before & operand;
	default:
		return operand;
	}
}

/*
 * A compare-exchange that fails counts as well: in front of another thread's it would not have failed,
 * and there is where the other one must not be eager.
 */
static void note_write(unsigned int location, bool stored)
{
	s.stores += stored;
	if (memory_note_writer(location, s.current))
		s.learned = true;
}

/* Reads one of the candidates that `may` allows. */
static unsigned int choose_store(struct step *step, bool (*may)(const struct memory_store *, const struct step *))
{
	unsigned int n = memory_candidates(s.current, step->location), allowed = 0, taken, i;

	for (i = 0; i < n; i++)
		allowed += !may || may(memory_store_of(memory_candidate(s.current, step->location, i)), step);
	taken = choose_value(allowed);
	for (i = 0; i < n; i++)
		if ((!may || may(memory_store_of(memory_candidate(s.current, step->location, i)), step)) &&
		    taken-- == 0)
			break;
	step->newer = i;
	return memory_candidate(s.current, step->location, i);
}

uint64_t explore_load(const volatile void *p, size_t bytes, enum explore_order order, const struct explore_site *site)
{
	struct step *step;
	unsigned int store;

	if (s.current < 0)
		return memory_peek(p, bytes);
	step = wait_for_turn(&(struct step){ .kind = STEP_LOAD, .order = order, .address = p, .size = bytes, .site = site });
	store = choose_store(step, NULL);
	step->read = memory_read(s.current, store, step->order);
	remember(STEP_LOAD, memory_mix(step->location, memory_store_of(store)->ident));
	trace_step(s.current, step);
	return step->read;
}

void explore_store(volatile void *p, size_t bytes, uint64_t value, enum explore_order order, const struct explore_site *site)
{
	struct step *step;

	value = narrow(value, bytes);
	if (s.current < 0) {
		memory_store_alone(p, bytes, value);
		return;
	}
	step = wait_for_turn(&(struct step){ .kind = STEP_STORE, .order = order, .address = p, .size = bytes, .site = site,
	                                     .value = value });
	step->newer = choose_value(memory_places(s.current, step->location));
	memory_write(s.current, step->location, step->newer, value, step->order, ident());
	note_write(step->location, true);
	remember(STEP_STORE, memory_mix(step->location, value));
	trace_step(s.current, step);
}

static bool may_read_rmw(const struct memory_store *store, const struct step *step)
{
	(void)step;
	return !store->read_by_rmw;
}

uint64_t explore_rmw(volatile void *p, size_t bytes, enum explore_rmw what, uint64_t operand, enum explore_order order,
                     const struct explore_site *site)
{
	struct step *step;
	unsigned int store;

	if (s.current < 0) {
		uint64_t before = memory_peek(p, bytes);

		memory_store_alone(p, bytes, compute(what, before, operand));
		return before;
	}
	step = wait_for_turn(&(struct step){ .kind = STEP_RMW, .order = order, .address = p, .size = bytes, .site = site });
	store = choose_store(step, may_read_rmw);
	step->read = memory_read(s.current, store, step->order);
	step->value = narrow(compute(what, step->read, operand), bytes);
	remember(STEP_RMW, memory_mix(step->location, memory_store_of(store)->ident));
	memory_write_behind(s.current, store, step->value, step->order, ident());
	note_write(step->location, true);
	trace_step(s.current, step);
	return step->read;
}

/* A strong compare-exchange fails only if it finds another value. step->read: what is expected. */
static bool may_read_cas(const struct memory_store *store, const struct step *step)
{
	return store->value != step->read || !store->read_by_rmw;
}

bool explore_cas(volatile void *p, size_t bytes, void *expected, uint64_t value, enum explore_order order,
                 enum explore_order failure, const struct explore_site *site)
{
	uint64_t wanted = memory_peek(expected, bytes), found;
	struct step *step;
	unsigned int store;

	value = narrow(value, bytes);
	if (s.current < 0) {
		found = memory_peek(p, bytes);
		if (found == wanted)
			memory_store_alone(p, bytes, value);
		else
			memcpy(expected, &found, bytes);
		return found == wanted;
	}
	step = wait_for_turn(&(struct step){ .kind = STEP_CAS, .order = order, .failure = failure, .address = p,
	                                     .size = bytes, .site = site, .read = wanted, .value = value });
	store = choose_store(step, may_read_cas);
	found = memory_store_of(store)->value;
	step->done = found == wanted;
	step->read = memory_read(s.current, store, step->done ? step->order : step->failure);
	remember(STEP_CAS, memory_mix(step->location, memory_store_of(store)->ident));
	if (step->done) {
		memory_write_behind(s.current, store, value, step->order, ident());
		remember(STEP_CAS, value);
	} else {
		memcpy(expected, &found, bytes);
	}
	note_write(step->location, step->done);
	trace_step(s.current, step);
	return step->done;
}

void explore_fence(enum explore_order order, const struct explore_site *site)
{
	struct step *step;

	if (s.current < 0)
		return;
	step = wait_for_turn(&(struct step){ .kind = STEP_FENCE, .order = order, .site = site });
	remember(STEP_FENCE, memory_fence(s.current, step->order));
	trace_step(s.current, step);
}

void explore_fence_process(void)
{
	static const struct explore_site site = { "", 0, "process" };
	struct step *step;

	if (s.current < 0)
		return;
	step = wait_for_turn(&(struct step){ .kind = STEP_BARRIER, .site = &site });
	if (!(s.barriers >> s.current & 1))
		s.learned = true;
	s.barriers |= 1u << s.current;
	/* the caller's first and last: memory.h joins each with those before */
	remember(STEP_BARRIER, memory_fence(s.current, EXPLORE_SEQ_CST));
	for (int i = 0; i < s.count; i++)
		if (i != s.current && process_of(i) == process_of(s.current) && s.threads[i].state == READY)
			s.threads[i].history = memory_mix(s.threads[i].history, memory_fence(i, EXPLORE_SEQ_CST));
	remember(STEP_BARRIER, memory_fence(s.current, EXPLORE_SEQ_CST));
	trace_step(s.current, step);
}

void explore_set_self(int thread, struct k2k_thread *record)
{
	s.selves[thread] = record;
}

void explore_make_private(const void *p, size_t bytes)
{
	memory_make_private(p, bytes);
}

void explore_keep(void)
{
	memory_keep();
}

bool explore_is_alive(int thread)
{
	static const struct explore_site site = { "", 0, "question" };
	struct step *step;

	if (s.current < 0)
		return s.threads[thread].state == READY;
	step = wait_for_turn(&(struct step){ .kind = STEP_ASK, .site = &site, .read = (uint64_t)thread });
	step->value = s.threads[thread].state != DEAD;
	remember(STEP_ASK, step->value);
	trace_step(s.current, step);
	return step->value;
}

void explore_yield(void)
{
	static const struct explore_site site = { "", 0, "yield" };
	struct step *step;

	if (s.current < 0)
		return;
	step = wait_for_turn(&(struct step){ .kind = STEP_YIELD, .site = &site });
	s.threads[s.current].woken = false;
	remember(STEP_YIELD, 0);
	trace_step(s.current, step);
}

int explore_self(void)
{
	return s.current;
}

enum explore_end explore_end_of(int thread)
{
	static const enum explore_end ends[] = {
		[READY] = EXPLORE_WAITING, [FINISHED] = EXPLORE_FINISHED, [DEAD] = EXPLORE_DEAD, [STOPPED] = EXPLORE_STOPPED,
	};

	return ends[s.threads[thread].state];
}

void explore_outcome(const char *format, ...)
{
	char text[128];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	outcome_say(s.current < 0 ? EXPLORE_THREADS : s.current, text);
}

void explore_fail(const char *file, int line, const char *format, ...)
{
	va_list arguments;

	printf("%s:%d: ", file, line);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	trace_print(s.program->name);
	fflush(stdout);
	_exit(1);
}
