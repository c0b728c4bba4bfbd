/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DCAP=1 -DEVENTS=3" "-DCAP=2 -DEVENTS=4" */
/* FULL: "-DCAP=3 -DEVENTS=6" "-DCAP=2 -DEVENTS=5 -DKILLS=2" */
/* MUTATIONS: NO_WAIT OFF_BY_ONE SAY_FIRST WAIT_FOR_DEAD WAIT_FOR_STOPPED HEIR_BEGINS_WHERE_SAID STALE_NEXT */
/*
 * Followers of the audit trail: an administrator's event waits for a follower that has not stored
 * the event that it would overwrite.
 *
 * What is modelled
 *
 * One ring of CAP places, written under the writer's lock, so by one administrator: EVENTS times
 * wait_for_followers(), then k2k_ring_append() in one step (trail.pml models what is inside). One
 * record of a follower: its owner, and `next`, which it writes after its log contains all events
 * below it.
 *
 * Follower  k2k_follower_attach(), then repeatedly k2k_audit_read(), its log, k2k_audit_kept(). An
 *           event that is no longer in its place counts as lost, in its log. It may be killed at
 *           any step (KILLS), and stopped for ever
 * Heir      the next follower of the same log, with the dead one's record: it begins where the log
 *           ends
 *
 * Invariants (each is an assert)
 *
 * While a follower is alive and not stopped, no event is overwritten that its log does not contain.
 * The log contains each event once, either the event or its loss: without a gap and in order, over
 * all kills.
 * A lost event was overwritten while the follower was dead, or after the wait for it had timed out.
 * Nobody waits for ever: the administrator ends, whatever the follower does (otherwise its end is
 * an invalid one).
 *
 * Abstractions
 *
 * The model is sequentially consistent. Writing the log and writing `next` are two steps; a line of
 * the log is written completely or not at all. Time is not modelled: a silent follower is a stopped
 * one. "It is stopped now" stands for the end of the two seconds' wait.
 *
 * Memory ordering that gives this in C11
 *
 *   follower-next     release after the log was written; acquire before the place is overwritten
 *   follower-owner    acquire, release: for a dead one's record
 *
 * Mutations: what goes wrong
 *
 * NO_WAIT                 an event is overwritten that a living follower has not stored
 * OFF_BY_ONE              the same, for the oldest event
 * SAY_FIRST               a follower writes `next` before its log: if it is killed then, the event
 *                         is neither stored nor lost
 * WAIT_FOR_DEAD           the administrator waits for a follower that was killed
 * WAIT_FOR_STOPPED        the same for one that is stopped
 * HEIR_BEGINS_WHERE_SAID  an heir begins at the record's `next`, which may be behind the log: an
 *                         event twice
 * STALE_NEXT              an heir claims to have stored what is there when it attaches
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
byte next = 1;                  /* as written in the record */
byte owner;                     /* 0: nobody yet */
bool alive, stopped, done;
byte log_end = 1;               /* the log contains all events below it, or their losses */
bool vain;                      /* a wait for it timed out: from then on it may lose events */
/* and no follower has caught up since: missing events may be from then */
bool was_dead = true;

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
			/*
			 * It may be alive by now, although it was not when we looked: then it has
			 * just attached, and loses what was overwritten while it was dead.
			 */
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
		:: break        /* no heir comes */
		fi
	:: break
	od
}
