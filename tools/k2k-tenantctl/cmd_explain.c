/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * explain - why a tenant is refused: for each of its limits, and for a suspension, whether it would
 * refuse the next request now, since when, by which broker, and what to do about it
 *
 * Usage comes from the tenant itself; times and brokers come from the audit trail, as far back as
 * its rings reach.
 */
#include "commands.h"
#include "output.h"
#include "tenants.h"
#include "common/rings.h"
#include "rates.h"
#include "common/snapshot.h"
#include "common/units.h"
#include "common/printable.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH = 256 };

/* One limit of the tenant. */
struct row {
	uint32_t kind;                      /* enum k2k_audit_kind of its rejections */
	uint64_t engagement;                /* of a budget */
	uint64_t used, max;                 /* UINT64_MAX: unlimited; of a bucket its burst */
	struct rate rate;                   /* of K2K_AUDIT_KIND_RATE */
	uint64_t reserved_ns, renews_at_ns; /* of a budget; renews_at_ns: 0: never */
	bool full; /* it would refuse the smallest next request, if it is in force */
	uint64_t rejected, shadowed;     /* from the trail */
	uint64_t since_ns, last_ns, pid; /* of both; 0: no event */
	uint32_t slot;
	char comm[16 + 1]; /* of the broker, if it is still attached */
	char advice[300];
};

struct explanation {
	k2k_tenant_id id;
	bool shadow, suspended;
	struct tenants tenants;
	struct row *rows;
	size_t count;
};

/* ---- limits and usage ------------------------------------------------------------------ */

static struct row *add_row(struct explanation *e, uint32_t kind, uint64_t used, uint64_t max)
{
	struct row *r = &e->rows[e->count++];

	*r = (struct row){
		.kind = kind, .used = used, .max = max, .full = max != UINT64_MAX && used >= max
	};
	return r;
}

/* What limits refuse passes in shadow; a suspension is never in shadow. */
static bool refuses(const struct explanation *e, const struct row *r)
{
	return r->full && (r->kind == K2K_AUDIT_KIND_SUSPENDED || !e->shadow);
}
static bool would_refuse(const struct explanation *e, const struct row *r)
{
	return r->full && !refuses(e, r);
}

/* Asks for a verdict, which says how long to wait; of a suspended tenant it says nothing. */
static int add_rate(struct explanation *e, struct k2k_registry *reg)
{
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	const struct k2k_tenant_info *i = &e->tenants.rows[0].info;
	const struct rate rate = rate_of_tenant(i);
	const bool alone = snapshot_alone(i);
	char wait[UNITS_TEXT];
	struct row *r;
	int code = k2k_quota_check(reg, e->id, (struct k2k_audit_tag){ 0, 0 }, 1, &verdict);

	if (code && code != K2K_ERATE && code != K2K_EBUDGET && code != K2K_ESUSPENDED)
		return code;
	if (code == K2K_ESUSPENDED) {
		verdict.used = i->messages_this_second;
		verdict.retry_after_ns = K2K_NEVER_NS;
	}
	if (code == K2K_EBUDGET || verdict.shadow_code == K2K_EBUDGET)
		verdict.used = 0;
	r = add_row(e, K2K_AUDIT_KIND_RATE, verdict.used,
	            alone                            ? rate.alone
	            : rate.policy == K2K_RATE_BUCKET ? rate.burst
	                                             : rate.number);
	r->rate = rate;
	if (code != K2K_ESUSPENDED)
		r->full = code == K2K_ERATE || verdict.shadow_code == K2K_ERATE;
	else if (!rate.number)
		r->full = true;
	if (r->full && alone)
		snprintf(r->advice, sizeof(r->advice),
		         "this host's shares don't hold, so its limit alone is in force: see to "
		         "the agent that renews them");
	else if (r->full && (!rate.number || !r->max))
		snprintf(r->advice, sizeof(r->advice),
		         "a limit of 0 rejects everything: 'update %" PRIu64
		         " --rate R%s' sets another",
		         e->id, rate.policy == K2K_RATE_BUCKET ? " --burst N" : "");
	else if (r->full && rate_is_plain(&rate))
		snprintf(r->advice, sizeof(r->advice),
		         "wait for the next second; 'update %" PRIu64 " --rate R' allows more",
		         e->id);
	else if (r->full && verdict.retry_after_ns && verdict.retry_after_ns != K2K_NEVER_NS)
		snprintf(r->advice, sizeof(r->advice),
		         "wait %s; 'update %" PRIu64 " --rate R' allows more",
		         units_print_duration(wait, verdict.retry_after_ns), e->id);
	else if (r->full)
		snprintf(r->advice, sizeof(r->advice), "'update %" PRIu64 " --rate R' allows more",
		         e->id);
	return 0;
}

static void add_budget(struct explanation *e, struct k2k_registry *reg,
                       const struct k2k_budget_info *budget)
{
	struct k2k_audit_tag tag = { 0, budget->engagement_id };
	struct row *r = add_row(e, K2K_AUDIT_KIND_BUDGET, budget->used_ns, budget->budget_ns);
	char when[UNITS_TEXT], reserved[UNITS_TEXT], held[100] = "";
	time_t seconds = (time_t)(budget->renews_at_ns / 1000000000);
	const char *each = units_renewal_name(budget->renewal);
	struct tm tm;

	r->engagement = budget->engagement_id;
	r->renews_at_ns = budget->period ? budget->renews_at_ns : 0;
	/* without it, as if nothing was reserved: the tenant may be gone */
	if (k2k_usage_reserved(reg, e->id, tag, &r->reserved_ns))
		r->reserved_ns = 0;
	if (r->reserved_ns && r->used < r->max && r->reserved_ns >= r->max - r->used) {
		r->full = true;
		snprintf(held, sizeof(held), "%s of it is reserved, and some may come back; ",
		         units_print_duration(reserved, r->reserved_ns));
	}
	if (r->full && r->renews_at_ns && r->max && gmtime_r(&seconds, &tm)) {
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
		snprintf(r->advice, sizeof(r->advice),
		         "%sit renews each %s, next at %s; 'budget set %" PRIu64 " %" PRIu64
		         " DUR/%s' allows more",
		         held, each, when, e->id, r->engagement, each);
	} else if (r->full) {
		snprintf(r->advice, sizeof(r->advice),
		         "%s'budget set %" PRIu64 " %" PRIu64
		         " DUR' allows more, 'budget unset %" PRIu64 " %" PRIu64 "' everything",
		         held[0] ? held : "waiting does not help: ", e->id, r->engagement, e->id,
		         r->engagement);
	}
}

static void add_suspension(struct explanation *e)
{
	struct row *r = add_row(e, K2K_AUDIT_KIND_SUSPENDED, UINT64_MAX, UINT64_MAX);

	r->full = e->suspended;
	if (e->suspended)
		snprintf(r->advice, sizeof(r->advice),
		         "an administrator has suspended it: 'audit tail --tenant %" PRIu64
		         " --type update' says who; 'resume %" PRIu64 "' ends that",
		         e->id, e->id);
}

static int read_limits(struct explanation *e, struct k2k_registry *reg)
{
	const struct k2k_tenant_info *i;
	struct row *r;
	int code = tenants_load_limits(reg, e->id, &e->tenants);

	if (code)
		return code;
	i = &e->tenants.rows[0].info;
	e->shadow = i->shadow;
	e->suspended = i->suspended;
	e->rows = check_memory(calloc(4 + e->tenants.budget_count, sizeof(*e->rows)));
	code = add_rate(e, reg);
	if (code)
		return code;
	for (size_t b = 0; b < e->tenants.budget_count; b++)
		add_budget(e, reg, &e->tenants.budgets[b]);
	r = add_row(e, K2K_AUDIT_KIND_KERNELS, i->kernels,
	            i->max_concurrent_kernels == K2K_UNLIMITED_KERNELS ? UINT64_MAX
	                                                               : i->max_concurrent_kernels);
	if (r->full && !r->max)
		snprintf(r->advice, sizeof(r->advice),
		         "a limit of 0 rejects everything: 'update %" PRIu64
		         " --kernels N' sets another",
		         e->id);
	else if (r->full)
		snprintf(r->advice, sizeof(r->advice),
		         "'leases %" PRIu64 "' shows who holds them; 'update %" PRIu64
		         " --kernels N' allows more",
		         e->id, e->id);
	r = add_row(e, K2K_AUDIT_KIND_GPU_MEMORY, i->gpu_memory_bytes, i->max_gpu_memory_bytes);
	if (r->full && !r->max)
		snprintf(r->advice, sizeof(r->advice),
		         "a limit of 0 rejects everything: 'update %" PRIu64
		         " --gpu-memory SIZE' sets another",
		         e->id);
	else if (r->full)
		snprintf(r->advice, sizeof(r->advice),
		         "'leases %" PRIu64 "' shows who holds it; 'update %" PRIu64
		         " --gpu-memory SIZE' allows more",
		         e->id, e->id);
	add_suspension(e);
	return 0;
}

/* ---- times and brokers ---------------------------------------------------------- */

static void take_event(struct explanation *e, const struct k2k_audit_record *record)
{
	if (record->tenant != e->id || record->flags & K2K_AUDIT_LOST || !record->code)
		return;
	for (size_t i = 0; i < e->count; i++) {
		struct row *r = &e->rows[i];
		uint64_t *counted;

		if (r->kind != record->kind || (r->kind == K2K_AUDIT_KIND_BUDGET &&
		                                r->engagement != record->tag.engagement_id))
			continue;
		counted = record->flags & K2K_AUDIT_SHADOW ? &r->shadowed : &r->rejected;
		if (__builtin_add_overflow(*counted, record->count, counted))
			*counted = UINT64_MAX;
		if (!r->since_ns || record->time_ns < r->since_ns)
			r->since_ns = record->time_ns;
		if (record->time_ns >= r->last_ns) {
			r->last_ns = record->time_ns;
			r->pid = record->pid;
			r->slot = K2K_AUDIT_RING_SLOT(record->ring);
		}
	}
}

/* Reads all events that exist at the start, and then ends, even if others write faster. */
static int read_trail(struct explanation *e, struct k2k_registry *reg)
{
	struct k2k_audit_record *records = check_memory(calloc(BATCH, sizeof(*records)));
	struct ring_cursor at;
	struct ring_stats start;
	size_t count, newer = 0;
	int code = ring_stats_read(reg, &start);

	cursor_begin(&at);
	do {
		*records = (struct k2k_audit_record){ .size = sizeof(*records) };
		code = code ? code
		            : k2k_audit_read(reg, &at.cursor, K2K_AUDIT_OPEN_TOO, records, BATCH,
		                             &count);
		newer = 0;
		for (size_t i = 0; !code && i < count; i++) {
			take_event(e, &records[i]);
			newer += records[i].sequence > ring_newest(&start, records[i].ring);
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

static const char *amount(char text[RATE_TEXT], const struct row *r, uint64_t number)
{
	if (r->kind == K2K_AUDIT_KIND_SUSPENDED)
		return "-";
	if (number == UINT64_MAX)
		return "unlimited";
	switch (r->kind) {
	case K2K_AUDIT_KIND_RATE:
		if (r->rate.policy == K2K_RATE_BUCKET)
			break;
		return units_print_rate(text, number, r->rate.period);
	case K2K_AUDIT_KIND_BUDGET: return units_print_duration(text, number);
	case K2K_AUDIT_KIND_GPU_MEMORY: return units_print_short_size(text, number);
	default: break;
	}
	units_print_number(text, number);
	return text;
}

/* "30/min"; of a bucket "20, 5/h" */
static const char *limit_text(char text[RATE_TEXT], const struct row *r)
{
	char burst[UNITS_TEXT], rate[UNITS_TEXT];

	if (r->kind != K2K_AUDIT_KIND_RATE || r->rate.policy != K2K_RATE_BUCKET)
		return amount(text, r, r->max);
	units_print_number(burst, r->rate.burst);
	snprintf(text, RATE_TEXT, "%s, %s", burst,
	         units_print_rate(rate, r->rate.number, r->rate.period));
	return text;
}

static void print_row(struct list *list, const struct explanation *e, const struct row *r)
{
	char name[64], used[RATE_TEXT], max[RATE_TEXT], engagement[UNITS_TEXT], broker[64] = "-";
	bool budget = r->kind == K2K_AUDIT_KIND_BUDGET, seen = r->last_ns != 0;
	bool rate = r->kind == K2K_AUDIT_KIND_RATE, limit = r->kind != K2K_AUDIT_KIND_SUSPENDED;

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
		[COL_LIMIT_REFUSES] = { .number = refuses(e, r),
		                        .color = refuses(e, r) ? "red" : NULL },
		[COL_LIMIT_IN_SHADOW] = { .number = would_refuse(e, r),
		                          .color = would_refuse(e, r) ? "yellow" : NULL },
		[COL_LIMIT_USED_TEXT] = { r->used, .text = amount(used, r, r->used) },
		[COL_LIMIT_MAX_TEXT] = { r->max, .text = limit_text(max, r) },
		[COL_LIMIT_USED] = { .number = r->used, .none = !limit },
		[COL_LIMIT_MAX] = NUMBER(r->max),
		[COL_LIMIT_RESERVED] = NUMBER(budget ? r->reserved_ns : UINT64_MAX),
		[COL_LIMIT_RENEWS] = NUMBER(r->renews_at_ns ? r->renews_at_ns : UINT64_MAX),
		[COL_LIMIT_PERIOD] = TEXT(rate ? units_period_name(r->rate.period) : NULL),
		[COL_LIMIT_POLICY] = TEXT(rate ? rate_policy_name(r->rate.policy) : NULL),
		[COL_LIMIT_SHADOWED] = NUMBER(r->shadowed),
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
	static const struct field fields[] = { { "tenant", NULL, KIND_ID, 0 },
		                               { "shadow", NULL, KIND_BOOL, 0 },
		                               { "suspended", NULL, KIND_BOOL, 0 } };
	const struct value values[] = { NUMBER(e->id), NUMBER(e->shadow), NUMBER(e->suspended) };
	struct list list;
	bool any = false;

	list_begin(&list, ctl, &limits_table, &(const struct extra){ fields, values, 3 });
	for (size_t i = 0; i < e->count; i++)
		print_row(&list, e, &e->rows[i]);
	list_end(&list);
	if (ctl->format != FORMAT_TABLE)
		return;
	for (size_t i = 0; i < e->count; i++) {
		const struct row *r = &e->rows[i];

		any = any || refuses(e, r);
		if (r->full)
			printf("%s%s: %s\n", k2k_audit_kind_name(r->kind),
			       would_refuse(e, r) ? ", in shadow" : "", r->advice);
	}
	if (e->shadow)
		printf("its limits are in shadow and refuse nothing: 'update %" PRIu64
		       " --shadow off' enforces them\n",
		       e->id);
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
