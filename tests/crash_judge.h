/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crash_judge.h - the judge of crash_scene.h: what a kill left behind, as the interface shows it,
 * and whether that is allowed
 */
#ifndef K2K_TESTS_CRASH_JUDGE_H
#define K2K_TESTS_CRASH_JUDGE_H

#include "crash_scene.h"

/* What the interface shows, as text, and how many records are in use. */
struct sight {
	char *meaning;
	/* records in use, without retired ones */
	uint64_t tenants, budgets, engagements, leases;
};

static void sight_free(struct sight *sight)
{
	free(sight->meaning);
	memset(sight, 0, sizeof *sight);
}

static int by_id(const void *a, const void *b)
{
	k2k_tenant_id x = *(const k2k_tenant_id *)a, y = *(const k2k_tenant_id *)b;

	return x < y ? -1 : x > y;
}

static int by_engagement(const void *a, const void *b)
{
	const struct k2k_usage_info *x = a, *y = b;

	return x->engagement_id < y->engagement_id ? -1 : x->engagement_id > y->engagement_id;
}

static int by_budget(const void *a, const void *b)
{
	const struct k2k_budget_info *x = a, *y = b;

	return x->engagement_id < y->engagement_id ? -1 : x->engagement_id > y->engagement_id;
}

static void write_budget(FILE *out, struct k2k_registry *reg, k2k_tenant_id id,
                         const struct k2k_budget_info *budget)
{
	struct k2k_budget_use uses[K2K_BUDGET_PERIODS_KEPT] = { { .size = sizeof uses[0] } };
	size_t count = 0;

	fprintf(out,
	        "  budget %" PRIu64 ": %" PRIu64 " of %" PRIu64 " ns, renewal %u, period %" PRIu64
	        " from %" PRIu64 " to %" PRIu64 ", corrected by %" PRId64 ":",
	        budget->engagement_id, budget->used_ns, budget->budget_ns, budget->renewal,
	        budget->period, budget->began_at_ns, budget->renews_at_ns, budget->corrected_ns);
	if (budget->period)
		assert_int_equal(k2k_budget_history(reg, id, tag_of(budget->engagement_id), uses,
		                                    K2K_BUDGET_PERIODS_KEPT, &count),
		                 0);
	for (size_t i = 0; i < count; i++)
		fprintf(out, " %" PRIu64 " from %" PRIu64 " %" PRIu64, uses[i].period,
		        uses[i].began_at_ns, uses[i].used_ns);
	fprintf(out, "\n");
}

static void write_tenant(FILE *out, struct k2k_registry *reg, k2k_tenant_id id)
{
	struct k2k_tenant_info info = tenant_info(reg, id);
	struct k2k_budget_info budgets[BUDGETS] = { { .size = sizeof budgets[0] } };
	struct k2k_usage_info usage[ENGAGEMENTS] = { { .size = sizeof usage[0] } };
	size_t count;

	fprintf(out,
	        "tenant %" PRIu64 ": rate %" PRIu64 " burst %" PRIu64 " policy %u memory %" PRIu64
	        " kernels %u; admitted %" PRIu64 ", %" PRIu64 " in this second; rejected %" PRIu64
	        " %" PRIu64 " %" PRIu64 " %" PRIu64 "; unattributed %" PRIu64 "; holds %" PRIu64
	        " kernels, %" PRIu64 " bytes; \"%s\"%s%s; in shadow %" PRIu64 " %" PRIu64
	        " %" PRIu64 " %" PRIu64 "; suspended %" PRIu64 "; alerts %u %u; share %u, %" PRIu64
	        " alone\n",
	        id, info.max_messages_per_sec, info.burst, info.rate_policy,
	        info.max_gpu_memory_bytes, info.max_concurrent_kernels, info.admitted_total,
	        info.messages_this_second, info.rejected_total.rate, info.rejected_total.budget,
	        info.rejected_total.kernels, info.rejected_total.gpu_memory, info.unattributed_ns,
	        info.kernels, info.gpu_memory_bytes, info.name, info.shadow ? ", in shadow" : "",
	        info.suspended ? ", suspended" : "", info.shadow_rejected_total.rate,
	        info.shadow_rejected_total.budget, info.shadow_rejected_total.kernels,
	        info.shadow_rejected_total.gpu_memory, info.suspended_rejected_total,
	        info.alerts[0], info.alerts[1], info.rate_shared, info.rate_alone);
	assert_int_equal(k2k_budget_list(reg, id, budgets, BUDGETS, &count), 0);
	assert_int_equal(count, info.budget_count);
	qsort(budgets, count, sizeof budgets[0], by_budget);
	for (size_t i = 0; i < count; i++)
		write_budget(out, reg, id, &budgets[i]);
	assert_int_equal(k2k_usage_list(reg, id, usage, ENGAGEMENTS, &count), 0);
	qsort(usage, count, sizeof usage[0], by_engagement);
	for (size_t i = 0; i < count; i++) {
		uint64_t reserved_ns;

		if (usage[i].gpu_ns || usage[i].corrected_ns)
			fprintf(out,
			        "  engagement %" PRIu64 ": %" PRIu64 " ns, corrected by %" PRId64
			        "\n",
			        usage[i].engagement_id, usage[i].gpu_ns, usage[i].corrected_ns);
		assert_int_equal(
			k2k_usage_reserved(reg, id, tag_of(usage[i].engagement_id), &reserved_ns),
			0);
		if (reserved_ns)
			fprintf(out, "  engagement %" PRIu64 ": %" PRIu64 " ns reserved\n",
			        usage[i].engagement_id, reserved_ns);
	}
}

/* Those that do not belong to the bystander. */
static void write_kernels(FILE *out, struct k2k_registry *reg)
{
	struct k2k_kernel_info list[KERNELS] = { K2K_KERNEL_INFO_INIT };
	size_t count;

	assert_int_equal(k2k_kernel_list(reg, 0, list, KERNELS, &count), 0);
	for (size_t i = 0; i < count; i++)
		if (list[i].id != BYSTANDERS)
			fprintf(out, "kernel \"%s\" of %" PRIu64 "\n", list[i].name, list[i].id);
}

/* Nobody can tell whose shares they were that have ended. */
static void write_shares(FILE *out, struct k2k_registry *reg)
{
	struct k2k_shares shares = K2K_SHARES_INIT;

	assert_int_equal(k2k_shares_get(reg, &shares), 0);
	if (shares.until_ns)
		fprintf(out, "shares of %" PRIu64 " until %" PRIu64 "\n", shares.epoch,
		        shares.until_ns);
}

static char *see_meaning(struct k2k_registry *reg)
{
	struct k2k_registry_info info = { .size = sizeof info };
	k2k_tenant_id ids[TENANTS];
	char *text = NULL;
	size_t count, length;
	FILE *out = open_memstream(&text, &length);

	assert_non_null(out);
	assert_int_equal(k2k_tenant_ids(reg, ids, TENANTS, &count), 0);
	assert_true(count <= TENANTS);
	qsort(ids, count, sizeof ids[0], by_id);
	assert_int_equal(k2k_registry_info(reg, &info), 0);
	assert_int_equal(info.tenants.used, count);
	fprintf(out, "%zu tenants; unknown %" PRIu64 ", cross %" PRIu64 "\n", count,
	        info.unknown_tenant_total, info.cross_tenant_total);
	for (size_t i = 0; i < count; i++) {
		assert_true(i == 0 || ids[i] != ids[i - 1]);
		if (ids[i] != BYSTANDERS)
			write_tenant(out, reg, ids[i]);
	}
	write_kernels(out, reg);
	write_shares(out, reg);
	fclose(out);
	return text;
}

/*
 * Repairs until nothing more is given back. A stopped broker keeps retired records from being
 * freed; retired ledger records stay retired until one is needed.
 */
static struct k2k_registry_info settle(struct scene *scene, struct k2k_registry *reg)
{
	struct k2k_registry_info info = { .size = sizeof info };
	struct k2k_repair_info repaired = { .size = sizeof repaired };
	unsigned int rounds = 0;

	do {
		if (++rounds > 1000)
			fail_msg("repair gives something back each time: %" PRIu64
			         " tenants, %" PRIu64 " budgets, %" PRIu64 " engagements, %" PRIu64
			         " leases",
			         repaired.tenants, repaired.budgets, repaired.engagements,
			         repaired.leases);
		if (scene->bystander)
			wait_answered(scene);
		assert_int_equal(k2k_registry_repair(reg, &repaired), 0);
		assert_int_equal(k2k_registry_info(reg, &info), 0);
	} while (repaired.tenants + repaired.budgets + repaired.engagements + repaired.leases > 0 ||
	         (!scene->stopped && info.tenants.retired + info.budgets.retired > 0));
	return info;
}

static void see_records(struct scene *scene, struct k2k_registry *reg, struct sight *sight)
{
	struct k2k_registry_info info = settle(scene, reg);

	sight->tenants = info.tenants.used;
	sight->budgets = info.budgets.used;
	sight->engagements = info.engagements.used;
	sight->leases = info.leases.used;
}

/* ---- 1 and 2: others go on ------------------------------------------------------------------ */

static void bystander_goes_on(struct scene *scene)
{
	struct stage *stage = scene->stage;
	int code;

	atomic_fetch_add(&stage->round_asked, 1);
	gate_expect(&scene->answered, "a broker at work goes on after a kill");
	code = atomic_load(&stage->round_code);
	assert_true(code == 0 || (code == K2K_EFENCED && scene->operation->removes));
	if (atomic_load(&stage->round_sleeps))
		fail_msg("a broker at work went to sleep %" PRIu64 " times in one round of calls",
		         atomic_load(&stage->round_sleeps));
	if (atomic_load(&stage->round_cpu_ns) > BYSTANDER_CPU_NS)
		fail_msg("a call of a broker at work took %" PRIu64 " ns of its processor",
		         atomic_load(&stage->round_cpu_ns));
}

/* If the operation creates or removes the registry, it may be absent. */
static void attach_works(struct scene *scene)
{
	pid_t pid = spawn();

	if (pid == 0) {
		struct k2k_registry *reg;
		int code = k2k_registry_open(scene->name, K2K_ROLE_BROKER, NULL, &reg);

		if (code == K2K_ENOREGISTRY &&
		    (scene->operation->removes || scene->operation->no_registry))
			_exit(0);
		assert_int_equal(code, 0);
		inject_clocks(reg, scene->stage);
		if (!scene->operation->no_registry)
			assert_int_equal(k2k_message_admit(reg, BYSTANDERS, no_tag, 1, NULL), 0);
		assert_int_equal(k2k_registry_close(&reg), 0);
		_exit(0);
	}
	spawn_wait(pid);
}

static void change_works(struct scene *scene, struct k2k_registry *reg)
{
	struct k2k_quota quota = K2K_QUOTA_UNLIMITED;

	if (!scene->operation->no_registry)
		assert_int_equal(k2k_tenant_update(reg, BYSTANDERS, &quota, K2K_UPDATE_RATE), 0);
}

/* ---- the sight ------------------------------------------------------------------------------- */

/*
 * After a kill with an odd number an attach is first. What an administrator began only an
 * administrator can end.
 */
static struct sight look(struct scene *scene, size_t number)
{
	bool by_attach = number % 2,
	     may_be_gone = scene->operation->removes || scene->operation->no_registry;
	struct sight sight = { .meaning = NULL };
	struct k2k_registry *reg;
	int code;

	if (scene->bystander)
		bystander_goes_on(scene);
	if (by_attach)
		attach_works(scene);
	code = k2k_registry_open(scene->name, K2K_ROLE_ADMIN, NULL, &reg);
	if (code == K2K_ENOREGISTRY && may_be_gone) {
		check_nothing_left(scene->name);
		assert_true(asprintf(&sight.meaning, "no registry\n") > 0);
		return sight;
	}
	assert_int_equal(code, 0);
	inject_clocks(reg, scene->stage);
	if (!by_attach || scene->has_changed)
		change_works(scene, reg);
	check_clean(reg);
	sight.meaning = see_meaning(reg);
	if (scene->bystander)
		pause_bystander(scene);
	see_records(scene, reg, &sight);
	check_clean(reg);
	if (scene->bystander)
		resume_bystander(scene);
	assert_int_equal(k2k_registry_close(&reg), 0);
	return sight;
}

/* ---- the verdict ----------------------------------------------------------------------------- */

struct oracle {
	struct sight before, after;
};

struct tally {
	size_t kills;
	/* either: the operation changes nothing that can still be seen once its caller is dead */
	size_t before, after, either;
	size_t unreached;
	size_t missed; /* of them: no repeated system call, which may be a turn of a wait */
};

static void oracle_free(struct oracle *oracle)
{
	sight_free(&oracle->before);
	sight_free(&oracle->after);
}

/* What is seen without the operation, and after all of it. */
HARNESS_USED static void consult(struct oracle *oracle, const struct operation *operation,
                                 enum state state)
{
	struct scene scene;

	scene_open(&scene, operation, state);
	scene.victim = start_victim(&scene, operation, false, NULL);
	end_process(&scene.victim);
	oracle->before = look(&scene, 0);
	scene_close(&scene);

	scene_open(&scene, operation, state);
	scene.victim = start_victim(&scene, operation, false, NULL);
	victim_bring_to_end(scene.victim);
	assert_int_equal(atomic_load(&scene.stage->run_code), operation->expected);
	end_process(&scene.victim);
	oracle->after = look(&scene, 0);
	scene_close(&scene);
}

static bool same(const struct sight *a, const struct sight *b)
{
	return strcmp(a->meaning, b->meaning) == 0 && a->tenants == b->tenants &&
	       a->budgets == b->budgets && a->engagements == b->engagements &&
	       a->leases == b->leases;
}

static bool is_between(uint64_t number, uint64_t a, uint64_t b)
{
	return (a <= number && number <= b) || (b <= number && number <= a);
}

/*
 * The operation did not happen, except that it may have made empty records first: an engagement
 * without cost, a lease that holds nothing.
 */
static bool left_records(const struct sight *sight, const struct oracle *oracle)
{
	return strcmp(sight->meaning, oracle->before.meaning) == 0 &&
	       sight->tenants == oracle->before.tenants &&
	       sight->budgets == oracle->before.budgets &&
	       is_between(sight->engagements, oracle->before.engagements,
	                  oracle->after.engagements) &&
	       is_between(sight->leases, oracle->before.leases, oracle->after.leases);
}

static void print_sight(const char *title, const struct sight *sight)
{
	fprintf(stderr,
	        "--- %s: tenants %" PRIu64 ", budgets %" PRIu64 ", engagements %" PRIu64
	        ", leases %" PRIu64 "\n%s",
	        title, sight->tenants, sight->budgets, sight->engagements, sight->leases,
	        sight->meaning);
}

/* `where` describes the point in a message of failure. */
HARNESS_USED static void judge(struct scene *scene, const struct oracle *oracle, size_t number,
                               const char *where, struct tally *tally)
{
	struct sight sight = look(scene, number);

	tally->kills++;
	if (same(&sight, &oracle->after)) {
		*(same(&oracle->before, &oracle->after) ? &tally->either : &tally->after) += 1;
	} else if (same(&sight, &oracle->before) ||
	           (scene->operation->may_leave_record && left_records(&sight, oracle))) {
		tally->before++;
	} else {
		print_sight("found", &sight);
		print_sight("before", &oracle->before);
		print_sight("after", &oracle->after);
		fail_msg("%s, %s, killed %s: neither before nor after", scene->operation->name,
		         state_names[scene->state], where);
	}
	sight_free(&sight);
}

#endif
