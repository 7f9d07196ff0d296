//! Sifting: only pulses that clicked and were measured in the basis of the sender are kept.

use crqkd_bits::{BitString, SecretBits};

use crate::message::{ProtocolError, expect_len};

/// The bits of `bits` at the ones of `mask`; both have one length.
pub(crate) fn select(bits: &BitString, mask: &BitString) -> BitString {
    let mut selected = BitString::with_capacity(mask.count_ones());
    selected.extend(bits.iter().zip(mask).filter(|&(_, keep)| keep).map(|(bit, _)| bit));
    selected
}

/// Alice's side: her bits and bases of the pulses that clicked; which bases agree; her sifted bits.
///
/// `clicked` has one bit per pulse, `bob_bases` one per click; both come from Bob.
pub(crate) fn sift_alice(
    bits: &SecretBits,
    bases: &SecretBits,
    clicked: &BitString,
    bob_bases: &BitString,
) -> Result<(BitString, SecretBits), ProtocolError> {
    expect_len("detection mask", bits.len(), clicked.len())?;
    expect_len("bases", clicked.count_ones(), bob_bases.len())?;
    let alice_bases = select(bases.expose(), clicked);
    let same: BitString = alice_bases.iter().zip(bob_bases).map(|(a, b)| a == b).collect();
    let detected = SecretBits::from(select(bits.expose(), clicked));
    let sifted = select(detected.expose(), &same);
    Ok((same, sifted.into()))
}

/// Bob's side: the bits of his clicks where Alice says that the bases agree.
pub(crate) fn sift_bob(bits: &SecretBits, same: &BitString) -> Result<SecretBits, ProtocolError> {
    expect_len("agreement mask", bits.len(), same.len())?;
    Ok(select(bits.expose(), same).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(text: &str) -> BitString {
        text.parse().unwrap()
    }

    #[test]
    fn kept_are_the_clicks_with_equal_bases() {
        let (alice, bases) = (bits("10110010").into(), bits("01101001").into());
        let clicked = bits("11010111"); // pulses 0 1 3 5 6 7
        let bob_bases = bits("001001"); // Alice's there: 0 1 0 0 0 1
        let (same, sifted) = sift_alice(&alice, &bases, &clicked, &bob_bases).unwrap();
        assert_eq!(same, bits("100111"));
        assert_eq!(*sifted.expose(), bits("1010"), "pulses 0 5 6 7");
        let bob = sift_bob(&bits("100110").into(), &same).unwrap();
        assert_eq!(*bob.expose(), bits("1110"));
    }

    #[test]
    fn masks_of_another_length_are_refused() {
        let (alice, bases) = (bits("1011").into(), bits("0110").into());
        assert!(sift_alice(&alice, &bases, &bits("111"), &bits("111")).is_err());
        assert!(sift_alice(&alice, &bases, &bits("1110"), &bits("11")).is_err());
        assert!(sift_bob(&bits("111").into(), &bits("1111")).is_err());
    }
}
