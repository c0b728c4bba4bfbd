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

#define MEMORY_LOCATIONS 1024
#define MEMORY_STORES 8192
/* How often in a row a thread reads the same store of a location, if there are newer ones. */
#define MEMORY_STALE_READS 8

/*
 * The place of a store in its location's modification order; the first store is the initial value.
 */
struct memory_store {
	uint16_t location;
	uint16_t position;
	uint16_t read_by_rmw; /* the store that stands right behind it for ever, or 0 */
	uint16_t message_count;
	uint64_t value;
	uint64_t ident; /* thread and number of its event: the same store in any interleaving */
	const uint16_t *message; /* by location, message_count of them; null: nothing */
};

struct memory_location {
	uintptr_t address;
	size_t bytes;
	int process;      /* -1: it is shared by all */
	const char *text; /* as the first access writes it */
	/* of all executions: threads that ever stored there */
	unsigned int writers;
	/* of this execution */
	bool used;
	uint64_t initial;
	uint16_t count; /* stores in the list */
	uint16_t room;
	uint16_t *order; /* of store numbers */
	uint64_t hash;   /* of the list */
};

/* Forgets all executions: for the next program. */
void memory_forget(void);
/*
 * Begins an execution; puts back the value of whatever the one before, and its setup, have changed.
 */
void memory_begin(void);
/* A store outside of threads, to be put back. */
void memory_store_alone(volatile void *p, size_t bytes, uint64_t value);
/* What was stored so far outside of threads stays. */
void memory_keep(void);
uint64_t memory_peek(const volatile void *p, size_t bytes);
/*
 * The location's number. process: whose it is, if it is one that each process has for itself: a
 * static variable that is not EXPLORE_SHARED, and what memory_make_private() names.
 */
unsigned int memory_locate(const volatile void *p, size_t bytes, int process, const char *text);
void memory_make_private(const void *p, size_t bytes);
struct memory_location *memory_location(unsigned int number);
const struct memory_store *memory_store_of(unsigned int store);
/* How many there are: a store that is made now gets this number. */
unsigned int memory_store_count(void);
/* Was it made when there were `since` stores, or later? An initial value was not. */
bool memory_is_newer(unsigned int store, unsigned int since);
/* Is there one of these that the thread may read? */
bool memory_has_newer(int thread, unsigned int location, unsigned int since);

/* How many stores a load, or the read of a read-modify-write, may choose from. */
unsigned int memory_candidates(int thread, unsigned int location);
/* The choice-th of them, the newest first: its number. */
unsigned int memory_candidate(int thread, unsigned int location, unsigned int choice);
/*
 * Has the thread read this store so often in a row, with newer ones there, that it sees one of
 * those?
 */
bool memory_is_worn(int thread, unsigned int store);
/* Reads that store. */
uint64_t memory_read(int thread, unsigned int store, enum explore_order order);

/* How many places a plain store may take. */
unsigned int memory_places(int thread, unsigned int location);
/* Takes the choice-th of them, the last first. The store's number. */
unsigned int memory_write(int thread, unsigned int location, unsigned int choice, uint64_t value,
                          enum explore_order order, uint64_t ident);
/* Of a read-modify-write that has read `from`. The store's number. */
unsigned int memory_write_behind(int thread, unsigned int from, uint64_t value,
                                 enum explore_order order, uint64_t ident);

/* A seq_cst fence answers a hash of the view that it leaves; others 0. */
uint64_t memory_fence(int thread, enum explore_order order);
/* As if the thread saw all that was ever stored. */
void memory_catch_up(int thread);

/* Of all lists, and of the view of seq_cst fences. */
uint64_t memory_hash(void);

static inline uint64_t memory_mix(uint64_t a, uint64_t b)
{
	return k2k_mix64(a + UINT64_C(0x9e3779b97f4a7c15) * (b + 1));
}

#endif
