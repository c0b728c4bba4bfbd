/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * broker_peers - messages that one broker passes on to another: moves, deaths, full sockets,
 * forged senders, and rights
 */
#include "broker_pair.h"
#include "broker_state.h"
#include "peers.h"

#include <dirent.h>

#define ADD_A "{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}"
#define ADD_B "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":42}"
#define SEND "{\"send\":\"a\",\"to\":\"b\",\"gpu_ns\":1}"

/* The kernel a at one, b at two, and messages go from one to the other. */
static void set_up_a_and_b(uint64_t rate)
{
	set_up();
	one = PLACE("--peers", peers(), "--queue", "65536");
	two = PLACE("--peers", peers(), "--queue", "65536");
	tenant(42, rate, 4);
	DECIDES(one, ADD_A, "ADDED");
	DECIDES(two, ADD_B, "ADDED");
	DECIDES(one, SEND, "FORWARDED");
	assert_contains(next_line(two.client), "{\"deliver\":\"b\"");
}

static int sockets(void)
{
	DIR *dir = opendir(peers());
	int count = 0;

	assert_true(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}

TEST(a_message_is_dropped_and_audited_if_its_receiver_moves_while_it_waits)
{
	set_up_a_and_b(100);
	tenant(43, 100, 4);
	halt(&two);
	DECIDES(one, SEND, "FORWARDED");
	DECIDES(one, SEND, "FORWARDED");
	/* the broker takes its clients' lines before what others have sent */
	say(two.client, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":43}");
	go_on(&two);
	assert_contains(next_line(two.client), "MOVED");
	WAIT_UNTIL(received(&two, "\"tenant_mismatch\":\"") == 2, PATIENCE_S);
	assert_int_equal(received(&two, "\"delivered\":\""), 1);
	assert_int_equal(registry_info().cross_tenant_total, 2);
	/* it was admitted and billed when it was sent */
	assert_int_equal(info_of(42).admitted_total, 3);
	assert_int_equal(gpu_ns_of(42, 0), 3);
	DECIDES(one, SEND, "TENANT_MISMATCH");
	tear_down_two();
}

TEST(a_message_for_an_earlier_registration_is_dropped)
{
	set_up_a_and_b(100);
	halt(&two);
	DECIDES(one, SEND, "FORWARDED");
	assert_int_equal(k2k_tenant_deregister(admin, 42, NULL), 0);
	tenant(42, 100, 4);
	say(two.client, ADD_B);
	go_on(&two);
	assert_contains(next_line(two.client), "UPDATED");
	WAIT_UNTIL(received(&two, "\"tenant_mismatch\":\"") == 1, PATIENCE_S);
	assert_int_equal(received(&two, "\"delivered\":\""), 1);
	/* nobody was crossed: it is the same tenant */
	assert_int_equal(registry_info().cross_tenant_total, 0);
	tear_down_two();
}

TEST(a_message_whose_receiver_is_removed_while_it_waits_is_dropped)
{
	set_up_a_and_b(100);
	halt(&two);
	DECIDES(one, SEND, "FORWARDED");
	/* another broker has the name by then: it was one hop, there is no second one */
	say(two.client, "{\"kernel\":\"remove\",\"name\":\"b\"}");
	go_on(&two);
	assert_contains(next_line(two.client), "REMOVED");
	DECIDES(one, ADD_B, "ADDED");
	WAIT_UNTIL(received(&two, "\"not_found\":\"") == 1, PATIENCE_S);
	assert_int_equal(received(&one, "\"delivered\":\""), 0);
	assert_contains(ask_at(&one, SEND), "DELIVERED");
	assert_contains(next_line(one.client), "{\"deliver\":\"b\"");
	tear_down_two();
}

/* A message may arrive after its sender has gone: it was admitted before. */
TEST(a_message_outlives_the_client_that_sent_it)
{
	set_up_a_and_b(100);
	halt(&two);
	DECIDES(one, SEND, "FORWARDED");
	close(one.client);
	WAIT_UNTIL(info_of(42).kernels == 1, PATIENCE_S);
	go_on(&two);
	assert_contains(next_line(two.client), "{\"deliver\":\"b\",\"from\":\"a\"");
	tear_down_two();
}

/* One sends until the other's socket is full; returns how many messages were passed on. */
static uint64_t fill(const struct place *from, const struct place *to, const char *line)
{
	uint64_t forwarded = 0;
	const char *answer;

	halt(to);
	while (!strstr(answer = ask_at(from, line), "QUEUE_FULL")) {
		assert_contains(answer, "FORWARDED");
		forwarded++;
		assert_true(forwarded < 100000);
	}
	/* the broker waits for nobody: it goes on with others */
	SAYS(*from, "{\"send\":\"nobody\",\"to\":\"none\"}", "NOT_FOUND");
	go_on(to);
	for (uint64_t i = 0; i < forwarded; i++)
		assert_contains(next_line(to->client), "{\"deliver\":\"");
	assert_int_equal(received(to, "\"queue_full\":\""), 0);
	return forwarded;
}

TEST(a_full_socket_is_answered_queue_full_and_what_was_passed_on_arrives)
{
	uint64_t there, back;

	set_up_a_and_b(K2K_UNLIMITED);
	there = fill(&one, &two, SEND);
	back = fill(&two, &one, "{\"send\":\"b\",\"to\":\"a\",\"gpu_ns\":1}");
	assert_true(there > 10 && back > 10);
	/* those that found it full are admitted and billed, too */
	assert_int_equal(info_of(42).admitted_total, 1 + there + 1 + back + 1);
	assert_int_equal(gpu_ns_of(42, 0), 1 + there + 1 + back + 1);
	DECIDES(one, SEND, "FORWARDED");
	assert_contains(next_line(two.client), "{\"deliver\":\"b\"");
	tear_down_two();
}

enum { FLOOD = 2000 };

struct flood {
	int answers, forwarded, full, delivered;
};

/* In one piece: its socket has room for that though the broker is stopped. */
static void flood(const struct place *from, const char *line)
{
	static char block[FLOOD * 64];
	size_t size = 0;

	for (int i = 0; i < FLOOD; i++)
		size += (size_t)snprintf(block + size, sizeof block - size, "%s\n", line);
	send_all(from->client, block, size);
}

static void take_line(const struct place *place, struct flood *flood)
{
	const char *line = next_line(place->client);

	assert_true(line);
	if (strncmp(line, "{\"deliver\"", 10) == 0) {
		flood->delivered++;
		return;
	}
	flood->answers++;
	flood->forwarded += strstr(line, "\"FORWARDED\"") != NULL;
	flood->full += strstr(line, "\"QUEUE_FULL\"") != NULL;
	assert_int_equal(flood->forwarded + flood->full, flood->answers);
}

/* Each has more to say than the other's socket holds: neither waits for the other. */
TEST(two_brokers_that_flood_each_other_answer_each_line)
{
	struct flood at_one = { 0 }, at_two = { 0 };

	set_up_a_and_b(K2K_UNLIMITED);
	halt(&one);
	halt(&two);
	flood(&one, SEND);
	flood(&two, "{\"send\":\"b\",\"to\":\"a\",\"gpu_ns\":1}");
	go_on(&one);
	go_on(&two);
	while (at_one.answers < FLOOD)
		take_line(&one, &at_one);
	while (at_two.answers < FLOOD)
		take_line(&two, &at_two);
	while (at_one.delivered < at_two.forwarded)
		take_line(&one, &at_one);
	while (at_two.delivered < at_one.forwarded)
		take_line(&two, &at_two);
	/* the first one of set_up_a_and_b() */
	assert_int_equal(received(&one, "\"delivered\":\""), at_two.forwarded);
	assert_int_equal(received(&two, "\"delivered\":\""), at_one.forwarded + 1);
	assert_int_equal(info_of(42).admitted_total, 2 * FLOOD + 1);
	tear_down_two();
}

TEST(the_kernels_of_a_killed_broker_are_not_found_and_its_socket_goes_with_the_next_start)
{
	set_up_a_and_b(1000);
	assert_int_equal(sockets(), 2);
	spawn_kill(two.program.pid);
	WAIT_UNTIL(strstr(ask_at(&one, "{\"send\":\"a\",\"to\":\"b\"}"), "NOT_FOUND"), PATIENCE_S);
	assert_int_equal(sockets(), 2);
	close(two.client);
	two = PLACE("--peers", peers());
	assert_int_equal(sockets(), 2);
	DECIDES(two, ADD_B, "ADDED");
	DECIDES(one, SEND, "FORWARDED");
	assert_contains(next_line(two.client), "{\"deliver\":\"b\"");
	assert_int_equal(stop(&two.program), 0);
	assert_int_equal(sockets(), 1);
	assert_int_equal(stop(&one.program), 0);
	assert_int_equal(sockets(), 0);
	tear_down();
}

TEST(without_a_way_the_answer_names_the_other_broker_and_the_message_is_billed)
{
	set_up();
	one = PLACE("--peers", peers());
	two = PLACE("--queue", "4");
	tenant(42, 100, 4);
	tenant(43, 100, 4);
	DECIDES(one, ADD_A, "ADDED");
	DECIDES(two, ADD_B, "ADDED");
	SAYS(one, SEND,
	     "\"decision\":\"ELSEWHERE\",\"reason\":null,\"tenant\":\"42\",\"broker\":1,");
	SAYS(two, "{\"send\":\"b\",\"to\":\"a\",\"gpu_ns\":1}",
	     "\"decision\":\"ELSEWHERE\",\"reason\":null,\"tenant\":\"42\",\"broker\":0,");
	assert_int_equal(info_of(42).admitted_total, 2);
	assert_int_equal(gpu_ns_of(42, 0), 2);
	/* tenancy needs no way */
	DECIDES(two, "{\"kernel\":\"add\",\"name\":\"b\",\"tenant\":43}", "MOVED");
	DECIDES(one, SEND, "TENANT_MISMATCH");
	SAYS(one, "{\"stats\":true}", "\"elsewhere\":\"1\"");
	assert_int_equal(registry_info().cross_tenant_total, 1);
	tear_down_two();
}

TEST(a_strict_registry_refuses_senders_that_nobody_knows)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	registry = fresh_registry();
	options.flags = K2K_CREATE_STRICT;
	options.max_kernels = 2;
	assert_int_equal(k2k_registry_create(registry, &options, &admin), 0);
	one = PLACE("--peers", peers());
	two = PLACE("--peers", peers());
	DECIDES(one, "{\"kernel\":\"add\",\"name\":\"a\"}", "ADDED");
	DECIDES(two, "{\"kernel\":\"add\",\"name\":\"b\"}", "ADDED");
	SAYS(one, "{\"send\":\"stranger\",\"to\":\"b\"}",
	     "\"decision\":\"REJECTED\",\"reason\":\"unknown_kernel\"");
	SAYS(one, "{\"send\":\"stranger\",\"to\":\"none\"}", "\"reason\":\"unknown_kernel\"");
	DECIDES(one, "{\"send\":\"a\",\"to\":\"b\"}", "FORWARDED");
	assert_contains(next_line(two.client), "{\"deliver\":\"b\"");
	SAYS(one, "{\"kernel\":\"add\",\"name\":\"c\"}",
	     "\"decision\":\"REFUSED\",\"reason\":\"kernels_full\"");
	tear_down_two();
}

/* A broker of the same user that says what it likes. */
TEST(a_sender_that_does_not_own_the_source_is_refused)
{
	struct broker_admission admission = { 0 };
	struct broker_message message = { "a", "b", 42, { 0, 0 }, 0 };
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;
	struct broker *liar;
	struct peers *way;
	char why[256];
	uint64_t number;
	int status;

	set_up_a_and_b(100);
	assert_int_equal(k2k_kernel_find(admin, "b", &info), 0);
	number = info.address.words[0];
	assert_int_equal(broker_open(&liar, registry), 0);
	way = peers_open(peers(), liar, why, &status);
	assert_true(way);
	admission.generation = info.generation;
	memcpy(admission.registry, liar->uuid, sizeof admission.registry);
	assert_int_equal(liar->way.forward(way, number, &admission, &message), BROKER_FORWARDED);
	WAIT_UNTIL(received(&two, "\"others_kernel\":\"") == 1, PATIENCE_S);
	/* what it says of a registration or a registry that is another one gets nowhere either */
	message.from = "unknown";
	admission.generation++;
	assert_int_equal(liar->way.forward(way, number, &admission, &message), BROKER_FORWARDED);
	WAIT_UNTIL(received(&two, "\"tenant_mismatch\":\"") == 1, PATIENCE_S);
	admission.generation--;
	admission.registry[0] ^= 1;
	assert_int_equal(liar->way.forward(way, number, &admission, &message), BROKER_FORWARDED);
	WAIT_UNTIL(received(&two, "\"tenant_mismatch\":\"") == 2, PATIENCE_S);
	assert_int_equal(received(&two, "\"delivered\":\""), 1);
	peers_close(&way);
	broker_close(&liar);
	tear_down_two();
}

/* Packets of all lengths, and bytes that are no packet. */
TEST(what_is_no_message_costs_its_sender_the_connection_and_nobody_else_anything)
{
	static char noise[4096];
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	unsigned state = 12345;

	set_up_a_and_b(100);
	assert_int_equal(k2k_kernel_find(admin, "b", &info), 0);
	snprintf(to.sun_path, sizeof to.sun_path, "%s/%016lx", peers(),
	         (unsigned long)info.address.words[0]);
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (char)((state = state * 1103515245u + 12345u) >> 16);
	for (size_t size = 0; size < 300; size += 7) {
		int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		struct pollfd end = { .fd = fd, .events = POLLIN };
		char byte;

		assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
		assert_int_equal(send(fd, noise, size < 299 ? size : sizeof noise, MSG_NOSIGNAL),
		                 size < 299 ? size : sizeof noise);
		assert_int_equal(poll(&end, 1, PATIENCE_MS), 1);
		assert_true(recv(fd, &byte, 1, 0) <= 0);
		close(fd);
	}
	DECIDES(one, SEND, "FORWARDED");
	assert_contains(next_line(two.client), "{\"deliver\":\"b\"");
	assert_int_equal(received(&two, "\"delivered\":\""), 2);
	tear_down_two();
}

/* A socket of the test in the directory of the brokers, as that of the kernel's owner. */
static int listen_as(const struct k2k_kernel_address *own)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof at.sun_path, "%s/%016lx", peers(),
	         (unsigned long)own->words[0]);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

/* Sends a packet to a broker, and waits until it has been read or refused. */
static void send_packet(const char *kernel, const char *bytes, size_t size)
{
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_int_equal(k2k_kernel_find(admin, kernel, &info), 0);
	snprintf(to.sun_path, sizeof to.sun_path, "%s/%016lx", peers(),
	         (unsigned long)info.address.words[0]);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
	close(fd);
}

/* The packet of a message from "a" to "b", with another sender. Returns its size. */
static size_t rename_sender(char *to, const char *packet, size_t size, const char *name)
{
	size_t head = size - 2, length = strlen(name);

	memcpy(to, packet, head);
	/* the two sizes are the only bytes of the head's last eight that are not 0 */
	assert_int_equal(to[head - 8], 1);
	to[head - 8] = (char)length;
	memcpy(to + head, name, length);
	to[head + length] = 'b';
	return head + length + 1;
}

TEST(a_packet_of_another_version_is_refused_and_one_for_nobody_here_is_counted)
{
	/* no UTF-8: alone, cut off, too long a form, a surrogate, too large; and a 0 */
	static const char *const bad[] = { "\x80",
		                           "\xc3",
		                           "\xc0\x80",
		                           "\xe0\x9f\x80",
		                           "\xed\xa0\x80",
		                           "\xf4\x90\x80\x80",
		                           "\xf5\x80\x80\x80" };
	const struct k2k_kernel_address own = { { 0x1234567812345678, 0 } };
	struct k2k_registry *reg;
	char packet[1024], changed[1024];
	ssize_t size;
	int fd, from_one;

	set_up_a_and_b(100);
	assert_int_equal(k2k_registry_open(registry, K2K_ROLE_BROKER, NULL, &reg), 0);
	assert_int_equal(k2k_kernel_add(reg, "c", 42, (struct k2k_audit_tag){ 0, 0 }, &own, NULL),
	                 0);
	fd = listen_as(&own);
	DECIDES(one, "{\"send\":\"a\",\"to\":\"c\"}", "FORWARDED");
	from_one = accept(fd, NULL, NULL);
	size = recv(from_one, packet, sizeof packet, 0);
	assert_true(size > 2 && memcmp(packet + size - 2, "ac", 2) == 0);
	send_packet("b", packet, (size_t)size);
	WAIT_UNTIL(received(&two, "\"not_found\":\"") == 1, PATIENCE_S);
	/* for b it is what one would have sent */
	packet[size - 1] = 'b';
	packet[0] ^= 1;
	send_packet("b", packet, (size_t)size);
	packet[0] ^= 1;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		send_packet("b", changed, rename_sender(changed, packet, (size_t)size, bad[i]));
	send_packet("b", changed,
	            rename_sender(changed, packet, (size_t)size, "\xf4\x8f\xbf\xbf\xc3\xa4"));
	assert_contains(next_line(two.client),
	                "{\"deliver\":\"b\",\"from\":\"\xf4\x8f\xbf\xbf\xc3\xa4\"");
	send_packet("b", packet, (size_t)size);
	assert_contains(next_line(two.client), "{\"deliver\":\"b\",\"from\":\"a\"");
	assert_int_equal(received(&two, "\"delivered\":\""), 3);
	close(from_one);
	close(fd);
	assert_int_equal(k2k_registry_close(&reg), 0);
	tear_down_two();
}

TEST(a_directory_that_others_may_use_is_refused)
{
	struct program program;
	char path[200], file[200];
	int fd;

	set_up();
	snprintf(path, sizeof path, "%s/open", test_dir());
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 0750), 0);
	program = START("--peers", path);
	assert_contains(next_line(program.out),
	                "must be a directory of this user or of root, with");
	assert_int_equal(finish(&program), 7);
	snprintf(file, sizeof file, "%s/file", test_dir());
	fd = open(file, O_CREAT | O_WRONLY, 0600);
	close(fd);
	program = START("--peers", file);
	assert_contains(next_line(program.out), "Not a directory");
	assert_int_equal(finish(&program), 10);
	snprintf(file, sizeof file, "%s/%0100d", test_dir(), 0);
	program = START("--peers", file);
	assert_contains(next_line(program.out), "a directory's path has 1 to ");
	assert_int_equal(finish(&program), 2);
	if (geteuid() == 0) {
		assert_int_equal(chmod(path, 0700), 0);
		assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
		program = START("--peers", path);
		assert_contains(next_line(program.out), "of this user or of root");
		assert_int_equal(finish(&program), 7);
	}
	assert_int_equal(brokers(), 0);
	tear_down();
}

/* A stream has no connection: what it receives is delivered, counted and dropped. */
TEST(a_stream_sends_to_other_brokers_and_receives_from_them)
{
	struct program stream;

	set_up();
	one = PLACE("--peers", peers());
	stream = START("--peers", peers());
	tenant(42, 100, 4);
	DECIDES(one, ADD_A, "ADDED");
	assert_contains(ask(&stream, ADD_B), "ADDED");
	assert_contains(ask(&stream, "{\"send\":\"b\",\"to\":\"a\"}"), "FORWARDED");
	assert_contains(next_line(one.client), "{\"deliver\":\"a\",\"from\":\"b\"");
	DECIDES(one, SEND, "FORWARDED");
	WAIT_UNTIL(strstr(ask(&stream, "{\"stats\":true}"), "\"received\":{\"delivered\":\"1\""),
	           10);
	assert_int_equal(finish(&stream), 0);
	assert_int_equal(stop(&one.program), 0);
	assert_int_equal(info_of(42).admitted_total, 2);
	tear_down();
}
