/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_oom - brokers killed by the kernel for want of memory
 *
 * The victim alone is in a memory cgroup with a small limit: what it touches first is charged
 * there, so the registry is created, and all its pages touched, outside. It holds every kernel slot
 * and admits messages while another thread of it allocates until the kernel ends it. Needs root and
 * a memory controller.
 */
#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>

enum { TENANT = 7, SLOTS = 4, N = 3, LIMIT_MIB = 48, AT_ONCE_MS = 1500 };

/* ---- the cgroup ------------------------------------------------------------------ */

static char cgroup[256];
static int version;

static int write_text(const char *file, const char *text)
{
	char path[400];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "%s/%s", cgroup, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* The number after `key` in a file of the cgroup; -1: there is none. */
static long long number_of(const char *file, const char *key)
{
	char path[400], word[64];
	long long number, found = -1;
	FILE *text;

	snprintf(path, sizeof path, "%s/%s", cgroup, file);
	text = fopen(path, "re");
	while (text && found < 0 && fscanf(text, "%63s %lld", word, &number) == 2)
		if (strcmp(word, key) == 0)
			found = number;
	if (text)
		fclose(text);
	return found;
}

static long long kernel_kills(void)
{
	return number_of(version == 1 ? "memory.oom_control" : "memory.events", "oom_kill");
}

/* Where a memory controller is mounted: 1, 2, or 0 where there is none. */
static int find_controller(char mount[200])
{
	char line[1024], type[64], options[512];
	FILE *mounts = fopen("/proc/self/mounts", "re");
	int found = 0;

	assert_true(mounts);
	while (!found && fgets(line, sizeof line, mounts)) {
		if (sscanf(line, "%*s %199s %63s %511s", mount, type, options) != 3)
			continue;
		if (strcmp(type, "cgroup") == 0 && strstr(options, ",memory"))
			found = 1;
		if (strcmp(type, "cgroup2") == 0) {
			char path[256], controllers[512] = "";
			FILE *file;

			snprintf(path, sizeof path, "%s/cgroup.controllers", mount);
			file = fopen(path, "re");
			if (file && fgets(controllers, sizeof controllers, file) &&
			    strstr(controllers, "memory"))
				found = 2;
			if (file)
				fclose(file);
		}
	}
	fclose(mounts);
	return found;
}

static void remove_cgroup(void)
{
	if (getpid() == harness_pid && cgroup[0]) /* not a child that ends */
		rmdir(cgroup);
}

/* A test that failed leaves its own. */
static void remove_those_of_the_dead(const char *mount)
{
	DIR *dir = opendir(mount);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char path[512];
		long pid;

		if (sscanf(entry->d_name, "k2k-test-%ld", &pid) != 1 || kill((pid_t)pid, 0) == 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", mount, entry->d_name);
		rmdir(path);
	}
	if (dir)
		closedir(dir);
}

static void make_cgroup(void)
{
	char mount[200], limit[32];
	static char why[300];

	if (geteuid() != 0)
		skip_msg("needs root");
	version = find_controller(mount);
	if (!version)
		skip_msg("no cgroup file system with a memory controller is mounted");
	if (version == 2) {
		/* the controller must be passed on to children of the root */
		snprintf(cgroup, sizeof cgroup, "%s", mount);
		write_text("cgroup.subtree_control", "+memory");
	}
	remove_those_of_the_dead(mount);
	snprintf(cgroup, sizeof cgroup, "%s/k2k-test-%ld", mount, (long)getpid());
	if (mkdir(cgroup, 0755) != 0) {
		snprintf(why, sizeof why, "can't make %s: %s", cgroup, strerror(errno));
		cgroup[0] = '\0';
		skip_msg("%s", why);
	}
	atexit(remove_cgroup);
	snprintf(limit, sizeof limit, "%d", LIMIT_MIB << 20);
	if (write_text(version == 1 ? "memory.limit_in_bytes" : "memory.max", limit) != 0 ||
	    kernel_kills() < 0) {
		snprintf(why, sizeof why, "can't limit memory in %s: %s", cgroup, strerror(errno));
		remove_cgroup();
		skip_msg("%s", why);
	}
	/* where there is swap it would only take longer */
	write_text(version == 1 ? "memory.swappiness" : "memory.swap.max", "0");
}

/* ---- the brokers ----------------------------------------------------------------- */

struct seen {
	_Atomic uint64_t admitted_by_victim, admitted_by_bystander;
	_Atomic uint64_t longest_ns; /* between two answers to the bystander */
	_Atomic int end;
};

struct sender {
	struct k2k_registry *reg;
	struct seen *seen;
};

static void *send_all_the_time(void *argument)
{
	struct sender *sender = argument;

	for (;;) {
		assert_int_equal(k2k_message_admit(sender->reg, TENANT, no_tag, N, NULL), 0);
		atomic_fetch_add(&sender->seen->admitted_by_victim, N);
	}
	return NULL;
}

static void be_the_victim(const char *name, struct seen *seen, struct gate *ready, struct gate *go)
{
	struct sender sender = { .seen = seen };
	pthread_t thread;
	char pid[32];

	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	assert_int_equal(write_text("cgroup.procs", pid), 0);
	sender.reg = open_as(name, K2K_ROLE_BROKER);
	for (int i = 0; i < SLOTS; i++)
		assert_int_equal(k2k_kernel_acquire(sender.reg, TENANT, NULL, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, send_all_the_time, &sender), 0);
	WAIT_UNTIL(atomic_load(&seen->admitted_by_victim) > 1000, PATIENCE_S);
	gate_open(ready);
	gate_wait(go);
	for (size_t i = 0; i < 64 * LIMIT_MIB; i++) {
		volatile char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
		                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		assert_true(memory != MAP_FAILED);
		for (size_t at = 0; at < 1 << 20; at += 4096)
			memory[at] = 1;
	}
	fail_msg("%d times the limit was allocated, and nothing happened", 64);
}

static void be_the_bystander(const char *name, struct seen *seen, struct gate *ready)
{
	struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);
	uint64_t last_ns, longest_ns = 0;

	gate_open(ready);
	last_ns = now_ns();
	while (!atomic_load(&seen->end)) {
		uint64_t now;

		assert_int_equal(k2k_message_admit(reg, TENANT, no_tag, 1, NULL), 0);
		assert_int_equal(k2k_usage_track(reg, TENANT, no_tag, 1), 0);
		atomic_fetch_add(&seen->admitted_by_bystander, 1);
		now = now_ns();
		if (now - last_ns > longest_ns)
			atomic_store(&seen->longest_ns, longest_ns = now - last_ns);
		last_ns = now;
	}
	assert_int_equal(k2k_registry_close(&reg), 0);
	exit(0);
}

TEST(a_broker_that_the_kernel_kills_for_want_of_memory_gives_back_what_it_held)
{
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	struct gate ready, go;
	pid_t victim, bystander;
	struct seen *seen = shared_bytes(sizeof *seen);
	uint64_t begun_ns, total;
	long long kills;
	int status;

	make_cgroup();
	gate_make(&ready);
	gate_make(&go);
	register_tenant(admin, TENANT, K2K_UNLIMITED, SLOTS);
	kills = kernel_kills();

	bystander = spawn();
	if (bystander == 0)
		be_the_bystander(name, seen, &ready);
	gate_wait(&ready);
	victim = spawn();
	if (victim == 0)
		be_the_victim(name, seen, &ready, &go);
	gate_wait(&ready);
	assert_int_equal(tenant_info(admin, TENANT).kernels, SLOTS);
	assert_int_equal(broker_state(admin, victim), K2K_BROKER_ACTIVE);

	gate_open(&go);
	assert_true(waitpid(victim, &status, 0) == victim);
	begun_ns = now_ns();
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_true(kernel_kills() > kills);

	/* its slots are free, and can all be taken */
	WAIT_UNTIL(broker_state(admin, victim) == K2K_BROKER_DEAD, PATIENCE_S);
	assert_int_equal(tenant_info(admin, TENANT).kernels, 0);
	pid_t heir = spawn();
	if (heir == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		for (int i = 0; i < SLOTS; i++)
			assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
		assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), K2K_EKERNELS);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	spawn_wait(heir);
	if (now_ns() - begun_ns > AT_ONCE_MS * UINT64_C(1000000))
		fail_msg("after the kill it took %" PRIu64 " ms until its slots were free",
		         (now_ns() - begun_ns) / 1000000);
	/* the others never waited for it */
	if (atomic_load(&seen->longest_ns) > AT_ONCE_MS * UINT64_C(1000000))
		fail_msg("another broker waited %" PRIu64 " ms",
		         atomic_load(&seen->longest_ns) / 1000000);
	check_clean(admin);
	register_tenant(admin, TENANT + 1, 10, 1);

	/* each message that was answered is counted; of the victim's last call nobody knows */
	atomic_store(&seen->end, 1);
	spawn_wait(bystander);
	total = tenant_info(admin, TENANT).admitted_total -
	        atomic_load(&seen->admitted_by_bystander);
	assert_true(total == atomic_load(&seen->admitted_by_victim) ||
	            total == atomic_load(&seen->admitted_by_victim) + N);
	check_clean(admin);
	close_and_destroy(name, &admin);
}
