/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * trail.h (F6) - turns rejections and changes into events in the writer's ring.
 *
 * 1. The message path makes no system call, takes no lock, allocates nothing and waits for nobody.
 *    A thread that finds the table of open events busy for long writes an event of its own.
 * 2. Equal rejections of one second are one event. The event stays open, and repeats are counted in
 *    it, until its second is over, or until half of the ring has been written since: it must be
 *    closed early enough that a reader can take it before it is overwritten. A repeat that comes
 *    later in the same second waits in the table: it is counted in the next event of its key. That
 *    is the event of the key's first rejection in the next second, or one that the agent writes
 *    then.
 * 3. Every rejection is counted once, in `written`, `coalesced` or `lost`; only the last one of a
 *    killed thread may be in none. Repeats that wait in the table of a killed broker are in no
 *    event; all but one of each key are in `coalesced`.
 * 4. The table has ENTRIES places; a key may be in any of WINDOW places from its home on. If all of
 *    these belong to other keys of the same second, a rejection becomes an event of its own. Homes
 *    depend on a random number of the handle, so that nobody can choose keys that share one.
 * 5. The broker's agent closes events and wakes readers: when a second begins, and every 50 ms
 *    for two seconds after anything was written.
 * 6. A broker has two rings: one for rejections by a limit and for alerts, one for cross-tenant
 *    attempts and deaths.
 * 7. An administrator's event waits if it would overwrite an event that a follower that keeps up
 *    has not kept yet. It waits for ROOM_WAIT_NS at most, and not again for a follower that did not
 *    move in that time. Brokers' events never wait.
 */
#ifndef K2K_TRAIL_H
#define K2K_TRAIL_H

#include "clock.h"
#include "follower.h"
#include "rejection.h"
#include "ring.h"

struct k2k_trail_entry;

#define K2K_TRAIL_SEEDS 4

struct k2k_trail {
	const struct k2k_map *map; /* null: no trail */
	const struct k2k_clock *clock;
	struct k2k_liveness *liveness; /* an administrator's; null: it waits for no follower */
	struct k2k_ring ring;          /* a broker's: of rejections by a limit */
	struct k2k_ring security;      /* a broker's */
	uint64_t pid, incarnation, comm[2];
	char actor[K2K_EVENT_ACTOR_BYTES];
	struct k2k_trail_entry *entries; /* a broker's table */
	k2k_u64 *used;                   /* a bit for each entry: it has a key */
	k2k_u32 open;                    /* how many bits are set */
	uint64_t seeds[K2K_TRAIL_SEEDS]; /* of the places in the table */
	/* an administrator's, by follower: the follower's position when a wait for it timed out */
	uint64_t gave_up_at[K2K_FOLLOWERS];
	uint32_t unannounced; /* an administrator's: events since it woke readers */
	uint64_t woken_ns;    /* when it last woke them, on the clock of monotonic_ns of events */
	/* the agent's */
	uint64_t turnover; /* as of its last look */
	uint32_t quiet;    /* looks in a row that found nothing new */
};

struct k2k_trail_options {
	const struct k2k_map *map;
	const struct k2k_clock *clock;
	struct k2k_liveness *liveness; /* may be null */
	uint32_t ring;                 /* K2K_RING_REJECTIONS(slot), or K2K_RING_ADMIN */
	uint64_t pid, incarnation;
	uint64_t comm[2]; /* a broker's */
	const char *actor;
	/* set by a broker: the trail makes a table, and owns the rings from now on */
	bool rejects;
};
/* 0 or K2K_ENOMEM. */
int k2k_trail_open(struct k2k_trail *trail, const struct k2k_trail_options *options);
/* Closes open events. No other thread may use the trail any more. */
void k2k_trail_close(struct k2k_trail *trail);

/* Reports a rejection. Only a broker calls it, in a read section, so that the mapping stays. */
void k2k_trail_reject(struct k2k_trail *trail, const struct k2k_rejection *rejection,
                      uint64_t second);
/*
 * Appends an event that is no rejection. Fills in the times, the actor, and pid and incarnation of
 * the writer (except of BROKER_DEAD, which names the dead).
 */
void k2k_trail_append(struct k2k_trail *trail, struct k2k_event_body *body);
/*
 * The same for an administrator that holds the writer's lock. Wakes readers at once if it has not
 * done so within the last 50 ms, and after every 32 events. k2k_trail_wake(), called when the lock
 * is released, wakes them for the rest.
 */
void k2k_trail_append_locked(struct k2k_trail *trail, struct k2k_event_body *body);
void k2k_trail_wake(struct k2k_trail *trail);

/*
 * A REGISTER or an UPDATE that names a tenant has the name in four words that its kind does not
 * use otherwise.
 */
bool k2k_event_has_name(const struct k2k_event_body *body);
void k2k_event_set_name(struct k2k_event_body *body, const uint64_t name[K2K_NAME_WORDS]);
void k2k_event_get_name(const struct k2k_event_body *body, char name[K2K_NAME_WORDS * 8]);

/* Does a follower keep up, and is there room for `events` more of this administrator's? */
bool k2k_trail_is_kept(const struct k2k_trail *trail, uint64_t events);

/* The trail of create and destroy, which have no handle. If actor is null, it is the comm. */
struct k2k_trail_writer {
	struct k2k_clock clock;
	struct k2k_trail trail;
};
int k2k_trail_writer_open(struct k2k_trail_writer *writer, const struct k2k_map *map,
                          const char *actor);

/* The agent's look. Returns the ns until the next look; 0: look when the next second begins. */
uint64_t k2k_trail_look(struct k2k_trail *trail);

#endif
