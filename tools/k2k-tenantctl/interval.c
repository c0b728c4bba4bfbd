/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "interval.h"

static void add(uint64_t *sum, uint64_t n)
{
	if (__builtin_add_overflow(*sum, n, sum))
		*sum = UINT64_MAX;
}

static uint64_t more(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static uint64_t all_of(const struct k2k_rejected *r)
{
	uint64_t sum = r->rate;

	add(&sum, r->budget);
	add(&sum, r->kernels);
	add(&sum, r->gpu_memory);
	return sum;
}

static void change_of(struct change *c, const struct snapshot_tenant *now,
                      const struct snapshot_tenant *before, uint64_t interval_ns)
{
	const struct k2k_rejected *r = &now->info.rejected_total,
				  *was = &before->info.rejected_total;

	*c = (struct change){
		.interval_ns = interval_ns,
		.admitted = more(now->info.admitted_total, before->info.admitted_total),
		.rate = more(r->rate, was->rate),
		.budget = more(r->budget, was->budget),
		.kernels = more(r->kernels, was->kernels),
		.memory = more(r->gpu_memory, was->gpu_memory),
		.suspended = more(now->info.suspended_rejected_total,
		                  before->info.suspended_rejected_total),
		.shadowed = more(all_of(&now->info.shadow_rejected_total),
		                 all_of(&before->info.shadow_rejected_total)),
		.gpu_ns = more(now->gpu_ns, before->gpu_ns),
		.unattributed_ns = more(now->info.unattributed_ns, before->info.unattributed_ns),
	};
}

static void add_change(struct change *all, const struct change *c)
{
	add(&all->admitted, c->admitted);
	add(&all->rate, c->rate);
	add(&all->budget, c->budget);
	add(&all->kernels, c->kernels);
	add(&all->memory, c->memory);
	add(&all->suspended, c->suspended);
	add(&all->shadowed, c->shadowed);
	add(&all->gpu_ns, c->gpu_ns);
	add(&all->unattributed_ns, c->unattributed_ns);
}

/*
 * Compares tenant by tenant, by generation, because the sum of all totals falls when a tenant is
 * deregistered. A tenant that was registered meanwhile began with 0. What a tenant counted between
 * the first snapshot and its deregistration is lost.
 */
void changes(const struct snapshot *now, const struct snapshot *before, struct change *all,
             struct change *each)
{
	static const struct snapshot_tenant none;
	size_t b = 0;

	*all = (struct change){
		.interval_ns = now->taken_ns - before->taken_ns,
		.unknown = more(now->registry.unknown_tenant_total,
		                before->registry.unknown_tenant_total),
		.cross = more(now->registry.cross_tenant_total,
		              before->registry.cross_tenant_total),
	};
	for (size_t i = 0; i < now->tenant_count; i++) {
		uint64_t generation = now->tenants[i].info.generation;
		struct change c;

		while (b < before->tenant_count && before->tenants[b].info.generation < generation)
			b++;
		change_of(&c, &now->tenants[i],
		          b < before->tenant_count &&
		                          before->tenants[b].info.generation == generation
		                  ? &before->tenants[b]
		                  : &none,
		          all->interval_ns);
		add_change(all, &c);
		if (each)
			each[i] = c;
	}
}

double per_second(uint64_t n, const struct change *c)
{
	return c->interval_ns ? (double)n * 1e9 / (double)c->interval_ns : 0;
}

void holdings(const struct snapshot *s, struct holdings *held)
{
	*held = (struct holdings){ 0 };
	for (size_t i = 0; i < s->broker_count; i++)
		held->brokers += s->brokers[i].state != K2K_BROKER_DEAD;
	for (size_t i = 0; i < s->tenant_count; i++) {
		add(&held->kernels, s->tenants[i].info.kernels);
		add(&held->bytes, s->tenants[i].info.gpu_memory_bytes);
	}
}
