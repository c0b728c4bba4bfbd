/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loads without a label are relaxed: see verify.h. */
#include "verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alert.h"
#include "tenant.h"
#include "writer.h"

void k2k_verify_report(struct k2k_verify *verify, const char *invariant, const char *object,
                       const char *format, ...)
{
	struct k2k_finding *finding;
	va_list args;

	if (verify->count == K2K_FINDINGS_MAX)
		return;
	finding = &verify->list[verify->count++];
	memset(finding, 0, sizeof(*finding));
	snprintf(finding->invariant, sizeof(finding->invariant), "%s", invariant);
	snprintf(finding->object, sizeof(finding->object), "%s", object);
	va_start(args, format);
	vsnprintf(finding->text, sizeof(finding->text), format, args);
	va_end(args);
}

bool k2k_verify_mark(uint8_t *seen, uint32_t index)
{
	bool was = seen[index / 8] & (1u << index % 8);

	seen[index / 8] |= (uint8_t)(1u << index % 8);
	return was;
}

bool k2k_verify_is_marked(const uint8_t *seen, uint32_t index)
{
	return seen[index / 8] & (1u << index % 8);
}

bool k2k_verify_has_tenant(const struct k2k_map *map, uint32_t slot, uint64_t generation)
{
	uint64_t word;

	if (slot >= map->sizes.tenants)
		return false;
	word = k2k_load_relaxed(&map->tenants[slot].state_gen);
	return k2k_tenant_generation(word) == generation &&
	       (k2k_tenant_state(word) == K2K_TENANT_LIVE ||
	        k2k_tenant_state(word) == K2K_TENANT_RETIRED);
}

void k2k_verify_reserved(struct k2k_verify *verify, const char *object, uint32_t index,
                         const void *field, size_t bytes)
{
	static const unsigned char zeroes[64];

	if (verify->defs_header->compatible || verify->live_header->compatible)
		return; /* a later version may store something there */
	if (memcmp(field, zeroes, bytes < sizeof(zeroes) ? bytes : sizeof(zeroes)) != 0)
		k2k_verify_report(verify, "layout", object, "record %u: a reserved field is not 0",
		                  index);
}

void k2k_verify_alert(struct k2k_verify *verify, const char *object, uint32_t index, uint64_t word,
                      uint64_t newest)
{
	if (!k2k_alert_is_possible(word, newest))
		k2k_verify_report(verify, "I9", object,
		                  "record %u: a threshold of %u %% was reported in sequence %u, "
		                  "which can't be",
		                  index, k2k_alert_level_of(word), k2k_alert_sequence(word));
}

/* ---- pooled records ------------------------------------------------------------------ */

void k2k_verify_claim(struct k2k_verify *verify, const char *object, uint32_t index, uint64_t word)
{
	uint64_t claimer = k2k_entry_above(word);

	if (claimer != K2K_INCARNATION_WRITER &&
	    (claimer < K2K_LOCK_BYTE_LIFE_MIN || claimer >= K2K_LOCK_BYTE_LIFE_MAX))
		k2k_verify_report(verify, "I6", object, "record %u has an owner that can't exist",
		                  index);
	else if (claimer == K2K_INCARNATION_WRITER && k2k_entry_state(word) == K2K_ENTRY_CLAIMED &&
	         verify->alone && k2k_writer_intent(verify->map) == K2K_OP_NONE)
		k2k_verify_report(verify, "I6", object,
		                  "record %u is claimed by a writer, but no change is in progress",
		                  index);
}

static void check_chain(struct k2k_verify *verify, const struct k2k_hash *hash, const char *object,
                        uint32_t bucket, uint8_t *seen)
{
	/* observe[entry-link]: its fields */
	uint32_t link = k2k_load_acquire(&hash->heads[bucket]);

	while (link != 0) {
		const struct k2k_shm_entry *entry;
		unsigned int state;

		if (link > hash->pool.capacity) {
			k2k_verify_report(verify, "I5", object,
			                  "bucket %u: a link points outside the table", bucket);
			return;
		}
		entry = k2k_pool_at(&hash->pool, link - 1);
		if (k2k_verify_mark(seen, link - 1)) {
			k2k_verify_report(verify, "I5", object,
			                  "bucket %u: record %u is linked twice", bucket, link - 1);
			return;
		}
		if (k2k_hash_bucket(hash, k2k_load_relaxed(&entry->gen),
		                    k2k_load_relaxed(&entry->key)) != bucket)
			k2k_verify_report(
				verify, "I5", object,
				"record %u is in bucket %u, where its key does not belong",
				link - 1, bucket);
		state = k2k_entry_state(k2k_load_relaxed(&entry->state));
		if (state == K2K_ENTRY_FREE || state == K2K_ENTRY_RETIRED)
			k2k_verify_report(verify, "I2", object, "record %u is linked, but %s",
			                  link - 1, state == K2K_ENTRY_FREE ? "free" : "retired");
		link = k2k_load_acquire(&entry->next); /* observe[entry-link]: as above */
	}
}

static void check_live_entry(struct k2k_verify *verify, const struct k2k_shm_entry *entry,
                             const char *object, uint32_t index, const uint8_t *seen)
{
	if (!k2k_verify_is_marked(seen, index))
		k2k_verify_report(verify, "I5", object, "record %u is live, but not linked", index);
	if (!k2k_verify_has_tenant(verify->map, k2k_load_relaxed(&entry->slot),
	                           k2k_load_relaxed(&entry->gen)))
		k2k_verify_report(verify, "I2", object, "record %u belongs to no tenant", index);
}

static void check_token(struct k2k_verify *verify, const char *object, uint32_t index,
                        uint64_t token)
{
	if (token == 0 || token > k2k_load_relaxed(&verify->map->defs->grace_token))
		k2k_verify_report(verify, "I2", object,
		                  "record %u has a token that was not published", index);
}

static void check_entry(struct k2k_verify *verify, const struct k2k_hash *hash, const char *object,
                        uint32_t index, bool of_writer, const uint8_t *seen)
{
	const struct k2k_shm_entry *entry = k2k_pool_at(&hash->pool, index);
	uint64_t word = k2k_load_relaxed(&entry->state);

	switch (k2k_entry_state(word)) {
	case K2K_ENTRY_FREE:
		if (k2k_entry_above(word))
			k2k_verify_report(verify, "I2", object,
			                  "record %u is free but has an owner", index);
		break;
	case K2K_ENTRY_LIVE:
		check_live_entry(verify, entry, object, index, seen);
		if (of_writer)
			check_token(verify, object, index, k2k_entry_above(word));
		else
			k2k_verify_claim(verify, object, index, word);
		break;
	case K2K_ENTRY_CLAIMED: k2k_verify_claim(verify, object, index, word); break;
	default:
		if (k2k_entry_above(word) > k2k_load_relaxed(&verify->map->defs->grace_token))
			k2k_verify_report(
				verify, "I2", object,
				"record %u is retired with a token that was not published", index);
		if (k2k_load_relaxed(&entry->next) > hash->pool.capacity)
			k2k_verify_report(
				verify, "I2", object,
				"record %u is retired and its link points outside the table",
				index);
	}
}

void k2k_verify_chains(struct k2k_verify *verify, const struct k2k_hash *hash, const char *object,
                       uint8_t *seen)
{
	for (uint32_t i = 0; i <= hash->mask; i++)
		check_chain(verify, hash, object, i, seen);
}

void k2k_verify_hash(struct k2k_verify *verify, const struct k2k_hash *hash, const char *object,
                     bool of_writer)
{
	uint8_t *seen = calloc(hash->pool.capacity / 8 + 1, 1);

	if (!seen)
		return;
	k2k_verify_chains(verify, hash, object, seen);
	for (uint32_t i = 0; i < hash->pool.capacity; i++)
		check_entry(verify, hash, object, i, of_writer, seen);
	free(seen);
}
