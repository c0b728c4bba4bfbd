// SPDX-License-Identifier: LGPL-2.1-or-later
//! `<k2k/registry.h>` for Rust, as it is. What each call promises is said in that header; the crate `k2k-registry`
//! is a safe way to use it.
#![allow(non_camel_case_types)]

mod abi;
pub use abi::*;
