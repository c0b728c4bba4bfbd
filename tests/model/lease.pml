/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DSB=2" "-DSB=1 -DLIMIT=2 -DMAXN=2 -DOPS1=1 -DREOPS=0" "-DLIMIT=2 -DMAXN=2 -DNEWLIMIT=1 -DOPS1=1 -DREOPS=0" "-DMAXN=2 -DNEWLIMIT=2 -DOPS1=1 -DREOPS=0" "-DDETACH -DOPS1=1" "-DCONTEND" "-DNB=3 -DDEATHS=0 -DOPS=1 -DTRIES=1 -DKEEPS=6" "-DCONTEND -DTWO_PASSES -DNB=3 -DLIMIT=2 -DDEATHS=0 -DOPS=1 -DTRIES=2 -DKEEPS=7" "-DSB=1 -DEXACT -DOPS1=1 -DREOPS=0" "-DCOST -DLIMIT=2 -DOPS1=1 -DREOPS=0" "-DSB=1 -DCOST -DLIMIT=2 -DOPS1=1 -DREOPS=0" "-DCOST -DLIMIT=2 -DNEWLIMIT=1 -DOPS1=1 -DREOPS=0" "-DCOST -DNEWLIMIT=2 -DOPS1=1 -DREOPS=0" "-DCONTEND -DCOST -DLIMIT=2 -DOPS1=1" */
/* FULL: "-DNB=3 -DMORTAL=1 -DOPS=1 -DTRIES=1 -DKEEPS=6" "-DSB=1 -DLIMIT=2 -DMAXN=2 -DNEWLIMIT=1 -DOPS1=1 -DREOPS=0" "-DSB=1 -DMAXN=2 -DNEWLIMIT=2 -DOPS1=1 -DREOPS=0" "-DSB=2 -DDETACH" "-DCONTEND -DDETACH" "-DCONTEND -DLIMIT=2 -DMAXN=2 -DOPS1=1 -DREOPS=0 -DTRIES=3" "-DCONTEND -DTWO_PASSES -DNB=3 -DLIMIT=2 -DDEATHS=0 -DOPS=1 -DTRIES=3 -DKEEPS=6" "-DNB=3 -DLIMIT=2 -DMORTAL=1 -DOPS=1 -DTRIES=1 -DKEEPS=6" "-DCONTEND -DNB=3 -DDEATHS=0 -DOPS=1 -DTRIES=2 -DKEEPS=6" "-DSB=1 -DDETACH -DOPS1=1" "-DSB=2 -DLIMIT=2 -DMAXN=2 -DOPS1=1 -DREOPS=0" "-DCOST -DLIMIT=2" "-DSB=2 -DCOST -DLIMIT=2 -DOPS1=1" "-DCOST -DLIMIT=3 -DMAXN=2 -DOPS1=1" "-DCOST -DLIMIT=2 -DDETACH -DOPS1=1" "-DCOST -DNB=3 -DLIMIT=2 -DDEATHS=0 -DOPS=1 -DTRIES=1" */
/* MUTATIONS: NO_FENCE ASKED_FIRST:2 ONE_COLLECT:3 NO_ALIVE_BETWEEN:3 PENDING_FORM PENDING_GRANTS NO_INC_RECHECK:15 RESET_LATE ENDED_FIRST:7 LIMIT_ONCE:4 LIMIT_LAST:3 BLIND_RETRY:6 RELEASE_FIRST:10 COST_FIRST:10 COST_BEFORE_ALIVE:10 NO_MOVING:10 MOVED_EARLY:10 */
/*
 * Leases: usage is the sum over all holders. Too much is never granted, and a free slot is never
 * answered "full". One protocol for kernels, GPU memory and reservations of GPU time (COST).
 *
 * What is modelled (lib/lease.c; each function is named where it begins)
 *
 *   One tenant, one resource. A broker slot has a record {incarnation, asked, ended, held} that
 *   only the slot's owner writes. A reader goes through a set of records; none is ever removed
 *   from it.
 *     claim    asked += n                      withdraw  ended += n
 *     grant    held += n                       release   held -= n, then ended += n
 *     reset    incarnation = 0; asked = ended = held = 0; incarnation = own     by a new owner
 *   When an incarnation uses its slot for the first time, it resets the slot's record, or fills a
 *   new one and inserts it (the row's word, then its bit). Then comes the first look. A record with
 *   incarnation 0 counts nothing.
 *
 *   acquire(n), under a lock of the broker's own:
 *     look:   L = limit
 *             the bits; of each record but the own: incarnation, ended, asked, held, and the
 *             incarnation again (if it is another one: read this record again); 0 is left out
 *             L2 and C = limit and cost as of one instant, after all those reads
 *             own held + n + sum of (asked - ended) + C <= L: FITS (with EXACT it goes on, to find
 *             out what is used)
 *             each record that counts (asked - ended or held is not 0): leave it out if it is dead
 *             C2 = cost, loaded again after all those checks
 *             own held + n + sum of (asked - ended) + C2 <= L: FITS
 *             own held + n + sum of held + C > L2: of each record whose held is not 0: moving, then
 *                 ended again, then incarnation again: AGAIN if one has changed; FULL if it is full
 *                 without those that are moving; else AGAIN
 *             own held + n + (asked - ended) of lower slots + held of higher slots <= L: KEEP
 *             else YIELD
 *     first without a claim.   FITS: claim, seq_cst fence, look with the claim.   FULL: answer it.
 *                              Else look again.
 *     then with the claim.     FITS: grant.   FULL: withdraw, answer it.   AGAIN, KEEP: look again.
 *                              YIELD: withdraw, and start over.
 *     If a bound on looks and claims is reached: withdraw, BUSY. In the model any look may be the
 *     last.
 *   In the sum the own claim is `n`: own asked and ended are never read.
 *
 *   Reservations (COST). What is held of a budget is reserved. What is booked is a central count,
 *   the cost, that only grows. The limit bounds both together. Without COST the cost is 0.
 *     commit(a)    moving = 1; cost += a; held -= n; ended += n; moving = 0
 *     cancel       a release
 *   Between cost and held both count. A look must not miss a commit that it sees in parts: it loads
 *   the cost last, and once more after the question who lives, as the dead may have booked. Nor may
 *   it answer "full" because of what counts twice: whoever has seen the booking sees `moving`, or
 *   sees `ended` raised. Here a is at most n, and only what was reserved is booked.
 *
 *   Where records hang is in lease.h; what leads to them is `linked` here.
 *
 *   A broker may stop for ever, or die, before each of its stores and while it is idle. A new
 *   incarnation takes its slot again once (REOPS). Between its stores a broker only reads, which
 *   nobody sees, so to die there is to have died earlier. Or it detaches (DETACH): its slot is free
 *   at once and its lock is dropped at any time after that; the next owner may reset the record
 *   before. The limit may be changed once (NEWLIMIT), down or up. It is one word here; intent.pml
 *   shows that a reader gets whole sets of limits while they are updated.
 *
 * Invariants (each is an assert)
 *
 *   I4, grants: nothing is granted while the sum exceeds the limit in force at the claim. Here: at
 *     a grant, the units really held by the living, and the cost, are at most the limit that the
 *     grant loaded after its claim, or, if it was raised meanwhile, the limit. Units are held until
 *     `ended` has reached memory, or their cost has.
 *   I4, refusals: what the dead held is no reason for a refusal, and a free slot is never answered
 *     "full". Here: "full" is answered only if at some instant of the call the units really held by
 *     the living + n > the limit. No claim and no torn read counts.
 *   I6 and I7, BUSY (CONTEND): if a process is killed after any store, every other one goes on at
 *     once; a stopped one blocks only what it holds or has claimed. Here: BUSY is answered only if
 *     another living broker was in an operation during the call. A call that runs alone is granted
 *     or rightly refused, whatever dead and idle brokers left behind.
 *   No livelock (CONTEND). A broker whose turn it is (KEEP) is answered BUSY only if since its
 *     claim some broker was granted, released or died, or if one in its way is still in the pass
 *     (look, claim, withdraw) or release that it was in at the time of the claim. With three
 *     brokers and a limit of 2: has not ended two passes since (TWO_PASSES), because two that fit
 *     one at a time can claim together once more. The lowest contender is KEEP, unless a lower
 *     slot is inside a release. So of brokers that contend for the last slot, none of them
 *     stopped, the lowest gets it, if it looks for as long as the others need for two passes. More
 *     is impossible: that exactly one of two wins within a bound in every schedule is consensus,
 *     which loads and stores can't provide.
 *
 * Abstractions
 *
 *   SB > 0: each broker's stores pass through a buffer of that depth (TSO), and death empties it: a
 *     process is dead only once it has left the CPU. SB = 0 and three brokers: sequentially
 *     consistent. The only place where a load must not overtake a store is between claim and sum,
 *     which two brokers suffice to show.
 *   CONTEND: with the ghosts that judge BUSY. A pass counts as ended when its withdrawal is in
 *     memory, so SB = 0. With three brokers none dies then.
 *   MORTAL, KEEPS: masks of the slots that may die, and of those that never release. MAXN: the
 *     largest n. OPS*: the acquires of a slot.
 *   Records move between tenants (record.pml). Here a slot's record is the one that its row leads
 *     to, and `inc` stands also for the record's `use`, which changes with every reset, and for the
 *     row's bit. A record taken from an idle owner holds nothing and wants nothing: leaving it out
 *     of a sum is the same as reading it earlier or later.
 *   The row is a mask. Reset and insertion of a new record are one step, as no reader sees it
 *     before.
 *   Incarnations are small numbers, liveness is a bit, counters are small and don't wrap.
 *
 * Mutations
 *
 *   NO_FENCE          no fence between claim and sum: both brokers sum before they see the other's
 *                     claim, and both are granted
 *   ASKED_FIRST       asked is read before ended: a claim and its withdrawal in between count as -n
 *   ONE_COLLECT       full after one collect: counts a lease and its successor in another slot
 *   NO_ALIVE_BETWEEN  liveness is checked with the first reads only, not after them: a holder that
 *                     died meanwhile and its successor both count
 *   NO_INC_RECHECK    an old ended and a new asked, read across a reset, count as -n
 *   RESET_LATE        the new owner's incarnation is over the old words while they become 0: the
 *                     same
 *   ENDED_FIRST       a release raises ended before it lowers held: both collects count what has
 *                     been released
 *   LIMIT_ONCE        full by the limit loaded before the collect, although it was raised meanwhile
 *   LIMIT_LAST        full by a limit loaded after the liveness checks: it was lowered after the
 *                     holder had died
 *   BLIND_RETRY       from YIELD straight to the next claim: brokers that retry in step hold up the
 *                     one whose turn it is
 *   RELEASE_FIRST     a commit frees before it books: the gap is granted to another
 *   COST_FIRST, COST_BEFORE_ALIVE   the cost is loaded too early: what is booked then counts nowhere
 *   NO_MOVING, MOVED_EARLY          "full" of what counts twice
 *   PENDING_FORM      the obvious form: words held and pending, and two equal sums. Others' claims,
 *                     and the step between held += n and pending -= n, refuse what is free
 *   PENDING_GRANTS    the same with pending -= n before held += n: grants what another broker is
 *                     about to hold
 *
 * Memory ordering that gives this in C11 (x86: only the fence costs; aarch64: each line is needed)
 *
 *   reset     incarnation = 0 relaxed; asked, ended, held = 0 release (a reader of one of these
 *             zeroes sees incarnation 0, or a later one, when it looks again); incarnation = own
 *             release (a reader of it sees the zeroes)
 *   insert    the row's word, then the bit, release: the record before a reader can find it
 *   claim     asked release (incarnation before it), then atomic_thread_fence(seq_cst), then
 *             everything in look. Of two brokers' fences one is first: the other broker's look sees
 *             its insertion, incarnation and claim
 *   grant     held release: a reader of it sees this incarnation when it looks again
 *   withdraw  ended release: a reader of it sees the claim that it ends, else the sum is too low
 *   release   held release, ended release. The latter must be release: (1) held is lowered before,
 *             else ENDED_FIRST; (2) what the holder did with the lease comes before what the next
 *             holder does, which reads ended with acquire
 *   commit    moving = 1 relaxed; a release fence; the cost by an RMW; held, ended, moving release.
 *             In a look an acquire fence follows the load of the cost, and moving is loaded with
 *             acquire before `ended`: who has seen the cost sees moving = 1, or 0 and then `ended`
 *   look      limit, bits, row, incarnation, ended, asked, held: acquire, in this order;
 *             incarnation again: relaxed, kept in its place by the acquires before it. Limit
 *             again: acquire. A liveness check is a system call and no barrier: the acquires of
 *             the reads keep it after them, and an acquire fence follows it for what the dead did.
 *             Second collect: ended acquire, incarnation relaxed.
 *   "At an instant" supposes that all others see a store at once, as on x86 and aarch64 (multi-copy
 *   atomic).
 *
 * Why full is right: let T be the second load of the limit. It lies after all first reads and
 * before the liveness checks and second reads. Each holder was alive later than T, and its ended,
 * unchanged on both sides of T, says that nothing of the held that was read had been released at
 * T. So asked need not be compared, nor the claims of others.
 */

#ifndef NB
#define NB 2            /* broker slots */
#endif
#ifndef LIMIT
#define LIMIT 1
#endif
#ifndef NEWLIMIT
#define NEWLIMIT LIMIT
#endif
#ifndef OPS
#define OPS 2           /* acquires of a broker's first life */
#endif
#ifndef OPS0
#define OPS0 OPS
#endif
#ifndef OPS1
#define OPS1 OPS
#endif
#ifndef OPS2
#define OPS2 OPS
#endif
#ifndef REOPS
#define REOPS 1         /* and of the life after it */
#endif
#ifndef MAXN
#define MAXN 1          /* the largest n */
#endif
#ifndef TRIES
#define TRIES 2         /* claims of one call */
#endif
#ifndef DEATHS
#define DEATHS 1        /* in all */
#endif
#ifndef MORTAL
#define MORTAL 7        /* slots that may die */
#endif
#ifndef KEEPS
#define KEEPS 0         /* slots that never release */
#endif
#ifndef SB
#define SB 0            /* depth of a store buffer; 0: none */
#endif
#ifdef PENDING_GRANTS
#define PENDING_FORM
#endif

/* the word that a store is for */
#define INC   0
#define ASKED 1
#define ENDED 2
#define HELD  3
#define FREED 4         /* `ended`, raised by a release */
#define MOVING 5

/* the result of a look */
#define FITS  1
#define FULL  2
#define AGAIN 3
#define KEEP  4
#define YIELD 5

/* ---- shared memory ---- */
byte inc[NB], asked[NB], ended[NB], held[NB];
byte linked;            /* bit s: the record of slot s is in the list */
byte limit = LIMIT;
byte dead;              /* bit i - 1: incarnation i is dead */
byte closing[NB];       /* the incarnation that has detached, and still has its lock */

#ifdef COST
byte cost;              /* what is booked; a budget bounds cost + what is held */
bit  moving[NB];        /* the broker is inside a commit */
#define BOOKED cost
#else
#define BOOKED 0
#endif

/* ---- ghosts ---- */
byte deaths;
byte really[NB];        /* units held, until `ended` says otherwise */
byte parting[NB];          /* units of the one that is closing */
byte need[NB];          /* the n of the call in progress, 0: none */
bit  sawfull[NB];       /* at an instant of the call, really + n > limit */
#ifdef CONTEND
bit  busy[NB];          /* in an operation */
bit  company[NB];       /* another living broker was in an operation */
byte stood[NB];         /* the others that are still in the pass they were in at the claim */
byte early[NB];         /* (TWO_PASSES: those that have not ended even one) */
bit  moved[NB];         /* since the claim another was granted, released or died */
#define BUSY(b) busy[me] = b
#else
#define BUSY(b) skip
#endif

#if NB == 3
#define SUM(w) (w[0] + w[1] + w[2])
#define EACH(X) X(0); X(1); X(2)
#else
#define SUM(w) (w[0] + w[1])
#define EACH(X) X(0); X(1)
#endif
#ifdef DETACH
#define TOTAL (SUM(really) + SUM(parting))
#else
#define TOTAL SUM(really)
#endif

#define G_FULL(i)    sawfull[i] = sawfull[i] || (need[i] && TOTAL + BOOKED + need[i] > limit)
#ifdef CONTEND
#define G_MOVED(i)   moved[i] = (need[i] != 0)
#define G_COMPANY(i) company[i] = company[i] || (need[i] && i != me)
#define G_STAND(i)   stood[i] = stood[i] | ((need[i] && i != me) << me)
#ifdef TWO_PASSES
#define G_PASS(i)    if :: early[i] & (1 << me) -> early[i] = early[i] & ~(1 << me) \
                        :: else -> stood[i] = stood[i] & ~(1 << me) fi
#else
#define G_PASS(i)    stood[i] = stood[i] & ~(1 << me)
#endif
#else
#define G_MOVED(i)   skip
#define G_COMPANY(i) skip
#define G_STAND(i)   skip
#define G_PASS(i)    skip
#endif

#if SB
chan buf[NB] = [SB] of { byte, byte };
#define DRAINED(s) (len(buf[s]) == 0)
#else
#define DRAINED(s) (1)
#endif
#ifdef CONTEND
#define WAY0 way = 0; st = 0
#else
#define WAY0 skip
#endif
#define ACTIVE(s)  ((me != s && (busy[s] || !DRAINED(s))) << s)
#if NB == 3
#define OTHERS     (ACTIVE(0) | ACTIVE(1) | ACTIVE(2))
#else
#define OTHERS     (ACTIVE(0) | ACTIVE(1))
#endif

inline apply(me, f, v)          /* a store reaches memory */
{
	if
	:: f == INC   -> inc[me] = v;
#ifdef DETACH
		if :: parting[me] -> parting[me] = 0; EACH(G_MOVED) :: else fi
#endif
	:: f == ASKED -> asked[me] = v
#ifdef PENDING_FORM
	:: f == HELD  -> if :: v < held[me] -> really[me] = v :: else fi; held[me] = v
#else
	:: f == HELD  -> held[me] = v
#endif
	:: f == ENDED -> ended[me] = v;
#ifndef PENDING_FORM
		if :: v > 0 -> EACH(G_PASS) :: else fi
#endif
	:: f == FREED -> really[me] = really[me] - (v - ended[me]); ended[me] = v; EACH(G_MOVED); EACH(G_PASS)
#ifdef COST
	:: f == MOVING -> moving[me] = v
#endif
	fi
}

#if SB
#define PUT(f, v)  nfull(buf[me]) -> buf[me]!f,v
#else
#define PUT(f, v)  apply(me, f, v)
#endif

#define STORE(f, v) if :: atomic { PUT(f, v) } :: atomic { deaths < DEATHS && (MORTAL & (1 << me)) -> goto died } fi

#define IS_DEAD(i)  (dead & (1 << ((i) - 1)))

inline drop(s)
{
	ci[s] = 0; ce[s] = 0; cd[s] = 0; ch[s] = 0
}

inline forget()
{
	EACH(drop); j = 0; seen = 0; x = 0;
#ifdef COST
	c = 0; c2 = 0; m = 0
#endif
}

inline next()           /* j: the next linked record, or NB */
{
	do
	:: j < NB && !(seen & (1 << j)) -> j++
	:: else -> break
	od
}

inline next_counted()   /* j: the next record that counts, or NB */
{
	do
	:: j < NB && cd[j] == 0 && ch[j] == 0 -> j++
	:: else -> break
	od
}

inline next_holder()
{
	do
	:: j < NB && ch[j] == 0 -> j++
	:: else -> break
	od
}

/* limit (to x) and cost, as of one instant: the limit is the same before and after the cost */
#ifdef COST
#ifdef COST_FIRST
#define BOUND       x = limit
#define LAST        c2 = c
#else
#define BOUND       do :: x = limit; c = cost; if :: x == limit -> break :: x != limit -> skip fi od
#ifdef COST_BEFORE_ALIVE
#define LAST        c2 = c
#else
#define LAST        c2 = cost
#endif
#endif
#define C           c
#define C2          c2
#else
#define BOUND       x = limit
#define LAST        skip
#define C           0
#define C2          0
#endif
inline end_call()
{
	need[me] = 0; BUSY(0); sawfull[me] = 0; claimed = 0; tries = 0; n = 0; L = 0; v = 0;
#ifdef CONTEND
	company[me] = 0; stood[me] = 0; early[me] = 0; moved[me] = 0; way = 0; st = 0
#endif
}

proctype broker(byte me)
{
	byte my, a, e, h, n, L, ops, tries, seen, j, x, v;
#ifdef COST
	byte c, c2, spent;
	bit  m;
#endif
#ifdef CONTEND
	byte way, st;
#endif
	bit  claimed, ready, again;
	byte ci[NB], ce[NB], ch[NB];
	short cd[NB];

attach:
	atomic {
		my = 1 + me;
		if
		:: again -> my = my + NB; ops = REOPS
		:: else -> if :: me == 0 -> ops = OPS0 :: me == 1 -> ops = OPS1 :: else -> ops = OPS2 fi
		fi
	}
endidle:
	if
	:: atomic { ops > 0 -> ops--;
		if :: n = 1 :: MAXN > 1 -> n = MAXN fi;
		need[me] = n; tries = TRIES; EACH(G_FULL);
#ifdef CONTEND
		BUSY(1); EACH(G_COMPANY); company[me] = (OTHERS != 0);
#endif
		goto obtain }
	:: atomic { h > 0 && !(KEEPS & (1 << me)) -> BUSY(1); EACH(G_COMPANY); EACH(G_STAND);
		if :: n = 1 :: h > 1 -> n = h fi; goto release }
#ifdef COST
	:: atomic { h > 0 && !(KEEPS & (1 << me)) -> BUSY(1); EACH(G_COMPANY); EACH(G_STAND);
		if :: n = 1 :: h > 1 -> n = h fi;
		if :: spent = n :: n > 1 -> spent = 1 fi; goto commit }
#endif
	:: atomic { deaths < DEATHS && (MORTAL & (1 << me)) -> goto died }
#ifdef DETACH
	:: atomic { deaths < DEATHS && (MORTAL & (1 << me)) && DRAINED(me) && !closing[me] ->
		closing[me] = my; parting[me] = really[me]; really[me] = 0; deaths++; goto left_slot }
#endif
	fi;

obtain: /* obtain(), reset(): the record, at this incarnation's first use */
	if
	:: atomic { !ready && !(linked & (1 << me)) -> inc[me] = my; linked = linked | (1 << me); ready = 1 }
	:: atomic { !ready && (linked & (1 << me)) };
#ifdef RESET_LATE
		STORE(INC, my);
#else
		STORE(INC, 0);
#endif
		STORE(ASKED, 0); STORE(ENDED, 0); STORE(HELD, 0);
#ifdef COST
		STORE(MOVING, 0);
#endif
#ifndef RESET_LATE
		STORE(INC, my);
#endif
		ready = 1
	:: else
	fi;

look:   /* look(): without an own claim first (look_before()), then with it (decide()) */
	atomic { L = limit;
#ifdef COST_FIRST
		c = cost;
#endif
#ifdef CONTEND
		if :: claimed -> st = stood[me] :: else fi;
#endif
	};
	atomic { seen = linked & ~(1 << me); j = 0; next() };   /* the list's head */
#ifdef PENDING_FORM
	goto pending;
#endif
	/* collect_others(), copy() */
	do
	:: j < NB ->
read:
		ci[j] = inc[j];
		if
		:: atomic { ci[j] != 0 };
#ifdef ASKED_FIRST
			cd[j] = asked[j];
			atomic { ce[j] = ended[j]; cd[j] = cd[j] - ce[j] };
#else
			ce[j] = ended[j];
			atomic { cd[j] = asked[j]; cd[j] = cd[j] - ce[j] };
#endif
			ch[j] = held[j];
#ifndef NO_INC_RECHECK
			atomic {
				if
				:: inc[j] == ci[j]
				:: else -> drop(j); goto read
				fi };
#endif
#ifdef NO_ALIVE_BETWEEN
			atomic { if :: IS_DEAD(ci[j]) -> drop(j) :: else fi }
#endif
		:: else
		fi;
		atomic { if :: cd[j] == 0 && ch[j] == 0 -> drop(j) :: else fi; j++; next() }
	:: atomic { else -> j = 0; x = 0; next_counted(); break }
	od;
	BOUND;
	if
#ifndef EXACT
	:: atomic { h + n + SUM(cd) + C <= L -> v = FITS; goto verdict }
	:: atomic { else ->
#else
	:: atomic { true ->
#endif
#ifdef LIMIT_ONCE
		x = L
#endif
		}
	fi;
	/* leave_out_the_dead() */
	do
	:: atomic { j < NB ->
#ifndef NO_ALIVE_BETWEEN
			if :: IS_DEAD(ci[j]) -> drop(j) :: else fi;
#endif
			j++; next_counted() }
	:: atomic { else -> j = 0; next_holder(); break }
	od;
	LAST;
	if
	:: atomic { h + n + SUM(cd) + C2 <= L -> v = FITS; goto verdict }
	:: atomic { else ->             /* full? */
#ifdef LIMIT_LAST
		x = limit;
#endif
		if
		:: h + n + SUM(ch) + C > x -> skip
		:: else -> goto turn
		fi }
	fi;
	/* still_hold() */
#ifndef ONE_COLLECT
	do
	:: j < NB ->
#if defined(COST) && !defined(NO_MOVING)
		m = moving[j];
#endif
		seen = ended[j];
		atomic {
			if
			:: seen != ce[j] || inc[j] != ci[j] -> v = AGAIN; goto verdict
			:: else
			fi;
#ifdef COST
			if :: m -> ch[j] = 0; m = 0 :: else fi;
#endif
			seen = 0; j++; next_holder() }
	:: else -> break
	od;
#endif
#ifdef COST
	/* without those that are inside a commit: they may be booked already */
	atomic { if :: h + n + SUM(ch) + c > x -> v = FULL :: else -> v = AGAIN fi; goto verdict };
#else
	atomic { v = FULL; goto verdict };
#endif

#ifdef PENDING_FORM
pending:
	do
	:: j < NB ->
		ch[j] = held[j];
		atomic { cd[j] = asked[j]; ch[j] = ch[j] + cd[j]; cd[j] = 0;
			if :: inc[j] == 0 || IS_DEAD(inc[j]) -> ch[j] = 0 :: else fi };
		atomic { j++; next() }
	:: atomic { else -> x = SUM(ch); drop(0); drop(1); ch[0] = 0; j = 0; next(); break }
	od;
	do
	:: j < NB ->
		ch[j] = held[j];
		atomic { cd[j] = asked[j]; ch[j] = ch[j] + cd[j]; cd[j] = 0;
			if :: inc[j] == 0 || IS_DEAD(inc[j]) -> ch[j] = 0 :: else fi };
		atomic { j++; next() }
	:: else -> break
	od;
	atomic {
		if
		:: SUM(ch) != x -> v = AGAIN
		:: SUM(ch) == x && h + n + x <= L -> v = FITS
		:: else -> v = FULL
		fi; goto verdict };
#endif

turn:   /* sum_of_turn(): claims are in the way: whose turn is it? */
	atomic {
		x = 0; j = 0;
		do
		:: j < NB ->
			if :: j < me -> x = x + cd[j] :: else -> x = x + ch[j] fi;
#ifdef CONTEND
			if :: cd[j] > ch[j] -> way = way | (1 << j) :: else fi;
#endif
			j++
		:: else -> break
		od;
		if
		:: h + n + x <= L -> v = KEEP
		:: else -> v = YIELD
		fi; goto verdict };

verdict:
	atomic { forget();
	if
	:: v == FITS && !claimed -> v = 0; goto claim
	:: v == FITS && claimed -> goto grant
	:: v == FULL ->
#ifndef PENDING_GRANTS
		assert(sawfull[me]);
#endif
		if :: claimed -> goto withdraw :: else -> if :: DRAINED(me) -> EACH(G_PASS) :: else fi; goto answered fi
	:: v == AGAIN || v == KEEP || (v == YIELD && !claimed) -> v = 0; WAY0; goto look
	:: v == YIELD && claimed -> goto withdraw
	:: v == AGAIN || v == KEEP || (v == YIELD && !claimed) -> /* the bound is reached: BUSY */
#ifdef CONTEND
		assert(company[me]);
		if
		:: claimed && v == KEEP -> assert(moved[me] || (way & (st | stood[me])))
		:: else
		fi;
#endif
		if :: claimed -> v = FULL; goto withdraw :: else -> if :: DRAINED(me) -> EACH(G_PASS) :: else fi; goto answered fi
	fi };

claim:  /* k2k_lease_acquire() */
#ifdef PENDING_FORM
	STORE(ASKED, n);
#else
	STORE(ASKED, a + n);
#endif
	atomic {
#ifndef NO_FENCE
		DRAINED(me) ->
#endif
		a = a + n; claimed = 1; tries--;
#ifdef CONTEND
		moved[me] = 0; stood[me] = OTHERS;
#ifdef TWO_PASSES
		stood[me] = 7 & ~(1 << me); early[me] = stood[me];
#endif
#endif
		goto look };

grant:  /* decide(), granted */
#ifdef PENDING_GRANTS
	STORE(ASKED, 0);
#endif
	if
	:: atomic { PUT(HELD, h + n); h = h + n;
		really[me] = really[me] + n; assert(TOTAL + BOOKED <= L || TOTAL + BOOKED <= limit);
		EACH(G_MOVED); EACH(G_FULL) }
	:: atomic { deaths < DEATHS && (MORTAL & (1 << me)) -> goto died }
	fi;
#ifdef PENDING_FORM
	STORE(ASKED, 0);
#endif
	atomic { end_call(); goto endidle };

withdraw:       /* decide(), not granted */
#ifdef PENDING_FORM
	STORE(ASKED, 0);
#else
	STORE(ENDED, e + n);
#endif
	atomic { e = e + n; claimed = 0;
		if
#ifdef BLIND_RETRY
		:: v == YIELD && tries > 0 -> v = 0; WAY0; goto claim
#else
		:: v == YIELD && tries > 0 -> v = 0; WAY0; goto look
#endif
		:: v == YIELD && tries == 0 -> goto answered      /* BUSY */
		:: v == FULL -> goto answered
		fi };

answered:
	atomic {
#ifdef CONTEND
		assert(v != YIELD || company[me]);
#endif
		end_call(); goto endidle };

release:        /* k2k_lease_release() */
#ifdef PENDING_FORM
	STORE(HELD, h - n);
#elif defined(ENDED_FIRST)
	STORE(FREED, e + n); STORE(HELD, h - n);
#else
	STORE(HELD, h - n); STORE(FREED, e + n);
#endif
	atomic { h = h - n; e = e + n; n = 0; BUSY(0); goto endidle };

#ifdef COST
commit: /* k2k_lease_book(): what was reserved counts until it is booked, and is booked once */
#ifdef RELEASE_FIRST
	STORE(HELD, h - n); STORE(ENDED, e + n);
#else
	STORE(MOVING, 1);
#endif
	if
	:: atomic { DRAINED(me) -> cost = cost + spent; really[me] = really[me] - n;
		EACH(G_FULL); EACH(G_MOVED) }
	:: atomic { deaths < DEATHS && (MORTAL & (1 << me)) -> goto died }
	fi;
#ifndef RELEASE_FIRST
#ifdef MOVED_EARLY
	STORE(MOVING, 0);
#endif
	STORE(HELD, h - n); STORE(ENDED, e + n);
#ifndef MOVED_EARLY
	STORE(MOVING, 0);
#endif
#endif
	atomic { h = h - n; e = e + n; n = 0; spent = 0; BUSY(0); goto endidle };
#endif

died:
	atomic {
#if SB
		do
		:: buf[me]?x,v -> apply(me, x, v)
		:: empty(buf[me]) -> break
		od;
#endif
		deaths++; dead = dead | (1 << (my - 1)); really[me] = 0;
		EACH(G_MOVED); EACH(G_PASS); EACH(G_PASS);
left_slot:
		end_call(); forget();
		a = 0; e = 0; h = 0; ops = 0; ready = 0; my = 0;
#ifdef COST
		spent = 0;
#endif
		if
		:: REOPS > 0 && !again -> again = 1; goto attach
		:: again = 0; goto end
		fi };
end:
	false
}

#if SB
active proctype memory()
{
	byte f, v;
end:
	do
	:: atomic { buf[0]?f,v -> apply(0, f, v); f = 0; v = 0 }
	:: atomic { buf[1]?f,v -> apply(1, f, v); f = 0; v = 0 }
#if NB == 3
	:: atomic { buf[2]?f,v -> apply(2, f, v); f = 0; v = 0 }
#endif
	od
}
#endif

#ifdef DETACH
active proctype kernel()         /* a detached broker's lock is dropped after its owner word */
{
	byte s;
end:
	do
	:: atomic { closing[0] -> s = 0; goto unlock }
	:: atomic { closing[1] -> s = 1; goto unlock }
#if NB == 3
	:: atomic { closing[2] -> s = 2; goto unlock }
#endif
	od;
unlock:
	atomic { dead = dead | (1 << (closing[s] - 1)); closing[s] = 0; parting[s] = 0; s = 0; goto end }
}
#endif

#if NEWLIMIT != LIMIT
active proctype admin()
{
	atomic { limit = NEWLIMIT; EACH(G_FULL) }
}
#endif

init {
	atomic {
		run broker(0); run broker(1);
#if NB == 3
		run broker(2)
#endif
	}
}
