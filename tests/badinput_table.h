/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * badinput_table.h - every public call: how it is called rightly, in which roles, and all the ways
 * to call it wrongly.
 */
#ifndef K2K_TESTS_BADINPUT_TABLE_H
#define K2K_TESTS_BADINPUT_TABLE_H

#include "badinput_calls.h"

/* ---- leases: kernels and GPU memory alike ------------------------------------------------ */

static int acquire_any(struct k2k_registry *reg, bool memory, k2k_tenant_id id, uint64_t bytes,
                       struct k2k_lease *lease, struct k2k_verdict *verdict)
{
	return memory ? k2k_gpu_memory_acquire(reg, id, bytes, lease, verdict)
	              : k2k_kernel_acquire(reg, id, lease, verdict);
}

static int release_any(struct k2k_registry *reg, bool memory, struct k2k_lease *lease)
{
	return memory ? k2k_gpu_memory_release(reg, lease) : k2k_kernel_release(reg, lease);
}

static int release_id_any(struct k2k_registry *reg, bool memory, k2k_tenant_id id, uint64_t bytes)
{
	return memory ? k2k_gpu_memory_release_id(reg, id, bytes) : k2k_kernel_release_id(reg, id);
}

static int acquire(struct k2k_registry *reg, bool memory, int variant, int *expected)
{
	struct k2k_lease lease = K2K_LEASE_INIT, before;
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	k2k_tenant_id id = ID;
	uint64_t bytes = 1;
	int code;

	switch (variant) {
	case 0: break;
	case 1:
		*expected = K2K_ENOTENANT;
		id = UNKNOWN;
		break;
	case 2:
		*expected = memory ? K2K_EINVAL : 0; /* no amount of a kernel's to be wrong */
		bytes = 0;
		break;
	case 3:
		*expected = memory ? K2K_EGPUMEM : 0;
		bytes = UINT64_MAX;
		break;
	default:
		if (variant < 20 ? !spoil(variant - 4, &lease.size, &lease.flags)
		                 : !spoil(variant - 20, &verdict.size, &verdict.flags))
			NO_VARIANT;
	}
	before = lease;
	code = acquire_any(reg, memory, id, bytes, &lease, &verdict);
	if (code)
		assert_memory_equal(&before, &lease, sizeof lease);
	else
		assert_int_equal(release_any(reg, memory, &lease), 0);
	return code;
}

static int release(struct k2k_registry *reg, bool memory, int variant, int *expected)
{
	struct k2k_lease lease = { sizeof lease, memory ? K2K_LEASE_GPU_MEMORY : K2K_LEASE_KERNEL,
		                   ID, 1, 1 };
	struct k2k_lease kept = lease, before;
	int code;

	if (variant == 1)
		return release_any(reg, memory, NULL);
	if (variant > 20) {
		UNLESS_SPOILT(variant - 21, lease);
		return release_any(reg, memory, &lease);
	}
	acquire_any(reg, memory, ID, 1, &kept, NULL);
	lease = kept;
	switch (variant) {
	case 0: break;
	case 2: lease.flags = memory ? K2K_LEASE_KERNEL : K2K_LEASE_GPU_MEMORY; break;
	case 3: lease.flags = K2K_LEASE_KERNEL | K2K_LEASE_GPU_MEMORY; break;
	case 4: lease.flags = 0; break;
	case 5: lease.generation = 0; break;
	case 6:
		*expected = K2K_ENOTHELD;
		lease.amount = 0;
		break;
	case 7:
		*expected = K2K_ENOTHELD;
		lease.amount = UINT64_MAX;
		break;
	case 8:
		*expected = K2K_ENOTHELD;
		lease.amount = 2;
		break;
	case 9:
		*expected = K2K_ESTALE;
		lease.generation += 1000;
		break;
	case 10:
		*expected = K2K_ESTALE;
		lease.id = UNKNOWN;
		break;
	case 11:
		*expected = K2K_ESTALE;
		lease.generation = UINT64_MAX;
		break;
	default: release_any(reg, memory, &kept); NO_VARIANT;
	}
	before = lease;
	code = release_any(reg, memory, &lease);
	if (code) {
		assert_memory_equal(&before, &lease, sizeof lease);
		release_any(reg, memory, &kept);
	} else {
		assert_int_equal(lease.amount, 0);
	}
	return code;
}

static int release_id(struct k2k_registry *reg, bool memory, int variant, int *expected)
{
	int code;

	switch (variant) {
	case 0:
		acquire_any(reg, memory, ID, 1, NULL, NULL);
		return release_id_any(reg, memory, ID, 1);
	case 1: *expected = K2K_ENOTENANT; return release_id_any(reg, memory, UNKNOWN, 1);
	case 2: *expected = K2K_ENOTHELD; return release_id_any(reg, memory, ID, 1);
	case 3:
		*expected = memory ? K2K_EINVAL : K2K_ENOTHELD;
		return release_id_any(reg, memory, ID, 0);
	case 4:
		acquire_any(reg, memory, ID, 1, NULL, NULL);
		*expected = memory ? K2K_ENOTHELD : 0;
		code = release_id_any(reg, memory, ID, 2);
		if (code)
			release_id_any(reg, memory, ID, 1);
		return code;
	default: NO_VARIANT;
	}
}

static int call_kernel_acquire(struct k2k_registry *reg, int v, int *expected)
{
	return acquire(reg, false, v, expected);
}
static int call_kernel_release(struct k2k_registry *reg, int v, int *expected)
{
	return release(reg, false, v, expected);
}
static int call_kernel_release_id(struct k2k_registry *reg, int v, int *expected)
{
	return release_id(reg, false, v, expected);
}
static int call_memory_acquire(struct k2k_registry *reg, int v, int *expected)
{
	return acquire(reg, true, v, expected);
}
static int call_memory_release(struct k2k_registry *reg, int v, int *expected)
{
	return release(reg, true, v, expected);
}
static int call_memory_release_id(struct k2k_registry *reg, int v, int *expected)
{
	return release_id(reg, true, v, expected);
}

/* ---- reservations of GPU time --------------------------------------------------------------- */

static int call_reserve(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_reservation reservation = K2K_RESERVATION_INIT, before;
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	k2k_tenant_id id = ID;
	uint64_t gpu_ns = 3;
	int code;

	switch (variant) {
	case 0: break;
	case 1: gpu_ns = 0; break;
	case 2: return k2k_usage_reserve(reg, ID, tag, 1, NULL, NULL);
	case 3:
		id = 0;
		gpu_ns = 0;
		break;
	case 4:
		*expected = K2K_ENOTENANT;
		id = UNKNOWN;
		break;
	case 5:
		*expected = K2K_EBUDGET;
		gpu_ns = UINT64_MAX;
		break;
	default:
		if (variant < 20 ? !spoil(variant - 6, &reservation.size, &reservation.flags)
		                 : !spoil(variant - 20, &verdict.size, &verdict.flags))
			NO_VARIANT;
	}
	before = reservation;
	code = k2k_usage_reserve(reg, id, tag, gpu_ns, &reservation, &verdict);
	if (code)
		assert_memory_equal(&before, &reservation, sizeof reservation);
	else
		assert_int_equal(k2k_usage_cancel(reg, &reservation), 0);
	return code;
}

/* The name of a variant; null, empty, or too long. *ours: it is none of these. */
static const char *kernel_name(int variant, bool *ours)
{
	static char longest[K2K_KERNEL_NAME_MAX + 2];

	memset(longest, 'x', sizeof longest - 1);
	*ours = variant > 3 || variant == 0;
	return variant == 1 ? NULL : variant == 2 ? "" : variant == 3 ? longest : "kernel";
}

static int call_kernel_add(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	bool ours;
	const char *name = kernel_name(variant, &ours);

	if (variant == 4)
		return *expected = K2K_ENOTENANT,
		       k2k_kernel_add(reg, name, UNKNOWN, tag, NULL, &verdict);
	if (variant > 4 && !spoil(variant - 5, &verdict.size, &verdict.flags))
		NO_VARIANT;
	return k2k_kernel_add(reg, name, 0, tag, NULL, &verdict);
}

static int call_kernel_remove(struct k2k_registry *reg, int variant, int *expected)
{
	bool ours;
	const char *name = kernel_name(variant, &ours);

	if (variant > 4)
		NO_VARIANT;
	if (variant == 4)
		return *expected = K2K_ENOKERNEL, k2k_kernel_remove(reg, "nobody's");
	if (ours && reg)
		k2k_kernel_add(reg, name, 0, (struct k2k_audit_tag){ 0, 0 }, NULL, NULL);
	return k2k_kernel_remove(reg, name);
}

static int call_kernel_find(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;
	bool ours;
	const char *name = kernel_name(variant, &ours);
	int code;

	if (variant == 4)
		return k2k_kernel_find(reg, name, NULL);
	if (variant > 4)
		UNLESS_SPOILT(variant - 5, info);
	code = k2k_kernel_find(reg, name, &info);
	(void)expected;
	return code == K2K_ENOKERNEL ? 0 : code; /* that is an answer, too */
}

static int call_kernel_list(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_kernel_info all[4] = { K2K_KERNEL_INFO_INIT };
	size_t n;

	if (variant == 100)
		return *expected = K2K_ENOTENANT, k2k_kernel_list(reg, UNKNOWN, all, 4, &n);
	CALL_LIST(k2k_kernel_list, k2k_kernel_info, ID, );
}

static int call_route(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct k2k_route route = K2K_ROUTE_INIT;
	bool ours;
	const char *name = kernel_name(variant, &ours);

	(void)expected;
	switch (variant) {
	case 0:
	case 1:
	case 2:
	case 3: return k2k_message_route(reg, name, "nobody's", tag, 1, &route, &verdict);
	case 4: return k2k_message_route(reg, name, NULL, tag, 1, &route, &verdict);
	case 5: return k2k_message_route(reg, name, "", tag, 1, &route, &verdict);
	case 6: return k2k_message_route(reg, name, name, tag, 0, &route, &verdict);
	case 7: return k2k_message_route(reg, name, name, tag, K2K_ADMIT_MAX + 1, &route, &verdict);
	case 8: return k2k_message_route(reg, name, name, tag, 1, NULL, &verdict);
	default:
		if (variant < 20 ? !spoil(variant - 9, &route.size, &route.flags)
		                 : !spoil(variant - 20, &verdict.size, &verdict.flags))
			NO_VARIANT;
	}
	return k2k_message_route(reg, name, "nobody's", tag, 1, &route, &verdict);
}

static int end_any(struct k2k_registry *reg, bool commit, struct k2k_reservation *reservation)
{
	return commit ? k2k_usage_commit(reg, reservation, 2) : k2k_usage_cancel(reg, reservation);
}

static int end_reservation(struct k2k_registry *reg, bool commit, int variant, int *expected)
{
	struct k2k_reservation mine = K2K_RESERVATION_INIT, kept, before;
	int code;

	if (variant == 1)
		return end_any(reg, commit, NULL);
	if (variant > 20) {
		UNLESS_SPOILT(variant - 21, mine);
		before = mine;
		code = end_any(reg, commit, &mine);
		assert_memory_equal(&before, &mine, sizeof mine);
		return code;
	}
	if (variant > 7)
		NO_VARIANT;
	k2k_usage_reserve(reg, ID, tag, 3, &mine, NULL);
	kept = mine;
	if (variant)
		*expected = K2K_ESTALE;
	switch (variant) {
	case 0: break;
	case 2: mine.number += 1000; break;
	case 3: mine.number = 0; break;
	case 4: mine.number = UINT64_MAX; break;
	case 5: mine.place += 1; break;
	case 6: mine.place = UINT32_MAX; break;
	case 7: k2k_usage_cancel(reg, &mine); break;
	}
	before = mine;
	code = end_any(reg, commit, &mine);
	if (code)
		assert_memory_equal(&before, &mine, sizeof mine);
	else
		assert_true(mine.reserved_ns == 0 && mine.over_ns == 0);
	k2k_usage_cancel(reg, &kept);
	return code;
}

static int call_commit(struct k2k_registry *reg, int v, int *expected)
{
	return end_reservation(reg, true, v, expected);
}
static int call_cancel(struct k2k_registry *reg, int v, int *expected)
{
	return end_reservation(reg, false, v, expected);
}

static int call_reserved(struct k2k_registry *reg, int variant, int *expected)
{
	uint64_t ns = 777;
	int code;

	switch (variant) {
	case 0: return k2k_usage_reserved(reg, ID, tag, &ns);
	case 1: return k2k_usage_reserved(reg, ID, tag, NULL);
	case 2:
		*expected = K2K_ENOTENANT;
		code = k2k_usage_reserved(reg, UNKNOWN, tag, &ns);
		break;
	case 3:
		*expected = K2K_ENOTENANT;
		code = k2k_usage_reserved(reg, 0, tag, &ns);
		break;
	default: NO_VARIANT;
	}
	assert_int_equal(ns, 777);
	return code;
}

/* ---- audit --------------------------------------------------------------------------------- */

static void silent(void *context, const struct k2k_audit_event *event)
{
	(void)context, (void)event;
}

static int call_set_sink(struct k2k_registry *reg, int variant, int *expected)
{
	int code;

	if (variant > 0)
		NO_VARIANT;
	code = k2k_registry_set_audit_sink(reg, silent, NULL);
	if (!code)
		assert_int_equal(k2k_registry_set_audit_sink(reg, NULL, NULL), 0);
	return code;
}

static int call_cross_tenant(struct k2k_registry *reg, int variant, int *expected)
{
	switch (variant) {
	case 0: return k2k_audit_cross_tenant(reg, 1, 2, "a", "b", tag);
	case 1: return k2k_audit_cross_tenant(reg, 1, 2, NULL, "b", tag);
	case 2: return k2k_audit_cross_tenant(reg, 1, 2, "a", NULL, tag);
	default: NO_VARIANT;
	}
}

static int call_batch_begin(struct k2k_registry *reg, int variant, int *expected)
{
	int code;

	if (variant > 0)
		NO_VARIANT;
	code = k2k_batch_begin(reg);
	if (!code)
		assert_int_equal(k2k_batch_end(reg), 0);
	return code;
}

static int call_batch_end(struct k2k_registry *reg, int variant, int *expected)
{
	if (variant > 1)
		NO_VARIANT;
	if (variant == 0)
		(void)k2k_batch_begin(reg);
	return k2k_batch_end(reg);
}

static int call_audit_read(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_audit_cursor cursor = K2K_AUDIT_CURSOR_INIT;
	struct k2k_audit_record records[2] = { { .size = sizeof records[0], .flags = UINT32_MAX } };
	size_t count = 12345;
	int code;

	switch (variant) {
	case 0:
		do /* of a registry that is gone the last events, and then the error */
			code = k2k_audit_read(reg, &cursor, 0, records, 2, &count);
		while (!code && count);
		return code;
	case 1: return k2k_audit_read(reg, &cursor, 0, records, 2, NULL);
	case 2: code = k2k_audit_read(reg, &cursor, 0, NULL, 2, &count); break;
	case 3: code = k2k_audit_read(reg, NULL, 0, records, 2, &count); break;
	case 4: code = k2k_audit_read(reg, &cursor, 4, records, 2, &count); break;
	case 5: code = k2k_audit_read(reg, &cursor, UINT32_MAX, records, 2, &count); break;
	case 6:
		records[0].size--;
		code = k2k_audit_read(reg, &cursor, 0, records, 2, &count);
		break;
	case 7:
		records[0].size = 0;
		code = k2k_audit_read(reg, &cursor, 0, records, 2, &count);
		break;
	case 8:
		cursor.next[64] = UINT64_MAX;
		code = k2k_audit_read(reg, &cursor, 0, records, 2, &count);
		break;
	case 9:
		cursor.next[0] = UINT64_MAX / 2;
		code = k2k_audit_read(reg, &cursor, 0, records, 2, &count);
		break;
	default:
		UNLESS_SPOILT(variant - 10, cursor);
		code = k2k_audit_read(reg, &cursor, 0, records, 2, &count);
	}
	assert_int_equal(count, 12345);
	return code;
}

static int call_audit_wait(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_audit_cursor cursor = K2K_AUDIT_CURSOR_INIT;

	if (variant == 1)
		return k2k_audit_wait(reg, NULL, 0);
	if (variant > 1)
		UNLESS_SPOILT(variant - 2, cursor);
	return k2k_audit_wait(reg, &cursor, 0);
}

/* None of the handles is a follower's. */
static int call_audit_kept(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_audit_cursor cursor = K2K_AUDIT_CURSOR_INIT;

	switch (variant) {
	case 0: return k2k_audit_kept(reg, &cursor, 0);
	case 1: return k2k_audit_kept(reg, NULL, 0);
	case 2: return k2k_audit_kept(reg, &cursor, 2);
	case 3: return k2k_audit_kept(reg, &cursor, UINT32_MAX);
	default: UNLESS_SPOILT(variant - 4, cursor);
	}
	return k2k_audit_kept(reg, &cursor, 0);
}

static int call_follower_list(struct k2k_registry *reg, int variant, int *expected)
{
	CALL_LIST(k2k_audit_follower_list, k2k_audit_follower_info, );
}

static int call_audit_stats(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_audit_stats stats = { .size = sizeof stats };

	if (variant == 1)
		return k2k_audit_stats(reg, NULL);
	if (variant > 1)
		UNLESS_SPOILT(variant - 2, stats);
	return k2k_audit_stats(reg, &stats);
}

/* ---- the table ---------------------------------------------------------------------------- */

static const struct entry {
	const char *name;
	int roles; /* 0: takes no handle; has tests of its own below */
	int (*call)(struct k2k_registry *reg, int variant, int *expected);
} table[] = {
	{ "k2k_strerror", 0, NULL },
	{ "k2k_errname", 0, NULL },
	{ "k2k_error_detail", 0, NULL },
	{ "k2k_registry_plan", 0, NULL },
	{ "k2k_registry_create", 0, NULL },
	{ "k2k_registry_open", 0, NULL },
	{ "k2k_registry_close", 0, NULL },
	{ "k2k_registry_destroy", 0, NULL },
	{ "k2k_audit_level_name", 0, NULL },
	{ "k2k_audit_type_name", 0, NULL },
	{ "k2k_is_cross_tenant", 0, NULL },
	{ "k2k_version", 0, NULL },
	{ "k2k_registry_info", ANY, call_info },
	{ "k2k_registry_check", ANY, call_check },
	{ "k2k_registry_repair", A, call_repair },
	{ "k2k_repair_list", A, call_repair_list },
	{ "k2k_tenant_register", A, call_register },
	{ "k2k_tenant_update", A, call_update },
	{ "k2k_tenant_deregister", A, call_deregister },
	{ "k2k_tenant_suspend", A, call_suspend },
	{ "k2k_tenant_resume", A, call_resume },
	{ "k2k_tenant_drain", A, call_drain },
	{ "k2k_tenant_find_name", ANY, call_find_name },
	{ "k2k_tenant_deregister_many", A, call_deregister_many },
	{ "k2k_tenant_restore", A, call_restore },
	{ "k2k_generation_pass", A, call_generation_pass },
	{ "k2k_shares_hold", A, call_shares_hold },
	{ "k2k_shares_get", ANY, call_shares_get },
	{ "k2k_batch_begin", A, call_batch_begin },
	{ "k2k_batch_end", A, call_batch_end },
	{ "k2k_tenant_get", ANY, call_get },
	{ "k2k_tenant_is_registered", ANY, call_is_registered },
	{ "k2k_tenant_count", ANY, call_count },
	{ "k2k_tenant_ids", ANY, call_ids },
	{ "k2k_budget_set", A, call_budget_set },
	{ "k2k_budget_set_renewing", A, call_budget_set_renewing },
	{ "k2k_budget_unset", A, call_budget_unset },
	{ "k2k_budget_renew", A, call_budget_renew },
	{ "k2k_budget_history", ANY, call_budget_history },
	{ "k2k_usage_correct", A, call_correct },
	{ "k2k_budget_list", ANY, call_budget_list },
	{ "k2k_broker_list", ANY, call_broker_list },
	{ "k2k_lease_list", ANY, call_lease_list },
	{ "k2k_usage_list", ANY, call_usage_list },
	{ "k2k_quota_check", ANY, call_quota_check },
	{ "k2k_message_record", B, call_record },
	{ "k2k_message_admit", B, call_admit },
	{ "k2k_usage_track", B, call_track },
	{ "k2k_usage_engagement", ANY, call_engagement },
	{ "k2k_usage_engagement_for", ANY, call_engagement_for },
	{ "k2k_usage_reserve", B, call_reserve },
	{ "k2k_usage_commit", B, call_commit },
	{ "k2k_usage_cancel", B, call_cancel },
	{ "k2k_usage_reserved", ANY, call_reserved },
	{ "k2k_kernel_add", B, call_kernel_add },
	{ "k2k_kernel_remove", B, call_kernel_remove },
	{ "k2k_kernel_find", ANY, call_kernel_find },
	{ "k2k_kernel_list", ANY, call_kernel_list },
	{ "k2k_message_route", B, call_route },
	{ "k2k_kernel_acquire", B, call_kernel_acquire },
	{ "k2k_kernel_release", B, call_kernel_release },
	{ "k2k_kernel_release_id", B, call_kernel_release_id },
	{ "k2k_gpu_memory_acquire", B, call_memory_acquire },
	{ "k2k_gpu_memory_release", B, call_memory_release },
	{ "k2k_gpu_memory_release_id", B, call_memory_release_id },
	{ "k2k_registry_set_audit_sink", ANY, call_set_sink },
	{ "k2k_audit_cross_tenant", B, call_cross_tenant },
	{ "k2k_audit_kind_name", 0, NULL },
	{ "k2k_audit_kind_level", 0, NULL },
	{ "k2k_audit_kind_type", 0, NULL },
	{ "k2k_audit_read", ANY, call_audit_read },
	{ "k2k_audit_wait", ANY, call_audit_wait },
	{ "k2k_audit_kept", 0, call_audit_kept },
	{ "k2k_audit_follower_list", ANY, call_follower_list },
	{ "k2k_audit_stats", ANY, call_audit_stats },
};
enum { ENTRIES = sizeof table / sizeof table[0], VARIANTS = 128 };

HARNESS_USED static const struct entry *find_entry(const char *name)
{
	for (int i = 0; i < ENTRIES; i++)
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	return NULL;
}

static const char *what_of(const struct entry *e, int role, int variant)
{
	static char text[128];

	snprintf(text, sizeof text, "%s, role %d, variant %d", e->name, role, variant);
	return text;
}

#define CHECK_CODE(found, wanted, what)                                                       \
	do {                                                                                  \
		int code_f = (found), code_e = (wanted);                                      \
		if (code_f != code_e)                                                         \
			fail_msg("%s: %d (%s), expected %d (%s); detail: %s", (what), code_f, \
			         k2k_errname(code_f), code_e, k2k_errname(code_e),            \
			         k2k_error_detail()->text);                                   \
	} while (0)

#endif
