/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * k2k/audit_trail.h - the part of <k2k/registry.h> that reads the audit trail. Include that one.
 */
#ifndef K2K_AUDIT_TRAIL_H
#define K2K_AUDIT_TRAIL_H

#ifndef K2K_REGISTRY_H
#error "include <k2k/registry.h>"
#endif

/* ---- the audit trail ------------------------------------------------------ *
 *
 * Rings in shared memory, two for each broker slot and one for the
 * administrators, keep the newest events of every process: written without a
 * lock or a system call, also where no process listens, and readable after
 * their writer's death. The oldest is written over. The sink above is apart
 * from it, and gets what it gets.
 *
 * 1. A repeat of a rejection (same kind, tenants, tag and names) by the same
 *    broker in the same second is counted in the event of the first: exactly.
 *    Such an event is open until its second is over, or until the ring has gone
 *    half round; repeats after that are counted in the next event of its kind,
 *    which comes in the next second. Names are compared as far as events keep them.
 * 2. Within a ring events have sequence numbers: 1, 2, 3, ... What a reader
 *    misses, because it was written over or never completed, it is told in
 *    numbers (K2K_AUDIT_LOST).
 * 3. A broker killed while it writes costs at most that event.
 * 4. k2k_quota_check is a peek and leaves no event.
 * 5. Who keeps events opens with K2K_OPEN_FOLLOWER, and says with k2k_audit_kept how far
 *    it has kept them. An administrator's event waits for it for up to two seconds
 *    rather than write over what it has not kept; brokers never wait.
 */
/*
 * One a broker slot for rejections by a limit, the administrators', and one a broker slot for what
 * concerns security (cross-tenant attempts, brokers found dead): so no number of rejections writes
 * over that.
 */
#define K2K_AUDIT_RINGS 129
#define K2K_AUDIT_RING_ADMIN 64
#define K2K_AUDIT_RING_SECURITY 65   /* that of broker slot 0 */
#define K2K_AUDIT_KINDS 16           /* k2k_audit_stats: kinds in the arrays of version 0.1 */
#define K2K_AUDIT_KINDS_MAX 64       /* every kind, also of later versions, is below it */
#define K2K_AUDIT_VALUES 10
/* bytes of a kernel's name that an event keeps; what is cut is marked */
#define K2K_AUDIT_NAME_MAX 67

enum k2k_audit_kind {
	K2K_AUDIT_KIND_CROSS_TENANT   = 1,   /* Security, SecurityViolation, by "k2k_broker" */
	/* Warning, ResourceLimitExceeded, by "k2k_tenant_registry", as the next three */
	K2K_AUDIT_KIND_RATE           = 2,
	K2K_AUDIT_KIND_BUDGET         = 3,
	K2K_AUDIT_KIND_KERNELS        = 4,
	K2K_AUDIT_KIND_GPU_MEMORY     = 5,
	/* Warning, AuthorizationCheck, by "k2k_tenant_registry" */
	K2K_AUDIT_KIND_UNKNOWN_TENANT = 6,
	/*
	 * The others: ConfigurationChange, by the program's name; Info, but Warning for BROKER_DEAD.
	 */
	K2K_AUDIT_KIND_REGISTER       = 7,
	K2K_AUDIT_KIND_UPDATE         = 8,
	K2K_AUDIT_KIND_DEREGISTER     = 9,
	/* tag.engagement_id; limit: the budget, or K2K_UNLIMITED if it was removed */
	K2K_AUDIT_KIND_BUDGET_CHANGE  = 10,
	/* pid and incarnation of the dead broker; source: its comm */
	K2K_AUDIT_KIND_BROKER_DEAD    = 11,
	K2K_AUDIT_KIND_CREATED        = 12,
	K2K_AUDIT_KIND_DESTROYED      = 13,
	K2K_AUDIT_KIND_REPAIR         = 14,
	/* follows a DEREGISTER whose caller waited for the totals */
	K2K_AUDIT_KIND_FINAL_TOTALS   = 15,
};

/* What record.values has, by kind. Of a kind without an enum here all values are 0. */
enum {   /* REGISTER, UPDATE: the limits; of an UPDATE only those that MASK names, else 0 */
	K2K_AUDIT_REGISTER_RATE            = 0,   /* messages a second */
	K2K_AUDIT_REGISTER_GPU_MEMORY      = 1,   /* bytes */
	K2K_AUDIT_REGISTER_KERNELS         = 2,
	K2K_AUDIT_REGISTER_BUDGETS         = 3,   /* how many; a BUDGET_CHANGE follows for each */
	K2K_AUDIT_REGISTER_MASK            = 4,   /* K2K_UPDATE_... */
};
enum {   /* DEREGISTER: as counted then; FINAL_TOTALS */
	K2K_AUDIT_TOTALS_ADMITTED          = 0,   /* messages, as the next four */
	K2K_AUDIT_TOTALS_REJECTED_RATE     = 1,
	K2K_AUDIT_TOTALS_REJECTED_BUDGET   = 2,
	K2K_AUDIT_TOTALS_REJECTED_KERNELS  = 3,
	K2K_AUDIT_TOTALS_REJECTED_MEMORY   = 4,
	K2K_AUDIT_TOTALS_GPU_NS            = 5,   /* final; 0 in a DEREGISTER, as the last two */
	K2K_AUDIT_TOTALS_UNATTRIBUTED_NS   = 6,
	K2K_AUDIT_TOTALS_KERNELS           = 7,   /* leases that ended with the registration */
	K2K_AUDIT_TOTALS_GPU_MEMORY        = 8,   /* bytes of such leases */
};
enum {   /* BROKER_DEAD: what came back */
	K2K_AUDIT_DEAD_SLOT                = 0,
	K2K_AUDIT_DEAD_KERNELS             = 1,
	K2K_AUDIT_DEAD_GPU_MEMORY          = 2,   /* bytes */
	K2K_AUDIT_DEAD_LEASES              = 3,   /* records that held them */
	K2K_AUDIT_DEAD_ATTACHED_AT_NS      = 4,   /* since 1970 */
};
enum {   /* CREATED */
	K2K_AUDIT_CREATED_MAX_TENANTS      = 0,
	K2K_AUDIT_CREATED_MAX_ENGAGEMENTS  = 1,
	K2K_AUDIT_CREATED_MAX_LEASES       = 2,
	K2K_AUDIT_CREATED_MAX_BUDGETS      = 3,
	K2K_AUDIT_CREATED_MAX_EVENTS       = 4,
	K2K_AUDIT_CREATED_MODE             = 5,   /* access rights of live */
};
enum {   /* DESTROYED */
	K2K_AUDIT_DESTROYED_FLAGS          = 0,   /* K2K_DESTROY_... */
	K2K_AUDIT_DESTROYED_BROKERS        = 1,   /* that were attached */
};
enum {   /* REPAIR, also of damage that another change met: the numbers of k2k_repair_info */
	K2K_AUDIT_REPAIR_TENANTS           = 0,
	K2K_AUDIT_REPAIR_BUDGETS           = 1,
	K2K_AUDIT_REPAIR_ENGAGEMENTS       = 2,
	K2K_AUDIT_REPAIR_LEASES            = 3,
	K2K_AUDIT_REPAIR_BROKERS           = 4,
	K2K_AUDIT_REPAIR_DAMAGED           = 5,
	K2K_AUDIT_REPAIR_CUT_LEASES        = 6,
	K2K_AUDIT_REPAIR_CUT_GPU_NS        = 7,
	K2K_AUDIT_REPAIR_UNATTRIBUTED_NS   = 8,
};

/* "cross_tenant", "rate", ..., "final_totals"; for others "unknown". Never null. Any context. */
K2K_API const char *k2k_audit_kind_name(uint32_t kind);
/* of an unknown kind: Info, ConfigurationChange */
K2K_API enum k2k_audit_level k2k_audit_kind_level(uint32_t kind);
K2K_API enum k2k_audit_type k2k_audit_kind_type(uint32_t kind);

/* In a record's flags. */
enum {
	/* the count may still rise: only with K2K_AUDIT_OPEN_TOO */
	K2K_AUDIT_OPEN            = 1 << 0,
	/* no event: `count` numbers from `sequence` on are missing; kind 0 */
	K2K_AUDIT_LOST            = 1 << 1,
	K2K_AUDIT_CUT_SOURCE      = 1 << 2,
	K2K_AUDIT_CUT_DESTINATION = 1 << 3,
	/* with LOST: somebody has damaged the ring; count 0: it can't be read until that ends */
	K2K_AUDIT_DAMAGED         = 1 << 4,
};

struct k2k_audit_record {
	uint32_t size, flags;
	/* the writer's broker slot, K2K_AUDIT_RING_ADMIN, or K2K_AUDIT_RING_SECURITY + slot */
	uint32_t ring;
	uint32_t kind;               /* enum k2k_audit_kind */
	enum k2k_audit_level level;
	enum k2k_audit_type type;
	int32_t code;                /* the rejection's K2K_E... code; 0 for others */
	uint32_t reserved;
	uint64_t sequence;           /* in its ring */
	/* since 1970; of the first of `count`, as are used and limit */
	uint64_t time_ns;
	uint64_t monotonic_ns;       /* CLOCK_MONOTONIC of the initial time namespace */
	/* how many equal rejections this event stands for; 1 for others */
	uint64_t count;
	k2k_tenant_id tenant, to;    /* to: of a cross-tenant attempt */
	uint64_t generation;         /* of a change; 0 for others */
	struct k2k_audit_tag tag;
	uint64_t used, limit;
	uint64_t pid;                /* who wrote it */
	uint64_t incarnation;        /* of the broker; 0 for administrators */
	uint64_t values[K2K_AUDIT_VALUES];       /* by kind: K2K_AUDIT_REGISTER_RATE, ... */
	char actor[64];
	char source[72], destination[72];        /* kernels of a cross-tenant attempt */
	/* the broker's: of a rejection, and of one found dead; else "" */
	char comm[16];
};

/*
 * Where a reader stands. Begin with K2K_AUDIT_CURSOR_INIT; next may be kept and used again with the
 * same registry (its uuid).
 */
struct k2k_audit_cursor {
	uint32_t size, flags;
	uint32_t wake, waiting;      /* the library's: what k2k_audit_wait waits for */
	/* sequence to read next; 0: from the oldest that is there */
	uint64_t next[K2K_AUDIT_RINGS];
	uint64_t damaged[3];         /* the library's: a bit a ring whose damage was told */
};
#define K2K_AUDIT_CURSOR_INIT { sizeof(struct k2k_audit_cursor), 0, 0, 0, { 0 }, { 0 } }

/* Flags of k2k_audit_read. */
enum {
	/*
	 * also what is still open or being written: a snapshot; a follower would see it half
	 * counted
	 */
	K2K_AUDIT_OPEN_TOO = 1 << 0,
	/*
	 * The cursor is known to be of this registry: a ring that has not come so far is damaged.
	 * That is a record (K2K_AUDIT_DAMAGED), once, and costs that ring's events; without the
	 * flag it is EINVAL, for a foreign cursor.
	 */
	K2K_AUDIT_DAMAGED_TOO = 1 << 1,
};

/*
 * Takes up to `capacity` events that are after the cursor, and moves it past them. What
 * is there is merged by monotonic_ns; within a ring by sequence. Without
 * K2K_AUDIT_OPEN_TOO a ring's events wait for the oldest that is open: at most a
 * second longer than its second, while its broker runs. *count 0: nothing new.
 * Texts are valid UTF-8 without control characters. Any role.
 * Returns: EFENCED only once nothing is left to take: the last events of a
 *   destroyed registry can be read through handles that were open.
 * Context: reads only; asks the kernel whether a broker lives where an event of its is unfinished.
 */
K2K_API int k2k_audit_read(struct k2k_registry *reg, struct k2k_audit_cursor *cursor, uint32_t flags,
                           struct k2k_audit_record *records, size_t capacity, size_t *count);

/*
 * Sleeps, also where the thread is cancelled, until there may be something that k2k_audit_read with
 * this cursor did not find, or for timeout_ns (UINT64_MAX: no limit). 0 in both cases. Any role.
 * Returns: EFENCED; EINVAL where another thread closes the handle. Brokers wake sleepers within a
 * twentieth of a second after an event is complete, where there were events lately, else when the
 * next second begins; administrators at once, and in a batch each 50 ms or 32 events. What a broker
 * wrote last before it was killed is seen within a second.
 */
K2K_API int k2k_audit_wait(struct k2k_registry *reg, const struct k2k_audit_cursor *cursor, uint64_t timeout_ns);

/* Flags of k2k_audit_kept. */
enum {
	K2K_AUDIT_FAILING = 1 << 0,      /* can't be written now */
};

/*
 * Says that all below the cursor is kept, or that it can't be written now. To be said at least each
 * second while nothing comes: a follower that is silent for three is not waited for any more. One
 * thread at a time. Handles opened with K2K_OPEN_FOLLOWER. Returns: EROLE; EFENCED. Killed: the
 * record stays, and tells what is lost; the next follower takes it.
 */
K2K_API int k2k_audit_kept(struct k2k_registry *reg, const struct k2k_audit_cursor *cursor, uint32_t flags);

enum k2k_follower_state {
	K2K_FOLLOWER_NONE    = 1,   /* nobody has the record; what it lost is told all the same */
	K2K_FOLLOWER_ACTIVE  = 2,
	K2K_FOLLOWER_SILENT  = 3,   /* alive, and has said nothing for three seconds, or not yet */
	K2K_FOLLOWER_FAILING = 4,   /* can't write */
	K2K_FOLLOWER_DEAD    = 5,   /* killed */
};

struct k2k_audit_follower_info {
	uint32_t size, flags;
	uint32_t index;              /* 0 to 7 */
	enum k2k_follower_state state;
	uint64_t pid;
	char comm[16];
	uint64_t attached_at_ns;     /* since 1970 */
	uint64_t said_ago_ns;        /* since it last said how far it is; K2K_NEVER_NS: not yet */
	/* how often it could not write; since 1970, 0: it can */
	uint64_t failures, failing_since_ns;
	uint64_t behind;             /* events that it has not kept yet */
	uint64_t overwritten;        /* of these, those that are written over */
	/* that it found missing, since creation: the log lacks these. All: lost + overwritten */
	uint64_t lost;
	uint64_t damaged;            /* rings that it found damaged */
	/*
	 * the last loss that it found (lost_at_ns 0: none), and the first ring in which some are
	 * written over now
	 */
	uint64_t lost_from, lost_count, lost_at_ns;
	uint64_t overwritten_from, overwritten_count;
	uint32_t lost_ring, overwritten_ring;
};
/* *count: how many there are, of which the first `capacity` are in `followers`. Any role. */
K2K_API int k2k_audit_follower_list(struct k2k_registry *reg, struct k2k_audit_follower_info *followers, size_t capacity, size_t *count);

/*
 * Since creation, over all rings, by kind: events written; repeats counted in them; given up
 * without a trace in a ring.
 */
struct k2k_audit_stats {
	uint32_t size, flags;
	/* Of kinds below K2K_AUDIT_KINDS, for programs of version 0.1. */
	uint64_t written[K2K_AUDIT_KINDS], coalesced[K2K_AUDIT_KINDS], lost[K2K_AUDIT_KINDS];
	uint64_t capacity;           /* events that a ring keeps */
	/* sequence of the newest of each ring; 0: none yet */
	uint64_t newest[K2K_AUDIT_RINGS];
	/* The same numbers of every kind; 0 if the library knows no such kind. */
	uint64_t written_by_kind[K2K_AUDIT_KINDS_MAX];
	uint64_t coalesced_by_kind[K2K_AUDIT_KINDS_MAX];
	uint64_t lost_by_kind[K2K_AUDIT_KINDS_MAX];
};
K2K_API int k2k_audit_stats(struct k2k_registry *reg, struct k2k_audit_stats *stats);

#endif
