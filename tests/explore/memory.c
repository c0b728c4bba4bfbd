/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS (4 * MEMORY_LOCATIONS)
#define RANGES 8
#define MESSAGES ((size_t)8 << 20)

/* The newest store that is known, by location; 0: the initial value. */
struct view {
	uint16_t newest[MEMORY_LOCATIONS];
};

struct memory_thread {
	struct view now;
	struct view kept;     /* messages of relaxed loads, until an acquire fence */
	struct view released; /* `now` at the last release fence */
	bool has_released;
	uint16_t last_read[MEMORY_LOCATIONS];
	uint8_t reads[MEMORY_LOCATIONS];         /* of it, in a row */
	uint16_t last_release[MEMORY_LOCATIONS]; /* its last release store there, or 0 */
};

static struct memory_location locations[MEMORY_LOCATIONS];
static unsigned int location_count;
static uint16_t buckets[BUCKETS]; /* location + 1 */

static struct memory_store stores[MEMORY_STORES];
static unsigned int store_count;
static uint16_t *messages;
static size_t messages_used;
static struct memory_thread threads[EXPLORE_THREADS];
static struct view fences; /* what seq_cst fences share */
static uint64_t fences_hash, lists_hash;

static struct {
	const unsigned char *from, *to;
} ranges[RANGES];
static size_t range_count;

/* Stores outside of threads, and what was there before. */
static struct undo {
	uintptr_t address;
	size_t bytes;
	uint64_t before;
} * undo;
static size_t undo_count, undo_room;

static void out_of(const char *what)
{
	fprintf(stderr, "explore: out of %s (memory.h)\n", what);
	exit(2);
}

/* ---- real memory: it always holds the last value ------------------------------------ */

uint64_t memory_peek(const volatile void *p, size_t bytes)
{
	if (bytes == 4)
		return *(const volatile uint32_t *)p;
	if (bytes == 8)
		return *(const volatile uint64_t *)p;
	return *(const volatile uint8_t *)p;
}

static void poke(uintptr_t address, size_t bytes, uint64_t value)
{
	if (bytes == 4)
		*(volatile uint32_t *)address = (uint32_t)value;
	else if (bytes == 8)
		*(volatile uint64_t *)address = value;
	else
		*(volatile uint8_t *)address = (uint8_t)value;
}

void memory_store_alone(volatile void *p, size_t bytes, uint64_t value)
{
	if (undo_count == undo_room) {
		undo_room = undo_room ? 2 * undo_room : 1024;
		undo = realloc(undo, undo_room * sizeof(*undo));
		if (!undo)
			out_of("memory");
	}
	undo[undo_count++] = (struct undo){ (uintptr_t)p, bytes, memory_peek(p, bytes) };
	poke((uintptr_t)p, bytes, value);
}

void memory_keep(void)
{
	undo_count = 0;
}

/* ---- locations --------------------------------------------------------------------- */

void memory_forget(void)
{
	memory_begin();
	memset(buckets, 0, sizeof(buckets));
	location_count = 0;
}

void memory_begin(void)
{
	if (!messages)
		messages = malloc(MESSAGES);
	if (!messages)
		out_of("memory");
	for (unsigned int i = 0; i < location_count; i++) {
		struct memory_location *location = &locations[i];

		if (location->used && location->process < 0)
			poke(location->address, location->bytes, location->initial);
		location->used = false;
		location->count = 0;
		location->hash = 0;
	}
	while (undo_count > 0) {
		undo_count--;
		poke(undo[undo_count].address, undo[undo_count].bytes, undo[undo_count].before);
	}
	for (int i = 0; i < EXPLORE_THREADS; i++) {
		struct memory_thread *thread = &threads[i];

		memset(thread->now.newest, 0, location_count * sizeof(uint16_t));
		memset(thread->kept.newest, 0, location_count * sizeof(uint16_t));
		memset(thread->last_read, 0, location_count * sizeof(uint16_t));
		memset(thread->last_release, 0, location_count * sizeof(uint16_t));
		thread->has_released = false;
	}
	memset(fences.newest, 0, location_count * sizeof(uint16_t));
	fences_hash = lists_hash = 0;
	store_count = 1;
	messages_used = 0;
}

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

void memory_make_private(const void *p, size_t bytes)
{
	if (range_count == RANGES)
		out_of("private ranges");
	ranges[range_count].from = p;
	ranges[range_count++].to = (const unsigned char *)p + bytes;
}

/* The initial value is read when the location is first used in an execution. */
static void use(unsigned int number)
{
	struct memory_location *location = &locations[number];
	struct memory_store *store = &stores[store_count];

	location->used = true;
	location->initial = memory_peek((const volatile void *)location->address, location->bytes);
	if (store_count == MEMORY_STORES)
		out_of("stores");
	*store = (struct memory_store){ .location = (uint16_t)number, .value = location->initial };
	if (location->room == 0) {
		location->room = 16;
		location->order = malloc(location->room * sizeof(uint16_t));
		if (!location->order)
			out_of("memory");
	}
	location->order[0] = (uint16_t)store_count++;
	location->count = 1;
}

unsigned int memory_locate(const volatile void *p, size_t bytes, int process, const char *text)
{
	uintptr_t address = (uintptr_t)p;
	unsigned int at = (unsigned int)(k2k_mix64(address) % BUCKETS);

	if (process >= 0 && !is_private(address))
		process = -1;

	for (; buckets[at]; at = (at + 1) % BUCKETS) {
		struct memory_location *location = &locations[buckets[at] - 1];

		if (location->address != address || location->process != process)
			continue;
		if (location->bytes != bytes)
			explore_fail(text, 0, "accesses of %zu and of %zu bytes to one place",
			             bytes, location->bytes);
		if (!location->used)
			use(buckets[at] - 1u);
		return buckets[at] - 1u;
	}
	if (location_count == MEMORY_LOCATIONS)
		out_of("locations");
	buckets[at] = (uint16_t)++location_count;
	locations[location_count - 1] = (struct memory_location){
		.address = address,
		.bytes = bytes,
		.process = process,
		.text = text,
		.order = locations[location_count - 1].order,
		.room = locations[location_count - 1].room,
	};
	for (int i = 0; i < EXPLORE_THREADS; i++) {
		threads[i].now.newest[location_count - 1] = 0;
		threads[i].kept.newest[location_count - 1] = 0;
		threads[i].released.newest[location_count - 1] = 0;
		threads[i].last_read[location_count - 1] = 0;
		threads[i].last_release[location_count - 1] = 0;
	}
	fences.newest[location_count - 1] = 0;
	use(location_count - 1);
	return location_count - 1;
}

struct memory_location *memory_location(unsigned int number)
{
	return &locations[number];
}

const struct memory_store *memory_store_of(unsigned int store)
{
	return &stores[store];
}

unsigned int memory_store_count(void)
{
	return store_count;
}

bool memory_is_newer(unsigned int store, unsigned int since)
{
	return store >= since && stores[store].position > 0;
}

bool memory_has_newer(int thread, unsigned int location, unsigned int since)
{
	for (unsigned int i = 0; i < memory_candidates(thread, location); i++)
		if (memory_is_newer(memory_candidate(thread, location, i), since))
			return true;
	return false;
}

/* ---- views ------------------------------------------------------------------------- */

static void join(struct view *into, const uint16_t *from, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		if (from[i] && stores[from[i]].position > stores[into->newest[i]].position)
			into->newest[i] = from[i];
}

/* The position of what the thread knows of; 0: the initial value. */
static unsigned int known(int thread, unsigned int location)
{
	return stores[threads[thread].now.newest[location]].position;
}

static uint64_t hash_view(const struct view *view)
{
	uint64_t hash = 0;

	for (unsigned int i = 0; i < location_count; i++)
		if (view->newest[i])
			hash += memory_mix(locations[i].address + (uintptr_t)locations[i].process,
			                   stores[view->newest[i]].ident);
	return hash;
}

static const uint16_t *copy_view(const struct view *view)
{
	uint16_t *copy = messages + messages_used;

	messages_used += location_count;
	if (messages_used * sizeof(uint16_t) > MESSAGES)
		out_of("messages");
	memcpy(copy, view->newest, location_count * sizeof(uint16_t));
	return copy;
}

/* ---- reading --------------------------------------------------------------------------- */

unsigned int memory_candidates(int thread, unsigned int location)
{
	return locations[location].count - known(thread, location);
}

unsigned int memory_candidate(int thread, unsigned int location, unsigned int choice)
{
	(void)thread;
	return locations[location].order[locations[location].count - 1 - choice];
}

bool memory_is_worn(int thread, unsigned int store)
{
	const struct memory_store *read = &stores[store];
	const struct memory_thread *reader = &threads[thread];

	return read->position + 1u < locations[read->location].count &&
	       reader->last_read[read->location] == store &&
	       reader->reads[read->location] >= MEMORY_STALE_READS;
}

uint64_t memory_read(int thread, unsigned int store, enum explore_order order)
{
	struct memory_thread *reader = &threads[thread];
	const struct memory_store *read = &stores[store];

	if (reader->last_read[read->location] != store)
		reader->reads[read->location] = 0;
	reader->last_read[read->location] = (uint16_t)store;
	reader->reads[read->location] += reader->reads[read->location] < MEMORY_STALE_READS;
	if (read->position > 0)
		reader->now.newest[read->location] = (uint16_t)store;
	if (read->message)
		join(order & EXPLORE_ACQUIRE ? &reader->now : &reader->kept, read->message,
		     read->message_count);
	return read->value;
}

/* ---- writing --------------------------------------------------------------------------- */

static void rehash(struct memory_location *location)
{
	uint64_t hash = 0;

	for (unsigned int i = 1; i < location->count; i++)
		hash = memory_mix(hash, stores[location->order[i]].ident);
	lists_hash -= memory_mix(location->address + (uintptr_t)location->process, location->hash);
	location->hash = hash;
	lists_hash += memory_mix(location->address + (uintptr_t)location->process, location->hash);
}

static void insert(struct memory_location *location, unsigned int store, unsigned int position)
{
	if (location->count == location->room) {
		location->room *= 2;
		location->order = realloc(location->order, location->room * sizeof(uint16_t));
		if (!location->order)
			out_of("memory");
	}
	for (unsigned int i = location->count; i > position; i--) {
		location->order[i] = location->order[i - 1];
		stores[location->order[i]].position++;
	}
	location->order[position] = (uint16_t)store;
	location->count++;
	rehash(location);
	/* memory has room for one process's: lib/ finds none of these values but through base.h */
	if (location->process < 0)
		poke(location->address, location->bytes,
		     stores[location->order[location->count - 1]].value);
}

/* What a load of the store gets that acquires. */
static void compose(int thread, struct memory_store *store, enum explore_order order,
                    const struct memory_store *read)
{
	static struct view message;
	struct memory_thread *writer = &threads[thread];
	unsigned int own = writer->last_release[store->location];

	if (order & EXPLORE_RELEASE) {
		message = writer->now;
	} else {
		if (!writer->has_released && !stores[own].message && !(read && read->message))
			return;
		memset(message.newest, 0, location_count * sizeof(uint16_t));
		if (writer->has_released)
			join(&message, writer->released.newest, location_count);
		if (stores[own].message)
			join(&message, stores[own].message, stores[own].message_count);
	}
	if (read && read->message)
		join(&message, read->message, read->message_count);
	store->message_count = (uint16_t)location_count;
	store->message = copy_view(&message);
}

static unsigned int write_at(int thread, unsigned int location, unsigned int position,
                             uint64_t value, enum explore_order order, uint64_t ident,
                             const struct memory_store *read)
{
	struct memory_store *store = &stores[store_count];

	if (store_count == MEMORY_STORES)
		out_of("stores");
	*store = (struct memory_store){
		.location = (uint16_t)location,
		.position = (uint16_t)position,
		.value = value,
		.ident = ident,
	};
	insert(&locations[location], store_count, position);
	threads[thread].now.newest[location] = (uint16_t)store_count;
	compose(thread, store, order, read);
	if (order & EXPLORE_RELEASE)
		threads[thread].last_release[location] = (uint16_t)store_count;
	locations[location].writers |= 1u << thread;
	return store_count++;
}

/*
 * The position that the choice-th place stands for, or 0: no pair of a read-modify-write is parted.
 */
static unsigned int find_place(int thread, const struct memory_location *location,
                               unsigned int choice, unsigned int first)
{
	(void)thread;
	for (unsigned int position = location->count; position > first; position--)
		if (!stores[location->order[position - 1]].read_by_rmw && choice-- == 0)
			return position;
	return 0;
}

unsigned int memory_places(int thread, unsigned int location)
{
	unsigned int places = 0;

	while (find_place(thread, &locations[location], places, known(thread, location)))
		places++;
	return places;
}

unsigned int memory_write(int thread, unsigned int location, unsigned int choice, uint64_t value,
                          enum explore_order order, uint64_t ident)
{
	unsigned int position = find_place(thread, &locations[location], choice,
	                                   known(thread, location));

	return write_at(thread, location, position, value, order, ident, NULL);
}

unsigned int memory_write_behind(int thread, unsigned int from, uint64_t value,
                                 enum explore_order order, uint64_t ident)
{
	struct memory_store *read = &stores[from];

	read->read_by_rmw = (uint16_t)store_count;
	return write_at(thread, read->location, read->position + 1u, value, order, ident, read);
}

/* ---- fences ------------------------------------------------------------------------------ */

uint64_t memory_fence(int thread, enum explore_order order)
{
	struct memory_thread *self = &threads[thread];

	if (order & EXPLORE_ACQUIRE)
		join(&self->now, self->kept.newest, location_count);
	if (order == EXPLORE_SEQ_CST) {
		join(&self->now, fences.newest, location_count);
		fences = self->now;
		fences_hash = hash_view(&fences);
	}
	if (order & EXPLORE_RELEASE) {
		self->released = self->now;
		self->has_released = true;
	}
	return order == EXPLORE_SEQ_CST ? fences_hash : 0;
}

void memory_catch_up(int thread)
{
	for (unsigned int i = 0; i < location_count; i++)
		if (locations[i].count > 1)
			threads[thread].now.newest[i] = locations[i].order[locations[i].count - 1];
}

uint64_t memory_hash(void)
{
	return memory_mix(lists_hash, fences_hash);
}
