/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * service.h - what a program that a service manager starts has to do, without a library for it
 *
 * The protocols are those of sd_notify(3) and sd_listen_fds(3): a datagram, and three variables.
 */
#ifndef K2K_COMMON_SERVICE_H
#define K2K_COMMON_SERVICE_H

/*
 * To be called first in main(). A standard descriptor that is closed would be given to the
 * next file that is opened, and printed into. Instead it is one that can be neither read
 * (standard input) nor written (standard output), so whoever needs it is told. What goes to
 * a closed standard error is dropped. Ends the program with 10 if /dev/null can't be opened.
 */
void hold_standard_files(void);

/* Tells the service manager; nothing if there is none. "READY=1", "STOPPING=1", "STATUS=..." */
void notify(const char *state);

/*
 * The listening Unix-domain stream socket that the service manager handed over.
 * -1: none was. -2: what was handed over is something else, or several; *why says what.
 * The variables are removed, so that no child takes them for its own.
 */
int take_listening_socket(const char **why);

#endif
