//! What the two ends of a decoy-state link tell each other in one block, and its bytes.
//!
//! ```text
//! Alice                                                        Bob
//!   <-- Detections { pulses, distances, bases } ---------------
//!   --- Sifting { equal bases, intensities, her test bits } -->
//!   <-- TestBits { his test bits } ----------------------------   both: counts, QBER, abort above the threshold
//!   --- Reconcile { rate, seed } ----------------------------->
//!   <-- Questions / --- Answers -->  (many rounds), or in place of these three one message:
//!   --- Syndrome { rate, checks, bits } ---------------------->
//!   <-- Reconciled { errors } ---------------------------------
//!   --- Verify { hash key, tag } ----------------------------->
//!   <-- Verified { equal } ------------------------------------
//!   --- Amplify { length, seed } ----------------------------->   both: final length
//!   --- Tag (over all of the above) -------------------------->   both keep the key only now
//!   <-- Tag ---------------------------------------------------
//! ```

use crqkd_bits::BitString;

use crate::cascade::{Nodes, ParityRequest, Section};
use crate::wire::{Reader, WireError, Writer};

/// The most clicks of a block.
pub const MAX_CLICKS: u64 = 1 << 27;

/// A message of a block, either way.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// From Bob: which pulses clicked, and in which basis he measured them.
    Detections {
        /// Number of pulses in the block.
        pulses: u64,
        /// For each click the pulses without one before it.
        distances: Vec<u64>,
        /// For each click Bob's basis, true for the key's.
        bases: BitString,
    },
    /// From Alice: which clicks have equal bases, with which intensities, and her test bits.
    Sifting {
        /// For each click, whether the bases are equal.
        equal: BitString,
        /// For each of these, true for a signal pulse.
        signal: BitString,
        /// For each of these that is no signal, true for a decoy.
        decoy: BitString,
        /// Alice's bits in the test basis.
        test_bits: BitString,
    },
    /// Bob: his bits in the test basis.
    TestBits(BitString),
    /// Alice: ask for parities now.
    Reconcile {
        /// Error rate to start with, in units of 2^-32.
        rate: u32,
        /// Public seed of Cascade's shuffles and subsets.
        seed: u64,
    },
    /// From Alice: the syndromes by which Bob corrects his bits, in place of Cascade.
    Syndrome {
        /// Error rate that the code was made for, in units of 2^-32.
        rate: u32,
        /// Number of checks, and so of syndrome bits, of each frame.
        checks: u64,
        /// The syndromes of all frames.
        bits: BitString,
    },
    /// From Bob: the next questions of Cascade, ranges of the key whose parities he wants.
    Questions(ParityRequest),
    /// From Alice: the parities asked for, in the order of the questions.
    Answers(BitString),
    /// Bob: nothing more to ask, and how many bits were wrong.
    Reconciled {
        /// Number of key bits that Bob flipped.
        errors: u64,
    },
    /// Alice: the tag of her bits.
    Verify {
        /// Key of the hash, drawn after `Reconciled`.
        hash_key: [u64; 4],
        /// 64-bit verification hash of Alice's key bits under `hash_key`.
        tag: u64,
    },
    /// Bob: whether his is the same.
    Verified {
        /// True when Bob's tag equals Alice's.
        equal: bool,
    },
    /// Alice: hash to this length with this Toeplitz seed, drawn after `Verified`.
    Amplify {
        /// Length of the final key in bits.
        length: u64,
        /// Public bits of the matrix.
        seed: BitString,
    },
    /// Either end: the block ends without a key.
    Abort,
}

impl Message {
    /// Name of this kind of message, for reports and error texts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Detections { .. } => "Detections",
            Self::Sifting { .. } => "Sifting",
            Self::TestBits(_) => "TestBits",
            Self::Reconcile { .. } => "Reconcile",
            Self::Syndrome { .. } => "Syndrome",
            Self::Questions(_) => "Questions",
            Self::Answers(_) => "Answers",
            Self::Reconciled { .. } => "Reconciled",
            Self::Verify { .. } => "Verify",
            Self::Verified { .. } => "Verified",
            Self::Amplify { .. } => "Amplify",
            Self::Abort => "Abort",
        }
    }

    /// The message as bytes: one for its kind, then its fields.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        match self {
            Self::Detections { pulses, distances, bases } => {
                out.0.reserve(2 * distances.len());
                out.byte(1);
                out.number(*pulses);
                out.number(distances.len() as u64);
                distances.iter().for_each(|&d| out.number(d));
                out.bits(bases);
            }
            Self::Sifting { equal, signal, decoy, test_bits } => {
                out.byte(2);
                [equal, signal, decoy, test_bits].into_iter().for_each(|bits| out.bits(bits));
            }
            Self::TestBits(bits) => {
                out.byte(3);
                out.bits(bits);
            }
            Self::Reconcile { rate, seed } => {
                out.byte(4);
                out.number(u64::from(*rate));
                out.word(*seed);
            }
            Self::Syndrome { rate, checks, bits } => {
                out.byte(5);
                out.number(u64::from(*rate));
                out.number(*checks);
                out.bits(bits);
            }
            Self::Questions(request) => {
                out.byte(6);
                write_request(&mut out, request);
            }
            Self::Answers(bits) => {
                out.byte(7);
                out.bits(bits);
            }
            Self::Reconciled { errors } => {
                out.byte(8);
                out.number(*errors);
            }
            Self::Verify { hash_key, tag } => {
                out.byte(9);
                hash_key.iter().for_each(|&word| out.word(word));
                out.word(*tag);
            }
            Self::Verified { equal } => {
                out.byte(10);
                out.byte(u8::from(*equal));
            }
            Self::Amplify { length, seed } => {
                out.byte(11);
                out.number(*length);
                out.bits(seed);
            }
            Self::Abort => out.byte(12),
        }
        out.0
    }

    /// Reads the bytes of one message: exactly those that [`to_bytes`](Self::to_bytes) would give.
    ///
    /// # Errors
    /// [`WireError`] for bytes that end early, go on, or hold a number that is not allowed there.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut from = Reader::new(bytes);
        let kind = from.byte("kind")?;
        let message = match kind {
            1 => {
                let pulses = from.number("pulses", 1 << 40)?;
                // At least a byte each: nothing is allocated on a stranger's word.
                let count = from.number("clicks", MAX_CLICKS.min(from.left() as u64))?;
                let distances = from.numbers("distance", count as usize, pulses)?;
                Self::Detections { pulses, distances, bases: from.bits("bases")? }
            }
            2 => Self::Sifting {
                equal: from.bits("equal bases")?,
                signal: from.bits("signals")?,
                decoy: from.bits("decoys")?,
                test_bits: from.bits("test bits")?,
            },
            3 => Self::TestBits(from.bits("test bits")?),
            4 => Self::Reconcile { rate: from.rate()?, seed: from.word("seed")? },
            5 => Self::Syndrome {
                rate: from.rate()?,
                checks: from.number("checks", MAX_CLICKS)?,
                bits: from.bits("syndrome")?,
            },
            6 => Self::Questions(read_request(&mut from)?),
            7 => Self::Answers(from.bits("answers")?),
            8 => Self::Reconciled { errors: from.number("errors", MAX_CLICKS)? },
            9 => {
                let mut hash_key = [0; 4];
                for word in &mut hash_key {
                    *word = from.word("hash key")?;
                }
                Self::Verify { hash_key, tag: from.word("tag")? }
            }
            10 => match from.byte("equal")? {
                0 => Self::Verified { equal: false },
                1 => Self::Verified { equal: true },
                value => return Err(WireError::Unknown { what: "equal", value: value.into() }),
            },
            11 => Self::Amplify {
                length: from.number("length", MAX_CLICKS)?,
                seed: from.bits("Toeplitz seed")?,
            },
            12 => Self::Abort,
            _ => return Err(WireError::Unknown { what: "kind", value: kind.into() }),
        };
        from.end()?;
        Ok(message)
    }
}

impl Reader<'_> {
    fn rate(&mut self) -> Result<u32, WireError> {
        Ok(self.number("rate", u64::from(u32::MAX))? as u32)
    }
}

/// The top bit of a section's level: places are asked, not parities.
const PLACES: u8 = 0x80;

/// Sections with ascending ranges, as distances; 0 ranges stand for all.
fn write_request(out: &mut Writer, request: &ParityRequest) {
    out.number(request.sections.len() as u64);
    for section in &request.sections {
        out.byte(section.pass);
        let (flag, nodes): (u8, &[u32]) = match &section.nodes {
            Nodes::All => (0, &[]),
            Nodes::Listed(nodes) => (0, nodes),
            Nodes::Places(nodes) => (PLACES, nodes),
        };
        out.byte(section.level | flag);
        out.number(nodes.len() as u64);
        let mut last = 0u32;
        for &node in nodes {
            out.number(u64::from(node.wrapping_sub(last)));
            last = node;
        }
    }
}

fn read_request(from: &mut Reader<'_>) -> Result<ParityRequest, WireError> {
    let count = from.number("sections", (from.left() as u64 / 3).min(4096))?;
    let mut sections = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let (pass, level) = (from.byte("pass")?, from.byte("level")?);
        let count = from.number("ranges", from.left() as u64)?;
        let mut last = 0u32;
        let next = |_| {
            let distance = from.number("range", u64::from(u32::MAX))?;
            last = last.wrapping_add(distance as u32);
            Ok(last)
        };
        let listed = (0..count).map(next).collect::<Result<Vec<u32>, WireError>>()?;
        let nodes = match (level & PLACES, listed.is_empty()) {
            (0, true) => Nodes::All,
            (0, false) => Nodes::Listed(listed),
            _ => Nodes::Places(listed),
        };
        sections.push(Section { pass, level: level & !PLACES, nodes });
    }
    Ok(ParityRequest { sections })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bits() -> impl Strategy<Value = BitString> {
        prop::collection::vec(any::<bool>(), 0..80).prop_map(|bits| bits.into_iter().collect())
    }

    fn section() -> impl Strategy<Value = Section> {
        let nodes = prop_oneof![
            Just(Nodes::All),
            prop::collection::vec(any::<u32>(), 1..20).prop_map(Nodes::Listed),
            prop::collection::vec(any::<u32>(), 0..20).prop_map(Nodes::Places)
        ];
        (any::<u8>(), 0u8..128, nodes).prop_map(|(pass, level, nodes)| Section {
            pass,
            level,
            nodes,
        })
    }

    fn message() -> impl Strategy<Value = Message> {
        prop_oneof![
            (0u64..1 << 40, any::<u64>(), 0usize..30, bits()).prop_map(|(pulses, d, n, bases)| {
                Message::Detections { pulses, distances: vec![d % (pulses + 1); n], bases }
            }),
            (bits(), bits(), bits(), bits()).prop_map(|(equal, signal, decoy, test_bits)| {
                Message::Sifting { equal, signal, decoy, test_bits }
            }),
            bits().prop_map(Message::TestBits),
            (any::<u32>(), any::<u64>()).prop_map(|(rate, seed)| Message::Reconcile { rate, seed }),
            (any::<u32>(), 0..MAX_CLICKS, bits())
                .prop_map(|(rate, checks, bits)| Message::Syndrome { rate, checks, bits }),
            prop::collection::vec(section(), 0..5)
                .prop_map(|sections| Message::Questions(ParityRequest { sections })),
            bits().prop_map(Message::Answers),
            (0..MAX_CLICKS).prop_map(|errors| Message::Reconciled { errors }),
            (any::<[u64; 4]>(), any::<u64>())
                .prop_map(|(hash_key, tag)| Message::Verify { hash_key, tag }),
            any::<bool>().prop_map(|equal| Message::Verified { equal }),
            (0..MAX_CLICKS, bits()).prop_map(|(length, seed)| Message::Amplify { length, seed }),
            Just(Message::Abort),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn every_message_goes_there_and_back(message in message()) {
            let bytes = message.to_bytes();
            prop_assert_eq!(Message::from_bytes(&bytes).unwrap(), message);
        }

        #[test]
        fn a_message_that_is_cut_or_longer_is_refused(message in message(), cut: usize, more: u8) {
            let mut bytes = message.to_bytes();
            prop_assert!(Message::from_bytes(&bytes[..cut % bytes.len()]).is_err());
            bytes.push(more);
            prop_assert!(Message::from_bytes(&bytes).is_err());
        }

        #[test]
        fn any_bytes_are_refused_or_exactly_a_message(message in message(), at: usize, flip: u8, kind in 0u8..14, noise: Vec<u8>) {
            let mut bytes = message.to_bytes();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            let mut random = vec![kind];
            random.extend(noise);
            for bytes in [bytes, random] {
                if let Ok(message) = Message::from_bytes(&bytes) {
                    prop_assert_eq!(message.to_bytes(), bytes);
                }
            }
        }
    }
}
