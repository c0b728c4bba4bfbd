// SPDX-License-Identifier: LGPL-2.1-or-later
//! A live registry for a test: one administrator, one broker. At its end it is clean, and gone.
#![allow(dead_code)] // each test program uses a part
use k2k_registry::{destroy, Code, Error, OpenOptions, Result, Role, TenantRegistry};
use std::sync::atomic::{AtomicU32, Ordering};

pub fn fresh_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let prefix = std::env::var("K2K_TEST_NAME").unwrap_or_else(|_| "bindings".to_string());
    format!("{}-rs{}-{}", prefix, std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

pub struct Fixture {
    pub name: String,
    pub admin: TenantRegistry,
    pub broker: TenantRegistry,
}

impl Fixture {
    pub fn new() -> Self {
        let name = fresh_name();
        let admin = TenantRegistry::create(&name).unwrap();
        let broker = TenantRegistry::open(&name, Role::Broker).unwrap();
        Fixture { name, admin, broker }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let found = self.admin.check();
        destroy(&self.name, true, &OpenOptions::default()).unwrap();
        if !std::thread::panicking() {
            assert_eq!(found.unwrap(), []);
        }
    }
}

pub fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    error(result).code()
}

pub fn error<T: std::fmt::Debug>(result: Result<T>) -> Error {
    result.unwrap_err()
}
