/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lock.h (F2) - locks on single bytes of an object: they prove that a process is alive, and give
 * exclusion between processes that share no memory.
 *
 * A lock is an open-file-description lock (Linux, F_OFD_SETLK) on one byte far beyond the data. It
 * has an open file description of its own in the agent's table (agent.h). It ends with
 * k2k_lock_drop() or with the agent, and with nothing else: closefrom() does not end it, and a
 * child does not prolong it.
 *
 * A process that may read an object can take *shared* locks on its bytes, and so prevent a write
 * lock: that denies service but damages nothing. It can't fake life: the kernel is asked whether
 * F_RDLCK would conflict, and a shared lock does not conflict with that.
 *
 * Measured on tmpfs: offsets up to 2^62 work; a query takes 0.3 to 0.7 us and is no memory barrier;
 * a stopped process keeps its locks. A killed process loses them when its agent has ended, whether
 * the process has been reaped or not. By then none of its threads runs in user mode: the kernel
 * marks every thread for death, and interrupts the running ones, before it releases the kernel lock
 * without which the agent can't act on its own mark. So "its lock is free" implies "it stores
 * nothing any more"; tests/model/writer.pml shows what would break otherwise.
 */
#ifndef K2K_LOCK_H
#define K2K_LOCK_H

#include "segment.h"

/* of live: locked by the creator until defs is linked, so that a sweep does not remove live */
#define K2K_LOCK_BYTE_CREATOR (UINT64_C(1) << 40)
/* of a defs that can't be mapped: locked by the process that removes it */
#define K2K_LOCK_BYTE_REMOVER (UINT64_C(1) << 40)
/* An incarnation is the offset of its byte: a broker's in live, an administrator's in defs. */
#define K2K_LOCK_BYTE_LIFE_MIN (UINT64_C(1) << 41)
#define K2K_LOCK_BYTE_LIFE_MAX (UINT64_C(1) << 62)

struct k2k_lock {
	/* in the agent's table; 0: not held (the descriptors 0 to 2 are placeholders there) */
	int fd;
};

/*
 * On the agent. Tries once. 0; K2K_EBUSY without a detail if another process holds it; K2K_EFENCED
 * if the object's name leads elsewhere by now; K2K_EPERM; K2K_EIO.
 */
int k2k_lock_try(const struct k2k_segment *seg, uint64_t byte, struct k2k_lock *lock);
/* On the agent. */
void k2k_lock_drop(struct k2k_lock *lock);

/*
 * On any thread. Does a process hold a write lock on `byte`? True also if the kernel can't answer.
 * This is no memory barrier.
 */
bool k2k_lock_is_held(const struct k2k_segment *seg, uint64_t byte);
/* The same for several bytes at once. */
void k2k_lock_are_held(const struct k2k_segment *seg, const uint64_t *bytes, bool *held,
                       uint32_t count);
/*
 * On the agent. Is the byte of any incarnation write-locked? True also if the kernel can't answer.
 */
bool k2k_lock_any_life(const struct k2k_segment *seg);

/*
 * On any thread. Returns the pid of a process that holds a lock on `byte`, or 0; *command becomes
 * its comm. If `for_writing`, shared locks are ignored. It searches all of /proc, which is slow.
 */
uint64_t k2k_lock_find_holder(const struct k2k_segment *seg, uint64_t byte, bool for_writing,
                              char command[16]);

#endif
