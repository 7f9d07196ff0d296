//! Choices that several commands offer.

use clap::ValueEnum;
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

/// The radios of the virtual air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// Alice's access point.
    Qap1,
    /// The user who asks for key.
    Alice,
    /// The eavesdropper beside Alice.
    Eve1,
    /// Bob's access point.
    Qap2,
    /// The user with whom Alice shares key.
    Bob,
    /// The eavesdropper beside Bob.
    Eve2,
}

impl RoleArg {
    pub(crate) const ALL: [RoleArg; 6] =
        [RoleArg::Qap1, RoleArg::Alice, RoleArg::Eve1, RoleArg::Qap2, RoleArg::Bob, RoleArg::Eve2];
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Role {
        Role::ALL[role as usize]
    }
}

/// Sample formats that can be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DatatypeArg {
    /// Complex 32-bit floats.
    Cf32,
    /// Complex 16-bit integers: half the size, and exact for converters of up to 16 bits.
    Ci16,
}
