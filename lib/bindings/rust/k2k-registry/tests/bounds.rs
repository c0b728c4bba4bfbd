// SPDX-License-Identifier: LGPL-2.1-or-later
//! Tests the limits: periods, bursts, shadow, thresholds, suspension, names, budgets that renew, corrections, reservations, clocks.
mod common;

use common::{code, error, fresh_name, Fixture};
use k2k_registry::{
    destroy, AuditTag, Code, CreateOptions, OpenOptions, RatePeriod, Renewal, Role, SimulatedClock, TenantQuota, TenantRegistry,
    TenantUpdate,
};
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
const DAY_NS: u64 = 86_400_000_000_000;

fn tag() -> AuditTag {
    AuditTag::new(1, 7)
}

fn ns(ns: u64) -> Duration {
    Duration::from_nanos(ns)
}

fn quota(rate: u64, rate_period: RatePeriod, burst: Option<u64>) -> TenantQuota {
    TenantQuota { max_messages_per_sec: rate, rate_period, burst, ..Default::default() }
}

#[test]
fn a_rate_has_a_period_and_a_burst() {
    let reg = Fixture::new();
    reg.admin.register(1, quota(30, RatePeriod::Minute, None)).unwrap();
    reg.admin.register(2, quota(5, RatePeriod::Hour, Some(20))).unwrap();
    let (window, bucket) = (reg.admin.get(1).unwrap().unwrap(), reg.admin.get(2).unwrap().unwrap());
    assert_eq!((window.max_messages_per_sec, window.rate_period, window.burst), (30, RatePeriod::Minute, None));
    assert_eq!((bucket.max_messages_per_sec, bucket.rate_period, bucket.burst), (5, RatePeriod::Hour, Some(20)));
    reg.broker.admit(1, tag(), 30).unwrap();
    assert_eq!(code(reg.broker.admit(1, tag(), 1)), Code::Rate);
    reg.broker.admit(2, tag(), 20).unwrap();
    let rejected = error(reg.broker.admit(2, tag(), 1));
    assert!(rejected.verdict().unwrap().retry_after.unwrap() > 60 * SECOND);
}

#[test]
fn a_share_is_in_force_while_shares_hold() {
    let reg = Fixture::new();
    reg.admin.register(1, TenantQuota { rate_alone: Some(2), ..quota(5, RatePeriod::Second, None) }).unwrap();
    assert_eq!(reg.admin.get(1).unwrap().unwrap().rate_alone, Some(2));
    reg.admin.hold_shares(3, 0).unwrap();
    assert!(!reg.admin.get(1).unwrap().unwrap().rate_holds);
    reg.admin.hold_shares(3, reg.admin.shares().unwrap().now_ns + 3_600_000_000_000).unwrap();
    assert!(reg.broker.get(1).unwrap().unwrap().rate_holds);
    assert_eq!(reg.broker.shares().unwrap().epoch, 3);
    assert_eq!(code(reg.admin.hold_shares(2, 0)), Code::Stale);
    reg.admin.update(1, &TenantUpdate { max_messages_per_sec: Some(7), ..Default::default() }).unwrap();
    assert_eq!(reg.admin.get(1).unwrap().unwrap().rate_alone, None);
}

#[test]
fn an_update_of_a_rate_names_all_of_it() {
    let reg = Fixture::new();
    let named = TenantQuota { name: Some("vision-team".into()), ..quota(30, RatePeriod::Minute, None) };
    reg.admin.register(1, named).unwrap();
    let alone = [
        TenantUpdate { burst: Some(5), ..Default::default() },
        TenantUpdate { rate_alone: Some(5), ..Default::default() },
        TenantUpdate { rate_period: RatePeriod::Day, ..Default::default() },
        TenantUpdate { renewals: [(7, Renewal::Day)].into(), ..Default::default() },
    ];
    for update in alone {
        assert_eq!(code(reg.admin.update(1, &update)), Code::Invalid);
    }
    let update = TenantUpdate {
        max_messages_per_sec: Some(7),
        rate_period: RatePeriod::Day,
        burst: Some(5),
        shadow: Some(true),
        ..Default::default()
    };
    reg.admin.update(1, &update).unwrap();
    let info = reg.admin.get(1).unwrap().unwrap();
    assert_eq!((info.max_messages_per_sec, info.rate_period, info.burst), (7, RatePeriod::Day, Some(5)));
    assert_eq!((info.shadow, info.name.as_deref()), (true, Some("vision-team")));
    reg.admin.update(1, &TenantUpdate { max_messages_per_sec: Some(8), name: Some(None), ..Default::default() }).unwrap();
    let info = reg.admin.get(1).unwrap().unwrap();
    assert_eq!((info.rate_period, info.burst, info.shadow, info.name), (RatePeriod::Second, None, true, None));
}

#[test]
fn thresholds_are_reached_and_removed() {
    let reg = Fixture::new();
    let wrong = TenantQuota { alerts: [80, 50, 0, 0], ..Default::default() };
    assert_eq!(code(reg.admin.register(1, wrong)), Code::Invalid);
    let watched = TenantQuota { alerts: [50, 80, 0, 0], ..quota(10, RatePeriod::Day, None) };
    reg.admin.register(1, watched.with_engagement_budget(7, ns(100))).unwrap();
    reg.broker.admit(1, tag(), 5).unwrap();
    reg.broker.track_usage(1, tag(), ns(80)).unwrap();
    let info = reg.admin.get(1).unwrap().unwrap();
    assert_eq!((info.alerts, info.alerted_rate), ([50, 80, 0, 0], 50));
    assert_eq!(reg.admin.budgets(1).unwrap()[0].alerted, 80);
    reg.admin.update(1, &TenantUpdate { shadow: Some(true), ..Default::default() }).unwrap();
    assert_eq!(reg.admin.get(1).unwrap().unwrap().alerts, [50, 80, 0, 0]);
    reg.admin.update(1, &TenantUpdate { alerts: Some([0; 4]), ..Default::default() }).unwrap();
    assert_eq!(reg.admin.get(1).unwrap().unwrap().alerts, [0; 4]);
}

#[test]
fn shadow_passes_and_says_what_it_would_have_been() {
    let reg = Fixture::new();
    reg.admin.register(1, TenantQuota { shadow: true, ..quota(2, RatePeriod::Hour, None) }).unwrap();
    let codes: Vec<_> = (0..4).map(|_| reg.broker.admit(1, tag(), 1).unwrap().shadow_code).collect();
    assert_eq!(codes, [None, None, Some(Code::Rate), Some(Code::Rate)]);
    let info = reg.admin.get(1).unwrap().unwrap();
    assert_eq!((info.shadow_rejected_total.rate, info.rejected_total.rate, info.admitted_total), (2, 0, 2));
    reg.admin.update(1, &TenantUpdate { shadow: Some(false), ..Default::default() }).unwrap();
    assert_eq!(code(reg.broker.admit(1, tag(), 1)), Code::Rate);
}

#[test]
fn a_suspended_tenant_is_refused_until_it_is_resumed() {
    let reg = Fixture::new();
    reg.admin.register(1, TenantQuota::default()).unwrap();
    let lease = reg.broker.lease_kernel_slot(1).unwrap();
    reg.admin.suspend(1).unwrap();
    let rejected = error(reg.broker.admit(1, tag(), 1));
    assert!(rejected.code() == Code::Suspended && rejected.code().is_rejection());
    assert_eq!(rejected.to_string(), "the tenant is suspended");
    assert_eq!(code(reg.broker.lease_kernel_slot(1)), Code::Suspended);
    reg.broker.track_usage(1, tag(), ns(5)).unwrap();
    let info = reg.admin.get(1).unwrap().unwrap();
    assert_eq!((info.suspended, info.suspended_rejected_total), (true, 2));
    assert_eq!(code(reg.admin.drain(1, Some(Duration::ZERO))), Code::Busy);
    drop(lease);
    reg.admin.drain(1, None).unwrap();
    reg.admin.resume(1).unwrap();
    reg.broker.admit(1, tag(), 1).unwrap();
}

#[test]
fn a_name_is_of_one_tenant() {
    let reg = Fixture::new();
    let named = TenantQuota { name: Some("träger".into()), ..Default::default() };
    reg.admin.register(1, named.clone()).unwrap();
    assert_eq!(reg.broker.find_name("träger").unwrap(), Some(1));
    assert_eq!(reg.broker.find_name("other").unwrap(), None);
    assert_eq!(code(reg.admin.register(2, named)), Code::Exists);
    assert_eq!(code(reg.broker.find_name("a\0b")), Code::Invalid);
    assert_eq!(code(reg.broker.find_name("a\nb")), Code::Invalid);
}

#[test]
fn corrections_stand_beside_what_was_booked() {
    let reg = Fixture::new();
    reg.admin.register(1, TenantQuota::default().with_engagement_budget(7, ns(100))).unwrap();
    reg.broker.track_usage(1, tag(), ns(90)).unwrap();
    for _ in 0..2 {
        reg.admin.correct_usage(1, tag(), -40, "a run that failed", 5).unwrap();
    }
    let usage = reg.admin.usage(1).unwrap();
    assert_eq!((usage[0].gpu_ns, usage[0].corrected_ns, reg.admin.budgets(1).unwrap()[0].used_ns), (90, -40, 50));
    assert_eq!(code(reg.admin.correct_usage(1, tag(), -1, "another", 5)), Code::Exists);
    assert_eq!(code(reg.admin.correct_usage(1, tag(), -51, "too much", 0)), Code::Invalid);
    assert_eq!(reg.admin.deregister_with_totals(1).unwrap().corrected_ns, -40);
}

#[test]
fn a_reservation_is_booked_once_or_not_at_all() {
    let reg = Fixture::new();
    reg.admin.register(1, TenantQuota::default().with_engagement_budget(7, ns(100))).unwrap();
    let first = reg.broker.reserve_usage(1, tag(), ns(60)).unwrap();
    assert_eq!((first.reserved(), first.verdict().used), (ns(60), 60));
    assert_eq!(reg.admin.reserved_usage(1, tag()).unwrap(), ns(60));
    let rejected = error(reg.broker.reserve_usage(1, tag(), ns(41)));
    assert_eq!((rejected.code(), rejected.verdict().unwrap().limit), (Code::Budget, 100));
    assert_eq!(first.commit(ns(50)).unwrap(), Duration::ZERO);
    // dropped: cancelled
    drop(reg.broker.reserve_usage(1, tag(), ns(50)).unwrap());
    reg.broker.reserve_usage(1, tag(), ns(50)).unwrap().cancel().unwrap();
    assert_eq!(reg.broker.reserve_usage(1, tag(), ns(50)).unwrap().commit(ns(70)).unwrap(), ns(20));
    assert_eq!(reg.admin.reserved_usage(1, tag()).unwrap(), Duration::ZERO);
    assert_eq!(reg.admin.get_engagement_cost(tag()).unwrap(), ns(120));
}

#[test]
fn a_reservation_ends_with_its_tenant() {
    let reg = Fixture::new();
    reg.admin.register(1, TenantQuota::default().with_engagement_budget(7, ns(100))).unwrap();
    let (first, second) = (reg.broker.reserve_usage(1, tag(), ns(50)).unwrap(), reg.broker.reserve_usage(1, tag(), ns(50)).unwrap());
    assert_eq!(code(reg.broker.admit(1, tag(), 1)), Code::Budget);
    reg.admin.deregister(1).unwrap();
    assert_eq!(code(first.commit(ns(5))), Code::Gone);
    drop(second);
}

#[test]
fn a_renewal_needs_a_budget() {
    let reg = Fixture::new();
    let without = TenantQuota { renewals: [(7, Renewal::Day)].into(), ..Default::default() };
    assert_eq!(code(reg.admin.register(1, without)), Code::Invalid);
    reg.admin.register(1, TenantQuota::default().with_renewing_budget(7, SECOND, Renewal::Day)).unwrap();
    reg.admin.set_budget(1, 8, SECOND).unwrap();
    reg.admin.set_renewing_budget(1, 9, SECOND, Renewal::Month).unwrap();
    let mut renewals: Vec<_> = reg.admin.budgets(1).unwrap().iter().map(|b| (b.engagement_id, b.renewal)).collect();
    renewals.sort_by_key(|renewal| renewal.0);
    assert_eq!(renewals, [(7, Renewal::Day), (8, Renewal::Never), (9, Renewal::Month)]);
    assert_eq!(code(reg.admin.budget_history(1, AuditTag::new(0, 8))), Code::NoBudget);
    assert_eq!(code(reg.admin.set_renewing_budget(1, 9, SECOND, Renewal::Other(17))), Code::Invalid);
}

#[test]
fn a_year_of_renewals_takes_no_time() {
    let (name, clock) = (fresh_name(), Arc::new(SimulatedClock::new(1_000_000_000_000, 20_000 * DAY_NS)));
    let create = CreateOptions { max_tenants: 4, clock: Some(clock.clone()), ..Default::default() };
    let open = OpenOptions { clock: Some(clock.clone()), ..Default::default() };
    let admin = TenantRegistry::create_with(&name, &create).unwrap();
    let broker = TenantRegistry::open_with(&name, Role::Broker, &open).unwrap();
    assert!(broker.info().unwrap().is_simulated);
    assert_eq!(code(TenantRegistry::open(&name, Role::Observer)), Code::Invalid);
    admin.register(1, TenantQuota::default().with_renewing_budget(7, SECOND, Renewal::Day)).unwrap();
    for day in 0..365 {
        broker.admit(1, tag(), 1).unwrap();
        broker.track_usage(1, tag(), SECOND + ns(day)).unwrap();
        let rejected = error(broker.admit(1, tag(), 1));
        assert_eq!((rejected.code(), rejected.verdict().unwrap().retry_after), (Code::Budget, Some(DAY)));
        clock.advance(DAY);
    }
    let history = admin.budget_history(1, tag()).unwrap();
    let told: Vec<_> = history.iter().map(|use_| (use_.period, use_.began_at_ns / DAY_NS, use_.used_ns, use_.is_final)).collect();
    let expected: Vec<_> = (353..365).map(|day| (day + 1, 20_000 + day, 1_000_000_000 + day, day < 364)).collect();
    assert_eq!(told, expected);
    admin.renew_budget(1, tag()).unwrap();
    assert_eq!(admin.budgets(1).unwrap()[0].used_ns, 0);
    // a bucket fills by the clock
    admin.register(2, quota(60, RatePeriod::Hour, Some(2))).unwrap();
    broker.admit(2, tag(), 2).unwrap();
    let wait = error(broker.admit(2, tag(), 1)).verdict().unwrap().retry_after.unwrap();
    clock.advance(wait - SECOND);
    assert_eq!(code(broker.admit(2, tag(), 1)), Code::Rate);
    clock.advance(SECOND);
    broker.admit(2, tag(), 1).unwrap();
    // it steps back for nobody
    let now = clock.wall_ns();
    clock.set_wall(5);
    assert_eq!(clock.wall_ns(), now);
    drop((broker, admin));
    destroy(&name, false, &OpenOptions::default()).unwrap();
}
