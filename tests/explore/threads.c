/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

#define STACK_BYTES ((size_t)64 << 10)
#define STEPS_DEFAULT 2000

struct run run = { .current = -1 };

static ucontext_t outside;
static struct k2k_thread *outside_self;
static unsigned char *stacks[EXPLORE_THREADS];

void run_end(enum run_end how)
{
	run.how = how;
	if (run.current < 0)
		return;
	run.current = -1;
	k2k_thread_self = outside_self;
	setcontext(&outside);
}

bool run_is_enabled(const struct thread *thread)
{
	return thread->state == THREAD_READY && (thread->step.kind != STEP_YIELD ||
	                                         run.stores > thread->stores_seen || thread->woken);
}

static void die(int thread)
{
	run.deaths++;
	run.stores++; /* who waits looks again */
	for (int i = 0; i < run.count; i++) {
		if (run.process[i] != run.process[thread] || run.threads[i].state > THREAD_FINISHED)
			continue;
		/* what it stored is in memory for whoever looks behind a full fence: lib/lock.h */
		run.threads[i].history = memory_mix(run.threads[i].history,
		                                    memory_fence(i, EXPLORE_SEQ_CST));
		run.threads[i].state = THREAD_DEAD;
	}
}

static bool can_run(void)
{
	for (int i = 0; i < run.count; i++)
		if (run_is_enabled(&run.threads[i]))
			return true;
	return false;
}

/*
 * All wait: one of them sees what there is, as any processor does in time. False: that was so
 * already.
 */
static bool let_see(void)
{
	for (int i = 0; i < run.count; i++) {
		struct thread *thread = &run.threads[i];

		if (thread->state != THREAD_READY || thread->caught_up == run.stores + 1)
			continue;
		memory_catch_up(i);
		thread->caught_up = run.stores + 1;
		thread->woken = true;
		thread->history = memory_mix(thread->history, STEP_YIELD);
		return true;
	}
	return false;
}

static void switch_to(int thread)
{
	int before = run.current;

	if (before == thread)
		return;
	*(before < 0 ? &outside_self : &run.selves[before]) = k2k_thread_self;
	k2k_thread_self = thread < 0 ? outside_self : run.selves[thread];
	run.current = thread;
	swapcontext(before < 0 ? &outside : &run.threads[before].context,
	            thread < 0 ? &outside : &run.threads[thread].context);
}

/*
 * Returns if the current thread is to make its step; outside of the threads, if the execution is
 * over.
 */
static void schedule(void)
{
	for (;;) {
		uint32_t actor = 0;
		bool waiting = false;

		for (int i = 0; i < run.count; i++)
			waiting |= run.threads[i].state == THREAD_READY;
		if (!waiting || (!can_run() && !let_see())) {
			run_end(RUN_ENDED);
			return;
		}
		actor = search_choose_actor();
		if (!actor) {
			run_end(run.options->replay ? RUN_ENDED : RUN_REDUNDANT);
			return;
		}
		trace_log_actor(actor);
		if (!is_run(actor)) {
			if (is_stop(actor)) {
				run.stops++;
				run.threads[actor_thread(actor)].state = THREAD_STOPPED;
			} else {
				die(actor_thread(actor));
			}
			search_done(actor, &run.threads[actor_thread(actor)].step);
			trace_note(actor_thread(actor), is_stop(actor) ? "stands still" : "dies");
			continue;
		}
		switch_to(actor_thread(actor));
		return;
	}
}

static void thread_main(unsigned int number)
{
	static struct explore_site site = { .file = "", .text = "end" };

	run.program->threads[number]();
	if (run.program->mortal >> number & 1)
		run_done(run_wait_for_turn(&(struct step){ .kind = STEP_END, .site = &site }));
	run.threads[number].state = THREAD_FINISHED;
	if (run.starting)
		switch_to(-1);
	else
		schedule();
}

/* A process has the number of its first thread. */
static void find_processes(void)
{
	run.several = false;
	for (int i = 0; i < run.count; i++) {
		int process = run.program->process[i];

		run.process[i] = i;
		for (int j = i - 1; process && j >= 0; j--)
			if (run.program->process[j] == process)
				run.process[i] = run.process[j];
		run.several |= run.process[i] != run.process[0];
	}
}

static void begin(void)
{
	run.starting = true;
	for (run.count = 0; run.count < EXPLORE_THREADS && run.program->threads[run.count];
	     run.count++) {
		struct thread *thread = &run.threads[run.count];

		if (!stacks[run.count])
			stacks[run.count] = malloc(STACK_BYTES);
		if (!stacks[run.count]) {
			fprintf(stderr, "explore: no memory for a stack\n");
			exit(2);
		}
		memset(thread, 0, sizeof(*thread));
		getcontext(&thread->context);
		thread->context.uc_stack.ss_sp = stacks[run.count];
		thread->context.uc_stack.ss_size = STACK_BYTES;
		makecontext(&thread->context, (void (*)(void))thread_main, 1,
		            (unsigned int)run.count);
	}
	find_processes();
	for (int i = 0; i < run.count; i++)
		switch_to(i);
	run.starting = false;
}

void run_threads(void)
{
	run.stores = 0;
	run.deaths = run.stops = 0;
	run.how = RUN_GOES_ON;
	begin();
	schedule();
}

/* ---- steps -------------------------------------------------------------------------- */

/* Takes from the step what --weaken says: FILE:LINE=what is left. */
static void weaken(struct step *step)
{
	static const char *const names[] = { [EXPLORE_RELAXED] = "relaxed",
		                             [EXPLORE_ACQUIRE] = "acquire",
		                             [EXPLORE_RELEASE] = "release",
		                             [EXPLORE_ACQ_REL] = "acq_rel" };
	const char *what = run.options->weaken, *equals = what ? strchr(what, '=') : NULL;
	unsigned int left = EXPLORE_ACQ_REL;
	char place[256];

	if (!equals)
		return;
	snprintf(place, sizeof(place), "%s:%d", trace_file(step->site), step->site->line);
	if (strlen(place) != (size_t)(equals - what) || strncmp(place, what, strlen(place)) != 0)
		return;
	while (left > EXPLORE_RELAXED && strcmp(names[left], equals + 1) != 0)
		left--;
	run.figures->weakened = true;
	step->order &= left;
	step->failure &= left;
}

static struct explore_site *sites;

static void note_site(const struct step *step)
{
	if (step->site->ran)
		return;
	step->site->ran = true;
	step->site->order = step->order;
	step->site->next = sites;
	sites = step->site;
}

void run_print_sites(void)
{
	for (const struct explore_site *site = sites; site; site = site->next)
		if (site->order != EXPLORE_RELAXED)
			printf("%s:%d %s %s\n", trace_file(site), site->line,
			       trace_order(site->order), site->text);
}

/* Stands in front of `step`, until it is this thread's turn. */
struct step *run_wait_for_turn(const struct step *step)
{
	struct thread *self = &run.threads[run.current];
	unsigned int most = run.program->steps ? run.program->steps : STEPS_DEFAULT;

	self->step = *step;
	if (step->size)
		self->step.location = memory_locate(step->address, step->size,
		                                    run.several ? run.process[run.current] : -1,
		                                    step->site->text);
	note_site(step);
	weaken(&self->step);
	self->stores_seen = run.stores;
	if (run.starting)
		switch_to(-1);
	else
		schedule();
	run.figures->steps++;
	if (++self->events > most)
		run_end(RUN_CUT);
	return &self->step;
}

void run_done(const struct step *step)
{
	run.stores += step->to != 0;
	search_done(RUN(run.current), step);
	trace_step(run.current, step);
}

uint64_t run_ident(void)
{
	return (uint64_t)(run.current + 1) << 32 | run.threads[run.current].events;
}

void run_remember(uint64_t what, uint64_t more)
{
	struct thread *self = &run.threads[run.current];

	self->history = memory_mix(memory_mix(self->history, what), more);
}
