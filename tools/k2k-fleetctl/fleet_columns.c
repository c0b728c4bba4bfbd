/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The columns of k2k-fleetctl's tables. */
#include "fleet.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct field definitions[COL_DEFINITION_COUNT] = {
	[COL_DEFINITION_TENANT] = { "tenant", "TENANT", KIND_ID, FIELD_RIGHT },
	[COL_DEFINITION_NAME] = { "name", "NAME", KIND_TEXT, FIELD_EXACT },
	[COL_DEFINITION_RATE] = { "rate", "RATE", KIND_RATE, FIELD_LIMIT | FIELD_RIGHT },
	[COL_DEFINITION_KERNELS] = { "kernels", "KERNELS", KIND_COUNT, FIELD_LIMIT | FIELD_RIGHT },
	[COL_DEFINITION_MEMORY] = { "gpu_memory_bytes", "GPU-MEMORY", KIND_BYTES,
	                            FIELD_LIMIT | FIELD_RIGHT },
	[COL_DEFINITION_BUDGETS] = { "budgets", "BUDGETS", KIND_COUNT, FIELD_RIGHT },
	[COL_DEFINITION_VERSION] = { "version", "VERSION", KIND_TOTAL, FIELD_RIGHT },
	[COL_DEFINITION_PROBLEMS] = { "problems", "PROBLEMS", KIND_COUNT, FIELD_RIGHT },
};
const struct table definitions_table = { "definitions", definitions, COUNT(definitions), NULL, 0 };

static const struct field hosts[COL_HOST_COUNT] = {
	[COL_HOST_NAME] = { "host", "HOST", KIND_TEXT, 0 },
	[COL_HOST_ROLE] = { "role", "ROLE", KIND_TEXT, 0 },
	[COL_HOST_REGISTRY] = { "registry", "REGISTRY", KIND_TEXT, 0 },
	[COL_HOST_VERSION] = { "version", "VERSION", KIND_TOTAL, FIELD_RIGHT },
	[COL_HOST_BEHIND] = { "behind", "BEHIND", KIND_TOTAL, FIELD_RIGHT },
	[COL_HOST_AGE] = { "age_ns", "AGE", KIND_NS, FIELD_RIGHT | FIELD_NONE },
	[COL_HOST_PROBLEMS] = { "problems", "PROBLEMS", KIND_COUNT, FIELD_RIGHT },
	[COL_HOST_RUN] = { "run", "RUN", KIND_TEXT, FIELD_SPARE },
	[COL_HOST_EPOCH] = { "epoch", "EPOCH", KIND_TOTAL, FIELD_RIGHT | FIELD_SPARE },
};
const struct table hosts_table = { "hosts", hosts, COUNT(hosts), NULL, 0 };

static const struct field problems[COL_PROBLEM_COUNT] = {
	[COL_PROBLEM_HOST] = { "host", "HOST", KIND_TEXT, 0 },
	[COL_PROBLEM_TENANT] = { "tenant", "TENANT", KIND_ID, FIELD_RIGHT },
	[COL_PROBLEM_VERSION] = { "version", "VERSION", KIND_TOTAL, FIELD_RIGHT },
	[COL_PROBLEM_CODE] = { "code", "CODE", KIND_TEXT, 0 },
	[COL_PROBLEM_MESSAGE] = { "message", "MESSAGE", KIND_TEXT, 0 },
};
const struct table problems_table = { "problems", problems, COUNT(problems), NULL, 0 };

static const struct field bill[COL_BILL_COUNT] = {
	[COL_BILL_TENANT] = { "tenant", "TENANT", KIND_ID, FIELD_RIGHT },
	[COL_BILL_GENERATION] = { "fleet_gen", "SINCE", KIND_TOTAL, FIELD_RIGHT },
	[COL_BILL_ENGAGEMENT] = { "engagement", "ENGAGEMENT", KIND_ID, FIELD_RIGHT },
	[COL_BILL_GPU_TIME] = { "gpu_ns", "GPU-TIME", KIND_TEXT, FIELD_RIGHT },
	[COL_BILL_CORRECTED] = { "corrected_ns", "CORRECTED", KIND_TEXT, FIELD_RIGHT },
	[COL_BILL_RUNS] = { "runs", "RUNS", KIND_COUNT, FIELD_RIGHT },
	[COL_BILL_OPEN_ENDED] = { "open_ended", "OPEN-ENDED", KIND_COUNT, FIELD_RIGHT },
};
const struct table bill_table = { "usage", bill, COUNT(bill), NULL, 0 };

static const struct field fleet_budgets[COL_FLEET_BUDGET_COUNT] = {
	[COL_FLEET_BUDGET_TENANT] = { "tenant", "TENANT", KIND_ID, FIELD_RIGHT },
	[COL_FLEET_BUDGET_GENERATION] = { "fleet_gen", "SINCE", KIND_TOTAL,
	                                  FIELD_RIGHT | FIELD_SPARE },
	[COL_FLEET_BUDGET_ENGAGEMENT] = { "engagement", "ENGAGEMENT", KIND_ID, FIELD_RIGHT },
	[COL_FLEET_BUDGET_TOTAL] = { "budget_ns", "BUDGET", KIND_NS, FIELD_RIGHT },
	[COL_FLEET_BUDGET_DRAWN] = { "drawn_ns", "DRAWN", KIND_NS, FIELD_RIGHT },
	[COL_FLEET_BUDGET_USED] = { "used_ns", "USED", KIND_NS, FIELD_RIGHT },
	[COL_FLEET_BUDGET_CHARGED] = { "charged_ns", "CHARGED", KIND_NS, FIELD_RIGHT },
	[COL_FLEET_BUDGET_FREE] = { "free_ns", "FREE", KIND_NS, FIELD_RIGHT },
	[COL_FLEET_BUDGET_OVERDRAWN] = { "overdrawn_ns", "OVERDRAWN", KIND_NS, FIELD_RIGHT },
	[COL_FLEET_BUDGET_WRITTEN_OFF] = { "written_off_ns", "WRITTEN-OFF", KIND_NS, FIELD_RIGHT },
};
const struct table fleet_budgets_table = { "budgets", fleet_budgets, COUNT(fleet_budgets), NULL,
	                                   0 };

static const struct field chunks[COL_CHUNK_COUNT] = {
	[COL_CHUNK_TENANT] = { "tenant", "TENANT", KIND_ID, FIELD_RIGHT },
	[COL_CHUNK_GENERATION] = { "fleet_gen", "SINCE", KIND_TOTAL, FIELD_RIGHT | FIELD_SPARE },
	[COL_CHUNK_ENGAGEMENT] = { "engagement", "ENGAGEMENT", KIND_ID, FIELD_RIGHT },
	[COL_CHUNK_HOST] = { "host", "HOST", KIND_TEXT, 0 },
	[COL_CHUNK_STATE] = { "state", "STATE", KIND_TEXT, 0 },
	[COL_CHUNK_DRAWN] = { "drawn_ns", "DRAWN", KIND_NS, FIELD_RIGHT },
	[COL_CHUNK_USED] = { "used_ns", "USED", KIND_NS, FIELD_RIGHT },
	[COL_CHUNK_CHARGED] = { "charged_ns", "CHARGED", KIND_NS, FIELD_RIGHT },
	[COL_CHUNK_WRITTEN_OFF] = { "written_off_ns", "WRITTEN-OFF", KIND_NS, FIELD_RIGHT },
	[COL_CHUNK_RUN] = { "run", "RUN", KIND_TEXT, FIELD_SPARE },
};
const struct table chunks_table = { "chunks", chunks, COUNT(chunks), NULL, 0 };

static const struct field forgotten[COL_FORGOTTEN_COUNT] = {
	[COL_FORGOTTEN_TENANT] = { "tenant", "TENANT", KIND_ID, FIELD_RIGHT },
	[COL_FORGOTTEN_ENGAGEMENT] = { "engagement", "ENGAGEMENT", KIND_ID,
	                               FIELD_RIGHT | FIELD_NONE },
	[COL_FORGOTTEN_RUN] = { "run", "RUN", KIND_TEXT, FIELD_SPARE },
	[COL_FORGOTTEN_DRAWN] = { "drawn_ns", "DRAWN", KIND_NS, FIELD_RIGHT | FIELD_NONE },
	[COL_FORGOTTEN_REPORTED] = { "reported_ns", "REPORTED", KIND_NS, FIELD_RIGHT | FIELD_NONE },
	[COL_FORGOTTEN_WRITTEN_OFF] = { "written_off_ns", "WRITTEN-OFF", KIND_NS,
	                                FIELD_RIGHT | FIELD_NONE },
	[COL_FORGOTTEN_KIND] = { "limit", "LIMIT", KIND_TEXT, 0 },
	[COL_FORGOTTEN_SHARE] = { "share", "SHARE", KIND_TEXT, FIELD_RIGHT },
};
const struct table forgotten_table = { "forgotten", forgotten, COUNT(forgotten), NULL, 0 };

static const struct field limits[COL_FLEET_LIMIT_COUNT] = {
	[COL_FLEET_LIMIT_TENANT] = { "tenant", "TENANT", KIND_ID, FIELD_RIGHT },
	[COL_FLEET_LIMIT_GENERATION] = { "fleet_gen", "SINCE", KIND_TOTAL,
	                                 FIELD_RIGHT | FIELD_SPARE },
	[COL_FLEET_LIMIT_KIND] = { "of", "OF", KIND_TEXT, 0 },
	[COL_FLEET_LIMIT_TOTAL] = { "limit", "LIMIT", KIND_TEXT, FIELD_RIGHT | FIELD_SORT_NUMBER },
	[COL_FLEET_LIMIT_GRANTED] = { "granted", "GRANTED", KIND_TEXT,
	                              FIELD_RIGHT | FIELD_SORT_NUMBER },
	[COL_FLEET_LIMIT_FREE] = { "free", "FREE", KIND_TEXT, FIELD_RIGHT | FIELD_SORT_NUMBER },
	[COL_FLEET_LIMIT_EXCESS] = { "excess", "EXCESS", KIND_TEXT,
	                             FIELD_RIGHT | FIELD_SORT_NUMBER },
	[COL_FLEET_LIMIT_WRITTEN_OFF] = { "written_off", "WRITTEN-OFF", KIND_TEXT,
	                                  FIELD_RIGHT | FIELD_SORT_NUMBER },
	[COL_FLEET_LIMIT_ALONE] = { "alone", "ALONE", KIND_TEXT,
	                            FIELD_RIGHT | FIELD_SORT_NUMBER | FIELD_NONE },
	[COL_FLEET_LIMIT_BOUND] = { "bound", "BOUND", KIND_TEXT, FIELD_RIGHT | FIELD_SORT_NUMBER },
	[COL_FLEET_LIMIT_ANY_SECOND] = { "any_second", "ANY-SECOND", KIND_TEXT,
	                                 FIELD_RIGHT | FIELD_SORT_NUMBER | FIELD_NONE },
};
const struct table fleet_limits_table = { "limits", limits, COUNT(limits), NULL, 0 };

static const struct field shares[COL_SHARE_COUNT] = {
	[COL_SHARE_TENANT] = { "tenant", "TENANT", KIND_ID, FIELD_RIGHT },
	[COL_SHARE_GENERATION] = { "fleet_gen", "SINCE", KIND_TOTAL, FIELD_RIGHT | FIELD_SPARE },
	[COL_SHARE_KIND] = { "of", "OF", KIND_TEXT, 0 },
	[COL_SHARE_HOST] = { "host", "HOST", KIND_TEXT, 0 },
	[COL_SHARE_STATE] = { "state", "STATE", KIND_TEXT, 0 },
	[COL_SHARE_AMOUNT] = { "share", "SHARE", KIND_TEXT, FIELD_RIGHT | FIELD_SORT_NUMBER },
	[COL_SHARE_HELD] = { "held", "HELD", KIND_TEXT,
	                     FIELD_RIGHT | FIELD_SORT_NUMBER | FIELD_NONE },
	[COL_SHARE_LEASE_AGE] = { "lease_age_ns", "LEASE-AGE", KIND_NS, FIELD_RIGHT | FIELD_NONE },
	[COL_SHARE_LEASE] = { "lease_ns", "LEASE", KIND_NS, FIELD_RIGHT | FIELD_SPARE },
	[COL_SHARE_RUN] = { "run", "RUN", KIND_TEXT, FIELD_SPARE },
};
const struct table shares_table = { "shares", shares, COUNT(shares), NULL, 0 };
