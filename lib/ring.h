/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ring.h (F5) - a ring in shared memory that holds the newest events of one owner: append an event,
 * add a repeat to it, close it, read it.
 *
 * Events have numbers: 1, 2, 3, ... The place of event n is n modulo the ring's length. A thread
 * that appends takes first a number, and then that number's place:
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
 * 1. Nobody waits. A thread never overwrites a place in which a living thread writes an event: it
 *    gives up its own event, stores that number in given_up, and counts the event as lost.
 * 2. `since` marks abandoned events: an owner attaches only after its predecessor has died or
 *    detached (broker.h), so nobody will finish an event up to that number. Each writer becomes the
 *    owner of the administrators' ring when its turn begins.
 * 3. A reader copies a whole event or nothing, and stores nothing: sequence works like that of a
 *    seqlock.
 * 4. A reader reports an event as missing if and only if nobody can read it later. A reader that
 *    finds n given up and a late writer of an earlier number, which takes the place, are a Dekker
 *    pair: the writer takes the place, then loads given_up; the reader loads given_up, then the
 *    place. So at least one of them sees the other's store. A writer that sees a later number given
 *    up backs out.
 * 5. A repeat is added to `count` only while that word contains the low bits of the number of the
 *    event that is meant, and its top bit (closed) is not set. After that bit is set, the count is
 *    final.
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
	uint64_t since; /* for the owner only: the value of `claimed` when it became the owner */
};

/*
 * Rings have numbers (layout.h), but a registry with fewer than 64 broker slots has no rings of
 * some numbers: `index` counts those that it has.
 */
static inline uint32_t k2k_ring_missing(const struct k2k_map *map)
{
	return map->sizes.slots < K2K_SLOTS_DEFAULT ? K2K_SLOTS_DEFAULT - map->sizes.slots : 0;
}

static inline uint32_t k2k_ring_number(const struct k2k_map *map, uint32_t index)
{
	return index < map->sizes.slots ? index : index + k2k_ring_missing(map);
}

static inline uint32_t k2k_ring_index(const struct k2k_map *map, uint32_t number)
{
	return number < map->sizes.slots ? number : number - k2k_ring_missing(map);
}

/* The broker slot of a ring that is not the administrators'. */
static inline uint32_t k2k_ring_slot(uint32_t number)
{
	return number >= K2K_RINGS_LOW   ? K2K_SLOTS_DEFAULT + (number - K2K_RINGS_LOW) / 2
	       : number > K2K_RING_ADMIN ? number - K2K_RING_SECURITY(0)
	                                 : number;
}

static inline bool k2k_ring_is_security(uint32_t number)
{
	return number >= K2K_RINGS_LOW ? (number - K2K_RINGS_LOW) % 2 : number > K2K_RING_ADMIN;
}

/* The ring of this number, which the registry must have. */
struct k2k_ring k2k_ring_of(const struct k2k_map *map, uint32_t number);

/* ---- its owner ------------------------------------------------------------ */

/* Makes this process the owner. Called after it has attached or begun a turn, before it appends. */
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
/* Counts a rejection as coalesced that a later event will include in its count. */
void k2k_ring_put_off(const struct k2k_ring *ring, uint32_t kind);
/* Makes the count of event n final. */
void k2k_ring_close(const struct k2k_ring *ring, uint64_t n);
/* A number that changes whenever an event is appended or given up. */
uint64_t k2k_ring_turnover(const struct k2k_ring *ring);

/* A greater number of missing events is damage: they take a year at ten million a second. */
#define K2K_EVENTS_MISSING_MOST (UINT64_C(1) << 48)

/* ---- readers ---------------------------------------------------------------- */

enum k2k_event_state {
	K2K_EVENT_THERE = 1,   /* copied, and its count is final */
	K2K_EVENT_OPEN = 2,    /* copied, but its count may still grow */
	K2K_EVENT_PENDING = 3, /* may still come */
	K2K_EVENT_MISSING = 4, /* overwritten, given up, or damaged */
};

struct k2k_event_copy {
	struct k2k_event_body body; /* copied, not checked */
	uint64_t count;
};

/* The number of the newest event that was begun. */
uint64_t k2k_ring_newest(const struct k2k_ring *ring);
/*
 * The same, but it checks the number: some place must have had an event that is older by no more
 * than the ring's length. If none has, `claimed` is damaged (any process that may write the ring
 * can store any number there), and the result is the highest number that a place has had.
 */
uint64_t k2k_ring_newest_seen(const struct k2k_ring *ring, bool *damaged);
/*
 * Reads event n, which must not be above the caller's k2k_ring_newest(). abandoned: the owner is
 * dead; the caller must have asked for that after it called k2k_ring_newest().
 */
enum k2k_event_state k2k_ring_read(const struct k2k_ring *ring, uint64_t n, bool abandoned,
                                   struct k2k_event_copy *copy);

/* The count word of an event whose writer backed out. Used by the check of the registry. */
uint64_t k2k_ring_backed_out(uint64_t n);

/* ---- sleeping ---------------------------------------------------------------- */

uint32_t k2k_ring_wake_word(const struct k2k_map *map);
void k2k_ring_wake(const struct k2k_map *map);
/* Wakes sleepers although there is nothing new. A read-only mapping is enough for it. */
void k2k_ring_disturb(const struct k2k_map *map);
/* Sleeps while the word is `seen`, until k2k_ring_disturb() is called or `ns` have passed. */
void k2k_ring_sleep(const struct k2k_map *map, uint32_t seen, uint64_t ns);

#endif
