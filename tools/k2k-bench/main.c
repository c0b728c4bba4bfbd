/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * k2k-bench: the command line, and the supervisor that removes what a measurement leaves, however
 * it ends.
 */
#include "bench.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	ROUNDS = 11,
	QUICK_ROUNDS = 3,
	ROUNDS_MAX = 1000,
	SAMPLE_NS = 2000000,
	QUICK_SAMPLE_NS = 1000000
};

static const char help[] =
	"Usage: k2k-bench [--quick] [--big] [--only TEXT] [--rounds N] [--json]\n"
	"\n"
	"Measures what the registry's calls cost on this machine, beside the floors: what an "
	"exact\n"
	"count that processes share costs at least. Makes registries of its own, named "
	"bench-PID-...,\n"
	"and removes them at the end, and when it is interrupted. Takes about a minute.\n"
	"\n"
	"  --quick       a few seconds: 3 short rounds, slow rows once, 10,000 tenants for 100,000 "
	"(the\n"
	"                names say so, and have no target). To see that it works; not to be cited\n"
	"  --big         also 1,000,000 tenants with 4,000,000 engagements (650 MB in /dev/shm)\n"
	"  --only TEXT   only rows whose name contains TEXT, and the floors\n"
	"  --rounds N    1 to 1000; 11 unless given. Slow rows take at most 7 of them, of which "
	"--quick\n"
	"                leaves 1\n"
	"  --json        one JSON object instead of the table\n"
	"  -h, --help    this\n"
	"  -V, --version  the version\n"
	"\n"
	"How it measures\n"
	"  All rows take turns, round after round. A row's figure is the median of its rounds; "
	"beside\n"
	"  it are the least and the quartiles. A sample is a loop of at least 2 ms (--quick: 1 ms) "
	"by\n"
	"  CLOCK_MONOTONIC_RAW, divided by its calls. Nothing is subtracted: not the loop, not\n"
	"  the clock. A loop in which the kernel gave the processor to somebody else is run "
	"again,\n"
	"  up to 3 times. Ratios are of the medians. It is linked with the shared library like "
	"any\n"
	"  program. Broad quartiles mean that others were at work: then repeat it.\n"
	"  Floors       fetch_add: sequentially consistent, result used, on memory that processes "
	"share.\n"
	"               fetch_add_two: the same word from two processes at once; the time between "
	"two\n"
	"               calls of one of them. read_section: of liburcu, flavour bp, inlined.\n"
	"               lfht_random_100k: cds_lfht_lookup() in a read section, a read of the "
	"node's value,\n"
	"               one cache line a node, as many buckets as fit, own memory\n"
	"  ..._hot      one tenant of 1,000, the first of its hash bucket, as 4 of 5 are. Every "
	"limit is\n"
	"               finite, and out of reach\n"
	"  ..._random_N each of N tenants in random order; all once before what is timed\n"
	"  ..._two_...  two processes, a processor each. two_on_one: the ratio is of speeds, to\n"
	"               fetch_add_two. two_apart: the slower one's speed by its speed alone, the "
	"median\n"
	"               of the rounds\n"
	"  track_new    16,384 engagements that a tenant has not used\n"
	"  register, update, deregister  1,000 in turn, each by itself. register_in_batch, "
	"register_100k, _1m:\n"
	"               between k2k_batch_begin() and k2k_batch_end(), which register_100k and _1m "
	"count in\n"
	"  kernel, memory  one taken and given back, with a lease\n"
	"  reject_...   of a tenant with a rate of 0; _distinct: another engagement each time, so "
	"that each is\n"
	"               an event. tail_idle: what a follower uses of a processor while nothing "
	"happens\n"
	"  load, reuse  8 processes admit 5,000 messages a second each, paced by the clock. "
	"Percentiles of\n"
	"               a second each; the messages lost to others show in load_messages. reuse: "
	"from\n"
	"               deregister until register has the only free slot again\n"
	"  attach_N     N processes at once: each one's call, from when it begins in its process\n"
	"  memory_...   by the sizes that init --plan adds up, just above a power of two\n"
	"  list_...     k2k-tenantctl beside this program, or in PATH, from start to end, to "
	"/dev/null\n"
	"\n"
	"JSON: "
	"{\"schema\",\"machine\",\"rounds\",\"quick\",\"floors\":{\"fetch_add_ns\":..,..},\"floor_"
	"rows\",\n"
	"\"results\":[{\"name\",\"ns\",\"ratio\",\"target\",\"met\",..},..]}. target is what "
	"`goal` says: a bound of the\n"
	"ratio to `against`, or of value, which is in `unit`. What a row does not have is null.\n"
	"\n"
	"Exit codes: 0 measured, whether targets are met or not; 1 it could not be measured; 2 "
	"wrong\n"
	"usage; 128 + the signal's number where one ended it (all registries are removed; SIGKILL\n"
	"alone leaves them: k2k-tenantctl -r NAME destroy -y).\n";

/* ---- options ------------------------------------------------------------------- */

static _Noreturn void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

static _Noreturn void wrong(const char *format, ...)
{
	va_list args;

	fputs(BENCH_NAME ": ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("; see '" BENCH_NAME " --help'\n", stderr);
	exit(EXIT_USAGE);
}

static unsigned int read_rounds(const char *text)
{
	char *end;
	unsigned long rounds;

	errno = 0;
	rounds = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || rounds < 1 || rounds > ROUNDS_MAX)
		wrong("--rounds '%.100s': a number from 1 to %d", text, ROUNDS_MAX);
	return (unsigned int)rounds;
}

static void check_only(void)
{
	bool in_big = false;

	for (size_t i = 0; i < all_case_count; i++)
		for (size_t j = 0; j < all_cases[i]->row_count; j++) {
			if (!row_is_wanted(&all_cases[i]->rows[j]))
				continue;
			if (!all_cases[i]->big || options.big)
				return;
			in_big = true;
		}
	wrong("--only '%.100s': no row's name contains it%s", options.only,
	      in_big ? " without --big" : "");
}

enum { OPT_QUICK = 256, OPT_BIG, OPT_ONLY, OPT_ROUNDS, OPT_JSON };

static void read_options(int argc, char **argv)
{
	static const struct option names[] = { { "quick", no_argument, NULL, OPT_QUICK },
		                               { "big", no_argument, NULL, OPT_BIG },
		                               { "only", required_argument, NULL, OPT_ONLY },
		                               { "rounds", required_argument, NULL, OPT_ROUNDS },
		                               { "json", no_argument, NULL, OPT_JSON },
		                               { "help", no_argument, NULL, 'h' },
		                               { "version", no_argument, NULL, 'V' },
		                               { NULL, 0, NULL, 0 } };
	int answer;

	opterr = 0;
	while ((answer = getopt_long(argc, argv, ":hV", names, NULL)) != -1)
		switch (answer) {
		case OPT_QUICK: options.quick = true; break;
		case OPT_BIG: options.big = true; break;
		case OPT_ONLY: options.only = optarg; break;
		case OPT_ROUNDS: options.rounds = read_rounds(optarg); break;
		case OPT_JSON: options.json = true; break;
		case 'h': fputs(help, stdout); exit(EXIT_DONE);
		case 'V': printf(BENCH_NAME " %s\n", k2k_version()); exit(EXIT_DONE);
		case ':': wrong("%s: its argument is missing", argv[optind - 1]);
		default: wrong("'%.100s': unknown or ambiguous option", argv[optind - 1]);
		}
	if (optind < argc)
		wrong("'%.100s': takes no arguments", argv[optind]);
	if (!options.rounds)
		options.rounds = options.quick ? QUICK_ROUNDS : ROUNDS;
	options.sample_ns = options.quick ? QUICK_SAMPLE_NS : SAMPLE_NS;
	if (options.only)
		check_only();
}

/* ---- supervision ------------------------------------------------------------------ */

static _Noreturn void measure_and_print(void)
{
	size_t count;
	struct row *rows = measure(&count);

	if (options.json)
		print_json(rows, count);
	else
		print_table(rows, count);
	if (fflush(stdout) || ferror(stdout))
		die("standard output: %s", strerror(errno));
	_exit(EXIT_DONE);
}

/* Returns the signal that ended it, or 0 with its exit code. All its descendants are gone, too. */
static int supervise(pid_t child, const sigset_t *signals, int *code)
{
	int ended_by = 0, status = 0, one;
	pid_t pid;

	*code = EXIT_FAILED;
	while ((one = sigwaitinfo(signals, NULL)) == SIGCHLD || one < 0)
		if (waitpid(child, &status, WNOHANG) == child)
			break;
	if (one > 0 && one != SIGCHLD) {
		ended_by = one;
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	} else if (WIFSIGNALED(status)) {
		ended_by = WTERMSIG(status);
		if (!sigismember(signals, ended_by))
			fprintf(stderr,
			        BENCH_NAME ": the measuring process was ended by signal %d\n",
			        ended_by);
	} else {
		*code = WEXITSTATUS(status);
	}
	/* what it had started is killed by its end, and comes to this process */
	do
		pid = waitpid(-1, NULL, 0);
	while (pid > 0 || errno == EINTR);
	return ended_by;
}

int main(int argc, char **argv)
{
	sigset_t signals, before;
	pid_t self = getpid(), child;
	int ended_by, code;

	read_options(argc, argv);
	registries_prepare();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGCHLD, SIG_DFL); /* ignored, it would leave nothing to wait for */
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGQUIT);
	sigprocmask(SIG_BLOCK, &signals, &before);
	child = fork();
	if (child < 0)
		die("can't start a process: %s", strerror(errno));
	if (!child) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		end_with_parent(self);
		measure_and_print();
	}
	ended_by = supervise(child, &signals, &code);
	registries_destroy();
	if (!ended_by)
		return code;
	/* a core of this process would say nothing */
	return 128 + ended_by;
}
