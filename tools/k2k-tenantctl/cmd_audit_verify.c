/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * audit verify: is a log of k2k-auditd as it was written?
 *
 * The files are ordered by the number of their first line, and read line by line. The first line
 * that is not the expected one (by number and MAC) is the finding. The lines after it show what
 * happened:
 *
 *   the expected line comes later                    this line was inserted; or reordered, if its
 *                                                    own predecessor comes later too
 *   it does not, and this line's number is higher    lines were removed
 *   it does not, and this line's number is lower     this line was inserted
 *   it does not, and this line has the expected      this line was changed
 *   number, or the next line continues from it
 */
#include "audit_text.h"
#include "commands.h"
#include "output.h"
#include "common/audit_chain.h"
#include "common/audit_event.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Events that the log never contained, from its line of kind "lost". */
struct loss {
	uint32_t ring;
	uint64_t sequence, count, at_ns;
};

struct file {
	const char *name;
	/* the number of its "log.opened" line, else of the first line with a number; 0: none */
	uint64_t first;
	bool opened; /* it has an intact "log.opened" line */
	uint8_t prev[CHAIN_MAC_BYTES];
};

/* A line after the wrong one. */
struct later {
	bool parsed,
		expected; /* expected: it is the line that should be in place of the wrong one */
	uint64_t seq;
};

struct verify {
	struct ctl *ctl;
	struct chain_key key;
	struct file *files;
	size_t count, file; /* file: the current one */
	uint64_t line;      /* in that file */

	uint64_t first, lines, seq; /* seq: the number of the last good line */
	uint8_t mac[CHAIN_MAC_BYTES];
	/* times of the first and the last line that are newer than the head */
	uint64_t beyond_ns, last_ns;
	uint64_t oldest; /* the oldest line that exists, according to the newest file */
	bool keyed;

	const char *head_file, *head_says;
	bool has_head;
	struct chain_head head;

	struct loss *losses;
	size_t loss_count, loss_room;
	uint64_t lost, damaged; /* lost events; how often a ring was found corrupt */

	bool half;        /* the last file ends with half a line */
	const char *what; /* the finding in a word or two; null: none */
	const char *at_file;
	uint64_t at_line, at_seq;
	char text[300];
};

__attribute__((format(printf, 3, 4))) static void find(struct verify *v, const char *what,
                                                       const char *format, ...)
{
	va_list args;

	if (v->what)
		return;
	v->what = what;
	va_start(args, format);
	vsnprintf(v->text, sizeof(v->text), format, args);
	va_end(args);
}

static void set_place(struct verify *v, uint64_t seq)
{
	v->at_file = v->files[v->file].name;
	v->at_line = v->line;
	v->at_seq = seq;
}

/* ---- files ---------------------------------------------------------------------------- */

static int fail_file(struct ctl *ctl, const char *name, int error)
{
	int code = error == EACCES || error == EPERM                        ? K2K_EPERM
	           : error == ENOENT || error == ENOTDIR || error == EISDIR ? K2K_EINVAL
	                                                                    : K2K_EIO;

	return fail_with(ctl, code, "%.200s: %s", name, strerror(error));
}

/* The MAC of a "log.opened" line can be checked alone, wherever the line is. */
static bool take_opened(const struct chain_key *key, struct file *file, const char *text,
                        size_t size, const struct chain_line *line)
{
	struct chain_opened opened;

	if (!chain_parse_opened(text, size, line, &opened))
		return false;
	file->opened = chain_follows(key, opened.prev, text, line);
	if (file->opened) {
		file->first = line->seq;
		memcpy(file->prev, opened.prev, sizeof(file->prev));
	}
	chain_free_opened(&opened);
	return file->opened;
}

static int look_at_file(struct verify *v, struct file *file)
{
	struct chain_reader reader;
	struct chain_line line;
	enum chain_read what;
	const char *text;
	size_t size;
	int error = chain_reader_open(&reader, file->name);

	if (error)
		return fail_file(v->ctl, file->name, error);
	while ((what = chain_reader_next(&reader, &text, &size)) == CHAIN_LINE) {
		if (!chain_parse(text, size, &line))
			continue;
		if (take_opened(&v->key, file, text, size, &line))
			break;
		file->first = file->first ? file->first : line.seq;
	}
	error = errno;
	chain_reader_close(&reader);
	return what == CHAIN_FAILED ? fail_file(v->ctl, file->name, error) : 0;
}

static int by_first(const void *a, const void *b)
{
	uint64_t left = ((const struct file *)a)->first, right = ((const struct file *)b)->first;

	return left < right ? -1 : left > right;
}

/* ---- the first wrong line ----------------------------------------------------------------- */

struct rest {
	struct later *lines;
	size_t count, room;
	/* the wrong line continues from one of them: it is genuine, but in the wrong place */
	bool moved;
	/* the number of the next line if that continues from the wrong one; else 0 */
	uint64_t next;
};

struct wrong {
	bool parsed;
	struct chain_line line;
	char text[CHAIN_LINE_MAX];
};

static bool is_expected(const struct verify *v, const char *text, const struct chain_line *line)
{
	return line->seq == v->seq + 1 && chain_follows(&v->key, v->mac, text, line);
}

static void add_later(struct rest *rest, struct later later)
{
	if (rest->count == rest->room) {
		rest->room = rest->room * 2 + 64;
		rest->lines = check_memory(realloc(rest->lines, rest->room * sizeof(*rest->lines)));
	}
	rest->lines[rest->count++] = later;
}

/* Reads everything after the wrong line, in this file and in those after it. */
static int read_rest(struct verify *v, struct chain_reader *reader, const struct wrong *wrong,
                     struct rest *rest)
{
	struct chain_reader next;
	enum chain_read what;
	int exit_code = 0;
	const char *text;
	size_t size;

	for (size_t file = v->file; !exit_code && file < v->count; file++) {
		if (file > v->file) {
			int error = chain_reader_open(&next, v->files[file].name);

			if (error)
				return fail_file(v->ctl, v->files[file].name, error);
			reader = &next;
		}
		while ((what = chain_reader_next(reader, &text, &size)) == CHAIN_LINE) {
			struct chain_line line = { 0 };
			struct later later = { chain_parse(text, size, &line), false, line.seq };

			later.expected = later.parsed && is_expected(v, text, &line);
			if (!rest->count && wrong->parsed && later.parsed &&
			    chain_follows(&v->key, wrong->line.mac, text, &line))
				rest->next = line.seq;
			if (wrong->parsed && later.parsed && line.seq + 1 == wrong->line.seq)
				rest->moved |= chain_follows(&v->key, line.mac, wrong->text,
				                             &wrong->line);
			add_later(rest, later);
		}
		if (what == CHAIN_FAILED)
			exit_code = fail_file(v->ctl, v->files[file].name, errno);
		if (reader == &next)
			chain_reader_close(&next);
	}
	return exit_code;
}

static bool is_later(const struct rest *rest, uint64_t seq)
{
	for (size_t i = 0; i < rest->count; i++)
		if (rest->lines[i].parsed && rest->lines[i].seq == seq)
			return true;
	return false;
}

static bool expected_is_later(const struct rest *rest)
{
	for (size_t i = 0; i < rest->count; i++)
		if (rest->lines[i].expected)
			return true;
	return false;
}

static void judge(struct verify *v, const struct wrong *wrong, const struct rest *rest)
{
	uint64_t wanted = v->seq + 1, seq = wrong->parsed ? wrong->line.seq : 0;
	bool in_place = rest->next == wanted + 1;
	bool past_head = !rest->next && v->has_head && v->head.count == v->seq &&
	                 !memcmp(v->head.last, v->mac, sizeof(v->mac));

	set_place(v, seq);
	if (expected_is_later(rest) && rest->moved && !is_later(rest, seq))
		find(v, "reordered", "line %" PRIu64 " of the log is before line %" PRIu64, seq,
		     wanted);
	else if (expected_is_later(rest))
		find(v, "inserted", "not a line of the log: line %" PRIu64 " comes after it",
		     wanted);
	else if (past_head)
		find(v, "inserted", "after the last line of the log, and not its next line");
	else if (seq == wanted + 1 && !in_place)
		find(v, "removed", "line %" PRIu64 " of the log is missing before it", wanted);
	else if (seq > wanted && !in_place)
		find(v, "removed",
		     "lines %" PRIu64 " to %" PRIu64 " of the log are missing before it", wanted,
		     seq - 1);
	else if (seq && seq < wanted && !in_place)
		find(v, "inserted", "line %" PRIu64 " of the log has come before", seq);
	else
		find(v, "changed", "not line %" PRIu64 " of the log as it was written", wanted);
}

static int find_cause(struct verify *v, struct chain_reader *reader, const char *text, size_t size)
{
	struct rest rest = { 0 };
	struct wrong *wrong = check_memory(calloc(1, sizeof(*wrong)));
	int exit_code;

	if (size < sizeof(wrong->text)) {
		memcpy(wrong->text, text, size);
		wrong->parsed = chain_parse(wrong->text, size, &wrong->line);
	}
	exit_code = read_rest(v, reader, wrong, &rest);
	if (!exit_code)
		judge(v, wrong, &rest);
	free(rest.lines);
	free(wrong);
	return exit_code;
}

/* ---- line by line ---------------------------------------------------------------------------- */

/* Compares the key with the one that the first "log.opened" line names. */
static int check_key(struct verify *v, const struct chain_opened *opened, uint64_t seq)
{
	char name[CHAIN_KEY_NAME];

	chain_key_name(&v->key, name);
	v->keyed = opened->key[0] != 0;
	if (v->keyed && !v->key.size)
		return fail_with(v->ctl, K2K_EINVAL,
		                 "%s: written with key %s; --key FILE is needed to verify it",
		                 v->files[v->file].name, opened->key);
	if (strcmp(name, opened->key) != 0) {
		set_place(v, seq);
		if (v->keyed)
			find(v, "wrong key", "written with key %s, and this is key %s", opened->key,
			     name);
		else
			find(v, "wrong key", "written without a key: anyone may have written it");
	}
	return 0;
}

/* The first line of the first file names the MAC of the line before it. */
static int begin_chain(struct verify *v, const char *text, size_t size,
                       const struct chain_line *line)
{
	const struct file *file = &v->files[0];
	struct chain_opened opened;
	int exit_code;

	v->first = file->first;
	if (file->opened) {
		v->seq = file->first - 1;
		memcpy(v->mac, file->prev, sizeof(v->mac));
	}
	if (!chain_parse_opened(text, size, line, &opened)) {
		if (!file->opened && line->seq > 1) {
			set_place(v, line->seq);
			find(v, "removed",
			     "the lines before it are missing: no file begins with line %" PRIu64,
			     line->seq);
		}
		return 0;
	}
	exit_code = check_key(v, &opened, line->seq);
	if (!exit_code && !file->opened) {
		v->seq = line->seq - 1;
		memcpy(v->mac, opened.prev, sizeof(v->mac));
	}
	chain_free_opened(&opened);
	return exit_code;
}

static void note_loss(struct verify *v, struct loss loss)
{
	if (__builtin_add_overflow(v->lost, loss.count, &v->lost))
		v->lost = UINT64_MAX;
	if (v->loss_count == v->loss_room) {
		v->loss_room = v->loss_room * 2 + 16;
		v->losses = check_memory(realloc(v->losses, v->loss_room * sizeof(*v->losses)));
	}
	v->losses[v->loss_count++] = loss;
}

/* Even a log that is as it was written can lack events. */
static void take_loss(struct verify *v, const char *text, const struct chain_line *line)
{
	const char *end = text + line->body_size,
		   *quote = memchr(line->kind, '"', (size_t)(end - line->kind));
	struct loss loss = { .at_ns = line->at_ns };

	if (!quote)
		return;
	v->damaged += quote - line->kind == 7 && !memcmp(line->kind, "damaged", 7);
	if (event_place(line->kind, (size_t)(quote - line->kind), end, &loss.ring, &loss.sequence,
	                &loss.count) &&
	    loss.count)
		note_loss(v, loss);
}

static void accept(struct verify *v, const char *text, size_t size, const struct chain_line *line)
{
	struct chain_opened opened;

	v->lines++;
	v->seq = line->seq;
	v->last_ns = line->at_ns;
	take_loss(v, text, line);
	if (v->has_head && line->seq == v->head.count + 1)
		v->beyond_ns = line->at_ns;
	if (v->has_head && line->seq == v->head.count &&
	    memcmp(line->mac, v->head.last, sizeof(line->mac)))
		v->head_says = "another";
	memcpy(v->mac, line->mac, sizeof(v->mac));
	if (chain_parse_opened(text, size, line, &opened)) {
		v->oldest = opened.oldest;
		chain_free_opened(&opened);
	}
}

static int verify_line(struct verify *v, struct chain_reader *reader, const char *text, size_t size)
{
	struct chain_line line;
	bool parsed = chain_parse(text, size, &line);
	int exit_code = 0;

	v->line++;
	if (!parsed && !v->lines)
		line = (struct chain_line){ 0 };
	if (!v->lines)
		exit_code = begin_chain(v, text, size, &line);
	if (exit_code || v->what)
		return exit_code;
	if (parsed && is_expected(v, text, &line)) {
		accept(v, text, size, &line);
		return 0;
	}
	return find_cause(v, reader, text, size);
}

static int verify_file(struct verify *v)
{
	const char *name = v->files[v->file].name, *text;
	struct chain_reader reader;
	enum chain_read what = CHAIN_END;
	int exit_code = 0, error = chain_reader_open(&reader, name);
	size_t size;

	if (error)
		return fail_file(v->ctl, name, error);
	v->line = 0;
	while (!exit_code && !v->what &&
	       (what = chain_reader_next(&reader, &text, &size)) == CHAIN_LINE)
		exit_code = verify_line(v, &reader, text, size);
	if (!exit_code && !v->what && what == CHAIN_FAILED)
		exit_code = fail_file(v->ctl, name, errno);
	v->half = what == CHAIN_HALF;
	if (!exit_code && !v->what && v->half && v->file + 1 < v->count) {
		v->line++;
		set_place(v, v->seq + 1);
		find(v, "changed", "half a line that is not at the end of the log");
	}
	chain_reader_close(&reader);
	return exit_code;
}

/* ---- the head -------------------------------------------------------------------------------- */

enum { HEAD_SLACK_S = 10 };

/* The head is read before the log, which may grow meanwhile: then it only has more lines. */
static void read_head(struct verify *v, char *name, size_t room)
{
	const char *given = v->ctl->option[OPT_HEAD], *newest = v->files[v->count - 1].name, *dot;
	enum chain_head_state state;

	snprintf(name, room, "%s%s", given ? given : newest, given ? "" : ".head");
	state = chain_read_head(name, &v->key, &v->head);
	dot = strrchr(newest, '.');
	if (state == CHAIN_HEAD_MISSING && !given && dot && dot[1] &&
	    !dot[1 + strspn(dot + 1, "0123456789")]) {
		/* FILE is a rotated file; the head belongs to the current one */
		snprintf(name, room, "%.*s.head", (int)(dot - newest), newest);
		state = chain_read_head(name, &v->key, &v->head);
	}
	v->head_file = name;
	v->has_head = state == CHAIN_HEAD_GOOD;
	v->head_says = state == CHAIN_HEAD_GOOD      ? "matches"
	               : state == CHAIN_HEAD_MISSING ? "missing"
	               : state == CHAIN_HEAD_BAD     ? "changed"
	                                             : "unreadable";
}

static void judge_head(struct verify *v)
{
	uint64_t span = v->last_ns > v->beyond_ns ? v->last_ns - v->beyond_ns : 0;

	if (!strcmp(v->head_says, "missing"))
		find(v, "head missing",
		     "%s: so it is unknown whether lines were cut off at the end", v->head_file);
	else if (!strcmp(v->head_says, "changed"))
		find(v, "head changed", "%s: not as it was written, or with another key",
		     v->head_file);
	else if (!strcmp(v->head_says, "unreadable"))
		find(v, "head unreadable",
		     "%s: so it is unknown whether lines were cut off at the end", v->head_file);
	else if (!strcmp(v->head_says, "another"))
		find(v, "head differs",
		     "%s: belongs to another log: its last line, %" PRIu64 ", is not the one here",
		     v->head_file, v->head.count);
	if (!v->has_head || v->what)
		return;
	if (v->head.count > v->seq) {
		v->head_says = "ahead";
		find(v, "cut off",
		     "lines %" PRIu64 " to %" PRIu64 " are missing at the end: %s has counted them",
		     v->seq + 1, v->head.count, v->head_file);
	} else if (v->head.count < v->seq) {
		v->head_says = "behind";
		if (span > v->head.interval_ns + HEAD_SLACK_S * UINT64_C(1000000000))
			find(v, "head old",
			     "%s ends with line %" PRIu64
			     ", and the lines after it are older than its delay",
			     v->head_file, v->head.count);
	}
}

static void judge_beginning(struct verify *v)
{
	if (v->what || !v->lines || v->first <= v->oldest)
		return;
	v->at_file = v->files[0].name;
	v->at_line = 1;
	v->at_seq = v->first;
	find(v, "removed",
	     "lines %" PRIu64 " to %" PRIu64
	     " are in none of these files, but the newest one says that they exist",
	     v->oldest, v->first - 1);
}

/* ---- lost events ------------------------------------------------------------------ */

enum { LOSSES_LISTED = 20 };

static json_object *losses_json(const struct verify *v)
{
	static const struct field fields[] = {
		{ "ring", NULL, KIND_COUNT, 0 },
		{ "sequence", NULL, KIND_ID, 0 },
		{ "count", NULL, KIND_TOTAL, 0 },
		{ "at_ns", NULL, KIND_TIME, 0 },
	};
	json_object *array = json_new_list();

	for (size_t i = 0; i < v->loss_count; i++) {
		const struct loss *loss = &v->losses[i];
		const struct value values[] = { NUMBER(loss->ring), NUMBER(loss->sequence),
			                        NUMBER(loss->count), NUMBER(loss->at_ns) };

		json_append_row(array, fields, values, 4);
	}
	return array;
}

static void report_losses(const struct verify *v)
{
	char first[AUDIT_TEXT], last[AUDIT_TEXT], when[40];
	struct tm tm;

	if (v->damaged)
		note(v->ctl,
		     "corrupt rings were found %" PRIu64 " times: something had written into them",
		     v->damaged);
	if (!v->lost)
		return;
	note(v->ctl,
	     "%" PRIu64 " events are missing: they were overwritten before they were read, or "
	     "never completed",
	     v->lost);
	for (size_t i = 0; i < v->loss_count && i < LOSSES_LISTED; i++) {
		const struct loss *loss = &v->losses[i];
		time_t seconds = (time_t)(loss->at_ns / 1000000000);

		when[0] = 0;
		if (gmtime_r(&seconds, &tm))
			strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
		note(v->ctl, "missing: %s to %s, noticed at %s",
		     audit_event_name(first, loss->ring, loss->sequence),
		     audit_event_name(last, loss->ring, loss->sequence + loss->count - 1), when);
	}
	if (v->loss_count > LOSSES_LISTED)
		note(v->ctl, "and %zu more gaps; -J shows all", v->loss_count - LOSSES_LISTED);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void print_answer(struct verify *v)
{
	static const struct field fields[] = {
		{ "verified", "verified", KIND_BOOL, 0 },
		{ "keyed", "keyed", KIND_BOOL, 0 },
		{ "lines_total", "lines", KIND_TOTAL, 0 },
		{ "first_line", "first", KIND_ID, 0 },
		{ "last_line", "last", KIND_ID, 0 },
		{ "head", "head", KIND_TEXT, 0 },
		{ "lost_total", "missing events", KIND_TOTAL, 0 },
		{ "damaged_total", "damaged rings", KIND_TOTAL, 0 },
		{ "losses", NULL, KIND_JSON, 0 },
		{ "finding.what", "finding", KIND_TEXT, 0 },
		{ "finding.file", "file", KIND_TEXT, 0 },
		{ "finding.line", "line", KIND_ID, 0 },
		{ "finding.number", "number", KIND_ID, 0 },
		{ "finding.text", "because", KIND_TEXT, 0 },
	};
	json_object *losses = losses_json(v);
	const struct value values[] = {
		NUMBER(!v->what),   NUMBER(v->keyed),
		NUMBER(v->lines),   NUMBER(v->lines ? v->first : 0),
		NUMBER(v->seq),     TEXT(v->head_says),
		NUMBER(v->lost),    NUMBER(v->damaged),
		{ .json = losses }, TEXT(v->what),
		TEXT(v->at_file),   NUMBER(v->at_line),
		NUMBER(v->at_seq),  TEXT(v->text),
	};

	if (!v->ctl->quiet && (v->ctl->format != FORMAT_TABLE || !v->what))
		print_record(v->ctl, fields, values, v->what ? 14 : 9);
	json_object_put(losses);
	if (v->ctl->quiet || v->ctl->format != FORMAT_TABLE || !v->what)
		return;
	if (v->at_file)
		printf("%s:%" PRIu64 ": %s: %s\n", v->at_file, v->at_line, v->what, v->text);
	else
		printf("%s: %s\n", v->what, v->text);
}

static int verify_all(struct verify *v)
{
	char head[4096 + 16];
	int exit_code = 0;

	for (size_t i = 0; !exit_code && i < v->count; i++)
		exit_code = look_at_file(v, &v->files[i]);
	if (exit_code)
		return exit_code;
	qsort(v->files, v->count, sizeof(*v->files), by_first);
	read_head(v, head, sizeof(head));
	for (v->file = 0; !exit_code && !v->what && v->file < v->count; v->file++)
		exit_code = verify_file(v);
	if (exit_code)
		return exit_code;
	judge_beginning(v);
	judge_head(v);
	if (!v->lines && !v->what)
		find(v, "empty", "it has no lines");
	print_answer(v);
	report_losses(v);
	if (v->half)
		note(v->ctl, "half a line at the end: it is being written, or a kill left it; the "
		             "next start of k2k-auditd cuts it off");
	if (v->what)
		note(v->ctl, "not verified");
	else if (!v->keyed)
		note(v->ctl, "written without a key: whoever may write the log can forge all of it "
		             "unnoticed");
	return v->what ? EXIT_NO : EXIT_DONE;
}

int cmd_audit_verify(struct ctl *ctl)
{
	struct verify v = { .ctl = ctl, .count = ctl->argument_count };
	const char *key = ctl->option[OPT_KEY];
	char why[128];
	int code;

	if (chain_init())
		return fail_with(ctl, K2K_EIO, "libsodium can't be initialised");
	code = key ? chain_read_key(key, &v.key, why, sizeof(why)) : 0;
	if (code)
		return fail_with(ctl,
		                 code == CHAIN_KEY_RIGHTS ? K2K_EPERM
		                 : code == CHAIN_KEY_FORM ? K2K_EINVAL
		                                          : K2K_EIO,
		                 "--key %.200s: %s", key, why);
	v.files = check_memory(calloc(v.count, sizeof(*v.files)));
	for (size_t i = 0; i < v.count; i++)
		v.files[i].name = ctl->arguments[i];
	code = verify_all(&v);
	free(v.files);
	free(v.losses);
	return code;
}
