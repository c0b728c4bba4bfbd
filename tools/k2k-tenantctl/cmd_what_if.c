/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * what-if - replays requests of the past against proposed limits
 *
 * Shares of rates hold all the time: what they are is asked, not what happens when they end. The
 * limits are decided by the library itself: the tenants of the document are registered in a
 * simulated registry, and a broker sends the requests while its time is set to theirs. A request
 * holds a kernel slot from its time on for as long as its GPU time, and is billed when it ends.
 *
 * Signals wait until the registry is removed again. After a SIGKILL it stays, under a name that
 * begins with "what-if-", until somebody destroys it.
 */
#include "commands.h"
#include "outcomes.h"
#include "output.h"
#include "plan.h"
#include "requests.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_S UINT64_C(1000000000)
#define FIRST_SECOND 1000 /* of the simulated machine, at the first request */
/* a rate can't name a later second */
#define LAST_NS ((UINT64_C(1) << 30) * NS_PER_S)

/* A request that was admitted, until it ends. */
struct running {
	uint64_t ends_ns;
	size_t request;
	struct k2k_lease lease;
	bool runs;
};

struct simulation {
	struct ctl *ctl;
	struct requests requests;
	uint64_t others; /* events of the log that are no messages */
	struct k2k_simulated_time time;
	struct k2k_registry *admin, *broker;
	uint64_t base_ns;
	struct running *running; /* in the order of their ends */
	size_t *of_request;      /* where in `running` */
	size_t ended;            /* so many of `running` have ended, or never ran */
	struct outcomes outcomes;
	uint64_t refused;
};

/* ---- outcomes ---------------------------------------------------------------------- */

static void note_use(struct simulation *s, k2k_tenant_id tenant, enum reason reason,
                     uint64_t engagement, const struct k2k_verdict *verdict)
{
	struct outcome *o = outcome_of(&s->outcomes, tenant, reason, engagement);

	o->requests++;
	o->max = verdict->limit;
	if (verdict->used > o->peak)
		o->peak = verdict->used;
}

/* A message that was admitted also met the budget of its engagement, if there is one. */
static void note_budget(struct simulation *s, const struct request *r)
{
	struct outcome *o = outcome_find(&s->outcomes, r->tenant, REASON_BUDGET,
	                                 r->tag.engagement_id);

	if (o)
		o->requests++;
}

static void note_refusal(struct simulation *s, struct outcome *o, uint64_t at_ns)
{
	if (!o->refused++)
		o->first_ns = at_ns;
	o->last_ns = at_ns;
	s->refused++;
}

/* ---- the simulated registry --------------------------------------------------------------- */

static int open_as(struct simulation *s, const char *name, enum k2k_role role,
                   struct k2k_registry **reg)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;

	open_options(s->ctl, &options);
	options.flags |= K2K_OPEN_CLOCK;
	options.clock = &s->time;
	return k2k_registry_open(name, role, &options, reg);
}

static int create(const struct simulation *s, const char *name, const struct document *document)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;
	uint64_t records = s->requests.count + document->budgets.count;

	options.flags = K2K_CREATE_SIMULATED | K2K_CREATE_MODE;
	options.mode = 0600;
	options.max_tenants = document->count + 1;
	options.max_budgets = document->budgets.count + 1;
	/* brokers take half of the records for one tenant, and never every fourth */
	options.max_engagements = 4 * records + 64;
	options.max_audit_events = 1;
	return k2k_registry_create(name, &options, NULL);
}

static int register_all(struct simulation *s, const struct document *document)
{
	struct plan plan;
	int exit_code = plan_make(s->ctl, s->admin, document, false, &plan), code;

	for (size_t i = 0; !exit_code && i < plan.count; i++) {
		code = plan_carry_out(s->admin, &plan, document, &plan.steps[i]);
		if (code)
			exit_code = fail_tenant(s->ctl, code, plan_id(&plan, &plan.steps[i]),
			                        false);
	}
	plan_free(&plan);
	return exit_code;
}

static int hold_shares(const struct simulation *s)
{
	int code = k2k_shares_hold(s->admin, 1, 0);

	return code ? code : k2k_shares_hold(s->admin, 1, K2K_NEVER_NS);
}

/* ---- the requests --------------------------------------------------------------------------- */

static void set_time(struct simulation *s, uint64_t wall_ns)
{
	__atomic_store_n(&s->time.wall_ns, wall_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&s->time.monotonic_ns, wall_ns - s->base_ns, __ATOMIC_RELAXED);
}

static int by_end(const void *a, const void *b)
{
	const struct running *x = a, *y = b;

	if (x->ends_ns != y->ends_ns)
		return x->ends_ns < y->ends_ns ? -1 : 1;
	return x->request < y->request ? -1 : 1;
}

static void order_ends(struct simulation *s)
{
	s->running = check_memory(calloc(s->requests.count + 1, sizeof(*s->running)));
	s->of_request = check_memory(calloc(s->requests.count + 1, sizeof(*s->of_request)));
	for (size_t i = 0; i < s->requests.count; i++) {
		const struct request *r = &s->requests.list[i];

		s->running[i].request = i;
		s->running[i].ends_ns = r->gpu_ns < UINT64_MAX - r->at_ns ? r->at_ns + r->gpu_ns
		                                                          : UINT64_MAX;
	}
	qsort(s->running, s->requests.count, sizeof(*s->running), by_end);
	for (size_t i = 0; i < s->requests.count; i++)
		s->of_request[s->running[i].request] = i;
}

/* A request ends: it gives its slot back, and is billed. */
static int end_one(struct simulation *s, struct running *running)
{
	const struct request *r = &s->requests.list[running->request];
	int code = 0;

	if (running->lease.amount)
		code = k2k_kernel_release(s->broker, &running->lease);
	if (!code && r->gpu_ns)
		code = k2k_usage_track(s->broker, r->tenant, r->tag, r->gpu_ns);
	return code;
}

/* Ends what has ended by then, in order; `before` is the first request that did not come yet. */
static int end_until(struct simulation *s, uint64_t wall_ns, size_t before)
{
	int code = 0;

	while (!code && s->ended < s->requests.count) {
		struct running *running = &s->running[s->ended];

		if (running->ends_ns > wall_ns || running->request >= before)
			break;
		if (running->runs) {
			if (running->ends_ns < LAST_NS + s->base_ns)
				set_time(s, running->ends_ns);
			code = end_one(s, running);
		}
		s->ended++;
	}
	return code;
}

/* Returns a code that is no answer, or 0. */
static int send_one(struct simulation *s, size_t number)
{
	const struct request *r = &s->requests.list[number];
	struct running *running = &s->running[s->of_request[number]];
	struct k2k_verdict verdict = K2K_VERDICT_INIT;
	struct outcome *refused_by = NULL;
	int code = 0;

	running->lease = (struct k2k_lease)K2K_LEASE_INIT;
	if (r->gpu_ns) {
		code = k2k_kernel_acquire(s->broker, r->tenant, &running->lease, &verdict);
		if (code == 0 || code == K2K_EKERNELS)
			note_use(s, r->tenant, REASON_KERNELS, 0, &verdict);
		if (code == K2K_EKERNELS)
			refused_by = outcome_of(&s->outcomes, r->tenant, REASON_KERNELS, 0);
	}
	if (!code)
		code = k2k_message_admit(s->broker, r->tenant, r->tag, 1, &verdict);
	if (code == K2K_ENOTENANT) {
		refused_by = outcome_of(&s->outcomes, r->tenant, REASON_UNKNOWN, 0);
		refused_by->requests++;
	} else if (code == K2K_EBUDGET) {
		note_use(s, r->tenant, REASON_BUDGET, r->tag.engagement_id, &verdict);
		refused_by = outcome_of(&s->outcomes, r->tenant, REASON_BUDGET,
		                        r->tag.engagement_id);
	} else if (code == 0 || code == K2K_ERATE) {
		note_use(s, r->tenant, REASON_RATE, 0, &verdict);
		if (code)
			refused_by = outcome_of(&s->outcomes, r->tenant, REASON_RATE, 0);
		else
			note_budget(s, r);
	}
	running->runs = code == 0;
	if (!refused_by)
		return code;
	note_refusal(s, refused_by, r->at_ns);
	return running->lease.amount ? k2k_kernel_release(s->broker, &running->lease) : 0;
}

static int send_all(struct simulation *s)
{
	int code = 0;

	for (size_t i = 0; !code && i < s->requests.count; i++) {
		const struct request *r = &s->requests.list[i];

		code = end_until(s, r->at_ns, i);
		set_time(s, r->at_ns);
		for (uint64_t n = 0; !code && n < r->count; n++)
			code = send_one(s, i);
	}
	return code ? code : end_until(s, UINT64_MAX, s->requests.count);
}

/*
 * What the budgets have used. Called also before the first request, so that each has an outcome.
 */
static int take_budgets(struct simulation *s)
{
	struct k2k_budget_info *budgets;
	size_t count;
	int code = fetch_list(s->admin, LIST_BUDGETS, 0, (void **)&budgets, &count);

	for (size_t i = 0; !code && i < count; i++) {
		struct outcome *o = outcome_of(&s->outcomes, budgets[i].id, REASON_BUDGET,
		                               budgets[i].engagement_id);

		o->max = budgets[i].budget_ns;
		if (budgets[i].used_ns > o->peak)
			o->peak = budgets[i].used_ns;
	}
	free(budgets);
	return code;
}

static int simulate(struct simulation *s, const struct document *document)
{
	char name[K2K_NAME_MAX + 1];
	sigset_t all, before;
	int code, exit_code = 0;

	snprintf(name, sizeof(name), "what-if-%ld", (long)getpid());
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	code = create(s, name, document);
	if (!code)
		code = open_as(s, name, K2K_ROLE_ADMIN, &s->admin);
	if (!code)
		code = open_as(s, name, K2K_ROLE_BROKER, &s->broker);
	if (!code)
		exit_code = register_all(s, document);
	if (!code && !exit_code)
		code = hold_shares(s);
	if (!code && !exit_code) {
		order_ends(s);
		code = take_budgets(s);
	}
	if (!code && !exit_code)
		code = send_all(s);
	if (!code && !exit_code)
		code = take_budgets(s);
	if (code)
		exit_code = fail(s->ctl, code, "the simulation");
	k2k_registry_close(&s->broker);
	k2k_registry_close(&s->admin);
	k2k_registry_destroy(name, K2K_DESTROY_FORCE, NULL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return exit_code;
}

/* ---- output ------------------------------------------------------------------------------ */

static const char *amount(char text[UNITS_TEXT], const struct outcome *o, uint64_t number)
{
	if (o->reason == REASON_UNKNOWN)
		return "-";
	if (number == UINT64_MAX)
		return "unlimited";
	if (o->reason == REASON_BUDGET)
		return units_print_duration(text, number);
	units_print_number(text, number);
	return text;
}

static void print_outcome(struct list *list, const struct outcome *o)
{
	bool budget = o->reason == REASON_BUDGET, finite = o->max != UINT64_MAX && o->max;
	char name[64], engagement[UNITS_TEXT], peak[UNITS_TEXT], max[UNITS_TEXT];
	uint64_t share = finite ? (uint64_t)(100.0 * (double)o->peak / (double)o->max) : UINT64_MAX;

	if (o->reason == REASON_UNKNOWN)
		share = UINT64_MAX;
	units_print_number(engagement, o->engagement);
	snprintf(name, sizeof(name), "%s%s%s", outcome_reasons[o->reason], budget ? " " : "",
	         budget ? engagement : "");
	const struct value values[COL_OUTCOME_COUNT] = {
		[COL_OUTCOME_TENANT] = NUMBER(o->tenant),
		[COL_OUTCOME_LIMIT] = TEXT(outcome_reasons[o->reason]),
		[COL_OUTCOME_ENGAGEMENT] = TEXT(budget ? engagement : NULL),
		[COL_OUTCOME_NAME] = TEXT(name),
		[COL_OUTCOME_REQUESTS] = NUMBER(o->requests),
		[COL_OUTCOME_REFUSED] = { .number = o->refused,
		                          .color = o->refused ? "red" : NULL },
		[COL_OUTCOME_FIRST] = NUMBER(o->refused ? o->first_ns : UINT64_MAX),
		[COL_OUTCOME_LAST] = NUMBER(o->refused ? o->last_ns : UINT64_MAX),
		[COL_OUTCOME_PEAK_TEXT] = { o->peak, .text = amount(peak, o, o->peak) },
		[COL_OUTCOME_MAX_TEXT] = { o->max, .text = amount(max, o, o->max) },
		[COL_OUTCOME_PEAK] = NUMBER(o->peak),
		[COL_OUTCOME_MAX] = NUMBER(o->reason == REASON_UNKNOWN ? 0 : o->max),
		[COL_OUTCOME_SHARE] = NUMBER(share),
	};
	list_row(list, values);
}

static uint64_t count_requests(const struct requests *requests)
{
	uint64_t count = 0;

	for (size_t i = 0; i < requests->count; i++)
		count += requests->list[i].count;
	return count;
}

static void print(struct simulation *s)
{
	static const struct field fields[] = { { "requests", NULL, KIND_TOTAL, 0 },
		                               { "refused", NULL, KIND_TOTAL, 0 } };
	uint64_t requests = count_requests(&s->requests);
	const struct value values[] = { NUMBER(requests), NUMBER(s->refused) };
	struct list list;

	outcomes_sort(&s->outcomes);
	list_begin(&list, s->ctl, &outcomes_table, &(const struct extra){ fields, values, 2 });
	for (size_t i = 0; i < s->outcomes.count; i++)
		print_outcome(&list, s->outcomes.list[i]);
	list_end(&list);
	if (s->ctl->format == FORMAT_TABLE && !s->ctl->quiet)
		printf("%" PRIu64 " of %" PRIu64 " requests would be refused\n", s->refused,
		       requests);
	if (s->others)
		note(s->ctl,
		     "the log has only messages that were refused; %" PRIu64
		     " other events were left out",
		     s->others);
}

/* ---- the command ---------------------------------------------------------------------------- */

static int read_requests(struct simulation *s)
{
	const char *table = s->ctl->option[OPT_TRACE], *log = s->ctl->option[OPT_LOG];
	int exit_code;

	if (!table == !log)
		return fail_usage(s->ctl, "what-if: one of --trace FILE and --log FILE is needed");
	exit_code = table ? requests_read_table(s->ctl, table, &s->requests)
	                  : requests_read_log(s->ctl, log, &s->requests, &s->others);
	if (exit_code || !s->requests.count)
		return exit_code;
	s->base_ns = s->requests.list[0].at_ns / NS_PER_S * NS_PER_S;
	if (s->requests.list[s->requests.count - 1].at_ns - s->base_ns >
	    LAST_NS - 2 * FIRST_SECOND * NS_PER_S) {
		requests_free(&s->requests);
		return fail_usage(s->ctl, "%s: the requests are of more than 34 years",
		                  table ? table : log);
	}
	s->base_ns -= FIRST_SECOND * NS_PER_S; /* may wrap: only differences to it count */
	return 0;
}

int cmd_what_if(struct ctl *ctl)
{
	struct simulation s = { .ctl = ctl };
	struct document document;
	int exit_code;

	if (!ctl->file_count)
		return fail_usage(ctl, "what-if: -f FILE is missing; - is standard input");
	exit_code = document_read(ctl, ctl->files, ctl->file_count, DOCUMENT_PLAIN, &document);
	if (!exit_code)
		exit_code = read_requests(&s);
	if (!exit_code)
		exit_code = simulate(&s, &document);
	if (!exit_code) {
		print(&s);
		exit_code = s.refused ? EXIT_NO : EXIT_DONE;
	}
	outcomes_free(&s.outcomes);
	free(s.running);
	free(s.of_request);
	requests_free(&s.requests);
	document_free(&document);
	return exit_code;
}
