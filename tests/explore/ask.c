/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ask.c - programs of what a caller is told: k2k_quota_check and k2k_tenant_get, beside admissions.
 *
 * I3: what is told of a second is of that second alone.
 */
#include "judge.h"

#define ID 7
#define LIMIT 10

static const struct k2k_audit_tag no_tag;

static void setup(void)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	world_begin(&(struct world_sizes){ .tenants = 1 });
	world_broker(0);
	world_broker(1);
	judge_begin();
	quota.max_messages_per_sec = LIMIT;
	explore_assert(k2k_tenant_register(&world_handles[JUDGE], ID, &quota) == 0);
	explore_assert(k2k_message_admit(&world_handles[0], ID, no_tag, 1, NULL) == 0);
}

/* One each second. */
static void admit_next(void)
{
	world_set_second(WORLD_SECOND + 1);
	explore_assert(k2k_message_admit(world_self(), ID, no_tag, 1, NULL) == 0);
}

static void ask(void)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;

	explore_assert(k2k_quota_check(world_self(), ID, no_tag, 1, &verdict) == 0);
	explore_assert(verdict.used <= 1);
	explore_outcome("%u of %u", (unsigned int)verdict.used,
	                (unsigned int)(verdict.window - WORLD_SECOND));
}

static void copy(void)
{
	struct k2k_tenant_info info = { .size = sizeof(info) };

	explore_assert(k2k_tenant_get(world_self(), ID, &info) == 0);
	explore_assert(info.messages_this_second <= 1);
	explore_outcome("%u of %u", (unsigned int)info.messages_this_second,
	                (unsigned int)(info.window - WORLD_SECOND));
}

PROGRAM(ask_check, .what = "a check is told what one second has used", .setup = setup,
        .threads = { admit_next, ask }, .outcomes = { "1 of 0", "0 of 1", "1 of 1" })
PROGRAM(ask_copy, .what = "a copy of a tenant has what one second has used", .setup = setup,
        .threads = { admit_next, copy }, .outcomes = { "1 of 0", "0 of 1", "1 of 1" })
