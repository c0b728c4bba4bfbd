/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ring.c - programs of the audit ring (lib/ring.h): append, repeat, close, read.
 *
 * The guarantees are those of ring.h: a reader gets all of an event or nothing (3), an event is
 * missing for a reader if and only if it can't be read later (4), and whoever saw a count closed
 * saw its last number (5). Every event is in `written` or in `lost`, once. The ring has two places.
 */
#include "ring.h"

#include <string.h>

#include "world.h"

#define KIND 1
#define DEADLINE_NS (UINT64_C(3600) * K2K_NS_PER_SEC)

static struct k2k_ring ring;
static uint64_t numbers[EXPLORE_THREADS][2]; /* that append answered */
static unsigned int appended[EXPLORE_THREADS], repeats[EXPLORE_THREADS];
static uint64_t
	missing[EXPLORE_THREADS]; /* bit n: reported to be missing; the highest such thread reads */
static EXPLORE_SHARED k2k_u64 open_number;

static void begin(void)
{
	for (int i = 0; i < EXPLORE_THREADS; i++)
		world_broker(i);
	ring = k2k_ring_of(&world_map, 0);
	k2k_ring_own(&ring);
	memset(numbers, 0, sizeof(numbers));
	memset(appended, 0, sizeof(appended));
	memset(repeats, 0, sizeof(repeats));
	memset(missing, 0, sizeof(missing));
}

static void setup(void)
{
	world_begin(&(struct world_sizes){ .tenants = 1, .events = 2 });
	begin();
}

/* All fields of an event say the same: so that one of two halves is noticed. */
static void make_body(struct k2k_event_body *body, uint64_t mark)
{
	memset(body, 0, sizeof(*body));
	body->kind = KIND;
	body->tenant = mark;
	body->incarnation = mark;
	body->more.change.values[0] = mark;
}

static uint64_t append_marked(uint64_t mark, bool open)
{
	struct k2k_event_body body;
	int self = explore_self();
	uint64_t n;

	make_body(&body, mark);
	n = k2k_ring_append(&ring, &body, 1, open);
	numbers[self][appended[self]++] = n;
	return n;
}

static void append(void)
{
	append_marked(100 + (unsigned int)explore_self(), false);
}

static void append_twice(void)
{
	append();
	append();
}

/* What may be found of event n; a reader that has reported it missing never finds it. */
static void read_number(uint64_t n)
{
	struct k2k_event_copy copy;
	enum k2k_event_state state = k2k_ring_read(&ring, n, false, &copy);
	int self = explore_self() < 0 ? EXPLORE_THREADS - 1 : explore_self();

	if (state == K2K_EVENT_THERE || state == K2K_EVENT_OPEN) {
		explore_assert(copy.body.tenant == copy.body.incarnation);
		explore_assert(copy.body.tenant == copy.body.more.change.values[0]);
		explore_assert(copy.body.kind == KIND && copy.count >= 1);
		for (int i = 0; i < EXPLORE_THREADS; i++)
			explore_assert(!(missing[i] >> n & 1));
	}
	if (state == K2K_EVENT_MISSING)
		missing[self] |= UINT64_C(1) << n;
}

static void read_first(void)
{
	if (k2k_ring_newest(&ring) >= 1)
		read_number(1);
}

static void read_both(void)
{
	uint64_t newest = k2k_ring_newest(&ring);

	for (uint64_t n = 1; n <= newest && n <= 2; n++)
		read_number(n);
}

static void check(void)
{
	uint64_t claimed = k2k_load_relaxed(&ring.shared->claimed), told = 0, all = 0, answered = 0;

	for (int i = 0; i < EXPLORE_THREADS; i++) {
		all += appended[i];
		for (unsigned int j = 0; j < appended[i]; j++)
			answered += numbers[i][j] != 0;
	}
	told = k2k_load_relaxed(&ring.shared->written[KIND]);
	explore_assert(claimed == all);
	explore_assert(told == answered);
	explore_assert(told + k2k_load_relaxed(&ring.shared->lost[KIND]) == all);
	for (uint64_t n = 1; n <= claimed; n++)
		read_number(n);
	explore_outcome("%u written %u lost", (unsigned int)told, (unsigned int)(all - told));
}

PROGRAM(ring_append, .what = "two append while a third reads", .setup = setup,
        .threads = { append, append, read_both }, .check = check,
        .outcomes = { "2 written 0 lost" })
PROGRAM(ring_over, .what = "a third event goes over the first while that is read", .setup = setup,
        .threads = { append_twice, append, read_first }, .check = check)
PROGRAM(ring_full, .what = "two threads append twice each to two places", .setup = setup,
        .threads = { append_twice, append_twice }, .check = check)

/* One place only: three writers meet there. */
static void setup_one_place(void)
{
	world_begin(&(struct world_sizes){ .tenants = 1, .events = 1 });
	begin();
}

static void read_second(void)
{
	if (k2k_ring_newest(&ring) >= 2)
		read_number(2);
}

/*
 * The first event's writer has filled it, and only its last store is made here. Two others append
 * meanwhile, and whoever finds the place taken gives up.
 */
static void setup_begun(void)
{
	setup_one_place();
	k2k_store_relaxed(&ring.shared->claimed, 1);
	k2k_store_relaxed(&ring.events[0].sequence, 1);
}

static void end_first(void)
{
	k2k_store_release(&ring.events[0].sequence, 2);
}

static void end_and_read(void)
{
	end_first();
	read_second();
}

/* All have come to their ends: nothing may come any more. */
static void check_given_up(void)
{
	struct k2k_event_copy copy;
	uint64_t claimed = k2k_load_relaxed(&ring.shared->claimed);

	for (uint64_t n = 2; n <= claimed; n++) {
		explore_assert(k2k_ring_read(&ring, n, false, &copy) != K2K_EVENT_PENDING);
		read_number(n);
	}
}

PROGRAM(ring_given_up, .what = "an event that a reader holds for given up never comes",
        .setup = setup_begun, .threads = { append, append, end_and_read }, .check = check_given_up)
PROGRAM(ring_given_up_twice, .what = "of two numbers that are given up the higher one counts",
        .setup = setup_begun, .threads = { append, append, end_first }, .check = check_given_up)

/* Two events have been in the one place already. */
static void setup_third(void)
{
	setup_one_place();
	for (int i = 0; i < 2; i++) {
		struct k2k_event_body body;

		make_body(&body, 100);
		explore_assert(k2k_ring_append(&ring, &body, 1, false) != 0);
	}
}

/* The first event's writer is still at work, and two numbers have been given up. */
static void setup_fourth(void)
{
	setup_begun();
	k2k_store_relaxed(&ring.shared->claimed, 3);
	k2k_store_relaxed(&ring.events[0].given_up, 3);
}

static void find_newest(void)
{
	bool damaged;
	uint64_t newest = k2k_ring_newest_seen(&ring, &damaged);

	explore_assert(!damaged && newest > 1);
}

PROGRAM(ring_newest, .what = "a number that is newer than the count of all is no damage",
        .setup = setup_third, .threads = { append, find_newest })
PROGRAM(ring_newest_given_up, .what = "the same for a number that is given up",
        .setup = setup_fourth, .threads = { append, find_newest })

/* ---- death: the next owner -------------------------------------------------------------- */

static void append_after_death(void)
{
	struct k2k_event_body body;

	if (explore_is_alive(0))
		return;
	k2k_fence_seq_cst(); /* as k2k_liveness_ask() has it */
	k2k_ring_own(&ring);
	for (int i = 0; i < 2; i++) {
		make_body(&body, 200);
		/* what the dead one left half done stands in nobody's way */
		explore_assert(k2k_ring_append(&ring, &body, 1, false) != 0);
	}
}

static void check_heir(void)
{
	struct k2k_event_copy copy;
	uint64_t claimed = k2k_load_relaxed(&ring.shared->claimed);

	for (uint64_t n = 1; n <= claimed; n++) {
		enum k2k_event_state state = k2k_ring_read(&ring, n, false, &copy);

		/* nobody goes on with what the dead one had begun */
		explore_assert(n > ring.since || state != K2K_EVENT_PENDING);
		if (state == K2K_EVENT_THERE)
			explore_assert(copy.body.tenant == copy.body.incarnation);
	}
}

PROGRAM(ring_heir, .what = "an owner dies in an append, and the next one appends", .setup = setup,
        .mortal = 1, .deaths = 1, .threads = { append_twice, append_after_death },
        .check = check_heir)

/* One event less: so the dead one's may still be read. */
static void append_once_after_death(void)
{
	if (explore_is_alive(0))
		return;
	k2k_fence_seq_cst(); /* as k2k_liveness_ask() has it */
	k2k_ring_own(&ring);
	append();
}

static void check_since(void)
{
	check_heir();
	read_number(1);
}

PROGRAM(ring_heir_read, .what = "what a dead owner has begun is there or missing, for every reader",
        .setup = setup, .mortal = 1, .deaths = 1,
        .threads = { append, append_once_after_death, read_first }, .check = check_since)

/* Nobody has had the ring yet: its owner attaches, and appends. */
static void setup_unowned(void)
{
	setup();
	k2k_store_relaxed(&world_map.slots[0].owner, 0);
	k2k_store_relaxed(&world_map.slots[0].state, K2K_SLOT_UNUSED);
}

static void attach_and_append(void)
{
	static const struct k2k_identity own;
	struct k2k_registry *reg = world_self();

	explore_assert(k2k_broker_attach(&world_map, &reg->liveness, &own, &reg->broker) == 0);
	explore_assert(reg->broker.slot == 0);
	k2k_ring_own(&ring);
	append();
}

/* As audit_read.c asks whether the ring's owner is dead: after it has seen the number. */
static void read_of_owner(void)
{
	struct k2k_event_copy copy;

	if (k2k_ring_newest(&ring) == 0)
		return;
	if (k2k_ring_read(&ring, 1,
	                  !k2k_liveness_alive(&world_self()->liveness,
	                                      k2k_load_acquire(&world_map.slots[0].owner)),
	                  &copy) == K2K_EVENT_MISSING)
		missing[explore_self()] |= UINT64_C(1) << 1;
}

PROGRAM(ring_attached, .what = "whoever sees a number sees its owner attached",
        .setup = setup_unowned, .threads = { attach_and_append, read_of_owner }, .check = check)

/* As an administrator: the ring is its own while it has the writer's turn. */
static void setup_turns(void)
{
	world_begin(&(struct world_sizes){ .tenants = 1, .events = 2 });
	begin();
	for (int i = 0; i < EXPLORE_THREADS; i++)
		world_admin(i);
}

static void begin_turn(void)
{
	explore_assert(k2k_writer_lock(&world_self()->writer, DEADLINE_NS) == 0);
	k2k_ring_own(&ring);
}

static void append_in_turn(void)
{
	begin_turn();
	append();
	k2k_writer_unlock(&world_self()->writer);
}

static void have_turn(void)
{
	begin_turn();
	k2k_writer_unlock(&world_self()->writer);
}

static void read_of_writer(void)
{
	struct k2k_event_copy copy;
	bool alive;

	if (k2k_ring_newest(&ring) == 0)
		return;
	alive = k2k_writer_is_at_work(&world_map, &world_self()->admins);
	if (k2k_ring_read(&ring, 1, !alive, &copy) == K2K_EVENT_MISSING)
		missing[explore_self()] |= UINT64_C(1) << 1;
}

PROGRAM(ring_turn, .what = "whoever sees a number sees its writer at work", .setup = setup_turns,
        .threads = { append_in_turn, read_of_writer }, .check = check)
PROGRAM(ring_next_turn, .what = "what was appended in a turn is there in the next one",
        .setup = setup_turns, .threads = { append_in_turn, have_turn, read_first }, .check = check)

/* ---- sleep ------------------------------------------------------------------------------- */

static void append_and_wake(void)
{
	append();
	k2k_ring_wake(&world_map);
}

/* Whoever has seen the wake before it sleeps sees the event: else it would sleep on. */
static void look_before_sleep(void)
{
	uint32_t seen = k2k_ring_wake_word(&world_map);
	uint64_t newest = k2k_ring_newest(&ring);
	struct k2k_event_copy copy;

	explore_assert(seen == 0 || newest == 1);
	if (newest == 1)
		explore_assert(seen == 0 ||
		               k2k_ring_read(&ring, 1, false, &copy) == K2K_EVENT_THERE);
}

PROGRAM(ring_wake, .what = "a wake-up is not seen before its event", .setup = setup,
        .threads = { append_and_wake, look_before_sleep }, .check = check)

/* ---- the count ----------------------------------------------------------------------------- */

/* An event is open before the threads begin. */
static void setup_open(void)
{
	struct k2k_event_body body;

	setup();
	make_body(&body, 100);
	k2k_store_relaxed(&open_number, k2k_ring_append(&ring, &body, 1, true));
}

static void repeat(void)
{
	repeats[explore_self()] += k2k_ring_repeat(&ring, k2k_load_relaxed(&open_number), KIND);
}

static void repeat_twice(void)
{
	repeat();
	repeat();
}

static void close_it(void)
{
	k2k_ring_close(&ring, k2k_load_relaxed(&open_number));
}

static uint64_t final_count;

static void read_count(void)
{
	struct k2k_event_copy copy;
	enum k2k_event_state state = k2k_ring_read(&ring, 1, false, &copy);

	explore_assert(state == K2K_EVENT_THERE || state == K2K_EVENT_OPEN);
	final_count = state == K2K_EVENT_THERE ? copy.count : 0;
}

static void check_count(void)
{
	struct k2k_event_copy copy;
	uint64_t all = 1;

	for (int i = 0; i < EXPLORE_THREADS; i++)
		all += repeats[i];
	k2k_ring_read(&ring, 1, false, &copy);
	explore_assert(copy.count == all);
	explore_assert(k2k_load_relaxed(&ring.shared->coalesced[KIND]) == all - 1);
	explore_assert(final_count == 0 || final_count == all);
	explore_outcome("%u", (unsigned int)all);
	final_count = 0;
}

PROGRAM(ring_repeat, .what = "repeats are counted until the event is closed", .setup = setup_open,
        .threads = { repeat_twice, repeat, close_it, read_count }, .check = check_count,
        .outcomes = { "1", "2", "3", "4" })

/* Two more events go over the one that is repeated: its repeats are never counted in another. */
static void check_over(void)
{
	uint64_t claimed = k2k_load_relaxed(&ring.shared->claimed), counted = 0;
	struct k2k_event_copy copy;

	for (uint64_t n = 1; n <= claimed; n++)
		/* abandoned: final, though it was never closed */
		if (k2k_ring_read(&ring, n, true, &copy) == K2K_EVENT_THERE) {
			explore_assert(n == 1 || copy.count == 1);
			counted += copy.count;
		}
	explore_assert(counted > 0);
}

static void append_two_open(void)
{
	append_marked(100, true);
	append_marked(100, true);
}

PROGRAM(ring_repeat_over, .what = "a repeat is not counted in the event that went over its own",
        .setup = setup_open, .threads = { repeat_twice, append_two_open }, .check = check_over)
