/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* audit_recorder.h - a sink that records what it receives, and a clock to inject. */
#ifndef K2K_TESTS_AUDIT_RECORDER_H
#define K2K_TESTS_AUDIT_RECORDER_H

#include "harness.h"

#include <pthread.h>
#include <stdbool.h>

#include "handle.h"
#include "k2k/registry.h"

#define SECOND UINT64_C(1000000000)
#define EVENTS_MAX 8192

/*
 * Formats one event as one line: "Warning ResourceLimitExceeded -5004 x1 actor
 * target|description|key=value ..."
 */
struct recorder {
	pthread_mutex_t mutex;
	char *lines[EVENTS_MAX];
	uint64_t time_ns[EVENTS_MAX];
	pthread_t thread[EVENTS_MAX];
	size_t events;
	uint64_t sum; /* sum of all counts */
};
#define RECORDER_INIT                              \
	{                                          \
		.mutex = PTHREAD_MUTEX_INITIALIZER \
	}

HARNESS_USED static void record(void *context, const struct k2k_audit_event *event)
{
	struct recorder *r = context;
	char line[4096];
	int n;

	assert_int_equal(event->size, sizeof *event);
	assert_int_equal(event->flags, 0);
	assert_true(event->count > 0);
	n = snprintf(line, sizeof line, "%s %s %s x%" PRIu64 " %s %s|%s|",
	             k2k_audit_level_name(event->level), k2k_audit_type_name(event->type),
	             k2k_errname(event->code), event->count, event->actor,
	             event->target ? event->target : "-", event->description);
	for (uint32_t i = 0; i < event->field_count; i++)
		n += snprintf(line + n, sizeof line - (size_t)n, "%s%s=%s", i ? " " : "",
		              event->fields[i].key, event->fields[i].value);
	pthread_mutex_lock(&r->mutex);
	assert_true(r->events < EVENTS_MAX);
	r->lines[r->events] = strdup(line);
	r->time_ns[r->events] = event->time_ns;
	r->thread[r->events] = pthread_self();
	r->events++;
	r->sum += event->count;
	pthread_mutex_unlock(&r->mutex);
}

HARNESS_USED static size_t recorded(struct recorder *r)
{
	size_t n;

	pthread_mutex_lock(&r->mutex);
	n = r->events;
	pthread_mutex_unlock(&r->mutex);
	return n;
}

HARNESS_USED static void forget(struct recorder *r)
{
	pthread_mutex_lock(&r->mutex);
	for (size_t i = 0; i < r->events; i++)
		free(r->lines[i]);
	r->events = 0;
	r->sum = 0;
	pthread_mutex_unlock(&r->mutex);
}

/* Checks that the events so far are exactly these, and forgets them. */
#define CHECK_EVENTS(r, ...)                                                                       \
	do {                                                                                       \
		const char *expected_events[] = { __VA_ARGS__ };                                   \
		size_t expected_n = sizeof expected_events / sizeof expected_events[0];            \
		for (size_t event_i = 0; event_i < expected_n && event_i < (r)->events; event_i++) \
			assert_string_equal((r)->lines[event_i], expected_events[event_i]);        \
		if ((r)->events != expected_n)                                                     \
			fail_msg("%zu events, expected %zu; the last: %s", (r)->events,            \
			         expected_n, (r)->events ? (r)->lines[(r)->events - 1] : "-");     \
		forget(r);                                                                         \
	} while (0)
#define CHECK_NO_EVENTS(r)                                                            \
	do {                                                                          \
		if (recorded(r))                                                      \
			fail_msg("an event that nobody expected: %s", (r)->lines[0]); \
	} while (0)

/*
 * Holds the clock at second 1000 as long as the test wants. Hidden from the thread sanitizer: the
 * helper reads the pointer without ordering.
 */
HARNESS_USED static k2k_u64 injected_ns = 1000 * SECOND;

__attribute__((no_sanitize("thread"))) HARNESS_USED static void inject_clock(
	struct k2k_registry *reg)
{
	reg->clock.injected_ns = &injected_ns;
}

#endif
