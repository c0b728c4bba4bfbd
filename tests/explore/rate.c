/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rate.c - programs of the rate words (lib/rate.h): roll, admit, record, a limit that changes.
 *
 * I3: in each second, messages counted by `admit` are at most the limit, and as many as the limit if more
 * was asked. A message counts in the second whose window its interval [admitted, admitted + n) lies in:
 * which one that is the windows say, whose bases are the values of `admitted` that they began with.
 */
#include "rate.h"
#include "tenant.h"
#include "world.h"

#define ID 7
#define LIMIT 2

static uint32_t slot;
static unsigned int passed[EXPLORE_THREADS], refused[EXPLORE_THREADS];

static void setup(void)
{
	const struct k2k_limits limits = { .rate = LIMIT, .version = 2 };

	world_begin(&(struct world_sizes){ .tenants = 1 });
	slot = world_tenant(ID, &limits);
	for (int i = 0; i < EXPLORE_THREADS; i++) {
		world_broker(i);
		passed[i] = refused[i] = 0;
	}
	/* a window of this second, in which nothing is used */
	k2k_store_relaxed(&world_map.cells[slot].window, k2k_rate_pack(WORLD_SECOND, 0));
}

static void admit(uint64_t n)
{
	int code = k2k_message_admit(world_self(), ID, (struct k2k_audit_tag){ 0 }, n, NULL);

	explore_assert(code == 0 || code == K2K_ERATE);
	(code ? refused : passed)[explore_self()] += n;
}

static void admit_one(void)
{
	admit(1);
}

static void admit_two(void)
{
	admit(1);
	admit(1);
}

static void within_limit(void)
{
	unsigned int all = 0, no = 0;

	for (int i = 0; i < EXPLORE_THREADS; i++) {
		all += passed[i];
		no += refused[i];
	}
	explore_assert(k2k_load_relaxed(&world_map.cells[slot].admitted) == all);
	explore_assert(all <= LIMIT);
	explore_assert(no == 0 || all == LIMIT);
}

PROGRAM(rate_admit, .what = "three admissions of one second share a limit of two", .setup = setup,
        .threads = { admit_one, admit_one, admit_one }, .check = within_limit)
PROGRAM(rate_admit_two, .what = "two threads of two admissions share a limit of two",
        .setup = setup, .threads = { admit_two, admit_two }, .check = within_limit)
