/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot.h"
#include "clock.h"

#include <stdlib.h>
#include <string.h>

/* ---- lists ------------------------------------------------------------------ */

enum what { IDS, USAGE, BUDGETS, BROKERS, KERNELS };

static int fill(struct k2k_registry *reg, enum what what, void *list, size_t room, size_t *count)
{
	switch (what) {
	case IDS: return k2k_tenant_ids(reg, list, room, count);
	case USAGE: return k2k_usage_list(reg, K2K_TENANT_UNSPECIFIED, list, room, count);
	case BUDGETS: return k2k_budget_list(reg, K2K_TENANT_UNSPECIFIED, list, room, count);
	case BROKERS: return k2k_broker_list(reg, list, room, count);
	case KERNELS: return k2k_kernel_list(reg, K2K_TENANT_UNSPECIFIED, list, room, count);
	}
	return K2K_EINVAL;
}

/* Reads a whole list, though it may grow meanwhile. *list is to be freed, also after an error. */
static int fetch(struct k2k_registry *reg, enum what what, size_t size, void **list, size_t *count)
{
	uint32_t stride = (uint32_t)size;
	size_t room = 256;

	for (int turn = 0; turn < 10; turn++) {
		int code;

		free(*list);
		*list = calloc(room, size);
		if (!*list)
			return K2K_ENOMEM;
		if (what != IDS)
			memcpy(*list, &stride, sizeof(stride));
		code = fill(reg, what, *list, room, count);
		if (code || *count <= room)
			return code;
		room = *count + *count / 8 + 16;
	}
	*count = 0;
	return K2K_EBUSY;
}

/* ---- order ------------------------------------------------------------------ */

static int order(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_tenants(const void *a, const void *b)
{
	const struct snapshot_tenant *x = a, *y = b;

	return order(x->info.generation, y->info.generation);
}

static int compare_usage(const void *a, const void *b)
{
	const struct k2k_usage_info *x = a, *y = b;
	int by = order(x->generation, y->generation);

	return by ? by : order(x->engagement_id, y->engagement_id);
}

static int compare_budgets(const void *a, const void *b)
{
	const struct k2k_budget_info *x = a, *y = b;
	int by = order(x->generation, y->generation);

	return by ? by : order(x->engagement_id, y->engagement_id);
}

static int compare_brokers(const void *a, const void *b)
{
	const struct k2k_broker_info *x = a, *y = b;

	return order(x->slot, y->slot);
}

static int compare_kernels(const void *a, const void *b)
{
	const struct k2k_kernel_info *x = a, *y = b;
	int by = order(x->generation, y->generation);

	return by ? by : strcmp(x->name, y->name);
}

/* ---- putting together --------------------------------------------------------- */

static int take_tenants(struct k2k_registry *reg, struct snapshot *s)
{
	k2k_tenant_id *ids = NULL;
	size_t count = 0;
	int code = fetch(reg, IDS, sizeof(*ids), (void **)&ids, &count);

	if (!code && !(s->tenants = calloc(count + 1, sizeof(*s->tenants))))
		code = K2K_ENOMEM;
	for (size_t i = 0; i < count && !code; i++) {
		struct snapshot_tenant *t = &s->tenants[s->tenant_count];

		t->info.size = sizeof(t->info);
		code = k2k_tenant_get(reg, ids[i], &t->info);
		if (t->info.flags & K2K_TENANT_DAMAGED) {
			s->damaged_count++;
			code = 0;
		}
		if (!code) {
			s->tenant_count++;
			s->alone_count += snapshot_alone(&t->info);
		} else if (code == K2K_ENOTENANT) {
			code = 0;
		}
	}
	free(ids);
	if (!code)
		qsort(s->tenants, s->tenant_count, sizeof(*s->tenants), compare_tenants);
	return code;
}

static void add_correction(int64_t *sum, int64_t ns)
{
	if (__builtin_add_overflow(*sum, ns, sum))
		*sum = ns < 0 ? INT64_MIN : INT64_MAX;
}

/*
 * Both sides are sorted by generation, so one walk is enough. Entries of a registration that is not
 * in the list of tenants are dropped: the snapshot has the tenant of each entry.
 */
static void join_usage(struct snapshot *s)
{
	size_t kept = 0, t = 0;

	for (size_t i = 0; i < s->usage_count; i++) {
		const struct k2k_usage_info *u = &s->usage[i];

		while (t < s->tenant_count && s->tenants[t].info.generation < u->generation)
			t++;
		if (t == s->tenant_count || s->tenants[t].info.generation != u->generation)
			continue;
		if (__builtin_add_overflow(s->tenants[t].gpu_ns, u->gpu_ns, &s->tenants[t].gpu_ns))
			s->tenants[t].gpu_ns = UINT64_MAX;
		if (__builtin_add_overflow(s->tenants[t].reserved_ns, u->reserved_ns,
		                           &s->tenants[t].reserved_ns))
			s->tenants[t].reserved_ns = UINT64_MAX;
		add_correction(&s->tenants[t].corrected_ns, u->corrected_ns);
		s->usage[kept++] = *u;
	}
	s->usage_count = kept;
}

static void join_budgets(struct snapshot *s)
{
	size_t kept = 0, t = 0;

	for (size_t i = 0; i < s->budget_count; i++) {
		const struct k2k_budget_info *b = &s->budgets[i];

		while (t < s->tenant_count && s->tenants[t].info.generation < b->generation)
			t++;
		if (t < s->tenant_count && s->tenants[t].info.generation == b->generation)
			s->budgets[kept++] = *b;
	}
	s->budget_count = kept;
}

static void join_kernels(struct snapshot *s)
{
	size_t t = 0;

	for (size_t i = 0; i < s->kernel_count; i++) {
		const struct k2k_kernel_info *k = &s->kernels[i];

		while (t < s->tenant_count && s->tenants[t].info.generation < k->generation)
			t++;
		if (t < s->tenant_count && s->tenants[t].info.generation == k->generation)
			s->tenants[t].names++;
	}
	s->kernel_table = (struct k2k_table_info){ .used = s->kernel_count,
		                                   .capacity = s->registry.max_kernels };
}

static int take_shares(struct k2k_registry *reg, struct snapshot *s)
{
	int code;

	s->shares.size = sizeof(s->shares);
	code = k2k_shares_get(reg, &s->shares);
	if (!code && s->shares.until_ns && !snapshot_shares_left_ns(&s->shares))
		s->shares_ended_at_ns = clock_wall_ns() - (s->shares.now_ns - s->shares.until_ns);
	return code;
}

static int take(struct k2k_registry *reg, struct snapshot *s)
{
	int code;

	s->registry.size = sizeof(s->registry);
	code = k2k_registry_info(reg, &s->registry);
	if (!code)
		code = take_shares(reg, s);
	s->audit.size = sizeof(s->audit);
	if (!code)
		code = k2k_audit_stats(reg, &s->audit);
	s->followers[0].size = sizeof(s->followers[0]);
	if (!code)
		code = k2k_audit_follower_list(reg, s->followers,
		                               sizeof(s->followers) / sizeof(s->followers[0]),
		                               &s->follower_count);
	if (!code)
		code = take_tenants(reg, s);
	if (!code)
		code = fetch(reg, USAGE, sizeof(*s->usage), (void **)&s->usage, &s->usage_count);
	if (!code)
		code = fetch(reg, BUDGETS, sizeof(*s->budgets), (void **)&s->budgets,
		             &s->budget_count);
	if (!code)
		code = fetch(reg, BROKERS, sizeof(*s->brokers), (void **)&s->brokers,
		             &s->broker_count);
	if (!code)
		code = fetch(reg, KERNELS, sizeof(*s->kernels), (void **)&s->kernels,
		             &s->kernel_count);
	return code;
}

int snapshot_take(struct k2k_registry *reg, struct snapshot *s)
{
	int code;

	*s = (struct snapshot){ .taken_ns = clock_monotonic_ns() };
	code = take(reg, s);
	if (code) {
		snapshot_free(s);
		return code;
	}
	qsort(s->usage, s->usage_count, sizeof(*s->usage), compare_usage);
	qsort(s->budgets, s->budget_count, sizeof(*s->budgets), compare_budgets);
	qsort(s->brokers, s->broker_count, sizeof(*s->brokers), compare_brokers);
	qsort(s->kernels, s->kernel_count, sizeof(*s->kernels), compare_kernels);
	join_usage(s);
	join_budgets(s);
	join_kernels(s);
	s->took_ns = clock_monotonic_ns() - s->taken_ns;
	return 0;
}

void snapshot_free(struct snapshot *s)
{
	free(s->tenants);
	free(s->usage);
	free(s->budgets);
	free(s->brokers);
	free(s->kernels);
	*s = (struct snapshot){ 0 };
}

/* ---- shares of rates ------------------------------------------------------------- */

bool snapshot_alone(const struct k2k_tenant_info *t)
{
	return t->rate_shared && !t->rate_holds;
}

uint64_t snapshot_rate(const struct k2k_tenant_info *t)
{
	return snapshot_alone(t) ? t->rate_alone : t->max_messages_per_sec;
}

uint64_t snapshot_shares_left_ns(const struct k2k_shares *shares)
{
	return shares->until_ns > shares->now_ns ? shares->until_ns - shares->now_ns : 0;
}

/* ---- names of states -------------------------------------------------------------- */

const char *snapshot_broker_state(uint32_t state)
{
	switch (state) {
	case K2K_BROKER_ACTIVE: return "active";
	case K2K_BROKER_STOPPED: return "stopped";
	case K2K_BROKER_DEAD: return "dead";
	default: return "unknown";
	}
}

const char *snapshot_follower_state(uint32_t state)
{
	switch (state) {
	case K2K_FOLLOWER_NONE: return "gone";
	case K2K_FOLLOWER_ACTIVE: return "active";
	case K2K_FOLLOWER_SILENT: return "silent";
	case K2K_FOLLOWER_FAILING: return "failing";
	case K2K_FOLLOWER_DEAD: return "dead";
	default: return "unknown";
	}
}
