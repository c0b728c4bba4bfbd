/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log_lines.h - the log's state, and lines of the chain into its file
 *
 * For the files that keep the log: log_lines.c (lines), log_rotate.c (FILE, FILE.1, ...), logfile.c
 * (writing) and log_start.c (where it goes on).
 */
#ifndef K2K_AUDITD_LOG_LINES_H
#define K2K_AUDITD_LOG_LINES_H

#include "logfile.h"

#include <limits.h>
#include <sys/types.h>

enum { LINE_FRAME = CHAIN_TAIL + 70 }; /* bytes that a line has around its body, at most */

struct logfile {
	struct log_options options;
	char head_file[PATH_MAX];
	int fd, lock_fd; /* fd: -1 if a new file is needed */
	const char *why; /* why it is needed, for its first line */
	bool moved;      /* FILE was moved away: the files beside it may not be ours */
	dev_t device;
	ino_t inode;

	uint64_t seq;                 /* number of the newest line */
	uint8_t mac[CHAIN_MAC_BYTES]; /* mac of the newest line */
	struct position at;           /* in the rings, behind the newest line */
	struct position file_at;      /* in the rings, when this file began */
	uint64_t file_seq;            /* number of this file's first line */
	uint64_t age_ns, aged_at_ns;  /* this file's age, and the monotonic time when it was that */
	uint64_t size, lines;         /* of this file */

	struct bodies problems; /* lines about the log itself, for the next write */
	bool dirty;             /* lines or the head are not on the disk yet */
	uint64_t due_ns;        /* if dirty: when to bring them there */
	uint64_t rotate_ns;     /* no rotation before: the last one failed */
	int head_error;         /* errno that was reported for the head; 0: none */
};

/* A line about the log itself. */
json_object *log_line_new(const char *kind);
/* Reports it at once, and puts it into the log with the next write. */
void log_problem(struct logfile *log, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/*
 * Writes one line of the chain to `out`. mac: of the line before, then of this one. Returns the
 * line's size.
 */
size_t log_compose(FILE *out, const struct chain_key *key, uint64_t seq,
                   uint8_t mac[CHAIN_MAC_BYTES], const char *body, size_t size);
/* Appends whole lines to the file: all of them, or none. 0 or -errno. */
int log_append(struct logfile *log, const char *lines, size_t size);
/* A new file is needed. */
void log_close_file(struct logfile *log, const char *why);

#endif
