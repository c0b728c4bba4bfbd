/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl.h"
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

static bool refuse(struct ctl *ctl, const char *what, const char *text,
                   const struct units_fault *fault, const char *forms)
{
	fail_usage(ctl, "%s '%.200s': %s at position %zu; %s", what, text, fault->what,
	           fault->position, forms);
	return false;
}

bool arg_id(struct ctl *ctl, const char *what, const char *text, uint64_t *id)
{
	struct units_fault fault;

	return !units_parse_id(text, id, &fault) ||
	       refuse(ctl, what, text, &fault,
	              "an id is decimal or 0x..., at most 18446744073709551615");
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
	struct units_fault fault;

	return !units_parse_duration(text, ns, &fault) ||
	       refuse(ctl, what, text, &fault,
	              "a duration is like 250ms, 1.5s, 1h30m, or unlimited");
}

bool arg_seconds(struct ctl *ctl, const char *what, const char *text, uint64_t *ns)
{
	char seconds[64];
	struct units_fault fault;

	if (*text && !text[strspn(text, "0123456789.")] &&
	    (size_t)snprintf(seconds, sizeof(seconds), "%ss", text) < sizeof(seconds))
		return !units_parse_duration(seconds, ns, &fault) ||
		       refuse(ctl, what, text, &fault, "a number without a unit is of seconds");
	return arg_duration(ctl, what, text, ns);
}

bool arg_interval(struct ctl *ctl, const char *text, uint64_t *ns)
{
	if (!arg_seconds(ctl, "INTERVAL", text, ns))
		return false;
	if (*ns >= 1000000 && *ns <= UINT64_C(86400000000000))
		return true;
	fail_usage(ctl, "INTERVAL '%.100s': it is from 1ms to 1d", text);
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
	struct units_fault fault;

	return !units_parse_mode(text, mode, &fault) ||
	       refuse(ctl, what, text, &fault, "a mode is octal, like 0660");
}

static bool quota_limits(struct ctl *ctl, struct k2k_quota *quota, uint32_t *mask)
{
	const char *const *given = ctl->option;
	struct units_fault fault;

	if (given[OPT_PRESET]) {
		if (!strcasecmp(given[OPT_PRESET], "unlimited"))
			*quota = (struct k2k_quota)K2K_QUOTA_UNLIMITED;
		*mask |= K2K_UPDATE_RATE | K2K_UPDATE_KERNELS | K2K_UPDATE_GPU_MEMORY;
	}
	if (given[OPT_RATE]) {
		if (units_parse_rate(given[OPT_RATE], &quota->max_messages_per_sec, &fault))
			return refuse(ctl, "--rate", given[OPT_RATE], &fault,
			              "a rate is like 5000/s, 5k/s, or unlimited");
		*mask |= K2K_UPDATE_RATE;
	}
	if (given[OPT_KERNELS]) {
		if (units_parse_kernels(given[OPT_KERNELS], &quota->max_concurrent_kernels, &fault))
			return refuse(ctl, "--kernels", given[OPT_KERNELS], &fault,
			              "a whole number, at most 4294967294, or unlimited");
		*mask |= K2K_UPDATE_KERNELS;
	}
	if (given[OPT_GPU_MEMORY]) {
		if (units_parse_size(given[OPT_GPU_MEMORY], &quota->max_gpu_memory_bytes, &fault))
			return refuse(ctl, "--gpu-memory", given[OPT_GPU_MEMORY], &fault,
			              "a size is like 512MiB, 2G (= 2GiB), 1GB (= 10^9 bytes), or "
			              "unlimited");
		*mask |= K2K_UPDATE_GPU_MEMORY;
	}
	return true;
}

static bool quota_budgets(struct ctl *ctl, struct k2k_quota *quota, uint32_t *mask)
{
	struct k2k_budget *budgets;
	struct units_fault fault;

	if (!ctl->budget_count)
		return true;
	budgets = check_memory(calloc(ctl->budget_count, sizeof(*budgets)));
	for (size_t i = 0; i < ctl->budget_count; i++)
		if (units_parse_budget(ctl->budgets[i], &budgets[i].engagement_id,
		                       &budgets[i].budget_ns, &fault)) {
			free(budgets);
			return refuse(ctl, "--budget", ctl->budgets[i], &fault,
			              "a budget is ENGAGEMENT=DURATION, like 7=1h30m");
		}
	quota->budgets = budgets;
	quota->budget_count = (uint32_t)ctl->budget_count;
	*mask |= K2K_UPDATE_BUDGETS;
	return true;
}

bool arg_quota(struct ctl *ctl, struct k2k_quota *quota, uint32_t *mask)
{
	*quota = (struct k2k_quota)K2K_QUOTA_STANDARD;
	*mask = 0;
	return quota_limits(ctl, quota, mask) && quota_budgets(ctl, quota, mask);
}
