/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * run.h - the execution that runs: its threads, and who chooses for them.
 */
#ifndef K2K_EXPLORE_RUN_H
#define K2K_EXPLORE_RUN_H

#include <ucontext.h>

#include "search.h"
#include "trace.h"

/* Actors: a thread's next step, the death of its process, its standing still. Bits of a set. */
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

static inline bool is_death(uint32_t actor)
{
	return actor >= DIE(0) && actor < STOP(0);
}

static inline bool is_stop(uint32_t actor)
{
	return actor >= STOP(0);
}

enum thread_state {
	THREAD_READY, /* stands in front of a step */
	THREAD_FINISHED,
	THREAD_DEAD,
	THREAD_STOPPED,
};

struct thread {
	ucontext_t context;
	enum thread_state state;
	struct step step;
	uint64_t stores_seen; /* of a yield: how many stores there were when it began */
	uint64_t caught_up;   /* how many there were, and one, when it was last shown all */
	bool woken;
	uint64_t history; /* hash of all that it has done and read */
	uint32_t events;
};

enum run_end {
	RUN_GOES_ON,
	RUN_ENDED,
	RUN_REDUNDANT,
	RUN_CUT,
};

extern struct run {
	struct explore_program *program;
	const struct search_options *options;
	struct search_figures *figures;
	struct thread threads[EXPLORE_THREADS];
	int count, current;                         /* current: -1 outside of the threads */
	int process[EXPLORE_THREADS];               /* of a thread */
	bool starting, several;                     /* several processes */
	struct k2k_thread *selves[EXPLORE_THREADS]; /* what lib/thread.h knows of a thread */
	uint64_t stores;                            /* made so far, and deaths */
	unsigned int deaths, stops;
	enum run_end how;
} run;

/* ---- threads.c ---------------------------------------------------------------------- */

/* Runs the threads until the execution is over: run.how. */
void run_threads(void);
/* Returns from run_threads(). */
void run_end(enum run_end how);
/* Stands in front of `step`, until it is this thread's turn. */
struct step *run_wait_for_turn(const struct step *step);
bool run_is_enabled(const struct thread *thread);
/* The step of the thread that runs is made. */
void run_done(const struct step *step);

static inline bool run_reads(const struct step *step)
{
	return step->kind == STEP_LOAD || step->kind == STEP_RMW || step->kind == STEP_CAS;
}

/* A compare-exchange that fails counts as well: in another place it would not have failed. */
static inline bool run_writes(const struct step *step)
{
	return step->kind == STEP_STORE || step->kind == STEP_RMW || step->kind == STEP_CAS;
}

static inline bool run_is_seq_cst(const struct step *step)
{
	return (step->kind == STEP_FENCE && step->order == EXPLORE_SEQ_CST) ||
	       step->kind == STEP_BARRIER;
}
/* The ordered accesses that have run: FILE:LINE, order, expression. */
void run_print_sites(void);
/* The name of the step that comes next, and what it has come to: for the history. */
uint64_t run_ident(void);
void run_remember(uint64_t what, uint64_t more);

/* ---- search.c ----------------------------------------------------------------------- */

/* 0: the execution ends here, because all that follows was seen already. */
uint32_t search_choose_actor(void);
/* One of n alternatives; of a step that reads: of these stores. */
unsigned int search_choose_value(const unsigned int *stores, unsigned int n);
/* The actor has made its step. */
void search_done(uint32_t actor, const struct step *step);

#endif
