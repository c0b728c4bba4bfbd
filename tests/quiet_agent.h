/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * quiet_agent.h - stops a handle's agent from doing anything by itself: for tests that compare
 * bytes, or stop the clock.
 */
#ifndef K2K_TESTS_QUIET_AGENT_H
#define K2K_TESTS_QUIET_AGENT_H

#include "harness.h"

#include "handle.h"

HARNESS_USED static int quiet_agent_task(void *agent)
{
	k2k_agent_set_wake(agent, NULL, NULL);
	return 0;
}

HARNESS_USED static void quiet_agent(struct k2k_registry *reg)
{
	assert_int_equal(k2k_agent_run(&reg->agent, quiet_agent_task, &reg->agent), 0);
}

#endif
