/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DTHREADS=2 -DCALLS=3" "-DTHREADS=3" */
/* FULL: "-DTHREADS=3 -DCALLS=3" */
/* MUTATIONS: NO_WAIT SHARED_AT_ONCE LOOKED_OUTSIDE OTHERS_WAIT */
/*
 * The locks of one broker's leases, which its only thread takes by plain stores until a second
 * thread comes: k2k_own_leases in lib/lease.h.
 *
 * What is modelled
 *
 * Each thread:  CALLS times: begin a read section; take the lock, or fail; be inside; give it back;
 *               end the section. After a failure, outside of sections: k2k_lease_share(). Then again.
 * The lock:     k2k_lease_try_lock(): `only` is this thread: load `taken`, store it. SHARED: by CAS.
 * Sharing:      `only` -> CHANGING by CAS; a grace period; CHANGING -> SHARED by CAS. Who finds
 *               CHANGING waits for a grace period of its own. A thread may stop for ever between
 *               these steps, but the last one to come goes on.
 *
 * A grace period waits for each section that has begun before it, and a section that begins later
 * sees what was stored before: what rcu.pml shows. So here a section is seen by all when it begins.
 *
 * What is checked
 *
 * Two threads are never inside. Each thread that has not stopped itself ends all of its calls.
 *
 * What is left out
 *
 * That grace periods may fail: then `only` stays as it is, and the call returns an error. A thread
 * that ends: its record is another's later, which takes its place.
 *
 * Mutations: what goes wrong
 *
 * NO_WAIT             The first thread has found itself in `only`, and stores `taken` later.
 * SHARED_AT_ONCE      The same: the grace period comes after SHARED.
 * LOOKED_OUTSIDE      The first thread loads `only` before its section begins: nobody waits for it.
 * OTHERS_WAIT         Who finds CHANGING waits for the thread that has stored it, which has stopped.
 */

#ifndef THREADS
#define THREADS 3
#endif
#ifndef CALLS
#define CALLS 2
#endif

#define NOBODY 0
#define CHANGING 1
#define SHARED 2
#define THREAD(t) (3 + (t))

byte only = NOBODY;
bit taken;
byte inside;
byte stopped;
bit section[THREADS];           /* is this thread in one? */
byte awaited[THREADS];          /* the mask of threads whose sections this one waits for */

inline begin_section()
{
	section[me] = 1
}

inline end_section()
{
	atomic {
		section[me] = 0;
		for (i : 0 .. THREADS - 1) { awaited[i] = awaited[i] & ~(1 << me) }
		i = 0
	}
}

inline synchronize()
{
	atomic {
		for (i : 0 .. THREADS - 1) { awaited[me] = awaited[me] | (section[i] << i) }
		i = 0
	}
	awaited[me] == 0
}

inline may_stop()
{
	if
	:: atomic { stopped < THREADS - 1 -> stopped++; goto stop }
	:: true
	fi
}

proctype thread(byte me)
{
	byte calls = CALLS, seen, i;
	bit has;

again:
	do
	:: calls == 0 -> break
	:: else ->
#ifdef LOOKED_OUTSIDE
		seen = only;
		begin_section();
#else
		begin_section();
		seen = only;
#endif
		if
		:: seen == NOBODY -> atomic { if :: only == NOBODY -> only = THREAD(me) :: else fi; seen = only }
		:: else
		fi;
		has = 0;
		if
		:: seen == THREAD(me) ->
			if
			:: !taken -> taken = 1; has = 1
			:: taken
			fi
		:: seen == SHARED -> atomic { if :: !taken -> taken = 1; has = 1 :: else fi }
		:: else
		fi;
		if
		:: has ->
			inside++;
			assert(inside == 1);
			inside--;
			taken = 0;
			end_section();
			calls--;
			goto again
		:: else -> end_section()
		fi;

		/* k2k_lease_share() */
		seen = only;
		if
		:: seen == SHARED || seen == NOBODY || seen == THREAD(me) -> goto again
		:: seen == CHANGING
		:: else ->
			may_stop();
#ifdef SHARED_AT_ONCE
			atomic { if :: only == seen -> only = SHARED; goto again :: else -> goto again fi }
#else
			atomic { if :: only == seen -> only = CHANGING :: else -> goto again fi }
#endif
		fi;
		may_stop();
#ifdef OTHERS_WAIT
		if :: seen == CHANGING -> only != CHANGING; goto again :: else fi;
#endif
#ifndef NO_WAIT
		synchronize();
#endif
		may_stop();
		atomic { if :: only == CHANGING -> only = SHARED :: else fi }
	od;
stop:
	skip
}

init
{
	byte t;

	atomic { for (t : 0 .. THREADS - 1) { run thread(t) } }
}
