/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stream.h - events to standard output, syslog or the journal
 *
 * These can't be read back, so the position in the rings is in a file of its own, which is replaced
 * after each write. After a kill between the two, the events of that write come twice; ring and
 * sequence identify them. There is no fsync: a crash of the machine ends the rings too.
 */
#ifndef K2K_AUDITD_STREAM_H
#define K2K_AUDITD_STREAM_H

#include "bodies.h"
#include "common/audit_event.h"

enum stream_kind { STREAM_STDOUT, STREAM_SYSLOG, STREAM_JOURNAL };

struct stream;

/* `state` null: no position is kept. Returns 0, or an exit status and the reason in `why`. */
int stream_open(struct stream **stream, enum stream_kind kind, const char *socket,
                const char *state, char *why, size_t room);
void stream_close(struct stream **stream);
const struct position *stream_position(const struct stream *stream);
/* Returns the same as logfile_write(), but never LOGFILE_REWOUND. */
int stream_write(struct stream *stream, struct bodies *bodies);
/* -EPIPE: the reader of standard output is gone. Else 0. */
int stream_tick(const struct stream *stream);

#endif
