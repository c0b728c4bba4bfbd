/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "serve.h"
#include "address.h"
#include "body.h"
#include "clients.h"
#include "fleet.h"
#include "page.h"
#include "status.h"

#include "common/clock.h"
#include "common/metrics.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDLE_SECONDS = 10, ONE_PART_OF = 5 };

/* Once the server's thread runs, only that thread uses it. */
struct server {
	struct MHD_Daemon *daemon;
	struct clients clients;
	const char *registry;
	uint64_t max_series;
	const char *fleet;
	bool fleet_failed;        /* which was reported */
	struct k2k_registry *reg; /* null: not open */
	int code;                 /* why not; reported once */
	struct metrics_past past;
	struct snapshot snapshot;    /* empty if the registry can't be read */
	struct body metrics, status; /* of this snapshot, made when a client asks */
	uint64_t cached_until_ns;    /* CLOCK_MONOTONIC */
	struct MHD_Response *page, *health, *missing, *refused;
};

/* ---- the registry ------------------------------------------------------------- */

static void report(struct server *s, int code)
{
	const struct k2k_error_detail *detail = k2k_error_detail();

	if (code == s->code)
		return;
	s->code = code;
	if (code)
		fprintf(stderr, "k2k-exporter: registry '%s': %s; each scrape tries again\n",
		        s->registry,
		        detail->code == code && detail->text[0] ? detail->text
		                                                : k2k_strerror(code));
	else
		fprintf(stderr, "k2k-exporter: registry '%s': it can be read\n", s->registry);
}

static int read_registry(struct server *s)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	int code = 0;

	options.flags = K2K_OPEN_TIMEOUT;
	options.timeout_ns = 1000000000;
	options.actor = "k2k-exporter";
	if (!s->reg)
		code = k2k_registry_open(s->registry, K2K_ROLE_OBSERVER, &options, &s->reg);
	if (!code)
		code = snapshot_take(s->reg, &s->snapshot);
	report(s, code);
	if (code && s->reg)
		k2k_registry_close(&s->reg);
	return code;
}

/* Extends the time in which answers are cached: work may take one ONE_PART_OFth of the time. */
static void account_for(struct server *s, uint64_t begun)
{
	uint64_t now = clock_monotonic_ns();

	s->cached_until_ns = (s->cached_until_ns > begun ? s->cached_until_ns : begun) +
	                     (now - begun) * ONE_PART_OF;
}

/*
 * Takes a new snapshot if the cached one is too old. A replaced registry is opened again at once.
 */
static void refresh(struct server *s)
{
	uint64_t begun = clock_monotonic_ns();
	int had = s->reg != NULL;

	if (begun < s->cached_until_ns)
		return;
	snapshot_free(&s->snapshot);
	body_forget(&s->metrics);
	body_forget(&s->status);
	if (read_registry(s) && had)
		read_registry(s);
	account_for(s, begun);
}

/* Accounts for the time that making the answer took, if it was made or compressed just now. */
static struct MHD_Response *give(struct server *s, struct body *body,
                                 struct MHD_Connection *connection, uint64_t begun, int made)
{
	const struct MHD_Response *had = body->gzipped;
	struct MHD_Response *response = body_for(body, connection);

	if (made || body->gzipped != had)
		account_for(s, begun);
	return response;
}

static int make_metrics(struct server *s)
{
	size_t length;
	char *text;
	const char *why = NULL;

	if (metrics_text(s->registry, s->code ? NULL : &s->snapshot, s->max_series, &s->past, &text,
	                 &length))
		return -1;
	if (s->fleet)
		why = fleet_append(s->fleet, &text, &length);
	if (why && !s->fleet_failed)
		fprintf(stderr, "k2k-exporter: --fleet %s: %s\n", s->fleet, why);
	s->fleet_failed = why != NULL;
	return body_set(&s->metrics, text, length, "text/plain; version=0.0.4; charset=utf-8");
}

static struct MHD_Response *metrics_for(struct server *s, struct MHD_Connection *connection)
{
	uint64_t begun;
	int made;

	refresh(s);
	begun = clock_monotonic_ns();
	made = !s->metrics.bytes;
	if (made && make_metrics(s))
		return NULL;
	return give(s, &s->metrics, connection, begun, made);
}

static struct MHD_Response *status_for(struct server *s, struct MHD_Connection *connection)
{
	uint64_t begun;
	size_t length;
	char *text;
	int made;

	refresh(s);
	begun = clock_monotonic_ns();
	made = !s->status.bytes;
	if (made && (status_text(s->registry, s->code, &s->snapshot, &text, &length) ||
	             body_set(&s->status, text, length, "application/json")))
		return NULL;
	return give(s, &s->status, connection, begun, made);
}

/* ---- HTTP ------------------------------------------------------------------------ */

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *body,
                              size_t *body_size, void **state)
{
	struct server *s = context;
	struct MHD_Response *response;
	unsigned int status = MHD_HTTP_OK;

	(void)version;
	(void)body;
	/* the first call has only the headers; a body is ignored */
	if (!*state) {
		*state = s;
		return MHD_YES;
	}
	if (*body_size) {
		*body_size = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD)) {
		status = MHD_HTTP_METHOD_NOT_ALLOWED;
		response = s->refused;
	} else if (!strcmp(path, "/metrics")) {
		response = metrics_for(s, connection);
	} else if (!strcmp(path, "/status.json")) {
		response = status_for(s, connection);
	} else if (!strcmp(path, "/healthz")) {
		response = s->health;
	} else if (!strcmp(path, "/")) {
		response = s->page;
	} else {
		status = MHD_HTTP_NOT_FOUND;
		response = s->missing;
	}
	clients_answered(&s->clients, connection);
	return response ? MHD_queue_response(connection, status, response) : MHD_NO;
}

static struct MHD_Response *fixed(const char *text, const char *name, const char *value)
{
	return body_response(text, strlen(text), MHD_RESPMEM_PERSISTENT,
	                     "text/plain; charset=utf-8", name, value);
}

static int make_answers(struct server *s)
{
	s->page = body_response(page_bytes, page_size, MHD_RESPMEM_PERSISTENT,
	                        "text/html; charset=utf-8", "Content-Security-Policy", page_policy);
	s->health = fixed("ok\n", NULL, NULL);
	s->missing = fixed("there are /, /status.json, /metrics and /healthz\n", NULL, NULL);
	s->refused = fixed("read only\n", "Allow", "GET, HEAD");
	return s->page && s->health && s->missing && s->refused ? 0 : -1;
}

static struct MHD_Daemon *start_daemon(struct server *s, const struct sockaddr_storage *address)
{
	unsigned int flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL;

	if (address_is_any6(address))
		flags |= MHD_USE_DUAL_STACK;
	else if (address->ss_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	return MHD_start_daemon(
		flags, 0, NULL, NULL, answer, s, MHD_OPTION_SOCK_ADDR, address,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned int)(CLIENTS_MAX + CLIENTS_GOING),
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)IDLE_SECONDS,
		MHD_OPTION_NOTIFY_CONNECTION, clients_notified, &s->clients, MHD_OPTION_END);
}

struct server *serve_start(const struct serve_options *options, uint16_t *port)
{
	struct server *s = calloc(1, sizeof(*s));
	const union MHD_DaemonInfo *info;

	if (!s)
		return NULL;
	s->registry = options->registry;
	s->max_series = options->max_series;
	s->fleet = options->fleet;
	if (make_answers(s) == 0)
		s->daemon = start_daemon(s, &options->address);
	info = s->daemon ? MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT) : NULL;
	if (!info) {
		int error = errno ? errno : EINVAL;

		serve_stop(s);
		errno = error;
		return NULL;
	}
	*port = info->port;
	return s;
}

void serve_stop(struct server *s)
{
	struct MHD_Response *const responses[] = { s->page, s->health, s->missing, s->refused };

	/* its thread must end before what it uses is freed */
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++)
		if (responses[i])
			MHD_destroy_response(responses[i]);
	body_forget(&s->metrics);
	body_forget(&s->status);
	snapshot_free(&s->snapshot);
	if (s->reg)
		k2k_registry_close(&s->reg);
	metrics_forget(&s->past);
	free(s);
}
