/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * steps.c - what lib/base.h's names and explore.h's questions do.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "memory.h"

/* ---- reading and writing ---------------------------------------------------------------- */

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

/* A compare-exchange that has found what it wanted. */
static bool is_equal(const struct step *step)
{
	return step->read == step->wanted && (!step->high || step->high_read == step->high_wanted);
}

/* Whatever it reads is read: does it store, and what? */
static bool stores(struct step *step)
{
	if (step->kind == STEP_RMW)
		step->value = compute(step->rmw, step->read, step->value);
	step->value = narrow(step->value, step->size);
	return step_writes(step) && (step->kind != STEP_CAS || is_equal(step));
}

/*
 * A load that finds the same value in an older store knows less, so it may do all that it may do
 * with the newer one: that one need not be tried.
 */
static bool has_older_equal(int thread, const struct memory_location *location,
                            unsigned int position)
{
	uint64_t value = memory_stores[location->order[position]].value;
	unsigned int known = run.all_stores ? position : memory_known(thread, location);

	while (position-- > known)
		if (memory_stores[location->order[position]].value == value &&
		    !memory_is_worn(thread, location->order[position]))
			return true;
	return false;
}

/*
 * A read-modify-write stands right behind what it reads. A strong compare-exchange fails only if it
 * finds another value.
 */
static bool may_read(int thread, const struct step *step, const struct memory_location *location,
                     unsigned int position)
{
	const struct memory_store *store = &memory_stores[location->order[position]];

	if (step->kind == STEP_LOAD)
		return !memory_is_worn(thread, location->order[position]) &&
		       !has_older_equal(thread, location, position);
	return !store->read_by_rmw || (step->kind == STEP_CAS && store->value != step->wanted);
}

/*
 * The high word of a pair is only stored together with the low one, which may also be stored alone:
 * so beside a store of the low word stands what the newest exchange of both has stored until then.
 */
static unsigned int high_of(const struct step *step)
{
	const struct memory_location *low = &memory_locations[step->location];
	const struct memory_location *high = &memory_locations[step->high_location];
	unsigned int both = high->count - 1u;

	for (unsigned int i = low->count; i-- > 1;) {
		bool here = both > 0 && memory_stores[low->order[i]].ident ==
		                                memory_stores[high->order[both]].ident;

		if (i <= memory_stores[step->from].position && (here || both == 0))
			return high->order[both];
		both -= here;
	}
	if (both > 0)
		explore_fail(step->site->text, 0, "the high word of a pair was stored alone");
	return high->order[0];
}

unsigned int run_candidates(int thread, const struct step *step, unsigned int since,
                            unsigned int found[RUN_CANDIDATES])
{
	const struct memory_location *location = &memory_locations[step->location];
	unsigned int count = 0;

	for (unsigned int i = location->count; i-- > memory_known(thread, location);)
		if (count < RUN_CANDIDATES && memory_is_newer(location->order[i], since) &&
		    may_read(thread, step, location, i))
			found[count++] = location->order[i];
	return count;
}

static void choose_store(struct step *step)
{
	unsigned int found[RUN_CANDIDATES];
	unsigned int count = run_candidates(run.current, step, 0, found);

	step->from = found[search_choose_value(found, count)];
	step->newer = memory_locations[step->location].count - 1u -
	              memory_stores[step->from].position;
	step->read = memory_stores[step->from].value;
	if (step->high) {
		step->high_from = high_of(step);
		step->high_read = memory_stores[step->high_from].value;
	}
}

/* A store's place in the modification order, the last one first. */
static unsigned int choose_position(struct step *step)
{
	unsigned int places = 0;

	while (memory_place(run.current, step->location, places))
		places++;
	step->newer = search_choose_value(NULL, places);
	return memory_place(run.current, step->location, step->newer);
}

static void store(struct step *step)
{
	uint64_t ident = (uint64_t)(run.current + 1) << 32 | run.threads[run.current].steps;
	unsigned int position = step->from ? memory_stores[step->from].position + 1u
	                                   : choose_position(step);

	step->to = memory_insert(run.current, step->location, position, step->value, ident);
	if (step->high)
		step->high_to = memory_insert(run.current, step->high_location,
		                              memory_stores[step->high_from].position + 1u,
		                              step->high_value, ident);
	/* whoever acquires one word of a pair sees the other */
	memory_publish(run.current, step->to, step->from, step->order);
	if (step->high)
		memory_publish(run.current, step->high_to, step->high_from, step->order);
	run.changes++;
}

/* Outside of threads: memory is as it is, and nobody else looks. */
static struct step *access_alone(const struct step *asked)
{
	static struct step step;

	step = *asked;
	step.read = memory_peek(step.address, step.size);
	step.high_read = step.high ? memory_peek(step.high, step.size) : 0;
	if (!stores(&step))
		return &step;
	memory_poke(step.address, step.size, step.value);
	if (step.high)
		memory_poke(step.high, step.size, step.high_value);
	return &step;
}

static struct step *access_word(const struct step *asked)
{
	enum explore_order order;
	struct step *step;
	bool storing;

	if (run.current < 0)
		return access_alone(asked);
	step = run_wait_for_turn(asked);
	if (step_reads(step))
		choose_store(step);
	storing = stores(step);
	order = step->kind == STEP_CAS && !storing ? step->failure : step->order;
	if (step->from)
		memory_read(run.current, step->from, order);
	if (step->high)
		memory_read(run.current, step->high_from, order);
	if (storing)
		store(step);
	search_done(RUN(run.current));
	return step;
}

/* What each access of a word has. */
#define WORD(p) .address = (volatile void *)(p), .size = bytes, .order = order, .site = site

uint64_t explore_load(const volatile void *p, size_t bytes, enum explore_order order,
                      struct explore_site *site)
{
	/* most of what setups and checks do */
	return run.current < 0 ? memory_peek(p, bytes)
	                       : access_word(&(struct step){ .kind = STEP_LOAD, WORD(p) })->read;
}

void explore_store(volatile void *p, size_t bytes, uint64_t value, enum explore_order order,
                   struct explore_site *site)
{
	access_word(&(struct step){ .kind = STEP_STORE, WORD(p), .value = value });
}

uint64_t explore_rmw(volatile void *p, size_t bytes, enum explore_rmw what, uint64_t operand,
                     enum explore_order order, struct explore_site *site)
{
	const struct step step = { .kind = STEP_RMW, WORD(p), .rmw = what, .value = operand };

	return access_word(&step)->read;
}

bool explore_cas(volatile void *p, size_t bytes, void *expected, uint64_t value,
                 enum explore_order order, enum explore_order failure, struct explore_site *site)
{
	const struct step *step = access_word(
		&(struct step){ .kind = STEP_CAS,
	                        WORD(p),
	                        .failure = failure,
	                        .wanted = memory_peek(expected, bytes),
	                        .value = value });

	memcpy(expected, &step->read, bytes);
	return is_equal(step);
}

bool explore_cas_pair(volatile void *low, volatile void *high, uint64_t low_was, uint64_t high_was,
                      uint64_t new_low, uint64_t new_high, enum explore_order order,
                      enum explore_order failure, struct explore_site *site)
{
	return is_equal(access_word(&(struct step){ .kind = STEP_CAS,
	                                            .order = order,
	                                            .failure = failure,
	                                            .address = low,
	                                            .high = high,
	                                            .size = 8,
	                                            .site = site,
	                                            .wanted = low_was,
	                                            .high_wanted = high_was,
	                                            .value = new_low,
	                                            .high_value = new_high }));
}

/* ---- steps of no location ---------------------------------------------------------------- */

void explore_fence(enum explore_order order, struct explore_site *site)
{
	struct step *step;

	if (run.current < 0)
		return;
	step = run_wait_for_turn(
		&(struct step){ .kind = STEP_FENCE, .order = order, .site = site });
	memory_fence(run.current, step->order);
	search_done(RUN(run.current));
}

void explore_fence_process(void)
{
	if (run.current < 0)
		return;
	run_wait_for_turn(&(struct step){ .kind = STEP_BARRIER });
	/* the caller's first and last: memory.h joins each with those before */
	memory_fence(run.current, EXPLORE_SEQ_CST);
	for (int i = 0; i < run.count; i++)
		if (i != run.current && run_is_same_process(i, run.current) &&
		    run.threads[i].state <= EXPLORE_FINISHED)
			memory_fence(i, EXPLORE_SEQ_CST);
	memory_fence(run.current, EXPLORE_SEQ_CST);
	search_done(RUN(run.current));
}

bool explore_is_alive(int thread)
{
	struct step *step;

	if (thread >= run.count)
		return false;
	if (run.current < 0)
		return run.threads[thread].state != EXPLORE_DEAD;
	step = run_wait_for_turn(&(struct step){ .kind = STEP_ASK, .asked = thread });
	step->value = run.threads[thread].state != EXPLORE_DEAD;
	search_done(RUN(run.current));
	return step->value;
}

void explore_yield(void)
{
	if (run.current < 0)
		return;
	run_wait_for_turn(&(struct step){ .kind = STEP_YIELD });
	run.threads[run.current].woken = false;
	search_done(RUN(run.current));
}

/* ---- questions of a program ---------------------------------------------------------------- */

int explore_self(void)
{
	return run.current;
}

unsigned int explore_variant(void)
{
	return run.variant;
}

enum explore_end explore_end_of(int thread)
{
	return thread < run.count ? run.threads[thread].state : EXPLORE_FINISHED;
}

void explore_fail(const char *file, int line, const char *format, ...)
{
	va_list arguments;

	printf("%s:%d: ", file, line);
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	search_print(false);
	fflush(stdout);
	_exit(1);
}
