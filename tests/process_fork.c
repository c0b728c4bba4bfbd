/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_fork - fork() in a broker: the child is not attached, and can open for itself
 */
#include "process.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <urcu/urcu-bp.h>

enum { TENANT = 7 };

static void ignore_event(void *context, const struct k2k_audit_event *event)
{
	(void)context, (void)event;
}

/* Makes every call that takes a handle, on an inherited one. */
static void every_call_answers_forked(struct k2k_registry *reg)
{
	struct k2k_registry_info info = { .size = sizeof info };
	struct k2k_repair_info repaired = { .size = sizeof repaired };
	struct k2k_tenant_info tenant = { .size = sizeof tenant };
	struct k2k_lease lease = { sizeof lease, K2K_LEASE_KERNEL, TENANT, 1, 1 };
	struct k2k_lease bytes = { sizeof bytes, K2K_LEASE_GPU_MEMORY, TENANT, 1, 1 };
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	k2k_tenant_id ids[2];
	size_t count;
	uint64_t ns;
	int registered;

#define FORKED(call) assert_int_equal(call, K2K_EFORKED)
	FORKED(k2k_message_admit(reg, TENANT, no_tag, 1, NULL));
	FORKED(k2k_message_record(reg, TENANT));
	FORKED(k2k_quota_check(reg, TENANT, no_tag, 1, NULL));
	FORKED(k2k_usage_track(reg, TENANT, no_tag, 1));
	FORKED(k2k_usage_engagement(reg, no_tag, &ns));
	FORKED(k2k_usage_engagement_for(reg, TENANT, no_tag, &ns));
	FORKED(k2k_kernel_acquire(reg, TENANT, NULL, NULL));
	FORKED(k2k_kernel_release(reg, &lease));
	FORKED(k2k_kernel_release_id(reg, TENANT));
	FORKED(k2k_gpu_memory_acquire(reg, TENANT, 1, NULL, NULL));
	FORKED(k2k_gpu_memory_release(reg, &bytes));
	FORKED(k2k_gpu_memory_release_id(reg, TENANT, 1));
	FORKED(k2k_registry_info(reg, &info));
	FORKED(k2k_registry_check(reg, NULL, 0, &count));
	FORKED(k2k_registry_repair(reg, &repaired));
	FORKED(k2k_tenant_register(reg, 99, NULL));
	FORKED(k2k_tenant_update(reg, TENANT, &quota, K2K_UPDATE_RATE));
	FORKED(k2k_tenant_deregister(reg, TENANT, NULL));
	FORKED(k2k_tenant_get(reg, TENANT, &tenant));
	FORKED(k2k_tenant_is_registered(reg, TENANT, &registered));
	FORKED(k2k_tenant_count(reg, &count));
	FORKED(k2k_tenant_ids(reg, ids, 2, &count));
	FORKED(k2k_budget_set(reg, TENANT, 1, 1));
	FORKED(k2k_budget_unset(reg, TENANT, 1));
	FORKED(k2k_budget_list(reg, TENANT, NULL, 0, &count));
	FORKED(k2k_broker_list(reg, NULL, 0, &count));
	FORKED(k2k_lease_list(reg, TENANT, NULL, 0, &count));
	FORKED(k2k_usage_list(reg, TENANT, NULL, 0, &count));
	FORKED(k2k_audit_cross_tenant(reg, 1, 2, "a", "b", no_tag));
	FORKED(k2k_registry_set_audit_sink(reg, ignore_event, NULL));
#undef FORKED
}

/* A child that wants to work opens handles of its own. */
static void child_works(const char *name, struct k2k_registry *inherited)
{
	struct k2k_registry *reg;

	every_call_answers_forked(inherited);
	reg = open_as(name, K2K_ROLE_BROKER);
	assert_int_equal(k2k_message_admit(reg, TENANT, no_tag, 1, NULL), 0);
	assert_int_equal(k2k_usage_track(reg, TENANT, no_tag, 5), 0);
	assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
	every_call_answers_forked(inherited);
	assert_int_equal(k2k_registry_close(&inherited), K2K_EFORKED);
	assert_false(inherited);
	assert_int_equal(k2k_registry_close(&inherited), K2K_EINVAL);
	/* Closing the inherited handle leaves the child's own intact. */
	assert_int_equal(k2k_message_admit(reg, TENANT, no_tag, 1, NULL), 0);
	assert_int_equal(k2k_kernel_release_id(reg, TENANT), 0);
	assert_int_equal(k2k_registry_close(&reg), 0);
}

TEST(a_child_is_not_attached_but_can_open_for_itself_and_close_harms_nobody)
{
	struct k2k_registry *admin, *reg;
	const char *name = small_registry(4, &admin);

	register_tenant(admin, TENANT, K2K_UNLIMITED, 4);
	pid_t broker = spawn();
	if (broker == 0) {
		reg = open_as(name, K2K_ROLE_BROKER);
		assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
		for (int i = 0; i < 20; i++) {
			pid_t child = spawn();

			if (child == 0) {
				child_works(name, reg);
				exit(0);
			}
			spawn_wait(child);
			assert_int_equal(k2k_message_admit(reg, TENANT, no_tag, 1, NULL), 0);
			assert_int_equal(brokers_alive(reg), 1);
		}
		assert_int_equal(k2k_kernel_release_id(reg, TENANT), 0);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	spawn_wait(broker);
	assert_int_equal(tenant_info(admin, TENANT).admitted_total, 60);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* ---- forks while other threads are in calls --------------------------------- */

struct crowd {
	const char *name;
	struct k2k_registry *reg;
	atomic_int stop;
	void (*fork_hooks[3])(void); /* before, parent, child; null: the library's */
};

static void *sends(void *argument)
{
	struct crowd *crowd = argument;

	while (!atomic_load(&crowd->stop)) {
		assert_int_equal(k2k_message_admit(crowd->reg, TENANT, no_tag, 1, NULL), 0);
		assert_int_equal(k2k_usage_track(crowd->reg, TENANT, no_tag, 1), 0);
	}
	return NULL;
}

static void *holds(void *argument)
{
	struct crowd *crowd = argument;

	while (!atomic_load(&crowd->stop)) {
		assert_int_equal(k2k_kernel_acquire(crowd->reg, TENANT, NULL, NULL), 0);
		assert_int_equal(k2k_kernel_release_id(crowd->reg, TENANT), 0);
	}
	return NULL;
}

static void *opens(void *argument)
{
	struct crowd *crowd = argument;

	while (!atomic_load(&crowd->stop)) {
		struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
		struct k2k_registry *reg;

		options.flags = crowd->fork_hooks[0] ? K2K_OPEN_CALLER_FORK_HOOKS : 0;
		assert_int_equal(k2k_registry_open(crowd->name, K2K_ROLE_BROKER, &options, &reg),
		                 0);
		assert_int_equal(k2k_message_admit(reg, TENANT, no_tag, 1, NULL), 0);
		assert_int_equal(k2k_registry_close(&reg), 0);
	}
	return NULL;
}

/*
 * A child must end within seconds: if it hangs in a lock that another thread held, the test fails
 * at once, not by timeout.
 */
static void wait_for_child(pid_t pid, int i)
{
	uint64_t end = now_ns() + 10000000000u;
	int status;
	pid_t ended;

	while ((ended = waitpid(pid, &status, WNOHANG)) == 0) {
		if (now_ns() > end) {
			kill(pid, SIGKILL);
			fail_msg("child %d hangs", i);
		}
		pause_ns(200000);
	}
	assert_int_equal(ended, pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("child %d ended with status %x", i, status);
}

static void fork_among_threads(void *(*const *work)(void *), int threads, int forks,
                               void (*const hooks[3])(void))
{
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t broker;

	register_tenant(admin, TENANT, K2K_UNLIMITED, 64);
	/* only handles of the broker's kind remain open */
	assert_int_equal(k2k_registry_close(&admin), 0);
	broker = spawn();
	if (broker == 0) {
		struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
		struct crowd crowd = { .name = name };
		pthread_t ids[4];

		if (hooks) {
			memcpy(crowd.fork_hooks, hooks, sizeof crowd.fork_hooks);
			options.flags = K2K_OPEN_CALLER_FORK_HOOKS;
		}
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &crowd.reg), 0);
		for (int i = 0; i < threads; i++)
			assert_int_equal(pthread_create(&ids[i], NULL, work[i], &crowd), 0);
		for (int i = 0; i < forks; i++) {
			if (hooks)
				hooks[0]();
			pid_t child = fork();

			assert_true(child >= 0);
			if (child == 0) {
				if (hooks)
					hooks[2]();
				child_works(name, crowd.reg);
				_exit(0);
			}
			if (hooks)
				hooks[1]();
			wait_for_child(child, i);
		}
		atomic_store(&crowd.stop, 1);
		for (int i = 0; i < threads; i++)
			assert_int_equal(pthread_join(ids[i], NULL), 0);
		assert_int_equal(k2k_registry_close(&crowd.reg), 0);
		exit(0);
	}
	spawn_wait(broker);
	admin = open_as(name, K2K_ROLE_ADMIN);
	assert_int_equal(brokers_alive(admin), 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(a_fork_while_other_threads_send_and_hold_leaves_a_child_that_works)
{
	void *(*const work[])(void *) = { sends, holds, holds };

	fork_among_threads(work, 3, 60, NULL);
}

TEST(a_fork_while_other_threads_open_and_close_leaves_a_child_that_works)
{
	void *(*const work[])(void *) = { opens, opens, sends };

	fork_among_threads(work, 3, 60, NULL);
}

/* ---- forks where no handle is open ------------------------------------------- */

static void *calls_on_closed(void *argument)
{
	struct crowd *crowd = argument;

	do
		assert_int_equal(k2k_message_admit(crowd->reg, TENANT, no_tag, 1, NULL),
		                 K2K_EINVAL);
	while (!atomic_load(&crowd->stop));
	return NULL;
}

static void open_and_close_in_child(const char *name)
{
	struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

	assert_int_equal(k2k_message_admit(reg, TENANT, no_tag, 1, NULL), 0);
	assert_int_equal(k2k_registry_close(&reg), 0);
	_exit(0);
}

/* brief: the threads make one call each, their first, about when the process forks */
static void fork_without_handle(bool brief, int forks)
{
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t broker;

	register_tenant(admin, TENANT, K2K_UNLIMITED, 64);
	assert_int_equal(k2k_registry_close(&admin), 0);
	broker = spawn();
	if (broker == 0) {
		pid_t first = fork(); /* this process has not called the library */

		if (first == 0)
			open_and_close_in_child(name);
		wait_for_child(first, -1);
		random_seed(1);
		for (int i = 0; i < forks; i++) {
			struct crowd crowd = { .name = name, .stop = brief };
			struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);
			pthread_t ids[2];
			pid_t child;

			crowd.reg = reg;
			assert_int_equal(k2k_registry_close(&reg), 0);
			for (int t = 0; t < 2; t++)
				assert_int_equal(
					pthread_create(&ids[t], NULL, calls_on_closed, &crowd), 0);
			for (uint64_t n = random_below(40000); n > 0; n--)
				atomic_signal_fence(memory_order_seq_cst);
			child = fork();
			assert_true(child >= 0);
			if (child == 0)
				open_and_close_in_child(name);
			wait_for_child(child, i);
			atomic_store(&crowd.stop, 1);
			for (int t = 0; t < 2; t++)
				assert_int_equal(pthread_join(ids[t], NULL), 0);
		}
		exit(0);
	}
	spawn_wait(broker);
	admin = open_as(name, K2K_ROLE_ADMIN);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(a_fork_without_an_open_handle_while_threads_call_on_a_closed_one_leaves_a_child_that_works)
{
	fork_without_handle(false, 60);
}

TEST(a_fork_without_an_open_handle_while_threads_make_their_first_call_leaves_a_child_that_works)
{
	fork_without_handle(true, 200);
}

/* ---- forks of a program that uses liburcu itself ------------------------------ */

static void *reads_own_data(void *argument)
{
	struct crowd *crowd = argument;

	urcu_bp_read_lock();
	while (!atomic_load(&crowd->stop))
		pause_ns(1000000);
	urcu_bp_read_unlock();
	return NULL;
}

/* Grace periods keep starting, and one of the program's own readers never leaves its section. */
TEST(a_fork_from_within_the_programs_own_read_section_of_liburcu_returns_at_once)
{
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);

	register_tenant(admin, TENANT, K2K_UNLIMITED, 64);
	pid_t broker = spawn();
	if (broker == 0) {
		struct crowd crowd = { .name = name, .reg = open_as(name, K2K_ROLE_BROKER) };
		struct k2k_registry *own_admin = open_as(name, K2K_ROLE_ADMIN);
		struct k2k_tenant_totals totals = { .size = sizeof totals };
		pthread_t ids[3];

		assert_int_equal(pthread_create(&ids[0], NULL, reads_own_data, &crowd), 0);
		assert_int_equal(pthread_create(&ids[1], NULL, sends, &crowd), 0);
		assert_int_equal(pthread_create(&ids[2], NULL, opens, &crowd), 0);
		for (int i = 0; i < 30; i++) {
			register_tenant(own_admin, 8, K2K_UNLIMITED, 1);
			assert_int_equal(k2k_tenant_deregister(own_admin, 8, &totals), 0);
			/*
			 * The broker's helper has answered, though the program's reader is still in
			 * its section.
			 */
			assert_int_equal(totals.final, 1);
			urcu_bp_read_lock();
			pid_t child = fork();

			assert_true(child >= 0);
			if (child == 0) {
				child_works(name, crowd.reg);
				_exit(0);
			}
			wait_for_child(child, i);
			urcu_bp_read_unlock();
		}
		atomic_store(&crowd.stop, 1);
		for (int i = 0; i < 3; i++)
			assert_int_equal(pthread_join(ids[i], NULL), 0);
		assert_int_equal(k2k_registry_close(&own_admin), 0);
		assert_int_equal(k2k_registry_close(&crowd.reg), 0);
		exit(0);
	}
	spawn_wait(broker);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/*
 * ---- children made without fork handlers ------------------------------------------------------
 */

TEST(a_child_made_by_a_bare_clone_is_told_so_by_every_call_and_never_hangs)
{
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);

	register_tenant(admin, TENANT, K2K_UNLIMITED, 64);
	pid_t broker = spawn();
	if (broker == 0) {
		struct crowd crowd = { .name = name, .reg = open_as(name, K2K_ROLE_BROKER) };
		pthread_t ids[2];

		for (int i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&ids[i], NULL, i ? sends : opens, &crowd),
			                 0);
		for (int i = 0; i < 200; i++) {
			pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

			assert_true(child >= 0);
			if (child == 0) {
				struct k2k_registry *own = NULL;

				every_call_answers_forked(crowd.reg);
				assert_int_equal(
					k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &own),
					K2K_EFORKED);
				assert_false(own);
				assert_int_equal(
					k2k_registry_create("process-fork-none", NULL, NULL),
					K2K_EFORKED);
				assert_int_equal(k2k_registry_destroy(name, 0, NULL), K2K_EFORKED);
				_exit(0);
			}
			wait_for_child(child, i);
		}
		atomic_store(&crowd.stop, 1);
		for (int i = 0; i < 2; i++)
			assert_int_equal(pthread_join(ids[i], NULL), 0);
		assert_int_equal(k2k_registry_close(&crowd.reg), 0);
		exit(0);
	}
	spawn_wait(broker);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* ---- programs that call liburcu's hooks for their own readers -------------------------------- */

TEST(a_program_that_calls_the_hooks_of_liburcu_itself_can_fork_too)
{
	void *(*const work[])(void *) = { sends, holds, opens };
	void (*const hooks[3])(void) = { urcu_bp_before_fork, urcu_bp_after_fork_parent,
		                         urcu_bp_after_fork_child };

	fork_among_threads(work, 3, 60, hooks);
}

TEST(a_child_may_call_the_hooks_itself_where_its_parent_left_them_to_the_library)
{
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);

	register_tenant(admin, TENANT, K2K_UNLIMITED, 64);
	pid_t broker = spawn();
	if (broker == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
			struct k2k_registry *own;
			pid_t grandchild;

			assert_int_equal(k2k_registry_close(&reg), K2K_EFORKED);
			options.flags = K2K_OPEN_CALLER_FORK_HOOKS;
			assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &own),
			                 0);
			/* Closing the only open handle leaves the hooks to the program. */
			urcu_bp_before_fork();
			grandchild = fork();
			if (grandchild == 0) {
				urcu_bp_after_fork_child();
				child_works(name, own);
				_exit(0);
			}
			urcu_bp_after_fork_parent();
			wait_for_child(grandchild, 1);
			assert_int_equal(k2k_registry_close(&own), 0);
			_exit(0);
		}
		wait_for_child(child, 0);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	spawn_wait(broker);
	close_and_destroy(name, &admin);
}
