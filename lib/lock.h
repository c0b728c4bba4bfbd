/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lock.h (F2) - locked bytes: proof of life, and exclusion where no memory is shared.
 *
 * A lock is an open-file-description lock (Linux, F_OFD_SETLK) on one byte far beyond the data, on
 * an open of its own in the agent's table (agent.h). It ends with k2k_lock_drop() or with the
 * agent, and with nothing else: no closefrom() ends it, and no child prolongs it.
 *
 * A process that may read an object can take *shared* locks on its bytes, and so prevent a write
 * lock: that denies service and does no damage. It can't fake life: life is asked with F_RDLCK,
 * with which shared locks don't conflict.
 *
 * Measured on tmpfs: offsets up to 2^62 work; a question costs 0.3 to 0.7 us and is no memory
 * barrier; a stopped process keeps its locks. A killed process loses them when its agent has ended,
 * whether it has been reaped or not. By then none of its threads runs in user mode: the kernel
 * marks every thread for death, and interrupts those that run, before it releases the lock that the
 * agent needs to act on its own mark. So "its lock is free" implies "it stores nothing any more";
 * tests/model/writer.pml shows what would break otherwise.
 */
#ifndef K2K_LOCK_H
#define K2K_LOCK_H

#include "segment.h"

/* of live, while it is being linked */
#define K2K_LOCK_BYTE_CREATOR (UINT64_C(1) << 40)
/* of a defs that can't be mapped, while it is being removed */
#define K2K_LOCK_BYTE_REMOVER (UINT64_C(1) << 40)
/* An incarnation is the offset of its byte: a broker's in live, an administrator's in defs. */
#define K2K_LOCK_BYTE_LIFE_MIN (UINT64_C(1) << 41)
#define K2K_LOCK_BYTE_LIFE_MAX (UINT64_C(1) << 62)

struct k2k_lock {
	/* in the agent's table; 0: not held (0 to 2 are never ours there) */
	int fd;
};

/*
 * On the agent. Tries once. 0; K2K_EBUSY without a detail if another process holds it; K2K_EFENCED
 * if the object's name leads elsewhere by now; K2K_EPERM; K2K_EIO.
 */
int k2k_lock_try(const struct k2k_segment *seg, uint64_t byte, struct k2k_lock *lock);
/* On the agent. */
void k2k_lock_drop(struct k2k_lock *lock);

/* On any thread. Is it held for writing? True if that can't be found out. No memory barrier. */
bool k2k_lock_is_held(const struct k2k_segment *seg, uint64_t byte);
/* The same for several bytes at once. */
void k2k_lock_are_held(const struct k2k_segment *seg, const uint64_t *bytes, bool *held,
                       uint32_t count);
/*
 * On the agent. Is the byte of any incarnation held for writing? True if that can't be found out.
 */
bool k2k_lock_any_life(const struct k2k_segment *seg);

/*
 * On any thread. The pid of a process that holds a lock on `byte`, from /proc (slow), or 0.
 * for_writing leaves shared locks out. command gets its comm.
 */
uint64_t k2k_lock_find_holder(const struct k2k_segment *seg, uint64_t byte, bool for_writing,
                              char command[16]);

#endif
