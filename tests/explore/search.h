/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * search.h - the explorer's own: running a program in every way, and what came of it.
 */
#ifndef K2K_EXPLORE_SEARCH_H
#define K2K_EXPLORE_SEARCH_H

#include "explore.h"

struct search_options {
	bool naive;          /* without the reduction: to test it */
	bool compare;        /* both ways */
	const char *replay;  /* one execution, by the string that a fault printed */
	const char *weaken;  /* FILE:LINE=relaxed, =acquire or =release */
	bool trace;          /* print the replayed execution though it is no fault */
	uint64_t executions; /* at most; 0: no bound */
};

struct search_figures {
	uint64_t executions; /* that came to their end */
	uint64_t cut;        /* ended by the bound on steps */
	uint64_t redundant;  /* given up, because all that could follow was seen already */
	uint64_t distinct;   /* of the executions: it is all of them */
	uint64_t steps;
	double seconds; /* of the processor */
	bool weakened;  /* the access that was to be weakened has run */
	bool fault;
};

void search(struct explore_program *program, const struct search_options *options,
            struct search_figures *figures);

#endif
