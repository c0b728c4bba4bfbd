/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * k2k/registry.h - a tenant registry that several processes share
 *
 * Read this first:
 *
 *  - One handle has one role. ADMIN changes definitions; BROKER admits messages, takes leases and
 *    books GPU time; OBSERVER only reads. A process may hold several handles. Each BROKER handle is
 *    a broker of its own and takes one of the registry's places.
 *  - Any thread may call any function at any time, but not from a signal handler, and not from a
 *    thread-exit (pthread_key) destructor.
 *  - Any thread may call fork() at any moment, with and without open handles; fork() waits for no
 *    call. The child is not attached: every call on an inherited handle returns K2K_EFORKED. The
 *    child opens handles of its own. A child that was made without fork handlers (_Fork(), clone())
 *    can't open any: it also gets K2K_EFORKED from open, create and destroy.
 *  - pthread_cancel() does not end a call in the middle, nor the application's audit sink. It takes
 *    effect at the thread's first cancellation point after the call. So a call that waits goes on
 *    waiting until its timeout (timeout_ns, or that of k2k_audit_wait). Asynchronous cancellation
 *    is not supported.
 *  - Threads may end, and exit() may be called, while other threads are in calls. dlclose() leaves
 *    the library loaded: open handles go on working.
 *  - The library puts no file descriptor into the program's table, so no close, dup2 or child
 *    process can touch one. Each handle has a thread: call unshare(CLONE_NEWUSER) before you open
 *    one. Handles work on after chroot(), after a change of user, and in sandboxes: lib/README.md.
 *  - The library shares nothing with a program that uses liburcu itself.
 *  - If a process is killed, at any instruction, nothing is lost that a call has returned, and no
 *    other process is blocked: its leases come back by themselves, its counts stay.
 *  - A process that is stopped (SIGSTOP, a debugger) keeps what it holds. It delays only the reuse
 *    of what was deregistered while it was stopped.
 *  - A process that may write the "live" object, as every broker may, is trusted not to truncate
 *    it: that kills the others by SIGBUS. Nothing else that it writes there can crash another
 *    process: calls that meet damage return K2K_ECORRUPT.
 *
 * Return values: 0, or a negative K2K_E... code. Results go through pointers. Besides the codes
 * that are listed at a call, every call may return one of these. Then nothing has changed, unless
 * the call's description says otherwise:
 *   K2K_EINVAL    a null or closed handle, a null result pointer, a value out of range, or a struct
 *                 with unknown flags or with a size that it has in no version
 *   K2K_EROLE     the handle's role does not allow the call
 *   K2K_EFORKED   the handle was inherited over fork()
 *   K2K_EFENCED   the registry was destroyed, removed or replaced: close the handle, open again
 *   K2K_ENOMEM    a thread's first call: no memory (one page for ten threads), or no pthread_key
 *                 was left when the library was loaded
 *   K2K_ECORRUPT  the shared memory is damaged; the detail says what and where
 *
 * Units: times in nanoseconds (_ns), sizes in bytes (_bytes), rates in messages a second.
 * UINT64_MAX (UINT32_MAX for kernels) means unlimited. A limit of 0 is legal and rejects
 * everything.
 *
 * Structs that begin with `size` and `flags`: the caller sets size to sizeof (or uses the _INIT
 * macro) and flags to 0, even if the call only fills the struct. In an array of results the caller
 * does so in the first element, whose size is the stride. Such structs grow in later versions, at
 * their end: a program that was compiled with an earlier header runs unchanged with a later
 * library. A program that was compiled with a later header gets 0 in fields that the library does
 * not know, and K2K_EINVAL if it asks for something by such a field.
 */
#ifndef K2K_REGISTRY_H
#define K2K_REGISTRY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#if defined(__GNUC__)
#define K2K_API __attribute__((visibility("default")))
#else
#define K2K_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* of this header; scripts/check-version keeps it that of CMakeLists.txt */
#define K2K_VERSION_MAJOR 0
#define K2K_VERSION_MINOR 2
#define K2K_VERSION_PATCH 0

/* ---- limits and types --------------------------------------------------- */

#define K2K_NAME_MAX 64                       /* characters of a registry's name, [A-Za-z0-9_-] */
/* broker handles attached at once: unless the registry was created with another number; at most */
#define K2K_BROKERS_MAX 64
#define K2K_BROKERS_MOST 1024
#define K2K_ADMIT_MAX (UINT64_C(1) << 32)     /* messages in one admit */
#define K2K_RATE_MAX (UINT64_C(1) << 33)      /* a higher rate, if not unlimited, counts as this */
#define K2K_UNLIMITED UINT64_MAX
#define K2K_UNLIMITED_KERNELS UINT32_MAX
#define K2K_NEVER_NS UINT64_MAX               /* retry_after_ns: waiting does not help */

typedef uint64_t k2k_tenant_id;
#define K2K_TENANT_UNSPECIFIED ((k2k_tenant_id)0)

struct k2k_registry;                          /* a handle, opaque */

/* Who pays. Costs and budgets are keyed by engagement_id; org_id only appears in audit events. */
struct k2k_audit_tag {
	uint64_t org_id;
	uint64_t engagement_id;
};

struct k2k_budget {
	uint64_t engagement_id;
	uint64_t budget_ns;      /* GPU time; K2K_UNLIMITED: no budget */
};

/*
 * How often a budget renews: at full hours, at midnight, on Mondays, on the first of a month, all
 * in UTC. A period begins with the first booking in it, at the wall clock's time. Each begins with
 * nothing used, whatever was overspent in the one before: GPU time is billed afterwards.
 */
enum k2k_budget_renewal {
	K2K_RENEWAL_KEEP  = 0,   /* as before; a new budget does not renew */
	K2K_RENEWAL_NEVER = 1,   /* counts all GPU time since the registration */
	K2K_RENEWAL_HOUR  = 2,
	K2K_RENEWAL_DAY   = 3,
	K2K_RENEWAL_WEEK  = 4,
	K2K_RENEWAL_MONTH = 5,
};

/* The renewal of one element of k2k_quota's `budgets`. */
struct k2k_budget_terms {
	uint32_t renewal;        /* enum k2k_budget_renewal */
	uint32_t reserved;       /* 0 */
};

/*
 * Both are exact over all processes. A window of a second begins with the clock's second, a longer
 * one with its first message. A bucket begins full. rate and burst together are less than 2^33, and
 * the burst is the most that one call can be admitted. A rate or a burst of 0 rejects everything.
 *
 * A change from one to the other keeps what was counted: a window that becomes a longer or a
 * shorter one counts on from its beginning; one that becomes a bucket leaves what was left of its
 * limit, at most the burst; a bucket whose rate or burst changes keeps its tokens. A bucket that
 * becomes a window begins one with nothing used. No change leaves a debt.
 */
enum k2k_rate_policy {
	K2K_RATE_WINDOW = 0,     /* at most so many messages in each window of one period */
	K2K_RATE_BUCKET = 1,     /* a token bucket: at most burst + rate x T in any interval T */
};

enum k2k_rate_period {
	K2K_PERIOD_SECOND = 0,
	K2K_PERIOD_MINUTE = 1,
	K2K_PERIOD_HOUR   = 2,
	K2K_PERIOD_DAY    = 3,   /* 24 hours */
};

#define K2K_TENANT_NAME_MAX 31                /* bytes of a tenant's name, without the 0 */
#define K2K_ALERTS_MAX 4

struct k2k_quota {
	uint32_t size, flags;
	uint64_t max_messages_per_sec;        /* messages in a rate_period */
	uint64_t max_gpu_memory_bytes;
	uint32_t max_concurrent_kernels;
	uint32_t budget_count;
	const struct k2k_budget *budgets;     /* of several for one engagement the last counts */
	uint64_t burst;                       /* of a bucket, messages; else 0 */
	uint32_t rate_policy;                 /* enum k2k_rate_policy */
	uint32_t rate_period;                 /* enum k2k_rate_period */
	/* of the tenant: UTF-8 without control characters, not empty, at most K2K_TENANT_NAME_MAX
	 * bytes, and of no other tenant; null: none */
	const char *name;
	/* 1: limits are decided, counted and audited, but not enforced (k2k_verdict.shadow_code) */
	uint32_t shadow;
	/* thresholds: percentages of the limits, 1 to 100, ascending; 0: unused. See
	 * k2k_tenant_update */
	uint8_t alerts[K2K_ALERTS_MAX];
	/* as many as budgets; null: K2K_RENEWAL_KEEP for each */
	const struct k2k_budget_terms *budget_terms;
	/* of a rate that is a share: the limit while no shares hold; else 0 */
	uint64_t rate_alone;
	/* 1: max_messages_per_sec is this host's share of a rate over many hosts, and in force only
	 * while shares hold (k2k_shares_hold). Of a window of a second; else 0 */
	uint32_t rate_shared;
	uint32_t reserved;                    /* 0 */
};
/* 16 kernels, 2 GiB, 100,000 messages a second, no budget: the default of k2k_tenant_register */
#define K2K_QUOTA_STANDARD \
	{ sizeof(struct k2k_quota), 0, UINT64_C(100000), UINT64_C(2147483648), 16, 0, NULL, \
	  0, 0, 0, NULL, 0, { 0, 0, 0, 0 }, NULL, 0, 0, 0 }
#define K2K_QUOTA_UNLIMITED \
	{ sizeof(struct k2k_quota), 0, K2K_UNLIMITED, K2K_UNLIMITED, K2K_UNLIMITED_KERNELS, \
	  0, NULL, 0, 0, 0, NULL, 0, { 0, 0, 0, 0 }, NULL, 0, 0, 0 }

/* What k2k_tenant_update changes. */
enum {
	K2K_UPDATE_RATE       = 1 << 0,      /* with all fields that begin with rate, and burst */
	K2K_UPDATE_GPU_MEMORY = 1 << 1,
	K2K_UPDATE_KERNELS    = 1 << 2,
	/* sets the budgets listed, removes those listed as K2K_UNLIMITED, leaves others alone */
	K2K_UPDATE_BUDGETS    = 1 << 3,
	K2K_UPDATE_NAME       = 1 << 4,
	K2K_UPDATE_SHADOW     = 1 << 5,
	K2K_UPDATE_ALERTS     = 1 << 6,
	/* only in audit events: a tenant was suspended or resumed */
	K2K_UPDATE_SUSPENDED  = 1 << 7,
};

/* The answer to a request in numbers. Filled on success and on every rejection. */
struct k2k_verdict {
	uint32_t size, flags;
	int32_t code;            /* the call's return value */
	/* of a tenant in shadow: the rejection that its limits would have been; else 0 */
	int32_t shadow_code;
	/* rate: messages counted in this window, or the part of the burst that is used up; budget:
	 * ns; kernels: slots; GPU memory: bytes. After a grant it includes what was granted. */
	uint64_t used;
	/* in the same unit, of a bucket its burst; UINT64_MAX = unlimited */
	uint64_t limit;
	uint64_t remaining;      /* limit - used, not below 0; of a bucket the free tokens */
	/* rate: the time until the next window has begun, or until there are enough tokens, never
	 * less, by the limit that is in force now; budget: until it renews, by the wall clock;
	 * K2K_NEVER_NS: waiting alone does not help; 0: not rejected */
	uint64_t retry_after_ns;
	/* rate: the second of CLOCK_MONOTONIC in which the window began; of a bucket, that of the
	 * decision */
	uint64_t window;
};
#define K2K_VERDICT_INIT { sizeof(struct k2k_verdict), 0, 0, 0, 0, 0, 0, 0, 0 }

enum {
	K2K_LEASE_KERNEL     = 1 << 0,
	K2K_LEASE_GPU_MEMORY = 1 << 1,
};

/* What k2k_kernel_acquire and k2k_gpu_memory_acquire grant; release it unchanged. */
struct k2k_lease {
	uint32_t size, flags;    /* flags: acquire fills in K2K_LEASE_... */
	k2k_tenant_id id;
	uint64_t generation;     /* of the tenant's registration; 0 for tenant 0 */
	uint64_t amount;         /* kernels (1) or bytes; 0 once released */
};
#define K2K_LEASE_INIT { sizeof(struct k2k_lease), 0, 0, 0, 0 }

/* ---- errors ------------------------------------------------------------- */

enum {
	K2K_OK            = 0,
	/* codes that equal a negated errno */
	K2K_EPERM         = -1,     /* EPERM: the access rights that the call needs are missing */
	K2K_ENOREGISTRY   = -2,     /* ENOENT: no registry of that name */
	K2K_EIO           = -5,     /* EIO: the system failed; the detail has its error */
	/* ENOMEM: too little memory, or room in /dev/shm; the detail says how much */
	K2K_ENOMEM        = -12,
	/* EBUSY: another process or thread is in the way; the detail names the process, if any */
	K2K_EBUSY         = -16,
	/* EEXIST: the registry, the tenant, or another tenant of that name, exists already */
	K2K_EEXIST        = -17,
	K2K_EINVAL        = -22,    /* EINVAL: a mistake of the caller; nothing was changed */
	K2K_EFULL         = -28,    /* ENOSPC: a table is full; the detail's object names it */
	/* our own */
	K2K_EUNSPECIFIED  = -5001,  /* tenant 0 can't be registered, updated or deregistered */
	K2K_ENOTENANT     = -5002,  /* no such tenant */
	K2K_ENOBUDGET     = -5003,  /* no budget for that engagement */
	K2K_ERATE         = -5004,  /* rejected: too many messages; can be retried */
	K2K_EBUDGET       = -5005,  /* rejected: the engagement's GPU time is used up */
	K2K_EKERNELS      = -5006,  /* rejected: all kernel slots are held */
	K2K_EGPUMEM       = -5007,  /* rejected: GPU memory */
	/* the ledger can't book this GPU time: it is in the tenant's unattributed total */
	K2K_EUNBOOKED     = -5008,
	/* the tenant was deregistered meanwhile; its final totals may lack this */
	K2K_EGONE         = -5009,
	K2K_ENOTHELD      = -5010,  /* this broker does not hold what it releases */
	/* the lease is of an earlier registration of the tenant; the reservation has ended; shares
	 * of a later epoch hold */
	K2K_ESTALE        = -5011,
	/* all places for brokers are taken; expected in the detail says how many there are */
	K2K_ENOBROKERSLOT = -5012,
	/* another layout version, byte order, record size or feature; the detail says which */
	K2K_ELAYOUT       = -5013,
	K2K_EBOOT         = -5014,  /* the registry is of another boot of the machine */
	/* not a regular file, open to strangers, or owned by a user other than root, the caller
	 * and owner_uid */
	K2K_EOWNER        = -5015,
	K2K_ECORRUPT      = -5016,
	K2K_EFENCED       = -5017,
	K2K_EFORKED       = -5018,
	K2K_EROLE         = -5019,
	/* the registry requires audit, and no follower of the trail keeps up: nothing was changed;
	 * can be retried */
	K2K_ENOAUDIT      = -5020,
	K2K_ESUSPENDED    = -5021,  /* rejected: an administrator has suspended the tenant */
	K2K_ENOKERNEL     = -5022,  /* no kernel of that name is in the directory */
	/* refused: the two kernels are of different tenants; the attempt was counted and audited */
	K2K_ECROSSTENANT  = -5023,
};

/*
 * A code as text, "no such tenant", and as name, "K2K_ENOTENANT"; for an unknown code a text that
 * says so. Never null. Any context.
 */
K2K_API const char *k2k_strerror(int code);
K2K_API const char *k2k_errname(int code);

/*
 * More about this thread's last error. Codes that are ordinary answers leave it as it was: ERATE,
 * EBUDGET, EKERNELS, EGPUMEM, ESUSPENDED, ENOTENANT, EUNBOOKED, EGONE, ENOTHELD, ESTALE, ENOKERNEL,
 * ECROSSTENANT. The pointer is valid until the thread ends. Threads that got no memory for a detail
 * share one: then the text may be about another thread's error.
 */
struct k2k_error_detail {
	int32_t code;
	int32_t system_errno;    /* the errno that caused it, or 0 */
	uint64_t expected, found;
	uint64_t pid;            /* of the process that is in the way, or 0 */
	/* "defs", "live", "tenants", "engagements", "leases", "budgets", "writer", "broker 3" */
	char object[32];
	char field[32];
	char text[256];          /* one sentence for diagnostics */
};
K2K_API const struct k2k_error_detail *k2k_error_detail(void);

/* ---- registry ----------------------------------------------------------- */

enum k2k_role {
	K2K_ROLE_ADMIN    = 1,   /* definitions, reads; needs write rights on both objects */
	K2K_ROLE_BROKER   = 2,   /* reads, admit, lease, track; defs read-only, live writable */
	K2K_ROLE_OBSERVER = 3,   /* reads; both read-only */
};

enum {
	/* Obsolete: accepted, without effect. It told the library that the program calls liburcu's
	 * hooks around fork(); the library now shares no readers of liburcu with the program. */
	K2K_OPEN_CALLER_FORK_HOOKS = 1 << 0,
	/* owner_uid is set: accept this owner too, besides root and the caller */
	K2K_OPEN_OWNER_UID         = 1 << 1,
	K2K_OPEN_TIMEOUT           = 1 << 2,    /* timeout_ns is set */
	/* An OBSERVER that may write live: it takes one of 8 records that say how far the audit
	 * trail is kept (k2k_audit_kept). Administrators wait up to two seconds before they
	 * overwrite what it has not kept; brokers do not wait. What it loses is counted, and every
	 * process can read that count. */
	K2K_OPEN_FOLLOWER          = 1 << 3,
	K2K_OPEN_CLOCK             = 1 << 4,    /* clock is set: see K2K_CREATE_SIMULATED */
};

/*
 * The time of a simulated registry. The program sets it between its calls, each number by one
 * atomic store (__atomic_store_n), since the library's threads read it at any time. It must never
 * step back, and all handles of one registry need the same time. It stays in place until the handle
 * is closed.
 */
struct k2k_simulated_time {
	uint64_t monotonic_ns;   /* in place of CLOCK_MONOTONIC; below 2^30 s */
	uint64_t wall_ns;        /* in place of CLOCK_REALTIME, since 1970 */
};

struct k2k_open_options {
	uint32_t size, flags;
	/* the longest wait of any call on this handle; the default is 5 s; 0 = don't wait */
	uint64_t timeout_ns;
	uint32_t owner_uid;
	uint32_t reserved;
	/* the program's name in audit events; null: the process's comm */
	const char *actor;
	const struct k2k_simulated_time *clock;
};
#define K2K_OPEN_OPTIONS_INIT { sizeof(struct k2k_open_options), 0, 0, 0, 0, NULL, NULL }

enum {
	K2K_CREATE_GROUP = 1 << 0,       /* gid is set */
	K2K_CREATE_MODE  = 1 << 1,       /* mode is set */
	/* Changes of definitions (register, update, deregister, budgets) need a follower of the
	 * audit trail (K2K_OPEN_FOLLOWER) that keeps up: it is alive, has called k2k_audit_kept
	 * within three seconds, can write its log, and half of the administrators' ring is free.
	 * Else they return ENOAUDIT after the handle's timeout, and change nothing. Messages,
	 * leases, the time of shares, repair and destroy never need a follower. The requirement
	 * lasts as long as the registry. A process that may write live can pose as such a
	 * follower. */
	K2K_CREATE_REQUIRE_AUDIT = 1 << 2,
	/* A registry for simulations and tests: its limits are decided as in any other, but for the
	 * time that the program sets. It can only be opened with K2K_OPEN_CLOCK, and no other
	 * registry can, so nobody's limits are ever decided for a made-up time. Timeouts, the
	 * times of audit events and the search for dead processes follow the machine's clocks. */
	K2K_CREATE_SIMULATED     = 1 << 3,
	/* k2k_message_route refuses messages from kernels that are not in the directory. Otherwise
	 * such a kernel is of tenant 0. */
	K2K_CREATE_STRICT        = 1 << 4,
};

/* Sizes of the tables; 0 = the default. Fixed for the registry's life. */
struct k2k_create_options {
	uint32_t size, flags;
	uint64_t max_tenants;        /* 4096; at most 2^24 */
	/* 65536; at most 2^28. If there are 64 or more, brokers take at most half of the records
	 * for one tenant, and every fourth record is only for budgets */
	uint64_t max_engagements;
	/* 4 x max_tenants; at most 2^28. How many pairs of a tenant and a broker that holds
	 * something of it, and of an engagement and a broker that has reserved GPU time for it; the
	 * library adds a spare record for each place for a broker. If there are 64 or more,
	 * reservations take at most half of them */
	uint64_t max_leases;
	uint64_t max_budgets;        /* 16384; at most 2^28 */
	/* 0660: the mode of live; that of defs is the same without write for group and others. The
	 * owner must have read and write */
	uint32_t mode;
	uint32_t gid;                /* group of both objects */
	/* events that each audit ring keeps; rounded up to a power of two; at most 2^16. Unless
	 * given, 256 for up to 64 brokers, 128 for up to 256, and 64 for more */
	uint64_t max_audit_events;
	/* version 0.2: 64; at most 1024: how many handles may be open as BROKER at once. A place
	 * takes two audit rings, and 4 bytes for each tenant */
	uint64_t max_brokers;
	/* 16384; at most 2^28: names of kernels in the directory (k2k_kernel_add), 268 to 280 bytes
	 * each */
	uint64_t max_kernels;
};
#define K2K_CREATE_OPTIONS_INIT { sizeof(struct k2k_create_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

struct k2k_registry_plan {
	uint32_t size, flags;
	uint64_t defs_bytes, live_bytes, total_bytes;
	uint64_t shm_free_bytes;         /* of the file system under /dev/shm */
	uint64_t memory_free_bytes;      /* MemAvailable */
	uint64_t cgroup_free_bytes;      /* the memory controller's room; UINT64_MAX = no limit */
	/* with the defaults filled in */
	uint64_t max_tenants, max_engagements, max_leases, max_budgets;
	uint64_t max_audit_events;       /* of one ring */
	uint64_t max_brokers;
	uint64_t max_kernels;
};

/*
 * Reports how many bytes a registry of these sizes takes, and how many are free. Creates nothing.
 * options may be null.
 */
K2K_API int k2k_registry_plan(const struct k2k_create_options *options,
                              struct k2k_registry_plan *plan);

/*
 * Creates a registry. Its name appears only when it is complete. If `handle` is not null, the
 * registry is also opened as ADMIN.
 * Returns: EEXIST; ENOMEM (the detail's expected and found are the bytes needed and free); EPERM;
 *   EIO; EINVAL also for `handle` with K2K_CREATE_SIMULATED; with `handle` also what
 *   k2k_registry_open returns: then the registry is removed again.
 * Context: system calls; allocates all memory at once.
 * Killed: what was built is gone, or the next create, destroy or open as ADMIN removes it.
 */
K2K_API int k2k_registry_create(const char *name, const struct k2k_create_options *options,
                                struct k2k_registry **handle);

/*
 * Attaches. options may be null. *handle is null on error.
 * Returns: ENOREGISTRY, ELAYOUT, EBOOT, EOWNER, EPERM, ENOBROKERSLOT, ENOMEM, EIO; EFULL if all
 *   records of followers are taken; EINVAL also if K2K_OPEN_CLOCK is missing for a simulated
 *   registry, or set for another; EBUSY if another process creates or removes this name and does
 *   not end that in time. EIO also if a sandbox refuses membarrier(2) now, but did not when the
 *   process opened its first handle; if it refused from the beginning, each call has one more fence
 *   instead.
 * Context: constant work. A handle has one thread, a BROKER's has two; all signals are blocked in
 *   them.
 * Killed: the next broker takes its slot.
 */
K2K_API int k2k_registry_open(const char *name, enum k2k_role role,
                              const struct k2k_open_options *options,
                              struct k2k_registry **handle);

/*
 * Detaches and sets *handle to null. Refuses new calls, waits for those under way in other threads,
 * writes coalesced audit events, releases all leases.
 * Returns: EBUSY from inside an audit sink, or if another thread does not end its batch in time:
 *   the handle stays open. EFORKED in a forked child: it frees the child's copy and touches nothing
 *   shared. EIO if a sandbox refuses membarrier(2) now, so that nobody can tell when the calls
 *   under way have ended: the handle is closed; what it holds comes back when the process ends, and
 *   what others deregister is not reused until then.
 */
K2K_API int k2k_registry_close(struct k2k_registry **handle);

enum { K2K_DESTROY_FORCE = 1 << 0 };     /* even if brokers are attached */

/*
 * Removes the registry `name`; calls on open handles return EFENCED from then on.
 * Returns: ENOREGISTRY; EBUSY if brokers are attached and FORCE is not set (the detail has the pid
 *   of one), or if the writer's lock was not free within timeout_ns; EPERM.
 * Killed: the next command on this name finishes it.
 */
K2K_API int k2k_registry_destroy(const char *name, uint32_t flags,
                                 const struct k2k_open_options *options);

/* retired: records that wait for a grace period */
struct k2k_table_info { uint64_t used, retired, capacity; };

enum {
	K2K_INFO_AUDIT_SINK    = 1 << 0,       /* this handle has an audit sink */
	K2K_INFO_REQUIRE_AUDIT = 1 << 1,       /* created with K2K_CREATE_REQUIRE_AUDIT */
	K2K_INFO_SIMULATED     = 1 << 2,       /* created with K2K_CREATE_SIMULATED */
	K2K_INFO_STRICT        = 1 << 3,       /* created with K2K_CREATE_STRICT */
};

struct k2k_registry_info {
	uint32_t size, flags;                  /* flags: filled with K2K_INFO_... */
	char name[K2K_NAME_MAX + 8];
	char uuid[40];
	uint32_t layout_version, brokers;      /* brokers: alive now */
	uint64_t created_at_ns;                /* since 1970 */
	uint64_t defs_bytes, live_bytes;
	uint64_t generation;                   /* of the newest registration */
	uint64_t grace_token;
	/* since creation: requests for unknown tenants, cross-tenant attempts */
	uint64_t unknown_tenant_total, cross_tenant_total;
	uint32_t owner_uid, owner_gid, defs_mode, live_mode;
	struct k2k_table_info tenants, engagements, leases, budgets;
	uint64_t max_audit_events;             /* that each audit ring keeps */
	/* GPU time of records that repairs cut out because their tenant can't be determined */
	uint64_t cut_gpu_ns;
	uint64_t max_brokers;                  /* places for brokers */
	uint64_t max_kernels;                  /* names that the directory has room for */
};
K2K_API int k2k_registry_info(struct k2k_registry *reg, struct k2k_registry_info *info);

struct k2k_finding {
	uint32_t size, flags;
	char invariant[8];       /* "I1" ... "I9", or "layout", "intent" */
	char object[32];
	char text[160];
};

/*
 * Verifies the invariants and changes nothing. *count is the number of findings, of which the first
 * `capacity` are in `findings` (which may be null if that is 0).
 * Role: ADMIN: under the writer's lock, so that no definition changes meanwhile (EBUSY). OBSERVER,
 *   BROKER: a finding is reported only if it is still there on a second look.
 */
K2K_API int k2k_registry_check(struct k2k_registry *reg, struct k2k_finding *findings,
                               size_t capacity, size_t *count);

struct k2k_repair_info {
	uint32_t size, flags;
	uint64_t tenants, budgets, engagements, leases;   /* records completed, undone or freed */
	uint64_t brokers;                                 /* slots of dead brokers cleared */
	/* unreferenced objects removed from /dev/shm */
	uint64_t files;
	/* Damage in memory that brokers write, which was cut out or set right: */
	/* how many places; k2k_repair_list describes each */
	uint64_t damaged;
	/* holdings of brokers that no longer count: to release one returns ENOTHELD */
	uint64_t cut_leases;
	/* GPU time of records whose tenant can't be determined: k2k_registry_info has the sum */
	uint64_t cut_gpu_ns;
	/* GPU time that moved to its tenant's unattributed total */
	uint64_t unattributed_ns;
};
/*
 * Finishes what killed processes left; every other ADMIN call that changes something begins with
 * the part of this that it needs. Afterwards changes, admissions and bookings work, whatever a
 * broker has written into live: impossible values are cut out or set right, counted in *info and
 * reported in the audit trail. Brokers may run meanwhile. Other ADMIN calls that meet damage do the
 * same. Two things are lost: holdings that are cut out, and the tenant of GPU time that is cut out;
 * the time itself stays counted. A tenant whose rate window was damaged is admitted again from the
 * next second on.
 * Role: ADMIN.
 * Returns: EBUSY (the writer's lock), EPERM, EIO, ENOMEM; ECORRUPT if the definitions are damaged,
 *   which no broker can do.
 * Killed: repair again. The GPU time of one record that was being cut out may be in no total.
 */
K2K_API int k2k_registry_repair(struct k2k_registry *reg, struct k2k_repair_info *info);
/*
 * Lists what the newest repair by this handle has cut out or set right: a sentence for each of the
 * first 256. *count is their number; the first `capacity` are in `findings` (which may be null if
 * that is 0).
 * Role: ADMIN. Returns: EBUSY as repair.
 */
K2K_API int k2k_repair_list(struct k2k_registry *reg, struct k2k_finding *findings,
                            size_t capacity, size_t *count);

#include <k2k/tenants.h>
#include <k2k/messages.h>
#include <k2k/kernels.h>
#include <k2k/audit.h>

/* ---- small things --------------------------------------------------------- */

/* 1 if from and to differ, even if one of them is 0; else 0. Any context. */
K2K_API int k2k_is_cross_tenant(k2k_tenant_id from, k2k_tenant_id to);

/* The library's version as "MAJOR.MINOR.PATCH". Any context. */
K2K_API const char *k2k_version(void);

#ifdef __cplusplus
}
#endif

#endif
