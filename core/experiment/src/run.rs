//! A run at CSI level: windows to bits, bits to pads, groups through the polar one-time pad.

use std::ops::Range;

use crqkd_bits::{BitString, SecretBits};
use crqkd_channel_key::{KdrCount, MedianQuantizer, QuantizeError, Quantizer};
use crqkd_keys::{Group, GroupId, Pad};
use crqkd_otp::{CiphertextMode, Opening, OtpCodec, OtpConfig, Received};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::csi::CsiLink;
use crate::setup::{ExperimentError, Setup};
use crate::tally::{GroupTally, RunTally, WindowTally};

/// What Eve does with a ciphertext in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EveDecodes {
    /// She tries to decode every group, as the user does.
    Every,
    /// She only measures: for fits, where her decoder would take most of the time.
    Never,
}

/// Bits and LLRs of the three parties, in the order of time.
#[derive(Default)]
struct Stream {
    bits: [BitString; 3],
    llr: [Vec<f32>; 3],
}

/// Sends at least `probes` probes (whole windows) over the link of `seed` and a group under every full pad.
///
/// # Errors
/// A value of `setup` out of range, or a window that does not move.
pub fn run_csi(
    setup: &Setup,
    seed: u64,
    probes: u64,
    eve: EveDecodes,
) -> Result<RunTally, ExperimentError> {
    let codec = OtpCodec::new(protected(&setup.otp))?;
    run_with(setup, codec, seed, probes, eve)
}

/// [`run_csi`] for every seed of a range, side by side on all cores; the answers do not depend on how many there are.
///
/// # Errors
/// The first that any of the runs gives.
pub fn run_seeds(
    setup: &Setup,
    seeds: Range<u64>,
    probes: u64,
    eve: EveDecodes,
) -> Result<Vec<RunTally>, ExperimentError> {
    let codec = OtpCodec::new(protected(&setup.otp))?;
    seeds.into_par_iter().map(|seed| run_with(setup, codec.another(), seed, probes, eve)).collect()
}

fn run_with(
    setup: &Setup,
    mut codec: OtpCodec,
    seed: u64,
    probes: u64,
    eve: EveDecodes,
) -> Result<RunTally, ExperimentError> {
    let mut link = CsiLink::new(setup, seed)?;
    let quantizer = MedianQuantizer::new(&setup.channel_key)?;
    let window_probes = u64::from(setup.probing.window_probes);
    let window_s = window_probes as f64 / setup.probing.probe_rate_hz;
    let mut tally = RunTally { group_bits: setup.otp.k as u64, ..RunTally::default() };
    let mut stream = Stream::default();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Air time of the first bit that waits in the stream.
    let mut pad_start_s = 0.0;

    for window in 0..probes.div_ceil(window_probes) {
        let features = link.window();
        tally.probes += window_probes;
        let start_s = window as f64 * window_s;
        let mut row = WindowTally { start_s, length_s: window_s, ..WindowTally::default() };
        // A window with less than two probes gives no bits; both ends know.
        if features.qap.len() >= 2 {
            let quantize = |rows: &[Vec<f32>]| {
                let fail = |source: QuantizeError| ExperimentError::Quantize { window, source };
                quantizer.quantize(rows).map_err(fail)
            };
            tally.kept += features.qap.len() as u64;
            let [qap, user, eve, back] =
                [&features.qap, &features.user, &features.eve, &features.eve_reverse]
                    .map(|f| quantize(f));
            let (qap, back) = (qap?, back?);
            row.eve_reverse = compare(qap.bits.expose(), back.bits.expose());
            for (i, soft) in [qap, user?, eve?].into_iter().enumerate() {
                let (bits, llr) = soft.into_parts();
                stream.bits[i].extend_from(bits.expose());
                stream.llr[i].extend(llr);
            }
            let new = stream.bits[0].len() - features.qap.len() * features.qap[0].len();
            let part = |i: usize| tail(&stream.bits[i], new);
            row.user = compare(&part(0), &part(1));
            row.eve = compare(&part(0), &part(2));
        }
        tally.windows.push(row);
        while stream.bits[0].len() >= setup.otp.n {
            let group = Group {
                id: GroupId(tally.groups.len() as u64),
                bits: SecretBits::random(&mut rng, setup.otp.k),
            };
            tally.groups.push(GroupTally {
                start_s: pad_start_s,
                ..send(&mut codec, &group, &mut stream, eve)
            });
            // The rest of the pad bits comes from this window.
            pad_start_s = start_s;
        }
        if stream.bits[0].is_empty() {
            pad_start_s = start_s + window_s;
        }
    }
    Ok(tally)
}

/// Sends one group under the next pad of the stream.
fn send(codec: &mut OtpCodec, group: &Group, stream: &mut Stream, eve: EveDecodes) -> GroupTally {
    let n = codec.config().n;
    let [qap, user, eavesdropped] = std::array::from_fn(|i| {
        let bits = &mut stream.bits[i];
        let front = bits.slice(0..n).expect("the stream holds a pad");
        *bits = tail(bits, n);
        let llr: Vec<f32> = stream.llr[i].drain(..n).collect();
        (front, llr)
    });
    let pad = |(bits, llr): (BitString, Vec<f32>)| {
        Pad::new(Vec::new(), bits.into(), llr).expect("as many LLRs as bits")
    };
    let mut tally = GroupTally { user: compare(&qap.0, &user.0), ..GroupTally::default() };
    let ciphertext = codec.encrypt(group, pad(qap)).expect("group and pad have the code's lengths");
    let received = Received::from(ciphertext);
    let mut open = |pad: Pad| {
        let opening = codec.decrypt(group.id, &received, pad);
        match opening.expect("ciphertext and pad have the code's lengths") {
            Opening::Decoded { group: opened, .. } => Some(opened.bits.ct_eq(&group.bits)),
            Opening::Retransmit { .. } => None,
        }
    };
    let at_user = open(pad(user));
    tally.decoded = at_user.is_some();
    tally.wrong = at_user == Some(false);
    if eve == EveDecodes::Every {
        tally.cracked = open(pad(eavesdropped)) == Some(true);
    }
    tally
}

/// The code as it is; ciphertexts always arrive here.
fn protected(config: &OtpConfig) -> OtpConfig {
    OtpConfig { ciphertext: CiphertextMode::Protected, ..config.clone() }
}

fn tail(bits: &BitString, from: usize) -> BitString {
    bits.slice(from..bits.len()).expect("from lies inside")
}

fn compare(a: &BitString, b: &BitString) -> KdrCount {
    KdrCount::compare(a, b).expect("equal numbers of probes and carriers")
}
