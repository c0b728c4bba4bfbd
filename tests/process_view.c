/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_view - handles of a process that sees less of the system than when it opened them
 *
 * A handle keeps working: it already holds what it needs of the system. A registry counts as gone
 * only if it is gone, and that is noticed wherever its path leads. If something that the library
 * can't do without is missing, open refuses and names it.
 *
 * Needs root.
 */
#include "process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/syscall.h>

enum { TENANT = 7, STRANGER = 54321, LOOK_MS = 1200 };

struct handles {
	struct k2k_registry *admin, *broker, *observer;
};

static void open_all(const char *name, struct handles *handles)
{
	handles->admin = open_as(name, K2K_ROLE_ADMIN);
	handles->broker = open_as(name, K2K_ROLE_BROKER);
	handles->observer = open_as(name, K2K_ROLE_OBSERVER);
}

static void use_names(const struct handles *handles)
{
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;
	struct k2k_route route = K2K_ROUTE_INIT;
	size_t count;

	assert_int_equal(k2k_kernel_add(handles->broker, "a", TENANT, no_tag, NULL, NULL), 0);
	assert_int_equal(k2k_kernel_add(handles->broker, "b", TENANT, no_tag, NULL, NULL),
	                 K2K_EKERNELS);
	assert_int_equal(k2k_kernel_find(handles->observer, "a", &info), 0);
	assert_int_equal(k2k_message_route(handles->broker, "a", "a", no_tag, 1, &route, NULL), 0);
	assert_int_equal(k2k_kernel_list(handles->observer, TENANT, NULL, 0, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(k2k_kernel_remove(handles->broker, "a"), 0);
}

static void use_reservations(const struct handles *handles)
{
	struct k2k_reservation reservation = K2K_RESERVATION_INIT;
	uint64_t ns;

	assert_int_equal(k2k_usage_reserve(handles->broker, TENANT, no_tag, 5, &reservation, NULL),
	                 0);
	assert_int_equal(k2k_usage_reserved(handles->observer, TENANT, no_tag, &ns), 0);
	assert_int_equal(ns, 5);
	assert_int_equal(k2k_usage_commit(handles->broker, &reservation, 2), 0);
	assert_int_equal(k2k_usage_correct(handles->admin, TENANT, no_tag, -1, "a test", 0), 0);
}

static void use_shares(const struct handles *handles)
{
	struct k2k_shares shares = K2K_SHARES_INIT;

	assert_int_equal(k2k_shares_get(handles->observer, &shares), 0);
	assert_int_equal(k2k_shares_hold(handles->admin, shares.epoch + 1, 0), 0);
	assert_int_equal(k2k_shares_hold(handles->admin, shares.epoch + 1, shares.now_ns + 1), 0);
}

/*
 * Makes each kind of call, until the library has checked again whether the registry still exists.
 */
static void use_all(const struct handles *handles)
{
	uint64_t end = now_ns() + LOOK_MS * UINT64_C(1000000);

	for (uint64_t rounds = 1; rounds < 5 || now_ns() < end; rounds++) {
		struct k2k_registry_info info = { .size = sizeof info };
		struct k2k_tenant_totals totals = { .size = sizeof totals };
		struct k2k_lease lease = K2K_LEASE_INIT;

		assert_int_equal(k2k_message_admit(handles->broker, TENANT, no_tag, 1, NULL), 0);
		assert_int_equal(k2k_usage_track(handles->broker, TENANT, no_tag, 1), 0);
		assert_int_equal(k2k_kernel_acquire(handles->broker, TENANT, &lease, NULL), 0);
		assert_int_equal(k2k_kernel_acquire(handles->broker, TENANT, NULL, NULL),
		                 K2K_EKERNELS);
		assert_int_equal(k2k_kernel_release(handles->broker, &lease), 0);
		use_names(handles);
		use_reservations(handles);
		use_shares(handles);
		assert_int_equal(k2k_tenant_drain(handles->admin, TENANT, UINT64_MAX), 0);
		assert_int_equal(k2k_tenant_resume(handles->admin, TENANT), 0);
		assert_int_equal(k2k_budget_set(handles->admin, TENANT, 1, rounds), 0);
		register_tenant(handles->admin, 8, 10, 1);
		assert_int_equal(k2k_tenant_deregister(handles->admin, 8, &totals), 0);
		assert_int_equal(totals.final, 1);
		assert_int_equal(k2k_registry_info(handles->observer, &info), 0);
		assert_int_equal(info.brokers, 1);
		assert_int_equal(info.defs_mode, 0640);
		assert_true(broker_state(handles->observer, getpid()) == K2K_BROKER_ACTIVE ||
		            broker_state(handles->observer, getpid()) == K2K_BROKER_UNKNOWN);
		check_clean(handles->admin);
		pause_ns(1000000);
	}
}

static void close_all(struct handles *handles)
{
	assert_int_equal(k2k_registry_close(&handles->observer), 0);
	assert_int_equal(k2k_registry_close(&handles->broker), 0);
	assert_int_equal(k2k_registry_close(&handles->admin), 0);
}

static const char *registry_for_all(struct k2k_registry **admin)
{
	const char *name;

	if (geteuid() != 0)
		skip_msg("needs root");
	name = small_registry(4, admin);
	register_tenant(*admin, TENANT, K2K_UNLIMITED, 1);
	return name;
}

/* ---- views ---------------------------------------------------------------------------------- */

static void own_mounts(void)
{
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		skip_msg("no mount namespace can be made here");
}

static void hide(const char *folder)
{
	assert_int_equal(mount("hidden", folder, "tmpfs", 0, ""), 0);
}

static void enter_chroot(void)
{
	assert_true(chroot(test_dir()) == 0 && chdir("/") == 0);
}

/* The path leads to a file, but not to ours. */
static void enter_chroot_with_another(void)
{
	char path[256];

	snprintf(path, sizeof path, "%s/dev", test_dir());
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof path, "%s/dev/shm", test_dir());
	assert_int_equal(mkdir(path, 0755), 0);
	for (unsigned int i = 0; i < 10; i++) {
		snprintf(path, sizeof path, "%s/dev/shm/k2k.test-%d-%u.defs", test_dir(),
		         harness_pid, i);
		close(open(path, O_WRONLY | O_CREAT, 0666));
	}
	enter_chroot();
}

static void drop_rights(void)
{
	assert_true(setgroups(0, NULL) == 0 && setgid(STRANGER) == 0 && setuid(STRANGER) == 0);
}

static void hide_shm(void)
{
	own_mounts();
	hide("/dev/shm");
}

static void hide_proc(void)
{
	own_mounts();
	hide("/proc");
}

static void close_from(void)
{
	close_range(3, ~0U, 0);
}

/* Uses the registry in that view; then the registry is removed outside, and this is noticed. */
static void works_in(void (*enter)(void))
{
	struct k2k_registry *admin;
	const char *name = registry_for_all(&admin);
	atomic_int *used = shared_bytes(sizeof *used);
	struct k2k_registry_info info = { .size = sizeof info };
	char path[256];
	pid_t pid;
	int status;

	assert_int_equal(k2k_registry_info(admin, &info), 0);
	pid = spawn();
	if (pid == 0) {
		struct handles handles;

		open_all(name, &handles);
		enter();
		use_all(&handles);
		atomic_store(used, 1);
		WAIT_UNTIL(k2k_message_admit(handles.broker, TENANT, no_tag, 1, NULL) ==
		                   K2K_EFENCED,
		           PATIENCE_S);
		WAIT_UNTIL(k2k_budget_set(handles.admin, TENANT, 1, 1) == K2K_EFENCED, PATIENCE_S);
		WAIT_UNTIL(k2k_registry_info(handles.observer, &info) == K2K_EFENCED, PATIENCE_S);
		close_all(&handles);
		_exit(0);
	}
	/* A failure in the child ends it, and then this process. */
	for (siginfo_t end = { 0 }; !end.si_pid && !atomic_load(used); pause_ns(1000000))
		assert_int_equal(waitid(P_PID, (id_t)pid, &end, WEXITED | WNOWAIT | WNOHANG), 0);
	check_clean(admin);
	assert_int_equal(k2k_registry_close(&admin), 0);
	snprintf(path, sizeof path, "/dev/shm/k2k.%s.live.%s", name, info.uuid);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof path, "/dev/shm/k2k.%s.defs", name);
	assert_int_equal(unlink(path), 0);
	status = spawn_status(pid);
	if (status == HARNESS_SKIPPED << 8)
		skip();
	assert_int_equal(status, 0);
}

TEST(in_a_chroot_handles_work_on_until_the_registry_is_removed)
{
	works_in(enter_chroot);
}

TEST(in_a_chroot_with_another_file_of_that_name_handles_work_on_until_the_registry_is_removed)
{
	works_in(enter_chroot_with_another);
}

TEST(as_another_user_handles_work_on_until_the_registry_is_removed)
{
	works_in(drop_rights);
}

TEST(with_another_dev_shm_handles_work_on_until_the_registry_is_removed)
{
	works_in(hide_shm);
}

TEST(without_proc_handles_work_on_until_the_registry_is_removed)
{
	works_in(hide_proc);
}

TEST(after_closefrom_handles_work_on_until_the_registry_is_removed)
{
	works_in(close_from);
}

TEST(without_proc_nothing_can_be_opened_and_the_error_says_so)
{
	struct k2k_registry *admin;
	const char *name = registry_for_all(&admin);
	pid_t pid = spawn();
	int status;

	if (pid == 0) {
		struct k2k_registry *reg;

		hide_proc();
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg), K2K_EIO);
		assert_string_equal(k2k_error_detail()->object, "/proc");
		assert_int_equal(k2k_registry_create(fresh_registry(), NULL, NULL), K2K_EIO);
		assert_string_equal(k2k_error_detail()->object, "/proc");
		assert_int_equal(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), K2K_EIO);
		assert_string_equal(k2k_error_detail()->object, "/proc");
		_exit(0);
	}
	status = spawn_status(pid);
	if (status == HARNESS_SKIPPED << 8)
		skip();
	assert_int_equal(status, 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* ---- another boot id ------------------------------------------------------------------------- */

static void show_another_boot_id(void)
{
	char path[128];
	FILE *file;

	own_mounts();
	snprintf(path, sizeof path, "%s/boot_id", test_dir());
	file = fopen(path, "w");
	assert_true(file);
	fputs("01234567-89ab-cdef-0123-456789abcdef\n", file);
	fclose(file);
	assert_int_equal(mount(path, "/proc/sys/kernel/random/boot_id", NULL, MS_BIND, NULL), 0);
}

TEST(whatever_boot_id_is_shown_a_registry_with_a_living_user_is_used_and_not_removed)
{
	struct k2k_registry *admin;
	const char *name = registry_for_all(&admin);
	pid_t pid = spawn();
	int status;

	if (pid == 0) {
		struct k2k_registry *before = open_as(name, K2K_ROLE_OBSERVER);
		struct handles handles;
		pid_t broker;
		struct gate ready;
		int lives;

		gate_make(&ready);
		broker = spawn();
		if (broker == 0) {
			struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

			gate_open(&ready);
			for (;;)
				pause();
			_exit(k2k_registry_close(&reg));
		}
		gate_wait(&ready);
		show_another_boot_id();
		assert_int_equal(k2k_registry_destroy(name, 0, NULL), K2K_EBUSY);
		assert_int_equal(k2k_error_detail()->pid, (uint64_t)broker);
		kill_broker(before, broker);
		/* The parent's administrator handle counts as a user, too. */
		open_all(name, &handles);
		assert_int_equal(k2k_message_admit(handles.broker, TENANT, no_tag, 1, NULL), 0);
		assert_int_equal(k2k_registry_destroy(name, 0, NULL), K2K_EBUSY);
		close_all(&handles);
		assert_int_equal(objects_of(name, &lives), 1);
		assert_int_equal(lives, 1);
		_exit(0);
	}
	status = spawn_status(pid);
	if (status == HARNESS_SKIPPED << 8)
		skip();
	assert_int_equal(status, 0);
	check_clean(admin);
	assert_int_equal(k2k_registry_close(&admin), 0);
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *reg;

		show_another_boot_id();
		/* Nobody uses it: it is left from another boot. */
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg), K2K_EBOOT);
		assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
		_exit(0);
	}
	spawn_wait(pid);
	check_nothing_left(name);
}

/* ---- system calls that are refused ----------------------------------------------------------- */

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#define ARCH 0
#endif

/* For all threads: the result of the listed system calls, and that of all others. */
static void filter(const int *calls, size_t count, unsigned int listed, unsigned int others)
{
	struct sock_filter code[200] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	};
	struct sock_fprog program = { 0, code };
	unsigned short at = 4;

	if (!ARCH)
		skip_msg("no filter for this architecture");
	for (size_t i = 0; i < count; i++) {
		code[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
		                                          (unsigned int)calls[i], 0, 1);
		code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, listed);
	}
	code[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, others);
	program.len = at;
	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
		skip_msg("no seccomp here: %s", strerror(errno));
}

#define CALLS(...) (int[]){ __VA_ARGS__ }, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int)
#define REFUSE(error, ...) \
	filter(CALLS(__VA_ARGS__), SECCOMP_RET_ERRNO | (error), SECCOMP_RET_ALLOW)
#define ALLOW(...) filter(CALLS(__VA_ARGS__), SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EPERM)

/* The system calls that lib/README.md lists, and those that this program needs. */
#define OF_THE_TEST                                                                   \
	SYS_write, SYS_exit_group, SYS_getpid, SYS_nanosleep, SYS_gettid, SYS_tgkill, \
		SYS_rt_sigaction, SYS_writev
#define AFTER_OPEN                                                                               \
	SYS_futex, SYS_fcntl, SYS_fstat, SYS_newfstatat, SYS_clock_nanosleep, SYS_clock_gettime, \
		SYS_clock_getres, SYS_membarrier, SYS_mmap, SYS_munmap, SYS_madvise, SYS_brk,    \
		SYS_close, SYS_exit, SYS_rt_sigprocmask
#ifdef SYS_unlink
#define OLD_FORM(call) SYS_##call
#else
#define OLD_FORM(call) SYS_##call##at
#endif
#define TO_OPEN                                                                                   \
	SYS_clone3, SYS_clone, SYS_rseq, SYS_set_robust_list, SYS_mprotect, SYS_close_range,      \
		SYS_openat, SYS_read, OLD_FORM(readlink), SYS_getdents64, SYS_pread64, SYS_prctl, \
		SYS_getpid, SYS_getrandom
#define TO_CREATE SYS_statfs, SYS_fchmod, SYS_fchown, SYS_fallocate, SYS_linkat, OLD_FORM(unlink)

static void in_child(void (*work)(const char *name))
{
	struct k2k_registry *admin;
	const char *name = registry_for_all(&admin);
	pid_t pid = spawn();
	int status;

	if (pid == 0) {
		work(name);
		_exit(0);
	}
	status = spawn_status(pid);
	if (status == HARNESS_SKIPPED << 8)
		skip();
	assert_int_equal(status, 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

static void use_without_opening(const char *name)
{
	struct handles handles;
	struct k2k_registry *reg;

	open_all(name, &handles);
	REFUSE(EPERM, SYS_openat, SYS_unshare, SYS_close_range, SYS_mmap, SYS_clone, SYS_clone3,
	       SYS_getrandom, SYS_madvise);
	use_all(&handles);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg), K2K_EIO);
	close_all(&handles);
}

TEST(a_sandbox_entered_after_open_may_refuse_to_open_files_to_map_memory_and_to_start_threads)
{
	in_child(use_without_opening);
}

static void use_without_membarrier(const char *name)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	struct handles handles;
	struct k2k_registry *reg;

	open_all(name, &handles);
	REFUSE(EPERM, SYS_membarrier);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(k2k_message_admit(handles.broker, TENANT, no_tag, 1, NULL), 0);
		quota.max_messages_per_sec = (uint64_t)(i + 1000000);
		assert_int_equal(k2k_tenant_update(handles.admin, TENANT, &quota, K2K_UPDATE_RATE),
		                 0);
	}
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg), K2K_EIO);
	assert_contains(k2k_error_detail()->text, "membarrier");
}

TEST(a_sandbox_entered_after_open_that_refuses_membarrier_delays_reuse_and_refuses_another_open)
{
	in_child(use_without_membarrier);
}

static void use_by_the_list(const char *name)
{
	struct handles handles;

	open_all(name, &handles);
	ALLOW(OF_THE_TEST, AFTER_OPEN);
	use_all(&handles);
	close_all(&handles);
}

static void open_by_the_list(const char *name)
{
	struct handles handles;

	ALLOW(OF_THE_TEST, AFTER_OPEN, TO_OPEN);
	open_all(name, &handles);
	use_all(&handles);
	close_all(&handles);
}

static void create_by_the_list(const char *name HARNESS_USED)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct handles handles;

	name = fresh_registry();
	ALLOW(OF_THE_TEST, AFTER_OPEN, TO_OPEN, TO_CREATE);
	options.flags = K2K_CREATE_GROUP;
	options.max_tenants = options.max_engagements = options.max_kernels = options.max_budgets =
		16;
	assert_int_equal(k2k_registry_create(name, &options, NULL), 0);
	open_all(name, &handles);
	register_tenant(handles.admin, TENANT, K2K_UNLIMITED, 1);
	use_all(&handles);
	close_all(&handles);
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
}

TEST(a_sandbox_may_allow_just_the_system_calls_that_are_documented)
{
	in_child(use_by_the_list);
	in_child(open_by_the_list);
	in_child(create_by_the_list);
}

/* Not in a child of a process that has used the library: there the choice is already made. */
TEST(close_range_and_membarrier_may_be_missing_from_the_beginning)
{
	const char *name = fresh_registry();
	struct handles handles;
	pid_t pid = spawn();

	if (pid == 0) {
		struct k2k_registry *admin;
		struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

		options.max_tenants = options.max_engagements = options.max_kernels =
			options.max_budgets = 16;
		assert_int_equal(k2k_registry_create(name, &options, &admin), 0);
		register_tenant(admin, TENANT, K2K_UNLIMITED, 1);
		_exit(0);
	}
	spawn_wait(pid);
	REFUSE(ENOSYS, SYS_close_range, SYS_membarrier, SYS_clone3);
	open_all(name, &handles);
	use_all(&handles);
	close_all(&handles);
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), 0);
	check_nothing_left(name);
}

static void expect_refusal(const char *name, int code, const char *part)
{
	for (enum k2k_role role = K2K_ROLE_ADMIN; role <= K2K_ROLE_OBSERVER; role++) {
		struct k2k_registry *reg;

		assert_int_equal(k2k_registry_open(name, role, NULL, &reg), code);
		assert_null(reg);
		assert_int_equal(k2k_error_detail()->system_errno, EPERM);
		assert_contains(k2k_error_detail()->text, part);
	}
	assert_int_equal(k2k_registry_create(fresh_registry(), NULL, NULL), code);
	assert_contains(k2k_error_detail()->text, part);
}

static void open_without_a_table(const char *name)
{
	REFUSE(EPERM, SYS_close_range, SYS_unshare);
	expect_refusal(name, K2K_EIO, "close_range");
}

static void open_without_threads(const char *name)
{
	REFUSE(EPERM, SYS_clone, SYS_clone3);
	expect_refusal(name, K2K_ENOMEM, "thread");
}

static void open_without_files(const char *name)
{
	REFUSE(EPERM, SYS_openat);
	expect_refusal(name, K2K_EIO, "can't open /");
}

TEST(what_the_library_cant_do_without_is_refused_at_open_by_name)
{
	in_child(open_without_a_table);
	in_child(open_without_threads);
	in_child(open_without_files);
}
