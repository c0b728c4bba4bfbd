/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_life - which brokers are attached, and which are dead: 64 slots, storms, children that
 * outlive their parent, closed descriptors
 */
#include "process.h"

#include <dirent.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>

enum { TENANT = 7 };

/* A broker that takes `kernels` slots and then sleeps forever. */
static pid_t holder(const char *name, int kernels)
{
	struct gate ready;
	pid_t pid;

	gate_make(&ready);
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		for (int i = 0; i < kernels; i++)
			assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
		gate_open(&ready);
		for (;;)
			pause();
	}
	gate_wait(&ready);
	close(ready.fd[0]);
	close(ready.fd[1]);
	return pid;
}

/* Returns 0 if a new broker can attach and take `kernels` slots. */
static int attach_and_hold(const char *name, int kernels)
{
	int status;
	pid_t pid = spawn();

	if (pid == 0) {
		struct k2k_registry *reg;
		int code = k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg);

		if (code == K2K_ENOBROKERSLOT) {
			assert_false(reg);
			assert_int_equal(k2k_error_detail()->expected, K2K_BROKERS_MAX);
			exit(2);
		}
		assert_int_equal(code, 0);
		for (int i = 0; i < kernels; i++)
			assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
		if (kernels)
			assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), K2K_EKERNELS);
		assert_int_equal(k2k_registry_close(&reg), 0);
		exit(0);
	}
	assert_true(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	if (WEXITSTATUS(status) == 2)
		return K2K_ENOBROKERSLOT;
	assert_int_equal(WEXITSTATUS(status), 0);
	return 0;
}

TEST(sixty_four_brokers_attach_the_next_is_told_so_and_a_death_makes_room)
{
	struct k2k_broker_info list[K2K_BROKERS_MAX + 1] = { { .size = sizeof list[0] } };
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t brokers[K2K_BROKERS_MAX];
	uint64_t slots = 0;
	size_t count;

	register_tenant(admin, TENANT, 0, K2K_BROKERS_MAX);
	for (int i = 0; i < K2K_BROKERS_MAX; i++)
		brokers[i] = holder(name, 1);
	assert_int_equal(brokers_alive(admin), K2K_BROKERS_MAX);
	assert_int_equal(tenant_info(admin, TENANT).kernels, K2K_BROKERS_MAX);
	assert_int_equal(k2k_broker_list(admin, list, K2K_BROKERS_MAX + 1, &count), 0);
	assert_int_equal(count, K2K_BROKERS_MAX);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(list[i].state, K2K_BROKER_ACTIVE);
		assert_int_equal(list[i].kernels, 1);
		assert_true(list[i].slot < K2K_BROKERS_MAX && list[i].incarnation != 0);
		slots |= UINT64_C(1) << list[i].slot;
	}
	assert_int_equal(slots, UINT64_MAX);
	assert_int_equal(attach_and_hold(name, 0), K2K_ENOBROKERSLOT);
	for (int i = 10; i < 13; i++)
		kill_broker(admin, brokers[i]);
	assert_int_equal(tenant_info(admin, TENANT).kernels, K2K_BROKERS_MAX - 3);
	assert_int_equal(attach_and_hold(name, 3), 0);
	brokers[10] = holder(name, 1);
	brokers[11] = holder(name, 1);
	brokers[12] = holder(name, 1);
	assert_int_equal(attach_and_hold(name, 0), K2K_ENOBROKERSLOT);
	/* Destroy without force names one of them. */
	assert_int_equal(k2k_registry_destroy(name, 0, NULL), K2K_EBUSY);
	assert_int_not_equal(k2k_error_detail()->pid, 0);
	for (int i = 0; i < K2K_BROKERS_MAX; i++)
		assert_int_equal(kill(brokers[i], SIGKILL), 0);
	WAIT_UNTIL(brokers_alive(admin) == 0, PATIENCE_S);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

static int count_lines(const char *path)
{
	FILE *file = fopen(path, "re");
	int lines = 0, c;

	assert_true(file);
	while ((c = fgetc(file)) != EOF)
		lines += c == '\n';
	fclose(file);
	return lines;
}

static int count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_true(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}

TEST(storms_of_attaching_and_detaching_leave_no_place_descriptor_or_mapping_behind)
{
	enum { PROCESSES = 8, STEPS = 60 };
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t brokers[PROCESSES];

	register_tenant(admin, TENANT, K2K_UNLIMITED, 1000);
	for (int i = 0; i < PROCESSES; i++) {
		brokers[i] = spawn();
		if (brokers[i] != 0)
			continue;
		int descriptors = 0, mappings = 0;

		for (int step = 0; step < STEPS; step++) {
			struct k2k_registry *regs[3];

			for (int j = 0; j < 3; j++) {
				regs[j] = open_as(name, K2K_ROLE_BROKER);
				assert_int_equal(
					k2k_message_admit(regs[j], TENANT, no_tag, 1, NULL), 0);
				assert_int_equal(k2k_kernel_acquire(regs[j], TENANT, NULL, NULL),
				                 0);
			}
			for (int j = 0; j < 3; j++)
				assert_int_equal(k2k_registry_close(&regs[j]), 0);
			if (step == 20) {
				descriptors = count_descriptors();
				mappings = count_lines("/proc/self/maps");
			}
		}
		assert_int_equal(count_descriptors(), descriptors);
		/* those of the allocator and of the threads */
		assert_true(count_lines("/proc/self/maps") <= mappings + 4);
		exit(0);
	}
	wait_all(brokers, PROCESSES);
	assert_int_equal(brokers_alive(admin), 0);
	assert_int_equal(tenant_info(admin, TENANT).kernels, 0);
	assert_int_equal(tenant_info(admin, TENANT).admitted_total, PROCESSES * STEPS * 3);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(brokers_killed_at_any_moment_of_attach_or_detach_give_their_places_back)
{
	enum { KILLS = 150 };
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);

	register_tenant(admin, TENANT, K2K_UNLIMITED, 16);
	random_seed(11);
	for (int i = 0; i < KILLS; i++) {
		struct gate ready;
		pid_t victim;

		gate_make(&ready);
		victim = spawn();
		if (victim == 0) {
			gate_open(&ready);
			for (;;) {
				struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

				k2k_kernel_acquire(reg, TENANT, NULL, NULL);
				k2k_registry_close(&reg);
			}
		}
		gate_wait(&ready);
		close(ready.fd[0]);
		close(ready.fd[1]);
		pause_ns(random_below(1000000));
		kill_broker(admin, victim);
		assert_int_equal(tenant_info(admin, TENANT).kernels, 0);
		assert_int_equal(brokers_alive(admin), 0);
	}
	/* All 64 slots are free for the next brokers. */
	pid_t brokers[K2K_BROKERS_MAX];

	for (int i = 0; i < K2K_BROKERS_MAX; i++)
		brokers[i] = holder(name, 0);
	assert_int_equal(brokers_alive(admin), K2K_BROKERS_MAX);
	for (int i = 0; i < K2K_BROKERS_MAX; i++)
		assert_int_equal(kill(brokers[i], SIGKILL), 0);
	WAIT_UNTIL(brokers_alive(admin) == 0, PATIENCE_S);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

enum child_kind { BY_FORK, BY_RAW_CLONE, BY_EXEC };

/*
 * Starts a broker with all four slots of the tenant and a child that outlives it. The child's pid
 * comes through the pipe.
 */
static pid_t broker_with_child(const char *name, enum child_kind kind, pid_t *child)
{
	int fd[2];
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);
		char *argv[] = { (char[]){ "sleep" }, (char[]){ "1000" }, NULL };
		pid_t mine = 0;

		for (int i = 0; i < 4; i++)
			assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
		if (kind == BY_EXEC)
			assert_int_equal(posix_spawnp(&mine, "sleep", NULL, NULL, argv, environ),
			                 0);
		else
			mine = kind == BY_FORK
			               ? fork()
			               : (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
		if (mine == 0)
			for (;;)
				pause();
		assert_true(write(fd[1], &mine, sizeof mine) == sizeof mine);
		for (;;)
			pause();
	}
	assert_true(read(fd[0], child, sizeof *child) == sizeof *child);
	close(fd[0]);
	close(fd[1]);
	return pid;
}

static void dies_though_its_child_lives(enum child_kind kind)
{
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t broker, child;

	register_tenant(admin, TENANT, 0, 4);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	broker = broker_with_child(name, kind, &child);
	assert_int_equal(tenant_info(admin, TENANT).kernels, 4);
	kill_broker(admin, broker);
	assert_int_equal(kill(child, 0), 0);
	assert_int_equal(tenant_info(admin, TENANT).kernels, 0);
	assert_int_equal(attach_and_hold(name, 4), 0);
	assert_int_equal(kill(child, 0), 0);
	spawn_kill(child);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(a_killed_broker_is_dead_at_once_though_its_forked_child_lives_on)
{
	dies_though_its_child_lives(BY_FORK);
}

TEST(a_killed_broker_is_dead_at_once_though_a_child_without_fork_handlers_lives_on)
{
	dies_though_its_child_lives(BY_RAW_CLONE);
}

TEST(a_killed_broker_is_dead_at_once_though_a_program_it_started_lives_on)
{
	dies_though_its_child_lives(BY_EXEC);
}

TEST(a_broker_that_executes_another_program_is_dead)
{
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	pid_t broker;

	register_tenant(admin, TENANT, 0, 4);
	broker = spawn();
	if (broker == 0) {
		struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);

		for (int i = 0; i < 4; i++)
			assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
		execlp("sleep", "sleep", "1000", (char *)NULL);
		_exit(127);
	}
	WAIT_UNTIL(broker_state(admin, broker) == K2K_BROKER_DEAD, PATIENCE_S);
	assert_int_equal(kill(broker, 0), 0);
	assert_int_equal(attach_and_hold(name, 4), 0);
	spawn_kill(broker);
	close_and_destroy(name, &admin);
}

/* ---- a program that closes descriptors that it did not open --------------------------------- */

static void close_from(int from)
{
	assert_int_equal(syscall(SYS_close_range, from, ~0u, 0), 0);
}

/* Another file takes each of the numbers that the library had. */
static void fill_numbers(const char *path, int flags)
{
	for (int i = 0; i < 40; i++)
		assert_true(open(path, flags) >= 0);
}

static void survives_closed_descriptors(int filled)
{
	struct k2k_registry *admin;
	const char *name = small_registry(4, &admin);
	char foreign[128];
	struct gate ready, go;
	pid_t broker, other;

	register_tenant(admin, TENANT, K2K_UNLIMITED, 4);
	snprintf(foreign, sizeof foreign, "%s/foreign", test_dir());
	gate_make(&ready);
	gate_make(&go);
	other = holder(name, 3);
	broker = spawn();
	if (broker == 0) {
		struct k2k_registry *reg, *observer;
		int in, out;

		/* The gates move to numbers below 3, out of the way. */
		in = dup2(go.fd[0], 0);
		out = dup2(ready.fd[1], 1);
		assert_true(in == 0 && out == 1);
		reg = open_as(name, K2K_ROLE_BROKER);
		observer = open_as(name, K2K_ROLE_OBSERVER);
		assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
		close_from(3);
		if (filled) {
			int fd = open(foreign, O_CREAT | O_RDWR, 0600);

			assert_true(fd >= 0 && write(fd, "foreign", 7) == 7);
			fill_numbers(foreign, O_RDWR);
		}
		/* Near the limit, this call checks whether the other brokers live. */
		assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), K2K_EKERNELS);
		assert_int_equal(broker_state(observer, getpid()), K2K_BROKER_ACTIVE);
		assert_int_equal(write(out, "", 1), 1);
		assert_int_equal(read(in, &(char){ 0 }, 1), 1);
		/* the other broker is dead now; what it held is free */
		for (int i = 0; i < 3; i++)
			assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), 0);
		assert_int_equal(k2k_kernel_acquire(reg, TENANT, NULL, NULL), K2K_EKERNELS);
		assert_int_equal(broker_state(observer, other), K2K_BROKER_DEAD);
		assert_int_equal(k2k_message_admit(reg, TENANT, no_tag, 1, NULL), 0);
		assert_int_equal(k2k_registry_close(&observer), 0);
		assert_int_equal(k2k_registry_close(&reg), 0);
		if (filled) /* close closed none of the program's own files */
			for (int fd = 3; fd < 43; fd++)
				assert_true(fcntl(fd, F_GETFD) >= 0);
		exit(0);
	}
	gate_wait(&ready);
	assert_int_equal(broker_state(admin, broker), K2K_BROKER_ACTIVE);
	assert_int_equal(tenant_info(admin, TENANT).kernels, 4);
	kill_broker(admin, other);
	gate_open(&go);
	spawn_wait(broker);
	assert_int_equal(brokers_alive(admin), 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

TEST(closing_all_descriptors_does_not_end_an_incarnation)
{
	survives_closed_descriptors(0);
}

TEST(questions_of_life_are_right_when_other_files_have_the_same_numbers)
{
	survives_closed_descriptors(1);
}
