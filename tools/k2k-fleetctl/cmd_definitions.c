/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * apply, diff, export, list - the definitions of the fleet
 *
 * apply makes a plan from what it has read, and commits all of it by one statement. The statement
 * names the version that was read: if others have changed definitions meanwhile it does nothing.
 */
#include "definitions.h"
#include "k2k-tenantctl/output.h"
#include "k2k-tenantctl/plan_names.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool has_file(struct ctl *ctl)
{
	bool all = ctl->file_count > 0;

	for (size_t i = 0; i < ctl->file_count; i++)
		all = all && *ctl->files[i];
	if (!all)
		fail_usage(ctl, "%s: -f FILE is missing; - is standard input", ctl->command);
	return all;
}

/* What apply and diff begin with. The plan takes over the tenants of `now`. */
static int make_plan(struct ctl *ctl, struct db *db, struct definitions *now, struct document *d,
                     struct plan *plan)
{
	bool prune = ctl->option[OPT_PRUNE] != NULL;
	int exit_code = definitions_load(ctl, db, now);

	if (exit_code)
		return exit_code;
	*plan = (struct plan){ .now = now->tenants };
	now->tenants = (struct tenants){ 0 };
	plan_compare(d, prune, plan);
	if (prune)
		exit_code = plan_check_prune(ctl, d, plan);
	return exit_code ? exit_code : plan_check_names(ctl, d, plan);
}

/* What a change sends: tenants with their documents, their budgets and limits over the fleet. */
enum {
	TENANTS,
	DOCS,
	BUDGET_TENANTS,
	ENGAGEMENTS,
	AMOUNTS,
	LIMIT_TENANTS,
	LIMIT_KINDS,
	LIMITS,
	ALONES,
	CHANGE_ARRAYS
};

static void add_limits(struct db_array *arrays, const struct entry *e)
{
	const struct {
		uint32_t bit;
		const char *kind;
		uint64_t limit, alone;
	} limits[] = {
		{ FLEET_RATE, "rate", e->rate.number, e->rate.alone },
		{ FLEET_KERNELS, "kernels", e->kernels, 0 },
		{ FLEET_GPU_MEMORY, "gpu_memory", e->gpu_memory_bytes, 0 },
	};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		if (!(e->fleet & limits[i].bit))
			continue;
		db_array_u64(&arrays[LIMIT_TENANTS], e->id);
		db_array_text(&arrays[LIMIT_KINDS], limits[i].kind);
		db_array_u64(&arrays[LIMITS], limits[i].limit);
		db_array_u64(&arrays[ALONES], limits[i].alone);
	}
}

static void add_change(struct db_array *arrays, const struct tenants *after,
                       const struct document *d, const struct step *s, k2k_tenant_id id)
{
	const struct engagement_ns *budgets;
	char *text;

	db_array_u64(&arrays[TENANTS], id);
	if (!s->entry) {
		db_array_text(&arrays[DOCS], NULL);
		return;
	}
	text = definitions_write(after, &after->rows[s->entry - d->entries]);
	db_array_text(&arrays[DOCS], text);
	free(text);
	add_limits(arrays, s->entry);
	budgets = d->budgets.list + s->entry->first_budget;
	for (size_t b = 0; b < s->entry->budget_count; b++)
		if (budgets[b].renewal == UNITS_FLEET) {
			db_array_u64(&arrays[BUDGET_TENANTS], id);
			db_array_u64(&arrays[ENGAGEMENTS], budgets[b].engagement);
			db_array_u64(&arrays[AMOUNTS], budgets[b].ns);
		}
}

static int commit(struct ctl *ctl, struct db *db, const struct document *d, const struct plan *plan,
                  uint64_t *version)
{
	struct tenants after;
	struct db_array arrays[CHANGE_ARRAYS];
	char expected[24];
	PGresult *result;
	const char *values[1 + CHANGE_ARRAYS] = { expected };

	definitions_as_tenants(d, &after);
	for (size_t i = 0; i < CHANGE_ARRAYS; i++)
		db_array_begin(&arrays[i]);
	for (size_t i = 0; i < plan->count; i++)
		add_change(arrays, &after, d, &plan->steps[i], plan_id(plan, &plan->steps[i]));
	tenants_free(&after);
	snprintf(expected, sizeof(expected), "%" PRIu64, *version);
	for (size_t i = 0; i < CHANGE_ARRAYS; i++)
		values[i + 1] = db_array_end(&arrays[i]);
	result = db_call(db, "select k2k_fleet.change($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
	                 1 + CHANGE_ARRAYS, values);
	for (size_t i = 0; i < CHANGE_ARRAYS; i++)
		db_array_free(&arrays[i]);
	if (!result)
		return fleet_fail(ctl, db);
	*version = db_u64(result, 0, 0);
	PQclear(result);
	return 0;
}

static void print_counts(struct ctl *ctl, const struct plan *plan, uint64_t version)
{
	static const struct field fields[] = {
		{ "version", NULL, KIND_TOTAL, 0 },   { "registered", NULL, KIND_COUNT, 0 },
		{ "updated", NULL, KIND_COUNT, 0 },   { "deregistered", NULL, KIND_COUNT, 0 },
		{ "unchanged", NULL, KIND_COUNT, 0 },
	};

	if (ctl->quiet)
		return;
	if (ctl->format != FORMAT_TABLE)
		print_record(ctl, fields,
		             (const struct value[]){ NUMBER(version), NUMBER(plan->of[REGISTER]),
		                                     NUMBER(plan->of[UPDATE]),
		                                     NUMBER(plan->of[DEREGISTER]),
		                                     NUMBER(plan->unchanged) },
		             5);
	else
		printf("version %" PRIu64 ": %zu new, %zu changed, %zu removed, %zu unchanged\n",
		       version, plan->of[REGISTER], plan->of[UPDATE], plan->of[DEREGISTER],
		       plan->unchanged);
}

static int confirm_prune(struct ctl *ctl, const struct plan *plan, const struct document *d)
{
	size_t count = plan->of[DEREGISTER];

	if (!count || ctl->yes || ctl->dry_run)
		return 0;
	if (can_ask() &&
	    ask("Remove %zu tenants that %s does not name, on all hosts?", count, d->name))
		return 0;
	return fail_usage(ctl,
	                  "--prune: %zu tenants that %s does not name would be removed; confirm "
	                  "with -y; nothing was changed",
	                  count, d->name);
}

static int compare(struct ctl *ctl, bool applies)
{
	struct definitions now = { 0 };
	struct document d;
	struct plan plan = { .count = 0 };
	struct db db;
	int exit_code;

	if (!has_file(ctl))
		return EXIT_USAGE;
	exit_code = document_read(ctl, ctl->files, ctl->file_count, DOCUMENT_PLAIN, &d);
	if (exit_code)
		return exit_code;
	exit_code = fleet_open(ctl, &db);
	if (!exit_code) {
		exit_code = make_plan(ctl, &db, &now, &d, &plan);
		if (!exit_code && applies)
			exit_code = confirm_prune(ctl, &plan, &d);
		if (!exit_code && (!applies || ctl->dry_run)) {
			plan_print(ctl, &plan, &d, applies ? "dry_run" : "differs",
			           applies || plan.count, applies ? "would " : "");
			exit_code = plan.count && !applies ? EXIT_NO : EXIT_DONE;
		} else if (!exit_code) {
			if (plan.count)
				exit_code = commit(ctl, &db, &d, &plan, &now.version);
			if (!exit_code)
				print_counts(ctl, &plan, now.version);
		}
		db_close(&db);
		plan_free(&plan);
		definitions_free(&now);
	}
	document_free(&d);
	return exit_code;
}

int cmd_fleet_apply(struct ctl *ctl)
{
	ctl->command = "apply";
	return compare(ctl, true);
}

int cmd_fleet_diff(struct ctl *ctl)
{
	ctl->command = "diff";
	return compare(ctl, false);
}

/* ---- export, list ------------------------------------------------------------------------ */

int cmd_fleet_export(struct ctl *ctl)
{
	bool json = ctl->format == FORMAT_JSON;
	struct definitions now;
	struct db db;
	int exit_code;

	if (ctl->format == FORMAT_CSV)
		return fail_usage(ctl, "export: a document is YAML, or JSON with -J, but not csv");
	exit_code = fleet_open(ctl, &db);
	if (exit_code)
		return exit_code;
	exit_code = definitions_load(ctl, &db, &now);
	db_close(&db);
	if (exit_code)
		return exit_code;
	if (json)
		printf("{\"version\": %d, \"tenants\": [", DOCUMENT_VERSION);
	else
		printf("version: %d\ntenants:%s\n", DOCUMENT_VERSION,
		       now.tenants.count ? "" : " []");
	for (size_t i = 0; i < now.tenants.count; i++) {
		fputs(json ? (i ? ",\n" : "\n") : "  - ", stdout);
		document_write_limits(stdout, json, &now.tenants, &now.tenants.rows[i]);
		fputs(json ? "}" : "}\n", stdout);
	}
	puts(json ? "],\n\"end\": true}" : "end: true");
	ctl->json_done = json;
	definitions_free(&now);
	return EXIT_DONE;
}

int cmd_fleet_list(struct ctl *ctl)
{
	struct definitions now;
	struct list list;
	struct db db;
	int exit_code = fleet_open(ctl, &db);

	if (exit_code)
		return exit_code;
	exit_code = definitions_load(ctl, &db, &now);
	db_close(&db);
	if (exit_code)
		return exit_code;
	list_begin(&list, ctl, &definitions_table, NULL);
	for (size_t i = 0; i < now.tenants.count; i++) {
		const struct k2k_tenant_info *t = &now.tenants.rows[i].info;
		uint64_t kernels = t->max_concurrent_kernels == K2K_UNLIMITED_KERNELS
		                           ? UINT64_MAX
		                           : t->max_concurrent_kernels;

		list_row(
			&list,
			(const struct value[COL_DEFINITION_COUNT]){
				[COL_DEFINITION_TENANT] = NUMBER(t->id),
				[COL_DEFINITION_NAME] = TEXT(t->name[0] ? t->name : NULL),
				[COL_DEFINITION_RATE] = { .number = t->max_messages_per_sec,
		                                          .period = t->rate_period },
				[COL_DEFINITION_KERNELS] = NUMBER(kernels),
				[COL_DEFINITION_MEMORY] = NUMBER(t->max_gpu_memory_bytes),
				[COL_DEFINITION_BUDGETS] = NUMBER(now.tenants.rows[i].budget_count),
				[COL_DEFINITION_VERSION] = NUMBER(db_u64(now.rows, (int)i, 1)),
				[COL_DEFINITION_PROBLEMS] = NUMBER(db_u64(now.rows, (int)i, 2)),
			});
	}
	list_end(&list);
	definitions_free(&now);
	return EXIT_DONE;
}
