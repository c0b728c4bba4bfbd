/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * broker.h - what a broker does with a message, on top of <k2k/registry.h>
 *
 * This pair of files is the part to copy into a broker of your own: it knows
 * nothing of JSON, sockets or options. Who delivers hands in inboxes.
 *
 *  1. The source kernel's tenant is the sender's; an unknown source is tenant 0.
 *     An unknown destination counts as the sender's tenant.
 *  2. Where the tenants differ the attempt is counted and audited, and refused.
 *     It consumes no quota.
 *  3. The message's tag is billed; where it is 0/0, the source kernel's.
 *  4. The message is admitted against tenant and tag, then delivered.
 *     Admitted, it costs one and its GPU time is booked, wherever it ends.
 *  5. A kernel takes a slot of its tenant, and gives it back when it is removed.
 *  6. Added again under another tenant it moves: first the new slot, then the old.
 *  7. The GPU time is what the message says it took: who measures it, books it.
 *
 * One thread. No call waits longer than BROKER_TIMEOUT_NS.
 */
#ifndef K2K_BROKER_BROKER_H
#define K2K_BROKER_BROKER_H

#include <k2k/registry.h>

#include <stdint.h>
#include <sys/queue.h>

#define BROKER_NAME_MAX 255 /* bytes in a kernel's name */
/* at once: those of tenant 0 take no slot that would bound them */
#define BROKER_KERNELS_MAX 65536
#define BROKER_TIMEOUT_NS UINT64_C(1000000000)

struct broker;
struct broker_kernel;

/* ---- inboxes: where a kernel's messages go --------------------------------- */

struct broker_message {
	const char *from, *to; /* kernels */
	k2k_tenant_id tenant;
	struct k2k_audit_tag tag;
	uint64_t gpu_ns;
};

/*
 * A kernel belongs to the inbox that added it: it alone sends as that kernel,
 * moves it and removes it. Put one into a structure of yours, set deliver, and
 * LIST_INIT the kernels.
 */
struct broker_inbox {
	/* 0, or -1 where it is full */
	int (*deliver)(struct broker_inbox *inbox, const struct broker_message *message);
	LIST_HEAD(, broker_kernel) kernels;
};

/* ---- what is asked, what is answered ---------------------------------------- */

enum broker_operation { BROKER_ADD, BROKER_REMOVE, BROKER_SEND, BROKER_STATS };

struct broker_request {
	enum broker_operation operation;
	const char *name; /* the kernel; of a message the source */
	const char *to;
	k2k_tenant_id tenant;
	struct k2k_audit_tag tag;
	uint64_t gpu_ns;
};

enum broker_decision {
	BROKER_DELIVERED,
	BROKER_QUEUE_FULL,
	BROKER_NOT_FOUND,
	BROKER_TENANT_MISMATCH,
	BROKER_REJECTED,
	BROKER_ADDED,
	BROKER_MOVED,
	BROKER_UPDATED,
	BROKER_REMOVED,
	BROKER_REFUSED,
	BROKER_DECISIONS
};
const char *broker_decision_name(enum broker_decision decision);

/* Why a message was rejected, a kernel refused, or GPU time not booked. */
enum broker_reason {
	BROKER_REASON_NONE,
	BROKER_RATE,
	BROKER_BUDGET,
	BROKER_UNKNOWN_TENANT,
	BROKER_KERNELS,
	BROKER_UNKNOWN_KERNEL, /* nothing to remove */
	BROKER_OTHERS_KERNEL,  /* the name belongs to another inbox */
	BROKER_BROKER_FULL,    /* BROKER_KERNELS_MAX */
	BROKER_LEASES_FULL,
	BROKER_BUSY,
	BROKER_NO_REGISTRY, /* gone; the broker tries to open it again */
	/* only of GPU time */
	BROKER_UNSPECIFIED_TENANT,
	BROKER_LEDGER_FULL,
	BROKER_TENANT_GONE,
	BROKER_ERROR, /* damage, or the system: see answer.code */
	BROKER_REASONS
};
const char *broker_reason_name(enum broker_reason reason); /* "rate"; null for none */

struct broker_answer {
	enum broker_decision decision;
	enum broker_reason reason;
	int code;                        /* of the library: 0 or K2K_E... */
	k2k_tenant_id tenant, to_tenant; /* to_tenant: of a message's destination */
	struct k2k_audit_tag tag;        /* the one billed */
	/* the registry was asked, and answered in numbers */
	int has_verdict;
	struct k2k_verdict verdict;
	uint64_t booked_ns;
	enum broker_reason unbooked; /* why gpu_ns was not booked */
};

/* ---- counts ------------------------------------------------------------------ */

struct broker_counts {
	uint64_t sends, admitted;
	uint64_t decisions[BROKER_DECISIONS];
	uint64_t rejected[BROKER_REASONS];                 /* messages by reason */
	uint64_t refused[BROKER_REASONS];                  /* kernels by reason */
	uint64_t gpu_ns_booked, gpu_ns_unbooked, unbooked; /* saturating; unbooked: messages */
	uint64_t kernels;                                  /* now */
};

struct broker_tenant {
	k2k_tenant_id id;
	struct broker_counts counts; /* of what its kernels sent */
};

/* ---- calls -------------------------------------------------------------------- */

/* Opens the registry as a broker. 0 or K2K_E..., with k2k_error_detail(). */
int broker_open(struct broker **broker, const char *registry);
/* Detaches; all slots go back. Inboxes that didn't leave must still be there. */
void broker_close(struct broker **broker);
/* The handle's audit sink, kept over a new opening of the registry. */
int broker_set_audit_sink(struct broker *broker, k2k_audit_sink sink, void *context);

/* Decides one request of `inbox`; BROKER_STATS is not one for it. */
void broker_decide(struct broker *broker, struct broker_inbox *inbox,
                   const struct broker_request *request, struct broker_answer *answer);

/* Removes all kernels of an inbox that goes. */
void broker_leave(struct broker *broker, struct broker_inbox *inbox);

/*
 * Looks once a second whether the registry is still there, and opens it again where
 * it went, with a backoff of 10 ms to 1 s. To be called between waits; returns the
 * milliseconds after which it wants to be called again.
 */
int broker_tick(struct broker *broker);

const struct broker_counts *broker_counts(const struct broker *broker);
/* In order of ids. */
void broker_tenants(const struct broker *broker,
                    void (*each)(const struct broker_tenant *tenant, void *context), void *context);

#endif
