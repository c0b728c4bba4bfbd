/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DLIGHT=1" "-DLIGHT=0" */
/* FULL: "-DLIGHT=1 -DROUNDS=3" "-DLIGHT=0 -DROUNDS=3" */
/* MUTATIONS: NO_HEAVY_BARRIER:1 NO_READER_FENCE:2 NO_FIRST_WAIT NO_SECOND_WAIT NO_FLIP ACKNOWLEDGED_WITHOUT_BARRIER:1 */
/*
 * Read sections of one process, and the wait for them: lib/rcu.h.
 *
 * What is modelled
 *
 *   Readers:       load the phase; store it into their word, with the lowest bit set; a barrier; load the link, and use
 *                  what it leads to; store 0 into their word. SECTIONS times each.
 *   Synchronizer:  ROUNDS times: unlink a record, by linking the next one; wait; free the record. The wait is
 *                  barrier; wait until no word is of the other phase; flip; the same wait again.
 *   Several synchronizers take turns, so one that goes round stands for all.
 *
 *   LIGHT=1  The readers' barrier is the compiler's; the synchronizer calls membarrier(2).
 *   LIGHT=0  The readers' barrier is a full fence, and so is the synchronizer's.
 *
 * What is checked
 *
 *   Nothing is freed while a reader holds it (I2, within one process).
 *   The wait ends whatever the readers do: every end but that of all processes is an invalid end state.
 *
 * Memory
 *
 *   Each reader has a FIFO store buffer, as x86 has: its words reach the synchronizer late, and its loads overtake them.
 *   On aarch64 a load overtakes an earlier store in the same way. What it reorders beyond that does no harm:
 *     - the phase is loaded before it is stored, because the store's value depends on it;
 *     - the loads of a section stay before the store of 0, which is a release; the synchronizer loads the word with
 *       acquire before it frees. So all that the section read was read before;
 *     - the synchronizer's own stores and loads are kept in order by its fences.
 *   membarrier(2) is taken as its manual page has it: each thread of the process executes a full barrier at some moment
 *   between the call and its return, each at a moment of its own. Here: the buffer of each reader in turn is empty once.
 *
 * What is left out
 *
 *   Nesting: an inner section changes a count that nobody looks at. The list of records: a record is in it before its
 *   first section begins, by a compare-exchange, which is a barrier for what precedes it; if the synchronizer does not
 *   find it, then the reader's sections begin after the synchronizer's barrier, and see what was unlinked before. Ended
 *   threads: their word is 0. fork(): the child has one thread, and starts with words that are 0.
 *
 * Mutations: what goes wrong
 *
 *   NO_HEAVY_BARRIER     The reader's word is in its buffer while it holds the record; the synchronizer finds 0.
 *   NO_READER_FENCE      The same where nobody calls membarrier().
 *   NO_FIRST_WAIT        A reader loads the phase and is held up; a round passes, and flips it; then the reader enters, with
 *                        what is the other phase now. The next round flips to just that phase, and takes it for a new one.
 *   NO_SECOND_WAIT       Readers of the current phase are not waited for at all.
 *   NO_FLIP              Nor are they if both waits are for the same phase.
 *   ACKNOWLEDGED_WITHOUT_BARRIER  membarrier() is refused in the second round, by a sandbox say, and the round goes on as if it
 *                        had not been. k2k_rcu_synchronize() answers an error then, and nothing is freed.
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
