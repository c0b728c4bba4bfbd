/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * transfers.c - how often cache lines move between processors when 1 to 64 brokers use one tenant
 *
 * Two processors can't show what 64 do, but what makes them slow can be counted: a processor that
 * stores to a line must have it alone, and one that loads from a line must have a copy of its last
 * state. Here each broker is a processor of its own with a cache without end. Its accesses to the
 * registry's shared memory, all of which are the library's own (explore_base.h), are made and
 * counted: a transfer is an access to a line that this broker does not have in the state needed.
 *
 * All brokers are handles of one thread, so the count hardly depends on the machine. They take
 * turns with each message, which moves lines more often than anything that processors do. A broker
 * that is about to count a message finds from time to time that another has come before it; so the
 * window is shared out (hot.h), as it is between real processors. The clock is the test's own.
 */
#include <inttypes.h>
#include <string.h>

#include "explore_base.h"
#include "handle.h"
#include "process.h"

enum { BROKERS = 64, LINE = 64, PER_SECOND = 1000000 };

#define NS_PER_S UINT64_C(1000000000)

/* ---- the lines ------------------------------------------------------------------------------- */

/* Bits of the brokers that have a copy; if `alone`, the only one may store without a transfer. */
struct line {
	uint64_t have;
	bool alone;
};

struct part {
	struct line *lines;
	size_t count;
};

static struct part parts[2]; /* of `defs` and of `live` */
static struct k2k_registry *brokers[BROKERS];
static unsigned int broker_count;
/* The broker whose call it is; -1: nothing is counted, as in the brokers' own threads. */
static _Thread_local int now_on = -1;
static uint64_t transfers;

static struct line *line_of(const struct k2k_segment *segment, struct part *part,
                            const volatile void *address)
{
	uintptr_t offset = (uintptr_t)address - (uintptr_t)segment->base;

	return offset / LINE < part->count ? &part->lines[offset / LINE] : NULL;
}

static void access_line(const volatile void *address, bool stores)
{
	const struct k2k_registry *reg;
	struct line *line;
	uint64_t me;

	if (now_on < 0)
		return;
	reg = brokers[now_on];
	me = UINT64_C(1) << now_on;
	line = line_of(&reg->defs, &parts[0], address);
	if (!line)
		line = line_of(&reg->live, &parts[1], address);
	if (!line) /* the process's own memory */
		return;
	transfers += stores ? line->have != me || !line->alone : !(line->have & me);
	line->alone = stores || (line->alone && line->have == me);
	line->have = stores ? me : line->have | me;
}

/* ---- another broker comes before this one ---------------------------------------------------- */

static bool ask(unsigned int broker);

/* One exchange in four of the tenant's cell finds that another broker's message was counted. */
static void let_another_come_before(const volatile void *address)
{
	static bool coming;

	if (now_on < 0 || coming || broker_count == 1 ||
	    (uintptr_t)address - (uintptr_t)&brokers[now_on]->map.cells[0] >= LINE ||
	    random_below(4) != 0)
		return;
	coming = true;
	ask(((unsigned int)now_on + 1 + (unsigned int)random_below(broker_count - 1)) %
	    broker_count);
	coming = false;
}

/* ---- the library's accesses, as explore_base.h declares them --------------------------------- */

static uint64_t load(const volatile void *p, size_t bytes)
{
	return bytes == 4 ? __atomic_load_n((const volatile uint32_t *)p, __ATOMIC_SEQ_CST)
	                  : __atomic_load_n((const volatile uint64_t *)p, __ATOMIC_SEQ_CST);
}

static bool exchange(volatile void *p, size_t bytes, uint64_t *expected, uint64_t value)
{
	uint32_t half = (uint32_t)*expected;
	bool done;

	if (bytes != 4)
		return __atomic_compare_exchange_n((volatile uint64_t *)p, expected, value, false,
		                                   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	done = __atomic_compare_exchange_n((volatile uint32_t *)p, &half, (uint32_t)value, false,
	                                   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	*expected = half;
	return done;
}

uint64_t explore_load(const volatile void *p, size_t bytes, enum explore_order order,
                      struct explore_site *site)
{
	(void)order;
	(void)site;
	access_line(p, false);
	return load(p, bytes);
}

void explore_store(volatile void *p, size_t bytes, uint64_t value, enum explore_order order,
                   struct explore_site *site)
{
	explore_rmw(p, bytes, EXPLORE_EXCHANGE, value, order, site);
}

uint64_t explore_rmw(volatile void *p, size_t bytes, enum explore_rmw what, uint64_t operand,
                     enum explore_order order, struct explore_site *site)
{
	uint64_t was = load(p, bytes), value;

	(void)order;
	(void)site;
	access_line(p, true);
	do
		value = what == EXPLORE_ADD   ? was + operand
		        : what == EXPLORE_SUB ? was - operand
		        : what == EXPLORE_OR  ? was | operand
		        : what == EXPLORE_AND ? was & operand
		                              : operand;
	while (!exchange(p, bytes, &was, value));
	return was;
}

bool explore_cas(volatile void *p, size_t bytes, void *expected, uint64_t value,
                 enum explore_order order, enum explore_order failure, struct explore_site *site)
{
	uint64_t was = load(expected, bytes);
	bool done;

	(void)order;
	(void)failure;
	(void)site;
	let_another_come_before(p);
	access_line(p, true);
	done = exchange(p, bytes, &was, value);
	memcpy(expected, &was, bytes); /* x86-64 and aarch64 store the low bytes first */
	return done;
}

bool explore_cas_pair(volatile void *low, volatile void *high, uint64_t low_was, uint64_t high_was,
                      uint64_t new_low, uint64_t new_high, enum explore_order order,
                      enum explore_order failure, struct explore_site *site)
{
	typedef unsigned __int128 __attribute__((may_alias)) pair;

	(void)high;
	(void)order;
	(void)failure;
	(void)site;
	let_another_come_before(low);
	access_line(low, true);
	return __sync_bool_compare_and_swap((volatile pair *)low, (pair)high_was << 64 | low_was,
	                                    (pair)new_high << 64 | new_low);
}

void explore_fence(enum explore_order order, struct explore_site *site)
{
	(void)order;
	(void)site;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void explore_yield(void)
{
	sched_yield();
}

/* ---- the messages ---------------------------------------------------------------------------- */

static uint64_t clock_ns;
static uint64_t asked[2], moved[2]; /* messages and their transfers; [1]: of those that pass */

/* Its own transfers, without those of another that comes before it. */
static bool ask(unsigned int broker)
{
	uint64_t of_others = transfers;
	int before = now_on, code;

	transfers = 0;
	now_on = (int)broker;
	code = k2k_message_admit(brokers[broker], 1, (struct k2k_audit_tag){ 0, 0 }, 1, NULL);
	now_on = before;
	assert_true(code == 0 || code == K2K_ERATE);
	asked[code == 0]++;
	moved[code == 0] += transfers;
	transfers = of_others;
	return code == 0;
}

static void begin_lines(struct part *part, const struct k2k_segment *segment)
{
	part->count = segment->bytes / LINE;
	part->lines = calloc(part->count, sizeof *part->lines);
	assert_non_null(part->lines);
}

static struct k2k_registry *begin(unsigned int brokers_of_it, enum k2k_rate_policy policy,
                                  const char **name)
{
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = PER_SECOND,
		                   .rate_policy = policy,
		                   .burst = policy == K2K_RATE_BUCKET ? 1000 : 0 };
	struct k2k_registry *admin;

	*name = small_registry(1, &admin);
	assert_int_equal(k2k_tenant_register(admin, 1, &quota), 0);
	broker_count = brokers_of_it;
	for (unsigned int i = 0; i < broker_count; i++) {
		brokers[i] = open_as(*name, K2K_ROLE_BROKER);
		k2k_clock_simulate(&brokers[i]->clock, &clock_ns, NULL);
	}
	begin_lines(&parts[0], &admin->defs);
	begin_lines(&parts[1], &admin->live);
	return admin;
}

static void end(struct k2k_registry *admin, const char *name)
{
	for (unsigned int i = 0; i < broker_count; i++)
		assert_int_equal(k2k_registry_close(&brokers[i]), 0);
	free(parts[0].lines);
	free(parts[1].lines);
	close_and_destroy(name, &admin);
}

/* Transfers of a message that passes, where five ask for every four that may pass. */
static double transfers_of(unsigned int brokers_of_it, enum k2k_rate_policy policy)
{
	const unsigned int demand = PER_SECOND / 4 * 5;
	struct k2k_registry *admin;
	double passed, refused;
	const char *name;

	clock_ns = 1000 * NS_PER_S;
	admin = begin(brokers_of_it, policy, &name);
	/* in the first second each broker gets its first copy of each line */
	for (unsigned int i = 0; i < 2 * demand; i++) {
		if (i == demand)
			memset(asked, 0, sizeof asked), memset(moved, 0, sizeof moved);
		clock_ns = 1000 * NS_PER_S + i * NS_PER_S / demand;
		ask(i % broker_count);
	}
	passed = (double)moved[1] / (double)asked[1];
	refused = (double)moved[0] / (double)asked[0];
	printf("# %2u brokers, %s: %.4f transfers a message that passes, %.4f one that does not\n",
	       broker_count, policy == K2K_RATE_BUCKET ? "bucket" : "window", passed, refused);
	fflush(stdout); /* a check that fails aborts */
	end(admin, name);
	return passed;
}

TEST(brokers_that_share_out_a_window_seldom_move_a_line)
{
	assert_true(transfers_of(1, K2K_RATE_WINDOW) == 0);
	for (unsigned int n = 4; n <= BROKERS; n *= 4)
		assert_true(transfers_of(n, K2K_RATE_WINDOW) <= 0.05);
}

/* What is not shared out moves with each message: so the count does not overlook it. */
TEST(brokers_of_one_bucket_move_its_line_with_each_message)
{
	assert_true(transfers_of(BROKERS, K2K_RATE_BUCKET) >= 1);
}
