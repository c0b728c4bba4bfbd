/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * k2k/tenants.h - the part of <k2k/registry.h> about tenants and budgets, and about what brokers
 * hold and have used. Include that one.
 */
#ifndef K2K_TENANTS_H
#define K2K_TENANTS_H

#ifndef K2K_REGISTRY_H
#error "include <k2k/registry.h>"
#endif

/* ---- tenants ------------------------------------------------------------ */

struct k2k_rejected { uint64_t rate, budget, kernels, gpu_memory; };

/* In the flags of infos and totals. */
enum {
	/* what brokers write about this tenant is damaged; repair mends it. Numbers that can't be
	 * determined are 0 */
	K2K_TENANT_DAMAGED = 1 << 0,
};

struct k2k_tenant_info {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t registered_at_ns;          /* since 1970 */
	uint64_t max_messages_per_sec, max_gpu_memory_bytes;
	uint32_t max_concurrent_kernels, budget_count;
	uint64_t admitted_total;            /* messages, by admit and record */
	struct k2k_rejected rejected_total;
	uint64_t messages_this_second;
	uint64_t window;                    /* the second of that count */
	uint64_t unattributed_ns;           /* GPU time that the ledger could not book */
	uint64_t kernels, gpu_memory_bytes; /* held by living brokers */
};

struct k2k_tenant_totals {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t admitted_total;
	struct k2k_rejected rejected_total;
	uint64_t gpu_ns_total;              /* booked, of all engagements */
	uint64_t unattributed_ns;
	uint64_t kernels, gpu_memory_bytes; /* leases that ended with the registration */
	uint32_t final;                     /* 1: no call under way can add to them any more */
	uint32_t reserved;
};

/*
 * Registers a tenant, with all its budgets or not at all; quota null = K2K_QUOTA_STANDARD. Of many
 * racing calls for one id exactly one succeeds.
 * Role: ADMIN.
 * Returns: EUNSPECIFIED (id 0), EEXIST; EFULL ("tenants", "budgets" or "engagements"); EBUSY if all
 *   unused slots wait for a grace period, or the writer's lock is held: the detail names the
 *   process.
 * Context: system calls; waits up to the handle's timeout.
 * Killed: the next writer completes or undoes it.
 */
K2K_API int k2k_tenant_register(struct k2k_registry *reg, k2k_tenant_id id,
                                const struct k2k_quota *quota);

/*
 * Changes what `mask` (K2K_UPDATE_...) names, all at once, and keeps usage. A lowered limit revokes
 * nothing. Each value that differs from the one in force is audited: one event for each budget that
 * is set, removed or changed, and one for all other limits. An update to the values in force
 * succeeds and leaves no event. k2k_budget_set and k2k_budget_unset are audited in the same way.
 * Role: ADMIN. Returns: ENOTENANT, EUNSPECIFIED, EFULL, EBUSY.
 * Killed: all or nothing.
 */
K2K_API int k2k_tenant_update(struct k2k_registry *reg, k2k_tenant_id id,
                              const struct k2k_quota *quota, uint32_t mask);

/*
 * Removes a tenant with its budgets, costs and leases. If totals is null, it returns at once. Else
 * it waits until no call under way can add to the totals, at most for the handle's timeout. If that
 * takes longer, it still returns 0 and the tenant is gone: the totals are as counted so far, with
 * totals->final 0, and the process that frees the slot reports the final ones in the audit trail.
 * Otherwise this call reports them there (they may be there twice, if it is killed while it does
 * so).
 * Role: ADMIN.
 * Returns: ENOTENANT, EUNSPECIFIED, EBUSY (the writer's lock), ENOMEM: the tenant stays. Once the
 *   tenant is gone, only EFENCED, or EINVAL if the handle was closed; the totals are then as above.
 * Context: waits without the writer's lock, unless in a batch.
 */
K2K_API int k2k_tenant_deregister(struct k2k_registry *reg, k2k_tenant_id id,
                                  struct k2k_tenant_totals *totals);
/*
 * The same for many, with one grace period and one sweep of the ledger for all. totals, codes:
 * null, or `count` elements. An id that is not registered, or is given twice, gets a code of its
 * own; the others are deregistered.
 * Role: ADMIN.
 * Returns: 0; else the first code that is not 0, of an id (ENOTENANT, EUNSPECIFIED) or of all
 *   (EBUSY, ENOMEM, ECORRUPT).
 * Context: as above. Killed: of each id all or nothing.
 */
K2K_API int k2k_tenant_deregister_many(struct k2k_registry *reg, const k2k_tenant_id *ids,
                                       size_t count, struct k2k_tenant_totals *totals, int *codes);

/* A tenant as it was in another registry, with its usage. */
struct k2k_usage {
	uint64_t engagement_id, gpu_ns;
};
struct k2k_tenant_image {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;                /* above each that this registry has given out */
	uint64_t registered_at_ns;          /* since 1970 */
	uint64_t admitted_total;
	struct k2k_rejected rejected_total;
	uint64_t unattributed_ns;
	const struct k2k_quota *quota;
	const struct k2k_usage *usage;      /* several for one engagement are added, saturating */
	uint32_t usage_count, reserved;
};
/*
 * Registers a tenant with the generation, the totals and the costs that it had elsewhere. Others
 * see all of it or nothing. Restore many tenants in the order of their generations: the registry
 * continues above the last, so that it gives no generation twice.
 * Role: ADMIN.
 * Returns: EUNSPECIFIED, EEXIST, EBUSY as register. EINVAL also for a generation that is 0, that
 *   this registry has passed, or that is larger than any registry gives. EFULL also if there would
 *   be room after a grace period. After EFULL the generation may be used up.
 * Context: as register. Killed: as register; the generation may be used up.
 */
K2K_API int k2k_tenant_restore(struct k2k_registry *reg, const struct k2k_tenant_image *image);
/*
 * From now on no registration gets this generation or a lower one. So the generations of tenants
 * that were deregistered in another registry are never given to others.
 * Role: ADMIN. Returns: EBUSY. Killed: done or not.
 */
K2K_API int k2k_generation_pass(struct k2k_registry *reg, uint64_t generation);

/*
 * A batch. From begin to end the calling thread holds the writer's lock for all its changes through
 * this handle (register, update, deregister, budgets, check, repair), instead of taking it once for
 * each: 100,000 tenants are registered in the time that some thousand take without a batch. A batch
 * is no transaction: each call in it is complete when it returns, seen by all and audited, whatever
 * happens to the batch. Changes by other processes, by other threads and through other handles wait
 * meanwhile, as long as their timeouts allow, and then return EBUSY with this process's pid: so
 * keep a batch short. Nothing else waits: admissions, leases, bookings and reads go on. A call in a
 * batch that waits for a grace period (a full table, final totals) keeps the lock while it waits,
 * up to the handle's timeout. A removed or replaced name is noticed within a second.
 * Role: ADMIN.
 * Returns: begin: EBUSY (the writer's lock: the detail names the process), EPERM, EIO, ENOMEM;
 *   EINVAL inside a batch of the same thread. end: EINVAL if this thread has no batch; on a fenced
 *   handle it ends the batch and returns EFENCED.
 * Context: begin makes system calls, and waits up to the handle's timeout; end makes one system
 *   call. A thread must not end inside its batch. If the thread that has the batch calls
 *   k2k_registry_close, that ends the batch; if another thread does, the call waits for the batch's
 *   end, up to the timeout, and then returns EBUSY. A child that is forked in a batch does not have
 *   it (EFORKED). An audit sink runs inside the batch.
 * Killed: calls that had returned are done, the next writer completes or undoes the call under way,
 *   and the lock is free.
 */
K2K_API int k2k_batch_begin(struct k2k_registry *reg);
K2K_API int k2k_batch_end(struct k2k_registry *reg);

/*
 * A consistent copy. Tenant 0 is never registered.
 * Role: any.
 * Returns: ENOTENANT; EBUSY if the tenant is registered again and again meanwhile. ECORRUPT: if the
 *   tenant's definition could be read, *info is still filled, with K2K_TENANT_DAMAGED in its flags
 *   and 0 for what can't be determined (messages_this_second and window; kernels and
 *   gpu_memory_bytes); else *info is unchanged.
 */
K2K_API int k2k_tenant_get(struct k2k_registry *reg, k2k_tenant_id id,
                           struct k2k_tenant_info *info);
K2K_API int k2k_tenant_is_registered(struct k2k_registry *reg, k2k_tenant_id id, int *registered);
K2K_API int k2k_tenant_count(struct k2k_registry *reg, size_t *count);
/*
 * The first `capacity` ids, in no order; *count is how many there are. If that is more than
 * capacity, call again with more room.
 */
K2K_API int k2k_tenant_ids(struct k2k_registry *reg, k2k_tenant_id *ids, size_t capacity,
                           size_t *count);

/* ---- budgets ------------------------------------------------------------ */

/* If K2K_TENANT_DAMAGED is in flags, used_ns can't be determined, and is 0. */
struct k2k_budget_info {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t engagement_id;
	uint64_t budget_ns, used_ns;
};
/*
 * Sets or removes one budget. The last set wins; usage is kept. Brokers can't take the records that
 * budgets need (max_engagements).
 * Role: ADMIN. Returns: ENOTENANT, EFULL, EBUSY; set: EINVAL for K2K_UNLIMITED, which unset is for;
 *   unset: ENOBUDGET.
 */
K2K_API int k2k_budget_set(struct k2k_registry *reg, k2k_tenant_id id, uint64_t engagement_id,
                           uint64_t budget_ns);
K2K_API int k2k_budget_unset(struct k2k_registry *reg, k2k_tenant_id id, uint64_t engagement_id);
/* The budgets of one tenant (ENOTENANT), or with K2K_TENANT_UNSPECIFIED of all. */
K2K_API int k2k_budget_list(struct k2k_registry *reg, k2k_tenant_id id,
                            struct k2k_budget_info *list, size_t capacity, size_t *count);

/* ---- who is attached, who holds what, what was used --------------------- */

enum k2k_broker_state {
	K2K_BROKER_ACTIVE  = 1,
	/* alive, but stopped: by a signal, a debugger, or the freezer of its cgroup */
	K2K_BROKER_STOPPED = 2,
	K2K_BROKER_DEAD    = 3,      /* the next broker may take over its slot */
	/* alive, but in another pid namespace, or /proc does not show it: it may be stopped */
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
	uint64_t kernels, gpu_memory_bytes;      /* held; 0 of a dead broker */
	uint64_t cross_tenant_total, unknown_tenant_total;
	/* grace periods that it has not answered; while this is above 0, the broker delays the
	 * reuse of slots */
	uint64_t grace_behind;
};
K2K_API int k2k_broker_list(struct k2k_registry *reg, struct k2k_broker_info *list,
                            size_t capacity, size_t *count);

#define K2K_LEASE_SLOT_NONE UINT32_MAX
/*
 * If K2K_TENANT_DAMAGED is in flags, it can't be determined what brokers hold of this tenant. The
 * tenant then has this one row, with the slot K2K_LEASE_SLOT_NONE.
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
/* What living brokers hold of one tenant (ENOTENANT), or with K2K_TENANT_UNSPECIFIED of all. */
K2K_API int k2k_lease_list(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_lease_info *list,
                           size_t capacity, size_t *count);

struct k2k_usage_info {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t engagement_id;
	uint64_t gpu_ns;
};
/*
 * GPU time by tenant and engagement: of one tenant (ENOTENANT), or with K2K_TENANT_UNSPECIFIED of
 * all. An engagement that has a budget and no usage is listed with 0.
 */
K2K_API int k2k_usage_list(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_usage_info *list,
                           size_t capacity, size_t *count);

#endif
