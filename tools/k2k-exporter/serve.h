/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * serve.h - the registry over HTTP
 *
 *   GET /             the status page
 *   GET /status.json  what the page shows; tools/schema/status.json
 *   GET /metrics      for Prometheus; if the registry can't be read, only k2k_up, which is 0
 *   GET /healthz      ok: the server answers
 *
 * One thread serves all clients in turn, so it uses one core at most. An answer is cached for four
 * times as long as it took to read the registry and to write the answer. So the exporter works for
 * at most a fifth of the time, however many clients ask. An idle client keeps no other one out: see
 * clients.h.
 */
#ifndef K2K_EXPORTER_SERVE_H
#define K2K_EXPORTER_SERVE_H

#include <stdint.h>
#include <sys/socket.h>

struct serve_options {
	const char *registry;
	uint64_t max_series;
	const char *fleet; /* a file of k2k-fleetd --metrics, or null */
	struct sockaddr_storage address;
};

struct server;

/* Returns null, with errno set, if it can't listen. *port is where it listens. */
struct server *serve_start(const struct serve_options *options, uint16_t *port);
void serve_stop(struct server *server);

#endif
