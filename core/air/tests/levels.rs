//! The two levels agree, and nothing depends on how the air is asked.

use crqkd_air::{AirConfig, Burst, PATH_DELAY, Radio, World, carrier_offset};
use num_complex::Complex32;
use proptest::prelude::*;

/// Almost no noise, so that only the model is left.
fn quiet() -> AirConfig {
    AirConfig {
        estimate_snr_db: 80.0,
        adc_bits: 16,
        adc_full_scale: 20.0,
        cfo_ppm: 0.0,
        phase_noise_hz: 0.0,
        ..AirConfig::default()
    }
}

/// A 64-periodic multitone: any 64 samples of it, once the channel has settled, hold its transform times the channel.
fn multitone(len: usize) -> Vec<Complex32> {
    let grid: Vec<Complex32> = (0..64)
        .map(|n| {
            (0..52)
                .map(|c| {
                    let k = carrier_offset(c) as f32;
                    let turns = k * n as f32 / 64.0 + k * k / 104.0;
                    Complex32::from_polar(1.0 / 52f32.sqrt(), turns * std::f32::consts::TAU)
                })
                .sum()
        })
        .collect();
    (0..len).map(|n| grid[n % 64]).collect()
}

fn carrier(samples: &[Complex32], index: usize) -> Complex32 {
    let k = carrier_offset(index) as f32;
    let turn =
        |n: usize| Complex32::from_polar(1.0 / 64.0, -std::f32::consts::TAU * k * n as f32 / 64.0);
    samples.iter().enumerate().map(|(n, x)| x * turn(n)).sum()
}

#[test]
fn a_burst_through_the_air_shows_the_csi() {
    let mut world = World::new(&quiet(), 11).unwrap();
    let sent = multitone(512);
    let mut heard = Vec::new();
    for start in [5_000u64, 81_000_000, 399_990_000, 400_010_000] {
        for (tx, rx) in
            [(Radio::Qap, Radio::User), (Radio::User, Radio::Qap), (Radio::Qap, Radio::Eve)]
        {
            let burst = Burst { start, tx, samples: sent.clone().into() };
            let from = start + PATH_DELAY + 128;
            world.receive(rx, from..from + 64, &[burst], &mut heard);
            let csi = world.csi(tx, rx, start);
            for c in 0..52 {
                let got = carrier(&heard, c) / carrier(&sent[128..192], c);
                assert!((got - csi[c]).norm() < 5e-3, "{start} carrier {c}: {got} {}", csi[c]);
            }
        }
    }
}

#[test]
fn the_first_path_arrives_after_the_path_delay() {
    let config =
        AirConfig { rician_k: 1000.0, shadowing_db: 0.0, timing_jitter_samples: 0.0, ..quiet() };
    let mut world = World::new(&config, 12).unwrap();
    let burst = Burst { start: 1000, tx: Radio::Qap, samples: vec![Complex32::ONE].into() };
    let mut heard = Vec::new();
    world.receive(Radio::User, 1000..1100, &[burst], &mut heard);
    let strongest = (0..100).max_by(|a, b| heard[*a].norm().total_cmp(&heard[*b].norm())).unwrap();
    assert_eq!(strongest as u64, PATH_DELAY);
}

#[test]
fn a_tone_is_turned_by_the_frequency_offset() {
    let config = AirConfig { cfo_ppm: 2.5, ..quiet() };
    let mut world = World::new(&config, 13).unwrap();
    let n = 4096;
    let burst = Burst { start: 0, tx: Radio::Qap, samples: vec![Complex32::ONE; n].into() };
    let mut heard = Vec::new();
    world.receive(Radio::User, 100..n as u64, &[burst], &mut heard);
    let sum: Complex32 = heard.windows(2).map(|w| w[1] * w[0].conj()).sum();
    let hz = f64::from(sum.arg()) / std::f64::consts::TAU * 20e6;
    let want = world.cfo_hz(Radio::Qap, Radio::User);
    assert!(want.abs() <= 2.5e-6 * 2.605e9);
    assert!((hz - want).abs() < 50.0, "{hz} {want}");
}

#[test]
fn noise_and_interference_have_the_power_that_a_probe_reports() {
    let config = AirConfig {
        estimate_snr_db: 15.0,
        disturbance_share: 0.3,
        disturbance_s: 0.2,
        disturbance_rise_db: 7.0,
        ..AirConfig::default()
    };
    let mut world = World::new(&config, 14).unwrap();
    let (mut heard, mut seen) = (Vec::new(), [false; 2]);
    for i in 0..40 {
        let t = i * 3_000_000;
        world.receive(Radio::User, t..t + 20_000, &[], &mut heard);
        let power = heard.iter().map(|x| x.norm_sqr()).sum::<f32>() / 20_000.0;
        let level = world.interference(Radio::User, t);
        if level != world.interference(Radio::User, t + 20_000) {
            continue;
        }
        seen[usize::from(level > 0.0)] = true;
        let want = world.noise_power() * (1.0 + level);
        // Converter noise of 2·(8/2048)²/12 is far below.
        assert!((power / want - 1.0).abs() < 0.04, "{power} {want}");
    }
    assert_eq!(seen, [true, true]);
}

#[test]
fn strong_signals_clip_at_full_scale() {
    let config = AirConfig { adc_full_scale: 0.5, ..quiet() };
    let mut world = World::new(&config, 15).unwrap();
    let burst =
        Burst { start: 0, tx: Radio::Qap, samples: vec![Complex32::new(30.0, 30.0); 200].into() };
    let mut heard = Vec::new();
    world.receive(Radio::User, 0..300, &[burst], &mut heard);
    assert!(heard.iter().all(|x| x.re.abs() <= 0.5 && x.im.abs() <= 0.5));
    assert!(heard.iter().any(|x| x.re.abs() == 0.5));
}

fn busy() -> (AirConfig, Vec<Burst>) {
    let config = AirConfig {
        burst_share: 0.3,
        burst_ms: 0.1,
        disturbance_share: 0.2,
        ..AirConfig::default()
    };
    let bursts =
        [(1000u64, Radio::Qap, 1343usize), (1500, Radio::User, 700), (3000, Radio::Eve, 64)]
            .map(|(start, tx, len)| Burst { start, tx, samples: multitone(len).into() });
    (config, bursts.to_vec())
}

#[test]
fn answers_do_not_depend_on_the_order_of_questions() {
    let (config, bursts) = busy();
    let reversed: Vec<Burst> = bursts.iter().rev().cloned().collect();
    let mut first = World::new(&config, 16).unwrap();
    let mut second = World::new(&config, 16).unwrap();
    let set = first.carriers(&[1, 20, 51]).unwrap();
    let times = [3u64, 900_000_000, 400_000_000, 5_000, 399_999_999];
    let ask = |world: &mut World, t: u64, bursts: &[Burst]| {
        let mut samples = Vec::new();
        world.receive(Radio::Qap, t..t + 4000, bursts, &mut samples);
        let mut csi = [Complex32::ZERO; 3];
        let probe = world.probe(Radio::User, Radio::Qap, t, &set, &mut csi);
        (samples, csi, probe)
    };
    let forward: Vec<_> = times.iter().map(|t| ask(&mut first, *t, &bursts)).collect();
    let mut backward: Vec<_> =
        times.iter().rev().map(|t| ask(&mut second, *t, &reversed)).collect();
    backward.reverse();
    assert_eq!(forward, backward);
    let mut other = World::new(&config, 17).unwrap();
    assert_ne!(ask(&mut other, 3, &bursts), forward[0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_split_of_a_reception_gives_the_same_samples(
        cuts in proptest::collection::vec(800u64..4200, 0..6),
    ) {
        let (config, bursts) = busy();
        let mut world = World::new(&config, 18).unwrap();
        let mut whole = Vec::new();
        world.receive(Radio::Eve, 800..4200, &bursts, &mut whole);
        let mut edges = cuts;
        edges.extend([800, 4200]);
        edges.sort_unstable();
        let (mut joined, mut part) = (Vec::new(), Vec::new());
        for pair in edges.windows(2) {
            world.receive(Radio::Eve, pair[0]..pair[1], &bursts, &mut part);
            joined.extend_from_slice(&part);
        }
        prop_assert_eq!(joined, whole);
    }
}
