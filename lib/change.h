/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * change.h (F7) - the frame of every change of the definitions: one writer at a time.
 *
 * A change begins with the handle's mutex, the writer's lock, and a look at the gate and the name.
 * If a killed writer left its intent set, recovery comes first. The intent names the operation from
 * before the first store until after the last one, so that the next writer completes or undoes
 * what is left if this one is killed.
 */
#ifndef K2K_CHANGE_H
#define K2K_CHANGE_H

#include "handle.h"

/*
 * 0, to be ended with k2k_change_end(); or the error. If this thread has a batch, it holds the
 * locks already and checked the name when it took them; the end of the change does not release
 * them. K2K_OP_CHECK sets no intent: it is for calls that change nothing, or change it by one
 * store, and is ended with k2k_change_leave().
 */
int k2k_change_begin(struct k2k_registry *reg, enum k2k_operation operation, uint64_t deadline_ns);
/* undo: the change failed halfway, so recovery undoes it. */
void k2k_change_end(struct k2k_registry *reg, bool undo);
/* Releases the locks and leaves the intent as it is. */
void k2k_change_leave(struct k2k_registry *reg);
/* Does this thread have a batch on this handle? */
bool k2k_change_in_batch(const struct k2k_registry *reg);
/*
 * Before a close: ends this thread's batch, waits for another thread's, and lets none begin any
 * more. K2K_EBUSY after the handle's timeout: nothing is changed.
 */
int k2k_batch_close(struct k2k_registry *reg);

/*
 * Polls until the token has passed. 0; the gate's error; K2K_EBUSY after the deadline, without a
 * detail: then *behind is the slot of a broker that has not answered, or K2K_SLOT_NONE.
 */
int k2k_wait_passed(struct k2k_registry *reg, uint64_t token, uint64_t deadline_ns,
                    uint32_t *behind);
/*
 * Returns K2K_EBUSY. Its detail says that all free records of the table `what` ("tenants") wait for
 * the broker in slot `behind`; or, if that is K2K_SLOT_NONE, for a grace period.
 */
int k2k_held_up(struct k2k_registry *reg, uint32_t behind, const char *what);

#endif
