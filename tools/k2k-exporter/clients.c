/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "clients.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* In a list, the idlest first. */
struct client {
	struct client *before, *behind;
	int fd;
	bool going;               /* replaced */
	unsigned char address[8]; /* four 0 and an IPv4 address, or the first half of an IPv6 one */
};

static void append(struct clients *c, struct client *client)
{
	client->before = c->last;
	client->behind = NULL;
	*(c->last ? &c->last->behind : &c->first) = client;
	c->last = client;
}

static void unlink_client(struct clients *c, struct client *client)
{
	*(client->before ? &client->before->behind : &c->first) = client->behind;
	*(client->behind ? &client->behind->before : &c->last) = client->before;
}

static void read_address(struct client *client, const struct sockaddr *address)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)address;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)address;

	if (address->sa_family == AF_INET)
		memcpy(client->address + 4, &v4->sin_addr, 4);
	else if (address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		memcpy(client->address + 4, v6->sin6_addr.s6_addr + 12, 4);
	else if (address->sa_family == AF_INET6)
		memcpy(client->address, v6->sin6_addr.s6_addr, 8);
}

/* Only libmicrohttpd may close it, and does so when it finds the end of the input. */
static void replace(struct client *client)
{
	client->going = true;
	shutdown(client->fd, SHUT_RDWR);
}

/* Called after the new client was appended. */
static void make_room(const struct clients *c)
{
	struct client *idlest = NULL, *idlest_of_address = NULL;
	unsigned int count = 0, of_address = 0;

	for (struct client *client = c->first; client; client = client->behind) {
		if (client->going)
			continue;
		idlest = idlest ? idlest : client;
		count++;
		if (memcmp(client->address, c->last->address, sizeof(client->address)))
			continue;
		idlest_of_address = idlest_of_address ? idlest_of_address : client;
		of_address++;
	}
	if (of_address > CLIENTS_OF_ONE)
		replace(idlest_of_address);
	else if (count > CLIENTS_MAX)
		replace(idlest);
}

static void begin(struct clients *c, struct MHD_Connection *connection, void **context)
{
	const union MHD_ConnectionInfo *fd = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	const union MHD_ConnectionInfo *address = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct client *client = fd ? calloc(1, sizeof(*client)) : NULL;

	*context = client;
	/* without memory only libmicrohttpd's own limit applies to it */
	if (!client)
		return;
	client->fd = fd->connect_fd;
	if (address && address->client_addr)
		read_address(client, address->client_addr);
	append(c, client);
	make_room(c);
}

void clients_notified(void *clients, struct MHD_Connection *connection, void **context,
                      enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		begin(clients, connection, context);
	} else if (*context) {
		unlink_client(clients, *context);
		free(*context);
		*context = NULL;
	}
}

void clients_answered(struct clients *c, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct client *client = info ? info->socket_context : NULL;

	if (!client)
		return;
	unlink_client(c, client);
	append(c, client);
}
