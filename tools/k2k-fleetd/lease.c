/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lease.c - the lease under which this host's shares of rates are in force
 *
 * The agent renews it about every quarter of its length. The registry ends the shares by itself, at
 * the time that it was told, whatever becomes of the agent. Model: tests/model/fleet_lease.pml.
 *
 * 1. The lease is counted from before the database was asked, on CLOCK_BOOTTIME. The registry is
 *    told nine tenths of it: who steers that clock can slow it down by a tenth (adjtimex(2)), and
 *    so the shares end within the lease by CLOCK_MONOTONIC_RAW, too, which nobody steers.
 * 2. The registry knows the agent's epoch. A new one ends all shares: then they are set to what the
 *    database has granted, the lease is renewed, and the registry is told last. An earlier agent
 *    may have had a longer lease: so its shares end before the database hears of this one's. The
 *    registry refuses an earlier epoch, so an agent that was stopped changes nothing beside its
 *    successor.
 * 3. Shares of a host that does not renew are taken if another one lacks some: after the host's
 *    token was seen unchanged for its lease and the margin, by both clocks of this host. The
 *    database compares the token, and its own clock. The host's epoch is over then: it greets anew.
 *
 * All this needs a clock that goes on while the machine is paused: lease_judge_clock().
 */
#include "agent.h"
#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLD_NS UINT64_C(22000000000) /* no lease, with its margin, is longer */

static struct two_clocks read_clocks(void)
{
	return (struct two_clocks){ clock_boot_ns(), clock_raw_ns() };
}

/* By both clocks, so by the slower one. */
static bool have_passed(uint64_t ns, const struct two_clocks *since, const struct two_clocks *now)
{
	return now->boot_ns > since->boot_ns && now->boot_ns - since->boot_ns >= ns &&
	       now->raw_ns > since->raw_ns && now->raw_ns - since->raw_ns >= ns;
}

static int cannot_hold(struct agent *a, int code)
{
	say(a, "registry '%s': shares can't be held: %s", a->ctl.registry, k2k_strerror(code));
	return code;
}

static bool has_rates(const struct agent *a)
{
	for (size_t i = 0; i < a->chunk_count; i++)
		if (a->chunks[i].kind == CHUNK_RATE)
			return true;
	return false;
}

/* ---- a new epoch ------------------------------------------------------------------------- */

/* In a batch: ends the shares of earlier agents, and sets all to what is granted. */
static int set_shares(struct agent *a)
{
	int code = link_check(a);

	if (code)
		return code;
	code = k2k_shares_hold(a->reg, a->epoch, 0);
	if (code)
		return cannot_hold(a, code);
	code = chunks_look(a);
	for (size_t i = 0; i < a->chunk_count && !code; i++) {
		const struct chunk *c = &a->chunks[i];

		if (c->kind == CHUNK_RATE && c->there && c->in_force != c->budget)
			code = chunk_set(a, c);
	}
	return code;
}

static int begin_epoch(struct agent *a)
{
	int code = chunks_fetch(a);

	if (!code)
		code = link_batch_begin(a);
	if (code)
		return code;
	code = set_shares(a);
	link_batch_end(a);
	a->greeted_at = read_clocks();
	if (!code)
		a->shares_epoch = a->epoch;
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
static void watch(struct agent *a, const PGresult *result)
{
	const struct two_clocks now = read_clocks();
	size_t count = (size_t)PQntuples(result);
	struct silent_host *list = check_memory(calloc(count + 1, sizeof(*list)));

	for (size_t i = 0; i < count; i++) {
		const char *name = PQgetvalue(result, (int)i, 0);
		const char *token = PQgetvalue(result, (int)i, 1);
		const struct silent_host *old = find_silent(a, name, token);

		list[i].name = check_memory(strdup(name));
		snprintf(list[i].token, sizeof(list[i].token), "%s", token);
		list[i].since = old ? old->since : now;
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

/* asked: when the renewal began whose answer has these tokens. */
static int take_ended(struct agent *a, const struct two_clocks *asked)
{
	int code = 0;

	if (!lacks_some(a))
		return 0;
	for (size_t i = 0; i < a->silent_count && !code; i++) {
		const struct silent_host *h = &a->silent[i];

		if (have_passed(h->hold_ns, &h->since, asked))
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
	struct k2k_shares shares = K2K_SHARES_INIT;
	struct two_clocks asked;
	/* a share that could not be set may be an earlier agent's: then there is no lease */
	bool is_new = a->shares_epoch != a->epoch;
	PGresult *result;
	int code = 0;

	if (!has_rates(a))
		return 0;
	if (is_new)
		code = begin_epoch(a);
	/* the clocks, before the database is asked */
	if (!code)
		code = k2k_shares_get(a->reg, &shares);
	if (code)
		return code;
	asked = read_clocks();
	result = renew(a, have_passed(OLD_NS, &a->greeted_at, &asked));
	if (!result)
		return a->db.code;
	if (!is_new && shares.until_ns <= shares.now_ns)
		a->counts.leases_lost++;
	code = k2k_shares_hold(a->reg, a->epoch, shares.now_ns + a->lease_ns / 10 * 9);
	if (code) {
		cannot_hold(a, code);
	} else {
		watch(a, result);
		code = take_ended(a, &asked);
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

/* ---- the clock --------------------------------------------------------------------------- */

const char *lease_clock(char name[CLOCK_NAME])
{
	FILE *f = fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");

	if (!f || !fgets(name, CLOCK_NAME, f))
		name[0] = 0;
	if (f)
		fclose(f);
	name[strcspn(name, "\n")] = 0;
	return name;
}

/*
 * QEMU saves kvm-clock when a machine is stopped, and continues it from there; the reference
 * counter of Hyper-V counts only while a processor of the machine is not suspended.
 */
void lease_judge_clock(struct agent *a)
{
	static const char *const still[] = { "kvm-clock", "hyperv_clocksource_tsc_page",
		                             "hyperv_clocksource_msr" };
	static const char warning[] =
		"warning: the clock of this machine (%s) stands still while the machine is paused: "
		"after a pause its shares of rates go on for the rest of their lease";
	char name[CLOCK_NAME];

	lease_clock(name);
	for (size_t i = 0; i < sizeof(still) / sizeof(still[0]); i++)
		if (!strcmp(name, still[i]))
			say(a, warning, name);
}
