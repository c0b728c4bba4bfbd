/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_batch - many changes under one lock: which callers wait, which process an error names,
 * and what a killed batch leaves
 */
#include "process.h"

#include <pthread.h>

enum { IMPATIENT_NS = 30000000 };

static k2k_tenant_id next_id = 100;

static void change(struct k2k_registry *reg)
{
	assert_int_equal(k2k_tenant_register(reg, next_id, NULL), 0);
	assert_int_equal(k2k_tenant_deregister(reg, next_id, NULL), 0);
	next_id++;
}

/* Makes a change in another process; returns its code and the pid that its error names. */
static int change_elsewhere(const char *name, uint64_t *named, char text[256])
{
	struct answer {
		int code;
		uint64_t pid;
		char text[256];
	} *answer = shared_bytes(sizeof *answer);
	pid_t pid = spawn();
	int code;

	if (pid == 0) {
		struct k2k_registry *reg = open_patient(name, K2K_ROLE_ADMIN, IMPATIENT_NS);

		answer->code = k2k_tenant_update(reg, 1, &(struct k2k_quota)K2K_QUOTA_STANDARD,
		                                 K2K_UPDATE_RATE);
		answer->pid = k2k_error_detail()->pid;
		snprintf(answer->text, sizeof answer->text, "%s", k2k_error_detail()->text);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	spawn_wait(pid);
	code = answer->code;
	if (named)
		*named = answer->pid;
	if (text)
		memcpy(text, answer->text, sizeof answer->text);
	munmap(answer, sizeof *answer);
	return code;
}

static void check_is_locked(const char *name)
{
	uint64_t named;
	char text[256];

	assert_int_equal(change_elsewhere(name, &named, text), K2K_EBUSY);
	assert_int_equal(named, (uint64_t)getpid());
	assert_contains(text, "in a batch");
}

static void check_is_free(const char *name)
{
	assert_int_equal(change_elsewhere(name, NULL, NULL), 0);
}

TEST(a_batch_keeps_the_lock_between_its_changes_and_is_named_by_those_who_want_it)
{
	struct k2k_registry *admin;
	const char *name = small_registry(64, &admin);

	register_tenant(admin, 1, 10, 4);
	check_is_free(name);
	assert_int_equal(k2k_batch_begin(admin), 0);
	check_is_locked(name);
	change(admin);
	check_is_locked(name);
	change(admin);
	check_clean(admin);
	check_is_locked(name);
	assert_int_equal(k2k_batch_end(admin), 0);
	check_is_free(name);
	change(admin);
	check_is_free(name);
	/* A second batch: nothing of the first is left. */
	assert_int_equal(k2k_batch_begin(admin), 0);
	check_is_locked(name);
	assert_int_equal(k2k_batch_end(admin), 0);
	check_is_free(name);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* ---- what a batch may contain ---------------------------------------------------------- */

struct told {
	struct k2k_registry *reg;
	unsigned int events;
	k2k_tenant_id extra; /* the sink registers it once */
};

static void tell(void *context, const struct k2k_audit_event *event)
{
	struct told *told = context;
	k2k_tenant_id extra = told->extra;

	assert_int_equal(event->type, K2K_AUDIT_CONFIGURATION_CHANGE);
	told->events++;
	told->extra = 0;
	if (extra)
		assert_int_equal(k2k_tenant_register(told->reg, extra, NULL), 0);
}

TEST(each_change_of_a_batch_is_seen_and_audited_when_it_returns)
{
	struct k2k_registry *admin, *observer;
	const char *name = small_registry(64, &admin);
	struct told told = { .reg = admin };
	int registered;

	observer = open_as(name, K2K_ROLE_OBSERVER);
	assert_int_equal(k2k_registry_set_audit_sink(admin, tell, &told), 0);
	assert_int_equal(k2k_batch_begin(admin), 0);
	for (k2k_tenant_id id = 1; id <= 20; id++) {
		register_tenant(admin, id, id, 4);
		assert_int_equal(told.events, id);
		assert_int_equal(k2k_tenant_is_registered(observer, id, &registered), 0);
		assert_int_equal(registered, 1);
	}
	told.extra = 30;
	assert_int_equal(
		k2k_tenant_update(admin, 1, &(struct k2k_quota)K2K_QUOTA_STANDARD, K2K_UPDATE_RATE),
		0);
	assert_int_equal(told.events, 22);
	assert_int_equal(tenant_info(observer, 1).max_messages_per_sec, 100000);
	assert_int_equal(tenant_info(observer, 30).max_messages_per_sec, 100000);
	assert_int_equal(k2k_budget_set(admin, 2, 70, 5), 0);
	assert_int_equal(tenant_info(observer, 2).budget_count, 1);
	assert_int_equal(k2k_tenant_deregister(admin, 3, NULL), 0);
	assert_int_equal(k2k_tenant_is_registered(observer, 3, &registered), 0);
	assert_int_equal(registered, 0);
	check_clean(observer);
	assert_int_equal(k2k_batch_end(admin), 0);
	assert_int_equal(k2k_registry_close(&observer), 0);
	close_and_destroy(name, &admin);
}

TEST(what_fails_in_a_batch_leaves_it_as_it_was)
{
	struct k2k_budget budgets[65];
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	struct k2k_repair_info repaired = { .size = sizeof repaired };
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	size_t count;

	for (uint64_t i = 0; i < 65; i++)
		budgets[i] = (struct k2k_budget){ 100 + i, 5 };
	quota.budgets = budgets;
	quota.budget_count = 65;
	register_tenant(admin, 1, 10, 4);
	assert_int_equal(k2k_batch_begin(admin), 0);
	assert_int_equal(k2k_tenant_register(admin, 1, NULL), K2K_EEXIST);
	assert_int_equal(k2k_tenant_deregister(admin, 2, NULL), K2K_ENOTENANT);
	assert_int_equal(k2k_tenant_register(admin, 0, NULL), K2K_EUNSPECIFIED);
	/* Half done and undone: there is room for 64 budgets. */
	assert_int_equal(k2k_tenant_register(admin, 2, &quota), K2K_EFULL);
	assert_string_equal(k2k_error_detail()->object, "budgets");
	assert_int_equal(k2k_tenant_update(admin, 1, &quota, K2K_UPDATE_BUDGETS), K2K_EFULL);
	check_is_locked(name);
	check_clean(admin);
	assert_int_equal(k2k_registry_repair(admin, &repaired), 0);
	check_is_locked(name);
	for (k2k_tenant_id id = 2; id <= 4; id++)
		register_tenant(admin, id, 10, 4);
	assert_int_equal(k2k_tenant_register(admin, 5, NULL), K2K_EFULL);
	check_is_locked(name);
	assert_int_equal(k2k_batch_end(admin), 0);
	check_is_free(name);
	assert_int_equal(k2k_tenant_count(admin, &count), 0);
	assert_int_equal(count, 4);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(a_batch_waits_for_grace_periods_with_the_lock_held)
{
	enum { ROUNDS = 20 };
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	struct k2k_registry *admin, *broker;
	const char *name = small_registry(1, &admin);

	broker = open_as(name, K2K_ROLE_BROKER);
	assert_int_equal(k2k_batch_begin(admin), 0);
	for (k2k_tenant_id id = 1; id <= ROUNDS; id++) {
		register_tenant(admin, id, K2K_UNLIMITED, 4);
		assert_int_equal(k2k_message_admit(broker, id, no_tag, id, NULL), 0);
		assert_int_equal(k2k_tenant_deregister(admin, id, id % 2 ? &totals : NULL), 0);
		assert_int_equal(totals.final, 1);
		assert_int_equal(totals.admitted_total, id - (id + 1) % 2);
	}
	register_tenant(admin, 1, 10, 4);
	check_is_locked(name);
	assert_int_equal(k2k_batch_end(admin), 0);
	check_is_free(name);
	check_clean(admin);
	assert_int_equal(k2k_registry_close(&broker), 0);
	close_and_destroy(name, &admin);
}

/* ---- threads ------------------------------------------------------------------------ */

struct caller {
	struct k2k_registry *reg;
	int (*call)(struct k2k_registry *reg);
	int code;
	uint64_t pid; /* the pid that its error names */
	atomic_int begun;
};

static void *call_it(void *argument)
{
	struct caller *caller = argument;

	atomic_store(&caller->begun, 1);
	caller->code = caller->call(caller->reg);
	caller->pid = k2k_error_detail()->pid;
	return NULL;
}

static void check_in_thread(struct k2k_registry *reg, int (*call)(struct k2k_registry *),
                            int expected, uint64_t pid)
{
	struct caller caller = { .reg = reg, .call = call };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, call_it, &caller), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(caller.code, expected);
	assert_int_equal(caller.pid, pid);
}

static int register_one(struct k2k_registry *reg)
{
	return k2k_tenant_register(reg, 50, NULL);
}
static int close_it(struct k2k_registry *reg)
{
	return k2k_registry_close(&reg);
}

TEST(other_threads_and_other_handles_wait_for_a_batch)
{
	struct k2k_registry *admin, *impatient, *other;
	const char *name = small_registry(64, &admin);
	struct caller waiting;
	pthread_t thread;
	int registered;

	impatient = open_patient(name, K2K_ROLE_ADMIN, IMPATIENT_NS);
	assert_int_equal(k2k_batch_begin(impatient), 0);
	check_in_thread(impatient, register_one, K2K_EBUSY, (uint64_t)getpid());
	check_in_thread(impatient, k2k_batch_begin, K2K_EBUSY, (uint64_t)getpid());
	other = open_patient(name, K2K_ROLE_ADMIN, IMPATIENT_NS);
	assert_int_equal(register_one(other), K2K_EBUSY);
	assert_int_equal(k2k_error_detail()->pid, (uint64_t)getpid());
	assert_int_equal(k2k_batch_begin(other), K2K_EBUSY);
	assert_int_equal(k2k_batch_end(impatient), 0);
	assert_int_equal(register_one(other), 0);
	assert_int_equal(k2k_tenant_deregister(other, 50, NULL), 0);
	assert_int_equal(k2k_registry_close(&other), 0);
	assert_int_equal(k2k_registry_close(&impatient), 0);

	/* A call that waits long enough gets its turn. */
	waiting = (struct caller){ .reg = admin, .call = register_one };
	assert_int_equal(k2k_batch_begin(admin), 0);
	assert_int_equal(pthread_create(&thread, NULL, call_it, &waiting), 0);
	while (!atomic_load(&waiting.begun))
		sched_yield();
	for (int i = 0; i < 1000; i++)
		change(admin);
	assert_int_equal(k2k_tenant_is_registered(admin, 50, &registered), 0);
	assert_int_equal(registered, 0);
	assert_int_equal(k2k_batch_end(admin), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(waiting.code, 0);
	assert_int_equal(k2k_tenant_is_registered(admin, 50, &registered), 0);
	assert_int_equal(registered, 1);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(only_the_thread_that_began_a_batch_can_end_it)
{
	struct k2k_registry *admin, *broker, *observer, *closed;
	const char *name = small_registry(64, &admin);

	register_tenant(admin, 1, 10, 4);
	assert_int_equal(k2k_batch_begin(NULL), K2K_EINVAL);
	assert_int_equal(k2k_batch_end(NULL), K2K_EINVAL);
	assert_int_equal(k2k_batch_end(admin), K2K_EINVAL);
	assert_int_equal(k2k_batch_begin(admin), 0);
	assert_int_equal(k2k_batch_begin(admin), K2K_EINVAL);
	assert_contains(k2k_error_detail()->text, "has begun one");
	check_in_thread(admin, k2k_batch_end, K2K_EINVAL, 0);
	check_is_locked(name);
	assert_int_equal(k2k_batch_end(admin), 0);
	check_is_free(name);
	assert_int_equal(k2k_batch_end(admin), K2K_EINVAL);
	broker = open_as(name, K2K_ROLE_BROKER);
	observer = open_as(name, K2K_ROLE_OBSERVER);
	assert_int_equal(k2k_batch_begin(broker), K2K_EROLE);
	assert_int_equal(k2k_batch_end(broker), K2K_EROLE);
	assert_int_equal(k2k_batch_begin(observer), K2K_EROLE);
	assert_int_equal(k2k_batch_end(observer), K2K_EROLE);
	assert_int_equal(k2k_registry_close(&broker), 0);
	assert_int_equal(k2k_registry_close(&observer), 0);
	closed = open_as(name, K2K_ROLE_ADMIN);
	assert_int_equal(k2k_batch_begin(closed), 0);
	observer = closed;
	assert_int_equal(k2k_registry_close(&observer), 0);
	assert_int_equal(k2k_batch_begin(closed), K2K_EINVAL);
	assert_int_equal(k2k_batch_end(closed), K2K_EINVAL);
	check_is_free(name);
	close_and_destroy(name, &admin);
}

TEST(a_close_ends_the_batch_of_its_thread_and_waits_for_that_of_another)
{
	struct k2k_registry *admin, *reg, *again;
	const char *name = small_registry(64, &admin);
	struct caller closing;
	pthread_t thread;

	register_tenant(admin, 1, 10, 4);
	reg = open_patient(name, K2K_ROLE_ADMIN, IMPATIENT_NS);
	assert_int_equal(k2k_batch_begin(reg), 0);
	check_in_thread(reg, close_it, K2K_EBUSY, (uint64_t)getpid());
	/* The handle is unchanged, and so is the batch. */
	change(reg);
	check_is_locked(name);
	assert_int_equal(k2k_registry_close(&reg), 0);
	check_is_free(name);
	change(admin);

	/* A handle that is opened again has no batch. */
	again = open_as(name, K2K_ROLE_ADMIN);
	assert_int_equal(k2k_batch_end(again), K2K_EINVAL);
	assert_int_equal(k2k_batch_begin(again), 0);
	closing = (struct caller){ .reg = again, .call = close_it };
	assert_int_equal(pthread_create(&thread, NULL, call_it, &closing), 0);
	while (!atomic_load(&closing.begun))
		sched_yield();
	for (int i = 0; i < 1000; i++)
		change(again);
	assert_int_equal(k2k_batch_end(again), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(closing.code, 0);
	assert_int_equal(k2k_batch_begin(again), K2K_EINVAL);
	check_is_free(name);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* ---- the ends of a process, and of a registry ------------------------------------------ */

TEST(a_child_forked_in_a_batch_neither_has_it_nor_ends_it)
{
	struct k2k_registry *admin;
	const char *name = small_registry(64, &admin);
	pid_t pid;

	register_tenant(admin, 1, 10, 4);
	assert_int_equal(k2k_batch_begin(admin), 0);
	pid = spawn();
	if (pid == 0) {
		assert_int_equal(k2k_batch_end(admin), K2K_EFORKED);
		assert_int_equal(k2k_batch_begin(admin), K2K_EFORKED);
		assert_int_equal(k2k_tenant_register(admin, 5, NULL), K2K_EFORKED);
		assert_int_equal(k2k_registry_close(&admin), K2K_EFORKED);
		exit(0);
	}
	spawn_wait(pid);
	check_is_locked(name);
	change(admin);
	/* A child that lives on holds no lock. */
	pid = spawn();
	if (pid == 0)
		for (;;)
			pause();
	assert_int_equal(k2k_batch_end(admin), 0);
	check_is_free(name);
	spawn_kill(pid);
	close_and_destroy(name, &admin);
}

TEST(of_a_batch_that_is_killed_remains_what_had_returned)
{
	enum { ROUNDS = 60, PLACES = 4096 };
	struct progress {
		_Atomic uint64_t registered, deregistered;
	} *progress = shared_bytes(sizeof *progress);
	struct k2k_registry *admin;
	const char *name = small_registry(PLACES, &admin);
	unsigned int in_the_middle = 0;

	random_seed(9);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t base = (uint64_t)(round + 1) * 1000000, first, last;
		struct gate begun;
		size_t count;
		pid_t pid;

		memset(progress, 0, sizeof *progress);
		gate_make(&begun);
		pid = spawn();
		if (pid == 0) {
			struct k2k_registry *reg = open_as(name, K2K_ROLE_ADMIN);

			assert_int_equal(k2k_batch_begin(reg), 0);
			gate_open(&begun);
			/*
			 * The range is never empty: two ids are added for one removed until there
			 * are 100; then one for one.
			 */
			for (uint64_t id = base + 1;; id++) {
				register_tenant(reg, id, id, 4);
				atomic_fetch_add(&progress->registered, 1);
				if (id % 2 && id < base + 200)
					continue;
				assert_int_equal(
					k2k_tenant_deregister(
						reg,
						base + 1 + atomic_load(&progress->deregistered),
						NULL),
					0);
				atomic_fetch_add(&progress->deregistered, 1);
			}
		}
		gate_wait(&begun);
		close(begun.fd[0]);
		close(begun.fd[1]);
		pause_ns(random_below(3000000));
		spawn_kill(pid);
		/*
		 * The lock is free as soon as the kernel has cleaned up the dead process; the first
		 * change recovers.
		 */
		WAIT_UNTIL(k2k_tenant_register(admin, 7, NULL) == 0, PATIENCE_S);
		check_clean(admin);
		/*
		 * Ids from `first` to `last` must exist; the id of the call in progress may or may
		 * not.
		 */
		first = base + 1 + atomic_load(&progress->deregistered);
		last = base + atomic_load(&progress->registered);
		assert_int_equal(k2k_tenant_count(admin, &count), 0);
		if (count < last - first + 1 || count > last - first + 3)
			fail_msg("%zu tenants, answered were %" PRIu64 " to %" PRIu64, count, first,
			         last);
		in_the_middle += last > base + 1;
		for (uint64_t id = first + 1; id <= last; id++)
			assert_int_equal(tenant_info(admin, id).max_messages_per_sec, id);
		for (uint64_t id = first; id <= last + 1; id++) {
			int code = k2k_tenant_deregister(admin, id, NULL);

			assert_true(code == 0 ||
			            (code == K2K_ENOTENANT && (id == first || id == last + 1)));
		}
		assert_int_equal(k2k_tenant_deregister(admin, 7, NULL), 0);
		assert_int_equal(k2k_tenant_count(admin, &count), 0);
		assert_int_equal(count, 0);
	}
	assert_true(in_the_middle > ROUNDS / 2);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(a_batch_notices_that_the_name_is_gone_and_can_be_ended)
{
	struct k2k_registry *admin, *other;
	const char *name = small_registry(64, &admin);
	k2k_tenant_id id = 1;
	char path[128];

	assert_int_equal(k2k_batch_begin(admin), 0);
	assert_int_equal(k2k_tenant_register(admin, 1, NULL), 0);
	snprintf(path, sizeof path, "/dev/shm/k2k.%s.defs", name);
	assert_int_equal(unlink(path), 0);
	WAIT_UNTIL(k2k_tenant_register(admin, ++id % 60, NULL) == K2K_EFENCED, PATIENCE_S);
	assert_int_equal(k2k_batch_begin(admin), K2K_EFENCED);
	assert_int_equal(k2k_batch_end(admin), 0);
	assert_int_equal(k2k_batch_end(admin), K2K_EFENCED);
	assert_int_equal(k2k_registry_create(name, NULL, &other), 0);
	assert_int_equal(k2k_registry_close(&admin), 0);
	/* Closed within a batch that was fenced: the same as if the batch had ended. */
	assert_int_equal(k2k_batch_begin(other), 0);
	assert_int_equal(unlink(path), 0);
	WAIT_UNTIL(k2k_tenant_register(other, ++id % 60, NULL) == K2K_EFENCED, PATIENCE_S);
	assert_int_equal(k2k_registry_close(&other), 0);
	assert_int_equal(k2k_registry_create(name, NULL, &other), 0);
	change(other);
	close_and_destroy(name, &other);
}
