//! Speed of the two levels: a gated reception of a frame, and a probe on four carriers.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use crqkd_air::{AirConfig, Burst, Radio, World};
use num_complex::Complex32;

fn air(c: &mut Criterion) {
    let mut world = World::new(&AirConfig::default(), 1).expect("the default is valid");
    let samples: Vec<Complex32> =
        (0..3900).map(|i| Complex32::from_polar(1.0, i as f32 * 0.7)).collect();
    let burst = Burst { start: 100_000, tx: Radio::Qap, samples: samples.into() };
    let mut out = Vec::new();
    c.bench_function("receive 4100 samples, one burst", |b| {
        b.iter(|| {
            world.receive(
                Radio::User,
                99_900..104_000,
                black_box(std::slice::from_ref(&burst)),
                &mut out,
            )
        });
    });
    c.bench_function("receive 4100 samples, silence", |b| {
        b.iter(|| world.receive(Radio::User, 99_900..104_000, black_box(&[]), &mut out));
    });
    let set = world.carriers(&[5, 18, 33, 46]).expect("below 52");
    let mut csi = [Complex32::ZERO; 4];
    let mut t = 0;
    c.bench_function("probe 4 carriers", |b| {
        b.iter(|| {
            t += 200_000;
            black_box(world.probe(Radio::Qap, Radio::User, t, &set, &mut csi))
        });
    });
}

criterion_group!(benches, air);
criterion_main!(benches);
