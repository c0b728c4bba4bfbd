// SPDX-License-Identifier: LGPL-2.1-or-later
use crate::Code;
use k2k_registry_sys as sys;
use std::collections::VecDeque;
use std::ffi::CStr;
use std::os::raw::{c_char, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditLevel {
    Info,
    Warning,
    Security,
    Other(u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditEventType {
    SecurityViolation,
    ResourceLimitExceeded,
    AuthorizationCheck,
    ConfigurationChange,
    Other(u32),
}

#[derive(Debug, Clone)]
pub struct AuditEvent {
    pub level: AuditLevel,
    pub event_type: AuditEventType,
    /// The code of a rejection; `None` for other events.
    pub code: Option<Code>,
    /// Nanoseconds since 1970: of the newest of `count`.
    pub time_ns: u64,
    /// How many equal rejections this event stands for; their sum is exact.
    pub count: u64,
    pub actor: String,
    /// Destination kernel of a cross-tenant attempt.
    pub target: Option<String>,
    pub description: String,
    pub metadata: Vec<(String, String)>,
}

/// Receives rejections and changes: in the thread that caused the event; if it stands for repeats that were counted
/// before, in a thread of the handle. It may call the registry. A panic in it is caught.
pub trait AuditSink: Send + Sync {
    fn write(&self, event: &AuditEvent);
}

impl<F: Fn(&AuditEvent) + Send + Sync> AuditSink for F {
    fn write(&self, event: &AuditEvent) {
        self(event)
    }
}

/// Keeps the newest events.
#[derive(Debug)]
pub struct MemorySink {
    capacity: usize,
    events: Mutex<VecDeque<AuditEvent>>,
}

impl MemorySink {
    pub fn new(capacity: usize) -> Self {
        MemorySink { capacity, events: Mutex::new(VecDeque::new()) }
    }

    pub fn events(&self) -> Vec<AuditEvent> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl AuditSink for MemorySink {
    fn write(&self, event: &AuditEvent) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() >= self.capacity {
            events.pop_front();
        }
        if self.capacity > 0 {
            events.push_back(event.clone());
        }
    }
}

/// SAFETY: `pointer` is null or a C string
unsafe fn string(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    Some(CStr::from_ptr(pointer).to_string_lossy().into_owned())
}

/// SAFETY: only within the library's call of the sink, whose event is complete
unsafe fn copied(event: &sys::k2k_audit_event) -> AuditEvent {
    let fields = if event.fields.is_null() {
        &[]
    } else {
        std::slice::from_raw_parts(event.fields, event.field_count as usize)
    };
    AuditEvent {
        level: match event.level {
            sys::K2K_AUDIT_INFO => AuditLevel::Info,
            sys::K2K_AUDIT_WARNING => AuditLevel::Warning,
            sys::K2K_AUDIT_SECURITY => AuditLevel::Security,
            other => AuditLevel::Other(other),
        },
        event_type: match event.r#type {
            sys::K2K_AUDIT_SECURITY_VIOLATION => AuditEventType::SecurityViolation,
            sys::K2K_AUDIT_RESOURCE_LIMIT_EXCEEDED => AuditEventType::ResourceLimitExceeded,
            sys::K2K_AUDIT_AUTHORIZATION_CHECK => AuditEventType::AuthorizationCheck,
            sys::K2K_AUDIT_CONFIGURATION_CHANGE => AuditEventType::ConfigurationChange,
            other => AuditEventType::Other(other),
        },
        code: if event.code == 0 { None } else { Some(Code::from_number(event.code)) },
        time_ns: event.time_ns,
        count: event.count,
        actor: string(event.actor).unwrap_or_default(),
        target: string(event.target),
        description: string(event.description).unwrap_or_default(),
        metadata: fields
            .iter()
            .map(|field| (string(field.key).unwrap_or_default(), string(field.value).unwrap_or_default()))
            .collect(),
    }
}

/// The function that the library calls. `context` is an `Arc<dyn AuditSink>` that outlives all calls.
pub(crate) unsafe extern "C" fn call(context: *mut c_void, event: *const sys::k2k_audit_event) {
    // A panic must not unwind into the library; its text is on standard error already.
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let sink = &*(context as *const Arc<dyn AuditSink>);
        sink.write(&copied(&*event));
    }));
    // dropping the payload could panic again
    if let Err(carried) = panic {
        std::mem::forget(carried);
    }
}
