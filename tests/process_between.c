/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_between.c - a call is interrupted after each of its instructions, while other brokers and
 * administrators act: what it finds and counts of tenants, costs and entries is still right. x86-64
 * only, as crash_trace.h.
 *
 * Where the order of two loads matters, the others act so that the wrong order has a consequence;
 * each of these tests has been seen to fail (faults/README.md).
 */
#include "between.h"

#include "ledger.h"
#include "tenant.h"

/* ---- the walk of a bucket of tenants ---- */

enum { BEFORE = 6 }; /* more than the fast path searches */

static k2k_tenant_id in_front[BEFORE], elsewhere[BEFORE];

/* Chooses `count` ids of the bucket of `id`; with `add` 1, of the next bucket. */
static void choose_ids(k2k_tenant_id id, uint32_t add, k2k_tenant_id *ids)
{
	uint32_t bucket = (k2k_tenant_bucket(&admin->map, id) + add) & admin->map.tenant_mask;

	for (int i = 0; i < BEFORE; i++)
		for (ids[i] = i ? ids[i - 1] + 1 : id + 1;
		     k2k_tenant_bucket(&admin->map, ids[i]) != bucket; ids[i]++)
			;
}

static void exchange_tenants(const k2k_tenant_id *old, const k2k_tenant_id *new)
{
	for (int i = 0; i < BEFORE; i++)
		assert_int_equal(k2k_tenant_deregister(admin, old[i], NULL), 0);
	for (int i = 0; i < BEFORE; i++)
		register_tenant(admin, new[i], 10, 4);
}

static bool are_elsewhere;

static void put_in_front(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	if (are_elsewhere)
		exchange_tenants(elsewhere, in_front);
	are_elsewhere = false;
}

static void put_elsewhere(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	exchange_tenants(in_front, elsewhere);
	are_elsewhere = true;
}

static void ask_for_last(struct k2k_registry *reg, struct shared *answer)
{
	int registered = 0;

	answer->code = k2k_tenant_is_registered(reg, 1, &registered);
	answer->number = (uint64_t)registered;
}

static void last_was_found(uint64_t n)
{
	assert_int_equal(shared->code, 0);
	if (!shared->number)
		fail_msg("after %" PRIu64 " instructions: the tenant wasn't found", n);
}

TEST(a_tenant_is_found_though_all_that_stand_before_it_become_others)
{
	begin_sized(1 + BEFORE, 4, false);
	choose_ids(1, 0, in_front);
	choose_ids(1, 1, elsewhere);
	register_tenant(admin, 1, 10, 4);
	for (int i = 0; i < BEFORE; i++)
		register_tenant(admin, in_front[i], 10, 4);
	interrupt(&(struct scene){ K2K_ROLE_OBSERVER, ask_for_last, put_in_front, put_elsewhere,
	                           last_was_found });
}

/* ---- the walk of a bucket of costs ---- */

enum { COSTS = 4 };
static uint64_t last_generation;

/*
 * Restores a tenant with costs in the bucket of tenant 1's costs; with `add` 1, in the next bucket.
 */
static void restore_with_costs(k2k_tenant_id id, uint32_t add)
{
	struct k2k_hash hash = k2k_ledger_hash(&admin->map);
	uint32_t bucket = (k2k_hash_bucket(&hash, 100, 7) + add) & hash.mask;
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	struct k2k_usage usage[COSTS];
	struct k2k_tenant_image image = { .size = sizeof image,
		                          .id = id,
		                          .generation = ++last_generation,
		                          .quota = &quota,
		                          .usage = usage,
		                          .usage_count = COSTS };

	for (int i = 0; i < COSTS; i++) {
		usage[i].gpu_ns = 1;
		for (usage[i].engagement_id = i ? usage[i - 1].engagement_id + 1 : 0;
		     k2k_hash_bucket(&hash, last_generation, usage[i].engagement_id) != bucket;
		     usage[i].engagement_id++)
			;
	}
	assert_int_equal(k2k_tenant_restore(admin, &image), 0);
}

static void remove_with_costs(k2k_tenant_id id)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };

	assert_int_equal(k2k_tenant_deregister(admin, id, &totals), 0);
	assert_int_equal(totals.final, 1);
	assert_int_equal(totals.gpu_ns_total, COSTS);
}

static void costs_in_front(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	if (!are_elsewhere)
		return;
	remove_with_costs(3);
	restore_with_costs(2, 0);
	are_elsewhere = false;
}

static void costs_elsewhere(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	remove_with_costs(2);
	restore_with_costs(3, 1);
	are_elsewhere = true;
}

static void ask_for_cost(struct k2k_registry *reg, struct shared *answer)
{
	answer->code = k2k_usage_engagement_for(reg, 1, (struct k2k_audit_tag){ 0, 7 },
	                                        &answer->number);
}

static void cost_was_found(uint64_t n)
{
	assert_int_equal(shared->code, 0);
	if (shared->number != 77)
		fail_msg("after %" PRIu64 " instructions: a cost of %" PRIu64 " instead of 77", n,
		         shared->number);
}

TEST(a_cost_is_found_though_all_that_stand_before_it_become_others)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	struct k2k_usage usage = { 7, 77 };
	struct k2k_tenant_image image = { .size = sizeof image,
		                          .id = 1,
		                          .generation = 100,
		                          .quota = &quota,
		                          .usage = &usage,
		                          .usage_count = 1 };

	begin_sized(2, 1 + COSTS, false);
	assert_int_equal(k2k_tenant_restore(admin, &image), 0);
	last_generation = 100;
	restore_with_costs(2, 0);
	interrupt(&(struct scene){ K2K_ROLE_OBSERVER, ask_for_cost, costs_in_front, costs_elsewhere,
	                           cost_was_found });
}

/* ---- bookings ---- */

/* Books for the engagement shared->number, which is new each time, or always the same. */
static void book_five(struct k2k_registry *reg, struct shared *answer)
{
	answer->code = k2k_usage_track(reg, 1, (struct k2k_audit_tag){ 0, answer->number }, 5);
}

static void name_new_engagement(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	shared->number = 1000 + n;
}

static void book_seven(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	(void)n;
	assert_int_equal(k2k_usage_track(other, 1, (struct k2k_audit_tag){ 0, shared->number }, 7),
	                 0);
}

static size_t records_of(uint64_t engagement)
{
	static struct k2k_usage_info list[4096] = { { .size = sizeof list[0] } };
	size_t count, records = 0;

	assert_int_equal(k2k_usage_list(admin, 1, list, 4096, &count), 0);
	for (size_t i = 0; i < count; i++)
		records += list[i].engagement_id == engagement;
	return records;
}

static uint64_t expected_cost;

static void both_are_booked(uint64_t n)
{
	uint64_t cost;

	expected_cost = shared->number == 7 ? expected_cost + 12 : 12;
	assert_int_equal(shared->code, 0);
	assert_int_equal(k2k_usage_engagement_for(
				 admin, 1, (struct k2k_audit_tag){ 0, shared->number }, &cost),
	                 0);
	if (cost != expected_cost || records_of(shared->number) != 1)
		fail_msg("after %" PRIu64 " instructions: %zu records, a cost of %" PRIu64
		         " instead of %" PRIu64,
		         n, records_of(shared->number), cost, expected_cost);
}

TEST(two_that_book_the_first_cost_of_an_engagement_share_a_record)
{
	begin_sized(2, 4096, true);
	register_tenant(admin, 1, 10, 4);
	shared->number = 1;
	interrupt(&(struct scene){ K2K_ROLE_BROKER, book_five, name_new_engagement, book_seven,
	                           both_are_booked });
}

TEST(a_booking_that_another_comes_before_loses_nothing)
{
	begin_sized(2, 16, true);
	register_tenant(admin, 1, 10, 4);
	shared->number = 7;
	/*
	 * Before the first interrupted booking there were two: the victim's first, and the one that
	 * was stepped through.
	 */
	expected_cost = 10;
	interrupt(&(struct scene){ K2K_ROLE_BROKER, book_five, NULL, book_seven, both_are_booked });
}

/* As defs_changed, for `live`. */
static bool live_changed(void *context)
{
	static unsigned char *seen;
	bool changed;

	(void)context;
	if (!seen)
		seen = calloc(1, admin->live.bytes);
	assert_non_null(seen);
	changed = memcmp(seen, admin->live.base, admin->live.bytes) != 0;
	if (changed)
		memcpy(seen, admin->live.base, admin->live.bytes);
	return changed;
}

static pid_t start_booker(void)
{
	pid_t pid = spawn();

	if (pid == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);
		int registered;

		reg->clock.injected_ns = &shared->clock_ns;
		/* A thread's first call differs from the later ones. */
		assert_int_equal(k2k_tenant_is_registered(reg, 1, &registered), 0);
		victim_offer();
		operation_begins();
		k2k_usage_track(reg, 1, (struct k2k_audit_tag){ 0, 7 }, 5);
		operation_ends();
		_exit(0);
	}
	victim_take(pid);
	return pid;
}

static pid_t begin_with_booker(void)
{
	begin_sized(2, 4, false);
	register_tenant(admin, 1, 10, 4);
	return start_booker();
}

static void kill_booker(pid_t pid)
{
	victim_kill(pid);
	WAIT_UNTIL(brokers_alive(admin) == 0, PATIENCE_S);
}

TEST(a_broker_killed_at_its_first_booking_leaves_no_record_behind_its_tenant)
{
	struct points points = { 0 };
	pid_t pid = begin_with_booker();

	victim_discover(pid, live_changed, NULL, false, &points);
	assert_true(points.count >= 5);
	kill_booker(pid);
	end();
	for (size_t i = 0; i < points.count; i++) {
		struct k2k_tenant_totals totals = { .size = sizeof totals };
		struct k2k_registry_info info = { .size = sizeof info };

		pid = begin_with_booker();
		assert_true(victim_bring_to(pid, &points.list[i]));
		kill_booker(pid);
		assert_int_equal(k2k_tenant_deregister(admin, 1, &totals), 0);
		assert_int_equal(totals.final, 1);
		assert_int_equal(k2k_registry_info(admin, &info), 0);
		if (info.engagements.used)
			fail_msg("killed after change %zu of %zu: a record is left", i + 1,
			         points.count);
		end();
	}
	points_free(&points);
}

/* ---- unlinking ---- */

static uint32_t taken, inserted;

static uint32_t obtain(uint64_t engagement)
{
	k2k_u64 full_at = UINT64_MAX;
	struct k2k_claimer claimer = { K2K_INCARNATION_WRITER, &admin->passed, &full_at };
	struct k2k_hash_key key = { .gen = 1, .key = engagement, .slot = 0 };
	uint32_t index;

	assert_int_equal(k2k_ledger_obtain(&admin->map, &claimer, &key, &index), 0);
	return index;
}

static void give_up(uint32_t index)
{
	struct k2k_hash hash = k2k_ledger_hash(&admin->map);

	assert_int_not_equal(k2k_hash_unlink(&hash, index), K2K_ECORRUPT);
	k2k_pool_free(&hash.pool, index);
}

static void take_record(struct k2k_registry *by, uint64_t n)
{
	(void)by;
	if (n == 1)
		give_up(taken); /* no call was judged for the 0th */
	taken = obtain(1);
	shared->number = taken;
}

static void unlink_record(struct k2k_registry *reg, struct shared *answer)
{
	struct k2k_hash hash = k2k_ledger_hash(&reg->map);

	answer->code = answer->number == UINT64_MAX
	                       ? 0
	                       : k2k_hash_unlink(&hash, (uint32_t)answer->number);
}

/* Inserts a record at the head of the same bucket. */
static void insert_before(struct k2k_registry *by, uint64_t n)
{
	struct k2k_hash hash = k2k_ledger_hash(&admin->map);
	uint64_t engagement = 2;

	(void)by;
	(void)n;
	while (k2k_hash_bucket(&hash, 1, engagement) != k2k_hash_bucket(&hash, 1, 1))
		engagement++;
	inserted = obtain(engagement);
}

static void one_is_linked_the_other_not(uint64_t n)
{
	struct k2k_hash hash = k2k_ledger_hash(&admin->map);

	assert_int_equal(shared->code, 0);
	if (k2k_hash_is_linked(&hash, inserted) != 0)
		fail_msg("after %" PRIu64 " instructions: what was inserted meanwhile is lost", n);
	assert_int_equal(k2k_hash_is_linked(&hash, taken), K2K_HASH_ABSENT);
	give_up(inserted);
	give_up(taken);
}

TEST(what_is_inserted_while_another_record_is_unlinked_stays)
{
	begin_sized(2, 4, false);
	register_tenant(admin, 1, 10, 4);
	shared->number = UINT64_MAX;
	interrupt(&(struct scene){ K2K_ROLE_ADMIN, unlink_record, take_record, insert_before,
	                           one_is_linked_the_other_not });
}

/* ---- grace periods ---- */

enum { RESERVED = 3 }; /* the tenant that gets a record of tenant 2 */
static bool reused;

static int restore_owner(k2k_tenant_id id)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	struct k2k_usage usage = { 7, 100 };
	struct k2k_tenant_image image = {
		.size = sizeof image, .id = id, .quota = &quota, .usage = &usage, .usage_count = 1
	};
	struct k2k_registry_info info = { .size = sizeof info };
	int code;

	assert_int_equal(k2k_registry_info(admin, &info), 0);
	image.generation = info.generation + 1;
	code = k2k_tenant_restore(admin, &image);
	assert_true(code == 0 || code == K2K_EFULL || code == K2K_EBUSY);
	return code;
}

/* Tenant 2 is registered again, with the only record there is. */
static void owner_is_two(struct k2k_registry *by, uint64_t n)
{
	int registered = 0;

	(void)by;
	(void)n;
	assert_int_equal(k2k_tenant_is_registered(admin, 2, &registered), 0);
	if (registered)
		return;
	if (reused)
		assert_int_equal(k2k_tenant_deregister(admin, RESERVED, NULL), 0);
	WAIT_UNTIL(restore_owner(2) == 0, PATIENCE_S);
}

/* Waits only if it can succeed: a broker outside a read section answers within milliseconds. */
static void owner_is_three(struct k2k_registry *by, uint64_t n)
{
	uint64_t until = now_ns() + 10000000;

	(void)by;
	(void)n;
	assert_int_equal(k2k_tenant_deregister(admin, 2, NULL), 0);
	do
		reused = restore_owner(RESERVED) == 0;
	while (!reused && now_ns() < until);
}

static void book_of_two(struct k2k_registry *reg, struct shared *answer)
{
	answer->code = k2k_usage_track(reg, 2, (struct k2k_audit_tag){ 0, 7 }, 5);
}

static void three_has_its_own_cost(uint64_t n)
{
	uint64_t cost;

	assert_true(shared->code == 0 || shared->code == K2K_ENOTENANT ||
	            shared->code == K2K_EGONE || shared->code == K2K_EUNBOOKED);
	if (!reused)
		return;
	assert_int_equal(
		k2k_usage_engagement_for(admin, RESERVED, (struct k2k_audit_tag){ 0, 7 }, &cost),
		0);
	if (cost != 100)
		fail_msg("after %" PRIu64 " instructions: a cost of %" PRIu64 " instead of 100", n,
		         cost);
}

TEST(what_a_broker_books_is_never_booked_to_the_next_owner_of_the_record)
{
	begin_sized(2, 1, false);
	admin->timeout_ns = 1000000;
	assert_int_equal(restore_owner(2), 0);
	interrupt(&(struct scene){ K2K_ROLE_BROKER, book_of_two, owner_is_two, owner_is_three,
	                           three_has_its_own_cost });
}

/* Tenant 2 has the only slot again. */
static void place_is_twos(struct k2k_registry *by, uint64_t n)
{
	int registered = 0;

	assert_int_equal(k2k_tenant_is_registered(by, 2, &registered), 0);
	if (registered && n > 0)
		return;
	/* The 0th call, too, must meet a new tenant, whose first message takes the slow path. */
	if (registered || reused)
		assert_int_equal(k2k_tenant_deregister(by, registered ? 2 : RESERVED, NULL), 0);
	WAIT_UNTIL(k2k_tenant_register(by, 2, NULL) == 0, PATIENCE_S);
}

static void place_is_threes(struct k2k_registry *by, uint64_t n)
{
	int code;

	(void)n;
	assert_int_equal(k2k_tenant_deregister(by, 2, NULL), 0);
	code = k2k_tenant_register(by, RESERVED, NULL);
	reused = code == 0;
	assert_true(code == 0 || code == K2K_EBUSY);
}

static void count_for_two(struct k2k_registry *reg, struct shared *answer)
{
	answer->code = k2k_message_admit(reg, 2, (struct k2k_audit_tag){ 0, 0 }, 1, NULL);
}

static void three_has_counted_nothing(uint64_t n)
{
	assert_true(shared->code == 0 || shared->code == K2K_ENOTENANT);
	if (reused && tenant_info(admin, RESERVED).admitted_total != 0)
		fail_msg("after %" PRIu64
		         " instructions: a message was counted for the next tenant in the place",
		         n);
}

TEST(what_a_broker_counts_is_never_counted_for_the_next_tenant_in_the_place)
{
	begin_sized(1, 1, false);
	admin->timeout_ns = 4000000;
	assert_int_equal(k2k_tenant_register(admin, 2, NULL), 0);
	interrupt(&(struct scene){ K2K_ROLE_BROKER, count_for_two, place_is_twos, place_is_threes,
	                           three_has_counted_nothing });
}
