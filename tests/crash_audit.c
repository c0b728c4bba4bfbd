/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_audit - a broker killed after each store into its audit ring and each system call of a
 * rejected call
 *
 * After each kill
 *
 * 1. the ring can be read: its numbers have no gap, and each earlier event is there and whole,
 *    unless a later event has overwritten it;
 * 2. the killed call left all of its event or nothing: an event of its own, one more in the count
 *    of an equal event, or a number that is reported as lost;
 * 3. the next owner of the slot can use each place of the ring and loses nothing;
 * 4. the checker finds nothing.
 *
 * K2K_CRASH_EVERY, K2K_CRASH_SEED and K2K_CRASH_ONLY are those of crash_run.h.
 */
#define HARNESS_TIMEOUT_S 600
#include "crash_trace.h"

#include "handle.h"

#define SECOND UINT64_C(1000000000)

enum { SUBJECT = 7, EVENTS = 4 };

struct victim {
	struct k2k_registry *reg;
	_Atomic uint64_t *clock_ns;
};

struct operation {
	const char *name;
	uint32_t kind;
	int expected;
	int (*run)(struct victim *victim);
	bool again;       /* it has been done once before */
	bool next_second; /* in the second before */
};

static int run_admit(struct victim *v)
{
	return k2k_message_admit(v->reg, SUBJECT, (struct k2k_audit_tag){ 1, 2 }, 1, NULL);
}

static int run_unknown(struct victim *v)
{
	return k2k_message_admit(v->reg, 12345, (struct k2k_audit_tag){ 1, 2 }, 1, NULL);
}

static int run_cross(struct victim *v)
{
	return k2k_audit_cross_tenant(v->reg, 1, 2, "a kernel", "another",
	                              (struct k2k_audit_tag){ 1, 2 });
}

static const struct operation operations[] = {
	{ "rejected admit", K2K_AUDIT_KIND_RATE, K2K_ERATE, run_admit, false, false },
	{ "rejected again", K2K_AUDIT_KIND_RATE, K2K_ERATE, run_admit, true, false },
	{ "rejected again in the next second", K2K_AUDIT_KIND_RATE, K2K_ERATE, run_admit, true,
	  true },
	{ "unknown tenant", K2K_AUDIT_KIND_UNKNOWN_TENANT, K2K_ENOTENANT, run_unknown, false,
	  false },
	{ "cross-tenant attempt", K2K_AUDIT_KIND_CROSS_TENANT, 0, run_cross, false, false },
	{ "cross-tenant attempt again", K2K_AUDIT_KIND_CROSS_TENANT, 0, run_cross, true, false },
};

struct scene {
	const struct operation *operation;
	const char *name;
	struct k2k_registry *admin;
	_Atomic uint64_t *clock_ns;
	bool half;      /* an earlier owner died while it wrote the first event */
	uint64_t prior; /* events that the victim wrote before the operation */
	pid_t victim;
	unsigned char seen[sizeof(struct k2k_shm_ring) + EVENTS * sizeof(struct k2k_shm_event)];
};

/* The ring of slot 0 that the operation writes to, and its events. */
static uint32_t ring_of(const struct scene *scene)
{
	return scene->operation->kind == K2K_AUDIT_KIND_CROSS_TENANT ? K2K_RING_SECURITY(0) : 0;
}

static struct k2k_shm_event *events_of(const struct scene *scene)
{
	return &scene->admin->map.events[ring_of(scene) * EVENTS];
}

/* The number of the last event before the operation. */
static uint64_t last_before(const struct scene *scene)
{
	return scene->half + scene->prior + scene->operation->again;
}

/* ---- the victim ------------------------------------------------------------------- */

enum { PRIOR = 1000, NEXT = 2000 };

/* Writes an event with a number of its own into the operation's ring. */
static void write_event(const struct scene *scene, struct k2k_registry *reg, uint64_t number)
{
	const struct k2k_audit_tag tag = { number, 0 };

	if (ring_of(scene))
		assert_int_equal(k2k_audit_cross_tenant(reg, 1, 2, "other", "", tag), 0);
	else
		assert_int_equal(k2k_message_admit(reg, 54321, tag, 1, NULL), K2K_ENOTENANT);
}

static struct k2k_registry *attach(const struct scene *scene)
{
	struct k2k_registry *reg = open_as(scene->name, K2K_ROLE_BROKER);

	assert_int_equal(reg->broker.slot, 0);
	reg->clock.injected_ns = scene->clock_ns;
	return reg;
}

static void start_victim(struct scene *scene)
{
	const struct operation *operation = scene->operation;

	scene->victim = spawn();
	if (scene->victim == 0) {
		k2k_agent_in_caller = true;
		struct victim victim = { attach(scene), scene->clock_ns };

		for (uint64_t i = 1; i <= scene->prior; i++)
			write_event(scene, victim.reg, PRIOR + scene->half + i);
		if (operation->again)
			assert_int_equal(operation->run(&victim), operation->expected);
		if (operation->next_second)
			atomic_fetch_add(scene->clock_ns, SECOND);
		victim_offer();
		operation_begins();
		if (operation->run(&victim) != operation->expected)
			_exit(3);
		operation_ends();
		pause();
	}
	victim_take(scene->victim);
}

static bool ring_changed(void *context)
{
	struct scene *scene = context;
	const struct k2k_map *map = &scene->admin->map;
	unsigned char now[sizeof scene->seen];
	bool changed;

	memcpy(now, &map->rings[ring_of(scene)], sizeof map->rings[0]);
	memcpy(now + sizeof map->rings[0], events_of(scene), EVENTS * sizeof map->events[0]);
	changed = memcmp(now, scene->seen, sizeof now) != 0;
	memcpy(scene->seen, now, sizeof now);
	return changed;
}

static void scene_open(struct scene *scene)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	options.max_tenants = options.max_engagements = options.max_leases = options.max_budgets =
		4;
	options.max_audit_events = EVENTS;
	scene->name = fresh_registry();
	atomic_store(scene->clock_ns, 1000 * SECOND);
	assert_int_equal(k2k_registry_create(scene->name, &options, &scene->admin), 0);
	scene->admin->clock.injected_ns = scene->clock_ns;
	assert_int_equal(scene->admin->map.sizes.events, EVENTS);
	register_tenant(scene->admin, SUBJECT, 0, 1);
	if (scene->half) {
		atomic_store(&scene->admin->map.rings[ring_of(scene)].claimed, 1);
		atomic_store(&events_of(scene)[1].sequence, 1);
	}
	start_victim(scene);
}

static void scene_close(struct scene *scene)
{
	if (scene->victim > 0)
		victim_kill(scene->victim);
	assert_int_equal(k2k_registry_close(&scene->admin), 0);
	assert_int_equal(k2k_registry_destroy(scene->name, K2K_DESTROY_FORCE, NULL), 0);
}

/* ---- the judge ---------------------------------------------------------------------- */

struct sight {
	bool there[64];
	struct k2k_audit_record record[64]; /* by number */
	uint64_t end;                       /* one after the last number that was reported */
};

static void read_ring(struct k2k_registry *reg, uint32_t ring, uint32_t flags, uint64_t from,
                      struct sight *sight)
{
	struct k2k_audit_cursor cursor = K2K_AUDIT_CURSOR_INIT;
	struct k2k_audit_record records[16];
	size_t count;

	memset(sight, 0, sizeof *sight);
	sight->end = from;
	cursor.next[ring] = from;
	do {
		records[0] = (struct k2k_audit_record){ .size = sizeof records[0] };
		assert_int_equal(k2k_audit_read(reg, &cursor, flags, records, 16, &count), 0);
		for (size_t i = 0; i < count; i++) {
			if (records[i].ring != ring)
				continue;
			assert_int_equal(records[i].sequence, sight->end);
			assert_true(sight->end + records[i].count < 64 ||
			            !(records[i].flags & K2K_AUDIT_LOST));
			if (records[i].flags & K2K_AUDIT_LOST) {
				sight->end += records[i].count;
				continue;
			}
			sight->there[sight->end] = true;
			sight->record[sight->end++] = records[i];
		}
	} while (count);
}

static void check_prior(const struct sight *sight, uint64_t number)
{
	if (!sight->there[number])
		fail_msg("event %" PRIu64 " is missing", number);
	assert_int_equal(sight->record[number].tag.org_id, PRIOR + number);
	assert_int_equal(sight->record[number].count, 1);
}

static void check_own(const struct scene *scene, const struct k2k_audit_record *r)
{
	assert_int_equal(r->kind, scene->operation->kind);
	assert_int_equal(r->code, scene->operation->expected);
	assert_int_equal(r->pid, (uint64_t)scene->victim);
	assert_true(r->tag.org_id == 1 && r->tag.engagement_id == 2);
	if (r->kind == K2K_AUDIT_KIND_CROSS_TENANT)
		assert_string_equal(r->source, "a kernel");
}

/*
 * Checks the ring of the dead broker. Returns how often the operation can be seen, including an
 * equal one before it.
 */
static uint64_t check_ring(const struct scene *scene)
{
	uint64_t before = last_before(scene),
		 newest = k2k_load_acquire(&scene->admin->map.rings[ring_of(scene)].claimed),
		 seen = 0;
	static struct sight sight;

	assert_true(newest == before || newest == before + 1);
	read_ring(scene->admin, ring_of(scene), 0, 1, &sight);
	assert_int_equal(sight.end, newest + 1);
	for (uint64_t n = newest > EVENTS ? newest - EVENTS + 1 : 1; n <= newest; n++) {
		if (n == 1 && scene->half) {
			assert_false(sight.there[n]);
		} else if (n <= scene->half + scene->prior) {
			check_prior(&sight, n);
		} else if (sight.there[n]) {
			check_own(scene, &sight.record[n]);
			seen += sight.record[n].count;
		} else {
			assert_int_equal(n, before + 1);
		}
	}
	assert_true(seen == scene->operation->again || seen == scene->operation->again + 1u);
	return seen;
}

/* As if as many brokers had been killed, so that the next one must take the victim's slot. */
static void occupy_other_slots(const struct k2k_registry *reg)
{
	for (uint32_t i = 1; i < reg->map.sizes.slots; i++) {
		struct k2k_shm_slot *slot = &reg->map.slots[i];

		atomic_store(&slot->ack, atomic_load(&reg->map.defs->grace_token));
		atomic_store(&slot->state, K2K_SLOT_ACTIVE);
		/* reported: else the next owner's agent reports it at any time */
		atomic_store(&slot->death_reported, K2K_LOCK_BYTE_LIFE_MIN + i);
		atomic_store(&slot->owner, K2K_LOCK_BYTE_LIFE_MIN + i);
		atomic_store(&slot->start_time, 1);
		atomic_store(&slot->pid, 1);
	}
}

static uint64_t lost_of(struct k2k_registry *reg)
{
	struct k2k_audit_stats stats = { .size = sizeof stats };
	uint64_t sum = 0;

	assert_int_equal(k2k_audit_stats(reg, &stats), 0);
	for (int kind = 0; kind < K2K_AUDIT_KINDS; kind++)
		sum += stats.lost[kind];
	return sum;
}

static void next_owner_works(const struct scene *scene)
{
	pid_t pid;

	occupy_other_slots(scene->admin);
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *reg = attach(scene);
		uint64_t lost = lost_of(reg);
		static struct sight sight;

		for (uint64_t i = 0; i < 2 * EVENTS; i++) {
			uint64_t n = k2k_load_acquire(&reg->map.rings[ring_of(scene)].claimed) + 1;

			write_event(scene, reg, NEXT + i);
			read_ring(reg, ring_of(scene), K2K_AUDIT_OPEN_TOO, n, &sight);
			if (!sight.there[n])
				fail_msg("the next owner's event %" PRIu64 ", number %" PRIu64
				         ", can't be read",
				         i, n);
			assert_int_equal(sight.record[n].tag.org_id, NEXT + i);
		}
		assert_int_equal(lost_of(reg), lost);
		assert_int_equal(k2k_registry_close(&reg), 0);
		_exit(0);
	}
	spawn_wait(pid);
}

/* Kills the victim first. */
static uint64_t judge(struct scene *scene)
{
	uint64_t seen;

	victim_kill(scene->victim);
	WAIT_UNTIL(broker_state(scene->admin, scene->victim) != K2K_BROKER_ACTIVE, PATIENCE_S);
	seen = check_ring(scene);
	scene->victim = 0;
	next_owner_works(scene);
	check_clean(scene->admin);
	return seen;
}

/* ---- all points ------------------------------------------------------------------------ */

static bool is_next(void)
{
	static size_t counter;
	size_t every = number_of("K2K_CRASH_EVERY", 1);

	return counter++ % every == number_of("K2K_CRASH_SEED", 0) % every;
}

static void kill_everywhere(const struct operation *operation, uint64_t prior, bool half)
{
	struct scene scene = {
		.operation = operation, .prior = prior, .half = half, .clock_ns = shared_bytes(4096)
	};
	size_t kills = 0, before = 0, unreached = 0;
	struct points points = { 0 };

	scene_open(&scene);
	victim_discover(scene.victim, ring_changed, &scene, false, &points);
	/* an operation that has ended has left its event */
	assert_int_equal(judge(&scene), operation->again + 1u);
	scene_close(&scene);
	for (size_t i = 0; i < points.count; i++) {
		if (!is_next())
			continue;
		scene_open(&scene);
		if (victim_bring_to(scene.victim, &points.list[i])) {
			kills++;
			before += judge(&scene) == operation->again;
		} else {
			unreached++;
		}
		scene_close(&scene);
	}
	printf("# kills | %s | %" PRIu64
	       " before%s | %zu | %zu | %zu | %zu | %zu | %zu | 0 | %zu\n",
	       operation->name, prior, half ? ", one half" : "", points.steps, points.changes,
	       points.calls, kills, before, kills - before, unreached);
	assert_true(points.changes > 0 && unreached * 20 <= kills + 20);
	points_free(&points);
	munmap((void *)scene.clock_ns, 4096);
}

static void kill_each(uint64_t prior, bool half)
{
	const char *only = getenv("K2K_CRASH_ONLY");

	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
		if (!only || strstr(operations[i].name, only))
			kill_everywhere(&operations[i], prior, half);
}

TEST(rejected_with_an_empty_ring)
{
	kill_each(0, false);
}
TEST(rejected_with_a_ring_that_wraps)
{
	kill_each(3, false);
}
TEST(rejected_where_another_was_killed_before)
{
	kill_each(0, true);
}
TEST(rejected_over_the_place_that_another_was_killed_in)
{
	kill_each(3, true);
}
