/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "visitor.h"

#include <string.h>

int k2k_visitor_enter(struct k2k_visitor *visitor, struct k2k_segment *defs, uint64_t deadline_ns)
{
	int code;

	memset(visitor, 0, sizeof(*visitor));
	visitor->map.defs = (struct k2k_shm_defs *)(void *)defs->base;
	visitor->admins.object = defs;
	k2k_identity_read(&visitor->own);
	code = k2k_writer_open(&visitor->writer, &visitor->map, &visitor->admins, &visitor->own);
	if (code)
		return code;
	code = k2k_writer_lock(&visitor->writer, deadline_ns);
	if (code)
		k2k_writer_close(&visitor->writer);
	return code;
}

void k2k_visitor_leave(struct k2k_visitor *visitor)
{
	k2k_writer_unlock(&visitor->writer);
	k2k_writer_close(&visitor->writer);
}
