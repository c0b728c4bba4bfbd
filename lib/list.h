/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * list.h (F5) - FIFO lists of records, for the writer of defs only.
 *
 * A list is derived from the states of the records. A killed writer may leave it in any state;
 * recovery rebuilds it. So no store here is ordered, and a link that leads outside of the table
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
/* False: there is none, or the link is corrupt. */
bool k2k_list_first(const struct k2k_list *list, uint32_t *index);
bool k2k_list_next(const struct k2k_list *list, uint32_t index, uint32_t *next);
/* Removes `index`, which follows `previous` (UINT32_MAX: it is the first). */
void k2k_list_remove(const struct k2k_list *list, uint32_t previous, uint32_t index);
/* For any process; exact only for the writer. */
uint32_t k2k_list_count(const struct k2k_list *list);

#endif
