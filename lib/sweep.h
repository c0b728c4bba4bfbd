/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sweep.h (F3) - removes what killed creators and destroyers leave in /dev/shm.
 *
 * 1. A live object that no defs object refers to is garbage, unless its creator is about to link
 *    defs. The creator holds a lock on a byte of live from before it links live until after it has
 *    linked defs. So a sweeper locks that byte, looks at defs again, and only then unlinks live.
 * 2. If defs is poisoned, a destroyer is at work or was killed. A process that gets the writer's
 *    lock finishes the destroy.
 */
#ifndef K2K_SWEEP_H
#define K2K_SWEEP_H

#include "segment.h"

/* On the agent. Removes garbage; adds the number of objects to *removed unless that is null. */
void k2k_sweep(struct k2k_agent *agent, const char *name, uint64_t *removed);
/*
 * On the agent. Finishes the destroy of a poisoned registry if this process may write to it.
 * K2K_ENOREGISTRY: the name is free. K2K_EFENCED: the names are not this object's any more, or a
 * writer is at work; open the registry again.
 */
int k2k_sweep_poisoned(const char *name, struct k2k_segment *defs);
/*
 * On the agent. Takes the writer's lock and removes both names if they are still this object's. 0;
 * K2K_EFENCED: they are not, or a writer is at work.
 */
int k2k_sweep_ours(const char *name, struct k2k_segment *defs);
/*
 * On any thread that holds the writer's lock: removes both names if they are still this object's. A
 * failure is left to the next sweeper.
 */
void k2k_sweep_poisoned_locked(const char *name, struct k2k_segment *defs);
/*
 * On any thread that holds the writer's lock: removes both names without checking whose they are.
 * 0, K2K_EPERM, K2K_EIO.
 */
int k2k_sweep_unlink(const char *name, struct k2k_segment *defs);

#endif
