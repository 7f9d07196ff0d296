//! From group and pad to ciphertext, and back.

use crate::envelope::{holds, pack, unpack};
use crate::hooks::Hooks;
use crate::messages::{Decryption, Encryption, Opened, Reply};
use crqkd_forwarding::Answer;
use crqkd_otp::{Combined, OtpCodec};
use futuresdr::runtime::dev::prelude::*;

/// Puts groups under pads and opens ciphertexts, each combined with what earlier attempts at its group left; a shell on [`crqkd_otp::OtpCodec`].
///
/// # Message Inputs
///
/// `codec`: [`Encryption`] and [`Decryption`]. Each pad is consumed.
///
/// # Message Outputs
///
/// `results`: [`Reply`] to an encryption, [`Opened`] to a decryption.
#[derive(Block)]
#[message_inputs(codec)]
#[message_outputs(results)]
#[null_kernel]
pub struct PolarOtp {
    otp: OtpCodec,
    hooks: Hooks,
}

impl PolarOtp {
    /// A block around a codec.
    pub fn new(otp: OtpCodec, hooks: Hooks) -> Self {
        PolarOtp { otp, hooks }
    }

    async fn codec(
        &mut self,
        io: &mut WorkIo,
        mo: &mut MessageOutputs,
        _meta: &mut BlockMeta,
        message: Pmt,
    ) -> Result<Pmt> {
        self.hooks.nap().await;
        if message == Pmt::Finished {
            io.finished = true;
            return Ok(Pmt::Ok);
        }
        let result = if holds::<Encryption>(&message) {
            pack(self.encrypt(unpack(&message)?))
        } else {
            let work = self.hooks.watch(unpack::<Decryption>(&message).map_err(Into::into))?;
            self.decrypt(work)
        };
        mo.post("results", result).await?;
        Ok(Pmt::Ok)
    }

    fn encrypt(&self, work: Encryption) -> Reply {
        let answer = match self.otp.encrypt(&work.group, work.pad) {
            Ok(ciphertext) => Answer::Encrypted { ciphertext: ciphertext.bits },
            Err(error) => Answer::Failed { reason: error.to_string() },
        };
        Reply { ticket: work.ticket, answer }
    }

    fn decrypt(&mut self, work: Decryption) -> Pmt {
        let Decryption { ticket, group, received, pad, earlier } = work;
        match self.otp.decrypt_combined(group, &received, pad, earlier) {
            Ok(Combined::Decoded { group, corrected, .. }) => {
                let corrected = corrected as u32;
                pack(Opened { ticket, group: Some(group), corrected, again: None })
            }
            Ok(Combined::Again(attempts)) => {
                pack(Opened { ticket, group: None, corrected: 0, again: Some(attempts) })
            }
            Err(error) => {
                pack(Reply { ticket, answer: Answer::Failed { reason: error.to_string() } })
            }
        }
    }
}
