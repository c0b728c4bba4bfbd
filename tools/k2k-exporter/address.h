/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* address.h - an address to listen at, from text and as text */
#ifndef K2K_EXPORTER_ADDRESS_H
#define K2K_EXPORTER_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * Reads PORT or localhost:PORT (both 127.0.0.1), :PORT or [::]:PORT (all addresses), IP:PORT or
 * [IPv6]:PORT. Other names are refused, because they may resolve to another address tomorrow.
 * Returns 0, or -1 with the reason in `why`.
 */
int address_read(struct sockaddr_storage *address, const char *text, char *why, size_t room);

/* Whether it is all addresses of IPv6, which includes those of IPv4. */
bool address_is_any6(const struct sockaddr_storage *address);
/* Makes it all addresses of IPv4 at the same port, for a machine without IPv6. */
void address_any4(struct sockaddr_storage *address);

/* "127.0.0.1:9742", "[::1]:9742" */
void address_write(char *text, size_t room, const struct sockaddr_storage *address, uint16_t port);

#endif
