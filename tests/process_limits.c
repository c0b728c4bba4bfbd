/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_limits - a process at its resource limits: the error names the limit, nobody is killed,
 * and open handles keep working
 */
#include "process.h"

#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <sys/resource.h>

enum { TENANT = 7, STRANGER = 54321 };

static rlim_t set_limit(int resource, rlim_t value)
{
	struct rlimit limit;
	rlim_t before;

	assert_int_equal(getrlimit(resource, &limit), 0);
	before = limit.rlim_cur;
	limit.rlim_cur = value > limit.rlim_max ? limit.rlim_max : value;
	assert_int_equal(setrlimit(resource, &limit), 0);
	return before;
}

/* Returns how many bytes are mapped. */
static rlim_t size_now(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages;

	assert_true(file && fscanf(file, "%lu", &pages) == 1);
	fclose(file);
	return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/*
 * Root is not bound by limits on processes and locked memory, so the registry may be opened by
 * every user.
 */
static const char *open_registry(struct k2k_registry **admin)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	const char *name = fresh_registry();

	options.flags = K2K_CREATE_MODE;
	options.mode = 0666;
	options.max_tenants = options.max_engagements = options.max_kernels = options.max_budgets =
		16;
	assert_int_equal(k2k_registry_create(name, &options, admin), 0);
	register_tenant(*admin, TENANT, K2K_UNLIMITED, 1);
	return name;
}

static void become_stranger(void)
{
	if (geteuid() != 0)
		skip_msg("needs root");
	assert_true(setgroups(0, NULL) == 0 && setgid(STRANGER) == 0 && setuid(STRANGER) == 0);
}

static void use(struct k2k_registry *broker)
{
	struct k2k_registry_info info = { .size = sizeof info };
	struct k2k_lease lease = K2K_LEASE_INIT;

	assert_int_equal(k2k_message_admit(broker, TENANT, no_tag, 1, NULL), 0);
	assert_int_equal(k2k_usage_track(broker, TENANT, no_tag, 1), 0);
	assert_int_equal(k2k_kernel_acquire(broker, TENANT, &lease, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(broker, TENANT, NULL, NULL), K2K_EKERNELS);
	assert_int_equal(k2k_kernel_release(broker, &lease), 0);
	assert_int_equal(k2k_registry_info(broker, &info), 0);
}

/*
 * In a child: under the limit the open is refused with the limit's name; a second try without the
 * limit succeeds.
 */
static void refused(const char *name, int resource, rlim_t value, int code, const char *limit)
{
	struct k2k_registry *reg;
	rlim_t before = set_limit(resource, value);
	int answer = k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg);
	struct k2k_error_detail detail = *k2k_error_detail();

	set_limit(resource, before);
	if (answer != code || detail.code != code || !strstr(detail.text, limit))
		fail_msg("%s: %s (%s)", limit, k2k_errname(answer), detail.text);
	assert_null(reg);
	reg = open_as(name, K2K_ROLE_BROKER);
	use(reg);
	assert_int_equal(k2k_registry_close(&reg), 0);
}

static void conclude(pid_t pid, const char *name, struct k2k_registry *admin)
{
	int status = spawn_status(pid);

	if (status == HARNESS_SKIPPED << 8)
		skip();
	assert_int_equal(status, 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(what_open_is_refused_for_lack_of_names_the_limit)
{
	struct k2k_registry *admin;
	const char *name = open_registry(&admin);
	pid_t pid = spawn();

	if (pid == 0) {
		struct k2k_registry *warm = open_as(name, K2K_ROLE_BROKER);

		assert_int_equal(k2k_registry_close(&warm), 0);
		for (rlim_t descriptors = 0; descriptors < 6; descriptors++)
			refused(name, RLIMIT_NOFILE, descriptors, K2K_EIO, "RLIMIT_NOFILE");
		/*
		 * The C library reuses a cached stack, so only a limit this close to what is mapped
		 * makes the open fail.
		 */
		refused(name, RLIMIT_AS, size_now() + 4096, K2K_ENOMEM, "RLIMIT_AS");
		_exit(0);
	}
	conclude(pid, name, admin);
}

TEST(without_memory_for_a_thread_open_names_the_limits)
{
	struct k2k_registry *admin;
	const char *name = open_registry(&admin);
	pid_t pid = spawn();

	if (pid == 0) {
		struct k2k_registry *reg;
		int code = 0;

		/* The first opens use stacks that the C library caches from ended threads. */
		set_limit(RLIMIT_DATA, 4096); /* Linux treats 0 as no limit */
		for (int i = 0; !code && i < 30; i++)
			code = k2k_registry_open(name, K2K_ROLE_OBSERVER, NULL, &reg);
		assert_int_equal(code, K2K_ENOMEM);
		assert_contains(k2k_error_detail()->text, "RLIMIT_DATA");
		set_limit(RLIMIT_DATA, RLIM_INFINITY);
		use(open_as(name, K2K_ROLE_BROKER));
		_exit(0);
	}
	conclude(pid, name, admin);
}

TEST(without_processes_open_names_the_limit)
{
	struct k2k_registry *admin;
	const char *name = open_registry(&admin);
	pid_t pid = spawn();

	if (pid == 0) {
		become_stranger();
		refused(name, RLIMIT_NPROC, 0, K2K_ENOMEM, "RLIMIT_NPROC");
		_exit(0);
	}
	conclude(pid, name, admin);
}

TEST(a_process_that_locks_all_its_memory_is_told_of_that_limit)
{
	struct k2k_registry *admin;
	const char *name = open_registry(&admin);
	pid_t pid = spawn();

	if (pid == 0) {
		become_stranger();
		set_limit(RLIMIT_MEMLOCK, 1 << 16);
		if (mlockall(MCL_FUTURE) != 0)
			skip_msg("may not lock memory");
		for (int i = 0; i < 2; i++) {
			struct k2k_registry *reg;

			assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg),
			                 K2K_ENOMEM);
			assert_contains(k2k_error_detail()->text, "RLIMIT_MEMLOCK");
		}
		assert_int_equal(munlockall(), 0);
		refused(name, RLIMIT_NOFILE, 0, K2K_EIO, "RLIMIT_NOFILE");
		_exit(0);
	}
	conclude(pid, name, admin);
}

TEST(a_registry_that_is_larger_than_a_file_may_be_is_refused_and_nobody_is_killed)
{
	struct k2k_registry *reg = NULL;
	const char *name = fresh_registry();
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	rlim_t before = set_limit(RLIMIT_FSIZE, 4096);

	options.max_tenants = 16;
	assert_int_equal(k2k_registry_create(name, &options, &reg), K2K_ENOMEM);
	assert_contains(k2k_error_detail()->text, "RLIMIT_FSIZE");
	check_nothing_left(name);
	set_limit(RLIMIT_FSIZE, before);
	assert_int_equal(k2k_registry_create(name, &options, &reg), 0);
	/* files that exist already may be larger */
	set_limit(RLIMIT_FSIZE, 0);
	register_tenant(reg, TENANT, 10, 1);
	check_clean(reg);
	assert_int_equal(k2k_registry_close(&reg), 0);
	reg = open_as(name, K2K_ROLE_ADMIN);
	set_limit(RLIMIT_FSIZE, before);
	close_and_destroy(name, &reg);
}

/* The C library takes the stack size from RLIMIT_STACK when the program starts. */
static void default_stack(size_t bytes)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	if (pthread_attr_setstacksize(&attr, bytes) != 0 || pthread_setattr_default_np(&attr) != 0)
		fail_msg("can't set the default size of a stack");
	pthread_attr_destroy(&attr);
}

TEST(threads_of_the_library_have_a_stack_of_their_own_size)
{
	struct k2k_registry *admin;
	const char *name = open_registry(&admin);
	pid_t pid = spawn();

	if (pid == 0) {
		const size_t sizes[] = { (size_t)PTHREAD_STACK_MIN, (size_t)1 << 40 };

		for (int i = 0; i < 2; i++) {
			struct k2k_registry *reg;

			default_stack(sizes[i]);
			set_limit(RLIMIT_AS, size_now() + (1u << 30));
			reg = open_as(name, K2K_ROLE_BROKER);
			use(reg);
			assert_true(broker_state(reg, getpid()) == K2K_BROKER_ACTIVE);
			assert_int_equal(k2k_registry_close(&reg), 0);
			set_limit(RLIMIT_AS, RLIM_INFINITY);
		}
		_exit(0);
	}
	conclude(pid, name, admin);
}

TEST(a_handle_that_is_open_is_used_at_any_limit)
{
	static const int resources[] = { RLIMIT_NOFILE,     RLIMIT_FSIZE,    RLIMIT_NPROC,
		                         RLIMIT_MEMLOCK,    RLIMIT_STACK,    RLIMIT_DATA,
		                         RLIMIT_CORE,       RLIMIT_RSS,      RLIMIT_LOCKS,
		                         RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE,
		                         RLIMIT_RTPRIO };
	struct k2k_registry *admin;
	const char *name = open_registry(&admin);
	pid_t pid = spawn();

	if (pid == 0) {
		struct k2k_registry *writer = open_as(name, K2K_ROLE_ADMIN),
				    *broker = open_as(name, K2K_ROLE_BROKER);

		use(broker);
		become_stranger();
		for (size_t i = 0; i < sizeof resources / sizeof resources[0]; i++) {
			rlim_t before = set_limit(resources[i],
			                          resources[i] == RLIMIT_DATA ? 4096 : 0);
			struct k2k_tenant_totals totals = { .size = sizeof totals };

			register_tenant(writer, 8, K2K_UNLIMITED, 1);
			assert_int_equal(k2k_message_admit(broker, 8, no_tag, 1, NULL), 0);
			use(broker);
			assert_int_equal(k2k_tenant_deregister(writer, 8, &totals), 0);
			assert_true(totals.final && totals.admitted_total == 1);
			set_limit(resources[i], before);
		}
		assert_int_equal(k2k_registry_close(&broker), 0);
		assert_int_equal(k2k_registry_close(&writer), 0);
		_exit(0);
	}
	conclude(pid, name, admin);
}
