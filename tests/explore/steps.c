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

/* ---- the steps ---------------------------------------------------------------------------------------- */

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
 * A compare-exchange that fails counts as well: in front of another thread's it would not have failed,
 * and there is where the other one must not be eager.
 */
static void note_write(unsigned int location, bool stored)
{
	run.stores += stored;
	if (memory_note_writer(location, run.current))
		run.learned = true;
}

/* Reads one of the candidates that `may` allows. */
static unsigned int choose_store(struct step *step,
                                 bool (*may)(const struct memory_store *, const struct step *))
{
	unsigned int n = memory_candidates(run.current, step->location), allowed = 0, taken, i;

	for (i = 0; i < n; i++)
		allowed += !may ||
		           may(memory_store_of(memory_candidate(run.current, step->location, i)),
		               step);
	taken = search_choose_value(allowed);
	for (i = 0; i < n; i++)
		if ((!may || may(memory_store_of(memory_candidate(run.current, step->location, i)),
		                 step)) &&
		    taken-- == 0)
			break;
	step->newer = i;
	return memory_candidate(run.current, step->location, i);
}

uint64_t explore_load(const volatile void *p, size_t bytes, enum explore_order order,
                      const struct explore_site *site)
{
	struct step *step;
	unsigned int store;

	if (run.current < 0)
		return memory_peek(p, bytes);
	step = run_wait_for_turn(&(struct step){
		.kind = STEP_LOAD, .order = order, .address = p, .size = bytes, .site = site });
	store = choose_store(step, NULL);
	step->read = memory_read(run.current, store, step->order);
	run_remember(STEP_LOAD, memory_mix(step->location, memory_store_of(store)->ident));
	trace_step(run.current, step);
	return step->read;
}

void explore_store(volatile void *p, size_t bytes, uint64_t value, enum explore_order order,
                   const struct explore_site *site)
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
	step->newer = search_choose_value(memory_places(run.current, step->location));
	memory_write(run.current, step->location, step->newer, value, step->order, run_ident());
	note_write(step->location, true);
	run_remember(STEP_STORE, memory_mix(step->location, value));
	trace_step(run.current, step);
}

static bool may_read_rmw(const struct memory_store *store, const struct step *step)
{
	(void)step;
	return !store->read_by_rmw;
}

uint64_t explore_rmw(volatile void *p, size_t bytes, enum explore_rmw what, uint64_t operand,
                     enum explore_order order, const struct explore_site *site)
{
	struct step *step;
	unsigned int store;

	if (run.current < 0) {
		uint64_t before = memory_peek(p, bytes);

		memory_store_alone(p, bytes, compute(what, before, operand));
		return before;
	}
	step = run_wait_for_turn(&(struct step){
		.kind = STEP_RMW, .order = order, .address = p, .size = bytes, .site = site });
	store = choose_store(step, may_read_rmw);
	step->read = memory_read(run.current, store, step->order);
	step->value = narrow(compute(what, step->read, operand), bytes);
	run_remember(STEP_RMW, memory_mix(step->location, memory_store_of(store)->ident));
	memory_write_behind(run.current, store, step->value, step->order, run_ident());
	note_write(step->location, true);
	trace_step(run.current, step);
	return step->read;
}

/* A strong compare-exchange fails only if it finds another value. step->read: what is expected. */
static bool may_read_cas(const struct memory_store *store, const struct step *step)
{
	return store->value != step->read || !store->read_by_rmw;
}

bool explore_cas(volatile void *p, size_t bytes, void *expected, uint64_t value,
                 enum explore_order order, enum explore_order failure,
                 const struct explore_site *site)
{
	uint64_t wanted = memory_peek(expected, bytes), found;
	struct step *step;
	unsigned int store;

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
	store = choose_store(step, may_read_cas);
	found = memory_store_of(store)->value;
	step->done = found == wanted;
	step->read = memory_read(run.current, store, step->done ? step->order : step->failure);
	run_remember(STEP_CAS, memory_mix(step->location, memory_store_of(store)->ident));
	if (step->done) {
		memory_write_behind(run.current, store, value, step->order, run_ident());
		run_remember(STEP_CAS, value);
	} else {
		memcpy(expected, &found, bytes);
	}
	note_write(step->location, step->done);
	trace_step(run.current, step);
	return step->done;
}

void explore_fence(enum explore_order order, const struct explore_site *site)
{
	struct step *step;

	if (run.current < 0)
		return;
	step = run_wait_for_turn(
		&(struct step){ .kind = STEP_FENCE, .order = order, .site = site });
	run_remember(STEP_FENCE, memory_fence(run.current, step->order));
	trace_step(run.current, step);
}

void explore_fence_process(void)
{
	static const struct explore_site site = { "", 0, "process" };
	struct step *step;

	if (run.current < 0)
		return;
	step = run_wait_for_turn(&(struct step){ .kind = STEP_BARRIER, .site = &site });
	if (!(run.barriers >> run.current & 1))
		run.learned = true;
	run.barriers |= 1u << run.current;
	/* the caller's first and last: memory.h joins each with those before */
	run_remember(STEP_BARRIER, memory_fence(run.current, EXPLORE_SEQ_CST));
	for (int i = 0; i < run.count; i++)
		if (i != run.current && run.process[i] == run.process[run.current] &&
		    run.threads[i].state == THREAD_READY)
			run.threads[i].history = memory_mix(run.threads[i].history,
			                                    memory_fence(i, EXPLORE_SEQ_CST));
	run_remember(STEP_BARRIER, memory_fence(run.current, EXPLORE_SEQ_CST));
	trace_step(run.current, step);
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
	static const struct explore_site site = { "", 0, "question" };
	struct step *step;

	if (thread >= run.count)
		return false;
	if (run.current < 0)
		return run.threads[thread].state != THREAD_DEAD;
	step = run_wait_for_turn(
		&(struct step){ .kind = STEP_ASK, .site = &site, .read = (uint64_t)thread });
	step->value = run.threads[thread].state != THREAD_DEAD;
	run_remember(STEP_ASK, step->value);
	trace_step(run.current, step);
	return step->value;
}

void explore_yield(void)
{
	static const struct explore_site site = { "", 0, "yield" };
	struct step *step;

	if (run.current < 0)
		return;
	step = run_wait_for_turn(&(struct step){ .kind = STEP_YIELD, .site = &site });
	run.threads[run.current].woken = false;
	run_remember(STEP_YIELD, 0);
	trace_step(run.current, step);
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

	return ends[run.threads[thread].state];
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
