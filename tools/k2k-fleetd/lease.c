/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lease.c - the lease under which this host's shares of rates are in force
 *
 * The agent renews it about every quarter of its length. The registry ends the shares by itself, at
 * the time that it was told, whatever becomes of the agent. Model: tests/model/fleet_lease.pml.
 *
 * 1. The lease is counted from before the database was asked, on CLOCK_BOOTTIME.
 * 2. The registry knows the agent's epoch. A new one ends all shares: then they are set to what the
 *    database has granted, and the lease is told last. The registry refuses an earlier epoch, so an
 *    agent that was stopped changes nothing beside its successor.
 * 3. Shares of a host that does not renew are taken if another one lacks some: after the host's
 *    token was seen unchanged, by this host's clock, for its lease and the margin. The database
 *    compares the token, and its own clock. The host's epoch is over then: it greets anew.
 */
#include "agent.h"
#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLD_NS UINT64_C(22000000000) /* no lease, with its margin, is longer */

static bool has_rates(const struct agent *a)
{
	for (size_t i = 0; i < a->chunk_count; i++)
		if (a->chunks[i].kind == CHUNK_RATE)
			return true;
	return false;
}

/* ---- a new epoch ------------------------------------------------------------------------- */

/* In a batch: sets all shares to what is granted. */
static int set_shares(struct agent *a)
{
	int code = link_check(a);

	if (!code)
		code = k2k_shares_hold(a->reg, a->epoch, 0);
	if (!code)
		code = chunks_look(a);
	for (size_t i = 0; i < a->chunk_count && !code; i++) {
		const struct chunk *c = &a->chunks[i];

		if (c->kind == CHUNK_RATE && c->there && c->in_force != c->budget)
			code = chunk_set(a, c);
	}
	return code;
}

static int begin_epoch(struct agent *a, uint64_t now_ns)
{
	int code = chunks_fetch(a);

	if (!code)
		code = link_batch_begin(a);
	if (code)
		return code;
	code = set_shares(a);
	link_batch_end(a);
	a->greeted_at_ns = now_ns;
	return code;
}

/* ---- hosts that are silent --------------------------------------------------------------- */

static void forget_silent(struct silent_host *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(list[i].name);
	free(list);
}

static const struct silent_host *find_silent(const struct agent *a, const char *name,
                                             const char *token)
{
	for (size_t i = 0; i < a->silent_count; i++)
		if (!strcmp(a->silent[i].name, name) && !strcmp(a->silent[i].token, token))
			return &a->silent[i];
	return NULL;
}

/* Those of the answer; who was there before with this token is kept. */
static void watch(struct agent *a, const PGresult *result, uint64_t now_ns)
{
	size_t count = (size_t)PQntuples(result);
	struct silent_host *list = check_memory(calloc(count + 1, sizeof(*list)));

	for (size_t i = 0; i < count; i++) {
		const char *name = PQgetvalue(result, (int)i, 0);
		const char *token = PQgetvalue(result, (int)i, 1);
		const struct silent_host *old = find_silent(a, name, token);

		list[i].name = check_memory(strdup(name));
		snprintf(list[i].token, sizeof(list[i].token), "%s", token);
		list[i].since_ns = old ? old->since_ns : now_ns;
		list[i].hold_ns = db_u64(result, (int)i, 2) * 1000000;
	}
	forget_silent(a->silent, a->silent_count);
	a->silent = list;
	a->silent_count = count;
}

void lease_greeted(struct agent *a)
{
	forget_silent(a->silent, a->silent_count);
	a->silent = NULL;
	a->silent_count = 0;
	a->lease_due_ns = 0;
}

/* Whether this host would use more of a rate than its share. */
static bool lacks_some(const struct agent *a)
{
	for (size_t i = 0; i < a->chunk_count; i++) {
		const struct chunk *c = &a->chunks[i];

		if (c->kind == CHUNK_RATE && c->there && c->wants &&
		    chunk_sum(c->used, c->ask) > c->drawn)
			return true;
	}
	return false;
}

static int take(struct agent *a, const struct silent_host *h)
{
	PGresult *result = link_call(a, "select k2k_fleet.take($1, $2, $3, $4)", 2,
	                             (const char *[]){ h->name, h->token });

	if (!result)
		return a->db.code;
	if (PQgetvalue(result, 0, 0)[0] == 't') {
		say(a, "the lease of host %s has ended; its shares of rates are free", h->name);
		a->counts.leases_taken++;
	}
	PQclear(result);
	return 0;
}

/* asked_ns: when the renewal began whose answer has these tokens. */
static int take_ended(struct agent *a, uint64_t asked_ns)
{
	int code = 0;

	if (!lacks_some(a))
		return 0;
	for (size_t i = 0; i < a->silent_count && !code; i++) {
		const struct silent_host *h = &a->silent[i];

		if (asked_ns > h->since_ns && asked_ns - h->since_ns >= h->hold_ns)
			code = take(a, h);
	}
	return code;
}

/* ---- renewing ---------------------------------------------------------------------------- */

static PGresult *renew(struct agent *a, bool old_over)
{
	char lease[24];

	snprintf(lease, sizeof(lease), "%" PRIu64, a->lease_ns / 1000000);
	return link_next(a, "select host, token, hold_ms from k2k_fleet.renew($1, $2, $3, $4, $5)",
	                 2, (const char *[]){ lease, old_over ? "true" : "false" });
}

int lease_renew(struct agent *a)
{
	struct k2k_shares before = K2K_SHARES_INIT, after = K2K_SHARES_INIT;
	PGresult *result;
	int code;

	if (!has_rates(a))
		return 0;
	code = k2k_shares_get(a->reg, &before); /* the clock, before the database is asked */
	if (code)
		return code;
	result = renew(a, before.epoch == a->epoch && before.now_ns - a->greeted_at_ns > OLD_NS);
	if (!result)
		return a->db.code;
	if (before.epoch != a->epoch)
		code = begin_epoch(a, before.now_ns);
	else if (before.until_ns <= before.now_ns)
		a->counts.leases_lost++;
	if (!code)
		code = k2k_shares_hold(a->reg, a->epoch, before.now_ns + a->lease_ns);
	if (!code)
		code = k2k_shares_get(a->reg, &after);
	if (code) {
		say(a, "registry '%s': shares can't be held: %s", a->ctl.registry,
		    k2k_strerror(code));
	} else {
		watch(a, result, after.now_ns);
		code = take_ended(a, before.now_ns);
	}
	PQclear(result);
	return code;
}

int lease_go_on(struct agent *a)
{
	int code;

	if (!has_rates(a))
		return a->chunk_count ? chunks_fetch(a) : 0;
	code = lease_renew(a);
	if (!code)
		a->lease_due_ns = clock_monotonic_ns() + a->lease_ns / 4;
	return code;
}
