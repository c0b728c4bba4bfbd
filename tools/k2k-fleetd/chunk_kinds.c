/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* chunk_kinds.c - budgets, rates, kernels and GPU memory in the registry: use and limits */
#include "agent.h"
#include "common/clock.h"

#include <inttypes.h>
#include <stdlib.h>

#define MEASURE_NS UINT64_C(1000000000) /* the shortest time over which messages are counted */

const char *const chunk_kind_names[CHUNK_KINDS] = {
	[CHUNK_BUDGET] = "budget",
	[CHUNK_RATE] = "rate",
	[CHUNK_KERNELS] = "kernels",
	[CHUNK_GPU_MEMORY] = "gpu_memory",
};

uint64_t chunk_sum(uint64_t a, uint64_t b)
{
	const uint64_t most = UINT64_MAX - 1;

	return a < most && b < most - a ? a + b : most;
}

uint64_t chunk_floor(const struct chunk *c)
{
	return c->least < c->fair / 4 ? c->least : c->fair / 4;
}

/* ---- the look ---------------------------------------------------------------------------- */

/* Of several budgets they are one number. Those in shadow say the same. */
static uint64_t rejections(const struct k2k_tenant_info *t, enum chunk_kind kind)
{
	const struct k2k_rejected *r = &t->rejected_total, *s = &t->shadow_rejected_total;

	switch (kind) {
	case CHUNK_RATE: return r->rate + s->rate;
	case CHUNK_KERNELS: return r->kernels + s->kernels;
	case CHUNK_GPU_MEMORY: return r->gpu_memory + s->gpu_memory;
	default: return r->budget;
	}
}

static void look_at(struct chunk *c, uint64_t used, uint64_t rejected)
{
	bool refused = c->looked && rejected != c->rejected;
	uint64_t spare = c->drawn > used ? c->drawn - used : 0;
	uint64_t quarter = c->kind == CHUNK_BUDGET ? 0 : used / 4;

	c->there = true;
	c->wants = !c->looked || refused ||
	           (c->kind == CHUNK_BUDGET ? used > c->used
	                                    : used > c->drawn / 2 || c->drawn < chunk_floor(c));
	c->used = used;
	c->ask = quarter > c->least ? quarter : c->least;
	/* it may have been too large for all that is there */
	if (refused && spare >= c->ask)
		c->ask = chunk_sum(spare, spare);
	c->rejected = rejected;
	c->looked = true;
}

/* Messages a second, of the last two measurements the larger one. */
static uint64_t messages(struct chunk *c, const struct k2k_tenant_info *t)
{
	uint64_t now = clock_monotonic_ns(), passed = now - c->admitted_at_ns, count;

	if (c->looked && passed < MEASURE_NS)
		return c->used;
	count = t->admitted_total - c->admitted;
	c->admitted = t->admitted_total;
	c->admitted_at_ns = now;
	if (!c->looked)
		return 0;
	count = (uint64_t)((double)count * 1e9 / (double)passed);
	c->measured[0] = c->measured[1];
	c->measured[1] = count;
	return c->measured[0] > count ? c->measured[0] : count;
}

static void look_at_share(struct chunk *c, const struct k2k_tenant_info *t)
{
	switch (c->kind) {
	case CHUNK_RATE:
		c->in_force = t->rate_shared && t->rate_alone == c->alone ? t->max_messages_per_sec
		                                                          : UINT64_MAX;
		look_at(c, messages(c, t), rejections(t, c->kind));
		break;
	case CHUNK_KERNELS:
		c->in_force = t->max_concurrent_kernels;
		look_at(c, t->kernels, rejections(t, c->kind));
		break;
	default:
		c->in_force = t->max_gpu_memory_bytes;
		look_at(c, t->gpu_memory_bytes, rejections(t, c->kind));
	}
}

/* Whether its tenant stays. *t is that; its generation is 0 if it can't be read. */
static bool read_tenant(struct agent *a, const struct chunk *c, struct k2k_tenant_info *t)
{
	const struct registration *r = registration_find(a, c->generation);

	*t = (struct k2k_tenant_info){ .size = sizeof(*t) };
	if (!r || r->leaving_since_ns)
		return false;
	/* of a damaged one the rate is known, and what is held is not */
	if (k2k_tenant_get(a->reg, r->tenant, t) &&
	    !(c->kind == CHUNK_RATE && t->flags & K2K_TENANT_DAMAGED))
		*t = (struct k2k_tenant_info){ .size = sizeof(*t) };
	return true;
}

int chunks_look(struct agent *a)
{
	struct k2k_budget_info *budgets;
	struct k2k_tenant_info t;
	size_t count;
	int code = fetch_list(a->reg, LIST_BUDGETS, 0, (void **)&budgets, &count);

	if (code)
		return code;
	for (size_t i = 0; i < a->chunk_count; i++) {
		struct chunk *c = &a->chunks[i];

		c->there = false;
		if (c->kind != CHUNK_BUDGET && read_tenant(a, c, &t) &&
		    t.generation == c->generation)
			look_at_share(c, &t);
	}
	for (size_t i = 0; i < count; i++) {
		const struct k2k_budget_info *b = &budgets[i];
		struct chunk *c = chunk_find(a, CHUNK_BUDGET, b->generation, b->engagement_id);
		uint64_t used = chunk_sum(b->used_ns, b->reserved_ns);

		if (!c || b->flags & K2K_TENANT_DAMAGED || !read_tenant(a, c, &t))
			continue;
		c->in_force = b->renewal == K2K_RENEWAL_NEVER ? b->budget_ns : UINT64_MAX;
		look_at(c, used > c->base ? used - c->base : 0, rejections(&t, CHUNK_BUDGET));
	}
	free(budgets);
	return 0;
}

/* ---- setting ----------------------------------------------------------------------------- */

static int set(struct agent *a, const struct chunk *c, k2k_tenant_id tenant)
{
	struct k2k_quota quota = K2K_QUOTA_STANDARD;

	switch (c->kind) {
	case CHUNK_RATE:
		quota.max_messages_per_sec = c->budget;
		quota.rate_shared = 1;
		quota.rate_alone = c->alone;
		return k2k_tenant_update(a->reg, tenant, &quota, K2K_UPDATE_RATE);
	case CHUNK_KERNELS:
		quota.max_concurrent_kernels = (uint32_t)c->budget;
		return k2k_tenant_update(a->reg, tenant, &quota, K2K_UPDATE_KERNELS);
	case CHUNK_GPU_MEMORY:
		quota.max_gpu_memory_bytes = c->budget;
		return k2k_tenant_update(a->reg, tenant, &quota, K2K_UPDATE_GPU_MEMORY);
	default:
		return k2k_budget_set_renewing(a->reg, tenant, c->engagement, c->budget,
		                               K2K_RENEWAL_NEVER);
	}
}

int chunk_set(struct agent *a, const struct chunk *c)
{
	const struct registration *r = registration_find(a, c->generation);
	int code = r ? set(a, c, r->tenant) : 0;

	if (code && code != K2K_ENOTENANT)
		say(a, "tenant %" PRIu64 ": its %s can't be set: %s", r->tenant,
		    chunk_kind_names[c->kind], k2k_strerror(code));
	return code == K2K_ENOTENANT ? 0 : code;
}
