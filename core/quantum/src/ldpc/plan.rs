//! [`Plan`]: how a key is cut into frames, and how much is told about each.

use crqkd_bits::{BitString, SecretBits};

use super::code::LIFT;
use super::kernel::MAX_ROW;
use super::{Code, Decoder, LdpcError, Profile};
use crate::finite_key::binary_entropy;

/// Bits of a frame in a long key.
const FRAME_BITS: usize = 1 << 21;

/// Sweeps of the decoder before a frame is given up.
const SWEEPS: u32 = 150;

/// Checks over the Shannon limit that a frame of `bits` bits needs to be decoded nearly always, at error rates from 0.5 to
/// 8 %: what two million bits need as measured (`crqkd bench quantum`), and more for shorter ones.
pub fn planned_efficiency(bits: usize, rate: f64) -> f64 {
    // By trial, a few frames at each rate: close to the rate of a design less is needed than between two of them.
    let long = match rate {
        r if r < 0.008 => 1.145,
        r if r < 0.014 => 1.118,
        r if r < 0.0215 => 1.098,
        r if r < 0.04 => 1.118,
        r if r < 0.06 => 1.098,
        _ => 1.16,
    };
    // Fluctuations of the number of errors and of decoding grow as the root.
    let root = (2e6 / bits.clamp(1000, FRAME_BITS) as f64).sqrt();
    long + 0.02 * (root - 1.0).max(0.0)
}

/// Bits of a row of the code in the mean, at most: some rows have more, and none may have more than the decoder takes.
const ROW_BITS: usize = 4 * MAX_ROW / 5;

/// What both ends must know to use one code.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Length of the whole key in bits, over all frames.
    pub bits: usize,
    /// Expected share of wrong bits, for which the code is made and the decoder starts.
    pub rate: f64,
    /// Checks of each frame, a multiple of 256.
    pub checks: usize,
}

impl Plan {
    /// A plan that tells `efficiency` times the Shannon limit, rounded up to whole rows, at least four.
    pub fn new(bits: usize, rate: f64, efficiency: f64) -> Self {
        let mut plan = Self { bits, rate, checks: 0 };
        let told = efficiency * binary_entropy(rate) * plan.frame_bits() as f64;
        let rows = ((told / LIFT as f64).ceil() as usize).max(4);
        // With few errors the rows would be longer than the decoder takes.
        let degrees = Profile::for_rate(rate).degrees(plan.frame_bits() / LIFT, rows);
        let shortest = degrees.iter().sum::<usize>().div_ceil(ROW_BITS);
        plan.checks = LIFT * rows.max(shortest);
        plan
    }

    /// Number of frames that the key is cut into, at least 1.
    pub fn frames(&self) -> usize {
        // A little more than a frame still goes into one.
        (self.bits.saturating_sub(FRAME_BITS / 4)).div_ceil(FRAME_BITS).max(1)
    }

    /// Bits of a frame, a multiple of 256; the last frame is filled with zeros.
    pub fn frame_bits(&self) -> usize {
        self.bits.div_ceil(self.frames()).next_multiple_of(LIFT)
    }

    /// Bits that are told in all.
    pub fn told(&self) -> usize {
        self.checks.saturating_mul(self.frames())
    }

    fn code(&self) -> Result<Code, LdpcError> {
        Code::new(self.frame_bits(), self.checks, &Profile::for_rate(self.rate), self.checks as u64)
    }

    fn frame(&self, key: &BitString, frame: usize) -> BitString {
        let at = |frame: usize| (frame * self.frame_bits()).min(key.len());
        let range = at(frame)..at(frame + 1);
        key.slice(range).expect("both ends lie inside and in order")
    }
}

/// The syndromes of all frames, one after the other.
///
/// # Errors
/// [`LdpcError::BadSize`] when no code fits: too few bits, or more checks than bits.
pub fn syndromes(key: &BitString, plan: &Plan) -> Result<BitString, LdpcError> {
    let code = plan.code()?;
    let mut all = BitString::with_capacity(plan.told());
    for frame in 0..plan.frames() {
        all.extend_from(&code.syndrome(&plan.frame(key, frame)));
    }
    Ok(all)
}

/// Corrects Bob's bits to those with Alice's syndromes; returns how many were wrong, or `None`, with the key as it was,
/// when a frame cannot be decoded.
///
/// # Errors
/// [`LdpcError::BadSize`], [`LdpcError::WrongSyndrome`].
pub fn correct(
    key: &mut SecretBits,
    told: &BitString,
    plan: &Plan,
) -> Result<Option<u64>, LdpcError> {
    let code = plan.code()?;
    let (expected, found) = (code.checks() * plan.frames(), told.len());
    if expected != found {
        return Err(LdpcError::WrongSyndrome { expected, found });
    }
    let mut decoder = Decoder::new();
    let mut wrong = Vec::new();
    for frame in 0..plan.frames() {
        let ours = plan.frame(key.expose(), frame);
        let range = frame * code.checks()..(frame + 1) * code.checks();
        let mut syndrome = told.slice(range).expect("the length was compared");
        let differs = syndrome.xor_assign(&code.syndrome(&ours));
        differs.expect("both have a bit for each check");
        let found = decoder.decode(&code, &syndrome, ours.len(), plan.rate, SWEEPS);
        let Some(found) = found else { return Ok(None) };
        let first = frame * plan.frame_bits();
        for (word, &bits) in found.errors.words().iter().enumerate() {
            let mut bits = bits;
            while bits != 0 {
                wrong.push(first + 64 * word + bits.trailing_zeros() as usize);
                bits &= bits - 1;
            }
        }
    }
    if wrong.iter().any(|&bit| bit >= key.len()) {
        return Ok(None);
    }
    wrong.iter().for_each(|&bit| key.flip(bit));
    Ok(Some(wrong.len() as u64))
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn two_million_bits_are_corrected_below_the_promised_leak() {
        for (rate, most) in [(0.01, 1.12), (0.02, 1.10), (0.03, 1.12), (0.05, 1.10)] {
            let mut rng = ChaCha8Rng::seed_from_u64(5);
            let bits = 1 << 21;
            let alice = BitString::random(&mut rng, bits);
            let bob: BitString = alice.iter().map(|b| b ^ (rng.random::<f64>() < rate)).collect();
            let plan = Plan::new(bits, rate, planned_efficiency(bits, rate));
            let told = syndromes(&alice, &plan).unwrap();
            let f = (told.len() as f64 + 64.0) / (bits as f64 * binary_entropy(rate));
            assert!(f <= most, "{f} at {rate}");
            let mut bob = SecretBits::from(bob);
            assert!(correct(&mut bob, &told, &plan).unwrap().is_some(), "{rate}");
            assert!(bob.ct_eq(&alice.into()));
        }
    }

    #[test]
    fn a_key_with_hardly_an_error_has_a_code_too() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for (bits, rate) in [(300_000, 0.0), (300_000, 1e-4), (300_000, 2.5e-3), (40_000, 1e-3)] {
            let alice = BitString::random(&mut rng, bits);
            let bob: BitString = alice.iter().map(|b| b ^ (rng.random::<f64>() < rate)).collect();
            let plan = Plan::new(bits, rate, planned_efficiency(bits, rate));
            let told = syndromes(&alice, &plan).unwrap();
            let mut bob = SecretBits::from(bob);
            assert!(correct(&mut bob, &told, &plan).unwrap().is_some(), "{bits} at {rate}");
            assert!(bob.ct_eq(&alice.into()));
            // Fewer checks than the decoder takes, as a stranger may say before he is known, are an error.
            let few = Plan { checks: 1024, ..plan };
            let told = BitString::with_len(1024 * plan.frames());
            assert!(correct(&mut bob, &told, &few).is_err(), "{bits} at {rate}");
        }
    }

    #[test]
    fn frames_of_any_length_are_cut_alike_and_what_cannot_be_decoded_is_left() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        for bits in [9_000, 33_333, 2_700_000] {
            let alice = BitString::random(&mut rng, bits);
            let plan = Plan::new(bits, 0.03, 1.6);
            let told = syndromes(&alice, &plan).unwrap();
            let bob: BitString = alice.iter().map(|b| b ^ (rng.random::<f64>() < 0.03)).collect();
            let mut bob = SecretBits::from(bob);
            assert!(correct(&mut bob, &told, &plan).unwrap().is_some(), "{bits}");
            assert!(bob.ct_eq(&alice.into()));
        }
        let plan = Plan::new(20_000, 0.01, 1.2);
        let alice = BitString::random(&mut rng, 20_000);
        let told = syndromes(&alice, &plan).unwrap();
        let mut other = SecretBits::random(&mut rng, 20_000);
        let before = other.duplicate();
        assert_eq!(correct(&mut other, &told, &plan).unwrap(), None);
        assert!(other.ct_eq(&before));
        let short = told.slice(1..told.len()).unwrap();
        assert!(matches!(correct(&mut other, &short, &plan), Err(LdpcError::WrongSyndrome { .. })));
    }
}
