/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "outcomes.h"

#include <search.h>
#include <stdlib.h>

const char *const outcome_reasons[] = { "rate", "kernels", "budget", "unknown_tenant" };

static int compare(const void *a, const void *b)
{
	const struct outcome *x = a, *y = b;

	if (x->tenant != y->tenant)
		return x->tenant < y->tenant ? -1 : 1;
	if (x->reason != y->reason)
		return (int)x->reason - (int)y->reason;
	return x->engagement < y->engagement ? -1 : x->engagement > y->engagement;
}

static int compare_places(const void *a, const void *b)
{
	return compare(*(struct outcome *const *)a, *(struct outcome *const *)b);
}

struct outcome *outcome_find(const struct outcomes *outcomes, k2k_tenant_id tenant,
                             enum reason reason, uint64_t engagement)
{
	struct outcome key = { .tenant = tenant, .reason = reason, .engagement = engagement };
	struct outcome **found = tfind(&key, &outcomes->tree, compare);

	return found ? *found : NULL;
}

struct outcome *outcome_of(struct outcomes *outcomes, k2k_tenant_id tenant, enum reason reason,
                           uint64_t engagement)
{
	struct outcome key = { .tenant = tenant, .reason = reason, .engagement = engagement };
	struct outcome *found = outcome_find(outcomes, tenant, reason, engagement), *added;

	if (found)
		return found;
	if (outcomes->count == outcomes->room) {
		outcomes->room = outcomes->room ? 2 * outcomes->room : 64;
		outcomes->list = check_memory(
			realloc(outcomes->list, outcomes->room * sizeof(*outcomes->list)));
	}
	added = check_memory(malloc(sizeof(*added)));
	*added = key;
	check_memory(tsearch(added, &outcomes->tree, compare));
	outcomes->list[outcomes->count++] = added;
	return added;
}

void outcomes_sort(struct outcomes *outcomes)
{
	if (outcomes->count)
		qsort(outcomes->list, outcomes->count, sizeof(*outcomes->list), compare_places);
}

void outcomes_free(struct outcomes *outcomes)
{
	for (size_t i = 0; i < outcomes->count; i++) {
		tdelete(outcomes->list[i], &outcomes->tree, compare);
		free(outcomes->list[i]);
	}
	free(outcomes->list);
	*outcomes = (struct outcomes){ 0 };
}
