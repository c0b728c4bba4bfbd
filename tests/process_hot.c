/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_hot - one tenant that several processes use at once: its window is opened to their shares
 * (lib/hot.h). Real clock, every grant recounted.
 *
 * The brokers keep their own books by verdict.window. In no whole second the sum is above the
 * limit. In a second in which a single message was refused, it equals the limit, whichever broker
 * is stopped or killed, and whatever that one had drawn.
 */
#define HARNESS_TIMEOUT_S 90
#include "process.h"

#include "handle.h"
#include "rate.h"

enum { BOOKS = 90, LIMIT = 300000 };

struct books {
	atomic_ullong granted[BOOKS]; /* messages, by second */
	atomic_ullong refused[BOOKS]; /* single messages */
	atomic_ullong total, recorded;
	atomic_bool stop;
};

static uint64_t first_second;

static uint64_t place(uint64_t second)
{
	if (second < first_second || second - first_second >= BOOKS)
		fail_msg("second %" PRIu64 ", begun at %" PRIu64, second, first_second);
	return second - first_second;
}

static uint64_t this_second(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec;
}

/*
 * Each grant is in the books before the next call: a kill leaves out at most one. The window is
 * opened whenever it can be, as after a lost race, which needs two free processors.
 */
static void hammer(struct k2k_registry *reg, struct books *books, uint64_t most)
{
	uint64_t n = 1;

	while (!atomic_load_explicit(&books->stop, memory_order_relaxed)) {
		struct k2k_verdict verdict = K2K_VERDICT_INIT;
		int code;

		if (random_below(16) == 0)
			k2k_rate_open_window(&reg->map, 0, &reg->clock);
		code = k2k_message_admit(reg, 7, no_tag, n, &verdict);
		assert_true(verdict.used <= verdict.limit);
		if (code == 0) {
			atomic_fetch_add(&books->granted[place(verdict.window)], n);
			atomic_fetch_add(&books->total, n);
			n = 1 + random_below(most);
		} else {
			assert_int_equal(code, K2K_ERATE);
			assert_true(verdict.used + n > verdict.limit);
			if (n == 1) {
				atomic_fetch_add(&books->refused[place(verdict.window)], 1);
				sched_yield();
			}
			n = 1;
		}
	}
}

static pid_t spawn_hammer(const char *name, struct books *books, uint64_t most)
{
	pid_t child = spawn();

	if (child == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		random_seed((uint64_t)getpid());
		hammer(reg, books, most);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	return child;
}

struct scene {
	struct k2k_registry *admin;
	const char *name;
	struct books *books;
};

static void begin(struct scene *s)
{
	s->books = shared_bytes(sizeof *s->books);
	s->name = small_registry(4, &s->admin);
	register_tenant(s->admin, 7, LIMIT, 0);
	first_second = this_second();
}

static uint64_t folds(const struct scene *s)
{
	uint32_t source = s->admin->map.cells[0].source;

	return source ? s->admin->map.sources[source - 1].folds : 0;
}

/* Have the brokers used up two whole seconds, and was the window opened meanwhile? */
static bool has_seen_enough(const struct scene *s)
{
	int full = 0;

	for (uint64_t second = first_second + 1; second < this_second(); second++)
		full += atomic_load(&s->books->refused[place(second)]) > 0;
	return full >= 2 && folds(s) >= 3;
}

/* `lost`: how many messages a killed call may have counted that are in no book. */
static void end(struct scene *s, uint64_t last, uint64_t lost)
{
	uint64_t total, counted;

	for (uint64_t second = first_second + 1; second < last; second++) {
		uint64_t granted = atomic_load(&s->books->granted[place(second)]);

		if (granted > LIMIT ||
		    (granted + lost < LIMIT && atomic_load(&s->books->refused[place(second)]) > 0))
			fail_msg("second %" PRIu64 " granted %" PRIu64 " of %d",
			         second - first_second, granted, LIMIT);
	}
	total = atomic_load(&s->books->total);
	counted = tenant_info(s->admin, 7).admitted_total;
	if (counted < total || counted > total + lost)
		fail_msg("granted %" PRIu64 ", counted %" PRIu64, total, counted);
	check_clean(s->admin);
	close_and_destroy(s->name, &s->admin);
}

static void stop_all(struct scene *s, const pid_t *brokers, size_t count)
{
	atomic_store(&s->books->stop, true);
	wait_all(brokers, count);
}

TEST(in_each_second_the_brokers_were_granted_exactly_the_limit)
{
	struct scene s;
	pid_t brokers[3];
	uint64_t last;

	begin(&s);
	for (int i = 0; i < 3; i++)
		brokers[i] = spawn_hammer(s.name, s.books, 3);
	WAIT_UNTIL(has_seen_enough(&s), 60);
	last = this_second();
	stop_all(&s, brokers, 3);
	end(&s, last, 0);
}

TEST(what_the_stopped_and_the_killed_had_drawn_is_granted_to_others_in_the_same_second)
{
	enum { MOST = 3 };
	struct scene s;
	pid_t brokers[2];
	uint64_t killed = 0, last, deadline_ns = now_ns() + UINT64_C(60000000000);

	begin(&s);
	for (int i = 0; i < 2; i++)
		brokers[i] = spawn_hammer(s.name, s.books, MOST);
	random_seed(99);
	while (killed < 10 || !has_seen_enough(&s)) {
		pid_t victim = spawn_hammer(s.name, s.books, MOST);

		assert_true(now_ns() < deadline_ns);
		pause_ns(20000000 + random_below(50000000));
		assert_int_equal(kill(victim, SIGSTOP), 0);
		pause_ns(random_below(200000000));
		assert_int_equal(kill(victim, SIGKILL), 0);
		assert_int_equal(waitpid(victim, NULL, 0), victim);
		killed++;
	}
	last = this_second();
	stop_all(&s, brokers, 2);
	end(&s, last, killed * MOST);
}
