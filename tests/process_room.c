/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* process_room.c - a full file system, and system calls that fail. */
#include "files_fixture.h"

#include <fcntl.h>

/* ---- a private file system under /dev/shm ---------------------------------------------------- */

static void own_shm(unsigned long flags, const char *options)
{
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("k2k-test", "/dev/shm", "tmpfs", flags, options) != 0)
		skip_msg("needs the right to mount");
	name = fresh_registry();
}

static uint64_t shm_free(void)
{
	struct statvfs fs;

	assert_int_equal(statvfs("/dev/shm", &fs), 0);
	return (uint64_t)fs.f_bavail * fs.f_frsize;
}

static void create_fails(int code, const char *what)
{
	static struct traces before;
	struct k2k_registry *reg = (struct k2k_registry *)&before;
	uint64_t is_free = shm_free();

	traces_take(&before, "k2k");
	CHECK_CODE(k2k_registry_create(name, &small, &reg), code, "%s", what);
	assert_null(reg);
	assert_int_equal(k2k_error_detail()->code, code);
	CHECK_TRACES(&before, "k2k", what);
	assert_int_equal(shm_free(), is_free);
}

TEST(a_shared_memory_file_system_that_is_too_small_is_named_with_both_sizes)
{
	struct k2k_registry_plan plan = { .size = sizeof plan };

	own_shm(0, "size=32k");
	assert_int_equal(k2k_registry_plan(&small, &plan), 0);
	assert_int_equal(plan.shm_free_bytes, 32768);
	assert_true(plan.total_bytes > 32768);
	create_fails(K2K_ENOMEM, "a tiny file system");
	assert_int_equal(k2k_error_detail()->expected, plan.total_bytes);
	assert_int_equal(k2k_error_detail()->found, 32768);
	assert_contains(k2k_error_detail()->text, "/dev/shm");
	assert_contains(k2k_error_detail()->text, "32768");
}

/* Wrappers of the real calls that interfere before the n-th. */
static int before_fallocate; /* the n-th call fills the file system first */
static bool threads_fail;
static int filler;

static int filling_fallocate(int fd, int mode, off64_t offset, off64_t length)
{
	if (before_fallocate && --before_fallocate == 0) {
		char page[4096] = "";

		filler = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		assert_true(filler >= 0);
		while (write(filler, page, sizeof page) > 0)
			;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, length);
}

int fallocate(int fd, int mode, off_t offset, off_t length);
int fallocate(int fd, int mode, off_t offset, off_t length)
{
	return filling_fallocate(fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length);
int fallocate64(int fd, int mode, off64_t offset, off64_t length)
{
	return filling_fallocate(fd, mode, offset, length);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *argument)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
	            void *) = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
	                               void *))dlsym(RTLD_NEXT, "pthread_create");

	return threads_fail ? EAGAIN : real(thread, attributes, run, argument);
}

TEST(a_file_system_that_fills_up_meanwhile_is_out_of_memory_too)
{
	struct k2k_registry_plan plan = { .size = sizeof plan };

	own_shm(0, "size=1m");
	assert_int_equal(k2k_registry_plan(&small, &plan), 0);
	for (int n = 1; n <= 2; n++) {
		static struct traces before;
		struct k2k_registry *reg;

		before_fallocate = n;
		traces_take(&before, "k2k");
		CHECK_CODE(k2k_registry_create(name, &small, &reg), K2K_ENOMEM,
		           "filled before reservation %d", n);
		assert_true(reg == NULL && before_fallocate == 0);
		CHECK_TRACES(&before, "k2k", "a file system that filled up");
		/*
		 * The file that fills it is open in a thread's table, and goes when that thread has
		 * ended.
		 */
		WAIT_UNTIL(shm_free() == 1 << 20, PATIENCE_S);
		/* The needed and the free bytes, here too. */
		assert_int_equal(k2k_error_detail()->expected, plan.total_bytes);
		assert_true(k2k_error_detail()->found < plan.total_bytes);
	}
	assert_int_equal(k2k_registry_create(name, &small, NULL), 0);
}

TEST(a_file_system_without_inodes_is_out_of_room)
{
	int made = 0;

	own_shm(0, "size=1m,nr_inodes=1");
	create_fails(K2K_ENOMEM, "no inodes");
	for (int inodes = 2; inodes < 8 && !made; inodes++) {
		char options[64];

		snprintf(options, sizeof options, "remount,size=1m,nr_inodes=%d", inodes);
		assert_int_equal(mount("k2k-test", "/dev/shm", "tmpfs", MS_REMOUNT, options + 8),
		                 0);
		if (k2k_registry_create(name, &small, NULL) == 0)
			made = 1;
		else
			create_fails(K2K_ENOMEM, options);
	}
	assert_true(made);
	accepted("enough inodes");
}

TEST(a_file_system_that_is_read_only_or_missing_is_told)
{
	static struct traces before;

	own_shm(MS_RDONLY, "size=1m");
	create_fails(K2K_EPERM, "read-only");
	refused(K2K_ENOREGISTRY, "read-only");
	assert_int_equal(umount("/dev/shm"), 0);
	assert_int_equal(mount("k2k-test", "/dev", "tmpfs", 0, "size=64k"), 0);
	traces_take(&before, name);
	CHECK_CODE(k2k_registry_create(name, &small, NULL), K2K_EIO, "no /dev/shm");
	CHECK_CODE(k2k_registry_plan(
			   NULL,
			   &(struct k2k_registry_plan){ .size = sizeof(struct k2k_registry_plan) }),
	           K2K_EIO, "plan");
	CHECK_TRACES(&before, name, "no /dev/shm");
}

TEST(a_device_is_no_registry_even_where_devices_are_not_opened)
{
	own_shm(MS_NODEV, "size=1m");
	assert_int_equal(k2k_registry_create(name, &small, NULL), 0);
	bytes_open(&bytes, name);
	assert_int_equal(unlink(bytes.defs_path), 0);
	if (mknod(bytes.defs_path, S_IFCHR | 0600, makedev(1, 3)) != 0)
		skip_msg("can't make devices");
	refused(K2K_EOWNER, "a device on a file system without devices");
}

/*
 * ---- system calls that fail -------------------------------------------------------------------
 */

static void spare_descriptors(int n)
{
	struct rlimit limit;
	int fd;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 256;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	fd = dup(2);
	assert_true(fd >= 0);
	close(fd);
	limit.rlim_cur = (rlim_t)(fd + n);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

TEST(without_descriptors_create_and_open_leave_nothing)
{
	static struct traces before;
	bool opened = false, created = false;

	set_up();
	for (int n = 0; n < 10; n++)
		for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++) {
			struct k2k_registry *reg;
			int code;

			traces_take(&before, name);
			spare_descriptors(n);
			code = k2k_registry_open(name, (enum k2k_role)role, NULL, &reg);
			if (code)
				CHECK_CODE(code, K2K_EIO, "open as %s with %d descriptors",
				           role_name(role), n);
			else
				assert_int_equal(k2k_registry_close(&reg), 0);
			spare_descriptors(100);
			CHECK_TRACES(&before, name, "open with few descriptors");
			opened = code == 0;
		}
	assert_true(opened);
	name = fresh_registry();
	for (int n = 0; n < 12; n++) {
		struct k2k_registry *reg = (struct k2k_registry *)&before;
		int code;

		traces_take(&before, name);
		spare_descriptors(n);
		code = k2k_registry_create(name, &small, &reg);
		if (code) {
			CHECK_CODE(code, K2K_EIO, "create with %d descriptors", n);
			assert_null(reg);
			spare_descriptors(100);
		} else {
			spare_descriptors(100);
			assert_int_equal(k2k_registry_close(&reg), 0);
			assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
		}
		CHECK_TRACES(&before, name, "create with few descriptors");
		created = code == 0;
	}
	assert_true(created);
}

TEST(a_change_needs_no_descriptor)
{
	struct k2k_registry *reg;
	int registered;

	set_up();
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &reg), 0);
	spare_descriptors(0);
	assert_int_equal(k2k_tenant_register(reg, 5, NULL), 0); /* needs no descriptor */
	assert_int_equal(k2k_tenant_is_registered(reg, 5, &registered), 0);
	assert_int_equal(registered, 1);
	assert_int_equal(k2k_tenant_deregister(reg, 5, NULL), 0);
	spare_descriptors(100);
	assert_int_equal(k2k_tenant_register(reg, 5, NULL), 0);
	assert_int_equal(k2k_registry_close(&reg), 0);
}

TEST(without_address_space_open_leaves_nothing)
{
	struct k2k_registry *reg;
	struct k2k_create_options options = small;
	struct rlimit limit = { 0, RLIM_INFINITY };
	static struct traces before;
	char line[256];
	unsigned long pages;
	FILE *file;

	name = fresh_registry();
	options.max_engagements = 1 << 18;
	assert_int_equal(k2k_registry_create(name, &options, NULL), 0);
	/* The first handle makes what the process keeps. */
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_OBSERVER, NULL, &reg), 0);
	assert_int_equal(k2k_registry_close(&reg), 0);
	traces_take(&before, name);
	CHECK_TRACES(&before, name, "nothing");
	file = fopen("/proc/self/statm", "re");
	assert_true(file && fgets(line, sizeof line, file));
	fclose(file);
	pages = strtoul(line, NULL, 10);
	limit.rlim_cur = pages * 4096 + (4u << 20);
	assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
	for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
		CHECK_CODE(k2k_registry_open(name, (enum k2k_role)role, NULL, &reg), K2K_ENOMEM,
		           "open as %s", role_name(role));
	limit.rlim_cur = RLIM_INFINITY;
	assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
	CHECK_TRACES(&before, name, "open without address space");
}

TEST(a_broker_whose_helper_cannot_start_leaves_nothing)
{
	static struct traces before;
	struct k2k_registry *reg;

	set_up();
	traces_take(&before, name);
	threads_fail = true;
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg), K2K_ENOMEM);
	assert_null(reg);
	CHECK_TRACES(&before, name, "a broker without a helper");
	assert_int_equal(((struct k2k_shm_slot *)(void *)(bytes.live + 4096))->owner, 0);
	threads_fail = false;
	accepted("with threads");
}

/* A program may close all descriptors that it does not know, and reuse their numbers. */
TEST(a_program_that_closes_our_descriptors_loses_nothing)
{
	struct k2k_registry *handles[4], *watcher;
	struct k2k_broker_info list[2] = { { .size = sizeof list[0] } };
	struct gate closed, seen;
	size_t count;
	pid_t pid;

	set_up();
	gate_make(&closed);
	gate_make(&seen);
	pid = spawn();
	if (pid == 0) {
		int taken[16];

		for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
			assert_int_equal(
				k2k_registry_open(name, (enum k2k_role)role, NULL, &handles[role]),
				0);
		assert_int_equal(k2k_kernel_acquire(handles[K2K_ROLE_BROKER], 1, NULL, NULL), 0);
		assert_true(dup2(closed.fd[1], 900) >= 0 && dup2(seen.fd[0], 901) >= 0);
		assert_int_equal(syscall(SYS_close_range, 3, 899, 0), 0);
		for (int i = 0; i < 16; i++)
			taken[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
		closed.fd[1] = 900;
		seen.fd[0] = 901;
		gate_open(&closed);
		gate_wait(&seen);
		assert_int_equal(k2k_kernel_acquire(handles[K2K_ROLE_BROKER], 1, NULL, NULL), 0);
		assert_int_equal(k2k_tenant_register(handles[K2K_ROLE_ADMIN], 2, NULL), 0);
		assert_int_equal(k2k_broker_list(handles[K2K_ROLE_OBSERVER], list, 2, &count), 0);
		assert_int_equal(count, 1);
		assert_int_equal(list[0].state, K2K_BROKER_ACTIVE);
		assert_int_equal(list[0].kernels, 2);
		for (int role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++)
			assert_int_equal(k2k_registry_close(&handles[role]), 0);
		for (int i = 0; i < 16; i++)
			/* The library closed none of the program's. */
			assert_true(fcntl(taken[i], F_GETFD) >= 0);
		_exit(0);
	}
	gate_wait(&closed);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_OBSERVER, NULL, &watcher), 0);
	assert_int_equal(k2k_broker_list(watcher, list, 2, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(list[0].state, K2K_BROKER_ACTIVE);
	assert_int_equal(list[0].kernels, 1);
	gate_open(&seen);
	spawn_wait_within(pid, 20);
	assert_int_equal(k2k_registry_close(&watcher), 0);
}
