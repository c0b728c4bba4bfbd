/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * threads.c - the threads of a program as coroutines: each runs up to its next step.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "engine.h"
#include "memory.h"

#define STACK_BYTES ((size_t)64 << 10)
#define STEPS_DEFAULT 4000

struct run run = { .current = -1 };

/* Of a thread, and behind them of what is outside of threads. */
static ucontext_t contexts[EXPLORE_THREADS + 1];
static struct k2k_thread *outside_self;
static unsigned char stacks[EXPLORE_THREADS][STACK_BYTES];

void run_refuse(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fprintf(stderr, "explore: ");
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, "\n");
	exit(2);
}

/* -1: outside. */
static ucontext_t *context_of(int thread)
{
	return &contexts[thread < 0 ? EXPLORE_THREADS : thread];
}

static void switch_to(int thread)
{
	int before = run.current;

	if (before == thread)
		return;
	*(before < 0 ? &outside_self : &run.selves[before]) = k2k_thread_self;
	k2k_thread_self = thread < 0 ? outside_self : run.selves[thread];
	run.current = thread;
	swapcontext(context_of(before), context_of(thread));
}

void run_end(enum run_end how)
{
	run.how = how;
	switch_to(-1);
}

bool run_is_enabled(const struct thread *thread)
{
	return thread->state == EXPLORE_WAITING &&
	       (thread->step.kind != STEP_YIELD || run.changes > thread->changes_seen ||
	        thread->woken);
}

static void die(int thread)
{
	run.deaths++;
	run.changes++; /* who waits looks again */
	/* what it stored is in memory for whoever looks behind a full fence: lib/lock.h */
	memory_fence(thread, EXPLORE_SEQ_CST);
	run.threads[thread].state = EXPLORE_DEAD;
}

/*
 * All wait: one of them sees what there is, as any processor does in time. False: that was so
 * already.
 */
static bool let_see(void)
{
	for (int i = 0; i < run.count; i++) {
		struct thread *thread = &run.threads[i];

		if (thread->state != EXPLORE_WAITING || thread->caught_up == run.changes + 1)
			continue;
		memory_catch_up(i);
		thread->caught_up = run.changes + 1;
		thread->woken = true;
		thread->history = memory_mix(thread->history, STEP_YIELD);
		return true;
	}
	return false;
}

/* Can a thread make a step, now or when it has seen what there is? */
static bool goes_on(void)
{
	bool waiting = false;

	for (int i = 0; i < run.count; i++) {
		if (run_is_enabled(&run.threads[i]))
			return true;
		waiting |= run.threads[i].state == EXPLORE_WAITING;
	}
	return waiting && let_see();
}

/*
 * Returns if the current thread is to make its step; outside of the threads, if the execution is
 * over.
 */
static void schedule(void)
{
	while (goes_on()) {
		uint32_t actor = search_choose_actor();

		if (!actor) {
			run_end(RUN_REDUNDANT);
			return;
		}
		if (is_run(actor)) {
			switch_to(actor_thread(actor));
			return;
		}
		if (is_stop(actor)) {
			run.stops++;
			run.threads[actor_thread(actor)].state = EXPLORE_STOPPED;
		} else {
			die(actor_thread(actor));
		}
		search_done(actor);
	}
	run_end(RUN_ENDED);
}

/* To the scheduler; while the threads start each one only comes to its first step. */
static void leave(void)
{
	if (run.starting)
		switch_to(-1);
	else
		schedule();
}

static void thread_main(int number)
{
	run.program->threads[number]();
	if (run.program->mortal >> number & 1) {
		run_wait_for_turn(&(struct step){ .kind = STEP_END });
		search_done(RUN(number));
	}
	run.threads[number].state = EXPLORE_FINISHED;
	leave();
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
		run.several |= run.process[i] != 0;
		if ((run.program->mortal >> i & 1) && process)
			run_refuse("a process that may die has one thread");
	}
}

void run_threads(void)
{
	run.changes = run.deaths = run.stops = 0;
	memset(run.threads, 0, sizeof(run.threads));
	for (run.count = 0; run.count < EXPLORE_THREADS && run.program->threads[run.count];
	     run.count++) {
		ucontext_t *context = context_of(run.count);

		getcontext(context);
		context->uc_stack.ss_sp = stacks[run.count];
		context->uc_stack.ss_size = STACK_BYTES;
		makecontext(context, (void (*)(void))thread_main, 1, run.count);
	}
	find_processes();
	run.starting = true;
	for (int i = 0; i < run.count; i++)
		switch_to(i);
	run.starting = false;
	schedule();
}

struct step *run_wait_for_turn(const struct step *step)
{
	static struct explore_site nowhere = { .file = "", .text = "" };
	struct thread *self = &run.threads[run.current];
	int process = run.several ? run.process[run.current] : -1;

	self->step = *step;
	if (!step->site)
		self->step.site = &nowhere;
	if (step->size)
		self->step.location = memory_locate(step->address, step->size, process, step->site);
	if (step->high)
		self->step.high_location = memory_locate(step->high, step->size, process,
		                                         step->site);
	trace_site(&self->step);
	self->changes_seen = run.changes;
	leave();
	if (++self->steps > (run.program->steps ? run.program->steps : STEPS_DEFAULT))
		run_end(RUN_CUT);
	return &self->step;
}
