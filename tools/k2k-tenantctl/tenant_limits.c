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

struct limits limits_of_tenant(const struct tenants *tenants, const struct tenant *t)
{
	const struct k2k_tenant_info *i = &t->info;

	return (struct limits){
		.rate = i->max_messages_per_sec,
		.kernels = i->max_concurrent_kernels == K2K_UNLIMITED_KERNELS
		                   ? UINT64_MAX
		                   : i->max_concurrent_kernels,
		.gpu_memory_bytes = i->max_gpu_memory_bytes,
		.budgets = {
			.first = tenants->budgets + t->first_budget,
			.count = t->budget_count,
			.stride = sizeof(struct k2k_budget_info),
			.engagement_at = offsetof(struct k2k_budget_info, engagement_id),
			.ns_at = offsetof(struct k2k_budget_info, budget_ns),
		},
	};
}

static void add(struct limit_changes *c, enum limit limit, uint64_t engagement, uint64_t before,
                uint64_t after)
{
	if (before != after || c->is_new)
		c->list[c->count++] = (struct limit_change){ limit, engagement, before, after };
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
	c->list = check_memory(calloc(3 + new->count + old->count, sizeof(*c->list)));
	add(c, LIMIT_RATE, 0, before->rate, after->rate);
	add(c, LIMIT_KERNELS, 0, before->kernels, after->kernels);
	add(c, LIMIT_GPU_MEMORY, 0, before->gpu_memory_bytes, after->gpu_memory_bytes);
	while (n < new->count || o < old->count) {
		uint64_t newer = n < new->count ? number_at(new, n, new->engagement_at) : 0;
		uint64_t older = o < old->count ? number_at(old, o, old->engagement_at) : 0;
		bool take_new = n < new->count && (o == old->count || newer <= older);
		bool take_old = o < old->count && (n == new->count || older <= newer);

		add(c, LIMIT_BUDGET, take_new ? newer : older,
		    take_old ? number_at(old, o, old->ns_at) : UINT64_MAX,
		    take_new ? number_at(new, n, new->ns_at) : UINT64_MAX);
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

static const char *value_text(char text[UNITS_TEXT], enum limit limit, uint64_t value)
{
	if (value == UINT64_MAX)
		return limit == LIMIT_BUDGET ? "none" : "unlimited";
	switch (limit) {
	case LIMIT_RATE: return units_print_rate(text, value);
	case LIMIT_GPU_MEMORY: return units_print_size(text, value);
	case LIMIT_BUDGET: return units_print_duration(text, value);
	case LIMIT_KERNELS: break;
	}
	units_print_number(text, value);
	return text;
}

void limits_print(FILE *out, const struct limit_changes *changes)
{
	static const char *const names[] = { [LIMIT_RATE] = "rate",
		                             [LIMIT_KERNELS] = "kernels",
		                             [LIMIT_GPU_MEMORY] = "GPU memory" };

	for (size_t i = 0; i < changes->count; i++) {
		const struct limit_change *c = &changes->list[i];
		char before[UNITS_TEXT], after[UNITS_TEXT];

		fputs(i ? ", " : ": ", out);
		if (c->limit == LIMIT_BUDGET)
			fprintf(out, "budget %" PRIu64 ":", c->engagement);
		else
			fputs(names[c->limit], out);
		if (!changes->is_new)
			fprintf(out, " %s ->", value_text(before, c->limit, c->before));
		fprintf(out, " %s", value_text(after, c->limit, c->after));
	}
}

json_object *limits_json(const struct limit_changes *changes, const char *before, const char *after)
{
	static const char *const names[] = {
		[LIMIT_RATE] = "rate_per_sec",
		[LIMIT_KERNELS] = "kernels",
		[LIMIT_GPU_MEMORY] = "gpu_memory_bytes",
		[LIMIT_BUDGET] = "budget_ns",
	};
	const struct field fields[] = {
		{ "field", NULL, KIND_TEXT, 0 },
		{ before, NULL, KIND_TOTAL, FIELD_LIMIT },
		{ after, NULL, KIND_TOTAL, FIELD_LIMIT },
		{ "engagement", NULL, KIND_ID, 0 },
	};
	json_object *array = json_new_list();

	for (size_t i = 0; i < changes->count; i++) {
		const struct limit_change *c = &changes->list[i];
		const struct value values[] = {
			TEXT(names[c->limit]),
			NUMBER(changes->is_new ? UINT64_MAX : c->before),
			NUMBER(c->after),
			NUMBER(c->engagement),
		};

		json_append_row(array, fields, values, c->limit == LIMIT_BUDGET ? 4 : 3);
	}
	return array;
}
