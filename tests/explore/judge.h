/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * judge.h - what is true after an execution: for check(), which runs alone.
 */
#ifndef K2K_EXPLORE_JUDGE_H
#define K2K_EXPLORE_JUDGE_H

#include "world.h"

/* The thread whose handle is none of the program's: an administrator, who judges. */
#define JUDGE (EXPLORE_THREADS - 1)

/* In a setup, after the others. */
void judge_begin(void);
/* Nothing is found by k2k_registry_check(): all invariants that can be seen from outside. */
void judge_registry(void);
/* As the next change does: recovers what a dead writer left, reaps; then judges the registry. */
void judge_after_change(void);

#endif
