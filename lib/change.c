/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * change.c (F7) - the frame of every change of definitions.
 */
#include "handle.h"

#define HANDLE_POLL_NS UINT64_C(50000)

static int check_name(struct k2k_registry *reg)
{
	int code = 0;

	if (k2k_load_relaxed(&reg->map.defs->poisoned) == K2K_POISONED) /* relaxed: under the writer's lock, which the destroyer held */
		k2k_sweep_poisoned_locked(reg->name, &reg->defs);
	code = k2k_segment_check_identity(&reg->defs);
	if (code)
		k2k_handle_fence(reg);
	return code;
}

/* Other threads of this handle may be waiting for a stopped writer: not longer than the deadline, either. */
static int lock_handle(struct k2k_registry *reg, uint64_t deadline_ns)
{
	while (pthread_mutex_trylock(&reg->mutex) != 0) {
		if (k2k_clock_monotonic_ns() >= deadline_ns)
			return k2k_fail_pid(K2K_EBUSY, "handle", k2k_load_relaxed(&reg->map.defs->writer_pid), /* relaxed: for people */
			                    "other threads of this process wait for the writer's lock");
		k2k_clock_sleep_ns(HANDLE_POLL_NS);
	}
	return 0;
}

int k2k_change_begin(struct k2k_registry *reg, enum k2k_operation operation, uint64_t deadline_ns, struct k2k_lock *lock)
{
	int code;

	code = k2k_hold(reg, K2K_GATE_ADMIN);
	if (code)
		return code;
	code = lock_handle(reg, deadline_ns);
	if (code) {
		k2k_unhold(reg);
		return code;
	}
	code = k2k_gate(reg, K2K_GATE_ADMIN); /* closed while we waited */
	if (!code)
		code = k2k_writer_lock(&reg->map, &reg->defs, &reg->own, deadline_ns, lock);
	if (code)
		goto failed;
	code = check_name(reg);
	if (!code && operation != K2K_OP_CHECK) {
		if (k2k_writer_intent(&reg->map) != K2K_OP_NONE)
			code = k2k_recover(reg, NULL);
		if (!code)
			k2k_writer_begin(&reg->map, operation);
	}
	if (!code)
		return 0;
	k2k_writer_unlock(&reg->map, lock);
failed:
	if (code == K2K_EFENCED)
		k2k_handle_fence(reg);
	pthread_mutex_unlock(&reg->mutex);
	k2k_unhold(reg);
	return code;
}

void k2k_change_leave(struct k2k_registry *reg, struct k2k_lock *lock)
{
	k2k_writer_unlock(&reg->map, lock);
	pthread_mutex_unlock(&reg->mutex);
	k2k_unhold(reg);
}

void k2k_change_end(struct k2k_registry *reg, struct k2k_lock *lock, bool undo)
{
	if (undo) {
		/* like a killed one's; where even that fails the intent stays raised, and the next writer tries */
		struct k2k_error_detail detail = *k2k_error_detail();

		if (k2k_recover(reg, NULL) == 0)
			k2k_restore_detail(&detail);
	} else {
		k2k_writer_end(&reg->map);
	}
	k2k_change_leave(reg, lock);
}
