/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * broker_repeats - a request of a client that is repeated over another connection gets the first
 * answer, and books nothing
 */
#include "broker_program.h"

static const struct k2k_audit_tag seven = { 0, 7 };

static uint64_t reserved(k2k_tenant_id id)
{
	uint64_t ns = UINT64_MAX;

	assert_int_equal(k2k_usage_reserved(admin, id, seven, &ns), 0);
	return ns;
}

/* A connection of this client, with one kernel unless `kernel` is null. */
static int connect_as(const char *client, const char *kernel)
{
	char line[256];
	int fd = connect_client();

	snprintf(line, sizeof line, "{\"client\":\"%s\"}", client);
	assert_contains(ask_fd(fd, line), "\"remembers\":");
	if (kernel) {
		snprintf(line, sizeof line,
		         "{\"kernel\":\"add\",\"name\":\"%s\",\"tenant\":42,\"engagement\":7}",
		         kernel);
		assert_contains(ask_fd(fd, line), "\"decision\":\"ADDED\"");
	}
	return fd;
}

/* An answer without its number, and without what marks a repeat. Valid until the next call. */
static const char *answer_of(const char *line)
{
	static char copies[2][2048];
	static int turn;
	char *copy = copies[turn ^= 1], *mark;

	assert_true(line && strncmp(line, "{\"line\":\"", 9) == 0);
	snprintf(copy, sizeof copies[0], "%s", strchr(line, ','));
	mark = strstr(copy, ",\"repeated\":true");
	if (mark)
		strcpy(mark, mark + 16);
	return copy;
}

#define SEND(id) "{\"id\":" id ",\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":5}"

static void wait_for_booked(uint64_t ns)
{
	WAIT_UNTIL(gpu_ns_of(42, 7) == ns, PATIENCE_S);
}

TEST(a_repeat_over_another_connection_gets_the_first_answer_and_books_nothing)
{
	char first[2048];

	set_up();
	tenant(42, 5000, 4);
	struct program program = START("--listen", socket_path());
	int fd = connect_as("gateway", "a");
	snprintf(first, sizeof first, "%s", answer_of(ask_fd(fd, SEND("\"r-1\""))));
	assert_contains(first, "\"decision\":\"DELIVERED\"");
	assert_contains(next_line(fd), "\"deliver\"");
	/* over the same connection */
	const char *line = ask_fd(fd, SEND("\"r-1\""));
	assert_contains(line, "{\"line\":\"4\",");
	assert_contains(line, ",\"repeated\":true}");
	assert_string_equal(answer_of(line), first);
	close(fd);
	WAIT_UNTIL(info_of(42).kernels == 0, PATIENCE_S);
	/* over another one, without the kernel: the answer is the first one, not a new decision */
	fd = connect_client();
	assert_string_equal(ask_fd(fd, "{\"client\":\"gateway\"}"),
	                    "{\"line\":\"1\",\"client\":\"gateway\",\"remembered\":\"1\","
	                    "\"remembers\":\"64\"}");
	assert_string_equal(answer_of(ask_fd(fd, SEND("\"r-1\""))), first);
	assert_int_equal(info_of(42).admitted_total, 1);
	assert_int_equal(gpu_ns_of(42, 7), 5);
	/* another client's id is another id, and without a client an id is only copied */
	int other = connect_as("gateway2", "a");
	assert_contains(ask_fd(other, SEND("\"r-1\"")), "DELIVERED");
	assert_int_equal(gpu_ns_of(42, 7), 10);
	close(other);
	WAIT_UNTIL(info_of(42).kernels == 0, PATIENCE_S);
	other = connect_client();
	ask_fd(other, "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42,\"engagement\":7}");
	for (int i = 0; i < 2; i++) {
		line = ask_fd(other, SEND("\"r-1\""));
		assert_contains(line, "\"id\":\"r-1\"");
		assert_null(strstr(line, "repeated"));
		assert_contains(next_line(other), "\"deliver\"");
	}
	assert_int_equal(gpu_ns_of(42, 7), 20);
	assert_contains(ask_fd(other, "{\"stats\":true}"), "\"repeated\":\"2\"");
	assert_int_equal(stop(&program), 0);
	tear_down();
}

TEST(a_connection_that_is_closed_before_its_answer_is_read_books_once)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = START("--listen", socket_path());
	for (unsigned i = 0; i < 20; i++) {
		char line[256];
		int fd = connect_as("gateway", "a");

		snprintf(line, sizeof line, "{\"id\":%u,\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":5}",
		         i);
		say(fd, line);
		if (i % 2) {
			/* the answer is there, and is lost with the connection */
			struct pollfd answered = { .fd = fd, .events = POLLIN };

			assert_int_equal(poll(&answered, 1, PATIENCE_MS), 1);
		}
		close(fd);
		wait_for_booked((i + 1) * 5);
		fd = connect_client();
		ask_fd(fd, "{\"client\":\"gateway\"}");
		const char *again = ask_fd(fd, line);
		assert_contains(again, "\"decision\":\"DELIVERED\"");
		assert_contains(again, "\"booked_ns\":\"5\",\"repeated\":true}");
		close(fd);
		WAIT_UNTIL(info_of(42).kernels == 0, PATIENCE_S);
	}
	assert_int_equal(gpu_ns_of(42, 7), 100);
	assert_int_equal(info_of(42).admitted_total, 20);
	assert_int_equal(stop(&program), 0);
	tear_down();
}

/* The client is a process of its own, killed while its request is under way. */
TEST(a_client_that_is_killed_at_any_moment_and_comes_back_books_once)
{
	enum { TIMES = 30 };

	set_up();
	tenant(42, K2K_UNLIMITED, 4);
	struct program program = START("--listen", socket_path());
	for (unsigned i = 0; i < TIMES; i++) {
		char line[256];
		int sent[2], fd;

		snprintf(line, sizeof line,
		         "{\"id\":\"%u\",\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":5}", i);
		assert_int_equal(pipe2(sent, O_CLOEXEC), 0);
		pid_t client = spawn();
		if (client == 0) {
			fd = connect_as("gateway", "a");
			say(fd, line);
			close(sent[1]);
			pause();
		}
		close(sent[1]);
		/* every third is killed before it has sent the request, or meanwhile */
		if (i % 3) {
			char byte;

			assert_int_equal(read(sent[0], &byte, 1), 0);
		}
		close(sent[0]);
		spawn_kill(client);
		/* its kernels go when the broker has done what it had sent */
		WAIT_UNTIL(info_of(42).kernels == 0, PATIENCE_S);
		fd = connect_as("gateway", "a");
		const char *again = ask_fd(fd, line);
		assert_contains(again, "\"decision\":\"DELIVERED\"");
		if (i % 3)
			assert_contains(again, "\"repeated\":true");
		assert_int_equal(gpu_ns_of(42, 7), (i + 1) * 5);
		assert_int_equal(info_of(42).admitted_total, i + 1);
		close(fd);
		WAIT_UNTIL(info_of(42).kernels == 0, PATIENCE_S);
	}
	assert_int_equal(stop(&program), 0);
	tear_down();
}

TEST(a_refusal_is_answered_again_too)
{
	set_up();
	tenant(42, 0, 4);
	struct program program = START("--listen", socket_path());
	int fd = connect_as("gateway", "a");
	assert_contains(ask_fd(fd, SEND("1")), "\"decision\":\"REJECTED\",\"reason\":\"rate\"");
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	assert_int_equal(k2k_tenant_update(admin, 42, &quota, K2K_UPDATE_RATE), 0);
	assert_contains(ask_fd(fd, SEND("1")), "\"decision\":\"REJECTED\",\"reason\":\"rate\"");
	assert_contains(ask_fd(fd, SEND("2")), "\"decision\":\"DELIVERED\"");
	assert_int_equal(info_of(42).rejected_total.rate, 1);
	assert_int_equal(stop(&program), 0);
	tear_down();
}

TEST(another_request_with_a_used_id_is_refused_and_changes_nothing)
{
	static const char *const others[] = {
		"{\"id\":\"x\",\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":6}",
		"{\"id\":\"x\",\"send\":\"a\",\"to\":\"b\",\"gpu_ns\":5}",
		"{\"id\":\"x\",\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":5,\"org\":1}",
		"{\"id\":\"x\",\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":5,\"engagement\":1}",
		"{\"id\":\"x\",\"reserve\":\"a\",\"gpu_ns\":5}",
		"{\"id\":\"x\",\"commit\":\"a\",\"gpu_ns\":5}",
		"{\"id\":\"x\",\"cancel\":\"a\"}",
	};

	set_up();
	tenant(42, 5000, 4);
	struct program program = START("--listen", socket_path());
	int fd = connect_as("gateway", "a");
	assert_contains(ask_fd(fd, SEND("\"x\"")), "DELIVERED");
	assert_contains(next_line(fd), "\"deliver\"");
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		char answer[256];

		snprintf(answer, sizeof answer,
		         "{\"line\":\"%zu\",\"id\":\"x\",\"column\":7,\"error\":\"this \\\"id\\\" "
		         "belongs to another request of the client\"}",
		         i + 4);
		assert_string_equal(ask_fd(fd, others[i]), answer);
	}
	/* the request itself, written otherwise, is the same one */
	assert_contains(ask_fd(fd, "{\"gpu_ns\":\"5\",\"to\":\"\\u0061\",\"send\":\"a\",\"id\":"
	                           "\"\\u0078\",\"org\":0}"),
	                "\"repeated\":true");
	/* kernels belong to the connection: their lines are done, and only copy an id */
	assert_contains(ask_fd(fd, "{\"id\":\"x\",\"kernel\":\"remove\",\"name\":\"a\"}"),
	                "\"decision\":\"REMOVED\"");
	assert_contains(ask_fd(fd, "{\"id\":\"x\",\"kernel\":\"remove\",\"name\":\"a\"}"),
	                "\"reason\":\"unknown_kernel\"");
	assert_int_equal(info_of(42).admitted_total, 1);
	assert_int_equal(gpu_ns_of(42, 7), 5);
	assert_int_equal(stop(&program), 0);
	tear_down();
}

TEST(ids_are_any_bytes_and_told_apart_by_each_of_them)
{
	static const char *const ids[] = {
		"7",
		"\"7\"",
		"7.0",
		"70e-1",
		"\"\"",
		"\"\\u0000\"",
		"\"\\u0000\\u0000\"",
		"\"a\\u0000b\"",
		"\"a\\u0000c\"",
		"\"\\n\"",
		"\"\xc3\xa4\"",
		"\"a\xcc\x88\"",
		"\"%s%n\"",
		"\"\\\"}\"",
		"-0",
		"0",
	};
	char line[400], id[300];
	uint64_t ns = 0;

	set_up();
	tenant(42, 5000, 4);
	struct program program = START("--listen", socket_path());
	int fd = connect_as("gate\\u0022\\n\xc3\xa4way", "a");
	for (int turn = 0; turn < 2; turn++) {
		for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
			snprintf(line, sizeof line,
			         "{\"id\":%s,\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":1}", ids[i]);
			const char *answer = ask_fd(fd, line);
			assert_contains(answer, "DELIVERED");
			assert_int_equal(strstr(answer, "repeated") != NULL, turn);
			if (turn == 0)
				assert_contains(next_line(fd), "\"deliver\"");
			ns += turn == 0;
			assert_int_equal(gpu_ns_of(42, 7), ns);
		}
	}
	/* the longest id, and one byte more */
	snprintf(id, sizeof id, "\"%0128d\"", 0);
	snprintf(line, sizeof line, "{\"id\":%s,\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":1}", id);
	assert_contains(ask_fd(fd, line), "DELIVERED");
	assert_contains(next_line(fd), "\"deliver\"");
	assert_contains(ask_fd(fd, line), "repeated");
	snprintf(id, sizeof id, "%0129d", 0);
	id[0] = '1';
	snprintf(line, sizeof line, "{\"id\":%s,\"send\":\"a\",\"to\":\"a\",\"gpu_ns\":1}", id);
	assert_contains(ask_fd(fd, line), "\"column\":7,\"error\":\"the \\\"id\\\" of a client's "
	                                  "request has at most 128 bytes\"");
	assert_int_equal(gpu_ns_of(42, 7), ns + 1);
	/* where no client is named, an id may be longer */
	int other = connect_client();
	assert_contains(ask_fd(other, line), "\"reason\":\"others_kernel\"");
	assert_int_equal(stop(&program), 0);
	tear_down();
}

TEST(the_last_requests_of_a_client_are_kept_and_older_ones_are_new_again)
{
	char line[256];

	set_up();
	tenant(42, 5000, 4);
	struct program program = START("--listen", socket_path(), "--remember", "3");
	int fd = connect_as("gateway", NULL);
	for (int i = 1; i <= 4; i++) {
		snprintf(line, sizeof line, "{\"id\":%d,\"send\":\"a\",\"to\":\"b\"}", i);
		assert_null(strstr(ask_fd(fd, line), "repeated"));
	}
	for (int i = 4; i >= 2; i--) {
		snprintf(line, sizeof line, "{\"id\":%d,\"send\":\"a\",\"to\":\"b\"}", i);
		assert_contains(ask_fd(fd, line), "\"repeated\":true");
	}
	/* the first one has been forgotten; it now takes the place of the second, the oldest */
	assert_null(strstr(ask_fd(fd, "{\"id\":1,\"send\":\"a\",\"to\":\"b\"}"), "repeated"));
	assert_null(strstr(ask_fd(fd, "{\"id\":2,\"send\":\"a\",\"to\":\"b\"}"), "repeated"));
	assert_contains(ask_fd(fd, "{\"id\":4,\"send\":\"a\",\"to\":\"b\"}"), "\"repeated\":true");
	close(fd);
	fd = connect_client();
	assert_contains(ask_fd(fd, "{\"client\":\"gateway\"}"),
	                "\"remembered\":\"3\",\"remembers\":\"3\"}");
	assert_int_equal(stop(&program), 0);
	program = START("--listen", address.sun_path, "--remember", "0");
	fd = connect_client();
	assert_contains(ask_fd(fd, "{\"client\":\"gateway\"}"),
	                "\"remembered\":\"0\",\"remembers\":\"0\"}");
	for (int i = 0; i < 2; i++)
		assert_null(
			strstr(ask_fd(fd, "{\"id\":1,\"send\":\"a\",\"to\":\"b\"}"), "repeated"));
	assert_int_equal(stop(&program), 0);
	program = START("--remember", "65537");
	assert_contains(next_line(program.out), "--remember: \"65537\" is not a number from 0");
	assert_int_equal(finish(&program), 2);
	tear_down();
}

TEST(of_too_many_clients_the_one_that_left_first_is_forgotten)
{
	enum { CLIENTS = 2000 }; /* CLIENTS_MAX */
	char line[128];

	set_up();
	struct program program = START("--listen", socket_path());
	int first = connect_as("first", NULL);
	assert_contains(ask_fd(first, "{\"id\":1,\"send\":\"a\",\"to\":\"b\"}"), "NOT_FOUND");
	for (int i = 0; i < CLIENTS; i++) {
		int fd = connect_client();

		snprintf(line, sizeof line, "{\"client\":\"c%d\"}", i);
		assert_contains(ask_fd(fd, line), "\"remembered\":\"0\"");
		assert_contains(ask_fd(fd, "{\"id\":1,\"send\":\"a\",\"to\":\"b\"}"), "NOT_FOUND");
		close(fd);
	}
	/* the connected client is kept, and the newest of those that left */
	assert_contains(ask_fd(first, "{\"id\":1,\"send\":\"a\",\"to\":\"b\"}"), "repeated");
	int fd = connect_client();
	assert_contains(ask_fd(fd, "{\"client\":\"c1\"}"), "\"remembered\":\"1\"");
	fd = connect_client();
	assert_contains(ask_fd(fd, "{\"client\":\"c1999\"}"), "\"remembered\":\"1\"");
	fd = connect_client();
	assert_contains(ask_fd(fd, "{\"client\":\"c0\"}"), "\"remembered\":\"0\"");
	assert_int_equal(stop(&program), 0);
	tear_down();
}

TEST(a_client_is_named_first_and_once)
{
	set_up();
	struct program program = START("--listen", socket_path());
	int fd = connect_client();
	assert_contains(ask_fd(fd, "nonsense"), "\"column\":1,");
	assert_contains(ask_fd(fd, "{\"id\":9,\"client\":\"gateway\"}"),
	                "{\"line\":\"2\",\"id\":9,\"client\":\"gateway\"");
	assert_string_equal(ask_fd(fd, "{\"client\":\"gateway\"}"),
	                    "{\"line\":\"3\",\"column\":2,\"error\":\"\\\"client\\\" must come "
	                    "before other requests\"}");
	fd = connect_client();
	ask_fd(fd, "{\"stats\":true}");
	assert_contains(ask_fd(fd, "{\"client\":\"gateway\"}"), "must come before");
	assert_int_equal(stop(&program), 0);
	tear_down();
}

/* ---- reservations -------------------------------------------------------------------------- */

#define RESERVE(id) \
	"{\"id\":" id ",\"reserve\":\"job\",\"tenant\":42,\"engagement\":7,\"gpu_ns\":60}"
#define COMMIT(id) "{\"id\":" id ",\"commit\":\"job\",\"gpu_ns\":50}"

TEST(reserve_and_commit_that_are_repeated_are_done_once)
{
	set_up();
	tenant(42, 5000, 4);
	assert_int_equal(k2k_budget_set(admin, 42, 7, 100), 0);
	struct program program = START("--listen", socket_path());
	int fd = connect_as("gateway", NULL);
	assert_contains(ask_fd(fd, RESERVE("1")), "\"decision\":\"RESERVED\"");
	assert_contains(ask_fd(fd, RESERVE("1")), "\"decision\":\"RESERVED\"");
	assert_int_equal(reserved(42), 60);
	assert_contains(ask_fd(fd, COMMIT("2")), "\"decision\":\"COMMITTED\"");
	close(fd);
	fd = connect_as("gateway", NULL);
	const char *line = ask_fd(fd, COMMIT("2"));
	assert_contains(line, "\"decision\":\"COMMITTED\"");
	assert_contains(line, "\"reserved_ns\":\"60\",\"booked_ns\":\"50\",\"repeated\":true}");
	/* the first one was granted, and has ended since */
	assert_contains(ask_fd(fd, RESERVE("1")), "\"decision\":\"RESERVED\"");
	assert_contains(ask_fd(fd, COMMIT("3")), "\"reason\":\"unknown_reservation\"");
	assert_int_equal(reserved(42), 0);
	assert_int_equal(gpu_ns_of(42, 7), 50);
	assert_int_equal(stop(&program), 0);
	tear_down();
}

TEST(a_reservation_that_ended_with_its_client_is_made_anew_by_a_repeat)
{
	set_up();
	tenant(42, 5000, 4);
	assert_int_equal(k2k_budget_set(admin, 42, 7, 100), 0);
	struct program program = START("--listen", socket_path());
	int fd = connect_as("gateway", NULL);
	say(fd, RESERVE("1"));
	close(fd);
	/* the answer was never read; what was reserved is free again */
	fd = connect_client();
	WAIT_UNTIL(strstr(ask_fd(fd, "{\"stats\":true}"), "\"reserved\":\"1\"") != NULL,
	           PATIENCE_S);
	WAIT_UNTIL(reserved(42) == 0, PATIENCE_S);
	fd = connect_as("gateway", NULL);
	const char *line = ask_fd(fd, RESERVE("1"));
	assert_contains(line, "\"decision\":\"RESERVED\"");
	assert_null(strstr(line, "repeated"));
	assert_int_equal(reserved(42), 60);
	assert_contains(ask_fd(fd, COMMIT("2")), "\"booked_ns\":\"50\"");
	assert_int_equal(gpu_ns_of(42, 7), 50);
	assert_int_equal(stop(&program), 0);
	tear_down();
}

TEST(connections_of_one_client_share_what_it_reserved)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = START("--listen", socket_path());
	int one = connect_as("gateway", NULL), two = connect_as("gateway", NULL),
	    stranger = connect_as("other", NULL);
	assert_contains(ask_fd(one, RESERVE("1")), "\"decision\":\"RESERVED\"");
	assert_contains(ask_fd(two, RESERVE("1")), "\"repeated\":true");
	assert_contains(ask_fd(two, RESERVE("2")), "\"reason\":\"reservation_exists\"");
	assert_contains(ask_fd(stranger, COMMIT("2")), "\"reason\":\"unknown_reservation\"");
	close(one);
	/* the client is still there */
	one = connect_client();
	close(one);
	assert_contains(ask_fd(two, COMMIT("3")), "\"decision\":\"COMMITTED\"");
	assert_int_equal(gpu_ns_of(42, 7), 50);
	assert_contains(ask_fd(two, RESERVE("4")), "\"decision\":\"RESERVED\"");
	close(two);
	WAIT_UNTIL(reserved(42) == 0, PATIENCE_S);
	assert_int_equal(stop(&program), 0);
	tear_down();
}

/* The ids end with the broker: the new one says that it remembers nothing. */
TEST(a_broker_that_was_killed_remembers_nothing_and_says_so)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = START("--listen", socket_path());
	int fd = connect_as("gateway", "a");
	assert_contains(ask_fd(fd, SEND("1")), "DELIVERED");
	spawn_kill(program.pid);
	program = START("--listen", address.sun_path);
	WAIT_UNTIL(brokers() == 1, PATIENCE_S);
	fd = connect_client();
	assert_contains(ask_fd(fd, "{\"client\":\"gateway\"}"), "\"remembered\":\"0\"");
	assert_int_equal(stop(&program), 0);
	tear_down();
}

TEST(a_stream_may_name_its_client_too)
{
	set_up();
	tenant(42, 5000, 4);
	struct program program = start(NULL);
	assert_contains(ask(&program, "{\"client\":\"batch\"}"), "\"remembered\":\"0\"");
	assert_contains(ask(&program, "{\"id\":1,\"reserve\":\"job\",\"tenant\":42,"
	                              "\"engagement\":7,\"gpu_ns\":5}"),
	                "RESERVED");
	assert_contains(ask(&program, "{\"id\":2,\"commit\":\"job\",\"gpu_ns\":5}"), "COMMITTED");
	assert_contains(ask(&program, "{\"id\":2,\"commit\":\"job\",\"gpu_ns\":5}"), "repeated");
	assert_int_equal(gpu_ns_of(42, 7), 5);
	assert_int_equal(finish(&program), 0);
	tear_down();
}
