/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where to listen, as it stands on a command line. */
#ifndef K2K_EXPORTER_ADDRESS_H
#define K2K_EXPORTER_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/*
 * PORT, localhost:PORT (both 127.0.0.1), :PORT (all addresses), IP:PORT or [IPv6]:PORT; [::]:PORT
 * is all addresses, too. Other names are refused: they might mean another address tomorrow.
 * 0, or -1 with the reason in why.
 */
int address_read(struct sockaddr_storage *address, const char *text, char *why, size_t room);

/* All addresses of IPv6, and with them those of IPv4. */
bool address_is_any6(const struct sockaddr_storage *address);
/* All addresses of IPv4, at the same port: where the machine has no IPv6. */
void address_any4(struct sockaddr_storage *address);

/* "127.0.0.1:9742", "[::1]:9742" */
void address_write(char *text, size_t room, const struct sockaddr_storage *address, uint16_t port);

#endif
