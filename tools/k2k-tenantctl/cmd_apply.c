/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * apply, diff - making the registry what a document says.
 *
 * 1. The whole document is read and checked.
 * 2. A plan is made: what differs. diff and --dry-run print it.
 * 3. It has to fit, and what is to be pruned is asked for. Up to here nothing has changed.
 * 4. Pruned tenants go first, each with its final totals; no lock is kept meanwhile.
 * 5. In one batch, under the writer's lock, the plan is made anew, since others
 *    may have changed something, and carried out: a call for each tenant, so that
 *    each tenant changes all at once.
 * Killed in 4 or 5: each tenant is as before or as the document says; apply again.
 */
#include "commands.h"
#include "document.h"
#include "output.h"
#include "progress.h"
#include "units.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum action { REGISTER, UPDATE, DEREGISTER };
static const char *const action_names[] = { "register", "update", "deregister" };

struct step {
	enum action action;
	uint32_t mask;                  /* UPDATE: K2K_UPDATE_... that differ */
	const struct entry *entry;      /* null: DEREGISTER */
	size_t tenant;                  /* in the plan's tenants, but for REGISTER */
};

struct plan {
	struct tenants now;
	struct step *steps;             /* by id */
	size_t count, unchanged, of[3]; /* of: by action */
};

/* ---- the plan --------------------------------------------------------------- */

static bool same_budgets(const struct plan *plan, const struct tenant *t, const struct document *d, const struct entry *e)
{
	if (t->budget_count != e->budget_count)
		return false;
	for (size_t i = 0; i < e->budget_count; i++) {
		const struct k2k_budget_info *now = &plan->now.budgets[t->first_budget + i];
		const struct engagement_ns *then = &d->budgets.list[e->first_budget + i];

		if (now->engagement_id != then->engagement || now->budget_ns != then->ns)
			return false;
	}
	return true;
}

static uint32_t differences(const struct plan *plan, const struct tenant *t, const struct document *d, const struct entry *e)
{
	uint32_t mask = 0;

	if (t->info.max_messages_per_sec != e->rate)
		mask |= K2K_UPDATE_RATE;
	if (t->info.max_concurrent_kernels != e->kernels)
		mask |= K2K_UPDATE_KERNELS;
	if (t->info.max_gpu_memory_bytes != e->gpu_memory_bytes)
		mask |= K2K_UPDATE_GPU_MEMORY;
	if (!same_budgets(plan, t, d, e))
		mask |= K2K_UPDATE_BUDGETS;
	return mask;
}

static void add_step(struct plan *plan, struct step step)
{
	plan->steps[plan->count++] = step;
	plan->of[step.action]++;
}

/* Both lists are in the order of their ids. Returns 0 or the exit code. */
static int make_plan(struct ctl *ctl, struct k2k_registry *reg, const struct document *d, bool prune, struct plan *plan)
{
	size_t t = 0, e = 0, failures = ctl->failure_count;
	int exit_code;

	*plan = (struct plan){ .count = 0 };
	exit_code = tenants_load_all(ctl, reg, &plan->now);
	if (exit_code)
		return exit_code;
	if (ctl->failure_count > failures + plan->now.damaged) /* one that can't be read would be taken for missing */
		return EXIT_PARTLY;
	plan->steps = check_memory(calloc(plan->now.count + d->count + 1, sizeof(*plan->steps)));
	while (t < plan->now.count || e < d->count) {
		const struct tenant *tenant = &plan->now.rows[t];
		const struct entry *entry = &d->entries[e];

		if (t == plan->now.count || (e < d->count && entry->id < tenant->info.id)) {
			add_step(plan, (struct step){ REGISTER, 0, entry, 0 });
			e++;
		} else if (e == d->count || tenant->info.id < entry->id) {
			if (prune)
				add_step(plan, (struct step){ DEREGISTER, 0, NULL, t });
			t++;
		} else {
			uint32_t mask = differences(plan, tenant, d, entry);

			if (mask)
				add_step(plan, (struct step){ UPDATE, mask, entry, t });
			else
				plan->unchanged++;
			e++;
			t++;
		}
	}
	return 0;
}

static void free_plan(struct plan *plan)
{
	tenants_free(&plan->now);
	free(plan->steps);
	*plan = (struct plan){ .count = 0 };
}

static k2k_tenant_id step_id(const struct plan *plan, const struct step *s)
{
	return s->entry ? s->entry->id : plan->now.rows[s->tenant].info.id;
}

/* What is known before: tenants and budgets that there is no room for. */
static int check_room(struct ctl *ctl, struct k2k_registry *reg, const struct document *d, const struct plan *plan)
{
	struct k2k_registry_info info = { .size = sizeof(info) };
	uint64_t tenants = plan->now.count + plan->of[REGISTER] - plan->of[DEREGISTER], budgets = plan->now.budget_count;
	int code = k2k_registry_info(reg, &info);

	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	for (size_t i = 0; i < plan->count; i++) {
		const struct step *s = &plan->steps[i];

		if (s->action != REGISTER)
			budgets -= plan->now.rows[s->tenant].budget_count;
		if (s->entry)
			budgets += s->entry->budget_count;
	}
	if (tenants > info.tenants.capacity && plan->of[REGISTER])
		return fail_with(ctl, K2K_EFULL, "%s: makes %" PRIu64 " tenants, and the registry has room for %" PRIu64
		                 "; nothing was changed; a larger registry is made with 'init --max-tenants N'",
		                 d->name, tenants, info.tenants.capacity);
	if (budgets > info.budgets.capacity && budgets > plan->now.budget_count)
		return fail_with(ctl, K2K_EFULL, "%s: makes %" PRIu64 " budgets, and the registry has room for %" PRIu64
		                 "; nothing was changed; a larger registry is made with 'init --max-budgets N'",
		                 d->name, budgets, info.budgets.capacity);
	if (budgets > info.engagements.capacity && budgets > plan->now.budget_count)
		return fail_with(ctl, K2K_EFULL, "%s: makes %" PRIu64 " budgets, and the registry has room for %" PRIu64
		                 " engagements; nothing was changed; a larger registry is made with 'init --max-engagements N'",
		                 d->name, budgets, info.engagements.capacity);
	return 0;
}

/* ---- saying it --------------------------------------------------------------- */

static const char *rate_text(char text[UNITS_TEXT], uint64_t rate)
{
	return rate == K2K_UNLIMITED ? "unlimited" : units_print_rate(text, rate);
}

static const char *size_text(char text[UNITS_TEXT], uint64_t bytes)
{
	return bytes == K2K_UNLIMITED ? "unlimited" : units_print_size(text, bytes);
}

static const char *kernels_text(char text[UNITS_TEXT], uint32_t kernels)
{
	if (kernels == K2K_UNLIMITED_KERNELS)
		return "unlimited";
	units_print_number(text, kernels);
	return text;
}

/* "rate 5000/s -> 6000/s"; without `old` "rate 6000/s" */
static void tell(FILE *out, const char **between, const char *what, const char *old, const char *new)
{
	fprintf(out, "%s%s %s%s%s", *between, what, old ? old : "", old ? " -> " : "", new);
	*between = ", ";
}

static void tell_budgets(FILE *out, const char **between, const struct plan *plan, const struct tenant *t,
                         const struct document *d, const struct entry *e)
{
	size_t n = 0, o = 0, olds = t ? t->budget_count : 0;

	while (n < e->budget_count || o < olds) {
		const struct k2k_budget_info *old = o < olds ? &plan->now.budgets[t->first_budget + o] : NULL;
		const struct engagement_ns *new = n < e->budget_count ? &d->budgets.list[e->first_budget + n] : NULL;
		char what[48], from[UNITS_TEXT] = "none", to[UNITS_TEXT] = "none";

		if (old && new && old->engagement_id != new->engagement) {
			if (old->engagement_id < new->engagement)
				new = NULL;
			else
				old = NULL;
		}
		snprintf(what, sizeof(what), "budget %" PRIu64 ":", old ? old->engagement_id : new->engagement);
		if (old)
			units_print_duration(from, old->budget_ns);
		if (new)
			units_print_duration(to, new->ns);
		if (!old || !new || old->budget_ns != new->ns)
			tell(out, between, what, t ? from : NULL, to);
		o += old != NULL;
		n += new != NULL;
	}
}

static void describe(FILE *out, const struct plan *plan, const struct document *d, const struct step *s)
{
	const struct tenant *t = s->action == REGISTER ? NULL : &plan->now.rows[s->tenant];
	const struct entry *e = s->entry;
	uint32_t mask = s->action == REGISTER ? UINT32_MAX : s->mask;
	const char *between = ": ";
	char old[UNITS_TEXT], new[UNITS_TEXT];

	fprintf(out, "tenant %" PRIu64, step_id(plan, s));
	if (!e)
		return;
	if (mask & K2K_UPDATE_RATE)
		tell(out, &between, "rate", t ? rate_text(old, t->info.max_messages_per_sec) : NULL, rate_text(new, e->rate));
	if (mask & K2K_UPDATE_KERNELS)
		tell(out, &between, "kernels", t ? kernels_text(old, t->info.max_concurrent_kernels) : NULL,
		     kernels_text(new, e->kernels));
	if (mask & K2K_UPDATE_GPU_MEMORY)
		tell(out, &between, "GPU memory", t ? size_text(old, t->info.max_gpu_memory_bytes) : NULL,
		     size_text(new, e->gpu_memory_bytes));
	if (mask & K2K_UPDATE_BUDGETS)
		tell_budgets(out, &between, plan, t, d, e);
}

/* Every difference a line or an object; `flag` is the JSON field that says what this list is. */
static void print_plan(struct ctl *ctl, const struct plan *plan, const struct document *d, const char *flag, bool value,
                       const char *verb)
{
	static const struct field fields[] = {
		{ "action", NULL, KIND_TEXT, 0 },
		{ "tenant", NULL, KIND_TEXT, 0 },
		{ "text", NULL, KIND_TEXT, 0 },
	};
	const struct field extra = { flag, NULL, KIND_BOOL, 0 };
	const struct value yes = NUMBER(value);
	struct list list;

	if (ctl->quiet)
		return;
	if (ctl->format != FORMAT_TABLE)
		list_begin(&list, ctl, "changes", fields, 3, &extra, &yes, 1);
	for (size_t i = 0; i < plan->count; i++) {
		const struct step *s = &plan->steps[i];
		char *text, id[UNITS_TEXT];
		size_t length;
		FILE *out = check_memory(open_memstream(&text, &length));

		describe(out, plan, d, s);
		if (fclose(out))
			out_of_memory();
		units_print_number(id, step_id(plan, s));
		if (ctl->format != FORMAT_TABLE)
			list_row(&list, (const struct value[]){ TEXT(action_names[s->action]), TEXT(id), TEXT(text) });
		else
			printf("%s%s %s\n", verb, action_names[s->action], text);
		free(text);
	}
	if (ctl->format != FORMAT_TABLE)
		list_end(&list);
	else if (!plan->count)
		printf("no difference: all %zu tenants are as %s says\n", plan->unchanged, d->name);
}

static int compare_only(struct ctl *ctl, bool prune, int differs, const char *flag, const char *verb)
{
	struct k2k_registry *reg;
	struct document document;
	struct plan plan;
	int exit_code = document_read(ctl, ctl->option[OPT_FILE], DOCUMENT_PLAIN, &document);

	if (exit_code)
		return exit_code;
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
	if (!exit_code) {
		exit_code = make_plan(ctl, reg, &document, prune, &plan);
		if (!exit_code && differs == EXIT_DONE)
			exit_code = check_room(ctl, reg, &document, &plan);
		k2k_registry_close(&reg);
		if (!exit_code) {
			print_plan(ctl, &plan, &document, flag, differs == EXIT_DONE || plan.count, verb);
			exit_code = plan.count ? differs : EXIT_DONE;
		}
		free_plan(&plan);
	}
	document_free(&document);
	return exit_code;
}

static bool has_file(struct ctl *ctl, const char *command)
{
	if (ctl->option[OPT_FILE] && *ctl->option[OPT_FILE])
		return true;
	fail_usage(ctl, "%s: -f FILE is missing; - is standard input", command);
	return false;
}

int cmd_diff(struct ctl *ctl)
{
	if (!has_file(ctl, "diff"))
		return EXIT_USAGE;
	return compare_only(ctl, ctl->option[OPT_PRUNE] != NULL, EXIT_NO, "differs", "");
}

/* ---- doing it ---------------------------------------------------------------- */

/* Asks on a terminal; elsewhere -y says it. Returns 0 or the exit code. */
static int confirm_prune(struct ctl *ctl, const struct plan *plan, const struct document *d)
{
	char names[200] = "", answer[16] = "";
	size_t told = 0;

	if (!plan->of[DEREGISTER] || ctl->yes)
		return 0;
	for (size_t i = 0; i < plan->count && told <= 5; i++)
		if (plan->steps[i].action == DEREGISTER) {
			size_t length = strlen(names);

			if (told++ < 5)
				snprintf(names + length, sizeof(names) - length, "%s%" PRIu64, told > 1 ? ", " : "",
				         step_id(plan, &plan->steps[i]));
			else
				snprintf(names + length, sizeof(names) - length, ", ...");
		}
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return fail_usage(ctl, "--prune: %zu tenants that %s does not name would be deregistered (%s); -y says that they may; nothing was changed",
		                  plan->of[DEREGISTER], d->name, names);
	fprintf(stderr, "Deregister %zu tenants that %s does not name (%s)? [y/N] ", plan->of[DEREGISTER], d->name, names);
	if (!fgets(answer, sizeof(answer), stdin) || (strcmp(answer, "y\n") && strcmp(answer, "yes\n")))
		return fail_usage(ctl, "--prune: not wanted; nothing was changed");
	return 0;
}

static int prune(struct ctl *ctl, struct k2k_registry **reg, const struct plan *plan, struct k2k_tenant_totals **totals,
                 size_t *done)
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
			ids[count++] = step_id(plan, &plan->steps[i]);
	exit_code = tenants_deregister(ctl, reg, ids, count, *totals, done);
	free(ids);
	return exit_code ? EXIT_PARTLY : 0;
}

/* One call for all that differs. Budgets that the entry does not name are taken away. */
static int change_tenant(struct k2k_registry *reg, const struct plan *plan, const struct document *d, const struct step *s)
{
	const struct tenant *t = s->action == UPDATE ? &plan->now.rows[s->tenant] : NULL;
	const struct entry *e = s->entry;
	size_t olds = t && s->mask & K2K_UPDATE_BUDGETS ? t->budget_count : 0;
	struct k2k_budget few[16], *budgets = few;
	struct k2k_quota quota = {
		.size = sizeof(quota), .max_messages_per_sec = e->rate, .max_gpu_memory_bytes = e->gpu_memory_bytes,
		.max_concurrent_kernels = e->kernels,
	};
	uint32_t count = 0;
	int code;

	if (olds + e->budget_count > sizeof(few) / sizeof(few[0]))
		budgets = check_memory(calloc(olds + e->budget_count, sizeof(*budgets)));
	/* of the same engagement the last counts */
	for (size_t i = 0; i < olds; i++)
		budgets[count++] = (struct k2k_budget){ plan->now.budgets[t->first_budget + i].engagement_id, K2K_UNLIMITED };
	for (size_t i = 0; i < e->budget_count; i++)
		budgets[count++] = (struct k2k_budget){ d->budgets.list[e->first_budget + i].engagement,
			                                d->budgets.list[e->first_budget + i].ns };
	quota.budgets = budgets;
	quota.budget_count = count;
	code = s->action == UPDATE ? k2k_tenant_update(reg, e->id, &quota, s->mask) : k2k_tenant_register(reg, e->id, &quota);
	if (budgets != few)
		free(budgets);
	return code;
}

static int carry_out(struct ctl *ctl, struct k2k_registry *reg, const struct plan *plan, const struct document *d)
{
	struct progress progress;
	size_t done = 0;
	int code = 0, exit_code;

	progress_begin(&progress, ctl, "applying", plan->count);
	for (; done < plan->count; done++) {
		code = change_tenant(reg, plan, d, &plan->steps[done]);
		if (code)
			break;
		progress_step(&progress, done);
	}
	progress_end(&progress);
	if (!code)
		return 0;
	exit_code = fail_tenant(ctl, code, step_id(plan, &plan->steps[done]), false);
	note(ctl, "%zu of %zu changes were made, and stay; 'diff' shows what is left", done, plan->count);
	return exit_code;
}

static int carry_out_in_batch(struct ctl *ctl, struct k2k_registry *reg, const struct document *d, struct plan *plan)
{
	int exit_code, code = k2k_batch_begin(reg);

	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	exit_code = make_plan(ctl, reg, d, false, plan);
	if (!exit_code)
		exit_code = carry_out(ctl, reg, plan, d);
	k2k_batch_end(reg);
	return exit_code;
}

static int print_applied(struct ctl *ctl, struct k2k_registry *reg, const struct plan *plan, const struct document *d,
                         const struct applied *applied)
{
	struct tenants tenants;
	k2k_tenant_id *ids;
	int exit_code;

	if (ctl->quiet)
		return EXIT_DONE;
	if (ctl->format == FORMAT_TABLE) {
		if (applied->deregistered)
			totals_print(ctl, applied->totals, applied->deregistered);
		if (!applied->registered && !applied->updated && !applied->deregistered)
			printf("nothing to do: all %zu tenants are as %s says\n", applied->unchanged, d->name);
		else
			printf("%zu registered, %zu updated, %zu deregistered, %zu as they should be\n", applied->registered,
			       applied->updated, applied->deregistered, applied->unchanged);
		return EXIT_DONE;
	}
	ids = check_memory(calloc(plan->count + 1, sizeof(*ids)));
	for (size_t i = 0; i < plan->count; i++)
		ids[i] = step_id(plan, &plan->steps[i]);
	exit_code = tenants_load(ctl, reg, ids, plan->count, true, &tenants);
	if (!exit_code)
		tenants_print_applied(ctl, &tenants, applied);
	tenants_free(&tenants);
	free(ids);
	return exit_code;
}

static int apply(struct ctl *ctl, struct k2k_registry **reg, const struct document *d)
{
	struct k2k_tenant_totals *totals = NULL;
	struct applied applied = { 0 };
	struct plan plan;
	int exit_code = make_plan(ctl, *reg, d, ctl->option[OPT_PRUNE] != NULL, &plan);

	if (!exit_code)
		exit_code = check_room(ctl, *reg, d, &plan);
	if (!exit_code)
		exit_code = confirm_prune(ctl, &plan, d);
	if (!exit_code)
		exit_code = prune(ctl, reg, &plan, &totals, &applied.deregistered);
	free_plan(&plan);
	if (!exit_code && !*reg)
		exit_code = open_registry(ctl, K2K_ROLE_ADMIN, reg);
	if (!exit_code)
		exit_code = carry_out_in_batch(ctl, *reg, d, &plan);
	applied.totals = totals;
	applied.registered = plan.of[REGISTER];
	applied.updated = plan.of[UPDATE];
	applied.unchanged = plan.unchanged;
	if (!exit_code)
		exit_code = print_applied(ctl, *reg, &plan, d, &applied);
	else if (applied.deregistered && !ctl->quiet && ctl->format != FORMAT_JSON) /* nobody else can tell them any more */
		totals_print(ctl, totals, applied.deregistered);
	free_plan(&plan);
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
		return compare_only(ctl, ctl->option[OPT_PRUNE] != NULL, EXIT_DONE, "dry_run", "would ");
	exit_code = document_read(ctl, ctl->option[OPT_FILE], DOCUMENT_PLAIN, &document);
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
