/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_fence - a registry is destroyed, removed or replaced under its users: all of them notice
 */
#include "process.h"

#include <dirent.h>

enum { TENANT = 7, USERS = 3, NOTICE_S = 5 };

static const enum k2k_role roles[USERS] = { K2K_ROLE_BROKER, K2K_ROLE_OBSERVER, K2K_ROLE_ADMIN };

/*
 * Uses the registry until it is fenced, then checks that every call says so, and that close
 * succeeds.
 */
static void use_until_fenced(const char *name, enum k2k_role role, struct gate *ready)
{
	struct k2k_registry *reg = open_as(name, role), *again;
	struct k2k_registry_info info = { .size = sizeof info };
	uint64_t end;
	int code, registered;
	size_t count;

	assert_int_equal(k2k_quota_check(reg, TENANT, no_tag, 1, NULL), 0);
	gate_open(ready);
	/* The parent removes it at any time from now on. */
	end = now_ns() + (NOTICE_S + PATIENCE_S) * UINT64_C(1000000000);
	while ((code = k2k_registry_info(reg, &info)) == 0) {
		assert_true(now_ns() < end);
		pause_ns(1000000);
	}
	assert_int_equal(code, K2K_EFENCED);
	assert_int_equal(k2k_error_detail()->code, K2K_EFENCED);
	assert_int_equal(k2k_quota_check(reg, TENANT, no_tag, 1, NULL), K2K_EFENCED);
	assert_int_equal(k2k_tenant_is_registered(reg, TENANT, &registered), K2K_EFENCED);
	assert_int_equal(k2k_tenant_count(reg, &count), K2K_EFENCED);
	assert_int_equal(k2k_broker_list(reg, NULL, 0, &count), K2K_EFENCED);
	assert_int_equal(k2k_kernel_list(reg, 0, NULL, 0, &count), K2K_EFENCED);
	if (role == K2K_ROLE_BROKER) {
		assert_int_equal(k2k_message_admit(reg, TENANT, no_tag, 1, NULL), K2K_EFENCED);
		assert_int_equal(k2k_message_admit(reg, 0, no_tag, 1, NULL), K2K_EFENCED);
		assert_int_equal(k2k_message_record(reg, TENANT), K2K_EFENCED);
		assert_int_equal(k2k_usage_track(reg, TENANT, no_tag, 1), K2K_EFENCED);
		assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), K2K_EFENCED);
		assert_int_equal(k2k_kernel_release_id(reg, TENANT), K2K_EFENCED);
		assert_int_equal(k2k_audit_cross_tenant(reg, 1, 2, "a", "b", no_tag), K2K_EFENCED);
	}
	if (role == K2K_ROLE_ADMIN)
		assert_int_equal(k2k_tenant_register(reg, 99, NULL), K2K_EFENCED);
	assert_int_equal(k2k_registry_close(&reg), 0);
	assert_int_equal(k2k_registry_open(name, role, NULL, &again), K2K_ENOREGISTRY);
}

static void path_of(char path[256], const char *name, int defs)
{
	char prefix[128];
	DIR *dir = opendir("/dev/shm");
	struct dirent *entry;

	assert_true(dir);
	snprintf(prefix, sizeof prefix, defs ? "k2k.%s.defs" : "k2k.%s.live.", name);
	path[0] = '\0';
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			snprintf(path, 256, "/dev/shm/%.200s", entry->d_name);
	closedir(dir);
	assert_true(path[0]);
}

static void with_users(void (*remove_it)(const char *name))
{
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	struct gate ready;
	pid_t users[USERS];
	uint64_t begun_ns;

	register_tenant(admin, TENANT, K2K_UNLIMITED, 4);
	assert_int_equal(k2k_registry_close(&admin), 0);
	gate_make(&ready);
	for (int i = 0; i < USERS; i++) {
		users[i] = spawn();
		if (users[i] == 0) {
			use_until_fenced(name, roles[i], &ready);
			exit(0);
		}
	}
	for (int i = 0; i < USERS; i++)
		gate_wait(&ready);
	begun_ns = now_ns();
	remove_it(name);
	wait_all(users, USERS);
	assert_true(now_ns() - begun_ns < NOTICE_S * UINT64_C(1000000000));
	/* The next command, whatever it finds, leaves nothing unreferenced. */
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), K2K_ENOREGISTRY);
	check_nothing_left(name);
}

static void destroy_it(const char *name)
{
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), K2K_EBUSY);
	assert_int_equal(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), 0);
	check_nothing_left(name);
}

static void remove_both(const char *name)
{
	char defs[256], live[256];

	path_of(defs, name, 1);
	path_of(live, name, 0);
	assert_true(unlink(live) == 0 && unlink(defs) == 0);
}

static void remove_defs(const char *name)
{
	char defs[256];

	path_of(defs, name, 1);
	assert_int_equal(unlink(defs), 0);
}

/* Also calls that look up no tenant. */
static void all_are_fenced(struct k2k_registry *reg, enum k2k_role role)
{
	struct k2k_registry_info info = { .size = sizeof info };
	struct k2k_kernel_info kernel = K2K_KERNEL_INFO_INIT;
	struct k2k_tenant_info tenant = { .size = sizeof tenant };
	struct k2k_route route = K2K_ROUTE_INIT;
	struct k2k_lease lease = K2K_LEASE_INIT;
	size_t count;
	int yes;

	assert_int_equal(k2k_quota_check(reg, TENANT, no_tag, 1, NULL), K2K_EFENCED);
	assert_int_equal(k2k_quota_check(reg, 0, no_tag, 1, NULL), K2K_EFENCED);
	assert_int_equal(k2k_tenant_get(reg, TENANT, &tenant), K2K_EFENCED);
	assert_int_equal(k2k_tenant_is_registered(reg, 0, &yes), K2K_EFENCED);
	assert_int_equal(k2k_tenant_ids(reg, NULL, 0, &count), K2K_EFENCED);
	assert_int_equal(k2k_budget_list(reg, 0, NULL, 0, &count), K2K_EFENCED);
	assert_int_equal(k2k_usage_list(reg, 0, NULL, 0, &count), K2K_EFENCED);
	assert_int_equal(k2k_lease_list(reg, 0, NULL, 0, &count), K2K_EFENCED);
	assert_int_equal(k2k_broker_list(reg, NULL, 0, &count), K2K_EFENCED);
	assert_int_equal(k2k_kernel_list(reg, 0, NULL, 0, &count), K2K_EFENCED);
	assert_int_equal(k2k_kernel_find(reg, "a", &kernel), K2K_EFENCED);
	assert_int_equal(k2k_registry_info(reg, &info), K2K_EFENCED);
	if (role == K2K_ROLE_ADMIN)
		assert_int_equal(k2k_tenant_register(reg, 99, NULL), K2K_EFENCED);
	if (role != K2K_ROLE_BROKER)
		return;
	for (k2k_tenant_id id = 0; id <= TENANT; id += TENANT) {
		assert_int_equal(k2k_message_admit(reg, id, no_tag, 1, NULL), K2K_EFENCED);
		assert_int_equal(k2k_message_record(reg, id), K2K_EFENCED);
		assert_int_equal(k2k_usage_track(reg, id, no_tag, 1), K2K_EFENCED);
		assert_int_equal(k2k_kernel_acquire(reg, id, &lease, NULL), K2K_EFENCED);
		assert_int_equal(k2k_kernel_add(reg, "b", id, no_tag, NULL, NULL), K2K_EFENCED);
	}
	assert_int_equal(k2k_message_route(reg, "a", "a", no_tag, 1, &route, NULL), K2K_EFENCED);
	assert_int_equal(k2k_kernel_remove(reg, "a"), K2K_EFENCED);
	assert_int_equal(k2k_audit_cross_tenant(reg, 1, 2, "a", "b", no_tag), K2K_EFENCED);
}

TEST(every_call_is_fenced_as_soon_as_destroy_has_returned)
{
	struct k2k_registry *reg[USERS], *admin;
	const char *name = small_registry(4, &admin);

	register_tenant(admin, TENANT, 0, 1);
	for (int i = 0; i < USERS; i++)
		reg[i] = open_as(name, roles[i]);
	assert_int_equal(k2k_kernel_add(reg[0], "a", TENANT, no_tag, NULL, NULL), 0);
	assert_int_equal(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), 0);
	for (int i = 0; i < USERS; i++) {
		all_are_fenced(reg[i], roles[i]);
		assert_int_equal(k2k_registry_close(&reg[i]), 0);
	}
	assert_int_equal(k2k_registry_close(&admin), 0);
}

TEST(users_of_a_destroyed_registry_are_told_within_seconds)
{
	with_users(destroy_it);
}

TEST(users_whose_names_were_removed_are_told_within_seconds)
{
	with_users(remove_both);
}

TEST(users_whose_defs_was_removed_are_told_and_live_is_swept_by_the_next_command)
{
	with_users(remove_defs);
}

TEST(users_of_a_replaced_registry_are_told_and_never_touch_the_new_one)
{
	struct k2k_registry *admin, *fresh;
	const char *name = small_registry(4, &admin);
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct gate ready;
	pid_t broker;

	register_tenant(admin, TENANT, K2K_UNLIMITED, 4);
	gate_make(&ready);
	broker = spawn();
	if (broker == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);
		int code;

		gate_open(&ready);
		while ((code = k2k_message_admit(reg, TENANT, no_tag, 1, NULL)) == 0)
			;
		assert_int_equal(code, K2K_EFENCED);
		assert_int_equal(k2k_registry_close(&reg), 0);
		/* The same name again opens the new one. */
		reg = open_as(name, K2K_ROLE_BROKER);
		assert_int_equal(k2k_message_admit(reg, TENANT, no_tag, 1, NULL), K2K_ENOTENANT);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	gate_wait(&ready);
	remove_both(name);
	options.max_tenants = options.max_engagements = options.max_kernels = options.max_budgets =
		options.max_leases = 4;
	assert_int_equal(k2k_registry_create(name, &options, &fresh), 0);
	spawn_wait(broker);
	assert_int_equal(k2k_tenant_register(admin, 99, NULL), K2K_EFENCED);
	assert_int_equal(k2k_registry_close(&admin), 0);
	check_clean(fresh);
	close_and_destroy(name, &fresh);
}

TEST(destroyers_killed_at_any_moment_leave_a_registry_or_none_after_the_next_command)
{
	enum { KILLS = 120 };
	const char *name = fresh_registry();
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	options.max_tenants = options.max_engagements = options.max_kernels = options.max_budgets =
		options.max_leases = 16;
	options.max_audit_events = 4;
	random_seed(21);
	for (int i = 0; i < KILLS; i++) {
		struct k2k_registry *reg;
		struct gate ready;
		pid_t destroyer;
		int lives, code;

		assert_int_equal(k2k_registry_create(name, &options, NULL), 0);
		gate_make(&ready);
		destroyer = spawn();
		if (destroyer == 0) {
			gate_open(&ready);
			k2k_registry_destroy(name, 0, NULL);
			pause();
		}
		gate_wait(&ready);
		close(ready.fd[0]);
		close(ready.fd[1]);
		pause_ns(random_below(i % 2 ? 150000 : 30000));
		spawn_kill(destroyer);
		/*
		 * The kernel frees the dead destroyer's lock with its memory: a broker may be asked
		 * to wait until then, but not for long.
		 */
		code = k2k_registry_open(name, i % 3 ? K2K_ROLE_ADMIN : K2K_ROLE_BROKER, NULL,
		                         &reg);
		if (code == 0) {
			check_clean(reg);
			assert_int_equal(objects_of(name, &lives), 1);
			assert_int_equal(lives, 1);
			assert_int_equal(k2k_registry_close(&reg), 0);
			assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
		} else {
			assert_int_equal(code, K2K_ENOREGISTRY);
			/*
			 * A broker can't complete the destroy: if the registry was only poisoned,
			 * the next command does.
			 */
			if (i % 3 == 0) {
				code = k2k_registry_destroy(name, 0, NULL);
				assert_true(code == 0 || code == K2K_ENOREGISTRY);
			}
		}
		check_nothing_left(name);
	}
}
