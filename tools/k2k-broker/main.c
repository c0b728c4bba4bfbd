/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* k2k-broker - the reference broker */
#include "answer.h"
#include "server.h"
#include "common/memory.h"
#include "common/service.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
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
enum { REMEMBER_DEFAULT = 64, REMEMBER_LAST = 65536 };

static const char usage[] =
	"Usage: k2k-broker [-r NAME] [-s] [-q N] [--remember N] [--peers DIR] [FILE | --listen "
	"PATH [--mode MODE] [--group GROUP]]\n";

/* clang-format off */
static const char help[] =
	"Decides on messages between kernels of tenants, and delivers them. Reads one JSON object\n"
	"a line from FILE, from standard input, or from the clients of a socket, and answers each\n"
	"with one line. At the end of its input, or on SIGTERM, SIGINT or SIGHUP, it returns all\n"
	"kernel slots and ends with 0. If nobody can read its answers any more, it does the same\n"
	"and ends with 10. If a service manager passes a listening socket (LISTEN_FDS), it serves\n"
	"that. k2k-broker(1) describes lines and answers in full.\n"
	"\n"
	"  -r, --registry NAME  the registry (environment K2K_REGISTRY; \"default\")\n"
	"  -l, --listen PATH    serve the clients of a Unix-domain socket at PATH\n"
	"      --mode MODE      of that socket, in octal digits; 0660 and a group keep others out.\n"
	"                       Unless given, the umask decides\n"
	"      --group GROUP    of that socket, by name or number\n"
	"  -q, --queue N        messages that wait for one connection (256; at most 65536)\n"
	"      --peers DIR      exchange messages with the other brokers that have a socket in DIR\n"
	"      --remember N     answers that are kept of one client (64; at most 65536)\n"
	"  -s, --summary        print the counts at the end; without --listen, no answers\n"
	"  -h, --help           this\n"
	"  -V, --version        the version\n"
	"\n"
	"Lines\n"
	"  {\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42,\"org\":1,\"engagement\":7}\n"
	"  {\"kernel\":\"remove\",\"name\":\"a\"}\n"
	"  {\"send\":\"a\",\"to\":\"b\",\"org\":1,\"engagement\":7,\"gpu_ns\":\"1500000\"}\n"
	"  {\"reserve\":\"job\",\"tenant\":42,\"org\":1,\"engagement\":7,\"gpu_ns\":\"2000000\"}\n"
	"  {\"commit\":\"job\",\"gpu_ns\":\"1500000\"}\n"
	"  {\"cancel\":\"job\"}\n"
	"  {\"stats\":true}\n"
	"  {\"client\":\"gateway-1\"}\n"
	"  Each may have an \"id\", a string or a number, which its answer has too. If the first line\n"
	"  named a client, a repeat with the same id gets the first answer, and books nothing.\n"
	"\n"
	"Exit status: 0 done; 2 usage; 4 PATH is not a socket; 5 no free broker slot; 6 registry\n"
	"missing, of another layout or boot, or corrupt; 7 permission; 8 busy, or PATH in use;\n"
	"10 the system failed, or standard output was closed.\n"
	"\n"
	"Example:\n"
	"  printf '%s\\n' '{\"kernel\":\"add\",\"name\":\"a\",\"tenant\":42}' '{\"send\":\"a\",\"to\":\"a\"}' |\n"
	"      k2k-broker -r prod\n";
/* clang-format on */

__attribute__((format(printf, 2, 3), noreturn)) static void fail(int status, const char *format,
                                                                 ...)
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
	const char *registry, *file, *peers;
	struct server_options server;
	int listening; /* a socket is served, not a stream */
	int summary;
	size_t remember; /* requests of a client */
};

static mode_t read_mode(const char *text)
{
	size_t length = strspn(text, "01234567");

	if (length == 0 || length > 4 || text[length] || strtoul(text, NULL, 8) > 0777)
		fail(2, "--mode: \"%s\" is not a mode from 0 to 0777, in octal digits", text);
	return (mode_t)strtoul(text, NULL, 8);
}

static gid_t read_group(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	const struct group *group = getgrnam(text);
	unsigned long long number;

	if (group)
		return group->gr_gid;
	errno = 0;
	number = digits && !text[digits] ? strtoull(text, NULL, 10) : ULLONG_MAX;
	if (errno || number >= UINT32_MAX) /* the last one means "leave it" to chown(2) */
		fail(2, "--group: \"%s\": no such group", text);
	return (gid_t)number;
}

/* A socket that a service manager passed is served, and nothing else. */
static void take_socket(struct options *options)
{
	const char *why;

	options->server.fd = take_listening_socket(&why);
	if (options->server.fd == -2)
		fail(2, "%s", why);
	if (options->server.fd >= 0 && (options->file || options->server.path))
		fail(2, "%s: the service manager passed a socket already (LISTEN_FDS)",
		     options->file ? options->file : "--listen");
	options->listening = options->server.fd >= 0 || options->server.path;
	if (!options->server.path && (options->server.has_mode || options->server.has_group))
		fail(2, "--mode and --group need --listen");
}

static size_t read_number(const char *option, const char *text, unsigned long last)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || number > last)
		fail(2, "%s: \"%s\" is not a number from 0 to %lu", option, text, last);
	return number;
}

static struct options read_options(int argc, char **argv)
{
	enum { MODE = 256, GROUP, REMEMBER, PEERS };
	static const struct option longs[] = {
		{ "registry", required_argument, NULL, 'r' },
		{ "listen", required_argument, NULL, 'l' },
		{ "queue", required_argument, NULL, 'q' },
		{ "remember", required_argument, NULL, REMEMBER },
		{ "peers", required_argument, NULL, PEERS },
		{ "summary", no_argument, NULL, 's' },
		{ "mode", required_argument, NULL, MODE },
		{ "group", required_argument, NULL, GROUP },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct options options = { .registry = getenv("K2K_REGISTRY"),
		                   .server.queue = QUEUE_DEFAULT,
		                   .remember = REMEMBER_DEFAULT };
	int c;

	while ((c = getopt_long(argc, argv, "r:l:q:shV", longs, NULL)) != -1) {
		switch (c) {
		case 'r': options.registry = optarg; break;
		case 'l': options.server.path = optarg; break;
		case 's': options.summary = 1; break;
		case PEERS: options.peers = optarg; break;
		case MODE:
			options.server.mode = read_mode(optarg);
			options.server.has_mode = 1;
			break;
		case GROUP:
			options.server.group = read_group(optarg);
			options.server.has_group = 1;
			break;
		case 'q': options.server.queue = read_number("--queue", optarg, QUEUE_LAST); break;
		case REMEMBER:
			options.remember = read_number("--remember", optarg, REMEMBER_LAST);
			break;
		case 'h': printf("%s\n%s", usage, help); exit(fflush(stdout) ? 10 : 0);
		case 'V': printf("k2k-broker %s\n", k2k_version()); exit(fflush(stdout) ? 10 : 0);
		default: fail(2, "see k2k-broker --help");
		}
	}
	if (optind < argc)
		options.file = argv[optind++];
	if (optind < argc)
		fail(2, "%s: only one file can be read", argv[optind]);
	if (options.file && options.server.path)
		fail(2, "%s: --listen reads no file", options.file);
	if (!options.registry || !options.registry[0])
		options.registry = "default";
	take_socket(&options);
	return options;
}

static int exit_status(int code)
{
	switch (code) {
	case K2K_EINVAL: return 2;
	case K2K_ENOBROKERSLOT: return 5;
	case K2K_ENOREGISTRY:
	case K2K_ELAYOUT:
	case K2K_EBOOT:
	case K2K_ECORRUPT:
	case K2K_EFENCED: return 6;
	case K2K_EPERM:
	case K2K_EOWNER: return 7;
	case K2K_EBUSY: return 8;
	default: return 10;
	}
}

/* ---- a stream: standard input or a file --------------------------------------------- */

enum stream { GO_ON, STOPPED, OUTPUT_CLOSED, NOTHING };

/*
 * Waits for fd, for a signal, for the end of the process that reads the answers, and unless `peers`
 * is null, for other brokers: then it returns NOTHING.
 */
static enum stream wait_for(int fd, short events, int stop_fd, const struct peers *peers,
                            int timeout)
{
	struct pollfd polls[4] = { { .fd = stop_fd, .events = POLLIN },
		                   { .fd = STDOUT_FILENO },
		                   { .fd = fd, .events = events },
		                   { .fd = peers ? peers_fd(peers) : -1, .events = POLLIN } };

	if (poll(polls, 4, timeout) <= 0)
		return NOTHING;
	if (polls[1].revents)
		errno = EPIPE;
	return polls[0].revents   ? STOPPED
	       : polls[1].revents ? OUTPUT_CLOSED
	       : polls[2].revents ? GO_ON
	                          : NOTHING;
}

/* Reports an error. Slots are still to be returned. */
static int failed(const char *what)
{
	fprintf(stderr, "k2k-broker: %s: %s\n", what, strerror(errno));
	return 10;
}

/*
 * Writes at most PIPE_BUF bytes at once: a pipe that is ready takes so many without waiting, so a
 * reader that sleeps can't hold up SIGTERM.
 */
static enum stream write_all(const char *bytes, size_t size, int stop_fd)
{
	size_t done = 0;

	while (done < size) {
		enum stream wait = wait_for(STDOUT_FILENO, POLLOUT, stop_fd, NULL, -1);
		size_t piece = size - done < PIPE_BUF ? size - done : PIPE_BUF;
		ssize_t n;

		if (wait == STOPPED)
			return STOPPED;
		n = wait == NOTHING ? 0 : write(STDOUT_FILENO, bytes + done, piece);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return OUTPUT_CLOSED;
		done += n > 0 ? (size_t)n : 0;
	}
	return GO_ON;
}

struct stream_inbox {
	struct broker_inbox inbox;
	size_t queue;
};

/* A kernel without a connection consumes its messages at once. */
static int consume(struct broker_inbox *inbox, const struct broker_message *message)
{
	(void)message;
	return ((struct stream_inbox *)inbox)->queue > 0 ? 0 : -1;
}

static int run_stream(int fd, const struct options *options, struct answers *answers,
                      struct peers *peers, int stop_fd)
{
	static struct session session;
	struct stream_inbox stream = { .inbox.deliver = consume, .queue = options->server.queue };
	enum stream state = GO_ON;
	int status = 0;

	session_begin(&session, &stream.inbox);
	for (int at_end = 0; !at_end && !status && (state == GO_ON || state == NOTHING);) {
		size_t room, size;
		char *to = line_room(&session.input, &room), *text;
		FILE *out;
		ssize_t n;

		state = wait_for(fd, POLLIN, stop_fd, peers, broker_tick(answers->broker));
		if (state == STOPPED || state == OUTPUT_CLOSED)
			break;
		if (peers)
			peers_work(peers);
		n = state == GO_ON ? read(fd, to, room) : 0;
		if (n < 0 && errno != EINTR && errno != EAGAIN) {
			status = failed(options->file ? options->file : "standard input");
			break;
		}
		at_end = state == GO_ON && n == 0;
		line_read(&session.input, n > 0 ? (size_t)n : 0);
		out = text_open(&text, &size);
		while (answer_line(&session, at_end, answers, options->summary ? NULL : out))
			;
		text_close(out);
		state = write_all(text, size, stop_fd);
		free(text);
	}
	if (state == OUTPUT_CLOSED)
		status = failed("standard output");
	session_end(&session, answers);
	return status;
}

static int open_input(const char *file)
{
	int fd = !file || strcmp(file, "-") == 0 ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail(errno == EACCES ? 7 : 2, "%s: %s", file, strerror(errno));
	return fd;
}

/* ---- main ------------------------------------------------------------------------------ */

/*
 * Returns a descriptor that is readable after a signal that ends the broker in order. SIGHUP stays
 * ignored if it was ignored before (nohup).
 */
static int catch_signals(void)
{
	struct sigaction hangup;
	sigset_t stop;
	int fd;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
		sigaddset(&stop, SIGHUP);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	fd = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		fail(10, "signalfd: %s", strerror(errno));
	return fd;
}

/* From READY to STOPPING. The caller closes *server, after it has printed the counts. */
static int run(const struct options *options, int input, struct answers *answers,
               struct peers *peers, int stop_fd, struct server **server)
{
	char why[256];
	int status = 0;

	if (options->listening) {
		*server = server_open(&options->server, why, &status);
		if (!*server) {
			fprintf(stderr, "k2k-broker: %s: %s\n", options->server.path, why);
			return status;
		}
	}
	notify("READY=1");
	if (!options->listening)
		status = run_stream(input, options, answers, peers, stop_fd);
	else if (server_run(*server, answers, peers, stop_fd) != 0)
		status = failed("poll");
	notify("STOPPING=1");
	return status;
}

static struct peers *open_peers(const struct options *options, struct broker *broker)
{
	struct peers *peers = NULL;
	char why[256];
	int status;

	if (options->peers) {
		peers = peers_open(options->peers, broker, why, &status);
		if (!peers)
			fail(status, "%s: %s", options->peers, why);
	}
	return peers;
}

int main(int argc, char **argv)
{
	struct answers answers = { 0 };
	struct server *server = NULL;
	struct peers *peers;
	struct options options;
	char *totals = NULL;
	size_t size;
	int status, code, stop_fd, input;

	hold_standard_files();
	ignore_signals_of_writes();
	options = read_options(argc, argv);
	input = options.listening ? -1 : open_input(options.file);
	stop_fd = catch_signals();
	code = broker_open(&answers.broker, options.registry);
	if (code) {
		const struct k2k_error_detail *detail = k2k_error_detail();

		fail(exit_status(code), "registry %s: %s%s%s", options.registry, k2k_strerror(code),
		     detail->code == code && detail->text[0] ? ": " : "",
		     detail->code == code ? detail->text : "");
	}
	peers = open_peers(&options, answers.broker);
	answers.clients = clients_open(options.remember);
	status = run(&options, input, &answers, peers, stop_fd, &server);
	if (options.summary && !status) {
		FILE *out = text_open(&totals, &size);

		answer_write_totals(out, &answers);
		text_close(out);
	}
	if (server)
		server_close(&server, &answers);
	clients_close(&answers.clients);
	peers_close(&peers);
	broker_close(&answers.broker);
	/* all slots are returned by now, so a reader that sleeps only holds up this process */
	if (totals && (fwrite(totals, 1, size, stdout) < size || fflush(stdout)))
		status = failed("standard output");
	free(totals);
	return status;
}
