/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* table.h - a chained hash table in shared memory, filled before anybody else sees it */
#ifndef K2K_BENCH_TABLE_H
#define K2K_BENCH_TABLE_H

#include "peer.h"

#define TABLE_NONE UINT32_MAX

struct table_entry {
	_Alignas(64) struct peer_tenant tenant;
	/* {second: 32 bits, used: 32 bits}, of those who count without a lock */
	_Atomic uint64_t window;
	_Atomic uint64_t total; /* of the same */
	uint32_t next;
};

struct table {
	uint32_t mask;
	uint32_t *buckets; /* at the same address in forked processes */
	struct table_entry *entries;
};

static inline uint32_t *table_bucket(const struct table *table, uint64_t id)
{
	return &table->buckets[(id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & table->mask];
}

static inline struct table_entry *table_find(const struct table *table, uint64_t id)
{
	uint32_t at = *table_bucket(table, id);

	while (at != TABLE_NONE && table->entries[at].tenant.id != id)
		at = table->entries[at].next;
	return at == TABLE_NONE ? NULL : &table->entries[at];
}

static inline void table_fill(struct table *table, const struct peer_options *options,
                              const uint64_t *ids)
{
	uint32_t buckets = 1;

	while (buckets < 2 * options->tenants)
		buckets *= 2;
	table->mask = buckets - 1;
	table->buckets = (uint32_t *)peer_shared(buckets * sizeof(*table->buckets));
	table->entries = (struct table_entry *)peer_shared(options->tenants *
	                                                   sizeof(*table->entries));
	for (uint32_t i = 0; i < buckets; i++)
		table->buckets[i] = TABLE_NONE;
	for (uint32_t i = 0; i < options->tenants; i++) {
		uint32_t *bucket = table_bucket(table, ids[i]);

		table->entries[i].tenant.id = ids[i];
		table->entries[i].tenant.limit = options->limit;
		table->entries[i].next = *bucket;
		*bucket = i;
	}
}

#endif
