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

#include "sink.h"
#include "clock.h"
#include "delay.h"
#include "error.h"
#include "grace.h"
#include "lease.h"
#include "map.h"
#include "mend.h"
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
	atomic_fetch_sub_explicit(&reg->users, 1, memory_order_release);
}

/* ---- changes (change.c) ------------------------------------------------------ */

/*
 * Begins a change: the handle's mutex, the writer's lock, the gate, the name, what a
 * killed writer left. 0, to be ended with k2k_change_end(); or the error. In a batch of this thread
 * it has the locks already, and has looked at the name when it took them; they are kept at the end
 * of the change then.
 */
int k2k_change_begin(struct k2k_registry *reg, enum k2k_operation operation, uint64_t deadline_ns);
/* undo: the change failed half way. */
void k2k_change_end(struct k2k_registry *reg, bool undo);
/* Has this thread a batch on this handle? */
bool k2k_change_in_batch(const struct k2k_registry *reg);
/* Gives up the lock; the intent stays as it is. */
void k2k_change_leave(struct k2k_registry *reg);
/*
 * Before a close: this thread's batch is ended, another's is waited for, none begins any more.
 * K2K_EBUSY after the handle's timeout: nothing is changed.
 */
int k2k_batch_close(struct k2k_registry *reg);
/* K2K_EBUSY: names the broker in slot `behind`, for which `what` ("tenants", "budgets") wait. */
int k2k_held_up(struct k2k_registry *reg, uint32_t behind, const char *what);
uint64_t k2k_deadline(const struct k2k_registry *reg);
/*
 * Polls until the token has passed: 0; K2K_EBUSY, without a detail, and who is behind, after the
 * deadline; or what the gate says.
 */
int k2k_wait_passed(struct k2k_registry *reg, uint64_t token, uint64_t deadline_ns,
                    uint32_t *behind);

/* deaths.c: tells once of each broker that was found dead, and what came back. */
struct k2k_dead {
	uint32_t slot;
	uint64_t incarnation, pid, attached_at_ns, comm[2];
};
/* of a slot that its caller has just taken from a dead one, before it takes leases. */
void k2k_report_death(struct k2k_registry *reg, const struct k2k_dead *dead);
/* Of all slots. A broker's agent, or an administrator with the writer's lock. */
void k2k_report_deaths(struct k2k_registry *reg);

/* What recovery and reaping did, for repair. */
struct k2k_mended {
	uint64_t tenants, budgets, engagements, leases, brokers;
	struct k2k_mend_counts damage;
	/* repair: texts of the damage; null: a change, which mends what it walks over */
	struct k2k_look *look;
};
/*
 * recover.c: makes `live` walkable again (mend.h), and adds up what that took. Under the writer's
 * lock. token: the next one;
 * *stamped: it has to be published. 0, K2K_ENOMEM.
 */
int k2k_mend_live(struct k2k_registry *reg, uint64_t token, bool *stamped,
                  struct k2k_mended *mended);
/*
 * The same by itself, in a change that met damage: with a token of its own, and told. Nothing is
 * stamped and not published.
 */
int k2k_mend_now(struct k2k_registry *reg);
/* Tells in the audit trail what was recovered, and cut out. */
void k2k_tell_repair(struct k2k_registry *reg, const struct k2k_mended *mended);
/*
 * recover.c: completes or undoes what a killed writer left, frees what dead claimers left, rebuilds
 * the lists.
 */
int k2k_recover(struct k2k_registry *reg, struct k2k_mended *mended);
/* The part of it that killed brokers leave, and nobody else takes: claims of costs. */
int k2k_recover_claims(struct k2k_registry *reg, struct k2k_mended *mended);
/* reap.c: frees what was retired and has passed. */
int k2k_reap(struct k2k_registry *reg, struct k2k_mended *mended);
/* Registrations whose totals somebody asks for. done: their final totals were counted. */
struct k2k_final {
	uint32_t slot;
	uint64_t generation;
	struct k2k_tenant_totals *totals;
	bool done;
};
/*
 * The same, of those as well whose slots are pinned, by the caller; with their final totals. Their
 * token has passed.
 */
int k2k_reap_finals(struct k2k_registry *reg, struct k2k_final *finals, size_t count);
/* Their totals as counted so far: one sweep for all. */
int k2k_totals_of(struct k2k_registry *reg, const struct k2k_final *finals, size_t count);

/*
 * sweep.c: what killed creators and destroyers leave. All on the agent, but for the last two.
 * Counts in *removed if that is not null.
 */
void k2k_sweep(struct k2k_agent *agent, const char *name, uint64_t *removed);
/*
 * Finishes the destroy of a poisoned registry: K2K_ENOREGISTRY, the name is free; K2K_EFENCED, look
 * again.
 */
int k2k_sweep_poisoned(const char *name, struct k2k_segment *defs);
/*
 * Removes both names while they are still this object's: 0; K2K_EFENCED: they are not, or somebody
 * is writing.
 */
int k2k_sweep_ours(const char *name, struct k2k_segment *defs);
/* Of a poisoned registry, in a writer's turn. */
void k2k_sweep_poisoned_locked(const char *name, struct k2k_segment *defs);
int k2k_sweep_unlink(const char *name, struct k2k_segment *defs);

/*
 * visitor.c: an administrator without a handle, for as long as it takes to change one thing. On the
 * agent.
 */
struct k2k_visitor {
	struct k2k_map map; /* of defs alone */
	struct k2k_liveness admins;
	struct k2k_identity own;
	struct k2k_writer writer;
};
/*
 * Takes the writer's turn: 0, to be ended with k2k_visitor_leave(); or the error of
 * k2k_writer_lock().
 */
int k2k_visitor_enter(struct k2k_visitor *visitor, struct k2k_segment *defs, uint64_t deadline_ns);
void k2k_visitor_leave(struct k2k_visitor *visitor);

#endif
