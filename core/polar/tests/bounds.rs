//! The finite-length bounds against exact arithmetic (`tests/vectors/bounds.py`: fractions of integers, and scipy's
//! adaptive quadrature), and against figures in print.

use crqkd_polar::{SoftChannel, bounds};

#[test]
fn meta_converse_equals_exact_arithmetic() {
    for (n, p, fer, expected) in [
        (128, 0.11, 1e-3, 0.300193106955),
        (500, 0.11, 1e-3, 0.386556986458),
        (1024, 0.047, 0.02, 0.674455164512),
        (1024, 0.058, 0.02, 0.626658827087),
        (1024, 0.081, 0.02, 0.539905975765),
    ] {
        let found = bounds::meta_converse_rate(n, p, fer);
        assert!((found - expected).abs() < 1e-9, "n = {n}, p = {p}: {found}");
        let back = bounds::meta_converse_fer(n, p, found);
        assert!((back / fer - 1.0).abs() < 1e-6, "n = {n}, p = {p}: {back}");
    }
}

#[test]
fn random_coding_union_bound_equals_exact_arithmetic() {
    for (n, p, k, expected) in [
        (128, 0.11, 40, 4.496711455567e-03),
        (256, 0.081, 120, 9.799435796903e-03),
        (500, 0.11, 200, 4.423849580390e-03),
        (1024, 0.081, 512, 3.964804266286e-04),
    ] {
        let rate = f64::from(k) / n as f64;
        let found = bounds::rcu_fer(n, p, rate);
        assert!((found / expected - 1.0).abs() < 1e-7, "n = {n}, p = {p}: {found}");
        assert!((bounds::rcu_rate(n, p, found) - rate).abs() < 1e-9);
    }
}

#[test]
fn soft_channel_moments_equal_adaptive_quadrature() {
    for (kdr, capacity, dispersion) in [
        (0.047, 0.8471667125, 0.2644423429),
        (0.058, 0.8118339256, 0.3169578365),
        (0.081, 0.7388954470, 0.4133229790),
        (0.17, 0.4758752577, 0.5966695696),
    ] {
        let channel = SoftChannel::gaussian(kdr);
        assert!((channel.capacity() - capacity).abs() < 1e-5, "{kdr}: {}", channel.capacity());
        assert!(
            (channel.dispersion() - dispersion).abs() < 1e-5,
            "{kdr}: {}",
            channel.dispersion()
        );
    }
}

/// C = 1 − h(p) and V = p(1−p)·log₂²((1−p)/p) (PPV theorem 52).
#[test]
fn bsc_moments_follow_the_closed_form() {
    let p = 0.11f64;
    let channel = SoftChannel::bsc(p);
    let entropy = -p * p.log2() - (1.0 - p) * (1.0 - p).log2();
    assert!((channel.capacity() - (1.0 - entropy)).abs() < 1e-12);
    let dispersion = p * (1.0 - p) * ((1.0 - p) / p).log2().powi(2);
    assert!((channel.dispersion() - dispersion).abs() < 1e-12);
}

#[test]
fn the_bounds_stand_in_their_order_and_the_approximation_between() {
    for (n, p, fer) in
        [(256, 0.05, 0.01), (1024, 0.081, 0.02), (1024, 0.11, 1e-3), (4096, 0.081, 0.02)]
    {
        let achievable = bounds::rcu_rate(n, p, fer);
        let impossible = bounds::meta_converse_rate(n, p, fer);
        let normal = bounds::normal_approximation(&SoftChannel::bsc(p), n, fer);
        assert!(achievable < impossible, "n = {n}: {achievable} {impossible}");
        assert!(achievable < normal + 2e-3 && normal < impossible + 2e-3, "n = {n}: {normal}");
        let back = bounds::normal_approximation_fer(&SoftChannel::bsc(p), n, normal);
        assert!((back / fer - 1.0).abs() < 1e-6);
    }
}
