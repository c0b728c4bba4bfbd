/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Redis over a Unix socket: the job is one Lua script, called by its hash. The server of the run
 * listens at "redis" in its directory, and holds nothing else. Compiled twice: PIPELINED sends all
 * messages of a call before it waits for the first answer.
 */
#include "peer.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PIPELINED
#define PIPELINED 0
#endif

static const char script[] =
	"local t = redis.call('HMGET', KEYS[1], 'limit', 'second', 'used', 'total')\n"
	"if not t[1] then return 0 end\n"
	"local second, used, now = tonumber(t[2]), tonumber(t[3]), "
	"tonumber(redis.call('TIME')[1])\n"
	"if now > second then second, used = now, 0 end\n"
	"if used >= tonumber(t[1]) then return -second end\n"
	"redis.call('HSET', KEYS[1], 'second', second, 'used', used + 1, 'total', tonumber(t[4]) + "
	"1)\n"
	"return second\n";

static redisContext *server;
static char hash[41];

static redisReply *must(void *reply, int type, const char *what)
{
	redisReply *answer = reply;

	if (!answer)
		peer_fail("%s: %s", what, server->errstr);
	if (answer->type != type)
		peer_fail("%s: %s", what,
		          answer->type == REDIS_REPLY_ERROR ? answer->str
		                                            : "an answer of another type");
	return answer;
}

static void connect_server(const struct peer_options *options)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/redis", options->directory) >= (int)sizeof(path))
		peer_fail("too long: %s", options->directory);
	server = redisConnectUnix(path);
	if (!server || server->err)
		peer_fail("%s: %s", path, server ? server->errstr : "no memory");
}

static void create(const struct peer_options *options, const uint64_t *ids)
{
	redisReply *reply;

	connect_server(options);
	freeReplyObject(must(redisCommand(server, "FLUSHALL"), REDIS_REPLY_STATUS, "FLUSHALL"));
	reply = must(redisCommand(server, "SCRIPT LOAD %s", script), REDIS_REPLY_STRING,
	             "SCRIPT LOAD");
	snprintf(hash, sizeof(hash), "%s", reply->str);
	freeReplyObject(reply);
	for (unsigned i = 0; i < options->tenants; i++)
		freeReplyObject(
			must(redisCommand(server, "HSET %b limit %u second 0 used 0 total 0",
		                          &ids[i], sizeof(ids[i]), options->limit),
		             REDIS_REPLY_INTEGER, "HSET"));
	redisFree(server);
}

static void attach(const struct peer_options *options, unsigned process)
{
	(void)process;
	connect_server(options);
}

static void request(const uint64_t *id)
{
	const char *words[] = { "EVALSHA", hash, "1", (const char *)id };
	static const size_t lengths[] = { 7, 40, 1, sizeof(*id) };

	if (redisAppendCommandArgv(server, 4, words, lengths) != REDIS_OK)
		peer_fail("EVALSHA: %s", server->errstr);
}

static int64_t answer(void)
{
	void *reply = NULL;
	int64_t second;

	redisGetReply(server, &reply);
	second = must(reply, REDIS_REPLY_INTEGER, "EVALSHA")->integer;
	freeReplyObject(reply);
	return second;
}

static unsigned send(const uint64_t *ids, unsigned count, int64_t *answers)
{
	unsigned admitted = 0, ahead = PIPELINED ? count : 1;

	for (unsigned at = 0; at < count; at += ahead) {
		for (unsigned i = at; i < at + ahead; i++)
			request(&ids[i]);
		for (unsigned i = at; i < at + ahead; i++) {
			int64_t second = answer();

			admitted += second > 0;
			if (answers)
				answers[i] = second;
		}
	}
	return admitted;
}

static uint64_t total(const struct peer_options *options, const uint64_t *ids)
{
	uint64_t sum = 0;

	connect_server(options);
	for (unsigned i = 0; i < options->tenants; i++) {
		redisReply *reply = must(
			redisCommand(server, "HGET %b total", &ids[i], sizeof(ids[i])),
			REDIS_REPLY_STRING, "HGET");

		sum += strtoull(reply->str, NULL, 10);
		freeReplyObject(reply);
	}
	redisFree(server);
	return sum;
}

int main(int argc, char **argv)
{
	static const struct peer peer = {
		PIPELINED ? "redis-64" : "redis", 0, create, attach, send, total, NULL
	};

	return peer_main(argc, argv, &peer);
}
