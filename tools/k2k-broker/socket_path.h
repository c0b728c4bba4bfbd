/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* socket_path.h - names of Unix-domain sockets, and who listens there */
#ifndef K2K_BROKER_SOCKET_PATH_H
#define K2K_BROKER_SOCKET_PATH_H

#include <sys/un.h>

/*
 * Takes the lock of a directory, as long as the descriptor is open. A broker that starts holds it
 * from its first check until it listens, so that of two brokers the second finds the first. Waits
 * for 2 s at most. Returns 0, or -1 with errno (EWOULDBLOCK: another process has it).
 */
int socket_lock_directory(int directory);
/* 1: a process listens there. 0: none does. -1: see errno. */
int socket_is_alive(const struct sockaddr_un *address, int type);

#endif
