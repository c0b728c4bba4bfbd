/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stat: what happens in the whole registry, one line per interval */
#include "commands.h"
#include "interval.h"
#include "output.h"
#include "common/clock.h"
#include "common/units.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- printing ------------------------------------------------------------------ */

static const struct field fields[] = {
	{ "time_ns", NULL, KIND_TIME, 0 },
	{ "interval_ns", NULL, KIND_NS, 0 },
	{ "tenants", NULL, KIND_COUNT, 0 },
	{ "brokers", NULL, KIND_COUNT, 0 },
	{ "admitted", NULL, KIND_TOTAL, 0 },
	{ "rejected.rate", NULL, KIND_TOTAL, 0 },
	{ "rejected.budget", NULL, KIND_TOTAL, 0 },
	{ "rejected.kernels", NULL, KIND_TOTAL, 0 },
	{ "rejected.gpu_memory", NULL, KIND_TOTAL, 0 },
	{ "unknown_tenant", NULL, KIND_TOTAL, 0 },
	{ "cross_tenant", NULL, KIND_TOTAL, 0 },
	{ "gpu_ns", NULL, KIND_NS, 0 },
	{ "unattributed_ns", NULL, KIND_NS, 0 },
	{ "kernels", NULL, KIND_COUNT, 0 },
	{ "gpu_memory_bytes", NULL, KIND_BYTES, 0 },
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))
static const struct table table = { "stat", fields, FIELDS, NULL, 0 };

static void print_line(uint64_t number, const struct snapshot *s, const struct change *c)
{
	struct holdings held;
	char size[UNITS_TEXT], clock[16];
	time_t now = time(NULL);
	struct tm tm;

	/* repeat the headings on each page */
	if (number % 20 == 0)
		printf("%8s %8s %7s %12s %10s %10s %10s %10s %9s %8s %12s\n", "TIME", "TENANTS",
		       "BROKERS", "ADMITTED/s", "RATE/s", "BUDGET/s", "KERNELS/s", "MEMORY/s",
		       "GPU-s/s", "KERNELS", "GPU-MEMORY");
	holdings(s, &held);
	if (!gmtime_r(&now, &tm) || !strftime(clock, sizeof(clock), "%H:%M:%S", &tm))
		clock[0] = 0;
	printf("%8s %8zu %7llu %12.1f %10.1f %10.1f %10.1f %10.1f %9.3f %8llu %12s\n", clock,
	       s->tenant_count, (unsigned long long)held.brokers, per_second(c->admitted, c),
	       per_second(c->rate, c), per_second(c->budget, c), per_second(c->kernels, c),
	       per_second(c->memory, c), per_second(c->gpu_ns, c) / 1e9,
	       (unsigned long long)held.kernels, units_print_size(size, held.bytes));
}

static void print_row(struct ctl *ctl, struct list *csv, const struct snapshot *s,
                      const struct change *c)
{
	struct holdings held;

	holdings(s, &held);
	const struct value values[FIELDS] = {
		NUMBER(clock_wall_ns()),    NUMBER(c->interval_ns), NUMBER(s->tenant_count),
		NUMBER(held.brokers),       NUMBER(c->admitted),    NUMBER(c->rate),
		NUMBER(c->budget),          NUMBER(c->kernels),     NUMBER(c->memory),
		NUMBER(c->unknown),         NUMBER(c->cross),       NUMBER(c->gpu_ns),
		NUMBER(c->unattributed_ns), NUMBER(held.kernels),   NUMBER(held.bytes),
	};

	if (ctl->format == FORMAT_CSV)
		list_row(csv, values);
	else
		print_record(ctl, fields, values, FIELDS);
}

/* ---- the command ------------------------------------------------------------------ */

static int watch(struct ctl *ctl, struct k2k_registry *reg, uint64_t interval_ns, uint64_t count)
{
	struct snapshot before, now;
	struct list csv;
	uint64_t next;
	int code = snapshot_take(reg, &before);

	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	/* at multiples of the interval since the start, so that delays do not add up */
	next = before.taken_ns;
	if (ctl->format == FORMAT_CSV)
		list_begin(&csv, ctl, &table, NULL);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t turn = clock_monotonic_ns();
		struct change c;

		next += ((turn > next ? turn - next : 0) / interval_ns + 1) * interval_ns;
		clock_sleep_until(next);
		code = snapshot_take(reg, &now);
		if (code)
			break;
		changes(&now, &before, &c, NULL);
		if (ctl->format == FORMAT_TABLE)
			print_line(i, &now, &c);
		else
			print_row(ctl, &csv, &now, &c);
		snapshot_free(&before);
		before = now;
		/* the reader gets each line at once; end if nobody reads any more */
		if (fflush(stdout) || ferror(stdout))
			break;
	}
	if (ctl->format == FORMAT_CSV)
		list_end(&csv);
	snapshot_free(&before);
	return code ? fail(ctl, code, "registry '%s'", ctl->registry) : EXIT_DONE;
}

int cmd_stat(struct ctl *ctl)
{
	uint64_t interval_ns = 1000000000, count = ctl->argument_count ? UINT64_MAX : 1;
	struct k2k_registry *reg;
	int exit_code;

	if (ctl->argument_count > 0 && !arg_interval(ctl, ctl->arguments[0], &interval_ns))
		return EXIT_USAGE;
	if (ctl->argument_count > 1 &&
	    !arg_count(ctl, "COUNT", ctl->arguments[1], 1, UINT64_MAX, &count))
		return EXIT_USAGE;
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
	if (exit_code)
		return exit_code;
	exit_code = watch(ctl, reg, interval_ns, count);
	k2k_registry_close(&reg);
	return exit_code;
}
