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
	uint64_t admitted_total;            /* messages, by admit and record, modulo 2^63 */
	struct k2k_rejected rejected_total;
	/* in this window of rate_period; of a bucket, the part of the burst that is used up */
	uint64_t messages_this_second;
	uint64_t window;                    /* the second in which it began; of a bucket, now */
	uint64_t unattributed_ns;           /* GPU time that the ledger could not book */
	uint64_t kernels, gpu_memory_bytes; /* held by living brokers */
	uint64_t burst;
	uint32_t rate_policy, rate_period;  /* enum k2k_rate_policy, enum k2k_rate_period */
	uint32_t shadow, suspended;         /* 1: yes */
	char name[K2K_TENANT_NAME_MAX + 1]; /* empty: none */
	uint8_t alerts[K2K_ALERTS_MAX];     /* as in k2k_quota */
	/* The highest threshold that was reached; 0: none. rate: in this window, or in the last 60
	 * seconds; kernels, gpu_memory: at the last look, once a second. A threshold is here even
	 * if its event is missing. */
	uint8_t alerted_rate, alerted_kernels, alerted_gpu_memory, reserved;
	/* what would have been rejected in shadow; it has passed, and rejected_total lacks it */
	struct k2k_rejected shadow_rejected_total;
	uint64_t suspended_rejected_total;  /* rejected because the tenant was suspended */
	uint64_t rate_alone;                /* as in k2k_quota */
	uint32_t rate_shared;
	/* 1: the limit in force now is max_messages_per_sec; 0: it is rate_alone. Of a rate that is
	 * not shared it is 0 */
	uint32_t rate_holds;
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
	struct k2k_rejected shadow_rejected_total;
	uint64_t suspended_rejected_total;
	int64_t corrected_ns;               /* sum of k2k_usage_correct, of all engagements */
};

/*
 * Registers a tenant, with all its budgets or not at all; quota null = K2K_QUOTA_STANDARD. Of many
 * racing calls for one id, or for one name, exactly one succeeds. Outside of a batch a name costs a
 * look at each tenant, in a batch the first name does.
 * Role: ADMIN.
 * Returns: EUNSPECIFIED (id 0), EEXIST (the detail's field is "name" if another tenant has the
 *   name); EFULL ("tenants", "budgets" or "engagements"); EBUSY if all
 *   unused slots wait for a grace period, or the writer's lock is held: the detail names the
 *   process.
 * Context: system calls; waits up to the handle's timeout.
 * Killed: the next writer completes or undoes it.
 */
K2K_API int k2k_tenant_register(struct k2k_registry *reg, k2k_tenant_id id,
                                const struct k2k_quota *quota);

/*
 * Changes what `mask` (K2K_UPDATE_...) names, all at once, and keeps usage. A lowered limit revokes
 * nothing, and begins a grace period: when no broker's grace_behind (k2k_broker_list) is above 0,
 * no call is under way that saw the higher one. Each value that differs from the one in force is
 * audited: one event for each budget that is set, removed or changed, and one for all other limits.
 * An update to the values in force succeeds and leaves no event. k2k_budget_set and
 * k2k_budget_unset are audited in the same way.
 *
 * Shadow: the limits of a tenant in shadow are decided as always, but what they refuse passes. Such
 * a message is not counted as admitted, so each later one is decided as if it had been refused;
 * such a lease is held, and counts as every other. It is in shadow_rejected_total, in the audit
 * trail with K2K_AUDIT_SHADOW, and in the verdict's shadow_code. So a limit can be tried with real
 * traffic, and then be enforced by an update with K2K_UPDATE_SHADOW.
 * Role: ADMIN.
 * Returns: ENOTENANT, EUNSPECIFIED, EFULL, EBUSY; EEXIST: another tenant has the name.
 * Killed: all or nothing.
 */
K2K_API int k2k_tenant_update(struct k2k_registry *reg, k2k_tenant_id id,
                              const struct k2k_quota *quota, uint32_t mask);

/*
 * Thresholds (k2k_quota.alerts): the audit trail has an event of kind K2K_AUDIT_KIND_ALERT when a
 * use reaches one, by a call of any process. For each threshold there is
 *   rate     at most one in each window, of a bucket in each second: by the admit or record that
 *            reaches it. Of a bucket it is the part of the burst that is used up.
 *   budget   at most one in each period; of a budget that does not renew one each time that it is
 *            set to another amount. By the track or commit that reaches it, after it has booked, or
 *            by the administrator who lowers the budget, corrects its usage or adds the threshold.
 *            Reservations do not count.
 *   kernels, GPU memory   one whenever the use has risen to it: brokers look once a second, so it
 *            comes up to two seconds late, and a use that is over within a second may leave none.
 * A threshold of 100 is reached when the limit is used up. Unlimited, and a limit of 0, have none.
 * A threshold that is added below one that was reached is not reported in that window or period. Of
 * a process that is killed within the call the event may be missing; the threshold is shown as
 * reached all the same (k2k_tenant_info, k2k_budget_info), and reported no more. So is a booking
 * that reaches it while another process begins the next period, which shows in k2k_budget_history.
 * An application's sink is not called. Requests and bookings of a tenant with thresholds take
 * longer; those of other tenants do not.
 */

/*
 * A suspended tenant stays registered, but its admissions and acquires return ESUSPENDED, in shadow
 * too; record, track, release and all reads go on, and leases stay. A call under way may still be
 * admitted. Audited as an update. A tenant that is suspended (resumed) already stays so, without an
 * event.
 * Role: ADMIN. Returns: ENOTENANT, EUNSPECIFIED, EBUSY. Killed: done or not.
 */
K2K_API int k2k_tenant_suspend(struct k2k_registry *reg, k2k_tenant_id id);
K2K_API int k2k_tenant_resume(struct k2k_registry *reg, k2k_tenant_id id);

/*
 * Suspends a tenant, and waits until no broker holds a lease of it or has reserved GPU time for it,
 * and none can get one: then k2k_tenant_deregister ends nobody's work. timeout_ns: the longest
 * wait; K2K_NEVER_NS: no limit.
 * Role: ADMIN.
 * Returns: ENOTENANT, EUNSPECIFIED; EBUSY: after timeout_ns something is held (the detail has the
 *   pid of one holder), a stopped broker does not answer a grace period, or another administrator
 *   has resumed the tenant meanwhile; EINVAL in a batch. Except after ENOTENANT, and EBUSY of the
 *   writer's lock, the tenant is suspended.
 * Context: nothing announces the end of a lease, so it looks at them every 1 to 30 ms. The writer's
 *   lock is free meanwhile. A timeout_ns of 0 still suspends, and looks once.
 * Killed: the tenant is suspended or not; the same call goes on.
 */
K2K_API int k2k_tenant_drain(struct k2k_registry *reg, k2k_tenant_id id, uint64_t timeout_ns);

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

enum {
	/* in the flags of the last one: its end has passed, but nobody has booked since. A call
	 * under way may still add to it, and a clock that is set back before its end goes on with
	 * it. Without this flag a period never changes. */
	K2K_BUDGET_USE_PENDING = 1 << 0,
};
/* A closed period of a budget that renews: see k2k_budget_history. */
struct k2k_budget_use {
	uint32_t size, flags;
	uint64_t period;                    /* its number, from 1 on */
	uint64_t began_at_ns;               /* since 1970 */
	uint64_t next_began_at_ns;          /* the period after it */
	uint64_t used_ns;                   /* GPU time, with corrections that were made in it */
};

/* The periods of a budget as they were in another registry: see k2k_budget_info. */
struct k2k_budget_image {
	uint64_t engagement_id;
	uint64_t period, began_at_ns, used_ns;
	int64_t corrected_ns;
	const struct k2k_budget_use *closed;   /* from the oldest on, without a gap */
	uint32_t closed_count, reserved;       /* at most K2K_BUDGET_PERIODS_KEPT */
};

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
	struct k2k_rejected shadow_rejected_total;
	uint64_t suspended_rejected_total;
	uint64_t suspended;                 /* 1: yes */
	/* the corrections of each element of usage (k2k_usage_info); null: none */
	const int64_t *corrected_ns;
	/* the periods of budgets that renew; one that is missing begins its first period, with
	 * nothing used */
	const struct k2k_budget_image *periods;
	uint32_t period_count, reserved2;
};
/*
 * Registers a tenant with the generation, the totals and the costs that it had elsewhere. Others
 * see all of it or nothing. Restore many tenants in the order of their generations: the registry
 * continues above the last, so that it gives no generation twice.
 * Role: ADMIN.
 * Returns: EUNSPECIFIED, EEXIST, EBUSY as register. EINVAL also for a generation that is 0, that
 *   this registry has passed, or that is larger than any registry gives, and for 2^63 messages or
 *   more. EFULL also if there would be room after a grace period. After EFULL the generation may
 *   be used up.
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
 * Shares of rates over many hosts. What distributes a rate (an agent beside this registry) gives
 * each tenant its host's share of it (rate_shared, rate_alone in k2k_quota), and says until when
 * the shares hold. They end by themselves, also if the agent is dead or stopped, the process that
 * decides was stopped, or the machine was suspended: each decision compares the time with until_ns.
 * Only a call that has compared already, one of each thread, may still be counted by the share. In
 * the window in which shares begin or end, no more messages are admitted than the larger of both
 * limits, and after the end none if as many as rate_alone were counted.
 *
 * Times are those of CLOCK_BOOTTIME, as counted in the initial time namespace (k2k_shares_get
 * shows it); of a simulated registry that of its clock.
 */
struct k2k_shares {
	uint32_t size, flags;
	uint64_t epoch;          /* of the shares; 0: there never were any */
	uint64_t until_ns;       /* they hold before this time; 0: they don't hold */
	uint64_t now_ns;         /* the time on that clock */
};
#define K2K_SHARES_INIT { sizeof(struct k2k_shares), 0, 0, 0, 0 }
/*
 * Says until when the shares of this registry hold.
 * epoch: a number of the caller's, from 1 on, that rises with each agent that takes over, and with
 * each event that makes all earlier shares void. until_ns: a time; 0: they end now. A time that has
 * passed ends them too.
 *
 * A higher epoch than before ends the shares of the earlier one, so it comes with until_ns 0. Then
 * update the shares, and only then call again with the same epoch and the time. In the same epoch
 * the time rises, or is 0. Raise a share only after until_ns holds for what was granted, lower it
 * before it is given back. Within k2k_batch_begin and k2k_batch_end no other administrator comes
 * between.
 *
 * Leaves no audit event. A registry begins without shares, also one that is loaded from a file.
 * Role: ADMIN.
 * Returns: ESTALE: the epoch is below that of the registry, so another agent has taken over; EINVAL
 *   for an epoch of 0, for a new epoch with a time, and for a time before the one that is set (the
 *   detail's `expected` is that); EBUSY (the writer's lock).
 * Context: system calls; waits up to the handle's timeout.
 * Killed: done or not. A new epoch may have ended the earlier shares without being stored.
 */
K2K_API int k2k_shares_hold(struct k2k_registry *reg, uint64_t epoch, uint64_t until_ns);
/* Role: any. */
K2K_API int k2k_shares_get(struct k2k_registry *reg, struct k2k_shares *shares);

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
 * The tenant of that name. Looks at each tenant: names are for people and tools, and messages go by
 * ids.
 * Role: any. Returns: ENOTENANT; EINVAL for what can't be a name.
 */
K2K_API int k2k_tenant_find_name(struct k2k_registry *reg, const char *name, k2k_tenant_id *id);
/*
 * The first `capacity` ids, in no order; *count is how many there are. If that is more than
 * capacity, call again with more room.
 */
K2K_API int k2k_tenant_ids(struct k2k_registry *reg, k2k_tenant_id *ids, size_t capacity,
                           size_t *count);

/* ---- budgets ------------------------------------------------------------ */

/* If K2K_TENANT_DAMAGED is in flags, used_ns or reserved_ns can't be determined, and is 0. */
struct k2k_budget_info {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t engagement_id;
	uint64_t budget_ns, used_ns;        /* used_ns: in the current period, with corrections */
	uint32_t renewal;                   /* enum k2k_budget_renewal: NEVER or later */
	/* the highest threshold that was reached in this period, or since the budget was changed if
	 * it never renews; 0: none. A threshold is here even if its event is missing. */
	uint32_t alerted;
	/* the rest is 0 if it never renews */
	uint64_t period;                    /* number of the current period, from 1 on */
	uint64_t began_at_ns, renews_at_ns; /* since 1970 */
	int64_t corrected_ns;               /* corrections that counted in its periods */
	/* what living brokers have reserved of it (k2k_usage_reserve), whether or not it renews;
	 * used_ns does not contain it */
	uint64_t reserved_ns;
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
/*
 * Sets one budget and how often it renews. If a budget that renews is changed, its current period
 * goes on, with its use. If the length is changed, that use counts until the next boundary of the
 * new length; if such a boundary has passed since the period began, the next booking begins a new
 * period. A budget that becomes K2K_RENEWAL_NEVER counts everything since the registration, and its
 * history is lost; one that begins to renew begins with nothing used. k2k_budget_set and an update
 * without budget_terms leave the renewal as it is.
 * Role: ADMIN. Returns: as k2k_budget_set. Killed: all or nothing.
 */
K2K_API int k2k_budget_set_renewing(struct k2k_registry *reg, k2k_tenant_id id,
                                    uint64_t engagement_id, uint64_t budget_ns, uint32_t renewal);
/*
 * Closes the current period of a budget now and begins another one, audited. If the wall clock was
 * wrong and far ahead, the period that began then does not end for long: this ends it. The new
 * period is the calendar's at the time that the clock shows now: its began_at_ns is the boundary
 * before that, and may be the same as that of the period which was closed.
 * Role: ADMIN. Returns: ENOTENANT, EBUSY; ENOBUDGET: the engagement has no budget that renews.
 * Killed: done or not; the event may be missing.
 */
K2K_API int k2k_budget_renew(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag);
#define K2K_BUDGET_PERIODS_KEPT 12
/*
 * The closed periods of a budget that are kept, at most K2K_BUDGET_PERIODS_KEPT, from the oldest
 * on. Periods in which nothing was booked have no number, and are not listed. The uses of all
 * periods, the current one included, add up to what was booked and corrected since the first one
 * began.
 * Role: any. Returns: ENOTENANT; ENOBUDGET: the engagement has no budget that renews; EBUSY if the
 *   tenant is changed again and again meanwhile.
 */
K2K_API int k2k_budget_history(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                               struct k2k_budget_use *list, size_t capacity, size_t *count);
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
 * tenant then has this one row, with the slot K2K_LEASE_SLOT_NONE; or a second one like that, with
 * an engagement_id, if its reservations for that can't be determined.
 */
struct k2k_lease_info {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint32_t slot;               /* the broker's */
	uint32_t reserved;
	uint64_t pid;
	uint64_t kernels, gpu_memory_bytes;
	/* GPU time that is reserved of an engagement's budget (k2k_usage_reserve). It has rows of
	 * its own, with no kernels and no memory; in other rows both are 0 */
	uint64_t engagement_id, reserved_ns;
};
/*
 * What living brokers hold of one tenant (ENOTENANT), or with K2K_TENANT_UNSPECIFIED of all: a row
 * for each tenant and broker that holds kernels or memory, and one for each engagement and broker
 * that has reserved GPU time.
 */
K2K_API int k2k_lease_list(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_lease_info *list,
                           size_t capacity, size_t *count);

struct k2k_usage_info {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t engagement_id;
	uint64_t gpu_ns;             /* as booked: it never shrinks */
	int64_t corrected_ns;        /* the sum of all corrections; gpu_ns + corrected_ns >= 0 */
	/* what living brokers have reserved beside it (k2k_usage_reserve); with K2K_TENANT_DAMAGED
	 * in flags it can't be determined, and is 0 */
	uint64_t reserved_ns;
};
/*
 * GPU time by tenant and engagement: of one tenant (ENOTENANT), or with K2K_TENANT_UNSPECIFIED of
 * all. An engagement that has a budget, or that GPU time was reserved for, and no usage is listed
 * with 0. Context: asks the kernel which brokers live, if they have reserved anything.
 */
K2K_API int k2k_usage_list(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_usage_info *list,
                           size_t capacity, size_t *count);

/*
 * Corrects what was booked for an engagement: adds ns, which may be negative, to a sum of its own
 * beside the cost, so that the cost stays what was booked and every bill can be explained. Budgets
 * see the difference at once. In a budget that renews it counts in the current period, but takes no
 * more than that period has used: what is beyond that corrects the sum alone.
 * reason: why, 1 to K2K_AUDIT_REASON_MAX bytes, for the audit event. request_id: 0, or a number of
 * the caller's. If one of the registry's last 31 corrections has this number, the call is a repeat
 * and changes nothing. A copy of the registry (k2k_tenant_restore) has the sums, not the numbers.
 * Role: ADMIN.
 * Returns: ENOTENANT, EUNSPECIFIED, EBUSY; EFULL ("engagements"). EINVAL also for ns 0, and if more
 *   would be taken back than is left: the detail's `expected` is what is left. EEXIST: the number
 *   was that of another correction.
 * Killed: all or nothing; the event may be missing. Repeat it with the same request_id.
 */
K2K_API int k2k_usage_correct(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                              int64_t ns, const char *reason, uint64_t request_id);

#endif
