/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* shares: what hosts have of the limits over the fleet */
#include "fleet.h"
#include "k2k-tenantctl/output.h"
#include "common/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char limits_sql[] =
	"select tenant, fleet_gen, kind, total, granted, free, excess, written_off, "
	"case kind when 'rate' then alone end, bound, case kind when 'rate' then 2 * bound end "
	"from k2k_fleet.limit_state "
	"where $1::numeric is null or tenant = $1::numeric order by tenant, kind";

static const char shares_sql[] =
	"select s.tenant, s.fleet_gen, s.kind, s.host, "
	"case when s.kind = 'rate' and coalesce(s.lease_age_s > s.lease_s, true) then 'no lease' "
	"else s.state end, s.amount, case when s.kind <> 'rate' then s.held end, "
	"round(s.lease_age_s * 1e9)::numeric(20, 0), round(s.lease_s * 1e9)::numeric(20, 0), s.run "
	"from k2k_fleet.share_state s join k2k_fleet.fleet_limit l using (tenant, fleet_gen, kind) "
	"where l.total is not null and ($1::numeric is null or tenant = $1::numeric) "
	"order by tenant, kind, host, s.run, s.generation";

const char *fleet_spell(const struct ctl *ctl, const char *kind, const char *number,
                        char text[UNITS_TEXT])
{
	char *end;
	unsigned long long value = strtoull(number, &end, 10);

	/* a sum over hosts may have more than 64 bits */
	if (ctl->format != FORMAT_TABLE || *end || value == UINT64_MAX)
		return number;
	if (!strcmp(kind, "rate"))
		return units_print_rate(text, value, UNITS_PER_SECOND);
	return strcmp(kind, "gpu_memory") ? number : units_print_size(text, value);
}

/* Columns from `first` on, as far as `mask` has them, are amounts of the limit's kind. */
static int list_shares(struct ctl *ctl, const char *sql, const char *filter,
                       const struct table *table, int count, unsigned int amounts)
{
	struct value values[COL_FLEET_LIMIT_COUNT];
	char texts[COL_FLEET_LIMIT_COUNT][UNITS_TEXT];
	struct list list;
	PGresult *result;
	struct db db;
	int exit_code = fleet_open(ctl, &db);

	_Static_assert((int)COL_SHARE_COUNT <= (int)COL_FLEET_LIMIT_COUNT, "both fit");
	if (exit_code)
		return exit_code;
	result = db_call(&db, sql, 1, &filter);
	exit_code = result ? 0 : fleet_fail(ctl, &db);
	db_close(&db);
	if (!result)
		return exit_code;
	list_begin(&list, ctl, table, NULL);
	for (int row = 0; row < PQntuples(result); row++) {
		for (int c = 0; c < count; c++) {
			const char *text = PQgetvalue(result, row, c);
			bool none = PQgetisnull(result, row, c);

			if (amounts & 1u << c)
				text = fleet_spell(ctl,
				                   PQgetvalue(result, row, COL_FLEET_LIMIT_KIND),
				                   text, texts[c]);
			values[c] = (struct value){ .text = none ? NULL : text,
				                    .number = db_u64(result, row, c),
				                    .none = none };
		}
		if (table == &fleet_limits_table && values[COL_FLEET_LIMIT_EXCESS].number)
			values[COL_FLEET_LIMIT_EXCESS].color = "red";
		if (table == &fleet_limits_table && values[COL_FLEET_LIMIT_WRITTEN_OFF].number)
			values[COL_FLEET_LIMIT_WRITTEN_OFF].color = "yellow";
		list_row(&list, values);
	}
	list_end(&list);
	PQclear(result);
	return EXIT_DONE;
}

int cmd_fleet_shares(struct ctl *ctl)
{
	const unsigned int of_limits = 1u << COL_FLEET_LIMIT_TOTAL | 1u << COL_FLEET_LIMIT_GRANTED |
	                               1u << COL_FLEET_LIMIT_FREE | 1u << COL_FLEET_LIMIT_EXCESS |
	                               1u << COL_FLEET_LIMIT_WRITTEN_OFF |
	                               1u << COL_FLEET_LIMIT_ALONE | 1u << COL_FLEET_LIMIT_BOUND |
	                               1u << COL_FLEET_LIMIT_ANY_SECOND;
	const unsigned int of_shares = 1u << COL_SHARE_AMOUNT | 1u << COL_SHARE_HELD;
	char id_text[UNITS_TEXT];
	const char *filter = NULL;
	uint64_t id;

	if (ctl->argument_count) {
		if (!arg_id(ctl, "ID", ctl->arguments[0], &id))
			return EXIT_USAGE;
		units_print_number(id_text, id);
		filter = id_text;
	}
	return ctl->option[OPT_HOSTS] ? list_shares(ctl, shares_sql, filter, &shares_table,
	                                            COL_SHARE_COUNT, of_shares)
	                              : list_shares(ctl, limits_sql, filter, &fleet_limits_table,
	                                            COL_FLEET_LIMIT_COUNT, of_limits);
}
