/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit stats: how many events of each kind there were, who stores them, and what is missing there
 */
#include "audit_text.h"
#include "commands.h"
#include "output.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { FOLLOWERS = 8 };

static const char *state_name(enum k2k_follower_state state)
{
	switch (state) {
	case K2K_FOLLOWER_NONE: return "gone";
	case K2K_FOLLOWER_ACTIVE: return "active";
	case K2K_FOLLOWER_SILENT: return "silent";
	case K2K_FOLLOWER_FAILING: return "failing";
	case K2K_FOLLOWER_DEAD: return "dead";
	}
	return "unknown";
}

/* ---- followers ---------------------------------------------------------------------- */

static const struct field follower_fields[] = {
	{ "index", "FOLLOWER", KIND_COUNT, 0 },
	{ "state", "STATE", KIND_TEXT, 0 },
	{ "comm", "COMMAND", KIND_TEXT, 0 },
	{ "pid", "PID", KIND_ID, 0 },
	{ "attached_at_ns", NULL, KIND_TIME, 0 },
	{ "said_ago_ns", "SAID", KIND_NS, FIELD_LIMIT },
	{ "failures_total", "FAILURES", KIND_TOTAL, 0 },
	{ "failing_since_ns", NULL, KIND_TIME, 0 },
	{ "behind", "BEHIND", KIND_TOTAL, 0 },
	{ "overwritten", "OVERWRITTEN", KIND_TOTAL, 0 },
	{ "lost_total", "LOST", KIND_TOTAL, 0 },
	{ "damaged_total", "DAMAGED", KIND_TOTAL, 0 },
	{ "last_loss.ring", NULL, KIND_COUNT, 0 },
	{ "last_loss.sequence", NULL, KIND_ID, 0 },
	{ "last_loss.count", NULL, KIND_TOTAL, 0 },
	{ "last_loss.at_ns", NULL, KIND_TIME, 0 },
};
enum { FIELDS = sizeof(follower_fields) / sizeof(follower_fields[0]), LOSS_FIELDS = 4 };
static const struct table followers_table = { "followers", follower_fields, FIELDS, NULL, 0 };

static void follower_values(const struct k2k_audit_follower_info *f, struct value values[FIELDS])
{
	const struct value all[FIELDS] = {
		NUMBER(f->index),
		TEXT(state_name(f->state)),
		TEXT(f->comm),
		NUMBER(f->pid),
		NUMBER(f->attached_at_ns),
		NUMBER(f->said_ago_ns),
		NUMBER(f->failures),
		NUMBER(f->failing_since_ns),
		NUMBER(f->behind),
		NUMBER(f->overwritten),
		NUMBER(f->lost),
		NUMBER(f->damaged),
		NUMBER(f->lost_ring),
		NUMBER(f->lost_from),
		NUMBER(f->lost_count),
		NUMBER(f->lost_at_ns),
	};

	memcpy(values, all, sizeof(all));
	if (f->state != K2K_FOLLOWER_ACTIVE)
		values[1].color = "red";
	if (f->overwritten)
		values[9].color = "red";
	if (f->lost)
		values[10].color = "red";
}

static json_object *followers_json(const struct k2k_audit_follower_info *followers, size_t count)
{
	json_object *array = json_new_list();

	for (size_t i = 0; i < count; i++) {
		bool has_loss = followers[i].lost_at_ns != 0;
		struct value values[FIELDS];

		follower_values(&followers[i], values);
		json_append_row(array, follower_fields, values,
		                has_loss ? FIELDS : FIELDS - LOSS_FIELDS);
	}
	return array;
}

static void print_followers(struct ctl *ctl, const struct k2k_audit_follower_info *followers,
                            size_t count)
{
	struct list list;

	list_begin(&list, ctl, &followers_table, NULL);
	for (size_t i = 0; i < count; i++) {
		struct value values[FIELDS];

		follower_values(&followers[i], values);
		list_row(&list, values);
	}
	list_end(&list);
}

/* "admin:2 to admin:13" */
static const char *range_text(char text[2 * AUDIT_TEXT], uint32_t ring, uint64_t from,
                              uint64_t count)
{
	char first[AUDIT_TEXT], last[AUDIT_TEXT];

	snprintf(text, 2 * AUDIT_TEXT, "%s to %s", audit_event_name(first, ring, from),
	         audit_event_name(last, ring, from + count - 1));
	return text;
}

static void note_follower(const struct ctl *ctl, const struct k2k_audit_follower_info *f,
                          const char *format, ...) __attribute__((format(printf, 3, 4)));

static void note_follower(const struct ctl *ctl, const struct k2k_audit_follower_info *f,
                          const char *format, ...)
{
	char text[3 * AUDIT_TEXT];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	note(ctl, "follower %" PRIu32 " (%s, process %" PRIu64 "): %s", f->index, f->comm, f->pid,
	     text);
}

/* Reports what is missing in a log and where, so that nobody has to notice it in a column. */
static void note_losses(const struct ctl *ctl, const struct k2k_audit_follower_info *f)
{
	time_t seconds = (time_t)(f->lost_at_ns / 1000000000);
	char when[64] = "", range[2 * AUDIT_TEXT];
	struct tm tm;

	if (f->lost_count && gmtime_r(&seconds, &tm))
		strftime(when, sizeof(when), ", found at %Y-%m-%dT%H:%M:%SZ", &tm);
	if (f->lost || f->overwritten)
		note_follower(ctl, f, "%" PRIu64 " events are missing in its log",
		              f->lost + f->overwritten);
	if (f->lost && f->lost_count)
		note_follower(ctl, f, "the last of these are %s%s",
		              range_text(range, f->lost_ring, f->lost_from, f->lost_count), when);
	if (f->overwritten)
		note_follower(ctl, f, "overwritten before they were read: %s",
		              range_text(range, f->overwritten_ring, f->overwritten_from,
		                         f->overwritten_count));
	if (f->damaged)
		note_follower(ctl, f,
		              "found %" PRIu64 " corrupt rings: something has written into them",
		              f->damaged);
}

/* ---- kinds -------------------------------------------------------------------------- */

static void print_kinds(struct ctl *ctl, const struct k2k_audit_stats *stats,
                        json_object *followers)
{
	static const struct field extra[] = { { "max_audit_events", NULL, KIND_COUNT, 0 },
		                              { "followers", NULL, KIND_JSON, 0 } };
	const struct value extra_values[] = { NUMBER(stats->capacity), { .json = followers } };
	struct list list;

	list_begin(&list, ctl, &kinds_table, &(const struct extra){ extra, extra_values, 2 });
	for (uint32_t kind = 1; kind < K2K_AUDIT_KINDS_MAX; kind++) {
		struct value values[COL_KIND_COUNT] = {
			[COL_KIND_KIND] = TEXT(k2k_audit_kind_name(kind)),
			[COL_KIND_TYPE] = TEXT(k2k_audit_type_name(k2k_audit_kind_type(kind))),
			[COL_KIND_LEVEL] = TEXT(k2k_audit_level_name(k2k_audit_kind_level(kind))),
			[COL_KIND_WRITTEN] = NUMBER(stats->written_by_kind[kind]),
			[COL_KIND_COALESCED] = NUMBER(stats->coalesced_by_kind[kind]),
			[COL_KIND_LOST] = NUMBER(stats->lost_by_kind[kind]),
		};

		if (!strcmp(k2k_audit_kind_name(kind), "unknown"))
			continue;
		if (stats->lost_by_kind[kind])
			values[COL_KIND_LOST].color = "red";
		list_row(&list, values);
	}
	list_end(&list);
}

int cmd_audit_stats(struct ctl *ctl)
{
	struct k2k_audit_follower_info followers[FOLLOWERS] = { { .size = sizeof(followers[0]) } };
	struct k2k_audit_stats stats = { .size = sizeof(stats) };
	struct k2k_registry *reg;
	json_object *array;
	size_t count = 0;
	int code, exit_code = open_registry(ctl, K2K_ROLE_OBSERVER, &reg);

	if (exit_code)
		return exit_code;
	code = k2k_audit_stats(reg, &stats);
	if (!code)
		code = k2k_audit_follower_list(reg, followers, FOLLOWERS, &count);
	k2k_registry_close(&reg);
	if (code)
		return fail(ctl, code, "registry '%s'", ctl->registry);
	array = followers_json(followers, count);
	print_kinds(ctl, &stats, array);
	json_object_put(array);
	if (ctl->format == FORMAT_TABLE && count)
		print_followers(ctl, followers, count);
	else if (ctl->format == FORMAT_TABLE)
		note(ctl, "no followers: overwritten events are in no log");
	for (size_t i = 0; i < count; i++)
		note_losses(ctl, &followers[i]);
	return EXIT_DONE;
}
