/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One limit over many hosts: a process of one host asks for messages of one tenant, each with a
 * price in GPU time. Either the registry of the host decides, whose budget k2k-fleetd has drawn; or
 * a Redis of the fleet is asked for each message. scripts/bench-fleet runs it.
 *
 *   peer-fleet cost WAY COUNT
 *       of engagement 8, which has enough; prints the median and the 99th percentile in ns
 *   peer-fleet use WAY MS PRICE_NS BUDGET_NS
 *       of engagement 7; prints "ready", and after a line on standard input asks every ms; prints
 *       asked, admitted, p99 and longest in us
 */
#include "peer.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <k2k/registry.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { TENANT = 42, PORT = 6379, TIMEOUT_MS = 100, MESSAGES_MAX = 1000000 };
#define MS INT64_C(1000000)
#define FREE_FOR_NS (1000 * MS) /* so long Redis is not asked after it has not answered */

static struct k2k_audit_tag tag = { .org_id = 1 };
static uint64_t price_ns = 1, budget_ns = UINT64_C(1) << 52; /* Lua has 53 bits */

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* ---- the registry of this host ------------------------------------------------------------- */

static struct k2k_registry *registry;

static void open_registry(void)
{
	int code = k2k_registry_open(getenv("K2K_REGISTRY"), K2K_ROLE_BROKER, NULL, &registry);

	if (code)
		peer_fail("the registry: %s", k2k_strerror(code));
}

static bool decided(int code, const char *what)
{
	if (code && code != K2K_EBUDGET && code != K2K_ERATE)
		peer_fail("%s: %s", what, k2k_strerror(code));
	return !code;
}

static bool admit(void)
{
	return decided(k2k_message_admit(registry, TENANT, tag, 1, NULL), "admit");
}

static bool reserve(void)
{
	struct k2k_reservation r = K2K_RESERVATION_INIT;

	return decided(k2k_usage_reserve(registry, TENANT, tag, price_ns, &r, NULL), "reserve") &&
	       decided(k2k_usage_commit(registry, &r, price_ns), "commit");
}

/* ---- the Redis of the fleet ---------------------------------------------------------------- */

/* A window of a second, as most have it; and the rule of a budget. */
static const char rate_script[] = "local n = redis.call('INCR', KEYS[1])\n"
				  "if n == 1 then redis.call('EXPIRE', KEYS[1], 2) end\n"
				  "return n <= tonumber(ARGV[1]) and 1 or 0\n";
static const char budget_script[] =
	"local used = tonumber(redis.call('GET', KEYS[1]) or '0')\n"
	"if used + tonumber(ARGV[2]) > tonumber(ARGV[1]) then return 0 end\n"
	"redis.call('INCRBY', KEYS[1], ARGV[2])\n"
	"return 1\n";
static redisContext *server;
static char rate_hash[41], budget_hash[41];
static bool opens; /* while Redis is away: everything passes, or nothing */
static int64_t ask_again_ns;

static bool connect_server(void)
{
	const struct timeval timeout = { 0, TIMEOUT_MS * 1000 };

	if (server)
		redisFree(server);
	server = redisConnectWithTimeout(getenv("PEER_REDIS"), PORT, timeout);
	if (server && !server->err && redisSetTimeout(server, timeout) == REDIS_OK)
		return true;
	redisFree(server);
	server = NULL;
	return false;
}

static void load(const char *script, char hash[41])
{
	redisReply *reply = redisCommand(server, "SCRIPT LOAD %s", script);

	if (!reply || reply->type != REDIS_REPLY_STRING)
		peer_fail("SCRIPT LOAD: %s", server->errstr);
	snprintf(hash, 41, "%s", reply->str);
	freeReplyObject(reply);
}

static void open_redis(void)
{
	if (!connect_server())
		peer_fail("Redis does not answer");
	load(rate_script, rate_hash);
	load(budget_script, budget_hash);
}

/* By the policy if Redis does not answer; then it is left alone for a second. */
static bool ask(const char *hash, const char *key, uint64_t most, uint64_t price)
{
	redisReply *reply;
	bool admitted = opens;

	if (now_ns() < ask_again_ns)
		return opens;
	reply = server || connect_server()
	                ? redisCommand(server, "EVALSHA %s 1 %s %llu %llu", hash, key,
	                               (unsigned long long)most, (unsigned long long)price)
	                : NULL;
	if (!reply) {
		redisFree(server);
		server = NULL;
		ask_again_ns = now_ns() + FREE_FOR_NS;
		return opens;
	}
	if (reply->type == REDIS_REPLY_INTEGER)
		admitted = reply->integer;
	else
		peer_fail("EVALSHA: %s",
		          reply->type == REDIS_REPLY_ERROR ? reply->str : "another type");
	freeReplyObject(reply);
	return admitted;
}

static bool redis_rate(void)
{
	char key[64];

	snprintf(key, sizeof(key), "rate:%d:%" PRId64, TENANT, now_ns() / (1000 * MS));
	return ask(rate_hash, key, 1000000000, 0);
}

static bool redis_budget(void)
{
	return ask(budget_hash, tag.engagement_id == 7 ? "budget:42:7" : "budget:42:8", budget_ns,
	           price_ns);
}

/* ---- ways ---------------------------------------------------------------------------------- */

static void open_nothing(void)
{
}

static bool nothing(void)
{
	return true;
}

static void open_opening_redis(void)
{
	opens = true;
	open_redis();
}

static const struct way {
	const char *name;
	void (*open)(void);
	bool (*message)(void);
} ways[] = {
	{ "clock", open_nothing, nothing },
	{ "admit", open_registry, admit },
	{ "reserve", open_registry, reserve },
	{ "redis-rate", open_redis, redis_rate },
	{ "redis-budget", open_redis, redis_budget },
	{ "redis-closed", open_redis, redis_budget },
	{ "redis-open", open_opening_redis, redis_budget },
};

static const struct way *find_way(const char *name)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!strcmp(ways[i].name, name))
			return &ways[i];
	peer_fail("no such way: %s", name);
}

/* ---- what is measured ---------------------------------------------------------------------- */

static int64_t took[MESSAGES_MAX];

static int by_value(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void cost(const struct way *way, size_t count)
{
	for (size_t i = 0; i < count + count / 10; i++) {
		int64_t begin = now_ns();

		if (!way->message())
			peer_fail("%s: refused", way->name);
		took[i < count / 10 ? i : i - count / 10] = now_ns() -
		                                            begin; /* the first warm up */
	}
	qsort(took, count, sizeof(*took), by_value);
	printf("%" PRId64 " %" PRId64 "\n", took[count / 2], took[count / 100 * 99]);
}

static void use(const struct way *way, int64_t ms)
{
	size_t asked = 0, admitted = 0;
	int64_t end, next;

	puts("ready");
	fflush(stdout);
	if (getchar() == EOF)
		peer_fail("no line on standard input");
	next = now_ns();
	end = next + ms * MS;
	while (now_ns() < end && asked < MESSAGES_MAX) {
		int64_t begin = now_ns();

		admitted += way->message();
		took[asked++] = now_ns() - begin;
		next += MS;
		if (next > now_ns()) {
			const struct timespec until = { next / (1000 * MS), next % (1000 * MS) };

			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		}
	}
	qsort(took, asked, sizeof(*took), by_value);
	printf("%zu %zu %" PRId64 " %" PRId64 "\n", asked, admitted, took[asked * 99 / 100] / 1000,
	       took[asked - 1] / 1000);
}

int main(int argc, char **argv)
{
	bool costs = argc == 4 && !strcmp(argv[1], "cost");
	const struct way *way;
	uint64_t number;

	if (!costs && (argc != 6 || strcmp(argv[1], "use") != 0))
		peer_fail("cost WAY COUNT | use WAY MS PRICE_NS BUDGET_NS");
	way = find_way(argv[2]);
	number = strtoull(argv[3], NULL, 10);
	if (!costs) {
		price_ns = strtoull(argv[4], NULL, 10);
		budget_ns = strtoull(argv[5], NULL, 10);
	}
	tag.engagement_id = costs ? 8 : 7;
	way->open();
	if (costs && number >= 100 && number <= MESSAGES_MAX)
		cost(way, number);
	else if (!costs)
		use(way, (int64_t)number);
	else
		peer_fail("from 100 to %d messages", MESSAGES_MAX);
	if (registry)
		k2k_registry_close(&registry);
	if (server)
		redisFree(server);
	return 0;
}
