/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sink.h (F6) - events for the application's own sink. All of it is private to the process.
 *
 * 1. The sink runs in the calling thread, outside of read sections, and without a lock of the
 *    library: it may fork, block, or call the registry.
 * 2. Replacing a sink returns when no thread runs the old one any more.
 * 3. Repeats of a rejection within a second are counted, and emitted as one event with their
 *    number: by the next rejection that takes over the entry, by a thread of the handle within two
 *    seconds, by close, or by the call that replaces the sink. The sum of all counts is exact.
 * 4. Counting never waits: a thread that finds an entry busy for long emits an event of its own.
 *
 * The trail (trail.h) counts repeats too, but its open events can't serve the sink: other processes
 * can write to their memory, so their sums are not reliable; they cut kernel names; and replacing
 * the sink does not end them. Besides, rejections by k2k_quota_check() are reported only to the
 * sink, and only brokers have a table of open events.
 */
#ifndef K2K_SINK_H
#define K2K_SINK_H

#include <pthread.h>

#include "base.h"
#include "clock.h"
#include "rejection.h"

#define K2K_AUDIT_ENTRIES 256
#define K2K_AUDIT_NAME_BYTES 96 /* longer kernel names are not coalesced */

struct k2k_sink;

struct k2k_audit_entry {
	k2k_u32 busy;
	bool taken;
	uint64_t second, pending, time_ns;
	struct k2k_rejection rejection;
	char source[K2K_AUDIT_NAME_BYTES], destination[K2K_AUDIT_NAME_BYTES];
};

struct k2k_audit {
	_Atomic(struct k2k_sink *) sink;
	const struct k2k_clock *clock;
	/* not the agent, because the sink may block, and the agent must not */
	pthread_t flusher;
	bool flushing;
	bool stop;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	char actor[64];
	struct k2k_audit_entry
		*entries; /* allocated with the first sink, freed by k2k_audit_fini() */
};

int k2k_audit_init(struct k2k_audit *audit, const char *actor, const struct k2k_clock *clock);
void k2k_audit_fini(struct k2k_audit *audit);

/* True while this thread runs a sink: close and set_audit_sink would then deadlock. */
bool k2k_audit_is_inside(void);

/* The caller holds the handle's sink_mutex. */
int k2k_audit_set(struct k2k_audit *audit, k2k_audit_sink function, void *context);

static inline bool k2k_audit_has_sink(const struct k2k_audit *audit)
{
	/* relaxed: only tells whether there is one, for diagnostics */
	return k2k_load_relaxed(&audit->sink) != NULL;
}

struct k2k_sink *k2k_audit_enter_slow(struct k2k_audit *audit);
/*
 * Call it inside a read section. Returns the sink for the events of this call, or null. The sink
 * stays valid until k2k_audit_leave(): close, and a call that replaces the sink, wait for that.
 */
static inline struct k2k_sink *k2k_audit_enter(struct k2k_audit *audit)
{
	/* relaxed: only tells whether there is one; the slow path loads it again */
	return k2k_load_relaxed(&audit->sink) ? k2k_audit_enter_slow(audit) : NULL;
}
/* `sink` may be null. */
void k2k_audit_leave(struct k2k_sink *sink);

/* These two call the sink: call them outside of read sections, and without a lock. */
void k2k_audit_reject(struct k2k_audit *audit, struct k2k_sink *sink,
                      const struct k2k_rejection *rejection, uint64_t second);
/* A change of a definition. Fields: tenant, generation, then what changed. */
void k2k_audit_change(struct k2k_audit *audit, struct k2k_sink *sink, const char *description,
                      const struct k2k_audit_field *fields, uint32_t count);

#endif
