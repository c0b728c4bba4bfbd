/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "judge.h"

#define STRANGER UINT64_C(1000003)

void judge_begin(void)
{
	world_admin(JUDGE);
}

void judge_registry(void)
{
	struct k2k_finding found = { .size = sizeof(found) };
	size_t count = 0;

	if (k2k_registry_check(&world_handles[JUDGE], &found, 1, &count) != 0)
		explore_fail(__FILE__, __LINE__, "check: %s", k2k_error_detail()->text);
	if (count)
		explore_fail(__FILE__, __LINE__, "check: %s, %s: %s", found.invariant, found.object,
		             found.text);
}

void judge_after_change(void)
{
	/* there is no such tenant: the call changes nothing, but begins as any change */
	explore_assert(k2k_budget_unset(&world_handles[JUDGE], STRANGER, 1) == K2K_ENOTENANT);
	judge_registry();
}
