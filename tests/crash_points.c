/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_points - every operation, killed after each of its stores and system calls, in each state
 * (crash_run.h)
 */
#define HARNESS_TIMEOUT_S 1800

#include "crash_run.h"

static void kill_each(const struct operation *operations, size_t count, enum state state)
{
	for (size_t i = 0; i < count; i++)
		kill_everywhere(&operations[i], state, false);
	check_reached();
}

#define KILL_EACH(operations, state) \
	kill_each((operations), sizeof(operations) / sizeof((operations)[0]), (state))

TEST(administrators_of_an_empty_registry)
{
	KILL_EACH(admin_operations, STATE_EMPTY);
}
TEST(administrators_of_one_half_full)
{
	KILL_EACH(admin_operations, STATE_HALF_FULL);
}
TEST(administrators_where_others_were_removed)
{
	KILL_EACH(admin_operations, STATE_REMOVED);
}
TEST(administrators_where_a_retired_tenant_waits)
{
	KILL_EACH(admin_operations, STATE_WAITING);
}
TEST(administrators_who_reap)
{
	KILL_EACH(admin_operations, STATE_PASSED);
}
TEST(administrators_beside_a_stopped_broker)
{
	KILL_EACH(admin_operations, STATE_STOPPED);
}
TEST(brokers_of_an_empty_registry)
{
	KILL_EACH(broker_operations, STATE_EMPTY);
}
TEST(brokers_of_one_half_full)
{
	KILL_EACH(broker_operations, STATE_HALF_FULL);
}
TEST(brokers_where_others_were_removed)
{
	KILL_EACH(broker_operations, STATE_REMOVED);
}
TEST(brokers_where_a_retired_tenant_waits)
{
	KILL_EACH(broker_operations, STATE_WAITING);
}
TEST(brokers_before_others_are_reaped)
{
	KILL_EACH(broker_operations, STATE_PASSED);
}
TEST(brokers_beside_a_stopped_one)
{
	KILL_EACH(broker_operations, STATE_STOPPED);
}
