/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* broker_state.h - what broker.c, messages.c and reservations.c share, and nobody else needs */
#ifndef K2K_BROKER_STATE_H
#define K2K_BROKER_STATE_H

#include "broker.h"

#include <search.h>

/* One of this broker's, for its inbox. Whose it is for others, the directory says. */
struct broker_kernel {
	LIST_ENTRY(broker_kernel) of_inbox;
	struct broker_inbox *inbox;
	struct broker_tenant *tenant;
	struct k2k_audit_tag tag;
	uint64_t opening; /* in which it was entered: it does not outlive its registry */
	char name[];
};

struct broker_reservation {
	LIST_ENTRY(broker_reservation) of_holder;
	struct broker_holder *holder;
	struct broker_tenant *tenant;
	struct k2k_reservation granted;
	uint64_t number;
	char name[];
};

struct broker {
	struct k2k_registry *reg; /* null while the registry is gone */
	char name[K2K_NAME_MAX + 1];
	char uuid[40];    /* of the registry */
	uint64_t opening; /* counts successful opens */
	uint64_t next_ms; /* of the next check, or of the next attempt to open it */
	int backoff_ms;
	k2k_audit_sink sink;
	void *sink_context;
	struct broker_way way;                  /* zeros: there is none */
	void *kernels, *tenants, *reservations; /* tsearch(3) */
	uint64_t reserved;                      /* number of the newest reservation */
	struct broker_counts counts;
};

/* Why a call of the library failed; for the last call, since it may need its detail. */
enum broker_reason broker_reason_of(int code);
void broker_refuse(struct broker_answer *answer, enum broker_decision decision,
                   enum broker_reason reason, int code);
/*
 * Finds or creates the counts of a tenant; null: no memory. They are never freed before the broker
 * closes: there are as many as tenants that had a kernel or a reservation here.
 */
struct broker_tenant *broker_tenant_find(struct broker *broker, k2k_tenant_id id);

struct broker_kernel *broker_kernel_find(const struct broker *broker, const char *name);
/*
 * Enters a kernel in the directory, or again with what it has now: after its tenant was registered
 * again, and in a registry that was opened again.
 */
int broker_kernel_enter(struct broker *broker, struct broker_kernel *kernel,
                        struct k2k_verdict *verdict);
/* As broker_reason_of(), of a call about kernels. */
enum broker_reason broker_kernel_reason(int code);

/* ---- messages.c ---- */

void broker_message(struct broker *broker, struct broker_inbox *inbox,
                    const struct broker_request *request, struct broker_answer *answer);

/* ---- reservations.c ---- */

void broker_reserve(struct broker *broker, struct broker_holder *holder,
                    const struct broker_request *request, struct broker_answer *answer);
/* Commits or cancels. Whatever the registry answers, the reservation has ended. */
void broker_end_reservation(struct broker *broker, struct broker_holder *holder,
                            const struct broker_request *request, struct broker_answer *answer);
/* For broker_close(), after the registry is closed. */
void broker_reservations_free(struct broker *broker);

#endif
