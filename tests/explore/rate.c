/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rate.c - programs of the rate words (lib/rate.h): admit, record, a window that rolls, a bucket
 * that fills, a definition that changes.
 *
 * I3: in each second, messages counted by `admit` are at most the limit, and as many as the limit
 * if more was asked. Which second a message counts in is decided by `admitted`: the window that
 * rolls begins with the value that `admitted` had, its base.
 */
#include "rate.h"

#include "world.h"

#define ID 7

static uint32_t slot;
/* by thread */
static unsigned int passed[EXPLORE_THREADS], recorded[EXPLORE_THREADS];
/* by the second that the verdict names */
static unsigned int granted[2], refused[2];
static uint64_t begun_with; /* `admitted` at the start */

/* A tenant whose window or bucket is of `second`, with nothing used of it. */
static void begin_with(const struct k2k_limits *limits, uint64_t second)
{
	world_begin(&(struct world_sizes){ .tenants = 1 });
	slot = world_tenant(ID, limits);
	for (int i = 0; i < EXPLORE_THREADS; i++) {
		world_broker(i);
		passed[i] = recorded[i] = 0;
	}
	for (int i = 0; i < 2; i++)
		granted[i] = refused[i] = 0;
	begun_with = 40;
	k2k_store_relaxed(&world_map.cells[slot].admitted, begun_with);
	k2k_store_relaxed(&world_map.cells[slot].window, k2k_rate_pack_second(second, 1));
	k2k_store_relaxed(&world_map.cells[slot].ceiling,
	                  begun_with + (limits->mode & K2K_MODE_BUCKET ? limits->burst : 0));
}

static void begin(uint64_t limit, uint64_t second)
{
	begin_with(&(struct k2k_limits){ .rate = limit }, second);
}

static void begin_bucket(uint64_t rate, uint64_t burst, uint64_t second)
{
	begin_with(&(struct k2k_limits){ .rate = rate, .burst = burst, .mode = K2K_MODE_BUCKET },
	           second);
}

static void admit(void)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	int code = k2k_message_admit(world_self(), ID, (struct k2k_audit_tag){ 0, 0 }, 1, &verdict);

	explore_assert(code == 0 || code == K2K_ERATE);
	explore_assert(verdict.window == WORLD_SECOND || verdict.window == WORLD_SECOND + 1);
	explore_assert(code || verdict.used <= verdict.limit);
	(code ? refused : granted)[verdict.window - WORLD_SECOND]++;
	passed[explore_self()] += code == 0;
}

static void admit_twice(void)
{
	admit();
	admit();
}

static void record(void)
{
	explore_assert(k2k_message_record(world_self(), ID) == 0);
	recorded[explore_self()]++;
}

static void tick(void)
{
	world_set_second(WORLD_SECOND + 1);
}

static uint64_t sum(const unsigned int counts[EXPLORE_THREADS])
{
	uint64_t all = 0;

	for (int i = 0; i < EXPLORE_THREADS; i++)
		all += counts[i];
	return all;
}

/* How much was counted in the window of WORLD_SECOND and in the one after. */
static void used(uint64_t counts[2])
{
	uint64_t admitted = k2k_load_relaxed(&world_map.cells[slot].admitted);
	uint64_t window = k2k_load_relaxed(&world_map.cells[slot].window);
	uint64_t base = k2k_load_relaxed(&world_map.cells[slot].ceiling);

	counts[0] = counts[1] = 0;
	if (k2k_rate_second(window) == WORLD_SECOND + 1) {
		counts[0] = base - begun_with;
		counts[1] = admitted - base;
	} else {
		explore_assert(base == begun_with);
		counts[0] = admitted - begun_with;
	}
}

static void setup_two(void)
{
	begin(2, WORLD_SECOND);
}

static void setup_one(void)
{
	begin(1, WORLD_SECOND);
}

/* Nobody has sent anything for seconds. */
static void setup_old(void)
{
	begin(2, WORLD_SECOND - 5);
}

/*
 * A message that is granted between a roller's look and its roll names the old second, and takes
 * room in the new one: so a refusal is right if as many as the limit name its second, or count in
 * it. A thread that died may have counted one that it did not come to tell of.
 */
static void check_limit_of(uint64_t limit)
{
	uint64_t counts[2], untold = explore_end_of(0) == EXPLORE_DEAD;

	used(counts);
	explore_assert(counts[0] + counts[1] - sum(passed) <= untold);
	for (int i = 0; i < 2; i++) {
		explore_assert(counts[i] <= limit);
		explore_assert(refused[i] == 0 || counts[i] == limit || granted[i] == limit);
	}
	explore_outcome("%u+%u", (unsigned int)counts[0], (unsigned int)counts[1]);
}

static void check_two(void)
{
	check_limit_of(2);
}

static void check_one(void)
{
	check_limit_of(1);
}

PROGRAM(rate_admit, .what = "three admissions of one second share a limit of two",
        .setup = setup_two, .threads = { admit, admit, admit }, .check = check_two,
        .outcomes = { "2+0" })
PROGRAM(rate_admit_dead, .what = "a broker that dies leaves nothing behind", .setup = setup_two,
        .threads = { admit, admit, admit }, .mortal = 1, .deaths = 1, .check = check_two)
PROGRAM(rate_roll, .what = "a window rolls while two broker admit twice", .setup = setup_one,
        .threads = { admit_twice, admit_twice, tick }, .check = check_one,
        .outcomes = { "1+0", "0+1", "1+1" })
PROGRAM(rate_roll_two, .what = "a window that another begins has room", .setup = setup_two,
        .threads = { admit, admit_twice, tick }, .check = check_two)
PROGRAM(rate_roll_three, .what = "a window rolls while three broker admit", .setup = setup_one,
        .threads = { admit, admit, admit, tick }, .check = check_one,
        .outcomes = { "1+0", "0+1", "1+1" })
PROGRAM(rate_old, .what = "three find a window of seconds ago", .setup = setup_old,
        .threads = { admit, admit, admit }, .check = check_two, .outcomes = { "2+0" })

/* What `record` counts takes room, and is never refused. */
static void check_recorded(void)
{
	uint64_t counts[2];

	used(counts);
	explore_assert(counts[0] + counts[1] == sum(passed) + sum(recorded));
	explore_assert(sum(recorded) == 2);
	explore_assert(counts[0] <= 4 && sum(passed) <= 4);
	explore_outcome("%u of %u", (unsigned int)sum(passed),
	                (unsigned int)(counts[0] + counts[1]));
}

PROGRAM(rate_record, .what = "two records beside two admissions", .setup = setup_two,
        .threads = { admit_twice, record, record }, .check = check_recorded,
        .outcomes = { "0 of 2", "1 of 3", "2 of 4" })
PROGRAM(rate_record_roll, .what = "a record rolls the window beside an admission",
        .setup = setup_one, .threads = { admit, record, record, tick }, .check = check_recorded)

/* ---- a limit that changes ------------------------------------------------------------- */

/* The writer's part of an update: the other set, then the version. */
static void update_with(const struct k2k_limits *limits)
{
	k2k_rate_settle(&world_map, slot, &world_self()->clock);
	k2k_tenant_prepare(&world_map, slot, limits);
	k2k_tenant_flip(&world_map, slot, limits->mode);
	k2k_rate_settle(&world_map, slot, &world_self()->clock);
}

static void update_to(uint64_t rate)
{
	update_with(&(struct k2k_limits){ .rate = rate });
}

static void lower(void)
{
	update_to(1);
}

static void raise_and_lower(void)
{
	update_to(3);
	update_to(1);
}

/* One call a thread may still be counted under a limit that it had loaded. */
static void check_changed(void)
{
	uint64_t counts[2];

	used(counts);
	explore_assert(counts[0] == sum(passed) && counts[0] <= 3);
	explore_outcome("%u", (unsigned int)counts[0]);
}

PROGRAM(rate_limit_falls, .what = "a limit falls from two to one beside three admissions",
        .setup = setup_two, .threads = { admit_twice, admit, lower }, .check = check_changed,
        .outcomes = { "1", "2" })
PROGRAM(rate_limit_changes, .what = "a limit rises from one to three, and falls to one",
        .setup = setup_one, .threads = { admit_twice, raise_and_lower }, .check = check_changed,
        .outcomes = { "1", "2" })

/* ---- buckets -------------------------------------------------------------------------- */

static void setup_bucket(void)
{
	begin_bucket(1, 2, WORLD_SECOND);
}

/* Of seconds ago: each of the threads finds it full, and may move its origin. */
static void setup_bucket_full(void)
{
	begin_bucket(1, 2, WORLD_SECOND - 5);
}

static void setup_bucket_new(void)
{
	begin_bucket(1, 1, WORLD_SECOND);
	k2k_store_relaxed(&world_map.cells[slot].window, K2K_RATE_NEVER_USED << K2K_RATE_TAG_BITS);
	k2k_store_relaxed(&world_map.cells[slot].ceiling, 0);
}

/*
 * What was free at first, and one a second. A call that stands still between its look and its count
 * counts later than its verdict says; one that finds the bucket full by a total that is old leaves
 * it less than full: so a refusal is right if the burst is gone.
 */
static void check_bucket_of(uint64_t burst)
{
	uint64_t admitted = k2k_load_relaxed(&world_map.cells[slot].admitted) - begun_with;
	uint64_t untold = explore_end_of(0) == EXPLORE_DEAD;

	explore_assert(admitted - sum(passed) <= untold);
	explore_assert(granted[0] <= burst);
	explore_assert(
		admitted <=
		burst + (k2k_clock_now(&world_handles[0].clock).second > WORLD_SECOND ? 1 : 0));
	explore_assert(refused[0] + refused[1] == 0 || admitted >= burst);
	explore_outcome("%u+%u", granted[0], granted[1]);
}

static void check_bucket(void)
{
	check_bucket_of(2);
}

static void check_bucket_new(void)
{
	check_bucket_of(1);
}

PROGRAM(rate_bucket, .what = "three admissions share a bucket of two", .setup = setup_bucket,
        .threads = { admit, admit, admit }, .check = check_bucket, .outcomes = { "2+0" })
PROGRAM(rate_bucket_dead, .what = "a broker that dies leaves the bucket as it was",
        .setup = setup_bucket_full, .threads = { admit, admit, admit }, .mortal = 1, .deaths = 1,
        .check = check_bucket)
PROGRAM(rate_bucket_full, .what = "three find a bucket that has been full for long",
        .setup = setup_bucket_full, .threads = { admit, admit, admit }, .check = check_bucket,
        .outcomes = { "2+0" })
PROGRAM(rate_bucket_fills, .what = "a bucket of two is used up and gains one",
        .setup = setup_bucket, .threads = { admit_twice, admit_twice, tick }, .check = check_bucket)
PROGRAM(rate_bucket_new, .what = "a bucket that was never used is full, also when time goes on",
        .setup = setup_bucket_new, .threads = { admit, admit_twice, tick },
        .check = check_bucket_new)

/* ---- from one to the other ------------------------------------------------------------- */

static void to_bucket(void)
{
	update_with(&(struct k2k_limits){ .rate = 1, .burst = 1, .mode = K2K_MODE_BUCKET });
}

static void to_window(void)
{
	update_to(1);
}

static void there_and_back(void)
{
	to_bucket();
	to_window();
}

static void setup_one_left(void)
{
	begin_bucket(1, 1, WORLD_SECOND);
}

/* In one second: a bucket gets no more than the window has left. */
static void check_no_more_than_two(void)
{
	explore_assert(sum(passed) <= 2);
	explore_outcome("%u", (unsigned int)sum(passed));
}

/* A window that a bucket becomes begins with nothing used. */
static void check_no_more_than_three(void)
{
	explore_assert(sum(passed) <= 3);
	explore_outcome("%u", (unsigned int)sum(passed));
}

PROGRAM(rate_to_bucket, .what = "a window of two becomes a bucket beside two admissions",
        .setup = setup_two, .threads = { admit, admit, to_bucket }, .check = check_no_more_than_two,
        .outcomes = { "1", "2" })
PROGRAM(rate_to_window, .what = "a bucket of one becomes a window of one", .setup = setup_one_left,
        .threads = { admit, admit, to_window }, .check = check_no_more_than_two,
        .outcomes = { "1", "2" })
FULL_PROGRAM(rate_there_and_back, .what = "a window becomes a bucket, and that a window",
             .setup = setup_two, .threads = { admit_twice, there_and_back },
             .check = check_no_more_than_three)
