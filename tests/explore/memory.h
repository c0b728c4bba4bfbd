/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * memory.h - memory as C11's release/acquire model allows it to be seen; no logic of the search.
 *
 * The model is RC11 (Lahav, Vafeiadis, Kang, Hur, Dreyer: Repairing Sequential Consistency in
 * C/C++11, PLDI 2017), as an operational one with views (Kang, Hur, Lahav, Vafeiadis, Dreyer: A
 * Promising Semantics for Relaxed-Memory Concurrency, POPL 2017, without promises):
 *
 *  - Each location has its stores in one list, the modification order. A thread's view says for
 *    each location the newest store that it knows of: what happens before this moment, and what the
 *    thread has read. A load may return that store or any later one; a store may go to any place
 *    after that one. That is coherence.
 *  - A store carries a message: the view that a load gets which acquires. A release store's is the
 *    view of its thread; a relaxed one's the view at its thread's last release fence, joined with
 *    the message of its thread's last release store to the same location (the release sequence as
 *    C11 and RC11 have it). A read-modify-write passes on the message of the store that it reads.
 *  - A relaxed load keeps the message aside; an acquire fence adds what was kept to the view.
 *  - A read-modify-write reads a store that no other one has read, and goes right behind it.
 *  - A seq_cst fence joins the thread's view with one view that all such fences share, both ways.
 *    That is RC11's condition on seq_cst fences: with e1, F1 and F2, e2 in their threads' orders,
 *    and F1 before F2, e2 is not before e1 in coherence. There are no other seq_cst accesses in
 *    base.h.
 *
 * C11 wants stores to be seen in finite time: after MEMORY_STALE_READS loads of the same old store
 * a thread sees a newer one. So a loop that looks again and again ends.
 *
 * RC11 forbids cycles of program order and reads-from (load buffering), which C11 allows: so does
 * every execution of a program step by step, and so does each processor and compiler for code with
 * dependencies. A compiler that reorders two independent relaxed accesses is what this leaves out.
 */
#ifndef K2K_EXPLORE_MEMORY_H
#define K2K_EXPLORE_MEMORY_H

#include "explore.h"

#define MEMORY_LOCATIONS 2048
#define MEMORY_STORES 8192
/*
 * How often in a row a thread reads the same store of a location, if there are newer ones. It has
 * to be more than any code does that comes to an end: else the order of steps tells what it reads,
 * and the reduction leaves executions out. A program may have a bound of its own.
 */
#define MEMORY_STALE_READS 32

/*
 * The place of a store in its location's modification order; the first store is the initial value.
 */
struct memory_store {
	uint16_t location, position;
	bool read_by_rmw; /* what that has stored stands right behind it for ever */
	uint64_t value;
	uint64_t ident; /* thread and number of its step: the same store in any interleaving */
};

struct memory_location {
	uintptr_t address;
	size_t bytes;
	int process;    /* -1: it is shared by all */
	uint16_t count; /* stores in the list */
	uint16_t room;
	uint16_t *order; /* of store numbers */
	struct {
		uint16_t read; /* the store that it read last, and how often in a row */
		uint16_t reads;
		uint16_t release; /* its last release store, or 0 */
	} by_thread[EXPLORE_THREADS];
};

/* Begins an execution; puts back whatever the one before, its setup and its check have changed. */
void memory_begin(void);
uint64_t memory_peek(const volatile void *p, size_t bytes);
/* A store outside of threads, to be put back. */
void memory_poke(volatile void *p, size_t bytes, uint64_t value);

/*
 * The location's number in this execution. process: whose it is, if it is one that each process has
 * for itself: a static variable that is not EXPLORE_SHARED, and what explore_make_private() names.
 */
unsigned int memory_locate(const volatile void *p, size_t bytes, int process,
                           const struct explore_site *site);
extern struct memory_location memory_locations[MEMORY_LOCATIONS];
extern struct memory_store memory_stores[MEMORY_STORES];
extern unsigned int memory_store_count; /* a store that is made now gets this number */

/* The position of the newest store that the thread knows of: it may read this one or later ones. */
unsigned int memory_known(int thread, const struct memory_location *location);
/* Was it made when there were `since` stores, or later? An initial value was not; 0: any was. */
bool memory_is_newer(unsigned int store, unsigned int since);
/*
 * Has the thread read this store so often in a row, with newer ones there, that it sees one of
 * those?
 */
bool memory_is_worn(int thread, unsigned int store);
void memory_read(int thread, unsigned int store, enum explore_order order);

/*
 * The position of the choice-th place that a plain store may take, the last one first; 0: there are
 * not so many.
 */
unsigned int memory_place(int thread, unsigned int location, unsigned int choice);
/* A new store at this position: its number. */
unsigned int memory_insert(int thread, unsigned int location, unsigned int position, uint64_t value,
                           uint64_t ident);
/* Then its message. from: what a read-modify-write has read, or 0. */
void memory_publish(int thread, unsigned int store, unsigned int from, enum explore_order order);

void memory_fence(int thread, enum explore_order order);
/* As if the thread saw all that was ever stored. */
void memory_catch_up(int thread);

/* Of a thread's view; of all lists, and of the view that seq_cst fences share; of last values. */
uint64_t memory_hash_view(int thread);
uint64_t memory_hash(void);
uint64_t memory_hash_values(void);

static inline uint64_t memory_mix(uint64_t a, uint64_t b)
{
	return k2k_mix64(a + UINT64_C(0x9e3779b97f4a7c15) * (b + 1));
}

#endif
