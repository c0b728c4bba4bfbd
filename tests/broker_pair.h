/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * broker_pair.h - brokers of one registry, each a process with a socket and one client, that pass
 * messages on to each other
 *
 * The test is neither of them: what it reads from the registry are the totals of a third process.
 */
#ifndef K2K_TESTS_BROKER_PAIR_H
#define K2K_TESTS_BROKER_PAIR_H

#include "broker_program.h"

struct place {
	struct program program;
	int client;
};

HARNESS_USED static struct place one, two;

/* The directory of their sockets; the first broker makes it. */
HARNESS_USED static const char *peers(void)
{
	static char path[100];

	snprintf(path, sizeof path, "%s/peers-%ld", test_dir(), (long)getpid());
	return path;
}

/* Starts a broker with its client. */
HARNESS_USED static struct place open_place(const char *const *options)
{
	const char *arguments[8] = { "--listen", address.sun_path };
	static int number;
	struct place place;

	for (int i = 0; options[i]; i++)
		arguments[2 + i] = options[i];
	address.sun_family = AF_UNIX;
	snprintf(address.sun_path, sizeof address.sun_path, "%s/%ld-%d", test_dir(), (long)getpid(),
	         number++);
	place.program = start(arguments);
	place.client = connect_client();
	return place;
}
#define PLACE(...) open_place((const char *const[]){ __VA_ARGS__, NULL })

HARNESS_USED static void set_up_two(void)
{
	set_up();
	one = PLACE("--peers", peers());
	two = PLACE("--peers", peers());
}

HARNESS_USED static void tear_down_two(void)
{
	assert_int_equal(stop(&one.program), 0);
	assert_int_equal(stop(&two.program), 0);
	assert_int_equal(brokers(), 0);
	tear_down();
}

/* The answer to a line of the broker's client; valid until its next line. */
HARNESS_USED static const char *ask_at(const struct place *place, const char *line)
{
	const char *text = ask_fd(place->client, line);

	assert_true(text);
	return text;
}

#define SAYS(place, line, part) assert_contains(ask_at(&(place), line), part)
#define DECIDES(place, line, decision) SAYS(place, line, "\"decision\":\"" decision "\"")
/* The next message for the broker's client. */
#define RECEIVES(place, text) assert_string_equal(next_line((place).client), text)

HARNESS_USED static struct k2k_registry_info registry_info(void)
{
	struct k2k_registry_info info = { .size = sizeof info };

	assert_int_equal(k2k_registry_info(admin, &info), 0);
	return info;
}

HARNESS_USED static uint64_t number_in(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	assert_true(at);
	return strtoull(at + strlen(key), NULL, 10);
}

/* How many messages from other brokers had this end. Also shows that no other line waits. */
HARNESS_USED static uint64_t received(const struct place *place, const char *what)
{
	const char *line = ask_at(place, "{\"stats\":true}"), *list;

	assert_contains(line, "\"stats\":true");
	list = strstr(line, "\"received\":{");
	assert_true(list);
	return number_in(list, what);
}

HARNESS_USED static void halt(const struct place *place)
{
	assert_int_equal(kill(place->program.pid, SIGSTOP), 0);
	assert_int_equal(waitpid(place->program.pid, NULL, WUNTRACED), place->program.pid);
}

HARNESS_USED static void go_on(const struct place *place)
{
	assert_int_equal(kill(place->program.pid, SIGCONT), 0);
}

#endif
