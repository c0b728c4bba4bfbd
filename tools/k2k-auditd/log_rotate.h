/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * log_rotate.h - FILE, FILE.1, ... FILE.N: when the next begins, and which are kept
 *
 * The daemon rotates by itself: a log is bounded also where no logrotate(8) runs, and each file
 * says in its first line which older ones were kept, so that one that somebody removed is missed.
 */
#ifndef K2K_AUDITD_LOG_ROTATE_H
#define K2K_AUDITD_LOG_ROTATE_H

#include "log_lines.h"

void log_rotated_name(const struct logfile *log, uint64_t number, char name[PATH_MAX]);
/* The file is too large with `more` bytes, or too old. */
bool log_rotation_is_due(const struct logfile *log, size_t more);
/* If it fails, the file grows on, and rotation is tried again a minute later. */
void log_rotate(struct logfile *log);
/* Creates FILE and writes its first line. 0 or -errno. */
int log_new_file(struct logfile *log);

#endif
