//! How often a group is opened with a pad that has nothing to do with the sender's: by the check alone, and by the codec,
//! which also refuses what chance explains. `cargo run --release -p crqkd-otp --example undetected [TRIALS]`

use crqkd_bits::SecretBits;
use crqkd_keys::{Group, GroupId, Pad};
use crqkd_otp::{Opening, OtpCodec, OtpConfig, Received};
use crqkd_polar::AdaptiveDecoder;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let trials = std::env::args().nth(1).map_or(Ok(20_000), |text| text.parse::<u32>())?;
    for (n, k, list_size) in [(256, 96, 8), (1024, 384, 8), (1024, 512, 32)] {
        let mut codec = OtpCodec::new(OtpConfig { n, k, list_size, ..OtpConfig::default() })?;
        let mut decoder = AdaptiveDecoder::new(codec.code(), list_size)?;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (mut by_check, mut by_both) = (0, 0);
        let (mut llr, mut message) = (vec![0.0f32; n], vec![0; k]);
        for _ in 0..trials {
            llr.fill_with(|| if rng.random() { 1.0 } else { -1.0 });
            by_check += u32::from(decoder.decode(&llr, &mut message).is_decoded());
            let group = Group { id: GroupId(1), bits: SecretBits::random(&mut rng, k) };
            let pad = |rng: &mut ChaCha8Rng| Pad::uniform(vec![], SecretBits::random(rng, n), 1.0);
            let ciphertext = codec.encrypt(&group, pad(&mut rng))?;
            let opening = codec.decrypt(group.id, &Received::from(ciphertext), pad(&mut rng))?;
            by_both += u32::from(matches!(opening, Opening::Decoded { .. }));
        }
        println!(
            "({n},{k}), {list_size} paths: of {trials}, {by_check} pass the check alone, {by_both} the codec"
        );
    }
    Ok(())
}
