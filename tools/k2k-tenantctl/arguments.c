/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl.h"
#include "rates.h"
#include "common/thresholds.h"
#include "common/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool good_registry_name(const char *name)
{
	size_t length = strspn(name,
	                       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

	return length > 0 && length <= K2K_NAME_MAX && !name[length];
}

static int parse_kernels(const char *text, uint64_t *value, struct units_fault *fault)
{
	uint32_t kernels = 0;
	int code = units_parse_kernels(text, &kernels, fault);

	*value = kernels;
	return code;
}

static int parse_mode(const char *text, uint64_t *value, struct units_fault *fault)
{
	uint32_t mode = 0;
	int code = units_parse_mode(text, &mode, fault);

	*value = mode;
	return code;
}

const struct form
	a_kernel_count = { parse_kernels, "a whole number, at most 4294967294, or unlimited" },
	a_size = { units_parse_size,
	           "a size is like 512MiB, 2G (= 2GiB), 1GB (= 10^9 bytes), or unlimited" },
	a_duration = { units_parse_duration,
	               "a duration is like 250ms, 1.5s, 1h30m, or unlimited" },
	a_mode = { parse_mode, "a mode is octal, like 0660" },
	an_id = { units_parse_id, "an id is decimal or 0x..., at most 18446744073709551615" };

_Static_assert(UNITS_NEVER == (int)K2K_RENEWAL_NEVER && UNITS_HOUR == (int)K2K_RENEWAL_HOUR &&
                       UNITS_DAY == (int)K2K_RENEWAL_DAY && UNITS_WEEK == (int)K2K_RENEWAL_WEEK &&
                       UNITS_MONTH == (int)K2K_RENEWAL_MONTH,
               "units.h has the library's numbers");

static bool refuse(struct ctl *ctl, const char *what, const char *text,
                   const struct units_fault *fault, const char *forms)
{
	fail_usage(ctl, "%s '%.200s': %s at position %zu; %s", what, text, fault->what,
	           fault->position, forms);
	return false;
}

static bool arg_value(struct ctl *ctl, const char *what, const char *text, const struct form *form,
                      uint64_t *value)
{
	struct units_fault fault;

	return !form->parse(text, value, &fault) || refuse(ctl, what, text, &fault, form->text);
}

bool arg_id(struct ctl *ctl, const char *what, const char *text, uint64_t *id)
{
	return arg_value(ctl, what, text, &an_id, id);
}

bool arg_ids(struct ctl *ctl, k2k_tenant_id **ids, size_t *count)
{
	bool good = true;

	*ids = check_memory(calloc(ctl->argument_count + 1, sizeof(**ids)));
	*count = ctl->argument_count;
	for (size_t i = 0; i < ctl->argument_count && good; i++)
		good = arg_id(ctl, "ID", ctl->arguments[i], &(*ids)[i]);
	if (!good) {
		free(*ids);
		*ids = NULL;
	}
	return good;
}

bool arg_tenant_to_change(struct ctl *ctl, const char *text, k2k_tenant_id *id)
{
	if (!arg_id(ctl, "ID", text, id))
		return false;
	if (*id == K2K_TENANT_UNSPECIFIED) {
		fail(ctl, K2K_EUNSPECIFIED, "tenant 0");
		return false;
	}
	return true;
}

bool arg_tenants_to_change(struct ctl *ctl, k2k_tenant_id **ids, size_t *count)
{
	if (!arg_ids(ctl, ids, count))
		return false;
	for (size_t i = 0; i < *count; i++)
		if ((*ids)[i] == K2K_TENANT_UNSPECIFIED) {
			fail(ctl, K2K_EUNSPECIFIED, "tenant 0");
			free(*ids);
			return false;
		}
	return true;
}

bool arg_tenant_filter(struct ctl *ctl, k2k_tenant_id *id, int *exit_code)
{
	if (!ctl->argument_count)
		return true;
	if (!arg_id(ctl, "ID", ctl->arguments[0], id)) {
		*exit_code = EXIT_USAGE;
		return false;
	}
	if (*id == K2K_TENANT_UNSPECIFIED) {
		*exit_code = fail_tenant(ctl, K2K_ENOTENANT, *id, false);
		return false;
	}
	return true;
}

bool arg_duration(struct ctl *ctl, const char *what, const char *text, uint64_t *ns)
{
	return arg_value(ctl, what, text, &a_duration, ns);
}

bool arg_renewing(struct ctl *ctl, const char *what, const char *text, uint64_t *ns,
                  uint32_t *renewal)
{
	struct units_fault fault;

	return !units_parse_renewing(text, ns, renewal, &fault) ||
	       refuse(ctl, what, text, &fault,
	              "a budget is a duration like 1h30m, 10h/day (hour, week, month), or "
	              "unlimited");
}

bool arg_period_rate(struct ctl *ctl, const char *text, uint64_t *rate, uint32_t *period)
{
	struct units_fault fault;

	return !units_parse_rate(text, rate, period, &fault) ||
	       refuse(ctl, "--rate", text, &fault, RATE_FORM);
}

bool arg_alone(struct ctl *ctl, const char *text, uint64_t *rate)
{
	struct units_fault fault;
	uint32_t period;

	if (units_parse_rate(text, rate, &period, &fault))
		return refuse(ctl, "--alone", text, &fault, RATE_FORM);
	if (period != K2K_PERIOD_SECOND) {
		fail_usage(ctl, "--alone '%.60s': only a rate by the second can be shared", text);
		return false;
	}
	return true;
}

bool arg_correction(struct ctl *ctl, const char *what, const char *text, int64_t *ns)
{
	struct units_fault fault;

	return !units_parse_signed_duration(text, ns, &fault) ||
	       refuse(ctl, what, text, &fault,
	              "a correction is a duration with a sign, like -1h30m or +5s");
}

bool arg_seconds(struct ctl *ctl, const char *what, const char *text, uint64_t *ns)
{
	char seconds[64];
	struct units_fault fault;

	if (*text && !text[strspn(text, "0123456789.")] &&
	    (size_t)snprintf(seconds, sizeof(seconds), "%ss", text) < sizeof(seconds))
		return !units_parse_duration(seconds, ns, &fault) ||
		       refuse(ctl, what, text, &fault, "a number without a unit means seconds");
	return arg_duration(ctl, what, text, ns);
}

bool arg_interval(struct ctl *ctl, const char *text, uint64_t *ns)
{
	if (!arg_seconds(ctl, "INTERVAL", text, ns))
		return false;
	if (*ns >= 1000000 && *ns <= UINT64_C(86400000000000))
		return true;
	fail_usage(ctl, "INTERVAL '%.100s': must be from 1ms to 1d", text);
	return false;
}

bool arg_count(struct ctl *ctl, const char *what, const char *text, uint64_t min, uint64_t max,
               uint64_t *count)
{
	struct units_fault fault;

	if (!units_parse_count(text, min, max, count, &fault))
		return true;
	fail_usage(ctl, "%s '%.200s': %s at position %zu; a whole number from %llu to %llu", what,
	           text, fault.what, fault.position, (unsigned long long)min,
	           (unsigned long long)max);
	return false;
}

bool arg_mode(struct ctl *ctl, const char *what, const char *text, uint32_t *mode)
{
	uint64_t value;

	if (!arg_value(ctl, what, text, &a_mode, &value))
		return false;
	*mode = (uint32_t)value;
	return true;
}

static bool quota_limits(struct ctl *ctl, struct k2k_quota *quota, uint32_t *mask,
                         struct rate_kept *kept)
{
	const char *const *given = ctl->option;
	uint64_t kernels;

	if (given[OPT_PRESET]) {
		if (!strcasecmp(given[OPT_PRESET], "unlimited"))
			*quota = (struct k2k_quota)K2K_QUOTA_UNLIMITED;
		*mask |= K2K_UPDATE_RATE | K2K_UPDATE_KERNELS | K2K_UPDATE_GPU_MEMORY;
	}
	if (!arg_rate(ctl, quota, mask, kept))
		return false;
	if (given[OPT_KERNELS]) {
		if (!arg_value(ctl, "--kernels", given[OPT_KERNELS], &a_kernel_count, &kernels))
			return false;
		quota->max_concurrent_kernels = (uint32_t)kernels;
		*mask |= K2K_UPDATE_KERNELS;
	}
	if (given[OPT_GPU_MEMORY]) {
		if (!arg_value(ctl, "--gpu-memory", given[OPT_GPU_MEMORY], &a_size,
		               &quota->max_gpu_memory_bytes))
			return false;
		*mask |= K2K_UPDATE_GPU_MEMORY;
	}
	return true;
}

/* An empty name means none. */
static void quota_mode(struct ctl *ctl, struct k2k_quota *quota, uint32_t *mask)
{
	const char *const *given = ctl->option;

	if (given[OPT_NAME]) {
		quota->name = given[OPT_NAME][0] ? given[OPT_NAME] : NULL;
		*mask |= K2K_UPDATE_NAME;
	}
	if (given[OPT_SHADOW]) {
		quota->shadow = !strcasecmp(given[OPT_SHADOW], "on");
		*mask |= K2K_UPDATE_SHADOW;
	}
}

static bool quota_alerts(struct ctl *ctl, struct k2k_quota *quota, uint32_t *mask)
{
	for (size_t i = 0; i < ctl->alert_count; i++)
		if (!thresholds_parse(quota->alerts, ctl->alerts[i])) {
			fail_usage(ctl, "--alert '%.60s': must be %s", ctl->alerts[i],
			           THRESHOLDS_FORM);
			return false;
		}
	if (ctl->alert_count)
		*mask |= K2K_UPDATE_ALERTS;
	return true;
}

static bool quota_budgets(struct ctl *ctl, struct k2k_quota *quota, uint32_t *mask)
{
	struct k2k_budget *budgets;
	struct k2k_budget_terms *terms;
	struct units_fault fault;

	if (!ctl->budget_count)
		return true;
	budgets = check_memory(calloc(ctl->budget_count, sizeof(*budgets)));
	terms = check_memory(calloc(ctl->budget_count, sizeof(*terms)));
	for (size_t i = 0; i < ctl->budget_count; i++)
		if (units_parse_budget(ctl->budgets[i], &budgets[i].engagement_id,
		                       &budgets[i].budget_ns, &terms[i].renewal, &fault)) {
			free(budgets);
			free(terms);
			return refuse(ctl, "--budget", ctl->budgets[i], &fault,
			              "a budget is ENGAGEMENT=DURATION, like 7=1h30m or 7=10h/day");
		}
	quota->budgets = budgets;
	quota->budget_terms = terms;
	quota->budget_count = (uint32_t)ctl->budget_count;
	*mask |= K2K_UPDATE_BUDGETS;
	return true;
}

bool arg_quota(struct ctl *ctl, struct k2k_quota *quota, uint32_t *mask, struct rate_kept *kept)
{
	*quota = (struct k2k_quota)K2K_QUOTA_STANDARD;
	*mask = 0;
	if (!quota_limits(ctl, quota, mask, kept))
		return false;
	quota_mode(ctl, quota, mask);
	return quota_alerts(ctl, quota, mask) && quota_budgets(ctl, quota, mask);
}
