// SPDX-License-Identifier: LGPL-2.1-or-later
//! Compares the declarations with the C compiler's layout, which the file K2K_LAYOUT has when the test runs, and with
//! the library's functions. Their names are in the file K2K_FIELDS when it is compiled. Both files come from
//! `lib/bindings/generate --tests`; tests/bindings.sh makes them, and asks for the feature "layout".
use k2k_registry_sys::*;
use std::mem::{align_of, size_of, MaybeUninit};

/// "u32" and the like for numbers, as the C program tells them.
fn kind<T>(_: *const T) -> &'static str {
    match std::any::type_name::<T>() {
        "i32" => "i32",
        "u32" => "u32",
        "i64" => "i64",
        "u64" => "u64",
        _ => "other",
    }
}

fn size<T>(_: *const T) -> usize {
    size_of::<T>()
}

macro_rules! places {
    ($($structure:ident { $($field:ident),* })*) => {
        fn places() -> Vec<String> {
            let mut lines = Vec::new();
            $(
                lines.push(format!("struct {} {} {}", stringify!($structure), size_of::<$structure>(), align_of::<$structure>()));
                let whole = MaybeUninit::<$structure>::zeroed();
                $(
                    // SAFETY: integers, and pointers that may be null
                    let field = unsafe { std::ptr::addr_of!((*whole.as_ptr()).$field) };
                    let name = stringify!($field).trim_start_matches("r#");
                    let offset = field as usize - whole.as_ptr() as usize;
                    lines.push(format!("field {}.{} {} {} {}", stringify!($structure), name, offset, size(field), kind(field)));
                )*
            )*
            lines
        }
    };
}

macro_rules! values {
    ($($constant:ident)*) => {
        fn values() -> Vec<String> {
            vec![$(format!("constant {} {}", stringify!($constant), $constant)),*]
        }
    };
}

macro_rules! functions {
    ($($function:ident)*) => {
        fn functions() -> Vec<usize> {
            vec![$($function as *const () as usize),*]
        }
    };
}

include!(env!("K2K_FIELDS"));

#[test]
fn structs_and_constants_are_those_of_the_c_compiler() {
    let path = std::env::var("K2K_LAYOUT").expect("K2K_LAYOUT");
    let text = std::fs::read_to_string(path).unwrap();
    let expected: Vec<&str> = text.lines().collect();
    let found: Vec<String> = places().into_iter().chain(values()).collect();
    assert!(expected.len() > 200);
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn the_library_has_every_function() {
    let mut places = functions();
    assert!(places.len() >= 40 && places.iter().all(|place| *place != 0));
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), functions().len());
}
