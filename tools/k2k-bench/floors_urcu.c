/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floors by liburcu, flavour bp, its read side inlined, in one process and private memory. */
#define _LGPL_SOURCE
#include <urcu/urcu-bp.h>
#include <urcu/rculfhash.h>

#include "bench.h"
#include "common/memory.h"

#include <stdlib.h>

enum { BUCKETS = 1 << 17 };

struct entry {
	_Alignas(64) struct cds_lfht_node node; /* each in a cache line of its own */
	uint64_t key, value;
};

static struct cds_lfht *table;
static uint64_t *keys, key_count;
static uint64_t at;

static unsigned long hash(uint64_t key)
{
	return (unsigned long)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static int matches(struct cds_lfht_node *node, const void *key)
{
	return caa_container_of(node, struct entry, node)->key == *(const uint64_t *)key;
}

static void loop_section(void *state, uint64_t calls)
{
	(void)state;
	for (; calls; calls--) {
		urcu_bp_read_lock();
		urcu_bp_read_unlock();
	}
}

static void loop_lookup(void *state, uint64_t calls)
{
	uint64_t sum = 0;

	(void)state;
	for (; calls; calls--) {
		uint64_t key = keys[at];
		struct cds_lfht_iter iter;
		struct cds_lfht_node *node;

		at = at + 1 == key_count ? 0 : at + 1;
		urcu_bp_read_lock();
		cds_lfht_lookup(table, hash(key), matches, &key, &iter);
		node = cds_lfht_iter_get_node(&iter);
		if (!node)
			die("cds_lfht has lost a key");
		sum += caa_container_of(node, struct entry, node)->value;
		urcu_bp_read_unlock();
	}
	USE(sum);
}

static struct loop section = { loop_section, NULL, 0 }, lookup = { loop_lookup, NULL, 0 };

static void open_table(void *state)
{
	struct entry *entries = check_memory(aligned_alloc(64, many() * sizeof(*entries)));

	(void)state;
	key_count = many();
	keys = ids_in_random_order(key_count);
	table = check_memory(
		cds_lfht_new_flavor(BUCKETS, BUCKETS, BUCKETS, 0, &urcu_bp_flavor, NULL));
	for (uint64_t i = 0; i < key_count; i++) {
		entries[i].key = tenant_id(i);
		entries[i].value = i;
		cds_lfht_node_init(&entries[i].node);
		urcu_bp_read_lock();
		cds_lfht_add(table, hash(entries[i].key), &entries[i].node);
		urcu_bp_read_unlock();
	}
}

static void round_urcu(void *state, struct sample *samples)
{
	(void)state;
	samples[0].value = time_loop(&section);
	loop_lookup(NULL, key_count); /* as in messages.c: all keys once before the timed loop */
	samples[1].value = time_loop(&lookup);
}

static const struct row_spec rows[] = {
	{ "read_section", "an empty liburcu read section, inlined", UNIT_NS, AGAINST_NOTHING,
	  GOAL_NONE, 0 },
	{ "lfht_random_100k", "cds_lfht lookup at random over 100,000 keys, reads the node",
	  UNIT_NS, AGAINST_NOTHING, GOAL_NONE, 0 },
};
const struct bench_case urcu_case = { ROWS(rows), .floors = true, .open = open_table,
	                              .round = round_urcu };
