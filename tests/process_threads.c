/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* process_threads - threads are cancelled, end, or end the process, at any moment of a call */
#include "badinput_table.h"
#include "process.h"

#include <pthread.h>

enum { TENANT = 9, LIMIT = 2 };

static void open_roles(const char *name, struct k2k_registry *handles[4])
{
	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
		handles[role] = open_as(name, (enum k2k_role)role);
}

static void close_roles(struct k2k_registry *handles[4])
{
	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
		assert_int_equal(k2k_registry_close(&handles[role]), 0);
}

/* ---- cancellation ---------------------------------------------------------------- */

/* What a thread does that is cancelled before it begins; `returned` shows how far it came. */
struct errand {
	void (*run)(struct errand *errand);
	const struct entry *entry;
	struct k2k_registry *reg;
	const char *name;
	int role, variant, code, expected, returned;
};

static void *runs_cancelled(void *argument)
{
	struct errand *errand = argument;

	/* deferred: takes effect at the next cancellation point */
	assert_int_equal(pthread_cancel(pthread_self()), 0);
	errand->run(errand);
	errand->returned++;
	pthread_testcancel();
	fail_msg("the request to end was lost");
}

static void run_cancelled(struct errand *errand, const char *what)
{
	pthread_t id;
	void *result;

	errand->returned = 0;
	assert_int_equal(pthread_create(&id, NULL, runs_cancelled, errand), 0);
	assert_int_equal(pthread_join(id, &result), 0);
	if (!errand->returned)
		fail_msg("a thread was cancelled in the middle of %s", what);
	assert_int_equal(result, PTHREAD_CANCELED);
}

static void make_call(struct errand *errand)
{
	errand->expected = errand->variant == 0 ? 0 : K2K_EINVAL;
	errand->code = errand->entry->call(errand->reg, errand->variant, &errand->expected);
}

TEST(no_call_is_cancelled_in_its_middle_whether_it_succeeds_or_fails)
{
	struct k2k_registry *handles[4];
	struct k2k_budget budget = { 1, 1000000 };
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	const char *name = small_registry(16, &handles[K2K_ROLE_ADMIN]);
	int calls = 0;

	assert_int_equal(k2k_registry_close(&handles[K2K_ROLE_ADMIN]), 0);
	open_roles(name, handles);
	quota.budget_count = 1;
	quota.budgets = &budget;
	assert_int_equal(k2k_tenant_register(handles[K2K_ROLE_ADMIN], ID, &quota), 0);
	assert_int_equal(k2k_budget_set_renewing(handles[K2K_ROLE_ADMIN], ID, RENEWING, 1000000,
	                                         K2K_RENEWAL_DAY),
	                 0);
	for (int i = 0; i < ENTRIES; i++)
		for (int role = K2K_ROLE_ADMIN; table[i].call && role <= K2K_ROLE_OBSERVER; role++)
			for (int variant = 0; variant < VARIANTS; variant++) {
				struct errand errand = { .run = make_call,
					                 .entry = &table[i],
					                 .reg = handles[role],
					                 .role = role,
					                 .variant = variant };

				run_cancelled(&errand, what_of(&table[i], role, variant));
				if (errand.expected == NONE)
					break;
				if (variant == 0)
					CHECK_CODE(errand.code,
					           table[i].roles & 1 << role ? 0 : K2K_EROLE,
					           what_of(&table[i], role, variant));
				calls++;
			}
	assert_true(calls > 500);
	check_clean(handles[K2K_ROLE_ADMIN]);
	close_roles(handles);
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
}

static void open_and_close(struct errand *errand)
{
	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++) {
		assert_int_equal(
			k2k_registry_open(errand->name, (enum k2k_role)role, NULL, &errand->reg),
			0);
		errand->returned++;
		assert_int_equal(k2k_registry_close(&errand->reg), 0);
		errand->returned++;
	}
}

static void create_and_destroy(struct errand *errand)
{
	struct k2k_registry_plan plan = { .size = sizeof plan };
	char name[80];

	snprintf(name, sizeof name, "%s-c", errand->name);
	assert_int_equal(k2k_registry_plan(NULL, &plan), 0);
	errand->returned++;
	assert_int_equal(k2k_registry_create(name, NULL, &errand->reg), 0);
	errand->returned++;
	assert_int_equal(k2k_registry_create(name, NULL, NULL), K2K_EEXIST);
	errand->returned++;
	assert_int_equal(k2k_registry_close(&errand->reg), 0);
	errand->returned++;
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
	errand->returned++;
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), K2K_ENOREGISTRY);
}

TEST(opening_closing_creating_and_destroying_are_not_cancelled_in_their_middle)
{
	struct k2k_registry *admin;
	const char *name = small_registry(16, &admin);
	struct errand errand = { .run = open_and_close, .name = name };
	pid_t child;

	run_cancelled(&errand, "open or close");
	assert_int_equal(errand.returned, 7);
	errand.run = create_and_destroy;
	run_cancelled(&errand, "create or destroy");
	assert_int_equal(errand.returned, 6);
	/* no lock of the library is left held: the next fork() would wait for it */
	child = spawn();
	if (child == 0)
		exit(0);
	spawn_wait(child);
	close_and_destroy(name, &admin);
}

static atomic_int told;

static void sink_with_cancellation_point(void *context, const struct k2k_audit_event *event)
{
	(void)context, (void)event;
	pthread_testcancel();
	atomic_fetch_add(&told, 1);
}

static void be_refused(struct errand *errand)
{
	assert_int_equal(k2k_message_admit(errand->reg, TENANT, no_tag, LIMIT + 1, NULL),
	                 K2K_ERATE);
	errand->returned++;
	assert_int_equal(k2k_quota_check(errand->reg, TENANT, tag, LIMIT + 1, NULL), K2K_ERATE);
	errand->returned++;
	assert_int_equal(k2k_gpu_memory_acquire(errand->reg, TENANT, UINT64_MAX / 2, NULL, NULL),
	                 K2K_EGPUMEM);
	errand->returned++;
	assert_int_equal(k2k_audit_cross_tenant(errand->reg, 1, 2, "a", "b", no_tag), 0);
	errand->returned++;
	/* The call that replaces the sink reports what was counted until then. */
	assert_int_equal(k2k_audit_cross_tenant(errand->reg, 1, 2, "a", "b", no_tag), 0);
	assert_int_equal(k2k_registry_set_audit_sink(errand->reg, NULL, NULL), 0);
}

TEST(a_sink_is_not_cancelled_and_close_does_not_wait_for_one_that_was)
{
	struct k2k_registry *admin, *broker;
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	const char *name = small_registry(16, &admin);
	struct errand errand = { .run = be_refused };

	broker = open_as(name, K2K_ROLE_BROKER);
	quota.max_messages_per_sec = LIMIT;
	assert_int_equal(k2k_tenant_register(admin, TENANT, &quota), 0);
	assert_int_equal(k2k_registry_set_audit_sink(broker, sink_with_cancellation_point, NULL),
	                 0);
	errand.reg = broker;
	run_cancelled(&errand, "a rejection");
	assert_int_equal(errand.returned, 5);
	assert_true(atomic_load(&told) >= 4);
	alarm(20);
	assert_int_equal(k2k_registry_close(&broker), 0);
	close_and_destroy(name, &admin);
}

static void *updates(void *argument)
{
	struct errand *errand = argument;
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	errand->returned = 1;
	errand->code = k2k_tenant_update(errand->reg, TENANT, &quota, K2K_UPDATE_RATE);
	errand->returned = 2;
	pthread_testcancel();
	return NULL;
}

TEST(a_thread_cancelled_while_it_waits_for_the_writers_lock_makes_its_change_first)
{
	struct k2k_registry *admin;
	const char *name = small_registry(16, &admin);
	struct errand errand = { .code = 1 };
	int to_child[2], to_parent[2];
	char byte = 0;
	pthread_t id;
	void *result;
	pid_t other;

	register_tenant(admin, TENANT, 1, 1);
	assert_true(pipe(to_child) == 0 && pipe(to_parent) == 0);
	other = spawn();
	if (other == 0) {
		struct k2k_registry *own = open_as(name, K2K_ROLE_ADMIN);

		assert_int_equal(k2k_batch_begin(own), 0);
		assert_int_equal(write(to_parent[1], &byte, 1), 1);
		assert_int_equal(read(to_child[0], &byte, 1), 1);
		assert_int_equal(k2k_batch_end(own), 0);
		assert_int_equal(k2k_registry_close(&own), 0);
		exit(0);
	}
	assert_int_equal(read(to_parent[0], &byte, 1), 1);
	errand.reg = admin;
	assert_int_equal(pthread_create(&id, NULL, updates, &errand), 0);
	WAIT_UNTIL(atomic_load((_Atomic int *)&errand.returned) == 1, PATIENCE_S);
	assert_int_equal(pthread_cancel(id), 0);
	assert_int_equal(write(to_child[1], &byte, 1), 1);
	assert_int_equal(pthread_join(id, &result), 0);
	assert_int_equal(errand.returned, 2);
	assert_int_equal(errand.code, 0);
	assert_int_equal(result, PTHREAD_CANCELED);
	spawn_wait(other);
	/* nothing is locked */
	assert_int_equal(tenant_info(admin, TENANT).max_messages_per_sec, K2K_UNLIMITED);
	assert_int_equal(k2k_tenant_deregister(admin, TENANT, NULL), 0);
	alarm(20);
	close_and_destroy(name, &admin);
}

/* ---- threads that end ---------------------------------------------------------------- */

struct crowd {
	const char *name;
	struct k2k_registry *reg;
	atomic_int stop;
};

static void *calls_once(void *argument)
{
	struct crowd *crowd = argument;
	int code = k2k_message_admit(crowd->reg, TENANT, no_tag, 1, NULL);

	assert_true(code == 0 || code == K2K_EINVAL);
	/* The error detail is its own, not that of an earlier thread with the same record. */
	assert_int_equal(k2k_error_detail()->code, code);
	assert_int_equal(k2k_message_admit(NULL, TENANT, no_tag, 1, NULL), K2K_EINVAL);
	pthread_exit(NULL);
}

static int mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	int lines = 0, c;

	assert_non_null(file);
	while ((c = fgetc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

TEST(threads_that_come_and_go_leave_nothing_and_hold_up_nobody)
{
	enum { ROUNDS = 1000, AT_ONCE = 4 };
	struct k2k_registry *admin;
	const char *name = small_registry(16, &admin);
	struct crowd crowd = { .name = name };
	pthread_t ids[AT_ONCE];
	int before = 0;

	register_tenant(admin, TENANT, K2K_UNLIMITED, 1);
	for (int i = 0; i < ROUNDS; i++) {
		struct k2k_registry *broker;

		if (i == ROUNDS / 10)
			before = mappings();
		broker = crowd.reg = open_as(name, K2K_ROLE_BROKER);
		for (int t = 0; t < AT_ONCE; t++)
			assert_int_equal(pthread_create(&ids[t], NULL, calls_once, &crowd), 0);
		/* Waits for the threads in calls, and not for those that have ended. */
		assert_int_equal(k2k_registry_close(&broker), 0);
		for (int t = 0; t < AT_ONCE; t++)
			assert_int_equal(pthread_join(ids[t], NULL), 0);
	}
	/* One record for each of 4000 threads would be hundreds of pages. */
	assert_true(mappings() <= before + 8);
	close_and_destroy(name, &admin);
}

/* ---- a process that ends --------------------------------------------------------------- */

static void *calls_for_ever(void *argument)
{
	struct crowd *crowd = argument;

	for (;;) {
		assert_int_equal(k2k_message_admit(crowd->reg, TENANT, no_tag, 1, NULL), 0);
		assert_int_equal(k2k_kernel_acquire(crowd->reg, TENANT, NULL, NULL), 0);
		assert_int_equal(k2k_kernel_release_id(crowd->reg, TENANT), 0);
	}
	return NULL;
}

static void *opens_for_ever(void *argument)
{
	struct crowd *crowd = argument;

	for (;;) {
		struct k2k_registry *reg = open_as(crowd->name, K2K_ROLE_BROKER);

		assert_int_equal(k2k_message_admit(reg, TENANT, no_tag, 1, NULL), 0);
		assert_int_equal(k2k_registry_close(&reg), 0);
	}
	return NULL;
}

static void *ends_the_process(void *argument)
{
	(void)argument;
	random_seed(2);
	pause_ns(random_below(3000000));
	exit(0);
}

TEST(exit_from_any_thread_ends_a_process_whose_other_threads_are_in_calls)
{
	struct k2k_registry *admin;
	const char *name = small_registry(16, &admin);

	register_tenant(admin, TENANT, K2K_UNLIMITED, 64);
	for (int i = 0; i < 40; i++) {
		pid_t child = spawn();

		if (child == 0) {
			struct crowd crowd = { .name = name,
				               .reg = open_as(name, K2K_ROLE_BROKER) };
			pthread_t id;

			alarm(20);
			assert_int_equal(pthread_create(&id, NULL, calls_for_ever, &crowd), 0);
			assert_int_equal(pthread_create(&id, NULL, opens_for_ever, &crowd), 0);
			if (i % 2)
				ends_the_process(NULL);
			assert_int_equal(pthread_create(&id, NULL, ends_the_process, NULL), 0);
			pthread_exit(NULL); /* the main thread ends first */
		}
		spawn_wait(child);
	}
	WAIT_UNTIL(brokers_alive(admin) == 0, PATIENCE_S);
	check_clean(admin);
	close_and_destroy(name, &admin);
}
