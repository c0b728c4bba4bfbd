/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DOPS=3 -DLOST=1" "-DOPS=2 -DLOST=1 -DREBOOT" */
/* FULL: "-DOPS=4 -DLOST=2" "-DOPS=3 -DLOST=2 -DREBOOT" */
/* MUTATIONS: NO_SEQUENCE NO_GRACE RETURN_FIRST FORGET_DRAWN RUN_KEEPS:2 */
/*
 * A budget over many hosts, drawn in chunks: it is never granted twice. No program does this yet:
 * k2k-fleetd draws nothing. The protocol comes first.
 *
 * What is modelled
 *
 *   Database  `unused` of a budget of TOTAL units, and a row for each run of a registry:
 *             {sequence, drawn, closed}. A statement is one transaction.
 *     draw     one unit more for the run, if one is unused, the run isn't closed and the sequence
 *              is above the row's. Answers what the run has drawn in all
 *     return   under the same condition: the run has drawn so much in all, and no more
 *     forget   by an operator, of a run that can't be reached: it is closed, and what it has drawn
 *              is written off, since nobody knows how much of it is used
 *   Host      a registry whose budget is what was drawn. A call reserves a unit if one is left, and
 *             books it later. To return what isn't used, the agent lowers the budget to what is
 *             used, waits for a grace period and for reservations, reads what is used, and returns
 *             the rest.
 *
 *   Statements are lost, or late after the agent has given up waiting. With REBOOT the registry of
 *   host 0 is saved at one moment and loaded at a later one: another run, with nothing drawn.
 *
 * Invariant (an assert)
 *
 *   F3   what is used on all hosts is at most TOTAL and what was written off
 *
 * Abstractions
 *
 *   Nothing was reported before a run is forgotten. Calls reserve, so none exceeds the budget of
 *   its host; without reservations each call under way may exceed it.
 *
 * Mutations: what goes wrong
 *
 *   NO_SEQUENCE    a late return is executed after another draw: that is drawn twice
 *   NO_GRACE       the agent doesn't wait: a call under way uses what was returned
 *   RETURN_FIRST   what isn't used is returned first, and the budget lowered then
 *   FORGET_DRAWN   forget gives back what was drawn without writing it off
 *   RUN_KEEPS      a loaded registry keeps the chunk of its image, whose use is older
 */
#define TOTAL 2
#define DRAW 1
#define RETURN 2

typedef Run { byte sequence; byte drawn; bool closed };
Run run_of[3]; /* of host 0, of host 1, and of host 0 after it was loaded */
byte unused = TOTAL, written_off, used, given_up;

typedef Statement { byte kind; byte owner; byte sequence; byte number };
Statement under_way[4]; /* each host has room for two */
byte answer[2], answer_drawn[2], waits_for[2];

byte current[2];          /* the run of each host */
byte budget[2], spent[2]; /* in its registry */
bool calling[2];

#ifdef NO_SEQUENCE
#define VALID !run_of[S.owner].closed
#else
#define VALID (!run_of[S.owner].closed && S.sequence > run_of[S.owner].sequence)
#endif
#define S under_way[i]

active proctype Database()
{
	byte i, done;

end:	do
	:: atomic {
		if
		:: under_way[0].kind -> i = 0
		:: under_way[1].kind -> i = 1
		:: under_way[2].kind -> i = 2
		:: under_way[3].kind -> i = 3
		fi;
		done = 1;
		if
		:: VALID && (S.kind == RETURN || unused) ->
			run_of[S.owner].sequence = S.sequence;
			if
			:: S.kind == DRAW -> unused--; run_of[S.owner].drawn++
			:: else ->
				unused = unused + run_of[S.owner].drawn - S.number;
				run_of[S.owner].drawn = S.number
			fi;
			done = 2
		:: else
		fi;
		if
		:: waits_for[i / 2] == 1 + i % 2 ->
			answer[i / 2] = done;
			answer_drawn[i / 2] = run_of[S.owner].drawn
		:: else
		fi;
		S.kind = 0; S.owner = 0; S.sequence = 0; S.number = 0;
		done = 0; i = 0
	   }
	od
}

active proctype Operator()
{
	if
	:: atomic {
		run_of[1].closed = true;
#ifndef FORGET_DRAWN
		written_off = run_of[1].drawn;
#endif
		unused = unused + run_of[1].drawn;
		run_of[1].drawn = 0
	   }
	:: true
	fi
}

/* Calls of brokers: a unit is reserved, and booked later. */
proctype Calls(byte h)
{
end:	do
	:: atomic { !calling[h] && spent[h] < budget[h] -> calling[h] = true }
	:: atomic {
		calling[h] ->
		calling[h] = false;
		spent[h]++;
		used++;
		assert(used <= TOTAL + written_off)
	   }
	od
}

inline send(what, n)
{
	if
	:: !under_way[2 * h].kind -> place = 0
	:: else -> under_way[2 * h + 1].kind == 0 -> place = 1
	fi;
	sequence++;
	under_way[2 * h + place].kind = what;
	under_way[2 * h + place].owner = current[h];
	under_way[2 * h + place].sequence = sequence;
	under_way[2 * h + place].number = n;
	waits_for[h] = 1 + place;
	place = 0
}

/* Waits, or gives up. After a draw the budget is what the run has drawn. */
inline receive()
{
	atomic {
		if
		:: answer[h] == 2 -> budget[h] = answer_drawn[h]
		:: answer[h] == 1
		:: given_up < LOST -> given_up++
		fi;
		waits_for[h] = 0;
		answer[h] = 0;
		answer_drawn[h] = 0
	}
}

proctype Agent(byte h)
{
	byte sequence, ops, place, saved_budget, saved_spent;
	bool saved;

end:	do
	:: atomic { ops < OPS -> ops++; send(DRAW, 0) };
		receive()
	:: atomic { ops < OPS && spent[h] + calling[h] < budget[h] -> ops++ };
#ifdef RETURN_FIRST
		atomic { send(RETURN, spent[h] + calling[h]) };
		receive()
#else
		atomic { budget[h] = spent[h] };
#ifndef NO_GRACE
		!calling[h];
#endif
		atomic { send(RETURN, spent[h]) };
		receive()
#endif
#ifdef REBOOT
	:: atomic {
		h == 0 && !saved && !calling[h] ->
		saved = true;
		saved_budget = budget[h];
		saved_spent = spent[h]
	   }
	:: atomic {
		h == 0 && saved && current[h] == 0 && !calling[h] ->
		current[h] = 2;
		sequence = 0;
#ifdef RUN_KEEPS
		budget[h] = saved_budget;
		spent[h] = saved_spent
#else
		budget[h] = 0;
		spent[h] = 0
#endif
	   }
#endif
	:: ops == OPS -> break
	od
}

init {
	atomic {
		current[1] = 1;
		run Calls(0);
		run Calls(1);
		run Agent(0);
		run Agent(1)
	}
}
