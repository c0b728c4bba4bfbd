/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * badinput_table.h - every public call: its name, in which roles it works, and the function that
 * makes it, rightly or wrongly (badinput_calls.h)
 */
#ifndef K2K_TESTS_BADINPUT_TABLE_H
#define K2K_TESTS_BADINPUT_TABLE_H

#include "badinput_calls.h"

#include <dlfcn.h>

/* clang-format off: tables aligned by hand */

/* ---- the table -------------------------------------------------------------------------------- */

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
	{ "k2k_tenant_deregister_many", A, call_deregister_many },
	{ "k2k_tenant_restore", A, call_restore },
	{ "k2k_generation_pass", A, call_generation_pass },
	{ "k2k_batch_begin", A, call_batch_begin },
	{ "k2k_batch_end", A, call_batch_end },
	{ "k2k_tenant_get", ANY, call_get },
	{ "k2k_tenant_is_registered", ANY, call_is_registered },
	{ "k2k_tenant_count", ANY, call_count },
	{ "k2k_tenant_ids", ANY, call_ids },
	{ "k2k_budget_set", A, call_budget_set },
	{ "k2k_budget_unset", A, call_budget_unset },
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
