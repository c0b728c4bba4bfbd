/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DKILLS=1" "-DEXISTS -DCREATORS=1 -DKILLS=2" "-DEXISTS -DCREATORS=1 -DDESTROYERS=2 -DKILLS=0" */
/* FULL: "-DKILLS=4" "-DEXISTS -DKILLS=1" "-DEXISTS -DCREATORS=1 -DDESTROYERS=2 -DKILLS=4" "-DEXISTS -DDESTROYERS=2 -DKILLS=1" */
/* MUTATIONS: NO_CREATOR_BYTE BYTE_LATE NO_SECOND_LOOK DEFS_FIRST LIVE_OUT_FIRST NO_IDENTITY:3 NO_LAST_LOOK:2 NO_POISON_SWEEP:2 NO_SWEEP */
/*
 * Names: create against create, destroy, attach and the sweepers.
 *
 * What is modelled
 *
 * A registry is an object with two names: `defs`, the same for all registries of this name, and a
 * `live` of its own, whose name contains the UUID. An object has a poison word, a writer's word and
 * a creator's byte; a process that dies releases what it held.
 *
 * k2k_registry_create():  check_free(), k2k_sweep(); build unnamed; lock the creator's byte; link
 *                         live; link defs, or else unlink live; drop the byte
 * k2k_registry_destroy(): open defs; k2k_visitor_enter(); k2k_segment_check_identity(); poison;
 *                         unlink defs; unlink live; k2k_visitor_leave(); k2k_sweep()
 * k2k_registry_open():    open defs; if it is poisoned: k2k_sweep_poisoned(); open live, and if it
 *                         is gone check whether defs is still the same; last, compare both names
 *                         again; start again if they are not the same
 * sweep_one():            a live that defs does not refer to: lock its creator's byte; look at defs
 *                         again; unlink
 * k2k_sweep_ours():       of a poisoned registry: take the writer's word; compare the name; unlink
 *                         defs, then live
 * There are one or two creators (CREATORS), one or two destroyers (DESTROYERS), and one process
 * that attaches as ADMIN, each once. EXISTS: there is a registry at the start. Any of them may be
 * killed at any step (KILLS in a run), and may stop at any step for ever.
 * k2k_visitor_enter() opens the name again, compares inodes and locks the byte of an incarnation of
 * its own; then it takes the writer's word by a compare-exchange: two steps.
 *
 * Invariants (each is an assert)
 *
 * There is at most one registry under the name, and it is complete: while defs is named, its live
 * is. So no creator that returned "created" finds its live gone while its defs is named. And only a
 * poisoned defs is removed, by a process that has its writer's word.
 * No attacher ends up with half a pair: live is never missing under a defs that is still named
 * (K2K_ECORRUPT), and at some instant since it opened live both were named.
 * I6  Killed after any step: all others go on at once, and once all are dead one more create and
 *     destroy leave nothing.
 * I7  Stopped: others return "exists" or "busy" and wait for nobody. Every end but "ended" is an
 *     invalid end state.
 *
 * Abstractions
 *
 * System calls on names and locked bytes are atomic, and all processes see them at once: the
 * kernel's locks order them, so there are no store buffers here. The poison word is loaded relaxed:
 * an old value is like an earlier arrival, and the names are compared afterwards. The writer's word
 * is tried once; waiting for it is like arriving later. A dead owner's word counts as 0: one of the
 * processes that find it takes it (writer.pml).
 * A broker attaches as an ADMIN does, but does not sweep: it starts again, or returns that there is
 * no registry.
 * Looking at a live in the sweep, and opening it, matter only if it is there. They are one step
 * with the look at defs and with the lock: no other object ever gets its name.
 *
 * Mutations: what goes wrong
 *
 * NO_CREATOR_BYTE   a sweeper removes the live of a creator that has not linked defs yet: defs is
 *                   named without its live
 * BYTE_LATE         the byte is locked after live was linked: the same
 * NO_SECOND_LOOK    the sweeper does not look at defs again once it has the byte: the creator had
 *                   finished meanwhile
 * DEFS_FIRST        defs is linked before live
 * LIVE_OUT_FIRST    destroy unlinks live before defs
 * NO_IDENTITY       the name is not compared after the writer's word is taken: a second destroyer
 *                   removes the next registry's defs
 * NO_LAST_LOOK      an attach succeeds although the registry was destroyed before
 * NO_POISON_SWEEP   nobody finishes what a killed destroyer began: create returns "exists" for ever
 * NO_SWEEP          a killed creator's live stays
 */
#ifndef KILLS
#define KILLS 2
#endif
#ifndef CREATORS
#define CREATORS 2
#endif
#ifndef DESTROYERS
#define DESTROYERS 1
#endif
#define TRIES 2                 /* of the attacher */

/*
 * Processes 1 and 2 create objects 1 and 2; object 4 is there at the start; process 5 creates
 * object 3 last.
 */
#define OBJECTS 4
#define ATTACHER 4
#define LAST 5
#define DESTROYER2 6
#define PROCESSES 6

/* ---- the file system ---- */
byte defs;                      /* the object that has the name; 0: none */
bool live[OBJECTS + 1];
byte creator_byte[OBJECTS + 1];                                 /* the process that holds it */
/* ---- in the object ---- */
byte writer_word[OBJECTS + 1];                                  /* the process that has it */
bool poisoned[OBJECTS + 1];

bool ended[PROCESSES + 1];
byte kills = KILLS;

inline unlink_live(o)
{
	d_step { assert(defs != o); live[o] = false }
}

/* k2k_sweep_unlink(), with the writer's word taken */
inline unlink_both(o)
{
#ifdef LIVE_OUT_FIRST
	unlink_live(o);
	d_step { assert(defs == o && poisoned[o]); defs = 0 }
#else
	d_step { assert(defs == o && poisoned[o]); defs = 0 };
	unlink_live(o)
#endif
}

/* k2k_visitor_enter(), then k2k_segment_check_identity(): ok */
inline lock_writer(o)
{
	ok = false;
	if
	:: defs == o ->
		if
		:: d_step { writer_word[o] == 0 -> writer_word[o] = me; ok = true };
#ifndef NO_IDENTITY
			if
			:: defs == o
			:: else -> d_step { writer_word[o] = 0; ok = false }
			fi
#endif
		:: writer_word[o] != 0
		fi
	:: else
	fi
}

/* k2k_sweep_ours() of a poisoned registry: ok */
inline sweep_poisoned(o)
{
#ifdef NO_POISON_SWEEP
	ok = false;
#else
	lock_writer(o);
	if
	:: ok -> unlink_both(o); writer_word[o] = 0
	:: else
	fi
#endif
}

inline sweep_one(o)
{
	if
	:: live[o] && defs != o ->
		if
		:: d_step { live[o] && creator_byte[o] == 0 -> creator_byte[o] = me };
#ifdef NO_SECOND_LOOK
			unlink_live(o);
#else
			if
			:: defs != o -> unlink_live(o)
			:: else
			fi;
#endif
			creator_byte[o] = 0
		:: else
		fi
	:: else
	fi
}

inline sweep()
{
#ifdef NO_SWEEP
	true
#else
	sweep_one(1); sweep_one(2);
#ifdef EXISTS
	sweep_one(4);
#endif
	if :: me == LAST -> sweep_one(3) :: else fi
#endif
}

/* check_free(): ok */
inline check_free()
{
	o = defs;
	if
	:: o == 0 -> ok = true
	:: else ->
		if
		:: poisoned[o] -> sweep_poisoned(o)
		:: else -> ok = false
		fi
	fi
}

inline name_objects(own)
{
#ifdef DEFS_FIRST
	creator_byte[own] = me;
	if
	:: d_step { defs == 0 -> defs = own };
		assert(defs != own || live[own]);
		live[own] = true
	:: else
	fi;
#else
#if !defined(NO_CREATOR_BYTE) && !defined(BYTE_LATE)
	creator_byte[own] = me;
#endif
	live[own] = true;
#ifdef BYTE_LATE
	if
	:: d_step { creator_byte[own] == 0 -> creator_byte[own] = me }
	:: else
	fi;
#endif
	if
	:: d_step { defs == 0 -> assert(live[own]); defs = own }
	:: else -> unlink_live(own)
	fi;
#endif
	d_step { creator_byte[own] = (creator_byte[own] == me -> 0 : creator_byte[own]) }
}

inline create(own)
{
	check_free();
	if
	:: ok -> sweep(); name_objects(own)
	:: else                 /* K2K_EEXIST */
	fi;
	d_step { o = 0; ok = false }
}

inline destroy()
{
	o = defs;
	if
	:: o ->
		lock_writer(o);
		if
		:: ok ->
			poisoned[o] = true;
			unlink_both(o);
			writer_word[o] = 0;
			sweep()
		:: else         /* K2K_EBUSY, or K2K_ENOREGISTRY */
		fi
	:: else -> sweep()
	fi;
	d_step { o = 0; ok = false }
}

proctype creator(byte me)
{
	byte o;
	bool ok;

	{
		create(me);
		ended[me] = true
	} unless {
		ended[me]
	}
}

proctype destroyer(byte me)
{
	byte o;
	bool ok;

	{
		destroy();
		ended[me] = true
	} unless {
		ended[me]
	}
}

proctype attacher(byte me)
{
	byte o, tries;
	bool ok, whole;

	{
		do
		:: tries < TRIES ->
			d_step { tries++; o = defs };
			if
			:: o == 0 -> sweep(); break                     /* K2K_ENOREGISTRY */
			:: o && poisoned[o] ->
				sweep_poisoned(o);
				if
				:: ok -> sweep(); break                 /* K2K_ENOREGISTRY */
				:: else                                 /* again */
				fi
			:: o && !poisoned[o] ->
				if
				:: d_step { live[o] -> whole = (defs == o) };
#ifndef NO_LAST_LOOK
					if
					:: d_step { defs == o -> whole = whole || live[o] };
						if
						:: live[o] -> assert(whole); sweep(); break     /* attached */
						:: else
						fi
					:: else
					fi
#else
					assert(whole); sweep(); break
#endif
				:: !live[o] ->
					assert(defs != o)               /* else K2K_ECORRUPT */
				fi
			fi;
			d_step { o = 0; ok = false; whole = false }
		:: else -> break                                        /* K2K_EBUSY */
		od;
		ended[me] = true
	} unless {
		ended[me]
	}
}

/* When all are dead or have ended: one more create and destroy. */
proctype last(byte me)
{
	byte o;
	bool ok;

	ended[1] && ended[2] && ended[3] && ended[ATTACHER] && ended[DESTROYER2];
	create(3);
	/* created, or "exists" for a complete registry */
	assert(defs && live[defs] && !poisoned[defs]);
	destroy();
	assert(defs == 0 && !live[1] && !live[2] && !live[3] && !live[4])
}

/* Its bytes are free, and others find its words taken by a dead owner, which counts as free. */
inline kill()
{
	kills--; ended[p] = true; i = 1;
	do
	:: i <= OBJECTS && writer_word[i] == p -> writer_word[i] = 0
	:: i <= OBJECTS && creator_byte[i] == p -> creator_byte[i] = 0
	:: i <= OBJECTS && writer_word[i] != p && creator_byte[i] != p -> i++
	:: else -> break
	od;
	i = 0; p = 0
}

active proctype killer()
{
	byte p, i;

end:	do
	:: d_step { kills && !ended[1] -> p = 1; kill() }
	:: d_step { kills && !ended[2] -> p = 2; kill() }
	:: d_step { kills && !ended[3] -> p = 3; kill() }
	:: d_step { kills && !ended[ATTACHER] -> p = ATTACHER; kill() }
#if DESTROYERS == 2
	:: d_step { kills && !ended[DESTROYER2] -> p = DESTROYER2; kill() }
#endif
	od
}

init
{
	atomic {
#ifdef EXISTS
		defs = 4; live[4] = true;
#endif
		run creator(1); run destroyer(3); run attacher(ATTACHER); run last(LAST);
#if CREATORS == 2
		run creator(2);
#else
		ended[2] = true;
#endif
#if DESTROYERS == 2
		run destroyer(DESTROYER2)
#else
		ended[DESTROYER2] = true
#endif
	}
}
