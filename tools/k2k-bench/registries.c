/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"
#include "common/memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES_MAX = 32 };

static struct names {
	int pid; /* of the run */
	_Atomic uint32_t count;
	char text[NAMES_MAX][K2K_NAME_MAX + 1];
} * names;

const struct k2k_quota high_quota = { .size = sizeof(high_quota),
	                              .max_messages_per_sec = K2K_RATE_MAX,
	                              .max_gpu_memory_bytes = UINT64_C(1) << 50,
	                              .max_concurrent_kernels = 1 << 20 };

struct population population_1k = { .what = "1k", .tenants = 1000, .engagements = 1 };
struct population population_100k = { .what = "100k", .engagements = 1 }; /* many() */
struct population population_1m = { .what = "1m", .tenants = 1000000, .engagements = 4 };

void registries_prepare(void)
{
	names = shared_memory(sizeof(*names));
	names->pid = (int)getpid();
}

int run_pid(void)
{
	return names->pid;
}

void registry_name(char name[K2K_NAME_MAX + 1], const char *what)
{
	uint32_t count = atomic_load(&names->count);

	if (count >= NAMES_MAX)
		die("more than %d registries", NAMES_MAX);
	snprintf(name, K2K_NAME_MAX + 1, "bench-%d-%s", names->pid, what);
	strcpy(names->text[count], name);
	atomic_store(&names->count, count + 1);
}

void registries_destroy(void)
{
	for (uint32_t i = 0; i < atomic_load(&names->count); i++) {
		int code = k2k_registry_destroy(names->text[i], K2K_DESTROY_FORCE, NULL);

		if (code && code != K2K_ENOREGISTRY)
			fprintf(stderr,
			        BENCH_NAME ": registry %s stays: %s; 'k2k-tenantctl -r %s destroy "
			                   "-y' removes it\n",
			        names->text[i], k2k_strerror(code), names->text[i]);
	}
}

/* splitmix64: a bijection, and 0 only for an i that is out of reach */
k2k_tenant_id tenant_id(uint64_t i)
{
	uint64_t x = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

uint64_t *numbers_in_random_order(uint64_t count)
{
	uint64_t *numbers = check_memory(malloc(count * sizeof(*numbers)));

	for (uint64_t i = 0; i < count; i++)
		numbers[i] = i;
	/* the same order in each run; the seed is far from the numbers of the ids */
	for (uint64_t i = count - 1; i > 0; i--) {
		uint64_t j = tenant_id(i + (UINT64_C(1) << 40)) % (i + 1), number = numbers[i];

		numbers[i] = numbers[j];
		numbers[j] = number;
	}
	return numbers;
}

uint64_t *ids_in_random_order(uint64_t count)
{
	uint64_t *ids = numbers_in_random_order(count);

	for (uint64_t i = 0; i < count; i++)
		ids[i] = tenant_id(ids[i]);
	return ids;
}

struct k2k_registry *create_registry(char name[K2K_NAME_MAX + 1], const char *what,
                                     uint64_t tenants, uint64_t engagements)
{
	struct k2k_create_options create = K2K_CREATE_OPTIONS_INIT;
	struct k2k_registry *admin;
	int code;

	create.max_tenants = tenants;
	/* one tenant may take half of the table, and a quarter is reserved for budgets */
	create.max_engagements = 3 * engagements;
	create.max_budgets = 16;
	create.max_leases = 1024;
	if (!*name)
		registry_name(name, what);
	code = k2k_registry_create(name, &create, &admin);
	if (code)
		die_of(code, "creating a registry");
	return admin;
}

void register_tenants(struct k2k_registry *admin, uint64_t tenants)
{
	int code = k2k_batch_begin(admin);

	for (uint64_t i = 0; !code && i < tenants; i++)
		code = k2k_tenant_register(admin, tenant_id(i), &high_quota);
	if (!code)
		code = k2k_batch_end(admin);
	if (code)
		die_of(code, "registering tenants");
}

struct k2k_registry *open_broker(const char *name)
{
	struct k2k_registry *broker;
	int code = k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &broker);

	if (code)
		die_of(code, "attaching a broker");
	return broker;
}

void population_need(struct population *p)
{
	uint64_t start;

	if (p->admin)
		return;
	if (p == &population_100k)
		p->tenants = many();
	p->admin = create_registry(p->name, p->what, p->tenants, p->tenants * p->engagements);
	start = now_ns();
	register_tenants(p->admin, p->tenants);
	p->register_ns = (double)(now_ns() - start);
	p->broker = open_broker(p->name);
	p->ids = ids_in_random_order(p->tenants);
	for (uint64_t e = 1; e <= p->engagements; e++)
		for (uint64_t i = 0; i < p->tenants; i++) {
			int code = k2k_usage_track(p->broker, p->ids[i],
			                           (struct k2k_audit_tag){ 1, e }, 1);

			if (code)
				die_of(code, "booking an engagement");
		}
}
