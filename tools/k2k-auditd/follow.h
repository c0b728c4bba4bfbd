/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * follow.h - reads the audit rings of a registry
 *
 * Turns events into bodies (bodies.h). If there is no registry, it tries to open one again and
 * again, at growing intervals.
 */
#ifndef K2K_AUDITD_FOLLOW_H
#define K2K_AUDITD_FOLLOW_H

#include "bodies.h"
#include "common/audit_event.h"

struct follow;

struct follow *follow_new(const char *registry);
void follow_free(struct follow **follow);

/*
 * Writes a body for each event from position `at` on. Returns how many; 0: there are none now.
 */
size_t follow_read(struct follow *follow, const struct position *at, FILE *out);
/*
 * Reports to the registry that all events before `kept` are kept, or that they can't be written
 * now. Administrators that wait for room in a ring go on.
 */
void follow_report(struct follow *follow, const struct position *kept, bool failing);
/* Sleeps until there may be events, a signal comes, or the time is over. */
void follow_wait(struct follow *follow, uint64_t timeout_ns);
/* The K2K_E... code for which there is no registry now; 0: there is one. */
int follow_error(const struct follow *follow);

#endif
