/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * unit_assertions - builds without NDEBUG abort if the library breaks one of its own rules
 *
 * Each test breaks one rule in a child process, which must abort. Builds with NDEBUG skip these
 * tests.
 */
#include "harness.h"
#include "handle.h"

#include <pthread.h>
#include <sys/resource.h>

static struct k2k_registry *open_admin(void)
{
	struct k2k_registry *admin;

	assert_int_equal(k2k_registry_create(fresh_registry(), NULL, &admin), 0);
	return admin;
}

/* Runs `break_rule` in a child, which must abort with the assertion on `condition`. */
static void expect_abort(void (*break_rule)(void), const char *condition)
{
	char path[100], message[1000] = "";
	int status;
	FILE *file;
	pid_t pid;

#ifdef NDEBUG
	skip_msg("built with NDEBUG");
#endif
	snprintf(path, sizeof path, "%s/stderr", test_dir());
	pid = spawn();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		if (freopen(path, "w", stderr))
			break_rule();
		_exit(0);
	}
	status = spawn_status(pid);
	file = fopen(path, "r");
	assert_non_null(file);
	message[fread(message, 1, sizeof(message) - 1, file)] = '\0';
	fclose(file);
	assert_contains(message, condition);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void wait_for_readers_as_a_reader(void)
{
	assert_non_null(k2k_thread_get());
	k2k_read_lock();
	k2k_rcu_synchronize();
}

TEST(a_reader_that_waits_for_all_readers_aborts)
{
	expect_abort(wait_for_readers_as_a_reader, "!k2k_in_section()");
}

static void read_outside_of_a_section(void)
{
	k2k_assert_in_section();
}

TEST(a_read_outside_of_a_read_section_aborts)
{
	expect_abort(read_outside_of_a_section, "k2k_in_section()");
}

static void change_without_a_turn(void)
{
	k2k_writer_begin(&open_admin()->writer, K2K_OP_REGISTER);
}

TEST(a_change_without_the_writers_lock_aborts)
{
	expect_abort(change_without_a_turn, "->turn == &k2k_thread_self");
}

static void *begin_a_change(void *admin)
{
	k2k_writer_begin(&((struct k2k_registry *)admin)->writer, K2K_OP_REGISTER);
	return NULL;
}

static void change_in_the_turn_of_another_thread(void)
{
	struct k2k_registry *admin = open_admin();
	pthread_t thread;

	assert_int_equal(k2k_batch_begin(admin), 0);
	assert_int_equal(pthread_create(&thread, NULL, begin_a_change, admin), 0);
	pthread_join(thread, NULL);
}

static void change_in_the_own_turn(void)
{
	struct k2k_registry *admin = open_admin();

	assert_int_equal(k2k_batch_begin(admin), 0);
	begin_a_change(admin); /* allowed: it is the batch's own thread */
	k2k_writer_end(&admin->writer);
	assert_int_equal(k2k_batch_end(admin), 0);
}

TEST(a_change_in_the_turn_of_another_thread_aborts)
{
	/* in a child too: the thread sanitizer follows no thread from a parent into its child */
	pid_t pid = spawn();

	if (pid == 0) {
		change_in_the_own_turn();
		_exit(0);
	}
	spawn_wait(pid);
	expect_abort(change_in_the_turn_of_another_thread, "->turn == &k2k_thread_self");
}

static void lock_outside_of_the_agent(void)
{
	struct k2k_lock lock;

	k2k_lock_try(&open_admin()->defs, K2K_LOCK_BYTE_REMOVER, &lock);
}

TEST(a_descriptor_opened_outside_of_the_agent_aborts)
{
	expect_abort(lock_outside_of_the_agent, "pthread_self()");
}

static void write_without_the_mutex(void)
{
	k2k_assert_locked(&open_admin()->mutex);
}

TEST(a_write_without_the_handles_mutex_aborts)
{
	expect_abort(write_without_the_mutex, "pthread_mutex_trylock(");
}
