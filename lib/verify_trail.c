/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * verify_trail.c (F6, on top of its peers) - verifies the audit rings and their followers.
 *
 * Loads without a label are relaxed: see verify.h.
 */
#include <inttypes.h>
#include <string.h>

#include "rejection.h"
#include "ring.h"
#include "verify.h"

#define OBJECT "audit"

static const int32_t codes[K2K_EVENT_KINDS] = {
	[K2K_AUDIT_KIND_RATE] = K2K_ERATE,
	[K2K_AUDIT_KIND_BUDGET] = K2K_EBUDGET,
	[K2K_AUDIT_KIND_KERNELS] = K2K_EKERNELS,
	[K2K_AUDIT_KIND_GPU_MEMORY] = K2K_EGPUMEM,
	[K2K_AUDIT_KIND_UNKNOWN_TENANT] = K2K_ENOTENANT,
	[K2K_AUDIT_KIND_SUSPENDED] = K2K_ESUSPENDED,
};

uint64_t k2k_verify_highest(const struct k2k_ring *ring, uint64_t most)
{
	uint64_t found = 0;

	for (uint64_t place = 0; place <= ring->mask; place++) {
		/* observe[event-sequence]: compared */
		uint64_t sequence = k2k_load_acquire(&ring->events[place].sequence);
		uint64_t n = sequence / 2 + sequence % 2;

		if (((n ^ place) & ring->mask) == 0 && n <= most && n > found)
			found = n;
	}
	return found;
}

void k2k_verify_ring(struct k2k_verify *verify, uint32_t index)
{
	const struct k2k_ring all = k2k_ring_of(verify->map, index);
	const struct k2k_shm_ring *ring = all.shared;
	uint64_t counted = 0, claimed;

	for (int i = 0; i < K2K_EVENT_KINDS; i++)
		counted = k2k_sat_add(counted, k2k_sat_add(k2k_load_relaxed(&ring->written[i]),
		                                           k2k_load_relaxed(&ring->lost[i])));
	/* `claimed` is loaded after the counts, because it was raised before each of them. */
	k2k_fence_acquire();
	/* observe[ring-claimed]: at least what was counted */
	claimed = k2k_load_acquire(&ring->claimed);
	if (counted > claimed)
		k2k_verify_report(verify, "I6", OBJECT,
		                  "ring %u: more events were written, or lost, than were begun",
		                  index);
	else if (claimed - counted > K2K_RING_UNCOUNTED_MAX &&
	         claimed - k2k_verify_highest(&all, claimed) > K2K_RING_UNCOUNTED_MAX)
		k2k_verify_report(verify, "I6", OBJECT,
		                  "ring %u: more events are missing than killed writers can leave",
		                  index);
	if (k2k_load_relaxed(&ring->since) > claimed)
		k2k_verify_report(verify, "I6", OBJECT,
		                  "ring %u: its owner attached after an event that was not begun",
		                  index);
	if (k2k_load_relaxed(&ring->written[0]) || k2k_load_relaxed(&ring->lost[0]) ||
	    k2k_load_relaxed(&ring->coalesced[0]))
		k2k_verify_report(verify, "layout", OBJECT, "ring %u counts events without a kind",
		                  index);
	for (int i = K2K_AUDIT_KIND_REGISTER; i < K2K_EVENT_KINDS; i++)
		if (!k2k_kind_is_rejection((uint32_t)i) && k2k_load_relaxed(&ring->coalesced[i]))
			k2k_verify_report(verify, "layout", OBJECT,
			                  "ring %u counts repeats of kind %d, which has none",
			                  index, i);
	k2k_verify_reserved(verify, OBJECT, index, ring->reserved, sizeof(ring->reserved));
}

static bool is_zero(const void *bytes, size_t count)
{
	static const unsigned char zeroes[sizeof(struct k2k_event_body)];

	return memcmp(bytes, zeroes, count) == 0;
}

/* True if the text is terminated and all bytes after its end are zero. */
static bool is_text(const char *text, size_t room)
{
	size_t length = strnlen(text, room);

	return length < room && is_zero(text + length, room - length);
}

static bool has_right_incarnation(const struct k2k_event_body *body, uint32_t ring)
{
	if (body->kind != K2K_AUDIT_KIND_BROKER_DEAD && ring == K2K_RING_ADMIN)
		return body->incarnation == 0;
	return body->incarnation >= K2K_LOCK_BYTE_LIFE_MIN &&
	       body->incarnation < K2K_LOCK_BYTE_LIFE_MAX;
}

/*
 * Does an event of this kind belong in this ring? A broker has one ring for rejections by a limit
 * and one for security events. The death of a broker, and an alert, may also be in the
 * administrators' ring.
 */
static bool is_of_ring(uint32_t kind, uint32_t ring)
{
	if (kind == K2K_AUDIT_KIND_BROKER_DEAD)
		return ring == K2K_RING_ADMIN || k2k_ring_is_security(ring);
	if (kind == K2K_AUDIT_KIND_CROSS_TENANT)
		return k2k_ring_is_security(ring);
	if (kind == K2K_AUDIT_KIND_ALERT)
		return ring == K2K_RING_ADMIN || !k2k_ring_is_security(ring);
	return k2k_kind_is_rejection(kind) ? ring != K2K_RING_ADMIN && !k2k_ring_is_security(ring)
	                                   : ring == K2K_RING_ADMIN;
}

/* The flags that an event of this kind may have. */
static uint32_t flags_of(uint32_t kind)
{
	switch (kind) {
	case K2K_AUDIT_KIND_CROSS_TENANT: return K2K_EVENT_CUT_SOURCE | K2K_EVENT_CUT_DESTINATION;
	case K2K_AUDIT_KIND_RATE:
	case K2K_AUDIT_KIND_BUDGET:
	case K2K_AUDIT_KIND_KERNELS:
	case K2K_AUDIT_KIND_GPU_MEMORY: return K2K_EVENT_SHADOW;
	default: return 0;
	}
}

/* Returns what is wrong with the event, or null. */
static const char *find_fault(const struct k2k_event_body *body, uint64_t count, uint32_t ring)
{
	bool rejection = k2k_kind_is_rejection(body->kind),
	     cross = body->kind == K2K_AUDIT_KIND_CROSS_TENANT;

	if (body->code != codes[body->kind])
		return "its code does not match its kind";
	if (body->flags & ~flags_of(body->kind))
		return "it has unknown flags";
	if (count == 0 || (count > 1 && !rejection))
		return "its count is 0, or its kind has no repeats";
	if (!has_right_incarnation(body, ring))
		return "its writer can't exist";
	if (!is_of_ring(body->kind, ring))
		return "its kind does not belong into this ring";
	if (rejection && body->generation)
		return "it is a rejection, but has a generation";
	if (rejection &&
	    !is_text(cross ? (const char *)&body->used : (const char *)body->more.broker.comm,
	             sizeof(body->more.broker.comm)))
		return "the name of its broker is not terminated";
	if (!cross && body->to)
		return "it has a second tenant";
	if (cross && !(is_text(body->more.kernels.source, K2K_EVENT_NAME_BYTES) &&
	               is_text(body->more.kernels.destination, K2K_EVENT_NAME_BYTES)))
		return "the name of a kernel is not terminated";
	if (rejection && !cross &&
	    !is_zero((const char *)&body->more + sizeof(body->more.broker),
	             sizeof(body->more) - sizeof(body->more.broker)))
		return "it has values, but its kind has none";
	if (!rejection && !is_text(body->more.change.actor, K2K_EVENT_ACTOR_BYTES))
		return "the name of its actor is not terminated";
	return NULL;
}

static void check_there(struct k2k_verify *verify, const struct k2k_ring *ring, uint32_t index,
                        uint64_t n)
{
	const struct k2k_shm_event *event = &ring->events[n & ring->mask];
	struct k2k_event_copy copy;
	const char *fault;

	switch (k2k_ring_read(ring, n, true, &copy)) {
	case K2K_EVENT_THERE:
		fault = find_fault(&copy.body, copy.count, index);
		if (fault)
			k2k_verify_report(verify, "I6", OBJECT, "ring %u, event %" PRIu64 ": %s",
			                  index, n, fault);
		break;
	case K2K_EVENT_MISSING:
		/*
		 * If its writer backed out, the place is empty. Otherwise the event was overwritten
		 * meanwhile, or is damaged.
		 */
		if (k2k_load_relaxed(&event->sequence) == 2 * n &&
		    !(is_zero(&copy.body, sizeof(copy.body)) &&
		      k2k_load_relaxed(&event->count) == k2k_ring_backed_out(n)))
			k2k_verify_report(verify, "I6", OBJECT,
			                  "ring %u, event %" PRIu64
			                  ": its count belongs to another event, or it has no kind",
			                  index, n);
		break;
	default: break;
	}
}

void k2k_verify_place(struct k2k_verify *verify, const struct k2k_ring *ring, uint32_t index,
                      uint64_t place)
{
	const struct k2k_shm_event *event = &ring->events[place];
	/* observe[event-sequence]: it was claimed */
	uint64_t sequence = k2k_load_acquire(&event->sequence);
	/* observe[event-given-up]: it was claimed */
	uint64_t given_up = k2k_load_acquire(&event->given_up);
	uint64_t n = sequence / 2 + sequence % 2, claimed = k2k_ring_newest(ring);

	if (given_up && (((given_up ^ place) & ring->mask) || given_up > claimed))
		k2k_verify_report(verify, "I6", OBJECT,
		                  "ring %u, place %" PRIu64
		                  ": no writer can have given up its event",
		                  index, place);
	if (sequence == 0) {
		if (!is_zero(event->words, sizeof(event->words)) || k2k_load_relaxed(&event->count))
			/* unless a writer has taken it since */
			if (k2k_load_relaxed(&event->sequence) == 0)
				k2k_verify_report(verify, "I6", OBJECT,
				                  "ring %u, place %" PRIu64
				                  " was never used but is not empty",
				                  index, place);
		return;
	}
	if (((n ^ place) & ring->mask) || n > claimed)
		k2k_verify_report(verify, "I6", OBJECT,
		                  "ring %u, place %" PRIu64
		                  ": its event belongs elsewhere, or was not begun",
		                  index, place);
	else if (sequence % 2 == 0)
		check_there(verify, ring, index, n);
}

/* Checks reserved words and owners. For the other words any value may be right. */
static void check_followers(struct k2k_verify *verify)
{
	for (uint32_t i = 0; i < K2K_FOLLOWERS; i++) {
		const struct k2k_shm_follower *follower = &verify->map->followers[i];

		k2k_verify_reserved(verify, OBJECT, i, follower->reserved0,
		                    sizeof(follower->reserved0));
		if (k2k_load_relaxed(&follower->owner) &&
		    (k2k_load_relaxed(&follower->owner) < K2K_LOCK_BYTE_LIFE_MIN ||
		     k2k_load_relaxed(&follower->owner) >= K2K_LOCK_BYTE_LIFE_MAX))
			k2k_verify_report(verify, "layout", OBJECT,
			                  "follower %u: its owner can't exist", i);
	}
}

void k2k_verify_trail(struct k2k_verify *verify)
{
	k2k_verify_reserved(verify, OBJECT, 0, verify->map->live->reserved2,
	                    sizeof(verify->map->live->reserved2));
	check_followers(verify);
	for (uint32_t i = 0; i < verify->map->sizes.rings; i++) {
		uint32_t number = k2k_ring_number(verify->map, i);
		struct k2k_ring ring = k2k_ring_of(verify->map, number);

		k2k_verify_ring(verify, number);
		for (uint64_t place = 0; place <= ring.mask; place++)
			k2k_verify_place(verify, &ring, number, place);
	}
}
