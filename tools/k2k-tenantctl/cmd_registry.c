/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* init, info, destroy, version */
#include "commands.h"
#include "dry_run.h"
#include "accounts.h"
#include "common/snapshot.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- init ----------------------------------------------------------------- */

static bool parse_group(struct ctl *ctl, const char *text, uint32_t *gid)
{
	if (group_parse(text, gid))
		return true;
	fail_usage(ctl, "--group '%.200s': no such group; give its name or its number", text);
	return false;
}

static bool parse_create(struct ctl *ctl, struct k2k_create_options *options)
{
	/* the largest tables that the library accepts */
	const struct {
		enum option_id option;
		const char *name;
		uint64_t *to, max;
	} sizes[] = {
		{ OPT_MAX_TENANTS, "--max-tenants", &options->max_tenants, UINT64_C(1) << 24 },
		{ OPT_MAX_ENGAGEMENTS, "--max-engagements", &options->max_engagements,
		  UINT64_C(1) << 28 },
		{ OPT_MAX_LEASES, "--max-leases", &options->max_leases, UINT64_C(1) << 28 },
		{ OPT_MAX_BUDGETS, "--max-budgets", &options->max_budgets, UINT64_C(1) << 28 },
		{ OPT_AUDIT_EVENTS, "--audit-events", &options->max_audit_events,
		  UINT64_C(1) << 16 },
		{ OPT_MAX_BROKERS, "--max-brokers", &options->max_brokers, K2K_BROKERS_MOST },
		{ OPT_MAX_KERNELS, "--max-kernels", &options->max_kernels, UINT64_C(1) << 28 },
	};

	*options = (struct k2k_create_options)K2K_CREATE_OPTIONS_INIT;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const char *text = ctl->option[sizes[i].option];

		if (text && !arg_count(ctl, sizes[i].name, text, 1, sizes[i].max, sizes[i].to))
			return false;
	}
	if (ctl->option[OPT_MODE]) {
		if (!arg_mode(ctl, "--mode", ctl->option[OPT_MODE], &options->mode))
			return false;
		if ((options->mode & 0600) != 0600) {
			fail_usage(ctl, "--mode '%s': must let the owner read and write, like 0660",
			           ctl->option[OPT_MODE]);
			return false;
		}
		options->flags |= K2K_CREATE_MODE;
	}
	if (ctl->option[OPT_REQUIRE_AUDIT])
		options->flags |= K2K_CREATE_REQUIRE_AUDIT;
	if (ctl->option[OPT_STRICT])
		options->flags |= K2K_CREATE_STRICT;
	if (ctl->option[OPT_GROUP]) {
		if (!parse_group(ctl, ctl->option[OPT_GROUP], &options->gid))
			return false;
		options->flags |= K2K_CREATE_GROUP;
	}
	return true;
}

static int print_plan(struct ctl *ctl, const struct k2k_create_options *options)
{
	static const struct field fields[] = {
		{ "defs_bytes", "definitions", KIND_BYTES, 0 },
		{ "live_bytes", "live", KIND_BYTES, 0 },
		{ "total_bytes", "total", KIND_BYTES, 0 },
		{ "shm_free_bytes", "free in /dev/shm", KIND_BYTES, 0 },
		{ "memory_free_bytes", "free memory", KIND_BYTES, 0 },
		{ "cgroup_free_bytes", "free in the cgroup", KIND_BYTES, FIELD_LIMIT },
		{ "max_tenants", "tenants", KIND_COUNT, 0 },
		{ "max_engagements", "engagements", KIND_COUNT, 0 },
		{ "max_leases", "leases", KIND_COUNT, 0 },
		{ "max_budgets", "budgets", KIND_COUNT, 0 },
		{ "max_audit_events", "audit events", KIND_COUNT, 0 },
		{ "max_brokers", "brokers", KIND_COUNT, 0 },
		{ "max_kernels", "kernels", KIND_COUNT, 0 },
	};
	struct k2k_registry_plan plan = { .size = sizeof(plan) };
	int code = k2k_registry_plan(options, &plan);

	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	print_record(ctl, fields,
	             (const struct value[]){
			     NUMBER(plan.defs_bytes),
			     NUMBER(plan.live_bytes),
			     NUMBER(plan.total_bytes),
			     NUMBER(plan.shm_free_bytes),
			     NUMBER(plan.memory_free_bytes),
			     NUMBER(plan.cgroup_free_bytes),
			     NUMBER(plan.max_tenants),
			     NUMBER(plan.max_engagements),
			     NUMBER(plan.max_leases),
			     NUMBER(plan.max_budgets),
			     NUMBER(plan.max_audit_events),
			     NUMBER(plan.max_brokers),
			     NUMBER(plan.max_kernels),
		     },
	             sizeof(fields) / sizeof(fields[0]));
	return EXIT_DONE;
}

static int init_dry_run(struct ctl *ctl, const struct k2k_create_options *options)
{
	struct k2k_registry_plan plan = { .size = sizeof(plan) };
	struct k2k_open_options open;
	struct k2k_registry *reg;
	char size[UNITS_TEXT], free_size[UNITS_TEXT], text[300];
	uint64_t room;
	int code;

	open_options(ctl, &open);
	code = k2k_registry_open(ctl->registry, K2K_ROLE_OBSERVER, &open, &reg);
	if (!code)
		k2k_registry_close(&reg);
	if (code != K2K_ENOREGISTRY)
		return ctl->option[OPT_IF_MISSING] && !code
		               ? dryrun_one(ctl, "change", "nothing: the registry exists already")
		               : fail(ctl, K2K_EEXIST, "registry '%s'", ctl->registry);
	code = k2k_registry_plan(options, &plan);
	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	room = plan.shm_free_bytes < plan.memory_free_bytes ? plan.shm_free_bytes
	                                                    : plan.memory_free_bytes;
	if (room > plan.cgroup_free_bytes)
		room = plan.cgroup_free_bytes;
	units_print_size(size, plan.total_bytes);
	if (room < plan.total_bytes)
		return fail_with(
			ctl, K2K_ENOMEM,
			"registry '%s': needs %s, and %s are free; 'init --plan' shows where",
			ctl->registry, size, units_print_size(free_size, room));
	snprintf(text, sizeof(text), "registry '%s' of %s", ctl->registry, size);
	return dryrun_one(ctl, "create", text);
}

/*
 * Reports how the registry differs from what was asked for; returns
 * [{"field":"max_tenants","found":"16","asked":"32"}].
 */
static json_object *init_differences(struct ctl *ctl, struct k2k_registry *reg,
                                     const struct k2k_create_options *asked)
{
	struct k2k_registry_info info = { .size = sizeof(info) };
	struct k2k_registry_plan plan = { .size = sizeof(plan) };
	json_object *array = json_new_list();

	if (k2k_registry_info(reg, &info) || k2k_registry_plan(asked, &plan))
		return array;
	const struct {
		enum option_id option;
		const char *name, *form;
		uint64_t found, asked;
	} all[] = {
		{ OPT_MAX_TENANTS, "max_tenants", "%" PRIu64, info.tenants.capacity,
		  plan.max_tenants },
		{ OPT_MAX_ENGAGEMENTS, "max_engagements", "%" PRIu64, info.engagements.capacity,
		  plan.max_engagements },
		{ OPT_MAX_LEASES, "max_leases", "%" PRIu64, info.leases.capacity, plan.max_leases },
		{ OPT_MAX_BUDGETS, "max_budgets", "%" PRIu64, info.budgets.capacity,
		  plan.max_budgets },
		{ OPT_AUDIT_EVENTS, "max_audit_events", "%" PRIu64, info.max_audit_events,
		  plan.max_audit_events },
		{ OPT_MAX_BROKERS, "max_brokers", "%" PRIu64, info.max_brokers, plan.max_brokers },
		{ OPT_MAX_KERNELS, "max_kernels", "%" PRIu64, info.max_kernels, plan.max_kernels },
		{ OPT_MODE, "live_mode", "%04" PRIo64, info.live_mode & 07777, asked->mode },
		{ OPT_GROUP, "owner_gid", "%" PRIu64, info.owner_gid, asked->gid },
		{ OPT_REQUIRE_AUDIT, "require_audit", "%" PRIu64,
		  (info.flags & K2K_INFO_REQUIRE_AUDIT) != 0, 1 },
		{ OPT_STRICT, "strict", "%" PRIu64, (info.flags & K2K_INFO_STRICT) != 0, 1 },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char found[24], wanted[24];
		json_object *one;

		if (!ctl->option[all[i].option] || all[i].found == all[i].asked)
			continue;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(found, sizeof(found), all[i].form, all[i].found);
		snprintf(wanted, sizeof(wanted), all[i].form, all[i].asked);
#pragma GCC diagnostic pop
		note(ctl, "registry '%s': exists already; its %s is %s, not %s", ctl->registry,
		     all[i].name, found, wanted);
		one = json_new();
		json_put_text(one, "field", all[i].name);
		json_put_text(one, "found", found);
		json_put_text(one, "asked", wanted);
		json_append(array, one);
	}
	return array;
}

#define SHARES_TEXT (UNITS_TEXT + 64)

static const char *describe_shares(char text[SHARES_TEXT], const struct k2k_shares *shares)
{
	uint64_t left = snapshot_shares_left_ns(shares);
	char time[UNITS_TEXT];

	if (!shares->epoch)
		return "none";
	if (left)
		snprintf(text, SHARES_TEXT, "epoch %" PRIu64 ", hold for %s", shares->epoch,
		         units_print_duration(time, left));
	else
		snprintf(text, SHARES_TEXT, "epoch %" PRIu64 ", don't hold", shares->epoch);
	return text;
}

static int print_info(struct ctl *ctl, struct k2k_registry *reg, json_object *differences);

int cmd_init(struct ctl *ctl)
{
	struct k2k_create_options options;
	struct k2k_registry *reg = NULL;
	json_object *differences = NULL;
	int code, exit_code = EXIT_DONE;

	if (!parse_create(ctl, &options))
		return EXIT_USAGE;
	if (ctl->option[OPT_PLAN])
		return print_plan(ctl, &options);
	if (ctl->dry_run)
		return init_dry_run(ctl, &options);
	ctl->role = K2K_ROLE_ADMIN;
	code = k2k_registry_create(ctl->registry, &options, &reg);
	if (code == K2K_EEXIST && ctl->option[OPT_IF_MISSING]) {
		exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
		if (!exit_code)
			differences = init_differences(ctl, reg, &options);
	} else if (code) {
		exit_code = fail(ctl, code, "registry '%s'", ctl->registry);
	}
	if (!exit_code && !ctl->quiet)
		exit_code = print_info(ctl, reg, differences);
	json_object_put(differences);
	if (reg)
		k2k_registry_close(&reg);
	return exit_code;
}

/* ---- info ----------------------------------------------------------------- */

static int sum_reserved(struct k2k_registry *reg, uint64_t *ns)
{
	struct k2k_usage_info *usage;
	size_t count;
	int code = fetch_list(reg, LIST_USAGE, K2K_TENANT_UNSPECIFIED, (void **)&usage, &count);

	if (code)
		return code;
	for (size_t i = 0; i < count; i++)
		if (__builtin_add_overflow(*ns, usage[i].reserved_ns, ns))
			*ns = UINT64_MAX;
	free(usage);
	return 0;
}

static int print_info(struct ctl *ctl, struct k2k_registry *reg, json_object *differences)
{
	static const struct field fields[] = {
		{ "name", "registry", KIND_TEXT, 0 },
		{ "uuid", "uuid", KIND_TEXT, 0 },
		{ "layout", "layout", KIND_COUNT, 0 },
		{ "created_at_ns", "created", KIND_TIME, 0 },
		{ "defs_bytes", "definitions", KIND_BYTES, 0 },
		{ "live_bytes", "live", KIND_BYTES, 0 },
		{ "owner_uid", NULL, KIND_COUNT, 0 },
		{ "owner_gid", NULL, KIND_COUNT, 0 },
		{ "owner", "owner", KIND_TEXT, 0 },
		{ "group", "group", KIND_TEXT, 0 },
		{ "defs_mode", "mode of definitions", KIND_TEXT, 0 },
		{ "live_mode", "mode of live", KIND_TEXT, 0 },
		{ "brokers", NULL, KIND_COUNT, 0 },
		{ NULL, "brokers", KIND_TEXT, 0 },
		{ "generation", "newest generation", KIND_ID, 0 },
		{ "grace_token", "grace-period token", KIND_ID, 0 },
		{ "unknown_tenant_total", "unknown tenants", KIND_TOTAL, 0 },
		{ "cross_tenant_total", "cross-tenant attempts", KIND_TOTAL, 0 },
		{ "reserved_ns", "GPU time reserved", KIND_NS, 0 },
		{ NULL, "tenants", KIND_TEXT, 0 },
		{ NULL, "engagements", KIND_TEXT, 0 },
		{ NULL, "leases", KIND_TEXT, 0 },
		{ NULL, "budgets", KIND_TEXT, 0 },
		{ "tables.tenants.used", NULL, KIND_COUNT, 0 },
		{ "tables.tenants.retired", NULL, KIND_COUNT, 0 },
		{ "tables.tenants.capacity", NULL, KIND_COUNT, 0 },
		{ "tables.engagements.used", NULL, KIND_COUNT, 0 },
		{ "tables.engagements.retired", NULL, KIND_COUNT, 0 },
		{ "tables.engagements.capacity", NULL, KIND_COUNT, 0 },
		{ "tables.leases.used", NULL, KIND_COUNT, 0 },
		{ "tables.leases.retired", NULL, KIND_COUNT, 0 },
		{ "tables.leases.capacity", NULL, KIND_COUNT, 0 },
		{ "tables.budgets.used", NULL, KIND_COUNT, 0 },
		{ "tables.budgets.retired", NULL, KIND_COUNT, 0 },
		{ "tables.budgets.capacity", NULL, KIND_COUNT, 0 },
		{ "tables.kernels.used", NULL, KIND_COUNT, 0 },
		{ "tables.kernels.retired", NULL, KIND_COUNT, 0 },
		{ "tables.kernels.capacity", NULL, KIND_COUNT, 0 },
		{ "max_audit_events", "audit events", KIND_COUNT, 0 },
		{ "max_brokers", NULL, KIND_COUNT, 0 },
		{ "require_audit", "audit required", KIND_BOOL, 0 },
		{ "max_kernels", NULL, KIND_COUNT, 0 },
		{ NULL, "names of kernels", KIND_TEXT, 0 },
		{ "strict", "strict", KIND_BOOL, 0 },
		{ "shares_epoch", NULL, KIND_ID, 0 },
		{ "shares_hold_for_ns", NULL, KIND_TOTAL, 0 },
		{ NULL, "shares of rates", KIND_TEXT, 0 },
		{ "differences", NULL, KIND_JSON, 0 },
	};
	struct k2k_registry_info info = { .size = sizeof(info) };
	const struct k2k_table_info *t[4] = { &info.tenants, &info.engagements, &info.leases,
		                              &info.budgets };
	char full[4][96], defs_mode[16], live_mode[16], owner[USER_TEXT], group[USER_TEXT],
		brokers[32], names[64], shares_text[SHARES_TEXT];
	struct k2k_shares shares = K2K_SHARES_INIT;
	uint64_t reserved_ns = 0;
	size_t kernels = 0;
	int code = k2k_registry_info(reg, &info);

	if (!code)
		code = k2k_shares_get(reg, &shares);
	if (!code)
		code = sum_reserved(reg, &reserved_ns);
	if (!code)
		code = k2k_kernel_list(reg, K2K_TENANT_UNSPECIFIED, NULL, 0, &kernels);
	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	snprintf(defs_mode, sizeof(defs_mode), "%04o", info.defs_mode & 07777);
	snprintf(live_mode, sizeof(live_mode), "%04o", info.live_mode & 07777);
	snprintf(brokers, sizeof(brokers), "%u of %" PRIu64, info.brokers, info.max_brokers);
	snprintf(names, sizeof(names), "%zu of %" PRIu64, kernels, info.max_kernels);
	for (size_t i = 0; i < 4; i++)
		snprintf(full[i], sizeof(full[i]),
		         "%" PRIu64 " of %" PRIu64 " used, %" PRIu64 " retired", t[i]->used,
		         t[i]->capacity, t[i]->retired);
	print_record(ctl, fields,
	             (const struct value[]){
			     TEXT(info.name),
			     TEXT(info.uuid),
			     NUMBER(info.layout_version),
			     NUMBER(info.created_at_ns),
			     NUMBER(info.defs_bytes),
			     NUMBER(info.live_bytes),
			     NUMBER(info.owner_uid),
			     NUMBER(info.owner_gid),
			     TEXT(user_name(owner, info.owner_uid)),
			     TEXT(group_name(group, info.owner_gid)),
			     TEXT(defs_mode),
			     TEXT(live_mode),
			     NUMBER(info.brokers),
			     TEXT(brokers),
			     NUMBER(info.generation),
			     NUMBER(info.grace_token),
			     NUMBER(info.unknown_tenant_total),
			     NUMBER(info.cross_tenant_total),
			     NUMBER(reserved_ns),
			     TEXT(full[0]),
			     TEXT(full[1]),
			     TEXT(full[2]),
			     TEXT(full[3]),
			     NUMBER(t[0]->used),
			     NUMBER(t[0]->retired),
			     NUMBER(t[0]->capacity),
			     NUMBER(t[1]->used),
			     NUMBER(t[1]->retired),
			     NUMBER(t[1]->capacity),
			     NUMBER(t[2]->used),
			     NUMBER(t[2]->retired),
			     NUMBER(t[2]->capacity),
			     NUMBER(t[3]->used),
			     NUMBER(t[3]->retired),
			     NUMBER(t[3]->capacity),
			     NUMBER(kernels),
			     NUMBER(0),
			     NUMBER(info.max_kernels),
			     NUMBER(info.max_audit_events),
			     NUMBER(info.max_brokers),
			     NUMBER((info.flags & K2K_INFO_REQUIRE_AUDIT) != 0),
			     NUMBER(info.max_kernels),
			     TEXT(names),
			     NUMBER((info.flags & K2K_INFO_STRICT) != 0),
			     NUMBER(shares.epoch),
			     NUMBER(snapshot_shares_left_ns(&shares)),
			     TEXT(describe_shares(shares_text, &shares)),
			     { .json = differences },
		     },
	             sizeof(fields) / sizeof(fields[0]) - !differences);
	return EXIT_DONE;
}

int cmd_info(struct ctl *ctl)
{
	struct k2k_registry *reg;
	int exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);

	if (exit_code)
		return exit_code;
	exit_code = print_info(ctl, reg, NULL);
	k2k_registry_close(&reg);
	return exit_code;
}

/* ---- destroy -------------------------------------------------------------- */

/* The registry is busy because of brokers, which -y overrides, or because of another writer. */
static int fail_busy(struct ctl *ctl)
{
	const struct k2k_error_detail *detail = k2k_error_detail();
	const char *why = detail->code == K2K_EBUSY && detail->text[0] ? detail->text
	                                                               : "brokers are attached";

	if (ctl->yes || (detail->code == K2K_EBUSY && !strcmp(detail->object, "writer")))
		return fail(ctl, K2K_EBUSY, "registry '%s'", ctl->registry);
	return fail_with(ctl, K2K_EBUSY, "registry '%s': %s; -y destroys it anyway", ctl->registry,
	                 why);
}

static int destroy_dry_run(struct ctl *ctl)
{
	struct k2k_registry_info info = { .size = sizeof(info) };
	struct k2k_open_options options;
	struct k2k_registry *reg;
	char text[200];
	int code;

	open_options(ctl, &options);
	code = k2k_registry_open(ctl->registry, K2K_ROLE_OBSERVER, &options, &reg);
	if (!code) {
		code = k2k_registry_info(reg, &info);
		k2k_registry_close(&reg);
	}
	/* A registry of another boot can be removed; of another layout, or corrupt: with -y. */
	if (code && code != K2K_EBOOT &&
	    !(ctl->yes && (code == K2K_ELAYOUT || code == K2K_ECORRUPT)))
		return fail(ctl, code, "registry '%s'", ctl->registry);
	if (!code && info.brokers && !ctl->yes)
		return fail_with(ctl, K2K_EBUSY,
		                 "registry '%s': %u brokers are attached; -y destroys it anyway",
		                 ctl->registry, info.brokers);
	snprintf(text, sizeof(text),
	         "registry '%s' with %" PRIu64 " tenants and %u brokers attached", ctl->registry,
	         info.tenants.used, info.brokers);
	return dryrun_one(ctl, "destroy", text);
}

/*
 * Asks on a terminal, unless -y is given. A yes adds to *flags what it allows. Returns 0 or the
 * exit code.
 */
static int confirm_destroy(struct ctl *ctl, uint32_t *flags)
{
	struct k2k_registry_info info = { .size = sizeof(info) };
	struct k2k_open_options options;
	struct k2k_registry *reg;
	bool wanted;
	int code;

	open_options(ctl, &options);
	code = k2k_registry_open(ctl->registry, K2K_ROLE_OBSERVER, &options, &reg);
	if (!code) {
		code = k2k_registry_info(reg, &info);
		k2k_registry_close(&reg);
	}
	if (code == K2K_EBOOT || code == K2K_ELAYOUT || code == K2K_ECORRUPT)
		wanted = ask("Destroy registry '%s', which can't be read here (%s)?", ctl->registry,
		             k2k_strerror(code));
	else if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	else
		wanted = ask("Destroy registry '%s' with %" PRIu64
		             " tenants and all their usage, and %u brokers attached?",
		             ctl->registry, info.tenants.used, info.brokers);
	if (!wanted)
		return fail_usage(ctl, "registry '%s': not confirmed; nothing was changed",
		                  ctl->registry);
	if (info.brokers || code == K2K_ELAYOUT || code == K2K_ECORRUPT)
		*flags |= K2K_DESTROY_FORCE;
	return 0;
}

int cmd_destroy(struct ctl *ctl)
{
	static const struct field field = { "destroyed", NULL, KIND_BOOL, 0 };
	uint32_t flags = ctl->yes ? K2K_DESTROY_FORCE : 0;
	struct k2k_open_options options;
	int code, exit_code;

	if (ctl->dry_run)
		return destroy_dry_run(ctl);
	ctl->role = K2K_ROLE_ADMIN;
	if (!ctl->yes && can_ask() && (exit_code = confirm_destroy(ctl, &flags)))
		return exit_code;
	open_options(ctl, &options);
	code = k2k_registry_destroy(ctl->registry, flags, &options);
	if (code == K2K_EBUSY)
		return fail_busy(ctl);
	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	if (ctl->quiet)
		return EXIT_DONE;
	if (ctl->format == FORMAT_TABLE)
		printf("registry '%s' is destroyed\n", ctl->registry);
	else
		print_record(ctl, &field, &NUMBER(1), 1);
	return EXIT_DONE;
}

/* ---- version -------------------------------------------------------------- */
