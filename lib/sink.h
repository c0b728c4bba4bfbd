/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sink.h (F6) - events for the application's own sink. Nothing here is shared.
 *
 * 1. The sink runs in the calling thread, outside of read sections and with no
 *    lock of ours held: it may fork, block, or call the registry.
 * 2. Replacing it returns when no thread runs the old one any more.
 * 3. A repeat of a rejection within a second is counted, and comes out as one
 *    event with the number: by the next that takes its place, by a thread of the handle
 *    within two seconds, by close, or by a change of the sink. The sum of all
 *    counts is exact.
 * 4. Counting never waits: a thread that finds an entry busy for long lets its
 *    own event out uncounted.
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
	/*
	 * the flusher: a thread of its own, so that a sink that blocks holds up nobody's grace
	 * period
	 */
	pthread_t flusher;
	bool flushing;
	bool stop;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	char actor[64];
	struct k2k_audit_entry *entries; /* allocated with the first sink */
};

int k2k_audit_init(struct k2k_audit *audit, const char *actor, const struct k2k_clock *clock);
void k2k_audit_fini(struct k2k_audit *audit);

/* Inside a sink of this thread? Then close and set_audit_sink would wait for themselves. */
bool k2k_audit_is_inside(void);

/* One at a time: the caller's mutex. */
int k2k_audit_set(struct k2k_audit *audit, k2k_audit_sink function, void *context);

static inline bool k2k_audit_has_sink(const struct k2k_audit *audit)
{
	/* relaxed: whether, for people */
	return k2k_load_relaxed(&audit->sink) != NULL;
}

struct k2k_sink *k2k_audit_enter_slow(struct k2k_audit *audit);
/*
 * Inside a read section: the sink for events of this call, kept until k2k_audit_leave,
 * or null where there is none. The replacer, and close, wait for it.
 */
static inline struct k2k_sink *k2k_audit_enter(struct k2k_audit *audit)
{
	/* relaxed: asks whether; the slow half looks again */
	return k2k_load_relaxed(&audit->sink) ? k2k_audit_enter_slow(audit) : NULL;
}
/* Null is allowed. */
void k2k_audit_leave(struct k2k_sink *sink);

/* These two not inside a read section, and with no lock held. */
void k2k_audit_reject(struct k2k_audit *audit, struct k2k_sink *sink,
                      const struct k2k_rejection *rejection, uint64_t second);
/* A change of a definition: fields are tenant, generation, then what changed. */
void k2k_audit_change(struct k2k_audit *audit, struct k2k_sink *sink, const char *description,
                      const struct k2k_audit_field *fields, uint32_t count);

#endif
