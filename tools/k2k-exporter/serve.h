/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registry's metrics over HTTP.
 *
 *   GET /metrics   the text; where the registry can't be read, k2k_up is 0 in it and nothing else
 *   GET /healthz   ok: the server answers
 *   GET /          where the rest is
 *
 * One thread serves everybody, by turns, so it takes one core at most. A text is
 * given out again for four times as long as it took to make: however many ask,
 * the registry is read for at most a fifth of the time.
 */
#ifndef K2K_EXPORTER_SERVE_H
#define K2K_EXPORTER_SERVE_H

#include <stdint.h>
#include <sys/socket.h>

struct serve_options {
	const char *registry;
	uint64_t max_series;
	struct sockaddr_storage address;
};

struct server;

/* Null with errno set where it can't listen. *port is the one it listens at. */
struct server *serve_start(const struct serve_options *options, uint16_t *port);
void serve_stop(struct server *server);

#endif
