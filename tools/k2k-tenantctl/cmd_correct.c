/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* usage correct, budget renew, budget history */
#include "commands.h"
#include "dry_run.h"
#include "output.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail_engagement(struct ctl *ctl, int code, k2k_tenant_id id, uint64_t engagement)
{
	if (code == K2K_ENOBUDGET)
		return fail_with(ctl, code,
		                 "tenant %" PRIu64 ", engagement %" PRIu64
		                 ": no budget that renews; '" CTL_NAME " -r %s budget list %" PRIu64
		                 "' lists its budgets",
		                 id, engagement, ctl->registry, id);
	return fail_tenant(ctl, code, id, false);
}

static bool read_operands(struct ctl *ctl, k2k_tenant_id *id, struct k2k_audit_tag *tag)
{
	return arg_tenant_to_change(ctl, ctl->arguments[0], id) &&
	       arg_id(ctl, "ENG", ctl->arguments[1], &tag->engagement_id) &&
	       (!ctl->option[OPT_ORG] || arg_id(ctl, "--org", ctl->option[OPT_ORG], &tag->org_id));
}

/* ---- usage correct ---------------------------------------------------------------- */

/* A number for the request that the caller can give again if this command is killed. */
static bool read_request(struct ctl *ctl, uint64_t *request)
{
	if (ctl->option[OPT_REQUEST])
		return arg_id(ctl, "--request", ctl->option[OPT_REQUEST], request);
	*request = 0;
	return true;
}

static int print_corrected(struct ctl *ctl, struct k2k_registry *reg, k2k_tenant_id id,
                           uint64_t engagement)
{
	static const struct field fields[] = {
		{ "tenant", "tenant", KIND_ID, 0 },
		{ "engagement", "engagement", KIND_ID, 0 },
		{ "gpu_ns", "GPU time", KIND_NS, 0 },
		{ "corrected_ns", "corrected by", KIND_SIGNED_NS, 0 },
	};
	struct k2k_usage_info *usage;
	size_t count;
	int code = fetch_list(reg, LIST_USAGE, id, (void **)&usage, &count);

	if (code)
		return fail_tenant(ctl, code, id, false);
	for (size_t i = 0; i < count && !ctl->quiet; i++)
		if (usage[i].engagement_id == engagement)
			print_record(
				ctl, fields,
				(const struct value[]){ NUMBER(id), NUMBER(engagement),
			                                NUMBER(usage[i].gpu_ns),
			                                NUMBER((uint64_t)usage[i].corrected_ns) },
				sizeof(fields) / sizeof(fields[0]));
	free(usage);
	return EXIT_DONE;
}

int cmd_usage_correct(struct ctl *ctl)
{
	const char *reason = ctl->option[OPT_REASON];
	struct k2k_audit_tag tag = { 0, 0 };
	struct k2k_registry *reg;
	char text[UNITS_TEXT], line[200];
	k2k_tenant_id id;
	uint64_t request;
	int64_t ns;
	int exit_code, code;

	if (!ctl->option[OPT_BY] || !reason)
		return fail_usage(ctl, "usage correct: needs --by and --reason");
	if (!read_operands(ctl, &id, &tag) ||
	    !arg_correction(ctl, "--by", ctl->option[OPT_BY], &ns) || !read_request(ctl, &request))
		return EXIT_USAGE;
	if (!ns || !*reason || strlen(reason) > K2K_AUDIT_REASON_MAX)
		return fail_usage(
			ctl, "usage correct: --by must not be 0, and --reason has 1 to %d bytes",
			K2K_AUDIT_REASON_MAX);
	exit_code = open_registry(ctl, ctl->dry_run ? K2K_ROLE_OBSERVER : K2K_ROLE_ADMIN, &reg);
	if (exit_code)
		return exit_code;
	if (ctl->dry_run) {
		snprintf(line, sizeof(line),
		         "usage of tenant %" PRIu64 ", engagement %" PRIu64 " by %s", id,
		         tag.engagement_id, units_print_signed_duration(text, ns));
		exit_code = dryrun_one(ctl, "correct", line);
	} else {
		code = k2k_usage_correct(reg, id, tag, ns, reason, request);
		exit_code = code ? fail_engagement(ctl, code, id, tag.engagement_id)
		                 : print_corrected(ctl, reg, id, tag.engagement_id);
	}
	k2k_registry_close(&reg);
	return exit_code;
}

/* ---- budget renew, budget history ----------------------------------------------------- */

int cmd_budget_renew(struct ctl *ctl)
{
	struct k2k_audit_tag tag = { 0, 0 };
	struct k2k_registry *reg;
	char line[200];
	k2k_tenant_id id;
	int exit_code, code;

	if (!read_operands(ctl, &id, &tag))
		return EXIT_USAGE;
	if (!ctl->option[OPT_FORCE])
		return fail_usage(ctl, "budget renew: ends the current period before its time; "
		                       "confirm with --force");
	exit_code = open_registry(ctl, ctl->dry_run ? K2K_ROLE_OBSERVER : K2K_ROLE_ADMIN, &reg);
	if (exit_code)
		return exit_code;
	snprintf(line, sizeof(line), "budget of tenant %" PRIu64 ", engagement %" PRIu64, id,
	         tag.engagement_id);
	if (ctl->dry_run) {
		exit_code = dryrun_one(ctl, "renew", line);
	} else {
		code = k2k_budget_renew(reg, id, tag);
		exit_code = code ? fail_engagement(ctl, code, id, tag.engagement_id) : EXIT_DONE;
		if (!code && !ctl->quiet)
			print_record(
				ctl,
				(const struct field[]){ { "renewed", "renewed", KIND_TEXT, 0 } },
				(const struct value[]){ TEXT(line) }, 1);
	}
	k2k_registry_close(&reg);
	return exit_code;
}

int cmd_budget_history(struct ctl *ctl)
{
	struct k2k_budget_use closed[K2K_BUDGET_PERIODS_KEPT] = { { .size = sizeof(closed[0]) } };
	struct k2k_audit_tag tag = { 0, 0 };
	struct k2k_registry *reg;
	struct list list;
	k2k_tenant_id id;
	size_t count;
	int exit_code, code;

	if (!read_operands(ctl, &id, &tag))
		return EXIT_USAGE;
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
	if (exit_code)
		return exit_code;
	code = k2k_budget_history(reg, id, tag, closed, K2K_BUDGET_PERIODS_KEPT, &count);
	k2k_registry_close(&reg);
	if (code)
		return fail_engagement(ctl, code, id, tag.engagement_id);
	list_begin(&list, ctl, &periods_table, NULL);
	for (size_t i = 0; i < count; i++)
		list_row(&list, (const struct value[COL_PERIOD_COUNT]){
					[COL_PERIOD_NUMBER] = NUMBER(closed[i].period),
					[COL_PERIOD_BEGAN] = NUMBER(closed[i].began_at_ns),
					[COL_PERIOD_NEXT] = NUMBER(closed[i].next_began_at_ns),
					[COL_PERIOD_USED] = NUMBER(closed[i].used_ns),
					[COL_PERIOD_FINAL] = NUMBER(
						!(closed[i].flags & K2K_BUDGET_USE_PENDING)),
				});
	list_end(&list);
	return EXIT_DONE;
}
