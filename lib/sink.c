/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "sink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "error.h"
#include "grace.h"
#include "worker.h"

#define SPINS 200
#define REPLACE_POLL_NS UINT64_C(50000)

struct k2k_sink {
	k2k_audit_sink function;
	void *context;
	k2k_u32 running;
};

const char *k2k_audit_level_name(enum k2k_audit_level level)
{
	switch (level) {
	case K2K_AUDIT_INFO: return "Info";
	case K2K_AUDIT_WARNING: return "Warning";
	case K2K_AUDIT_SECURITY: return "Security";
	}
	return "Unknown";
}

const char *k2k_audit_type_name(enum k2k_audit_type type)
{
	switch (type) {
	case K2K_AUDIT_SECURITY_VIOLATION: return "SecurityViolation";
	case K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED: return "ResourceLimitExceeded";
	case K2K_AUDIT_AUTHORIZATION_CHECK: return "AuthorizationCheck";
	case K2K_AUDIT_CONFIGURATION_CHANGE: return "ConfigurationChange";
	}
	return "Unknown";
}

bool k2k_audit_is_inside(void)
{
	const struct k2k_thread *self = k2k_thread_self;

	return self && self->sinks > 0;
}

int k2k_audit_init(struct k2k_audit *audit, const char *actor, const struct k2k_clock *clock)
{
	pthread_condattr_t monotonic;

	memset(audit, 0, sizeof(*audit));
	if (strlen(actor) >= sizeof(audit->actor))
		return k2k_fail_argument("actor", "longer than 63 bytes");
	strcpy(audit->actor, actor);
	audit->clock = clock;
	pthread_mutex_init(&audit->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&audit->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return 0;
}

void k2k_audit_fini(struct k2k_audit *audit)
{
	free(audit->sink);
	free(audit->entries);
	pthread_cond_destroy(&audit->wake);
	pthread_mutex_destroy(&audit->mutex);
}

struct k2k_sink *k2k_audit_enter_slow(struct k2k_audit *audit)
{
	/* observe[audit-sink] */
	struct k2k_sink *sink = k2k_load_acquire(&audit->sink);

	k2k_assert_in_section();
	if (sink)
		/* relaxed: the thread that replaces the sink waits for this read section */
		k2k_add_relaxed(&sink->running, 1);
	return sink;
}

void k2k_audit_leave(struct k2k_sink *sink)
{
	if (sink)
		/* publish[audit-running] */
		k2k_sub_release(&sink->running, 1);
}

static void emit(struct k2k_sink *sink, const struct k2k_audit_event *event)
{
	/* else a sink that is cancelled never leaves, and replacing it waits for ever */
	K2K_UNCANCELLED;
	/* not null: the caller took the sink in a read section, or closes the handle */
	struct k2k_thread *self = k2k_thread_self;

	k2k_assert_no_section();
	self->sinks++;
	sink->function(sink->context, event);
	self->sinks--;
}

/* ---- rejections --------------------------------------------------------------- */

struct text {
	char description[224];
	char numbers[4][24];
	struct k2k_audit_field fields[6];
	uint32_t count;
};

static void add_number(struct text *text, const char *key, uint64_t value, int at)
{
	snprintf(text->numbers[at], sizeof(text->numbers[at]), "%" PRIu64, value);
	text->fields[text->count].key = key;
	text->fields[text->count++].value = text->numbers[at];
}

static void add_text(struct text *text, const char *key, const char *value)
{
	text->fields[text->count].key = key;
	text->fields[text->count++].value = value;
}

static void describe(const struct k2k_rejection *r, struct text *text)
{
	static const struct {
		int32_t code;
		const char *what;
	} kinds[] = { { K2K_ERATE, "message-rate" },
		      { K2K_EKERNELS, "kernel-slots" },
		      { K2K_EGPUMEM, "gpu-memory" } };
	const char *shadow = r->shadow ? " in shadow" : "";

	if (r->code == K2K_ENOTENANT) {
		snprintf(text->description, sizeof(text->description),
		         "tenant %" PRIu64 " not registered", r->tenant);
		return;
	}
	if (r->code == K2K_ESUSPENDED) {
		snprintf(text->description, sizeof(text->description),
		         "tenant %" PRIu64 " suspended", r->tenant);
		return;
	}
	if (r->code == K2K_EBUDGET) {
		snprintf(text->description, sizeof(text->description),
		         "tenant %" PRIu64 " quota exceeded%s: tenant %" PRIu64
		         " engagement %" PRIu64 " budget exceeded: %" PRIu64 "ns >= %" PRIu64 "ns",
		         r->tenant, shadow, r->tenant, r->tag.engagement_id, r->used, r->limit);
		return;
	}
	for (size_t i = 0; i < K2K_COUNT_OF(kinds); i++)
		if (kinds[i].code == r->code)
			snprintf(text->description, sizeof(text->description),
			         "tenant %" PRIu64 " quota exceeded%s: tenant %" PRIu64
			         " %s: %" PRIu64 "/%" PRIu64,
			         r->tenant, shadow, r->tenant, kinds[i].what, r->used, r->limit);
}

static void emit_rejection(struct k2k_sink *sink, const struct k2k_rejection *r, uint64_t count,
                           uint64_t time_ns)
{
	struct k2k_audit_event event;
	struct text text;

	memset(&event, 0, sizeof(event));
	memset(&text, 0, sizeof(text));
	event.size = sizeof(event);
	event.flags = r->shadow ? K2K_AUDIT_SHADOW : 0;
	event.time_ns = time_ns;
	event.count = count;
	event.code = r->code;
	event.description = text.description;
	event.fields = text.fields;
	if (r->code == 0) {
		event.level = K2K_AUDIT_SECURITY;
		event.type = K2K_AUDIT_SECURITY_VIOLATION;
		event.actor = "k2k_broker";
		event.target = r->destination;
		snprintf(text.description, sizeof(text.description),
		         "cross-tenant K2K send rejected: from tenant %" PRIu64
		         " to tenant %" PRIu64,
		         r->tenant, r->to);
		add_number(&text, "from_tenant", r->tenant, 0);
		add_number(&text, "to_tenant", r->to, 1);
		add_text(&text, "source_kernel", r->source);
		add_text(&text, "destination_kernel", r->destination);
	} else {
		event.level = K2K_AUDIT_WARNING;
		event.type = r->code == K2K_ENOTENANT ? K2K_AUDIT_AUTHORIZATION_CHECK
		                                      : K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED;
		event.actor = "k2k_tenant_registry";
		describe(r, &text);
		add_number(&text, "tenant", r->tenant, 0);
	}
	add_number(&text, "org_id", r->tag.org_id, 2);
	add_number(&text, "engagement_id", r->tag.engagement_id, 3);
	event.field_count = text.count;
	emit(sink, &event);
}

static bool same(const struct k2k_audit_entry *entry, const struct k2k_rejection *r)
{
	const struct k2k_rejection *e = &entry->rejection;

	return entry->taken && e->code == r->code && e->shadow == r->shadow &&
	       e->tenant == r->tenant && e->to == r->to && e->tag.org_id == r->tag.org_id &&
	       e->tag.engagement_id == r->tag.engagement_id &&
	       (r->code != 0 || (strcmp(entry->source, r->source) == 0 &&
	                         strcmp(entry->destination, r->destination) == 0));
}

static uint64_t hash_name(uint64_t hash, const char *name)
{
	while (*name)
		hash = k2k_mix64(hash ^ (unsigned char)*name++);
	return hash;
}

static struct k2k_audit_entry *entry_for(struct k2k_audit *audit, const struct k2k_rejection *r)
{
	uint64_t hash = k2k_mix64(
		r->tenant ^
		k2k_mix64(r->tag.org_id ^ k2k_mix64(r->tag.engagement_id ^ (uint32_t)r->code ^
	                                            (uint64_t)r->shadow << 32)));

	if (r->code == 0)
		hash = hash_name(hash_name(hash ^ k2k_mix64(r->to), r->source), r->destination);
	return &audit->entries[hash % K2K_AUDIT_ENTRIES];
}

/* Tries SPINS times at most: the holder may be preempted, and no thread waits for it. */
static bool try_enter(struct k2k_audit_entry *entry)
{
	for (int i = 0; i < SPINS; i++) {
		uint32_t idle = 0;

		/* observe[audit-entry]: what the last holder counted */
		if (k2k_cas_acquire(&entry->busy, &idle, 1))
			return true;
	}
	return false;
}

static void leave(struct k2k_audit_entry *entry)
{
	k2k_store_release(&entry->busy, 0); /* publish[audit-entry]: what was counted here */
}

/* Takes what is pending out of the entry, so that it can be emitted without the entry. */
static bool take_pending(struct k2k_audit_entry *entry, struct k2k_audit_entry *copy)
{
	if (!entry->taken || entry->pending == 0)
		return false;
	copy->pending = entry->pending;
	copy->time_ns = entry->time_ns;
	copy->rejection = entry->rejection;
	memcpy(copy->source, entry->source, sizeof(copy->source));
	memcpy(copy->destination, entry->destination, sizeof(copy->destination));
	copy->rejection.source = copy->source;
	copy->rejection.destination = copy->destination;
	entry->pending = 0;
	return true;
}

static void occupy(struct k2k_audit_entry *entry, const struct k2k_rejection *r, uint64_t second)
{
	entry->taken = true;
	entry->second = second;
	entry->rejection = *r;
	if (r->code == 0) {
		strcpy(entry->source, r->source);
		strcpy(entry->destination, r->destination);
	}
}

void k2k_audit_reject(struct k2k_audit *audit, struct k2k_sink *sink, const struct k2k_rejection *r,
                      uint64_t second)
{
	uint64_t now_ns = k2k_clock_realtime_ns();
	struct k2k_audit_entry *entry, old;
	bool has_old = false, repeat = false;

	if (r->code == 0 && (strlen(r->source) >= K2K_AUDIT_NAME_BYTES ||
	                     strlen(r->destination) >= K2K_AUDIT_NAME_BYTES)) {
		emit_rejection(sink, r, 1, now_ns);
		return;
	}
	entry = entry_for(audit, r);
	if (try_enter(entry)) {
		repeat = same(entry, r) && entry->second == second;
		if (repeat) {
			entry->pending++;
			entry->time_ns = now_ns;
			entry->rejection.used = r->used;
			entry->rejection.limit = r->limit;
		} else {
			has_old = take_pending(entry, &old);
			occupy(entry, r, second);
		}
		leave(entry);
	}
	if (has_old)
		emit_rejection(sink, &old.rejection, old.pending, old.time_ns);
	if (!repeat)
		emit_rejection(sink, r, 1, now_ns);
}

static void flush_to(struct k2k_audit *audit, struct k2k_sink *sink, uint64_t before_second)
{
	for (uint32_t i = 0; i < K2K_AUDIT_ENTRIES; i++) {
		struct k2k_audit_entry *entry = &audit->entries[i], old;
		bool has_old = false;

		if (!try_enter(entry))
			continue; /* in use: the next flush, or the next event of it, emits it */
		if (entry->second < before_second)
			has_old = take_pending(entry, &old);
		leave(entry);
		if (has_old)
			emit_rejection(sink, &old.rejection, old.pending, old.time_ns);
	}
}

/* Emits the repeats that were counted in seconds that are over. */
static void flush(struct k2k_audit *audit)
{
	struct k2k_sink *sink;

	if (!k2k_thread_get())
		return; /* no memory: tries again in a second */
	k2k_read_lock();
	sink = k2k_audit_enter(audit);
	k2k_read_unlock();
	if (!sink)
		return;
	flush_to(audit, sink, k2k_clock_now(audit->clock).second);
	k2k_audit_leave(sink);
}

static bool wait_a_second(struct k2k_audit *audit)
{
	struct timespec until;
	bool stop;

	clock_gettime(CLOCK_MONOTONIC, &until); /* the clock of the condition variable */
	until.tv_sec++;
	pthread_mutex_lock(&audit->mutex);
	if (!audit->stop)
		pthread_cond_timedwait(&audit->wake, &audit->mutex, &until);
	stop = audit->stop;
	pthread_mutex_unlock(&audit->mutex);
	return !stop;
}

static void *run_flusher(void *argument)
{
	struct k2k_audit *audit = argument;

	while (wait_a_second(audit))
		flush(audit);
	return NULL;
}

static int start_flusher(struct k2k_audit *audit)
{
	int code;

	if (audit->flushing)
		return 0;
	/* stack size 0 means the default: the thread runs the program's sink */
	code = k2k_worker_start(&audit->flusher, run_flusher, audit, 0, "sink");
	if (code)
		return code;
	audit->flushing = true;
	return 0;
}

void k2k_audit_change(struct k2k_audit *audit, struct k2k_sink *sink, const char *description,
                      const struct k2k_audit_field *fields, uint32_t count)
{
	struct k2k_audit_event event;

	memset(&event, 0, sizeof(event));
	event.size = sizeof(event);
	event.level = K2K_AUDIT_INFO;
	event.type = K2K_AUDIT_CONFIGURATION_CHANGE;
	event.time_ns = k2k_clock_realtime_ns();
	event.count = 1;
	event.actor = audit->actor;
	event.description = description;
	event.fields = fields;
	event.field_count = count;
	emit(sink, &event);
}

/* ---- replacing -------------------------------------------------------------------- */

/* If it fails, the caller frees *sink. */
static int make_sink(struct k2k_audit *audit, k2k_audit_sink function, void *context,
                     struct k2k_sink **sink)
{
	*sink = NULL;
	if (!function)
		return 0;
	if (!audit->entries)
		audit->entries = calloc(K2K_AUDIT_ENTRIES, sizeof(*audit->entries));
	*sink = calloc(1, sizeof(**sink));
	if (!*sink || !audit->entries)
		return k2k_fail_errno(K2K_ENOMEM, ENOMEM, "sink", "no memory for a sink");
	(*sink)->function = function;
	(*sink)->context = context;
	return 0;
}

static void stop_flusher(struct k2k_audit *audit)
{
	if (!audit->flushing)
		return;
	pthread_mutex_lock(&audit->mutex);
	audit->stop = true;
	pthread_cond_signal(&audit->wake);
	pthread_mutex_unlock(&audit->mutex);
	pthread_join(audit->flusher, NULL);
	audit->flushing = false;
	audit->stop = false;
}

int k2k_audit_set(struct k2k_audit *audit, k2k_audit_sink function, void *context)
{
	struct k2k_sink *fresh, *old;
	bool waited;
	/* called before anything changes: if it works here, it works below */
	int code = k2k_rcu_synchronize();

	if (code)
		return code;
	code = make_sink(audit, function, context, &fresh);
	if (!code && function)
		code = start_flusher(audit);
	if (code) {
		free(fresh);
		return code;
	}
	if (!function)
		stop_flusher(audit);
	/* publish[audit-sink]: its function and context, and the entries */
	old = k2k_exchange_acq_rel(&audit->sink, fresh);
	if (!old)
		return 0;
	waited = k2k_rcu_synchronize() == 0; /* each user of the old one is counted in `running` */
	while (k2k_load_acquire(&old->running) != 0) /* observe[audit-running]: all that it did */
		k2k_clock_sleep_ns(REPLACE_POLL_NS);
	flush_to(audit, old, UINT64_MAX);
	if (waited)
		free(old);
	return 0;
}
