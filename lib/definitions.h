/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * definitions.h (F7) - what definitions.c and deregister.c share of a change.
 */
#ifndef K2K_DEFINITIONS_H
#define K2K_DEFINITIONS_H

#include "change.h"

struct numbered {
	struct k2k_budget budget;
	uint32_t number;
};

/* One attempt at a change, under the lock. */
struct k2k_change {
	struct k2k_registry *reg;
	k2k_tenant_id id;
	const struct k2k_quota *quota;
	uint32_t mask;
	bool undo;           /* something was changed: what fails now is undone */
	const char *full;    /* with WAIT and K2K_EFULL: the table */
	uint64_t wait_token; /* with WAIT */
	uint32_t slot;
	uint64_t generation;
	const struct k2k_tenant_image *image; /* of a restore, else null */
	/* K2K_UPDATE_...: of what the caller named, what is not as it was; that is told */
	uint32_t changed;
	struct numbered *list; /* the budgets that are not as they were, by engagement */
	uint32_t count;
};

/* 0, or K2K_EUNSPECIFIED. */
int k2k_change_check_id(k2k_tenant_id id);
/* Fills slot and generation. 0, K2K_ENOTENANT, K2K_ECORRUPT. */
int k2k_change_find_live(struct k2k_change *change);
/*
 * Frees what was retired and has passed. In a batch, only where there is no room: it takes a sweep,
 * which is due once.
 */
int k2k_change_reap(struct k2k_change *change);
/* Tells the application's sink, after the change: "tenant 7 VERB". */
void k2k_change_audit(struct k2k_change *change, const char *verb, uint32_t mask);

#endif
