/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * definitions.h (F7) - one change of the definitions, from the public call to its commit store.
 *
 * The call checks what it is given and copies it into struct k2k_change, once: the attempts, the
 * event in the trail and the application's sink all read this copy. An attempt runs under the
 * writer's lock. If the room that it needs becomes free only after a grace period, the call
 * releases the lock, waits, and makes another attempt.
 */
#ifndef K2K_DEFINITIONS_H
#define K2K_DEFINITIONS_H

#include "change.h"
#include "tenant.h"

/* A budget that the caller gives, and what the attempt did with it. */
struct k2k_given_budget {
	struct k2k_budget budget;
	uint32_t number;  /* its place in the caller's list */
	uint32_t renewal; /* enum k2k_budget_renewal */
	uint32_t ended;   /* index + 1 of the budget record that it ends; 0: none */
	bool keeps;       /* it has the period record of the budget that it ends */
	bool changed;     /* it differs from the budget before */
	uint32_t every;   /* of one that was set: how often it renews, enum k2k_every */
};

struct k2k_change {
	/* the call, constant from the first attempt on */
	struct k2k_registry *reg;
	enum k2k_operation operation;
	const char *verb; /* for the sink: "tenant 7 VERB" */
	k2k_tenant_id id;
	uint32_t mask;                        /* K2K_UPDATE_...: what the caller names */
	struct k2k_limits limits;             /* used as far as `mask` names them */
	uint32_t budget_count;                /* 0 unless `mask` names budgets */
	struct k2k_given_budget *budgets;     /* sorted by engagement, each engagement once */
	const struct k2k_tenant_image *image; /* of a restore, else null */

	/* the attempt */
	uint32_t slot;
	uint64_t generation;
	uint32_t changed;    /* K2K_UPDATE_...: what differs from before */
	bool lowered;        /* a rate, or it is of another kind; kernels or GPU memory */
	bool undo;           /* something was stored: if the attempt fails, recovery undoes it */
	const char *full;    /* with K2K_CHANGE_WAIT: the table that has no room */
	uint64_t wait_token; /* with K2K_CHANGE_WAIT */
};

/* ---- definitions.c ---- */

/* 0, or K2K_EUNSPECIFIED. */
int k2k_change_check_id(k2k_tenant_id id);
/* Fills slot and generation. 0, K2K_ENOTENANT, K2K_ECORRUPT. */
int k2k_change_find_live(struct k2k_change *change);
/*
 * Frees the retired records whose grace period has passed. That takes a sweep of the ledger, so
 * within a batch it is done only if there is no room, and once at the end of the batch.
 */
int k2k_change_reap(struct k2k_change *change);

/* ---- definitions_budgets.c ---- */

/*
 * Copies the caller's budgets. If an engagement has several, the last one counts. 0, K2K_ENOMEM.
 */
int k2k_change_take_budgets(struct k2k_change *change, const struct k2k_quota *quota);
/*
 * Adds the budgets, to be in force from `version` on, and ends those that they replace. `version`
 * itself is not in force yet. 0, K2K_EFULL, K2K_CHANGE_WAIT, K2K_ENOMEM, K2K_ECORRUPT.
 */
int k2k_change_budgets(struct k2k_change *change, uint64_t version);
/* 0; K2K_EINVAL: no registry has such periods, or a null pointer. */
int k2k_change_check_periods(const struct k2k_tenant_image *image);
/* Stores the periods of the image; the tenant's budgets and costs are there. 0, K2K_ECORRUPT. */
int k2k_change_restore_periods(struct k2k_change *change);
/* Call it after the version has come into force: retires the budgets that ended with it. */
int k2k_change_retire_ended(struct k2k_change *change);
/*
 * After the change and its events: reports each budget that has reached a threshold, because it was
 * lowered, or because the threshold is new.
 */
void k2k_change_watch_budgets(const struct k2k_change *change);
/*
 * The ledger record of an engagement. As k2k_ledger_obtain(); if that meets damage, the damage is
 * cut out and the search repeated.
 */
int k2k_change_obtain_record(struct k2k_change *change, uint64_t engagement, uint32_t *record);
/*
 * `table` is full. waiting: some of its records are retired and will become free. Returns
 * K2K_CHANGE_WAIT, with full and wait_token set; or K2K_EFULL.
 */
int k2k_change_full(struct k2k_change *change, const char *table, bool waiting);

/* ---- definitions_audit.c ---- */

/* Under the writer's lock, after the commit store: the events of a register or an update. */
void k2k_change_append_events(const struct k2k_change *change);
/*
 * After the lock: the application's sink, until k2k_audit_leave(). Null: there is none, or the
 * handle was closed or fenced meanwhile.
 */
struct k2k_sink *k2k_change_enter_sink(struct k2k_registry *reg);
/* Reports a register or an update to it. */
void k2k_change_call_sink(const struct k2k_change *change);

#endif
