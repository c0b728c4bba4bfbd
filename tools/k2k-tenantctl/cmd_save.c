/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * save, load - a registry's tenants with their totals and GPU time, in a file
 *
 * save reads the definitions in a batch, so that they do not change meanwhile; attached brokers go
 * on counting. The file is replaced as a whole or not at all; see savefile.h. A tenant whose rate
 * window or leases a broker has corrupted is saved completely, since the file contains neither, but
 * it is reported as a failure, and the exit code is 9.
 *
 * load first checks the checksum, the whole text, and that everything fits. Then it restores the
 * tenants in the order of generations. A tenant that already has the file's generation was restored
 * by an earlier load and is left alone, so a load that was killed can be repeated. Any other
 * tenant, and a registry that has already used these generations, is refused: something would be
 * lost.
 */
#include "commands.h"
#include "document.h"
#include "output.h"
#include "progress.h"
#include "savefile.h"
#include "common/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool to_output(const char *path)
{
	return !strcmp(path, "-");
}

/* ---- save: the text ---------------------------------------------------------- */

struct snapshot {
	struct tenants tenants;
	struct k2k_usage_info *usage; /* by tenant */
	size_t usage_count;
	/* for each of the tenants' budgets; null: none renews */
	struct budget_history {
		struct k2k_budget_use closed[K2K_BUDGET_PERIODS_KEPT];
		size_t count;
	} * *histories;
	struct k2k_registry_info info;
};

static int by_tenant(const void *a, const void *b)
{
	const struct k2k_usage_info *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (x->engagement_id > y->engagement_id) - (x->engagement_id < y->engagement_id);
}

/* Has no period been closed between the two looks? */
static bool belongs_to(const struct budget_history *history, uint64_t period)
{
	return !history->count || history->closed[history->count - 1].period + 1 == period;
}

/* In the batch, so that no budget changes; a period that begins meanwhile is shown as begun. */
static int read_histories(struct k2k_registry *reg, struct snapshot *s)
{
	int code = 0;

	s->histories = check_memory(calloc(s->tenants.budget_count + 1, sizeof(*s->histories)));
	for (size_t i = 0; !code && i < s->tenants.budget_count; i++) {
		struct k2k_budget_info *b = &s->tenants.budgets[i];
		struct k2k_audit_tag tag = { 0, b->engagement_id };
		struct k2k_budget_info *now;
		size_t count;

		if (!b->period)
			continue;
		s->histories[i] = check_memory(calloc(1, sizeof(**s->histories)));
		s->histories[i]->closed[0].size = sizeof(s->histories[i]->closed[0]);
		do {
			/* the use of the current period is from after the last closed one */
			code = k2k_budget_history(reg, b->id, tag, s->histories[i]->closed,
			                          K2K_BUDGET_PERIODS_KEPT, &s->histories[i]->count);
			if (!code)
				code = fetch_list(reg, LIST_BUDGETS, b->id, (void **)&now, &count);
			for (size_t n = 0; !code && n < count; n++)
				if (now[n].engagement_id == b->engagement_id)
					*b = now[n];
			if (!code)
				free(now);
		} while (!code && !belongs_to(s->histories[i], b->period));
	}
	return code;
}

static int read_registry(struct ctl *ctl, struct k2k_registry *reg, struct snapshot *s)
{
	int exit_code, code = k2k_batch_begin(reg);

	*s = (struct snapshot){ .info.size = sizeof(s->info) };
	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	exit_code = tenants_load_all(ctl, reg, &s->tenants);
	if (!exit_code && ctl->failure_count > s->tenants.damaged)
		exit_code = EXIT_PARTLY;
	if (!exit_code) {
		code = fetch_list(reg, LIST_USAGE, 0, (void **)&s->usage, &s->usage_count);
		if (!code)
			code = read_histories(reg, s);
		if (!code)
			code = k2k_registry_info(reg, &s->info);
		if (code)
			exit_code = fail(ctl, code, "registry '%s'", ctl->registry);
	}
	k2k_batch_end(reg);
	if (!exit_code && s->usage_count)
		qsort(s->usage, s->usage_count, sizeof(*s->usage), by_tenant);
	return exit_code;
}

/* Of the usage from `first` to before `end`. */
static void write_corrections(FILE *out, const struct snapshot *s, size_t first, size_t end)
{
	const char *between = ", \"corrected_ns\": {";

	for (; first < end; first++) {
		if (!s->usage[first].corrected_ns)
			continue;
		fprintf(out, "%s\"%" PRIu64 "\": \"%" PRId64 "\"", between,
		        s->usage[first].engagement_id, s->usage[first].corrected_ns);
		between = ", ";
	}
	if (!strcmp(between, ", "))
		fputs("}", out);
}

static void write_periods(FILE *out, const struct snapshot *s, const struct tenant *t)
{
	const char *between = ", \"periods\": {";

	for (size_t b = t->first_budget; b < t->first_budget + t->budget_count; b++) {
		if (!s->histories[b])
			continue;
		fprintf(out, "%s\"%" PRIu64 "\": \"", between, s->tenants.budgets[b].engagement_id);
		periods_print(out, &s->tenants.budgets[b], s->histories[b]->closed,
		              s->histories[b]->count);
		fputs("\"", out);
		between = ", ";
	}
	if (!strcmp(between, ", "))
		fputs("}", out);
}

static void write_tenant(FILE *out, const struct snapshot *s, const struct tenant *t, size_t *usage)
{
	const struct k2k_tenant_info *i = &t->info;
	const char *between = "";
	size_t first;

	document_write_limits(out, true, &s->tenants, t);
	fprintf(out,
	        ",\n \"generation\": \"%" PRIu64 "\", \"registered_at_ns\": \"%" PRIu64
	        "\", \"admitted_total\": \"%" PRIu64 "\", \"rejected_total\": {\"rate\": \"%" PRIu64
	        "\", \"budget\": \"%" PRIu64 "\", \"kernels\": \"%" PRIu64
	        "\", \"gpu_memory\": \"%" PRIu64 "\"}, \"unattributed_ns\": \"%" PRIu64
	        "\", \"suspended\": %s, \"suspended_rejected_total\": \"%" PRIu64
	        "\", \"shadow_rejected_total\": {\"rate\": \"%" PRIu64 "\", \"budget\": \"%" PRIu64
	        "\", \"kernels\": \"%" PRIu64 "\", \"gpu_memory\": \"%" PRIu64 "\"}, \"gpu_ns\": {",
	        i->generation, i->registered_at_ns, i->admitted_total, i->rejected_total.rate,
	        i->rejected_total.budget, i->rejected_total.kernels, i->rejected_total.gpu_memory,
	        i->unattributed_ns, i->suspended ? "true" : "false", i->suspended_rejected_total,
	        i->shadow_rejected_total.rate, i->shadow_rejected_total.budget,
	        i->shadow_rejected_total.kernels, i->shadow_rejected_total.gpu_memory);
	while (*usage < s->usage_count && s->usage[*usage].id < i->id)
		++*usage;
	first = *usage;
	for (; *usage < s->usage_count && s->usage[*usage].id == i->id; ++*usage) {
		if (!s->usage[*usage].gpu_ns)
			continue;
		fprintf(out, "%s\"%" PRIu64 "\": \"%" PRIu64 "\"", between,
		        s->usage[*usage].engagement_id, s->usage[*usage].gpu_ns);
		between = ", ";
	}
	fputs("}", out);
	write_corrections(out, s, first, *usage);
	write_periods(out, s, t);
	fputs("}", out);
}

static char *compose(struct ctl *ctl, const struct snapshot *s, size_t *length)
{
	size_t usage = 0;
	char *text;
	FILE *out = check_memory(open_memstream(&text, length));

	fprintf(out,
	        "{\"schema\": \"" CTL_SCHEMA
	        "\", \"registry\": \"%s\", \"version\": %d, \"generation\": \"%" PRIu64
	        "\", \"saved_at_ns\": \"%" PRIu64 "\", \"tenants\": [",
	        ctl->registry, DOCUMENT_VERSION, s->info.generation, clock_wall_ns());
	for (size_t i = 0; i < s->tenants.count; i++) {
		fputs(i ? ",\n" : "\n", out);
		write_tenant(out, s, &s->tenants.rows[i], &usage);
	}
	fputs("]", out);
	if (fflush(out))
		out_of_memory();
	fprintf(out, CHECKSUM_MARK "%016" PRIx64 "\"}\n", crc64(0, text, *length));
	if (fclose(out))
		out_of_memory();
	return text;
}

/* ---- save: the file ---------------------------------------------------------- */

static int write_file(struct ctl *ctl, const char *path, const char *text, size_t length)
{
	int spoilt, error = savefile_write(path, text, length, &spoilt);

	if (!error)
		return 0;
	return fail_with(
		ctl, error == EACCES || error == EPERM || error == EROFS ? K2K_EPERM : K2K_EIO,
		"%s: %s; %s", to_output(path) ? "standard output" : path, strerror(error),
		spoilt ? "what was written is incomplete" : "an existing file was not changed");
}

static void print_done(struct ctl *ctl, const char *what, size_t tenants, size_t costs,
                       uint64_t generation)
{
	const struct field fields[] = {
		{ what, what, KIND_COUNT, 0 },
		{ "engagements", "engagements with GPU time", KIND_COUNT, 0 },
		{ "generation", "newest generation", KIND_ID, 0 },
	};

	if (!ctl->quiet)
		print_record(ctl, fields,
		             (const struct value[]){ NUMBER(tenants), NUMBER(costs),
		                                     NUMBER(generation) },
		             3);
}

int cmd_save(struct ctl *ctl)
{
	const char *path = ctl->arguments[0];
	struct k2k_registry *reg;
	struct snapshot s;
	char *text;
	size_t length, costs = 0;
	int exit_code = open_registry(ctl, K2K_ROLE_ADMIN, &reg);

	if (exit_code)
		return exit_code;
	exit_code = read_registry(ctl, reg, &s);
	k2k_registry_close(&reg);
	if (!exit_code && !ctl->dry_run) {
		text = compose(ctl, &s, &length);
		exit_code = write_file(ctl, path, text, length);
		free(text);
	}
	if (!exit_code) {
		if (s.info.brokers)
			note(ctl,
			     "%u brokers are attached: what they count from now on is not in %s, "
			     "nor is what they hold",
			     s.info.brokers, to_output(path) ? "what was saved" : path);
		for (size_t i = 0; i < s.usage_count; i++)
			costs += s.usage[i].gpu_ns != 0;
		/* nothing may follow a document on standard output */
		if (ctl->dry_run || !to_output(path))
			print_done(ctl, ctl->dry_run ? "would_save" : "saved", s.tenants.count,
			           costs, s.info.generation);
		ctl->json_done = true;
		if (s.tenants.damaged) {
			note(ctl,
			     "%zu tenants are corrupt, and saved with their limits and totals; "
			     "'" CTL_NAME " -r %s repair' repairs them",
			     s.tenants.damaged, ctl->registry);
			exit_code = EXIT_PARTLY;
		}
	}
	for (size_t i = 0; s.histories && i < s.tenants.budget_count; i++)
		free(s.histories[i]);
	free(s.histories);
	tenants_free(&s.tenants);
	free(s.usage);
	return exit_code;
}

/* ---- load -------------------------------------------------------------------- */

static int by_generation(const void *a, const void *b)
{
	const struct entry *x = *(const struct entry *const *)a,
			   *y = *(const struct entry *const *)b;

	return (x->generation > y->generation) - (x->generation < y->generation);
}

static const struct entry *entry_of(const struct document *d, k2k_tenant_id id)
{
	size_t low = 0, high = d->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (d->entries[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < d->count && d->entries[low].id == id ? &d->entries[low] : NULL;
}

/* How many ledger records an entry needs: one per engagement with a budget, a cost or both. */
static size_t records_of(const struct document *d, const struct entry *e)
{
	size_t b = 0, c = 0, count = 0;

	for (; b < e->budget_count || c < e->cost_count; count++) {
		uint64_t budget = b < e->budget_count
		                          ? d->budgets.list[e->first_budget + b].engagement
		                          : UINT64_MAX;
		uint64_t cost = c < e->cost_count ? d->costs.list[e->first_cost + c].engagement
		                                  : UINT64_MAX;
		bool take_budget = b < e->budget_count && (c == e->cost_count || budget <= cost);
		bool take_cost = c < e->cost_count && (b == e->budget_count || cost <= budget);

		b += take_budget;
		c += take_cost;
	}
	return count;
}

static int too_small(struct ctl *ctl, const struct document *d, const char *what, uint64_t needed,
                     uint64_t room)
{
	return fail_with(ctl, K2K_EFULL,
	                 "%s: has %" PRIu64 " %s, and the registry has room for %" PRIu64
	                 "; nothing was changed; 'init --max-%s N' creates a larger registry",
	                 d->name, needed, what, room, what);
}

static int check_room(struct ctl *ctl, const struct document *d,
                      const struct k2k_registry_info *info)
{
	uint64_t records = 0;

	for (size_t i = 0; i < d->count; i++)
		records += records_of(d, &d->entries[i]);
	if (d->count > info->tenants.capacity)
		return too_small(ctl, d, "tenants", d->count, info->tenants.capacity);
	if (d->budgets.count > info->budgets.capacity)
		return too_small(ctl, d, "budgets", d->budgets.count, info->budgets.capacity);
	if (records > info->engagements.capacity)
		return too_small(ctl, d, "engagements", records, info->engagements.capacity);
	return 0;
}

/*
 * Which tenants to restore, in the order of generations, without those that are restored already.
 * Returns 0 or the exit code.
 */
static int plan_load(struct ctl *ctl, struct k2k_registry *reg, const struct document *d,
                     const struct entry **order, size_t *count)
{
	struct k2k_registry_info info = { .size = sizeof(info) };
	struct tenants there;
	const struct entry *e;
	size_t t = 0;
	int exit_code = tenants_load_all(ctl, reg, &there), code;

	*count = 0;
	for (size_t i = 0; !exit_code && i < there.count; i++) {
		e = entry_of(d, there.rows[i].info.id);
		if (!e || e->generation != there.rows[i].info.generation)
			exit_code = fail_with(
				ctl, K2K_EEXIST,
				"tenant %" PRIu64 ": is registered here, but is not the one in %s; "
				"nothing was changed; load into a registry without tenants",
				there.rows[i].info.id, d->name);
	}
	code = exit_code ? 0 : k2k_registry_info(reg, &info);
	if (code)
		exit_code = fail(ctl, code, "registry '%s'", ctl->registry);
	if (!exit_code)
		exit_code = check_room(ctl, d, &info);
	for (size_t i = 0; !exit_code && i < d->count; i++) {
		while (t < there.count && there.rows[t].info.id < d->entries[i].id)
			t++;
		if (t == there.count || there.rows[t].info.id != d->entries[i].id)
			order[(*count)++] = &d->entries[i];
	}
	tenants_free(&there);
	if (*count)
		qsort(order, *count, sizeof(*order), by_generation);
	for (size_t i = 1; !exit_code && i < *count; i++)
		if (order[i]->generation == order[i - 1]->generation)
			exit_code = fail_usage(
				ctl,
				"%s: line %zu, column %zu: generation %" PRIu64 " is there twice",
				d->name, order[i]->line, order[i]->column, order[i]->generation);
	if (!exit_code && *count && order[0]->generation <= info.generation)
		exit_code = fail_with(ctl, K2K_EEXIST,
		                      "tenant %" PRIu64 ": has generation %" PRIu64
		                      ", and this registry has already used %" PRIu64
		                      "; nothing was changed; load into a new registry",
		                      order[0]->id, order[0]->generation, info.generation);
	return exit_code;
}

static int restore(struct k2k_registry *reg, const struct document *d, const struct entry *e)
{
	struct k2k_budget *budgets = check_memory(calloc(e->budget_count + 1, sizeof(*budgets)));
	struct k2k_budget_terms *terms = check_memory(calloc(e->budget_count + 1, sizeof(*terms)));
	size_t usage_count = e->cost_count + e->correction_count;
	struct k2k_usage *usage = check_memory(calloc(usage_count + 1, sizeof(*usage)));
	int64_t *corrected = check_memory(calloc(usage_count + 1, sizeof(*corrected)));
	struct k2k_budget_image *periods = check_memory(
		calloc(e->period_count + 1, sizeof(*periods)));
	struct k2k_quota quota = {
		.size = sizeof(quota),
		.max_gpu_memory_bytes = e->gpu_memory_bytes,
		.max_concurrent_kernels = e->kernels,
		.name = e->name[0] ? e->name : NULL,
		.shadow = e->shadow,
		.budgets = budgets,
		.budget_count = (uint32_t)e->budget_count,
		.budget_terms = terms,
	};
	struct k2k_tenant_image image = {
		.size = sizeof(image),
		.id = e->id,
		.generation = e->generation,
		.registered_at_ns = e->registered_at_ns,
		.admitted_total = e->admitted_total,
		.rejected_total = e->rejected_total,
		.unattributed_ns = e->unattributed_ns,
		.shadow_rejected_total = e->shadow_rejected_total,
		.suspended_rejected_total = e->suspended_rejected_total,
		.suspended = e->suspended,
		.quota = &quota,
		.usage = usage,
		.usage_count = (uint32_t)usage_count,
		.corrected_ns = corrected,
		.periods = periods,
		.period_count = (uint32_t)e->period_count,
	};
	int code;

	memcpy(quota.alerts, e->alerts, sizeof(quota.alerts));
	rate_into_quota(e->rate, &quota);
	for (size_t i = 0; i < e->budget_count; i++) {
		budgets[i] = (struct k2k_budget){ d->budgets.list[e->first_budget + i].engagement,
			                          d->budgets.list[e->first_budget + i].ns };
		terms[i].renewal = d->budgets.list[e->first_budget + i].renewal;
	}
	for (size_t i = 0; i < e->cost_count; i++)
		usage[i] = (struct k2k_usage){ d->costs.list[e->first_cost + i].engagement,
			                       d->costs.list[e->first_cost + i].ns };
	/* several elements for one engagement are added */
	for (size_t i = 0; i < e->correction_count; i++) {
		const struct engagement_ns *c = &d->corrections.list[e->first_correction + i];

		usage[e->cost_count + i].engagement_id = c->engagement;
		corrected[e->cost_count + i] = (int64_t)c->ns;
	}
	for (size_t i = 0; i < e->period_count; i++)
		periods[i] = d->images[d->periods.list[e->first_period + i].ns];
	code = k2k_tenant_restore(reg, &image);
	free(budgets);
	free(terms);
	free(usage);
	free(corrected);
	free(periods);
	return code;
}

static int restore_all(struct ctl *ctl, struct k2k_registry *reg, const struct document *d,
                       const struct entry **order, size_t count, size_t *done)
{
	struct progress progress;
	int code = 0;

	progress_begin(&progress, ctl, "loading", count);
	for (*done = 0; *done < count; ++*done) {
		code = restore(reg, d, order[*done]);
		if (code)
			break;
		progress_step(&progress, *done);
	}
	progress_end(&progress);
	if (!code)
		return 0;
	code = fail_tenant(ctl, code, order[*done]->id, false);
	note(ctl, "%zu of %zu tenants are loaded; repeat the load for the others", *done, count);
	return code;
}

static int load(struct ctl *ctl, struct k2k_registry *reg, const struct document *d)
{
	const struct entry **order = check_memory(calloc(d->count + 1, sizeof(*order)));
	size_t count, done = 0, costs = 0;
	int exit_code, code = ctl->dry_run ? 0 : k2k_batch_begin(reg);

	if (code) {
		free(order);
		return fail(ctl, code, "registry '%s'", ctl->registry);
	}
	exit_code = plan_load(ctl, reg, d, order, &count);
	if (!exit_code && !ctl->dry_run)
		exit_code = restore_all(ctl, reg, d, order, count, &done);
	code = exit_code || ctl->dry_run ? 0 : k2k_generation_pass(reg, d->generation);
	if (code)
		exit_code = fail(ctl, code, "registry '%s'", ctl->registry);
	if (!ctl->dry_run)
		k2k_batch_end(reg);
	for (size_t i = 0; i < count; i++)
		costs += order[i]->cost_count;
	free(order);
	if (!exit_code)
		print_done(ctl, ctl->dry_run ? "would_load" : "loaded", count, costs,
		           d->generation);
	return exit_code;
}

int cmd_load(struct ctl *ctl)
{
	struct k2k_registry *reg;
	struct document document;
	int exit_code = document_read(ctl, (const char *const *)ctl->arguments, 1, DOCUMENT_SAVED,
	                              &document);

	if (exit_code)
		return exit_code;
	exit_code = open_registry(ctl, ctl->dry_run ? K2K_ROLE_OBSERVER : K2K_ROLE_ADMIN, &reg);
	if (!exit_code) {
		exit_code = load(ctl, reg, &document);
		k2k_registry_close(&reg);
	}
	document_free(&document);
	return exit_code;
}
