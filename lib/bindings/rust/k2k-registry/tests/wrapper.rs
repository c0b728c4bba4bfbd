// SPDX-License-Identifier: LGPL-2.1-or-later
//! Tests what the wrapper adds to the C interface: ownership, errors, lists, and sinks that may panic.
mod common;

use common::{code, error, fresh_name, Fixture};
use k2k_registry::{
    destroy, version, AuditEvent, AuditTag, Code, CreateOptions, OpenOptions, Role, TenantQuota, TenantRegistry, TenantUpdate,
    UNSPECIFIED_TENANT,
};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

fn kernels(limit: u32) -> TenantQuota {
    TenantQuota { max_concurrent_kernels: limit, ..Default::default() }
}

#[test]
fn the_crates_have_the_version_of_the_library() {
    assert_eq!(version(), env!("CARGO_PKG_VERSION"));
}

#[test]
fn tables_have_the_sizes_that_were_asked_for() {
    let options = CreateOptions { max_tenants: 7, max_engagements: 100, max_leases: 50, max_budgets: 30, max_audit_events: 64, ..Default::default() };
    let name = fresh_name();
    let info = TenantRegistry::create_with(&name, &options).unwrap().info().unwrap();
    let sizes = [info.tenants, info.engagements, info.leases, info.budgets].map(|table| table.capacity);
    assert_eq!((sizes, info.max_audit_events), ([7, 100, 50, 30], 64));
    destroy(&name, false, &OpenOptions::default()).unwrap();
}

#[test]
fn a_lease_ends_with_its_guard() {
    let reg = Fixture::new();
    reg.admin.register(1, TenantQuota { max_gpu_memory_bytes: 100, ..kernels(1) }).unwrap();
    let lease = reg.broker.lease_kernel_slot(1).unwrap();
    let err = error(reg.broker.lease_kernel_slot(1));
    assert_eq!((err.code(), err.verdict().unwrap().limit), (Code::Kernels, 1));
    assert_eq!(reg.admin.leases(1).unwrap()[0].kernels, 1);
    drop(lease);
    reg.broker.lease_kernel_slot(1).unwrap().release().unwrap();
    assert_eq!(code(reg.broker.release_kernel_slot(1)), Code::NotHeld);
    let memory = reg.broker.lease_gpu_memory(1, 60).unwrap();
    assert_eq!(code(reg.broker.lease_gpu_memory(1, 41)), Code::GpuMemory);
    reg.broker.lease_gpu_memory(1, 40).unwrap();
    reg.admin.deregister(1).unwrap();
    assert_eq!(code(memory.release()), Code::Stale);
}

#[test]
fn a_dropped_handle_is_detached() {
    let reg = Fixture::new();
    reg.admin.register(1, kernels(1)).unwrap();
    let other = TenantRegistry::open(&reg.name, Role::Broker).unwrap();
    other.acquire_kernel_slot(1).unwrap();
    assert_eq!(reg.admin.brokers().unwrap().len(), 2);
    drop(other);
    assert_eq!(reg.admin.brokers().unwrap().len(), 1);
    reg.broker.acquire_kernel_slot(1).unwrap();
    TenantRegistry::open(&reg.name, Role::Observer).unwrap().close().unwrap();
}

#[test]
fn an_update_changes_what_is_named() {
    let reg = Fixture::new();
    let second = Duration::from_secs(1);
    reg.admin.register(1, TenantQuota::default().with_engagement_budget(7, second).with_engagement_budget(8, second)).unwrap();
    let update = TenantUpdate {
        max_messages_per_sec: Some(9),
        per_engagement_budget: [(7, None), (9, Some(second))].into(),
        ..Default::default()
    };
    reg.admin.update(1, &update).unwrap();
    let info = reg.broker.get(1).unwrap().unwrap();
    assert_eq!((info.max_messages_per_sec, info.max_concurrent_kernels), (9, 16));
    let mut budgets: Vec<_> = reg.broker.budgets(1).unwrap().iter().map(|b| (b.engagement_id, b.budget_ns)).collect();
    budgets.sort_unstable();
    assert_eq!(budgets, [(8, 1_000_000_000), (9, 1_000_000_000)]);
    assert_eq!(reg.broker.get(2).unwrap(), None);
}

#[test]
fn lists_grow_with_what_there_is() {
    let reg = Fixture::new();
    let batch = reg.admin.batch().unwrap();
    assert_eq!(code(reg.admin.batch()), Code::Invalid);
    for tenant in 1..=500 {
        reg.admin.register(tenant, TenantQuota::standard()).unwrap();
    }
    drop(batch);
    let mut ids = reg.broker.tenant_ids().unwrap();
    ids.sort_unstable();
    assert_eq!(ids, (1..=500).collect::<Vec<_>>());
    for tenant in 1..=500 {
        reg.broker.track_usage(tenant, AuditTag::new(0, tenant), Duration::from_nanos(tenant)).unwrap();
    }
    let usage = reg.broker.usage(UNSPECIFIED_TENANT).unwrap();
    assert_eq!(usage.len(), 500);
    assert!(usage.iter().all(|usage| usage.gpu_ns == usage.tenant_id && usage.engagement_id == usage.tenant_id));
    // the batch has ended: another handle gets the writer's lock
    TenantRegistry::open(&reg.name, Role::Admin).unwrap().register(501, TenantQuota::standard()).unwrap();
}

#[test]
fn final_totals_hold_what_was_booked() {
    let reg = Fixture::new();
    reg.admin.register(1, TenantQuota::standard()).unwrap();
    reg.broker.admit(1, AuditTag::default(), 3).unwrap();
    reg.broker.track_usage(1, AuditTag::default(), Duration::from_nanos(5)).unwrap();
    let totals = reg.admin.deregister_with_totals(1).unwrap();
    assert_eq!((totals.admitted_total, totals.gpu_ns_total, totals.is_final), (3, 5, true));
}

#[test]
fn errors_say_what_lies_behind_them() {
    let reg = Fixture::new();
    let err = error(destroy(&reg.name, false, &OpenOptions::default()));
    assert_eq!((err.code(), err.detail().unwrap().pid), (Code::Busy, u64::from(std::process::id())));
    assert_eq!(err.to_string(), err.detail().unwrap().text);
    assert_eq!(code(reg.broker.register(1, TenantQuota::default())), Code::Role);
    assert_eq!(code(TenantRegistry::open(&fresh_name(), Role::Observer)), Code::NoRegistry);
    assert_eq!(code(TenantRegistry::open("a\0b", Role::Observer)), Code::Invalid);
    assert_eq!(Code::Rate.to_string(), error_text(Code::Rate));
    assert_eq!(Code::from_number(-4000), Code::Other(-4000));
    let info = reg.broker.info().unwrap();
    assert_eq!((info.name.as_str(), info.brokers, info.tenants.used), (reg.name.as_str(), 1, 0));
}

fn error_text(code: Code) -> String {
    let text = code.to_string();
    assert!(text.len() > 5 && Code::from_number(code.number()) == code);
    text
}

#[test]
fn a_sink_is_dropped_when_it_is_replaced() {
    let mut reg = Fixture::new();
    let count = Arc::new(AtomicU64::new(0));
    let (first, second) = (count.clone(), count.clone());
    reg.broker.set_audit_sink(Arc::new(move |_: &AuditEvent| { first.fetch_add(1, Ordering::Relaxed); })).unwrap();
    reg.broker.audit_cross_tenant(1, 2, "a", "b", AuditTag::default()).unwrap();
    assert_eq!(Arc::strong_count(&count), 3);
    reg.broker.set_audit_sink(Arc::new(move |_: &AuditEvent| { second.fetch_add(10, Ordering::Relaxed); })).unwrap();
    assert_eq!(Arc::strong_count(&count), 2);
    // another one: a repeat would only be counted at first
    reg.broker.audit_cross_tenant(3, 4, "a", "b", AuditTag::default()).unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 11);
    drop(reg);
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn what_a_sink_counted_is_exact_when_the_handle_is_gone() {
    let mut reg = Fixture::new();
    reg.admin.register(1, TenantQuota { max_messages_per_sec: 0, ..Default::default() }).unwrap();
    let count = Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    reg.broker.set_audit_sink(Arc::new(move |event: &AuditEvent| {
        assert_eq!(event.code, Some(Code::Rate));
        counted.fetch_add(event.count, Ordering::Relaxed);
    })).unwrap();
    for _ in 0..1000 {
        assert_eq!(code(reg.broker.admit(1, AuditTag::default(), 1)), Code::Rate);
    }
    drop(reg);
    assert_eq!(count.load(Ordering::Relaxed), 1000);
}

#[test]
fn a_panic_in_a_sink_ends_there() {
    let mut reg = Fixture::new();
    reg.broker.set_audit_sink(Arc::new(|_: &AuditEvent| panic!("this is part of the test"))).unwrap();
    reg.broker.audit_cross_tenant(1, 2, "a", "b", AuditTag::default()).unwrap();
    assert_eq!(reg.broker.info().unwrap().cross_tenant_total, 1);
}

#[test]
fn a_handle_may_be_dropped_in_its_own_sink() {
    let reg = Fixture::new();
    let known: Arc<Mutex<Weak<TenantRegistry>>> = Arc::default();
    let (has_it, other_has_it) = channel();
    let (dropped, other_dropped) = channel();
    let (done, other_done) = channel();
    let in_sink = (known.clone(), Mutex::new((has_it, other_dropped, done)));
    let caller = std::thread::current().id();
    let sink = move |_: &AuditEvent| {
        // repeats that were counted come in a thread of the handle, where nobody holds it
        if std::thread::current().id() != caller {
            let (has_it, other_dropped, done) = &*in_sink.1.lock().unwrap();
            let last = in_sink.0.lock().unwrap().upgrade().unwrap();
            has_it.send(()).unwrap();
            other_dropped.recv().unwrap();
            drop(last);
            done.send(()).unwrap();
        }
    };
    let other = TenantRegistry::open(&reg.name, Role::Broker).unwrap().with_audit_sink(Arc::new(sink)).unwrap();
    let other = Arc::new(other);
    *known.lock().unwrap() = Arc::downgrade(&other);
    // a second may end between two of them
    for _ in 0..3 {
        other.audit_cross_tenant(1, 2, "a", "b", AuditTag::default()).unwrap();
    }
    other_has_it.recv().unwrap();
    drop(other);
    dropped.send(()).unwrap();
    other_done.recv().unwrap();
    // it could not be closed there, and stays
    assert_eq!(reg.admin.brokers().unwrap().len(), 2);
}

#[test]
fn threads_share_a_handle() {
    let reg = Fixture::new();
    reg.admin.register(1, kernels(8)).unwrap();
    let held = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..4 {
                    if let Ok(lease) = reg.broker.lease_kernel_slot(1) {
                        held.fetch_add(lease.amount(), Ordering::Relaxed);
                        std::mem::forget(lease);
                    }
                }
            });
        }
    });
    assert_eq!(held.load(Ordering::Relaxed), 8);
    assert_eq!(reg.broker.get(1).unwrap().unwrap().current_kernels, 8);
}

#[test]
fn a_registry_says_how_many_tenants_it_has_and_whether_there_is_a_sink() {
    let mut reg = Fixture::new();
    reg.admin.register(1, kernels(1)).unwrap();
    let expected = |has: bool| format!("TenantRegistry {{ name: {:?}, role: Broker, tenants: Some(1), has_audit_sink: {} }}", reg.name, has);
    let (without, with) = (expected(false), expected(true));
    assert_eq!(format!("{:?}", reg.broker), without);
    assert!(!reg.broker.info().unwrap().has_audit_sink);
    reg.broker.set_audit_sink(Arc::new(|_: &AuditEvent| ())).unwrap();
    assert_eq!(format!("{:?}", reg.broker), with);
    assert!(reg.broker.info().unwrap().has_audit_sink);
    assert!(!reg.admin.info().unwrap().has_audit_sink);
}
