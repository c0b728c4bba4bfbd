/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_namespace - brokers that have equal pids in their own namespaces, and brokers of
 * different users
 *
 * Needs root.
 */
#include "process.h"

#include <grp.h>
#include <sched.h>
#include <sys/mount.h>

enum { TENANT = 7, SLOTS = 2, USER_A = 65532, USER_B = 65533, GROUP = 4242 };

/* What a broker is ordered to do, and what it did. */
struct broker {
	pid_t pid; /* as the test sees it */
	struct gate command, done;
	struct answer {
		_Atomic int code, own_pid;
		_Atomic uint64_t namespace;
		_Atomic uint64_t admitted;
	} * answer;
};

/* 'k': take a kernel slot; 'a': admit 5 messages; 'e': leave. */
static void obey(const char *name, struct broker *broker, struct gate *ready)
{
	struct k2k_registry *reg = open_as(name, K2K_ROLE_BROKER);
	struct stat st;
	char command;

	assert_int_equal(stat("/proc/self/ns/pid", &st), 0);
	atomic_store(&broker->answer->own_pid, getpid());
	atomic_store(&broker->answer->namespace, st.st_ino);
	gate_open(ready);
	while (read(broker->command.fd[0], &command, 1) == 1) {
		int code = command == 'k'   ? k2k_kernel_acquire(reg, TENANT, NULL, NULL)
		           : command == 'a' ? k2k_message_admit(reg, TENANT, no_tag, 5, NULL)
		                            : k2k_registry_close(&reg);

		if (command == 'a' && code == 0)
			atomic_fetch_add(&broker->answer->admitted, 5);
		atomic_store(&broker->answer->code, code);
		gate_open(&broker->done);
		if (command == 'e')
			exit(0);
	}
	exit(1);
}

static int tell(struct broker *broker, char command)
{
	assert_int_equal(write(broker->command.fd[1], &command, 1), 1);
	gate_wait(&broker->done);
	return atomic_load(&broker->answer->code);
}

static struct broker new_broker(void)
{
	struct broker broker = { .answer = shared_bytes(sizeof *broker.answer) };

	gate_make(&broker.command);
	gate_make(&broker.done);
	return broker;
}

static struct k2k_broker_info find_broker(struct k2k_registry *reg, uint64_t pid,
                                          uint64_t namespace)
{
	struct k2k_broker_info list[K2K_BROKERS_MAX] = { { .size = sizeof list[0] } };
	size_t count;

	assert_int_equal(k2k_broker_list(reg, list, K2K_BROKERS_MAX, &count), 0);
	for (size_t i = 0; i < count; i++)
		if (list[i].pid == pid && list[i].pid_namespace == namespace)
			return list[i];
	fail_msg("no broker with pid %" PRIu64 " in namespace %" PRIu64, pid, namespace);
}

/* ---- two namespaces ---------------------------------------------------------------- */

/*
 * Starts a process that is pid 1 of its own namespace, with its own /proc: as in a container that
 * shares /dev/shm.
 */
static struct broker start_in_namespace(const char *name)
{
	struct broker broker = new_broker();
	struct gate ready, pids;
	pid_t middle;

	gate_make(&ready);
	gate_make(&pids);
	middle = spawn();
	if (middle == 0) {
		pid_t pid;

		assert_int_equal(unshare(CLONE_NEWPID | CLONE_NEWNS), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			assert_int_equal(getpid(), 1);
			assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
			assert_int_equal(mount("proc", "/proc", "proc", 0, NULL), 0);
			obey(name, &broker, &ready);
		}
		assert_true(write(pids.fd[1], &pid, sizeof pid) == sizeof pid);
		/* ends when its child does */
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		_exit(0);
	}
	assert_true(read(pids.fd[0], &broker.pid, sizeof broker.pid) == sizeof broker.pid);
	gate_wait(&ready);
	return broker;
}

static void need_namespaces(void)
{
	static char why[200];
	pid_t pid;
	int status;

	if (geteuid() != 0)
		skip_msg("needs root");
	pid = spawn();
	if (pid == 0)
		_exit(unshare(CLONE_NEWPID | CLONE_NEWNS) == 0 &&
		                      mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0
		              ? 0
		              : errno);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0) {
		snprintf(why, sizeof why, "no pid namespaces here: %s",
		         strerror(WEXITSTATUS(status)));
		skip_msg("%s", why);
	}
}

/*
 * Of two brokers with the same pid, one is killed: the live one is not taken for dead, nor the dead
 * one for alive.
 */
static void kill_one_of_two(struct k2k_registry *admin, struct broker *victim,
                            struct broker *survivor)
{
	uint64_t gone = atomic_load(&victim->answer->namespace),
		 here = atomic_load(&survivor->answer->namespace);

	assert_int_equal(tell(victim, 'k'), 0);
	assert_int_equal(tell(survivor, 'k'), 0);
	assert_int_equal(tell(survivor, 'k'), K2K_EKERNELS);
	assert_int_equal(kill(victim->pid, SIGKILL), 0);
	WAIT_UNTIL(find_broker(admin, 1, gone).state == K2K_BROKER_DEAD, PATIENCE_S);
	/* It is alive; from outside its namespace, whether it runs is unknown. */
	assert_int_equal(find_broker(admin, 1, here).state, K2K_BROKER_UNKNOWN);
	assert_int_equal(find_broker(admin, 1, here).kernels, 1);
	assert_int_equal(find_broker(admin, 1, gone).kernels, 0);
	assert_int_equal(brokers_alive(admin), 1);
	assert_int_equal(tenant_info(admin, TENANT).kernels, 1);
	/* The survivor goes on, and takes what the dead one held, but no more. */
	assert_int_equal(tell(survivor, 'a'), 0);
	assert_int_equal(tell(survivor, 'k'), 0);
	assert_int_equal(tell(survivor, 'k'), K2K_EKERNELS);
	check_clean(admin);
}

TEST(of_two_brokers_with_equal_pids_in_two_namespaces_only_the_killed_one_is_dead)
{
	struct k2k_registry *admin;
	struct stat st;

	need_namespaces();
	assert_int_equal(stat("/proc/self/ns/pid", &st), 0);
	for (int second = 0; second < 2; second++) {
		const char *name = small_registry(4, &admin);
		struct broker brokers[2];
		uint64_t namespaces[2];

		register_tenant(admin, TENANT, 1000, SLOTS);
		for (int i = 0; i < 2; i++) {
			brokers[i] = start_in_namespace(name);
			namespaces[i] = atomic_load(&brokers[i].answer->namespace);
			assert_int_equal(atomic_load(&brokers[i].answer->own_pid), 1);
			assert_int_equal(tell(&brokers[i], 'a'), 0);
		}
		assert_true(namespaces[0] != namespaces[1] && namespaces[0] != st.st_ino &&
		            namespaces[1] != st.st_ino);
		assert_int_equal(brokers_alive(admin), 2);
		assert_true(find_broker(admin, 1, namespaces[0]).incarnation !=
		            find_broker(admin, 1, namespaces[1]).incarnation);
		assert_int_equal(find_broker(admin, 1, namespaces[0]).state, K2K_BROKER_UNKNOWN);
		kill_one_of_two(admin, &brokers[second], &brokers[!second]);
		/* All messages are counted, including those of the dead one. */
		assert_int_equal(tenant_info(admin, TENANT).admitted_total, 15);
		assert_int_equal(tell(&brokers[!second], 'e'), 0);
		assert_int_equal(tenant_info(admin, TENANT).kernels, 0);
		WAIT_UNTIL(brokers_alive(admin) == 0, PATIENCE_S);
		check_clean(admin);
		close_and_destroy(name, &admin);
	}
}

/* ---- two users ---------------------------------------------------------------------- */

static struct broker start_as(const char *name, struct k2k_registry *inherited, uid_t user)
{
	struct broker broker = new_broker();
	struct gate ready;

	gate_make(&ready);
	broker.pid = spawn();
	if (broker.pid == 0) {
		assert_int_equal(k2k_registry_close(&inherited), K2K_EFORKED);
		assert_true(setgroups(0, NULL) == 0 && setgid(GROUP) == 0 && setuid(user) == 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* changing the user has cleared it */
		assert_true(geteuid() == user && getegid() == GROUP);
		obey(name, &broker, &ready);
	}
	gate_wait(&ready);
	return broker;
}

TEST(brokers_of_two_users_share_a_registry_through_their_group)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	const char *name = fresh_registry();
	struct broker a, b, heir, fillers[K2K_BROKERS_MAX - 2];
	struct k2k_registry *admin;
	struct stat st;
	uint64_t namespace;
	uint32_t place;

	if (geteuid() != 0)
		skip_msg("needs root");
	assert_int_equal(stat("/proc/self/ns/pid", &st), 0);
	namespace = st.st_ino;
	options.flags = K2K_CREATE_GROUP | K2K_CREATE_MODE;
	options.gid = GROUP;
	options.mode = 0660;
	options.max_tenants = options.max_engagements = options.max_kernels = options.max_budgets =
		4;
	options.max_leases = 256;
	assert_int_equal(k2k_registry_create(name, &options, &admin), 0);
	register_tenant(admin, TENANT, 30, SLOTS);

	/* Both count into the same totals, and against the same limit. */
	a = start_as(name, admin, USER_A);
	b = start_as(name, admin, USER_B);
	assert_int_equal(tell(&a, 'a'), 0);
	assert_int_equal(tell(&b, 'a'), 0);
	assert_int_equal(tenant_info(admin, TENANT).admitted_total, 10);
	for (int i = 0; i < 200; i++) {
		struct broker *sender = i % 2 ? &a : &b;
		int code = tell(sender, 'a');

		assert_true(code == 0 || code == K2K_ERATE);
		assert_true(tenant_info(admin, TENANT).messages_this_second <= 30);
	}
	assert_int_equal(tenant_info(admin, TENANT).admitted_total,
	                 atomic_load(&a.answer->admitted) + atomic_load(&b.answer->admitted));
	assert_int_equal(tell(&a, 'k'), 0);
	assert_int_equal(tell(&b, 'k'), 0);
	assert_int_equal(tell(&b, 'k'), K2K_EKERNELS);

	/* Every other slot is taken: a broker of the other user gets the killed one's. */
	for (int i = 0; i < K2K_BROKERS_MAX - 2; i++)
		fillers[i] = start_as(name, admin, i % 2 ? USER_A : USER_B);
	assert_int_equal(brokers_alive(admin), K2K_BROKERS_MAX);
	place = find_broker(admin, (uint64_t)a.pid, namespace).slot;
	kill_broker(admin, a.pid);
	heir = start_as(name, admin, USER_B);
	assert_int_equal(find_broker(admin, (uint64_t)heir.pid, namespace).slot, place);
	assert_int_equal(brokers_alive(admin), K2K_BROKERS_MAX);
	assert_int_equal(tell(&heir, 'k'), 0);
	assert_int_equal(tell(&b, 'k'), K2K_EKERNELS);
	assert_int_equal(tenant_info(admin, TENANT).kernels, SLOTS);
	check_clean(admin);

	for (int i = 0; i < K2K_BROKERS_MAX - 2; i++)
		assert_int_equal(tell(&fillers[i], 'e'), 0);
	assert_int_equal(tell(&b, 'e'), 0);
	assert_int_equal(tell(&heir, 'e'), 0);
	WAIT_UNTIL(brokers_alive(admin) == 0, PATIENCE_S);
	close_and_destroy(name, &admin);
}
