/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * message_budget.h (F7) - what the budget of an engagement says to a message.
 */
#ifndef K2K_MESSAGE_BUDGET_H
#define K2K_MESSAGE_BUDGET_H

#include "handle.h"
#include "hash.h"

struct k2k_budget_answer {
	int code;
	uint64_t used, limit;
	uint64_t rest_ns; /* until it renews */
	uint32_t ledger;  /* unless the limit is K2K_UNLIMITED: the engagement's record */
};

/* Asks the budget in force; K2K_DECIDE_AGAIN if `version` is no longer in force. */
struct k2k_budget_answer k2k_message_budget(const struct k2k_registry *reg,
                                            const struct k2k_hash_key *key, uint64_t version);
/*
 * The budget has room for more if only what is booked counts. With what brokers have reserved, too?
 * Before it refuses it asks the kernel which of them live. K2K_DECIDE_AGAIN: `version` is no longer
 * in force. K2K_EBUSY: see k2k_lease_peek().
 */
struct k2k_budget_answer k2k_message_reserved(const struct k2k_registry *reg,
                                              const struct k2k_hash_key *key, uint64_t version,
                                              uint32_t ledger);

#endif
