//! [`Decoder`]: finds the errors that a difference of syndromes names.

use crqkd_bits::BitString;
use zeroize::Zeroize;

use super::code::{Code, LIFT};
use super::kernel::{Kernel, Lanes, Scratch, Wide};

/// Layered belief propagation on log-likelihood ratios of eight bits, 256 checks at a time.
pub struct Decoder {
    kernel: Kernel,
    values: Vec<Wide>,
    messages: Vec<Lanes>,
    odd: Vec<Lanes>,
    scratch: Scratch,
}

/// The log-likelihood ratio of a bit that is known.
const CERTAIN: i16 = 1000;

/// The errors that a decoder found, and how many sweeps that took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// One bit per bit of the code's word, 1 where that bit is wrong.
    pub errors: BitString,
    /// Number of sweeps over all checks that were made.
    pub iterations: u32,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder for any code, on the fastest instructions that this processor has.
    pub fn new() -> Self {
        Self::with(Kernel::all().pop().unwrap_or(Kernel::Portable))
    }

    pub(super) fn with(kernel: Kernel) -> Self {
        let (values, messages, odd) = (Vec::new(), Vec::new(), Vec::new());
        Self { kernel, values, messages, odd, scratch: Scratch::new() }
    }

    /// The errors with this syndrome when each of the first `used` bits is wrong with probability `rate` and the others
    /// are right, or `None` after `most` sweeps.
    pub fn decode(
        &mut self,
        code: &Code,
        syndrome: &BitString,
        used: usize,
        rate: f64,
        most: u32,
    ) -> Option<Decoded> {
        if syndrome.len() != code.checks() {
            return None;
        }
        self.start(code, syndrome, used, rate);
        for iteration in 1..=most {
            for row in 0..code.rows() {
                let (first, entries) = code.row(row);
                let messages = &mut self.messages[first..first + entries.len()];
                let (values, scratch) = (&mut self.values, &mut self.scratch);
                self.kernel.update(entries, &self.odd[row], values, messages, scratch);
            }
            if iteration % 2 == 0 || iteration == most {
                let errors = self.decisions(code);
                if code.syndrome(&errors) == *syndrome {
                    return Some(Decoded { errors, iterations: iteration });
                }
            }
        }
        None
    }

    fn start(&mut self, code: &Code, syndrome: &BitString, used: usize, rate: f64) {
        let rate = rate.clamp(1e-6, 0.4);
        let ratio = (8.0 * ((1.0 - rate) / rate).ln()).round() as i16;
        self.values.clear();
        self.values.resize(code.columns(), [ratio; LIFT]);
        // Past the end of the word there are zeros for sure.
        for (column, lanes) in self.values.iter_mut().enumerate().skip(used / LIFT) {
            lanes[used.saturating_sub(column * LIFT).min(LIFT)..].fill(CERTAIN);
        }
        self.messages.clear();
        self.messages.resize(code.edges() / LIFT, [0; LIFT]);
        let bits = syndrome.words();
        self.odd.clear();
        self.odd.extend((0..code.rows()).map(|row| -> Lanes {
            std::array::from_fn(|i| -((bits[4 * row + i / 64] >> (i % 64) & 1) as i8))
        }));
    }

    fn decisions(&self, code: &Code) -> BitString {
        let words = self.values.iter().flat_map(|lanes| {
            lanes.chunks_exact(64).map(|part| {
                part.iter().enumerate().fold(0, |word, (i, &v)| word | u64::from(v < 0) << i)
            })
        });
        BitString::from_words(words.collect(), code.bits())
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        self.values.iter_mut().for_each(Zeroize::zeroize);
        self.messages.iter_mut().for_each(Zeroize::zeroize);
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Decoder({:?})", self.kernel)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::ldpc::Profile;

    #[test]
    fn every_instruction_set_finds_the_same_errors() {
        let (bits, rate) = (60_000, 0.02);
        let code = Code::new(bits, 10_600, &Profile::for_rate(rate), 3).unwrap();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let used = 59_900;
        let errors: BitString = (0..used).map(|_| rng.random::<f64>() < rate).collect();
        let syndrome = code.syndrome(&errors);
        let all = Kernel::all();
        let found: Vec<_> = all
            .into_iter()
            .map(|kernel| Decoder::with(kernel).decode(&code, &syndrome, used, rate, 60))
            .collect();
        assert!(found.windows(2).all(|two| two[0] == two[1]));
        let first = found[0].as_ref().expect("a rate well above the limit");
        assert_eq!(first.errors.slice(0..used).unwrap(), errors);
        assert_eq!(first.errors.count_ones(), errors.count_ones());
    }

    #[test]
    fn more_errors_than_the_code_was_made_for_are_refused() {
        let code = Code::new(30_000, 5_000, &Profile::for_rate(0.02), 3).unwrap();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let errors: BitString = (0..30_000).map(|_| rng.random::<f64>() < 0.04).collect();
        let syndrome = code.syndrome(&errors);
        assert_eq!(Decoder::new().decode(&code, &syndrome, 30_000, 0.02, 30), None);
        let short = syndrome.slice(0..100).unwrap();
        assert_eq!(Decoder::new().decode(&code, &short, 30_000, 0.02, 30), None);
    }
}
