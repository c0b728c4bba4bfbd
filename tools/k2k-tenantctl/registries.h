/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* registries.h - the names of the registries of this host, as the files in /dev/shm have them */
#ifndef K2K_TENANTCTL_REGISTRIES_H
#define K2K_TENANTCTL_REGISTRIES_H

#include "ctl.h"

struct registry_name {
	char name[K2K_NAME_MAX + 1];
};
/* Sorted. What has no registry's name is left out: anybody may leave a file there. To be freed. */
struct registry_name *registry_names(size_t *count);

#endif
