/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DN=2 -DOPS=3 -DKILLS=0" "-DN=3 -DOPS=2 -DKILLS=0" "-DN=2 -DOPS=2 -DKILLS=1" "-DN=2 -DOPS=2 -DKILLS=0 -DLOWER" */
/* FULL: "-DN=3 -DOPS=2 -DKILLS=1" "-DN=3 -DOPS=3 -DKILLS=0" */
/* MUTATIONS: STORE OLDER BEFORE_COUNT:1 NOT_HIGHER */
/*
 * Thresholds: who reports that a use has reached one (lib/alert.h).
 *
 * What is modelled
 *
 *   A use that several brokers count up, thresholds at 2 and at 3, a sequence (the period) that
 *   begins again with use 0, and the word {sequence, level}.
 *
 *   Brokers   add 1; look at sequence and use, in one step, as k2k_period_look() does; the level is
 *             the highest threshold that the use has reached. k2k_alert_raise(): load the word; as
 *             long as {sequence, level} is larger, exchange; who succeeds reports each threshold
 *             above the level before, up to the new one
 *   Clock     begins the next period, once; with LOWER it also lowers the limit by one, which
 *             raises every level, and looks as the administrator does
 *   A broker may be killed between the exchange and its events, KILLS in a run. Elsewhere a kill
 *   is a broker that counts less often.
 *
 * Invariants
 *
 *   O   in a sequence each threshold is reported at most once
 *   U   the word never becomes smaller: neither an older sequence nor a lower level
 *   M   at the end, if nobody was killed, each threshold that the current sequence's use has
 *       reached was reported in it; in any case the word says so
 *
 * Mutations: what goes wrong
 *
 *   STORE         the word is stored and not exchanged: two report the same threshold
 *   OLDER         another sequence counts as a newer one: who was stopped over a renewal takes the
 *                 word back, and a threshold is reported again
 *   BEFORE_COUNT  the use is looked at before it is added to: nobody sees that it reaches one
 *   NOT_HIGHER    each level that differs is stored: the word goes down, and up again
 */
#ifndef N
#define N 2
#endif
#ifndef OPS
#define OPS 2
#endif
#ifndef KILLS
#define KILLS 0
#endif
#define SEQUENCES 3
#define LEVELS 3 /* 0: none; 1 and 2: the thresholds */

byte sequence = 1, use, limit = 3;
byte word_sequence, word_level;
byte reported[SEQUENCES * LEVELS]; /* [sequence * LEVELS + threshold] */
byte kills, running;

#define LEVEL(used) ((used) >= limit -> 2 : ((used) + 1 >= limit -> 1 : 0))
#define WORD(s, l) ((s) * LEVELS + (l))
#ifdef OLDER
#define LARGER(s, l) (word_s != (s) || (l) > word_l)
#elif defined(NOT_HIGHER)
#define LARGER(s, l) ((s) > word_s || ((s) == word_s && (l) != word_l))
#else
#define LARGER(s, l) (WORD(s, l) > WORD(word_s, word_l))
#endif

inline report(s, from, to)
{
	atomic {
		t = from + 1;
		do
		:: t <= to ->
			reported[WORD(s, t)]++;
			assert(reported[WORD(s, t)] == 1); /* O */
			t++
		:: else -> break
		od;
		t = 0
	}
}

inline look()
{
	d_step { own_s = sequence; own_l = LEVEL(use) }
}

#ifdef STORE
#define UNCHANGED true
#else
#define UNCHANGED (word_sequence == word_s && word_level == word_l)
#endif
#if defined(OLDER) || defined(NOT_HIGHER) || defined(STORE)
#define U true
#else
#define U (WORD(own_s, own_l) > WORD(word_sequence, word_level))
#endif

/* k2k_alert_raise() and the events: a process may die between them. */
inline raise()
{
	d_step { word_s = word_sequence; word_l = word_level };
	do
	:: own_l == 0 || !LARGER(own_s, own_l) -> break
	:: own_l != 0 && LARGER(own_s, own_l) ->
		if
		:: atomic {
			UNCHANGED ->
			assert(U);
			word_sequence = own_s;
			word_level = own_l
			};
			if
			:: atomic { kills < KILLS -> kills++; goto dead }
			:: true
			fi;
			if
			:: word_s != own_s -> word_l = 0
			:: else
			fi;
			report(own_s, word_l, own_l);
			break
		:: d_step {
			!UNCHANGED ->
			word_s = word_sequence;
			word_l = word_level
			}
		fi
	od;
	skip;
	d_step { own_s = 0; own_l = 0; word_s = 0; word_l = 0 }
}

proctype broker()
{
	byte own_s, own_l, word_s, word_l, n, t;

	do
	:: n < OPS ->
		n++;
#ifdef BEFORE_COUNT
		look();
		use++;
#else
		use++;
		look();
#endif
		raise()
	:: else -> break
	od;
dead:
	running--
}

proctype clock()
{
	byte own_s, own_l, word_s, word_l, t;

	d_step { sequence++; use = 0 };
#ifdef LOWER
	limit--;
	look();
	raise();
#endif
dead:
	running--
}

#define REACHED(t) (LEVEL(use) >= (t))

init {
	byte i;

	atomic {
		running = N + 1;
		do
		:: i < N -> run broker(); i++
		:: else -> break
		od;
		run clock()
	}
	running == 0;
	/* M */
	assert(LEVEL(use) == 0 || WORD(sequence, LEVEL(use)) <= WORD(word_sequence, word_level));
	assert(kills > 0 || !REACHED(1) || reported[WORD(sequence, 1)] == 1);
	assert(kills > 0 || !REACHED(2) || reported[WORD(sequence, 2)] == 1)
}
