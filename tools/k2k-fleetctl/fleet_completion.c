/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Completion of what the database has: tenants, hosts, and roles of agents. Without it: nothing. */
#include "fleet.h"
#include "k2k-tenantctl/completion.h"

#include <stdlib.h>
#include <string.h>

#define WAIT_NS UINT64_C(1000000000) /* a user is waiting */

/* $1: what is typed already. The second column describes the first. */
static const char *query_of(enum value_kind kind)
{
	switch (kind) {
	case VALUE_FLEET_TENANT: /* also those that were removed: there are bills of them */
		return "select tenant, coalesce(substring(doc from '\"name\": *\"([^\"]*)\"'), '') "
		       "from k2k_fleet.definition where starts_with(tenant::text, $1) order by 1";
	case VALUE_FLEET_HOST:
		return "select name, 'role ' || role from k2k_fleet.host "
		       "where starts_with(name, $1) order by 1";
	case VALUE_FLEET_ROLE:
		return "select rolname, '' from pg_catalog.pg_roles "
		       "where rolcanlogin and not rolsuper and starts_with(rolname, $1) "
		       "and pg_catalog.pg_has_role(oid, 'k2k_fleet_agent', 'member') order by 1";
	default: return NULL;
	}
}

/* What a shell does not take apart. */
static bool is_safe(const char *word)
{
	return word[0] && !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                                     "0123456789._/+-")];
}

/* A description may have other characters, but none that a terminal would interpret. */
static const char *description(const char *text)
{
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return NULL;
	return text[0] ? text : NULL;
}

void offer_known(const struct line *l, enum value_kind kind, const char *typed, const char *before)
{
	const char *sql = query_of(kind), *conninfo = l->place[0] ? l->place : getenv("K2K_FLEET");
	char message[300];
	PGresult *result = NULL;
	struct db db;

	if (!sql || !db_check_conninfo(conninfo ? conninfo : "", message, sizeof(message)) ||
	    db_open(&db, conninfo ? conninfo : "", CTL_NAME, WAIT_NS))
		return;
	if (!db_check_schema(&db))
		result = db_call(&db, sql, 1, &typed);
	db_close(&db);
	for (int row = 0; result && row < PQntuples(result); row++) {
		const char *word = PQgetvalue(result, row, 0);

		if (is_safe(word) && !is_named(l, word))
			offer(typed, before, word, description(PQgetvalue(result, row, 1)));
	}
	PQclear(result);
}
