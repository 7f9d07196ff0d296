//! Bits of the samples that share a threshold, in double precision.

use crate::soft::{llr_of_bit, rho_from_kdr};

/// Share of ones below which ties are drawn instead of given to 0.
const LEAST_ONES: f64 = 3.0 / 8.0;

/// One bit a sample: 1 above the median of its block, with the log-likelihood ratio that
/// [`MedianQuantizer`](crate::MedianQuantizer) gives it.
///
/// A sample that equals the median gives 0 with LLR 0. Where samples are coarse (signal strength in whole dB) that can
/// leave a block with few ones, and two ends that measure nothing in common then agree in most bits. So where fewer
/// than 3/8 of the block would be ones, as many of the ties become 1 as make it half, drawn by a fixed rule from place
/// and `salt`. The salt must differ from end to end: with a common one, ends would agree in bits that anybody can
/// compute.
pub(super) struct BlockQuantizer {
    rho: f64,
    llr_limit: f64,
    salt: u64,
}

impl BlockQuantizer {
    pub(super) fn new(design_kdr: f64, llr_limit: f32, salt: u64) -> Self {
        Self { rho: rho_from_kdr(design_kdr), llr_limit: llr_limit.into(), salt }
    }

    /// Calls `put` with the number of each sample in the block, its bit and its LLR. The samples are finite, at least
    /// two and not all equal; `first` is the place of the block's first sample among all.
    pub(super) fn run(&self, samples: &[f64], first: usize, mut put: impl FnMut(usize, bool, f32)) {
        let n = samples.len();
        let mean = samples.iter().sum::<f64>() / n as f64;
        let square: f64 = samples.iter().map(|x| (x - mean).powi(2)).sum();
        let deviation = (square / (n - 1) as f64).sqrt();
        let mut sorted = samples.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (low, high) = (sorted[(n - 1) / 2], sorted[n / 2]);
        let threshold = 0.5 * (low + high);
        let raised = self.raised_ties(samples, threshold, first);
        for (place, &x) in samples.iter().enumerate() {
            let distance = x - threshold;
            let bit = distance > 0.0 || raised[place];
            let llr = llr_of_bit(distance / deviation, self.rho);
            put(place, bit, llr.clamp(-self.llr_limit, self.llr_limit) as f32);
        }
    }

    /// Which of the samples are ties that become 1.
    fn raised_ties(&self, samples: &[f64], threshold: f64, first: usize) -> Vec<bool> {
        let mut raised = vec![false; samples.len()];
        let above = samples.iter().filter(|&&x| x > threshold).count();
        if (above as f64) < LEAST_ONES * samples.len() as f64 {
            let ties = samples.iter().enumerate().filter(|&(_, &x)| x == threshold);
            let mut drawn: Vec<(u64, usize)> =
                ties.map(|(place, _)| (mixed(self.salt, (first + place) as u64), place)).collect();
            drawn.sort_unstable();
            let wanted = samples.len() / 2 - above;
            drawn.iter().take(wanted).for_each(|&(_, place)| raised[place] = true);
        }
        raised
    }
}

/// A number that depends on every bit of both (splitmix64, Steele, Lea and Flood 2014).
fn mixed(salt: u64, place: u64) -> u64 {
    let mut z = salt.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChannelKeyConfig, MedianQuantizer, Quantizer};

    fn bits(samples: &[f64], salt: u64) -> Vec<(bool, f32)> {
        let mut found = Vec::new();
        let put = |place: usize, bit, llr| {
            assert_eq!(place, found.len());
            found.push((bit, llr));
        };
        BlockQuantizer::new(0.06, 8.0, salt).run(samples, 0, put);
        found
    }

    #[test]
    fn equals_the_quantizer_of_the_protocol_where_there_are_few_ties() {
        let samples: Vec<f64> = (0..41).map(|i| f64::from((i * 29) % 37) / 4.0).collect();
        let features: Vec<Vec<f32>> = samples.iter().map(|&x| vec![x as f32]).collect();
        let theirs = MedianQuantizer::new(&ChannelKeyConfig::default())
            .unwrap()
            .quantize(&features)
            .unwrap();
        let theirs: Vec<(bool, f32)> =
            theirs.bits.expose().iter().zip(theirs.llr.iter().copied()).collect();
        assert_eq!(bits(&samples, 1), theirs);
    }

    #[test]
    fn ties_are_balanced_and_say_nothing_about_another_end() {
        let samples: Vec<f64> = (0..4000).map(|i| if i % 7 == 0 { -69.0 } else { -70.0 }).collect();
        let [a, b] = [1, 2].map(|salt| bits(&samples, salt));
        for end in [&a, &b] {
            assert_eq!(end.iter().filter(|(bit, _)| *bit).count(), 2000);
            assert!(samples.iter().zip(end).all(|(&x, &(bit, _))| x < -69.5 || bit));
            assert!(samples.iter().zip(end).all(|(&x, &(_, llr))| (x < -69.5) == (llr == 0.0)));
        }
        let ties = || (0..4000).filter(|i| i % 7 != 0);
        let differ = ties().filter(|&i| a[i].0 != b[i].0).count() as f64 / ties().count() as f64;
        // A share p of the ties is 1 at each end: 2·p·(1 − p) differ, here 0.486; five standard deviations.
        assert!((differ - 0.486).abs() < 0.043, "{differ}");
    }
}
