/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "address.h"

#include "common/units.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static struct sockaddr_in *v4(struct sockaddr_storage *address)
{
	return (struct sockaddr_in *)address;
}

static struct sockaddr_in6 *v6(struct sockaddr_storage *address)
{
	return (struct sockaddr_in6 *)address;
}

int address_read(struct sockaddr_storage *address, const char *text, char *why, size_t room)
{
	const char *colon = strrchr(text, ':'), *port_text = colon ? colon + 1 : text;
	size_t length = colon ? (size_t)(colon - text) : 0;
	struct units_fault fault;
	char host[64] = "127.0.0.1";
	uint64_t port;

	memset(address, 0, sizeof(*address));
	if (units_parse_count(port_text, 0, 65535, &port, &fault)) {
		snprintf(why, room, "'%.20s' is not a port from 0 to 65535", port_text);
		return -1;
	}
	if (length >= sizeof(host)) {
		snprintf(why, room, "not an address");
		return -1;
	}
	if (colon)
		snprintf(host, sizeof(host), "%.*s", (int)length, text);
	if (!strcmp(host, "localhost"))
		strcpy(host, "127.0.0.1");
	if (!host[0])
		strcpy(host, "[::]");
	length = strlen(host);
	if (host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = 0;
		v6(address)->sin6_family = AF_INET6;
		v6(address)->sin6_port = htons((uint16_t)port);
		if (inet_pton(AF_INET6, host + 1, &v6(address)->sin6_addr) == 1)
			return 0;
	} else {
		v4(address)->sin_family = AF_INET;
		v4(address)->sin_port = htons((uint16_t)port);
		if (inet_pton(AF_INET, host, &v4(address)->sin_addr) == 1)
			return 0;
	}
	snprintf(why, room,
	         "not an address; use PORT, :PORT, localhost:PORT, IP:PORT or [IPv6]:PORT");
	return -1;
}

bool address_is_any6(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET6 &&
	       IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

void address_any4(struct sockaddr_storage *address)
{
	in_port_t port = v6(address)->sin6_port;

	memset(address, 0, sizeof(*address));
	v4(address)->sin_family = AF_INET;
	v4(address)->sin_port = port;
}

void address_write(char *text, size_t room, const struct sockaddr_storage *address, uint16_t port)
{
	bool is_v6 = address->ss_family == AF_INET6;
	char host[INET6_ADDRSTRLEN];

	inet_ntop(address->ss_family,
	          is_v6 ? (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr
	                : (const void *)&((const struct sockaddr_in *)address)->sin_addr,
	          host, sizeof(host));
	snprintf(text, room, "%s%s%s:%u", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
}
