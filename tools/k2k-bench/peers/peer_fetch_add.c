/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The floor: one atomic addition a message to a word in shared memory, a word for each process or
 * one for all. It finds no tenant and checks nothing.
 */
#include "peer.h"

#include <stdatomic.h>

static struct word {
	_Alignas(128) _Atomic uint64_t count;
} * words, *mine;

static void create(const struct peer_options *options, const uint64_t *ids)
{
	(void)ids;
	words = peer_shared(options->processes * sizeof(*words));
}

static void attach(const struct peer_options *options, unsigned process)
{
	mine = &words[options->one ? 0 : process];
}

static unsigned send(const uint64_t *ids, unsigned count, int64_t *answers)
{
	struct word *word = mine;

	(void)ids;
	(void)answers;
	for (unsigned i = 0; i < count; i++)
		atomic_fetch_add(&word->count, 1);
	return count;
}

static uint64_t total(const struct peer_options *options, const uint64_t *ids)
{
	uint64_t sum = 0;

	(void)ids;
	for (unsigned i = 0; i < options->processes; i++)
		sum += atomic_load(&words[i].count);
	return sum;
}

int main(int argc, char **argv)
{
	static const struct peer peer = { "fetch_add", 1, create, attach, send, total, NULL };

	return peer_main(argc, argv, &peer);
}
