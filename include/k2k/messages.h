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
 * thread has used the registry. (An audit sink that they call may do so.)
 *
 * Limits are exact over all processes: in each second admit counts at most as many messages as the
 * limit, and exactly the limit if more were asked for. A call that runs while the limit is changed
 * is decided by one of the two limits.
 *
 * check, record and admit read CLOCK_MONOTONIC_COARSE. So a second begins with the first timer tick
 * in it, at most 10 ms late, whichever processes are stopped or not scheduled. Only a call that is
 * stopped between its look at the clock and its count may count in a second that is over: one call
 * for each thread. Before a message is refused CLOCK_MONOTONIC itself is read, so retry_after_ns is
 * never too short. EIO: the machine has been up for 2^30 seconds (34 years), which a window can't
 * represent; nothing is counted.
 *
 * Tenant 0 always passes, and neither its messages nor its leases are counted. Such a call does not
 * check that the registry still exists: it passes until the handle is fenced (a broker's within
 * seconds of the registry's end), and then returns EFENCED, as every call does.
 */

/*
 * Would n messages be admitted now? The call consumes nothing and changes nothing shared: a
 * rejection goes to this handle's audit sink, but neither into the tenant's totals nor into the
 * audit trail. (A rejection by admit goes into all three.) n is from 1 to K2K_ADMIT_MAX. verdict
 * may be null.
 * Role: any. Returns: ENOTENANT, ERATE, EBUDGET.
 */
K2K_API int k2k_quota_check(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag,
                            uint64_t n, struct k2k_verdict *verdict);

/*
 * Counts one message whatever the limits are. A second's count has 34 bits. If 2^34 messages are
 * recorded in one second, or admitted for an unlimited tenant, then `used` is too low by a multiple
 * of 2^34: so many messages too many can pass the limit in this second, and once more in the next
 * if the limit was set within this second. Admissions under a limit stay far below 2^34, because a
 * limit counts as at most 2^33. Totals stay exact.
 * Role: BROKER. Returns: ENOTENANT; EIO. ENOTENANT of record and track goes into the audit trail,
 *   but not to the sink. Killed: counted or not.
 */
K2K_API int k2k_message_record(struct k2k_registry *reg, k2k_tenant_id id);

/*
 * Checks and counts n messages in one atomic step, all or none: first the rate, then the
 * engagement's budget, then the count. verdict may be null.
 * Role: BROKER. Returns: ENOTENANT, ERATE, EBUDGET, EIO. Killed: counted or not, never in part.
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

/* ---- leases: kernel slots and GPU memory -------------------------------- *
 *
 * The broker handle that acquired a lease holds it until it is released, the handle is closed, the
 * process has died, or the tenant is deregistered. Exact over all processes. lease and verdict may
 * be null. Tenant 0: always granted, nothing is counted.
 * Context: acquire and release take a mutex of the handle. Near the limit, and to fill a verdict,
 *   acquire asks the kernel which other brokers live. It waits only while another broker's request
 *   is decided, or the table of leases is full: some 20 ms at most.
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
