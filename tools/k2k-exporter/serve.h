/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registry over HTTP.
 *
 *   GET /             the status page
 *   GET /status.json  what the page shows; tools/schema/status.json
 *   GET /metrics      for Prometheus; where the registry can't be read, k2k_up is 0 in it and
 *   nothing else GET /healthz      ok: the server answers
 *
 * One thread serves everybody, by turns, so it takes one core at most. What was read is given out
 * again for four times as long as it took to read and to write: however many ask, and for
 * whatever, the registry is read for at most a fifth of the time. Who is idle keeps nobody out:
 * see clients.h.
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
