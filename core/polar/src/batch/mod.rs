//! Decoders that take several frames at once, with 8-bit LLRs.
//!
//! All frames of a batch walk through the decoding tree in lock step, one register lane for each frame and path, so
//! that no lane ever waits for a branch of another.

mod adaptive;
mod finish;
mod lanes;
mod list;
mod list_decoder;
mod program;
mod quantizer;
mod sc;
mod sc_decoder;

pub use adaptive::BatchAdaptiveDecoder;
pub use list_decoder::{BATCH_LIST_SIZES, BatchListDecoder};
pub use quantizer::Quantizer;
pub use sc_decoder::BatchScDecoder;

use crate::{Outcome, PolarCode};

/// The shape of a call: frames of n LLRs and k message bits.
fn check_lengths(code: &PolarCode, llr: &[i8], messages: &[u8], outcomes: &[Outcome]) {
    assert_eq!(llr.len(), outcomes.len() * code.n(), "number of LLRs");
    assert_eq!(messages.len(), outcomes.len() * code.k(), "length of the messages");
}
