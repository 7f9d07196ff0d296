//! Scenario files with one fault each; the line of the fault is what the error must name.

use super::Result;
use std::path::Path;

const FILES: [(&str, &str); 7] = [
    (
        "wrong-unit.toml",
        "# The speed is a key in m/s.\nname = \"wrong-unit\"\n\n[air]\nspeed_km_per_h = 1.8\n",
    ),
    ("unknown-key.toml", "name = \"unknown-key\"\n\n[otp]\nn = 1024\nk = 384\nlist_length = 8\n"),
    ("unknown-section.toml", "name = \"unknown-section\"\n\n[antenna]\nheight_m = 2.0\n"),
    (
        "out-of-range.toml",
        "name = \"out-of-range\"\n\n[air]\nspeed_m_per_s = 0.5\ndelay_spread_ns = 7500.0\n",
    ),
    ("wrong-type.toml", "name = \"wrong-type\"\n\n[air]\nrician_k = \"two\"\n"),
    (
        "contradiction.toml",
        "name = \"contradiction\"\n\n[otp]\nn = 256\nk = 96\n\n[forwarding]\ncode_bits = 1024\ngroup_bits = 96\n",
    ),
    ("not-toml.toml", "name = \"not-toml\"\n\n[air\nspeed_m_per_s = 0.5\n"),
];

/// Makes the damaged scenarios in `dir`.
pub(super) fn make(dir: &Path) -> Result {
    for (name, text) in FILES {
        std::fs::write(dir.join(name), text)?;
    }
    Ok(())
}
