/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stat: what happens in the whole registry, a line for each interval */
#include "commands.h"
#include "output.h"
#include "units.h"

#include "../metrics/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* What was counted from one look to the next, over all tenants. */
struct change {
	uint64_t interval_ns, admitted, rate, budget, kernels, memory, gpu_ns, unattributed_ns, unknown, cross;
};

static void add(uint64_t *sum, uint64_t n)
{
	if (__builtin_add_overflow(*sum, n, sum))
		*sum = UINT64_MAX;
}

static uint64_t more(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static void add_change(struct change *c, const struct snapshot_tenant *now, const struct snapshot_tenant *before)
{
	const struct k2k_rejected *r = &now->info.rejected_total, *was = &before->info.rejected_total;

	add(&c->admitted, more(now->info.admitted_total, before->info.admitted_total));
	add(&c->rate, more(r->rate, was->rate));
	add(&c->budget, more(r->budget, was->budget));
	add(&c->kernels, more(r->kernels, was->kernels));
	add(&c->memory, more(r->gpu_memory, was->gpu_memory));
	add(&c->gpu_ns, more(now->gpu_ns, before->gpu_ns));
	add(&c->unattributed_ns, more(now->info.unattributed_ns, before->info.unattributed_ns));
}

/*
 * Tenant by tenant, by generation: a sum of totals would fall when one is
 * deregistered. One registered meanwhile began with 0; what one deregistered
 * meanwhile had still counted since the look before can't be seen any more.
 */
static void changes(struct change *c, const struct snapshot *now, const struct snapshot *before)
{
	static const struct snapshot_tenant none;
	size_t b = 0;

	*c = (struct change){
		.interval_ns = now->taken_ns - before->taken_ns,
		.unknown = more(now->registry.unknown_tenant_total, before->registry.unknown_tenant_total),
		.cross = more(now->registry.cross_tenant_total, before->registry.cross_tenant_total),
	};
	for (size_t i = 0; i < now->tenant_count; i++) {
		uint64_t generation = now->tenants[i].info.generation;

		while (b < before->tenant_count && before->tenants[b].info.generation < generation)
			b++;
		add_change(c, &now->tenants[i], b < before->tenant_count && before->tenants[b].info.generation == generation ?
		                                &before->tenants[b] : &none);
	}
}

static void holdings(const struct snapshot *s, uint64_t *brokers, uint64_t *kernels, uint64_t *bytes)
{
	*brokers = *kernels = *bytes = 0;
	for (size_t i = 0; i < s->broker_count; i++)
		*brokers += s->brokers[i].state != K2K_BROKER_DEAD;
	for (size_t i = 0; i < s->tenant_count; i++) {
		add(kernels, s->tenants[i].info.kernels);
		add(bytes, s->tenants[i].info.gpu_memory_bytes);
	}
}

static uint64_t wall_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

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

static double per_second(uint64_t n, const struct change *c)
{
	return c->interval_ns ? (double)n * 1e9 / (double)c->interval_ns : 0;
}

static void print_line(uint64_t number, const struct snapshot *s, const struct change *c)
{
	uint64_t brokers, kernels, bytes;
	char size[UNITS_TEXT], clock[16];
	time_t now = time(NULL);
	struct tm tm;

	/* with the column names again on each page */
	if (number % 20 == 0)
		printf("%8s %8s %7s %12s %10s %10s %10s %10s %9s %8s %12s\n", "TIME", "TENANTS", "BROKERS", "ADMITTED/s",
		       "RATE/s", "BUDGET/s", "KERNELS/s", "MEMORY/s", "GPU-s/s", "KERNELS", "GPU-MEMORY");
	holdings(s, &brokers, &kernels, &bytes);
	if (!gmtime_r(&now, &tm) || !strftime(clock, sizeof(clock), "%H:%M:%S", &tm))
		clock[0] = 0;
	printf("%8s %8zu %7llu %12.1f %10.1f %10.1f %10.1f %10.1f %9.3f %8llu %12s\n", clock, s->tenant_count,
	       (unsigned long long)brokers, per_second(c->admitted, c), per_second(c->rate, c), per_second(c->budget, c),
	       per_second(c->kernels, c), per_second(c->memory, c), per_second(c->gpu_ns, c) / 1e9,
	       (unsigned long long)kernels, units_print_size(size, bytes));
}

static void print_row(struct ctl *ctl, struct list *csv, const struct snapshot *s, const struct change *c)
{
	uint64_t brokers, kernels, bytes;

	holdings(s, &brokers, &kernels, &bytes);
	const struct value values[FIELDS] = {
		NUMBER(wall_ns()), NUMBER(c->interval_ns), NUMBER(s->tenant_count), NUMBER(brokers), NUMBER(c->admitted),
		NUMBER(c->rate), NUMBER(c->budget), NUMBER(c->kernels), NUMBER(c->memory), NUMBER(c->unknown),
		NUMBER(c->cross), NUMBER(c->gpu_ns), NUMBER(c->unattributed_ns), NUMBER(kernels), NUMBER(bytes),
	};

	if (ctl->format == FORMAT_CSV)
		list_row(csv, values);
	else
		print_record(ctl, fields, values, FIELDS);
}

/* ---- the command ------------------------------------------------------------------ */

/* At whole intervals since the beginning, so that what a turn takes is not added to each. */
static void sleep_until(uint64_t ns)
{
	const struct timespec ts = { (time_t)(ns / 1000000000), (long)(ns % 1000000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) != 0)
		;
}

static int watch(struct ctl *ctl, struct k2k_registry *reg, uint64_t interval_ns, uint64_t count)
{
	struct snapshot before, now;
	struct list csv;
	uint64_t next;
	int code = snapshot_take(reg, &before);

	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	next = before.taken_ns;
	if (ctl->format == FORMAT_CSV)
		list_begin(&csv, ctl, "stat", fields, FIELDS, NULL, NULL, 0);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t late = more(snapshot_now(), next) / interval_ns;
		struct change c;

		next += (late + 1) * interval_ns;
		sleep_until(next);
		code = snapshot_take(reg, &now);
		if (code)
			break;
		changes(&c, &now, &before);
		if (ctl->format == FORMAT_TABLE)
			print_line(i, &now, &c);
		else
			print_row(ctl, &csv, &now, &c);
		snapshot_free(&before);
		before = now;
		/* who reads is told with each line; without a reader there is nothing left to do */
		if (fflush(stdout) || ferror(stdout))
			break;
	}
	snapshot_free(&before);
	return code ? fail(ctl, code, "registry '%s'", ctl->registry) : EXIT_DONE;
}

int cmd_stat(struct ctl *ctl)
{
	uint64_t interval_ns = 1000000000, count = ctl->argument_count ? UINT64_MAX : 1;
	struct k2k_registry *reg;
	int exit_code;

	if (ctl->argument_count > 0 && !arg_duration(ctl, "INTERVAL", ctl->arguments[0], &interval_ns))
		return EXIT_USAGE;
	if (interval_ns < 1000000 || interval_ns > UINT64_C(86400000000000))
		return fail_usage(ctl, "INTERVAL '%.100s': it is from 1ms to 1d", ctl->arguments[0]);
	if (ctl->argument_count > 1 && !arg_count(ctl, "COUNT", ctl->arguments[1], 1, UINT64_MAX, &count))
		return EXIT_USAGE;
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
	if (exit_code)
		return exit_code;
	exit_code = watch(ctl, reg, interval_ns, count);
	k2k_registry_close(&reg);
	return exit_code;
}
