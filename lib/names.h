/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * names.h (F7) - which tenant has a name, and that no two have the same.
 *
 * A name is part of a tenant's set of limits, so a change of it is part of the same store. Nothing
 * in shared memory leads from a name to its tenant: a search looks at each tenant. That takes some
 * milliseconds with 100,000 tenants, and leaves nothing to repair after a kill. In a batch, where
 * names are given to many, the first search makes a table of all names in private memory; nobody
 * else changes a name before the batch ends. An entry of the table only says which tenant to look
 * at, so an entry of a name that is gone does no harm.
 */
#ifndef K2K_NAMES_H
#define K2K_NAMES_H

#include "handle.h"
#include "tenant.h"

/* Checks a caller's name, and fills in its words. 0 or K2K_EINVAL. */
int k2k_name_take(uint64_t words[K2K_NAME_WORDS], const char *name);

/* For the writer. True: a tenant in another slot than `except` has the name. */
bool k2k_name_is_taken(struct k2k_registry *reg, const uint64_t words[K2K_NAME_WORDS],
                       uint32_t except, k2k_tenant_id *id);
/* For the writer: the tenant in this slot has a new name. */
void k2k_name_note(struct k2k_registry *reg, uint32_t slot, const uint64_t words[K2K_NAME_WORDS]);
/* The batch ends: others may change names from now on. */
void k2k_names_forget(struct k2k_registry *reg);

#endif
