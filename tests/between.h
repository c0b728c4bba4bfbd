/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * between.h - what the process_between* tests share: a registry, and the processes that act while a
 * call is interrupted
 */
#ifndef K2K_TESTS_BETWEEN_H
#define K2K_TESTS_BETWEEN_H

#include "interrupt.h"

#define SECOND UINT64_C(1000000000)

/* the handles of this process that act while the victim is stopped */
static struct k2k_registry *admin, *other HARNESS_USED;

/*
 * Starts a test with a clock that stands still and an administrator's handle in this process; if
 * `with_other`, a broker's handle too.
 */
HARNESS_USED static void begin_sized(uint64_t tenants, uint64_t engagements, bool with_other)
{
	struct k2k_create_options options = K2K_CREATE_OPTIONS_INIT;

	shared = shared_bytes(sizeof *shared);
	shared->clock_ns = 1000 * SECOND;
	name = fresh_registry();
	options.max_tenants = tenants;
	options.max_engagements = engagements;
	/*
	 * As many as a test retires: a writer that waits for a free one would wait for the
	 * interrupted broker.
	 */
	options.max_budgets = 4096;
	options.max_kernels = 16;
	options.max_leases = 64;
	options.max_audit_events = 4;
	assert_int_equal(k2k_registry_create(name, &options, &admin), 0);
	/* by the machine's clock, windows may be in the future */
	admin->clock.injected_ns = &shared->clock_ns;
	if (!with_other)
		return;
	other = open_as(name, K2K_ROLE_BROKER);
	other->clock.injected_ns = &shared->clock_ns;
}

/* Ends a test; the victim must be dead. */
HARNESS_USED static void end(void)
{
	if (other)
		assert_int_equal(k2k_registry_close(&other), 0);
	WAIT_UNTIL(brokers_alive(admin) == 0, PATIENCE_S);
	check_clean(admin);
	close_and_destroy(name, &admin);
}

/* Whether `defs` differs from the previous call. */
HARNESS_USED static bool defs_changed(void *context)
{
	static unsigned char *seen;
	bool changed;

	(void)context;
	if (!seen)
		seen = malloc(admin->defs.bytes);
	assert_non_null(seen);
	changed = memcmp(seen, admin->defs.base, admin->defs.bytes) != 0;
	if (changed)
		memcpy(seen, admin->defs.base, admin->defs.bytes);
	return changed;
}

HARNESS_USED static void interrupt(const struct scene *scene)
{
	interrupt_everywhere(admin, scene);
	end();
}

#endif
