/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * list.h (F5) - first in, first out, of records that only the writer of defs touches.
 *
 * Derived data: a killed writer may leave a list in any state; recovery
 * rebuilds it from the records' own states. So nothing here is ordered, and no
 * link is followed further than the table is long.
 */
#ifndef K2K_LIST_H
#define K2K_LIST_H

#include "layout.h"

struct k2k_list {
	struct k2k_shm_list *shared;
	unsigned char *next; /* the first record's list_next */
	size_t stride;
	uint32_t capacity;
};

void k2k_list_clear(const struct k2k_list *list);
void k2k_list_append(const struct k2k_list *list, uint32_t index);
/* The first, or false where it is empty or damaged. */
bool k2k_list_first(const struct k2k_list *list, uint32_t *index);
bool k2k_list_next(const struct k2k_list *list, uint32_t index, uint32_t *next);
/* Takes out `index`, which follows `previous` (UINT32_MAX: it is the first). */
void k2k_list_remove(const struct k2k_list *list, uint32_t previous, uint32_t index);
uint32_t k2k_list_count(const struct k2k_list *list);

#endif
