/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * broker.h - what a broker does with a message, on top of <k2k/registry.h>
 *
 * Copy these files (with broker.c, messages.c, reservations.c, broker_state.h and common/clock.h)
 * into a broker of your own: they have no JSON, sockets or options in them. The caller provides
 * inboxes, which deliver messages, and the way to other brokers, if there is one.
 *
 *  1. Kernels are in the registry's directory (<k2k/kernels.h>), so a name has one owner over all
 *     brokers, and k2k_message_route() decides about each message, wherever its receiver is. This
 *     broker only remembers which inbox added which of its own kernels.
 *  2. The sender's tenant is that of the source kernel; an unknown source has tenant 0, or is
 *     refused if the registry is strict. An unknown destination counts as the sender's tenant.
 *  3. If the tenants differ, the attempt is counted, audited and refused. It consumes no quota.
 *  4. The message's tag is billed; if it is 0/0, the tag of the source kernel.
 *  5. The message is admitted against tenant and tag, then delivered, or passed on to the broker
 *     that owns its receiver. An admitted message counts as one and its GPU time is booked, whether
 *     or not it is delivered. Only the sender's broker admits and books.
 *  6. A kernel takes a slot of its tenant, and returns it when it is removed. A kernel that is
 *     added again under another tenant moves in one step.
 *  7. The GPU time is what the message states; the broker measures nothing.
 *  8. GPU time can be reserved before it is used. A reservation ends when it is committed, which
 *     books what was used, or cancelled; or when its holder leaves, so that nothing stays reserved
 *     for somebody who is gone. Requests that a holder made before it left are decided first.
 *  9. While the registry is gone, only messages between kernels of tenant 0 of this broker are
 *     delivered.
 *
 * For one thread. No call waits longer than BROKER_TIMEOUT_NS.
 */
#ifndef K2K_BROKER_BROKER_H
#define K2K_BROKER_BROKER_H

#include <k2k/registry.h>

#include <stdint.h>
#include <sys/queue.h>

#define BROKER_NAME_MAX 255 /* bytes in a reservation's name; a kernel's: K2K_KERNEL_NAME_MAX */
/* at once; kernels of tenant 0 take no slot, so nothing else limits them */
#define BROKER_KERNELS_MAX 65536
#define BROKER_RESERVATIONS_MAX 65536 /* at once, for the same reason */
#define BROKER_TIMEOUT_NS UINT64_C(1000000000)

struct broker;
struct broker_kernel;
struct broker_reservation;

/* ---- inboxes: where a kernel's messages go --------------------------------- */

struct broker_message {
	const char *from, *to; /* kernels */
	k2k_tenant_id tenant;
	struct k2k_audit_tag tag;
	uint64_t gpu_ns;
};

/* Whose reservations: an inbox's, or those of several that belong together. Begins as zeros. */
struct broker_holder {
	LIST_HEAD(, broker_reservation) reservations;
};

/*
 * A kernel belongs to the inbox that added it: only this inbox sends as that kernel, moves it and
 * removes it. Embed one in a structure of yours, set `deliver` and `holder`, and LIST_INIT the
 * kernels.
 */
struct broker_inbox {
	/* returns 0, or -1 if the inbox is full */
	int (*deliver)(struct broker_inbox *inbox, const struct broker_message *message);
	LIST_HEAD(, broker_kernel) kernels;
	struct broker_holder *holder; /* of what it reserves */
};

/* ---- requests and answers ---------------------------------------- */

enum broker_operation {
	BROKER_ADD,
	BROKER_REMOVE,
	BROKER_SEND,
	BROKER_RESERVE,
	BROKER_COMMIT,
	BROKER_CANCEL,
	/* not for broker_decide() */
	BROKER_STATS,
	BROKER_CLIENT
};

struct broker_request {
	enum broker_operation operation;
	/* the kernel; for a message, the source; the reservation, as its holder names it */
	const char *name;
	const char *to;
	k2k_tenant_id tenant;
	struct k2k_audit_tag tag;
	uint64_t gpu_ns;
};

enum broker_decision {
	BROKER_DELIVERED,
	BROKER_QUEUE_FULL,
	BROKER_NOT_FOUND,
	/* passed on to the broker that owns the destination. Nobody says whether it arrived */
	BROKER_FORWARDED,
	/* the destination is another broker's, to which there is no way from here */
	BROKER_ELSEWHERE,
	BROKER_TENANT_MISMATCH,
	BROKER_REJECTED,
	BROKER_ADDED,
	BROKER_MOVED,
	BROKER_UPDATED,
	BROKER_REMOVED,
	BROKER_RESERVED,
	BROKER_COMMITTED,
	BROKER_CANCELLED,
	BROKER_REFUSED,
	BROKER_DECISIONS
};
const char *broker_decision_name(enum broker_decision decision);

/* Why a message was rejected, a kernel or a reservation refused, or GPU time not booked. */
enum broker_reason {
	BROKER_REASON_NONE,
	BROKER_RATE,
	BROKER_BUDGET,
	BROKER_UNKNOWN_TENANT,
	BROKER_KERNELS,
	BROKER_SUSPENDED, /* an administrator has suspended the tenant */
	/* there is nothing to remove; or the registry is strict, and nobody has added the source */
	BROKER_UNKNOWN_KERNEL,
	BROKER_OTHERS_KERNEL, /* the name belongs to another inbox, or to another broker */
	BROKER_KERNELS_FULL,  /* the registry's directory */
	BROKER_BROKER_FULL,   /* BROKER_KERNELS_MAX, BROKER_RESERVATIONS_MAX */
	BROKER_LEASES_FULL,
	BROKER_ENGAGEMENTS_FULL,
	BROKER_RESERVATION_EXISTS, /* the holder has one of that name */
	/* the holder has none of that name: it has ended, or never was */
	BROKER_UNKNOWN_RESERVATION,
	/* it ended with its registry, which is gone; of a message: the destination's tenant was
	 * deregistered, and its broker has not added it again */
	BROKER_STALE,
	BROKER_BUSY,
	BROKER_NO_REGISTRY, /* it is gone; the broker tries to open it again */
	/* for GPU time only */
	BROKER_UNSPECIFIED_TENANT,
	BROKER_LEDGER_FULL,
	BROKER_TENANT_GONE,
	BROKER_ERROR, /* corrupt registry, or the system failed: see answer.code */
	BROKER_REASONS
};
const char *broker_reason_name(enum broker_reason reason); /* "rate"; null for none */

struct broker_answer {
	enum broker_decision decision;
	enum broker_reason reason;
	int code;                        /* of the library: 0 or K2K_E... */
	k2k_tenant_id tenant, to_tenant; /* to_tenant: of the destination */
	uint32_t broker;                 /* FORWARDED, ELSEWHERE: its slot */
	struct k2k_audit_tag tag;        /* that is billed */
	/* the registry decided, so the verdict has its numbers */
	int has_verdict;
	struct k2k_verdict verdict;
	/* granted only because the tenant's limits are in shadow: why it would have been refused */
	enum broker_reason shadow;
	/* of a reservation: its number, which no other one has */
	uint64_t reservation, reserved_ns;
	uint64_t booked_ns;
	enum broker_reason unbooked; /* why gpu_ns was not booked */
};

/* ---- other brokers -------------------------------------------------------------- */

/* What became of a message from another broker. */
enum broker_receipt {
	BROKER_RECEIVED, /* delivered to an inbox */
	BROKER_RECEIVED_QUEUE_FULL,
	BROKER_RECEIVED_NOT_FOUND, /* the destination is no kernel of this broker any more */
	/* the destination is of another registration than the sender meant, or of another registry:
	 * audited as cross-tenant if the tenants differ */
	BROKER_RECEIVED_MISMATCH,
	BROKER_RECEIVED_REFUSED, /* the source belongs to another broker than the sender */
	BROKER_RECEIPTS
};

/* What a message was admitted by; both ends must mean the same. */
struct broker_admission {
	uint64_t generation; /* of the registration; 0: tenant 0 */
	char registry[40];   /* its uuid */
};

/* The way to other brokers. */
struct broker_way {
	/* this broker, as others find it in the address of its kernels; not 0 */
	uint64_t number;
	/*
	 * Passes a message on to the broker of that number, without waiting: BROKER_FORWARDED,
	 * BROKER_QUEUE_FULL or BROKER_ELSEWHERE.
	 */
	enum broker_decision (*forward)(void *context, uint64_t number,
	                                const struct broker_admission *admission,
	                                const struct broker_message *message);
	void *context;
};

/* ---- counts ------------------------------------------------------------------ */

struct broker_counts {
	uint64_t sends, admitted;
	uint64_t decisions[BROKER_DECISIONS];
	uint64_t rejected[BROKER_REASONS];             /* messages by reason */
	uint64_t refused[BROKER_REASONS];              /* kernels by reason */
	uint64_t reservations_refused[BROKER_REASONS]; /* with commits, and cancels */
	uint64_t shadow[BROKER_REASONS]; /* granted in shadow, by the reason against it */
	/* saturating; unbooked: messages and commits */
	uint64_t gpu_ns_booked, gpu_ns_unbooked, unbooked;
	uint64_t kernels, reservations; /* that are there now */
	/* messages from other brokers; not by tenant */
	uint64_t received[BROKER_RECEIPTS];
};

struct broker_tenant {
	k2k_tenant_id id;
	struct broker_counts counts; /* of requests of its kernels, and reservations */
};

/* ---- calls -------------------------------------------------------------------- */

/* Opens the registry as a broker. Returns 0 or K2K_E..., with k2k_error_detail(). */
int broker_open(struct broker **broker, const char *registry);
/* Detaches and returns all slots. Inboxes and holders that did not leave must still exist. */
void broker_close(struct broker **broker);
/* Sets the audit sink of the handle; it stays when the registry is opened again. */
int broker_set_audit_sink(struct broker *broker, k2k_audit_sink sink, void *context);

/* Decides one request of `inbox`. */
void broker_decide(struct broker *broker, struct broker_inbox *inbox,
                   const struct broker_request *request, struct broker_answer *answer);

/* Sets the way to other brokers; before the first kernel is added. It is copied. */
void broker_set_way(struct broker *broker, const struct broker_way *way);
/*
 * Takes a message that the broker of this number has passed on. The directory decides once more: it
 * is delivered only if the destination is of the very registration that it was admitted by.
 */
enum broker_receipt broker_receive(struct broker *broker, uint64_t number,
                                   const struct broker_admission *admission,
                                   const struct broker_message *message);

/* Removes all kernels of an inbox, before the inbox is freed. */
void broker_leave(struct broker *broker, struct broker_inbox *inbox);
/* Cancels all reservations of a holder, before the holder is freed. */
void broker_cancel_all(struct broker *broker, struct broker_holder *holder);
/* Has the holder an open reservation of that name and number? */
int broker_holds(const struct broker *broker, struct broker_holder *holder, const char *name,
                 uint64_t number);

/*
 * Checks once a second whether the registry is still there, and opens it again if it is not, at
 * intervals of 10 ms to 1 s. Call it between waits; returns after how many milliseconds to call it
 * again.
 */
int broker_tick(struct broker *broker);

const struct broker_counts *broker_counts(const struct broker *broker);
/* Calls each() for all tenants, in order of their ids. */
void broker_tenants(const struct broker *broker,
                    void (*each)(const struct broker_tenant *tenant, void *context), void *context);

#endif
