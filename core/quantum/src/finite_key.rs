//! How many secret bits a block gives: finite-key lengths.

/// Binary entropy h(x) in bits; 1 from one half on, so that a bound never improves past it.
pub fn binary_entropy(x: f64) -> f64 {
    if x <= 0.0 {
        0.0
    } else if x >= 0.5 {
        1.0
    } else {
        -x * x.log2() - (1.0 - x) * (1.0 - x).log2()
    }
}

/// The block that a secret length is computed for: single photons, both bases alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SinglePhoton {
    /// Bits that the key is made of, n.
    pub key_bits: u64,
    /// Bits of the disclosed sample, k.
    pub sample_bits: u64,
    /// Error rate of the sample, Q.
    pub qber: f64,
    /// Secrecy parameter eps_sec: bound on the distance of the key from an ideal one.
    pub eps_sec: f64,
    /// Correctness parameter eps_cor: bound on the probability that the keys differ unnoticed.
    pub eps_cor: f64,
}

impl SinglePhoton {
    /// What the error rate of the key bits may exceed that of the sample by,
    /// `mu = sqrt((n+k)/(nk) · (k+1)/k · ln(4/eps_sec))`.
    pub fn deviation(&self) -> f64 {
        let (n, k) = (self.key_bits as f64, self.sample_bits as f64);
        ((n + k) / (n * k) * ((k + 1.0) / k) * (4.0 / self.eps_sec).ln()).sqrt()
    }

    /// `l = n·(1 − h(Q + mu)) − leak − log2(2/(eps_sec²·eps_cor))`, rounded down, never below 0.
    ///
    /// Tomamichel, Lim, Gisin, Renner, "Tight finite-key analysis for quantum cryptography", Nature Communications 3,
    /// 634 (2012), eq. 2. `leak_bits` is everything that was said in public about the key bits, but for the
    /// verification tag: the term eps_cor pays for log2(1/eps_cor) bits of it, and only what the tag is longer belongs
    /// to the leak.
    pub fn secret_bits(&self, leak_bits: f64) -> u64 {
        if self.key_bits == 0 || self.sample_bits == 0 {
            return 0;
        }
        let entropy = self.key_bits as f64 * (1.0 - binary_entropy(self.qber + self.deviation()));
        let security = 1.0 - 2.0 * self.eps_sec.log2() - self.eps_cor.log2();
        // A NaN or a negative length saturates to 0.
        (entropy - leak_bits - security).floor() as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_vectors_of_the_design_hold() {
        // DESIGN section 8: leak = 1.1·n·h(Q), eps_sec = 1e-10, eps_cor = 1e-15.
        let vectors =
            [(1e6, 1e5, 0.01, 735_074), (1e5, 1e5, 0.01, 70_515), (1e6, 1e5, 0.05, 332_552)];
        for (n, k, qber, expected) in vectors {
            let block = SinglePhoton {
                key_bits: n as u64,
                sample_bits: k as u64,
                qber,
                eps_sec: 1e-10,
                eps_cor: 1e-15,
            };
            assert_eq!(block.secret_bits(1.1 * n * binary_entropy(qber)), expected);
        }
    }

    proptest! {
        #[test]
        fn lengths_are_never_negative_nor_more_than_the_key(
            key_bits in 0u64..10_000_000, sample_bits in 0u64..10_000_000,
            qber in 0.0f64..=1.0, leak in 0.0f64..1e8, log_eps in 2.0f64..30.0,
        ) {
            let eps = 10f64.powf(-log_eps);
            let block = SinglePhoton { key_bits, sample_bits, qber, eps_sec: eps, eps_cor: eps };
            let length = block.secret_bits(leak);
            prop_assert!(length as f64 + leak <= key_bits as f64 || length == 0);
            // More errors or more leak never give more key.
            let worse = SinglePhoton { qber: qber + 0.01, ..block };
            prop_assert!(worse.secret_bits(leak) <= length);
            prop_assert!(block.secret_bits(leak + 1.0) <= length);
        }
    }
}
