/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * handle.h (F7) - one process's view of one registry, in one role.
 *
 * The gate is one word of private memory that every call loads first. It lies in a page that is
 * zeroed in a forked child (MADV_WIPEONFORK). So one load and one test decide whether the handle is
 * open, not inherited over fork() and not fenced, and whether its role may make this call.
 *
 * Handles are never freed, only used again by a later open, so a call on a closed handle finds a
 * closed gate. If a caller keeps the pointer after close and opens again, both pointers may be to
 * one handle.
 */
#ifndef K2K_HANDLE_H
#define K2K_HANDLE_H

#include <pthread.h>

#include "clock.h"
#include "delay.h"
#include "error.h"
#include "follower.h"
#include "grace.h"
#include "lease.h"
#include "map.h"
#include "pool.h"
#include "reserved.h"
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

/* names.h */
struct k2k_name_table {
	uint32_t *places; /* tenant slot + 1; 0: empty */
	uint64_t mask, used;
};

struct k2k_registry {
	/* these five stay when the handle is used again: a call on a closed handle may read them */
	k2k_u32 *gate;
	/* serializes an administrator's changes and batches */
	pthread_mutex_t mutex;
	/* serializes the replacement of the sink; not `mutex`, because a sink may take leases */
	pthread_mutex_t sink_mutex;
	/* serializes a broker's changes of the directory of kernels; no sink is called under it */
	pthread_mutex_t kernel_mutex;
	struct k2k_registry *next_of_all;

	uint32_t role;           /* K2K_GATE_ADMIN, _BROKER or _OBSERVER */
	struct k2k_identity own; /* of this process, as of the open; for diagnostics */
	/* the thread that has the mutex and the writer's lock for a batch (change.c); 0: none */
	k2k_u64 batch_thread;
	struct k2k_map map;
	struct k2k_clock clock;
	const struct k2k_simulated_time *simulated; /* of a simulation, else null */
	k2k_u64 ledger_full_at;
	k2k_u64 kernels_full_at;
	/* when a sweep found nothing, and which brokers lived then; under kernel_mutex */
	uint64_t kernels_swept_ns, kernels_living;
	struct k2k_own_leases own_leases; /* BROKER */
	/* BROKER: its open reservations; under the lock of reservations (lease.h) */
	struct k2k_reserved reserved;
	/* BROKER: an acquire's copies of what the others hold, for each lock */
	struct k2k_holding *others;
	k2k_u64 watched_second; /* ADMIN, OBSERVER: when the name was last checked */

	struct k2k_agent agent; /* its table has the descriptors of defs and live, and the locks */
	struct k2k_segment defs, live;
	struct k2k_liveness liveness; /* of brokers */
	struct k2k_liveness admins;
	struct k2k_writer writer; /* ADMIN */
	struct k2k_grace grace;
	struct k2k_broker broker;
	struct k2k_follower follower; /* OBSERVER with K2K_OPEN_FOLLOWER */
	bool follows;
	struct k2k_helper helper; /* BROKER: answers grace periods */
	/* BROKER, on its agent: the second of its last tick */
	uint64_t ticked_second;
	struct k2k_passed passed;
	struct k2k_audit audit;
	/* BROKER, and ADMIN, which appends under the writer's lock only */
	struct k2k_trail trail;
	/* ADMIN: what the newest repair cut out; under the mutex */
	struct k2k_finding *cuts;
	size_t cut_count;
	struct k2k_name_table names; /* ADMIN: in a batch; under the mutex */
	k2k_u32 sleepers;            /* those of the users that are in k2k_audit_wait() */
	k2k_u32 idle_wakes;          /* of k2k_audit_wait(), in a row, without a new event */
	k2k_u32 users;               /* calls outside of read sections: close waits for them */
	char name[K2K_NAME_MAX + 1];
	uint64_t timeout_ns;
	uint64_t held_up_by; /* during an open: the pid of a destroyer */
	struct k2k_registry *next_closed;
};

/* The error of a gate that refuses a call. */
int k2k_gate_error(uint32_t gate) __attribute__((cold));
/* K2K_ENOMEM, after k2k_thread_get() returned null. */
int k2k_no_thread(void) __attribute__((cold));
/* From now on each call on the handle but close returns K2K_EFENCED. */
void k2k_handle_fence(struct k2k_registry *reg);
/* Fences the handle. K2K_EFENCED. */
int k2k_handle_destroyed(struct k2k_registry *reg) __attribute__((cold));
/* Once a second: fences the handle if its name is not this registry's any more. 0, K2K_EFENCED. */
int k2k_handle_watch(struct k2k_registry *reg);

/*
 * 0, or the gate's error. The answer holds inside a read section, or between k2k_hold() and
 * k2k_unhold(), because close waits for both.
 */
static inline int k2k_gate(const struct k2k_registry *reg, uint32_t roles)
{
	uint32_t gate = k2k_load_acquire(reg->gate); /* observe[gate]: the handle's fields */

	return k2k_likely(gate & roles) ? 0 : k2k_gate_error(gate);
}

/*
 * Begins a call that neither waits nor takes a mutex. 0: a read section has begun, which
 * k2k_read_unlock() ends. Else the error, and no section.
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
	/*
	 * relaxed: a call that sees the store late counts as one that came before it. A change asks
	 * under the writer's lock, where it finishes what a killed destroyer has left.
	 */
	if (roles != K2K_GATE_ADMIN && k2k_likely(!code) &&
	    k2k_unlikely(k2k_load_relaxed(&reg->map.defs->poisoned) == K2K_POISONED))
		code = k2k_handle_destroyed(reg);
	/* a broker's agent watches the name; in the other roles each call does */
	if (roles != K2K_GATE_BROKER && k2k_likely(!code) && reg->role != K2K_GATE_BROKER)
		code = k2k_handle_watch(reg);
	if (k2k_unlikely(code))
		k2k_read_unlock();
	return code;
}

/*
 * The fast path of k2k_enter() for a broker's message. True: a read section has begun, which
 * k2k_read_end() ends. False: use k2k_enter(), which finds out why.
 */
static inline bool k2k_enter_fast(struct k2k_registry *reg)
{
	struct k2k_thread *self = k2k_thread_self;

	if (k2k_unlikely(!reg || !self || !k2k_read_try_begin(self)))
		return false;
	K2K_DELAY(entered);
	/* observe[gate]: the handle's fields */
	if (k2k_likely(k2k_load_acquire(reg->gate) == K2K_GATE_BROKER))
		return true;
	k2k_read_end();
	return false;
}

/*
 * Begins a call that takes a mutex or waits. 0: k2k_unhold() ends it; else the error. A wait must
 * check the gate again and again, as k2k_wait_passed() does, so that close ends it.
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

/* When a call that begins now stops waiting, in ns of CLOCK_MONOTONIC. */
uint64_t k2k_deadline(const struct k2k_registry *reg);

#endif
