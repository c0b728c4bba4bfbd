/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* link.c - the conversation with the database */
#include "agent.h"
#include "pace.h"
#include "common/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS "5000" /* of definitions in one answer */
#define NUMBER_TEXT 24

static char *number(char text[NUMBER_TEXT], uint64_t value)
{
	snprintf(text, NUMBER_TEXT, "%" PRIu64, value);
	return text;
}

static int trouble(struct agent *a)
{
	say(a, "database: %s", a->db.message);
	a->counts.database_errors++;
	if (a->epoch && !strcmp(a->db.sqlstate, "K2F02")) {
		a->replaced = !a->lost_greetings;
		if (a->lost_greetings) { /* it may have been one of its own */
			a->lost_greetings--;
			link_close(a);
		}
	}
	if (!strcmp(a->db.sqlstate, "K2F05"))
		link_close(a); /* it greets anew */
	return a->db.code;
}

/* A connection that is new may take longer for its first statements: others are new, too. */
static uint64_t timeout_of(const struct agent *a)
{
	uint64_t now = clock_monotonic_ns(), timeout = a->ctl.timeout_ns;

	return a->in_batch || a->patient_until_ns < now + timeout ? timeout
	                                                          : a->patient_until_ns - now;
}

static PGresult *call(struct agent *a, const char *sql, const char *sequence, int count,
                      const char *const *values)
{
	const char *all[16] = { a->host };
	char epoch[NUMBER_TEXT];
	int first = 2;
	PGresult *result;

	all[1] = number(epoch, a->epoch);
	if (sequence)
		all[first++] = sequence;
	for (int i = 0; i < count; i++)
		all[first + i] = values[i];
	a->db.timeout_ns = timeout_of(a);
	result = db_call(&a->db, sql, first + count, all);
	if (!result)
		trouble(a);
	return result;
}

PGresult *link_call(struct agent *a, const char *sql, int count, const char *const *values)
{
	return call(a, sql, NULL, count, values);
}

PGresult *link_next(struct agent *a, const char *sql, int count, const char *const *values)
{
	char sequence[NUMBER_TEXT];
	PGresult *result = call(a, sql, number(sequence, ++a->sequence), count, values);

	if (result)
		a->answered = a->sequence;
	return result;
}

int link_check(struct agent *a)
{
	PGresult *result = link_next(
		a, "select from k2k_fleet.draw($1, $2, $3, '{}', '{}', '{}', '{}', '{}')", 0, NULL);

	PQclear(result);
	return result ? 0 : a->db.code;
}

int link_batch_begin(struct agent *a)
{
	int code = k2k_batch_begin(a->reg);

	if (code)
		say(a, "registry '%s': %s", a->ctl.registry, k2k_error_detail()->text);
	a->in_batch = !code;
	return code;
}

void link_batch_end(struct agent *a)
{
	k2k_batch_end(a->reg);
	a->in_batch = false;
}

/* ---- greeting ---------------------------------------------------------------------------- */

static bool read_id(const char *path, char text[40])
{
	FILE *f = fopen(path, "re");
	bool good = f && fgets(text, 40, f);

	if (f)
		fclose(f);
	text[good ? strcspn(text, "\n") : 0] = 0;
	return good;
}

static int fetch_registrations(struct agent *a)
{
	PGresult *result = link_call(a,
	                             "select generation, tenant, fleet_gen "
	                             "from k2k_fleet.registrations($1, $2) order by generation",
	                             0, NULL);
	struct registration *old = a->registrations;
	size_t old_count = a->registration_count;

	if (!result)
		return a->db.code;
	a->registrations = NULL;
	a->registration_count = a->registration_room = 0;
	for (int row = 0; row < PQntuples(result); row++)
		registration_add(a, (struct registration){ .generation = db_u64(result, row, 0),
		                                           .tenant = db_u64(result, row, 1),
		                                           .fleet_gen = db_u64(result, row, 2) });
	PQclear(result);
	/* of those that were deregistered while the database was away, only we know the totals */
	for (size_t i = 0; i < old_count; i++) {
		struct registration *r = registration_find(a, old[i].generation);

		if (r && r->tenant == old[i].tenant && r->fleet_gen == old[i].fleet_gen)
			*r = old[i];
	}
	free(old);
	return 0;
}

void link_begin_anew(struct agent *a)
{
	a->have = a->applied = 0;
	a->tenant_count = a->usage_count = 0;
	a->problems_sent = false;
	a->anew = true;
}

/*
 * The database knows which process has greeted last, and its last statement. If that is this one,
 * and no statement that it has answered is missing, then it is not another database, nor an older
 * one, and nobody else has spoken for the host: what was acknowledged is there. All the same it may
 * be another server than before: then its epoch is another, too, and all is reported.
 */
static int greet(struct agent *a)
{
	struct k2k_shares shares = K2K_SHARES_INIT;
	char boot[40], seen[NUMBER_TEXT], answered[NUMBER_TEXT];
	bool known;
	PGresult *result;

	if (!read_id("/proc/sys/kernel/random/boot_id", boot) ||
	    (!a->id[0] && !read_id("/proc/sys/kernel/random/uuid", a->id)) ||
	    k2k_shares_get(a->reg, &shares)) {
		say(a, "/proc/sys/kernel/random, or the registry, can't be read");
		return K2K_EIO;
	}
	a->db.timeout_ns = timeout_of(a);
	result = db_call(&a->db,
	                 "select epoch, known, last_seq "
	                 "from k2k_fleet.hello($1, $2, $3, $4, $5, $6, $7)",
	                 7,
	                 (const char *[]){ a->host, a->info.uuid, boot, a->ctl.registry,
	                                   number(seen, shares.epoch), a->id,
	                                   number(answered, a->answered) });
	if (!result) {
		a->lost_greetings += !a->db.sqlstate[0];
		return trouble(a);
	}
	a->epoch = db_u64(result, 0, 0);
	known = PQgetvalue(result, 0, 1)[0] == 't';
	if (db_u64(result, 0, 2) > a->sequence)
		a->sequence = db_u64(result, 0, 2);
	PQclear(result);
	if (!known)
		link_begin_anew(a);
	chunks_greeted(a);
	lease_greeted(a);
	a->greeted = true;
	return fetch_registrations(a);
}

void link_close(struct agent *a)
{
	db_close(&a->db);
	a->epoch = 0;
}

int link_open(struct agent *a)
{
	uint64_t patience = pace_patience(a->ctl.timeout_ns, a->failures);
	int code;

	if (a->db.conn && a->epoch)
		return 0;
	link_close(a);
	a->patient_until_ns = clock_monotonic_ns() + patience;
	if (db_open(&a->db, a->conninfo, CTL_NAME, patience) || db_check_schema(&a->db))
		code = trouble(a);
	else
		code = greet(a);
	if (code)
		link_close(a);
	else
		say(a, "host %s: connected to the fleet", a->host);
	return code;
}

/* ---- definitions ------------------------------------------------------------------------- */

static int by_tenant(const void *a, const void *b)
{
	const struct definition *x = a, *y = b;

	return (x->tenant > y->tenant) - (x->tenant < y->tenant);
}

struct definition *definition_find(struct agent *a, k2k_tenant_id tenant)
{
	const struct definition key = { .tenant = tenant };

	return a->definition_count
	               ? bsearch(&key, a->definitions, a->definition_count, sizeof(key), by_tenant)
	               : NULL;
}

static void definition_free(struct definition *d)
{
	free(d->doc);
	free(d->message);
}

void definition_fails(struct definition *d, int code, const char *message)
{
	free(d->message);
	d->problem = code ? k2k_errname(code) : NULL;
	d->message = code ? check_memory(strdup(message)) : NULL;
}

static void forget_failures(struct ctl *ctl)
{
	for (size_t i = 0; i < ctl->failure_count; i++)
		free(ctl->failures[i].message);
	ctl->failure_count = 0;
}

/* Refuses a text that this version does not understand, so that the others go on. */
static void examine(struct agent *a, struct definition *d, const char *doc)
{
	char name[80], *text;
	struct document document;
	size_t length;
	FILE *out = text_open(&text, &length);
	int exit_code;

	fprintf(out, "{\"version\": %d, \"tenants\": [%s], \"end\": true}", DOCUMENT_VERSION, doc);
	text_close(out);
	snprintf(name, sizeof(name), "definition of tenant %" PRIu64 ", version %" PRIu64,
	         d->tenant, d->version);
	exit_code = document_read_text(&a->ctl, name, text, &document);
	if (!exit_code && (document.count != 1 || document.entries[0].id != d->tenant))
		definition_fails(d, K2K_EINVAL, "the definition is not that of this tenant");
	else if (exit_code)
		definition_fails(d, K2K_EINVAL,
		                 a->ctl.failure_count ? a->ctl.failures[0].message : "");
	else
		d->doc = check_memory(strdup(doc));
	forget_failures(&a->ctl);
	if (!exit_code)
		document_free(&document);
	free(text);
}

/* Adds the rows to the list, in place of older ones of the same tenants. */
static void take_rows(struct agent *a, const PGresult *result)
{
	size_t rows = (size_t)PQntuples(result), count = a->definition_count;

	a->definitions = check_memory(
		realloc(a->definitions, (count + rows + 1) * sizeof(*a->definitions)));
	for (int row = 0; row < (int)rows; row++) {
		struct definition d = {
			.version = db_u64(result, row, 0),
			.tenant = db_u64(result, row, 1),
			.fleet_gen = db_u64(result, row, 2),
			.deleted = PQgetvalue(result, row, 3)[0] == 't',
		};
		struct definition *old = definition_find(a, d.tenant);

		if (!d.deleted)
			examine(a, &d, PQgetvalue(result, row, 4));
		if (old) {
			definition_free(old);
			*old = d;
		} else {
			a->definitions[count++] = d;
		}
		a->have = d.version;
	}
	a->definition_count = count;
	if (count)
		qsort(a->definitions, count, sizeof(*a->definitions), by_tenant);
}

int link_fetch(struct agent *a)
{
	int rows;

	do {
		char have[NUMBER_TEXT];
		PGresult *result = link_call(a,
		                             "select version, tenant, fleet_gen, deleted, doc "
		                             "from k2k_fleet.definitions($1, $2, $3, " ROWS ")",
		                             1, (const char *[]){ number(have, a->have) });

		if (!result)
			return a->db.code;
		if (a->anew) {
			for (size_t i = 0; i < a->definition_count; i++)
				definition_free(&a->definitions[i]);
			a->definition_count = 0;
			a->changed = true;
			a->anew = false;
		}
		rows = PQntuples(result);
		a->changed = a->changed || rows;
		take_rows(a, result);
		PQclear(result);
	} while (rows);
	return 0;
}

/* ---- registrations ----------------------------------------------------------------------- */

static int by_generation(const void *a, const void *b)
{
	const struct registration *x = a, *y = b;

	return (x->generation > y->generation) - (x->generation < y->generation);
}

struct registration *registration_find(struct agent *a, uint64_t generation)
{
	const struct registration key = { .generation = generation };

	return a->registration_count ? bsearch(&key, a->registrations, a->registration_count,
	                                       sizeof(key), by_generation)
	                             : NULL;
}

void registration_add(struct agent *a, struct registration registration)
{
	size_t at = a->registration_count;

	if (at == a->registration_room) {
		a->registration_room = at * 2 + 64;
		a->registrations = check_memory(realloc(
			a->registrations, a->registration_room * sizeof(*a->registrations)));
	}
	for (; at && a->registrations[at - 1].generation > registration.generation; at--)
		a->registrations[at] = a->registrations[at - 1];
	a->registrations[at] = registration;
	a->registration_count++;
}

void registration_remove(struct agent *a, uint64_t generation)
{
	struct registration *r = registration_find(a, generation);

	if (!r)
		return;
	a->registration_count--;
	memmove(r, r + 1,
	        (size_t)(a->registrations + a->registration_count - r) * sizeof(*a->registrations));
}

int link_finish(struct agent *a, uint64_t generation, const struct k2k_tenant_totals *totals)
{
	char texts[4][NUMBER_TEXT];
	const char *values[5] = { number(texts[0], generation), NULL, NULL, NULL, "false" };
	PGresult *result;

	if (totals) {
		values[1] = number(texts[1], totals->admitted_total);
		values[2] = number(texts[2], totals->unattributed_ns);
		values[3] = number(texts[3], totals->gpu_ns_total);
		values[4] = totals->final ? "true" : "false";
	}
	result = link_call(a, "select k2k_fleet.finish($1, $2, $3, $4, $5, $6, $7)", 5, values);
	if (!result)
		return a->db.code;
	PQclear(result);
	registration_remove(a, generation);
	return 0;
}
