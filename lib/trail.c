/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "error.h"

#define ENTRIES 256
#define NAME_BYTES 96    /* of names that are compared; longer ones are an event each */
#define SPINS 200
#define LOOK_NS UINT64_C(50000000)
#define QUIET_LOOKS 40   /* after so many without anything new: two seconds */

/* Names, kinds and codes of layout.h are those of the public header. */
_Static_assert(K2K_EVENT_KINDS == K2K_AUDIT_KINDS && K2K_RINGS == K2K_AUDIT_RINGS && K2K_RING_ADMIN == K2K_AUDIT_RING_ADMIN,
               "as many kinds and rings in the layout as in the header");
_Static_assert(K2K_EVENT_NAME_BYTES == K2K_AUDIT_NAME_MAX + 1 && K2K_EVENT_VALUES <= K2K_AUDIT_VALUES, "as much room");

enum { KEY_WORDS = 5, NAME_WORDS = NAME_BYTES / 8, KEY_WORDS_MOST = KEY_WORDS + 2 * NAME_WORDS };

/*
 * An event that may be open, and what a repeat of it must be. Private memory, but a repeat takes no lock: it reads
 * between two looks at `version`, which is odd while somebody changes the entry. What it goes by is the event's number, and
 * the ring adds only to the event of that number.
 */
struct k2k_trail_entry {
	k2k_u64 version;
	k2k_u64 n;               /* 0: none */
	k2k_u64 second;
	k2k_u64 key[KEY_WORDS_MOST];
};

/* What makes two rejections alike, as words. */
struct key {
	uint32_t kind, count;
	uint64_t words[KEY_WORDS_MOST];
};

int k2k_trail_open(struct k2k_trail *trail, const struct k2k_trail_options *options)
{
	memset(trail, 0, sizeof(*trail));
	if (options->rejects) {
		trail->entries = calloc(ENTRIES, sizeof(*trail->entries));
		if (!trail->entries)
			return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "trail", "no memory for a table of events");
	}
	trail->map = options->map;
	trail->clock = options->clock;
	trail->pid = options->pid;
	trail->incarnation = options->incarnation;
	strncpy(trail->actor, options->actor, sizeof(trail->actor) - 1);
	trail->ring = k2k_ring_of(options->map, options->ring);
	if (options->rejects)
		k2k_ring_own(&trail->ring);
	trail->turnover = k2k_ring_turnover(&trail->ring);
	trail->quiet = QUIET_LOOKS;
	return 0;
}

/* ---- events ------------------------------------------------------------------------- */

static uint32_t kind_of(int32_t code)
{
	switch (code) {
	case K2K_ERATE: return K2K_AUDIT_KIND_RATE;
	case K2K_EBUDGET: return K2K_AUDIT_KIND_BUDGET;
	case K2K_EKERNELS: return K2K_AUDIT_KIND_KERNELS;
	case K2K_EGPUMEM: return K2K_AUDIT_KIND_GPU_MEMORY;
	case K2K_ENOTENANT: return K2K_AUDIT_KIND_UNKNOWN_TENANT;
	default: return K2K_AUDIT_KIND_CROSS_TENANT;
	}
}

static void sign(const struct k2k_trail *trail, struct k2k_event_body *body)
{
	body->time_ns = k2k_clock_realtime_ns();
	body->monotonic_ns = k2k_clock_monotonic_ns() - (uint64_t)trail->clock->offset_ns;
	if (body->kind != K2K_AUDIT_KIND_BROKER_DEAD) { /* which names the dead one, whatever it had signed with */
		body->pid = trail->pid;
		body->incarnation = trail->incarnation;
	}
}

/* As much as there is room for, whole characters of UTF-8. True: cut. */
static bool copy_name(char into[K2K_EVENT_NAME_BYTES], const char *name)
{
	size_t length = strnlen(name, K2K_EVENT_NAME_BYTES);
	bool cut = length == K2K_EVENT_NAME_BYTES;

	if (cut)
		for (length--; length > 0 && ((unsigned char)name[length] & 0xc0) == 0x80; length--)
			;
	memcpy(into, name, length);
	return cut;
}

static uint64_t append(struct k2k_trail *trail, const struct k2k_rejection *r, bool open)
{
	struct k2k_event_body body;

	memset(&body, 0, sizeof(body));
	body.kind = (uint16_t)kind_of(r->code);
	body.code = r->code;
	body.tenant = r->tenant;
	body.to = r->to;
	body.org_id = r->tag.org_id;
	body.engagement_id = r->tag.engagement_id;
	body.used = r->used;
	body.limit = r->limit;
	if (r->code == 0) {
		if (copy_name(body.more.kernels.source, r->source))
			body.flags |= K2K_EVENT_CUT_SOURCE;
		if (copy_name(body.more.kernels.destination, r->destination))
			body.flags |= K2K_EVENT_CUT_DESTINATION;
	}
	sign(trail, &body);
	return k2k_ring_append(&trail->ring, &body, open);
}

void k2k_trail_tell(struct k2k_trail *trail, struct k2k_event_body *body)
{
	sign(trail, body);
	memcpy(body->more.change.actor, trail->actor, sizeof(body->more.change.actor));
	k2k_ring_append(&trail->ring, body, false);
}

void k2k_trail_tell_locked(struct k2k_trail *trail, struct k2k_event_body *body)
{
	k2k_ring_own(&trail->ring); /* whoever had the lock before us has ended its event, or is dead */
	k2k_trail_tell(trail, body);
	trail->told = true;
	/* in a long batch: before they miss anything */
	if ((k2k_ring_newest(&trail->ring) & trail->ring.mask / 2) == 0)
		k2k_trail_wake(trail);
}

void k2k_trail_wake(struct k2k_trail *trail)
{
	if (!trail->told)
		return;
	trail->told = false;
	k2k_ring_wake(trail->map);
}

int k2k_teller_open(struct k2k_teller *teller, const struct k2k_map *map, const char *actor)
{
	struct k2k_identity own;
	char comm[16];
	int code = k2k_clock_open(&teller->clock);

	if (code)
		return code;
	k2k_identity_read(&own);
	k2k_identity_comm(comm, own.comm[0], own.comm[1]);
	return k2k_trail_open(&teller->trail, &(struct k2k_trail_options){ .map = map, .clock = &teller->clock, .ring = K2K_RING_ADMIN,
	                                                                   .pid = own.pid, .actor = actor ? actor : comm });
}

/* ---- repeats ------------------------------------------------------------------------- */

/* False: its names are too long to be compared. */
static bool make_key(const struct k2k_rejection *r, struct key *key)
{
	size_t source, destination;

	key->kind = kind_of(r->code);
	key->count = KEY_WORDS;
	key->words[0] = key->kind;
	key->words[1] = r->tenant;
	key->words[2] = r->to;
	key->words[3] = r->tag.org_id;
	key->words[4] = r->tag.engagement_id;
	if (r->code != 0)
		return true;
	source = strnlen(r->source, NAME_BYTES);
	destination = strnlen(r->destination, NAME_BYTES);
	if (source == NAME_BYTES || destination == NAME_BYTES)
		return false;
	key->count = KEY_WORDS_MOST;
	memset(key->words + KEY_WORDS, 0, sizeof(key->words) - KEY_WORDS * sizeof(*key->words));
	memcpy(key->words + KEY_WORDS, r->source, source);
	memcpy(key->words + KEY_WORDS + NAME_WORDS, r->destination, destination);
	return true;
}

static struct k2k_trail_entry *entry_for(struct k2k_trail *trail, const struct key *key)
{
	uint64_t hash = 0;

	for (uint32_t i = 0; i < key->count; i++)
		hash = k2k_mix64(hash ^ key->words[i]);
	return &trail->entries[hash % ENTRIES];
}

/* The number of the event that it repeats, or 0. relaxed, all: between two looks at the version, or with the entry entered */
static uint64_t find_same(const struct k2k_trail_entry *entry, const struct key *key, uint64_t second)
{
	uint64_t n = k2k_load_relaxed(&entry->n);

	if (n == 0 || k2k_load_relaxed(&entry->second) != second)
		return 0;
	for (uint32_t i = 0; i < key->count; i++)
		if (k2k_load_relaxed(&entry->key[i]) != key->words[i])
			return 0;
	return n;
}

static bool repeat(struct k2k_trail *trail, const struct k2k_trail_entry *entry, const struct key *key, uint64_t second)
{
	uint64_t version = k2k_load_acquire(&entry->version), n; /* observe[trail-entry]: what the last one left */

	if (version % 2)
		return false;
	n = find_same(entry, key, second);
	k2k_fence_acquire(); /* with the one of enter(): words of a later change are not taken for this one's */
	return n && k2k_load_relaxed(&entry->version) == version && k2k_ring_repeat(&trail->ring, n, key->kind); /* relaxed: ordered by the fence */
}

static bool enter(struct k2k_trail_entry *entry)
{
	uint64_t version = k2k_load_relaxed(&entry->version); /* relaxed: the compare-exchange decides */

	/* observe[trail-entry]: what the last one left; publish[trail-entry]: nothing yet */
	if (version % 2 || !k2k_cas_acq_rel(&entry->version, &version, version + 1))
		return false;
	k2k_fence_release(); /* with the one of repeat(): who reads a word of ours reads the odd version afterwards */
	return true;
}

static void leave(struct k2k_trail_entry *entry)
{
	uint64_t version = k2k_load_relaxed(&entry->version); /* relaxed: ours */

	k2k_store_release(&entry->version, version + 1); /* publish[trail-entry]: what we leave */
}

/* relaxed, all: with the entry entered; a count */
static void vacate(struct k2k_trail *trail, struct k2k_trail_entry *entry)
{
	uint64_t n = k2k_load_relaxed(&entry->n);

	if (n == 0)
		return;
	k2k_ring_close(&trail->ring, n);
	k2k_store_relaxed(&entry->n, 0);
	k2k_add_relaxed(&trail->open, UINT32_MAX);
}

/* The same. relaxed, all: as there */
static void occupy(struct k2k_trail *trail, struct k2k_trail_entry *entry, const struct key *key, uint64_t n, uint64_t second)
{
	for (uint32_t i = 0; i < key->count; i++)
		k2k_store_relaxed(&entry->key[i], key->words[i]);
	k2k_store_relaxed(&entry->second, second);
	k2k_store_relaxed(&entry->n, n);
	k2k_add_relaxed(&trail->open, 1);
}

/* With the entry entered, in which another thread may have been before. */
static void begin_anew(struct k2k_trail *trail, struct k2k_trail_entry *entry, const struct key *key,
                       const struct k2k_rejection *r, uint64_t second)
{
	uint64_t n = find_same(entry, key, second);

	if (n && k2k_ring_repeat(&trail->ring, n, key->kind))
		return;
	vacate(trail, entry);
	n = append(trail, r, true);
	if (n)
		occupy(trail, entry, key, n, second);
}

void k2k_trail_reject(struct k2k_trail *trail, const struct k2k_rejection *r, uint64_t second)
{
	struct k2k_trail_entry *entry;
	struct key key;

	if (!make_key(r, &key)) {
		append(trail, r, false);
		return;
	}
	entry = entry_for(trail, &key);
	/* at most SPINS tries: who changes the entry may be preempted, and nobody waits for it */
	for (int i = 0; i < SPINS; i++) {
		if (repeat(trail, entry, &key, second))
			return;
		if (enter(entry)) {
			begin_anew(trail, entry, &key, r, second);
			leave(entry);
			return;
		}
	}
	append(trail, r, false);
}

/* ---- the watch ------------------------------------------------------------------------- */

/* relaxed, both: with the entry entered; without, a hint */
static bool is_due(const struct k2k_trail *trail, const struct k2k_trail_entry *entry, uint64_t second, uint64_t newest)
{
	uint64_t n = k2k_load_relaxed(&entry->n);

	return n && (k2k_load_relaxed(&entry->second) < second || newest - n > trail->ring.mask / 2);
}

/* True: something was closed. */
static bool close_due(struct k2k_trail *trail, uint64_t second)
{
	uint64_t newest = k2k_ring_newest(&trail->ring);
	bool closed = false;

	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct k2k_trail_entry *entry = &trail->entries[i];

		/* entered only where it seems due: who finds it entered writes an event of its own. In use now: the next look. */
		if (!is_due(trail, entry, second, newest) || !enter(entry))
			continue;
		if (is_due(trail, entry, second, newest)) {
			vacate(trail, entry);
			closed = true;
		}
		leave(entry);
	}
	return closed;
}

uint64_t k2k_trail_look(struct k2k_trail *trail)
{
	uint64_t turnover = k2k_ring_turnover(&trail->ring);
	/* relaxed: counted before what the next look finds */
	bool news = turnover != trail->turnover;

	if (k2k_load_relaxed(&trail->open) && close_due(trail, k2k_clock_now(trail->clock).second))
		news = true;
	trail->turnover = turnover;
	if (news)
		k2k_ring_wake(trail->map);
	trail->quiet = news ? 0 : trail->quiet < QUIET_LOOKS ? trail->quiet + 1 : QUIET_LOOKS;
	return trail->quiet < QUIET_LOOKS ? LOOK_NS : 0;
}

void k2k_trail_close(struct k2k_trail *trail)
{
	if (trail->entries) {
		close_due(trail, UINT64_MAX);
		k2k_ring_wake(trail->map);
		free(trail->entries);
	}
	memset(trail, 0, sizeof(*trail));
}
