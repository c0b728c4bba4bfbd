/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * drain.c (F7) - suspends a tenant and waits until nothing is held of it, or reserved for it.
 *
 * 1. The mode is suspended: an acquire that looks at it from now on is refused.
 * 2. A grace period: an acquire that looked before has ended. It holds its lease, or none.
 * 3. From then on what is held only falls. Once it is 0, it stays 0 while the tenant is suspended.
 *
 * This is a call and not a loop in a tool, because only the library can wait for a grace period.
 * Releases and deaths of brokers wake nobody, so 3 looks again and again.
 *
 * Killed after 1: the tenant is suspended, and the next drain goes on.
 */
#include <inttypes.h>

#include "definitions.h"

#define LOOK_FIRST_NS UINT64_C(1000000)
#define LOOK_MOST_NS UINT64_C(20000000)

/* Begins a grace period. Nothing else changes, so there is nothing to undo. */
static int begin_grace(struct k2k_registry *reg, uint64_t *token)
{
	int code = k2k_change_begin(reg, K2K_OP_UPDATE, k2k_deadline(reg));

	if (code)
		return code;
	*token = k2k_grace_next(&reg->map);
	k2k_grace_publish(&reg->map, *token);
	k2k_change_end(reg, false);
	return 0;
}

static int wait_grace(struct k2k_registry *reg, uint64_t deadline)
{
	uint64_t token, pid;
	uint32_t behind;
	int code = begin_grace(reg, &token);

	if (code)
		return code;
	code = k2k_wait_passed(reg, token, deadline, &behind);
	if (code != K2K_EBUSY)
		return code;
	pid = k2k_load_relaxed(&reg->map.slots[behind].pid); /* relaxed: for diagnostics */
	return k2k_fail_pid(K2K_EBUSY, "brokers", pid,
	                    "broker %u, process %" PRIu64 ", does not answer a grace period: is it "
	                    "stopped?",
	                    behind, pid);
}

/* What the wait waits for has not come in time. */
static int timed_out(const struct k2k_tenant_info *info, const struct k2k_lease_info *holder)
{
	return k2k_fail_pid(K2K_EBUSY, "leases", holder->pid,
	                    "tenant %" PRIu64 " is suspended, but brokers still hold %" PRIu64
	                    " kernels and %" PRIu64 " bytes of it%s",
	                    info->id, info->kernels, info->gpu_memory_bytes,
	                    holder->reserved_ns ? ", and have reserved GPU time" : "");
}

static int wait_released(struct k2k_registry *reg, k2k_tenant_id id, uint64_t generation,
                         uint64_t deadline)
{
	uint64_t pause_ns = LOOK_FIRST_NS;

	for (;;) {
		struct k2k_tenant_info info = { .size = sizeof(info) };
		struct k2k_lease_info holder = { .size = sizeof(holder) };
		uint64_t now = k2k_clock_monotonic_ns();
		size_t holders;
		int code = k2k_tenant_get(reg, id, &info);

		if (!code)
			code = k2k_lease_list(reg, id, &holder, 1, &holders);
		if (code)
			return code;
		if (info.generation != generation)
			return K2K_ENOTENANT;
		if (!info.suspended)
			return k2k_fail(K2K_EBUSY, "tenant", NULL,
			                "another administrator has resumed tenant %" PRIu64
			                " meanwhile",
			                id);
		if (holders == 0)
			return 0;
		if (now >= deadline)
			return timed_out(&info, &holder);
		k2k_clock_sleep_ns(pause_ns < deadline - now ? pause_ns : deadline - now);
		if (pause_ns < LOOK_MOST_NS)
			pause_ns += pause_ns / 2;
	}
}

static int drain(struct k2k_registry *reg, k2k_tenant_id id, uint64_t deadline)
{
	struct k2k_tenant_info info = { .size = sizeof(info) };
	int code = k2k_tenant_suspend(reg, id);

	if (!code)
		code = k2k_tenant_get(reg, id, &info);
	if (!code)
		code = wait_grace(reg, deadline);
	return code ? code : wait_released(reg, id, info.generation, deadline);
}

int k2k_tenant_drain(struct k2k_registry *reg, k2k_tenant_id id, uint64_t timeout_ns)
{
	K2K_UNCANCELLED;
	uint64_t deadline = k2k_sat_add(k2k_clock_monotonic_ns(), timeout_ns);
	int code = reg ? k2k_change_check_id(id) : k2k_fail_argument("registry", "null");

	if (!code)
		code = k2k_hold(reg, K2K_GATE_ADMIN);
	if (code)
		return code;
	/* others could not resume it, nor change anything else, while this thread waits */
	code = k2k_change_in_batch(reg)
	               ? k2k_fail_argument("batch", "a drain waits too long for one")
	               : drain(reg, id, deadline);
	k2k_unhold(reg);
	return code;
}
