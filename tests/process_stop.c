/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_stop - a stopped broker delays the reuse of what is deregistered meanwhile, and nothing
 * else
 */
#include "process.h"

enum { PLACES = 6 };

/* A broker that admits messages of tenant 1 all the time; it signals once it has begun. */
static pid_t busy_broker(const char *name)
{
	struct gate ready;
	pid_t pid;

	gate_make(&ready);
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		assert_int_equal(k2k_message_admit(reg, 1, no_tag, 1, NULL), 0);
		gate_open(&ready);
		for (;;)
			assert_int_equal(k2k_message_admit(reg, 1, no_tag, 1, NULL), 0);
	}
	gate_wait(&ready);
	close(ready.fd[0]);
	close(ready.fd[1]);
	return pid;
}

TEST(once_every_place_is_retired_register_names_the_stopped_broker_and_goes_on_after_it)
{
	struct k2k_registry *admin, *observer;
	const char *name = small_registry(PLACES, &admin);
	uint64_t begun_ns;
	pid_t stopped, other;
	size_t count;

	assert_int_equal(k2k_registry_close(&admin), 0);
	admin = open_patient(name, K2K_ROLE_ADMIN, 400000000);
	observer = open_as(name, K2K_ROLE_OBSERVER);
	register_tenant(admin, 1, K2K_UNLIMITED, 4);
	other = busy_broker(name);
	stopped = busy_broker(name);
	stop_process(stopped);
	WAIT_UNTIL(broker_state(observer, stopped) == K2K_BROKER_STOPPED, PATIENCE_S);
	assert_int_equal(broker_state(observer, other), K2K_BROKER_ACTIVE);
	/* Tenants come and go while there are free slots. */
	for (uint64_t id = 2; id < 2 + PLACES - 1; id++) {
		register_tenant(admin, id, 10, 4);
		assert_int_equal(k2k_tenant_deregister(admin, id, NULL), 0);
	}
	/* None is left, and the error names the broker. */
	begun_ns = now_ns();
	assert_int_equal(k2k_tenant_register(admin, 99, NULL), K2K_EBUSY);
	assert_true(now_ns() - begun_ns >= 400000000 && now_ns() - begun_ns < 3000000000);
	assert_int_equal(k2k_error_detail()->pid, (uint64_t)stopped);
	assert_string_equal(k2k_error_detail()->object, "tenants");
	assert_int_equal(k2k_tenant_count(admin, &count), 0);
	assert_int_equal(count, 1);
	/*
	 * Everything else works: updates, totals that are not final, admissions of the other
	 * broker.
	 */
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	quota.max_messages_per_sec = K2K_UNLIMITED;
	assert_int_equal(k2k_tenant_update(admin, 1, &quota, K2K_UPDATE_RATE), 0);
	uint64_t before = tenant_info(admin, 1).admitted_total;
	WAIT_UNTIL(tenant_info(admin, 1).admitted_total > before + 1000, PATIENCE_S);
	check_clean(admin);
	assert_int_equal(kill(stopped, SIGCONT), 0);
	WAIT_UNTIL(k2k_tenant_register(admin, 99, NULL) == 0, PATIENCE_S);
	kill_broker(admin, stopped);
	kill_broker(admin, other);
	assert_int_equal(k2k_registry_close(&observer), 0);
	close_and_destroy(name, &admin);
}

TEST(a_stopped_broker_that_is_killed_holds_up_nothing_any_more)
{
	struct k2k_registry *admin;
	const char *name = small_registry(PLACES, &admin);
	pid_t stopped;

	register_tenant(admin, 1, K2K_UNLIMITED, 4);
	stopped = busy_broker(name);
	stop_process(stopped);
	for (uint64_t id = 2; id < 2 + PLACES - 1; id++) {
		register_tenant(admin, id, 10, 4);
		assert_int_equal(k2k_tenant_deregister(admin, id, NULL), 0);
	}
	kill_broker(admin, stopped);
	uint64_t begun_ns = now_ns();
	register_tenant(admin, 99, 10, 4);
	assert_true(now_ns() - begun_ns < 1000000000);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(totals_are_final_only_when_the_stopped_broker_cannot_add_to_them_any_more)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	struct k2k_registry *admin, *patient;
	const char *name = small_registry(PLACES, &admin);
	pid_t stopped;

	register_tenant(admin, 1, K2K_UNLIMITED, 4);
	register_tenant(admin, 2, K2K_UNLIMITED, 4);
	stopped = busy_broker(name);
	stop_process(stopped);
	patient = open_patient(name, K2K_ROLE_ADMIN, 100000000);
	assert_int_equal(k2k_tenant_deregister(patient, 2, &totals), 0);
	assert_int_equal(totals.final, 0);
	assert_int_equal(totals.id, 2);
	assert_int_equal(k2k_registry_close(&patient), 0);
	kill_broker(admin, stopped);
	totals = (struct k2k_tenant_totals){ .size = sizeof totals };
	assert_int_equal(k2k_tenant_deregister(admin, 1, &totals), 0);
	assert_int_equal(totals.final, 1);
	assert_true(totals.admitted_total > 0);
	close_and_destroy(name, &admin);
}

TEST(brokers_stopped_at_random_delay_no_admission_of_the_others)
{
	enum { ROUNDS = 40 };
	struct k2k_registry *admin;
	const char *name = small_registry(256, &admin);
	pid_t brokers[2];

	register_tenant(admin, 1, K2K_UNLIMITED, 4);
	brokers[0] = busy_broker(name);
	brokers[1] = busy_broker(name);
	random_seed(4);
	for (int round = 0; round < ROUNDS; round++) {
		pid_t stopped = brokers[round % 2];

		pause_ns(random_below(2000000));
		stop_process(stopped);
		for (uint64_t id = 10; id < 14; id++) {
			register_tenant(admin, id, 10, 4);
			assert_int_equal(k2k_tenant_deregister(admin, id, NULL), 0);
		}
		uint64_t before = tenant_info(admin, 1).admitted_total;
		WAIT_UNTIL(tenant_info(admin, 1).admitted_total > before + 1000, PATIENCE_S);
		assert_int_equal(kill(stopped, SIGCONT), 0);
	}
	kill_broker(admin, brokers[0]);
	kill_broker(admin, brokers[1]);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(an_administrator_stopped_while_it_writes_is_named_by_those_it_holds_up)
{
	enum { TRIES = 400 };
	struct k2k_registry *admin, *impatient;
	const char *name = small_registry(64, &admin);
	int seen = 0;

	impatient = open_patient(name, K2K_ROLE_ADMIN, 30000000);
	random_seed(6);
	pid_t writer = spawn();
	if (writer == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_ADMIN);

		for (uint64_t id = 1;; id = id % 40 + 1) {
			k2k_tenant_register(reg, id, NULL);
			k2k_tenant_deregister(reg, id, NULL);
		}
	}
	for (int i = 0; i < TRIES && seen < 3; i++) {
		int code;

		pause_ns(random_below(300000));
		stop_process(writer);
		code = k2k_tenant_register(impatient, 1000, NULL);
		if (code == K2K_EBUSY) {
			const struct k2k_error_detail *detail = k2k_error_detail();

			assert_int_equal(detail->pid, (uint64_t)writer);
			assert_string_equal(detail->object, "writer");
			seen++;
		} else {
			assert_int_equal(code, 0);
			assert_int_equal(k2k_tenant_deregister(impatient, 1000, NULL), 0);
		}
		assert_int_equal(kill(writer, SIGCONT), 0);
	}
	assert_true(seen > 0);
	spawn_kill(writer);
	WAIT_UNTIL(k2k_tenant_register(admin, 1000, NULL) == 0, PATIENCE_S);
	check_clean(admin);
	assert_int_equal(k2k_registry_close(&impatient), 0);
	close_and_destroy(name, &admin);
}
