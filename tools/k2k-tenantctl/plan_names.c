/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* plan_names.c - names of tenants in a plan: no two have one, and some move between tenants */
#include "plan_names.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct named {
	const char *name;
	k2k_tenant_id id;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

/* The names of the document's entries, and of the tenants that the plan leaves alone; sorted. */
static struct named *names_after(const struct plan *plan, const struct document *d, bool pruned,
                                 size_t *count)
{
	struct named *list = check_memory(calloc(plan->now.count + d->count + 1, sizeof(*list)));

	*count = 0;
	for (size_t e = 0; e < d->count; e++)
		if (d->entries[e].name[0])
			list[(*count)++] = (struct named){ d->entries[e].name, d->entries[e].id };
	for (size_t t = 0, e = 0; t < plan->now.count && !pruned; t++) {
		const struct k2k_tenant_info *info = &plan->now.rows[t].info;

		while (e < d->count && d->entries[e].id < info->id)
			e++;
		if ((e == d->count || d->entries[e].id != info->id) && info->name[0])
			list[(*count)++] = (struct named){ info->name, info->id };
	}
	if (*count)
		qsort(list, *count, sizeof(*list), by_name);
	return list;
}

int plan_check_names(struct ctl *ctl, const struct document *d, const struct plan *plan)
{
	size_t count;
	struct named *list = names_after(plan, d, plan->of[DEREGISTER] > 0, &count);
	int exit_code = 0;

	for (size_t i = 1; i < count && !exit_code; i++)
		if (by_name(&list[i - 1], &list[i]) == 0)
			exit_code = fail_with(ctl, K2K_EEXIST,
			                      "%s: tenants %" PRIu64 " and %" PRIu64
			                      " would both have the name '%s'; nothing was changed",
			                      d->name, list[i - 1].id, list[i].id, list[i].name);
	free(list);
	return exit_code;
}

/* Does another tenant have this name afterwards? */
static bool moves(const struct named *list, size_t count, const struct k2k_tenant_info *info)
{
	const struct named key = { info->name, info->id }, *found;

	found = count && info->name[0] ? bsearch(&key, list, count, sizeof(*list), by_name) : NULL;
	return found && found->id != info->id;
}

int plan_free_names(struct k2k_registry *reg, const struct document *d, const struct plan *plan,
                    k2k_tenant_id *id)
{
	const struct k2k_quota quota = K2K_QUOTA_STANDARD;
	size_t count;
	struct named *list = names_after(plan, d, true, &count);
	int code = 0;

	for (size_t i = 0; i < plan->count && !code; i++) {
		const struct step *s = &plan->steps[i];

		if (s->action != UPDATE || !moves(list, count, &plan->now.rows[s->tenant].info))
			continue;
		*id = plan_id(plan, s);
		code = k2k_tenant_update(reg, *id, &quota, K2K_UPDATE_NAME);
	}
	free(list);
	return code;
}
