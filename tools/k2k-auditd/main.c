/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * k2k-auditd - keeps what the audit rings of a registry say
 */
#include "follow.h"
#include "logfile.h"
#include "stream.h"
#include "common/clock.h"
#include "common/service.h"
#include "common/units.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LOOK_NS UINT64_C(1000000000) /* for the file, and for what a signal just missed */
#define SAY_AGAIN_NS UINT64_C(60000000000)
#define SYNC_DEFAULT_NS UINT64_C(1000000000)

static const char usage[] =
	"Usage: k2k-auditd [-r NAME] --file FILE [--key FILE] [options]\n"
	"       k2k-auditd [-r NAME] --stdout | --syslog | --journal [--state FILE]\n";

static const char help[] =
	"\n"
	"Follows the audit rings of a registry and keeps their events, one JSON object a line.\n"
	"With the right to write its live object it registers as a follower (8 at most): then "
	"changes\n"
	"wait for it up to two seconds rather than write over what it has not kept, what it lost\n"
	"anyhow is counted where 'k2k-tenantctl audit stats' and the exporter find it, and a "
	"registry\n"
	"made with --require-audit takes changes while it keeps up. Without that right it only "
	"reads,\n"
	"and says so. Where there is no registry, or it is replaced, it waits for one. On SIGTERM "
	"or\n"
	"SIGINT it ends with 0. One process keeps one log; several may follow the same registry.\n"
	"\n"
	"  -r, --registry NAME  the registry (environment K2K_REGISTRY; \"default\")\n"
	"  -f, --file FILE      a chain of lines: 'k2k-tenantctl audit verify' tells which one "
	"was\n"
	"                       changed, removed, added or moved. Beside it FILE.head, FILE.lock\n"
	"      --stdout         standard output\n"
	"      --syslog[=SOCKET]    the system's log (/dev/log), facility authpriv\n"
	"      --journal[=SOCKET]   the journal, with K2K_KIND as a field of its own\n"
	"      --once           write what is there, and end\n"
	"  -h, --help           this\n"
	"  -V, --version        the version\n"
	"\n"
	"With --file\n"
	"  -k, --key FILE       32 bytes, or 64 hexadecimal digits, that only their owner may "
	"read:\n"
	"                         (umask 077; head -c 32 /dev/urandom >FILE)\n"
	"                       Without one anybody who may write the log can make it anew\n"
	"      --max-size SIZE  begins a new file before this one gets larger (64M; or unlimited)\n"
	"      --max-age DUR    begins a new file when this one is older (unlimited)\n"
	"      --keep N         older files that are kept, as FILE.1, FILE.2, ... (8; at most "
	"1000)\n"
	"      --sync each|DUR  brings lines to the disk, and then the head: after each write, or\n"
	"                       so much later (interval = 1s, the default). Killed, it loses "
	"nothing of what was\n"
	"                       written either way; this is about crashes of the machine\n"
	"  SIGHUP: somebody moved the file; goes on in a new one at once (unasked within a "
	"second).\n"
	"  Where it stopped, the log itself says: after any end it goes on there, each event once. "
	"What\n"
	"  the rings no longer hold is a line of the kind \"lost\", with the number.\n"
	"  Disk full, file removed or cut: said on standard error and in the system's log, and in "
	"the\n"
	"  file once it can be written; events wait in the rings, and what was taken away is read\n"
	"  again as far as they still hold it.\n"
	"\n"
	"Without --file\n"
	"      --state FILE     where it stopped; without it, it begins with all that the rings "
	"hold.\n"
	"                       Killed between a write and this file's, the events of that write\n"
	"                       come twice: ring and sequence tell\n"
	"\n"
	"Exit status: 0 done; 2 usage, or another key than the log's; 4 FILE is something else;\n"
	"7 permission, a key that others may read too; 8 FILE is in use; 10 the system failed.\n"
	"\n"
	"Example:\n"
	"  k2k-auditd -r prod --file /var/log/k2k/audit.log --key /etc/k2k/audit.key\n";

__attribute__((format(printf, 2, 3), noreturn)) static void fail(int status, const char *format,
                                                                 ...)
{
	va_list args;

	va_start(args, format);
	say_args(format, args);
	va_end(args);
	exit(status);
}

/* ---- options ---------------------------------------------------------------------------- */

struct options {
	const char *registry, *file, *key, *state, *socket;
	int destinations, once;
	enum stream_kind stream;
	struct log_options log;
};

enum {
	OPT_STDOUT = 256,
	OPT_SYSLOG,
	OPT_JOURNAL,
	OPT_STATE,
	OPT_MAX_SIZE,
	OPT_MAX_AGE,
	OPT_KEEP,
	OPT_SYNC,
	OPT_ONCE
};

static uint64_t parse(const char *option, const char *text,
                      int (*parser)(const char *, uint64_t *, struct units_fault *))
{
	struct units_fault fault;
	uint64_t value;

	if (parser(text, &value, &fault))
		fail(2, "--%s '%.100s': %s at position %zu", option, text, fault.what,
		     fault.position);
	return value;
}

static int parse_keep(const char *text, uint64_t *value, struct units_fault *fault)
{
	return units_parse_count(text, 0, 1000, value, fault);
}

static uint64_t parse_sync(const char *text)
{
	if (!strcmp(text, "each"))
		return 0;
	return !strcmp(text, "interval") ? SYNC_DEFAULT_NS
	                                 : parse("sync", text, units_parse_duration);
}

static void take_option(struct options *o, int c)
{
	switch (c) {
	case 'r': o->registry = optarg; break;
	case 'f': o->file = optarg, o->destinations++; break;
	case 'k': o->key = optarg; break;
	case OPT_STDOUT: o->stream = STREAM_STDOUT, o->destinations++; break;
	case OPT_SYSLOG:
		o->stream = STREAM_SYSLOG, o->destinations++;
		o->socket = optarg ? optarg : "/dev/log";
		break;
	case OPT_JOURNAL:
		o->stream = STREAM_JOURNAL, o->destinations++;
		o->socket = optarg ? optarg : "/run/systemd/journal/socket";
		break;
	case OPT_STATE: o->state = optarg; break;
	case OPT_MAX_SIZE: o->log.max_size = parse("max-size", optarg, units_parse_size); break;
	case OPT_MAX_AGE: o->log.max_age_ns = parse("max-age", optarg, units_parse_duration); break;
	case OPT_KEEP: o->log.keep = parse("keep", optarg, parse_keep); break;
	case OPT_SYNC: o->log.interval_ns = parse_sync(optarg); break;
	case OPT_ONCE: o->once = 1; break;
	case 'h':
		fputs(usage, stdout);
		fputs(help, stdout);
		exit(fflush(stdout) ? 10 : 0);
	case 'V': printf("k2k-auditd %s\n", k2k_version()); exit(fflush(stdout) ? 10 : 0);
	default: fail(2, "see k2k-auditd --help");
	}
}

static struct options read_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "registry", required_argument, NULL, 'r' },
		{ "file", required_argument, NULL, 'f' },
		{ "key", required_argument, NULL, 'k' },
		{ "stdout", no_argument, NULL, OPT_STDOUT },
		{ "syslog", optional_argument, NULL, OPT_SYSLOG },
		{ "journal", optional_argument, NULL, OPT_JOURNAL },
		{ "state", required_argument, NULL, OPT_STATE },
		{ "max-size", required_argument, NULL, OPT_MAX_SIZE },
		{ "max-age", required_argument, NULL, OPT_MAX_AGE },
		{ "keep", required_argument, NULL, OPT_KEEP },
		{ "sync", required_argument, NULL, OPT_SYNC },
		{ "once", no_argument, NULL, OPT_ONCE },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = { .registry = getenv("K2K_REGISTRY"),
		             .log = { .max_size = UINT64_C(64) << 20,
		                      .max_age_ns = UINT64_MAX,
		                      .keep = 8,
		                      .interval_ns = SYNC_DEFAULT_NS } };
	int c;

	while ((c = getopt_long(argc, argv, "r:f:k:hV", longs, NULL)) != -1)
		take_option(&o, c);
	if (optind < argc)
		fail(2, "'%.100s': there are no arguments, only options; see k2k-auditd --help",
		     argv[optind]);
	if (o.destinations != 1)
		fail(2, "one of --file, --stdout, --syslog and --journal is needed; for more start "
		        "one more");
	if (o.file && o.state)
		fail(2, "--state: a log says by itself where it stopped");
	if (!o.file && o.key)
		fail(2, "--key: only with --file");
	if (!o.registry || !o.registry[0])
		o.registry = "default";
	o.log.file = o.file;
	o.log.registry = o.registry;
	return o;
}

/* ---- the destination ------------------------------------------------------------------------ */

struct destination {
	struct logfile *log; /* this one, or the other */
	struct stream *stream;
	const char *name;
};

static void read_key(struct options *o)
{
	char why[128];
	int code;

	if (!o->key) {
		say("%s: no --key: whoever may write the file can make it anew, and nobody will "
		    "see it",
		    o->file);
		return;
	}
	code = chain_read_key(o->key, &o->log.key, why, sizeof(why));
	if (code)
		fail(code == CHAIN_KEY_RIGHTS ? 7
		     : code == CHAIN_KEY_FORM ? 2
		                              : 10,
		     "%s: %s", o->key, why);
}

static struct destination open_destination(struct options *o)
{
	struct destination d = { NULL, NULL,
		                 o->file     ? o->file
		                 : o->socket ? o->socket
		                             : "standard output" };
	char why[512];
	int status;

	if (o->file) {
		read_key(o);
		status = logfile_open(&d.log, &o->log, why, sizeof(why));
	} else {
		status = stream_open(&d.stream, o->stream, o->socket, o->state, why, sizeof(why));
	}
	if (status)
		fail(status, "%s", why);
	return d;
}

static const struct position *position_of(const struct destination *d)
{
	return d->log ? logfile_position(d->log) : stream_position(d->stream);
}

static int write_to(struct destination *d, struct text *bodies)
{
	return d->log ? logfile_write(d->log, bodies) : stream_write(d->stream, bodies);
}

static int tick(struct destination *d)
{
	return d->log ? logfile_tick(d->log) : stream_tick(d->stream);
}

static uint64_t wait_time(const struct destination *d)
{
	uint64_t due = d->log ? logfile_due_ns(d->log) : UINT64_MAX;

	return due < LOOK_NS ? due : LOOK_NS;
}

/* ---- what can't be written waits ------------------------------------------------------------- */

struct trouble {
	int error;
	uint64_t since_ns, said_ns;
};

static void trouble_is(struct trouble *t, const struct destination *d, int error)
{
	uint64_t now = clock_monotonic_ns();

	if (!t->error)
		t->since_ns = now;
	if (t->error != error || now - t->said_ns >= SAY_AGAIN_NS) {
		say("%s: %s; trying again; the rings keep what comes, and are not endless", d->name,
		    strerror(error));
		t->said_ns = now;
	}
	t->error = error;
}

static void trouble_is_over(struct trouble *t, const struct destination *d)
{
	if (t->error)
		say("%s: written again, after %" PRIu64 " s", d->name,
		    (clock_monotonic_ns() - t->since_ns) / 1000000000);
	t->error = 0;
}

/* ---- main ------------------------------------------------------------------------------------ */

static volatile sig_atomic_t stop_signal, hup_signal;

static void on_signal(int number)
{
	if (number == SIGHUP)
		hup_signal = 1;
	else
		stop_signal = number;
}

/* Without SA_RESTART: a wait ends at once. One that begins just then lasts LOOK_NS at most. */
static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Returns the exit status. */
static int run(struct destination *d, struct follow *follow, int once)
{
	struct trouble trouble = { 0 };
	struct text bodies = { 0 };
	int status = -1;

	while (status < 0) {
		size_t count = 0;
		int code;

		if (stop_signal) {
			status = trouble.error ? 10 : 0;
			break;
		}
		if (!bodies.size)
			count = follow_read(follow, position_of(d), &bodies);
		if (follow_error(follow) == K2K_EINVAL) {
			status = 2; /* its name is none: it will never come */
			break;
		}
		code = hup_signal ? tick(d) : 0;
		hup_signal = 0;
		if (!code)
			code = bodies.size ? write_to(d, &bodies) : tick(d);
		if (code == LOGFILE_REWOUND) {
			bodies.size = 0;
			continue;
		}
		if (code == -EINTR)
			continue;
		if (code < 0) {
			trouble_is(&trouble, d, -code);
			follow_say(follow, position_of(d), true);
			if (once || code == -EPIPE)
				status = 10;
			else
				nanosleep(&(struct timespec){ LOOK_NS / 1000000000, 0 }, NULL);
			continue;
		}
		trouble_is_over(&trouble, d);
		follow_say(follow, position_of(d), false);
		if (!count && once)
			status = follow_error(follow) ? 6 : 0;
		else if (!count)
			follow_wait(follow, wait_time(d));
	}
	if (bodies.size && trouble.error)
		say("%s: ending with events unwritten; the rings keep them for the next start, as "
		    "long as they last",
		    d->name);
	text_free(&bodies);
	return status;
}

int main(int argc, char **argv)
{
	struct options options;
	struct destination destination;
	struct follow *follow;
	int status;

	hold_standard_files();
	openlog("k2k-auditd", LOG_PID, LOG_DAEMON);
	options = read_options(argc, argv);
	if (chain_init())
		fail(10, "libsodium can't be initialised");
	catch_signals();
	destination = open_destination(&options);
	follow = follow_new(options.registry);
	notify("READY=1");
	status = run(&destination, follow, options.once);
	notify("STOPPING=1");
	follow_free(&follow);
	if (destination.log)
		logfile_close(&destination.log, stop_signal ? strsignal(stop_signal) : "done");
	else
		stream_close(&destination.stream);
	return status;
}
