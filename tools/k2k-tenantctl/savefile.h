/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * savefile.h - a text into a file, so that nothing else is harmed
 *
 * What is at the end of the path's symbolic links, decides:
 *
 *   "-"                                 written to standard output
 *   nothing                             made, readable for its owner only; it appears whole
 *   a regular file                      replaced by a whole new one, which keeps its mode, owner
 *   and group a device, a FIFO, a file of /proc   written into (/dev/stdout of a regular file: at
 *   its end) a file mounted by itself, or one    written into, after its room was taken: it is
 *   whole again when that is done; whose owner or folder forbids       a crash of the machine
 *   meanwhile leaves a mixture, which the checksum shows another in its place a directory, a socket
 *   refused
 *
 * The new file has no name until it is complete and synced. Where it replaces another, it then has
 * the name ".NAME.k2k-save" for the moment between two system calls, with signals held back. Only
 * SIGKILL in that moment leaves it, and the next save takes it away. On file systems that know no
 * nameless files (O_TMPFILE) it has this name from the beginning; signals that end the program
 * remove it.
 *
 * SIGXFSZ has to be ignored, so that a limit on file sizes is an error like a full disk.
 */
#ifndef K2K_TENANTCTL_SAVEFILE_H
#define K2K_TENANTCTL_SAVEFILE_H

#include <stddef.h>

/* Returns 0, or an errno: then what was there before is as it was, unless *spoilt is set. */
int savefile_write(const char *path, const char *text, size_t length, int *spoilt);

#endif
