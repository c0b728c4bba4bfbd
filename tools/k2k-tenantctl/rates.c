/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rates.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

_Static_assert(UNITS_PER_SECOND == (int)K2K_PERIOD_SECOND &&
                       UNITS_PER_MINUTE == (int)K2K_PERIOD_MINUTE &&
                       UNITS_PER_HOUR == (int)K2K_PERIOD_HOUR &&
                       UNITS_PER_DAY == (int)K2K_PERIOD_DAY,
               "units.h has the library's numbers");

struct rate rate_of_tenant(const struct k2k_tenant_info *info)
{
	return (struct rate){ info->max_messages_per_sec,
		              info->burst,
		              info->rate_period,
		              info->rate_policy,
		              info->rate_alone,
		              info->rate_shared,
		              false };
}

struct rate rate_of_quota(const struct k2k_quota *quota)
{
	return (struct rate){ quota->max_messages_per_sec,
		              quota->burst,
		              quota->rate_period,
		              quota->rate_policy,
		              quota->rate_alone,
		              quota->rate_shared,
		              false };
}

void rate_into_quota(struct rate rate, struct k2k_quota *quota)
{
	quota->max_messages_per_sec = rate.number;
	quota->burst = rate.burst;
	quota->rate_period = rate.period;
	quota->rate_policy = rate.policy;
	quota->rate_alone = rate.alone;
	quota->rate_shared = rate.shared;
}

static bool is_unlimited(const struct rate *rate)
{
	return rate->number == K2K_UNLIMITED && rate->policy == K2K_RATE_WINDOW && !rate->shared;
}

bool rate_same(const struct rate *a, const struct rate *b)
{
	if (is_unlimited(a) || is_unlimited(b))
		return is_unlimited(a) && is_unlimited(b);
	return a->number == b->number && a->burst == b->burst && a->period == b->period &&
	       a->policy == b->policy && a->shared == b->shared && a->alone == b->alone &&
	       a->fleet == b->fleet;
}

bool rate_is_plain(const struct rate *rate)
{
	return is_unlimited(rate) || (rate->policy == K2K_RATE_WINDOW &&
	                              rate->period == K2K_PERIOD_SECOND && !rate->shared);
}

const char *rate_policy_name(uint32_t policy)
{
	return policy == K2K_RATE_BUCKET ? "bucket" : "window";
}

static const char *number_of(char text[UNITS_TEXT], uint64_t number, uint32_t period)
{
	return number == K2K_UNLIMITED ? "unlimited" : units_print_rate(text, number, period);
}

const char *rate_print(char text[RATE_TEXT], const struct rate *rate)
{
	char buffer[UNITS_TEXT], alone[UNITS_TEXT];
	const char *number = number_of(buffer, rate->number, rate->period);

	if (rate->shared)
		snprintf(text, RATE_TEXT, "%s%s, alone %s", number, rate->fleet ? "/fleet" : "",
		         number_of(alone, rate->alone, rate->period));
	else if (rate->policy == K2K_RATE_BUCKET)
		snprintf(text, RATE_TEXT, "%s with a burst of %" PRIu64, number, rate->burst);
	else
		snprintf(text, RATE_TEXT, "%s", number);
	return text;
}

bool arg_rate(struct ctl *ctl, struct k2k_quota *quota, uint32_t *mask, struct rate_kept *kept)
{
	const char *const *given = ctl->option;
	const char *number = given[OPT_RATE], *burst = given[OPT_BURST],
		   *policy = given[OPT_POLICY], *alone = given[OPT_ALONE];
	bool window = policy && !strcasecmp(policy, "window");

	*kept = (struct rate_kept){ 0 };
	if (!number && !burst && !policy && !alone)
		return true;
	if (alone && (burst || (policy && !window))) {
		fail_usage(ctl, "--alone is of a window of a second, not of a bucket");
		return false;
	}
	if (number &&
	    !arg_period_rate(ctl, number, &quota->max_messages_per_sec, &quota->rate_period))
		return false;
	if (alone && !arg_alone(ctl, alone, &quota->rate_alone))
		return false;
	quota->rate_shared = alone != NULL;
	if (burst && !arg_count(ctl, "--burst", burst, 0, UINT64_MAX, &quota->burst))
		return false;
	if (burst && window) {
		fail_usage(ctl, "--burst is of a bucket, not of --policy window");
		return false;
	}
	if (policy && !window && !burst) {
		fail_usage(ctl, "--policy bucket: --burst is missing");
		return false;
	}
	quota->rate_policy = burst ? K2K_RATE_BUCKET : K2K_RATE_WINDOW;
	kept->number = !number && !given[OPT_PRESET];
	kept->policy = !burst && !policy && !alone && !given[OPT_PRESET] &&
	               quota->max_messages_per_sec != K2K_UNLIMITED;
	*mask |= K2K_UPDATE_RATE;
	return true;
}

int rate_keep(struct k2k_registry *reg, k2k_tenant_id id, const struct rate_kept *kept,
              struct k2k_quota *quota)
{
	struct k2k_tenant_info info = { .size = sizeof(info) };
	int code;

	if (!kept->number && !kept->policy)
		return 0;
	code = k2k_tenant_get(reg, id, &info);
	if (code)
		return code == K2K_ENOTENANT ? 0 : code;
	if (kept->number) {
		quota->max_messages_per_sec = info.max_messages_per_sec;
		quota->rate_period = info.rate_period;
	}
	if (kept->policy) {
		quota->burst = info.burst;
		quota->rate_policy = info.rate_policy;
		quota->rate_alone = info.rate_alone;
		quota->rate_shared = info.rate_shared;
	}
	return 0;
}
