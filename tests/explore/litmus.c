/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * litmus.c - the explorer's own tests: the classic litmus tests come to exactly what RC11 allows.
 *
 * The names are those of Alglave, Maranget and Tautschnig (Herding Cats, TOPLAS 2014). An outcome
 * is what each thread has read, in the order of threads, and then the final values, if they are
 * named.
 */
#include "explore.h"

static EXPLORE_SHARED k2k_u32 x, y, z;

static void setup(void)
{
	x = y = z = 0;
}

#define RLX(p) k2k_load_relaxed(p)
#define ACQ(p) k2k_load_acquire(p)
#define SET(p, v) k2k_store_relaxed(p, v)
#define REL(p, v) k2k_store_release(p, v)
#define ADD(p) k2k_add_relaxed(p, 1)
#define SC() k2k_fence_seq_cst()
#define THREAD(name, ...)      \
	static void name(void) \
	{                      \
		__VA_ARGS__;   \
	}
/* before, then a load, after it, and what was loaded */
#define READS(name, before, load, ...)        \
	static void name(void)                \
	{                                     \
		uint32_t found;               \
                                              \
		before;                       \
		found = load;                 \
		__VA_ARGS__;                  \
		explore_outcome("%u", found); \
	}
#define READS2(name, first, second)             \
	static void name(void)                  \
	{                                       \
		uint32_t a = first, b = second; \
                                                \
		explore_outcome("%u%u", a, b);  \
	}
#define OUTCOMES(...) .setup = setup, .outcomes = { __VA_ARGS__ }

static void final_x(void)
{
	explore_outcome("%u", k2k_load_relaxed(&x));
}

static void final_xy(void)
{
	explore_outcome("%u%u", k2k_load_relaxed(&x), k2k_load_relaxed(&y));
}

/* ---- message passing ---------------------------------------------------------------- */

THREAD(mp_set, SET(&x, 1); SET(&y, 1))
THREAD(mp_set_rel, SET(&x, 1); REL(&y, 1))
THREAD(mp_set_fence, SET(&x, 1); k2k_fence_release(); SET(&y, 1))
READS2(mp_get, RLX(&y), RLX(&x))
READS2(mp_get_acq, ACQ(&y), RLX(&x))
READS2(mp_get_fence, RLX(&y), (k2k_fence_acquire(), RLX(&x)))

PROGRAM(litmus_mp, .what = "MP, relaxed", .threads = { mp_set, mp_get },
        OUTCOMES("00", "01", "10", "11"))
PROGRAM(litmus_mp_rel_acq, .what = "MP, release and acquire", .threads = { mp_set_rel, mp_get_acq },
        OUTCOMES("00", "01", "11"))
PROGRAM(litmus_mp_fences, .what = "MP, fences", .threads = { mp_set_fence, mp_get_fence },
        OUTCOMES("00", "01", "11"))
PROGRAM(litmus_mp_rel_fence, .what = "MP, release store and acquire fence",
        .threads = { mp_set_rel, mp_get_fence }, OUTCOMES("00", "01", "11"))
PROGRAM(litmus_mp_fence_acq, .what = "MP, release fence and acquire load",
        .threads = { mp_set_fence, mp_get_acq }, OUTCOMES("00", "01", "11"))
PROGRAM(litmus_mp_acq, .what = "MP, acquire alone", .threads = { mp_set, mp_get_acq },
        OUTCOMES("00", "01", "10", "11"))
PROGRAM(litmus_mp_rel, .what = "MP, release alone", .threads = { mp_set_rel, mp_get },
        OUTCOMES("00", "01", "10", "11"))

/* ---- store buffering ---------------------------------------------------------------- */

READS(sb_x, SET(&x, 1), RLX(&y), )
READS(sb_y, SET(&y, 1), RLX(&x), )
READS(sb_x_ra, REL(&x, 1), ACQ(&y), )
READS(sb_y_ra, REL(&y, 1), ACQ(&x), )
READS(sb_x_sc, SET(&x, 1); SC(), RLX(&y), )
READS(sb_y_sc, SET(&y, 1); SC(), RLX(&x), )

PROGRAM(litmus_sb, .what = "SB, relaxed", .threads = { sb_x, sb_y },
        OUTCOMES("0 0", "0 1", "1 0", "1 1"))
PROGRAM(litmus_sb_ra, .what = "SB, release and acquire", .threads = { sb_x_ra, sb_y_ra },
        OUTCOMES("0 0", "0 1", "1 0", "1 1"))
PROGRAM(litmus_sb_one_fence, .what = "SB, one seq_cst fence", .threads = { sb_x_sc, sb_y },
        OUTCOMES("0 0", "0 1", "1 0", "1 1"))
PROGRAM(litmus_sb_fences, .what = "SB, seq_cst fences", .threads = { sb_x_sc, sb_y_sc },
        OUTCOMES("0 1", "1 0", "1 1"))

READS(sb_x_barrier, SET(&x, 1); explore_fence_process(), RLX(&y), )

/* the other thread has no fence of its own; it comes last, and may come first all the same */
PROGRAM(litmus_sb_barrier, .what = "SB, membarrier", .threads = { sb_x_barrier, sb_y },
        .process = { 1, 1 }, OUTCOMES("0 1", "1 0", "1 1"))

/* ---- load buffering: RC11 forbids what C11 allows ------------------------------------- */

READS(lb_x, , RLX(&x), SET(&y, 1))
READS(lb_y, , RLX(&y), SET(&x, 1))

PROGRAM(litmus_lb, .what = "LB, relaxed", .threads = { lb_x, lb_y }, OUTCOMES("0 0", "0 1", "1 0"))

/* ---- coherence ------------------------------------------------------------------------ */

THREAD(x1, SET(&x, 1))
THREAD(x2, SET(&x, 2))
THREAD(x1_x2, SET(&x, 1); SET(&x, 2))
READS2(x_x, RLX(&x), RLX(&x))
READS(corw, , RLX(&x), SET(&x, 1))
READS(cowr, SET(&x, 1), RLX(&x), )

static uint32_t seen[2][2];
#define SEES(number)                               \
	static void sees_##number(void)            \
	{                                          \
		for (int i = 0; i < 2; i++)        \
			seen[number][i] = RLX(&x); \
	}
SEES(0)
SEES(1)
static void agree(void)
{
	bool up = false, down = false;

	for (int i = 0; i < 2; i++) {
		up |= seen[i][0] == 1 && seen[i][1] == 2;
		down |= seen[i][0] == 2 && seen[i][1] == 1;
	}
	explore_outcome("%d%d", up, down);
}

PROGRAM(litmus_corr, .what = "CoRR", .threads = { x1, x_x }, OUTCOMES("00", "01", "11"))
PROGRAM(litmus_corr_two, .what = "CoRR, two writers", .threads = { x1, x2, x_x },
        OUTCOMES("00", "01", "02", "11", "12", "21", "22"))
PROGRAM(litmus_corr_four, .what = "CoRR, two readers agree on the order",
        .threads = { x1, x2, sees_0, sees_1 }, .check = agree, OUTCOMES("00", "01", "10"))
PROGRAM(litmus_coww, .what = "CoWW", .threads = { x1_x2, x_x }, .check = final_x,
        OUTCOMES("00 2", "01 2", "02 2", "11 2", "12 2", "22 2"))
PROGRAM(litmus_corw, .what = "CoRW", .threads = { corw, x2 }, .check = final_x,
        OUTCOMES("0 1", "0 2", "2 1"))
PROGRAM(litmus_cowr, .what = "CoWR", .threads = { cowr, x2 }, .check = final_x,
        OUTCOMES("1 1", "1 2", "2 2"))

/* ---- two writers each --------------------------------------------------------------- */

THREAD(w22_a, SET(&x, 1); SET(&y, 2))
THREAD(w22_b, SET(&y, 1); SET(&x, 2))
THREAD(w22_a_rel, REL(&x, 1); REL(&y, 2))
THREAD(w22_b_rel, REL(&y, 1); REL(&x, 2))
THREAD(w22_a_sc, SET(&x, 1); SC(); SET(&y, 2))
THREAD(w22_b_sc, SET(&y, 1); SC(); SET(&x, 2))

PROGRAM(litmus_2_2w, .what = "2+2W, relaxed", .threads = { w22_a, w22_b }, .check = final_xy,
        OUTCOMES("11", "12", "21", "22"))
PROGRAM(litmus_2_2w_rel, .what = "2+2W, release", .threads = { w22_a_rel, w22_b_rel },
        .check = final_xy, OUTCOMES("11", "12", "21", "22"))
PROGRAM(litmus_2_2w_fences, .what = "2+2W, seq_cst fences", .threads = { w22_a_sc, w22_b_sc },
        .check = final_xy, OUTCOMES("12", "21", "22"))

THREAD(s_set, SET(&x, 2); SET(&y, 1))
THREAD(s_set_rel, SET(&x, 2); REL(&y, 1))
READS(s_get, , RLX(&y), SET(&x, 1))
READS(s_get_acq, , ACQ(&y), SET(&x, 1))

PROGRAM(litmus_s, .what = "S, relaxed", .threads = { s_set, s_get }, .check = final_x,
        OUTCOMES("0 1", "0 2", "1 1", "1 2"))
PROGRAM(litmus_s_rel_acq, .what = "S, release and acquire", .threads = { s_set_rel, s_get_acq },
        .check = final_x, OUTCOMES("0 1", "0 2", "1 1"))

/* ---- three and four threads ------------------------------------------------------------ */

READS(wrc, , RLX(&x), SET(&y, 1))
READS(wrc_rel, , RLX(&x), REL(&y, 1))

PROGRAM(litmus_wrc, .what = "WRC, relaxed", .threads = { x1, wrc, mp_get },
        OUTCOMES("0 00", "0 01", "0 10", "0 11", "1 00", "1 01", "1 10", "1 11"))
PROGRAM(litmus_wrc_rel_acq, .what = "WRC, release and acquire",
        .threads = { x1, wrc_rel, mp_get_acq },
        OUTCOMES("0 00", "0 01", "0 10", "0 11", "1 00", "1 01", "1 11"))

READS(isa2, , ACQ(&y), REL(&z, 1))
READS2(isa2_get, ACQ(&z), RLX(&x))
READS(isa2_no_rel, , ACQ(&y), SET(&z, 1))

PROGRAM(litmus_isa2, .what = "ISA2, release and acquire", .threads = { mp_set_rel, isa2, isa2_get },
        OUTCOMES("0 00", "0 01", "0 10", "0 11", "1 00", "1 01", "1 11"))
PROGRAM(litmus_isa2_relaxed, .what = "ISA2, a relaxed store in the middle",
        .threads = { mp_set_rel, isa2_no_rel, isa2_get },
        OUTCOMES("0 00", "0 01", "0 10", "0 11", "1 00", "1 01", "1 10", "1 11"))

THREAD(y1_rel, REL(&y, 1))
THREAD(x1_rel, REL(&x, 1))
READS2(iriw_xy, ACQ(&x), ACQ(&y))
READS2(iriw_yx, ACQ(&y), ACQ(&x))
READS2(iriw_xy_sc, RLX(&x), (SC(), RLX(&y)))
READS2(iriw_yx_sc, RLX(&y), (SC(), RLX(&x)))

PROGRAM(litmus_iriw, .what = "IRIW, release and acquire",
        .threads = { x1_rel, y1_rel, iriw_xy, iriw_yx },
        OUTCOMES("00 00", "00 01", "00 10", "00 11", "01 00", "01 01", "01 10", "01 11", "10 00",
                 "10 01", "10 10", "10 11", "11 00", "11 01", "11 10", "11 11"))
PROGRAM(litmus_iriw_fences, .what = "IRIW, seq_cst fences",
        .threads = { x1_rel, y1_rel, iriw_xy_sc, iriw_yx_sc },
        OUTCOMES("00 00", "00 01", "00 10", "00 11", "01 00", "01 01", "01 10", "01 11", "10 00",
                 "10 01", "10 11", "11 00", "11 01", "11 10", "11 11"))
PROGRAM(litmus_rwc_fences, .what = "RWC, seq_cst fences", .threads = { x1, iriw_xy_sc, sb_y_sc },
        OUTCOMES("00 0", "00 1", "01 0", "01 1", "10 1", "11 0", "11 1"))

/* ---- read-modify-writes -------------------------------------------------------------------- */

READS(add_x, , ADD(&x), )
THREAD(x5_y1, SET(&x, 5); SET(&y, 1))
READS2(y_add_x, RLX(&y), ADD(&x))
THREAD(x1_y10_rel, SET(&x, 1); REL(&y, 10))
THREAD(x1_y10_y20, SET(&x, 1); REL(&y, 10); SET(&y, 20))
THREAD(add_y, ADD(&y))
THREAD(set_y, SET(&y, 11))
static void swap_x(uint32_t to)
{
	uint32_t free = 0;
	bool done = k2k_cas_acq_rel(&x, &free, to);

	explore_outcome("%d%u", done, free);
}
THREAD(cas_x1, swap_x(1))
THREAD(cas_x2, swap_x(2))

PROGRAM(litmus_add, .what = "no addition is lost", .threads = { add_x, add_x, add_x },
        .check = final_x,
        OUTCOMES("0 1 2 3", "0 2 1 3", "1 0 2 3", "1 2 0 3", "2 0 1 3", "2 1 0 3"))
PROGRAM(litmus_add_store, .what = "an addition reads what stands before it",
        .threads = { x5_y1, y_add_x }, .check = final_x, OUTCOMES("00 5", "05 6", "10 5", "15 6"))
PROGRAM(litmus_cas, .what = "one compare-exchange wins", .threads = { cas_x1, cas_x2 },
        .check = final_x, OUTCOMES("10 01 1", "02 10 2"))
PROGRAM(litmus_release_sequence, .what = "an addition passes on a release",
        .threads = { x1_y10_rel, add_y, mp_get_acq },
        OUTCOMES("00", "01", "10", "11", "101", "111"))
PROGRAM(litmus_release_broken, .what = "another's store does not pass it on",
        .threads = { x1_y10_rel, set_y, mp_get_acq }, OUTCOMES("00", "01", "101", "110", "111"))
PROGRAM(litmus_release_own, .what = "a store of the same thread passes it on",
        .threads = { x1_y10_y20, mp_get_acq }, OUTCOMES("00", "01", "101", "201"))

/* ---- two words that are exchanged as one ------------------------------------------------ */

static struct {
	_Alignas(16) k2k_u64 low, high;
} pair EXPLORE_SHARED;

static void setup_pair(void)
{
	pair.low = pair.high = 0;
}

static void swap_pair(uint64_t to)
{
	explore_outcome("%d", k2k_cas_pair_acq_rel(&pair.low, &pair.high, 0, 0, to, to));
}
THREAD(swap_pair_1, swap_pair(1))
THREAD(swap_pair_2, swap_pair(2))
READS2(pair_get, (unsigned int)ACQ(&pair.low), (unsigned int)RLX(&pair.high))
READS(pair_get_high, , (unsigned int)RLX(&pair.high), )
READS2(pair_get_high_acq, (unsigned int)ACQ(&pair.high), (unsigned int)RLX(&pair.low))

PROGRAM(litmus_pair, .what = "a pair, read word by word", .threads = { swap_pair_1, pair_get },
        .setup = setup_pair, .outcomes = { "1 00", "1 01", "1 11" })
PROGRAM(litmus_pair_back, .what = "a pair, its second word first",
        .threads = { swap_pair_1, pair_get_high_acq }, .setup = setup_pair,
        .outcomes = { "1 00", "1 01", "1 11" })
PROGRAM(litmus_pair_two, .what = "one exchange of a pair wins",
        .threads = { swap_pair_1, swap_pair_2, pair_get_high }, .setup = setup_pair,
        .outcomes = { "0 1 0", "0 1 2", "1 0 0", "1 0 1" })

/*
 * ---- death, standing still, waiting ------------------------------------------------------------
 */

static void ask(bool fence)
{
	uint32_t first, second;

	if (explore_is_alive(0))
		return;
	if (fence)
		SC();
	first = RLX(&x);
	second = RLX(&y);
	explore_outcome("dead%u%u", first, second);
}
THREAD(ask_fence, ask(true))
THREAD(ask_plain, ask(false))

PROGRAM(death_fence, .what = "behind a fence a dead process's stores are seen",
        .threads = { mp_set, ask_fence }, .mortal = 1, .deaths = 1,
        OUTCOMES("dead00", "dead10", "dead11"))
PROGRAM(death_plain, .what = "a death is no fence for who finds it",
        .threads = { mp_set, ask_plain }, .mortal = 1, .deaths = 1,
        OUTCOMES("dead00", "dead01", "dead10", "dead11"))

/* A death after the answer and before the fence: --compare counts it, since no value tells. */
THREAD(ask_only, explore_is_alive(0))
READS2(x_fence_y, RLX(&x), (SC(), RLX(&y)))

PROGRAM(death_between, .what = "a death after a question and before a fence",
        .threads = { mp_set, ask_only, x_fence_y }, .mortal = 1, .deaths = 1,
        OUTCOMES("00", "01", "10", "11"))

static void how_it_ended(void)
{
	explore_outcome("%s%u%u", explore_end_of(0) == EXPLORE_STOPPED ? "stopped" : "ended", x, y);
}
PROGRAM(stop, .what = "a thread stands still after any step", .threads = { mp_set, mp_get_acq },
        .stopping = 1, .stops = 1, .check = how_it_ended,
        OUTCOMES("00 ended11", "01 ended11", "10 ended11", "11 ended11", "00 stopped00",
                 "00 stopped10", "01 stopped10"))

static void wait_y(void)
{
	while (!ACQ(&y))
		explore_yield();
	explore_outcome("%u", RLX(&x));
}
PROGRAM(wait, .what = "who waits sees it in the end", .threads = { mp_set_rel, wait_y },
        OUTCOMES("1"))
PROGRAM(wait_forever, .what = "what a stopped thread does not store never comes",
        .threads = { mp_set_rel, wait_y }, .stopping = 1, .stops = 1, .may_wait = true,
        .check = how_it_ended, OUTCOMES("1 ended11", "stopped00", "stopped10"))
