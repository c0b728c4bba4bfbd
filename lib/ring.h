/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ring.h (F5) - the newest events of one writer's ring in shared memory: append, repeat, close,
 * read.
 *
 * Events have numbers: 1, 2, 3, ... Event n has its place at n modulo the ring's
 * length. Who appends, takes a number and then its place:
 *
 *   n = ++claimed                        reader of n
 *   sequence: what was there -> 2n - 1     since
 *   full fence                             given_up, full fence
 *   given_up >= n: back out                sequence == 2n: copy, sequence again
 *   words, count                           newer: n is gone
 *   sequence = 2n                          older, and given_up >= n: n never comes
 *   written++                              else: n may still come
 *
 * 1. Nobody waits. A place whose event is being written by a thread that lives is never written
 *    over: who meets it gives its own event up, says so in given_up, and counts it.
 * 2. Whom that is, tells `since`: an owner attaches when its predecessor is dead (broker.h), so
 *    what was begun up to the number claimed by then, nobody goes on with. In the administrators'
 *    ring each writer under the lock is a new owner.
 * 3. A reader gets all of an event or nothing, without writing: sequence is the word of a seqlock.
 * 4. An event is missing for a reader if and only if it can't be read later. Two that look at the
 *    same place, a reader that says "given up" and a late writer of an earlier number, are a Dekker
 *    pair: the writer takes the place, then looks at given_up; the reader looks at given_up, then
 *    at the place. So one of the two sees the other, and the writer backs out.
 * 5. A repeat is added to `count` while its low bits name the event that was meant and the top bit
 *    is not set (closed). Who saw it closed, saw the last number.
 *
 * append, killed after:     others see                              the next owner
 *   claimed                 a number that may come                  it never came (2)
 *   sequence odd            "                                       ", and writes over it
 *   words, count            "                                       "
 *   sequence even           the event; `written` lacks one          -
 *
 * Numbers, links and texts are in memory that others may have damaged: a number that can't be (of
 * another place, or above `claimed`) is as none. Model: tests/model/trail.pml.
 */
#ifndef K2K_RING_H
#define K2K_RING_H

#include "map.h"

struct k2k_ring {
	struct k2k_shm_ring *shared;
	struct k2k_shm_event *events;
	uint64_t mask;
	uint64_t since; /* the writer's: as it found `claimed` */
};

struct k2k_ring k2k_ring_of(const struct k2k_map *map, uint32_t index);

/* ---- its owner ------------------------------------------------------------ */

/* By who attached to the slot, or took the writer's lock: before its first append. */
void k2k_ring_own(struct k2k_ring *ring);
#define K2K_RING_COUNT_MAX ((UINT64_C(1) << K2K_EVENT_COUNT_BITS) - 1)

/*
 * The event's number; 0: given up, and counted as that. It stands for `count` equal ones, 1 to
 * K2K_RING_COUNT_MAX. open: repeats may be added until it is closed.
 */
uint64_t k2k_ring_append(const struct k2k_ring *ring, const struct k2k_event_body *body,
                         uint64_t count, bool open);
/* One more of event n. False: it is closed, full, or written over. */
bool k2k_ring_repeat(const struct k2k_ring *ring, uint64_t n, uint32_t kind);
/* Counts one that a later event will stand for. */
void k2k_ring_put_off(const struct k2k_ring *ring, uint32_t kind);
void k2k_ring_close(const struct k2k_ring *ring, uint64_t n);
/* A number that differs after anything was appended, or given up. */
uint64_t k2k_ring_turnover(const struct k2k_ring *ring);

/* ---- readers ---------------------------------------------------------------- */

enum k2k_event_state {
	K2K_EVENT_THERE = 1, /* and its count is final */
	K2K_EVENT_OPEN = 2,
	K2K_EVENT_PENDING = 3, /* may come */
	K2K_EVENT_MISSING = 4, /* written over, given up, or damaged */
};

struct k2k_event_copy {
	struct k2k_event_body body; /* copied, not checked */
	uint64_t count;
};

uint64_t k2k_ring_newest(const struct k2k_ring *ring);
/*
 * The same, if the places bear it out: one of them has had an event within one length of it. If
 * not, `claimed` is damaged (one who may write the ring can put any number there), and it is the
 * highest number that a place has had.
 */
uint64_t k2k_ring_newest_seen(const struct k2k_ring *ring, bool *damaged);
/* abandoned: the owner, asked after `newest`, which is at least n, was read, does not live. */
enum k2k_event_state k2k_ring_read(const struct k2k_ring *ring, uint64_t n, bool abandoned,
                                   struct k2k_event_copy *copy);

/* The count word of an event whose writer backed out: for check. */
uint64_t k2k_ring_backed_out(uint64_t n);

/* ---- sleeping ---------------------------------------------------------------- */

uint32_t k2k_ring_wake_word(const struct k2k_map *map);
void k2k_ring_wake(const struct k2k_map *map);
/* Wakes without a reason, and without a right to write. */
void k2k_ring_disturb(const struct k2k_map *map);
/* Until the word is not `seen` any more, it is disturbed, or the time is over. */
void k2k_ring_sleep(const struct k2k_map *map, uint32_t seen, uint64_t ns);

#endif
