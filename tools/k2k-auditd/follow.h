/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * follow.h - the registry, whether it is there or not
 *
 * Turns what the rings hold into lines: the members of one JSON object each, and a
 * newline. While there is no registry it tries to open one, less and less often.
 */
#ifndef K2K_AUDITD_FOLLOW_H
#define K2K_AUDITD_FOLLOW_H

#include "common/audit_event.h"
#include "util.h"

struct follow;

struct follow *follow_new(const char *registry);
void follow_free(struct follow **follow);

/*
 * Adds what is new from `at` on to `bodies`, which is empty: `at` is where the lines before it lead
 * to. Returns how many lines; 0: nothing now.
 */
size_t follow_read(struct follow *follow, const struct position *at, struct text *bodies);
/*
 * Says in the registry what is kept: all before `kept`; or that it can't be written now. Brings
 * administrators on who wait.
 */
void follow_say(struct follow *follow, const struct position *kept, bool failing);
/* Sleeps until there may be something, or a signal came, or so long. */
void follow_wait(struct follow *follow, uint64_t timeout_ns);
/* Why there is no registry now, a K2K_E... code; 0: there is one. */
int follow_error(const struct follow *follow);

#endif
