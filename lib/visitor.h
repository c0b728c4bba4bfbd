/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * visitor.h (F3) - the writer's lock without a handle: for a process that creates, destroys or
 * sweeps a registry.
 */
#ifndef K2K_VISITOR_H
#define K2K_VISITOR_H

#include "writer.h"

struct k2k_visitor {
	struct k2k_map map; /* only `defs` is set */
	struct k2k_liveness admins;
	struct k2k_identity own;
	struct k2k_writer writer;
};

/* On the agent. 0, to be ended with k2k_visitor_leave(); or the error of k2k_writer_lock(). */
int k2k_visitor_enter(struct k2k_visitor *visitor, struct k2k_segment *defs, uint64_t deadline_ns);
void k2k_visitor_leave(struct k2k_visitor *visitor);

#endif
