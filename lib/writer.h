/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * writer.h (F3) - the one writer of `defs`: its lock, its name, its intent.
 *
 * Who holds the writer's byte says in `defs` who it is and what it does, so that
 * those it holds up can name it. The intent is raised before the first change
 * and cleared after the last: a writer that finds it raised has taken over from
 * a killed one, and recovers first (recover.c). The order of the two words does
 * not matter to anybody but the holder of the lock, and the kernel orders holders.
 */
#ifndef K2K_WRITER_H
#define K2K_WRITER_H

#include "broker.h"
#include "lock.h"
#include "map.h"

/* 0; K2K_EBUSY naming who holds it up; K2K_EPERM; K2K_EFENCED. own: what to sign with. deadline: CLOCK_MONOTONIC ns. */
int k2k_writer_lock(const struct k2k_map *map, struct k2k_segment *defs, const struct k2k_identity *own, uint64_t deadline_ns,
                    struct k2k_lock *lock);
void k2k_writer_unlock(const struct k2k_map *map, struct k2k_lock *lock);

void k2k_writer_begin(const struct k2k_map *map, enum k2k_operation operation);
void k2k_writer_end(const struct k2k_map *map);
enum k2k_operation k2k_writer_intent(const struct k2k_map *map);
const char *k2k_writer_operation_name(uint32_t operation);

#endif
