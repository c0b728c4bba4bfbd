/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rejection.h (F5) - a rejection, in the form in which the application's sink and the trail get it.
 */
#ifndef K2K_REJECTION_H
#define K2K_REJECTION_H

#include "k2k/registry.h"

/* Rejections with the same code, tenants, tag and kernel names are repeats of each other. */
struct k2k_rejection {
	int32_t code; /* K2K_ERATE, ..., K2K_ENOTENANT; 0: a cross-tenant attempt */
	k2k_tenant_id tenant, to;
	struct k2k_audit_tag tag;
	uint64_t used, limit;             /* may differ between repeats */
	const char *source, *destination; /* kernel names, of a cross-tenant attempt */
};

#endif
