/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reserved.h"

#include <stdlib.h>

#define FIRST 16u
#define MOST (UINT32_C(1) << 30)

void k2k_reserved_begin(struct k2k_reserved *table, uint64_t random)
{
	*table = (struct k2k_reserved){ .last = random };
}

void k2k_reserved_end(struct k2k_reserved *table)
{
	free(table->entries);
	*table = (struct k2k_reserved){ .last = table->last };
}

bool k2k_reserved_make_room(struct k2k_reserved *table)
{
	uint32_t capacity = table->capacity ? 2 * table->capacity : FIRST;
	struct k2k_reserved_entry *entries;

	if (k2k_likely(table->unused))
		return true;
	if (capacity > MOST)
		return false;
	entries = realloc(table->entries, sizeof(*entries) * capacity);
	if (!entries)
		return false;
	for (uint32_t i = capacity; i > table->capacity; i--) {
		entries[i - 1] = (struct k2k_reserved_entry){ .next = table->unused };
		table->unused = i;
	}
	table->entries = entries;
	table->capacity = capacity;
	return true;
}

uint64_t k2k_reserved_add(struct k2k_reserved *table, const struct k2k_reserved_entry *entry,
                          uint32_t *place)
{
	struct k2k_reserved_entry *at = &table->entries[table->unused - 1];

	*place = table->unused - 1;
	table->unused = at->next;
	*at = *entry;
	if (++table->last == 0)
		table->last = 1;
	return at->number = table->last;
}

bool k2k_reserved_remove(struct k2k_reserved *table, uint64_t number, uint32_t place,
                         struct k2k_reserved_entry *entry)
{
	if (!k2k_reserved_find(table, number, place))
		return false;
	*entry = table->entries[place];
	table->entries[place].number = 0;
	table->entries[place].next = table->unused;
	table->unused = place + 1;
	return true;
}
