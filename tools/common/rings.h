/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rings.h - cursor and statistics of the audit trail with room for all rings that any registry can
 * have. Both point into themselves: copy a cursor with cursor_copy().
 */
#ifndef K2K_COMMON_RINGS_H
#define K2K_COMMON_RINGS_H

#include <stdint.h>

#include <k2k/registry.h>

enum { RINGS_MOST = K2K_AUDIT_RINGS + K2K_AUDIT_FURTHER_RINGS_MAX };

struct ring_cursor {
	struct k2k_audit_cursor cursor;
	struct k2k_audit_position further[K2K_AUDIT_FURTHER_RINGS_MAX];
};

struct ring_stats {
	struct k2k_audit_stats stats;
	uint64_t further[K2K_AUDIT_FURTHER_RINGS_MAX];
};

static inline void cursor_begin(struct ring_cursor *at)
{
	*at = (struct ring_cursor){ .cursor = K2K_AUDIT_CURSOR_INIT };
	at->cursor.further = at->further;
	at->cursor.further_count = K2K_AUDIT_FURTHER_RINGS_MAX;
}

static inline void cursor_copy(struct ring_cursor *to, const struct ring_cursor *from)
{
	*to = *from;
	to->cursor.further = to->further;
}

/* The number of the ring's next event. */
static inline uint64_t *cursor_next(struct ring_cursor *at, uint32_t ring)
{
	return ring < K2K_AUDIT_RINGS ? &at->cursor.next[ring]
	                              : &at->further[ring - K2K_AUDIT_RINGS].next;
}

static inline int ring_stats_read(struct k2k_registry *reg, struct ring_stats *all)
{
	*all = (struct ring_stats){ .stats = { .size = sizeof(all->stats) } };
	all->stats.further = all->further;
	all->stats.further_count = K2K_AUDIT_FURTHER_RINGS_MAX;
	return k2k_audit_stats(reg, &all->stats);
}

/* The number of the ring's newest event when the statistics were read. */
static inline uint64_t ring_newest(const struct ring_stats *all, uint32_t ring)
{
	return ring < K2K_AUDIT_RINGS ? all->stats.newest[ring]
	                              : all->further[ring - K2K_AUDIT_RINGS];
}

#endif
