/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * k2k/kernels.h - the part of <k2k/registry.h> about kernels that all brokers know: the directory
 * of their names, and the decision about a message from one to another. Include that one.
 */
#ifndef K2K_KERNELS_H
#define K2K_KERNELS_H

#ifndef K2K_REGISTRY_H
#error "include <k2k/registry.h>"
#endif

/* ---- the directory ------------------------------------------------------ *
 *
 * A kernel's name belongs to the broker handle that added it, until the handle removes it, is
 * closed, or its process has died; then it is free at once. A named kernel takes one kernel slot of
 * its tenant, as k2k_kernel_acquire does; only k2k_kernel_remove and a move give that slot back,
 * never k2k_kernel_release_id. The name of a kernel whose tenant was deregistered stays, without a
 * slot: its messages are ESTALE until its owner adds it again.
 *
 * A name is 1 to 63 bytes of any value but 0. It comes from a program that nobody vouches for:
 * escape it wherever people or other programs read it.
 */

#define K2K_KERNEL_NAME_MAX 63

/* For the broker that owns the kernel, for example the number of a queue. */
struct k2k_kernel_address {
	uint64_t words[2];
};

enum {
	/* the registration that the kernel was added under is over: id is 0 */
	K2K_KERNEL_STALE = 1 << 0,
};

struct k2k_kernel_info {
	uint32_t size, flags;        /* flags: filled with K2K_KERNEL_... */
	char name[K2K_KERNEL_NAME_MAX + 1];
	k2k_tenant_id id;
	uint64_t generation;         /* of the tenant's registration; 0: tenant 0 */
	struct k2k_audit_tag tag;    /* it was added with */
	struct k2k_kernel_address address;
	uint64_t incarnation;        /* of the broker that owns it */
	uint64_t pid;                /* of that broker */
	uint32_t broker;             /* its slot */
	uint32_t reserved;
};
#define K2K_KERNEL_INFO_INIT \
	{ sizeof(struct k2k_kernel_info), 0, { 0 }, 0, 0, { 0, 0 }, { { 0, 0 } }, 0, 0, 0, 0 }

/*
 * Enters the name and takes a kernel slot of the tenant, both or neither. If this handle has the
 * name already, the kernel gets the new tenant, tag and address in one step: other processes find
 * it under the old tenant or the new one, never under both and never absent. It then holds both
 * slots for a moment. If the new one is refused, all stays as it was. address and verdict may be
 * null. The verdict is that of k2k_kernel_acquire; it has nothing to say if no slot was asked for.
 * Tenant 0: takes no slot.
 * Role: BROKER.
 * Returns: EEXIST: a living broker has the name (the detail names its process). ENOTENANT,
 *   EKERNELS, ESUSPENDED as k2k_kernel_acquire, counted and audited like those. EFULL: "kernels",
 *   if max_kernels names are in use, or "leases". EBUSY: another broker was stopped while it
 *   changed the same part of the directory, or added the same name, or its request for a slot is in
 *   the way; the detail names it.
 * Context: takes a mutex of the handle; as acquire. Waits for 20 ms at most for another broker.
 * Killed: neither the name nor the slot is taken.
 */
K2K_API int k2k_kernel_add(struct k2k_registry *reg, const char *name, k2k_tenant_id id,
                           struct k2k_audit_tag tag, const struct k2k_kernel_address *address,
                           struct k2k_verdict *verdict);
/*
 * Gives the name and its slot back.
 * Role: BROKER. Returns: ENOKERNEL; ENOTHELD if the name belongs to another broker.
 * Context: takes a mutex of the handle; never waits for another process.
 * Killed: name and slot are free.
 */
K2K_API int k2k_kernel_remove(struct k2k_registry *reg, const char *name);
/*
 * Finds a kernel of a living broker. Role: any. Returns: ENOKERNEL.
 * Context: no lock. A broker makes a system call only if the owner seems to be dead and this handle
 *   has not asked yet, and may find an owner that has just died for a second. The other roles ask
 *   the kernel each time.
 */
K2K_API int k2k_kernel_find(struct k2k_registry *reg, const char *name,
                            struct k2k_kernel_info *info);
/*
 * The kernels of one tenant (ENOTENANT), or with K2K_TENANT_UNSPECIFIED all, in no order. *count is
 * their number; the first `capacity` are in `list` (which may be null if that is 0).
 * Role: any. Context: one pass over the directory; asks the kernel which brokers live.
 */
K2K_API int k2k_kernel_list(struct k2k_registry *reg, k2k_tenant_id id,
                            struct k2k_kernel_info *list, size_t capacity, size_t *count);

/* ---- messages between kernels ------------------------------------------- */

enum {
	/* the sender is in the directory; else it is of tenant 0 */
	K2K_ROUTE_SOURCE            = 1 << 0,
	/* the receiver is in the directory; else the message was admitted, but reaches nobody */
	K2K_ROUTE_DESTINATION       = 1 << 1,
	/* with ESTALE: it is the receiver whose registration is over */
	K2K_ROUTE_DESTINATION_STALE = 1 << 2,
};

struct k2k_route {
	uint32_t size, flags;        /* flags: filled with K2K_ROUTE_... */
	k2k_tenant_id tenant;        /* of the sender; the one that was charged */
	uint64_t generation;         /* of its registration; 0: tenant 0 */
	struct k2k_audit_tag tag;    /* that is billed */
	/* of the receiver, if it is in the directory: */
	k2k_tenant_id to_tenant;
	struct k2k_kernel_address address;
	uint64_t incarnation;        /* of the broker that owns it */
	uint32_t broker;             /* its slot */
	uint32_t reserved;
};
#define K2K_ROUTE_INIT \
	{ sizeof(struct k2k_route), 0, 0, 0, { 0, 0 }, 0, { { 0, 0 } }, 0, 0, 0 }

/*
 * The whole decision about n messages (1 to K2K_ADMIT_MAX) from one kernel to another:
 *
 *  1. The sender's tenant is that of the kernel `from`, which must be one of this handle's. A name
 *     that is not in the directory is of tenant 0, or refused if the registry is strict. An unknown
 *     receiver counts as one of the sender's tenant.
 *  2. If the tenants differ, the attempt is counted, audited and refused. It consumes no quota.
 *  3. The message's tag is billed; if it is 0/0, the tag that the sender was added with.
 *  4. The messages are admitted against the tenant's limits as by k2k_message_admit, and by the
 *     very registration that the kernels were added under.
 *
 * *route is filled on success, and with tenant, to_tenant and flags on ECROSSTENANT and ESTALE.
 * verdict may be null. A receiver whose broker has just died may be found for a second: then
 * messages of its own tenant are admitted and lost. Before ECROSSTENANT the kernel is asked.
 * Role: BROKER.
 * Returns: ENOKERNEL: unknown sender (strict). ENOTHELD: the sender is another broker's. ESTALE:
 *   the registration of one of the two is over, nothing is charged; its owner adds it again.
 *   ECROSSTENANT. ERATE, EBUDGET, ESUSPENDED, EBUSY, ENOMEM, EIO as k2k_message_admit.
 * Context: as admit; see also k2k_kernel_find.
 * Killed: counted or not, never in part.
 */
K2K_API int k2k_message_route(struct k2k_registry *reg, const char *from, const char *to,
                              struct k2k_audit_tag tag, uint64_t n, struct k2k_route *route,
                              struct k2k_verdict *verdict);

#endif
