/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * explore - runs programs in every way that C11 allows. See search.c.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"
#include "trace.h"

static struct explore_program *programs;

void explore_add(struct explore_program *program)
{
	struct explore_program **at = &programs;

	while (*at && strcmp((*at)->name, program->name) < 0)
		at = &(*at)->next;
	program->next = *at;
	*at = program;
}

static int usage(FILE *to, int code)
{
	fprintf(to,
	        "usage: explore [OPTION...] PROGRAM...   runs these, or --all\n"
	        "  --list            names all programs\n"
	        "  --outcomes        prints what the executions came to\n"
	        "  --replay STRING   runs the one execution that a fault printed, and prints it\n"
	        "  --weaken FILE:LINE=relaxed|acquire|release   this access has that order only\n"
	        "  --sites           prints the ordered accesses that have run\n"
	        "  --limit N         stops after N executions\n"
	        "  --naive           without the reduction\n"
	        "  --compare         whether both ways come to as many executions\n"
	        "Exit status: 0 no fault, 1 a fault, 2 wrong arguments, 3 what was to be weakened "
	        "never ran.\n");
	return code;
}

/* The reduction leaves out no execution: both ways come to as many. */
static int compare(struct explore_program *program, const struct search_options *options)
{
	struct search_options naive = *options;
	struct search_figures reduced, all;

	naive.naive = true;
	search(program, options, &reduced);
	search(program, &naive, &all);
	printf("%-32s %9llu executions %9llu without the reduction\n", program->name,
	       (unsigned long long)reduced.distinct, (unsigned long long)all.distinct);
	return reduced.distinct != all.distinct;
}

static int explore(struct explore_program *program, const struct search_options *options,
                   bool print)
{
	struct search_figures figures;

	if (options->compare)
		return compare(program, options);
	search(program, options, &figures);
	if (options->replay) {
		trace_print(program->name, true);
		return 0;
	}
	printf("%-32s %9llu executions %9llu distinct %9llu redundant %6llu cut %11llu steps "
	       "%7.2f s\n",
	       program->name, (unsigned long long)figures.executions,
	       (unsigned long long)figures.distinct, (unsigned long long)figures.redundant,
	       (unsigned long long)figures.cut, (unsigned long long)figures.steps, figures.seconds);
	if (!outcome_compare(program, print))
		return 1;
	if (options->weaken && !figures.weakened)
		return 3;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
		{ "list", no_argument, NULL, 'l' },
		{ "outcomes", no_argument, NULL, 'o' },
		{ "replay", required_argument, NULL, 'r' },
		{ "weaken", required_argument, NULL, 'w' },
		{ "limit", required_argument, NULL, 'n' },
		{ "naive", no_argument, NULL, 's' },
		{ "all", no_argument, NULL, 'a' },
		{ "compare", no_argument, NULL, 'm' },
		{ "sites", no_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct search_options options = { .weaken = getenv("EXPLORE_WEAKEN") };
	bool list = false, all = false, print = false, sites = false;
	int option, code = 0;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'l': list = true; break;
		case 'o': print = true; break;
		case 'r': options.replay = optarg; break;
		case 'w': options.weaken = optarg; break;
		case 'n': options.executions = strtoull(optarg, NULL, 10); break;
		case 's': options.naive = true; break;
		case 'a': all = true; break;
		case 'm': options.compare = true; break;
		case 'p': sites = true; break;
		case 'h': return usage(stdout, 0);
		default: return usage(stderr, 2);
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (list)
		for (const struct explore_program *program = programs; program;
		     program = program->next)
			printf("%-32s %s%s\n", program->name, program->what,
			       program->full ? " (--full)" : "");
	else if (!all && optind == argc)
		return usage(stderr, 2);
	for (struct explore_program *program = programs; all && program; program = program->next)
		code |= explore(program, &options, print);
	for (int i = optind; i < argc; i++) {
		struct explore_program *program = programs;

		while (program && strcmp(program->name, argv[i]) != 0)
			program = program->next;
		if (!program) {
			fprintf(stderr, "explore: no program is named %s\n", argv[i]);
			return 2;
		}
		code |= explore(program, &options, print);
	}
	if (sites)
		run_print_sites();
	return code;
}
