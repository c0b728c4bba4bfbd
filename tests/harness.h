/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * harness.h - what every test program here is made of
 *
 * One program is one file: include this header once, write tests, no main().
 *
 *	TEST(a_second_register_of_an_id_fails)
 *	{
 *		const char *name = fresh_registry();
 *		CHECK(k2k_registry_create(name, NULL, NULL) == 0);
 *		CHECK_EQ(used, 5);
 *	}
 *
 * Run without arguments a program runs all its tests in turn, else those that
 * are named; --list names them. It prints "ok NAME", "not ok NAME", or
 * "ok NAME # skip WHY", and ends with 0, with 1 where one failed, with 77 where
 * all were skipped (ctest: SKIP_RETURN_CODE 77).
 *
 * Each test runs in a process of its own, so a crash or a hang costs one test.
 * When it has ended, its process group is killed, and its shared-memory objects
 * and its directory are removed. K2K_TEST_FORK=0 runs the named tests in the
 * first process, for a debugger. K2K_TEST_TIMEOUT sets the seconds one test may
 * take (60; a file may #define HARNESS_TIMEOUT_S before the include).
 * K2K_TEST_SKIP names tests, with spaces between them, that can't work where they
 * are run (under an emulator, say): they are skipped, and say so.
 *
 * A failed CHECK prints where and ends its process, also in a forked child and
 * in any thread; spawn_wait() carries the failure to the test.
 */
#ifndef K2K_TESTS_HARNESS_H
#define K2K_TESTS_HARNESS_H

#ifndef _GNU_SOURCE
#error "compile with -D_GNU_SOURCE or define it before the first include"
#endif

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HARNESS_USED __attribute__((unused))
#ifndef HARNESS_TIMEOUT_S
#define HARNESS_TIMEOUT_S 60
#endif
enum { HARNESS_SKIPPED = 77 };

/* ---- tests and checks ---------------------------------------------------- */

struct harness_test {
	const char *name;
	void (*run)(void);
	struct harness_test *next;
};
static struct harness_test *harness_first, **harness_last = &harness_first;
static const char *harness_current = "(no test)";

#define TEST(test_name)                                                                     \
	static void test_name(void);                                                        \
	static struct harness_test harness_test_##test_name = { #test_name, test_name, NULL }; \
	__attribute__((constructor)) static void harness_add_##test_name(void)              \
	{                                                                                   \
		*harness_last = &harness_test_##test_name;                                  \
		harness_last = &harness_test_##test_name.next;                              \
	}                                                                                   \
	static void test_name(void)

__attribute__((format(printf, 3, 4), noreturn)) HARNESS_USED static void harness_fail(const char *file, int line,
                                                                                     const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	fprintf(stderr, "# %s: %s:%d: %s\n", harness_current, file, line, text);
	fflush(NULL);
	_exit(1);
}

#define FAIL(...) harness_fail(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(condition) ((condition) ? (void)0 : FAIL("failed: %s (errno: %s)", #condition, strerror(errno)))

/* Numbers up to 64 bits; negative codes print as such. */
#define CHECK_EQ(found, expected)                                                                        \
	do {                                                                                             \
		uint64_t harness_f = (uint64_t)(found), harness_e = (uint64_t)(expected);                \
		if (harness_f != harness_e)                                                              \
			FAIL("%s is %" PRIu64 " (%" PRId64 "), expected %s = %" PRIu64 " (%" PRId64 ")", \
			     #found, harness_f, (int64_t)harness_f, #expected, harness_e,                \
			     (int64_t)harness_e);                                                        \
	} while (0)

#define CHECK_STR(found, expected)                                                              \
	do {                                                                                    \
		const char *harness_f = (found), *harness_e = (expected);                       \
		if (!harness_f || strcmp(harness_f, harness_e) != 0)                            \
			FAIL("%s is \"%s\", expected \"%s\"", #found, harness_f ? harness_f : "(null)", harness_e); \
	} while (0)

/* `text` contains `part`. */
#define CHECK_HAS(text, part)                                                                   \
	do {                                                                                    \
		const char *harness_t = (text), *harness_p = (part);                            \
		if (!harness_t || !strstr(harness_t, harness_p))                                \
			FAIL("%s lacks \"%s\": %s", #text, harness_p, harness_t ? harness_t : "(null)"); \
	} while (0)

#define SKIP(why)                                                    \
	do {                                                         \
		printf("ok %s # skip %s\n", harness_current, (why)); \
		fflush(NULL);                                        \
		_exit(HARNESS_SKIPPED);                              \
	} while (0)

/* ---- time ---------------------------------------------------------------- */

HARNESS_USED static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* For what gives no event to wait for: looks every millisecond, fails after `seconds`. */
#define WAIT_UNTIL(condition, seconds)                                                      \
	do {                                                                                \
		uint64_t harness_end = now_ns() + (uint64_t)(seconds)*1000000000u;          \
		while (!(condition)) {                                                      \
			if (now_ns() > harness_end)                                         \
				FAIL("not within %d s: %s", (int)(seconds), #condition);    \
			nanosleep(&(struct timespec){ 0, 1000000 }, NULL);                  \
		}                                                                           \
	} while (0)

/* ---- names: unique to this test's process, removed after it --------------- */

HARNESS_USED static pid_t harness_pid;     /* of the test, in its children too */

/* A registry's name that nothing has yet, another one at each call; valid until the process ends. */
HARNESS_USED static const char *fresh_registry(void)
{
	static struct harness_name {
		struct harness_name *before;     /* none is lost: a leak checker has nothing to say */
		char text[64];
	} *newest;
	static int count;
	struct harness_name *name = malloc(sizeof *name);

	CHECK(name != NULL);
	name->before = newest;
	newest = name;
	snprintf(name->text, sizeof name->text, "test-%ld-%d", (long)harness_pid, ++count);
	return name->text;
}

/* A directory of this test's own, made at the first call. */
HARNESS_USED static const char *test_dir(void)
{
	static char path[64];

	if (!path[0])
		snprintf(path, sizeof path, "/tmp/k2k-test-%ld", (long)harness_pid);
	CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
	return path;
}

HARNESS_USED static int harness_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

HARNESS_USED static void harness_cleanup(pid_t pid)
{
	char prefix[64], path[512];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof path, "/tmp/k2k-test-%ld", (long)pid);
	nftw(path, harness_remove, 16, FTW_DEPTH | FTW_PHYS);
	snprintf(prefix, sizeof prefix, "k2k.test-%ld-", (long)pid);
	dir = opendir("/dev/shm");
	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(path, sizeof path, "/dev/shm/%s", entry->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
}

/* ---- processes ------------------------------------------------------------ */

/*
 * fork() whose child dies with its parent. The library must not be called in a
 * forked child of a process with threads (a BROKER handle has one): spawn
 * first, open then.
 */
HARNESS_USED static pid_t spawn(void)
{
	pid_t parent = getpid(), pid;

	fflush(NULL);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

/* Waits for a child that must end with exit status 0. */
HARNESS_USED static void spawn_wait(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFSIGNALED(status))
		FAIL("child %ld was killed by signal %d", (long)pid, WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		FAIL("child %ld ended with %d", (long)pid, WEXITSTATUS(status));
}

/* SIGKILL and reap. What the dead held is free once the kernel has taken its memory apart: WAIT_UNTIL that is seen. */
HARNESS_USED static void spawn_kill(pid_t pid)
{
	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(waitpid(pid, NULL, 0) == pid);
}

/* A gate between processes, made before spawn(): gate_wait() returns once for each gate_open(). */
struct gate {
	int fd[2];
};

HARNESS_USED static void gate_make(struct gate *gate)
{
	CHECK(pipe(gate->fd) == 0);
}

HARNESS_USED static void gate_open(struct gate *gate)
{
	CHECK(write(gate->fd[1], "", 1) == 1);
}

HARNESS_USED static void gate_wait(struct gate *gate)
{
	ssize_t n;
	char byte;

	do
		n = read(gate->fd[0], &byte, 1);
	while (n < 0 && errno == EINTR);
	CHECK(n == 1);
}

/* ---- main ------------------------------------------------------------------ */

static volatile pid_t harness_running;

static void harness_alarm(int number)
{
	(void)number;
	if (harness_running > 0)
		kill(-harness_running, SIGKILL);
}

/* Whether `name` is one of the words of `list`, which may be null. */
static int harness_listed(const char *list, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = list; at && (at = strstr(at, name)); at += length)
		if ((at == list || isspace((unsigned char)at[-1])) && (!at[length] || isspace((unsigned char)at[length])))
			return 1;
	return 0;
}

static int harness_run(const struct harness_test *test, unsigned timeout_s, int may_fork)
{
	pid_t parent = getpid(), pid;
	int status;

	harness_current = test->name;
	fflush(NULL);
	if (harness_listed(getenv("K2K_TEST_SKIP"), test->name)) {
		printf("ok %s # skip named in K2K_TEST_SKIP\n", test->name);
		return HARNESS_SKIPPED;
	}
	if (!may_fork) {
		harness_pid = parent;
		test->run();
		printf("ok %s\n", test->name);
		harness_cleanup(parent);
		return 0;
	}
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(1);
	}
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		setpgid(0, 0);
		harness_pid = getpid();
		test->run();
		exit(0);     /* not _exit: sanitizers and coverage report at exit */
	}
	setpgid(pid, pid);
	harness_running = pid;
	alarm(timeout_s);
	siginfo_t info;
	while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
	int timed_out = info.si_code == CLD_KILLED && info.si_status == SIGKILL && alarm(0) == 0;
	alarm(0);
	kill(-pid, SIGKILL);     /* what the test left behind; its own zombie still holds the group's number */
	harness_running = 0;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	harness_cleanup(pid);
	if (status == HARNESS_SKIPPED && info.si_code == CLD_EXITED)
		return HARNESS_SKIPPED;
	if (status == 0)
		printf("ok %s\n", test->name);
	else if (timed_out)
		printf("not ok %s # more than %u s\n", test->name, timeout_s);
	else if (info.si_code == CLD_EXITED)
		printf("not ok %s\n", test->name);
	else
		printf("not ok %s # signal %d\n", test->name, info.si_status);
	fflush(stdout);
	return status != 0;
}

/* A program with arguments of its own defines HARNESS_OWN_MAIN, and calls this without them. */
#ifdef HARNESS_OWN_MAIN
static int harness_main(int argc, char **argv)
#else
int main(int argc, char **argv)
#endif
{
	const char *no_fork = getenv("K2K_TEST_FORK"), *seconds = getenv("K2K_TEST_TIMEOUT");
	unsigned timeout_s = seconds ? (unsigned)atoi(seconds) : HARNESS_TIMEOUT_S;
	int may_fork = !(no_fork && strcmp(no_fork, "0") == 0);
	int ran = 0, failed = 0, skipped = 0;
	struct sigaction action = { .sa_handler = harness_alarm };

	sigaction(SIGALRM, &action, NULL);
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		for (struct harness_test *test = harness_first; test; test = test->next)
			puts(test->name);
		return 0;
	}
	for (int i = 1; i < argc || (i == 1 && argc == 1); i++) {
		int found = 0;

		for (struct harness_test *test = harness_first; test; test = test->next) {
			if (argc > 1 && strcmp(argv[i], test->name) != 0)
				continue;
			int status = harness_run(test, timeout_s, may_fork);
			found = 1;
			ran++;
			skipped += status == HARNESS_SKIPPED;
			failed += status != 0 && status != HARNESS_SKIPPED;
		}
		if (!found) {
			printf("not ok %s # no such test\n", argc > 1 ? argv[i] : "(none)");
			failed++;
		}
	}
	if (failed)
		printf("# %d of %d failed\n", failed, ran);
	return failed ? 1 : ran && ran == skipped ? HARNESS_SKIPPED : 0;
}

#endif
