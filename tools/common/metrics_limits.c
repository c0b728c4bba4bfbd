/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "metrics_out.h"
#include "series.h"
#include "units.h"

/* ---- corrections ---------------------------------------------------------------------- */

void metrics_put_corrections(struct metrics_out *o, const struct snapshot *s, const bool *own)
{
	bool with_sum = false;
	int64_t sum = 0;

	metrics_family(o, "gpu_corrected_seconds", "gauge",
	               "Corrections of GPU time, over all engagements: what was booked is in "
	               "k2k_gpu_seconds_total.");
	for (size_t i = 0; i < s->tenant_count; i++) {
		const struct snapshot_tenant *t = &s->tenants[i];

		if (own[i])
			metrics_series(o, "gpu_corrected_seconds", METRICS_SIGNED_SECONDS,
			               (uint64_t)t->corrected_ns, ",tenant=\"%llu\"",
			               (unsigned long long)t->info.id);
		else if (__builtin_add_overflow(sum, t->corrected_ns, &sum))
			sum = t->corrected_ns < 0 ? INT64_MIN : INT64_MAX;
		with_sum = with_sum || !own[i];
	}
	if (with_sum)
		metrics_series(o, "gpu_corrected_seconds", METRICS_SIGNED_SECONDS, (uint64_t)sum,
		               ",tenant=\"other\"");
}

/* ---- rates ---------------------------------------------------------------------------- */

enum { PERIODS = K2K_PERIOD_DAY + 1, POLICIES = K2K_RATE_BUCKET + 1 };
static const char *const policies[POLICIES] = { "window", "bucket" };

/*
 * A number of one period and policy can't be added to that of another: tenant="other" has a sum for
 * each.
 */
static void put_rate_limit(struct metrics_out *o, const struct snapshot *s, const bool *own)
{
	struct {
		uint64_t sum;
		bool any;
	} others[PERIODS][POLICIES] = { 0 };
	const char *name = "messages_limit";

	metrics_family(
		o, name, "gauge",
		"Messages that may be admitted in each window of one period, or that a bucket gets "
		"back in one period; of a share that does not hold, the limit alone; +Inf is "
		"unlimited.");
	for (size_t i = 0; i < s->tenant_count; i++) {
		const struct k2k_tenant_info *t = &s->tenants[i].info;
		/* a broker can't write these, but an index must be in range all the same */
		uint32_t period = t->rate_period % PERIODS, policy = t->rate_policy % POLICIES;

		if (own[i]) {
			metrics_series(o, name, METRICS_LIMIT, snapshot_rate(t),
			               ",tenant=\"%llu\",period=\"%s\",policy=\"%s\"",
			               (unsigned long long)t->id, units_period_name(period),
			               policies[policy]);
		} else {
			amount_add(&others[period][policy].sum, snapshot_rate(t));
			others[period][policy].any = true;
		}
	}
	for (uint32_t period = 0; period < PERIODS; period++)
		for (uint32_t policy = 0; policy < POLICIES; policy++)
			if (others[period][policy].any)
				metrics_series(o, name, METRICS_LIMIT, others[period][policy].sum,
				               ",tenant=\"other\",period=\"%s\",policy=\"%s\"",
				               units_period_name(period), policies[policy]);
}

/* Of the tenants for which `has` is true, with their sum. */
static void put_some(struct metrics_out *o, const struct snapshot *s, const bool *own,
                     const char *name, const char *help,
                     bool (*has)(const struct k2k_tenant_info *t),
                     uint64_t (*value)(const struct k2k_tenant_info *t))
{
	bool with_sum = false;
	uint64_t sum = 0;

	metrics_family(o, name, "gauge", help);
	for (size_t i = 0; i < s->tenant_count; i++) {
		const struct k2k_tenant_info *t = &s->tenants[i].info;

		if (!has(t))
			continue;
		if (own[i])
			metrics_series(o, name, METRICS_LIMIT, value(t), ",tenant=\"%llu\"",
			               (unsigned long long)t->id);
		else
			amount_add(&sum, value(t));
		with_sum = with_sum || !own[i];
	}
	if (with_sum)
		metrics_series(o, name, METRICS_LIMIT, sum, ",tenant=\"other\"");
}

static bool by_the_second(const struct k2k_tenant_info *t)
{
	return t->rate_period == K2K_PERIOD_SECOND;
}
static bool has_burst(const struct k2k_tenant_info *t)
{
	return t->rate_policy == K2K_RATE_BUCKET;
}
static uint64_t burst_of(const struct k2k_tenant_info *t)
{
	return t->burst;
}

static bool is_shared(const struct k2k_tenant_info *t)
{
	return t->rate_shared;
}
static uint64_t alone_of(const struct k2k_tenant_info *t)
{
	return t->rate_alone;
}

static void put_shares(struct metrics_out *o, const struct snapshot *s, const bool *own)
{
	put_some(o, s, own, "messages_alone_limit",
	         "Of a share of a rate over many hosts: the limit while no shares hold.", is_shared,
	         alone_of);
	metrics_single(o, "shares_hold_seconds", "gauge", METRICS_SECONDS,
	               snapshot_shares_left_ns(&s->shares),
	               "Time until this host's shares of rates end; 0: they don't hold.");
	metrics_single(o, "shares_ended_timestamp_seconds", "gauge", METRICS_SECONDS,
	               s->shares_ended_at_ns,
	               "When this host's shares of rates ended, since 1970; 0: they hold, or it is "
	               "not known.");
	metrics_single(o, "tenants_alone", "gauge", METRICS_COUNT, s->alone_count,
	               "Tenants whose rate is a share that does not hold: their limit alone is in "
	               "force.");
}

void metrics_put_rates(struct metrics_out *o, const struct snapshot *s, const bool *own)
{
	put_rate_limit(o, s, own);
	put_shares(o, s, own);
	put_some(o, s, own, "messages_per_second_limit",
	         "k2k_messages_limit of tenants whose limit is by the second; others have none.",
	         by_the_second, snapshot_rate);
	put_some(o, s, own, "messages_burst_limit",
	         "Messages that a full bucket admits at once, if the limit is a token bucket.",
	         has_burst, burst_of);
	/* without a sum: the windows of many have nothing in common */
	metrics_family(o, "messages_limit_used", "gauge",
	               "Messages counted in the current window; of a bucket, how much of its burst "
	               "is used "
	               "up.");
	for (size_t i = 0; i < s->tenant_count; i++) {
		const struct k2k_tenant_info *t = &s->tenants[i].info;

		if (own[i] && !(t->flags & K2K_TENANT_DAMAGED))
			metrics_series(o, "messages_limit_used", METRICS_COUNT,
			               t->messages_this_second, ",tenant=\"%llu\"",
			               (unsigned long long)t->id);
	}
}
