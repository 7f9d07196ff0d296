//! Decoding times: `cargo bench -p crqkd-polar`.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use crqkd_polar::{
    AdaptiveDecoder, CodeSpec, Construction, Crc, ListDecoder, PolarCode, ScDecoder,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A random word with independent errors, as LLRs.
fn received(code: &PolarCode, p: f64, rng: &mut impl Rng) -> Vec<f32> {
    let message: Vec<u8> = (0..code.k()).map(|_| rng.random_range(0..2)).collect();
    let magnitude = ((1.0 - p) / p).ln() as f32;
    let word = code.encode(&message);
    word.iter()
        .map(|&bit| if (bit == 1) ^ rng.random_bool(p) { -magnitude } else { magnitude })
        .collect()
}

fn decode(c: &mut Criterion) {
    let sizes = [(512, 128, Crc::Crc32), (1024, 384, Crc::Crc11), (4096, 1536, Crc::Crc11)];
    let p = 0.08;
    for (n, k, crc) in sizes {
        let spec = CodeSpec { n, k, crc };
        let build = || {
            PolarCode::new(spec, Construction::BscDensityEvolution { p }).expect("sizes in range")
        };
        let code = build();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let words: Vec<Vec<f32>> = (0..64).map(|_| received(&code, p, &mut rng)).collect();
        let name = format!("{n},{k}");
        let mut message = vec![0; k];
        let mut group = c.benchmark_group("polar");
        group.sample_size(20);

        let mut next = words.iter().cycle();
        let mut sc = ScDecoder::new(&code);
        group.bench_function(BenchmarkId::new("sc", &name), |b| {
            b.iter(|| sc.decode(next.next().expect("cycle"), &mut message));
        });
        let mut adaptive = AdaptiveDecoder::new(&code, 8).expect("list size in range");
        group.bench_function(BenchmarkId::new("adaptive 8", &name), |b| {
            b.iter(|| adaptive.decode(next.next().expect("cycle"), &mut message));
        });
        for size in [8, 32] {
            let mut list = ListDecoder::new(&code, size).expect("list size in range");
            group.bench_function(BenchmarkId::new(format!("list {size}"), &name), |b| {
                b.iter(|| list.decode(next.next().expect("cycle"), &mut message));
            });
        }
        let mut word = vec![0; n];
        group.bench_function(BenchmarkId::new("encode", &name), |b| {
            b.iter(|| code.encode_into(&message, &mut word));
        });
        group.bench_function(BenchmarkId::new("density evolution", &name), |b| b.iter(build));
        group.finish();
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
