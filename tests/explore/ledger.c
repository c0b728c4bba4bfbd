/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ledger.c - programs of the ledger (lib/ledger.h), of its hash (lib/hash.h) and of the pool of
 * records (lib/pool.h).
 *
 * I5: an engagement has one record, and its cost is what was booked. I2: a record that is reused is
 * nobody else's any more. A broker that dies in a booking leaves a record that the next writer
 * frees or completes.
 *
 * All engagements of these programs are in one bucket, so that their records are in one chain,
 * except where a program says "far".
 */
#include "ledger.h"

#include "change.h"
#include "judge.h"
#include "recover.h"

#define ID 7
#define OLD 8
#define NEW 9
#define ADMIN 2

static uint32_t bucket;
static unsigned int others;              /* records that are there from the beginning */
static uint64_t booked[EXPLORE_THREADS]; /* by thread: what it was told is booked */

/* The nth engagement whose record is in this bucket, for this generation. */
static uint64_t engagement_of(uint32_t in, uint64_t generation, unsigned int nth)
{
	struct k2k_hash hash = k2k_ledger_hash(&world_map);
	uint64_t engagement = 0;

	do
		engagement++;
	while (k2k_hash_bucket(&hash, generation, engagement) != in || nth-- > 0);
	return engagement;
}

/* Of tenant ID, whose generation is 1. */
static uint64_t engagement(unsigned int nth)
{
	return engagement_of(bucket, 1, nth);
}

static int book_as(int thread, k2k_tenant_id id, uint64_t engagement_id, uint64_t ns)
{
	struct k2k_audit_tag tag = { .engagement_id = engagement_id };

	return k2k_usage_track(&world_handles[thread], id, tag, ns);
}

static void book(unsigned int nth, uint64_t ns)
{
	explore_assert(book_as(explore_self(), ID, engagement(nth), ns) == 0);
	booked[explore_self()] += ns;
}

static void register_with(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_budget *budget)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	quota.budgets = budget;
	quota.budget_count = budget != NULL;
	explore_assert(k2k_tenant_register(reg, id, &quota) == 0);
}

static void begin(uint32_t records)
{
	world_begin(&(struct world_sizes){ .tenants = 3, .engagements = records, .budgets = 3 });
	world_broker(0);
	world_broker(1);
	world_admin(ADMIN);
	judge_begin();
	register_with(&world_handles[JUDGE], ID, NULL);
	bucket = others = 0;
	for (int i = 0; i < EXPLORE_THREADS; i++)
		booked[i] = 0;
}

/* ---- what is booked ----------------------------------------------------------------------- */

static uint64_t cost_of(unsigned int nth)
{
	struct k2k_hash_key key = { 1, engagement(nth), 0 };
	uint32_t index = 0;
	int code = k2k_ledger_find(&world_map, &key, &index);

	explore_assert(code == 0 || code == K2K_HASH_ABSENT);
	return code ? 0 : k2k_load_relaxed(&world_map.ledger[index].cost_ns);
}

static unsigned int count_records(enum k2k_entry_state state)
{
	unsigned int count = 0;

	for (uint32_t i = 0; i < world_map.sizes.engagements; i++)
		count += k2k_entry_state(k2k_load_relaxed(&world_map.ledger[i].entry.state)) ==
		         state;
	return count;
}

/* Of the first engagement; a thread that died may have booked what it was not told. */
static void check_first(uint64_t untold)
{
	uint64_t sum = booked[0] + booked[1] + booked[2], cost = cost_of(0);

	judge_registry();
	if (explore_end_of(0) != EXPLORE_DEAD)
		untold = 0;
	explore_assert(cost >= sum && cost <= sum + untold);
	explore_assert(count_records(K2K_ENTRY_LIVE) == others + (cost ? 1 : 0) || untold);
}

static void check_two(void)
{
	check_first(1);
}

/* ---- booking ------------------------------------------------------------------------------ */

static void setup_two(void)
{
	begin(2);
}

/* The chain has a record already, of another engagement. */
static void setup_chain(void)
{
	begin(3);
	explore_assert(book_as(0, ID, engagement(1), 1) == 0);
	others = 1;
}

static void book_one(void)
{
	book(0, 1);
}

static void book_two(void)
{
	book(0, 2);
}

static void book_twice(void)
{
	book(0, 2);
	book(0, 4);
}

PROGRAM(ledger_two, .what = "two book the first cost of an engagement, and share a record",
        .setup = setup_chain, .threads = { book_one, book_twice }, .check = check_two)
/* The next record is another engagement's: both are inserted at the same head. */
static void book_second(void)
{
	book(1, 2);
}

static void check_both(void)
{
	judge_registry();
	explore_assert(cost_of(0) == booked[0] && cost_of(1) == booked[1]);
}

PROGRAM(ledger_other, .what = "two book the first costs of two engagements", .setup = setup_two,
        .threads = { book_one, book_second }, .check = check_both)

/* ---- death in a booking --------------------------------------------------------------------- */

static void recover_claims(void)
{
	struct k2k_mended mended = { .verify = NULL };
	struct k2k_registry *reg = &world_handles[explore_self() < 0 ? JUDGE : explore_self()];

	explore_assert(k2k_change_begin(reg, K2K_OP_CHECK, UINT64_MAX) == 0);
	explore_assert(k2k_recover_claims(reg, &mended) == 0);
	k2k_change_leave(reg);
}

static void idle(void)
{
}

/* A claim that the writer came too early for is left to the next one. */
static void check_dead(void)
{
	recover_claims();
	explore_assert(count_records(K2K_ENTRY_CLAIMED) == 0);
	check_two();
}

PROGRAM(ledger_dead, .what = "a broker dies in a booking, and another books the same",
        .setup = setup_two, .mortal = 1, .deaths = 1, .threads = { book_one, book_two },
        .check = check_dead)
PROGRAM(ledger_dead_alone, .what = "a broker dies in a booking, beside a writer that recovers",
        .setup = setup_two, .mortal = 1, .deaths = 1, .threads = { book_one, idle, recover_claims },
        .check = check_dead)

/*
 * ---- the pool -------------------------------------------------------------------------------
 */

static int owner_of[2]; /* thread + 1 of each record */

static void setup_pool(void)
{
	begin(2);
	world_broker(ADMIN);
	owner_of[0] = owner_of[1] = 0;
}

static bool claim(uint32_t *index)
{
	struct k2k_registry *reg = world_self();
	struct k2k_hash hash = k2k_ledger_hash(&world_map);
	struct k2k_claimer claimer = { reg->broker.incarnation, &reg->passed,
		                       &reg->ledger_full_at };

	if (!k2k_pool_claim(&hash.pool, &claimer, index))
		return false;
	explore_assert(owner_of[*index] == 0);
	owner_of[*index] = explore_self() + 1;
	/* what was stored by its last owner is seen */
	explore_assert(k2k_load_relaxed(&world_map.ledger[*index].cost_ns) == 0);
	k2k_store_relaxed(&world_map.ledger[*index].cost_ns, 1);
	return true;
}

static void unclaim(uint32_t index)
{
	struct k2k_hash hash = k2k_ledger_hash(&world_map);

	owner_of[index] = 0;
	k2k_store_relaxed(&world_map.ledger[index].cost_ns, 0);
	k2k_pool_unclaim(&hash.pool, index);
}

static void claim_and_free(void)
{
	uint32_t index;

	if (claim(&index))
		unclaim(index);
}

static void claim_again(void)
{
	uint32_t index;

	claim_and_free();
	if (claim(&index))
		explore_outcome("kept");
}

/*
 * One of them may find each record taken, though not both at the same time, if the other gives back
 * the one and takes the next.
 */
PROGRAM(pool_two, .what = "two claim, give back and claim again", .setup = setup_pool,
        .threads = { claim_again, claim_again }, .outcomes = { "kept kept", "kept" })
PROGRAM(pool_three, .what = "three claim and give back two records", .setup = setup_pool,
        .threads = { claim_and_free, claim_and_free, claim_and_free })
PROGRAM(pool_dead, .what = "a claimer dies, and nobody else gets its record", .setup = setup_pool,
        .mortal = 1, .deaths = 1, .threads = { claim_and_free, claim_again })

static EXPLORE_SHARED k2k_u32 given_back;

static void setup_full(void)
{
	begin(1);
	given_back = 0;
	owner_of[0] = 0;
}

static void claim_and_tell(void)
{
	uint32_t index;

	if (!claim(&index))
		return;
	unclaim(index);
	k2k_store_release(&given_back, 1);
}

/* Who is told that a record was given back has it, though it found the pool full before. */
static void claim_when_told(void)
{
	uint32_t index;

	if (claim(&index)) {
		unclaim(index);
		return;
	}
	while (!k2k_load_acquire(&given_back))
		explore_yield();
	explore_assert(claim(&index));
}

PROGRAM(pool_full, .what = "a full pool is not remembered as full", .setup = setup_full,
        .threads = { claim_and_tell, claim_when_told })

/* ---- removal -------------------------------------------------------------------------------- */

static void acknowledge(int broker)
{
	/* as its helper, which has no section to wait for */
	k2k_store_release(&world_map.slots[broker].ack,
	                  k2k_load_acquire(&world_map.defs->grace_token));
}

/* Tenant OLD, generation 2, has a record in the chain; its grace period has passed. */
static void retire_old(void)
{
	explore_assert(k2k_tenant_deregister(&world_handles[JUDGE], OLD, NULL) == 0);
	acknowledge(0);
	acknowledge(1);
}

static void setup_old_at_head(void)
{
	begin(4);
	register_with(&world_handles[JUDGE], OLD, NULL);
	explore_assert(book_as(0, ID, engagement(0), 1) == 0);
	explore_assert(book_as(0, OLD, engagement_of(bucket, 2, 0), 1) == 0);
	retire_old();
	booked[0] = 1;
}

static void setup_old_behind(void)
{
	begin(4);
	register_with(&world_handles[JUDGE], OLD, NULL);
	explore_assert(book_as(0, OLD, engagement_of(bucket, 2, 0), 1) == 0);
	explore_assert(book_as(0, ID, engagement(0), 1) == 0);
	retire_old();
	booked[0] = 1;
}

static void reap(void)
{
	register_with(world_self(), NEW, NULL);
}

static void check_removed(void)
{
	judge_registry();
	explore_assert(cost_of(0) == booked[0]);
	explore_assert(cost_of(1) == booked[1]);
	explore_assert(count_records(K2K_ENTRY_RETIRED) == 1);
	explore_assert(count_records(K2K_ENTRY_LIVE) == (booked[1] ? 2 : 1));
}

PROGRAM(ledger_remove, .what = "a record is removed at the head while others insert and book",
        .setup = setup_old_at_head, .threads = { book_one, book_second, reap },
        .check = check_removed)
PROGRAM(ledger_remove_behind, .what = "a record is removed behind one that others book to",
        .setup = setup_old_behind, .threads = { book_one, book_second, reap },
        .check = check_removed)

/* ---- a walk beside reuse ---------------------------------------------------------------------
 *
 * The walker is an administrator: no grace period waits for it.
 */

#define WALKER 1

/* Record 1 stands before ID's in the chain. It is OLD's, which was registered with a budget. */
static void begin_walk(uint32_t records, uint32_t budgets)
{
	struct k2k_budget budget = { .budget_ns = 1 };

	world_begin(
		&(struct world_sizes){ .tenants = 2, .engagements = records, .budgets = budgets });
	world_admin(0);
	world_admin(WALKER);
	judge_begin();
	bucket = 0;
	budget.engagement_id = engagement(0);
	register_with(&world_handles[JUDGE], ID, &budget);
	k2k_ledger_add(&world_map.ledger[0], 1);
	budget.engagement_id = engagement_of(bucket, 2, 0);
	register_with(&world_handles[JUDGE], OLD, &budget);
}

static void setup_walk(void)
{
	begin_walk(2, 3);
}

/* Record 1 becomes one of that bucket. */
static void become(uint32_t in, uint64_t generation)
{
	struct k2k_budget budget = { engagement_of(in, generation, 0), 1 };

	explore_assert(k2k_tenant_deregister(world_self(), OLD, NULL) == 0);
	register_with(world_self(), OLD, &budget);
	explore_assert(k2k_load_relaxed(&world_map.ledger[1].entry.gen) == generation);
}

static void become_far(void)
{
	become(bucket + 1, 3);
}

static void become_far_and_near(void)
{
	become(bucket + 1, 3);
	become(bucket, 4);
}

static void find_behind(void)
{
	struct k2k_audit_tag tag = { .engagement_id = engagement(0) };
	uint64_t ns;

	explore_assert(k2k_usage_engagement_for(world_self(), ID, tag, &ns) == 0);
	explore_assert(ns == 1);
}

static void check_walk(void)
{
	judge_registry();
}

static void setup_budget_walk(void)
{
	begin_walk(3, 2);
}

/* OLD has one budget at a time, always in record 1. */
static void replace_budget(uint64_t before, uint64_t after)
{
	explore_assert(k2k_budget_unset(world_self(), OLD, before) == 0);
	explore_assert(k2k_budget_set(world_self(), OLD, after, 1) == 0);
	explore_assert(k2k_load_relaxed(&world_map.budgets[1].entry.key) == after);
}

static void move_budget_and_back(void)
{
	uint64_t near = engagement_of(bucket, 2, 0), far = engagement_of(bucket + 1, 2, 0);

	replace_budget(near, far);
	replace_budget(far, near);
}

/* The budget, which is used up, stands behind one that becomes another's. */
static void ask_behind(void)
{
	struct k2k_audit_tag tag = { .engagement_id = engagement(0) };

	explore_assert(k2k_quota_check(world_self(), ID, tag, 1, NULL) == K2K_EBUDGET);
}

PROGRAM(ledger_walk, .what = "a cost is found though the record before it becomes another's",
        .setup = setup_walk, .steps = 6000, .threads = { become_far, find_behind },
        .check = check_walk)
PROGRAM(ledger_walk_twice, .what = "a cost is found though the record before it becomes two others",
        .setup = setup_walk, .steps = 6000, .stale = 8,
        .threads = { become_far_and_near, find_behind }, .check = check_walk)
FULL_PROGRAM(budget_walk, .what = "a budget is found though the one before it becomes two others",
             .setup = setup_budget_walk, .stale = 4,
             .threads = { move_budget_and_back, ask_behind }, .check = check_walk)
