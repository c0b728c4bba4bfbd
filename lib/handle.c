/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handle.h"

#include <errno.h>

int k2k_gate_error(uint32_t gate)
{
	if (gate == K2K_GATE_FORKED)
		return k2k_fail(
			K2K_EFORKED, "handle", NULL,
			"this handle was opened before fork(): open another one in the child");
	if (gate & K2K_GATE_FENCED)
		return k2k_fail(K2K_EFENCED, "handle", NULL,
		                "the registry was destroyed, removed or replaced: close the handle "
		                "and open it again");
	if (gate & K2K_GATE_CLOSED)
		return k2k_fail_argument("registry", "this handle is closed");
	return k2k_fail(K2K_EROLE, "handle", "role", "a handle of role %s can't make this call",
	                gate & K2K_GATE_ADMIN    ? "ADMIN"
	                : gate & K2K_GATE_BROKER ? "BROKER"
	                                         : "OBSERVER");
}

int k2k_no_thread(void)
{
	return k2k_fail_errno(
		K2K_ENOMEM, errno, "thread",
		"no memory for the record of a thread that calls the library for the first time");
}

void k2k_handle_fence(struct k2k_registry *reg)
{
	uint32_t open = reg->role;

	/* publish[gate]: nothing. Only an open gate becomes fenced, never a closed or forked one */
	k2k_cas_acq_rel(reg->gate, &open, K2K_GATE_FENCED);
}

int k2k_handle_destroyed(struct k2k_registry *reg)
{
	k2k_handle_fence(reg);
	return k2k_gate_error(K2K_GATE_FENCED);
}

/*
 * If the name was removed or replaced, each process must notice it: otherwise two groups of
 * processes would use two registries.
 */
int k2k_handle_watch(struct k2k_registry *reg)
{
	uint64_t second = k2k_clock_monotonic_ns() / K2K_NS_PER_SEC;

	/* relaxed, both: it does no harm if two threads look */
	if (k2k_likely(k2k_load_relaxed(&reg->watched_second) == second))
		return 0;
	K2K_UNCANCELLED;
	k2k_store_relaxed(&reg->watched_second, second);
	if (k2k_segment_check_identity(&reg->defs) == 0 &&
	    k2k_segment_check_identity(&reg->live) == 0)
		return 0;
	return k2k_handle_destroyed(reg);
}

uint64_t k2k_deadline(const struct k2k_registry *reg)
{
	return k2k_sat_add(k2k_clock_monotonic_ns(), reg->timeout_ns);
}
