//! Reconciliation by Cascade: Bob asks for parities of Alice's bits until his bits are hers.
//!
//! Brassard and Salvail, "Secret-key reconciliation by public discussion" (EUROCRYPT 1993), on one long key, with the
//! trees of Martinez-Mateo et al., "Demystifying the information reconciliation protocol Cascade" (2015), and changes
//! that cut the rounds: every odd block of *every* pass is halved in the same round; a range that is so short that it
//! hardly holds three errors is not halved further, but the digits of the error's place are asked at once, as many
//! parities as halving takes (the syndrome of a Hamming code, as in Winnow by Buttler et al. 2003); a later pass is
//! opened before the last searches of the earlier ones are over; the blocks of the later passes stay far below half of
//! the key, and what they leave is found by parities of random subsets of the whole key, all asked together, and
//! searched four levels a round.
//!
//! ```text
//! pass 0  |--------|--------|--odd---|--------|   every block's parity is asked
//!                           |--odd---|            an odd block is halved and the left half asked ...
//!                           |even|odd|            ... down to one bit, which is flipped
//! pass 1  |-----odd------|----------------|       another shuffle; each flip makes blocks of earlier passes odd
//!                                                 again, and these are searched in the same rounds
//! subsets  1..1.11..1.1..1..1.1...11..1.11.       random halves of the key: all even, or there is an error left
//! ```
//!
//! Every parity learnt is kept in a tree per block, so nothing is asked twice and right halves follow from what is
//! known. Each bit that Alice sends is counted by both ends. Shuffles are made of whole-word steps (`layout`), and
//! parities of ranges are taken 64 bits at a time.
//!
//! Bob's questions tell where his errors were. That is charged to nothing, as usual: the bound on Eve's knowledge
//! about Alice's bits (from the error rate in the other basis) holds even when the error pattern is public, see
//! Tupkary and Lütkenhaus, "Using Cascade in quantum key distribution" (2023).
//!
//! What limits the efficiency: pairs of errors in one block of pass 0 are found through pass 1 at the cost of a search
//! in each of both passes, and the pairs that form loops between the two cost a search in pass 2 besides.

mod alice;
mod bob;
mod layout;
mod subset;
mod tree;

use crqkd_bits::BitsError;

pub use alice::CascadeAlice;
pub use bob::CascadeBob;

/// Random subsets whose parities are compared at the end: an error stays unnoticed with probability 2^-32.
pub const SUBSETS: usize = 32;

/// The longest key that is reconciled in one piece.
pub const MAX_KEY_BITS: usize = 1 << 28;

/// Questions: ranges of one or several shuffles whose parities Bob wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ParityRequest {
    /// The questions; the answers come in this order.
    pub sections: Vec<Section>,
}

/// Ranges of one length in one shuffle: node i is positions i·2^level .. (i+1)·2^level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The pass, which names the shuffle; after the passes come the subsets.
    pub pass: u8,
    /// Logarithm of the length.
    pub level: u8,
    /// Which ranges.
    pub nodes: Nodes,
}

/// Which ranges of a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nodes {
    /// Every one of them.
    All,
    /// These.
    Listed(Vec<u32>),
    /// Of each of these, for every digit of an offset into it, the parity of the positions with that digit: where one
    /// error is, they name its place.
    Places(Vec<u32>),
}

/// Why reconciliation stops.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CascadeError {
    /// A pass that does not exist.
    #[error("pass {pass} asked, there are {passes}")]
    WrongPass {
        /// The pass asked for.
        pass: u8,
        /// Passes and subsets that there are.
        passes: usize,
    },
    /// Ranges longer than the blocks.
    #[error("level {level} of pass {pass} asked, the blocks have level {top}")]
    WrongLevel {
        /// The pass.
        pass: u8,
        /// The level asked for.
        level: u8,
        /// The highest that there is.
        top: u32,
    },
    /// A range outside the pass.
    #[error("range {node} of pass {pass} at level {level} asked, there are {count}")]
    WrongNode {
        /// The pass.
        pass: u8,
        /// The level.
        level: u8,
        /// The range asked for.
        node: u32,
        /// Ranges at this level.
        count: usize,
    },
    /// A request without a question.
    #[error("a request without a question")]
    EmptyRequest,
    /// More would be disclosed than there is.
    #[error("{disclosed} parities asked of a key of {len} bits")]
    TooMuch {
        /// Bits disclosed with this request.
        disclosed: u64,
        /// Length of the key.
        len: usize,
    },
    /// Not one answer per question.
    #[error("{found} parities for {expected} questions")]
    WrongAnswer {
        /// Questions asked.
        expected: usize,
        /// Answers received.
        found: usize,
    },
    /// The parities contradict each other.
    #[error("the other end's parities contradict each other")]
    Inconsistent,
    /// A key that is too long to reconcile in one piece.
    #[error("a key of {len} bits; at most {MAX_KEY_BITS} fit")]
    TooLong {
        /// Length of the key.
        len: usize,
    },
    /// Bit strings that do not fit.
    #[error(transparent)]
    Bits(#[from] BitsError),
}

/// Block sizes, the same at both ends.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Schedule {
    /// Logarithm of the block size of each pass.
    levels: Vec<u32>,
    /// Logarithm of a length that holds the whole key.
    whole: u32,
    /// The next pass is opened when fewer blocks than this wait for a search.
    open_below: usize,
    /// The highest level of pass 0 at which places are asked while it is the only one.
    first_places: u32,
    /// The highest level at which places are asked, by pass, once there are several.
    places: [u32; 3],
}

impl Schedule {
    fn new(len: usize, error_rate: f64) -> Self {
        let rate = error_rate.clamp(1e-5, 0.25);
        let words = len.div_ceil(64).max(1);
        // A shuffled pass needs as many words as a block has positions.
        let most = words.ilog2();
        let first = ((FIRST_BLOCK / rate).log2().round() as u32).clamp(1, 16);
        let whole = len.max(1).next_power_of_two().trailing_zeros();
        let mut levels = vec![first.min(whole)];
        if most >= 6 {
            let (second, third) = match rate {
                r if r < FEW_ERRORS / 2.0 => (3, 9),
                r if r < FEW_ERRORS => (3, 8),
                _ => (2, 7),
            };
            levels.extend([first + second, first + third].map(|level| level.clamp(6, most)));
        }
        // The longest ranges that hardly hold three errors, pass by pass, as found by trial over rates and lengths.
        let tenth = (0.1 / rate).log2().floor().max(0.0) as u32;
        let first_places = tenth.min(3);
        let places = [tenth + 1, tenth + u32::from(rate < 0.04) + 1, tenth + 5];
        let open_below = (OPEN_BELOW * rate.min(0.03) * len as f64) as usize;
        Self { levels, whole, open_below, first_places, places }
    }
}

/// Errors that a block of pass 0 holds on average, before rounding to a power of two.
const FIRST_BLOCK: f64 = 0.8;

/// Below this error rate the later passes have longer blocks.
const FEW_ERRORS: f64 = 0.025;

/// When fewer blocks than this share of the expected errors (of 3 % at most) wait, the next pass is opened.
const OPEN_BELOW: f64 = 0.005;

#[cfg(test)]
mod tests {
    use crqkd_bits::{BitString, SecretBits};
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::finite_key::binary_entropy;

    struct Run {
        errors: usize,
        parities: u64,
        rounds: u64,
        equal: bool,
    }

    fn reconcile(len: usize, rate: f64, assumed: f64, seed: u64) -> Run {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let truth = BitString::random(&mut rng, len);
        let noisy: BitString = truth.iter().map(|b| b ^ (rng.random::<f64>() < rate)).collect();
        let errors = truth.hamming_distance(&noisy).unwrap();
        let mut alice = CascadeAlice::new(truth.clone().into(), assumed, seed).unwrap();
        let mut bob = CascadeBob::new(noisy.into(), assumed, seed).unwrap();
        let mut asked = 0;
        while let Some(request) = bob.next_request().unwrap() {
            let answer = alice.answer(&request).unwrap();
            asked += answer.len() as u64;
            bob.answer(&answer).unwrap();
        }
        assert_eq!((bob.parities(), alice.parities()), (asked, asked), "every parity is counted");
        assert_eq!(bob.rounds(), alice.rounds());
        let (parities, rounds) = (bob.parities(), bob.rounds());
        let flips = bob.corrected();
        let equal = bob.into_key().ct_eq(&SecretBits::from(truth));
        assert!(!equal || flips == errors as u64);
        Run { errors, parities, rounds, equal }
    }

    #[test]
    fn all_errors_from_half_to_8_percent_are_corrected_near_the_limit() {
        for permille in [5, 10, 20, 30, 50, 80] {
            let rate = f64::from(permille) / 1000.0;
            let run = reconcile(1_000_000, rate, rate, u64::from(permille as u32));
            assert!(run.equal, "{permille}: {} errors", run.errors);
            let limit = 1e6 * binary_entropy(run.errors as f64 / 1e6);
            let f = (run.parities as f64 + 64.0) / limit;
            println!("Q = {rate}: f = {f:.4}, {} rounds", run.rounds);
            assert!((1.0..1.10).contains(&f), "{permille}: f = {f}");
            assert!(run.rounds < 160, "{permille}: {} rounds", run.rounds);
        }
    }

    #[test]
    fn a_wrong_guess_of_the_rate_costs_bits_but_corrects() {
        for (rate, assumed) in [(0.0, 0.01), (0.02, 0.0), (0.01, 0.08), (0.08, 0.01), (0.11, 0.11)]
        {
            assert!(reconcile(20_000, rate, assumed, 9).equal, "{rate} taken for {assumed}");
        }
    }

    #[test]
    fn questions_outside_the_key_are_refused() {
        let mut alice = CascadeAlice::new(BitString::with_len(100).into(), 0.1, 1).unwrap();
        let mut ask = |pass, level, nodes| {
            alice.answer(&ParityRequest { sections: vec![Section { pass, level, nodes }] })
        };
        let listed = |nodes: &[u32]| Nodes::Listed(nodes.to_vec());
        assert!(matches!(ask(33, 0, Nodes::All), Err(CascadeError::WrongPass { passes: 33, .. })));
        assert!(matches!(ask(255, 0, Nodes::All), Err(CascadeError::WrongPass { .. })));
        assert!(matches!(ask(0, 4, Nodes::All), Err(CascadeError::WrongLevel { top: 3, .. })));
        assert!(matches!(ask(1, 255, Nodes::All), Err(CascadeError::WrongLevel { top: 7, .. })));
        assert!(matches!(ask(0, 3, listed(&[16])), Err(CascadeError::WrongNode { count: 16, .. })));
        assert!(matches!(ask(0, 3, listed(&[u32::MAX])), Err(CascadeError::WrongNode { .. })));
        assert!(matches!(ask(0, 3, listed(&[])), Err(CascadeError::EmptyRequest)));
        let places = |nodes: &[u32]| Nodes::Places(nodes.to_vec());
        assert!(matches!(ask(0, 3, places(&[16])), Err(CascadeError::WrongNode { count: 16, .. })));
        assert!(matches!(ask(2, 7, places(&[0])), Err(CascadeError::WrongPass { passes: 1, .. })));
        assert!(matches!(ask(0, 0, places(&[0])), Err(CascadeError::EmptyRequest)));
        assert!(matches!(ask(0, 0, Nodes::All), Err(CascadeError::TooMuch { disclosed: 128, .. })));
        assert_eq!(ask(0, 3, Nodes::All).unwrap().len(), 16);
        assert_eq!(ask(1, 7, Nodes::All).unwrap().len(), 1);
        let twice = listed(&[0; 84]);
        assert!(matches!(ask(0, 3, twice), Err(CascadeError::TooMuch { disclosed: 101, .. })));
        assert_eq!(ask(0, 3, listed(&[0; 83])).unwrap().len(), 83);
    }

    proptest! {
        #[test]
        fn any_length_and_rate_ends(len in 1usize..9000, rate in 0.0f64..0.5, seed: u64) {
            // Short keys may keep an even number of errors in every block: verification is for that.
            let run = reconcile_or_too_much(len, rate, seed);
            prop_assert!(run.is_none_or(|asked| asked <= len as u64));
        }

        #[test]
        fn random_answers_never_hang_or_panic(len in 1usize..9000, seed: u64) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut bob = CascadeBob::new(SecretBits::random(&mut rng, len), 0.05, seed).unwrap();
            while let Ok(Some(request)) = bob.next_request() {
                prop_assert!(!request.sections.is_empty());
                let questions = bob.questions();
                prop_assert!(bob.answer(&BitString::with_len(questions + 1)).is_err());
                let answers = BitString::random(&mut rng, questions);
                if bob.answer(&answers).is_err() {
                    break;
                }
            }
        }
    }

    fn reconcile_or_too_much(len: usize, rate: f64, seed: u64) -> Option<u64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let truth = BitString::random(&mut rng, len);
        let noisy: BitString = truth.iter().map(|b| b ^ (rng.random::<f64>() < rate)).collect();
        let mut alice = CascadeAlice::new(truth.into(), rate, seed).unwrap();
        let mut bob = CascadeBob::new(noisy.into(), rate, seed).unwrap();
        while let Some(request) = bob.next_request().ok()? {
            bob.answer(&alice.answer(&request).ok()?).ok()?;
        }
        Some(alice.parities())
    }
}
