/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * steps.c - what lib/base.h's names and explore.h's questions do.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "run.h"

#define CANDIDATES 512 /* stores of one location, in one execution */

/*
 * ---- the steps
 * ----------------------------------------------------------------------------------------
 */

static uint64_t narrow(uint64_t value, size_t bytes)
{
	return bytes == 8 ? value : value & ((UINT64_C(1) << 8 * bytes) - 1);
}

static uint64_t compute(enum explore_rmw what, uint64_t before, uint64_t operand)
{
	switch (what) {
	case EXPLORE_ADD: return before + operand;
	case EXPLORE_SUB: return before - operand;
	case EXPLORE_OR: return before | operand;
	case EXPLORE_AND: return before & operand;
	default: return operand;
	}
}

/*
 * A load that finds the same value in an older store knows less, so it may do all that it may do
 * with the newer one: that one need not be tried.
 */
static bool is_older_equal(const struct step *step, unsigned int candidate, unsigned int n)
{
	unsigned int store = memory_candidate(run.current, step->location, candidate);

	for (unsigned int i = candidate + 1; i < n; i++) {
		unsigned int older = memory_candidate(run.current, step->location, i);

		if (memory_store_of(older)->value == memory_store_of(store)->value &&
		    !memory_is_worn(run.current, older))
			return true;
	}
	return false;
}

/* Reads one of the candidates that `may` allows: step->from. */
static void choose_store(struct step *step,
                         bool (*may)(const struct memory_store *, const struct step *))
{
	unsigned int n = memory_candidates(run.current, step->location), count = 0;
	unsigned int stores[CANDIDATES], newer[CANDIDATES], taken;

	for (unsigned int i = 0; i < n && count < CANDIDATES; i++) {
		unsigned int store = memory_candidate(run.current, step->location, i);

		if (may ? !may(memory_store_of(store), step)
		        : is_older_equal(step, i, n) || memory_is_worn(run.current, store))
			continue;
		newer[count] = i;
		stores[count++] = store;
	}
	taken = search_choose_value(stores, count);
	step->newer = newer[taken];
	step->from = stores[taken];
}

uint64_t explore_load(const volatile void *p, size_t bytes, enum explore_order order,
                      struct explore_site *site)
{
	struct step *step;

	if (run.current < 0)
		return memory_peek(p, bytes);
	step = run_wait_for_turn(&(struct step){
		.kind = STEP_LOAD, .order = order, .address = p, .size = bytes, .site = site });
	choose_store(step, NULL);
	step->read = memory_read(run.current, step->from, step->order);
	run_remember(STEP_LOAD, memory_mix(step->location, memory_store_of(step->from)->ident));
	run_done(step);
	return step->read;
}

void explore_store(volatile void *p, size_t bytes, uint64_t value, enum explore_order order,
                   struct explore_site *site)
{
	struct step *step;

	value = narrow(value, bytes);
	if (run.current < 0) {
		memory_store_alone(p, bytes, value);
		return;
	}
	step = run_wait_for_turn(&(struct step){ .kind = STEP_STORE,
	                                         .order = order,
	                                         .address = p,
	                                         .size = bytes,
	                                         .site = site,
	                                         .value = value });
	step->newer = search_choose_value(NULL, memory_places(run.current, step->location));
	step->to = memory_write(run.current, step->location, step->newer, value, step->order,
	                        run_ident());
	run_remember(STEP_STORE, memory_mix(step->location, value));
	run_done(step);
}

static bool may_read_rmw(const struct memory_store *store, const struct step *step)
{
	(void)step;
	return !store->read_by_rmw;
}

uint64_t explore_rmw(volatile void *p, size_t bytes, enum explore_rmw what, uint64_t operand,
                     enum explore_order order, struct explore_site *site)
{
	struct step *step;

	if (run.current < 0) {
		uint64_t before = memory_peek(p, bytes);

		memory_store_alone(p, bytes, compute(what, before, operand));
		return before;
	}
	step = run_wait_for_turn(&(struct step){
		.kind = STEP_RMW, .order = order, .address = p, .size = bytes, .site = site });
	choose_store(step, may_read_rmw);
	step->read = memory_read(run.current, step->from, step->order);
	step->value = narrow(compute(what, step->read, operand), bytes);
	run_remember(STEP_RMW, memory_mix(step->location, memory_store_of(step->from)->ident));
	step->to = memory_write_behind(run.current, step->from, step->value, step->order,
	                               run_ident());
	run_done(step);
	return step->read;
}

/* A strong compare-exchange fails only if it finds another value. step->read: what is expected. */
static bool may_read_cas(const struct memory_store *store, const struct step *step)
{
	return store->value != step->read || !store->read_by_rmw;
}

bool explore_cas(volatile void *p, size_t bytes, void *expected, uint64_t value,
                 enum explore_order order, enum explore_order failure, struct explore_site *site)
{
	uint64_t wanted = memory_peek(expected, bytes), found;
	struct step *step;

	value = narrow(value, bytes);
	if (run.current < 0) {
		found = memory_peek(p, bytes);
		if (found == wanted)
			memory_store_alone(p, bytes, value);
		else
			memcpy(expected, &found, bytes);
		return found == wanted;
	}
	step = run_wait_for_turn(&(struct step){ .kind = STEP_CAS,
	                                         .order = order,
	                                         .failure = failure,
	                                         .address = p,
	                                         .size = bytes,
	                                         .site = site,
	                                         .read = wanted,
	                                         .value = value });
	choose_store(step, may_read_cas);
	found = memory_store_of(step->from)->value;
	step->done = found == wanted;
	step->read = memory_read(run.current, step->from, step->done ? step->order : step->failure);
	run_remember(STEP_CAS, memory_mix(step->location, memory_store_of(step->from)->ident));
	if (step->done) {
		step->to = memory_write_behind(run.current, step->from, value, step->order,
		                               run_ident());
		run_remember(STEP_CAS, value);
	} else {
		memcpy(expected, &found, bytes);
	}
	run_done(step);
	return step->done;
}

void explore_fence(enum explore_order order, struct explore_site *site)
{
	struct step *step;

	if (run.current < 0)
		return;
	step = run_wait_for_turn(
		&(struct step){ .kind = STEP_FENCE, .order = order, .site = site });
	run_remember(STEP_FENCE, memory_fence(run.current, step->order));
	run_done(step);
}

void explore_fence_process(void)
{
	static struct explore_site site = { .file = "", .text = "process" };
	struct step *step;

	if (run.current < 0)
		return;
	step = run_wait_for_turn(&(struct step){ .kind = STEP_BARRIER, .site = &site });
	/* the caller's first and last: memory.h joins each with those before */
	run_remember(STEP_BARRIER, memory_fence(run.current, EXPLORE_SEQ_CST));
	for (int i = 0; i < run.count; i++)
		if (i != run.current && run.process[i] == run.process[run.current] &&
		    run.threads[i].state == THREAD_READY)
			run.threads[i].history = memory_mix(run.threads[i].history,
			                                    memory_fence(i, EXPLORE_SEQ_CST));
	run_remember(STEP_BARRIER, memory_fence(run.current, EXPLORE_SEQ_CST));
	run_done(step);
}

void explore_set_self(int thread, struct k2k_thread *record)
{
	run.selves[thread] = record;
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
	static struct explore_site site = { .file = "", .text = "question" };
	struct step *step;

	if (thread >= run.count)
		return false;
	if (run.current < 0)
		return run.threads[thread].state != THREAD_DEAD;
	step = run_wait_for_turn(
		&(struct step){ .kind = STEP_ASK, .site = &site, .read = (uint64_t)thread });
	step->value = run.threads[thread].state != THREAD_DEAD;
	run_remember(STEP_ASK, step->value);
	run_done(step);
	return step->value;
}

void explore_yield(void)
{
	static struct explore_site site = { .file = "", .text = "yield" };
	struct step *step;

	if (run.current < 0)
		return;
	step = run_wait_for_turn(&(struct step){ .kind = STEP_YIELD, .site = &site });
	run.threads[run.current].woken = false;
	run_remember(STEP_YIELD, 0);
	run_done(step);
}

int explore_self(void)
{
	return run.current;
}

enum explore_end explore_end_of(int thread)
{
	static const enum explore_end ends[] = {
		[THREAD_READY] = EXPLORE_WAITING,
		[THREAD_FINISHED] = EXPLORE_FINISHED,
		[THREAD_DEAD] = EXPLORE_DEAD,
		[THREAD_STOPPED] = EXPLORE_STOPPED,
	};

	return thread < run.count ? ends[run.threads[thread].state] : EXPLORE_FINISHED;
}

void explore_outcome(const char *format, ...)
{
	char text[128];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	outcome_say(run.current < 0 ? EXPLORE_THREADS : run.current, text);
}

void explore_fail(const char *file, int line, const char *format, ...)
{
	va_list arguments;

	printf("%s:%d: ", file, line);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	trace_print(run.program->name, run.options->replay);
	fflush(stdout);
	_exit(1);
}
