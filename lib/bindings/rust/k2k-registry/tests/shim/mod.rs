// SPDX-License-Identifier: LGPL-2.1-or-later
//! The interface of the single-process registry that this one took over from, on two handles of a registry in shared memory:
//! so that its tests, and programs that were written for it, run as they are.
use super::common::fresh_name;
use k2k_registry::{
    destroy, AuditSink, AuditTag, Code, Error, OpenOptions, Role, TenantId, TenantInfo, TenantQuota,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub enum RingKernelError {
    InvalidConfig(String),
    LoadSheddingRejected { level: String },
}

pub type Result<T> = std::result::Result<T, RingKernelError>;

pub struct TenantRegistry {
    admin: k2k_registry::TenantRegistry,
    broker: k2k_registry::TenantRegistry,
    has_audit_sink: bool,
}

/// What the reference can't answer has no answer here either.
fn expected<T>(result: k2k_registry::Result<T>) -> T {
    result.unwrap_or_else(|err| panic!("{:?}: {}", err.code(), err))
}

/// What it takes for no error: where the tenant is unknown, or nothing is held, nothing is done.
fn ignored(result: k2k_registry::Result<()>) {
    match result {
        Err(err) if matches!(err.code(), Code::NoTenant | Code::NotHeld) => (),
        other => expected(other),
    }
}

fn told(tenant_id: TenantId, tag: AuditTag, err: Error) -> RingKernelError {
    let rejected = |what: String| RingKernelError::LoadSheddingRejected { level: format!("tenant {} {}", tenant_id, what) };
    let numbers = err.verdict().map_or((0, 0), |verdict| (verdict.used, verdict.limit));
    match err.code() {
        Code::NoTenant => RingKernelError::InvalidConfig(format!("tenant {} not registered", tenant_id)),
        Code::Exists => RingKernelError::InvalidConfig(err.to_string()),
        Code::Rate => rejected(format!("message-rate: {}/{}", numbers.0, numbers.1)),
        Code::Kernels => rejected(format!("kernel-slots: {}/{}", numbers.0, numbers.1)),
        Code::Budget => rejected(format!("engagement {} budget exceeded: {}ns >= {}ns", tag.engagement_id, numbers.0, numbers.1)),
        other => panic!("{:?}: {}", other, err),
    }
}

impl TenantRegistry {
    pub fn new() -> Self {
        let name = fresh_name();
        let admin = expected(k2k_registry::TenantRegistry::create(&name));
        let broker = expected(k2k_registry::TenantRegistry::open(&name, Role::Broker));
        TenantRegistry { admin, broker, has_audit_sink: false }
    }

    pub fn with_audit_sink(sink: Arc<dyn AuditSink>) -> Self {
        let mut registry = TenantRegistry::new();
        registry.set_audit_sink(sink);
        registry
    }

    /// Told of rejections, as there; changes are told by the handle that makes them.
    pub fn set_audit_sink(&mut self, sink: Arc<dyn AuditSink>) {
        expected(self.broker.set_audit_sink(sink));
        self.has_audit_sink = true;
    }

    pub fn register(&self, tenant_id: TenantId, quota: TenantQuota) -> Result<()> {
        self.admin.register(tenant_id, quota).map_err(|err| told(tenant_id, AuditTag::default(), err))
    }

    pub fn deregister(&self, tenant_id: TenantId) -> bool {
        expected(self.admin.deregister(tenant_id))
    }

    pub fn is_registered(&self, tenant_id: TenantId) -> bool {
        expected(self.broker.is_registered(tenant_id))
    }

    pub fn get(&self, tenant_id: TenantId) -> Option<Arc<TenantInfo>> {
        expected(self.broker.get(tenant_id)).map(Arc::new)
    }

    pub fn tenant_count(&self) -> usize {
        expected(self.broker.tenant_count())
    }

    pub fn tenant_ids(&self) -> Vec<TenantId> {
        expected(self.broker.tenant_ids())
    }

    pub fn check_quota(&self, tenant_id: TenantId, audit_tag: AuditTag) -> Result<()> {
        self.broker.check_quota(tenant_id, audit_tag).map_err(|err| told(tenant_id, audit_tag, err))
    }

    pub fn record_message(&self, tenant_id: TenantId) {
        ignored(self.broker.record_message(tenant_id));
    }

    pub fn track_usage(&self, tenant_id: TenantId, audit_tag: AuditTag, gpu_seconds: Duration) {
        ignored(self.broker.track_usage(tenant_id, audit_tag, gpu_seconds));
    }

    pub fn get_engagement_cost(&self, audit_tag: AuditTag) -> Duration {
        expected(self.broker.get_engagement_cost(audit_tag))
    }

    pub fn get_engagement_cost_for(&self, tenant_id: TenantId, audit_tag: AuditTag) -> Duration {
        expected(self.broker.get_engagement_cost_for(tenant_id, audit_tag))
    }

    pub fn is_cross_tenant(&self, from: TenantId, to: TenantId) -> bool {
        self.broker.is_cross_tenant(from, to)
    }

    pub fn audit_cross_tenant(&self, from: TenantId, to: TenantId, source_kernel: &str, destination_kernel: &str, tag: AuditTag) {
        expected(self.broker.audit_cross_tenant(from, to, source_kernel, destination_kernel, tag));
    }

    pub fn acquire_kernel_slot(&self, tenant_id: TenantId) -> Result<()> {
        self.broker.acquire_kernel_slot(tenant_id).map_err(|err| told(tenant_id, AuditTag::default(), err))
    }

    pub fn release_kernel_slot(&self, tenant_id: TenantId) {
        ignored(self.broker.release_kernel_slot(tenant_id));
    }

    /// The second that messages are counted in now. Not the reference's: its clock can't be asked.
    pub fn second(&self) -> u64 {
        expected(self.broker.get(expected(self.broker.tenant_ids())[0])).unwrap().window
    }
}

impl Default for TenantRegistry {
    fn default() -> Self {
        TenantRegistry::new()
    }
}

impl fmt::Debug for TenantRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantRegistry").field("tenants", &self.tenant_count()).field("has_audit_sink", &self.has_audit_sink).finish()
    }
}

impl Drop for TenantRegistry {
    fn drop(&mut self) {
        let found = self.admin.check();
        let gone = destroy(self.admin.name(), true, &OpenOptions::default());
        if !std::thread::panicking() {
            assert_eq!(expected(found), []);
            expected(gone);
        }
    }
}
