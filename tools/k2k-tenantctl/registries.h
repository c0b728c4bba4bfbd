/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* registries.h - the names of the registries of this host, from the file names in /dev/shm */
#ifndef K2K_TENANTCTL_REGISTRIES_H
#define K2K_TENANTCTL_REGISTRIES_H

#include "ctl.h"

struct registry_name {
	char name[K2K_NAME_MAX + 1];
};
/*
 * Sorted; the caller frees it. Files whose names are not those of a registry are left out: anybody
 * may create files there.
 */
struct registry_name *registry_names(size_t *count);

#endif
