//! Retransmission under a fresh pad with Chase combining: what is left after it.

use crqkd_polar::{
    BatchListDecoder, CodeSpec, Construction, InstructionSet, Noise, Outcome, PolarCode, Quantizer,
};
use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;

use super::BenchError;
use super::case::confidence;

/// A code whose failed frames are sent once more, over a channel of their own draw, and decoded from the sum of LLRs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chase {
    /// Length, message bits and check of the code.
    pub spec: CodeSpec,
    /// How the information positions of the code are chosen.
    pub construction: Construction,
    /// Paths of the list decoder.
    pub paths: usize,
    /// The channel, drawn anew for each transmission.
    pub noise: Noise,
}

/// Error rates and goodput with one retransmission.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ChaseMeasure {
    /// Number of frames that were sent, retransmissions not counted.
    pub frames: usize,
    /// Frames that failed at first: retransmissions.
    pub retransmitted: usize,
    /// Share of frames sent again, with its 95 % confidence interval.
    pub rr: f64,
    /// Lower end of the interval of `rr`.
    pub rr_low: f64,
    /// Upper end of the interval of `rr`.
    pub rr_high: f64,
    /// Frames that failed after combining too.
    pub residual: usize,
    /// Share of frames left, with its 95 % confidence interval.
    pub residual_rate: f64,
    /// Lower end of the interval of `residual_rate`.
    pub residual_low: f64,
    /// Upper end of the interval of `residual_rate`.
    pub residual_high: f64,
    /// Message bits delivered for each pad bit used.
    pub goodput: f64,
    /// The goodput if every second attempt had succeeded: whatever is sent then, as many bits cannot deliver more.
    pub goodput_limit: f64,
}

impl Chase {
    /// Sends `frames` random messages (up to a whole batch), and those that the decoder gives up once more.
    ///
    /// # Errors
    /// When a parameter is out of range.
    pub fn run(&self, seed: u64, frames: usize) -> Result<ChaseMeasure, BenchError> {
        self.noise.validate()?;
        let code = PolarCode::new(self.spec, self.construction)?;
        let (n, k) = (code.n(), code.k());
        let mut decoder =
            BatchListDecoder::with_instructions(&code, self.paths, InstructionSet::best())?;
        let quantizer = Quantizer::default();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let batch = decoder.batch();
        let (mut messages, mut found) = (vec![0; batch * k], vec![0; batch * k]);
        let mut outcomes = vec![Outcome::Failed; batch];
        let mut real = vec![0f32; batch * n];
        let mut llr = vec![0i8; batch * n];
        let (mut sent, mut retransmitted, mut residual) = (0, 0, 0);
        // Frames that wait for their second decoding, with the LLRs of both transmissions added.
        let (mut waiting, mut waiting_llr) = (Vec::new(), Vec::<i8>::new());
        let (mut fresh, mut word) = (vec![0f32; n], vec![0; n]);
        while sent < frames || !waiting.is_empty() {
            if sent < frames {
                for (message, real) in messages.chunks_mut(k).zip(real.chunks_mut(n)) {
                    message.iter_mut().for_each(|bit| *bit = (rng.next_u32() & 1) as u8);
                    code.encode_into(message, &mut word);
                    self.noise.receive(&word, real, &mut rng);
                }
                quantizer.quantize_into(&real, &mut llr);
                decoder.decode(&llr, &mut found, &mut outcomes);
                sent += batch;
                for (i, outcome) in outcomes.iter().enumerate() {
                    let message = &messages[i * k..(i + 1) * k];
                    if outcome.is_decoded() && found[i * k..(i + 1) * k] == *message {
                        continue;
                    }
                    retransmitted += 1;
                    if outcome.is_decoded() {
                        // A wrong message that passes its check is not asked for again.
                        residual += 1;
                        continue;
                    }
                    code.encode_into(message, &mut word);
                    self.noise.receive(&word, &mut fresh, &mut rng);
                    for (fresh, first) in fresh.iter_mut().zip(&real[i * n..(i + 1) * n]) {
                        *fresh += first;
                    }
                    waiting.extend_from_slice(message);
                    waiting_llr.extend(fresh.iter().map(|&x| quantizer.quantize(x)));
                }
            }
            let ready = (waiting.len() / k).min(batch);
            if ready == batch || (sent >= frames && ready > 0) {
                let results = &mut outcomes[..ready];
                decoder.decode(&waiting_llr[..ready * n], &mut found[..ready * k], results);
                for (i, outcome) in results.iter().enumerate() {
                    let range = i * k..(i + 1) * k;
                    let right = outcome.is_decoded() && found[range.clone()] == waiting[range];
                    residual += usize::from(!right);
                }
                waiting.drain(..ready * k);
                waiting_llr.drain(..ready * n);
            }
        }
        let per_pad_bit =
            |delivered: usize| (delivered * k) as f64 / ((sent + retransmitted) * n) as f64;
        let (rr_low, rr_high) = confidence(retransmitted, sent);
        let (residual_low, residual_high) = confidence(residual, sent);
        Ok(ChaseMeasure {
            frames: sent,
            retransmitted,
            rr: retransmitted as f64 / sent as f64,
            rr_low,
            rr_high,
            residual,
            residual_rate: residual as f64 / sent as f64,
            residual_low,
            residual_high,
            goodput: per_pad_bit(sent - residual),
            goodput_limit: per_pad_bit(sent),
        })
    }
}
