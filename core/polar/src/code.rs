//! The code: its parameters, information set and encoder.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::construction::reliability_order;
use crate::density::Look;
use crate::{Construction, Crc, PolarError, kernel};

/// Shortest code length in bits.
pub const MIN_N: usize = 32;
/// Longest code length of list decoders.
pub const MAX_N: usize = 4096;
/// Longest code length at all, for successive cancellation.
pub const MAX_SC_N: usize = 65536;

/// Sizes of a polar code: its length, its message and its check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeSpec {
    /// Code length, a power of two from [`MIN_N`] to [`MAX_SC_N`]; list decoders go to [`MAX_N`].
    pub n: usize,
    /// Message bits, check excluded; `k + crc.len() <= n`.
    pub k: usize,
    /// Check appended to the message.
    pub crc: Crc,
}

/// A polar code with its information set; cheap to clone.
///
/// The codeword is `x = u·F⊗ⁿ` in natural order, where `u` holds the message and then its check at the ascending
/// information positions and 0 elsewhere.
#[derive(Clone, Debug)]
pub struct PolarCode {
    tables: Arc<Tables>,
}

#[derive(Debug)]
struct Tables {
    spec: CodeSpec,
    /// Ascending positions of message and check bits in `u`.
    information: Vec<u16>,
    /// Kind of each node of the decoding tree, heap order: the root is 1, the leaf of bit i is n + i.
    kinds: Vec<NodeKind>,
}

/// What the bits below a node of the decoding tree are, as far as it lets a decoder stop there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    /// All frozen: the partial sums are 0.
    Frozen,
    /// All but the last bit frozen: the partial sums are that bit, repeated.
    Repetition,
    /// Only the first bit frozen: the partial sums have even parity.
    Parity,
    /// All information: the partial sums may be any bits.
    Information,
    /// Any other pattern of frozen and information bits.
    Mixed,
}

impl PolarCode {
    /// Builds the code; density evolution takes tens of milliseconds at n = 1024.
    ///
    /// # Errors
    /// When the sizes or the parameters of the construction are out of range.
    pub fn new(spec: CodeSpec, construction: Construction) -> Result<Self, PolarError> {
        check_length(spec.n)?;
        Self::with_looks(spec, construction, &vec![Look::Received(1); spec.n], &[])
    }

    /// Builds the code from a reliability order of one's own: every index below n once, least reliable first.
    ///
    /// # Errors
    /// When the sizes are out of range or the order is none.
    pub fn from_order(spec: CodeSpec, order: &[u16]) -> Result<Self, PolarError> {
        check_length(spec.n)?;
        let mut seen = vec![false; spec.n];
        let new = |&i: &u16| {
            seen.get_mut(usize::from(i)).is_some_and(|seen| !std::mem::replace(seen, true))
        };
        if order.len() != spec.n || !order.iter().all(new) {
            return Err(PolarError::Order { n: spec.n });
        }
        Self::with_order(spec, order.to_vec(), &[])
    }

    /// Builds a code of which some bits are left out or come again; `forbidden` inputs carry no information.
    pub(crate) fn with_looks(
        spec: CodeSpec,
        construction: Construction,
        looks: &[Look],
        forbidden: &[u16],
    ) -> Result<Self, PolarError> {
        check_length(spec.n)?;
        check_dimension(spec, spec.n - forbidden.len())?;
        construction.validate(spec.n)?;
        Self::with_order(spec, reliability_order(construction, looks), forbidden)
    }

    fn with_order(
        spec: CodeSpec,
        mut order: Vec<u16>,
        forbidden: &[u16],
    ) -> Result<Self, PolarError> {
        let CodeSpec { n, k, crc } = spec;
        check_dimension(spec, n - forbidden.len())?;
        let mut excluded = vec![false; n];
        forbidden.iter().for_each(|&i| excluded[i as usize] = true);
        order.retain(|&i| !excluded[i as usize]);
        let mut information = order.split_off(order.len() - k - crc.len());
        information.sort_unstable();
        let kinds = node_kinds(n, &information);
        Ok(Self { tables: Arc::new(Tables { spec, information, kinds }) })
    }

    /// Length, message bits and check of the code.
    pub fn spec(&self) -> CodeSpec {
        self.tables.spec
    }

    /// Code length n: bits of a codeword.
    pub fn n(&self) -> usize {
        self.tables.spec.n
    }

    /// Message bits k of a codeword, the check not counted.
    pub fn k(&self) -> usize {
        self.tables.spec.k
    }

    /// The check appended to messages.
    pub fn crc(&self) -> Crc {
        self.tables.spec.crc
    }

    /// Ascending positions of message and check bits among the inputs of the polar transform.
    pub fn information_set(&self) -> &[u16] {
        &self.tables.information
    }

    /// The codeword of a message, one bit a byte.
    ///
    /// # Panics
    /// When `message` has not [`PolarCode::k`] entries.
    pub fn encode(&self, message: &[u8]) -> Vec<u8> {
        let mut codeword = vec![0; self.n()];
        self.encode_into(message, &mut codeword);
        codeword
    }

    /// As [`PolarCode::encode`], into a buffer of [`PolarCode::n`] entries.
    ///
    /// # Panics
    /// When `message` has not [`PolarCode::k`] entries or `codeword` not [`PolarCode::n`].
    pub fn encode_into(&self, message: &[u8], codeword: &mut [u8]) {
        assert_eq!(message.len(), self.k(), "message length");
        assert_eq!(codeword.len(), self.n(), "codeword length");
        let mut check = [0; 32];
        let check = &mut check[..self.crc().len()];
        self.crc().write(message, check);
        codeword.fill(0);
        for (&at, &bit) in self.tables.information.iter().zip(message.iter().chain(check.iter())) {
            codeword[at as usize] = bit & 1;
        }
        kernel::transform(codeword);
    }

    /// Takes message and check out of a codeword, which is turned into the transform's input in place; writes the
    /// message and tells whether the check holds.
    pub(crate) fn extract(&self, codeword: &mut [u8], message: &mut [u8]) -> bool {
        kernel::transform(codeword);
        let (for_message, for_check) = self.tables.information.split_at(self.k());
        for (place, &at) in message.iter_mut().zip(for_message) {
            *place = codeword[at as usize];
        }
        let mut check = [0; 32];
        let check = &mut check[..for_check.len()];
        for (place, &at) in check.iter_mut().zip(for_check) {
            *place = codeword[at as usize];
        }
        self.crc().matches(message, check)
    }

    /// Kind of a node of the decoding tree (heap index).
    #[inline]
    pub(crate) fn kind(&self, node: usize) -> NodeKind {
        self.tables.kinds[node]
    }
}

fn check_length(n: usize) -> Result<(), PolarError> {
    if n.is_power_of_two() && (MIN_N..=MAX_SC_N).contains(&n) {
        Ok(())
    } else {
        Err(PolarError::Length { n })
    }
}

/// Whether message and check fit the bits that may carry them.
fn check_dimension(CodeSpec { k, crc, .. }: CodeSpec, room: usize) -> Result<(), PolarError> {
    if k == 0 || k.saturating_add(crc.len()) > room {
        return Err(PolarError::Dimension { n: room, k, crc: crc.len() });
    }
    Ok(())
}

fn node_kinds(n: usize, information: &[u16]) -> Vec<NodeKind> {
    use NodeKind::{Frozen, Information, Mixed, Parity, Repetition};
    let mut kinds = vec![Frozen; 2 * n];
    for &i in information {
        kinds[n + i as usize] = Information;
    }
    for node in (1..n).rev() {
        let pair_of_leaves = node >= n / 2;
        kinds[node] = match (kinds[2 * node], kinds[2 * node + 1]) {
            (Frozen, Frozen) => Frozen,
            (Information, Information) => Information,
            (Frozen, Information) if pair_of_leaves => Repetition,
            (Frozen, Repetition) => Repetition,
            // (f, i, i, i): the left pair is a repetition of length 2, which is also a parity check of length 2
            (Repetition, Information) if node >= n / 4 => Parity,
            (Parity, Information) => Parity,
            _ => Mixed,
        };
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_nodes_by_hand() {
        use NodeKind::{Frozen, Information, Mixed, Parity, Repetition};
        // n = 8, bits f f f i | f i i i
        let kinds = node_kinds(8, &[3, 5, 6, 7]);
        assert_eq!(
            kinds[1..8],
            [Mixed, Repetition, Parity, Frozen, Repetition, Repetition, Information]
        );
    }

    #[test]
    fn sizes_out_of_range_are_named() {
        let spec = |n, k| CodeSpec { n, k, crc: Crc::Crc11 };
        let build = |spec| {
            PolarCode::new(spec, Construction::BetaExpansion).map(|_| ()).unwrap_err().to_string()
        };
        assert_eq!(build(spec(100, 8)), "code length 100 is not a power of two from 32 to 65536");
        assert_eq!(
            build(spec(64, 54)),
            "54 message bits and 11 check bits do not fit a code of length 64 (1 to 53 message bits)"
        );
        assert!(build(spec(64, 0)).starts_with("0 message bits"));
        let p = PolarCode::new(spec(64, 8), Construction::BscDensityEvolution { p: f64::NAN });
        assert!(matches!(p, Err(PolarError::ErrorRate { .. })));
    }

    #[test]
    fn an_order_of_ones_own_is_checked() {
        let spec = CodeSpec { n: 32, k: 6, crc: Crc::None };
        let mut order: Vec<u16> = (0..32).collect();
        let code = PolarCode::from_order(spec, &order).unwrap();
        assert_eq!(code.information_set(), [26, 27, 28, 29, 30, 31]);
        order[3] = 4;
        assert!(matches!(PolarCode::from_order(spec, &order), Err(PolarError::Order { n: 32 })));
        order[3] = 99;
        assert!(PolarCode::from_order(spec, &order).is_err());
        assert!(PolarCode::from_order(spec, &order[..31]).is_err());
    }

    #[test]
    fn the_5g_order_ends_at_1024() {
        let spec = |n| CodeSpec { n, k: 20, crc: Crc::Crc11 };
        assert!(PolarCode::new(spec(1024), Construction::Nr5g).is_ok());
        assert_eq!(
            PolarCode::new(spec(2048), Construction::Nr5g).unwrap_err(),
            PolarError::SequenceLength { n: 2048 }
        );
    }

    /// The six most reliable of 32 inputs are those with at least four ones: the (32, 6) Reed-Muller code, whose words
    /// other than 0 have weight 16 or 32.
    #[test]
    fn beta_expansion_at_32_6_is_the_first_order_reed_muller_code() {
        let code =
            PolarCode::new(CodeSpec { n: 32, k: 6, crc: Crc::None }, Construction::BetaExpansion)
                .unwrap();
        assert_eq!(code.information_set(), [15, 23, 27, 29, 30, 31]);
        for m in 1u8..64 {
            let message: Vec<u8> = (0..6).map(|i| m >> i & 1).collect();
            let weight: u32 = code.encode(&message).iter().map(|&bit| u32::from(bit)).sum();
            assert!(weight == 16 || weight == 32, "message {m:06b} has weight {weight}");
        }
    }
}
