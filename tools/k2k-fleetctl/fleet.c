/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fleet.c - which database, and the way to it: the global options of k2k-fleetctl */
#include "fleet.h"

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
	if (db_open(db, conninfo(ctl), CTL_NAME, ctl->timeout_ns))
		return fleet_fail(ctl, db);
	ctl->registry = check_memory(strdup(PQdb(db->conn)));
	return 0;
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
