/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * harness.h - cmocka tests, each in a process of its own
 *
 * A program is one file of TEST(name) { ... }, its tests are one group. An argument selects tests by
 * name (`*` and `?` match). Exit status: 1 if a test failed, 77 if all were skipped. The output is TAP
 * unless CMOCKA_MESSAGE_OUTPUT names another format. K2K_TEST_TIMEOUT: the seconds that a test may
 * take. K2K_TEST_SKIP: tests to skip.
 *
 * cmocka leaves a failed test by a jump, which a thread or a forked child can't take. So the process
 * of a test runs with CMOCKA_TEST_ABORT=1: a failed assertion prints file and line and aborts the
 * process it is in; spawn_wait() passes that on. What a test leaves running or named is removed.
 */
#ifndef K2K_TESTS_HARNESS_H
#define K2K_TESTS_HARNESS_H

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef HARNESS_TIMEOUT_S
#define HARNESS_TIMEOUT_S 60
#endif
#define HARNESS_USED __attribute__((unused))
enum { HARNESS_SKIPPED = 77 };

struct harness_test {
	const char *name;
	CMUnitTestFunction run;
};
static struct CMUnitTest harness_tests[100]; /* cmocka ignores those without a name */
static size_t harness_count, harness_ran, harness_skipped;
static pid_t harness_runner, harness_pid; /* harness_pid: of the test, in its children too */
static struct sigaction harness_actions[SIGSYS + 1]; /* before cmocka caught crashes */

#define TEST(test_name)                                                                          \
	static void test_name(void **);                                                          \
	__attribute__((constructor)) static void harness_add_##test_name(void)                   \
	{                                                                                        \
		static const struct harness_test test = { #test_name, test_name };               \
		harness_tests[harness_count++] =                                                 \
			(struct CMUnitTest){ #test_name, harness_run, NULL, harness_end, (void *)&test }; \
	}                                                                                        \
	static void test_name(void **harness_state HARNESS_USED)

/* Behind fail() and skip(); cmocka 1.1.5 does not tell the compiler that neither returns. */
__attribute__((noreturn)) void _fail(const char *file, int line);
__attribute__((noreturn)) void _skip(const char *file, int line);
#define skip_msg(...) (print_message("# " __VA_ARGS__), print_message("\n"), skip())
#define assert_contains(text, part)                                                         \
	do {                                                                                \
		const char *harness_text = (text), *harness_part = (part);                  \
		if (!strstr(harness_text, harness_part))                                    \
			fail_msg("no \"%s\" in %s: %s", harness_part, #text, harness_text); \
	} while (0)

HARNESS_USED static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
/* Looks every millisecond, for what gives no event to wait for. */
#define WAIT_UNTIL(condition, seconds)                                                       \
	do {                                                                                 \
		uint64_t harness_end_ns = now_ns() + (uint64_t)(seconds) * 1000000000u;      \
		for (; !(condition); nanosleep(&(struct timespec){ 0, 1000000 }, NULL))      \
			if (now_ns() > harness_end_ns)                                       \
				fail_msg("not within %d s: %s", (int)(seconds), #condition); \
	} while (0)

/* A registry's name that nothing has yet, another one at each call. It is removed after the test. */
HARNESS_USED static const char *fresh_registry(void)
{
	static char names[200][32];
	static int count;

	assert_true(count < 200);
	snprintf(names[count], sizeof names[0], "test-%ld-%d", (long)harness_pid, count);
	return names[count++];
}

/* A directory of this test's own, made at the first call. It is removed after the test. */
HARNESS_USED static const char *test_dir(void)
{
	static char path[64];

	snprintf(path, sizeof path, "/tmp/k2k-test-%ld", (long)harness_pid);
	assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
	return path;
}

HARNESS_USED static void harness_cleanup(long pid)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf /tmp/k2k-test-%ld /dev/shm/k2k.test-%ld-*", pid, pid);
	assert_int_equal(system(command), 0);
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
/* Waits for a child that must end with exit status 0, or by this signal. */
HARNESS_USED static void spawn_end(pid_t pid, int by)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0 && (!WIFSIGNALED(status) || WTERMSIG(status) != by))
		fail_msg("child %ld ended with wait status %#x", (long)pid, (unsigned int)status);
}
#define spawn_wait(pid) spawn_end(pid, 0)
/* What the dead held is free once the kernel has taken its memory apart: WAIT_UNTIL that is seen. */
#define spawn_kill(pid) (assert_int_equal(kill(pid, SIGKILL), 0), spawn_end(pid, SIGKILL))

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
static void harness_run(void **state)
{
	const char *seconds = getenv("K2K_TEST_TIMEOUT"), *skips = getenv("K2K_TEST_SKIP");
	const struct harness_test *test = *state;
	char *list = strdupa(skips ? skips : "");
	siginfo_t end;
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
		test->run(state);
		exit(0); /* not _exit: sanitizers report at exit */
	}
	setpgid(harness_pid, harness_pid);
	alarm(seconds ? (unsigned int)atoi(seconds) : HARNESS_TIMEOUT_S);
	while (waitid(P_PID, (id_t)harness_pid, &end, WEXITED | WNOWAIT) != 0)
		assert_int_equal(errno, EINTR);
	if (alarm(0) == 0)
		print_error("\nkilled, after its time was over\n");
	kill(-harness_pid, SIGKILL); /* its zombie still holds the group's number */
	waitpid(harness_pid, &status, 0);
	harness_cleanup(harness_pid);
	if (status == HARNESS_SKIPPED << 8 && ++harness_skipped)
		skip();
	if (status != 0)
		fail_msg("\n%s ended with wait status %#x", test->name, (unsigned int)status);
}

/* skip() in the process of a test jumps to the end of the test as well. */
static int harness_end(void **state HARNESS_USED)
{
	if (getpid() != harness_runner)
		_exit(HARNESS_SKIPPED);
	return 0;
}

#ifdef HARNESS_OWN_MAIN
HARNESS_USED static int harness_main(int argc, char **argv)
#else
int main(int argc, char **argv)
#endif
{
	int failed;

	harness_runner = getpid();
	for (int i = 1; i <= SIGSYS; i++)
		sigaction(i, NULL, &harness_actions[i]);
	signal(SIGALRM, harness_alarm);
	cmocka_set_message_output(CM_OUTPUT_TAP);
	cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
	failed = cmocka_run_group_tests_name(argv[0], harness_tests, NULL, NULL);
	return failed || !harness_ran ? 1 : harness_skipped == harness_ran ? HARNESS_SKIPPED : 0;
}

#endif
