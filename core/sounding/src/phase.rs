//! Tracking of phase and frequency over the blocks of a frame.

use crqkd_ids::SAMPLE_RATE_HZ;

/// Standard deviation of the preamble's carrier offset at 0 dB, Hz, as the example `sounding_standard` measures it; it
/// falls with the square root of the SNR.
const CFO_STD_HZ: f64 = 225.0;
/// Growth of the phase's variance by oscillator noise, rad² a sample (a line of 10 Hz).
const DRIFT: f64 = std::f64::consts::TAU * 10.0 / SAMPLE_RATE_HZ;

/// Variance of the preamble's frequency estimate, (rad/sample)².
pub(crate) fn frequency_variance(snr: f64) -> f64 {
    (std::f64::consts::TAU * CFO_STD_HZ / SAMPLE_RATE_HZ).powi(2) / snr.max(1e-3)
}

/// Kalman filter of phase and frequency, relative to the carrier that the estimate removes.
pub(crate) struct PhaseTracker {
    time: f64,
    phase: f64,
    slope: f64,
    /// Covariance of (phase, slope): phase, both, slope.
    covariance: [f64; 3],
}

impl PhaseTracker {
    /// Starts at time 0, the middle of the M-sequence, with the uncertainty that the preamble leaves at this SNR
    /// (linear) and so many samples.
    pub(crate) fn new(snr: f64, samples: usize) -> Self {
        let phase = 1.0 / (2.0 * snr.max(1e-3) * samples as f64);
        Self {
            time: 0.0,
            phase: 0.0,
            slope: 0.0,
            covariance: [phase, 0.0, frequency_variance(snr)],
        }
    }

    /// Sets the frequency with its variance.
    pub(crate) fn set_slope(&mut self, slope: f64, variance: f64) {
        self.slope = slope;
        self.covariance[2] = variance;
    }

    /// Moves to a time (samples from the middle of the M-sequence) and gives the expected phase there.
    pub(crate) fn predict(&mut self, time: f64) -> f64 {
        let dt = time - self.time;
        let [p, q, r] = self.covariance;
        self.covariance = [p + 2.0 * dt * q + dt * dt * r + DRIFT * dt, q + dt * r, r];
        self.phase += self.slope * dt;
        self.time = time;
        self.phase
    }

    /// Takes a measurement, given as its difference to the prediction, with its variance; gives the corrected phase.
    pub(crate) fn update(&mut self, difference: f64, variance: f64) -> f64 {
        let [p, q, r] = self.covariance;
        let total = p + variance;
        self.phase += p / total * difference;
        self.slope += q / total * difference;
        self.covariance = [p - p * p / total, q - p * q / total, r - q * q / total];
        self.phase
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_a_line() {
        let mut tracker = PhaseTracker::new(1.0, 1023);
        let (phase, slope) = (0.02, 1e-4);
        for block in 1..40 {
            let time = 320.0 * f64::from(block);
            let expected = tracker.predict(time);
            tracker.update(phase + slope * time - expected, 1e-3);
        }
        assert!((tracker.slope - slope).abs() < 1e-5, "{}", tracker.slope);
        let (time, p) = (tracker.time, tracker.phase);
        assert!((p - phase - slope * time).abs() < 0.01, "{p}");
    }
}
