/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DMAXT=4 -DOPS0=1 -DOPS1=2 -DLOST=1" "-DMAXT=3 -DOPS0=2 -DOPS1=1 -DLOST=1" "-DMAXT=2 -DSECOND -DOPS0=1 -DOPS1=1 -DLOST=0" */
/* FULL: "-DMAXT=4 -DOPS0=2 -DOPS1=2 -DLOST=1" "-DMAXT=5 -DOPS0=2 -DOPS1=2 -DLOST=0" "-DMAXT=4 -DSECOND -DOPS0=1 -DOPS1=2 -DLOST=1" */
/* MUTATIONS: NO_MARGIN FROM_ANSWER TAKE_BLIND RELEASE_FIRST:2 NO_SEQUENCE:2 NO_EPOCH:3 FROZEN_CLOCK */
/*
 * Shares of a limit over many hosts: their sum never exceeds the limit, whatever is cut, killed,
 * stopped or late. The database's part is tools/fleet/schema/003-shares.sql, the agent's
 * tools/k2k-fleetd/lease.c and chunks.c, the registry's lib/shares.c.
 *
 * What is modelled
 *
 *   Database  a row for each host: {epoch, sequence, token, granted}, and `unused`: what nobody has.
 *             A statement is one transaction.
 *     join     epoch + 1, sequence 0; what was granted stays granted
 *     renew    if epoch is that of the row and the sequence is above the row's: a new token; with
 *              `want` one more unit, if one is unused. Answers what is granted
 *     release  under the same condition: granted is what the host still has
 *     take     of another host, if its token is still the one that was seen: nothing is granted to
 *              it any more, and its epoch is over
 *   Registry  of each host: {epoch, share, epoch of the share, until}. A share is in force if both
 *             epochs are alike and the host's clock is before `until`.
 *   Agent     reads the clock, renews, and then, under the writer's lock and only if the epoch is
 *             still its own, stores the share and at last `until` = the clock before it asked + D.
 *             To give up a share it stores the lower one first and releases it then.
 *             It looks at the other host's token. If that has not changed for D + M of its own
 *             clock, it takes.
 *
 *   Statements are lost, answers are lost, and an agent may give up waiting at any time: then the
 *   statement is still executed at any later time, or never. With SECOND host 0 gets a second agent
 *   at any moment. The first one is then dead or stopped: it never goes on, or at any later step.
 *   The host stops together with its agents: any process may rest for as long as the clock runs.
 *   Clocks: host 0's may lose SLOW ticks, so that its leases last longer than others believe.
 *
 * Invariant (an assert after each step that can break it)
 *
 *   F1   the shares in force on both hosts are together at most the limit, which is one unit
 *
 * Abstractions
 *
 *   The programs differ in two ways that make them stricter. A greeting gives no lease: a renewal
 *   follows it. `want` is a statement of its own (draw_shares), which does not renew; the token is
 *   the database's. Kernels and GPU memory are shares without a lease: fleet_draw.pml is their model,
 *   with what is held in the place of what was used.
 *
 *   A token is random; here it is a number that never comes again. A failover of the database is
 *   not modelled: what is committed stays. Windows of the rate are not modelled either. D and M are
 *   a few ticks, and SLOW ticks in all stand for a drift of SLOW in a lease.
 *
 * Mutations: what goes wrong
 *
 *   NO_MARGIN      a share is taken after D: the clock of its host was slower
 *   FROM_ANSWER    a lease is counted from when the answer came: it ends later than others believe
 *   TAKE_BLIND     the token isn't compared: it was renewed after the last look
 *   RELEASE_FIRST  a share is released first and lowered then: two hosts have it between
 *   NO_SEQUENCE    a late release is executed after the share was granted again
 *   NO_EPOCH       a stopped agent wakes beside its successor and stores what it had been granted
 *   FROZEN_CLOCK   a paused host's clock stands still. This is what F1 assumes; no protocol helps
 */
#define D 2
#ifdef NO_MARGIN
#define M 0
#else
#define M 1
#endif
#ifdef FROZEN_CLOCK
#define SLOW MAXT
#else
#define SLOW 1
#endif

#define JOIN 1
#define RENEW 2
#define RELEASE 3
#define TAKE 4

typedef Row { byte epoch; byte sequence; byte token; byte granted };
Row row[2];
byte unused;

typedef Registry { byte epoch; byte share; byte share_epoch; byte until };
Registry registry[2];

byte elapsed, clock[2], lost_ticks, tokens, given_up;

/* statements under way; each agent has room for two: one that it waits for, one given up */
typedef Statement { byte kind; byte host; byte epoch; byte sequence; byte number };
Statement under_way[6];
/* the answer for an agent: 0 none, 1 refused, 2 done */
byte answer[3], answer_granted[3], answer_epoch[3], waits_for[3];

#ifdef NO_EPOCH
#define IN_FORCE(h) (clock[h] < registry[h].until -> registry[h].share : 0)
#else
#define IN_FORCE(h) \
	(clock[h] < registry[h].until && registry[h].epoch == registry[h].share_epoch -> \
	 registry[h].share : 0)
#endif
#define F1 assert(IN_FORCE(0) + IN_FORCE(1) <= 1)

#ifdef NO_SEQUENCE
#define VALID(s) (s.epoch == row[s.host].epoch)
#else
#define VALID(s) (s.epoch == row[s.host].epoch && s.sequence > row[s.host].sequence)
#endif

active proctype Time()
{
	do
	:: atomic {
		elapsed < MAXT ->
		elapsed++;
		clock[1]++;
		if
		:: clock[0]++
		:: lost_ticks < SLOW -> lost_ticks++
		fi;
		F1
	   }
	:: elapsed == MAXT -> break
	od
}

#define S under_way[i]
inline execute()
{
	granted = 0;
	done = 1;
	if
	:: S.kind == JOIN ->
		row[S.host].epoch++;
		row[S.host].sequence = 0;
		done = 2
	:: S.kind == RENEW && VALID(S) ->
		row[S.host].sequence = S.sequence;
		tokens++;
		row[S.host].token = tokens;
		if
		:: S.number && unused -> unused--; row[S.host].granted++
		:: else
		fi;
		done = 2
	:: S.kind == RELEASE && VALID(S) ->
		row[S.host].sequence = S.sequence;
		unused = unused + row[S.host].granted - S.number;
		row[S.host].granted = S.number;
		done = 2
#ifdef TAKE_BLIND
	:: S.kind == TAKE ->
#else
	:: S.kind == TAKE && S.number == row[1 - S.host].token ->
#endif
		unused = unused + row[1 - S.host].granted;
		row[1 - S.host].granted = 0;
		row[1 - S.host].epoch++;
		done = 2
	:: else
	fi;
	if
	:: waits_for[i / 2] == 1 + i % 2 ->
		answer[i / 2] = done;
		answer_granted[i / 2] = row[S.host].granted;
		answer_epoch[i / 2] = row[S.host].epoch
	:: else
	fi;
	S.kind = 0; S.host = 0; S.epoch = 0; S.sequence = 0; S.number = 0
}

active proctype Database()
{
	byte i, done, granted;

end:	do
	:: atomic {
		if
		:: under_way[0].kind -> i = 0
		:: under_way[1].kind -> i = 1
		:: under_way[2].kind -> i = 2
		:: under_way[3].kind -> i = 3
		:: under_way[4].kind -> i = 4
		:: under_way[5].kind -> i = 5
		fi;
		execute();
		done = 0; granted = 0; i = 0
	   }
	od
}

/* Sends a statement, into a place that is free: a lost one stays in its place for ever. */
inline send(a, h, what, e, s, n)
{
	atomic {
		if
		:: !under_way[2 * a].kind -> place = 0
		:: else -> under_way[2 * a + 1].kind == 0 -> place = 1
		fi;
		under_way[2 * a + place].kind = what;
		under_way[2 * a + place].host = h;
		under_way[2 * a + place].epoch = e;
		under_way[2 * a + place].sequence = s;
		under_way[2 * a + place].number = n;
		waits_for[a] = 1 + place;
		answer[a] = 0;
		place = 0
	}
}

/* Waits, or gives up: got is 0, 1 or 2. */
inline receive(a)
{
	atomic {
		if
		:: answer[a] -> got = answer[a]
		:: given_up < LOST -> given_up++; got = 0
		fi;
		waits_for[a] = 0;
		answer[a] = 0;
		granted = answer_granted[a];
		answer_granted[a] = 0; answer_epoch[a] = 0
	}
}

#ifdef NO_EPOCH
#define MINE true
#else
#define MINE (registry[h].epoch == epoch)
#endif

proctype Agent(byte a; byte h; byte epoch; byte most)
{
	byte sequence, start, ops, got, place, seen, since, granted;
	bool watches;

	if
	:: !epoch ->
		start = clock[h];
		send(a, h, JOIN, 0, 0, 0);
		atomic {
			answer[a] == 2 -> waits_for[a] = 0; answer[a] = 0;
			epoch = answer_epoch[a];
			registry[h].epoch = epoch;          /* all earlier shares are over */
			F1
		};
		atomic { registry[h].share = answer_granted[a]; registry[h].share_epoch = epoch; F1 };
		atomic {
			registry[h].until = start + D;
			answer_granted[a] = 0; answer_epoch[a] = 0; start = 0;
			F1
		}
	:: else
	fi;
end:	do
	:: atomic {                                         /* renew, and ask for more */
		ops < most ->
		ops++;
		sequence++;
		start = clock[h];
		send(a, h, RENEW, epoch, sequence, 1)
	   };
		receive(a);
		if
		:: got == 2 ->
#ifdef FROM_ANSWER
			start = clock[h];
#endif
			atomic {                            /* the writer's lock */
				if
				:: MINE -> registry[h].share = granted;
					   registry[h].share_epoch = epoch;
					   F1;
					   registry[h].until = start + D;
					   F1
				:: else -> goto over
				fi
			}
		:: got == 1 -> goto over                    /* another epoch */
		:: else
		fi;
		got = 0; start = 0; granted = 0
	:: atomic {                                         /* give up the share */
		h == 0 && ops < most && MINE && registry[h].share ->
		ops++;
		sequence++;
#ifndef RELEASE_FIRST
		registry[h].share = 0;
#endif
		send(a, h, RELEASE, epoch, sequence, 0)
	   };
		receive(a);
#ifdef RELEASE_FIRST
		atomic { if :: MINE -> registry[h].share = 0 :: else fi };
#endif
		if
		:: got == 1 -> goto over
		:: else
		fi;
		got = 0; granted = 0
	:: atomic { h == 1 && ops < most && !watches -> seen = row[1 - h].token; since = clock[h]; watches = true }
	:: atomic {
		ops < most && watches && clock[h] - since >= D + M ->
		ops++;
		send(a, h, TAKE, 0, 0, seen)
	   };
		receive(a);
		got = 0; granted = 0; watches = false; seen = 0; since = 0
	:: ops == most -> break
	od;
over:	skip
}

init {
	atomic {
		/* host 0 has the unit, under a lease that began at 0 */
		row[0].epoch = 1; row[0].token = 1; row[0].granted = 1;
		row[1].epoch = 1;
		tokens = 1;
		registry[0].epoch = 1; registry[0].share_epoch = 1; registry[0].share = 1;
		registry[0].until = D;
		registry[1].epoch = 1; registry[1].share_epoch = 1;
		run Agent(0, 0, 1, OPS0);
#ifdef SECOND
		run Agent(1, 0, 0, OPS0);
#endif
		run Agent(2, 1, 1, OPS1)
	}
}
