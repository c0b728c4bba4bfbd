/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * trace.h - steps, the trace of an execution, and the string that replays it.
 *
 * The string has a letter for each step: a to d let thread 0 to 3 make its next step, A to D let
 * its process die, w to z let it stand still. A digit, or a number in brackets, is the alternative
 * that the step before took, if it had several. A number behind a star says how often the letter
 * comes.
 */
#ifndef K2K_EXPLORE_TRACE_H
#define K2K_EXPLORE_TRACE_H

#include "explore.h"

enum step_kind {
	STEP_LOAD,
	STEP_STORE,
	STEP_RMW,
	STEP_CAS,
	STEP_FENCE,
	STEP_ASK, /* does a process live? */
	STEP_YIELD,
	STEP_BARRIER, /* membarrier(2) */
	STEP_END,     /* of a thread that may die: until then */
};

struct step {
	enum step_kind kind;
	enum explore_order order; /* of a compare-exchange that fails: failure */
	enum explore_order failure;
	const volatile void *address;
	size_t size; /* 0: of no location */
	unsigned int location;
	struct explore_site *site;
	uint64_t read, value;  /* found, and stored; of a question: the thread, and the answer */
	unsigned int from, to; /* the store that was read, and that was made: memory.h; 0: none */
	unsigned int newer;    /* stores there that are newer than the one that was read */
	bool done;             /* a compare-exchange has stored */
};

/* As from the root of the sources. */
const char *trace_file(const struct explore_site *site);
const char *trace_order(enum explore_order order);

void trace_begin(void);
void trace_log_actor(uint32_t actor);
void trace_log_value(unsigned int value);
void trace_step(int thread, const struct step *step);
void trace_note(int thread, const char *what);
/* The execution so far, and the string. Not all: without loads that tell nothing. */
void trace_print(const char *program, bool all);

/* The next of a string; 0 at its end. */
uint32_t trace_replay_actor(const char **replay);
unsigned int trace_replay_value(const char **replay);

/* What explore_outcome() has said: of this execution, and of all. */
void outcome_begin(void);
void outcome_say(int thread, const char *text);
void outcome_end(void);
void outcome_forget(void);
/* Prints each with its count. True: they are those that the program names. */
bool outcome_compare(const struct explore_program *program, bool print);

#endif
