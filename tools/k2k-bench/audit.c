/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The cost of a rejected admit with its event, of reading events, and of a reader that sleeps. */
#include "bench.h"
#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REJECTED = 1, EVENTS = 256 };

/* ---- rejections ------------------------------------------------------------- */

/* A broker's handle. With another engagement each time, each rejection is an event of its own. */
struct rejected {
	struct k2k_registry *reg;
	uint64_t engagement, step;
	struct loop loop;
};

static struct {
	char name[K2K_NAME_MAX + 1];
	struct k2k_registry *admin, *plain, *sunk;
	struct rejected rejected[4];
} trail;

static void sink(void *context, const struct k2k_audit_event *event)
{
	(void)context;
	USE(event);
}

static void loop_rejected(void *state, uint64_t calls)
{
	struct rejected *r = state;
	int bad = 0;

	for (; calls; calls--, r->engagement += r->step) {
		int code = k2k_message_admit(r->reg, REJECTED,
		                             (struct k2k_audit_tag){ 1, r->engagement }, 1, NULL);

		if (code != K2K_ERATE)
			bad = code ? code : K2K_EINVAL;
	}
	if (bad)
		die_of(bad, "an admit that was to be rejected");
}

static void open_trail(void)
{
	struct k2k_quota quota = high_quota;
	int code;

	if (trail.admin)
		return;
	trail.admin = create_registry(trail.name, "audit", 16, 64);
	quota.max_messages_per_sec = 0;
	code = k2k_tenant_register(trail.admin, REJECTED, &quota);
	if (code)
		die_of(code, "registering a tenant");
	trail.plain = open_broker(trail.name);
	trail.sunk = open_broker(trail.name);
	code = k2k_registry_set_audit_sink(trail.sunk, sink, NULL);
	if (code)
		die_of(code, "setting a sink");
}

static void open_rejected(void *state)
{
	(void)state;
	open_trail();
	for (int i = 0; i < 4; i++) {
		struct rejected *r = &trail.rejected[i];

		*r = (struct rejected){
			i < 2 ? trail.plain : trail.sunk, 1, i % 2 ? 1 : 0, { loop_rejected, r, 0 }
		};
	}
}

/* ---- reading ------------------------------------------------------------------ */

static void loop_read(void *state, uint64_t calls)
{
	static struct k2k_audit_record records[EVENTS];

	(void)state;
	for (; calls; calls--) {
		struct k2k_audit_cursor cursor = K2K_AUDIT_CURSOR_INIT;
		size_t count;
		int code;

		records[0] = (struct k2k_audit_record){ .size = sizeof(records[0]) };
		code = k2k_audit_read(trail.plain, &cursor, K2K_AUDIT_OPEN_TOO, records, EVENTS,
		                      &count);
		if (code)
			die_of(code, "reading events");
		if (count != EVENTS)
			die("a ring that was filled has %zu events", count);
	}
}

static void round_rejected(void *state, struct sample *samples)
{
	static struct loop read = { loop_read, NULL, 0 };

	(void)state;
	for (int i = 0; i < 4; i++)
		samples[i].value = time_loop(&trail.rejected[i].loop);
	samples[4].value = 1e9 / samples[1].value;
	/* fills the ring, also if the row above had few calls */
	loop_rejected(&trail.rejected[1], EVENTS);
	samples[5].value = time_loop(&read) / EVENTS;
}

#define ROW(name, text, unit, against)                            \
	{                                                         \
		name, text, unit, AGAINST_##against, GOAL_NONE, 0 \
	}
static const struct row_spec rejected_rows[] = {
	ROW("reject_repeat", "admit rejected, a repeat", UNIT_NS, FETCH_ADD),
	ROW("reject_distinct", "admit rejected, an event each", UNIT_NS, FETCH_ADD),
	ROW("reject_repeat_sink", "admit rejected, a repeat, with a sink", UNIT_NS, FETCH_ADD),
	ROW("reject_distinct_sink", "admit rejected, an event each, with a sink", UNIT_NS,
	    FETCH_ADD),
	ROW("audit_events", "events that one process can be rejected into", UNIT_PER_S, NOTHING),
	ROW("audit_read", "an event read, 256 at once", UNIT_NS, NOTHING),
};
const struct bench_case audit_case = { ROWS(rejected_rows), .open = open_rejected,
	                               .round = round_rejected };

/* ---- a sleeping reader ------------------------------------------------------------------ */

static uint64_t cpu_of(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		die("audit tail -f ended");
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Starts `audit tail -f`, with its standard output in a pipe; *out is the other end. */
static pid_t start_tail(const char *registry, int *out)
{
	pid_t self = getpid(), pid;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) || (pid = fork()) < 0)
		die("can't start a process: %s", strerror(errno));
	if (!pid) {
		end_with_parent(self);
		dup2(ends[1], STDOUT_FILENO);
		execlp(find_tool(), "k2k-tenantctl", "-r", registry, "audit", "tail", "-f",
		       (char *)NULL);
		die("%s: %s; it is wanted beside " BENCH_NAME ", or in PATH", find_tool(),
		    strerror(errno));
	}
	close(ends[1]);
	*out = ends[0];
	return pid;
}

/* Its processor time in a second in which nothing happens, beside an attached broker. */
static void round_tail(void *state, struct sample *samples)
{
	uint64_t length_ns = options.quick ? 200000000 : 1000000000, before, after;
	static char text[65536];
	clockid_t clock;
	int out;
	pid_t pid = start_tail(trail.name, &out);

	(void)state;
	if (read(out, text, sizeof(text)) <= 0 || clock_getcpuclockid(pid, &clock))
		die("audit tail -f printed nothing");
	/*
	 * Waits until it sleeps: all of its output is read, and it has used no processor time for a
	 * while. If it never sleeps, that is what is measured.
	 */
	fcntl(out, F_SETFL, O_NONBLOCK);
	for (int looks = 0; looks < 40; looks++) {
		before = cpu_of(clock);
		clock_sleep_until(clock_monotonic_ns() + 50000000);
		if (read(out, text, sizeof(text)) <= 0 && cpu_of(clock) == before)
			break;
	}
	before = cpu_of(clock);
	clock_sleep_until(clock_monotonic_ns() + length_ns);
	after = cpu_of(clock);
	samples[0].value = (double)(after - before) * 1e9 / (double)length_ns;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(out);
}

static void open_tail(void *state)
{
	(void)state;
	open_trail();
}

static const struct row_spec tail_rows[] = {
	ROW("tail_idle", "k2k-tenantctl audit tail -f, of a processor in an idle second", UNIT_NS,
	    NOTHING),
};
const struct bench_case tail_case = { ROWS(tail_rows), .most_rounds = 5, .open = open_tail,
	                              .round = round_tail };
