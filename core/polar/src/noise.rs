//! Channels to try codes on: all take the random generator, so that a seed decides everything.

use rand::Rng;
use rand_distr::{Beta, Distribution, StandardNormal};

use crate::PolarError;
use crate::channel::gaussian_llr;

/// A model of how the receiver's word differs from the codeword.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Noise {
    /// Every bit is wrong with probability `p`, on its own.
    Bsc {
        /// Probability that a bit is wrong, 0 to ½ (ends excluded).
        p: f64,
    },
    /// The error rate of each frame is drawn anew, Beta(p·c, (1 − p)·c): the spread of groups (DESIGN: errors are
    /// bursty).
    BetaBinomial {
        /// Mean over frames of the share of wrong bits, 0 to ½ (ends excluded).
        p: f64,
        /// Concentration c: variance p(1 − p)/(c + 1).
        concentration: f64,
    },
    /// A hidden state, good or bad, decides the error rate of each bit; it starts at random in equilibrium (E. N.
    /// Gilbert 1960, E. O. Elliott 1963).
    GilbertElliott {
        /// Error rate in the good state.
        good: f64,
        /// Error rate in the bad state.
        bad: f64,
        /// Probability to go from good to bad at a bit.
        enter: f64,
        /// Probability to go from bad to good at a bit.
        leave: f64,
    },
    /// Soft decisions about one-bit quantised Gaussian measurements of correlation cos(π·kdr).
    Gaussian {
        /// Share of bits that differ if decided alone.
        kdr: f64,
    },
    /// The same with the KDR of each frame drawn anew, Beta(kdr·c, (1 − kdr)·c) below ½, while the receiver reckons
    /// with the mean.
    GaussianSpread {
        /// Mean share of bits that differ.
        kdr: f64,
        /// Concentration c of the beta distribution, above 0: the larger, the closer the frames are
        /// to the mean.
        concentration: f64,
    },
}

impl Noise {
    /// Whether all parameters are in range: probabilities within 0 to 1, mean rates within 0 to ½ (ends excluded),
    /// concentrations positive.
    ///
    /// # Errors
    /// The first that is not.
    pub fn validate(&self) -> Result<(), PolarError> {
        let rate = |p: f64| {
            if p > 0.0 && p < 0.5 { Ok(()) } else { Err(PolarError::ErrorRate { p }) }
        };
        let share = |p: f64| {
            if (0.0..=1.0).contains(&p) { Ok(()) } else { Err(PolarError::Probability { p }) }
        };
        let spread = |c: f64| {
            if c > 0.0 && c.is_finite() { Ok(()) } else { Err(PolarError::Concentration { c }) }
        };
        match *self {
            Self::Bsc { p } | Self::Gaussian { kdr: p } => rate(p),
            Self::BetaBinomial { p, concentration }
            | Self::GaussianSpread { kdr: p, concentration } => {
                rate(p).and_then(|()| spread(concentration))
            }
            Self::GilbertElliott { good, bad, enter, leave } => {
                [good, bad, enter, leave].into_iter().try_for_each(share)?;
                if enter + leave > 0.0 { Ok(()) } else { Err(PolarError::Probability { p: leave }) }
            }
        }
    }

    /// Mean share of hard decisions that are wrong.
    pub fn mean(&self) -> f64 {
        match *self {
            Self::Bsc { p } | Self::BetaBinomial { p, .. } => p,
            Self::Gaussian { kdr } | Self::GaussianSpread { kdr, .. } => kdr,
            Self::GilbertElliott { good, bad, enter, leave } => {
                (good * leave + bad * enter) / (enter + leave)
            }
        }
    }

    /// Receives a codeword: LLRs, ln P(0)/P(1), in nats. Without soft decisions all have the magnitude ln((1−p)/p) of
    /// the mean error rate p.
    ///
    /// # Panics
    /// When the slices differ in length, or the parameters are out of range.
    pub fn receive(&self, codeword: &[u8], llr: &mut [f32], rng: &mut impl Rng) {
        assert_eq!(codeword.len(), llr.len(), "number of LLRs");
        let mean = self.mean();
        match *self {
            Self::Bsc { p } => flip(codeword, llr, p, mean, rng),
            Self::BetaBinomial { p, concentration } => {
                let rate = drawn(p, concentration, rng);
                flip(codeword, llr, rate, mean, rng);
            }
            Self::GilbertElliott { good, bad, enter, leave } => {
                let magnitude = magnitude(mean);
                let mut inside = rng.random_bool(enter / (enter + leave));
                for (llr, &bit) in llr.iter_mut().zip(codeword) {
                    let wrong = rng.random_bool(if inside { bad } else { good });
                    *llr = if (bit == 1) ^ wrong { -magnitude } else { magnitude };
                    inside ^= rng.random_bool(if inside { leave } else { enter });
                }
            }
            Self::Gaussian { kdr } => measure(codeword, llr, kdr, kdr, rng),
            Self::GaussianSpread { kdr, concentration } => {
                let rate = drawn(kdr, concentration, rng).min(0.5);
                measure(codeword, llr, rate, kdr, rng);
            }
        }
    }
}

fn magnitude(p: f64) -> f32 {
    ((1.0 - p) / p).ln() as f32
}

fn drawn(p: f64, concentration: f64, rng: &mut impl Rng) -> f64 {
    let beta = Beta::new(p * concentration, (1.0 - p) * concentration);
    beta.expect("parameters in range").sample(rng)
}

fn flip(codeword: &[u8], llr: &mut [f32], rate: f64, mean: f64, rng: &mut impl Rng) {
    let magnitude = magnitude(mean);
    for (llr, &bit) in llr.iter_mut().zip(codeword) {
        *llr = if (bit == 1) ^ rng.random_bool(rate) { -magnitude } else { magnitude };
    }
}

/// The receiver measures y, the sender x; the codeword travels under the sign of x (a sample above 0 is bit 1).
fn measure(codeword: &[u8], llr: &mut [f32], kdr: f64, believed: f64, rng: &mut impl Rng) {
    let rho = (std::f64::consts::PI * kdr).cos();
    let rest = (1.0 - rho * rho).max(0.0).sqrt();
    let expected = (std::f64::consts::PI * believed).cos();
    let slope = expected / (1.0 - expected * expected).sqrt();
    for (llr, &bit) in llr.iter_mut().zip(codeword) {
        let (y, z): (f64, f64) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
        let pad = rho * y + rest * z > 0.0;
        // LLR of the pad bit, which is 1 where x > 0; the ciphertext bit says whether to turn it.
        let of_pad = -gaussian_llr(slope * y);
        let ciphertext = pad ^ (bit == 1);
        *llr = if ciphertext { -of_pad } else { of_pad } as f32;
    }
}
