/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layout.h"

#include <string.h>

K2K_ASSERT_SIZE(k2k_shm_section, 24);
K2K_ASSERT_AT(k2k_shm_section, kind, 0);
K2K_ASSERT_AT(k2k_shm_section, stride_bytes, 4);
K2K_ASSERT_AT(k2k_shm_section, offset_bytes, 8);
K2K_ASSERT_AT(k2k_shm_section, count, 16);

K2K_ASSERT_SIZE(k2k_shm_header, 1024);
K2K_ASSERT_AT(k2k_shm_header, magic, 0);
K2K_ASSERT_AT(k2k_shm_header, layout_version, 8);
K2K_ASSERT_AT(k2k_shm_header, byte_order, 12);
K2K_ASSERT_AT(k2k_shm_header, header_bytes, 16);
K2K_ASSERT_AT(k2k_shm_header, section_count, 20);
K2K_ASSERT_AT(k2k_shm_header, total_bytes, 24);
K2K_ASSERT_AT(k2k_shm_header, fingerprint, 32);
K2K_ASSERT_AT(k2k_shm_header, compatible, 40);
K2K_ASSERT_AT(k2k_shm_header, incompatible, 48);
K2K_ASSERT_AT(k2k_shm_header, uuid, 56);
K2K_ASSERT_AT(k2k_shm_header, boot_id, 72);
K2K_ASSERT_AT(k2k_shm_header, created_at_ns, 88);
K2K_ASSERT_AT(k2k_shm_header, clock, 96);
K2K_ASSERT_AT(k2k_shm_header, object_mode, 100);
K2K_ASSERT_AT(k2k_shm_header, sections, 104);
K2K_ASSERT_AT(k2k_shm_header, reserved, 488);
K2K_ASSERT_AT(k2k_shm_header, checksum, 1016);

K2K_ASSERT_SIZE(k2k_shm_defs, 1344);
K2K_ASSERT_AT(k2k_shm_defs, poisoned, 1024);
K2K_ASSERT_AT(k2k_shm_defs, grace_token, 1088);
K2K_ASSERT_AT(k2k_shm_defs, grace_wake, 1096);
K2K_ASSERT_AT(k2k_shm_defs, generation, 1152);
K2K_ASSERT_AT(k2k_shm_defs, intent, 1160);
K2K_ASSERT_AT(k2k_shm_defs, writer_signed, 1164);
K2K_ASSERT_AT(k2k_shm_defs, writer_owner, 1168);
K2K_ASSERT_AT(k2k_shm_defs, writer_pid, 1176);
K2K_ASSERT_AT(k2k_shm_defs, writer_pid_namespace, 1184);
K2K_ASSERT_AT(k2k_shm_defs, writer_comm, 1192);
K2K_ASSERT_AT(k2k_shm_defs, writer_since_ns, 1208);
K2K_ASSERT_AT(k2k_shm_defs, tenant_free, 1216);
K2K_ASSERT_AT(k2k_shm_defs, tenant_retired, 1232);
K2K_ASSERT_AT(k2k_shm_defs, budget_free, 1248);
K2K_ASSERT_AT(k2k_shm_defs, budget_retired, 1264);
K2K_ASSERT_AT(k2k_shm_defs, cut_ns, 1280);
K2K_ASSERT_SIZE(k2k_shm_list, 16);
K2K_ASSERT_AT(k2k_shm_list, tail, 4);
K2K_ASSERT_AT(k2k_shm_list, count, 8);

K2K_ASSERT_SIZE(k2k_shm_live, 1216);
K2K_ASSERT_AT(k2k_shm_live, ledger_pool, 1024);
K2K_ASSERT_AT(k2k_shm_live, lease_pool, 1088);
K2K_ASSERT_AT(k2k_shm_live, audit_wake, 1152);
K2K_ASSERT_SIZE(k2k_shm_pool, 16);
K2K_ASSERT_AT(k2k_shm_pool, high, 4);
K2K_ASSERT_AT(k2k_shm_pool, freed, 8);

K2K_ASSERT_SIZE(k2k_shm_tenant, 64);
K2K_ASSERT_AT(k2k_shm_tenant, id, 0);
K2K_ASSERT_AT(k2k_shm_tenant, state_gen, 8);
K2K_ASSERT_AT(k2k_shm_tenant, select, 16);
K2K_ASSERT_AT(k2k_shm_tenant, next, 24);
K2K_ASSERT_AT(k2k_shm_tenant, flags, 28);
K2K_ASSERT_AT(k2k_shm_tenant, rate, 32);
K2K_ASSERT_AT(k2k_shm_tenant, burst, 48);

K2K_ASSERT_SIZE(k2k_shm_tenant_cold, 96);
K2K_ASSERT_AT(k2k_shm_tenant_cold, gpu_memory_bytes, 0);
K2K_ASSERT_AT(k2k_shm_tenant_cold, kernels, 16);
K2K_ASSERT_AT(k2k_shm_tenant_cold, registered_at_ns, 24);
K2K_ASSERT_AT(k2k_shm_tenant_cold, retired_token, 32);
K2K_ASSERT_AT(k2k_shm_tenant_cold, budget_count, 40);
K2K_ASSERT_AT(k2k_shm_tenant_cold, list_next, 44);
K2K_ASSERT_AT(k2k_shm_tenant_cold, label, 48);
K2K_ASSERT_AT(k2k_shm_tenant_cold, pinned_by, 80);
K2K_ASSERT_AT(k2k_shm_tenant_cold, totals_due, 88);

K2K_ASSERT_SIZE(k2k_shm_cell, 64);
K2K_ASSERT_AT(k2k_shm_cell, admitted, 0);
K2K_ASSERT_AT(k2k_shm_cell, window, 8);
K2K_ASSERT_AT(k2k_shm_cell, costs, 16);
K2K_ASSERT_AT(k2k_shm_cell, has_costs, 20);
K2K_ASSERT_AT(k2k_shm_cell, lease_brokers, 24);
K2K_ASSERT_AT(k2k_shm_cell, reserved, 32);

K2K_ASSERT_SIZE(k2k_shm_cell_cold, 64);
K2K_ASSERT_AT(k2k_shm_cell_cold, rejected_rate, 0);
K2K_ASSERT_AT(k2k_shm_cell_cold, rejected_budget, 8);
K2K_ASSERT_AT(k2k_shm_cell_cold, rejected_kernels, 16);
K2K_ASSERT_AT(k2k_shm_cell_cold, rejected_gpu_memory, 24);
K2K_ASSERT_AT(k2k_shm_cell_cold, unattributed_ns, 32);

K2K_ASSERT_SIZE(k2k_shm_entry, 32);
K2K_ASSERT_AT(k2k_shm_entry, state, 0);
K2K_ASSERT_AT(k2k_shm_entry, gen, 8);
K2K_ASSERT_AT(k2k_shm_entry, key, 16);
K2K_ASSERT_AT(k2k_shm_entry, slot, 24);
K2K_ASSERT_AT(k2k_shm_entry, next, 28);

K2K_ASSERT_SIZE(k2k_shm_budget, 64);
K2K_ASSERT_AT(k2k_shm_budget, budget_ns, 32);
K2K_ASSERT_AT(k2k_shm_budget, since, 40);
K2K_ASSERT_AT(k2k_shm_budget, until, 48);
K2K_ASSERT_AT(k2k_shm_budget, ledger, 56);
K2K_ASSERT_AT(k2k_shm_budget, list_next, 60);

K2K_ASSERT_SIZE(k2k_shm_cost, 64);
K2K_ASSERT_AT(k2k_shm_cost, cost_ns, 32);
K2K_ASSERT_AT(k2k_shm_cost, reserved_ns, 40);

K2K_ASSERT_SIZE(k2k_shm_claim, 24);
K2K_ASSERT_SIZE(k2k_shm_lease, 128);
K2K_ASSERT_AT(k2k_shm_lease, state, 0);
K2K_ASSERT_AT(k2k_shm_lease, use, 8);
K2K_ASSERT_AT(k2k_shm_lease, gen, 16);
K2K_ASSERT_AT(k2k_shm_lease, incarnation, 24);
K2K_ASSERT_AT(k2k_shm_lease, whose, 32);
K2K_ASSERT_AT(k2k_shm_lease, claims, 40);
K2K_ASSERT_SIZE(k2k_shm_lease_row, 256);

K2K_ASSERT_SIZE(k2k_shm_slot, 256);
K2K_ASSERT_AT(k2k_shm_slot, owner, 0);
K2K_ASSERT_AT(k2k_shm_slot, ack, 8);
K2K_ASSERT_AT(k2k_shm_slot, state, 16);
K2K_ASSERT_AT(k2k_shm_slot, pid, 64);
K2K_ASSERT_AT(k2k_shm_slot, comm, 96);
K2K_ASSERT_AT(k2k_shm_slot, cross_tenant_total, 128);
K2K_ASSERT_AT(k2k_shm_slot, unknown_tenant_total, 136);
K2K_ASSERT_AT(k2k_shm_slot, death_reported, 144);

K2K_ASSERT_SIZE(k2k_shm_ring, 448);
K2K_ASSERT_AT(k2k_shm_ring, claimed, 0);
K2K_ASSERT_AT(k2k_shm_ring, since, 8);
K2K_ASSERT_AT(k2k_shm_ring, written, 64);
K2K_ASSERT_AT(k2k_shm_ring, coalesced, 192);
K2K_ASSERT_AT(k2k_shm_ring, lost, 320);

K2K_ASSERT_SIZE(k2k_shm_event, 256);
K2K_ASSERT_AT(k2k_shm_event, sequence, 0);
K2K_ASSERT_AT(k2k_shm_event, count, 8);
K2K_ASSERT_AT(k2k_shm_event, given_up, 16);
K2K_ASSERT_AT(k2k_shm_event, words, 24);
K2K_ASSERT_SIZE(k2k_event_body, K2K_EVENT_WORDS * 8);
K2K_ASSERT_AT(k2k_event_body, kind, 16);
K2K_ASSERT_AT(k2k_event_body, code, 20);
K2K_ASSERT_AT(k2k_event_body, tenant, 24);
K2K_ASSERT_AT(k2k_event_body, pid, 80);
K2K_ASSERT_AT(k2k_event_body, more, 96);
K2K_ASSERT_AT(k2k_event_body, more.kernels.destination, 164);
K2K_ASSERT_AT(k2k_event_body, more.change.actor, 168);

K2K_ASSERT_SIZE(k2k_shm_follower, 1216);
K2K_ASSERT_AT(k2k_shm_follower, owner, 0);
K2K_ASSERT_AT(k2k_shm_follower, said_ns, 8);
K2K_ASSERT_AT(k2k_shm_follower, failing_since_ns, 16);
K2K_ASSERT_AT(k2k_shm_follower, failures, 24);
K2K_ASSERT_AT(k2k_shm_follower, pid, 32);
K2K_ASSERT_AT(k2k_shm_follower, comm, 40);
K2K_ASSERT_AT(k2k_shm_follower, attached_at_ns, 56);
K2K_ASSERT_AT(k2k_shm_follower, lost, 64);
K2K_ASSERT_AT(k2k_shm_follower, damaged, 72);
K2K_ASSERT_AT(k2k_shm_follower, lost_ring, 80);
K2K_ASSERT_AT(k2k_shm_follower, lost_at_ns, 104);
K2K_ASSERT_AT(k2k_shm_follower, next, 128);

_Static_assert(sizeof(k2k_u64) == 8 && sizeof(k2k_u32) == 4, "atomics have no room for a lock");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_LONG_LOCK_FREE == 2 &&
                       ATOMIC_INT_LOCK_FREE == 2,
               "atomics are lock-free: only such work between processes");

/* Every step is reversible: whatever one word is changed to, the result changes too. */
static uint64_t digest(const uint64_t *words, size_t count)
{
	uint64_t hash = count;

	for (size_t i = 0; i < count; i++)
		hash = k2k_mix64(hash ^ words[i]);
	return hash;
}

uint64_t k2k_layout_fingerprint(void)
{
	static const uint64_t facts[] = {
		K2K_LAYOUT_VERSION,
		K2K_SLOTS,
		K2K_STATE_BITS,
		K2K_ENTRY_STATE_BITS,
		K2K_WINDOW_BASE_BITS,
		sizeof(struct k2k_shm_header),
		sizeof(struct k2k_shm_defs),
		sizeof(struct k2k_shm_live),
		sizeof(struct k2k_shm_tenant),
		sizeof(struct k2k_shm_tenant_cold),
		sizeof(struct k2k_shm_cell),
		sizeof(struct k2k_shm_cell_cold),
		sizeof(struct k2k_shm_budget),
		sizeof(struct k2k_shm_cost),
		sizeof(struct k2k_shm_lease),
		sizeof(struct k2k_shm_slot),
		sizeof(struct k2k_shm_ring),
		sizeof(struct k2k_shm_event),
		sizeof(struct k2k_shm_follower),
		offsetof(struct k2k_shm_follower, next),
		K2K_FOLLOWERS,
		offsetof(struct k2k_shm_tenant, state_gen),
		offsetof(struct k2k_shm_tenant, select),
		offsetof(struct k2k_shm_tenant, next),
		offsetof(struct k2k_shm_tenant_cold, totals_due),
		offsetof(struct k2k_shm_tenant, rate),
		offsetof(struct k2k_shm_cell, window),
		offsetof(struct k2k_shm_cell, lease_brokers),
		offsetof(struct k2k_shm_entry, gen),
		offsetof(struct k2k_shm_entry, key),
		offsetof(struct k2k_shm_entry, slot),
		offsetof(struct k2k_shm_entry, next),
		offsetof(struct k2k_shm_budget, since),
		offsetof(struct k2k_shm_budget, until),
		offsetof(struct k2k_shm_cost, cost_ns),
		offsetof(struct k2k_shm_lease, claims),
		offsetof(struct k2k_shm_lease, use),
		offsetof(struct k2k_shm_lease, whose),
		sizeof(struct k2k_shm_lease_row),
		offsetof(struct k2k_shm_slot, ack),
		offsetof(struct k2k_shm_slot, state),
		offsetof(struct k2k_shm_defs, grace_token),
		offsetof(struct k2k_shm_defs, poisoned),
		offsetof(struct k2k_shm_defs, cut_ns),
		offsetof(struct k2k_shm_defs, writer_owner),
		offsetof(struct k2k_shm_tenant_cold, pinned_by),
		offsetof(struct k2k_shm_slot, death_reported),
		offsetof(struct k2k_shm_ring, written),
		offsetof(struct k2k_shm_event, words),
		offsetof(struct k2k_event_body, more),
		K2K_RINGS,
		K2K_EVENT_KINDS,
		K2K_EVENT_COUNT_BITS,
		K2K_EVENT_NUMBER_BITS,
	};

	return digest(facts, sizeof(facts) / sizeof(facts[0]));
}

uint64_t k2k_layout_checksum(const struct k2k_shm_header *header)
{
	union {
		struct k2k_shm_header header;
		uint64_t words[sizeof(struct k2k_shm_header) / sizeof(uint64_t)];
	} copy;

	memcpy(&copy.header, header, sizeof(copy.header));
	copy.header.checksum = 0;
	return digest(copy.words, sizeof(copy.words) / sizeof(copy.words[0]));
}
