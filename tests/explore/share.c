/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * share.c - programs of shares of a rate (lib/rate.h, 7 to 9; lib/shares.c): messages beside an
 * agent that takes over.
 *
 * In the first two no message passes by the share and the time of one epoch: either its shares have
 * ended, and the limit alone is 0, or the share itself is 0. If one passes, it was decided by the
 * share of one epoch and the time of another.
 */
#include "judge.h"

#define ID 7
#define READER 1
#define FAR (1000 * (uint64_t)WORLD_SECOND * K2K_NS_PER_SEC)

static void set_share(struct k2k_registry *admin, uint64_t share)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	quota.max_messages_per_sec = share;
	quota.rate_shared = 1;
	explore_assert(k2k_tenant_update(admin, ID, &quota, K2K_UPDATE_RATE) == 0);
}

static void hold(struct k2k_registry *admin, uint64_t epoch, uint64_t until_ns)
{
	explore_assert(k2k_shares_hold(admin, epoch, until_ns) == 0);
}

/* Epoch 1, of this share, and held until the time if that is not 0. */
static void begin(uint64_t share, uint64_t until_ns)
{
	world_begin(&(struct world_sizes){ .tenants = 2 });
	world_admin(0);
	world_broker(READER);
	judge_begin();
	explore_assert(k2k_tenant_register(&world_handles[JUDGE], ID, NULL) == 0);
	explore_assert(k2k_message_record(&world_handles[READER], ID) == 0); /* this second */
	set_share(&world_handles[JUDGE], share);
	hold(&world_handles[JUDGE], 1, 0);
	hold(&world_handles[JUDGE], 1, until_ns);
}

static void setup_ended(void)
{
	begin(K2K_UNLIMITED, 0);
}

static void setup_of_nothing(void)
{
	begin(0, FAR);
}

static void begin_of_nothing(void)
{
	set_share(world_self(), 0);
	hold(world_self(), 1, FAR);
}

static void take_over(void)
{
	hold(world_self(), 2, 0);
	set_share(world_self(), K2K_UNLIMITED);
}

static void is_refused(void)
{
	explore_assert(k2k_message_admit(world_self(), ID, (struct k2k_audit_tag){ 0, 0 }, 1,
	                                 NULL) == K2K_ERATE);
}

static void check(void)
{
	judge_registry();
}

PROGRAM(share_begins, .what = "a message beside a share that is taken away before shares hold",
        .setup = setup_ended, .threads = { begin_of_nothing, is_refused }, .check = check)
PROGRAM(share_ends, .what = "a message beside an agent that ends shares before it raises one",
        .setup = setup_of_nothing, .threads = { take_over, is_refused }, .check = check)

/* ---- both words ---------------------------------------------------------------------------- */

static void look(void)
{
	struct k2k_shares shares = K2K_SHARES_INIT;

	explore_assert(k2k_shares_get(world_self(), &shares) == 0);
	explore_assert(shares.until_ns == 0 || shares.until_ns == FAR + shares.epoch);
}

static void setup_held(void)
{
	begin(1, FAR + 1);
}

static void next_epoch(void)
{
	hold(world_self(), 2, 0);
	hold(world_self(), 2, FAR + 2);
}

PROGRAM(share_words, .what = "a look beside another epoch and its time", .setup = setup_held,
        .threads = { next_epoch, look }, .check = check)
