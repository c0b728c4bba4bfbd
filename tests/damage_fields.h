/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * damage_fields.h - what each bit of a registry means, and whether check must find it when flipped
 */
#ifndef K2K_TESTS_DAMAGE_FIELDS_H
#define K2K_TESTS_DAMAGE_FIELDS_H

#include "damage.h"
#include "kernel.h"

enum policy {
	FOUND,   /* check finds every bit */
	PART,    /* some other values are possible too: `why` says which */
	ANY,     /* any value is possible, or it is a text for people */
	NOTHING, /* without a meaning: no answer changes */
};

/* How a record is used: most fields have a meaning in some uses only. */
enum use { LIVE, RETIRED, IDLE, USES };

struct field {
	const char *name;
	size_t first_bit, bits;
	enum policy policy[USES];
	const char *why;
};

#define BITS(type, member, from, count, live, retired, idle, why)             \
	{                                                                     \
#member, offsetof(struct type, member) * 8 + (from), (count), \
			{ live, retired, idle }, why                          \
	}
#define FIELD(type, member, live, retired, idle, why) \
	BITS(type, member, 0, sizeof(((struct type *)0)->member) * 8, live, retired, idle, why)

static const struct field header_fields[] = {
	{ "header", 0, sizeof(struct k2k_shm_header) * 8, { FOUND, FOUND, FOUND }, NULL },
};

static const struct field defs_fields[] = {
	FIELD(k2k_shm_defs, poisoned, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_defs, reserved0, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_defs, shares_until_ns, PART, PART, PART, "any time, if there is an epoch"),
	FIELD(k2k_shm_defs, shares_epoch, PART, PART, PART, "a number of an agent"),
	FIELD(k2k_shm_defs, reserved7, FOUND, FOUND, FOUND, NULL),
	BITS(k2k_shm_defs, grace_token, 0, 32, FOUND, FOUND, FOUND, NULL),
	BITS(k2k_shm_defs, grace_token, 32, 32, PART, PART, PART, "a larger one may be true"),
	FIELD(k2k_shm_defs, grace_wake, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_defs, reserved1, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_defs, generation, PART, PART, PART, "a larger one may be true"),
	FIELD(k2k_shm_defs, intent, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_defs, writer_signed, ANY, ANY, ANY, "the writer's, which is check itself"),
	FIELD(k2k_shm_defs, writer_owner, ANY, ANY, ANY,
	      "the same; a number that nobody lives by is taken over"),
	FIELD(k2k_shm_defs, writer_pid, ANY, ANY, ANY, "the writer's, who is check itself"),
	FIELD(k2k_shm_defs, writer_pid_namespace, ANY, ANY, ANY, "the same"),
	FIELD(k2k_shm_defs, writer_comm, ANY, ANY, ANY, "the same"),
	FIELD(k2k_shm_defs, writer_since_ns, ANY, ANY, ANY, "the same"),
	FIELD(k2k_shm_defs, tenant_free, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_defs, tenant_retired, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_defs, budget_free, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_defs, budget_retired, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_defs, cut_ns, ANY, ANY, ANY, "a count"),
	FIELD(k2k_shm_defs, reserved5, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_defs, period_free, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_defs, corrections, ANY, ANY, ANY, "a count"),
	FIELD(k2k_shm_defs, correcting, PART, PART, PART, "of a correction that is done"),
	FIELD(k2k_shm_defs, reserved6, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_defs, correction, PART, PART, PART, "which request was carried out"),
	FIELD(k2k_shm_defs, kernel_key, PART, PART, PART,
	      "of a hash that it makes the same for names that are there"),
};

static const struct field live_fields[] = {
	FIELD(k2k_shm_live, ledger_pool.hint, ANY, ANY, ANY, "where a search begins"),
	FIELD(k2k_shm_live, ledger_pool.high, PART, PART, PART, "a larger one only takes time"),
	FIELD(k2k_shm_live, ledger_pool.freed, ANY, ANY, ANY,
	      "a count that is compared with itself"),
	FIELD(k2k_shm_live, ledger_pool.writer_hint, ANY, ANY, ANY, "where a search begins"),
	FIELD(k2k_shm_live, reserved0, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_live, lease_pool.hint, ANY, ANY, ANY, "where a search begins"),
	FIELD(k2k_shm_live, lease_pool.high, PART, PART, PART, "a larger one only takes time"),
	FIELD(k2k_shm_live, lease_pool.freed, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_live, lease_pool.writer_hint, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_live, reserved1, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_live, audit_wake, ANY, ANY, ANY, "a count that is compared with itself"),
	FIELD(k2k_shm_live, deaths_second, ANY, ANY, ANY, "when deaths were looked for"),
	FIELD(k2k_shm_live, alerts_second, ANY, ANY, ANY, "when leases were looked at"),
	FIELD(k2k_shm_live, reserved2, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_live, kernel_pool.hint, ANY, ANY, ANY, "where a search begins"),
	FIELD(k2k_shm_live, kernel_pool.high, PART, PART, PART, "a larger one only takes time"),
	FIELD(k2k_shm_live, kernel_pool.freed, ANY, ANY, ANY,
	      "a count that is compared with itself"),
	FIELD(k2k_shm_live, kernel_pool.writer_hint, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_live, reserved3, FOUND, FOUND, FOUND, NULL),
};

static const struct field head_fields[] = {
	{ "head", 0, 32, { FOUND, FOUND, FOUND }, NULL },
};

static const struct field tenant_fields[] = {
	FIELD(k2k_shm_tenant, id, PART, NOTHING, NOTHING, "another id of the same bucket"),
	BITS(k2k_shm_tenant, state_gen, 0, 8, FOUND, FOUND, FOUND, NULL),
	BITS(k2k_shm_tenant, state_gen, 8, 56, PART, PART, PART,
	     "an earlier generation, where no record has the right one"),
	BITS(k2k_shm_tenant, select, 0, 3, FOUND, NOTHING, NOTHING, NULL),
	BITS(k2k_shm_tenant, select, 3, 2, ANY, NOTHING, NOTHING, "a mode may be any"),
	BITS(k2k_shm_tenant, select, 5, 3, FOUND, NOTHING, NOTHING, NULL),
	BITS(k2k_shm_tenant, select, 8, 56, PART, NOTHING, NOTHING,
	     "a version may be any from that of the budgets on"),
	FIELD(k2k_shm_tenant, next, FOUND, PART, NOTHING,
	      "of one retired: where a reader goes on who stands on it"),
	BITS(k2k_shm_tenant, flags, 0, 1, PART, NOTHING, NOTHING,
	     "set where there are no budgets it costs a look"),
	BITS(k2k_shm_tenant, flags, 1, 1, PART, NOTHING, NOTHING,
	     "set where no budget renews it costs a look"),
	BITS(k2k_shm_tenant, flags, 2, 1, ANY, NOTHING, NOTHING,
	     "more bookings than need be look for thresholds, of which there are none"),
	BITS(k2k_shm_tenant, flags, 3, 29, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_tenant, rate, ANY, NOTHING, NOTHING, "a limit may be any"),
	BITS(k2k_shm_tenant, burst[0], 0, K2K_BURST_BITS, ANY, NOTHING, NOTHING,
	     "a limit may be any"),
	BITS(k2k_shm_tenant, burst[0], K2K_BURST_BITS, 64 - K2K_BURST_BITS, PART, NOTHING, NOTHING,
	     "the mode of a set that may not be in force"),
	BITS(k2k_shm_tenant, burst[1], 0, K2K_BURST_BITS, ANY, NOTHING, NOTHING,
	     "a limit may be any"),
	BITS(k2k_shm_tenant, burst[1], K2K_BURST_BITS, 64 - K2K_BURST_BITS, PART, NOTHING, NOTHING,
	     "the mode of a set that may not be in force"),
};

static const struct field tenant_cold_fields[] = {
	FIELD(k2k_shm_tenant_cold, gpu_memory_bytes, ANY, NOTHING, NOTHING, "a limit may be any"),
	FIELD(k2k_shm_tenant_cold, kernels, ANY, NOTHING, NOTHING, "a limit may be any"),
	FIELD(k2k_shm_tenant_cold, alerts, PART, NOTHING, NOTHING, "the set that is not in force"),
	FIELD(k2k_shm_tenant_cold, name, PART, NOTHING, NOTHING,
	      "another name; the set that is not in force"),
	FIELD(k2k_shm_tenant_cold, registered_at_ns, ANY, NOTHING, NOTHING, "for people"),
	FIELD(k2k_shm_tenant_cold, retired_token, FOUND, PART, NOTHING,
	      "an earlier token, in order"),
	FIELD(k2k_shm_tenant_cold, budget_count, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_tenant_cold, list_next, NOTHING, FOUND, FOUND, NULL),
	FIELD(k2k_shm_tenant_cold, reserved, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_tenant_cold, alone, PART, NOTHING, NOTHING,
	      "of a share a limit may be any; the set that is not in force"),
	FIELD(k2k_shm_tenant_cold, totals_due, ANY, ANY, ANY,
	      "of no registration that is retired: nothing is told"),
	FIELD(k2k_shm_tenant_cold, pinned_by, ANY, ANY, ANY,
	      "a number that nobody lives by pins nothing"),
};

static const struct field budget_fields[] = {
	BITS(k2k_shm_budget, entry.state, 0, 2, FOUND, FOUND, FOUND, NULL),
	BITS(k2k_shm_budget, entry.state, 2, 62, PART, PART, FOUND, "an earlier token"),
	FIELD(k2k_shm_budget, entry.gen, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_budget, entry.key, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_budget, entry.slot, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_budget, entry.next, FOUND, PART, NOTHING,
	      "of one retired: where a reader goes on who stands on it"),
	FIELD(k2k_shm_budget, budget_ns, ANY, NOTHING, NOTHING, "a budget may be any"),
	FIELD(k2k_shm_budget, since, PART, NOTHING, NOTHING, "an earlier version"),
	FIELD(k2k_shm_budget, until, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_budget, ledger, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_budget, list_next, NOTHING, FOUND, FOUND, NULL),
	FIELD(k2k_shm_budget, every, PART, NOTHING, NOTHING, "another renewal"),
	FIELD(k2k_shm_budget, period, FOUND, PART, NOTHING, "of one retired that passed it on"),
	FIELD(k2k_shm_budget, period_kept, FOUND, PART, NOTHING,
	      "any of one retired that renewed, or not"),
	FIELD(k2k_shm_budget, period_next, PART, PART, PART,
	      "the link of a period record that is in use"),
};

static const struct field period_fields[] = {
	BITS(k2k_shm_period, now.first, 0, 40, ANY, NOTHING, NOTHING,
	     "a begin and a count of corrections may be any"),
	BITS(k2k_shm_period, now.first, 40, 24, PART, NOTHING, NOTHING,
	     "a number without a history"),
	FIELD(k2k_shm_period, now.second, PART, NOTHING, NOTHING, "a base below the account"),
	FIELD(k2k_shm_period, corrected, PART, NOTHING, NOTHING,
	      "a sum may be any that the cost allows"),
	FIELD(k2k_shm_period, closed, PART, NOTHING, NOTHING,
	      "of a place that holds nothing, or a begin, or a base between its neighbours"),
	FIELD(k2k_shm_period, alerts, PART, NOTHING, NOTHING,
	      "a threshold that was reported in an earlier period, or in this one"),
	FIELD(k2k_shm_period, reserved, FOUND, NOTHING, NOTHING, NULL),
};

static const struct field cell_fields[] = {
	BITS(k2k_shm_cell, admitted, 0, 63, ANY, ANY, NOTHING, "a count"),
	BITS(k2k_shm_cell, admitted, 63, 1, FOUND, ANY, NOTHING, "of a tenant that has ended"),
	BITS(k2k_shm_cell, opening, 0, 1, FOUND, NOTHING, NOTHING, NULL),
	BITS(k2k_shm_cell, opening, 1, 63, PART, NOTHING, NOTHING, "of a second that is over"),
	FIELD(k2k_shm_cell, source, PART, NOTHING, NOTHING, "none, where it was never open"),
	BITS(k2k_shm_cell, sought, 0, 1, PART, PART, NOTHING,
	     "set where there is no source it costs a look"),
	BITS(k2k_shm_cell, sought, 1, 31, FOUND, FOUND, NOTHING, NULL),
	BITS(k2k_shm_cell, window, 0, K2K_RATE_TAG_BITS, ANY, NOTHING, NOTHING,
	     "of another version: it is converted"),
	BITS(k2k_shm_cell, window, K2K_RATE_TAG_BITS, 64 - K2K_RATE_TAG_BITS, PART, NOTHING,
	     NOTHING, "a time that is over"),
	FIELD(k2k_shm_cell, ceiling, PART, NOTHING, NOTHING, "a count"),
	FIELD(k2k_shm_cell, costs, ANY, ANY, NOTHING, "a count, which shares out"),
	FIELD(k2k_shm_cell, lease_brokers, PART, PART, NOTHING,
	      "set where nothing is held it costs a look"),
	BITS(k2k_shm_cell, has_costs, 0, 1, PART, PART, NOTHING,
	     "set where there are no costs it costs a look"),
	BITS(k2k_shm_cell, has_costs, 1, 31, FOUND, FOUND, NOTHING, NULL),
	FIELD(k2k_shm_cell, reserved, FOUND, FOUND, FOUND, NULL),
};

static const struct field source_fields[] = {
	FIELD(k2k_shm_source, left, ANY, ANY, ANY, "what is left, under any label"),
	FIELD(k2k_shm_source, owner, PART, PART, PART, "another tenant's generation"),
	FIELD(k2k_shm_source, brokers, ANY, ANY, ANY, "set where nothing is spent it costs a look"),
	FIELD(k2k_shm_source, folds, ANY, ANY, ANY, "a count"),
	FIELD(k2k_shm_source, reserved, FOUND, FOUND, FOUND, NULL),
};

static const struct field share_fields[] = {
	FIELD(k2k_shm_share, spent, ANY, ANY, ANY, "a count, and credit, under any label"),
	FIELD(k2k_shm_share, version, ANY, ANY, ANY, "a version"),
	FIELD(k2k_shm_share, generation, ANY, ANY, ANY, "of a tenant that has no share any more"),
	FIELD(k2k_shm_share, used, ANY, ANY, ANY, "a count"),
	FIELD(k2k_shm_share, draws, ANY, ANY, ANY, "a count"),
	FIELD(k2k_shm_share, reserved, FOUND, FOUND, FOUND, NULL),
};

static const struct field cell_cold_fields[] = {
	FIELD(k2k_shm_cell_cold, rejected_rate, ANY, ANY, NOTHING, "a count"),
	FIELD(k2k_shm_cell_cold, rejected_budget, ANY, ANY, NOTHING, "a count"),
	FIELD(k2k_shm_cell_cold, rejected_kernels, ANY, ANY, NOTHING, "a count"),
	FIELD(k2k_shm_cell_cold, rejected_gpu_memory, ANY, ANY, NOTHING, "a count"),
	FIELD(k2k_shm_cell_cold, unattributed_ns, ANY, ANY, NOTHING, "a count"),
	FIELD(k2k_shm_cell_cold, rejected_suspended, ANY, ANY, NOTHING, "a count"),
	FIELD(k2k_shm_cell_cold, shadow_rate, ANY, ANY, NOTHING, "a count"),
	FIELD(k2k_shm_cell_cold, shadow_budget, ANY, ANY, NOTHING, "a count"),
	FIELD(k2k_shm_cell_cold, shadow_kernels, ANY, ANY, NOTHING, "a count"),
	FIELD(k2k_shm_cell_cold, shadow_gpu_memory, ANY, ANY, NOTHING, "a count"),
	FIELD(k2k_shm_cell_cold, alert_rate, PART, NOTHING, NOTHING,
	      "a threshold that was reported in an earlier second"),
	FIELD(k2k_shm_cell_cold, alert_kernels, PART, NOTHING, NOTHING, "likewise"),
	FIELD(k2k_shm_cell_cold, alert_gpu_memory, PART, NOTHING, NOTHING, "likewise"),
	FIELD(k2k_shm_cell_cold, reserved, FOUND, FOUND, FOUND, NULL),
};

static const struct field cost_fields[] = {
	BITS(k2k_shm_cost, entry.state, 0, 2, FOUND, FOUND, FOUND, NULL),
	BITS(k2k_shm_cost, entry.state, 2, 62, PART, PART, FOUND,
	     "who took it, of whom nothing is known; an earlier token"),
	FIELD(k2k_shm_cost, entry.gen, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_cost, entry.key, PART, NOTHING, NOTHING,
	      "another engagement of the same bucket"),
	FIELD(k2k_shm_cost, entry.slot, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_cost, entry.next, FOUND, PART, NOTHING,
	      "of one retired: where a reader goes on who stands on it"),
	FIELD(k2k_shm_cost, cost_ns, ANY, NOTHING, NOTHING, "a count"),
	FIELD(k2k_shm_cost, corrected_ns, PART, NOTHING, NOTHING,
	      "a sum may be any that the cost allows"),
	FIELD(k2k_shm_cost, alerts, PART, NOTHING, NOTHING,
	      "a threshold that was reported of this version of the budget, or an earlier one"),
	FIELD(k2k_shm_cost, reserved, FOUND, FOUND, FOUND, NULL),
};

static const struct field row_fields[] = {
	{ "record",
	  0,
	  32,
	  { PART, PART, PART },
	  "another record's, where this broker holds nothing" },
};

/* Here RETIRED means idle. */
static const struct field lease_fields[] = {
	BITS(k2k_shm_lease, state, 0, 2, PART, FOUND, FOUND, "of one that holds nothing"),
	BITS(k2k_shm_lease, state, 2, 62, PART, PART, FOUND,
	     "who took it, of whom nothing is known: then it counts as nothing"),
	BITS(k2k_shm_lease, use, 0, 1, FOUND, NOTHING, NOTHING, NULL),
	BITS(k2k_shm_lease, use, 1, 63, ANY, NOTHING, NOTHING,
	     "a count that is compared with itself"),
	FIELD(k2k_shm_lease, gen, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_lease, incarnation, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_lease, whose, PART, NOTHING, NOTHING,
	      "of a reservation: another engagement of its tenant"),
	FIELD(k2k_shm_lease, claims, PART, PART, NOTHING,
	      "counters; held is at most asked - ended"),
	BITS(k2k_shm_lease, moving, 0, 1, PART, NOTHING, NOTHING,
	     "of a reservation: it is being committed"),
	BITS(k2k_shm_lease, moving, 1, 63, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_lease, named, PART, PART, NOTHING,
	      "more than there are names, and no more than is held"),
};

static const struct field reserve_fields[] = {
	FIELD(k2k_shm_reserve_row, brokers, PART, PART, PART,
	      "set where nothing is reserved it costs a look"),
	BITS(k2k_shm_reserve_row, reach, 0, 6, ANY, ANY, ANY,
	     "where nothing is farther it costs looks"),
	BITS(k2k_shm_reserve_row, reach, 6, 26, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_reserve_row, reserved, FOUND, FOUND, FOUND, NULL),
};

static const struct field slot_fields[] = {
	FIELD(k2k_shm_slot, owner, PART, PART, PART, "a broker that is dead"),
	FIELD(k2k_shm_slot, ack, PART, PART, PART, "an earlier token"),
	FIELD(k2k_shm_slot, state, FOUND, PART, PART,
	      "of a place that is free it may be any that there is"),
	FIELD(k2k_shm_slot, reserved0, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_slot, pid, ANY, ANY, NOTHING, "for people"),
	FIELD(k2k_shm_slot, pid_namespace, ANY, ANY, NOTHING, "for people"),
	FIELD(k2k_shm_slot, start_time, ANY, ANY, NOTHING, "for people"),
	FIELD(k2k_shm_slot, attached_at_ns, ANY, ANY, NOTHING, "for people"),
	FIELD(k2k_shm_slot, comm, ANY, ANY, NOTHING, "for people"),
	FIELD(k2k_shm_slot, reserved1, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_slot, cross_tenant_total, ANY, ANY, ANY, "a count"),
	FIELD(k2k_shm_slot, unknown_tenant_total, ANY, ANY, ANY, "a count"),
	FIELD(k2k_shm_slot, death_reported, PART, PART, PART, "another broker that is dead"),
	FIELD(k2k_shm_slot, reserved2, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_slot, reserved3, FOUND, FOUND, FOUND, NULL),
};

static const struct field ring_fields[] = {
	FIELD(k2k_shm_ring, claimed, PART, PART, PART,
	      "a larger one: writers may have been killed before they wrote"),
	FIELD(k2k_shm_ring, since, PART, PART, PART, "any number that was begun"),
	FIELD(k2k_shm_ring, reserved, FOUND, FOUND, FOUND, NULL),
	BITS(k2k_shm_ring, written, 0, 64, FOUND, FOUND, FOUND, NULL),
	BITS(k2k_shm_ring, written, 64, 64 * (K2K_EVENT_KINDS - 1), PART, PART, PART,
	     "a count: all together at most what was begun"),
	BITS(k2k_shm_ring, coalesced, 0, 64, FOUND, FOUND, FOUND, NULL),
	BITS(k2k_shm_ring, coalesced, 64, 64 * 6, ANY, ANY, ANY, "a count"),
	BITS(k2k_shm_ring, coalesced, 64 * 7, 64 * (K2K_AUDIT_KIND_SUSPENDED - 7), FOUND, FOUND,
	     FOUND, NULL),
	BITS(k2k_shm_ring, coalesced, 64 * K2K_AUDIT_KIND_SUSPENDED, 64, ANY, ANY, ANY, "a count"),
	BITS(k2k_shm_ring, coalesced, 64 * (K2K_AUDIT_KIND_SUSPENDED + 1),
	     64 * (K2K_EVENT_KINDS - K2K_AUDIT_KIND_SUSPENDED - 1), FOUND, FOUND, FOUND, NULL),
	BITS(k2k_shm_ring, lost, 0, 64, FOUND, FOUND, FOUND, NULL),
	BITS(k2k_shm_ring, lost, 64, 64 * (K2K_EVENT_KINDS - 1), PART, PART, PART,
	     "a count: all together at most what was begun"),
};

/*
 * LIVE: a complete event; RETIRED: an event that is being written, or was never finished; IDLE: no
 * event.
 */
#define BODY(member, live, why)                                                                 \
	{                                                                                       \
		"words." #member,                                                               \
			(offsetof(struct k2k_shm_event, words) +                                \
		         offsetof(struct k2k_event_body, member)) *                             \
				8,                                                              \
			sizeof(((struct k2k_event_body *)0)->member) * 8, { live, ANY, FOUND }, \
			why                                                                     \
	}

static const struct field event_fields[] = {
	FIELD(k2k_shm_event, sequence, PART, PART, FOUND,
	      "odd: its writer was killed; earlier, of this place"),
	BITS(k2k_shm_event, count, 0, K2K_EVENT_COUNT_BITS, PART, ANY, FOUND,
	     "how many, of a rejection; being written: not read"),
	BITS(k2k_shm_event, count, K2K_EVENT_COUNT_BITS, K2K_EVENT_NUMBER_BITS, FOUND, ANY, FOUND,
	     "being written: not read"),
	BITS(k2k_shm_event, count, 63, 1, PART, ANY, FOUND,
	     "open: its second is not over; being written: not read"),
	FIELD(k2k_shm_event, given_up, PART, PART, PART, "a number of this place that was begun"),
	BODY(time_ns, ANY, "for people"),
	BODY(monotonic_ns, ANY, "for people"),
	BODY(kind, PART, "another kind of the same code, which has the same values"),
	BODY(flags, PART, "of a cross-tenant attempt: whether a name was cut; a limit in shadow"),
	BODY(code, FOUND, "being written: not read"),
	BODY(tenant, ANY, "a tenant may be any"),
	BODY(to, PART, "of a cross-tenant attempt: any"),
	BODY(org_id, ANY, "may be any"),
	BODY(engagement_id, ANY, "may be any"),
	BODY(generation, PART, "of a change: any"),
	BODY(used, ANY, "a count"),
	BODY(limit, ANY, "a limit may be any"),
	BODY(pid, ANY, "for people"),
	BODY(incarnation, PART, "another broker's; being written: not read"),
	BODY(more, PART, "names and numbers; being written: not read"),
};

/* There is no follower: its owner is dead, and its record is as the owner left it. */
static const struct field follower_fields[] = {
	FIELD(k2k_shm_follower, owner, PART, PART, PART, "any number that is drawn"),
	FIELD(k2k_shm_follower, said_ns, ANY, ANY, ANY, "when it said something last"),
	FIELD(k2k_shm_follower, failing_since_ns, ANY, ANY, ANY,
	      "for people, and whether it is waited for"),
	FIELD(k2k_shm_follower, failures, ANY, ANY, ANY, "a count"),
	FIELD(k2k_shm_follower, pid, ANY, ANY, ANY, "for people"),
	FIELD(k2k_shm_follower, comm, ANY, ANY, ANY, "for people"),
	FIELD(k2k_shm_follower, attached_at_ns, ANY, ANY, ANY, "for people"),
	FIELD(k2k_shm_follower, lost, ANY, ANY, ANY, "a count"),
	FIELD(k2k_shm_follower, damaged, ANY, ANY, ANY, "a count"),
	FIELD(k2k_shm_follower, lost_ring, ANY, ANY, ANY, "for people"),
	FIELD(k2k_shm_follower, lost_from, ANY, ANY, ANY, "for people"),
	FIELD(k2k_shm_follower, lost_count, ANY, ANY, ANY, "for people"),
	FIELD(k2k_shm_follower, lost_at_ns, ANY, ANY, ANY, "for people"),
	FIELD(k2k_shm_follower, reserved0, FOUND, FOUND, FOUND, NULL),
};

static const struct field position_fields[] = {
	{ "next",
	  0,
	  64,
	  { ANY, ANY, ANY },
	  "how far it has come: who can't have come so far is not waited for" },
};

/* The bytes between the sections and behind them. */
static const struct field gap_fields[] = {
	{ "gap", 0, SIZE_MAX, { NOTHING, NOTHING, NOTHING }, NULL },
};

struct region {
	const char *name;
	const void *base; /* in the damaged registry's map */
	size_t stride, count;
	const struct field *fields;
	size_t field_count;
	enum use (*use)(const struct k2k_map *map, uint32_t index);
};

static enum use use_of_tenant(const struct k2k_map *map, uint32_t index)
{
	enum k2k_tenant_state state = k2k_tenant_state(map->tenants[index].state_gen);

	return state == K2K_TENANT_LIVE ? LIVE : state == K2K_TENANT_RETIRED ? RETIRED : IDLE;
}

static enum use use_of_link(const struct k2k_map *map, uint32_t index)
{
	return use_of_tenant(map, index / map->sizes.slots);
}

static enum use use_of_entry(const struct k2k_shm_entry *entry)
{
	unsigned int state = k2k_entry_state(entry->state);

	return state == K2K_ENTRY_LIVE ? LIVE : state == K2K_ENTRY_RETIRED ? RETIRED : IDLE;
}

static enum use use_of_budget(const struct k2k_map *map, uint32_t index)
{
	return use_of_entry(&map->budgets[index].entry);
}

static enum use use_of_cost(const struct k2k_map *map, uint32_t index)
{
	return use_of_entry(&map->ledger[index].entry);
}

static enum use use_of_lease(const struct k2k_map *map, uint32_t index)
{
	unsigned int state = k2k_entry_state(map->leases[index].state);

	return state == K2K_ENTRY_LIVE ? LIVE : state == K2K_ENTRY_IDLE ? RETIRED : IDLE;
}

static enum use use_of_slot(const struct k2k_map *map, uint32_t index)
{
	return map->slots[index].owner ? LIVE : IDLE;
}

static enum use use_of_event(const struct k2k_map *map, uint32_t index)
{
	uint64_t sequence = map->events[index].sequence;

	return sequence == 0 ? IDLE : sequence % 2 ? RETIRED : LIVE;
}

static enum use use_always(const struct k2k_map *map, uint32_t index)
{
	(void)map, (void)index;
	return LIVE;
}

/* Does a budget in use have it? */
static enum use use_of_period(const struct k2k_map *map, uint32_t index)
{
	for (uint32_t i = 0; i < map->sizes.budgets; i++)
		if (k2k_entry_state(map->budgets[i].entry.state) == K2K_ENTRY_LIVE &&
		    map->budgets[i].period == index + 1)
			return LIVE;
	return IDLE;
}

static const struct field kernel_claim_fields[] = {
	{ "claim", 0, 64, { ANY, ANY, ANY }, "a number that nobody lives by is taken over" },
};

/* Here IDLE means that nobody has it. */
static const struct field kernel_fields[] = {
	BITS(k2k_shm_kernel, entry.state, 0, 2, PART, FOUND, PART, "linked, or about to be"),
	BITS(k2k_shm_kernel, entry.state, 2, 62, PART, PART, PART, "who took it first"),
	FIELD(k2k_shm_kernel, entry.gen, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_kernel, entry.key, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_kernel, entry.slot, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_kernel, entry.next, FOUND, NOTHING, NOTHING, NULL),
	BITS(k2k_shm_kernel, word, 0, 2, PART, PART, PART, "a name that nobody has, or not yet"),
	BITS(k2k_shm_kernel, word, 2, 1, PART, PART, PART, "the other set may be true"),
	BITS(k2k_shm_kernel, word, 3, 61, ANY, ANY, ANY, "a count that is compared with itself"),
	FIELD(k2k_shm_kernel, incarnation, PART, ANY, ANY, "somebody's who is dead"),
	FIELD(k2k_shm_kernel, broker, FOUND, PART, PART, "of nobody"),
	FIELD(k2k_shm_kernel, reserved0, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_kernel, reserved1, FOUND, FOUND, FOUND, NULL),
	FIELD(k2k_shm_kernel, name, FOUND, NOTHING, NOTHING, NULL),
	FIELD(k2k_shm_kernel, sets, PART, PART, PART,
	      "tag and address may be any, as may the set that is not selected"),
	FIELD(k2k_shm_kernel, reserved2, FOUND, FOUND, FOUND, NULL),
};

static enum use use_of_kernel(const struct k2k_map *map, uint32_t index)
{
	return k2k_kernel_state(map->kernels[index].word) == K2K_KERNEL_LIVE ? LIVE : IDLE;
}

enum { REGIONS = 28 };

#define REGION(name, base, count, fields, use)                                                    \
	{                                                                                         \
		name, base, sizeof(*(base)), count, fields, sizeof(fields) / sizeof((fields)[0]), \
			use                                                                       \
	}

static void regions_of(const struct k2k_map *map, struct region regions[REGIONS])
{
	struct region all[REGIONS] = {
		REGION("defs", map->defs, 1, defs_fields, use_always),
		REGION("defs.header", &map->defs->header, 1, header_fields, use_always),
		REGION("tenant heads", map->tenant_heads, map->tenant_mask + 1, head_fields,
		       use_always),
		REGION("tenant", map->tenants, map->sizes.tenants, tenant_fields, use_of_tenant),
		REGION("tenant", map->tenants_cold, map->sizes.tenants, tenant_cold_fields,
		       use_of_tenant),
		REGION("budget heads", map->budget_heads, map->budget_mask + 1, head_fields,
		       use_always),
		REGION("budget", map->budgets, map->sizes.budgets, budget_fields, use_of_budget),
		REGION("live", map->live, 1, live_fields, use_always),
		REGION("live.header", &map->live->header, 1, header_fields, use_always),
		REGION("slot", map->slots, map->sizes.slots, slot_fields, use_of_slot),
		REGION("cell", map->cells, map->sizes.tenants, cell_fields, use_of_tenant),
		REGION("cell", map->cells_cold, map->sizes.tenants, cell_cold_fields,
		       use_of_tenant),
		REGION("ledger heads", map->ledger_heads, map->ledger_mask + 1, head_fields,
		       use_always),
		REGION("cost", map->ledger, map->sizes.engagements, cost_fields, use_of_cost),
		REGION("lease row", map->lease_links, map->sizes.tenants * map->sizes.slots,
		       row_fields, use_of_link),
		REGION("reservation row", map->lease_links + map->sizes.tenants * map->sizes.slots,
		       (map->reserve_mask + 1) * map->sizes.slots, row_fields, use_always),
		REGION("reservation rows", map->reserve_rows, map->reserve_mask + 1, reserve_fields,
		       use_always),
		REGION("lease", map->leases, map->sizes.leases, lease_fields, use_of_lease),
		REGION("audit ring", map->rings, map->sizes.rings, ring_fields, use_always),
		REGION("audit event", map->events, map->sizes.rings * map->sizes.events,
		       event_fields, use_of_event),
		REGION("follower", map->followers, K2K_FOLLOWERS, follower_fields, use_always),
		REGION("position", map->positions, K2K_FOLLOWERS * map->sizes.rings,
		       position_fields, use_always),
		REGION("period", map->periods, map->sizes.budgets, period_fields, use_of_period),
		REGION("kernel claims", map->kernel_claims, map->kernel_mask + 1,
		       kernel_claim_fields, use_always),
		REGION("kernel heads", map->kernel_heads, map->kernel_mask + 1, head_fields,
		       use_always),
		REGION("kernel", map->kernels, map->sizes.kernels, kernel_fields, use_of_kernel),
		REGION("source", map->sources, map->sizes.sources, source_fields, use_always),
		REGION("share", map->shares, map->sizes.sources * map->sizes.slots, share_fields,
		       use_always),
	};

	memcpy(regions, all, sizeof all);
}

struct meaning {
	const struct region *region;
	const struct field *field;
	enum use use;
	uint32_t index;
};

/* The meaning of a bit; its region is null if the bit belongs to no record. */
DAMAGE_USED static void meaning_of(const struct k2k_map *map, const struct region regions[REGIONS],
                                   const void *byte, unsigned int bit, struct meaning *meaning)
{
	*meaning = (struct meaning){ NULL, gap_fields, IDLE, 0 };
	for (int r = 0; r < REGIONS; r++) {
		const struct region *region = &regions[r];
		ptrdiff_t at = (const unsigned char *)byte - (const unsigned char *)region->base;

		if (at < 0 || (size_t)at >= region->stride * region->count)
			continue;
		for (size_t f = 0; f < region->field_count; f++) {
			const struct field *field = &region->fields[f];
			size_t in_record = (size_t)at % region->stride * 8 + bit;

			if (in_record < field->first_bit ||
			    in_record - field->first_bit >= field->bits)
				continue;
			meaning->region = region;
			meaning->field = field;
			meaning->index = (uint32_t)((size_t)at / region->stride);
			meaning->use = region->use(map, meaning->index);
			return;
		}
	}
}

#endif
