/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* export, and the part of a document that export and save have in common */
#include "commands.h"
#include "document.h"
#include "common/thresholds.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdlib.h>

static void write_text(FILE *out, bool json, const char *key, const char *text)
{
	fprintf(out, json ? ", \"%s\": \"%s\"" : ", %s: %s", key, text);
}

static void write_limit(FILE *out, bool json, const char *key, const char *text, bool fleet)
{
	fprintf(out, json ? ", \"%s\": \"%s%s\"" : ", %s: %s%s", key, text, fleet ? "/fleet" : "");
}

/* In double quotes, which YAML and JSON read alike. */
static void write_name(FILE *out, bool json, const char *name)
{
	fputs(json ? ", \"name\": \"" : ", name: \"", out);
	for (; *name; name++) {
		if (*name == '"' || *name == '\\')
			fputc('\\', out);
		fputc(*name, out);
	}
	fputc('"', out);
}

void document_write_limits(FILE *out, bool json, const struct tenants *tenants,
                           const struct tenant *t)
{
	const struct k2k_tenant_info *i = &t->info;
	char text[UNITS_TEXT];

	_Static_assert(THRESHOLDS_TEXT <= UNITS_TEXT, "thresholds fit into a value");
	fprintf(out, json ? "{\"id\": \"%" PRIu64 "\"" : "{id: %" PRIu64, i->id);
	if (i->name[0])
		write_name(out, json, i->name);
	write_limit(out, json, "rate",
	            i->max_messages_per_sec == K2K_UNLIMITED
	                    ? "unlimited"
	                    : units_print_rate(text, i->max_messages_per_sec, i->rate_period),
	            t->fleet & FLEET_RATE);
	if (i->rate_policy == K2K_RATE_BUCKET)
		fprintf(out,
		        json ? ", \"burst\": \"%" PRIu64 "\", \"policy\": \"bucket\""
		             : ", burst: %" PRIu64 ", policy: bucket",
		        i->burst);
	if (i->rate_shared)
		write_text(out, json, "alone",
		           i->rate_alone == K2K_UNLIMITED
		                   ? "unlimited"
		                   : units_print_rate(text, i->rate_alone, K2K_PERIOD_SECOND));
	if (i->max_concurrent_kernels == K2K_UNLIMITED_KERNELS)
		write_text(out, json, "kernels", "unlimited");
	else if (t->fleet & FLEET_KERNELS)
		fprintf(out,
		        json ? ", \"kernels\": \"%" PRIu32 "/fleet\""
		             : ", kernels: %" PRIu32 "/fleet",
		        i->max_concurrent_kernels);
	else
		fprintf(out, json ? ", \"kernels\": %" PRIu32 : ", kernels: %" PRIu32,
		        i->max_concurrent_kernels);
	write_limit(out, json, "gpu_memory",
	            i->max_gpu_memory_bytes == K2K_UNLIMITED
	                    ? "unlimited"
	                    : units_print_size(text, i->max_gpu_memory_bytes),
	            t->fleet & FLEET_GPU_MEMORY);
	if (i->shadow)
		fputs(json ? ", \"shadow\": true" : ", shadow: true", out);
	if (i->alerts[0])
		fprintf(out, ", %salerts%s: \"%s\"", json ? "\"" : "", json ? "\"" : "",
		        thresholds_print(text, i->alerts));
	if (!json && !t->budget_count)
		return;
	fputs(json ? ", \"budgets\": {" : ", budgets: {", out);
	for (size_t b = 0; b < t->budget_count; b++) {
		const struct k2k_budget_info *budget = &tenants->budgets[t->first_budget + b];

		fprintf(out, json ? "%s\"%" PRIu64 "\": \"%s\"" : "%s%" PRIu64 ": %s",
		        b ? ", " : "", budget->engagement_id,
		        units_print_renewing(text, budget->budget_ns, budget->renewal));
	}
	fputs("}", out);
}

static void write_document(struct ctl *ctl, const char *uuid, const struct tenants *tenants)
{
	bool json = ctl->format == FORMAT_JSON;

	if (json)
		printf("{\"schema\": \"" CTL_SCHEMA "\", \"registry\": \"%s\", \"uuid\": \"%s\", "
		       "\"version\": %d, \"tenants\": [",
		       ctl->registry, uuid, DOCUMENT_VERSION);
	else
		printf("version: %d\nregistry: \"%s\"\nuuid: \"%s\"\ntenants:%s\n",
		       DOCUMENT_VERSION, ctl->registry, uuid, tenants->count ? "" : " []");
	for (size_t i = 0; i < tenants->count; i++) {
		fputs(json ? (i ? ",\n" : "\n") : "  - ", stdout);
		document_write_limits(stdout, json, tenants, &tenants->rows[i]);
		fputs(json ? "}" : "}\n", stdout);
	}
	puts(json ? "],\n\"end\": true}" : "end: true");
	ctl->json_done = json;
}

int cmd_export(struct ctl *ctl)
{
	struct k2k_registry *reg;
	struct k2k_registry_info info = { .size = sizeof(info) };
	struct tenants tenants;
	int code, exit_code;

	if (ctl->format == FORMAT_CSV)
		return fail_usage(ctl, "export: a document is YAML, or JSON with -J, but not csv");
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
	if (exit_code)
		return exit_code;
	code = k2k_registry_info(reg, &info);
	exit_code = code ? fail(ctl, code, "registry '%s'", ctl->registry)
	                 : tenants_load_all(ctl, reg, &tenants);
	k2k_registry_close(&reg);
	if (exit_code)
		return exit_code;
	/*
	 * Applying a document that lacks a tenant could remove it, so all must have been read. The
	 * limits of a corrupt tenant are intact.
	 */
	if (ctl->failure_count <= tenants.damaged)
		write_document(ctl, info.uuid, &tenants);
	if (ctl->failure_count)
		exit_code = EXIT_PARTLY;
	tenants_free(&tenants);
	return exit_code;
}
