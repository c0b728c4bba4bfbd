/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * snapshot.h - a copy of everything that a registry reports, taken at one time
 */
#ifndef K2K_COMMON_SNAPSHOT_H
#define K2K_COMMON_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <k2k/registry.h>

struct snapshot_tenant {
	struct k2k_tenant_info info;
	uint64_t gpu_ns;      /* booked on all engagements; saturates */
	uint64_t reserved_ns; /* by living brokers, of all engagements; saturates */
	int64_t corrected_ns; /* of all engagements; saturates */
	uint64_t names;       /* in the directory of kernels */
};

struct snapshot {
	struct k2k_registry_info registry;
	struct k2k_shares shares;
	uint64_t shares_ended_at_ns;     /* since 1970; 0: they hold, or it is not known */
	struct snapshot_tenant *tenants; /* by generation: the order of their registration */
	size_t tenant_count;
	/* how many of the tenants have K2K_TENANT_DAMAGED: some of their numbers are unknown */
	size_t damaged_count;
	size_t alone_count; /* tenants whose rate is a share that does not hold */
	/* by generation, then engagement; only of the tenants above */
	struct k2k_usage_info *usage;
	size_t usage_count;
	struct k2k_budget_info *budgets; /* in the same order */
	size_t budget_count;
	struct k2k_broker_info *brokers; /* by slot */
	size_t broker_count;
	struct k2k_kernel_info *kernels; /* by generation, then name; those of no tenant too */
	size_t kernel_count;
	struct k2k_table_info kernel_table; /* of their names; none is retired */
	struct k2k_audit_stats audit;
	struct k2k_audit_follower_info followers[8];
	size_t follower_count;
	uint64_t taken_ns; /* CLOCK_MONOTONIC, before the first list was read */
	uint64_t took_ns;
};

/*
 * Returns 0 or a K2K_E... code; then *snapshot is empty. Any role. A change that happens meanwhile
 * may be in one list and not in another.
 */
int snapshot_take(struct k2k_registry *reg, struct snapshot *snapshot);
void snapshot_free(struct snapshot *snapshot);

/* Whether the rate is a share of one over many hosts that does not hold now. */
bool snapshot_alone(const struct k2k_tenant_info *tenant);
/* The rate that is in force now: of a share that does not hold, the limit alone. */
uint64_t snapshot_rate(const struct k2k_tenant_info *tenant);
/* Until this host's shares of rates end; 0: they don't hold. */
uint64_t snapshot_shares_left_ns(const struct k2k_shares *shares);

/* "active", "stopped", "dead" or "unknown" */
const char *snapshot_broker_state(uint32_t state);
/* "gone", "active", "silent", "failing", "dead" or "unknown" */
const char *snapshot_follower_state(uint32_t state);

#endif
