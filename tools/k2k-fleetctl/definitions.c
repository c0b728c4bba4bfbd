/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "definitions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void definitions_as_tenants(const struct document *d, struct tenants *tenants)
{
	*tenants = (struct tenants){
		.rows = check_memory(calloc(d->count + 1, sizeof(*tenants->rows))),
		.count = d->count,
		.budgets = check_memory(calloc(d->budgets.count + 1, sizeof(*tenants->budgets))),
	};
	for (size_t i = 0; i < d->count; i++) {
		const struct entry *e = &d->entries[i];
		struct tenant *t = &tenants->rows[i];

		t->info = (struct k2k_tenant_info){
			.id = e->id,
			.max_messages_per_sec = e->rate.number,
			.burst = e->rate.burst,
			.rate_policy = e->rate.policy,
			.rate_period = e->rate.period,
			.rate_alone = e->rate.alone,
			.rate_shared = e->rate.shared,
			.max_gpu_memory_bytes = e->gpu_memory_bytes,
			.max_concurrent_kernels = e->kernels,
			.shadow = e->shadow,
		};
		t->fleet = e->fleet;
		memcpy(t->info.name, e->name, sizeof(t->info.name));
		memcpy(t->info.alerts, e->alerts, sizeof(t->info.alerts));
		t->first_budget = tenants->budget_count;
		for (size_t b = 0; b < e->budget_count; b++) {
			const struct engagement_ns *from = &d->budgets.list[e->first_budget + b];

			tenants->budgets[tenants->budget_count++] = (struct k2k_budget_info){
				.id = e->id,
				.engagement_id = from->engagement,
				.budget_ns = from->ns,
				.renewal = from->renewal,
			};
		}
		t->budget_count = tenants->budget_count - t->first_budget;
	}
}

char *definitions_write(const struct tenants *tenants, const struct tenant *tenant)
{
	char *text;
	size_t length;
	FILE *out = text_open(&text, &length);

	document_write_limits(out, true, tenants, tenant);
	fputc('}', out);
	text_close(out);
	return text;
}

static int parse(struct ctl *ctl, struct definitions *d)
{
	char *text;
	size_t length;
	FILE *out = text_open(&text, &length);
	int exit_code;

	fprintf(out, "{\"version\": %d, \"tenants\": [", DOCUMENT_VERSION);
	for (int row = 0; row < PQntuples(d->rows); row++)
		fprintf(out, "%s\n%s", row ? "," : "", PQgetvalue(d->rows, row, 3));
	fputs("], \"end\": true}", out);
	text_close(out);
	exit_code = document_read_text(ctl, "the fleet's definitions", text, &d->document);
	free(text);
	return exit_code;
}

int definitions_load(struct ctl *ctl, struct db *db, struct definitions *d)
{
	PGresult *result = db_call(db, "select version from k2k_fleet.fleet", 0, NULL);
	int exit_code;

	*d = (struct definitions){ 0 };
	if (!result)
		return fleet_fail(ctl, db);
	d->version = db_u64(result, 0, 0);
	PQclear(result);
	d->rows = db_call(db,
	                  "select d.tenant, d.version, (select count(*) from k2k_fleet.problem p "
	                  "where p.tenant = d.tenant), d.doc from k2k_fleet.definition d "
	                  "where not d.deleted order by d.tenant",
	                  0, NULL);
	if (!d->rows)
		return fleet_fail(ctl, db);
	exit_code = parse(ctl, d);
	if (exit_code) {
		PQclear(d->rows);
		*d = (struct definitions){ 0 };
		return exit_code;
	}
	definitions_as_tenants(&d->document, &d->tenants);
	return 0;
}

void definitions_free(struct definitions *d)
{
	if (!d->rows)
		return;
	PQclear(d->rows);
	document_free(&d->document);
	tenants_free(&d->tenants);
}
