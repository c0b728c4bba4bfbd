/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rates.h - the rate of a tenant: so many messages in each window of a period, or a bucket, or
 * this host's share of a rate over many hosts
 */
#ifndef K2K_TENANTCTL_RATES_H
#define K2K_TENANTCTL_RATES_H

#include "ctl.h"

struct rate {
	uint64_t number, burst;  /* number: UINT64_MAX is unlimited; burst: of a bucket, else 0 */
	uint32_t period, policy; /* enum k2k_rate_period, enum k2k_rate_policy */
	uint64_t alone;          /* of a share: messages a second while no shares hold; else 0 */
	bool shared;
	bool fleet; /* in definitions of a fleet: it is one for all hosts */
};

struct rate rate_of_tenant(const struct k2k_tenant_info *info);
struct rate rate_of_quota(const struct k2k_quota *quota);
void rate_into_quota(struct rate rate, struct k2k_quota *quota);
/* The period of an unlimited window makes no difference. */
bool rate_same(const struct rate *a, const struct rate *b);
/* Whether a number per second says all of it: a window of a second, or unlimited; no share. */
bool rate_is_plain(const struct rate *rate);

#define RATE_TEXT 96
/*
 * "5000/s", "30/min", "unlimited", of a bucket "5/s with a burst of 200", of a share "5/s, alone
 * 1/s".
 */
const char *rate_print(char text[RATE_TEXT], const struct rate *rate);
/* "window" or "bucket". */
const char *rate_policy_name(uint32_t policy);

/* Which parts of a rate a command leaves as they are. */
struct rate_kept {
	bool number; /* with its period */
	bool policy; /* with its burst, or its limit alone */
};
/*
 * --rate, --burst, --alone and --policy. The parts that are not given stay as they are in `quota`,
 * and *kept says which they are. False after it has reported what is wrong.
 */
bool arg_rate(struct ctl *ctl, struct k2k_quota *quota, uint32_t *mask, struct rate_kept *kept);
/* Fills in the parts that are kept from the tenant, if it exists. Returns a K2K_E... code. */
int rate_keep(struct k2k_registry *reg, k2k_tenant_id id, const struct rate_kept *kept,
              struct k2k_quota *quota);

#endif
