/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DK0=WINDOW -DR0=3" "-DK0=BUCKET -DR0=1 -DB0=2 -DQ0=1 -DLAST=3" "-DK0=BUCKET -DR0=2 -DB0=2 -DQ0=3 -DLAST=3 -DRECORDS=3 -DCALLERS=1" "-DFLIPS=1 -DCALLS2=1 -DK0=WINDOW -DR0=3 -DQ0=2 -DK1=WINDOW -DR1=1" "-DFLIPS=1 -DCALLS2=1 -DK0=WINDOW -DR0=2 -DQ0=2 -DK1=BUCKET -DR1=1 -DB1=2" "-DFLIPS=1 -DCALLS2=1 -DK0=BUCKET -DR0=2 -DB0=2 -DK1=BUCKET -DR1=1 -DB1=1 -DLAST=2" "-DFLIPS=2 -DCALLERS=1 -DCALLS=3 -DK0=BUCKET -DR0=1 -DB0=2 -DK1=WINDOW -DR1=2 -DK2=BUCKET -DR2=1 -DB2=2 -DLAST=3" "-DK0=WINDOW -DR0=2 -DRECORDS=2 -DCALLERS=1 -DLAST=3" */
/* FULL: "-DK0=BUCKET -DR0=1 -DB0=1 -DCALLERS=3 -DLAST=2" "-DK0=WINDOW -DR0=2 -DCALLERS=3 -DLAST=1" "-DFLIPS=2 -DK0=WINDOW -DR0=2 -DQ0=2 -DK1=BUCKET -DR1=1 -DB1=2 -DK2=WINDOW -DR2=1 -DLAST=2" "-DFLIPS=2 -DK0=BUCKET -DR0=1 -DB0=2 -DK1=WINDOW -DR1=2 -DK2=BUCKET -DR2=1 -DB2=1 -DLAST=2" "-DFLIPS=1 -DRECORDS=2 -DK0=BUCKET -DR0=2 -DB0=2 -DK1=BUCKET -DR1=1 -DB1=2 -DQ1=2 -DLAST=2" */
/* MUTATIONS: NO_RECHECK:2 NO_TAG:7 NO_SETTLE:7 FETCH_ADD:1 CEILING_AFTER:2 NO_OVERFULL:2 ORIGIN_FLOOR:2 ORIGIN_CEIL:2 CLOCK_FIRST:2 COARSE_REFUSAL:1 NO_DEBT_CAP:3 FULL_AT_SWITCH:5 */
/*
 * The rate of one tenant: `admitted`, a total that only grows, and a pair of words {origin, tag | C}
 * that one 16-byte compare-exchange installs. The tag is the version of the definition that the pair
 * is of. Window: C is the base, and what may be admitted until `origin + length` is C + limit.
 * Bucket: C is the ceiling at the origin, and what may be admitted by t is C + rate * (t - origin).
 * Callers admit n messages, a recorder adds one at a time without asking, and an administrator
 * changes the definition. One step is one access to shared memory, or to the clock. Between any two
 * steps all other processes may run, and a process may stop there for ever: so each assertion holds
 * whoever dies.
 *
 * The code: k2k_rate_try_look(), k2k_rate_step(), k2k_rate_install(), k2k_rate_take() in rate.h, and
 * its callers in messages.c; the administrator is k2k_rate_settle(), k2k_tenant_prepare(),
 * k2k_tenant_flip(). intent.pml (update) shows that the set of a version is read whole: here it is
 * part of the step that reads the version. The set before it is not covered by that, since a change
 * to come overwrites it.
 *
 * What is asserted:
 *  (a) Window: the calls that were counted while one base was in force are at most the limit.
 *  (b) Bucket: for any two calls i, j with i before j in `admitted`, and their verdicts' times t,
 *      a_j + n_j - a_i <= b + r (t_j - t_i), less what was recorded. It is asserted as one line, the
 *      lowest of a_i + b + r (t - t_i). After a change of rate the line goes on from where it was
 *      with the new slope; after a window it begins at the window's limit.
 *  (c) Window: a call is refused only if at an instant during the call the window was in force, with
 *      no room for n, and at a later one during the call it had not run out.
 *  (d) Bucket: a call is refused only if a bucket that fills all the time, is emptied in the same
 *      step that counts, and loses nothing to rounding, has no room for n at an instant during the
 *      call either. (Less what others took between the look and the install of whoever found the
 *      bucket full: they name the time before.)
 *  (e) The origin rises with every install of one version, so that equal first words mean an untorn
 *      pair.
 *  (f) Whoever converts the pair from the definition before has read that definition whole: its set is
 *      overwritten only when no pair is of it.
 *  (g) Bucket: a refusal is never for longer than until b and n are there: a debt is at most b.
 * A call that had read a definition that is no longer in force may be counted under it: one a thread.
 * (a) and (b) are about the others.
 *
 * Abstractions. The clock is a counter, read last; a window may be decided by a clock that is one
 * behind. A window of a second begins with it. The tag is the version itself.
 *
 * Mutations, each of which must fail:
 *  NO_RECHECK      the first word is not read again: a torn pair
 *  NO_TAG          the pair is taken for one of the caller's own definition: a base for a ceiling
 *  NO_SETTLE       a change overwrites the set that a pair is still of: (f)
 *  FETCH_ADD       counted by an addition after the look: (a)
 *  CEILING_AFTER   the origin is installed first, and C by a second store
 *  NO_OVERFULL     a bucket that is full goes on filling: (b)
 *  ORIGIN_FLOOR    origins in units of two: rounded down, they give what has not come yet: (b)
 *  ORIGIN_CEIL     rounded up, they refuse what is free: (d)
 *  CLOCK_FIRST     the clock is read before `admitted`: (d)
 *  COARSE_REFUSAL  refused by the clock that is behind: (c)
 *  NO_DEBT_CAP     what was recorded beyond the bucket is owed in full: (g)
 *  FULL_AT_SWITCH  a window that becomes a bucket forgets what it has counted: (b)
 *
 * Memory order. The model is sequentially consistent. The least that C11 needs is in rate.h;
 * tests/explore runs the code under all the orders that C11 allows.
 */
#define WINDOW	0
#define BUCKET	1
#define START	20		/* `admitted` at the start: nothing below 0 */
#define BIG	10000

#ifndef K0
#define K0	WINDOW
#endif
#ifndef R0
#define R0	2		/* messages in Q0 units of time: a window's limit and length, a bucket's rate */
#endif
#ifndef Q0
#define Q0	1
#endif
#ifndef B0
#define B0	1
#endif
#ifndef K1
#define K1	K0
#endif
#ifndef R1
#define R1	R0
#endif
#ifndef Q1
#define Q1	Q0
#endif
#ifndef B1
#define B1	B0
#endif
#ifndef K2
#define K2	K1
#endif
#ifndef R2
#define R2	R1
#endif
#ifndef Q2
#define Q2	Q1
#endif
#ifndef B2
#define B2	B1
#endif
#ifndef FLIPS
#define FLIPS	0
#endif
#ifndef LAST
#define LAST	2		/* the clock goes from 1 to LAST */
#endif
#ifndef CALLERS
#define CALLERS	2
#endif
#ifndef CALLS
#define CALLS	2		/* of the first */
#endif
#ifndef CALLS2
#define CALLS2	2		/* of each other one */
#endif
#ifndef RECORDS
#define RECORDS	0
#endif

#define OF(v, x0, x1, x2)	((v) == 0 -> (x0) : ((v) == 1 -> (x1) : (x2)))
#define KIND(v)	OF(v, K0, K1, K2)
#define RATE(v)	OF(v, R0, R1, R2)
#define PER(v)	OF(v, Q0, Q1, Q2)
#define BURST(v)	OF(v, B0, B1, B2)
#define SAME(v, u)	(KIND(v) == KIND(u) && RATE(v) == RATE(u) && PER(v) == PER(u) && BURST(v) == BURST(u))
#define MIN(x, y)	((x) < (y) -> (x) : (y))
#define MAX(x, y)	((x) > (y) -> (x) : (y))

#ifdef NO_TAG
#define MINE	(s != 0)
#else
#define MINE	(tag == v && s != 0)
#endif
#ifdef ORIGIN_FLOOR
#define ORIGIN(t)	(((t) / 2) * 2)
#else
#ifdef ORIGIN_CEIL
#define ORIGIN(t)	((((t) + 1) / 2) * 2)
#else
#define ORIGIN(t)	(t)
#endif
#endif

/* Shared. An origin of 0: never used. */
short admitted = START;
byte origin, oftag;
short C;
byte version;
byte now = 1;

/* Ghosts. */
bool spoilt;		/* the set before the version in force is being overwritten */
byte count;		/* (a) */
short line = BIG;	/* (b): what may be counted by time 0, in units of 1 / PER */
short ideal;		/* (d): what may be counted by now, in units of 1 / PER */
byte raced;		/* (d) */

/* k2k_rate_step(): ns and nc are the pair as of t. */
inline step()
{
	ns = s; nc = c; x = 0;
	if
	:: s == 0 -> ns = ORIGIN(t); nc = a + (KIND(v) == BUCKET -> BURST(v) : 0)
	:: !MINE && s != 0 && SAME(v, tag) -> skip
	:: !MINE && s != 0 && !SAME(v, tag) && KIND(v) == WINDOW ->
		if
		:: KIND(tag) == BUCKET -> ns = MAX(t, s); nc = a
		:: else
		fi
	:: !MINE && s != 0 && !SAME(v, tag) && KIND(v) == BUCKET ->
		if
		:: KIND(tag) == WINDOW && t - s >= PER(tag) -> x = BURST(v)
		:: KIND(tag) == WINDOW && t - s < PER(tag) -> x = c + RATE(tag) - a
		:: KIND(tag) == BUCKET && t >= s -> x = c + RATE(tag) * (t - s) / PER(tag) - a
		:: KIND(tag) == BUCKET && t < s -> x = c - a
		fi;
#ifdef FULL_AT_SWITCH
		x = BURST(v);
#endif
		ns = MAX(t, s); nc = a + MIN(BURST(v), MAX(x, 0))
	:: MINE && KIND(v) == WINDOW && t - s >= PER(v) -> ns = t; nc = a
#ifndef NO_OVERFULL
	:: MINE && KIND(v) == BUCKET && RATE(v) * (t - s) > (a + BURST(v) - c) * PER(v) ->
		ns = ORIGIN(t); nc = a + BURST(v)
#endif
#ifndef NO_DEBT_CAP
	:: MINE && KIND(v) == BUCKET && t > s && (a - BURST(v) - c) * PER(v) > RATE(v) * (t - s) ->
		ns = ORIGIN(t); nc = a - BURST(v)
#endif
	:: else
	fi;
	changed = !MINE || ns != s || nc != c;
#if defined(ORIGIN_FLOOR) || defined(ORIGIN_CEIL)
	changed = !MINE || ns > s
#endif
}

/* The ghosts of an install. */
inline moved()
{
	assert(!bad);								/* (f) */
	assert(oftag != v || ns > s || s == 0);					/* (e) */
	if
	:: KIND(v) == WINDOW && (nc != c || ns != s || KIND(tag) != WINDOW) -> count = 0
	:: else
	fi;
	if
	:: tag == v && s != 0 && KIND(v) == BUCKET && nc == a + BURST(v) -> raced = raced + (admitted - a)
	:: else
	fi;
	if
	:: s != 0 && (tag == v || SAME(v, tag)) -> skip
	:: s == 0 -> line = BIG
	:: tag != v && s != 0 && KIND(v) == WINDOW -> line = BIG
	:: tag != v && s != 0 && !SAME(v, tag) && KIND(v) == BUCKET && KIND(tag) == WINDOW ->
		line = (t - s >= PER(tag) -> BIG : MAX(c + RATE(tag), admitted) * PER(v) - RATE(v) * t)
	:: tag != v && s != 0 && !SAME(v, tag) && KIND(v) == BUCKET && KIND(tag) == BUCKET && line != BIG ->
		line = ((line + RATE(tag) * t) * PER(v) + PER(tag) - 1) / PER(tag) - RATE(v) * t;
		line = MAX(line, admitted * PER(v) - RATE(v) * t)
	:: else
	fi
}

/* A call is counted: the total was a. */
inline counted()
{
	if
	:: oftag != v -> line = (line == BIG -> BIG : line + n * PER(oftag))
	:: oftag == v && KIND(v) == WINDOW -> count = count + n; assert(count <= RATE(v))	/* (a) */
	:: oftag == v && KIND(v) == BUCKET ->
		assert(line == BIG || (a + n) * PER(v) <= line + RATE(v) * t);		/* (b) */
		line = MIN(line, (a + BURST(v)) * PER(v) - RATE(v) * t)
	fi
}

inline forget()
{
	v = 0; s = 0; tag = 0; c = 0; a = 0; t = 0; rt = 0; ns = 0; nc = 0; x = 0;
	changed = false; bad = false; spent = false; none = false
}

proctype caller(bool rec; byte left)
{
	byte n, v, s, tag, t;
	byte rt;		/* ghost: the true time when t was read */
	short c, a, ns, nc, x;
	bool changed, bad, spent, none;
end:	atomic {
		left > 0 -> left--;
		if
		:: n = 1
		:: !rec -> n = 2
		fi
	}
again:
	atomic { forget(); v = version };
	atomic { s = origin; tag = oftag };
	c = C;
#ifdef CLOCK_FIRST
	atomic { t = now; rt = now; none = ((admitted + n + raced) * PER(v) > ideal) };
#endif
	atomic {
		a = admitted;
		spent = (origin == s && oftag == tag && version == v && a + n > C + RATE(v))
	};
#ifndef CLOCK_FIRST
	atomic {
		rt = now;
		none = ((admitted + n + raced) * PER(v) > ideal);
		if
		:: t = now
		:: KIND(v) == WINDOW && now > 1 -> t = now - 1
		fi
	};
#endif
	if
	:: tag != v && s != 0 -> bad = spoilt
	:: else
	fi;
#ifndef NO_RECHECK
	if
	:: atomic { origin == s && oftag == tag }
	:: atomic { !(origin == s && oftag == tag) -> goto again }
	fi;
#endif
	if
	:: atomic { version == v -> assert(tag == v || tag + 1 == v); step() }
	:: atomic { version != v -> goto again }
	fi;
	if
	:: atomic { changed ->
		if
#ifndef COARSE_REFUSAL
		:: t != rt -> goto again
#endif
		:: else
		fi;
		if
		:: origin == s && oftag == tag && C == c -> moved(); origin = ns; oftag = v;
#ifdef CEILING_AFTER
			goto ceiling
#else
			C = nc; goto again
#endif
		:: else -> goto again
		fi }
	:: atomic { !changed && rec -> admitted = admitted + n;
		line = (line == BIG -> BIG : line + PER(oftag)); goto done }
	:: atomic { !changed && !rec && KIND(v) == WINDOW && a + n > c + RATE(v) ->
		if
#ifndef COARSE_REFUSAL
		:: t != rt -> goto again
#endif
		:: else
		fi;
		assert(spent && rt - s < PER(v));					/* (c) */
		goto done }
	:: atomic { !changed && !rec && KIND(v) == BUCKET && (a + n - c) * PER(v) > RATE(v) * (t - s) ->
		assert(FLIPS > 0 || RECORDS > 0 || none);				/* (d) */
		assert(t <= s || (a - BURST(v) - c) * PER(v) <= RATE(v) * (t - s));	/* (g) */
		goto done }
	:: atomic { !changed && !rec && (KIND(v) == WINDOW -> a + n <= c + RATE(v) :
			(a + n - c) * PER(v) <= RATE(v) * (t - s)) ->
#ifdef FETCH_ADD
		counted(); goto add
#else
		if
		:: admitted == a -> counted(); admitted = a + n; goto done
		:: else -> goto again
		fi
#endif
		}
	fi;
#ifdef CEILING_AFTER
ceiling:
	atomic { C = nc; goto again };
#endif
#ifdef FETCH_ADD
add:
	atomic { admitted = admitted + n };
#endif
done:
	atomic { forget(); n = 0; goto end }
}

proctype admin()
{
	byte n, v, s, tag, t, rt;
	short c, a, ns, nc, x;
	bool changed, bad, spent, none;
	byte i;

	do
	:: i < FLIPS ->
		i++;
settle:
#ifndef NO_SETTLE
		atomic { forget(); v = version; s = origin; tag = oftag };
		if
		:: atomic { tag == v -> goto settled }
		:: atomic { tag != v -> c = C }
		fi;
		a = admitted;
		atomic { t = now; rt = now };
		atomic {
			step();
			if
			:: s == 0 && origin == s && oftag == tag -> oftag = v
			:: s != 0 && origin == s && oftag == tag && C == c ->
				moved(); origin = ns; oftag = v; C = nc
			:: else
			fi;
			goto settle
		};
#endif
settled:
		atomic { forget(); spoilt = true };
		atomic { spoilt = false; version = version + 1 }
	:: else -> break
	od
}

proctype clock()
{
	do
	:: atomic { now < LAST -> now = now + 1;
		ideal = MIN(ideal + RATE(0), (admitted + BURST(0)) * PER(0)) }
	:: else -> break
	od
}

init
{
	byte i;
	atomic {
		oftag = 0;
		ideal = (START + BURST(0)) * PER(0);
		run caller(false, CALLS);
		i = 2;
		do :: i <= CALLERS -> run caller(false, CALLS2); i++ :: else -> break od;
		if :: RECORDS > 0 -> run caller(true, RECORDS) :: else fi;
		if :: FLIPS > 0 -> run admin() :: else fi;
		run clock()
	}
}
