/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * harness.h - what cmocka lacks: a process for each test, gates, and names that are removed
 *
 * A program is one file of TEST(name) { ... }; an argument selects tests by name (`*`, `?` match).
 * Exit status: 1 if a test failed, 77 if all were skipped. K2K_TEST_SKIP names tests to skip,
 * K2K_TEST_TIMEOUT gives the seconds of each. cmocka leaves a failed test by a jump, which threads
 * and forked children can't take: CMOCKA_TEST_ABORT=1 aborts them, spawn_wait() passes it on.
 */
#ifndef K2K_TESTS_HARNESS_H
#define K2K_TESTS_HARNESS_H

#include "assertions.h"
#ifndef HARNESS_TIMEOUT_S
#define HARNESS_TIMEOUT_S 200
#endif
enum { HARNESS_SKIPPED = 77 };

static struct CMUnitTest harness_tests[100]; /* cmocka ignores those without a name */
static size_t harness_count, harness_ran, harness_skipped;
static struct sigaction harness_actions[SIGSYS + 1]; /* before cmocka caught crashes */
static pid_t harness_runner, harness_pid; /* harness_pid: of the test, in its children too */
#define TEST(test_name)                                                                           \
	static void test_name(void **);                                                           \
	__attribute__((constructor)) static void harness_add_##test_name(void)                    \
	{                                                                                         \
		static struct CMUnitTest test = cmocka_unit_test(test_name);                      \
		harness_tests[harness_count++] = (struct CMUnitTest){ test.name, harness_run,     \
			                                              NULL, harness_end, &test }; \
	}                                                                                         \
	static void test_name(void **harness_state HARNESS_USED)

/* A registry's name that nothing has yet, another one at each call; the last 200 stay valid. */
HARNESS_USED static const char *fresh_registry(void)
{
	static char names[200][64];
	static unsigned int count;
	char *name = names[count % 200], *end;
	do /* not what a killed run of the same pid has left */
		end = name +
		      sprintf(name, "/dev/shm/k2k.test-%ld-%u.defs", (long)harness_pid, count++);
	while (access(name, F_OK) == 0);
	end[-(int)strlen(".defs")] = '\0';
	return name + strlen("/dev/shm/k2k.");
}

/* A directory of this test's own, made at the first call. */
HARNESS_USED static const char *test_dir(void)
{
	static char path[64];
	snprintf(path, sizeof path, "/tmp/k2k-test-%ld", (long)harness_pid);
	assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
	return path;
}

/* fork() whose child dies with its parent. */
HARNESS_USED static pid_t spawn(void)
{
	pid_t parent = getpid(), pid;
	fflush(NULL);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent))
		_exit(1);
	return pid;
}
/* Macros, so that a failure names the line of the test. */
HARNESS_USED static int spawn_status(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}
#define spawn_wait(pid) assert_int_equal(spawn_status(pid), 0)
/* What the dead held is free once the kernel has taken its memory apart: WAIT_UNTIL it is. */
#define spawn_kill(pid)                           \
	(assert_int_equal(kill(pid, SIGKILL), 0), \
	 assert_in_set((uintmax_t)spawn_status(pid), ((uintmax_t[]){ 0, SIGKILL }), 2))

/* A gate between processes, made before spawn(): gate_wait() returns once for each gate_open(). */
struct gate {
	int fd[2];
};
#define gate_make(gate) assert_int_equal(pipe((gate)->fd), 0)
#define gate_open(gate) assert_int_equal(write((gate)->fd[1], "", 1), 1)
#define gate_wait(gate) assert_int_equal(read((gate)->fd[0], &(char){ 0 }, 1), 1)

static void harness_alarm(int number HARNESS_USED)
{
	kill(-harness_pid, SIGKILL);
}
HARNESS_USED static void harness_run(void **state)
{
	const char *seconds = getenv("K2K_TEST_TIMEOUT"), *skips = getenv("K2K_TEST_SKIP");
	const struct CMUnitTest *test = *state;
	char *list = strdupa(skips ? skips : ""), names[100];
	int status;

	harness_ran++;
	for (char *word = strtok(list, " \t\n"); word; word = strtok(NULL, " \t\n"))
		if (strcmp(word, test->name) == 0 && ++harness_skipped)
			skip_msg("K2K_TEST_SKIP names %s", word);
	if ((harness_pid = spawn()) == 0) {
		harness_pid = getpid();
		setpgid(0, 0);
		for (int i = 1; i <= SIGSYS; i++)
			sigaction(i, &harness_actions[i], NULL);
		setenv("CMOCKA_TEST_ABORT", "1", 1);
		test->test_func(state);
		exit(0); /* not _exit: sanitizers report at exit */
	}
	setpgid(harness_pid, harness_pid);
	alarm(seconds ? (unsigned int)atoi(seconds) : HARNESS_TIMEOUT_S);
	while (waitid(P_PID, (id_t)harness_pid, NULL, WEXITED | WNOWAIT) != 0)
		assert_int_equal(errno, EINTR);
	if (alarm(0) == 0)
		print_error("\nkilled, after its time was over\n");
	kill(-harness_pid, SIGKILL); /* its zombie still holds the group's number */
	waitpid(harness_pid, &status, 0);
	snprintf(names, sizeof names, "rm -rf /tmp/k2k-test-%1$d /dev/shm/k2k.test-%1$d-*",
	         harness_pid);
	assert_int_equal(system(names), 0);
	if (status == HARNESS_SKIPPED << 8 && ++harness_skipped)
		skip();
	if (status != 0)
		fail_msg("\n%s ended with wait status %#x", test->name, (unsigned int)status);
}
/* skip() in the process of a test jumps to the end of the test as well. */
HARNESS_USED static int harness_end(void **state HARNESS_USED)
{
	return getpid() == harness_runner ? 0 : (_exit(HARNESS_SKIPPED), 0);
}

#ifndef HARNESS_OWN_MAIN
#define harness_main main
#endif
int harness_main(int argc, char **argv);
int harness_main(int argc, char **argv)
{
	harness_runner = getpid();
	signal(SIGHUP, SIG_DFL); /* as if not under nohup(1) */
	for (int i = 1; i <= SIGSYS; i++)
		sigaction(i, NULL, &harness_actions[i]);
	signal(SIGALRM, harness_alarm);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
	int failed = cmocka_run_group_tests_name(argv[0], harness_tests, NULL, NULL);
	return failed || !harness_ran ? 1 : harness_skipped == harness_ran ? HARNESS_SKIPPED : 0;
}
#endif
