/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hot.h"

/* of the sources, from one that follows from the tenant's slot: how many to ask for a free one */
#define ASKED 8

static uint64_t label_of_source(uint64_t first)
{
	return first >> K2K_RATE_TAG_BITS;
}

static uint64_t label_of_share(uint64_t second)
{
	return second >> K2K_HOT_CREDIT_BITS;
}

static bool is_open(uint64_t label)
{
	return label & 1;
}

static uint64_t generation_of(const struct k2k_map *map, uint32_t slot)
{
	/* relaxed: the caller has found it, or is the writer */
	return k2k_load_relaxed(&map->tenants[slot].state_gen) >> K2K_STATE_BITS;
}

static bool find(const struct k2k_map *map, uint32_t slot, uint32_t *index)
{
	/* observe[hot-link]: that the source is the tenant's */
	*index = k2k_load_acquire(&map->cells[slot].source) - 1;
	/* relaxed: it stays the tenant's until a grace period after its end */
	return *index < map->sizes.sources &&
	       k2k_load_relaxed(&map->sources[*index].owner) == generation_of(map, slot);
}

/*
 * Is the label still in force? Then one beyond the next can only be damage. The loads before it
 * come first.
 */
static bool is_in_force(struct k2k_shm_cell *cell, uint64_t label)
{
	k2k_fence_acquire();
	return k2k_load_relaxed(&cell->opening) == label; /* relaxed: ordered by the fence */
}

/* ---- the total ----------------------------------------------------------------------------- */

/* What the shares have spent under the label; true if the cell's label is the same after it. */
static uint64_t spent_under(const struct k2k_map *map, uint32_t source, uint64_t label)
{
	struct k2k_slots slots;
	uint64_t sum = 0;
	uint32_t broker;

	/* observe[hot-brokers]: those that had drawn when the label was loaded */
	k2k_slots_begin(&slots, map, k2k_load_acquire(&map->sources[source].brokers));
	while (k2k_slots_next(&slots, &broker)) {
		struct k2k_shm_share *share = k2k_hot_share(map, source, broker);
		/* observe[share]: what was spent under its label */
		uint64_t word = k2k_load_acquire(&share->spent.second);
		/*
		 * observe[share]: if it is of a later label, the caller's second look at the cell
		 * sees a later one, too
		 */
		uint64_t spent = k2k_load_acquire(&share->spent.first);

		if (label_of_share(word) == label || label_of_share(word) == label + 1)
			sum += spent;
	}
	return sum;
}

enum k2k_hot_state k2k_hot_total(const struct k2k_map *map, uint32_t slot, uint64_t *total)
{
	struct k2k_shm_cell *cell = &map->cells[slot];

	for (;;) {
		/* observe[rate-admitted]: what was counted before it */
		uint64_t label = k2k_load_acquire(&cell->opening), sum = 0;
		/* observe[rate-admitted]: a label that is at least as new, in the look below */
		uint64_t admitted = k2k_load_acquire(&cell->admitted);
		bool hot = k2k_hot_is(admitted), linked = true;
		uint32_t source;

		if (hot && is_open(label)) {
			linked = find(map, slot, &source);
			if (linked)
				sum = spent_under(map, source, label);
		}
		k2k_fence_acquire(); /* the sum comes before the second look */
		/* relaxed: ordered by the fence */
		if (k2k_load_relaxed(&cell->opening) != label)
			continue;
		*total = k2k_hot_sum(admitted, sum);
		if (hot != is_open(label) || !linked)
			return K2K_HOT_DAMAGED;
		return hot ? K2K_HOT_OPEN : K2K_HOT_COLD;
	}
}

/* ---- open ------------------------------------------------------------------------------------ */

/* Takes a source for the tenant. False: there is none. Two threads may take two; one is linked. */
static bool claim(const struct k2k_map *map, uint32_t slot)
{
	struct k2k_shm_cell *cell = &map->cells[slot];
	uint64_t generation = generation_of(map, slot);
	uint32_t index;

	if (k2k_load_relaxed(&cell->source)) /* relaxed: find() looks again */
		return find(map, slot, &index);
	/* publish[hot-sought]: before a source can be the tenant's */
	k2k_store_release(&cell->sought, 1);
	for (uint32_t i = 0; i < ASKED && i < map->sizes.sources; i++) {
		uint64_t owner = 0;
		uint32_t none = 0;

		index = (slot + i) % map->sizes.sources;
		/*
		 * publish[hot-owner]: that its tenant has sought one; observe[hot-owner]: that the
		 * words of the source are fresh
		 */
		if (!k2k_cas_acq_rel(&map->sources[index].owner, &owner, generation) &&
		    owner != generation)
			continue;
		K2K_DELAY(source_claimed);
		/* publish[hot-link]: the owner; observe[hot-link] */
		if (k2k_cas_acq_rel(&cell->source, &none, index + 1) || none == index + 1)
			return true;
		/*
		 * Another source was linked. Nobody links this one any more, whatever thread of the
		 * tenant's brokers still looks at it: the link is set once.
		 */
		owner = generation;
		/* publish[hot-owner]: the words, which nobody has touched; observe[hot-owner] */
		k2k_cas_acq_rel(&map->sources[index].owner, &owner, 0);
		return find(map, slot, &index);
	}
	return false;
}

bool k2k_hot_open(const struct k2k_map *map, uint32_t slot, uint64_t admitted, uint64_t second)
{
	struct k2k_shm_cell *cell = &map->cells[slot];
	/* observe[rate-admitted]: only the number; the exchange compares it */
	uint64_t label = k2k_load_acquire(&cell->opening), next = second << K2K_HOT_NUMBER_BITS | 1;

	if (k2k_hot_is(admitted) || is_open(label) || k2k_hot_second(label) > second)
		return false;
	if (k2k_hot_second(label) == second)
		next = label + 1;
	if ((next & ((1u << K2K_HOT_NUMBER_BITS) - 1)) > 2 * K2K_HOT_OPENINGS || !claim(map, slot))
		return false;
	K2K_DELAY(opening);
	/* publish[rate-admitted]: the link; observe[rate-admitted] */
	return k2k_cas_pair_acq_rel(&cell->admitted, &cell->opening, admitted, label,
	                            admitted | K2K_HOT, next);
}

void k2k_hot_fill(const struct k2k_map *map, uint32_t slot, uint64_t label, uint64_t version,
                  uint64_t left)
{
	struct k2k_shm_source *source;
	uint64_t first, second;
	uint32_t index;

	if (!find(map, slot, &index))
		return;
	source = &map->sources[index];
	/* observe[hot-source]: only the label */
	first = k2k_load_acquire(&source->left.first);
	/* relaxed: the exchange compares it */
	second = k2k_load_relaxed(&source->left.second);
	K2K_DELAY(filling);
	if (label_of_source(first) < label)
		/* publish[hot-source]: that all shares are below the label; observe[hot-source] */
		k2k_cas_pair_acq_rel(&source->left.first, &source->left.second, first, second,
		                     label << K2K_RATE_TAG_BITS | (version & K2K_RATE_TAG_MASK),
		                     left);
}

/* ---- draw and raise -------------------------------------------------------------------------- */

/* Of what is left: so much that many draws are needed until the last ones, which are small. */
static uint64_t amount(const struct k2k_shm_source *source, uint64_t left, uint64_t n)
{
	/* relaxed: a measure */
	int brokers = __builtin_popcountll(k2k_load_relaxed(&source->brokers));
	uint64_t more = left / (4 * (uint64_t)(brokers + 1));

	if (more > K2K_HOT_CREDIT_MAX)
		more = K2K_HOT_CREDIT_MAX;
	return n + more < left ? n + more : left;
}

static void link_share(const struct k2k_map *map, struct k2k_shm_source *source, uint32_t broker)
{
	uint64_t bit = k2k_slot_bit(map, broker);

	/* observe[hot-brokers]: the bit, which this broker's draw publishes */
	if (!(k2k_load_acquire(&source->brokers) & bit))
		/* publish[hot-brokers]: the share, before anything is drawn for it */
		k2k_or_release(&source->brokers, bit);
}

/* False: the label is over, so what was drawn under it is void. */
static bool raise_share(struct k2k_shm_share *share, uint64_t label, uint64_t n, uint64_t more)
{
	for (;;) {
		/* observe[share]: the label, with all that was spent under it */
		uint64_t word = k2k_load_acquire(&share->spent.second), credit = more;
		/* relaxed: the exchange compares it */
		uint64_t spent = k2k_load_relaxed(&share->spent.first), of = label_of_share(word);

		if (of > label)
			return false;
		if (of == label)
			credit += word & K2K_HOT_CREDIT_MAX;
		if (credit > K2K_HOT_CREDIT_MAX) /* the rest comes back with the fold */
			credit = K2K_HOT_CREDIT_MAX;
		K2K_DELAY(raising);
		/* publish[share]: the version of the credit; observe[share] */
		if (k2k_cas_pair_acq_rel(&share->spent.first, &share->spent.second, spent, word,
		                         (of == label ? spent : 0) + n,
		                         label << K2K_HOT_CREDIT_BITS | credit))
			return true;
	}
}

enum k2k_hot_draw k2k_hot_draw(const struct k2k_map *map, uint32_t slot, uint32_t broker,
                               uint64_t label, uint64_t version, uint64_t limit, uint64_t n,
                               struct k2k_shm_share **own)
{
	struct k2k_shm_source *source;
	struct k2k_shm_share *share;
	uint64_t first, left, drawn;
	uint32_t index;

	if (!find(map, slot, &index))
		return K2K_HOT_EMPTY;
	source = &map->sources[index];
	*own = share = k2k_hot_share(map, index, broker);
	link_share(map, source, broker);
	K2K_DELAY(linked_share);
	/* observe[hot-source]: that all shares are below its label, or at it */
	first = k2k_load_acquire(&source->left.first);
	/* relaxed: the exchange compares it */
	left = k2k_load_relaxed(&source->left.second);
	if (label_of_source(first) < label)
		return K2K_HOT_UNFILLED;
	if (label_of_source(first) > label || ((first ^ version) & K2K_RATE_TAG_MASK) || left < n)
		return K2K_HOT_EMPTY;
	drawn = amount(source, left, n);
	K2K_DELAY(drawing);
	/* publish[hot-source]: the bit of the share; observe[hot-source] */
	if (!k2k_cas_pair_acq_rel(&source->left.first, &source->left.second, first, left, first,
	                          left - drawn))
		return K2K_HOT_AGAIN;
	/* relaxed: published with the version */
	k2k_store_relaxed(&share->generation, generation_of(map, slot));
	/* publish[share-version]: that no share has credit of an earlier version */
	k2k_store_release(&share->version, version);
	/* relaxed, both: a note, and a count */
	k2k_store_relaxed(&share->used, limit - (left - drawn));
	k2k_add_relaxed(&share->draws, 1);
	if (raise_share(share, label, n, drawn - n))
		return K2K_HOT_RAISED;
	/* in force: a fold has begun, or the share is damaged; a fold mends it */
	return is_in_force(&map->cells[slot], label) ? K2K_HOT_EMPTY : K2K_HOT_AGAIN;
}

/* ---- fold ------------------------------------------------------------------------------------ */

/* False: the label is over. */
static bool close_source(struct k2k_shm_cell *cell, struct k2k_shm_source *source, uint64_t label)
{
	for (;;) {
		/* observe[hot-source]: the bits of all that have drawn */
		uint64_t first = k2k_load_acquire(&source->left.first);
		/* relaxed: the exchange compares it */
		uint64_t left = k2k_load_relaxed(&source->left.second);

		if (label_of_source(first) == label + 1)
			return true;
		if (label_of_source(first) > label + 1 && !is_in_force(cell, label))
			return false;
		K2K_DELAY(closing);
		/* publish[hot-source]: the end; observe[hot-source]: the bits of all that drew */
		if (k2k_cas_pair_acq_rel(&source->left.first, &source->left.second, first, left,
		                         (label + 1) << K2K_RATE_TAG_BITS, 0))
			return true;
	}
}

/* Adds what the share has spent under the label. False: the label is over. */
static bool freeze(struct k2k_shm_cell *cell, struct k2k_shm_share *share, uint64_t label,
                   uint64_t *sum)
{
	for (;;) {
		/* observe[share]: what was spent under its label */
		uint64_t word = k2k_load_acquire(&share->spent.second), of = label_of_share(word);
		/* observe[share]: if it is of a later label, the cell's exchange fails */
		uint64_t spent = k2k_load_acquire(&share->spent.first);

		if (of == label + 1) {
			*sum += spent;
			return true;
		}
		if (of > label + 1 && !is_in_force(cell, label))
			return false;
		K2K_DELAY(freezing);
		/* publish[share]: what was spent; observe[share] */
		if (k2k_cas_pair_acq_rel(&share->spent.first, &share->spent.second, spent, word,
		                         of == label ? spent : 0,
		                         (label + 1) << K2K_HOT_CREDIT_BITS)) {
			*sum += of == label ? spent : 0;
			return true;
		}
	}
}

static bool freeze_all(const struct k2k_map *map, struct k2k_shm_cell *cell, uint32_t source,
                       uint64_t label, uint64_t *sum)
{
	struct k2k_slots slots;
	uint32_t broker;

	/* observe[hot-brokers]: those of all that have drawn under the label */
	k2k_slots_begin(&slots, map, k2k_load_acquire(&map->sources[source].brokers));
	while (k2k_slots_next(&slots, &broker))
		if (!freeze(cell, k2k_hot_share(map, source, broker), label, sum))
			return false;
	return true;
}

bool k2k_hot_fold(const struct k2k_map *map, uint32_t slot)
{
	struct k2k_shm_cell *cell = &map->cells[slot];
	/* observe[rate-admitted]: the link of its source */
	uint64_t label = k2k_load_acquire(&cell->opening);
	/* observe[rate-admitted]: the same */
	uint64_t admitted = k2k_load_acquire(&cell->admitted), sum = 0;
	uint32_t source;

	if (!k2k_hot_is(admitted))
		return true;
	if (!is_open(label) || !find(map, slot, &source))
		return !is_in_force(cell, label);
	if (!close_source(cell, &map->sources[source], label) ||
	    !freeze_all(map, cell, source, label, &sum))
		return true;
	K2K_DELAY(folding);
	/* publish[rate-admitted]: that all shares are frozen; observe[rate-admitted] */
	if (k2k_cas_pair_acq_rel(&cell->admitted, &cell->opening, admitted, label,
	                         k2k_hot_sum(admitted, sum), label + 1))
		/* relaxed: a count */
		k2k_add_relaxed(&map->sources[source].folds, 1);
	return true;
}

/* ---- for the writer -------------------------------------------------------------------------- */

void k2k_hot_reset(const struct k2k_map *map, uint32_t index)
{
	struct k2k_shm_source *source = &map->sources[index];

	/* relaxed, all: nobody refers to it until it has an owner again */
	for (uint32_t i = 0; i < map->sizes.slots; i++) {
		struct k2k_shm_share *share = k2k_hot_share(map, index, i);

		k2k_store_relaxed(&share->spent.first, 0);
		k2k_store_relaxed(&share->spent.second, 0);
		k2k_store_relaxed(&share->version, 0);
		k2k_store_relaxed(&share->generation, 0);
	}
	k2k_store_relaxed(&source->left.first, 0);
	k2k_store_relaxed(&source->left.second, 0);
	k2k_store_relaxed(&source->brokers, 0);
	K2K_DELAY(source_reset);
	/* publish[hot-owner]: the words above */
	k2k_store_release(&source->owner, 0);
}

void k2k_hot_release(const struct k2k_map *map, uint32_t slot)
{
	uint64_t generation = generation_of(map, slot);

	/* observe[hot-sought]: a grace period has passed, so no broker of the tenant is left */
	if (!k2k_load_acquire(&map->cells[slot].sought))
		return;
	for (uint32_t i = 0; i < map->sizes.sources; i++)
		/* observe[hot-owner]: its current value */
		if (k2k_load_acquire(&map->sources[i].owner) == generation)
			k2k_hot_reset(map, i);
}

/* ---- damage ---------------------------------------------------------------------------------- */

bool k2k_hot_is_sound(const struct k2k_map *map, uint32_t slot, uint64_t latest)
{
	struct k2k_shm_cell *cell = &map->cells[slot];
	/* relaxed: a label that it passes later is no less sound */
	uint64_t total, label = k2k_load_relaxed(&cell->opening);
	uint32_t index;

	return k2k_hot_second(label) <= latest &&
	       /* relaxed: set once */
	       (k2k_load_relaxed(&cell->source) == 0 || find(map, slot, &index)) &&
	       k2k_hot_total(map, slot, &total) != K2K_HOT_DAMAGED;
}

bool k2k_hot_mend(const struct k2k_map *map, uint32_t slot, uint64_t latest)
{
	struct k2k_shm_cell *cell = &map->cells[slot];
	uint64_t label, admitted, next;
	uint32_t index;
	bool linked = find(map, slot, &index);

	if (k2k_hot_is_sound(map, slot, latest))
		return false;
	/* observe[rate-admitted]: its current value */
	label = k2k_load_acquire(&cell->opening);
	/* observe[rate-admitted]: its current value */
	admitted = k2k_load_acquire(&cell->admitted);
	if (linked && is_open(label) && k2k_hot_second(label) <= latest) {
		/* publish[rate-admitted]: the bit that belongs to it; observe[rate-admitted] */
		k2k_cas_pair_acq_rel(&cell->admitted, &cell->opening, admitted, label,
		                     admitted | K2K_HOT, label);
		return k2k_hot_fold(map, slot);
	}
	/*
	 * If it was cold, it stays so. Else the next opening is of a second for which no share has
	 * credit, since nobody freezes those that have some.
	 */
	next = label;
	if (is_open(label) || k2k_hot_second(label) > latest)
		next = latest << K2K_HOT_NUMBER_BITS;
	/* publish[rate-admitted]: that it is cold; observe[rate-admitted] */
	k2k_cas_pair_acq_rel(&cell->admitted, &cell->opening, admitted, label, admitted & ~K2K_HOT,
	                     next);
	if (!linked)
		/* publish[hot-link]: none */
		k2k_store_release(&cell->source, 0);
	return true;
}

enum k2k_hot_owner k2k_hot_owner_of(const struct k2k_map *map, uint32_t source, uint32_t *slot)
{
	/* observe[hot-owner]: that its tenant has sought one */
	uint64_t owner = k2k_load_acquire(&map->sources[source].owner);

	if (owner == 0)
		return K2K_HOT_FREE;
	for (*slot = 0; *slot < map->sizes.tenants; ++*slot) {
		/* relaxed, both: under the writer's lock, or only a finding */
		uint64_t word = k2k_load_relaxed(&map->tenants[*slot].state_gen);

		if (word == 0 || word >> K2K_STATE_BITS != owner)
			continue;
		if ((word & ((1u << K2K_STATE_BITS) - 1)) == K2K_TENANT_FREE)
			return K2K_HOT_LOST;
		return k2k_load_relaxed(&map->cells[*slot].sought) == 1 ? K2K_HOT_OWNED
		                                                        : K2K_HOT_UNSEEN;
	}
	return K2K_HOT_LOST;
}
