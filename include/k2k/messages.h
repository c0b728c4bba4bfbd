/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * k2k/messages.h - the part of <k2k/registry.h> that brokers call for each message: admissions,
 * usage, leases. Include that one.
 */
#ifndef K2K_MESSAGES_H
#define K2K_MESSAGES_H

#ifndef K2K_REGISTRY_H
#error "include <k2k/registry.h>"
#endif

/* ---- messages ----------------------------------------------------------- *
 *
 * check, record, admit and track make no system call, take no lock and allocate nothing, once the
 * thread has used the registry. (An audit sink that they call may do so.) There is one exception:
 * if a budget would be exceeded by what brokers have reserved, check and admit ask the kernel which
 * of these brokers live before they refuse. In a registry for more than 64 brokers they allocate
 * memory for that: ENOMEM, with nothing counted.
 *
 * Limits are exact over all processes: in each window admit counts at most as many messages as the
 * limit, and exactly the limit if more were asked for; from a bucket at most its burst and its rate
 * times T in any interval T, and all of its rate if more were asked for. A call that runs while the
 * limit is changed is decided by one of the two limits.
 *
 * For a window check, record and admit read CLOCK_MONOTONIC_COARSE. So a second begins with the
 * first timer tick in it, at most 10 ms late, whichever processes are stopped or not scheduled. For
 * a bucket they read CLOCK_MONOTONIC, in units of 2^-16 s. Only a call that is stopped between its
 * look at the clock and its count may count in a second that is over, or later than its verdict
 * says: one call for each thread. Before a message is refused CLOCK_MONOTONIC itself is read, so
 * retry_after_ns is never too short. EIO: the machine has been up for 2^30 seconds (34 years),
 * which a window can't represent; nothing is counted.
 *
 * Tenant 0 always passes, and neither its messages nor its leases are counted. After the registry
 * was destroyed such a call returns EFENCED, as every call does.
 */

/*
 * Would n messages be admitted now? The call consumes nothing and changes nothing shared: a
 * rejection goes to this handle's audit sink, but neither into the tenant's totals nor into the
 * audit trail. (A rejection by admit goes into all three.) n is from 1 to K2K_ADMIT_MAX. verdict
 * may be null.
 * Role: any. Returns: ENOTENANT, ERATE, EBUDGET, EBUSY, ENOMEM as admit.
 */
K2K_API int k2k_quota_check(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                            uint64_t n, struct k2k_verdict *verdict);

/*
 * Counts one message whatever the limits are. It takes room in the window, or a token from the
 * bucket; a bucket is never in debt by more than its burst, however many are recorded.
 * Role: BROKER. Returns: ENOTENANT; EIO. ENOTENANT of record and track goes into the audit trail,
 *   but not to the sink. Killed: counted or not.
 */
K2K_API int k2k_message_record(struct k2k_registry *reg, k2k_tenant_id id);

/*
 * Checks and counts n messages in one atomic step, all or none: first the rate, then the
 * engagement's budget, then the count. verdict may be null.
 * Role: BROKER.
 * Returns: ENOTENANT, ERATE, EBUDGET, EIO. EBUSY: the budget has room or not, depending on what a
 *   broker books just now that was stopped while it did so (k2k_usage_commit); the detail names it.
 *   ENOMEM: see above.
 * While brokers use a tenant at once, each may have drawn a part of its window of a second. Then
 * `used` and `remaining` of a message that passes are as of this broker's last draw, and all that
 * was drawn counts as used. Those of a refusal are exact.
 * Killed: counted or not, never in part.
 */
K2K_API int k2k_message_admit(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                              uint64_t n, struct k2k_verdict *verdict);

/*
 * Books gpu_ns on (tenant, tag.engagement_id). Saturates at UINT64_MAX.
 * Role: BROKER.
 * Returns: 0: the tenant's final totals will contain it; ENOTENANT; EGONE. EUNBOOKED: the ledger is
 *   full or saturated, or this tenant has its half of the records (max_engagements); what could not
 *   be booked is in the tenant's unattributed total.
 */
K2K_API int k2k_usage_track(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                            uint64_t gpu_ns);

/*
 * GPU time of an engagement: of all registered tenants (saturating), or of one (ENOTENANT; EBUSY if
 * the tenant is registered again and again meanwhile). An unknown engagement has 0.
 */
K2K_API int k2k_usage_engagement(struct k2k_registry *reg, struct k2k_audit_tag tag,
                                 uint64_t *gpu_ns);
K2K_API int k2k_usage_engagement_for(struct k2k_registry *reg, k2k_tenant_id id,
                                     struct k2k_audit_tag tag, uint64_t *gpu_ns);

/* ---- reservations: GPU time that is paid before it is used ---------------- *
 *
 * A budget alone stops the next admission after it is used up: what runs at that moment is billed
 * above it. Who reserves first, and then commits what was used, stays within the budget: of those
 * that reserve, cost + reserved never exceeds it, over all brokers. (What track books, and what
 * commit books beyond its reservation, counts but asks nobody.)
 *
 * The broker handle that reserved has the reservation until commit or cancel. It is free at once
 * when the handle is closed, the process has died, or the tenant is deregistered. Admit and check
 * count what is reserved like what is used. Without a budget, reserve grants everything and records
 * it, so a budget that is set later counts it. A new budget, or a period that begins, counts what
 * is reserved at that time: a reservation belongs to the period in which it is committed.
 *
 * Tenant 0: always granted, nothing is counted or booked.
 */

/* What k2k_usage_reserve grants. Pass it to commit or cancel unchanged. */
struct k2k_reservation {
	uint32_t size, flags;        /* flags: 0 */
	k2k_tenant_id id;
	struct k2k_audit_tag tag;
	uint64_t generation;         /* of the tenant's registration; 0 for tenant 0 */
	uint64_t number;             /* of the reservation, never given again; 0 for tenant 0 */
	uint64_t reserved_ns;        /* 0 once it has ended */
	/* filled by commit: how much more was booked than was reserved */
	uint64_t over_ns;
	uint32_t place, reserved;
};
#define K2K_RESERVATION_INIT \
	{ sizeof(struct k2k_reservation), 0, 0, { 0, 0 }, 0, 0, 0, 0, 0, 0 }

/*
 * Reserves gpu_ns (1 or more) of the budget of (tenant, tag.engagement_id). verdict may be null;
 * its `used` is what is booked and reserved, this reservation included.
 * Role: BROKER.
 * Returns: ENOTENANT. EBUDGET: it does not fit; that is counted and audited like a rejection by
 *   admit. EFULL: "engagements" as EUNBOOKED of track; "leases" if for 20 ms every record held
 *   something for a living broker, or this broker has reservations on too many engagements at once.
 *   ENOMEM. EBUSY: requests of others, for example of a stopped broker, are in the way.
 * Context: as acquire; allocates if the handle has more reservations open than ever before.
 * Killed: nothing is reserved.
 */
K2K_API int k2k_usage_reserve(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                              uint64_t gpu_ns, struct k2k_reservation *reservation,
                              struct k2k_verdict *verdict);
/*
 * Books what was really used, once, and ends the reservation. gpu_ns may be 0, or more than was
 * reserved: then reservation->over_ns says by how much.
 * Role: BROKER.
 * Returns: 0: the tenant's final totals will contain it. ESTALE: the reservation has ended before,
 *   or is not of this handle; nothing is booked. EGONE: the tenant was deregistered; the
 *   reservation has ended, and its final totals may lack gpu_ns. EUNBOOKED as track.
 * Context: as a release of a lease.
 * Killed: booked once or not at all, and nothing is reserved. If it is not booked, nobody knows
 *   what was used.
 */
K2K_API int k2k_usage_commit(struct k2k_registry *reg, struct k2k_reservation *reservation,
                             uint64_t gpu_ns);
/* Ends the reservation and books nothing. Returns: ESTALE as commit. */
K2K_API int k2k_usage_cancel(struct k2k_registry *reg, struct k2k_reservation *reservation);

/*
 * What living brokers have reserved of an engagement's budget, for one tenant.
 * Role: any. Returns: ENOTENANT; EBUSY if the tenant is registered again and again meanwhile.
 *   ECORRUPT. Context: asks the kernel which brokers live.
 */
K2K_API int k2k_usage_reserved(struct k2k_registry *reg, k2k_tenant_id id,
                               struct k2k_audit_tag tag, uint64_t *reserved_ns);

/* ---- leases: kernel slots and GPU memory -------------------------------- *
 *
 * The broker handle that acquired a lease holds it until it is released, the handle is closed, the
 * process has died, or the tenant is deregistered. Exact over all processes. lease and verdict may
 * be null. Tenant 0: always granted, nothing is counted.
 * Context: acquire and release wait while another thread of the broker uses a lease of a tenant
 *   that has the same lock. When a second thread of the process uses leases or reservations of a
 *   handle for the first time, it waits for the other threads' calls once; EIO if a sandbox refuses
 *   membarrier(2) by then. Near the limit, and to fill a verdict, acquire asks the kernel which
 *   other brokers live. It waits only while another broker's request is decided, or the table of
 *   leases is full: some 20 ms at most.
 * Killed: what the broker held is free.
 */

/*
 * One kernel slot.
 * Role: BROKER.
 * Returns: ENOTENANT, EKERNELS; EFULL ("leases") if for 20 ms every record held something for a
 *   living broker; EBUSY if requests of others, for example of a stopped broker, are in the way.
 */
K2K_API int k2k_kernel_acquire(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_lease *lease,
                               struct k2k_verdict *verdict);
/*
 * Releases what acquire granted.
 * Returns: ENOTHELD; ESTALE if the tenant is gone, or was registered again: then nothing of the new
 *   registration changes.
 */
K2K_API int k2k_kernel_release(struct k2k_registry *reg, struct k2k_lease *lease);
/* The same without a lease: one slot of the current registration. Returns: ENOTENANT, ENOTHELD. */
K2K_API int k2k_kernel_release_id(struct k2k_registry *reg, k2k_tenant_id id);

/* The same for GPU memory; bytes from 1 on; EGPUMEM in place of EKERNELS. */
K2K_API int k2k_gpu_memory_acquire(struct k2k_registry *reg, k2k_tenant_id id, uint64_t bytes,
                                   struct k2k_lease *lease, struct k2k_verdict *verdict);
K2K_API int k2k_gpu_memory_release(struct k2k_registry *reg, struct k2k_lease *lease);
K2K_API int k2k_gpu_memory_release_id(struct k2k_registry *reg, k2k_tenant_id id, uint64_t bytes);

#endif
