/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names.h"

#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "text.h"

#define TABLE_LEAST 1024

_Static_assert(K2K_TENANT_NAME_MAX == K2K_NAME_WORDS * 8 - 1, "a name and its 0 fill the words");

int k2k_name_take(uint64_t words[K2K_NAME_WORDS], const char *name)
{
	size_t length = strnlen(name, K2K_TENANT_NAME_MAX + 1);

	if (length == 0)
		return k2k_fail_argument("name", "empty; for no name it is null");
	if (length > K2K_TENANT_NAME_MAX)
		return k2k_fail_argument("name", "longer than 31 bytes");
	if (!k2k_text_is_clean(name, length))
		return k2k_fail_argument("name", "not UTF-8, or it has control characters");
	memset(words, 0, K2K_NAME_WORDS * sizeof(*words));
	memcpy(words, name, length);
	return 0;
}

static bool same(const uint64_t a[K2K_NAME_WORDS], const uint64_t b[K2K_NAME_WORDS])
{
	return memcmp(a, b, K2K_NAME_WORDS * sizeof(*a)) == 0;
}

/* ---- for readers, while names change ------------------------------------------------- */

static bool has_name(const struct k2k_map *map, uint32_t slot, const uint64_t words[K2K_NAME_WORDS])
{
	uint64_t version = K2K_SELECT_VERSION(k2k_tenant_select(map, slot));
	struct k2k_limits limits;

	/* relaxed: a hint, which spares nearly every tenant the copy */
	if (k2k_load_relaxed(&map->tenants_cold[slot].name[version & 1][0]) != words[0])
		return false;
	k2k_tenant_limits(map, slot, &limits);
	return same(limits.name, words);
}

/*
 * A name that moves from one tenant to another meanwhile may be found with neither: there was a
 * moment, during this call, at which neither had it.
 */
static int find(const struct k2k_map *map, const uint64_t words[K2K_NAME_WORDS], k2k_tenant_id *id)
{
	int code = k2k_tenant_check_fence(map);

	if (code)
		return code;
	for (uint32_t i = 0; i < map->sizes.tenants; i++) {
		/* observe[tenant-state]: its id and limits */
		uint64_t word = k2k_load_acquire(&map->tenants[i].state_gen);
		k2k_tenant_id found;

		if (k2k_tenant_state(word) != K2K_TENANT_LIVE || !has_name(map, i, words))
			continue;
		/* relaxed: between the two looks at the state */
		found = k2k_load_relaxed(&map->tenants[i].id);
		if (!k2k_tenant_still(map, i, word))
			continue;
		*id = found;
		return 0;
	}
	return K2K_ENOTENANT;
}

int k2k_tenant_find_name(struct k2k_registry *reg, const char *name, k2k_tenant_id *id)
{
	K2K_UNCANCELLED;
	uint64_t words[K2K_NAME_WORDS];
	k2k_tenant_id found = K2K_TENANT_UNSPECIFIED;
	int code = 0;

	if (reg && !name)
		code = k2k_fail_argument("name", "null");
	else if (reg && !id)
		code = k2k_fail_argument("id", "null");
	else if (reg)
		code = k2k_name_take(words, name);
	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	code = find(&reg->map, words, &found);
	k2k_read_unlock();
	if (!code)
		*id = found;
	return code;
}

/* ---- for the writer; relaxed, all: only the writer changes definitions ---------------- */

static bool is_live(const struct k2k_map *map, uint32_t slot)
{
	uint64_t word = k2k_load_relaxed(&map->tenants[slot].state_gen); /* relaxed: see above */

	return k2k_tenant_state(word) == K2K_TENANT_LIVE;
}

static bool is_of(const struct k2k_map *map, uint32_t slot, const uint64_t words[K2K_NAME_WORDS])
{
	return is_live(map, slot) && has_name(map, slot, words);
}

static uint64_t hash_of(const uint64_t words[K2K_NAME_WORDS])
{
	uint64_t hash = 0;

	for (int i = 0; i < K2K_NAME_WORDS; i++)
		hash = k2k_mix64(hash ^ words[i]);
	return hash;
}

static void put(struct k2k_name_table *table, uint32_t slot, const uint64_t words[K2K_NAME_WORDS])
{
	uint64_t at = hash_of(words) & table->mask;

	while (table->places[at])
		at = (at + 1) & table->mask;
	table->places[at] = slot + 1;
	table->used++;
}

/* A table of all names, with room for as many more. False: no memory. */
static bool make_table(const struct k2k_map *map, struct k2k_name_table *table)
{
	uint64_t named = 0, size = TABLE_LEAST;

	for (uint32_t i = 0; i < map->sizes.tenants; i++)
		named += is_live(map, i);
	while (size < 4 * named)
		size *= 2;
	table->places = calloc(size, sizeof(*table->places));
	if (!table->places)
		return false;
	table->mask = size - 1;
	table->used = 0;
	for (uint32_t i = 0; i < map->sizes.tenants; i++) {
		struct k2k_limits limits;

		if (!is_live(map, i))
			continue;
		k2k_tenant_limits(map, i, &limits);
		if (limits.name[0])
			put(table, i, limits.name);
	}
	return true;
}

/* The table of the batch; null: there is no batch, or no memory. */
static struct k2k_name_table *table_of(struct k2k_registry *reg)
{
	struct k2k_name_table *table = &reg->names;

	if (!k2k_change_in_batch(reg))
		return NULL;
	/* half full: a new table leaves out names that are gone */
	if (table->places && 2 * table->used > table->mask)
		k2k_names_forget(reg);
	return table->places || make_table(&reg->map, table) ? table : NULL;
}

static bool search(const struct k2k_registry *reg, const struct k2k_name_table *table,
                   const uint64_t words[K2K_NAME_WORDS], uint32_t except, uint32_t *slot)
{
	const struct k2k_map *map = &reg->map;

	if (table) {
		uint64_t at = hash_of(words) & table->mask;

		for (; (*slot = table->places[at]) != 0; at = (at + 1) & table->mask)
			if (--*slot != except && is_of(map, *slot, words))
				return true;
		return false;
	}
	for (*slot = 0; *slot < map->sizes.tenants; ++*slot)
		if (*slot != except && is_of(map, *slot, words))
			return true;
	return false;
}

bool k2k_name_is_taken(struct k2k_registry *reg, const uint64_t words[K2K_NAME_WORDS],
                       uint32_t except, k2k_tenant_id *id)
{
	uint32_t slot;

	if (!search(reg, table_of(reg), words, except, &slot))
		return false;
	*id = k2k_load_relaxed(&reg->map.tenants[slot].id); /* relaxed: see above */
	return true;
}

void k2k_name_note(struct k2k_registry *reg, uint32_t slot, const uint64_t words[K2K_NAME_WORDS])
{
	if (reg->names.places)
		put(&reg->names, slot, words);
}

void k2k_names_forget(struct k2k_registry *reg)
{
	free(reg->names.places);
	reg->names.places = NULL;
}
