// SPDX-License-Identifier: LGPL-2.1-or-later
// Generated from <k2k/registry.h> by lib/bindings/generate: don't edit.
places! {
    k2k_audit_tag { org_id, engagement_id }
    k2k_budget { engagement_id, budget_ns }
    k2k_quota { size, flags, max_messages_per_sec, max_gpu_memory_bytes, max_concurrent_kernels, budget_count, budgets }
    k2k_verdict { size, flags, code, reserved, used, limit, remaining, retry_after_ns, window }
    k2k_lease { size, flags, id, generation, amount }
    k2k_error_detail { code, system_errno, expected, found, pid, object, field, text }
    k2k_open_options { size, flags, timeout_ns, owner_uid, reserved, actor }
    k2k_create_options { size, flags, max_tenants, max_engagements, max_leases, max_budgets, mode, gid, max_audit_events }
    k2k_registry_plan { size, flags, defs_bytes, live_bytes, total_bytes, shm_free_bytes, memory_free_bytes, cgroup_free_bytes, max_tenants, max_engagements, max_leases, max_budgets, max_audit_events }
    k2k_table_info { used, retired, capacity }
    k2k_registry_info { size, flags, name, uuid, layout_version, brokers, created_at_ns, defs_bytes, live_bytes, generation, grace_token, unknown_tenant_total, cross_tenant_total, owner_uid, owner_gid, defs_mode, live_mode, tenants, engagements, leases, budgets, max_audit_events, cut_gpu_ns }
    k2k_finding { size, flags, invariant, object, text }
    k2k_repair_info { size, flags, tenants, budgets, engagements, leases, brokers, files, damaged, cut_leases, cut_gpu_ns, unattributed_ns }
    k2k_rejected { rate, budget, kernels, gpu_memory }
    k2k_tenant_info { size, flags, id, generation, registered_at_ns, max_messages_per_sec, max_gpu_memory_bytes, max_concurrent_kernels, budget_count, admitted_total, rejected_total, messages_this_second, window, unattributed_ns, kernels, gpu_memory_bytes }
    k2k_tenant_totals { size, flags, id, generation, admitted_total, rejected_total, gpu_ns_total, unattributed_ns, kernels, gpu_memory_bytes, r#final, reserved }
    k2k_usage { engagement_id, gpu_ns }
    k2k_tenant_image { size, flags, id, generation, registered_at_ns, admitted_total, rejected_total, unattributed_ns, quota, usage, usage_count, reserved }
    k2k_budget_info { size, flags, id, generation, engagement_id, budget_ns, used_ns }
    k2k_broker_info { size, flags, slot, state, incarnation, pid, pid_namespace, attached_at_ns, comm, kernels, gpu_memory_bytes, cross_tenant_total, unknown_tenant_total, grace_behind }
    k2k_lease_info { size, flags, id, generation, slot, reserved, pid, kernels, gpu_memory_bytes }
    k2k_usage_info { size, flags, id, generation, engagement_id, gpu_ns }
    k2k_audit_field { key, value }
    k2k_audit_event { size, flags, level, r#type, code, field_count, time_ns, count, actor, target, description, fields }
    k2k_audit_record { size, flags, ring, kind, level, r#type, code, reserved, sequence, time_ns, monotonic_ns, count, tenant, to, generation, tag, used, limit, pid, incarnation, values, actor, source, destination, comm }
    k2k_audit_cursor { size, flags, wake, waiting, next, damaged }
    k2k_audit_follower_info { size, flags, index, state, pid, comm, attached_at_ns, said_ago_ns, failures, failing_since_ns, behind, overwritten, lost, damaged, lost_from, lost_count, lost_at_ns, overwritten_from, overwritten_count, lost_ring, overwritten_ring }
    k2k_audit_stats { size, flags, written, coalesced, lost, capacity, newest, written_by_kind, coalesced_by_kind, lost_by_kind }
}
values! {
    K2K_VERSION_MAJOR
    K2K_VERSION_MINOR
    K2K_VERSION_PATCH
    K2K_NAME_MAX
    K2K_BROKERS_MAX
    K2K_ADMIT_MAX
    K2K_RATE_MAX
    K2K_UNLIMITED
    K2K_UNLIMITED_KERNELS
    K2K_NEVER_NS
    K2K_TENANT_UNSPECIFIED
    K2K_LEASE_SLOT_NONE
    K2K_AUDIT_RINGS
    K2K_AUDIT_RING_ADMIN
    K2K_AUDIT_RING_SECURITY
    K2K_AUDIT_KINDS
    K2K_AUDIT_KINDS_MAX
    K2K_AUDIT_VALUES
    K2K_AUDIT_NAME_MAX
    K2K_UPDATE_RATE
    K2K_UPDATE_GPU_MEMORY
    K2K_UPDATE_KERNELS
    K2K_UPDATE_BUDGETS
    K2K_LEASE_KERNEL
    K2K_LEASE_GPU_MEMORY
    K2K_OK
    K2K_EPERM
    K2K_ENOREGISTRY
    K2K_EIO
    K2K_ENOMEM
    K2K_EBUSY
    K2K_EEXIST
    K2K_EINVAL
    K2K_EFULL
    K2K_EUNSPECIFIED
    K2K_ENOTENANT
    K2K_ENOBUDGET
    K2K_ERATE
    K2K_EBUDGET
    K2K_EKERNELS
    K2K_EGPUMEM
    K2K_EUNBOOKED
    K2K_EGONE
    K2K_ENOTHELD
    K2K_ESTALE
    K2K_ENOBROKERSLOT
    K2K_ELAYOUT
    K2K_EBOOT
    K2K_EOWNER
    K2K_ECORRUPT
    K2K_EFENCED
    K2K_EFORKED
    K2K_EROLE
    K2K_ENOAUDIT
    K2K_ROLE_ADMIN
    K2K_ROLE_BROKER
    K2K_ROLE_OBSERVER
    K2K_OPEN_CALLER_FORK_HOOKS
    K2K_OPEN_OWNER_UID
    K2K_OPEN_TIMEOUT
    K2K_OPEN_FOLLOWER
    K2K_CREATE_GROUP
    K2K_CREATE_MODE
    K2K_CREATE_REQUIRE_AUDIT
    K2K_DESTROY_FORCE
    K2K_INFO_AUDIT_SINK
    K2K_INFO_REQUIRE_AUDIT
    K2K_TENANT_DAMAGED
    K2K_BROKER_ACTIVE
    K2K_BROKER_STOPPED
    K2K_BROKER_DEAD
    K2K_BROKER_UNKNOWN
    K2K_AUDIT_INFO
    K2K_AUDIT_WARNING
    K2K_AUDIT_SECURITY
    K2K_AUDIT_SECURITY_VIOLATION
    K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED
    K2K_AUDIT_AUTHORIZATION_CHECK
    K2K_AUDIT_CONFIGURATION_CHANGE
    K2K_AUDIT_KIND_CROSS_TENANT
    K2K_AUDIT_KIND_RATE
    K2K_AUDIT_KIND_BUDGET
    K2K_AUDIT_KIND_KERNELS
    K2K_AUDIT_KIND_GPU_MEMORY
    K2K_AUDIT_KIND_UNKNOWN_TENANT
    K2K_AUDIT_KIND_REGISTER
    K2K_AUDIT_KIND_UPDATE
    K2K_AUDIT_KIND_DEREGISTER
    K2K_AUDIT_KIND_BUDGET_CHANGE
    K2K_AUDIT_KIND_BROKER_DEAD
    K2K_AUDIT_KIND_CREATED
    K2K_AUDIT_KIND_DESTROYED
    K2K_AUDIT_KIND_REPAIR
    K2K_AUDIT_KIND_FINAL_TOTALS
    K2K_AUDIT_REGISTER_RATE
    K2K_AUDIT_REGISTER_GPU_MEMORY
    K2K_AUDIT_REGISTER_KERNELS
    K2K_AUDIT_REGISTER_BUDGETS
    K2K_AUDIT_REGISTER_MASK
    K2K_AUDIT_TOTALS_ADMITTED
    K2K_AUDIT_TOTALS_REJECTED_RATE
    K2K_AUDIT_TOTALS_REJECTED_BUDGET
    K2K_AUDIT_TOTALS_REJECTED_KERNELS
    K2K_AUDIT_TOTALS_REJECTED_MEMORY
    K2K_AUDIT_TOTALS_GPU_NS
    K2K_AUDIT_TOTALS_UNATTRIBUTED_NS
    K2K_AUDIT_TOTALS_KERNELS
    K2K_AUDIT_TOTALS_GPU_MEMORY
    K2K_AUDIT_DEAD_SLOT
    K2K_AUDIT_DEAD_KERNELS
    K2K_AUDIT_DEAD_GPU_MEMORY
    K2K_AUDIT_DEAD_LEASES
    K2K_AUDIT_DEAD_ATTACHED_AT_NS
    K2K_AUDIT_CREATED_MAX_TENANTS
    K2K_AUDIT_CREATED_MAX_ENGAGEMENTS
    K2K_AUDIT_CREATED_MAX_LEASES
    K2K_AUDIT_CREATED_MAX_BUDGETS
    K2K_AUDIT_CREATED_MAX_EVENTS
    K2K_AUDIT_CREATED_MODE
    K2K_AUDIT_DESTROYED_FLAGS
    K2K_AUDIT_DESTROYED_BROKERS
    K2K_AUDIT_REPAIR_TENANTS
    K2K_AUDIT_REPAIR_BUDGETS
    K2K_AUDIT_REPAIR_ENGAGEMENTS
    K2K_AUDIT_REPAIR_LEASES
    K2K_AUDIT_REPAIR_BROKERS
    K2K_AUDIT_REPAIR_DAMAGED
    K2K_AUDIT_REPAIR_CUT_LEASES
    K2K_AUDIT_REPAIR_CUT_GPU_NS
    K2K_AUDIT_REPAIR_UNATTRIBUTED_NS
    K2K_AUDIT_OPEN
    K2K_AUDIT_LOST
    K2K_AUDIT_CUT_SOURCE
    K2K_AUDIT_CUT_DESTINATION
    K2K_AUDIT_DAMAGED
    K2K_AUDIT_OPEN_TOO
    K2K_AUDIT_DAMAGED_TOO
    K2K_AUDIT_FAILING
    K2K_FOLLOWER_NONE
    K2K_FOLLOWER_ACTIVE
    K2K_FOLLOWER_SILENT
    K2K_FOLLOWER_FAILING
    K2K_FOLLOWER_DEAD
}
functions! {
    k2k_strerror
    k2k_errname
    k2k_error_detail
    k2k_registry_plan
    k2k_registry_create
    k2k_registry_open
    k2k_registry_close
    k2k_registry_destroy
    k2k_registry_info
    k2k_registry_check
    k2k_registry_repair
    k2k_repair_list
    k2k_tenant_register
    k2k_tenant_update
    k2k_tenant_deregister
    k2k_tenant_deregister_many
    k2k_tenant_restore
    k2k_generation_pass
    k2k_batch_begin
    k2k_batch_end
    k2k_tenant_get
    k2k_tenant_is_registered
    k2k_tenant_count
    k2k_tenant_ids
    k2k_budget_set
    k2k_budget_unset
    k2k_budget_list
    k2k_broker_list
    k2k_lease_list
    k2k_usage_list
    k2k_quota_check
    k2k_message_record
    k2k_message_admit
    k2k_usage_track
    k2k_usage_engagement
    k2k_usage_engagement_for
    k2k_kernel_acquire
    k2k_kernel_release
    k2k_kernel_release_id
    k2k_gpu_memory_acquire
    k2k_gpu_memory_release
    k2k_gpu_memory_release_id
    k2k_audit_level_name
    k2k_audit_type_name
    k2k_registry_set_audit_sink
    k2k_audit_cross_tenant
    k2k_audit_kind_name
    k2k_audit_kind_level
    k2k_audit_kind_type
    k2k_audit_read
    k2k_audit_wait
    k2k_audit_kept
    k2k_audit_follower_list
    k2k_audit_stats
    k2k_is_cross_tenant
    k2k_version
}
