/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "list.h"

/*
 * relaxed everywhere: only the writer stores these words and follows the links; other processes
 * load only the count, for diagnostics
 */

static k2k_u32 *link_of(const struct k2k_list *list, uint32_t index)
{
	return (k2k_u32 *)(void *)(list->next + list->stride * index);
}

static bool follow(const struct k2k_list *list, uint32_t link, uint32_t *index)
{
	if (link == 0 || link > list->capacity)
		return false;
	*index = link - 1;
	return true;
}

void k2k_list_clear(const struct k2k_list *list)
{
	k2k_store_relaxed(&list->shared->head, 0);
	k2k_store_relaxed(&list->shared->tail, 0);
	k2k_store_relaxed(&list->shared->count, 0);
	list->shared->reserved = 0;
}

void k2k_list_append(const struct k2k_list *list, uint32_t index)
{
	uint32_t tail = k2k_load_relaxed(&list->shared->tail), last;

	k2k_store_relaxed(link_of(list, index), 0);
	if (follow(list, tail, &last))
		k2k_store_relaxed(link_of(list, last), index + 1);
	else
		k2k_store_relaxed(&list->shared->head, index + 1);
	k2k_store_relaxed(&list->shared->tail, index + 1);
	k2k_store_relaxed(&list->shared->count, k2k_load_relaxed(&list->shared->count) + 1);
}

bool k2k_list_first(const struct k2k_list *list, uint32_t *index)
{
	return follow(list, k2k_load_relaxed(&list->shared->head), index);
}

bool k2k_list_next(const struct k2k_list *list, uint32_t index, uint32_t *next)
{
	return follow(list, k2k_load_relaxed(link_of(list, index)), next);
}

void k2k_list_remove(const struct k2k_list *list, uint32_t previous, uint32_t index)
{
	uint32_t after = k2k_load_relaxed(link_of(list, index));

	if (previous == UINT32_MAX)
		k2k_store_relaxed(&list->shared->head, after);
	else
		k2k_store_relaxed(link_of(list, previous), after);
	if (after == 0)
		k2k_store_relaxed(&list->shared->tail, previous == UINT32_MAX ? 0 : previous + 1);
	k2k_store_relaxed(&list->shared->count, k2k_load_relaxed(&list->shared->count) - 1);
}

uint32_t k2k_list_count(const struct k2k_list *list)
{
	return k2k_load_relaxed(&list->shared->count);
}
