/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * explore - runs programs in every way that C11 allows. See search.c.
 */
#include <stdio.h>
#include <string.h>

#include "engine.h"

static struct explore_program *programs;

void explore_add(struct explore_program *program)
{
	struct explore_program **at = &programs;

	while (*at && strcmp((*at)->name, program->name) < 0)
		at = &(*at)->next;
	program->next = *at;
	*at = program;
}

static void usage(void)
{
	run_refuse(
		"usage: explore --list\n"
		"       explore [OPTION...] PROGRAM...\n"
		"  --replay STRING   runs the one execution that a fault printed, and prints it\n"
		"  --weaken FILE:LINE=relaxed|acquire|release   this access has that order only\n"
		"  --sites           prints the ordered accesses that have run\n"
		"  --compare         whether the reduction leaves no execution out\n"
		"Exit status: 0 no fault, 1 a fault, 2 wrong arguments, 3 what was to be weakened "
		"never ran.");
}

/* With the reduction and without: search.c. */
static bool is_same(struct explore_program *program)
{
	struct figures real, reduced, all;

	run.naive = run.all_stores = false;
	search(program, NULL, &real);
	run.all_stores = true;
	search(program, NULL, &reduced);
	run.naive = true;
	search(program, NULL, &all);
	printf("%s %u: %llu executions, %llu without the reduction; %llu outcomes, %llu\n",
	       program->name, run.variant, (unsigned long long)reduced.distinct,
	       (unsigned long long)all.distinct, (unsigned long long)real.outcomes,
	       (unsigned long long)all.outcomes);
	return reduced.distinct == all.distinct && real.outcomes == all.outcomes;
}

static int compare(struct explore_program *program)
{
	unsigned int differ = 0;

	run.variant = 0;
	do
		differ += !is_same(program);
	while (++run.variant < program->variants);
	if (differ)
		printf("%u of them differ\n", differ);
	return differ > 0;
}

static int explore(struct explore_program *program, const char *replay)
{
	struct figures figures;

	if (run.compare)
		return compare(program);
	search(program, replay, &figures);
	if (replay) {
		search_print(true);
		return 0;
	}
	printf("%-32s %9llu executions %9llu redundant %6llu cut %11llu steps %7.2f s\n",
	       program->name, (unsigned long long)figures.executions,
	       (unsigned long long)figures.redundant, (unsigned long long)figures.cut,
	       (unsigned long long)figures.steps, figures.seconds);
	if (figures.executions == 0)
		printf("each execution is cut: its steps are too few\n");
	if (figures.executions == 0 || !outcome_all_came())
		return 1;
	return run.weaken && !run.weakened ? 3 : 0;
}

static struct explore_program *find(const char *name)
{
	struct explore_program *program = programs;

	while (program && strcmp(program->name, name) != 0)
		program = program->next;
	if (!program)
		run_refuse("no program is named %s", name);
	return program;
}

static int list(void)
{
	for (const struct explore_program *program = programs; program; program = program->next)
		printf("%-32s %s%s\n", program->name, program->what,
		       program->full ? " (--full)" : "");
	return 0;
}

int main(int argc, char **argv)
{
	const char *replay = NULL;
	bool sites = false;
	int names = 1, code = 0; /* argv[1 .. names - 1], in the end */

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--sites") == 0)
			sites = true;
		else if (strcmp(argv[i], "--compare") == 0)
			run.compare = true;
		else if (strcmp(argv[i], "--replay") == 0 && i + 1 < argc)
			replay = argv[++i];
		else if (strcmp(argv[i], "--weaken") == 0 && i + 1 < argc)
			run.weaken = argv[++i];
		else if (argv[i][0] != '-')
			argv[names++] = argv[i];
		else if (strcmp(argv[i], "--list") != 0 || argc != 2)
			usage();
		else
			return list();
	if (names == 1)
		usage();
	for (int i = 1; i < names; i++)
		code |= explore(find(argv[i]), replay);
	if (sites)
		trace_print_sites();
	return code;
}
