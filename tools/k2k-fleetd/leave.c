/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * leave.c - takes tenants out of the registry without losing what they have used
 *
 * Suspend the tenant; wait until nobody holds anything of it, at most --drain; report its totals;
 * deregister it; report its last totals. What is booked between the two reports is counted, but its
 * engagement is not known (`unsplit_ns`). agent.h says what remains of a kill.
 *
 * The registry knows tenants by id, and an agent that was stopped may have a successor that has
 * made the tenant anew. So it is deregistered in a batch, after an answer of the database that came
 * in this batch (chunks.c, 1), and only if it has the generation that is meant. A drain is no part
 * of a batch: an agent that is stopped between that look and the drain suspends the new tenant when
 * it is continued, until its successor looks for changes of others.
 */
#include "agent.h"
#include "common/clock.h"

#include <inttypes.h>
#include <stdlib.h>

static bool is_wanted(struct agent *a, const struct registration *r)
{
	const struct definition *d = definition_find(a, r->tenant);

	return !d || (!d->deleted && d->fleet_gen == r->fleet_gen);
}

/* Of a damaged one it is not known. */
static bool is_another(struct agent *a, const struct registration *r)
{
	struct k2k_tenant_info info = { .size = sizeof(info) };
	int code = k2k_tenant_get(a->reg, r->tenant, &info);

	return code == K2K_ENOTENANT || (!code && info.generation != r->generation);
}

/* Whether it is idle, or was long enough on its way. */
static bool is_ready(struct agent *a, struct registration *r)
{
	uint64_t now = clock_monotonic_ns();
	int code;

	if (!r->leaving_since_ns)
		r->leaving_since_ns = now;
	code = k2k_tenant_drain(a->reg, r->tenant, 0);
	if (code && code != K2K_EBUSY)
		say(a, "tenant %" PRIu64 ": can't be suspended: %s", r->tenant, k2k_strerror(code));
	return !code || (code == K2K_EBUSY && now - r->leaving_since_ns >= a->drain_ns);
}

/* Marks those that can be deregistered now; returns how many. */
static size_t mark(struct agent *a)
{
	size_t count = 0;

	for (size_t i = 0; i < a->registration_count; i++) {
		struct registration *r = &a->registrations[i];

		if (is_wanted(a, r))
			continue;
		a->leaving = true;
		r->gone = !is_another(a, r) && is_ready(a, r);
		count += r->gone;
	}
	return count;
}

static bool any_leaves(struct agent *a)
{
	for (size_t i = 0; i < a->registration_count; i++)
		if (!is_wanted(a, &a->registrations[i]))
			return true;
	return false;
}

/* Deregisters those that are marked, and keeps their totals. The mark stays if it is gone. */
static void deregister(struct agent *a, size_t count)
{
	k2k_tenant_id *ids = check_memory(calloc(count, sizeof(*ids)));
	struct k2k_tenant_totals *totals = check_memory(calloc(count, sizeof(*totals)));
	int *codes = check_memory(calloc(count, sizeof(*codes)));
	size_t at = 0;

	for (size_t i = 0; i < a->registration_count; i++) {
		struct registration *r = &a->registrations[i];

		r->gone = r->gone && !is_another(a, r);
		if (r->gone)
			ids[at++] = r->tenant;
	}
	totals->size = sizeof(*totals);
	k2k_tenant_deregister_many(a->reg, ids, at, totals, codes);
	at = 0;
	for (size_t i = 0; i < a->registration_count; i++) {
		struct registration *r = &a->registrations[i];

		if (!r->gone)
			continue;
		r->gone = codes[at] == 0 && totals[at].generation == r->generation;
		r->totals = totals[at++];
	}
	free(ids);
	free(totals);
	free(codes);
}

static int deregister_in_batch(struct agent *a, size_t count)
{
	int code = link_batch_begin(a);

	if (code)
		return code;
	code = link_check(a);
	if (!code)
		deregister(a, count);
	link_batch_end(a);
	return code;
}

int leave(struct agent *a)
{
	size_t ready = 0;
	int code = any_leaves(a) ? link_check(a) : 0;

	if (!code)
		ready = mark(a);
	if (!ready)
		return code;
	code = report(a);
	if (!code)
		code = deregister_in_batch(a, ready);
	for (size_t i = 0; i < a->registration_count && code; i++)
		a->registrations[i].gone = false;
	return code;
}
