/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * report.c - what the registry has booked, in absolute numbers
 *
 * A report that is lost is sent again, and one that comes twice changes nothing: the agent
 * remembers what was acknowledged, and sends what differs from that. If no answer came, nobody
 * knows what the database has: what was sent is in doubt, and is sent again even if it is then as
 * it was when it was last acknowledged (a correction that is taken back).
 */
#include "agent.h"
#include "common/clock.h"
#include "k2k-tenantctl/tenants.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 2000 }; /* of each kind in one statement */

struct look {
	struct reported_tenant *tenants;
	size_t tenant_count;
	struct reported_usage *usage;
	size_t usage_count;
};

static int by_generation(const void *a, const void *b)
{
	const struct reported_tenant *x = a, *y = b;

	return (x->generation > y->generation) - (x->generation < y->generation);
}

static int by_engagement(const void *a, const void *b)
{
	const struct reported_usage *x = a, *y = b;

	if (x->generation != y->generation)
		return x->generation < y->generation ? -1 : 1;
	return (x->engagement > y->engagement) - (x->engagement < y->engagement);
}

/* Reads the tenants of the fleet. */
static int look(struct agent *a, struct look *l)
{
	struct k2k_usage_info *usage = NULL;
	size_t count;
	k2k_tenant_id *ids = NULL;
	int code;

	*l = (struct look){ NULL, 0, NULL, 0 };
	code = fetch_list(a->reg, LIST_TENANT_IDS, 0, (void **)&ids, &count);
	if (code)
		return code;
	l->tenants = check_memory(calloc(count + 1, sizeof(*l->tenants)));
	for (size_t i = 0; i < count; i++) {
		struct k2k_tenant_info info = { .size = sizeof(info) };

		/* of a damaged one the totals may be missing: wait for its repair */
		if (!k2k_tenant_get(a->reg, ids[i], &info) && registration_find(a, info.generation))
			l->tenants[l->tenant_count++] = (struct reported_tenant){
				.generation = info.generation,
				.admitted = info.admitted_total,
				.unattributed_ns = info.unattributed_ns
			};
	}
	free(ids);
	code = fetch_list(a->reg, LIST_USAGE, 0, (void **)&usage, &count);
	if (code) {
		free(l->tenants);
		return code;
	}
	l->usage = check_memory(calloc(count + 1, sizeof(*l->usage)));
	for (size_t i = 0; i < count; i++)
		if (registration_find(a, usage[i].generation))
			l->usage[l->usage_count++] = (struct reported_usage){
				.generation = usage[i].generation,
				.engagement = usage[i].engagement_id,
				.ns = usage[i].gpu_ns,
				.corrected_ns = usage[i].corrected_ns
			};
	free(usage);
	qsort(l->tenants, l->tenant_count, sizeof(*l->tenants), by_generation);
	qsort(l->usage, l->usage_count, sizeof(*l->usage), by_engagement);
	return 0;
}

struct message {
	struct db_array generations, admitted, unattributed, of, engagements, ns, corrected;
};

static void message_begin(struct message *m)
{
	db_array_begin(&m->generations);
	db_array_begin(&m->admitted);
	db_array_begin(&m->unattributed);
	db_array_begin(&m->of);
	db_array_begin(&m->engagements);
	db_array_begin(&m->ns);
	db_array_begin(&m->corrected);
}

static int message_send(struct agent *a, struct message *m)
{
	char applied[24];
	PGresult *result;

	snprintf(applied, sizeof(applied), "%" PRIu64, a->applied);
	result = link_next(
		a, "select k2k_fleet.report($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", 8,
		(const char *[]){ applied, db_array_end(&m->generations),
	                          db_array_end(&m->admitted), db_array_end(&m->unattributed),
	                          db_array_end(&m->of), db_array_end(&m->engagements),
	                          db_array_end(&m->ns), db_array_end(&m->corrected) });
	db_array_free(&m->generations);
	db_array_free(&m->admitted);
	db_array_free(&m->unattributed);
	db_array_free(&m->of);
	db_array_free(&m->engagements);
	db_array_free(&m->ns);
	db_array_free(&m->corrected);
	if (!result)
		return a->db.code;
	PQclear(result);
	return 0;
}

/* What the database has of it, or null. */
static struct reported_tenant *known_tenant(const struct agent *a,
                                            const struct reported_tenant *row)
{
	return a->tenant_count
	               ? bsearch(row, a->tenants, a->tenant_count, sizeof(*row), by_generation)
	               : NULL;
}

static struct reported_usage *known_usage(const struct agent *a, const struct reported_usage *row)
{
	return a->usage_count ? bsearch(row, a->usage, a->usage_count, sizeof(*row), by_engagement)
	                      : NULL;
}

static int send(struct agent *a, const struct look *l)
{
	size_t t = 0, u = 0;
	int code;

	do {
		struct message m;

		message_begin(&m);
		for (; t < l->tenant_count && m.generations.count < ROWS; t++) {
			const struct reported_tenant *row = &l->tenants[t];
			struct reported_tenant *known = known_tenant(a, row);

			if (known && !memcmp(known, row, sizeof(*row)))
				continue;
			if (known)
				known->in_doubt = 1;
			db_array_u64(&m.generations, row->generation);
			db_array_u64(&m.admitted, row->admitted);
			db_array_u64(&m.unattributed, row->unattributed_ns);
		}
		for (; t == l->tenant_count && u < l->usage_count && m.of.count < ROWS; u++) {
			const struct reported_usage *row = &l->usage[u];
			struct reported_usage *known = known_usage(a, row);

			if (known && !memcmp(known, row, sizeof(*row)))
				continue;
			if (known)
				known->in_doubt = 1;
			db_array_u64(&m.of, row->generation);
			db_array_u64(&m.engagements, row->engagement);
			db_array_u64(&m.ns, row->ns);
			db_array_i64(&m.corrected, row->corrected_ns);
		}
		code = message_send(a, &m);
	} while (!code && (t < l->tenant_count || u < l->usage_count));
	return code;
}

static uint64_t count_unknown(const struct agent *a, const struct look *l)
{
	uint64_t count = 0;

	for (size_t i = 0; i < l->tenant_count; i++) {
		const struct reported_tenant *known = known_tenant(a, &l->tenants[i]);

		count += !known || memcmp(known, &l->tenants[i], sizeof(*known)) != 0;
	}
	for (size_t i = 0; i < l->usage_count; i++) {
		const struct reported_usage *known = known_usage(a, &l->usage[i]);

		count += !known || memcmp(known, &l->usage[i], sizeof(*known)) != 0;
	}
	return count;
}

void report_count(struct agent *a)
{
	struct look l;

	if (look(a, &l))
		return;
	a->counts.unreported = count_unknown(a, &l);
	free(l.tenants);
	free(l.usage);
}

int report(struct agent *a)
{
	struct look l;
	int code = look(a, &l);

	if (code)
		return code;
	if (a->metrics)
		a->counts.unreported = count_unknown(a, &l);
	code = send(a, &l);
	if (code) {
		free(l.tenants);
		free(l.usage);
		return code;
	}
	free(a->tenants);
	free(a->usage);
	a->tenants = l.tenants;
	a->tenant_count = l.tenant_count;
	a->usage = l.usage;
	a->usage_count = l.usage_count;
	a->counts.unreported = 0;
	a->counts.reported_at_ns = clock_wall_ns();
	return 0;
}

int report_problems(struct agent *a)
{
	struct db_array tenants, versions, codes, messages;
	size_t count = 0;
	PGresult *result;

	for (size_t i = 0; i < a->definition_count; i++)
		count += a->definitions[i].problem != NULL;
	if (!count && a->problems_sent)
		return 0; /* and there were none before */
	db_array_begin(&tenants);
	db_array_begin(&versions);
	db_array_begin(&codes);
	db_array_begin(&messages);
	for (size_t i = 0; i < a->definition_count; i++) {
		const struct definition *d = &a->definitions[i];

		if (!d->problem)
			continue;
		db_array_u64(&tenants, d->tenant);
		db_array_u64(&versions, d->version);
		db_array_text(&codes, d->problem);
		db_array_text(&messages, d->message);
	}
	a->problems_sent = false; /* not known, until there is an answer */
	result = link_call(a, "select k2k_fleet.problems($1, $2, $3, $4, $5, $6)", 4,
	                   (const char *[]){ db_array_end(&tenants), db_array_end(&versions),
	                                     db_array_end(&codes), db_array_end(&messages) });
	db_array_free(&tenants);
	db_array_free(&versions);
	db_array_free(&codes);
	db_array_free(&messages);
	if (!result)
		return a->db.code;
	PQclear(result);
	a->problems_sent = !count;
	return 0;
}
