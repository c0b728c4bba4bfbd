/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_rate - admit is exact across several processes: real clock, whole seconds, every grant
 * recounted
 *
 * The brokers keep their own books by verdict.window. In every second through which all of them
 * worked, the sum equals the limit: not one more, and not one less, since they ask all the time.
 */
#define HARNESS_TIMEOUT_S 90
#include "process.h"

enum { BOOKS = 24 };

struct books {
	atomic_ullong granted[BOOKS]; /* messages, by second */
	atomic_ullong rejected[BOOKS];
	atomic_ullong total; /* messages granted in all seconds */
};

static uint64_t first_second;

static atomic_ullong *book(atomic_ullong *books, uint64_t second)
{
	if (second < first_second || second - first_second >= BOOKS)
		fail_msg("second %" PRIu64 ", begun at %" PRIu64, second, first_second);
	return &books[second - first_second];
}

static uint64_t this_second(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec;
}

/*
 * Asks for up to `most` at once; falls back to 1, so that the limit is reached to the last message.
 */
static void hammer(struct k2k_registry *reg, k2k_tenant_id id, struct books *books, uint64_t most,
                   uint64_t until)
{
	uint64_t n = 1;

	while (this_second() < until) {
		struct k2k_verdict verdict = K2K_VERDICT_INIT;
		int code = k2k_message_admit(reg, id, no_tag, n, &verdict);

		assert_int_equal(verdict.code, code);
		assert_true(verdict.used <= verdict.limit);
		assert_int_equal(verdict.remaining, verdict.limit - verdict.used);
		if (code == 0) {
			atomic_fetch_add(book(books->granted, verdict.window), n);
			atomic_fetch_add(&books->total, n);
			n = 1 + random_below(most);
		} else {
			assert_int_equal(code, K2K_ERATE);
			assert_true(verdict.used + n > verdict.limit);
			assert_true(verdict.retry_after_ns > 0 &&
			            verdict.retry_after_ns <= 1000000000u);
			atomic_fetch_add(book(books->rejected, verdict.window), 1);
			/*
			 * Yields the processor to others; being late once in a while does no harm.
			 */
			if (n == 1)
				sched_yield();
			n = 1;
		}
	}
}

static void run(uint32_t processes, uint64_t limit, uint64_t most, unsigned int seconds,
                unsigned int stop_one)
{
	struct books *books = shared_bytes(sizeof *books);
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t brokers[16];
	uint64_t until;

	register_tenant(admin, 7, limit, 0);
	first_second = this_second();
	until = first_second + seconds + 2;
	for (uint32_t i = 0; i < processes; i++) {
		brokers[i] = spawn();
		if (brokers[i] == 0) {
			struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

			random_seed(i);
			hammer(reg, 7, books, most, until);
			assert_int_equal(k2k_registry_close(&reg), 0);
			exit(0);
		}
	}
	/*
	 * A broker that is stopped and continued, also across the edges of seconds, does not affect
	 * exactness.
	 */
	random_seed(99);
	while (stop_one && this_second() + 1 < until) {
		assert_int_equal(kill(brokers[0], SIGSTOP), 0);
		pause_ns(random_below(300000000));
		assert_int_equal(kill(brokers[0], SIGCONT), 0);
		pause_ns(random_below(100000000));
	}
	wait_all(brokers, processes);
	/* the first and the last second are not whole */
	for (uint64_t second = first_second + 1; second + 1 < until; second++) {
		uint64_t granted = atomic_load(book(books->granted, second));

		if (granted != limit)
			fail_msg("second %" PRIu64 " granted %" PRIu64 " of %" PRIu64,
			         second - first_second, granted, limit);
		assert_true(atomic_load(book(books->rejected, second)) > 0);
	}
	assert_true(atomic_load(&books->granted[0]) <= limit);
	assert_int_equal(tenant_info(admin, 7).admitted_total, atomic_load(&books->total));
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(in_each_of_eleven_seconds_six_brokers_were_granted_exactly_the_limit)
{
	run(6, 50000, 7, 11, 0);
}

TEST(a_broker_that_stops_and_goes_on_takes_nothing_from_the_exactness)
{
	run(3, 1, 1, 4, 1);
}

/* ---- buckets ----------------------------------------------------------------------------- */

enum { GRANTS = 60000, BUCKET_BROKERS = 4 };

struct grant {
	uint64_t before_ns, after_ns; /* the clock, around the call */
	uint64_t n;
};

struct grants {
	atomic_size_t count;
	atomic_ullong rejected;
	struct grant list[GRANTS];
};

static void draw(struct k2k_registry *reg, struct grants *grants, uint64_t most, uint64_t until_ns)
{
	uint64_t n = 1;

	for (;;) {
		struct k2k_verdict verdict = K2K_VERDICT_INIT;
		uint64_t before_ns = now_ns();
		int code = k2k_message_admit(reg, 7, no_tag, n, &verdict);
		size_t at;

		if (before_ns >= until_ns)
			return;
		assert_true(verdict.used <= verdict.limit);
		if (code == 0) {
			at = atomic_fetch_add(&grants->count, 1);
			assert_true(at < GRANTS);
			grants->list[at] = (struct grant){ before_ns, now_ns(), n };
			n = 1 + random_below(most);
			continue;
		}
		assert_int_equal(code, K2K_ERATE);
		assert_true(verdict.used + n > verdict.limit);
		assert_true(verdict.retry_after_ns > 0 && verdict.retry_after_ns < 1000000000u);
		atomic_fetch_add(&grants->rejected, 1);
		if (n == 1)
			pause_ns(verdict.retry_after_ns);
		n = 1;
	}
}

static int by_end(const void *a, const void *b)
{
	const struct grant *x = a, *y = b;

	return x->after_ns < y->after_ns ? -1 : x->after_ns > y->after_ns;
}

/*
 * Of all calls that lie within [from, to]: at most burst + rate x (to - from), and the clock's
 * grain.
 */
static void judge_pairs(const struct grant *list, size_t count, uint64_t rate, uint64_t burst)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t sum = 0, from = list[i].before_ns;

		for (size_t j = 0; j < count; j++) {
			uint64_t grown = rate * (list[j].after_ns - from + 15259);

			if (list[j].before_ns < from)
				continue;
			sum += list[j].n;
			if (sum > burst && (sum - burst) * 1000000000u > grown)
				fail_msg("%" PRIu64 " messages in %" PRIu64 " us", sum,
				         (list[j].after_ns - from) / 1000);
		}
	}
}

static void run_bucket(uint64_t rate, uint64_t burst, uint64_t most, uint64_t seconds)
{
	struct grants *grants = shared_bytes(sizeof *grants);
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t brokers[BUCKET_BROKERS];
	uint64_t until_ns = now_ns() + seconds * 1000000000u, total = 0;
	size_t count;

	quota.max_messages_per_sec = rate;
	quota.burst = burst;
	quota.rate_policy = K2K_RATE_BUCKET;
	assert_int_equal(k2k_tenant_register(admin, 7, &quota), 0);
	for (uint32_t i = 0; i < BUCKET_BROKERS; i++) {
		brokers[i] = spawn();
		if (brokers[i] == 0) {
			struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

			random_seed(i);
			draw(reg, grants, most, until_ns);
			assert_int_equal(k2k_registry_close(&reg), 0);
			exit(0);
		}
	}
	wait_all(brokers, BUCKET_BROKERS);
	count = atomic_load(&grants->count);
	qsort(grants->list, count, sizeof grants->list[0], by_end);
	for (size_t i = 0; i < count; i++)
		total += grants->list[i].n;
	judge_pairs(grants->list, count, rate, burst);
	assert_true(atomic_load(&grants->rejected) > 0);
	/*
	 * Who always asks is given all of it, within a burst. That is asked only of a bucket that
	 * is not full within the time that the processes may have to wait for a processor.
	 */
	if (burst >= rate / 2 &&
	    (total + burst) * 1000000000u <
	            rate * (grants->list[count - 1].after_ns - grants->list[0].before_ns))
		fail_msg("%" PRIu64 " messages at a rate of %" PRIu64 " in %" PRIu64 " s", total,
		         rate, seconds);
	assert_in_range(tenant_info(admin, 7).admitted_total, total, total + BUCKET_BROKERS * most);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(no_interval_of_a_bucket_has_more_than_its_burst_and_rate)
{
	run_bucket(1500, 3, 2, 5);
}

TEST(a_bucket_gives_all_of_its_rate_to_brokers_that_always_ask)
{
	run_bucket(1000, 700, 5, 6);
}
