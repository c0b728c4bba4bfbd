/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_auditd - k2k-auditd beside brokers that are rejected, killed again and again
 *
 * The test recounts everything in its files: each sequence number of each ring occurs once, or is
 * reported as lost; and the events' counts match the rejections that the brokers received.
 */
#include "process.h"

#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>

enum { REJECTERS = 3, TENANT = 42, EVENTS_MAX = 1 << 16 };

static char log_file[128], key_file[128];

static void make_key(void)
{
	uint8_t bytes[32];
	int fd;

	snprintf(log_file, sizeof log_file, "%s/audit.log", test_dir());
	snprintf(key_file, sizeof key_file, "%s/key", test_dir());
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)random_below(256);
	fd = open(key_file, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0 && write(fd, bytes, sizeof bytes) == sizeof bytes && close(fd) == 0);
}

static const char *make_registry(uint64_t events, struct k2k_registry **admin)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	const char *name = fresh_registry();

	options.max_tenants = 16;
	options.max_engagements = options.max_kernels = options.max_budgets = 64;
	options.max_audit_events = events;
	assert_int_equal(k2k_registry_create(name, &options, admin), 0);
	return name;
}

/* ---- the programs ---------------------------------------------------------------------- */

static pid_t run(const char *program, const char *const *arguments)
{
	pid_t pid = spawn();
	int fd;

	if (pid)
		return pid;
	fd = open("/dev/null", O_WRONLY);
	dup2(fd, STDERR_FILENO);
	dup2(fd, STDOUT_FILENO);
	execv(program, (char *const *)(uintptr_t)arguments);
	_exit(127);
}

static pid_t start_auditd(const char *name, const char *max_size, const char *more)
{
	const char *const arguments[] = { "k2k-auditd", "-r",     name,     "--file", log_file,
		                          "--key",      key_file, "--keep", "1000",   "--max-size",
		                          max_size,     more,     NULL };

	return run(K2K_AUDITD, arguments);
}

/* Lists the log files, oldest first. */
static void log_files(glob_t *files)
{
	char pattern[160];
	size_t swap;

	snprintf(pattern, sizeof pattern, "%s.*[0-9]", log_file);
	swap = glob(pattern, 0, NULL, files) ? 0 : files->gl_pathc;
	assert_int_equal(glob(log_file, swap ? GLOB_APPEND : 0, NULL, files), 0);
}

static void check_verified(const char *name)
{
	const char *arguments[1024] = { "k2k-tenantctl", "-r",    name,    "audit",
		                        "verify",        "--key", key_file };
	glob_t files;
	int count = 7;

	log_files(&files);
	for (size_t i = 0; i < files.gl_pathc && count < 1020; i++)
		arguments[count++] = files.gl_pathv[i];
	spawn_wait(run(K2K_TENANTCTL, arguments));
	globfree(&files);
}

/* ---- the recount -------------------------------------------------------------------------- */

struct recount {
	uint8_t seen[K2K_AUDIT_RINGS][EVENTS_MAX]; /* by sequence number */
	uint64_t rejected[K2K_AUDIT_KINDS], lost, lines, stops;
};

static uint64_t member(const char *line, const char *key)
{
	char text[64];
	const char *at;

	snprintf(text, sizeof text, "\"%s\":", key);
	at = strstr(line, text);
	if (!at)
		fail_msg("no %s in %s", key, line);
	at += strlen(text);
	return strtoull(*at == '"' ? at + 1 : at, NULL, 10);
}

static void recount_line(struct recount *r, const char *line)
{
	uint64_t ring, sequence, count = 1;
	bool lost = strstr(line, "\"kind\":\"lost\"") != NULL;

	r->lines++;
	r->stops += strstr(line, "\"kind\":\"log.started\"") != NULL;
	if (!strstr(line, "\"ring\":"))
		return;
	ring = member(line, "ring");
	sequence = member(line, "sequence");
	assert_true(ring < K2K_AUDIT_RINGS);
	if (lost) {
		count = member(line, "lost");
		r->lost += count;
	}
	for (uint64_t i = sequence; i < sequence + count; i++) {
		assert_true(i > 0 && i < EVENTS_MAX);
		if (r->seen[ring][i]++)
			fail_msg("event %" PRIu64 " of ring %" PRIu64 " is there twice: %s", i,
			         ring, line);
	}
	for (uint32_t kind = 1; !lost && kind < K2K_AUDIT_KINDS; kind++) {
		char text[64];

		snprintf(text, sizeof text, "\"kind\":\"%s\"", k2k_audit_kind_name(kind));
		if (strstr(line, text))
			r->rejected[kind] += member(line, "count");
	}
}

static struct recount *recount(struct k2k_registry *reg)
{
	struct recount *r = calloc(1, sizeof *r);
	struct k2k_audit_stats stats = { .size = sizeof stats };
	char *line = NULL;
	size_t room = 0;
	glob_t files;

	assert_non_null(r);
	log_files(&files);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		FILE *file = fopen(files.gl_pathv[i], "r");

		assert_non_null(file);
		while (getline(&line, &room, file) > 0)
			recount_line(r, line);
		fclose(file);
	}
	free(line);
	globfree(&files);
	assert_int_equal(k2k_audit_stats(reg, &stats), 0);
	for (uint32_t ring = 0; ring < K2K_AUDIT_RINGS; ring++)
		for (uint64_t i = 1; i < EVENTS_MAX; i++)
			if (r->seen[ring][i] != (i <= stats.newest[ring]))
				fail_msg("event %" PRIu64 " of ring %" PRIu32 ", which has %" PRIu64
				         ": %s",
				         i, ring, stats.newest[ring],
				         r->seen[ring][i] ? "there" : "missing");
	return r;
}

/* ---- brokers that are rejected ------------------------------------------------------------- */

struct told {
	atomic_ullong rate, cross, unknown;
};

/*
 * Provokes rejections of a kind that repeats, and of kinds that don't: no name and no tenant comes
 * twice, so each is an event of its own, and one that is overwritten is one that is lost.
 */
static void reject(const char *name, struct told *told, const atomic_int *stop, uint64_t pause)
{
	struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);
	uint64_t next = 0;
	char kernel[32];

	random_seed((uint64_t)getpid());
	while (!atomic_load(stop)) {
		if (k2k_message_admit(reg, TENANT, no_tag, 1, NULL) == K2K_ERATE)
			atomic_fetch_add(&told->rate, 1);
		switch (random_below(20)) {
		case 0:
			snprintf(kernel, sizeof kernel, "kernel %" PRIu64, next++);
			assert_int_equal(
				k2k_audit_cross_tenant(reg, TENANT, 43, kernel, "b\"\\\n", no_tag),
				0);
			atomic_fetch_add(&told->cross, 1);
			break;
		case 1:
			assert_int_equal(k2k_message_admit(reg, 1000 + next++, no_tag, 1, NULL),
			                 K2K_ENOTENANT);
			atomic_fetch_add(&told->unknown, 1);
			break;
		}
		pause_ns(pause);
	}
	assert_int_equal(k2k_registry_close(&reg), 0);
}

static void reject_for(const char *name, struct told *told, atomic_int *stop, pid_t *brokers,
                       uint64_t pause)
{
	for (int i = 0; i < REJECTERS; i++) {
		brokers[i] = spawn();
		if (brokers[i] == 0) {
			reject(name, told, stop, pause);
			_exit(0);
		}
	}
}

TEST(each_event_is_there_once_however_often_the_sink_is_killed)
{
	struct told *told = shared_bytes(sizeof *told);
	atomic_int *stop = shared_bytes(sizeof *stop);
	uint64_t seed = now_ns(), end, kills = 0;
	pid_t brokers[REJECTERS], auditd;
	struct k2k_registry *admin;
	struct recount *r;
	const char *name;

	random_seed(seed);
	printf("# seed %" PRIu64 "\n", seed);
	make_key();
	name = make_registry(1 << 14, &admin);
	register_tenant(admin, TENANT, 1, 1);
	reject_for(name, told, stop, brokers, 300000);
	for (end = now_ns() + UINT64_C(5000000000); now_ns() < end; kills++) {
		auditd = start_auditd(name, "30000", kills % 2 ? "--sync=each" : "--sync=interval");
		/*
		 * Kills it at any time from before it can be ready until it has written for a
		 * while.
		 */
		pause_ns(random_below(4) ? random_below(20000000) : random_below(300000000));
		spawn_kill(auditd);
	}
	atomic_store(stop, 1);
	wait_all(brokers, REJECTERS);
	spawn_wait(start_auditd(name, "30000", "--once"));
	check_verified(name);
	r = recount(admin);
	assert_int_equal(r->lost, 0);
	assert_int_equal(r->rejected[K2K_AUDIT_KIND_RATE], atomic_load(&told->rate));
	assert_int_equal(r->rejected[K2K_AUDIT_KIND_CROSS_TENANT], atomic_load(&told->cross));
	assert_int_equal(r->rejected[K2K_AUDIT_KIND_UNKNOWN_TENANT], atomic_load(&told->unknown));
	printf("# %" PRIu64 " kills, of which %" PRIu64 " wrote; %" PRIu64
	       " lines; %llu over the rate, %llu cross-tenant\n",
	       kills, r->stops - 1, r->lines, atomic_load(&told->rate), atomic_load(&told->cross));
	assert_true(kills > 10 && r->stops > 5 && atomic_load(&told->cross) > 100);
	free(r);
	close_and_destroy(name, &admin);
}

TEST(what_the_rings_no_longer_hold_is_told_in_numbers)
{
	struct told *told = shared_bytes(sizeof *told);
	atomic_int *stop = shared_bytes(sizeof *stop);
	pid_t brokers[REJECTERS];
	struct k2k_registry *admin;
	struct recount *r;
	const char *name;

	random_seed(1);
	make_key();
	name = make_registry(16, &admin);
	register_tenant(admin, TENANT, K2K_UNLIMITED, 1);
	/* Once events are overwritten before its first start, once between two runs. */
	for (int round = 0; round < 2; round++) {
		uint64_t before = atomic_load(&told->cross);

		atomic_store(stop, 0);
		reject_for(name, told, stop, brokers, 100000);
		WAIT_UNTIL(atomic_load(&told->cross) > before + 200, PATIENCE_S);
		atomic_store(stop, 1);
		wait_all(brokers, REJECTERS);
		spawn_wait(start_auditd(name, "64M", "--once"));
	}
	check_verified(name);
	r = recount(admin);
	assert_true(r->lost > 200);
	assert_true(r->rejected[K2K_AUDIT_KIND_CROSS_TENANT] > 0);
	assert_true(r->rejected[K2K_AUDIT_KIND_CROSS_TENANT] +
	                    r->rejected[K2K_AUDIT_KIND_UNKNOWN_TENANT] + r->lost ==
	            atomic_load(&told->cross) + atomic_load(&told->unknown));
	free(r);
	close_and_destroy(name, &admin);
}

static uint64_t cpu_ticks(pid_t pid)
{
	unsigned long user = 0, system = 0;
	char path[64], text[1024];
	FILE *file;

	snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
	file = fopen(path, "r");
	assert_true(file && fgets(text, sizeof text, file));
	fclose(file);
	assert_int_equal(sscanf(strrchr(text, ')') + 2,
	                        "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
	                        &system),
	                 2);
	return user + system;
}

static bool log_says(const char *text)
{
	char bytes[16384];
	int fd = open(log_file, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, bytes, sizeof bytes - 1);

	if (fd >= 0)
		close(fd);
	bytes[n > 0 ? n : 0] = 0;
	return strstr(bytes, text) != NULL;
}

TEST(an_idle_sink_costs_next_to_nothing)
{
	struct k2k_registry *admin;
	const char *name;
	uint64_t before;
	pid_t auditd;
	int status;

	random_seed(1);
	make_key();
	name = make_registry(16, &admin);
	auditd = start_auditd(name, "64M", NULL);
	WAIT_UNTIL(log_says("\"created\""), PATIENCE_S);
	before = cpu_ticks(auditd);
	pause_ns(UINT64_C(2000000000));
	/* A tick is 10 ms: it needs some 0.1 ms a second. */
	assert_true(cpu_ticks(auditd) - before <= 2);
	/* It wakes at once, not at its next periodic look. A loaded machine may hide that. */
	for (uint64_t id = TENANT, took = UINT64_MAX; took >= UINT64_C(900000000); id++) {
		char event[64];

		assert_true(id < TENANT + 16);
		snprintf(event, sizeof event, "\"tenant\":\"%" PRIu64 "\"", id);
		before = now_ns();
		register_tenant(admin, id, 1, 1);
		WAIT_UNTIL(log_says(event), PATIENCE_S);
		took = now_ns() - before;
	}
	assert_int_equal(kill(auditd, SIGTERM), 0);
	assert_true(waitpid(auditd, &status, 0) == auditd);
	assert_int_equal(status, 0);
	check_verified(name);
	close_and_destroy(name, &admin);
}
