// SPDX-License-Identifier: LGPL-2.1-or-later
use crate::audit::{call, AuditSink};
use crate::clock::SimulatedClock;
use crate::infos::{
    BrokerInfo, BudgetInfo, BudgetUse, Finding, LeaseInfo, RegistryInfo, Repaired, Shares, TenantInfo, TenantTotals, UsageInfo,
};
use crate::quota::{nanoseconds, AuditTag, Renewal, TenantQuota, TenantUpdate};
use crate::{Error, Reservation, Result, TenantId, Verdict};
use k2k_registry_sys as sys;
use std::ffi::{CStr, CString};
use std::fmt;
use std::marker::PhantomData;
use std::os::raw::c_int;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Admin,
    Broker,
    Observer,
}

/// Sizes of the tables (0 is the default) and access rights, fixed for the registry's life.
#[derive(Debug, Clone, Default)]
pub struct CreateOptions {
    pub max_tenants: u64,
    pub max_engagements: u64,
    pub max_leases: u64,
    pub max_budgets: u64,
    /// How many events each audit ring keeps.
    pub max_audit_events: u64,
    /// How many brokers can be attached at once: at most 1024.
    pub max_brokers: u64,
    /// Names in the directory of kernels.
    pub max_kernels: u64,
    /// [`route`](TenantRegistry::route) refuses messages from kernels that are not in the directory; otherwise their tenant
    /// is 0.
    pub strict: bool,
    pub mode: Option<u32>,
    pub gid: Option<u32>,
    /// Makes a simulated registry, for tests: it decides for this time, and can only be opened with it.
    pub clock: Option<Arc<SimulatedClock>>,
}

#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    /// The longest wait of any call on the handle; the default is 5 s.
    pub timeout: Option<Duration>,
    /// Accept this owner too, besides root and oneself.
    pub owner_uid: Option<u32>,
    /// The program's name in audit events.
    pub actor: Option<String>,
    /// Of a simulated registry.
    pub clock: Option<Arc<SimulatedClock>>,
}

impl OpenOptions {
    /// The C struct points into the string: keep the string as long.
    fn native(&self) -> Result<(sys::k2k_open_options, Option<CString>)> {
        let actor = self.actor.as_deref().map(c_string).transpose()?;
        let mut native = sys::k2k_open_options::default();
        if let Some(timeout) = self.timeout {
            native.flags |= sys::K2K_OPEN_TIMEOUT;
            native.timeout_ns = nanoseconds(timeout);
        }
        if let Some(uid) = self.owner_uid {
            native.flags |= sys::K2K_OPEN_OWNER_UID;
            native.owner_uid = uid;
        }
        if let Some(clock) = &self.clock {
            native.flags |= sys::K2K_OPEN_CLOCK;
            native.clock = clock.native();
        }
        native.actor = actor.as_ref().map_or(null(), |actor| actor.as_ptr());
        Ok((native, actor))
    }
}

pub(crate) fn c_string(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::invalid("a text with a zero byte"))
}

pub(crate) fn answered(code: c_int) -> Result<()> {
    if code == 0 {
        Ok(())
    } else {
        Err(Error::new(code, None))
    }
}

/// A handle. Dropping it detaches, and releases what it holds.
pub struct TenantRegistry {
    handle: *mut sys::k2k_registry,
    name: String,
    role: Role,
    /// The context of the library's calls of the sink, or null.
    sink: *mut Arc<dyn AuditSink>,
    /// The library reads it until the handle is closed.
    clock: Option<Arc<SimulatedClock>>,
}

// SAFETY: all functions may be called from any thread at any time, and sinks are Send and Sync
unsafe impl Send for TenantRegistry {}
unsafe impl Sync for TenantRegistry {}

impl TenantRegistry {
    /// Creates a registry with tables of the default sizes, and opens it as [`Role::Admin`].
    pub fn create(name: &str) -> Result<Self> {
        TenantRegistry::create_with(name, &CreateOptions::default())
    }

    pub fn create_with(name: &str, options: &CreateOptions) -> Result<Self> {
        let mut native = sys::k2k_create_options {
            max_tenants: options.max_tenants,
            max_engagements: options.max_engagements,
            max_leases: options.max_leases,
            max_budgets: options.max_budgets,
            max_audit_events: options.max_audit_events,
            max_brokers: options.max_brokers,
            max_kernels: options.max_kernels,
            ..Default::default()
        };
        if options.strict {
            native.flags |= sys::K2K_CREATE_STRICT;
        }
        if let Some(mode) = options.mode {
            native.flags |= sys::K2K_CREATE_MODE;
            native.mode = mode;
        }
        if let Some(gid) = options.gid {
            native.flags |= sys::K2K_CREATE_GROUP;
            native.gid = gid;
        }
        let text = c_string(name)?;
        if options.clock.is_some() {
            native.flags |= sys::K2K_CREATE_SIMULATED;
            answered(unsafe { sys::k2k_registry_create(text.as_ptr(), &native, null_mut()) })?;
            let clock = options.clock.clone();
            return TenantRegistry::open_with(name, Role::Admin, &OpenOptions { clock, ..Default::default() });
        }
        let mut handle = null_mut();
        // SAFETY: here and in all calls below the pointers are valid until the call returns
        answered(unsafe { sys::k2k_registry_create(text.as_ptr(), &native, &mut handle) })?;
        Ok(TenantRegistry { handle, name: name.to_string(), role: Role::Admin, sink: null_mut(), clock: None })
    }

    pub fn open(name: &str, role: Role) -> Result<Self> {
        TenantRegistry::open_with(name, role, &OpenOptions::default())
    }

    pub fn open_with(name: &str, role: Role, options: &OpenOptions) -> Result<Self> {
        let (native, _actor) = options.native()?;
        let number = match role {
            Role::Admin => sys::K2K_ROLE_ADMIN,
            Role::Broker => sys::K2K_ROLE_BROKER,
            Role::Observer => sys::K2K_ROLE_OBSERVER,
        };
        let text = c_string(name)?;
        let mut handle = null_mut();
        answered(unsafe { sys::k2k_registry_open(text.as_ptr(), number, &native, &mut handle) })?;
        Ok(TenantRegistry { handle, name: name.to_string(), role, sink: null_mut(), clock: options.clock.clone() })
    }

    /// The same handle, with a sink for rejections and changes.
    pub fn with_audit_sink(mut self, sink: Arc<dyn AuditSink>) -> Result<Self> {
        self.set_audit_sink(sink)?;
        Ok(self)
    }

    /// Replaces the sink. The old one no longer runs when this returns.
    pub fn set_audit_sink(&mut self, sink: Arc<dyn AuditSink>) -> Result<()> {
        let new = Box::into_raw(Box::new(sink));
        let code = unsafe { sys::k2k_registry_set_audit_sink(self.handle, Some(call), new.cast()) };
        let unused = if code == 0 { std::mem::replace(&mut self.sink, new) } else { new };
        if !unused.is_null() {
            // SAFETY: from Box::into_raw above, and no longer known to the library
            drop(unsafe { Box::from_raw(unused) });
        }
        answered(code)
    }

    /// Does what dropping does, and returns an error if it fails: [`Code::Busy`](crate::Code::Busy) in a sink, or if another
    /// thread does not end its batch. Then the handle stays open until the process ends.
    pub fn close(mut self) -> Result<()> {
        answered(self.detach())
    }

    fn detach(&mut self) -> c_int {
        if self.handle.is_null() {
            return 0;
        }
        let code = unsafe { sys::k2k_registry_close(&mut self.handle) };
        self.handle = null_mut();
        // If it failed, a sink may still run: in another thread or, in a forked child, below this call.
        if code == 0 && !self.sink.is_null() {
            // SAFETY: from Box::into_raw, and no longer known to the library
            drop(unsafe { Box::from_raw(self.sink) });
        }
        self.sink = null_mut();
        if code != 0 {
            // the handle stays open, and its threads read the time
            std::mem::forget(self.clock.take());
        }
        code
    }

    pub(crate) fn handle(&self) -> *mut sys::k2k_registry {
        self.handle
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn role(&self) -> Role {
        self.role
    }

    // ---- definitions ----------------------------------------------------------------------------------------------

    pub fn register(&self, tenant_id: TenantId, quota: TenantQuota) -> Result<()> {
        let native = quota.native()?;
        answered(unsafe { sys::k2k_tenant_register(self.handle, tenant_id, &native.quota) })
    }

    /// Changes only what `update` names, all at once, and keeps usage.
    pub fn update(&self, tenant_id: TenantId, update: &TenantUpdate) -> Result<()> {
        let (native, mask) = update.native()?;
        answered(unsafe { sys::k2k_tenant_update(self.handle, tenant_id, &native.quota, mask) })
    }

    /// From now on admissions and leases are refused ([`Code::Suspended`](crate::Code::Suspended)); what is held stays.
    pub fn suspend(&self, tenant_id: TenantId) -> Result<()> {
        answered(unsafe { sys::k2k_tenant_suspend(self.handle, tenant_id) })
    }

    pub fn resume(&self, tenant_id: TenantId) -> Result<()> {
        answered(unsafe { sys::k2k_tenant_resume(self.handle, tenant_id) })
    }

    /// Suspends a tenant, and waits until nobody holds a lease of it; `None` waits as long as it takes.
    pub fn drain(&self, tenant_id: TenantId, timeout: Option<Duration>) -> Result<()> {
        let ns = timeout.map_or(sys::K2K_NEVER_NS, nanoseconds);
        answered(unsafe { sys::k2k_tenant_drain(self.handle, tenant_id, ns) })
    }

    /// Returns whether the tenant was registered.
    pub fn deregister(&self, tenant_id: TenantId) -> Result<bool> {
        match unsafe { sys::k2k_tenant_deregister(self.handle, tenant_id, null_mut()) } {
            sys::K2K_ENOTENANT => Ok(false),
            code => answered(code).map(|()| true),
        }
    }

    /// Waits until no call under way can add to the totals, at most for the handle's timeout.
    pub fn deregister_with_totals(&self, tenant_id: TenantId) -> Result<TenantTotals> {
        let mut totals = sys::k2k_tenant_totals::default();
        answered(unsafe { sys::k2k_tenant_deregister(self.handle, tenant_id, &mut totals) })?;
        Ok((&totals).into())
    }

    /// Takes the writer's lock once for all changes by this thread, until the guard is dropped. Each change is complete
    /// when its call returns.
    pub fn batch(&self) -> Result<Batch<'_>> {
        answered(unsafe { sys::k2k_batch_begin(self.handle) })?;
        Ok(Batch { registry: self, _of_this_thread: PhantomData })
    }

    /// Shares of this epoch hold before `until_ns`, by the clock of [`shares`](Self::shares); 0 ends them, and begins a higher
    /// epoch.
    pub fn hold_shares(&self, epoch: u64, until_ns: u64) -> Result<()> {
        answered(unsafe { sys::k2k_shares_hold(self.handle, epoch, until_ns) })
    }

    pub fn set_budget(&self, tenant_id: TenantId, engagement_id: u64, budget: Duration) -> Result<()> {
        answered(unsafe { sys::k2k_budget_set(self.handle, tenant_id, engagement_id, nanoseconds(budget)) })
    }

    pub fn unset_budget(&self, tenant_id: TenantId, engagement_id: u64) -> Result<()> {
        answered(unsafe { sys::k2k_budget_unset(self.handle, tenant_id, engagement_id) })
    }

    /// Sets a budget, and how often it renews. The current period goes on with its use.
    pub fn set_renewing_budget(&self, tenant_id: TenantId, engagement_id: u64, budget: Duration, renewal: Renewal) -> Result<()> {
        let ns = nanoseconds(budget);
        answered(unsafe { sys::k2k_budget_set_renewing(self.handle, tenant_id, engagement_id, ns, renewal.number()) })
    }

    /// Ends the current period of a budget now, and begins another one.
    pub fn renew_budget(&self, tenant_id: TenantId, audit_tag: AuditTag) -> Result<()> {
        answered(unsafe { sys::k2k_budget_renew(self.handle, tenant_id, audit_tag.native()) })
    }

    /// Adds nanoseconds, which may be negative, to what was booked; audited with the reason. The booked cost stays as it is.
    /// A repeat with the same `request_id`, other than 0, changes nothing.
    pub fn correct_usage(&self, tenant_id: TenantId, audit_tag: AuditTag, ns: i64, reason: &str, request_id: u64) -> Result<()> {
        let reason = c_string(reason)?;
        answered(unsafe {
            sys::k2k_usage_correct(self.handle, tenant_id, audit_tag.native(), ns, reason.as_ptr(), request_id)
        })
    }

    pub fn repair(&self) -> Result<Repaired> {
        let mut repaired = sys::k2k_repair_info::default();
        answered(unsafe { sys::k2k_registry_repair(self.handle, &mut repaired) })?;
        Ok((&repaired).into())
    }

    // ---- reads ----------------------------------------------------------------------------------------------------

    pub fn is_registered(&self, tenant_id: TenantId) -> Result<bool> {
        let mut registered = 0;
        answered(unsafe { sys::k2k_tenant_is_registered(self.handle, tenant_id, &mut registered) })?;
        Ok(registered != 0)
    }

    /// A consistent copy.
    pub fn get(&self, tenant_id: TenantId) -> Result<Option<TenantInfo>> {
        let mut info = sys::k2k_tenant_info::default();
        match unsafe { sys::k2k_tenant_get(self.handle, tenant_id, &mut info) } {
            sys::K2K_ENOTENANT => Ok(None),
            code => answered(code).map(|()| Some((&info).into())),
        }
    }

    /// The tenant of that name.
    pub fn find_name(&self, name: &str) -> Result<Option<TenantId>> {
        let (name, mut id) = (c_string(name)?, 0);
        match unsafe { sys::k2k_tenant_find_name(self.handle, name.as_ptr(), &mut id) } {
            sys::K2K_ENOTENANT => Ok(None),
            code => answered(code).map(|()| Some(id)),
        }
    }

    pub fn tenant_count(&self) -> Result<usize> {
        let mut count = 0;
        answered(unsafe { sys::k2k_tenant_count(self.handle, &mut count) })?;
        Ok(count)
    }

    pub fn tenant_ids(&self) -> Result<Vec<TenantId>> {
        list(0, |ids, room, count| unsafe { sys::k2k_tenant_ids(self.handle, ids, room, count) })
    }

    /// Whose shares of rates over many hosts hold, until when, and what time it is on that clock.
    pub fn shares(&self) -> Result<Shares> {
        let mut shares = sys::k2k_shares::default();
        answered(unsafe { sys::k2k_shares_get(self.handle, &mut shares) })?;
        Ok((&shares).into())
    }

    pub fn info(&self) -> Result<RegistryInfo> {
        let mut info = sys::k2k_registry_info::default();
        answered(unsafe { sys::k2k_registry_info(self.handle, &mut info) })?;
        Ok((&info).into())
    }

    /// Verifies the registry; the list of findings is empty if all is well.
    pub fn check(&self) -> Result<Vec<Finding>> {
        infos(|list, room, count| unsafe { sys::k2k_registry_check(self.handle, list, room, count) })
    }

    pub fn brokers(&self) -> Result<Vec<BrokerInfo>> {
        infos(|list, room, count| unsafe { sys::k2k_broker_list(self.handle, list, room, count) })
    }

    /// Of one tenant, or with [`UNSPECIFIED_TENANT`](crate::UNSPECIFIED_TENANT) of all.
    pub fn budgets(&self, tenant_id: TenantId) -> Result<Vec<BudgetInfo>> {
        infos(|list, room, count| unsafe { sys::k2k_budget_list(self.handle, tenant_id, list, room, count) })
    }

    /// The last closed periods of a budget that renews, at most 12, from the oldest on.
    pub fn budget_history(&self, tenant_id: TenantId, audit_tag: AuditTag) -> Result<Vec<BudgetUse>> {
        infos(|list, room, count| unsafe {
            sys::k2k_budget_history(self.handle, tenant_id, audit_tag.native(), list, room, count)
        })
    }

    /// What living brokers have reserved of an engagement's budget.
    pub fn reserved_usage(&self, tenant_id: TenantId, audit_tag: AuditTag) -> Result<Duration> {
        let mut ns = 0;
        answered(unsafe { sys::k2k_usage_reserved(self.handle, tenant_id, audit_tag.native(), &mut ns) })?;
        Ok(Duration::from_nanos(ns))
    }

    /// Of one tenant, or of all.
    pub fn leases(&self, tenant_id: TenantId) -> Result<Vec<LeaseInfo>> {
        infos(|list, room, count| unsafe { sys::k2k_lease_list(self.handle, tenant_id, list, room, count) })
    }

    /// Of one tenant, or of all.
    pub fn usage(&self, tenant_id: TenantId) -> Result<Vec<UsageInfo>> {
        infos(|list, room, count| unsafe { sys::k2k_usage_list(self.handle, tenant_id, list, room, count) })
    }

    /// GPU time of an engagement, of all registered tenants.
    pub fn get_engagement_cost(&self, audit_tag: AuditTag) -> Result<Duration> {
        let mut ns = 0;
        answered(unsafe { sys::k2k_usage_engagement(self.handle, audit_tag.native(), &mut ns) })?;
        Ok(Duration::from_nanos(ns))
    }

    /// The same of one tenant; zero if there is no such tenant.
    pub fn get_engagement_cost_for(&self, tenant_id: TenantId, audit_tag: AuditTag) -> Result<Duration> {
        let mut ns = 0;
        match unsafe { sys::k2k_usage_engagement_for(self.handle, tenant_id, audit_tag.native(), &mut ns) } {
            sys::K2K_ENOTENANT => Ok(Duration::ZERO),
            code => answered(code).map(|()| Duration::from_nanos(ns)),
        }
    }

    // ---- messages -------------------------------------------------------------------------------------------------

    /// Would one message be admitted now? Consumes nothing.
    pub fn check_quota(&self, tenant_id: TenantId, audit_tag: AuditTag) -> Result<()> {
        self.check_quota_of(tenant_id, audit_tag, 1).map(|_| ())
    }

    /// Would that many be admitted now? Consumes nothing.
    pub fn check_quota_of(&self, tenant_id: TenantId, audit_tag: AuditTag, messages: u64) -> Result<Verdict> {
        asked(|verdict| unsafe { sys::k2k_quota_check(self.handle, tenant_id, audit_tag.native(), messages, verdict) })
    }

    /// Checks and counts in one atomic step, all or none.
    pub fn admit(&self, tenant_id: TenantId, audit_tag: AuditTag, messages: u64) -> Result<Verdict> {
        asked(|verdict| unsafe { sys::k2k_message_admit(self.handle, tenant_id, audit_tag.native(), messages, verdict) })
    }

    /// Counts one message, whatever the limits are.
    pub fn record_message(&self, tenant_id: TenantId) -> Result<()> {
        answered(unsafe { sys::k2k_message_record(self.handle, tenant_id) })
    }

    pub fn track_usage(&self, tenant_id: TenantId, audit_tag: AuditTag, gpu_time: Duration) -> Result<()> {
        answered(unsafe { sys::k2k_usage_track(self.handle, tenant_id, audit_tag.native(), nanoseconds(gpu_time)) })
    }

    /// Reserves GPU time of a budget before it is used; commit what was used.
    pub fn reserve_usage(&self, tenant_id: TenantId, audit_tag: AuditTag, gpu_time: Duration) -> Result<Reservation<'_>> {
        Reservation::new(self, tenant_id, audit_tag, gpu_time)
    }

    // ---- leases: held until they are released, the handle is closed, or the process has died ------------------------

    /// Release it by [`release_kernel_slot`](Self::release_kernel_slot).
    pub fn acquire_kernel_slot(&self, tenant_id: TenantId) -> Result<()> {
        asked(|verdict| unsafe { sys::k2k_kernel_acquire(self.handle, tenant_id, null_mut(), verdict) }).map(|_| ())
    }

    /// Releases one slot of the current registration; [`Code::NotHeld`](crate::Code::NotHeld) if this handle holds none.
    pub fn release_kernel_slot(&self, tenant_id: TenantId) -> Result<()> {
        answered(unsafe { sys::k2k_kernel_release_id(self.handle, tenant_id) })
    }

    pub fn acquire_gpu_memory(&self, tenant_id: TenantId, bytes: u64) -> Result<()> {
        asked(|verdict| unsafe { sys::k2k_gpu_memory_acquire(self.handle, tenant_id, bytes, null_mut(), verdict) }).map(|_| ())
    }

    pub fn release_gpu_memory(&self, tenant_id: TenantId, bytes: u64) -> Result<()> {
        answered(unsafe { sys::k2k_gpu_memory_release_id(self.handle, tenant_id, bytes) })
    }

    /// A slot that is released when the guard is dropped.
    pub fn lease_kernel_slot(&self, tenant_id: TenantId) -> Result<Lease<'_>> {
        let mut native = sys::k2k_lease::default();
        asked(|verdict| unsafe { sys::k2k_kernel_acquire(self.handle, tenant_id, &mut native, verdict) })?;
        Ok(Lease { registry: self, native, release: sys::k2k_kernel_release })
    }

    /// GPU memory that is released when the guard is dropped.
    pub fn lease_gpu_memory(&self, tenant_id: TenantId, bytes: u64) -> Result<Lease<'_>> {
        let mut native = sys::k2k_lease::default();
        asked(|verdict| unsafe { sys::k2k_gpu_memory_acquire(self.handle, tenant_id, bytes, &mut native, verdict) })?;
        Ok(Lease { registry: self, native, release: sys::k2k_gpu_memory_release })
    }

    // ---- audit ----------------------------------------------------------------------------------------------------

    /// Do they differ?
    pub fn is_cross_tenant(&self, from: TenantId, to: TenantId) -> bool {
        unsafe { sys::k2k_is_cross_tenant(from, to) != 0 }
    }

    /// Counts and audits a rejected cross-tenant attempt.
    pub fn audit_cross_tenant(
        &self,
        from_tenant: TenantId,
        to_tenant: TenantId,
        source_kernel: &str,
        destination_kernel: &str,
        audit_tag: AuditTag,
    ) -> Result<()> {
        let (source, destination) = (c_string(source_kernel)?, c_string(destination_kernel)?);
        answered(unsafe {
            sys::k2k_audit_cross_tenant(
                self.handle,
                from_tenant,
                to_tenant,
                source.as_ptr(),
                destination.as_ptr(),
                audit_tag.native(),
            )
        })
    }
}

impl Drop for TenantRegistry {
    fn drop(&mut self) {
        self.detach();
    }
}

impl fmt::Debug for TenantRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantRegistry")
            .field("name", &self.name)
            .field("role", &self.role)
            .field("tenants", &self.tenant_count().ok())
            .field("has_audit_sink", &!self.sink.is_null())
            .finish()
    }
}

pub(crate) fn asked(call: impl FnOnce(*mut sys::k2k_verdict) -> c_int) -> Result<Verdict> {
    let mut verdict = sys::k2k_verdict::default();
    match call(&mut verdict) {
        0 => Ok(verdict.into()),
        code => Err(Error::new(code, Some(verdict.into()))),
    }
}

/// Calls again with more room until all elements fit. `first` has its size set, if it is a struct.
fn list<T: Copy>(first: T, mut call: impl FnMut(*mut T, usize, *mut usize) -> c_int) -> Result<Vec<T>> {
    let mut room = 64;
    loop {
        let (mut items, mut count) = (vec![first; room], 0);
        answered(call(items.as_mut_ptr(), room, &mut count))?;
        if count <= room {
            items.truncate(count);
            return Ok(items);
        }
        room = count + count / 8;
    }
}

pub(crate) fn infos<N: Copy + Default, I: for<'a> From<&'a N>>(
    call: impl FnMut(*mut N, usize, *mut usize) -> c_int,
) -> Result<Vec<I>> {
    Ok(list(N::default(), call)?.iter().map(I::from).collect())
}

/// Ends the batch when it is dropped, in the thread that began it.
pub struct Batch<'a> {
    registry: &'a TenantRegistry,
    _of_this_thread: PhantomData<*const ()>,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        unsafe { sys::k2k_batch_end(self.registry.handle) };
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Batch").field(&self.registry.name).finish()
    }
}

/// Releases what was acquired when it is dropped.
pub struct Lease<'a> {
    registry: &'a TenantRegistry,
    native: sys::k2k_lease,
    release: unsafe extern "C" fn(*mut sys::k2k_registry, *mut sys::k2k_lease) -> c_int,
}

impl Lease<'_> {
    /// Does what dropping does, and returns an error if it fails: [`Code::Stale`](crate::Code::Stale) if the tenant is gone.
    pub fn release(mut self) -> Result<()> {
        let code = self.give_back();
        std::mem::forget(self);
        answered(code)
    }

    /// Kernels (1) or bytes.
    pub fn amount(&self) -> u64 {
        self.native.amount
    }

    fn give_back(&mut self) -> c_int {
        unsafe { (self.release)(self.registry.handle, &mut self.native) }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl fmt::Debug for Lease<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("tenant_id", &self.native.id).field("amount", &self.native.amount).finish()
    }
}

/// Removes a registry; calls on open handles then return [`Code::Fenced`](crate::Code::Fenced). `force`: also with brokers
/// attached.
pub fn destroy(name: &str, force: bool, options: &OpenOptions) -> Result<()> {
    let (native, _actor) = options.native()?;
    let text = c_string(name)?;
    let flags = if force { sys::K2K_DESTROY_FORCE } else { 0 };
    answered(unsafe { sys::k2k_registry_destroy(text.as_ptr(), flags, &native) })
}

/// The library's version.
pub fn version() -> &'static str {
    // SAFETY: a constant of the library
    unsafe { CStr::from_ptr(sys::k2k_version()) }.to_str().unwrap_or("")
}
