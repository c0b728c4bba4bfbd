/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * shares.c (F7) - until when this host's shares of rates over many hosts hold, and whose they are.
 *
 * Two words of `defs`, which an administrator stores under the writer's lock; each decision reads
 * the first (rate.h). A time other than 0 is that of the epoch stored:
 *
 * another epoch, killed after:   shares            the epoch is
 *   until := 0                   don't hold        the earlier one
 *   epoch                        don't hold        the later one
 * a time: one store
 *
 * Both are states that another call may find, so nothing is to be repaired.
 */
#include <inttypes.h>

#include "change.h"
#include "handle.h"
#include "rate.h"
#include "tenant.h"

static int go_on(struct k2k_shm_defs *defs, uint64_t until_ns)
{
	uint64_t stored = k2k_load_relaxed(&defs->shares_until_ns); /* relaxed: under the lock */

	if (until_ns && until_ns < stored)
		return k2k_fail_values(
			K2K_EINVAL, "shares", "until_ns", stored, until_ns,
			"the shares of this epoch hold until %" PRIu64 ", which is later", stored);
	/* publish[shares-until]: the definitions of this epoch (rate.h, 9) */
	k2k_store_release(&defs->shares_until_ns, until_ns);
	return 0;
}

static int begin_epoch(struct k2k_shm_defs *defs, uint64_t epoch, uint64_t until_ns)
{
	if (until_ns)
		return k2k_fail_argument("until_ns",
		                         "not 0 in a new epoch: first update its shares");
	/* relaxed: published by the epoch, and by the version of each share that is changed next */
	k2k_store_relaxed(&defs->shares_until_ns, 0);
	K2K_DELAY(shares_ended);
	/* publish[shares-epoch]: shares of the earlier epoch don't hold any more */
	k2k_store_release(&defs->shares_epoch, epoch);
	return 0;
}

int k2k_shares_hold(struct k2k_registry *reg, uint64_t epoch, uint64_t until_ns)
{
	K2K_UNCANCELLED;
	struct k2k_shm_defs *defs;
	uint64_t stored;
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	if (epoch == 0)
		return k2k_fail_argument("epoch", "0");
	code = k2k_change_begin(reg, K2K_OP_CHECK, k2k_deadline(reg));
	if (code)
		return code;
	defs = reg->map.defs;
	stored = k2k_load_relaxed(&defs->shares_epoch); /* relaxed: under the lock */
	if (epoch < stored)
		code = K2K_ESTALE;
	else if (epoch == stored)
		code = go_on(defs, until_ns);
	else
		code = begin_epoch(defs, epoch, until_ns);
	k2k_change_leave(reg);
	return code;
}

/* The two words, of one epoch. */
static void read_words(const struct k2k_shm_defs *defs, struct k2k_shares *shares)
{
	do {
		/* observe[shares-epoch]: that the time of the earlier one is over */
		shares->epoch = k2k_load_acquire(&defs->shares_epoch);
		/* observe[shares-until]: its epoch */
		shares->until_ns = k2k_load_acquire(&defs->shares_until_ns);
		/* relaxed: ordered by the loads before it */
	} while (k2k_load_relaxed(&defs->shares_epoch) != shares->epoch);
}

int k2k_shares_get(struct k2k_registry *reg, struct k2k_shares *shares)
{
	K2K_UNCANCELLED;
	struct k2k_shares mine = K2K_SHARES_INIT;
	int code = reg ? K2K_CHECK_STRUCT(shares, 0) : 0;

	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	code = k2k_tenant_check_fence(&reg->map);
	read_words(reg->map.defs, &mine);
	mine.now_ns = k2k_clock_boot_ns(&reg->clock);
	k2k_read_unlock();
	if (!code)
		K2K_GIVE_STRUCT(shares, &mine);
	return code;
}
