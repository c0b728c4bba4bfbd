/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * badinput_calls.h - for badinput_table.h: what every call has in common, and the calls about
 * registries, tenants, messages and usage.
 */
#ifndef K2K_TESTS_BADINPUT_CALLS_H
#define K2K_TESTS_BADINPUT_CALLS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "badinput.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>

#include "k2k/registry.h"

enum {
	A = 1 << K2K_ROLE_ADMIN,
	B = 1 << K2K_ROLE_BROKER,
	O = 1 << K2K_ROLE_OBSERVER,
	ANY = A | B | O
};
enum { NONE = INT_MIN }; /* *expected: there is no such variant */

#define ID 7u
#define UNKNOWN 4711u

static const struct k2k_audit_tag tag = { 3, 1 };

/* The wrong sizes and flags of any struct; false where there is no such variant. */
static bool spoil(int variant, uint32_t *size, uint32_t *flags)
{
	switch (variant) {
	case 0: *size -= 1; return true;
	case 1: *size = 0; return true;
	case 2: *size = 8; return true;
	case 3: *size = (1u << 20) + 1; return true;
	case 4: *size = UINT32_MAX; return true;
	case 5: *flags = UINT32_C(1) << 31; return true;
	case 6: *flags = UINT32_C(1) << 20; return true;
	default: return false;
	}
}

#define NO_VARIANT return *expected = NONE, 0
#define UNLESS_SPOILT(variant, s)                     \
	if (!spoil((variant), &(s).size, &(s).flags)) \
	NO_VARIANT

/*
 * Each: variant 0 is right (and undoes what it did), the others are wrong. *expected comes in as
 * K2K_EINVAL (0 for variant 0), and may be changed.
 */
static int call_info(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_registry_info info = { .size = sizeof info };

	if (variant == 1)
		return k2k_registry_info(reg, NULL);
	if (variant > 1)
		UNLESS_SPOILT(variant - 2, info);
	return k2k_registry_info(reg, &info);
}

/* Lists: null count, null list with room, spoilt first element. */
#define CALL_LIST(function, element, ...)                                        \
	struct element list[4] = { { .size = sizeof list[0] } };                 \
	size_t count = 12345;                                                    \
	int code;                                                                \
	switch (variant) {                                                       \
	case 0: return function(reg, __VA_ARGS__ list, 4, &count);               \
	case 1: return function(reg, __VA_ARGS__ list, 4, NULL);                 \
	case 2: code = function(reg, __VA_ARGS__ NULL, 1, &count); break;        \
	case 3: code = function(reg, __VA_ARGS__ NULL, SIZE_MAX, &count); break; \
	default:                                                                 \
		UNLESS_SPOILT(variant - 4, list[0]);                             \
		code = function(reg, __VA_ARGS__ list, 1, &count);               \
	}                                                                        \
	assert_int_equal(count, 12345);                                          \
	return code

static int call_check(struct k2k_registry *reg, int variant, int *expected)
{
	CALL_LIST(k2k_registry_check, k2k_finding, );
}

static int call_repair_list(struct k2k_registry *reg, int variant, int *expected)
{
	CALL_LIST(k2k_repair_list, k2k_finding, );
}

static int call_repair(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_repair_info info = { .size = sizeof info };

	if (variant == 1)
		return k2k_registry_repair(reg, NULL);
	if (variant > 1)
		UNLESS_SPOILT(variant - 2, info);
	return k2k_registry_repair(reg, &info);
}

/* too long, empty, control characters, and bytes that are no UTF-8 */
static const char *const wrong_names[] = { "",
	                                   "0123456789abcdef0123456789abcdef",
	                                   "a\nb",
	                                   "\x1b[2J",
	                                   "\x7f",
	                                   "caf\xc3",
	                                   "\xff",
	                                   "\xc0\xaf",
	                                   "\xed\xa0\x80",
	                                   "\xc2\x9b" };
enum { WRONG_NAMES = sizeof wrong_names / sizeof wrong_names[0] };

static int call_register(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	int code;

	switch (variant) {
	case 0:
		code = k2k_tenant_register(reg, 100, NULL);
		if (!code)
			assert_int_equal(k2k_tenant_deregister(reg, 100, NULL), 0);
		return code;
	case 1: *expected = K2K_EUNSPECIFIED; return k2k_tenant_register(reg, 0, NULL);
	case 2: *expected = K2K_EEXIST; return k2k_tenant_register(reg, ID, NULL);
	case 3: quota.budget_count = 1; return k2k_tenant_register(reg, 101, &quota);
	case 4: quota.budget_count = UINT32_MAX; return k2k_tenant_register(reg, 101, &quota);
	case 5: quota.shadow = 2; return k2k_tenant_register(reg, 101, &quota);
	default:
		if (variant - 6 < WRONG_NAMES)
			quota.name = wrong_names[variant - 6];
		else
			UNLESS_SPOILT(variant - 6 - WRONG_NAMES, quota);
		return k2k_tenant_register(reg, 101, &quota);
	}
}

static int call_suspend(struct k2k_registry *reg, int variant, int *expected)
{
	switch (variant) {
	case 0: return k2k_tenant_suspend(reg, ID) ?: k2k_tenant_resume(reg, ID);
	case 1: *expected = K2K_EUNSPECIFIED; return k2k_tenant_suspend(reg, 0);
	case 2: *expected = K2K_ENOTENANT; return k2k_tenant_suspend(reg, UNKNOWN);
	default: NO_VARIANT;
	}
}

static int call_resume(struct k2k_registry *reg, int variant, int *expected)
{
	switch (variant) {
	case 0: return k2k_tenant_resume(reg, ID);
	case 1: *expected = K2K_EUNSPECIFIED; return k2k_tenant_resume(reg, 0);
	case 2: *expected = K2K_ENOTENANT; return k2k_tenant_resume(reg, UNKNOWN);
	default: NO_VARIANT;
	}
}

static int call_drain(struct k2k_registry *reg, int variant, int *expected)
{
	int code;

	switch (variant) {
	case 0:
		code = k2k_tenant_register(reg, 102, NULL);
		if (code)
			return code;
		assert_int_equal(k2k_tenant_drain(reg, 102, K2K_NEVER_NS), 0);
		return k2k_tenant_deregister(reg, 102, NULL);
	case 1: *expected = K2K_EUNSPECIFIED; return k2k_tenant_drain(reg, 0, 0);
	case 2: *expected = K2K_ENOTENANT; return k2k_tenant_drain(reg, UNKNOWN, 0);
	default: NO_VARIANT;
	}
}

static int call_find_name(struct k2k_registry *reg, int variant, int *expected)
{
	k2k_tenant_id id = 12345;
	int code;

	switch (variant) {
	case 0: code = k2k_tenant_find_name(reg, "nobody", &id); break;
	case 1: code = k2k_tenant_find_name(reg, NULL, &id); break;
	case 2: code = k2k_tenant_find_name(reg, "nobody", NULL); break;
	default:
		if (variant - 3 >= WRONG_NAMES)
			NO_VARIANT;
		code = k2k_tenant_find_name(reg, wrong_names[variant - 3], &id);
	}
	assert_int_equal(id, 12345);
	return code == K2K_ENOTENANT ? 0 : code;
}

static int call_update(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	switch (variant) {
	case 0: return k2k_tenant_update(reg, ID, &quota, K2K_UPDATE_RATE);
	case 1: return k2k_tenant_update(reg, ID, NULL, K2K_UPDATE_RATE);
	case 2: return k2k_tenant_update(reg, ID, &quota, K2K_UPDATE_SUSPENDED);
	case 3: return k2k_tenant_update(reg, ID, &quota, UINT32_MAX);
	case 4:
		*expected = K2K_EUNSPECIFIED;
		return k2k_tenant_update(reg, 0, &quota, K2K_UPDATE_RATE);
	case 5:
		*expected = K2K_ENOTENANT;
		return k2k_tenant_update(reg, UNKNOWN, &quota, K2K_UPDATE_RATE);
	case 6:
		quota.budget_count = 3;
		return k2k_tenant_update(reg, ID, &quota, K2K_UPDATE_BUDGETS);
	default:
		UNLESS_SPOILT(variant - 7, quota);
		return k2k_tenant_update(reg, ID, &quota, K2K_UPDATE_RATE);
	}
}

static int call_deregister(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };

	switch (variant) {
	case 0: k2k_tenant_register(reg, 102, NULL); return k2k_tenant_deregister(reg, 102, NULL);
	case 1: *expected = K2K_EUNSPECIFIED; return k2k_tenant_deregister(reg, 0, NULL);
	case 2: *expected = K2K_ENOTENANT; return k2k_tenant_deregister(reg, UNKNOWN, &totals);
	case 3: *expected = K2K_ENOTENANT; return k2k_tenant_deregister(reg, UINT64_MAX, NULL);
	default: UNLESS_SPOILT(variant - 4, totals); return k2k_tenant_deregister(reg, ID, &totals);
	}
}

static int call_deregister_many(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	k2k_tenant_id id = 104;
	int code;

	switch (variant) {
	case 0:
		k2k_tenant_register(reg, id, NULL);
		return k2k_tenant_deregister_many(reg, &id, 1, NULL, NULL);
	case 1: return k2k_tenant_deregister_many(reg, NULL, 1, NULL, NULL);
	case 2:
		id = 0;
		*expected = K2K_EUNSPECIFIED;
		return k2k_tenant_deregister_many(reg, &id, 1, NULL, NULL);
	case 3:
		id = UNKNOWN;
		*expected = K2K_ENOTENANT;
		return k2k_tenant_deregister_many(reg, &id, 1, &totals, &code);
	default:
		id = ID;
		UNLESS_SPOILT(variant - 4, totals);
		return k2k_tenant_deregister_many(reg, &id, 1, &totals, &code);
	}
}

static int call_restore(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	struct k2k_usage usage[2] = { { 1, 1 }, { 2, 2 } };
	struct k2k_registry_info info = { .size = sizeof info };
	struct k2k_tenant_image image = {
		.size = sizeof image, .id = 103, .quota = &quota, .usage = usage, .usage_count = 2
	};
	int code;

	k2k_registry_info(reg, &info); /* where it fails, so does what comes */
	image.generation = info.generation + 1;

	switch (variant) {
	case 0:
		code = k2k_tenant_restore(reg, &image);
		if (!code)
			assert_int_equal(k2k_tenant_deregister(reg, 103, NULL), 0);
		return code;
	case 1: return k2k_tenant_restore(reg, NULL);
	case 2: image.quota = NULL; break;
	case 3: image.usage = NULL; break;
	case 4: image.generation = 0; break;
	case 5: image.generation = 1; break; /* of the tenant that is there */
	case 6: image.generation = UINT64_MAX; break;
	case 7:
		*expected = K2K_EUNSPECIFIED;
		image.id = 0;
		break;
	case 8:
		*expected = K2K_EEXIST;
		image.id = ID;
		break;
	case 9: quota.budget_count = 1; break;
	case 10: quota.budget_count = UINT32_MAX; break;
	default:
		if (variant < 30 ? !spoil(variant - 11, &image.size, &image.flags)
		                 : !spoil(variant - 30, &quota.size, &quota.flags))
			NO_VARIANT;
	}
	return k2k_tenant_restore(reg, &image);
}

/* Other calls may have come before, so each takes later epochs. */
static int call_shares_hold(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_shares shares = K2K_SHARES_INIT;
	int code = k2k_shares_get(reg, &shares);

	if (code)
		return code;
	switch (variant) {
	case 0: return k2k_shares_hold(reg, shares.epoch + 1, 0);
	case 1: return k2k_shares_hold(reg, 0, 0);
	case 2: return k2k_shares_hold(reg, shares.epoch + 1, 1);
	case 3:
		*expected = K2K_ESTALE;
		(void)k2k_shares_hold(reg, shares.epoch + 2, 0);
		return k2k_shares_hold(reg, shares.epoch + 1, 0);
	default: NO_VARIANT;
	}
}

static int call_shares_get(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_shares shares = K2K_SHARES_INIT;

	if (variant == 1)
		return k2k_shares_get(reg, NULL);
	if (variant > 1)
		UNLESS_SPOILT(variant - 2, shares);
	return k2k_shares_get(reg, &shares);
}

static int call_generation_pass(struct k2k_registry *reg, int variant, int *expected)
{
	switch (variant) {
	case 0: return k2k_generation_pass(reg, 1);
	case 1: return k2k_generation_pass(reg, UINT64_MAX);
	case 2: return k2k_generation_pass(reg, UINT64_MAX / 2 + 1);
	default: NO_VARIANT;
	}
}

static int call_get(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_tenant_info info = { .size = sizeof info }, before;
	k2k_tenant_id id = ID;
	int code;

	switch (variant) {
	case 0: break;
	case 1: return k2k_tenant_get(reg, ID, NULL);
	case 2:
		*expected = K2K_ENOTENANT;
		id = UNKNOWN;
		break;
	case 3:
		*expected = K2K_ENOTENANT;
		id = 0;
		break;
	default: UNLESS_SPOILT(variant - 4, info);
	}
	before = info;
	code = k2k_tenant_get(reg, id, &info);
	if (code)
		assert_memory_equal(&before, &info, sizeof info);
	return code;
}

static int call_is_registered(struct k2k_registry *reg, int variant, int *expected)
{
	int registered;

	switch (variant) {
	case 0: return k2k_tenant_is_registered(reg, ID, &registered);
	case 1: return k2k_tenant_is_registered(reg, ID, NULL);
	case 2: return k2k_tenant_is_registered(reg, 0, NULL);
	default: NO_VARIANT;
	}
}

static int call_count(struct k2k_registry *reg, int variant, int *expected)
{
	size_t count;

	switch (variant) {
	case 0: return k2k_tenant_count(reg, &count);
	case 1: return k2k_tenant_count(reg, NULL);
	default: NO_VARIANT;
	}
}

static int call_ids(struct k2k_registry *reg, int variant, int *expected)
{
	k2k_tenant_id ids[2];
	size_t count = 12345;
	int code;

	switch (variant) {
	case 0: return k2k_tenant_ids(reg, ids, 2, &count);
	case 1: return k2k_tenant_ids(reg, ids, 2, NULL);
	case 2: code = k2k_tenant_ids(reg, NULL, 1, &count); break;
	case 3: code = k2k_tenant_ids(reg, NULL, SIZE_MAX, &count); break;
	default: NO_VARIANT;
	}
	assert_int_equal(count, 12345);
	return code;
}

static int call_budget_set(struct k2k_registry *reg, int variant, int *expected)
{
	switch (variant) {
	case 0: return k2k_budget_set(reg, ID, 1, 1000000);
	case 1: return k2k_budget_set(reg, ID, 1, K2K_UNLIMITED);
	case 2: *expected = K2K_EUNSPECIFIED; return k2k_budget_set(reg, 0, 1, 1);
	case 3: *expected = K2K_ENOTENANT; return k2k_budget_set(reg, UNKNOWN, 1, 1);
	default: NO_VARIANT;
	}
}

static int call_budget_set_renewing(struct k2k_registry *reg, int variant, int *expected)
{
	switch (variant) {
	case 0: return k2k_budget_set_renewing(reg, ID, 1, 1000000, K2K_RENEWAL_KEEP);
	case 1: return k2k_budget_set_renewing(reg, ID, 1, K2K_UNLIMITED, K2K_RENEWAL_DAY);
	case 2: return k2k_budget_set_renewing(reg, ID, 1, 1, K2K_RENEWAL_MONTH + 1);
	case 3: return k2k_budget_set_renewing(reg, ID, 1, 1, UINT32_MAX);
	default: NO_VARIANT;
	}
}

/* The engagement of ID whose budget renews. */
enum { RENEWING = 3 };

static int call_budget_renew(struct k2k_registry *reg, int variant, int *expected)
{
	const struct k2k_audit_tag renewing = { 0, RENEWING };

	switch (variant) {
	case 0: return k2k_budget_renew(reg, ID, renewing);
	case 3: *expected = K2K_ENOBUDGET; return k2k_budget_renew(reg, ID, tag);
	case 1: *expected = K2K_EUNSPECIFIED; return k2k_budget_renew(reg, 0, tag);
	case 2: *expected = K2K_ENOTENANT; return k2k_budget_renew(reg, UNKNOWN, tag);
	default: NO_VARIANT;
	}
}

static int call_budget_history(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_budget_use all[4] = { { .size = sizeof all[0] } };
	const struct k2k_audit_tag renewing = { 0, RENEWING };
	size_t n;

	switch (variant) {
	case 0: return k2k_budget_history(reg, ID, renewing, all, 4, &n);
	case 1: *expected = K2K_ENOTENANT; return k2k_budget_history(reg, 0, tag, all, 4, &n);
	case 2: *expected = K2K_ENOTENANT; return k2k_budget_history(reg, UNKNOWN, tag, all, 4, &n);
	case 3: return k2k_budget_history(reg, ID, tag, all, 4, NULL);
	case 4: return k2k_budget_history(reg, ID, tag, NULL, 4, &n);
	case 5: *expected = K2K_ENOBUDGET; return k2k_budget_history(reg, ID, tag, all, 4, &n);
	default:
		if (!spoil(variant - 6, &all[0].size, &all[0].flags))
			NO_VARIANT;
		return k2k_budget_history(reg, ID, renewing, all, 4, &n);
	}
}

static int call_correct(struct k2k_registry *reg, int variant, int *expected)
{
	switch (variant) {
	case 0: return k2k_usage_correct(reg, ID, tag, 5, "why", 0);
	case 1: *expected = K2K_EUNSPECIFIED; return k2k_usage_correct(reg, 0, tag, 1, "why", 0);
	case 2: *expected = K2K_ENOTENANT; return k2k_usage_correct(reg, UNKNOWN, tag, 1, "why", 0);
	case 3: return k2k_usage_correct(reg, ID, tag, 0, "why", 0);
	case 4: return k2k_usage_correct(reg, ID, tag, 1, NULL, 0);
	case 5: return k2k_usage_correct(reg, ID, tag, 1, "", 0);
	case 6: return k2k_usage_correct(reg, ID, tag, INT64_MIN, "why", 0);
	default: NO_VARIANT;
	}
}

static int call_budget_unset(struct k2k_registry *reg, int variant, int *expected)
{
	switch (variant) {
	case 0: k2k_budget_set(reg, ID, 2, 5); return k2k_budget_unset(reg, ID, 2);
	case 1: *expected = K2K_EUNSPECIFIED; return k2k_budget_unset(reg, 0, 1);
	case 2: *expected = K2K_ENOTENANT; return k2k_budget_unset(reg, UNKNOWN, 1);
	case 3: *expected = K2K_ENOBUDGET; return k2k_budget_unset(reg, ID, UINT64_MAX);
	default: NO_VARIANT;
	}
}

static int call_budget_list(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_budget_info all[4] = { { .size = sizeof all[0] } };
	size_t n;

	if (variant == 100)
		return *expected = K2K_ENOTENANT, k2k_budget_list(reg, UNKNOWN, all, 4, &n);
	CALL_LIST(k2k_budget_list, k2k_budget_info, ID, );
}

static int call_broker_list(struct k2k_registry *reg, int variant, int *expected)
{
	CALL_LIST(k2k_broker_list, k2k_broker_info, );
}

static int call_lease_list(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_lease_info all[4] = { { .size = sizeof all[0] } };
	size_t n;

	if (variant == 100)
		return *expected = K2K_ENOTENANT, k2k_lease_list(reg, UNKNOWN, all, 4, &n);
	CALL_LIST(k2k_lease_list, k2k_lease_info, ID, );
}

static int call_usage_list(struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_usage_info all[4] = { { .size = sizeof all[0] } };
	size_t n;

	if (variant == 100)
		return *expected = K2K_ENOTENANT, k2k_usage_list(reg, UNKNOWN, all, 4, &n);
	CALL_LIST(k2k_usage_list, k2k_usage_info, ID, );
}

static int messages(int (*function)(struct k2k_registry *, k2k_tenant_id, struct k2k_audit_tag,
                                    uint64_t, struct k2k_verdict *),
                    struct k2k_registry *reg, int variant, int *expected)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT, before;
	k2k_tenant_id id = ID;
	uint64_t n = 1;
	int code;

	switch (variant) {
	case 0: break;
	case 1: n = 0; break;
	case 2: n = K2K_ADMIT_MAX + 1; break;
	case 3: n = UINT64_MAX; break;
	case 4: *expected = K2K_ENOTENANT; return function(reg, UNKNOWN, tag, 1, NULL);
	case 5:
		*expected = K2K_ENOTENANT;
		return function(reg, UNKNOWN, tag, K2K_ADMIT_MAX, &verdict);
	case 6:
		n = 0;
		id = 0;
		break;
	default:
		UNLESS_SPOILT(variant - 7, verdict);
		if (verdict.size > sizeof verdict)
			NO_VARIANT; /* of a later version, for all it knows */
	}
	before = verdict;
	code = function(reg, id, tag, n, &verdict);
	if (code == K2K_EINVAL)
		assert_memory_equal(&before, &verdict, sizeof verdict);
	return code;
}

static int call_quota_check(struct k2k_registry *reg, int variant, int *expected)
{
	return messages(k2k_quota_check, reg, variant, expected);
}

static int call_admit(struct k2k_registry *reg, int variant, int *expected)
{
	return messages(k2k_message_admit, reg, variant, expected);
}

static int call_record(struct k2k_registry *reg, int variant, int *expected)
{
	switch (variant) {
	case 0: return k2k_message_record(reg, ID);
	case 1: *expected = K2K_ENOTENANT; return k2k_message_record(reg, UNKNOWN);
	case 2: *expected = K2K_ENOTENANT; return k2k_message_record(reg, UINT64_MAX);
	default: NO_VARIANT;
	}
}

static int call_track(struct k2k_registry *reg, int variant, int *expected)
{
	switch (variant) {
	case 0: return k2k_usage_track(reg, ID, tag, 5);
	case 1: *expected = K2K_ENOTENANT; return k2k_usage_track(reg, UNKNOWN, tag, 5);
	default: NO_VARIANT;
	}
}

static int call_engagement(struct k2k_registry *reg, int variant, int *expected)
{
	uint64_t ns;

	switch (variant) {
	case 0: return k2k_usage_engagement(reg, tag, &ns);
	case 1: return k2k_usage_engagement(reg, tag, NULL);
	default: NO_VARIANT;
	}
}

static int call_engagement_for(struct k2k_registry *reg, int variant, int *expected)
{
	uint64_t ns = 777;
	int code;

	switch (variant) {
	case 0: return k2k_usage_engagement_for(reg, ID, tag, &ns);
	case 1: return k2k_usage_engagement_for(reg, ID, tag, NULL);
	case 2:
		*expected = K2K_ENOTENANT;
		code = k2k_usage_engagement_for(reg, UNKNOWN, tag, &ns);
		break;
	case 3:
		*expected = K2K_ENOTENANT;
		code = k2k_usage_engagement_for(reg, 0, tag, &ns);
		break;
	default: NO_VARIANT;
	}
	assert_int_equal(ns, 777);
	return code;
}

#endif
