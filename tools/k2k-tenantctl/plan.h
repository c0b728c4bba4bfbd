/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plan.h - the steps that make a registry's tenants those of a document, for apply and diff.
 * Nothing here changes the registry.
 */
#ifndef K2K_TENANTCTL_PLAN_H
#define K2K_TENANTCTL_PLAN_H

#include "document.h"
#include "tenant_limits.h"

enum action { REGISTER, UPDATE, DEREGISTER };

struct step {
	enum action action;
	const struct entry *entry; /* null: DEREGISTER */
	size_t tenant;             /* index in the plan's tenants; unused for REGISTER */
};

struct plan {
	struct tenants now;
	struct step *steps;             /* by id */
	size_t count, unchanged, of[3]; /* of: number of steps by action */
};

/* The functions that return int report failures and return 0 or the exit code. */
int plan_make(struct ctl *ctl, struct k2k_registry *reg, const struct document *d, bool prune,
              struct plan *plan);
/* The same with plan->now as it is, in the order of ids. */
void plan_compare(const struct document *d, bool prune, struct plan *plan);
void plan_free(struct plan *plan);
/*
 * Checks that the result fits. A stopped broker holds up the reuse of everything that was or will
 * be given up: if there is one, only what is free now counts.
 */
int plan_check_room(struct ctl *ctl, struct k2k_registry *reg, const struct document *d,
                    const struct plan *plan);
/* Checks that it does not prune too many tenants, and that the document is complete. */
int plan_check_prune(struct ctl *ctl, const struct document *d, const struct plan *plan);
/* Notes if the document is an export of another registry. */
void plan_note_origin(struct ctl *ctl, struct k2k_registry *reg, const struct document *d);

k2k_tenant_id plan_id(const struct plan *plan, const struct step *s);
void plan_changes(const struct plan *plan, const struct document *d, const struct step *s,
                  struct limit_changes *changes);
/*
 * Registers or updates a tenant, by one call for everything that differs; removes budgets that the
 * entry does not name. Returns a K2K_E... code. In plan_carry_out.c.
 */
int plan_carry_out(struct k2k_registry *reg, const struct plan *plan, const struct document *d,
                   const struct step *s);
/* The same, but a tenant that is registered gets this generation, which the registry must not have
 * passed: K2K_EINVAL. now_ns: since 1970. */
int plan_carry_out_as(struct k2k_registry *reg, const struct plan *plan, const struct document *d,
                      const struct step *s, uint64_t generation, uint64_t now_ns);
/* Prints one line or object per difference; `flag` is the JSON field that says what the list is. */
void plan_print(struct ctl *ctl, const struct plan *plan, const struct document *d,
                const char *flag, bool value, const char *verb);

#endif
