/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * explain - why a tenant is refused: for each of its limits, whether it would refuse the next
 * request now, since when, by which broker, and what to do about it
 *
 * Usage comes from the tenant itself; times and brokers come from the audit trail, as far back as
 * its rings reach.
 */
#include "commands.h"
#include "output.h"
#include "tenants.h"
#include "common/units.h"
#include "common/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 256 };

/* One limit of the tenant. */
struct row {
	uint32_t kind;                             /* enum k2k_audit_kind of its rejections */
	uint64_t engagement;                       /* of a budget */
	uint64_t used, max;                        /* UINT64_MAX: unlimited */
	bool refuses;                              /* it would refuse the smallest next request */
	uint64_t rejected, since_ns, last_ns, pid; /* from the trail; 0: no event */
	uint32_t slot;
	char comm[16 + 1]; /* of the broker, if it is still attached */
	char advice[200];
};

struct explanation {
	k2k_tenant_id id;
	struct tenants tenants;
	struct row *rows;
	size_t count;
};

/* ---- limits and usage ------------------------------------------------------------------ */

static struct row *add_row(struct explanation *e, uint32_t kind, uint64_t used, uint64_t max)
{
	struct row *r = &e->rows[e->count++];

	*r = (struct row){
		.kind = kind, .used = used, .max = max, .refuses = max != UINT64_MAX && used >= max
	};
	return r;
}

/* Asks for a verdict: the tenant's own count of messages may be of an earlier second. */
static int add_rate(struct explanation *e, struct k2k_registry *reg)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	const struct k2k_tenant_info *i = &e->tenants.rows[0].info;
	struct row *r;
	int code = k2k_quota_check(reg, e->id, (struct k2k_audit_tag){ 0, 0 }, 1, &verdict);

	if (code && code != K2K_ERATE && code != K2K_EBUDGET)
		return code;
	r = add_row(e, K2K_AUDIT_KIND_RATE, code == K2K_EBUDGET ? 0 : verdict.used,
	            i->max_messages_per_sec);
	r->refuses = code == K2K_ERATE;
	if (r->refuses && !r->max)
		snprintf(r->advice, sizeof(r->advice),
		         "a limit of 0 rejects everything: 'update %" PRIu64
		         " --rate R' sets another",
		         e->id);
	else if (r->refuses)
		snprintf(r->advice, sizeof(r->advice),
		         "wait for the next second; 'update %" PRIu64 " --rate R' allows more",
		         e->id);
	return 0;
}

static int read_limits(struct explanation *e, struct k2k_registry *reg)
{
	const struct k2k_tenant_info *i;
	struct row *r;
	int code = tenants_load_limits(reg, e->id, &e->tenants);

	if (code)
		return code;
	i = &e->tenants.rows[0].info;
	e->rows = check_memory(calloc(3 + e->tenants.budget_count, sizeof(*e->rows)));
	code = add_rate(e, reg);
	if (code)
		return code;
	for (size_t b = 0; b < e->tenants.budget_count; b++) {
		const struct k2k_budget_info *budget = &e->tenants.budgets[b];

		r = add_row(e, K2K_AUDIT_KIND_BUDGET, budget->used_ns, budget->budget_ns);
		r->engagement = budget->engagement_id;
		if (r->refuses)
			snprintf(r->advice, sizeof(r->advice),
			         "waiting does not help: 'budget set %" PRIu64 " %" PRIu64
			         " DUR' allows more, 'budget unset %" PRIu64 " %" PRIu64
			         "' everything",
			         e->id, r->engagement, e->id, r->engagement);
	}
	r = add_row(e, K2K_AUDIT_KIND_KERNELS, i->kernels,
	            i->max_concurrent_kernels == K2K_UNLIMITED_KERNELS ? UINT64_MAX
	                                                               : i->max_concurrent_kernels);
	if (r->refuses && !r->max)
		snprintf(r->advice, sizeof(r->advice),
		         "a limit of 0 rejects everything: 'update %" PRIu64
		         " --kernels N' sets another",
		         e->id);
	else if (r->refuses)
		snprintf(r->advice, sizeof(r->advice),
		         "'leases %" PRIu64 "' shows who holds them; 'update %" PRIu64
		         " --kernels N' allows more",
		         e->id, e->id);
	r = add_row(e, K2K_AUDIT_KIND_GPU_MEMORY, i->gpu_memory_bytes, i->max_gpu_memory_bytes);
	if (r->refuses && !r->max)
		snprintf(r->advice, sizeof(r->advice),
		         "a limit of 0 rejects everything: 'update %" PRIu64
		         " --gpu-memory SIZE' sets another",
		         e->id);
	else if (r->refuses)
		snprintf(r->advice, sizeof(r->advice),
		         "'leases %" PRIu64 "' shows who holds it; 'update %" PRIu64
		         " --gpu-memory SIZE' allows more",
		         e->id, e->id);
	return 0;
}

/* ---- times and brokers ---------------------------------------------------------- */

static void take_event(struct explanation *e, const struct k2k_audit_record *record)
{
	if (record->tenant != e->id || record->flags & K2K_AUDIT_LOST || !record->code)
		return;
	for (size_t i = 0; i < e->count; i++) {
		struct row *r = &e->rows[i];

		if (r->kind != record->kind || (r->kind == K2K_AUDIT_KIND_BUDGET &&
		                                r->engagement != record->tag.engagement_id))
			continue;
		if (__builtin_add_overflow(r->rejected, record->count, &r->rejected))
			r->rejected = UINT64_MAX;
		if (!r->since_ns || record->time_ns < r->since_ns)
			r->since_ns = record->time_ns;
		if (record->time_ns >= r->last_ns) {
			r->last_ns = record->time_ns;
			r->pid = record->pid;
			r->slot = record->ring;
		}
	}
}

/* Reads all events that exist at the start, and then ends, even if others write faster. */
static int read_trail(struct explanation *e, struct k2k_registry *reg)
{
	struct k2k_audit_record *records = check_memory(calloc(BATCH, sizeof(*records)));
	struct k2k_audit_cursor cursor = K2K_AUDIT_CURSOR_INIT;
	struct k2k_audit_stats start = { .size = sizeof(start) };
	size_t count, newer = 0;
	int code = k2k_audit_stats(reg, &start);

	do {
		*records = (struct k2k_audit_record){ .size = sizeof(*records) };
		code = code ? code
		            : k2k_audit_read(reg, &cursor, K2K_AUDIT_OPEN_TOO, records, BATCH,
		                             &count);
		newer = 0;
		for (size_t i = 0; !code && i < count; i++) {
			take_event(e, &records[i]);
			newer += records[i].sequence > start.newest[records[i].ring];
		}
	} while (!code && count && newer < count);
	free(records);
	return code;
}

static int name_brokers(struct explanation *e, struct k2k_registry *reg)
{
	struct k2k_broker_info *brokers;
	size_t count;
	int code = fetch_list(reg, LIST_BROKERS, 0, (void **)&brokers, &count);

	for (size_t i = 0; !code && i < e->count; i++)
		for (size_t b = 0; b < count; b++)
			if (e->rows[i].last_ns && brokers[b].slot == e->rows[i].slot &&
			    brokers[b].pid == e->rows[i].pid)
				printable_copy(e->rows[i].comm, sizeof(e->rows[i].comm),
				               brokers[b].comm, sizeof(brokers[b].comm));
	free(brokers);
	return code;
}

/* ---- printing --------------------------------------------------------------------------- */

static const char *amount(char text[UNITS_TEXT], uint32_t kind, uint64_t number)
{
	if (number == UINT64_MAX)
		return "unlimited";
	switch (kind) {
	case K2K_AUDIT_KIND_RATE: return units_print_rate(text, number);
	case K2K_AUDIT_KIND_BUDGET: return units_print_duration(text, number);
	case K2K_AUDIT_KIND_GPU_MEMORY: return units_print_short_size(text, number);
	default: break;
	}
	units_print_number(text, number);
	return text;
}

static void print_row(struct list *list, const struct row *r)
{
	char name[64], used[UNITS_TEXT], max[UNITS_TEXT], engagement[UNITS_TEXT], broker[64] = "-";
	bool budget = r->kind == K2K_AUDIT_KIND_BUDGET, seen = r->last_ns != 0;

	units_print_number(engagement, r->engagement);
	snprintf(name, sizeof(name), "%s%s%s", k2k_audit_kind_name(r->kind), budget ? " " : "",
	         budget ? engagement : "");
	if (seen)
		snprintf(broker, sizeof(broker), "%" PRIu64 "%s%s", r->pid, r->comm[0] ? " " : "",
		         r->comm);
	const struct value values[COL_LIMIT_COUNT] = {
		[COL_LIMIT_KIND] = TEXT(k2k_audit_kind_name(r->kind)),
		[COL_LIMIT_ENGAGEMENT] = TEXT(budget ? engagement : NULL),
		[COL_LIMIT_NAME] = TEXT(name),
		[COL_LIMIT_REFUSES] = { .number = r->refuses, .color = r->refuses ? "red" : NULL },
		[COL_LIMIT_USED_TEXT] = { r->used, .text = amount(used, r->kind, r->used) },
		[COL_LIMIT_MAX_TEXT] = { r->max, .text = amount(max, r->kind, r->max) },
		[COL_LIMIT_USED] = NUMBER(r->used),
		[COL_LIMIT_MAX] = NUMBER(r->max),
		[COL_LIMIT_REJECTED] = NUMBER(r->rejected),
		[COL_LIMIT_SINCE] = NUMBER(seen ? r->since_ns : UINT64_MAX),
		[COL_LIMIT_LAST] = NUMBER(seen ? r->last_ns : UINT64_MAX),
		[COL_LIMIT_BROKER] = TEXT(broker),
		[COL_LIMIT_SLOT] = NUMBER(seen ? r->slot : UINT64_MAX),
		[COL_LIMIT_PID] = NUMBER(seen ? r->pid : UINT64_MAX),
		[COL_LIMIT_COMMAND] = TEXT(r->comm[0] ? r->comm : NULL),
		[COL_LIMIT_ADVICE] = TEXT(r->advice[0] ? r->advice : NULL),
	};
	list_row(list, values);
}

static void print_explanation(struct ctl *ctl, const struct explanation *e)
{
	static const struct field id = { "tenant", NULL, KIND_ID, 0 };
	struct list list;
	bool any = false;

	list_begin(&list, ctl, &limits_table, &(const struct extra){ &id, &NUMBER(e->id), 1 });
	for (size_t i = 0; i < e->count; i++)
		print_row(&list, &e->rows[i]);
	list_end(&list);
	if (ctl->format != FORMAT_TABLE)
		return;
	for (size_t i = 0; i < e->count; i++)
		if (e->rows[i].refuses) {
			any = true;
			printf("%s: %s\n", k2k_audit_kind_name(e->rows[i].kind), e->rows[i].advice);
		}
	if (!any)
		printf("no limit refuses tenant %" PRIu64 " now\n", e->id);
}

int cmd_explain(struct ctl *ctl)
{
	struct explanation e = { 0 };
	struct k2k_registry *reg;
	int code, exit_code;

	if (!arg_id(ctl, "ID", ctl->arguments[0], &e.id))
		return EXIT_USAGE;
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
	if (exit_code)
		return exit_code;
	code = e.id == K2K_TENANT_UNSPECIFIED ? K2K_ENOTENANT : read_limits(&e, reg);
	if (!code)
		code = read_trail(&e, reg);
	if (!code)
		code = name_brokers(&e, reg);
	k2k_registry_close(&reg);
	if (code)
		exit_code = fail_tenant(ctl, code, e.id, false);
	else
		print_explanation(ctl, &e);
	tenants_free(&e.tenants);
	free(e.rows);
	return exit_code;
}
