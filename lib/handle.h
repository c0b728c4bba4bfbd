/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * handle.h (F7) - one process's view of one registry, in one role.
 *
 * The gate is one word of private memory that every call reads first, in a page
 * that a forked child finds zeroed (MADV_WIPEONFORK): so "is this handle open,
 * not inherited, not fenced, and may it do this?" is one load and one test.
 *
 * Handles are never freed, only used again by a later open: a call on a closed
 * handle finds a closed gate. (A caller who keeps a pointer over close and a
 * later open of his own has two names for one handle.)
 */
#ifndef K2K_HANDLE_H
#define K2K_HANDLE_H

#include <pthread.h>

#include "clock.h"
#include "delay.h"
#include "error.h"
#include "follower.h"
#include "grace.h"
#include "map.h"
#include "pool.h"
#include "sink.h"
#include "structs.h"
#include "trail.h"
#include "writer.h"

#define K2K_DEFAULT_TIMEOUT_NS (UINT64_C(5) * K2K_NS_PER_SEC)

enum {
	K2K_GATE_FORKED = 0,
	K2K_GATE_CLOSED = 1 << 0,
	K2K_GATE_FENCED = 1 << 1,
	K2K_GATE_ADMIN = 1 << 2,
	K2K_GATE_BROKER = 1 << 3,
	K2K_GATE_OBSERVER = 1 << 4,
	K2K_GATE_ANY = K2K_GATE_ADMIN | K2K_GATE_BROKER | K2K_GATE_OBSERVER,
};

struct k2k_registry {
	/*
	 * these live as long as the process: a call on a closed handle may look at them at any time
	 */
	k2k_u32 *gate;
	/* leases of a broker, changes or a batch of an administrator: one at a time a handle */
	pthread_mutex_t mutex;
	/* replacing the sink; apart, because a sink may take leases while it is replaced */
	pthread_mutex_t sink_mutex;
	struct k2k_registry *next_of_all;

	uint32_t role;           /* K2K_GATE_... of it */
	struct k2k_identity own; /* as it was at open; for people */
	/* who has the mutex and the writer's lock for a batch (change.c); 0: nobody */
	k2k_u64 batch_thread;
	struct k2k_map map;
	struct k2k_clock clock;
	k2k_u64 ledger_full_at;
	uint32_t kept_lease;    /* lease.h */
	k2k_u64 watched_second; /* ADMIN, OBSERVER: when the name was looked at last */

	struct k2k_agent agent; /* has the descriptors of defs and live, and the locks */
	struct k2k_segment defs, live;
	struct k2k_liveness liveness; /* of brokers */
	struct k2k_liveness admins;
	struct k2k_writer writer; /* of an administrator */
	struct k2k_grace grace;
	struct k2k_broker broker;
	struct k2k_follower follower; /* an OBSERVER's with K2K_OPEN_FOLLOWER */
	bool follows;
	struct k2k_helper helper; /* of a broker: answers grace periods */
	/* a broker's agent's: when it last did what is done once a second */
	uint64_t ticked_second;
	struct k2k_passed passed;
	struct k2k_audit audit;
	/* a broker's, an administrator's (who writes under the writer's lock only) */
	struct k2k_trail trail;
	/* ADMIN: what the newest repair cut out; under the mutex */
	struct k2k_finding *cuts;
	size_t cut_count;
	k2k_u32 sleepers;   /* of the users, those in k2k_audit_wait */
	k2k_u32 idle_wakes; /* of k2k_audit_wait, in a row, that brought nothing */
	/* calls that go on outside of read sections: close waits for them */
	k2k_u32 users;
	char name[K2K_NAME_MAX + 1];
	uint64_t timeout_ns;
	uint64_t held_up_by; /* while opening: a destroyer */
	struct k2k_registry *next_closed;
};

int k2k_gate_error(uint32_t gate) __attribute__((cold));
/* K2K_ENOMEM: k2k_thread_get() was null. */
int k2k_no_thread(void) __attribute__((cold));
void k2k_handle_fence(struct k2k_registry *reg);
int k2k_handle_watch(struct k2k_registry *reg);

/* The gate alone. Inside a read section, so that close can wait for the call. */
static inline int k2k_gate(const struct k2k_registry *reg, uint32_t roles)
{
	uint32_t gate = k2k_load_acquire(reg->gate); /* observe[gate]: the handle's fields */

	return k2k_likely(gate & roles) ? 0 : k2k_gate_error(gate);
}

/*
 * Begins a call that reads: 0 inside a read section, to be ended with k2k_read_unlock();
 * or the error, outside.
 */
static inline int k2k_enter(struct k2k_registry *reg, uint32_t roles)
{
	int code;

	if (k2k_unlikely(!reg))
		return k2k_fail_argument("registry", "null");
	if (k2k_unlikely(!k2k_thread_get()))
		return k2k_no_thread();
	k2k_read_lock();
	K2K_DELAY(entered);
	code = k2k_gate(reg, roles);
	/* a broker's agent looks at the name; others do it here, at most once a second */
	if (roles != K2K_GATE_BROKER && k2k_likely(!code) && reg->role != K2K_GATE_BROKER)
		code = k2k_handle_watch(reg);
	if (k2k_unlikely(code))
		k2k_read_unlock();
	return code;
}

/*
 * The same for a broker's message where nothing is unusual: true inside a read section. Else false,
 * nothing is known.
 */
static inline bool k2k_enter_fast(struct k2k_registry *reg)
{
	if (k2k_unlikely(!reg || !k2k_thread_self))
		return false;
	k2k_read_lock();
	K2K_DELAY(entered);
	/* observe[gate]: the handle's fields */
	if (k2k_likely(k2k_load_acquire(reg->gate) == K2K_GATE_BROKER))
		return true;
	k2k_read_unlock();
	return false;
}

/*
 * Begins a call that takes a mutex or waits: 0, to be ended with k2k_unhold(); or the error.
 * Waits must look at the gate in between (k2k_wait_passed), so that close need not wait for them.
 */
static inline int k2k_hold(struct k2k_registry *reg, uint32_t roles)
{
	int code = k2k_enter(reg, roles);

	if (code)
		return code;
	k2k_add_relaxed(&reg->users, 1); /* relaxed: inside the section that close waits for */
	k2k_read_unlock();
	return 0;
}

static inline void k2k_unhold(struct k2k_registry *reg)
{
	/* publish[handle-users]: all that the call did */
	k2k_sub_release(&reg->users, 1);
}

/* When a call that may wait gives up, if it begins now. CLOCK_MONOTONIC ns. */
uint64_t k2k_deadline(const struct k2k_registry *reg);

#endif
