//! Key bits and their log-likelihood ratios as files that only their owner may read.

use anyhow::{Result, bail};
use crqkd_channel_key::SoftBits;
use crqkd_channel_key::keygen::Keygen;
use crqkd_recording::write_new_private;
use std::fmt::Write;
use std::path::Path;
use zeroize::Zeroizing;

/// Refuses, before the work is done, a file that is there already: an old key is not overwritten.
pub(super) fn check(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        bail!("{}: the file exists already; give a new name or remove it", path.display());
    }
    Ok(())
}

/// One line a bit, 0 or 1, one column an end.
pub(super) fn write_bits(path: &Path, result: &Keygen) -> Result<()> {
    write(path, result, 2, |bits| {
        Box::new(bits.bits.expose().iter().map(|bit| if bit { "1" } else { "0" }.to_owned()))
    })
}

/// One line a bit, ln P(0)/P(1) of the other end's bit, one column an end.
pub(super) fn write_llrs(path: &Path, result: &Keygen) -> Result<()> {
    write(path, result, 12, |bits| Box::new(bits.llr.iter().map(|llr| format!("{llr}"))))
}

/// `width`: characters a cell has at most, so that no copy is left behind when the text has to grow.
fn write(
    path: &Path,
    result: &Keygen,
    width: usize,
    cells: impl Fn(&SoftBits) -> Box<dyn Iterator<Item = String> + '_>,
) -> Result<()> {
    let lines = result.qap.len();
    let mut text = Zeroizing::new(String::with_capacity((3 * (width + 1) + 1) * (lines + 1) + 16));
    text.push_str("qap,user");
    let mut eve = result.eve.as_ref().map(|eve| (cells(&eve.bits), eve.has.iter()));
    text.push_str(if eve.is_some() { ",eve\n" } else { "\n" });
    for (qap, user) in cells(&result.qap).zip(cells(&result.user)) {
        write!(text, "{qap},{user}")?;
        if let Some((cells, has)) = &mut eve {
            // Without movement in a window Eve has no bit there.
            let cell = has.next().is_some_and(|&has| has).then(|| cells.next()).flatten();
            write!(text, ",{}", cell.unwrap_or_default())?;
        }
        text.push('\n');
    }
    write_new_private(path, text.as_bytes())?;
    Ok(())
}
