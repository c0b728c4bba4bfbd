// SPDX-License-Identifier: LGPL-2.1-or-later
// Generated from <k2k/registry.h> by lib/bindings/generate: don't edit.
use std::os::raw::{c_char, c_int, c_void};

pub type k2k_tenant_id = u64;

pub const K2K_VERSION_MAJOR: u32 = 0;
pub const K2K_VERSION_MINOR: u32 = 2;
pub const K2K_VERSION_PATCH: u32 = 0;
pub const K2K_NAME_MAX: u32 = 64;
pub const K2K_BROKERS_MAX: u32 = 64;
pub const K2K_BROKERS_MOST: u32 = 1024;
pub const K2K_ADMIT_MAX: u64 = 4294967296;
pub const K2K_RATE_MAX: u64 = 8589934592;
pub const K2K_UNLIMITED: u64 = 18446744073709551615;
pub const K2K_UNLIMITED_KERNELS: u32 = 4294967295;
pub const K2K_NEVER_NS: u64 = 18446744073709551615;
pub const K2K_TENANT_UNSPECIFIED: u64 = 0;
pub const K2K_TENANT_NAME_MAX: u32 = 31;
pub const K2K_ALERTS_MAX: u32 = 4;
pub const K2K_BUDGET_PERIODS_KEPT: u32 = 12;
pub const K2K_LEASE_SLOT_NONE: u32 = 4294967295;
pub const K2K_KERNEL_NAME_MAX: u32 = 63;
pub const K2K_AUDIT_RINGS: u32 = 129;
pub const K2K_AUDIT_RING_ADMIN: u32 = 64;
pub const K2K_AUDIT_RING_SECURITY: u32 = 65;
pub const K2K_AUDIT_FURTHER_RINGS_MAX: u32 = 1920;
pub const K2K_AUDIT_KINDS: u32 = 16;
pub const K2K_AUDIT_KINDS_MAX: u32 = 64;
pub const K2K_AUDIT_VALUES: u32 = 10;
pub const K2K_AUDIT_NAME_MAX: u32 = 67;
pub const K2K_AUDIT_REASON_MAX: u32 = 63;
pub const K2K_RENEWAL_KEEP: u32 = 0;
pub const K2K_RENEWAL_NEVER: u32 = 1;
pub const K2K_RENEWAL_HOUR: u32 = 2;
pub const K2K_RENEWAL_DAY: u32 = 3;
pub const K2K_RENEWAL_WEEK: u32 = 4;
pub const K2K_RENEWAL_MONTH: u32 = 5;
pub const K2K_RATE_WINDOW: u32 = 0;
pub const K2K_RATE_BUCKET: u32 = 1;
pub const K2K_PERIOD_SECOND: u32 = 0;
pub const K2K_PERIOD_MINUTE: u32 = 1;
pub const K2K_PERIOD_HOUR: u32 = 2;
pub const K2K_PERIOD_DAY: u32 = 3;
pub const K2K_UPDATE_RATE: u32 = 1;
pub const K2K_UPDATE_GPU_MEMORY: u32 = 2;
pub const K2K_UPDATE_KERNELS: u32 = 4;
pub const K2K_UPDATE_BUDGETS: u32 = 8;
pub const K2K_UPDATE_NAME: u32 = 16;
pub const K2K_UPDATE_SHADOW: u32 = 32;
pub const K2K_UPDATE_ALERTS: u32 = 64;
pub const K2K_UPDATE_SUSPENDED: u32 = 128;
pub const K2K_LEASE_KERNEL: u32 = 1;
pub const K2K_LEASE_GPU_MEMORY: u32 = 2;
pub const K2K_OK: i32 = 0;
pub const K2K_EPERM: i32 = -1;
pub const K2K_ENOREGISTRY: i32 = -2;
pub const K2K_EIO: i32 = -5;
pub const K2K_ENOMEM: i32 = -12;
pub const K2K_EBUSY: i32 = -16;
pub const K2K_EEXIST: i32 = -17;
pub const K2K_EINVAL: i32 = -22;
pub const K2K_EFULL: i32 = -28;
pub const K2K_EUNSPECIFIED: i32 = -5001;
pub const K2K_ENOTENANT: i32 = -5002;
pub const K2K_ENOBUDGET: i32 = -5003;
pub const K2K_ERATE: i32 = -5004;
pub const K2K_EBUDGET: i32 = -5005;
pub const K2K_EKERNELS: i32 = -5006;
pub const K2K_EGPUMEM: i32 = -5007;
pub const K2K_EUNBOOKED: i32 = -5008;
pub const K2K_EGONE: i32 = -5009;
pub const K2K_ENOTHELD: i32 = -5010;
pub const K2K_ESTALE: i32 = -5011;
pub const K2K_ENOBROKERSLOT: i32 = -5012;
pub const K2K_ELAYOUT: i32 = -5013;
pub const K2K_EBOOT: i32 = -5014;
pub const K2K_EOWNER: i32 = -5015;
pub const K2K_ECORRUPT: i32 = -5016;
pub const K2K_EFENCED: i32 = -5017;
pub const K2K_EFORKED: i32 = -5018;
pub const K2K_EROLE: i32 = -5019;
pub const K2K_ENOAUDIT: i32 = -5020;
pub const K2K_ESUSPENDED: i32 = -5021;
pub const K2K_ENOKERNEL: i32 = -5022;
pub const K2K_ECROSSTENANT: i32 = -5023;
pub const K2K_ROLE_ADMIN: u32 = 1;
pub const K2K_ROLE_BROKER: u32 = 2;
pub const K2K_ROLE_OBSERVER: u32 = 3;
pub const K2K_OPEN_CALLER_FORK_HOOKS: u32 = 1;
pub const K2K_OPEN_OWNER_UID: u32 = 2;
pub const K2K_OPEN_TIMEOUT: u32 = 4;
pub const K2K_OPEN_FOLLOWER: u32 = 8;
pub const K2K_OPEN_CLOCK: u32 = 16;
pub const K2K_CREATE_GROUP: u32 = 1;
pub const K2K_CREATE_MODE: u32 = 2;
pub const K2K_CREATE_REQUIRE_AUDIT: u32 = 4;
pub const K2K_CREATE_SIMULATED: u32 = 8;
pub const K2K_CREATE_STRICT: u32 = 16;
pub const K2K_DESTROY_FORCE: u32 = 1;
pub const K2K_INFO_AUDIT_SINK: u32 = 1;
pub const K2K_INFO_REQUIRE_AUDIT: u32 = 2;
pub const K2K_INFO_SIMULATED: u32 = 4;
pub const K2K_INFO_STRICT: u32 = 8;
pub const K2K_TENANT_DAMAGED: u32 = 1;
pub const K2K_BUDGET_USE_PENDING: u32 = 1;
pub const K2K_BROKER_ACTIVE: u32 = 1;
pub const K2K_BROKER_STOPPED: u32 = 2;
pub const K2K_BROKER_DEAD: u32 = 3;
pub const K2K_BROKER_UNKNOWN: u32 = 4;
pub const K2K_KERNEL_STALE: u32 = 1;
pub const K2K_ROUTE_SOURCE: u32 = 1;
pub const K2K_ROUTE_DESTINATION: u32 = 2;
pub const K2K_ROUTE_DESTINATION_STALE: u32 = 4;
pub const K2K_AUDIT_INFO: u32 = 1;
pub const K2K_AUDIT_WARNING: u32 = 2;
pub const K2K_AUDIT_SECURITY: u32 = 3;
pub const K2K_AUDIT_SECURITY_VIOLATION: u32 = 1;
pub const K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED: u32 = 2;
pub const K2K_AUDIT_AUTHORIZATION_CHECK: u32 = 3;
pub const K2K_AUDIT_CONFIGURATION_CHANGE: u32 = 4;
pub const K2K_AUDIT_KIND_CROSS_TENANT: u32 = 1;
pub const K2K_AUDIT_KIND_RATE: u32 = 2;
pub const K2K_AUDIT_KIND_BUDGET: u32 = 3;
pub const K2K_AUDIT_KIND_KERNELS: u32 = 4;
pub const K2K_AUDIT_KIND_GPU_MEMORY: u32 = 5;
pub const K2K_AUDIT_KIND_UNKNOWN_TENANT: u32 = 6;
pub const K2K_AUDIT_KIND_REGISTER: u32 = 7;
pub const K2K_AUDIT_KIND_UPDATE: u32 = 8;
pub const K2K_AUDIT_KIND_DEREGISTER: u32 = 9;
pub const K2K_AUDIT_KIND_BUDGET_CHANGE: u32 = 10;
pub const K2K_AUDIT_KIND_BROKER_DEAD: u32 = 11;
pub const K2K_AUDIT_KIND_CREATED: u32 = 12;
pub const K2K_AUDIT_KIND_DESTROYED: u32 = 13;
pub const K2K_AUDIT_KIND_REPAIR: u32 = 14;
pub const K2K_AUDIT_KIND_FINAL_TOTALS: u32 = 15;
pub const K2K_AUDIT_KIND_CORRECTION: u32 = 16;
pub const K2K_AUDIT_KIND_BUDGET_RENEWED: u32 = 17;
pub const K2K_AUDIT_KIND_SUSPENDED: u32 = 18;
pub const K2K_AUDIT_KIND_ALERT: u32 = 19;
pub const K2K_AUDIT_REGISTER_RATE: u32 = 0;
pub const K2K_AUDIT_REGISTER_GPU_MEMORY: u32 = 1;
pub const K2K_AUDIT_REGISTER_KERNELS: u32 = 2;
pub const K2K_AUDIT_REGISTER_BUDGETS: u32 = 3;
pub const K2K_AUDIT_REGISTER_MASK: u32 = 4;
pub const K2K_AUDIT_REGISTER_BURST: u32 = 5;
pub const K2K_AUDIT_REGISTER_MODE: u32 = 7;
pub const K2K_AUDIT_REGISTER_ALERTS: u32 = 8;
pub const K2K_ALERT_RATE: u32 = 1;
pub const K2K_ALERT_BUDGET: u32 = 2;
pub const K2K_ALERT_KERNELS: u32 = 3;
pub const K2K_ALERT_GPU_MEMORY: u32 = 4;
pub const K2K_AUDIT_ALERT_PERCENT: u32 = 0;
pub const K2K_AUDIT_ALERT_LIMIT: u32 = 1;
pub const K2K_AUDIT_ALERT_SEQUENCE: u32 = 2;
pub const K2K_AUDIT_MODE_SHADOW: u32 = 1;
pub const K2K_AUDIT_MODE_SUSPENDED: u32 = 2;
pub const K2K_AUDIT_MODE_BUCKET: u32 = 4;
pub const K2K_AUDIT_MODE_SHARED: u32 = 8;
pub const K2K_AUDIT_MODE_PERIOD: u32 = 48;
pub const K2K_AUDIT_MODE_PERIOD_SHIFT: u32 = 4;
pub const K2K_AUDIT_BUDGET_RENEWAL: u32 = 0;
pub const K2K_AUDIT_TOTALS_ADMITTED: u32 = 0;
pub const K2K_AUDIT_TOTALS_REJECTED_RATE: u32 = 1;
pub const K2K_AUDIT_TOTALS_REJECTED_BUDGET: u32 = 2;
pub const K2K_AUDIT_TOTALS_REJECTED_KERNELS: u32 = 3;
pub const K2K_AUDIT_TOTALS_REJECTED_MEMORY: u32 = 4;
pub const K2K_AUDIT_TOTALS_GPU_NS: u32 = 5;
pub const K2K_AUDIT_TOTALS_UNATTRIBUTED_NS: u32 = 6;
pub const K2K_AUDIT_TOTALS_KERNELS: u32 = 7;
pub const K2K_AUDIT_TOTALS_GPU_MEMORY: u32 = 8;
pub const K2K_AUDIT_DEAD_SLOT: u32 = 0;
pub const K2K_AUDIT_DEAD_KERNELS: u32 = 1;
pub const K2K_AUDIT_DEAD_GPU_MEMORY: u32 = 2;
pub const K2K_AUDIT_DEAD_LEASES: u32 = 3;
pub const K2K_AUDIT_DEAD_ATTACHED_AT_NS: u32 = 4;
pub const K2K_AUDIT_CREATED_MAX_TENANTS: u32 = 0;
pub const K2K_AUDIT_CREATED_MAX_ENGAGEMENTS: u32 = 1;
pub const K2K_AUDIT_CREATED_MAX_LEASES: u32 = 2;
pub const K2K_AUDIT_CREATED_MAX_BUDGETS: u32 = 3;
pub const K2K_AUDIT_CREATED_MAX_EVENTS: u32 = 4;
pub const K2K_AUDIT_CREATED_MODE: u32 = 5;
pub const K2K_AUDIT_CREATED_MAX_BROKERS: u32 = 6;
pub const K2K_AUDIT_DESTROYED_FLAGS: u32 = 0;
pub const K2K_AUDIT_DESTROYED_BROKERS: u32 = 1;
pub const K2K_AUDIT_REPAIR_TENANTS: u32 = 0;
pub const K2K_AUDIT_REPAIR_BUDGETS: u32 = 1;
pub const K2K_AUDIT_REPAIR_ENGAGEMENTS: u32 = 2;
pub const K2K_AUDIT_REPAIR_LEASES: u32 = 3;
pub const K2K_AUDIT_REPAIR_BROKERS: u32 = 4;
pub const K2K_AUDIT_REPAIR_DAMAGED: u32 = 5;
pub const K2K_AUDIT_REPAIR_CUT_LEASES: u32 = 6;
pub const K2K_AUDIT_REPAIR_CUT_GPU_NS: u32 = 7;
pub const K2K_AUDIT_REPAIR_UNATTRIBUTED_NS: u32 = 8;
pub const K2K_AUDIT_CORRECTION_NS: u32 = 0;
pub const K2K_AUDIT_CORRECTION_SUM_NS: u32 = 1;
pub const K2K_AUDIT_CORRECTION_REQUEST: u32 = 2;
pub const K2K_AUDIT_RENEWED_PERIOD: u32 = 0;
pub const K2K_AUDIT_RENEWED_BEGAN_AT_NS: u32 = 1;
pub const K2K_AUDIT_RENEWED_CLOSED_BEGAN_AT_NS: u32 = 2;
pub const K2K_AUDIT_RENEWED_CLOSED_USED_NS: u32 = 3;
pub const K2K_AUDIT_OPEN: u32 = 1;
pub const K2K_AUDIT_LOST: u32 = 2;
pub const K2K_AUDIT_CUT_SOURCE: u32 = 4;
pub const K2K_AUDIT_CUT_DESTINATION: u32 = 8;
pub const K2K_AUDIT_DAMAGED: u32 = 16;
pub const K2K_AUDIT_SHADOW: u32 = 32;
pub const K2K_AUDIT_OPEN_TOO: u32 = 1;
pub const K2K_AUDIT_DAMAGED_TOO: u32 = 2;
pub const K2K_AUDIT_FAILING: u32 = 1;
pub const K2K_FOLLOWER_NONE: u32 = 1;
pub const K2K_FOLLOWER_ACTIVE: u32 = 2;
pub const K2K_FOLLOWER_SILENT: u32 = 3;
pub const K2K_FOLLOWER_FAILING: u32 = 4;
pub const K2K_FOLLOWER_DEAD: u32 = 5;

/// A handle, opaque.
#[repr(C)]
pub struct k2k_registry {
    _private: [u8; 0],
}

pub type k2k_audit_sink = Option<unsafe extern "C" fn(context: *mut c_void, event: *const k2k_audit_event)>;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_audit_tag {
    pub org_id: u64,
    pub engagement_id: u64,
}

impl Default for k2k_audit_tag {
    /// All zero.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_budget {
    pub engagement_id: u64,
    pub budget_ns: u64,
}

impl Default for k2k_budget {
    /// All zero.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_budget_terms {
    pub renewal: u32,
    pub reserved: u32,
}

impl Default for k2k_budget_terms {
    /// All zero.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_quota {
    pub size: u32,
    pub flags: u32,
    pub max_messages_per_sec: u64,
    pub max_gpu_memory_bytes: u64,
    pub max_concurrent_kernels: u32,
    pub budget_count: u32,
    pub budgets: *const k2k_budget,
    pub burst: u64,
    pub rate_policy: u32,
    pub rate_period: u32,
    pub name: *const c_char,
    pub shadow: u32,
    pub alerts: [u8; 4],
    pub budget_terms: *const k2k_budget_terms,
    pub rate_alone: u64,
    pub rate_shared: u32,
    pub reserved: u32,
}

impl Default for k2k_quota {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_verdict {
    pub size: u32,
    pub flags: u32,
    pub code: i32,
    pub shadow_code: i32,
    pub used: u64,
    pub limit: u64,
    pub remaining: u64,
    pub retry_after_ns: u64,
    pub window: u64,
}

impl Default for k2k_verdict {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_lease {
    pub size: u32,
    pub flags: u32,
    pub id: k2k_tenant_id,
    pub generation: u64,
    pub amount: u64,
}

impl Default for k2k_lease {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_error_detail {
    pub code: i32,
    pub system_errno: i32,
    pub expected: u64,
    pub found: u64,
    pub pid: u64,
    pub object: [c_char; 32],
    pub field: [c_char; 32],
    pub text: [c_char; 256],
}

impl Default for k2k_error_detail {
    /// All zero.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_simulated_time {
    pub monotonic_ns: u64,
    pub wall_ns: u64,
}

impl Default for k2k_simulated_time {
    /// All zero.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_open_options {
    pub size: u32,
    pub flags: u32,
    pub timeout_ns: u64,
    pub owner_uid: u32,
    pub reserved: u32,
    pub actor: *const c_char,
    pub clock: *const k2k_simulated_time,
}

impl Default for k2k_open_options {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_create_options {
    pub size: u32,
    pub flags: u32,
    pub max_tenants: u64,
    pub max_engagements: u64,
    pub max_leases: u64,
    pub max_budgets: u64,
    pub mode: u32,
    pub gid: u32,
    pub max_audit_events: u64,
    pub max_brokers: u64,
    pub max_kernels: u64,
}

impl Default for k2k_create_options {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_registry_plan {
    pub size: u32,
    pub flags: u32,
    pub defs_bytes: u64,
    pub live_bytes: u64,
    pub total_bytes: u64,
    pub shm_free_bytes: u64,
    pub memory_free_bytes: u64,
    pub cgroup_free_bytes: u64,
    pub max_tenants: u64,
    pub max_engagements: u64,
    pub max_leases: u64,
    pub max_budgets: u64,
    pub max_audit_events: u64,
    pub max_brokers: u64,
    pub max_kernels: u64,
}

impl Default for k2k_registry_plan {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_table_info {
    pub used: u64,
    pub retired: u64,
    pub capacity: u64,
}

impl Default for k2k_table_info {
    /// All zero.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_registry_info {
    pub size: u32,
    pub flags: u32,
    pub name: [c_char; 72],
    pub uuid: [c_char; 40],
    pub layout_version: u32,
    pub brokers: u32,
    pub created_at_ns: u64,
    pub defs_bytes: u64,
    pub live_bytes: u64,
    pub generation: u64,
    pub grace_token: u64,
    pub unknown_tenant_total: u64,
    pub cross_tenant_total: u64,
    pub owner_uid: u32,
    pub owner_gid: u32,
    pub defs_mode: u32,
    pub live_mode: u32,
    pub tenants: k2k_table_info,
    pub engagements: k2k_table_info,
    pub leases: k2k_table_info,
    pub budgets: k2k_table_info,
    pub max_audit_events: u64,
    pub cut_gpu_ns: u64,
    pub max_brokers: u64,
    pub max_kernels: u64,
}

impl Default for k2k_registry_info {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_finding {
    pub size: u32,
    pub flags: u32,
    pub invariant: [c_char; 8],
    pub object: [c_char; 32],
    pub text: [c_char; 160],
}

impl Default for k2k_finding {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_repair_info {
    pub size: u32,
    pub flags: u32,
    pub tenants: u64,
    pub budgets: u64,
    pub engagements: u64,
    pub leases: u64,
    pub brokers: u64,
    pub files: u64,
    pub damaged: u64,
    pub cut_leases: u64,
    pub cut_gpu_ns: u64,
    pub unattributed_ns: u64,
}

impl Default for k2k_repair_info {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_rejected {
    pub rate: u64,
    pub budget: u64,
    pub kernels: u64,
    pub gpu_memory: u64,
}

impl Default for k2k_rejected {
    /// All zero.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_tenant_info {
    pub size: u32,
    pub flags: u32,
    pub id: k2k_tenant_id,
    pub generation: u64,
    pub registered_at_ns: u64,
    pub max_messages_per_sec: u64,
    pub max_gpu_memory_bytes: u64,
    pub max_concurrent_kernels: u32,
    pub budget_count: u32,
    pub admitted_total: u64,
    pub rejected_total: k2k_rejected,
    pub messages_this_second: u64,
    pub window: u64,
    pub unattributed_ns: u64,
    pub kernels: u64,
    pub gpu_memory_bytes: u64,
    pub burst: u64,
    pub rate_policy: u32,
    pub rate_period: u32,
    pub shadow: u32,
    pub suspended: u32,
    pub name: [c_char; 32],
    pub alerts: [u8; 4],
    pub alerted_rate: u8,
    pub alerted_kernels: u8,
    pub alerted_gpu_memory: u8,
    pub reserved: u8,
    pub shadow_rejected_total: k2k_rejected,
    pub suspended_rejected_total: u64,
    pub rate_alone: u64,
    pub rate_shared: u32,
    pub rate_holds: u32,
}

impl Default for k2k_tenant_info {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_tenant_totals {
    pub size: u32,
    pub flags: u32,
    pub id: k2k_tenant_id,
    pub generation: u64,
    pub admitted_total: u64,
    pub rejected_total: k2k_rejected,
    pub gpu_ns_total: u64,
    pub unattributed_ns: u64,
    pub kernels: u64,
    pub gpu_memory_bytes: u64,
    pub r#final: u32,
    pub reserved: u32,
    pub shadow_rejected_total: k2k_rejected,
    pub suspended_rejected_total: u64,
    pub corrected_ns: i64,
}

impl Default for k2k_tenant_totals {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_budget_use {
    pub size: u32,
    pub flags: u32,
    pub period: u64,
    pub began_at_ns: u64,
    pub next_began_at_ns: u64,
    pub used_ns: u64,
}

impl Default for k2k_budget_use {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_budget_image {
    pub engagement_id: u64,
    pub period: u64,
    pub began_at_ns: u64,
    pub used_ns: u64,
    pub corrected_ns: i64,
    pub closed: *const k2k_budget_use,
    pub closed_count: u32,
    pub reserved: u32,
}

impl Default for k2k_budget_image {
    /// All zero.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_usage {
    pub engagement_id: u64,
    pub gpu_ns: u64,
}

impl Default for k2k_usage {
    /// All zero.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_tenant_image {
    pub size: u32,
    pub flags: u32,
    pub id: k2k_tenant_id,
    pub generation: u64,
    pub registered_at_ns: u64,
    pub admitted_total: u64,
    pub rejected_total: k2k_rejected,
    pub unattributed_ns: u64,
    pub quota: *const k2k_quota,
    pub usage: *const k2k_usage,
    pub usage_count: u32,
    pub reserved: u32,
    pub shadow_rejected_total: k2k_rejected,
    pub suspended_rejected_total: u64,
    pub suspended: u64,
    pub corrected_ns: *const i64,
    pub periods: *const k2k_budget_image,
    pub period_count: u32,
    pub reserved2: u32,
}

impl Default for k2k_tenant_image {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_shares {
    pub size: u32,
    pub flags: u32,
    pub epoch: u64,
    pub until_ns: u64,
    pub now_ns: u64,
}

impl Default for k2k_shares {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_budget_info {
    pub size: u32,
    pub flags: u32,
    pub id: k2k_tenant_id,
    pub generation: u64,
    pub engagement_id: u64,
    pub budget_ns: u64,
    pub used_ns: u64,
    pub renewal: u32,
    pub alerted: u32,
    pub period: u64,
    pub began_at_ns: u64,
    pub renews_at_ns: u64,
    pub corrected_ns: i64,
    pub reserved_ns: u64,
}

impl Default for k2k_budget_info {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_broker_info {
    pub size: u32,
    pub flags: u32,
    pub slot: u32,
    pub state: u32,
    pub incarnation: u64,
    pub pid: u64,
    pub pid_namespace: u64,
    pub attached_at_ns: u64,
    pub comm: [c_char; 16],
    pub kernels: u64,
    pub gpu_memory_bytes: u64,
    pub cross_tenant_total: u64,
    pub unknown_tenant_total: u64,
    pub grace_behind: u64,
}

impl Default for k2k_broker_info {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_lease_info {
    pub size: u32,
    pub flags: u32,
    pub id: k2k_tenant_id,
    pub generation: u64,
    pub slot: u32,
    pub reserved: u32,
    pub pid: u64,
    pub kernels: u64,
    pub gpu_memory_bytes: u64,
    pub engagement_id: u64,
    pub reserved_ns: u64,
}

impl Default for k2k_lease_info {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_usage_info {
    pub size: u32,
    pub flags: u32,
    pub id: k2k_tenant_id,
    pub generation: u64,
    pub engagement_id: u64,
    pub gpu_ns: u64,
    pub corrected_ns: i64,
    pub reserved_ns: u64,
}

impl Default for k2k_usage_info {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_reservation {
    pub size: u32,
    pub flags: u32,
    pub id: k2k_tenant_id,
    pub tag: k2k_audit_tag,
    pub generation: u64,
    pub number: u64,
    pub reserved_ns: u64,
    pub over_ns: u64,
    pub place: u32,
    pub reserved: u32,
}

impl Default for k2k_reservation {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_kernel_address {
    pub words: [u64; 2],
}

impl Default for k2k_kernel_address {
    /// All zero.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_kernel_info {
    pub size: u32,
    pub flags: u32,
    pub name: [c_char; 64],
    pub id: k2k_tenant_id,
    pub generation: u64,
    pub tag: k2k_audit_tag,
    pub address: k2k_kernel_address,
    pub incarnation: u64,
    pub pid: u64,
    pub broker: u32,
    pub reserved: u32,
}

impl Default for k2k_kernel_info {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_route {
    pub size: u32,
    pub flags: u32,
    pub tenant: k2k_tenant_id,
    pub generation: u64,
    pub tag: k2k_audit_tag,
    pub to_tenant: k2k_tenant_id,
    pub address: k2k_kernel_address,
    pub incarnation: u64,
    pub broker: u32,
    pub reserved: u32,
}

impl Default for k2k_route {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_audit_field {
    pub key: *const c_char,
    pub value: *const c_char,
}

impl Default for k2k_audit_field {
    /// All zero.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_audit_event {
    pub size: u32,
    pub flags: u32,
    pub level: u32,
    pub r#type: u32,
    pub code: i32,
    pub field_count: u32,
    pub time_ns: u64,
    pub count: u64,
    pub actor: *const c_char,
    pub target: *const c_char,
    pub description: *const c_char,
    pub fields: *const k2k_audit_field,
}

impl Default for k2k_audit_event {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_audit_record {
    pub size: u32,
    pub flags: u32,
    pub ring: u32,
    pub kind: u32,
    pub level: u32,
    pub r#type: u32,
    pub code: i32,
    pub reserved: u32,
    pub sequence: u64,
    pub time_ns: u64,
    pub monotonic_ns: u64,
    pub count: u64,
    pub tenant: k2k_tenant_id,
    pub to: k2k_tenant_id,
    pub generation: u64,
    pub tag: k2k_audit_tag,
    pub used: u64,
    pub limit: u64,
    pub pid: u64,
    pub incarnation: u64,
    pub values: [u64; 10],
    pub actor: [c_char; 64],
    pub source: [c_char; 72],
    pub destination: [c_char; 72],
    pub comm: [c_char; 16],
}

impl Default for k2k_audit_record {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_audit_position {
    pub next: u64,
    pub damaged: u64,
}

impl Default for k2k_audit_position {
    /// All zero.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        unsafe { std::mem::zeroed() }
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_audit_cursor {
    pub size: u32,
    pub flags: u32,
    pub wake: u32,
    pub waiting: u32,
    pub next: [u64; 129],
    pub damaged: [u64; 3],
    pub further: *mut k2k_audit_position,
    pub further_count: u64,
}

impl Default for k2k_audit_cursor {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_audit_follower_info {
    pub size: u32,
    pub flags: u32,
    pub index: u32,
    pub state: u32,
    pub pid: u64,
    pub comm: [c_char; 16],
    pub attached_at_ns: u64,
    pub said_ago_ns: u64,
    pub failures: u64,
    pub failing_since_ns: u64,
    pub behind: u64,
    pub overwritten: u64,
    pub lost: u64,
    pub damaged: u64,
    pub lost_from: u64,
    pub lost_count: u64,
    pub lost_at_ns: u64,
    pub overwritten_from: u64,
    pub overwritten_count: u64,
    pub lost_ring: u32,
    pub overwritten_ring: u32,
}

impl Default for k2k_audit_follower_info {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct k2k_audit_stats {
    pub size: u32,
    pub flags: u32,
    pub written: [u64; 16],
    pub coalesced: [u64; 16],
    pub lost: [u64; 16],
    pub capacity: u64,
    pub newest: [u64; 129],
    pub written_by_kind: [u64; 64],
    pub coalesced_by_kind: [u64; 64],
    pub lost_by_kind: [u64; 64],
    pub further: *mut u64,
    pub further_count: u64,
}

impl Default for k2k_audit_stats {
    /// All zero, but for `size`.
    fn default() -> Self {
        // SAFETY: integers, and pointers that may be null
        let mut new: Self = unsafe { std::mem::zeroed() };
        new.size = std::mem::size_of::<Self>() as u32;
        new
    }
}

extern "C" {
    pub fn k2k_strerror(code: c_int) -> *const c_char;
    pub fn k2k_errname(code: c_int) -> *const c_char;
    pub fn k2k_error_detail() -> *const k2k_error_detail;
    pub fn k2k_registry_plan(options: *const k2k_create_options, plan: *mut k2k_registry_plan) -> c_int;
    pub fn k2k_registry_create(name: *const c_char, options: *const k2k_create_options, handle: *mut *mut k2k_registry) -> c_int;
    pub fn k2k_registry_open(name: *const c_char, role: u32, options: *const k2k_open_options, handle: *mut *mut k2k_registry) -> c_int;
    pub fn k2k_registry_close(handle: *mut *mut k2k_registry) -> c_int;
    pub fn k2k_registry_destroy(name: *const c_char, flags: u32, options: *const k2k_open_options) -> c_int;
    pub fn k2k_registry_info(reg: *mut k2k_registry, info: *mut k2k_registry_info) -> c_int;
    pub fn k2k_registry_check(reg: *mut k2k_registry, findings: *mut k2k_finding, capacity: usize, count: *mut usize) -> c_int;
    pub fn k2k_registry_repair(reg: *mut k2k_registry, info: *mut k2k_repair_info) -> c_int;
    pub fn k2k_repair_list(reg: *mut k2k_registry, findings: *mut k2k_finding, capacity: usize, count: *mut usize) -> c_int;
    pub fn k2k_tenant_register(reg: *mut k2k_registry, id: k2k_tenant_id, quota: *const k2k_quota) -> c_int;
    pub fn k2k_tenant_update(reg: *mut k2k_registry, id: k2k_tenant_id, quota: *const k2k_quota, mask: u32) -> c_int;
    pub fn k2k_tenant_suspend(reg: *mut k2k_registry, id: k2k_tenant_id) -> c_int;
    pub fn k2k_tenant_resume(reg: *mut k2k_registry, id: k2k_tenant_id) -> c_int;
    pub fn k2k_tenant_drain(reg: *mut k2k_registry, id: k2k_tenant_id, timeout_ns: u64) -> c_int;
    pub fn k2k_tenant_deregister(reg: *mut k2k_registry, id: k2k_tenant_id, totals: *mut k2k_tenant_totals) -> c_int;
    pub fn k2k_tenant_deregister_many(reg: *mut k2k_registry, ids: *const k2k_tenant_id, count: usize, totals: *mut k2k_tenant_totals, codes: *mut c_int) -> c_int;
    pub fn k2k_tenant_restore(reg: *mut k2k_registry, image: *const k2k_tenant_image) -> c_int;
    pub fn k2k_generation_pass(reg: *mut k2k_registry, generation: u64) -> c_int;
    pub fn k2k_batch_begin(reg: *mut k2k_registry) -> c_int;
    pub fn k2k_batch_end(reg: *mut k2k_registry) -> c_int;
    pub fn k2k_shares_hold(reg: *mut k2k_registry, epoch: u64, until_ns: u64) -> c_int;
    pub fn k2k_shares_get(reg: *mut k2k_registry, shares: *mut k2k_shares) -> c_int;
    pub fn k2k_tenant_get(reg: *mut k2k_registry, id: k2k_tenant_id, info: *mut k2k_tenant_info) -> c_int;
    pub fn k2k_tenant_is_registered(reg: *mut k2k_registry, id: k2k_tenant_id, registered: *mut c_int) -> c_int;
    pub fn k2k_tenant_count(reg: *mut k2k_registry, count: *mut usize) -> c_int;
    pub fn k2k_tenant_find_name(reg: *mut k2k_registry, name: *const c_char, id: *mut k2k_tenant_id) -> c_int;
    pub fn k2k_tenant_ids(reg: *mut k2k_registry, ids: *mut k2k_tenant_id, capacity: usize, count: *mut usize) -> c_int;
    pub fn k2k_budget_set(reg: *mut k2k_registry, id: k2k_tenant_id, engagement_id: u64, budget_ns: u64) -> c_int;
    pub fn k2k_budget_unset(reg: *mut k2k_registry, id: k2k_tenant_id, engagement_id: u64) -> c_int;
    pub fn k2k_budget_set_renewing(reg: *mut k2k_registry, id: k2k_tenant_id, engagement_id: u64, budget_ns: u64, renewal: u32) -> c_int;
    pub fn k2k_budget_renew(reg: *mut k2k_registry, id: k2k_tenant_id, tag: k2k_audit_tag) -> c_int;
    pub fn k2k_budget_history(reg: *mut k2k_registry, id: k2k_tenant_id, tag: k2k_audit_tag, list: *mut k2k_budget_use, capacity: usize, count: *mut usize) -> c_int;
    pub fn k2k_budget_list(reg: *mut k2k_registry, id: k2k_tenant_id, list: *mut k2k_budget_info, capacity: usize, count: *mut usize) -> c_int;
    pub fn k2k_broker_list(reg: *mut k2k_registry, list: *mut k2k_broker_info, capacity: usize, count: *mut usize) -> c_int;
    pub fn k2k_lease_list(reg: *mut k2k_registry, id: k2k_tenant_id, list: *mut k2k_lease_info, capacity: usize, count: *mut usize) -> c_int;
    pub fn k2k_usage_list(reg: *mut k2k_registry, id: k2k_tenant_id, list: *mut k2k_usage_info, capacity: usize, count: *mut usize) -> c_int;
    pub fn k2k_usage_correct(reg: *mut k2k_registry, id: k2k_tenant_id, tag: k2k_audit_tag, ns: i64, reason: *const c_char, request_id: u64) -> c_int;
    pub fn k2k_quota_check(reg: *mut k2k_registry, id: k2k_tenant_id, tag: k2k_audit_tag, n: u64, verdict: *mut k2k_verdict) -> c_int;
    pub fn k2k_message_record(reg: *mut k2k_registry, id: k2k_tenant_id) -> c_int;
    pub fn k2k_message_admit(reg: *mut k2k_registry, id: k2k_tenant_id, tag: k2k_audit_tag, n: u64, verdict: *mut k2k_verdict) -> c_int;
    pub fn k2k_usage_track(reg: *mut k2k_registry, id: k2k_tenant_id, tag: k2k_audit_tag, gpu_ns: u64) -> c_int;
    pub fn k2k_usage_engagement(reg: *mut k2k_registry, tag: k2k_audit_tag, gpu_ns: *mut u64) -> c_int;
    pub fn k2k_usage_engagement_for(reg: *mut k2k_registry, id: k2k_tenant_id, tag: k2k_audit_tag, gpu_ns: *mut u64) -> c_int;
    pub fn k2k_usage_reserve(reg: *mut k2k_registry, id: k2k_tenant_id, tag: k2k_audit_tag, gpu_ns: u64, reservation: *mut k2k_reservation, verdict: *mut k2k_verdict) -> c_int;
    pub fn k2k_usage_commit(reg: *mut k2k_registry, reservation: *mut k2k_reservation, gpu_ns: u64) -> c_int;
    pub fn k2k_usage_cancel(reg: *mut k2k_registry, reservation: *mut k2k_reservation) -> c_int;
    pub fn k2k_usage_reserved(reg: *mut k2k_registry, id: k2k_tenant_id, tag: k2k_audit_tag, reserved_ns: *mut u64) -> c_int;
    pub fn k2k_kernel_acquire(reg: *mut k2k_registry, id: k2k_tenant_id, lease: *mut k2k_lease, verdict: *mut k2k_verdict) -> c_int;
    pub fn k2k_kernel_release(reg: *mut k2k_registry, lease: *mut k2k_lease) -> c_int;
    pub fn k2k_kernel_release_id(reg: *mut k2k_registry, id: k2k_tenant_id) -> c_int;
    pub fn k2k_gpu_memory_acquire(reg: *mut k2k_registry, id: k2k_tenant_id, bytes: u64, lease: *mut k2k_lease, verdict: *mut k2k_verdict) -> c_int;
    pub fn k2k_gpu_memory_release(reg: *mut k2k_registry, lease: *mut k2k_lease) -> c_int;
    pub fn k2k_gpu_memory_release_id(reg: *mut k2k_registry, id: k2k_tenant_id, bytes: u64) -> c_int;
    pub fn k2k_kernel_add(reg: *mut k2k_registry, name: *const c_char, id: k2k_tenant_id, tag: k2k_audit_tag, address: *const k2k_kernel_address, verdict: *mut k2k_verdict) -> c_int;
    pub fn k2k_kernel_remove(reg: *mut k2k_registry, name: *const c_char) -> c_int;
    pub fn k2k_kernel_find(reg: *mut k2k_registry, name: *const c_char, info: *mut k2k_kernel_info) -> c_int;
    pub fn k2k_kernel_list(reg: *mut k2k_registry, id: k2k_tenant_id, list: *mut k2k_kernel_info, capacity: usize, count: *mut usize) -> c_int;
    pub fn k2k_message_route(reg: *mut k2k_registry, from: *const c_char, to: *const c_char, tag: k2k_audit_tag, n: u64, route: *mut k2k_route, verdict: *mut k2k_verdict) -> c_int;
    pub fn k2k_audit_level_name(level: u32) -> *const c_char;
    pub fn k2k_audit_type_name(r#type: u32) -> *const c_char;
    pub fn k2k_registry_set_audit_sink(reg: *mut k2k_registry, sink: k2k_audit_sink, context: *mut c_void) -> c_int;
    pub fn k2k_audit_cross_tenant(reg: *mut k2k_registry, from: k2k_tenant_id, to: k2k_tenant_id, source: *const c_char, destination: *const c_char, tag: k2k_audit_tag) -> c_int;
    pub fn k2k_audit_kind_name(kind: u32) -> *const c_char;
    pub fn k2k_audit_kind_level(kind: u32) -> u32;
    pub fn k2k_audit_kind_type(kind: u32) -> u32;
    pub fn k2k_audit_read(reg: *mut k2k_registry, cursor: *mut k2k_audit_cursor, flags: u32, records: *mut k2k_audit_record, capacity: usize, count: *mut usize) -> c_int;
    pub fn k2k_audit_wait(reg: *mut k2k_registry, cursor: *const k2k_audit_cursor, timeout_ns: u64) -> c_int;
    pub fn k2k_audit_kept(reg: *mut k2k_registry, cursor: *const k2k_audit_cursor, flags: u32) -> c_int;
    pub fn k2k_audit_follower_list(reg: *mut k2k_registry, followers: *mut k2k_audit_follower_info, capacity: usize, count: *mut usize) -> c_int;
    pub fn k2k_audit_stats(reg: *mut k2k_registry, stats: *mut k2k_audit_stats) -> c_int;
    pub fn k2k_is_cross_tenant(from: k2k_tenant_id, to: k2k_tenant_id) -> c_int;
    pub fn k2k_version() -> *const c_char;
}
