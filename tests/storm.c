/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * storm.c - crash_storm [--duration SECONDS] [--seed N]
 *
 * One registry, 8 brokers of two threads each and 2 administrators get random SIGKILL, SIGSTOP and
 * SIGCONT, and are restarted at once. Each records the answers that it gets (storm.h). At the end
 * everything is recounted (storm_recount.c), all brokers take what is free, all participants are
 * killed, and what is left is compared with the records.
 *
 * The seed fixes the calls and the victims, but not the moments: two runs with one seed differ.
 * Exit: 0; 1 after violations, of which it prints the first; 2 for wrong arguments.
 */
#include "storm.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	MOST_STOPPED = 3,
	CHECK_EVERY_MS = 700,
	DEAD_WITHIN_S = 10,
	SUSPECT_MS = 700,
	CALL_WITHIN_MS = 3,
	PROBE_TIMEOUT_MS = 100,
	PROBES = 6
};

/* What only the supervisor knows about a participant. */
struct ward {
	bool stopped;
	uint64_t continue_at_ns;
	uint64_t beats[THREADS], beat_at_ns[THREADS];
};

static struct ward wards[PARTICIPANTS];
static struct k2k_registry *admin;
static uint64_t dice, kills, kills_of_admins, kills_while_stopped, stops, restarts, left, checks,
	probes_named, probes_unnamed, slowest_death_ns, slowest_check_ns;
static volatile sig_atomic_t interrupted;

static uint64_t any(uint64_t below)
{
	return storm_random(&dice, below);
}

static void interrupt(int number)
{
	interrupted = number;
}

static uint32_t tasks_of(uint32_t participant, struct storm_task **first)
{
	*first = participant < BROKERS ? &storm->tasks[participant * THREADS]
	                               : &storm->tasks[WORKERS + participant - BROKERS];
	return participant < BROKERS ? THREADS : 1;
}

/* ---- a hang is reported with stacks and states ------------------------------------------- */

static void print_file(const char *path)
{
	char text[2048];
	FILE *file = fopen(path, "re");
	size_t n;

	if (!file)
		return;
	n = fread(text, 1, sizeof text, file);
	fclose(file);
	printf("%s:\n%.*s\n", path, (int)n, text);
}

static void print_where_it_is(pid_t pid)
{
	char path[300], command[200];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%ld/task", (long)pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		static const char *const files[] = { "stat", "wchan", "syscall", "stack" };

		for (size_t i = 0; entry->d_name[0] != '.' && i < sizeof files / sizeof files[0];
		     i++) {
			snprintf(path, sizeof path, "/proc/%ld/task/%.20s/%s", (long)pid,
			         entry->d_name, files[i]);
			print_file(path);
		}
	}
	if (dir)
		closedir(dir);
	fflush(stdout);
	snprintf(command, sizeof command,
	         "command -v gdb >/dev/null && gdb -p %ld -batch -ex 'thread apply all bt' 2>&1 | "
	         "tail -n 80",
	         (long)pid);
	if (system(command) != 0)
		printf("no gdb\n");
}

static void look_for_hangs(void)
{
	uint64_t now = storm_now_ns();

	for (uint32_t p = 0; p < PARTICIPANTS; p++) {
		struct storm_task *task;
		uint32_t count = tasks_of(p, &task);

		for (uint32_t t = 0; t < count; t++, task++) {
			uint64_t beat = atomic_load(&task->beat);

			if (beat != wards[p].beats[t] || wards[p].stopped) {
				wards[p].beats[t] = beat;
				wards[p].beat_at_ns[t] = now;
			} else if (now - wards[p].beat_at_ns[t] > HANG_S * STORM_NS) {
				pid_t pid = atomic_load(&storm->participants[p].pid);

				storm_violation(
					"participant %u (process %ld, thread %u) is not stopped, "
					"and did nothing for %d s; it is in %s, for %" PRIu64 " ms",
					p, (long)pid, t, HANG_S,
					storm_op_name(atomic_load(&task->op)),
					(now - atomic_load(&task->since_ns)) / STORM_MS);
				print_where_it_is(pid);
				return;
			}
		}
	}
}

/* ---- life and death -------------------------------------------------------------------------- */

static void start(uint32_t p)
{
	struct storm_participant *participant = &storm->participants[p];
	pid_t parent = getpid(), pid;
	struct storm_task *task;
	uint32_t count = tasks_of(p, &task);

	for (uint32_t t = 0; t < count; t++) {
		task[t].random = storm->seed ^ (uint64_t)(p * THREADS + t + 1) << 40 ^
		                 (uint64_t)participant->incarnations << 20;
		wards[p].beat_at_ns[t] = storm_now_ns();
	}
	participant->incarnations++;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		signal(SIGINT, SIG_IGN);
		signal(SIGTERM, SIG_DFL);
		if (getppid() != parent)
			_exit(1);
		storm_add_pid(getpid());
		atomic_store(&participant->pid, getpid());
		if (p < BROKERS)
			storm_broker(p);
		else
			storm_admin(p);
	}
	if (pid < 0) {
		storm_violation("fork: %s", strerror(errno));
		return;
	}
	storm_add_pid(pid);
	atomic_store(&participant->pid, pid);
}

/* Whether any slot of the process is alive. */
static bool is_attached(pid_t pid)
{
	struct k2k_broker_info list[K2K_BROKERS_MAX] = { { .size = sizeof list[0] } };
	size_t count = 0;

	if (k2k_broker_list(admin, list, K2K_BROKERS_MAX, &count) != 0)
		storm_violation("broker_list: %s", k2k_error_detail()->text);
	for (size_t i = 0; i < count; i++)
		if (list[i].pid == (uint64_t)pid && list[i].state != K2K_BROKER_DEAD)
			return true;
	return false;
}

/* After the process has ended: waits until its slots are dead, and settles its call under way. */
static void bury(uint32_t p, uint64_t since_ns)
{
	struct storm_participant *participant = &storm->participants[p];
	pid_t pid = atomic_load(&participant->pid);
	uint64_t took_ns;

	while (is_attached(pid)) {
		if (storm_now_ns() - since_ns > DEAD_WITHIN_S * STORM_NS) {
			storm_violation(
				"broker %u was killed %d s ago, and is still listed as alive", p,
				DEAD_WITHIN_S);
			return;
		}
		storm_sleep_ns(STORM_MS / 10);
	}
	took_ns = storm_now_ns() - since_ns;
	if (took_ns > slowest_death_ns)
		slowest_death_ns = took_ns;
	storm_settle(p);
	if (atomic_load(&participant->stops) & 1)
		atomic_fetch_add(&participant->stops, 1);
	wards[p].stopped = false;
	if (atomic_load(&participant->deaths) & 1)
		atomic_fetch_add(&participant->deaths, 1);
}

static void kill_one(uint32_t p)
{
	struct storm_participant *participant = &storm->participants[p];
	uint64_t now = storm_now_ns();
	int status;

	/* before the kill: from then on its leases do not count */
	atomic_fetch_add(&participant->deaths, 1);
	kill(atomic_load(&participant->pid), SIGKILL);
	if (waitpid(atomic_load(&participant->pid), &status, 0) < 0 ||
	    (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL))
		storm_violation("participant %u ended by itself: status %x", p,
		                (unsigned int)status);
	kills++;
	kills_of_admins += p >= BROKERS;
	kills_while_stopped += wards[p].stopped;
	bury(p, now);
}

static void restart(uint32_t p)
{
	start(p);
	restarts++;
}

static void stop_one(uint32_t p, uint64_t ns)
{
	uint32_t stopped = 0;

	for (uint32_t i = 0; i < PARTICIPANTS; i++)
		stopped += wards[i].stopped;
	if (wards[p].stopped || stopped >= MOST_STOPPED)
		return;
	atomic_fetch_add(&storm->participants[p].stops, 1);
	kill(atomic_load(&storm->participants[p].pid), SIGSTOP);
	wards[p].stopped = true;
	wards[p].continue_at_ns = storm_now_ns() + ns;
	stops++;
}

static void continue_one(uint32_t p)
{
	if (!wards[p].stopped)
		return;
	atomic_fetch_add(&storm->participants[p].stops, 1);
	wards[p].stopped = false;
	kill(atomic_load(&storm->participants[p].pid), SIGCONT);
}

static void continue_due(uint64_t now)
{
	for (uint32_t p = 0; p < PARTICIPANTS; p++)
		if (wards[p].stopped && now >= wards[p].continue_at_ns)
			continue_one(p);
}

/* Restarts those that have left, and reports those that ended otherwise. */
static void restart_those_that_left(void)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (uint32_t p = 0; p < PARTICIPANTS; p++) {
			if (atomic_load(&storm->participants[p].pid) != pid)
				continue;
			if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
				storm_violation("participant %u ended by itself: %s %d", p,
				                WIFSIGNALED(status) ? "signal" : "status",
				                WIFSIGNALED(status) ? WTERMSIG(status)
				                                    : WEXITSTATUS(status));
			left++;
			bury(p, storm_now_ns());
			restart(p);
		}
	}
}

/* ---- checks during the storm ---------------------------------------------------------------- */

/* Stops an administrator in the middle of a change, if one begins soon. */
static uint32_t stop_a_writer(void)
{
	uint32_t p = BROKERS + (uint32_t)any(ADMINS), op;
	const struct storm_task *task = &storm->tasks[WORKERS + p - BROKERS];
	uint64_t until_ns = storm_now_ns() + 50 * STORM_MS;

	do
		op = atomic_load(&task->op);
	while (op < OP_REGISTER && storm_now_ns() < until_ns);
	/* the lock is held for a small part of the time */
	until_ns = storm_now_ns() + any(200000);
	while (storm_now_ns() < until_ns)
		;
	stop_one(p, STORM_NS);
	return p;
}

static void continue_admins(void)
{
	for (uint32_t p = BROKERS; p < PARTICIPANTS; p++)
		continue_one(p);
}

/*
 * Makes a change while administrators may be stopped in the middle of one: it succeeds, or the
 * error names one of them.
 */
static bool probe(void)
{
	uint32_t p = stop_a_writer();
	int code = k2k_tenant_register(admin, PROBE_ID, NULL);

	if (code == K2K_EBUSY) {
		const struct k2k_error_detail *detail = k2k_error_detail();

		if (detail->pid ? !storm_is_participant(detail->pid) : storm_must_name(detail))
			storm_violation("a register was held up: %s", detail->text);
		*(detail->pid && storm_is_stopped(detail->pid) ? &probes_named
		                                               : &probes_unnamed) += 1;
		/* it has the lock, in the middle of a change */
		if (any(2)) {
			kill_one(p);
			restart(p);
		}
	} else if (code && code != K2K_EEXIST) {
		storm_violation("a register: %s: %s", k2k_errname(code), k2k_error_detail()->text);
	}
	return code == K2K_EBUSY;
}

/*
 * Once recovery has finished the change of a killed administrator, and no other is in a change, the
 * checker finds nothing, whatever brokers do.
 */
static void probe_and_check(void)
{
	uint64_t begun_ns;
	int code;

	atomic_store(&storm->only_short, 1);
	for (int tries = 0; tries < PROBES && !probe(); tries++)
		continue_admins();
	atomic_store(&storm->only_short, 0);
	begun_ns = storm_now_ns();
	continue_admins();
	/* no repair is needed: any change finishes what killed administrators left */
	do
		code = k2k_tenant_deregister(admin, PROBE_ID, NULL);
	while (code == K2K_EBUSY && storm_now_ns() - begun_ns < HANG_S * STORM_NS);
	if (code && code != K2K_ENOTENANT)
		storm_violation("deregister: %s: %s", k2k_errname(code), k2k_error_detail()->text);
	storm_check_clean(admin, "in the storm");
	checks++;
	if (storm_now_ns() - begun_ns > slowest_check_ns)
		slowest_check_ns = storm_now_ns() - begun_ns;
}

/* ---- the storm ------------------------------------------------------------------------------- */

/* It made no progress for a while: looked at more closely. */
static bool is_suspect(uint32_t p)
{
	struct storm_task *task;
	uint32_t count = tasks_of(p, &task);

	for (uint32_t t = 0; t < count; t++)
		if (!wards[p].stopped &&
		    storm_now_ns() - wards[p].beat_at_ns[t] > SUSPECT_MS * STORM_MS)
			return true;
	return false;
}

/*
 * Waits until one of its threads begins a call, if this is soon, and a moment longer: most of the
 * time threads wait between calls.
 */
static void wait_for_call(uint32_t p)
{
	struct storm_task *task;
	uint64_t now = storm_now_ns(), until_ns = now + CALL_WITHIN_MS * STORM_MS;
	uint64_t longer_ns = any(p < BROKERS ? 5000 : 200000);
	enum storm_op first = p < BROKERS ? OP_OPEN : OP_REGISTER;

	tasks_of(p, &task);
	while ((atomic_load(&task->since_ns) < now || atomic_load(&task->op) < first) &&
	       storm_now_ns() < until_ns)
		;
	until_ns = storm_now_ns() + longer_ns;
	while (storm_now_ns() < until_ns)
		;
}

static void act(void)
{
	/*
	 * administrators more often than brokers: they can leave more half done
	 */
	uint32_t p = (uint32_t)(any(3) ? any(BROKERS) : BROKERS + any(ADMINS));
	uint64_t what = any(100);

	if (is_suspect(p))
		return;
	if (what < 25) {
		kill_one(p);
		restart(p);
	} else if (what < 45) {
		wait_for_call(p);
		kill_one(p);
		restart(p);
	} else if (what < 55) {
		/* again at once: while it attaches, or finishes the change of its predecessor */
		kill_one(p);
		restart(p);
		storm_sleep_ns(any(4 * STORM_MS));
		kill_one(p);
		restart(p);
	} else if (what < 90) {
		stop_one(p, any(60 * STORM_MS));
	} else if (what < 96) {
		stop_one(p, any(1500 * STORM_MS));
	} else {
		/* killed while it is stopped */
		stop_one(p, STORM_NS);
		storm_sleep_ns(any(STORM_MS));
		kill_one(p);
		restart(p);
	}
}

static bool go_on(void)
{
	return !atomic_load(&storm->violations) && !interrupted;
}

static void rage(void)
{
	uint64_t end_ns = storm->begun_ns + storm->seconds * STORM_NS,
		 check_at_ns = storm_now_ns() + STORM_NS / 2;

	while (go_on() && storm_now_ns() < end_ns) {
		uint64_t until_ns = storm_now_ns() + any(12 * STORM_MS);

		act();
		while (go_on() && storm_now_ns() < until_ns) {
			continue_due(storm_now_ns());
			restart_those_that_left();
			storm_sleep_ns(STORM_MS / 2);
		}
		continue_due(storm_now_ns());
		restart_those_that_left();
		look_for_hangs();
		if (storm_now_ns() >= check_at_ns) {
			probe_and_check();
			check_at_ns = storm_now_ns() + any(2 * CHECK_EVERY_MS * STORM_MS);
		}
	}
}

/* Waits until all run and have reached the phase. */
static void reach(enum storm_phase phase)
{
	for (uint32_t p = 0; p < PARTICIPANTS; p++)
		continue_one(p);
	atomic_store(&storm->phase, phase);
	for (bool all = false; !all && go_on();) {
		all = true;
		restart_those_that_left();
		look_for_hangs();
		for (uint32_t t = 0; t < TASKS; t++)
			all = all && atomic_load(&storm->tasks[t].phase) == (uint32_t)phase;
		storm_sleep_ns(STORM_MS);
	}
}

static void check_nothing_held(void)
{
	struct k2k_registry_info info = { .size = sizeof info };
	size_t count = 1;

	if (k2k_lease_list(admin, K2K_TENANT_UNSPECIFIED, NULL, 0, &count) != 0 || count != 0)
		storm_violation("all are dead, but %zu leases are listed", count);
	if (k2k_registry_info(admin, &info) != 0 || info.brokers != 0)
		storm_violation("all are dead, but %u brokers are alive", info.brokers);
}

/* After one more grace period nothing is in use, and everything retired can be used again. */
static void check_nothing_used(void)
{
	struct k2k_registry_info info = { .size = sizeof info };

	for (int i = 0; i < 3; i++) {
		struct k2k_repair_info repaired = { .size = sizeof repaired };

		if (k2k_registry_repair(admin, &repaired) != 0)
			storm_violation("repair at the end: %s", k2k_error_detail()->text);
	}
	if (k2k_registry_info(admin, &info) != 0)
		return;
	if (info.tenants.used + info.tenants.retired + info.budgets.used + info.budgets.retired +
	    info.engagements.used + info.leases.used)
		storm_violation("nothing is registered, and in use are %" PRIu64
		                " tenants, %" PRIu64 " budgets, %" PRIu64 " engagements, %" PRIu64
		                " leases; retired %" PRIu64 " tenants, %" PRIu64 " budgets",
		                info.tenants.used, info.budgets.used, info.engagements.used,
		                info.leases.used, info.tenants.retired, info.budgets.retired);
}

static void check_nothing_left(void)
{
	char prefix[96];
	struct dirent *entry;
	DIR *dir = opendir("/dev/shm");

	snprintf(prefix, sizeof prefix, "k2k.%s.", storm->name);
	while (dir && (entry = readdir(dir)))
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			storm_violation("/dev/shm/%s is left", entry->d_name);
	if (dir)
		closedir(dir);
}

static void end(void)
{
	reach(PHASE_PARK);
	if (go_on()) {
		storm_recount_leases(admin);
		reach(PHASE_FILL);
	}
	if (go_on()) {
		storm_recount_filled(admin);
		storm_check_clean(admin, "with everything taken");
	}
	for (uint32_t p = 0; p < PARTICIPANTS; p++)
		kill_one(p);
	if (!go_on())
		return;
	check_nothing_held();
	if (k2k_registry_repair(admin, &(struct k2k_repair_info){
					       .size = sizeof(struct k2k_repair_info) }) != 0)
		storm_violation("repair after all: %s", k2k_error_detail()->text);
	storm_check_clean(admin, "after all");
	storm_recount(admin);
	check_nothing_used();
	storm_check_clean(admin, "with nothing registered");
}

/* ---- the report ------------------------------------------------------------------------------ */

static uint64_t percentile(const uint64_t count[BUCKETS], uint64_t of_million)
{
	uint64_t all = 0, sum = 0;

	for (int i = 0; i < BUCKETS; i++)
		all += count[i];
	for (int i = 0; i < BUCKETS; i++) {
		sum += count[i];
		if (sum * 1000000 >= all * of_million)
			return UINT64_C(2) << i;
	}
	return 0;
}

static void report(void)
{
	uint64_t snapshots = 0, full = 0, stopped = 0, others = 0, nobody = 0, busy_all = 0;

	printf("kills: %" PRIu64 " (%" PRIu64 " of administrators, %" PRIu64
	       " of stopped ones); stops: %" PRIu64 "; restarts: %" PRIu64
	       "; left in order: %" PRIu64 "\n",
	       kills, kills_of_admins, kills_while_stopped, stops, restarts, left);
	printf("calls that count, whose answer a kill took: %" PRIu64 "\n",
	       storm_uncertain_calls());
	printf("%-16s %12s %12s %8s %8s   times in us while not stopped: half below, 99.9 %% "
	       "below, most (at)\n",
	       "calls", "all", "refused", "busy", "killed");
	for (unsigned int op = OP_OPEN; op < OPS; op++) {
		uint64_t calls = 0, refused = 0, busy = 0, most_ns = 0, at_ns = 0,
			 count[BUCKETS] = { 0 };

		for (int t = 0; t < TASKS; t++) {
			const struct storm_task *task = &storm->tasks[t];

			calls += task->calls[op];
			refused += task->refused[op];
			busy += task->busy[op];
			for (int i = 0; i < BUCKETS; i++)
				count[i] += task->times[op].count[i];
			if (task->times[op].most_ns > most_ns) {
				most_ns = task->times[op].most_ns;
				at_ns = task->times[op].most_at_ns;
			}
		}
		printf("%-16s %12" PRIu64 " %12" PRIu64 " %8" PRIu64 " %8" PRIu64
		       "   %.1f, %.1f, %.1f (%.3f s)\n",
		       storm_op_name(op), calls, refused, busy, storm_killed_in(op),
		       (double)percentile(count, 500000) / 1e3,
		       (double)percentile(count, 999000) / 1e3, (double)most_ns / 1e3,
		       at_ns ? (double)(at_ns - storm->begun_ns) / 1e9 : 0);
	}
	for (int t = 0; t < TASKS; t++) {
		const struct storm_task *task = &storm->tasks[t];

		snapshots += task->snapshots;
		full += task->full_answers_proved;
		stopped += task->named_stopped;
		others += task->named_others;
		nobody += task->named_nobody;
	}
	busy_all = stopped + others + nobody;
	printf("grants looked at in a snapshot of all holders: %" PRIu64
	       "; answers \"full\" at a moment when nobody moved: %" PRIu64 "\n",
	       snapshots, full);
	printf("administrators held up: %" PRIu64 " times; named were %" PRIu64 " stopped, %" PRIu64
	       " running by then, %" PRIu64 " nobody\n",
	       busy_all, stopped, others, nobody);
	printf("checks in the storm: %" PRIu64 ", the slowest %.1f ms; probes held up: %" PRIu64
	       " by a stopped one that was named, %" PRIu64 " otherwise\n",
	       checks, (double)slowest_check_ns / 1e6, probes_named, probes_unnamed);
	printf("slowest from SIGKILL to dead in the registry: %.1f ms\n",
	       (double)slowest_death_ns / 1e6);
	/* nobody is named if the wait ended too late; a holder of the lock is always named */
	if (nobody > 10 && nobody > busy_all / 2)
		storm_violation("of %" PRIu64 " calls that were held up, %" PRIu64 " named nobody",
		                busy_all, nobody);
}

static int print_violations(void)
{
	uint32_t count = atomic_load(&storm->violations);
	uint32_t kept = sizeof storm->texts / sizeof storm->texts[0];

	for (uint32_t i = 0; i < count && i < kept; i++)
		printf("violation %u: %s\n", i + 1, storm->texts[i]);
	printf("%u violations (seed %" PRIu64 ")\n", count, storm->seed);
	return count != 0 || interrupted;
}

/* ---- main ------------------------------------------------------------------------------------ */

static void register_stable(void)
{
	for (uint32_t i = 0; i < STABLE; i++) {
		struct k2k_quota quota = K2K_QUOTA_STANDARD;
		struct k2k_tenant_info info = { .size = sizeof info };
		struct storm_account *account = &storm->accounts[i];

		account->id = i + 1;
		account->place = NO_ACCOUNT;
		storm->stable_rate[i] = storm->stable_rate_asked[i] = storm_stable_first_rate(i);
		quota.max_messages_per_sec = storm->stable_rate[i];
		quota.max_concurrent_kernels = (uint32_t)storm_stable_limit(i, 0);
		quota.max_gpu_memory_bytes = storm_stable_limit(i, 1);
		if (k2k_tenant_register(admin, account->id, &quota) != 0 ||
		    k2k_tenant_get(admin, account->id, &info) != 0)
			storm_violation("tenant %u: %s", i + 1, k2k_error_detail()->text);
		account->generation = info.generation;
		atomic_store(&account->state, ACCOUNT_REGISTERED);
	}
	for (uint32_t i = 0; i < PLACES; i++)
		atomic_store(&storm->places[i].account, NO_ACCOUNT);
}

static void create(void)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	struct k2k_open_options open_options = K2K_OPEN_OPTIONS_INIT;

	snprintf(storm->name, sizeof storm->name, "storm-%ld", (long)getpid());
	options.max_tenants = TENANTS_MAX;
	options.max_engagements = ENGAGEMENTS_MAX;
	options.max_budgets = TENANTS_MAX;
	options.max_kernels = 16;
	open_options.flags = K2K_OPEN_TIMEOUT;
	open_options.timeout_ns = PROBE_TIMEOUT_MS * STORM_MS;
	options.max_leases = (uint64_t)TENANTS_MAX * K2K_BROKERS_MAX;
	if (k2k_registry_create(storm->name, &options, NULL) != 0 ||
	    k2k_registry_open(storm->name, K2K_ROLE_ADMIN, &open_options, &admin) != 0) {
		printf("no registry: %s\n", k2k_error_detail()->text);
		exit(1);
	}
}

static bool number_of(const char *text, uint64_t *number)
{
	char *after;

	errno = 0;
	*number = strtoull(text, &after, 10);
	return errno == 0 && *text != '\0' && *after == '\0';
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "duration", required_argument, NULL, 'd' },
		{ "seed", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	struct sigaction action = { .sa_handler = interrupt };
	uint64_t seconds = 60, seed = storm_now_ns() ^ (uint64_t)getpid() << 32;
	bool good = true;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
		good = good && (c == 'd'   ? number_of(optarg, &seconds)
		                : c == 's' ? number_of(optarg, &seed)
		                           : false);
	if (!good || optind != argc || seconds == 0 || seconds > 100000) {
		fprintf(stderr, "crash_storm [--duration SECONDS] [--seed N]\n");
		return 2;
	}
	storm_map(seconds);
	storm->seed = dice = seed;
	storm->begun_ns = storm_now_ns();
	storm->begun_second = storm->begun_ns / STORM_NS - 1; /* the registry's clock is coarse */
	storm->pause_ns = seconds * STORM_NS / (ACCOUNTS_EACH - ACCOUNTS_EACH / 8);
	storm_add_pid(getpid());
	printf("seed %" PRIu64 ", %" PRIu64 " s, %d brokers of %d threads, %d administrators\n",
	       seed, seconds, BROKERS, THREADS, ADMINS);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	create();
	register_stable();
	for (uint32_t p = 0; p < PARTICIPANTS; p++)
		start(p);
	rage();
	end();
	report();
	if (k2k_registry_close(&admin) != 0 ||
	    k2k_registry_destroy(storm->name, K2K_DESTROY_FORCE, NULL) != 0)
		storm_violation("destroy: %s", k2k_error_detail()->text);
	check_nothing_left();
	return print_violations();
}
