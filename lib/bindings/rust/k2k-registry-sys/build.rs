// SPDX-License-Identifier: LGPL-2.1-or-later
//! Links libk2k-registry.so from the directory K2K_REGISTRY_LIB_DIR if it is set, else from where pkg-config finds it.
use std::process::Command;

fn main() {
    for variable in ["K2K_REGISTRY_LIB_DIR", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-lib=dylib=k2k-registry");
    if let Ok(directory) = std::env::var("K2K_REGISTRY_LIB_DIR") {
        println!("cargo:rustc-link-search=native={directory}");
        return;
    }
    let version = env!("CARGO_PKG_VERSION");
    let minor = &version[..version.rfind('.').unwrap()];
    let asked = format!("k2k-registry >= {minor}");
    let told = Command::new("pkg-config")
        .args(["--libs-only-L", &asked])
        .output()
        .unwrap_or_else(|error| panic!("K2K_REGISTRY_LIB_DIR is not set, and pkg-config can't be run: {error}"));
    if !told.status.success() {
        panic!("pkg-config: {}", String::from_utf8_lossy(&told.stderr));
    }
    for word in String::from_utf8_lossy(&told.stdout).split_whitespace() {
        if let Some(directory) = word.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={directory}");
        }
    }
}
