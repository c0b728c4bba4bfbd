/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the directory of kernels is compared with: a hash table of one process, by liburcu, flavour
 * bp, its read side inlined. It has no owners, and nobody else sees it.
 */
#define _LGPL_SOURCE
#include <urcu/urcu-bp.h>
#include <urcu/rculfhash.h>

#include "bench.h"
#include "common/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 4 }; /* of a name, padded with zeros */

struct name_entry {
	_Alignas(64) struct cds_lfht_node node; /* what a look-up reads is in two cache lines */
	uint64_t name[WORDS];
	_Alignas(64) _Atomic uint64_t *count; /* of its tenant */
	uint64_t address[2];
};

static void read_name(const char *text, uint64_t words[WORDS])
{
	memset(words, 0, WORDS * sizeof(*words));
	memcpy(words, text, strnlen(text, WORDS * sizeof(*words)));
}

static unsigned long hash(const uint64_t words[WORDS])
{
	unsigned __int128 sum = 0;

	for (int i = 0; i < WORDS; i += 2)
		sum += (unsigned __int128)(words[i] + UINT64_C(0x9e3779b97f4a7c15)) *
		       (words[i + 1] + UINT64_C(0xbf58476d1ce4e5b9));
	return (unsigned long)(uint64_t)(sum >> 64) ^ (unsigned long)(uint64_t)sum;
}

static int matches(struct cds_lfht_node *node, const void *words)
{
	return memcmp(caa_container_of(node, struct name_entry, node)->name, words,
	              WORDS * sizeof(uint64_t)) == 0;
}

static const struct name_entry *find(const struct name_table *t, uint64_t kernel)
{
	struct cds_lfht_node *node;
	struct cds_lfht_iter iter;
	uint64_t words[WORDS];

	read_name(t->kernels->names[kernel], words);
	cds_lfht_lookup(t->table, hash(words), matches, words, &iter);
	node = cds_lfht_iter_get_node(&iter);
	if (!node)
		die("cds_lfht has lost a name");
	return caa_container_of(node, struct name_entry, node);
}

void loop_table_find(void *state, uint64_t calls)
{
	const struct name_table *t = state;
	uint64_t sum = 0;

	for (; calls; calls--) {
		uint64_t i = kernels_next(t->kernels);

		urcu_bp_read_lock();
		sum += find(t, i)->address[0];
		urcu_bp_read_unlock();
	}
	USE(sum);
}

void loop_table_route(void *state, uint64_t calls)
{
	const struct name_table *t = state;
	uint64_t sum = 0;

	for (; calls; calls--) {
		uint64_t i = kernels_next(t->kernels);
		const struct name_entry *from, *to;

		urcu_bp_read_lock();
		from = find(t, i);
		to = find(t, kernel_partner(i));
		if (from->count != to->count)
			die("two kernels of one tenant are of two");
		sum += atomic_fetch_add(from->count, 1) + to->address[0];
		urcu_bp_read_unlock();
	}
	USE(sum);
}

void name_table_fill(struct name_table *t, const struct kernels *kernels)
{
	unsigned long buckets = 1;
	_Atomic uint64_t(*counts)[8]; /* a cache line each */

	while (buckets < kernels->count)
		buckets *= 2;
	t->entries = check_memory(aligned_alloc(64, kernels->count * sizeof(*t->entries)));
	counts = check_memory(aligned_alloc(64, kernels->count * sizeof(*counts)));
	memset(counts, 0, kernels->count * sizeof(*counts));
	t->table = check_memory(
		cds_lfht_new_flavor(buckets, buckets, buckets, 0, &urcu_bp_flavor, NULL));
	for (uint64_t i = 0; i < kernels->count; i++) {
		struct name_entry *entry = &t->entries[i];

		read_name(kernels->names[i], entry->name);
		entry->count = &counts[i / KERNELS_A_TENANT][0];
		entry->address[0] = i;
		cds_lfht_node_init(&entry->node);
		urcu_bp_read_lock();
		cds_lfht_add(t->table, hash(entry->name), &entry->node);
		urcu_bp_read_unlock();
	}
}
