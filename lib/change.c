/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "change.h"

#include "names.h"
#include "reap.h"
#include "recover.h"
#include "sweep.h"

#define HANDLE_POLL_NS UINT64_C(50000)
#define AUDIT_POLL_NS UINT64_C(1000000)
#define PASSED_POLL_FIRST_NS UINT64_C(20000)
#define PASSED_POLL_MOST_NS UINT64_C(2000000)
#define CLOSING UINT64_C(1) /* the value of batch_thread after which no batch can begin */

/*
 * A thread is identified by the address of one of its thread-local variables. The thread in a
 * forked child has the same address, so check the gate first.
 */
static uint64_t own_thread(void)
{
	return (uint64_t)(uintptr_t)&k2k_thread_self;
}

bool k2k_change_in_batch(const struct k2k_registry *reg)
{
	/* relaxed: a thread that finds its own address has stored it itself; others only wait */
	return k2k_load_relaxed(&reg->batch_thread) == own_thread();
}

static int check_name(struct k2k_registry *reg)
{
	int code;

	/* relaxed: under the writer's lock, which the destroyer held */
	if (k2k_load_relaxed(&reg->map.defs->poisoned) == K2K_POISONED)
		k2k_sweep_poisoned_locked(reg->name, &reg->defs);
	code = k2k_segment_check_identity(&reg->defs);
	if (code)
		k2k_handle_fence(reg);
	return code;
}

/*
 * Polls, because it must end at the deadline: another thread of this handle may hold the mutex
 * while it waits for a stopped writer.
 */
static int lock_handle(struct k2k_registry *reg, uint64_t deadline_ns)
{
	while (pthread_mutex_trylock(&reg->mutex) != 0) {
		if (k2k_clock_monotonic_ns() >= deadline_ns)
			/* relaxed: for diagnostics */
			return k2k_fail_pid(K2K_EBUSY, "handle",
			                    k2k_load_relaxed(&reg->map.defs->writer_pid),
			                    "other threads of this process wait for the writer's "
			                    "lock, or have it for a batch");
		k2k_clock_sleep_ns(HANDLE_POLL_NS);
	}
	return 0;
}

/* Takes the handle's mutex, then the writer's lock, and then checks the name. */
static int take(struct k2k_registry *reg, uint64_t deadline_ns)
{
	int code = lock_handle(reg, deadline_ns);

	if (code)
		return code;
	code = k2k_gate(reg, K2K_GATE_ADMIN); /* the handle may have been closed meanwhile */
	if (!code)
		code = k2k_writer_lock(&reg->writer, deadline_ns);
	if (!code) {
		code = check_name(reg);
		if (code)
			k2k_writer_unlock(&reg->writer);
	}
	if (code)
		pthread_mutex_unlock(&reg->mutex);
	return code;
}

static void give_back(struct k2k_registry *reg)
{
	k2k_writer_unlock(&reg->writer);
	k2k_trail_wake(&reg->trail);
	pthread_mutex_unlock(&reg->mutex);
}

static bool needs_audit(const struct k2k_registry *reg, enum k2k_operation operation)
{
	return reg->defs.header.incompatible & K2K_FEATURE_REQUIRE_AUDIT &&
	       operation != K2K_OP_REPAIR && operation != K2K_OP_DESTROY;
}

/*
 * Waits until a follower has saved enough that half of the ring is free: a change may append
 * several events. Under the writer's lock, so that no other writer fills the ring meanwhile.
 */
static int wait_for_audit(struct k2k_registry *reg, uint64_t deadline_ns)
{
	uint64_t events = (reg->map.sizes.events + 1) / 2;

	while (!k2k_trail_is_kept(&reg->trail, events)) {
		if (k2k_clock_monotonic_ns() >= deadline_ns)
			return k2k_fail(K2K_ENOAUDIT, "audit", "follower",
			                "registry %s requires audit, and no follower of its trail "
			                "keeps up: is k2k-auditd running, and can it write?",
			                reg->name);
		k2k_trail_wake(&reg->trail);
		k2k_clock_sleep_ns(AUDIT_POLL_NS);
	}
	return 0;
}

/* Under the writer's lock: recovers what a killed writer left, and sets the intent. */
static int set_intent(struct k2k_registry *reg, enum k2k_operation operation, uint64_t deadline_ns)
{
	int code = 0;

	if (operation == K2K_OP_CHECK)
		return 0;
	if (needs_audit(reg, operation))
		code = wait_for_audit(reg, deadline_ns);
	if (!code && k2k_writer_intent(&reg->map) != K2K_OP_NONE)
		code = k2k_recover(reg, NULL);
	if (!code)
		k2k_writer_begin(&reg->writer, operation);
	return code;
}

int k2k_change_begin(struct k2k_registry *reg, enum k2k_operation operation, uint64_t deadline_ns)
{
	int code = k2k_hold(reg, K2K_GATE_ADMIN);

	if (code)
		return code;
	if (!k2k_change_in_batch(reg))
		code = take(reg, deadline_ns);
	if (!code) {
		code = set_intent(reg, operation, deadline_ns);
		if (code && !k2k_change_in_batch(reg))
			give_back(reg);
	}
	if (!code)
		return 0;
	if (code == K2K_EFENCED)
		k2k_handle_fence(reg);
	k2k_unhold(reg);
	return code;
}

void k2k_change_leave(struct k2k_registry *reg)
{
	if (!k2k_change_in_batch(reg))
		give_back(reg);
	k2k_unhold(reg);
}

void k2k_change_end(struct k2k_registry *reg, bool undo)
{
	k2k_assert_writer(&reg->writer);
	if (undo) {
		/* recovers as after a kill; if that fails too, the next writer finds the intent */
		struct k2k_error_detail detail = *k2k_error_detail();

		if (k2k_recover(reg, NULL) == 0)
			k2k_restore_detail(&detail);
	} else {
		k2k_writer_end(&reg->writer);
	}
	k2k_change_leave(reg);
}

/* ---- waiting for readers -------------------------------------------------------------- */

int k2k_wait_passed(struct k2k_registry *reg, uint64_t token, uint64_t deadline_ns,
                    uint32_t *behind)
{
	uint64_t pause_ns = PASSED_POLL_FIRST_NS;
	int code;

	while ((code = k2k_gate(reg, K2K_GATE_ANY)) == 0 &&
	       k2k_grace_passed(&reg->grace, behind) < token) {
		if (k2k_clock_monotonic_ns() >= deadline_ns)
			return K2K_EBUSY;
		k2k_clock_sleep_ns(pause_ns);
		if (pause_ns < PASSED_POLL_MOST_NS)
			pause_ns += pause_ns / 2;
	}
	return code;
}

int k2k_held_up(struct k2k_registry *reg, uint32_t behind, const char *what)
{
	uint64_t pid;
	char comm[16];
	const struct k2k_shm_slot *slot;

	if (behind == K2K_SLOT_NONE)
		return k2k_fail(K2K_EBUSY, what, NULL, "all free %s wait for a grace period", what);
	slot = &reg->map.slots[behind];
	/* relaxed, all: for diagnostics */
	pid = k2k_load_relaxed(&slot->pid);
	k2k_identity_comm(comm, k2k_load_relaxed(&slot->comm[0]), k2k_load_relaxed(&slot->comm[1]));
	return k2k_fail_pid(K2K_EBUSY, what, pid,
	                    "all free %s wait for broker %u, process %llu (%s), to answer a grace "
	                    "period: is it stopped?",
	                    what, behind, (unsigned long long)pid, comm);
}

/* ---- batches ------------------------------------------------------------------- */

int k2k_batch_begin(struct k2k_registry *reg)
{
	K2K_UNCANCELLED;
	uint64_t nobody = 0;
	bool begun;
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	/* relaxed: k2k_change_begin() looks again */
	begun = k2k_load_relaxed(reg->gate) == K2K_GATE_ADMIN && k2k_change_in_batch(reg);
	if (begun)
		return k2k_fail_argument("batch",
		                         "this thread has begun one on this handle already");
	code = k2k_change_begin(reg, K2K_OP_CHECK, k2k_deadline(reg));
	if (code)
		return code;
	/* relaxed: as in k2k_change_in_batch(). The exchange fails if a close came first */
	if (!k2k_cas_relaxed(&reg->batch_thread, &nobody, own_thread())) {
		code = k2k_gate_error(K2K_GATE_CLOSED);
		k2k_change_leave(reg);
		return code;
	}
	k2k_unhold(reg);
	return 0;
}

/*
 * Reaps what the batch retired. Reaping takes a sweep of the ledger, so a batch does it once. The
 * next change reaps the tenants whose grace period has not passed yet.
 */
static void reap_batch(struct k2k_registry *reg)
{
	/* relaxed: under the writer's lock */
	if (k2k_load_relaxed(&reg->map.defs->tenant_retired.count) == 0 ||
	    k2k_change_begin(reg, K2K_OP_DEREGISTER, k2k_deadline(reg)) != 0)
		return;
	k2k_change_end(reg, k2k_reap(reg, NULL) != 0);
}

static void end_batch(struct k2k_registry *reg, uint64_t next)
{
	k2k_assert_writer(&reg->writer);
	k2k_names_forget(reg);
	k2k_writer_unlock(&reg->writer);
	k2k_trail_wake(&reg->trail);
	/*
	 * publish[batch]: all accesses of the batch; from here on a close may unmap the registry,
	 * but the mutex stays, because handles are never freed
	 */
	k2k_store_release(&reg->batch_thread, next);
	pthread_mutex_unlock(&reg->mutex);
}

int k2k_batch_end(struct k2k_registry *reg)
{
	K2K_UNCANCELLED;
	int code;

	if (!reg)
		return k2k_fail_argument("registry", "null");
	/*
	 * a batch can be ended even after the handle was fenced; relaxed: nothing that is read
	 * below depends on it
	 */
	if (k2k_load_relaxed(reg->gate) != K2K_GATE_FORKED && k2k_change_in_batch(reg)) {
		reap_batch(reg);
		end_batch(reg, 0);
		return 0;
	}
	code = k2k_gate(reg, K2K_GATE_ADMIN);
	return code ? code
	            : k2k_fail_argument("batch", "this thread has begun none on this handle");
}

int k2k_batch_close(struct k2k_registry *reg)
{
	uint64_t deadline_ns = k2k_deadline(reg);

	for (;;) {
		uint64_t thread = 0;

		/* observe[batch]: a batch that has ended accesses nothing any more */
		if (k2k_cas_acq_rel(&reg->batch_thread, &thread, CLOSING) || thread == CLOSING)
			return 0;
		if (thread == own_thread()) {
			end_batch(reg, CLOSING);
			return 0;
		}
		if (k2k_clock_monotonic_ns() >= deadline_ns)
			return k2k_fail_pid(
				K2K_EBUSY, "handle", reg->own.pid,
				"another thread of this process has not ended its batch");
		k2k_clock_sleep_ns(HANDLE_POLL_NS);
	}
}
