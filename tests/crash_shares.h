/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_shares.h - operations on shares of a rate over many hosts, for the crash tests
 */
#ifndef K2K_TESTS_CRASH_SHARES_H
#define K2K_TESTS_CRASH_SHARES_H

#include "crash_scene.h"

/* Of which the subject has little while no shares hold. */
static const struct k2k_quota *shared_quota(void)
{
	static struct k2k_quota quota = K2K_QUOTA_STANDARD;

	quota.max_messages_per_sec = SUBJECT_RATE;
	quota.rate_shared = 1;
	quota.rate_alone = 7;
	return &quota;
}

static int run_update_share(struct victim *v)
{
	return k2k_tenant_update(v->reg, SUBJECT, shared_quota(), K2K_UPDATE_RATE);
}

static void hold_shares(struct scene *scene)
{
	assert_int_equal(k2k_tenant_update(scene->admin, SUBJECT, shared_quota(), K2K_UPDATE_RATE),
	                 0);
	assert_int_equal(k2k_shares_hold(scene->admin, 4, 0), 0);
	assert_int_equal(k2k_shares_hold(scene->admin, 4, 5000 * SECOND), 0);
}

static int run_hold_on(struct victim *v)
{
	return k2k_shares_hold(v->reg, 4, 6000 * SECOND);
}

static int run_other_epoch(struct victim *v)
{
	return k2k_shares_hold(v->reg, 5, 0);
}

#endif
