//! Runs made up of seeded Gaussian channels. For tests of files and drawings only: nothing here
//! is a model of anything.
#![allow(dead_code)]

use crqkd_report::{
    ByEnd, Counting, Disturbances, GroupRecord, Impulse, LinkData, Matrix, QuantumBlock,
    QuantumData, RunData, SimulatedBits, TableRow, WindowData,
};
use num_complex::Complex32;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::f32::consts::TAU;

const PROBES_PER_WINDOW: usize = 128;
const CARRIERS: [u16; 4] = [5, 18, 31, 45];
const PAD_BITS: usize = 1024;

/// A run of two links.
pub(crate) fn run(windows: usize, seed: u64) -> RunData {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut run = RunData::new("hall", seed);
    run.command = Some(format!("crqkd demo --scenario hall --seed {seed}"));
    run.version = Some("crqkd 0.1.0".into());
    run.option("groups", "24");
    run.option("decision", "hard");
    run.air_time_s = Some(85.3);
    run.disturbances = Some(Disturbances { share: 0.08, mean_s: 4.0, rise_db: 6.0 });
    run.quantum = Some(quantum());
    run.fact("Code", "polar (1024, 384), SCL-8, hard");
    run.fact("Authentication", "none: unauthenticated run");
    run.fact("Alice's key", "3f9a01c4");
    run.fact("Bob's key", "3f9a01c4");
    run.links =
        vec![link("QAP1", "Alice", windows, &mut rng), link("QAP2", "Bob", windows, &mut rng)];
    run.table = vec![
        TableRow::new("Key generation rate", 417.3, "bit/s", Counting::Raw)
            .interval(409.8, 424.9)
            .paper(424.7),
        TableRow::new("Key generation rate", 150.2, "bit/s", Counting::Corrected)
            .interval(144.0, 156.9),
        TableRow::not_accounted("Key generation rate", "bit/s", Counting::Secret),
        TableRow::new("Key disagreement rate", 4.9, "%", Counting::None)
            .interval(4.5, 5.4)
            .paper(4.7),
        TableRow::new("Retransmission rate", 2.9, "%", Counting::None)
            .interval(0.6, 8.1)
            .paper(2.1),
        TableRow::new(TableRow::EVE_ON_QAP, 48.6, "%", Counting::None)
            .interval(47.2, 50.1)
            .paper(49.2),
        TableRow::new(TableRow::EVE_ON_USER, 49.1, "%", Counting::None).interval(47.9, 50.3),
        TableRow::new("Groups cracked by Eve", 0.0, "", Counting::None).paper(0.0).decimals(0),
    ];
    run
}

/// Three blocks, the second with too many errors: 36 of 3000 sampled bits in all.
fn quantum() -> QuantumData {
    let block = |sample_errors, abort: Option<&str>| QuantumBlock {
        pulses: 1_000_000,
        detected: 160_000,
        sifted: 80_000,
        sample: 1000,
        sample_errors,
        disclosed: if abort.is_some() { 0 } else { 9000 },
        key_bits: if abort.is_some() { 0 } else { 39_000 },
        abort: abort.map(str::to_owned),
    };
    QuantumData {
        protocol: "BB84".into(),
        distance_km: 10.0,
        qber_threshold: 0.11,
        intercept_share: 0.0,
        blocks: vec![
            block(9, None),
            block(17, Some("QBER too high: 17 errors in a sample of 1000 bits")),
            block(10, None),
        ],
    }
}

/// A channel of some echoes, each a sum of plane waves: taps as a function of time.
struct Channel {
    /// Per tap: amplitude, Doppler and phase of each wave.
    waves: Vec<Vec<(f32, f32, f32)>>,
}

impl Channel {
    fn new(rng: &mut impl Rng) -> Self {
        let tap = |tap: usize, rng: &mut _| {
            let power = 0.5 * (-(tap as f32) / 1.6).exp();
            let scatter = wave_set(16, (power / 16.0).sqrt(), rng);
            if tap > 0 { scatter } else { [scatter, vec![(0.6, 1.3, 0.4)]].concat() }
        };
        Self { waves: (0..10).map(|l| tap(l, rng)).collect() }
    }

    fn taps(&self, t: f64) -> [Complex32; 32] {
        let mut taps = [Complex32::ZERO; 32];
        for (l, waves) in self.waves.iter().enumerate() {
            taps[8 + l] = waves
                .iter()
                .map(|(a, f, p)| Complex32::from_polar(*a, TAU * f * t as f32 + p))
                .sum();
        }
        taps
    }
}

fn wave_set(n: usize, amplitude: f32, rng: &mut impl Rng) -> Vec<(f32, f32, f32)> {
    (0..n)
        .map(|_| (amplitude, 4.3 * (TAU * rng.random::<f32>()).cos(), TAU * rng.random::<f32>()))
        .collect()
}

fn noise(variance: f32, rng: &mut impl Rng) -> Complex32 {
    let [a, b]: [f32; 2] = std::array::from_fn(|_| StandardNormal.sample(rng));
    Complex32::new(a, b) * (variance / 2.0).sqrt()
}

fn csi(taps: &[Complex32; 32], variance: f32, gain: f32, rng: &mut impl Rng) -> Vec<Complex32> {
    let numbers = (-26..=-1).chain(1..=26);
    numbers
        .map(|k| {
            let sum: Complex32 = (0..32)
                .map(|l| taps[l] * Complex32::cis(-TAU * (k * (l as i32 - 8)) as f32 / 64.0))
                .sum();
            (sum + noise(variance, rng)) * gain
        })
        .collect()
}

fn level_db(h: Complex32) -> f32 {
    10.0 * h.norm_sqr().log10()
}

fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
}

fn link(qap: &str, user: &str, windows: usize, rng: &mut ChaCha8Rng) -> LinkData {
    let (main, eve) = (Channel::new(rng), Channel::new(rng));
    let probes = windows * PROBES_PER_WINDOW;
    let mut ends: [Vec<Vec<Complex32>>; 3] = Default::default();
    let mut taps = Vec::new();
    let mut air_time_s = Vec::new();
    for probe in 0..probes {
        let lost = 2 * (probe / 37);
        let t = 0.01 * (probe + lost) as f64 + 0.05 * (probe / PROBES_PER_WINDOW) as f64;
        air_time_s.push(0.25 + t + 1e-5 * probe as f64);
        let h = main.taps(t);
        ends[0].push(csi(&h, 0.01, 1.0, rng));
        ends[1].push(csi(&main.taps(t + 0.002), 0.01, 0.7, rng));
        ends[2].push(csi(&eve.taps(t), 0.01, 0.9, rng));
        taps.push(h.map(|x| x + noise(0.001, rng)));
    }

    let mut thresholds: [Vec<Vec<f32>>; 3] = Default::default();
    let mut bits: [Matrix<u8>; 3] = std::array::from_fn(|_| Matrix::empty(CARRIERS.len()));
    for w in 0..windows {
        let range = w * PROBES_PER_WINDOW..(w + 1) * PROBES_PER_WINDOW;
        for end in 0..3 {
            let rows = &ends[end][range.clone()];
            let level = |row: &[Complex32], c: u16| level_db(row[usize::from(c)]);
            let medians =
                CARRIERS.map(|c| median(rows.iter().map(|row| level(row, c)).collect())).to_vec();
            for row in rows {
                let above = |(c, m): (&u16, &f32)| u8::from(level(row, *c) > *m);
                let row: Vec<u8> = CARRIERS.iter().zip(&medians).map(above).collect();
                assert!(bits[end].push_row(&row));
            }
            thresholds[end].push(medians);
        }
    }

    let groups = groups(&bits, rng);
    let windows = (0..windows)
        .map(|w| WindowData {
            window: w as u32,
            first: w * PROBES_PER_WINDOW,
            probes: PROBES_PER_WINDOW,
            carriers: CARRIERS.to_vec(),
            thresholds_db: ByEnd {
                qap: thresholds[0][w].clone(),
                user: thresholds[1][w].clone(),
                eve: Some(thresholds[2][w].clone()),
            },
        })
        .collect();
    let [qap_csi, user_csi, eve_csi] = ends.map(|rows| Matrix::from_rows(&rows).unwrap());
    let [qap_bits, user_bits, eve_bits] = bits;
    LinkData {
        qap: qap.into(),
        user: user.into(),
        carriers: (0..qap_csi.cols() as u16).collect(),
        csi: ByEnd { qap: qap_csi, user: user_csi, eve: Some(eve_csi) },
        windows,
        simulated_bits: Some(SimulatedBits(ByEnd {
            qap: qap_bits,
            user: user_bits,
            eve: Some(eve_bits),
        })),
        groups,
        tolerable_kdr: Some(0.12),
        impulse: Some(Impulse {
            measured_by: user.into(),
            air_time_s: air_time_s.clone(),
            taps: Matrix::from_rows(&taps).unwrap(),
            zero_tap: 8,
            tap_spacing_s: 50e-9,
        }),
        air_time_s,
    }
}

fn groups(bits: &[Matrix<u8>; 3], rng: &mut impl Rng) -> Vec<GroupRecord> {
    let pads = bits.each_ref().map(|b| b.data().chunks_exact(PAD_BITS).collect::<Vec<_>>());
    let rate = |end: usize, i: usize| {
        let differing = pads[0][i].iter().zip(pads[end][i]).filter(|(a, b)| a != b).count();
        differing as f64 / PAD_BITS as f64
    };
    let (mut group, mut attempt) = (0, 1);
    let mut records = Vec::new();
    for i in 0..pads[0].len() {
        let burst = if rng.random_bool(0.05) { 0.09 } else { 0.0 };
        let kdr = rate(1, i) + burst;
        let decoded = kdr < 0.12;
        records.push(GroupRecord { group, attempt, kdr, eve_kdr: Some(rate(2, i)), decoded });
        (group, attempt) = if decoded { (group + 1, 1) } else { (group, attempt + 1) };
    }
    records
}
