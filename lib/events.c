/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * events.c (F7) - the audit trail for its readers: all rings as one sequence of records.
 *
 * Reads only. What stands in a ring is anybody's who may write there: numbers
 * are compared, kinds range-checked, texts made printable, walks end with the ring.
 */
#include <string.h>

#include "handle.h"

#define NAP_NS (5 * K2K_NS_PER_SEC)      /* of a sleeper, between two looks at the name */
#define NAP_WAITING_NS K2K_NS_PER_SEC    /* where something is unfinished: its writer may have died */

static const struct {
	const char *name;
	enum k2k_audit_level level;
	enum k2k_audit_type type;
} kinds[] = {
	[K2K_AUDIT_KIND_CROSS_TENANT] = { "cross_tenant", K2K_AUDIT_SECURITY, K2K_AUDIT_SECURITY_VIOLATION },
	[K2K_AUDIT_KIND_RATE] = { "rate", K2K_AUDIT_WARNING, K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED },
	[K2K_AUDIT_KIND_BUDGET] = { "budget", K2K_AUDIT_WARNING, K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED },
	[K2K_AUDIT_KIND_KERNELS] = { "kernels", K2K_AUDIT_WARNING, K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED },
	[K2K_AUDIT_KIND_GPU_MEMORY] = { "gpu_memory", K2K_AUDIT_WARNING, K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED },
	[K2K_AUDIT_KIND_UNKNOWN_TENANT] = { "unknown_tenant", K2K_AUDIT_WARNING, K2K_AUDIT_AUTHORIZATION_CHECK },
	[K2K_AUDIT_KIND_REGISTER] = { "register", K2K_AUDIT_INFO, K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_UPDATE] = { "update", K2K_AUDIT_INFO, K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_DEREGISTER] = { "deregister", K2K_AUDIT_INFO, K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_BUDGET_CHANGE] = { "budget_change", K2K_AUDIT_INFO, K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_BROKER_DEAD] = { "broker_dead", K2K_AUDIT_WARNING, K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_CREATED] = { "created", K2K_AUDIT_INFO, K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_DESTROYED] = { "destroyed", K2K_AUDIT_INFO, K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_REPAIR] = { "repair", K2K_AUDIT_INFO, K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_FINAL_TOTALS] = { "final_totals", K2K_AUDIT_INFO, K2K_AUDIT_CONFIGURATION_CHANGE },
};

_Static_assert(K2K_COUNT_OF(kinds) == K2K_AUDIT_KINDS, "every kind has a name");

const char *k2k_audit_kind_name(uint32_t kind)
{
	return kind < K2K_COUNT_OF(kinds) && kinds[kind].name ? kinds[kind].name : "unknown";
}

enum k2k_audit_level k2k_audit_kind_level(uint32_t kind)
{
	return kind < K2K_COUNT_OF(kinds) && kinds[kind].name ? kinds[kind].level : K2K_AUDIT_INFO;
}

enum k2k_audit_type k2k_audit_kind_type(uint32_t kind)
{
	return kind < K2K_COUNT_OF(kinds) && kinds[kind].name ? kinds[kind].type : K2K_AUDIT_CONFIGURATION_CHANGE;
}

/* ---- texts --------------------------------------------------------------------------- */

/* The bytes of the character of UTF-8 that stands there; 0: none that may be shown. */
static size_t character(const unsigned char *at, size_t left)
{
	static const struct {
		unsigned char mask, first;
		uint32_t least;
	} forms[] = { { 0x80, 0x00, 0x20 }, { 0xe0, 0xc0, 0xa0 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 } };

	for (size_t more = 0; more < K2K_COUNT_OF(forms); more++) {
		uint32_t code = at[0] & (unsigned char)~forms[more].mask;

		if ((at[0] & forms[more].mask) != forms[more].first)
			continue;
		if (more >= left)
			return 0;
		for (size_t i = 1; i <= more; i++) {
			if ((at[i] & 0xc0) != 0x80)
				return 0;
			code = code << 6 | (at[i] & 0x3f);
		}
		/* too long a form, a control character, half of a pair of UTF-16, or none at all */
		return code < forms[more].least || code == 0x7f || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff ? 0 : more + 1;
	}
	return 0;
}

static void copy_text(char *to, const char *from, size_t room)
{
	const unsigned char *at = (const unsigned char *)from;
	size_t length = strnlen(from, room - 1), done = 0;

	while (done < length) {
		size_t bytes = character(at + done, length - done);

		if (bytes)
			memcpy(to + done, from + done, bytes);
		else
			to[done] = '?';
		done += bytes ? bytes : 1;
	}
	to[done] = '\0';
}

static void copy_more(const struct k2k_event_body *body, struct k2k_audit_record *record)
{
	const uint64_t *values = body->more.change.values;
	size_t count = K2K_EVENT_VALUES;

	if (body->kind == K2K_AUDIT_KIND_CROSS_TENANT) {
		strcpy(record->actor, "k2k_broker");
		copy_text(record->source, body->more.kernels.source, sizeof(body->more.kernels.source));
		copy_text(record->destination, body->more.kernels.destination, sizeof(body->more.kernels.destination));
		return;
	}
	if (body->kind <= K2K_AUDIT_KIND_UNKNOWN_TENANT) {
		strcpy(record->actor, "k2k_tenant_registry");
		return;
	}
	copy_text(record->actor, body->more.change.actor, sizeof(body->more.change.actor));
	if (body->kind == K2K_AUDIT_KIND_BROKER_DEAD) {
		count -= 2;
		k2k_identity_comm(record->source, values[count], values[count + 1]);
	}
	memcpy(record->values, values, count * sizeof(*values));
}

/* ---- one ring ------------------------------------------------------------------------- */

/* The next record of a ring, where there is one. */
struct head {
	struct k2k_ring ring;
	bool has;
	uint32_t flags;
	uint64_t n, newest;
	uint64_t missing_from, missing;  /* numbers before it; where it has none, alone */
	uint64_t start;          /* where the cursor stands if nothing is taken */
	struct k2k_event_copy copy;
};

struct reading {
	struct k2k_registry *reg;
	struct k2k_audit_cursor *cursor;
	bool open_too;
	struct head heads[K2K_RINGS];
};

/* Does nobody go on with what is unfinished in this ring? */
static bool is_abandoned(const struct reading *reading, uint32_t ring)
{
	struct k2k_registry *reg = reading->reg;
	bool alive;

	if (ring != K2K_RING_ADMIN)
		return !k2k_census_alive(&reg->census, k2k_load_acquire(&reg->map.slots[ring].owner)); /* observe[slot-owner]: whose it is now */
	alive = k2k_writer_is_at_work(&reg->map, &reg->admins);
	k2k_fence_seq_cst(); /* with that of k2k_writer_unlock(): a question about a lock is no barrier */
	return !alive;
}

static enum k2k_event_state read_one(const struct reading *reading, uint32_t ring, struct head *head, uint64_t n)
{
	enum k2k_event_state state = k2k_ring_read(&head->ring, n, false, &head->copy);

	if ((state == K2K_EVENT_OPEN || state == K2K_EVENT_PENDING) && is_abandoned(reading, ring))
		state = k2k_ring_read(&head->ring, n, true, &head->copy);
	return state;
}

static uint64_t oldest(const struct head *head)
{
	return head->newest > head->ring.mask + 1 ? head->newest - head->ring.mask : 1;
}

/* Numbers that are missing and were overwritten before the reader began are not told to one who wants "what is there". */
static void forget_older(struct head *head)
{
	uint64_t end = head->missing_from + head->missing;

	head->newest = k2k_ring_newest(&head->ring);
	if (!head->missing || head->missing_from >= oldest(head))
		return;
	head->missing_from = end < oldest(head) ? end : oldest(head);
	head->missing = end - head->missing_from;
}

/* Finds the next record from number `next` on. */
static void advance(struct reading *reading, uint32_t ring, uint64_t next)
{
	struct head *head = &reading->heads[ring];
	bool first = next == 0;

	head->has = false;
	head->flags = 0;
	head->newest = k2k_ring_newest(&head->ring);
	if (first)
		next = oldest(head);
	head->missing_from = head->start = next;
	if (next < oldest(head))
		next = oldest(head);
	for (; next <= head->newest; next++) {
		enum k2k_event_state state = read_one(reading, ring, head, next);

		if (state == K2K_EVENT_MISSING)
			continue;
		if (!reading->open_too && state != K2K_EVENT_THERE) {
			reading->cursor->waiting = 1;
			break;
		}
		if (state == K2K_EVENT_PENDING) {
			/* of a snapshot: neither there nor missing */
			if (next > head->missing_from)
				break;
			head->missing_from++;
			continue;
		}
		head->has = true;
		head->n = next;
		head->flags = state == K2K_EVENT_OPEN ? K2K_AUDIT_OPEN : 0;
		break;
	}
	head->missing = next - head->missing_from;
	if (first)
		forget_older(head);
	head->start = head->missing_from;
}

/* ---- records --------------------------------------------------------------------------- */

static void fill_lost(const struct reading *reading, const struct head *head, struct k2k_audit_record *record)
{
	record->flags = K2K_AUDIT_LOST;
	record->level = K2K_AUDIT_WARNING;
	record->type = K2K_AUDIT_SECURITY_VIOLATION;
	record->sequence = head->missing_from;
	record->count = head->missing;
	/* when it was missed: before what follows it, or now */
	record->time_ns = head->has ? head->copy.body.time_ns : k2k_clock_realtime_ns();
	record->monotonic_ns = head->has ? head->copy.body.monotonic_ns
	                                 : k2k_clock_monotonic_ns() - (uint64_t)reading->reg->clock.offset_ns;
}

static void fill_event(const struct head *head, struct k2k_audit_record *record)
{
	const struct k2k_event_body *body = &head->copy.body;

	record->flags = head->flags;
	if (body->flags & K2K_EVENT_CUT_SOURCE)
		record->flags |= K2K_AUDIT_CUT_SOURCE;
	if (body->flags & K2K_EVENT_CUT_DESTINATION)
		record->flags |= K2K_AUDIT_CUT_DESTINATION;
	record->kind = body->kind;
	record->level = k2k_audit_kind_level(body->kind);
	record->type = k2k_audit_kind_type(body->kind);
	record->code = body->code;
	record->sequence = head->n;
	record->time_ns = body->time_ns;
	record->monotonic_ns = body->monotonic_ns;
	record->count = head->copy.count;
	record->tenant = body->tenant;
	record->to = body->to;
	record->generation = body->generation;
	record->tag.org_id = body->org_id;
	record->tag.engagement_id = body->engagement_id;
	record->used = body->used;
	record->limit = body->limit;
	record->pid = body->pid;
	record->incarnation = body->incarnation;
	copy_more(body, record);
}

/* Takes the head's gap, or then its event, and moves on. */
static void take(struct reading *reading, uint32_t ring, struct k2k_audit_record *record)
{
	struct head *head = &reading->heads[ring];
	uint32_t size = record->size;

	memset(record, 0, sizeof(*record));
	record->size = size;
	record->ring = ring;
	if (head->missing) {
		fill_lost(reading, head, record);
		head->missing_from += head->missing;
		head->missing = 0;
		reading->cursor->next[ring] = head->missing_from;
		return;
	}
	fill_event(head, record);
	reading->cursor->next[ring] = head->n + 1;
	advance(reading, ring, head->n + 1);
}

/* The ring whose head is the oldest; K2K_RINGS: all are empty. What is missing with nothing after it comes last. */
static uint32_t choose(const struct reading *reading)
{
	uint32_t best = K2K_RINGS;
	uint64_t best_ns = 0;

	for (uint32_t i = 0; i < K2K_RINGS; i++) {
		const struct head *head = &reading->heads[i];
		uint64_t ns = head->has ? head->copy.body.monotonic_ns : UINT64_MAX;

		if ((head->has || head->missing) && (best == K2K_RINGS || ns < best_ns)) {
			best = i;
			best_ns = ns;
		}
	}
	return best;
}

/* ---- the calls --------------------------------------------------------------------------- */

/* Of a cursor that was kept: this ring has not come so far, so it is of another registry. */
static int check_cursor(const struct reading *reading)
{
	for (uint32_t i = 0; i < K2K_RINGS; i++)
		if (reading->cursor->next[i] > k2k_sat_add(reading->heads[i].newest, 1))
			return k2k_fail_values(K2K_EINVAL, "cursor", "next", reading->heads[i].newest, reading->cursor->next[i],
			                       "ring %u has no event %llu yet: a cursor of another registry?", i,
			                       (unsigned long long)reading->cursor->next[i]);
	return 0;
}

static int read_all(struct reading *reading, struct k2k_audit_record *records, size_t capacity, size_t *count)
{
	struct k2k_audit_cursor *cursor = reading->cursor;
	size_t stride = capacity ? records->size : 0, done;
	int code;

	/* first: what comes after it, k2k_audit_wait finds changed */
	cursor->wake = k2k_ring_wake_word(&reading->reg->map);
	cursor->waiting = 0;
	for (uint32_t i = 0; i < K2K_RINGS; i++) {
		reading->heads[i].ring = k2k_ring_of(&reading->reg->map, i);
		reading->heads[i].newest = k2k_ring_newest(&reading->heads[i].ring);
	}
	code = check_cursor(reading);
	if (code)
		return code;
	for (uint32_t i = 0; i < K2K_RINGS; i++) {
		advance(reading, i, cursor->next[i]);
		cursor->next[i] = reading->heads[i].start;
	}
	for (done = 0; done < capacity; done++) {
		uint32_t ring = choose(reading);
		struct k2k_audit_record *record = k2k_element(records, stride, done);

		if (ring == K2K_RINGS)
			break;
		record->size = (uint32_t)stride;
		take(reading, ring, record);
	}
	*count = done;
	return 0;
}

/* Is the registry gone? Asked before a look at the rings: what its destroyer told last is seen then. */
static int ask_gone(struct k2k_registry *reg)
{
	int code = k2k_gate(reg, K2K_GATE_ANY);

	if (!code && k2k_load_acquire(&reg->map.defs->poisoned) == K2K_POISONED) /* observe[poisoned]: the event before it */
		k2k_handle_fence(reg);
	else if (!code && reg->role != K2K_GATE_BROKER)
		return k2k_handle_watch(reg);
	return code ? code : k2k_gate(reg, K2K_GATE_ANY);
}

/* As k2k_enter, but also of a registry that is gone: the mapping stays until close. */
static int enter(struct k2k_registry *reg)
{
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	if (!k2k_thread_get())
		return k2k_no_thread();
	k2k_read_lock();
	code = k2k_gate(reg, K2K_GATE_ANY | K2K_GATE_FENCED);
	if (code)
		k2k_read_unlock();
	return code;
}

/* Flags are results here: of an earlier use. */
static int check_records(const struct k2k_audit_record *records, size_t capacity, const size_t *count)
{
	if (!count)
		return k2k_fail_argument("count", "null");
	return capacity ? k2k_check_struct(records, records ? records->size : 0, 0, 0, sizeof(*records), "records") : 0;
}

int k2k_audit_read(struct k2k_registry *reg, struct k2k_audit_cursor *cursor, uint32_t flags,
                   struct k2k_audit_record *records, size_t capacity, size_t *count)
{
	K2K_UNCANCELLED;
	struct reading reading = { .reg = reg, .cursor = cursor, .open_too = flags & K2K_AUDIT_OPEN_TOO };
	int code = 0, gone;

	if (reg)
		code = K2K_CHECK_STRUCT(cursor, 0);
	if (reg && !code && (flags & ~(uint32_t)K2K_AUDIT_OPEN_TOO))
		code = k2k_fail_argument("flags", "unknown flags");
	if (reg && !code)
		code = check_records(records, capacity, count);
	if (!code)
		code = enter(reg);
	if (code)
		return code;
	gone = ask_gone(reg);
	code = read_all(&reading, records, capacity, count);
	k2k_read_unlock();
	return code ? code : *count ? 0 : gone;
}

static int sleep_until_news(struct k2k_registry *reg, const struct k2k_audit_cursor *cursor, uint64_t deadline_ns)
{
	uint64_t nap_ns = cursor->waiting ? NAP_WAITING_NS : NAP_NS;

	for (;;) {
		uint64_t now = k2k_clock_monotonic_ns();
		int code = ask_gone(reg);

		if (code || k2k_ring_wake_word(&reg->map) != cursor->wake || now >= deadline_ns)
			return code;
		k2k_ring_sleep(&reg->map, cursor->wake, deadline_ns - now < nap_ns ? deadline_ns - now : nap_ns);
		if (cursor->waiting)
			return ask_gone(reg);
	}
}

int k2k_audit_wait(struct k2k_registry *reg, const struct k2k_audit_cursor *cursor, uint64_t timeout_ns)
{
	K2K_UNCANCELLED;
	int code = reg ? K2K_CHECK_STRUCT(cursor, 0) : 0;

	if (!code)
		code = k2k_hold(reg, K2K_GATE_ANY);
	if (code)
		return code;
	k2k_add_relaxed(&reg->sleepers, 1); /* relaxed, both: within the call that is counted in users */
	code = sleep_until_news(reg, cursor, k2k_sat_add(k2k_clock_monotonic_ns(), timeout_ns));
	k2k_add_relaxed(&reg->sleepers, UINT32_MAX);
	k2k_unhold(reg);
	return code;
}

int k2k_audit_stats(struct k2k_registry *reg, struct k2k_audit_stats *stats)
{
	K2K_UNCANCELLED;
	uint32_t size;
	int code = reg ? K2K_CHECK_STRUCT(stats, 0) : 0;

	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	size = stats->size;
	memset(stats, 0, sizeof(*stats));
	stats->size = size;
	stats->capacity = reg->map.sizes.events;
	for (uint32_t i = 0; i < K2K_RINGS; i++) {
		const struct k2k_shm_ring *ring = &reg->map.rings[i];

		stats->newest[i] = k2k_load_relaxed(&ring->claimed); /* relaxed, all: numbers */
		for (int k = 0; k < K2K_AUDIT_KINDS; k++) {
			stats->written[k] += k2k_load_relaxed(&ring->written[k]);
			stats->coalesced[k] += k2k_load_relaxed(&ring->coalesced[k]);
			stats->lost[k] += k2k_load_relaxed(&ring->lost[k]);
		}
	}
	k2k_read_unlock();
	return 0;
}
