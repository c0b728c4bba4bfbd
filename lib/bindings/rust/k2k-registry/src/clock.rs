// SPDX-License-Identifier: LGPL-2.1-or-later
use k2k_registry_sys as sys;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The time of a simulated registry, for tests: the monotonic time decides rates, the wall clock (since 1970) the periods of
/// budgets. All handles of the registry need the same clock. Set it between calls; it never steps back.
#[derive(Debug, Default)]
#[repr(C)]
pub struct SimulatedClock {
    monotonic_ns: AtomicU64,
    wall_ns: AtomicU64,
}

impl SimulatedClock {
    pub fn new(monotonic_ns: u64, wall_ns: u64) -> Self {
        SimulatedClock { monotonic_ns: AtomicU64::new(monotonic_ns), wall_ns: AtomicU64::new(wall_ns) }
    }

    pub fn monotonic_ns(&self) -> u64 {
        self.monotonic_ns.load(Ordering::SeqCst)
    }

    pub fn wall_ns(&self) -> u64 {
        self.wall_ns.load(Ordering::SeqCst)
    }

    /// Moves both.
    pub fn advance(&self, by: Duration) {
        let ns = crate::quota::nanoseconds(by);
        self.monotonic_ns.fetch_add(ns, Ordering::SeqCst);
        self.wall_ns.fetch_add(ns, Ordering::SeqCst);
    }

    /// Sets the wall clock alone; a time before the present one is ignored.
    pub fn set_wall(&self, wall_ns: u64) {
        self.wall_ns.fetch_max(wall_ns, Ordering::SeqCst);
    }

    /// As the library sees it: two numbers of 64 bits, which it reads atomically.
    pub(crate) fn native(&self) -> *const sys::k2k_simulated_time {
        (self as *const SimulatedClock).cast()
    }
}

const _: () = assert!(std::mem::size_of::<SimulatedClock>() == std::mem::size_of::<sys::k2k_simulated_time>());
