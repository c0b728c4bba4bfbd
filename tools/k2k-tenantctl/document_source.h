/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * document_source.h - one file of a document, event by event: scalars, keys, and faults with their
 * line and column
 */
#ifndef K2K_TENANTCTL_DOCUMENT_SOURCE_H
#define K2K_TENANTCTL_DOCUMENT_SOURCE_H

#include "document.h"
#include "progress.h"
#include "common/units.h"

#include <yaml.h>

struct source {
	struct ctl *ctl;
	struct document *document;
	enum document_kind kind;
	yaml_parser_t parser;
	yaml_event_t event;
	bool has_event;
	bool fatal;          /* nothing more can be read */
	bool skipping;       /* reads the rest of a value whose fault was reported */
	size_t index, depth; /* index: the file; depth: mappings and lists around the event */
	size_t faults;
	int exit_code;
	struct progress progress;
};

/* Reports a fault, and returns false. */
bool source_bad_at(struct source *s, size_t line, size_t column, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* A fault at the current event. */
#define bad(s, ...)                                                                          \
	source_bad_at((s), (s)->event.start_mark.line + 1, (s)->event.start_mark.column + 1, \
	              __VA_ARGS__)

/* Reads the next event. False at a fault of the syntax, and if nothing more can be read. */
bool source_next(struct source *s);
/*
 * After a fault: reads to the end of the value that has it, in a mapping or list of this depth.
 * False if nothing more can be read.
 */
bool source_skip_value(struct source *s, size_t depth);
/* The same after a fault in a key: skips the value that follows it. */
bool source_skip_next_value(struct source *s, size_t depth);

static inline const char *source_scalar(const struct source *s)
{
	return (const char *)s->event.data.scalar.value;
}

bool source_is_scalar(struct source *s, const char *what);
/*
 * A fault in the scalar: at the wrong character, if the file has the text without escapes; else at
 * its beginning.
 */
bool source_bad_scalar(struct source *s, const char *what, const struct units_fault *fault,
                       const char *forms);
bool source_take_u64(struct source *s, const char *what, const struct form *form, uint64_t *value);
/* The next key of a mapping: its number in `keys`, `count` at the end, -1 after a fault. */
int source_take_key(struct source *s, const char *of, const char *const *keys, size_t count,
                    uint32_t *seen);
bool source_is_mapping(struct source *s, const char *what, const char *form);

#endif
