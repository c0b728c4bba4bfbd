/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* register, update, deregister, exists */
#include "tenant_change.h"
#include "commands.h"
#include "dry_run.h"
#include "tenants.h"
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
	char unit[UNITS_TEXT];

	text[0] = 0;
	if (mask & K2K_UPDATE_RATE)
		append(text, room, ", rate %s",
		       q->max_messages_per_sec == K2K_UNLIMITED
		               ? "unlimited"
		               : units_print_rate(unit, q->max_messages_per_sec));
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
	for (uint32_t i = 0; i < q->budget_count; i++)
		append(text, room, ", budget %" PRIu64 "=%s", q->budgets[i].engagement_id,
		       q->budgets[i].budget_ns == K2K_UNLIMITED
		               ? "unlimited"
		               : units_print_duration(unit, q->budgets[i].budget_ns));
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
		would(w, "register", id, change->quota, ALL_LIMITS);
		return 0;
	}
	w->action = "change";
	snprintf(w->text, sizeof(w->text), "nothing: tenant %" PRIu64 " is registered already", id);
	return 0;
}

static int would_update(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change,
                        struct would *w)
{
	int there = 0, code = k2k_tenant_is_registered(reg, id, &there);

	if (code || (!there && !change->if_missing))
		return code ? code : K2K_ENOTENANT;
	would(w, there ? "update" : "register", id, change->quota,
	      there ? change->mask : (uint32_t)ALL_LIMITS);
	return 0;
}

static int register_one(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change)
{
	return k2k_tenant_register(reg, id, change->quota);
}

/* With --if-missing a tenant that is not registered is registered. */
static int update_one(struct k2k_registry *reg, k2k_tenant_id id, const struct change *change)
{
	int code = k2k_tenant_update(reg, id, change->quota, change->mask);

	return code == K2K_ENOTENANT && change->if_missing
	               ? k2k_tenant_register(reg, id, change->quota)
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
	if (!arg_quota(ctl, &quota, &change->mask)) {
		free(ids);
		return EXIT_USAGE;
	}
	change->quota = &quota;
	if (change->call == update_one && !change->mask)
		exit_code = fail_usage(ctl, "update: nothing to change; give --preset, "
		                            "--rate, --kernels, --gpu-memory or --budget");
	else
		exit_code = ctl->dry_run ? change_dry_run(ctl, ids, count, change, would_do)
		                         : change_tenants(ctl, ids, count, change);
	free(ids);
	free((void *)(uintptr_t)quota.budgets);
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

int cmd_deregister(struct ctl *ctl)
{
	struct k2k_tenant_totals *totals;
	struct k2k_registry *reg;
	k2k_tenant_id *ids;
	size_t count, done;
	int exit_code;

	if (!arg_tenants_to_change(ctl, &ids, &count))
		return EXIT_USAGE;
	if (ctl->dry_run) {
		exit_code = deregister_dry_run(ctl, ids, count);
	} else if (!(exit_code = open_registry(ctl, K2K_ROLE_ADMIN, &reg))) {
		totals = check_memory(calloc(count, sizeof(*totals)));
		exit_code = tenants_deregister(ctl, &reg, ids, count, totals, &done);
		if (exit_code && count > 1)
			exit_code = EXIT_PARTLY;
		if (!ctl->quiet && (done || count > 1))
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
