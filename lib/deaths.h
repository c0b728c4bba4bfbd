/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * deaths.h (F7) - the audit trail reports each broker that is found dead once, with what it held.
 *
 * Whoever finds a broker dead adds up what it held, and then claims the report by a
 * compare-exchange of its slot's `death_reported`, from the value before to the dead incarnation.
 * An incarnation is never drawn again, so exactly one of many reports it.
 *
 * A broker that takes over the slot reports its predecessor before it takes its first lease, which
 * would reset a record of the predecessor. A process that was still adding up then fails its
 * compare-exchange.
 *
 * Killed between that and the event: the event is missing. Nothing else depends on it.
 */
#ifndef K2K_DEATHS_H
#define K2K_DEATHS_H

#include "handle.h"

/* What a slot said of its owner. */
struct k2k_dead {
	uint32_t slot;
	uint64_t incarnation, pid, attached_at_ns, comm[2];
};

/* Of the slot that the caller has just taken over, before it takes leases. */
void k2k_report_death(struct k2k_registry *reg, const struct k2k_dead *dead);
/* Of all slots. For a broker, or an administrator that has the writer's lock. */
void k2k_report_deaths(struct k2k_registry *reg);

#endif
