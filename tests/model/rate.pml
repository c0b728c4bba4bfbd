/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DDEATHS=1" "-DLIMIT=3" "-DLIMIT=1" "-DCALLERS=3 -DLAST=1 -DDEATHS=0 -DLIMIT=1" "-DRECORDS=2 -DCALLERS=1" "-DLIMIT=4 -DLIMIT2=2 -DCHANGES=2 -DLAST=1 -DDEATHS=0" "-DLIMIT=NONE -DLIMIT2=4 -DCHANGES=1 -DLAST=1 -DDEATHS=0 -DCAP=10" */
/* FULL: "-DDEATHS=2" "-DCALLERS=3 -DLAST=1 -DDEATHS=0" "-DRECORDS=3 -DLAST=1 -DDEATHS=0" "-DLIMIT=4 -DLIMIT2=2 -DCHANGES=2 -DDEATHS=0" "-DLIMIT=NONE -DLIMIT2=4 -DCHANGES=1 -DLAST=1 -DDEATHS=0" */
/* MUTATIONS: NO_RECHECK NO_RECHECK_REJECT:6 FETCH_ADD BASE_AFTER NO_CLAMP A_FIRST */
/*
 * The rate words of one tenant: `admitted`, a total that only grows, and `window`, one word that
 * holds a second and the low bits of `admitted` when that second began. Callers admit n messages at
 * once, a recorder adds one at a time without asking, and an administrator changes the limit. One
 * step is one access to shared memory. Between any two steps all other processes may run, and a
 * process may stop there for ever.
 *
 * The code: the look is k2k_rate_try_look(), the roll k2k_rate_catch_up(), the rest try_decide()
 * and its two callers in messages.c; the recorder is k2k_message_record(). A call that rolled the
 * window, or failed to count, reads all words again. intent.pml (update) shows that a limit is one
 * word.
 *
 * I3: in each window admitted <= limit, and = limit if more was asked for. I8: the rate is exact.
 * This is asserted as follows; base(W) is the true value of `admitted` read by the process that
 * installed window W.
 *  (a) A call that is counted ends within its limit, counted from the base of the window that it
 *      names (which its verdict carries), and from the base of the window in force when its CAS
 *      succeeded. Such intervals do not overlap, so the messages that name a window, and those in
 *      [base(W), base(next)), are at most the largest limit among their calls.
 *  (b) So are those whose CAS succeeded while W was in force.
 *  (c) A call is rejected only if, at an instant during the call, the window that it names was in
 *      force and admitted - base(W) + n > limit.
 *  (d) admitted = what the callers have recorded as their own + what is in flight. A caller that
 *      dies leaves its one call.
 *  (e) The second in `window` rises with every store, so each second is installed at most once.
 *  (f) Of the calls that name an older window, at most one is counted in a window, as its first.
 *
 * What (c) does not say: messages that are counted between the installer's read of `admitted` and
 * its CAS name the old window and take room in the new one; so does the call of (f). "= limit if
 * more was asked for" is therefore true of admitted - base(W), but not of a sum over the seconds in
 * the verdicts, which may be lower by the messages that raced with the roll.
 *
 * Limits. A call loads the limit after each look at the words, and decides by the one loaded last.
 * When the limit falls, a call that had loaded the old one may still be counted under it, in
 * whichever window it lands. Every other call keeps to the new limit, and sees what the first used.
 * Unlimited calls add without asking, as the recorder does. While others add less than half the
 * modulus in one window, all of the above holds exactly: the limit is at most the other half.
 * Beyond that, `used` is known only modulo the modulus in that window, and is never too high: no
 * call is rejected falsely, but a call that took its base there may be counted beyond the limit, in
 * that window or as the call of (f). A call that finds a window that grew by less is exact again
 * (`wrong` is false).
 *
 * Abstractions. The modulus is 8 instead of 2^34, the limit is at most half of it (2^33), n is 1 or
 * a quarter (2^32). The clock is a choice: a call may read any second up to LAST, a past one too.
 * This covers each clock that ticks, a process that stops after it read the clock, a coarse clock
 * that lags, and another process that is ahead. Damage (a second far ahead) is not modelled. Death:
 * a process ends at any of its steps and a new one takes its place; DEATHS bounds how often. Even
 * without deaths a process may stop for ever at any step, since each assertion holds in every
 * prefix of a run.
 *
 * Mutations, each of which must fail:
 *  NO_RECHECK         the window is not read again after `admitted` was read: a caller that slept
 *                     since then has an old base, the difference wraps, and it is counted beyond a
 *                     full window: (a), (b)
 *  NO_RECHECK_REJECT  no look at the window before a rejection: rejected by a limit that was set
 *                     after that window: (c)
 *  FETCH_ADD          add, verify, give back: calls in flight that will give back reject others,
 *                     and get into the base: (a), (b), (c)
 *  BASE_AFTER         the second is installed first and its base filled in later: others use the
 *                     old base and are rejected without cause, and what they add in between is
 *                     forgotten: (a), (b), (c)
 *  NO_CLAMP           a limit above the modulus: `used` wraps before it reaches the limit: (a), (b)
 *  A_FIRST            `admitted` is read before `window`: it may be lower than the base: (a), (c)
 *
 * Memory order. The model is sequentially consistent. The least that C11 needs for the same result:
 *
 *    w = window                          acquire      with [1]: admitted is at the base or above
 *    roll:  a = admitted                 relaxed      the CAS succeeds on w only, so a is old
 *           CAS(window, w)               release [1]  publishes the read of a; relaxed on failure:
 *                                                     w is loaded again
 *    else:  a = admitted                 acquire      with [2]: if a has an add of a later window
 *           window != w                  relaxed      ... this load sees that window or a later one
 *    CAS(admitted, a)                    release [2]  publishes the load of w; acquire on failure:
 *                                                     a look follows
 *    window != w, after CAS, at reject   relaxed      ordered by the acquire that read a
 *    fetch_add, record and unlimited     release [2]  after w = window (acquire)
 *
 * Why this is enough. The place of an interval follows from the modification order of `admitted`
 * alone, so (a) asks only that the base be exact, 0 <= a - base(w) < modulus, and that bases rise.
 * Not below: the installer read base(w) before its release, the caller reads a after its acquire,
 * and reads of one word that happen in this order do not go back. Not above: calls that name w or
 * an older window end at base(w) + limit, so a value beyond that contains an add of a process that
 * had loaded a later window. `admitted` is changed by read-modify-writes only, so the release of
 * that add reaches every reader of the value, whose next look sees that window. In the roll branch
 * such an add would come after the caller's own CAS, which it saw.
 * No seq_cst: no process stores to one word and then reads from another whether the store was seen;
 * every decision is a CAS on the word that it is about. What breaks with relaxed instead: at the
 * first load of `window` or the CAS on it, A_FIRST happens; at the load of `admitted` or its CAS,
 * NO_RECHECK; at that CAS's failure, NO_RECHECK_REJECT. On aarch64 with atomics in hardware: LDAPR,
 * CASL on `window`, CASAL on `admitted` (for its failure), LDADDL.
 */
#define NONE	100		/* no limit */
#define M	8		/* the modulus */
#define NMAX	(M / 4)

#ifndef LAST
#define LAST	2		/* seconds 0 to LAST */
#endif
#ifndef LIMIT
#define LIMIT	9		/* as asked for */
#endif
#ifndef LIMIT2
#define LIMIT2	LIMIT		/* the one that the administrator changes to, and back */
#endif
#ifndef CHANGES
#define CHANGES	0
#endif
#ifndef CALLERS
#define CALLERS	2
#endif
#ifndef RECORDS
#define RECORDS	0		/* less than M / 2 */
#endif
#ifndef DEATHS
#define DEATHS	1
#endif
#ifndef CAP
#define CAP	14		/* bounds the model: no unlimited call begins above it */
#endif

#ifdef NO_CLAMP
#define CLAMP(l)	(l)
#else
#define CLAMP(l)	(((l) == NONE || (l) <= M / 2) -> (l) : M / 2)
#endif

#define WORD(s, b)	((s) * M + (b))
#define SECOND(w)	((w) / M)
#define BASE(w)		((w) % M)

/* Shared. */
byte admitted;
byte window;
byte limit = LIMIT;

/* Ghosts. */
byte total;		/* messages truly counted: `admitted`, but for FETCH_ADD */
byte tbase;		/* true base of the window in force */
byte count;		/* counted under a limit while it was in force */
bool wrapped;		/* some window has grown by the modulus */
byte booked, flying, lost, deaths, recorded;

#define SUM	assert(admitted == booked + flying + lost)		/* (d) */
#define SPENT	(window == w && total - tbase + n > lim)
#define DIE	atomic { deaths < DEATHS -> deaths++; forget(); goto end }

/* Locals that are no longer needed are cleared, which keeps the number of states down. */
inline drop()
{
	w = 0; now = 0; a = 0; base = 0; ta = 0; tb = 0; spent = 0; wrong = 0
}

inline forget()
{
	drop(); n = 0; lim = 0
}

inline read_admitted()
{
	a = admitted;
	ta = total; tb = tbase; wrong = (window == w && total - tbase >= M)
}

inline install(low)
{
	assert(now > SECOND(window));					/* (e) */
	window = WORD(now, low);
	w = window;
	tbase = ta; tb = tbase; count = 0; now = 0; ta = 0
}

/* A call under a limit is counted. */
inline counted()
{
#if !defined(NO_RECHECK) && !defined(NO_RECHECK_REJECT)
	assert(window == w || count == 0);				/* (f) */
#endif
	total = total + n;
	count = count + n;
	assert(wrong || total - tb <= lim);				/* (a), the window it names */
	assert(wrong || total - tbase <= lim);				/* (a), the window in force */
	assert(wrapped || count <= lim);				/* (b) */
	drop(); lim = 0
}

proctype caller(bool rec)
{
	byte w, now, a, n, lim;
	short base;
	byte ta, tb;		/* ghosts: total when a was read, true base of w */
	bool spent, wrong;	/* ghosts: (c) held when the limit was read; the base is not exact */

end:	atomic {
		if
		:: rec && recorded < RECORDS -> recorded++; n = 1
		:: !rec && (limit != NONE || admitted < CAP) -> n = 1
		:: !rec && (limit != NONE || admitted < CAP) -> n = NMAX
		fi
	}

again:
#ifdef A_FIRST
	atomic { read_admitted() };
#endif
	if
	:: atomic { w = window; goto same }
	:: atomic { SECOND(window) + 1 <= LAST -> w = window; now = SECOND(w) + 1; goto roll }
	:: atomic { SECOND(window) + 2 <= LAST -> w = window; now = SECOND(w) + 2; goto roll }
	:: DIE
	fi;

roll:
#ifdef BASE_AFTER
	if
	:: atomic { window == w -> ta = total; install(BASE(w)) }
	:: atomic { window != w -> drop(); goto again }
	:: DIE
	fi;
	if
	:: atomic { read_admitted(); base = a; ta = 0 }
	:: DIE
	fi;
	if
	:: atomic { window == w -> window = WORD(SECOND(w), a % M); drop(); goto again }
	:: atomic { window != w -> drop(); goto again }
	:: DIE
	fi;
#else
#ifndef A_FIRST
	if
	:: atomic { read_admitted() }
	:: DIE
	fi;
#endif
	if
	:: atomic { window == w -> install(a % M); drop(); goto again }
	:: atomic { window != w -> drop(); goto again }
	:: DIE
	fi;
#endif

same:
#ifndef A_FIRST
	if
	:: atomic { read_admitted(); ta = 0 }
	:: DIE
	fi;
#endif
	if
#ifdef NO_RECHECK
	:: atomic { base = a - ((a + M - BASE(w)) % M); goto decide }
#else
	:: atomic { window == w -> base = a - ((a + M - BASE(w)) % M); ta = 0; goto decide }
	:: atomic { window != w -> drop(); goto again }
#endif
	:: DIE
	fi;

decide: /* k2k_tenant_try_rate(), k2k_rate_fits() */
	if
	:: atomic { lim = (rec -> NONE : CLAMP(limit)); spent = SPENT }
	:: DIE
	fi;
	if
	:: atomic { lim == NONE && (rec || admitted < CAP) ->
		admitted = admitted + n; total = total + n; flying = flying + n; SUM;
		wrapped = wrapped || total - tbase >= M;
		drop(); lim = 0;
		goto book }
	:: atomic { lim == NONE && !(rec || admitted < CAP) -> forget(); goto end }
#ifdef FETCH_ADD
	:: atomic { lim != NONE ->
		read_admitted(); ta = 0;
		admitted = admitted + n; flying = flying + n; SUM;
		if
		:: a - base + n <= lim -> counted(); goto book
		:: else -> goto give_back
		fi }
#else
	:: atomic { lim != NONE && a - base + n > lim ->        /* k2k_rate_unchanged() */
		if
#ifndef NO_RECHECK_REJECT
		:: window != w -> drop(); lim = 0; goto again
#endif
		:: else -> assert(spent); forget(); goto end		/* (c) */
		fi }
	:: atomic { lim != NONE && a - base + n <= lim ->       /* k2k_rate_take() */
		if
		:: admitted == a -> admitted = a + n; flying = flying + n; SUM; counted(); goto book
		:: else -> drop(); lim = 0; goto again
		fi }
#endif
	:: DIE
	fi;

#ifdef FETCH_ADD
give_back:
	if
	:: atomic { admitted = admitted - n; flying = flying - n; SUM; assert(spent); forget(); goto end }
	:: DIE
	fi;
#endif

book:
	if
	:: atomic { booked = booked + n; flying = flying - n; SUM; forget(); goto end }
	:: atomic { deaths < DEATHS -> deaths++; lost = lost + n; flying = flying - n; SUM;
		assert(lost <= deaths * NMAX); forget(); goto end }	/* (d) */
	fi
}

proctype admin()
{
	byte i;
	do
	:: atomic { i < CHANGES -> i++; limit = (limit == LIMIT -> LIMIT2 : LIMIT) }
	:: i == CHANGES -> break
	od
}

init
{
	byte i;
	atomic {
		for (i : 1 .. CALLERS) { run caller(false) };
		if :: RECORDS > 0 -> run caller(true) :: else fi;
		if :: CHANGES > 0 -> run admin() :: else fi
	}
}
