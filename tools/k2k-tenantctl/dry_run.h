/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* dry_run.h - what --dry-run prints: one line or object per change that would be made */
#ifndef K2K_TENANTCTL_DRY_RUN_H
#define K2K_TENANTCTL_DRY_RUN_H

#include "output.h"

void dryrun_begin(struct list *list, struct ctl *ctl);
/* `text` completes "would ACTION ...". `tenant` is null if the change is to the registry. */
void dryrun_row(struct list *list, const char *action, const k2k_tenant_id *tenant,
                const char *text, ...) __attribute__((format(printf, 4, 5)));
void dryrun_end(struct list *list);

/* Begins, prints one row about the registry, and ends. Returns EXIT_DONE. */
int dryrun_one(struct ctl *ctl, const char *action, const char *text);

#endif
