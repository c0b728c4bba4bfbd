/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit_read.c (F7) - the audit trail for its readers: all rings as one sequence of records.
 *
 * Nothing here writes to a ring. Any process that may write `live` can put any bytes into one: so
 * numbers are checked against the ring, kinds against their range, texts are made printable, and
 * every walk ends with the ring.
 */
#include <string.h>

#include "handle.h"

#define MISSING_MOST (UINT64_C(1) << 48) /* so many events take a year at ten million a second */
/* a sleeper looks at least so often: a writer may have died before it woke readers */
#define NAP_NS K2K_NS_PER_SEC
/* a sleeper that was woken for nothing pauses: a process can raise the word without end */
#define PAUSE_FIRST_NS UINT64_C(1000000)
#define PAUSE_DOUBLINGS 6 /* so 64 ms at most */

static const struct {
	const char *name;
	enum k2k_audit_level level;
	enum k2k_audit_type type;
} kinds[] = {
	[K2K_AUDIT_KIND_CROSS_TENANT] = { "cross_tenant", K2K_AUDIT_SECURITY,
	                                  K2K_AUDIT_SECURITY_VIOLATION },
	[K2K_AUDIT_KIND_RATE] = { "rate", K2K_AUDIT_WARNING, K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED },
	[K2K_AUDIT_KIND_BUDGET] = { "budget", K2K_AUDIT_WARNING,
	                            K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED },
	[K2K_AUDIT_KIND_KERNELS] = { "kernels", K2K_AUDIT_WARNING,
	                             K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED },
	[K2K_AUDIT_KIND_GPU_MEMORY] = { "gpu_memory", K2K_AUDIT_WARNING,
	                                K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED },
	[K2K_AUDIT_KIND_UNKNOWN_TENANT] = { "unknown_tenant", K2K_AUDIT_WARNING,
	                                    K2K_AUDIT_AUTHORIZATION_CHECK },
	[K2K_AUDIT_KIND_REGISTER] = { "register", K2K_AUDIT_INFO, K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_UPDATE] = { "update", K2K_AUDIT_INFO, K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_DEREGISTER] = { "deregister", K2K_AUDIT_INFO,
	                                K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_BUDGET_CHANGE] = { "budget_change", K2K_AUDIT_INFO,
	                                   K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_BROKER_DEAD] = { "broker_dead", K2K_AUDIT_WARNING,
	                                 K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_CREATED] = { "created", K2K_AUDIT_INFO, K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_DESTROYED] = { "destroyed", K2K_AUDIT_INFO,
	                               K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_REPAIR] = { "repair", K2K_AUDIT_INFO, K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_FINAL_TOTALS] = { "final_totals", K2K_AUDIT_INFO,
	                                  K2K_AUDIT_CONFIGURATION_CHANGE },
};

_Static_assert(K2K_COUNT_OF(kinds) == K2K_EVENT_KINDS, "every kind has a name");

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
	return kind < K2K_COUNT_OF(kinds) && kinds[kind].name ? kinds[kind].type
	                                                      : K2K_AUDIT_CONFIGURATION_CHANGE;
}

/* ---- texts --------------------------------------------------------------------------- */

/* The length of the UTF-8 character at `at`; 0: there is none, or it must not be shown. */
static size_t character(const unsigned char *at, size_t left)
{
	static const struct {
		unsigned char mask, first;
		uint32_t least;
	} forms[] = { { 0x80, 0x00, 0x20 },
		      { 0xe0, 0xc0, 0xa0 },
		      { 0xf0, 0xe0, 0x800 },
		      { 0xf8, 0xf0, 0x10000 } };

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
		/* an overlong form, a control character, a surrogate, or beyond Unicode */
		return code < forms[more].least || code == 0x7f ||
		                       (code >= 0xd800 && code < 0xe000) || code > 0x10ffff
		               ? 0
		               : more + 1;
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
		record->used = record->limit = 0;
		k2k_identity_comm(record->comm, body->used, body->limit);
		copy_text(record->source, body->more.kernels.source,
		          sizeof(body->more.kernels.source));
		copy_text(record->destination, body->more.kernels.destination,
		          sizeof(body->more.kernels.destination));
		return;
	}
	if (body->kind <= K2K_AUDIT_KIND_UNKNOWN_TENANT) {
		strcpy(record->actor, "k2k_tenant_registry");
		k2k_identity_comm(record->comm, body->more.broker.comm[0],
		                  body->more.broker.comm[1]);
		return;
	}
	copy_text(record->actor, body->more.change.actor, sizeof(body->more.change.actor));
	if (body->kind == K2K_AUDIT_KIND_BROKER_DEAD) {
		count = K2K_EVENT_DEAD_COMM;
		k2k_identity_comm(record->source, values[count], values[count + 1]);
		k2k_identity_comm(record->comm, values[count], values[count + 1]);
	}
	memcpy(record->values, values, count * sizeof(*values));
}

/* ---- one ring ------------------------------------------------------------------------- */

/* What a ring gives next: first damage, then missing numbers, then event n. */
struct head {
	struct k2k_ring ring;
	bool has, damaged; /* has: there is an event n; damaged: there is damage to report */
	uint32_t flags;
	uint64_t n, newest;
	uint64_t missing_from, missing; /* how many numbers are missing, and the first of them */
	uint64_t start;                 /* the cursor's position if nothing is taken */
	struct k2k_event_copy copy;
};

struct reading {
	struct k2k_registry *reg;
	struct k2k_audit_cursor *cursor;
	bool open_too, damaged_too;
	struct head heads[K2K_RINGS];
};

/* Is the writer of this ring dead, so that nobody completes its unfinished events? */
static bool is_abandoned(const struct reading *reading, uint32_t ring)
{
	struct k2k_registry *reg = reading->reg;
	bool alive;

	if (ring != K2K_RING_ADMIN) {
		uint32_t slot = ring < K2K_RING_ADMIN ? ring : ring - K2K_RING_SECURITY(0);

		/* observe[slot-owner]: the ring's owner now */
		return !k2k_liveness_alive(&reg->liveness,
		                           k2k_load_acquire(&reg->map.slots[slot].owner));
	}
	alive = k2k_writer_is_at_work(&reg->map, &reg->admins);
	/* with the fence of k2k_writer_unlock(): asking about a lock is no barrier */
	k2k_fence_seq_cst();
	return !alive;
}

static enum k2k_event_state read_one(const struct reading *reading, uint32_t ring,
                                     struct head *head, uint64_t n)
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

/*
 * For a reader that begins with the oldest event that is there: numbers that were overwritten by
 * then are not reported as missing.
 */
static void forget_older(struct head *head)
{
	uint64_t end = head->missing_from + head->missing;
	bool damaged;

	head->newest = k2k_ring_newest_seen(&head->ring, &damaged);
	if (!head->missing || head->missing_from >= oldest(head))
		return;
	head->missing_from = end < oldest(head) ? end : oldest(head);
	head->missing = end - head->missing_from;
}

static bool damage_reported(const struct k2k_audit_cursor *cursor, uint32_t ring)
{
	return cursor->damaged[ring / 64] >> ring % 64 & 1;
}

/*
 * Reads the number of the ring's newest event. The ring is damaged if that number is lower than the
 * cursor has come, or higher than the ring's places show. Damage is reported once; then nothing of
 * the ring is reported until it can be read again.
 */
static void look_at_newest(struct reading *reading, uint32_t ring, uint64_t next)
{
	struct head *head = &reading->heads[ring];
	bool damaged;

	head->newest = k2k_ring_newest_seen(&head->ring, &damaged);
	if (reading->damaged_too && next > head->newest && next - head->newest > 1)
		damaged = true;
	head->damaged = damaged && reading->damaged_too && !damage_reported(reading->cursor, ring);
	if (!damaged)
		reading->cursor->damaged[ring / 64] &= ~(UINT64_C(1) << ring % 64);
}

/* Finds the next record from number `next` on. */
static void advance(struct reading *reading, uint32_t ring, uint64_t next)
{
	struct head *head = &reading->heads[ring];
	bool first = next == 0;

	head->has = false;
	head->flags = 0;
	look_at_newest(reading, ring, next);
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
			/* a snapshot shows a pending number neither as an event nor as missing */
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

static void fill_lost(const struct reading *reading, const struct head *head,
                      struct k2k_audit_record *record)
{
	record->flags = K2K_AUDIT_LOST;
	/* no writer can have written so many: the number is damage */
	if (head->damaged || head->missing >= MISSING_MOST)
		record->flags |= K2K_AUDIT_DAMAGED;
	record->level = K2K_AUDIT_WARNING;
	record->type = K2K_AUDIT_SECURITY_VIOLATION;
	record->sequence = head->missing_from;
	record->count = head->damaged ? 0 : head->missing;
	/* the time of the event that follows the gap; without one, the present */
	record->time_ns = head->has ? head->copy.body.time_ns : k2k_clock_realtime_ns();
	record->monotonic_ns = head->has ? head->copy.body.monotonic_ns
	                                 : k2k_clock_monotonic_ns() -
	                                           (uint64_t)reading->reg->clock.offset_ns;
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

/* Counts a follower's loss in its shared record. */
static void count_loss(const struct reading *reading, const struct k2k_audit_record *record)
{
	struct k2k_follower *follower = &reading->reg->follower;

	if (!follower->incarnation)
		return;
	if (record->flags & K2K_AUDIT_DAMAGED)
		k2k_follower_count_damaged(follower);
	else
		k2k_follower_count_lost(follower, record->ring, record->sequence, record->count);
}

/* Takes one record from the head, in the order damage, gap, event, and moves on. */
static void take(struct reading *reading, uint32_t ring, struct k2k_audit_record *record)
{
	struct head *head = &reading->heads[ring];

	memset(record, 0, sizeof(*record));
	record->ring = ring;
	if (head->damaged) {
		fill_lost(reading, head, record);
		count_loss(reading, record);
		reading->cursor->damaged[ring / 64] |= UINT64_C(1) << ring % 64;
		head->damaged = false;
		return;
	}
	if (head->missing) {
		fill_lost(reading, head, record);
		count_loss(reading, record);
		head->missing_from += head->missing;
		head->missing = 0;
		reading->cursor->next[ring] = head->missing_from;
		return;
	}
	fill_event(head, record);
	reading->cursor->next[ring] = head->n + 1;
	advance(reading, ring, head->n + 1);
}

/*
 * The ring with the oldest head; K2K_RINGS: all are empty. A gap with no event after it comes last.
 */
static uint32_t choose(const struct reading *reading)
{
	uint32_t best = K2K_RINGS;
	uint64_t best_ns = 0;

	for (uint32_t i = 0; i < K2K_RINGS; i++) {
		const struct head *head = &reading->heads[i];
		uint64_t ns = head->has ? head->copy.body.monotonic_ns : UINT64_MAX;

		if ((head->has || head->missing || head->damaged) &&
		    (best == K2K_RINGS || ns < best_ns)) {
			best = i;
			best_ns = ns;
		}
	}
	return best;
}

/* ---- the calls --------------------------------------------------------------------------- */

/* A cursor that is ahead of a ring is of another registry, unless the caller knows better. */
static int check_cursor(const struct reading *reading)
{
	for (uint32_t i = 0; i < K2K_RINGS && !reading->damaged_too; i++)
		if (reading->cursor->next[i] > k2k_sat_add(reading->heads[i].newest, 1))
			return k2k_fail_values(
				K2K_EINVAL, "cursor", "next", reading->heads[i].newest,
				reading->cursor->next[i],
				"ring %u has no event %llu yet: a cursor of another registry?", i,
				(unsigned long long)reading->cursor->next[i]);
	return 0;
}

static int read_all(struct reading *reading, struct k2k_audit_record *records, size_t capacity,
                    size_t *count)
{
	struct k2k_audit_cursor *cursor = reading->cursor;
	uint32_t stride = K2K_STRIDE(records, capacity);
	size_t done;
	int code;

	/* read before the rings: any later event changes it, so k2k_audit_wait() does not sleep */
	cursor->wake = k2k_ring_wake_word(&reading->reg->map);
	cursor->waiting = 0;
	for (uint32_t i = 0; i < K2K_RINGS; i++) {
		bool damaged;

		reading->heads[i].ring = k2k_ring_of(&reading->reg->map, i);
		reading->heads[i].newest = k2k_ring_newest_seen(&reading->heads[i].ring, &damaged);
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
		struct k2k_audit_record record;

		if (ring == K2K_RINGS)
			break;
		take(reading, ring, &record);
		K2K_GIVE_ELEMENT(records, stride, done, &record);
	}
	*count = done;
	return 0;
}

/*
 * Returns K2K_EFENCED if the registry is gone. Call it before a look at the rings: then that look
 * finds the destroyer's last event.
 */
static int ask_gone(struct k2k_registry *reg)
{
	int code = k2k_gate(reg, K2K_GATE_ANY);

	/* observe[poisoned]: the event before it */
	if (!code && k2k_load_acquire(&reg->map.defs->poisoned) == K2K_POISONED)
		k2k_handle_fence(reg);
	else if (!code && reg->role != K2K_GATE_BROKER)
		return k2k_handle_watch(reg);
	return code ? code : k2k_gate(reg, K2K_GATE_ANY);
}

/* As k2k_enter(), but also if the registry is gone: the mapping stays until close. */
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

int k2k_audit_read(struct k2k_registry *reg, struct k2k_audit_cursor *cursor, uint32_t flags,
                   struct k2k_audit_record *records, size_t capacity, size_t *count)
{
	K2K_UNCANCELLED;
	struct k2k_audit_cursor mine;
	struct reading reading = { .reg = reg,
		                   .cursor = &mine,
		                   .open_too = flags & K2K_AUDIT_OPEN_TOO,
		                   .damaged_too = flags & K2K_AUDIT_DAMAGED_TOO };
	int code = 0, gone;

	if (reg)
		code = K2K_TAKE_STRUCT(&mine, cursor, 0);
	if (reg && !code && (flags & ~(uint32_t)(K2K_AUDIT_OPEN_TOO | K2K_AUDIT_DAMAGED_TOO)))
		code = k2k_fail_argument("flags", "unknown flags");
	if (reg && !code) /* records that are used again may have any flags */
		code = K2K_CHECK_LIST(records, capacity, count, UINT32_MAX);
	if (!code)
		code = enter(reg);
	if (code)
		return code;
	gone = ask_gone(reg);
	code = read_all(&reading, records, capacity, count);
	k2k_read_unlock();
	if (code)
		return code;
	K2K_GIVE_STRUCT(cursor, &mine);
	return *count ? 0 : gone;
}

/* Is there a number that the cursor has not passed? Costs one load for each ring. */
static bool has_news(const struct k2k_registry *reg, const struct k2k_audit_cursor *cursor)
{
	for (uint32_t i = 0; i < K2K_RINGS; i++) {
		struct k2k_ring ring = k2k_ring_of(&reg->map, i);
		uint64_t newest = k2k_ring_newest(&ring);

		if (newest && newest >= cursor->next[i] && !damage_reported(cursor, i))
			return true;
	}
	return false;
}

/*
 * A process that may write the word can raise it without end. So each further wake without news
 * doubles the pause.
 */
static void pause_after_idle_wake(struct k2k_registry *reg, uint64_t left_ns)
{
	/* relaxed, both: a heuristic of this handle */
	uint32_t wakes = k2k_load_relaxed(&reg->idle_wakes);
	uint64_t pause_ns = PAUSE_FIRST_NS << wakes;

	if (wakes < PAUSE_DOUBLINGS)
		k2k_store_relaxed(&reg->idle_wakes, wakes + 1);
	k2k_clock_sleep_ns(left_ns < pause_ns ? left_ns : pause_ns);
}

/*
 * A wake only means that there may be news. A killed writer wakes nobody, so the sleeper looks once
 * a second in any case.
 */
static int sleep_until_news(struct k2k_registry *reg, const struct k2k_audit_cursor *cursor,
                            uint64_t deadline_ns)
{
	for (;;) {
		uint64_t now = k2k_clock_monotonic_ns(), left;
		bool woken = k2k_ring_wake_word(&reg->map) != cursor->wake;
		int code = ask_gone(reg);

		if (code || now >= deadline_ns)
			return code;
		left = deadline_ns - now;
		if (woken && has_news(reg, cursor)) {
			k2k_store_relaxed(&reg->idle_wakes, 0); /* relaxed: as above */
			return 0;
		}
		if (woken) {
			pause_after_idle_wake(reg, left);
			return ask_gone(reg);
		}
		k2k_ring_sleep(&reg->map, cursor->wake, left < NAP_NS ? left : NAP_NS);
		if (cursor->waiting || has_news(reg, cursor))
			return ask_gone(reg);
	}
}

int k2k_audit_wait(struct k2k_registry *reg, const struct k2k_audit_cursor *cursor,
                   uint64_t timeout_ns)
{
	K2K_UNCANCELLED;
	struct k2k_audit_cursor mine;
	int code = reg ? K2K_TAKE_STRUCT(&mine, cursor, 0) : 0;

	if (!code)
		code = k2k_hold(reg, K2K_GATE_ANY);
	if (code)
		return code;
	/* relaxed, both: within the call that is counted in users */
	k2k_add_relaxed(&reg->sleepers, 1);
	code = sleep_until_news(reg, &mine, k2k_sat_add(k2k_clock_monotonic_ns(), timeout_ns));
	k2k_add_relaxed(&reg->sleepers, UINT32_MAX);
	k2k_unhold(reg);
	return code;
}

/* ---- followers ----------------------------------------------------------------------------- */

int k2k_audit_kept(struct k2k_registry *reg, const struct k2k_audit_cursor *cursor, uint32_t flags)
{
	K2K_UNCANCELLED;
	struct k2k_audit_cursor mine;
	int code = reg ? K2K_TAKE_STRUCT(&mine, cursor, 0) : 0;

	if (reg && !code && (flags & ~(uint32_t)K2K_AUDIT_FAILING))
		code = k2k_fail_argument("flags", "unknown flags");
	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	if (reg->follower.incarnation)
		k2k_follower_say(&reg->follower, mine.next,
		                 k2k_clock_monotonic_ns() - (uint64_t)reg->clock.offset_ns,
		                 flags & K2K_AUDIT_FAILING);
	else
		code = k2k_fail(K2K_EROLE, "handle", "role",
		                "this handle was not opened with K2K_OPEN_FOLLOWER");
	k2k_read_unlock();
	return code;
}

/* relaxed, all: numbers for diagnostics */
static void fill_follower(struct k2k_registry *reg, uint32_t index,
                          struct k2k_audit_follower_info *info)
{
	const struct k2k_shm_follower *follower = &reg->map.followers[index];
	/* observe[follower-owner]: the words about this owner */
	uint64_t owner = k2k_load_acquire(&follower->owner);
	uint64_t now_ns = k2k_clock_monotonic_ns() - (uint64_t)reg->clock.offset_ns, said_ns;

	memset(info, 0, sizeof(*info));
	info->index = index;
	/* observe[follower-said]: the words before it */
	said_ns = k2k_load_acquire(&follower->said_ns);
	info->failing_since_ns = k2k_load_relaxed(&follower->failing_since_ns);
	info->state = !owner                                       ? K2K_FOLLOWER_NONE
	              : !k2k_liveness_alive(&reg->liveness, owner) ? K2K_FOLLOWER_DEAD
	              : info->failing_since_ns                     ? K2K_FOLLOWER_FAILING
	              : k2k_follower_is_prompt(follower, &reg->liveness, now_ns)
	                      ? K2K_FOLLOWER_ACTIVE
	                      : K2K_FOLLOWER_SILENT;
	info->said_ago_ns = said_ns ? k2k_sat_sub(now_ns, said_ns) : K2K_NEVER_NS;
	info->failures = k2k_load_relaxed(&follower->failures);
	info->pid = k2k_load_relaxed(&follower->pid);
	k2k_identity_comm(info->comm, k2k_load_relaxed(&follower->comm[0]),
	                  k2k_load_relaxed(&follower->comm[1]));
	info->attached_at_ns = k2k_load_relaxed(&follower->attached_at_ns);
	info->lost = k2k_load_relaxed(&follower->lost);
	info->damaged = k2k_load_relaxed(&follower->damaged);
	info->lost_ring = (uint32_t)k2k_load_relaxed(&follower->lost_ring);
	info->lost_from = k2k_load_relaxed(&follower->lost_from);
	info->lost_count = k2k_load_relaxed(&follower->lost_count);
	info->lost_at_ns = k2k_load_relaxed(&follower->lost_at_ns);
	for (uint32_t i = 0; owner && i < K2K_RINGS; i++) {
		struct k2k_ring ring = k2k_ring_of(&reg->map, i);
		struct k2k_backlog backlog = k2k_follower_backlog(follower, &ring, i);

		if (backlog.behind >= MISSING_MOST)
			continue; /* the ring is damaged */
		info->behind += backlog.behind;
		info->overwritten += backlog.overwritten;
		if (backlog.overwritten && !info->overwritten_from) {
			info->overwritten_ring = i;
			info->overwritten_from = backlog.from;
			info->overwritten_count = backlog.overwritten;
		}
	}
}

int k2k_audit_follower_list(struct k2k_registry *reg, struct k2k_audit_follower_info *followers,
                            size_t capacity, size_t *count)
{
	K2K_UNCANCELLED;
	uint32_t stride;
	size_t found = 0;
	int code = reg ? K2K_CHECK_LIST(followers, capacity, count, 0) : 0;

	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	stride = K2K_STRIDE(followers, capacity);
	for (uint32_t i = 0; i < K2K_FOLLOWERS; i++) {
		struct k2k_audit_follower_info info;

		fill_follower(reg, i, &info);
		/* a record without an owner is shown only for its losses */
		if (info.state == K2K_FOLLOWER_NONE && !info.lost && !info.damaged)
			continue;
		if (found < capacity)
			K2K_GIVE_ELEMENT(followers, stride, found, &info);
		found++;
	}
	*count = found;
	k2k_read_unlock();
	return 0;
}

int k2k_audit_stats(struct k2k_registry *reg, struct k2k_audit_stats *stats)
{
	K2K_UNCANCELLED;
	struct k2k_audit_stats mine = { .flags = 0 };
	int code = reg ? K2K_CHECK_STRUCT(stats, 0) : 0;

	if (!code)
		code = k2k_enter(reg, K2K_GATE_ANY);
	if (code)
		return code;
	mine.capacity = reg->map.sizes.events;
	for (uint32_t i = 0; i < K2K_RINGS; i++) {
		const struct k2k_shm_ring *ring = &reg->map.rings[i];

		mine.newest[i] = k2k_load_relaxed(&ring->claimed); /* relaxed, all: numbers */
		for (int k = 0; k < K2K_EVENT_KINDS; k++) {
			mine.written_by_kind[k] += k2k_load_relaxed(&ring->written[k]);
			mine.coalesced_by_kind[k] += k2k_load_relaxed(&ring->coalesced[k]);
			mine.lost_by_kind[k] += k2k_load_relaxed(&ring->lost[k]);
		}
	}
	k2k_read_unlock();
	memcpy(mine.written, mine.written_by_kind, sizeof(mine.written));
	memcpy(mine.coalesced, mine.coalesced_by_kind, sizeof(mine.coalesced));
	memcpy(mine.lost, mine.lost_by_kind, sizeof(mine.lost));
	K2K_GIVE_STRUCT(stats, &mine);
	return 0;
}
