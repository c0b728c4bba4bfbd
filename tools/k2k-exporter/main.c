/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* k2k-exporter - metrics of a registry for Prometheus, and a status page */
#include "address.h"
#include "serve.h"
#include "common/metrics.h"
#include "common/service.h"
#include "common/units.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* clang-format off */
static const char help[] =
	"Usage: k2k-exporter [-r NAME] [--listen ADDRESS] [--max-series N] [--fleet FILE]\n"
	"\n"
	"Serves the metrics of a registry at http://127.0.0.1:9742/metrics for Prometheus, and a\n"
	"status page at /. It only reads, and no broker ever waits for it. If there is no registry,\n"
	"k2k_up is 0, and each scrape tries again. Ends with 0 on SIGTERM or SIGINT.\n"
	"k2k-exporter(8) describes it in full.\n"
	"\n"
	"  -r, --registry NAME   the registry (environment K2K_REGISTRY; \"default\")\n"
	"  -l, --listen ADDRESS  127.0.0.1:9742 unless given; also PORT, localhost:PORT, IP:PORT,\n"
	"                        [IPv6]:PORT, and :PORT for all addresses, of IPv4 and IPv6.\n"
	"                        Port 0: a free one. Anybody who can connect can read: protect\n"
	"                        other addresses by a firewall or a proxy\n"
	"  -m, --max-series N    how many tenants (and budgets) have series of their own: 1000 unless\n"
	"                        given; the busiest. The others are summed as tenant=\"other\"\n"
	"      --fleet FILE      also serve what k2k-fleetd --metrics FILE writes, if it is there\n"
	"  -h, --help            this\n"
	"  -V, --version         the version\n"
	"\n"
	"When it listens, it prints its address as one line on standard output.\n"
	"Exit status: 0 done; 2 usage; 7 permission; 8 the address is in use; 10 the system failed.\n"
	"\n"
	"Example:\n"
	"  k2k-exporter -r prod --listen 127.0.0.1:9742 --max-series 200\n";
/* clang-format on */

__attribute__((format(printf, 2, 3), noreturn)) static void fail(int status, const char *format,
                                                                 ...)
{
	va_list ap;

	fputs("k2k-exporter: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

static void say(const char *text)
{
	if (fputs(text, stdout) < 0 || fflush(stdout))
		fail(10, "standard output: %s", strerror(errno));
}

enum { LONG_FLEET = 256 };

static void read_options(struct serve_options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "registry", required_argument, NULL, 'r' },
		{ "listen", required_argument, NULL, 'l' },
		{ "max-series", required_argument, NULL, 'm' },
		{ "fleet", required_argument, NULL, LONG_FLEET },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	const char *listen = "9742";
	struct units_fault fault;
	char why[128];
	size_t length;
	int c;

	while ((c = getopt_long(argc, argv, "r:l:m:hV", longs, NULL)) != -1) {
		switch (c) {
		case 'r': options->registry = optarg; break;
		case 'l': listen = optarg; break;
		case 'm':
			if (units_parse_count(optarg, 0, UINT64_MAX, &options->max_series, &fault))
				fail(2, "--max-series '%.100s': %s at position %zu", optarg,
				     fault.what, fault.position);
			break;
		case LONG_FLEET: options->fleet = optarg; break;
		case 'h': say(help); exit(0);
		case 'V':
			say("k2k-exporter ");
			say(k2k_version());
			say("\n");
			exit(0);
		default: fail(2, "see k2k-exporter --help");
		}
	}
	if (optind < argc)
		fail(2, "'%.100s': takes no argument; see k2k-exporter --help", argv[optind]);
	if (!options->registry || !options->registry[0])
		options->registry = "default";
	length = strspn(options->registry,
	                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
	if (options->registry[length] || length > K2K_NAME_MAX)
		fail(2,
		     "'%.100s': not a registry's name, which has 1 to %d characters of A-Z a-z 0-9 "
		     "_ -",
		     options->registry, K2K_NAME_MAX);
	if (address_read(&options->address, listen, why, sizeof(why)))
		fail(2, "--listen '%.100s': %s", listen, why);
}

static void say_where(const struct sockaddr_storage *address, uint16_t port)
{
	char where[96], line[128];

	address_write(where, sizeof(where), address, port);
	snprintf(line, sizeof(line), "http://%s/metrics\n", where);
	say(line);
}

/* On a machine without IPv6, all addresses are those of IPv4. */
static struct server *start(struct serve_options *options, uint16_t *port)
{
	struct server *server;

	errno = 0;
	server = serve_start(options, port);
	if (server || !address_is_any6(&options->address) || errno == EADDRINUSE || errno == EACCES)
		return server;
	address_any4(&options->address);
	errno = 0;
	return serve_start(options, port);
}

int main(int argc, char **argv)
{
	struct serve_options options = { .registry = getenv("K2K_REGISTRY"),
		                         .max_series = METRICS_SERIES_DEFAULT };
	struct server *server;
	uint16_t port = 0;
	sigset_t stop;
	int signal_number;

	hold_standard_files();
	ignore_signals_of_writes();
	read_options(&options, argc, argv);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	/* before there is a second thread, so that all threads have them blocked */
	sigprocmask(SIG_BLOCK, &stop, NULL);
	server = start(&options, &port);
	if (!server)
		fail(errno == EADDRINUSE ? 8
		     : errno == EACCES   ? 7
		                         : 10,
		     "can't listen: %s", strerror(errno));
	say_where(&options.address, port);
	notify("READY=1");
	while (sigwait(&stop, &signal_number) != 0)
		;
	notify("STOPPING=1");
	serve_stop(server);
	return 0;
}
