// SPDX-License-Identifier: LGPL-2.1-or-later
//! Tests the directory of kernels: names, moves, and the decision about a message.
mod common;

use common::{code, error, fresh_name, Fixture};
use k2k_registry::{destroy, AuditTag, Code, CreateOptions, OpenOptions, Role, TenantQuota, TenantRegistry};

fn none() -> AuditTag {
    AuditTag::default()
}

fn fixture() -> Fixture {
    let reg = Fixture::new();
    let quota = TenantQuota { max_messages_per_sec: 100, max_concurrent_kernels: 2, ..Default::default() };
    reg.admin.register(42, quota).unwrap();
    reg.admin.register(43, TenantQuota::standard()).unwrap();
    reg
}

#[test]
fn a_name_takes_a_slot_and_gives_it_back() {
    let reg = fixture();
    assert_eq!(reg.broker.add_kernel("a", 42, AuditTag::new(1, 7), [8, 9]).unwrap().used, 1);
    let kernel = reg.admin.find_kernel("a").unwrap().unwrap();
    assert_eq!((&kernel.name[..], kernel.tenant_id, kernel.address), (&b"a"[..], Some(42), [8, 9]));
    assert_eq!((kernel.audit_tag, kernel.pid), (AuditTag::new(1, 7), u64::from(std::process::id())));
    assert_eq!(reg.admin.kernels(42).unwrap(), [kernel]);
    reg.broker.add_kernel("b", 42, none(), [0, 0]).unwrap();
    let rejected = error(reg.broker.add_kernel("c", 42, none(), [0, 0]));
    assert_eq!((rejected.code(), rejected.verdict().unwrap().limit), (Code::Kernels, 2));
    assert_eq!(code(reg.broker.release_kernel_slot(42)), Code::NotHeld);
    reg.broker.add_kernel("a", 43, none(), [0, 0]).unwrap();
    let held = |id| reg.admin.get(id).unwrap().unwrap().current_kernels;
    assert_eq!((held(42), held(43)), (1, 1));
    reg.broker.remove_kernel("a").unwrap();
    assert_eq!(code(reg.broker.remove_kernel("a")), Code::NoKernel);
    assert_eq!(reg.admin.find_kernel("a").unwrap(), None);
    assert_eq!(reg.admin.kernels(0).unwrap().len(), 1);
}

#[test]
fn names_are_any_bytes_but_zero() {
    let reg = fixture();
    reg.broker.add_kernel(b"\xff\x01", 43, none(), [0, 0]).unwrap();
    assert_eq!(reg.admin.kernels(0).unwrap()[0].name, b"\xff\x01");
    for bad in [&b""[..], b"a\0b", &[b'x'; 64]] {
        assert_eq!(code(reg.broker.add_kernel(bad, 43, none(), [0, 0])), Code::Invalid);
    }
}

#[test]
fn messages_reach_another_broker_and_no_other_tenant() {
    let reg = fixture();
    let other = TenantRegistry::open(&reg.name, Role::Broker).unwrap();
    reg.broker.add_kernel("sender", 42, AuditTag::new(1, 7), [0, 0]).unwrap();
    other.add_kernel("receiver", 42, none(), [5, u64::MAX]).unwrap();
    other.add_kernel("foreign", 43, none(), [0, 0]).unwrap();
    let route = reg.broker.route("sender", "receiver", none(), 2).unwrap();
    assert_eq!((route.tenant_id, route.audit_tag, route.from_directory), (42, AuditTag::new(1, 7), true));
    let destination = route.destination.unwrap();
    assert_eq!((destination.tenant_id, destination.address, destination.broker), (42, [5, u64::MAX], 1));
    assert_eq!(route.verdict.used, 2);
    let refused = error(reg.broker.route("sender", "foreign", none(), 1));
    assert_eq!(refused.code(), Code::CrossTenant);
    assert_eq!((refused.route().unwrap().tenant_id, refused.route().unwrap().to_tenant), (42, 43));
    assert_eq!(code(reg.broker.route("receiver", "sender", none(), 1)), Code::NotHeld);
    assert_eq!(code(reg.broker.add_kernel("receiver", 42, none(), [0, 0])), Code::Exists);
    let rejected = error(reg.broker.route("sender", "receiver", none(), 99));
    assert_eq!((rejected.code(), rejected.route()), (Code::Rate, None));
    assert!(rejected.verdict().is_some());
    reg.admin.deregister(43).unwrap();
    assert_eq!(reg.admin.find_kernel("foreign").unwrap().unwrap().tenant_id, None);
    let stale = error(reg.broker.route("sender", "foreign", none(), 1));
    assert!(stale.code() == Code::Stale && stale.route().unwrap().destination_is_stale);
    drop(other);
    assert_eq!(reg.broker.route("sender", "receiver", none(), 1).unwrap().destination, None);
    assert_eq!(reg.admin.info().unwrap().cross_tenant_total, 1);
    assert!(!reg.broker.route("nobody", "none", none(), 1).unwrap().from_directory);
}

#[test]
fn a_strict_registry_refuses_unknown_senders() {
    let name = fresh_name();
    let options = CreateOptions { strict: true, max_kernels: 4, ..Default::default() };
    let admin = TenantRegistry::create_with(&name, &options).unwrap();
    let broker = TenantRegistry::open(&name, Role::Broker).unwrap();
    assert_eq!(code(broker.route("nobody", "none", none(), 1)), Code::NoKernel);
    let info = admin.info().unwrap();
    assert!(info.is_strict && info.max_kernels == 4);
    destroy(&name, true, &OpenOptions::default()).unwrap();
}
