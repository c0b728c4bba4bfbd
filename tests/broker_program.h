/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * broker_program.h - k2k-broker as a process, its registry and its socket
 *
 * K2K_BROKER is the path of the program.
 */
#ifndef K2K_TESTS_BROKER_PROGRAM_H
#define K2K_TESTS_BROKER_PROGRAM_H

#include "harness.h"

#include <fcntl.h>
#include <k2k/registry.h>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { PATIENCE_MS = 20000 };

HARNESS_USED static const char *registry;
HARNESS_USED static struct k2k_registry *admin;

HARNESS_USED static void set_up(void)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	signal(SIGPIPE, SIG_IGN);
	if (!registry)
		registry = fresh_registry();
	options.max_tenants = options.max_engagements = options.max_kernels = options.max_budgets =
		16;
	options.max_audit_events = 64;
	assert_int_equal(k2k_registry_create(registry, &options, &admin), 0);
}

HARNESS_USED static void tear_down(void)
{
	assert_int_equal(k2k_registry_close(&admin), 0);
	assert_int_equal(k2k_registry_destroy(registry, 0, NULL), 0);
}

HARNESS_USED static void tenant(k2k_tenant_id id, uint64_t rate, uint32_t kernels)
{
	struct k2k_quota quota = K2K_QUOTA_STANDARD;

	quota.max_messages_per_sec = rate;
	quota.max_concurrent_kernels = kernels;
	assert_int_equal(k2k_tenant_register(admin, id, &quota), 0);
}

HARNESS_USED static struct k2k_tenant_info info_of(k2k_tenant_id id)
{
	struct k2k_tenant_info info = { .size = sizeof info };

	assert_int_equal(k2k_tenant_get(admin, id, &info), 0);
	return info;
}

HARNESS_USED static uint64_t gpu_ns_of(k2k_tenant_id id, uint64_t engagement)
{
	struct k2k_audit_tag tag = { 0, engagement };
	uint64_t ns;

	assert_int_equal(k2k_usage_engagement_for(admin, id, tag, &ns), 0);
	return ns;
}

HARNESS_USED static uint32_t brokers(void)
{
	struct k2k_registry_info info = { .size = sizeof info };

	assert_int_equal(k2k_registry_info(admin, &info), 0);
	return info.brokers;
}

/* ---- the program --------------------------------------------------------------- */

struct program {
	pid_t pid;
	/* Its standard input and output; if err < 0, `out` carries standard error too. */
	int in, out;
	int err;
};

HARNESS_USED static struct program start_with(const char *const *arguments, int apart)
{
	const char *argv[16] = { K2K_BROKER, "-r", registry };
	struct program program = { .err = -1 };
	int in[2], out[2], err[2] = { -1, -1 };

	for (int i = 0; arguments && arguments[i]; i++)
		argv[3 + i] = arguments[i];
	assert_true(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 &&
	            (!apart || pipe2(err, O_CLOEXEC) == 0));
	program.pid = spawn();
	if (program.pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		dup2(apart ? err[1] : out[1], STDERR_FILENO);
		execv(K2K_BROKER, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	if (apart)
		close(err[1]);
	program.in = in[1];
	program.out = out[0];
	program.err = err[0];
	return program;
}

HARNESS_USED static struct program start(const char *const *arguments)
{
	return start_with(arguments, 0);
}

HARNESS_USED static struct program start_apart(const char *const *arguments)
{
	return start_with(arguments, 1);
}

#define START(...) start((const char *const[]){ __VA_ARGS__, NULL })

HARNESS_USED static void send_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		assert_true(n > 0);
		bytes += n;
		size -= (size_t)n;
	}
}

HARNESS_USED static struct {
	char bytes[65536];
	size_t start, end;
} buffers[64];

/*
 * Returns one line without its newline, or null at the end of file; valid until the next call with
 * this fd.
 */
HARNESS_USED static const char *next_line(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	assert_true(fd < 64);
	for (;;) {
		char *bytes = buffers[fd].bytes, *start = bytes + buffers[fd].start;
		size_t have = buffers[fd].end - buffers[fd].start;
		char *end = memchr(start, '\n', have);
		ssize_t n;

		if (end) {
			*end = '\0';
			buffers[fd].start += (size_t)(end - start) + 1;
			return start;
		}
		memmove(bytes, start, have);
		buffers[fd].start = 0;
		buffers[fd].end = have;
		assert_true(have < sizeof buffers[fd].bytes);
		assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
		n = read(fd, bytes + have, sizeof buffers[fd].bytes - have);
		if (n <= 0)
			return NULL;
		buffers[fd].end += (size_t)n;
	}
}

HARNESS_USED static void send_text(int fd, const char *text)
{
	send_all(fd, text, strlen(text));
}

HARNESS_USED static void say(int fd, const char *line)
{
	send_text(fd, line);
	send_text(fd, "\n");
}

HARNESS_USED static const char *ask(struct program *program, const char *line)
{
	say(program->in, line);
	return next_line(program->out);
}

HARNESS_USED static int finish(struct program *program)
{
	int status;

	if (program->in >= 0)
		close(program->in);
	assert_true(waitpid(program->pid, &status, 0) == program->pid);
	close(program->out);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

HARNESS_USED static struct sockaddr_un address;

HARNESS_USED static const char *socket_path(void)
{
	address.sun_family = AF_UNIX;
	snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", test_dir());
	return address.sun_path;
}

HARNESS_USED static int try_connect(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && fd < 64);
	/* an earlier connection of this number may not have been read to its end */
	buffers[fd].start = buffers[fd].end = 0;
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	close(fd);
	return -1;
}

HARNESS_USED static int connect_client(void)
{
	int fd = -1;

	WAIT_UNTIL((fd = try_connect()) >= 0, PATIENCE_S);
	return fd;
}

HARNESS_USED static const char *ask_fd(int fd, const char *line)
{
	say(fd, line);
	return next_line(fd);
}

HARNESS_USED static int stop(struct program *program)
{
	assert_int_equal(kill(program->pid, SIGTERM), 0);
	return finish(program);
}

#endif
