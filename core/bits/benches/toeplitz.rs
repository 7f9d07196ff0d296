//! Speed of the two hashes, in bits of input a second.

#![allow(missing_docs, reason = "a benchmark")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crqkd_bits::{BitString, PolyHash64, Toeplitz};
use rand::SeedableRng;

fn hashes(criterion: &mut Criterion) {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let mut group = criterion.benchmark_group("hash");
    for log in [14, 17, 20, 22] {
        let (n, m) = (1usize << log, 1usize << (log - 1));
        let matrix = Toeplitz::new(BitString::random(&mut rng, n + m - 1), n, m).expect("a shape");
        let input = BitString::random(&mut rng, n);
        group.throughput(Throughput::Elements(n as u64));
        group.sample_size(20);
        group.bench_function(format!("toeplitz 2^{log} to half"), |b| {
            b.iter(|| matrix.hash(&input).expect("the length fits"));
        });
    }
    let input = BitString::random(&mut rng, 1 << 20);
    group.throughput(Throughput::Elements(1 << 20));
    group.bench_function("polynomial 2^20", |b| b.iter(|| PolyHash64::new(7).hash(&input)));
    group.finish();
}

criterion_group!(benches, hashes);
criterion_main!(benches);
