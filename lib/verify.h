/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * verify.h (F6, on top of its peers) - one look at everything: can what stands there be?
 *
 * 1. It reads only, survives whatever it reads, and each walk has a bound.
 * 2. What moves meanwhile may look wrong once: the caller looks again, and keeps what both looks
 *    found. So a text holds no number that moves by itself.
 * 3. What is not told: a dead broker's place, claims and leases (they count as nothing, and are
 *    taken by whoever needs them), tenants that wait for a grace period, and numbers of which any
 *    may be right.
 *
 * Loads are relaxed where they have no label: numbers that are compared; what matters is found
 * again on the second look.
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

#define K2K_FINDINGS_MAX 256 /* that are kept; more are counted as this many */
/*
 * Numbers of events that were begun and never counted: each is one of a killed thread. More are not
 * the work of kills.
 */
#define K2K_RING_UNCOUNTED_MAX (UINT64_C(1) << 32)

struct k2k_look {
	const struct k2k_map *map;
	const struct k2k_clock *clock;
	struct k2k_liveness *liveness;
	const struct k2k_shm_header *defs_header, *live_header; /* as attach has checked them */
	bool alone; /* with the writer's lock: definitions and lists hold still */
	struct k2k_finding list[K2K_FINDINGS_MAX];
	size_t count;
};

void k2k_look_at_definitions(struct k2k_look *look);
void k2k_look_at_live(struct k2k_look *look);
void k2k_look_at_trail(struct k2k_look *look);
/* Of that the words of one ring, and one place: for repair, too. */
void k2k_look_at_ring(struct k2k_look *look, uint32_t index);
/* The highest number that stands in its own place, up to `most`; 0: none. */
uint64_t k2k_look_highest(const struct k2k_ring *ring, uint64_t most);
void k2k_look_at_place(struct k2k_look *look, const struct k2k_ring *ring, uint32_t index,
                       uint64_t place);

/* ---- for both halves ------------------------------------------------------------- */

void k2k_look_find(struct k2k_look *look, const char *invariant, const char *object,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Bits of what was reached; true where it had been before. */
bool k2k_look_mark(uint8_t *seen, uint32_t index);
bool k2k_look_marked(const uint8_t *seen, uint32_t index);

/* Is (slot, generation) a registration that is live or retired? */
bool k2k_look_has_tenant(const struct k2k_map *map, uint32_t slot, uint64_t generation);
/*
 * What is claimed in a word's upper part is said by a broker's incarnation, or the writer's mark.
 */
void k2k_look_at_claim(struct k2k_look *look, const char *object, uint32_t index, uint64_t word);
/*
 * Buckets, chains and the common head of each record. of_writer: records that only the writer
 * takes, and a token tells when.
 */
void k2k_look_at_hash(struct k2k_look *look, const struct k2k_hash *hash, const char *object,
                      bool of_writer);
/* Reserved fields, of at most 64 bytes, are zero, as long as no feature is known that uses them. */
void k2k_look_at_reserved(struct k2k_look *look, const char *object, uint32_t index,
                          const void *field, size_t bytes);

#endif
