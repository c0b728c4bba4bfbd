/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * logfile.h - the log as files: FILE, FILE.1, ... FILE.N, FILE.head, FILE.lock
 *
 * 1. A line is in the file whole or not at all. If a kill leaves half a line, the next start cuts
 *    it off.
 * 2. Each event is written once: the position in the rings is read off the lines themselves, so it
 *    is the same before and after a kill.
 * 3. Lines that another process took away (it removed or truncated the file) are reported. Line
 *    numbers continue after them, and the position goes back to the last line that is left.
 * 4. The head is never ahead of the lines on the disk.
 *
 * What can't be written now is reported and stays with the caller; the next call tries again.
 */
#ifndef K2K_AUDITD_LOGFILE_H
#define K2K_AUDITD_LOGFILE_H

#include "bodies.h"
#include "common/audit_chain.h"
#include "common/audit_event.h"

struct log_options {
	const char *file, *registry;
	struct chain_key key;
	uint64_t max_size, max_age_ns; /* UINT64_MAX: no limit */
	uint64_t keep;                 /* number of rotated files */
	uint64_t interval_ns;          /* from a write to its sync; 0: sync after each write */
};

struct logfile;

/*
 * Returns 0, or an exit status and the reason in `why`: 2 another key, 4 not an audit log,
 * 7 permission, 8 in use, 10 the system failed.
 */
int logfile_open(struct logfile **log, const struct log_options *options, char *why, size_t room);
/* Writes a last line with the reason, if there is one, and syncs. */
void logfile_close(struct logfile **log, const char *reason);

const struct position *logfile_position(const struct logfile *log);

enum { LOGFILE_REWOUND = 1 };
/*
 * Appends a line for each body that is left. Returns 0; LOGFILE_REWOUND: the position went back, so
 * drop the bodies and read again from there; -errno: nothing more can be written now.
 */
int logfile_write(struct logfile *log, struct bodies *bodies);
/*
 * Continues in a new file if FILE is gone, and syncs if that is due. Returns the same as
 * logfile_write().
 */
int logfile_tick(struct logfile *log);
/* Time until logfile_tick() has to sync; UINT64_MAX: nothing is to be synced. */
uint64_t logfile_due_ns(const struct logfile *log);

#endif
