/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * engine.h - what the explorer's own parts know of each other: steps, actors, and the execution
 * that runs.
 */
#ifndef K2K_EXPLORE_ENGINE_H
#define K2K_EXPLORE_ENGINE_H

#include "explore.h"

/* ---- steps ------------------------------------------------------------------------------ */

enum step_kind {
	STEP_LOAD,
	STEP_STORE,
	STEP_RMW,
	STEP_CAS,
	STEP_FENCE,
	STEP_BARRIER, /* membarrier(2) */
	STEP_ASK,     /* does a process live? */
	STEP_YIELD,
	STEP_END,  /* of a thread that may die: until then */
	STEP_DIE,  /* not the thread's own: its process dies */
	STEP_STOP, /* the same: it stands still for ever */
};

struct step {
	enum step_kind kind;
	enum explore_order order;
	enum explore_order failure; /* of a compare-exchange that fails */
	enum explore_rmw rmw;
	volatile void *address;
	volatile void *high;       /* of a pair: its second word, or null */
	size_t size;               /* 0: of no location */
	struct explore_site *site; /* null: a question of explore.h */
	int asked;                 /* of a question: the thread */
	/* stored: the operand of an addition until it is made; of a question: the answer */
	uint64_t value, high_value;
	uint64_t wanted, high_wanted; /* of a compare-exchange */
	/* when it is made: memory.h */
	unsigned int location, high_location;
	uint64_t read, high_read;
	unsigned int from, high_from; /* the store that was read; 0: none */
	unsigned int to, high_to;     /* the store that was made; 0: none */
	unsigned int newer;           /* stores there that are newer than the one that was read */
};

static inline bool step_reads(const struct step *step)
{
	return step->kind == STEP_LOAD || step->kind == STEP_RMW || step->kind == STEP_CAS;
}

/* A compare-exchange that fails counts as well: in another place it would not have failed. */
static inline bool step_writes(const struct step *step)
{
	return step->kind == STEP_STORE || step->kind == STEP_RMW || step->kind == STEP_CAS;
}

static inline bool step_is_seq_cst(const struct step *step)
{
	return (step->kind == STEP_FENCE && step->order == EXPLORE_SEQ_CST) ||
	       step->kind == STEP_BARRIER || step->kind == STEP_DIE;
}

/* ---- actors: a thread's next step, the death of its process, its standing still ---- */

#define RUN(thread) (1u << (thread))
#define DIE(thread) (1u << (8 + (thread)))
#define STOP(thread) (1u << (16 + (thread)))

static inline int actor_thread(uint32_t actor)
{
	return __builtin_ctz(actor) % 8;
}

static inline bool is_run(uint32_t actor)
{
	return actor < DIE(0);
}

static inline bool is_stop(uint32_t actor)
{
	return actor >= STOP(0);
}

/* ---- the execution that runs --------------------------------------------------------------- */

enum run_end {
	RUN_ENDED,
	RUN_REDUNDANT, /* given up, because all that could follow was seen already */
	RUN_CUT,       /* by the bound on steps */
};

struct thread {
	enum explore_end state; /* WAITING: it stands in front of `step` */
	struct step step;
	unsigned int steps;
	uint64_t changes_seen; /* of a yield: run.changes when it began */
	uint64_t caught_up;    /* run.changes, and one, when it was last shown all */
	bool woken;
	/* of --compare: hashes of all that it has done and read, and of the values that it read */
	uint64_t history, told;
};

extern struct run {
	/* of all executions */
	struct explore_program *program;
	const char *weaken;   /* FILE:LINE=relaxed, =acquire or =release; or null */
	bool weakened;        /* it has run */
	bool naive;           /* without the reduction */
	bool compare;         /* counts the executions and outcomes that differ */
	bool all_stores;      /* also those whose value an older one has: steps.c */
	unsigned int variant; /* of a program that has several */
	/* of this one */
	struct thread threads[EXPLORE_THREADS];
	int count, current;                         /* current: -1 outside of the threads */
	int process[EXPLORE_THREADS];               /* of a thread: its first thread */
	bool starting, several;                     /* several processes */
	struct k2k_thread *selves[EXPLORE_THREADS]; /* what lib/thread.h knows of a thread */
	uint64_t changes;                           /* stores and deaths */
	unsigned int deaths, stops;
	enum run_end how;
} run;

static inline bool run_is_same_process(int a, int b)
{
	return run.process[a] == run.process[b];
}

/* Prints to standard error, and ends the program: exit status 2. */
void run_refuse(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* ---- threads.c ---- */

/* Runs the threads until the execution is over: run.how. */
void run_threads(void);
/* Returns from run_threads(). */
void run_end(enum run_end how);
/* Stands in front of `step`, until it is this thread's turn. */
struct step *run_wait_for_turn(const struct step *step);
bool run_is_enabled(const struct thread *thread);

/* ---- steps.c ---- */

#define RUN_CANDIDATES 512
/* The stores that the step may read, the newest first: of those that are newer than `since`. */
unsigned int run_candidates(int thread, const struct step *step, unsigned int since,
                            unsigned int found[RUN_CANDIDATES]);

/* ---- search.c ---- */

struct figures {
	uint64_t executions, redundant, cut; /* ended, and given up: enum run_end */
	uint64_t distinct, outcomes;         /* run.compare: of those that ended */
	uint64_t steps;
	double seconds; /* of the processor */
};

/* In every way. replay: one execution, by the string that search_print() has printed. */
void search(struct explore_program *program, const char *replay, struct figures *figures);
/* The execution so far, and its string. Not all: without loads that tell nothing. */
void search_print(bool all);
/* 0: the execution ends here, because all that follows was seen already. */
uint32_t search_choose_actor(void);
/* One of n alternatives of the step that is made now; if it reads, of these stores. */
unsigned int search_choose_value(const unsigned int *stores, unsigned int n);
/* The actor has made its step. */
void search_done(uint32_t actor);

/* ---- trace.c ---- */

/* As from the root of the sources. */
const char *trace_file(const struct explore_site *site);
/* Notes that the access has run, and takes from its step what --weaken says. */
void trace_site(struct step *step);
/* The ordered accesses that have run: FILE:LINE, order, expression. */
void trace_print_sites(void);
void trace_print_step(unsigned int number, int thread, const struct step *step);

/* What explore_outcome() has said of this execution: begin, and compare with what is foreseen. */
void outcome_begin(void);
void outcome_end(void);
/* After all executions: false, and prints them, if some that are foreseen never came. */
bool outcome_all_came(void);

#endif
