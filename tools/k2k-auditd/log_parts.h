/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log_parts.h - what the three files of the log share: logfile.c (writing), log_rotate.c (files),
 * log_start.c (the beginning)
 */
#ifndef K2K_AUDITD_LOG_PARTS_H
#define K2K_AUDITD_LOG_PARTS_H

#include "logfile.h"

#include <limits.h>
#include <sys/types.h>

enum { LINE_FRAME = CHAIN_TAIL + 70 }; /* what a line has around its body, at most */

struct logfile {
	struct log_options options;
	char head_file[PATH_MAX];
	int fd, lock_fd; /* fd: -1 while there is no file to write to */
	const char *why; /* there will be a new one, said in its first line */
	bool elsewhere;  /* the file before it is not ours to count any more */
	dev_t device;
	ino_t inode;

	uint64_t seq;                 /* of the newest line */
	uint8_t mac[CHAIN_MAC_BYTES]; /* its */
	struct position at, file_at;  /* file_at: when this file began */
	uint64_t file_seq;            /* of this file's first line */
	uint64_t age_ns, aged_at_ns;  /* how old the file was, and when, by the steady clock */
	uint64_t size, lines;

	struct text problems; /* lines of our own that wait for the next write */
	bool dirty;
	uint64_t due_ns;    /* of the disk, where dirty */
	uint64_t rotate_ns; /* not before: renaming failed */
	int head_error;     /* said already */
};

/* ---- logfile.c */

json_object *log_line_of(const char *kind);
/* On standard error at once, and in the log with the next line. */
void log_problem(struct logfile *log, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* One line of the chain behind `out`; mac: of the line before, then of this one. */
void log_compose(struct text *out, const struct chain_key *key, uint64_t seq,
                 uint8_t mac[CHAIN_MAC_BYTES], const char *body, size_t size);
/* Writes all of `out`, or nothing, and empties it. 0 or -errno. */
int log_flush(struct logfile *log, struct text *out);

/* ---- log_rotate.c */

void log_rotated_name(const struct logfile *log, uint64_t number, char name[PATH_MAX]);
bool log_rotation_is_due(const struct logfile *log, size_t more);
/* Where it can't, the file grows on. */
void log_rotate(struct logfile *log);
/* There will be a new one: why. */
void log_close_file(struct logfile *log, const char *why);
/* With its first line. 0 or -errno. */
int log_new_file(struct logfile *log);

#endif
