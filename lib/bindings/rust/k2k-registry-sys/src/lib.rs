// SPDX-License-Identifier: LGPL-2.1-or-later
//! The declarations of `<k2k/registry.h>` for Rust; that header says what each call promises. The crate `k2k-registry`
//! is a safe way to use them.
#![allow(non_camel_case_types)]

mod abi;
pub use abi::*;
