/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* init: makes the schema, or brings it to this program's version, one migration after the other */
#include "fleet.h"
#include "k2k-tenantctl/output.h"

#include <stdio.h>

/* The schema's version; 0 if there is none. Returns 0 or the exit code. */
static int read_version(struct ctl *ctl, struct db *db, uint64_t *version)
{
	PGresult *result = db_call(
		db, "select coalesce(to_regclass('k2k_fleet.migration')::text, '')", 0, NULL);
	bool there;

	*version = 0;
	if (!result)
		return fleet_fail(ctl, db);
	there = PQgetvalue(result, 0, 0)[0] != 0;
	PQclear(result);
	if (!there)
		return 0;
	result = db_call(db, "select max(number) from k2k_fleet.migration", 0, NULL);
	if (!result)
		return fleet_fail(ctl, db);
	*version = db_u64(result, 0, 0);
	PQclear(result);
	return 0;
}

/*
 * Each migration is one transaction, under a lock of its own: of two programs at once, one waits
 * and then finds it done. Killed: a migration is made or not.
 */
static int migrate(struct ctl *ctl, struct db *db, uint64_t *version)
{
	int exit_code = 0;

	for (size_t i = 0; i < db_migration_count && !exit_code; i++) {
		if (db_run(db, "begin; select pg_advisory_xact_lock(7308895)"))
			return fleet_fail(ctl, db);
		exit_code = read_version(ctl, db, version);
		if (exit_code)
			return exit_code;
		if ((uint64_t)db_migrations[i].number > *version) {
			if (db_run(db, db_migrations[i].sql))
				return fleet_fail(ctl, db);
			*version = (uint64_t)db_migrations[i].number;
		}
		if (db_run(db, "commit"))
			return fleet_fail(ctl, db);
	}
	return exit_code;
}

int cmd_fleet_init(struct ctl *ctl)
{
	static const struct field fields[] = {
		{ "schema_version", NULL, KIND_COUNT, 0 },
		{ "made", NULL, KIND_BOOL, 0 },
	};
	uint64_t before = 0, version;
	struct db db;
	int exit_code = fleet_connect(ctl, &db);

	if (exit_code)
		return exit_code;
	exit_code = read_version(ctl, &db, &before);
	version = before;
	if (!exit_code && before > DB_SCHEMA_VERSION)
		exit_code = db_check_schema(&db) ? fleet_fail(ctl, &db) : 0;
	if (!exit_code && !ctl->dry_run)
		exit_code = migrate(ctl, &db, &version);
	if (!exit_code)
		fleet_note_standby(ctl, &db);
	db_close(&db);
	if (exit_code || ctl->quiet)
		return exit_code;
	if (ctl->format != FORMAT_TABLE)
		print_record(ctl, fields,
		             (const struct value[]){ NUMBER(version), NUMBER(version > before) },
		             2);
	else if (ctl->dry_run)
		printf("the schema has version %d of %d\n", (int)before, DB_SCHEMA_VERSION);
	else if (version > before)
		printf("database %s: the schema has version %d now\n", ctl->registry, (int)version);
	else
		printf("nothing to do: the schema has version %d\n", (int)version);
	return EXIT_DONE;
}
