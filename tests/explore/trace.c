/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * trace.c - steps as text, the places in the source that they have, and what a program says.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine.h"

#define TEXT_BYTES 128

/* ---- steps ------------------------------------------------------------------------------- */

const char *trace_file(const struct explore_site *site)
{
	const char *own = strstr(site->file, "tests/explore/"), *lib = site->file;

	for (const char *next = lib; (next = strstr(next, "lib/")) != NULL; next++)
		lib = next;
	return own ? own : lib;
}

static const char *const orders[] = { [EXPLORE_RELAXED] = "relaxed",
	                              [EXPLORE_ACQUIRE] = "acquire",
	                              [EXPLORE_RELEASE] = "release",
	                              [EXPLORE_ACQ_REL] = "acq_rel",
	                              [EXPLORE_SEQ_CST] = "seq_cst" };

static void print_value(const char *what, uint64_t value)
{
	printf(value < 100000 ? "%s%llu" : "%s0x%llx", what, (unsigned long long)value);
}

void trace_print_step(unsigned int number, int thread, const struct step *step)
{
	static const char *const names[] = {
		"load  ", "store ", "rmw   ", "cas   ", "fence",        "fences its process",
		"asks",   "yields", "ends",   "dies",   "stands still",
	};
	bool fails = step->kind == STEP_CAS && !step->to;

	printf("%4u  thread %d  %s", number, thread, names[step->kind]);
	if (step->kind == STEP_ASK)
		printf(" whether the process of thread %d lives: %s", step->asked,
		       step->value ? "yes" : "no");
	if (step->size)
		printf("%s", step->site->text);
	if (step->kind == STEP_LOAD)
		print_value(" = ", step->read);
	else if (step_reads(step))
		print_value(" was ", step->read);
	if (step->to)
		print_value(" := ", step->value);
	if (step->size || step->kind == STEP_FENCE)
		printf("%s (%s", fails ? ", fails" : "",
		       orders[fails ? step->failure : step->order]);
	if (step->newer)
		printf(step->kind == STEP_STORE ? ", in front of %u" : ", %u newer", step->newer);
	if (step->size || step->kind == STEP_FENCE)
		printf(")  %s:%d", trace_file(step->site), step->site->line);
	printf("\n");
}

/* ---- places ------------------------------------------------------------------------------ */

static struct explore_site *sites;

/* All of the order, but for --weaken FILE:LINE=what is left. */
static unsigned int left_of(const struct explore_site *site)
{
	const char *equals = run.weaken ? strchr(run.weaken, '=') : NULL;
	unsigned int left = EXPLORE_ACQ_REL;
	char place[256];

	snprintf(place, sizeof(place), "%s:%d=", trace_file(site), site->line);
	if (!equals || strncmp(run.weaken, place, strlen(place)) != 0)
		return EXPLORE_SEQ_CST;
	while (left > EXPLORE_RELAXED && strcmp(orders[left], equals + 1) != 0)
		left--;
	run.weakened = true;
	return left;
}

void trace_site(struct step *step)
{
	struct explore_site *site = step->site;

	if (!site->ran) {
		site->ran = true;
		site->order = step->order;
		site->left = left_of(site);
		site->next = sites;
		sites = site;
	}
	step->order &= site->left;
	step->failure &= site->left;
}

void trace_print_sites(void)
{
	for (const struct explore_site *site = sites; site; site = site->next)
		if (site->order != EXPLORE_RELAXED)
			printf("%s:%d %s %s\n", trace_file(site), site->line, orders[site->order],
			       site->text);
}

/* ---- outcomes ---------------------------------------------------------------------------- */

static char said[EXPLORE_THREADS + 1][TEXT_BYTES];
static bool came[EXPLORE_OUTCOMES];

void outcome_begin(void)
{
	memset(said, 0, sizeof(said));
}

void explore_outcome(const char *format, ...)
{
	char *text = said[run.current < 0 ? EXPLORE_THREADS : run.current];
	size_t used = strlen(text);
	va_list arguments;

	if (used)
		text[used++] = ' ';
	va_start(arguments, format);
	vsnprintf(text + used, TEXT_BYTES - used, format, arguments);
	va_end(arguments);
}

void outcome_end(void)
{
	char all[(EXPLORE_THREADS + 1) * TEXT_BYTES] = "";
	const char *const *outcomes = run.program->outcomes;

	for (int i = 0; i <= EXPLORE_THREADS; i++)
		if (said[i][0]) {
			strcat(all, all[0] ? " " : "");
			strcat(all, said[i]);
		}
	if (!all[0] || !outcomes[0])
		return;
	for (int i = 0; i < EXPLORE_OUTCOMES && outcomes[i]; i++)
		if (strcmp(outcomes[i], all) == 0) {
			came[i] = true;
			return;
		}
	explore_fail(run.program->name, 0, "outcome %s is not foreseen", all);
}

bool outcome_all_came(void)
{
	bool all = true;

	for (int i = 0; i < EXPLORE_OUTCOMES && run.program->outcomes[i]; i++) {
		if (!came[i])
			printf("  outcome %s never came\n", run.program->outcomes[i]);
		all &= came[i];
		came[i] = false;
	}
	return all;
}
