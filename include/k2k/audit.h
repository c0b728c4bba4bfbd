/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * k2k/audit.h - the part of <k2k/registry.h> about audit events: the application's sink, and the
 * audit trail in shared memory. Include that one.
 */
#ifndef K2K_AUDIT_H
#define K2K_AUDIT_H

#ifndef K2K_REGISTRY_H
#error "include <k2k/registry.h>"
#endif

/* ---- audit -------------------------------------------------------------- */

enum k2k_audit_level { K2K_AUDIT_INFO = 1, K2K_AUDIT_WARNING = 2, K2K_AUDIT_SECURITY = 3 };
enum k2k_audit_type {
	K2K_AUDIT_SECURITY_VIOLATION      = 1,
	K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED = 2,
	K2K_AUDIT_AUTHORIZATION_CHECK     = 3,
	K2K_AUDIT_CONFIGURATION_CHANGE    = 4,
};
/* "Info", "Warning", "Security"; "SecurityViolation", "ResourceLimitExceeded", ... */
K2K_API const char *k2k_audit_level_name(enum k2k_audit_level level);
K2K_API const char *k2k_audit_type_name(enum k2k_audit_type type);

struct k2k_audit_field { const char *key, *value; };

/* The library sets `size`: a program with a later header checks it before it reads new fields. */
struct k2k_audit_event {
	uint32_t size, flags;        /* flags: K2K_AUDIT_SHADOW */
	enum k2k_audit_level level;
	enum k2k_audit_type type;
	int32_t code;                /* the rejection's K2K_E... code; 0 for others */
	uint32_t field_count;
	uint64_t time_ns;            /* since 1970: of the newest of `count` */
	/* how many equal rejections this event stands for; the sum over all events is exact */
	uint64_t count;
	/* "k2k_broker", "k2k_tenant_registry", or the program's name */
	const char *actor;
	const char *target;          /* cross-tenant attempts: the destination kernel; else null */
	const char *description;
	/* keys: from_tenant, to_tenant, ...; tenant, org_id, ...; tenant, generation, ... */
	const struct k2k_audit_field *fields;
};

/*
 * Called in the thread that caused the event, before its call returns. Repeats that were counted
 * are reported later: by a thread of the handle, which starts with the first sink and has all
 * signals blocked, by a later rejection, by close, or by the call that replaces the sink. The event
 * is valid only during the call. A sink may call the registry, but close and set_audit_sink return
 * K2K_EBUSY in it. It must return: neither longjmp() nor pthread_exit().
 */
typedef void (*k2k_audit_sink)(void *context, const struct k2k_audit_event *event);

/*
 * Replaces the sink of this handle (null: none). Returns when the old sink no longer runs; repeats
 * that were counted until then go to the old sink.
 * Role: any.
 */
K2K_API int k2k_registry_set_audit_sink(struct k2k_registry *reg, k2k_audit_sink sink,
                                        void *context);

/*
 * Counts and audits a rejected cross-tenant attempt (level Security). source and destination are
 * names of kernels, and not null.
 * Role: BROKER.
 */
K2K_API int k2k_audit_cross_tenant(struct k2k_registry *reg, k2k_tenant_id from, k2k_tenant_id to,
                                   const char *source, const char *destination,
                                   struct k2k_audit_tag tag);

/* ---- the audit trail ------------------------------------------------------ *
 *
 * The newest events of every process are in rings in shared memory. A message that writes one takes
 * no lock and makes no system call; no reader is needed; and events can be read after their
 * writer's death. The newest event of a ring overwrites the oldest. The sink above is independent
 * of the trail.
 *
 * Each broker slot has two rings: one for rejections by a limit, and one for security (cross-tenant
 * attempts, brokers that died), so that no number of rejections overwrites those. Administrators
 * have one.
 *
 * 1. A repeat of a rejection (same kind, tenants, tag and names) by the same broker in the same
 *    second is counted in the event of the first: exactly. Such an event is open until its second
 *    is over, or until half of the ring has been written since; repeats after that are counted in
 *    the next event of the same rejection, in the next second. Names are compared only as far as
 *    events keep them.
 * 2. Within a ring events have sequence numbers: 1, 2, 3, ... A reader learns the numbers that it
 *    missed, because they were overwritten or never completed (K2K_AUDIT_LOST).
 * 3. A broker that is killed while it writes costs at most that event.
 * 4. k2k_quota_check leaves no event.
 * 5. A program that keeps events (for example in a log) opens with K2K_OPEN_FOLLOWER, and reports
 *    with k2k_audit_kept how far it has kept them. An administrator waits for up to two seconds
 *    before its event overwrites one that is not kept; brokers never wait.
 */
/*
 * Rings have the same numbers in every registry. Below K2K_AUDIT_RINGS are those of the
 * administrators and of the first 64 broker slots. A registry with more places for brokers has two
 * further rings for each place: for rejections, and for security.
 */
#define K2K_AUDIT_RINGS 129          /* in cursor and statistics: 64, 1, 64 */
#define K2K_AUDIT_RING_ADMIN 64      /* rings below it: rejections, by broker slot */
#define K2K_AUDIT_RING_SECURITY 65   /* the security ring of broker slot 0 */
/* how many further rings a registry has: the numbers from K2K_AUDIT_RINGS on */
#define K2K_AUDIT_FURTHER_RINGS(max_brokers) \
	((max_brokers) > 64 ? 2 * ((max_brokers) - 64) : 0)
#define K2K_AUDIT_FURTHER_RINGS_MAX 1920
/* of a ring that is not the administrators': its broker slot, and whether it is for security */
#define K2K_AUDIT_RING_SLOT(ring)                                 \
	((ring) >= K2K_AUDIT_RINGS ? 64 + ((ring) - K2K_AUDIT_RINGS) / 2 \
	 : (ring) > K2K_AUDIT_RING_ADMIN ? (ring) - K2K_AUDIT_RING_SECURITY : (ring))
#define K2K_AUDIT_RING_IS_SECURITY(ring)                        \
	((ring) >= K2K_AUDIT_RINGS ? ((ring) - K2K_AUDIT_RINGS) % 2 \
				   : (ring) > K2K_AUDIT_RING_ADMIN)
#define K2K_AUDIT_KINDS 16           /* k2k_audit_stats: kinds in the arrays of version 0.1 */
#define K2K_AUDIT_KINDS_MAX 64       /* every kind, also of later versions, is below it */
#define K2K_AUDIT_VALUES 10
#define K2K_AUDIT_NAME_MAX 67        /* bytes of a kernel's name that an event keeps */
#define K2K_AUDIT_REASON_MAX 63      /* bytes of the reason of a correction */

enum k2k_audit_kind {
	K2K_AUDIT_KIND_CROSS_TENANT   = 1,   /* Security, SecurityViolation, by "k2k_broker" */
	/* this and the next three: Warning, ResourceLimitExceeded, by "k2k_tenant_registry" */
	K2K_AUDIT_KIND_RATE           = 2,
	K2K_AUDIT_KIND_BUDGET         = 3,
	K2K_AUDIT_KIND_KERNELS        = 4,
	K2K_AUDIT_KIND_GPU_MEMORY     = 5,
	/* Warning, AuthorizationCheck, by "k2k_tenant_registry" */
	K2K_AUDIT_KIND_UNKNOWN_TENANT = 6,
	/* The others: ConfigurationChange, by the program's name; Info, but BROKER_DEAD: Warning */
	K2K_AUDIT_KIND_REGISTER       = 7,
	K2K_AUDIT_KIND_UPDATE         = 8,
	K2K_AUDIT_KIND_DEREGISTER     = 9,
	/* tag.engagement_id; limit: the budget, or K2K_UNLIMITED if it was removed; values:
	 * K2K_AUDIT_BUDGET_RENEWAL */
	K2K_AUDIT_KIND_BUDGET_CHANGE  = 10,
	/* pid and incarnation of the dead broker; source: its comm */
	K2K_AUDIT_KIND_BROKER_DEAD    = 11,
	K2K_AUDIT_KIND_CREATED        = 12,
	K2K_AUDIT_KIND_DESTROYED      = 13,
	K2K_AUDIT_KIND_REPAIR         = 14,
	/* follows a DEREGISTER whose caller waited for the totals */
	K2K_AUDIT_KIND_FINAL_TOTALS   = 15,
	/* k2k_usage_correct; tag; source: the reason */
	K2K_AUDIT_KIND_CORRECTION     = 16,
	/* k2k_budget_renew; tag. Periods that begin by themselves leave no event */
	K2K_AUDIT_KIND_BUDGET_RENEWED = 17,
	/* the tenant is suspended; Warning, ResourceLimitExceeded, by "k2k_tenant_registry" */
	K2K_AUDIT_KIND_SUSPENDED      = 18,
	/* a use has reached a threshold, and passed; used, limit, generation; tag: of a budget, and
	 * of the request that reached the rate's. Warning, ResourceLimitExceeded */
	K2K_AUDIT_KIND_ALERT          = 19,
};

/* The index of each number in record.values, by kind. A kind without an enum here has only 0. */
enum {   /* REGISTER, UPDATE: the limits; of an UPDATE only those that MASK names, else 0 */
	K2K_AUDIT_REGISTER_RATE            = 0,   /* messages in the period that MODE names */
	K2K_AUDIT_REGISTER_GPU_MEMORY      = 1,   /* bytes */
	K2K_AUDIT_REGISTER_KERNELS         = 2,
	K2K_AUDIT_REGISTER_BUDGETS         = 3,   /* how many; a BUDGET_CHANGE follows for each */
	K2K_AUDIT_REGISTER_MASK            = 4,   /* K2K_UPDATE_...; NAME: record.source is it */
	/* of RATE, if it is a bucket: messages; if it is a share: the rate alone; else 0 */
	K2K_AUDIT_REGISTER_BURST           = 5,
	K2K_AUDIT_REGISTER_MODE            = 7,   /* K2K_AUDIT_MODE_... */
	K2K_AUDIT_REGISTER_ALERTS          = 8,   /* a percentage a byte, the lowest first */
};
enum k2k_alert_limit {   /* of K2K_AUDIT_ALERT_LIMIT */
	K2K_ALERT_RATE                     = 1,
	K2K_ALERT_BUDGET                   = 2,
	K2K_ALERT_KERNELS                  = 3,
	K2K_ALERT_GPU_MEMORY               = 4,
};
enum {   /* ALERT */
	K2K_AUDIT_ALERT_PERCENT            = 0,   /* the threshold */
	K2K_AUDIT_ALERT_LIMIT              = 1,   /* enum k2k_alert_limit */
	/* rate: the second of the window (k2k_verdict.window); budget: the number of its period, or
	 * if it never renews that of the tenant's definition; else: the second of the look */
	K2K_AUDIT_ALERT_SEQUENCE           = 2,
};
enum {   /* bits of K2K_AUDIT_REGISTER_MODE; 0 unless MASK names SHADOW, SUSPENDED, RATE */
	K2K_AUDIT_MODE_SHADOW              = 1 << 0,
	K2K_AUDIT_MODE_SUSPENDED           = 1 << 1,
	K2K_AUDIT_MODE_BUCKET              = 1 << 2,   /* the policy of RATE */
	K2K_AUDIT_MODE_SHARED              = 1 << 3,   /* RATE is a share */
	K2K_AUDIT_MODE_PERIOD              = 3 << 4,   /* enum k2k_rate_period of RATE */
	K2K_AUDIT_MODE_PERIOD_SHIFT        = 4,
};
enum {   /* BUDGET_CHANGE */
	K2K_AUDIT_BUDGET_RENEWAL           = 0,   /* enum k2k_budget_renewal; NEVER or later */
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
	K2K_AUDIT_CREATED_MAX_BROKERS      = 6,
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

enum {   /* CORRECTION: signed numbers, as int64_t, but for the last */
	K2K_AUDIT_CORRECTION_NS            = 0,
	K2K_AUDIT_CORRECTION_SUM_NS        = 1,   /* of all corrections of the engagement */
	K2K_AUDIT_CORRECTION_REQUEST       = 2,   /* request_id */
};
enum {   /* BUDGET_RENEWED */
	K2K_AUDIT_RENEWED_PERIOD               = 0,   /* number of the period that began */
	K2K_AUDIT_RENEWED_BEGAN_AT_NS          = 1,   /* since 1970 */
	K2K_AUDIT_RENEWED_CLOSED_BEGAN_AT_NS   = 2,   /* of the period before */
	K2K_AUDIT_RENEWED_CLOSED_USED_NS       = 3,
};

/* "cross_tenant", "rate", ..., "suspended"; for others "unknown". Never null. Any context. */
K2K_API const char *k2k_audit_kind_name(uint32_t kind);
/* of an unknown kind: Info, ConfigurationChange */
K2K_API enum k2k_audit_level k2k_audit_kind_level(uint32_t kind);
K2K_API enum k2k_audit_type k2k_audit_kind_type(uint32_t kind);

/* In a record's flags. */
enum {
	/* the count may still rise; such events are read only with K2K_AUDIT_OPEN_TOO */
	K2K_AUDIT_OPEN            = 1 << 0,
	/* no event: `count` numbers from `sequence` on are missing; kind 0 */
	K2K_AUDIT_LOST            = 1 << 1,
	K2K_AUDIT_CUT_SOURCE      = 1 << 2,   /* the name was longer than an event keeps */
	K2K_AUDIT_CUT_DESTINATION = 1 << 3,
	/* with LOST: the ring is damaged; if count is 0, it can't be read until that ends */
	K2K_AUDIT_DAMAGED         = 1 << 4,
	/* The limits of the tenant are in shadow: it would have been a rejection, but passed. Also
	 * in the flags of events for the application's sink. */
	K2K_AUDIT_SHADOW          = 1 << 5,
};

struct k2k_audit_record {
	uint32_t size, flags;
	/* K2K_AUDIT_RING_ADMIN, or one of a broker: see K2K_AUDIT_RING_SLOT */
	uint32_t ring;
	uint32_t kind;               /* enum k2k_audit_kind */
	enum k2k_audit_level level;
	enum k2k_audit_type type;
	int32_t code;                /* the rejection's K2K_E... code; 0 for others */
	uint32_t reserved;
	uint64_t sequence;           /* in its ring */
	/* since 1970: when the event began, as are used and limit; usually the first of `count` */
	uint64_t time_ns;
	uint64_t monotonic_ns;       /* CLOCK_MONOTONIC of the initial time namespace */
	/* how many equal rejections this event stands for; 1 for others */
	uint64_t count;
	k2k_tenant_id tenant, to;    /* to: of a cross-tenant attempt */
	uint64_t generation;         /* of a change; 0 for others */
	struct k2k_audit_tag tag;
	uint64_t used, limit;
	uint64_t pid;                /* of its writer */
	uint64_t incarnation;        /* of the broker; 0 for administrators */
	uint64_t values[K2K_AUDIT_VALUES];       /* by kind: K2K_AUDIT_REGISTER_RATE, ... */
	char actor[64];
	/* kernels of a cross-tenant attempt; source: also the reason of a correction; see also
	 * BROKER_DEAD, REGISTER and UPDATE */
	char source[72], destination[72];
	/* rejections: the broker's; BROKER_DEAD: the dead broker's; else "" */
	char comm[16];
};

/* A position in a ring whose number is K2K_AUDIT_RINGS or above. Begin with zeros. */
struct k2k_audit_position {
	uint64_t next;               /* as in the cursor */
	uint64_t damaged;            /* the library's: not 0: its damage was reported */
};

/*
 * A reader's position. Begin with K2K_AUDIT_CURSOR_INIT. A program may store `next`, and use it
 * again with the same registry (the same uuid). For a registry with more than 64 places for brokers
 * `further` must be an array with an element for each further ring; then a copy of the cursor needs
 * a copy of that array.
 */
struct k2k_audit_cursor {
	uint32_t size, flags;
	uint32_t wake, waiting;      /* the library's: what k2k_audit_wait waits for */
	/* sequence to read next, by ring; 0: from the oldest that is there */
	uint64_t next[K2K_AUDIT_RINGS];
	uint64_t damaged[3];         /* the library's: a bit for a ring whose damage was reported */
	/* version 0.2: null, or at least K2K_AUDIT_FURTHER_RINGS(max_brokers) elements */
	struct k2k_audit_position *further;
	uint64_t further_count;
};
#define K2K_AUDIT_CURSOR_INIT \
	{ sizeof(struct k2k_audit_cursor), 0, 0, 0, { 0 }, { 0 }, NULL, 0 }

/* Flags of k2k_audit_read. */
enum {
	/* Also reads events that are open or being written: for a snapshot. A follower would get
	 * them with a count that is not final. */
	K2K_AUDIT_OPEN_TOO = 1 << 0,
	/* The caller knows that the cursor is of this registry. So a ring that has not come as far
	 * as the cursor is damaged: that is reported once, by a record with K2K_AUDIT_DAMAGED, and
	 * that ring's events are lost. Without this flag it is EINVAL: a foreign cursor. */
	K2K_AUDIT_DAMAGED_TOO = 1 << 1,
};

/*
 * Takes up to `capacity` events after the cursor, and moves it past them. Events of several rings
 * are merged by monotonic_ns; within a ring they come by sequence. Without K2K_AUDIT_OPEN_TOO a
 * ring's events wait for the oldest that is open: until one second after its second, at most, while
 * its broker runs. *count 0: nothing new. Texts are valid UTF-8 without control characters.
 * Role: any.
 * Returns: EFENCED only once nothing is left to take: handles that were open can read the last
 *   events of a destroyed registry. EINVAL: the registry has more than 64 places for brokers, and
 *   the cursor no or not enough further elements. ENOMEM.
 * Context: only reads; asks the kernel whether a broker lives if an event of it is unfinished.
 */
K2K_API int k2k_audit_read(struct k2k_registry *reg, struct k2k_audit_cursor *cursor,
                           uint32_t flags, struct k2k_audit_record *records, size_t capacity,
                           size_t *count);

/*
 * Sleeps until there may be something that k2k_audit_read with this cursor did not find, or for
 * timeout_ns (UINT64_MAX: no limit). Returns 0 in both cases. pthread_cancel() does not end the
 * sleep. If there were events lately, brokers wake sleepers within a twentieth of a second after an
 * event is complete; else when the next second begins. Administrators wake them at once, and in a
 * batch after each 50 ms or 32 events. The last events of a broker that was killed are found within
 * a second.
 * Role: any. Returns: EFENCED; EINVAL if another thread closes the handle.
 */
K2K_API int k2k_audit_wait(struct k2k_registry *reg, const struct k2k_audit_cursor *cursor,
                           uint64_t timeout_ns);

/* Flags of k2k_audit_kept. */
enum {
	K2K_AUDIT_FAILING = 1 << 0,      /* the follower can't write events now */
};

/*
 * Reports that all events before the cursor are kept, or that the follower can't write events now.
 * A follower calls this at least once a second, even if there are no events: after three seconds
 * without a call administrators no longer wait for the follower. One thread at a time.
 * Role: OBSERVER, opened with K2K_OPEN_FOLLOWER (else EROLE).
 * Killed: the record stays and shows what is lost; the next follower takes it over.
 */
K2K_API int k2k_audit_kept(struct k2k_registry *reg, const struct k2k_audit_cursor *cursor,
                           uint32_t flags);

enum k2k_follower_state {
	K2K_FOLLOWER_NONE    = 1,   /* no follower has the record; it still shows what was lost */
	K2K_FOLLOWER_ACTIVE  = 2,
	K2K_FOLLOWER_SILENT  = 3,   /* alive, but no k2k_audit_kept for three seconds, or not yet */
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
	uint64_t said_ago_ns;        /* since its last k2k_audit_kept; K2K_NEVER_NS: not yet */
	/* how often it began to fail; since when it fails (since 1970), 0: it can write */
	uint64_t failures, failing_since_ns;
	uint64_t behind;             /* events that it has not kept yet */
	uint64_t overwritten;        /* events of these that are overwritten already */
	/* events that it found missing, since creation: its log lacks lost + overwritten */
	uint64_t lost;
	uint64_t damaged;            /* rings that it found damaged */
	/* the last loss that it found (lost_at_ns 0: none), and the first ring in which events that
	 * it has not kept are overwritten now */
	uint64_t lost_from, lost_count, lost_at_ns;
	uint64_t overwritten_from, overwritten_count;
	uint32_t lost_ring, overwritten_ring;
};
/*
 * Lists the records of followers that are in use or show a loss. *count: how many there are; the
 * first `capacity` are in `followers`.
 * Role: any.
 */
K2K_API int k2k_audit_follower_list(struct k2k_registry *reg,
                                    struct k2k_audit_follower_info *followers, size_t capacity,
                                    size_t *count);

/*
 * Counts since creation, of all rings, by kind: events written; repeats that were counted in them;
 * events that their writers gave up, which left nothing in a ring.
 */
struct k2k_audit_stats {
	uint32_t size, flags;
	/* of kinds below K2K_AUDIT_KINDS, for programs of version 0.1 */
	uint64_t written[K2K_AUDIT_KINDS], coalesced[K2K_AUDIT_KINDS], lost[K2K_AUDIT_KINDS];
	uint64_t capacity;           /* events that a ring keeps */
	/* sequence of the newest event of each ring; 0: none yet */
	uint64_t newest[K2K_AUDIT_RINGS];
	/* the same numbers of every kind; 0 if the library knows no such kind */
	uint64_t written_by_kind[K2K_AUDIT_KINDS_MAX];
	uint64_t coalesced_by_kind[K2K_AUDIT_KINDS_MAX];
	uint64_t lost_by_kind[K2K_AUDIT_KINDS_MAX];
	/* the caller's: null, or room for the newest sequence of so many further rings, of which
	 * the library fills those that there are. Set both before the call */
	uint64_t *further;
	uint64_t further_count;
};
K2K_API int k2k_audit_stats(struct k2k_registry *reg, struct k2k_audit_stats *stats);

#endif
