/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peer.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	ORDER = 1 << 14, /* ids drawn before the start, so that drawing costs nothing */
	WARM_UP_MS = 10,
	START_S = 30,  /* longest time until all have attached */
	WINDOWS = 256, /* seconds that --verify tells apart */
};

struct window {
	int64_t second;
	uint64_t asked, admitted;
};

struct sender {
	_Alignas(128) uint64_t messages, measured, admitted;
	int64_t ns;
	uint64_t windows;
	struct window window[WINDOWS];
};

struct control {
	_Alignas(128) atomic_uint ready;
	_Alignas(128) atomic_int go, stop;
	struct sender sender[];
};

struct senders {
	pid_t pid[PEER_PROCESSES_MAX];
	unsigned count;
};

static volatile sig_atomic_t ended;
static void (*on_failure)(void); /* of the first process alone */
static const char *program = "peer";

void peer_fail(const char *format, ...)
{
	void (*clean_up)(void) = on_failure;
	va_list arguments;

	fprintf(stderr, "%s: ", program);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	on_failure = NULL;
	if (clean_up)
		clean_up();
	exit(1);
}

void *peer_shared(uint64_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		peer_fail("no shared memory: %s", strerror(errno));
	memset(memory, 0, bytes);
	return memory;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* splitmix64: different values for different ones */
static uint64_t mix(uint64_t value)
{
	value += UINT64_C(0x9e3779b97f4a7c15);
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return value ^ (value >> 31);
}

/* ---- the processes that send -------------------------------------------------- */

/* Two processes draw from two halves of the tenants, unless all send for one. */
static uint64_t *draw(const struct peer_options *options, const uint64_t *ids, unsigned process)
{
	uint64_t *order = malloc(ORDER * sizeof(*order));
	unsigned share = options->tenants / options->processes;

	if (!order)
		peer_fail("no memory");
	for (unsigned i = 0; i < ORDER; i++) {
		uint64_t drawn = mix(mix(process) + i) % share * options->processes + process;

		order[i] = ids[options->one ? 0 : drawn];
	}
	return order;
}

static void note(struct sender *me, const int64_t *answers, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		int64_t second = answers[i] < 0 ? -answers[i] : answers[i];
		uint64_t at = me->windows;

		if (!second)
			peer_fail("a tenant was not found");
		while (at > 0 && me->window[at - 1].second != second)
			at--;
		if (!at) {
			if (me->windows == WINDOWS)
				peer_fail("more than %d seconds", WINDOWS);
			at = ++me->windows;
			me->window[at - 1].second = second;
		}
		me->window[at - 1].asked++;
		me->window[at - 1].admitted += answers[i] > 0;
	}
}

static void send_until(const struct peer *peer, struct control *control, struct sender *me,
                       const uint64_t *order, int64_t until_ns, int verify)
{
	int64_t answers[PEER_BATCH];
	unsigned at = me->messages % ORDER;

	while (until_ns ? now_ns() < until_ns
	                : !atomic_load_explicit(&control->stop, memory_order_relaxed)) {
		me->admitted += peer->send(order + at, PEER_BATCH, verify ? answers : NULL);
		me->messages += PEER_BATCH;
		if (verify)
			note(me, answers, PEER_BATCH);
		at = (at + PEER_BATCH) % ORDER;
	}
}

static _Noreturn void sender_main(const struct peer *peer, const struct peer_options *options,
                                  struct control *control, const uint64_t *ids, unsigned process)
{
	struct sender *me = &control->sender[process];
	uint64_t *order = draw(options, ids, process), before;
	int64_t start;

	if (peer->attach)
		peer->attach(options, process);
	if (options->verify) {
		uint64_t unknown = mix(options->tenants);
		int64_t answer = 1;

		if (peer->send(&unknown, 1, &answer) || answer)
			peer_fail("a tenant that does not exist was found");
	}
	send_until(peer, control, me, order, now_ns() + WARM_UP_MS * INT64_C(1000000),
	           options->verify);
	atomic_fetch_add(&control->ready, 1);
	while (!atomic_load(&control->go))
		sched_yield();
	before = me->messages;
	start = now_ns();
	send_until(peer, control, me, order, 0, options->verify);
	me->ns = now_ns() - start;
	me->measured = me->messages - before;
	free(order);
	exit(0);
}

/* ---- the first process -------------------------------------------------------- */

static void on_signal(int number)
{
	ended = number;
}

static int reap(struct senders *senders, int flags)
{
	pid_t pid;
	int status, failed = 0;

	while ((pid = waitpid(-1, &status, flags)) > 0) {
		failed |= !WIFEXITED(status) || WEXITSTATUS(status);
		for (unsigned i = 0; i < senders->count; i++)
			if (senders->pid[i] == pid)
				senders->pid[i] = 0;
	}
	return failed;
}

/* Sleeps; returns early and not 0 where it was told to end, or a sender has failed. */
static int wait_ms(struct senders *senders, unsigned milliseconds)
{
	int64_t until = now_ns() + milliseconds * INT64_C(1000000), left;

	while (!ended && (left = until - now_ns()) > 0) {
		struct timespec nap = { 0, left < 20000000 ? (long)left : 20000000 };

		nanosleep(&nap, NULL);
		if (reap(senders, WNOHANG))
			return -1;
	}
	return ended ? -1 : 0;
}

static int run(const struct peer *peer, const struct peer_options *options, struct control *control,
               const uint64_t *ids)
{
	struct senders senders = { .count = 0 };
	int64_t deadline = now_ns() + START_S * INT64_C(1000000000);
	pid_t first = getpid();
	int failed = 0;

	while (senders.count < options->processes) {
		pid_t pid = fork();

		if (pid < 0)
			peer_fail("no process: %s", strerror(errno));
		if (pid == 0) {
			on_failure = NULL;
			/* a key of the terminal reaches all: the first process ends the others */
			signal(SIGINT, SIG_IGN);
			signal(SIGTERM, SIG_DFL);
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != first)
				_exit(1);
			sender_main(peer, options, control, ids, senders.count);
		}
		senders.pid[senders.count++] = pid;
	}
	while (!failed && atomic_load(&control->ready) < options->processes)
		failed = now_ns() > deadline || wait_ms(&senders, 1);
	atomic_store(&control->go, 1);
	failed = failed || wait_ms(&senders, options->milliseconds);
	atomic_store(&control->stop, 1);
	for (unsigned i = 0; failed && i < senders.count; i++)
		if (senders.pid[i])
			kill(senders.pid[i], SIGKILL);
	return reap(&senders, 0) || failed;
}

/* ---- what came of it ---------------------------------------------------------- */

static void print_measured(const struct peer_options *options, const struct control *control)
{
	uint64_t messages = 0;
	double ns = 0;

	/* the mean of what a message took each process */
	for (unsigned i = 0; i < options->processes; i++) {
		const struct sender *sender = &control->sender[i];

		messages += sender->measured;
		ns += (double)sender->ns / (double)(sender->measured ? sender->measured : 1) /
		      options->processes;
	}
	printf("\"messages\":%" PRIu64 ",\"ns\":%.3f", messages, ns);
}

/* Of each second the sum over all senders, in the first one's list. */
static void print_windows(const struct peer_options *options, struct control *control, int64_t ns)
{
	struct sender *sum = &control->sender[0];
	uint64_t full = 0, wrong = 0;

	for (unsigned i = 1; i < options->processes; i++)
		for (uint64_t w = 0; w < control->sender[i].windows; w++) {
			const struct window *window = &control->sender[i].window[w];
			uint64_t at = 0;

			while (at < sum->windows && sum->window[at].second != window->second)
				at++;
			if (at == WINDOWS)
				peer_fail("more than %d seconds", WINDOWS);
			if (at == sum->windows)
				sum->window[sum->windows++] = (struct window){
					.second = window->second
				};
			sum->window[at].asked += window->asked;
			sum->window[at].admitted += window->admitted;
		}
	for (uint64_t w = 0; w < sum->windows; w++) {
		uint64_t asked = sum->window[w].asked, admitted = sum->window[w].admitted;

		full += asked > options->limit;
		wrong += admitted != (asked < options->limit ? asked : options->limit);
	}
	printf("\"limit\":%" PRIu32 ",\"seconds\":%" PRIu64 ",\"seconds_full\":%" PRIu64
	       ",\"seconds_wrong\":%" PRIu64 ",\"milliseconds\":%" PRId64,
	       options->limit, sum->windows, full, wrong, ns / 1000000);
}

static uint64_t number(const char *text, uint64_t max)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || value < 1 || value > max)
		peer_fail("not a number from 1 to %" PRIu64 ": %s", max, text);
	return value;
}

static void parse(int argc, char **argv, const struct peer *peer, struct peer_options *options)
{
	static const struct option known[] = {
		{ "processes", required_argument, NULL, 'p' },
		{ "tenants", required_argument, NULL, 't' },
		{ "milliseconds", required_argument, NULL, 'm' },
		{ "limit", required_argument, NULL, 'l' },
		{ "directory", required_argument, NULL, 'd' },
		{ "one", no_argument, NULL, 'o' },
		{ "verify", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'p': options->processes = (unsigned)number(optarg, PEER_PROCESSES_MAX); break;
		case 't': options->tenants = (unsigned)number(optarg, PEER_TENANTS_MAX); break;
		case 'm': options->milliseconds = (unsigned)number(optarg, 100000); break;
		case 'l': options->limit = (uint32_t)number(optarg, UINT32_MAX - 1); break;
		case 'd': options->directory = optarg; break;
		case 'o': options->one = 1; break;
		case 'v': options->verify = 1; break;
		default: exit(2);
		}
	}
	if (optind < argc || !options->directory || options->tenants < options->processes)
		peer_fail("usage: --directory DIR [--processes N] [--tenants N] [--one] [--limit "
		          "N] [--milliseconds N] "
		          "[--verify]");
	if (options->verify && peer->bare)
		peer_fail("it checks nothing, so there is nothing to verify");
}

int peer_main(int argc, char **argv, const struct peer *peer)
{
	/* a limit that nobody reaches */
	struct peer_options options = {
		.processes = 1, .tenants = 1000, .milliseconds = 200, .limit = 1000000000
	};
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct control *control;
	uint64_t *ids, admitted = 0, total;
	int64_t ran_ns;
	int failed;

	program = peer->name;
	parse(argc, argv, peer, &options);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	control = peer_shared(sizeof(*control) + options.processes * sizeof(control->sender[0]));
	ids = malloc(options.tenants * sizeof(*ids));
	if (!ids)
		peer_fail("no memory");
	for (unsigned i = 0; i < options.tenants; i++)
		ids[i] = mix(i);

	on_failure = peer->destroy;
	peer->create(&options, ids);
	ran_ns = now_ns();
	failed = run(peer, &options, control, ids);
	ran_ns = now_ns() - ran_ns;
	if (failed) {
		if (!ended)
			peer_fail(
				"a process that sends has failed, or none could start within %d s",
				START_S);
	} else {
		for (unsigned i = 0; i < options.processes; i++)
			admitted += control->sender[i].admitted;
		total = peer->total(&options, ids);
		printf("{\"peer\":\"%s\",\"processes\":%u,\"tenants\":%u,", peer->name,
		       options.processes, options.one ? 1 : options.tenants);
		if (options.verify)
			print_windows(&options, control, ran_ns);
		else
			print_measured(&options, control);
		printf(",\"admitted\":%" PRIu64 ",\"counted\":%" PRIu64 "}\n", admitted, total);
	}
	on_failure = NULL;
	if (peer->destroy)
		peer->destroy();
	free(ids);
	return ended ? 128 + ended : 0;
}
