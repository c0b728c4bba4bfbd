/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* k2k-fleetd - the agent of a registry in a fleet */
#include "agent.h"
#include "pace.h"
#include "common/clock.h"
#include "common/service.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define CHECK_NS UINT64_C(10000000000) /* between two looks for what others have changed */
#define TELL_NS UINT64_C(1000000000)   /* between two metrics */

static const char usage[] = "Usage: k2k-fleetd [-r NAME] [-d CONNINFO] [--host NAME] [options]\n";

/* clang-format off */
static const char help[] =
	"Makes the tenants of a registry what the fleet's database says, and reports to the\n"
	"database what they use. Without the database, or without the registry, it waits for\n"
	"it: the tenants stay as they are. On SIGTERM or SIGINT it reports and ends with 0.\n"
	"k2k-fleetd(8) describes it in full.\n"
	"\n"
	"  -r, --registry NAME  the registry (environment K2K_REGISTRY; \"default\")\n"
	"  -d, --database CONNINFO\n"
	"                       as libpq has it (environment K2K_FLEET; libpq's own variables);\n"
	"                       without a password: that belongs into ~/.pgpass\n"
	"      --host NAME      the host's name in the fleet (the machine's)\n"
	"      --poll DUR       ask for new definitions this often (500ms; up to a fifth more)\n"
	"      --report DUR     report the use this often (10s; at most 20s; up to a fifth more)\n"
	"      --full DUR       report and read all again this often (20h; up to a fifth more)\n"
	"      --drain DUR      how long a tenant that is removed may keep what it holds (30s)\n"
	"      --chunk DUR      draw at least so much of a budget over the fleet at once (10s)\n"
	"      --lease DUR      shares of rates end so long after they were last renewed (5s)\n"
	"      --metrics FILE   write metrics of the agent into it, every second\n"
	"      --timeout DUR    the longest wait for the database or the registry (5s; for a new\n"
	"                       connection twice that, and up to 30s after failures)\n"
	"      --once           do everything once, and end\n"
	"  -h, --help           this\n"
	"  -V, --version        the version\n"
	"\n"
	"Exit status: 0 done; 2 usage; 6 no usable registry or fleet; 7 permission;\n"
	"8 another agent speaks for this host; 10 the system failed.\n"
	"\n"
	"Example:\n"
	"  k2k-fleetd -r prod -d service=fleet --host gpu-17\n";
/* clang-format on */

void say(struct agent *a, const char *format, ...)
{
	char text[sizeof(a->said)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!strcmp(text, a->said))
		return;
	strcpy(a->said, text);
	fprintf(stderr, CTL_NAME ": %s\n", text);
}

/* The agent has no global options of k2k-tenantctl's kind. */
bool settle_place(struct ctl *ctl)
{
	(void)ctl;
	return true;
}

/* ---- options ---------------------------------------------------------------------------- */

enum {
	LONG_HOST = 256,
	LONG_POLL,
	LONG_REPORT,
	LONG_DRAIN,
	LONG_TIMEOUT,
	LONG_ONCE,
	LONG_CHUNK,
	LONG_METRICS,
	LONG_LEASE,
	LONG_FULL
};

static void wrong(const char *message, const char *text)
{
	fprintf(stderr, CTL_NAME ": %s%s\n", message, text);
	exit(EXIT_USAGE);
}

static uint64_t duration(const char *option, const char *text, uint64_t most_ns)
{
	struct units_fault fault;
	uint64_t ns;

	if (units_parse_duration(text, &ns, &fault) || ns < 1000000 || ns > most_ns)
		wrong(option, ": a duration like 500ms, of at least 1ms, and not too long");
	return ns;
}

static uint64_t lease(const char *text)
{
	const uint64_t least = UINT64_C(1000000000), most = UINT64_C(20000000000);
	uint64_t ns = duration("--lease", text, most);

	if (ns < least)
		wrong("--lease", ": a duration of 1s to 20s");
	return ns;
}

static void take_option(struct agent *a, int c)
{
	const uint64_t year = UINT64_C(365) * 86400 * 1000000000;

	switch (c) {
	case 'r': a->ctl.registry = optarg; break;
	case 'd': a->conninfo = optarg; break;
	case LONG_HOST: a->host = optarg; break;
	case LONG_POLL: a->poll_ns = duration("--poll", optarg, year); break;
	case LONG_REPORT: a->report_ns = duration("--report", optarg, UINT64_C(20000000000)); break;
	case LONG_FULL: a->full_ns = duration("--full", optarg, year); break;
	case LONG_DRAIN: a->drain_ns = duration("--drain", optarg, year); break;
	case LONG_TIMEOUT: a->ctl.timeout_ns = duration("--timeout", optarg, year); break;
	case LONG_CHUNK: a->chunk_ns = duration("--chunk", optarg, year); break;
	case LONG_LEASE: a->lease_ns = lease(optarg); break;
	case LONG_METRICS: a->metrics = optarg; break;
	case LONG_ONCE: a->once = true; break;
	case 'h': printf("%s\n%s", usage, help); exit(fflush(stdout) ? EXIT_SYSTEM : 0);
	case 'V': printf(CTL_NAME " %s\n", k2k_version()); exit(fflush(stdout) ? EXIT_SYSTEM : 0);
	default: wrong("see k2k-fleetd --help", "");
	}
}

static void read_options(struct agent *a, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "registry", required_argument, NULL, 'r' },
		{ "database", required_argument, NULL, 'd' },
		{ "host", required_argument, NULL, LONG_HOST },
		{ "poll", required_argument, NULL, LONG_POLL },
		{ "report", required_argument, NULL, LONG_REPORT },
		{ "full", required_argument, NULL, LONG_FULL },
		{ "drain", required_argument, NULL, LONG_DRAIN },
		{ "timeout", required_argument, NULL, LONG_TIMEOUT },
		{ "chunk", required_argument, NULL, LONG_CHUNK },
		{ "lease", required_argument, NULL, LONG_LEASE },
		{ "metrics", required_argument, NULL, LONG_METRICS },
		{ "once", no_argument, NULL, LONG_ONCE },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	static char machine[256];
	char message[300];
	int c;

	a->ctl.registry = getenv("K2K_REGISTRY");
	a->conninfo = getenv("K2K_FLEET");
	while ((c = getopt_long(argc, argv, "r:d:hV", longs, NULL)) != -1)
		take_option(a, c);
	if (optind < argc)
		wrong("there are no arguments, only options; see k2k-fleetd --help", "");
	if (!a->ctl.registry || !a->ctl.registry[0])
		a->ctl.registry = "default";
	if (!good_registry_name(a->ctl.registry))
		wrong("--registry: not a registry's name", "");
	if (!a->conninfo)
		a->conninfo = "";
	if (!db_check_conninfo(a->conninfo, message, sizeof(message)))
		wrong("--database: ", message);
	if (!a->host && gethostname(machine, sizeof(machine) - 1) == 0)
		a->host = machine;
	if (!a->host || !a->host[0])
		wrong("--host is missing", "");
}

/* ---- the registry ------------------------------------------------------------------------ */

static void registry_close(struct agent *a)
{
	if (a->reg)
		k2k_registry_close(&a->reg);
	link_close(a); /* another registry is another run, which is to be greeted with */
	free(a->registrations);
	a->registrations = NULL;
	a->registration_count = a->registration_room = 0;
}

static int registry_open(struct agent *a)
{
	struct k2k_registry_info info = { .size = sizeof(info) };
	struct k2k_open_options options;
	int code;

	if (a->reg) {
		code = k2k_registry_info(a->reg, &info);
		if (code != K2K_EFENCED)
			return code;
		registry_close(a);
	}
	open_options(&a->ctl, &options);
	code = k2k_registry_open(a->ctl.registry, K2K_ROLE_ADMIN, &options, &a->reg);
	if (!code) {
		a->info = (struct k2k_registry_info){ .size = sizeof(a->info) };
		code = k2k_registry_info(a->reg, &a->info);
	}
	if (code) {
		const struct k2k_error_detail *detail = k2k_error_detail();

		a->counts.registry_errors++;
		say(a, "registry '%s': %s", a->ctl.registry,
		    detail->code == code && detail->text[0] ? detail->text : k2k_strerror(code));
	}
	return code;
}

/* ---- the loop ---------------------------------------------------------------------------- */

struct due {
	uint64_t report_ns, full_ns, check_ns;
	uint64_t count_ns; /* of what there is to report, while it can't be */
};

/*
 * Reports, if it is time for it, and if definitions are in force that were not (is_new): that does
 * not move the next report, so that hosts don't report together after a change. The second report
 * has any distance from the first one, so that those that were started together don't, either. One
 * that failed is due at once. Returns in *was_due whether it was time for it.
 */
static int report_if_due(struct agent *a, struct due *due, uint64_t now, bool is_new, bool *was_due)
{
	int code;

	*was_due = now >= due->report_ns;
	if (!*was_due && !is_new)
		return 0;
	code = report(a);
	if (!code && a->chunk_count)
		code = chunks_fetch(a); /* what others need */
	if (code)
		due->report_ns = now;
	else if (*was_due)
		due->report_ns = now + (due->report_ns ? pace_pause(a->report_ns)
		                                       : pace_part(a->report_ns));
	return code;
}

/* What the database has is compared with what the registry has by sending all. */
static void begin_anew_if_due(struct agent *a, struct due *due, uint64_t now)
{
	if (now < due->full_ns)
		return;
	if (due->full_ns) {
		link_begin_anew(a);
		due->report_ns = now;
	}
	due->full_ns = now + pace_pause(a->full_ns);
}

/* Budgets and limits over the fleet. Shares are looked after as often as the lease. */
static int share(struct agent *a, bool reports)
{
	uint64_t now = clock_monotonic_ns();
	bool looks = chunks_have_shares(a) && now >= a->lease_due_ns;
	int code = 0;

	if (looks) {
		code = lease_renew(a);
		if (!code)
			code = chunks_fetch(a);
		if (!code)
			a->lease_due_ns = now + a->lease_ns / 4;
	}
	return code ? code : chunks_step(a, reports, looks);
}

static int pass(struct agent *a, struct due *due)
{
	int code = registry_open(a);
	uint64_t now = clock_monotonic_ns();
	bool was_due, is_new = false;

	if (!code)
		code = link_open(a);
	if (!code && a->greeted)
		code = lease_go_on(a);
	if (code)
		return code;
	a->greeted = false;
	begin_anew_if_due(a, due, now);
	code = link_fetch(a);
	if (code)
		return code;
	if (a->changed || a->leaving || now >= due->check_ns) {
		uint64_t applied = a->applied;

		code = converge(a);
		if (code)
			return code;
		due->check_ns = now + CHECK_NS;
		a->lease_due_ns = 0; /* before the first share of a rate is drawn */
		is_new = a->applied != applied;
	}
	code = report_if_due(a, due, now, is_new, &was_due);
	return code ? code : share(a, was_due);
}

/* The pause after a pass that ended with this code. */
static uint64_t pause_after(struct agent *a, int code)
{
	/* not if it has answered: it refuses a host whose machine has booted, for half a minute */
	bool is_away = a->reg && !a->epoch && strncmp(a->db.sqlstate, "K2F", 3) != 0;
	uint64_t pause;

	if (code) {
		a->failures++;
		return pace_backoff(a->poll_ns, a->failures,
		                    is_away ? PACE_CONNECT_MOST_NS : PACE_RETRY_MOST_NS);
	}
	a->failures = 0;
	a->patient_until_ns = 0;
	pause = pace_pause(a->poll_ns);
	return chunks_have_shares(a) && pause > a->lease_ns / 4 ? a->lease_ns / 4 : pause;
}

static int exit_code_of(const struct agent *a, int code)
{
	return !code                                            ? EXIT_DONE
	       : a->replaced                                    ? EXIT_BUSY
	       : code == K2K_EPERM                              ? EXIT_PERMISSION
	       : code == K2K_EBUSY                              ? EXIT_BUSY
	       : code == K2K_ELAYOUT || code == K2K_ENOREGISTRY ? EXIT_REGISTRY
	                                                        : EXIT_SYSTEM;
}

static void tell(struct agent *a, struct due *due, int code)
{
	uint64_t now = clock_monotonic_ns();

	if (!a->metrics)
		return;
	if (code && a->reg && now >= due->count_ns) {
		report_count(a);
		due->count_ns = now + a->report_ns;
	}
	metrics_write(a);
}

/* Until the pause is over. Returns true if a signal says that it is time to end. */
static bool wait(struct agent *a, struct due *due, int code, const sigset_t *signals)
{
	uint64_t now = clock_monotonic_ns(), end = now + pause_after(a, code);

	for (; now < end; now = clock_monotonic_ns()) {
		struct timespec time = clock_timespec(end - now < TELL_NS ? end - now : TELL_NS);

		if (sigtimedwait(signals, NULL, &time) > 0)
			return true;
		tell(a, due, code);
	}
	return false;
}

static int run(struct agent *a, const sigset_t *signals)
{
	struct due due = { .report_ns = 0 };
	bool ready = false;
	int code;

	lease_judge_clock(a);
	for (;;) {
		code = pass(a, &due);
		if (code && !a->db.conn)
			link_close(a);
		tell(a, &due, code);
		if (!ready && !a->once)
			notify("READY=1");
		ready = true;
		if (a->once || a->replaced)
			return exit_code_of(a, code);
		if (wait(a, &due, code, signals))
			break;
	}
	notify("STOPPING=1");
	if (a->reg && a->epoch)
		report(a);
	metrics_remove(a);
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct agent a = {
		.poll_ns = 500000000,
		.report_ns = UINT64_C(10000000000),
		.full_ns = UINT64_C(72000000000000),
		.drain_ns = UINT64_C(30000000000),
		.chunk_ns = UINT64_C(10000000000),
		.lease_ns = UINT64_C(5000000000),
		.ctl = { .quiet = true, .fleet = true, .timeout_ns = UINT64_C(5000000000) },
	};
	sigset_t signals;
	int exit_code;

	hold_standard_files();
	read_options(&a, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL); /* they are waited for */
	db_hurry(signalfd(-1, &signals, SFD_CLOEXEC), a.ctl.timeout_ns);
	exit_code = run(&a, &signals);
	registry_close(&a);
	return exit_code;
}
