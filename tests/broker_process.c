/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * broker_process - k2k-broker as a process: streams, sockets, signals, death
 */
#include "broker_program.h"

#include <dirent.h>
#include <fcntl.h>

/* ---- streams ----------------------------------------------------------------------- */

TEST(malformed_lines_are_answered_with_line_and_column_and_the_rest_goes_on)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = START("-q", "1");
	assert_contains(
		ask(&program, "\r\n\n{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":\"42\"}\r"),
		"{\"line\":\"3\",\"kernel\":\"add\"");
	assert_string_equal(
		ask(&program, "nonsense"),
		"{\"line\":\"4\",\"column\":1,\"error\":\"a line is one JSON object\"}");
	assert_string_equal(
		ask(&program, "{\"send\":\"a\",\"to\":7}\r"),
		"{\"line\":\"5\",\"column\":18,\"error\":\"\\\"to\\\" must be a string\"}");
	assert_string_equal(ask(&program, "{\"send\":\"a\",\"two\":7}"),
	                    "{\"line\":\"6\",\"column\":13,\"error\":\"unknown key \\\"two\\\"\"}");
	assert_string_equal(
		ask(&program, "{\"send\":\"a\",\"send\":\"a\"}"),
		"{\"line\":\"7\",\"column\":13,\"error\":\"key \\\"send\\\" occurs twice\"}");
	assert_contains(ask(&program, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":-1}"),
	                "{\"line\":\"8\",\"column\":37,\"error\":\"");
	/* the last line without a newline */
	send_text(program.in, "{\"send\":\"a\",\"to\":\"a\"}");
	close(program.in);
	program.in = -1;
	assert_contains(next_line(program.out),
	                "{\"line\":\"9\",\"send\":\"a\",\"to\":\"a\",\"decision\":\"DELIVERED\"");
	assert_false(next_line(program.out));
	assert_int_equal(finish(&program), 0);
	assert_int_equal(info_of(42).admitted_total, 1);
	assert_int_equal(info_of(42).kernels, 0);
	assert_int_equal(brokers(), 0);
	tear_down();
}

TEST(numbers_of_64_bits_go_through_unchanged)
{
	set_up();
	tenant(UINT64_MAX, K2K_UNLIMITED, K2K_UNLIMITED_KERNELS);
	struct program program = START("-");
	assert_contains(ask(&program, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":"
	                              "18446744073709551615,\"org\":\"9223372036854775808\"}"),
	                "\"tenant\":\"18446744073709551615\",\"org\":\"9223372036854775808\"");
	const char *line = ask(&program, "{\"send\":\"a\",\"to\":\"a\",\"org\":9007199254740993,"
	                                 "\"engagement\":18446744073709551614,"
	                                 "\"gpu_ns\":9223372036854775809}");
	assert_contains(line, "\"tenant\":\"18446744073709551615\",\"org\":\"9007199254740993\","
	                      "\"engagement\":\"18446744073709551614\"");
	assert_contains(line, "\"limit\":null,\"remaining\":null");
	assert_contains(line, "\"booked_ns\":\"9223372036854775809\"");
	assert_int_equal(finish(&program), 0);
	assert_int_equal(gpu_ns_of(UINT64_MAX, UINT64_MAX - 1), UINT64_C(9223372036854775809));
	tear_down();
}

TEST(with_a_queue_of_nothing_every_message_finds_it_full_and_is_billed)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = START("--queue", "0");
	ask(&program, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}");
	assert_contains(ask(&program, "{\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":5}"),
	                "\"decision\":\"QUEUE_FULL\"");
	assert_int_equal(finish(&program), 0);
	assert_int_equal(info_of(42).admitted_total, 1);
	assert_int_equal(gpu_ns_of(42, 0), 5);
	tear_down();
}

TEST(eleven_thousand_lines_of_a_file_add_up)
{
	char path[256], line[200];
	uint64_t expected[4] = { 0 };
	FILE *file;

	set_up();
	snprintf(path, sizeof path, "%s/lines", test_dir());
	file = fopen(path, "w");
	assert_true(file);
	for (unsigned t = 1; t < 4; t++) {
		tenant(t, K2K_UNLIMITED, 4);
		fprintf(file, "{\"kernel\":\"add\",\"name\":\"k%u\",\"tenant\":%u}\n", t, t);
	}
	for (unsigned i = 0; i < 11285; i++) {
		unsigned t = i % 3 + 1;

		fprintf(file,
		        "{\"send\":\"k%u\",\"to\":\"k%u\",\"engagement\":%u,\"gpu_ns\":\"%u\"}\n",
		        t, t, i % 2, i * 1000);
		if (i % 2)
			expected[t] += i * 1000;
	}
	assert_int_equal(fclose(file), 0);
	struct program program = START("--summary", path);
	snprintf(line, sizeof line,
	         "{\"stats\":true,\"lines\":\"11288\",\"malformed\":\"0\",\"kernels\":\"0\","
	         "\"kernels_added\":\"3\"");
	assert_contains(next_line(program.out), line);
	assert_false(next_line(program.out));
	assert_int_equal(finish(&program), 0);
	uint64_t admitted = 0;
	for (unsigned t = 1; t < 4; t++) {
		admitted += info_of(t).admitted_total;
		assert_int_equal(gpu_ns_of(t, 1), expected[t]);
	}
	assert_int_equal(admitted, 11285);
	tear_down();
}

TEST(a_registry_that_is_not_there_is_status_6)
{
	registry = fresh_registry();
	struct program program = start(NULL);
	assert_contains(next_line(program.out), "k2k-broker: registry ");
	assert_int_equal(finish(&program), 6);
	program = START("--queue", "-1");
	assert_contains(next_line(program.out), "k2k-broker: --queue: \"-1\"");
	assert_int_equal(finish(&program), 2);
	program = START("--help");
	assert_contains(next_line(program.out), "Usage: k2k-broker");
	while (next_line(program.out))
		;
	assert_int_equal(finish(&program), 0);
}

TEST(sigterm_ends_a_stream_and_gives_the_slots_back)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = START("--summary");
	say(program.in, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}");
	WAIT_UNTIL(info_of(42).kernels == 1, PATIENCE_S);
	assert_int_equal(kill(program.pid, SIGTERM), 0);
	assert_contains(next_line(program.out), "{\"stats\":true,\"lines\":\"1\"");
	assert_int_equal(finish(&program), 0);
	assert_int_equal(info_of(42).kernels, 0);
	assert_int_equal(brokers(), 0);
	tear_down();
}

TEST(sigterm_ends_a_stream_whose_answers_nobody_reads)
{
	set_up();
	struct program program = start(NULL);
	assert_int_equal(fcntl(program.in, F_SETFL, O_NONBLOCK), 0);
	struct pollfd writable = { .fd = program.in, .events = POLLOUT };
	/* Until its output, then its input is full. */
	while (poll(&writable, 1, 500) == 1)
		if (write(program.in, "{\"send\":\"a\",\"to\":\"b\"}\n", 22) < 0)
			assert_int_equal(errno, EAGAIN);
	assert_int_equal(kill(program.pid, SIGTERM), 0);
	assert_int_equal(finish(&program), 0);
	assert_int_equal(brokers(), 0);
	tear_down();
}

TEST(a_killed_broker_gives_its_slots_back_and_its_counts_stay)
{
	set_up();
	tenant(42, 5000, 1);
	struct program first = start(NULL), second = start(NULL);
	assert_contains(ask(&first, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"), "ADDED");
	assert_contains(ask(&first, "{\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":7}"), "DELIVERED");
	assert_contains(ask(&second, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"),
	                "\"REFUSED\",\"reason\":\"others_kernel\"");
	assert_contains(ask(&second, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":42}"),
	                "\"REFUSED\",\"reason\":\"kernels\"");
	spawn_kill(first.pid);
	WAIT_UNTIL(brokers() == 1, PATIENCE_S);
	assert_int_equal(info_of(42).kernels, 0);
	assert_contains(ask(&second, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"), "ADDED");
	assert_contains(ask(&second, "{\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":1}"), "DELIVERED");
	assert_int_equal(finish(&second), 0);
	assert_int_equal(info_of(42).admitted_total, 2);
	assert_int_equal(gpu_ns_of(42, 0), 8);
	tear_down();
}

/*
 * Replaces the registry with another one of this name, with the tenant, before the broker runs
 * again.
 */
static void replace_while_stopped(pid_t pid)
{
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	assert_int_equal(k2k_registry_close(&admin), 0);
	assert_int_equal(k2k_registry_destroy(registry, K2K_DESTROY_FORCE, NULL), 0);
	set_up();
	tenant(42, 5000, 4);
}

TEST(a_registry_that_was_replaced_is_opened_again_and_its_slots_taken)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = start(NULL);
	assert_contains(ask(&program, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"),
	                "ADDED");
	assert_contains(ask(&program, "{\"kernel\":\"add\",\"name\":\"legacy\"}"), "ADDED");
	assert_int_equal(k2k_registry_close(&admin), 0);
	assert_int_equal(k2k_registry_destroy(registry, K2K_DESTROY_FORCE, NULL), 0);
	assert_contains(ask(&program, "{\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":5}"),
	                "\"decision\":\"REJECTED\",\"reason\":\"no_registry\"");
	assert_contains(ask(&program, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":42}"),
	                "\"decision\":\"REFUSED\",\"reason\":\"no_registry\"");
	assert_contains(ask(&program, "{\"send\":\"legacy\",\"to\":\"legacy\"}"), "DELIVERED");
	set_up();
	WAIT_UNTIL(brokers() == 1, PATIENCE_S); /* without a request that needs it */
	assert_contains(ask(&program, "{\"send\":\"a\",\"to\":\"a\"}"),
	                "\"decision\":\"REJECTED\",\"reason\":\"unknown_tenant\"");
	tenant(42, 5000, 4);
	assert_contains(ask(&program, "{\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":5}"), "DELIVERED");
	assert_int_equal(info_of(42).kernels, 1);
	assert_int_equal(info_of(42).admitted_total, 1);
	/*
	 * If the registry is replaced, the broker opens the new one at once: no message is lost in
	 * between.
	 */
	replace_while_stopped(program.pid);
	send_text(program.in, "{\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":5}\n");
	assert_int_equal(kill(program.pid, SIGCONT), 0);
	assert_contains(next_line(program.out), "DELIVERED");
	assert_int_equal(info_of(42).kernels, 1);
	assert_int_equal(info_of(42).admitted_total, 1);
	assert_int_equal(gpu_ns_of(42, 0), 5);
	/* It also takes its kernels' slots again without a request. */
	replace_while_stopped(program.pid);
	assert_int_equal(info_of(42).kernels, 0);
	assert_int_equal(kill(program.pid, SIGCONT), 0);
	WAIT_UNTIL(info_of(42).kernels == 1, PATIENCE_S);
	assert_int_equal(finish(&program), 0);
	tear_down();
}

/* ---- sockets ------------------------------------------------------------------------- */

TEST(two_clients_deliver_to_each_other)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = START("--listen", socket_path(), "--summary");
	int one = connect_client(), two = connect_client();
	assert_contains(ask_fd(one, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"),
	                "{\"line\":\"1\",\"kernel\":\"add\"");
	assert_contains(
		ask_fd(two, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":42,\"engagement\":7}"),
		"{\"line\":\"1\",\"kernel\":\"add\"");
	assert_contains(ask_fd(one, "{\"send\":\"a\",\"to\":\"b\",\"gpu_ns\":3}"),
	                "\"decision\":\"DELIVERED\"");
	assert_string_equal(next_line(two), "{\"deliver\":\"b\",\"from\":\"a\",\"tenant\":\"42\","
	                                    "\"org\":\"0\",\"engagement\":\"0\",\"gpu_ns\":\"3\"}");
	assert_contains(ask_fd(two, "{\"send\":\"b\",\"to\":\"a\",\"gpu_ns\":4}"),
	                "\"decision\":\"DELIVERED\"");
	assert_string_equal(next_line(one), "{\"deliver\":\"a\",\"from\":\"b\",\"tenant\":\"42\","
	                                    "\"org\":\"0\",\"engagement\":\"7\",\"gpu_ns\":\"4\"}");
	/* A message to itself: the client receives both the answer and the message. */
	assert_contains(ask_fd(one, "{\"send\":\"a\",\"to\":\"a\"}"), "\"decision\":\"DELIVERED\"");
	assert_contains(next_line(one), "{\"deliver\":\"a\",\"from\":\"a\"");
	assert_contains(ask_fd(one, "{\"stats\":true}"),
	                "\"sends\":\"3\",\"admitted\":\"3\",\"delivered\":\"3\"");
	assert_int_equal(info_of(42).admitted_total, 3);
	assert_int_equal(info_of(42).kernels, 2);
	assert_int_equal(gpu_ns_of(42, 7), 4);
	assert_int_equal(kill(program.pid, SIGINT), 0);
	assert_contains(next_line(program.out), "{\"stats\":true,\"lines\":\"6\"");
	assert_int_equal(finish(&program), 0);
	assert_int_equal(info_of(42).kernels, 0);
	assert_int_not_equal(access(address.sun_path, F_OK), 0);
	assert_false(next_line(one));
	tear_down();
}

TEST(a_kernel_belongs_to_the_client_that_added_it)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = START("--listen", socket_path());
	int one = connect_client(), two = connect_client();
	assert_contains(ask_fd(one, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"), "ADDED");
	assert_contains(ask_fd(two, "{\"kernel\":\"add\",\"name\":\"a\"}"),
	                "\"decision\":\"REFUSED\",\"reason\":\"others_kernel\"");
	assert_contains(ask_fd(two, "{\"kernel\":\"remove\",\"name\":\"a\"}"),
	                "\"decision\":\"REFUSED\",\"reason\":\"others_kernel\"");
	assert_contains(ask_fd(two, "{\"send\":\"a\",\"to\":\"a\"}"),
	                "\"decision\":\"REJECTED\",\"reason\":\"others_kernel\"");
	assert_int_equal(info_of(42).kernels, 1);
	assert_int_equal(info_of(42).admitted_total, 0);
	assert_int_equal(stop(&program), 0);
	tear_down();
}

TEST(a_client_that_goes_takes_its_kernels_along)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = START("--listen", socket_path());
	int one = connect_client(), two = connect_client(), three = connect_client();
	assert_contains(ask_fd(one, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"), "ADDED");
	assert_contains(ask_fd(one, "{\"kernel\":\"add\",\"name\":\"a2\",\"tenant\":42}"), "ADDED");
	assert_contains(ask_fd(two, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":42}"), "ADDED");
	assert_contains(ask_fd(three, "{\"kernel\":\"add\",\"name\":\"c\",\"tenant\":42}"),
	                "ADDED");
	assert_int_equal(info_of(42).kernels, 4);
	close(one);
	WAIT_UNTIL(info_of(42).kernels == 2, PATIENCE_S);
	assert_contains(ask_fd(two, "{\"send\":\"b\",\"to\":\"a\"}"), "NOT_FOUND");
	/*
	 * A client that only ends its input gets all answers, even to a last line without a
	 * newline.
	 */
	send_text(three, "{\"send\":\"c\",\"to\":\"b\"}\n{\"send\":\"c\",\"to\":\"c\"}");
	assert_int_equal(shutdown(three, SHUT_WR), 0);
	assert_contains(next_line(three), "\"to\":\"b\",\"decision\":\"DELIVERED\"");
	assert_contains(next_line(three), "\"to\":\"c\",\"decision\":\"DELIVERED\"");
	assert_contains(next_line(three), "{\"deliver\":\"c\"");
	assert_false(next_line(three));
	assert_int_equal(info_of(42).kernels, 1);
	assert_contains(next_line(two), "{\"deliver\":\"b\",\"from\":\"c\"");
	/* The requests of a client that leaves without reading are still carried out. */
	one = connect_client();
	send_text(one, "{\"kernel\":\"add\",\"name\":\"d\",\"tenant\":42}\n{\"send\":\"d\",\"to\":"
	               "\"b\",\"gpu_ns\":9}\n");
	close(one);
	assert_contains(next_line(two), "{\"deliver\":\"b\",\"from\":\"d\"");
	WAIT_UNTIL(info_of(42).kernels == 1, PATIENCE_S);
	assert_int_equal(gpu_ns_of(42, 0), 9);
	assert_int_equal(stop(&program), 0);
	tear_down();
}

TEST(a_full_queue_is_answered_queue_full_and_loses_nothing_that_was_delivered)
{
	uint64_t delivered = 0, sent = 0, received = 0;
	int full = 0;

	set_up();
	tenant(42, K2K_UNLIMITED, 4);
	struct program program = START("--listen", socket_path(), "-q", "4");
	int sender = connect_client(), sleeper = connect_client();
	assert_contains(ask_fd(sender, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"),
	                "ADDED");
	assert_contains(ask_fd(sleeper, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":42}"),
	                "ADDED");
	while (full < 10) {
		const char *line = ask_fd(sender, "{\"send\":\"a\",\"to\":\"b\",\"gpu_ns\":1}");

		sent++;
		delivered += strstr(line, "\"DELIVERED\"") != NULL;
		full += strstr(line, "\"QUEUE_FULL\"") != NULL;
		assert_int_equal(delivered + (uint64_t)full, sent);
		assert_true(sent < 100000);
	}
	assert_int_equal(info_of(42).admitted_total, sent);
	assert_int_equal(gpu_ns_of(42, 0), sent);
	/* Once it reads, there is room again. */
	for (; received < delivered; received++)
		assert_contains(next_line(sleeper), "{\"deliver\":\"b\",\"from\":\"a\"");
	assert_contains(ask_fd(sender, "{\"send\":\"a\",\"to\":\"b\"}"), "\"DELIVERED\"");
	assert_contains(next_line(sleeper), "{\"deliver\":\"b\",\"from\":\"a\"");
	/*
	 * Once its input has ended it has no kernels, even if many messages wait for it; it still
	 * receives those.
	 */
	for (delivered = 0;
	     strstr(ask_fd(sender, "{\"send\":\"a\",\"to\":\"b\"}"), "\"DELIVERED\"");)
		delivered++;
	assert_int_equal(shutdown(sleeper, SHUT_WR), 0);
	WAIT_UNTIL(info_of(42).kernels == 1, PATIENCE_S);
	for (received = 0; next_line(sleeper); received++)
		;
	assert_int_equal(received, delivered);
	assert_int_equal(stop(&program), 0);
	tear_down();
}

TEST(a_block_of_messages_to_a_client_that_reads_finds_its_queue_empty)
{
	static char block[100 * 22];

	set_up();
	tenant(42, K2K_UNLIMITED, 4);
	struct program program = START("--listen", socket_path(), "-q", "2");
	int client = connect_client();
	assert_contains(ask_fd(client, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"),
	                "ADDED");
	for (size_t i = 0; i < 100; i++)
		memcpy(block + i * 22, "{\"send\":\"a\",\"to\":\"a\"}\n", 22);
	send_all(client, block, sizeof block);
	int answers = 0, messages = 0;
	while (answers < 100 || messages < 100) {
		const char *line = next_line(client);

		assert_true(line);
		if (strncmp(line, "{\"deliver\"", 10) == 0) {
			messages++;
		} else {
			answers++;
			assert_contains(line, "\"DELIVERED\"");
		}
	}
	assert_int_equal(stop(&program), 0);
	tear_down();
}

/*
 * Repeats the line until the broker stops reading, and returns how many fitted: what the broker
 * holds for a client is bounded.
 */
static uint64_t fill(int fd, const char *line)
{
	struct pollfd writable = { .fd = fd, .events = POLLOUT };
	size_t size = strlen(line), at = 0;
	uint64_t written = 0;

	while (poll(&writable, 1, 300) == 1) {
		ssize_t n = send(fd, line + at, size - at, MSG_DONTWAIT);

		assert_true(n > 0 || errno == EAGAIN);
		if (n > 0) {
			written += (uint64_t)n;
			at = (at + (size_t)n) % size;
		}
		assert_true(written < 50000000);
	}
	return written / size;
}

static int open_files(pid_t pid)
{
	char path[64];
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%ld/fd", (long)pid);
	dir = opendir(path);
	assert_true(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

TEST(a_client_that_does_not_read_its_answers_is_paused_and_blocks_nobody)
{
	const char line[] = "{\"send\":\"a\",\"to\":\"a\"}\n";

	set_up();
	struct program program = START("--listen", socket_path(), "-q", "1");
	int mute = connect_client(), other = connect_client();
	assert_contains(ask_fd(other, "{\"stats\":true}"), "\"lines\":\"1\"");
	int files = open_files(program.pid);
	uint64_t lines = fill(mute, line);
	for (int i = 0; i < 100; i++)
		assert_contains(ask_fd(other, "{\"send\":\"x\",\"to\":\"x\"}"), "NOT_FOUND");
	assert_contains(ask_fd(other, "nonsense"), "\"column\":1");
	/* When the client reads, it gets an answer to each whole line. */
	for (uint64_t answers = 0; answers < lines; answers++)
		assert_contains(next_line(mute), "NOT_FOUND");
	assert_int_equal(open_files(program.pid), files);
	/* A client that leaves without ever reading leaves nothing behind. */
	close(mute);
	WAIT_UNTIL(open_files(program.pid) == files - 1, PATIENCE_S);
	mute = connect_client();
	fill(mute, line);
	close(mute);
	WAIT_UNTIL(open_files(program.pid) == files - 1, PATIENCE_S);
	assert_contains(ask_fd(other, "{\"send\":\"x\",\"to\":\"x\"}"), "NOT_FOUND");
	assert_int_equal(stop(&program), 0);
	tear_down();
}

TEST(hostile_bytes_cost_their_sender_an_answer_and_nobody_else_anything)
{
	static char noise[300000];
	unsigned state = 12345;

	set_up();
	struct program program = START("--listen", socket_path());
	int hostile = connect_client(), other = connect_client();
	for (size_t i = 0; i < sizeof noise; i++)
		/* neither 0 nor '\n' */
		noise[i] = (char)((state = state * 1103515245u + 12345u) >> 16 | 1);
	send_all(hostile, noise, sizeof noise);
	assert_string_equal(
		next_line(hostile),
		"{\"line\":\"1\",\"column\":8193,\"error\":\"a line has at most 8192 bytes\"}");
	assert_contains(ask_fd(other, "{\"send\":\"x\",\"to\":\"x\"}"), "NOT_FOUND");
	send_text(hostile, "\n");
	assert_contains(ask_fd(hostile, "{\"send\":\"x\",\"to\":\"x\"}"),
	                "{\"line\":\"2\",\"send\"");
	assert_int_equal(stop(&program), 0);
	tear_down();
}

TEST(a_dead_brokers_socket_is_replaced_and_a_living_ones_refused)
{
	struct stat st;

	set_up();
	struct program first = START("--listen", socket_path());
	close(connect_client());
	struct program second = START("--listen", address.sun_path);
	assert_contains(next_line(second.out), "another process listens there");
	assert_int_equal(finish(&second), 8);
	close(connect_client()); /* the second broker did the live one no harm */
	spawn_kill(first.pid);
	assert_int_equal(stat(address.sun_path, &st), 0);
	assert_int_equal(try_connect(), -1);
	second = START("--listen", address.sun_path);
	close(connect_client());
	assert_int_equal(stop(&second), 0);
	assert_int_not_equal(stat(address.sun_path, &st), 0);
	/* A file that is not a socket is left alone. */
	close(open(address.sun_path, O_CREAT | O_WRONLY, 0600));
	second = START("--listen", address.sun_path);
	assert_contains(next_line(second.out), "not a socket");
	assert_int_equal(finish(&second), 4);
	assert_true(stat(address.sun_path, &st) == 0 && S_ISREG(st.st_mode));
	tear_down();
}

TEST(of_many_brokers_that_start_at_one_path_one_listens)
{
	struct program programs[6];
	int refused = 0;

	set_up();
	struct program dead = START("--listen", socket_path());
	close(connect_client());
	spawn_kill(dead.pid);
	for (int i = 0; i < 6; i++)
		programs[i] = START("--listen", address.sun_path);
	while (refused < 5) {
		struct pollfd outputs[6];

		for (int i = 0; i < 6; i++)
			outputs[i] = (struct pollfd){ .fd = programs[i].pid ? programs[i].out : -1,
				                      .events = POLLIN };
		assert_true(poll(outputs, 6, PATIENCE_MS) > 0);
		for (int i = 0; i < 6; i++) {
			if (!outputs[i].revents)
				continue;
			assert_contains(next_line(programs[i].out),
			                "another process listens there");
			assert_int_equal(finish(&programs[i]), 8);
			programs[i].pid = 0;
			refused++;
		}
	}
	int client = connect_client();
	assert_contains(ask_fd(client, "{\"stats\":true}"), "\"stats\":true");
	for (int i = 0; i < 6; i++)
		if (programs[i].pid)
			assert_int_equal(stop(&programs[i]), 0);
	tear_down();
}

TEST(a_killed_broker_with_clients_gives_its_slots_back)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = START("--listen", socket_path());
	int client = connect_client();
	assert_contains(ask_fd(client, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"),
	                "ADDED");
	assert_int_equal(info_of(42).kernels, 1);
	spawn_kill(program.pid);
	WAIT_UNTIL(info_of(42).kernels == 0, PATIENCE_S);
	assert_false(next_line(client));
	tear_down();
}

TEST(a_socket_broker_opens_a_replaced_registry_again_by_itself)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = START("--listen", socket_path());
	int client = connect_client();
	assert_contains(ask_fd(client, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"),
	                "ADDED");
	assert_int_equal(k2k_registry_close(&admin), 0);
	assert_int_equal(k2k_registry_destroy(registry, K2K_DESTROY_FORCE, NULL), 0);
	set_up();
	tenant(42, 5000, 4);
	WAIT_UNTIL(brokers() == 1, PATIENCE_S);
	assert_contains(ask_fd(client, "{\"send\":\"a\",\"to\":\"a\"}"), "DELIVERED");
	assert_int_equal(info_of(42).kernels, 1);
	assert_int_equal(stop(&program), 0);
	tear_down();
}
