//! A message from Alice to Bob under the key they share: AES-256-GCM, or a one-time pad.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use anyhow::{Context, Result, bail, ensure};
use crqkd_bits::{BitString, Fingerprint, SecretBits};
use crqkd_blocks::messages::FinalKey;
use crqkd_keys::GroupId;

/// Bits of an AES-256 key.
const AES_KEY_BITS: usize = 256;

/// A final key as one user holds it.
pub(crate) struct KeyAtUser {
    /// Number of the block it was made of.
    pub(crate) block: u32,
    /// The block's groups.
    pub(crate) groups: Vec<GroupId>,
    /// What may be shown of it.
    pub(crate) fingerprint: Fingerprint,
    /// The key.
    pub(crate) bits: SecretBits,
}

impl KeyAtUser {
    /// Takes over what the flowgraph delivered.
    pub(crate) fn new(key: FinalKey) -> Self {
        let FinalKey { block, groups, bits, .. } = key;
        KeyAtUser { block, groups, fingerprint: bits.fingerprint(), bits }
    }
}

/// What crosses the open network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// The ciphertext; with AES-GCM the 16-byte tag is at its end.
    pub(crate) ciphertext: Vec<u8>,
    /// Which cipher made it.
    pub(crate) cipher: Cipher,
}

/// The two ways to use a unified key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cipher {
    /// AES-256-GCM under the first 256 bits: computational security, any length, integrity.
    Aes256Gcm,
    /// One key bit per message bit: information-theoretic secrecy, no integrity by itself.
    OneTimePad,
}

impl Cipher {
    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Cipher::Aes256Gcm => "AES-256-GCM",
            Cipher::OneTimePad => "one-time pad",
        }
    }

    /// Key bits that a message takes.
    pub(crate) fn key_bits(self, message: &[u8]) -> usize {
        match self {
            Cipher::Aes256Gcm => AES_KEY_BITS,
            Cipher::OneTimePad => 8 * message.len(),
        }
    }
}

/// Encrypts `plaintext` under `key`, which is consumed: one key encrypts one message here, so the nonce is a constant.
///
/// `key_id` is authenticated along with the message. Fails when the key is too short for the cipher.
pub(crate) fn seal(
    cipher: Cipher,
    key: SecretBits,
    key_id: &str,
    plaintext: &[u8],
) -> Result<Sealed> {
    let ciphertext = match cipher {
        Cipher::Aes256Gcm => aes(key)?
            .encrypt(&nonce(), Payload { msg: plaintext, aad: key_id.as_bytes() })
            .ok()
            .context("AES-256-GCM refused to encrypt")?,
        Cipher::OneTimePad => one_time_pad(key, plaintext)?,
    };
    Ok(Sealed { ciphertext, cipher })
}

/// Decrypts what [`seal`] made. Fails when the tag of AES-GCM does not fit (wrong key, wrong key id, altered message).
pub(crate) fn open(key: SecretBits, key_id: &str, sealed: &Sealed) -> Result<Vec<u8>> {
    match sealed.cipher {
        Cipher::Aes256Gcm => {
            let payload = Payload { msg: &sealed.ciphertext, aad: key_id.as_bytes() };
            match aes(key)?.decrypt(&nonce(), payload) {
                Ok(plaintext) => Ok(plaintext),
                Err(_) => bail!("the message was altered or the keys differ (AES-256-GCM tag)"),
            }
        }
        Cipher::OneTimePad => one_time_pad(key, &sealed.ciphertext),
    }
}

fn aes(key: SecretBits) -> Result<Aes256Gcm> {
    ensure!(
        key.len() >= AES_KEY_BITS,
        "the key has {} bits, AES-256 needs {AES_KEY_BITS}",
        key.len()
    );
    let bytes = zeroize::Zeroizing::new(key.expose().slice(0..AES_KEY_BITS)?.to_bytes());
    Aes256Gcm::new_from_slice(&bytes).ok().context("AES-256 takes 32 bytes of key")
}

/// A key serves one message, so (key, nonce) never repeats.
fn nonce() -> Nonce<aes_gcm::aead::consts::U12> {
    Nonce::default()
}

fn one_time_pad(key: SecretBits, data: &[u8]) -> Result<Vec<u8>> {
    let bits = data.len() * 8;
    ensure!(
        key.len() >= bits,
        "the key has {} bits, a one-time pad for this message needs {bits}",
        key.len()
    );
    let pad = key.expose().slice(0..bits)?;
    let mut text = BitString::from_bytes(data, bits)?;
    text.xor_assign(&pad)?;
    Ok(text.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn key(seed: u64) -> SecretBits {
        SecretBits::random(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed), 512)
    }

    #[test]
    fn both_ciphers_give_the_message_back_and_hide_it() {
        for cipher in [Cipher::Aes256Gcm, Cipher::OneTimePad] {
            let sealed = seal(cipher, key(1), "id", b"meet at noon").unwrap();
            assert!(!sealed.ciphertext.starts_with(b"meet"));
            assert_eq!(open(key(1), "id", &sealed).unwrap(), b"meet at noon");
        }
    }

    #[test]
    fn a_wrong_key_a_wrong_key_id_and_an_altered_message_are_refused() {
        let mut sealed = seal(Cipher::Aes256Gcm, key(1), "id", b"meet at noon").unwrap();
        assert!(open(key(2), "id", &sealed).is_err());
        assert!(open(key(1), "other id", &sealed).is_err());
        sealed.ciphertext[0] ^= 1;
        assert!(open(key(1), "id", &sealed).is_err());
    }

    #[test]
    fn a_key_that_is_too_short_is_refused_with_the_numbers() {
        let mut long = key(1);
        let short = long.take_front(100).unwrap();
        let error =
            seal(Cipher::OneTimePad, short, "id", b"thirteen byte").unwrap_err().to_string();
        assert_eq!(error, "the key has 100 bits, a one-time pad for this message needs 104");
        let short = long.take_front(255).unwrap();
        let error = seal(Cipher::Aes256Gcm, short, "id", b"x").unwrap_err().to_string();
        assert_eq!(error, "the key has 255 bits, AES-256 needs 256");
    }
}
