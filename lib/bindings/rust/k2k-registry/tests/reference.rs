// SPDX-License-Identifier: LGPL-2.1-or-later
//! The twelve tests of the single-process registry that this one replaces, with their names and through its interface.
mod common;
mod shim;

use k2k_registry::{AuditEventType, AuditLevel, AuditTag, MemorySink, TenantQuota, UNSPECIFIED_TENANT};
use shim::{RingKernelError, TenantRegistry};
use std::sync::Arc;
use std::time::Duration;

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

/// The text of a rejection by a limit.
fn shed(result: shim::Result<()>) -> String {
    match result {
        Err(RingKernelError::LoadSheddingRejected { level }) => level,
        other => panic!("{:?}", other),
    }
}

/// The text of an error in the request itself.
fn invalid(result: shim::Result<()>) -> String {
    match result {
        Err(RingKernelError::InvalidConfig(text)) => text,
        other => panic!("{:?}", other),
    }
}

#[test]
fn test_register_and_query() {
    let reg = TenantRegistry::new();
    assert_eq!(reg.tenant_count(), 0);
    assert!(!reg.is_registered(1));
    assert!(reg.get(1).is_none());
    reg.register(1, TenantQuota::default()).unwrap();
    assert!(reg.is_registered(1));
    assert_eq!(reg.tenant_count(), 1);
    assert_eq!(reg.tenant_ids(), [1]);
    let info = reg.get(1).unwrap();
    assert_eq!((info.tenant_id, info.current_kernels, info.messages_this_window), (1, 0, 0));
    assert_eq!((info.max_concurrent_kernels, info.max_gpu_memory_bytes, info.max_messages_per_sec), (16, 2 << 30, 100_000));
    assert_eq!(format!("{:?}", reg), "TenantRegistry { tenants: 1, has_audit_sink: false }");
}

#[test]
fn test_duplicate_registration_fails() {
    let reg = TenantRegistry::default();
    reg.register(1, TenantQuota::standard()).unwrap();
    assert_eq!(invalid(reg.register(1, TenantQuota::unlimited())), "tenant 1 already registered");
    assert_eq!(reg.tenant_count(), 1);
    assert_eq!(reg.get(1).unwrap().max_messages_per_sec, 100_000);
}

#[test]
fn test_deregister() {
    let reg = TenantRegistry::new();
    reg.register(1, TenantQuota::default()).unwrap();
    reg.track_usage(1, AuditTag::new(0, 7), ms(1));
    assert!(reg.deregister(1));
    assert!(!reg.is_registered(1));
    assert!(!reg.deregister(1));
    assert_eq!(reg.get_engagement_cost(AuditTag::new(0, 7)), Duration::ZERO);
    assert_eq!(invalid(reg.check_quota(1, AuditTag::default())), "tenant 1 not registered");
}

#[test]
fn test_unspecified_tenant_fast_path() {
    let reg = TenantRegistry::new();
    reg.check_quota(UNSPECIFIED_TENANT, AuditTag::default()).unwrap();
    reg.record_message(UNSPECIFIED_TENANT);
    reg.track_usage(UNSPECIFIED_TENANT, AuditTag::default(), ms(100));
    reg.acquire_kernel_slot(UNSPECIFIED_TENANT).unwrap();
    reg.release_kernel_slot(UNSPECIFIED_TENANT);
    reg.release_kernel_slot(UNSPECIFIED_TENANT);
    assert_eq!(reg.get_engagement_cost(AuditTag::default()), Duration::ZERO);
    assert_eq!(reg.get_engagement_cost_for(UNSPECIFIED_TENANT, AuditTag::default()), Duration::ZERO);
    assert_eq!(reg.tenant_count(), 0);
}

#[test]
fn test_track_usage_and_cost() {
    let reg = TenantRegistry::new();
    reg.register(42, TenantQuota::unlimited()).unwrap();
    let (a, b) = (AuditTag::new(42, 1), AuditTag::new(42, 2));
    reg.track_usage(42, a, ms(250));
    reg.track_usage(42, AuditTag::new(43, 1), ms(750)); // of another organisation: the same engagement
    reg.track_usage(42, b, ms(100));
    reg.track_usage(41, a, ms(9)); // nobody's
    assert_eq!(reg.get_engagement_cost_for(42, a), ms(1000));
    assert_eq!(reg.get_engagement_cost_for(42, b), ms(100));
    assert_eq!(reg.get_engagement_cost_for(42, AuditTag::new(42, 3)), Duration::ZERO);
    assert_eq!(reg.get_engagement_cost_for(41, a), Duration::ZERO);
    assert_eq!(reg.get_engagement_cost(a), ms(1000));
}

#[test]
fn test_cross_tenant_engagement_aggregation() {
    let reg = TenantRegistry::new();
    let tag = AuditTag::new(99, 7);
    for tenant in [1, 2] {
        reg.register(tenant, TenantQuota::unlimited()).unwrap();
        reg.track_usage(tenant, tag, ms(500));
    }
    assert_eq!(reg.get_engagement_cost(tag), ms(1000));
    reg.deregister(2);
    assert_eq!(reg.get_engagement_cost(tag), ms(500));
}

#[test]
fn test_check_quota_message_rate() {
    // a second may end meanwhile: then again
    for _ in 0..20 {
        let reg = TenantRegistry::new();
        reg.register(1, TenantQuota { max_messages_per_sec: 5, ..Default::default() }).unwrap();
        let second = reg.second();
        for _ in 0..5 {
            reg.check_quota(1, AuditTag::default()).unwrap();
            reg.record_message(1);
        }
        let answer = reg.check_quota(1, AuditTag::default());
        if answer.is_err() || reg.second() == second {
            assert_eq!(shed(answer), "tenant 1 message-rate: 5/5");
            return;
        }
    }
    panic!("no second was long enough for five messages");
}

#[test]
fn test_check_quota_engagement_budget() {
    let reg = TenantRegistry::new();
    reg.register(1, TenantQuota::default().with_engagement_budget(7, ms(100))).unwrap();
    let tag = AuditTag::new(0, 7);
    reg.check_quota(1, tag).unwrap();
    reg.track_usage(1, tag, ms(150));
    assert_eq!(shed(reg.check_quota(1, tag)), "tenant 1 engagement 7 budget exceeded: 150000000ns >= 100000000ns");
    reg.check_quota(1, AuditTag::new(0, 8)).unwrap();
}

#[test]
fn test_audit_cross_tenant_logs_event() {
    let sink = Arc::new(MemorySink::new(100));
    let reg = TenantRegistry::with_audit_sink(sink.clone());
    assert_eq!(format!("{:?}", reg), "TenantRegistry { tenants: 0, has_audit_sink: true }");
    reg.register(1, TenantQuota::default()).unwrap();
    reg.register(2, TenantQuota::default()).unwrap();
    reg.audit_cross_tenant(1, 2, "src", "dst", AuditTag::new(100, 200));
    let events = sink.events();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].level, events[0].event_type), (AuditLevel::Security, AuditEventType::SecurityViolation));
    assert_eq!((events[0].actor.as_str(), events[0].target.as_deref()), ("k2k_broker", Some("dst")));
    assert_eq!(events[0].description, "cross-tenant K2K send rejected: from tenant 1 to tenant 2");
    let metadata: Vec<_> = events[0].metadata.iter().map(|(key, value)| format!("{}={}", key, value)).collect();
    assert_eq!(
        metadata.join(" "),
        "from_tenant=1 to_tenant=2 source_kernel=src destination_kernel=dst org_id=100 engagement_id=200"
    );
    drop(reg);
    assert_eq!(sink.events().len(), 1);
}

#[test]
fn test_kernel_slot_acquire_release() {
    let reg = TenantRegistry::new();
    reg.register(1, TenantQuota { max_concurrent_kernels: 2, ..Default::default() }).unwrap();
    reg.acquire_kernel_slot(1).unwrap();
    reg.acquire_kernel_slot(1).unwrap();
    assert_eq!(shed(reg.acquire_kernel_slot(1)), "tenant 1 kernel-slots: 2/2");
    reg.release_kernel_slot(1);
    reg.acquire_kernel_slot(1).unwrap();
    for _ in 0..3 {
        reg.release_kernel_slot(1); // stops at none
    }
    assert_eq!(reg.get(1).unwrap().current_kernels, 0);
}

#[test]
fn test_kernel_slot_unregistered_tenant_fails() {
    let reg = TenantRegistry::new();
    assert_eq!(invalid(reg.acquire_kernel_slot(99)), "tenant 99 not registered");
    reg.release_kernel_slot(99);
}

#[test]
fn test_is_cross_tenant() {
    let reg = TenantRegistry::new();
    assert!(!reg.is_cross_tenant(1, 1));
    assert!(reg.is_cross_tenant(1, 2));
    assert!(reg.is_cross_tenant(UNSPECIFIED_TENANT, 1));
    assert!(!reg.is_cross_tenant(UNSPECIFIED_TENANT, UNSPECIFIED_TENANT));
}
