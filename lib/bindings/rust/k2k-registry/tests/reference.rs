// SPDX-License-Identifier: LGPL-2.1-or-later
//! The twelve tests of the single-process registry that this one took over from, by their names.
mod common;

use common::{code, error, Fixture};
use k2k_registry::{AuditEventType, AuditTag, Code, MemorySink, TenantQuota, UNSPECIFIED_TENANT};
use std::sync::Arc;
use std::time::Duration;

#[test]
fn test_register_and_query() {
    let reg = Fixture::new();
    assert_eq!(reg.broker.tenant_count().unwrap(), 0);
    reg.admin.register(1, TenantQuota::default()).unwrap();
    assert!(reg.broker.is_registered(1).unwrap());
    assert_eq!(reg.broker.tenant_count().unwrap(), 1);
}

#[test]
fn test_duplicate_registration_fails() {
    let reg = Fixture::new();
    reg.admin.register(1, TenantQuota::default()).unwrap();
    let err = error(reg.admin.register(1, TenantQuota::default()));
    assert_eq!(err.code(), Code::Exists);
    assert_eq!(err.to_string(), "tenant 1 already registered");
    assert_eq!(reg.broker.tenant_count().unwrap(), 1);
}

#[test]
fn test_deregister() {
    let reg = Fixture::new();
    reg.admin.register(1, TenantQuota::default()).unwrap();
    assert!(reg.admin.deregister(1).unwrap());
    assert!(!reg.broker.is_registered(1).unwrap());
    assert!(!reg.admin.deregister(1).unwrap());
}

#[test]
fn test_unspecified_tenant_fast_path() {
    let reg = Fixture::new();
    reg.broker.check_quota(UNSPECIFIED_TENANT, AuditTag::default()).unwrap();
    reg.broker.record_message(UNSPECIFIED_TENANT).unwrap();
    reg.broker.track_usage(UNSPECIFIED_TENANT, AuditTag::default(), Duration::from_millis(100)).unwrap();
    reg.broker.admit(UNSPECIFIED_TENANT, AuditTag::default(), 1).unwrap();
    assert_eq!(reg.broker.get_engagement_cost(AuditTag::default()).unwrap(), Duration::ZERO);
}

#[test]
fn test_track_usage_and_cost() {
    let reg = Fixture::new();
    reg.admin.register(42, TenantQuota::unlimited()).unwrap();
    let tag_a = AuditTag::new(42, 1);
    let tag_b = AuditTag::new(42, 2);
    reg.broker.track_usage(42, tag_a, Duration::from_millis(250)).unwrap();
    reg.broker.track_usage(42, tag_a, Duration::from_millis(750)).unwrap();
    reg.broker.track_usage(42, tag_b, Duration::from_millis(100)).unwrap();
    assert_eq!(reg.broker.get_engagement_cost_for(42, tag_a).unwrap(), Duration::from_millis(1000));
    assert_eq!(reg.broker.get_engagement_cost_for(42, tag_b).unwrap(), Duration::from_millis(100));
    assert_eq!(reg.broker.get_engagement_cost(tag_a).unwrap(), Duration::from_millis(1000));
}

#[test]
fn test_cross_tenant_engagement_aggregation() {
    let reg = Fixture::new();
    reg.admin.register(1, TenantQuota::unlimited()).unwrap();
    reg.admin.register(2, TenantQuota::unlimited()).unwrap();
    let tag = AuditTag::new(99, 7);
    reg.broker.track_usage(1, tag, Duration::from_millis(500)).unwrap();
    reg.broker.track_usage(2, tag, Duration::from_millis(500)).unwrap();
    assert_eq!(reg.broker.get_engagement_cost(tag).unwrap(), Duration::from_millis(1000));
}

#[test]
fn test_check_quota_message_rate() {
    let reg = Fixture::new();
    let tag = AuditTag::default();
    // a second may end meanwhile: then again, with another tenant
    for tenant in 1..20 {
        let quota = TenantQuota { max_messages_per_sec: 5, ..Default::default() };
        reg.admin.register(tenant, quota).unwrap();
        let window = reg.broker.check_quota_of(tenant, tag, 1).unwrap().window;
        for _ in 0..5 {
            assert!(reg.broker.check_quota(tenant, tag).is_ok());
            reg.broker.record_message(tenant).unwrap();
        }
        match reg.broker.check_quota_of(tenant, tag, 1) {
            Ok(verdict) => assert_ne!(verdict.window, window),
            Err(err) => {
                assert_eq!(err.code(), Code::Rate);
                let verdict = err.verdict().unwrap();
                assert_eq!((verdict.used, verdict.limit), (5, 5));
                return;
            }
        }
    }
    panic!("no second was long enough for five messages");
}

#[test]
fn test_check_quota_engagement_budget() {
    let reg = Fixture::new();
    let quota = TenantQuota::default().with_engagement_budget(7, Duration::from_millis(100));
    reg.admin.register(1, quota).unwrap();
    let tag = AuditTag::new(0, 7);
    assert!(reg.broker.check_quota(1, tag).is_ok());
    reg.broker.track_usage(1, tag, Duration::from_millis(150)).unwrap();
    assert_eq!(code(reg.broker.check_quota(1, tag)), Code::Budget);
}

#[test]
fn test_audit_cross_tenant_logs_event() {
    let mut reg = Fixture::new();
    let sink = Arc::new(MemorySink::new(100));
    reg.broker.set_audit_sink(sink.clone()).unwrap();
    reg.admin.register(1, TenantQuota::default()).unwrap();
    reg.admin.register(2, TenantQuota::default()).unwrap();
    reg.broker.audit_cross_tenant(1, 2, "src", "dst", AuditTag::new(100, 200)).unwrap();
    let events = sink.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event_type, AuditEventType::SecurityViolation);
    assert!(events[0].description.contains("cross-tenant"));
    assert!(events[0].metadata.contains(&("engagement_id".to_string(), "200".to_string())));
    drop(reg);
    assert_eq!(sink.events().len(), 1);
}

#[test]
fn test_kernel_slot_acquire_release() {
    let reg = Fixture::new();
    let quota = TenantQuota { max_concurrent_kernels: 2, ..Default::default() };
    reg.admin.register(1, quota).unwrap();
    assert!(reg.broker.acquire_kernel_slot(1).is_ok());
    assert!(reg.broker.acquire_kernel_slot(1).is_ok());
    assert_eq!(code(reg.broker.acquire_kernel_slot(1)), Code::Kernels);
    reg.broker.release_kernel_slot(1).unwrap();
    assert!(reg.broker.acquire_kernel_slot(1).is_ok());
}

#[test]
fn test_kernel_slot_unregistered_tenant_fails() {
    let reg = Fixture::new();
    assert_eq!(code(reg.broker.acquire_kernel_slot(99)), Code::NoTenant);
}

#[test]
fn test_is_cross_tenant() {
    let reg = Fixture::new();
    assert!(!reg.broker.is_cross_tenant(1, 1));
    assert!(reg.broker.is_cross_tenant(1, 2));
    assert!(reg.broker.is_cross_tenant(UNSPECIFIED_TENANT, 1));
}
