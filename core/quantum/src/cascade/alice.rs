//! Alice answers.

use crqkd_bits::{BitString, SecretBits};
use zeroize::Zeroizing;

use super::{CascadeError, MAX_KEY_BITS, PASSES, ParityRequest, shuffle};

/// The end whose bits are right: it answers parities, counts them, and refuses what cannot be asked.
pub struct CascadeAlice {
    key: SecretBits,
    seed: u64,
    /// Per pass the parity of the first i shuffled bits, i = 0..=n.
    prefixes: Vec<Zeroizing<BitString>>,
    parities: u64,
    rounds: u64,
}

impl CascadeAlice {
    /// Ready to answer questions about `key`; `seed` is public and the same at both ends.
    ///
    /// # Errors
    /// [`CascadeError::TooLong`].
    pub fn new(key: SecretBits, seed: u64) -> Result<Self, CascadeError> {
        if key.len() > MAX_KEY_BITS {
            return Err(CascadeError::TooLong { len: key.len() });
        }
        Ok(Self { key, seed, prefixes: Vec::with_capacity(PASSES), parities: 0, rounds: 0 })
    }

    /// The parities of all ranges, in order.
    ///
    /// # Errors
    /// A pass that is neither begun nor next, a range outside the key, or more parities in all than there are bits.
    /// Nothing is then disclosed.
    pub fn answer(&mut self, request: &ParityRequest) -> Result<BitString, CascadeError> {
        let (len, due) = (self.key.len(), self.prefixes.len().min(PASSES - 1));
        let pass = request.pass as usize;
        if pass > due {
            return Err(CascadeError::WrongPass { pass: request.pass, due });
        }
        if request.ranges.is_empty() {
            return Err(CascadeError::EmptyRequest);
        }
        let disclosed = self.parities + request.ranges.len() as u64;
        if disclosed > len as u64 {
            return Err(CascadeError::TooMuch { disclosed, len });
        }
        let bad = request.ranges.iter().find(|(s, e)| s >= e || *e as usize > len);
        if let Some(&(start, end)) = bad {
            return Err(CascadeError::BadRange { start, end, len });
        }
        if pass == self.prefixes.len() {
            self.begin_pass();
        }
        self.parities = disclosed;
        self.rounds += 1;
        let prefix = &self.prefixes[pass];
        Ok(request.ranges.iter().map(|&(s, e)| prefix[s as usize] ^ prefix[e as usize]).collect())
    }

    /// The bits, unchanged.
    pub fn into_key(self) -> SecretBits {
        self.key
    }

    /// Bits disclosed so far.
    pub fn parities(&self) -> u64 {
        self.parities
    }

    /// Requests answered so far.
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Length of the key.
    pub fn key_bits(&self) -> usize {
        self.key.len()
    }

    fn begin_pass(&mut self) {
        let order = shuffle::positions(self.key.len(), self.seed, self.prefixes.len());
        let key = self.key.expose();
        let mut prefix = BitString::with_capacity(order.len() + 1);
        let mut sum = false;
        prefix.push(sum);
        for index in order {
            sum ^= key[index as usize];
            prefix.push(sum);
        }
        self.prefixes.push(Zeroizing::new(prefix));
    }
}

impl std::fmt::Debug for CascadeAlice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CascadeAlice({} bits, {} parities)", self.key.len(), self.parities)
    }
}
