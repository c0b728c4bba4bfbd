/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* top.h - the two forms of `top`; each returns the exit code */
#ifndef K2K_TENANTCTL_TOP_H
#define K2K_TENANTCTL_TOP_H

#include "ctl.h"

/* top_frame.c: prints one interval, in the form that was asked for. */
int top_frame(struct ctl *ctl, struct k2k_registry *reg, uint64_t interval_ns);
/*
 * top_screen.c: runs on the terminal until the user or a signal ends it. *ended_by is that signal,
 * which the caller raises again at the end, or 0.
 */
int top_screen(struct ctl *ctl, struct k2k_registry *reg, uint64_t interval_ns, int *ended_by);

#endif
