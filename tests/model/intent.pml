/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DKILLS=3 -DOPS=6" "-DKILLS=2 -DREADER -DOPS=4" */
/* FULL: "-DKILLS=5 -DOPS=8" "-DKILLS=3 -DOPS=7 -DNB=4" "-DKILLS=2 -DREADER -DOPS=5" "-DKILLS=1 -DREADER -DNB=4 -DOPS=5" */
/* MUTATIONS: INTENT_LATE INTENT_ENDS_FIRST LIVE_FIRST FLIP_FIRST:2 SAME_SET:2 NO_SINCE:2 NO_VERSION_RECHECK:2 NO_SELECT_RECHECK:2 KEEP_UNBORN KEEP_UNTIL NO_FINISH NO_COUNT */
/*
 * Changes of several records: register with budgets, update, deregister; and recovery, which finds
 * out from the records alone what a killed writer left.
 *
 * What is modelled
 *
 *   One tenant slot with two sets of limits (two words each), and NB budgets. An operation is a
 *   sequence of stores:
 *     try_register()   reap(); k2k_tenant_build(); budgets since version 1; LIVE (the commit); link
 *     try_update()     reap(); k2k_tenant_prepare(): the other set; k2k_budget_end() of those that
 *                      go, k2k_budget_add() of those that come, both with version + 1;
 *                      k2k_tenant_flip() (the commit); k2k_change_retire_ended(); the token
 *     retire()         reap(); the stamp; RETIRED (the commit); unlink; the token
 *     reap()           tenants whose token has passed: their budgets RETIRED and unlinked, the
 *                      token, FREE; budgets whose token has passed: FREE
 *     recover_all()    after a writer that was killed, or by one that failed halfway (no budget was
 *                      free): change.c
 *   A configuration is a number c: both limits are c, engagement 1 has the budget c, and engagement
 *   2 has it if c is odd.
 *   A reader (READER) enters a section, finds the tenant, copies the limits (k2k_tenant_limits()),
 *   looks for both budgets (k2k_budget_find()), and loads the version again (decide_on_budget()).
 *   A writer may be killed after any store, also in its recovery: KILLS times, in a row or spread
 *   over OPS operations.
 *
 * Invariants (each is an assert)
 *
 *   All or nothing: after an operation, or a recovery, the records are as they were before it or as
 *     it was to make them, decided by the one commit store. A reader's copy is one configuration,
 *     that of the version that it saw.
 *   Nothing twice: an engagement has one budget in force. budget_count is the number of these.
 *   I1  The id is in the hash at most once, and only for a LIVE definition of that id and
 *       generation.
 *   I2  Nothing is reused before its grace period: the slot keeps its generation while a reader is
 *       in its section.
 *   I6  After a kill at any store of any operation, recovery included, check is clean once the next
 *       operation has ended. (check: no BUILDING, no CLAIMED, no budget that begins or ends in a
 *       version to come; LIVE and linked are the same.)
 *   I7  No reader waits for a writer: it can always go on, and starts again only if the version has
 *       risen.
 *
 * Abstractions
 *
 *   The lists of free and of retired records are derived; a free one is found by its state.
 *   Reserved ledger records are in ledger.pml (RESERVE). What has passed is known in one step
 *   (grace.pml). Links are bits: chains are in ledger.pml. A reader visits the records in the
 *   order of their numbers, one in each step.
 *
 * Memory ordering that gives this in C11. The model is sequentially consistent.
 *     writers       one after the other, each after all stores of the last one, dead or not:
 *                   writer.pml
 *     tenant-state  LIVE: release: cell, limits and budgets before it; seen by k2k_tenant_find()
 *     tenant-select the flip: release: the set and the budgets before it. prepare:
 *                   fence[tenant-select], a release fence: the last flip before the stores to the
 *                   set that it took out of force; with the reader's acquire fence between its
 *                   copy and its second load. The same pair shows a reader that it walked past an
 *                   unlinked budget
 *     budget-state  CLAIMED before the fields, LIVE after them, RETIRED before the unlink
 *
 * Mutations: what goes wrong
 *
 *   INTENT_LATE         set after the first store: killed in between, no writer recovers
 *   INTENT_ENDS_FIRST   recovery clears it before its work: killed in it, no writer completes it
 *   LIVE_FIRST          the tenant is LIVE before its budgets are there
 *   FLIP_FIRST          the version is raised before the set and the budgets are there
 *   SAME_SET            update writes the set that is in force
 *   NO_SINCE            new budgets are in force at once
 *   NO_VERSION_RECHECK  the reader does not load the version after its walk: it walked past a
 *                       budget that had been unlinked
 *   NO_SELECT_RECHECK   the reader does not load the version after its copy: it mixes two updates
 *   KEEP_UNBORN         recovery leaves what never was in force: the next update puts it in force
 *   KEEP_UNTIL          recovery leaves an end that never came: the next update makes it come
 *   NO_FINISH           recovery does not complete what is stamped token + 1
 *   NO_COUNT            recovery does not count the budgets again
 */
#ifndef NB
#define NB 3            /* budgets in the table */
#endif
#ifndef OPS
#define OPS 3
#endif
#ifndef KILLS
#define KILLS 2
#endif

#define FREE     0
#define BUILDING 1      /* of a tenant; of a budget: CLAIMED */
#define CLAIMED  1
#define LIVE     2
#define RETIRED  3

/* ---- shared memory ---- */
byte token = 1, generation;
bool intent;
byte t_state, t_gen, t_stamp, version, count;
bool t_linked;
byte rate[2], kernels[2];
byte b_state[NB], b_token[NB], b_gen[NB], b_engagement[NB], b_value[NB], b_since[NB], b_until[NB];
bool b_linked[NB];

/* ---- processes ---- */
byte entered;           /* the token when the reader entered its section; 0: not inside */
bool killed;
byte kills = KILLS, ops = OPS;

/* ---- ghosts ---- */
byte configuration;     /* in force; 0: no tenant */
byte newest;

#define PASSED (entered -> entered : token)
#define IN_FORCE(i, v) (b_since[i] <= (v) && (b_until[i] == 0 || (v) < b_until[i]))
#define VALUE(e, c) (((e) == 1 || (c) % 2) -> (c) : 0)
#define CURRENT(g) (t_gen == (g) && (t_state == LIVE || t_state == RETIRED))

/* In one step: what k2k_registry_check() looks for, and that the configuration is in force */
inline check_clean()
{
	assert(t_state != BUILDING);
	assert(t_linked == (t_state == LIVE));                                  /* I1 */
	assert((t_state == LIVE) == (configuration != 0));
	assert(t_state != RETIRED || t_stamp <= token);
	i = 0; x = 0; y = 0; n = 0;
	do
	:: i < NB ->
		assert(b_state[i] != CLAIMED);
		assert(b_linked[i] == (b_state[i] == LIVE));
		assert(b_state[i] != RETIRED || b_token[i] <= token);
		if
		:: b_state[i] == LIVE ->
			assert(CURRENT(b_gen[i]));
			assert(t_state == RETIRED || (b_since[i] <= version && b_until[i] == 0));
			n++;
			if
			:: b_engagement[i] == 1 -> assert(x == 0); x = b_value[i] /* nothing twice */
			:: else -> assert(y == 0); y = b_value[i]
			fi
		:: else
		fi;
		i++
	:: else -> break
	od;
	if
	:: t_state == LIVE ->
		assert(rate[version % 2] == configuration && kernels[version % 2] == configuration);
		assert(x == configuration && y == VALUE(2, configuration)); /* all or nothing */
		assert(count == n)
	:: else
	fi;
	i = 0; x = 0; y = 0; n = 0
}

/* k2k_budget_add() */
inline add_budget(e, value, from)
{
	d_step {
		i = 0;
		do
		:: i < NB && b_state[i] != FREE -> i++
		:: else -> break
		od;
		no_room = no_room || i == NB
	};
	if
	:: no_room
	:: else ->
		b_state[i] = CLAIMED;
		d_step { b_gen[i] = t_gen; b_engagement[i] = e; b_value[i] = value; b_until[i] = 0;
#ifdef NO_SINCE
			b_since[i] = 0
#else
			b_since[i] = from
#endif
		};
		b_state[i] = LIVE;
		b_linked[i] = true
	fi;
	i = 0
}

/* k2k_budget_retire() */
inline retire_budget(i)
{
	d_step { b_token[i] = token + 1; b_state[i] = RETIRED; stamped = true };
	b_linked[i] = false
}

inline publish()
{
	d_step { token = token + stamped; stamped = false }
}

inline recover_budget(i)
{
	if
	:: b_state[i] == CLAIMED -> b_state[i] = FREE
	:: b_state[i] == LIVE ->
		if
		:: !CURRENT(b_gen[i]) -> retire_budget(i)
		:: CURRENT(b_gen[i]) && t_state == RETIRED
#ifndef KEEP_UNBORN
		:: CURRENT(b_gen[i]) && t_state == LIVE && b_since[i] > version -> retire_budget(i)
#endif
		:: CURRENT(b_gen[i]) && t_state == LIVE && b_since[i] <= version && b_until[i] && b_until[i] <= version -> retire_budget(i)
		:: else ->
#ifndef KEEP_UNTIL
			b_until[i] = 0;
#endif
#ifndef NO_COUNT
			count++
#endif
		fi
	:: b_state[i] == RETIRED ->
#ifdef NO_FINISH
		true
#else
		if
		:: b_token[i] == token + 1 -> d_step { b_linked[i] = false; stamped = true }
		:: else
		fi
#endif
	:: else
	fi
}

inline recover_all()
{
	stamped = false;
#ifdef INTENT_ENDS_FIRST
	intent = false;
#endif
	if
	:: t_state == BUILDING -> t_state = FREE
	:: t_state == LIVE ->
#ifndef NO_COUNT
		count = 0;
#endif
		t_linked = true
	:: t_state == RETIRED && t_stamp == token + 1 -> d_step { t_linked = false; stamped = true }
	:: else
	fi;
	recover_budget(0); recover_budget(1); recover_budget(2);
#if NB == 4
	recover_budget(3);
#endif
	publish();
	d_step { intent = false; no_room = false; check_clean() }
}

inline reap_budget(i)
{
	if
	:: b_state[i] == LIVE && b_gen[i] == t_gen -> retire_budget(i)
	:: else
	fi
}

inline free_budget(i)
{
	if
	:: b_state[i] == RETIRED && b_token[i] <= PASSED -> b_state[i] = FREE
	:: else
	fi
}

/* k2k_reap() */
inline reap()
{
	free_budget(0); free_budget(1); free_budget(2);
#if NB == 4
	free_budget(3);
#endif
	if
	:: t_state == RETIRED && t_stamp <= PASSED ->
		reap_budget(0); reap_budget(1); reap_budget(2);
#if NB == 4
		reap_budget(3);
#endif
		publish();
		t_state = FREE
	:: else
	fi
}

/* k2k_tenant_prepare() */
inline prepare(c)
{
#ifdef SAME_SET
	rate[(to + 1) % 2] = c;
	kernels[(to + 1) % 2] = c
#else
	rate[to % 2] = c;
	kernels[to % 2] = c
#endif
}

inline register(c)
{
	generation++;
	d_step { t_gen = generation; t_state = BUILDING };
	d_step { version = 0; to = 1 };
	prepare(c);
	version = 1;
#ifdef LIVE_FIRST
	d_step { t_state = LIVE; configuration = c };
	t_linked = true;
#endif
	add_budget(1, c, 1);
	if
	:: c % 2 -> add_budget(2, c, 1)
	:: else
	fi;
	if
	:: no_room -> recover_all()
	:: else ->
		count = 1 + c % 2;
		d_step { t_state = LIVE; configuration = c };           /* the commit */
		t_linked = true
	fi
}

/* If engagement e has a budget of another value, ends it. */
inline end_budget(e)
{
	d_step {
		i = 0;
		do
		:: i < NB && !(b_state[i] == LIVE && b_gen[i] == t_gen && b_engagement[i] == e && IN_FORCE(i, to - 1) && b_since[i] < to) -> i++
		:: else -> break
		od;
		true
	};
	if
	:: i < NB -> d_step { b_until[i] = to; ends = ends | (1 << i); i = 0 }
	:: else -> i = 0
	fi
}

inline update(c)
{
	to = version + 1;
#ifdef FLIP_FIRST
	d_step { version = to; configuration = c };
#endif
	prepare(c);
	add_budget(1, c, to);
	if
	:: !no_room -> end_budget(1);
		if
		:: c % 2 -> add_budget(2, c, to)
		:: else
		fi;
		if
		:: !no_room -> end_budget(2)
		:: else
		fi
	:: else
	fi;
	if
	:: no_room -> recover_all()
	:: else ->
		count = 1 + c % 2;
		d_step { version = to; configuration = c }; /* the commit: k2k_tenant_flip() */
		do
		:: ends -> d_step { i = 0; do :: !(ends & (1 << i)) -> i++ :: else -> break od; ends = ends & ~(1 << i) };
			retire_budget(i)
		:: else -> i = 0; break
		od;
		publish()
	fi
}

proctype writer()
{
	byte i, x, y, n, c, to, ends;
	bool no_room, stamped;

again:	{
		if
		:: intent -> recover_all()
		:: else
		fi;
		do
		:: d_step { ops && newest < 250 -> ops--; newest++; c = newest
#ifndef INTENT_LATE
			; intent = true
#endif
			};
			reap();
			if
			:: t_state == FREE -> register(c)
			:: t_state == LIVE -> update(c)
			:: t_state == LIVE ->                           /* deregister */
				t_stamp = token + 1;
				d_step { t_state = RETIRED; configuration = 0; stamped = true }; /* the commit */
#ifdef INTENT_LATE
				intent = true;
#endif
				t_linked = false;
				publish()
			:: t_state == RETIRED /* waits for its grace period */
			fi;
			d_step { intent = false; check_clean(); c = 0; to = 0 }
		:: !ops -> break
		od;
endidle:	false
	} unless {
		d_step { killed -> killed = false; i = 0; x = 0; y = 0; n = 0; c = 0; to = 0; ends = 0; no_room = false; stamped = false };
		goto again
	}
}

#ifdef READER
active proctype reader()
{
	byte g, v, r, k, i, b1, b2;

end:	do
	:: d_step { t_linked && t_state == LIVE -> entered = token; g = t_gen };
again:		v = version;
		r = rate[v % 2];
		k = kernels[v % 2];
#ifndef NO_SELECT_RECHECK
		if
		:: version != v -> goto again
		:: else
		fi;
#endif
		assert(r == k);                                                 /* all or nothing */
		do
		:: d_step { i < NB && b_linked[i] && b_gen[i] == g && IN_FORCE(i, v) ->
			if
			:: b_engagement[i] == 1 -> assert(b1 == 0); b1 = b_value[i]
			:: else -> assert(b2 == 0); b2 = b_value[i]
			fi;
			i++ }
		:: d_step { i < NB && !(b_linked[i] && b_gen[i] == g && IN_FORCE(i, v)) -> i++ }
		:: i == NB -> break
		od;
#ifndef NO_VERSION_RECHECK
		if
		:: d_step { version != v -> i = 0; b1 = 0; b2 = 0 }; goto again
		:: else
		fi;
#else
		true;
#endif
		d_step {
			assert(b1 == r && b2 == VALUE(2, r));
			assert(t_gen == g);                                     /* I2 */
			entered = 0; g = 0; v = 0; r = 0; k = 0; i = 0; b1 = 0; b2 = 0
		}
	od
}
#endif

active proctype killer()
{
end:	do
	:: d_step { kills && !killed -> killed = true; kills-- }
	od
}

init
{
	run writer()
}
