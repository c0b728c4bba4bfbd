/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "map.h"

#include <string.h>

#include "error.h"

#define PAGE 4096u

struct plan {
	struct k2k_shm_header *header;
	uint64_t at;
};

static void add(struct plan *plan, enum k2k_section_kind kind, size_t stride, uint64_t count)
{
	struct k2k_shm_section *section = &plan->header->sections[plan->header->section_count++];

	section->kind = kind;
	section->stride_bytes = (uint32_t)stride;
	section->offset_bytes = plan->at;
	section->count = count;
	plan->at = (plan->at + stride * count + K2K_CACHE_LINE - 1) / K2K_CACHE_LINE *
	           K2K_CACHE_LINE;
}

static void begin(struct plan *plan, struct k2k_shm_header *header)
{
	plan->header = header;
	plan->at = PAGE;
	header->section_count = 0;
	memset(header->sections, 0, sizeof(header->sections));
}

static void end(struct plan *plan)
{
	plan->header->total_bytes = (plan->at + PAGE - 1) / PAGE * PAGE;
}

/* At least one head for each record, so that chains stay short. */
static uint64_t heads_for(uint64_t records)
{
	uint64_t heads = 16;

	while (heads < records)
		heads *= 2;
	return heads;
}

/*
 * In a full table of leases, four records share a row, whoever they belong to. Engagements whose
 * indices differ by less than the number of rows share none.
 */
static uint64_t reserve_rows_for(const struct k2k_sizes *sizes)
{
	uint64_t rows = heads_for(sizes->leases) / 8, most = heads_for(sizes->engagements);

	return rows < 16 ? 16 : rows > most ? most : rows;
}

/* Few tenants are used so much that brokers get in each other's way. */
static uint64_t sources_for(uint64_t tenants)
{
	return tenants / 4 < K2K_SOURCES_MAX ? tenants / 4 + 1 : K2K_SOURCES_MAX;
}

void k2k_map_lay_out(const struct k2k_sizes *sizes, struct k2k_shm_header *defs,
                     struct k2k_shm_header *live)
{
	struct plan plan;

	begin(&plan, defs);
	/*
	 * Twice as many as for other records, so that 4 of 5 tenants are the first record of their
	 * bucket, and a message finds them at its first step.
	 */
	add(&plan, K2K_SECTION_TENANT_HEADS, sizeof(k2k_u32), 2 * heads_for(sizes->tenants));
	add(&plan, K2K_SECTION_TENANTS, sizeof(struct k2k_shm_tenant), sizes->tenants);
	add(&plan, K2K_SECTION_TENANTS_COLD, sizeof(struct k2k_shm_tenant_cold), sizes->tenants);
	add(&plan, K2K_SECTION_BUDGET_HEADS, sizeof(k2k_u32), heads_for(sizes->budgets));
	add(&plan, K2K_SECTION_BUDGETS, sizeof(struct k2k_shm_budget), sizes->budgets);
	end(&plan);

	begin(&plan, live);
	add(&plan, K2K_SECTION_SLOTS, sizeof(struct k2k_shm_slot), sizes->slots);
	add(&plan, K2K_SECTION_CELLS, sizeof(struct k2k_shm_cell), sizes->tenants);
	add(&plan, K2K_SECTION_CELLS_COLD, sizeof(struct k2k_shm_cell_cold), sizes->tenants);
	add(&plan, K2K_SECTION_LEDGER_HEADS, sizeof(k2k_u32), heads_for(sizes->engagements));
	add(&plan, K2K_SECTION_LEDGER, sizeof(struct k2k_shm_cost), sizes->engagements);
	add(&plan, K2K_SECTION_LEASE_ROWS, sizeof(k2k_u32) * sizes->slots,
	    sizes->tenants + reserve_rows_for(sizes));
	add(&plan, K2K_SECTION_LEASES, sizeof(struct k2k_shm_lease), sizes->leases);
	add(&plan, K2K_SECTION_RESERVE_ROWS, sizeof(struct k2k_shm_reserve_row),
	    reserve_rows_for(sizes));
	add(&plan, K2K_SECTION_RINGS, sizeof(struct k2k_shm_ring), K2K_RINGS(sizes->slots));
	add(&plan, K2K_SECTION_EVENTS, sizeof(struct k2k_shm_event),
	    K2K_RINGS((uint64_t)sizes->slots) * sizes->events);
	add(&plan, K2K_SECTION_FOLLOWERS, sizeof(struct k2k_shm_follower), K2K_FOLLOWERS);
	add(&plan, K2K_SECTION_POSITIONS, sizeof(k2k_u64) * K2K_RINGS(sizes->slots), K2K_FOLLOWERS);
	add(&plan, K2K_SECTION_PERIODS, sizeof(struct k2k_shm_period), sizes->budgets);
	add(&plan, K2K_SECTION_KERNEL_CLAIMS, sizeof(k2k_u64), heads_for(sizes->kernels));
	add(&plan, K2K_SECTION_KERNEL_HEADS, sizeof(k2k_u32), heads_for(sizes->kernels));
	add(&plan, K2K_SECTION_KERNELS, sizeof(struct k2k_shm_kernel), sizes->kernels);
	add(&plan, K2K_SECTION_SOURCES, sizeof(struct k2k_shm_source), sources_for(sizes->tenants));
	add(&plan, K2K_SECTION_SHARES, sizeof(struct k2k_shm_share),
	    sources_for(sizes->tenants) * sizes->slots);
	end(&plan);
}

static int bind_section(const struct k2k_segment *seg, const char *object,
                        enum k2k_section_kind kind, size_t stride, void **base, uint64_t *count)
{
	const struct k2k_shm_header *header = &seg->header;
	uint32_t sections = header->section_count;

	if (sections > K2K_SECTIONS_MAX)
		return k2k_fail_values(K2K_ECORRUPT, object, "section count", K2K_SECTIONS_MAX,
		                       sections, "%s lists too many sections", seg->path);
	for (uint32_t i = 0; i < sections; i++) {
		const struct k2k_shm_section *section = &header->sections[i];

		if (section->kind != kind)
			continue;
		if (section->stride_bytes != stride)
			return k2k_fail_values(K2K_ELAYOUT, object, "record size", stride,
			                       section->stride_bytes,
			                       "section %d of %s has records of %u bytes",
			                       (int)kind, seg->path, section->stride_bytes);
		if (section->count == 0 || section->count > UINT32_MAX - 1 ||
		    section->offset_bytes % K2K_CACHE_LINE || section->offset_bytes < PAGE ||
		    section->offset_bytes > seg->bytes ||
		    section->count * stride > seg->bytes - section->offset_bytes)
			return k2k_fail_values(
				K2K_ECORRUPT, object, "section", (uint64_t)kind, section->count,
				"section %d of %s lies outside the file", (int)kind, seg->path);
		*base = seg->base + section->offset_bytes;
		*count = section->count;
		return 0;
	}
	return k2k_fail_values(K2K_ECORRUPT, object, "section", (uint64_t)kind, 0,
	                       "%s has no section %d", seg->path, (int)kind);
}

static int wrong_count(const char *object, uint64_t expected, uint64_t found)
{
	return k2k_fail_values(K2K_ECORRUPT, object, "count", expected, found,
	                       "the sizes of the sections of %s contradict each other", object);
}

int k2k_map_bind(struct k2k_map *map, const struct k2k_segment *defs,
                 const struct k2k_segment *live)
{
	uint64_t tenant_heads, tenants, cold, budget_heads, budgets, slots = 0, cells, cells_cold,
								     ledger_heads, ledger, leases;
	uint64_t lease_rows = 0, reserve_rows, rings = 0, events, followers, positions, periods;
	uint64_t claims, kernel_heads, kernels, sources, shares;
	int code = 0;

	memset(map, 0, sizeof(*map));
	map->defs = (struct k2k_shm_defs *)(void *)defs->base;
	map->live = (struct k2k_shm_live *)(void *)live->base;
	if (memcmp(defs->header.uuid, live->header.uuid, sizeof(live->header.uuid)) != 0)
		return k2k_fail(K2K_ECORRUPT, "live", "uuid",
		                "defs and live belong to different registries");
#define BIND_ROWS(seg, object, kind, bytes, field, counter)                             \
	do {                                                                            \
		void *base = NULL;                                                      \
		if (!code)                                                              \
			code = bind_section(seg, object, kind, bytes, &base, &counter); \
		map->field = base;                                                      \
	} while (0)
#define BIND(seg, object, kind, field, counter) \
	BIND_ROWS(seg, object, kind, sizeof(*map->field), field, counter)
	BIND(defs, "defs", K2K_SECTION_TENANT_HEADS, tenant_heads, tenant_heads);
	BIND(defs, "defs", K2K_SECTION_TENANTS, tenants, tenants);
	BIND(defs, "defs", K2K_SECTION_TENANTS_COLD, tenants_cold, cold);
	BIND(defs, "defs", K2K_SECTION_BUDGET_HEADS, budget_heads, budget_heads);
	BIND(defs, "defs", K2K_SECTION_BUDGETS, budgets, budgets);
	BIND(live, "live", K2K_SECTION_SLOTS, slots, slots);
	if (!code && slots > K2K_SLOTS_MAX)
		code = wrong_count("live", K2K_SLOTS_MAX, slots);
	/* before the sections whose record sizes follow from the slots */
	BIND(live, "live", K2K_SECTION_RINGS, rings, rings);
	if (!code && rings != K2K_RINGS(slots))
		code = wrong_count("live", K2K_RINGS(slots), rings);
	BIND(live, "live", K2K_SECTION_CELLS, cells, cells);
	BIND(live, "live", K2K_SECTION_CELLS_COLD, cells_cold, cells_cold);
	BIND(live, "live", K2K_SECTION_LEDGER_HEADS, ledger_heads, ledger_heads);
	BIND(live, "live", K2K_SECTION_LEDGER, ledger, ledger);
	BIND_ROWS(live, "live", K2K_SECTION_LEASE_ROWS, sizeof(k2k_u32) * slots, lease_links,
	          lease_rows);
	BIND(live, "live", K2K_SECTION_LEASES, leases, leases);
	BIND(live, "live", K2K_SECTION_RESERVE_ROWS, reserve_rows, reserve_rows);
	BIND(live, "live", K2K_SECTION_EVENTS, events, events);
	BIND(live, "live", K2K_SECTION_FOLLOWERS, followers, followers);
	BIND_ROWS(live, "live", K2K_SECTION_POSITIONS, sizeof(k2k_u64) * K2K_RINGS(slots),
	          positions, positions);
	BIND(live, "live", K2K_SECTION_PERIODS, periods, periods);
	BIND(live, "live", K2K_SECTION_KERNEL_CLAIMS, kernel_claims, claims);
	BIND(live, "live", K2K_SECTION_KERNEL_HEADS, kernel_heads, kernel_heads);
	BIND(live, "live", K2K_SECTION_KERNELS, kernels, kernels);
	BIND(live, "live", K2K_SECTION_SOURCES, sources, sources);
	BIND(live, "live", K2K_SECTION_SHARES, shares, shares);
#undef BIND
#undef BIND_ROWS
	if (code)
		return code;
	if (cold != tenants)
		return wrong_count("defs", tenants, cold);
	if (cells != tenants || cells_cold != tenants || lease_rows != tenants + reserve_rows)
		return wrong_count("live", tenants, cells);
	if (leases <= slots)
		return wrong_count("live", slots + 1, leases);
	if (followers != K2K_FOLLOWERS || positions != K2K_FOLLOWERS)
		return wrong_count("live", K2K_FOLLOWERS, followers);
	if (periods != budgets)
		return wrong_count("live", budgets, periods);
	if (sources != sources_for(tenants) || shares != sources * slots)
		return wrong_count("live", sources_for(tenants), sources);
	if (events % rings || (events / rings & (events / rings - 1)))
		return wrong_count("live", rings, events);
	if ((tenant_heads & (tenant_heads - 1)) || (budget_heads & (budget_heads - 1)) ||
	    (ledger_heads & (ledger_heads - 1)))
		return wrong_count("heads", 0, tenant_heads);
	if (reserve_rows & (reserve_rows - 1))
		return wrong_count("live", 0, reserve_rows);
	if (claims != kernel_heads || (kernel_heads & (kernel_heads - 1)))
		return wrong_count("live", kernel_heads, claims);
	map->tenant_mask = (uint32_t)(tenant_heads - 1);
	map->budget_mask = (uint32_t)(budget_heads - 1);
	map->ledger_mask = (uint32_t)(ledger_heads - 1);
	map->reserve_mask = (uint32_t)(reserve_rows - 1);
	map->kernel_mask = (uint32_t)(kernel_heads - 1);
	map->sizes.kernels = (uint32_t)kernels;
	map->sizes.tenants = (uint32_t)tenants;
	map->sizes.engagements = (uint32_t)ledger;
	map->sizes.leases = (uint32_t)leases;
	map->sizes.slots = (uint32_t)slots;
	map->sizes.rings = (uint32_t)rings;
	while ((slots - 1) >> map->slot_shift >= 64)
		map->slot_shift++;
	map->sizes.budgets = (uint32_t)budgets;
	map->sizes.sources = (uint32_t)sources;
	map->sizes.events = (uint32_t)(events / rings);
	return 0;
}
