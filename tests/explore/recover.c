/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * recover.c - programs of recovery (lib/recover.h): a writer dies before any of its steps, and the
 * next one goes on.
 *
 * I6: after any death the next change succeeds, check finds nothing, and what can be seen is what
 * it was before the change or what it is after it. A reader beside them sees the old state, and
 * then perhaps the new one; never a mixture, and never the old one again.
 *
 * Tenant ID has one engagement that matters, E. A message of E is refused by its budget in one of
 * the two states, and otherwise passes under a limit that belongs to the other state alone. So one
 * admission tells which state it saw.
 */
#include <stdlib.h>

#include "definitions.h"
#include "judge.h"

#define ID 7
#define OTHER 9
#define E 3
#define RATE_OLD 10
#define RATE_NEW 20

static const struct k2k_audit_tag tag = { .engagement_id = E };

enum seen { OLD, NEW };

/* What a check is answered in a state. */
struct answer {
	int code;
	uint64_t limit; /* of a message that passes */
};

static struct answer answers[2]; /* by enum seen */

static struct k2k_quota quota_of(uint64_t rate, struct k2k_budget *budget)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	quota.max_messages_per_sec = rate;
	quota.budgets = budget;
	quota.budget_count = budget != NULL;
	return quota;
}

/* A budget of 0 is used up from the beginning. */
static struct k2k_budget used_up(void)
{
	return (struct k2k_budget){ .engagement_id = E, .budget_ns = 0 };
}

static void begin(struct answer old, struct answer new)
{
	world_begin(&(struct world_sizes){ .tenants = 3, .engagements = 3, .budgets = 3 });
	world_admin(0);
	world_admin(1);
	world_broker(2);
	judge_begin();
	answers[OLD] = old;
	answers[NEW] = new;
}

static void define(uint64_t rate, bool budget)
{
	struct k2k_budget refused = used_up();
	struct k2k_quota quota = quota_of(rate, budget ? &refused : NULL);

	explore_assert(k2k_tenant_register(&world_handles[JUDGE], ID, &quota) == 0);
}

/* ---- what is seen ------------------------------------------------------------------------- */

static enum seen look(struct k2k_registry *reg)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	int code = k2k_quota_check(reg, ID, tag, 1, &verdict);

	for (enum seen seen = OLD; seen <= NEW; seen++)
		if (code == answers[seen].code && (code || verdict.limit == answers[seen].limit))
			return seen;
	explore_fail(__FILE__, __LINE__, "a message is answered %d under a limit of %llu", code,
	             (unsigned long long)verdict.limit);
}

static void read_twice(void)
{
	enum seen first = look(world_self());

	explore_assert(look(world_self()) >= first);
}

/* The second writer finds what the first one left, whether that has finished or died. */
static void check(void)
{
	enum seen seen;

	judge_after_change();
	seen = look(&world_handles[JUDGE]);
	explore_assert(seen == NEW || explore_end_of(0) == EXPLORE_DEAD);
	explore_outcome(seen == NEW ? "new" : "old");
}

/* Any change: it recovers first if it must. */
static void go_on(void)
{
	struct k2k_quota quota = quota_of(RATE_OLD, NULL);

	explore_assert(k2k_tenant_register(world_self(), OTHER, &quota) == 0);
}

/* ---- register ----------------------------------------------------------------------------- */

static void setup_register(void)
{
	begin((struct answer){ .code = K2K_ENOTENANT }, (struct answer){ .code = K2K_EBUDGET });
}

static void register_tenant(void)
{
	struct k2k_budget refused = used_up();
	struct k2k_quota quota = quota_of(RATE_NEW, &refused);

	explore_assert(k2k_tenant_register(world_self(), ID, &quota) == 0);
}

PROGRAM(recover_register, .what = "a writer dies in a register, and the next one goes on",
        .setup = setup_register, .mortal = 1, .deaths = 1, .threads = { register_tenant, go_on },
        .check = check, .outcomes = { "new", "old" })

/* ---- update ------------------------------------------------------------------------------- */

static void setup_update(void)
{
	begin((struct answer){ .limit = RATE_OLD }, (struct answer){ .code = K2K_EBUDGET });
	define(RATE_OLD, false);
}

/* A higher limit, and a budget: a message that passes under the higher limit saw half of it. */
static void update(void)
{
	struct k2k_budget refused = used_up();
	struct k2k_quota quota = quota_of(RATE_NEW, &refused);

	explore_assert(k2k_tenant_update(world_self(), ID, &quota,
	                                 K2K_UPDATE_RATE | K2K_UPDATE_BUDGETS) == 0);
}

PROGRAM(recover_update, .what = "a writer dies in an update, and the next one goes on",
        .setup = setup_update, .mortal = 1, .deaths = 1, .threads = { update, go_on },
        .check = check, .outcomes = { "new", "old" })

/* ---- budgets ------------------------------------------------------------------------------ */

static void setup_unset(void)
{
	begin((struct answer){ .code = K2K_EBUDGET }, (struct answer){ .limit = RATE_OLD });
	define(RATE_OLD, true);
}

static void unset_budget(void)
{
	explore_assert(k2k_budget_unset(world_self(), ID, E) == 0);
}

PROGRAM(recover_unset, .what = "a writer dies while it ends a budget, and the next one goes on",
        .setup = setup_unset, .mortal = 1, .deaths = 1, .threads = { unset_budget, go_on },
        .check = check, .outcomes = { "new", "old" })

/* ---- deregister --------------------------------------------------------------------------- */

static void setup_deregister(void)
{
	begin((struct answer){ .code = K2K_EBUDGET }, (struct answer){ .code = K2K_ENOTENANT });
	define(RATE_OLD, true);
}

static void deregister(void)
{
	explore_assert(k2k_tenant_deregister(world_self(), ID, NULL) == 0);
}

PROGRAM(recover_deregister, .what = "a writer dies in a deregister, and the next one goes on",
        .setup = setup_deregister, .mortal = 1, .deaths = 1, .threads = { deregister, go_on },
        .check = check, .outcomes = { "new", "old" })

/* ---- beside a reader ----------------------------------------------------------------------
 *
 * First a reader beside a writer that may die; then a reader beside the writer that recovers what a
 * dead one has left. The reader is an observer, for whom no grace period waits.
 *
 * The reader of an update, or of the end of a budget, looks at the version before and after each
 * look, and again if it has changed. With a death before each step these are minutes: --full.
 */

PROGRAM(recover_register_read, .what = "a reader beside a register whose writer dies",
        .setup = setup_register, .mortal = 1, .deaths = 1,
        .threads = { register_tenant, read_twice }, .check = check, .outcomes = { "new", "old" })
FULL_PROGRAM(recover_update_read, .what = "a reader beside an update whose writer dies",
             .setup = setup_update, .mortal = 1, .deaths = 1, .threads = { update, read_twice },
             .check = check, .outcomes = { "new", "old" })
FULL_PROGRAM(recover_unset_read, .what = "a reader beside the end of a budget whose writer dies",
             .setup = setup_unset, .mortal = 1, .deaths = 1,
             .threads = { unset_budget, read_twice }, .check = check, .outcomes = { "new", "old" })
PROGRAM(recover_deregister_read, .what = "a reader beside a deregister whose writer dies",
        .setup = setup_deregister, .mortal = 1, .deaths = 1, .threads = { deregister, read_twice },
        .check = check, .outcomes = { "new", "old" })

/* In a setup: the judge, who is no thread, dies in a change, before its commit store or after. */
static void die_in_change(uint64_t rate, uint64_t budget_ns, bool committed)
{
	struct k2k_registry *reg = &world_handles[JUDGE];
	struct k2k_budget budget = { .engagement_id = E, .budget_ns = budget_ns };
	struct k2k_quota quota = quota_of(rate, &budget);
	struct k2k_change change = { .reg = reg, .operation = K2K_OP_UPDATE, .id = ID };
	struct k2k_limits limits;

	explore_assert(k2k_change_take_budgets(&change, &quota) == 0);
	explore_assert(k2k_writer_lock(&reg->writer, UINT64_MAX) == 0);
	k2k_writer_begin(&reg->writer, change.operation);
	explore_assert(k2k_change_find_live(&change) == 0);
	k2k_tenant_limits(&world_map, change.slot, &limits);
	limits.rate = rate;
	k2k_tenant_prepare(&world_map, change.slot, &limits);
	explore_assert(k2k_change_budgets(&change, limits.version + 1) == 0);
	if (committed)
		k2k_tenant_flip(&world_map, change.slot, limits.mode);
	free(change.budgets);
}

static void setup_half_set(void)
{
	setup_update();
	die_in_change(RATE_NEW, 0, false);
}

static void setup_half_unset(void)
{
	setup_unset();
	die_in_change(RATE_OLD, K2K_UNLIMITED, false);
}

static void setup_set(void)
{
	setup_update();
	die_in_change(RATE_NEW, 0, true);
}

static void setup_just_unset(void)
{
	setup_unset();
	die_in_change(RATE_OLD, K2K_UNLIMITED, true);
}

static void check_undone(void)
{
	judge_registry();
	explore_assert(look(&world_handles[JUDGE]) == OLD);
}

/* Perhaps only now. */
static void check_undone_again(void)
{
	judge_after_change();
	explore_assert(look(&world_handles[JUDGE]) == OLD);
}

static void check_done(void)
{
	judge_registry();
	explore_assert(look(&world_handles[JUDGE]) == NEW);
}

static void read_old(void)
{
	explore_assert(look(world_self()) == OLD);
}

static void read_new(void)
{
	explore_assert(look(world_self()) == NEW);
}

PROGRAM(recover_beside_set, .what = "a reader beside the recovery of half an update",
        .setup = setup_half_set, .threads = { go_on, read_old }, .check = check_undone)
PROGRAM(recover_beside_unset, .what = "a reader beside the recovery of half an end of a budget",
        .setup = setup_half_unset, .threads = { go_on, read_old }, .check = check_undone)
PROGRAM(recover_beside_done, .what = "a reader beside the recovery after an update",
        .setup = setup_set, .threads = { go_on, read_new }, .check = check_done)
PROGRAM(recover_beside_ended, .what = "a reader beside the recovery after the end of a budget",
        .setup = setup_just_unset, .threads = { go_on, read_new }, .check = check_done)

/* ---- two deaths ------------------------------------------------------------------------------ */

PROGRAM(recover_beside_dead, .what = "a writer dies while it recovers half an update",
        .setup = setup_half_set, .mortal = 1, .deaths = 1, .threads = { go_on, read_old },
        .check = check_undone_again)
