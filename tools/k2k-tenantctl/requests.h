/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * requests.h - requests of the past, for what-if: from a table, or from a log of k2k-auditd
 */
#ifndef K2K_TENANTCTL_REQUESTS_H
#define K2K_TENANTCTL_REQUESTS_H

#include "ctl.h"

struct request {
	uint64_t at_ns; /* since 1970 */
	k2k_tenant_id tenant;
	struct k2k_audit_tag tag;
	uint64_t gpu_ns;
	uint64_t count; /* so many equal ones at that time */
};

struct requests {
	struct request *list; /* by time; equal times in the order of the file */
	size_t count, room;
};

/*
 * Reads CSV with a header; "-" is standard input. Columns, in any order; others are ignored:
 *
 *   time        or gmt_create: a date in UTC, or seconds since 1970
 *   tenant      or groupId: an id; G and a number n mean n + 1, since 0 is no tenant
 *   engagement  or checkpoint_model_version_id: likewise with M; may be missing or empty: 0
 *   org         may be missing or empty: 0
 *   gpu_time    or exec_time_seconds: seconds, or a duration as 1m30s; may be missing or empty: 0
 *
 * Each returns 0, or the exit code of a failure that it has reported with its line.
 */
int requests_read_table(struct ctl *ctl, const char *path, struct requests *requests);
/*
 * Reads the log of k2k-auditd. It has only requests that a limit of messages or a budget refused;
 * *others counts the rest of its events.
 */
int requests_read_log(struct ctl *ctl, const char *path, struct requests *requests,
                      uint64_t *others);
void requests_free(struct requests *requests);

#endif
