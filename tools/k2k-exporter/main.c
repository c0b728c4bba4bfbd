/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * k2k-exporter - a registry's metrics for Prometheus to scrape
 */
#include "serve.h"

#include "../common/service.h"
#include "../k2k-tenantctl/units.h"
#include "../metrics/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
"Usage: k2k-exporter [-r NAME] [--listen ADDRESS] [--max-series N]\n"
"\n"
"Serves what a registry counts at http://127.0.0.1:9742/metrics, for Prometheus to\n"
"scrape. It only reads, and no broker ever waits for it. Where the registry is missing,\n"
"k2k_up is 0, and each scrape looks for it again. Ends with 0 on SIGTERM or SIGINT.\n"
"\n"
"  -r, --registry NAME   the registry (environment K2K_REGISTRY; \"default\")\n"
"  -l, --listen ADDRESS  127.0.0.1:9742 unless given; also PORT, IP:PORT, [IPv6]:PORT. Port 0:\n"
"                        a free one. Whoever can connect can read, so other than\n"
"                        the machine's own addresses want a firewall or a proxy\n"
"  -m, --max-series N    so many tenants (and budgets) have series of their own, 1000 unless\n"
"                        given: those registered first; the rest are summed under\n"
"                        tenant=\"other\", in which the deregistered stay counted\n"
"  -h, --help            this\n"
"  -V, --version         the version\n"
"\n"
"When it listens it says so in one line on standard output.\n"
"Exit status: 0 done; 2 usage; 7 permission; 8 the address is in use; 10 the system failed.\n"
"\n"
"Example:\n"
"  k2k-exporter -r prod --listen 127.0.0.1:9742 --max-series 200\n";

__attribute__((format(printf, 2, 3), noreturn)) static void fail(int status, const char *format, ...)
{
	va_list ap;

	fputs("k2k-exporter: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

/* PORT, IP:PORT or [IPv6]:PORT, numbers only: a name might mean another address tomorrow. */
static void read_address(struct sockaddr_storage *address, const char *text)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
	const char *colon = strrchr(text, ':'), *port_text = colon ? colon + 1 : text;
	size_t length = colon ? (size_t)(colon - text) : 0;
	struct units_fault fault;
	char host[64] = "127.0.0.1";
	uint64_t port;

	memset(address, 0, sizeof(*address));
	if (units_parse_count(port_text, 0, 65535, &port, &fault))
		fail(2, "--listen '%.100s': '%.20s' is no port from 0 to 65535", text, port_text);
	if (colon) {
		if (length >= sizeof(host))
			fail(2, "--listen '%.100s': not an address", text);
		snprintf(host, sizeof(host), "%.*s", (int)length, text);
	}
	if (host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = 0;
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		if (inet_pton(AF_INET6, host + 1, &v6->sin6_addr) == 1)
			return;
	} else {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		if (inet_pton(AF_INET, host, &v4->sin_addr) == 1)
			return;
	}
	fail(2, "--listen '%.100s': not an address; it is PORT, IP:PORT or [IPv6]:PORT, in numbers", text);
}

static void say(const char *text)
{
	if (fputs(text, stdout) < 0 || fflush(stdout))
		fail(10, "standard output: %s", strerror(errno));
}

static void read_options(struct serve_options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "registry", required_argument, NULL, 'r' },   { "listen", required_argument, NULL, 'l' },
		{ "max-series", required_argument, NULL, 'm' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },          { NULL, 0, NULL, 0 },
	};
	const char *listen = "9742";
	struct units_fault fault;
	size_t length;
	int c;

	while ((c = getopt_long(argc, argv, "r:l:m:hV", longs, NULL)) != -1) {
		switch (c) {
		case 'r': options->registry = optarg; break;
		case 'l': listen = optarg; break;
		case 'm':
			if (units_parse_count(optarg, 0, UINT64_MAX, &options->max_series, &fault))
				fail(2, "--max-series '%.100s': %s at position %zu", optarg, fault.what, fault.position);
			break;
		case 'h': say(help); exit(0);
		case 'V': say("k2k-exporter "); say(k2k_version()); say("\n"); exit(0);
		default: fail(2, "see k2k-exporter --help");
		}
	}
	if (optind < argc)
		fail(2, "'%.100s': takes no argument; see k2k-exporter --help", argv[optind]);
	if (!options->registry || !options->registry[0])
		options->registry = "default";
	length = strspn(options->registry, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
	if (options->registry[length] || length > K2K_NAME_MAX)
		fail(2, "'%.100s': not a registry's name; 1 to %d characters of A-Z a-z 0-9 _ -", options->registry,
		     K2K_NAME_MAX);
	read_address(&options->address, listen);
}

static void say_where(const struct sockaddr_storage *address, uint16_t port)
{
	bool v6 = address->ss_family == AF_INET6;
	char host[INET6_ADDRSTRLEN], line[128];

	inet_ntop(address->ss_family, v6 ? (const void *)&((const struct sockaddr_in6 *)address)->sin6_addr :
	                                   (const void *)&((const struct sockaddr_in *)address)->sin_addr, host, sizeof(host));
	snprintf(line, sizeof(line), "http://%s%s%s:%u/metrics\n", v6 ? "[" : "", host, v6 ? "]" : "", port);
	say(line);
}

int main(int argc, char **argv)
{
	struct serve_options options = { .registry = getenv("K2K_REGISTRY"), .max_series = METRICS_SERIES_DEFAULT };
	struct server *server;
	uint16_t port = 0;
	sigset_t stop;
	int signal_number;

	hold_standard_files();
	read_options(&options, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	/* before there is a second thread, so that none of them is interrupted */
	sigprocmask(SIG_BLOCK, &stop, NULL);
	errno = 0;
	server = serve_start(&options, &port);
	if (!server)
		fail(errno == EADDRINUSE ? 8 : errno == EACCES ? 7 : 10, "can't listen: %s", strerror(errno));
	say_where(&options.address, port);
	while (sigwait(&stop, &signal_number) != 0)
		;
	serve_stop(server);
	return 0;
}
