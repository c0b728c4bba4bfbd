/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "top_tenant.h"
#include "ctl.h"
#include "rates.h"
#include "common/printable.h"
#include "common/units.h"

#include <curses.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- history ------------------------------------------------------------------- */

static void add(double *line, size_t count, double number)
{
	if (count == TOP_HISTORY) {
		memmove(line, line + 1, (TOP_HISTORY - 1) * sizeof(*line));
		count--;
	}
	line[count] = number;
}

void top_tenant_refresh(struct top_tenant *t, const struct top *top)
{
	size_t row = t->generation ? top_find(top, t->generation) : SIZE_MAX;
	const struct change *c;

	if (row == SIZE_MAX || !top->all.interval_ns)
		return;
	c = &top->each[row];
	add(t->admitted, t->count, per_second(c->admitted, c));
	add(t->rejected, t->count, per_second(top_rejected(c), c));
	add(t->gpu, t->count, per_second(c->gpu_ns, c) / 1e9);
	if (t->count < TOP_HISTORY)
		t->count++;
}

void top_tenant_open(struct top_tenant *t, const struct top *top, size_t row)
{
	*t = (struct top_tenant){ .id = top->now.tenants[row].info.id,
		                  .generation = top->now.tenants[row].info.generation };
	top_tenant_refresh(t, top);
}

/* ---- drawing -------------------------------------------------------------------- */

/* One character per interval; the largest number shown gets the highest level. */
static void draw_history(int y, const char *name, const double *line, size_t count)
{
	static const char levels[] = "_.:-=+*#%@";
	size_t room = COLS > 14 ? (size_t)COLS - 14 : 0, first = count > room ? count - room : 0;
	double most = 0;

	for (size_t i = first; i < count; i++)
		most = line[i] > most ? line[i] : most;
	mvprintw(y, 0, "%-12s ", name);
	for (size_t i = first; i < count; i++) {
		size_t level = most > 0 ? (size_t)(line[i] / most * (sizeof(levels) - 2) + 0.5) : 0;

		addch((chtype)levels[line[i] > 0 && !level ? 1 : level]);
	}
}

static void draw_limit(int y, const char *name, const char *used, const char *limit,
                       uint64_t percent)
{
	char text[200];

	if (percent == UINT64_MAX)
		snprintf(text, sizeof(text), "%-12s %s of %s", name, used, limit);
	else
		snprintf(text, sizeof(text), "%-12s %s of %s, %" PRIu64 "%%", name, used, limit,
		         percent);
	if (percent != UINT64_MAX && percent >= 100)
		attron(A_BOLD);
	mvaddnstr(y, 0, text, COLS);
	attroff(A_BOLD);
}

static const char *limit_text(char text[UNITS_TEXT], uint64_t number,
                              char *(*print)(char text[UNITS_TEXT], uint64_t number))
{
	return number == UINT64_MAX ? "unlimited" : print(text, number);
}

static char *print_count(char text[UNITS_TEXT], uint64_t number)
{
	units_print_number(text, number);
	return text;
}

static void draw_rates(int y, const struct top *top, size_t row)
{
	const struct change *c = &top->each[row];
	char text[200];

	if (!c->interval_ns)
		return;
	snprintf(text, sizeof(text),
	         "rejected/s   rate %.1f, budget %.1f, kernels %.1f, memory %.1f, suspended %.1f; "
	         "in shadow %.1f",
	         per_second(c->rate, c), per_second(c->budget, c), per_second(c->kernels, c),
	         per_second(c->memory, c), per_second(c->suspended, c), per_second(c->shadowed, c));
	mvaddnstr(y, 0, text, COLS);
}

static void print_name_and_state(const struct k2k_tenant_info *i)
{
	char name[sizeof(i->name) + 1];

	if (i->name[0])
		printw("  %s", printable_copy(name, sizeof(name), i->name, sizeof(i->name)));
	if (i->suspended)
		printw("  suspended");
	if (i->shadow)
		printw("  limits in shadow");
}

void top_tenant_draw(const struct top_tenant *t, const struct top *top, int y, int last)
{
	size_t row = top_find(top, t->generation), line = 0;
	const struct k2k_tenant_info *i;
	const struct top_use *use;
	char used[UNITS_TEXT], limit[RATE_TEXT], name[UNITS_TEXT + 16];
	struct rate rate;

	attrset(A_REVERSE);
	mvhline(y, 0, ' ', COLS);
	mvprintw(y, 0, "TENANT %" PRIu64, t->id);
	if (row != SIZE_MAX)
		print_name_and_state(&top->now.tenants[row].info);
	attrset(A_NORMAL);
	if (row == SIZE_MAX) {
		mvaddnstr(y + 1, 0, "is no longer registered", COLS);
		return;
	}
	i = &top->now.tenants[row].info;
	use = &top->use[row];
	rate = rate_of_tenant(i);
	/* the most important lines first, for small screens */
	if (y + 1 <= last)
		draw_history(y + 1, "messages/s", t->admitted, t->count);
	if (y + 2 <= last)
		draw_history(y + 2, "rejected/s", t->rejected, t->count);
	if (y + 3 <= last)
		draw_history(y + 3, "GPU-s/s", t->gpu, t->count);
	if (y + 4 <= last)
		draw_rates(y + 4, top, row);
	if (y + 5 <= last)
		draw_limit(y + 5, "rate", print_count(used, i->messages_this_second),
		           rate_print(limit, &rate), use->rate);
	if (y + 6 <= last)
		draw_limit(y + 6, "kernels", print_count(used, i->kernels),
		           limit_text(limit,
		                      i->max_concurrent_kernels == K2K_UNLIMITED_KERNELS
		                              ? UINT64_MAX
		                              : i->max_concurrent_kernels,
		                      print_count),
		           use->kernels);
	if (y + 7 <= last)
		draw_limit(y + 7, "GPU memory", units_print_short_size(used, i->gpu_memory_bytes),
		           limit_text(limit, i->max_gpu_memory_bytes, units_print_short_size),
		           use->memory);
	for (size_t b = 0; b < top->now.budget_count && y + 8 + (int)line <= last; b++) {
		const struct k2k_budget_info *budget = &top->now.budgets[b];

		if (budget->generation != t->generation)
			continue;
		snprintf(name, sizeof(name), "budget %" PRIu64, budget->engagement_id);
		draw_limit(y + 8 + (int)line++, name, units_print_duration(used, budget->used_ns),
		           units_print_renewing(limit, budget->budget_ns, budget->renewal),
		           budget->used_ns >= budget->budget_ns
		                   ? 100
		                   : (uint64_t)((double)budget->used_ns * 100 /
		                                (double)budget->budget_ns));
	}
}
