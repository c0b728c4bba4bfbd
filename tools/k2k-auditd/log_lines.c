/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "log_lines.h"
#include "report.h"
#include "scan.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

json_object *log_line_new(const char *kind)
{
	json_object *object = json_new();

	json_put_text(object, "kind", kind);
	return object;
}

void log_problem(struct logfile *log, const char *format, ...)
{
	json_object *object = log_line_new("log.problem");
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	report("%s: %s", log->options.file, text);
	json_put_text(object, "text", text);
	bodies_add(&log->problems, object);
}

size_t log_compose(FILE *out, const struct chain_key *key, uint64_t seq,
                   uint8_t mac[CHAIN_MAC_BYTES], const char *body, size_t size)
{
	uint8_t fresh[CHAIN_MAC_BYTES];
	char *line, tail[CHAIN_TAIL];
	size_t length;
	FILE *text = text_open(&line, &length);

	fprintf(text, "{\"seq\":\"%" PRIu64 "\",\"at_ns\":\"%" PRIu64 "\",", seq, clock_wall_ns());
	fwrite(body, 1, size, text);
	text_close(text);
	chain_mac(key, mac, line, length, fresh);
	memcpy(mac, fresh, sizeof(fresh));
	chain_write_tail(tail, mac);
	fprintf(out, "%s%s\n", line, tail);
	free(line);
	return length + sizeof(tail);
}

/* Writes all of it, or leaves the file as long as it was. Returns 0 or -errno. */
static int write_whole(struct logfile *log, const char *bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		ssize_t n = write(log->fd, bytes + done, size - done);
		int error = n < 0 ? errno : ENOSPC;

		if (n > 0) {
			done += (size_t)n;
		} else if (n == 0 || error != EINTR) {
			/* if this fails too, half a line stays, which the next start cuts off */
			if (done && ftruncate(log->fd, (off_t)log->size))
				report("%s: half a line can't be removed: %s", log->options.file,
				       strerror(errno));
			return -error;
		}
	}
	return 0;
}

/* Updates the state by lines that were written. */
static void note_lines(struct logfile *log, const char *lines, size_t size)
{
	const char *end = lines + size;

	for (const char *at = lines; at < end;) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		struct chain_line line;

		if (chain_parse(at, (size_t)(stop - at), &line)) {
			scan_advance_line(&log->at, at, &line);
			log->seq = line.seq;
			memcpy(log->mac, line.mac, sizeof(log->mac));
			if (!log->lines++) {
				log->age_ns = 0;
				log->aged_at_ns = clock_monotonic_ns();
				log->file_seq = line.seq;
				log->file_at = log->at;
			}
		}
		at = stop + 1;
	}
	log->size += size;
	if (!log->dirty)
		log->due_ns = clock_monotonic_ns() + log->options.interval_ns;
	log->dirty = true;
}

int log_append(struct logfile *log, const char *lines, size_t size)
{
	int code = write_whole(log, lines, size);

	if (!code)
		note_lines(log, lines, size);
	return code;
}

void log_close_file(struct logfile *log, const char *why)
{
	if (log->fd >= 0)
		close(log->fd);
	log->fd = -1;
	log->why = why;
}
