/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit_time.h - times that --since and --until name, by both clocks
 *
 * An event has the time of day and the monotonic time. The time of day may have been set since, so
 * that an event seems older or newer than it is; the monotonic clock stands while the machine
 * sleeps. So an event is left out only if both say so.
 */
#ifndef K2K_TENANTCTL_AUDIT_TIME_H
#define K2K_TENANTCTL_AUDIT_TIME_H

#include "ctl.h"

struct when {
	uint64_t wall_ns; /* since 1970 */
	uint64_t monotonic_ns;
};

/*
 * "10m" is so long ago; "2026-11-29T18:00:00Z", with a space for the T, shorter from the right, or
 * with +01:00 for the Z: UTC unless given.
 */
bool when_parse(struct ctl *ctl, const char *option, const char *text, struct when *when);
bool when_is_before(const struct k2k_audit_record *record, const struct when *when);
bool when_is_after(const struct k2k_audit_record *record, const struct when *when);

#endif
