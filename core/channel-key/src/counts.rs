//! Counts of bits that say what has been done to them, so that a raw rate is never printed as a corrected one.

use serde::{Deserialize, Serialize};

macro_rules! count {
    ($(#[$doc:meta])* $name:ident, $word:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name(pub u64);

        impl $name {
            /// Bits a second over `seconds` of air time; `None` when no time has passed.
            pub fn per_second(self, seconds: f64) -> Option<f64> {
                (seconds > 0.0).then(|| self.0 as f64 / seconds)
            }
        }

        impl std::ops::AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }

        impl std::ops::AddAssign<usize> for $name {
            fn add_assign(&mut self, bits: usize) {
                self.0 += bits as u64;
            }
        }

        impl std::iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
                Self(counts.map(|count| count.0).sum())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{} {}", self.0, $word)
            }
        }
    };
}

count!(
    /// Bits as the quantiser gave them: the two ends disagree in some, and nothing is said of their secrecy.
    RawCount,
    "raw bits"
);
count!(
    /// Bits on which the two ends agree after error correction; still nothing is said of their secrecy.
    CorrectedCount,
    "corrected bits"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_name_their_kind() {
        let mut raw = RawCount::default();
        raw += 512usize;
        raw += RawCount(88);
        assert_eq!(raw.to_string(), "600 raw bits");
        assert_eq!(raw.per_second(2.0), Some(300.0));
        assert_eq!(raw.per_second(0.0), None);
        let sum: CorrectedCount = [CorrectedCount(3), CorrectedCount(4)].into_iter().sum();
        assert_eq!(sum, CorrectedCount(7));
        assert_eq!(serde_json::to_string(&sum).unwrap(), "7");
    }
}
