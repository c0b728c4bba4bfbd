/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rejection.h (F5) - what was refused, for those who tell of it: the application's sink and the
 * trail.
 */
#ifndef K2K_REJECTION_H
#define K2K_REJECTION_H

#include "k2k/registry.h"

/* One kind of rejection of one tenant and tag. */
struct k2k_rejection {
	/* K2K_ERATE, ..., K2K_ENOTENANT; 0: a cross-tenant attempt */
	int32_t code;
	k2k_tenant_id tenant, to;
	struct k2k_audit_tag tag;
	uint64_t used, limit;             /* not part of what makes it a repeat */
	const char *source, *destination; /* of a cross-tenant attempt */
};

#endif
