/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fleet.c - which database, and the way to it: the global options of k2k-fleetctl */
#include "fleet.h"
#include "k2k-tenantctl/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *conninfo(const struct ctl *ctl)
{
	const char *text = ctl->option[OPT_DATABASE] ? ctl->option[OPT_DATABASE]
	                                             : getenv("K2K_FLEET");

	return text ? text : "";
}

bool settle_place(struct ctl *ctl)
{
	char message[300];

	ctl->registry = "";
	ctl->fleet = true;
	if (db_check_conninfo(conninfo(ctl), message, sizeof(message)))
		return true;
	fail_usage(ctl, "%s: %s", ctl->option[OPT_DATABASE] ? "--database" : "K2K_FLEET", message);
	return false;
}

int fleet_fail(struct ctl *ctl, const struct db *db)
{
	return fail_with(ctl, db->code, "database%s%s: %s", ctl->registry[0] ? " " : "",
	                 ctl->registry, db->message);
}

int fleet_connect(struct ctl *ctl, struct db *db)
{
	static char name[64]; /* no name in PostgreSQL is longer */

	if (db_open(db, conninfo(ctl), CTL_NAME, ctl->timeout_ns))
		return fleet_fail(ctl, db);
	snprintf(name, sizeof(name), "%s", PQdb(db->conn));
	ctl->registry = name;
	return 0;
}

void fleet_note_standby(struct ctl *ctl, struct db *db)
{
	PGresult *result = db_call(db, "select current_setting('synchronous_standby_names') = ''",
	                           0, NULL);

	if (result && PQgetvalue(result, 0, 0)[0] == 't')
		note(ctl, "the database has no synchronous standby: over a failover, limits and "
		          "budgets over the fleet may be exceeded, and bills be too low");
	PQclear(result);
}

int fleet_open(struct ctl *ctl, struct db *db)
{
	int exit_code = fleet_connect(ctl, db);

	if (exit_code)
		return exit_code;
	if (db_check_schema(db)) {
		exit_code = fleet_fail(ctl, db);
		db_close(db);
	}
	return exit_code;
}

bool fleet_tenant(struct ctl *ctl, char text[UNITS_TEXT], const char **tenant)
{
	uint64_t id;

	*tenant = NULL;
	if (!ctl->argument_count)
		return true;
	if (!arg_id(ctl, "ID", ctl->arguments[0], &id))
		return false;
	units_print_number(text, id);
	*tenant = text;
	return true;
}

void fill_row(const PGresult *result, int row, int count, struct value *values)
{
	for (int c = 0; c < count; c++) {
		bool none = PQgetisnull(result, row, c);

		values[c] = (struct value){ .text = none ? NULL : PQgetvalue(result, row, c),
			                    .number = db_u64(result, row, c),
			                    .none = none };
	}
}

/* Closes the connection. */
static int list_from(struct ctl *ctl, struct db *db, const char *sql, const char *parameter,
                     const struct table *table, fill_values *fill)
{
	struct value values[COLUMNS_MOST];
	struct list list;
	PGresult *result = db_call(db, sql, strstr(sql, "$1") ? 1 : 0, &parameter);
	int exit_code = result ? EXIT_DONE : fleet_fail(ctl, db);

	db_close(db);
	if (!result)
		return exit_code;
	list_begin(&list, ctl, table, NULL);
	for (int row = 0; row < PQntuples(result); row++) {
		fill(ctl, result, row, values);
		list_row(&list, values);
	}
	list_end(&list);
	PQclear(result);
	return exit_code;
}

int list_rows(struct ctl *ctl, const char *sql, const char *parameter, const struct table *table,
              fill_values *fill)
{
	struct db db;
	int exit_code = fleet_open(ctl, &db);

	return exit_code ? exit_code : list_from(ctl, &db, sql, parameter, table, fill);
}

int list_bounds(struct ctl *ctl, const char *sql, const char *parameter, const struct table *table,
                fill_values *fill)
{
	struct db db;
	int exit_code = fleet_open(ctl, &db);

	if (exit_code)
		return exit_code;
	fleet_note_standby(ctl, &db);
	return list_from(ctl, &db, sql, parameter, table, fill);
}
