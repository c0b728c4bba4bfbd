/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mend.h (F6, on top of its peers) - removes or restores what can't be true in `live`, and reports
 * it.
 *
 * A broker can leave any bytes in `live`. Recovery, repair and reaping walk through it, so they
 * first make it safe to walk: the writer calls k2k_mend().
 *
 * 1. It changes nothing that is sound: in a registry without damage it stores nothing. Brokers
 *    insert and claim meanwhile, and none of their intermediate states looks like damage: each file
 *    says why.
 * 2. Afterwards each chain of the ledger ends and contains only records of its own bucket, each
 *    once; and every LIVE record of a registration is in its chain, or its row leads to it (unless
 *    a broker damages them again).
 * 3. The definitions decide which tenant a record belongs to, by its generation, which a registry
 *    gives only once. A record of no registration is removed, and its GPU time is added to
 *    defs.cut_ns.
 * 4. A reader that is at a removed record next sees a record of another bucket, or the end of the
 *    chain; each of its walks has a bound. A removed record is RETIRED with the caller's token, so
 *    it is reused only after a grace period.
 * 5. A word that a broker may write too is changed by compare-exchange: what the broker stored
 *    meanwhile stays. Only the event counts of a damaged ring are cleared by plain stores: what a
 *    broker adds to them meanwhile may be lost with them.
 *
 * If the process is killed after any store, the rest is still damaged, and the next k2k_mend()
 * finds it. If it is killed between taking the GPU time out of a record and adding it elsewhere,
 * that time is in no total.
 *
 * Not in the models: ledger.pml proves the protocol for records that contain what the protocol
 * wrote. The steps here add no new kind of transition. A link is changed as k2k_hash_unlink()
 * changes it, and a record is linked as k2k_hash_insert() links it, both by the only remover. A
 * state changes from LIVE to RETIRED, or from FREE or RETIRED to CLAIMED and LIVE by a claim's
 * compare-exchange.
 */
#ifndef K2K_MEND_H
#define K2K_MEND_H

#include "verify.h"

/* How much was removed or restored. The texts are in `verify`, as many as fit. */
struct k2k_mend_counts {
	/*
	 * heads and links of chains, and links in rows, that led outside the table or to a wrong
	 * record
	 */
	uint64_t links;
	/* records whose own words could not be true, and records that were linked again */
	uint64_t records;
	/* words of tenants, pools and broker slots: windows, marks, flags, reserved fields */
	uint64_t words;
	uint64_t rings;  /* rings whose counts or events could not be true */
	uint64_t merged; /* records of an engagement that had two: one of them has the sum now */
	uint64_t leases; /* a broker's holdings of a tenant that no longer count */
	/* GPU time of records whose tenant is unknown: it is in defs.cut_ns now */
	uint64_t cut_ns;
	/*
	 * GPU time that did not fit into its engagement: it is in its tenant's unattributed total
	 * now
	 */
	uint64_t unattributed_ns;
};

struct k2k_mend {
	const struct k2k_map *map;
	const struct k2k_clock *clock;
	struct k2k_liveness *liveness;
	const struct k2k_passed *passed;
	const struct k2k_shm_header *live_header; /* as the attach checked it */
	uint64_t token;                           /* for what is retired now; not published yet */
	/* set by repair: also mends what no change walks: kernels, rings, records above marks */
	bool thorough;
	/* if `thorough`: of this process in live, for claims of the directory of kernels */
	uint64_t incarnation;
	bool stamped; /* something was stamped: the caller must publish the token */
	struct k2k_mend_counts counts;
	/* records that dead brokers and killed reapers left, which is no damage */
	uint64_t adopted_costs, adopted_leases;
	struct k2k_verify *verify; /* may be null */

	/* for the parts below: all registrations, sorted by generation */
	struct k2k_registration *registrations;
	size_t registration_count;
};

/* Mends all of `live`. 0 or K2K_ENOMEM. */
int k2k_mend(struct k2k_mend *mend);
bool k2k_mended_anything(const struct k2k_mend_counts *counts);

/* ---- the parts --------------------------------------------------------------------- */

struct k2k_registration {
	uint64_t generation;
	uint32_t slot;
};

/* Fills mend->registrations, which the caller frees. 0 or K2K_ENOMEM. */
int k2k_mend_list_registrations(struct k2k_mend *mend);
/* The live or retired registration of a generation, or null. */
const struct k2k_registration *k2k_mend_registration(const struct k2k_mend *mend,
                                                     uint64_t generation);
/* Is it the slot's last registration? If it is not current either, it was reaped or undone. */
bool k2k_mend_is_over(const struct k2k_mend *mend, uint32_t slot, uint64_t generation);
void k2k_mend_report(struct k2k_mend *mend, uint64_t *count, const char *invariant,
                     const char *object, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/*
 * Changes a link that leads to `from`: a record's by a store, because only the writer changes it; a
 * head by compare-exchange. False: the head has changed meanwhile.
 */
bool k2k_mend_set_link(k2k_u32 *link, bool is_head, uint32_t from, uint32_t to);
/* Raises the high-water mark, at which sweeps end, above the last record in use. */
void k2k_mend_mark(struct k2k_mend *mend, const struct k2k_pool *pool, const char *object);
/*
 * Checks the upper part of an entry's state word: FREE must have none, RETIRED a token up to the
 * caller's, CLAIMED and LIVE a claimer that can exist.
 */
void k2k_mend_state_word(struct k2k_mend *mend, const struct k2k_pool *pool, uint32_t index,
                         const char *object);
/*
 * Makes a FREE or RETIRED record LIVE again, because it is in use: it is linked, or a budget owns
 * it. False: it is neither FREE nor RETIRED, or another process took it meanwhile.
 */
bool k2k_mend_revive(const struct k2k_pool *pool, uint32_t index, uint64_t generation);
/*
 * Returns the state word of a record. If a dead broker had claimed and linked it, the record is
 * LIVE now, as recovery makes it, and *count is raised.
 */
uint64_t k2k_mend_adopt(const struct k2k_mend *mend, const struct k2k_pool *pool, uint32_t index,
                        bool linked, uint64_t *count);
void k2k_mend_reserved(struct k2k_mend *mend, const char *object, uint32_t index, void *field,
                       size_t bytes);

/*
 * Empties the word of a limit's thresholds (alert.h) if it can't be one of a sequence up to
 * `newest`: they may be reported again, which is better than never again.
 */
void k2k_mend_alert(struct k2k_mend *mend, const char *object, uint32_t index, k2k_u64 *word,
                    uint64_t newest);

int k2k_mend_costs(struct k2k_mend *mend);
void k2k_mend_periods(struct k2k_mend *mend);
int k2k_mend_leases(struct k2k_mend *mend);
/* Only if `thorough`. */
void k2k_mend_kernels(struct k2k_mend *mend);
void k2k_mend_words(struct k2k_mend *mend);
void k2k_mend_rings(struct k2k_mend *mend);

#endif
