/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DCAP=1 -DOPS=1" "-DCAP=1 -DOPS=2 -DKILLS=0 -DREPEATS=0" "-DCAP=2 -DOPS=2 -DHEIR=0 -DREPEATS=0" "-DCAP=1 -DOPS=1 -DTHREADS=3 -DKILLS=0 -DHEIR=0 -DREPEATS=0" */
/* FULL: "-DCAP=1 -DOPS=2" "-DCAP=2 -DOPS=2" */
/* MUTATIONS: OVER_LIVE NO_SINCE NO_SECOND_LOOK NO_BACK_OUT:4 LATE_GIVEN:4 NO_GIVEN:2 NO_TAG ADD_CLOSED EARLY_EVEN STALE_SINCE */
/*
 * The audit ring: events that several threads append, one of them at most in a place, and that a reader copies without writing.
 *
 * What is modelled
 *
 *   One ring of CAP places. An event is two words, both its number, and the word that counts it: number, closed, how many.
 *   Threads   of one broker, THREADS of them, each OPS times: k2k_ring_append() of an open event, then, of the event that
 *             any of them appended last, REPEATS k2k_ring_repeat() and one k2k_ring_close()
 *   Kill      of the broker at any step of any thread (KILLS)
 *   Heir      attaches to the dead one's slot (HEIR): k2k_ring_own(), then appends once to each place
 *   Reader    k2k_ring_read() of 1, 2, 3, ...; what may come it waits for, or asks whether the owner lives
 *
 * Invariants (each is an assert)
 *
 *   No live writer is written over: who takes a place finds no living thread between its two stores of the sequence.
 *   No torn read: both words are the event's number.
 *   Missing is for ever: an event that a reader was told is missing is not there then, and is not completed later.
 *   The count is exact: of a closed event it is one and what was added; nothing is added after it was read.
 *   Every place comes back: the heir of a dead writer appends to each.
 *   Nobody waits: threads can always go on. The reader comes to the end: what is not there is missing once its writer has
 *   ended, or is dead (else its end is an invalid one).
 *
 * Abstractions
 *
 *   The model is sequentially consistent. A number is taken, a place compared and exchanged, in one step each. The
 *   table of what is open, of which a repeat takes the number, is one variable: any number may be in it, and the count word
 *   decides. Numbers are whole in the count word: of the low 39 bits an equal one comes 2^39 events later.
 *
 * Memory ordering that gives this in C11.
 *     event-sequence    taken: acquire, release. Filled: release: words and count. Read: acquire; after the words an
 *                       acquire fence and a second look
 *     event-taken       seq_cst fence after the place is taken, before given_up is looked at and the first word is written. With
 *     event-looked      seq_cst fence between given_up and the sequence: one of the two sees the other (NO_BACK_OUT). As a release
 *                       fence with the reader's acquire fence: who reads a word of a newer event sees the sequence changed
 *     event-given-up    release after the look at the place; acquire
 *     event-count       one word, compared and exchanged; it orders nothing but itself
 *     ring-claimed      acquire, release: the attach of who claims, before the question whether the owner lives
 *     ring-since        release, acquire: the new owner's proof that the old one is dead, before what it stored is read as final
 *
 * Mutations: what goes wrong
 *
 *   OVER_LIVE        a place that is being written is taken: a living writer is written over
 *   NO_SINCE         a dead writer's place is left alone too: it never comes back
 *   STALE_SINCE      the heir takes everything for older than itself that is odd: with another thread of its own it would
 *                    write over it (here: the threads use the number of the newest as `since`)
 *   NO_SECOND_LOOK   the reader does not look at the sequence again: torn
 *   NO_BACK_OUT      the writer does not look at given_up: an event that was missing comes after all
 *   LATE_GIVEN       the reader looks at given_up after the sequence: the same
 *   NO_GIVEN         who gives up does not say so: the reader waits for ever
 *   NO_TAG           a repeat is added without a look at the number: to another event
 *   ADD_CLOSED       a repeat is added to a closed event: after it was read
 *   EARLY_EVEN       the sequence says "there" before the words are: torn
 */
#ifndef CAP
#define CAP 1
#endif
#ifndef OPS
#define OPS 1
#endif
#ifndef THREADS
#define THREADS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef HEIR
#define HEIR 1
#endif
#ifndef REPEATS
#define REPEATS 1
#endif

#define MOST (THREADS * OPS + CAP + 1)
#define NOBODY 255

/* the ring; count words are number * 32 + count * 2 + closed */
byte claimed, since;
byte sequence[CAP], word1[CAP], word2[CAP], given_up[CAP];
short count[CAP];

/* what is true */
byte owner = 1;                 /* 0: dead, not taken over; 1: the broker; 2: its heir */
byte inside[CAP] = NOBODY;      /* who is between the two stores of a place's sequence */
bool missing[MOST], read_closed[MOST];
byte added[MOST];
byte newest;                    /* in the table */
byte appended, lost, running = THREADS;
bool heir_done = (HEIR == 0);

#define PLACE(n) ((n) % CAP)
#define NUMBER(s) (((s) + 1) / 2)
#define LIVES(who) (owner == who)
/* one step of a thread of `who`, which may be dead */
#define STEP(x) if :: atomic { LIVES(who) -> x } :: atomic { !LIVES(who) -> goto dead } fi

inline stands_in_the_way(s, own_since)
{
#ifdef OVER_LIVE
	way = (s != 0 && NUMBER(s) >= n)
#else
#ifdef NO_SINCE
	way = (s != 0 && (NUMBER(s) >= n || s % 2 == 1))
#else
#ifdef STALE_SINCE
	way = (s != 0 && (NUMBER(s) >= n || (s % 2 == 1 && NUMBER(s) > claimed)))
#else
	way = (s != 0 && (NUMBER(s) >= n || (s % 2 == 1 && NUMBER(s) > own_since)))
#endif
#endif
#endif
}

inline append(me, own_since)
{
	STEP(claimed++; n = claimed);
	STEP(s = sequence[PLACE(n)]; stands_in_the_way(s, own_since));
again:
	if
	:: way ->
#ifndef NO_GIVEN
		STEP(if :: given_up[PLACE(n)] < n -> given_up[PLACE(n)] = n :: else fi);
#endif
		STEP(lost++; n = 0)
	:: else ->
		STEP(
			if
			:: sequence[PLACE(n)] == s ->
				assert(inside[PLACE(n)] == NOBODY || inside[PLACE(n)] / 16 != owner);
				sequence[PLACE(n)] = 2 * n - 1;
				inside[PLACE(n)] = owner * 16 + me;
				taken = true
			:: else ->
				s = sequence[PLACE(n)];
				stands_in_the_way(s, own_since);
				taken = false
			fi
		);
		if :: !taken -> goto again :: else fi;
#ifdef NO_BACK_OUT
		backs_out = false;
#else
		STEP(backs_out = (given_up[PLACE(n)] >= n));
#endif
#ifdef EARLY_EVEN
		STEP(sequence[PLACE(n)] = 2 * n; inside[PLACE(n)] = NOBODY);
#endif
		STEP(word1[PLACE(n)] = (backs_out -> 0 : n));
		STEP(word2[PLACE(n)] = (backs_out -> 0 : n));
		STEP(count[PLACE(n)] = n * 32 + (backs_out -> 1 : 2));
		STEP(
			sequence[PLACE(n)] = 2 * n;
			inside[PLACE(n)] = NOBODY;
			if :: backs_out -> lost++ :: else -> assert(!missing[n]); appended++; newest = n fi;
			if :: backs_out -> n = 0 :: else fi
		)
	fi
}

proctype thread(byte me)
{
	byte who = 1, n, s, ops, m, repeats;
	bool way, taken, backs_out;
	short c;

	do
	:: ops < OPS ->
		ops++;
		append(me, 0);
		repeats = 0;
		do
		:: repeats < REPEATS ->
			repeats++;
			STEP(m = newest);
			if
			:: m == 0 -> skip
			:: else ->
				STEP(c = (sequence[PLACE(m)] == 2 * m -> count[PLACE(m)] : -1));
				if
#ifdef NO_TAG
				:: c != -1 && c % 2 == 0 ->
#else
#ifdef ADD_CLOSED
				:: c != -1 && c / 32 == m ->
#else
				:: c != -1 && c / 32 == m && c % 2 == 0 ->
#endif
#endif
#ifdef NO_TAG
					STEP(if :: count[PLACE(m)] % 2 == 0 ->
#else
					STEP(if :: count[PLACE(m)] == c ->
#endif
						count[PLACE(m)] = count[PLACE(m)] + 2;
						assert(!read_closed[m]);
						added[m]++
					:: else fi)
				:: else
				fi
			fi
		:: else -> break
		od;
#if REPEATS
		STEP(m = newest);
		if
		:: m == 0 -> skip
		:: else ->
			STEP(if :: count[PLACE(m)] / 32 == m -> count[PLACE(m)] = count[PLACE(m)] | 1 :: else fi)
		fi
#endif
	:: else -> break
	od;
dead:
	running--
}

/* After the broker's death is proven: every place comes back. */
proctype heir()
{
	byte who = 2, n, s, ops, own_since;
	bool way, taken, backs_out;

	atomic { owner == 0 && running == 0 -> owner = 2; own_since = claimed };
	since = own_since;
	do
	:: ops < CAP ->
		ops++;
		append(0, own_since);
		assert(n != 0)
	:: else -> break
	od;
	heir_done = true;
	goto end;
dead:
	assert(false);
end:
	skip
}

#define THERE 1
#define MISSING 2
#define PENDING 3

inline read(r, abandoned)
{
	is_dead = (since >= r || abandoned);
#ifndef LATE_GIVEN
	given = (given_up[PLACE(r)] >= r);
#endif
	s = sequence[PLACE(r)];
#ifdef LATE_GIVEN
	given = (given_up[PLACE(r)] >= r);
#endif
	if
	:: s == 2 * r ->
		c = count[PLACE(r)];
		a = word1[PLACE(r)];
		b = word2[PLACE(r)];
		atomic {
#ifdef NO_SECOND_LOOK
			if
			:: false
#else
			if
			:: sequence[PLACE(r)] != 2 * r -> state = MISSING
#endif
			:: else ->
				assert(a == b && (a == 0 || a == r));
				assert(c / 32 == r);
				state = (a == 0 -> MISSING : THERE)
			fi
		}
	:: else ->
		if
		:: NUMBER(s) > r || is_dead -> state = MISSING
		:: else -> state = ((s != 2 * r - 1 && given) -> MISSING : PENDING)
		fi
	fi
}

proctype reader()
{
	byte r = 1, s, a, b, state;
	bool is_dead, given, gone;
	short c;

	do
	:: r <= claimed ->
		read(r, false);
		/* with what was claimed looked at before: does the owner live? */
		if
		:: state == PENDING && owner == 0 && running == 0 -> read(r, true)
		:: else
		fi;
		if
		:: state == THERE ->
			/* closed, or of one who can't add to it: then it is final */
			atomic {
				if
				:: c % 2 == 1 || is_dead -> assert((c / 2) % 16 == 1 + added[r]); read_closed[r] = true
				:: else
				fi;
				r++
			}
		:: state == MISSING ->
			atomic {
				assert(!(sequence[PLACE(r)] == 2 * r && word1[PLACE(r)] == r && inside[PLACE(r)] == NOBODY));
				missing[r] = true;
				r++
			}
		:: state == PENDING ->
			/* until something has changed that it goes by */
			sequence[PLACE(r)] != s || given_up[PLACE(r)] >= r && !given || since >= r || (owner == 0 && running == 0)
		fi
	:: r > claimed && running == 0 && heir_done -> break
	od;
	assert(r == claimed + 1);
	assert(KILLS > 0 || appended + lost == claimed)
}

init {
	byte i, kills = KILLS;

	atomic {
		i = 0;
		do
		:: i < THREADS -> run thread(i); i++
		:: else -> break
		od;
		run reader();
		if :: HEIR && KILLS -> run heir() :: else -> heir_done = true fi
	};
	if
	:: kills -> atomic { owner == 1 -> owner = 0 }
	:: kills && !HEIR -> skip
	:: kills == 0 -> skip
	fi
}
