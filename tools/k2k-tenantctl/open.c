/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl.h"

#include <stdlib.h>
#include <string.h>

void open_options(const struct ctl *ctl, struct k2k_open_options *options)
{
	*options = (struct k2k_open_options)K2K_OPEN_OPTIONS_INIT;
	options->flags = K2K_OPEN_TIMEOUT;
	options->timeout_ns = ctl->timeout_ns;
	options->actor = CTL_NAME;
	if (ctl->has_owner) {
		options->flags |= K2K_OPEN_OWNER_UID;
		options->owner_uid = ctl->owner_uid;
	}
}

int open_registry(struct ctl *ctl, enum k2k_role role, struct k2k_registry **reg)
{
	struct k2k_open_options options;
	int code;

	open_options(ctl, &options);
	ctl->role = role;
	code = k2k_registry_open(ctl->registry, role, &options, reg);
	return code ? fail(ctl, code, "registry '%s'", ctl->registry) : 0;
}

static size_t element_size(enum listing what)
{
	switch (what) {
	case LIST_TENANT_IDS: return sizeof(k2k_tenant_id);
	case LIST_BUDGETS: return sizeof(struct k2k_budget_info);
	case LIST_USAGE: return sizeof(struct k2k_usage_info);
	case LIST_BROKERS: return sizeof(struct k2k_broker_info);
	case LIST_LEASES: return sizeof(struct k2k_lease_info);
	case LIST_KERNELS: return sizeof(struct k2k_kernel_info);
	case LIST_FINDINGS:
	case LIST_CUTS: return sizeof(struct k2k_finding);
	}
	return 0;
}

static int fill(struct k2k_registry *reg, enum listing what, k2k_tenant_id id, void *list,
                size_t capacity, size_t *count)
{
	switch (what) {
	case LIST_TENANT_IDS: return k2k_tenant_ids(reg, list, capacity, count);
	case LIST_BUDGETS: return k2k_budget_list(reg, id, list, capacity, count);
	case LIST_USAGE: return k2k_usage_list(reg, id, list, capacity, count);
	case LIST_BROKERS: return k2k_broker_list(reg, list, capacity, count);
	case LIST_LEASES: return k2k_lease_list(reg, id, list, capacity, count);
	case LIST_KERNELS: return k2k_kernel_list(reg, id, list, capacity, count);
	case LIST_FINDINGS: return k2k_registry_check(reg, list, capacity, count);
	case LIST_CUTS: return k2k_repair_list(reg, list, capacity, count);
	}
	return K2K_EINVAL;
}

int fetch_list(struct k2k_registry *reg, enum listing what, k2k_tenant_id id, void **list,
               size_t *count)
{
	size_t size = element_size(what), capacity = 64;
	uint32_t stride = (uint32_t)size;

	*list = NULL;
	/*
	 * Each attempt has room for an eighth more than the last one found. A list that outgrows
	 * that ten times in a row is not credible.
	 */
	for (int turn = 0; turn < 10; turn++) {
		int code;

		free(*list);
		*list = check_memory(calloc(capacity, size));
		if (what != LIST_TENANT_IDS)
			memcpy(*list, &stride, sizeof(stride));
		code = fill(reg, what, id, *list, capacity, count);
		if (!code && *count <= capacity)
			return 0;
		if (code) {
			free(*list);
			*list = NULL;
			return code;
		}
		capacity = *count + *count / 8 + 16;
	}
	free(*list);
	*list = NULL;
	return K2K_EBUSY;
}

int fetch_filtered(struct ctl *ctl, enum listing what, void **list, size_t *count)
{
	k2k_tenant_id id = K2K_TENANT_UNSPECIFIED;
	struct k2k_registry *reg;
	int code, exit_code;

	if (!arg_tenant_filter(ctl, &id, &exit_code))
		return exit_code;
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
	if (exit_code)
		return exit_code;
	code = fetch_list(reg, what, id, list, count);
	k2k_registry_close(&reg);
	if (code == K2K_ENOTENANT)
		return fail_tenant(ctl, code, id, false);
	return code ? fail(ctl, code, "registry '%s'", ctl->registry) : EXIT_DONE;
}
