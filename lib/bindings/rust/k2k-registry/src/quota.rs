// SPDX-License-Identifier: LGPL-2.1-or-later
use k2k_registry_sys as sys;
use std::collections::HashMap;
use std::time::Duration;

/// Who pays. Costs and budgets are keyed by `engagement_id`; `org_id` only appears in audit events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AuditTag {
    pub org_id: u64,
    pub engagement_id: u64,
}

impl AuditTag {
    pub fn new(org_id: u64, engagement_id: u64) -> Self {
        AuditTag { org_id, engagement_id }
    }

    pub(crate) fn native(self) -> sys::k2k_audit_tag {
        sys::k2k_audit_tag { org_id: self.org_id, engagement_id: self.engagement_id }
    }
}

/// Nanoseconds; more than 584 years become `u64::MAX`.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Limits of a tenant. A field's largest number means "unlimited".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantQuota {
    pub max_concurrent_kernels: u32,
    pub max_gpu_memory_bytes: u64,
    pub max_messages_per_sec: u64,
    /// Budgets by engagement; an engagement without an entry has no budget.
    pub per_engagement_budget: HashMap<u64, Duration>,
}

impl TenantQuota {
    pub fn unlimited() -> Self {
        TenantQuota {
            max_concurrent_kernels: sys::K2K_UNLIMITED_KERNELS,
            max_gpu_memory_bytes: sys::K2K_UNLIMITED,
            max_messages_per_sec: sys::K2K_UNLIMITED,
            per_engagement_budget: HashMap::new(),
        }
    }

    /// 16 kernels, 2 GiB, 100,000 messages a second.
    pub fn standard() -> Self {
        TenantQuota {
            max_concurrent_kernels: 16,
            max_gpu_memory_bytes: 2 << 30,
            max_messages_per_sec: 100_000,
            per_engagement_budget: HashMap::new(),
        }
    }

    pub fn with_engagement_budget(mut self, engagement_id: u64, budget: Duration) -> Self {
        self.per_engagement_budget.insert(engagement_id, budget);
        self
    }

    /// The C struct points into the list: keep the list as long.
    pub(crate) fn native(&self) -> (sys::k2k_quota, Vec<sys::k2k_budget>) {
        let budgets = self.per_engagement_budget.iter().map(|(engagement, budget)| (*engagement, Some(*budget)));
        native(self.max_messages_per_sec, self.max_gpu_memory_bytes, self.max_concurrent_kernels, budgets)
    }
}

impl Default for TenantQuota {
    fn default() -> Self {
        TenantQuota::standard()
    }
}

fn native(
    rate: u64,
    memory: u64,
    kernels: u32,
    budgets: impl Iterator<Item = (u64, Option<Duration>)>,
) -> (sys::k2k_quota, Vec<sys::k2k_budget>) {
    let list: Vec<sys::k2k_budget> = budgets
        .map(|(engagement_id, budget)| sys::k2k_budget {
            engagement_id,
            budget_ns: budget.map_or(sys::K2K_UNLIMITED, nanoseconds),
        })
        .collect();
    let quota = sys::k2k_quota {
        max_messages_per_sec: rate,
        max_gpu_memory_bytes: memory,
        max_concurrent_kernels: kernels,
        // the library refuses a longer list: no table is so large
        budget_count: u32::try_from(list.len()).unwrap_or(u32::MAX),
        budgets: list.as_ptr(),
        ..Default::default()
    };
    (quota, list)
}

/// What an update changes. A field that is `None`, and budgets that are not listed, stay as they are. A budget of `None`
/// is removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantUpdate {
    pub max_concurrent_kernels: Option<u32>,
    pub max_gpu_memory_bytes: Option<u64>,
    pub max_messages_per_sec: Option<u64>,
    pub per_engagement_budget: HashMap<u64, Option<Duration>>,
}

impl TenantUpdate {
    pub(crate) fn native(&self) -> (sys::k2k_quota, Vec<sys::k2k_budget>, u32) {
        let (quota, list) = native(
            self.max_messages_per_sec.unwrap_or(0),
            self.max_gpu_memory_bytes.unwrap_or(0),
            self.max_concurrent_kernels.unwrap_or(0),
            self.per_engagement_budget.iter().map(|(engagement, budget)| (*engagement, *budget)),
        );
        let mut mask = 0;
        for (named, bit) in [
            (self.max_messages_per_sec.is_some(), sys::K2K_UPDATE_RATE),
            (self.max_gpu_memory_bytes.is_some(), sys::K2K_UPDATE_GPU_MEMORY),
            (self.max_concurrent_kernels.is_some(), sys::K2K_UPDATE_KERNELS),
            (!list.is_empty(), sys::K2K_UPDATE_BUDGETS),
        ] {
            if named {
                mask |= bit;
            }
        }
        (quota, list, mask)
    }
}
