/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ring.h"

#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "delay.h"

#define NUMBER_MAX (UINT64_C(1) << 62) /* a greater one is damage; so sums can't overflow */
/* how often an append tries to take a place that other threads take at the same time */
#define TRIES 4

struct k2k_ring k2k_ring_of(const struct k2k_map *map, uint32_t number)
{
	uint32_t index = k2k_ring_index(map, number);
	struct k2k_ring ring = { &map->rings[index],
		                 &map->events[(size_t)index * map->sizes.events],
		                 map->sizes.events - 1, 0 };

	return ring;
}

static struct k2k_shm_event *place_of(const struct k2k_ring *ring, uint64_t n)
{
	return &ring->events[n & ring->mask];
}

static uint64_t number_of(uint64_t sequence)
{
	return sequence / 2 + sequence % 2;
}

static uint64_t count_word(uint64_t n, uint64_t count)
{
	return (n & ((UINT64_C(1) << K2K_EVENT_NUMBER_BITS) - 1)) << K2K_EVENT_COUNT_BITS | count;
}

/* Is `word` a count of event n, open or closed? */
static bool counts(uint64_t word, uint64_t n)
{
	return (word & ~K2K_EVENT_CLOSED) >> K2K_EVENT_COUNT_BITS ==
	       count_word(n, 0) >> K2K_EVENT_COUNT_BITS;
}

/* ---- append ---------------------------------------------------------------------- */

void k2k_ring_own(struct k2k_ring *ring)
{
	/* observe[ring-claimed]: what earlier owners began */
	ring->since = k2k_load_acquire(&ring->shared->claimed);
	/* publish[ring-since]: all that earlier owners stored; they are dead or have detached */
	k2k_store_release(&ring->shared->since, ring->since);
}

/* Can this place have had this number? If not, it is damage. */
static bool can_be(const struct k2k_ring *ring, uint64_t number, uint64_t place)
{
	return ((number ^ place) & ring->mask) == 0 &&
	       /* observe[ring-claimed]: it includes the addition that made the number */
	       number <= k2k_load_acquire(&ring->shared->claimed);
}

static bool stands_in_the_way(const struct k2k_ring *ring, uint64_t sequence, uint64_t n)
{
	uint64_t number = number_of(sequence);

	if (sequence == 0 || !can_be(ring, number, n))
		return false;
	return number >= n || (sequence % 2 && number > ring->since);
}

static bool take(const struct k2k_ring *ring, struct k2k_shm_event *event, uint64_t n)
{
	/* observe[event-sequence]: the claim of the number in it */
	uint64_t sequence = k2k_load_acquire(&event->sequence);

	for (int i = 0; i < TRIES && !stands_in_the_way(ring, sequence, n); i++) {
		K2K_DELAY(place_seen);
		/* publish[event-sequence]: that n is claimed; observe[event-sequence]: as above */
		if (k2k_cas_acq_rel(&event->sequence, &sequence, 2 * n - 1))
			return true;
	}
	return false;
}

static uint64_t lose(const struct k2k_ring *ring, uint32_t kind)
{
	k2k_add_relaxed(&ring->shared->lost[kind], 1); /* relaxed: a count */
	return 0;
}

static uint64_t give_up(const struct k2k_ring *ring, struct k2k_shm_event *event, uint64_t n,
                        uint32_t kind)
{
	/*
	 * observe[event-given-up]: the claim of that number. Without it `claimed` may be older, and
	 * a number that others have given up counts as damage: n would take its place.
	 */
	uint64_t highest = k2k_load_acquire(&event->given_up);

	while (highest < n || !can_be(ring, highest, n))
		/* publish[event-given-up]: n never comes */
		if (k2k_cas_acq_rel(&event->given_up, &highest, n))
			break;
	return lose(ring, kind);
}

/* Was n, or a later number of this place, given up? Then a reader may report n as missing. */
static bool is_given_up(const struct k2k_ring *ring, const struct k2k_shm_event *event, uint64_t n)
{
	/* observe[event-given-up]: this number or an earlier one never comes */
	uint64_t highest = k2k_load_acquire(&event->given_up);

	return highest >= n && can_be(ring, highest, n);
}

static void fill(struct k2k_shm_event *event, const struct k2k_event_body *body, uint64_t count)
{
	uint64_t words[K2K_EVENT_WORDS];

	memcpy(words, body, sizeof(words));
	for (int i = 0; i < K2K_EVENT_WORDS; i++)
		/* relaxed, all: stored between the two stores of the sequence */
		k2k_store_relaxed(&event->words[i], words[i]);
	K2K_DELAY(words_written);
	k2k_store_relaxed(&event->count, count);
}

uint64_t k2k_ring_append(const struct k2k_ring *ring, const struct k2k_event_body *body,
                         uint64_t count, bool open)
{
	static const struct k2k_event_body nothing;
	/*
	 * publish[ring-claimed]: our attach, for a reader that asks whether the owner is alive;
	 * observe[ring-claimed]: nothing is read after it, it is only an addition
	 */
	uint64_t n = k2k_add_acq_rel(&ring->shared->claimed, 1) + 1;
	struct k2k_shm_event *event = place_of(ring, n);
	bool backs_out;

	K2K_DELAY(number_claimed);
	if (!take(ring, event, n))
		return give_up(ring, event, n, body->kind);
	K2K_DELAY(place_taken);
	/*
	 * fence[event-taken] with fence[event-looked]: either the reader sees the place taken, or
	 * we see the given_up that it saw. It is also the release fence for the acquire fence of
	 * copy(): a reader that loads one of our words below then sees 2n - 1 or a later sequence.
	 */
	k2k_fence_seq_cst();
	backs_out = is_given_up(ring, event, n);
	fill(event, backs_out ? &nothing : body,
	     count_word(n, backs_out ? 0 : count) | (open && !backs_out ? 0 : K2K_EVENT_CLOSED));
	K2K_DELAY(event_filled);
	k2k_store_release(&event->sequence, 2 * n); /* publish[event-sequence]: words and count */
	if (backs_out)
		return lose(ring, body->kind);
	k2k_add_relaxed(&ring->shared->written[body->kind], 1); /* relaxed: a count */
	return n;
}

/* ---- the count --------------------------------------------------------------------- */

bool k2k_ring_repeat(const struct k2k_ring *ring, uint64_t n, uint32_t kind)
{
	struct k2k_shm_event *event = place_of(ring, n);
	/* relaxed, all: one word, compared whole */
	uint64_t word = k2k_load_relaxed(&event->count);

	/* this compares the whole number, because `word` has only its low bits */
	if (k2k_load_relaxed(&event->sequence) != 2 * n)
		return false;
	while (counts(word, n) && !(word & K2K_EVENT_CLOSED) && counts(word + 1, n)) {
		K2K_DELAY(count_seen);
		/* publish[event-count]: nothing but itself */
		if (k2k_cas_acq_rel(&event->count, &word, word + 1)) {
			k2k_add_relaxed(&ring->shared->coalesced[kind], 1);
			return true;
		}
	}
	return false;
}

void k2k_ring_put_off(const struct k2k_ring *ring, uint32_t kind)
{
	k2k_add_relaxed(&ring->shared->coalesced[kind], 1); /* relaxed: a count */
}

void k2k_ring_close(const struct k2k_ring *ring, uint64_t n)
{
	struct k2k_shm_event *event = place_of(ring, n);
	uint64_t word = k2k_load_relaxed(&event->count); /* relaxed: one word, compared whole */

	while (counts(word, n) && !(word & K2K_EVENT_CLOSED))
		/* publish[event-count]: nothing but itself */
		if (k2k_cas_acq_rel(&event->count, &word, word | K2K_EVENT_CLOSED))
			break;
}

uint64_t k2k_ring_turnover(const struct k2k_ring *ring)
{
	uint64_t sum = 0;

	for (int i = 0; i < K2K_EVENT_KINDS; i++) /* relaxed, both: counts */
		sum += k2k_load_relaxed(&ring->shared->written[i]) +
		       k2k_load_relaxed(&ring->shared->lost[i]);
	return sum;
}

/* ---- read ---------------------------------------------------------------------------- */

uint64_t k2k_ring_newest(const struct k2k_ring *ring)
{
	/* observe[ring-claimed]: the attach of the owner that claimed the number */
	uint64_t claimed = k2k_load_acquire(&ring->shared->claimed);

	return claimed < NUMBER_MAX ? claimed : NUMBER_MAX;
}

/*
 * Returns the highest number that this place has had, or that was given up at it; 0 if the place is
 * damaged.
 */
static uint64_t highest_at(const struct k2k_ring *ring, uint64_t place)
{
	const struct k2k_shm_event *event = &ring->events[place];
	/*
	 * observe[event-sequence]: the claim of its number. Without it `claimed` may be older, and
	 * the number counts as damage because it is new.
	 */
	uint64_t n = number_of(k2k_load_acquire(&event->sequence));
	uint64_t given_up = k2k_load_acquire(
		&event->given_up); /* observe[event-given-up]: as above */

	if (!can_be(ring, n, place))
		n = 0;
	return given_up > n && can_be(ring, given_up, place) ? given_up : n;
}

uint64_t k2k_ring_newest_seen(const struct k2k_ring *ring, bool *damaged)
{
	uint64_t claimed = k2k_ring_newest(ring), highest = 0;

	*damaged = false;
	for (uint64_t i = 0; i <= ring->mask; i++) {
		uint64_t n = highest_at(ring, (claimed - i) & ring->mask);

		/* usually true at the first place, which has the number `claimed` or a later one */
		if (n >= claimed || claimed - n <= ring->mask + 1)
			return claimed;
		if (n > highest)
			highest = n;
	}
	*damaged = true;
	return highest;
}

uint64_t k2k_ring_backed_out(uint64_t n)
{
	return count_word(n, 0) | K2K_EVENT_CLOSED;
}

/* False: the event was overwritten during the copy. */
static bool copy(const struct k2k_shm_event *event, uint64_t n, struct k2k_event_copy *into,
                 uint64_t *count)
{
	uint64_t words[K2K_EVENT_WORDS];

	*count = k2k_load_acquire(&event->count); /* observe[event-count]: nothing but itself */
	for (int i = 0; i < K2K_EVENT_WORDS; i++)
		/* relaxed, all: between two loads of the sequence, ordered by the fence */
		words[i] = k2k_load_relaxed(&event->words[i]);
	K2K_DELAY(words_read);
	k2k_fence_acquire();
	memcpy(&into->body, words, sizeof(into->body));
	into->count = *count & ((UINT64_C(1) << K2K_EVENT_COUNT_BITS) - 1);
	return k2k_load_relaxed(&event->sequence) == 2 * n;
}

enum k2k_event_state k2k_ring_read(const struct k2k_ring *ring, uint64_t n, bool abandoned,
                                   struct k2k_event_copy *into)
{
	const struct k2k_shm_event *event = place_of(ring, n);
	/* observe[ring-since]: all that dead owners stored, for the loads below */
	bool dead = k2k_load_acquire(&ring->shared->since) >= n || abandoned;
	bool given_up = is_given_up(ring, event, n);
	uint64_t sequence, count;

	/* fence[event-looked] with fence[event-taken]: see k2k_ring_append() */
	k2k_fence_seq_cst();
	/* observe[event-sequence]: words and count */
	sequence = k2k_load_acquire(&event->sequence);
	if (sequence == 2 * n) {
		if (!copy(event, n, into, &count) || !counts(count, n) || into->body.kind == 0 ||
		    into->body.kind >= K2K_EVENT_KINDS)
			return K2K_EVENT_MISSING;
		return dead || (count & K2K_EVENT_CLOSED) ? K2K_EVENT_THERE : K2K_EVENT_OPEN;
	}
	if (number_of(sequence) > n || dead)
		return K2K_EVENT_MISSING;
	return sequence != 2 * n - 1 && given_up ? K2K_EVENT_MISSING : K2K_EVENT_PENDING;
}

/* ---- sleeping ------------------------------------------------------------------------- */

uint32_t k2k_ring_wake_word(const struct k2k_map *map)
{
	/* observe[audit-wake]: the events that it was raised for */
	return k2k_load_acquire(&map->live->audit_wake);
}

void k2k_ring_disturb(const struct k2k_map *map)
{
	syscall(SYS_futex, &map->live->audit_wake, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void k2k_ring_wake(const struct k2k_map *map)
{
	k2k_add_acq_rel(&map->live->audit_wake, 1); /* publish[audit-wake]: the events before it */
	k2k_ring_disturb(map);
}

void k2k_ring_sleep(const struct k2k_map *map, uint32_t seen, uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / K2K_NS_PER_SEC), (long)(ns % K2K_NS_PER_SEC) };

	syscall(SYS_futex, &map->live->audit_wake, FUTEX_WAIT, seen, &ts, NULL, 0);
}
