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

int cmd_fleet_usage(struct ctl *ctl)
{
	const char *filter = NULL;
	char id_text[UNITS_TEXT];
	struct list list;
	PGresult *result;
	uint64_t id;
	struct db db;
	int exit_code;

	if (ctl->argument_count) {
		if (!arg_id(ctl, "ID", ctl->arguments[0], &id))
			return EXIT_USAGE;
		units_print_number(id_text, id);
		filter = id_text;
	}
	exit_code = fleet_open(ctl, &db);
	if (exit_code)
		return exit_code;
	result = db_call(&db,
	                 "select tenant, fleet_gen, engagement, gpu_ns, corrected_ns, runs, "
	                 "open_ended from k2k_fleet.bill "
	                 "where $1::numeric is null or tenant = $1::numeric order by 1, 2, 3",
	                 1, (const char *[]){ filter });
	exit_code = result ? 0 : fleet_fail(ctl, &db);
	db_close(&db);
	if (!result)
		return exit_code;
	list_begin(&list, ctl, &bill_table, NULL);
	for (int row = 0; row < PQntuples(result); row++) {
		struct value values[COL_BILL_COUNT];
		char gpu[UNITS_TEXT], corrected[UNITS_TEXT];

		for (int c = 0; c < COL_BILL_COUNT; c++)
			values[c] = NUMBER(db_u64(result, row, c));
		values[COL_BILL_GPU_TIME].text = spell(
			ctl, PQgetvalue(result, row, COL_BILL_GPU_TIME), gpu);
		values[COL_BILL_CORRECTED].text = spell(
			ctl, PQgetvalue(result, row, COL_BILL_CORRECTED), corrected);
		if (values[COL_BILL_OPEN_ENDED].number)
			values[COL_BILL_OPEN_ENDED].color = "yellow";
		list_row(&list, values);
	}
	list_end(&list);
	PQclear(result);
	return EXIT_DONE;
}
