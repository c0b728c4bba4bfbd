/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DOPS=2 -DOPSB=1" "-DOPS=1 -DOPSB=1 -DFIND -DNAMES=1" "-DOPS=2 -DOPSB=0 -DFIND" */
/* FULL: "-DOPS=3 -DOPSB=0 -DFIND -DDEATHS=0" "-DOPS=2 -DOPSB=2" "-DOPS=2 -DOPSB=1 -DFIND -DDEATHS=0" */
/* MUTATIONS: SWEEP_STATE UNLINK_ANY NO_BRACKET:2 ACTIVE_SET:2 LEASE_FIRST STEAL SAME_VERSION CLEAR_KEY NO_LINK_CHECK */
/*
 * The directory of kernels: who has a name, and what a reader may find.
 *
 * What is modelled (lib/kernel.c, lib/kernel_calls.c)
 *
 *   NR records of one pool; names 0 and 1, each with a bucket of its own, or with -DONE both in
 *   one; tenants 0 and 1 with LIMIT slots each. A bucket has a claim and a chain. A record has its
 *   entry state (FREE, or CLAIMED, LIVE with the incarnation that took it from the pool), a name, a
 *   link, the word (version, which set, PARKED, RESERVED or LIVE), the owner's incarnation, and two
 *   sets, each of a tenant.
 *   add      Claims the bucket and looks for the name. There is one: a living broker's: refused.
 *            Nobody's or a dead one's: RESERVED, incarnation. None: takes a FREE record, RESERVED,
 *            incarnation, name, link, LIVE. Gives the claim back, takes a slot of the tenant (else
 *            parks and drops), writes the other set, and stores the word.
 *   move     Takes a slot of the other tenant, writes the other set, stores the word, gives the old
 *            slot back.
 *   remove   PARKED; gives the slot back; and drops: if it gets the claim, unlinks and frees the
 *            record, if that is linked there and has the very word that was parked.
 *   sweep    A record that is LIVE, or CLAIMED by a dead one: claims its bucket, looks again, frees
 *            it if it is not linked, or is PARKED or of a dead owner.
 *   finder   Walks the chain of name 0; copies the record's word, name, incarnation and the set
 *            that the word selects; believes it if the word is the same. Starts again where it is
 *            led into another bucket.
 *   A broker may stop or die before each step; a new incarnation takes its place (once). Taking and
 *   giving back a slot is one step here: lease.pml shows that.
 *
 * Invariants (each is an assert)
 *
 *   N1  At most one LIVE record of a name has a living owner.
 *   N2  For each tenant and living broker: LIVE names <= named slots = held slots.
 *   N3  What a finder returns was true at an instant of its search: so a name that is moved is
 *       never absent, nor under two tenants.
 *   N4  A record that is RESERVED or LIVE for a living owner is written by that owner only. A chain
 *       is changed by the holder of its claim only.
 *   N5  If an add is refused as full, each slot that is held belongs to a broker that has a name.
 *   In the end each record can be swept, unless a living broker has it; no chain has a free record.
 *
 * Mutations
 *
 *   SWEEP_STATE    sweeps by the incarnation in the entry state, not by word and owner
 *   UNLINK_ANY     drops without a look whether the word is the parked one
 *   NO_BRACKET     the finder does not load the word again
 *   ACTIVE_SET     a move writes the set that is selected
 *   LEASE_FIRST    add takes the slot first: who loses the name held the last slot for a moment
 *   STEAL          takes a claim of a living broker
 *   SAME_VERSION   the version begins anew when a record is used again
 *   CLEAR_KEY      frees a record as other pools do: clears its key, and with it the bucket, before
 *                  it is FREE
 *   NO_LINK_CHECK  drops without a look whether the record is linked in this bucket
 *
 * Ordering: the claim is a compare-exchange with acquire and a release store. The new version is a
 * relaxed store and a release fence before the owner and the name, and before a set is written; the
 * next word is a release store. The finder has an acquire load, an acquire fence and a relaxed load
 * of the word. Links are as in ledger.pml.
 */

#ifndef NR
#define NR 2
#endif
#ifndef OPS
#define OPS 2           /* of broker 1, with its successor */
#endif
#ifndef OPSB
#define OPSB 2          /* and of broker 2 */
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef NAMES
#define NAMES 2         /* that are added */
#endif
#ifndef LIMIT
#define LIMIT 1
#endif

#define FREE 0
#define CLAIMED 1
#define LINKED 2        /* the entry state LIVE */

#define PARKED 0
#define RESERVED 1
#define LIVE 2

#define NOBODY 2        /* the name of a record that was never used */
#ifdef ONE
#define BUCKET(n) 0
#else
#define BUCKET(n) ((n) & 1)
#endif
#define IS_DEAD(i) ((dead >> (i)) & 1)
#define CELL(t, i) ((t) * 4 + (i))

byte est[NR], eown[NR];
byte ver[NR], sel[NR], st[NR];  /* the word: they change in one step */
byte inc[NR], name[NR], nxt[NR];
byte ten[4], tag[4];            /* record * 2 + set: the tenant, and a word that goes with it */
byte claim[2], head[2];
byte held[8];                   /* tenant * 4 + incarnation: slots, all of them named */
byte dead = 1;                  /* by incarnation; 0 is nobody */
byte deaths;

/* ghosts */
byte owns[4];                   /* by incarnation: it has a name, or is removing one */
byte was;                       /* what name 0 was since the search began: bits of VALUE */
#define VALUE(i, t) (1 + (t) * 3 + (i) - 1)

byte g_r, g_v, g_n;             /* only inside d_step */

/* after each change that a finder may see */
inline note()
{
	d_step {
		g_v = 0; g_r = 0; g_n = 0;
		do
		:: g_r < NR ->
			if
			:: name[g_r] == 0 && est[g_r] != FREE && st[g_r] == LIVE && !IS_DEAD(inc[g_r]) ->
				g_v = VALUE(inc[g_r], ten[g_r * 2 + sel[g_r]]); g_n++
			:: else
			fi;
			g_r++
		:: else -> break
		od;
		assert(g_n <= 1);       /* N1 */
		was = was | (1 << g_v); g_r = 0; g_v = 0; g_n = 0
	}
}

/* N1 of name 1, and N2 */
inline check(me)
{
	d_step {
		g_r = 0; g_n = 0; g_v = 0;
		do
		:: g_r < NR ->
			if
			:: st[g_r] == LIVE && est[g_r] != FREE && inc[g_r] == me -> g_n++
			:: else
			fi;
			if
			:: st[g_r] == LIVE && est[g_r] != FREE && name[g_r] == 1 && !IS_DEAD(inc[g_r]) -> g_v++
			:: else
			fi;
			g_r++
		:: else -> break
		od;
		assert(g_v <= 1);
		assert(g_n <= held[CELL(0, me)] + held[CELL(1, me)]);
		g_r = 0; g_n = 0; g_v = 0
	}
}

/* at: record + 1 of this name in the chain, 0: none. Only the claim's holder changes the chain */
inline look(n, at)
{
	d_step {
		at = head[BUCKET(n)];
		do
		:: at != 0 && name[at - 1] != n -> at = nxt[at - 1]
		:: else -> break
		od;
		g_v = 0
	}
}

/* g_n: 1 if the record is in the chain */
inline is_linked(b, r, yes)
{
	d_step {
		g_v = head[b]; yes = 0; g_n = 0;
		do
		:: g_v != 0 && g_v != r + 1 && g_n < NR -> g_v = nxt[g_v - 1]; g_n++
		:: else -> break
		od;
		yes = (g_v == r + 1);
		g_v = 0; g_n = 0
	}
}

/* one store: of the head, or of the record before it */
inline unlink(b, r)
{
	d_step {
		g_v = head[b]; g_n = 0;
		if
		:: g_v == r + 1 -> head[b] = nxt[r]
		:: else ->
			do
			:: g_v != 0 && nxt[g_v - 1] != r + 1 && g_n < NR -> g_v = nxt[g_v - 1]; g_n++
			:: else -> break
			od;
			if
			:: g_v != 0 && nxt[g_v - 1] == r + 1 -> nxt[g_v - 1] = nxt[r]
			:: else
			fi
		fi;
		g_v = 0; g_n = 0
	}
}

#define SUM(t) (IS_DEAD(1) -> 0 : held[CELL(t, 1)]) + (IS_DEAD(2) -> 0 : held[CELL(t, 2)]) + (IS_DEAD(3) -> 0 : held[CELL(t, 3)])
#define HOLDS(i) (!IS_DEAD(i) && held[CELL(0, i)] + held[CELL(1, i)] > 0)
#ifdef STEAL
#define CAN_CLAIM(b) true
#else
#define CAN_CLAIM(b) (claim[b] == 0 || IS_DEAD(claim[b]))
#endif
#define DIE atomic { deaths < DEATHS -> deaths++; goto died }
/* N4: under the claim a record may be written that nobody has */
#define IS_LEFT(r) (st[r] == PARKED || IS_DEAD(inc[r]))

proctype broker(byte me; bool again; byte ops)
{
	byte n, t, u, r, b, v, e, o;
	bool yes;

next_op:
	atomic { n = 0; t = 0; u = 0; r = 0; b = 0; v = 0; e = 0; o = 0; yes = false };
	if
	:: atomic { ops > 0 -> ops--; if :: n = 0 :: NAMES > 1 -> n = 1 fi; goto add }
	:: atomic { ops > 0 -> ops--; if :: r = 0 :: r = 1 fi; goto sweep }
	:: goto stay
	fi;

	/* ---- add ---- */
add:
#ifdef LEASE_FIRST
	if
	:: atomic { SUM(t) < LIMIT -> held[CELL(t, me)]++ }
	:: atomic { !(SUM(t) < LIMIT) -> goto refused }
	fi;
#endif
	b = BUCKET(n);
	if
	:: atomic { CAN_CLAIM(b) -> claim[b] = me }
	:: atomic { !CAN_CLAIM(b) -> goto lost }                /* EBUSY */
	:: DIE
	fi;
	look(n, r);
	if
	:: atomic { r != 0 && inc[r - 1] == me && st[r - 1] == LIVE -> r--; goto ours }
	:: atomic { r != 0 && !(inc[r - 1] == me && st[r - 1] == LIVE) && IS_LEFT(r - 1) -> r-- }
	:: atomic { r != 0 && !(inc[r - 1] == me && st[r - 1] == LIVE) && !IS_LEFT(r - 1) -> goto exists }
	:: atomic { r == 0 -> goto insert }
	fi;
	/* take over */
	if :: atomic { assert(IS_LEFT(r)); ver[r]++; st[r] = RESERVED; note() } :: DIE fi;
	if :: atomic { inc[r] = me; owns[me]++ } :: DIE fi;
	goto claimed;
insert:
	r = 0;
	if
	:: atomic { est[0] == FREE -> r = 0; est[0] = CLAIMED; eown[0] = me }
	:: atomic { est[0] != FREE && est[1] == FREE -> r = 1; est[1] = CLAIMED; eown[1] = me }
	:: atomic { est[0] != FREE && est[1] != FREE -> goto exists }   /* EFULL */
	:: DIE
	fi;
#ifdef SAME_VERSION
	if :: atomic { ver[r] = 0; sel[r] = 0; st[r] = RESERVED } :: DIE fi;
#else
	if :: atomic { ver[r]++; st[r] = RESERVED } :: DIE fi;
#endif
	if :: atomic { inc[r] = me } :: DIE fi;
	if :: atomic { name[r] = n; nxt[r] = head[b] } :: DIE fi;
	if :: atomic { assert(claim[b] == me); head[b] = r + 1; owns[me]++ } :: DIE fi;
	if :: atomic { est[r] = LINKED } :: DIE fi;
claimed:
	if :: atomic { assert(claim[b] == me); claim[b] = 0 } :: DIE fi;
#ifndef LEASE_FIRST
	if
	:: atomic { SUM(t) < LIMIT -> held[CELL(t, me)]++ }
	:: atomic { !(SUM(t) < LIMIT) ->
			/* N5 */
			assert(!HOLDS(1) || owns[1]); assert(!HOLDS(2) || owns[2]); assert(!HOLDS(3) || owns[3]);
			ver[r]++; st[r] = PARKED; v = ver[r]; note(); owns[me]--; goto drop }
	:: DIE
	fi;
#endif
	o = 1 - sel[r];
	if :: atomic { assert(inc[r] == me && st[r] == RESERVED); ten[r * 2 + o] = t } :: DIE fi;
	if :: tag[r * 2 + o] = t :: DIE fi;
	if :: atomic { ver[r]++; sel[r] = o; st[r] = LIVE; note(); check(me) } :: DIE fi;
	goto have;
exists:
	if :: claim[b] = 0 :: DIE fi;
lost:
#ifdef LEASE_FIRST
	if :: held[CELL(t, me)]-- :: DIE fi;
	goto next_op;
refused:
	atomic { assert(!HOLDS(1) || owns[1]); assert(!HOLDS(2) || owns[2]); assert(!HOLDS(3) || owns[3]) };
#endif
	goto next_op;

	/* ---- our own name: move or remove it, or have it ---- */
ours:
	if :: atomic { assert(claim[b] == me); claim[b] = 0 } :: DIE fi;
#ifdef LEASE_FIRST
	if :: held[CELL(t, me)]-- :: DIE fi;
#endif
have:
	atomic { u = ten[r * 2 + sel[r]]; t = 0 };
	if
	:: goto next_op
	:: goto move
	:: goto remove
	fi;
move:
	if
	:: atomic { SUM(1 - u) < LIMIT -> held[CELL(1 - u, me)]++ }
	:: atomic { !(SUM(1 - u) < LIMIT) -> goto next_op }
	:: DIE
	fi;
	o = 1 - sel[r];
#ifdef ACTIVE_SET
	o = sel[r];
#endif
	if :: atomic { assert(inc[r] == me && st[r] == LIVE && name[r] == n); ten[r * 2 + o] = 1 - u;
#ifdef ACTIVE_SET
		note()
#endif
		} :: DIE fi;
	if :: tag[r * 2 + o] = 1 - u :: DIE fi;
	if :: atomic { ver[r]++; sel[r] = o; note(); check(me) } :: DIE fi;
	if :: atomic { held[CELL(u, me)]--; check(me) } :: DIE fi;
	goto next_op;
remove:
	if :: atomic { assert(inc[r] == me && st[r] == LIVE && name[r] == n); ver[r]++; st[r] = PARKED; v = ver[r]; note() } :: DIE fi;
	if :: atomic { held[CELL(u, me)]--; owns[me]--; check(me) } :: DIE fi;
drop:
	b = BUCKET(n);
	if
	:: atomic { CAN_CLAIM(b) -> claim[b] = me }
	:: atomic { !CAN_CLAIM(b) -> goto next_op }
	:: DIE
	fi;
	is_linked(b, r, yes);
#ifdef NO_LINK_CHECK
	yes = true;
#endif
#ifndef UNLINK_ANY
	yes = yes && (ver[r] == v);
#endif
	if :: yes -> skip :: !yes -> goto unclaim fi;
	goto free;

	/* ---- sweep ---- */
sweep:
	atomic { e = est[r]; o = eown[r] };
	if
	:: atomic { (e == LINKED || (e == CLAIMED && IS_DEAD(o))) && name[r] != NOBODY -> b = BUCKET(name[r]) }
	:: atomic { (e == LINKED || (e == CLAIMED && IS_DEAD(o))) && name[r] == NOBODY -> b = 0 }
	:: atomic { !(e == LINKED || (e == CLAIMED && IS_DEAD(o))) -> goto next_op }
	fi;
	if
	:: atomic { CAN_CLAIM(b) -> claim[b] = me }
	:: atomic { !CAN_CLAIM(b) -> goto next_op }
	:: DIE
	fi;
	yes = (est[r] == e && eown[r] == o);
	yes = yes && ((name[r] == NOBODY && b == 0) || (name[r] != NOBODY && BUCKET(name[r]) == b));
	if :: yes -> skip :: !yes -> goto unclaim fi;
	is_linked(b, r, yes);
	if :: yes -> skip :: !yes -> goto put_back fi;
#ifdef SWEEP_STATE
	if :: IS_DEAD(o) -> skip :: !IS_DEAD(o) -> goto unclaim fi;
#else
	if :: IS_LEFT(r) -> skip :: !IS_LEFT(r) -> goto unclaim fi;
#endif
free:
	if :: atomic { assert(claim[b] == me); assert(IS_LEFT(r)); assert(est[r] != FREE); unlink(b, r); note() } :: DIE fi;
put_back:
#ifdef CLEAR_KEY
	if :: name[r] = NOBODY :: DIE fi;
#endif
	if :: atomic { is_linked(b, r, yes); assert(!yes);
		assert(est[r] == LINKED || (est[r] == CLAIMED && IS_DEAD(eown[r])));
		est[r] = FREE; eown[r] = 0; yes = false } :: DIE fi;
unclaim:
	if :: claim[b] = 0 :: DIE fi;
	goto next_op;

died:	atomic {
		dead = dead | (1 << me); owns[me] = 0; note();
		if
		:: again -> run broker(3, false, ops)
		:: !again -> skip
		fi
	};
stay:
end_stay:
	false
}

#ifdef FIND
proctype finder()
{
	byte p, r, v, s, w, i, t, g;
	bool same;

	atomic { was = 0; note() };
again:
	p = head[BUCKET(0)];
walk:
	if
	:: p == 0 -> w = 0; goto found
	:: p != 0 -> r = p - 1
	fi;
	if
	:: name[r] == 0 -> goto copy
	:: name[r] != 0 -> skip
	fi;
	p = nxt[r];
	if
	:: name[r] == NOBODY || BUCKET(name[r]) != BUCKET(0) -> goto again
	:: name[r] != NOBODY && BUCKET(name[r]) == BUCKET(0) -> goto walk
	fi;
copy:
	atomic { v = ver[r]; s = st[r]; w = sel[r] };
	same = (name[r] == 0);
	i = inc[r];
	t = ten[r * 2 + w];
	g = tag[r * 2 + w];
#ifndef NO_BRACKET
	if
	:: ver[r] == v && st[r] == s -> skip
	:: !(ver[r] == v && st[r] == s) -> goto again
	fi;
#endif
	if :: same -> skip :: !same -> goto again fi;
	if
	:: atomic { s == LIVE && !IS_DEAD(i) -> assert(g == t); w = VALUE(i, t) }
	:: atomic { !(s == LIVE && !IS_DEAD(i)) -> w = 0 }
	fi;
found:
	assert((was >> w) & 1)          /* N3 */
}
#endif

init
{
	byte i, p, n;

	d_step {
		do
		:: i < NR -> name[i] = NOBODY; i++
		:: else -> break
		od
	};
	atomic {
		run broker(1, true, OPS); run broker(2, false, OPSB);
#ifdef FIND
		run finder()
#endif
	};
	timeout;
	/* all have ended or died: no chain has a free record, and each claim that is left is a dead one's */
	d_step {
		i = 0;
		do
		:: i < 2 ->
			assert(claim[i] == 0 || IS_DEAD(claim[i]));
			p = head[i]; n = 0;
			do
			:: p != 0 -> assert(est[p - 1] != FREE); assert(BUCKET(name[p - 1]) == i); n++; assert(n <= NR); p = nxt[p - 1]
			:: else -> break
			od;
			i++
		:: else -> break
		od
	}
}
