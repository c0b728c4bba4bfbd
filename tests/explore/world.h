/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * world.h - a small registry in plain memory, and what lib/ asks of the system, for programs.
 *
 * Both objects are laid out by lib/map.c, so all of lib/ works on them. Each thread of a program
 * may have a handle, and what lib/ knows of a thread. The system's answers come from the explorer:
 *
 *   locked bytes     an incarnation's is held while the process of its thread lives (a step)
 *   clocks           the registry's two are words, which world_set_second() and world_set_hour()
 *                    store; CLOCK_MONOTONIC is 1000 s, and moves only by what the thread sleeps or
 *                    yields
 *   sleep, yield     a step that waits until another thread has stored something
 *   futex            a wait lasts until the word has another value; a wake does nothing
 *   membarrier       a full fence of each thread of the process
 */
#ifndef K2K_EXPLORE_WORLD_H
#define K2K_EXPLORE_WORLD_H

#include "explore.h"
#include "handle.h"
#include "tenant.h"

struct world_sizes {
	/* leases: all in the table. 0: 1, events: 2, slots: 64 */
	uint32_t tenants, engagements, leases, budgets, events, slots, kernels;
};

extern struct k2k_map world_map;
/* By thread. */
extern struct k2k_registry world_handles[EXPLORE_THREADS];

#define WORLD_SECOND UINT64_C(1000)
#define WORLD_HOUR UINT64_C(1000)

/* First in a setup. No tenant, no broker. */
void world_begin(const struct world_sizes *sizes);
/* The thread is a broker in the slot of its number, ACTIVE. */
void world_broker(int thread);
/* The thread is an administrator, without the writer's turn. */
void world_admin(int thread);
/* A live tenant: its slot. */
uint32_t world_tenant(k2k_tenant_id id, const struct k2k_limits *limits);
/*
 * In a setup: the helper thread of a broker, which answers grace periods. The program's thread that
 * calls world_helper() runs it, and waits for tokens for ever.
 */
void world_start_helper(int broker);
void world_helper(void);
/* A step, outside of threads none: the registry's clock shows this second. */
void world_set_second(uint64_t second);
/* The same for the wall clock: hours since 1970. */
void world_set_hour(uint64_t hour);

/* The handle of the thread that runs. */
struct k2k_registry *world_self(void);
uint64_t world_incarnation(int thread);

#endif
