/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONFIGS: "-DSLOTS=1" "-DSLOTS=2 -DOPS=2 -DKILLS=1" "-DSLOTS=1 -DKILLS=1 -DSTOPS=1 -DSPARE=true" */
/* MUTATIONS: NO_WRITER_FENCE NO_ATTACH_FENCE NO_TAKEOVER TOKEN_AFTER_UNLINK ACK_BEFORE_SYNC LOOK_BEFORE_PUBLISH HELPER_OUTLIVES_OWNER */
/*
 * Grace periods across processes: when may the record of a retired tenant be reused for another
 * one?
 *
 * What is modelled
 *
 * Writers, one at a time under the writer's lock, retire records and reuse them:
 *   retire:  stamp = token + 1; RETIRED; unlink; publish the token; fence
 *   reuse:   look at every slot; FREE; fill for another tenant, new generation; link
 *   look:    a slot is no obstacle if its owner word is 0, or its owner is dead, or its state is
 *            not ACTIVE, or its ack has reached the record's stamp. Each word is loaded in a step
 *            of its own, and every other process may run in between.
 * A writer may die after any store, in its recovery too. The next one finishes every unlink stamped
 * token + 1, publishes, fences, and frees a record that was filled but never linked.
 *
 * Brokers attach, read, and detach or stay:
 *   attach:  take a slot whose owner is 0 or dead; ATTACHING; ack = token; ACTIVE; fence; first
 *            read
 *   read:    enter a section; load a bucket's head; use the record; leave
 *   detach:  end and join the helper; owner word 0; drop the lock. The slot is free before the lock
 *            is, and another broker may take it
 *   helper:  load the token; wait until the sections that were open have ended; store it into ack
 * A broker may die, or stop for ever, at any step, with all of its threads. Another incarnation
 * takes its slot. Nobody clears a slot: a new owner finds the ack and the ACTIVE that the last one
 * left.
 *
 * In the code: k2k_tenant_retire(), k2k_grace_publish(), k2k_grace_passed(), k2k_reap(),
 * recover_all(); k2k_broker_attach(), k2k_helper_start(), acknowledge(), k2k_helper_stop(),
 * k2k_broker_detach(). An update changes in place only the set that is out of force, on which no
 * reader stands: see intent.pml. What it retires is treated like all records here.
 *
 * What is checked
 *
 * I1  An id is in the hash at most once, and only for a LIVE definition of that id and generation.
 *     Here: a record is linked only with the generation it holds, never twice, and is never filled
 *     while it is linked.
 * I2  No reader acts on a record of another tenant or generation: nothing is reused before its
 *     grace period. Here: the bytes of a record never change while a reader of a living process
 *     holds it.
 * I6  Killed after any store of any operation, the recovery's own stores included: all of this
 *     holds, with KILLS kills in a run.
 * I7  No deadlock: a registration that finds a FREE record asks about no broker. One that must
 *     reuse a record waits only for a slot that is in the way, and gives up only if its owner is
 *     stopped. Every other end but "done", "stopped" and "dead" is an invalid end state.
 * And: the token rises by one at a time, and ack <= token.
 *
 * Memory
 *
 * The writer and each attaching broker have a FIFO store buffer, as x86 has. Compare-exchanges
 * empty it; death frees a lock only after the buffer is empty. Words that only writers load have no
 * buffer: a writer sees its own stores, and the next one starts after they are out. The helper's
 * one store has none: a store that stays long in the buffer is the same as a late store.
 * aarch64 reorders more. What holds the order there, from C:
 *   - unlink, then token: the token is stored with release. The helper and attach load it with
 *     acquire. So whoever acks T has seen every unlink up to T.
 *   - a reader's last load, then ack: k2k_rcu_synchronize() and a release store. The writer loads
 *     ack with acquire before it fills. The same pair on the owner word: release in detach, acquire
 *     in look.
 *   - the state after the ack: release in attach, acquire in look.
 *   - filled, then linked: release, and acquire (or consume) in the reader's load of the head.
 *   - taking a slot: an acquire-release compare-exchange, so that what the last owner stored comes
 *     before what the new one stores.
 *   - both fences are seq_cst. A compare-exchange can't replace attach's on aarch64, and asking the
 *     kernel which incarnations are alive can't replace the writer's anywhere.
 *
 * What is left out
 *
 * Chains: every record has a bucket of its own. A retired record keeps its `next` until it is
 * filled, so a walk through it goes on. Readers don't check state or generation: the model holds
 * without that. k2k_rcu_synchronize() is assumed to be correct: see rcu.pml. Identity, futexes,
 * deadlines and the intent record are not here. Tokens don't wrap (64 bits).
 * Kept small without loss: brokers are alike, so they take slots in the order of their numbers, the
 * lowest available first; loading the token and the start of the wait for readers are one step.
 *
 * Mutations: what goes wrong
 *
 * NO_WRITER_FENCE        No fence between publish and look. The unlink is still in the buffer when
 *                        the writer finds a slot empty; a broker attaches and finds the record; the
 *                        record is filled under it.
 * NO_ATTACH_FENCE        No fence between ACTIVE and the first read. The broker reads while its
 *                        ACTIVE is in the buffer; the writer finds ATTACHING and does not wait for
 *                        it.
 * NO_TAKEOVER            A writer dies between RETIRED and unlink; the next one uses the number
 *                        token + 1 as if it were new. The record is filled while it is linked.
 * TOKEN_AFTER_UNLINK     A writer dies before the stamp: the record is RETIRED with the stamp of an
 *                        earlier life, which every broker has acked long ago.
 * ACK_BEFORE_SYNC        The helper acks while a reader that entered before is still inside.
 * LOOK_BEFORE_PUBLISH    The writer decides for whom to wait before it publishes and fences. A
 *                        broker that attaches in between is not among them, and still finds the
 *                        record.
 * HELPER_OUTLIVES_OWNER  Detach frees the slot before its helper has ended. The helper's last ack
 *                        lands in the slot of the next owner, of whose readers it knows nothing.
 *
 * Why nobody need wait for a slot that is owned but not ACTIVE: either look sees ACTIVE, or the two
 * fences make the broker's first read see the unlink. A stale ACTIVE, from an owner that died or
 * detached, only makes a writer wait until the new owner stores ATTACHING. A stale ack is no danger
 * either: it was stored before the new owner took the slot, so that owner sees every unlink up to
 * it.
 */

#ifndef BROKERS
#define BROKERS 2
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef SECTIONS
#define SECTIONS 1
#endif
#ifndef OPS
#define OPS 3
#endif
#ifndef KILLS
#define KILLS 2
#endif
#ifndef STOPS
#define STOPS 0
#endif
#ifndef SPARE
#define SPARE false		/* true: record 1 is FREE at the start, else LIVE */
#endif

#define RECORDS 2
#define WRITER BROKERS		/* the writer's index in fate[] */
#define NONE 255

mtype:record = { FREE, LIVE, RETIRED };
mtype:slot = { UNUSED, ATTACHING, ACTIVE };
mtype:fate = { RUNNING, KILLED, STOPPED };
mtype:helper = { ABSENT, ASLEEP, SYNCING };
mtype:store = { FILL, LINK, TOKEN, STATE, ACK };

/* Shared memory, as processes other than the storing one see it. */
byte token;
byte content[RECORDS];			/* the generation whose bytes the record holds */
byte head[RECORDS];			/* bucket: 0, or linked, with that generation */
byte owner[SLOTS];
mtype:slot state[SLOTS];
byte ack[SLOTS];

/* What the kernel knows, and what happens to processes. */
bool alive[BROKERS];
mtype:fate fate[BROKERS + 1];
byte kills = KILLS;
byte stops = STOPS;

/* Words that only writers load, and other words as the writer that stored them sees them. */
byte w_token;
byte w_stamp[RECORDS];
mtype:record w_state[RECORDS];
bool w_linked[RECORDS];
byte w_gen;
byte w_ops = OPS;
bool w_done;
#ifdef LOOK_BEFORE_PUBLISH
bool w_skip[SLOTS];
#endif

/* Private to a broker, shared by its threads. */
byte mine[BROKERS];
bool inside[BROKERS];
bool awaited[BROKERS];
byte hold[BROKERS];
mtype:helper helper[BROKERS];
byte seen[BROKERS];
bool quit[BROKERS];

chan w_buf = [4] of { mtype:store, byte, byte };
chan b_buf[BROKERS] = [3] of { mtype:store, byte };

#define FREE_SLOT(s) (owner[s] == NONE || !alive[owner[s]])
#define IN_THE_WAY(s, t) (!FREE_SLOT(s) && state[s] == ACTIVE && ack[s] < (t))

/* ---- around the writer: its store buffer, and what happens to it ---- */

proctype writer_cpu()
{
	mtype:store k;
	byte r, v, i;

end:	do
	:: d_step {
		w_buf ? k, r, v;
		if
		:: k == FILL ->
			assert(head[r] == 0);					/* I1 */
			do
			:: i < BROKERS -> assert(hold[i] != r); i++		/* I2 */
			:: else -> break
			od;
			content[r] = v
		:: k == LINK ->
			assert(v == 0 || (head[r] == 0 && content[r] == v));	/* I1 */
			head[r] = v
		:: k == TOKEN ->
			assert(v == token + 1);
			token = v
		fi;
		k = FILL; r = 0; v = 0; i = 0
	   }
	:: d_step { kills && !w_done && fate[WRITER] == RUNNING -> fate[WRITER] = KILLED; kills-- }
	:: d_step { stops && !w_done && fate[WRITER] == RUNNING -> fate[WRITER] = STOPPED; stops-- }
	od
}

/* ---- the writer ---- */

/* The next record, from r on, that a dead writer has left half done. */
inline find_half_done()
{
	do
	:: r == RECORDS -> break
#ifndef NO_TAKEOVER
	:: r < RECORDS && w_stamp[r] == w_token + 1 -> break
#endif
	:: r < RECORDS && w_state[r] == LIVE && !w_linked[r] && w_stamp[r] != w_token + 1 -> w_state[r] = FREE; r++
	:: else -> r++
	od;
	skip
}

inline unlink(r)
{
	d_step { nfull(w_buf) -> w_buf ! LINK, r, 0; w_linked[r] = false }
}

inline publish()
{
	d_step { nfull(w_buf) -> w_token++; w_buf ! TOKEN, 0, w_token }
}

inline take_over()
{
	d_step { r = 0; find_half_done() };
	do
	:: r < RECORDS ->
		d_step {
			nfull(w_buf) ->
			w_state[r] = RETIRED; w_buf ! LINK, r, 0; w_linked[r] = false;
			unpublished = true; r++; find_half_done()
		}
	:: else -> break
	od;
	if
	:: unpublished -> publish()
	:: else
	fi;
	d_step { empty(w_buf) -> unpublished = false; r = 0 }
}

/* One slot, word by word: another process may run between any two loads. */
inline look(s, t)
{
	o = owner[s];
	if
	:: o == NONE -> pass = true
	:: o != NONE && !alive[o] -> pass = true
	:: else ->
		if
		:: state[s] != ACTIVE -> pass = true
		:: else -> pass = (ack[s] >= t)
		fi
	fi
}

inline retire()
{
#ifdef TOKEN_AFTER_UNLINK
	w_state[r] = RETIRED;
	unlink(r);
	w_stamp[r] = w_token + 1;
#else
	w_stamp[r] = w_token + 1;
	w_state[r] = RETIRED;
	unlink(r);
#endif
#ifdef LOOK_BEFORE_PUBLISH
	s = 0;
	do
	:: s < SLOTS ->
		look(s, w_token + 1);
		d_step { w_skip[s] = pass; pass = false; o = 0; s++ }
	:: else -> break
	od;
	s = 0;
#endif
	publish();
#ifndef NO_WRITER_FENCE
	empty(w_buf)
#endif
}

/* Waits until record r may be reused; gives up if a stopped process is in the way. */
inline wait_reusable()
{
	do
	:: s < SLOTS && !gave_up ->
#ifdef LOOK_BEFORE_PUBLISH
		pass = w_skip[s] || ack[s] >= w_stamp[r];
#else
		look(s, w_stamp[r]);
#endif
		if
		:: d_step { pass -> pass = false; o = 0; s++ }
		:: d_step { !pass && !IN_THE_WAY(s, w_stamp[r]) -> o = 0 }
		:: d_step { !pass && IN_THE_WAY(s, w_stamp[r]) && fate[owner[s]] == STOPPED -> o = 0; gave_up = true }
		fi
	:: else -> break
	od;
	s = 0
}

inline reuse()
{
	d_step { nfull(w_buf) -> w_state[r] = FREE; w_gen++; w_buf ! FILL, r, w_gen };
	w_state[r] = LIVE;
	d_step { nfull(w_buf) -> w_buf ! LINK, r, w_gen; w_linked[r] = true }
}

/* Clears what no longer matters, to keep the number of states small. */
#define FORGET r = 0; s = 0; o = 0; pass = false; unpublished = false; gave_up = false

proctype writer()
{
	byte r, s, o;
	bool pass, unpublished, gave_up;

again:	{
		take_over();
		do
		:: d_step { w_ops && w_state[0] == LIVE -> w_ops--; r = 0 }; retire()
		:: d_step { w_ops && w_state[1] == LIVE -> w_ops--; r = 1 }; retire()
		:: d_step { w_ops && w_state[0] == FREE -> w_ops--; r = 0 }; reuse()
		:: d_step { w_ops && w_state[1] == FREE -> w_ops--; r = 1 }; reuse()
		:: d_step { w_ops && w_state[0] == RETIRED && w_state[1] != FREE -> w_ops--; r = 0 };
wait:			wait_reusable();
			if
			:: gave_up -> gave_up = false
			:: else -> reuse()
			fi
		:: d_step { w_ops && w_state[1] == RETIRED && w_state[0] != FREE -> w_ops--; r = 1 };
			goto wait
		:: d_step { !w_ops && empty(w_buf) -> w_done = true; r = 0 }; break
		od;
endbusy:	false
	} unless {
		if
		:: d_step { fate[WRITER] == KILLED && empty(w_buf) -> FORGET; fate[WRITER] = RUNNING };
			goto again
		:: d_step { fate[WRITER] == STOPPED -> FORGET }
		fi
	};
endstopped:
	false
}

/* ---- around a broker: its helper thread, its store buffer, and what happens to it ---- */

proctype broker_cpu(byte b)
{
	mtype:store k;
	byte v;

end:	do
	:: d_step {
		b_buf[b] ? k, v;
		if
		:: k == STATE && v == 1 -> state[mine[b]] = ATTACHING
		:: k == STATE && v == 2 -> state[mine[b]] = ACTIVE
		:: k == ACK ->
			assert(v <= token);
			ack[mine[b]] = v
		fi;
		k = FILL; v = 0
	   }
	:: d_step { helper[b] == ASLEEP && empty(b_buf[b]) && fate[b] == RUNNING && token != ack[mine[b]] ->
		seen[b] = token; awaited[b] = inside[b]; helper[b] = SYNCING }
#ifdef ACK_BEFORE_SYNC
	:: d_step { helper[b] == SYNCING && fate[b] == RUNNING ->
#else
	:: d_step { helper[b] == SYNCING && fate[b] == RUNNING && !awaited[b] ->
#endif
		assert(seen[b] <= token);
		ack[mine[b]] = seen[b]; seen[b] = 0; helper[b] = ASLEEP }
	:: d_step { helper[b] == ASLEEP && fate[b] == RUNNING && quit[b] -> quit[b] = false; helper[b] = ABSENT }
	:: d_step { kills && mine[b] != NONE && alive[b] && fate[b] == RUNNING -> fate[b] = KILLED; kills-- }
	:: d_step { stops && mine[b] != NONE && alive[b] && fate[b] == RUNNING -> fate[b] = STOPPED; stops-- }
	od
}

/* ---- a broker's main thread: attach, read, detach ---- */

#define TAKE(s) owner[s] = b; mine[b] = s; b_buf[b] ! STATE, 1

proctype broker(byte b)
{
	byte n, g;

	{
		n = SECTIONS;
endfull:	if
		:: d_step { (b == 0 || mine[b - 1] != NONE || !alive[b - 1]) && FREE_SLOT(0) -> TAKE(0) }
#if SLOTS > 1
		:: d_step { (b == 0 || mine[b - 1] != NONE || !alive[b - 1]) && !FREE_SLOT(0) && FREE_SLOT(1) -> TAKE(1) }
#endif
		fi;
		d_step { b_buf[b] ! ACK, token; b_buf[b] ! STATE, 2 };
#ifndef NO_ATTACH_FENCE
		empty(b_buf[b]);
#endif
		helper[b] = ASLEEP;
		do
		:: d_step { n -> n--; inside[b] = true };
			if
			:: d_step { head[0] -> hold[b] = 0; g = head[0] }
			:: d_step { head[1] -> hold[b] = 1; g = head[1] }
			:: else
			fi;
			d_step {
				assert(hold[b] == NONE || content[hold[b]] == g);	/* I2 */
				hold[b] = NONE; g = 0; inside[b] = false; awaited[b] = false
			}
		:: else -> break
		od;
		if
		:: quit[b] = true
		:: true ->
endidle:		false
		fi;
#ifndef HELPER_OUTLIVES_OWNER
		helper[b] == ABSENT;
#endif
		d_step { empty(b_buf[b]) -> owner[mine[b]] = NONE };
		d_step { helper[b] == ABSENT -> alive[b] = false; mine[b] = NONE };
enddetached:	false
	} unless {
		if
		:: d_step { fate[b] == KILLED && empty(b_buf[b]) ->
			alive[b] = false; helper[b] = ABSENT; mine[b] = NONE;
			hold[b] = NONE; inside[b] = false; awaited[b] = false; quit[b] = false; seen[b] = 0; n = 0; g = 0 }
		:: d_step { fate[b] == STOPPED -> n = 0; g = 0 }
		fi
	};
endgone:
	false
}

init
{
	byte i;

	d_step {
		do
		:: i < SLOTS -> owner[i] = NONE; state[i] = UNUSED; i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < BROKERS ->
			mine[i] = NONE; hold[i] = NONE; helper[i] = ABSENT;
			fate[i] = RUNNING; alive[i] = true; i++
		:: else -> break
		od;
		i = 0;
		fate[WRITER] = RUNNING;
		w_gen = 2;
		w_state[0] = LIVE; w_linked[0] = true; content[0] = 1; head[0] = 1;
		if
		:: SPARE -> w_state[1] = FREE
		:: else -> w_state[1] = LIVE; w_linked[1] = true; content[1] = 2; head[1] = 2
		fi
	};
	atomic {
		run writer_cpu(); run writer();
		do
		:: i < BROKERS -> run broker_cpu(i); run broker(i); i++
		:: else -> break
		od
	}
}
