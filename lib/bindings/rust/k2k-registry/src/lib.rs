// SPDX-License-Identifier: LGPL-2.1-or-later
//! A tenant registry that several processes share.
//!
//! ```no_run
//! use k2k_registry::{AuditTag, Code, Role, TenantQuota, TenantRegistry};
//!
//! let admin = TenantRegistry::create("example")?;
//! let broker = TenantRegistry::open("example", Role::Broker)?;
//! admin.register(42, TenantQuota::standard())?;
//! match broker.admit(42, AuditTag::new(1, 7), 1) {
//!     Ok(verdict) => println!("{} of {} this second", verdict.used, verdict.limit),
//!     Err(error) if error.code() == Code::Rate => println!("{error}"),
//!     Err(error) => return Err(error),
//! }
//! # Ok::<(), k2k_registry::Error>(())
//! ```
//!
//! `<k2k/registry.h>` says what each call promises, and which codes it may return. A handle has one role:
//! [`Role::Admin`] changes definitions, [`Role::Broker`] admits, books and holds leases, [`Role::Observer`] reads; a call
//! that the role does not allow returns [`Code::Role`]. Any thread may use a handle. After a fork the child opens handles
//! of its own.
#![warn(missing_debug_implementations)]

mod audit;
mod clock;
mod error;
mod infos;
mod kernel;
mod quota;
mod registry;
mod reservation;

pub use audit::{AuditEvent, AuditEventType, AuditLevel, AuditSink, MemorySink};
pub use clock::SimulatedClock;
pub use error::{Code, Detail, Error, RefusedRoute, Result, Verdict};
pub use infos::{
    BrokerInfo, BrokerState, BudgetInfo, BudgetUse, Finding, KernelInfo, LeaseInfo, RegistryInfo, Rejected, Repaired, Shares, Table,
    TenantInfo, TenantTotals, UsageInfo,
};
pub use kernel::{Destination, Route};
pub use quota::{AuditTag, RatePeriod, Renewal, TenantQuota, TenantUpdate};
pub use registry::{destroy, version, Batch, CreateOptions, Lease, OpenOptions, Role, TenantRegistry};
pub use reservation::Reservation;

pub type TenantId = u64;

/// Not a registered tenant: always admitted, never counted.
pub const UNSPECIFIED_TENANT: TenantId = k2k_registry_sys::K2K_TENANT_UNSPECIFIED;

/// What is in a C array, up to its zero byte.
fn bytes(array: &[std::os::raw::c_char]) -> Vec<u8> {
    array.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect()
}

fn text(array: &[std::os::raw::c_char]) -> String {
    String::from_utf8_lossy(&bytes(array)).into_owned()
}
