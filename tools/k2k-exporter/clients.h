/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is connected, and who has to go for the next.
 *
 *  1. Nobody is refused: where there are CLIENTS_MAX connections, or CLIENTS_OF_ONE of one
 *     address, a new one pushes out the idlest: of its own address in the second case.
 *  2. Idle is who has had no whole answer for the longest, or none since it connected. So bytes
 *     that trickle in keep no place.
 *  3. One address is an IPv4 address, or a /64 of IPv6: who has one of these has all of them.
 *
 * All calls are of the server's one thread.
 */
#ifndef K2K_EXPORTER_CLIENTS_H
#define K2K_EXPORTER_CLIENTS_H

#include <microhttpd.h>
#include <stdint.h>

#define CLIENTS_MAX 64
#define CLIENTS_OF_ONE 32
/* Those pushed out are counted by libmicrohttpd until it has looked at them again. */
#define CLIENTS_GOING 64

struct client;
struct clients {
	struct client *first; /* the idlest */
	struct client *last;
};

/* For MHD_OPTION_NOTIFY_CONNECTION, with a struct clients. */
void clients_notified(void *clients, struct MHD_Connection *connection, void **client,
                      enum MHD_ConnectionNotificationCode code);
/* The connection is answered: it is the least idle now. */
void clients_answered(struct clients *clients, struct MHD_Connection *connection);

#endif
