/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* budgets, forget: what hosts have drawn of the budgets over the fleet, and have of the limits */
#include "fleet.h"
#include "k2k-tenantctl/output.h"
#include "common/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char budgets_sql[] =
	"select tenant, fleet_gen, engagement, total, drawn, used, charged, free, overdrawn, "
	"written_off from k2k_fleet.budget_state "
	"where $1::numeric is null or tenant = $1::numeric order by tenant, engagement";

static const char chunks_sql[] =
	"select c.tenant, c.fleet_gen, c.engagement, c.host, c.state, c.drawn, c.used, c.charged, "
	"c.written_off, c.run from k2k_fleet.chunk_state c "
	"join k2k_fleet.budget b using (tenant, fleet_gen, engagement) "
	"where b.total is not null and ($1::numeric is null or tenant = $1::numeric) "
	"order by tenant, engagement, host, c.run, c.generation";

static const char forget_sql[] =
	"select tenant, engagement, run, drawn, used, written_off, kind from k2k_fleet.forget($1) "
	"order by tenant, kind, engagement, run";

static const char would_forget_sql[] =
	"select tenant, engagement, run, drawn, used, drawn - used, 'budget' "
	"from k2k_fleet.chunk_state "
	"where host = $1 and state not in ('forgotten', 'final') and drawn > used "
	"union all select tenant, null, run, amount, null, null, kind from k2k_fleet.share_state "
	"where host = $1 and state <> 'forgotten' and amount > 0 order by 1, 7, 2, 3";

static void fill_budget(const struct ctl *ctl, const PGresult *r, int row, struct value *values)
{
	(void)ctl;
	fill_row(r, row, COL_FLEET_BUDGET_COUNT, values);
	if (values[COL_FLEET_BUDGET_OVERDRAWN].number)
		values[COL_FLEET_BUDGET_OVERDRAWN].color = "red";
	if (values[COL_FLEET_BUDGET_WRITTEN_OFF].number)
		values[COL_FLEET_BUDGET_WRITTEN_OFF].color = "yellow";
}

static void fill_chunk(const struct ctl *ctl, const PGresult *r, int row, struct value *values)
{
	(void)ctl;
	fill_row(r, row, COL_CHUNK_COUNT, values);
}

int cmd_fleet_budgets(struct ctl *ctl)
{
	bool by_host = ctl->option[OPT_HOSTS] != NULL;
	char text[UNITS_TEXT];
	const char *tenant;

	if (!fleet_tenant(ctl, text, &tenant))
		return EXIT_USAGE;
	return by_host ? list_rows(ctl, chunks_sql, tenant, &chunks_table, fill_chunk)
	               : list_bounds(ctl, budgets_sql, tenant, &fleet_budgets_table, fill_budget);
}

/* Of a share, what was drawn is the share. */
static void fill_written_off(const struct ctl *ctl, const PGresult *r, int row,
                             struct value *values)
{
	bool share = strcmp(PQgetvalue(r, row, COL_FORGOTTEN_KIND), "budget") != 0;

	(void)ctl;
	fill_row(r, row, COL_FORGOTTEN_SHARE, values);
	values[COL_FORGOTTEN_SHARE] = TEXT(share ? values[COL_FORGOTTEN_DRAWN].text : NULL);
	if (!share) {
		values[COL_FORGOTTEN_KIND].text = NULL;
		return;
	}
	values[COL_FORGOTTEN_ENGAGEMENT].none = true;
	for (int c = COL_FORGOTTEN_DRAWN; c <= COL_FORGOTTEN_WRITTEN_OFF; c++)
		values[c].none = true;
}

int cmd_fleet_forget(struct ctl *ctl)
{
	const char *host = ctl->arguments[0];

	if (!ctl->yes && !ctl->dry_run &&
	    !(can_ask() &&
	      ask("Write off what host %s has drawn and not reported, and its shares?", host)))
		return fail_usage(ctl,
		                  "forget: the use of budgets may exceed them by what is written "
		                  "off, and so may what is held of limits; confirm with -y; "
		                  "nothing was changed");
	return list_rows(ctl, ctl->dry_run ? would_forget_sql : forget_sql, host, &forgotten_table,
	                 fill_written_off);
}
