/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layout.h"

#include <string.h>

/*
 * Every struct of layout.h: its size, and the offset of each field, in order. The compiler checks
 * both against layout.h, and that no field or padding is missing here. The fingerprint is computed
 * from the same list. MEMBER is a member of a union, whose FIELD covers its bytes already.
 */
/* clang-format off */
#define LAYOUT(STRUCT, FIELD, MEMBER, END) \
	STRUCT(k2k_shm_section, 24) \
		FIELD(k2k_shm_section, kind, 0) \
		FIELD(k2k_shm_section, stride_bytes, 4) \
		FIELD(k2k_shm_section, offset_bytes, 8) \
		FIELD(k2k_shm_section, count, 16) \
	END(k2k_shm_section) \
	STRUCT(k2k_shm_header, 1024) \
		FIELD(k2k_shm_header, magic, 0) \
		FIELD(k2k_shm_header, layout_version, 8) \
		FIELD(k2k_shm_header, byte_order, 12) \
		FIELD(k2k_shm_header, header_bytes, 16) \
		FIELD(k2k_shm_header, section_count, 20) \
		FIELD(k2k_shm_header, total_bytes, 24) \
		FIELD(k2k_shm_header, fingerprint, 32) \
		FIELD(k2k_shm_header, compatible, 40) \
		FIELD(k2k_shm_header, incompatible, 48) \
		FIELD(k2k_shm_header, uuid, 56) \
		FIELD(k2k_shm_header, boot_id, 72) \
		FIELD(k2k_shm_header, created_at_ns, 88) \
		FIELD(k2k_shm_header, clock, 96) \
		FIELD(k2k_shm_header, object_mode, 100) \
		FIELD(k2k_shm_header, sections, 104) \
		FIELD(k2k_shm_header, reserved, 584) \
		FIELD(k2k_shm_header, checksum, 1016) \
	END(k2k_shm_header) \
	STRUCT(k2k_shm_list, 16) \
		FIELD(k2k_shm_list, head, 0) \
		FIELD(k2k_shm_list, tail, 4) \
		FIELD(k2k_shm_list, count, 8) \
		FIELD(k2k_shm_list, reserved, 12) \
	END(k2k_shm_list) \
	STRUCT(k2k_shm_correction, 64) \
		FIELD(k2k_shm_correction, request_id, 0) \
		FIELD(k2k_shm_correction, generation, 8) \
		FIELD(k2k_shm_correction, engagement, 16) \
		FIELD(k2k_shm_correction, ns, 24) \
		FIELD(k2k_shm_correction, after, 32) \
		FIELD(k2k_shm_correction, ledger, 40) \
		FIELD(k2k_shm_correction, period, 44) \
		FIELD(k2k_shm_correction, made, 48) \
		FIELD(k2k_shm_correction, reserved0, 52) \
		FIELD(k2k_shm_correction, reserved1, 56) \
	END(k2k_shm_correction) \
	STRUCT(k2k_shm_defs, 3456) \
		FIELD(k2k_shm_defs, header, 0) \
		FIELD(k2k_shm_defs, poisoned, 1024) \
		FIELD(k2k_shm_defs, reserved0, 1028) \
		FIELD(k2k_shm_defs, shares_until_ns, 1032) \
		FIELD(k2k_shm_defs, shares_epoch, 1040) \
		FIELD(k2k_shm_defs, reserved7, 1048) \
		FIELD(k2k_shm_defs, grace_token, 1088) \
		FIELD(k2k_shm_defs, grace_wake, 1096) \
		FIELD(k2k_shm_defs, reserved1, 1100) \
		FIELD(k2k_shm_defs, generation, 1152) \
		FIELD(k2k_shm_defs, intent, 1160) \
		FIELD(k2k_shm_defs, writer_signed, 1164) \
		FIELD(k2k_shm_defs, writer_owner, 1168) \
		FIELD(k2k_shm_defs, writer_pid, 1176) \
		FIELD(k2k_shm_defs, writer_pid_namespace, 1184) \
		FIELD(k2k_shm_defs, writer_comm, 1192) \
		FIELD(k2k_shm_defs, writer_since_ns, 1208) \
		FIELD(k2k_shm_defs, tenant_free, 1216) \
		FIELD(k2k_shm_defs, tenant_retired, 1232) \
		FIELD(k2k_shm_defs, budget_free, 1248) \
		FIELD(k2k_shm_defs, budget_retired, 1264) \
		FIELD(k2k_shm_defs, cut_ns, 1280) \
		FIELD(k2k_shm_defs, reserved5, 1288) \
		FIELD(k2k_shm_defs, period_free, 1296) \
		FIELD(k2k_shm_defs, corrections, 1312) \
		FIELD(k2k_shm_defs, correcting, 1320) \
		FIELD(k2k_shm_defs, reserved6, 1328) \
		FIELD(k2k_shm_defs, correction, 1344) \
		FIELD(k2k_shm_defs, kernel_key, 3392) \
	END(k2k_shm_defs) \
	STRUCT(k2k_shm_pool, 16) \
		FIELD(k2k_shm_pool, hint, 0) \
		FIELD(k2k_shm_pool, high, 4) \
		FIELD(k2k_shm_pool, freed, 8) \
		FIELD(k2k_shm_pool, writer_hint, 12) \
	END(k2k_shm_pool) \
	STRUCT(k2k_shm_live, 1280) \
		FIELD(k2k_shm_live, header, 0) \
		FIELD(k2k_shm_live, ledger_pool, 1024) \
		FIELD(k2k_shm_live, reserved0, 1040) \
		FIELD(k2k_shm_live, lease_pool, 1088) \
		FIELD(k2k_shm_live, reserved1, 1104) \
		FIELD(k2k_shm_live, audit_wake, 1152) \
		FIELD(k2k_shm_live, deaths_second, 1156) \
		FIELD(k2k_shm_live, alerts_second, 1160) \
		FIELD(k2k_shm_live, reserved2, 1164) \
		FIELD(k2k_shm_live, kernel_pool, 1216) \
		FIELD(k2k_shm_live, reserved3, 1232) \
	END(k2k_shm_live) \
	STRUCT(k2k_shm_tenant, 64) \
		FIELD(k2k_shm_tenant, id, 0) \
		FIELD(k2k_shm_tenant, state_gen, 8) \
		FIELD(k2k_shm_tenant, select, 16) \
		FIELD(k2k_shm_tenant, next, 24) \
		FIELD(k2k_shm_tenant, flags, 28) \
		FIELD(k2k_shm_tenant, rate, 32) \
		FIELD(k2k_shm_tenant, burst, 48) \
	END(k2k_shm_tenant) \
	STRUCT(k2k_shm_tenant_cold, 160) \
		FIELD(k2k_shm_tenant_cold, gpu_memory_bytes, 0) \
		FIELD(k2k_shm_tenant_cold, kernels, 16) \
		FIELD(k2k_shm_tenant_cold, alerts, 24) \
		FIELD(k2k_shm_tenant_cold, name, 32) \
		FIELD(k2k_shm_tenant_cold, registered_at_ns, 96) \
		FIELD(k2k_shm_tenant_cold, retired_token, 104) \
		FIELD(k2k_shm_tenant_cold, budget_count, 112) \
		FIELD(k2k_shm_tenant_cold, list_next, 116) \
		FIELD(k2k_shm_tenant_cold, pinned_by, 120) \
		FIELD(k2k_shm_tenant_cold, totals_due, 128) \
		FIELD(k2k_shm_tenant_cold, alone, 136) \
		FIELD(k2k_shm_tenant_cold, reserved, 152) \
	END(k2k_shm_tenant_cold) \
	STRUCT(k2k_shm_cell, 64) \
		FIELD(k2k_shm_cell, window, 0) \
		FIELD(k2k_shm_cell, ceiling, 8) \
		FIELD(k2k_shm_cell, admitted, 16) \
		FIELD(k2k_shm_cell, opening, 24) \
		FIELD(k2k_shm_cell, costs, 32) \
		FIELD(k2k_shm_cell, has_costs, 36) \
		FIELD(k2k_shm_cell, lease_brokers, 40) \
		FIELD(k2k_shm_cell, source, 48) \
		FIELD(k2k_shm_cell, sought, 52) \
		FIELD(k2k_shm_cell, reserved, 56) \
	END(k2k_shm_cell) \
	STRUCT(k2k_shm_cell_cold, 128) \
		FIELD(k2k_shm_cell_cold, rejected_rate, 0) \
		FIELD(k2k_shm_cell_cold, rejected_budget, 8) \
		FIELD(k2k_shm_cell_cold, rejected_kernels, 16) \
		FIELD(k2k_shm_cell_cold, rejected_gpu_memory, 24) \
		FIELD(k2k_shm_cell_cold, unattributed_ns, 32) \
		FIELD(k2k_shm_cell_cold, rejected_suspended, 40) \
		FIELD(k2k_shm_cell_cold, shadow_rate, 48) \
		FIELD(k2k_shm_cell_cold, shadow_budget, 56) \
		FIELD(k2k_shm_cell_cold, shadow_kernels, 64) \
		FIELD(k2k_shm_cell_cold, shadow_gpu_memory, 72) \
		FIELD(k2k_shm_cell_cold, alert_rate, 80) \
		FIELD(k2k_shm_cell_cold, alert_kernels, 88) \
		FIELD(k2k_shm_cell_cold, alert_gpu_memory, 96) \
		FIELD(k2k_shm_cell_cold, reserved, 104) \
	END(k2k_shm_cell_cold) \
	STRUCT(k2k_shm_entry, 32) \
		FIELD(k2k_shm_entry, state, 0) \
		FIELD(k2k_shm_entry, gen, 8) \
		FIELD(k2k_shm_entry, key, 16) \
		FIELD(k2k_shm_entry, slot, 24) \
		FIELD(k2k_shm_entry, next, 28) \
	END(k2k_shm_entry) \
	STRUCT(k2k_shm_budget, 80) \
		FIELD(k2k_shm_budget, entry, 0) \
		FIELD(k2k_shm_budget, budget_ns, 32) \
		FIELD(k2k_shm_budget, since, 40) \
		FIELD(k2k_shm_budget, until, 48) \
		FIELD(k2k_shm_budget, ledger, 56) \
		FIELD(k2k_shm_budget, list_next, 60) \
		FIELD(k2k_shm_budget, every, 64) \
		FIELD(k2k_shm_budget, period, 68) \
		FIELD(k2k_shm_budget, period_kept, 72) \
		FIELD(k2k_shm_budget, period_next, 76) \
	END(k2k_shm_budget) \
	STRUCT(k2k_pair, 16) \
		FIELD(k2k_pair, first, 0) \
		FIELD(k2k_pair, second, 8) \
	END(k2k_pair) \
	STRUCT(k2k_shm_period, 256) \
		FIELD(k2k_shm_period, now, 0) \
		FIELD(k2k_shm_period, corrected, 16) \
		FIELD(k2k_shm_period, closed, 32) \
		FIELD(k2k_shm_period, alerts, 240) \
		FIELD(k2k_shm_period, reserved, 248) \
	END(k2k_shm_period) \
	STRUCT(k2k_shm_source, 64) \
		FIELD(k2k_shm_source, left, 0) \
		FIELD(k2k_shm_source, owner, 16) \
		FIELD(k2k_shm_source, brokers, 24) \
		FIELD(k2k_shm_source, folds, 32) \
		FIELD(k2k_shm_source, reserved, 40) \
	END(k2k_shm_source) \
	STRUCT(k2k_shm_share, 64) \
		FIELD(k2k_shm_share, spent, 0) \
		FIELD(k2k_shm_share, version, 16) \
		FIELD(k2k_shm_share, generation, 24) \
		FIELD(k2k_shm_share, used, 32) \
		FIELD(k2k_shm_share, draws, 40) \
		FIELD(k2k_shm_share, reserved, 48) \
	END(k2k_shm_share) \
	STRUCT(k2k_shm_cost, 64) \
		FIELD(k2k_shm_cost, entry, 0) \
		FIELD(k2k_shm_cost, cost_ns, 32) \
		FIELD(k2k_shm_cost, corrected_ns, 40) \
		FIELD(k2k_shm_cost, alerts, 48) \
		FIELD(k2k_shm_cost, reserved, 56) \
	END(k2k_shm_cost) \
	STRUCT(k2k_shm_claim, 24) \
		FIELD(k2k_shm_claim, asked, 0) \
		FIELD(k2k_shm_claim, ended, 8) \
		FIELD(k2k_shm_claim, held, 16) \
	END(k2k_shm_claim) \
	STRUCT(k2k_shm_lease, 128) \
		FIELD(k2k_shm_lease, state, 0) \
		FIELD(k2k_shm_lease, use, 8) \
		FIELD(k2k_shm_lease, gen, 16) \
		FIELD(k2k_shm_lease, incarnation, 24) \
		FIELD(k2k_shm_lease, whose, 32) \
		FIELD(k2k_shm_lease, claims, 40) \
		FIELD(k2k_shm_lease, moving, 112) \
		FIELD(k2k_shm_lease, named, 120) \
	END(k2k_shm_lease) \
	STRUCT(k2k_shm_reserve_row, 16) \
		FIELD(k2k_shm_reserve_row, brokers, 0) \
		FIELD(k2k_shm_reserve_row, reach, 8) \
		FIELD(k2k_shm_reserve_row, reserved, 12) \
	END(k2k_shm_reserve_row) \
	STRUCT(k2k_shm_kernel_set, 48) \
		FIELD(k2k_shm_kernel_set, gen, 0) \
		FIELD(k2k_shm_kernel_set, org_id, 8) \
		FIELD(k2k_shm_kernel_set, engagement_id, 16) \
		FIELD(k2k_shm_kernel_set, address, 24) \
		FIELD(k2k_shm_kernel_set, slot, 40) \
		FIELD(k2k_shm_kernel_set, reserved, 44) \
	END(k2k_shm_kernel_set) \
	STRUCT(k2k_shm_kernel, 256) \
		FIELD(k2k_shm_kernel, entry, 0) \
		FIELD(k2k_shm_kernel, word, 32) \
		FIELD(k2k_shm_kernel, incarnation, 40) \
		FIELD(k2k_shm_kernel, broker, 48) \
		FIELD(k2k_shm_kernel, reserved0, 52) \
		FIELD(k2k_shm_kernel, reserved1, 56) \
		FIELD(k2k_shm_kernel, name, 64) \
		FIELD(k2k_shm_kernel, sets, 128) \
		FIELD(k2k_shm_kernel, reserved2, 224) \
	END(k2k_shm_kernel) \
	STRUCT(k2k_shm_slot, 256) \
		FIELD(k2k_shm_slot, owner, 0) \
		FIELD(k2k_shm_slot, ack, 8) \
		FIELD(k2k_shm_slot, state, 16) \
		FIELD(k2k_shm_slot, reserved0, 20) \
		FIELD(k2k_shm_slot, pid, 64) \
		FIELD(k2k_shm_slot, pid_namespace, 72) \
		FIELD(k2k_shm_slot, start_time, 80) \
		FIELD(k2k_shm_slot, attached_at_ns, 88) \
		FIELD(k2k_shm_slot, comm, 96) \
		FIELD(k2k_shm_slot, reserved1, 112) \
		FIELD(k2k_shm_slot, cross_tenant_total, 128) \
		FIELD(k2k_shm_slot, unknown_tenant_total, 136) \
		FIELD(k2k_shm_slot, death_reported, 144) \
		FIELD(k2k_shm_slot, reserved2, 152) \
		FIELD(k2k_shm_slot, reserved3, 192) \
	END(k2k_shm_slot) \
	STRUCT(k2k_shm_ring, 832) \
		FIELD(k2k_shm_ring, claimed, 0) \
		FIELD(k2k_shm_ring, since, 8) \
		FIELD(k2k_shm_ring, reserved, 16) \
		FIELD(k2k_shm_ring, written, 64) \
		FIELD(k2k_shm_ring, coalesced, 320) \
		FIELD(k2k_shm_ring, lost, 576) \
	END(k2k_shm_ring) \
	STRUCT(k2k_event_body, 232) \
		FIELD(k2k_event_body, time_ns, 0) \
		FIELD(k2k_event_body, monotonic_ns, 8) \
		FIELD(k2k_event_body, kind, 16) \
		FIELD(k2k_event_body, flags, 18) \
		FIELD(k2k_event_body, code, 20) \
		FIELD(k2k_event_body, tenant, 24) \
		FIELD(k2k_event_body, to, 32) \
		FIELD(k2k_event_body, org_id, 40) \
		FIELD(k2k_event_body, engagement_id, 48) \
		FIELD(k2k_event_body, generation, 56) \
		FIELD(k2k_event_body, used, 64) \
		FIELD(k2k_event_body, limit, 72) \
		FIELD(k2k_event_body, pid, 80) \
		FIELD(k2k_event_body, incarnation, 88) \
		FIELD(k2k_event_body, more, 96) \
		MEMBER(k2k_event_body, more.kernels.source, 96) \
		MEMBER(k2k_event_body, more.kernels.destination, 164) \
		MEMBER(k2k_event_body, more.broker.comm, 96) \
		MEMBER(k2k_event_body, more.change.values, 96) \
		MEMBER(k2k_event_body, more.change.actor, 168) \
	END(k2k_event_body) \
	STRUCT(k2k_shm_event, 256) \
		FIELD(k2k_shm_event, sequence, 0) \
		FIELD(k2k_shm_event, count, 8) \
		FIELD(k2k_shm_event, given_up, 16) \
		FIELD(k2k_shm_event, words, 24) \
	END(k2k_shm_event) \
	STRUCT(k2k_shm_follower, 128) \
		FIELD(k2k_shm_follower, owner, 0) \
		FIELD(k2k_shm_follower, said_ns, 8) \
		FIELD(k2k_shm_follower, failing_since_ns, 16) \
		FIELD(k2k_shm_follower, failures, 24) \
		FIELD(k2k_shm_follower, pid, 32) \
		FIELD(k2k_shm_follower, comm, 40) \
		FIELD(k2k_shm_follower, attached_at_ns, 56) \
		FIELD(k2k_shm_follower, lost, 64) \
		FIELD(k2k_shm_follower, damaged, 72) \
		FIELD(k2k_shm_follower, lost_ring, 80) \
		FIELD(k2k_shm_follower, lost_from, 88) \
		FIELD(k2k_shm_follower, lost_count, 96) \
		FIELD(k2k_shm_follower, lost_at_ns, 104) \
		FIELD(k2k_shm_follower, reserved0, 112) \
	END(k2k_shm_follower)
/* clang-format on */

#define ASSERT_SIZE(type, bytes) \
	_Static_assert(sizeof(struct type) == (bytes), #type " is " #bytes " bytes");
#define ASSERT_OFFSET(type, field, bytes)                                               \
	_Static_assert(offsetof(struct type, field) == (bytes), #type "." #field " is " \
	                                                              "at " #bytes);
#define IGNORE(...)
LAYOUT(ASSERT_SIZE, ASSERT_OFFSET, ASSERT_OFFSET, IGNORE)

#define SUM_BEGIN(type, bytes) _Static_assert(sizeof(struct type) == 0
#define SUM_FIELD(type, field, bytes) +sizeof(((struct type *)0)->field)
#define SUM_END(type) , "every byte of " #type " belongs to a field in the list");
LAYOUT(SUM_BEGIN, SUM_FIELD, IGNORE, SUM_END)

_Static_assert(sizeof(struct k2k_event_body) == K2K_EVENT_WORDS * 8, "an event's words hold it");
_Static_assert(sizeof(k2k_u64) == 8 && sizeof(k2k_u32) == 4, "atomics contain no lock");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_LONG_LOCK_FREE == 2 &&
                       ATOMIC_INT_LOCK_FREE == 2,
               "only lock-free atomics work between processes");

/* Each step is a bijection, so a change of any one word changes the result. */
static uint64_t digest(const uint64_t *words, size_t count)
{
	uint64_t hash = count;

	for (size_t i = 0; i < count; i++)
		hash = k2k_mix64(hash ^ words[i]);
	return hash;
}

uint64_t k2k_layout_fingerprint(void)
{
#define SIZE_OF(type, bytes) sizeof(struct type),
#define OFFSET_OF(type, field, bytes) offsetof(struct type, field),
	static const uint64_t facts[] = { K2K_LAYOUT_VERSION,
		                          K2K_SLOTS_MAX,
		                          K2K_STATE_BITS,
		                          K2K_ENTRY_STATE_BITS,
		                          K2K_KERNEL_VERSION_SHIFT,
		                          K2K_RATE_TAG_BITS,
		                          K2K_RATE_FRACTION_BITS,
		                          K2K_BURST_BITS,
		                          K2K_FOLLOWERS,
		                          K2K_CORRECTIONS,
		                          K2K_PERIOD_PLACES,
		                          K2K_RINGS_LOW,
		                          K2K_EVENT_KINDS,
		                          K2K_EVENT_COUNT_BITS,
		                          K2K_EVENT_NUMBER_BITS,
		                          LAYOUT(SIZE_OF, OFFSET_OF, OFFSET_OF, IGNORE) };

	return digest(facts, K2K_COUNT_OF(facts));
}

uint64_t k2k_layout_checksum(const struct k2k_shm_header *header)
{
	union {
		struct k2k_shm_header header;
		uint64_t words[sizeof(struct k2k_shm_header) / sizeof(uint64_t)];
	} copy;

	memcpy(&copy.header, header, sizeof(copy.header));
	copy.header.checksum = 0;
	return digest(copy.words, K2K_COUNT_OF(copy.words));
}
