// SPDX-License-Identifier: LGPL-2.1-or-later
use crate::{text, TenantId};
use k2k_registry_sys as sys;
use std::ffi::CStr;
use std::fmt;
use std::time::Duration;

pub type Result<T> = std::result::Result<T, Error>;

macro_rules! codes {
    ($($(#[$about:meta])* $name:ident = $code:ident,)*) => {
        /// Why a call failed. `<k2k/registry.h>` says which codes each call may return.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$about])* $name,)*
            /// A code that this crate does not know yet.
            Other(i32),
        }

        impl Code {
            pub fn from_number(number: i32) -> Self {
                match number {
                    $(sys::$code => Code::$name,)*
                    _ => Code::Other(number),
                }
            }

            pub fn number(self) -> i32 {
                match self {
                    $(Code::$name => sys::$code,)*
                    Code::Other(number) => number,
                }
            }
        }
    };
}

codes! {
    Permission = K2K_EPERM,
    NoRegistry = K2K_ENOREGISTRY,
    System = K2K_EIO,
    NoMemory = K2K_ENOMEM,
    /// A deadline passed; the detail names the process that holds it up.
    Busy = K2K_EBUSY,
    Exists = K2K_EEXIST,
    Invalid = K2K_EINVAL,
    /// A table is full; the detail's object names it.
    Full = K2K_EFULL,
    UnspecifiedTenant = K2K_EUNSPECIFIED,
    NoTenant = K2K_ENOTENANT,
    NoBudget = K2K_ENOBUDGET,
    Rate = K2K_ERATE,
    Budget = K2K_EBUDGET,
    Kernels = K2K_EKERNELS,
    GpuMemory = K2K_EGPUMEM,
    Unbooked = K2K_EUNBOOKED,
    Gone = K2K_EGONE,
    NotHeld = K2K_ENOTHELD,
    Stale = K2K_ESTALE,
    NoBrokerSlot = K2K_ENOBROKERSLOT,
    Layout = K2K_ELAYOUT,
    OtherBoot = K2K_EBOOT,
    Owner = K2K_EOWNER,
    Corrupt = K2K_ECORRUPT,
    Fenced = K2K_EFENCED,
    Forked = K2K_EFORKED,
    Role = K2K_EROLE,
    /// The registry requires audit, and no follower of the trail keeps up.
    NoAudit = K2K_ENOAUDIT,
    /// An administrator has suspended the tenant.
    Suspended = K2K_ESUSPENDED,
    /// No kernel of that name is in the directory.
    NoKernel = K2K_ENOKERNEL,
    /// The two kernels are of different tenants. The attempt was counted and audited.
    CrossTenant = K2K_ECROSSTENANT,
}

impl Code {
    /// Did a limit, or a suspension, reject the request?
    pub fn is_rejection(self) -> bool {
        matches!(self, Code::Rate | Code::Budget | Code::Kernels | Code::GpuMemory | Code::Suspended)
    }

    /// These codes leave the thread's error detail as it was.
    fn is_plain(self) -> bool {
        use Code::*;
        self.is_rejection() || matches!(self, NoTenant | Unbooked | Gone | NotHeld | Stale | NoKernel | CrossTenant)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: never null, a constant
        f.write_str(&unsafe { CStr::from_ptr(sys::k2k_strerror(self.number())) }.to_string_lossy())
    }
}

/// The answer to a request in numbers: messages, nanoseconds, kernels or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub used: u64,
    /// `u64::MAX` is unlimited.
    pub limit: u64,
    pub remaining: u64,
    /// Zero if it was not rejected; `None`: waiting alone does not help.
    pub retry_after: Option<Duration>,
    /// The second of CLOCK_MONOTONIC in which the window of a rate began; of a bucket, that of the decision.
    pub window: u64,
    /// Of a tenant in shadow: the rejection that its limits would have been.
    pub shadow_code: Option<Code>,
}

impl From<sys::k2k_verdict> for Verdict {
    fn from(verdict: sys::k2k_verdict) -> Self {
        Verdict {
            used: verdict.used,
            limit: verdict.limit,
            remaining: verdict.remaining,
            retry_after: match verdict.retry_after_ns {
                sys::K2K_NEVER_NS => None,
                ns => Some(Duration::from_nanos(ns)),
            },
            window: verdict.window,
            shadow_code: match verdict.shadow_code {
                0 => None,
                code => Some(Code::from_number(code)),
            },
        }
    }
}

/// More about an error.
#[derive(Debug, Clone)]
pub struct Detail {
    pub system_errno: i32,
    pub expected: u64,
    pub found: u64,
    /// The process that holds it up, or 0.
    pub pid: u64,
    pub object: String,
    pub field: String,
    /// One sentence for people.
    pub text: String,
}

/// Whose the kernels of a refused message are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedRoute {
    /// The sender's; 0 if its registration is over.
    pub tenant_id: TenantId,
    /// The receiver's; 0 if its registration is over.
    pub to_tenant: TenantId,
    /// With [`Code::Stale`]: it is the receiver whose registration is over.
    pub destination_is_stale: bool,
}

#[derive(Debug, Clone)]
pub struct Error {
    code: Code,
    detail: Option<Box<Detail>>,
    verdict: Option<Verdict>,
    route: Option<RefusedRoute>,
}

impl Error {
    /// Must be called by the thread that got `number`, before its next call.
    pub(crate) fn new(number: i32, verdict: Option<Verdict>) -> Self {
        let code = Code::from_number(number);
        let detail = if code.is_plain() {
            None
        } else {
            // SAFETY: this thread's own, and never null
            let detail = unsafe { &*sys::k2k_error_detail() };
            Some(Box::new(Detail {
                system_errno: detail.system_errno,
                expected: detail.expected,
                found: detail.found,
                pid: detail.pid,
                object: text(&detail.object),
                field: text(&detail.field),
                text: text(&detail.text),
            }))
        };
        Error { code, detail, verdict: verdict.filter(|_| code.is_rejection()), route: None }
    }

    pub(crate) fn invalid(text: &str) -> Self {
        let detail = Detail {
            system_errno: 0,
            expected: 0,
            found: 0,
            pid: 0,
            object: String::new(),
            field: String::new(),
            text: text.to_string(),
        };
        Error { code: Code::Invalid, detail: Some(Box::new(detail)), verdict: None, route: None }
    }

    pub(crate) fn of_route(number: i32, verdict: Verdict, route: RefusedRoute) -> Self {
        let error = Error::new(number, Some(verdict));
        let tells = matches!(error.code, Code::CrossTenant | Code::Stale);
        Error { route: Some(route).filter(|_| tells), ..error }
    }

    pub fn code(&self) -> Code {
        self.code
    }

    pub fn detail(&self) -> Option<&Detail> {
        self.detail.as_deref()
    }

    /// With [`Code::CrossTenant`] and [`Code::Stale`] of a message: whose its kernels are.
    pub fn route(&self) -> Option<&RefusedRoute> {
        self.route.as_ref()
    }

    /// The numbers of a rejection.
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.detail, &self.verdict) {
            (Some(detail), _) => f.write_str(&detail.text),
            // a suspension has no numbers
            (None, Some(verdict)) if self.code != Code::Suspended => write!(f, "{}: {} of {}", self.code, verdict.used, verdict.limit),
            (None, _) => self.code.fmt(f),
        }
    }
}

impl std::error::Error for Error {}
