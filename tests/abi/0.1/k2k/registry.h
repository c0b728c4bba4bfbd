/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Generated from <k2k/registry.h> by scripts/whole-header --bare: don't edit. */
#ifndef K2K_REGISTRY_H
#define K2K_REGISTRY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#if defined(__GNUC__)
#define K2K_API __attribute__((visibility("default")))
#else
#define K2K_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define K2K_VERSION_MAJOR 0
#define K2K_VERSION_MINOR 1
#define K2K_VERSION_PATCH 0

#define K2K_NAME_MAX 64
#define K2K_BROKERS_MAX 64
#define K2K_ADMIT_MAX (UINT64_C(1) << 32)
#define K2K_RATE_MAX (UINT64_C(1) << 33)
#define K2K_UNLIMITED UINT64_MAX
#define K2K_UNLIMITED_KERNELS UINT32_MAX
#define K2K_NEVER_NS UINT64_MAX

typedef uint64_t k2k_tenant_id;
#define K2K_TENANT_UNSPECIFIED ((k2k_tenant_id)0)

struct k2k_registry;

struct k2k_audit_tag {
	uint64_t org_id;
	uint64_t engagement_id;
};

struct k2k_budget {
	uint64_t engagement_id;
	uint64_t budget_ns;
};

struct k2k_quota {
	uint32_t size, flags;
	uint64_t max_messages_per_sec;
	uint64_t max_gpu_memory_bytes;
	uint32_t max_concurrent_kernels;
	uint32_t budget_count;
	const struct k2k_budget *budgets;
};

#define K2K_QUOTA_STANDARD \
	{ sizeof(struct k2k_quota), 0, UINT64_C(100000), UINT64_C(2147483648), 16, 0, NULL }
#define K2K_QUOTA_UNLIMITED \
	{ sizeof(struct k2k_quota), 0, K2K_UNLIMITED, K2K_UNLIMITED, K2K_UNLIMITED_KERNELS, 0, NULL }

enum {
	K2K_UPDATE_RATE       = 1 << 0,
	K2K_UPDATE_GPU_MEMORY = 1 << 1,
	K2K_UPDATE_KERNELS    = 1 << 2,
	K2K_UPDATE_BUDGETS    = 1 << 3,
};

struct k2k_verdict {
	uint32_t size, flags;
	int32_t code;
	uint32_t reserved;
	uint64_t used;
	uint64_t limit;
	uint64_t remaining;
	uint64_t retry_after_ns;
	uint64_t window;
};
#define K2K_VERDICT_INIT { sizeof(struct k2k_verdict), 0, 0, 0, 0, 0, 0, 0, 0 }

enum {
	K2K_LEASE_KERNEL     = 1 << 0,
	K2K_LEASE_GPU_MEMORY = 1 << 1,
};

struct k2k_lease {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t amount;
};
#define K2K_LEASE_INIT { sizeof(struct k2k_lease), 0, 0, 0, 0 }

enum {
	K2K_OK            = 0,

	K2K_EPERM         = -1,
	K2K_ENOREGISTRY   = -2,
	K2K_EIO           = -5,
	K2K_ENOMEM        = -12,
	K2K_EBUSY         = -16,
	K2K_EEXIST        = -17,
	K2K_EINVAL        = -22,
	K2K_EFULL         = -28,

	K2K_EUNSPECIFIED  = -5001,
	K2K_ENOTENANT     = -5002,
	K2K_ENOBUDGET     = -5003,
	K2K_ERATE         = -5004,
	K2K_EBUDGET       = -5005,
	K2K_EKERNELS      = -5006,
	K2K_EGPUMEM       = -5007,
	K2K_EUNBOOKED     = -5008,
	K2K_EGONE         = -5009,
	K2K_ENOTHELD      = -5010,
	K2K_ESTALE        = -5011,
	K2K_ENOBROKERSLOT = -5012,
	K2K_ELAYOUT       = -5013,
	K2K_EBOOT         = -5014,
	K2K_EOWNER        = -5015,
	K2K_ECORRUPT      = -5016,
	K2K_EFENCED       = -5017,
	K2K_EFORKED       = -5018,
	K2K_EROLE         = -5019,
	K2K_ENOAUDIT      = -5020,
};

K2K_API const char *k2k_strerror(int code);
K2K_API const char *k2k_errname(int code);

struct k2k_error_detail {
	int32_t code;
	int32_t system_errno;
	uint64_t expected, found;
	uint64_t pid;
	char object[32];
	char field[32];
	char text[256];
};
K2K_API const struct k2k_error_detail *k2k_error_detail(void);

enum k2k_role {
	K2K_ROLE_ADMIN    = 1,
	K2K_ROLE_BROKER   = 2,
	K2K_ROLE_OBSERVER = 3,
};

enum {
	K2K_OPEN_CALLER_FORK_HOOKS = 1 << 0,
	K2K_OPEN_OWNER_UID         = 1 << 1,
	K2K_OPEN_TIMEOUT           = 1 << 2,

	K2K_OPEN_FOLLOWER          = 1 << 3,
};

struct k2k_open_options {
	uint32_t size, flags;
	uint64_t timeout_ns;
	uint32_t owner_uid;
	uint32_t reserved;
	const char *actor;
};
#define K2K_OPEN_OPTIONS_INIT { sizeof(struct k2k_open_options), 0, 0, 0, 0, NULL }

enum {
	K2K_CREATE_GROUP = 1 << 0,
	K2K_CREATE_MODE  = 1 << 1,

	K2K_CREATE_REQUIRE_AUDIT = 1 << 2,
};

struct k2k_create_options {
	uint32_t size, flags;
	uint64_t max_tenants;
	uint64_t max_engagements;
	uint64_t max_leases;
	uint64_t max_budgets;
	uint32_t mode;
	uint32_t gid;
	uint64_t max_audit_events;
};
#define K2K_CREATE_OPTIONS_INIT { sizeof(struct k2k_create_options), 0, 0, 0, 0, 0, 0, 0, 0 }

struct k2k_registry_plan {
	uint32_t size, flags;
	uint64_t defs_bytes, live_bytes, total_bytes;
	uint64_t shm_free_bytes;
	uint64_t memory_free_bytes;
	uint64_t cgroup_free_bytes;
	uint64_t max_tenants, max_engagements, max_leases, max_budgets;
	uint64_t max_audit_events;
};

K2K_API int k2k_registry_plan(const struct k2k_create_options *options, struct k2k_registry_plan *plan);

K2K_API int k2k_registry_create(const char *name, const struct k2k_create_options *options,
                                struct k2k_registry **handle);

K2K_API int k2k_registry_open(const char *name, enum k2k_role role, const struct k2k_open_options *options,
                              struct k2k_registry **handle);

K2K_API int k2k_registry_close(struct k2k_registry **handle);

enum { K2K_DESTROY_FORCE = 1 << 0 };

K2K_API int k2k_registry_destroy(const char *name, uint32_t flags, const struct k2k_open_options *options);

struct k2k_table_info { uint64_t used, retired, capacity; };

enum {
	K2K_INFO_AUDIT_SINK    = 1 << 0,
	K2K_INFO_REQUIRE_AUDIT = 1 << 1,
};

struct k2k_registry_info {
	uint32_t size, flags;
	char name[K2K_NAME_MAX + 8];
	char uuid[40];
	uint32_t layout_version, brokers;
	uint64_t created_at_ns;
	uint64_t defs_bytes, live_bytes;
	uint64_t generation;
	uint64_t grace_token;
	uint64_t unknown_tenant_total, cross_tenant_total;
	uint32_t owner_uid, owner_gid, defs_mode, live_mode;
	struct k2k_table_info tenants, engagements, leases, budgets;
	uint64_t max_audit_events;
	uint64_t cut_gpu_ns;
};
K2K_API int k2k_registry_info(struct k2k_registry *reg, struct k2k_registry_info *info);

struct k2k_finding {
	uint32_t size, flags;
	char invariant[8];
	char object[32];
	char text[160];
};

K2K_API int k2k_registry_check(struct k2k_registry *reg, struct k2k_finding *findings, size_t capacity, size_t *count);

struct k2k_repair_info {
	uint32_t size, flags;
	uint64_t tenants, budgets, engagements, leases;
	uint64_t brokers;
	uint64_t files;

	uint64_t damaged;
	uint64_t cut_leases;
	uint64_t cut_gpu_ns;
	uint64_t unattributed_ns;
};

K2K_API int k2k_registry_repair(struct k2k_registry *reg, struct k2k_repair_info *info);

K2K_API int k2k_repair_list(struct k2k_registry *reg, struct k2k_finding *findings, size_t capacity, size_t *count);

struct k2k_rejected { uint64_t rate, budget, kernels, gpu_memory; };

enum {
	K2K_TENANT_DAMAGED = 1 << 0,
};

struct k2k_tenant_info {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t registered_at_ns;
	uint64_t max_messages_per_sec, max_gpu_memory_bytes;
	uint32_t max_concurrent_kernels, budget_count;
	uint64_t admitted_total;
	struct k2k_rejected rejected_total;
	uint64_t messages_this_second;
	uint64_t window;
	uint64_t unattributed_ns;
	uint64_t kernels, gpu_memory_bytes;
};

struct k2k_tenant_totals {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t admitted_total;
	struct k2k_rejected rejected_total;
	uint64_t gpu_ns_total;
	uint64_t unattributed_ns;
	uint64_t kernels, gpu_memory_bytes;
	uint32_t final;
	uint32_t reserved;
};

K2K_API int k2k_tenant_register(struct k2k_registry *reg, k2k_tenant_id id, const struct k2k_quota *quota);

K2K_API int k2k_tenant_update(struct k2k_registry *reg, k2k_tenant_id id, const struct k2k_quota *quota, uint32_t mask);

K2K_API int k2k_tenant_deregister(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_tenant_totals *totals);

K2K_API int k2k_tenant_deregister_many(struct k2k_registry *reg, const k2k_tenant_id *ids, size_t count,
                                       struct k2k_tenant_totals *totals, int *codes);

struct k2k_usage {
	uint64_t engagement_id, gpu_ns;
};
struct k2k_tenant_image {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t registered_at_ns;
	uint64_t admitted_total;
	struct k2k_rejected rejected_total;
	uint64_t unattributed_ns;
	const struct k2k_quota *quota;
	const struct k2k_usage *usage;
	uint32_t usage_count, reserved;
};

K2K_API int k2k_tenant_restore(struct k2k_registry *reg, const struct k2k_tenant_image *image);

K2K_API int k2k_generation_pass(struct k2k_registry *reg, uint64_t generation);

K2K_API int k2k_batch_begin(struct k2k_registry *reg);
K2K_API int k2k_batch_end(struct k2k_registry *reg);

K2K_API int k2k_tenant_get(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_tenant_info *info);
K2K_API int k2k_tenant_is_registered(struct k2k_registry *reg, k2k_tenant_id id, int *registered);
K2K_API int k2k_tenant_count(struct k2k_registry *reg, size_t *count);

K2K_API int k2k_tenant_ids(struct k2k_registry *reg, k2k_tenant_id *ids, size_t capacity, size_t *count);

struct k2k_budget_info {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t engagement_id;
	uint64_t budget_ns, used_ns;
};

K2K_API int k2k_budget_set(struct k2k_registry *reg, k2k_tenant_id id, uint64_t engagement_id, uint64_t budget_ns);
K2K_API int k2k_budget_unset(struct k2k_registry *reg, k2k_tenant_id id, uint64_t engagement_id);

K2K_API int k2k_budget_list(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_budget_info *list, size_t capacity,
                            size_t *count);

enum k2k_broker_state {
	K2K_BROKER_ACTIVE  = 1,
	K2K_BROKER_STOPPED = 2,
	K2K_BROKER_DEAD    = 3,
	K2K_BROKER_UNKNOWN = 4,
};

struct k2k_broker_info {
	uint32_t size, flags;
	uint32_t slot;
	uint32_t state;
	uint64_t incarnation;
	uint64_t pid;
	uint64_t pid_namespace;
	uint64_t attached_at_ns;
	char comm[16];
	uint64_t kernels, gpu_memory_bytes;
	uint64_t cross_tenant_total, unknown_tenant_total;
	uint64_t grace_behind;
};
K2K_API int k2k_broker_list(struct k2k_registry *reg, struct k2k_broker_info *list, size_t capacity, size_t *count);

#define K2K_LEASE_SLOT_NONE UINT32_MAX

struct k2k_lease_info {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint32_t slot;
	uint32_t reserved;
	uint64_t pid;
	uint64_t kernels, gpu_memory_bytes;
};

K2K_API int k2k_lease_list(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_lease_info *list, size_t capacity,
                           size_t *count);

struct k2k_usage_info {
	uint32_t size, flags;
	k2k_tenant_id id;
	uint64_t generation;
	uint64_t engagement_id;
	uint64_t gpu_ns;
};

K2K_API int k2k_usage_list(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_usage_info *list, size_t capacity,
                           size_t *count);

K2K_API int k2k_quota_check(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag, uint64_t n,
                            struct k2k_verdict *verdict);

K2K_API int k2k_message_record(struct k2k_registry *reg, k2k_tenant_id id);

K2K_API int k2k_message_admit(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag, uint64_t n,
                              struct k2k_verdict *verdict);

K2K_API int k2k_usage_track(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag, uint64_t gpu_ns);

K2K_API int k2k_usage_engagement(struct k2k_registry *reg, struct k2k_audit_tag tag, uint64_t *gpu_ns);
K2K_API int k2k_usage_engagement_for(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_audit_tag tag, uint64_t *gpu_ns);

K2K_API int k2k_kernel_acquire(struct k2k_registry *reg, k2k_tenant_id id, struct k2k_lease *lease,
                               struct k2k_verdict *verdict);

K2K_API int k2k_kernel_release(struct k2k_registry *reg, struct k2k_lease *lease);

K2K_API int k2k_kernel_release_id(struct k2k_registry *reg, k2k_tenant_id id);

K2K_API int k2k_gpu_memory_acquire(struct k2k_registry *reg, k2k_tenant_id id, uint64_t bytes, struct k2k_lease *lease,
                                   struct k2k_verdict *verdict);
K2K_API int k2k_gpu_memory_release(struct k2k_registry *reg, struct k2k_lease *lease);
K2K_API int k2k_gpu_memory_release_id(struct k2k_registry *reg, k2k_tenant_id id, uint64_t bytes);

enum k2k_audit_level { K2K_AUDIT_INFO = 1, K2K_AUDIT_WARNING = 2, K2K_AUDIT_SECURITY = 3 };
enum k2k_audit_type {
	K2K_AUDIT_SECURITY_VIOLATION      = 1,
	K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED = 2,
	K2K_AUDIT_AUTHORIZATION_CHECK     = 3,
	K2K_AUDIT_CONFIGURATION_CHANGE    = 4,
};

K2K_API const char *k2k_audit_level_name(enum k2k_audit_level level);
K2K_API const char *k2k_audit_type_name(enum k2k_audit_type type);

struct k2k_audit_field { const char *key, *value; };

struct k2k_audit_event {
	uint32_t size, flags;
	enum k2k_audit_level level;
	enum k2k_audit_type type;
	int32_t code;
	uint32_t field_count;
	uint64_t time_ns;
	uint64_t count;
	const char *actor;
	const char *target;
	const char *description;
	const struct k2k_audit_field *fields;
};

typedef void (*k2k_audit_sink)(void *context, const struct k2k_audit_event *event);

K2K_API int k2k_registry_set_audit_sink(struct k2k_registry *reg, k2k_audit_sink sink, void *context);

K2K_API int k2k_audit_cross_tenant(struct k2k_registry *reg, k2k_tenant_id from, k2k_tenant_id to, const char *source,
                                   const char *destination, struct k2k_audit_tag tag);

#define K2K_AUDIT_RINGS 129
#define K2K_AUDIT_RING_ADMIN 64
#define K2K_AUDIT_RING_SECURITY 65
#define K2K_AUDIT_KINDS 16
#define K2K_AUDIT_VALUES 10
#define K2K_AUDIT_NAME_MAX 67

enum k2k_audit_kind {
	K2K_AUDIT_KIND_CROSS_TENANT   = 1,
	K2K_AUDIT_KIND_RATE           = 2,
	K2K_AUDIT_KIND_BUDGET         = 3,
	K2K_AUDIT_KIND_KERNELS        = 4,
	K2K_AUDIT_KIND_GPU_MEMORY     = 5,
	K2K_AUDIT_KIND_UNKNOWN_TENANT = 6,

	K2K_AUDIT_KIND_REGISTER       = 7,
	K2K_AUDIT_KIND_UPDATE         = 8,
	K2K_AUDIT_KIND_DEREGISTER     = 9,
	K2K_AUDIT_KIND_BUDGET_CHANGE  = 10,
	K2K_AUDIT_KIND_BROKER_DEAD    = 11,
	K2K_AUDIT_KIND_CREATED        = 12,
	K2K_AUDIT_KIND_DESTROYED      = 13,
	K2K_AUDIT_KIND_REPAIR         = 14,
	K2K_AUDIT_KIND_FINAL_TOTALS   = 15,
};

K2K_API const char *k2k_audit_kind_name(uint32_t kind);
K2K_API enum k2k_audit_level k2k_audit_kind_level(uint32_t kind);
K2K_API enum k2k_audit_type k2k_audit_kind_type(uint32_t kind);

enum {
	K2K_AUDIT_OPEN            = 1 << 0,
	K2K_AUDIT_LOST            = 1 << 1,
	K2K_AUDIT_CUT_SOURCE      = 1 << 2,
	K2K_AUDIT_CUT_DESTINATION = 1 << 3,
	K2K_AUDIT_DAMAGED         = 1 << 4,
};

struct k2k_audit_record {
	uint32_t size, flags;
	uint32_t ring;
	uint32_t kind;
	enum k2k_audit_level level;
	enum k2k_audit_type type;
	int32_t code;
	uint32_t reserved;
	uint64_t sequence;
	uint64_t time_ns;
	uint64_t monotonic_ns;
	uint64_t count;
	k2k_tenant_id tenant, to;
	uint64_t generation;
	struct k2k_audit_tag tag;
	uint64_t used, limit;
	uint64_t pid;
	uint64_t incarnation;
	uint64_t values[K2K_AUDIT_VALUES];
	char actor[64];
	char source[72], destination[72];
	char comm[16];
};

struct k2k_audit_cursor {
	uint32_t size, flags;
	uint32_t wake, waiting;
	uint64_t next[K2K_AUDIT_RINGS];
	uint64_t damaged[3];
};
#define K2K_AUDIT_CURSOR_INIT { sizeof(struct k2k_audit_cursor), 0, 0, 0, { 0 }, { 0 } }

enum {
	K2K_AUDIT_OPEN_TOO = 1 << 0,

	K2K_AUDIT_DAMAGED_TOO = 1 << 1,
};

K2K_API int k2k_audit_read(struct k2k_registry *reg, struct k2k_audit_cursor *cursor, uint32_t flags,
                           struct k2k_audit_record *records, size_t capacity, size_t *count);

K2K_API int k2k_audit_wait(struct k2k_registry *reg, const struct k2k_audit_cursor *cursor, uint64_t timeout_ns);

enum {
	K2K_AUDIT_FAILING = 1 << 0,
};

K2K_API int k2k_audit_kept(struct k2k_registry *reg, const struct k2k_audit_cursor *cursor, uint32_t flags);

enum k2k_follower_state {
	K2K_FOLLOWER_NONE    = 1,
	K2K_FOLLOWER_ACTIVE  = 2,
	K2K_FOLLOWER_SILENT  = 3,
	K2K_FOLLOWER_FAILING = 4,
	K2K_FOLLOWER_DEAD    = 5,
};

struct k2k_audit_follower_info {
	uint32_t size, flags;
	uint32_t index;
	enum k2k_follower_state state;
	uint64_t pid;
	char comm[16];
	uint64_t attached_at_ns;
	uint64_t said_ago_ns;
	uint64_t failures, failing_since_ns;
	uint64_t behind;
	uint64_t overwritten;
	uint64_t lost;
	uint64_t damaged;

	uint64_t lost_from, lost_count, lost_at_ns;
	uint64_t overwritten_from, overwritten_count;
	uint32_t lost_ring, overwritten_ring;
};

K2K_API int k2k_audit_follower_list(struct k2k_registry *reg, struct k2k_audit_follower_info *followers, size_t capacity, size_t *count);

struct k2k_audit_stats {
	uint32_t size, flags;
	uint64_t written[K2K_AUDIT_KINDS], coalesced[K2K_AUDIT_KINDS], lost[K2K_AUDIT_KINDS];
	uint64_t capacity;
	uint64_t newest[K2K_AUDIT_RINGS];
};
K2K_API int k2k_audit_stats(struct k2k_registry *reg, struct k2k_audit_stats *stats);

K2K_API int k2k_is_cross_tenant(k2k_tenant_id from, k2k_tenant_id to);

K2K_API const char *k2k_version(void);

#ifdef __cplusplus
}
#endif

#endif
