/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mend.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alert.h"
#include "tenant.h"

/* ---- registrations -------------------------------------------------------------------- */

static int by_generation(const void *a, const void *b)
{
	const struct k2k_registration *x = a, *y = b;

	return (x->generation > y->generation) - (x->generation < y->generation);
}

/* relaxed, all loads of definitions: under the writer's lock */
int k2k_mend_list_registrations(struct k2k_mend *mend)
{
	const struct k2k_map *map = mend->map;

	mend->registration_count = 0;
	mend->registrations = malloc(sizeof(*mend->registrations) *
	                             ((size_t)map->sizes.tenants + 1));
	if (!mend->registrations)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "repair",
		                      "no memory for a list of %u registrations",
		                      map->sizes.tenants);
	for (uint32_t i = 0; i < map->sizes.tenants; i++) {
		uint64_t word = k2k_load_relaxed(&map->tenants[i].state_gen);
		enum k2k_tenant_state state = k2k_tenant_state(word);

		if (state != K2K_TENANT_LIVE && state != K2K_TENANT_RETIRED)
			continue;
		mend->registrations[mend->registration_count].generation = k2k_tenant_generation(
			word);
		mend->registrations[mend->registration_count++].slot = i;
	}
	qsort(mend->registrations, mend->registration_count, sizeof(*mend->registrations),
	      by_generation);
	return 0;
}

const struct k2k_registration *k2k_mend_registration(const struct k2k_mend *mend,
                                                     uint64_t generation)
{
	const struct k2k_registration key = { generation, 0 };

	if (!generation)
		return NULL;
	return bsearch(&key, mend->registrations, mend->registration_count, sizeof(key),
	               by_generation);
}

bool k2k_mend_is_over(const struct k2k_mend *mend, uint32_t slot, uint64_t generation)
{
	return slot < mend->map->sizes.tenants && /* relaxed: under the writer's lock */
	       k2k_tenant_generation(k2k_load_relaxed(&mend->map->tenants[slot].state_gen)) ==
	               generation;
}

/* ---- reporting ---------------------------------------------------------------------------- */

void k2k_mend_report(struct k2k_mend *mend, uint64_t *count, const char *invariant,
                     const char *object, const char *format, ...)
{
	char text[sizeof(((struct k2k_finding *)0)->text)];
	va_list args;

	(*count)++;
	if (!mend->verify)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	k2k_verify_report(mend->verify, invariant, object, "%s", text);
}

bool k2k_mended_anything(const struct k2k_mend_counts *counts)
{
	return counts->links || counts->records || counts->words || counts->rings ||
	       counts->merged || counts->leases || counts->cut_ns || counts->unattributed_ns;
}

/* ---- pooled records -------------------------------------------------------------------------- */

bool k2k_mend_set_link(k2k_u32 *link, bool is_head, uint32_t from, uint32_t to)
{
	if (is_head)
		/* publish[entry-link]: the record of `to`, which was linked and published before */
		return k2k_cas_acq_rel(link, &from, to);
	/*
	 * publish[entry-link]: as above; a store, because only the writer, us, changes the link of
	 * a linked record
	 */
	k2k_store_release(link, to);
	return true;
}

void k2k_mend_mark(struct k2k_mend *mend, const struct k2k_pool *pool, const char *object)
{
	uint32_t used = pool->capacity, high;

	if (!mend->thorough)
		return; /* the search below takes a pass over the whole table */
	/* observe[entry-state]: the mark was raised before it */
	while (used > 0 && k2k_entry_state(k2k_load_acquire(&k2k_pool_at(pool, used - 1)->state)) ==
	                           K2K_ENTRY_FREE)
		used--;
	/* observe[pool-high]: it was raised before those records were claimed */
	high = k2k_load_acquire(&pool->shared->high);
	if (high >= used)
		return;
	k2k_mend_report(mend, &mend->counts.words, "I5", object,
	                "the high-water mark was %u, but record %u is in use: the mark is raised",
	                high, used - 1);
	while (high < used)
		/* publish[pool-high]: it only rises */
		if (k2k_cas_acq_rel(&pool->shared->high, &high, used))
			break;
}

void k2k_mend_state_word(struct k2k_mend *mend, const struct k2k_pool *pool, uint32_t index,
                         const char *object)
{
	struct k2k_shm_entry *entry = k2k_pool_at(pool, index);
	/* observe[entry-state]: its current value */
	uint64_t word = k2k_load_acquire(&entry->state), above = k2k_entry_above(word),
		 right = above;

	switch (k2k_entry_state(word)) {
	case K2K_ENTRY_FREE: right = 0; break;
	/* with the writer's mark, recovery decides about it as about any dead claimer's record */
	case K2K_ENTRY_CLAIMED:
	case K2K_ENTRY_LIVE:
		if (above != K2K_INCARNATION_WRITER &&
		    (above < K2K_LOCK_BYTE_LIFE_MIN || above >= K2K_LOCK_BYTE_LIFE_MAX))
			right = K2K_INCARNATION_WRITER;
		break;
	case K2K_ENTRY_RETIRED:
		/*
		 * It has the next token or a later one, from a killed remover or by damage: the
		 * caller must publish the next one.
		 */
		mend->stamped = mend->stamped || above >= mend->token;
		right = above < mend->token ? above : mend->token;
		break;
	}
	/*
	 * publish[entry-state]: only the word itself; a process that claimed the record meanwhile
	 * keeps it
	 */
	if (right != above &&
	    k2k_cas_acq_rel(&entry->state, &word, k2k_entry_word(k2k_entry_state(word), right)))
		k2k_mend_report(
			mend, &mend->counts.records, "I6", object,
			"record %u: its state word named an owner or token that can't exist",
			index);
}

bool k2k_mend_revive(const struct k2k_pool *pool, uint32_t index, uint64_t generation)
{
	struct k2k_shm_entry *entry = k2k_pool_at(pool, index);
	/* observe[entry-state]: its current value */
	uint64_t word = k2k_load_acquire(&entry->state);

	if (k2k_entry_state(word) != K2K_ENTRY_FREE && k2k_entry_state(word) != K2K_ENTRY_RETIRED)
		return false;
	/*
	 * observe[entry-state], publish[entry-state]: a claim like any other. From now on no other
	 * process writes the record.
	 */
	if (!k2k_cas_acq_rel(&entry->state, &word,
	                     k2k_entry_word(K2K_ENTRY_CLAIMED, K2K_INCARNATION_WRITER)))
		return false;
	/*
	 * relaxed: the record is ours. If another process had it in between, that process has freed
	 * it with generation 0, or given it another one.
	 */
	if (k2k_load_relaxed(&entry->gen) != generation) {
		/* publish[entry-state]: its previous value */
		k2k_store_release(&entry->state, word);
		return false;
	}
	/* publish[entry-state]: its key, which was there before */
	k2k_store_release(&entry->state, k2k_entry_word(K2K_ENTRY_LIVE, K2K_INCARNATION_WRITER));
	return true;
}

uint64_t k2k_mend_adopt(const struct k2k_mend *mend, const struct k2k_pool *pool, uint32_t index,
                        bool linked, uint64_t *count)
{
	struct k2k_shm_entry *entry = k2k_pool_at(pool, index);
	uint64_t word = k2k_load_acquire(&entry->state), live; /* observe[entry-state]: its key */

	if (k2k_entry_state(word) != K2K_ENTRY_CLAIMED || !linked ||
	    k2k_liveness_alive(mend->liveness, k2k_entry_above(word)))
		return word;
	live = k2k_entry_word(K2K_ENTRY_LIVE, k2k_entry_above(word));
	/* publish[entry-state]: its key; observe[entry-state] */
	if (!k2k_cas_acq_rel(&entry->state, &word, live))
		return word;
	(*count)++;
	return live;
}

void k2k_mend_reserved(struct k2k_mend *mend, const char *object, uint32_t index, void *field,
                       size_t bytes)
{
	static const unsigned char zeroes[64];

	/* a later version may store something there */
	if (mend->live_header->compatible || bytes > sizeof(zeroes) ||
	    memcmp(field, zeroes, bytes) == 0)
		return;
	memset(field, 0, bytes);
	k2k_mend_report(mend, &mend->counts.words, "layout", object,
	                "record %u: a reserved field was not 0: it is 0 now", index);
}

void k2k_mend_alert(struct k2k_mend *mend, const char *object, uint32_t index, k2k_u64 *word,
                    uint64_t newest)
{
	/* relaxed: the exchange decides */
	uint64_t was = k2k_load_relaxed(word);

	/* publish[alert-word]: nothing; observe[alert-word]: it is still the same */
	if (!k2k_alert_is_possible(was, newest) && k2k_cas_acq_rel(word, &was, 0))
		k2k_mend_report(mend, &mend->counts.words, "I9", object,
		                "record %u: what was reported of its thresholds could not be "
		                "true: they may be reported again",
		                index);
}
