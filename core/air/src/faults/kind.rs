//! What goes wrong, how much and when: [`Fault`] and its text.

use crate::SAMPLE_RATE_HZ;
use std::fmt;
use std::str::FromStr;

/// Faults that come in events come so many samples apart, 0.5 ms, so that about every second frame meets one, each in
/// another part; longer ones half of the time.
const EVENT_PERIOD: u64 = 10_007;

/// What goes wrong, with its strength.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultKind {
    /// `drop`: so many samples are lost at each event, and the device says so.
    Drop(u64),
    /// `slip`: so many samples are lost at each event, and the device does not notice: what follows comes too early.
    Slip(u64),
    /// `duplicate`: so many samples come twice at each event: what follows comes too late.
    Duplicate(u64),
    /// `repeat`: so many samples are delivered again, under their old times.
    Repeat(u64),
    /// `late`: bursts leave so many samples late.
    Late(u64),
    /// `clip`: the converter saturates at this amplitude (a burst has mean power 1).
    Clip(f64),
    /// `gain`: a gain of so many dB in front of the converter.
    Gain(f64),
    /// `dc`: an offset of this amplitude.
    Dc(f64),
    /// `iq`: a gain imbalance of so many dB between I and Q, with 3 degrees of phase a dB.
    Iq(f64),
    /// `clock`: a sample clock off by so many parts per million, with drift.
    Clock(f64),
    /// `cfo`: a carrier offset of so many Hz.
    Cfo(f64),
    /// `burst`: bursts of noise, so many dB above a frame.
    Burst(f64),
    /// `tone`: a tone, so many dB above a frame.
    Tone(f64),
    /// `miss`: one burst in so many is not sent, whichever.
    Miss(u64),
    /// `twice`: each burst is sent again so many samples after its end.
    Twice(u64),
    /// `stall`: the host stands still for so many seconds: what comes is lost, and what was due is not sent.
    Stall(f64),
}

/// A fault with the time at which it lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// What goes wrong during the event.
    pub kind: FaultKind,
    /// Air time at which it begins.
    pub from: u64,
    /// Air time at which it is over.
    pub to: u64,
}

impl FaultKind {
    /// The name in [`Fault`]'s text.
    pub fn name(&self) -> &'static str {
        self.parts().0
    }

    fn parts(&self) -> (&'static str, f64) {
        match *self {
            FaultKind::Drop(n) => ("drop", n as f64),
            FaultKind::Slip(n) => ("slip", n as f64),
            FaultKind::Duplicate(n) => ("duplicate", n as f64),
            FaultKind::Repeat(n) => ("repeat", n as f64),
            FaultKind::Late(n) => ("late", n as f64),
            FaultKind::Clip(x) => ("clip", x),
            FaultKind::Gain(x) => ("gain", x),
            FaultKind::Dc(x) => ("dc", x),
            FaultKind::Iq(x) => ("iq", x),
            FaultKind::Clock(x) => ("clock", x),
            FaultKind::Cfo(x) => ("cfo", x),
            FaultKind::Burst(x) => ("burst", x),
            FaultKind::Tone(x) => ("tone", x),
            FaultKind::Miss(n) => ("miss", n as f64),
            FaultKind::Twice(n) => ("twice", n as f64),
            FaultKind::Stall(x) => ("stall", x),
        }
    }

    fn new(name: &str, strength: f64) -> Result<Self, String> {
        let range = |min: f64, max: f64| {
            if (min..=max).contains(&strength) {
                Ok(strength)
            } else {
                Err(format!("{name} = {strength} is outside {min}..={max}"))
            }
        };
        let count = |min: f64, max: f64| match range(min, max)? {
            n if n.fract() == 0.0 => Ok(n as u64),
            _ => Err(format!("{name} = {strength} is not a whole number")),
        };
        Ok(match name {
            "drop" => FaultKind::Drop(count(1.0, 1e5)?),
            "slip" => FaultKind::Slip(count(1.0, 1e5)?),
            "duplicate" => FaultKind::Duplicate(count(1.0, 1e5)?),
            "repeat" => FaultKind::Repeat(count(1.0, 1e5)?),
            "late" => FaultKind::Late(count(1.0, 1e6)?),
            "clip" => FaultKind::Clip(range(1e-3, 100.0)?),
            "gain" => FaultKind::Gain(range(-60.0, 60.0)?),
            "dc" => FaultKind::Dc(range(-10.0, 10.0)?),
            "iq" => FaultKind::Iq(range(-10.0, 10.0)?),
            "clock" => FaultKind::Clock(range(-100.0, 100.0)?),
            "cfo" => FaultKind::Cfo(range(-1e6, 1e6)?),
            "burst" => FaultKind::Burst(range(-60.0, 60.0)?),
            "tone" => FaultKind::Tone(range(-60.0, 60.0)?),
            "miss" => FaultKind::Miss(count(1.0, 1e6)?),
            "twice" => FaultKind::Twice(count(0.0, 1e6)?),
            "stall" => FaultKind::Stall(range(1e-6, 60.0)?),
            _ => return Err(format!("no fault is called '{name}'")),
        })
    }

    /// From one event to the next.
    pub(super) fn period(&self) -> u64 {
        use FaultKind::{Drop, Duplicate, Repeat, Slip};
        match *self {
            Drop(n) | Slip(n) | Duplicate(n) | Repeat(n) => EVENT_PERIOD.max(2 * n + 1),
            _ => EVENT_PERIOD,
        }
    }

    /// True when it takes samples out of the stream or puts some in.
    pub(super) fn edits(&self) -> bool {
        use FaultKind::{Drop, Duplicate, Repeat, Slip, Stall};
        matches!(self, Drop(_) | Slip(_) | Duplicate(_) | Repeat(_) | Stall(_))
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not KIND=STRENGTH@FROM..TO, times in seconds");
        let (what, when) = text.split_once('@').ok_or_else(wrong)?;
        let (name, strength) = what.split_once('=').ok_or_else(wrong)?;
        let (from, to) = when.split_once("..").ok_or_else(wrong)?;
        let number =
            |text: &str| text.parse::<f64>().ok().filter(|x| x.is_finite()).ok_or_else(wrong);
        let (from, to) = (number(from)?, number(to)?);
        if !(0.0..=1e9).contains(&from) || !(from..=1e9).contains(&to) || from == to {
            return Err(format!("'{text}' has no time in it: {from} to {to} s"));
        }
        let kind = FaultKind::new(name, number(strength)?)?;
        let samples = |seconds: f64| (seconds * SAMPLE_RATE_HZ).round() as u64;
        Ok(Fault { kind, from: samples(from), to: samples(to) })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, strength) = self.kind.parts();
        let seconds = |t: u64| t as f64 / SAMPLE_RATE_HZ;
        write!(f, "{name}={strength}@{}..{}", seconds(self.from), seconds(self.to))
    }
}

impl Fault {
    pub(super) fn holds(&self, t: u64) -> bool {
        (self.from..self.to).contains(&t)
    }

    /// The first event at or after `t`.
    pub(super) fn next_event(&self, t: u64) -> Option<u64> {
        let count = t.saturating_sub(self.from).div_ceil(self.kind.period());
        let event = self.from + count * self.kind.period();
        (event < self.to).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        text.parse().unwrap()
    }

    #[test]
    fn text_and_fault_agree_and_nonsense_is_refused() {
        for text in ["drop=1000@2..2.5", "tone=-3.5@0..1", "stall=2@1..4", "clock=-20@0.5..9"] {
            assert_eq!(fault(text).to_string(), text);
        }
        for text in [
            "",
            "drop",
            "drop=1@1..1",
            "drop=1.5@0..1",
            "drop=0@0..1",
            "warp=1@0..1",
            "dc=nan@0..1",
            "dc=1@-1..1",
            "stall=inf@0..1",
            "late=1@0..1e10",
            "cfo=2e6@0..1",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
