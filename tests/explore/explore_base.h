/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * explore_base.h - the atomics of lib/base.h as calls into the explorer. lib/base.h includes it in
 * place of its own if K2K_EXPLORE is defined.
 *
 * Every access passes the address, the size, the memory order, and its place in the source, so a
 * trace names the line and a search can weaken one access by its line.
 */
#ifndef K2K_EXPLORE_BASE_H
#define K2K_EXPLORE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A set: acquire and release are bits, so that each half can be taken away alone. */
enum explore_order {
	EXPLORE_RELAXED = 0,
	EXPLORE_ACQUIRE = 1,
	EXPLORE_RELEASE = 2,
	EXPLORE_ACQ_REL = 3,
	EXPLORE_SEQ_CST = 7, /* of fences alone: base.h has no other seq_cst access */
};

enum explore_rmw {
	EXPLORE_ADD,
	EXPLORE_SUB,
	EXPLORE_OR,
	EXPLORE_AND,
	EXPLORE_EXCHANGE,
};

/* Where an access is: one static object each. */
struct explore_site {
	const char *file;
	int line;
	const char *text;
	/* the explorer's: those that have run */
	bool ran;
	enum explore_order order;
	unsigned int left; /* of the order: --weaken */
	struct explore_site *next;
};

uint64_t explore_load(const volatile void *p, size_t bytes, enum explore_order order,
                      struct explore_site *site);
void explore_store(volatile void *p, size_t bytes, uint64_t value, enum explore_order order,
                   struct explore_site *site);
uint64_t explore_rmw(volatile void *p, size_t bytes, enum explore_rmw what, uint64_t operand,
                     enum explore_order order, struct explore_site *site);
bool explore_cas(volatile void *p, size_t bytes, void *expected, uint64_t value,
                 enum explore_order order, enum explore_order failure, struct explore_site *site);
/* Two words of 8 bytes, as one access. */
bool explore_cas_pair(volatile void *low, volatile void *high, uint64_t low_was, uint64_t high_was,
                      uint64_t new_low, uint64_t new_high, enum explore_order order,
                      enum explore_order failure, struct explore_site *site);
/* A step: this thread waits until another has stored something. */
void explore_yield(void);
void explore_fence(enum explore_order order, struct explore_site *site);

#define EXPLORE_SITE(expression)                                           \
	({                                                                 \
		static struct explore_site site_ = { .file = __FILE__,     \
			                             .line = __LINE__,     \
			                             .text = expression }; \
		&site_;                                                    \
	})
/* what a load of *p has as its type: without _Atomic and const */
#define EXPLORE_VALUE(p) __typeof__(atomic_load_explicit((p), memory_order_relaxed))
#define EXPLORE_LOAD(p, order) \
	((EXPLORE_VALUE(p))(uintptr_t)explore_load((p), sizeof(*(p)), (order), EXPLORE_SITE(#p)))
#define EXPLORE_STORE(p, v, order) \
	explore_store((p), sizeof(*(p)), (uint64_t)(EXPLORE_VALUE(p))(v), (order), EXPLORE_SITE(#p))
/* a statement expression, whose value nobody need use */
#define EXPLORE_RMW(p, what, v, order)                                                          \
	({                                                                                      \
		(EXPLORE_VALUE(p))(uintptr_t)                                                   \
			explore_rmw((p), sizeof(*(p)), (what), (uint64_t)(EXPLORE_VALUE(p))(v), \
		                    (order), EXPLORE_SITE(#p));                                 \
	})
#define EXPLORE_CAS(p, expected, v, order, failure)                                          \
	explore_cas((p), sizeof(*(p)), (expected), (uint64_t)(EXPLORE_VALUE(p))(v), (order), \
	            (failure), EXPLORE_SITE(#p))

#define k2k_load_relaxed(p) EXPLORE_LOAD(p, EXPLORE_RELAXED)
#define k2k_load_acquire(p) EXPLORE_LOAD(p, EXPLORE_ACQUIRE)
#define k2k_store_relaxed(p, v) EXPLORE_STORE(p, v, EXPLORE_RELAXED)
#define k2k_store_release(p, v) EXPLORE_STORE(p, v, EXPLORE_RELEASE)
#define k2k_add_relaxed(p, v) EXPLORE_RMW(p, EXPLORE_ADD, v, EXPLORE_RELAXED)
#define k2k_add_acq_rel(p, v) EXPLORE_RMW(p, EXPLORE_ADD, v, EXPLORE_ACQ_REL)
#define k2k_sub_relaxed(p, v) EXPLORE_RMW(p, EXPLORE_SUB, v, EXPLORE_RELAXED)
#define k2k_sub_release(p, v) EXPLORE_RMW(p, EXPLORE_SUB, v, EXPLORE_RELEASE)
#define k2k_or_relaxed(p, v) EXPLORE_RMW(p, EXPLORE_OR, v, EXPLORE_RELAXED)
#define k2k_or_release(p, v) EXPLORE_RMW(p, EXPLORE_OR, v, EXPLORE_RELEASE)
#define k2k_and_relaxed(p, v) EXPLORE_RMW(p, EXPLORE_AND, v, EXPLORE_RELAXED)
#define k2k_exchange_relaxed(p, v) EXPLORE_RMW(p, EXPLORE_EXCHANGE, v, EXPLORE_RELAXED)
#define k2k_exchange_acquire(p, v) EXPLORE_RMW(p, EXPLORE_EXCHANGE, v, EXPLORE_ACQUIRE)
#define k2k_exchange_acq_rel(p, v) EXPLORE_RMW(p, EXPLORE_EXCHANGE, v, EXPLORE_ACQ_REL)
#define k2k_cas_relaxed(p, expected, v) \
	EXPLORE_CAS(p, expected, v, EXPLORE_RELAXED, EXPLORE_RELAXED)
#define k2k_cas_acquire(p, expected, v) \
	EXPLORE_CAS(p, expected, v, EXPLORE_ACQUIRE, EXPLORE_RELAXED)
#define k2k_cas_acq_rel(p, expected, v) \
	EXPLORE_CAS(p, expected, v, EXPLORE_ACQ_REL, EXPLORE_ACQUIRE)
/* as a strong one: a failure for no reason comes to one more turn of the loop around it */
#define k2k_cas_weak_relaxed(p, expected, v) \
	EXPLORE_CAS(p, expected, v, EXPLORE_RELAXED, EXPLORE_RELAXED)
#define k2k_cas_weak_release(p, expected, v) \
	EXPLORE_CAS(p, expected, v, EXPLORE_RELEASE, EXPLORE_RELAXED)
#define k2k_cas_pair_acq_rel(low, high, low_was, high_was, new_low, new_high)         \
	explore_cas_pair((low), (high), (low_was), (high_was), (new_low), (new_high), \
	                 EXPLORE_ACQ_REL, EXPLORE_ACQUIRE, EXPLORE_SITE(#low))
#define k2k_fence_acquire() explore_fence(EXPLORE_ACQUIRE, EXPLORE_SITE("acquire"))
#define k2k_fence_release() explore_fence(EXPLORE_RELEASE, EXPLORE_SITE("release"))
#define k2k_fence_seq_cst() explore_fence(EXPLORE_SEQ_CST, EXPLORE_SITE("seq_cst"))
#define k2k_fence_compiler() ((void)0)
#define k2k_relax() explore_yield()

#endif
