// SPDX-License-Identifier: LGPL-2.1-or-later
use crate::registry::c_string;
use crate::{Error, Result};
use k2k_registry_sys as sys;
use std::collections::HashMap;
use std::ffi::CString;
use std::ptr::null;
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

/// The period of a rate. It is part of the limit: 60 a minute are not 1 a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RatePeriod {
    #[default]
    Second,
    Minute,
    Hour,
    /// 24 hours.
    Day,
    /// A period that this crate does not know yet.
    Other(u32),
}

impl RatePeriod {
    pub(crate) fn from_number(number: u32) -> Self {
        match number {
            sys::K2K_PERIOD_SECOND => RatePeriod::Second,
            sys::K2K_PERIOD_MINUTE => RatePeriod::Minute,
            sys::K2K_PERIOD_HOUR => RatePeriod::Hour,
            sys::K2K_PERIOD_DAY => RatePeriod::Day,
            other => RatePeriod::Other(other),
        }
    }

    fn number(self) -> u32 {
        match self {
            RatePeriod::Second => sys::K2K_PERIOD_SECOND,
            RatePeriod::Minute => sys::K2K_PERIOD_MINUTE,
            RatePeriod::Hour => sys::K2K_PERIOD_HOUR,
            RatePeriod::Day => sys::K2K_PERIOD_DAY,
            RatePeriod::Other(number) => number,
        }
    }
}

/// How often a budget renews: at full hours, at midnight, on Mondays, on the first of a month, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Renewal {
    Never,
    Hour,
    Day,
    Week,
    Month,
    /// A renewal that this crate does not know yet.
    Other(u32),
}

impl Renewal {
    pub(crate) fn from_number(number: u32) -> Self {
        match number {
            sys::K2K_RENEWAL_NEVER => Renewal::Never,
            sys::K2K_RENEWAL_HOUR => Renewal::Hour,
            sys::K2K_RENEWAL_DAY => Renewal::Day,
            sys::K2K_RENEWAL_WEEK => Renewal::Week,
            sys::K2K_RENEWAL_MONTH => Renewal::Month,
            other => Renewal::Other(other),
        }
    }

    pub(crate) fn number(self) -> u32 {
        match self {
            Renewal::Never => sys::K2K_RENEWAL_NEVER,
            Renewal::Hour => sys::K2K_RENEWAL_HOUR,
            Renewal::Day => sys::K2K_RENEWAL_DAY,
            Renewal::Week => sys::K2K_RENEWAL_WEEK,
            Renewal::Month => sys::K2K_RENEWAL_MONTH,
            Renewal::Other(number) => number,
        }
    }
}

/// Limits of a tenant. A field's largest number means "unlimited". Fill the fields that you don't name with
/// `..Default::default()`: later versions have more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantQuota {
    pub max_concurrent_kernels: u32,
    pub max_gpu_memory_bytes: u64,
    /// In each `rate_period`.
    pub max_messages_per_sec: u64,
    pub rate_period: RatePeriod,
    /// `Some`: the rate is a token bucket, which admits so many at once; `None`: it is a window.
    pub burst: Option<u64>,
    /// `Some`: the rate is this host's share of a rate over many hosts, by the second, and this is the limit while no shares
    /// hold.
    pub rate_alone: Option<u64>,
    /// Budgets by engagement; an engagement without an entry has no budget.
    pub per_engagement_budget: HashMap<u64, Duration>,
    /// How often budgets renew; one that is not listed never does.
    pub renewals: HashMap<u64, Renewal>,
    /// No other tenant has it.
    pub name: Option<String>,
    /// The limits are decided, counted and audited, but refuse nothing.
    pub shadow: bool,
    /// Thresholds: percentages of the limits in ascending order, then zeroes. An event of the audit trail says that one is
    /// reached.
    pub alerts: [u8; 4],
}

/// A C struct, and what it points into.
pub(crate) struct NativeQuota {
    pub(crate) quota: sys::k2k_quota,
    _budgets: Vec<sys::k2k_budget>,
    _terms: Vec<sys::k2k_budget_terms>,
    _name: Option<CString>,
}

impl TenantQuota {
    pub fn unlimited() -> Self {
        TenantQuota {
            max_concurrent_kernels: sys::K2K_UNLIMITED_KERNELS,
            max_gpu_memory_bytes: sys::K2K_UNLIMITED,
            max_messages_per_sec: sys::K2K_UNLIMITED,
            ..TenantQuota::standard()
        }
    }

    /// 16 kernels, 2 GiB, 100,000 messages a second.
    pub fn standard() -> Self {
        TenantQuota {
            max_concurrent_kernels: 16,
            max_gpu_memory_bytes: 2 << 30,
            max_messages_per_sec: 100_000,
            rate_period: RatePeriod::Second,
            burst: None,
            rate_alone: None,
            per_engagement_budget: HashMap::new(),
            renewals: HashMap::new(),
            name: None,
            shadow: false,
            alerts: [0; 4],
        }
    }

    pub fn with_engagement_budget(mut self, engagement_id: u64, budget: Duration) -> Self {
        self.per_engagement_budget.insert(engagement_id, budget);
        self
    }

    pub fn with_renewing_budget(mut self, engagement_id: u64, budget: Duration, renewal: Renewal) -> Self {
        self.renewals.insert(engagement_id, renewal);
        self.with_engagement_budget(engagement_id, budget)
    }

    pub(crate) fn native(&self) -> Result<NativeQuota> {
        let budgets = self.per_engagement_budget.iter().map(|(engagement, budget)| (*engagement, Some(*budget)));
        let (quota, list, terms) = native(
            (self.max_messages_per_sec, self.rate_period, self.burst, self.rate_alone),
            self.max_gpu_memory_bytes,
            self.max_concurrent_kernels,
            budgets,
            &self.renewals,
        )?;
        NativeQuota { quota, _budgets: list, _terms: terms, _name: None }.with(self.name.as_deref(), self.shadow, self.alerts)
    }
}

impl NativeQuota {
    fn with(mut self, name: Option<&str>, shadow: bool, alerts: [u8; 4]) -> Result<Self> {
        self._name = name.map(c_string).transpose()?;
        self.quota.name = self._name.as_ref().map_or(null(), |name| name.as_ptr());
        self.quota.shadow = u32::from(shadow);
        self.quota.alerts = alerts;
        Ok(self)
    }
}

impl Default for TenantQuota {
    fn default() -> Self {
        TenantQuota::standard()
    }
}

type Lists = (sys::k2k_quota, Vec<sys::k2k_budget>, Vec<sys::k2k_budget_terms>);

fn native(
    (rate, period, burst, alone): (u64, RatePeriod, Option<u64>, Option<u64>),
    memory: u64,
    kernels: u32,
    budgets: impl Iterator<Item = (u64, Option<Duration>)>,
    renewals: &HashMap<u64, Renewal>,
) -> Result<Lists> {
    let list: Vec<sys::k2k_budget> = budgets
        .map(|(engagement_id, budget)| sys::k2k_budget {
            engagement_id,
            budget_ns: budget.map_or(sys::K2K_UNLIMITED, nanoseconds),
        })
        .collect();
    let terms: Vec<sys::k2k_budget_terms> = list
        .iter()
        .map(|budget| sys::k2k_budget_terms {
            renewal: renewals.get(&budget.engagement_id).map_or(sys::K2K_RENEWAL_KEEP, |renewal| renewal.number()),
            reserved: 0,
        })
        .collect();
    if renewals.keys().any(|engagement| list.iter().all(|budget| budget.engagement_id != *engagement)) {
        return Err(Error::invalid("a renewal without a budget"));
    }
    let quota = sys::k2k_quota {
        max_messages_per_sec: rate,
        rate_period: period.number(),
        rate_policy: if burst.is_some() { sys::K2K_RATE_BUCKET } else { sys::K2K_RATE_WINDOW },
        burst: burst.unwrap_or(0),
        rate_alone: alone.unwrap_or(0),
        rate_shared: u32::from(alone.is_some()),
        max_gpu_memory_bytes: memory,
        max_concurrent_kernels: kernels,
        // the library refuses a longer list: no table is so large
        budget_count: u32::try_from(list.len()).unwrap_or(u32::MAX),
        budgets: list.as_ptr(),
        budget_terms: terms.as_ptr(),
        ..Default::default()
    };
    Ok((quota, list, terms))
}

/// What an update changes. A field that is `None`, and budgets that are not listed, stay as they are. A budget of `None`
/// is removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantUpdate {
    pub max_concurrent_kernels: Option<u32>,
    pub max_gpu_memory_bytes: Option<u64>,
    /// With `rate_period`, `burst` and `rate_alone`, which are part of the rate: without it they must have their defaults.
    pub max_messages_per_sec: Option<u64>,
    pub rate_period: RatePeriod,
    pub burst: Option<u64>,
    pub rate_alone: Option<u64>,
    pub per_engagement_budget: HashMap<u64, Option<Duration>>,
    /// Of budgets that are listed; one without an entry keeps its renewal, and a new one never renews.
    pub renewals: HashMap<u64, Renewal>,
    /// `Some(None)` removes the name.
    pub name: Option<Option<String>>,
    pub shadow: Option<bool>,
    /// `Some([0; 4])` removes all.
    pub alerts: Option<[u8; 4]>,
}

impl TenantUpdate {
    pub(crate) fn native(&self) -> Result<(NativeQuota, u32)> {
        let rate = (self.max_messages_per_sec.unwrap_or(0), self.rate_period, self.burst, self.rate_alone);
        if self.max_messages_per_sec.is_none() && rate != (0, RatePeriod::Second, None, None) {
            return Err(Error::invalid("a period, a burst or a limit alone without a rate"));
        }
        let (quota, list, terms) = native(
            rate,
            self.max_gpu_memory_bytes.unwrap_or(0),
            self.max_concurrent_kernels.unwrap_or(0),
            self.per_engagement_budget.iter().map(|(engagement, budget)| (*engagement, *budget)),
            &self.renewals,
        )?;
        let mut mask = 0;
        for (named, bit) in [
            (self.max_messages_per_sec.is_some(), sys::K2K_UPDATE_RATE),
            (self.max_gpu_memory_bytes.is_some(), sys::K2K_UPDATE_GPU_MEMORY),
            (self.max_concurrent_kernels.is_some(), sys::K2K_UPDATE_KERNELS),
            (!list.is_empty(), sys::K2K_UPDATE_BUDGETS),
            (self.name.is_some(), sys::K2K_UPDATE_NAME),
            (self.shadow.is_some(), sys::K2K_UPDATE_SHADOW),
            (self.alerts.is_some(), sys::K2K_UPDATE_ALERTS),
        ] {
            if named {
                mask |= bit;
            }
        }
        let native = NativeQuota { quota, _budgets: list, _terms: terms, _name: None };
        let name = self.name.as_ref().and_then(|name| name.as_deref());
        Ok((native.with(name, self.shadow.unwrap_or(false), self.alerts.unwrap_or([0; 4]))?, mask))
    }
}
