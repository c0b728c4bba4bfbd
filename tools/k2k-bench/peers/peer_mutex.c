/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One robust mutex of pthreads around a hash table in shared memory. Robust, since with any other a
 * killed process stops all; what it had half done stays so.
 */
#include "table.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

static struct shared {
	_Alignas(128) pthread_mutex_t mutex;
	_Alignas(128) struct table table;
} * shared;

static void create(const struct peer_options *options, const uint64_t *ids)
{
	pthread_mutexattr_t attributes;

	shared = peer_shared(sizeof(*shared));
	table_fill(&shared->table, options, ids);
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&shared->mutex, &attributes);
}

static unsigned send(const uint64_t *ids, unsigned count, int64_t *answers)
{
	unsigned admitted = 0;

	for (unsigned i = 0; i < count; i++) {
		uint32_t now = peer_second();
		struct table_entry *entry;
		int64_t answer;
		int error = pthread_mutex_lock(&shared->mutex);

		if (error == EOWNERDEAD)
			error = pthread_mutex_consistent(&shared->mutex);
		if (error)
			peer_fail("lock: %s", strerror(error));
		entry = table_find(&shared->table, ids[i]);
		answer = entry ? peer_tenant_admit(&entry->tenant, now) : 0;
		pthread_mutex_unlock(&shared->mutex);
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
		sum += table_find(&shared->table, ids[i])->tenant.total;
	return sum;
}

int main(int argc, char **argv)
{
	static const struct peer peer = { "mutex", 0, create, NULL, send, total, NULL };

	return peer_main(argc, argv, &peer);
}
