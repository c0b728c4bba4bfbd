/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lock.h (F2) - locked bytes: proof of life, and exclusion where there is no memory to share.
 *
 * An open-file-description lock (Linux, F_OFD_SETLK) on one byte far beyond the data, on an open of
 * its own in the table of the agent (agent.h). It ends with k2k_lock_drop() or with the agent, and
 * with nothing else: no closefrom() ends it, and no child prolongs it.
 *
 * A process that may read an object can take *shared* locks on its bytes, and so keep a write lock
 * from being taken (denial of service, no damage). It can't fake life: that is asked with F_RDLCK,
 * which shared locks don't answer.
 *
 * Measured on tmpfs: offsets up to 2^62 work; a question costs 0.3 to 0.7 us and is no memory
 * barrier; a stopped process keeps its locks. A killed one loses them when its agent has ended,
 * reaped or not. None of its threads runs in user mode any more by then: the kernel marks every
 * thread for death, and interrupts those that run, before it lets go of the lock that the agent
 * needs to act on its own mark. So "its lock is free" implies "it stores nothing any more";
 * tests/model/writer.pml shows what would break without that.
 */
#ifndef K2K_LOCK_H
#define K2K_LOCK_H

#include "segment.h"

/* of live, while it is being named */
#define K2K_LOCK_BYTE_CREATOR (UINT64_C(1) << 40)
/* of a defs that can't be mapped */
#define K2K_LOCK_BYTE_REMOVER (UINT64_C(1) << 40)
/* An incarnation is the offset of its byte: a broker's in live, an administrator's in defs. */
#define K2K_LOCK_BYTE_LIFE_MIN (UINT64_C(1) << 41)
#define K2K_LOCK_BYTE_LIFE_MAX (UINT64_C(1) << 62)

struct k2k_lock {
	/* in the agent's table; 0: not held, because 0 to 2 are never ours there */
	int fd;
};

/*
 * On the agent. Tries once. 0; K2K_EBUSY without a detail if it is held; K2K_EFENCED if the name
 * is not this object's any more.
 */
int k2k_lock_try(const struct k2k_segment *seg, uint64_t byte, struct k2k_lock *lock);
/* On the agent. */
void k2k_lock_drop(struct k2k_lock *lock);

/* Anywhere. Is it held for writing? If that can't be told: true. No memory barrier. */
bool k2k_lock_is_held(const struct k2k_segment *seg, uint64_t byte);
/* The same of several at once. */
void k2k_lock_are_held(const struct k2k_segment *seg, const uint64_t *bytes, bool *held,
                       uint32_t count);
/* On the agent. Is any byte of life held for writing? If that can't be told: true. */
bool k2k_lock_any_life(const struct k2k_segment *seg);

/*
 * Anywhere. The pid of a process that has a lock on `byte`, from /proc (slow), or 0. for_writing
 * leaves shared locks out. command gets its comm.
 */
uint64_t k2k_lock_find_holder(const struct k2k_segment *seg, uint64_t byte, bool for_writing,
                              char command[16]);

#endif
