//! [`keygen`] on matrices whose disagreement is known.

use super::*;
use crate::soft::rho_from_kdr;
use num_complex::Complex64;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Values of the QAP, of a user of the given KDR and of an Eve who measures something else.
fn values(probes: usize, count: usize, kdr: f64) -> [Vec<f64>; 3] {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let rho = rho_from_kdr(kdr);
    let mut values = [vec![], vec![], vec![]];
    for _ in 0..probes * count {
        let [x, z, e]: [f64; 3] = std::array::from_fn(|_| rng.sample(StandardNormal));
        values[0].push(x);
        values[1].push(rho * x + (1.0 - rho * rho).sqrt() * z);
        values[2].push(e);
    }
    values
}

fn ends(probes: usize, count: usize, kdr: f64) -> [Measurements; 3] {
    values(probes, count, kdr).map(|v| Measurements::real(probes, count, &v).unwrap())
}

#[test]
fn the_disagreement_of_gaussian_features_is_found() {
    let [qap, user, eve] = ends(1300, 8, 0.08);
    let Keygen { report, qap, user, eve } =
        keygen(&qap, &user, Some(&eve), &KeygenConfig::default()).unwrap();
    assert_eq!((report.windows, report.probes_used, report.left_out.probes_behind), (10, 1280, 20));
    assert_eq!(report.raw_bits, RawCount(10240));
    assert_eq!([qap.len(), user.len(), eve.unwrap().bits.len()], [10240; 3]);
    assert_eq!(report.ones_rate, 0.5, "medians over even blocks");
    assert_eq!(report.positions_that_change, 8);
    let within = |d: &Disagreement, kdr: f64, verdict: Verdict| {
        let found = &d.agreement;
        // Five standard deviations of a binomial share.
        let off = (found.kdr_rate.unwrap() - kdr).abs();
        assert!(off < 5.0 * (kdr * (1.0 - kdr) / 10240.0).sqrt(), "{d:?}");
        assert_eq!(found.kdr_per_feature.iter().map(|c| c.errors).sum::<u64>(), found.kdr.errors);
        assert!(found.kdr_per_feature.iter().all(|c| c.bits == 1280));
        let rate = found.kdr_rate.unwrap();
        assert!(found.kdr_interval95.is_some_and(|i| i.low < rate && rate < i.high));
        assert_eq!(found.verdict, verdict);
    };
    within(&report.user, 0.08, Verdict::BeyondChance);
    within(&report.eve.unwrap(), 0.5, Verdict::Chance);
}

#[test]
fn thresholds_go_over_the_longer_side_unless_told() {
    let [qap, user, _] = ends(20, 30, 0.05);
    let with = |thresholds| {
        let config = KeygenConfig { thresholds, ..Default::default() };
        keygen(&qap, &user, None, &config).unwrap().report
    };
    assert_eq!(with(None).thresholds, Thresholds::OverFeatures);
    assert_eq!(with(None), with(Some(Thresholds::OverFeatures)));
    assert_eq!(with(None).windows, 20, "each probe has a threshold of its own");
    let over_probes = with(Some(Thresholds::OverProbes));
    assert_eq!(over_probes.thresholds, Thresholds::OverProbes);
    assert_eq!(over_probes.probes_used, 20, "fewer probes than a window make one window");
    assert_eq!(over_probes.user.agreement.kdr_interval95, None, "one window");
}

#[test]
fn measurements_that_do_not_fit_together_are_refused() {
    let [qap, user, _] = ends(4, 3, 0.1);
    let [other, ..] = ends(5, 3, 0.1);
    let config = KeygenConfig::default();
    assert_eq!(
        keygen(&qap, &user, Some(&other), &config).unwrap_err().to_string(),
        "eve has 5 probes of 3 features, expected 4 of 3 as the qap has"
    );
    let complex = Measurements::complex(4, 3, &[Complex64::new(1.0, 0.0); 12]).unwrap();
    assert_eq!(
        keygen(&qap, &complex, None, &config).unwrap_err().to_string(),
        "user has log-amplitudes of complex values, expected real values as the qap has"
    );
    assert_eq!(
        keygen(&complex, &complex, None, &config).unwrap_err().to_string(),
        "nothing moves: in all 1 windows the samples of a threshold are equal at qap, expected a channel that changes"
    );
    let still = Measurements::real(9, 1, &[-70.0; 9]).unwrap();
    assert_eq!(
        keygen(&still, &still, None, &config).unwrap_err().to_string(),
        "no column measures a channel: column 0 never changes at qap"
    );
    let config = KeygenConfig { window_probes: 1, ..config };
    assert!(matches!(
        keygen(&qap, &user, None, &config),
        Err(KeygenError::WindowProbes { value: 1 })
    ));
}

#[test]
fn a_missing_probe_is_dropped_at_all_ends_and_pairs_nothing_wrongly() {
    let [mut a, b, mut e] = values(301, 2, 0.05);
    a[7] = f64::NAN;
    e[300] = f64::NEG_INFINITY;
    let [qap, user, eve] = [a, b, e].map(|v| Measurements::real(301, 2, &v).unwrap());
    let config = KeygenConfig::default();
    let report = keygen(&qap, &user, Some(&eve), &config).unwrap().report;
    let expected = ProbesMissing { qap: 1, user: 0, eve: Some(1), any: 2 };
    assert_eq!(report.left_out.probes_missing, expected);
    assert_eq!((report.probes_used, report.left_out.probes_behind), (256, 43));
    assert!(report.user.agreement.kdr_rate.unwrap() < 0.1);
    let nothing = Measurements::real(301, 2, &[f64::NAN; 602]).unwrap();
    let error = keygen(&qap, &nothing, None, &config).unwrap_err().to_string();
    assert!(error.contains("column 0 is missing in every probe at user"), "{error}");
}

#[test]
fn windows_without_movement_are_left_out_and_named() {
    let [mut a, b, mut e] = values(512, 1, 0.05);
    e[128..256].fill(-90.0);
    let with = |a: &[f64], e: &[f64]| {
        let [qap, user, eve] = [a, &b, e].map(|v| Measurements::real(512, 1, v).unwrap());
        keygen(&qap, &user, Some(&eve), &KeygenConfig::default()).unwrap()
    };
    let found = with(&a, &e);
    let still = WindowStill { window: 1, first_probe: 128, last_probe: 255, end: "eve" };
    assert_eq!(found.report.left_out.windows_still, [still]);
    assert_eq!(found.report.raw_bits, RawCount(512), "QAP and user can use it");
    assert_eq!(found.report.eve.as_ref().unwrap().agreement.kdr.bits, 384);
    let eve = found.eve.unwrap();
    assert_eq!((eve.bits.len(), eve.has.iter().filter(|&&has| has).count()), (384, 384));
    assert!(!eve.has[128] && eve.has[256]);
    a[..128].fill(-80.0);
    let found = with(&a, &e);
    assert_eq!(found.report.left_out.windows_still.len(), 2);
    assert_eq!((found.report.raw_bits, found.report.windows), (RawCount(384), 3));
    assert_eq!(found.report.eve.unwrap().agreement.kdr.bits, 256);
    a.iter_mut().for_each(|x| *x = x.signum());
    a[3] = 2.0;
    let qap = Measurements::real(512, 1, &a).unwrap();
    assert!(keygen(&qap, &qap, None, &KeygenConfig::default()).is_ok(), "few levels are movement");
}

#[test]
fn an_offset_of_ten_million_costs_no_bit() {
    let [a, b, _] = values(512, 2, 0.05);
    let report = |offset: f64| {
        let [qap, user] = [&a, &b].map(|v| {
            let moved: Vec<f64> = v.iter().map(|x| x + offset).collect();
            Measurements::real(512, 2, &moved).unwrap()
        });
        keygen(&qap, &user, None, &KeygenConfig::default()).unwrap().report
    };
    let (near, far) = (report(0.0), report(1e7));
    assert_eq!(near.user.agreement.kdr, far.user.agreement.kdr);
    assert_eq!(far.ones_rate, 0.5);
}

#[test]
fn the_report_serialises_without_bits_and_the_unknown_as_null() {
    let [qap, user, eve] = ends(4, 3, 0.1);
    let report = keygen(&qap, &user, Some(&eve), &KeygenConfig::default()).unwrap().report;
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["feature"], "real");
    assert_eq!(json["thresholds"], "over-probes");
    assert_eq!(json["raw_bits"], 12);
    assert_eq!(json["user"]["kdr"]["bits"], 12);
    assert!(json["user"]["kdr_interval95"].is_null(), "one window");
    assert_eq!(json["user"]["verdict"], "too-few-probes");
    assert_eq!(json["eve"]["kdr_per_feature"][2]["bits"], 4);
    let qap = qap.with_names(["a", "b", "c"].map(String::from).to_vec());
    let report = keygen(&qap, &user, None, &KeygenConfig::default()).unwrap().report;
    assert_eq!(report.feature_names.unwrap()[2], "c");
}
