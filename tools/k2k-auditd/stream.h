/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * stream.h - events to where nothing can be looked up later: standard output, syslog, the journal
 *
 * Where it stands is kept in a file of its own, made anew as a whole after each
 * write. Killed between the two, the events of that one write come again:
 * ring and sequence tell. No fsync: after a crash of the machine the rings are gone too.
 */
#ifndef K2K_AUDITD_STREAM_H
#define K2K_AUDITD_STREAM_H

#include "common/audit_event.h"
#include "util.h"

enum stream_kind { STREAM_STDOUT, STREAM_SYSLOG, STREAM_JOURNAL };

struct stream;

/* `state` null: nothing is kept. 0, or an exit status with `why`. */
int stream_open(struct stream **stream, enum stream_kind kind, const char *socket,
                const char *state, char *why, size_t room);
void stream_close(struct stream **stream);
const struct position *stream_position(const struct stream *stream);
/* As logfile_write, but never REWOUND. */
int stream_write(struct stream *stream, struct text *bodies);
/* -EPIPE: the reader of standard output has gone. Else 0. */
int stream_tick(const struct stream *stream);

#endif
