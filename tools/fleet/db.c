/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "db.h"
#include "common/clock.h"
#include "common/memory.h"
#include "common/printable.h"

#include <k2k/registry.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool db_check_conninfo(const char *conninfo, char *message, size_t room)
{
	char *why = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &why);
	bool good = options != NULL;

	if (!good)
		snprintf(message, room, "%s", why ? why : "no memory");
	for (PQconninfoOption *o = options; good && o->keyword; o++)
		if (!strcmp(o->keyword, "password") && o->val) {
			snprintf(message, room,
			         "a password here is seen by everybody; put it into ~/.pgpass or "
			         "a file that passfile=FILE names");
			good = false;
		}
	PQconninfoFree(options);
	PQfreemem(why);
	return good;
}

/* What the server's codes mean to a user of these programs. */
static int code_of(const char *state)
{
	static const struct {
		const char *state;
		int code;
	} meanings[] = {
		{ "28", K2K_EPERM },          /* wrong password, no such role */
		{ "42501", K2K_EPERM },       /* insufficient_privilege */
		{ "25006", K2K_EPERM },       /* read_only_sql_transaction */
		{ "K2F01", K2K_EPERM },       /* the host is not this role's */
		{ "K2F02", K2K_EBUSY },       /* another agent is the host's */
		{ "K2F03", K2K_EPERM },       /* the run is another host's */
		{ "K2F04", K2K_EINVAL },      /* contradicts what is recorded */
		{ "42704", K2K_EINVAL },      /* undefined_object: no such role */
		{ "22", K2K_EINVAL },         /* a value that its column can't have */
		{ "23514", K2K_EINVAL },      /* check_violation */
		{ "3D000", K2K_ENOREGISTRY }, /* no such database */
		{ "3F000", K2K_ENOREGISTRY }, /* no such schema */
		{ "42883", K2K_ENOREGISTRY }, /* no such function */
		{ "42P01", K2K_ENOREGISTRY }, /* no such table */
		{ "40", K2K_EBUSY },          /* somebody else was first */
		{ "55P03", K2K_EBUSY },       /* lock_not_available */
		{ "57014", K2K_EBUSY },       /* query_canceled */
		{ "53300", K2K_EBUSY },       /* too_many_connections */
		{ "53100", K2K_EFULL },       /* disk_full */
		{ "23505", K2K_EEXIST },      /* unique_violation */
	};

	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (!strncmp(state, meanings[i].state, strlen(meanings[i].state)))
			return meanings[i].code;
	return K2K_EIO;
}

static int failed(struct db *db, int code, const char *state, const char *text)
{
	db->code = code;
	snprintf(db->sqlstate, sizeof(db->sqlstate), "%s", state);
	snprintf(db->message, sizeof(db->message), "%s", text);
	db->message[strcspn(db->message, "\n")] = 0;
	printable(db->message);
	return code;
}

void db_close(struct db *db)
{
	if (db->conn)
		PQfinish(db->conn);
	db->conn = NULL;
}

/*
 * libpq has the server's code only in its text, "FATAL:  28P01: password ...", whose first word may
 * be in any language.
 */
static int failed_to_connect(struct db *db)
{
	const char *text = PQerrorMessage(db->conn), *at = text;
	char state[6] = "";

	while ((at = strstr(at, ":  ")) != NULL) {
		at += 3;
		if (strspn(at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && at[5] == ':') {
			snprintf(state, sizeof(state), "%.5s", at);
			text = at + 7;
			break;
		}
	}
	failed(db,
	       state[0]                               ? code_of(state)
	       : strstr(text, "no password supplied") ? K2K_EPERM
	                                              : K2K_EIO,
	       state, text);
	db_close(db);
	return db->code;
}

static int signals_fd = -1;
static uint64_t hurry_ns;

void db_hurry(int signals, uint64_t most_ns)
{
	signals_fd = signals;
	hurry_ns = most_ns;
}

/* Waits until the socket is ready, or the time is over. */
static bool await(struct db *db, short events, uint64_t deadline_ns)
{
	struct pollfd p[2] = { { .fd = PQsocket(db->conn), .events = events },
		               { .fd = db->timeout_ns > hurry_ns ? signals_fd : -1,
		                 .events = POLLIN } };

	for (;;) {
		uint64_t now = clock_monotonic_ns();
		int ready;

		if (now >= deadline_ns)
			return false;
		ready = poll(p, 2, (int)((deadline_ns - now) / 1000000) + 1);
		if (p[0].revents)
			return true;
		if (ready < 0 && errno != EINTR)
			return false;
		if (ready > 0) { /* a signal */
			deadline_ns -= db->timeout_ns - hurry_ns;
			p[1].fd = -1;
		}
	}
}

static int timed_out(struct db *db)
{
	char text[100];

	db_close(db);
	snprintf(text, sizeof(text), "the server did not answer within %.3g s",
	         (double)db->timeout_ns / 1e9);
	return failed(db, K2K_EBUSY, "", text);
}

static void on_notice(void *of, const PGresult *notice)
{
	struct db *db = of;
	const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity && !strcmp(severity, "WARNING")) {
		db->warned = true;
		failed(db, K2K_EIO, "", PQresultErrorMessage(notice));
	}
}

int db_open(struct db *db, const char *conninfo, const char *program, uint64_t timeout_ns)
{
	const char *keys[] = { "dbname", "fallback_application_name", "client_encoding", NULL };
	const char *values[] = { conninfo, program, "UTF8", NULL };
	uint64_t deadline = clock_monotonic_ns() + timeout_ns;
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;
	PGresult *result;

	*db = (struct db){ .timeout_ns = timeout_ns };
	db->conn = PQconnectStartParams(keys, values, 1);
	if (!db->conn)
		return failed(db, K2K_ENOMEM, "", "no memory for a connection");
	PQsetErrorVerbosity(db->conn, PQERRORS_VERBOSE);
	while (PQstatus(db->conn) != CONNECTION_BAD && next != PGRES_POLLING_OK &&
	       next != PGRES_POLLING_FAILED) {
		if (!await(db, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
			return timed_out(db);
		next = PQconnectPoll(db->conn);
	}
	if (PQstatus(db->conn) != CONNECTION_OK)
		return failed_to_connect(db);
	PQsetErrorVerbosity(db->conn, PQERRORS_DEFAULT);
	PQsetNoticeReceiver(db->conn, on_notice, db);
	PQsetnonblocking(db->conn, 1);
	result = db_call(db, "set synchronous_commit = on", 0, NULL);
	if (!result)
		return db->code;
	PQclear(result);
	return 0;
}

/* Sends what libpq holds and reads one result after the other; the last one, or null. */
static PGresult *take_result(struct db *db, uint64_t deadline)
{
	PGresult *last = NULL, *result;
	int left;

	while ((left = PQflush(db->conn)) > 0) {
		if (!await(db, POLLOUT | POLLIN, deadline))
			return NULL;
		if (!PQconsumeInput(db->conn))
			break;
	}
	for (;;) {
		while (PQisBusy(db->conn)) {
			if (!await(db, POLLIN, deadline)) {
				PQclear(last);
				return NULL;
			}
			if (!PQconsumeInput(db->conn))
				break;
		}
		result = PQgetResult(db->conn);
		if (!result)
			return last;
		/* of several statements the first error counts */
		if (last && PQresultStatus(last) == PGRES_FATAL_ERROR) {
			PQclear(result);
			continue;
		}
		PQclear(last);
		last = result;
	}
}

static PGresult *judge(struct db *db, PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
		if (!db->warned)
			return result;
		PQclear(result);
		return NULL;
	}
	failed(db, state ? code_of(state) : K2K_EIO, state ? state : "",
	       text ? text : PQerrorMessage(db->conn));
	PQclear(result);
	if (PQstatus(db->conn) != CONNECTION_OK)
		db_close(db);
	return NULL;
}

static PGresult *answer(struct db *db, int sent)
{
	PGresult *result;

	if (!sent) {
		failed(db, K2K_EIO, "", PQerrorMessage(db->conn));
		db_close(db);
		return NULL;
	}
	result = take_result(db, clock_monotonic_ns() + db->timeout_ns);
	if (!result) {
		timed_out(db);
		return NULL;
	}
	return judge(db, result);
}

PGresult *db_call(struct db *db, const char *sql, int count, const char *const *values)
{
	if (!db->conn) {
		failed(db, K2K_EIO, "", "not connected");
		return NULL;
	}
	db->warned = false;
	return answer(db, PQsendQueryParams(db->conn, sql, count, NULL, values, NULL, NULL, 0));
}

int db_run(struct db *db, const char *sql)
{
	PGresult *result;

	if (!db->conn)
		return failed(db, K2K_EIO, "", "not connected");
	db->warned = false;
	result = answer(db, PQsendQuery(db->conn, sql));
	if (!result)
		return db->code;
	PQclear(result);
	return 0;
}

int db_check_schema(struct db *db)
{
	PGresult *result = db_call(db, "select k2k_fleet.schema_version()", 0, NULL);
	char text[200];
	uint64_t found;

	if (!result) {
		if (db->code == K2K_ENOREGISTRY)
			snprintf(db->message, sizeof(db->message),
			         "the database has no fleet; 'k2k-fleetctl init' makes one");
		return db->code;
	}
	found = db_u64(result, 0, 0);
	PQclear(result);
	if (found == DB_SCHEMA_VERSION)
		return 0;
	snprintf(text, sizeof(text),
	         "its schema has version %llu, and this program needs version %d; %s",
	         (unsigned long long)found, DB_SCHEMA_VERSION,
	         found < DB_SCHEMA_VERSION ? "'k2k-fleetctl init' upgrades it"
	                                   : "use a later version of the program");
	return failed(db, K2K_ELAYOUT, "", text);
}

uint64_t db_u64(const PGresult *result, int row, int column)
{
	return strtoull(PQgetvalue(result, row, column), NULL, 10);
}

int64_t db_i64(const PGresult *result, int row, int column)
{
	return strtoll(PQgetvalue(result, row, column), NULL, 10);
}

void db_array_begin(struct db_array *a)
{
	a->out = text_open(&a->text, &a->length);
	a->count = 0;
	fputc('{', a->out);
}

static void next_element(struct db_array *a)
{
	if (a->count++)
		fputc(',', a->out);
}

void db_array_u64(struct db_array *a, uint64_t value)
{
	next_element(a);
	fprintf(a->out, "%" PRIu64, value);
}

void db_array_i64(struct db_array *a, int64_t value)
{
	next_element(a);
	fprintf(a->out, "%" PRId64, value);
}

void db_array_text(struct db_array *a, const char *value)
{
	next_element(a);
	if (!value) {
		fputs("NULL", a->out);
		return;
	}
	fputc('"', a->out);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', a->out);
		fputc(*value, a->out);
	}
	fputc('"', a->out);
}

const char *db_array_end(struct db_array *a)
{
	if (a->out) {
		fputc('}', a->out);
		text_close(a->out);
	}
	a->out = NULL;
	return a->text;
}

void db_array_free(struct db_array *a)
{
	db_array_end(a);
	free(a->text);
	a->text = NULL;
}
