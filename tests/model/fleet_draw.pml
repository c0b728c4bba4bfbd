/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DOPS=3 -DFAULTS=1" "-DOPS=2 -DFAULTS=1 -DFORGET" "-DOPS=2 -DFAULTS=0 -DSUCCESSOR" "-DOPS=2 -DFAULTS=0 -DREBOOT" */
/* FULL: "-DOPS=4 -DFAULTS=1" "-DOPS=3 -DFAULTS=1 -DFORGET" "-DOPS=2 -DFAULTS=1 -DSUCCESSOR" "-DOPS=2 -DFAULTS=1 -DREBOOT" */
/* MUTATIONS: NO_EPOCH:3 NO_SEQUENCE NO_GRACE RETURN_FIRST NO_LOCK:3 NO_CHECK:3 FORGET_DRAWN:2 FORGET_USED:2 RUN_KEEPS:4 */
/*
 * A budget over many hosts, drawn in chunks: it is never granted twice. The database's part is
 * tools/fleet/schema/002-budgets.sql, the agent's tools/k2k-fleetd/chunks.c.
 *
 * What is modelled
 *
 *   Database  a budget of TOTAL units, the epoch and the last sequence of each host, and a chunk for
 *             each run of a registry: {drawn, reported, closed}. A chunk is charged with the larger
 *             of drawn and reported; a closed one with what was reported. A statement is one
 *             transaction, valid if its epoch is the host's and its sequence is a later one.
 *     greet    the host has another epoch. Answers the chunk
 *     draw     one unit more, if the chunk has what the agent believes, is open, and one is free
 *     report   at least so much is used
 *     return   if the chunk has what the agent believes: it is so much from now on, and open. What
 *              had been written off of it and was not used is no longer written off
 *     forget   by an operator, of a run that can't be reached: its chunk is closed, and what was
 *              drawn and not reported is written off
 *   Host      a registry whose budget is what was drawn. A call reserves a unit if one is left, and
 *             books it later. To return what isn't used, the agent lowers the budget to what is
 *             used, waits for a grace period and for reservations, reads what is used, reports it
 *             and returns the rest. If the chunk is closed it does the same: that settles it.
 *   Agent     sets the budget only under the writer's lock, after an answer that it got while it
 *             had the lock: the answer shows that no other agent had greeted by then.
 *
 *   Statements are lost, or late after the agent has given up waiting, or executed twice; the agent
 *   is killed at any moment and begins anew by greeting.
 *     FORGET     an operator forgets host 0 at any moment
 *     SUCCESSOR  host 0 has two agents, each of which may be stopped at any moment for any time
 *     REBOOT     the registry of host 0, whose agent had drawn a unit and was killed, is saved at one
 *                moment and loaded at a later one: another run, with nothing drawn
 *
 * Invariant (an assert)
 *
 *   F3   what is used on all hosts is at most TOTAL and what was written off
 *
 * Abstractions
 *
 *   Calls reserve, so none exceeds the budget of its host; without reservations each call under way
 *   may exceed it. A greeting is never lost: one that is, is the same as a kill after it. A kill
 *   between a draw's answer and the new budget is a lost answer.
 *
 * Mutations: what goes wrong
 *
 *   NO_EPOCH       a late return of a replaced agent undoes a draw of its successor
 *   NO_SEQUENCE    a return that is executed twice takes away what was drawn between
 *   NO_GRACE       the agent doesn't wait: a call under way uses what was returned
 *   RETURN_FIRST   what isn't used is returned first, and the budget lowered then
 *   NO_LOCK        a stopped agent raises the budget to what its successor has returned since
 *   NO_CHECK       the same: it has the lock, but doesn't ask whether it was replaced
 *   FORGET_DRAWN   forget gives back what was drawn without writing it off
 *   FORGET_USED    forget gives back what was reported, too
 *   RUN_KEEPS      a loaded registry keeps the chunk of its image, whose use is older
 */
#define TOTAL 2
#define DRAW 1
#define RETURN 2

typedef Chunk { byte drawn; byte reported; bool closed };
Chunk chunk_of[3]; /* of host 0, of host 1, and of host 0 after it was loaded */
byte written_off, used, faults;
byte epoch[2], last[2];

typedef Statement { byte kind; byte owner; byte epoch; byte sequence; byte had; byte number };
Statement under_way[4]; /* of the agents: 0 of host 0, 1 of host 1, 2 is the successor on host 0 */
byte repeats;           /* under_way[3] is one that was executed, of this agent */
bool waits[3];
byte answer[3];

byte current[2];          /* the run of each host */
byte budget[2], spent[2]; /* in its registry */
bool calling[2], locked[2];

#define MORE(a, b) ((a) > (b) -> (a) : (b))
#ifdef FORGET_USED
#define CHARGED(r) (chunk_of[r].closed -> 0 : MORE(chunk_of[r].drawn, chunk_of[r].reported))
#else
#define CHARGED(r) \
	(chunk_of[r].closed -> chunk_of[r].reported : MORE(chunk_of[r].drawn, chunk_of[r].reported))
#endif
#define FREE (CHARGED(0) + CHARGED(1) + CHARGED(2) < TOTAL)

#define S under_way[i]
#define C chunk_of[S.owner]
#define HOST(agent) (agent % 2)
#define FROM(i) (i == 3 -> HOST(repeats) : HOST(i))

#ifdef NO_EPOCH
#define OWN_EPOCH true
#else
#define OWN_EPOCH (S.epoch == epoch[FROM(i)])
#endif
#ifdef NO_SEQUENCE
#define LATER true
#else
#define LATER (S.sequence > last[FROM(i)])
#endif

/* A chunk whose answer is DONE + what is drawn; REFUSED: another agent has greeted since. */
#define REFUSED 1
#define DONE 2

active proctype Database()
{
	byte i;

end:	do
	:: atomic {
		if
		:: under_way[0].kind -> i = 0
		:: under_way[1].kind -> i = 1
		:: under_way[2].kind -> i = 2
		:: under_way[3].kind -> i = 3
		fi;
		if
		:: !OWN_EPOCH ->
			if
			:: i < 3 && waits[i] -> answer[i] = REFUSED
			:: else
			fi
		:: else ->
			if
			:: LATER ->
				last[FROM(i)] = S.sequence;
				if
				:: S.kind == DRAW && !C.closed && C.drawn == S.had && FREE ->
					C.drawn++
				:: S.kind == RETURN && C.drawn == S.had ->
					C.reported = MORE(C.reported, S.number);
					if
					:: C.closed && C.drawn > C.reported ->
						written_off = written_off + C.reported - C.drawn
					:: else
					fi;
					C.drawn = S.number;
					C.closed = false
				:: else
				fi
			:: else
			fi;
			if
			:: i < 3 && waits[i] -> answer[i] = DONE + C.drawn
			:: else
			fi
		fi;
		if
		:: i < 3 -> waits[i] = false
		:: else
		fi;
		if
		:: i < 3 && faults < FAULTS -> /* it comes a second time, at any moment */
			faults++;
			repeats = i;
			under_way[3].kind = S.kind;
			under_way[3].owner = S.owner;
			under_way[3].epoch = S.epoch;
			under_way[3].sequence = S.sequence;
			under_way[3].had = S.had;
			under_way[3].number = S.number
		:: true
		fi;
		S.kind = 0; S.owner = 0; S.epoch = 0; S.sequence = 0; S.had = 0; S.number = 0;
		i = 0
	   }
	:: atomic { /* lost */
		faults < FAULTS && (under_way[0].kind || under_way[1].kind || under_way[2].kind) ->
		if
		:: under_way[0].kind -> i = 0
		:: under_way[1].kind -> i = 1
		:: under_way[2].kind -> i = 2
		fi;
		faults++;
		S.kind = 0; S.owner = 0; S.epoch = 0; S.sequence = 0; S.had = 0; S.number = 0;
		i = 0
	   }
	od
}

#ifdef FORGET
active proctype Operator()
{
	if
	:: atomic {
		!chunk_of[0].closed ->
#ifndef FORGET_DRAWN
		written_off = MORE(chunk_of[0].drawn, chunk_of[0].reported) - chunk_of[0].reported;
#endif
		chunk_of[0].closed = true
	   }
	:: true
	fi
}
#endif

#ifdef NO_LOCK
#define LOCK_FREE true
#define LOCK_TAKEN false
#else
#define LOCK_FREE (!locked[h])
#define LOCK_TAKEN true
#endif

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
	sequence++;
	under_way[me].kind = what;
	under_way[me].owner = mine;
	under_way[me].epoch = epoch_of_me;
	under_way[me].sequence = sequence;
	under_way[me].had = drawn;
	under_way[me].number = n;
	waits[me] = true;
	answer[me] = 0
}

/* It was lost: no answer comes. */
#define GONE (under_way[me].kind == 0 && answer[me] == 0)

/* The end of what the lock is taken for. */
inline set_budget(n)
{
	atomic {
		budget[h] = n;
		locked[h] = false
	}
}

proctype Agent(byte me)
{
	byte h, mine, epoch_of_me, sequence, drawn, ops, lowered;
	bool closed;

	h = HOST(me);
greet:
	waits[me] = false;
	atomic {
		epoch[h]++;
		last[h] = 0;
		epoch_of_me = epoch[h];
		sequence = 0;
		mine = current[h];
		drawn = chunk_of[mine].drawn;
		closed = chunk_of[mine].closed
	};
end:	do
	:: ops == OPS -> break
	:: atomic { ops < OPS && closed -> ops++ }; goto settle
	:: atomic { ops < OPS && !closed && spent[h] + calling[h] < budget[h] -> ops++ }; goto settle
	:: atomic { /* the budget is not what was drawn: a predecessor was killed */
		ops < OPS && !closed && budget[h] < drawn && LOCK_FREE ->
		locked[h] = LOCK_TAKEN;
		ops++
	   };
	   /* asks whether it is still the agent: one round trip, whose loss is a kill */
	   if
#ifdef NO_CHECK
	   :: true -> skip; set_budget(drawn)
#else
	   :: epoch[h] == epoch_of_me && !chunk_of[mine].closed -> set_budget(drawn)
	   :: epoch[h] != epoch_of_me -> goto replaced
	   :: epoch[h] == epoch_of_me && chunk_of[mine].closed -> goto killed
#endif
	   fi
	:: atomic {
		ops < OPS && !closed && under_way[me].kind == 0 && LOCK_FREE ->
		locked[h] = LOCK_TAKEN;
		ops++;
		send(DRAW, 0)
	   };
	   if
	   :: answer[me] == REFUSED -> goto replaced
	   :: atomic { answer[me] >= DONE -> drawn = answer[me] - DONE; answer[me] = 0 };
		set_budget(drawn)
	   :: GONE -> goto killed
	   :: atomic { faults < FAULTS -> faults++ }; goto killed
	   fi
	:: atomic { faults < FAULTS && ops < OPS -> faults++ }; goto killed_unlocked
	od;
	goto over;
settle:
	lowered = spent[h] + calling[h];
#ifndef RETURN_FIRST
	atomic { LOCK_FREE -> locked[h] = LOCK_TAKEN };
	if
#ifdef NO_CHECK
	:: true -> skip
#else
	:: epoch[h] == epoch_of_me -> skip
	:: epoch[h] != epoch_of_me -> goto replaced
#endif
	fi;
	set_budget(lowered);
#ifndef NO_GRACE
	!calling[h];
#endif
	lowered = MORE(lowered, spent[h]);
#endif
	atomic { under_way[me].kind == 0 -> send(RETURN, lowered) };
	if
	:: answer[me] == REFUSED -> goto over
	:: atomic {
		answer[me] >= DONE ->
		drawn = answer[me] - DONE;
		closed = false;
		answer[me] = 0
	   };
#ifdef RETURN_FIRST
	   budget[h] = lowered;
#endif
	   goto end
	:: GONE -> goto killed_unlocked
	:: atomic { faults < FAULTS -> faults++ }; goto killed_unlocked
	fi;
killed:
	locked[h] = false;
killed_unlocked:
	goto greet;
replaced:
	locked[h] = false;
over:
	skip
}

#ifdef REBOOT
/* The image of a moment, loaded at a later one, when the brokers have ended. */
proctype Reboot()
{
	byte saved_budget, saved_spent;

	atomic { saved_budget = budget[0]; saved_spent = spent[0] };
	atomic {
		!calling[0] && !locked[0] ->
		current[0] = 2;
		epoch[0]++; /* the agent greets again: another registry is another run */
#ifdef RUN_KEEPS
		budget[0] = saved_budget;
		spent[0] = saved_spent
#else
		budget[0] = 0;
		spent[0] = 0
#endif
	};
	run Agent(0)
}
#endif

init {
	atomic {
		current[1] = 1;
		run Calls(0);
		run Calls(1);
		run Agent(1);
#ifdef REBOOT
		chunk_of[0].drawn = 1;
		budget[0] = 1;
		run Reboot()
#else
		run Agent(0)
#endif
#ifdef SUCCESSOR
		run Agent(2)
#endif
	}
}
