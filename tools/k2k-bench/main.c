/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * k2k-bench - measures what the registry's calls cost on this machine
 *
 * This file has the options, and the supervisor that removes all registries however the run ends.
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

/* clang-format off */
static const char help[] =
	"Usage: k2k-bench [--quick] [--big] [--only TEXT] [--rounds N] [--json]\n"
	"\n"
	"Measures what the registry's calls cost on this machine, beside the floors: the least that\n"
	"an exact count shared by processes costs. Creates registries of its own, named\n"
	"bench-PID-..., and removes them at the end, also when it is interrupted. Takes a minute.\n"
	"\n"
	"  --quick       a few seconds: 3 short rounds, slow rows once, 10,000 tenants instead of\n"
	"                100,000 (the names say so, and have no target). Shows that it works; don't\n"
	"                cite its figures\n"
	"  --big         also 1,000,000 tenants with 4,000,000 engagements (650 MB in /dev/shm)\n"
	"  --only TEXT   only rows whose name contains TEXT, and the floors\n"
	"  --rounds N    1 to 1000; 11 unless given. Slow rows take at most 7 rounds, and 1 with\n"
	"                --quick\n"
	"  --json        one JSON object instead of the table\n"
	"  -h, --help    this\n"
	"  -V, --version  the version\n"
	"\n"
	"How it measures\n"
	"  All rows take turns, round after round. A row's figure is the median of its rounds; the\n"
	"  table also has the minimum and the quartiles. A sample is a loop of at least 2 ms\n"
	"  (--quick: 1 ms) of CLOCK_MONOTONIC_RAW, divided by its calls. Neither the loop nor the\n"
	"  clock is subtracted. A loop that the kernel preempted is repeated, up to 3 times. Ratios\n"
	"  are ratios of medians. The program is linked with the shared library like any other. If\n"
	"  the quartiles are far apart, other processes were busy: measure again.\n"
	"  Floors       fetch_add: sequentially consistent, result used, in shared memory.\n"
	"               fetch_add_two: the same word from two processes at once; the time between\n"
	"               two calls of one of them. read_section: of liburcu, flavour bp, inlined.\n"
	"               lfht_random_100k: cds_lfht_lookup() in a read section, and a read of the\n"
	"               node's value; one cache line a node, enough buckets, private memory\n"
	"  ..._hot      one tenant of 1,000, the first of its hash bucket, as 4 of 5 are. Every\n"
	"               limit is finite, and out of reach\n"
	"  ..._random_N each of N tenants in random order; all once before the timed loop\n"
	"  ..._two_...  two processes, a processor each. two_on_one: the ratio compares speeds, with\n"
	"               fetch_add_two. two_apart: the slower process' speed divided by its speed\n"
	"               alone, the median of the rounds\n"
	"  track_new    16,384 engagements that a tenant has not used\n"
	"  register, update, deregister  1,000 in turn, each by itself. register_in_batch,\n"
	"               register_100k, _1m: between k2k_batch_begin() and k2k_batch_end(), whose\n"
	"               time register_100k and _1m include\n"
	"  kernel, memory  one acquired and released, with a lease\n"
	"  reserve      GPU time of a budget, reserved and committed\n"
	"  reject_...   of a tenant with a rate of 0; _distinct: another engagement each time, so\n"
	"               that each is an event. tail_idle: processor time of a follower while nothing\n"
	"               happens\n"
	"  name_..., route_...  the directory of kernels with N names, ten a tenant: one found; a\n"
	"               message from one to another of its tenant, decided. _hot: the same each time.\n"
	"               hash_table_...: the same by cds_lfht in this process, in private memory, where\n"
	"               a route is two look-ups and a fetch_add. redis_...: the same by a Redis server\n"
	"               on a Unix socket, one request at a time (GET; a script of two GET and an\n"
	"               INCR). Left out if neither redis-server nor redis-check-rdb is in PATH\n"
	"  load, reuse  8 processes admit 5,000 messages a second each, paced by the clock.\n"
	"               Percentiles of one second; load_messages shows how many messages were late.\n"
	"               reuse: from deregister until register gets the only free slot again\n"
	"  attach_N     N processes at once: each one's call, from when it begins in its process\n"
	"  memory_...   by the sizes that init --plan adds up, just above a power of two\n"
	"  list_...     k2k-tenantctl beside this program, or in PATH, from start to end, to\n"
	"               /dev/null\n"
	"\n"
	"JSON: {\"schema\",\"machine\",\"rounds\",\"quick\",\"floors\":{\"fetch_add_ns\":..,..},\"floor_rows\",\n"
	"\"results\":[{\"name\",\"ns\",\"ratio\",\"target\",\"met\",..},..]}. `goal` says what target is: a bound\n"
	"of the ratio to `against`, or of value, which is in `unit`. What a row does not have is null.\n"
	"\n"
	"Exit codes: 0 measured, whether targets are met or not; 1 it could not be measured; 2 wrong\n"
	"usage; 10 out of memory; 128 + the signal's number if one ended it (all registries are\n"
	"removed, except after SIGKILL: k2k-tenantctl -r NAME destroy -y).\n";
/* clang-format on */

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
	const char *why = "";

	for (size_t i = 0; i < all_case_count; i++)
		for (size_t j = 0; j < all_cases[i]->row_count; j++) {
			if (!row_is_wanted(&all_cases[i]->rows[j]))
				continue;
			if (all_cases[i]->big && !options.big)
				why = " without --big";
			else if (all_cases[i]->possible && !all_cases[i]->possible())
				why = " without redis-server or redis-check-rdb in PATH";
			else
				return;
		}
	wrong("--only '%.100s': no row's name contains it%s", options.only, why);
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

/*
 * Returns the signal that ended the child, or 0 with its exit status. All its descendants are gone.
 */
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
	/* its children are killed when it ends, and become children of this process */
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
	signal(SIGCHLD, SIG_DFL); /* if it were ignored, waitpid() would find no child */
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
	redis_clean_up();
	if (!ended_by)
		return code;
	/* a core dump of this process would be useless */
	return 128 + ended_by;
}
