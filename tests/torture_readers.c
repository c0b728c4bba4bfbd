/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * torture_readers - no record that a reader looks at is used again before the reader leaves
 *
 *	torture_readers [--reuses N | --duration SECONDS] [--seed N]
 *
 * Brokers of several threads read, admit, book and take leases; an observer reads without a slot;
 * administrators register, update and deregister the same few tenants in a registry of 32 slots, as
 * fast as they can. Meanwhile processes are stopped, continued, killed and replaced.
 *
 * The idea is that of rcutorture, the torture test of the Linux kernel's RCU (Paul E. McKenney,
 * kernel/rcu/rcutorture.c): readers that stay in their sections note how many grace periods ago the
 * record that they look at was removed. If more than the current one, grace periods do not work.
 * The table that it prints is rcutorture's "Reader Pipe"; its two last columns must be 0. The test
 * also fails if too few slots were used again (--reuses; 100,000 by default), or if no reader ever
 * was on a removed record: then nothing was tested.
 */
#include "torture.h"
#include "torture_calls.h"
#include "torture_looks.h"

#include <ctype.h>
#include <pthread.h>

enum {
	BROKERS = 3,
	OBSERVERS = 1,
	CHURNERS = 2,
	PROCESSES = BROKERS + OBSERVERS + CHURNERS,
	THREADS = 2
};
enum { REUSES_WANTED = 100000, END_S = 60, RARE_S = 200 };
#define PHASE_NS UINT64_C(200000000)

static struct {
	uint64_t reuses, duration_s, seed;
} options;

/* ---- readers ------------------------------------------------------------------------ */

static void read_as_broker(struct reader *r)
{
	static const struct {
		uint32_t weight;
		void (*act)(struct reader *);
	} acts[] = {
		{ 20, find_and_stay }, { 15, walk_tenants }, { 15, walk_costs },
		{ 10, walk_budgets },  { 10, find_cost },    { 10, find_budget },
		{ 10, find_leases },   { 10, call_get },     { 40, call_admit },
		{ 5, call_check },     { 40, call_track },   { 10, call_cost },
		{ 20, call_lease },    { 1, call_lists },
	};
	uint32_t sum = 0, at;

	for (size_t i = 0; i < K2K_COUNT_OF(acts); i++)
		sum += acts[i].weight;
	at = (uint32_t)roll(&r->dice, sum);
	for (size_t i = 0; i < K2K_COUNT_OF(acts); at -= acts[i++].weight)
		if (at < acts[i].weight) {
			acts[i].act(r);
			return;
		}
}

static void read_as_observer(struct reader *r)
{
	switch (roll(&r->dice, 8)) {
	case 0: call_lists(r); break;
	case 1: call_cost(r); break;
	case 2:
	case 3: call_check(r); break;
	default: call_get(r); break;
	}
}

static void *run_reader(void *argument)
{
	struct reader *r = argument;

	while (!atomic_load(&r->t->stop)) {
		if (r->broker)
			read_as_broker(r);
		else
			read_as_observer(r);
		/* leaves the processor to those who deregister */
		pause_ns(roll(&r->dice, 200000));
	}
	return NULL;
}

/* ---- churners -------------------------------------------------------------------------- */

struct churner {
	struct torture *t;
	struct k2k_registry *reg;
	struct dice dice;
};

static struct k2k_quota quota_of(uint32_t tenant, uint32_t variant)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	quota.max_messages_per_sec = rate_of(tenant, variant);
	quota.max_gpu_memory_bytes = memory_of(tenant, variant);
	quota.max_concurrent_kernels = kernels_of(tenant, variant);
	return quota;
}

/* 0, or a refusal because the registry is full or busy, which is counted. */
static int refused(struct churner *c, int code, const char *what)
{
	if (code == K2K_EFULL || code == K2K_EBUSY)
		count(&c->t->refused);
	else if (code && code != K2K_ENOTENANT && code != K2K_EEXIST && code != K2K_ENOBUDGET)
		fail_msg("%s: %s (%s)", what, k2k_errname(code), k2k_error_detail()->text);
	return code;
}

static void deregister(struct churner *c, uint32_t tenant, bool wait)
{
	struct k2k_tenant_totals totals = { .size = sizeof totals };

	if (refused(c, k2k_tenant_deregister(c->reg, id_of(tenant), wait ? &totals : NULL),
	            "deregister"))
		return;
	if (wait && totals.final && totals.generation < GENERATIONS) {
		assert_int_equal(totals.id, id_of(tenant));
		assert_true(totals.admitted_total >=
		            atomic_load(&c->t->admitted[totals.generation]));
		assert_true(totals.gpu_ns_total + totals.unattributed_ns >=
		            atomic_load(&c->t->booked_ns[totals.generation]));
		count(&c->t->finals);
	}
}

/* K2K_EEXIST if it is registered already. */
static int change(struct churner *c, uint32_t tenant, uint64_t kind)
{
	uint32_t variant = (uint32_t)roll(&c->dice, VARIANTS);
	uint32_t engagement = (uint32_t)roll(&c->dice, ENGAGEMENTS);
	struct k2k_budget budgets[2] = {
		{ tag_of(engagement).engagement_id, budget_of(tenant, engagement, variant) },
		{ tag_of((engagement + 1) % ENGAGEMENTS).engagement_id,
		  budget_of(tenant, (engagement + 1) % ENGAGEMENTS, variant) },
	};
	struct k2k_quota quota = quota_of(tenant, variant);
	int code = 0;

	quota.budgets = budgets;
	quota.budget_count = kind < 16 ? 0 : (uint32_t)kind % 3;
	if (kind < 28) {
		code = refused(c, k2k_tenant_register(c->reg, id_of(tenant), &quota), "register");
		if (code == 0) {
			count(&c->t->registrations);
			atomic_fetch_add(&c->t->budgets, quota.budget_count);
		}
	} else if (kind < 30) {
		uint32_t mask = K2K_UPDATE_RATE | K2K_UPDATE_GPU_MEMORY | K2K_UPDATE_KERNELS |
		                (kind % 2 ? K2K_UPDATE_BUDGETS : 0);

		if (refused(c, k2k_tenant_update(c->reg, id_of(tenant), &quota, mask), "update") ==
		    0)
			count(&c->t->updates);
	} else if (kind == 30) {
		refused(c,
		        k2k_budget_set(c->reg, id_of(tenant), budgets[0].engagement_id,
		                       budgets[0].budget_ns),
		        "budget_set");
	} else {
		refused(c, k2k_budget_unset(c->reg, id_of(tenant), budgets[0].engagement_id),
		        "budget_unset");
	}
	return code;
}

/* Half of the tenants are registered: slots are free, so nobody waits and many are used again. */
static void churn_widely(struct churner *c)
{
	uint32_t tenant = (uint32_t)roll(&c->dice, IDS);

	if (change(c, tenant, roll(&c->dice, 32)) == K2K_EEXIST)
		deregister(c, tenant, roll(&c->dice, 32) == 0);
}

/*
 * All tenants but the hot ones are registered, which leaves two slots for the hot: each is used
 * again as soon as it may be.
 */
static void churn_tightly(struct churner *c)
{
	uint32_t tenant = (uint32_t)roll(&c->dice, HOT);

	deregister(c, tenant, false);
	tenant = (tenant + 1 + (uint32_t)roll(&c->dice, HOT - 1)) % HOT;
	if (change(c, tenant, roll(&c->dice, 24)) == 0 && roll(&c->dice, 8) == 0)
		for (uint64_t updates = 4; updates > 0; updates--)
			change(c, tenant, 28 + roll(&c->dice, 4));
}

static void fill(struct churner *c)
{
	for (uint32_t tenant = HOT; tenant < IDS; tenant++)
		change(c, tenant, roll(&c->dice, 24));
}

static void *run_churner(void *argument)
{
	struct churner *c = argument;
	bool was_tight = false;

	while (!atomic_load(&c->t->stop)) {
		bool tight = now_ns() / PHASE_NS % 5 == 0;

		if (tight && !was_tight)
			fill(c);
		if (tight)
			churn_tightly(c);
		else
			churn_widely(c);
		was_tight = tight;
	}
	return NULL;
}

/* ---- processes ------------------------------------------------------------------------------ */

enum role { BROKER, OBSERVER, CHURNER };

static enum role role_of(uint32_t process)
{
	return process < BROKERS ? BROKER : process < BROKERS + OBSERVERS ? OBSERVER : CHURNER;
}

/* The n-th process that was started, with all its threads, until it is told to stop. */
static void run_process(struct torture *t, uint32_t process, uint64_t n)
{
	enum role role = role_of(process);
	/* one: administrators would only wait for each other */
	uint64_t count = role == CHURNER ? 1 : THREADS;
	atomic_ullong leased[IDS] = { 0 };
	struct reader readers[THREADS];
	struct churner churners[THREADS];
	pthread_t threads[THREADS];
	struct k2k_registry *reg;

#ifdef K2K_DELAYS
	k2k_delay_seed(t->seed ^ k2k_mix64(n + 1));
#endif
	reg = open_as(t->name, role == BROKER     ? K2K_ROLE_BROKER
	                       : role == OBSERVER ? K2K_ROLE_OBSERVER
	                                          : K2K_ROLE_ADMIN);
	memset(readers, 0, sizeof readers);
	for (uint64_t i = 0; i < count; i++) {
		struct dice dice = dice_of(t->seed, n * THREADS + i);

		readers[i] = (struct reader){
			.t = t, .reg = reg, .broker = role == BROKER, .dice = dice, .leased = leased
		};
		churners[i] = (struct churner){ t, reg, dice };
		assert_int_equal(
			pthread_create(&threads[i], NULL,
		                       role == CHURNER ? run_churner : run_reader,
		                       role == CHURNER ? (void *)&churners[i] : &readers[i]),
			0);
	}
	for (uint64_t i = 0; i < count; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(k2k_registry_close(&reg), 0);
}

struct crew {
	struct torture *t;
	pid_t pids[PROCESSES];
	uint64_t started, stops, kills;
	struct dice dice;
};

static void start(struct crew *crew, uint32_t process)
{
	uint64_t n = crew->started++;

	crew->pids[process] = spawn();
	if (crew->pids[process] == 0) {
		run_process(crew->t, process, n);
		exit(0);
	}
}

static void check_nobody_ended(void)
{
	siginfo_t info = { .si_pid = 0 };

	assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), 0);
	if (info.si_pid)
		fail_msg("process %ld ended before it was told to, with %d", (long)info.si_pid,
		         info.si_status);
}

/* Stops a process for some milliseconds, or kills it; mostly a reader. */
static void harass(struct crew *crew)
{
	uint32_t victim = (uint32_t)roll(&crew->dice, roll(&crew->dice, 4) ? BROKERS : PROCESSES);
	pid_t pid = crew->pids[victim];

	if (roll(&crew->dice, 4)) {
		stop_process(pid);
		pause_ns(roll(&crew->dice, 10000000));
		assert_int_equal(kill(pid, SIGCONT), 0);
		crew->stops++;
	} else {
		spawn_kill(pid);
		crew->kills++;
		start(crew, victim);
	}
}

/* ---- the whole ------------------------------------------------------------------------------- */

static uint64_t reuses(const atomic_ullong *taken, uint64_t records)
{
	return k2k_sat_sub(atomic_load(taken), records);
}

static void report(const struct crew *crew, uint64_t grace_periods, double seconds)
{
	const struct torture *t = crew->t;

	printf("# looks at:               in use     removed      passed      reused\n");
	for (int what = 0; what < WHATS; what++)
		printf("#   %-20s %11llu %11llu %11llu %11llu\n", what_names[what],
		       atomic_load(&t->ages[what][IN_USE]), atomic_load(&t->ages[what][REMOVED]),
		       atomic_load(&t->ages[what][PASSED]), atomic_load(&t->ages[what][REUSED]));
	printf("# used again: %" PRIu64 " tenant slots, at least %" PRIu64
	       " budgets and costs, %" PRIu64 " leases\n",
	       reuses(&t->registrations, SLOTS), reuses(&t->budgets, BUDGETS),
	       reuses(&t->leases, LEASES));
	printf("# %.1f s: %.0f registrations a second, %" PRIu64
	       " grace periods, %llu updates, %llu final totals, %llu refused\n",
	       seconds, (double)atomic_load(&t->registrations) / seconds, grace_periods,
	       atomic_load(&t->updates), atomic_load(&t->finals), atomic_load(&t->refused));
	printf("# %llu calls: %llu rejections, %llu too late to be certain, %llu not booked, %llu "
	       "leases busy\n",
	       atomic_load(&t->calls), atomic_load(&t->rejections), atomic_load(&t->gone),
	       atomic_load(&t->unbooked), atomic_load(&t->busy));
	printf("# %" PRIu64 " stops, %" PRIu64 " kills; seed %" PRIu64 "\n", crew->stops,
	       crew->kills, t->seed);
	fflush(stdout);
}

/* Everything is given back: no record is left that nobody will free. */
static void check_nothing_kept(struct k2k_registry *admin)
{
	struct k2k_registry_info info = { .size = sizeof info };
	struct k2k_repair_info repaired = { .size = sizeof repaired };
	struct k2k_tenant_totals totals = { .size = sizeof totals };

	check_clean(admin);
	for (uint32_t tenant = 0; tenant < IDS; tenant++) {
		int code = k2k_tenant_deregister(admin, id_of(tenant), &totals);

		assert_true(code == K2K_ENOTENANT || (code == 0 && totals.final));
		assert_int_equal(totals.kernels, 0);
	}
	assert_int_equal(k2k_registry_repair(admin, &repaired), 0);
	assert_int_equal(k2k_registry_info(admin, &info), 0);
	assert_int_equal(info.tenants.used + info.tenants.retired, 0);
	assert_int_equal(info.budgets.used, 0);
	assert_int_equal(info.engagements.used, 0);
	assert_int_equal(info.leases.used + info.leases.retired, 0);
	check_clean(admin);
}

/* What no reader has been on yet, or null: all of it must be seen, or nothing was tested. */
static const char *untested(struct torture *t)
{
	static const enum what removed[] = { TENANT_FOUND, TENANT_WALKED, COST_WALKED,
		                             BUDGET_WALKED };

	for (size_t i = 0; i < K2K_COUNT_OF(removed); i++)
		if (atomic_load(&t->ages[removed[i]][REMOVED]) == 0)
			return what_names[removed[i]];
	for (int what = 0; what < WHATS; what++)
		if (atomic_load(&t->ages[what][IN_USE]) == 0)
			return what_names[what];
	return reuses(&t->leases, LEASES) == 0     ? "leases, used again"
	       : reuses(&t->budgets, BUDGETS) == 0 ? "budgets, used again"
	       : atomic_load(&t->finals) == 0      ? "final totals"
	                                           : NULL;
}

static bool goes_on(struct torture *t, uint64_t begin)
{
	uint64_t ns = now_ns() - begin;

	if (options.duration_s)
		return ns < options.duration_s * K2K_NS_PER_SEC;
	/* beside another load, some of it is rare */
	return reuses(&t->registrations, SLOTS) < options.reuses ||
	       (untested(t) && ns < RARE_S * K2K_NS_PER_SEC);
}

TEST(what_readers_stand_on_is_not_used_again_before_they_leave)
{
	struct k2k_create_options sizes = K2K_CREATE_OPTIONS_INIT;
	struct torture *t = shared_bytes(sizeof *t);
	struct crew crew = { .t = t, .dice = dice_of(options.seed, UINT64_MAX) };
	struct k2k_registry *admin;
	uint64_t begin, tokens;

	t->seed = options.seed;
	t->name = fresh_registry();
	sizes.max_tenants = SLOTS;
	sizes.max_engagements = COSTS;
	sizes.max_budgets = BUDGETS;
	sizes.max_kernels = 16;
	sizes.max_leases = LEASES;
	assert_int_equal(k2k_registry_create(t->name, &sizes, &admin), 0);
	tokens = k2k_load_relaxed(&admin->map.defs->grace_token);
	begin = now_ns();
	for (uint32_t process = 0; process < PROCESSES; process++)
		start(&crew, process);
	while (goes_on(t, begin)) {
		check_nobody_ended();
		harass(&crew);
		pause_ns(roll(&crew.dice, 100000000));
	}
	atomic_store(&t->stop, 1);
	wait_all(crew.pids, PROCESSES);
	report(&crew, k2k_load_relaxed(&admin->map.defs->grace_token) - tokens,
	       (double)(now_ns() - begin) / 1e9);
	check_nothing_kept(admin);
	if (reuses(&t->registrations, SLOTS) < (options.reuses ? options.reuses : REUSES_WANTED))
		fail_msg("only %" PRIu64 " slots were used again",
		         reuses(&t->registrations, SLOTS));
	if (untested(t))
		fail_msg("no reader was on %s: nothing was tested", untested(t));
	close_and_destroy(t->name, &admin);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (!isdigit((unsigned char)*text) || *end)
		fail_msg("not a number: %s", text);
	return value;
}

int main(int argc, char **argv)
{
	char timeout[24];

	options.seed = now_ns() ^ (uint64_t)getpid() << 40;
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--reuses") == 0)
			options.reuses = number(value);
		else if (strcmp(argv[i], "--duration") == 0)
			options.duration_s = number(value);
		else if (strcmp(argv[i], "--seed") == 0)
			options.seed = number(value);
		else
			fail_msg("not an option: %s", argv[i]);
		i++;
	}
	if (!options.reuses && !options.duration_s)
		options.reuses = REUSES_WANTED;
	if (options.duration_s) {
		snprintf(timeout, sizeof timeout, "%" PRIu64, options.duration_s + END_S);
		setenv("K2K_TEST_TIMEOUT", timeout, 0);
	}
	printf("# seed %" PRIu64 "\n", options.seed);
	return harness_main(1, argv);
}
