/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The directory of kernels: a name found, and a message from one kernel to another decided. */
#include "bench.h"
#include "common/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TAG ((struct k2k_audit_tag){ 1, 1 })
#define ADMIT_AND_NS 120

void kernels_make(struct kernels *kernels, uint64_t count)
{
	kernels->count = kernels->order_count = count;
	kernels->names = check_memory(malloc(count * sizeof(*kernels->names)));
	for (uint64_t i = 0; i < count; i++)
		snprintf(kernels->names[i], sizeof(*kernels->names), "kernel-%016" PRIx64,
		         tenant_id(i));
	kernels->order = numbers_in_random_order(count);
	kernels->at = 0;
}

/* Loops of the directory. */
struct finding {
	struct k2k_registry *reg;
	struct kernels *kernels;
};

static void loop_find(void *state, uint64_t calls)
{
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;
	const struct finding *f = state;
	int bad = 0;

	for (; calls; calls--) {
		int code = k2k_kernel_find(f->reg, f->kernels->names[kernels_next(f->kernels)],
		                           &info);

		if (code)
			bad = code;
	}
	if (bad)
		die_of(bad, "finding a kernel");
}

static void loop_route(void *state, uint64_t calls)
{
	struct k2k_route route = K2K_ROUTE_INIT;
	const struct finding *f = state;
	int bad = 0;

	for (; calls; calls--) {
		uint64_t i = kernels_next(f->kernels);
		int code = k2k_message_route(f->reg, f->kernels->names[i],
		                             f->kernels->names[kernel_partner(i)], TAG, 1, &route,
		                             NULL);

		if (code || !(route.flags & K2K_ROUTE_DESTINATION))
			bad = code ? code : K2K_ENOKERNEL;
	}
	if (bad)
		die_of(bad, "a message from one kernel to another");
}

struct named {
	const char *what;
	uint64_t count; /* 0: many() */
	struct kernels random, hot;
	uint64_t hottest;
	k2k_tenant_id hot_id;
	struct finding find_random, find_hot;
	struct name_table table_random, table_hot;
	struct target target;
	struct loop admit, loops[8]; /* as the rows */
};

static struct k2k_registry *create(const struct named *n, char name[K2K_NAME_MAX + 1])
{
	struct k2k_create_options create = K2K_CREATE_OPTIONS_INIT;
	struct k2k_registry *admin;
	int code;

	create.max_tenants = create.max_leases = n->count / KERNELS_A_TENANT;
	create.max_engagements = 64;
	create.max_budgets = 16;
	create.max_kernels = n->count;
	registry_name(name, n->what);
	code = k2k_registry_create(name, &create, &admin);
	if (code)
		die_of(code, "creating a registry");
	register_tenants(admin, n->count / KERNELS_A_TENANT);
	return admin;
}

static void open_names(void *state)
{
	struct named *n = state;
	char name[K2K_NAME_MAX + 1] = "";
	struct k2k_registry *broker;

	if (!n->count)
		n->count = many();
	create(n, name);
	broker = open_broker(name);
	kernels_make(&n->random, n->count);
	for (uint64_t i = 0; i < n->count; i++) {
		int code = k2k_kernel_add(broker, n->random.names[i],
		                          tenant_id(i / KERNELS_A_TENANT), TAG, NULL, NULL);

		if (code)
			die_of(code, "adding a kernel");
	}
	/* added last, so both are the first of their buckets, as most are */
	n->hottest = n->count - 2;
	n->hot = n->random;
	n->hot.order = &n->hottest;
	n->hot.order_count = 1;
	n->hot_id = tenant_id(n->hottest / KERNELS_A_TENANT);
	n->find_random = (struct finding){ broker, &n->random };
	n->find_hot = (struct finding){ broker, &n->hot };
	name_table_fill(&n->table_random, &n->random);
	n->table_hot = n->table_random;
	n->table_random.kernels = &n->random;
	n->table_hot.kernels = &n->hot;
	n->target = (struct target){ broker, &n->hot_id, 1, 0 };
	n->admit = (struct loop){ op_loops[OP_ADMIT], &n->target, 0 };
	/* in random order, each sample is at least one walk over all of them */
	n->loops[0] = (struct loop){ loop_find, &n->find_hot, 0 };
	n->loops[1] = (struct loop){ loop_find, &n->find_random, n->count };
	n->loops[2] = (struct loop){ loop_route, &n->find_hot, 0 };
	n->loops[3] = (struct loop){ loop_route, &n->find_random, n->count };
	n->loops[4] = (struct loop){ loop_table_find, &n->table_hot, 0 };
	n->loops[5] = (struct loop){ loop_table_find, &n->table_random, n->count };
	n->loops[6] = (struct loop){ loop_table_route, &n->table_hot, 0 };
	n->loops[7] = (struct loop){ loop_table_route, &n->table_random, n->count };
}

static void round_names(void *state, struct sample *samples)
{
	struct named *n = state;
	double admit;

	for (int i = 0; i < 8; i++) {
		/* as in messages.c: all once before the timed loop */
		if (i % 2)
			n->loops[i].run(n->loops[i].state, n->count);
		samples[i].value = time_loop(&n->loops[i]);
	}
	admit = time_loop(&n->admit);
	for (int i = 0; i < 4; i++)
		samples[i].ratio = samples[i].value / samples[i + 4].value;
	samples[2].ratio = samples[2].value / (admit + ADMIT_AND_NS);
}

#define ROW(name, text, against, goal, target)                              \
	{                                                                   \
		name, text, UNIT_NS, AGAINST_##against, GOAL_##goal, target \
	}
#define NAME_ROWS(suffix, of, goal)                                                               \
	ROW("name_hot_" suffix, "a kernel found by name, the same one, " of, TABLE, goal, 60),    \
		ROW("name_random_" suffix, "a kernel found by name, at random, " of, TABLE, NONE, \
	            0),                                                                           \
		ROW("route_hot_" suffix, "a message decided, two kernels, " of, ADMIT_120,        \
	            RATIO_AT_MOST, 1),                                                            \
		ROW("route_random_" suffix, "a message decided, at random, " of, TABLE, NONE, 0), \
		ROW("hash_table_name_hot_" suffix, "cds_lfht: the same one found, " of, NOTHING,  \
	            NONE, 0),                                                                     \
		ROW("hash_table_name_random_" suffix, "cds_lfht: found at random, " of, NOTHING,  \
	            NONE, 0),                                                                     \
		ROW("hash_table_route_hot_" suffix, "cds_lfht: two found, fetch_add, " of,        \
	            NOTHING, NONE, 0),                                                            \
		ROW("hash_table_route_random_" suffix,                                            \
	            "cds_lfht: two found at random, fetch_add, " of, NOTHING, NONE, 0)

static const struct row_spec rows_1k[] = { NAME_ROWS("1k", "1,000 names", NONE) };
static const struct row_spec rows_100k[] = { NAME_ROWS("100k", "100,000 names", VALUE_AT_MOST) };
static struct named named_1k = { .what = "names-1k", .count = 1000 },
		    named_100k = { .what = "names-100k" };
const struct bench_case names_1k_case = { ROWS(rows_1k), .state = &named_1k, .open = open_names,
	                                  .round = round_names };
const struct bench_case names_100k_case = { ROWS(rows_100k), .state = &named_100k,
	                                    .open = open_names, .round = round_names };
