/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DOPS=1" "-DOPS=1 -DREAP" "-DOPS=1 -DNR=1 -DREADS=1" "-DNR=1 -DDEATHS=0 -DREADS=1" "-DNR=1 -DDEATHS=0 -DREAP" "-DNR=1 -DOPS=3 -DOPSB=0 -DDEATHS=0" */
/* FULL: "-DOPS=1 -DREADS=1" "-DDEATHS=0" "-DNR=1 -DREADS=1" */
/* MUTATIONS: TAKE_LIVE NO_USE:3 SAME_USE:3 PLAIN_BACK IDLE_FIRST COUNT_FIRST:3 REAP_IDLE:2 */
/*
 * Lease records: who owns one, and what a reader may count for its owner. The decision itself is in
 * lease.pml.
 *
 * What is modelled (lib/lease.c)
 *
 *   NR records of one table, two tenants, two broker slots. A record has a state word (FREE, or
 *   CLAIMED, LIVE, IDLE with an incarnation), `use`, and contents: its key (tenant, broker slot),
 *   incarnation, count (held; asked and ended behave the same way). row[tenant][slot] is the record
 *   that this slot used last; only the slot's owner writes it.
 *   acquire(t)  Take a record, first the row's if that is IDLE with our incarnation: by CAS from
 *               FREE, IDLE or LIVE, CLAIMED|dead to CLAIMED|own; use odd; contents; use even; row;
 *               LIVE.
 *   release     count = 0, then LIVE -> IDLE. (A broker keeps one of its records LIVE for a while,
 *               and takes it for another tenant only while its registration is there. That is not
 *               modelled here; the program lease_reaped of tests/explore shows it.)
 *   reader      Follows the row of (tenant, slot): use even, contents, the same use again. Counts
 *               the copy if it has that key.
 *   reap(t)     The writer, once no broker is inside tenant t any more: a LIVE record of t becomes
 *               FREE by CAS.
 *   A broker may stop or die before each step; a new incarnation takes its slot (once).
 *
 * Invariants (each is an assert)
 *
 *   A broker writes into a record only while the state word is CLAIMED or LIVE with its
 *   incarnation.
 *   A reader that counts n > 0 for a living incarnation counts what this one held of the tenant at
 *   an instant of the copy.
 *   A reader never counts nothing for a slot whose living owner held something all the time.
 *   In the end, when all brokers are gone or idle, every record can be taken.
 *
 * Mutations
 *
 *   TAKE_LIVE    takes a record that a living broker holds
 *   NO_USE       `use` is not loaded again after the copy: two uses are mixed
 *   SAME_USE     `use` goes back to the number that it had: the same
 *   PLAIN_BACK   the row's record is taken by a store, beside a broker that has just taken it
 *   IDLE_FIRST   IDLE before the count is 0
 *   COUNT_FIRST  the row's record is counted although its key is another
 *   REAP_IDLE    the writer frees by a store, not by a CAS that expects the LIVE owner
 *
 * Ordering: `use` odd is a relaxed store and a release fence, `use` even a release store; the
 * reader has an acquire load, an acquire fence and a relaxed load (a seqlock with a single writer,
 * thanks to the CAS of the state). The row is stored with release after it, the state with release.
 */

#ifndef NR
#define NR 2
#endif
#ifndef OPS
#define OPS 2           /* acquires of a broker's life */
#endif
#ifndef OPSB
#define OPSB OPS        /* and of the other slot's */
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef SEEN
#define SEEN 2          /* the word that the reader follows: tenant * 2 + slot */
#endif

#define FREE 0
#define CLAIMED 1
#define LIVE 2
#define IDLE 3
/* incarnations: broker slot s has 1 + s, and after a death 3 + s */
#define SLOT(i) (((i) - 1) % 2)
#define IS_DEAD(i) (dead & (1 << (i)))

byte state[NR], owner[NR];      /* one word: both change in one step */
byte use[NR];
byte tenant[NR], slot[NR], inc[NR], count[NR];  /* tenant: 0 or 1; slot 2: never filled */
byte row[4];                    /* tenant * 2 + slot: record + 1 */
byte dead;
byte deaths;
bool over[2];                   /* the tenant is deregistered, its grace period has passed */
bool inside[4];                 /* tenant * 2 + slot: in a section of that tenant */

/* ghosts */
byte held[4];                   /* what the living owner of a slot holds of a tenant */
bool changed;                   /* the reader's: since it began its copy */
byte was;                       /* the values that it had meanwhile, as bits */

#define CELL(t, s) ((t) * 2 + (s))
#ifdef READS
#define NOTE(t, s, n) held[CELL(t, s)] = n; if :: CELL(t, s) == SEEN -> was = was | (1 << (n)); changed = true :: else fi
#else
#define NOTE(t, s, n) held[CELL(t, s)] = n
#endif
#define MINE(r) (owner[r] == me && (state[r] == LIVE || state[r] == CLAIMED))
#define DIE atomic { deaths < DEATHS -> deaths++; goto died }

proctype broker(byte me; bool again)
{
	byte s = SLOT(me), t, r, ops = (SLOT(me) -> OPSB : OPS), i;

next:	do
	:: atomic { ops > 0 -> ops--; r = 0; i = 0;
			if
			:: !over[0] -> t = 0; inside[CELL(0, s)] = true
			:: !over[1] -> t = 1; inside[CELL(1, s)] = true
			:: over[0] && over[1] -> goto enddone
			fi }
		/* find_own(): its state; its key does not matter, since it is filled anew */
		if
		:: row[CELL(t, s)] == 0 -> goto take
		:: row[CELL(t, s)] != 0 -> r = row[CELL(t, s)] - 1
		fi;
		if
		:: atomic { state[r] == IDLE && owner[r] == me -> skip }
		:: atomic { !(state[r] == IDLE && owner[r] == me) -> goto take }
		fi;
		if
#ifdef PLAIN_BACK
		:: atomic { state[r] = CLAIMED; owner[r] = me }
#else
		:: atomic { state[r] == IDLE && owner[r] == me -> state[r] = CLAIMED; owner[r] = me }
		:: atomic { !(state[r] == IDLE && owner[r] == me) -> goto take }
#endif
		:: DIE
		fi;
		goto filling;
take:		r = 0;
search:		if
		:: atomic { r < NR && (state[r] == FREE || state[r] == IDLE || (state[r] != FREE && IS_DEAD(owner[r]))
#ifdef TAKE_LIVE
		            || state[r] == LIVE
#endif
		            ) -> state[r] = CLAIMED; owner[r] = me }
		:: atomic { r < NR && !(state[r] == FREE || state[r] == IDLE || (state[r] != FREE && IS_DEAD(owner[r]))) -> r++; goto search }
		:: atomic { r == NR -> inside[CELL(t, s)] = false; goto next }         /* full */
		:: DIE
		fi;
filling:	i = use[r];
		if :: atomic { use[r] = use[r] | 1; assert(MINE(r)) } :: DIE fi;
		if :: atomic { tenant[r] = t; assert(MINE(r)) } :: DIE fi;
		if :: atomic { slot[r] = s; inc[r] = me } :: DIE fi;
		if :: atomic { count[r] = 0; assert(MINE(r)) } :: DIE fi;
#ifdef SAME_USE
		if :: use[r] = i & 254 :: DIE fi;
#else
		if :: use[r] = (i | 1) + 1 :: DIE fi;
#endif
		i = 0;
		if :: row[CELL(t, s)] = r + 1 :: DIE fi;
		if :: state[r] = LIVE :: DIE fi;
		if :: atomic { assert(MINE(r)); assert(tenant[r] == t && slot[r] == s); count[r] = 1; NOTE(t, s, 1); inside[CELL(t, s)] = false } :: DIE fi;
		/* held until it is released, or the tenant is gone */
		if
		:: atomic { !over[t] -> inside[CELL(t, s)] = true }
		:: atomic { over[t] -> NOTE(t, s, 0); goto next }
		:: DIE
		fi;
#ifdef IDLE_FIRST
		if :: atomic { state[r] = IDLE } :: DIE fi;
		if :: atomic { assert(owner[r] == me); count[r] = 0; NOTE(t, s, 0) } :: DIE fi;
#else
		if :: atomic { assert(MINE(r)); count[r] = 0; NOTE(t, s, 0) } :: DIE fi;
		if :: atomic { assert(MINE(r)); state[r] = IDLE } :: DIE fi;
#endif
		inside[CELL(t, s)] = false
	:: atomic { ops == 0 -> goto enddone }
	od;
died:	atomic {
		dead = dead | (1 << me);
		inside[CELL(0, s)] = false; inside[CELL(1, s)] = false;
		NOTE(0, s, 0); NOTE(1, s, 0);
		if
		:: again -> run broker(me + 2, false)
		:: !again -> skip
		fi
	};
enddone:
	false
}

#ifdef READS
/* copy() of one word of one row */
proctype reader()
{
	byte t, s, r, u, n, who, times = READS;
	bool mine;

	do
	:: atomic { times > 0 -> times--;
			t = SEEN / 2; s = SEEN % 2;
			changed = false; was = 1 << held[SEEN] };
again:		if
		:: row[CELL(t, s)] == 0 -> n = 0; who = 0; goto counted
		:: row[CELL(t, s)] != 0 -> r = row[CELL(t, s)] - 1
		fi;
		u = use[r];
		if
		:: u & 1 -> n = 0; who = 0; goto counted
		:: !(u & 1) -> skip
		fi;
		mine = (tenant[r] == t);
		mine = mine && (slot[r] == s);
		who = inc[r];
		n = count[r];
#ifdef COUNT_FIRST
		mine = true;
#endif
#ifndef NO_USE
		if
		:: use[r] == u -> skip
		:: use[r] != u -> goto again
		fi;
#endif
		if :: mine -> skip :: !mine -> n = 0 fi;
counted:	atomic {
			/* counted for a living owner: it held that at an instant of the copy */
			assert(!(n > 0 && !IS_DEAD(who) && SLOT(who) == s) || (was & (1 << n)));
			assert(!(n > 0 && !IS_DEAD(who)) || SLOT(who) == s);
			/* a living owner held something all the time: it is counted */
			assert(!(n == 0 && !changed && held[CELL(t, s)] > 0 && !over[t]));
			r = 0; u = 0; n = 0; who = 0; mine = false
		}
	:: atomic { times == 0 -> break }
	od
}
#endif

#ifdef REAP
/* k2k_lease_reap(): frees the LIVE records of tenant 0, once no broker is inside it */
proctype writer()
{
	byte s, r, w, o;

	atomic { !inside[CELL(0, 0)] && !inside[CELL(0, 1)] -> over[0] = true };
	do
	:: s < 2 ->
		if
		:: row[CELL(0, s)] == 0 -> goto skip_it
		:: row[CELL(0, s)] != 0 -> r = row[CELL(0, s)] - 1
		fi;
		atomic { w = state[r]; o = owner[r] };
		if
#ifdef REAP_IDLE
		:: w == LIVE || w == IDLE -> skip
		:: w != LIVE && w != IDLE -> goto skip_it
#else
		:: w == LIVE -> skip
		:: w != LIVE -> goto skip_it
#endif
		fi;
		if
		:: tenant[r] == 0 && slot[r] == s -> skip
		:: !(tenant[r] == 0 && slot[r] == s) -> goto skip_it
		fi;
#ifdef REAP_IDLE
		atomic { state[r] = FREE; owner[r] = 0 };
#else
		atomic {
			if
			:: state[r] == w && owner[r] == o -> state[r] = FREE; owner[r] = 0
			:: !(state[r] == w && owner[r] == o) -> skip
			fi
		};
#endif
skip_it:	s++
	:: s == 2 -> break
	od
}
#endif

init
{
	byte i;

	d_step {
		do
		:: i < NR -> slot[i] = 2; i++
		:: i == NR -> break
		od
	};
	atomic {
		run broker(1, true); run broker(2, true);
#ifdef READS
		run reader();
#endif
#ifdef REAP
		run writer()
#endif
	};
	/* all have ended or died: each record can be taken, unless a living broker holds it */
	timeout;
	d_step {
		i = 0;
		do
		:: i < NR ->
			assert(state[i] == FREE || state[i] == IDLE || IS_DEAD(owner[i]) ||
			       (state[i] == LIVE && count[i] > 0 && !(tenant[i] == 0 && over[0])));
			i++
		:: i == NR -> break
		od
	}
}
