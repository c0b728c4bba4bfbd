/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * commands.h - the commands: each reads its arguments and options from ctl, returns the exit code
 */
#ifndef K2K_TENANTCTL_COMMANDS_H
#define K2K_TENANTCTL_COMMANDS_H

#include "ctl.h"

/* cmd_registry.c */
int cmd_init(struct ctl *ctl);
int cmd_info(struct ctl *ctl);
int cmd_destroy(struct ctl *ctl);
/* cmd_version.c */
int cmd_version(struct ctl *ctl);
/* cmd_check.c */
int cmd_check(struct ctl *ctl);
int cmd_repair(struct ctl *ctl);
/* cmd_tenant.c */
int cmd_register(struct ctl *ctl);
int cmd_update(struct ctl *ctl);
int cmd_deregister(struct ctl *ctl);
int cmd_suspend(struct ctl *ctl);
int cmd_resume(struct ctl *ctl);
int cmd_exists(struct ctl *ctl);
/* cmd_list.c */
int cmd_list(struct ctl *ctl);
int cmd_show(struct ctl *ctl);
/* cmd_metrics.c, cmd_stat.c */
int cmd_metrics(struct ctl *ctl);
int cmd_stat(struct ctl *ctl);
/* cmd_top.c */
int cmd_top(struct ctl *ctl);
/* cmd_budget.c */
int cmd_budget_set(struct ctl *ctl);
int cmd_budget_unset(struct ctl *ctl);
int cmd_budget_list(struct ctl *ctl);
/* cmd_correct.c */
int cmd_budget_renew(struct ctl *ctl);
int cmd_budget_history(struct ctl *ctl);
int cmd_usage_correct(struct ctl *ctl);
/* cmd_usage.c */
int cmd_usage(struct ctl *ctl);
int cmd_quota(struct ctl *ctl);
/* cmd_explain.c */
int cmd_explain(struct ctl *ctl);
/* cmd_registries.c */
int cmd_registries(struct ctl *ctl);
/* cmd_brokers.c */
int cmd_brokers(struct ctl *ctl);
int cmd_leases(struct ctl *ctl);
/* cmd_kernels.c */
int cmd_kernels(struct ctl *ctl);
/* cmd_audit_tail.c, cmd_audit_stats.c */
int cmd_audit_tail(struct ctl *ctl);
int cmd_audit_stats(struct ctl *ctl);
/* cmd_audit_verify.c */
int cmd_audit_verify(struct ctl *ctl);

/* document_write.c */
int cmd_export(struct ctl *ctl);
/* cmd_apply.c */
int cmd_apply(struct ctl *ctl);
int cmd_diff(struct ctl *ctl);
/* cmd_what_if.c */
int cmd_what_if(struct ctl *ctl);
/* cmd_save.c */
int cmd_save(struct ctl *ctl);
int cmd_load(struct ctl *ctl);
/* help.c */
int cmd_help(struct ctl *ctl);
/* completion.c */
int cmd_completion(struct ctl *ctl);

#endif
