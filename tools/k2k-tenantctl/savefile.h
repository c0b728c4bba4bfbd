/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * savefile.h - writes a text into a file without harm to anything else
 *
 * What is at the end of the path's symbolic links decides how:
 *
 *   "-"                    written to standard output
 *   nothing                created, readable by its owner only; it appears complete
 *   a regular file         replaced by a complete new file with the same mode, owner and group
 *   a device, a FIFO, or   written in place; /dev/stdout, if it is a regular file, at its end
 *   a file of /proc
 *   a mount point, or a    written in place, after its space was allocated; a crash of the machine
 *   file that can't be     meanwhile leaves a mixture, which the checksum reveals
 *   replaced for lack of
 *   rights
 *   a directory, a socket  refused
 *
 * The new file has no name until it is complete and synced. If it replaces another, it has the name
 * ".NAME.k2k-save" between two system calls, with signals blocked. Only SIGKILL at that moment
 * leaves that name behind, and the next save removes it. On file systems without nameless files
 * (O_TMPFILE) the new file has that name from the beginning; signals that end the program remove
 * it.
 *
 * The caller must ignore SIGXFSZ, so that a limit on file sizes is an error like a full disk.
 */
#ifndef K2K_TENANTCTL_SAVEFILE_H
#define K2K_TENANTCTL_SAVEFILE_H

#include <stddef.h>

/* Returns 0, or an errno; then the previous content is unchanged unless *spoilt is set. */
int savefile_write(const char *path, const char *text, size_t length, int *spoilt);

#endif
