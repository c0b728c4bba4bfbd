/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "trail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "broker.h"
#include "error.h"

#define ENTRIES (UINT64_C(1) << 15)
/* with 10,000 keys, one handle in a thousand has a run of taken entries as long as this */
#define WINDOW 32
#define SPINS 200
#define ROOM_WAIT_NS (2 * K2K_NS_PER_SEC)
#define ROOM_POLL_NS UINT64_C(200000)
#define LOOK_NS UINT64_C(50000000)
#define WAKE_EVENTS 32 /* after as many events a batch wakes readers */
#define QUIET_LOOKS 40 /* after two seconds without anything new the agent looks once a second */

_Static_assert(K2K_EVENT_KINDS <= K2K_AUDIT_KINDS_MAX && K2K_RINGS_LOW == K2K_AUDIT_RINGS &&
                       K2K_RING_ADMIN == K2K_AUDIT_RING_ADMIN,
               "the header has room for the layout's kinds, and the same rings");
_Static_assert(K2K_EVENT_NAME_BYTES == K2K_AUDIT_NAME_MAX + 1 &&
                       K2K_EVENT_VALUES <= K2K_AUDIT_VALUES,
               "the header has room for the layout's names and values");

enum {
	KEY_WORDS = 5,
	NAME_WORDS = 2 * K2K_EVENT_NAME_BYTES / 8,
	KEY_WORDS_MOST = KEY_WORDS + NAME_WORDS
};

_Static_assert(2 * K2K_EVENT_NAME_BYTES % 8 == 0 &&
                       sizeof(((struct k2k_event_body *)0)->more.kernels) == NAME_WORDS * 8,
               "names are whole words of a key");

/* What equal rejections have in common, as words. Names are cut as in events. */
struct key {
	uint32_t kind, count;
	uint64_t words[KEY_WORDS_MOST];
};

/* KEY_KIND: flags above the kind */
enum { KEY_KIND, KEY_TENANT, KEY_TO, KEY_ORG, KEY_ENGAGEMENT };

/*
 * An entry has a key that had its event in this second, or has repeats that wait for the next
 * event. It is in private memory. A repeat takes no lock: it reads between two looks at `version`,
 * which is odd while a thread changes the entry. A stale entry does no harm: the repeat only uses
 * the event's number, and the ring adds only to the event of that number.
 *
 * A thread that searches a place for a key takes `locked` of the key's home entry first, so no key
 * is in two places.
 */
struct k2k_trail_entry {
	_Alignas(K2K_CACHE_LINE) k2k_u64 version; /* 0: never used, so no key went past it */
	k2k_u64 n;                                /* 0: no event is open */
	k2k_u64 second;
	k2k_u64 key[KEY_WORDS_MOST];
	k2k_u32 locked;
	/* for a thread that has entered the entry: how many repeats wait; the newest's numbers */
	uint32_t pending;
	uint64_t used, limit;
};

/* Populates all pages: a page fault on the message path could put its caller to sleep. */
static int make_table(struct k2k_trail *trail)
{
	void *entries = mmap(NULL, ENTRIES * sizeof(*trail->entries), PROT_READ | PROT_WRITE,
	                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	trail->used = calloc(ENTRIES / 64, sizeof(*trail->used));
	if (entries == MAP_FAILED || !trail->used) {
		free(trail->used);
		if (entries != MAP_FAILED)
			munmap(entries, ENTRIES * sizeof(*trail->entries));
		trail->used = NULL;
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "trail",
		                      "no memory for a table of events");
	}
	trail->entries = entries;
	/* if it fails, homes can be guessed; that costs coalescing, not counts */
	if (getrandom(trail->seeds, sizeof(trail->seeds), 0) != (ssize_t)sizeof(trail->seeds))
		for (int i = 0; i < K2K_TRAIL_SEEDS; i++)
			trail->seeds[i] = k2k_mix64(trail->incarnation + (uint64_t)i);
	return 0;
}

static uint64_t turnover_of(const struct k2k_trail *trail)
{
	return k2k_ring_turnover(&trail->ring) +
	       (trail->entries ? k2k_ring_turnover(&trail->security) : 0);
}

int k2k_trail_open(struct k2k_trail *trail, const struct k2k_trail_options *options)
{
	memset(trail, 0, sizeof(*trail));
	if (options->rejects) {
		int code = make_table(trail);

		if (code)
			return code;
	}
	trail->map = options->map;
	trail->clock = options->clock;
	trail->pid = options->pid;
	trail->incarnation = options->incarnation;
	memcpy(trail->comm, options->comm, sizeof(trail->comm));
	strncpy(trail->actor, options->actor, sizeof(trail->actor) - 1);
	trail->liveness = options->liveness;
	trail->ring = k2k_ring_of(options->map, options->ring);
	if (options->rejects) {
		trail->security = k2k_ring_of(options->map,
		                              K2K_RING_SECURITY(k2k_ring_slot(options->ring)));
		k2k_ring_own(&trail->ring);
		k2k_ring_own(&trail->security);
	}
	trail->turnover = turnover_of(trail);
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
	case K2K_ESUSPENDED: return K2K_AUDIT_KIND_SUSPENDED;
	case K2K_ENOTENANT: return K2K_AUDIT_KIND_UNKNOWN_TENANT;
	default: return K2K_AUDIT_KIND_CROSS_TENANT;
	}
}

static void sign(const struct k2k_trail *trail, struct k2k_event_body *body)
{
	body->time_ns = k2k_clock_realtime_ns();
	body->monotonic_ns = k2k_clock_monotonic_ns() - (uint64_t)trail->clock->offset_ns;
	/* BROKER_DEAD has the pid and incarnation of the dead broker, not of the writer */
	if (body->kind != K2K_AUDIT_KIND_BROKER_DEAD) {
		body->pid = trail->pid;
		body->incarnation = trail->incarnation;
	}
}

/* Copies as many whole characters of UTF-8 as there is room for. True: the name was cut. */
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

static const struct k2k_ring *ring_for(const struct k2k_trail *trail, uint32_t kind)
{
	return kind == K2K_AUDIT_KIND_CROSS_TENANT ? &trail->security : &trail->ring;
}

static int32_t code_of(uint32_t kind)
{
	static const int32_t codes[] = {
		[K2K_AUDIT_KIND_RATE] = K2K_ERATE,
		[K2K_AUDIT_KIND_BUDGET] = K2K_EBUDGET,
		[K2K_AUDIT_KIND_KERNELS] = K2K_EKERNELS,
		[K2K_AUDIT_KIND_GPU_MEMORY] = K2K_EGPUMEM,
		[K2K_AUDIT_KIND_UNKNOWN_TENANT] = K2K_ENOTENANT,
		[K2K_AUDIT_KIND_SUSPENDED] = K2K_ESUSPENDED,
	};

	return kind < K2K_COUNT_OF(codes) ? codes[kind] : 0;
}

static uint64_t append(struct k2k_trail *trail, const struct key *key, uint64_t used,
                       uint64_t limit, uint64_t count, bool open)
{
	struct k2k_event_body body;

	memset(&body, 0, sizeof(body));
	body.kind = (uint16_t)key->kind;
	body.flags = (uint16_t)(key->words[KEY_KIND] >> 16);
	body.code = code_of(key->kind);
	body.tenant = key->words[KEY_TENANT];
	body.to = key->words[KEY_TO];
	body.org_id = key->words[KEY_ORG];
	body.engagement_id = key->words[KEY_ENGAGEMENT];
	if (key->count == KEY_WORDS_MOST) {
		body.used = trail->comm[0];
		body.limit = trail->comm[1];
		memcpy(&body.more.kernels, key->words + KEY_WORDS, sizeof(body.more.kernels));
	} else {
		body.used = used;
		body.limit = limit;
		memcpy(body.more.broker.comm, trail->comm, sizeof(trail->comm));
	}
	sign(trail, &body);
	return k2k_ring_append(ring_for(trail, key->kind), &body, count, open);
}

void k2k_trail_append(struct k2k_trail *trail, struct k2k_event_body *body)
{
	sign(trail, body);
	memcpy(body->more.change.actor, trail->actor, sizeof(body->more.change.actor));
	/* a tenant can cause any number of alerts: they overwrite no security event */
	k2k_ring_append(trail->entries && body->kind != K2K_AUDIT_KIND_ALERT ? &trail->security
	                                                                     : &trail->ring,
	                body, 1, false);
}

bool k2k_event_has_name(const struct k2k_event_body *body)
{
	return (body->kind == K2K_AUDIT_KIND_REGISTER || body->kind == K2K_AUDIT_KIND_UPDATE) &&
	       body->more.change.values[K2K_AUDIT_REGISTER_MASK] & K2K_UPDATE_NAME;
}

void k2k_event_set_name(struct k2k_event_body *body, const uint64_t name[K2K_NAME_WORDS])
{
	body->org_id = name[0];
	body->engagement_id = name[1];
	body->used = name[2];
	body->limit = name[3];
}

void k2k_event_get_name(const struct k2k_event_body *body, char name[K2K_NAME_WORDS * 8])
{
	const uint64_t words[K2K_NAME_WORDS] = { body->org_id, body->engagement_id, body->used,
		                                 body->limit };

	memcpy(name, words, sizeof(words));
}

/* ---- followers ------------------------------------------------------------------------ */

static uint64_t now_of(const struct k2k_trail *trail)
{
	return k2k_clock_monotonic_ns() - (uint64_t)trail->clock->offset_ns;
}

static bool is_waited_for(struct k2k_trail *trail, uint32_t index)
{
	const struct k2k_shm_follower *follower = &trail->map->followers[index];

	/* relaxed: usually there is none; k2k_follower_is_prompt() loads the owner again */
	return k2k_load_relaxed(&follower->owner) != 0 &&
	       !k2k_follower_has_room(trail->map, index, 1) &&
	       /* relaxed: compared only */
	       k2k_load_relaxed(k2k_follower_position(trail->map, index, K2K_RING_ADMIN)) !=
	               trail->gave_up_at[index] &&
	       k2k_follower_is_prompt(follower, trail->liveness, now_of(trail));
}

static void wait_for_followers(struct k2k_trail *trail)
{
	for (uint32_t i = 0; trail->liveness && i < K2K_FOLLOWERS; i++) {
		uint64_t deadline_ns = 0;

		while (is_waited_for(trail, i)) {
			uint64_t now = k2k_clock_monotonic_ns();

			if (deadline_ns == 0) {
				deadline_ns = now + ROOM_WAIT_NS;
				k2k_trail_wake(trail);
			}
			if (now >= deadline_ns)
				/* relaxed: as above */
				trail->gave_up_at[i] = k2k_load_relaxed(
					k2k_follower_position(trail->map, i, K2K_RING_ADMIN));
			else
				k2k_clock_sleep_ns(ROOM_POLL_NS);
		}
	}
}

bool k2k_trail_is_kept(const struct k2k_trail *trail, uint64_t events)
{
	for (uint32_t i = 0; i < K2K_FOLLOWERS; i++)
		if (k2k_follower_is_prompt(&trail->map->followers[i], trail->liveness,
		                           now_of(trail)) &&
		    k2k_follower_has_room(trail->map, i, events))
			return true;
	return false;
}

void k2k_trail_append_locked(struct k2k_trail *trail, struct k2k_event_body *body)
{
	wait_for_followers(trail);
	/* earlier holders of the lock have completed their events, or are dead */
	k2k_ring_own(&trail->ring);
	k2k_trail_append(trail, body);
	trail->unannounced++;
	/* create and destroy wake readers once they have done what the event reports */
	if (!trail->liveness)
		return;
	/* a long batch wakes readers before they would miss events */
	if (body->monotonic_ns - trail->woken_ns < LOOK_NS && trail->unannounced < WAKE_EVENTS &&
	    trail->unannounced <= trail->ring.mask / 2)
		return;
	trail->woken_ns = body->monotonic_ns;
	k2k_trail_wake(trail);
}

void k2k_trail_wake(struct k2k_trail *trail)
{
	if (trail->unannounced == 0)
		return;
	trail->unannounced = 0;
	k2k_ring_wake(trail->map);
}

int k2k_trail_writer_open(struct k2k_trail_writer *writer, const struct k2k_map *map,
                          const char *actor)
{
	struct k2k_identity own;
	char comm[16];
	int code = k2k_clock_open(&writer->clock);

	if (code)
		return code;
	k2k_identity_read(&own);
	k2k_identity_comm(comm, own.comm[0], own.comm[1]);
	return k2k_trail_open(&writer->trail,
	                      &(struct k2k_trail_options){ .map = map,
	                                                   .clock = &writer->clock,
	                                                   .ring = K2K_RING_ADMIN,
	                                                   .pid = own.pid,
	                                                   .actor = actor ? actor : comm });
}

/* ---- repeats ------------------------------------------------------------------------- */

static void make_key(const struct k2k_rejection *r, struct key *key)
{
	struct {
		char source[K2K_EVENT_NAME_BYTES], destination[K2K_EVENT_NAME_BYTES];
	} names;
	uint64_t flags = r->shadow ? K2K_EVENT_SHADOW : 0;

	key->kind = kind_of(r->code);
	key->count = KEY_WORDS;
	key->words[KEY_TENANT] = r->tenant;
	key->words[KEY_TO] = r->to;
	key->words[KEY_ORG] = r->tag.org_id;
	key->words[KEY_ENGAGEMENT] = r->tag.engagement_id;
	if (r->code == 0) {
		memset(&names, 0, sizeof(names));
		if (copy_name(names.source, r->source))
			flags |= K2K_EVENT_CUT_SOURCE;
		if (copy_name(names.destination, r->destination))
			flags |= K2K_EVENT_CUT_DESTINATION;
		memcpy(key->words + KEY_WORDS, &names, sizeof(names));
		key->count = KEY_WORDS_MOST;
	}
	key->words[KEY_KIND] = flags << 16 | key->kind;
}

/* Both halves of the product: with seeds that nobody knows, nobody can choose where a key goes. */
static uint64_t multiply(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t home_of(const struct k2k_trail *trail, const struct key *key)
{
	const uint64_t *words = key->words, *seeds = trail->seeds;
	/* the words of most keys, without a chain of steps that wait for each other */
	uint64_t hash = multiply(words[KEY_TENANT] ^ seeds[0], words[KEY_ORG] ^ seeds[1]) +
	                multiply(words[KEY_ENGAGEMENT] ^ seeds[2], words[KEY_TO] ^ seeds[3]);

	hash = k2k_mix64(hash ^ words[KEY_KIND]);
	for (uint32_t i = KEY_WORDS; i < key->count; i++)
		hash = k2k_mix64(hash ^ words[i]);
	return hash % ENTRIES;
}

static struct k2k_trail_entry *entry_at(const struct k2k_trail *trail, uint64_t home, uint32_t step)
{
	return &trail->entries[(home + step) % ENTRIES];
}

/* relaxed, all: between two looks at the version, or in an entry that is entered */
static bool has_key(const struct k2k_trail_entry *entry, const struct key *key)
{
	for (uint32_t i = 0; i < key->count; i++)
		if (k2k_load_relaxed(&entry->key[i]) != key->words[i])
			return false;
	return true;
}

/* Counts a repeat in the open event of its key, without a lock. False: none was seen. */
static bool repeat(struct k2k_trail *trail, const struct key *key, uint64_t home, uint64_t second)
{
	for (uint32_t i = 0; i < WINDOW; i++) {
		const struct k2k_trail_entry *entry = entry_at(trail, home, i);
		/* observe[trail-entry]: what the last thread in it left */
		uint64_t version = k2k_load_acquire(&entry->version), n;

		if (version == 0)
			return false;
		if (version % 2 || !has_key(entry, key))
			continue;
		/* relaxed, both: as in has_key() */
		n = k2k_load_relaxed(&entry->n);
		if (n == 0 || k2k_load_relaxed(&entry->second) < second)
			return false;
		/* with the fence of enter(): a word of a later change shows in `version` below */
		k2k_fence_acquire();
		/* relaxed: ordered by the fence */
		return k2k_load_relaxed(&entry->version) == version &&
		       k2k_ring_repeat(ring_for(trail, key->kind), n, key->kind);
	}
	return false;
}

static bool enter(struct k2k_trail_entry *entry)
{
	/* relaxed: the compare-exchange decides */
	uint64_t version = k2k_load_relaxed(&entry->version);

	/* observe[trail-entry]: what the last thread left; publish[trail-entry]: nothing yet */
	if (version % 2 || !k2k_cas_acq_rel(&entry->version, &version, version + 1))
		return false;
	/* with the fence of repeat(): a thread that reads our words sees the odd version */
	k2k_fence_release();
	return true;
}

static void leave(struct k2k_trail_entry *entry)
{
	uint64_t version = k2k_load_relaxed(&entry->version); /* relaxed: ours */

	k2k_store_release(&entry->version, version + 1); /* publish[trail-entry]: what we leave */
}

/* ---- an entry that is entered; relaxed, all: see has_key() ---------------------------- */

/* The bit in `used` tells the agent where to look; `open` tells it whether to look at all. */
static void mark(struct k2k_trail *trail, const struct k2k_trail_entry *entry, bool in_use)
{
	size_t at = (size_t)(entry - trail->entries);
	uint64_t bit = UINT64_C(1) << at % 64, before;

	/* relaxed, all: the agent looks again */
	before = in_use ? k2k_or_relaxed(&trail->used[at / 64], bit)
	                : k2k_and_relaxed(&trail->used[at / 64], ~bit);
	if (((before & bit) != 0) != in_use)
		k2k_add_relaxed(&trail->open, in_use ? 1 : UINT32_MAX);
}

static void read_key(const struct k2k_trail_entry *entry, struct key *key)
{
	/* relaxed, both: the entry is entered */
	key->words[KEY_KIND] = k2k_load_relaxed(&entry->key[KEY_KIND]);
	key->kind = key->words[KEY_KIND] & UINT16_MAX;
	key->count = key->kind == K2K_AUDIT_KIND_CROSS_TENANT ? KEY_WORDS_MOST : KEY_WORDS;
	for (uint32_t i = 1; i < key->count; i++)
		key->words[i] = k2k_load_relaxed(&entry->key[i]);
}

static void close_event(struct k2k_trail *trail, struct k2k_trail_entry *entry, uint32_t kind)
{
	uint64_t n = k2k_load_relaxed(&entry->n); /* relaxed, both: the entry is entered */

	if (n)
		k2k_ring_close(ring_for(trail, kind), n);
	k2k_store_relaxed(&entry->n, 0);
}

/*
 * Writes an event for `more` (0 or 1) new rejections and for the repeats that wait. All but one of
 * the repeats were counted as coalesced before; that one, or the new rejection, counts as the event
 * itself. If the event is given up, a new rejection counts as lost, and the repeats go on waiting;
 * without a new rejection the repeats are dropped, and the one not yet counted counts as lost.
 */
static void write_event(struct k2k_trail *trail, struct k2k_trail_entry *entry,
                        const struct key *key, uint32_t more, bool open)
{
	uint64_t n = append(trail, key, entry->used, entry->limit, entry->pending + more, open);

	if (n && more && entry->pending)
		k2k_ring_put_off(ring_for(trail, key->kind), key->kind);
	if (n || !more)
		entry->pending = 0;
	k2k_store_relaxed(&entry->n, open ? n : 0); /* relaxed: the entry is entered */
}

static void begin_second(struct k2k_trail *trail, struct k2k_trail_entry *entry,
                         const struct key *key, uint64_t second, uint32_t more)
{
	/* relaxed: the entry is entered */
	close_event(trail, entry, key->kind);
	write_event(trail, entry, key, more, true);
	k2k_store_relaxed(&entry->second, second);
}

/* Empties an entry whose second is over: repeats that wait get their event now. */
static void vacate(struct k2k_trail *trail, struct k2k_trail_entry *entry)
{
	struct key key;

	read_key(entry, &key);
	close_event(trail, entry, key.kind);
	if (entry->pending)
		write_event(trail, entry, &key, 0, false);
	mark(trail, entry, false);
}

static void occupy(struct k2k_trail *trail, struct k2k_trail_entry *entry, const struct key *key)
{
	/* relaxed: the entry is entered */
	for (uint32_t i = 0; i < key->count; i++)
		k2k_store_relaxed(&entry->key[i], key->words[i]);
	mark(trail, entry, true);
}

/* ---- with the home locked -------------------------------------------------------------------- */

/*
 * Returns the entry that has this key, entered, or null. *busy: an entry may have the key, but
 * another thread is changing that entry.
 */
static struct k2k_trail_entry *find(struct k2k_trail *trail, const struct key *key, uint64_t home,
                                    bool *busy)
{
	*busy = false;
	for (uint32_t i = 0; i < WINDOW; i++) {
		struct k2k_trail_entry *entry = entry_at(trail, home, i);

		/* relaxed: only the holder of this lock puts a key with this home anywhere */
		if (k2k_load_relaxed(&entry->version) == 0)
			return NULL;
		if (!has_key(entry, key))
			continue;
		if (!enter(entry)) {
			*busy = true;
			return NULL;
		}
		if (has_key(entry, key))
			return entry;
		leave(entry);
	}
	return NULL;
}

/* Returns an entry whose second is over, entered; or null. */
static struct k2k_trail_entry *find_room(struct k2k_trail *trail, uint64_t home, uint64_t second)
{
	for (uint32_t i = 0; i < WINDOW; i++) {
		struct k2k_trail_entry *entry = entry_at(trail, home, i);

		/* relaxed, both: a hint; then as in has_key() */
		if (k2k_load_relaxed(&entry->second) >= second || !enter(entry))
			continue;
		if (k2k_load_relaxed(&entry->second) < second)
			return entry;
		leave(entry);
	}
	return NULL;
}

static void count_again(struct k2k_trail *trail, struct k2k_trail_entry *entry,
                        const struct key *key)
{
	uint64_t n = k2k_load_relaxed(&entry->n); /* relaxed: as in has_key() */

	if (n && k2k_ring_repeat(ring_for(trail, key->kind), n, key->kind))
		return;
	close_event(trail, entry, key->kind);
	if (entry->pending == K2K_RING_COUNT_MAX - 1)
		write_event(trail, entry, key, 0, false);
	if (entry->pending++)
		k2k_ring_put_off(ring_for(trail, key->kind), key->kind);
}

enum counted { COUNTED, BUSY, NO_ROOM };

/* BUSY: another thread is changing an entry that is needed. */
static enum counted count_locked(struct k2k_trail *trail, const struct key *key, uint64_t home,
                                 const struct k2k_rejection *r, uint64_t second)
{
	bool busy, again;
	struct k2k_trail_entry *entry = find(trail, key, home, &busy);

	again = entry && k2k_load_relaxed(&entry->second) >= second; /* relaxed: as in has_key() */
	if (!entry && !busy) {
		entry = find_room(trail, home, second);
		if (entry) {
			vacate(trail, entry);
			occupy(trail, entry, key);
		}
	}
	if (!entry)
		return busy ? BUSY : NO_ROOM;
	entry->used = r->used;
	entry->limit = r->limit;
	if (again)
		count_again(trail, entry, key);
	else
		begin_second(trail, entry, key, second, 1);
	mark(trail, entry, true);
	leave(entry);
	return COUNTED;
}

/* Tries SPINS times at most: no thread waits for a holder, which may be preempted. */
static bool lock_home(struct k2k_trail_entry *entry)
{
	for (int i = 0; i < SPINS; i++) {
		uint32_t free = 0;

		/* observe[trail-home]: the keys that its last holder put anywhere */
		if (k2k_cas_acquire(&entry->locked, &free, 1))
			return true;
	}
	return false;
}

void k2k_trail_reject(struct k2k_trail *trail, const struct k2k_rejection *r, uint64_t second)
{
	struct key key;
	uint64_t home;
	enum counted counted = BUSY;

	make_key(r, &key);
	home = home_of(trail, &key);
	if (repeat(trail, &key, home, second))
		return;
	if (lock_home(&trail->entries[home])) {
		for (int i = 0; i < SPINS && counted == BUSY; i++)
			counted = count_locked(trail, &key, home, r, second);
		/* publish[trail-home]: the key that we put there */
		k2k_store_release(&trail->entries[home].locked, 0);
	}
	if (counted != COUNTED)
		append(trail, &key, r->used, r->limit, 1, false);
}

/* ---- the watch ------------------------------------------------------------------------- */

enum due { DUE_NOT, DUE_ROUND, DUE_SECOND };

/* relaxed, all: a hint, unless the entry is entered */
static enum due is_due(const struct k2k_trail *trail, const struct k2k_trail_entry *entry,
                       uint64_t second)
{
	uint64_t n = k2k_load_relaxed(&entry->n);
	const struct k2k_ring *ring = ring_for(trail, k2k_load_relaxed(&entry->key[KEY_KIND]) &
	                                                      UINT16_MAX);

	if (k2k_load_relaxed(&entry->second) < second)
		return DUE_SECOND;
	return n && k2k_ring_newest(ring) - n > ring->mask / 2 ? DUE_ROUND : DUE_NOT;
}

/*
 * The entry's second is over: repeats that wait get an event, to which repeats of the new second
 * are added. UINT64_MAX: the trail is closed.
 */
static void end_second(struct k2k_trail *trail, struct k2k_trail_entry *entry,
                       const struct key *key, uint64_t second)
{
	if (entry->pending && second != UINT64_MAX)
		begin_second(trail, entry, key, second, 0);
	else
		vacate(trail, entry);
}

static bool close_one(struct k2k_trail *trail, struct k2k_trail_entry *entry, uint64_t second)
{
	struct key key;
	enum due due;

	/*
	 * The agent enters the entry only if it seems due: a thread that finds it entered for long
	 * writes an event of its own. If another thread has entered it, the next look closes it.
	 */
	if (is_due(trail, entry, second) == DUE_NOT || !enter(entry))
		return false;
	due = is_due(trail, entry, second);
	read_key(entry, &key);
	if (due == DUE_ROUND)
		close_event(trail, entry, key.kind);
	else if (due == DUE_SECOND)
		end_second(trail, entry, &key, second);
	leave(entry);
	return due != DUE_NOT;
}

/* True: something was closed. */
static bool close_due(struct k2k_trail *trail, uint64_t second)
{
	bool closed = false;

	for (uint32_t word = 0; word < ENTRIES / 64; word++) {
		uint64_t bits = k2k_load_relaxed(&trail->used[word]); /* relaxed: a hint */

		for (; bits; bits &= bits - 1)
			if (close_one(trail,
			              &trail->entries[word * 64 + (uint32_t)__builtin_ctzll(bits)],
			              second))
				closed = true;
	}
	return closed;
}

uint64_t k2k_trail_look(struct k2k_trail *trail)
{
	uint64_t turnover = turnover_of(trail);
	bool news = turnover != trail->turnover;

	/* relaxed: the next look finds an entry that is marked meanwhile */
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
		munmap(trail->entries, ENTRIES * sizeof(*trail->entries));
		free(trail->used);
	}
	memset(trail, 0, sizeof(*trail));
}
