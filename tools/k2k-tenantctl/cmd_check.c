/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* check, repair */
#include "commands.h"
#include "dry_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * An administrator can lock the registry during the check; an observer reports only what it finds
 * twice.
 */
static int open_for_check(struct ctl *ctl, struct k2k_registry **reg)
{
	struct k2k_open_options options;
	int code;

	open_options(ctl, &options);
	code = k2k_registry_open(ctl->registry, K2K_ROLE_ADMIN, &options, reg);
	return code == K2K_EPERM ? open_registry(ctl, K2K_ROLE_OBSERVER, reg)
	       : code            ? fail(ctl, code, "registry '%s'", ctl->registry)
	                         : 0;
}

static void print_findings(struct ctl *ctl, const struct k2k_finding *findings, size_t count)
{
	static const struct field fields[] = {
		{ "invariant", "INVARIANT", KIND_TEXT, 0 },
		{ "object", "OBJECT", KIND_TEXT, 0 },
		{ "text", "FINDING", KIND_TEXT, 0 },
	};
	static const struct table table = { "findings", fields, 3, NULL, 0 };
	static const struct field clean = { "clean", NULL, KIND_BOOL, 0 };
	struct list list;

	if (ctl->format == FORMAT_TABLE && !count) {
		printf("registry '%s' is clean\n", ctl->registry);
		return;
	}
	list_begin(&list, ctl, &table, &(const struct extra){ &clean, &NUMBER(!count), 1 });
	for (size_t i = 0; i < count; i++)
		list_row(&list, (const struct value[]){ TEXT(findings[i].invariant),
		                                        TEXT(findings[i].object),
		                                        TEXT(findings[i].text) });
	list_end(&list);
}

int cmd_check(struct ctl *ctl)
{
	struct k2k_finding *findings;
	struct k2k_registry *reg;
	size_t count;
	int code, exit_code = open_for_check(ctl, &reg);

	if (exit_code)
		return exit_code;
	code = fetch_list(reg, LIST_FINDINGS, 0, (void **)&findings, &count);
	if (code) {
		exit_code = fail(ctl, code, "registry '%s'", ctl->registry);
	} else {
		exit_code = count ? EXIT_NO : EXIT_DONE;
		if (!ctl->quiet)
			print_findings(ctl, findings, count);
		if (count)
			note(ctl,
			     "registry '%s': %zu finding%s; '" CTL_NAME
			     " -r %s repair' finishes what a killed process left, and cuts out "
			     "corruption",
			     ctl->registry, count, count == 1 ? "" : "s", ctl->registry);
		free(findings);
	}
	k2k_registry_close(&reg);
	return exit_code;
}

static int repair_dry_run(struct ctl *ctl)
{
	struct k2k_registry *reg;
	struct list list;
	struct k2k_finding *findings;
	size_t count;
	int code, exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);

	if (exit_code)
		return exit_code;
	code = fetch_list(reg, LIST_FINDINGS, 0, (void **)&findings, &count);
	k2k_registry_close(&reg);
	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	dryrun_begin(&list, ctl);
	dryrun_row(&list, "repair", NULL,
	           "what killed processes left in registry '%s'; 'check' finds %zu", ctl->registry,
	           count);
	for (size_t i = 0; i < count; i++)
		dryrun_row(&list, "look at", NULL, "%.8s %.32s: %.160s", findings[i].invariant,
		           findings[i].object, findings[i].text);
	dryrun_end(&list);
	free(findings);
	return EXIT_DONE;
}

int cmd_repair(struct ctl *ctl)
{
	static const struct field fields[] = {
		{ "repaired.tenants", "tenants", KIND_COUNT, 0 },
		{ "repaired.budgets", "budgets", KIND_COUNT, 0 },
		{ "repaired.engagements", "engagements", KIND_COUNT, 0 },
		{ "repaired.leases", "leases", KIND_COUNT, 0 },
		{ "repaired.brokers", "brokers", KIND_COUNT, 0 },
		{ "repaired.files", "files", KIND_COUNT, 0 },
		{ "repaired.damaged", "damaged", KIND_COUNT, 0 },
		{ "repaired.cut_leases", "  leases cut out", KIND_COUNT, 0 },
		{ "repaired.cut_gpu_ns", "  GPU time of no tenant", KIND_NS, 0 },
		{ "repaired.unattributed_ns", "  unattributed", KIND_NS, 0 },
	};
	struct k2k_repair_info info = { .size = sizeof(info) };
	struct k2k_finding *cuts = NULL;
	struct k2k_registry *reg;
	size_t count = 0;
	int code, exit_code;

	if (ctl->dry_run)
		return repair_dry_run(ctl);
	exit_code = open_registry(ctl, K2K_ROLE_ADMIN, &reg);
	if (exit_code)
		return exit_code;
	code = k2k_registry_repair(reg, &info);
	if (!code && info.damaged)
		code = fetch_list(reg, LIST_CUTS, 0, (void **)&cuts, &count);
	k2k_registry_close(&reg);
	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	for (size_t i = 0; i < count; i++)
		note(ctl, "%s: %s", cuts[i].object, cuts[i].text);
	if (info.damaged > count)
		note(ctl, "and %" PRIu64 " more like these", info.damaged - count);
	free(cuts);
	if (!ctl->quiet)
		print_record(ctl, fields,
		             (const struct value[]){ NUMBER(info.tenants), NUMBER(info.budgets),
		                                     NUMBER(info.engagements), NUMBER(info.leases),
		                                     NUMBER(info.brokers), NUMBER(info.files),
		                                     NUMBER(info.damaged), NUMBER(info.cut_leases),
		                                     NUMBER(info.cut_gpu_ns),
		                                     NUMBER(info.unattributed_ns) },
		             sizeof(fields) / sizeof(fields[0]));
	return EXIT_DONE;
}
