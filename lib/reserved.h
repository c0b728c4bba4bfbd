/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * reserved.h (F5) - the reservations that a broker's handle has open, in private memory.
 *
 * A reservation ends exactly once: whoever removes its entry books or frees it, and a second commit
 * or cancel finds no entry. A number is never given to two reservations, so a copy of the caller's
 * struct is recognised as ended for ever. The first number of a handle is random, so that a struct
 * of another handle or process is not taken for one of this.
 *
 * The table dies with its process, as the reservations do. It is used under the lock of
 * reservations (lease.h).
 */
#ifndef K2K_RESERVED_H
#define K2K_RESERVED_H

#include "base.h"

struct k2k_reserved_entry {
	uint64_t number; /* 0: unused */
	uint64_t id, generation, engagement;
	uint64_t amount_ns;
	uint32_t slot;   /* the tenant's */
	uint32_t ledger; /* index of the engagement's record */
	uint32_t lease;  /* index of the lease record that holds it */
	uint32_t next;   /* while unused: index + 1 of the next unused entry */
};

struct k2k_reserved {
	struct k2k_reserved_entry *entries;
	uint32_t capacity, unused; /* index + 1 of the first unused entry */
	uint64_t last;             /* the newest number */
};

/* For a broker that has just attached. */
void k2k_reserved_begin(struct k2k_reserved *table, uint64_t random);
void k2k_reserved_end(struct k2k_reserved *table);
/* Makes sure that the next k2k_reserved_add() finds room. False: no memory. */
bool k2k_reserved_make_room(struct k2k_reserved *table);
/* Stores the entry under a new number, which it returns, at *place. */
uint64_t k2k_reserved_add(struct k2k_reserved *table, const struct k2k_reserved_entry *entry,
                          uint32_t *place);
/* The entry of that number, until the table changes. Null: there is none, or no longer. */
static inline const struct k2k_reserved_entry *k2k_reserved_find(const struct k2k_reserved *table,
                                                                 uint64_t number, uint32_t place)
{
	return number != 0 && place < table->capacity && table->entries[place].number == number
	               ? &table->entries[place]
	               : NULL;
}

/* Removes the entry of that number. False: there is none, or no longer. */
bool k2k_reserved_remove(struct k2k_reserved *table, uint64_t number, uint32_t place,
                         struct k2k_reserved_entry *entry);

#endif
