/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * writer.h (F3) - the one writer of `defs`: its turn, its signature, its intent.
 *
 * A process that changes definitions first takes the writer's word, as a broker takes a slot: by
 * one compare-exchange to its own incarnation, from 0 or from an incarnation that is dead. Each
 * administrator's handle is an incarnation; its byte of `defs` is locked for as long as the handle
 * is open.
 *
 * 1. At most one living incarnation is in the word: only its owner, or its owner's death, ends a
 *    turn.
 * 2. A killed writer blocks nobody: the next one finds it dead and takes the word from it. There is
 *    no second word that could disagree with the first, and nothing to clean up.
 * 3. A stopped writer is alive. It delays other changes until their deadlines, and their error
 *    names it.
 * 4. Turns are ordered by the word (acquire and release); after a death by the fence that follows
 *    the kernel's answer "dead" (broker.h).
 *
 * The intent is set before the first change and cleared after the last. A writer that finds it set
 * has taken over from a killed one, and recovers first (recover.h).
 *
 * Killed after step N of a turn:
 *   1 word              the next writer takes it
 *   2 signature         the same; the signature serves messages and decides nothing
 *   3 intent, changes   the same; the next writer recovers
 *   4 intent cleared    the next writer takes the word
 *   5 word 0            nothing is left
 */
#ifndef K2K_WRITER_H
#define K2K_WRITER_H

#include "broker.h"
#include "lock.h"
#include "map.h"
#include "thread.h"

/* An administrator's handle, as a writer. */
struct k2k_writer {
	const struct k2k_map *map;
	struct k2k_liveness *admins; /* of incarnations of defs */
	const struct k2k_identity *own;
	struct k2k_lock life;
	uint64_t incarnation; /* 0: not open */
	/*
	 * For assertions: the thread that has the turn, identified by the address of its
	 * k2k_thread_self; null if none has. It is private to the process, because damage may
	 * change writer_owner during the turn.
	 */
	const void *turn;
};

/* Aborts unless this thread has the turn: between k2k_writer_lock() and k2k_writer_unlock(). */
#define k2k_assert_writer(writer) assert((writer)->turn == &k2k_thread_self)

/* On the agent. Begins the incarnation; admins->object is defs, opened for writing. */
int k2k_writer_open(struct k2k_writer *writer, const struct k2k_map *map,
                    struct k2k_liveness *admins, const struct k2k_identity *own);
/* On the agent. Must not be called during a turn. */
void k2k_writer_close(struct k2k_writer *writer);

/*
 * Begins a turn. 0; or K2K_EBUSY, naming the process that has the turn. deadline_ns: of
 * CLOCK_MONOTONIC. Only one thread of a writer may call it at a time.
 */
int k2k_writer_lock(struct k2k_writer *writer, uint64_t deadline_ns);
void k2k_writer_unlock(struct k2k_writer *writer);
/* Does a living administrator have the turn? For handles of any role. */
bool k2k_writer_is_at_work(const struct k2k_map *map, struct k2k_liveness *admins);

/* Sets the intent: during a turn, before the first change. */
void k2k_writer_begin(const struct k2k_writer *writer, enum k2k_operation operation);
/* Clears it: in the same turn, after the last change. */
void k2k_writer_end(const struct k2k_writer *writer);
enum k2k_operation k2k_writer_intent(const struct k2k_map *map);
const char *k2k_writer_operation_name(uint32_t operation);

#endif
