/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_follow - followers of the audit trail: who is woken, which followers writers wait for,
 * what they lost, and which changes are refused without one
 */
#include "process.h"
#include "trail_reader.h"

#include "handle.h"

#include <pthread.h>

#define SECOND UINT64_C(1000000000)

enum { TENANT = 42, RING = 16 };

static struct reader r;

static const char *scene(uint32_t flags, struct k2k_registry **admin)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	const char *name = fresh_registry();

	options.flags = flags;
	options.max_tenants = 64;
	options.max_engagements = options.max_kernels = options.max_budgets = 64;
	options.max_audit_events = RING;
	assert_int_equal(k2k_registry_create(name, &options, admin), 0);
	return name;
}

static int try_follow(const char *name, struct k2k_registry **reg)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;

	options.flags = K2K_OPEN_FOLLOWER;
	return k2k_registry_open(name, K2K_ROLE_OBSERVER, &options, reg);
}

static struct k2k_registry *follow(const char *name)
{
	struct k2k_registry *reg;

	assert_int_equal(try_follow(name, &reg), 0);
	return reg;
}

/* Returns the only follower. */
static struct k2k_audit_follower_info follower_of(struct k2k_registry *reg)
{
	struct k2k_audit_follower_info info = { .size = sizeof info };
	size_t count;

	assert_int_equal(k2k_audit_follower_list(reg, &info, 1, &count), 0);
	assert_int_equal(count, 1);
	return info;
}

/* Makes a change of value: an update to the same value would be no event. */
static int update(struct k2k_registry *admin)
{
	static uint64_t rate = 1000;
	struct k2k_quota quota = K2K_QUOTA_STANDARD;

	quota.max_messages_per_sec = ++rate;
	return k2k_tenant_update(admin, TENANT, &quota, K2K_UPDATE_RATE);
}

/* What a follower in another process has seen, and its orders. */
struct orders {
	_Atomic uint64_t updates, lost, damaged, last_kind;
	_Atomic int failing, end;
	struct gate ready;
};

static pid_t start_follower(const char *name, struct orders *orders)
{
	pid_t pid;

	gate_make(&orders->ready);
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *reg = follow(name);
		bool ready = false;

		reader_open(&r, reg);
		while (!orders->end) {
			assert_int_equal(
				k2k_audit_read(reg, &r.cursor, K2K_AUDIT_DAMAGED_TOO,
			                       (r.records[0].size = sizeof r.records[0], r.records),
			                       READER_RECORDS, &r.count),
				0);
			for (size_t i = 0; i < r.count; i++) {
				if (r.records[i].flags & K2K_AUDIT_DAMAGED)
					orders->damaged++;
				else if (r.records[i].flags & K2K_AUDIT_LOST)
					orders->lost += r.records[i].count;
				else
					orders->last_kind = r.records[i].kind;
				orders->updates += r.records[i].kind == K2K_AUDIT_KIND_UPDATE;
			}
			assert_int_equal(k2k_audit_kept(reg, &r.cursor,
			                                orders->failing ? K2K_AUDIT_FAILING : 0),
			                 0);
			if (!ready)
				gate_open(&orders->ready);
			ready = true;
			if (!r.count)
				assert_int_equal(k2k_audit_wait(reg, &r.cursor, SECOND / 10), 0);
		}
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	gate_wait(&orders->ready);
	return pid;
}

static void end_follower(pid_t pid, struct orders *orders)
{
	orders->end = 1;
	spawn_wait(pid);
	munmap(orders, sizeof *orders);
}

/* ---- wakes ----------------------------------------------------------------------------------- */

TEST(followers_are_woken_within_a_batch_and_by_its_end)
{
	struct k2k_registry *admin;
	const char *name = scene(0, &admin);
	uint32_t before;

	register_tenant(admin, TENANT, 1, 1);
	before = k2k_ring_wake_word(&admin->map);
	assert_int_equal(k2k_batch_begin(admin), 0);
	/* A ring has 16 events: readers are woken before they miss one. */
	for (int i = 0; i < 16; i++)
		assert_int_equal(update(admin), 0);
	assert_int_not_equal(k2k_ring_wake_word(&admin->map), before);
	/* A change that wakes nobody at once, because another did less than 50 ms ago. */
	WAIT_UNTIL((before = k2k_ring_wake_word(&admin->map),
	            update(admin) == 0 && k2k_ring_wake_word(&admin->map) == before),
	           10);
	assert_int_equal(k2k_batch_end(admin), 0);
	assert_int_not_equal(k2k_ring_wake_word(&admin->map), before);
	close_and_destroy(name, &admin);
}

/* The only live process is an observer that sleeps. */
TEST(the_last_event_of_a_killed_broker_is_seen_within_a_second)
{
	struct k2k_registry *admin, *observer;
	const char *name = scene(0, &admin);
	struct gate ready, go;
	uint64_t begun;
	pid_t pid;

	observer = open_as(name, K2K_ROLE_OBSERVER);
	assert_int_equal(k2k_registry_close(&admin), 0);
	gate_make(&ready);
	gate_make(&go);
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *broker = open_as(name, K2K_ROLE_BROKER);

		gate_open(&ready);
		gate_wait(&go);
		k2k_audit_cross_tenant(broker, 1, 2, "a", "b", no_tag);
		kill(getpid(), SIGKILL);
	}
	gate_wait(&ready);
	reader_open(&r, observer);
	reader_take_all(&r);
	gate_open(&go);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	begun = now_ns();
	do {
		assert_int_equal(k2k_audit_wait(observer, &r.cursor, UINT64_MAX), 0);
		reader_take(&r, 0);
	} while (!reader_find(&r, K2K_AUDIT_KIND_CROSS_TENANT, 0));
	assert_true(now_ns() - begun < 3 * SECOND); /* a second, plus a margin for a busy machine */
	assert_int_equal(k2k_registry_close(&observer), 0);
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
}

static _Atomic int stop;

static void *raise_word(void *word)
{
	while (!stop)
		atomic_fetch_add((k2k_u32 *)word, 1);
	return NULL;
}

TEST(a_word_that_is_raised_without_end_costs_a_follower_few_looks)
{
	struct k2k_registry *admin;
	const char *name = scene(0, &admin);
	uint64_t end;
	int wakes = 0;
	pthread_t thread;

	reader_open(&r, admin);
	reader_take_all(&r);
	assert_int_equal(pthread_create(&thread, NULL, raise_word, &admin->map.live->audit_wake),
	                 0);
	WAIT_UNTIL(k2k_ring_wake_word(&admin->map) != r.cursor.wake, PATIENCE_S);
	for (end = now_ns() + SECOND; now_ns() < end; wakes++) {
		assert_int_equal(k2k_audit_wait(admin, &r.cursor, UINT64_MAX), 0);
		reader_take(&r, 0);
	}
	stop = 1;
	assert_int_equal(pthread_join(thread, NULL), 0);
	printf("# %d looks in a second\n", wakes);
	assert_true(wakes <= 40);
	close_and_destroy(name, &admin);
}

/* ---- nothing is lost ----------------------------------------------------------------------------
 */

enum { CHANGES = 5000 };

TEST(a_batch_with_a_follower_loses_no_event)
{
	struct orders *orders = shared_bytes(sizeof *orders);
	struct k2k_audit_follower_info info;
	struct k2k_registry *admin;
	const char *name = scene(0, &admin);
	pid_t pid;

	register_tenant(admin, TENANT, 1, 1);
	pid = start_follower(name, orders);
	assert_int_equal(k2k_batch_begin(admin), 0);
	for (int i = 0; i < CHANGES; i++)
		assert_int_equal(update(admin), 0);
	assert_int_equal(k2k_batch_end(admin), 0);
	WAIT_UNTIL(orders->updates == CHANGES, PATIENCE_S);
	assert_int_equal(orders->lost, 0);
	WAIT_UNTIL((info = follower_of(admin)).behind == 0, PATIENCE_S);
	assert_int_equal(info.state, K2K_FOLLOWER_ACTIVE);
	assert_int_equal(info.lost, 0);
	assert_int_equal(info.overwritten, 0);
	assert_int_equal(info.pid, (uint64_t)pid);
	end_follower(pid, orders);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/*
 * Writers wait for it once; what it lost then is reported before it reads on, and also afterwards.
 */
TEST(a_follower_that_does_not_move_is_waited_for_once_and_its_losses_are_told)
{
	struct orders *orders = shared_bytes(sizeof *orders);
	struct k2k_audit_follower_info info;
	struct k2k_registry *admin;
	const char *name = scene(0, &admin);
	uint64_t begun, lost;
	pid_t pid;

	register_tenant(admin, TENANT, 1, 1);
	pid = start_follower(name, orders);
	WAIT_UNTIL(follower_of(admin).behind == 0, PATIENCE_S);
	stop_process(pid);
	begun = now_ns();
	for (int i = 0; i < 200; i++)
		assert_int_equal(update(admin), 0);
	assert_true(now_ns() - begun < 10 * SECOND); /* 200 waits would take 400 s */
	info = follower_of(admin);
	assert_int_equal(info.behind, 200);
	assert_int_equal(info.overwritten, 200 - RING);
	assert_int_equal(info.overwritten_ring, K2K_AUDIT_RING_ADMIN);
	assert_int_equal(info.overwritten_count, 200 - RING);
	lost = info.lost + info.overwritten;
	WAIT_UNTIL(follower_of(admin).state == K2K_FOLLOWER_SILENT, PATIENCE_S);
	assert_int_equal(kill(pid, SIGCONT), 0);
	WAIT_UNTIL(follower_of(admin).behind == 0, PATIENCE_S);
	info = follower_of(admin);
	assert_int_equal(orders->lost, 200 - RING);
	assert_int_equal(info.lost + info.overwritten, lost);
	assert_int_equal(info.lost_ring, K2K_AUDIT_RING_ADMIN);
	assert_int_equal(info.lost_count, 200 - RING);
	assert_true(info.lost_at_ns > 0);
	assert_int_equal(orders->updates, RING);
	end_follower(pid, orders);
	close_and_destroy(name, &admin);
}

/*
 * Writers don't wait for a killed follower. Its record still reports what it misses; the next
 * follower takes the record over.
 */
TEST(what_a_killed_follower_misses_is_told_and_the_next_one_goes_on_with_it)
{
	struct orders *orders = shared_bytes(sizeof *orders);
	struct k2k_audit_follower_info info;
	struct k2k_registry *admin, *next;
	const char *name = scene(0, &admin);
	uint64_t kept;
	pid_t pid;

	register_tenant(admin, TENANT, 1, 1);
	pid = start_follower(name, orders);
	WAIT_UNTIL(follower_of(admin).behind == 0, PATIENCE_S);
	spawn_kill(pid);
	WAIT_UNTIL(follower_of(admin).state == K2K_FOLLOWER_DEAD, PATIENCE_S);
	for (int i = 0; i < 100; i++)
		assert_int_equal(update(admin), 0);
	info = follower_of(admin);
	assert_int_equal(info.overwritten, 100 - RING);
	kept = info.overwritten_from;
	next = follow(name);
	info = follower_of(admin);
	assert_int_equal(info.state, K2K_FOLLOWER_SILENT);
	assert_int_equal(info.pid, (uint64_t)getpid());
	reader_open(&r, next);
	r.cursor.next[K2K_AUDIT_RING_ADMIN] = kept; /* the position in its log */
	reader_take(&r, 0);
	assert_int_equal(reader_lost(&r), 100 - RING);
	assert_int_equal(k2k_audit_kept(next, &r.cursor, 0), 0);
	/* Reading it again reports the same loss. */
	r.cursor.next[K2K_AUDIT_RING_ADMIN] = kept;
	reader_take(&r, 0);
	assert_int_equal(k2k_audit_kept(next, &r.cursor, 0), 0);
	info = follower_of(admin);
	assert_int_equal(info.state, K2K_FOLLOWER_ACTIVE);
	assert_int_equal(info.lost, 100 - RING);
	assert_int_equal(info.overwritten, 0);
	assert_int_equal(k2k_registry_close(&next), 0);
	/* The loss stays on record. */
	assert_int_equal(follower_of(admin).state, K2K_FOLLOWER_NONE);
	assert_int_equal(follower_of(admin).lost, 100 - RING);
	check_clean(admin);
	munmap(orders, sizeof *orders);
	close_and_destroy(name, &admin);
}

TEST(there_is_room_for_eight_followers_and_only_they_may_say_what_is_kept)
{
	struct k2k_registry *admin, *followers[K2K_FOLLOWERS], *ninth;
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	const char *name = scene(0, &admin);

	for (int i = 0; i < K2K_FOLLOWERS; i++)
		followers[i] = follow(name);
	assert_int_equal(try_follow(name, &ninth), K2K_EFULL);
	assert_string_equal(k2k_error_detail()->object, "followers");
	assert_int_equal(k2k_registry_close(&followers[3]), 0);
	assert_int_equal(try_follow(name, &followers[3]), 0);
	for (int i = 0; i < K2K_FOLLOWERS; i++)
		assert_int_equal(k2k_registry_close(&followers[i]), 0);
	options.flags = K2K_OPEN_FOLLOWER;
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &ninth), K2K_EINVAL);
	reader_open(&r, admin);
	assert_int_equal(k2k_audit_kept(admin, &r.cursor, 0), K2K_EROLE);
	close_and_destroy(name, &admin);
}

/* ---- registries that require it -------------------------------------------------------------- */

static void check_refused(struct k2k_registry *admin)
{
	int there;

	assert_int_equal(update(admin), K2K_ENOAUDIT);
	assert_string_equal(k2k_error_detail()->object, "audit");
	assert_int_equal(k2k_tenant_register(admin, 77, NULL), K2K_ENOAUDIT);
	assert_int_equal(k2k_tenant_deregister(admin, TENANT, NULL), K2K_ENOAUDIT);
	assert_int_equal(k2k_budget_set(admin, TENANT, 1, 1), K2K_ENOAUDIT);
	assert_int_equal(k2k_tenant_is_registered(admin, TENANT, &there), 0);
	assert_int_equal(there, 1);
	assert_int_equal(k2k_tenant_is_registered(admin, 77, &there), 0);
	assert_int_equal(there, 0);
}

TEST(changes_are_refused_while_no_follower_keeps_up_and_messages_never_are)
{
	struct orders *orders = shared_bytes(sizeof *orders);
	struct k2k_registry_info info = { .size = sizeof info };
	struct k2k_repair_info repaired = { .size = sizeof repaired };
	struct k2k_registry *creator, *admin, *broker;
	const char *name = scene(K2K_CREATE_REQUIRE_AUDIT, &creator);
	pid_t pid;

	assert_int_equal(k2k_registry_info(creator, &info), 0);
	assert_int_equal(info.flags, K2K_INFO_REQUIRE_AUDIT);
	admin = open_patient(name, K2K_ROLE_ADMIN, SECOND / 20);
	broker = open_as(name, K2K_ROLE_BROKER);
	assert_int_equal(k2k_tenant_register(admin, TENANT, NULL), K2K_ENOAUDIT);
	pid = start_follower(name, orders);
	register_tenant(creator, TENANT, K2K_UNLIMITED, 1);
	assert_int_equal(update(creator), 0);
	/* A follower that can't write. */
	orders->failing = 1;
	WAIT_UNTIL(follower_of(admin).state == K2K_FOLLOWER_FAILING, PATIENCE_S);
	check_refused(admin);
	assert_int_equal(k2k_message_admit(broker, TENANT, no_tag, 1, NULL), 0);
	orders->failing = 0;
	WAIT_UNTIL(follower_of(admin).state == K2K_FOLLOWER_ACTIVE, PATIENCE_S);
	assert_int_equal(follower_of(admin).failures, 1);
	assert_int_equal(update(creator), 0);
	/* A follower that is stopped. */
	stop_process(pid);
	WAIT_UNTIL(follower_of(admin).state == K2K_FOLLOWER_SILENT, PATIENCE_S);
	check_refused(admin);
	assert_int_equal(k2k_message_admit(broker, TENANT, no_tag, 1, NULL), 0);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(update(creator), 0); /* waits for the follower */
	/* In a batch, too, a change is refused as soon as the follower is dead. */
	assert_int_equal(k2k_batch_begin(admin), 0);
	WAIT_UNTIL(update(admin) == 0, PATIENCE_S);
	spawn_kill(pid);
	WAIT_UNTIL(follower_of(creator).state == K2K_FOLLOWER_DEAD, PATIENCE_S);
	check_refused(admin);
	assert_int_equal(k2k_batch_end(admin), 0);
	assert_int_equal(k2k_message_admit(broker, TENANT, no_tag, 1, NULL), 0);
	/* Repair is still possible. */
	assert_int_equal(k2k_registry_repair(admin, &repaired), 0);
	check_clean(admin);
	assert_int_equal(k2k_registry_close(&broker), 0);
	assert_int_equal(k2k_registry_close(&admin), 0);
	munmap(orders, sizeof *orders);
	close_and_destroy(name, &creator);
}

/* ---- damaged rings --------------------------------------------------------------------------- */

/*
 * Reads everything, despite the damage; returns how many events of a kind there are, and counts the
 * damaged rings.
 */
static size_t read_damaged(uint32_t kind, size_t *damaged)
{
	size_t found = 0, all = 0;

	*damaged = 0;
	do {
		r.records[0].size = sizeof r.records[0];
		assert_int_equal(k2k_audit_read(r.reg, &r.cursor, K2K_AUDIT_DAMAGED_TOO, r.records,
		                                READER_RECORDS, &r.count),
		                 0);
		for (size_t i = 0; i < r.count; i++) {
			found += r.records[i].kind == kind;
			*damaged += (r.records[i].flags & K2K_AUDIT_DAMAGED) != 0;
		}
		all += r.count;
	} while (r.count);
	assert_true(all <= (size_t)K2K_AUDIT_RINGS * (RING + 2));
	return found;
}

TEST(a_ring_that_lies_about_how_far_it_is_costs_its_own_events_and_is_told_once)
{
	static const uint64_t lies[] = { UINT64_C(1) << 61, UINT64_MAX, UINT64_C(1) << 62, 1000,
		                         0 };
	struct k2k_registry *admin, *broker;
	const char *name = scene(0, &admin);
	uint32_t ring;
	size_t damaged;

	register_tenant(admin, TENANT, 0, 1);
	for (size_t i = 0; i < K2K_COUNT_OF(lies); i++) {
		uint64_t was;

		broker = open_as(name, K2K_ROLE_BROKER);
		ring = broker->broker.slot;
		assert_int_equal(k2k_message_admit(broker, 4711, no_tag, 1, NULL), K2K_ENOTENANT);
		assert_int_equal(k2k_registry_close(&broker), 0);
		reader_open(&r, admin);
		read_damaged(0, &damaged);
		was = atomic_exchange(&admin->map.rings[ring].claimed, lies[i]);
		assert_int_equal(update(admin), 0);
		assert_int_equal(read_damaged(K2K_AUDIT_KIND_UPDATE, &damaged), 1);
		assert_int_equal(damaged, 1);
		assert_int_equal(update(admin), 0);
		assert_int_equal(read_damaged(K2K_AUDIT_KIND_UPDATE, &damaged), 1);
		assert_int_equal(damaged, 0);
		/* A reader that forgets the damage, like a restarted log, sees it once again. */
		r.cursor.damaged[0] = 0;
		read_damaged(0, &damaged);
		assert_int_equal(damaged, 1);
		/* The ring is restored: its events come again. */
		atomic_store(&admin->map.rings[ring].claimed, was);
		broker = open_as(name, K2K_ROLE_BROKER);
		assert_int_equal(k2k_message_admit(broker, 4711, no_tag, 1, NULL), K2K_ENOTENANT);
		assert_int_equal(k2k_registry_close(&broker), 0);
		assert_int_equal(read_damaged(K2K_AUDIT_KIND_UNKNOWN_TENANT, &damaged), 1);
		assert_int_equal(damaged, 0);
	}
	/* A cursor that may belong to another registry is still refused. */
	r.cursor.next[ring] += 10;
	r.records[0].size = sizeof r.records[0];
	assert_int_equal(k2k_audit_read(admin, &r.cursor, 0, r.records, 1, &r.count), K2K_EINVAL);
	close_and_destroy(name, &admin);
}

/* Whatever bytes one ring contains, the other rings are read in full. */
TEST(any_bytes_in_a_ring_cost_that_rings_events_alone)
{
	struct k2k_registry *admin;
	const char *name = scene(0, &admin);
	size_t damaged;

	random_seed(13);
	register_tenant(admin, TENANT, 0, 1);
	for (int round = 0; round < 3000; round++) {
		uint32_t ring = (uint32_t)random_below(K2K_AUDIT_RINGS);
		unsigned char *bytes = (unsigned char *)&admin->map.rings[ring],
			      *events = (unsigned char *)&admin->map.events[ring * RING];
		uint64_t many = random_below(4);

		if (ring == K2K_RING_ADMIN)
			continue;
		if (many == 0)
			reader_open(&r, admin);
		else if (round == 0)
			reader_open(&r, admin);
		for (uint64_t i = 0; i < 4 + many * 100; i++)
			bytes[random_below(16)] = (unsigned char)random_below(256);
		for (uint64_t i = 0; i < 4 + many * 1000; i++)
			events[random_below(RING * sizeof(struct k2k_shm_event))] = (unsigned char)
				random_below(256);
		assert_int_equal(update(admin), 0);
		assert_true(read_damaged(K2K_AUDIT_KIND_UPDATE, &damaged) >= 1);
		assert_true(damaged <= K2K_AUDIT_RINGS);
		assert_int_equal(k2k_audit_wait(admin, &r.cursor, 0), 0);
	}
	assert_int_equal(k2k_registry_close(&admin), 0);
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
}
