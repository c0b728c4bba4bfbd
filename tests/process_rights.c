/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_rights - what the kernel lets a broker and an observer do, each under its own user
 *
 * Needs root: it becomes other users.
 */
#include "process.h"

#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>

enum { TENANT = 7, NOBODY = 65534, BROKERS_GROUP = 54321, BROKERS_USER = 54322 };

static const char *registry_with(uint32_t flags, uint32_t mode, uint32_t gid,
                                 struct k2k_registry **admin)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	const char *name = fresh_registry();

	if (geteuid() != 0)
		skip_msg("needs root");
	options.flags = flags;
	options.mode = mode;
	options.gid = gid;
	options.max_tenants = options.max_engagements = options.max_kernels = options.max_budgets =
		options.max_leases = 16;
	options.max_audit_events = 16;
	assert_int_equal(k2k_registry_create(name, &options, admin), 0);
	register_tenant(*admin, TENANT, 1000, 4);
	return name;
}

/* Runs in a child, without the parent's descriptors, as another user. */
static void become(struct k2k_registry *inherited, uid_t user, gid_t group)
{
	if (inherited)
		assert_int_equal(k2k_registry_close(&inherited), K2K_EFORKED);
	assert_true(setgroups(0, NULL) == 0 && setgid(group) == 0 && setuid(user) == 0);
	assert_true(geteuid() == user && getegid() == group);
}

/* ---- how the registry is mapped here -------------------------------------------- */

struct mapping {
	unsigned char *start;
	size_t bytes;
	char rights[8];
	char path[256];
};

static struct mapping find_mapping(const char *part)
{
	struct mapping found = { .bytes = 0 };
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];

	assert_true(file);
	while (fgets(line, sizeof line, file)) {
		struct mapping at;
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &start, &end, at.rights,
		           at.path) != 4 ||
		    !strstr(at.path, part))
			continue;
		at.start = (unsigned char *)start; /* NOLINT: an address read as text */
		at.bytes = end - start;
		if (at.bytes > found.bytes) /* a lock keeps one page mapped too */
			found = at;
	}
	fclose(file);
	assert_true(found.bytes > 4096);
	return found;
}

static sigjmp_buf after_fault;

static void on_fault(int number)
{
	siglongjmp(after_fault, number);
}

static int write_faults(volatile unsigned char *byte)
{
	struct sigaction action = { .sa_handler = on_fault }, before;
	int number;

	assert_int_equal(sigaction(SIGSEGV, &action, &before), 0);
	number = sigsetjmp(after_fault, 1);
	if (number == 0)
		*byte = *byte;
	assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
	return number == SIGSEGV;
}

static void cannot_write(const char *part)
{
	struct mapping mapping = find_mapping(part);

	assert_string_equal(mapping.rights, "r--s");
	for (size_t at = 0; at < mapping.bytes; at += 4096)
		assert_true(write_faults(mapping.start + at));
	assert_true(mprotect(mapping.start, mapping.bytes, PROT_READ | PROT_WRITE) == -1 &&
	            errno == EACCES);
	assert_true(open(mapping.path, O_RDWR) == -1 && errno == EACCES);
	assert_true(open(mapping.path, O_WRONLY) == -1 && errno == EACCES);
	assert_true(truncate(mapping.path, 0) == -1 && errno == EACCES);
	assert_true(chmod(mapping.path, 0666) == -1 && errno == EPERM);
	assert_int_equal(unlink(mapping.path), -1);
	/* Nor through a descriptor that the library may hold. */
	for (int fd = 3; fd < 64; fd++) {
		char self[64], target[256];
		ssize_t n;

		snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
		n = readlink(self, target, sizeof target - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (strcmp(target, mapping.path) == 0)
			assert_int_equal((fcntl(fd, F_GETFL) & O_ACCMODE), O_RDONLY);
	}
}

static void broker_works(struct k2k_registry *reg)
{
	assert_int_equal(k2k_message_admit(reg, TENANT, no_tag, 1, NULL), 0);
	assert_int_equal(k2k_usage_track(reg, TENANT, no_tag, 5), 0);
	assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
	assert_int_equal(k2k_kernel_release_id(reg, TENANT), 0);
}

/* ---- tests ------------------------------------------------------------------------ */

TEST(a_broker_under_its_own_user_cannot_write_definitions_in_any_way)
{
	struct k2k_registry *admin, *reg;
	const char *name = registry_with(K2K_CREATE_GROUP, 0, BROKERS_GROUP, &admin);
	pid_t broker = spawn();

	if (broker == 0) {
		become(admin, BROKERS_USER, BROKERS_GROUP);
		reg = open_as(name, K2K_ROLE_BROKER);
		broker_works(reg);
		cannot_write(".defs");
		assert_string_equal(find_mapping(".live.").rights, "rw-s");
		broker_works(reg);
		/* It is no administrator. */
		assert_int_equal(k2k_tenant_register(reg, 8, NULL), K2K_EROLE);
		struct k2k_registry *other;
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &other), K2K_EPERM);
		assert_false(other);
		assert_int_equal(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), K2K_EPERM);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	spawn_wait(broker);
	assert_int_equal(tenant_info(admin, TENANT).admitted_total, 2);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(a_broker_of_the_owner_itself_maps_definitions_read_only_too)
{
	struct k2k_registry *admin, *reg;
	const char *name = registry_with(0, 0, 0, &admin);
	pid_t broker = spawn();

	if (broker == 0) {
		reg = open_as(name, K2K_ROLE_BROKER);
		/* The child does not inherit the mapping of admin. */
		struct mapping mapping = find_mapping(".defs");
		assert_string_equal(mapping.rights, "r--s");
		assert_true(write_faults(mapping.start) &&
		            write_faults(mapping.start + mapping.bytes - 1));
		assert_true(mprotect(mapping.start, mapping.bytes, PROT_READ | PROT_WRITE) == -1 &&
		            errno == EACCES);
		broker_works(reg);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	spawn_wait(broker);
	close_and_destroy(name, &admin);
}

TEST(an_observer_with_rights_to_read_sees_everything_and_changes_nothing)
{
	struct k2k_registry *admin, *reg;
	const char *name = registry_with(K2K_CREATE_MODE, 0664, 0, &admin);
	struct k2k_audit_tag tag = { 1, 5 };
	struct gate ready, done;
	pid_t broker, observer;

	assert_int_equal(k2k_budget_set(admin, TENANT, 5, 1000), 0);
	gate_make(&ready);
	gate_make(&done);
	broker = spawn();
	if (broker == 0) {
		reg = open_as(name, K2K_ROLE_BROKER);
		assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
		assert_int_equal(k2k_message_admit(reg, TENANT, tag, 3, NULL), 0);
		assert_int_equal(k2k_usage_track(reg, TENANT, tag, 50), 0);
		gate_open(&ready);
		gate_wait(&done);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	gate_wait(&ready);
	observer = spawn();
	if (observer == 0) {
		struct k2k_broker_info brokers[2] = { { .size = sizeof brokers[0] } };
		struct k2k_budget_info budgets[2] = { { .size = sizeof budgets[0] } };
		struct k2k_lease_info leases[2] = { { .size = sizeof leases[0] } };
		struct k2k_usage_info usage[2] = { { .size = sizeof usage[0] } };
		struct k2k_registry_info info = { .size = sizeof info };
		struct k2k_verdict verdict = K2K_VERDICT_INIT;
		struct k2k_repair_info repaired = { .size = sizeof repaired };
		struct k2k_registry *other;
		size_t count;
		uint64_t ns;

		become(admin, NOBODY, NOBODY);
		reg = open_as(name, K2K_ROLE_OBSERVER);
		cannot_write(".defs");
		cannot_write(".live.");
		assert_int_equal(tenant_info(reg, TENANT).admitted_total, 3);
		assert_int_equal(tenant_info(reg, TENANT).kernels, 1);
		assert_int_equal(k2k_registry_info(reg, &info), 0);
		assert_int_equal(info.brokers, 1);
		assert_int_equal(info.defs_mode, 0644);
		assert_int_equal(info.live_mode, 0664);
		assert_int_equal(k2k_broker_list(reg, brokers, 2, &count), 0);
		assert_int_equal(count, 1);
		assert_int_equal(brokers[0].pid, (uint64_t)broker);
		assert_int_equal(brokers[0].kernels, 1);
		assert_int_equal(brokers[0].state, K2K_BROKER_ACTIVE);
		assert_int_equal(k2k_budget_list(reg, 0, budgets, 2, &count), 0);
		assert_int_equal(count, 1);
		assert_int_equal(budgets[0].used_ns, 50);
		assert_int_equal(k2k_lease_list(reg, 0, leases, 2, &count), 0);
		assert_int_equal(count, 1);
		assert_int_equal(leases[0].kernels, 1);
		assert_int_equal(k2k_usage_list(reg, 0, usage, 2, &count), 0);
		assert_int_equal(count, 1);
		assert_int_equal(usage[0].gpu_ns, 50);
		assert_int_equal(k2k_usage_engagement(reg, tag, &ns), 0);
		assert_int_equal(ns, 50);
		assert_int_equal(k2k_quota_check(reg, TENANT, tag, 1, &verdict), 0);
		check_clean(reg);
		/* An observer may peek, but not act. */
		assert_int_equal(k2k_message_admit(reg, TENANT, tag, 1, NULL), K2K_EROLE);
		assert_int_equal(k2k_message_record(reg, TENANT), K2K_EROLE);
		assert_int_equal(k2k_usage_track(reg, TENANT, tag, 1), K2K_EROLE);
		assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), K2K_EROLE);
		assert_int_equal(k2k_tenant_deregister(reg, TENANT, NULL), K2K_EROLE);
		assert_int_equal(k2k_registry_repair(reg, &repaired), K2K_EROLE);
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &other), K2K_EPERM);
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &other), K2K_EPERM);
		assert_int_equal(k2k_registry_destroy(name, 0, NULL), K2K_EPERM);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	spawn_wait(observer);
	gate_open(&done);
	spawn_wait(broker);
	assert_int_equal(tenant_info(admin, TENANT).admitted_total, 3);
	close_and_destroy(name, &admin);
}

TEST(a_stranger_without_rights_is_refused_and_leaves_nothing)
{
	struct k2k_registry *admin;
	const char *name = registry_with(0, 0, 0, &admin);
	pid_t stranger = spawn();

	if (stranger == 0) {
		static const enum k2k_role roles[] = { K2K_ROLE_OBSERVER, K2K_ROLE_BROKER,
			                               K2K_ROLE_ADMIN };
		struct k2k_registry *reg;

		become(admin, NOBODY, NOBODY);
		for (size_t i = 0; i < 3; i++) {
			assert_int_equal(k2k_registry_open(name, roles[i], NULL, &reg), K2K_EPERM);
			assert_false(reg);
		}
		/* The name is taken, whoever creates it. */
		assert_int_equal(k2k_registry_create(name, NULL, NULL), K2K_EEXIST);
		assert_int_equal(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), K2K_EPERM);
		exit(0);
	}
	spawn_wait(stranger);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(a_registry_of_a_strange_owner_is_refused_unless_that_owner_is_named)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	struct k2k_registry *reg;
	const char *name = fresh_registry();
	pid_t owner, user;

	if (geteuid() != 0)
		skip_msg("needs root");
	owner = spawn();
	if (owner == 0) {
		struct k2k_create_options sizes = K2K_CREATE_OPTIONS_INIT;

		become(NULL, BROKERS_USER, BROKERS_GROUP);
		sizes.flags = K2K_CREATE_MODE;
		sizes.mode = 0666;
		sizes.max_tenants = sizes.max_engagements = sizes.max_kernels = sizes.max_budgets =
			sizes.max_leases = 4;
		assert_int_equal(k2k_registry_create(name, &sizes, &reg), 0);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	spawn_wait(owner);
	user = spawn();
	if (user == 0) {
		become(NULL, NOBODY, NOBODY);
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg), K2K_EOWNER);
		assert_int_equal(k2k_error_detail()->found, BROKERS_USER);
		options.flags = K2K_OPEN_OWNER_UID;
		options.owner_uid = NOBODY;
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &reg),
		                 K2K_EOWNER);
		options.owner_uid = BROKERS_USER;
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &reg), 0);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	spawn_wait(user);
	options.flags = K2K_OPEN_OWNER_UID;
	options.owner_uid = BROKERS_USER;
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), K2K_EOWNER);
	assert_int_equal(k2k_registry_destroy(name, 0, &options), 0);
	check_nothing_left(name);
}

/*
 * Takes a shared lock on all bytes of the file except the one that another process has locked for
 * writing.
 */
static void lock_around(int fd)
{
	struct flock taken = { .l_type = F_RDLCK, .l_whence = SEEK_SET }, part = taken;

	assert_int_equal(fcntl(fd, F_OFD_GETLK, &taken), 0);
	if (taken.l_type != F_UNLCK) {
		part.l_len = taken.l_start;
		assert_int_equal(fcntl(fd, F_OFD_SETLK, &part), 0);
		part.l_start = taken.l_start + 1;
		part.l_len = 0;
	}
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &part), 0);
}

TEST(a_reader_that_locks_everything_is_named_and_harms_no_count)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	struct k2k_registry *admin, *other;
	const char *name = registry_with(K2K_CREATE_MODE, 0664, 0, &admin);
	struct gate ready;
	pid_t locker;

	gate_make(&ready);
	locker = spawn();
	if (locker == 0) {
		static const char *const parts[] = { ".defs", ".live." };

		become(admin, NOBODY, NOBODY);
		struct k2k_registry *reg = open_as(name, K2K_ROLE_OBSERVER);
		for (int i = 0; i < 2; i++) {
			int fd = open(find_mapping(parts[i]).path, O_RDONLY);

			assert_true(fd >= 0);
			lock_around(fd);
		}
		assert_true(reg);
		gate_open(&ready);
		for (;;)
			pause();
	}
	gate_wait(&ready);
	options.timeout_ns = 50000000;
	options.flags = K2K_OPEN_TIMEOUT;
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_ADMIN, &options, &other), K2K_EBUSY);
	assert_int_equal(k2k_error_detail()->pid, (uint64_t)locker);
	/* The lock makes no broker appear alive. */
	assert_int_equal(brokers_alive(admin), 0);
	struct k2k_registry *reg;
	pid_t broker = spawn();
	if (broker == 0) {
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg), K2K_EBUSY);
		exit(0);
	}
	spawn_wait(broker);
	spawn_kill(locker);
	WAIT_UNTIL(k2k_registry_open(name, K2K_ROLE_ADMIN, &options, &other) == 0, PATIENCE_S);
	assert_int_equal(k2k_tenant_register(other, 9, NULL), 0);
	assert_int_equal(k2k_registry_close(&other), 0);
	close_and_destroy(name, &admin);
}
