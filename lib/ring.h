/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ring.h (F5) - the newest events of one writer, in a ring in shared memory: append, repeat, close,
 * read.
 *
 * Events have numbers: 1, 2, 3, ... The place of event n is n modulo the ring's length. A thread
 * that appends takes a number, and then its place:
 *
 *   append of n                            reader of n
 *   n = ++claimed                          since
 *   sequence: what was there -> 2n - 1     given_up, full fence
 *   full fence                             sequence == 2n: copy, sequence again
 *   given_up >= n: back out                newer: n is overwritten
 *   words, count                           older, and given_up >= n: n never comes
 *   sequence = 2n                          else: n may still come
 *   written++
 *
 * 1. Nobody waits. A thread never overwrites a place whose event is being written by a living
 *    thread: it gives its own event up, says so in given_up, and counts it as lost.
 * 2. `since` marks abandoned events: an owner attaches only after its predecessor has died
 *    (broker.h), so nobody will finish an event up to that number. In the administrators' ring each
 *    holder of the writer's lock is a new owner.
 * 3. A reader gets all of an event or nothing, without writing: sequence is the word of a seqlock.
 * 4. A reader calls an event missing if and only if it can't be read later. A reader that finds n
 *    given up, and a late writer of an earlier number that takes the place, are a Dekker pair: the
 *    writer takes the place, then looks at given_up; the reader looks at given_up, then at the
 *    place. So one of the two sees the other; the writer that sees it backs out.
 * 5. A repeat is added to `count` only while its low bits name the event that was meant and the top
 *    bit (closed) is not set. Once it is closed, the number is final.
 *
 * append, killed after:     others see                              the next owner
 *   claimed                 a number that may come                  it never came (2)
 *   sequence odd            "                                       ", and overwrites it
 *   words, count            "                                       "
 *   sequence even           the event; `written` lacks one          -
 *
 * Other processes may have damaged these words: a number that is impossible (of another place, or
 * above `claimed`) counts as no number. Model: tests/model/trail.pml.
 */
#ifndef K2K_RING_H
#define K2K_RING_H

#include "map.h"

struct k2k_ring {
	struct k2k_shm_ring *shared;
	struct k2k_shm_event *events;
	uint64_t mask;
	uint64_t since; /* the writer's: `claimed` as it found it */
};

struct k2k_ring k2k_ring_of(const struct k2k_map *map, uint32_t index);

/* ---- its owner ------------------------------------------------------------ */

/* Called after attaching to the slot, or taking the writer's lock, before the first append. */
void k2k_ring_own(struct k2k_ring *ring);
#define K2K_RING_COUNT_MAX ((UINT64_C(1) << K2K_EVENT_COUNT_BITS) - 1)

/*
 * Returns the event's number, or 0 if it was given up and counted as lost. The event stands for
 * `count` equal rejections, 1 to K2K_RING_COUNT_MAX. open: repeats may be added until it is closed.
 */
uint64_t k2k_ring_append(const struct k2k_ring *ring, const struct k2k_event_body *body,
                         uint64_t count, bool open);
/* Adds one to event n. False: it is closed, full, or overwritten. */
bool k2k_ring_repeat(const struct k2k_ring *ring, uint64_t n, uint32_t kind);
/* Counts as coalesced a rejection that a later event will stand for. */
void k2k_ring_put_off(const struct k2k_ring *ring, uint32_t kind);
void k2k_ring_close(const struct k2k_ring *ring, uint64_t n);
/* A number that changes whenever an event is appended or given up. */
uint64_t k2k_ring_turnover(const struct k2k_ring *ring);

/* ---- readers ---------------------------------------------------------------- */

enum k2k_event_state {
	K2K_EVENT_THERE = 1, /* and its count is final */
	K2K_EVENT_OPEN = 2,
	K2K_EVENT_PENDING = 3, /* may still come */
	K2K_EVENT_MISSING = 4, /* overwritten, given up, or damaged */
};

struct k2k_event_copy {
	struct k2k_event_body body; /* copied, not checked */
	uint64_t count;
};

uint64_t k2k_ring_newest(const struct k2k_ring *ring);
/*
 * The same, but believed only if a place has had an event within one length of it. If none has,
 * `claimed` is damaged (any process that may write the ring can put any number there), and the
 * result is the highest number that a place has had.
 */
uint64_t k2k_ring_newest_seen(const struct k2k_ring *ring, bool *damaged);
/*
 * abandoned: the owner is dead. The caller has asked that after it read `newest`, which is at least
 * n.
 */
enum k2k_event_state k2k_ring_read(const struct k2k_ring *ring, uint64_t n, bool abandoned,
                                   struct k2k_event_copy *copy);

/* The count word of an event whose writer backed out: for check. */
uint64_t k2k_ring_backed_out(uint64_t n);

/* ---- sleeping ---------------------------------------------------------------- */

uint32_t k2k_ring_wake_word(const struct k2k_map *map);
void k2k_ring_wake(const struct k2k_map *map);
/* Wakes sleepers without news for them; needs no right to write. */
void k2k_ring_disturb(const struct k2k_map *map);
/* Sleeps until the word is no longer `seen`, k2k_ring_disturb() is called, or the time is over. */
void k2k_ring_sleep(const struct k2k_map *map, uint32_t seen, uint64_t ns);

#endif
