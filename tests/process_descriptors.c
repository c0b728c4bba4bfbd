/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_descriptors - programs that close, replace, share and pass on any descriptors
 *
 * The library has no descriptors in the program's table, and the program has none in the library's.
 * So nothing that the program does to its own descriptors affects the library, and the library
 * can't touch the program's.
 */
#include "process.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/syscall.h>

enum { TENANT = 7, FIRST = 100, LAST = 140, PER_ROUND = 8 };

extern char **environ;

/* ---- what is open -------------------------------------------------------------------- */

typedef void each_fd(void *context, int fd, const char *target);

/* Visits one table; skips the descriptor that this function opens if the table is the caller's. */
static void for_each_fd(const char *folder, each_fd *each, void *context)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	if (!dir) /* the thread has ended */
		return;
	while ((entry = readdir(dir))) {
		char target[256];
		ssize_t length = readlinkat(dirfd(dir), entry->d_name, target, sizeof target - 1);

		if (length < 0 || (atoi(entry->d_name) == dirfd(dir) && strstr(target, "/fd")))
			continue;
		target[length] = '\0';
		each(context, atoi(entry->d_name), target);
	}
	closedir(dir);
}

struct watch {
	atomic_int stop;
	unsigned int looks, known;
	char before[16][256];
	char found[256];
	char folder[64];
};

static void remember_fd(void *context, int fd HARNESS_USED, const char *target)
{
	struct watch *watch = context;

	assert_true(watch->known < 16);
	strcpy(watch->before[watch->known++], target);
}

static void expect_known(void *context, int fd, const char *target)
{
	struct watch *watch = context;

	for (unsigned int i = 0; i < watch->known; i++)
		if (strcmp(watch->before[i], target) == 0)
			return;
	if (!strstr(target, "/task/")) /* the program's own table */
		snprintf(watch->found, sizeof watch->found, "%d is %.200s", fd, target);
}

static void *watch_table(void *context)
{
	struct watch *watch = context;

	while (!atomic_load(&watch->stop) && !watch->found[0]) {
		for_each_fd(watch->folder, expect_known, watch);
		watch->looks++;
	}
	return NULL;
}

/* Calls of every kind that opens, locks or queries something. */
static void use_registry(const char *name)
{
	struct k2k_registry *admin, *broker, *observer;
	struct k2k_lease lease = K2K_LEASE_INIT;
	struct k2k_tenant_totals totals = { .size = sizeof totals };
	const char *other = fresh_registry();

	assert_int_equal(k2k_registry_create(other, NULL, NULL), 0);
	assert_int_equal(k2k_registry_destroy(other, 0, NULL), 0);
	admin = open_as(name, K2K_ROLE_ADMIN);
	broker = open_as(name, K2K_ROLE_BROKER);
	observer = open_as(name, K2K_ROLE_OBSERVER);
	register_tenant(admin, 8, 10, 1);
	assert_int_equal(k2k_budget_set(admin, 8, 1, 100), 0);
	assert_int_equal(k2k_kernel_acquire(broker, 8, &lease, NULL), 0);
	assert_int_equal(k2k_kernel_acquire(broker, 8, NULL, NULL), K2K_EKERNELS);
	assert_int_equal(k2k_kernel_release(broker, &lease), 0);
	assert_true(brokers_alive(observer) >= 1);
	check_clean(admin);
	assert_int_equal(k2k_tenant_deregister(admin, 8, &totals), 0);
	assert_int_equal(totals.final, 1);
	assert_int_equal(k2k_registry_close(&observer), 0);
	assert_int_equal(k2k_registry_close(&broker), 0);
	assert_int_equal(k2k_registry_close(&admin), 0);
}

TEST(no_descriptor_of_the_library_is_in_the_programs_table_at_any_moment)
{
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	struct watch watch = { .stop = 0 };
	uint64_t end = now_ns() + UINT64_C(2000000000);
	pthread_t thread;

	snprintf(watch.folder, sizeof watch.folder, "/proc/self/task/%d/fd", getpid());
	for_each_fd(watch.folder, remember_fd, &watch);
	assert_int_equal(pthread_create(&thread, NULL, watch_table, &watch), 0);
	for (int rounds = 0; rounds < 5 || now_ns() < end; rounds++)
		use_registry(name);
	atomic_store(&watch.stop, 1);
	pthread_join(thread, NULL);
	if (watch.found[0])
		fail_msg("in the program's table: %s", watch.found);
	assert_true(watch.looks > 20);
	close_and_destroy(name, &admin);
}

static void expect_ours(void *context, int fd, const char *target)
{
	unsigned int *held = context;

	if (fd <= 2)
		assert_string_equal(target, "/"); /* neither readable nor writable */
	else if (strstr(target, "/k2k."))
		++*held;
	else /* opened, read and closed by the helper */
		assert_true(strncmp(target, "/proc", 5) == 0 ||
		            strncmp(target, "/dev/shm", 8) == 0);
}

TEST(the_librarys_tables_hold_its_objects_and_nothing_of_the_program)
{
	struct k2k_registry *admin, *broker;
	const char *name = small_registry(4, &admin);
	unsigned int held = 0, threads = 0;
	struct dirent *entry;
	int ends[2];
	DIR *tasks;

	assert_int_equal(pipe(ends), 0);
	broker = open_as(name, K2K_ROLE_BROKER);
	tasks = opendir("/proc/self/task");
	assert_true(tasks);
	while ((entry = readdir(tasks))) {
		char folder[300], link[320], target[64];

		snprintf(folder, sizeof folder, "/proc/self/task/%s/fd", entry->d_name);
		snprintf(link, sizeof link, "%s/%d", folder, ends[0]);
		/* A thread that shares the program's table has the pipe. */
		if (entry->d_name[0] == '.' ||
		    (readlink(link, target, sizeof target) > 0 && strncmp(target, "pipe", 4) == 0))
			continue;
		threads++;
		for_each_fd(folder, expect_ours, &held);
	}
	closedir(tasks);
	/*
	 * Two agents, and the broker's helper, which shares its agent's table: defs, live and a
	 * life lock each.
	 */
	assert_int_equal(threads, 3);
	assert_true(held >= 9);
	assert_int_equal(k2k_registry_close(&broker), 0);
	close_and_destroy(name, &admin);
}

/* ---- without standard descriptors ------------------------------------------------------- */

TEST(what_a_program_without_standard_descriptors_prints_reaches_no_registry)
{
	struct k2k_registry *admin;
	const enum k2k_role roles[] = { K2K_ROLE_ADMIN, K2K_ROLE_BROKER, K2K_ROLE_OBSERVER };
	const char *name = small_registry(4, &admin);
	pid_t pid;

	register_tenant(admin, TENANT, 10, 4);
	fflush(NULL);
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *handles[3];

		close_range(0, ~0U, 0);
		for (int i = 0; i < 3; i++)
			if (k2k_registry_open(name, roles[i], NULL, &handles[i]) != 0)
				_exit(2);
		printf("hello, log\n");
		fflush(stdout);
		for (int fd = 0; fd < 1024; fd++)
			if (write(fd, "garbage", 7) != -1 || errno != EBADF)
				_exit(3);
		/* The first file that such a program opens gets 0. */
		if (open("/dev/null", O_RDWR) != 0)
			_exit(4);
		if (k2k_budget_set(handles[0], TENANT, 1, 5) != 0 ||
		    k2k_message_admit(handles[1], TENANT, no_tag, 1, NULL) != 0)
			_exit(5);
		for (int i = 0; i < 3; i++)
			if (k2k_registry_close(&handles[i]) != 0)
				_exit(6);
		_exit(write(0, "x", 1) == 1 ? 0 : 7);
	}
	spawn_wait(pid);
	assert_int_equal(tenant_info(admin, TENANT).admitted_total, 1);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* ---- a thread of another library ----------------------------------------------------------- */

struct own_file {
	int fd;
	char path[128];
	struct stat st;
};

static void own_file_make(struct own_file *file, int number)
{
	snprintf(file->path, sizeof file->path, "%s/own-%d", test_dir(), number);
	file->fd = open(file->path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(file->fd >= 0 && fstat(file->fd, &file->st) == 0);
	assert_int_equal(pwrite(file->fd, "content", 7, 0), 7);
}

static void lock_byte(int fd, int command)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 3, .l_len = 1 };

	assert_int_equal(fcntl(fd, command, &lock), 0);
}

/* Checks in another process that the byte is locked, and nothing else. */
static void expect_locked(const struct own_file *file)
{
	pid_t pid = spawn();

	if (pid == 0) {
		int fd = open(file->path, O_RDWR);
		struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

		_exit(fcntl(fd, F_GETLK, &all) == 0 && all.l_type == F_WRLCK && all.l_start == 3 &&
		                      all.l_len == 1
		              ? 0
		              : 1);
	}
	spawn_wait(pid);
}

static void expect_untouched(const struct own_file *file)
{
	char text[16];
	struct stat st;

	assert_int_equal(fstat(file->fd, &st), 0);
	assert_true(st.st_dev == file->st.st_dev && st.st_ino == file->st.st_ino);
	assert_int_equal(st.st_size, 7);
	assert_int_equal(pread(file->fd, text, sizeof text, 0), 7);
	assert_memory_equal(text, "content", 7);
}

struct stranger {
	atomic_int stop;
	atomic_uint rounds;
	struct own_file file; /* opened again in each round */
};

/*
 * Closes all descriptors from FIRST on, regardless of their owner, and puts files of its own in
 * their place.
 */
static void *be_strange(void *context)
{
	struct stranger *stranger = context;
	int source = stranger->file.fd;

	while (!atomic_load(&stranger->stop)) {
		int fds[PER_ROUND];

		close_range(3, FIRST - 1, 0);
		close_range(FIRST + 10, LAST, 0);
		for (int i = 0; i < PER_ROUND; i++) {
			/*
			 * The lowest numbers, where a library's descriptors would be, and some
			 * higher ones.
			 */
			fds[i] = i % 2 ? open(stranger->file.path, O_RDWR)
			               : dup3(source, FIRST + 10 + i, 0);
			assert_true(fds[i] >= 0);
		}
		for (int i = 0; i < PER_ROUND; i++) {
			struct own_file now = stranger->file;
			struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

			now.fd = fds[i];
			expect_untouched(&now);
			assert_int_equal(fcntl(now.fd, F_OFD_GETLK, &all), 0);
			assert_int_equal(all.l_type, F_UNLCK);
		}
		atomic_fetch_add(&stranger->rounds, 1);
	}
	return NULL;
}

static void move_fd(struct own_file *file, int to)
{
	assert_int_equal(dup3(file->fd, to, 0), to);
	close(file->fd);
	file->fd = to;
}

/* clang-format off */
TEST(a_thread_that_closes_and_replaces_all_descriptors_changes_nothing_of_ours_and_we_nothing_of_its)
/* clang-format on */
{
	struct k2k_registry *admin, *broker;
	const char *name = small_registry(8, &admin);
	struct stranger stranger = { .stop = 0 };
	uint64_t end = now_ns() + UINT64_C(4000000000);
	struct own_file posix, description;
	unsigned int refused = 0, rounds;
	struct gate ready;
	pthread_t thread;
	pid_t holder;

	register_tenant(admin, TENANT, 1000, 1);
	gate_make(&ready);
	holder = spawn();
	if (holder == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
		gate_open(&ready);
		for (;;)
			pause();
	}
	gate_wait(&ready);
	broker = open_as(name, K2K_ROLE_BROKER);
	own_file_make(&posix, 1);
	own_file_make(&description, 2);
	own_file_make(&stranger.file, 3);
	move_fd(&posix, FIRST);
	move_fd(&description, FIRST + 1);
	move_fd(&stranger.file, FIRST + 2);
	lock_byte(posix.fd, F_SETLK);
	lock_byte(description.fd, F_OFD_SETLK);
	assert_int_equal(pthread_create(&thread, NULL, be_strange, &stranger), 0);
	for (rounds = 0; rounds < 5 || now_ns() < end; rounds++) {
		for (int i = 0; i < 200; i++) {
			assert_int_equal(k2k_kernel_acquire(broker, TENANT, NULL, NULL),
			                 K2K_EKERNELS);
			refused++;
		}
		assert_int_equal(k2k_budget_set(admin, TENANT, 1, 1 + rounds), 0);
		use_registry(name);
		expect_untouched(&posix);
		expect_untouched(&description);
		expect_locked(&posix);
		expect_locked(&description);
	}
	atomic_store(&stranger.stop, 1);
	pthread_join(thread, NULL);
	assert_true(refused >= 1000 && atomic_load(&stranger.rounds) > 100);
	kill_broker(admin, holder);
	assert_int_equal(k2k_kernel_acquire(broker, TENANT, NULL, NULL), 0);
	assert_int_equal(k2k_registry_close(&broker), 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* ---- children that outlive their parent ----------------------------------------------------- */

enum way { FORK, VFORK, SPAWN, CLONE_WITH_FILES, CLONE_WITH_MEMORY, CLONE_WITH_BOTH, EXEC, WAYS };

static const char *const way_names[WAYS] = { "fork",
	                                     "vfork",
	                                     "posix_spawn",
	                                     "clone(CLONE_FILES)",
	                                     "clone(CLONE_VM)",
	                                     "clone(CLONE_VM | CLONE_FILES)",
	                                     "execve" };

struct family {
	atomic_int child; /* its pid, once it runs */
};

static int live_on(void *context)
{
	struct family *family = context;

	atomic_store(&family->child, (int)syscall(SYS_getpid));
	for (;;)
		syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
	return 0;
}

static void make_child(enum way way, struct family *family)
{
	static char stack[1 << 16] __attribute__((aligned(16)));
	char *const sleeper[] = { (char[]){ "sleep" }, (char[]){ "1000" }, NULL };
	pid_t pid;

	switch (way) {
	case FORK:
		if (fork() == 0)
			live_on(family);
		return;
	case VFORK:
	case CLONE_WITH_FILES:
	case CLONE_WITH_MEMORY:
	case CLONE_WITH_BOTH:
		/* vfork() itself would not let a function return; this clone() does the same. */
		clone(live_on, stack + sizeof stack,
		      way == VFORK ? CLONE_VM | CLONE_VFORK | SIGCHLD
		      : way == CLONE_WITH_FILES
		              ? CLONE_FILES | SIGCHLD
		              : CLONE_VM | SIGCHLD | (way == CLONE_WITH_BOTH ? CLONE_FILES : 0),
		      family);
		return;
	case SPAWN:
		assert_int_equal(posix_spawn(&pid, "/bin/sleep", NULL, NULL, sleeper, environ), 0);
		atomic_store(&family->child, pid);
		return;
	case EXEC:
		atomic_store(&family->child, getpid());
		execv("/bin/sleep", sleeper);
		return;
	case WAYS: return;
	}
}

static void expect_no_registry(void *context, int fd, const char *target)
{
	if (strstr(target, "/k2k."))
		fail_msg("%s: the child has %d, %s", way_names[*(enum way *)context], fd, target);
}

TEST(locks_end_with_their_owner_whatever_child_of_it_lives_on_and_no_child_has_a_registry_open)
{
	struct k2k_registry *admin, *broker;
	const char *name = small_registry(4, &admin);
	struct family *family = shared_bytes(sizeof *family);

	assert_int_equal(k2k_registry_close(&admin), 0);
	admin = open_patient(name, K2K_ROLE_ADMIN, UINT64_C(20000000000));
	broker = open_as(name, K2K_ROLE_BROKER);
	register_tenant(admin, TENANT, 10, 1);
	for (enum way way = 0; way < WAYS; way++) {
		char folder[64];
		pid_t owner, child;

		atomic_store(&family->child, 0);
		owner = spawn();
		if (owner == 0) {
			struct k2k_registry *writer = open_as(name, K2K_ROLE_ADMIN),
					    *holder = open_as(name, K2K_ROLE_BROKER);

			assert_int_equal(k2k_kernel_acquire(holder, TENANT, NULL, NULL), 0);
			assert_int_equal(k2k_batch_begin(writer), 0);
			make_child(way, family);
			for (;;)
				pause();
		}
		WAIT_UNTIL(atomic_load(&family->child) != 0, PATIENCE_S);
		child = atomic_load(&family->child);
		snprintf(folder, sizeof folder, "/proc/%d/fd", child);
		if (way != EXEC) {
			assert_int_equal(k2k_kernel_acquire(broker, TENANT, NULL, NULL),
			                 K2K_EKERNELS);
			for_each_fd(folder, expect_no_registry, &way);
			spawn_kill(owner);
		}
		/* The owner is dead, its child is not. */
		WAIT_UNTIL(k2k_kernel_acquire(broker, TENANT, NULL, NULL) == 0, PATIENCE_S);
		assert_int_equal(k2k_budget_set(admin, TENANT, 1, 1 + (uint64_t)way), 0);
		assert_int_equal(kill(child, 0), 0);
		for_each_fd(folder, expect_no_registry, &way);
		assert_int_equal(k2k_kernel_release_id(broker, TENANT), 0);
		assert_int_equal(kill(child, SIGKILL), 0);
		if (way == EXEC)
			assert_int_equal(waitpid(child, NULL, 0), child);
	}
	assert_int_equal(k2k_registry_close(&broker), 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(a_child_that_drops_its_rights_can_write_to_no_definition)
{
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t pid;

	if (geteuid() != 0)
		skip_msg("needs root");
	pid = spawn();
	if (pid == 0) {
		char path[128];
		enum way way = FORK;

		assert_true(setgid(54321) == 0 && setuid(54321) == 0);
		for_each_fd("/proc/self/fd", expect_no_registry, &way);
		snprintf(path, sizeof path, "/dev/shm/k2k.%s.defs", name);
		assert_true(open(path, O_RDWR) == -1 && errno == EACCES);
		_exit(0);
	}
	spawn_wait(pid);
	check_clean(admin);
	close_and_destroy(name, &admin);
}
