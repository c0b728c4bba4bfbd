/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mend.h (F6, on top of its peers) - what can't be true in `live` is cut out, and told.
 *
 * A broker can leave any bytes in `live`. Recovery, repair and reaping walk there, so they make it
 * walkable first: the writer of `defs`, under its lock, calls k2k_mend().
 *
 * 1. What is sound is left alone: on a registry without damage nothing is stored. Brokers insert
 *    and claim meanwhile, and none of their half done steps looks like damage: each file says why.
 * 2. Afterwards each chain of the ledger ends, and holds only records of its own, each once; every
 *    LIVE record of a registration is in its chain, or its row leads there (as long as nobody
 *    damages them anew).
 * 3. The definitions decide whose a record is: its generation, which is given once in a registry's
 *    life. A record of no registration is cut out, and the GPU time in it is added to defs.cut_ns.
 * 4. Readers that stand on what is cut out see a record of another bucket, or the end of the chain;
 *    each of their walks has a bound. What is cut out is RETIRED with the caller's token, so it is
 *    reused after a grace period.
 * 5. Words are stored by compare-exchange where a broker may write them too: what it stored
 *    meanwhile stays.
 *
 * Killed after any store: what was not reached yet is still damaged, and the next k2k_mend() finds
 * it. The GPU time of one record may be in no total then, where the kill falls between taking it
 * out of the record and adding it elsewhere.
 *
 * Not in the models: ledger.pml proves the protocol for records that hold what the protocol wrote.
 * The steps here add no transition to it: a link is changed as k2k_hash_unlink() changes it, a
 * record is linked as k2k_hash_insert() links it, both by the single remover; a state changes LIVE
 * -> RETIRED, or FREE/RETIRED -> CLAIMED -> LIVE by the claim's CAS.
 */
#ifndef K2K_MEND_H
#define K2K_MEND_H

#include "verify.h"

/* Numbers of what was cut out or set right; the texts are in `look`, as many as fit. */
struct k2k_mend_counts {
	/* heads and links of chains, and words of rows, that led nowhere, or to a foreign record */
	uint64_t links;
	/* records whose own words could not be, and those put back into their chain */
	uint64_t records;
	/* of tenants, pools, broker slots: windows, marks, flags, reserved fields */
	uint64_t words;
	uint64_t rings;  /* whose counts or events could not be */
	uint64_t merged; /* records of an engagement that had two: one has the sum now */
	uint64_t leases; /* holdings of a broker of a tenant that count no more */
	/* GPU time of records whose tenant can't be told: in defs.cut_ns now */
	uint64_t cut_ns;
	/* GPU time that did not fit into its engagement: in its tenant's unattributed total now */
	uint64_t unattributed_ns;
};

struct k2k_mend {
	const struct k2k_map *map;
	const struct k2k_clock *clock;
	struct k2k_liveness *liveness;
	const struct k2k_passed *passed;
	const struct k2k_shm_header *live_header; /* as attach has checked it */
	uint64_t token;                           /* for what is retired now: not published yet */
	/* repair: also what no walk of a change needs: rings, and records above the marks */
	bool thorough;
	bool stamped; /* something was: the caller publishes the token */
	struct k2k_mend_counts counts;
	/* what dead brokers and killed reapers have left: no damage */
	uint64_t adopted_costs, adopted_leases;
	struct k2k_look *look; /* may be null */

	/* for the parts: registrations by generation */
	struct k2k_registration *registrations;
	size_t registration_count;
};

/* All of `live`. 0 or K2K_ENOMEM. */
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
/* Is it a registration that this slot had last, and that is gone in order (reaped, or undone)? */
bool k2k_mend_is_over(const struct k2k_mend *mend, uint32_t slot, uint64_t generation);
void k2k_mend_tell(struct k2k_mend *mend, uint64_t *count, const char *invariant,
                   const char *object, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/*
 * Sets a link that led to `from`: a record's by a store, which is ours; a head by compare-exchange.
 * False: the head has changed.
 */
bool k2k_mend_set_link(k2k_u32 *link, bool is_head, uint32_t from, uint32_t to);
/* The last record in use is below the mark that sweeps end at. */
void k2k_mend_mark(struct k2k_mend *mend, const struct k2k_pool *pool, const char *object);
/*
 * What an entry's state word says besides the state: of FREE, of a token that is not published, of
 * a claimer that is nobody.
 */
void k2k_mend_state_word(struct k2k_mend *mend, const struct k2k_pool *pool, uint32_t index,
                         const char *object);
/*
 * A record that is linked, or has a registration, and is FREE or RETIRED all the same: LIVE again.
 * False: somebody took it.
 */
bool k2k_mend_revive(struct k2k_mend *mend, const struct k2k_pool *pool, uint32_t index,
                     uint64_t generation);
/*
 * The state of a record, which is LIVE now where a dead one had claimed and linked it, as recovery
 * does it.
 */
uint64_t k2k_mend_adopt(const struct k2k_mend *mend, const struct k2k_pool *pool, uint32_t index,
                        bool linked, uint64_t *count);
void k2k_mend_reserved(struct k2k_mend *mend, const char *object, uint32_t index, void *field,
                       size_t bytes);

int k2k_mend_costs(struct k2k_mend *mend);
int k2k_mend_leases(struct k2k_mend *mend);
void k2k_mend_words(struct k2k_mend *mend);
void k2k_mend_rings(struct k2k_mend *mend);

#endif
