/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * trail.h (F6) - from rejections and changes to events in the writer's ring.
 *
 * 1. On the message path: no system call, no lock, no allocation, no wait. A thread that finds the
 *    table of what is open busy for long writes an event of its own.
 * 2. Equal rejections of one second are one event. It stays open, and repeats are counted in it,
 *    until its second is over or the ring has gone half round since: an event that is nearly
 *    written over is worth more to a reader than its next repeat. A repeat that comes after that,
 *    in the same second, waits in the table: the key's next event stands for it too, which is that
 *    of its first rejection in the next second, or one that the agent writes then.
 * 3. Every rejection is in `written`, `coalesced` or `lost`, once; a killed thread's last one
 *    perhaps in none. What waits in the table of a killed broker is in no event, and all but one of
 *    a key are in `coalesced`.
 * 4. The table has ENTRIES places; a key may be in any of WINDOW places from its home on. Only if
 *    all of these belong to other keys of the same second, a rejection is an event of its own.
 *    Homes depend on a random number of the handle, so that nobody can choose keys that share one.
 * 5. The broker's agent closes events and wakes readers: when a second begins, and each
 *    20th of a second while anything was written lately.
 * 6. A broker has two rings: rejections by a limit go into one, cross-tenant attempts and deaths
 *    into the other.
 * 7. An administrator's event waits for followers that keep up and have not kept what it would
 *    write over: for ROOM_WAIT_NS at most, and not again for one that did not move in that time.
 *    Brokers' events never wait.
 */
#ifndef K2K_TRAIL_H
#define K2K_TRAIL_H

#include "clock.h"
#include "follower.h"
#include "rejection.h"
#include "ring.h"

struct k2k_trail_entry;

struct k2k_trail {
	const struct k2k_map *map; /* null: there is none */
	const struct k2k_clock *clock;
	struct k2k_liveness *liveness; /* an administrator's; null: waits for no follower */
	struct k2k_ring ring;          /* a broker's: of rejections */
	struct k2k_ring security;      /* a broker's */
	uint64_t pid, incarnation, comm[2];
	char actor[K2K_EVENT_ACTOR_BYTES];
	struct k2k_trail_entry *entries; /* a broker's */
	k2k_u64 *used;                   /* a bit an entry: it has a key */
	k2k_u32 open;                    /* how many of these */
	uint64_t seed;
	/* an administrator's: where a follower stood that it waited for in vain */
	uint64_t gave_up_at[K2K_FOLLOWERS];
	uint32_t told;     /* an administrator's: events since readers were woken */
	uint64_t woken_ns; /* when that was; as monotonic_ns of an event */
	/* the agent's */
	uint64_t turnover; /* as of its last look */
	uint32_t quiet;    /* looks since that found anything new */
};

struct k2k_trail_options {
	const struct k2k_map *map;
	const struct k2k_clock *clock;
	struct k2k_liveness *liveness; /* may be null */
	uint32_t ring;                 /* a broker's slot, or K2K_RING_ADMIN */
	uint64_t pid, incarnation;
	uint64_t comm[2]; /* a broker's */
	const char *actor;
	/* a broker's: with a table, and owner of the ring from now on */
	bool rejects;
};
/* 0 or K2K_ENOMEM. */
int k2k_trail_open(struct k2k_trail *trail, const struct k2k_trail_options *options);
/* No other thread uses it any more: closes what is open. */
void k2k_trail_close(struct k2k_trail *trail);

/* A broker's, while its mapping is kept (in a read section, say). */
void k2k_trail_reject(struct k2k_trail *trail, const struct k2k_rejection *rejection,
                      uint64_t second);
/*
 * Writes an event that is no rejection; fills in the times, who it is (not of a broker found dead),
 * and the actor.
 */
void k2k_trail_tell(struct k2k_trail *trail, struct k2k_event_body *body);
/*
 * The same of an administrator, who has the writer's lock. Wakes readers at once if they were not
 * woken within the last 50 ms, and after each 32 events; k2k_trail_wake, when the lock is given
 * back, wakes them for the rest.
 */
void k2k_trail_append_locked(struct k2k_trail *trail, struct k2k_event_body *body);
void k2k_trail_wake(struct k2k_trail *trail);
/* Does a follower keep up, with room for `events` of this administrator's? */
bool k2k_trail_is_kept(const struct k2k_trail *trail, uint64_t events);

/* Of one who has no handle: creates, or destroys. actor null: the process's comm. */
struct k2k_trail_writer {
	struct k2k_clock clock;
	struct k2k_trail trail;
};
int k2k_trail_writer_open(struct k2k_trail_writer *writer, const struct k2k_map *map,
                          const char *actor);

/* The agent's look. How long until the next, in ns; 0: when the next second begins. */
uint64_t k2k_trail_look(struct k2k_trail *trail);

#endif
