/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * document.c - parses a document into entries, by libyaml's events
 *
 * Each take_...() is called with the event that begins its value, and consumes the whole value. If
 * something is wrong it reports that and returns false, and leaves the rest of the value unread.
 */
#include "document_source.h"
#include "common/thresholds.h"
#include "common/printable.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int parse_number(const char *text, uint64_t *value, struct units_fault *fault)
{
	return units_parse_count(text, 0, UINT64_MAX, value, fault);
}

static const struct form a_number = { parse_number,
	                              "a whole number, at most 18446744073709551615" };

static const struct form a_signed_number = { signed_parse, "a whole number with a sign" };

/* ---- limits ---------------------------------------------------------------- */

/* A limit of each host, or with /fleet of all hosts together, whose bit is set in *fleet then. */
static bool take_limit(struct source *s, const char *what, const struct form *form, uint32_t bit,
                       uint32_t *fleet, uint64_t *value)
{
	struct units_fault fault;
	char left[FLEET_TEXT];
	bool over;

	if (!source_is_scalar(s, what))
		return false;
	if (!fleet_cut(source_scalar(s), s->ctl->fleet, left, &over, &fault) ||
	    form->parse(over ? left : source_scalar(s), value, &fault))
		return source_bad_scalar(s, what, &fault, form->text);
	*fleet |= over ? bit : 0;
	return true;
}

static bool take_kernels(struct source *s, uint32_t *fleet, uint32_t *kernels)
{
	uint64_t number = 0;
	bool good = take_limit(s, "kernels", &a_kernel_count, FLEET_KERNELS, fleet, &number);

	*kernels = (uint32_t)number;
	return good;
}

/* ---- engagements ------------------------------------------------------------ */

static int by_engagement(const void *a, const void *b)
{
	const struct engagement_ns *x = a, *y = b;

	if (x->engagement != y->engagement)
		return x->engagement < y->engagement ? -1 : 1;
	return x->line != y->line ? (x->line < y->line ? -1 : 1)
	                          : (x->column > y->column) - (x->column < y->column);
}

/* The value of one engagement. */
typedef bool (*take_item)(struct source *s, const char *what, struct engagement_ns *item);

static bool take_cost(struct source *s, const char *what, struct engagement_ns *item)
{
	return source_take_u64(s, what, &a_number, &item->ns);
}

static bool take_correction(struct source *s, const char *what, struct engagement_ns *item)
{
	return source_take_u64(s, what, &a_signed_number, &item->ns);
}

static bool take_budget(struct source *s, const char *what, struct engagement_ns *item)
{
	struct units_fault fault;

	return source_is_scalar(s, what) &&
	       (!budget_parse(source_scalar(s), s->ctl->fleet, item, &fault) ||
	        source_bad_scalar(
			s, what, &fault,
			"a budget is like 1h30m, 10h/day (hour, week, month), or unlimited"));
}

static bool take_periods(struct source *s, const char *what, struct engagement_ns *item)
{
	struct document *d = s->document;

	if (!source_is_scalar(s, what))
		return false;
	item->ns = images_add(d, item->engagement);
	return periods_parse(source_scalar(s), &d->images[item->ns]) ||
	       bad(s, "%s: not as 'save' writes it", what);
}

/* {7: 1h, 8: 2h}. Keys are compared as numbers, because one number has several spellings. */
static bool take_engagements(struct source *s, const char *what, take_item take,
                             struct engagements *list, size_t *first, size_t *count)
{
	struct engagement_ns *own;

	*first = list->count;
	if (!source_is_mapping(s, what, "{7: 1h}"))
		return false;
	for (;;) {
		struct engagement_ns *item;

		if (!source_next(s))
			return false;
		if (s->event.type == YAML_MAPPING_END_EVENT)
			break;
		if (list->count == list->room) {
			list->room = list->room * 2 + 64;
			list->list = check_memory(
				realloc(list->list, list->room * sizeof(*list->list)));
		}
		item = &list->list[list->count];
		item->line = s->event.start_mark.line + 1;
		item->column = s->event.start_mark.column + 1;
		if (!source_take_u64(s, "engagement", &an_id, &item->engagement) ||
		    !source_next(s) || !take(s, what, item))
			return false;
		list->count++;
	}
	*count = list->count - *first;
	if (*count < 2)
		return true;
	own = &list->list[*first];
	qsort(own, *count, sizeof(*own), by_engagement);
	for (size_t i = 1; i < *count; i++)
		if (own[i].engagement == own[i - 1].engagement)
			return source_bad_at(s, own[i].line, own[i].column,
			                     "engagement %" PRIu64 " is there twice",
			                     own[i].engagement);
	return true;
}

/* ---- entries ---------------------------------------------------------------- */

static bool take_rejected(struct source *s, const char *what, struct k2k_rejected *rejected)
{
	static const char *const keys[] = { "rate", "budget", "kernels", "gpu_memory" };
	uint64_t *const values[] = { &rejected->rate, &rejected->budget, &rejected->kernels,
		                     &rejected->gpu_memory };
	uint32_t seen = 0;
	int key;

	if (!source_is_mapping(s, what, "{rate: 0, budget: 0, kernels: 0, gpu_memory: 0}"))
		return false;
	while ((key = source_take_key(s, what, keys, 4, &seen)) != 4)
		if (key < 0 || !source_next(s) ||
		    !source_take_u64(s, keys[key], &a_number, values[key]))
			return false;
	return seen == 15 || bad(s, "%s: needs rate, budget, kernels and gpu_memory", what);
}

static bool take_tenant_name(struct source *s, char name[K2K_TENANT_NAME_MAX + 1])
{
	const unsigned char *at = (const unsigned char *)source_scalar(s);

	if (!source_is_scalar(s, "name"))
		return false;
	if (s->event.data.scalar.length > K2K_TENANT_NAME_MAX)
		return bad(s, "name '%.60s': longer than %d bytes", source_scalar(s),
		           K2K_TENANT_NAME_MAX);
	for (; *at; at++)
		if (*at < 0x20 || *at == 0x7f || (*at == 0xc2 && at[1] < 0xa0))
			return bad(s, "name: has a control character");
	strcpy(name, source_scalar(s));
	return true;
}

static bool take_bool(struct source *s, const char *what, bool *value)
{
	if (!source_is_scalar(s, what))
		return false;
	*value = !strcmp(source_scalar(s), "true");
	return *value || !strcmp(source_scalar(s), "false") ||
	       bad(s, "%s '%.60s': must be true or false", what, source_scalar(s));
}

enum key {
	KEY_ID,
	KEY_PRESET,
	KEY_RATE,
	KEY_KERNELS,
	KEY_GPU_MEMORY,
	KEY_BUDGETS,
	KEY_NAME,
	KEY_SHADOW,
	KEY_BURST,
	KEY_POLICY,
	KEY_ALERTS,
	KEY_ALONE,
	PLAIN_KEYS,
	KEY_GENERATION = PLAIN_KEYS,
	KEY_REGISTERED_AT,
	KEY_ADMITTED,
	KEY_REJECTED,
	KEY_UNATTRIBUTED,
	KEY_GPU_NS,
	KEY_SUSPENDED, /* from here on not in files that 0.1 wrote */
	KEY_SHADOW_REJECTED,
	KEY_SUSPENDED_REJECTED,
	KEY_CORRECTED,
	KEY_PERIODS,
	SAVED_KEYS,
};
/* clang-format off */
static const char *const entry_keys[] = {
	"id", "preset", "rate", "kernels", "gpu_memory", "budgets", "name", "shadow", "burst",
	"policy", "alerts", "alone", "generation", "registered_at_ns", "admitted_total",
	"rejected_total", "unattributed_ns", "gpu_ns", "suspended", "shadow_rejected_total",
	"suspended_rejected_total", "corrected_ns", "periods",
};
/* clang-format on */

static bool take_preset(struct source *s, struct k2k_quota *quota)
{
	if (!source_is_scalar(s, "preset"))
		return false;
	if (!strcmp(source_scalar(s), "unlimited"))
		*quota = (struct k2k_quota)K2K_QUOTA_UNLIMITED;
	else if (strcmp(source_scalar(s), "standard"))
		return bad(s, "preset '%.60s': unknown value; it is standard or unlimited",
		           source_scalar(s));
	return true;
}

static bool take_id(struct source *s, struct entry *e)
{
	if (!source_take_u64(s, "id", &an_id, &e->id))
		return false;
	return e->id != K2K_TENANT_UNSPECIFIED ||
	       bad(s, "id 0 means 'no tenant'; ids are 1 to 18446744073709551615");
}

/* fleet: null if it can't be one of all hosts together. */
static bool take_rate(struct source *s, const char *key, uint32_t *fleet, uint64_t *rate,
                      uint32_t *period)
{
	struct units_fault fault;
	char left[FLEET_TEXT];
	bool over;

	if (!source_is_scalar(s, key))
		return false;
	if (!fleet_cut(source_scalar(s), fleet && s->ctl->fleet, left, &over, &fault) ||
	    units_parse_rate(over ? left : source_scalar(s), rate, period, &fault))
		return source_bad_scalar(s, key, &fault, RATE_FORM);
	if (over)
		*fleet |= FLEET_RATE;
	return true;
}

static bool take_policy(struct source *s, uint32_t *policy)
{
	if (!source_is_scalar(s, "policy"))
		return false;
	*policy = !strcmp(source_scalar(s), "bucket") ? K2K_RATE_BUCKET : K2K_RATE_WINDOW;
	return *policy == K2K_RATE_BUCKET || !strcmp(source_scalar(s), "window") ||
	       bad(s, "policy '%.60s': must be window or bucket", source_scalar(s));
}

/* A bucket has a burst, and a window none; only a window of a second is a share. */
static bool complete_rate(struct source *s, struct entry *e, uint32_t seen,
                          const struct k2k_quota *preset)
{
	bool burst = seen & 1u << KEY_BURST, policy = seen & 1u << KEY_POLICY;

	if (!(seen & 1u << KEY_RATE))
		e->rate.number = preset->max_messages_per_sec;
	if (burst && policy && e->rate.policy == K2K_RATE_WINDOW)
		return source_bad_at(s, e->line, e->column,
		                     "tenant %" PRIu64 ": burst is of a bucket, not of a window",
		                     e->id);
	if (!burst && e->rate.policy == K2K_RATE_BUCKET)
		return source_bad_at(s, e->line, e->column,
		                     "tenant %" PRIu64 ": a bucket needs a burst", e->id);
	if (burst)
		e->rate.policy = K2K_RATE_BUCKET;
	if (e->rate.shared &&
	    (burst || e->rate.period != K2K_PERIOD_SECOND || e->alone_period != K2K_PERIOD_SECOND))
		return source_bad_at(s, e->line, e->column,
		                     "tenant %" PRIu64 ": alone is of a window of a second", e->id);
	return true;
}

static bool take_value(struct source *s, enum key key, struct entry *e, struct k2k_quota *preset)
{
	struct document *d = s->document;

	switch (key) {
	case KEY_ID: return take_id(s, e);
	case KEY_PRESET: return take_preset(s, preset);
	case KEY_RATE: return take_rate(s, "rate", &e->fleet, &e->rate.number, &e->rate.period);
	case KEY_ALONE:
		e->rate.shared = true;
		return take_rate(s, "alone", NULL, &e->rate.alone, &e->alone_period);
	case KEY_BURST: return source_take_u64(s, "burst", &a_number, &e->rate.burst);
	case KEY_POLICY: return take_policy(s, &e->rate.policy);
	case KEY_ALERTS:
		return source_is_scalar(s, "alerts") &&
		       (thresholds_parse(e->alerts, source_scalar(s)) ||
		        bad(s, "alerts '%.60s': must be %s", source_scalar(s), THRESHOLDS_FORM));
	case KEY_KERNELS: return take_kernels(s, &e->fleet, &e->kernels);
	case KEY_GPU_MEMORY:
		return take_limit(s, "gpu_memory", &a_size, FLEET_GPU_MEMORY, &e->fleet,
		                  &e->gpu_memory_bytes);
	case KEY_BUDGETS:
		if (!take_engagements(s, "budgets", take_budget, &d->budgets, &e->first_budget,
		                      &e->budget_count))
			return false;
		budgets_drop_unlimited(&d->budgets, e->first_budget, &e->budget_count);
		return true;
	case KEY_GENERATION: return source_take_u64(s, "generation", &a_number, &e->generation);
	case KEY_REGISTERED_AT:
		return source_take_u64(s, "registered_at_ns", &a_number, &e->registered_at_ns);
	case KEY_ADMITTED:
		return source_take_u64(s, "admitted_total", &a_number, &e->admitted_total);
	case KEY_REJECTED: return take_rejected(s, "rejected_total", &e->rejected_total);
	case KEY_NAME: return take_tenant_name(s, e->name);
	case KEY_SHADOW: return take_bool(s, "shadow", &e->shadow);
	case KEY_SUSPENDED: return take_bool(s, "suspended", &e->suspended);
	case KEY_SHADOW_REJECTED:
		return take_rejected(s, "shadow_rejected_total", &e->shadow_rejected_total);
	case KEY_SUSPENDED_REJECTED:
		return source_take_u64(s, "suspended_rejected_total", &a_number,
		                       &e->suspended_rejected_total);
	case KEY_UNATTRIBUTED:
		return source_take_u64(s, "unattributed_ns", &a_number, &e->unattributed_ns);
	case KEY_GPU_NS:
		return take_engagements(s, "gpu_ns", take_cost, &d->costs, &e->first_cost,
		                        &e->cost_count);
	case KEY_CORRECTED:
		return take_engagements(s, "corrected_ns", take_correction, &d->corrections,
		                        &e->first_correction, &e->correction_count);
	case KEY_PERIODS:
		return take_engagements(s, "periods", take_periods, &d->periods, &e->first_period,
		                        &e->period_count);
	case SAVED_KEYS: break;
	}
	return false;
}

/* Reports what the entry lacks; false then. */
static bool is_complete(struct source *s, const struct entry *e, uint32_t seen, size_t count)
{
	if (!(seen & 1u << KEY_ID))
		return source_bad_at(s, e->line, e->column, "this tenant has no id");
	/* a saved tenant has every key of version 0.1: presets do not apply */
	for (size_t i = 0; s->kind == DOCUMENT_SAVED && i < count; i++)
		if (i != KEY_PRESET && (i < KEY_NAME || i > KEY_ALONE) && i < KEY_SUSPENDED &&
		    !(seen & 1u << i))
			return source_bad_at(s, e->line, e->column, "tenant %" PRIu64 ": has no %s",
			                     e->id, entry_keys[i]);
	if (s->kind == DOCUMENT_SAVED && !e->generation)
		return source_bad_at(s, e->line, e->column,
		                     "tenant %" PRIu64 ": generation 0 is never used", e->id);
	return true;
}

static void add_entry(struct document *d, const struct entry *e)
{
	if (d->count == d->room) {
		d->room = d->room * 2 + 64;
		d->entries = check_memory(realloc(d->entries, d->room * sizeof(*d->entries)));
	}
	d->entries[d->count++] = *e;
}

/* False if nothing more can be read. */
static bool take_entry(struct source *s)
{
	size_t count = s->kind == DOCUMENT_SAVED ? SAVED_KEYS : PLAIN_KEYS, depth = s->depth,
	       faults = s->faults;
	struct k2k_quota preset = K2K_QUOTA_STANDARD;
	struct entry e = { .source = s->index,
		           .line = s->event.start_mark.line + 1,
		           .column = s->event.start_mark.column + 1 };
	uint32_t seen = 0;
	const char *why;
	int key;

	if (!source_is_mapping(s, "a tenant", "{id: 42, rate: 5k/s}"))
		return source_skip_value(s, s->event.type == YAML_SEQUENCE_START_EVENT ? depth - 1
		                                                                       : depth);
	while ((key = source_take_key(s, "a tenant", entry_keys, count, &seen)) != (int)count) {
		if (key < 0) {
			if (!source_skip_next_value(s, depth))
				return false;
		} else if (!source_next(s) || !take_value(s, (enum key)key, &e, &preset)) {
			if (!source_skip_value(s, depth))
				return false;
		}
	}
	if (s->faults > faults || !is_complete(s, &e, seen, count) ||
	    !complete_rate(s, &e, seen, &preset))
		return !s->fatal;
	if (!(seen & 1u << KEY_KERNELS))
		e.kernels = preset.max_concurrent_kernels;
	if (!(seen & 1u << KEY_GPU_MEMORY))
		e.gpu_memory_bytes = preset.max_gpu_memory_bytes;
	why = fleet_fault(&e, s->ctl->fleet);
	if (why) {
		source_bad_at(s, e.line, e.column, "tenant %" PRIu64 ": %s", e.id, why);
		return !s->fatal;
	}
	e.rate.fleet = e.fleet & FLEET_RATE;
	e.rate.shared = e.rate.shared || e.rate.fleet;
	add_entry(s->document, &e);
	progress_step(&s->progress, s->parser.mark.index);
	return true;
}

static bool take_tenants(struct source *s)
{
	size_t depth = s->depth;

	if (s->event.type != YAML_SEQUENCE_START_EVENT)
		return bad(s, "tenants: must be a list; [] is empty");
	for (;;) {
		if (!source_next(s)) {
			if (!source_skip_value(s, depth))
				return false;
			continue;
		}
		if (s->event.type == YAML_SEQUENCE_END_EVENT)
			return true;
		if (!take_entry(s))
			return false;
	}
}

/* ---- the whole -------------------------------------------------------------- */

static bool take_exactly(struct source *s, const char *what, const char *text)
{
	return source_is_scalar(s, what) &&
	       (!strcmp(source_scalar(s), text) ||
	        bad(s, "%s '%.60s': only %s is supported", what, source_scalar(s), text));
}

enum root_key {
	VERSION,
	TENANTS,
	SCHEMA,
	REGISTRY,
	UUID,
	END,
	PLAIN_ROOT_KEYS,
	GENERATION = PLAIN_ROOT_KEYS,
	SAVED_AT,
	CHECKSUM,
	ROOT_KEYS,
};
static const char *const root_keys[] = {
	"version", "tenants",    "schema",      "registry", "uuid",
	"end",     "generation", "saved_at_ns", "checksum",
};

/* Nothing can be read of another version. */
static bool take_version(struct source *s)
{
	if (take_exactly(s, "version", "1"))
		return true;
	s->fatal = true;
	return false;
}

static bool take_name(struct source *s, const char *what, char *text, size_t room)
{
	if (!source_is_scalar(s, what))
		return false;
	if (strlen(source_scalar(s)) >= room)
		return bad(s, "%s: too long", what);
	printable_copy(text, room, source_scalar(s), SIZE_MAX);
	return true;
}

static bool take_root_value(struct source *s, enum root_key key)
{
	struct source_file *file = &s->document->sources[s->index];
	uint64_t when;

	if (file->ended)
		return bad(s, "'end' must be the last key: it shows that nothing was cut off");
	switch (key) {
	case VERSION: return take_version(s);
	case TENANTS: return take_tenants(s);
	case SCHEMA: return take_exactly(s, "schema", CTL_SCHEMA);
	case REGISTRY: return take_name(s, "registry", file->registry, sizeof(file->registry));
	case UUID: return take_name(s, "uuid", file->uuid, sizeof(file->uuid));
	case END: return (file->ended = take_exactly(s, "end", "true"));
	case GENERATION:
		return source_take_u64(s, "generation", &a_number, &s->document->generation);
	case SAVED_AT: return source_take_u64(s, "saved_at_ns", &a_number, &when);
	default: return source_is_scalar(s, root_keys[key]);
	}
}

static void take_root(struct source *s)
{
	size_t count = s->kind == DOCUMENT_SAVED ? ROOT_KEYS : PLAIN_ROOT_KEYS, depth;
	uint32_t seen = 0;
	int key;

	if (s->event.type == YAML_STREAM_END_EVENT) {
		bad(s, "empty; a document without tenants is {version: 1, tenants: []}");
		return;
	}
	if (!source_next(s) || !source_is_mapping(s, "a document", "{version: 1, tenants: []}"))
		return;
	depth = s->depth;
	while ((key = source_take_key(s, "a document", root_keys, count, &seen)) != (int)count) {
		if (key < 0) {
			if (!source_skip_next_value(s, depth))
				return;
		} else if (!source_next(s) || !take_root_value(s, (enum root_key)key)) {
			if (!source_skip_value(s, depth))
				return;
		}
	}
	for (int i = VERSION; i <= TENANTS; i++)
		if (!(seen & 1u << i))
			bad(s, "'%s' is missing", root_keys[i]);
	if (s->kind == DOCUMENT_SAVED && !(seen & 1u << GENERATION))
		bad(s, "'generation' is missing");
	/* the end of the document and of the stream */
	if (source_next(s) && source_next(s) && s->event.type != YAML_STREAM_END_EVENT)
		bad(s, "a second document; only one is supported");
}

static int by_id(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	return x->line != y->line ? (x->line < y->line ? -1 : 1)
	                          : (x->column > y->column) - (x->column < y->column);
}

/* Sorts the entries of all files, and reports tenants that occur twice. */
static void order_entries(struct source *s)
{
	struct document *d = s->document;

	if (d->count)
		qsort(d->entries, d->count, sizeof(*d->entries), by_id);
	for (size_t i = 1; i < d->count && s->faults < DOCUMENT_FAULTS; i++) {
		const struct entry *e = &d->entries[i], *first = &d->entries[i - 1];
		bool same = e->source == first->source;

		s->index = e->source;
		if (e->id == first->id)
			source_bad_at(s, e->line, e->column,
			              "tenant %" PRIu64
			              " is there twice: first in %s%sline %zu, column %zu",
			              e->id, same ? "" : d->sources[first->source].name,
			              same ? "" : ", ", first->line, first->column);
	}
}

static void parse(struct source *s, const char *data, size_t length)
{
	if (!yaml_parser_initialize(&s->parser))
		out_of_memory();
	yaml_parser_set_input_string(&s->parser, (const unsigned char *)data, length);
	s->depth = 0;
	s->skipping = s->fatal = false;
	progress_begin(&s->progress, s->ctl, "reading", length);
	/* the start of the stream and of the document */
	if (source_next(s) && source_next(s))
		take_root(s);
	progress_end(&s->progress);
	if (s->has_event)
		yaml_event_delete(&s->event);
	s->has_event = false;
	yaml_parser_delete(&s->parser);
}

static void read_one(struct source *s, const char *path)
{
	const char *name = s->document->sources[s->index].name;
	size_t length;
	char *data;
	int exit_code = read_file(s->ctl, path, &data, &length);

	if (!exit_code && s->kind == DOCUMENT_SAVED)
		exit_code = document_verify(s->ctl, name, data, length);
	else if (!exit_code && document_looks_saved(data))
		exit_code = fail_usage(s->ctl, "%s: was written by 'save'; 'load' reads it", name);
	if (exit_code)
		s->exit_code = exit_code;
	else
		parse(s, data, length);
	free(data);
}

int document_read(struct ctl *ctl, const char *const *paths, size_t count, enum document_kind kind,
                  struct document *document)
{
	struct source s = { .ctl = ctl, .document = document, .kind = kind };
	char name[64];
	size_t inputs = 0;

	*document = (struct document){ .sources = check_memory(
					       calloc(count, sizeof(*document->sources))),
		                       .source_count = count };
	for (size_t i = 0; i < count; i++) {
		document->sources[i].name = check_memory(
			strdup(strcmp(paths[i], "-") ? paths[i] : "standard input"));
		printable(document->sources[i].name);
		inputs += !strcmp(paths[i], "-");
	}
	snprintf(name, sizeof(name), "the document of %zu files", count);
	document->name = check_memory(strdup(count == 1 ? document->sources[0].name : name));
	if (inputs > 1)
		s.exit_code = fail_usage(ctl, "-f -: standard input can be read only once");
	for (; s.index < count && inputs <= 1 && s.faults < DOCUMENT_FAULTS; s.index++)
		read_one(&s, paths[s.index]);
	if (inputs <= 1)
		order_entries(&s);
	if (s.exit_code)
		document_free(document);
	return s.exit_code;
}
