//! The whole public interface on any sizes, messages and LLRs: `cargo +nightly fuzz run codec` in `core/polar`.
//!
//! The walk itself is `tests/any_input/walk.rs`, which the ordinary tests run on random inputs.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/any_input/walk.rs"]
mod walk;

fuzz_target!(|data: &[u8]| walk::walk(data));
