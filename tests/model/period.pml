/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DOPS=1 -DTIMES=2 -DKILLS=1" "-DOPS=2 -DTIMES=2 -DKILLS=0 -DH=1" "-DOPS=1 -DTIMES=3 -DKILLS=0 -DBACK" "-DOPS=1 -DTIMES=1 -DKILLS=1 -DCORRECT" */
/* FULL: "-DOPS=2 -DTIMES=3 -DKILLS=1 -DBACK" "-DOPS=1 -DTIMES=2 -DKILLS=1 -DCORRECT -DFORCE" */
/* MUTATIONS: TWO_STORES ADD_FIRST:2 HISTORY_LATE HISTORY_BLIND:2 TORN:4 ONE_CLOCK:2 ONE_SUM:4 BASE_FROM_LOOK:4 CORRECT_BLIND:4 */
/*
 * A budget that renews: its periods are closed and begun by whichever broker comes first.
 *
 * What is modelled
 *
 *   A period record: the pair {number, corrections made, begin} {base}, two sums of corrections of
 *   which the parity of `corrections made` selects the one in force, and a history of H pairs. The
 *   value of the budget's account is cost + correction in force; the use of the current period is
 *   value - base, that of a closed one is the next one's base - its base.
 *
 *   Brokers   k2k_usage_track():   look at the wall clock; renew if a period of the clock's has
 *                                  begun; add
 *             k2k_message_admit(): look at the clock and at the period. If a later one has begun,
 *                                  nothing is used; else compare the use with the limit. Before a
 *                                  refusal look at the clock again, and begin again if it shows a
 *                                  later period
 *             k2k_period_renew():  read the pair, the sum in force and the cost; store the pair in
 *                                  the history, in the place of an older one only; exchange the
 *                                  pair for (number + 1, begin of now, value)
 *   Writer    k2k_usage_correct(): renew; write the other sum; exchange the pair for one with
 *                                  `corrections made` + 1; then the engagement's own sum
 *             k2k_budget_renew():  with FORCE: renews although the clock shows no later period
 *             recovery, if the writer was killed in a correction
 *   Clock     goes on, jumps over several periods, and with BACK steps back
 *   A process may be killed at any step, KILLS in a run, and each may stop at any step for ever:
 *   no process waits for it.
 *
 * Invariants (each is an assert)
 *
 *   N   the number of a period only rises, by one, and its begin rises with it, but for FORCE: so
 *       no period begins twice
 *   S   when a period is closed its pair is in the history; its use, and that of the current
 *       period, is never below 0; the closed uses and the current one add up to value - first base
 *   B   what was booked after a look at the clock counts in a period that is not older than the
 *       look
 *   R   a refusal is of a period that is not older than the newest look at the clock
 *   C   a correction has happened to both sums or to none, once its writer has returned or the next
 *       one has recovered; it never takes more than the use of the period in which it counts
 *
 * Abstractions
 *
 *   One period is one unit of time, so "begin of now" is the clock itself. Times are small numbers.
 *   A torn copy of the pair is read in three steps as in the code. H is 2: the pair that a place of
 *   the history had before is forgotten; the ghost `closed` remembers its use.
 *
 * Memory order that gives this in C11: see lib/period.h.
 *
 * Mutations: what goes wrong
 *
 *   TWO_STORES       the pair is stored word by word: two brokers renew, and a use is lost or
 *                    counted twice
 *   ADD_FIRST        track adds and then renews: the first use of a period counts in the one before
 *   HISTORY_LATE     the history is stored after the exchange: killed between, a period is missing
 *   HISTORY_BLIND    the history is stored whatever is there: a broker that slept overwrites a
 *                    newer period
 *   TORN             the first word isn't read again: the base of another period, and a use below 0
 *   ONE_CLOCK        a refusal does not look at the clock again
 *   ONE_SUM          a correction changes the sum in force: a renewal that has read the sum before
 *                    begins the period with a base above the value
 *   BASE_FROM_LOOK   the cost is read before the pair: a base below the one before
 *   CORRECT_BLIND    a correction doesn't look whether the period was renewed meanwhile: it stores
 *                    the pair instead of exchanging it
 */
#ifndef OPS
#define OPS 1           /* of a broker */
#endif
#ifndef TIMES
#define TIMES 2         /* steps of the clock */
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifdef FORCE
#define WOPS 2
#else
#define WOPS 1
#endif
#define BROKERS 2
#define LIMIT 2
#ifndef H
#define H 2             /* places of the history */
#endif
#ifdef HISTORY_LATE
#define late true
#else
#define late false
#endif

/* ---- shared memory ---- */
byte number = 1, made, begin, base;     /* the pair; made: corrections */
short sum[2];                           /* of corrections; made & 1 is in force */
byte cost;
short bill;                             /* the engagement's own sum of corrections */
byte h_number[H], h_base[H];
bool intent;
byte i_made;
short i_new;

/* ---- the rest ---- */
byte now;
byte kills = KILLS;
byte booked;
short closed;                           /* ghost: use of all closed periods */
byte first_base;

#define VALUE (cost + sum[made & 1])

inline die_or_go()
{
	if
	:: kills > 0 -> kills--; goto dead
	:: skip
	fi
}

/* The commit store of a renewal, with all that must be true of it. */
inline renewed(to, value)
{
	assert(late || (h_number[number % H] == number && h_base[number % H] == base));
	assert(value >= base);
	closed = closed + value - base;
	number++;
	begin = to;
	base = value
}

/* p_number, p_made, p_begin, p_base: an untorn copy */
inline read_pair()
{
	do
	:: atomic { p_number = number; p_made = made; p_begin = begin };
	   p_base = base;
#ifdef TORN
	   break
#else
	   if
	   :: number == p_number && made == p_made && begin == p_begin -> break
	   :: else
	   fi
#endif
	od
}

inline keep_pair()
{
	do
	:: h_n = h_number[p_number % H];
	   h_b = h_base[p_number % H];
#ifdef HISTORY_BLIND
	   atomic { h_number[p_number % H] = p_number; h_base[p_number % H] = p_base };
	   break
#else
	   if
	   :: h_n >= p_number -> break
	   :: else ->
	      atomic {
		      if
		      :: h_number[p_number % H] == h_n && h_base[p_number % H] == h_b ->
			 h_number[p_number % H] = p_number;
			 h_base[p_number % H] = p_base;
			 break
		      :: else
		      fi
	      }
	   fi
#endif
	od
}

/* Until the current period is `to` or a later one; `force`: one renewal in any case. */
inline renew(to, force)
{
	do
	::
#ifdef BASE_FROM_LOOK
	   value = cost;
#endif
	   read_pair();
	   if
	   :: !(force) && p_begin >= to -> break
	   :: else
	   fi;
	   in_force = sum[p_made & 1];
#ifdef BASE_FROM_LOOK
	   value = value + in_force;
#else
	   value = cost + in_force;
#endif
#ifndef HISTORY_LATE
	   keep_pair();
#endif
	   die_or_go();
#ifdef TWO_STORES
	   if
	   :: number == p_number && made == p_made && begin == p_begin ->
	      /* one look, and then two stores */
	      number = p_number + 1;
	      begin = to;
	      assert(value >= p_base);
	      closed = closed + value - p_base;
	      base = value;
	      break
	   :: else
	   fi
#else
	   atomic {
		   if
		   :: number == p_number && made == p_made && begin == p_begin && base == p_base ->
		      assert(force || to > begin);
		      renewed(to, value);
		      won = true
		   :: else -> won = false
		   fi
	   };
	   die_or_go();
#ifdef HISTORY_LATE
	   if
	   :: won -> keep_pair()
	   :: else
	   fi;
#endif
	   if
	   :: won -> break
	   :: else
	   fi
#endif
	od
}

proctype broker()
{
	byte ops = OPS, seen, p_number, p_made, p_begin, p_base, h_n, h_b;
	short in_force, value, use;
	bool won;

	do
	:: ops == 0 -> break
	:: ops > 0 -> ops--; seen = now;    /* track */
#ifdef ADD_FIRST
	   atomic { assert(begin >= seen); cost++; booked++ };
	   renew(seen, false)
#else
	   renew(seen, false);
	   die_or_go();
	   atomic { assert(begin >= seen); cost++; booked++ }
#endif
	:: ops > 0 -> ops--;                /* admit */
again:	   seen = now;
	   do
	   :: read_pair();
	      in_force = sum[p_made & 1];
	      use = cost + in_force - p_base;
#ifdef TORN
	      break
#else
	      if
	      :: number == p_number && made == p_made && begin == p_begin -> break
	      :: else
	      fi
#endif
	   od;
	   assert(use >= 0);
	   if
	   :: p_begin >= seen && use >= LIMIT ->
#ifndef ONE_CLOCK
	      atomic {
		      if
		      :: now > p_begin -> goto again
		      :: else -> assert(p_begin >= now)
		      fi
	      }
#else
	      atomic { assert(p_begin >= now) }
#endif
	   :: else
	   fi
	od;
dead:	skip
}

/* What the next writer does if this one was killed; also what the registry looks like after it. */
inline recover()
{
	atomic {
		if
		:: intent && made != i_made -> bill = i_new
		:: else
		fi;
		intent = false
	}
}

proctype writer()
{
	byte ops = WOPS, seen, p_number, p_made, p_begin, p_base, h_n, h_b;
	short in_force, value, take;
	bool won;

	do
	:: ops == 0 -> break
#ifdef FORCE
	:: ops > 0 -> ops--; seen = now; renew(seen, true)
#endif
	:: ops > 0 -> ops--;
	   seen = now;
	   renew(seen, false);
	   if
	   :: take = 1
	   :: take = -1
	   fi;
	   do
	   :: read_pair();
	      in_force = sum[p_made & 1];
	      value = cost + in_force;
	      /* only so much as the period has used */
	      if
	      :: value - take < p_base -> take = value - p_base
	      :: else
	      fi;
	      i_made = p_made;
	      i_new = bill - take;
	      intent = true;
	      die_or_go();
#ifdef ONE_SUM
	      atomic {
		      if
		      :: number == p_number && begin == p_begin ->
			 sum[p_made & 1] = in_force - take; won = true
		      :: else -> won = false
		      fi
	      };
#else
	      sum[1 - (p_made & 1)] = in_force - take;
	      die_or_go();
#ifdef CORRECT_BLIND
	      atomic { made = p_made + 1; number = p_number; begin = p_begin; base = p_base };
	      won = true;
#else
	      atomic {
		      if
		      :: number == p_number && made == p_made && begin == p_begin &&
			 base == p_base -> made++; won = true
		      :: else -> won = false
		      fi
	      };
#endif
#endif
	      if
	      :: won -> break
	      :: else
	      fi
	   od;
	   die_or_go();
	   bill = i_new;
	   die_or_go();
	   intent = false
	od;
	goto end;
dead:	recover();
end:	assert(intent || bill == sum[made & 1]);
}

proctype clock()
{
	byte steps = TIMES;

	do
	:: steps == 0 -> break
	:: steps > 0 -> steps--; now = now + 1
	:: steps > 1 -> steps = steps - 2; now = now + 2
#ifdef BACK
	:: steps > 0 && now > 0 -> steps--; now = now - 1
#endif
	od
}

init
{
	atomic {
		run broker();
		run broker();
		run clock();
#ifdef CORRECT
		run writer();
#endif
	};
	/* at any moment, so in each state: the sum of all uses */
	do
	:: atomic {
		assert(VALUE >= base);
		assert(H == 1 || number == 1 || h_number[(number - 1) % H] == number - 1);
		assert(closed + VALUE - base == VALUE - first_base);
		assert(cost == booked)
	   };
	   break
	od
}
