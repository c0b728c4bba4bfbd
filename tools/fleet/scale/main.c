/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* fleet-scale - many agents beside one database: what they ask of it. See scripts/fleet-scale. */
#include "scale.h"
#include "common/clock.h"
#include "common/memory.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>

#define NS_PER_S UINT64_C(1000000000)
#define WAIT_MOST_NS (120 * NS_PER_S)
#define BUDGET_H "1000000"
#define BUDGET_NS UINT64_C(3600000000000000000)

struct options {
	struct agents_options agents;
	size_t budgets, share, seconds, changes;
	const char *device;
};

static void run_sql(const char *sql)
{
	if (db_run(figures_db(), sql))
		give_up("%s", figures_db()->message);
}

/* ---- definitions ----------------------------------------------------------------------------- */

static uint64_t version;

/* Changes the tenants from 1 to `count` in one statement. Returns when it was committed. */
static uint64_t change(size_t count, uint64_t rate, bool budgets, double *took_s)
{
	struct db_array arrays[5]; /* as change() has them */
	const char *values[6];
	uint64_t begin, end;
	char expected[24];
	PGresult *result;

	for (size_t i = 0; i < 5; i++)
		db_array_begin(&arrays[i]);
	for (uint64_t t = 1; t <= count; t++) {
		char *doc;
		size_t length;
		FILE *out = text_open(&doc, &length);

		definition_print(out, t, rate, budgets ? BUDGET_H "h" : NULL);
		text_close(out);
		db_array_u64(&arrays[0], t);
		db_array_text(&arrays[1], doc);
		free(doc);
		if (!budgets)
			continue;
		db_array_u64(&arrays[2], t);
		db_array_u64(&arrays[3], 1);
		db_array_u64(&arrays[4], BUDGET_NS);
	}
	snprintf(expected, sizeof(expected), "%" PRIu64, version);
	values[0] = expected;
	for (size_t i = 0; i < 5; i++)
		values[i + 1] = db_array_end(&arrays[i]);
	agents_expect(version + count);
	begin = clock_monotonic_ns();
	result = db_call(figures_db(), "select k2k_fleet.change($1, $2, $3, $4, $5, $6)", 6,
	                 values);
	end = clock_monotonic_ns();
	*took_s = (double)(end - begin) / 1e9;
	if (!result)
		give_up("a change: %s", figures_db()->message);
	version = db_u64(result, 0, 0);
	PQclear(result);
	for (size_t i = 0; i < 5; i++)
		db_array_free(&arrays[i]);
	return end;
}

static bool some_missing; /* hosts did not have a change in time */

static void print_reached(const char *what, size_t hosts, size_t reached,
                          const struct durations *took)
{
	printf("%s: %zu of %zu hosts within %d s; of these p50 %.0f ms, p99 %.0f ms, "
	       "last %.0f ms\n",
	       what, reached, hosts, (int)(WAIT_MOST_NS / NS_PER_S), durations_quantile(took, 500),
	       durations_quantile(took, 990), durations_quantile(took, 1000));
	fflush(stdout);
}

static void change_phase(const char *name, const struct options *o, size_t times, size_t count,
                         bool budgets)
{
	static struct durations took;
	size_t reached = o->agents.hosts;
	double change_s = 0;

	durations_reset(&took);
	phase_begin(name);
	for (size_t i = 0; i < times && reached == o->agents.hosts; i++) {
		double s;
		uint64_t committed = change(count, 5000 + version, budgets, &s);

		change_s += s;
		reached = agents_wait_expected(committed, WAIT_MOST_NS, &took);
	}
	phase_end();
	printf("the statement that changes them: %.3f s\n", change_s / (double)times);
	print_reached("in force and reported after the commit", o->agents.hosts, reached, &took);
	printf("\n");
}

/* ---- phases ---------------------------------------------------------------------------------- */

static void make_hosts(const struct options *o)
{
	char sql[600];

	snprintf(sql, sizeof(sql),
	         "do $$ begin for i in 1..%zu loop "
	         "execute format('create role scale_%%s login', i); "
	         "execute format('grant k2k_fleet_agent to scale_%%s', i); "
	         "perform k2k_fleet.join_host('scale-' || i, 'scale_' || i); "
	         "end loop; end $$",
	         o->agents.hosts);
	run_sql(sql);
}

static void joining(const struct options *o)
{
	uint64_t begin = clock_monotonic_ns();

	phase_begin("joining");
	agents_start(&o->agents);
	agents_wait_joined(begin);
	phase_end();
}

static void steady(const char *name, const struct options *o, unsigned used, unsigned used_up)
{
	uint64_t begin;

	load.used = used;
	load.used_up = used_up;
	begin = clock_monotonic_ns();
	clock_sleep_until(begin + NS_PER_S);
	phase_begin(name);
	clock_sleep_until(clock_monotonic_ns() + o->seconds * NS_PER_S);
	phase_end();
	load.used = load.used_up = 0;
}

static void all_return(const char *name, const struct options *o)
{
	static struct durations took;
	uint64_t begin;
	size_t reached;

	durations_reset(&took);
	phase_begin(name);
	begin = clock_monotonic_ns();
	agents_disconnect();
	agents_expect(version);
	reached = agents_wait_expected(begin, WAIT_MOST_NS, &took);
	phase_end();
	print_reached("greeted, and all that is needed reported", o->agents.hosts, reached, &took);
	printf("\n");
}

/* The figures are about something: every agent has reported all. */
static void check_reported(const struct agents_options *a)
{
	double rows = figures_number("select count(*) from k2k_fleet.total"),
	       expected = (double)a->hosts * (double)a->tenants * (double)a->engagements;

	if (rows < expected || rows > expected)
		give_up("%.0f totals were reported, not %.0f", rows, expected);
}

static void run(const struct options *o)
{
	char share[100];
	double s;

	make_hosts(o);
	change(o->agents.tenants, 5000, false, &s);
	printf("%zu definitions: %.2f s\n\n", o->agents.tenants, s);
	joining(o);
	check_reported(&o->agents);
	steady("rest", o, 0, 0);
	snprintf(share, sizeof(share), "%g %% of tenants used", (double)o->share / 100);
	steady(share, o, (unsigned)o->share, 0);
	steady("rest again", o, 0, 0);
	change_phase("one definition", o, o->changes, 1, false);
	change_phase("all definitions", o, 1, o->agents.tenants, false);
	if (o->budgets) {
		change_phase("budgets given", o, 1, o->budgets, true);
		snprintf(share, sizeof(share), "%g %% of budgets used", (double)o->share / 100);
		steady(share, o, 0, (unsigned)o->share);
	}
	all_return("all connect again", o);
	run_sql("update k2k_fleet.host set database_epoch = 'another'");
	all_return("to another server", o);
	figures_print();
}

/* ---- options --------------------------------------------------------------------------------- */

static size_t number(const char *option, const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!text[0] || *end || value > 1000000)
		give_up("--%s: not a number, or too large: %s", option, text);
	return value;
}

static void read_options(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "hosts", required_argument, NULL, 'h' },
		{ "tenants", required_argument, NULL, 't' },
		{ "engagements", required_argument, NULL, 'e' },
		{ "joining", required_argument, NULL, 'j' },
		{ "budgets", required_argument, NULL, 'b' },
		{ "share", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 'd' },
		{ "changes", required_argument, NULL, 'c' },
		{ "device", required_argument, NULL, 'n' },
		{ NULL, 0, NULL, 0 },
	};
	size_t *const numbers[] = { ['h'] = &o->agents.hosts,
		                    ['t'] = &o->agents.tenants,
		                    ['e'] = &o->agents.engagements,
		                    ['j'] = &o->agents.joining,
		                    ['b'] = &o->budgets,
		                    ['s'] = &o->share,
		                    ['d'] = &o->seconds,
		                    ['c'] = &o->changes };
	int c, at;

	while ((c = getopt_long(argc, argv, "", longs, &at)) != -1) {
		if (c == 'n')
			o->device = optarg;
		else if (c == '?')
			exit(2);
		else
			*numbers[c] = number(longs[at].name, optarg);
	}
	if (optind < argc || !o->agents.hosts || !o->agents.tenants || !o->agents.engagements ||
	    !o->agents.joining || !o->changes || o->budgets > o->agents.tenants)
		give_up("wrong options");
}

int main(int argc, char **argv)
{
	struct options o = { .agents = { 5, 10, 1, 8 },
		             .budgets = 1,
		             .share = 1000,
		             .seconds = 20,
		             .changes = 5,
		             .device = "net0" };

	read_options(&o, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	figures_open(o.device);
	run(&o);
	agents_stop();
	figures_close();
	return some_missing;
}
