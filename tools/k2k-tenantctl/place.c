/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* place.c - which registry, and whose: the global options of k2k-tenantctl */
#include "ctl.h"
#include "accounts.h"

#include <stdlib.h>

bool settle_place(struct ctl *ctl)
{
	const char *name = ctl->option[OPT_REGISTRY], *owner = ctl->option[OPT_OWNER];
	const char *from = name ? "--registry" : "K2K_REGISTRY";

	if (!name)
		name = getenv("K2K_REGISTRY");
	ctl->registry = name && (*name || ctl->option[OPT_REGISTRY]) ? name : "default";
	if (!good_registry_name(ctl->registry)) {
		fail_usage(
			ctl,
			"%s '%.100s': not a registry's name; 1 to %d characters of A-Z a-z 0-9 _ -",
			from, ctl->registry, K2K_NAME_MAX);
		return false;
	}
	if (owner && !user_parse(owner, &ctl->owner_uid)) {
		fail_usage(ctl, "--owner '%.100s': no such user; give a name or a number", owner);
		return false;
	}
	ctl->has_owner = owner != NULL;
	return true;
}
