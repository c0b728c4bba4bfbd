/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* reservations.c - GPU time that holders reserve before it is used */
#include "broker_state.h"

#include <stdlib.h>
#include <string.h>

struct reservation_key {
	const struct broker_holder *holder;
	const char *name;
};

static int order_reservations(const struct broker_holder *a, const char *a_name,
                              const struct broker_holder *b, const char *b_name)
{
	uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;

	return x == y ? strcmp(a_name, b_name) : x < y ? -1 : 1;
}

static int compare_reservations(const void *a, const void *b)
{
	const struct broker_reservation *x = a, *y = b;

	return order_reservations(x->holder, x->name, y->holder, y->name);
}

static int compare_key(const void *key, const void *reservation)
{
	const struct reservation_key *x = key;
	const struct broker_reservation *y = reservation;

	return order_reservations(x->holder, x->name, y->holder, y->name);
}

static struct broker_reservation *reservation_find(const struct broker *broker,
                                                   const struct broker_holder *holder,
                                                   const char *name)
{
	const struct reservation_key key = { holder, name };
	void *node = tfind(&key, &broker->reservations, compare_key);

	return node ? *(struct broker_reservation **)node : NULL;
}

int broker_holds(const struct broker *broker, struct broker_holder *holder, const char *name,
                 uint64_t number)
{
	const struct broker_reservation *reservation = reservation_find(broker, holder, name);

	return reservation && reservation->number == number;
}

static void count_reservation(struct broker *broker, struct broker_tenant *tenant, uint64_t change)
{
	broker->counts.reservations += change;
	tenant->counts.reservations += change;
}

/* Null: no memory. */
static struct broker_reservation *reservation_make(struct broker *broker,
                                                   struct broker_holder *holder, const char *name,
                                                   const struct k2k_reservation *granted)
{
	struct broker_tenant *tenant = broker_tenant_find(broker, granted->id);
	size_t size = strlen(name) + 1;
	struct broker_reservation *reservation = calloc(1, sizeof *reservation + size);

	if (tenant && reservation) {
		memcpy(reservation->name, name, size);
		reservation->holder = holder;
		reservation->tenant = tenant;
		reservation->granted = *granted;
		if (tsearch(reservation, &broker->reservations, compare_reservations)) {
			reservation->number = ++broker->reserved;
			LIST_INSERT_HEAD(&holder->reservations, reservation, of_holder);
			count_reservation(broker, tenant, 1);
			return reservation;
		}
	}
	free(reservation);
	return NULL;
}

static void reservation_free(void *reservation)
{
	LIST_REMOVE((struct broker_reservation *)reservation, of_holder);
	free(reservation);
}

void broker_reservations_free(struct broker *broker)
{
	tdestroy(broker->reservations, reservation_free);
}

static void reservation_remove(struct broker *broker, struct broker_reservation *reservation)
{
	count_reservation(broker, reservation->tenant, (uint64_t)-1);
	tdelete(reservation, &broker->reservations, compare_reservations);
	reservation_free(reservation);
}

static int ask(struct broker *broker, const struct broker_request *request,
               struct k2k_reservation *granted, struct broker_answer *answer)
{
	int code;

	if (request->tenant == K2K_TENANT_UNSPECIFIED) {
		/* always granted and never counted, even without a registry */
		granted->tag = request->tag;
		granted->reserved_ns = request->gpu_ns;
		return 0;
	}
	if (!broker->reg)
		return K2K_EFENCED;
	code = k2k_usage_reserve(broker->reg, request->tenant, request->tag, request->gpu_ns,
	                         granted, &answer->verdict);
	answer->has_verdict = code == 0 || code == K2K_EBUDGET;
	return code;
}

void broker_reserve(struct broker *broker, struct broker_holder *holder,
                    const struct broker_request *request, struct broker_answer *answer)
{
	struct k2k_reservation granted = K2K_RESERVATION_INIT;
	struct broker_reservation *reservation;
	int code;

	answer->tenant = request->tenant;
	answer->tag = request->tag;
	if (reservation_find(broker, holder, request->name))
		return broker_refuse(answer, BROKER_REFUSED, BROKER_RESERVATION_EXISTS, 0);
	if (broker->counts.reservations >= BROKER_RESERVATIONS_MAX)
		return broker_refuse(answer, BROKER_REFUSED, BROKER_BROKER_FULL, 0);
	code = ask(broker, request, &granted, answer);
	if (code)
		return broker_refuse(answer, BROKER_REFUSED, broker_reason_of(code), code);
	reservation = reservation_make(broker, holder, request->name, &granted);
	if (!reservation) {
		if (broker->reg)
			k2k_usage_cancel(broker->reg, &granted);
		return broker_refuse(answer, BROKER_REFUSED, BROKER_ERROR, K2K_ENOMEM);
	}
	answer->decision = BROKER_RESERVED;
	answer->reservation = reservation->number;
	answer->reserved_ns = request->gpu_ns;
}

/*
 * Ends it in the registry, unless it ended with an earlier one (K2K_ESTALE): books *gpu_ns, or
 * nothing if that is null.
 */
static int reservation_end(struct broker *broker, struct broker_reservation *reservation,
                           const uint64_t *gpu_ns)
{
	int code;

	if (!broker->reg)
		return K2K_ESTALE;
	code = gpu_ns ? k2k_usage_commit(broker->reg, &reservation->granted, *gpu_ns)
	              : k2k_usage_cancel(broker->reg, &reservation->granted);
	return code == K2K_EFENCED ? K2K_ESTALE : code;
}

void broker_end_reservation(struct broker *broker, struct broker_holder *holder,
                            const struct broker_request *request, struct broker_answer *answer)
{
	struct broker_reservation *reservation = reservation_find(broker, holder, request->name);
	int commit = request->operation == BROKER_COMMIT, code = 0;

	if (!reservation)
		return broker_refuse(answer, BROKER_REFUSED, BROKER_UNKNOWN_RESERVATION, 0);
	answer->tenant = reservation->tenant->id;
	answer->tag = reservation->granted.tag;
	answer->reservation = reservation->number;
	answer->reserved_ns = reservation->granted.reserved_ns;
	answer->decision = commit ? BROKER_COMMITTED : BROKER_CANCELLED;
	if (answer->tenant != K2K_TENANT_UNSPECIFIED)
		code = reservation_end(broker, reservation, commit ? &request->gpu_ns : NULL);
	else if (commit && request->gpu_ns)
		answer->unbooked = BROKER_UNSPECIFIED_TENANT;
	reservation_remove(broker, reservation);
	if (code && code != K2K_EUNBOOKED)
		broker_refuse(answer, BROKER_REFUSED, broker_reason_of(code), code);
	if (code && commit && request->gpu_ns)
		answer->unbooked = broker_reason_of(code);
	else if (commit && !answer->unbooked)
		answer->booked_ns = request->gpu_ns;
	answer->code = code;
}

void broker_cancel_all(struct broker *broker, struct broker_holder *holder)
{
	struct broker_reservation *reservation;

	while ((reservation = LIST_FIRST(&holder->reservations))) {
		/* an error needs no handling: the reservation then ended before */
		reservation_end(broker, reservation, NULL);
		reservation_remove(broker, reservation);
	}
}
