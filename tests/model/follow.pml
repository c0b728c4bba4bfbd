/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DCAP=1 -DEVENTS=3" "-DCAP=2 -DEVENTS=4" */
/* FULL: "-DCAP=3 -DEVENTS=6" "-DCAP=2 -DEVENTS=5 -DKILLS=2" */
/* MUTATIONS: NO_WAIT OFF_BY_ONE SAY_FIRST WAIT_FOR_DEAD WAIT_FOR_STOPPED HEIR_BEGINS_WHERE_SAID STALE_NEXT */
/*
 * Followers of the audit trail: an administrator's event waits for who has not kept what it would write over.
 *
 * What is modelled
 *
 *   One ring of CAP places, written under the writer's lock, so by one administrator: EVENTS times wait_for_followers(), then
 *   k2k_ring_append() in one step (trail.pml has what is inside of it). One record of a follower: its owner, and `next`, which
 *   it says after its log has what is below.
 *
 *   Follower  k2k_follower_attach(), then again and again k2k_audit_read(), its log, k2k_audit_kept(). What is not in its place any
 *             more it counts as lost, in its log. It may be killed at any step (KILLS), and stopped for ever
 *   Heir      the next follower of the same log, with the dead one's record: it begins where the log ends
 *
 * Invariants (each is an assert)
 *
 *   While a follower lives and moves, no event is written over that its log does not have.
 *   The log has each event once: itself, or that it is lost; without a gap and in order, over all kills.
 *   What is lost was written over while the follower was dead, or after it was waited for in vain.
 *   Nobody waits for ever: the administrator ends, whatever the follower does (else its end is an invalid one).
 *
 * Abstractions
 *
 *   The model is sequentially consistent. That the log has it, and that it says so, are two steps; a log's line is written
 *   whole or not at all. Time is not modelled: a follower that is silent is one that is stopped. The two seconds of the
 *   wait are "it is stopped now".
 *
 * Memory ordering that gives this in C11.
 *     follower-next     release after the log was written; acquire before the place is written over
 *     follower-owner    acquire, release: of a dead one's record
 *
 * Mutations: what goes wrong
 *
 *   NO_WAIT                 an event is written over that a living follower has not kept
 *   OFF_BY_ONE              the same, of the oldest
 *   SAY_FIRST               a follower says what it has not written yet: killed then, it is in neither
 *   WAIT_FOR_DEAD           the administrator waits for a follower that was killed
 *   WAIT_FOR_STOPPED        the same of one that is stopped
 *   HEIR_BEGINS_WHERE_SAID  an heir goes by the record, which may be behind the log: an event twice
 *   STALE_NEXT              an heir says that it has kept what is there when it attaches
 */
#ifndef CAP
#define CAP 1
#endif
#ifndef EVENTS
#define EVENTS 3
#endif
#ifndef KILLS
#define KILLS 1
#endif

#define PLACE(n) ((n) % CAP)

byte claimed, place[CAP];
byte next = 1;                  /* as the record says */
byte owner;                     /* 0: nobody yet */
bool alive, stopped, done;
byte log_end = 1;               /* the log has, or misses, all below */
bool vain;                      /* waited for in vain: from then on it may lose */
bool was_dead = true;                 /* and nobody has caught up since: what is missing may be from then */

/* a step of a follower, which may be dead by then */
#define LIVES (alive && owner == who)
#define STEP(x) if :: atomic { LIVES -> x } :: atomic { !LIVES -> goto dead } fi

proctype follower(byte who)
{
	byte cursor, found;

	atomic { owner = who; alive = true };
#ifdef HEIR_BEGINS_WHERE_SAID
	STEP(cursor = next);
#else
	STEP(cursor = log_end);
#endif
#ifdef STALE_NEXT
	STEP(next = claimed + 1; was_dead = false);
#endif
	do
	:: atomic { LIVES && !stopped && cursor <= claimed } ->
		STEP(found = place[PLACE(cursor)]);
#ifdef SAY_FIRST
		STEP(next = cursor + 1);
#endif
		STEP(
			assert(cursor == log_end);
			assert(found == cursor || vain || was_dead);
			log_end = cursor + 1
		);
#ifndef SAY_FIRST
		STEP(next = cursor + 1);
#endif
		cursor++
	:: atomic { LIVES && !stopped && cursor > claimed && was_dead -> was_dead = false }
	:: atomic { LIVES && !stopped -> stopped = true; goto ended }
	:: atomic { LIVES && cursor > claimed && done -> break }
	:: atomic { !LIVES -> goto dead }
	od;
	assert(log_end == claimed + 1);
	goto ended;
dead:
	skip;
ended:
	skip
}

#define BEHIND (claimed >= next -> claimed - next + 1 : 0)

proctype administrator()
{
	do
	:: claimed < EVENTS ->
#ifndef NO_WAIT
		do
#ifdef OFF_BY_ONE
		:: BEHIND <= CAP -> break
#else
		:: BEHIND + 1 <= CAP -> break
#endif
#ifndef WAIT_FOR_DEAD
		:: atomic { !alive -> break }
#endif
#ifndef WAIT_FOR_STOPPED
		:: atomic { alive && stopped -> vain = true; break }
#endif
		od;
#endif
		atomic {
			/* alive by now, though it was not when we looked: it has just attached, and loses what it was dead for */
			if
			:: place[PLACE(claimed + 1)] >= log_end && place[PLACE(claimed + 1)] != 0 ->
				assert(!alive || stopped || vain || was_dead)
			:: else
			fi;
			claimed++;
			place[PLACE(claimed)] = claimed
		}
	:: else -> break
	od;
	done = true
}

init {
	byte kills = KILLS;

	run follower(1);
	run administrator();
	do
	:: kills > 0 && alive -> atomic { kills--; alive = false; stopped = false; was_dead = true; };
		if
		:: run follower(2)
		:: break        /* nobody comes */
		fi
	:: break
	od
}
