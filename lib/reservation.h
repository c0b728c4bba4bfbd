/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reservation.h (F7) - reservations as leases of an engagement's budget: what the budget allows,
 * and what of it is booked.
 */
#ifndef K2K_RESERVATION_H
#define K2K_RESERVATION_H

#include "clock.h"
#include "hash.h"
#include "lease.h"

/* A request for `amount` of the budget of this engagement, whose ledger record is `ledger`. */
void k2k_reservation_request(const struct k2k_clock *clock, const struct k2k_hash_key *key,
                             uint32_t ledger, uint64_t amount, struct k2k_lease_request *request);
/* For the verdict of a refusal: the time until the budget renews, or K2K_NEVER_NS. */
uint64_t k2k_reservation_rest_ns(const struct k2k_map *map,
                                 const struct k2k_lease_request *request);

/* K2K_EBUSY: names the process whose claim or commit is in the way of the request. */
int k2k_reservation_busy(const struct k2k_map *map, const struct k2k_lease_request *request)
	__attribute__((cold));

#endif
