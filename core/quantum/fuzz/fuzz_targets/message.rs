//! Any bytes as a message of a decoy-state block: `cargo +nightly fuzz run message` in `core/quantum`.
//!
//! Whatever is accepted is exactly what would be written. The ordinary tests do the same on random messages.
#![no_main]

use crqkd_quantum::decoy::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(message) = Message::from_bytes(data) {
        assert_eq!(message.to_bytes(), data);
    }
});
