// SPDX-License-Identifier: LGPL-2.1-or-later
use crate::quota::nanoseconds;
use crate::registry::{answered, asked};
use crate::{AuditTag, Result, TenantId, TenantRegistry, Verdict};
use k2k_registry_sys as sys;
use std::fmt;
use std::os::raw::c_int;
use std::time::Duration;

/// GPU time that is reserved of a budget. Dropping it cancels; so does the end of the handle, or of the process.
#[must_use = "a reservation that is dropped is cancelled"]
pub struct Reservation<'a> {
    registry: &'a TenantRegistry,
    native: sys::k2k_reservation,
    verdict: Verdict,
}

impl<'a> Reservation<'a> {
    pub(crate) fn new(registry: &'a TenantRegistry, tenant_id: TenantId, tag: AuditTag, time: Duration) -> Result<Self> {
        let mut native = sys::k2k_reservation::default();
        let verdict = asked(|verdict| unsafe {
            sys::k2k_usage_reserve(registry.handle(), tenant_id, tag.native(), nanoseconds(time), &mut native, verdict)
        })?;
        Ok(Reservation { registry, native, verdict })
    }

    /// Books what was really used, once, and returns how much more that was than reserved.
    /// [`Code::Stale`](crate::Code::Stale): it has ended before, and nothing is booked.
    pub fn commit(mut self, used: Duration) -> Result<Duration> {
        let code = unsafe { sys::k2k_usage_commit(self.registry.handle(), &mut self.native, nanoseconds(used)) };
        let over = Duration::from_nanos(self.native.over_ns);
        std::mem::forget(self);
        answered(code).map(|()| over)
    }

    /// Does what dropping does, and returns an error if it fails: [`Code::Stale`](crate::Code::Stale) if the tenant is gone.
    pub fn cancel(mut self) -> Result<()> {
        let code = self.end();
        std::mem::forget(self);
        answered(code)
    }

    pub fn reserved(&self) -> Duration {
        Duration::from_nanos(self.native.reserved_ns)
    }

    /// Its `used` is what is booked and reserved, this reservation included.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    fn end(&mut self) -> c_int {
        unsafe { sys::k2k_usage_cancel(self.registry.handle(), &mut self.native) }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Reservation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("tenant_id", &self.native.id).field("reserved", &self.reserved()).finish()
    }
}
