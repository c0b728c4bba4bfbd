/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * top_tenant.h - one tenant on top's screen: its limits, and a history of the intervals since it
 * was opened
 */
#ifndef K2K_TENANTCTL_TOP_TENANT_H
#define K2K_TENANTCTL_TOP_TENANT_H

#include "top_model.h"

#define TOP_HISTORY 240

struct top_tenant {
	uint64_t id, generation; /* generation 0: none is open */
	/* per second; the newest last */
	double admitted[TOP_HISTORY], rejected[TOP_HISTORY], gpu[TOP_HISTORY];
	size_t count;
};

void top_tenant_open(struct top_tenant *t, const struct top *top, size_t row);
/* Call after each top_refresh(). */
void top_tenant_refresh(struct top_tenant *t, const struct top *top);
/* Draws lines y to `last`. */
void top_tenant_draw(const struct top_tenant *t, const struct top *top, int y, int last);

#endif
