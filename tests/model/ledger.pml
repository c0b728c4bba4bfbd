/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DOPS=1" "-DKILLS=0 -DOPS=2" "-DWOPS=2 -DKILLS=0 -DOPS=1 -DRESERVE" */
/* FULL: "-DWOPS=2 -DKILLS=1 -DOPS=1 -DRESERVE" "-DWOPS=2 -DKILLS=2 -DOPS=1" "-DNR=3 -DOPS=1" "-DOPS=2" */
/* MUTATIONS: NO_REWALK CLAIM_BY_LOOK NO_FIRST_GRACE:2 NO_SECOND_GRACE:2 FREE_CLAIMED PLAIN_HEAD SWEEP_CLAIMED NO_FINISH */
/*
 * The ledger: records that any broker takes and links without a lock, and that one writer removes.
 *
 * What is modelled
 *
 *   Records in one bucket: a state word (the state, and above it the claimer's incarnation or a
 *   token), a key, a link, a cost. Two tenants; a key is a tenant's generation, with one engagement
 *   each.
 *
 *   Brokers   k2k_usage_track():     enter a section and find the tenant; find the record, or
 *                                    obtain one; add; leave
 *             k2k_ledger_obtain():   k2k_pool_claim(), fill(), k2k_hash_insert(), LIVE
 *             k2k_pool_claim():      FREE, or RETIRED with a token that has passed -> CLAIMED,
 *                                    by CAS of the whole word
 *             k2k_hash_insert():     walk what is new; next = head; CAS of the head, else again
 *   Writer    register, deregister; with RESERVE also to set a budget (obtains a record as a broker
 *             does, with the lock)
 *             reap():                after the tenant's grace period: k2k_recover_claims();
 *                                    unlink_cost() for each record of the sweep: RETIRED with
 *                                    token + 1, unlinked; then the token; then the tenant is FREE
 *             recover_all():         the next writer, after one was killed: recover_cost() of each
 *                                    record
 *   A broker may be killed at any step, and the writer too, also during its recovery: KILLS times
 *   in a run. Each process may stop at any step for ever, and no process waits for it, except the
 *   writer for a grace period.
 *
 * Invariants (each is an assert)
 *
 *   One key never twice: no two linked records have the same key.
 *   I1  What is linked belongs to a registration: at the end no record of a gone tenant is linked.
 *       No record of a LIVE tenant is retired.
 *   I2  No reader acts on a record of another tenant or generation, and nothing is reused before
 *       its grace period: no record is filled while a living broker in a section stands on it; a
 *       booking finds the key that it searched for.
 *   I5  The cost equals what was booked: when the tenant is reaped (its final totals), and at the
 *       end.
 *   I6  After a kill at any store of any operation, also of recovery, and the next operation (here:
 *       one repair, once the brokers are idle), each record is FREE; or LIVE, linked and of a
 *       registration; or RETIRED and unlinked.
 *   I7  No process waits for another: every broker can always go on; every end but idle is an
 *       invalid end state.
 *
 * Abstractions
 *
 *   A claim finds a record that it may take, and takes it, in one step: its CAS proves that the
 *   word was unchanged, and what has passed stays passed. That the word holds the token matters
 *   only if a process claims outside of a section: inside of one, no tenant that was LIVE since can
 *   be reaped, so nothing can be retired twice.
 *   A grace period has passed as soon as no living broker is in a section that it entered before
 *   the token; grace.pml shows how this is found out. Entering and finding the tenant are one step:
 *   entering earlier only prolongs the wait.
 *   A walk compares a key and loads the link in one step: the key of a record that a reader stands
 *   on does not change (I2).
 *   k2k_hash_unlink() is one step if it changes a predecessor: no other process changes the links
 *   of linked records. At the head it is two steps. k2k_hash_is_linked() is one step: for the
 *   record of a dead claimer the answer does not change. `hint`, `high`, `full_at` and `freed` only
 *   guide the search. The tenants' own hash and has_costs are not modelled: a tenant is found by
 *   its state. Readers without a section (observers) are not modelled: they copy, and look at the
 *   generation again.
 *
 * Memory order that gives this in C11. The model is sequentially consistent; every decision is a
 * compare-exchange on the word that it is about, so no store has to be seen before a later load of
 * another word, and there is no seq_cst fence.
 *     entry-state    claim: acquire, release: what the remover and the last user did with the
 *                    record, before it is filled. LIVE, RETIRED, FREE: release: the link, the
 *                    unlink, or the last use before
 *     entry-link     the CAS of the head, and the store of a predecessor's next: release: the
 *                    fields before the link. A walk loads links with acquire. The chain of CASes is
 *                    one release sequence
 *     cost-gen       the sweep: the generation is acquired before the cost is read; a fence, then
 *                    the state word again
 *   The sections and their grace periods order the last use of a record before its reuse.
 *
 * Mutations: what goes wrong
 *
 *   NO_REWALK         the loser of the CAS at the head links without a look at what is new: one key
 *                     twice
 *   CLAIM_BY_LOOK     the state is read and then stored: two brokers take one record
 *   NO_FIRST_GRACE    records are unlinked before the tenant's grace period: a broker books on one,
 *                     or links one, after it
 *   NO_SECOND_GRACE   an unlinked record is FREE at once: it is filled while a broker of another
 *                     tenant stands on it
 *   FREE_CLAIMED      what a dead process has CLAIMED is freed without a look whether it is linked
 *   PLAIN_HEAD        unlinked at the head by a store: what was inserted meanwhile is lost
 *   SWEEP_CLAIMED     the remover also retires CLAIMED records that have the tenant's key: one that
 *                     another broker has just taken has its old key until it is filled, and is
 *                     another tenant's when the store comes. (A writer killed after it retired the
 *                     records, before the tenant was FREE, makes the next one sweep again.)
 *   NO_FINISH         the next writer does not finish unlinks that are stamped token + 1
 */
#ifndef NR
#define NR 2            /* records */
#endif
#ifndef OPS
#define OPS 2           /* of a broker */
#endif
#ifndef WOPS
#define WOPS 3          /* of the writers */
#endif
#ifndef KILLS
#define KILLS 1
#endif
#define BROKERS 2
#define WRITER BROKERS  /* the allocator that is the writer */

#define FREE    0
#define CLAIMED 1
#define LIVE    2
#define RETIRED 3
#define WORD(s, a) ((s) + 4 * (a))
#define STATE(w) ((w) & 3)
#define ABOVE(w) ((w) >> 2)

/* ---- shared memory ---- */
byte word[NR], key[NR], next[NR], cost[NR];
byte head;
byte token = 1;
byte t_state[2], t_gen[2], t_stamp[2];
byte generation = 2;
bool intent;

/* ---- processes ---- */
bool alive[BROKERS];
byte entered[BROKERS];          /* the token when the section was entered; 0: in none */
byte at[BROKERS + 1];           /* the record, + 1, that a walk stands on */
byte order;                     /* the generation that the writer obtains a record for */
bool w_killed, w_order_killed;
byte kills = KILLS;
bool closed;                    /* no more operations */

/* ---- ghosts ---- */
byte booked[2 + WOPS + 1];
bool touched[2];                /* a reaper has begun with the tenant's records */

#define ALIVE(i)   ((i) >= 1 && (i) <= BROKERS && alive[(i) - 1])
#define INSIDE(b)  (alive[b] && entered[b])
#define SINCE(b)   (INSIDE(b) -> entered[b] : token)
#define PASSED     (SINCE(0) < SINCE(1) -> SINCE(0) : SINCE(1))
#define TAKEABLE(i) (STATE(word[i]) == FREE || (STATE(word[i]) == RETIRED && ABOVE(word[i]) <= PASSED))
#define CURRENT(k) ((t_gen[0] == (k) && t_state[0] >= LIVE) || (t_gen[1] == (k) && t_state[1] >= LIVE))
#define OF_LIVE(k) ((t_gen[0] == (k) && t_state[0] == LIVE) || (t_gen[1] == (k) && t_state[1] == LIVE))

inline check_unique()
{
	x = head;
	do
	:: x -> y = next[x - 1];
		do
		:: y -> assert(key[x - 1] != key[y - 1]); y = next[y - 1]
		:: else -> break
		od;
		x = next[x - 1]
	:: else -> break
	od;
	y = 0
}

proctype allocator(byte me)
{
	byte k, link, until, h, i, r, x, y;
#ifdef CLAIM_BY_LOOK
	byte w, p;
#endif
	byte ops = OPS;

again:	{
		true;
endidle:	if
		:: d_step { me != WRITER && ops && !closed && t_state[0] == LIVE -> ops--; entered[me] = token; k = t_gen[0] }
		:: d_step { me != WRITER && ops && !closed && t_state[1] == LIVE -> ops--; entered[me] = token; k = t_gen[1] }
		:: d_step { me == WRITER && order -> k = order }
		fi;
		d_step { link = head; at[me] = link };

walk:		/* k2k_hash_walk(): from link to the end, or up to what was seen */
		do
		:: d_step { link && link != until && key[link - 1] != k -> link = next[link - 1]; at[me] = link }
		:: link && link != until && key[link - 1] == k -> goto found
		:: !link || link == until -> break
		od;
		if
		:: r -> goto insert
		:: else
		fi;

		/* k2k_pool_claim() */
#ifdef CLAIM_BY_LOOK
		do
		:: !r && i < NR ->
			d_step { w = word[i]; p = PASSED };
			if
			:: d_step { STATE(w) == FREE || (STATE(w) == RETIRED && ABOVE(w) <= p) ->
				word[i] = WORD(CLAIMED, me + 1); r = i + 1 }
			:: else -> i++
			fi
		:: else -> i = 0; w = 0; p = 0; break
		od;
		if
		:: r
		:: else -> goto leave
		fi;
#else
		if
		:: d_step { TAKEABLE(0) -> word[0] = WORD(CLAIMED, me + 1); r = 1 }
		:: d_step { TAKEABLE(1) -> word[1] = WORD(CLAIMED, me + 1); r = 2 }
#if NR == 3
		:: d_step { TAKEABLE(2) -> word[2] = WORD(CLAIMED, me + 1); r = 3 }
#endif
		:: else -> goto leave           /* full: K2K_EUNBOOKED */
		fi;
#endif
		d_step {                        /* fill() */
			do
			:: i < BROKERS -> assert(!INSIDE(i) || at[i] != r); i++         /* I2 */
			:: else -> break
			od;
			assert(at[WRITER] != r);
			i = 0; key[r - 1] = k; cost[r - 1] = 0
		};
		d_step { h = head; link = h; at[me] = link; until = 0 };
		goto walk;

insert:		next[r - 1] = h;
		if
		:: d_step { head == h -> head = r; link = r; at[me] = r; h = 0; until = 0; check_unique() }
#ifdef NO_REWALK
		:: d_step { head != h -> h = head };
			goto insert
#else
		:: d_step { head != h -> until = h; h = head; link = h; at[me] = link };
			goto walk
#endif
		fi;
		word[r - 1] = WORD(LIVE, me + 1);
		goto book;

found:		if
		:: r -> key[r - 1] = 0;         /* k2k_pool_unclaim() */
			word[r - 1] = FREE
		:: else
		fi;

book:		atomic {
			if
			:: me != WRITER ->
				assert(key[link - 1] == k);                             /* I2 */
				assert(CURRENT(k) && !touched[t_gen[0] != k]);          /* I5: in the final totals */
				cost[link - 1]++; booked[k]++
			:: else
			fi
		};

leave:		atomic {
			if
			:: me == WRITER -> order = 0
			:: else -> entered[me] = 0
			fi;
			at[me] = 0; k = 0; link = 0; until = 0; h = 0; r = 0; i = 0
		};
		goto endidle
	} unless {
		if
		:: me != WRITER && !alive[me] -> goto endkilled
		:: d_step { me == WRITER && w_order_killed ->
			order = 0; at[me] = 0; k = 0; link = 0; until = 0; h = 0; r = 0; i = 0; w_order_killed = false };
			goto again
		fi
	};
endkilled:
	false
}

/* ---- the writer ---- */

inline is_linked(r)
{
	x = head;
	do
	:: x && x != r + 1 -> x = next[x - 1]
	:: else -> break
	od;
	true
}

/* k2k_hash_unlink() */
inline unlink(r)
{
	do
	:: head == r + 1 ->
		y = next[r];
		if
#ifdef PLAIN_HEAD
		:: head = y; break
#else
		:: d_step { head == r + 1 -> head = y }; break
		:: else
#endif
		fi
	:: d_step { head != r + 1 ->
			x = head;
			do
			:: x && next[x - 1] != r + 1 -> x = next[x - 1]
			:: else -> break
			od;
			if
			:: x -> next[x - 1] = next[r]
			:: else
			fi;
			x = 0 };
		break
	od;
	y = 0
}

/* recover_cost_claim(): claims of dead processes. One step: no other process changes them */
#define ABANDONED(w) (STATE(w) == CLAIMED && !ALIVE(ABOVE(w)))
inline recover_claim(r)
{
	is_linked(r);
#ifdef FREE_CLAIMED
	x = 0;
#endif
	if
	:: x -> word[r] = WORD(LIVE, ABOVE(word[r])); x = 0
	:: else -> key[r] = 0; word[r] = FREE
	fi;
	true
}

inline retire(r)
{
#ifdef NO_SECOND_GRACE
	unlink(r);
	word[r] = FREE;
#else
	d_step { assert(!OF_LIVE(key[r])); word[r] = WORD(RETIRED, token + 1); stamped = true };         /* I1 */
	unlink(r);
#endif
}

inline publish()
{
	d_step { token = token + stamped; stamped = false }
}

inline recover_all()
{
	d_step { stamped = (t_state[0] == RETIRED && t_stamp[0] == token + 1) || (t_state[1] == RETIRED && t_stamp[1] == token + 1); r = 0 };
	do
	:: r < NR ->
		if
		:: d_step { ABANDONED(word[r]) -> recover_claim(r) }
		:: else
		fi;
		if
		:: STATE(word[r]) == LIVE && !CURRENT(key[r]) -> retire(r)
#ifndef NO_FINISH
		:: STATE(word[r]) == RETIRED && ABOVE(word[r]) == token + 1 -> stamped = true; unlink(r)
#endif
		:: else
		fi;
		r++
	:: else -> break
	od;
	publish();
	d_step { intent = false; r = 0 }
}

#ifdef NO_FIRST_GRACE
#define REAPABLE(t) (t_state[t] == RETIRED && t_stamp[t] <= token)
#else
#define REAPABLE(t) (t_state[t] == RETIRED && t_stamp[t] <= PASSED)
#endif
#ifdef SWEEP_CLAIMED
#define SWEPT(r) (STATE(word[r]) == LIVE || (STATE(word[r]) == CLAIMED && cost[r]))
#else
#define SWEPT(r) (STATE(word[r]) == LIVE)
#endif

/* I5: the final totals, which include records that are still CLAIMED by a dead broker */
inline check_totals(g)
{
	x = 0; r = 0;
	do
	:: r < NR && key[r] == (g) && (STATE(word[r]) == LIVE || STATE(word[r]) == CLAIMED) -> x = x + cost[r]; r++
	:: r < NR && !(key[r] == (g) && (STATE(word[r]) == LIVE || STATE(word[r]) == CLAIMED)) -> r++
	:: else -> break
	od;
	assert(x == booked[g]);
	x = 0; r = 0
}

inline reap(t)
{
	d_step { if :: !touched[t] -> check_totals(t_gen[t]); touched[t] = true :: else fi; true };
	do
	:: d_step { r < NR && ABANDONED(word[r]) -> recover_claim(r); r++ }
	:: d_step { r < NR && !ABANDONED(word[r]) -> r++ }
	:: d_step { r == NR -> r = 0 }; break
	od;
	do
	:: r < NR ->
		if
		:: SWEPT(r) && key[r] == t_gen[t] -> retire(r)
		:: else
		fi;
		r++
	:: else -> r = 0; break
	od;
	publish();
	t_state[t] = FREE
}

proctype writer()
{
	byte r, t, x, y;
	byte ops = WOPS;
	bool stamped;

again:	{
		if
		:: intent -> recover_all()
		:: else
		fi;
		do
		:: d_step { ops && !closed -> ops--; intent = true };
			if
			:: d_step { t_state[0] == LIVE -> t = 0 }; goto deregister
			:: d_step { t_state[1] == LIVE -> t = 1 }; goto deregister
			:: d_step { REAPABLE(0) -> t = 0 }; reap(t)
			:: d_step { t_state[0] == FREE && generation < 2 + WOPS -> t = 0 }; goto register
#ifdef RESERVE
			:: d_step { t_state[1] == LIVE -> order = t_gen[1] };
				order == 0
#endif
			fi;
done:			atomic { intent = false; t = 0 }
		/* the brokers are idle: one repair, and all is clean */
		:: d_step { !INSIDE(0) && !INSIDE(1) && order == 0 -> closed = true };
			recover_all();
			if
			:: d_step { REAPABLE(0) -> t = 0; intent = true }; reap(t); intent = false
			:: else
			fi;
			if
			:: d_step { REAPABLE(1) -> t = 1; intent = true }; reap(t); intent = false
			:: else
			fi;
			break
		od;
		goto checked;
deregister:	t_stamp[t] = token + 1;
		t_state[t] = RETIRED;
		token++;
		goto done;
register:	generation++;
		d_step { t_gen[t] = generation; t_state[t] = LIVE; touched[t] = false };
		goto done
	} unless {
		d_step { w_killed && !w_order_killed -> w_killed = false; r = 0; t = 0; x = 0; y = 0; stamped = false };
		goto again
	};
checked:
	atomic {
		r = 0;
		do
		:: r < NR ->
			is_linked(r);
			assert(STATE(word[r]) != CLAIMED);                                      /* I6 */
			assert((x != 0) == (STATE(word[r]) == LIVE));                           /* I1 */
			assert(STATE(word[r]) != LIVE || OF_LIVE(key[r]));
			assert(STATE(word[r]) != RETIRED || ABOVE(word[r]) <= token);
			r++
		:: else -> break
		od;
		if :: t_state[0] == LIVE -> check_totals(t_gen[0]) :: else fi;
		if :: t_state[1] == LIVE -> check_totals(t_gen[1]) :: else fi;
	};
enddone:
	false
}

active proctype killer()
{
end:	do
	:: d_step { kills && INSIDE(0) -> alive[0] = false; kills-- }
	:: d_step { kills && INSIDE(1) -> alive[1] = false; kills-- }
	:: d_step { kills && intent && !w_killed -> w_killed = true; w_order_killed = (order != 0); kills-- }
	od
}

init
{
	d_step {
		alive[0] = true; alive[1] = true;
		t_state[0] = LIVE; t_gen[0] = 1;
		t_state[1] = LIVE; t_gen[1] = 2
	};
	atomic {
		run allocator(0); run allocator(1); run writer();
#ifdef RESERVE
		run allocator(WRITER)
#endif
	 }
}
