/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * db.h - the connection to the database of a fleet
 *
 * Every call has a deadline of its own: a server that is stopped, or a link that is cut, ends it.
 * After that, and after each error of the connection, the connection is closed: db_open() again.
 */
#ifndef K2K_FLEET_DB_H
#define K2K_FLEET_DB_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define DB_SCHEMA_VERSION 4

struct db {
	PGconn *conn; /* null: not connected */
	uint64_t timeout_ns;
	int code;          /* K2K_E... of the last failure */
	char sqlstate[6];  /* "": not the server's words */
	char message[600]; /* one line */
	bool warned;       /* the server sent a warning with the last answer */
};

/* Migrations, in order; made from schema/ by embed-schema.py. */
struct db_migration {
	int number;
	const char *sql;
};
extern const struct db_migration db_migrations[];
extern const size_t db_migration_count;

/*
 * False if the text is no connection string, or has a password: that would be seen by everybody in
 * the list of processes. `message` says which.
 */
bool db_check_conninfo(const char *conninfo, char *message, size_t room);

/*
 * What a signal does that is waited for: if this descriptor (signalfd) is readable, no wait for the
 * server is longer than `most_ns`, whatever its timeout is.
 */
void db_hurry(int signals, uint64_t most_ns);

/* Connects. Returns 0, or a K2K_E... code. */
int db_open(struct db *db, const char *conninfo, const char *program, uint64_t timeout_ns);
void db_close(struct db *db);

/* 0 if the database has this program's version of the schema, or a K2K_E... code. */
int db_check_schema(struct db *db);

/*
 * A statement, with its parameters as text. Null after a failure. A warning counts as one: a commit
 * that was not waited for, until a standby has it, answers with a mere warning.
 */
PGresult *db_call(struct db *db, const char *sql, int count, const char *const *values);
/* Several statements in one text, without parameters or results. Returns 0 or a K2K_E... code. */
int db_run(struct db *db, const char *sql);

/* A number of 64 bits in a result; 0 if it is null. */
uint64_t db_u64(const PGresult *result, int row, int column);
/* The same for one with a sign. */
int64_t db_i64(const PGresult *result, int row, int column);

/* An array as a parameter: begin, its elements, end, free. */
struct db_array {
	FILE *out;
	char *text;
	size_t length, count;
};
void db_array_begin(struct db_array *a);
void db_array_u64(struct db_array *a, uint64_t value);
void db_array_i64(struct db_array *a, int64_t value);
void db_array_text(struct db_array *a, const char *value); /* null: NULL */
const char *db_array_end(struct db_array *a);
void db_array_free(struct db_array *a);

#endif
