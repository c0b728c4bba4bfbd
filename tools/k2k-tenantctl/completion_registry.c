/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Completion of what a registry has: ids and names. It is opened as an observer without waiting. */
#include "completion.h"
#include "registries.h"
#include "common/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The registry that the line names; null if it can't be read. */
static struct k2k_registry *open_to_complete(const struct line *l)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	struct k2k_registry *reg;

	options.flags = K2K_OPEN_TIMEOUT;
	options.actor = CTL_NAME;
	if (!good_registry_name(l->place) ||
	    k2k_registry_open(l->place, K2K_ROLE_OBSERVER, &options, &reg))
		return NULL;
	return reg;
}

/* A shell would take other names apart, or expand them: they have to be typed. */
static bool is_plain(const char *name)
{
	for (; *name; name++)
		if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
		      (*name >= '0' && *name <= '9') || strchr("._+-", *name) ||
		      (unsigned char)*name >= 0x80))
			return false;
	return true;
}

/* An id, with the name as its description; and then the name, with the id. */
struct named_tenant {
	char id[UNITS_TEXT], at_name[1 + K2K_TENANT_NAME_MAX + 1]; /* "@vision-team", or "" */
};

static struct named_tenant *read_tenants(struct k2k_registry *reg, size_t *count)
{
	struct named_tenant *tenants;
	uint64_t *ids;
	void *list;

	*count = 0;
	if (fetch_list(reg, LIST_TENANT_IDS, K2K_TENANT_UNSPECIFIED, &list, count)) {
		*count = 0;
		return NULL;
	}
	ids = list;
	qsort(ids, *count, sizeof(*ids), compare_numbers);
	tenants = check_memory(calloc(*count + 1, sizeof(*tenants)));
	for (size_t i = 0; i < *count; i++) {
		struct k2k_tenant_info info = { .size = sizeof(info) };

		units_print_number(tenants[i].id, ids[i]);
		/* without a name if it is gone meanwhile, and also if its counts are damaged */
		if (!k2k_tenant_get(reg, ids[i], &info) && info.name[0])
			snprintf(tenants[i].at_name, sizeof(tenants[i].at_name), "@%s", info.name);
	}
	free(ids);
	return tenants;
}

static void offer_tenants(const struct line *l, const char *typed, const char *before)
{
	struct k2k_registry *reg = open_to_complete(l);
	struct named_tenant *tenants;
	char text[16 + UNITS_TEXT];
	size_t count;

	if (!reg)
		return;
	tenants = read_tenants(reg, &count);
	k2k_registry_close(&reg);
	for (size_t i = 0; i < count; i++)
		if (is_named(l, tenants[i].id) ||
		    (tenants[i].at_name[0] && is_named(l, tenants[i].at_name)))
			tenants[i].id[0] = 0;
	for (size_t i = 0; i < count; i++)
		if (tenants[i].id[0])
			offer(typed, before, tenants[i].id,
			      tenants[i].at_name[0] ? tenants[i].at_name + 1 : NULL);
	for (size_t i = 0; i < count; i++) {
		if (!tenants[i].id[0] || !tenants[i].at_name[0] ||
		    !is_plain(tenants[i].at_name + 1))
			continue;
		snprintf(text, sizeof(text), "tenant %s", tenants[i].id);
		offer(typed, before, tenants[i].at_name, text);
	}
	free(tenants);
}

/* Those of the tenant on the line. */
static void offer_engagements(const struct line *l, const char *typed, const char *before)
{
	struct k2k_registry *reg = l->operand_count ? open_to_complete(l) : NULL;
	k2k_tenant_id tenant = K2K_TENANT_UNSPECIFIED;
	struct k2k_usage_info *usage = NULL;
	struct units_fault fault;
	char text[UNITS_TEXT];
	uint64_t *ids;
	size_t count = 0;
	void *list;

	if (!reg)
		return;
	if (l->operands[0][0] == '@' ? k2k_tenant_find_name(reg, l->operands[0] + 1, &tenant)
	                             : units_parse_id(l->operands[0], &tenant, &fault))
		tenant = K2K_TENANT_UNSPECIFIED;
	if (tenant && !fetch_list(reg, LIST_USAGE, tenant, &list, &count))
		usage = list;
	else
		count = 0;
	k2k_registry_close(&reg);
	ids = check_memory(calloc(count + 1, sizeof(*ids)));
	for (size_t i = 0; i < count; i++)
		ids[i] = usage[i].engagement_id;
	free(usage);
	qsort(ids, count, sizeof(*ids), compare_numbers);
	for (size_t i = 0; i < count; i++) {
		units_print_number(text, ids[i]);
		offer(typed, before, text, NULL);
	}
	free(ids);
}

static void offer_registries(const char *typed, const char *before)
{
	size_t count;
	struct registry_name *names = registry_names(&count);

	for (size_t i = 0; i < count; i++)
		offer(typed, before, names[i].name, NULL);
	free(names);
}

void offer_known(const struct line *l, enum value_kind kind, const char *typed, const char *before)
{
	switch (kind) {
	case VALUE_TENANT: offer_tenants(l, typed, before); break;
	case VALUE_ENGAGEMENT: offer_engagements(l, typed, before); break;
	case VALUE_REGISTRY: offer_registries(typed, before); break;
	default: break;
	}
}
