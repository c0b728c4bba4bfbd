/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_failures - each system call and each allocation of each public call fails once
 *
 * The caller is a child that makes all system calls in its one thread. Its parent traces it and
 * makes the n-th of them fail; allocations and threads fail by wrappers. Whatever fails: the call
 * returns a documented code and a detail that names the cause, the registry is clean, nothing is
 * left in the process, and a second try succeeds.
 */
#include "process.h"

#include "agent.h"

#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

enum { MOST = 1000, TENANT = 7, OTHER = 8, STRANGER = 54321 };

struct scene {
	const char *name;
	struct k2k_registry *admin, *broker, *observer;
	int kept; /* the first call had its effect, so the second must not repeat it */
};

struct outcome {
	atomic_int code, again, begun;
	atomic_ulong admitted, gpu_ns;
	int descriptors, mappings, threads; /* more than before the call */
	struct k2k_error_detail detail;
};
static struct outcome *outcome;

/* ---- allocations that fail ---------------------------------------------------------------- */

static unsigned int allocations, failing; /* counted from 1; 0: none fails */

static bool fails(void)
{
	if (!failing || ++allocations != failing)
		return false;
	errno = ENOMEM;
	return true;
}

#define WRAPPED(type, name, arguments, values, failed)          \
	type __real_##name arguments;                           \
	type __wrap_##name arguments;                           \
	type __wrap_##name arguments                            \
	{                                                       \
		return fails() ? failed : __real_##name values; \
	}

WRAPPED(void *, malloc, (size_t bytes), (bytes), NULL)
WRAPPED(void *, calloc, (size_t count, size_t bytes), (count, bytes), NULL)
WRAPPED(void *, realloc, (void *at, size_t bytes), (at, bytes), NULL)
WRAPPED(void *, aligned_alloc, (size_t alignment, size_t bytes), (alignment, bytes), NULL)
WRAPPED(FILE *, fopen, (const char *path, const char *mode), (path, mode), NULL)
WRAPPED(DIR *, opendir, (const char *path), (path), NULL)
WRAPPED(int, pthread_create,
        (pthread_t * thread, const pthread_attr_t *attr, void *(*run)(void *), void *context),
        (thread, attr, run, context), EAGAIN)

/* ---- the calls ------------------------------------------------------------------------------- */

static int close_kept(struct k2k_registry **reg)
{
	return *reg ? k2k_registry_close(reg) : 0;
}

static void have_admin(struct scene *scene)
{
	scene->admin = open_as(scene->name, K2K_ROLE_ADMIN);
}

static void have_tenant(struct scene *scene)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;
	struct k2k_budget budgets[] = { { 5, 1000 }, { 6, 1000 } };
	int code;

	have_admin(scene);
	quota.max_concurrent_kernels = 1;
	quota.budget_count = 2;
	quota.budgets = budgets;
	code = k2k_tenant_register(scene->admin, TENANT, &quota);
	assert_true(code == 0 || code == K2K_EEXIST);
}

static void have_broker(struct scene *scene)
{
	have_tenant(scene);
	scene->broker = open_as(scene->name, K2K_ROLE_BROKER);
	scene->observer = open_as(scene->name, K2K_ROLE_OBSERVER);
}

static void have_usage(struct scene *scene)
{
	have_broker(scene);
	for (int i = 0; i < 5; i++)
		assert_int_equal(k2k_message_admit(scene->broker, TENANT,
		                                   (struct k2k_audit_tag){ 1, 5 }, 1, NULL),
		                 0);
	assert_int_equal(
		k2k_usage_track(scene->broker, TENANT, (struct k2k_audit_tag){ 1, 5 }, 123), 0);
}

static void have_nothing(struct scene *scene)
{
	(void)scene;
}

static int create(struct scene *scene)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	if (scene->admin)
		return 0;
	options.max_tenants = options.max_engagements = options.max_kernels = options.max_budgets =
		options.max_leases = 4;
	options.max_audit_events = 4;
	return k2k_registry_create(scene->name, &options, &scene->admin);
}

static int plan(struct scene *scene)
{
	struct k2k_registry_plan plan = { .size = sizeof plan };

	(void)scene;
	return k2k_registry_plan(NULL, &plan);
}

static int destroy(struct scene *scene)
{
	return k2k_registry_destroy(scene->name, 0, NULL);
}

static int open_admin(struct scene *scene)
{
	return scene->admin ? 0
	                    : k2k_registry_open(scene->name, K2K_ROLE_ADMIN, NULL, &scene->admin);
}

static int open_broker(struct scene *scene)
{
	return scene->broker
	               ? 0
	               : k2k_registry_open(scene->name, K2K_ROLE_BROKER, NULL, &scene->broker);
}

static int open_observer(struct scene *scene)
{
	return scene->observer
	               ? 0
	               : k2k_registry_open(scene->name, K2K_ROLE_OBSERVER, NULL, &scene->observer);
}

static int close_all(struct scene *scene)
{
	int code = close_kept(&scene->broker);

	if (!code)
		code = close_kept(&scene->observer);
	return code ? code : close_kept(&scene->admin);
}

static int register_with_budgets(struct scene *scene)
{
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	struct k2k_budget budgets[] = { { 1, 10 }, { 2, 20 } };
	int code = 0;

	quota.budget_count = 2;
	quota.budgets = budgets;
	if (!scene->kept)
		code = k2k_tenant_register(scene->admin, OTHER, &quota);
	scene->kept = code == 0;
	return code;
}

static int update(struct scene *scene)
{
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	struct k2k_budget budgets[] = { { 5, (uint64_t)getpid() }, { 6, K2K_UNLIMITED } };

	quota.budget_count = 2;
	quota.budgets = budgets;
	return k2k_tenant_update(scene->admin, TENANT, &quota,
	                         K2K_UPDATE_RATE | K2K_UPDATE_BUDGETS);
}

static int set_budget(struct scene *scene)
{
	return k2k_budget_set(scene->admin, TENANT, 5, 1 + (uint64_t)getpid());
}

/* Each run takes a later epoch. */
static int hold_shares(struct scene *scene)
{
	struct k2k_shares shares = K2K_SHARES_INIT;
	int code = k2k_shares_get(scene->admin, &shares);

	return code ? code : k2k_shares_hold(scene->admin, shares.epoch + 1, 0);
}

/* A change that fails leaves the batch open: the handle's close ends it. */
static int change_in_batch(struct scene *scene)
{
	int code = k2k_batch_begin(scene->admin), end;

	if (code)
		return code;
	code = k2k_budget_set(scene->admin, TENANT, 5, 1 + (uint64_t)getpid());
	end = k2k_batch_end(scene->admin);
	return code ? code : end;
}

/* Also after an error: then the tenant is gone, and these totals are not final. */
static void note_totals(struct scene *scene, const struct k2k_tenant_totals *totals)
{
	if (scene->kept || !totals->admitted_total)
		return;
	atomic_store(&outcome->admitted, totals->admitted_total);
	atomic_store(&outcome->gpu_ns, totals->gpu_ns_total);
	scene->kept = 1;
}

static int deregister(struct scene *scene)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	int code = scene->kept ? 0 : k2k_tenant_deregister(scene->admin, TENANT, &totals);

	note_totals(scene, &totals);
	return code;
}

static int deregister_many(struct scene *scene)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	k2k_tenant_id id = TENANT;
	int code = scene->kept ? 0
	                       : k2k_tenant_deregister_many(scene->admin, &id, 1, &totals, NULL);

	note_totals(scene, &totals);
	return code;
}

static int restore(struct scene *scene)
{
	struct k2k_registry_info info = { .size = sizeof info };
	struct k2k_quota quota = K2K_QUOTA_STANDARD;
	struct k2k_budget budget = { 5, 1000 };
	struct k2k_budget_terms terms = { .renewal = K2K_RENEWAL_DAY };
	struct k2k_usage usage = { 5, 77 };
	struct k2k_tenant_image image = { .size = sizeof image,
		                          .id = OTHER,
		                          .quota = &quota,
		                          .usage = &usage,
		                          .usage_count = 1 };
	int code = scene->kept ? 0 : k2k_registry_info(scene->admin, &info);

	quota.budget_count = 1;
	quota.budgets = &budget;
	quota.budget_terms = &terms;
	image.generation = info.generation + 1;
	if (!code && !scene->kept)
		code = k2k_tenant_restore(scene->admin, &image);
	scene->kept = code == 0;
	return code;
}

static int correct_and_renew(struct scene *scene)
{
	const struct k2k_audit_tag tag = { 1, 5 };
	int code = k2k_budget_set_renewing(scene->admin, TENANT, 5, 1000, K2K_RENEWAL_DAY);

	if (!code)
		code = k2k_usage_correct(scene->admin, TENANT, tag, 7, "a wrong bill", 0);
	return code ? code : k2k_budget_renew(scene->admin, TENANT, tag);
}

static int suspend_and_drain(struct scene *scene)
{
	int code = k2k_tenant_suspend(scene->admin, TENANT);

	if (!code)
		code = k2k_tenant_drain(scene->admin, TENANT, UINT64_C(5000000000));
	return code ? code : k2k_tenant_resume(scene->admin, TENANT);
}

static int acquire_and_release(struct scene *scene)
{
	struct k2k_lease lease = K2K_LEASE_INIT;
	int code = k2k_kernel_acquire(scene->broker, TENANT, &lease, NULL);

	if (!code && k2k_kernel_acquire(scene->broker, TENANT, NULL, NULL) != K2K_EKERNELS)
		/*
		 * Granted beyond the limit, or an error other than a refusal: no documented code.
		 */
		code = 1;
	return code ? code : k2k_kernel_release(scene->broker, &lease);
}

static int admit(struct scene *scene)
{
	int code = k2k_message_admit(scene->broker, TENANT, no_tag, 1, NULL);

	return code ? code
	            : k2k_usage_track(scene->broker, TENANT, (struct k2k_audit_tag){ 1, 5 }, 1);
}

static int look(struct scene *scene)
{
	struct k2k_registry_info info = { .size = sizeof info };
	struct k2k_broker_info brokers[4] = { { .size = sizeof brokers[0] } };
	struct k2k_lease_info leases[4] = { { .size = sizeof leases[0] } };
	struct k2k_budget_info budgets[4] = { { .size = sizeof budgets[0] } };
	size_t count;
	int code = k2k_registry_info(scene->observer, &info);

	if (!code)
		code = k2k_broker_list(scene->observer, brokers, 4, &count);
	if (!code && brokers[0].state == K2K_BROKER_DEAD)
		code = 1; /* a living broker is taken for dead */
	if (!code)
		code = k2k_lease_list(scene->observer, TENANT, leases, 4, &count);
	return code ? code : k2k_budget_list(scene->observer, TENANT, budgets, 4, &count);
}

/* A kernel that is there stays there, and a living owner is not taken for dead. */
static int use_names(struct scene *scene)
{
	struct k2k_kernel_info info = K2K_KERNEL_INFO_INIT;
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct k2k_route route = K2K_ROUTE_INIT;
	size_t count = 0;
	int code = k2k_kernel_add(scene->broker, "a", TENANT, no_tag, NULL, &verdict);

	if (!code)
		code = k2k_kernel_find(scene->observer, "a", &info);
	if (!code)
		code = k2k_message_route(scene->broker, "a", "a", no_tag, 1, &route, NULL);
	if (!code)
		code = k2k_kernel_list(scene->observer, TENANT, NULL, 0, &count);
	if (!code && count != 1)
		code = 1;
	return code ? code : k2k_kernel_remove(scene->broker, "a");
}

static int reserve(struct scene *scene)
{
	struct k2k_reservation reservation = K2K_RESERVATION_INIT;
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	uint64_t ns = 0;
	int code = k2k_usage_reserve(scene->broker, TENANT, (struct k2k_audit_tag){ 1, 5 }, 10,
	                             &reservation, &verdict);

	if (!code)
		code = k2k_usage_reserved(scene->observer, TENANT, (struct k2k_audit_tag){ 1, 5 },
		                          &ns);
	if (!code && ns != 10)
		code = 1;
	return code ? code : k2k_usage_commit(scene->broker, &reservation, 1);
}

static int follow(struct scene *scene)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	struct k2k_audit_cursor cursor = K2K_AUDIT_CURSOR_INIT;
	struct k2k_audit_record record = { .size = sizeof record };
	struct k2k_registry *follower;
	size_t count;
	int code, closed;

	options.flags = K2K_OPEN_FOLLOWER;
	code = k2k_registry_open(scene->name, K2K_ROLE_OBSERVER, &options, &follower);
	if (code)
		return code;
	code = k2k_audit_read(follower, &cursor, 0, &record, 1, &count);
	if (!code)
		code = k2k_audit_kept(follower, &cursor, 0);
	if (!code)
		code = k2k_audit_wait(follower, &cursor, 0);
	closed = k2k_registry_close(&follower);
	return code ? code : closed;
}

static int check(struct scene *scene)
{
	struct k2k_finding finding = { .size = sizeof finding };
	size_t count = 0;
	int code = k2k_registry_check(scene->admin, &finding, 1, &count);

	return code ? code : (int)count;
}

static int repair(struct scene *scene)
{
	struct k2k_repair_info result = { .size = sizeof result };

	return k2k_registry_repair(scene->admin, &result);
}

static void hear(void *context, const struct k2k_audit_event *event)
{
	(void)context;
	(void)event;
}

static int set_sink(struct scene *scene)
{
	return k2k_registry_set_audit_sink(scene->broker, hear, NULL);
}

struct call {
	const char *name;
	void (*have)(struct scene *);
	int (*call)(struct scene *);
};

static const struct call calls_of_life[] = { { "plan", have_nothing, plan },
	                                     { "create", have_nothing, create },
	                                     { "open as ADMIN", have_nothing, open_admin },
	                                     { "open as BROKER", have_nothing, open_broker },
	                                     { "open as OBSERVER", have_nothing, open_observer },
	                                     { "close", have_broker, close_all },
	                                     { "destroy", have_nothing, destroy } };
static const struct call calls_of_changes[] = { { "register", have_admin, register_with_budgets },
	                                        { "update", have_tenant, update },
	                                        { "budget", have_tenant, set_budget },
	                                        { "shares", have_tenant, hold_shares },
	                                        { "batch", have_tenant, change_in_batch },
	                                        { "deregister", have_usage, deregister },
	                                        { "many", have_usage, deregister_many },
	                                        { "restore", have_admin, restore },
	                                        { "correct", have_usage, correct_and_renew },
	                                        { "drain", have_usage, suspend_and_drain },
	                                        { "repair", have_usage, repair } };
static const struct call calls_of_use[] = { { "acquire", have_broker, acquire_and_release },
	                                    { "admit", have_broker, admit },
	                                    { "names", have_broker, use_names },
	                                    { "reserve", have_broker, reserve },
	                                    { "follow", have_broker, follow },
	                                    { "look", have_usage, look },
	                                    { "check", have_usage, check },
	                                    { "sink", have_broker, set_sink } };

/* ---- what a process owns --------------------------------------------------------------------- */

static int count_entries(const char *folder)
{
	DIR *dir = opendir(folder);
	int count = 0;

	assert_true(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

static int count_registry_mappings(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];
	int count = 0;

	assert_true(file);
	while (fgets(line, sizeof line, file))
		count += strstr(line, "/dev/shm/") != NULL && strstr(line, "k2k.") != NULL;
	fclose(file);
	return count;
}

/* If the library can't wait for readers, close keeps everything until the process ends. */
static bool keeps_all(void)
{
	return strstr(outcome->detail.text, "membarrier") != NULL;
}

/* Runs in the child. The parent starts and ends its interference at each `stop`. */
static void play(const struct call *call, const char *name, unsigned int allocation,
                 void (*stop)(void))
{
	struct scene scene = { .name = name };
	struct k2k_registry *warm = NULL;
	int descriptors;

	/* Makes what the process allocates once and keeps. */
	if (k2k_registry_open(name, K2K_ROLE_OBSERVER, NULL, &warm) == 0)
		assert_int_equal(k2k_registry_close(&warm), 0);
	descriptors = count_entries("/proc/self/fd");
	call->have(&scene);
	stop();
	failing = allocation;
	atomic_store(&outcome->code, call->call(&scene));
	failing = 0;
	outcome->detail = *k2k_error_detail();
	stop();
	atomic_store(&outcome->again, call->call(&scene));
	atomic_store(&outcome->begun, (int)allocations);
	assert_int_equal(close_all(&scene), 0);
	outcome->descriptors = count_entries("/proc/self/fd") - descriptors;
	outcome->mappings = count_registry_mappings();
	/* `.`, `..`, and this thread; a joined thread stays visible for a moment. */
	for (int looks = 0; (outcome->threads = count_entries("/proc/self/task") - 3) > 0 &&
	                    looks < 5000 && !keeps_all();
	     looks++)
		pause_ns(1000000);
}

/* ---- what must hold after a call ----------------------------------------------------------- */

static void judge(const struct call *call, const char *what, int error)
{
	const struct k2k_error_detail *detail = &outcome->detail;
	int code = atomic_load(&outcome->code), again = atomic_load(&outcome->again);
	const char *limit = error == EMFILE   ? "RLIMIT_NOFILE"
	                    : error == ENOMEM ? "RLIMIT_AS"
	                    : error == EFBIG  ? "RLIMIT_FSIZE"
	                                      : "";

	if (code > 0 || strcmp(k2k_errname(code), "K2K_UNKNOWN") == 0)
		fail_msg("%s, %s: the code is %d", call->name, what, code);
	if (code && (detail->code != code || !detail->object[0] || !detail->text[0]))
		fail_msg("%s, %s: %s without a detail: %s '%s'", call->name, what,
		         k2k_errname(code), detail->object, detail->text);
	if (code && detail->system_errno && detail->system_errno == error &&
	    !strstr(detail->text, limit))
		fail_msg("%s, %s: no %s in: %s", call->name, what, limit, detail->text);
	if ((code == K2K_EIO || code == K2K_ENOMEM) && !detail->system_errno)
		fail_msg("%s, %s: %s does not say which error it was: %s", call->name, what,
		         k2k_errname(code), detail->text);
	if (code && (code == K2K_ECORRUPT || code == K2K_EBOOT || code == K2K_ELAYOUT))
		fail_msg("%s, %s: taken for damage: %s %s", call->name, what, k2k_errname(code),
		         detail->text);
	/* A destroy that failed may have done its work. */
	if (again && !(call->call == destroy && again == K2K_ENOREGISTRY))
		fail_msg("%s, %s: %s (%s), and a second try %s", call->name, what,
		         k2k_errname(code), detail->text, k2k_errname(again));
	if ((outcome->descriptors || outcome->mappings || outcome->threads) && !keeps_all())
		fail_msg("%s, %s: %s left %d descriptors, %d mappings, %d threads", call->name,
		         what, k2k_errname(code), outcome->descriptors, outcome->mappings,
		         outcome->threads);
	if ((call->call == deregister || call->call == deregister_many) &&
	    (atomic_load(&outcome->admitted) != 5 || atomic_load(&outcome->gpu_ns) != 123))
		fail_msg("%s, %s: %s, the totals are lost: %lu, %lu", call->name, what,
		         k2k_errname(code), atomic_load(&outcome->admitted),
		         atomic_load(&outcome->gpu_ns));
}

static bool makes_its_own(const struct call *call)
{
	return call->call == create;
}

/* Prepares a registry for one try. */
static const char *prepare(const struct call *call)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	const char *name = fresh_registry();

	if (!outcome)
		outcome = shared_bytes(sizeof *outcome);
	memset(outcome, 0, sizeof *outcome);
	atomic_store(&outcome->code, 2);
	atomic_store(&outcome->again, 2);
	options.max_tenants = options.max_engagements = options.max_kernels = options.max_budgets =
		options.max_leases = 8;
	options.max_audit_events = 4;
	if (!makes_its_own(call))
		assert_int_equal(k2k_registry_create(name, &options, NULL), 0);
	return name;
}

static void conclude(const struct call *call, const char *name, const char *what, int error)
{
	struct k2k_registry *admin;

	judge(call, what, error);
	if (call->call != destroy) {
		admin = open_as(name, K2K_ROLE_ADMIN);
		check_clean(admin);
		close_and_destroy(name, &admin);
	}
	check_nothing_left(name);
}

/* ---- system calls ---------------------------------------------------------------------------- */

static void stop_here(void)
{
	raise(SIGSTOP);
}

static void play_traced(const struct call *call, const char *name)
{
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(HARNESS_SKIPPED);
	k2k_agent_in_caller = true; /* all system calls are made in the traced thread */
	play(call, name, 0, stop_here);
}

static void wait_stopped(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == HARNESS_SKIPPED)
		skip_msg("may not trace");
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
}

/*
 * Continues to the next entry into a system call, or return from one. False at the child's next
 * stop.
 */
static bool next_call(pid_t pid, struct __ptrace_syscall_info *info)
{
	long deliver = 0;
	int status;

	for (;;) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, (void *)deliver), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status))
			fail_msg("the caller ended with wait status %#x", (unsigned int)status);
		if (WSTOPSIG(status) == SIGSTOP)
			return false;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			assert_true(ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof *info,
			                   info) > 0);
			return true;
		}
		deliver = WSTOPSIG(status);
	}
}

/* These calls can't fail in that way, or their failure is no failure of the public call. */
static bool can_fail(uint64_t number)
{
	static const uint64_t never[] = {
		SYS_close,           SYS_munmap,       SYS_exit,     SYS_exit_group,
		SYS_rt_sigprocmask,  SYS_rt_sigaction, SYS_gettid,   SYS_getpid,
		SYS_geteuid,         SYS_tgkill,       SYS_futex,    SYS_clock_nanosleep,
		SYS_set_robust_list, SYS_sched_yield,  SYS_mprotect, SYS_brk
	};

	for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
		if (never[i] == number)
			return false;
	return true;
}

/* Skips the system call that the child is about to make, and makes it return -error. */
static void let_fail(pid_t pid, int error)
{
	struct __ptrace_syscall_info info;
#if defined(__x86_64__)
	struct user_regs_struct regs;

	assert_int_equal(ptrace(PTRACE_GETREGS, pid, NULL, &regs), 0);
	regs.orig_rax = (unsigned long long)-1;
	assert_int_equal(ptrace(PTRACE_SETREGS, pid, NULL, &regs), 0);
	assert_true(next_call(pid, &info) && info.op == PTRACE_SYSCALL_INFO_EXIT);
	assert_int_equal(ptrace(PTRACE_GETREGS, pid, NULL, &regs), 0);
	regs.rax = (unsigned long long)-error;
	assert_int_equal(ptrace(PTRACE_SETREGS, pid, NULL, &regs), 0);
#elif defined(__aarch64__)
	struct user_regs_struct regs;
	struct iovec all = { &regs, sizeof regs }, number = { &(int){ -1 }, sizeof(int) };

	assert_int_equal(
		ptrace(PTRACE_SETREGSET, pid, (void *)0x404 /* NT_ARM_SYSTEM_CALL */, &number), 0);
	assert_true(next_call(pid, &info) && info.op == PTRACE_SYSCALL_INFO_EXIT);
	assert_int_equal(ptrace(PTRACE_GETREGSET, pid, (void *)1 /* NT_PRSTATUS */, &all), 0);
	regs.regs[0] = (unsigned long long)-error;
	assert_int_equal(ptrace(PTRACE_SETREGSET, pid, (void *)1, &all), 0);
#else
	(void)pid, (void)error, (void)info;
	skip_msg("no registers known of this architecture");
#endif
}

/* Returns whether there was an n-th system call. */
static bool fail_system_call(const struct call *call, int nth, int error)
{
	const char *name = prepare(call);
	struct __ptrace_syscall_info info;
	uint64_t number = 0;
	char what[100];
	bool failed = false;
	pid_t pid = spawn();

	if (pid == 0) {
		play_traced(call, name);
		_exit(0);
	}
	wait_stopped(pid);
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL,
	                        (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)),
	                 0);
	for (int seen = 0; next_call(pid, &info);) {
		if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !can_fail(info.entry.nr) ||
		    ++seen != nth)
			continue;
		number = info.entry.nr;
		let_fail(pid, error);
		failed = true;
	}
	assert_int_equal(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
	spawn_wait(pid);
	snprintf(what, sizeof what, "system call %d (number %" PRIu64 ") failing with %s", nth,
	         number, strerror(error));
	conclude(call, name, what, failed ? error : 0);
	if (!failed)
		assert_int_equal(atomic_load(&outcome->code), 0);
	return failed;
}

static void fail_system_calls(const struct call *calls, size_t count)
{
	static const int errors[] = { EMFILE, ENOMEM, EINTR, EIO };

	for (size_t i = 0; i < count; i++) {
		int nth = 1, error = 0;

		/*
		 * Each call gets a different error, and another one in the next run: trying all
		 * errors at each call takes a minute.
		 */
		random_seed(i);
		error = (int)random_below(4);
		while (fail_system_call(&calls[i], nth, errors[(nth + error) % 4]))
			assert_true(++nth < MOST);
		print_message("# %s: %d system calls\n", calls[i].name, nth - 1);
	}
}

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

TEST(each_system_call_of_create_open_close_and_destroy_may_fail)
{
	fail_system_calls(calls_of_life, COUNT(calls_of_life));
}

TEST(each_system_call_of_a_change_may_fail)
{
	fail_system_calls(calls_of_changes, COUNT(calls_of_changes));
}

TEST(each_system_call_of_a_look_or_of_use_may_fail)
{
	fail_system_calls(calls_of_use, COUNT(calls_of_use));
}

/* ---- allocations ----------------------------------------------------------------------------- */

static void go_on(void)
{
}

static bool fail_allocation(const struct call *call, unsigned int nth)
{
	const char *name = prepare(call);
	char what[64];
	pid_t pid = spawn();

	if (pid == 0) {
		play(call, name, nth, go_on);
		_exit(0);
	}
	spawn_wait(pid);
	snprintf(what, sizeof what, "allocation %u failing", nth);
	conclude(call, name, what, 0);
	return atomic_load(&outcome->begun) >= (int)nth;
}

static void fail_allocations(const struct call *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned int nth = 1;

		while (fail_allocation(&calls[i], nth))
			assert_true(++nth < MOST);
		assert_int_equal(atomic_load(&outcome->code), 0);
	}
}

TEST(each_allocation_and_each_thread_may_fail)
{
	fail_allocations(calls_of_life, COUNT(calls_of_life));
	fail_allocations(calls_of_changes, COUNT(calls_of_changes));
	fail_allocations(calls_of_use, COUNT(calls_of_use));
}
