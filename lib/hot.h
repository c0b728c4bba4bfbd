/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hot.h (F5) - the rest of a tenant's window, given out to the brokers that use it at once.
 *
 * A tenant is cold most of the time: its cell decides (rate.h). If brokers get in each other's way
 * there, one of them opens the rest of the window of a second. Then each spends from a share of its
 * own, in a cache line that no other broker writes. Whoever needs the whole folds the shares back,
 * and the tenant is cold again.
 *
 *   cell    {admitted: its top bit is HOT while it is open | opening: a label}   16 bytes
 *           label = {second: 30 bits | number: 12 bits}, only grows; odd while it is open
 *   source  {label << 18 | tag of a version | what is left: 64 bits}             16 bytes
 *   share   {spent: 64 bits | label << 22 | credit}                              16 bytes
 *           and a version, of the definition that its credit was drawn under
 *
 * Each pair changes by compare-exchanges of 16 bytes.
 *
 *   open    the cell, from cold and a label below L = {now, odd} to HOT and L. This alone opens; a
 *           cold admission expects a cell without HOT, so from here on it fails
 *   fill    the source, from a label below L to {L, limit - used}: HOT holds `admitted` still
 *   draw    the source, from {L, left} to {L, left - k}
 *   raise   the own share, from a label that is at most L to L with k more
 *   spend   the own share: n from credit to spent
 *   fold    the source to {L + 1, 0}; each share to L + 1 without credit; then the cell, from HOT
 *           and L to cold and L + 1, with the sum of what the shares have spent added
 *
 * Anybody completes each step, nobody waits, and a fold is complete with its last exchange.
 *
 * 1. Spent and credit of a share count only under its label: what is left in it from an earlier
 *    opening counts nothing. So shares need no preparation.
 * 2. Every share that has a bit in `brokers` is at L + 1 before the cell is. A broker sets its bit
 *    before it draws, and the source is closed before the bits are read: so a draw that is not seen
 *    has failed.
 * 3. So what was drawn under L and is raised after the fold fails for ever, also in a share that
 *    had no part in L. It isn't lost: only what was spent is added to `admitted`. The same is true
 *    of credit, whoever had it: a broker that was killed, or is stopped.
 * 4. `admitted` without HOT doesn't change while it is open, and the label never repeats: of those
 *    that fold, one adds the sum.
 * 5. Credit is spent only if its label's second has not passed by the coarse clock, as in the cell,
 *    and its version is in force. The version is stored before the raise, and no share has credit
 *    of an earlier version by then: the source's tag is of this one, so an opening of an earlier
 *    version was folded first. (Unless 2^18 updates come within a second.)
 * 6. The sum of what is spent and what may still be spent is at most what was left at the fill.
 *
 * Killed, or stopped, after any step: others fold, and what was drawn and not spent is free again
 * in the same second. An admission is one exchange of a share, so at most the call in flight is
 * uncertain.
 *
 * A source belongs to a registration from its first opening until its slot is free again. There are
 * few; a tenant that gets none stays cold.
 *
 * Damage. A share or a source whose label can't be is set to the label of the fold, without what it
 * had counted. A cell whose link leads to no source of the tenant can't be folded (K2K_ECORRUPT)
 * until an administrator repairs it.
 *
 * Model: tests/model/hot.pml.
 */
#ifndef K2K_HOT_H
#define K2K_HOT_H

#include "delay.h"
#include "map.h"

#define K2K_HOT (UINT64_C(1) << 63)
#define K2K_HOT_NUMBER_BITS 12
#define K2K_HOT_CREDIT_BITS 22
#define K2K_HOT_CREDIT_MAX ((UINT64_C(1) << K2K_HOT_CREDIT_BITS) - 1)
#define K2K_HOT_OPENINGS 8 /* of a tenant in a second */
/* the limit of a window without one: it is never used up in a second */
#define K2K_HOT_PLENTY (UINT64_C(1) << 62)

static inline bool k2k_hot_is(uint64_t admitted)
{
	return k2k_unlikely(admitted >> 63);
}

/* A total that a message has been counted in: it begins again at 2^63, so it is never HOT. */
static inline uint64_t k2k_hot_sum(uint64_t admitted, uint64_t n)
{
	return (admitted + n) & ~K2K_HOT;
}

static inline uint64_t k2k_hot_second(uint64_t label)
{
	return label >> K2K_HOT_NUMBER_BITS;
}

static inline struct k2k_shm_share *k2k_hot_share(const struct k2k_map *map, uint32_t source,
                                                  uint32_t broker)
{
	return &map->shares[(size_t)source * map->sizes.slots + broker];
}

enum k2k_hot_state {
	K2K_HOT_COLD,
	K2K_HOT_OPEN,
	K2K_HOT_DAMAGED, /* bit and label, or the link, can't be true */
};
/*
 * How many messages are counted, open or not: exact if nobody counts meanwhile, else a number that
 * was true during the call. Stores nothing. Damaged: what the cell says.
 */
enum k2k_hot_state k2k_hot_total(const struct k2k_map *map, uint32_t slot, uint64_t *total);

/*
 * Opens the tenant for this second, if `admitted` is still this and there is a source for it.
 * False: it is as it was. Killed after it: others fill the source, or fold.
 */
bool k2k_hot_open(const struct k2k_map *map, uint32_t slot, uint64_t admitted, uint64_t second);
/* Makes the tenant cold. False: damaged. True, but it may be open again by now. */
bool k2k_hot_fold(const struct k2k_map *map, uint32_t slot);

/*
 * Spends n of the share's credit; with `admits` false it only looks. *second: the clock's, and then
 * the window's, which is later if the clock is late. False: it has not enough, or of another second
 * or version, or another thread was faster.
 */
static inline bool k2k_hot_spend(struct k2k_shm_share *share, uint64_t generation, uint64_t version,
                                 uint64_t n, bool admits, uint64_t *second)
{
	/* observe[share]: the version of this credit, or a later one */
	uint64_t word = k2k_load_acquire(&share->spent.second);
	/* observe[share-version]: that all shares are beyond the labels of earlier versions (5) */
	uint64_t of = k2k_load_acquire(&share->version);
	/* relaxed, both: stored before the version; and compared by the exchange below */
	uint64_t owner = k2k_load_relaxed(&share->generation);
	uint64_t spent = k2k_load_relaxed(&share->spent.first);

	if (k2k_unlikely((word & K2K_HOT_CREDIT_MAX) < n || of != version || owner != generation ||
	                 k2k_hot_second(word >> K2K_HOT_CREDIT_BITS) < *second))
		return false;
	*second = k2k_hot_second(word >> K2K_HOT_CREDIT_BITS);
	if (!admits)
		return true;
	K2K_DELAY(spending);
	/* publish[share]: what was spent; observe[share] */
	return k2k_cas_pair_acq_rel(&share->spent.first, &share->spent.second, spent, word,
	                            spent + n, word - n);
}

/* ---- drawing: label is the one in force, or was -------------------------------------------- */

enum k2k_hot_draw {
	K2K_HOT_RAISED,   /* the share has spent n, and has credit for more */
	K2K_HOT_AGAIN,    /* others were faster: look again */
	K2K_HOT_EMPTY,    /* too little is left, or it is of another version, or closed: fold */
	K2K_HOT_UNFILLED, /* nobody has said yet what is left: fill */
};
/*
 * For n that is at most K2K_HOT_CREDIT_MAX. `limit`: of the window; the share notes how much of it
 * is drawn. *own: the share, if it is raised. Killed after it has drawn: that comes back with the
 * fold.
 */
enum k2k_hot_draw k2k_hot_draw(const struct k2k_map *map, uint32_t slot, uint32_t broker,
                               uint64_t label, uint64_t version, uint64_t limit, uint64_t n,
                               struct k2k_shm_share **own);
/* Says what is left, if nobody has said it of this label. */
void k2k_hot_fill(const struct k2k_map *map, uint32_t slot, uint64_t label, uint64_t version,
                  uint64_t left);

/* ---- for the writer ------------------------------------------------------------------------ */

/* Before the tenant's slot becomes free: nobody refers to it any more. */
void k2k_hot_release(const struct k2k_map *map, uint32_t slot);
/*
 * Can the cell's label, bit and link be true, if no window is of a second after the latest? Brokers
 * may go on meanwhile.
 */
bool k2k_hot_is_sound(const struct k2k_map *map, uint32_t slot, uint64_t latest);
/*
 * Makes a cell that isn't sound cold; without what its shares had counted, if nothing leads to
 * them. True if it was not sound.
 */
bool k2k_hot_mend(const struct k2k_map *map, uint32_t slot, uint64_t latest);
/* Whose a source is. */
enum k2k_hot_owner {
	K2K_HOT_FREE,
	K2K_HOT_OWNED,  /* by the tenant in *slot */
	K2K_HOT_UNSEEN, /* the same, but the tenant's end would not free it: `sought` is not 1 */
	K2K_HOT_LOST,   /* no tenant is of this generation */
};
enum k2k_hot_owner k2k_hot_owner_of(const struct k2k_map *map, uint32_t source, uint32_t *slot);
/* For a source without a tenant. Nobody refers to it. */
void k2k_hot_reset(const struct k2k_map *map, uint32_t source);

#endif
