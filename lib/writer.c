/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "writer.h"

#include <errno.h>
#include <signal.h>

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
	default: return "unknown";
	}
}

/* A killed writer leaves its signature. A pid of another namespace can't be asked for. */
static bool is_gone(const struct k2k_map *map, const struct k2k_identity *own, uint64_t pid)
{
	return k2k_load_relaxed(&map->defs->writer_pid_namespace) == own->pid_namespace && /* relaxed: for people */
	       kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/*
 * Who has the lock has signed, with a time; or has the descriptor still open that it took the lock on; or is giving it
 * back: then the time is gone and the name is still there. Descriptors are looked at where it may not have signed: that is slow.
 */
static uint64_t find_writer(const struct k2k_map *map, const struct k2k_segment *defs, const struct k2k_identity *own, char comm[16])
{
	/* relaxed, all: names for people; the holder may change while we ask */
	uint64_t pid = k2k_load_relaxed(&map->defs->writer_pid);

	if (!k2k_load_relaxed(&map->defs->writer_since_ns) || is_gone(map, own, pid)) {
		uint64_t holder = k2k_lock_find_holder(defs, K2K_LOCK_BYTE_WRITER, true, comm);

		if (holder)
			return holder;
	}
	k2k_identity_comm(comm, k2k_load_relaxed(&map->defs->writer_comm[0]), k2k_load_relaxed(&map->defs->writer_comm[1]));
	return pid;
}

static int held_up(const struct k2k_map *map, struct k2k_segment *defs, const struct k2k_identity *own)
{
	char comm[16];
	uint64_t pid;

	if (k2k_lock_is_held(defs, K2K_LOCK_BYTE_WRITER)) {
		uint32_t intent = k2k_load_relaxed(&map->defs->intent); /* relaxed: for people */

		pid = find_writer(map, defs, own, comm);
		if (pid && intent == K2K_OP_NONE)
			return k2k_fail_pid(K2K_EBUSY, "writer", pid,
			                    "process %llu (%s) has the writer's lock: is it in a batch, or stopped?",
			                    (unsigned long long)pid, comm);
		if (pid)
			return k2k_fail_pid(K2K_EBUSY, "writer", pid, "process %llu (%s) is writing: %s; is it stopped?",
			                    (unsigned long long)pid, comm,
			                    k2k_writer_operation_name(intent));
		return k2k_fail(K2K_EBUSY, "writer", NULL, "another process is writing");
	}
	pid = k2k_lock_find_holder(defs, K2K_LOCK_BYTE_WRITER, false, comm);
	if (pid)
		return k2k_fail_pid(K2K_EBUSY, "writer", pid,
		                    "process %llu (%s), a reader, keeps a lock on %s: it needs no read rights there",
		                    (unsigned long long)pid, comm, defs->path);
	return k2k_fail(K2K_EBUSY, "writer", NULL, "the writer's lock of %s was taken all the time", defs->path);
}

struct signature {
	const struct k2k_map *map;
	const struct k2k_identity *own;
};

static void sign(void *context)
{
	const struct signature *signature = context;
	struct k2k_shm_defs *defs = signature->map->defs;

	k2k_fence_seq_cst(); /* taking a lock of a file is no barrier by itself: what the last writer stored is seen */
	/* relaxed, all: for people */
	k2k_store_relaxed(&defs->writer_pid, signature->own->pid);
	k2k_store_relaxed(&defs->writer_comm[0], signature->own->comm[0]);
	k2k_store_relaxed(&defs->writer_comm[1], signature->own->comm[1]);
	k2k_store_relaxed(&defs->writer_pid_namespace, signature->own->pid_namespace);
	k2k_store_relaxed(&defs->writer_since_ns, k2k_clock_monotonic_ns());
}

int k2k_writer_lock(const struct k2k_map *map, struct k2k_segment *defs, const struct k2k_identity *own, uint64_t deadline_ns,
                    struct k2k_lock *lock)
{
	struct signature signature = { map, own };
	uint64_t pause_ns = POLL_FIRST_NS;
	int code;

	while ((code = k2k_lock_try_signed(defs, K2K_LOCK_BYTE_WRITER, lock, sign, &signature)) == K2K_EBUSY) {
		if (k2k_clock_monotonic_ns() >= deadline_ns)
			return held_up(map, defs, own);
		k2k_clock_sleep_ns(pause_ns);
		if (pause_ns < POLL_MOST_NS)
			pause_ns += pause_ns / 2;
	}
	return code;
}

void k2k_writer_unlock(const struct k2k_map *map, struct k2k_lock *lock)
{
	if (!lock->page)
		return;
	k2k_store_relaxed(&map->defs->writer_since_ns, 0); /* relaxed: for people */
	k2k_fence_seq_cst(); /* as in sign(): all stores, then the lock */
	k2k_lock_drop(lock);
}

void k2k_writer_begin(const struct k2k_map *map, enum k2k_operation operation)
{
	/*
	 * relaxed, then a fence: before the first change. The stores that follow are themselves releases or follow one; seen out of order by nobody
	 * but the next holder of the lock, for whom the kernel has ended them all.
	 */
	k2k_store_relaxed(&map->defs->intent, (uint32_t)operation);
	k2k_fence_release();
}

void k2k_writer_end(const struct k2k_map *map)
{
	k2k_fence_release(); /* all changes, then the word that says so; read under the lock, which the kernel orders */
	k2k_store_relaxed(&map->defs->intent, K2K_OP_NONE); /* relaxed: ordered by the fence */
}

enum k2k_operation k2k_writer_intent(const struct k2k_map *map)
{
	return (enum k2k_operation)k2k_load_relaxed(&map->defs->intent); /* relaxed: under the lock, or for people */
}
