//! The codec: group, pad and code to ciphertext, and back.

use crqkd_bits::BitString;
use crqkd_keys::{Group, GroupId, Pad};
use crqkd_polar::{AdaptiveDecoder, Outcome, PolarCode};
use zeroize::{Zeroize, Zeroizing};

use crate::chance;
use crate::llr::{box_plus, flip};
use crate::{
    Attempts, Ciphertext, CiphertextMode, Combined, ConfigError, Decision, Opening, OtpConfig,
    OtpError, Received,
};

/// Encrypts groups and opens ciphertexts with one code.
///
/// Both directions take the [`Pad`] by value, so the compiler refuses to use it again:
///
/// ```compile_fail,E0382
/// # use crqkd_keys::{Group, Pad};
/// # use crqkd_otp::{Ciphertext, OtpCodec, OtpError};
/// fn twice(codec: &OtpCodec, one: &Group, other: &Group, pad: Pad) -> Result<[Ciphertext; 2], OtpError> {
///     Ok([codec.encrypt(one, pad)?, codec.encrypt(other, pad)?])
/// }
/// ```
///
/// nor can a second code put another codeword under it, whether of the same group or another:
///
/// ```compile_fail,E0382
/// # use crqkd_keys::{Group, Pad};
/// # use crqkd_otp::{Ciphertext, OtpCodec, OtpError};
/// fn longer(short: &OtpCodec, long: &OtpCodec, group: &Group, pad: Pad) -> Result<[Ciphertext; 2], OtpError> {
///     Ok([short.encrypt(group, pad)?, long.encrypt(group, pad)?])
/// }
/// ```
///
/// nor can it be kept for that, be it by a copy or behind a reference:
///
/// ```compile_fail,E0599
/// # use crqkd_keys::{Group, Pad};
/// # use crqkd_otp::{Ciphertext, OtpCodec, OtpError};
/// fn copied(codec: &OtpCodec, group: &Group, pad: Pad) -> Result<[Ciphertext; 2], OtpError> {
///     Ok([codec.encrypt(group, pad.clone())?, codec.encrypt(group, pad)?])
/// }
/// ```
///
/// ```compile_fail,E0507
/// # use crqkd_keys::{Group, Pad};
/// # use crqkd_otp::{Ciphertext, OtpCodec, OtpError};
/// fn kept(codec: &OtpCodec, group: &Group, pad: &Pad) -> Result<Ciphertext, OtpError> {
///     codec.encrypt(group, *pad)
/// }
/// ```
///
/// It is these uses alone which the compiler refuses:
///
/// ```
/// # use crqkd_keys::{Group, Pad};
/// # use crqkd_otp::{Ciphertext, OtpCodec, OtpError};
/// fn once(codec: &OtpCodec, one: &Group, other: &Group, pad: Pad, fresh: Pad) -> Result<[Ciphertext; 2], OtpError> {
///     Ok([codec.encrypt(one, pad)?, codec.encrypt(other, fresh)?])
/// }
/// ```
///
/// The store of channel key gives every bit into a pad once ([`PadStore::take`](crqkd_keys::PadStore::take)); a
/// ciphertext names the places of its pad, but holds no pad. So one codeword goes under a range of channel key, ever, and
/// a retransmission needs another range.
pub struct OtpCodec {
    config: OtpConfig,
    code: PolarCode,
    decoder: AdaptiveDecoder,
    llr: Vec<f32>,
    message: Vec<u8>,
}

impl OtpCodec {
    /// Builds code and decoder; in hard mode some tens of milliseconds.
    ///
    /// # Errors
    /// When a parameter is out of range.
    pub fn new(config: OtpConfig) -> Result<Self, ConfigError> {
        let (spec, construction) = config.code()?;
        let code = PolarCode::new(spec, construction)?;
        Self::with_code(config, code)
    }

    /// A second codec of the same configuration, which shares the code and has its own decoder.
    pub fn another(&self) -> Self {
        Self::with_code(self.config.clone(), self.code.clone()).expect("the same was built before")
    }

    /// A second codec of the same code whose decoder is told the pad in another way.
    pub fn deciding(&self, decision: Decision) -> Self {
        let config = OtpConfig { decision, ..self.config.clone() };
        Self::with_code(config, self.code.clone()).expect("the same was built before")
    }

    fn with_code(config: OtpConfig, code: PolarCode) -> Result<Self, ConfigError> {
        let decoder = AdaptiveDecoder::new(&code, config.list_size)?;
        let (llr, message) = (vec![0.0; code.n()], vec![0; code.k()]);
        Ok(Self { config, code, decoder, llr, message })
    }

    /// Opens what was received with one's own pad. Whatever comes of it, the pad is spent. A group is refused, although
    /// its check holds, when it is no nearer to what was received than chance puts some group: then the pads have nothing
    /// in common (2^−12 is the share of such ciphertexts that may pass both, a bound).
    ///
    /// # Errors
    /// When a length is not the code's, or the ciphertext came another way than the configuration says.
    pub fn decrypt(
        &mut self,
        group: GroupId,
        received: &Received,
        pad: Pad,
    ) -> Result<Opening, OtpError> {
        self.receive(group, received, pad)?;
        let opening = match self.decode(None) {
            Outcome::Decoded { path_metric, corrected } => {
                let bits = BitString::from_bits(&self.message).into();
                Opening::Decoded { group: Group { id: group, bits }, corrected, path_metric }
            }
            Outcome::Failed => Opening::Retransmit { group },
        };
        self.wipe();
        Ok(opening)
    }

    /// As [`OtpCodec::decrypt`], with what earlier attempts at the same group left: the LLRs add up. Where the sum does
    /// not decode, this attempt is tried alone, so that a spoiled one does not spoil all that follow. Whatever comes of
    /// it, the pad is spent.
    ///
    /// # Errors
    /// As [`OtpCodec::decrypt`], and when `earlier` belongs to another group or code.
    pub fn decrypt_combined(
        &mut self,
        group: GroupId,
        received: &Received,
        pad: Pad,
        earlier: Option<Attempts>,
    ) -> Result<Combined, OtpError> {
        if let Some(earlier) = &earlier
            && (earlier.group != group || earlier.llr.len() != self.code.n())
        {
            return Err(OtpError::OtherAttempts { group, earlier: earlier.group });
        }
        self.receive(group, received, pad)?;
        let mut sum =
            earlier.unwrap_or_else(|| Attempts { group, llr: vec![0.0; self.code.n()], count: 0 });
        sum.count += 1;
        for (sum, llr) in sum.llr.iter_mut().zip(&self.llr) {
            *sum += llr;
        }
        let mut outcome = self.decode(Some(&sum.llr));
        if !outcome.is_decoded() && sum.count > 1 {
            outcome = self.decode(None);
        }
        let combined = match outcome {
            Outcome::Decoded { .. } => {
                let mut codeword = Zeroizing::new(vec![0; self.code.n()]);
                self.code.encode_into(&self.message, &mut codeword);
                let wrong =
                    |(&llr, &bit): (&f32, &u8)| if bit == 0 { llr < 0.0 } else { llr > 0.0 };
                let corrected = self.llr.iter().zip(codeword.iter()).filter(|&x| wrong(x)).count();
                let bits = BitString::from_bits(&self.message).into();
                let group = Group { id: group, bits };
                Combined::Decoded { group, corrected, attempts: sum.count }
            }
            Outcome::Failed => Combined::Again(sum),
        };
        self.wipe();
        Ok(combined)
    }

    /// Decodes a sum of attempts, or this one. A codeword that chance explains counts as none, whatever its check says.
    fn decode(&mut self, sum: Option<&[f32]>) -> Outcome {
        let llr = sum.unwrap_or(&self.llr);
        match self.decoder.decode(llr, &mut self.message) {
            Outcome::Decoded { path_metric, .. }
                if !chance::is_significant(llr, path_metric, self.code.k()) =>
            {
                Outcome::Failed
            }
            outcome => outcome,
        }
    }

    /// LLRs of the codeword from ciphertext and pad.
    fn receive(&mut self, group: GroupId, received: &Received, pad: Pad) -> Result<(), OtpError> {
        let needed = self.code.n();
        if received.len() != needed {
            return Err(OtpError::CiphertextLength { group, bits: received.len(), needed });
        }
        self.check_pad(group, &pad)?;
        self.weigh(&pad);
        match (received, self.config.ciphertext) {
            (Received::Exact(bits), CiphertextMode::Protected) => {
                for (llr, bit) in self.llr.iter_mut().zip(bits.iter()) {
                    *llr = flip(bit, *llr);
                }
            }
            (Received::Soft(radio), CiphertextMode::Cascade) => {
                for (llr, &radio) in self.llr.iter_mut().zip(radio) {
                    *llr = box_plus(radio, *llr);
                }
            }
            (_, mode) => {
                self.wipe();
                return Err(OtpError::Mode { group, mode });
            }
        }
        Ok(())
    }

    /// Puts a group under a pad: c = polar_encode(group || CRC) xor pad.
    ///
    /// # Errors
    /// When group or pad has not the code's length.
    pub fn encrypt(&self, group: &Group, pad: Pad) -> Result<Ciphertext, OtpError> {
        let (id, needed) = (group.id, self.code.k());
        if group.bits.len() != needed {
            return Err(OtpError::GroupLength { group: id, bits: group.bits.len(), needed });
        }
        self.check_pad(id, &pad)?;
        let message = Zeroizing::new(group.bits.expose().to_bits());
        let mut codeword = Zeroizing::new(vec![0; self.code.n()]);
        self.code.encode_into(&message, &mut codeword);
        let masked = codeword.iter().zip(pad.bits().expose().iter());
        let bits = masked.map(|(&bit, pad)| (bit == 1) ^ pad).collect();
        Ok(Ciphertext { group: id, pad: pad.refs().to_vec(), bits })
    }

    /// The parameters that the codec was made with.
    pub fn config(&self) -> &OtpConfig {
        &self.config
    }

    /// The polar code that groups are encoded with.
    pub fn code(&self) -> &PolarCode {
        &self.code
    }

    fn check_pad(&self, group: GroupId, pad: &Pad) -> Result<(), OtpError> {
        let needed = self.code.n();
        if pad.len() == needed {
            Ok(())
        } else {
            Err(OtpError::PadLength { group, bits: pad.len(), needed })
        }
    }

    /// LLRs of the sender's pad from one's own.
    fn weigh(&mut self, pad: &Pad) {
        match self.config.decision {
            Decision::Soft => self.llr.copy_from_slice(pad.llr()),
            Decision::Hard => {
                let magnitude = self.config.hard_llr();
                for (llr, bit) in self.llr.iter_mut().zip(pad.bits().expose().iter()) {
                    *llr = flip(bit, magnitude);
                }
            }
        }
    }

    /// Leaves nothing of a group or a pad behind in the buffers.
    fn wipe(&mut self) {
        self.llr.as_mut_slice().zeroize();
        self.message.as_mut_slice().zeroize();
        self.decoder.wipe();
    }
}
