/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * clients.h - clients by the names that they give themselves, and the answers to their last
 * requests
 *
 *  1. A client is its name, over all its connections, at once or one after another. Nothing proves
 *     a name: whoever may connect may use any.
 *  2. Of each client the last requests with an id are kept, each with its answer. A repeat gets
 *     that answer, and nothing is booked twice, whether or not the first answer was ever read.
 *  3. A client has what is reserved over its connections. When the last of them ends, that is
 *     cancelled, and so that a repeat reserves anew, those requests are forgotten.
 *  4. Memory is bounded: CLIENTS_MAX clients, `keep` requests each, CLIENT_ID_MAX bytes an id, and
 *     names as in broker.h; a request takes less than 1.2 KB. If there is one client too many, the
 *     one that left first is forgotten. Names and ids are bytes from anybody: they are only
 *     compared, and found in time that grows with the logarithm of their number.
 *  5. All of it ends with the process.
 */
#ifndef K2K_BROKER_CLIENTS_H
#define K2K_BROKER_CLIENTS_H

#include "broker.h"

#include <stddef.h>

#define CLIENTS_MAX 2000 /* twice as many as can be connected, so one of them is always away */
#define CLIENT_NAME_MAX 128
#define CLIENT_ID_MAX 128

struct clients;
struct client;

struct clients *clients_open(size_t keep);
/* All clients must have left. */
void clients_close(struct clients **clients);
size_t clients_keep(const struct clients *clients);

/* One more connection of the client of that name. */
struct client *client_join(struct clients *clients, const char *name);
/* One connection less. After the last one *client may be gone. */
void client_leave(struct clients *clients, struct broker *broker, struct client **client);
struct broker_holder *client_holder(struct client *client);
size_t client_remembered(const struct client *client); /* how many requests */

/* An id as its sender wrote it: a string and a number are never the same. */
struct client_id {
	int is_string;
	const void *bytes;
	size_t size;
};

enum client_recall {
	CLIENT_NEW,    /* the id is of none of the requests that are kept */
	CLIENT_REPEAT, /* of this one: *answer is the first answer */
	CLIENT_OTHER   /* of another request */
};
enum client_recall client_recall(const struct client *client, const struct client_id *id,
                                 const struct broker_request *request,
                                 struct broker_answer *answer);
/* Keeps a request that is NEW, with its answer. */
void client_remember(struct clients *clients, struct client *client, const struct client_id *id,
                     const struct broker_request *request, const struct broker_answer *answer);

#endif
