/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * plan.h - what makes a registry's tenants those of a document: for apply and diff. Nothing here
 * changes anything.
 */
#ifndef K2K_TENANTCTL_PLAN_H
#define K2K_TENANTCTL_PLAN_H

#include "document.h"
#include "tenant_limits.h"

enum action { REGISTER, UPDATE, DEREGISTER };

struct step {
	enum action action;
	const struct entry *entry; /* null: DEREGISTER */
	size_t tenant;             /* in the plan's tenants, but for REGISTER */
};

struct plan {
	struct tenants now;
	struct step *steps;             /* by id */
	size_t count, unchanged, of[3]; /* of: by action */
};

/* Each returns 0 or the exit code, with the failure told. */
int plan_make(struct ctl *ctl, struct k2k_registry *reg, const struct document *d, bool prune,
              struct plan *plan);
void plan_free(struct plan *plan);
/*
 * Is there room for all of it? A broker that is stopped keeps everything from reuse that was or
 * will be given up: then only what is free now counts.
 */
int plan_check_room(struct ctl *ctl, struct k2k_registry *reg, const struct document *d,
                    const struct plan *plan);
/* May it prune so many by this document? */
int plan_check_prune(struct ctl *ctl, const struct document *d, const struct plan *plan);
/* Says, and no more, that the document is an export of another registry. */
void plan_note_origin(struct ctl *ctl, struct k2k_registry *reg, const struct document *d);

k2k_tenant_id plan_id(const struct plan *plan, const struct step *s);
void plan_changes(const struct plan *plan, const struct document *d, const struct step *s,
                  struct limit_changes *changes);
/* Every difference a line or an object; `flag` is the JSON field that says what this list is. */
void plan_print(struct ctl *ctl, const struct plan *plan, const struct document *d,
                const char *flag, bool value, const char *verb);

#endif
