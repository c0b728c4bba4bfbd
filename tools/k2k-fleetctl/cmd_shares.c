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

/* An amount of this kind of limit: "5000/s" in a table, elsewhere the number as it is. */
static const char *spell(const struct ctl *ctl, const char *kind, const char *number,
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

/* The columns that `mask` has are amounts of the row's kind of limit. */
static void fill_amounts(const struct ctl *ctl, const PGresult *r, int row, int kind, int count,
                         unsigned int mask, struct value *values)
{
	static char texts[COLUMNS_MOST][UNITS_TEXT];

	fill_row(r, row, count, values);
	for (int c = 0; c < count; c++)
		if (mask & 1u << c && !values[c].none)
			values[c].text = spell(ctl, values[kind].text, values[c].text, texts[c]);
}

static void fill_limit(const struct ctl *ctl, const PGresult *r, int row, struct value *values)
{
	fill_amounts(ctl, r, row, COL_FLEET_LIMIT_KIND, COL_FLEET_LIMIT_COUNT,
	             1u << COL_FLEET_LIMIT_TOTAL | 1u << COL_FLEET_LIMIT_GRANTED |
	                     1u << COL_FLEET_LIMIT_FREE | 1u << COL_FLEET_LIMIT_EXCESS |
	                     1u << COL_FLEET_LIMIT_WRITTEN_OFF | 1u << COL_FLEET_LIMIT_ALONE |
	                     1u << COL_FLEET_LIMIT_BOUND | 1u << COL_FLEET_LIMIT_ANY_SECOND,
	             values);
	if (values[COL_FLEET_LIMIT_EXCESS].number)
		values[COL_FLEET_LIMIT_EXCESS].color = "red";
	if (values[COL_FLEET_LIMIT_WRITTEN_OFF].number)
		values[COL_FLEET_LIMIT_WRITTEN_OFF].color = "yellow";
}

static void fill_share(const struct ctl *ctl, const PGresult *r, int row, struct value *values)
{
	fill_amounts(ctl, r, row, COL_SHARE_KIND, COL_SHARE_COUNT,
	             1u << COL_SHARE_AMOUNT | 1u << COL_SHARE_HELD, values);
}

int cmd_fleet_shares(struct ctl *ctl)
{
	bool by_host = ctl->option[OPT_HOSTS] != NULL;
	char text[UNITS_TEXT];
	const char *tenant;

	if (!fleet_tenant(ctl, text, &tenant))
		return EXIT_USAGE;
	return by_host ? list_rows(ctl, shares_sql, tenant, &shares_table, fill_share)
	               : list_bounds(ctl, limits_sql, tenant, &fleet_limits_table, fill_limit);
}
