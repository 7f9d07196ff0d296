//! Whether all instruction sets give the same bits and metrics.

use crqkd_polar::{CodeSpec, Construction, Crc, InstructionSet, MIN_N, Outcome, PolarCode};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;

use super::case::Engine;
use super::{BenchError, Decoder};

/// One decoder on one instruction set against the portable version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// Number of frames that both versions decoded.
    pub frames: usize,
    /// Frames of which message, path metric or number of corrections differed.
    pub different: usize,
}

/// Random codes of 32 to 1024 bits, and frames of which half are noise around a codeword and half are anything at all,
/// through `decoder` with `set` and with plain instructions.
///
/// # Errors
/// When there is no such decoder.
pub(crate) fn identity(
    decoder: Decoder,
    set: InstructionSet,
    frames: usize,
    seed: u64,
) -> Result<Identity, BenchError> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut found = Identity { frames: 0, different: 0 };
    while found.frames < frames {
        // Short codes most of the time: more codes, and the portable version is slow.
        let n = MIN_N << rng.random_range(0..6u32).min(rng.random_range(0..6));
        let crc = [Crc::None, Crc::Crc11, Crc::Crc16][rng.random_range(0..3)];
        let k = rng.random_range(1..=n - crc.len());
        let code = PolarCode::new(CodeSpec { n, k, crc }, Construction::BetaExpansion)?;
        let count = (frames - found.frames).min(256 + rng.random_range(0..64));
        let spread = rng.random_range(1..=127);
        let mut llr = vec![0i8; count * n];
        let mut word = vec![0; n];
        for (i, llr) in llr.chunks_mut(n).enumerate() {
            let message: Vec<u8> = (0..k).map(|_| rng.random_range(0..2)).collect();
            code.encode_into(&message, &mut word);
            for (llr, &bit) in llr.iter_mut().zip(&word) {
                let strength = rng.random_range(0..=spread);
                *llr = match (i % 2 == 0, (bit == 1) ^ rng.random_bool(0.08)) {
                    (true, _) => rng.random(),
                    (_, true) => -strength,
                    _ => strength,
                };
            }
        }
        let run = |set| -> Result<(Vec<u8>, Vec<Outcome>), BenchError> {
            let mut results = (vec![7; count * k], vec![Outcome::Failed; count]);
            Engine::new(decoder, set, &code)?.decode(&llr, n, k, &mut results.0, &mut results.1);
            Ok(results)
        };
        let (plain, vector) = (run(InstructionSet::Portable)?, run(set)?);
        let frame = |results: &(Vec<u8>, Vec<Outcome>), i: usize| {
            (results.0[i * k..(i + 1) * k].to_vec(), results.1[i])
        };
        found.different += (0..count).filter(|&i| frame(&plain, i) != frame(&vector, i)).count();
        found.frames += count;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoders_agree_with_their_portable_version() {
        for decoder in [Decoder::Sc, Decoder::List { paths: 8 }, Decoder::Adaptive { paths: 32 }] {
            let found = identity(decoder, InstructionSet::best(), 700, 5).unwrap();
            assert_eq!(found, Identity { frames: 700, different: 0 });
        }
    }
}
