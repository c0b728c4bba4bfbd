/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* audit tail: events of all rings by time */
#include "audit_text.h"
#include "audit_time.h"
#include "commands.h"
#include "output.h"
#include "common/clock.h"
#include "common/units.h"
#include "common/audit_event.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256 };

/* ---- what is asked for ---------------------------------------------------------- */

enum since { SINCE_OLDEST, SINCE_EVENT, SINCE_NUMBER, SINCE_TIME };

struct tail {
	struct ctl *ctl;
	bool follow, by_tenant, by_kind, by_type, has_until;
	k2k_tenant_id tenant;
	uint32_t kind;
	enum k2k_audit_type type;

	enum since since;
	uint32_t ring;    /* SINCE_EVENT */
	uint64_t number;  /* SINCE_EVENT, SINCE_NUMBER */
	struct when from; /* SINCE_TIME */
	struct when until;
	uint64_t last;                 /* -n: how many of the existing events; 0: all */
	struct k2k_audit_record *kept; /* the newest ones so far, in a circular buffer */
	uint64_t seen;                 /* how many events went through it */
	/* SINCE_EVENT: monotonic time from which events of other rings are shown */
	uint64_t others_ns;

	struct k2k_registry *reg;
	struct ring_cursor at;
	struct ring_stats start;
	struct list list; /* not for JSON */
};

/* A kind or a type; main() has refused other words. */
static void read_type(struct tail *tail, const char *text)
{
	for (uint32_t kind = 1; kind < K2K_AUDIT_KINDS_MAX; kind++)
		if (!strcasecmp(text, k2k_audit_kind_name(kind))) {
			tail->kind = kind;
			tail->by_kind = true;
		}
	for (int type = K2K_AUDIT_SECURITY_VIOLATION; type <= K2K_AUDIT_CONFIGURATION_CHANGE;
	     type++)
		if (!strcasecmp(text, k2k_audit_type_name((enum k2k_audit_type)type))) {
			tail->type = (enum k2k_audit_type)type;
			tail->by_type = true;
		}
}

static bool read_ring(struct tail *tail, const char *text, size_t length)
{
	if (audit_ring_parse(text, length, &tail->ring))
		return true;
	fail_usage(tail->ctl,
	           "--since '%.100s': no such ring; there are 0 to 63 and r64 to r1023 (of a "
	           "broker), s0 to s1023 (its security events), and admin",
	           text);
	return false;
}

static bool is_number(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == 0;
}

/* "3:17", but not "2026-11-29T18:00". */
static const char *ring_end(const char *text)
{
	const char *colon = strchr(text, ':');

	return colon && !memchr(text, '-', (size_t)(colon - text)) ? colon : NULL;
}

static bool read_since(struct tail *tail, const char *text)
{
	const char *colon = ring_end(text);

	if (colon || is_number(text)) {
		tail->since = colon ? SINCE_EVENT : SINCE_NUMBER;
		return (!colon || read_ring(tail, text, (size_t)(colon - text))) &&
		       arg_count(tail->ctl,
		                 colon ? "--since: number of the event"
		                       : "--since: number of an event, or a time without its unit",
		                 colon ? colon + 1 : text, 1, UINT64_MAX - 1, &tail->number);
	}
	tail->since = SINCE_TIME;
	return when_parse(tail->ctl, "--since", text, &tail->from);
}

static bool read_arguments(struct tail *tail)
{
	struct ctl *ctl = tail->ctl;

	tail->follow = ctl->option[OPT_FOLLOW] != NULL;
	tail->by_tenant = ctl->option[OPT_TENANT] != NULL;
	tail->has_until = ctl->option[OPT_UNTIL] != NULL;
	if (ctl->option[OPT_TYPE])
		read_type(tail, ctl->option[OPT_TYPE]);
	if (tail->follow && tail->has_until) {
		fail_usage(ctl, "--until: can't be used with -f, which does not end");
		return false;
	}
	return (!tail->by_tenant ||
	        arg_id(ctl, "--tenant", ctl->option[OPT_TENANT], &tail->tenant)) &&
	       (!ctl->option[OPT_SINCE] || read_since(tail, ctl->option[OPT_SINCE])) &&
	       (!tail->has_until ||
	        when_parse(ctl, "--until", ctl->option[OPT_UNTIL], &tail->until)) &&
	       (!ctl->option[OPT_LINES] ||
	        arg_count(ctl, "-n", ctl->option[OPT_LINES], 1, UINT64_C(1) << 20, &tail->last));
}

/* ---- the beginning -------------------------------------------------------------- */

static int fail_registry(struct ctl *ctl, int code)
{
	return fail(ctl, code, "registry '%s'", ctl->registry);
}

/*
 * Finds the time of the event that --since names, for the events of other rings. If it was
 * overwritten, all events of the others are shown.
 */
static int find_event(struct tail *tail, struct k2k_audit_record *records)
{
	struct ring_cursor at;
	size_t count;
	int code;

	cursor_copy(&at, &tail->at);
	for (uint32_t i = 0; i < RINGS_MOST; i++)
		if (i != tail->ring)
			*cursor_next(&at, i) = ring_newest(&tail->start, i) + 1;
	*records = (struct k2k_audit_record){ .size = sizeof(*records) };
	code = k2k_audit_read(tail->reg, &at.cursor, K2K_AUDIT_OPEN_TOO, records, BATCH, &count);
	if (code)
		return code;
	tail->others_ns = tail->number > ring_newest(&tail->start, tail->ring)
	                          ? clock_ns(CLOCK_MONOTONIC)
	                          : 0;
	for (size_t i = 0; i < count; i++)
		if (records[i].ring == tail->ring && records[i].sequence == tail->number &&
		    !(records[i].flags & K2K_AUDIT_LOST))
			tail->others_ns = records[i].monotonic_ns;
	return 0;
}

/* The exit code: does the registry have the broker whose ring --since names? */
static int check_ring(const struct tail *tail)
{
	struct k2k_registry_info info = { .size = sizeof(info) };
	int code = k2k_registry_info(tail->reg, &info);

	if (code)
		return fail_registry(tail->ctl, code);
	if (tail->ring == K2K_AUDIT_RING_ADMIN ||
	    K2K_AUDIT_RING_SLOT(tail->ring) < info.max_brokers)
		return 0;
	return fail_usage(tail->ctl, "--since: the registry has the rings of %" PRIu64 " brokers",
	                  info.max_brokers);
}

/* Returns the exit code. */
static int begin(struct tail *tail, struct k2k_audit_record *records)
{
	uint64_t newest;
	int code;

	cursor_begin(&tail->at);
	code = ring_stats_read(tail->reg, &tail->start);
	if (code)
		return fail_registry(tail->ctl, code);
	for (uint32_t i = 0; i < RINGS_MOST && tail->since == SINCE_NUMBER; i++) {
		newest = ring_newest(&tail->start, i);
		*cursor_next(&tail->at, i) = tail->number <= newest ? tail->number : newest + 1;
	}
	if (tail->since != SINCE_EVENT)
		return 0;
	code = check_ring(tail);
	if (code)
		return code;
	newest = ring_newest(&tail->start, tail->ring);
	if (tail->number > newest && tail->number - newest > 1) {
		char name[AUDIT_TEXT];

		return fail_usage(
			tail->ctl,
			"--since: there is no event %s yet; the newest of this ring is %" PRIu64,
			audit_event_name(name, tail->ring, tail->number), newest);
	}
	*cursor_next(&tail->at, tail->ring) = tail->number;
	code = find_event(tail, records);
	return code ? fail_registry(tail->ctl, code) : 0;
}

/* ---- one event --------------------------------------------------------------------- */

static bool has_tenant(const struct k2k_audit_record *r)
{
	switch (r->kind) {
	case K2K_AUDIT_KIND_BROKER_DEAD:
	case K2K_AUDIT_KIND_CREATED:
	case K2K_AUDIT_KIND_DESTROYED:
	case K2K_AUDIT_KIND_REPAIR: return false;
	}
	return !(r->flags & K2K_AUDIT_LOST);
}

static bool is_about(const struct k2k_audit_record *r, k2k_tenant_id tenant)
{
	return has_tenant(r) &&
	       (r->tenant == tenant || (r->kind == K2K_AUDIT_KIND_CROSS_TENANT && r->to == tenant));
}

/* The record stands for a ring that can't be read. */
static bool is_damaged(const struct k2k_audit_record *r)
{
	return (r->flags & K2K_AUDIT_DAMAGED) && !r->count;
}

static bool is_wanted(const struct tail *tail, const struct k2k_audit_record *r)
{
	if (is_damaged(r))
		return true;
	if (!tail->follow && r->sequence > ring_newest(&tail->start, r->ring))
		return false;
	if (tail->since == SINCE_TIME && when_is_before(r, &tail->from))
		return false;
	if (tail->has_until && when_is_after(r, &tail->until))
		return false;
	if (tail->since == SINCE_EVENT && r->ring != tail->ring &&
	    r->monotonic_ns < tail->others_ns)
		return false;
	if (r->flags & K2K_AUDIT_LOST)
		return true; /* the lost events may be among those wanted */
	return (!tail->by_tenant || is_about(r, tail->tenant)) &&
	       (!tail->by_kind || r->kind == tail->kind) &&
	       (!tail->by_type || r->type == tail->type);
}

static void print_json(const struct ctl *ctl, const struct k2k_audit_record *r)
{
	static const struct field open = { "open", NULL, KIND_BOOL, 0 };
	json_object *line = line_begin(ctl);

	event_put(line, r);
	if (r->flags & K2K_AUDIT_OPEN)
		json_set(line, &open, &NUMBER(1));
	line_end(line);
}

static void print_time(char text[AUDIT_TEXT], uint64_t ns)
{
	time_t seconds = (time_t)(ns / 1000000000);
	char date[40];
	struct tm tm;

	if (gmtime_r(&seconds, &tm) && strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm))
		snprintf(text, AUDIT_TEXT, "%s.%03uZ", date, (unsigned int)(ns / 1000000 % 1000));
	else
		snprintf(text, AUDIT_TEXT, "%" PRIu64, ns);
}

static const char *color_of(const struct k2k_audit_record *r)
{
	if (r->level == K2K_AUDIT_SECURITY || (r->flags & K2K_AUDIT_LOST))
		return "red";
	return r->level == K2K_AUDIT_WARNING ? "yellow" : NULL;
}

static void print_row(struct list *list, const struct k2k_audit_record *r)
{
	char when[AUDIT_TEXT], name[AUDIT_TEXT], what[AUDIT_TEXT], last[AUDIT_TEXT],
		tenant[UNITS_TEXT] = "", to[UNITS_TEXT] = "";
	bool lost = (r->flags & K2K_AUDIT_LOST) != 0;

	print_time(when, r->time_ns);
	audit_event_name(name, r->ring, r->sequence);
	if (has_tenant(r))
		units_print_number(tenant, r->tenant);
	if (r->kind == K2K_AUDIT_KIND_CROSS_TENANT)
		units_print_number(to, r->to);
	if (is_damaged(r))
		snprintf(what, sizeof(what),
		         "ring %s is corrupt: something has written into it; its events can't be "
		         "read",
		         audit_ring_name(last, r->ring));
	else if (lost)
		snprintf(what, sizeof(what), "events up to %s are missing",
		         audit_event_name(last, r->ring, r->sequence + r->count - 1));
	else
		audit_text(what, r);
	list_row(list,
	         (const struct value[COL_EVENT_COUNT]){
			 [COL_EVENT_TIME_NS] = NUMBER(r->time_ns),
			 [COL_EVENT_TIME] = TEXT(when),
			 [COL_EVENT_NAME] = TEXT(name),
			 [COL_EVENT_RING] = NUMBER(r->ring),
			 [COL_EVENT_SEQUENCE] = NUMBER(r->sequence),
			 [COL_EVENT_LEVEL] = { .text = k2k_audit_level_name(r->level),
	                                       .color = color_of(r) },
			 [COL_EVENT_TYPE] = TEXT(k2k_audit_type_name(r->type)),
			 [COL_EVENT_KIND] = TEXT(is_damaged(r) ? "damaged"
	                                         : lost        ? "lost"
	                                                       : k2k_audit_kind_name(r->kind)),
			 [COL_EVENT_TENANT] = TEXT(tenant),
			 [COL_EVENT_TO] = TEXT(to),
			 [COL_EVENT_REPEATS] = { r->count,
	                                         .suffix = r->flags & K2K_AUDIT_OPEN ? "+" : NULL },
			 [COL_EVENT_ORG] = NUMBER(r->tag.org_id),
			 [COL_EVENT_ENGAGEMENT] = NUMBER(r->tag.engagement_id),
			 [COL_EVENT_USED] = NUMBER(r->used),
			 [COL_EVENT_LIMIT] = NUMBER(r->limit),
			 [COL_EVENT_SOURCE] = TEXT(r->source),
			 [COL_EVENT_DESTINATION] = TEXT(r->destination),
			 [COL_EVENT_ACTOR_KIND] = TEXT(r->actor),
			 [COL_EVENT_ACTOR] = TEXT(r->comm[0] ? r->comm : r->actor),
			 [COL_EVENT_PID] = NUMBER(r->pid),
			 [COL_EVENT_COMMAND] = TEXT(r->comm),
			 [COL_EVENT_WHAT] = TEXT(what),
		 });
}

static void print_event(struct tail *tail, const struct k2k_audit_record *r)
{
	if (tail->ctl->format == FORMAT_JSON)
		print_json(tail->ctl, r);
	else
		print_row(&tail->list, r);
}

/* ---- the last N events --------------------------------------------------------------- */

static void keep_event(struct tail *tail, const struct k2k_audit_record *r)
{
	tail->kept[tail->seen++ % tail->last] = *r;
}

/* All existing events have been read. Later ones are printed as they come. */
static void print_kept(struct tail *tail)
{
	uint64_t count = tail->seen < tail->last ? tail->seen : tail->last;

	for (uint64_t i = tail->seen - count; i < tail->seen; i++)
		print_event(tail, &tail->kept[i % tail->last]);
	free(tail->kept);
	tail->kept = NULL;
}

/* ---- following -------------------------------------------------------------------- */

/* Ends the program if its reader has gone, which a wait for events would not notice. */
static void *watch_reader(void *unused)
{
	struct pollfd out = { STDOUT_FILENO, 0, 0 };

	(void)unused;
	while (poll(&out, 1, -1) != 1)
		;
	if (out.revents & POLLNVAL)
		return NULL; /* this program has closed it, at its end */
	_exit(EXIT_SYSTEM);
}

static void *start_watch(struct ctl *ctl, int *exit_code)
{
	static pthread_t thread;
	int error = pthread_create(&thread, NULL, watch_reader, NULL);

	if (error)
		*exit_code = fail_with(ctl, K2K_ENOMEM,
		                       "can't start a thread that watches standard output: %s",
		                       strerror(error));
	return error ? NULL : &thread;
}

/* Reads some events. Returns a K2K_E... code; *all says whether all have been read. */
static int read_batch(struct tail *tail, struct k2k_audit_record *records, bool *all)
{
	uint32_t flags = (tail->follow ? 0 : K2K_AUDIT_OPEN_TOO) | K2K_AUDIT_DAMAGED_TOO;
	size_t count, newer = 0;
	int code;

	*records = (struct k2k_audit_record){ .size = sizeof(*records) };
	code = k2k_audit_read(tail->reg, &tail->at.cursor, flags, records, BATCH, &count);
	if (code)
		return code;
	for (size_t i = 0; i < count; i++) {
		if (is_wanted(tail, &records[i]))
			(tail->kept ? keep_event : print_event)(tail, &records[i]);
		newer += records[i].sequence > ring_newest(&tail->start, records[i].ring);
	}
	/* without -f, end even if others write faster than this reads */
	*all = !count || (!tail->follow && newer == count);
	return 0;
}

static int run(struct tail *tail, struct k2k_audit_record *records)
{
	bool all = false;
	int code = 0;

	while (!code && !ferror(stdout)) {
		code = read_batch(tail, records, &all);
		if (tail->kept && (code || all))
			print_kept(tail);
		if (code || !all)
			continue;
		if (!tail->follow)
			break;
		if (tail->ctl->format == FORMAT_JSON)
			fflush(stdout);
		else
			list_page(&tail->list);
		if (!ferror(stdout))
			code = k2k_audit_wait(tail->reg, &tail->at.cursor, UINT64_MAX);
		/* read its last events first; the next read fails as well */
		if (code == K2K_EFENCED)
			code = 0;
	}
	return code;
}

static int print_tail(struct tail *tail, struct k2k_audit_record *records)
{
	bool listed = tail->ctl->format != FORMAT_JSON;
	int code, exit_code = begin(tail, records);

	if (!exit_code && tail->follow)
		start_watch(tail->ctl, &exit_code);
	if (exit_code)
		return exit_code;
	if (listed)
		list_begin(&tail->list, tail->ctl, &events_table, NULL);
	code = run(tail, records);
	if (listed && tail->follow)
		list_page(&tail->list);
	else if (listed)
		list_end(&tail->list);
	return code ? fail_registry(tail->ctl, code) : EXIT_DONE;
}

int cmd_audit_tail(struct ctl *ctl)
{
	struct tail tail = { .ctl = ctl };
	struct k2k_audit_record *records;
	int exit_code;

	if (!read_arguments(&tail))
		return EXIT_USAGE;
	exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &tail.reg);
	if (exit_code)
		return exit_code;
	records = check_memory(calloc(BATCH, sizeof(*records)));
	if (tail.last)
		tail.kept = check_memory(calloc(tail.last, sizeof(*tail.kept)));
	exit_code = print_tail(&tail, records);
	free(records);
	free(tail.kept);
	k2k_registry_close(&tail.reg);
	return exit_code;
}
