/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DLIM0=3 -DEPOCHS=2" "-DLIM0=2 -DLAST=2 -DCALLS2=1 -DNMAX=1" "-DLIM0=3 -DLIM1=1 -DFLIPS=1 -DCALLS2=1" "-DLIM0=2 -DRECORDS=2 -DCALLERS=1" "-DLIM0=2 -DSAME=1 -DCALLS2=1" "-DLIM0=3 -DPEEKS=1 -DCALLS2=1 -DEPOCHS=2 -DNMAX=1" */
/* FULL: "-DLIM0=3 -DLAST=2 -DEPOCHS=2" "-DLIM0=2 -DCALLERS=3 -DSHARES=3 -DCALLS=1 -DCALLS2=1 -DEPOCHS=2" "-DLIM0=3 -DLIM1=1 -DFLIPS=2 -DEPOCHS=2 -DCALLS2=1" "-DLIM0=1 -DLIM1=3 -DFLIPS=1 -DEPOCHS=2" "-DLIM0=2 -DCALLERS=3 -DSHARES=3 -DCALLS=1 -DCALLS2=1 -DLAST=2 -DNMAX=1" */
/* MUTATIONS: COLD_BLIND:1 RECORD_ADD:4 NO_SECOND:2 NO_VERSION:3 RAISE_BLIND:1 SPENT_STAY:1 KEEP_CREDIT:1 NO_CLOSE:1 FOLD_BLIND:1 INIT_BLIND:1 LINK_LATE:1 PEEK_ALL:6 PEEK_ONCE:6 */
/*
 * One tenant that many brokers use at once (lib/hot.h). Most of the time it is cold: `admitted` and the
 * pair decide, as in rate.pml. A broker that finds contention opens the rest of the window: the bit HOT
 * stops every cold compare-exchange of `admitted`, and the label beside it, {second, a number that is
 * odd while open}, names the opening. Brokers draw credit from what is left, into shares of their own,
 * and spend it there. Whoever needs the whole ends the opening: it closes the source, freezes each
 * share under the next label, and adds what they have spent to `admitted`, in the compare-exchange that
 * takes HOT away.
 *
 * Callers admit n messages, a recorder counts one at a time without asking, an administrator changes
 * the limit, an observer looks. One step is one access to shared memory or to a clock, except that the
 * look at the cell is one step: rate.pml shows that the pair was in force when `admitted` was read.
 * Between any two steps all other processes may run, and a process may stop there for ever: so each
 * assertion holds whoever dies or is stopped. With SAME the callers are threads of one broker, or a
 * broker and the next owner of its slot. To open, and how much to draw, is free: the code's rules for
 * that are only about speed.
 *
 * What is asserted:
 *  (a) Whoever is admitted under the definition in force is not above its limit, with all that was
 *      counted in that second, recorded messages included.
 *  (b) A call is refused only if at an instant during it the second had no room for n. (Less what
 *      others took between the look and the install of whoever began the window, as in rate.pml.)
 *  (c) `admitted` is exact whenever HOT is taken away: nothing spent is lost or counted twice, whatever
 *      was drawn and not used. And nothing is spent but under the label in force.
 *  (d) No message is counted in a second that was over, by the late clock, when its call began.
 *  (e) An observer's total is one that was true during its look.
 *
 * Mutations, each of which must fail:
 *  COLD_BLIND   a cold admission ignores HOT
 *  RECORD_ADD   a recorder adds, whatever `admitted` is
 *  NO_SECOND    credit of an earlier second is spent
 *  NO_VERSION   credit of an earlier limit is spent
 *  RAISE_BLIND  what was drawn is put into a share of a later label
 *  SPENT_STAY   a share that has no part in this opening isn't frozen: a late draw arrives in it
 *  KEEP_CREDIT  a frozen share keeps its credit
 *  NO_CLOSE     shares are frozen while others may still draw
 *  FOLD_BLIND   `admitted` is compared without the label: what was spent is added twice
 *  INIT_BLIND   what is left is set whatever the source's label is: it can be drawn twice
 *  LINK_LATE    a broker draws before it says that it has a share
 *  PEEK_ALL     an observer adds what was spent under earlier labels
 *  PEEK_ONCE    an observer doesn't look at the label again
 *
 * Memory order. The model is sequentially consistent. Each shared word below changes by compare-exchange
 * alone (acq_rel) and is loaded with acquire. The two exceptions: a share's `version` is stored with
 * release before the credit of that version is added, and loaded with acquire; the set of linked shares
 * changes by an acq_rel addition of a bit before the draw. Whoever closes the source after that draw
 * synchronises with it, so the load of the set that follows sees the bit.
 */
#ifndef LIM0
#define LIM0	3
#endif
#ifndef LIM1
#define LIM1	LIM0
#endif
#ifndef FLIPS
#define FLIPS	0
#endif
#ifndef LAST
#define LAST	1		/* the clock goes from 1 to LAST */
#endif
#ifndef EPOCHS
#define EPOCHS	1		/* openings in one second */
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
#ifndef PEEKS
#define PEEKS	0
#endif
#ifndef SAME
#define SAME	0		/* 1: all callers are threads of one broker */
#endif
#ifndef SHARES
#define SHARES	2
#endif
#ifndef NMAX
#define NMAX	2
#endif

#define SPAN	8		/* labels of one second: odd ones are open */
#define SEC(l)	((l) / SPAN)
#define OPEN(l)	((l) % 2 == 1)
#define NEXT(l, t)	(SEC(l) < (t) -> (t) * SPAN + 1 : (l) + 1)
#define MAYOPEN(l, t)	(SEC(l) < (t) || (SEC(l) == (t) && ((l) % SPAN) / 2 < EPOCHS))
#define LIM(v)	((v) % 2 == 0 -> LIM0 : LIM1)

typedef share {
	byte spent, label, credit;	/* one compare-exchange */
	byte version
};

/* Shared. */
byte C; bool HOT; byte R;		/* admitted with its bit, and the label beside it: one compare-exchange */
byte psec, pver, pbase;			/* the pair */
byte hlabel, hversion, hleft;		/* one compare-exchange */
bool linked[SHARES];
share sh[SHARES];
byte version;
byte now = 1, coarse = 1;		/* the precise clock, and the one that is late */

/* Ghosts. */
byte granted[LAST + 1];	/* by the second in which they were counted */
byte raced;		/* what the pair in force counts, though it was granted in an earlier second */
byte total;

inline forget()
{
	v = 0; s = 0; b = 0; c = 0; hot = false; r = 0; tag = 0; t = 0; x = 0; y = 0; z = 0; k = 0; j = 0; sum = 0; over = false
}

/* A message is counted in second S under version v. */
inline counted(S)
{
	assert(rec || version != v || granted[S] + n <= LIM(v));		/* (a) */
	assert(S >= born);							/* (d) */
	granted[S] = granted[S] + n;
	total = total + n
}

/* Ends the opening r; C was c. */
inline fold()
{
	sum = 0;
	atomic { x = hlabel; y = hleft; z = hversion };
#ifndef NO_CLOSE
	if
	:: atomic { x <= r ->
		if
		:: hlabel == x && hleft == y && hversion == z -> hlabel = r + 1; hleft = 0; hversion = 0
		:: else -> goto again
		fi }
	:: atomic { x > r + 1 -> goto again }
	:: atomic { x == r + 1 -> skip }
	fi;
#endif
	j = 0;
	do
	:: atomic { j < SHARES && linked[j] -> x = sh[j].label; y = sh[j].spent; z = sh[j].credit };
		if
		:: atomic { x > r + 1 -> goto again }
#ifdef SPENT_STAY
		:: atomic { x < r -> x = r + 1; y = 0 }
		:: atomic { x == r ->
#else
		:: atomic { x <= r ->
#endif
			if
			:: sh[j].label == x && sh[j].spent == y && sh[j].credit == z ->
				if
				:: x < r -> y = 0
				:: else
				fi;
				sh[j].spent = y; sh[j].label = r + 1;
#ifndef KEEP_CREDIT
				sh[j].credit = 0;
#endif
				x = r + 1
			:: else
			fi }
		:: atomic { x == r + 1 -> skip }
		fi;
		atomic {
			if
			:: x == r + 1 -> sum = sum + y; j++
			:: else
			fi }
	:: atomic { j < SHARES && !linked[j] -> j++ }
	:: atomic { j == SHARES ->
		if
#ifdef FOLD_BLIND
		:: C == c && HOT ->
#else
		:: C == c && HOT && R == r ->
#endif
			C = C + sum; HOT = false; R = r + 1;
			assert(C == total);						/* (c) */
			if
			:: psec > SEC(r) -> raced = raced + sum
			:: else
			fi
		:: else
		fi;
		goto again }
	od
}

proctype caller(bool rec; byte left; byte i)
{
	byte n, v, s, b, c, r, tag, t, x, y, z, k, j, sum;
	bool hot, over;
	byte born;
end:	atomic {
		left > 0 -> left--;
		if
		:: n = 1
		:: !rec && NMAX > 1 -> n = 2
		fi;
		born = coarse
	}
again:
	atomic { forget(); v = version };
	/* the own share first: its credit is of a label, and of a version */
	t = coarse;
	atomic { x = sh[i].label; y = sh[i].credit; z = sh[i].spent };
	if
#ifdef NO_SECOND
	:: atomic { y >= n ->
#else
	:: atomic { SEC(x) >= t && y >= n ->
#endif
#ifndef NO_VERSION
		if
		:: sh[i].version == v
		:: else -> goto shared
		fi
#endif
		};
		atomic {
			if
			:: sh[i].label == x && sh[i].credit == y && sh[i].spent == z ->
				sh[i].spent = z + n; sh[i].credit = y - n;
				assert(HOT && R == x);					/* (c) */
				counted(SEC(x));
				goto done
			:: else -> goto again
			fi }
	:: else
	fi;
shared:
	/* the pair was in force when `admitted` was read */
	atomic { x = 0; y = 0; z = 0; t = 0; s = psec; tag = pver; b = pbase; c = C; hot = HOT; r = R;
		over = (granted[psec] + raced + n > LIM(v) && version == v) };
	atomic { t = now };
	if
	:: atomic { hot && SEC(r) >= t -> goto draw }
	:: atomic { hot && SEC(r) < t -> goto close }
	:: atomic { !hot -> goto cold }
	fi;
cold:
	if
	:: atomic { tag != v || s < t ->		/* converts it, or begins a window */
		if
		:: version == v && psec == s && pver == tag && pbase == b ->
			pver = v;
			if
			:: s < t -> psec = t; pbase = c; raced = C - c
			:: else
			fi
		:: else
		fi;
		goto again }
	:: atomic { tag == v && s >= t && !rec && c + n > b + LIM(v) ->
		assert(over || version != v);						/* (b) */
		goto done }
	:: atomic { tag == v && s >= t && (rec || c + n <= b + LIM(v)) ->
		if
#ifdef RECORD_ADD
		:: (C == c && !HOT) || rec ->
#else
#ifdef COLD_BLIND
		:: C == c ->
#else
		:: C == c && !HOT ->
#endif
#endif
			C = C + n; counted(psec); goto done
		:: else -> goto again
		fi }
	:: atomic { tag == v && s >= t && MAYOPEN(r, s) ->
		if
		:: C == c && !HOT && R == r -> HOT = true; R = NEXT(r, s)
		:: else
		fi;
		goto again }
	fi;
draw:
#ifndef LINK_LATE
	linked[i] = true;
#endif
	atomic { x = hlabel; y = hleft; z = hversion };
	if
	:: atomic { x < r ->				/* the first: how much is there to draw? */
		if
		:: tag != v || s != SEC(r) || version != v -> goto close
		:: else -> k = (c < b + LIM(v) -> b + LIM(v) - c : 0)
		fi };
		atomic { if
#ifdef INIT_BLIND
		:: true ->
#else
		:: hlabel == x && hleft == y && hversion == z ->
#endif
			hlabel = r; hleft = k; hversion = v
		:: else
		fi;
		goto again }
	:: atomic { x == r && (z != v || y < n) -> goto close }
	:: atomic { x == r + 1 -> goto close }
	:: atomic { x > r + 1 -> goto again }
	:: atomic { x == r && z == v && y >= n ->
		if
		:: k = n
		:: y > n -> k = n + 1
		:: y > n + 1 -> k = y
		fi;
		if
		:: hlabel == x && hleft == y && hversion == z -> hleft = y - k
		:: else -> goto again
		fi }
	fi;
#ifdef LINK_LATE
	linked[i] = true;
#endif
	sh[i].version = v;
raise:
	atomic { x = sh[i].label; y = sh[i].credit; z = sh[i].spent };
	if
#ifndef RAISE_BLIND
	:: atomic { x > r -> goto again }
#endif
	:: atomic {
#ifndef RAISE_BLIND
		x <= r ->
#else
		true ->
#endif
		if
		:: sh[i].label == x && sh[i].credit == y && sh[i].spent == z ->
			sh[i].label = r;
			sh[i].credit = (x == r -> y : 0) + k - n;
			sh[i].spent = (x == r -> z : 0) + n;
			assert(HOT && R == r);						/* (c) */
			counted(SEC(r));
			goto done
		:: else -> goto raise
		fi }
	fi;
close:
	fold();
done:
	atomic { forget(); n = 0; born = 0; goto end }
}

proctype admin()
{
	byte j;

	do
	:: j < FLIPS -> j++;
		pver = version;			/* converts the pair */
		version = version + 1
	:: else -> break
	od
}

/* An observer: writes nothing. */
proctype peek(byte left)
{
	byte c, r, j, sum, before;
	bool hot;
end:	atomic { left > 0 -> left-- };
again:
	atomic { c = 0; hot = 0; j = 0; sum = 0; r = R; before = total };
	atomic { c = C; hot = HOT };
	do
	:: atomic { j < SHARES && OPEN(r) ->
		if
		:: linked[j] && (sh[j].label == r || sh[j].label == r + 1) -> sum = sum + sh[j].spent
#ifdef PEEK_ALL
		:: linked[j] && sh[j].label != r && sh[j].label != r + 1 -> sum = sum + sh[j].spent
#endif
		:: else
		fi;
		j++ }
	:: atomic { (j == SHARES || !OPEN(r)) ->
		if
#ifndef PEEK_ONCE
		:: R != r || hot != OPEN(r) -> goto again
#endif
		:: else -> assert(before <= c + sum && c + sum <= total)	/* (e) */
		fi;
		c = 0; hot = 0; j = 0; sum = 0; r = 0; before = 0; goto end }
	od
}

proctype clock()
{
	do
	:: coarse == now && now < LAST -> now = now + 1
	:: coarse < now -> coarse = now
	:: coarse == now && now == LAST -> break
	od
}

init
{
	byte i;
	atomic {
		psec = 1;
		run caller(false, CALLS, 0);
		i = 2;
		do :: i <= CALLERS -> run caller(false, CALLS2, (SAME -> 0 : i - 1)); i++ :: else -> break od;
		if :: RECORDS > 0 -> run caller(true, RECORDS, SHARES - 1) :: else fi;
		if :: FLIPS > 0 -> run admin() :: else fi;
		if :: PEEKS > 0 -> run peek(PEEKS) :: else fi;
		if :: LAST > 1 -> run clock() :: else fi
	}
}
