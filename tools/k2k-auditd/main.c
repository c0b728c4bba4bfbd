/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* k2k-auditd - keeps the audit trail of a registry */
#include "follow.h"
#include "logfile.h"
#include "report.h"
#include "stream.h"
#include "common/clock.h"
#include "common/memory.h"
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

#define LOOK_NS UINT64_C(1000000000) /* between two checks of the file */
#define REPORT_AGAIN_NS UINT64_C(60000000000)
#define SYNC_DEFAULT_NS UINT64_C(1000000000)

static const char usage[] =
	"Usage: k2k-auditd [-r NAME] --file FILE [--key FILE] [options]\n"
	"       k2k-auditd [-r NAME] --stdout | --syslog | --journal [--state FILE]\n";

/* clang-format off */
static const char help[] =
	"Follows the audit rings of a registry and keeps their events, one JSON object a line.\n"
	"If there is no registry, or if it is replaced, it waits for one. On SIGTERM or SIGINT\n"
	"it ends with 0. k2k-auditd(8) describes it in full.\n"
	"\n"
	"  -r, --registry NAME  the registry (environment K2K_REGISTRY; \"default\")\n"
	"  -f, --file FILE      a chain of lines: 'k2k-tenantctl audit verify' finds a line that\n"
	"                       was changed, removed, added or moved. Beside it are FILE.head\n"
	"                       and FILE.lock\n"
	"      --stdout         standard output\n"
	"      --syslog[=SOCKET]    the system's log (/dev/log), facility authpriv\n"
	"      --journal[=SOCKET]   the journal, with K2K_KIND as a field of its own\n"
	"      --once           write what is there, and end\n"
	"  -h, --help           this\n"
	"  -V, --version        the version\n"
	"\n"
	"With --file\n"
	"  -k, --key FILE       32 bytes, or 64 hexadecimal digits, that only their owner can read:\n"
	"                         (umask 077; head -c 32 /dev/urandom >FILE)\n"
	"                       Without a key anybody who may write the log can replace it\n"
	"      --max-size SIZE  begin a new file before this one gets larger (64M; or unlimited)\n"
	"      --max-age DUR    begin a new file when this one is older (unlimited)\n"
	"      --keep N         how many older files to keep, as FILE.1, FILE.2, ... (8; at most 1000)\n"
	"      --sync each|DUR  sync lines, and then the head, after each write, or after this time\n"
	"                       (interval = 1s, the default). A kill loses nothing in either case;\n"
	"                       a crash of the machine loses what is not synced\n"
	"\n"
	"Without --file\n"
	"      --state FILE     remember in FILE which events are written; without it, begin with all\n"
	"                       that the rings hold. After a kill between a write and that of FILE,\n"
	"                       events come twice; ring and sequence identify them\n"
	"\n"
	"Exit status: 0 done; 2 usage, or another key than the log's; 4 FILE is not an audit log;\n"
	"7 permission, or a key that others can read; 8 FILE is in use; 10 the system failed.\n"
	"\n"
	"Example:\n"
	"  k2k-auditd -r prod --file /var/log/k2k/audit.log --key /etc/k2k/audit.key\n";
/* clang-format on */

__attribute__((format(printf, 2, 3), noreturn)) static void fail(int status, const char *format,
                                                                 ...)
{
	va_list args;

	va_start(args, format);
	report_args(format, args);
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
	case 'h': printf("%s\n%s", usage, help); exit(fflush(stdout) ? 10 : 0);
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
		fail(2, "one of --file, --stdout, --syslog and --journal is needed; for several "
		        "destinations start several");
	if (o.file && o.state)
		fail(2, "--state: not with --file; a log has its own position");
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
	struct logfile *log;   /* either this one */
	struct stream *stream; /* or this one */
	const char *name;
};

static void read_key(struct options *o)
{
	char why[128];
	int code;

	if (!o->key) {
		report("%s: no --key: anybody who may write the file can replace it unnoticed",
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

static int write_to(struct destination *d, struct bodies *bodies)
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

/* ---- events that can't be written ------------------------------------------------ */

struct trouble {
	int error;
	uint64_t since_ns, reported_ns;
};

static void trouble_begins(struct trouble *t, const struct destination *d, int error)
{
	uint64_t now = clock_monotonic_ns();

	if (!t->error)
		t->since_ns = now;
	if (t->error != error || now - t->reported_ns >= REPORT_AGAIN_NS) {
		report("%s: %s; trying again; events wait in the rings until they are overwritten",
		       d->name, strerror(error));
		t->reported_ns = now;
	}
	t->error = error;
}

static void trouble_ends(struct trouble *t, const struct destination *d)
{
	if (t->error)
		report("%s: written again, after %" PRIu64 " s", d->name,
		       (clock_monotonic_ns() - t->since_ns) / 1000000000);
	t->error = 0;
}

/* ---- main ------------------------------------------------------------------------------------ */

static volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
	stop_signal = number;
}

/* Without SA_RESTART, so a wait ends at once; one that begins just then lasts LOOK_NS at most. */
static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGHUP, SIG_IGN); /* must not end the daemon */
}

/*
 * Reports to the registry what is kept. The first time, reports to the service manager that the
 * daemon is ready, because units that change a registry which requires audit start after it.
 */
static void report_kept(struct follow *follow, const struct destination *d, bool failing,
                        bool *ready)
{
	follow_report(follow, position_of(d), failing);
	if (!*ready)
		notify("READY=1");
	*ready = true;
}

/* Returns the exit status. */
static int run(struct destination *d, struct follow *follow, int once)
{
	struct trouble trouble = { 0 };
	bool ready = false;
	struct bodies bodies = { 0 };
	int status = -1;

	while (status < 0) {
		size_t count = 0;
		int code;

		if (stop_signal) {
			status = trouble.error ? 10 : 0;
			break;
		}
		if (bodies_are_taken(&bodies)) {
			FILE *out = bodies_begin(&bodies);

			count = follow_read(follow, position_of(d), out);
			text_close(out);
		}
		if (follow_error(follow) == K2K_EINVAL) {
			status = 2; /* no registry can have this name */
			break;
		}
		code = bodies_are_taken(&bodies) ? tick(d) : write_to(d, &bodies);
		if (code == LOGFILE_REWOUND) {
			bodies_free(&bodies);
			continue;
		}
		if (code == -EINTR)
			continue;
		if (code < 0) {
			trouble_begins(&trouble, d, -code);
			report_kept(follow, d, true, &ready);
			if (once || code == -EPIPE)
				status = 10;
			else
				nanosleep(&(struct timespec){ LOOK_NS / 1000000000, 0 }, NULL);
			continue;
		}
		trouble_ends(&trouble, d);
		report_kept(follow, d, false, &ready);
		if (!count && once)
			status = follow_error(follow) ? 6 : 0;
		else if (!count)
			follow_wait(follow, wait_time(d));
	}
	if (!bodies_are_taken(&bodies) && trouble.error)
		report("%s: ending with events unwritten; the rings keep them for the next start, "
		       "as "
		       "long as they last",
		       d->name);
	bodies_free(&bodies);
	return status;
}

int main(int argc, char **argv)
{
	struct options options;
	struct destination destination;
	struct follow *follow;
	int status;

	hold_standard_files();
	ignore_signals_of_writes();
	openlog("k2k-auditd", LOG_PID, LOG_DAEMON);
	options = read_options(argc, argv);
	if (chain_init())
		fail(10, "libsodium can't be initialised");
	catch_signals();
	destination = open_destination(&options);
	follow = follow_new(options.registry);
	status = run(&destination, follow, options.once);
	notify("STOPPING=1");
	follow_free(&follow);
	if (destination.log)
		logfile_close(&destination.log, stop_signal ? strsignal(stop_signal) : "done");
	else
		stream_close(&destination.stream);
	return status;
}
