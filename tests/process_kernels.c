/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_kernels - the directory of kernels between processes: one owner of each name, moves that
 * are seen as one step, owners that are killed or stopped, and tenancy across brokers
 */
#include "kernel.h"
#include "handle.h"
#include "process.h"

enum { TENANT = 7, OTHER = 8, SHORT_MS = 500 };

static int add(struct k2k_registry *reg, const char *name, k2k_tenant_id id)
{
	return k2k_kernel_add(reg, name, id, (struct k2k_audit_tag){ id, id }, NULL, NULL);
}

/* If the machine is busy, another broker may not run for 20 ms in the middle of a change. */
static int add_patiently(struct k2k_registry *reg, const char *name, k2k_tenant_id id)
{
	int code;

	do {
		code = add(reg, name, id);
	} while (code == K2K_EBUSY);
	return code;
}

static int find(struct k2k_registry *reg, const char *name, struct k2k_kernel_info *info)
{
	*info = (struct k2k_kernel_info)K2K_KERNEL_INFO_INIT;
	return k2k_kernel_find(reg, name, info);
}

static int route(struct k2k_registry *reg, const char *from, const char *to, struct k2k_route *out)
{
	*out = (struct k2k_route)K2K_ROUTE_INIT;
	return k2k_message_route(reg, from, to, no_tag, 1, out, NULL);
}

/* A process that has a kernel, and waits until it is killed. */
static pid_t owner_of(const char *registry, const char *name, k2k_tenant_id id)
{
	atomic_int *ready = shared_bytes(sizeof(*ready));
	pid_t pid = spawn();

	if (pid == 0) {
		assert_int_equal(add(open_as(registry, K2K_ROLE_BROKER), name, id), 0);
		atomic_store(ready, 1);
		for (;;)
			pause();
	}
	WAIT_UNTIL(atomic_load(ready), PATIENCE_S);
	return pid;
}

TEST(a_message_to_a_kernel_of_another_process_stays_within_its_tenant)
{
	struct k2k_registry_info info = { .size = sizeof info };
	struct k2k_registry *admin, *mine;
	const char *name = small_registry(4, &admin);
	struct k2k_kernel_info found;
	struct k2k_route out;
	pid_t owner;

	register_tenant(admin, TENANT, 100, 2);
	register_tenant(admin, OTHER, 100, 2);
	mine = open_as(name, K2K_ROLE_BROKER);
	owner = owner_of(name, "theirs", OTHER);
	assert_int_equal(add(mine, "mine", TENANT), 0);
	assert_int_equal(route(mine, "mine", "theirs", &out), K2K_ECROSSTENANT);
	assert_int_equal(route(mine, "theirs", "mine", &out), K2K_ENOTHELD);
	assert_int_equal(add(mine, "theirs", TENANT), K2K_EEXIST);
	assert_int_equal(k2k_error_detail()->pid, owner);
	assert_int_equal(tenant_info(admin, TENANT).admitted_total, 0);
	assert_int_equal(add(mine, "mine", OTHER), 0);
	assert_int_equal(route(mine, "mine", "theirs", &out), 0);
	assert_int_equal(find(mine, "theirs", &found), 0);
	assert_int_equal(found.pid, owner);
	assert_int_equal(out.incarnation, found.incarnation);
	assert_int_equal(tenant_info(admin, OTHER).admitted_total, 1);
	assert_int_equal(tenant_info(admin, OTHER).kernels, 2);
	assert_int_equal(k2k_registry_info(admin, &info), 0);
	assert_int_equal(info.cross_tenant_total, 1);
	/* killed: name and slot are free at once */
	kill_broker(admin, owner);
	assert_int_equal(tenant_info(admin, OTHER).kernels, 1);
	assert_int_equal(add(mine, "theirs", OTHER), 0);
	assert_int_equal(route(mine, "mine", "theirs", &out), 0);
	check_clean(admin);
	assert_int_equal(k2k_registry_close(&mine), 0);
	close_and_destroy(name, &admin);
}

/* Nobody is left who reports the death. */
TEST(a_kernel_of_the_only_broker_is_gone_with_it)
{
	struct k2k_registry *admin, *observer;
	const char *name = small_registry(4, &admin);
	struct k2k_kernel_info found;
	pid_t owner;

	register_tenant(admin, TENANT, 100, 2);
	observer = open_as(name, K2K_ROLE_OBSERVER);
	owner = owner_of(name, "alone", TENANT);
	assert_int_equal(find(observer, "alone", &found), 0);
	kill_broker(observer, owner);
	assert_int_equal(find(observer, "alone", &found), K2K_ENOKERNEL);
	assert_int_equal(find(admin, "alone", &found), K2K_ENOKERNEL);
	assert_int_equal(k2k_registry_close(&observer), 0);
	close_and_destroy(name, &admin);
}

/* Its broker's slot says "alive" until the death is reported. */
TEST(a_message_to_a_kernel_whose_broker_has_just_died_crosses_nobody)
{
	struct k2k_registry_info info = { .size = sizeof info };
	struct k2k_registry *admin, *mine;
	const char *name = small_registry(4, &admin);
	struct k2k_route out;
	uint64_t used_ns;
	pid_t owner;

	register_tenant(admin, TENANT, 100, 2);
	register_tenant(admin, OTHER, 100, 2);
	mine = open_as(name, K2K_ROLE_BROKER);
	assert_int_equal(add(mine, "mine", TENANT), 0);
	for (int i = 1; i <= 3; i++) {
		owner = owner_of(name, "theirs", OTHER);
		assert_int_equal(route(mine, "mine", "theirs", &out), K2K_ECROSSTENANT);
		assert_int_equal(kill(owner, SIGKILL), 0);
		assert_int_equal(waitpid(owner, NULL, 0), owner);
		used_ns = thread_cpu_ns();
		assert_int_equal(route(mine, "mine", "theirs", &out), 0);
		/* it does not look again and again until the death is reported: a second */
		assert_true(thread_cpu_ns() - used_ns < UINT64_C(100000000));
		assert_int_equal(out.flags, K2K_ROUTE_SOURCE);
		assert_int_equal(k2k_registry_info(admin, &info), 0);
		assert_int_equal(info.cross_tenant_total, i);
	}
	assert_int_equal(k2k_registry_close(&mine), 0);
	close_and_destroy(name, &admin);
}

TEST(a_kernel_that_moves_is_never_seen_under_both_tenants_or_none)
{
	atomic_int *over = shared_bytes(sizeof(*over));
	struct k2k_registry *admin, *mine;
	const char *name = small_registry(4, &admin);
	atomic_int *seen = shared_bytes(2 * sizeof(*seen)); /* under which tenant */
	uint64_t end_ns, moves = 0;
	pid_t finder;

	register_tenant(admin, TENANT, 0, 1);
	register_tenant(admin, OTHER, 0, 1);
	mine = open_as(name, K2K_ROLE_BROKER);
	assert_int_equal(add(mine, "a", TENANT), 0);
	finder = spawn();
	if (finder == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_OBSERVER);
		struct k2k_kernel_info info;

		while (!atomic_load(over)) {
			assert_int_equal(find(reg, "a", &info), 0);
			assert_true(info.id == TENANT || info.id == OTHER);
			assert_int_equal(info.tag.org_id, info.id);
			assert_int_equal(info.tag.engagement_id, info.id);
			atomic_store(&seen[info.id == OTHER], 1);
		}
		exit(0);
	}
	end_ns = now_ns() + SHORT_MS * UINT64_C(1000000);
	/* at least until it was found under both */
	for (; now_ns() < end_ns || !atomic_load(&seen[0]) || !atomic_load(&seen[1]); moves++) {
		assert_true(now_ns() < end_ns + PATIENCE_S * UINT64_C(1000000000));
		assert_int_equal(add(mine, "a", moves % 2 ? TENANT : OTHER), 0);
	}
	atomic_store(over, 1);
	wait_all(&finder, 1);
	assert_int_equal(tenant_info(admin, TENANT).kernels + tenant_info(admin, OTHER).kernels, 1);
	check_clean(admin);
	assert_int_equal(k2k_registry_close(&mine), 0);
	close_and_destroy(name, &admin);
}

/* Who loses a name must not have held the last slot even for a moment. */
TEST(an_add_that_loses_its_name_makes_no_other_one_find_the_tenant_full)
{
	atomic_int *over = shared_bytes(sizeof(*over));
	struct k2k_registry *admin, *mine;
	const char *name = small_registry(4, &admin);
	uint64_t end_ns;
	pid_t loser;

	register_tenant(admin, TENANT, 0, 1);
	register_tenant(admin, OTHER, 0, 1);
	mine = open_as(name, K2K_ROLE_BROKER);
	assert_int_equal(add(mine, "a", OTHER), 0);
	loser = spawn();
	if (loser == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		while (!atomic_load(over))
			assert_int_equal(add_patiently(reg, "a", TENANT), K2K_EEXIST);
		exit(0);
	}
	for (end_ns = now_ns() + SHORT_MS * UINT64_C(1000000); now_ns() < end_ns;) {
		assert_int_equal(add_patiently(mine, "b", TENANT), 0);
		assert_int_equal(k2k_kernel_remove(mine, "b"), 0);
	}
	atomic_store(over, 1);
	wait_all(&loser, 1);
	assert_int_equal(k2k_registry_close(&mine), 0);
	close_and_destroy(name, &admin);
}

TEST(a_broker_that_is_stopped_with_a_claim_is_named_and_holds_up_no_message)
{
	struct k2k_registry *admin, *mine;
	const char *name = small_registry(4, &admin);
	struct k2k_kernel_name key;
	struct k2k_route out;
	pid_t holder;

	register_tenant(admin, TENANT, 100, 4);
	mine = open_as(name, K2K_ROLE_BROKER);
	assert_int_equal(add(mine, "a", TENANT), 0);
	assert_true(k2k_kernel_name(&mine->map, "a", &key));
	holder = spawn();
	if (holder == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);
		const struct k2k_kernel_user user = { &reg->map, &reg->liveness, &reg->broker,
			                              &reg->kernels_full_at };
		uint64_t other;

		assert_int_equal(k2k_kernel_claim(&user, key.bucket, &other), 0);
		raise(SIGSTOP);
		exit(1);
	}
	assert_int_equal(waitpid(holder, NULL, WUNTRACED), holder);
	assert_int_equal(add(mine, "a", TENANT), K2K_EBUSY);
	assert_int_equal(k2k_error_detail()->pid, holder);
	assert_int_equal(route(mine, "a", "a", &out), 0);
	check_clean(admin);
	kill_broker(admin, holder);
	assert_int_equal(add(mine, "a", TENANT), 0);
	assert_int_equal(k2k_registry_close(&mine), 0);
	close_and_destroy(name, &admin);
}

/* ---- a storm -------------------------------------------------------------------------------- */

enum { BROKERS = 3, NAMES = 5, ROOM = 6, LIMIT = 3, ROUNDS = 6 };

struct oracle {
	/* of each name: the process that has it, from after an add to before a removal */
	atomic_int owners[NAMES];
	atomic_int over, adds;
	atomic_int killed[ROUNDS]; /* stored before each kill */
	struct meeting end;        /* whoever ends gives up its names, so they end together */
};

static bool is_killed(struct oracle *oracle, int pid)
{
	for (int i = 0; i < ROUNDS; i++)
		if (atomic_load(&oracle->killed[i]) == pid)
			return true;
	return false;
}

static void live_in_the_storm(const char *registry, struct oracle *oracle)
{
	struct k2k_registry *reg = open_as(registry, K2K_ROLE_BROKER);
	int me = getpid();
	bool mine[NAMES] = { false };
	struct k2k_route out;

	random_seed((uint64_t)me);
	while (!atomic_load(&oracle->over)) {
		int i = (int)random_below(NAMES), code;
		k2k_tenant_id id = random_below(2) ? TENANT : OTHER;
		char name[8];

		snprintf(name, sizeof name, "k%d", i);
		switch (random_below(3)) {
		case 0:
			code = add(reg, name, id);
			if (code && code != K2K_EEXIST && code != K2K_EKERNELS &&
			    code != K2K_EBUSY && code != K2K_EFULL)
				fail_msg("add: %s: %s", k2k_errname(code),
				         k2k_error_detail()->text);
			if (mine[i]) {
				/* a move, or it stays */
				assert_true(code == 0 || code == K2K_EKERNELS || code == K2K_EBUSY);
			} else if (code == 0) {
				int was = atomic_exchange(&oracle->owners[i], me);

				if (was && was != me && !is_killed(oracle, was))
					fail_msg("%s belongs to %d and to %d", name, was, me);
				mine[i] = true;
				atomic_fetch_add(&oracle->adds, 1);
			}
			break;
		case 1:
			if (mine[i]) {
				int was = me;

				assert_true(atomic_compare_exchange_strong(&oracle->owners[i], &was,
				                                           0));
				assert_int_equal(k2k_kernel_remove(reg, name), 0);
				mine[i] = false;
			} else {
				code = k2k_kernel_remove(reg, name);
				assert_true(code == K2K_ENOTHELD || code == K2K_ENOKERNEL);
			}
			break;
		default:
			code = route(reg, name, i % 2 ? "k0" : "k1", &out);
			/* a sender of ours is never unknown */
			if (mine[i] && code != K2K_ECROSSTENANT)
				assert_true(out.flags & K2K_ROUTE_SOURCE);
			if (code && code != K2K_ECROSSTENANT && code != K2K_ENOTHELD)
				fail_msg("route: %s: %s", k2k_errname(code),
				         k2k_error_detail()->text);
			if (code == 0 && (out.flags & K2K_ROUTE_DESTINATION))
				assert_int_equal(out.tenant, out.to_tenant);
		}
	}
	meet(&oracle->end, BROKERS);
	exit(0);
}

TEST(in_a_storm_of_adds_moves_removals_and_kills_a_name_has_one_owner)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct oracle *oracle = shared_bytes(sizeof *oracle);
	const char *name = fresh_registry();
	struct k2k_registry *admin;
	pid_t brokers[BROKERS];

	options.max_tenants = 4;
	options.max_engagements = 64;
	options.max_kernels = ROOM; /* so few that records are reused, and swept, all the time */
	assert_int_equal(k2k_registry_create(name, &options, &admin), 0);
	register_tenant(admin, TENANT, K2K_UNLIMITED, LIMIT);
	register_tenant(admin, OTHER, K2K_UNLIMITED, LIMIT);
	for (int round = 0; round < ROUNDS; round++) {
		int adds = atomic_load(&oracle->adds);

		for (int i = 0; i < BROKERS; i++)
			if (round == 0 || i == round % BROKERS) {
				brokers[i] = spawn();
				if (brokers[i] == 0)
					live_in_the_storm(name, oracle);
			}
		WAIT_UNTIL(atomic_load(&oracle->adds) > adds + 200, PATIENCE_S);
		if (round == ROUNDS - 1)
			break;
		atomic_store(&oracle->killed[round], brokers[(round + 1) % BROKERS]);
		kill_broker(admin, brokers[(round + 1) % BROKERS]);
	}
	atomic_store(&oracle->over, 1);
	wait_all(brokers, BROKERS);
	check_clean(admin);
	assert_int_equal(tenant_info(admin, TENANT).kernels + tenant_info(admin, OTHER).kernels, 0);
	close_and_destroy(name, &admin);
}
