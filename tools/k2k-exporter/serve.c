/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "serve.h"

#include "../metrics/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECTIONS = 64, IDLE_SECONDS = 10, TIMES_AS_LONG = 4 };

/* All of it belongs to the server's one thread, once that runs. */
struct server {
	struct MHD_Daemon *daemon;
	const char *registry;
	uint64_t max_series;
	struct k2k_registry *reg;       /* null: not open */
	int code;                       /* why not; told once */
	struct metrics_past past;
	struct MHD_Response *text, *index, *health, *missing, *refused;
	uint64_t good_until_ns;         /* CLOCK_MONOTONIC */
};

/* ---- the registry ------------------------------------------------------------- */

static void tell(struct server *s, int code)
{
	const struct k2k_error_detail *detail = k2k_error_detail();

	if (code == s->code)
		return;
	s->code = code;
	if (code)
		fprintf(stderr, "k2k-exporter: registry '%s': %s; each scrape tries again\n", s->registry,
		        detail->code == code && detail->text[0] ? detail->text : k2k_strerror(code));
	else
		fprintf(stderr, "k2k-exporter: registry '%s': reading it\n", s->registry);
}

static int read_registry(struct server *s, struct snapshot *snapshot)
{
	struct k2k_open_options options = K2K_OPEN_OPTIONS_INIT;
	int code = 0;

	options.flags = K2K_OPEN_TIMEOUT;
	options.timeout_ns = 1000000000;
	options.actor = "k2k-exporter";
	if (!s->reg)
		code = k2k_registry_open(s->registry, K2K_ROLE_OBSERVER, &options, &s->reg);
	if (!code)
		code = snapshot_take(s->reg, snapshot);
	tell(s, code);
	if (code && s->reg)
		k2k_registry_close(&s->reg);
	return code;
}

/* A registry that was replaced is found at once, not one scrape later. */
static int look(struct server *s, struct snapshot *snapshot)
{
	int had = s->reg != NULL, code = read_registry(s, snapshot);

	return code && had ? read_registry(s, snapshot) : code;
}

static struct MHD_Response *response_of(const char *text, size_t length, enum MHD_ResponseMemoryMode mode, const char *type)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(length, (void *)(uintptr_t)text, mode);

	if (response && MHD_add_response_header(response, "Content-Type", type) == MHD_NO) {
		MHD_destroy_response(response);
		return NULL;
	}
	return response;
}

/* Connections that are still sent the older text have it until they are done: it is counted. */
static struct MHD_Response *fresh_text(struct server *s)
{
	uint64_t begun = snapshot_now();
	struct snapshot snapshot = { 0 };
	struct MHD_Response *response;
	size_t length;
	char *text;
	int code, written;

	if (s->text && begun < s->good_until_ns)
		return s->text;
	code = look(s, &snapshot);
	written = metrics_text(s->registry, code ? NULL : &snapshot, s->max_series, &s->past, &text, &length);
	snapshot_free(&snapshot);
	if (written)
		return NULL;
	response = response_of(text, length, MHD_RESPMEM_MUST_FREE, "text/plain; version=0.0.4; charset=utf-8");
	if (!response)
		return NULL;
	if (s->text)
		MHD_destroy_response(s->text);
	s->text = response;
	s->good_until_ns = begun + (snapshot_now() - begun) * (1 + TIMES_AS_LONG);
	return response;
}

/* ---- HTTP ------------------------------------------------------------------------ */

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                              const char *version, const char *body, size_t *body_size, void **state)
{
	struct server *s = context;
	struct MHD_Response *response;
	unsigned int status = MHD_HTTP_OK;

	(void)version;
	(void)body;
	/* called first with the headers alone; what a client sends besides is not taken */
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
		response = fresh_text(s);
	} else if (!strcmp(path, "/healthz")) {
		response = s->health;
	} else if (!strcmp(path, "/")) {
		response = s->index;
	} else {
		status = MHD_HTTP_NOT_FOUND;
		response = s->missing;
	}
	return response ? MHD_queue_response(connection, status, response) : MHD_NO;
}

static int make_answers(struct server *s)
{
	static const char index[] = "<!DOCTYPE html><title>k2k-exporter</title><a href=\"/metrics\">metrics</a>\n";
	static const char health[] = "ok\n", missing[] = "there are /metrics and /healthz\n", refused[] = "read only\n";

	s->index = response_of(index, sizeof(index) - 1, MHD_RESPMEM_PERSISTENT, "text/html; charset=utf-8");
	s->health = response_of(health, sizeof(health) - 1, MHD_RESPMEM_PERSISTENT, "text/plain; charset=utf-8");
	s->missing = response_of(missing, sizeof(missing) - 1, MHD_RESPMEM_PERSISTENT, "text/plain; charset=utf-8");
	s->refused = response_of(refused, sizeof(refused) - 1, MHD_RESPMEM_PERSISTENT, "text/plain; charset=utf-8");
	return s->index && s->health && s->missing && s->refused &&
	       MHD_add_response_header(s->refused, "Allow", "GET, HEAD") == MHD_YES ? 0 : -1;
}

struct server *serve_start(const struct serve_options *options, uint16_t *port)
{
	unsigned int flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL;
	struct server *s = calloc(1, sizeof(*s));
	const union MHD_DaemonInfo *info;

	if (!s)
		return NULL;
	s->registry = options->registry;
	s->max_series = options->max_series;
	if (options->address.ss_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	if (make_answers(s) == 0)
		s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, answer, s, MHD_OPTION_SOCK_ADDR, &options->address,
		                             MHD_OPTION_CONNECTION_LIMIT, (unsigned int)CONNECTIONS,
		                             MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)IDLE_SECONDS, MHD_OPTION_END);
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

static void forget_answers(struct server *s)
{
	struct MHD_Response *const responses[] = { s->text, s->index, s->health, s->missing, s->refused };

	for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++)
		if (responses[i])
			MHD_destroy_response(responses[i]);
}

void serve_stop(struct server *s)
{
	/* until then its thread makes new texts */
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	forget_answers(s);
	if (s->reg)
		k2k_registry_close(&s->reg);
	metrics_forget(&s->past);
	free(s);
}
