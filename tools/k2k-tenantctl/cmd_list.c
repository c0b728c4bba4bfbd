/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* list and show: all tenants, or those named */
#include "commands.h"
#include "interval.h"
#include "tenants.h"
#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int list_once(struct ctl *ctl, struct k2k_registry *reg)
{
	struct tenants tenants;
	int exit_code = tenants_load_all(ctl, reg, &tenants);

	if (!exit_code)
		tenants_print(ctl, &tenants, false);
	tenants_free(&tenants);
	return exit_code ? exit_code : ctl->failure_count ? EXIT_PARTLY : EXIT_DONE;
}

/* Lists again each second; on a terminal each list replaces the one before. */
static int watch(struct ctl *ctl, struct k2k_registry *reg)
{
	const uint64_t second = 1000000000;
	uint64_t next = clock_monotonic_ns();
	bool terminal = isatty(STDOUT_FILENO);
	int exit_code;

	for (;;) {
		uint64_t now = clock_monotonic_ns();

		next += ((now > next ? now - next : 0) / second + 1) * second;
		if (terminal)
			fputs("\033[H\033[2J", stdout);
		exit_code = list_once(ctl, reg);
		/* end if nobody reads the output any more */
		if (exit_code || fflush(stdout) || ferror(stdout))
			return exit_code;
		clock_sleep_until(next);
	}
}

int cmd_list(struct ctl *ctl)
{
	struct k2k_registry *reg;
	int exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);

	if (exit_code)
		return exit_code;
	exit_code = ctl->option[OPT_WATCH] ? watch(ctl, reg) : list_once(ctl, reg);
	k2k_registry_close(&reg);
	return exit_code;
}

int cmd_show(struct ctl *ctl)
{
	struct k2k_registry *reg;
	struct tenants tenants;
	k2k_tenant_id *ids;
	size_t count;
	int exit_code;

	if (!arg_ids(ctl, &ids, &count))
		return EXIT_USAGE;
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);
	if (!exit_code) {
		exit_code = tenants_load(ctl, reg, ids, count, false, &tenants);
		if (!exit_code)
			tenants_print(ctl, &tenants, true);
		if (!exit_code && count == 1 && tenants.damaged)
			exit_code = EXIT_REGISTRY;
		tenants_free(&tenants);
		k2k_registry_close(&reg);
	}
	free(ids);
	return exit_code ? exit_code : ctl->failure_count ? EXIT_PARTLY : EXIT_DONE;
}
