/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "writer.h"

#include "clock.h"
#include "error.h"

#define POLL_FIRST_NS UINT64_C(50000)
#define POLL_MOST_NS UINT64_C(5000000)

const char *k2k_writer_operation_name(uint32_t operation)
{
	switch (operation) {
	case K2K_OP_NONE: return "none";
	case K2K_OP_REGISTER: return "register";
	case K2K_OP_UPDATE: return "update";
	case K2K_OP_DEREGISTER: return "deregister";
	case K2K_OP_BUDGET: return "budget";
	case K2K_OP_REPAIR: return "repair";
	case K2K_OP_DESTROY: return "destroy";
	case K2K_OP_CHECK: return "check";
	case K2K_OP_CORRECT: return "correct";
	default: return "unknown";
	}
}

int k2k_writer_open(struct k2k_writer *writer, const struct k2k_map *map,
                    struct k2k_liveness *admins, const struct k2k_identity *own)
{
	writer->map = map;
	writer->admins = admins;
	writer->own = own;
	writer->incarnation = 0;
	writer->turn = NULL;
	return k2k_life_begin(admins->object, &writer->life, &writer->incarnation);
}

void k2k_writer_close(struct k2k_writer *writer)
{
	if (!writer->incarnation)
		return;
	assert(!writer->turn);
	k2k_lock_drop(&writer->life);
	writer->incarnation = 0;
}

/* ---- the turn --------------------------------------------------------------------- */

/*
 * Returns the pid and the comm of the owner: from the signature, or, if the owner has not signed
 * yet, from /proc, which is slow.
 */
static uint64_t find_writer(const struct k2k_writer *writer, uint64_t owner, char comm[16])
{
	const struct k2k_shm_defs *defs = writer->map->defs;

	/* relaxed, all: only for messages; the owner may change meanwhile */
	if (k2k_load_relaxed(&defs->writer_signed) != (uint32_t)owner) {
		uint64_t holder = k2k_lock_find_holder(writer->admins->object, owner, true, comm);

		if (holder)
			return holder;
	}
	k2k_identity_comm(comm, k2k_load_relaxed(&defs->writer_comm[0]),
	                  k2k_load_relaxed(&defs->writer_comm[1]));
	return k2k_load_relaxed(&defs->writer_pid);
}

static int held_up(const struct k2k_writer *writer, uint64_t owner)
{
	uint32_t intent = k2k_load_relaxed(&writer->map->defs->intent); /* relaxed: for messages */
	char comm[16];
	uint64_t pid = find_writer(writer, owner, comm);

	if (intent == K2K_OP_NONE)
		return k2k_fail_pid(
			K2K_EBUSY, "writer", pid,
			"process %llu (%s) has the writer's lock: is it in a batch, or stopped?",
			(unsigned long long)pid, comm);
	return k2k_fail_pid(K2K_EBUSY, "writer", pid,
	                    "process %llu (%s) is writing: %s; is it stopped?",
	                    (unsigned long long)pid, comm, k2k_writer_operation_name(intent));
}

static void sign(const struct k2k_writer *writer)
{
	struct k2k_shm_defs *defs = writer->map->defs;

	/* relaxed, all: for messages */
	k2k_store_relaxed(&defs->writer_pid, writer->own->pid);
	k2k_store_relaxed(&defs->writer_comm[0], writer->own->comm[0]);
	k2k_store_relaxed(&defs->writer_comm[1], writer->own->comm[1]);
	k2k_store_relaxed(&defs->writer_pid_namespace, writer->own->pid_namespace);
	k2k_store_relaxed(&defs->writer_since_ns, k2k_clock_monotonic_ns());
	k2k_store_relaxed(&defs->writer_signed, (uint32_t)writer->incarnation);
}

/* True: this writer has the turn. Else *owner is the incarnation that has it. */
static bool take(const struct k2k_writer *writer, uint64_t *owner)
{
	k2k_u64 *word = &writer->map->defs->writer_owner;

	*owner = k2k_load_acquire(word); /* observe[writer-owner]: all that its last owner did */
	if (*owner != 0 && k2k_liveness_alive(writer->admins, *owner))
		return false;
	/*
	 * publish[writer-owner] and observe[writer-owner]: the changes of the last owner. If that
	 * one died, the fence in k2k_liveness_ask() orders its changes before ours.
	 */
	return k2k_cas_acq_rel(word, owner, writer->incarnation);
}

int k2k_writer_lock(struct k2k_writer *writer, uint64_t deadline_ns)
{
	uint64_t pause_ns = POLL_FIRST_NS, owner;

	while (!take(writer, &owner)) {
		if (k2k_clock_monotonic_ns() >= deadline_ns)
			return held_up(writer, owner);
		k2k_clock_sleep_ns(pause_ns);
		if (pause_ns < POLL_MOST_NS)
			pause_ns += pause_ns / 2;
	}
	writer->turn = &k2k_thread_self;
	sign(writer);
	return 0;
}

void k2k_writer_unlock(struct k2k_writer *writer)
{
	uint64_t own = writer->incarnation;

	k2k_assert_writer(writer);
	writer->turn = NULL;
	k2k_store_relaxed(&writer->map->defs->writer_since_ns, 0); /* relaxed: for messages */
	/*
	 * publish[writer-owner]: all that we did. It is a compare-exchange, so that we don't
	 * overwrite another value that damage has put there
	 */
	k2k_cas_acq_rel(&writer->map->defs->writer_owner, &own, 0);
}

bool k2k_writer_is_at_work(const struct k2k_map *map, struct k2k_liveness *admins)
{
	/* observe[writer-owner]: what the last writer stored, if its turn is over */
	uint64_t owner = k2k_load_acquire(&map->defs->writer_owner);

	return owner != 0 && k2k_liveness_alive(admins, owner);
}

/* ---- the intent --------------------------------------------------------------------- */

void k2k_writer_begin(const struct k2k_writer *writer, enum k2k_operation operation)
{
	k2k_assert_writer(writer);
	/*
	 * relaxed: the fence orders this store before the first change. Only the next writer reads
	 * the intent together with the changes, after it has acquired writer_owner or has seen that
	 * we are dead.
	 */
	k2k_store_relaxed(&writer->map->defs->intent, (uint32_t)operation);
	k2k_fence_release();
}

void k2k_writer_end(const struct k2k_writer *writer)
{
	k2k_assert_writer(writer);
	/*
	 * The fence orders all changes before this word. Only the next writer relies on it, after
	 * it has acquired writer_owner.
	 */
	k2k_fence_release();
	/* relaxed: ordered by the fence */
	k2k_store_relaxed(&writer->map->defs->intent, K2K_OP_NONE);
}

enum k2k_operation k2k_writer_intent(const struct k2k_map *map)
{
	/* relaxed: during a turn, or for messages */
	return (enum k2k_operation)k2k_load_relaxed(&map->defs->intent);
}
