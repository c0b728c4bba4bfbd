/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit_time.h - the times of --since and --until, by both clocks
 *
 * An event has the time of day and the monotonic time. Setting the time of day makes events seem
 * older or newer than they are, and the monotonic clock stops while the machine sleeps. So an event
 * is left out only if both clocks agree.
 */
#ifndef K2K_TENANTCTL_AUDIT_TIME_H
#define K2K_TENANTCTL_AUDIT_TIME_H

#include "ctl.h"

struct when {
	uint64_t wall_ns; /* since 1970 */
	uint64_t monotonic_ns;
};

/*
 * "10m" means ten minutes ago. A date is like "2026-11-29T18:00:00Z"; it may have a space instead
 * of the T, lack seconds or the whole time, and end like +01:00. Without a zone it is UTC.
 */
bool when_parse(struct ctl *ctl, const char *option, const char *text, struct when *when);
/* Only a date. False: it is none; nothing is reported. */
bool when_parse_date(const char *text, uint64_t *wall_ns);
bool when_is_before(const struct k2k_audit_record *record, const struct when *when);
bool when_is_after(const struct k2k_audit_record *record, const struct when *when);

#endif
