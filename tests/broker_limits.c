/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * broker_limits - k2k-broker and what it says of limits: suspended tenants, limits in shadow, GPU
 * time that is reserved before it is used
 */
#include "broker_program.h"

static const struct k2k_audit_tag seven = { 1, 7 };

static void budget(k2k_tenant_id id, uint64_t engagement, uint64_t ns)
{
	assert_int_equal(k2k_budget_set(admin, id, engagement, ns), 0);
}

static void shadow(k2k_tenant_id id, int on)
{
	struct k2k_quota quota = K2K_QUOTA_STANDARD;

	quota.shadow = (uint32_t)on;
	assert_int_equal(k2k_tenant_update(admin, id, &quota, K2K_UPDATE_SHADOW), 0);
}

static uint64_t reserved(k2k_tenant_id id)
{
	uint64_t ns = UINT64_MAX;

	assert_int_equal(k2k_usage_reserved(admin, id, seven, &ns), 0);
	return ns;
}

/* Answers that expect `decision` with `reason` (null: none), of tenant 42. */
static void expect(const char *line, const char *decision, const char *reason)
{
	char part[128];

	if (reason)
		snprintf(part, sizeof part, "\"decision\":\"%s\",\"reason\":\"%s\"", decision,
		         reason);
	else
		snprintf(part, sizeof part, "\"decision\":\"%s\",\"reason\":null", decision);
	assert_contains(line, part);
}

#define RESERVE(name, ns) \
	"{\"reserve\":\"" name "\",\"tenant\":42,\"org\":1,\"engagement\":7,\"gpu_ns\":" #ns "}"
#define COMMIT(name, ns) "{\"commit\":\"" name "\",\"gpu_ns\":" #ns "}"
#define CANCEL(name) "{\"cancel\":\"" name "\"}"

/* ---- suspended, and in shadow -------------------------------------------------------- */

TEST(a_suspended_tenant_is_refused_by_that_name_and_served_again_when_it_resumes)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = start(NULL);
	expect(ask(&program, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"), "ADDED", NULL);
	assert_int_equal(k2k_tenant_suspend(admin, 42), 0);
	const char *line = ask(&program, "{\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":5}");
	expect(line, "REJECTED", "suspended");
	assert_null(strstr(line, "\"error\""));
	assert_null(strstr(line, "\"used\""));
	expect(ask(&program, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":42}"), "REFUSED",
	       "suspended");
	expect(ask(&program, RESERVE("job", 5)), "REFUSED", "suspended");
	line = ask(&program, "{\"stats\":true}");
	assert_contains(line, "\"kernels_refused\":{\"suspended\":\"1\"}");
	assert_contains(line, "\"reservations_refused\":{\"suspended\":\"1\"}");
	assert_contains(line, "\"rejected\":{\"suspended\":\"1\"}");
	assert_int_equal(info_of(42).admitted_total, 0);
	assert_int_equal(gpu_ns_of(42, 0), 0);
	assert_int_equal(k2k_tenant_resume(admin, 42), 0);
	expect(ask(&program, "{\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":5}"), "DELIVERED", NULL);
	assert_int_equal(finish(&program), 0);
	tear_down();
}

TEST(what_passes_only_in_shadow_says_which_limit_would_have_refused_it)
{
	set_up();
	tenant(42, 0, 0);
	budget(42, 7, 0);
	shadow(42, 1);
	struct program program = start(NULL);
	assert_contains(ask(&program, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"),
	                "\"decision\":\"ADDED\",\"reason\":null,\"tenant\":\"42\",\"org\":\"0\","
	                "\"engagement\":\"0\",\"used\":\"1\",\"limit\":\"0\",\"remaining\":\"0\","
	                "\"retry_after_ns\":\"0\",\"shadow\":\"kernels\"}");
	const char *line = ask(&program, "{\"send\":\"a\",\"to\":\"a\"}");
	expect(line, "DELIVERED", NULL);
	assert_contains(line, "\"shadow\":\"rate\"");
	line = ask(&program, RESERVE("job", 5));
	expect(line, "RESERVED", NULL);
	assert_contains(line, "\"shadow\":\"budget\"");
	assert_contains(ask(&program, "{\"stats\":true}"),
	                "\"shadow\":{\"rate\":\"1\",\"budget\":\"1\",\"kernels\":\"1\"}");
	/* within its limits nothing is said of a shadow */
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	assert_int_equal(k2k_tenant_update(admin, 42, &quota, K2K_UPDATE_RATE), 0);
	assert_null(strstr(ask(&program, "{\"send\":\"a\",\"to\":\"a\"}"), "\"shadow\""));
	/* out of the shadow it is refused */
	shadow(42, 0);
	expect(ask(&program, "{\"send\":\"a\",\"to\":\"a\",\"engagement\":7}"), "REJECTED",
	       "budget");
	assert_int_equal(finish(&program), 0);
	tear_down();
}

/* ---- reservations ----------------------------------------------------------------------- */

TEST(gpu_time_is_reserved_then_booked_as_it_was_used)
{
	set_up();
	tenant(42, 5000, 4);
	budget(42, 7, 100);
	struct program program = start(NULL);
	assert_string_equal(ask(&program, RESERVE("one", 60)),
	                    "{\"line\":\"1\",\"reserve\":\"one\",\"decision\":\"RESERVED\","
	                    "\"reason\":null,\"tenant\":\"42\",\"org\":\"1\",\"engagement\":\"7\","
	                    "\"used\":\"60\",\"limit\":\"100\",\"remaining\":\"40\","
	                    "\"retry_after_ns\":\"0\",\"reserved_ns\":\"60\"}");
	assert_int_equal(reserved(42), 60);
	assert_string_equal(ask(&program, RESERVE("two", 41)),
	                    "{\"line\":\"2\",\"reserve\":\"two\",\"decision\":\"REFUSED\","
	                    "\"reason\":\"budget\",\"tenant\":\"42\",\"org\":\"1\","
	                    "\"engagement\":\"7\",\"used\":\"60\",\"limit\":\"100\","
	                    "\"remaining\":\"40\",\"retry_after_ns\":null,\"reserved_ns\":\"0\"}");
	expect(ask(&program, RESERVE("two", 40)), "RESERVED", NULL);
	/* less than was reserved, then more */
	assert_string_equal(ask(&program, COMMIT("one", 50)),
	                    "{\"line\":\"4\",\"commit\":\"one\",\"decision\":\"COMMITTED\","
	                    "\"reason\":null,\"tenant\":\"42\",\"org\":\"1\",\"engagement\":\"7\","
	                    "\"reserved_ns\":\"60\",\"booked_ns\":\"50\"}");
	assert_contains(ask(&program, COMMIT("two", 45)),
	                "\"reserved_ns\":\"40\",\"booked_ns\":\"45\"}");
	assert_int_equal(reserved(42), 0);
	assert_int_equal(gpu_ns_of(42, 7), 95);
	expect(ask(&program, RESERVE("one", 5)), "RESERVED", NULL);
	assert_string_equal(ask(&program, CANCEL("one")),
	                    "{\"line\":\"7\",\"cancel\":\"one\",\"decision\":\"CANCELLED\","
	                    "\"reason\":null,\"tenant\":\"42\",\"org\":\"1\",\"engagement\":\"7\","
	                    "\"reserved_ns\":\"5\"}");
	assert_int_equal(gpu_ns_of(42, 7), 95);
	const char *line = ask(&program, "{\"stats\":true}");
	assert_contains(line, "\"reservations\":\"0\",\"reserved\":\"3\",\"committed\":\"2\","
	                      "\"cancelled\":\"1\",\"reservations_refused\":{\"budget\":\"1\"}");
	assert_contains(line, "\"gpu_ns_booked\":\"95\"");
	assert_int_equal(finish(&program), 0);
	tear_down();
}

TEST(a_reservation_ends_once_and_its_name_is_free_again)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = start(NULL);
	expect(ask(&program, COMMIT("one", 5)), "REFUSED", "unknown_reservation");
	expect(ask(&program, CANCEL("one")), "REFUSED", "unknown_reservation");
	expect(ask(&program, RESERVE("one", 10)), "RESERVED", NULL);
	expect(ask(&program, RESERVE("one", 10)), "REFUSED", "reservation_exists");
	assert_int_equal(reserved(42), 10);
	expect(ask(&program, COMMIT("one", 5)), "COMMITTED", NULL);
	const char *line = ask(&program, COMMIT("one", 5));
	expect(line, "REFUSED", "unknown_reservation");
	assert_contains(line, "\"reserved_ns\":\"0\",\"booked_ns\":\"0\"}");
	expect(ask(&program, CANCEL("one")), "REFUSED", "unknown_reservation");
	assert_int_equal(gpu_ns_of(42, 7), 5);
	expect(ask(&program, RESERVE("one", 10)), "RESERVED", NULL);
	expect(ask(&program, CANCEL("one")), "CANCELLED", NULL);
	expect(ask(&program, COMMIT("one", 5)), "REFUSED", "unknown_reservation");
	assert_int_equal(gpu_ns_of(42, 7), 5);
	assert_int_equal(reserved(42), 0);
	assert_int_equal(finish(&program), 0);
	tear_down();
}

TEST(a_reservation_of_a_tenant_that_is_gone_is_told_so)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = start(NULL);
	expect(ask(&program, RESERVE("one", 10)), "RESERVED", NULL);
	expect(ask(&program, RESERVE("two", 10)), "RESERVED", NULL);
	assert_int_equal(k2k_tenant_deregister(admin, 42, NULL), 0);
	const char *line = ask(&program, COMMIT("one", 5));
	expect(line, "REFUSED", "tenant_gone");
	assert_contains(line, "\"booked_ns\":\"0\",\"unbooked\":\"tenant_gone\"}");
	expect(ask(&program, COMMIT("one", 5)), "REFUSED", "unknown_reservation");
	expect(ask(&program, CANCEL("two")), "CANCELLED", NULL);
	expect(ask(&program, RESERVE("three", 10)), "REFUSED", "unknown_tenant");
	line = ask(&program, "{\"stats\":true}");
	assert_contains(line, "\"gpu_ns_unbooked\":\"5\",\"unbooked\":\"1\"");
	assert_int_equal(finish(&program), 0);
	tear_down();
}

TEST(nobodys_reservation_is_granted_and_not_booked)
{
	set_up();
	struct program program = start(NULL);
	assert_string_equal(ask(&program, "{\"reserve\":\"one\",\"engagement\":7,\"gpu_ns\":9}"),
	                    "{\"line\":\"1\",\"reserve\":\"one\",\"decision\":\"RESERVED\","
	                    "\"reason\":null,\"tenant\":\"0\",\"org\":\"0\",\"engagement\":\"7\","
	                    "\"reserved_ns\":\"9\"}");
	assert_contains(ask(&program, COMMIT("one", 5)),
	                "\"decision\":\"COMMITTED\",\"reason\":null,\"tenant\":\"0\",\"org\":\"0\","
	                "\"engagement\":\"7\",\"reserved_ns\":\"9\",\"booked_ns\":\"0\","
	                "\"unbooked\":\"unspecified_tenant\"}");
	assert_int_equal(finish(&program), 0);
	tear_down();
}

TEST(a_client_that_goes_takes_its_reservations_along)
{
	set_up();
	tenant(42, 5000, 4);
	budget(42, 7, 100);
	struct program program = START("--listen", socket_path());
	int one = connect_client(), two = connect_client();
	expect(ask_fd(one, RESERVE("job", 60)), "RESERVED", NULL);
	expect(ask_fd(one, RESERVE("job2", 20)), "RESERVED", NULL);
	/* each client has names of its own, and only what it reserved itself */
	expect(ask_fd(two, RESERVE("job", 30)), "REFUSED", "budget");
	expect(ask_fd(two, COMMIT("job", 60)), "REFUSED", "unknown_reservation");
	expect(ask_fd(two, RESERVE("job", 20)), "RESERVED", NULL);
	close(one);
	WAIT_UNTIL(reserved(42) == 20, PATIENCE_S);
	expect(ask_fd(two, RESERVE("more", 80)), "RESERVED", NULL);
	assert_contains(ask_fd(two, "{\"stats\":true}"), "\"reservations\":\"2\"");
	/* what it wrote before it left is done first */
	one = connect_client();
	expect(ask_fd(two, CANCEL("more")), "CANCELLED", NULL);
	send_text(one, RESERVE("a", 10) "\n" RESERVE("b", 10) "\n" COMMIT("a", 9) "\n");
	close(one);
	WAIT_UNTIL(gpu_ns_of(42, 7) == 9, PATIENCE_S);
	WAIT_UNTIL(reserved(42) == 20, PATIENCE_S);
	assert_int_equal(stop(&program), 0);
	assert_int_equal(reserved(42), 0);
	assert_int_equal(gpu_ns_of(42, 7), 9);
	tear_down();
}

TEST(a_killed_brokers_reservations_are_free_at_once)
{
	set_up();
	tenant(42, 5000, 4);
	budget(42, 7, 100);
	struct program first = start(NULL), second = start(NULL);
	expect(ask(&first, RESERVE("job", 100)), "RESERVED", NULL);
	expect(ask(&second, RESERVE("job", 1)), "REFUSED", "budget");
	spawn_kill(first.pid);
	WAIT_UNTIL(reserved(42) == 0, PATIENCE_S);
	expect(ask(&second, RESERVE("job", 100)), "RESERVED", NULL);
	assert_contains(ask(&second, COMMIT("job", 100)), "\"booked_ns\":\"100\"");
	assert_int_equal(finish(&second), 0);
	tear_down();
}

TEST(a_reservation_of_a_registry_that_was_replaced_is_stale)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = start(NULL);
	expect(ask(&program, RESERVE("one", 10)), "RESERVED", NULL);
	expect(ask(&program, RESERVE("two", 10)), "RESERVED", NULL);
	expect(ask(&program, RESERVE("three", 10)), "RESERVED", NULL);
	assert_int_equal(k2k_registry_close(&admin), 0);
	assert_int_equal(k2k_registry_destroy(registry, K2K_DESTROY_FORCE, NULL), 0);
	expect(ask(&program, RESERVE("four", 10)), "REFUSED", "no_registry");
	const char *line = ask(&program, COMMIT("one", 5));
	expect(line, "REFUSED", "stale");
	assert_contains(line, "\"booked_ns\":\"0\",\"unbooked\":\"stale\"}");
	expect(ask(&program, COMMIT("one", 5)), "REFUSED", "unknown_reservation");
	set_up();
	tenant(42, 5000, 4);
	WAIT_UNTIL(brokers() == 1, PATIENCE_S);
	expect(ask(&program, COMMIT("two", 5)), "REFUSED", "stale");
	expect(ask(&program, CANCEL("three")), "REFUSED", "stale");
	expect(ask(&program, RESERVE("two", 10)), "RESERVED", NULL);
	expect(ask(&program, COMMIT("two", 5)), "COMMITTED", NULL);
	assert_int_equal(gpu_ns_of(42, 7), 5);
	assert_int_equal(finish(&program), 0);
	tear_down();
}

TEST(two_brokers_that_reserve_by_turns_never_exceed_the_budget)
{
	enum { BUDGET = 1000 };
	uint64_t booked = 0;

	set_up();
	tenant(42, 5000, 4);
	budget(42, 7, BUDGET);
	struct program programs[2] = { start(NULL), start(NULL) };
	int open[2] = { 0, 0 };
	for (int turn = 0, refused = 0; refused < 2; turn++) {
		/* the other one's reservation stays open meanwhile */
		struct program *program = &programs[turn % 2];
		int *mine = &open[turn % 2];

		if (*mine) {
			expect(ask(program, COMMIT("job", 30)), "COMMITTED", NULL);
			booked += 30;
		}
		const char *line = ask(program, RESERVE("job", 30));
		*mine = strstr(line, "\"RESERVED\"") != NULL;
		refused = *mine ? 0 : refused + 1;
		if (!*mine)
			expect(line, "REFUSED", "budget");
		assert_true(gpu_ns_of(42, 7) + reserved(42) <= BUDGET);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(finish(&programs[i]), 0);
	assert_int_equal(booked, BUDGET / 30 * 30);
	assert_int_equal(gpu_ns_of(42, 7), booked);
	tear_down();
}
