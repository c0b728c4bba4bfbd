/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tenant_change.h"
#include "dry_run.h"
#include "output.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int fail_change(struct ctl *ctl, int code, k2k_tenant_id id, const struct change *change,
                       bool several)
{
	if (code == K2K_ENOBUDGET)
		return fail(ctl, code, "tenant %" PRIu64 ", engagement %" PRIu64, id,
		            change->engagement);
	return fail_tenant(ctl, code, id, several);
}

/* ---- differences from what was asked for ------------------------------------------ */

struct asked_budget {
	uint64_t engagement, ns;
	uint32_t renewal;
};

/* Replaces the limits that were asked for. */
static void lay_over(struct limits *limits, const struct change *change,
                     const struct asked_budget *budgets, size_t count)
{
	const struct k2k_quota *q = change->quota;

	if (change->mask & K2K_UPDATE_RATE)
		limits->rate = rate_of_quota(q);
	if (change->mask & K2K_UPDATE_KERNELS)
		limits->kernels = q->max_concurrent_kernels == K2K_UNLIMITED_KERNELS
		                          ? UINT64_MAX
		                          : q->max_concurrent_kernels;
	if (change->mask & K2K_UPDATE_GPU_MEMORY)
		limits->gpu_memory_bytes = q->max_gpu_memory_bytes;
	if (change->mask & K2K_UPDATE_NAME)
		limits->name = q->name;
	if (change->mask & K2K_UPDATE_SHADOW)
		limits->shadow = q->shadow;
	if (change->mask & K2K_UPDATE_ALERTS)
		limits->alerts = thresholds_pack(q->alerts);
	if (change->mask & K2K_UPDATE_BUDGETS)
		limits->budgets = BUDGET_LIST(budgets, count, struct asked_budget, engagement, ns,
		                              renewal);
}

static int by_engagement(const void *a, const void *b)
{
	const struct asked_budget *x = a, *y = b;

	return (x->engagement > y->engagement) - (x->engagement < y->engagement);
}

/*
 * The present budgets, replaced by those that were asked for; the last one for an engagement wins.
 * Sorted; the caller frees them.
 */
static struct asked_budget *merge_budgets(const struct tenants *now, const struct k2k_quota *q,
                                          size_t *count)
{
	struct asked_budget *all = check_memory(
		calloc(now->budget_count + q->budget_count + 1, sizeof(*all)));

	*count = 0;
	for (size_t i = 0; i < now->budget_count; i++)
		all[(*count)++] = (struct asked_budget){ now->budgets[i].engagement_id,
			                                 now->budgets[i].budget_ns,
			                                 now->budgets[i].renewal };
	for (uint32_t i = 0; i < q->budget_count; i++) {
		size_t at = 0;

		while (at < *count && all[at].engagement != q->budgets[i].engagement_id)
			at++;
		all[at] = (struct asked_budget){ q->budgets[i].engagement_id,
			                         q->budgets[i].budget_ns,
			                         q->budget_terms[i].renewal };
		*count += at == *count;
	}
	qsort(all, *count, sizeof(*all), by_engagement);
	return all;
}

static void report_differences(struct ctl *ctl, k2k_tenant_id id, const struct tenants *now,
                               const struct change *change, json_object *all)
{
	struct limits found = limits_of_tenant(now, &now->rows[0]), asked = found;
	struct limit_changes differences;
	size_t count, length;
	struct asked_budget *budgets = merge_budgets(now, change->quota, &count);
	json_object *one;
	char *text;
	FILE *out;

	lay_over(&asked, change, budgets, count);
	limits_compare(&found, &asked, &differences);
	if (differences.count) {
		out = check_memory(open_memstream(&text, &length));
		limits_print(out, &differences);
		if (fclose(out))
			out_of_memory();
		note(ctl,
		     "tenant %" PRIu64 ": is registered already, but differs from what was asked "
		     "for%s; 'update' changes it",
		     id, text);
		free(text);
		one = json_new();
		json_put_u64(one, "tenant", id);
		json_put(one, "fields", limits_json(&differences, "found", "asked"));
		json_append(all, one);
	}
	limits_free(&differences);
	free(budgets);
}

/* ---- doing it ------------------------------------------------------------------------ */

static void print_line(k2k_tenant_id id, const struct tenants *before, const struct tenants *after,
                       int code)
{
	struct limit_changes changes = { 0 };
	struct limits old, new;

	if (before->count)
		old = limits_of_tenant(before, &before->rows[0]);
	if (after->count) {
		new = limits_of_tenant(after, &after->rows[0]);
		limits_compare(before->count ? &old : NULL, &new, &changes);
	}
	printf("tenant %" PRIu64 "%s", id,
	       code == K2K_EEXIST ? ": is registered already"
	       : !before->count   ? ": registered"
	       : !changes.count   ? ": unchanged"
	                          : "");
	limits_print(stdout, &changes);
	putchar('\n');
	limits_free(&changes);
}

/* Returns a K2K_E... code; an accepted K2K_EEXIST is 0. */
static int change_one(struct ctl *ctl, struct k2k_registry *reg, k2k_tenant_id id,
                      const struct change *change, json_object *differences)
{
	struct tenants before, after;
	int code = tenants_load_limits(reg, id, &before);

	if (code && code != K2K_ENOTENANT)
		return code;
	code = change->call(reg, id, change);
	/* the tenant exists already, or another one that has its name */
	if (!code || (code == K2K_EEXIST && change->accept_existing &&
	              strcmp(k2k_error_detail()->field, "name") != 0)) {
		int later = tenants_load_limits(reg, id, &after);

		if (!later && code == K2K_EEXIST)
			report_differences(ctl, id, &after, change, differences);
		if (ctl->format == FORMAT_TABLE && !ctl->quiet)
			print_line(id, &before, &after, code);
		tenants_free(&after);
		code = 0;
	}
	tenants_free(&before);
	return code;
}

static int print_changed(struct ctl *ctl, struct k2k_registry *reg, const k2k_tenant_id *ids,
                         size_t count, json_object *differences)
{
	struct tenants tenants;
	int exit_code;

	if (ctl->quiet || ctl->format == FORMAT_TABLE)
		return EXIT_DONE;
	exit_code = tenants_load(ctl, reg, ids, count, false, &tenants);
	if (!exit_code)
		tenants_print_changed(ctl, &tenants, differences);
	tenants_free(&tenants);
	return exit_code;
}

int change_tenants(struct ctl *ctl, const k2k_tenant_id *ids, size_t count,
                   const struct change *change)
{
	struct k2k_registry *reg;
	k2k_tenant_id *done;
	json_object *differences;
	size_t changed = 0;
	bool batch;
	int code, exit_code = open_registry(ctl, K2K_ROLE_ADMIN, &reg);

	if (exit_code)
		return exit_code;
	/* several changes take the writer's lock once; what is kept can't change in between */
	batch = count > 1 || change->kept.number || change->kept.policy;
	code = batch ? k2k_batch_begin(reg) : 0;
	if (code) {
		exit_code = fail(ctl, code, "registry '%s'", ctl->registry);
		k2k_registry_close(&reg);
		return exit_code;
	}
	done = check_memory(calloc(count, sizeof(*done)));
	differences = json_new_list();
	for (size_t i = 0; i < count; i++) {
		code = change_one(ctl, reg, ids[i], change, differences);
		if (code)
			exit_code = fail_change(ctl, code, ids[i], change, count > 1);
		else
			done[changed++] = ids[i];
	}
	if (batch)
		k2k_batch_end(reg);
	if (count > 1 && exit_code)
		exit_code = EXIT_PARTLY;
	if (changed || count > 1) {
		code = print_changed(ctl, reg, done, changed,
		                     change->accept_existing ? differences : NULL);
		exit_code = exit_code ? exit_code : code;
	}
	json_object_put(differences);
	free(done);
	k2k_registry_close(&reg);
	return exit_code;
}

/* ---- dry run --------------------------------------------------------- */

int change_dry_run(struct ctl *ctl, const k2k_tenant_id *ids, size_t count,
                   const struct change *change, would_call would_do)
{
	struct k2k_registry *reg;
	struct would *all;
	struct list list;
	int exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);

	if (exit_code)
		return exit_code;
	all = check_memory(calloc(count, sizeof(*all)));
	for (size_t i = 0; i < count; i++) {
		int code = would_do(reg, ids[i], change, &all[i]);

		if (code) {
			exit_code = fail_change(ctl, code, ids[i], change, count > 1);
			all[i].action = NULL;
		}
	}
	k2k_registry_close(&reg);
	if (!exit_code || count > 1) {
		dryrun_begin(&list, ctl);
		for (size_t i = 0; i < count; i++)
			if (all[i].action)
				dryrun_row(&list, all[i].action, &ids[i], "%s", all[i].text);
		dryrun_end(&list);
		exit_code = exit_code ? EXIT_PARTLY : EXIT_DONE;
	}
	free(all);
	return exit_code;
}
