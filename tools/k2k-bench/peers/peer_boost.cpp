/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Boost.Interprocess: an unordered map in a managed shared memory, and an interprocess_mutex around
 * it. The mutex is not robust: a process killed with it stops all.
 */
#include "peer.h"

#include <boost/functional/hash.hpp>
#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <boost/unordered_map.hpp>
#include <cstring>
#include <exception>
#include <string>

namespace bi = boost::interprocess;

using Allocator = bi::allocator<std::pair<const uint64_t, peer_tenant>,
                                bi::managed_shared_memory::segment_manager>;
using Map = boost::unordered_map<uint64_t, peer_tenant, boost::hash<uint64_t>,
                                 std::equal_to<uint64_t>, Allocator>;

static std::string name;
static bi::managed_shared_memory *segment;
static bi::interprocess_mutex *mutex;
static Map *map;

static void find_objects()
{
	mutex = segment->find<bi::interprocess_mutex>("mutex").first;
	map = segment->find<Map>("tenants").first;
}

static void create(const peer_options *options, const uint64_t *ids)
{
	const char *last = strrchr(options->directory, '/');

	name = std::string(last ? last + 1 : options->directory) + ".boost";
	segment = new bi::managed_shared_memory(bi::create_only, name.c_str(),
	                                        (1 << 20) + 256 * size_t(options->tenants));
	segment->construct<bi::interprocess_mutex>("mutex")();
	segment->construct<Map>("tenants")(2 * size_t(options->tenants), boost::hash<uint64_t>(),
	                                   std::equal_to<uint64_t>(),
	                                   Allocator(segment->get_segment_manager()));
	find_objects();
	for (unsigned i = 0; i < options->tenants; i++) {
		peer_tenant tenant = {};

		tenant.id = ids[i];
		tenant.limit = options->limit;
		map->emplace(ids[i], tenant);
	}
}

static void attach(const peer_options *, unsigned)
{
	segment = new bi::managed_shared_memory(bi::open_only, name.c_str());
	find_objects();
}

static unsigned send(const uint64_t *ids, unsigned count, int64_t *answers)
{
	unsigned admitted = 0;

	for (unsigned i = 0; i < count; i++) {
		uint32_t now = peer_second();
		int64_t answer;
		{
			bi::scoped_lock<bi::interprocess_mutex> lock(*mutex);
			Map::iterator found = map->find(ids[i]);

			answer = found == map->end() ? 0 : peer_tenant_admit(&found->second, now);
		}
		admitted += answer > 0;
		if (answers)
			answers[i] = answer;
	}
	return admitted;
}

static uint64_t total(const peer_options *, const uint64_t *)
{
	uint64_t sum = 0;

	for (const Map::value_type &entry : *map)
		sum += entry.second.total;
	return sum;
}

static void destroy()
{
	if (segment)
		bi::shared_memory_object::remove(name.c_str());
}

int main(int argc, char **argv)
{
	static const peer boost_peer = { "boost", 0, create, attach, send, total, destroy };

	try {
		return peer_main(argc, argv, &boost_peer);
	} catch (const std::exception &error) {
		peer_fail("%s", error.what());
	}
}
