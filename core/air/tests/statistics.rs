//! The channel has the statistics of the model: fixed seeds, tolerances of about four standard errors.

use crqkd_air::{AirConfig, CARRIERS, Radio, SAMPLE_RATE_HZ, World};
use num_complex::Complex32;

/// Rayleigh fading alone: no line of sight, nothing moving but the user, no shadowing, no imperfections.
fn plain() -> AirConfig {
    AirConfig {
        rician_k: 0.0,
        moving_share: 0.0,
        shadowing_db: 0.0,
        gain_jitter_db: 0.0,
        ripple_db_per_carrier: 0.0,
        cfo_ppm: 0.0,
        phase_noise_hz: 0.0,
        timing_jitter_samples: 0.0,
        geometry_s: 1.0,
        ..AirConfig::default()
    }
}

/// J₀ by its integral, (1/π) ∫₀^π cos(x sin θ) dθ.
fn bessel_j0(x: f64) -> f64 {
    let n = 2000;
    (0..n)
        .map(|i| (x * (std::f64::consts::PI * (i as f64 + 0.5) / n as f64).sin()).cos())
        .sum::<f64>()
        / n as f64
}

/// Air time of the middle of geometry `i` of one second.
fn middle(i: u64) -> u64 {
    i * 20_000_000 + 10_000_000
}

#[test]
fn taps_are_rayleigh_with_an_exponential_profile() {
    let mut world = World::new(&plain(), 1).unwrap();
    let n = 20_000;
    let mut power = [0.0f64; 16];
    let (mut second, mut total, mut deep) = (0.0f64, 0.0f64, 0);
    for i in 0..n {
        let taps = world.taps(Radio::Qap, Radio::User, middle(i));
        for (sum, tap) in power.iter_mut().zip(&taps) {
            *sum += f64::from(tap.norm_sqr()) / n as f64;
        }
        let p = f64::from(taps[0].norm_sqr());
        second += p * p / n as f64;
        total += taps.iter().map(|t| f64::from(t.norm_sqr())).sum::<f64>() / n as f64;
        deep += usize::from(p < 0.1 * 0.486_6);
    }
    assert!((total - 1.0).abs() < 0.02, "{total}");
    let decay = (-50.0f64 / 75.0).exp();
    for l in 0..10 {
        let want = (1.0 - decay) * decay.powi(l);
        assert!(
            (power[l as usize] / want - 1.0).abs() < 0.05,
            "tap {l}: {} {want}",
            power[l as usize]
        );
    }
    // Exponential power: E p² = 2 (24 waves: 2 − 1/24); P(p < 0.1 mean) = 1 − e^{-0.1} = 0.0952.
    let ratio = second / (power[0] * power[0]);
    assert!((ratio - (2.0 - 1.0 / 24.0)).abs() < 0.1, "{ratio}");
    let deep = deep as f64 / n as f64;
    assert!((deep - 0.0952).abs() < 0.01, "{deep}");
}

#[test]
fn a_line_of_sight_has_its_share_of_the_power() {
    let config = AirConfig { rician_k: 4.0, ..plain() };
    let mut world = World::new(&config, 2).unwrap();
    let n = 20_000;
    let scattered: f64 = (0..n)
        .map(|i| {
            let taps = world.taps(Radio::Qap, Radio::User, middle(i));
            taps[1..].iter().map(|t| f64::from(t.norm_sqr())).sum::<f64>()
        })
        .sum::<f64>()
        / n as f64;
    // 1/(K+1) of the power is scattered, e^{-50/75} of that beyond the first tap.
    let want = 0.2 * (-50.0f64 / 75.0).exp();
    assert!((scattered / want - 1.0).abs() < 0.03, "{scattered} {want}");
}

#[test]
fn movement_gives_the_doppler_correlation_of_jakes() {
    let mut world = World::new(&plain(), 3).unwrap();
    let doppler_hz = 0.5 / (299_792_458.0 / 2.605e9);
    let n = 6000;
    for lag_s in [0.002, 0.02, 0.05, 0.088, 0.15, 0.2] {
        let lag = (lag_s * SAMPLE_RATE_HZ) as u64;
        let mut sum = 0.0;
        for i in 0..n {
            let a = world.taps(Radio::Qap, Radio::User, middle(i));
            let b = world.taps(Radio::Qap, Radio::User, middle(i) + lag);
            sum +=
                a.iter().zip(&b).map(|(x, y)| f64::from((x * y.conj()).re)).sum::<f64>() / n as f64;
        }
        let want = bessel_j0(std::f64::consts::TAU * doppler_hz * lag_s);
        assert!((sum - want).abs() < 0.03, "lag {lag_s}: {sum} {want}");
    }
}

#[test]
fn moving_things_change_the_channel_of_a_user_who_stands_still() {
    let config = AirConfig { speed_m_per_s: 0.0, moving_share: 0.5, ..plain() };
    let mut world = World::new(&config, 4).unwrap();
    let n = 4000;
    let mut correlation = 0.0;
    for i in 0..n {
        let a = world.taps(Radio::Qap, Radio::User, middle(i));
        let b = world.taps(Radio::Qap, Radio::User, middle(i) + 9_000_000);
        correlation +=
            a.iter().zip(&b).map(|(x, y)| f64::from((x * y.conj()).re)).sum::<f64>() / n as f64;
    }
    // After 0.45 s the moving half is forgotten, the other half has not changed.
    assert!((correlation - 0.5).abs() < 0.05, "{correlation}");
}

#[test]
fn eve_sees_the_spatial_correlation_of_a_ring_of_scatterers() {
    let wavelength = 299_792_458.0 / 2.605e9;
    for distance in [0.1, 0.2, 0.383, 0.5, 1.1, 2.6] {
        let config = AirConfig { eve_distance_m: distance * wavelength, ..plain() };
        let mut world = World::new(&config, 5).unwrap();
        let n = 6000;
        let mut sum = 0.0;
        for i in 0..n {
            let a = world.taps(Radio::Qap, Radio::User, middle(i));
            let b = world.taps(Radio::Qap, Radio::Eve, middle(i));
            sum +=
                a.iter().zip(&b).map(|(x, y)| f64::from((x * y.conj()).re)).sum::<f64>() / n as f64;
        }
        let want = bessel_j0(std::f64::consts::TAU * distance);
        assert!((sum - want).abs() < 0.03, "{distance} wavelengths: {sum} {want}");
    }
}

#[test]
fn both_directions_are_the_same_at_the_same_time() {
    let mut world = World::new(&AirConfig::default(), 6).unwrap();
    for i in 0..100 {
        let t = i * 1_234_567;
        for (a, b) in
            [(Radio::Qap, Radio::User), (Radio::Qap, Radio::Eve), (Radio::User, Radio::Eve)]
        {
            assert_eq!(world.taps(a, b, t), world.taps(b, a, t));
        }
        assert_eq!(world.taps(Radio::Eve, Radio::Eve, t), [Complex32::ZERO; 16]);
    }
}

#[test]
fn shadowing_has_its_deviation_its_distance_and_its_share_with_eve() {
    // One strong path, so that the power of the taps is the shadowing.
    let config = AirConfig {
        rician_k: 1000.0,
        shadowing_db: 4.0,
        shadowing_distance_m: 1.0,
        shadowing_eve_correlation: 0.6,
        ..plain()
    };
    let mut world = World::new(&config, 7).unwrap();
    let mut db = |rx: Radio, t: u64| -> f64 {
        10.0 * world
            .taps(Radio::Qap, rx, t)
            .iter()
            .map(|x| f64::from(x.norm_sqr()))
            .sum::<f64>()
            .log10()
    };
    let n = 8000;
    let (mut user2, mut eve2, mut both, mut later) = (0.0, 0.0, 0.0, 0.0);
    for i in 0..n {
        let (user, eve) = (db(Radio::User, middle(i)), db(Radio::Eve, middle(i)));
        let then = db(Radio::User, middle(i) - 8_000_000);
        user2 += user * user / n as f64;
        eve2 += eve * eve / n as f64;
        both += user * eve / n as f64;
        later += user * then / n as f64;
    }
    assert!((user2.sqrt() - 4.0).abs() < 0.2, "{}", user2.sqrt());
    assert!((eve2.sqrt() - 4.0).abs() < 0.2, "{}", eve2.sqrt());
    assert!((both / 16.0 - 0.6).abs() < 0.05, "{}", both / 16.0);
    // 0.4 s at 0.5 m/s: exp(-0.2).
    assert!((later / 16.0 - (-0.2f64).exp()).abs() < 0.06, "{}", later / 16.0);
}

#[test]
fn a_probe_is_the_channel_with_the_noise_of_the_estimator() {
    let config = AirConfig { estimate_snr_db: 20.0, ..plain() };
    let mut world = World::new(&config, 8).unwrap();
    let set = world.carriers(&[5, 6, 30]).unwrap();
    let n = 20_000;
    let mut var = 0.0;
    let mut neighbour = Complex32::ZERO;
    let mut noise_var = 0.0;
    for i in 0..n {
        let t = i * 200_000;
        let truth = world.csi(Radio::Qap, Radio::User, t);
        let mut csi = [Complex32::ZERO; 3];
        noise_var = world.probe(Radio::Qap, Radio::User, t, &set, &mut csi).noise_var;
        let [a, b, c] = [csi[0] - truth[5], csi[1] - truth[6], csi[2] - truth[30]];
        var += (a.norm_sqr() + b.norm_sqr() + c.norm_sqr()) / (3.0 * n as f32);
        neighbour += a * b.conj() / n as f32;
    }
    assert!((noise_var - 0.01).abs() < 1e-6);
    assert!((var / 0.01 - 1.0).abs() < 0.03, "{var}");
    // 32 of 64 taps: neighbours correlate with Σ e^{j2πl/64}/32, which is 1/(32·sin(π/64)) = 0.637 long.
    assert!((neighbour.norm() / 0.01 - 0.637).abs() < 0.03, "{neighbour}");
}

#[test]
fn gain_jitter_differs_between_frames_and_ends() {
    let config = AirConfig { gain_jitter_db: 0.15, speed_m_per_s: 0.0, ..plain() };
    let mut world = World::new(&config, 9).unwrap();
    let still = AirConfig { gain_jitter_db: 0.0, ..config };
    let mut reference = World::new(&still, 9).unwrap();
    let n = 4000;
    let (mut sum2, mut cross) = (0.0, 0.0);
    for i in 0..n {
        let t = i * 1000;
        let want = reference.csi(Radio::Qap, Radio::User, t)[3].norm();
        let back = reference.csi(Radio::User, Radio::Qap, t)[3].norm();
        let a = 20.0 * (world.csi(Radio::Qap, Radio::User, t)[3].norm() / want).log10();
        let b = 20.0 * (world.csi(Radio::User, Radio::Qap, t)[3].norm() / back).log10();
        sum2 += f64::from(a * a) / n as f64;
        cross += f64::from(a * b) / n as f64;
    }
    assert!((sum2.sqrt() - 0.15).abs() < 0.01, "{}", sum2.sqrt());
    assert!(cross.abs() < 0.002, "{cross}");
}

#[test]
fn the_ripple_is_a_small_fixed_filter() {
    let config = AirConfig { ripple_db_per_carrier: 0.05, ..plain() };
    let reference = plain();
    let mut sum2 = 0.0;
    let seeds = 200;
    for seed in 0..seeds {
        let mut with = World::new(&config, seed).unwrap();
        let mut without = World::new(&reference, seed).unwrap();
        let (a, b) =
            (with.csi(Radio::Qap, Radio::User, 77), without.csi(Radio::Qap, Radio::User, 77));
        for c in 0..CARRIERS {
            let db = 20.0 * f64::from((a[c] / b[c]).norm()).log10();
            sum2 += db * db / (seeds as f64 * CARRIERS as f64);
        }
    }
    // Two radios with harmonics of 0.4 dB·√2/(2πm), m = 1 and 2: √2·0.090·√(1 + 1/4) = 0.142 dB.
    assert!((sum2.sqrt() - 0.142).abs() < 0.02, "{}", sum2.sqrt());
}
