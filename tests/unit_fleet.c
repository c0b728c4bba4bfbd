/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When an agent of a fleet asks, and how long it waits for the database. */
#include "harness.h"
#include "fleet/db.h"
#include "k2k-fleetd/pace.h"
#include "common/clock.h"

#include <k2k/registry.h>

#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MS UINT64_C(1000000)
#define S (1000 * MS)

enum { TIMES = 2000 };

/* All are between, and they are spread: a tenth of them is in each tenth, about. */
#define SPREAD(least, most, call)                                                  \
	do {                                                                       \
		unsigned tenths[10] = { 0 };                                       \
                                                                                   \
		for (unsigned i = 0; i < TIMES; i++) {                             \
			uint64_t ns = (call);                                      \
                                                                                   \
			if (ns - (least) >= (most) - (least))                      \
				fail_msg("%" PRIu64 " is not between", ns);        \
			tenths[(ns - (least)) * 10 / ((most) - (least))]++;        \
		}                                                                  \
		for (unsigned t = 0; t < 10; t++)                                  \
			if (tenths[t] < TIMES / 20 || tenths[t] > TIMES / 5)       \
				fail_msg("%u of %u in a tenth", tenths[t], TIMES); \
	} while (0)

TEST(a_pause_is_up_to_a_fifth_longer)
{
	SPREAD(10 * S, 12 * S, pace_pause(10 * S));
	SPREAD(500 * MS, 600 * MS, pace_pause(500 * MS));
	assert_int_equal(pace_pause(0), 0);
}

TEST(after_failures_the_pause_is_a_part_of_a_time_that_doubles)
{
	SPREAD(0, 1 * S, pace_backoff(500 * MS, 1, 30 * S));
	SPREAD(0, 2 * S, pace_backoff(500 * MS, 2, 30 * S));
	SPREAD(0, 16 * S, pace_backoff(500 * MS, 5, 30 * S));
	SPREAD(0, 30 * S, pace_backoff(500 * MS, 6, 30 * S));
	SPREAD(0, 30 * S, pace_backoff(500 * MS, UINT32_MAX, 30 * S));
	SPREAD(0, 5 * S, pace_backoff(3600 * S, 1, 5 * S));
}

TEST(a_connection_is_waited_for_longer_than_an_answer_and_ever_longer)
{
	assert_int_equal(pace_patience(5 * S, 0), 10 * S);
	assert_int_equal(pace_patience(5 * S, 1), 20 * S);
	assert_int_equal(pace_patience(5 * S, 2), 30 * S);
	assert_int_equal(pace_patience(5 * S, UINT32_MAX - 1), 30 * S);
	/* a --timeout that is longer */
	assert_int_equal(pace_patience(60 * S, 0), 60 * S);
	assert_int_equal(pace_patience(60 * S, 9), 60 * S);
	assert_int_equal(pace_patience(MS, 0), 2 * MS);
}

/* A server that takes connections and never answers. */
static const char *silent_server(void)
{
	static char conninfo[100];
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(name.sun_path, sizeof(name.sun_path), "%s/.s.PGSQL.5432", test_dir());
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(fd, 9), 0);
	snprintf(conninfo, sizeof(conninfo), "host=%s port=5432 user=x", test_dir());
	return conninfo;
}

TEST(a_signal_ends_a_wait_that_is_longer_than_the_timeout)
{
	const char *conninfo = silent_server();
	uint64_t begin = clock_monotonic_ns();
	struct db db;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	db_hurry(signalfd(-1, &signals, 0), 100 * MS);
	assert_int_equal(db_open(&db, conninfo, "test", 300 * MS), K2K_EBUSY);
	assert_true(clock_monotonic_ns() - begin >= 300 * MS);
	raise(SIGTERM); /* it stays: it is waited for elsewhere */
	begin = clock_monotonic_ns();
	assert_int_equal(db_open(&db, conninfo, "test", 3600 * S), K2K_EBUSY);
	assert_true(clock_monotonic_ns() - begin >= 100 * MS);
}
