/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * base.h (F0) - what every floor uses: short names for the atomic accesses, the size of a cache
 * line, saturating 64-bit arithmetic, and a mixing function.
 *
 * Each short name contains its memory order: k2k_load_acquire(p) and so on. No name leaves the
 * order out, so nobody gets a default order by accident. Every atomic access of the library uses
 * one of these names (scripts/check-labels checks that), so tests/explore sees all accesses.
 *
 * assert() is for conditions that this library alone guarantees. Builds without NDEBUG (the presets
 * dev, asan, tsan, torture and fuzz) abort if one is false; other builds don't evaluate it. Never
 * assert on a caller's argument, nor on anything read from shared memory: other processes write
 * there, so any value is possible. More assertions: k2k_assert_locked() in thread.h,
 * k2k_assert_on_agent() in agent.h, k2k_assert_in_section() in rcu.h, k2k_assert_writer() in
 * writer.h.
 */
#ifndef K2K_BASE_H
#define K2K_BASE_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define K2K_CACHE_LINE 64
#define K2K_NS_PER_SEC UINT64_C(1000000000)

#define k2k_likely(x) __builtin_expect(!!(x), 1)
#define k2k_unlikely(x) __builtin_expect(!!(x), 0)
#define K2K_COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

typedef _Atomic uint64_t k2k_u64;
typedef _Atomic uint32_t k2k_u32;

#ifdef K2K_EXPLORE
#include "explore_base.h" /* tests/explore: the same names, as calls into an explorer */
#else
#define k2k_load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define k2k_load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define k2k_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define k2k_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define k2k_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define k2k_add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define k2k_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define k2k_sub_release(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_release)
#define k2k_or_relaxed(p, v) atomic_fetch_or_explicit((p), (v), memory_order_relaxed)
#define k2k_or_release(p, v) atomic_fetch_or_explicit((p), (v), memory_order_release)
#define k2k_and_relaxed(p, v) atomic_fetch_and_explicit((p), (v), memory_order_relaxed)
#define k2k_exchange_relaxed(p, v) atomic_exchange_explicit((p), (v), memory_order_relaxed)
#define k2k_exchange_acquire(p, v) atomic_exchange_explicit((p), (v), memory_order_acquire)
#define k2k_exchange_acq_rel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
/*
 * A compare-exchange that fails is only a load: acquire in the acq_rel form, relaxed in the others.
 * A weak one may fail although the values are equal.
 */
#define k2k_cas_relaxed(p, expected, v)                                                     \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_relaxed, \
	                                        memory_order_relaxed)
#define k2k_cas_acquire(p, expected, v)                                                     \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acquire, \
	                                        memory_order_relaxed)
#define k2k_cas_acq_rel(p, expected, v)                                                     \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acq_rel, \
	                                        memory_order_acquire)
#define k2k_cas_weak_relaxed(p, expected, v)                                              \
	atomic_compare_exchange_weak_explicit((p), (expected), (v), memory_order_relaxed, \
	                                      memory_order_relaxed)
#define k2k_cas_weak_release(p, expected, v)                                              \
	atomic_compare_exchange_weak_explicit((p), (expected), (v), memory_order_release, \
	                                      memory_order_relaxed)

/* Two words that one compare-exchange of 16 bytes changes. */
#ifdef __SANITIZE_THREAD__
/* libtsan's own may take a lock that is private to the process */
#define K2K_PAIR_ATTRIBUTE __attribute__((noinline, unused, no_sanitize("thread")))
#else
#define K2K_PAIR_ATTRIBUTE inline
#endif
/*
 * `low` is aligned to 16 bytes, and `high` is the word after it. It fails as a load of both. Not
 * libatomic's, whose lock is private to a process: on x86-64 cmpxchg16b (k2k_rate_open() asks for
 * it), written out because clang calls a function for the builtin; on aarch64 casp or ldxp and
 * stxp, in line or from libgcc.
 */
static K2K_PAIR_ATTRIBUTE bool k2k_cas_pair(k2k_u64 *low, k2k_u64 *high, uint64_t low_was,
                                            uint64_t high_was, uint64_t new_low, uint64_t new_high)
{
	typedef unsigned __int128 __attribute__((may_alias)) pair;

	assert((uintptr_t)low % 16 == 0 && high == low + 1);
	(void)high;
#ifdef __x86_64__
	bool swapped;

	__asm__ volatile("lock cmpxchg16b %1"
	                 : "=@ccz"(swapped), "+m"(*(pair *)low), "+a"(low_was), "+d"(high_was)
	                 : "b"(new_low), "c"(new_high)
	                 : "memory");
	return swapped;
#else
	return __sync_bool_compare_and_swap((pair *)low, (pair)high_was << 64 | low_was,
	                                    (pair)new_high << 64 | new_low);
#endif
}

#define k2k_cas_pair_acq_rel(low, high, low_was, high_was, new_low, new_high) \
	k2k_cas_pair((low), (high), (low_was), (high_was), (new_low), (new_high))
#define k2k_fence_acquire() atomic_thread_fence(memory_order_acquire)
#define k2k_fence_release() atomic_thread_fence(memory_order_release)
#define k2k_fence_seq_cst() atomic_thread_fence(memory_order_seq_cst)
#define k2k_fence_compiler() atomic_signal_fence(memory_order_seq_cst)

/* A spinning thread calls this between two loads of the word that it waits for. */
static inline void k2k_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}
#endif

/* Saturating: the result stops at UINT64_MAX or at 0 instead of wrapping around. */
static inline uint64_t k2k_sat_add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static inline uint64_t k2k_sat_sub(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* The sum of a count and a signed number. */
static inline uint64_t k2k_sat_add_signed(uint64_t a, int64_t b)
{
	return b < 0 ? k2k_sat_sub(a, -(uint64_t)b) : k2k_sat_add(a, (uint64_t)b);
}

/* The sum of two signed numbers, which stops at INT64_MIN and INT64_MAX. */
static inline int64_t k2k_sat_sum(int64_t a, int64_t b)
{
	int64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? (b < 0 ? INT64_MIN : INT64_MAX) : sum;
}

/*
 * The 64-bit finaliser of MurmurHash3 (Austin Appleby, public domain): every input bit reaches
 * every output bit.
 */
static inline uint64_t k2k_mix64(uint64_t x)
{
	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	x ^= x >> 33;
	x *= UINT64_C(0xc4ceb9fe1a85ec53);
	x ^= x >> 33;
	return x;
}

#endif
