/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handle.h"

#include <errno.h>

int k2k_gate_error(uint32_t gate)
{
	if (gate == K2K_GATE_FORKED)
		return k2k_fail(K2K_EFORKED, "handle", NULL,
		                "this handle was opened before fork(): open one in the child");
	if (gate & K2K_GATE_FENCED)
		return k2k_fail(K2K_EFENCED, "handle", NULL,
		                "the registry was destroyed, removed or replaced: close and open");
	if (gate & K2K_GATE_CLOSED)
		return k2k_fail_argument("registry", "this handle is closed");
	return k2k_fail(K2K_EROLE, "handle", "role", "a handle of role %s can't do this",
	                gate & K2K_GATE_ADMIN    ? "ADMIN"
	                : gate & K2K_GATE_BROKER ? "BROKER"
	                                         : "OBSERVER");
}

int k2k_no_thread(void)
{
	return k2k_fail_errno(K2K_ENOMEM, errno, "thread",
	                      "can't keep what is known of a thread that is new here");
}

void k2k_handle_fence(struct k2k_registry *reg)
{
	uint32_t open = reg->role;

	/* publish[gate]: nothing; only from open to fenced, never over a close or a fork */
	k2k_cas_acq_rel(reg->gate, &open, K2K_GATE_FENCED);
}

/*
 * Somebody may have removed or replaced the name: each process must notice, or two groups would use
 * two registries.
 */
int k2k_handle_watch(struct k2k_registry *reg)
{
	uint64_t second = k2k_clock_monotonic_ns() / K2K_NS_PER_SEC;

	/* relaxed: two threads may both look */
	if (k2k_likely(k2k_load_relaxed(&reg->watched_second) == second))
		return 0;
	K2K_UNCANCELLED;
	k2k_store_relaxed(&reg->watched_second, second);
	if (k2k_segment_check_identity(&reg->defs) == 0 &&
	    k2k_segment_check_identity(&reg->live) == 0)
		return 0;
	k2k_handle_fence(reg);
	return k2k_gate_error(K2K_GATE_FENCED);
}

uint64_t k2k_deadline(const struct k2k_registry *reg)
{
	return k2k_sat_add(k2k_clock_monotonic_ns(), reg->timeout_ns);
}

#define POLL_FIRST_NS UINT64_C(20000)
#define POLL_MOST_NS UINT64_C(2000000)

int k2k_wait_passed(struct k2k_registry *reg, uint64_t token, uint64_t deadline_ns,
                    uint32_t *behind)
{
	uint64_t pause_ns = POLL_FIRST_NS;
	int code;

	while ((code = k2k_gate(reg, K2K_GATE_ANY)) == 0 &&
	       k2k_grace_passed(&reg->grace, behind) < token) {
		if (k2k_clock_monotonic_ns() >= deadline_ns)
			return K2K_EBUSY;
		k2k_clock_sleep_ns(pause_ns);
		if (pause_ns < POLL_MOST_NS)
			pause_ns += pause_ns / 2;
	}
	return code;
}

int k2k_held_up(struct k2k_registry *reg, uint32_t behind, const char *what)
{
	uint64_t pid;
	char comm[16];
	const struct k2k_shm_slot *slot;

	if (behind >= K2K_SLOTS)
		return k2k_fail(K2K_EBUSY, what, NULL, "all free %s wait for a grace period", what);
	slot = &reg->map.slots[behind];
	/* relaxed: for people */
	pid = k2k_load_relaxed(&slot->pid);
	k2k_identity_comm(comm, k2k_load_relaxed(&slot->comm[0]), k2k_load_relaxed(&slot->comm[1]));
	return k2k_fail_pid(K2K_EBUSY, what, pid,
	                    "all free %s wait for broker %u, process %llu (%s), to answer a grace "
	                    "period: is it stopped?",
	                    what, behind, (unsigned long long)pid, comm);
}
