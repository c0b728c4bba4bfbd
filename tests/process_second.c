/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_second - a window is granted in its own second only, and what must not wait does not wait
 * for readers
 */
#include "process.h"

#include <pthread.h>
#include <urcu/urcu-bp.h>

enum { TENANT = 7, ROOMY = 8, LIMIT = 2000 };

static uint64_t second_of(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec;
}

/* ---- a process that is stopped and continued ----------------------------------------- */

struct seen {
	atomic_uint running;
	atomic_ulong admitted, refused, wrong;
};

/*
 * Sends without a pause. The coarse clock is never ahead of the second in which a message is
 * counted, and the precise one never behind it; stopping the process between the two readings only
 * widens the interval.
 */
static void send_for_ever(struct k2k_registry *broker, struct seen *seen)
{
	for (int i = 0;; i++) {
		struct k2k_verdict verdict = K2K_VERDICT_INIT;
		uint64_t before = second_of(CLOCK_MONOTONIC_COARSE), after;
		int code = k2k_message_admit(broker, i % 4 ? ROOMY : TENANT, no_tag, 1, &verdict);

		after = second_of(CLOCK_MONOTONIC);
		assert_true(code == 0 || code == K2K_ERATE);
		if (verdict.window < before || verdict.window > after)
			atomic_fetch_add(&seen->wrong, 1);
		atomic_fetch_add(code ? &seen->refused : &seen->admitted, 1);
		atomic_store(&seen->running, 1);
	}
}

TEST(a_broker_that_was_stopped_and_continued_counts_in_the_second_it_is)
{
	struct seen *seen = shared_bytes(sizeof *seen);
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t broker;

	register_tenant(admin, TENANT, LIMIT, 1);
	/* This tenant's window still has room when the broker is stopped. */
	register_tenant(admin, ROOMY, 1000000000, 1);
	broker = spawn();
	if (broker == 0) {
		send_for_ever(open_as(name, K2K_ROLE_BROKER), seen);
		exit(0);
	}
	for (int i = 0; i < 6; i++) {
		uint64_t second;

		atomic_store(&seen->running, 0);
		WAIT_UNTIL(atomic_load(&seen->running), PATIENCE_S);
		pause_ns(50000000);
		assert_int_equal(kill(broker, SIGSTOP), 0);
		second = second_of(CLOCK_MONOTONIC);
		while (second_of(CLOCK_MONOTONIC_COARSE) < second + 2)
			pause_ns(5000000);
		assert_int_equal(kill(broker, SIGCONT), 0);
	}
	atomic_store(&seen->running, 0);
	WAIT_UNTIL(atomic_load(&seen->running), PATIENCE_S);
	kill(broker, SIGKILL);
	assert_true(waitpid(broker, NULL, 0) == broker);
	assert_true(atomic_load(&seen->admitted) > 0 && atomic_load(&seen->refused) > 0);
	assert_int_equal(atomic_load(&seen->wrong), 0);
	close_and_destroy(name, &admin);
}

/* ---- beside a reader of the program's own that never leaves its section --------------------- */

static atomic_int inside, leave;

static void *reads_own_data(void *argument)
{
	(void)argument;
	urcu_bp_read_lock();
	atomic_store(&inside, 1);
	while (!atomic_load(&leave))
		pause_ns(1000000);
	urcu_bp_read_unlock();
	return NULL;
}

static bool has_event(struct k2k_registry *observer, struct k2k_audit_cursor *cursor,
                      enum k2k_audit_kind kind)
{
	static struct k2k_audit_record records[32];
	size_t count;

	do {
		records[0].size = sizeof records[0];
		assert_int_equal(k2k_audit_read(observer, cursor, 0, records, 32, &count), 0);
		for (size_t i = 0; i < count; i++)
			if (records[i].kind == (uint32_t)kind)
				return true;
	} while (count);
	return false;
}

TEST(a_reader_of_the_programs_own_holds_up_neither_the_second_nor_the_trail_nor_grace_periods)
{
	struct k2k_audit_cursor cursor = K2K_AUDIT_CURSOR_INIT;
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct k2k_registry *admin, *broker, *observer;
	const char *name = small_registry(4, &admin);
	pthread_t reader;
	pid_t other;

	register_tenant(admin, TENANT, 1, 1);
	register_tenant(admin, TENANT + 1, 1, 1);
	broker = open_as(name, K2K_ROLE_BROKER);
	observer = open_as(name, K2K_ROLE_OBSERVER);
	other = spawn();
	if (other == 0) {
		assert_non_null(open_as(name, K2K_ROLE_BROKER));
		_exit(0); /* the live broker finds this one dead */
	}
	assert_int_equal(pthread_create(&reader, NULL, reads_own_data, NULL), 0);
	WAIT_UNTIL(atomic_load(&inside), PATIENCE_S);
	assert_int_equal(k2k_tenant_deregister(admin, TENANT + 1, &totals), 0);
	assert_int_equal(totals.final, 1);
	spawn_wait(other);
	while (k2k_message_admit(broker, TENANT, no_tag, 1, &verdict) == 0)
		;
	WAIT_UNTIL(has_event(observer, &cursor, K2K_AUDIT_KIND_RATE), PATIENCE_S);
	cursor = (struct k2k_audit_cursor)K2K_AUDIT_CURSOR_INIT;
	WAIT_UNTIL(has_event(observer, &cursor, K2K_AUDIT_KIND_BROKER_DEAD), PATIENCE_S);
	/*
	 * The watch on the name works, too: the registry is destroyed, and the broker notices
	 * without any call.
	 */
	assert_int_equal(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), 0);
	WAIT_UNTIL(k2k_message_admit(broker, TENANT, no_tag, 1, NULL) == K2K_EFENCED, PATIENCE_S);
	assert_int_equal(k2k_registry_close(&observer), 0);
	assert_int_equal(k2k_registry_close(&broker), 0);
	assert_int_equal(k2k_registry_close(&admin), 0);
	atomic_store(&leave, 1);
	assert_int_equal(pthread_join(reader, NULL), 0);
}
