/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_trail - the audit trail of several processes, beside lists of what they did; deaths, and
 * which process reports them
 */
#include "process.h"
#include "trail_reader.h"

enum { BROKERS = 4, ROUNDS = 200, TENANT = 7 };

static struct reader r;

/* ---- every kind, compared with lists made by the callers ------------------------------------- */

struct list {
	_Atomic uint64_t calls[K2K_AUDIT_KINDS]; /* that must be reported */
	_Atomic uint64_t pid, incarnation;
};

/* Causes rejections of each kind, a random number of times, in its own process. */
static void reject(const char *name, struct list *list, struct gate *go)
{
	struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);
	struct k2k_audit_tag used_up = { 1, 5 };

	list->pid = (uint64_t)getpid();
	random_seed((uint64_t)getpid());
	gate_wait(go);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t times = 1 + random_below(4);
		struct k2k_audit_tag tag = { random_below(3), 9 };

		switch (random_below(7)) {
		case 0:
			for (uint64_t n = times; n; n--) {
				assert_int_equal(k2k_message_admit(reg, TENANT, tag, 1000, NULL),
				                 K2K_ERATE);
				list->calls[K2K_AUDIT_KIND_RATE]++;
			}
			break;
		case 1:
			for (uint64_t n = times; n; n--) {
				assert_int_equal(
					k2k_message_admit(reg, TENANT + 1, used_up, 1, NULL),
					K2K_EBUDGET);
				list->calls[K2K_AUDIT_KIND_BUDGET]++;
			}
			break;
		case 2:
			assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), K2K_EKERNELS);
			list->calls[K2K_AUDIT_KIND_KERNELS]++;
			break;
		case 3:
			assert_int_equal(
				k2k_gpu_memory_acquire(reg, TENANT, 4096 + times, NULL, NULL),
				K2K_EGPUMEM);
			list->calls[K2K_AUDIT_KIND_GPU_MEMORY]++;
			break;
		case 4:
			assert_int_equal(
				k2k_message_admit(reg, 4711 + random_below(3), tag, 1, NULL),
				K2K_ENOTENANT);
			assert_int_equal(k2k_usage_track(reg, 4711, tag, 1), K2K_ENOTENANT);
			assert_int_equal(k2k_kernel_acquire(reg, 4711, NULL, NULL), K2K_ENOTENANT);
			list->calls[K2K_AUDIT_KIND_UNKNOWN_TENANT] += 3;
			break;
		case 5:
			for (uint64_t n = times; n; n--) {
				assert_int_equal(k2k_audit_cross_tenant(reg, 1, random_below(2) + 2,
				                                        "gemm", "softmax", tag),
				                 0);
				list->calls[K2K_AUDIT_KIND_CROSS_TENANT]++;
			}
			break;
		default:
			/* a peek */
			assert_int_equal(k2k_quota_check(reg, TENANT, tag, 1000, NULL), K2K_ERATE);
		}
	}
	assert_int_equal(k2k_registry_close(&reg), 0);
}

/* Makes changes of each kind, in its own process. */
static void change(const char *name, uint64_t first, struct list *list, struct gate *go)
{
	struct k2k_registry *reg = open_as(name, K2K_ROLE_ADMIN);
	struct k2k_quota quota = K2K_QUOTA_STANDARD;

	quota.max_messages_per_sec = 7;
	list->pid = (uint64_t)getpid();
	gate_wait(go);
	for (uint64_t i = 0; i < 12; i++) {
		struct k2k_tenant_totals totals = { .size = sizeof totals };
		struct k2k_repair_info repaired = { .size = sizeof repaired };

		assert_int_equal(k2k_tenant_register(reg, first + i, NULL), 0);
		assert_int_equal(k2k_tenant_register(reg, first + i, NULL), K2K_EEXIST);
		assert_int_equal(k2k_tenant_update(reg, first + i, &quota, K2K_UPDATE_RATE), 0);
		assert_int_equal(k2k_budget_set(reg, first + i, 1, 1000), 0);
		assert_int_equal(k2k_budget_unset(reg, first + i, 1), 0);
		assert_int_equal(k2k_budget_unset(reg, first + i, 1), K2K_ENOBUDGET);
		assert_int_equal(k2k_tenant_deregister(reg, first + i, i % 2 ? &totals : NULL), 0);
		list->calls[K2K_AUDIT_KIND_REGISTER]++;
		list->calls[K2K_AUDIT_KIND_UPDATE]++;
		list->calls[K2K_AUDIT_KIND_BUDGET_CHANGE] += 2;
		list->calls[K2K_AUDIT_KIND_DEREGISTER]++;
		list->calls[K2K_AUDIT_KIND_FINAL_TOTALS] += i % 2 && totals.final;
		if (i % 4 == 0) {
			assert_int_equal(k2k_registry_repair(reg, &repaired), 0);
			list->calls[K2K_AUDIT_KIND_REPAIR]++;
		}
	}
	assert_int_equal(k2k_registry_close(&reg), 0);
}

static void check_order_and_origin(const struct list *lists)
{
	uint64_t next[K2K_AUDIT_RINGS] = { 0 };

	for (size_t i = 0; i < r.count; i++) {
		const struct k2k_audit_record *e = &r.records[i];

		if (next[e->ring])
			assert_int_equal(e->sequence, next[e->ring]);
		next[e->ring] = e->sequence + 1;
		assert_int_equal(e->flags, 0);
		assert_true(i == 0 || e->monotonic_ns >= r.records[i - 1].monotonic_ns);
		assert_true((e->ring == K2K_AUDIT_RING_ADMIN) ==
		            (e->kind > K2K_AUDIT_KIND_UNKNOWN_TENANT));
		for (int b = 0; b < BROKERS + 2; b++)
			if (lists[b].pid == e->pid)
				assert_true((b < BROKERS) == (e->ring != K2K_AUDIT_RING_ADMIN));
	}
}

TEST(what_several_processes_did_is_told_event_for_event)
{
	struct list *lists = shared_bytes(sizeof *lists * (BROKERS + 2));
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_quota quota = { .size = sizeof quota,
		                   .max_messages_per_sec = 0,
		                   .max_gpu_memory_bytes = 4096,
		                   .max_concurrent_kernels = 0 };
	struct k2k_budget empty = { 5, 0 };
	struct k2k_registry *admin, *observer;
	const char *name = fresh_registry();
	pid_t children[BROKERS + 2];
	struct gate go;

	options.max_tenants = 64;
	options.max_audit_events = 1024;
	gate_make(&go);
	assert_int_equal(k2k_registry_create(name, &options, &admin), 0);
	assert_int_equal(k2k_tenant_register(admin, TENANT, &quota), 0);
	quota.max_messages_per_sec = K2K_UNLIMITED;
	quota.budgets = &empty;
	quota.budget_count = 1;
	assert_int_equal(k2k_tenant_register(admin, TENANT + 1, &quota), 0);
	for (int i = 0; i < BROKERS + 2; i++) {
		children[i] = spawn();
		if (children[i] == 0) {
			if (i < BROKERS)
				reject(name, &lists[i], &go);
			else
				change(name, i == BROKERS ? 100 : 200, &lists[i], &go);
			_exit(0);
		}
	}
	for (int i = 0; i < BROKERS + 2; i++)
		gate_open(&go);
	wait_all(children, BROKERS + 2);
	observer = open_as(name, K2K_ROLE_OBSERVER);
	reader_open(&r, observer);
	reader_take_all(&r); /* all brokers have closed: one call reads everything */
	check_order_and_origin(lists);
	for (int b = 0; b < BROKERS + 2; b++)
		for (uint32_t kind = 1; kind < K2K_AUDIT_KINDS; kind++) {
			uint64_t told = 0;

			for (size_t i = 0; i < r.count; i++)
				if (r.records[i].pid == lists[b].pid && r.records[i].kind == kind)
					told += r.records[i].count;
			if (told != lists[b].calls[kind])
				fail_msg("process %d, %s: %" PRIu64 " told, %" PRIu64 " done", b,
				         k2k_audit_kind_name(kind), told, lists[b].calls[kind]);
		}
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_CREATED, 0)->pid, getpid());
	assert_int_equal(k2k_registry_close(&observer), 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* ---- deaths ---------------------------------------------------------------------------------- */

static struct k2k_broker_info info_of_broker(struct k2k_registry *reg, pid_t pid)
{
	struct k2k_broker_info list[K2K_BROKERS_MAX] = { { .size = sizeof list[0] } };
	size_t count;

	assert_int_equal(k2k_broker_list(reg, list, K2K_BROKERS_MAX, &count), 0);
	for (size_t i = 0; i < count; i++)
		if (list[i].pid == (uint64_t)pid)
			return list[i];
	fail_msg("process %ld is no broker", (long)pid);
}

/*
 * Holds 3 kernels of two tenants and 100 bytes, has been rejected 5 times, and waits to be killed.
 */
static pid_t start_holder(const char *name, struct gate *ready)
{
	pid_t pid = spawn();

	if (pid == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
		assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
		assert_int_equal(k2k_kernel_acquire(reg, TENANT + 1, NULL, NULL), 0);
		assert_int_equal(k2k_gpu_memory_acquire(reg, TENANT, 100, NULL, NULL), 0);
		for (int i = 0; i < 5; i++)
			assert_int_equal(k2k_message_admit(reg, 4711, no_tag, 1, NULL),
			                 K2K_ENOTENANT);
		gate_open(ready);
		pause();
		_exit(1);
	}
	gate_wait(ready);
	return pid;
}

static void check_death(const struct k2k_broker_info *dead)
{
	const struct k2k_audit_record *e = reader_need(&r, K2K_AUDIT_KIND_BROKER_DEAD, 0);

	assert_int_equal(e->pid, dead->pid);
	assert_int_equal(e->incarnation, dead->incarnation);
	assert_int_equal(e->level, K2K_AUDIT_WARNING);
	assert_string_equal(e->source, dead->comm);
	assert_int_equal(e->values[0], dead->slot);
	assert_int_equal(e->values[1], 3);
	assert_int_equal(e->values[2], 100);
	assert_int_equal(e->values[3], 2);
	assert_int_equal(e->values[4], dead->attached_at_ns);
	assert_false(reader_find(&r, K2K_AUDIT_KIND_BROKER_DEAD, 1));
}

static const char *scene(struct k2k_registry **admin)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	const char *name = fresh_registry();

	options.max_tenants = 16;
	options.max_engagements = 64;
	options.max_audit_events = 256; /* none may be lost */
	assert_int_equal(k2k_registry_create(name, &options, admin), 0);
	register_tenant(*admin, TENANT, K2K_UNLIMITED, 8);
	register_tenant(*admin, TENANT + 1, K2K_UNLIMITED, 8);
	return name;
}

/* The dead broker's events can be read, and are closed, though it closed none. */
static void check_last_words(void)
{
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_UNKNOWN_TENANT, 0)->count, 5);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_UNKNOWN_TENANT, 0)->flags, 0);
}

TEST(one_of_several_living_brokers_tells_of_a_dead_one_once)
{
	struct k2k_registry *admin, *others[3];
	struct k2k_broker_info dead;
	struct gate ready;
	const char *name = scene(&admin);
	pid_t pid;

	gate_make(&ready);
	pid = start_holder(name, &ready);
	for (int i = 0; i < 3; i++)
		others[i] = open_as(name, K2K_ROLE_BROKER);
	dead = info_of_broker(admin, pid);
	kill_broker(admin, pid);
	WAIT_UNTIL((reader_open(&r, admin), reader_take(&r, 0),
	            reader_find(&r, K2K_AUDIT_KIND_BROKER_DEAD, 0)),
	           10);
	check_death(&dead);
	check_last_words();
	for (int i = 0; i < 3; i++)
		assert_int_equal(k2k_registry_close(&others[i]), 0);
	/* It is not reported again. */
	assert_int_equal(
		k2k_registry_repair(
			admin, &(struct k2k_repair_info){ .size = sizeof(struct k2k_repair_info) }),
		0);
	reader_open(&r, admin);
	reader_take_all(&r);
	check_death(&dead);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(repair_tells_of_a_dead_one_where_nobody_else_lives)
{
	struct k2k_registry *admin;
	struct k2k_broker_info dead;
	struct gate ready;
	const char *name = scene(&admin);
	pid_t pid;

	gate_make(&ready);
	pid = start_holder(name, &ready);
	dead = info_of_broker(admin, pid);
	kill_broker(admin, pid);
	reader_open(&r, admin);
	reader_take_all(&r);
	assert_false(reader_find(&r, K2K_AUDIT_KIND_BROKER_DEAD, 0));
	check_last_words();
	assert_int_equal(
		k2k_registry_repair(
			admin, &(struct k2k_repair_info){ .size = sizeof(struct k2k_repair_info) }),
		0);
	reader_open(&r, admin);
	reader_take_all(&r);
	check_death(&dead);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BROKER_DEAD, 0)->ring,
	                 K2K_AUDIT_RING_ADMIN);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_REPAIR, 0)->values[4], 1);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/*
 * All other slots are taken; so the next attach takes the dead one's, and its first lease would
 * reset the records.
 */
TEST(who_takes_a_dead_ones_slot_tells_of_it_and_keeps_its_events)
{
	struct k2k_registry *admin, *heir;
	struct k2k_broker_info dead;
	struct gate ready, go;
	const char *name = scene(&admin);
	pid_t pid, crowd;

	gate_make(&ready);
	gate_make(&go);
	pid = start_holder(name, &ready);
	crowd = spawn();
	if (crowd == 0) {
		for (int i = 0; i < K2K_BROKERS_MAX - 1; i++)
			open_as(name, K2K_ROLE_BROKER);
		gate_open(&ready);
		pause();
		_exit(1);
	}
	gate_wait(&ready);
	dead = info_of_broker(admin, pid);
	stop_process(crowd); /* none of them reports the death */
	kill_broker(admin, pid);
	heir = open_as(name, K2K_ROLE_BROKER);
	assert_int_equal(k2k_kernel_acquire(heir, TENANT, NULL, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(heir, TENANT + 1, NULL, NULL), 0);
	assert_int_equal(info_of_broker(admin, getpid()).slot, dead.slot);
	reader_open(&r, admin);
	reader_take_all(&r);
	check_death(&dead);
	check_last_words();
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_BROKER_DEAD, 0)->ring,
	                 K2K_AUDIT_RING_SECURITY + dead.slot);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_UNKNOWN_TENANT, 0)->ring, dead.slot);
	assert_int_equal(k2k_registry_close(&heir), 0);
	kill(crowd, SIGKILL);
	assert_true(waitpid(crowd, NULL, 0) == crowd);
	WAIT_UNTIL(brokers_alive(admin) == 0, PATIENCE_S);
	assert_int_equal(
		k2k_registry_repair(
			admin, &(struct k2k_repair_info){ .size = sizeof(struct k2k_repair_info) }),
		0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(a_broker_that_closed_is_not_found_dead)
{
	struct k2k_registry *admin, *broker, *other;
	const char *name = scene(&admin);

	broker = open_as(name, K2K_ROLE_BROKER);
	other = open_as(name, K2K_ROLE_BROKER);
	assert_int_equal(k2k_registry_close(&other), 0);
	assert_int_equal(k2k_message_admit(broker, 4711, no_tag, 1, NULL), K2K_ENOTENANT);
	reader_open(&r, admin);
	/* Waits until the event is closed: the broker's helper has begun another second. */
	reader_take_all(&r);
	assert_true(reader_find(&r, K2K_AUDIT_KIND_UNKNOWN_TENANT, 0));
	assert_int_equal(k2k_registry_close(&broker), 0);
	assert_int_equal(
		k2k_registry_repair(
			admin, &(struct k2k_repair_info){ .size = sizeof(struct k2k_repair_info) }),
		0);
	reader_open(&r, admin);
	reader_take_all(&r);
	assert_false(reader_find(&r, K2K_AUDIT_KIND_BROKER_DEAD, 0));
	close_and_destroy(name, &admin);
}

/* ---- writers that are killed, and stopped ---------------------------------------------------- */

TEST(killed_writers_cost_an_event_each_at_most)
{
	struct k2k_registry *admin;
	const char *name = scene(&admin);
	_Atomic uint64_t *calls = shared_bytes(sizeof *calls);
	struct k2k_audit_stats stats = { .size = sizeof stats };
	const unsigned int kind = K2K_AUDIT_KIND_CROSS_TENANT;
	uint64_t told, rounds = 60;

	random_seed(7);
	for (uint64_t round = 0; round < rounds; round++) {
		struct gate ready;
		pid_t pid;

		gate_make(&ready);
		pid = spawn();
		if (pid == 0) {
			struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);
			char source[32];

			gate_open(&ready);
			for (uint64_t i = 0;; i++) {
				snprintf(source, sizeof source, "%" PRIu64, i % 100);
				k2k_audit_cross_tenant(reg, 1, 2, source, "x", no_tag);
				(*calls)++;
			}
		}
		gate_wait(&ready);
		pause_ns(random_below(2000000));
		kill_broker(admin, pid);
		close(ready.fd[0]);
		close(ready.fd[1]);
		/* Its events are readable at once, to the end. */
		reader_open(&r, admin);
		do {
			reader_take(&r, 0);
			assert_int_equal(r.cursor.waiting, 0);
		} while (r.count);
		check_clean(admin);
	}
	assert_int_equal(k2k_audit_stats(admin, &stats), 0);
	told = stats.written[kind] + stats.coalesced[kind] + stats.lost[kind];
	printf("# %" PRIu64 " calls returned, %" PRIu64 " told, %" PRIu64 " killed\n", *calls, told,
	       rounds);
	/* The last rejection of each may be in an event and not yet in its caller's count. */
	assert_true(told >= *calls - rounds);
	assert_true(told <= *calls + rounds);
	close_and_destroy(name, &admin);
}

/* Returns how many closed events there are of unknown tenants with this id. */
static size_t events_of(struct k2k_registry *admin, k2k_tenant_id id)
{
	const struct k2k_audit_record *event;
	size_t count = 0;

	reader_open(&r, admin);
	reader_take(&r, 0);
	for (size_t i = 0; (event = reader_find(&r, K2K_AUDIT_KIND_UNKNOWN_TENANT, i)); i++)
		count += event->tenant == id;
	return count;
}

TEST(a_stopped_broker_holds_up_readers_of_its_own_ring_alone)
{
	struct k2k_registry *admin, *broker;
	const char *name = scene(&admin);
	struct gate next, ready;
	size_t rounds = 0;
	pid_t pid;

	gate_make(&next);
	gate_make(&ready);
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		for (;;) {
			gate_wait(&next);
			assert_int_equal(k2k_message_admit(reg, 4711, no_tag, 1, NULL),
			                 K2K_ENOTENANT);
			gate_open(&ready);
		}
	}
	/* it must be stopped before its helper closes the event */
	for (;;) {
		gate_open(&next);
		gate_wait(&ready);
		stop_process(pid);
		if (events_of(admin, 4711) == rounds)
			break;
		rounds++;
		assert_int_equal(kill(pid, SIGCONT), 0);
	}
	broker = open_as(name, K2K_ROLE_BROKER);
	assert_int_equal(k2k_message_admit(broker, 4712, no_tag, 1, NULL), K2K_ENOTENANT);
	WAIT_UNTIL(events_of(admin, 4712) == 1, PATIENCE_S);
	assert_int_equal(events_of(admin, 4711), rounds);
	assert_int_equal(kill(pid, SIGCONT), 0);
	WAIT_UNTIL(events_of(admin, 4711) == rounds + 1, PATIENCE_S);
	assert_int_equal(k2k_registry_close(&broker), 0);
	kill_broker(admin, pid);
	close_and_destroy(name, &admin);
}

TEST(an_observer_without_rights_to_write_sleeps_and_wakes_in_another_process)
{
	struct k2k_registry *admin;
	const char *name = scene(&admin);
	struct gate ready;
	pid_t pid;

	gate_make(&ready);
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *observer = open_as(name, K2K_ROLE_OBSERVER);
		size_t found = 0;

		reader_open(&r, observer);
		reader_take_all(&r);
		gate_open(&ready);
		while (!found) {
			assert_int_equal(k2k_audit_wait(observer, &r.cursor, 10000000000u), 0);
			reader_take(&r, 0);
			found = r.count;
		}
		assert_int_equal(r.records[0].kind, K2K_AUDIT_KIND_UPDATE);
		_exit(0);
	}
	gate_wait(&ready);
	assert_int_equal(k2k_tenant_update(admin, TENANT, &(struct k2k_quota)K2K_QUOTA_STANDARD,
	                                   K2K_UPDATE_RATE),
	                 0);
	spawn_wait(pid);
	close_and_destroy(name, &admin);
}
