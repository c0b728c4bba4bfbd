/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_many - registries with another number of places for brokers than 64: leases, grace
 * periods, deaths and the audit trail of hundreds of brokers; and of a single one
 *
 * A process of the crowd opens many handles: each is a broker of its own.
 */
#include "process.h"
#include "trail_reader.h"

#include <stdbool.h>
#include <sys/socket.h>

enum { TENANT = 7, OTHER = 8, PROCESSES = 4, EACH = 60, CROWD = PROCESSES * EACH };

static const char *registry_for(uint64_t brokers, struct k2k_registry **admin)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	const char *name = fresh_registry();
	int code;

	options.max_tenants = 4;
	options.max_engagements = options.max_kernels = options.max_budgets = 64;
	options.max_leases = 4 * brokers;
	options.max_brokers = brokers;
	code = k2k_registry_create(name, &options, admin);
	if (code)
		fail_msg("create: %s (%s)", k2k_errname(code), k2k_error_detail()->text);
	return name;
}

/* ---- the crowd ------------------------------------------------------------------------------- */

enum order { ACQUIRE, RELEASE, ADMIT, ATTEMPT, CLOSE };

struct member {
	pid_t pid;
	int socket;
};

struct answer {
	uint32_t granted, refused, other;
};

static int obey(struct k2k_registry **reg, int order)
{
	switch (order) {
	case ACQUIRE: return k2k_kernel_acquire(*reg, TENANT, NULL, NULL);
	case RELEASE: return k2k_kernel_release_id(*reg, TENANT);
	case ADMIT: return k2k_message_admit(*reg, TENANT, no_tag, 1, NULL);
	case ATTEMPT: return k2k_audit_cross_tenant(*reg, TENANT, OTHER, "a", "b", no_tag);
	default: return k2k_registry_close(reg);
	}
}

/* Opens its handles, and then does with all of them what it is told. */
static void live(int socket, const char *name)
{
	struct k2k_registry *regs[EACH];
	struct answer answer = { 0 };
	int order = ACQUIRE;

	for (int i = 0; i < EACH; i++)
		regs[i] = open_as(name, K2K_ROLE_BROKER);
	assert_int_equal(write(socket, &answer, sizeof answer), sizeof answer);
	while (order != CLOSE) {
		assert_int_equal(read(socket, &order, sizeof order), sizeof order);
		answer = (struct answer){ 0 };
		for (int i = 0; i < EACH; i++) {
			int code = obey(&regs[i], order);

			answer.granted += code == 0;
			answer.refused += code == K2K_EKERNELS || code == K2K_ERATE;
			answer.other += code && code != K2K_EKERNELS && code != K2K_ERATE;
		}
		assert_int_equal(write(socket, &answer, sizeof answer), sizeof answer);
	}
	exit(0);
}

static struct answer hear(const struct member *member)
{
	struct answer answer;

	assert_int_equal(read(member->socket, &answer, sizeof answer), sizeof answer);
	return answer;
}

static void begin_member(struct member *member, const char *name)
{
	int sockets[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
	member->pid = spawn();
	if (member->pid == 0)
		live(sockets[1], name);
	close(sockets[1]);
	member->socket = sockets[0];
}

/* Tells `count` members at once; returns the sum of their answers. */
static struct answer tell(const struct member *members, int count, int order)
{
	struct answer sum = { 0 };

	for (int i = 0; i < count; i++)
		assert_int_equal(write(members[i].socket, &order, sizeof order), sizeof order);
	for (int i = 0; i < count; i++) {
		struct answer answer = hear(&members[i]);

		sum.granted += answer.granted;
		sum.refused += answer.refused;
		sum.other += answer.other;
	}
	assert_int_equal(sum.other, 0);
	return sum;
}

static void begin_crowd(struct member members[PROCESSES], const char *name)
{
	for (int i = 0; i < PROCESSES; i++)
		begin_member(&members[i], name);
	for (int i = 0; i < PROCESSES; i++)
		hear(&members[i]);
}

static void end_crowd(const struct member *members, int count)
{
	tell(members, count, CLOSE);
	for (int i = 0; i < count; i++) {
		spawn_wait(members[i].pid);
		close(members[i].socket);
	}
}

/* Its brokers are dead when this returns. */
static void kill_member(struct k2k_registry *admin, const struct member *member)
{
	uint32_t living = brokers_alive(admin);

	assert_int_equal(kill(member->pid, SIGKILL), 0);
	assert_int_equal(waitpid(member->pid, NULL, 0), member->pid);
	WAIT_UNTIL(brokers_alive(admin) == living - EACH, PATIENCE_S);
	close(member->socket);
}

/* ---- hundreds -------------------------------------------------------------------------------- */

TEST(hundreds_of_brokers_hold_exactly_the_limit_and_what_the_dead_held_is_free)
{
	struct member members[PROCESSES];
	struct k2k_lease_info leases[CROWD] = { { .size = sizeof leases[0] } };
	struct k2k_registry *admin;
	const char *name = registry_for(1024, &admin);
	struct answer answer;
	size_t count;

	register_tenant(admin, TENANT, 0, CROWD - 10);
	begin_crowd(members, name);
	assert_int_equal(brokers_alive(admin), CROWD);
	answer = tell(members, PROCESSES, ACQUIRE);
	assert_int_equal(answer.granted, CROWD - 10);
	assert_int_equal(answer.refused, 10);
	assert_int_equal(tenant_info(admin, TENANT).kernels, CROWD - 10);
	assert_int_equal(k2k_lease_list(admin, TENANT, leases, CROWD, &count), 0);
	assert_int_equal(count, CROWD - 10);
	assert_int_equal(tell(members, PROCESSES, ACQUIRE).refused, CROWD);
	kill_member(admin, &members[0]);
	count = tenant_info(admin, TENANT).kernels;
	assert_true(count >= CROWD - 10 - EACH && count <= CROWD - EACH);
	assert_int_equal(tell(members + 1, PROCESSES - 1, ACQUIRE).granted, CROWD - 10 - count);
	assert_int_equal(tenant_info(admin, TENANT).kernels, CROWD - 10);
	check_clean(admin);
	end_crowd(members + 1, PROCESSES - 1);
	assert_int_equal(tenant_info(admin, TENANT).kernels, 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(hundreds_of_brokers_that_race_are_granted_no_more_than_the_limit)
{
	struct member members[PROCESSES];
	struct k2k_registry *admin;
	const char *name = registry_for(300, &admin);

	register_tenant(admin, TENANT, 1, CROWD / 2);
	begin_crowd(members, name);
	for (int round = 0; round < 5; round++) {
		struct answer answer = tell(members, PROCESSES, ACQUIRE);

		assert_int_equal(answer.granted, CROWD / 2);
		assert_int_equal(answer.granted + answer.refused, CROWD);
		/* who holds nothing gets ENOTHELD, which obey() must not count as an answer */
		for (int i = 0; i < PROCESSES; i++)
			assert_int_equal(write(members[i].socket, &(int){ RELEASE }, sizeof(int)),
			                 sizeof(int));
		for (int i = 0; i < PROCESSES; i++)
			answer.granted -= hear(&members[i]).granted;
		assert_int_equal(answer.granted, 0);
		assert_int_equal(tenant_info(admin, TENANT).kernels, 0);
	}
	end_crowd(members, PROCESSES);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(a_grace_period_waits_for_each_of_hundreds_and_for_none_that_is_dead)
{
	struct member members[PROCESSES];
	struct k2k_open_options hasty = K2K_OPEN_OPTIONS_INIT;
	struct k2k_registry *admin, *other;
	const char *name = registry_for(1024, &admin);
	int code = 0;

	begin_crowd(members, name);
	for (int i = 0; i < 20; i++) { /* four slots: each is reused five times */
		register_tenant(admin, TENANT + (k2k_tenant_id)i, 0, 1);
		assert_int_equal(k2k_tenant_deregister(admin, TENANT + (k2k_tenant_id)i, NULL), 0);
	}
	stop_process(members[PROCESSES - 1].pid);
	hasty.flags = K2K_OPEN_TIMEOUT;
	hasty.timeout_ns = UINT64_C(100000000);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_ADMIN, &hasty, &other), 0);
	for (k2k_tenant_id id = 100; id < 110 && !code; id++) {
		code = k2k_tenant_register(other, id, NULL);
		if (!code)
			code = k2k_tenant_deregister(other, id, NULL);
	}
	assert_int_equal(code, K2K_EBUSY);
	assert_int_equal(k2k_error_detail()->pid, members[PROCESSES - 1].pid);
	kill_member(admin, &members[PROCESSES - 1]);
	register_tenant(admin, TENANT, 0, 1);
	assert_int_equal(k2k_registry_close(&other), 0);
	end_crowd(members, PROCESSES - 1);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* The death of each broker is reported once, by whoever finds it. */
TEST(places_of_the_dead_come_back_and_each_death_is_reported)
{
	static struct reader r;
	struct member members[PROCESSES];
	struct k2k_registry *admin, *extra = NULL;
	const char *name = registry_for(CROWD, &admin);
	bool reported[CROWD] = { false };
	size_t deaths = 0;

	register_tenant(admin, TENANT, 0, CROWD);
	begin_crowd(members, name);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &extra), K2K_ENOBROKERSLOT);
	assert_int_equal(k2k_error_detail()->expected, CROWD);
	assert_true(strstr(k2k_error_detail()->text, "all 240 places"));
	assert_int_equal(tell(members, PROCESSES, ACQUIRE).granted, CROWD);
	reader_open(&r, admin);
	kill_member(admin, &members[1]);
	kill_member(admin, &members[3]);
	begin_member(&members[1], name);
	begin_member(&members[3], name);
	hear(&members[1]);
	hear(&members[3]);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &extra), K2K_ENOBROKERSLOT);
	/* brokers with the slots of the dead take what these held */
	assert_int_equal(tell(&members[1], 1, ACQUIRE).granted, EACH);
	assert_int_equal(tell(&members[3], 1, ACQUIRE).granted, EACH);
	for (uint64_t end = now_ns() + PATIENCE_S * UINT64_C(1000000000);
	     deaths < 2 * EACH && now_ns() < end;) {
		reader_take(&r, 0);
		for (size_t i = 0; i < r.count; i++) {
			const struct k2k_audit_record *record = &r.records[i];
			uint64_t slot = record->values[K2K_AUDIT_DEAD_SLOT];

			if (record->kind != K2K_AUDIT_KIND_BROKER_DEAD)
				continue;
			assert_true(slot < CROWD && !reported[slot]);
			assert_int_equal(record->values[K2K_AUDIT_DEAD_KERNELS], 1);
			reported[slot] = true;
			deaths++;
		}
		assert_int_equal(k2k_audit_wait(admin, &r.cursor, UINT64_C(100000000)), 0);
	}
	assert_int_equal(deaths, 2 * EACH);
	end_crowd(members, PROCESSES);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* ---- the audit trail ------------------------------------------------------------------------- */

TEST(the_events_of_hundreds_of_brokers_are_read_from_rings_of_their_own)
{
	static struct reader r;
	static uint64_t newest[K2K_AUDIT_FURTHER_RINGS_MAX];
	struct k2k_audit_stats stats = { .size = sizeof stats,
		                         .further = newest,
		                         .further_count = K2K_AUDIT_FURTHER_RINGS_MAX };
	struct k2k_audit_cursor small = K2K_AUDIT_CURSOR_INIT;
	struct k2k_audit_follower_info info = { .size = sizeof info };
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	struct member members[PROCESSES];
	struct k2k_registry *admin, *follower;
	const char *name = registry_for(1024, &admin);
	uint32_t attempts[CROWD] = { 0 }, refusals[CROWD] = { 0 };
	size_t count;

	register_tenant(admin, TENANT, 1, 1);
	options.flags = K2K_OPEN_FOLLOWER;
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_OBSERVER, &options, &follower), 0);
	begin_crowd(members, name);
	assert_int_equal(tell(members, PROCESSES, ATTEMPT).granted, CROWD);
	assert_int_equal(tell(members, PROCESSES, ACQUIRE).refused, CROWD - 1);
	reader_open(&r, follower);
	r.records[0].size = sizeof r.records[0];
	assert_int_equal(k2k_audit_read(follower, &small, 0, r.records, 1, &count), K2K_EINVAL);
	assert_int_equal(k2k_error_detail()->expected, K2K_AUDIT_FURTHER_RINGS(1024));
	assert_int_equal(k2k_audit_wait(follower, &small, 0), K2K_EINVAL);
	assert_int_equal(k2k_audit_kept(follower, &small, 0), K2K_EINVAL);
	reader_take_all(&r);
	for (size_t i = 0; i < r.count; i++) {
		const struct k2k_audit_record *record = &r.records[i];
		uint32_t slot = K2K_AUDIT_RING_SLOT(record->ring);

		if (record->ring == K2K_AUDIT_RING_ADMIN)
			continue;
		assert_true(slot < CROWD);
		if (K2K_AUDIT_RING_IS_SECURITY(record->ring)) {
			assert_int_equal(record->kind, K2K_AUDIT_KIND_CROSS_TENANT);
			attempts[slot] += (uint32_t)record->count;
		} else {
			assert_int_equal(record->kind, K2K_AUDIT_KIND_KERNELS);
			refusals[slot] += (uint32_t)record->count;
		}
	}
	count = 0;
	for (int i = 0; i < CROWD; i++) {
		assert_int_equal(attempts[i], 1);
		count += refusals[i];
	}
	assert_int_equal(count, CROWD - 1);
	assert_int_equal(k2k_audit_stats(admin, &stats), 0);
	assert_int_equal(stats.newest[K2K_AUDIT_RING_SECURITY], 1);
	assert_int_equal(newest[2 * (CROWD - 64) - 1], 1); /* the last broker's for security */
	assert_int_equal(newest[2 * (CROWD - 64) + 1], 0);
	assert_int_equal(k2k_audit_follower_list(admin, &info, 1, &count), 0);
	assert_int_equal(info.behind, 0); /* it has reported nothing yet */
	assert_int_equal(k2k_audit_kept(follower, &r.cursor, 0), 0);
	assert_int_equal(tell(members, PROCESSES, ATTEMPT).granted, CROWD);
	assert_int_equal(k2k_audit_follower_list(admin, &info, 1, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(info.behind, CROWD);
	assert_int_equal(info.state, K2K_FOLLOWER_ACTIVE);
	assert_int_equal(k2k_registry_close(&follower), 0);
	end_crowd(members, PROCESSES);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* ---- few ------------------------------------------------------------------------------------- */

TEST(a_registry_for_one_broker_works_like_any_other)
{
	static struct reader r;
	struct k2k_registry *admin, *broker, *other = NULL;
	const char *name = registry_for(1, &admin);
	struct k2k_registry_info info = { .size = sizeof info };

	register_tenant(admin, TENANT, 1, 2);
	broker = open_as(name, K2K_ROLE_BROKER);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &other), K2K_ENOBROKERSLOT);
	assert_true(strstr(k2k_error_detail()->text, "all 1 places"));
	assert_int_equal(k2k_registry_info(admin, &info), 0);
	assert_int_equal(info.max_brokers, 1);
	assert_int_equal(info.brokers, 1);
	assert_int_equal(k2k_kernel_acquire(broker, TENANT, NULL, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(broker, TENANT, NULL, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(broker, TENANT, NULL, NULL), K2K_EKERNELS);
	assert_int_equal(k2k_audit_cross_tenant(broker, TENANT, OTHER, "a", "b", no_tag), 0);
	reader_open(&r, admin);
	r.cursor.further = NULL; /* as a program of version 0.1 has it */
	reader_take_all(&r);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_KERNELS, 0)->ring, 0);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_CROSS_TENANT, 0)->ring,
	                 K2K_AUDIT_RING_SECURITY);
	assert_int_equal(reader_need(&r, K2K_AUDIT_KIND_CREATED, 0)->ring, K2K_AUDIT_RING_ADMIN);
	assert_int_equal(
		reader_need(&r, K2K_AUDIT_KIND_CREATED, 0)->values[K2K_AUDIT_CREATED_MAX_BROKERS],
		1);
	assert_int_equal(r.cursor.next[1], 0); /* no ring has this number here */
	assert_int_equal(k2k_registry_close(&broker), 0);
	broker = open_as(name, K2K_ROLE_BROKER);
	assert_int_equal(tenant_info(admin, TENANT).kernels, 0);
	assert_int_equal(k2k_registry_close(&broker), 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(a_registry_takes_memory_for_the_brokers_that_it_has_room_for)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_registry_plan one = { .size = sizeof one }, some = one, most = one;

	options.max_brokers = 1;
	assert_int_equal(k2k_registry_plan(&options, &one), 0);
	options.max_brokers = 0;
	assert_int_equal(k2k_registry_plan(&options, &some), 0);
	options.max_brokers = 1024;
	assert_int_equal(k2k_registry_plan(&options, &most), 0);
	assert_int_equal(some.max_brokers, 64);
	assert_int_equal(one.max_brokers, 1);
	assert_int_equal(most.max_brokers, 1024);
	assert_int_equal(some.max_audit_events, 256);
	assert_int_equal(most.max_audit_events, 64);
	assert_int_equal(one.defs_bytes, most.defs_bytes);
	assert_true(one.live_bytes < some.live_bytes && some.live_bytes < most.live_bytes);
	options.max_brokers = 1025;
	assert_int_equal(k2k_registry_plan(&options, &most), K2K_EINVAL);
}
