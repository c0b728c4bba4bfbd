/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * apply, diff - make the registry what a document says
 *
 * 1. Read and check the whole document.
 * 2. Plan: find what differs. diff and --dry-run print the plan.
 * 3. Check that the result fits and that not too many tenants are pruned, and ask for confirmation.
 *    So far nothing has changed.
 * 4. Deregister pruned tenants first and wait for their final totals, without a lock.
 * 5. In one batch, under the writer's lock, plan again, because others may have changed something
 *    meanwhile, and carry the plan out: one call per tenant, so that each tenant changes at once.
 * After a kill in 4 or 5, each tenant is as before or as the document says. Apply again.
 */
#include "commands.h"
#include "plan_names.h"
#include "progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int compare_only(struct ctl *ctl, bool prune, int differs, const char *flag,
                        const char *verb)
{
	struct k2k_registry *reg;
	struct document document;
	struct plan plan;
	int exit_code = document_read(ctl, ctl->files, ctl->file_count, DOCUMENT_PLAIN, &document);

	if (exit_code)
		return exit_code;
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
	if (!exit_code) {
		plan_note_origin(ctl, reg, &document);
		exit_code = plan_make(ctl, reg, &document, prune, &plan);
		if (!exit_code && prune && differs == EXIT_DONE)
			exit_code = plan_check_prune(ctl, &document, &plan);
		if (!exit_code && differs == EXIT_DONE)
			exit_code = plan_check_names(ctl, &document, &plan);
		if (!exit_code && differs == EXIT_DONE)
			exit_code = plan_check_room(ctl, reg, &document, &plan);
		k2k_registry_close(&reg);
		if (!exit_code) {
			plan_print(ctl, &plan, &document, flag, differs == EXIT_DONE || plan.count,
			           verb);
			exit_code = plan.count ? differs : EXIT_DONE;
		}
		plan_free(&plan);
	}
	document_free(&document);
	return exit_code;
}

static bool has_file(struct ctl *ctl, const char *command)
{
	bool all = ctl->file_count > 0;

	for (size_t i = 0; i < ctl->file_count; i++)
		all = all && *ctl->files[i];
	if (!all)
		fail_usage(ctl, "%s: -f FILE is missing; - is standard input", command);
	return all;
}

int cmd_diff(struct ctl *ctl)
{
	if (!has_file(ctl, "diff"))
		return EXIT_USAGE;
	return compare_only(ctl, ctl->option[OPT_PRUNE] != NULL, EXIT_NO, "differs", "");
}

/* ---- apply ---------------------------------------------------------------- */

/* Asks on a terminal; elsewhere -y is needed. Returns 0 or the exit code. */
static int confirm_prune(struct ctl *ctl, const struct plan *plan, const struct document *d)
{
	char names[200] = "";
	size_t named = 0;

	if (!plan->of[DEREGISTER] || ctl->yes)
		return 0;
	for (size_t i = 0; i < plan->count && named <= 5; i++)
		if (plan->steps[i].action == DEREGISTER) {
			size_t length = strlen(names);

			if (named++ < 5)
				snprintf(names + length, sizeof(names) - length, "%s%" PRIu64,
				         named > 1 ? ", " : "", plan_id(plan, &plan->steps[i]));
			else
				snprintf(names + length, sizeof(names) - length, ", ...");
		}
	if (!can_ask())
		return fail_usage(ctl,
		                  "--prune: %zu tenants that %s does not name would be "
		                  "deregistered (%s); confirm with -y; "
		                  "nothing was changed",
		                  plan->of[DEREGISTER], d->name, names);
	if (!ask("Deregister %zu tenants that %s does not name (%s)?", plan->of[DEREGISTER],
	         d->name, names))
		return fail_usage(ctl, "--prune: not confirmed; nothing was changed");
	return 0;
}

static int prune(struct ctl *ctl, struct k2k_registry **reg, const struct plan *plan,
                 struct k2k_tenant_totals **totals, size_t *done)
{
	k2k_tenant_id *ids;
	size_t count = 0;
	int exit_code;

	*totals = NULL;
	*done = 0;
	if (!plan->of[DEREGISTER])
		return 0;
	*totals = check_memory(calloc(plan->of[DEREGISTER], sizeof(**totals)));
	ids = check_memory(calloc(plan->of[DEREGISTER], sizeof(*ids)));
	for (size_t i = 0; i < plan->count; i++)
		if (plan->steps[i].action == DEREGISTER)
			ids[count++] = plan_id(plan, &plan->steps[i]);
	exit_code = tenants_deregister(ctl, reg, ids, count, *totals, done);
	free(ids);
	return exit_code ? EXIT_PARTLY : 0;
}

/* `applied` counts each change right after it is made. */
static int carry_out(struct ctl *ctl, struct k2k_registry *reg, const struct plan *plan,
                     const struct document *d, struct applied *applied)
{
	struct progress progress;
	size_t done = 0;
	k2k_tenant_id id;
	int code = plan_free_names(reg, d, plan, &id);

	if (code)
		return fail_tenant(ctl, code, id, false);
	progress_begin(&progress, ctl, "applying", plan->count);
	for (; done < plan->count; done++) {
		code = plan_carry_out(reg, plan, d, &plan->steps[done]);
		if (code)
			break;
		*(plan->steps[done].action == UPDATE ? &applied->updated
		                                     : &applied->registered) += 1;
		progress_step(&progress, done);
	}
	progress_end(&progress);
	return code ? fail_tenant(ctl, code, plan_id(plan, &plan->steps[done]), false) : 0;
}

static int carry_out_in_batch(struct ctl *ctl, struct k2k_registry *reg, const struct document *d,
                              struct plan *plan, struct applied *applied)
{
	int exit_code, code = k2k_batch_begin(reg);

	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	exit_code = plan_make(ctl, reg, d, false, plan);
	if (!exit_code)
		exit_code = carry_out(ctl, reg, plan, d, applied);
	k2k_batch_end(reg);
	return exit_code;
}

/* Changes before the failure stay, so they are reported. */
static void note_partial(struct ctl *ctl, const struct applied *applied, size_t planned)
{
	size_t done = applied->registered + applied->updated + applied->deregistered;

	note(ctl,
	     "%zu of %zu changes were made: %zu deregistered, %zu registered, %zu updated; they "
	     "stay, and 'diff' shows what remains",
	     done, planned, applied->deregistered, applied->registered, applied->updated);
}

static void print_counts(const struct document *d, const struct applied *applied)
{
	if (!applied->registered && !applied->updated && !applied->deregistered)
		printf("nothing to do: all %zu tenants are as %s says\n", applied->unchanged,
		       d->name);
	else
		printf("%zu registered, %zu updated, %zu deregistered, %zu unchanged\n",
		       applied->registered, applied->updated, applied->deregistered,
		       applied->unchanged);
}

/*
 * Also called after a failure, because nobody can read the totals of deregistered tenants again.
 * Returns exit_code, or that of a failure to print.
 */
static int print_applied(struct ctl *ctl, struct k2k_registry *reg, const struct plan *plan,
                         const struct document *d, const struct applied *applied, int exit_code)
{
	struct tenants tenants = { 0 };
	size_t count = applied->registered + applied->updated;
	k2k_tenant_id *ids;
	int code;

	if (ctl->quiet)
		return exit_code;
	if (ctl->format != FORMAT_JSON && exit_code) {
		if (applied->deregistered)
			totals_print(ctl, applied->totals, applied->deregistered);
		return exit_code;
	}
	if (ctl->format == FORMAT_TABLE) {
		if (applied->deregistered)
			totals_print(ctl, applied->totals, applied->deregistered);
		print_counts(d, applied);
		return exit_code;
	}
	ids = check_memory(calloc(count + 1, sizeof(*ids)));
	for (size_t i = 0; i < count; i++)
		ids[i] = plan_id(plan, &plan->steps[i]);
	code = reg ? tenants_load(ctl, reg, ids, count, true, &tenants) : 0;
	tenants_print_applied(ctl, &tenants, applied);
	tenants_free(&tenants);
	free(ids);
	return exit_code ? exit_code : code;
}

static int apply(struct ctl *ctl, struct k2k_registry **reg, const struct document *d)
{
	struct k2k_tenant_totals *totals = NULL;
	struct applied applied = { 0 };
	struct plan plan;
	bool pruning = ctl->option[OPT_PRUNE] != NULL;
	size_t planned;
	int exit_code = plan_make(ctl, *reg, d, pruning, &plan);

	plan_note_origin(ctl, *reg, d);
	if (!exit_code && pruning)
		exit_code = plan_check_prune(ctl, d, &plan);
	if (!exit_code)
		exit_code = plan_check_names(ctl, d, &plan);
	if (!exit_code)
		exit_code = plan_check_room(ctl, *reg, d, &plan);
	if (!exit_code)
		exit_code = confirm_prune(ctl, &plan, d);
	planned = plan.count;
	if (exit_code) {
		plan_free(&plan);
		return exit_code;
	}
	exit_code = prune(ctl, reg, &plan, &totals, &applied.deregistered);
	plan_free(&plan);
	if (!exit_code && !*reg)
		exit_code = open_registry(ctl, K2K_ROLE_ADMIN, reg);
	if (!exit_code)
		exit_code = carry_out_in_batch(ctl, *reg, d, &plan, &applied);
	applied.totals = totals;
	applied.unchanged = plan.unchanged;
	if (exit_code)
		note_partial(ctl, &applied, planned);
	exit_code = print_applied(ctl, *reg, &plan, d, &applied, exit_code);
	plan_free(&plan);
	free(totals);
	return exit_code;
}

int cmd_apply(struct ctl *ctl)
{
	struct k2k_registry *reg;
	struct document document;
	int exit_code;

	if (!has_file(ctl, "apply"))
		return EXIT_USAGE;
	if (ctl->dry_run)
		return compare_only(ctl, ctl->option[OPT_PRUNE] != NULL, EXIT_DONE, "dry_run",
		                    "would ");
	exit_code = document_read(ctl, ctl->files, ctl->file_count, DOCUMENT_PLAIN, &document);
	if (exit_code)
		return exit_code;
	exit_code = open_registry(ctl, K2K_ROLE_ADMIN, &reg);
	if (!exit_code) {
		exit_code = apply(ctl, &reg, &document);
		if (reg)
			k2k_registry_close(&reg);
	}
	document_free(&document);
	return exit_code;
}
