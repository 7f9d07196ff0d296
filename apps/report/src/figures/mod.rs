//! The figures of the page, one a file.

pub(crate) mod channel;
pub(crate) mod kdr;
pub(crate) mod quantum;
pub(crate) mod raster;
pub(crate) mod waterfall;

use crate::run::Disturbances;
use crate::svg::{number, percent};

/// Name of a CSI carrier by its index: the 52 carriers of the 64-point grid by number and offset,
/// any other by its index.
pub(crate) fn carrier_name(index: u16) -> String {
    if index >= 52 {
        return format!("carrier {index}");
    }
    let k = if index < 26 { i32::from(index) - 26 } else { i32::from(index) - 25 };
    let sign = if k < 0 { '\u{2212}' } else { '+' };
    let offset_mhz = 0.3125 * f64::from(k.abs());
    format!("carrier {sign}{} ({sign}{offset_mhz:.1} MHz)", k.abs())
}

/// What a rough stretch of a curve is.
pub(crate) fn disturbed(disturbances: Option<Disturbances>) -> String {
    let mut text = String::from(
        "A stretch in which a curve is rough, and its bits differ more often, is a disturbance: \
         another transmitter that raises the noise floor of one place for a while. ",
    );
    match disturbances {
        None => text.push_str("How many there were in this run: not recorded."),
        Some(Disturbances { share, .. }) if share <= 0.0 => {
            text.push_str("This scenario has none.");
        }
        Some(Disturbances { share, mean_s, rise_db }) => text.push_str(&format!(
            "In this scenario each place spends {} of the time under disturbances of {} s on average \
             that raise the floor by up to {} dB.",
            percent(share),
            number(mean_s, 1),
            number(rise_db, 1)
        )),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// k = -26..=-1, 1..=26 at 312.5 kHz.
    #[test]
    fn carriers_are_named_by_their_offset() {
        assert_eq!(carrier_name(0), "carrier \u{2212}26 (\u{2212}8.1 MHz)");
        assert_eq!(carrier_name(25), "carrier \u{2212}1 (\u{2212}0.3 MHz)");
        assert_eq!(carrier_name(26), "carrier +1 (+0.3 MHz)");
        assert_eq!(carrier_name(51), "carrier +26 (+8.1 MHz)");
        assert_eq!(carrier_name(71), "carrier 71");
    }
}
