/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * peer.h - what every program of this comparison is made of
 *
 * The job is the same for each: find the tenant by its id among some thousand,
 * see whether it may send one message more in this second (exact over all
 * processes: never above the limit, and never refused below it), and count the
 * message, in the second and in the tenant's total. A peer says how; peer_main()
 * forks the processes that send, stops the time, and recounts what was answered.
 *
 * Guarantees of peer_main():
 *  (1) All processes send during the whole time that is measured.
 *  (2) A result whose total is not the sum of what was answered says so.
 *  (3) With --verify each answer names the second that it was decided in; a
 *      second counts as exact where min(asked, limit) messages were admitted
 *      in it over all processes. This takes no assumption about clocks.
 *  (4) It removes what it made, also when it is told to end by SIGINT or SIGTERM.
 */
#ifndef K2K_BENCH_PEER_H
#define K2K_BENCH_PEER_H

#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	PEER_BATCH = 64, /* messages in one call of send(), at most */
	PEER_PROCESSES_MAX = 64,
	PEER_TENANTS_MAX = 1000000,
};

struct peer_options {
	unsigned processes;
	unsigned tenants;
	unsigned milliseconds;
	uint32_t limit; /* messages a second, of each tenant; at least 1 */
	int one;        /* all processes send for one tenant */
	int verify;
	const char *directory; /* of the run: for files, sockets, and names */
};

struct peer {
	const char *name;
	int bare; /* counts, and neither finds nor checks: nothing to verify */
	/* In the first process, before the fork. */
	void (*create)(const struct peer_options *options, const uint64_t *ids);
	/* In each process that sends, before its first message; may be null. */
	void (*attach)(const struct peer_options *options, unsigned process);
	/*
	 * Decides on `count` messages, one after the other, and returns how many were admitted.
	 * answers is null, or gets of each: the second it was admitted in, that one negated if it
	 * was rejected, 0 for no such tenant.
	 */
	unsigned (*send)(const uint64_t *ids, unsigned count, int64_t *answers);
	/*
	 * In the first process, after the others have ended: what was counted for all tenants in
	 * all.
	 */
	uint64_t (*total)(const struct peer_options *options, const uint64_t *ids);
	void (*destroy)(void); /* may be null */
};

int peer_main(int argc, char **argv, const struct peer *peer);

/* Says why on standard error, and ends the process. */
void peer_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Memory that forked processes share, zeroed. */
void *peer_shared(uint64_t bytes);

static inline uint32_t peer_second(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint32_t)now.tv_sec;
}

/* A tenant for whoever holds a lock on it. */
struct peer_tenant {
	uint64_t id;
	uint32_t limit;
	uint32_t second, used;
	uint64_t total;
};

/*
 * The answer, as send() gives it. A clock that was read before somebody else's counts for the later
 * second.
 */
static inline int64_t peer_tenant_admit(struct peer_tenant *tenant, uint32_t now)
{
	if (now > tenant->second) {
		tenant->second = now;
		tenant->used = 0;
	}
	if (tenant->used >= tenant->limit)
		return -(int64_t)tenant->second;
	tenant->used++;
	tenant->total++;
	return tenant->second;
}

#ifdef __cplusplus
}
#endif

#endif
