/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service.h - the protocols between a program and the service manager that starts it
 *
 * They are those of sd_notify(3) (a datagram) and sd_listen_fds(3) (three variables), without
 * libsystemd.
 */
#ifndef K2K_COMMON_SERVICE_H
#define K2K_COMMON_SERVICE_H

/*
 * Call it first in main(). If a standard descriptor is closed, the next file that is opened gets
 * its number, and messages would be written into that file. This opens /dev/null in its place:
 * standard input so that reading fails, standard output so that writing fails, standard error so
 * that messages are dropped. Ends the program with 10 if /dev/null can't be opened.
 */
void hold_standard_files(void);

/*
 * Call it before the first write. A reader that has gone and a file at its limit of size
 * (ulimit -f) are then errors of the write, EPIPE and EFBIG, and no signal ends the program.
 */
void ignore_signals_of_writes(void);

/* Sends "READY=1", "STOPPING=1" or the like to the service manager, if there is one. */
void notify(const char *state);

/*
 * Returns the listening Unix-domain stream socket that the service manager passed; -1: it passed
 * none; -2: it passed something else, or several, and *why says what. The variables are removed, so
 * that no child process takes them for its own.
 */
int take_listening_socket(const char **why);

#endif
