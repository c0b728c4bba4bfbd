/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * clients.h - the connections, and which one is closed for a new one
 *
 *  1. No client is refused. If there are CLIENTS_MAX connections, or CLIENTS_OF_ONE of one address,
 *     a new connection replaces the idlest: in the second case, the idlest of its own address.
 *  2. The idlest is the one whose last complete answer is longest ago; without an answer, the time
 *     of connecting counts. So a client that sends its request byte by byte is idle.
 *  3. One address is an IPv4 address, or a /64 of IPv6, because one client has all of a /64.
 *
 * Only the server's thread makes these calls.
 */
#ifndef K2K_EXPORTER_CLIENTS_H
#define K2K_EXPORTER_CLIENTS_H

#include <microhttpd.h>
#include <stdint.h>

#define CLIENTS_MAX 64
#define CLIENTS_OF_ONE 32
/* libmicrohttpd counts replaced connections until it has closed them. */
#define CLIENTS_GOING 64

struct client;
struct clients {
	struct client *first; /* the idlest */
	struct client *last;
};

/* The callback for MHD_OPTION_NOTIFY_CONNECTION, with a struct clients. */
void clients_notified(void *clients, struct MHD_Connection *connection, void **client,
                      enum MHD_ConnectionNotificationCode code);
/* The connection is answered: it is the least idle now. */
void clients_answered(struct clients *clients, struct MHD_Connection *connection);

#endif
