/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * logfile.h - the log as files: FILE, FILE.1, ... FILE.N, FILE.head, FILE.lock
 *
 * 1. A line is there whole, or not at all; half a line that a kill left is cut off at the next
 *    start.
 * 2. What was written is never written again, and what was not is not skipped: position() is what
 *    the lines say, before and after a kill.
 * 3. Lines that somebody took away (the file removed, or cut) are missed aloud: the numbers go on
 *    behind them, and the position goes back to the last line that is there.
 * 4. The head never is ahead of what is on the disk.
 *
 * What can't be written now is said, and stays with the caller; the next call tries again.
 */
#ifndef K2K_AUDITD_LOGFILE_H
#define K2K_AUDITD_LOGFILE_H

#include "common/audit_chain.h"
#include "common/audit_event.h"
#include "util.h"

struct log_options {
	const char *file, *registry;
	struct chain_key key;
	uint64_t max_size, max_age_ns; /* UINT64_MAX: no limit */
	uint64_t keep;                 /* rotated files */
	uint64_t interval_ns;          /* 0: each write goes to the disk before the next */
};

struct logfile;

/*
 * 0, or an exit status with `why` (2 another key, 4 no log of ours, 7 rights, 8 in use, 10 the
 * system).
 */
int logfile_open(struct logfile **log, const struct log_options *options, char *why, size_t room);
/* Writes what is due, and what is left; says where it can't. */
void logfile_close(struct logfile **log, const char *reason);

const struct position *logfile_position(const struct logfile *log);

enum { LOGFILE_REWOUND = 1 };
/*
 * Appends lines of which each is the members of an object, and a newline, and takes
 * from `bodies` what was written. 0; REWOUND: the position went back, drop the rest and read again
 * from there; -errno: nothing more can be written now.
 */
int logfile_write(struct logfile *log, struct text *bodies);
/*
 * Looks whether the file is still there, else goes on in a new one; brings to the disk what is due.
 * Answers as logfile_write.
 */
int logfile_tick(struct logfile *log);
/* How long until logfile_tick has something to do besides looking; UINT64_MAX: nothing. */
uint64_t logfile_due_ns(const struct logfile *log);

#endif
