/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_between_trail.c - an event is read while it is overwritten, or written while it is read:
 * a reader that is interrupted after each instruction gets it whole or not at all. x86-64 only, as
 * crash_trace.h.
 */
#include "interrupt.h"

#include "ring.h"

enum { RING = 5, EVENTS = 4 }; /* the ring of a broker slot that is free */

static struct k2k_registry *admin;
static struct k2k_ring ring;

/* In the victim: the events it read. */
static struct k2k_event_copy *copied;

static void begin(void)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	shared = shared_bytes(sizeof *shared);
	copied = shared_bytes(sizeof *copied);
	shared->clock_ns = UINT64_C(1000000000000);
	name = fresh_registry();
	options.max_tenants = 1;
	options.max_audit_events = EVENTS;
	assert_int_equal(k2k_registry_create(name, &options, &admin), 0);
	ring = k2k_ring_of(&admin->map, RING);
	k2k_ring_own(&ring);
}

static void end(void)
{
	assert_int_equal(k2k_registry_close(&admin), 0);
	assert_int_equal(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), 0);
}

/* Appends an event whose every field is `seed`. */
static uint64_t append(const struct k2k_ring *into, uint64_t seed)
{
	struct k2k_event_body body = { .kind = K2K_AUDIT_KIND_RATE,
		                       .tenant = seed,
		                       .to = seed,
		                       .org_id = seed,
		                       .engagement_id = seed,
		                       .generation = seed,
		                       .used = seed,
		                       .limit = seed };

	return k2k_ring_append(into, &body, 1, false);
}

static void is_whole(const struct k2k_event_body *body, uint64_t seed, uint64_t n)
{
	if (body->tenant != seed || body->to != seed || body->org_id != seed ||
	    body->engagement_id != seed || body->generation != seed || body->used != seed ||
	    body->limit != seed)
		fail_msg("after %" PRIu64 " instructions: an event in parts: tenant %" PRIu64
		         ", limit %" PRIu64 ", it was %" PRIu64,
		         n, body->tenant, body->limit, seed);
}

/* ---- read while it is overwritten ---- */

static void append_one(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	shared->number = append(&ring, n);
	assert_int_not_equal(shared->number, 0);
}

static void read_it(struct k2k_registry *reg, struct shared *answer)
{
	struct k2k_ring its = k2k_ring_of(&reg->map, RING);

	answer->code = (int)k2k_ring_read(&its, answer->number, false, copied);
}

static void write_over_it(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	for (uint64_t i = 0; i < EVENTS; i++)
		append(&ring, n + 1000000);
}

static void what_was_read_is_whole(uint64_t n)
{
	assert_true(shared->code == K2K_EVENT_THERE || shared->code == K2K_EVENT_MISSING);
	if (shared->code == K2K_EVENT_THERE)
		is_whole(&copied->body, n, n);
}

TEST(an_event_that_is_written_over_while_it_is_read_is_read_whole_or_missed)
{
	begin();
	interrupt_everywhere(admin, &(struct scene){ K2K_ROLE_OBSERVER, read_it, append_one,
	                                             write_over_it, what_was_read_is_whole });
	end();
}

/* ---- written while it is read ---- */

static void append_it(struct k2k_registry *reg, struct shared *answer)
{
	struct k2k_ring its = k2k_ring_of(&reg->map, RING);

	its.since = ring.since;
	answer->code = append(&its, answer->number) ? 0 : 1;
}

static void choose_seed(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	shared->number = n;
}

static void read_newest(struct k2k_registry *by, uint64_t n)
{
	struct k2k_event_copy copy;
	uint64_t newest = k2k_ring_newest(&ring);

	(void)by;
	for (uint64_t at = newest > EVENTS ? newest - EVENTS + 1 : 1; at <= newest; at++)
		switch (k2k_ring_read(&ring, at, false, &copy)) {
		case K2K_EVENT_THERE: is_whole(&copy.body, copy.body.tenant, n); break;
		case K2K_EVENT_PENDING: assert_int_equal(at, newest); break;
		default:
			fail_msg("after %" PRIu64
			         " instructions: an event counts as missing that is about to come",
			         n);
		}
}

static void it_is_there(uint64_t n)
{
	struct k2k_event_copy copy;

	assert_int_equal(shared->code, 0);
	assert_int_equal(k2k_ring_read(&ring, k2k_ring_newest(&ring), false, &copy),
	                 K2K_EVENT_THERE);
	is_whole(&copy.body, shared->number, n);
}

TEST(an_event_that_is_half_written_is_not_read)
{
	begin();
	interrupt_everywhere(admin, &(struct scene){ K2K_ROLE_ADMIN, append_it, choose_seed,
	                                             read_newest, it_is_there });
	end();
}
