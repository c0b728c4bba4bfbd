/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs all cases in turn, round after round, and computes each row's median, quartiles and ratio.
 */
#include "bench.h"
#include "common/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options options;

/* Floors first; in the order of the table. */
const struct bench_case *const all_cases[] = {
	&floor_case,       &urcu_case,           &pair_case,     &hot_case,        &random_1k_case,
	&random_100k_case, &new_engagement_case, &lease_case,    &audit_case,      &tail_case,
	&definition_case,  &register_case,       &sum_case,      &load_case,       &attach_case,
	&memory_case,      &list_case,           &hot_1m_case,   &random_1m_case,  &sum_1m_case,
	&register_1m_case, &list_1m_case,        &names_1k_case, &names_100k_case, &redis_case,
};
const size_t all_case_count = sizeof(all_cases) / sizeof(all_cases[0]);

enum { SAMPLES_MAX = 16, QUICK_SLOW_ROUNDS = 1 };

static const char *const floor_names[] = {
	[AGAINST_FETCH_ADD] = "fetch_add",
	[AGAINST_FETCH_ADD_TWO] = "fetch_add_two",
	[AGAINST_LFHT] = "lfht_random_100k",
};

uint64_t many(void)
{
	return options.quick ? 10000 : 100000;
}

bool shown(char to[ROW_TEXT], const char *from)
{
	static const struct {
		const char *full, *quick;
	} words[] = { { "100k", "10k" }, { "100,000", "10,000" } };

	for (size_t i = 0; options.quick && i < sizeof(words) / sizeof(words[0]); i++) {
		const char *at = strstr(from, words[i].full);

		if (!at)
			continue;
		snprintf(to, ROW_TEXT, "%.*s%s%s", (int)(at - from), from, words[i].quick,
		         at + strlen(words[i].full));
		return true;
	}
	snprintf(to, ROW_TEXT, "%s", from);
	return false;
}

static const char *against_name(const struct row_spec *spec)
{
	switch (spec->against) {
	case AGAINST_NOTHING: return NULL;
	case AGAINST_ALONE: return "alone";
	case AGAINST_TABLE: return "hash_table";
	case AGAINST_ADMIT_120: return "admit+120ns";
	default: return floor_names[spec->against];
	}
}

/* A floor: other rows are compared with it. */
static bool is_floor(const struct row_spec *spec)
{
	for (size_t i = 0; i < all_case_count; i++)
		if (all_cases[i]->floors && spec->against == AGAINST_NOTHING &&
		    spec >= all_cases[i]->rows &&
		    spec < all_cases[i]->rows + all_cases[i]->row_count)
			return true;
	return false;
}

bool row_is_wanted(const struct row_spec *spec)
{
	char name[ROW_TEXT];

	shown(name, spec->name);
	return !options.only || strstr(name, options.only);
}

static bool case_is_wanted(const struct bench_case *c)
{
	if ((c->big && !options.big) || (c->possible && !c->possible()))
		return false;
	for (size_t i = 0; i < c->row_count; i++)
		if (c->floors || row_is_wanted(&c->rows[i]))
			return true;
	return false;
}

static unsigned int rounds_of(const struct bench_case *c)
{
	unsigned int most = c->most_rounds ? options.quick ? QUICK_SLOW_ROUNDS : c->most_rounds
	                                   : options.rounds;

	return most < options.rounds ? most : options.rounds;
}

static void do_round(const struct bench_case *c, struct row *rows)
{
	struct sample samples[SAMPLES_MAX] = { { 0, 0 } };

	if (c->row_count > SAMPLES_MAX)
		die("a case of more than %d rows", SAMPLES_MAX);
	c->round(c->state, samples);
	for (size_t i = 0; i < c->row_count; i++) {
		rows[i].values[rows[i].count] = samples[i].value;
		rows[i].ratios[rows[i].count++] = samples[i].ratio;
	}
}

static void settle(struct row *row)
{
	qsort(row->values, row->count, sizeof(*row->values), compare_doubles);
	qsort(row->ratios, row->count, sizeof(*row->ratios), compare_doubles);
	row->median = quantile(row->values, row->count, 0.5);
	row->low = quantile(row->values, row->count, 0.25);
	row->high = quantile(row->values, row->count, 0.75);
}

/* The ratio of the medians, as the table shows them. */
static double ratio_of(const struct row *row, const struct row *rows, size_t count)
{
	const char *against = against_name(row->spec);

	if (!against)
		return -1;
	if (row->spec->against >= AGAINST_ALONE)
		return quantile(row->ratios, row->count, 0.5);
	for (size_t i = 0; i < count; i++)
		if (!strcmp(rows[i].spec->name, against))
			return row->spec->against == AGAINST_FETCH_ADD_TWO
			               ? rows[i].median / row->median
			               : row->median / rows[i].median;
	return -1;
}

int row_met(const struct row *row)
{
	switch (row->goal) {
	case GOAL_RATIO_AT_MOST: return row->ratio <= row->spec->target;
	case GOAL_RATIO_AT_LEAST: return row->ratio >= row->spec->target;
	case GOAL_VALUE_AT_MOST: return row->median <= row->spec->target;
	default: return -1;
	}
}

struct row *measure(size_t *count)
{
	const struct bench_case *cases[sizeof(all_cases) / sizeof(all_cases[0])];
	struct row *rows, *at[sizeof(all_cases) / sizeof(all_cases[0])];
	size_t cases_count = 0, total = 0;

	for (size_t i = 0; i < all_case_count; i++)
		if (case_is_wanted(all_cases[i])) {
			cases[cases_count++] = all_cases[i];
			total += all_cases[i]->row_count;
		}
	rows = check_memory(calloc(total, sizeof(*rows)));
	*count = 0;
	for (size_t i = 0; i < cases_count; i++) {
		at[i] = &rows[*count];
		for (size_t j = 0; j < cases[i]->row_count; j++) {
			struct row *row = &rows[(*count)++];

			row->spec = &cases[i]->rows[j];
			row->floor = is_floor(row->spec);
			row->goal = shown(row->name, row->spec->name) ? GOAL_NONE : row->spec->goal;
			shown(row->text, row->spec->text);
			if (against_name(row->spec))
				shown(row->against, against_name(row->spec));
			row->values = check_memory(calloc(options.rounds, sizeof(double)));
			row->ratios = check_memory(calloc(options.rounds, sizeof(double)));
		}
	}
	for (size_t i = 0; i < cases_count; i++)
		if (cases[i]->start)
			cases[i]->start(cases[i]->state);
	for (size_t i = 0; i < cases_count; i++)
		if (cases[i]->open)
			cases[i]->open(cases[i]->state);
	for (unsigned int round = 0; round < options.rounds; round++)
		for (size_t i = 0; i < cases_count; i++)
			if (round < rounds_of(cases[i]))
				do_round(cases[i], at[i]);
	workers_stop_all();
	for (size_t i = 0; i < *count; i++)
		settle(&rows[i]);
	for (size_t i = 0; i < *count; i++)
		rows[i].ratio = ratio_of(&rows[i], rows, *count);
	return rows;
}
