/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* budget set, budget unset, budget list */
#include "commands.h"
#include "dryrun.h"
#include "tenants.h"
#include "units.h"

#include <inttypes.h>
#include <stdlib.h>

/* A budget that is unset or, as UNLIMITED, removed if it is there; the dry run of both looks whether it is. */
static int budget_dry_run(struct ctl *ctl, k2k_tenant_id id, uint64_t engagement, uint64_t budget_ns, bool unset)
{
	struct k2k_budget_info *budgets;
	struct k2k_registry *reg;
	struct list list;
	char unit[UNITS_TEXT];
	size_t count;
	bool there = false;
	int code, exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);

	if (exit_code)
		return exit_code;
	code = fetch_list(reg, LIST_BUDGETS, id, (void **)&budgets, &count);
	k2k_registry_close(&reg);
	if (code)
		return fail_tenant(ctl, code, id, false);
	for (size_t i = 0; i < count && !there; i++)
		there = budgets[i].engagement_id == engagement;
	free(budgets);
	if (unset && !there)
		return fail(ctl, K2K_ENOBUDGET, "tenant %" PRIu64 ", engagement %" PRIu64, id, engagement);
	dryrun_begin(&list, ctl);
	if (!unset && budget_ns != K2K_UNLIMITED)
		dryrun_row(&list, "set", &id, "budget of tenant %" PRIu64 ", engagement %" PRIu64 " to %s", id, engagement,
		           units_print_duration(unit, budget_ns));
	else if (there)
		dryrun_row(&list, "unset", &id, "budget of tenant %" PRIu64 ", engagement %" PRIu64, id, engagement);
	else
		dryrun_row(&list, "change", &id, "nothing: tenant %" PRIu64 " has no budget for engagement %" PRIu64, id,
		           engagement);
	dryrun_end(&list);
	return EXIT_DONE;
}

static int budget_change(struct ctl *ctl, k2k_tenant_id id, uint64_t engagement, uint64_t budget_ns, bool unset)
{
	const struct k2k_budget unlimited = { engagement, K2K_UNLIMITED };
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	struct k2k_registry *reg;
	int code, exit_code;

	if (ctl->dry_run)
		return budget_dry_run(ctl, id, engagement, budget_ns, unset);
	exit_code = open_registry(ctl, K2K_ROLE_ADMIN, &reg);
	if (exit_code)
		return exit_code;
	if (unset) {
		code = k2k_budget_unset(reg, id, engagement);
	} else if (budget_ns != K2K_UNLIMITED) {
		code = k2k_budget_set(reg, id, engagement, budget_ns);
	} else {
		quota.budgets = &unlimited;
		quota.budget_count = 1;
		code = k2k_tenant_update(reg, id, &quota, K2K_UPDATE_BUDGETS);
	}
	if (!code)
		return tenants_print_changed(ctl, reg, id);
	k2k_registry_close(&reg);
	return code == K2K_ENOBUDGET ? fail(ctl, code, "tenant %" PRIu64 ", engagement %" PRIu64, id, engagement) :
	                               fail_tenant(ctl, code, id, false);
}

int cmd_budget_set(struct ctl *ctl)
{
	uint64_t id, engagement, budget_ns;

	if (!arg_tenant_to_change(ctl, ctl->arguments[0], &id) ||
	    !arg_id(ctl, "ENG", ctl->arguments[1], &engagement) ||
	    !arg_duration(ctl, "DUR", ctl->arguments[2], &budget_ns))
		return EXIT_USAGE;
	return budget_change(ctl, id, engagement, budget_ns, false);
}

int cmd_budget_unset(struct ctl *ctl)
{
	uint64_t id, engagement;

	if (!arg_tenant_to_change(ctl, ctl->arguments[0], &id) || !arg_id(ctl, "ENG", ctl->arguments[1], &engagement))
		return EXIT_USAGE;
	return budget_change(ctl, id, engagement, 0, true);
}

static int compare(const void *a, const void *b)
{
	const struct k2k_budget_info *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (x->engagement_id > y->engagement_id) - (x->engagement_id < y->engagement_id);
}

static void print_budgets(struct ctl *ctl, const struct k2k_budget_info *budgets, size_t count)
{
	static const struct field fields[] = {
		{ "tenant", "TENANT", KIND_ID, 0 },
		{ "engagement", "ENGAGEMENT", KIND_ID, 0 },
		{ "budget_ns", "BUDGET", KIND_NS, 0 },
		{ "used_ns", "USED", KIND_NS, 0 },
	};
	struct list list;

	list_begin(&list, ctl, "budgets", fields, 4, NULL, NULL, 0);
	for (size_t i = 0; i < count; i++) {
		struct value values[] = {
			NUMBER(budgets[i].id), NUMBER(budgets[i].engagement_id), NUMBER(budgets[i].budget_ns),
			NUMBER(budgets[i].used_ns),
		};

		if (budgets[i].used_ns >= budgets[i].budget_ns)
			values[3].color = "red";
		list_row(&list, values);
	}
	list_end(&list);
}

int cmd_budget_list(struct ctl *ctl)
{
	struct k2k_budget_info *budgets;
	size_t count;
	int exit_code = fetch_filtered(ctl, LIST_BUDGETS, (void **)&budgets, &count);

	if (exit_code)
		return exit_code;
	qsort(budgets, count, sizeof(*budgets), compare);
	print_budgets(ctl, budgets, count);
	free(budgets);
	return EXIT_DONE;
}
