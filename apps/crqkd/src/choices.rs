//! Choices that several commands offer.

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use crqkd_flowgraphs::Role;
use crqkd_sounding::{FrameLayout, SearchMode};

/// The training sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayoutArg {
    /// One M-sequence of 1023 chips.
    #[value(name = "1023")]
    Single,
    /// Two M-sequences of 511 chips.
    #[value(name = "2x511")]
    Double,
}

impl From<LayoutArg> for FrameLayout {
    fn from(layout: LayoutArg) -> Self {
        match layout {
            LayoutArg::Single => Self::Single,
            LayoutArg::Double => Self::Double,
        }
    }
}

/// Where frames are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SearchArg {
    /// Where the energy exceeds the noise floor: frames from -7 dB on.
    Gated,
    /// Everywhere.
    AlwaysCorrelate,
}

impl From<SearchArg> for SearchMode {
    fn from(search: SearchArg) -> Self {
        match search {
            SearchArg::Gated => Self::Gated,
            SearchArg::AlwaysCorrelate => Self::AlwaysCorrelate,
        }
    }
}

/// A role by its name, one of `among`.
pub(crate) fn role(among: &[Role]) -> impl TypedValueParser<Value = Role> + use<> {
    let value = |role: &Role| {
        PossibleValue::new(role.name()).help(match role {
            Role::Qap1 => "Alice's access point",
            Role::Alice => "The user who asks for key",
            Role::Eve1 => "The eavesdropper beside Alice",
            Role::Qap2 => "Bob's access point",
            Role::Bob => "The user with whom Alice shares key",
            Role::Eve2 => "The eavesdropper beside Bob",
        })
    };
    PossibleValuesParser::new(among.iter().map(value))
        .map(|name| Role::of_name(&name).expect("one of the names above"))
}

/// Sample formats that can be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DatatypeArg {
    /// Complex 32-bit floats.
    Cf32,
    /// Complex 16-bit integers: half the size, and exact for converters of up to 16 bits.
    Ci16,
}
