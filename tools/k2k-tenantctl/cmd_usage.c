/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* usage and quota */
#include "commands.h"
#include "output.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- usage ------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
	const struct k2k_usage_info *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (x->engagement_id > y->engagement_id) - (x->engagement_id < y->engagement_id);
}

static void print_usage(struct ctl *ctl, struct k2k_usage_info *usage, size_t count)
{
	static const struct field total = { "gpu_ns_total", NULL, KIND_NS, 0 };
	char text[UNITS_TEXT];
	struct list list;
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		if (__builtin_add_overflow(sum, usage[i].gpu_ns, &sum))
			sum = UINT64_MAX;
	qsort(usage, count, sizeof(*usage), compare);
	list_begin(&list, ctl, &usage_table, &(const struct extra){ &total, &NUMBER(sum), 1 });
	for (size_t i = 0; i < count; i++)
		list_row(&list,
		         (const struct value[COL_USAGE_COUNT]){
				 [COL_USAGE_TENANT] = NUMBER(usage[i].id),
				 [COL_USAGE_ENGAGEMENT] = NUMBER(usage[i].engagement_id),
				 [COL_USAGE_GPU_TIME] = NUMBER(usage[i].gpu_ns),
				 [COL_USAGE_CORRECTED] = NUMBER((uint64_t)usage[i].corrected_ns),
				 [COL_USAGE_RESERVED] = NUMBER(usage[i].reserved_ns),
			 });
	list_end(&list);
	if (ctl->format == FORMAT_TABLE && count != 1)
		printf("total %s\n", units_print_duration(text, sum));
}

static int usage_of_engagement_of_tenant(struct ctl *ctl, struct k2k_registry *reg,
                                         k2k_tenant_id id, uint64_t engagement)
{
	struct k2k_usage_info usage = { .id = id, .engagement_id = engagement }, *all;
	size_t count;
	int code = fetch_list(reg, LIST_USAGE, id, (void **)&all, &count);

	if (code)
		return fail_tenant(ctl, code, id, false);
	for (size_t i = 0; i < count; i++)
		if (all[i].engagement_id == engagement)
			usage = all[i];
	free(all);
	print_usage(ctl, &usage, 1);
	return EXIT_DONE;
}

static int usage_listed(struct ctl *ctl, struct k2k_registry *reg, k2k_tenant_id id,
                        const uint64_t *engagement)
{
	struct k2k_usage_info *usage;
	size_t count, kept = 0;
	int code = fetch_list(reg, LIST_USAGE, id, (void **)&usage, &count);

	if (code)
		return code == K2K_ENOTENANT ? fail_tenant(ctl, code, id, false)
		                             : fail(ctl, code, "registry '%s'", ctl->registry);
	for (size_t i = 0; i < count; i++)
		if (!engagement || usage[i].engagement_id == *engagement)
			usage[kept++] = usage[i];
	print_usage(ctl, usage, kept);
	free(usage);
	return EXIT_DONE;
}

int cmd_usage(struct ctl *ctl)
{
	const char *over_all = ctl->option[OPT_ENGAGEMENT];
	struct k2k_registry *reg;
	k2k_tenant_id id = K2K_TENANT_UNSPECIFIED;
	uint64_t engagement = 0;
	int exit_code;

	if (over_all && ctl->argument_count)
		return fail_usage(ctl,
		                  "usage: --engagement is over all tenants; for one tenant use "
		                  "'usage ID ENG'");
	if (over_all && !arg_id(ctl, "--engagement", over_all, &engagement))
		return EXIT_USAGE;
	if (ctl->argument_count > 1 && !arg_id(ctl, "ENG", ctl->arguments[1], &engagement))
		return EXIT_USAGE;
	if (!arg_tenant_filter(ctl, &id, &exit_code))
		return exit_code;
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
	if (exit_code)
		return exit_code;
	exit_code = ctl->argument_count > 1
	                    ? usage_of_engagement_of_tenant(ctl, reg, id, engagement)
	                    : usage_listed(ctl, reg, id, over_all ? &engagement : NULL);
	k2k_registry_close(&reg);
	return exit_code;
}

/* ---- quota ------------------------------------------------------------------ */

static const char *reason_of(int code)
{
	switch (code) {
	case K2K_ERATE: return "rate";
	case K2K_EBUDGET: return "budget";
	case K2K_ENOTENANT: return "unknown_tenant";
	}
	return NULL;
}

static void print_quota(k2k_tenant_id id, int code, const struct k2k_verdict *v)
{
	char used[UNITS_TEXT], limit[UNITS_TEXT], wait[UNITS_TEXT];

	switch (code) {
	case 0: printf("tenant %" PRIu64 ": admitted\n", id); break;
	case K2K_ERATE:
		printf("tenant %" PRIu64 ": not admitted: rate, %" PRIu64 " of %" PRIu64
		       " messages counted in this second; ",
		       id, v->used, v->limit);
		if (v->retry_after_ns == K2K_NEVER_NS)
			puts("waiting does not help");
		else
			printf("try again in %s\n", units_print_duration(wait, v->retry_after_ns));
		break;
	case K2K_EBUDGET:
		printf("tenant %" PRIu64 ": not admitted: budget, %s of %s used; ", id,
		       units_print_duration(used, v->used), units_print_duration(limit, v->limit));
		if (v->retry_after_ns == K2K_NEVER_NS)
			puts("waiting does not help");
		else
			printf("it renews in %s\n", units_print_duration(wait, v->retry_after_ns));
		break;
	default: printf("tenant %" PRIu64 ": not admitted: no such tenant\n", id); break;
	}
}

int cmd_quota(struct ctl *ctl)
{
	static const struct field fields[] = {
		{ "admitted", NULL, KIND_BOOL, 0 },     { "reason", NULL, KIND_TEXT, 0 },
		{ "used", NULL, KIND_TOTAL, 0 },        { "limit", NULL, KIND_TOTAL, FIELD_LIMIT },
		{ "retry_after_ns", NULL, KIND_NS, 0 },
	};
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct k2k_audit_tag tag = { 0, 0 };
	struct k2k_registry *reg;
	k2k_tenant_id id;
	uint64_t n = 1;
	int code, exit_code;

	if (!arg_id(ctl, "ID", ctl->arguments[0], &id) ||
	    (ctl->option[OPT_ORG] && !arg_id(ctl, "--org", ctl->option[OPT_ORG], &tag.org_id)) ||
	    (ctl->option[OPT_ENGAGEMENT] &&
	     !arg_id(ctl, "--engagement", ctl->option[OPT_ENGAGEMENT], &tag.engagement_id)) ||
	    (ctl->option[OPT_COUNT] &&
	     !arg_count(ctl, "--count", ctl->option[OPT_COUNT], 1, K2K_ADMIT_MAX, &n)))
		return EXIT_USAGE;
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
	if (exit_code)
		return exit_code;
	code = k2k_quota_check(reg, id, tag, n, &verdict);
	k2k_registry_close(&reg);
	if (code && !reason_of(code))
		return fail_tenant(ctl, code, id, false);
	if (!ctl->quiet && ctl->format == FORMAT_TABLE)
		print_quota(id, code, &verdict);
	else if (!ctl->quiet)
		print_record(ctl, fields,
		             (const struct value[]){ NUMBER(!code), TEXT(reason_of(code)),
		                                     NUMBER(verdict.used), NUMBER(verdict.limit),
		                                     NUMBER(verdict.retry_after_ns) },
		             sizeof(fields) / sizeof(fields[0]));
	return code ? EXIT_NO : EXIT_DONE;
}
