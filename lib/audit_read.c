/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit_read.c (F7) - the audit trail for its readers: all rings as one sequence of records.
 *
 * Nothing here writes to a ring. Any process that may write `live` can put any bytes into one: so
 * numbers are checked against the ring, kinds against their range, texts are made printable, and
 * every walk ends with the ring.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "handle.h"
#include "text.h"

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
	[K2K_AUDIT_KIND_CORRECTION] = { "correction", K2K_AUDIT_INFO,
	                                K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_BUDGET_RENEWED] = { "budget_renewed", K2K_AUDIT_INFO,
	                                    K2K_AUDIT_CONFIGURATION_CHANGE },
	[K2K_AUDIT_KIND_SUSPENDED] = { "suspended", K2K_AUDIT_WARNING,
	                               K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED },
	[K2K_AUDIT_KIND_ALERT] = { "alert", K2K_AUDIT_WARNING, K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED },
};

_Static_assert(K2K_COUNT_OF(kinds) <= K2K_EVENT_KINDS, "rings count every kind");

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

static void copy_more(const struct k2k_event_body *body, struct k2k_audit_record *record)
{
	const uint64_t *values = body->more.change.values;
	size_t count = K2K_EVENT_VALUES;

	if (body->kind == K2K_AUDIT_KIND_CROSS_TENANT) {
		strcpy(record->actor, "k2k_broker");
		record->used = record->limit = 0;
		k2k_identity_comm(record->comm, body->used, body->limit);
		k2k_text_copy(record->source, body->more.kernels.source,
		              sizeof(body->more.kernels.source));
		k2k_text_copy(record->destination, body->more.kernels.destination,
		              sizeof(body->more.kernels.destination));
		return;
	}
	if (k2k_kind_is_rejection(body->kind)) {
		strcpy(record->actor, "k2k_tenant_registry");
		k2k_identity_comm(record->comm, body->more.broker.comm[0],
		                  body->more.broker.comm[1]);
		return;
	}
	k2k_text_copy(record->actor, body->more.change.actor, sizeof(body->more.change.actor));
	if (body->kind == K2K_AUDIT_KIND_BROKER_DEAD) {
		count = K2K_EVENT_DEAD_COMM;
		k2k_identity_comm(record->source, values[count], values[count + 1]);
		k2k_identity_comm(record->comm, values[count], values[count + 1]);
	}
	if (body->kind == K2K_AUDIT_KIND_CORRECTION) {
		count = 0;
		k2k_text_copy(record->source, (const char *)values, K2K_AUDIT_REASON_MAX + 1);
		record->values[K2K_AUDIT_CORRECTION_NS] = body->limit - body->used;
		record->values[K2K_AUDIT_CORRECTION_SUM_NS] = body->limit;
		record->values[K2K_AUDIT_CORRECTION_REQUEST] = values[K2K_EVENT_REASON_VALUES];
		record->used = record->limit = 0;
	} else if (k2k_event_has_name(body)) {
		char name[K2K_TENANT_NAME_MAX + 1];

		record->tag = (struct k2k_audit_tag){ 0, 0 };
		record->used = record->limit = 0;
		k2k_event_get_name(body, name);
		k2k_text_copy(record->source, name, sizeof(name));
	}
	memcpy(record->values, values, count * sizeof(*values));
}

/* ---- one ring ------------------------------------------------------------------------- */

/* What a ring gives next: first damage, then missing numbers, then event n. */
struct head {
	struct k2k_ring ring;
	uint32_t number;
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
	struct head *heads; /* of each ring that the registry has */
};

/* ---- the cursor -------------------------------------------------------------------------- */

static uint64_t *position(struct k2k_audit_cursor *cursor, uint32_t ring)
{
	return ring < K2K_RINGS_LOW ? &cursor->next[ring]
	                            : &cursor->further[ring - K2K_RINGS_LOW].next;
}

static uint64_t position_of(const struct k2k_audit_cursor *cursor, uint32_t ring)
{
	return ring < K2K_RINGS_LOW ? cursor->next[ring]
	                            : cursor->further[ring - K2K_RINGS_LOW].next;
}

static bool damage_reported(const struct k2k_audit_cursor *cursor, uint32_t ring)
{
	return ring < K2K_RINGS_LOW ? cursor->damaged[ring / 64] >> ring % 64 & 1
	                            : cursor->further[ring - K2K_RINGS_LOW].damaged != 0;
}

static void report_damage(struct k2k_audit_cursor *cursor, uint32_t ring, bool reported)
{
	uint64_t bit = UINT64_C(1) << ring % 64;

	if (ring >= K2K_RINGS_LOW)
		cursor->further[ring - K2K_RINGS_LOW].damaged = reported;
	else if (reported)
		cursor->damaged[ring / 64] |= bit;
	else
		cursor->damaged[ring / 64] &= ~bit;
}

/* Does the cursor have room for all rings of the registry? */
static int check_room(const struct k2k_registry *reg, const struct k2k_audit_cursor *cursor)
{
	uint32_t further = reg->map.sizes.rings > K2K_RINGS_LOW
	                           ? reg->map.sizes.rings - K2K_RINGS_LOW
	                           : 0;

	if (further == 0 || (cursor->further && cursor->further_count >= further))
		return 0;
	return k2k_fail_values(K2K_EINVAL, "cursor", "further", further,
	                       cursor->further ? cursor->further_count : 0,
	                       "a registry for %u brokers has %u audit rings, so the cursor needs "
	                       "%u further elements",
	                       reg->map.sizes.slots, reg->map.sizes.rings, further);
}

/* ---- the next of one ring ---------------------------------------------------------------- */

/* Is the writer of this ring dead, so that nobody completes its unfinished events? */
static bool is_abandoned(const struct reading *reading, uint32_t ring)
{
	struct k2k_registry *reg = reading->reg;

	if (ring != K2K_RING_ADMIN) {
		const struct k2k_shm_slot *slot = &reg->map.slots[k2k_ring_slot(ring)];

		/* observe[slot-owner]: the ring's owner now */
		return !k2k_liveness_alive(&reg->liveness, k2k_load_acquire(&slot->owner));
	}
	return !k2k_writer_is_at_work(&reg->map, &reg->admins);
}

static enum k2k_event_state read_one(const struct reading *reading, struct head *head, uint64_t n)
{
	enum k2k_event_state state = k2k_ring_read(&head->ring, n, false, &head->copy);

	if ((state == K2K_EVENT_OPEN || state == K2K_EVENT_PENDING) &&
	    is_abandoned(reading, head->number))
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

/*
 * Reads the number of the ring's newest event. The ring is damaged if that number is lower than the
 * cursor has come, or higher than the ring's places show. Damage is reported once; then nothing of
 * the ring is reported until it can be read again.
 */
static void look_at_newest(struct reading *reading, struct head *head, uint64_t next)
{
	bool damaged;

	head->newest = k2k_ring_newest_seen(&head->ring, &damaged);
	if (reading->damaged_too && next > head->newest && next - head->newest > 1)
		damaged = true;
	head->damaged = damaged && reading->damaged_too &&
	                !damage_reported(reading->cursor, head->number);
	if (!damaged)
		report_damage(reading->cursor, head->number, false);
}

/* Finds the next record from number `next` on. */
static void advance(struct reading *reading, struct head *head, uint64_t next)
{
	bool first = next == 0;

	head->has = false;
	head->flags = 0;
	look_at_newest(reading, head, next);
	if (first)
		next = oldest(head);
	head->missing_from = head->start = next;
	if (next < oldest(head))
		next = oldest(head);
	for (; next <= head->newest; next++) {
		enum k2k_event_state state = read_one(reading, head, next);

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
	if (head->damaged || head->missing >= K2K_EVENTS_MISSING_MOST)
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
	if (body->flags & K2K_EVENT_SHADOW)
		record->flags |= K2K_AUDIT_SHADOW;
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
		k2k_follower_count_lost(follower, &reading->reg->map, record->ring,
		                        record->sequence, record->count);
}

/* Takes one record from the head, in the order damage, gap, event, and moves on. */
static void take(struct reading *reading, struct head *head, struct k2k_audit_record *record)
{
	memset(record, 0, sizeof(*record));
	record->ring = head->number;
	if (head->damaged) {
		fill_lost(reading, head, record);
		count_loss(reading, record);
		report_damage(reading->cursor, head->number, true);
		head->damaged = false;
		return;
	}
	if (head->missing) {
		fill_lost(reading, head, record);
		count_loss(reading, record);
		head->missing_from += head->missing;
		head->missing = 0;
		*position(reading->cursor, head->number) = head->missing_from;
		return;
	}
	fill_event(head, record);
	*position(reading->cursor, head->number) = head->n + 1;
	advance(reading, head, head->n + 1);
}

/* The oldest head; null: all are empty. A gap with no event after it comes last. */
static struct head *choose(const struct reading *reading)
{
	struct head *best = NULL;
	uint64_t best_ns = 0;

	for (uint32_t i = 0; i < reading->reg->map.sizes.rings; i++) {
		struct head *head = &reading->heads[i];
		uint64_t ns = head->has ? head->copy.body.monotonic_ns : UINT64_MAX;

		if ((head->has || head->missing || head->damaged) && (!best || ns < best_ns)) {
			best = head;
			best_ns = ns;
		}
	}
	return best;
}

/* ---- the calls --------------------------------------------------------------------------- */

/* A cursor that is ahead of a ring is of another registry, unless the caller knows better. */
static int check_cursor(const struct reading *reading)
{
	for (uint32_t i = 0; i < reading->reg->map.sizes.rings && !reading->damaged_too; i++) {
		const struct head *head = &reading->heads[i];
		uint64_t next = position_of(reading->cursor, head->number);

		if (next > k2k_sat_add(head->newest, 1))
			return k2k_fail_values(
				K2K_EINVAL, "cursor", "next", head->newest, next,
				"ring %u has no event %llu yet: a cursor of another registry?",
				head->number, (unsigned long long)next);
	}
	return 0;
}

static int read_all(struct reading *reading, struct k2k_audit_record *records, size_t capacity,
                    size_t *count)
{
	struct k2k_audit_cursor *cursor = reading->cursor;
	uint32_t stride = K2K_STRIDE(records, capacity), rings = reading->reg->map.sizes.rings;
	size_t done;
	int code;

	/* read before the rings: any later event changes it, so k2k_audit_wait() does not sleep */
	cursor->wake = k2k_ring_wake_word(&reading->reg->map);
	cursor->waiting = 0;
	for (uint32_t i = 0; i < rings; i++) {
		struct head *head = &reading->heads[i];
		bool damaged;

		head->number = k2k_ring_number(&reading->reg->map, i);
		head->ring = k2k_ring_of(&reading->reg->map, head->number);
		head->newest = k2k_ring_newest_seen(&head->ring, &damaged);
	}
	code = check_cursor(reading);
	if (code)
		return code;
	for (uint32_t i = 0; i < rings; i++) {
		struct head *head = &reading->heads[i];
		uint64_t *next = position(cursor, head->number);

		advance(reading, head, *next);
		*next = head->start;
	}
	for (done = 0; done < capacity; done++) {
		struct head *head = choose(reading);
		struct k2k_audit_record record;

		if (!head)
			break;
		take(reading, head, &record);
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
	code = check_room(reg, &mine);
	if (!code) {
		reading.heads = calloc(reg->map.sizes.rings, sizeof(*reading.heads));
		if (!reading.heads)
			code = k2k_fail_errno(K2K_ENOMEM, ENOMEM, "audit",
			                      "no memory for the next event of each ring");
	}
	if (!code)
		code = read_all(&reading, records, capacity, count);
	k2k_read_unlock();
	free(reading.heads);
	if (code)
		return code;
	K2K_GIVE_STRUCT(cursor, &mine);
	return *count ? 0 : gone;
}

/* Is there a number that the cursor has not passed? Costs one load for each ring. */
static bool has_news(const struct k2k_registry *reg, const struct k2k_audit_cursor *cursor)
{
	for (uint32_t i = 0; i < reg->map.sizes.rings; i++) {
		uint32_t number = k2k_ring_number(&reg->map, i);
		struct k2k_ring ring = k2k_ring_of(&reg->map, number);
		uint64_t newest = k2k_ring_newest(&ring);

		if (newest && newest >= position_of(cursor, number) &&
		    !damage_reported(cursor, number))
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
	code = check_room(reg, &mine);
	if (!code)
		code = sleep_until_news(reg, &mine,
		                        k2k_sat_add(k2k_clock_monotonic_ns(), timeout_ns));
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
		code = check_room(reg, &mine);
	else
		code = k2k_fail(K2K_EROLE, "handle", "role",
		                "this handle was not opened with K2K_OPEN_FOLLOWER");
	if (!code) {
		for (uint32_t i = 0; i < reg->map.sizes.rings; i++)
			k2k_follower_store(&reg->follower, i,
			                   position_of(&mine, k2k_ring_number(&reg->map, i)));
		k2k_follower_say(&reg->follower,
		                 k2k_clock_monotonic_ns() - (uint64_t)reg->clock.offset_ns,
		                 flags & K2K_AUDIT_FAILING);
	}
	k2k_read_unlock();
	return code;
}
