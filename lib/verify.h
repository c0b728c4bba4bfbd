/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * verify.h (F6, on top of its peers) - compares all of the memory with the invariants.
 *
 * 1. Verification only reads, survives whatever it reads, and each of its walks has a bound.
 * 2. What changes meanwhile may look wrong once. So the caller verifies again and keeps what both
 *    rounds found. It compares texts, so no text contains a number that changes by itself.
 * 3. These are not findings: a dead broker's slot, claims and leases (they count as nothing, and
 *    any process that needs them takes them), tenants that wait for a grace period, and numbers for
 *    which any value may be right.
 *
 * Loads without a label are relaxed: their values are only compared, and the second round finds
 * again what matters.
 */
#ifndef K2K_VERIFY_H
#define K2K_VERIFY_H

#include "broker.h"
#include "clock.h"
#include "hash.h"
#include "k2k/registry.h"
#include "list.h"
#include "map.h"
#include "ring.h"

#define K2K_FINDINGS_MAX 256 /* more findings than this are not stored */
/*
 * A thread that is killed while it appends an event leaves a number that was claimed and is never
 * counted. A ring with more of these than this is damaged: so many threads are never killed.
 */
#define K2K_RING_UNCOUNTED_MAX (UINT64_C(1) << 32)

struct k2k_verify {
	const struct k2k_map *map;
	const struct k2k_clock *clock;
	struct k2k_liveness *liveness;
	const struct k2k_shm_header *defs_header, *live_header; /* as the attach checked them */
	bool alone; /* the caller holds the writer's lock: definitions and lists don't change */
	struct k2k_finding list[K2K_FINDINGS_MAX];
	size_t count;
};

void k2k_verify_definitions(struct k2k_verify *verify);
void k2k_verify_live(struct k2k_verify *verify);
void k2k_verify_kernels(struct k2k_verify *verify);
void k2k_verify_trail(struct k2k_verify *verify);
/* The words of one ring; also for repair. */
void k2k_verify_ring(struct k2k_verify *verify, uint32_t index);
/* The highest event number, at most `most`, that is in its own place; 0 if there is none. */
uint64_t k2k_verify_highest(const struct k2k_ring *ring, uint64_t most);
void k2k_verify_place(struct k2k_verify *verify, const struct k2k_ring *ring, uint32_t index,
                      uint64_t place);

/* ---- shared by the parts --------------------------------------------------------- */

void k2k_verify_report(struct k2k_verify *verify, const char *invariant, const char *object,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Sets a record's bit in `seen`. True if it was set already. */
bool k2k_verify_mark(uint8_t *seen, uint32_t index);
bool k2k_verify_is_marked(const uint8_t *seen, uint32_t index);

/* Is (slot, generation) a registration that is live or retired? */
bool k2k_verify_has_tenant(const struct k2k_map *map, uint32_t slot, uint64_t generation);
/*
 * The upper part of a claimed or live record's word must be a broker's incarnation, or the writer's
 * mark.
 */
void k2k_verify_claim(struct k2k_verify *verify, const char *object, uint32_t index, uint64_t word);
/*
 * Verifies buckets, chains and the common head of each record. of_writer: only the writer takes
 * these records, and a state word holds the token of that moment instead of a claimer.
 */
void k2k_verify_hash(struct k2k_verify *verify, const struct k2k_hash *hash, const char *object,
                     bool of_writer);
/* Only buckets and chains; sets the bit of each linked record in `seen`. */
void k2k_verify_chains(struct k2k_verify *verify, const struct k2k_hash *hash, const char *object,
                       uint8_t *seen);
/*
 * Reserved fields, of at most 64 bytes, must be zero, unless the registry has a feature that may
 * use them.
 */
void k2k_verify_reserved(struct k2k_verify *verify, const char *object, uint32_t index,
                         const void *field, size_t bytes);

/* The word of a limit's thresholds (alert.h), loaded before its newest sequence. */
void k2k_verify_alert(struct k2k_verify *verify, const char *object, uint32_t index, uint64_t word,
                      uint64_t newest);

#endif
