/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients.h"
#include "common/memory.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* A request that was answered. Behind it are the bytes of its id, and its names, each with a 0. */
struct remembered {
	TAILQ_ENTRY(remembered) next; /* from the oldest on */
	struct client_id id;
	struct broker_request request;
	struct broker_answer answer;
	char bytes[];
};
TAILQ_HEAD(answers, remembered);

struct client {
	TAILQ_ENTRY(client) next; /* of those that are away, from the one that left first on */
	struct broker_holder holder;
	size_t connections, count;
	struct answers answers;
	void *by_id; /* tsearch(3) */
	char name[];
};

struct clients {
	size_t keep, count;
	TAILQ_HEAD(, client) away;
	void *by_name; /* tsearch(3) */
};

static int compare_ids(const void *a, const void *b)
{
	const struct client_id *x = &((const struct remembered *)a)->id,
			       *y = &((const struct remembered *)b)->id;

	if (x->is_string != y->is_string)
		return x->is_string - y->is_string;
	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return memcmp(x->bytes, y->bytes, x->size);
}

static int compare_clients(const void *a, const void *b)
{
	return strcmp(((const struct client *)a)->name, ((const struct client *)b)->name);
}

static int compare_name(const void *name, const void *client)
{
	return strcmp(name, ((const struct client *)client)->name);
}

static void forget(struct client *client, struct remembered *remembered)
{
	tdelete(remembered, &client->by_id, compare_ids);
	TAILQ_REMOVE(&client->answers, remembered, next);
	client->count--;
	free(remembered);
}

static void client_free(struct clients *clients, struct client *client)
{
	struct remembered *remembered;

	while ((remembered = TAILQ_FIRST(&client->answers)))
		forget(client, remembered);
	tdelete(client, &clients->by_name, compare_clients);
	clients->count--;
	free(client);
}

struct clients *clients_open(size_t keep)
{
	struct clients *clients = check_memory(calloc(1, sizeof *clients));

	clients->keep = keep;
	TAILQ_INIT(&clients->away);
	return clients;
}

void clients_close(struct clients **clients)
{
	struct client *client;

	while ((client = TAILQ_FIRST(&(*clients)->away))) {
		TAILQ_REMOVE(&(*clients)->away, client, next);
		client_free(*clients, client);
	}
	free(*clients);
	*clients = NULL;
}

size_t clients_keep(const struct clients *clients)
{
	return clients->keep;
}

static struct client *client_make(struct clients *clients, const char *name)
{
	size_t size = strlen(name) + 1;
	struct client *client = TAILQ_FIRST(&clients->away);

	if (clients->count >= CLIENTS_MAX && client) {
		TAILQ_REMOVE(&clients->away, client, next);
		client_free(clients, client);
	}
	client = check_memory(calloc(1, sizeof *client + size));
	memcpy(client->name, name, size);
	TAILQ_INIT(&client->answers);
	check_memory(tsearch(client, &clients->by_name, compare_clients));
	clients->count++;
	return client;
}

struct client *client_join(struct clients *clients, const char *name)
{
	void *node = tfind(name, &clients->by_name, compare_name);
	struct client *client = node ? *(struct client **)node : client_make(clients, name);

	if (node && client->connections == 0)
		TAILQ_REMOVE(&clients->away, client, next);
	client->connections++;
	return client;
}

void client_leave(struct clients *clients, struct broker *broker, struct client **client)
{
	struct remembered *remembered, *next;
	struct client *left = *client;

	*client = NULL;
	if (--left->connections > 0)
		return;
	for (remembered = TAILQ_FIRST(&left->answers); remembered; remembered = next) {
		next = TAILQ_NEXT(remembered, next);
		if (remembered->answer.decision == BROKER_RESERVED &&
		    broker_holds(broker, &left->holder, remembered->request.name,
		                 remembered->answer.reservation))
			forget(left, remembered);
	}
	broker_cancel_all(broker, &left->holder);
	if (left->count)
		TAILQ_INSERT_TAIL(&clients->away, left, next);
	else
		client_free(clients, left);
}

struct broker_holder *client_holder(struct client *client)
{
	return &client->holder;
}

size_t client_remembered(const struct client *client)
{
	return client->count;
}

static int same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static int same_request(const struct broker_request *a, const struct broker_request *b)
{
	return a->operation == b->operation && same_text(a->name, b->name) &&
	       same_text(a->to, b->to) && a->tenant == b->tenant &&
	       a->tag.org_id == b->tag.org_id && a->tag.engagement_id == b->tag.engagement_id &&
	       a->gpu_ns == b->gpu_ns;
}

enum client_recall client_recall(const struct client *client, const struct client_id *id,
                                 const struct broker_request *request, struct broker_answer *answer)
{
	const struct remembered key = { .id = *id };
	void *node = tfind(&key, &client->by_id, compare_ids);
	const struct remembered *remembered = node ? *(struct remembered **)node : NULL;

	if (!remembered)
		return CLIENT_NEW;
	if (!same_request(&remembered->request, request))
		return CLIENT_OTHER;
	*answer = remembered->answer;
	return CLIENT_REPEAT;
}

/* Copies to *at, and moves that behind the copy. */
static const char *keep_bytes(char **at, const void *bytes, size_t size)
{
	char *copy = *at;

	memcpy(copy, bytes, size);
	*at += size;
	return copy;
}

void client_remember(struct clients *clients, struct client *client, const struct client_id *id,
                     const struct broker_request *request, const struct broker_answer *answer)
{
	size_t name_size = strlen(request->name) + 1,
	       to_size = request->to ? strlen(request->to) + 1 : 0;
	struct remembered *remembered;
	char *at;

	if (clients->keep == 0)
		return;
	if (client->count >= clients->keep)
		forget(client, TAILQ_FIRST(&client->answers));
	remembered = check_memory(malloc(sizeof *remembered + id->size + name_size + to_size));
	at = remembered->bytes;
	remembered->id = *id;
	remembered->request = *request;
	remembered->answer = *answer;
	remembered->id.bytes = keep_bytes(&at, id->bytes, id->size);
	remembered->request.name = keep_bytes(&at, request->name, name_size);
	if (to_size)
		remembered->request.to = keep_bytes(&at, request->to, to_size);
	check_memory(tsearch(remembered, &client->by_id, compare_ids));
	TAILQ_INSERT_TAIL(&client->answers, remembered, next);
	client->count++;
}
