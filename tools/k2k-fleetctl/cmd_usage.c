/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* usage: the bill of the fleet */
#include "fleet.h"
#include "k2k-tenantctl/output.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A sum over hosts may have more than 64 bits; then a table has it in nanoseconds. */
static const char *spell(const struct ctl *ctl, const char *ns, char text[UNITS_TEXT])
{
	char *end;
	long long number = strtoll(ns, &end, 10);

	if (ctl->format != FORMAT_TABLE || *end || number == INT64_MAX || number == INT64_MIN)
		return ns;
	return units_print_signed_duration(text, number);
}

static void fill_bill(const struct ctl *ctl, const PGresult *r, int row, struct value *values)
{
	static char gpu[UNITS_TEXT], corrected[UNITS_TEXT];

	fill_row(r, row, COL_BILL_COUNT, values);
	values[COL_BILL_GPU_TIME].text = spell(ctl, values[COL_BILL_GPU_TIME].text, gpu);
	values[COL_BILL_CORRECTED].text = spell(ctl, values[COL_BILL_CORRECTED].text, corrected);
	if (values[COL_BILL_OPEN_ENDED].number)
		values[COL_BILL_OPEN_ENDED].color = "yellow";
}

int cmd_fleet_usage(struct ctl *ctl)
{
	char text[UNITS_TEXT];
	const char *tenant;

	if (!fleet_tenant(ctl, text, &tenant))
		return EXIT_USAGE;
	return list_rows(ctl,
	                 "select tenant, fleet_gen, engagement, gpu_ns, corrected_ns, runs, "
	                 "open_ended from k2k_fleet.bill "
	                 "where $1::numeric is null or tenant = $1::numeric order by 1, 2, 3",
	                 tenant, &bill_table, fill_bill);
}
