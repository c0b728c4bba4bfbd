/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * deaths.h (F7) - the audit trail reports each broker that is found dead once, with what it held.
 *
 * A process that finds a broker dead adds up what the broker held, and then claims the report by a
 * compare-exchange of `death_reported` in the broker's slot, from its former value to the dead
 * incarnation. An incarnation is never drawn again, so exactly one of many processes reports it.
 *
 * A broker that takes over the slot reports its predecessor before it takes its first lease, which
 * would reset a record of the predecessor. The compare-exchange of a process that was still adding
 * up then fails.
 *
 * If a process is killed after its compare-exchange and before the event, the event is missing.
 * Nothing else depends on it.
 */
#ifndef K2K_DEATHS_H
#define K2K_DEATHS_H

#include "handle.h"

/* The words of a slot about its dead owner. */
struct k2k_dead {
	uint32_t slot;
	uint64_t incarnation, pid, attached_at_ns, comm[2];
};

/* Reports the former owner of a slot that the caller has just taken over, before any lease. */
void k2k_report_death(struct k2k_registry *reg, const struct k2k_dead *dead);
/* Reports all dead owners of slots. For a broker, or an administrator with the writer's lock. */
void k2k_report_deaths(struct k2k_registry *reg);
/*
 * The same, for a broker's agent once a second: does nothing if another broker has begun it in this
 * second. A question costs as much as there are brokers, so if each of them asked about all others,
 * 1024 of them would keep eight processors busy. Who is stopped in it is relieved a second later.
 * If very many died at once, it reports about as many as half of its ring holds, so that readers
 * can take them, and leaves the others to the next second.
 */
void k2k_watch_deaths(struct k2k_registry *reg, uint64_t second);

#endif
