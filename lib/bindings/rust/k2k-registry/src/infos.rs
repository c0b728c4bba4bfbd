// SPDX-License-Identifier: LGPL-2.1-or-later
//! Copies of what the registry holds; the header describes their fields.
use crate::quota::{AuditTag, RatePeriod, Renewal};
use crate::{bytes, text, TenantId};
use k2k_registry_sys as sys;

/// How many requests each limit has rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected {
    pub rate: u64,
    pub budget: u64,
    pub kernels: u64,
    pub gpu_memory: u64,
}

impl From<sys::k2k_rejected> for Rejected {
    fn from(from: sys::k2k_rejected) -> Self {
        Rejected { rate: from.rate, budget: from.budget, kernels: from.kernels, gpu_memory: from.gpu_memory }
    }
}

macro_rules! infos {
    ($($(#[$about:meta])* $name:ident of $native:ident { $($field:ident: $kind:ty = $get:expr,)* })*) => {
        $(
            $(#[$about])*
            #[derive(Debug, Clone, PartialEq, Eq)]
            #[non_exhaustive]
            pub struct $name {
                $(pub $field: $kind,)*
            }

            impl From<&sys::$native> for $name {
                fn from(from: &sys::$native) -> Self {
                    $name { $($field: { let get: fn(&sys::$native) -> $kind = $get; get(from) },)* }
                }
            }
        )*
    };
}

infos! {
    TenantInfo of k2k_tenant_info {
        tenant_id: TenantId = |i| i.id,
        generation: u64 = |i| i.generation,
        registered_at_ns: u64 = |i| i.registered_at_ns,
        max_messages_per_sec: u64 = |i| i.max_messages_per_sec,
        max_gpu_memory_bytes: u64 = |i| i.max_gpu_memory_bytes,
        max_concurrent_kernels: u32 = |i| i.max_concurrent_kernels,
        budget_count: u32 = |i| i.budget_count,
        admitted_total: u64 = |i| i.admitted_total,
        rejected_total: Rejected = |i| i.rejected_total.into(),
        messages_this_window: u64 = |i| i.messages_this_second,
        window: u64 = |i| i.window,
        unattributed_ns: u64 = |i| i.unattributed_ns,
        current_kernels: u64 = |i| i.kernels,
        gpu_memory_bytes: u64 = |i| i.gpu_memory_bytes,
        rate_period: RatePeriod = |i| RatePeriod::from_number(i.rate_period),
        // of a token bucket; None: the rate is a window
        burst: Option<u64> = |i| if i.rate_policy == sys::K2K_RATE_BUCKET { Some(i.burst) } else { None },
        // of a share: the limit while no shares hold; None: the rate is no share
        rate_alone: Option<u64> = |i| if i.rate_shared != 0 { Some(i.rate_alone) } else { None },
        // the share is in force
        rate_holds: bool = |i| i.rate_holds != 0,
        shadow: bool = |i| i.shadow != 0,
        suspended: bool = |i| i.suspended != 0,
        name: Option<String> = |i| Some(text(&i.name)).filter(|name| !name.is_empty()),
        // what would have been rejected in shadow: it has passed
        shadow_rejected_total: Rejected = |i| i.shadow_rejected_total.into(),
        suspended_rejected_total: u64 = |i| i.suspended_rejected_total,
        alerts: [u8; 4] = |i| i.alerts,
        // the highest threshold that was reached: of the rate lately, of leases now
        alerted_rate: u8 = |i| i.alerted_rate,
        alerted_kernels: u8 = |i| i.alerted_kernels,
        alerted_gpu_memory: u8 = |i| i.alerted_gpu_memory,
    }
    Shares of k2k_shares {
        epoch: u64 = |i| i.epoch,
        // on the clock of now_ns; 0: they don't hold
        until_ns: u64 = |i| i.until_ns,
        now_ns: u64 = |i| i.now_ns,
    }
    TenantTotals of k2k_tenant_totals {
        tenant_id: TenantId = |i| i.id,
        generation: u64 = |i| i.generation,
        admitted_total: u64 = |i| i.admitted_total,
        rejected_total: Rejected = |i| i.rejected_total.into(),
        gpu_ns_total: u64 = |i| i.gpu_ns_total,
        unattributed_ns: u64 = |i| i.unattributed_ns,
        kernels: u64 = |i| i.kernels,
        gpu_memory_bytes: u64 = |i| i.gpu_memory_bytes,
        // no call under way can add to the totals any more
        is_final: bool = |i| i.r#final != 0,
        shadow_rejected_total: Rejected = |i| i.shadow_rejected_total.into(),
        suspended_rejected_total: u64 = |i| i.suspended_rejected_total,
        corrected_ns: i64 = |i| i.corrected_ns,
    }
    RegistryInfo of k2k_registry_info {
        name: String = |i| text(&i.name),
        uuid: String = |i| text(&i.uuid),
        layout_version: u32 = |i| i.layout_version,
        brokers: u32 = |i| i.brokers,
        created_at_ns: u64 = |i| i.created_at_ns,
        defs_bytes: u64 = |i| i.defs_bytes,
        live_bytes: u64 = |i| i.live_bytes,
        generation: u64 = |i| i.generation,
        unknown_tenant_total: u64 = |i| i.unknown_tenant_total,
        cross_tenant_total: u64 = |i| i.cross_tenant_total,
        tenants: Table = |i| i.tenants.into(),
        engagements: Table = |i| i.engagements.into(),
        leases: Table = |i| i.leases.into(),
        budgets: Table = |i| i.budgets.into(),
        max_audit_events: u64 = |i| i.max_audit_events,
        cut_gpu_ns: u64 = |i| i.cut_gpu_ns,
        max_brokers: u64 = |i| i.max_brokers,
        max_kernels: u64 = |i| i.max_kernels,
        is_strict: bool = |i| i.flags & sys::K2K_INFO_STRICT != 0,
        // of this handle
        has_audit_sink: bool = |i| i.flags & sys::K2K_INFO_AUDIT_SINK != 0,
        is_simulated: bool = |i| i.flags & sys::K2K_INFO_SIMULATED != 0,
    }
    BrokerInfo of k2k_broker_info {
        slot: u32 = |i| i.slot,
        state: BrokerState = |i| BrokerState::from_number(i.state),
        incarnation: u64 = |i| i.incarnation,
        pid: u64 = |i| i.pid,
        pid_namespace: u64 = |i| i.pid_namespace,
        attached_at_ns: u64 = |i| i.attached_at_ns,
        comm: String = |i| text(&i.comm),
        kernels: u64 = |i| i.kernels,
        gpu_memory_bytes: u64 = |i| i.gpu_memory_bytes,
        cross_tenant_total: u64 = |i| i.cross_tenant_total,
        unknown_tenant_total: u64 = |i| i.unknown_tenant_total,
        grace_behind: u64 = |i| i.grace_behind,
    }
    LeaseInfo of k2k_lease_info {
        tenant_id: TenantId = |i| i.id,
        generation: u64 = |i| i.generation,
        slot: u32 = |i| i.slot,
        pid: u64 = |i| i.pid,
        kernels: u64 = |i| i.kernels,
        gpu_memory_bytes: u64 = |i| i.gpu_memory_bytes,
        // of a reservation, which has a row of its own
        engagement_id: u64 = |i| i.engagement_id,
        reserved_ns: u64 = |i| i.reserved_ns,
    }
    /// A kernel in the directory.
    KernelInfo of k2k_kernel_info {
        // any bytes but 0
        name: Vec<u8> = |i| bytes(&i.name),
        // None: the registration that it was added under is over
        tenant_id: Option<TenantId> = |i| if i.flags & sys::K2K_KERNEL_STALE == 0 { Some(i.id) } else { None },
        generation: u64 = |i| i.generation,
        audit_tag: AuditTag = |i| AuditTag::new(i.tag.org_id, i.tag.engagement_id),
        address: [u64; 2] = |i| i.address.words,
        // of the broker that owns it
        incarnation: u64 = |i| i.incarnation,
        pid: u64 = |i| i.pid,
        broker: u32 = |i| i.broker,
    }
    UsageInfo of k2k_usage_info {
        tenant_id: TenantId = |i| i.id,
        generation: u64 = |i| i.generation,
        engagement_id: u64 = |i| i.engagement_id,
        gpu_ns: u64 = |i| i.gpu_ns,
        reserved_ns: u64 = |i| i.reserved_ns,
        corrected_ns: i64 = |i| i.corrected_ns,
    }
    BudgetInfo of k2k_budget_info {
        tenant_id: TenantId = |i| i.id,
        generation: u64 = |i| i.generation,
        engagement_id: u64 = |i| i.engagement_id,
        budget_ns: u64 = |i| i.budget_ns,
        used_ns: u64 = |i| i.used_ns,
        reserved_ns: u64 = |i| i.reserved_ns,
        renewal: Renewal = |i| Renewal::from_number(i.renewal),
        // of the current period; all 0 if the budget never renews
        period: u64 = |i| i.period,
        began_at_ns: u64 = |i| i.began_at_ns,
        renews_at_ns: u64 = |i| i.renews_at_ns,
        corrected_ns: i64 = |i| i.corrected_ns,
        // the highest threshold that was reached in this period
        alerted: u32 = |i| i.alerted,
    }
    /// A closed period of a budget that renews.
    BudgetUse of k2k_budget_use {
        period: u64 = |i| i.period,
        began_at_ns: u64 = |i| i.began_at_ns,
        next_began_at_ns: u64 = |i| i.next_began_at_ns,
        used_ns: u64 = |i| i.used_ns,
        // it never changes any more
        is_final: bool = |i| i.flags & sys::K2K_BUDGET_USE_PENDING == 0,
    }
    /// A violation of an invariant of the registry.
    Finding of k2k_finding {
        invariant: String = |i| text(&i.invariant),
        object: String = |i| text(&i.object),
        text: String = |i| text(&i.text),
    }
    /// What a repair has mended: counts of records, slots and files, and GPU time.
    Repaired of k2k_repair_info {
        tenants: u64 = |i| i.tenants,
        budgets: u64 = |i| i.budgets,
        engagements: u64 = |i| i.engagements,
        leases: u64 = |i| i.leases,
        brokers: u64 = |i| i.brokers,
        files: u64 = |i| i.files,
        damaged: u64 = |i| i.damaged,
        cut_leases: u64 = |i| i.cut_leases,
        cut_gpu_ns: u64 = |i| i.cut_gpu_ns,
        unattributed_ns: u64 = |i| i.unattributed_ns,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    pub used: u64,
    /// Entries that wait for a grace period.
    pub retired: u64,
    pub capacity: u64,
}

impl From<sys::k2k_table_info> for Table {
    fn from(from: sys::k2k_table_info) -> Self {
        Table { used: from.used, retired: from.retired, capacity: from.capacity }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BrokerState {
    Active,
    /// Alive, but stopped.
    Stopped,
    /// Its slot waits for the next broker.
    Dead,
    /// Alive, but nobody here can tell whether it is stopped; or a state that this crate does not know.
    Unknown,
}

impl BrokerState {
    fn from_number(number: u32) -> Self {
        match number {
            sys::K2K_BROKER_ACTIVE => BrokerState::Active,
            sys::K2K_BROKER_STOPPED => BrokerState::Stopped,
            sys::K2K_BROKER_DEAD => BrokerState::Dead,
            _ => BrokerState::Unknown,
        }
    }
}
