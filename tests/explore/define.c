/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * define.c - programs of the definitions (lib/tenant.h, lib/budget.h): changes beside readers.
 *
 * A change takes effect by one store: all limits and all budgets of it at once. So a message is
 * decided under one version, and who has seen a version sees that one or a later one.
 *
 * In most programs a message of engagement E passes under none of the versions: either the rate is
 * 0, or E's budget is used up. If one passes, it was decided under a mixture.
 */
#include "judge.h"
#include "ledger.h"

#define ID 7
#define E 3
#define F 4
#define USED_NS 5
#define RATE 10
#define READER 1

static const struct k2k_audit_tag tag_e = { .engagement_id = E }, tag_f = { .engagement_id = F };
static uint32_t slot;

static void begin(void)
{
	world_begin(&(struct world_sizes){ .tenants = 2, .engagements = 3, .budgets = 5 });
	world_admin(0);
	world_broker(READER);
	world_broker(2);
	judge_begin();
}

static struct k2k_quota quota_of(uint64_t rate, struct k2k_budget *budgets, uint32_t count)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	quota.max_messages_per_sec = rate;
	quota.budgets = budgets;
	quota.budget_count = count;
	return quota;
}

static void change(uint64_t rate, uint64_t budget_e, uint64_t budget_f)
{
	struct k2k_budget budgets[] = { { E, budget_e }, { F, budget_f } };
	struct k2k_quota quota = quota_of(rate, budgets, 2);

	explore_assert(k2k_tenant_update(world_self(), ID, &quota,
	                                 K2K_UPDATE_RATE | K2K_UPDATE_BUDGETS) == 0);
}

/* In a setup: E and F have used some time already. */
static void define(uint64_t rate, uint64_t budget_e, uint64_t budget_f)
{
	struct k2k_budget budgets[] = { { E, budget_e }, { F, budget_f } };
	struct k2k_quota quota = quota_of(rate, budgets, 2);
	uint64_t word;

	explore_assert(k2k_tenant_register(&world_handles[JUDGE], ID, &quota) == 0);
	explore_assert(k2k_tenant_find(&world_map, ID, &slot, &word) == 0);
	explore_assert(k2k_message_record(&world_handles[READER], ID) == 0); /* this second */
	for (uint32_t i = 0; i < world_map.sizes.engagements; i++)
		if (k2k_load_relaxed(&world_map.ledger[i].entry.gen))
			k2k_ledger_add(&world_map.ledger[i], USED_NS);
}

static int ask(struct k2k_audit_tag tag)
{
	return k2k_quota_check(world_self(), ID, tag, 1, NULL);
}

static int admit(struct k2k_audit_tag tag)
{
	return k2k_message_admit(world_self(), ID, tag, 1, NULL);
}

static void check(void)
{
	judge_registry();
}

/* ---- all at once -------------------------------------------------------------------------- */

static void setup_update(void)
{
	begin();
	define(0, K2K_UNLIMITED, K2K_UNLIMITED);
}

static void raise_with_budgets(void)
{
	change(RATE, 0, 0);
}

/* Refused by the rate before, and by the budgets after. */
static void ask_for_both(void)
{
	int first = ask(tag_e), second = ask(tag_f);

	explore_assert(first == K2K_ERATE || first == K2K_EBUDGET);
	explore_assert(second == K2K_EBUDGET || (second == K2K_ERATE && first == K2K_ERATE));
}

static void admit_one(void)
{
	int code = admit(tag_e);

	explore_assert(code == K2K_ERATE || code == K2K_EBUDGET);
}

PROGRAM(define_update, .what = "limits and two budgets come into force at once",
        .setup = setup_update, .threads = { raise_with_budgets, ask_for_both }, .check = check)
PROGRAM(define_update_admit, .what = "nothing is admitted between a limit and a budget",
        .setup = setup_update, .threads = { raise_with_budgets, admit_one }, .check = check)

static void setup_lower(void)
{
	begin();
	define(RATE, USED_NS, USED_NS);
}

static void lower_without_budgets(void)
{
	change(0, K2K_UNLIMITED, K2K_UNLIMITED);
}

static void ask_for_both_lowered(void)
{
	int first = ask(tag_e), second = ask(tag_f);

	explore_assert(first == K2K_ERATE || first == K2K_EBUDGET);
	explore_assert(second == K2K_ERATE || (second == K2K_EBUDGET && first == K2K_EBUDGET));
}

PROGRAM(define_unset, .what = "two budgets end when the limit falls to nothing",
        .setup = setup_lower, .threads = { lower_without_budgets, ask_for_both_lowered },
        .check = check)

/* ---- a budget that is replaced -------------------------------------------------------------- */

static void replace(void)
{
	explore_assert(k2k_budget_set(world_self(), ID, E, USED_NS - 1) == 0);
}

static void replace_twice(void)
{
	replace();
	explore_assert(k2k_budget_set(world_self(), ID, E, USED_NS - 2) == 0);
}

static void ask_used_up(void)
{
	explore_assert(ask(tag_e) == K2K_EBUDGET);
}

PROGRAM(define_replace, .what = "a budget that is replaced by another stops messages all the time",
        .setup = setup_lower, .threads = { replace, ask_used_up }, .check = check)
FULL_PROGRAM(define_replace_twice, .what = "a budget is replaced twice", .setup = setup_lower,
             .threads = { replace_twice, ask_used_up }, .check = check)

/* ---- a rate that was in force --------------------------------------------------------------- */

static void setup_rates(void)
{
	begin();
	define(RATE + 1, K2K_UNLIMITED, K2K_UNLIMITED);
}

/* Version 3 is written into the set that version 1 had. */
static void change_rate_twice(void)
{
	change(RATE + 2, K2K_UNLIMITED, K2K_UNLIMITED);
	change(RATE + 3, K2K_UNLIMITED, K2K_UNLIMITED);
}

/* The rate of a verdict is that of its version: whoever has been told it sees no older one. */
static void ask_for_rate(void)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct k2k_limits limits;

	explore_assert(k2k_quota_check(world_self(), ID, tag_e, 1, &verdict) == 0);
	k2k_tenant_limits(&world_map, slot, &limits);
	explore_assert(limits.rate == RATE + limits.version && limits.rate >= verdict.limit);
	explore_outcome("%u", (unsigned int)verdict.limit - RATE);
}

PROGRAM(define_rate, .what = "a message is decided under a rate that was in force",
        .setup = setup_rates, .threads = { change_rate_twice, ask_for_rate }, .check = check,
        .outcomes = { "1", "2", "3" })

/* ---- register ------------------------------------------------------------------------------- */

static void register_tenant(void)
{
	struct k2k_budget budgets[] = { { E, 0 }, { F, 0 } };
	struct k2k_quota quota = quota_of(RATE, budgets, 2);

	explore_assert(k2k_tenant_register(world_self(), ID, &quota) == 0);
}

static void ask_for_new(void)
{
	int first = ask(tag_e), second = ask(tag_f);

	explore_assert(first == K2K_ENOTENANT || first == K2K_EBUDGET);
	explore_assert(second == K2K_EBUDGET || second == first);
}

PROGRAM(define_register, .what = "a tenant is found with all that its register names",
        .setup = begin, .threads = { register_tenant, ask_for_new }, .check = check)

/*
 * ---- a slot that is registered again -----------------------------------------------------------
 *
 * The readers are observers: no grace period waits for them.
 */

#define OBSERVER 1

/* The number of a registration's limits, all of them. */
static struct k2k_quota quota_numbered(uint32_t number)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	quota.max_messages_per_sec = quota.max_gpu_memory_bytes = number;
	quota.max_concurrent_kernels = number;
	return quota;
}

static void begin_observed(uint32_t tenants)
{
	world_begin(&(struct world_sizes){ .tenants = tenants });
	world_admin(0);
	world_admin(OBSERVER);
	judge_begin();
}

static void register_as(struct k2k_registry *reg, k2k_tenant_id id, uint32_t number)
{
	struct k2k_quota quota = quota_numbered(number);

	explore_assert(k2k_tenant_register(reg, id, &quota) == 0);
}

static void deregister(k2k_tenant_id id)
{
	explore_assert(k2k_tenant_deregister(world_self(), id, NULL) == 0);
}

static k2k_tenant_id near[4], far;

/* Ids of one bucket, from ID on, and one of another. */
static void find_ids(void)
{
	uint32_t bucket = k2k_tenant_bucket(&world_map, ID);
	unsigned int n = 0;

	for (k2k_tenant_id id = ID; n < K2K_COUNT_OF(near); id++)
		if (k2k_tenant_bucket(&world_map, id) == bucket)
			near[n++] = id;
		else
			far = id;
}

static void setup_again(void)
{
	begin_observed(1);
	find_ids();
	register_as(&world_handles[JUDGE], ID, 1);
}

static void register_again(void)
{
	deregister(ID);
	register_as(world_self(), ID, 2);
}

/* Generation and limits have the same number. */
static void copy_one(void)
{
	struct k2k_tenant_info info = { .size = sizeof(info) };
	int code = k2k_tenant_get(world_self(), ID, &info);

	explore_assert(code == 0 || code == K2K_ENOTENANT);
	if (code) {
		explore_outcome("none");
		return;
	}
	explore_assert(info.max_messages_per_sec == info.generation &&
	               info.max_gpu_memory_bytes == info.generation &&
	               info.max_concurrent_kernels == info.generation);
	explore_outcome("%u", (unsigned int)info.generation);
}

PROGRAM(define_copy, .what = "a copy of a tenant is of one registration", .setup = setup_again,
        .threads = { register_again, copy_one }, .check = check, .outcomes = { "1", "2", "none" })

/* Another tenant of the bucket takes the slot: what is copied of it is never the first one's. */
static void register_heir(void)
{
	deregister(ID);
	register_as(world_self(), near[1], 2);
}

static void copy_heir(void)
{
	struct k2k_tenant_info info = { .size = sizeof(info) };
	int code = k2k_tenant_get(world_self(), near[1], &info);

	explore_assert(code == 0 || code == K2K_ENOTENANT);
	if (!code)
		explore_assert(info.id == near[1] && info.generation == 2 &&
		               info.max_messages_per_sec == 2 && info.max_gpu_memory_bytes == 2 &&
		               info.max_concurrent_kernels == 2);
	explore_outcome(code ? "none" : "heir");
}

PROGRAM(define_heir, .what = "what is found of a new tenant is not its predecessor's",
        .setup = setup_again, .threads = { register_heir, copy_heir }, .check = check,
        .outcomes = { "heir", "none" })

/* near[0] stands behind near[1], which becomes another. */
static void setup_walk(void)
{
	begin_observed(2);
	find_ids();
	register_as(&world_handles[JUDGE], near[0], 1);
	register_as(&world_handles[JUDGE], near[1], 1);
}

static void become_far(void)
{
	deregister(near[1]);
	register_as(world_self(), far, 1);
}

static void become_far_and_near(void)
{
	become_far();
	deregister(far);
	register_as(world_self(), near[2], 1);
}

/* The walk itself: k2k_tenant_find() tries a shorter one first. */
static void find_behind(void)
{
	uint64_t word;
	uint32_t found;

	explore_assert(k2k_tenant_walk(&world_map, near[0], &found, &word) == 0);
	explore_assert(found == 0);
}

PROGRAM(define_walk, .what = "a tenant is found though the one before it becomes another",
        .setup = setup_walk, .threads = { become_far, find_behind }, .check = check)
PROGRAM(define_walk_twice, .what = "a tenant is found though the one before it becomes two others",
        .setup = setup_walk, .threads = { become_far_and_near, find_behind }, .check = check)
