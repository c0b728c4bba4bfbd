/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Generated from <k2k/registry.h> by lib/bindings/generate: don't edit. */
#include <k2k/registry.h>

#include <stdalign.h>
#include <stdio.h>

#define KIND(value) \
	_Generic((value), int32_t : "i32", uint32_t : "u32", uint64_t : "u64", default : "other")
#define STRUCT(type) printf("struct %s %zu %zu\n", #type, sizeof(struct type), alignof(struct type))
#define FIELD(type, name)                                                             \
	printf("field %s.%s %zu %zu %s\n", #type, #name, offsetof(struct type, name), \
	       sizeof(((struct type *)0)->name), KIND(((struct type *)0)->name))
#define CONSTANT(name)                                                       \
	((name) < 0 ? printf("constant %s %lld\n", #name, (long long)(name)) \
	            : printf("constant %s %llu\n", #name, (unsigned long long)(name)))

/* the prototypes as they were understood: the compiler refuses another */
const char *(*const as_k2k_strerror)(int) = k2k_strerror;
const char *(*const as_k2k_errname)(int) = k2k_errname;
const struct k2k_error_detail *(*const as_k2k_error_detail)(void) = k2k_error_detail;
int (*const as_k2k_registry_plan)(const struct k2k_create_options *,
                                  struct k2k_registry_plan *) = k2k_registry_plan;
int (*const as_k2k_registry_create)(const char *, const struct k2k_create_options *,
                                    struct k2k_registry **) = k2k_registry_create;
int (*const as_k2k_registry_open)(const char *, enum k2k_role, const struct k2k_open_options *,
                                  struct k2k_registry **) = k2k_registry_open;
int (*const as_k2k_registry_close)(struct k2k_registry **) = k2k_registry_close;
int (*const as_k2k_registry_destroy)(const char *, uint32_t,
                                     const struct k2k_open_options *) = k2k_registry_destroy;
int (*const as_k2k_registry_info)(struct k2k_registry *,
                                  struct k2k_registry_info *) = k2k_registry_info;
int (*const as_k2k_registry_check)(struct k2k_registry *, struct k2k_finding *, size_t,
                                   size_t *) = k2k_registry_check;
int (*const as_k2k_registry_repair)(struct k2k_registry *,
                                    struct k2k_repair_info *) = k2k_registry_repair;
int (*const as_k2k_repair_list)(struct k2k_registry *, struct k2k_finding *, size_t,
                                size_t *) = k2k_repair_list;
int (*const as_k2k_tenant_register)(struct k2k_registry *, k2k_tenant_id,
                                    const struct k2k_quota *) = k2k_tenant_register;
int (*const as_k2k_tenant_update)(struct k2k_registry *, k2k_tenant_id, const struct k2k_quota *,
                                  uint32_t) = k2k_tenant_update;
int (*const as_k2k_tenant_deregister)(struct k2k_registry *, k2k_tenant_id,
                                      struct k2k_tenant_totals *) = k2k_tenant_deregister;
int (*const as_k2k_tenant_deregister_many)(struct k2k_registry *, const k2k_tenant_id *, size_t,
                                           struct k2k_tenant_totals *,
                                           int *) = k2k_tenant_deregister_many;
int (*const as_k2k_tenant_restore)(struct k2k_registry *,
                                   const struct k2k_tenant_image *) = k2k_tenant_restore;
int (*const as_k2k_generation_pass)(struct k2k_registry *, uint64_t) = k2k_generation_pass;
int (*const as_k2k_batch_begin)(struct k2k_registry *) = k2k_batch_begin;
int (*const as_k2k_batch_end)(struct k2k_registry *) = k2k_batch_end;
int (*const as_k2k_tenant_get)(struct k2k_registry *, k2k_tenant_id,
                               struct k2k_tenant_info *) = k2k_tenant_get;
int (*const as_k2k_tenant_is_registered)(struct k2k_registry *, k2k_tenant_id,
                                         int *) = k2k_tenant_is_registered;
int (*const as_k2k_tenant_count)(struct k2k_registry *, size_t *) = k2k_tenant_count;
int (*const as_k2k_tenant_ids)(struct k2k_registry *, k2k_tenant_id *, size_t,
                               size_t *) = k2k_tenant_ids;
int (*const as_k2k_budget_set)(struct k2k_registry *, k2k_tenant_id, uint64_t,
                               uint64_t) = k2k_budget_set;
int (*const as_k2k_budget_unset)(struct k2k_registry *, k2k_tenant_id, uint64_t) = k2k_budget_unset;
int (*const as_k2k_budget_list)(struct k2k_registry *, k2k_tenant_id, struct k2k_budget_info *,
                                size_t, size_t *) = k2k_budget_list;
int (*const as_k2k_broker_list)(struct k2k_registry *, struct k2k_broker_info *, size_t,
                                size_t *) = k2k_broker_list;
int (*const as_k2k_lease_list)(struct k2k_registry *, k2k_tenant_id, struct k2k_lease_info *,
                               size_t, size_t *) = k2k_lease_list;
int (*const as_k2k_usage_list)(struct k2k_registry *, k2k_tenant_id, struct k2k_usage_info *,
                               size_t, size_t *) = k2k_usage_list;
int (*const as_k2k_quota_check)(struct k2k_registry *, k2k_tenant_id, struct k2k_audit_tag,
                                uint64_t, struct k2k_verdict *) = k2k_quota_check;
int (*const as_k2k_message_record)(struct k2k_registry *, k2k_tenant_id) = k2k_message_record;
int (*const as_k2k_message_admit)(struct k2k_registry *, k2k_tenant_id, struct k2k_audit_tag,
                                  uint64_t, struct k2k_verdict *) = k2k_message_admit;
int (*const as_k2k_usage_track)(struct k2k_registry *, k2k_tenant_id, struct k2k_audit_tag,
                                uint64_t) = k2k_usage_track;
int (*const as_k2k_usage_engagement)(struct k2k_registry *, struct k2k_audit_tag,
                                     uint64_t *) = k2k_usage_engagement;
int (*const as_k2k_usage_engagement_for)(struct k2k_registry *, k2k_tenant_id, struct k2k_audit_tag,
                                         uint64_t *) = k2k_usage_engagement_for;
int (*const as_k2k_kernel_acquire)(struct k2k_registry *, k2k_tenant_id, struct k2k_lease *,
                                   struct k2k_verdict *) = k2k_kernel_acquire;
int (*const as_k2k_kernel_release)(struct k2k_registry *, struct k2k_lease *) = k2k_kernel_release;
int (*const as_k2k_kernel_release_id)(struct k2k_registry *, k2k_tenant_id) = k2k_kernel_release_id;
int (*const as_k2k_gpu_memory_acquire)(struct k2k_registry *, k2k_tenant_id, uint64_t,
                                       struct k2k_lease *,
                                       struct k2k_verdict *) = k2k_gpu_memory_acquire;
int (*const as_k2k_gpu_memory_release)(struct k2k_registry *,
                                       struct k2k_lease *) = k2k_gpu_memory_release;
int (*const as_k2k_gpu_memory_release_id)(struct k2k_registry *, k2k_tenant_id,
                                          uint64_t) = k2k_gpu_memory_release_id;
const char *(*const as_k2k_audit_level_name)(enum k2k_audit_level) = k2k_audit_level_name;
const char *(*const as_k2k_audit_type_name)(enum k2k_audit_type) = k2k_audit_type_name;
int (*const as_k2k_registry_set_audit_sink)(struct k2k_registry *, k2k_audit_sink,
                                            void *) = k2k_registry_set_audit_sink;
int (*const as_k2k_audit_cross_tenant)(struct k2k_registry *, k2k_tenant_id, k2k_tenant_id,
                                       const char *, const char *,
                                       struct k2k_audit_tag) = k2k_audit_cross_tenant;
const char *(*const as_k2k_audit_kind_name)(uint32_t) = k2k_audit_kind_name;
enum k2k_audit_level (*const as_k2k_audit_kind_level)(uint32_t) = k2k_audit_kind_level;
enum k2k_audit_type (*const as_k2k_audit_kind_type)(uint32_t) = k2k_audit_kind_type;
int (*const as_k2k_audit_read)(struct k2k_registry *, struct k2k_audit_cursor *, uint32_t,
                               struct k2k_audit_record *, size_t, size_t *) = k2k_audit_read;
int (*const as_k2k_audit_wait)(struct k2k_registry *, const struct k2k_audit_cursor *,
                               uint64_t) = k2k_audit_wait;
int (*const as_k2k_audit_kept)(struct k2k_registry *, const struct k2k_audit_cursor *,
                               uint32_t) = k2k_audit_kept;
int (*const as_k2k_audit_follower_list)(struct k2k_registry *, struct k2k_audit_follower_info *,
                                        size_t, size_t *) = k2k_audit_follower_list;
int (*const as_k2k_audit_stats)(struct k2k_registry *, struct k2k_audit_stats *) = k2k_audit_stats;
int (*const as_k2k_is_cross_tenant)(k2k_tenant_id, k2k_tenant_id) = k2k_is_cross_tenant;
const char *(*const as_k2k_version)(void) = k2k_version;

int main(void)
{
	STRUCT(k2k_audit_tag);
	FIELD(k2k_audit_tag, org_id);
	FIELD(k2k_audit_tag, engagement_id);
	STRUCT(k2k_budget);
	FIELD(k2k_budget, engagement_id);
	FIELD(k2k_budget, budget_ns);
	STRUCT(k2k_quota);
	FIELD(k2k_quota, size);
	FIELD(k2k_quota, flags);
	FIELD(k2k_quota, max_messages_per_sec);
	FIELD(k2k_quota, max_gpu_memory_bytes);
	FIELD(k2k_quota, max_concurrent_kernels);
	FIELD(k2k_quota, budget_count);
	FIELD(k2k_quota, budgets);
	STRUCT(k2k_verdict);
	FIELD(k2k_verdict, size);
	FIELD(k2k_verdict, flags);
	FIELD(k2k_verdict, code);
	FIELD(k2k_verdict, reserved);
	FIELD(k2k_verdict, used);
	FIELD(k2k_verdict, limit);
	FIELD(k2k_verdict, remaining);
	FIELD(k2k_verdict, retry_after_ns);
	FIELD(k2k_verdict, window);
	STRUCT(k2k_lease);
	FIELD(k2k_lease, size);
	FIELD(k2k_lease, flags);
	FIELD(k2k_lease, id);
	FIELD(k2k_lease, generation);
	FIELD(k2k_lease, amount);
	STRUCT(k2k_error_detail);
	FIELD(k2k_error_detail, code);
	FIELD(k2k_error_detail, system_errno);
	FIELD(k2k_error_detail, expected);
	FIELD(k2k_error_detail, found);
	FIELD(k2k_error_detail, pid);
	FIELD(k2k_error_detail, object);
	FIELD(k2k_error_detail, field);
	FIELD(k2k_error_detail, text);
	STRUCT(k2k_open_options);
	FIELD(k2k_open_options, size);
	FIELD(k2k_open_options, flags);
	FIELD(k2k_open_options, timeout_ns);
	FIELD(k2k_open_options, owner_uid);
	FIELD(k2k_open_options, reserved);
	FIELD(k2k_open_options, actor);
	STRUCT(k2k_create_options);
	FIELD(k2k_create_options, size);
	FIELD(k2k_create_options, flags);
	FIELD(k2k_create_options, max_tenants);
	FIELD(k2k_create_options, max_engagements);
	FIELD(k2k_create_options, max_leases);
	FIELD(k2k_create_options, max_budgets);
	FIELD(k2k_create_options, mode);
	FIELD(k2k_create_options, gid);
	FIELD(k2k_create_options, max_audit_events);
	STRUCT(k2k_registry_plan);
	FIELD(k2k_registry_plan, size);
	FIELD(k2k_registry_plan, flags);
	FIELD(k2k_registry_plan, defs_bytes);
	FIELD(k2k_registry_plan, live_bytes);
	FIELD(k2k_registry_plan, total_bytes);
	FIELD(k2k_registry_plan, shm_free_bytes);
	FIELD(k2k_registry_plan, memory_free_bytes);
	FIELD(k2k_registry_plan, cgroup_free_bytes);
	FIELD(k2k_registry_plan, max_tenants);
	FIELD(k2k_registry_plan, max_engagements);
	FIELD(k2k_registry_plan, max_leases);
	FIELD(k2k_registry_plan, max_budgets);
	FIELD(k2k_registry_plan, max_audit_events);
	STRUCT(k2k_table_info);
	FIELD(k2k_table_info, used);
	FIELD(k2k_table_info, retired);
	FIELD(k2k_table_info, capacity);
	STRUCT(k2k_registry_info);
	FIELD(k2k_registry_info, size);
	FIELD(k2k_registry_info, flags);
	FIELD(k2k_registry_info, name);
	FIELD(k2k_registry_info, uuid);
	FIELD(k2k_registry_info, layout_version);
	FIELD(k2k_registry_info, brokers);
	FIELD(k2k_registry_info, created_at_ns);
	FIELD(k2k_registry_info, defs_bytes);
	FIELD(k2k_registry_info, live_bytes);
	FIELD(k2k_registry_info, generation);
	FIELD(k2k_registry_info, grace_token);
	FIELD(k2k_registry_info, unknown_tenant_total);
	FIELD(k2k_registry_info, cross_tenant_total);
	FIELD(k2k_registry_info, owner_uid);
	FIELD(k2k_registry_info, owner_gid);
	FIELD(k2k_registry_info, defs_mode);
	FIELD(k2k_registry_info, live_mode);
	FIELD(k2k_registry_info, tenants);
	FIELD(k2k_registry_info, engagements);
	FIELD(k2k_registry_info, leases);
	FIELD(k2k_registry_info, budgets);
	FIELD(k2k_registry_info, max_audit_events);
	FIELD(k2k_registry_info, cut_gpu_ns);
	STRUCT(k2k_finding);
	FIELD(k2k_finding, size);
	FIELD(k2k_finding, flags);
	FIELD(k2k_finding, invariant);
	FIELD(k2k_finding, object);
	FIELD(k2k_finding, text);
	STRUCT(k2k_repair_info);
	FIELD(k2k_repair_info, size);
	FIELD(k2k_repair_info, flags);
	FIELD(k2k_repair_info, tenants);
	FIELD(k2k_repair_info, budgets);
	FIELD(k2k_repair_info, engagements);
	FIELD(k2k_repair_info, leases);
	FIELD(k2k_repair_info, brokers);
	FIELD(k2k_repair_info, files);
	FIELD(k2k_repair_info, damaged);
	FIELD(k2k_repair_info, cut_leases);
	FIELD(k2k_repair_info, cut_gpu_ns);
	FIELD(k2k_repair_info, unattributed_ns);
	STRUCT(k2k_rejected);
	FIELD(k2k_rejected, rate);
	FIELD(k2k_rejected, budget);
	FIELD(k2k_rejected, kernels);
	FIELD(k2k_rejected, gpu_memory);
	STRUCT(k2k_tenant_info);
	FIELD(k2k_tenant_info, size);
	FIELD(k2k_tenant_info, flags);
	FIELD(k2k_tenant_info, id);
	FIELD(k2k_tenant_info, generation);
	FIELD(k2k_tenant_info, registered_at_ns);
	FIELD(k2k_tenant_info, max_messages_per_sec);
	FIELD(k2k_tenant_info, max_gpu_memory_bytes);
	FIELD(k2k_tenant_info, max_concurrent_kernels);
	FIELD(k2k_tenant_info, budget_count);
	FIELD(k2k_tenant_info, admitted_total);
	FIELD(k2k_tenant_info, rejected_total);
	FIELD(k2k_tenant_info, messages_this_second);
	FIELD(k2k_tenant_info, window);
	FIELD(k2k_tenant_info, unattributed_ns);
	FIELD(k2k_tenant_info, kernels);
	FIELD(k2k_tenant_info, gpu_memory_bytes);
	STRUCT(k2k_tenant_totals);
	FIELD(k2k_tenant_totals, size);
	FIELD(k2k_tenant_totals, flags);
	FIELD(k2k_tenant_totals, id);
	FIELD(k2k_tenant_totals, generation);
	FIELD(k2k_tenant_totals, admitted_total);
	FIELD(k2k_tenant_totals, rejected_total);
	FIELD(k2k_tenant_totals, gpu_ns_total);
	FIELD(k2k_tenant_totals, unattributed_ns);
	FIELD(k2k_tenant_totals, kernels);
	FIELD(k2k_tenant_totals, gpu_memory_bytes);
	FIELD(k2k_tenant_totals, final);
	FIELD(k2k_tenant_totals, reserved);
	STRUCT(k2k_usage);
	FIELD(k2k_usage, engagement_id);
	FIELD(k2k_usage, gpu_ns);
	STRUCT(k2k_tenant_image);
	FIELD(k2k_tenant_image, size);
	FIELD(k2k_tenant_image, flags);
	FIELD(k2k_tenant_image, id);
	FIELD(k2k_tenant_image, generation);
	FIELD(k2k_tenant_image, registered_at_ns);
	FIELD(k2k_tenant_image, admitted_total);
	FIELD(k2k_tenant_image, rejected_total);
	FIELD(k2k_tenant_image, unattributed_ns);
	FIELD(k2k_tenant_image, quota);
	FIELD(k2k_tenant_image, usage);
	FIELD(k2k_tenant_image, usage_count);
	FIELD(k2k_tenant_image, reserved);
	STRUCT(k2k_budget_info);
	FIELD(k2k_budget_info, size);
	FIELD(k2k_budget_info, flags);
	FIELD(k2k_budget_info, id);
	FIELD(k2k_budget_info, generation);
	FIELD(k2k_budget_info, engagement_id);
	FIELD(k2k_budget_info, budget_ns);
	FIELD(k2k_budget_info, used_ns);
	STRUCT(k2k_broker_info);
	FIELD(k2k_broker_info, size);
	FIELD(k2k_broker_info, flags);
	FIELD(k2k_broker_info, slot);
	FIELD(k2k_broker_info, state);
	FIELD(k2k_broker_info, incarnation);
	FIELD(k2k_broker_info, pid);
	FIELD(k2k_broker_info, pid_namespace);
	FIELD(k2k_broker_info, attached_at_ns);
	FIELD(k2k_broker_info, comm);
	FIELD(k2k_broker_info, kernels);
	FIELD(k2k_broker_info, gpu_memory_bytes);
	FIELD(k2k_broker_info, cross_tenant_total);
	FIELD(k2k_broker_info, unknown_tenant_total);
	FIELD(k2k_broker_info, grace_behind);
	STRUCT(k2k_lease_info);
	FIELD(k2k_lease_info, size);
	FIELD(k2k_lease_info, flags);
	FIELD(k2k_lease_info, id);
	FIELD(k2k_lease_info, generation);
	FIELD(k2k_lease_info, slot);
	FIELD(k2k_lease_info, reserved);
	FIELD(k2k_lease_info, pid);
	FIELD(k2k_lease_info, kernels);
	FIELD(k2k_lease_info, gpu_memory_bytes);
	STRUCT(k2k_usage_info);
	FIELD(k2k_usage_info, size);
	FIELD(k2k_usage_info, flags);
	FIELD(k2k_usage_info, id);
	FIELD(k2k_usage_info, generation);
	FIELD(k2k_usage_info, engagement_id);
	FIELD(k2k_usage_info, gpu_ns);
	STRUCT(k2k_audit_field);
	FIELD(k2k_audit_field, key);
	FIELD(k2k_audit_field, value);
	STRUCT(k2k_audit_event);
	FIELD(k2k_audit_event, size);
	FIELD(k2k_audit_event, flags);
	FIELD(k2k_audit_event, level);
	FIELD(k2k_audit_event, type);
	FIELD(k2k_audit_event, code);
	FIELD(k2k_audit_event, field_count);
	FIELD(k2k_audit_event, time_ns);
	FIELD(k2k_audit_event, count);
	FIELD(k2k_audit_event, actor);
	FIELD(k2k_audit_event, target);
	FIELD(k2k_audit_event, description);
	FIELD(k2k_audit_event, fields);
	STRUCT(k2k_audit_record);
	FIELD(k2k_audit_record, size);
	FIELD(k2k_audit_record, flags);
	FIELD(k2k_audit_record, ring);
	FIELD(k2k_audit_record, kind);
	FIELD(k2k_audit_record, level);
	FIELD(k2k_audit_record, type);
	FIELD(k2k_audit_record, code);
	FIELD(k2k_audit_record, reserved);
	FIELD(k2k_audit_record, sequence);
	FIELD(k2k_audit_record, time_ns);
	FIELD(k2k_audit_record, monotonic_ns);
	FIELD(k2k_audit_record, count);
	FIELD(k2k_audit_record, tenant);
	FIELD(k2k_audit_record, to);
	FIELD(k2k_audit_record, generation);
	FIELD(k2k_audit_record, tag);
	FIELD(k2k_audit_record, used);
	FIELD(k2k_audit_record, limit);
	FIELD(k2k_audit_record, pid);
	FIELD(k2k_audit_record, incarnation);
	FIELD(k2k_audit_record, values);
	FIELD(k2k_audit_record, actor);
	FIELD(k2k_audit_record, source);
	FIELD(k2k_audit_record, destination);
	FIELD(k2k_audit_record, comm);
	STRUCT(k2k_audit_cursor);
	FIELD(k2k_audit_cursor, size);
	FIELD(k2k_audit_cursor, flags);
	FIELD(k2k_audit_cursor, wake);
	FIELD(k2k_audit_cursor, waiting);
	FIELD(k2k_audit_cursor, next);
	FIELD(k2k_audit_cursor, damaged);
	STRUCT(k2k_audit_follower_info);
	FIELD(k2k_audit_follower_info, size);
	FIELD(k2k_audit_follower_info, flags);
	FIELD(k2k_audit_follower_info, index);
	FIELD(k2k_audit_follower_info, state);
	FIELD(k2k_audit_follower_info, pid);
	FIELD(k2k_audit_follower_info, comm);
	FIELD(k2k_audit_follower_info, attached_at_ns);
	FIELD(k2k_audit_follower_info, said_ago_ns);
	FIELD(k2k_audit_follower_info, failures);
	FIELD(k2k_audit_follower_info, failing_since_ns);
	FIELD(k2k_audit_follower_info, behind);
	FIELD(k2k_audit_follower_info, overwritten);
	FIELD(k2k_audit_follower_info, lost);
	FIELD(k2k_audit_follower_info, damaged);
	FIELD(k2k_audit_follower_info, lost_from);
	FIELD(k2k_audit_follower_info, lost_count);
	FIELD(k2k_audit_follower_info, lost_at_ns);
	FIELD(k2k_audit_follower_info, overwritten_from);
	FIELD(k2k_audit_follower_info, overwritten_count);
	FIELD(k2k_audit_follower_info, lost_ring);
	FIELD(k2k_audit_follower_info, overwritten_ring);
	STRUCT(k2k_audit_stats);
	FIELD(k2k_audit_stats, size);
	FIELD(k2k_audit_stats, flags);
	FIELD(k2k_audit_stats, written);
	FIELD(k2k_audit_stats, coalesced);
	FIELD(k2k_audit_stats, lost);
	FIELD(k2k_audit_stats, capacity);
	FIELD(k2k_audit_stats, newest);
	CONSTANT(K2K_VERSION_MAJOR);
	CONSTANT(K2K_VERSION_MINOR);
	CONSTANT(K2K_VERSION_PATCH);
	CONSTANT(K2K_NAME_MAX);
	CONSTANT(K2K_BROKERS_MAX);
	CONSTANT(K2K_ADMIT_MAX);
	CONSTANT(K2K_RATE_MAX);
	CONSTANT(K2K_UNLIMITED);
	CONSTANT(K2K_UNLIMITED_KERNELS);
	CONSTANT(K2K_NEVER_NS);
	CONSTANT(K2K_TENANT_UNSPECIFIED);
	CONSTANT(K2K_LEASE_SLOT_NONE);
	CONSTANT(K2K_AUDIT_RINGS);
	CONSTANT(K2K_AUDIT_RING_ADMIN);
	CONSTANT(K2K_AUDIT_RING_SECURITY);
	CONSTANT(K2K_AUDIT_KINDS);
	CONSTANT(K2K_AUDIT_VALUES);
	CONSTANT(K2K_AUDIT_NAME_MAX);
	CONSTANT(K2K_UPDATE_RATE);
	CONSTANT(K2K_UPDATE_GPU_MEMORY);
	CONSTANT(K2K_UPDATE_KERNELS);
	CONSTANT(K2K_UPDATE_BUDGETS);
	CONSTANT(K2K_LEASE_KERNEL);
	CONSTANT(K2K_LEASE_GPU_MEMORY);
	CONSTANT(K2K_OK);
	CONSTANT(K2K_EPERM);
	CONSTANT(K2K_ENOREGISTRY);
	CONSTANT(K2K_EIO);
	CONSTANT(K2K_ENOMEM);
	CONSTANT(K2K_EBUSY);
	CONSTANT(K2K_EEXIST);
	CONSTANT(K2K_EINVAL);
	CONSTANT(K2K_EFULL);
	CONSTANT(K2K_EUNSPECIFIED);
	CONSTANT(K2K_ENOTENANT);
	CONSTANT(K2K_ENOBUDGET);
	CONSTANT(K2K_ERATE);
	CONSTANT(K2K_EBUDGET);
	CONSTANT(K2K_EKERNELS);
	CONSTANT(K2K_EGPUMEM);
	CONSTANT(K2K_EUNBOOKED);
	CONSTANT(K2K_EGONE);
	CONSTANT(K2K_ENOTHELD);
	CONSTANT(K2K_ESTALE);
	CONSTANT(K2K_ENOBROKERSLOT);
	CONSTANT(K2K_ELAYOUT);
	CONSTANT(K2K_EBOOT);
	CONSTANT(K2K_EOWNER);
	CONSTANT(K2K_ECORRUPT);
	CONSTANT(K2K_EFENCED);
	CONSTANT(K2K_EFORKED);
	CONSTANT(K2K_EROLE);
	CONSTANT(K2K_ENOAUDIT);
	CONSTANT(K2K_ROLE_ADMIN);
	CONSTANT(K2K_ROLE_BROKER);
	CONSTANT(K2K_ROLE_OBSERVER);
	CONSTANT(K2K_OPEN_CALLER_FORK_HOOKS);
	CONSTANT(K2K_OPEN_OWNER_UID);
	CONSTANT(K2K_OPEN_TIMEOUT);
	CONSTANT(K2K_OPEN_FOLLOWER);
	CONSTANT(K2K_CREATE_GROUP);
	CONSTANT(K2K_CREATE_MODE);
	CONSTANT(K2K_CREATE_REQUIRE_AUDIT);
	CONSTANT(K2K_DESTROY_FORCE);
	CONSTANT(K2K_INFO_AUDIT_SINK);
	CONSTANT(K2K_INFO_REQUIRE_AUDIT);
	CONSTANT(K2K_TENANT_DAMAGED);
	CONSTANT(K2K_BROKER_ACTIVE);
	CONSTANT(K2K_BROKER_STOPPED);
	CONSTANT(K2K_BROKER_DEAD);
	CONSTANT(K2K_BROKER_UNKNOWN);
	CONSTANT(K2K_AUDIT_INFO);
	CONSTANT(K2K_AUDIT_WARNING);
	CONSTANT(K2K_AUDIT_SECURITY);
	CONSTANT(K2K_AUDIT_SECURITY_VIOLATION);
	CONSTANT(K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED);
	CONSTANT(K2K_AUDIT_AUTHORIZATION_CHECK);
	CONSTANT(K2K_AUDIT_CONFIGURATION_CHANGE);
	CONSTANT(K2K_AUDIT_KIND_CROSS_TENANT);
	CONSTANT(K2K_AUDIT_KIND_RATE);
	CONSTANT(K2K_AUDIT_KIND_BUDGET);
	CONSTANT(K2K_AUDIT_KIND_KERNELS);
	CONSTANT(K2K_AUDIT_KIND_GPU_MEMORY);
	CONSTANT(K2K_AUDIT_KIND_UNKNOWN_TENANT);
	CONSTANT(K2K_AUDIT_KIND_REGISTER);
	CONSTANT(K2K_AUDIT_KIND_UPDATE);
	CONSTANT(K2K_AUDIT_KIND_DEREGISTER);
	CONSTANT(K2K_AUDIT_KIND_BUDGET_CHANGE);
	CONSTANT(K2K_AUDIT_KIND_BROKER_DEAD);
	CONSTANT(K2K_AUDIT_KIND_CREATED);
	CONSTANT(K2K_AUDIT_KIND_DESTROYED);
	CONSTANT(K2K_AUDIT_KIND_REPAIR);
	CONSTANT(K2K_AUDIT_KIND_FINAL_TOTALS);
	CONSTANT(K2K_AUDIT_OPEN);
	CONSTANT(K2K_AUDIT_LOST);
	CONSTANT(K2K_AUDIT_CUT_SOURCE);
	CONSTANT(K2K_AUDIT_CUT_DESTINATION);
	CONSTANT(K2K_AUDIT_DAMAGED);
	CONSTANT(K2K_AUDIT_OPEN_TOO);
	CONSTANT(K2K_AUDIT_DAMAGED_TOO);
	CONSTANT(K2K_AUDIT_FAILING);
	CONSTANT(K2K_FOLLOWER_NONE);
	CONSTANT(K2K_FOLLOWER_ACTIVE);
	CONSTANT(K2K_FOLLOWER_SILENT);
	CONSTANT(K2K_FOLLOWER_FAILING);
	CONSTANT(K2K_FOLLOWER_DEAD);
	return 0;
}
