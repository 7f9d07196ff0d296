//! From group and pad to ciphertext, and back.

use crate::envelope::{holds, pack, unpack};
use crate::hooks::Hooks;
use crate::messages::{Decryption, Encryption, Opened, Reply};
use crqkd_forwarding::Answer;
use crqkd_otp::{Opening, OtpCodec};
use futuresdr::runtime::dev::prelude::*;

/// Puts groups under pads and opens ciphertexts; a shell on [`crqkd_otp::OtpCodec`].
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
        let ticket = work.ticket;
        match self.otp.decrypt(work.group, &work.received, work.pad) {
            Ok(Opening::Decoded { group, corrected, .. }) => {
                pack(Opened { ticket, group: Some(group), corrected: corrected as u32 })
            }
            Ok(Opening::Retransmit { .. }) => pack(Opened { ticket, group: None, corrected: 0 }),
            Err(error) => {
                pack(Reply { ticket, answer: Answer::Failed { reason: error.to_string() } })
            }
        }
    }
}
