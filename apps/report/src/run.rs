//! The plain data of one run.

use crate::matrix::Matrix;
use crate::quantum::QuantumData;
use num_complex::Complex32;
use serde::{Deserialize, Serialize};

/// Everything a report shows of one run of one scenario.
///
/// serde carries the small parts only; the arrays are skipped and travel as `.npy` files, see
/// [`RunData::save`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunData {
    /// Name of the scenario: "hall".
    pub scenario: String,
    /// Seed from which the run's random numbers follow.
    pub seed: u64,
    /// The command that made the run.
    pub command: Option<String>,
    /// The program that made the run and its version: "crqkd 0.1.0". `None`, like the other facts below: not recorded.
    #[serde(default)]
    pub version: Option<String>,
    /// What the command's options stood at, those that were not given included.
    #[serde(default)]
    pub options: Vec<Fact>,
    /// Air time in seconds, all links together.
    #[serde(default)]
    pub air_time_s: Option<f64>,
    /// What disturbs the ends now and then.
    #[serde(default)]
    pub disturbances: Option<Disturbances>,
    /// The quantum link between the access points.
    #[serde(default)]
    pub quantum: Option<QuantumData>,
    /// Facts shown above the table: code, mode, key fingerprints, "unauthenticated".
    pub facts: Vec<Fact>,
    /// The rows of the table.
    pub table: Vec<TableRow>,
    /// The last-mile links, one a user.
    pub links: Vec<LinkData>,
}

/// One line of "name: value".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    /// Name for headings, "Alice's key" for instance.
    pub name: String,
    /// What is known of it, "3f9a01c4" for instance.
    pub value: String,
}

/// The long disturbances of a scenario: another transmitter raises the noise floor of one place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disturbances {
    /// Share of the time under one, at each place on its own, 0..1.
    pub share: f64,
    /// Mean length of one disturbance in seconds.
    pub mean_s: f64,
    /// Highest noise floor during one over the quiet one, in dB.
    pub rise_db: f64,
}

/// How the bits of a figure were counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counting {
    /// Not a count of bits.
    None,
    /// Bits as quantized, before any correction.
    Raw,
    /// Bits of key after error correction.
    Corrected,
    /// Bits that the ledger credits as secret.
    Secret,
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableRow {
    /// Name of the figure, "Key disagreement rate" for instance.
    pub label: String,
    /// The measured value in `unit`; `None` is shown as "not accounted".
    pub value: Option<f64>,
    /// Its 95 % interval, low and high, in `unit`.
    pub interval: Option<[f64; 2]>,
    /// The paper's figure in `unit`.
    pub paper: Option<f64>,
    /// Unit of the figure: "%", "bit/s" or empty.
    pub unit: String,
    /// How the bits were counted.
    pub counting: Counting,
    /// Number of decimals with which the figure is shown.
    pub decimals: u8,
}

/// One last-mile link: a QAP and its user, with Eve listening near the user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkData {
    /// Name of the QAP: "QAP1".
    pub qap: String,
    /// Name of the user: "Alice".
    pub user: String,
    /// Air time of each kept probe in seconds from the start of the run, ascending: `[probes]`.
    #[serde(skip)]
    pub air_time_s: Vec<f64>,
    /// Which carrier (index 0..52, ascending frequency) each column of `csi` holds.
    pub carriers: Vec<u16>,
    /// Channel estimate at each end, linear: `[probes, carriers]`.
    #[serde(skip)]
    pub csi: ByEnd<Matrix<Complex32>>,
    /// The windows in the order of the probes.
    pub windows: Vec<WindowData>,
    /// The bits each end made; only ever of a simulation.
    #[serde(skip)]
    pub simulated_bits: Option<SimulatedBits>,
    /// The groups sent over this link, one record an attempt, in the order of sending.
    pub groups: Vec<GroupRecord>,
    /// The share of wrong pad bits that the code corrects, 0..1.
    pub tolerable_kdr: Option<f64>,
    /// Channel impulse responses, if kept.
    pub impulse: Option<Impulse>,
}

/// One value for each end of a link and, where there is an Eve, for her.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByEnd<T> {
    /// The value at the QAP.
    pub qap: T,
    /// The value at the user.
    pub user: T,
    /// The value at Eve; `None` where there is no Eve.
    pub eve: Option<T>,
}

/// The bits of a *simulated* link, one 0 or 1 a byte, `[probes, features]` at each end.
///
/// They exist so that a demonstration can show where the ends disagree. The bits of a real link
/// are key material and have no business in a report: leave [`LinkData::simulated_bits`] `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SimulatedBits(pub ByEnd<Matrix<u8>>);

/// One closed window of probes, with its thresholds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowData {
    /// Number of the window in the run.
    pub window: u32,
    /// Its first probe, as a row of [`LinkData::csi`].
    pub first: usize,
    /// How many probes both ends kept.
    pub probes: usize,
    /// The selected carriers, ascending, as in [`LinkData::carriers`]: one a feature.
    pub carriers: Vec<u16>,
    /// The threshold of each feature at each end, in dB: 20*log10(abs(csi)).
    pub thresholds_db: ByEnd<Vec<f32>>,
}

/// One attempt to hand over one group.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupRecord {
    /// Number of the group that was sent.
    pub group: u64,
    /// Attempt, 1 for the first.
    pub attempt: u32,
    /// Share of pad bits in which the user differs from the QAP, 0..1.
    pub kdr: f64,
    /// Share of pad bits in which Eve differs from the QAP, 0..1.
    pub eve_kdr: Option<f64>,
    /// Whether the user decoded the group.
    pub decoded: bool,
}

/// Channel impulse responses over time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Impulse {
    /// Name of who measured, "Alice" for instance.
    pub measured_by: String,
    /// Air time of each frame in seconds, ascending: `[frames]`.
    #[serde(skip)]
    pub air_time_s: Vec<f64>,
    /// Channel taps of each frame, complex: `[frames, 32]`.
    #[serde(skip)]
    pub taps: Matrix<Complex32>,
    /// Which tap is delay 0 (the strongest path): 8.
    pub zero_tap: usize,
    /// Time from tap to tap in seconds: 50e-9 at 20 Msample/s.
    pub tap_spacing_s: f64,
}

impl RunData {
    /// A run without any content yet.
    pub fn new(scenario: impl Into<String>, seed: u64) -> Self {
        Self {
            scenario: scenario.into(),
            seed,
            command: None,
            version: None,
            options: Vec::new(),
            air_time_s: None,
            disturbances: None,
            quantum: None,
            facts: Vec::new(),
            table: Vec::new(),
            links: Vec::new(),
        }
    }

    /// Adds an option and what it stood at.
    pub fn option(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.options.push(Fact { name: name.into(), value: value.into() });
    }

    /// Adds a fact to those shown above the table.
    pub fn fact(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.facts.push(Fact { name: name.into(), value: value.into() });
    }
}

impl TableRow {
    /// Label of the row with Eve's error rate when she follows the QAP's frames.
    pub const EVE_ON_QAP: &str = "Eve's key disagreement rate, QAP's frames";
    /// Label of the row with Eve's error rate when she follows the user's frames.
    pub const EVE_ON_USER: &str = "Eve's key disagreement rate, user's frames";

    /// A row with one decimal, without interval and without a figure of the paper.
    pub fn new(
        label: impl Into<String>,
        value: f64,
        unit: impl Into<String>,
        counting: Counting,
    ) -> Self {
        Self { value: Some(value), ..Self::not_accounted(label, unit, counting) }
    }

    /// A row whose value nobody has accounted for.
    pub fn not_accounted(
        label: impl Into<String>,
        unit: impl Into<String>,
        counting: Counting,
    ) -> Self {
        Self {
            label: label.into(),
            value: None,
            interval: None,
            paper: None,
            unit: unit.into(),
            counting,
            decimals: 1,
        }
    }

    /// With this 95 % interval.
    pub fn interval(mut self, low: f64, high: f64) -> Self {
        self.interval = Some([low, high]);
        self
    }

    /// With the paper's figure beside it.
    pub fn paper(mut self, value: f64) -> Self {
        self.paper = Some(value);
        self
    }

    /// With this number of decimals.
    pub fn decimals(mut self, decimals: u8) -> Self {
        self.decimals = decimals;
        self
    }
}

impl LinkData {
    /// How many probes were kept.
    pub fn probes(&self) -> usize {
        self.air_time_s.len()
    }
}

impl<T> ByEnd<T> {
    /// The values with the names of their ends: "qap", "user" and, if there is one, "eve".
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &T)> {
        [("qap", Some(&self.qap)), ("user", Some(&self.user)), ("eve", self.eve.as_ref())]
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name, value)))
    }
}
