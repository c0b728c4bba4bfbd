/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * lock.h (F2) - locked bytes: exclusion between processes, and proof of life.
 *
 * An open-file-description lock (Linux, F_OFD_SETLK) on one byte far beyond the
 * data. It is taken on an open of its own, kept alive by a one-page mapping that
 * a forked child does not get (MADV_DONTFORK), and the descriptor is closed: so
 * the lock ends with this address space or with k2k_lock_drop, and with nothing
 * else. closefrom() does not end it, a child that lives on does not prolong it.
 *
 * Between open and close of that descriptor a fork() would hand it to the child;
 * k2k_lock_fork_guard() excludes that: the fork handlers in grace.c hold it.
 *
 * Who may read an object can take *shared* locks on its bytes, and so keep a
 * write lock from being taken (denial of service, no damage). They can't fake
 * life: that is asked with F_RDLCK, which shared locks don't answer.
 *
 * Measured on tmpfs: offsets up to 2^62 work; a question costs 0.3 to 0.7 us and
 * is no memory barrier; a killed process loses its locks when its memory is
 * gone (0.2 ms, seconds for many GiB), reaped or not; a stopped one keeps them.
 */
#ifndef K2K_LOCK_H
#define K2K_LOCK_H

#include "segment.h"

#define K2K_LOCK_BYTE_WRITER (UINT64_C(1) << 40)                 /* of defs; of live: the creator's */
#define K2K_LOCK_BYTE_CREATOR (UINT64_C(1) << 40)
#define K2K_LOCK_BYTE_PIN(slot) ((UINT64_C(1) << 40) + 16 + (slot))  /* of defs: keeps a retired tenant slot from reuse */
#define K2K_LOCK_BYTE_LIFE_MIN (UINT64_C(1) << 41)               /* of live: an incarnation is its byte's offset */
#define K2K_LOCK_BYTE_LIFE_MAX (UINT64_C(1) << 62)

struct k2k_lock {
	void *page;      /* null: not held */
};

/* Tries once. 0; K2K_EBUSY without a detail where somebody holds it; K2K_EFENCED where the name is not this object's any more. */
int k2k_lock_try(const struct k2k_segment *seg, uint64_t byte, struct k2k_lock *lock);
/* The same; with the lock held it calls sign(context), and only then closes the descriptor: until then k2k_lock_find_holder finds us. */
int k2k_lock_try_signed(const struct k2k_segment *seg, uint64_t byte, struct k2k_lock *lock, void (*sign)(void *context), void *context);
void k2k_lock_drop(struct k2k_lock *lock);

/* Does anybody hold it for writing? Where that can't be told (no name, no descriptor): true. No memory barrier. */
bool k2k_lock_is_held(struct k2k_segment *seg, uint64_t byte);

/*
 * A pid of a process that has a lock on `byte`, and its descriptor still open, from /proc (slow), or 0. `for_writing`:
 * leaves shared locks out. `command` gets its comm.
 */
uint64_t k2k_lock_find_holder(const struct k2k_segment *seg, uint64_t byte, bool for_writing, char command[16]);

void k2k_lock_fork_guard(bool enter);

#endif
