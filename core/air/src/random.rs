//! Draws that depend on (seed, domain, indices) only, so that nothing depends on the order of calls.

use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::math;

/// What a random number is for; two purposes never share a stream.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(crate) enum Purpose {
    Geometry = 1,
    Shadowing,
    Ripple,
    Oscillator,
    Phase,
    Gain,
    Noise,
    Burst,
    Disturbance,
    Estimate,
}

/// One step of SplitMix64 (Steele, Lea, Flood 2014), used as a mixing function.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The key of one stream.
pub(crate) fn key(seed: u64, purpose: Purpose, a: u64, b: u64) -> u64 {
    mix(mix(mix(mix(seed) ^ purpose as u64) ^ a) ^ b)
}

/// The generator of one stream.
pub(crate) fn stream(seed: u64, purpose: Purpose, a: u64, b: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(key(seed, purpose, a, b))
}

/// Two independent standard normal numbers (Box and Muller).
pub(crate) fn normal_pair(rng: &mut impl Rng) -> [f32; 2] {
    math::normal_pair(rng.next_u64())
}

/// Two independent standard normal numbers that belong to a key alone.
pub(crate) fn normal_pair_at(seed: u64, purpose: Purpose, a: u64, b: u64) -> [f32; 2] {
    math::normal_pair(key(seed, purpose, a, b))
}
