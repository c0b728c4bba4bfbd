/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sweep.h (F3) - what killed creators and destroyers leave in /dev/shm.
 *
 * A live that no defs refers to is garbage, unless its creator is about to link defs: the creator
 * holds a byte of its live from before the link of live until after that of defs. So the sweeper
 * locks that byte, looks at defs again, and only then unlinks. A defs that is poisoned is a
 * registry whose destroyer is at work, or was killed: whoever gets the writer's turn finishes it.
 */
#ifndef K2K_SWEEP_H
#define K2K_SWEEP_H

#include "segment.h"

/* On the agent. Removes garbage, and adds to *removed how much, unless that is null. */
void k2k_sweep(struct k2k_agent *agent, const char *name, uint64_t *removed);
/*
 * On the agent. Finishes the destroy of a poisoned registry, if that is ours to do.
 * K2K_ENOREGISTRY: the name is free. K2K_EFENCED: look again; it is not ours to remove, or
 * somebody is writing.
 */
int k2k_sweep_poisoned(const char *name, struct k2k_segment *defs);
/*
 * On the agent. Removes both names while they are still this object's. 0; K2K_EFENCED: they are
 * not, or somebody is writing.
 */
int k2k_sweep_ours(const char *name, struct k2k_segment *defs);
/* Anywhere, under the writer's lock. The same for a poisoned registry; a failure is ignored. */
void k2k_sweep_poisoned_locked(const char *name, struct k2k_segment *defs);
/* Anywhere, under the writer's lock. Removes both names without a look. 0, K2K_EPERM, K2K_EIO. */
int k2k_sweep_unlink(const char *name, struct k2k_segment *defs);

#endif
