/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "top_model.h"
#include "brokers.h"
#include "columns.h"
#include "ctl.h"
#include "common/printable.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The headings are those of rates_table; see columns.h. */
static const struct top_column tenant_columns[COL_TOP_SCREEN] = {
	[COL_TOP_ID] = { 6, FORM_ID },
	[COL_TOP_MESSAGES] = { 6, FORM_RATE },
	[COL_TOP_REJECTED] = { 10, FORM_RATE },
	[COL_TOP_GPU] = { 7, FORM_SECONDS },
	[COL_TOP_USE_RATE] = { 5, FORM_PERCENT },
	[COL_TOP_USE_BUDGET] = { 5, FORM_PERCENT },
	[COL_TOP_USE_KERNELS] = { 5, FORM_PERCENT },
	[COL_TOP_USE_MEMORY] = { 5, FORM_PERCENT },
	[COL_TOP_LIMIT] = { 10, FORM_LIMIT },
	[COL_TOP_STATE] = { 9, FORM_TEXT },
	[COL_TOP_KERNELS] = { 7, FORM_COUNT },
	[COL_TOP_MEMORY] = { 7, FORM_SIZE },
	[COL_TOP_BY_RATE] = { 8, FORM_RATE },
	[COL_TOP_BY_BUDGET] = { 8, FORM_RATE },
	[COL_TOP_BY_KERNELS] = { 8, FORM_RATE },
	[COL_TOP_BY_MEMORY] = { 8, FORM_RATE },
	[COL_TOP_SHADOWED] = { 8, FORM_RATE },
	[COL_TOP_NAME] = { 16, FORM_TEXT },
};

enum broker_column {
	BROKER_SLOT,
	BROKER_PID,
	BROKER_STATE,
	BROKER_BEHIND,
	BROKER_KERNELS,
	BROKER_MEMORY,
	BROKER_COMMAND,
	BROKER_COLUMNS
};
static const struct top_column broker_columns[BROKER_COLUMNS] = {
	[BROKER_SLOT] = { 4, FORM_ID },       [BROKER_PID] = { 7, FORM_ID },
	[BROKER_STATE] = { 7, FORM_STATE },   [BROKER_BEHIND] = { 12, FORM_COUNT },
	[BROKER_KERNELS] = { 7, FORM_COUNT }, [BROKER_MEMORY] = { 7, FORM_SIZE },
	[BROKER_COMMAND] = { 16, FORM_TEXT },
};

enum kernel_column {
	KERNEL_NAME,
	KERNEL_TENANT,
	KERNEL_SLOT,
	KERNEL_PID,
	KERNEL_ENGAGEMENT,
	KERNEL_COLUMNS
};
static const struct top_column kernel_columns[KERNEL_COLUMNS] = {
	[KERNEL_NAME] = { TOP_TEXT - 1, FORM_TEXT },
	[KERNEL_TENANT] = { TOP_FILTER, FORM_ID },
	[KERNEL_SLOT] = { 4, FORM_ID },
	[KERNEL_PID] = { 7, FORM_ID },
	[KERNEL_ENGAGEMENT] = { TOP_FILTER, FORM_ID },
};

const char *top_heading(enum top_view view, size_t column)
{
	static const char *const kernels[KERNEL_COLUMNS] = {
		[KERNEL_NAME] = "KERNEL",
		[KERNEL_TENANT] = "TENANT",
		[KERNEL_SLOT] = "SLOT",
		[KERNEL_PID] = "PID",
		[KERNEL_ENGAGEMENT] = "ENGAGEMENT",
	};
	static const char *const brokers[BROKER_COLUMNS] = {
		[BROKER_SLOT] = "SLOT",       [BROKER_PID] = "PID",
		[BROKER_STATE] = "STATE",     [BROKER_BEHIND] = "GRACE-BEHIND",
		[BROKER_KERNELS] = "KERNELS", [BROKER_MEMORY] = "MEMORY",
		[BROKER_COMMAND] = "COMMAND",
	};

	return view == TOP_TENANTS   ? rates_table.fields[column].heading
	       : view == TOP_BROKERS ? brokers[column]
	                             : kernels[column];
}

const struct top_column *top_columns(enum top_view view, size_t *count)
{
	switch (view) {
	case TOP_TENANTS: *count = COL_TOP_SCREEN; return tenant_columns;
	case TOP_BROKERS: *count = BROKER_COLUMNS; return broker_columns;
	default: *count = KERNEL_COLUMNS; return kernel_columns;
	}
}

/* ---- use of limits ---------------------------------------------------------- */

static uint64_t percent(uint64_t used, uint64_t limit)
{
	__extension__ unsigned __int128 p;

	if (!limit)
		return 100;
	p = (__extension__(unsigned __int128) used * 100) / limit;
	return p < UINT64_MAX ? (uint64_t)p : UINT64_MAX - 1;
}

/*
 * Of a window of a second the mean rate of the interval in percent. A tenant that uses up each
 * second's messages at its beginning does so twice or never in a short interval. So the result is
 * at most 100 unless some second must have had more than the limit.
 */
static uint64_t rate_percent(const struct top *t, const struct k2k_tenant_info *i,
                             const struct change *c)
{
	const uint64_t second = 1000000000;
	uint64_t seconds = (t->now.taken_ns + t->now.took_ns) / second -
	                   t->before.taken_ns / second + 1,
		 limit = snapshot_rate(i), most;
	double mean;

	if (limit == K2K_UNLIMITED)
		return UINT64_MAX;
	/* a longer window and a bucket as they are now: a mean says little about them */
	if (i->rate_policy == K2K_RATE_BUCKET)
		return percent(i->messages_this_second, i->burst);
	if (i->rate_period != K2K_PERIOD_SECOND)
		return percent(i->messages_this_second, limit);
	if (!c->interval_ns)
		return UINT64_MAX;
	if (!limit)
		return 100;
	mean = per_second(c->admitted, c) * 100 / (double)limit;
	if (mean > 100 && (__builtin_mul_overflow(seconds, limit, &most) || c->admitted <= most))
		return 100;
	return mean < 1e18 ? (uint64_t)mean : UINT64_MAX - 1;
}

/* Budgets and tenants are both in the order of generations: one walk is enough. */
static void use_of_limits(struct top *t)
{
	size_t b = 0;

	for (size_t n = 0; n < t->now.tenant_count; n++) {
		const struct k2k_tenant_info *i = &t->now.tenants[n].info;
		struct top_use *use = &t->use[n];

		*use = (struct top_use){ rate_percent(t, i, &t->each[n]), UINT64_MAX, UINT64_MAX,
			                 UINT64_MAX, 0 };
		if (i->max_concurrent_kernels != K2K_UNLIMITED_KERNELS)
			use->kernels = percent(i->kernels, i->max_concurrent_kernels);
		if (i->max_gpu_memory_bytes != K2K_UNLIMITED)
			use->memory = percent(i->gpu_memory_bytes, i->max_gpu_memory_bytes);
		while (b < t->now.budget_count && t->now.budgets[b].generation < i->generation)
			b++;
		for (; b < t->now.budget_count && t->now.budgets[b].generation == i->generation;
		     b++) {
			uint64_t used = percent(t->now.budgets[b].used_ns,
			                        t->now.budgets[b].budget_ns);

			if (use->budget == UINT64_MAX || used > use->budget)
				use->budget = used;
			if (t->now.budgets[b].alerted > use->budget_alerted)
				use->budget_alerted = t->now.budgets[b].alerted;
		}
	}
}

/* ---- snapshots ------------------------------------------------------------------ */

void top_begin(struct top *t)
{
	*t = (struct top){ .order = { [TOP_TENANTS] = { .column = COL_TOP_MESSAGES,
		                                        .falling = true } } };
}

void top_forget_before(struct top *t)
{
	snapshot_free(&t->now);
	snapshot_free(&t->before);
}

int top_refresh(struct top *t, struct k2k_registry *reg)
{
	struct snapshot now;
	int code = snapshot_take(reg, &now);

	if (code)
		return code;
	snapshot_free(&t->before);
	t->before = t->now;
	t->now = now;
	free(t->each);
	free(t->use);
	t->each = check_memory(calloc(now.tenant_count + 1, sizeof(*t->each)));
	t->use = check_memory(calloc(now.tenant_count + 1, sizeof(*t->use)));
	if (t->before.taken_ns)
		changes(&t->now, &t->before, &t->all, t->each);
	else
		t->all = (struct change){ 0 };
	holdings(&t->now, &t->held);
	use_of_limits(t);
	for (int view = 0; view < TOP_VIEWS; view++)
		top_arrange(t, (enum top_view)view);
	return 0;
}

void top_end(struct top *t)
{
	top_forget_before(t);
	free(t->each);
	free(t->use);
	for (int view = 0; view < TOP_VIEWS; view++)
		free(t->order[view].rows);
}

/* ---- texts ---------------------------------------------------------------------- */

/* "30/min"; of a bucket "100/s+20" */
static void print_limit(char text[TOP_TEXT], const struct k2k_tenant_info *i)
{
	char rate[UNITS_TEXT], burst[UNITS_TEXT];

	if (snapshot_rate(i) == K2K_UNLIMITED) {
		strcpy(text, "-");
		return;
	}
	units_print_rate(rate, snapshot_rate(i), i->rate_period);
	units_print_number(burst, i->burst);
	if (i->rate_policy == K2K_RATE_BUCKET)
		snprintf(text, TOP_TEXT, "%.18s+%.18s", rate, burst);
	else
		snprintf(text, TOP_TEXT, "%.*s", TOP_TEXT - 1, rate);
}

static const char *state_of(const struct k2k_tenant_info *i)
{
	return i->suspended        ? "suspended"
	       : i->shadow         ? "shadow"
	       : snapshot_alone(i) ? "alone"
	                           : "-";
}

/* In messages a second, for sorting; a bucket like its rate. */
static double limit_number(const struct k2k_tenant_info *i)
{
	static const double seconds[] = { 1, 60, 3600, 86400 };

	return snapshot_rate(i) == K2K_UNLIMITED
	               ? -1
	               : (double)snapshot_rate(i) / seconds[i->rate_period % 4];
}

/* ---- cells ---------------------------------------------------------------------- */

static uint64_t kernel_number(const struct top *t, size_t row, size_t column)
{
	const struct k2k_kernel_info *k = &t->now.kernels[row];

	switch ((enum kernel_column)column) {
	case KERNEL_TENANT: return k->id;
	case KERNEL_SLOT: return k->broker;
	case KERNEL_PID: return k->pid;
	case KERNEL_ENGAGEMENT: return k->tag.engagement_id;
	default: return row; /* the order of the snapshot: by tenant, then by name */
	}
}

static uint64_t cell_id(const struct top *t, enum top_view view, size_t row, size_t column)
{
	if (view == TOP_TENANTS)
		return t->now.tenants[row].info.id;
	if (view == TOP_KERNELS)
		return kernel_number(t, row, column);
	return column == BROKER_PID ? t->now.brokers[row].pid : t->now.brokers[row].slot;
}

static double percent_number(uint64_t p)
{
	return p == UINT64_MAX ? -1 : (double)p;
}

static double tenant_number(const struct top *t, size_t row, size_t column)
{
	const struct k2k_tenant_info *i = &t->now.tenants[row].info;
	const struct change *c = &t->each[row];
	const struct top_use *use = &t->use[row];

	switch (column) {
	case COL_TOP_USE_RATE: return percent_number(use->rate);
	case COL_TOP_USE_BUDGET: return percent_number(use->budget);
	case COL_TOP_USE_KERNELS: return percent_number(use->kernels);
	case COL_TOP_USE_MEMORY: return percent_number(use->memory);
	case COL_TOP_LIMIT: return limit_number(i);
	case COL_TOP_KERNELS: return (double)i->kernels;
	case COL_TOP_MEMORY: return (double)i->gpu_memory_bytes;
	default: break;
	}
	if (!c->interval_ns)
		return -1;
	switch (column) {
	case COL_TOP_MESSAGES: return per_second(c->admitted, c);
	case COL_TOP_REJECTED:
		return per_second(c->rate, c) + per_second(c->budget, c) +
		       per_second(c->kernels, c) + per_second(c->memory, c) +
		       per_second(c->suspended, c);
	case COL_TOP_GPU: return per_second(c->gpu_ns, c) / 1e9;
	case COL_TOP_BY_RATE: return per_second(c->rate, c);
	case COL_TOP_BY_BUDGET: return per_second(c->budget, c);
	case COL_TOP_BY_KERNELS: return per_second(c->kernels, c);
	case COL_TOP_BY_MEMORY: return per_second(c->memory, c);
	case COL_TOP_SHADOWED: return per_second(c->shadowed, c);
	default: return 0;
	}
}

/* The number that a cell shows and is sorted by; negative: none. Not for ids and texts. */
static double cell_number(const struct top *t, enum top_view view, size_t row, size_t column)
{
	const struct k2k_broker_info *b;

	if (view == TOP_TENANTS)
		return tenant_number(t, row, column);
	b = &t->now.brokers[row];
	switch ((enum broker_column)column) {
	case BROKER_STATE: return b->state;
	case BROKER_BEHIND: return (double)b->grace_behind;
	case BROKER_KERNELS: return (double)b->kernels;
	case BROKER_MEMORY: return (double)b->gpu_memory_bytes;
	default: return 0;
	}
}

/* In thousandths plus 1; 0 if the cell shows "-", which is below any number. */
uint64_t top_sort_number(const struct top *t, size_t row, size_t column)
{
	double number = tenant_number(t, row, column) * 1000 + 1;

	return number < 1 ? 0 : number < 1e19 ? (uint64_t)number : UINT64_MAX;
}

/* Three significant digits and a unit. */
static void print_scaled(char text[TOP_TEXT], double number, double base, const char *const *units)
{
	while (number >= base && units[1]) {
		number /= base;
		units++;
	}
	snprintf(text, TOP_TEXT,
	         number < 9.995   ? "%.2f%s"
	         : number < 99.95 ? "%.1f%s"
	                          : "%.0f%s",
	         number, *units);
}

static void print_rate(char text[TOP_TEXT], double number)
{
	static const char *const units[] = { "", "k", "M", "G", "T", "P", "E", NULL };

	if (number <= 0)
		strcpy(text, "0");
	else if (number < 99.95)
		snprintf(text, TOP_TEXT, "%.1f", number);
	else if (number < 99999.5)
		snprintf(text, TOP_TEXT, "%.0f", number);
	else
		print_scaled(text, number, 1000, units);
}

static void print_size(char text[TOP_TEXT], double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", NULL };

	if (bytes <= 0)
		strcpy(text, "0");
	else if (bytes < 1024)
		snprintf(text, TOP_TEXT, "%.0fB", bytes);
	else
		print_scaled(text, bytes, 1024, units);
}

static void print_seconds(char text[TOP_TEXT], double seconds)
{
	if (seconds <= 0)
		strcpy(text, "0");
	else
		snprintf(text, TOP_TEXT, seconds < 99.9995 ? "%.3f" : "%.0f", seconds);
}

/* The threshold that was reached of the limit of a column with its use; 0: none. */
static uint32_t alerted_of(const struct top *t, size_t row, size_t column)
{
	const struct k2k_tenant_info *i = &t->now.tenants[row].info;

	switch (column) {
	case COL_TOP_USE_RATE: return i->alerted_rate;
	case COL_TOP_USE_BUDGET: return t->use[row].budget_alerted;
	case COL_TOP_USE_KERNELS: return i->alerted_kernels;
	case COL_TOP_USE_MEMORY: return i->alerted_gpu_memory;
	default: return 0;
	}
}

static enum top_mark text_cell(const struct top *t, enum top_view view, size_t row, size_t column,
                               char text[TOP_TEXT])
{
	const struct k2k_tenant_info *i;

	if (view == TOP_KERNELS) {
		printable_escape(text, TOP_TEXT, t->now.kernels[row].name,
		                 sizeof(t->now.kernels[row].name));
		return MARK_NONE;
	}
	if (view == TOP_BROKERS) {
		printable_copy(text, TOP_TEXT, t->now.brokers[row].comm,
		               sizeof(t->now.brokers[row].comm));
		return MARK_NONE;
	}
	i = &t->now.tenants[row].info;
	if (column == COL_TOP_NAME) {
		printable_copy(text, TOP_TEXT, i->name, sizeof(i->name));
		return MARK_NONE;
	}
	snprintf(text, TOP_TEXT, "%s", state_of(i));
	return i->suspended || snapshot_alone(i) ? MARK_WARN : MARK_NONE;
}

enum top_mark top_cell(const struct top *t, enum top_view view, size_t row, size_t column,
                       char text[TOP_TEXT])
{
	size_t columns;
	enum top_form form = top_columns(view, &columns)[column].form;
	bool alerted = form == FORM_PERCENT && alerted_of(t, row, column);
	double number;

	if (view == TOP_KERNELS && column == KERNEL_TENANT &&
	    (t->now.kernels[row].flags & K2K_KERNEL_STALE)) {
		strcpy(text, "stale");
		return MARK_WARN;
	}
	if (form == FORM_ID) {
		snprintf(text, TOP_TEXT, "%" PRIu64, cell_id(t, view, row, column));
		return MARK_NONE;
	}
	if (form == FORM_TEXT)
		return text_cell(t, view, row, column, text);
	if (form == FORM_LIMIT) {
		print_limit(text, &t->now.tenants[row].info);
		return MARK_NONE;
	}
	number = cell_number(t, view, row, column);
	if (number < 0) {
		strcpy(text, "-");
		return MARK_NONE;
	}
	switch (form) {
	case FORM_STATE:
		snprintf(text, TOP_TEXT, "%s", broker_state_name((uint32_t)number));
		return (uint32_t)number == K2K_BROKER_STOPPED ? MARK_ALARM : MARK_NONE;
	case FORM_PERCENT:
		if (number > 999)
			strcpy(text, ">999");
		else
			snprintf(text, TOP_TEXT, "%.0f%s", number, alerted ? "!" : "");
		return number >= 100 ? MARK_ALARM : number >= 80 || alerted ? MARK_WARN : MARK_NONE;
	case FORM_SECONDS: print_seconds(text, number); break;
	case FORM_SIZE: print_size(text, number); break;
	default: print_rate(text, number); break;
	}
	if (form == FORM_COUNT && number < 9999999)
		snprintf(text, TOP_TEXT, "%.0f", number);
	if (view == TOP_BROKERS && column == BROKER_BEHIND && number > 0 &&
	    t->now.brokers[row].state != K2K_BROKER_DEAD)
		return MARK_ALARM;
	return MARK_NONE;
}

/* ---- order ------------------------------------------------------------------------ */

struct sorting {
	const struct top *top;
	enum top_view view;
	size_t column;
	bool falling;
	enum top_form form;
};

static int by_id(const struct sorting *s, size_t x, size_t y, size_t column)
{
	uint64_t a = cell_id(s->top, s->view, x, column), b = cell_id(s->top, s->view, y, column);

	return (a > b) - (a < b);
}

/* Equal rows are in the order of ids, so rows without traffic keep their places. */
static int compare_rows(const void *a, const void *b, void *context)
{
	const struct sorting *s = context;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	int order;

	if (s->form == FORM_ID) {
		order = by_id(s, x, y, s->column);
	} else if (s->form == FORM_TEXT) {
		char p[TOP_TEXT], q[TOP_TEXT];

		text_cell(s->top, s->view, x, s->column, p);
		text_cell(s->top, s->view, y, s->column, q);
		order = strcmp(p, q);
	} else {
		double p = cell_number(s->top, s->view, x, s->column),
		       q = cell_number(s->top, s->view, y, s->column);

		order = (p > q) - (p < q);
	}
	if (order)
		return s->falling ? -order : order;
	return by_id(s, x, y, 0);
}

uint64_t top_rejected(const struct change *c)
{
	uint64_t sum = c->rate;

	if (__builtin_add_overflow(sum, c->budget, &sum) ||
	    __builtin_add_overflow(sum, c->kernels, &sum) ||
	    __builtin_add_overflow(sum, c->memory, &sum) ||
	    __builtin_add_overflow(sum, c->suspended, &sum))
		sum = UINT64_MAX;
	return sum;
}

static size_t dead_brokers(const struct top *t)
{
	size_t dead = 0;

	for (size_t i = 0; i < t->now.broker_count; i++)
		dead += t->now.brokers[i].state == K2K_BROKER_DEAD;
	return dead;
}

size_t top_folded(const struct top *t)
{
	size_t dead = dead_brokers(t);

	return t->show_dead || dead < 2 ? 0 : dead;
}

size_t top_find(const struct top *t, uint64_t generation)
{
	for (size_t row = 0; row < t->now.tenant_count; row++)
		if (t->now.tenants[row].info.generation == generation)
			return row;
	return SIZE_MAX;
}

static bool is_busy(const struct top *t, size_t row)
{
	const struct k2k_tenant_info *i = &t->now.tenants[row].info;
	const struct change *c = &t->each[row];

	return c->admitted || top_rejected(c) || c->shadowed || c->gpu_ns || c->unattributed_ns ||
	       i->kernels || i->gpu_memory_bytes;
}

/* Until there are two snapshots, no tenant is known to be idle. */
static bool passes(const struct top *t, enum top_view view, size_t row)
{
	char text[TOP_TEXT];

	if (view == TOP_KERNELS)
		return true;
	if (view == TOP_BROKERS)
		return t->now.brokers[row].state != K2K_BROKER_DEAD || !top_folded(t);
	if (t->all.interval_ns && ((t->busy_only && !is_busy(t, row)) ||
	                           (t->rejected_only && !top_rejected(&t->each[row]))))
		return false;
	if (!t->filter[0])
		return true;
	top_cell(t, view, row, COL_TOP_ID, text);
	return strstr(text, t->filter) != NULL;
}

void top_arrange(struct top *t, enum top_view view)
{
	struct top_order *o = &t->order[view];
	size_t total = view == TOP_TENANTS   ? t->now.tenant_count
	               : view == TOP_BROKERS ? t->now.broker_count
	                                     : t->now.kernel_count;
	size_t columns;
	struct sorting sorting = { t, view, o->column, o->falling,
		                   top_columns(view, &columns)[o->column].form };

	free(o->rows);
	o->rows = check_memory(calloc(total + 1, sizeof(*o->rows)));
	o->count = 0;
	for (size_t i = 0; i < total; i++)
		if (passes(t, view, i))
			o->rows[o->count++] = i;
	qsort_r(o->rows, o->count, sizeof(*o->rows), compare_rows, &sorting);
}

void top_sort_by(struct top *t, enum top_view view, size_t column)
{
	size_t columns;
	enum top_form form = top_columns(view, &columns)[column].form;

	t->order[view].column = column;
	t->order[view].falling = form != FORM_ID && form != FORM_TEXT && form != FORM_STATE;
	top_arrange(t, view);
}

/*
 * ---- facts about the registry
 * ----------------------------------------------------------------------
 */

static void add_fact(struct top_fact *facts, size_t *count, const char *name, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));

static void add_fact(struct top_fact *facts, size_t *count, const char *name, const char *format,
                     ...)
{
	struct top_fact *f = &facts[(*count)++];
	va_list args;

	f->name = name;
	va_start(args, format);
	vsnprintf(f->text, sizeof(f->text), format, args);
	va_end(args);
}

static void add_table(struct top_fact *facts, size_t *count, const char *name,
                      const struct k2k_table_info *table)
{
	char retired[40] = "";

	if (table->retired)
		snprintf(retired, sizeof(retired), ", %" PRIu64 " retired", table->retired);
	add_fact(facts, count, name, "%" PRIu64 " of %" PRIu64 "%s", table->used, table->capacity,
	         retired);
}

static void add_rate(const struct top *t, struct top_fact *facts, size_t *count, const char *name,
                     uint64_t n)
{
	char text[TOP_TEXT] = "-";

	if (t->all.interval_ns)
		print_rate(text, per_second(n, &t->all));
	add_fact(facts, count, name, "%s/s", text);
}

static void add_brokers(const struct top *t, struct top_fact *facts, size_t *count)
{
	size_t stopped = 0, dead = 0, behind = 0;
	char text[80] = "";

	for (size_t i = 0; i < t->now.broker_count; i++) {
		const struct k2k_broker_info *b = &t->now.brokers[i];

		stopped += b->state == K2K_BROKER_STOPPED;
		dead += b->state == K2K_BROKER_DEAD;
		behind += b->state != K2K_BROKER_DEAD && b->grace_behind > 0;
	}
	if (stopped)
		snprintf(text, sizeof(text), ", %zu stopped", stopped);
	if (behind)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), ", %zu behind", behind);
	if (dead)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), ", %zu dead", dead);
	add_fact(facts, count, "brokers", "%" PRIu64 "%s", t->held.brokers, text);
}

static const char *print_about(char text[UNITS_TEXT], uint64_t ns)
{
	return units_print_duration(text, ns - ns % (ns < 10000000000 ? 100000000 : 1000000000));
}

/* Only where shares were given, or a tenant waits for some. */
static void add_shares(const struct top *t, struct top_fact *facts, size_t *count)
{
	const struct k2k_shares *s = &t->now.shares;
	uint64_t left = snapshot_shares_left_ns(s);
	char time[UNITS_TEXT];

	if (left)
		add_fact(facts, count, "shares of rates", "hold for %s", print_about(time, left));
	else if (s->until_ns)
		add_fact(facts, count, "shares of rates", "ended %s ago, %zu tenants alone",
		         print_about(time, s->now_ns - s->until_ns), t->now.alone_count);
	else if (s->epoch || t->now.alone_count)
		add_fact(facts, count, "shares of rates", "don't hold, %zu tenants alone",
		         t->now.alone_count);
}

size_t top_facts(const struct top *t, struct top_fact facts[TOP_FACTS])
{
	const struct k2k_registry_info *r = &t->now.registry;
	char text[TOP_TEXT];
	size_t count = 0;

	add_table(facts, &count, "tenants", &r->tenants);
	add_brokers(t, facts, &count);
	add_shares(t, facts, &count);
	add_rate(t, facts, &count, "messages", t->all.admitted);
	add_rate(t, facts, &count, "rejected by rate", t->all.rate);
	add_rate(t, facts, &count, "  by budget", t->all.budget);
	add_rate(t, facts, &count, "  by kernels", t->all.kernels);
	add_rate(t, facts, &count, "  by memory", t->all.memory);
	add_rate(t, facts, &count, "  suspended", t->all.suspended);
	add_rate(t, facts, &count, "in shadow", t->all.shadowed);
	if (t->all.interval_ns)
		print_seconds(text, per_second(t->all.gpu_ns, &t->all) / 1e9);
	else
		strcpy(text, "-");
	add_fact(facts, &count, "GPU", "%s s/s", text);
	add_fact(facts, &count, "kernels held", "%" PRIu64, t->held.kernels);
	print_size(text, (double)t->held.bytes);
	add_fact(facts, &count, "memory held", "%s", text);
	add_table(facts, &count, "engagements", &r->engagements);
	add_table(facts, &count, "leases", &r->leases);
	add_table(facts, &count, "budgets", &r->budgets);
	add_table(facts, &count, "names of kernels", &t->now.kernel_table);
	add_rate(t, facts, &count, "unknown tenants", t->all.unknown);
	add_rate(t, facts, &count, "cross-tenant", t->all.cross);
	return count;
}
