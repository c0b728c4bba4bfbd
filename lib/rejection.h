/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rejection.h (F5) - a rejection, in the form in which the application's sink and the trail get it.
 */
#ifndef K2K_REJECTION_H
#define K2K_REJECTION_H

#include <stdbool.h>

#include "k2k/registry.h"

/* Rejections that differ only in their numbers are repeats of each other. */
struct k2k_rejection {
	int32_t code; /* K2K_ERATE, ..., K2K_ENOTENANT; 0: a cross-tenant attempt */
	bool shadow;  /* of a limit in shadow: the request has passed */
	k2k_tenant_id tenant, to;
	struct k2k_audit_tag tag;
	uint64_t used, limit;             /* may differ between repeats */
	const char *source, *destination; /* kernel names, of a cross-tenant attempt */
};

/* Is an event of this kind a rejection, or a cross-tenant attempt? */
static inline bool k2k_kind_is_rejection(uint32_t kind)
{
	return kind <= K2K_AUDIT_KIND_UNKNOWN_TENANT || kind == K2K_AUDIT_KIND_SUSPENDED;
}

#endif
