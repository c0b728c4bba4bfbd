/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * trail.h (F6) - from rejections and changes to events in the writer's ring.
 *
 * 1. On the message path: no system call, no lock, no allocation, no wait. A thread that finds the table of what is open
 *    busy for long writes an event of its own.
 * 2. A rejection's event stays open until its second is over, until another takes its entry in the table, or until the
 *    ring has gone half round since: an event that is nearly written over is worth more to a reader than its next repeat.
 * 3. Every rejection is in `written`, `coalesced` or `lost`, once; a killed thread's last one perhaps in none.
 * 4. The broker's agent closes events and wakes readers: when a second begins, and each
 *    20th of a second while anything was written lately.
 */
#ifndef K2K_TRAIL_H
#define K2K_TRAIL_H

#include "clock.h"
#include "rejection.h"
#include "ring.h"

struct k2k_trail_entry;

struct k2k_trail {
	const struct k2k_map *map;       /* null: there is none */
	const struct k2k_clock *clock;
	struct k2k_ring ring;
	uint64_t pid, incarnation;
	char actor[K2K_EVENT_ACTOR_BYTES];
	struct k2k_trail_entry *entries; /* a broker's */
	k2k_u32 open;                    /* entries whose event may be open */
	bool told;                       /* an administrator's: readers are not awake yet */
	/* the agent's */
	uint64_t turnover;               /* as of its last look */
	uint32_t quiet;                  /* looks since that found anything new */
};

struct k2k_trail_options {
	const struct k2k_map *map;
	const struct k2k_clock *clock;
	uint32_t ring;
	uint64_t pid, incarnation;
	const char *actor;
	bool rejects;                    /* a broker's: with a table, and owner of the ring from now on */
};
/* 0 or K2K_ENOMEM. */
int k2k_trail_open(struct k2k_trail *trail, const struct k2k_trail_options *options);
/* No other thread uses it any more: closes what is open. */
void k2k_trail_close(struct k2k_trail *trail);

/* A broker's, while its mapping is kept (in a read section, say). */
void k2k_trail_reject(struct k2k_trail *trail, const struct k2k_rejection *rejection, uint64_t second);
/* Writes an event that is no rejection; fills in the times, who it is (not of a broker found dead), and the actor. */
void k2k_trail_tell(struct k2k_trail *trail, struct k2k_event_body *body);
/* The same of an administrator, who has the writer's lock; readers are woken by k2k_trail_wake, when it is given back. */
void k2k_trail_tell_locked(struct k2k_trail *trail, struct k2k_event_body *body);
void k2k_trail_wake(struct k2k_trail *trail);

/* Of one who has no handle: creates, or destroys. actor null: the process's comm. */
struct k2k_teller {
	struct k2k_clock clock;
	struct k2k_trail trail;
};
int k2k_teller_open(struct k2k_teller *teller, const struct k2k_map *map, const char *actor);

/* The agent's look. How long until the next, in ns; 0: when the next second begins. */
uint64_t k2k_trail_look(struct k2k_trail *trail);

#endif
