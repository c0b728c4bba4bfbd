/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tenant_limits.h"
#include "output.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- comparing ---------------------------------------------------------------- */

static uint64_t number_at(const struct budget_list *l, size_t i, size_t at)
{
	uint64_t number;

	memcpy(&number, (const char *)l->first + i * l->stride + at, sizeof(number));
	return number;
}

static uint32_t renewal_at(const struct budget_list *l, size_t i)
{
	uint32_t renewal;

	memcpy(&renewal, (const char *)l->first + i * l->stride + l->renewal_at, sizeof(renewal));
	return renewal;
}

struct limits limits_of_tenant(const struct tenants *tenants, const struct tenant *t)
{
	const struct k2k_tenant_info *i = &t->info;

	struct rate rate = rate_of_tenant(i);

	rate.fleet = t->fleet & FLEET_RATE;
	return (struct limits){
		.rate = rate,
		.kernels = i->max_concurrent_kernels == K2K_UNLIMITED_KERNELS
		                   ? UINT64_MAX
		                   : i->max_concurrent_kernels,
		.gpu_memory_bytes = i->max_gpu_memory_bytes,
		.fleet = t->fleet,
		.name = i->name[0] ? i->name : NULL,
		.shadow = i->shadow,
		.suspended = i->suspended,
		.alerts = thresholds_pack(i->alerts),
		.budgets = BUDGET_LIST(tenants->budgets + t->first_budget, t->budget_count,
		                       struct k2k_budget_info, engagement_id, budget_ns, renewal),
	};
}

/* Kernels or GPU memory, in a list without budgets. `bit`: FLEET_... */
static void add(struct limit_changes *c, enum limit limit, const struct limits *before,
                const struct limits *after, uint32_t bit)
{
	bool was = before->fleet & bit, is = after->fleet & bit;
	uint64_t from = limit == LIMIT_KERNELS ? before->kernels : before->gpu_memory_bytes;
	uint64_t to = limit == LIMIT_KERNELS ? after->kernels : after->gpu_memory_bytes;

	if (from != to || was != is || c->is_new)
		c->list[c->count++] = (struct limit_change){ .limit = limit,
			                                     .before = from,
			                                     .after = to,
			                                     .fleet_before = was,
			                                     .fleet_after = is };
}

static void add_rate(struct limit_changes *c, const struct rate *before, const struct rate *after)
{
	if (c->is_new || !rate_same(before, after))
		c->list[c->count++] = (struct limit_change){ .limit = LIMIT_RATE,
			                                     .before = before->number,
			                                     .after = after->number,
			                                     .rate_before = *before,
			                                     .rate_after = *after };
}

/* Only if it differs: most tenants have no name, are enforced and not suspended. */
static void add_mode(struct limit_changes *c, const struct limits *before,
                     const struct limits *after)
{
	if (strcmp(before->name ? before->name : "", after->name ? after->name : "") != 0)
		c->list[c->count++] = (struct limit_change){ .limit = LIMIT_NAME,
			                                     .name_before = before->name,
			                                     .name_after = after->name };
	if (before->shadow != after->shadow)
		c->list[c->count++] = (struct limit_change){ .limit = LIMIT_SHADOW,
			                                     .before = before->shadow,
			                                     .after = after->shadow };
	if (before->suspended != after->suspended)
		c->list[c->count++] = (struct limit_change){ .limit = LIMIT_SUSPENDED,
			                                     .before = before->suspended,
			                                     .after = after->suspended };
	if (before->alerts != after->alerts)
		c->list[c->count++] = (struct limit_change){ .limit = LIMIT_ALERTS,
			                                     .before = before->alerts,
			                                     .after = after->alerts };
}

/* Of the engagement at old[o], at new[n], or at both. */
static void add_budget(struct limit_changes *c, const struct budget_list *old, const size_t *o,
                       const struct budget_list *new, const size_t *n)
{
	struct limit_change change = { .limit = LIMIT_BUDGET,
		                       .before = UINT64_MAX,
		                       .after = UINT64_MAX };

	if (o) {
		change.engagement = number_at(old, *o, old->engagement_at);
		change.before = number_at(old, *o, old->ns_at);
		change.renewal_before = renewal_at(old, *o);
	}
	if (n) {
		change.engagement = number_at(new, *n, new->engagement_at);
		change.after = number_at(new, *n, new->ns_at);
		change.renewal_after = renewal_at(new, *n);
	}
	if (c->is_new || change.before != change.after ||
	    (o && n && change.renewal_before != change.renewal_after))
		c->list[c->count++] = change;
}

void limits_compare(const struct limits *before, const struct limits *after,
                    struct limit_changes *c)
{
	static const struct limits nothing;
	const struct budget_list *new = &after->budgets, *old;
	size_t n = 0, o = 0;

	*c = (struct limit_changes){ .is_new = !before };
	before = before ? before : &nothing;
	old = &before->budgets;
	c->list = check_memory(calloc(7 + new->count + old->count, sizeof(*c->list)));
	add_mode(c, before, after);
	add_rate(c, &before->rate, &after->rate);
	add(c, LIMIT_KERNELS, before, after, FLEET_KERNELS);
	add(c, LIMIT_GPU_MEMORY, before, after, FLEET_GPU_MEMORY);
	while (n < new->count || o < old->count) {
		uint64_t newer = n < new->count ? number_at(new, n, new->engagement_at) : 0;
		uint64_t older = o < old->count ? number_at(old, o, old->engagement_at) : 0;
		bool take_new = n < new->count && (o == old->count || newer <= older);
		bool take_old = o < old->count && (n == new->count || older <= newer);

		add_budget(c, old, take_old ? &o : NULL, new, take_new ? &n : NULL);
		n += take_new;
		o += take_old;
	}
}

void limits_free(struct limit_changes *changes)
{
	free(changes->list);
	*changes = (struct limit_changes){ 0 };
}

uint32_t limits_mask(const struct limit_changes *changes)
{
	static const uint32_t bits[] = {
		[LIMIT_NAME] = K2K_UPDATE_NAME,
		[LIMIT_SHADOW] = K2K_UPDATE_SHADOW,
		[LIMIT_SUSPENDED] = K2K_UPDATE_SUSPENDED,
		[LIMIT_ALERTS] = K2K_UPDATE_ALERTS,
		[LIMIT_RATE] = K2K_UPDATE_RATE,
		[LIMIT_KERNELS] = K2K_UPDATE_KERNELS,
		[LIMIT_GPU_MEMORY] = K2K_UPDATE_GPU_MEMORY,
		[LIMIT_BUDGET] = K2K_UPDATE_BUDGETS,
	};
	uint32_t mask = 0;

	for (size_t i = 0; i < changes->count; i++)
		mask |= bits[changes->list[i].limit];
	return mask;
}

/* ---- printing ------------------------------------------------------------------- */

static const char *alerts_text(char text[UNITS_TEXT], uint64_t value)
{
	uint8_t alerts[K2K_ALERTS_MAX];

	_Static_assert(THRESHOLDS_TEXT <= UNITS_TEXT, "thresholds fit into a value");
	thresholds_unpack(alerts, value);
	return thresholds_print(text, alerts);
}

static const char *value_text(char text[UNITS_TEXT], enum limit limit, uint64_t value,
                              const char *name, uint32_t renewal)
{
	if (limit == LIMIT_NAME)
		return name ? name : "none";
	if (limit == LIMIT_SHADOW || limit == LIMIT_SUSPENDED)
		return value ? "on" : "off";
	if (limit == LIMIT_ALERTS)
		return value ? alerts_text(text, value) : "none";
	if (value == UINT64_MAX)
		return limit == LIMIT_BUDGET ? "none" : "unlimited";
	switch (limit) {
	case LIMIT_GPU_MEMORY: return units_print_size(text, value);
	case LIMIT_BUDGET: return units_print_renewing(text, value, renewal);
	default: break;
	}
	units_print_number(text, value);
	return text;
}

static void print_rate(FILE *out, const struct limit_change *c, bool is_new)
{
	char before[RATE_TEXT], after[RATE_TEXT];

	fputs("rate", out);
	if (!is_new)
		fprintf(out, " %s ->", rate_print(before, &c->rate_before));
	fprintf(out, " %s", rate_print(after, &c->rate_after));
}

static const char *fleet_text(bool fleet)
{
	return fleet ? "/fleet" : "";
}

void limits_print(FILE *out, const struct limit_changes *changes)
{
	static const char *const names[] = {
		[LIMIT_NAME] = "name",           [LIMIT_SHADOW] = "shadow",
		[LIMIT_SUSPENDED] = "suspended", [LIMIT_RATE] = "rate",
		[LIMIT_KERNELS] = "kernels",     [LIMIT_GPU_MEMORY] = "GPU memory",
		[LIMIT_ALERTS] = "alerts",
	};

	for (size_t i = 0; i < changes->count; i++) {
		const struct limit_change *c = &changes->list[i];
		char before[UNITS_TEXT], after[UNITS_TEXT];

		fputs(i ? ", " : ": ", out);
		if (c->limit == LIMIT_RATE) {
			print_rate(out, c, changes->is_new);
			continue;
		}
		if (c->limit == LIMIT_BUDGET)
			fprintf(out, "budget %" PRIu64 ":", c->engagement);
		else
			fputs(names[c->limit], out);
		if (!changes->is_new)
			fprintf(out, " %s%s ->",
			        value_text(before, c->limit, c->before, c->name_before,
			                   c->renewal_before),
			        fleet_text(c->fleet_before));
		fprintf(out, " %s%s",
		        value_text(after, c->limit, c->after, c->name_after, c->renewal_after),
		        fleet_text(c->fleet_after));
	}
}

static struct value renewal_text(uint64_t ns, uint32_t renewal)
{
	return TEXT(ns == UINT64_MAX ? NULL : units_renewal_name(renewal));
}

/* False: a number per second says all of it. */
static bool json_rate(json_object *array, const struct limit_change *c, bool is_new,
                      const char *before, const char *after)
{
	const struct field fields[] = {
		{ "field", NULL, KIND_TEXT, 0 },
		{ before, NULL, KIND_TEXT, 0 },
		{ after, NULL, KIND_TEXT, 0 },
	};
	char was[RATE_TEXT], is[RATE_TEXT];

	if ((is_new || rate_is_plain(&c->rate_before)) && rate_is_plain(&c->rate_after))
		return false;
	json_append_row(
		array, fields,
		(const struct value[]){ TEXT("rate"),
	                                TEXT(is_new ? NULL : rate_print(was, &c->rate_before)),
	                                TEXT(rate_print(is, &c->rate_after)) },
		3);
	return true;
}

json_object *limits_json(const struct limit_changes *changes, const char *before, const char *after)
{
	char renewal_before[32], renewal_after[32];
	static const char *const names[] = {
		[LIMIT_NAME] = "name",           [LIMIT_SHADOW] = "shadow",
		[LIMIT_SUSPENDED] = "suspended", [LIMIT_RATE] = "rate_per_sec",
		[LIMIT_KERNELS] = "kernels",     [LIMIT_GPU_MEMORY] = "gpu_memory_bytes",
		[LIMIT_BUDGET] = "budget_ns",    [LIMIT_ALERTS] = "alerts",
	};
	const struct field fields[] = {
		{ "field", NULL, KIND_TEXT, 0 },          { before, NULL, KIND_TOTAL, FIELD_LIMIT },
		{ after, NULL, KIND_TOTAL, FIELD_LIMIT }, { "engagement", NULL, KIND_ID, 0 },
		{ renewal_before, NULL, KIND_TEXT, 0 },   { renewal_after, NULL, KIND_TEXT, 0 },
	};
	const struct field names_fields[] = {
		{ "field", NULL, KIND_TEXT, 0 },
		{ before, NULL, KIND_TEXT, 0 },
		{ after, NULL, KIND_TEXT, 0 },
	};
	const struct field mode_fields[] = {
		{ "field", NULL, KIND_TEXT, 0 },
		{ before, NULL, KIND_BOOL, 0 },
		{ after, NULL, KIND_BOOL, 0 },
	};
	json_object *array = json_new_list();

	snprintf(renewal_before, sizeof(renewal_before), "renewal_%s", before);
	snprintf(renewal_after, sizeof(renewal_after), "renewal_%s", after);
	for (size_t i = 0; i < changes->count; i++) {
		const struct limit_change *c = &changes->list[i];
		bool alerts = c->limit == LIMIT_ALERTS;
		char was[UNITS_TEXT], is[UNITS_TEXT];
		const char *before_text = alerts && c->before ? alerts_text(was, c->before)
		                                              : c->name_before;
		const char *after_text = alerts && c->after ? alerts_text(is, c->after)
		                                            : c->name_after;
		const struct value texts[] = { TEXT(names[c->limit]), TEXT(before_text),
			                       TEXT(after_text) };
		const struct value modes[] = { TEXT(names[c->limit]), NUMBER(c->before),
			                       NUMBER(c->after) };
		const struct value values[] = {
			TEXT(names[c->limit]),
			NUMBER(changes->is_new ? UINT64_MAX : c->before),
			NUMBER(c->after),
			NUMBER(c->engagement),
			renewal_text(changes->is_new ? UINT64_MAX : c->before, c->renewal_before),
			renewal_text(c->after, c->renewal_after),
		};

		if (c->limit == LIMIT_RATE && json_rate(array, c, changes->is_new, before, after))
			continue;
		if (c->limit == LIMIT_NAME || alerts)
			json_append_row(array, names_fields, texts, 3);
		else if (c->limit == LIMIT_SHADOW || c->limit == LIMIT_SUSPENDED)
			json_append_row(array, mode_fields, modes, 3);
		else
			json_append_row(array, fields, values, c->limit == LIMIT_BUDGET ? 6 : 3);
	}
	return array;
}
