/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the directory of kernels is compared with, if it is installed: a Redis server of this run,
 * on a Unix socket, asked by one client that waits for each answer.
 *
 * The server ends with the process that measures. The supervisor removes its folder.
 */
#include "bench.h"
#include "common/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_S = 20, AHEAD = 500 };

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static int fd;
static FILE *answers;
static char route_script[64]; /* its hash */

/* ---- the server ----------------------------------------------------------------------------- */

static void folder(char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "/dev/shm/k2k.bench-%d-redis", run_pid());
}

/* Null: it is not installed. redis-tools has the server under the name of its checking tool. */
static const char *find_server(void)
{
	static const char *const names[] = { "redis-server", "redis-check-rdb" };
	static char path[PATH_MAX];
	const char *all = getenv("PATH");

	for (size_t i = 0; all && i < sizeof(names) / sizeof(names[0]); i++)
		for (const char *at = all; at; at = strchr(at, ':')) {
			at += *at == ':';
			snprintf(path, sizeof(path), "%.*s/%s", (int)strcspn(at, ":"), at,
			         names[i]);
			if (access(path, X_OK) == 0)
				return path;
		}
	return NULL;
}

static bool has_server(void)
{
	return find_server() != NULL;
}

void redis_clean_up(void)
{
	char path[PATH_MAX], inside[PATH_MAX + 16];

	folder(path);
	snprintf(inside, sizeof(inside), "%s/socket", path);
	unlink(inside);
	rmdir(path);
}

static _Noreturn void run_server(const char *server, const char *path)
{
	int null = open("/dev/null", O_RDWR);

	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	execl(server, "redis-server", "--port", "0", "--unixsocket", address.sun_path, "--save", "",
	      "--appendonly", "no", "--dir", path, (char *)NULL);
	die("%s: %s", server, strerror(errno));
}

static void start_server(void)
{
	uint64_t deadline = now_ns() + START_S * UINT64_C(1000000000);
	pid_t self = getpid(), pid;
	char path[PATH_MAX];

	folder(path);
	if (mkdir(path, 0700))
		die("%s: %s", path, strerror(errno));
	snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/socket", path);
	pid = fork();
	if (!pid) {
		end_with_parent(self);
		run_server(find_server(), path);
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	while (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		if (pid < 0 || waitpid(pid, NULL, WNOHANG) == pid || now_ns() > deadline)
			die("the Redis server does not start");
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	}
	answers = check_memory(fdopen(fd, "r"));
}

/* ---- requests -------------------------------------------------------------------------------- */

/* Appends a request of some words to a buffer; returns its new length. */
static size_t request(char *to, size_t room, int words, ...)
{
	size_t size = (size_t)snprintf(to, room, "*%d\r\n", words);
	va_list list;

	va_start(list, words);
	for (int i = 0; i < words; i++) {
		const char *word = va_arg(list, const char *);

		size += (size_t)snprintf(to + size, room - size, "$%zu\r\n%s\r\n", strlen(word),
		                         word);
	}
	va_end(list);
	return size;
}

static void send_all(const char *bytes, size_t size)
{
	while (size) {
		ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			die("Redis: %s", strerror(errno));
		bytes += sent > 0 ? sent : 0;
		size -= sent > 0 ? (size_t)sent : 0;
	}
}

/* The text or the number of an answer. */
static const char *answer(void)
{
	static char line[512];
	const char *text = fgets(line, sizeof(line), answers);

	if (text && *text == '$' && text[1] != '-')
		text = fgets(line + 1, sizeof(line) - 1, answers);
	else if (text && *text != ':' && *text != '+')
		die("Redis answers %.100s", text);
	if (!text)
		die("Redis has ended");
	line[strcspn(line, "\r\n")] = '\0';
	return line + 1;
}

static void send_find(const char *name)
{
	char bytes[256];

	send_all(bytes, request(bytes, sizeof(bytes), 2, "GET", name));
}

static void loop_find(void *state, uint64_t calls)
{
	struct kernels *kernels = state;

	for (; calls; calls--) {
		send_find(kernels->names[kernels_next(kernels)]);
		USE(answer());
	}
}

static void loop_route(void *state, uint64_t calls)
{
	struct kernels *kernels = state;
	char bytes[256];

	for (; calls; calls--) {
		uint64_t i = kernels_next(kernels);

		send_all(bytes, request(bytes, sizeof(bytes), 5, "EVALSHA", route_script, "2",
		                        kernels->names[i], kernels->names[kernel_partner(i)]));
		if (strcmp(answer(), "1") != 0)
			die("two kernels of one tenant are of two");
	}
}

/* ---- the case -------------------------------------------------------------------------------- */

/* Each in a database of the server. */
static struct named {
	struct kernels random, hot;
	struct loop loops[4];
} named[2];
enum { SETS = sizeof(named) / sizeof(named[0]), LOOPS = 4 };

static void choose(size_t set)
{
	char bytes[64];

	send_all(bytes, request(bytes, sizeof(bytes), 2, "SELECT", set ? "1" : "0"));
	answer();
}

static void fill(const struct kernels *kernels)
{
	char bytes[AHEAD * 128], tenant[32];
	size_t size = 0, sent = 0;

	for (uint64_t i = 0; i < kernels->count; i++) {
		snprintf(tenant, sizeof(tenant), "%" PRIu64, tenant_id(i / KERNELS_A_TENANT));
		size += request(bytes + size, sizeof(bytes) - size, 3, "SET", kernels->names[i],
		                tenant);
		if (++sent < AHEAD && i + 1 < kernels->count)
			continue;
		send_all(bytes, size);
		for (size = 0; sent; sent--)
			answer();
	}
}

static void load_script(void)
{
	static const char script[] =
		"local t = redis.call('GET', KEYS[1])\n"
		"if not t or t ~= redis.call('GET', KEYS[2]) then return 0 end\n"
		"redis.call('INCR', 'count:' .. t)\n"
		"return 1\n";
	char bytes[512];

	send_all(bytes, request(bytes, sizeof(bytes), 3, "SCRIPT", "LOAD", script));
	snprintf(route_script, sizeof(route_script), "%.60s", answer());
}

static void open_redis(void *state)
{
	(void)state;
	start_server();
	load_script();
	for (size_t i = 0; i < SETS; i++) {
		struct named *n = &named[i];

		kernels_make(&n->random, i ? many() : 1000);
		n->hot = n->random;
		n->hot.order_count = 1;
		n->loops[0] = (struct loop){ loop_find, &n->hot, 0 };
		n->loops[1] = (struct loop){ loop_find, &n->random, 0 };
		n->loops[2] = (struct loop){ loop_route, &n->hot, 0 };
		n->loops[3] = (struct loop){ loop_route, &n->random, 0 };
		choose(i);
		fill(&n->random);
	}
}

static void round_redis(void *state, struct sample *samples)
{
	(void)state;
	for (size_t i = 0; i < SETS; i++) {
		choose(i);
		for (size_t j = 0; j < LOOPS; j++)
			samples[i * LOOPS + j].value = time_loop(&named[i].loops[j]);
	}
}

#define ROW(name, text)                                              \
	{                                                            \
		name, text, UNIT_NS, AGAINST_FETCH_ADD, GOAL_NONE, 0 \
	}
#define REDIS_ROWS(suffix, of)                                                      \
	ROW("redis_name_hot_" suffix, "Redis: the same name found, " of),           \
		ROW("redis_name_random_" suffix, "Redis: found at random, " of),    \
		ROW("redis_route_hot_" suffix, "Redis: two found, one count, " of), \
		ROW("redis_route_random_" suffix, "Redis: two found at random, one count, " of)
static const struct row_spec rows[] = { REDIS_ROWS("1k", "1,000 names"),
	                                REDIS_ROWS("100k", "100,000 names") };
const struct bench_case redis_case = { ROWS(rows), .possible = has_server, .open = open_redis,
	                               .round = round_redis };
