/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit_text.h"
#include "common/audit_event.h"
#include "common/rings.h"
#include "common/thresholds.h"
#include "common/units.h"
#include "rates.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void add(char text[AUDIT_TEXT], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Cuts off what does not fit. */
static void add(char text[AUDIT_TEXT], const char *format, ...)
{
	size_t length = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + length, AUDIT_TEXT - length, format, args);
	va_end(args);
}

typedef char *unit_printer(char text[UNITS_TEXT], uint64_t value);

static char *print_plain(char text[UNITS_TEXT], uint64_t value)
{
	units_print_number(text, value);
	return text;
}

static void add_value(char text[AUDIT_TEXT], const char *before, unit_printer *print,
                      uint64_t value)
{
	char number[UNITS_TEXT];

	add(text, "%s%s%s", text[0] ? ", " : "", before,
	    value == K2K_UNLIMITED ? "unlimited" : print(number, value));
}

static void add_tag(char text[AUDIT_TEXT], const struct k2k_audit_tag *tag)
{
	if (tag->org_id)
		add_value(text, "organisation ", print_plain, tag->org_id);
	if (tag->engagement_id)
		add_value(text, "engagement ", print_plain, tag->engagement_id);
}

static void add_rejection(char text[AUDIT_TEXT], const struct k2k_audit_record *r)
{
	unit_printer *print = r->kind == K2K_AUDIT_KIND_BUDGET       ? units_print_duration
	                      : r->kind == K2K_AUDIT_KIND_GPU_MEMORY ? units_print_size
	                                                             : print_plain;
	char number[UNITS_TEXT];

	if (r->flags & K2K_AUDIT_SHADOW)
		add(text, "in shadow, passed: ");
	if (r->kind == K2K_AUDIT_KIND_SUSPENDED) {
		add(text, "the tenant is suspended");
	} else if (r->kind != K2K_AUDIT_KIND_UNKNOWN_TENANT) {
		add(text, "%s", r->used == K2K_UNLIMITED ? "unlimited" : print(number, r->used));
		add(text, " of %s used",
		    r->limit == K2K_UNLIMITED ? "unlimited" : print(number, r->limit));
	}
	add_tag(text, &r->tag);
}

static void add_cross_tenant(char text[AUDIT_TEXT], const struct k2k_audit_record *r)
{
	add(text, "to tenant %" PRIu64 ": '%s%s' to '%s%s'", r->to, r->source,
	    r->flags & K2K_AUDIT_CUT_SOURCE ? "..." : "", r->destination,
	    r->flags & K2K_AUDIT_CUT_DESTINATION ? "..." : "");
	add_tag(text, &r->tag);
}

static const char *on_off(const struct k2k_audit_record *r, uint64_t mode)
{
	return r->values[K2K_AUDIT_REGISTER_MODE] & mode ? "on" : "off";
}

static void add_rate(char text[AUDIT_TEXT], const struct k2k_audit_record *r)
{
	struct rate rate = { .number = r->values[K2K_AUDIT_REGISTER_RATE],
		             .burst = r->values[K2K_AUDIT_REGISTER_BURST],
		             .period = event_period(r),
		             .policy = r->values[K2K_AUDIT_REGISTER_MODE] & K2K_AUDIT_MODE_BUCKET
		                               ? K2K_RATE_BUCKET
		                               : K2K_RATE_WINDOW };
	char number[RATE_TEXT];

	if (r->values[K2K_AUDIT_REGISTER_MODE] & K2K_AUDIT_MODE_SHARED) {
		rate.shared = true;
		rate.alone = rate.burst;
	}
	add(text, "rate %s", rate_print(number, &rate));
}

static void add_definition(char text[AUDIT_TEXT], const struct k2k_audit_record *r)
{
	uint64_t mask = r->values[K2K_AUDIT_REGISTER_MASK];
	uint64_t kernels = r->values[K2K_AUDIT_REGISTER_KERNELS];
	uint64_t budgets = r->values[K2K_AUDIT_REGISTER_BUDGETS];

	if (mask & K2K_UPDATE_RATE)
		add_rate(text, r);
	if (mask & K2K_UPDATE_KERNELS)
		add_value(text, "kernels ", print_plain,
		          kernels == K2K_UNLIMITED_KERNELS ? K2K_UNLIMITED : kernels);
	if (mask & K2K_UPDATE_GPU_MEMORY)
		add_value(text, "GPU memory ", units_print_size,
		          r->values[K2K_AUDIT_REGISTER_GPU_MEMORY]);
	if ((mask & K2K_UPDATE_BUDGETS) && budgets)
		add_value(text, "budgets ", print_plain, budgets);
	if (mask & K2K_UPDATE_NAME)
		add(text, "%sname %s", text[0] ? ", " : "", r->source[0] ? r->source : "none");
	if (mask & K2K_UPDATE_SHADOW)
		add(text, "%sshadow %s", text[0] ? ", " : "", on_off(r, K2K_AUDIT_MODE_SHADOW));
	if (mask & K2K_UPDATE_SUSPENDED)
		add(text, "%ssuspended %s", text[0] ? ", " : "",
		    on_off(r, K2K_AUDIT_MODE_SUSPENDED));
	if (mask & K2K_UPDATE_ALERTS) {
		uint8_t alerts[K2K_ALERTS_MAX];
		char list[THRESHOLDS_TEXT];

		thresholds_unpack(alerts, r->values[K2K_AUDIT_REGISTER_ALERTS]);
		add(text, "%salerts %s", text[0] ? ", " : "",
		    alerts[0] ? thresholds_print(list, alerts) : "none");
	}
}

static void add_totals(char text[AUDIT_TEXT], const struct k2k_audit_record *r)
{
	uint64_t rejected = 0;

	for (int i = K2K_AUDIT_TOTALS_REJECTED_RATE; i <= K2K_AUDIT_TOTALS_REJECTED_MEMORY; i++)
		if (__builtin_add_overflow(rejected, r->values[i], &rejected))
			rejected = UINT64_MAX;
	add(text, "%" PRIu64 " admitted, %" PRIu64 " rejected",
	    r->values[K2K_AUDIT_TOTALS_ADMITTED], rejected);
	if (r->kind == K2K_AUDIT_KIND_FINAL_TOTALS)
		add_value(text, "GPU time ", units_print_duration,
		          r->values[K2K_AUDIT_TOTALS_GPU_NS]);
}

static void add_dead(char text[AUDIT_TEXT], const struct k2k_audit_record *r)
{
	char size[UNITS_TEXT];

	add(text, "'%s' in slot %" PRIu64 ": %" PRIu64 " kernels and %s came back", r->source,
	    r->values[K2K_AUDIT_DEAD_SLOT], r->values[K2K_AUDIT_DEAD_KERNELS],
	    units_print_size(size, r->values[K2K_AUDIT_DEAD_GPU_MEMORY]));
}

static void add_correction(char text[AUDIT_TEXT], const struct k2k_audit_record *r)
{
	char ns[UNITS_TEXT], sum[UNITS_TEXT];

	add_value(text, "engagement ", print_plain, r->tag.engagement_id);
	add(text, "by %s, in all %s: '%s'",
	    units_print_signed_duration(ns, (int64_t)r->values[K2K_AUDIT_CORRECTION_NS]),
	    units_print_signed_duration(sum, (int64_t)r->values[K2K_AUDIT_CORRECTION_SUM_NS]),
	    r->source);
}

static void add_alert(char text[AUDIT_TEXT], const struct k2k_audit_record *r)
{
	uint64_t limit = r->values[K2K_AUDIT_ALERT_LIMIT];
	unit_printer *print = limit == K2K_ALERT_BUDGET       ? units_print_duration
	                      : limit == K2K_ALERT_GPU_MEMORY ? units_print_size
	                                                      : print_plain;
	char number[UNITS_TEXT];

	add(text, "%s at %" PRIu64 "%%: %s", threshold_limit_name(limit),
	    r->values[K2K_AUDIT_ALERT_PERCENT], print(number, r->used));
	add(text, " of %s used", print(number, r->limit));
	add_tag(text, &r->tag);
}

const char *audit_text(char text[AUDIT_TEXT], const struct k2k_audit_record *r)
{
	text[0] = 0;
	switch (r->kind) {
	case K2K_AUDIT_KIND_CROSS_TENANT: add_cross_tenant(text, r); break;
	case K2K_AUDIT_KIND_RATE:
	case K2K_AUDIT_KIND_BUDGET:
	case K2K_AUDIT_KIND_KERNELS:
	case K2K_AUDIT_KIND_GPU_MEMORY:
	case K2K_AUDIT_KIND_SUSPENDED:
	case K2K_AUDIT_KIND_UNKNOWN_TENANT: add_rejection(text, r); break;
	case K2K_AUDIT_KIND_REGISTER:
	case K2K_AUDIT_KIND_UPDATE: add_definition(text, r); break;
	case K2K_AUDIT_KIND_DEREGISTER:
	case K2K_AUDIT_KIND_FINAL_TOTALS: add_totals(text, r); break;
	case K2K_AUDIT_KIND_BUDGET_CHANGE:
		add_value(text, "engagement ", print_plain, r->tag.engagement_id);
		add_value(text, "budget ", units_print_duration, r->limit);
		if (r->values[K2K_AUDIT_BUDGET_RENEWAL] > K2K_RENEWAL_NEVER)
			add(text, "each %s",
			    units_renewal_name((uint32_t)r->values[K2K_AUDIT_BUDGET_RENEWAL]));
		break;
	case K2K_AUDIT_KIND_CORRECTION: add_correction(text, r); break;
	case K2K_AUDIT_KIND_ALERT: add_alert(text, r); break;
	case K2K_AUDIT_KIND_BUDGET_RENEWED:
		add_value(text, "engagement ", print_plain, r->tag.engagement_id);
		add_value(text, "period ", print_plain, r->values[K2K_AUDIT_RENEWED_PERIOD]);
		add_value(text, "closed with ", units_print_duration,
		          r->values[K2K_AUDIT_RENEWED_CLOSED_USED_NS]);
		break;
	case K2K_AUDIT_KIND_BROKER_DEAD: add_dead(text, r); break;
	case K2K_AUDIT_KIND_CREATED:
		add_value(text, "tenants ", print_plain, r->values[K2K_AUDIT_CREATED_MAX_TENANTS]);
		add_value(text, "events a ring ", print_plain,
		          r->values[K2K_AUDIT_CREATED_MAX_EVENTS]);
		break;
	case K2K_AUDIT_KIND_DESTROYED:
		add_value(text, "brokers attached ", print_plain,
		          r->values[K2K_AUDIT_DESTROYED_BROKERS]);
		break;
	case K2K_AUDIT_KIND_REPAIR:
		add(text,
		    "tenants %" PRIu64 ", budgets %" PRIu64 ", engagements %" PRIu64
		    ", leases %" PRIu64 ", brokers %" PRIu64,
		    r->values[K2K_AUDIT_REPAIR_TENANTS], r->values[K2K_AUDIT_REPAIR_BUDGETS],
		    r->values[K2K_AUDIT_REPAIR_ENGAGEMENTS], r->values[K2K_AUDIT_REPAIR_LEASES],
		    r->values[K2K_AUDIT_REPAIR_BROKERS]);
		break;
	}
	return text;
}

const char *audit_ring_name(char text[AUDIT_TEXT], uint32_t ring)
{
	if (ring == K2K_AUDIT_RING_ADMIN)
		snprintf(text, AUDIT_TEXT, "admin");
	else if (K2K_AUDIT_RING_IS_SECURITY(ring))
		snprintf(text, AUDIT_TEXT, "s%" PRIu32, K2K_AUDIT_RING_SLOT(ring));
	else /* "64" is the number of the administrators' ring */
		snprintf(text, AUDIT_TEXT, "%s%" PRIu32, ring < K2K_AUDIT_RINGS ? "" : "r",
		         K2K_AUDIT_RING_SLOT(ring));
	return text;
}

/* Also accepts the ring's number, as JSON shows it. */
bool audit_ring_parse(const char *text, size_t length, uint32_t *ring)
{
	char name[AUDIT_TEXT], number[8];

	for (uint32_t i = 0; i < RINGS_MOST; i++) {
		snprintf(number, sizeof(number), "%" PRIu32, i);
		audit_ring_name(name, i);
		if ((strlen(name) == length && !strncasecmp(name, text, length)) ||
		    (strlen(number) == length && !memcmp(number, text, length))) {
			*ring = i;
			return true;
		}
	}
	return false;
}

const char *audit_event_name(char text[AUDIT_TEXT], uint32_t ring, uint64_t sequence)
{
	size_t length = strlen(audit_ring_name(text, ring));

	snprintf(text + length, AUDIT_TEXT - length, ":%" PRIu64, sequence);
	return text;
}
