/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process-shared pthread_rwlock around a hash table in shared memory: messages take it for
 * reading, and count by atomics of their tenant; who registers tenants would take it for writing.
 */
#include "table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static struct shared {
	_Alignas(128) pthread_rwlock_t lock;
	_Alignas(128) struct table table;
} * shared;

static void create(const struct peer_options *options, const uint64_t *ids)
{
	pthread_rwlockattr_t attributes;

	shared = peer_shared(sizeof(*shared));
	table_fill(&shared->table, options, ids);
	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_rwlock_init(&shared->lock, &attributes);
}

/* Second and count in one word, so that a new second can't lose what others count meanwhile. */
static int64_t admit(struct table_entry *entry, uint32_t now)
{
	uint64_t window = atomic_load(&entry->window), next;

	do {
		next = window >> 32 < now ? (uint64_t)now << 32 : window;
		if ((uint32_t)next >= entry->tenant.limit)
			return -(int64_t)(next >> 32);
		next++;
	} while (!atomic_compare_exchange_weak(&entry->window, &window, next));
	atomic_fetch_add(&entry->total, 1);
	return (int64_t)(next >> 32);
}

static unsigned send(const uint64_t *ids, unsigned count, int64_t *answers)
{
	unsigned admitted = 0;

	for (unsigned i = 0; i < count; i++) {
		uint32_t now = peer_second();
		struct table_entry *entry;
		int64_t answer;
		int error = pthread_rwlock_rdlock(&shared->lock);

		if (error)
			peer_fail("lock: %s", strerror(error));
		entry = table_find(&shared->table, ids[i]);
		answer = entry ? admit(entry, now) : 0;
		pthread_rwlock_unlock(&shared->lock);
		admitted += answer > 0;
		if (answers)
			answers[i] = answer;
	}
	return admitted;
}

static uint64_t total(const struct peer_options *options, const uint64_t *ids)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < options->tenants; i++)
		sum += atomic_load(&table_find(&shared->table, ids[i])->total);
	return sum;
}

int main(int argc, char **argv)
{
	static const struct peer peer = { "rwlock", 0, create, NULL, send, total, NULL };

	return peer_main(argc, argv, &peer);
}
