//! What is odd about a recording though its samples can be read: told beside the result, because a reader who does not
//! know would take the result for more than it is.

use crqkd_recording::SampleReader;
use crqkd_sounding::{OddTone, SAMPLE_RATE_HZ, ToneFinder};
use std::path::Path;

/// Gathers what is odd while a recording is read.
#[derive(Default)]
pub(crate) struct Oddities {
    sentences: Vec<String>,
    mirrored: usize,
    elsewhere: Vec<(f64, f64)>,
    tones: usize,
}

impl Oddities {
    /// What the description says and lacks.
    pub(crate) fn of(reader: &SampleReader, path: &Path) -> Self {
        let mut sentences = reader.warnings().to_vec();
        let described =
            path.extension().is_some_and(|x| x.to_string_lossy().to_lowercase().contains("sigmf"));
        if described && reader.sample_rate_hz().is_none() {
            sentences.push(format!(
                "{}: core:sample_rate is missing: taken for {} Msample/s",
                path.display(),
                SAMPLE_RATE_HZ / 1e6
            ));
        }
        Oddities { sentences, ..Oddities::default() }
    }

    /// Counts the tone of the next frame, as far as a [`ToneFinder`] looks.
    pub(crate) fn tone(&mut self, odd: Option<OddTone>) {
        if self.tones == ToneFinder::FRAMES {
            return;
        }
        self.tones += 1;
        match odd {
            Some(OddTone::Mirrored) => self.mirrored += 1,
            Some(OddTone::Elsewhere { hz, rate }) => self.elsewhere.push((hz, rate)),
            None => {}
        }
    }

    /// One sentence each.
    pub(crate) fn sentences(mut self) -> Vec<String> {
        let of_all = format!("of the first {} frames", self.tones);
        if 2 * self.mirrored > self.tones {
            self.sentences.push(format!(
                "the tone of {} {of_all} stands at -1.25 MHz, expected +1.25 MHz: I and Q are exchanged, or the \
                 spectrum is turned over; carrier offsets and channels have the wrong sign",
                self.mirrored
            ));
        }
        if let Some((hz, rate)) =
            self.elsewhere.first().filter(|_| 2 * self.elsewhere.len() > self.tones)
        {
            let rate = match rate {
                rate if *rate > 0.0 => format!(
                    "the sample rate may be {:.1} Msample/s, expected {}",
                    rate * SAMPLE_RATE_HZ / 1e6,
                    SAMPLE_RATE_HZ / 1e6
                ),
                _ => "these may be no sounding frames".to_owned(),
            };
            self.sentences.push(format!(
                "the tone of {} {of_all} stands at {:+.2} MHz, expected +1.25 MHz: {rate}",
                self.elsewhere.len(),
                hz / 1e6
            ));
        }
        self.sentences
    }
}
