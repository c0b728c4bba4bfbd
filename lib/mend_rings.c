/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * mend_rings.c (F6, on top of its peers) - restores audit rings whose words can't be true: they
 * work again, and lose what was damaged.
 *
 * A writer may append meanwhile. It takes a number, and then its place by a compare-exchange of
 * `sequence`. A place is emptied in the same way. First it is taken, with the lowest odd number
 * that it can have; a writer that appends there meanwhile finds it taken and counts its own event
 * as lost. Then the words are cleared. Then the place is marked as given up, for all numbers begun
 * so far, so that no reader waits for the event that was there. `claimed` is changed by
 * compare-exchange: a writer that took a number meanwhile keeps it.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "mend.h"
#include "rejection.h"
#include "ring.h"

#define OBJECT "audit"
#define NUMBER_MAX (UINT64_C(1) << 62)
#define ROUNDS 3

struct scene {
	struct k2k_mend *mend;
	struct k2k_verify *scratch;
	struct k2k_ring ring;
	uint32_t number;
};

static uint64_t counted(const struct k2k_shm_ring *ring)
{
	uint64_t sum = 0;

	for (int i = 0; i < K2K_EVENT_KINDS; i++) /* relaxed, both: counts */
		sum = k2k_sat_add(sum, k2k_sat_add(k2k_load_relaxed(&ring->written[i]),
		                                   k2k_load_relaxed(&ring->lost[i])));
	/* `claimed` is loaded after the counts, because it was raised before each of them */
	k2k_fence_acquire();
	return sum;
}

static void forget_counts(struct scene *s)
{
	for (int i = 0; i < K2K_EVENT_KINDS; i++) {
		k2k_store_relaxed(&s->ring.shared->written[i], 0); /* relaxed, both: counts */
		k2k_store_relaxed(&s->ring.shared->lost[i], 0);
	}
	k2k_mend_report(s->mend, &s->mend->counts.rings, "I6", OBJECT,
	                "ring %u: its counts of events could not be true: they begin at 0 again",
	                s->number);
}

/* Clears counts of kinds and repeats that do not exist. */
static void mend_kinds(struct scene *s)
{
	struct k2k_shm_ring *ring = s->ring.shared;
	bool changed = false;

	for (int i = 0; i < K2K_EVENT_KINDS; i++) {
		k2k_u64 *counts[] = { &ring->coalesced[i], &ring->written[i], &ring->lost[i] };
		int impossible = i == 0 ? 3 : k2k_kind_is_rejection((uint32_t)i) ? 0 : 1;

		for (int j = 0; j < impossible; j++)
			if (k2k_load_relaxed(counts[j])) { /* relaxed, both: counts */
				k2k_store_relaxed(counts[j], 0);
				changed = true;
			}
	}
	if (changed)
		k2k_mend_report(
			s->mend, &s->mend->counts.rings, "layout", OBJECT,
			"ring %u had counts of kinds or repeats that do not exist: they are 0 now",
			s->number);
}

/*
 * In a sound ring `claimed` is at least the sum of the counts, and the sum or the newest event
 * reaches up to it, except for the events of killed threads. If that is not so, the events decide
 * whether the counts or `claimed` is wrong.
 */
static void mend_claimed(struct scene *s)
{
	struct k2k_shm_ring *ring = s->ring.shared;
	/* observe[ring-claimed]: at least what was counted */
	uint64_t sum = counted(ring), claimed = k2k_load_acquire(&ring->claimed), right;
	uint64_t newest = k2k_verify_highest(&s->ring, claimed),
		 reached = newest > sum ? newest : sum;

	if (claimed < NUMBER_MAX && sum <= claimed && claimed - reached <= K2K_RING_UNCOUNTED_MAX)
		return;
	if (sum >= NUMBER_MAX ||
	    (sum > claimed && claimed - newest <= K2K_RING_UNCOUNTED_MAX &&
	     k2k_verify_highest(&s->ring, sum + K2K_RING_UNCOUNTED_MAX) <= claimed)) {
		forget_counts(s);
		sum = 0;
		if (claimed < NUMBER_MAX && claimed - newest <= K2K_RING_UNCOUNTED_MAX)
			return;
	}
	right = k2k_verify_highest(&s->ring, sum + K2K_RING_UNCOUNTED_MAX);
	right = right > sum ? right : sum;
	/* publish[ring-claimed]: the events up to it */
	if (k2k_cas_acq_rel(&ring->claimed, &claimed, right))
		k2k_mend_report(s->mend, &s->mend->counts.rings, "I6", OBJECT,
		                "ring %u: the number of its newest event can't have been %" PRIu64
		                ": it is %" PRIu64 " now",
		                s->number, claimed, right);
}

static void mend_numbers(struct scene *s)
{
	struct k2k_shm_ring *ring = s->ring.shared;
	uint64_t since, claimed;

	mend_kinds(s);
	mend_claimed(s);
	since = k2k_load_acquire(&ring->since);     /* observe[ring-since]: its current value */
	claimed = k2k_load_acquire(&ring->claimed); /* observe[ring-claimed]: at least that */
	/* publish[ring-since]: no reader waits for events begun until now */
	if (since > claimed && k2k_cas_acq_rel(&ring->since, &since, claimed))
		k2k_mend_report(s->mend, &s->mend->counts.rings, "I6", OBJECT,
		                "ring %u: its owner can't have attached after event %" PRIu64
		                ", because the newest is %" PRIu64,
		                s->number, since, claimed);
	k2k_mend_reserved(s->mend, OBJECT, s->number, ring->reserved, sizeof(ring->reserved));
}

static bool is_faulty(struct scene *s, uint64_t place)
{
	for (int i = 0; i < ROUNDS; i++) {
		s->scratch->count = 0;
		k2k_verify_place(s->scratch, &s->ring, s->number, place);
		if (!s->scratch->count)
			return false;
	}
	return true;
}

/* The newest number of this place that was begun; 0: none was. */
static uint64_t newest_of(const struct k2k_ring *ring, uint64_t place)
{
	uint64_t claimed = k2k_ring_newest(ring);

	if (claimed < place || (place == 0 && claimed <= ring->mask))
		return 0;
	return claimed - ((claimed - place) & ring->mask);
}

static void empty_place(struct scene *s, uint64_t place)
{
	struct k2k_shm_event *event = &s->ring.events[place];
	/* observe[event-sequence]: its current value */
	uint64_t sequence = k2k_load_acquire(&event->sequence);
	uint64_t first = 2 * (place ? place : s->ring.mask + 1) - 1;

	/* publish[event-sequence], observe[event-sequence]: taken, as for an event */
	if (!k2k_cas_acq_rel(&event->sequence, &sequence, first))
		return; /* a writer has taken it meanwhile */
	/*
	 * A full fence, of which the release is needed: a reader that sees a zero below also sees
	 * that the place was taken.
	 */
	k2k_fence_seq_cst();
	for (int i = 0; i < K2K_EVENT_WORDS; i++)
		/* relaxed, both: between the two stores of the sequence */
		k2k_store_relaxed(&event->words[i], 0);
	k2k_store_relaxed(&event->count, 0);
	/* publish[event-given-up]: no event up to this number will come here */
	k2k_store_release(&event->given_up, newest_of(&s->ring, place));
	k2k_store_release(&event->sequence, 0); /* publish[event-sequence]: an empty place */
	k2k_mend_report(s->mend, &s->mend->counts.rings, "I6", OBJECT,
	                "ring %u: the event in place %" PRIu64 " was corrupt: it is lost",
	                s->number, place);
}

void k2k_mend_rings(struct k2k_mend *mend)
{
	struct scene s = { .mend = mend, .scratch = calloc(1, sizeof(*s.scratch)) };

	if (!s.scratch)
		return; /* a damaged ring is no reason to fail: readers tolerate it */
	s.scratch->map = mend->map;
	s.scratch->clock = mend->clock;
	s.scratch->liveness = mend->liveness;
	s.scratch->defs_header = s.scratch->live_header = mend->live_header;
	for (uint32_t i = 0; i < mend->map->sizes.rings; i++) {
		s.number = k2k_ring_number(mend->map, i);
		s.ring = k2k_ring_of(mend->map, s.number);
		mend_numbers(&s);
		for (uint64_t place = 0; place <= s.ring.mask; place++)
			if (is_faulty(&s, place))
				empty_place(&s, place);
	}
	free(s.scratch);
}
