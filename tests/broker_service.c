/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * broker_service - k2k-broker and its surroundings: signals, its output, its socket's rights, a
 * service manager
 */
#include "broker_program.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* ---- streams ----------------------------------------------------------------------- */

TEST(sighup_ends_a_stream_and_gives_the_slots_back)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = start(NULL);
	assert_contains(ask(&program, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"),
	                "ADDED");
	assert_int_equal(kill(program.pid, SIGHUP), 0);
	assert_int_equal(finish(&program), 0);
	assert_int_equal(info_of(42).kernels, 0);
	assert_int_equal(brokers(), 0);
	tear_down();
}

/* As started by nohup(1). */
TEST(sighup_that_was_ignored_stays_ignored)
{
	set_up();
	signal(SIGHUP, SIG_IGN);
	struct program program = start(NULL);
	signal(SIGHUP, SIG_DFL);
	assert_contains(ask(&program, "{\"stats\":true}"), "stats");
	assert_int_equal(kill(program.pid, SIGHUP), 0);
	assert_contains(ask(&program, "{\"stats\":true}"), "stats");
	assert_int_equal(finish(&program), 0);
	tear_down();
}

/* The reader of the answers leaves while the broker waits for a line, and while it answers. */
TEST(a_closed_output_ends_a_stream_in_order)
{
	set_up();
	tenant(42, 5000, 4);
	for (int busy = 0; busy < 2; busy++) {
		struct program program = start_apart(NULL);
		struct pollfd writable = { .fd = program.in, .events = POLLOUT };

		assert_contains(ask(&program, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"),
		                "ADDED");
		assert_int_equal(fcntl(program.in, F_SETFL, O_NONBLOCK), 0);
		while (busy && poll(&writable, 1, 500) == 1)
			if (write(program.in, "{\"send\":\"a\",\"to\":\"b\"}\n", 22) < 0)
				assert_int_equal(errno, EAGAIN);
		close(program.out);
		program.out = program.err;
		assert_string_equal(next_line(program.err),
		                    "k2k-broker: standard output: Broken pipe");
		assert_int_equal(finish(&program), 10);
		assert_int_equal(info_of(42).kernels, 0);
		assert_int_equal(brokers(), 0);
	}
	tear_down();
}

/*
 * The descriptors are closed from the beginning: no descriptor of another file takes their place.
 */
TEST(closed_standard_descriptors_are_errors_and_nothing_else)
{
	char file[128];

	set_up();
	tenant(42, 5000, 4);
	snprintf(file, sizeof file, "%s/lines", test_dir());
	int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	send_text(fd, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}\n");
	close(fd);
	for (int closed = 1; closed < 8; closed++) {
		pid_t pid = spawn();
		int status;

		if (pid == 0) {
			for (int i = 0; i < 3; i++) {
				if (closed & 1 << i)
					close(i);
				else if (i > 0)
					dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), i);
			}
			execl(K2K_BROKER, K2K_BROKER, "-r", registry, file, (char *)NULL);
			_exit(127);
		}
		assert_true(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), closed & 2 ? 10 : 0);
		assert_int_equal(brokers(), 0);
	}
	assert_int_equal(info_of(42).kernels, 0);
	struct program program = START(file);
	assert_contains(next_line(program.out), "ADDED"); /* The registry is unharmed. */
	assert_int_equal(finish(&program), 0);
	tear_down();
}

TEST(a_file_that_may_not_grow_ends_a_stream_in_order)
{
	struct rlimit none = { 0, 0 };
	char file[128];
	int status;

	set_up();
	snprintf(file, sizeof file, "%s/answers", test_dir());
	int in[2];
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	pid_t pid = spawn();
	if (pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600), STDOUT_FILENO);
		setrlimit(RLIMIT_FSIZE, &none);
		execl(K2K_BROKER, K2K_BROKER, "-r", registry, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	send_text(in[1], "{\"stats\":true}\n");
	assert_true(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 10);
	assert_int_equal(brokers(), 0);
	close(in[1]);
	tear_down();
}

TEST(an_id_stands_in_the_answer_as_it_was_given)
{
	set_up();
	struct program program = start(NULL);
	assert_contains(ask(&program, "{\"id\":\"r/1\",\"send\":\"a\",\"to\":\"b\"}"),
	                "{\"line\":\"1\",\"id\":\"r/1\",\"send\":\"a\"");
	assert_contains(
		ask(&program, "{\"kernel\":\"remove\",\"name\":\"a\",\"id\":18446744073709551616}"),
		"{\"line\":\"2\",\"id\":18446744073709551616,\"kernel\":\"remove\"");
	assert_contains(ask(&program, "{\"stats\":true,\"id\":1.50}"),
	                "{\"line\":\"3\",\"id\":1.50,\"stats\":true");
	assert_contains(ask(&program, "{\"id\":-0,\"send\":\"a\"}"),
	                "{\"line\":\"4\",\"id\":-0,\"column\":20,\"error\"");
	assert_contains(ask(&program, "{\"send\":\"a\",\"to\":\"b\"}"),
	                "{\"line\":\"5\",\"send\":\"a\"");
	assert_int_equal(finish(&program), 0);
	tear_down();
}

/* ---- sockets ----------------------------------------------------------------------- */

TEST(sighup_removes_the_socket_and_gives_the_slots_back)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = START("--listen", socket_path());
	int client = connect_client();
	assert_contains(ask_fd(client, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"),
	                "ADDED");
	assert_int_equal(kill(program.pid, SIGHUP), 0);
	assert_int_equal(finish(&program), 0);
	assert_int_not_equal(access(address.sun_path, F_OK), 0);
	assert_int_equal(info_of(42).kernels, 0);
	assert_int_equal(brokers(), 0);
	tear_down();
}

TEST(a_socket_has_the_mode_and_the_group_that_were_asked_for)
{
	static const char *const modes[] = { "0600", "660", "0777", "0000" };
	struct stat st;

	set_up();
	umask(027);
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
		struct program program = START("--listen", socket_path(), "--mode", modes[i],
		                               "--group", geteuid() ? "0" : "4242");

		if (geteuid()) {
			assert_contains(next_line(program.out), "Operation not permitted");
			assert_int_equal(finish(&program), 7);
			assert_int_not_equal(access(address.sun_path, F_OK), 0);
			continue;
		}
		close(connect_client());
		assert_int_equal(stat(address.sun_path, &st), 0);
		assert_int_equal(st.st_mode & 07777, strtoul(modes[i], NULL, 8));
		assert_int_equal(st.st_gid, 4242);
		assert_int_equal(stop(&program), 0);
	}
	struct program program = START("--listen", socket_path());
	WAIT_UNTIL(stat(address.sun_path, &st) == 0, PATIENCE_S);
	assert_int_equal(st.st_mode & 07777, 0750);
	close(connect_client());
	assert_int_equal(stop(&program), 0);
	static const char *const refused[][2] = {
		{ "--mode", "" },
		{ "--mode", "rw" },
		{ "--mode", "1777" },
		{ "--mode", "00600" },
		{ "--mode", "088" },
		{ "--group", "" },
		{ "--group", "no-such-group" },
		{ "--group", "4294967295" },
		{ "--group", "-1" },
	};
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		program = START("--listen", address.sun_path, refused[i][0], refused[i][1]);
		assert_contains(next_line(program.out), refused[i][0]);
		assert_int_equal(finish(&program), 2);
	}
	program = START("--mode", "0600");
	assert_contains(next_line(program.out), "need --listen");
	assert_int_equal(finish(&program), 2);
	tear_down();
}

/* ---- started by a service manager ---------------------------------------------------- */

/* Starts a broker that is told of so many inherited sockets, of which fd is the first. */
static struct program start_activated(int fd, const char *fds, const char *const *arguments)
{
	const char *argv[16] = { K2K_BROKER, "-r", registry };
	struct program program = { .in = -1, .err = -1 };
	int out[2];

	for (int i = 0; arguments && arguments[i]; i++)
		argv[3 + i] = arguments[i];
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	program.pid = spawn();
	if (program.pid == 0) {
		char pid[24];

		snprintf(pid, sizeof pid, "%ld", (long)getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", fds, 1);
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		if (fd == 3)
			fcntl(fd, F_SETFD, 0);
		else
			dup2(fd, 3);
		execv(K2K_BROKER, (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(out[1]);
	program.out = out[0];
	return program;
}

static int listening_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	socket_path();
	assert_true(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
	            listen(fd, 10) == 0);
	return fd;
}

TEST(a_socket_that_is_handed_over_is_served_and_left_for_the_next)
{
	set_up();
	tenant(42, 5000, 4);
	int listening = listening_socket();
	for (int turn = 0; turn < 2; turn++) {
		int client = connect_client(); /* before a broker runs */
		struct program program = start_activated(listening, "1", NULL);

		assert_contains(ask_fd(client, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"),
		                "ADDED");
		assert_int_equal(stop(&program), 0);
		assert_int_equal(info_of(42).kernels, 0);
		assert_int_equal(access(address.sun_path, F_OK), 0);
		close(client);
	}
	/* The variables are for another process. */
	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "1", 1);
	struct program program = start(NULL);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	assert_contains(ask(&program, "{\"stats\":true}"), "stats");
	assert_int_equal(finish(&program), 0);
	close(listening);
	tear_down();
}

TEST(what_is_handed_over_and_no_listening_socket_is_refused)
{
	int pair[2];

	set_up();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	int listening = listening_socket(), file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	const struct {
		int fd;
		const char *count, *text, *argument;
	} cases[] = {
		{ pair[0], "1", "not a listening", NULL },
		{ file, "1", "not a listening", NULL },
		{ listening, "2", "more than one", NULL },
		{ listening, "1", "passed a socket already", "/dev/null" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct program program = start_activated(
			cases[i].fd, cases[i].count,
			(const char *const[]){ cases[i].argument, NULL });

		assert_contains(next_line(program.out), cases[i].text);
		assert_int_equal(finish(&program), 2);
	}
	tear_down();
}

static const char *notified(int fd)
{
	static char text[64];
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	ssize_t n = poll(&ready, 1, PATIENCE_MS) == 1 ? recv(fd, text, sizeof text - 1, 0) : 0;

	text[n > 0 ? n : 0] = '\0';
	return text;
}

TEST(the_service_manager_is_told_when_it_serves_and_when_it_ends)
{
	set_up();
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un manager = { .sun_family = AF_UNIX };
	snprintf(manager.sun_path, sizeof manager.sun_path, "%s/notify", test_dir());
	assert_int_equal(bind(fd, (struct sockaddr *)&manager, sizeof manager), 0);
	setenv("NOTIFY_SOCKET", manager.sun_path, 1);
	struct program program = START("--listen", socket_path());
	unsetenv("NOTIFY_SOCKET");
	assert_string_equal(notified(fd), "READY=1");
	int client = try_connect(); /* READY=1 means that clients can connect */
	assert_true(client >= 0);
	assert_int_equal(brokers(), 1);
	assert_int_equal(stop(&program), 0);
	assert_string_equal(notified(fd), "STOPPING=1");
	tear_down();
}
