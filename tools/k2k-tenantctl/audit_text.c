/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit_text.h"
#include "common/units.h"

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

	if (r->kind != K2K_AUDIT_KIND_UNKNOWN_TENANT) {
		add_value(text, "", print, r->used);
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

static void add_definition(char text[AUDIT_TEXT], const struct k2k_audit_record *r)
{
	uint64_t mask = r->values[K2K_AUDIT_REGISTER_MASK];
	uint64_t kernels = r->values[K2K_AUDIT_REGISTER_KERNELS];
	uint64_t budgets = r->values[K2K_AUDIT_REGISTER_BUDGETS];

	if (mask & K2K_UPDATE_RATE)
		add_value(text, "rate ", units_print_rate, r->values[K2K_AUDIT_REGISTER_RATE]);
	if (mask & K2K_UPDATE_KERNELS)
		add_value(text, "kernels ", print_plain,
		          kernels == K2K_UNLIMITED_KERNELS ? K2K_UNLIMITED : kernels);
	if (mask & K2K_UPDATE_GPU_MEMORY)
		add_value(text, "GPU memory ", units_print_size,
		          r->values[K2K_AUDIT_REGISTER_GPU_MEMORY]);
	if ((mask & K2K_UPDATE_BUDGETS) && budgets)
		add_value(text, "budgets ", print_plain, budgets);
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

const char *audit_text(char text[AUDIT_TEXT], const struct k2k_audit_record *r)
{
	text[0] = 0;
	switch (r->kind) {
	case K2K_AUDIT_KIND_CROSS_TENANT: add_cross_tenant(text, r); break;
	case K2K_AUDIT_KIND_RATE:
	case K2K_AUDIT_KIND_BUDGET:
	case K2K_AUDIT_KIND_KERNELS:
	case K2K_AUDIT_KIND_GPU_MEMORY:
	case K2K_AUDIT_KIND_UNKNOWN_TENANT: add_rejection(text, r); break;
	case K2K_AUDIT_KIND_REGISTER:
	case K2K_AUDIT_KIND_UPDATE: add_definition(text, r); break;
	case K2K_AUDIT_KIND_DEREGISTER:
	case K2K_AUDIT_KIND_FINAL_TOTALS: add_totals(text, r); break;
	case K2K_AUDIT_KIND_BUDGET_CHANGE:
		add_value(text, "engagement ", print_plain, r->tag.engagement_id);
		add_value(text, "budget ", units_print_duration, r->limit);
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
	else if (ring >= K2K_AUDIT_RING_SECURITY)
		snprintf(text, AUDIT_TEXT, "s%" PRIu32, ring - K2K_AUDIT_RING_SECURITY);
	else
		snprintf(text, AUDIT_TEXT, "%" PRIu32, ring);
	return text;
}

/* Also accepts the ring's number, as JSON shows it. */
bool audit_ring_parse(const char *text, size_t length, uint32_t *ring)
{
	char name[AUDIT_TEXT], number[8];

	for (uint32_t i = 0; i < K2K_AUDIT_RINGS; i++) {
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
