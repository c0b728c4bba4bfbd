/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* register, update, suspend, resume, deregister, exists */
#include "tenant_change.h"
#include "commands.h"
#include "dry_run.h"
#include "tenants.h"
#include "common/clock.h"
#include "common/thresholds.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a quota as text ------------------------------------------------ */

static void append(char *text, size_t room, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void append(char *text, size_t room, const char *format, ...)
{
	size_t length = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + length, room - length, format, args);
	va_end(args);
}

static void describe(char *text, size_t room, const struct k2k_quota *q, uint32_t mask)
{
	const struct rate asked = rate_of_quota(q);
	char unit[UNITS_TEXT], rate[RATE_TEXT], alerts[THRESHOLDS_TEXT];

	text[0] = 0;
	if (mask & K2K_UPDATE_RATE)
		append(text, room, ", rate %s", rate_print(rate, &asked));
	if (mask & K2K_UPDATE_KERNELS) {
		if (q->max_concurrent_kernels == K2K_UNLIMITED_KERNELS)
			append(text, room, ", kernels unlimited");
		else
			append(text, room, ", kernels %" PRIu32, q->max_concurrent_kernels);
	}
	if (mask & K2K_UPDATE_GPU_MEMORY)
		append(text, room, ", GPU memory %s",
		       q->max_gpu_memory_bytes == K2K_UNLIMITED
		               ? "unlimited"
		               : units_print_size(unit, q->max_gpu_memory_bytes));
	if (mask & K2K_UPDATE_NAME)
		append(text, room, ", name %s", q->name ? q->name : "none");
	if (mask & K2K_UPDATE_SHADOW)
		append(text, room, ", shadow %s", q->shadow ? "on" : "off");
	if (mask & K2K_UPDATE_ALERTS)
		append(text, room, ", alerts %s",
		       q->alerts[0] ? thresholds_print(alerts, q->alerts) : "none");
	for (uint32_t i = 0; i < q->budget_count; i++)
		append(text, room, ", budget %" PRIu64 "=%s", q->budgets[i].engagement_id,
		       q->budgets[i].budget_ns == K2K_UNLIMITED
		               ? "unlimited"
		               : units_print_renewing(unit, q->budgets[i].budget_ns,
		                                      q->budget_terms[i].renewal));
}

/* ---- register, update ------------------------------------------------------ */

enum { ALL_LIMITS = K2K_UPDATE_RATE | K2K_UPDATE_KERNELS | K2K_UPDATE_GPU_MEMORY };

static void would(struct would *w, const char *action, k2k_tenant_id id,
                  const struct k2k_quota *quota, uint32_t mask)
{
	char text[200];

	describe(text, sizeof(text), quota, mask);
	w->action = action;
	snprintf(w->text, sizeof(w->text), "tenant %" PRIu64 "%s", id, text);
}

static int would_register(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change,
                          struct would *w)
{
	int there = 0, code = k2k_tenant_is_registered(reg, id, &there);

	if (code || (there && !change->accept_existing))
		return code ? code : K2K_EEXIST;
	if (!there) {
		would(w, "register", id, change->quota, change->mask | ALL_LIMITS);
		return 0;
	}
	w->action = "change";
	snprintf(w->text, sizeof(w->text), "nothing: tenant %" PRIu64 " is registered already", id);
	return 0;
}

static int would_update(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change,
                        struct would *w)
{
	struct k2k_quota quota = *change->quota;
	int there = 0, code = k2k_tenant_is_registered(reg, id, &there);

	if (!code)
		code = rate_keep(reg, id, &change->kept, &quota);
	if (code || (!there && !change->if_missing))
		return code ? code : K2K_ENOTENANT;
	would(w, there ? "update" : "register", id, &quota,
	      there ? change->mask : change->mask | ALL_LIMITS);
	return 0;
}

static int register_one(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change)
{
	return k2k_tenant_register(reg, id, change->quota);
}

/* With --if-missing a tenant that is not registered is registered. */
static int update_one(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change)
{
	struct k2k_quota quota = *change->quota;
	int code = rate_keep(reg, id, &change->kept, &quota);

	if (!code)
		code = k2k_tenant_update(reg, id, &quota, change->mask);
	return code == K2K_ENOTENANT && change->if_missing ? k2k_tenant_register(reg, id, &quota)
	                                                   : code;
}

static int change_named(struct ctl *ctl, struct change *change, would_call would_do)
{
	struct k2k_quota quota;
	k2k_tenant_id *ids;
	size_t count;
	int exit_code;

	if (!arg_tenants_to_change(ctl, &ids, &count))
		return EXIT_USAGE;
	if (!arg_quota(ctl, &quota, &change->mask, &change->kept)) {
		free(ids);
		return EXIT_USAGE;
	}
	change->quota = &quota;
	if (change->call != update_one)
		change->kept = (struct rate_kept){ 0 };
	if (change->mask & K2K_UPDATE_NAME && quota.name && count > 1)
		exit_code = fail_usage(ctl, "--name '%.100s': two tenants can't have one name",
		                       quota.name);
	else if (change->call == update_one && !change->mask)
		exit_code = fail_usage(
			ctl, "update: nothing to change; give --preset, "
			     "--rate, --burst, --policy, --alone, --kernels, --gpu-memory, "
			     "--budget, --name, --shadow or --alert");
	else
		exit_code = ctl->dry_run ? change_dry_run(ctl, ids, count, change, would_do)
		                         : change_tenants(ctl, ids, count, change);
	free(ids);
	free((void *)(uintptr_t)quota.budgets);
	free((void *)(uintptr_t)quota.budget_terms);
	return exit_code;
}

int cmd_register(struct ctl *ctl)
{
	struct change change = { .call = register_one,
		                 .accept_existing = ctl->option[OPT_IF_MISSING] != NULL };

	return change_named(ctl, &change, would_register);
}

int cmd_update(struct ctl *ctl)
{
	struct change change = { .call = update_one,
		                 .if_missing = ctl->option[OPT_IF_MISSING] != NULL };

	return change_named(ctl, &change, would_update);
}

/* ---- suspend, resume -------------------------------------------------------- */

static int suspend_one(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change)
{
	(void)change;
	return k2k_tenant_suspend(reg, id);
}

static int resume_one(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change)
{
	(void)change;
	return k2k_tenant_resume(reg, id);
}

static int would_suspend(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change,
                         struct would *w)
{
	int there = 0, code = k2k_tenant_is_registered(reg, id, &there);

	if (code || !there)
		return code ? code : K2K_ENOTENANT;
	w->action = change->call == suspend_one ? "suspend" : "resume";
	snprintf(w->text, sizeof(w->text), "tenant %" PRIu64, id);
	return 0;
}

static int suspend_named(struct ctl *ctl, const struct change *change)
{
	k2k_tenant_id *ids;
	size_t count;
	int exit_code;

	if (!arg_tenants_to_change(ctl, &ids, &count))
		return EXIT_USAGE;
	exit_code = ctl->dry_run ? change_dry_run(ctl, ids, count, change, would_suspend)
	                         : change_tenants(ctl, ids, count, change);
	free(ids);
	return exit_code;
}

int cmd_suspend(struct ctl *ctl)
{
	return suspend_named(ctl, &(struct change){ .call = suspend_one });
}

int cmd_resume(struct ctl *ctl)
{
	return suspend_named(ctl, &(struct change){ .call = resume_one });
}

/* ---- deregister ------------------------------------------------------------- */

/* Totals that are not final wait for processes that do not answer: names them. */
static void note_not_final(struct ctl *ctl, struct k2k_registry *reg, k2k_tenant_id id)
{
	struct k2k_broker_info *brokers;
	char who[200] = "";
	size_t count;

	if (!fetch_list(reg, LIST_BROKERS, 0, (void **)&brokers, &count)) {
		for (size_t i = 0; i < count; i++)
			if (brokers[i].state != K2K_BROKER_DEAD && brokers[i].grace_behind)
				append(who, sizeof(who), "%s process %" PRIu64 " (broker %u)%s",
				       who[0] ? "," : "", brokers[i].pid, brokers[i].slot,
				       brokers[i].state == K2K_BROKER_STOPPED ? ", which is stopped"
				                                              : "");
		free(brokers);
	}
	note(ctl,
	     "tenant %" PRIu64 ": is deregistered, but its totals are not final: calls in progress "
	     "may still add to them%s%s",
	     id, who[0] ? "; waiting for" : "", who);
}

static int deregister_dry_run(struct ctl *ctl, const k2k_tenant_id *ids, size_t count)
{
	struct k2k_registry *reg;
	struct list list;
	int *codes, exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);

	if (exit_code)
		return exit_code;
	codes = check_memory(calloc(count, sizeof(*codes)));
	for (size_t i = 0; i < count; i++) {
		int there = 0;

		codes[i] = k2k_tenant_is_registered(reg, ids[i], &there);
		if (!codes[i] && !there)
			codes[i] = K2K_ENOTENANT;
		if (codes[i])
			exit_code = fail_tenant(ctl, codes[i], ids[i], count > 1);
	}
	k2k_registry_close(&reg);
	if (!exit_code || count > 1) {
		exit_code = exit_code ? EXIT_PARTLY : EXIT_DONE;
		dryrun_begin(&list, ctl);
		for (size_t i = 0; i < count; i++)
			if (!codes[i])
				dryrun_row(&list, "deregister", &ids[i], "tenant %" PRIu64, ids[i]);
		dryrun_end(&list);
	}
	free(codes);
	return exit_code;
}

/*
 * One call for all, so that they wait for one grace period and share one sweep for their totals.
 * `totals` has those of the deregistered tenants, in the order of `ids`.
 */
int tenants_deregister(struct ctl *ctl, struct k2k_registry **reg, const k2k_tenant_id *ids,
                       size_t count, struct k2k_tenant_totals *totals, size_t *done)
{
	int exit_code = EXIT_DONE, *codes = check_memory(calloc(count + 1, sizeof(*codes)));

	*done = 0;
	totals[0].size = sizeof(totals[0]);
	k2k_tenant_deregister_many(*reg, ids, count, totals, codes);
	for (size_t i = 0; i < count; i++) {
		if (codes[i]) {
			exit_code = fail_tenant(ctl, codes[i], ids[i], count > 1);
			continue;
		}
		totals[*done] = totals[i];
		if (!totals[i].final)
			note_not_final(ctl, *reg, ids[i]);
		++*done;
	}
	free(codes);
	return exit_code;
}

/*
 * Suspends all, then waits for each, all within --timeout. Leaves those that are drained in `ids`.
 * Returns 0, or the exit code of a failure that it has reported.
 */
static int drain(struct ctl *ctl, struct k2k_registry *reg, k2k_tenant_id *ids, size_t *count)
{
	uint64_t deadline = clock_monotonic_ns() + ctl->timeout_ns;
	size_t drained = 0, all = *count;
	int exit_code = 0;

	if (deadline < ctl->timeout_ns)
		deadline = UINT64_MAX;
	for (size_t i = 0; i < all; i++)
		k2k_tenant_suspend(reg, ids[i]); /* if it fails, the drain reports it */
	for (size_t i = 0; i < all; i++) {
		uint64_t now = clock_monotonic_ns();
		int code = k2k_tenant_drain(reg, ids[i], deadline > now ? deadline - now : 0);

		if (code)
			exit_code = fail_tenant(ctl, code, ids[i], all > 1);
		else
			ids[drained++] = ids[i];
	}
	*count = drained;
	return exit_code;
}

int cmd_deregister(struct ctl *ctl)
{
	struct k2k_tenant_totals *totals;
	struct k2k_registry *reg;
	k2k_tenant_id *ids;
	size_t count, done;
	int exit_code, drained = 0;

	if (!arg_tenants_to_change(ctl, &ids, &count))
		return EXIT_USAGE;
	if (ctl->dry_run) {
		exit_code = deregister_dry_run(ctl, ids, count);
	} else if (!(exit_code = open_registry(ctl, K2K_ROLE_ADMIN, &reg))) {
		size_t asked = count;

		totals = check_memory(calloc(count, sizeof(*totals)));
		if (ctl->option[OPT_DRAIN])
			drained = drain(ctl, reg, ids, &count);
		exit_code = tenants_deregister(ctl, &reg, ids, count, totals, &done);
		if (drained)
			exit_code = drained;
		if (exit_code && asked > 1)
			exit_code = EXIT_PARTLY;
		if (!ctl->quiet && (done || asked > 1))
			totals_print(ctl, totals, done);
		free(totals);
		if (reg)
			k2k_registry_close(&reg);
	}
	free(ids);
	return exit_code;
}

/* ---- exists ----------------------------------------------------------------- */

int cmd_exists(struct ctl *ctl)
{
	static const struct field fields[] = {
		{ "id", NULL, KIND_ID, 0 },
		{ "exists", NULL, KIND_BOOL, 0 },
	};
	struct k2k_registry *reg;
	k2k_tenant_id id;
	int there = 0, code, exit_code;

	if (!arg_id(ctl, "ID", ctl->arguments[0], &id))
		return EXIT_USAGE;
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
	if (exit_code)
		return exit_code;
	code = id == K2K_TENANT_UNSPECIFIED ? 0 : k2k_tenant_is_registered(reg, id, &there);
	k2k_registry_close(&reg);
	if (code)
		return fail_tenant(ctl, code, id, false);
	if (!ctl->quiet && ctl->format == FORMAT_TABLE)
		printf("tenant %" PRIu64 " is %sregistered\n", id, there ? "" : "not ");
	else if (!ctl->quiet)
		print_record(ctl, fields, (const struct value[]){ NUMBER(id), NUMBER(there) }, 2);
	return there ? EXIT_DONE : EXIT_NO;
}
