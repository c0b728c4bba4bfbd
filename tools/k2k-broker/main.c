/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * k2k-broker - the reference broker
 */
#include "answer.h"
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { QUEUE_DEFAULT = 256, QUEUE_LAST = 65536 };

static const char usage[] =
"Usage: k2k-broker [-r NAME] [-s] [-q N] [FILE | --listen PATH]\n";

static const char help[] =
"\n"
"Decides on messages between kernels of tenants, and delivers them. Reads one JSON\n"
"object a line from FILE, from standard input, or from the clients of a socket, and\n"
"answers each with one line. At the end of its input, or on SIGTERM or SIGINT, it\n"
"detaches from the registry, gives all kernel slots back and ends with 0.\n"
"\n"
"  -r, --registry NAME  the registry (environment K2K_REGISTRY; \"default\")\n"
"  -l, --listen PATH    serve the clients of a Unix-domain socket at PATH\n"
"  -q, --queue N        messages that wait for one connection (256; at most 65536)\n"
"  -s, --summary        print the counts at the end; without --listen no answers\n"
"  -h, --help           this\n"
"  -V, --version        the version\n"
"\n"
"Lines\n"
"  {\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42,\"org\":1,\"engagement\":7}\n"
"      A kernel takes a kernel slot of its tenant. Added again it takes the new tag;\n"
"      under another tenant it moves, once that tenant has a slot for it.\n"
"  {\"kernel\":\"remove\",\"name\":\"a\"}\n"
"      Gives the slot back.\n"
"  {\"send\":\"a\",\"to\":\"b\",\"org\":1,\"engagement\":7,\"gpu_ns\":\"1500000\"}\n"
"      A message, and the GPU time it took. Without org and engagement, or with both\n"
"      0, it is billed to what its kernel was added with. An admitted message counts,\n"
"      and its GPU time is booked, whether or not it could be delivered.\n"
"  {\"stats\":true}\n"
"      The counts up to here, over all and by tenant.\n"
"  Tenant, org, engagement and gpu_ns are 0 where they are left out; tenant 0 is no\n"
"  tenant: nothing is limited and nothing counted. They may be JSON numbers or strings\n"
"  of decimal digits, up to 18446744073709551615. A name has 1 to 255 bytes, a line at\n"
"  most 8192; empty lines are ignored.\n"
"\n"
"Answers\n"
"  {\"line\":\"3\",\"send\":\"a\",\"to\":\"b\",\"decision\":\"DELIVERED\",\"reason\":null,\"tenant\":\"42\",\n"
"   \"org\":\"1\",\"engagement\":\"7\",\"used\":\"1\",\"limit\":\"5000\",\"remaining\":\"4999\",\n"
"   \"retry_after_ns\":\"0\",\"window\":\"86400\",\"booked_ns\":\"1500000\"}\n"
"  line            which line of this input, from 1\n"
"  decision        of a message: DELIVERED, QUEUE_FULL, NOT_FOUND (all three admitted),\n"
"                  TENANT_MISMATCH (with to_tenant; \"error\" where it couldn't be audited),\n"
"                  REJECTED; of a kernel: ADDED, MOVED, UPDATED, REMOVED, REFUSED\n"
"  reason          of REJECTED and REFUSED: rate, budget, kernels, unknown_tenant,\n"
"                  unknown_kernel, others_kernel (another connection added it),\n"
"                  broker_full (65536 kernels), leases_full, busy, no_registry (it is\n"
"                  gone; the broker tries to open it again), error (\"error\" names it)\n"
"  tenant, org, engagement    who was asked and billed\n"
"  used, limit, remaining     messages in this second; of reason budget nanoseconds; of\n"
"                  kernels slots; null = unlimited\n"
"  retry_after_ns  when it may pass; null = waiting alone does not help. These four are\n"
"                  missing where no limit was asked\n"
"  window          the second, of CLOCK_MONOTONIC, that the messages are counted in\n"
"  booked_ns       GPU time booked; where gpu_ns was not, \"unbooked\" says why:\n"
"                  unspecified_tenant, ledger_full (it is in the tenant's unattributed\n"
"                  total), tenant_gone, no_registry, error\n"
"  A line that can't be understood is answered with its place, the column in bytes from\n"
"  1, and changes nothing; the rest goes on:\n"
"  {\"line\":\"4\",\"column\":9,\"error\":\"\\\"to\\\" must be a string\"}\n"
"  64-bit numbers leave as strings.\n"
"\n"
"Connections\n"
"  A kernel belongs to the connection that added it: only this one sends as it, moves\n"
"  it and removes it, and when it ends, its kernels are removed. The connection is also\n"
"  the inbox of its kernels. A message arrives there as a line of its own among the\n"
"  answers, that begins with \"deliver\":\n"
"  {\"deliver\":\"b\",\"from\":\"a\",\"tenant\":\"42\",\"org\":\"1\",\"engagement\":\"7\",\"gpu_ns\":\"1500000\"}\n"
"  Up to N messages (--queue) wait until the connection takes them; for more the sender\n"
"  hears QUEUE_FULL. A client that does not read its answers is not read from until it\n"
"  does; nobody else waits for it. 1000 clients are served at once.\n"
"  Read from FILE or standard input a kernel has no connection: what is sent to it is\n"
"  delivered, counted and dropped at once; with --queue 0 each message is QUEUE_FULL.\n"
"  Who may open PATH, as the umask leaves it, may add kernels of any tenant.\n"
"\n"
"Exit status: 0 done; 2 usage; 4 PATH is no socket; 5 no free broker slot; 6 registry\n"
"missing, of another layout or boot, or damaged; 7 permission; 8 busy, or PATH in use;\n"
"10 the system failed.\n"
"\n"
"Example:\n"
"  printf '%s\\n' '{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}' '{\"send\":\"a\",\"to\":\"a\"}' |\n"
"      k2k-broker -r prod\n";

__attribute__((format(printf, 2, 3), noreturn)) static void fail(int status, const char *format, ...)
{
	va_list ap;

	fputs("k2k-broker: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(status);
}

struct options {
	const char *registry, *listen, *file;
	size_t queue;
	int summary;
};

static struct options read_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "registry", required_argument, NULL, 'r' }, { "listen", required_argument, NULL, 'l' },
		{ "queue", required_argument, NULL, 'q' },    { "summary", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },           { "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct options options = { getenv("K2K_REGISTRY"), NULL, NULL, QUEUE_DEFAULT, 0 };
	unsigned long queue;
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "r:l:q:shV", longs, NULL)) != -1) {
		switch (c) {
		case 'r': options.registry = optarg; break;
		case 'l': options.listen = optarg; break;
		case 's': options.summary = 1; break;
		case 'q':
			errno = 0;
			queue = strtoul(optarg, &end, 10);
			if (optarg[0] < '0' || optarg[0] > '9' || *end || errno || queue > QUEUE_LAST)
				fail(2, "--queue: \"%s\" is not a number from 0 to %d", optarg, QUEUE_LAST);
			options.queue = queue;
			break;
		case 'h':
			fputs(usage, stdout);
			fputs(help, stdout);
			exit(fflush(stdout) ? 10 : 0);
		case 'V':
			printf("k2k-broker %s\n", k2k_version());
			exit(fflush(stdout) ? 10 : 0);
		default:
			fail(2, "see k2k-broker --help");
		}
	}
	if (optind < argc)
		options.file = argv[optind++];
	if (optind < argc)
		fail(2, "%s: only one file can be read", argv[optind]);
	if (options.file && options.listen)
		fail(2, "%s: --listen reads no file", options.file);
	if (!options.registry || !options.registry[0])
		options.registry = "default";
	return options;
}

static int exit_status(int code)
{
	switch (code) {
	case K2K_EINVAL:        return 2;
	case K2K_ENOBROKERSLOT: return 5;
	case K2K_ENOREGISTRY: case K2K_ELAYOUT: case K2K_EBOOT: case K2K_ECORRUPT: case K2K_EFENCED: return 6;
	case K2K_EPERM: case K2K_EOWNER: return 7;
	case K2K_EBUSY:         return 8;
	default:                return 10;
	}
}

/* ---- a stream: standard input or a file --------------------------------------------- */

/* 0: may go on. 1: told to stop. */
static int wait_for(int fd, short events, int stop_fd, int timeout)
{
	struct pollfd polls[2] = { { .fd = stop_fd, .events = POLLIN }, { .fd = fd, .events = events } };

	return poll(polls, 2, timeout) > 0 && polls[0].revents ? 1 : polls[1].revents ? 0 : -1;
}

/*
 * Pieces of at most PIPE_BUF: a pipe that is ready takes one without waiting, so
 * that a reader who sleeps can't keep us from SIGTERM. 1: told to stop.
 */
static int write_all(struct text *out, int stop_fd)
{
	for (size_t done = 0; done < out->size;) {
		int wait = wait_for(STDOUT_FILENO, POLLOUT, stop_fd, -1);
		size_t piece = out->size - done < PIPE_BUF ? out->size - done : PIPE_BUF;
		ssize_t n;

		if (wait > 0)
			return 1;
		n = wait == 0 ? write(STDOUT_FILENO, out->bytes + done, piece) : 0;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			fail(10, "standard output: %s", strerror(errno));
		done += n > 0 ? (size_t)n : 0;
	}
	out->size = 0;
	return 0;
}

struct stream_inbox {
	struct broker_inbox inbox;
	size_t queue;
};

/* What has no connection is consumed at once. */
static int consume(struct broker_inbox *inbox, const struct broker_message *message)
{
	(void)message;
	return ((struct stream_inbox *)inbox)->queue > 0 ? 0 : -1;
}

static void run_stream(int fd, const struct options *options, struct broker *broker, struct answer_counts *counts,
                       int stop_fd)
{
	static struct line_input input;
	struct stream_inbox stream = { .inbox.deliver = consume, .queue = options->queue };
	struct text out = { 0 };

	for (int at_end = 0, stop = 0; !at_end && !stop;) {
		size_t room;
		char *to = line_room(&input, &room);
		ssize_t n;
		int wait = wait_for(fd, POLLIN, stop_fd, broker_tick(broker));

		if (wait > 0)
			break;
		n = wait == 0 ? read(fd, to, room) : 0;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			fail(10, "%s: %s", options->file ? options->file : "standard input", strerror(errno));
		at_end = wait == 0 && n == 0;
		line_read(&input, n > 0 ? (size_t)n : 0);
		answer_lines(&input, at_end, broker, &stream.inbox, counts, options->summary ? NULL : &out, SIZE_MAX);
		stop = write_all(&out, stop_fd);
	}
	broker_leave(broker, &stream.inbox);
	text_free(&out);
}

static int open_input(const char *file)
{
	int fd = !file || strcmp(file, "-") == 0 ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail(errno == EACCES ? 7 : 2, "%s: %s", file, strerror(errno));
	return fd;
}

/* ---- main ------------------------------------------------------------------------------ */

int main(int argc, char **argv)
{
	struct options options = read_options(argc, argv);
	struct answer_counts counts = { 0, 0 };
	struct server *server = NULL;
	struct broker *broker;
	struct text out = { 0 };
	sigset_t stop;
	char why[256];
	int status = 0, code, stop_fd, input = options.listen ? -1 : open_input(options.file);

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	stop_fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	if (stop_fd < 0)
		fail(10, "signalfd: %s", strerror(errno));

	code = broker_open(&broker, options.registry);
	if (code) {
		const struct k2k_error_detail *detail = k2k_error_detail();

		fail(exit_status(code), "registry %s: %s%s%s", options.registry, k2k_strerror(code),
		     detail->code == code && detail->text[0] ? ": " : "", detail->code == code ? detail->text : "");
	}
	if (options.listen) {
		server = server_open(options.listen, options.queue, why, &status);
		if (!server) {
			broker_close(&broker);
			fail(status, "%s: %s", options.listen, why);
		}
		if (server_run(server, broker, &counts, stop_fd) != 0) {
			fprintf(stderr, "k2k-broker: poll: %s\n", strerror(errno));
			status = 10;
		}
	} else {
		run_stream(input, &options, broker, &counts, stop_fd);
	}
	if (options.summary)
		answer_add_counts(&out, broker, &counts, 0);
	if (server)
		server_close(&server, broker);
	broker_close(&broker);
	for (size_t done = 0; done < out.size;) {
		ssize_t n = write(STDOUT_FILENO, out.bytes + done, out.size - done);

		if (n < 0 && errno != EINTR)
			fail(10, "standard output: %s", strerror(errno));
		done += n > 0 ? (size_t)n : 0;
	}
	text_free(&out);
	return status;
}
