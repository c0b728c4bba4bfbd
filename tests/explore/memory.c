/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory.h"

#include <stdlib.h>
#include <string.h>

#include "engine.h"

#define BUCKETS (4 * MEMORY_LOCATIONS)
#define RANGES 8
#define UNDO (1 << 16)

/* The newest store that is known, by location; of those from `count` on the initial value. */
struct view {
	unsigned int count;
	uint16_t newest[MEMORY_LOCATIONS]; /* 0: the initial value */
};

static struct {
	struct view now;
	struct view kept;     /* messages of relaxed loads, until an acquire fence */
	struct view released; /* `now` at the last release fence */
} threads[EXPLORE_THREADS];
static struct view fences; /* what seq_cst fences share */

struct memory_location memory_locations[MEMORY_LOCATIONS];
static unsigned int location_count;
static uint16_t buckets[BUCKETS]; /* location + 1 */
struct memory_store memory_stores[MEMORY_STORES];
unsigned int memory_store_count;
static struct view messages[MEMORY_STORES]; /* of stores, which are often looked at without */

static struct {
	const unsigned char *from, *to;
} ranges[RANGES];
static size_t range_count;

/* ---- real memory: it always holds the last value ------------------------------------ */

/* What was there before each change. */
static struct undo {
	uintptr_t address;
	size_t bytes;
	uint64_t before;
} undo[UNDO];
static size_t undo_count;

uint64_t memory_peek(const volatile void *p, size_t bytes)
{
	if (bytes == 4)
		return *(const volatile uint32_t *)p;
	if (bytes == 8)
		return *(const volatile uint64_t *)p;
	return *(const volatile uint8_t *)p;
}

static void put(uintptr_t address, size_t bytes, uint64_t value)
{
	if (bytes == 4)
		*(volatile uint32_t *)address = (uint32_t)value;
	else if (bytes == 8)
		*(volatile uint64_t *)address = value;
	else
		*(volatile uint8_t *)address = (uint8_t)value;
}

void memory_poke(volatile void *p, size_t bytes, uint64_t value)
{
	if (undo_count == UNDO)
		run_refuse("out of room for changes (memory.c)");
	undo[undo_count++] = (struct undo){ (uintptr_t)p, bytes, memory_peek(p, bytes) };
	put((uintptr_t)p, bytes, value);
}

void explore_keep(void)
{
	undo_count = 0;
}

void memory_begin(void)
{
	for (; undo_count > 0; undo_count--)
		put(undo[undo_count - 1].address, undo[undo_count - 1].bytes,
		    undo[undo_count - 1].before);
	memset(buckets, 0, sizeof(buckets));
	location_count = 0;
	memory_store_count = 1;
	for (int i = 0; i < EXPLORE_THREADS; i++)
		threads[i].now.count = threads[i].kept.count = threads[i].released.count = 0;
	fences.count = 0;
}

/* ---- memory_locations --------------------------------------------------------------------- */

/* Of the linker: where static variables begin and end, and those that are EXPLORE_SHARED. */
extern unsigned char __data_start[], _end[], __start_explore_shared[], __stop_explore_shared[];

static bool is_within(uintptr_t address, const unsigned char *from, const unsigned char *to)
{
	return address >= (uintptr_t)from && address < (uintptr_t)to;
}

static bool is_private(uintptr_t address)
{
	for (size_t i = 0; i < range_count; i++)
		if (is_within(address, ranges[i].from, ranges[i].to))
			return true;
	return is_within(address, __data_start, _end) &&
	       !is_within(address, __start_explore_shared, __stop_explore_shared);
}

void explore_make_private(const void *p, size_t bytes)
{
	if (range_count == RANGES)
		run_refuse("out of private ranges (memory.c)");
	ranges[range_count].from = p;
	ranges[range_count++].to = (const unsigned char *)p + bytes;
}

/* A new store at this position; those behind it move. */
static unsigned int insert(unsigned int number, unsigned int position, uint64_t value,
                           uint64_t ident)
{
	struct memory_location *location = &memory_locations[number];
	struct memory_store *store = &memory_stores[memory_store_count];

	if (memory_store_count == MEMORY_STORES)
		run_refuse("out of stores (memory.h)");
	store->location = (uint16_t)number;
	store->position = (uint16_t)position;
	store->read_by_rmw = false;
	store->value = value;
	store->ident = ident;
	messages[memory_store_count].count = 0;
	if (location->count == location->room) {
		location->room = location->room ? 2 * location->room : 16;
		location->order = realloc(location->order, location->room * sizeof(uint16_t));
		if (!location->order)
			run_refuse("out of memory");
	}
	for (unsigned int i = location->count; i > position; i--) {
		location->order[i] = location->order[i - 1];
		memory_stores[location->order[i]].position++;
	}
	location->order[position] = (uint16_t)memory_store_count;
	location->count++;
	return memory_store_count++;
}

unsigned int memory_locate(const volatile void *p, size_t bytes, int process,
                           const struct explore_site *site)
{
	uintptr_t address = (uintptr_t)p;
	unsigned int at = (unsigned int)(k2k_mix64(address) % BUCKETS), number = location_count;
	struct memory_location *location;

	if (process >= 0 && !is_private(address))
		process = -1;
	for (; buckets[at]; at = (at + 1) % BUCKETS) {
		location = &memory_locations[buckets[at] - 1];
		if (location->address != address || location->process != process)
			continue;
		if (location->bytes != bytes)
			explore_fail(site->text, 0, "accesses of %zu and of %zu bytes to one place",
			             bytes, location->bytes);
		return buckets[at] - 1u;
	}
	if (location_count == MEMORY_LOCATIONS)
		run_refuse("out of locations (memory.h)");
	buckets[at] = (uint16_t)++location_count;
	location = &memory_locations[number];
	*location = (struct memory_location){ .address = address,
		                              .bytes = bytes,
		                              .process = process,
		                              .room = location->room,
		                              .order = location->order };
	insert(number, 0, memory_peek(p, bytes), 0);
	return number;
}

/* ---- views ------------------------------------------------------------------------- */

static unsigned int newest(const struct view *view, unsigned int location)
{
	return location < view->count ? view->newest[location] : 0;
}

static void learn(struct view *view, unsigned int location, unsigned int store)
{
	while (view->count <= location)
		view->newest[view->count++] = 0;
	view->newest[location] = (uint16_t)store;
}

static void join(struct view *into, const struct view *from)
{
	for (unsigned int i = 0; i < from->count; i++)
		if (memory_stores[from->newest[i]].position >
		    memory_stores[newest(into, i)].position)
			learn(into, i, from->newest[i]);
}

static void copy(struct view *to, const struct view *from)
{
	to->count = from->count;
	memcpy(to->newest, from->newest, from->count * sizeof(from->newest[0]));
}

/* ---- reading --------------------------------------------------------------------------- */

unsigned int memory_known(int thread, const struct memory_location *location)
{
	return memory_stores[newest(&threads[thread].now,
	                            (unsigned int)(location - memory_locations))]
	        .position;
}

bool memory_is_newer(unsigned int store, unsigned int since)
{
	return since == 0 || (store >= since && memory_stores[store].position > 0);
}

bool memory_is_worn(int thread, unsigned int store)
{
	const struct memory_location *location = &memory_locations[memory_stores[store].location];

	return memory_stores[store].position + 1u < location->count &&
	       location->by_thread[thread].read == store &&
	       location->by_thread[thread].reads >=
	               (run.program->stale ? run.program->stale : MEMORY_STALE_READS);
}

void memory_read(int thread, unsigned int number, enum explore_order order)
{
	const struct memory_store *store = &memory_stores[number];
	struct memory_location *location = &memory_locations[store->location];
	uint16_t *reads = &location->by_thread[thread].reads;

	if (location->by_thread[thread].read != number)
		*reads = 0;
	*reads += *reads < UINT16_MAX;
	location->by_thread[thread].read = (uint16_t)number;
	if (store->position > 0)
		learn(&threads[thread].now, store->location, number);
	join(order & EXPLORE_ACQUIRE ? &threads[thread].now : &threads[thread].kept,
	     &messages[number]);
}

/* ---- writing --------------------------------------------------------------------------- */

/* No read-modify-write is parted from what it has read. */
unsigned int memory_place(int thread, unsigned int number, unsigned int choice)
{
	const struct memory_location *location = &memory_locations[number];

	for (unsigned int i = location->count; i > memory_known(thread, location); i--)
		if (!memory_stores[location->order[i - 1]].read_by_rmw && choice-- == 0)
			return i;
	return 0;
}

unsigned int memory_insert(int thread, unsigned int number, unsigned int position, uint64_t value,
                           uint64_t ident)
{
	const struct memory_location *location = &memory_locations[number];
	unsigned int store = insert(number, position, value, ident);

	learn(&threads[thread].now, number, store);
	/* memory has room for one process's: lib/ finds none of these values but through base.h */
	if (location->process < 0 && position + 1u == location->count)
		memory_poke((volatile void *)location->address, location->bytes, value);
	return store;
}

void memory_publish(int thread, unsigned int number, unsigned int from, enum explore_order order)
{
	uint16_t *release =
		&memory_locations[memory_stores[number].location].by_thread[thread].release;

	if (order & EXPLORE_RELEASE) {
		copy(&messages[number], &threads[thread].now);
		*release = (uint16_t)number;
	} else {
		copy(&messages[number], &threads[thread].released);
		join(&messages[number], &messages[*release]);
	}
	if (from) {
		memory_stores[from].read_by_rmw = true;
		join(&messages[number], &messages[from]);
	}
}

/* ---- fences ------------------------------------------------------------------------------ */

void memory_fence(int thread, enum explore_order order)
{
	struct view *now = &threads[thread].now;

	if (order & EXPLORE_ACQUIRE)
		join(now, &threads[thread].kept);
	if (order == EXPLORE_SEQ_CST) {
		join(now, &fences);
		copy(&fences, now);
	}
	if (order & EXPLORE_RELEASE)
		copy(&threads[thread].released, now);
}

void memory_catch_up(int thread)
{
	for (unsigned int i = 0; i < location_count; i++)
		if (memory_locations[i].count > 1)
			learn(&threads[thread].now, i,
			      memory_locations[i].order[memory_locations[i].count - 1]);
}

/* ---- hashes ------------------------------------------------------------------------------ */

/* The same in any interleaving, where a location has another number. */
static uint64_t name_of(unsigned int location)
{
	return memory_locations[location].address + (uintptr_t)memory_locations[location].process;
}

static uint64_t hash_view(const struct view *view)
{
	uint64_t hash = 0;

	for (unsigned int i = 0; i < view->count; i++)
		if (view->newest[i])
			hash += memory_mix(name_of(i), memory_stores[view->newest[i]].ident);
	return hash;
}

uint64_t memory_hash_view(int thread)
{
	return hash_view(&threads[thread].now);
}

uint64_t memory_hash(void)
{
	uint64_t lists = 0;

	for (unsigned int i = 0; i < location_count; i++) {
		uint64_t list = 0;

		for (unsigned int j = 1; j < memory_locations[i].count; j++)
			list = memory_mix(list, memory_stores[memory_locations[i].order[j]].ident);
		lists += memory_mix(name_of(i), list);
	}
	return memory_mix(lists, hash_view(&fences));
}

uint64_t memory_hash_values(void)
{
	uint64_t hash = 0;

	for (unsigned int i = 0; i < location_count; i++)
		if (memory_locations[i].count > 1) {
			unsigned int last =
				memory_locations[i].order[memory_locations[i].count - 1];

			hash += memory_mix(name_of(i), memory_stores[last].value);
		}
	return hash;
}
