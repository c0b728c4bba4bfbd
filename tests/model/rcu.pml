/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DLIGHT=1" "-DLIGHT=0" */
/* FULL: "-DLIGHT=1 -DROUNDS=3" "-DLIGHT=0 -DROUNDS=3" */
/* MUTATIONS: NO_HEAVY_BARRIER:1 NO_READER_FENCE:2 NO_FIRST_WAIT NO_SECOND_WAIT NO_FLIP ACKNOWLEDGED_WITHOUT_BARRIER:1 */
/*
 * Read sections of one process, and the wait for them: lib/rcu.h.
 *
 * What is modelled
 *
 * Readers:       load the phase; store it into their word, with the lowest bit set; a barrier; load
 *                the link, and use the record it leads to; store 0 into their word. SECTIONS times.
 * Synchronizer:  ROUNDS times: unlink a record by linking the next one; wait; free the record. The
 *                wait is: barrier; wait until no word has the other phase; flip the phase; wait
 *                again; barrier.
 * Several synchronizers take turns, so one that runs several rounds stands for all of them.
 *
 * LIGHT=1  The readers' barrier restrains only the compiler; the synchronizer calls membarrier(2).
 * LIGHT=0  The readers' barrier is a full fence, and so is the synchronizer's.
 *
 * What is checked
 *
 * Nothing is freed while a reader holds it (I2, within one process).
 * The wait ends whatever the readers do: every end except that of all processes is an invalid end
 * state.
 *
 * Memory
 *
 * Each reader has a FIFO store buffer, as x86 has: its words reach the synchronizer late, and its
 * loads overtake them. On aarch64 a load overtakes an earlier store in the same way. What aarch64
 * reorders beyond that does no harm:
 *   - the phase is loaded before it is stored, because the store's value depends on it;
 *   - the loads of a section stay before the store of 0, which is a release; the synchronizer loads
 *     the word with acquire before it frees. So all that the section read was read before;
 *   - fences keep the synchronizer's own stores and loads in order.
 * membarrier(2) does what its manual page says: each thread of the process executes a full barrier
 * at some moment between the call and its return, each at a moment of its own. Here: the buffer of
 * one reader after the other is empty once.
 *
 * What is left out
 *
 * Nesting: an inner section changes a count that no other thread reads. The list of records: a
 * thread's record is in it before its first section begins, by a compare-exchange, which is a
 * barrier for what precedes it. If the synchronizer does not find the record, the reader's sections
 * begin after the synchronizer's barrier, and see what was unlinked before. Ended threads: their
 * word is 0. fork(): the child has one thread, and starts with words that are 0.
 *
 * Mutations: what goes wrong
 *
 * NO_HEAVY_BARRIER     The reader's word is in its buffer while it holds the record; the
 *                      synchronizer finds 0.
 * NO_READER_FENCE      The same, if nobody calls membarrier().
 * NO_FIRST_WAIT        A reader loads the phase and pauses. A round passes and flips it. Then the
 *                      reader enters with what is the other phase by now. The next round flips to
 *                      just that phase, and takes the section for a new one.
 * NO_SECOND_WAIT       Nobody waits for readers of the current phase.
 * NO_FLIP              The same: both waits are for the same phase.
 * ACKNOWLEDGED_WITHOUT_BARRIER  A sandbox refuses membarrier() in the second round, and the round
 *                               goes
 *                      on as if it had succeeded. k2k_rcu_synchronize() returns an error then, and
 *                      nothing is freed.
 */

#ifndef READERS
#define READERS 2
#endif
#ifndef SECTIONS
#define SECTIONS 2
#endif
#ifndef ROUNDS
#define ROUNDS 2
#endif
#ifndef LIGHT
#define LIGHT 1
#endif

#define OUTSIDE 0
#define INSIDE(phase) (2 + (phase))

byte phase;                     /* 0 or 1 */
byte linked = 1;                /* the record that a reader finds */
byte word[READERS];             /* as the synchronizer sees it */
byte hold[READERS];             /* the record that a reader uses; 0: none */
chan buffer[READERS] = [2] of { byte };

proctype processor(byte r)
{
	byte value;

end:	do
	:: d_step { buffer[r] ? value -> word[r] = value; value = 0 }
	od
}

proctype reader(byte r)
{
	byte n = SECTIONS, seen;

	do
	:: n > 0 ->
		d_step { seen = phase; n-- };
		d_step { nfull(buffer[r]) -> buffer[r] ! INSIDE(seen); seen = 0 };
#if !LIGHT && !defined(NO_READER_FENCE)
		empty(buffer[r]);
#endif
		hold[r] = linked;
		d_step { nfull(buffer[r]) -> hold[r] = 0; buffer[r] ! OUTSIDE }
	:: else -> break
	od
}

inline heavy_barrier()
{
#if LIGHT && !defined(NO_HEAVY_BARRIER)
	r = 0;
	do
#ifdef ACKNOWLEDGED_WITHOUT_BARRIER
	:: r < READERS && round == 2 -> r = READERS
	:: r < READERS && round != 2 -> empty(buffer[r]); r++
#else
	:: r < READERS -> empty(buffer[r]); r++
#endif
	:: else -> break
	od;
	r = 0
#else
	skip
#endif
}

inline wait_for_other_phase()
{
	r = 0;
	do
	:: r < READERS -> word[r] != INSIDE(1 - phase); r++
	:: else -> break
	od;
	r = 0
}

proctype synchronizer()
{
	byte round = 1, r;

	do
	:: round <= ROUNDS ->
		linked = round + 1;
		heavy_barrier();
#ifndef NO_FIRST_WAIT
		wait_for_other_phase();
#endif
#ifndef NO_FLIP
		phase = 1 - phase;
#endif
#ifndef NO_SECOND_WAIT
		wait_for_other_phase();
#endif
		d_step {
			r = 0;
			do
			:: r < READERS -> assert(hold[r] != round); r++
			:: else -> break
			od;
			r = 0;
			round++
		}
	:: else -> break
	od
}

init
{
	byte i;

	atomic {
		run synchronizer();
		do
		:: i < READERS -> run processor(i); run reader(i); i++
		:: else -> break
		od
	}
}
