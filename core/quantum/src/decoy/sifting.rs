//! Sifting with decoy intensities: pulses that clicked and were measured in the basis of the sender, by basis.
//!
//! Which pulse is kept is a coin of each end, so nothing here branches on it: a mispredicted branch a click would cost more
//! than all the rest.

use crqkd_bits::{BitSieve, BitString, SecretBits};

use super::length::INTENSITIES;
use super::link::{Choices, Click};
use crate::message::{ProtocolError, expect_len};

/// What Bob has seen in a block.
///
/// Collected from clicks in the order of their pulses.
#[derive(Debug, Default)]
pub struct Detections {
    /// Pulses without a click before each one with.
    pub(super) distances: Vec<u64>,
    /// Bases, true for the key's.
    pub(super) bases: BitString,
    /// Bit of each click, as Bob measured it.
    pub(super) bits: SecretBits,
}

impl FromIterator<Click> for Detections {
    fn from_iter<I: IntoIterator<Item = Click>>(clicks: I) -> Self {
        let clicks: Vec<Click> = clicks.into_iter().collect();
        let mut distances = Vec::with_capacity(clicks.len());
        let mut bases = BitSieve::with_capacity(clicks.len());
        let mut bits = BitSieve::with_capacity(clicks.len());
        let mut next = 0;
        for click in clicks {
            distances.push(click.index.saturating_sub(next));
            next = click.index.max(next) + 1;
            bases.push_if(click.key_basis, true);
            bits.push_if(click.bit, true);
        }
        Self { distances, bases: bases.finish(), bits: bits.finish().into() }
    }
}

/// Sifted bits by basis, and how many there are by intensity.
#[derive(Debug)]
pub(super) struct Sifted {
    /// In the basis of the key.
    pub(super) key: SecretBits,
    /// In the test basis, to be disclosed.
    pub(super) test: BitString,
    /// Intensity of each test bit.
    pub(super) intensities: Vec<u8>,
    pub(super) key_bits: [u64; INTENSITIES],
    pub(super) test_bits: [u64; INTENSITIES],
}

/// What Alice tells Bob about his clicks.
pub(super) struct Disclosed {
    /// Of each click: the bases agree.
    pub(super) equal: BitString,
    /// Of each of these: it was a signal.
    pub(super) signal: BitString,
    /// Of each that was not: it was a decoy.
    pub(super) decoy: BitString,
}

/// One bit after the other, sorted by basis.
struct Sorter {
    key: BitSieve,
    test: BitSieve,
    /// One entry more than test bits, overwritten until there is one.
    intensities: Vec<u8>,
    key_bits: [u64; INTENSITIES],
    test_bits: [u64; INTENSITIES],
}

impl Sorter {
    fn new(clicks: usize) -> Self {
        Self {
            key: BitSieve::with_capacity(clicks),
            test: BitSieve::with_capacity(clicks),
            intensities: vec![0; clicks + 1],
            key_bits: [0; INTENSITIES],
            test_bits: [0; INTENSITIES],
        }
    }

    /// A click, in the basis of the key or not, that is kept or not.
    #[inline]
    fn push(&mut self, bit: bool, intensity: u8, key_basis: bool, keep: bool) {
        let (key, test) = (keep & key_basis, keep & !key_basis);
        self.key_bits[usize::from(intensity)] += u64::from(key);
        self.test_bits[usize::from(intensity)] += u64::from(test);
        self.intensities[self.test.len()] = intensity;
        self.key.push_if(bit, key);
        self.test.push_if(bit, test);
    }

    fn finish(mut self) -> Sifted {
        self.intensities.truncate(self.test.len());
        Sifted {
            key: self.key.finish().into(),
            test: self.test.finish(),
            intensities: self.intensities,
            key_bits: self.key_bits,
            test_bits: self.test_bits,
        }
    }
}

/// Alice's side: what Bob announced against what she sent.
pub(super) fn sift_alice(
    choices: &Choices,
    pulses: u64,
    distances: &[u64],
    bases: &BitString,
) -> Result<(Sifted, Disclosed), ProtocolError> {
    expect_len("bases", distances.len(), bases.len())?;
    let clicks = distances.len();
    let mut sorter = Sorter::new(clicks);
    let mut equal = BitSieve::with_capacity(clicks);
    let (mut signal, mut decoy) =
        (BitSieve::with_capacity(clicks), BitSieve::with_capacity(clicks));
    let mut next = 0u64;
    for (&distance, bob) in distances.iter().zip(bases) {
        let index = next.saturating_add(distance);
        if index >= pulses {
            let (expected, found) = (pulses as usize, index as usize);
            return Err(ProtocolError::WrongCount { what: "pulse", expected, found });
        }
        next = index + 1;
        let choice = choices.get(index);
        let same = choice.key_basis == bob;
        equal.push_if(same, true);
        signal.push_if(choice.intensity == 0, same);
        decoy.push_if(choice.intensity == 1, same & (choice.intensity != 0));
        sorter.push(choice.bit, choice.intensity, bob, same);
    }
    let [equal, signal, decoy] = [equal, signal, decoy].map(BitSieve::finish);
    Ok((sorter.finish(), Disclosed { equal, signal, decoy }))
}

/// Bob's side: his clicks against what Alice disclosed.
pub(super) fn sift_bob(
    bases: &BitString,
    bits: &SecretBits,
    alice: &Disclosed,
) -> Result<Sifted, ProtocolError> {
    let Disclosed { equal, signal, decoy } = alice;
    expect_len("equal bases", bases.len(), equal.len())?;
    expect_len("signals", equal.count_ones(), signal.len())?;
    expect_len("decoys", signal.len() - signal.count_ones(), decoy.len())?;
    let mut sorter = Sorter::new(bases.len());
    let (mut signals, mut decoys) = (0, 0);
    for ((bit, key_basis), equal) in bits.expose().iter().zip(bases).zip(equal) {
        let is_signal = signal.get(signals).unwrap_or(false);
        let is_decoy = decoy.get(decoys).unwrap_or(false);
        let intensity = u8::from(!is_signal) + u8::from(!is_signal & !is_decoy);
        signals += usize::from(equal);
        decoys += usize::from(equal & !is_signal);
        sorter.push(bit, intensity, key_basis, equal);
    }
    Ok(sorter.finish())
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::decoy::{DecoyConfig, Link};

    #[test]
    fn both_ends_keep_the_same_pulses_under_the_same_intensities() {
        let config = DecoyConfig { pulses_per_block: 400_000, ..DecoyConfig::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let choices = Choices::new(&config, rng.random());
        let clicks: Vec<Click> = Link::new(&config, &choices, rng.random()).collect();
        let bob: Detections = clicks.iter().copied().collect();
        let (alice, told) =
            sift_alice(&choices, config.pulses_per_block, &bob.distances, &bob.bases).unwrap();
        let sifted = sift_bob(&bob.bases, &bob.bits, &told).unwrap();
        assert_eq!((alice.key_bits, alice.test_bits), (sifted.key_bits, sifted.test_bits));
        assert_eq!(alice.intensities, sifted.intensities);
        // Click by click, the plain way.
        let (mut key, mut test) = (BitString::new(), BitString::new());
        for click in clicks {
            let choice = choices.get(click.index);
            if choice.key_basis == click.key_basis {
                (if click.key_basis { &mut key } else { &mut test }).push(choice.bit);
            }
        }
        assert!(key.len() > 1000 && test.len() > 100);
        assert_eq!(alice.test, test);
        assert!(alice.key.ct_eq(&key.into()));
        assert!(sifted.key.expose().hamming_distance(alice.key.expose()).unwrap() > 0);
    }

    #[test]
    fn counts_that_do_not_fit_are_errors() {
        let bits = |len| BitString::with_len(len);
        let disclosed = |equal, signal, decoy| Disclosed {
            equal: BitString::from_bits(&vec![1; equal]),
            signal: bits(signal),
            decoy: bits(decoy),
        };
        let sift = |alice| sift_bob(&bits(5), &bits(5).into(), &alice);
        assert!(sift(disclosed(5, 5, 5)).is_ok());
        for wrong in [disclosed(4, 4, 4), disclosed(5, 4, 4), disclosed(5, 5, 4)] {
            assert!(sift(wrong).is_err());
        }
        let choices = Choices::new(&DecoyConfig::default(), [1, 2]);
        let sift = |distances: &[u64], bases| sift_alice(&choices, 10, distances, &bits(bases));
        assert!(sift(&[3, 5], 2).is_ok());
        assert!(sift(&[3, 6], 2).is_err() && sift(&[u64::MAX], 1).is_err());
        assert!(sift(&[3, 5], 3).is_err());
    }
}
