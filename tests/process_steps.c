/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * process_steps - creators, destroyers and openers are killed, or held, at each of their system
 * calls
 *
 * The parent traces the child and lets it run from one system call to the next: so each state that
 * is visible in /dev/shm occurs, and not only by luck.
 */
#include "process.h"

#include "agent.h"

#include <sys/ptrace.h>

enum { MOST_STEPS = 2000, TENANT = 7 };

struct outcome {
	atomic_int code, registered;
};
static struct outcome *outcome; /* written by the traced child */

static int create_small(const char *name)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	options.max_tenants = options.max_engagements = options.max_kernels = options.max_budgets =
		options.max_leases = 4;
	options.max_audit_events = 4;
	return k2k_registry_create(name, &options, NULL);
}

static void create(const char *name)
{
	atomic_store(&outcome->code, create_small(name));
}

static void destroy(const char *name)
{
	atomic_store(&outcome->code, k2k_registry_destroy(name, 0, NULL));
}

static void open_broker(const char *name)
{
	struct k2k_registry *reg;
	int code = k2k_registry_open(name, K2K_ROLE_BROKER, NULL, &reg), registered = 0;

	if (code == 0) {
		code = k2k_tenant_is_registered(reg, TENANT, &registered);
		atomic_store(&outcome->registered, registered);
	}
	atomic_store(&outcome->code, code);
}

static void change(const char *name)
{
	struct k2k_registry *reg = open_as(name, K2K_ROLE_ADMIN);
	int code = k2k_budget_set(reg, TENANT, 1, 1 + (uint64_t)getpid());

	atomic_store(&outcome->code, code ? code : k2k_registry_close(&reg));
}

/* ---- tracing --------------------------------------------------------------------- */

static pid_t start_traced(void (*work)(const char *), const char *name)
{
	int status;
	pid_t pid;

	if (!outcome)
		outcome = shared_bytes(sizeof *outcome);
	atomic_store(&outcome->code, 1);
	pid = spawn();
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(HARNESS_SKIPPED);
		raise(SIGSTOP);
		k2k_agent_in_caller = true; /* all system calls are made in the traced thread */
		work(name);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == HARNESS_SKIPPED)
		skip_msg("may not trace");
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL,
	                        (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL)),
	                 0);
	return pid;
}

/*
 * Continues to the next entry into a system call, or return from one. 0: it has ended,
 * successfully.
 */
static int step(pid_t pid)
{
	long deliver = 0;
	int status;

	for (;;) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, (void *)deliver), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return 0;
		}
		assert_true(WIFSTOPPED(status));
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			return 1;
		deliver = WSTOPSIG(status);
	}
}

/* False if it ended before. */
static int run_to(pid_t pid, int steps)
{
	for (int i = 0; i < steps; i++)
		if (!step(pid))
			return 0;
	return 1;
}

static void let_go(pid_t pid)
{
	assert_int_equal(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
	spawn_wait(pid);
}

static void is_whole(const char *name)
{
	struct k2k_registry *admin;
	int lives;

	/* checked first: opening cleans up */
	assert_int_equal(objects_of(name, &lives), 1);
	assert_int_equal(lives, 1);
	admin = open_as(name, K2K_ROLE_ADMIN);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* ---- tests ----------------------------------------------------------------------- */

TEST(a_creator_killed_at_any_system_call_leaves_nothing_once_the_next_has_created)
{
	const char *name = fresh_registry();
	int steps;

	for (steps = 1; steps < MOST_STEPS; steps++) {
		pid_t creator = start_traced(create, name);
		int code;

		if (!run_to(creator, steps))
			break;
		spawn_kill(creator);
		code = create_small(name);
		assert_true(code == 0 || code == K2K_EEXIST);
		is_whole(name);
	}
	assert_true(steps > 20 && steps < MOST_STEPS);
	assert_int_equal(atomic_load(&outcome->code), 0);
	is_whole(name);
}

TEST(a_destroyer_killed_at_any_system_call_is_finished_by_the_next_command)
{
	const char *name = fresh_registry();
	int steps;

	for (steps = 1; steps < MOST_STEPS; steps++) {
		struct k2k_registry *reg;
		pid_t destroyer;
		int code;

		assert_int_equal(create_small(name), 0);
		destroyer = start_traced(destroy, name);
		if (!run_to(destroyer, steps))
			break;
		spawn_kill(destroyer);
		switch (steps % 3) {
		case 0: /* a create: of a new one, unless the old one is still whole */
			code = create_small(name);
			assert_true(code == 0 || code == K2K_EEXIST);
			is_whole(name);
			break;
		case 1: /* a destroy */
			code = k2k_registry_destroy(name, 0, NULL);
			assert_true(code == 0 || code == K2K_ENOREGISTRY);
			break;
		default: /* an open by an administrator */
			code = k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &reg);
			if (code == 0)
				close_and_destroy(name, &reg);
			else
				assert_int_equal(code, K2K_ENOREGISTRY);
		}
		check_nothing_left(name);
	}
	assert_true(steps > 20 && steps < MOST_STEPS);
	assert_int_equal(atomic_load(&outcome->code), 0);
	check_nothing_left(name);
}

TEST(a_creator_held_at_any_system_call_loses_nothing_to_one_who_sweeps)
{
	const char *name = fresh_registry();
	int steps;

	for (steps = 1; steps < MOST_STEPS; steps++) {
		pid_t creator = start_traced(create, name);
		struct k2k_registry *reg;
		int code;

		if (!run_to(creator, steps))
			break;
		code = k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &reg);
		if (code == 0)
			assert_int_equal(k2k_registry_close(&reg), 0);
		else
			assert_int_equal(code, K2K_ENOREGISTRY);
		assert_true(code == 0 || k2k_registry_destroy(name, 0, NULL) == K2K_ENOREGISTRY);
		let_go(creator);
		assert_int_equal(atomic_load(&outcome->code), 0);
		is_whole(name);
	}
	assert_true(steps > 20 && steps < MOST_STEPS);
	is_whole(name);
}

static void sweep(const char *name)
{
	struct k2k_registry *reg;
	int code = k2k_registry_open(name, K2K_ROLE_ADMIN, NULL, &reg);

	atomic_store(&outcome->code, code);
}

TEST(a_sweeper_held_at_any_system_call_takes_nothing_from_a_creator_who_ends_meanwhile)
{
	const char *name = fresh_registry();
	int between, steps, defs = 0, lives = 0;

	/* Finds the step at which a creator has named live, and not yet defs. */
	for (between = 1; lives == 0 || defs; between++) {
		pid_t creator = start_traced(create, name);

		assert_true(run_to(creator, between));
		defs = objects_of(name, &lives);
		spawn_kill(creator);
		assert_int_equal(k2k_registry_destroy(name, 0, NULL), defs ? 0 : K2K_ENOREGISTRY);
	}
	between--;
	for (steps = 1; steps < MOST_STEPS; steps++) {
		pid_t creator = start_traced(create, name), sweeper;

		assert_true(run_to(creator, between));
		sweeper = start_traced(sweep, name);
		/* it has ended: it needed fewer calls than the last one */
		if (!run_to(sweeper, steps)) {
			let_go(creator);
			break;
		}
		if (atomic_load(&outcome->code) != 1) { /* it has its answer */
			spawn_kill(sweeper);
			let_go(creator);
			break;
		}
		let_go(creator);
		let_go(sweeper);
		is_whole(name);
	}
	assert_true(steps > 5 && steps < MOST_STEPS);
	is_whole(name);
}

TEST(of_a_creator_held_at_any_system_call_and_another_exactly_one_wins)
{
	const char *name = fresh_registry();
	int steps;

	for (steps = 1; steps < MOST_STEPS; steps++) {
		pid_t creator = start_traced(create, name);
		int code;

		if (!run_to(creator, steps))
			break;
		code = create_small(name);
		assert_true(code == 0 || code == K2K_EEXIST);
		let_go(creator);
		assert_int_equal(atomic_load(&outcome->code), code == 0 ? K2K_EEXIST : 0);
		is_whole(name);
	}
	assert_true(steps > 20 && steps < MOST_STEPS);
	is_whole(name);
}

TEST(a_destroyer_held_at_any_system_call_never_removes_the_registry_that_comes_after)
{
	const char *name = fresh_registry();
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	int steps;

	options.flags = K2K_OPEN_TIMEOUT;
	for (steps = 1; steps < MOST_STEPS; steps++) {
		pid_t destroyer;
		int code, created = 0, lives;

		assert_int_equal(create_small(name), 0);
		destroyer = start_traced(destroy, name);
		if (!run_to(destroyer, steps))
			break;
		/*
		 * Another destroyer, which doesn't wait, destroys, finds nothing, or finds the lock
		 * taken.
		 */
		code = k2k_registry_destroy(name, 0, &options);
		assert_true(code == 0 || code == K2K_ENOREGISTRY || code == K2K_EBUSY);
		if (code != K2K_EBUSY)
			created = create_small(name) == 0;
		let_go(destroyer);
		/*
		 * If the second one destroyed the old registry, the first may find the new one,
		 * whole, like any destroyer, or nothing.
		 */
		code = atomic_load(&outcome->code);
		assert_true(code == 0 || code == K2K_ENOREGISTRY);
		if ((created && code == K2K_ENOREGISTRY) || objects_of(name, &lives))
			is_whole(name);
		check_nothing_left(name);
	}
	assert_true(steps > 20 && steps < MOST_STEPS);
	check_nothing_left(name);
}

TEST(an_opener_held_at_any_system_call_while_its_registry_is_replaced_gets_the_new_one_or_is_told)
{
	const char *name = fresh_registry();
	int steps, fenced = 0, fresh = 0;

	for (steps = 1; steps < MOST_STEPS; steps++) {
		struct k2k_registry *admin;
		pid_t opener;
		int code;

		assert_int_equal(create_small(name), 0);
		opener = start_traced(open_broker, name);
		/* it has ended: it needed fewer calls than the last one */
		if (!run_to(opener, steps))
			break;
		if (atomic_load(&outcome->code) != 1) { /* it has its answer */
			spawn_kill(opener);
			break;
		}
		assert_int_equal(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), 0);
		assert_int_equal(create_small(name), 0);
		admin = open_as(name, K2K_ROLE_ADMIN);
		register_tenant(admin, TENANT, 10, 4);
		let_go(opener);
		code = atomic_load(&outcome->code);
		if (code == 0)
			assert_int_equal(atomic_load(&outcome->registered), 1);
		else /* for a moment there was no registry, and the open may have seen that */
			assert_true(code == K2K_EFENCED || code == K2K_ENOREGISTRY);
		fenced += code == K2K_EFENCED;
		fresh += code == 0;
		WAIT_UNTIL(brokers_alive(admin) == 0, PATIENCE_S);
		check_clean(admin);
		close_and_destroy(name, &admin);
	}
	assert_true(steps > 20 && steps < MOST_STEPS);
	assert_true(fresh > 0 && fenced > 0);
	assert_int_equal(k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL), 0);
	check_nothing_left(name);
}

TEST(an_administrator_held_at_any_system_call_of_a_change_is_named_by_those_it_holds_up)
{
	struct k2k_registry *admin, *impatient;
	const char *name = small_registry(4, &admin);
	int held_up = 0, steps = 0;

	register_tenant(admin, TENANT, 10, 4);
	impatient = open_patient(name, K2K_ROLE_ADMIN, 5000000);
	for (; steps < MOST_STEPS; steps++) {
		pid_t pid = start_traced(change, name);
		int code;

		if (!run_to(pid, steps))
			break;
		/* The last writer was this process: the error must not name it as the holder. */
		code = k2k_budget_set(impatient, TENANT, 2, 1 + (uint64_t)steps);
		if (code) {
			assert_int_equal(code, K2K_EBUSY);
			assert_string_equal(k2k_error_detail()->object, "writer");
			assert_int_equal(k2k_error_detail()->pid, (uint64_t)pid);
			held_up++;
		}
		let_go(pid);
		assert_int_equal(atomic_load(&outcome->code), 0);
	}
	assert_true(steps < MOST_STEPS);
	/*
	 * Held after it locked, when it maps the page that keeps the lock, and when it closes the
	 * descriptor.
	 */
	assert_true(held_up >= 3);
	assert_int_equal(k2k_registry_close(&impatient), 0);
	check_clean(admin);
	close_and_destroy(name, &admin);
}
