/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* budget set, budget unset, budget list */
#include "tenant_change.h"
#include "commands.h"
#include "output.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int would_change(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change,
                        struct would *w)
{
	bool set = change->budget_ns != K2K_UNLIMITED, there = false;
	struct k2k_budget_info *budgets;
	char unit[UNITS_TEXT];
	size_t count;
	int code = fetch_list(reg, LIST_BUDGETS, id, (void **)&budgets, &count);

	if (code)
		return code;
	for (size_t i = 0; i < count && !there; i++)
		there = budgets[i].engagement_id == change->engagement;
	free(budgets);
	if (!set && !there && !change->if_missing)
		return K2K_ENOBUDGET;
	w->action = set ? "set" : there ? "unset" : "change";
	if (set)
		snprintf(w->text, sizeof(w->text),
		         "budget of tenant %" PRIu64 ", engagement %" PRIu64 " to %s", id,
		         change->engagement,
		         units_print_renewing(unit, change->budget_ns, change->renewal));
	else if (there)
		snprintf(w->text, sizeof(w->text),
		         "budget of tenant %" PRIu64 ", engagement %" PRIu64, id,
		         change->engagement);
	else
		snprintf(w->text, sizeof(w->text),
		         "nothing: tenant %" PRIu64 " has no budget for engagement %" PRIu64, id,
		         change->engagement);
	return 0;
}

/* Sets or unsets a budget. Setting it to unlimited removes it, if there is one. */
static int change_one(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change)
{
	const struct k2k_budget unlimited = { change->engagement, K2K_UNLIMITED };
	struct k2k_quota quota = K2K_QUOTA_STANDARD;

	if (change->budget_ns != K2K_UNLIMITED)
		return k2k_budget_set_renewing(reg, id, change->engagement, change->budget_ns,
		                               change->renewal);
	if (!change->if_missing)
		return k2k_budget_unset(reg, id, change->engagement);
	quota.budgets = &unlimited;
	quota.budget_count = 1;
	return k2k_tenant_update(reg, id, &quota, K2K_UPDATE_BUDGETS);
}

static int change_budget(struct ctl *ctl, k2k_tenant_id id, const struct change *change)
{
	return ctl->dry_run ? change_dry_run(ctl, &id, 1, change, would_change)
	                    : change_tenants(ctl, &id, 1, change);
}

int cmd_budget_set(struct ctl *ctl)
{
	struct change change = { .call = change_one, .if_missing = true };
	uint64_t id;

	if (!arg_tenant_to_change(ctl, ctl->arguments[0], &id) ||
	    !arg_id(ctl, "ENG", ctl->arguments[1], &change.engagement) ||
	    !arg_renewing(ctl, "DUR", ctl->arguments[2], &change.budget_ns, &change.renewal))
		return EXIT_USAGE;
	return change_budget(ctl, id, &change);
}

int cmd_budget_unset(struct ctl *ctl)
{
	struct change change = { .call = change_one, .budget_ns = K2K_UNLIMITED };
	uint64_t id;

	if (!arg_tenant_to_change(ctl, ctl->arguments[0], &id) ||
	    !arg_id(ctl, "ENG", ctl->arguments[1], &change.engagement))
		return EXIT_USAGE;
	return change_budget(ctl, id, &change);
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
	struct list list;

	list_begin(&list, ctl, &budgets_table, NULL);
	for (size_t i = 0; i < count; i++) {
		struct value values[COL_BUDGET_COUNT] = {
			[COL_BUDGET_TENANT] = NUMBER(budgets[i].id),
			[COL_BUDGET_ENGAGEMENT] = NUMBER(budgets[i].engagement_id),
			[COL_BUDGET_BUDGET] = NUMBER(budgets[i].budget_ns),
			[COL_BUDGET_USED] = NUMBER(budgets[i].used_ns),
			[COL_BUDGET_RESERVED] = NUMBER(budgets[i].reserved_ns),
			[COL_BUDGET_RENEWAL] = TEXT(units_renewal_name(budgets[i].renewal)),
			[COL_BUDGET_PERIOD] = NUMBER(budgets[i].period),
			[COL_BUDGET_BEGAN] = NUMBER(UINT64_MAX),
			[COL_BUDGET_RENEWS] = NUMBER(UINT64_MAX),
			[COL_BUDGET_CORRECTED] = NUMBER((uint64_t)budgets[i].corrected_ns),
			[COL_BUDGET_ALERTED] = NUMBER(budgets[i].alerted),
		};

		if (budgets[i].period) {
			values[COL_BUDGET_BEGAN] = NUMBER(budgets[i].began_at_ns);
			values[COL_BUDGET_RENEWS] = NUMBER(budgets[i].renews_at_ns);
		}
		if (budgets[i].used_ns >= budgets[i].budget_ns)
			values[COL_BUDGET_USED].color = "red";
		else if (budgets[i].reserved_ns >= budgets[i].budget_ns - budgets[i].used_ns)
			values[COL_BUDGET_RESERVED].color = "red";
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
