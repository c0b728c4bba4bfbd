/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * registry.c - what an agent calls of a registry and of documents, for registries that are only as
 * much as an agent looks at: ids, generations, rates, totals, GPU time, budgets
 */
#include "scale.h"
#include "common/clock.h"
#include "k2k-fleetd/agent.h"
#include "k2k-tenantctl/plan_names.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { BUDGETED = 1 }; /* the engagement that may have a budget */

static struct scale_registry *of(struct k2k_registry *reg)
{
	return (struct scale_registry *)(void *)reg;
}

static struct scale_tenant *find(struct scale_registry *r, k2k_tenant_id id)
{
	return id && id <= r->tenant_count && r->tenants[id - 1].generation ? &r->tenants[id - 1]
	                                                                    : NULL;
}

static uint64_t *use_of(const struct scale_registry *r, k2k_tenant_id id, uint64_t engagement)
{
	return &r->gpu_ns[(id - 1) * r->engagements + engagement - 1];
}

/* ---- the simulation ---------------------------------------------------------------------- */

void registry_make(struct scale_registry *r, size_t tenants, size_t engagements)
{
	uint16_t part[8];

	if (getrandom(part, sizeof(part), 0) != sizeof(part))
		give_up("no random numbers");
	*r = (struct scale_registry){ .tenant_count = tenants, .engagements = engagements };
	snprintf(r->uuid, sizeof(r->uuid), "%04x%04x-%04x-4%03x-8%03x-%04x%04x%04x", part[0],
	         part[1], part[2], part[3] & 0xfff, part[4] & 0xfff, part[5], part[6], part[7]);
	r->tenants = check_memory(calloc(tenants, sizeof(*r->tenants)));
	r->gpu_ns = check_memory(calloc(tenants * engagements, sizeof(*r->gpu_ns)));
}

static bool chance(unsigned share, unsigned *seed)
{
	return (unsigned)rand_r(seed) % 10000 < share;
}

void registry_use(struct scale_registry *r, unsigned share, unsigned *seed)
{
	for (size_t id = 1; id <= r->tenant_count; id++) {
		struct scale_tenant *t = find(r, id);

		if (!t || !chance(share, seed))
			continue;
		t->admitted += 1000;
		*use_of(r, id, (unsigned)rand_r(seed) % r->engagements + 1) += 1000000;
	}
}

void registry_use_up(struct scale_registry *r, unsigned share, unsigned *seed)
{
	for (size_t id = 1; id <= r->tenant_count; id++) {
		struct scale_tenant *t = find(r, id);
		uint64_t *used = use_of(r, id, BUDGETED);

		if (t && t->budget_ns != UINT64_MAX && *used < t->budget_ns && chance(share, seed))
			*used = t->budget_ns;
	}
}

/* ---- documents --------------------------------------------------------------------------- */

void definition_print(FILE *out, uint64_t tenant, uint64_t rate, const char *budget)
{
	fprintf(out,
	        "{\"id\": \"%" PRIu64 "\", \"name\": \"tenant-%" PRIu64 "\", \"rate\": \"%" PRIu64
	        "/s\", \"kernels\": 8, \"gpu_memory\": \"8GiB\"%s%s%s}",
	        tenant, tenant, rate, budget ? ", \"budgets\": {\"1\": \"" : "",
	        budget ? budget : "", budget ? "/fleet\"}" : "");
}

/* Only what definition_print() writes. */
int document_read_text(struct ctl *ctl, const char *name, const char *text,
                       struct document *document)
{
	static const char begin[] = "{\"id\": \"", rate[] = "\"rate\": \"", fleet[] = "/fleet\"";
	struct document d = { .count = 0 };
	const char *at = strstr(text, begin), *next;

	(void)ctl, (void)name;
	for (; at; at = next) {
		struct entry *e;

		if (d.count == d.room) {
			d.room = d.room * 2 + 1;
			d.entries = check_memory(realloc(d.entries, d.room * sizeof(*d.entries)));
			d.budgets.list = check_memory(
				realloc(d.budgets.list, d.room * sizeof(*d.budgets.list)));
		}
		e = &d.entries[d.count++];
		memset(e, 0, sizeof(*e));
		e->id = strtoull(at + strlen(begin), NULL, 10);
		e->rate.number = strtoull(strstr(at, rate) + strlen(rate), NULL, 10);
		e->first_budget = d.budgets.count;
		next = strstr(at + 1, begin);
		if (memmem(at, next ? (size_t)(next - at) : strlen(at), fleet, strlen(fleet))) {
			e->budget_count = 1;
			d.budgets.list[d.budgets.count++] = (struct engagement_ns){
				.engagement = BUDGETED, .renewal = UNITS_FLEET
			};
		}
	}
	*document = d;
	return 0;
}

/* ---- what agents see ----------------------------------------------------------------------- */

int k2k_registry_info(struct k2k_registry *reg, struct k2k_registry_info *info)
{
	info->generation = of(reg)->generation;
	snprintf(info->uuid, sizeof(info->uuid), "%s", of(reg)->uuid);
	return 0;
}

static void fill_info(const struct scale_tenant *t, k2k_tenant_id id, struct k2k_tenant_info *info)
{
	info->id = id;
	info->generation = t->generation;
	info->max_messages_per_sec = t->rate;
	info->admitted_total = t->admitted;
	info->budget_count = t->budget_ns != UINT64_MAX;
}

int k2k_tenant_get(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_tenant_info *info)
{
	const struct scale_tenant *t = find(of(reg), id);

	if (!t)
		return K2K_ENOTENANT;
	memset(info, 0, sizeof(*info));
	fill_info(t, id, info);
	return 0;
}

static struct k2k_budget_info budget_of(const struct scale_registry *r,
                                        const struct scale_tenant *t, k2k_tenant_id id)
{
	return (struct k2k_budget_info){ .id = id,
		                         .generation = t->generation,
		                         .engagement_id = BUDGETED,
		                         .budget_ns = t->budget_ns,
		                         .used_ns = *use_of(r, id, BUDGETED),
		                         .renewal = K2K_RENEWAL_NEVER };
}

int tenants_load_all(struct ctl *ctl, struct k2k_registry *reg, struct tenants *tenants)
{
	struct scale_registry *r = of(reg);

	(void)ctl;
	*tenants = (struct tenants){
		.rows = check_memory(calloc(r->tenant_count + 1, sizeof(*tenants->rows))),
		.budgets = check_memory(calloc(r->tenant_count + 1, sizeof(*tenants->budgets))),
	};
	for (size_t id = 1; id <= r->tenant_count; id++) {
		const struct scale_tenant *t = find(r, id);
		struct tenant *row = &tenants->rows[tenants->count];

		if (!t)
			continue;
		fill_info(t, id, &row->info);
		row->first_budget = tenants->budget_count;
		row->budget_count = t->budget_ns != UINT64_MAX;
		if (row->budget_count)
			tenants->budgets[tenants->budget_count++] = budget_of(r, t, id);
		tenants->count++;
	}
	return 0;
}

static size_t list_usage(const struct scale_registry *r, const struct scale_tenant *t,
                         k2k_tenant_id id, struct k2k_usage_info *list)
{
	size_t count = 0;

	for (uint64_t e = 1; e <= r->engagements; e++)
		if (*use_of(r, id, e))
			list[count++] = (struct k2k_usage_info){ .id = id,
				                                 .generation = t->generation,
				                                 .engagement_id = e,
				                                 .gpu_ns = *use_of(r, id, e) };
	return count;
}

/* There are no brokers: no call is under way when a budget is lowered. */
int fetch_list(struct k2k_registry *reg, enum listing what, k2k_tenant_id of_id, void **list,
               size_t *count)
{
	struct scale_registry *r = of(reg);
	k2k_tenant_id *ids = NULL;
	struct k2k_usage_info *usage = NULL;
	struct k2k_budget_info *budgets = NULL;

	*count = 0;
	if (what == LIST_TENANT_IDS)
		*list = ids = check_memory(calloc(r->tenant_count + 1, sizeof(*ids)));
	else if (what == LIST_USAGE)
		*list = usage = check_memory(
			calloc(r->tenant_count * r->engagements + 1, sizeof(*usage)));
	else
		*list = budgets = check_memory(calloc(r->tenant_count + 1, sizeof(*budgets)));
	for (size_t id = 1; id <= r->tenant_count; id++) {
		const struct scale_tenant *t = find(r, id);

		if (!t || (of_id && of_id != id))
			continue;
		if (ids)
			ids[(*count)++] = id;
		else if (usage)
			*count += list_usage(r, t, id, usage + *count);
		else if (what == LIST_BUDGETS && t->budget_ns != UINT64_MAX)
			budgets[(*count)++] = budget_of(r, t, id);
	}
	return 0;
}

/* ---- what agents change ---------------------------------------------------------------------- */

int k2k_batch_begin(struct k2k_registry *reg)
{
	(void)reg;
	return 0;
}

int k2k_batch_end(struct k2k_registry *reg)
{
	(void)reg;
	return 0;
}

int k2k_budget_set_renewing(struct k2k_registry *reg, k2k_tenant_id id, uint64_t engagement_id,
                            uint64_t budget_ns, uint32_t renewal)
{
	struct scale_tenant *t = find(of(reg), id);

	(void)engagement_id, (void)renewal;
	if (!t)
		return K2K_ENOTENANT;
	t->budget_ns = budget_ns;
	return 0;
}

/* No tenant has a limit over the fleet other than a budget, so there are no shares to change. */
int k2k_tenant_update(struct k2k_registry *reg, k2k_tenant_id id, const struct k2k_quota *quota,
                      uint32_t mask)
{
	(void)reg, (void)id, (void)quota, (void)mask;
	return 0;
}

int k2k_shares_get(struct k2k_registry *reg, struct k2k_shares *shares)
{
	(void)reg;
	shares->epoch = shares->until_ns = 0;
	shares->now_ns = clock_monotonic_ns();
	return 0;
}

int k2k_shares_hold(struct k2k_registry *reg, uint64_t epoch, uint64_t until_ns)
{
	(void)reg, (void)epoch, (void)until_ns;
	return 0;
}

int plan_free_names(struct k2k_registry *reg, const struct document *d, const struct plan *plan,
                    k2k_tenant_id *id)
{
	(void)reg, (void)d, (void)plan, (void)id;
	return 0;
}

int plan_carry_out_as(struct k2k_registry *reg, const struct plan *plan, const struct document *d,
                      const struct step *s, uint64_t generation, uint64_t now_ns)
{
	struct scale_registry *r = of(reg);
	struct scale_tenant *t;

	(void)plan, (void)now_ns;
	if (s->entry->id > r->tenant_count)
		return K2K_EFULL;
	t = &r->tenants[s->entry->id - 1];
	if (s->action == REGISTER) {
		r->generation = t->generation = generation;
		for (uint64_t e = 1; e <= r->engagements; e++)
			*use_of(r, s->entry->id, e) = 1000; /* so that it is reported */
	}
	t->rate = s->entry->rate.number;
	t->budget_ns = s->entry->budget_count ? d->budgets.list[s->entry->first_budget].ns
	                                      : UINT64_MAX;
	return 0;
}
