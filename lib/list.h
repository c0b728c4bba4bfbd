/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * list.h (F5) - FIFO lists of records, for the writer of defs only.
 *
 * A list is derived from the states of the records. A killed writer may leave it in any state, and
 * recovery rebuilds it, so the stores here need no order. A link that leads outside of the table
 * ends the list.
 */
#ifndef K2K_LIST_H
#define K2K_LIST_H

#include "layout.h"

struct k2k_list {
	struct k2k_shm_list *shared;
	unsigned char *next; /* list_next of record 0 */
	size_t stride;
	uint32_t capacity;
};

void k2k_list_clear(const struct k2k_list *list);
void k2k_list_append(const struct k2k_list *list, uint32_t index);
/* These two return false if there is no such record, or the link is corrupt. */
bool k2k_list_first(const struct k2k_list *list, uint32_t *index);
bool k2k_list_next(const struct k2k_list *list, uint32_t index, uint32_t *next);
/* Removes `index`, which follows `previous`; UINT32_MAX: `index` is the first. */
void k2k_list_remove(const struct k2k_list *list, uint32_t previous, uint32_t index);
/* Any process may call this; only the writer gets an exact count. */
uint32_t k2k_list_count(const struct k2k_list *list);

#endif
