/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* process_holders.c - an error names the process that holds the lock. */
#include "files_fixture.h"

#include <fcntl.h>

/* ---- the named process ----------------------------------------------------------------------- */

/* Returns whether the process has the writer lock and has signed. */
static bool is_writing(pid_t pid)
{
	const struct k2k_shm_defs *defs = (const struct k2k_shm_defs *)(void *)bytes.defs;

	return defs->writer_owner != 0 && defs->writer_signed == (uint32_t)defs->writer_owner &&
	       defs->writer_pid == (uint64_t)pid;
}

static struct k2k_open_options impatient(void)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;

	options.flags = K2K_OPEN_TIMEOUT;
	options.timeout_ns = 30000000;
	return options;
}

#define CHECK_NAMES(pid, call)                                                   \
	do {                                                                     \
		char pid_text[32];                                               \
		CHECK_CODE((call), K2K_EBUSY, "%s", #call);                      \
		assert_int_equal(k2k_error_detail()->code, K2K_EBUSY);           \
		assert_int_equal(k2k_error_detail()->pid, (pid));                \
		snprintf(pid_text, sizeof pid_text, "process %ld", (long)(pid)); \
		assert_contains(k2k_error_detail()->text, pid_text);             \
	} while (0)

TEST(a_writer_that_is_stopped_is_named_and_holds_up_no_reader)
{
	struct k2k_open_options options = impatient();
	struct k2k_registry *admin, *broker;
	struct k2k_repair_info repair = { .size = sizeof repair };
	struct k2k_shm_cell *cell;
	size_t count;
	pid_t pid;

	set_up();
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_ADMIN, &options, &admin), 0);
	/*
	 * A window far in the future makes check find it, and look again and again under the lock.
	 */
	cell = (struct k2k_shm_cell *)(void *)(bytes.live + 4096 +
	                                       64 * sizeof(struct k2k_shm_slot));
	cell->window = (UINT64_C(1) << 63);
	pid = spawn();
	if (pid == 0) {
		struct k2k_registry *mine;

		prctl(PR_SET_NAME, "stopped-one");
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &mine), 0);
		for (;;) {
			assert_int_equal(k2k_registry_check(mine, NULL, 0, &count), 0);
			assert_int_equal(count, 1);
		}
	}
	do {
		kill(pid, SIGCONT);
		WAIT_UNTIL(is_writing(pid), PATIENCE_S);
		kill(pid, SIGSTOP);
		assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
		/*
		 * It holds the lock, and is not in the few instructions before it signs or after it
		 * unlocks.
		 */
	} while (!is_writing(pid));
	bytes_copy(&bytes);
	CHECK_NAMES(pid, k2k_tenant_register(admin, 9, NULL));
	assert_contains(k2k_error_detail()->text, "stopped-one");
	assert_string_equal(k2k_error_detail()->object, "writer");
	CHECK_NAMES(pid, k2k_tenant_update(admin, 1, &(struct k2k_quota)K2K_QUOTA_STANDARD, 1));
	CHECK_NAMES(pid, k2k_tenant_deregister(admin, 1, NULL));
	CHECK_NAMES(pid, k2k_budget_set(admin, 1, 1, 1));
	CHECK_NAMES(pid, k2k_registry_check(admin, NULL, 0, &count));
	CHECK_NAMES(pid, k2k_registry_repair(admin, &repair));
	CHECK_NAMES(pid, k2k_registry_destroy(name, K2K_DESTROY_FORCE, &options));
	CHECK_BYTES(&bytes, "changes that were held up");
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &broker), 0);
	assert_int_equal(k2k_kernel_acquire(broker, 1, NULL, NULL), 0);
	assert_int_equal(k2k_registry_close(&broker), 0);
	spawn_kill(pid);
	WAIT_UNTIL(k2k_tenant_register(admin, 9, NULL) == 0, PATIENCE_S);
	assert_int_equal(k2k_registry_close(&admin), 0);
}

static pid_t hold_shared(const char *path, off_t start, off_t length, int command)
{
	struct gate held;
	pid_t pid;

	gate_make(&held);
	pid = spawn();
	if (pid == 0) {
		struct flock lock = {
			.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = length
		};
		int fd = open(path, O_RDONLY);

		assert_true(fd >= 0 && fcntl(fd, command, &lock) == 0);
		gate_open(&held);
		for (;;)
			pause();
	}
	gate_wait(&held);
	return pid;
}

TEST(a_reader_that_locks_the_writers_byte_is_named)
{
	static const int commands[] = { F_OFD_SETLK, F_SETLK };
	struct k2k_open_options options = impatient();
	struct k2k_registry *admin, *broker;

	set_up();
	for (int i = 0; i < 2; i++) {
		pid_t pid = hold_shared(bytes.defs_path, 0, 0, commands[i]);

		bytes_copy(&bytes);
		CHECK_NAMES(pid, k2k_registry_open(name, K2K_ROLE_ADMIN, &options, &admin));
		CHECK_NAMES(pid, k2k_registry_destroy(name, K2K_DESTROY_FORCE, &options));
		CHECK_BYTES(&bytes, "administrators that a reader held up");
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &broker), 0);
		assert_int_equal(k2k_registry_close(&broker), 0);
		spawn_kill(pid);
	}
	WAIT_UNTIL(k2k_registry_open(name, K2K_ROLE_ADMIN, &options, &admin) == 0, PATIENCE_S);
	assert_int_equal(k2k_tenant_register(admin, 9, NULL), 0);
	assert_int_equal(k2k_registry_close(&admin), 0);
}

TEST(a_reader_that_locks_all_of_live_is_named_and_fakes_no_life)
{
	struct k2k_open_options options = impatient();
	struct k2k_registry *broker, *watcher, *other;
	struct k2k_broker_info list[2] = { { .size = sizeof list[0] } };
	static struct traces before;
	size_t count;
	pid_t pid, victim;
	struct gate attached;

	set_up();
	gate_make(&attached);
	victim = spawn();
	if (victim == 0) {
		assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &other), 0);
		assert_int_equal(k2k_kernel_acquire(other, 1, NULL, NULL), 0);
		gate_open(&attached);
		for (;;)
			pause();
	}
	gate_wait(&attached);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_OBSERVER, NULL, &watcher), 0);
	pid = hold_shared(bytes.live_path, 0, 1, F_OFD_SETLK);
	spawn_kill(pid);
	spawn_kill(victim);
	pid = hold_shared(bytes.live_path, 0, 0, F_OFD_SETLK);
	do
		assert_int_equal(k2k_broker_list(watcher, list, 2, &count), 0);
	while (list[0].state == K2K_BROKER_ACTIVE);
	assert_int_equal(list[0].state, K2K_BROKER_DEAD);
	assert_int_equal(list[0].kernels, 0);
	bytes_copy(&bytes);
	traces_take(&before, name);
	CHECK_NAMES(pid, k2k_registry_open(name, K2K_ROLE_BROKER, &options, &broker));
	CHECK_TRACES(&before, name, "an attach that a reader held up");
	CHECK_BYTES(&bytes, "an attach that a reader held up");
	spawn_kill(pid);
	assert_int_equal(k2k_registry_open(name, K2K_ROLE_BROKER, &options, &broker), 0);
}
