/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_between_leases.c - an acquire or a release is interrupted after each of its instructions,
 * while other brokers acquire and release: never more is held than the limit, and a free unit is
 * never refused. x86-64 only, as crash_trace.h.
 *
 * The victim is broker A; B and C are handles of this process, or the stores that such brokers
 * would make.
 */
#include "interrupt.h"

#include "lease.h"

enum { BYTES = K2K_RESOURCE_GPU_MEMORY };

static struct k2k_registry *admin, *b, *c;

static struct k2k_registry *open_broker(void)
{
	struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

	reg->clock.injected_ns = &shared->clock_ns;
	return reg;
}

static void set_limit(uint64_t bytes)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	quota.max_gpu_memory_bytes = bytes;
	assert_int_equal(k2k_tenant_update(admin, 1, &quota, K2K_UPDATE_GPU_MEMORY), 0);
}

static void begin(uint64_t limit)
{
	shared = shared_bytes(sizeof *shared);
	shared->clock_ns = UINT64_C(1000000000000);
	name = small_registry(1, &admin);
	admin->clock.injected_ns = &shared->clock_ns;
	register_tenant(admin, 1, K2K_UNLIMITED, 1);
	set_limit(limit);
	b = open_broker();
	c = open_broker();
}

static void end(void)
{
	assert_int_equal(k2k_registry_close(&b), 0);
	assert_int_equal(k2k_registry_close(&c), 0);
	WAIT_UNTIL(brokers_alive(admin) == 0, PATIENCE_S);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

static int take(struct k2k_registry *reg, uint64_t bytes)
{
	return k2k_gpu_memory_acquire(reg, 1, bytes, NULL, NULL);
}

static void take_surely(struct k2k_registry *reg, uint64_t bytes)
{
	assert_int_equal(take(reg, bytes), 0);
}

static void give(struct k2k_registry *reg, uint64_t bytes)
{
	assert_int_equal(k2k_gpu_memory_release_id(reg, 1, bytes), 0);
}

/* ---- records ---- */

/*
 * Returns the record that the row of a broker slot leads to; null if it leads to none, or to
 * another's.
 */
static struct k2k_shm_lease *record_of(uint32_t broker_slot)
{
	uint32_t link = *k2k_map_lease_link(&admin->map, 0, broker_slot);
	struct k2k_shm_lease *record = &admin->map.leases[link - 1];

	return link && record->whose == (uint64_t)broker_slot << 32 ? record : NULL;
}

static struct k2k_shm_claim *claim_of(struct k2k_registry *reg)
{
	return &record_of(reg->broker.slot)->claims[BYTES];
}

/* The only other record is the victim's. */
static struct k2k_shm_claim *victims_claim(void)
{
	for (uint32_t slot = 0; slot < admin->map.sizes.slots; slot++)
		if (slot != b->broker.slot && slot != c->broker.slot && record_of(slot))
			return &record_of(slot)->claims[BYTES];
	fail_msg("the victim has no record");
}

static uint64_t all_held(void)
{
	uint64_t sum = 0;

	for (uint32_t slot = 0; slot < admin->map.sizes.slots; slot++)
		sum += record_of(slot) ? record_of(slot)->claims[BYTES].held : 0;
	return sum;
}

/* Empties the claim as its owner would by releasing it. */
static void empty(struct k2k_shm_claim *claim)
{
	claim->held = 0;
	claim->ended = claim->asked;
}

/* ---- a request that another broker made and did not get ---- */

enum { LIMIT = 12, HELD = 5, MORE = 5, FOUR = 4, TWO = 2 };

static void acquire_four(struct k2k_registry *reg, struct shared *answer)
{
	answer->code = take(reg, FOUR);
}

static uint64_t asked_before;

static void take_more(struct k2k_shm_claim *claim)
{
	claim->asked += MORE;
	claim->held += MORE;
}

static void end_claim(struct k2k_shm_claim *claim)
{
	claim->asked += TWO;
	claim->ended += TWO;
}

/*
 * B takes more as soon as A has claimed, so that A continues on the path of a request that does not
 * fit.
 */
static bool has_claimed(void *context)
{
	(void)context;
	if (victims_claim()->asked == asked_before)
		return false;
	asked_before = victims_claim()->asked;
	take_more(claim_of(b));
	return true;
}

/* Returns points[at], as seen from a victim stopped at points[from] + 1. */
static struct point seen_from(const struct points *points, size_t from, size_t at)
{
	struct point point = points->list[at];

	point.arrival = 0;
	for (size_t i = from + 1; i <= at; i++)
		point.arrival += points->list[i].at == point.at && points->list[i].iteration == 0;
	return point;
}

static void begin_request(pid_t pid)
{
	run_to(pid, operation_begins);
	empty(victims_claim());
	asked_before = victims_claim()->asked;
}

/*
 * Four of twelve are free when A looks first; when it has claimed them, B has ten. B claims two
 * more, finds A's claim, and ends its own. A reader that loads B's `asked` before that, and its
 * `ended` after it, takes two of the ten for free, and grants A's request.
 */
TEST(a_claim_that_another_withdraws_while_it_is_read_hides_nothing_of_what_is_held)
{
	struct points points = { 0 };
	size_t claimed = 0, at;
	pid_t pid;

	begin(LIMIT);
	take_surely(b, HELD);
	pid = spawn();
	if (pid == 0)
		read_again_and_again(
			&(struct scene){ .role = K2K_ROLE_BROKER, .read = acquire_four });
	victim_take(pid);
	empty(victims_claim());
	asked_before = victims_claim()->asked;
	victim_discover(pid, has_claimed, NULL, true, &points);
	while (!points.list[claimed].is_change)
		claimed++;
	/* Up to the liveness check: the copies come before it. */
	for (at = claimed + 1; !points.list[at].is_call; at++) {
		struct k2k_shm_claim *claim = claim_of(b);
		struct point point = seen_from(&points, claimed, at);

		claim->held -= MORE;
		claim->ended += MORE;
		begin_request(pid);
		assert_true(victim_bring_to(pid, &points.list[claimed]));
		assert_int_not_equal(victims_claim()->asked, asked_before);
		take_more(claim);
		assert_true(victim_bring_to(pid, &point));
		end_claim(claim);
		run_to(pid, operation_ends);
		if (shared->code != K2K_EGPUMEM)
			fail_msg("%zu instructions after the claim: %s, and %" PRIu64
			         " of %d are held",
			         at - claimed, k2k_errname(shared->code), all_held(), LIMIT);
	}
	assert_true(at > claimed + 100);
	victim_kill(pid);
	points_free(&points);
	end();
}

/* ---- two requests for the same unit ---- */

static int code_of_other;

static void both_release(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	empty(victims_claim());
	if (record_of(b->broker.slot))
		empty(claim_of(b));
}

static void b_takes_three(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	code_of_other = take(b, 3);
}

static void acquire_three(struct k2k_registry *reg, struct shared *answer)
{
	answer->code = take(reg, 3);
}

static void one_got_it(uint64_t n)
{
	if (all_held() != 3 || (shared->code == 0) == (code_of_other == 0))
		fail_msg("after %" PRIu64 " instructions: %s and %s, and %" PRIu64 " of 4 are held",
		         n, k2k_errname(shared->code), k2k_errname(code_of_other), all_held());
}

TEST(of_two_that_want_what_only_one_can_have_one_gets_it)
{
	begin(4);
	interrupt_everywhere(admin, &(struct scene){ K2K_ROLE_BROKER, acquire_three, both_release,
	                                             b_takes_three, one_got_it });
	end();
}

/* ---- what is free is not refused ---- */

/* A caller that asks for the usage takes the slow path. */
static void acquire_one_and_ask(struct k2k_registry *reg, struct shared *answer)
{
	answer->verdict = (struct k2k_verdict)K2K_VERDICT_INIT;
	answer->code = k2k_gpu_memory_acquire(reg, 1, 1, NULL, &answer->verdict);
}

static void granted(uint64_t n)
{
	if (shared->code != 0)
		fail_msg("after %" PRIu64 " instructions: %s, but one was free all the time", n,
		         k2k_errname(shared->code));
}

static struct k2k_registry *from, *to;

static void from_has_one(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	empty(victims_claim());
	empty(claim_of(to));
	empty(claim_of(from));
	take_surely(from, 1);
}

static void hand_over(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	give(from, 1);
	take_surely(to, 1);
}

/* One of two is always held: first by one broker, then by the other. */
static void hand_over_while_another_asks(void)
{
	take_surely(b, 1);
	give(b, 1);
	take_surely(c, 1);
	give(c, 1);
	interrupt_everywhere(admin, &(struct scene){ K2K_ROLE_BROKER, acquire_one_and_ask,
	                                             from_has_one, hand_over, granted });
	end();
}

TEST(what_goes_from_one_to_the_next_is_not_counted_twice)
{
	begin(2);
	from = b;
	to = c;
	hand_over_while_another_asks();
}

TEST(what_goes_back_is_not_counted_twice)
{
	begin(2);
	from = c;
	to = b;
	hand_over_while_another_asks();
}

static void one_of_one_is_free(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	empty(victims_claim());
	empty(claim_of(b));
	set_limit(1);
}

static void raise_limit_and_take(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	set_limit(2);
	take_surely(b, 1);
}

TEST(full_is_never_said_by_a_limit_that_was_over_before_the_last_was_taken)
{
	begin(1);
	take_surely(b, 1);
	give(b, 1);
	interrupt_everywhere(admin,
	                     &(struct scene){ K2K_ROLE_BROKER, acquire_one_and_ask,
	                                      one_of_one_is_free, raise_limit_and_take, granted });
	end();
}

/* ---- dead brokers ---- */

TEST(who_takes_a_dead_ones_slot_begins_with_nothing)
{
	struct k2k_registry *heir;
	struct gate ready;
	uint32_t slot = 0;
	pid_t pid;

	begin(4);
	gate_make(&ready);
	pid = spawn();
	if (pid == 0) {
		take_surely(open_broker(), 3);
		gate_open(&ready);
		pause();
	}
	gate_wait(&ready);
	while (slot == b->broker.slot || slot == c->broker.slot || !record_of(slot))
		slot++;
	kill_broker(admin, pid);
	/* No other slot is free, and only used records are left. */
	admin->map.live->lease_pool.high = (uint32_t)admin->map.sizes.leases;
	admin->map.live->lease_pool.hint = 0;
	for (uint32_t i = 0; i < admin->map.sizes.slots; i++)
		if (!admin->map.slots[i].owner)
			admin->map.slots[i].owner = b->broker.incarnation;
	heir = open_broker();
	assert_int_equal(heir->broker.slot, slot);
	take_surely(heir, 1);
	assert_int_equal(tenant_info(admin, 1).gpu_memory_bytes, 1);
	take_surely(b, 3);
	assert_int_equal(take(c, 1), K2K_EGPUMEM);
	assert_int_equal(k2k_registry_close(&heir), 0);
	for (uint32_t i = 0; i < admin->map.sizes.slots; i++)
		if (i != b->broker.slot && admin->map.slots[i].owner == b->broker.incarnation)
			admin->map.slots[i].owner = 0;
	end();
}

/* ---- release ---- */

static void acquire_and_release(struct k2k_registry *reg, struct shared *answer)
{
	answer->code = take(reg, 3);
	if (!answer->code)
		answer->code = k2k_gpu_memory_release_id(reg, 1, 3);
}

static void what_is_held_is_claimed(struct k2k_registry *by, uint64_t n)
{
	struct k2k_shm_claim *claim = victims_claim();

	(void)by;
	if (claim->held > claim->asked - claim->ended)
		fail_msg("after %" PRIu64 " instructions: %" PRIu64
		         " are held, but others see a claim for %" PRIu64,
		         n, claim->held, claim->asked - claim->ended);
}

static void nothing_is_held(uint64_t n)
{
	what_is_held_is_claimed(admin, n);
	assert_int_equal(shared->code, 0);
	assert_int_equal(all_held(), 0);
}

TEST(what_is_held_is_never_free_for_others)
{
	begin(4);
	interrupt_everywhere(admin, &(struct scene){ K2K_ROLE_BROKER, acquire_and_release, NULL,
	                                             what_is_held_is_claimed, nothing_is_held });
	end();
}
