/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_audit_flood - one process is rejected as fast as it can call: every rejection is counted
 * once, nothing grows, and a broker on another processor is not slowed
 *
 * Two floods: one kind whose repeats become one event (a tenant over its rate), and one kind whose
 * rejections can't be merged (another name each time).
 */
#define HARNESS_TIMEOUT_S 120
#include "process.h"

#include <dirent.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>

enum { REJECTED = 7, ADMITTED = 8 };
enum work { REST, SPIN, REPEAT, DISTINCT, END };

#define SECOND UINT64_C(1000000000)
#define FLOOD_NS (SECOND * 2)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* ---- rejections ------------------------------------------------------------------- */

static void reject(struct k2k_registry *reg, enum work work, uint64_t number)
{
	static __thread char name[24] = "kernel-0000000000000000";

	if (work == REPEAT) {
		assert_int_equal(k2k_message_admit(reg, REJECTED, no_tag, 1, NULL), K2K_ERATE);
		return;
	}
	for (int i = 22; i > 6; i--, number >>= 4)
		name[i] = "0123456789abcdef"[number & 15];
	assert_int_equal(k2k_audit_cross_tenant(reg, REJECTED, ADMITTED, name, "to", no_tag), 0);
}

static uint32_t kind_of(enum work work)
{
	return work == REPEAT ? K2K_AUDIT_KIND_RATE : K2K_AUDIT_KIND_CROSS_TENANT;
}

/* The ring of broker slot 0. */
static uint32_t ring_of(uint32_t kind)
{
	return kind == K2K_AUDIT_KIND_RATE ? 0 : K2K_AUDIT_RING_SECURITY;
}

static struct k2k_audit_stats stats_of(struct k2k_registry *reg)
{
	struct k2k_audit_stats stats = { .size = sizeof stats };

	assert_int_equal(k2k_audit_stats(reg, &stats), 0);
	return stats;
}

static uint64_t told(const struct k2k_audit_stats *stats, uint32_t kind)
{
	return stats->written[kind] + stats->coalesced[kind] + stats->lost[kind];
}

static const char *flooded_registry(struct k2k_registry **admin)
{
	const char *name = small_registry(4, admin);

	register_tenant(*admin, REJECTED, 0, 0);
	register_tenant(*admin, ADMITTED, K2K_UNLIMITED, 0);
	return name;
}

/* ---- what must not grow -------------------------------------------------------------- */

static uint64_t resident_kib(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	uint64_t kib = 0;

	assert_true(file);
	while (fgets(line, sizeof line, file))
		if (sscanf(line, "VmRSS: %" SCNu64, &kib) == 1)
			break;
	fclose(file);
	assert_true(kib > 0);
	return kib;
}

/* Returns a number that changes if the registry's objects grow. */
static uint64_t shared_room(const char *name)
{
	DIR *dir = opendir("/dev/shm");
	char prefix[128];
	struct dirent *entry;
	uint64_t room = 0;

	assert_true(dir);
	snprintf(prefix, sizeof prefix, "k2k.%s.", name);
	while ((entry = readdir(dir))) {
		struct stat st;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		assert_int_equal(fstatat(dirfd(dir), entry->d_name, &st, 0), 0);
		room += (uint64_t)st.st_blocks + (uint64_t)st.st_size;
	}
	closedir(dir);
	assert_true(room > 0);
	return room;
}

/* ---- exact numbers ---------------------------------------------------------------------- */

struct count {
	_Atomic uint64_t rejections, took_ns;
	atomic_bool over;
	_Atomic uint64_t events, represented, missing; /* as the follower saw them */
};

/* Reads all events, until the flood is over and everything was read. */
static void follow(const char *name, uint32_t kind, struct count *count)
{
	static struct k2k_audit_record records[128];
	struct k2k_audit_cursor cursor = K2K_AUDIT_CURSOR_INIT;
	struct k2k_registry *reg = open_as(name, K2K_ROLE_OBSERVER);
	uint64_t next = 1;
	bool over;
	size_t n;

	cursor.next[ring_of(kind)] = 1;
	do {
		over = atomic_load(&count->over);
		records[0] = (struct k2k_audit_record){ .size = sizeof records[0] };
		assert_int_equal(k2k_audit_read(reg, &cursor, 0, records, 128, &n), 0);
		for (size_t i = 0; i < n; i++) {
			const struct k2k_audit_record *r = &records[i];

			if (r->ring != ring_of(kind))
				continue;
			assert_int_equal(r->sequence, next);
			next += r->flags & K2K_AUDIT_LOST ? r->count : 1;
			if (r->flags & K2K_AUDIT_LOST) {
				atomic_fetch_add(&count->missing, r->count);
				continue;
			}
			assert_int_equal(r->kind, kind);
			atomic_fetch_add(&count->events, 1);
			atomic_fetch_add(&count->represented, r->count);
		}
		if (!n && !over)
			assert_int_equal(k2k_audit_wait(reg, &cursor, SECOND / 10), 0);
	} while (n || !over);
	assert_int_equal(k2k_registry_close(&reg), 0);
}

static void flood(const char *name, enum work work, struct count *count)
{
	struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);
	uint64_t number = 0, begin = now_ns(), end, resident, room;

	/*
	 * Touches all pages first, including those of the table of repeats with its 32,768 entries.
	 */
	for (; number < 500000; number++)
		reject(reg, work, number);
	resident = resident_kib();
	room = shared_room(name);
	for (end = now_ns() + FLOOD_NS; now_ns() < end;)
		for (int i = 0; i < 1000; i++)
			reject(reg, work, number++);
	if (!SANITIZED && resident_kib() > resident + 64)
		fail_msg("%" PRIu64 " rejections, and %" PRIu64 " KiB became %" PRIu64, number,
		         resident, resident_kib());
	assert_int_equal(shared_room(name), room);
	atomic_store(&count->rejections, number);
	atomic_store(&count->took_ns, now_ns() - begin);
	assert_int_equal(k2k_registry_close(&reg), 0);
}

/* Returns how many events there were beyond one a second. */
static uint64_t check_flood(enum work work)
{
	struct count *count = shared_bytes(sizeof *count);
	struct k2k_audit_stats stats;
	struct k2k_registry *admin;
	const char *name = flooded_registry(&admin);
	uint32_t kind = kind_of(work);
	pid_t follower, flooder;
	uint64_t wanted;

	follower = spawn();
	if (follower == 0) {
		follow(name, kind, count);
		_exit(0);
	}
	flooder = spawn();
	if (flooder == 0) {
		flood(name, work, count);
		_exit(0);
	}
	spawn_wait(flooder);
	atomic_store(&count->over, true);
	spawn_wait(follower);
	stats = stats_of(admin);
	printf("# %" PRIu64 " rejections: %" PRIu64 " written, %" PRIu64 " coalesced, %" PRIu64
	       " lost; a follower saw %" PRIu64 " events for %" PRIu64 ", and missed %" PRIu64 "\n",
	       atomic_load(&count->rejections), stats.written[kind], stats.coalesced[kind],
	       stats.lost[kind], atomic_load(&count->events), atomic_load(&count->represented),
	       atomic_load(&count->missing));
	assert_int_equal(told(&stats, kind), atomic_load(&count->rejections));
	assert_int_equal(stats.lost[kind], 0);
	assert_int_equal(stats.newest[ring_of(kind)], stats.written[kind]);
	assert_int_equal(atomic_load(&count->events) + atomic_load(&count->missing),
	                 stats.newest[ring_of(kind)]);
	if (work == REPEAT) {
		/* each with its exact number */
		assert_int_equal(atomic_load(&count->missing), 0);
		assert_int_equal(atomic_load(&count->represented), atomic_load(&count->rejections));
	} else {
		assert_int_equal(stats.coalesced[kind], 0);
		assert_int_equal(atomic_load(&count->represented), atomic_load(&count->events));
	}
	wanted = atomic_load(&count->took_ns) / SECOND + 2;
	check_clean(admin);
	close_and_destroy(name, &admin);
	return stats.written[kind] > wanted ? stats.written[kind] - wanted : 0;
}

/*
 * A thread that finds an entry of the table busy writes an event of its own. If other load
 * interrupts the helper while it holds an entry, there are more events than seconds: so one good
 * run is enough, not each.
 */
TEST(repeats_by_the_million_are_counted_exactly_in_an_event_a_second)
{
	uint64_t end = now_ns() + 60 * SECOND, more;

	while ((more = check_flood(REPEAT)) != 0)
		if (now_ns() > end)
			fail_msg("%" PRIu64 " events more than one a second, again and again",
			         more);
}

TEST(distinct_rejections_by_the_million_are_counted_exactly)
{
	check_flood(DISTINCT);
}

/* ---- several threads of one process ------------------------------------------------------- */

enum { THREADS = 4, EACH = SANITIZED ? 20000 : 300000 };

struct hand {
	struct k2k_registry *reg;
	uint64_t first;
	pthread_t thread;
};

static void *reject_both(void *context)
{
	struct hand *hand = context;

	for (uint64_t i = 0; i < EACH; i++) {
		reject(hand->reg, REPEAT, 0);
		reject(hand->reg, DISTINCT, hand->first + i);
	}
	return NULL;
}

TEST(threads_that_are_rejected_at_the_same_time_lose_no_count)
{
	struct k2k_registry *admin, *reg;
	const char *name = flooded_registry(&admin);
	struct hand hands[THREADS];
	struct k2k_audit_stats stats;

	reg = open_as(name, K2K_ROLE_BROKER);
	for (uint64_t i = 0; i < THREADS; i++) {
		hands[i] = (struct hand){ .reg = reg, .first = i * EACH };
		assert_int_equal(pthread_create(&hands[i].thread, NULL, reject_both, &hands[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(hands[i].thread, NULL), 0);
	stats = stats_of(admin);
	assert_int_equal(told(&stats, K2K_AUDIT_KIND_RATE), THREADS * EACH);
	assert_int_equal(told(&stats, K2K_AUDIT_KIND_CROSS_TENANT), THREADS * EACH);
	for (uint32_t kind = K2K_AUDIT_KIND_CROSS_TENANT; kind <= K2K_AUDIT_KIND_RATE; kind++)
		assert_int_equal(stats.newest[ring_of(kind)],
		                 stats.written[kind] + stats.lost[kind]);
	assert_int_equal(k2k_registry_close(&reg), 0);
	close_and_destroy(name, &admin);
}

/* ---- a broker on another processor ----------------------------------------------------------- */

enum { ROUNDS = 15, SAMPLE_CALLS = 500, SAMPLES = 1 << 14 };
#define ROUND_NS (SECOND / 25)

struct arena {
	_Alignas(128) _Atomic int work; /* what the process on the first processor is to do */
	_Alignas(128) _Atomic int doing;
	_Alignas(128) _Atomic uint64_t progress; /* of that work */
	_Alignas(128) atomic_bool ready;
};

/* The n-th processor that this process may use. */
static bool pin(int n)
{
	cpu_set_t may, one;

	assert_int_equal(sched_getaffinity(0, sizeof may, &may), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &may) || n-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
		return true;
	}
	return false;
}

/* Does the work that the arena asks for, and shows its progress. */
static void disturb(const char *name, struct arena *arena)
{
	struct k2k_registry *reg;
	uint64_t number = 0;
	int work;

	assert_true(pin(0));
	reg = open_as(name, K2K_ROLE_BROKER);
	atomic_store(&arena->ready, true);
	while ((work = atomic_load_explicit(&arena->work, memory_order_relaxed)) != END) {
		atomic_store_explicit(&arena->doing, work, memory_order_relaxed);
		if (work == REST) {
			pause_ns(100000);
			continue;
		}
		for (int i = 0; i < 50; i++, number++)
			if (work == SPIN)
				for (int turn = 0; turn < 100; turn++)
					atomic_signal_fence(memory_order_seq_cst);
			else
				reject(reg, (enum work)work, number);
		atomic_store_explicit(&arena->progress, number, memory_order_relaxed);
	}
	assert_int_equal(k2k_registry_close(&reg), 0);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
	assert_true(count > 0);
	qsort(values, count, sizeof *values, compare);
	return values[count / 2];
}

/*
 * Returns the nanoseconds of one admit while the other process works: the median of short samples,
 * because a preempted sample is far off. A sample in which the other process made no progress (it
 * may have lost its processor) is left out.
 */
static double admit_beside(struct k2k_registry *reg, struct arena *arena, enum work work)
{
	static double samples[SAMPLES];
	uint64_t end;
	size_t count = 0;

	atomic_store(&arena->work, (int)work);
	WAIT_UNTIL(atomic_load(&arena->doing) == (int)work, PATIENCE_S);
	end = now_ns() + ROUND_NS;
	/* longer if it hardly got to run */
	while ((now_ns() < end || count < 50) && count < SAMPLES) {
		uint64_t progress = atomic_load(&arena->progress), start = now_ns();

		for (int i = 0; i < SAMPLE_CALLS; i++)
			assert_int_equal(k2k_message_admit(reg, ADMITTED, no_tag, 1, NULL), 0);
		samples[count] = (double)(now_ns() - start) / SAMPLE_CALLS;
		count += work == REST || atomic_load(&arena->progress) != progress;
		if (now_ns() > end + PATIENCE_S * SECOND)
			fail_msg("the other process does not get to run");
	}
	return median(samples, count);
}

/* Returns the median ratio of a round beside `work` to the round before it, beside `basis`. */
static double slowed(struct k2k_registry *reg, struct arena *arena, enum work basis, enum work work,
                     const char *text)
{
	double ratios[ROUNDS], without[ROUNDS], with[ROUNDS], ratio;

	for (int i = 0; i < ROUNDS; i++) {
		without[i] = admit_beside(reg, arena, basis);
		with[i] = admit_beside(reg, arena, work);
		ratios[i] = with[i] / without[i];
	}
	ratio = median(ratios, ROUNDS);
	printf("# admit %s: %.1f ns, without %.1f ns; ratio %.3f\n", text, median(with, ROUNDS),
	       median(without, ROUNDS), ratio);
	return ratio;
}

TEST(a_flood_does_not_slow_an_admit_on_another_processor)
{
	struct arena *arena = shared_bytes(sizeof *arena);
	struct k2k_registry *admin, *reg;
	const char *name;
	double spinning, repeats, distinct;
	pid_t flooder;

	if (SANITIZED)
		skip_msg("what is measured is the sanitizer");
	name = flooded_registry(&admin);
	flooder = spawn();
	if (flooder == 0) {
		disturb(name, arena);
		_exit(0);
	}
	if (!pin(1))
		skip_msg("THE COST OF A FLOOD TO OTHERS IS NOT TESTED: there is but one processor");
	reg = open_as(name, K2K_ROLE_BROKER);
	WAIT_UNTIL(atomic_load(&arena->ready), PATIENCE_S);
	spinning = slowed(reg, arena, REST, SPIN, "beside a loop that does nothing");
	if (spinning > 1.1)
		skip_msg("THE COST OF A FLOOD TO OTHERS IS NOT TESTED: anything that runs on one "
		         "of the two processors slows the other");
	repeats = slowed(reg, arena, SPIN, REPEAT, "beside a flood of repeats");
	distinct = slowed(reg, arena, SPIN, DISTINCT, "beside a flood of distinct ones");
	atomic_store(&arena->work, (int)END);
	spawn_wait(flooder);
	if (repeats > 1.1 || distinct > 1.1)
		fail_msg("a flood of rejections makes an admit on another processor take %.3f, "
		         "%.3f times as long",
		         repeats, distinct);
	assert_int_equal(k2k_registry_close(&reg), 0);
	close_and_destroy(name, &admin);
}
