/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "document_source.h"
#include "output.h"

#include <stdarg.h>
#include <string.h>

/* ---- faults ----------------------------------------------------------------- */

bool source_bad_at(struct source *s, size_t line, size_t column, const char *format, ...)
{
	char text[600];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	progress_end(&s->progress);
	s->exit_code = fail_usage(s->ctl, "%s: line %zu, column %zu: %s",
	                          s->document->sources[s->index].name, line, column, text);
	if (++s->faults == DOCUMENT_FAULTS) {
		note(s->ctl, "%s: no more than %d faults are reported at once",
		     s->document->sources[s->index].name, DOCUMENT_FAULTS);
		s->fatal = true;
	}
	return false;
}

static bool bad_yaml(struct source *s)
{
	const yaml_parser_t *p = &s->parser;

	s->fatal = true;
	if (p->error == YAML_MEMORY_ERROR)
		out_of_memory();
	if (p->error == YAML_READER_ERROR) {
		progress_end(&s->progress);
		s->exit_code = fail_usage(
			s->ctl, "%s: byte %zu: %s", s->document->sources[s->index].name,
			p->problem_offset + 1, p->problem ? p->problem : "can't be read");
		return false;
	}
	return source_bad_at(s, p->problem_mark.line + 1, p->problem_mark.column + 1, "%s%s%s",
	                     p->context ? p->context : "", p->context ? ": " : "",
	                     p->problem ? p->problem : "neither YAML nor JSON");
}

/* ---- events ----------------------------------------------------------------- */

static void count_depth(struct source *s)
{
	yaml_event_type_t type = s->event.type;

	s->depth += type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT;
	s->depth -= type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT;
}

bool source_next(struct source *s)
{
	if (s->has_event)
		yaml_event_delete(&s->event);
	s->has_event = false;
	if (s->fatal)
		return false;
	if (!yaml_parser_parse(&s->parser, &s->event))
		return bad_yaml(s);
	s->has_event = true;
	count_depth(s);
	if (s->skipping)
		return true;
	switch (s->event.type) {
	case YAML_ALIAS_EVENT:
		return bad(s, "an alias (*%.60s): write out its value",
		           (char *)s->event.data.alias.anchor);
	case YAML_SCALAR_EVENT:
		if (s->event.data.scalar.anchor || s->event.data.scalar.tag)
			return bad(s, "anchors and tags are not supported");
		return true;
	case YAML_SEQUENCE_START_EVENT:
		if (s->event.data.sequence_start.anchor || s->event.data.sequence_start.tag)
			return bad(s, "anchors and tags are not supported");
		return true;
	case YAML_MAPPING_START_EVENT:
		if (s->event.data.mapping_start.anchor || s->event.data.mapping_start.tag)
			return bad(s, "anchors and tags are not supported");
		return true;
	default: return true;
	}
}

bool source_skip_value(struct source *s, size_t depth)
{
	s->skipping = true;
	while (s->depth > depth && source_next(s))
		;
	s->skipping = false;
	return !s->fatal;
}

bool source_skip_next_value(struct source *s, size_t depth)
{
	if (!source_skip_value(s, depth))
		return false;
	s->skipping = true;
	source_next(s);
	return source_skip_value(s, depth);
}

bool source_is_scalar(struct source *s, const char *what)
{
	if (s->event.type != YAML_SCALAR_EVENT)
		return bad(s, "%s: must be a single value", what);
	if (strlen(source_scalar(s)) != s->event.data.scalar.length)
		return bad(s, "%s: contains a character 0", what);
	return true;
}

bool source_bad_scalar(struct source *s, const char *what, const struct units_fault *fault,
                       const char *forms)
{
	const yaml_mark_t *start = &s->event.start_mark, *end = &s->event.end_mark;
	size_t length = s->event.data.scalar.length, quote = 0, column = start->column + 1;

	if (s->event.data.scalar.style == YAML_SINGLE_QUOTED_SCALAR_STYLE ||
	    s->event.data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE)
		quote = 1;
	if (start->line == end->line && end->column - start->column == length + 2 * quote)
		column += quote + fault->position - 1;
	return source_bad_at(s, start->line + 1, column, "%s '%.100s': %s; %s", what,
	                     source_scalar(s), fault->what, forms);
}

bool source_take_u64(struct source *s, const char *what, const struct form *form, uint64_t *value)
{
	struct units_fault fault;

	if (!source_is_scalar(s, what))
		return false;
	return !form->parse(source_scalar(s), value, &fault) ||
	       source_bad_scalar(s, what, &fault, form->text);
}

/* ---- keys ------------------------------------------------------------------- */

int source_take_key(struct source *s, const char *of, const char *const *keys, size_t count,
                    uint32_t *seen)
{
	char all[300] = "";

	if (!source_next(s))
		return -1;
	if (s->event.type == YAML_MAPPING_END_EVENT)
		return (int)count;
	if (!source_is_scalar(s, "a key"))
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(keys[i], source_scalar(s))) {
			snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s",
			         i ? ", " : "", keys[i]);
			continue;
		}
		if (*seen & UINT32_C(1) << i)
			return bad(s, "'%s' is there twice", keys[i]), -1;
		*seen |= UINT32_C(1) << i;
		return (int)i;
	}
	bad(s, "'%.60s': %s has no such key; its keys are %s", source_scalar(s), of, all);
	return -1;
}

bool source_is_mapping(struct source *s, const char *what, const char *form)
{
	return s->event.type == YAML_MAPPING_START_EVENT ||
	       bad(s, "%s: must be a mapping, like %s", what, form);
}
