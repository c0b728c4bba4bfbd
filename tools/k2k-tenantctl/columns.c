/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "columns.h"

#include <ctype.h>

char *column_name(char name[COLUMN_NAME], const struct field *field)
{
	size_t i = 0;

	for (; field->heading[i] && i + 1 < COLUMN_NAME; i++)
		name[i] = (char)tolower((unsigned char)field->heading[i]);
	name[i] = 0;
	return name;
}

#define ALL(fields) fields, sizeof(fields) / sizeof((fields)[0]), NULL, 0
#define USUAL(fields, usual) fields, sizeof(fields) / sizeof((fields)[0]), usual, sizeof(usual)

static const struct field tenant_fields[COL_TENANT_COUNT] = {
	[COL_TENANT_ID] = { "id", "TENANT", KIND_ID, 0 },
	[COL_TENANT_GENERATION] = { "generation", "GENERATION", KIND_ID, FIELD_SPARE },
	[COL_TENANT_REGISTERED] = { "registered_at_ns", "REGISTERED", KIND_TIME, 0 },
	[COL_TENANT_RATE] = { "quota.rate_per_sec", "RATE-PER-SEC", KIND_TOTAL, FIELD_LIMIT },
	[COL_TENANT_KERNELS] = { "quota.kernels", "KERNELS", KIND_COUNT,
	                         FIELD_LIMIT | FIELD_SPARE },
	[COL_TENANT_GPU_MEMORY] = { "quota.gpu_memory_bytes", "GPU-MEMORY", KIND_BYTES,
	                            FIELD_LIMIT | FIELD_SPARE },
	[COL_TENANT_BUDGET_LIST] = { "quota.budgets", NULL, KIND_JSON, 0 },
	[COL_TENANT_BUDGETS] = { NULL, "BUDGETS", KIND_COUNT, FIELD_SPARE },
	[COL_TENANT_ADMITTED] = { "usage.admitted_total", "ADMITTED", KIND_TOTAL, FIELD_SPARE },
	[COL_TENANT_REJECTED] = { NULL, "REJECTED", KIND_TOTAL, FIELD_SPARE },
	[COL_TENANT_BY_RATE] = { "usage.rejected_total.rate", "REJECTED-RATE", KIND_TOTAL, 0 },
	[COL_TENANT_BY_BUDGET] = { "usage.rejected_total.budget", "REJECTED-BUDGET", KIND_TOTAL,
	                           0 },
	[COL_TENANT_BY_KERNELS] = { "usage.rejected_total.kernels", "REJECTED-KERNELS", KIND_TOTAL,
	                            0 },
	[COL_TENANT_BY_MEMORY] = { "usage.rejected_total.gpu_memory", "REJECTED-MEMORY", KIND_TOTAL,
	                           0 },
	[COL_TENANT_GPU_TIME] = { "usage.gpu_ns_total", "GPU-TIME", KIND_NS, FIELD_SPARE },
	[COL_TENANT_UNATTRIBUTED] = { "usage.unattributed_ns", "UNATTRIBUTED", KIND_NS, 0 },
	[COL_TENANT_RESERVED] = { "usage.reserved_ns", "RESERVED", KIND_NS, 0 },
	[COL_TENANT_THIS_SECOND] = { "usage.messages_this_second", "RATE-USED", KIND_TOTAL,
	                             FIELD_SPARE },
	[COL_TENANT_KERNELS_HELD] = { "usage.kernels", "KERNELS-HELD", KIND_COUNT, FIELD_SPARE },
	[COL_TENANT_MEMORY_HELD] = { "usage.gpu_memory_bytes", "MEMORY-HELD", KIND_BYTES,
	                             FIELD_SPARE },
	[COL_TENANT_NAME] = { "name", "NAME", KIND_TEXT, FIELD_SPARE | FIELD_EXACT },
	[COL_TENANT_SHADOW] = { "quota.shadow", "SHADOW", KIND_BOOL, FIELD_SPARE },
	[COL_TENANT_SUSPENDED] = { "suspended", "SUSPENDED", KIND_BOOL, FIELD_SPARE },
	[COL_TENANT_SHADOW_REJECTED] = { NULL, "SHADOW-REJECTED", KIND_TOTAL, 0 },
	[COL_TENANT_SHADOW_RATE] = { "usage.shadow_rejected_total.rate", NULL, KIND_TOTAL, 0 },
	[COL_TENANT_SHADOW_BUDGET] = { "usage.shadow_rejected_total.budget", NULL, KIND_TOTAL, 0 },
	[COL_TENANT_SHADOW_KERNELS] = { "usage.shadow_rejected_total.kernels", NULL, KIND_TOTAL,
	                                0 },
	[COL_TENANT_SHADOW_MEMORY] = { "usage.shadow_rejected_total.gpu_memory", NULL, KIND_TOTAL,
	                               0 },
	[COL_TENANT_BY_SUSPENSION] = { "usage.suspended_rejected_total", "REJECTED-SUSPENDED",
	                               KIND_TOTAL, 0 },
	[COL_TENANT_RATE_NUMBER] = { "quota.rate", "RATE", KIND_RATE, FIELD_LIMIT | FIELD_SPARE },
	[COL_TENANT_RATE_PERIOD] = { "quota.rate_period", "RATE-PERIOD", KIND_TEXT, 0 },
	[COL_TENANT_RATE_POLICY] = { "quota.rate_policy", "POLICY", KIND_TEXT, 0 },
	[COL_TENANT_BURST] = { "quota.burst", "BURST", KIND_TOTAL, FIELD_NONE | FIELD_SPARE },
	[COL_TENANT_CORRECTED] = { "usage.corrected_ns", "CORRECTED", KIND_SIGNED_NS, 0 },
	[COL_TENANT_ALERTS] = { "quota.alerts", "ALERTS", KIND_TEXT, 0 },
	[COL_TENANT_ALERTED] = { NULL, "ALERTED", KIND_TEXT, FIELD_SPARE },
	[COL_TENANT_ALERTED_RATE] = { "usage.alerted_percent.rate", NULL, KIND_COUNT, 0 },
	[COL_TENANT_ALERTED_KERNELS] = { "usage.alerted_percent.kernels", NULL, KIND_COUNT, 0 },
	[COL_TENANT_ALONE] = { "quota.rate_alone", "ALONE", KIND_TOTAL, FIELD_LIMIT },
	[COL_TENANT_HOLDS] = { "usage.rate_holds", "HOLDS", KIND_BOOL, 0 },
	[COL_TENANT_ALERTED_MEMORY] = { "usage.alerted_percent.gpu_memory", NULL, KIND_COUNT, 0 },
};
static const unsigned char usual_of_tenants[] = {
	COL_TENANT_ID,           COL_TENANT_RATE_NUMBER, COL_TENANT_KERNELS,
	COL_TENANT_GPU_MEMORY,   COL_TENANT_BUDGETS,     COL_TENANT_ADMITTED,
	COL_TENANT_REJECTED,     COL_TENANT_GPU_TIME,    COL_TENANT_THIS_SECOND,
	COL_TENANT_KERNELS_HELD, COL_TENANT_MEMORY_HELD, COL_TENANT_GENERATION,
	COL_TENANT_NAME,         COL_TENANT_SHADOW,      COL_TENANT_SUSPENDED,
	COL_TENANT_BURST,        COL_TENANT_ALERTED,
};
const struct table tenants_table = { "tenants", USUAL(tenant_fields, usual_of_tenants) };

static const struct field broker_fields[COL_BROKER_COUNT] = {
	[COL_BROKER_SLOT] = { "slot", "SLOT", KIND_COUNT, 0 },
	[COL_BROKER_PID] = { "pid", "PID", KIND_COUNT, 0 },
	[COL_BROKER_COMMAND] = { "comm", "COMMAND", KIND_TEXT, 0 },
	[COL_BROKER_STATE] = { "state", "STATE", KIND_TEXT, 0 },
	[COL_BROKER_INCARNATION] = { "incarnation", "INCARNATION", KIND_ID, FIELD_SPARE },
	[COL_BROKER_KERNELS] = { "kernels", "KERNELS", KIND_COUNT, FIELD_SPARE },
	[COL_BROKER_MEMORY] = { "gpu_memory_bytes", "GPU-MEMORY", KIND_BYTES, FIELD_SPARE },
	[COL_BROKER_BEHIND] = { "grace_behind", "GRACE-BEHIND", KIND_TOTAL, FIELD_SPARE },
	[COL_BROKER_SINCE] = { "attached_at_ns", "SINCE", KIND_TIME, FIELD_SPARE },
};
static const unsigned char usual_of_brokers[] = {
	COL_BROKER_SLOT,   COL_BROKER_PID,    COL_BROKER_COMMAND,
	COL_BROKER_STATE,  COL_BROKER_BEHIND, COL_BROKER_KERNELS,
	COL_BROKER_MEMORY, COL_BROKER_SINCE,  COL_BROKER_INCARNATION,
};
const struct table brokers_table = { "brokers", USUAL(broker_fields, usual_of_brokers) };

static const struct field lease_fields[COL_LEASE_COUNT] = {
	[COL_LEASE_TENANT] = { "tenant", "TENANT", KIND_ID, 0 },
	[COL_LEASE_SLOT] = { "slot", "SLOT", KIND_COUNT, 0 },
	[COL_LEASE_PID] = { "pid", "PID", KIND_COUNT, 0 },
	[COL_LEASE_KERNELS] = { "kernels", "KERNELS", KIND_COUNT, 0 },
	[COL_LEASE_MEMORY] = { "gpu_memory_bytes", "GPU-MEMORY", KIND_BYTES, 0 },
	[COL_LEASE_ENGAGEMENT] = { "engagement", "ENGAGEMENT", KIND_ID, FIELD_SPARE },
	[COL_LEASE_RESERVED] = { "reserved_ns", "RESERVED", KIND_NS, 0 },
	[COL_LEASE_NAMES] = { "names", NULL, KIND_JSON, 0 },
	[COL_LEASE_NAMES_SHOWN] = { NULL, "NAMES", KIND_TEXT, FIELD_SPARE },
};
const struct table leases_table = { "leases", ALL(lease_fields) };

static const struct field kernel_fields[COL_KERNEL_COUNT] = {
	[COL_KERNEL_NAME] = { "name", "KERNEL", KIND_TEXT, 0 },
	[COL_KERNEL_TENANT] = { "tenant", "TENANT", KIND_ID, 0 },
	[COL_KERNEL_STALE] = { "stale", "STALE", KIND_BOOL, FIELD_SPARE },
	[COL_KERNEL_SLOT] = { "slot", "SLOT", KIND_COUNT, 0 },
	[COL_KERNEL_PID] = { "pid", "PID", KIND_COUNT, 0 },
	[COL_KERNEL_ORG] = { "org_id", "ORG", KIND_ID, FIELD_SPARE },
	[COL_KERNEL_ENGAGEMENT] = { "engagement_id", "ENGAGEMENT", KIND_ID, FIELD_SPARE },
	[COL_KERNEL_GENERATION] = { "generation", "GENERATION", KIND_ID, FIELD_SPARE },
	[COL_KERNEL_INCARNATION] = { "incarnation", "INCARNATION", KIND_ID, FIELD_SPARE },
	[COL_KERNEL_ADDRESS] = { "address", "ADDRESS", KIND_TEXT, 0 },
};
static const unsigned char usual_of_kernels[] = {
	COL_KERNEL_NAME, COL_KERNEL_TENANT, COL_KERNEL_SLOT,       COL_KERNEL_PID,
	COL_KERNEL_ORG,  COL_KERNEL_STALE,  COL_KERNEL_ENGAGEMENT,
};
const struct table kernels_table = { "kernels", USUAL(kernel_fields, usual_of_kernels) };

static const struct field budget_fields[COL_BUDGET_COUNT] = {
	[COL_BUDGET_TENANT] = { "tenant", "TENANT", KIND_ID, 0 },
	[COL_BUDGET_ENGAGEMENT] = { "engagement", "ENGAGEMENT", KIND_ID, 0 },
	[COL_BUDGET_BUDGET] = { "budget_ns", "BUDGET", KIND_NS, 0 },
	[COL_BUDGET_USED] = { "used_ns", "USED", KIND_NS, 0 },
	[COL_BUDGET_RESERVED] = { "reserved_ns", "RESERVED", KIND_NS, 0 },
	[COL_BUDGET_RENEWAL] = { "renewal", "RENEWAL", KIND_TEXT, 0 },
	[COL_BUDGET_PERIOD] = { "period", "PERIOD", KIND_TOTAL, FIELD_SPARE },
	[COL_BUDGET_BEGAN] = { "began_at_ns", "BEGAN", KIND_TIME, FIELD_NONE | FIELD_SPARE },
	[COL_BUDGET_RENEWS] = { "renews_at_ns", "RENEWS", KIND_TIME, FIELD_NONE },
	[COL_BUDGET_CORRECTED] = { "corrected_ns", "CORRECTED", KIND_SIGNED_NS, FIELD_SPARE },
	[COL_BUDGET_ALERTED] = { "alerted_percent", "ALERTED", KIND_COUNT, FIELD_SPARE },
};
const struct table budgets_table = { "budgets", ALL(budget_fields) };

static const struct field period_fields[COL_PERIOD_COUNT] = {
	[COL_PERIOD_NUMBER] = { "period", "PERIOD", KIND_TOTAL, 0 },
	[COL_PERIOD_BEGAN] = { "began_at_ns", "BEGAN", KIND_TIME, 0 },
	[COL_PERIOD_NEXT] = { "next_began_at_ns", "NEXT", KIND_TIME, 0 },
	[COL_PERIOD_USED] = { "used_ns", "USED", KIND_NS, 0 },
	[COL_PERIOD_FINAL] = { "final", "FINAL", KIND_BOOL, 0 },
};
const struct table periods_table = { "periods", ALL(period_fields) };

static const struct field usage_fields[COL_USAGE_COUNT] = {
	[COL_USAGE_TENANT] = { "tenant", "TENANT", KIND_ID, 0 },
	[COL_USAGE_ENGAGEMENT] = { "engagement", "ENGAGEMENT", KIND_ID, 0 },
	[COL_USAGE_GPU_TIME] = { "gpu_ns", "GPU-TIME", KIND_NS, 0 },
	[COL_USAGE_CORRECTED] = { "corrected_ns", "CORRECTED", KIND_SIGNED_NS, 0 },
	[COL_USAGE_RESERVED] = { "reserved_ns", "RESERVED", KIND_NS, 0 },
};
const struct table usage_table = { "usage", ALL(usage_fields) };

static const struct field registry_fields[COL_REGISTRY_COUNT] = {
	[COL_REGISTRY_NAME] = { "name", "REGISTRY", KIND_TEXT, 0 },
	[COL_REGISTRY_STATE] = { "state", "STATE", KIND_TEXT, 0 },
	[COL_REGISTRY_ERROR] = { "error", "ERROR", KIND_TEXT, 0 },
	[COL_REGISTRY_OWNER] = { "owner", "OWNER", KIND_TEXT, FIELD_SPARE },
	[COL_REGISTRY_TENANTS] = { "tenants", "TENANTS", KIND_COUNT, FIELD_NONE | FIELD_SPARE },
	[COL_REGISTRY_MAX_TENANTS] = { "max_tenants", "OF", KIND_COUNT, FIELD_NONE | FIELD_SPARE },
	[COL_REGISTRY_BROKERS] = { "brokers", "BROKERS", KIND_COUNT, FIELD_NONE | FIELD_SPARE },
	[COL_REGISTRY_BYTES] = { "bytes", "MEMORY", KIND_BYTES, FIELD_NONE | FIELD_SPARE },
	[COL_REGISTRY_CREATED] = { "created_at_ns", "CREATED", KIND_TIME,
	                           FIELD_NONE | FIELD_SPARE },
	[COL_REGISTRY_UUID] = { "uuid", "UUID", KIND_TEXT, 0 },
};
static const unsigned char usual_of_registries[] = {
	COL_REGISTRY_NAME,        COL_REGISTRY_STATE,   COL_REGISTRY_OWNER, COL_REGISTRY_TENANTS,
	COL_REGISTRY_MAX_TENANTS, COL_REGISTRY_BROKERS, COL_REGISTRY_BYTES, COL_REGISTRY_CREATED,
};
const struct table registries_table = { "registries", USUAL(registry_fields, usual_of_registries) };

static const struct field limit_fields[COL_LIMIT_COUNT] = {
	[COL_LIMIT_KIND] = { "limit", NULL, KIND_TEXT, 0 },
	[COL_LIMIT_ENGAGEMENT] = { "engagement", NULL, KIND_TEXT, 0 },
	[COL_LIMIT_NAME] = { NULL, "LIMIT", KIND_TEXT, 0 },
	[COL_LIMIT_REFUSES] = { "refuses", "REFUSES", KIND_BOOL, 0 },
	[COL_LIMIT_USED_TEXT] = { NULL, "USED", KIND_TEXT, FIELD_RIGHT | FIELD_SORT_NUMBER },
	[COL_LIMIT_MAX_TEXT] = { NULL, "OF", KIND_TEXT, FIELD_RIGHT | FIELD_SORT_NUMBER },
	[COL_LIMIT_USED] = { "used", NULL, KIND_TOTAL, 0 },
	[COL_LIMIT_MAX] = { "max", NULL, KIND_TOTAL, FIELD_LIMIT },
	[COL_LIMIT_IN_SHADOW] = { "would_refuse", "WOULD-REFUSE", KIND_BOOL, FIELD_SPARE },
	[COL_LIMIT_SHADOWED] = { "shadowed_in_trail", "SHADOWED", KIND_TOTAL, FIELD_SPARE },
	[COL_LIMIT_RESERVED] = { "reserved_ns", NULL, KIND_TOTAL, FIELD_NONE },
	[COL_LIMIT_RENEWS] = { "renews_at_ns", "RENEWS", KIND_TIME, FIELD_NONE | FIELD_SPARE },
	[COL_LIMIT_PERIOD] = { "rate_period", NULL, KIND_TEXT, 0 },
	[COL_LIMIT_POLICY] = { "rate_policy", NULL, KIND_TEXT, 0 },
	[COL_LIMIT_REJECTED] = { "rejected_in_trail", "REJECTED", KIND_TOTAL, FIELD_SPARE },
	[COL_LIMIT_SINCE] = { "since_ns", "SINCE", KIND_TIME, FIELD_NONE | FIELD_SPARE },
	[COL_LIMIT_LAST] = { "last_ns", "LAST", KIND_TIME, FIELD_NONE | FIELD_SPARE },
	[COL_LIMIT_BROKER] = { NULL, "BY-BROKER", KIND_TEXT, FIELD_SPARE },
	[COL_LIMIT_SLOT] = { "slot", NULL, KIND_COUNT, FIELD_NONE },
	[COL_LIMIT_PID] = { "pid", NULL, KIND_COUNT, FIELD_NONE },
	[COL_LIMIT_COMMAND] = { "comm", NULL, KIND_TEXT, 0 },
	[COL_LIMIT_ADVICE] = { "advice", NULL, KIND_TEXT, 0 },
};
const struct table limits_table = { "limits", ALL(limit_fields) };

static const struct field outcome_fields[COL_OUTCOME_COUNT] = {
	[COL_OUTCOME_TENANT] = { "tenant", "TENANT", KIND_ID, 0 },
	[COL_OUTCOME_LIMIT] = { "limit", NULL, KIND_TEXT, 0 },
	[COL_OUTCOME_ENGAGEMENT] = { "engagement", NULL, KIND_TEXT, 0 },
	[COL_OUTCOME_NAME] = { NULL, "LIMIT", KIND_TEXT, 0 },
	[COL_OUTCOME_REQUESTS] = { "requests", "REQUESTS", KIND_TOTAL, 0 },
	[COL_OUTCOME_REFUSED] = { "refused", "REFUSED", KIND_TOTAL, 0 },
	[COL_OUTCOME_FIRST] = { "first_ns", "FIRST", KIND_TIME, FIELD_NONE | FIELD_SPARE },
	[COL_OUTCOME_LAST] = { "last_ns", "LAST", KIND_TIME, FIELD_NONE | FIELD_SPARE },
	[COL_OUTCOME_PEAK_TEXT] = { NULL, "PEAK", KIND_TEXT, FIELD_RIGHT | FIELD_SORT_NUMBER },
	[COL_OUTCOME_MAX_TEXT] = { NULL, "OF", KIND_TEXT, FIELD_RIGHT | FIELD_SORT_NUMBER },
	[COL_OUTCOME_PEAK] = { "peak", NULL, KIND_TOTAL, 0 },
	[COL_OUTCOME_MAX] = { "max", NULL, KIND_TOTAL, FIELD_LIMIT },
	[COL_OUTCOME_SHARE] = { "peak_percent", "PERCENT", KIND_COUNT, FIELD_NONE },
};
const struct table outcomes_table = { "limits", ALL(outcome_fields) };

static const struct field event_fields[COL_EVENT_COUNT] = {
	[COL_EVENT_TIME_NS] = { "time_ns", NULL, KIND_NS, 0 },
	[COL_EVENT_TIME] = { NULL, "TIME", KIND_TEXT, FIELD_WIDTH(24) },
	[COL_EVENT_NAME] = { NULL, "EVENT", KIND_TEXT, FIELD_WIDTH(9) },
	[COL_EVENT_RING] = { "ring", "RING", KIND_COUNT, 0 },
	[COL_EVENT_SEQUENCE] = { "sequence", "SEQUENCE", KIND_ID, 0 },
	[COL_EVENT_LEVEL] = { "level", "LEVEL", KIND_TEXT, FIELD_WIDTH(8) },
	[COL_EVENT_TYPE] = { "type", "TYPE", KIND_TEXT, FIELD_WIDTH(19) },
	[COL_EVENT_KIND] = { "kind", "KIND", KIND_TEXT, FIELD_WIDTH(14) },
	[COL_EVENT_TENANT] = { "tenant", "TENANT", KIND_TEXT, FIELD_WIDTH(6) },
	[COL_EVENT_TO] = { "to_tenant", "TO-TENANT", KIND_TEXT, 0 },
	[COL_EVENT_REPEATS] = { "count", "COUNT", KIND_TOTAL, FIELD_WIDTH(5) },
	[COL_EVENT_ORG] = { "org_id", "ORG", KIND_ID, 0 },
	[COL_EVENT_ENGAGEMENT] = { "engagement_id", "ENGAGEMENT", KIND_ID, 0 },
	[COL_EVENT_USED] = { "used", "USED", KIND_TOTAL, 0 },
	[COL_EVENT_LIMIT] = { "limit", "LIMIT", KIND_TOTAL, FIELD_LIMIT },
	[COL_EVENT_SOURCE] = { "source", "SOURCE", KIND_TEXT, 0 },
	[COL_EVENT_DESTINATION] = { "destination", "DESTINATION", KIND_TEXT, 0 },
	[COL_EVENT_ACTOR_KIND] = { "actor", NULL, KIND_TEXT, 0 },
	[COL_EVENT_ACTOR] = { NULL, "ACTOR", KIND_TEXT, FIELD_WIDTH(15) },
	[COL_EVENT_PID] = { "pid", "PID", KIND_ID, FIELD_WIDTH(7) },
	[COL_EVENT_COMMAND] = { "comm", NULL, KIND_TEXT, 0 },
	[COL_EVENT_WHAT] = { NULL, "WHAT", KIND_TEXT, 0 },
};
static const unsigned char usual_of_events[] = {
	COL_EVENT_TIME,    COL_EVENT_NAME,  COL_EVENT_LEVEL, COL_EVENT_KIND, COL_EVENT_TENANT,
	COL_EVENT_REPEATS, COL_EVENT_ACTOR, COL_EVENT_PID,   COL_EVENT_WHAT,
};
const struct table events_table = { "events", USUAL(event_fields, usual_of_events) };

static const struct field kind_fields[COL_KIND_COUNT] = {
	[COL_KIND_KIND] = { "kind", "KIND", KIND_TEXT, 0 },
	[COL_KIND_TYPE] = { "type", "TYPE", KIND_TEXT, 0 },
	[COL_KIND_LEVEL] = { "level", "LEVEL", KIND_TEXT, 0 },
	[COL_KIND_WRITTEN] = { "written_total", "WRITTEN", KIND_TOTAL, 0 },
	[COL_KIND_COALESCED] = { "coalesced_total", "COALESCED", KIND_TOTAL, 0 },
	[COL_KIND_LOST] = { "lost_total", "LOST", KIND_TOTAL, 0 },
};
const struct table kinds_table = { "stats", ALL(kind_fields) };

#define ON_SCREEN KIND_TEXT, FIELD_RIGHT | FIELD_SPARE | FIELD_SORT_NUMBER
static const struct field rate_fields[COL_TOP_COUNT] = {
	[COL_TOP_ID] = { "id", "TENANT", KIND_ID, 0 },
	[COL_TOP_MESSAGES] = { NULL, "MSG/s", ON_SCREEN },
	[COL_TOP_REJECTED] = { NULL, "REJECTED/s", ON_SCREEN },
	[COL_TOP_GPU] = { NULL, "GPU-s/s", ON_SCREEN },
	[COL_TOP_USE_RATE] = { NULL, "RATE%", ON_SCREEN },
	[COL_TOP_USE_BUDGET] = { NULL, "BUDG%", ON_SCREEN },
	[COL_TOP_USE_KERNELS] = { NULL, "KERN%", ON_SCREEN },
	[COL_TOP_USE_MEMORY] = { NULL, "MEM%", ON_SCREEN },
	[COL_TOP_LIMIT] = { NULL, "LIMIT", KIND_TEXT, FIELD_RIGHT | FIELD_SPARE },
	[COL_TOP_STATE] = { NULL, "STATE", KIND_TEXT, FIELD_SPARE },
	[COL_TOP_KERNELS] = { NULL, "KERNELS", ON_SCREEN },
	[COL_TOP_MEMORY] = { NULL, "MEMORY", ON_SCREEN },
	[COL_TOP_BY_RATE] = { NULL, "REJ-RATE", ON_SCREEN },
	[COL_TOP_BY_BUDGET] = { NULL, "REJ-BUDG", ON_SCREEN },
	[COL_TOP_BY_KERNELS] = { NULL, "REJ-KERN", ON_SCREEN },
	[COL_TOP_BY_MEMORY] = { NULL, "REJ-MEM", ON_SCREEN },
	[COL_TOP_SHADOWED] = { NULL, "SHADOW/s", ON_SCREEN },
	[COL_TOP_NAME] = { NULL, "NAME", KIND_TEXT, FIELD_SPARE },
	[COL_TOP_EXACT_NAME] = { "name", NULL, KIND_TEXT, FIELD_EXACT },
	[COL_TOP_SUSPENDED] = { "suspended", NULL, KIND_BOOL, 0 },
	[COL_TOP_IN_SHADOW] = { "shadow", NULL, KIND_BOOL, 0 },
	[COL_TOP_RATE] = { "rate", NULL, KIND_TOTAL, FIELD_LIMIT },
	[COL_TOP_RATE_PERIOD] = { "rate_period", NULL, KIND_TEXT, 0 },
	[COL_TOP_RATE_POLICY] = { "rate_policy", NULL, KIND_TEXT, 0 },
	[COL_TOP_BURST] = { "burst", NULL, KIND_TOTAL, FIELD_NONE },
	[COL_TOP_ALONE] = { "rate_alone", NULL, KIND_TOTAL, FIELD_LIMIT },
	[COL_TOP_HOLDS] = { "rate_holds", NULL, KIND_BOOL, 0 },
	[COL_TOP_REJECTED_SUSPENDED] = { "suspended_rejected", NULL, KIND_TOTAL, 0 },
	[COL_TOP_REJECTED_SHADOW] = { "shadow_rejected", NULL, KIND_TOTAL, 0 },
	[COL_TOP_GENERATION] = { "generation", NULL, KIND_ID, 0 },
	[COL_TOP_ADMITTED] = { "admitted", NULL, KIND_TOTAL, 0 },
	[COL_TOP_REJECTED_RATE] = { "rejected.rate", NULL, KIND_TOTAL, 0 },
	[COL_TOP_REJECTED_BUDGET] = { "rejected.budget", NULL, KIND_TOTAL, 0 },
	[COL_TOP_REJECTED_KERNELS] = { "rejected.kernels", NULL, KIND_TOTAL, 0 },
	[COL_TOP_REJECTED_MEMORY] = { "rejected.gpu_memory", NULL, KIND_TOTAL, 0 },
	[COL_TOP_GPU_NS] = { "gpu_ns", NULL, KIND_NS, 0 },
	[COL_TOP_UNATTRIBUTED_NS] = { "unattributed_ns", NULL, KIND_NS, 0 },
	[COL_TOP_KERNELS_HELD] = { "kernels", NULL, KIND_COUNT, 0 },
	[COL_TOP_BYTES_HELD] = { "gpu_memory_bytes", NULL, KIND_BYTES, 0 },
	[COL_TOP_PERCENT_RATE] = { "used_percent.rate", NULL, KIND_COUNT, FIELD_LIMIT },
	[COL_TOP_PERCENT_BUDGET] = { "used_percent.budget", NULL, KIND_COUNT, FIELD_LIMIT },
	[COL_TOP_PERCENT_KERNELS] = { "used_percent.kernels", NULL, KIND_COUNT, FIELD_LIMIT },
	[COL_TOP_PERCENT_MEMORY] = { "used_percent.gpu_memory", NULL, KIND_COUNT, FIELD_LIMIT },
};
const struct table rates_table = { "tenants", ALL(rate_fields) };
