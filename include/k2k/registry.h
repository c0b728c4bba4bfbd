/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * k2k/registry.h - a tenant registry that several processes share
 *
 * Read this first:
 *
 *  - One handle has one role. ADMIN changes definitions; BROKER admits
 *    messages, takes leases and books GPU time; OBSERVER only reads. A process
 *    may hold several handles. Each BROKER handle is a broker of its own and
 *    takes one of 64 places.
 *  - All functions may be called from any thread at any time, but none from a
 *    signal handler or from a thread-exit (pthread_key) destructor.
 *  - fork() may be called at any moment, by any thread, with and without open
 *    handles; it waits for no call that is under way. The child is not attached:
 *    every call on an inherited handle answers K2K_EFORKED. Let the child open
 *    for itself. A child that was made without running fork handlers (_Fork(),
 *    clone()) can't: it also gets K2K_EFORKED from open, create and destroy.
 *  - pthread_cancel() does not end a call in its middle, the application's sink
 *    included: the request is acted on at the thread's first cancellation point
 *    after the call. So a call that waits, waits on: see timeout_ns, and the
 *    timeout of k2k_audit_wait. Asynchronous cancellation is not supported.
 *  - Threads may end, and exit() may be called, while other threads are in calls.
 *    dlclose() leaves the library loaded: handles that are open go on.
 *  - No descriptor of the library is in the program's table: no close, dup2 or
 *    child reaches one. A handle has a thread: unshare(CLONE_NEWUSER) before it.
 *    After chroot(), a change of user and in sandboxes it works on; see lib/README.md.
 *  - The library shares nothing with a program that uses liburcu itself.
 *  - A process killed at any instruction loses nothing that was answered, and
 *    blocks nobody: its leases come back by themselves, its counts stay.
 *  - A process that is stopped (SIGSTOP, a debugger) keeps what it holds, and
 *    delays only the reuse of what was deregistered while it was stopped.
 *  - Who may write the "live" object (brokers) is trusted not to truncate it:
 *    that gives the others SIGBUS. Nothing else written there can crash a
 *    reader: damage is answered with K2K_ECORRUPT.
 *
 * Return values: 0, or a negative K2K_E... code. Results go through pointers.
 * Every call may answer, besides what is listed at it:
 *   K2K_EINVAL    a null or closed handle, a null result pointer, a value out
 *                 of range, a struct with unknown flags or too small a size
 *   K2K_EROLE     the handle's role does not allow the call
 *   K2K_EFORKED   the handle was inherited over fork()
 *   K2K_EFENCED   the registry was destroyed, removed or replaced: close, open
 *   K2K_ENOMEM    a thread's first call: no memory (a page for ten threads), or
 *                 no pthread_key was left when the library was loaded
 *   K2K_ECORRUPT  the shared memory is damaged; the detail says what and where
 * and changes nothing then.
 *
 * Units: times in nanoseconds (_ns), sizes in bytes (_bytes), rates in messages
 * a second. UINT64_MAX (UINT32_MAX for kernels) means unlimited. A limit of 0
 * is legal and rejects everything.
 *
 * Structs that the caller hands in begin with `size` and `flags`: set size to
 * sizeof (or use the _INIT macro) and flags to 0. Arrays of results: the caller
 * sets size in the first element; it is the stride of the array.
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

#define K2K_VERSION_MAJOR 0
#define K2K_VERSION_MINOR 1
#define K2K_VERSION_PATCH 0

/* ---- limits and types --------------------------------------------------- */

#define K2K_NAME_MAX 64          /* characters of a registry's name, [A-Za-z0-9_-] */
#define K2K_BROKERS_MAX 64       /* broker handles attached at once */
#define K2K_ADMIT_MAX (UINT64_C(1) << 32)     /* messages in one admit */
#define K2K_RATE_MAX (UINT64_C(1) << 33)      /* a finite rate counts as at most this */
#define K2K_UNLIMITED UINT64_MAX
#define K2K_UNLIMITED_KERNELS UINT32_MAX
#define K2K_NEVER_NS UINT64_MAX  /* retry_after_ns: waiting does not help */

typedef uint64_t k2k_tenant_id;
#define K2K_TENANT_UNSPECIFIED ((k2k_tenant_id)0)

struct k2k_registry;             /* a handle, opaque */

/*
 * Whom to bill. Costs and budgets are keyed by engagement_id alone; org_id only appears in audit
 * events.
 */
struct k2k_audit_tag {
	uint64_t org_id;
	uint64_t engagement_id;
};

struct k2k_budget {
	uint64_t engagement_id;
	uint64_t budget_ns;      /* K2K_UNLIMITED: no budget */
};

struct k2k_quota {
	uint32_t size, flags;
	uint64_t max_messages_per_sec;
	uint64_t max_gpu_memory_bytes;
	uint32_t max_concurrent_kernels;
	uint32_t budget_count;
	const struct k2k_budget *budgets;   /* of the same engagement the last counts */
};
/* 16 kernels, 2 GiB, 100,000 messages a second, no budget: the default of k2k_tenant_register */
#define K2K_QUOTA_STANDARD \
	{ sizeof(struct k2k_quota), 0, UINT64_C(100000), UINT64_C(2147483648), 16, 0, NULL }
#define K2K_QUOTA_UNLIMITED \
	{ sizeof(struct k2k_quota), 0, K2K_UNLIMITED, K2K_UNLIMITED, K2K_UNLIMITED_KERNELS, 0, NULL }

/* What k2k_tenant_update changes. */
enum {
	K2K_UPDATE_RATE       = 1 << 0,
	K2K_UPDATE_GPU_MEMORY = 1 << 1,
	K2K_UPDATE_KERNELS    = 1 << 2,
	/* sets those listed, removes those listed as K2K_UNLIMITED, leaves the others */
	K2K_UPDATE_BUDGETS    = 1 << 3,
};

/* The answer to a request in numbers. Filled on success and on every rejection. */
struct k2k_verdict {
	uint32_t size, flags;
	int32_t code;            /* the call's return value */
	uint32_t reserved;
	/*
	 * rate: messages counted in this second; budget: ns; kernels; bytes. After a grant: with it
	 */
	uint64_t used;
	uint64_t limit;          /* in the same unit; UINT64_MAX = unlimited */
	uint64_t remaining;      /* limit - used, not below 0 */
	/*
	 * rate: until the next second has begun, never less; 0 = not rejected; K2K_NEVER_NS =
	 * waiting alone does not help
	 */
	uint64_t retry_after_ns;
	uint64_t window;         /* rate: the second, of CLOCK_MONOTONIC, that was decided in */
};
#define K2K_VERDICT_INIT { sizeof(struct k2k_verdict), 0, 0, 0, 0, 0, 0, 0, 0 }

enum {
	K2K_LEASE_KERNEL     = 1 << 0,
	K2K_LEASE_GPU_MEMORY = 1 << 1,
};

/* What k2k_kernel_acquire and k2k_gpu_memory_acquire handed out; give it back unchanged. */
struct k2k_lease {
	uint32_t size, flags;    /* flags: filled by acquire with K2K_LEASE_... */
	k2k_tenant_id id;
	uint64_t generation;     /* of the tenant's registration; 0 for tenant 0 */
	uint64_t amount;         /* kernels (1) or bytes; 0 once released */
};
#define K2K_LEASE_INIT { sizeof(struct k2k_lease), 0, 0, 0, 0 }

/* ---- errors ------------------------------------------------------------- */

enum {
	K2K_OK            = 0,
	/* where errno says exactly it */
	K2K_EPERM         = -1,     /* EPERM: the system refuses the access rights needed */
	K2K_ENOREGISTRY   = -2,     /* ENOENT: no registry of that name */
	K2K_EIO           = -5,     /* EIO: the system failed; the detail has its error */
	/* ENOMEM: memory, or room in /dev/shm, is short; the detail says how much */
	K2K_ENOMEM        = -12,
	K2K_EBUSY         = -16,    /* EBUSY: a deadline passed; the detail names who holds it up */
	K2K_EEXIST        = -17,    /* EEXIST: the registry, or the tenant, exists already */
	K2K_EINVAL        = -22,    /* EINVAL: the caller's mistake; nothing was changed */
	K2K_EFULL         = -28,    /* ENOSPC: a table is full; the detail's object names it */
	/* our own */
	K2K_EUNSPECIFIED  = -5001,  /* tenant 0 can't be registered, updated or deregistered */
	K2K_ENOTENANT     = -5002,  /* no such tenant */
	K2K_ENOBUDGET     = -5003,  /* no budget for that engagement */
	K2K_ERATE         = -5004,  /* rejected: messages a second; can be retried */
	K2K_EBUDGET       = -5005,  /* rejected: the engagement's GPU time is used up */
	K2K_EKERNELS      = -5006,  /* rejected: all kernel slots are held */
	K2K_EGPUMEM       = -5007,  /* rejected: GPU memory */
	/* the ledger can't book it: counted in the tenant's unattributed total */
	K2K_EUNBOOKED     = -5008,
	/* the tenant was deregistered meanwhile; may be missing in its final totals */
	K2K_EGONE         = -5009,
	K2K_ENOTHELD      = -5010,  /* release of what this broker does not hold */
	K2K_ESTALE        = -5011,  /* the lease belongs to an earlier registration of the tenant */
	/* 64 brokers are attached already, of whoever may open the registry as BROKER */
	K2K_ENOBROKERSLOT = -5012,
	/* another layout version, byte order, record size or feature; the detail tells which */
	K2K_ELAYOUT       = -5013,
	K2K_EBOOT         = -5014,  /* the registry is of another boot of the machine */
	/* owned by somebody else, not a regular file, or open to strangers */
	K2K_EOWNER        = -5015,
	K2K_ECORRUPT      = -5016,
	K2K_EFENCED       = -5017,
	K2K_EFORKED       = -5018,
	K2K_EROLE         = -5019,
	/*
	 * the registry requires audit, and no follower of the trail keeps up: nothing was changed;
	 * can be retried
	 */
	K2K_ENOAUDIT      = -5020,
};

/*
 * "no such tenant" and "K2K_ENOTENANT"; for an unknown code a text that says so. Never null. Any
 * context.
 */
K2K_API const char *k2k_strerror(int code);
K2K_API const char *k2k_errname(int code);

/*
 * What lies behind the last error of this thread that was not a plain rejection
 * (ERATE, EBUDGET, EKERNELS, EGPUMEM, ENOTENANT, EUNBOOKED, EGONE, ENOTHELD,
 * ESTALE leave it as it was). The pointer is valid until the thread ends. Where
 * there was no memory for a thread's detail it shares one with other such
 * threads: then the text may be of another thread's error.
 */
struct k2k_error_detail {
	int32_t code;
	int32_t system_errno;    /* errno behind it, or 0 */
	uint64_t expected, found;
	uint64_t pid;            /* who holds it up, or 0 */
	/*
	 * "defs", "live", "tenants", "engagements", "leases", "budgets", "writer", "broker 3", ...
	 */
	char object[32];
	char field[32];
	char text[256];          /* one sentence for people */
};
K2K_API const struct k2k_error_detail *k2k_error_detail(void);

/* ---- registry ----------------------------------------------------------- */

enum k2k_role {
	K2K_ROLE_ADMIN    = 1,   /* definitions, reads; needs write rights on both objects */
	K2K_ROLE_BROKER   = 2,   /* reads, admit, lease, track; defs read-only, live writable */
	K2K_ROLE_OBSERVER = 3,   /* reads; both read-only */
};

enum {
	/*
	 * Obsolete: accepted, without effect. The library once shared liburcu's readers with the
	 * program, and this told that the program calls urcu_bp_before_fork() and its two
	 * companions. It needs them no more.
	 */
	K2K_OPEN_CALLER_FORK_HOOKS = 1 << 0,
	/* owner_uid is set: accept this owner too, besides root and oneself */
	K2K_OPEN_OWNER_UID         = 1 << 1,
	K2K_OPEN_TIMEOUT           = 1 << 2,    /* timeout_ns is set */
	/*
	 * OBSERVER, who may write live: takes one of 8 records that say how far the audit trail is
	 * kept (k2k_audit_kept). In such a handle's name no event is written over unseen:
	 * administrators wait for it, what is lost is counted for all.
	 */
	K2K_OPEN_FOLLOWER          = 1 << 3,
};

struct k2k_open_options {
	uint32_t size, flags;
	/* longest wait of any one call of this handle; 5 s unless given; 0 = don't wait */
	uint64_t timeout_ns;
	uint32_t owner_uid;
	uint32_t reserved;
	/* the program's name in audit events; the process's comm unless given */
	const char *actor;
};
#define K2K_OPEN_OPTIONS_INIT { sizeof(struct k2k_open_options), 0, 0, 0, 0, NULL }

enum {
	K2K_CREATE_GROUP = 1 << 0,       /* gid is set */
	K2K_CREATE_MODE  = 1 << 1,       /* mode is set */
	/*
	 * Changes of definitions (register, update, deregister, budgets) need a follower of the
	 * audit trail that keeps up (K2K_OPEN_FOLLOWER): alive, heard of within three seconds, able
	 * to write, with room in the administrators' ring. Else they answer ENOAUDIT after the
	 * handle's timeout, and change nothing. Messages, leases, repair, destroy never need one.
	 * For the registry's life. Who may write live can pose as such a follower.
	 */
	K2K_CREATE_REQUIRE_AUDIT = 1 << 2,
};

/* Sizes of the tables; 0 = the default. Fixed for the registry's life. */
struct k2k_create_options {
	uint32_t size, flags;
	uint64_t max_tenants;        /* 4096; at most 2^24 */
	/*
	 * 65536; at most 2^28. From 64 on: half is the most for one tenant, a quarter for budgets
	 * alone
	 */
	uint64_t max_engagements;
	/*
	 * 4 x max_tenants; at most 2^28: (tenant, broker) pairs that hold something; with room for
	 * 64 more
	 */
	uint64_t max_leases;
	uint64_t max_budgets;        /* 16384; at most 2^28 */
	/*
	 * 0660: of live; defs loses write for group and others. Owner's read and write are required
	 */
	uint32_t mode;
	uint32_t gid;                /* group of both objects */
	/*
	 * 256: events that each of the 129 audit rings keeps; rounded up to a power of two; at most
	 * 2^16
	 */
	uint64_t max_audit_events;
};
#define K2K_CREATE_OPTIONS_INIT { sizeof(struct k2k_create_options), 0, 0, 0, 0, 0, 0, 0, 0 }

struct k2k_registry_plan {
	uint32_t size, flags;
	uint64_t defs_bytes, live_bytes, total_bytes;
	uint64_t shm_free_bytes;         /* of the file system under /dev/shm */
	uint64_t memory_free_bytes;      /* MemAvailable */
	uint64_t cgroup_free_bytes;      /* memory controller's room; UINT64_MAX = no limit */
	/* with the defaults filled in */
	uint64_t max_tenants, max_engagements, max_leases, max_budgets;
	uint64_t max_audit_events;       /* of one ring */
};

/*
 * Says how many bytes a registry of these sizes takes, and how many are free. Creates nothing.
 * options may be null.
 */
K2K_API int k2k_registry_plan(const struct k2k_create_options *options, struct k2k_registry_plan *plan);

/*
 * Creates a registry. Its name appears only when it is complete. With `handle`
 * not null also opens it as ADMIN.
 * Returns: EEXIST; ENOMEM (needed and free bytes in the detail's expected and
 *   found), EPERM, EIO; with `handle` also what k2k_registry_open
 *   returns: then the registry is removed again.
 * Context: system calls, allocates all memory at once. Killed: what was built
 *   is gone, or is swept by the next create, destroy or open as ADMIN.
 */
K2K_API int k2k_registry_create(const char *name, const struct k2k_create_options *options,
                                struct k2k_registry **handle);

/*
 * Attaches. options may be null. *handle is null on error.
 * Returns: ENOREGISTRY, ELAYOUT, EBOOT, EOWNER, EPERM, ENOBROKERSLOT, ENOMEM,
 *   EIO; EFULL where all records of followers are taken; EBUSY where what another process does
 *   didn't end in time. EIO also where a sandbox refuses membarrier(2) that did not when the first
 *   handle was opened; refused from the beginning it is not used, and each call has a fence more.
 * Context: constant work; a handle has a thread, a BROKER two (all signals blocked).
 * Killed: a taken broker slot is free for the next.
 */
K2K_API int k2k_registry_open(const char *name, enum k2k_role role, const struct k2k_open_options *options,
                              struct k2k_registry **handle);

/*
 * Detaches and sets *handle to null. Refuses new calls, waits for those under
 * way in other threads, flushes coalesced audit events, gives all leases back.
 * Returns: EBUSY from inside an audit sink, or where another thread does not end its
 *   batch in time: the handle stays open. In a forked child it frees the
 *   child's copy, touches nothing shared, and answers EFORKED. EIO: a sandbox
 *   refuses membarrier(2) now, so nobody can tell when the calls under way have
 *   ended: the handle is closed, and what it holds comes back when the process ends.
 *   Nor does then what others deregister become free for reuse until it ends.
 */
K2K_API int k2k_registry_close(struct k2k_registry **handle);

enum { K2K_DESTROY_FORCE = 1 << 0 };     /* also with brokers attached */

/*
 * Removes the registry `name`; handles that are open answer EFENCED from then on.
 * Returns: ENOREGISTRY; EBUSY with brokers attached and no FORCE (the detail has
 *   one's pid), or where the writer's lock was not to be had in timeout_ns; EPERM.
 * Killed: the next command on this name finishes it.
 */
K2K_API int k2k_registry_destroy(const char *name, uint32_t flags, const struct k2k_open_options *options);

/* retired: waits for a grace period */
struct k2k_table_info { uint64_t used, retired, capacity; };

enum {
	K2K_INFO_AUDIT_SINK    = 1 << 0,       /* this handle has an audit sink */
	K2K_INFO_REQUIRE_AUDIT = 1 << 1,       /* created with K2K_CREATE_REQUIRE_AUDIT */
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
	/* requests for unknown tenants, cross-tenant attempts, since creation */
	uint64_t unknown_tenant_total, cross_tenant_total;
	uint32_t owner_uid, owner_gid, defs_mode, live_mode;
	struct k2k_table_info tenants, engagements, leases, budgets;
	uint64_t max_audit_events;             /* that each audit ring keeps */
	/* GPU time of records that repairs have cut out, because no tenant can be told of them */
	uint64_t cut_gpu_ns;
};
K2K_API int k2k_registry_info(struct k2k_registry *reg, struct k2k_registry_info *info);

struct k2k_finding {
	uint32_t size, flags;
	char invariant[8];       /* "I1" ... "I8", or "layout", "intent" */
	char object[32];
	char text[160];
};

/*
 * Verifies the invariants, changes nothing. *count is the number of findings,
 * of which the first `capacity` are in `findings` (may be null with 0).
 * ADMIN: under the writer's lock, so that nothing moves (EBUSY). OBSERVER,
 * BROKER: a finding is reported only if it is still there on a second look.
 */
K2K_API int k2k_registry_check(struct k2k_registry *reg, struct k2k_finding *findings, size_t capacity, size_t *count);

struct k2k_repair_info {
	uint32_t size, flags;
	uint64_t tenants, budgets, engagements, leases;   /* records completed, undone or freed */
	uint64_t brokers;                                 /* slots of dead brokers cleared */
	/* unreferenced objects removed from /dev/shm */
	uint64_t files;
	/* what could not be, in memory that brokers write, and was cut out or set right: */
	/* how many times: k2k_repair_list tells of each */
	uint64_t damaged;
	/* holdings of a broker that count no more: its release of them is ENOTHELD */
	uint64_t cut_leases;
	/* GPU time of records that no tenant can be told of: k2k_registry_info sums it up */
	uint64_t cut_gpu_ns;
	/* GPU time that went into its tenant's unattributed total */
	uint64_t unattributed_ns;
};
/*
 * ADMIN. Finishes what killed processes left; every other ADMIN call that changes something begins
 * with the needed part of it. Whatever a broker has left in its memory: afterwards changes,
 * admissions and bookings work. What can't be true there is cut out or set right, counted in *info,
 * and told in the audit trail; brokers may run beside it. Other ADMIN calls that meet damage do the
 * same. Two things are lost: what a broker is cut out of holding, and GPU time of records whose
 * tenant can't be told, which stays counted. A tenant whose rate window was damaged is admitted
 * again from the next second on.
 * Returns: 0; EBUSY (the writer's lock), EPERM, EIO, ENOMEM; ECORRUPT where the definitions are
 * damaged, which no broker can.
 * Killed: repair again. GPU time of one record that was being cut out may be in no total.
 */
K2K_API int k2k_registry_repair(struct k2k_registry *reg, struct k2k_repair_info *info);
/*
 * What the newest repair by this handle has cut out or set right, each in a sentence: the first
 * 256. *count is their number, the first `capacity` of them are in `findings` (may be null with 0).
 * ADMIN. EBUSY as repair.
 */
K2K_API int k2k_repair_list(struct k2k_registry *reg, struct k2k_finding *findings, size_t capacity, size_t *count);

/* ---- tenants ------------------------------------------------------------ */

struct k2k_rejected { uint64_t rate, budget, kernels, gpu_memory; };

/* In flags of infos and totals. */
enum {
	/*
	 * what brokers write of this tenant is damaged; repair mends it. Numbers that can't be told
	 * are 0
	 */
	K2K_TENANT_DAMAGED = 1 << 0,
};

struct k2k_tenant_info {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t registered_at_ns;          /* since 1970 */
	uint64_t max_messages_per_sec, max_gpu_memory_bytes;
	uint32_t max_concurrent_kernels, budget_count;
	uint64_t admitted_total;            /* by admit and record */
	struct k2k_rejected rejected_total;
	uint64_t messages_this_second;
	uint64_t window;                    /* the second that the count is of */
	uint64_t unattributed_ns;           /* GPU time that the ledger could not book */
	uint64_t kernels, gpu_memory_bytes; /* held by living brokers */
};

struct k2k_tenant_totals {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t admitted_total;
	struct k2k_rejected rejected_total;
	uint64_t gpu_ns_total;              /* booked, all engagements */
	uint64_t unattributed_ns;
	uint64_t kernels, gpu_memory_bytes; /* leases that ended with the registration */
	uint32_t final;                     /* 1: no call under way can add to it any more */
	uint32_t reserved;
};

/*
 * Registers a tenant; quota null = K2K_QUOTA_STANDARD. All of it or nothing.
 * Role: ADMIN. Of many racing calls for one id exactly one succeeds.
 * Returns: EUNSPECIFIED (id 0), EEXIST, EFULL ("tenants", "budgets" or
 *   "engagements"), EBUSY (all free slots wait for a grace period, or the writer's
 *   lock: the detail names the process).
 * Context: system calls; waits up to the handle's timeout. Killed: the next writer completes or
 * undoes it.
 */
K2K_API int k2k_tenant_register(struct k2k_registry *reg, k2k_tenant_id id, const struct k2k_quota *quota);

/*
 * Changes what `mask` (K2K_UPDATE_...) names, all at once; keeps usage. A lowered limit revokes
 * nothing. ADMIN. Audited is what differs from what was in force: a change of budgets by an event
 * for each budget that is set, removed or given another value (none twice, whatever the list says),
 * a change of limits by one event more. An update to what is in force already succeeds, and leaves
 * no event. So do budget_set and budget_unset.
 * Returns: ENOTENANT, EUNSPECIFIED, EFULL, EBUSY. Killed: all or nothing.
 */
K2K_API int k2k_tenant_update(struct k2k_registry *reg, k2k_tenant_id id, const struct k2k_quota *quota, uint32_t mask);

/*
 * Removes a tenant with its budgets, costs and leases. ADMIN. With totals null it returns at once;
 * else it waits until no call under way can add to them, at most for the handle's timeout. If they
 * can't be final by then, they are as counted so far, totals->final is 0, and the return value is
 * 0: the tenant is gone, and the process that frees its slot reports the final totals in the audit
 * trail, as this call does otherwise (twice if it is killed while doing so).
 * Returns: ENOTENANT, EUNSPECIFIED, EBUSY (writer's lock), ENOMEM. After the tenant is gone only
 *   EFENCED, and EINVAL if the handle was closed, with totals as above.
 * Context: waits without the writer's lock, unless in a batch.
 */
K2K_API int k2k_tenant_deregister(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_tenant_totals *totals);
/*
 * The same for many tenants, with one grace period and one sweep of the ledger. ADMIN. totals,
 * codes: null, or of `count` elements; totals[0].size is that of each. An id that is not
 * registered, or given twice, has its own code; the others are deregistered.
 * Returns: 0; else the first code that is not 0, of an id (ENOTENANT, EUNSPECIFIED) or of all
 *   (EBUSY, ENOMEM, ECORRUPT).
 * Context: as above. Killed: each id is deregistered or not.
 */
K2K_API int k2k_tenant_deregister_many(struct k2k_registry *reg, const k2k_tenant_id *ids, size_t count,
                                       struct k2k_tenant_totals *totals, int *codes);

/* A tenant as it was in another registry. */
struct k2k_usage {
	uint64_t engagement_id, gpu_ns;
};
struct k2k_tenant_image {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;                /* above all that this registry has given out */
	uint64_t registered_at_ns;          /* since 1970 */
	uint64_t admitted_total;
	struct k2k_rejected rejected_total;
	uint64_t unattributed_ns;
	const struct k2k_quota *quota;
	const struct k2k_usage *usage;      /* of the same engagement: the sum, saturating */
	uint32_t usage_count, reserved;
};
/*
 * Registers a tenant with the generation, the totals and the costs that it had elsewhere: all of it
 * or nothing, and nobody sees it before it is whole. ADMIN. So that no generation is given twice,
 * those of many are restored in rising order, and the registry goes on above the last.
 * Returns: EUNSPECIFIED, EEXIST, EBUSY as register; EINVAL also for a generation that this registry
 * has passed, 0, and one
 *   larger than any that is given; EFULL also where room would come back after a grace period.
 *   Where it fails with EFULL the generation may be used up.
 * Context, Killed: as register; a killed one may have used up its generation.
 */
K2K_API int k2k_tenant_restore(struct k2k_registry *reg, const struct k2k_tenant_image *image);
/*
 * No registration gets a generation up to this one any more: those that were deregistered elsewhere
 * stay theirs. ADMIN. EBUSY. Killed: done or not.
 */
K2K_API int k2k_generation_pass(struct k2k_registry *reg, uint64_t generation);

/*
 * A batch: from begin to end the calling thread has the writer's lock for all its changes through
 * this handle (register, update, deregister, budgets, check, repair), and takes it once instead of
 * once a change: 100,000 tenants are registered in the time of some thousand. It is no transaction:
 * each call in it is complete by itself when it returns, seen by all, audited, and stays so
 * whatever becomes of the batch. Meanwhile other processes' changes, and those of other threads and
 * other handles of this process, wait as long as their timeouts allow, and answer EBUSY with this
 * process's pid: so keep it short. Nothing else waits: admissions, leases, bookings and reads go
 * on. What waits for a grace period in a batch (a full table, final totals) waits with the lock
 * held, up to the handle's timeout, as it would without. A removed or replaced name is noticed
 * within a second.
 * Role: ADMIN. Returns, begin: EBUSY (the writer's lock: the detail names the process), EPERM, EIO,
 * ENOMEM, EINVAL in a
 *   batch of the same thread. end: EINVAL where this thread has begun none; it ends a batch on a
 *   handle that was fenced, too.
 * Context: begin makes system calls, and waits up to the handle's timeout; end makes one system
 * call. A thread must not end inside
 *   its batch. close by the thread that has the batch ends it; close by another waits for its end,
 *   up to the timeout: then EBUSY, and the handle stays open. A child that is forked in a batch
 *   does not have it (EFORKED). An audit sink runs inside of it.
 * Killed: what had returned is done, the call under way is completed or undone by the next writer,
 * and the lock is free.
 */
K2K_API int k2k_batch_begin(struct k2k_registry *reg);
K2K_API int k2k_batch_end(struct k2k_registry *reg);

/*
 * A consistent copy. Any role. Tenant 0 is never registered.
 * Returns: ENOTENANT. ECORRUPT: where its definition could be read *info is filled all the same,
 * with K2K_TENANT_DAMAGED in its
 *   flags, and 0 for what can't be told (messages_this_second and window; kernels and
 *   gpu_memory_bytes); else flags is 0.
 */
K2K_API int k2k_tenant_get(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_tenant_info *info);
K2K_API int k2k_tenant_is_registered(struct k2k_registry *reg, k2k_tenant_id id, int *registered);
K2K_API int k2k_tenant_count(struct k2k_registry *reg, size_t *count);
/*
 * The first `capacity` ids, in no order; *count is how many there are. Call again with more room
 * where count > capacity.
 */
K2K_API int k2k_tenant_ids(struct k2k_registry *reg, k2k_tenant_id *ids, size_t capacity, size_t *count);

/* ---- budgets ------------------------------------------------------------ */

/* flags: K2K_TENANT_DAMAGED: used_ns can't be told, and is 0. */
struct k2k_budget_info {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t engagement_id;
	uint64_t budget_ns, used_ns;
};
/* ADMIN. The last set wins; usage is kept. Brokers can't take the records that it needs (max_engagements).
 * ENOTENANT, EFULL, EBUSY; unset: ENOBUDGET. budget_ns K2K_UNLIMITED is EINVAL: unset it. */
K2K_API int k2k_budget_set(struct k2k_registry *reg, k2k_tenant_id id, uint64_t engagement_id, uint64_t budget_ns);
K2K_API int k2k_budget_unset(struct k2k_registry *reg, k2k_tenant_id id, uint64_t engagement_id);
/* Of one tenant (ENOTENANT), or with K2K_TENANT_UNSPECIFIED of all. */
K2K_API int k2k_budget_list(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_budget_info *list, size_t capacity,
                            size_t *count);

/* ---- who is attached, who holds what, what was used --------------------- */

enum k2k_broker_state {
	K2K_BROKER_ACTIVE  = 1,
	/* alive, but does not run: by a signal, a debugger, or the freezer of its cgroup */
	K2K_BROKER_STOPPED = 2,
	K2K_BROKER_DEAD    = 3,      /* its slot waits for the next broker */
	/* alive, in another pid namespace: can't tell whether it runs */
	K2K_BROKER_UNKNOWN = 4,
};

struct k2k_broker_info {
	uint32_t size, flags;
	uint32_t slot;
	uint32_t state;              /* enum k2k_broker_state */
	uint64_t incarnation;
	uint64_t pid;
	uint64_t pid_namespace;      /* inode of /proc/PID/ns/pid */
	uint64_t attached_at_ns;     /* since 1970 */
	char comm[16];
	uint64_t kernels, gpu_memory_bytes;      /* held; 0 where dead */
	uint64_t cross_tenant_total, unknown_tenant_total;
	/* grace periods not yet answered; > 0 for longer: it holds up the reuse of slots */
	uint64_t grace_behind;
};
K2K_API int k2k_broker_list(struct k2k_registry *reg, struct k2k_broker_info *list, size_t capacity, size_t *count);

#define K2K_LEASE_SLOT_NONE UINT32_MAX
/*
 * flags: K2K_TENANT_DAMAGED: what the tenant's brokers hold can't be told; the one row of it is of
 * K2K_LEASE_SLOT_NONE.
 */
struct k2k_lease_info {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint32_t slot;               /* the broker's */
	uint32_t reserved;
	uint64_t pid;
	uint64_t kernels, gpu_memory_bytes;
};
/* What living brokers hold: of one tenant, or with K2K_TENANT_UNSPECIFIED of all. */
K2K_API int k2k_lease_list(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_lease_info *list, size_t capacity,
                           size_t *count);

struct k2k_usage_info {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t engagement_id;
	uint64_t gpu_ns;
};
/*
 * GPU time by tenant and engagement: of one tenant, or with K2K_TENANT_UNSPECIFIED of all. A
 * budget's unused engagement appears with 0.
 */
K2K_API int k2k_usage_list(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_usage_info *list, size_t capacity,
                           size_t *count);

/* ---- messages ----------------------------------------------------------- *
 *
 * check, record, admit and track make no system call, take no lock and allocate
 * nothing once the thread has used the registry (an application's audit sink
 * does what it does). Tenant 0 always passes, and nothing is counted for it; so too
 * for its leases. It passes without a look at whether the registry is still there: where that is
 * gone, until the handle is fenced (for a broker within some seconds); then it answers EFENCED, as
 * every call. Exact over all processes: in each second the messages counted by admit are at most
 * the limit, and as many as the limit where more was asked. A call that was decided while the limit
 * was changed counts under one of the two limits. Each message reads the clock,
 * CLOCK_MONOTONIC_COARSE: a second begins with the timer tick after it, at most 10 ms late,
 * whatever was stopped or did not get to run. Only a call that is stopped between its look at the
 * clock and its count is counted in a second that may be over: one call a thread. Before a message
 * is refused CLOCK_MONOTONIC itself is asked, so retry_after_ns is never too short. EIO, nothing is
 * counted: the machine has been up for 2^30 seconds (34 years), which a window can't name.
 */

/*
 * Would n messages be admitted now? Peek: consumes nothing,
 * changes nothing shared: a rejection goes to the audit sink of this handle, but is neither in the
 * tenant's totals nor in the audit trail. (One by admit is in all three.) Any role. n from 1 to
 * K2K_ADMIT_MAX. verdict may be null.
 * Returns: 0, ENOTENANT, ERATE, EBUDGET.
 */
K2K_API int k2k_quota_check(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag, uint64_t n,
                            struct k2k_verdict *verdict);

/*
 * Counts one message without asking. BROKER. EIO as of admit; ENOTENANT, which goes into the audit
 * trail but not to the sink, as of track. Killed: counted or not. A second's count has 34 bits.
 * Admissions stay far below: a limit counts as at most 2^33. But 2^34 records in one second, or as
 * many messages of an unlimited tenant, count as none in it: `used` is too low by a multiple of
 * 2^34, and the limit lets as many pass again in this second, and where it was set within it, once
 * more in the next. Totals stay exact.
 */
K2K_API int k2k_message_record(struct k2k_registry *reg, k2k_tenant_id id);

/*
 * Checks and counts n messages in one atomic step, all or none: rate first, then
 * the engagement's budget, then the count. BROKER. verdict may be null.
 * Returns: 0, ENOTENANT, ERATE, EBUDGET. Killed: counted or not, never in part.
 */
K2K_API int k2k_message_admit(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag, uint64_t n,
                              struct k2k_verdict *verdict);

/*
 * Books gpu_ns on (tenant, tag.engagement_id). BROKER. Saturates at UINT64_MAX.
 * Returns: 0 - it is in the tenant's final totals; ENOTENANT; EGONE; EUNBOOKED -
 *   the ledger is full, or saturated, or this tenant has its half of the records (max_engagements):
 *   what could not be booked is in the tenant's unattributed total.
 */
K2K_API int k2k_usage_track(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag, uint64_t gpu_ns);

/*
 * GPU time of an engagement: over all registered tenants (saturating), or of one tenant (ENOTENANT;
 * an unknown engagement is 0).
 */
K2K_API int k2k_usage_engagement(struct k2k_registry *reg, struct k2k_audit_tag tag, uint64_t *gpu_ns);
K2K_API int k2k_usage_engagement_for(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag, uint64_t *gpu_ns);

/* ---- leases: kernel slots and GPU memory -------------------------------- *
 *
 * Held by the broker handle that acquired them until released, until it is
 * closed, its process has died, or the tenant is deregistered. Exact over all
 * processes. lease and verdict may be null.
 * Context: takes a mutex of the handle; near the limit asks the kernel whether
 *   other brokers live; waits only while another broker's request is decided,
 *   some 20 ms at most. Killed: what it held is free.
 */

/* One kernel slot. BROKER. Tenant 0: always granted, nothing is counted.
 * Returns: ENOTENANT, EKERNELS, EFULL ("leases": for 20 ms, each record held something for a living broker), EBUSY (requests of others, e.g. of a stopped broker, stand in the way). */
K2K_API int k2k_kernel_acquire(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_lease *lease,
                               struct k2k_verdict *verdict);
/*
 * Returns: ENOTHELD, ESTALE (the tenant is gone or registered anew; nothing of the new one is
 * changed).
 */
K2K_API int k2k_kernel_release(struct k2k_registry *reg, struct k2k_lease *lease);
/*
 * The same without a lease: one slot of the current registration. Tenant 0: nothing. ENOTENANT,
 * ENOTHELD.
 */
K2K_API int k2k_kernel_release_id(struct k2k_registry *reg, k2k_tenant_id id);

/* bytes >= 1. Returns as above, with EGPUMEM. */
K2K_API int k2k_gpu_memory_acquire(struct k2k_registry *reg, k2k_tenant_id id, uint64_t bytes, struct k2k_lease *lease,
                                   struct k2k_verdict *verdict);
K2K_API int k2k_gpu_memory_release(struct k2k_registry *reg, struct k2k_lease *lease);
K2K_API int k2k_gpu_memory_release_id(struct k2k_registry *reg, k2k_tenant_id id, uint64_t bytes);

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

struct k2k_audit_event {
	uint32_t size, flags;
	enum k2k_audit_level level;
	enum k2k_audit_type type;
	int32_t code;                /* the rejection's K2K_E... code; 0 for others */
	uint32_t field_count;
	uint64_t time_ns;            /* since 1970: of the newest of `count` */
	/* how many equal rejections this event stands for; their sum is exact */
	uint64_t count;
	/* "k2k_broker", "k2k_tenant_registry", or the program's name */
	const char *actor;
	const char *target;          /* destination kernel of a cross-tenant attempt, else null */
	const char *description;
	/* from_tenant, to_tenant, ...; tenant, org_id, engagement_id; tenant, generation, ... */
	const struct k2k_audit_field *fields;
};

/* Called synchronously in the thread that caused the event, or, with repeats counted before, in a thread of the handle (all
 * signals blocked; it starts with the first sink). The event is valid only during the call. May
 * call the registry, but neither close nor set_audit_sink (K2K_EBUSY).
 * Must return: neither longjmp() nor pthread_exit(). */
typedef void (*k2k_audit_sink)(void *context, const struct k2k_audit_event *event);

/*
 * Replaces the sink of this handle (null: none). Returns when the old one no longer runs; repeats
 * counted until then go to the old one. Any role.
 */
K2K_API int k2k_registry_set_audit_sink(struct k2k_registry *reg, k2k_audit_sink sink, void *context);

/*
 * Counts and audits a rejected cross-tenant attempt (level Security). BROKER. source and
 * destination: kernel names, not null.
 */
K2K_API int k2k_audit_cross_tenant(struct k2k_registry *reg, k2k_tenant_id from, k2k_tenant_id to, const char *source,
                                   const char *destination, struct k2k_audit_tag tag);

#include <k2k/audit_trail.h>

/* ---- small things --------------------------------------------------------- */

/* 1 where from and to differ (0 against 1 too), else 0. Any context. */
K2K_API int k2k_is_cross_tenant(k2k_tenant_id from, k2k_tenant_id to);

/* The library's version as "0.1.0". Any context. */
K2K_API const char *k2k_version(void);

#ifdef __cplusplus
}
#endif

#endif
