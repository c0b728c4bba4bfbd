/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DKILLS=2 -DOPS=3" "-DWRITERS=3 -DKILLS=1 -DOPS=2" "-DWRITERS=3 -DKILLS=0 -DOPS=2 -DDAMAGE=1" */
/* FULL: "-DKILLS=4 -DOPS=4" "-DWRITERS=3 -DKILLS=1 -DOPS=3" "-DWRITERS=3 -DKILLS=0 -DOPS=3 -DDAMAGE=1" */
/* MUTATIONS: NO_ASK KEEP_DEAD TAKE_BY_STORE:2 SAME_INCARNATION NO_ACQUIRE NO_FENCE RELAXED_RELEASE PLAIN_RELEASE:3 NO_BEGIN_FENCE NO_END_FENCE FREE_EARLY */
/*
 * The writer's word: one writer at a time, and a writer that finds a dead one takes the word from
 * it.
 *
 * What is modelled
 *
 * WRITERS processes change definitions, OPS times in all:
 *   take()                load the word; if it is not 0, ask the kernel whether that incarnation is
 *                         alive; compare-exchange from the loaded value to the own incarnation
 *   k2k_writer_begin()    the intent, a release fence
 *   the change            two words that are equal whenever there is no intent, in either order
 *   k2k_writer_end()      a release fence, the intent
 *   k2k_writer_unlock()   compare-exchange from the own incarnation to 0
 * A writer that finds the intent set recovers: it makes the words equal. Any writer may be killed
 * at any step (KILLS in a run), in its recovery too, and comes back as another incarnation. DAMAGE:
 * the word becomes 0 while a writer has it.
 *
 * Invariants (each is an assert)
 *
 * Exclusion: a writer that takes the word finds no living incarnation in a turn, except one from
 * which damage took the word.
 * Without an intent, the two words are equal for the writer that has taken the word (except after
 * damage).
 * I6, I7  A killed writer blocks nobody: all OPS are done, and every other end is an invalid end
 * state.
 *
 * Abstractions
 *
 * Each process has a store buffer, drained at any time, first in first out; two stores that no
 * fence separates enter it in either order. A compare-exchange waits until the buffer is empty, and
 * so does a release; the mutations show what a load may do early. A process that polls waits until
 * it can go on: the code has a deadline, the model none.
 * Death: the buffer drains, and then the kernel frees the byte. The agent (lib/agent.h) has locked
 * the byte, and it is another thread than the writing one: once one thread of a killed process has
 * begun to exit, none of its threads runs on in user mode.
 *
 * Memory ordering that gives this in C11
 *
 *   writer-owner  load: acquire; compare-exchanges: acq_rel. From 0: all that the last owner did
 *                 comes before its release. From a dead owner there is no release: the seq_cst
 *                 fence after the kernel's answer in k2k_liveness_ask() keeps loads of its changes
 *                 behind its death
 *   intent        relaxed, with the release fences in k2k_writer_begin() and k2k_writer_end()
 *
 * Mutations: what goes wrong
 *
 * NO_ASK            takes the word from a living owner
 * KEEP_DEAD         takes it from nobody
 * TAKE_BY_STORE     takes it without comparing: two writers find the same dead one
 * SAME_INCARNATION  comes back as the same incarnation: nobody takes the word that it had when it
 *                   was killed, and it waits for itself
 * NO_ACQUIRE        reads a word before it has taken a word that was 0: the last owner's old value
 * NO_FENCE          reads the intent before the answer "dead": the dead owner's old value
 * RELAXED_RELEASE   leaves before its stores are in memory
 * PLAIN_RELEASE     leaves by a store of 0, which erases the word of a writer that took it after
 *                   damage: a third one gets in beside that writer
 * NO_BEGIN_FENCE    a change before the intent: if it is killed in between, nobody recovers
 * NO_END_FENCE      the intent is cleared before a change: the same
 * FREE_EARLY        the kernel frees the byte before the stores are in memory
 */
#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef KILLS
#define KILLS 2
#endif
#ifndef OPS
#define OPS 3
#endif
#ifndef DAMAGE
#define DAMAGE 0
#endif
#define INCARNATIONS (WRITERS + KILLS)

mtype:store = { INTENT, X, Y, WORD };

/* ---- shared memory, and what the kernel knows ---- */
byte word;                              /* an incarnation, or 0 */
bool intent;
byte x, y;
bool locked[INCARNATIONS + 1];

/* ---- processes ---- */
chan buffer[WRITERS] = [4] of { mtype:store, byte };
bool killed[WRITERS];
byte drawn;
byte kills = KILLS, ops = OPS, damages = DAMAGE;

/* ---- ghosts ---- */
byte inside;                            /* the writer that took the word last, and has not left */
byte newest;
bool lost[INCARNATIONS + 1];            /* damage took the word from it */

inline store(name, value)
{
	buffer[me]!name, value
}

inline draw()
{
	drawn++;
	own = drawn;
	locked[own] = true
}

/* In one step, at the compare-exchange. */
inline taken()
{
	assert(inside == 0 || !locked[inside] || lost[inside]);         /* exclusion */
	word = own;
	inside = own
}

/* ok: it has the word */
inline take()
{
	ok = false;
#ifdef NO_ACQUIRE
	seen_x = x;
#endif
	o = word;
#ifdef NO_FENCE
	seen_intent = intent;
#endif
	if
	:: o == 0 || !locked[o] -> ok = true
#ifdef NO_ASK
	:: o && locked[o] -> ok = true
#else
	:: o && locked[o]
#endif
	fi;
#ifdef KEEP_DEAD
	ok = ok && o == 0;
#endif
	if
#ifdef TAKE_BY_STORE
	:: d_step { ok -> taken() }
#else
	:: d_step { ok && word == o -> taken() }
	:: d_step { ok && word != o -> ok = false }
#endif
	:: !ok
	fi;
	if
	:: ok ->
#ifdef NO_FENCE
		if
		:: o == 0 -> seen_intent = intent
		:: else
		fi;
#else
		seen_intent = intent;
#endif
#ifdef NO_ACQUIRE
		if
		:: o != 0 -> seen_x = x
		:: else
		fi;
#else
		seen_x = x;
#endif
		d_step { assert(damages < DAMAGE || seen_intent || seen_x == y); o = 0 }
	:: else -> o = 0
	fi
}

inline change()
{
#ifdef NO_BEGIN_FENCE
	if
	:: store(INTENT, 1); store(X, n)
	:: store(X, n); store(INTENT, 1)
	fi;
	store(Y, n);
#else
	store(INTENT, 1);
#ifdef NO_END_FENCE
	store(X, n);
	if
	:: store(Y, n); store(INTENT, 0)
	:: store(INTENT, 0); store(Y, n)
	fi
#else
	if
	:: store(X, n); store(Y, n)
	:: store(Y, n); store(X, n)
	fi;
#endif
#endif
#ifndef NO_END_FENCE
	store(INTENT, 0)
#endif
}

inline leave()
{
#ifdef PLAIN_RELEASE
	d_step { inside = (inside == own -> 0 : inside) };
	store(WORD, 0)
#else
	d_step {
#ifndef RELAXED_RELEASE
		empty(buffer[me]) ->
#endif
		word = (word == own -> 0 : word);
		inside = (inside == own -> 0 : inside)
	}
#endif
}

proctype writer(byte me)
{
	byte own, o, seen_x, n;
	bool ok, seen_intent;

	d_step { draw() };
again:	{
		do
		:: ops ->
			/*
			 * polls: it looks again when it can go on, or when there is nothing left to
			 * do
			 */
#if defined(KEEP_DEAD)
			word == 0 || ops == 0;
#elif !defined(NO_ASK)
			word == 0 || !locked[word] || ops == 0;
#endif
			take();
			if
			:: ok ->
				if
				:: seen_intent -> store(Y, seen_x); store(INTENT, 0)
				:: else
				fi;
				if
				:: d_step { ops -> ops--; newest++; n = newest }; change()
				:: else
				fi;
				leave();
				d_step { ok = false; seen_intent = false; seen_x = 0; n = 0 }
			:: else -> seen_intent = false; seen_x = 0
			fi
		:: else -> break
		od;
endidle:	false
	} unless {
#ifdef FREE_EARLY
		d_step { killed[me] -> killed[me] = false; locked[own] = false; draw() };
#else
		d_step { killed[me] && empty(buffer[me]) -> killed[me] = false; locked[own] = false
#ifdef SAME_INCARNATION
			; locked[own] = true
#else
			; draw()
#endif
			};
#endif
		d_step { o = 0; seen_x = 0; n = 0; ok = false; seen_intent = false };
		goto again
	}
}

/* A process's store reaches memory. */
proctype memory(byte me)
{
	byte value;

end:	do
	:: d_step { buffer[me]?INTENT, value -> intent = value; value = 0 }
	:: d_step { buffer[me]?X, value -> x = value; value = 0 }
	:: d_step { buffer[me]?Y, value -> y = value; value = 0 }
	:: d_step { buffer[me]?WORD, value -> word = value; value = 0 }
	od
}

active proctype killer()
{
end:	do
	:: d_step { kills && !killed[0] -> killed[0] = true; kills-- }
	:: d_step { kills && !killed[1] -> killed[1] = true; kills-- }
#if WRITERS == 3
	:: d_step { kills && !killed[2] -> killed[2] = true; kills-- }
#endif
	:: d_step { damages && word -> damages--; lost[word] = true; word = 0 }
	od
}

init
{
	atomic {
		run writer(0); run memory(0); run writer(1); run memory(1);
#if WRITERS == 3
		run writer(2); run memory(2)
#endif
	}
}
