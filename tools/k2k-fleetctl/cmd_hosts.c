/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hosts, problems, join: who belongs to the fleet, and how far they are */
#include "fleet.h"
#include "k2k-tenantctl/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fill_host(const struct ctl *ctl, const PGresult *r, int row, struct value *values)
{
	(void)ctl;
	fill_row(r, row, COL_HOST_COUNT, values);
	if (values[COL_HOST_BEHIND].number)
		values[COL_HOST_BEHIND].color = "red";
	if (values[COL_HOST_PROBLEMS].number)
		values[COL_HOST_PROBLEMS].color = "red";
}

int cmd_fleet_hosts(struct ctl *ctl)
{
	return list_rows(ctl,
	                 "select name, role, registry, version, behind, "
	                 "round(greatest(age_s, 0) * 1e9)::numeric(20, 0), problems, run, epoch "
	                 "from k2k_fleet.host_state order by name",
	                 NULL, &hosts_table, fill_host);
}

static void fill_problem(const struct ctl *ctl, const PGresult *r, int row, struct value *values)
{
	(void)ctl;
	fill_row(r, row, COL_PROBLEM_COUNT, values);
}

int cmd_fleet_problems(struct ctl *ctl)
{
	return list_rows(ctl,
	                 "select host, tenant, version, code, message from k2k_fleet.problem "
	                 "order by host, tenant",
	                 NULL, &problems_table, fill_problem);
}

/* As the table of hosts has it. */
static bool is_host_name(const char *text)
{
	size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	                             "0123456789._/-");

	return length && length <= 128 && !text[length];
}

/* Returns 0, or the exit code of a failure that it has reported. */
static int check_role(struct ctl *ctl, struct db *db, const char *role)
{
	PGresult *result = db_call(db,
	                           "select pg_has_role(oid, 'k2k_fleet_agent', 'member') "
	                           "from pg_catalog.pg_roles where rolname = $1",
	                           1, &role);
	int exit_code = 0;

	if (!result)
		return fleet_fail(ctl, db);
	if (!PQntuples(result))
		exit_code = fail_with(ctl, K2K_EINVAL,
		                      "there is no role \"%s\"; make it: create role \"%s\" login",
		                      role, role);
	else if (PQgetvalue(result, 0, 0)[0] == 'f')
		note(ctl,
		     "no agent can use role %s before it is a member of k2k_fleet_agent: grant "
		     "k2k_fleet_agent to \"%s\"",
		     role, role);
	PQclear(result);
	return exit_code;
}

static int join_host(struct ctl *ctl, const char *host, const char *role)
{
	PGresult *result;
	struct db db;
	int exit_code = fleet_open(ctl, &db);

	if (exit_code)
		return exit_code;
	exit_code = check_role(ctl, &db, role);
	if (!exit_code && !ctl->dry_run) {
		result = db_call(&db, "select k2k_fleet.join_host($1, $2)", 2,
		                 (const char *[]){ host, role });
		exit_code = result ? 0 : fleet_fail(ctl, &db);
		PQclear(result);
	}
	db_close(&db);
	return exit_code;
}

int cmd_fleet_join(struct ctl *ctl)
{
	const char *host = ctl->arguments[0];
	const char *role = ctl->option[OPT_ROLE] ? ctl->option[OPT_ROLE] : host;
	static const struct field fields[] = {
		{ "host", NULL, KIND_TEXT, 0 },
		{ "role", NULL, KIND_TEXT, 0 },
	};
	int exit_code;

	if (!is_host_name(host))
		return fail_usage(ctl,
		                  "join '%.200s': a host's name has letters, digits and . _ / -, "
		                  "and at most 128 of them",
		                  host);
	exit_code = join_host(ctl, host, role);
	if (exit_code || ctl->quiet)
		return exit_code;
	if (ctl->format != FORMAT_TABLE)
		print_record(ctl, fields, (const struct value[]){ TEXT(host), TEXT(role) }, 2);
	else
		printf("%shost %s: role %s speaks for it\n", ctl->dry_run ? "would be: " : "", host,
		       role);
	return EXIT_DONE;
}
