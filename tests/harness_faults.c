/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests that fail, each in another way; harness.sh asks what is said of them. */
#define HARNESS_TIMEOUT_S 1
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>

static void *fail_here(void *argument)
{
	assert_int_equal(argument != NULL, 2); /* the thread's line */
	return NULL;
}

TEST(passes)
{
	assert_int_equal(INT64_C(-5), -5);
	assert_int_equal((int)-5, INT64_C(-5));
	assert_int_not_equal(UINT64_C(1) << 63, 0);
}

TEST(fails)
{
	assert_int_equal(-5, -6); /* the test's line */
}

TEST(fails_in_the_upper_half)
{
	assert_int_equal(UINT64_C(0x100000007), 7); /* the upper half's line */
}

TEST(fails_in_a_thread)
{
	pthread_t thread;

	pthread_create(&thread, NULL, fail_here, NULL);
	pthread_join(thread, NULL);
}

TEST(fails_in_a_child)
{
	pid_t pid = spawn();

	if (pid == 0) {
		assert_string_equal("a", "b"); /* the child's line */
		_exit(0);
	}
	spawn_wait(pid); /* the parent's line */
}

TEST(fails_in_a_child_that_is_killed_later)
{
	siginfo_t end;
	pid_t pid = spawn();

	if (pid == 0)
		fail_msg("number %d", 4711); /* the killed child's line */
	waitid(P_PID, (id_t)pid, &end, WEXITED | WNOWAIT);
	spawn_kill(pid); /* the killer's line */
}

TEST(crashes)
{
	raise(SIGSEGV);
}

/* With all signals blocked, and with a child, files and names that must go. */
TEST(hangs)
{
	char path[128];
	sigset_t all;

	snprintf(path, sizeof path, "/dev/shm/k2k.%s.defs", fresh_registry());
	assert_int_not_equal(open(path, O_CREAT | O_RDWR, 0600), -1);
	snprintf(path, sizeof path, "%s/file", test_dir());
	assert_int_not_equal(open(path, O_CREAT | O_RDWR, 0600), -1);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	print_message("# left: %s, processes %d %d\n", path, getpid(), fork());
	for (;;)
		pause();
}

TEST(exits)
{
	exit(3);
}

TEST(skips)
{
	skip_msg("%s", "no reason");
}

TEST(skips_in_a_child)
{
	pid_t pid = spawn();

	if (pid == 0)
		skip();
	spawn_wait(pid);
}
