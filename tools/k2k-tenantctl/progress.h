/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * progress.h - a progress bar on standard error for work that takes longer than a moment; none with
 * -q, or if standard error is no terminal
 */
#ifndef K2K_TENANTCTL_PROGRESS_H
#define K2K_TENANTCTL_PROGRESS_H

#include "ctl.h"

struct progress {
	const char *what;
	uint64_t total, due_ns;
	size_t steps;
	bool wanted, shown;
};

void progress_begin(struct progress *p, const struct ctl *ctl, const char *what, uint64_t total);
/* Cheap: most calls do nothing. Never waits for a blocked terminal, since a lock may be held. */
void progress_step(struct progress *p, uint64_t done);
/* Erases the bar. May be called twice. */
void progress_end(struct progress *p);

#endif
