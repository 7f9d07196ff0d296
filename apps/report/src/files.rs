//! A run as a folder: `run.json` and `.npy` arrays.
//!
//! ```text
//! run/
//!   run.json                  scenario, table, windows, thresholds, groups, shapes
//!   link0_air_time_s.npy      float64   [probes]
//!   link0_csi_qap.npy         complex64 [probes, carriers]    also _user and, if she is there, _eve
//!   link0_bits_qap.npy        uint8     [probes, features]    also _user, _eve; simulations only
//!   link0_impulse.npy         complex64 [frames, taps]
//!   link0_impulse_air_time_s.npy  float64 [frames]
//!   link1_...
//! ```

use crate::ReportError;
use crate::matrix::Matrix;
use crate::npy::{self, Element};
use crate::run::{ByEnd, LinkData, RunData, SimulatedBits};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Version of the folder's layout.
const FORMAT: u32 = 1;

/// Longest `run.json` that is read: the groups and thresholds of days of air time.
const MAX_JSON_BYTES: u64 = 1 << 28;

/// The content of `run.json`: a run without its arrays.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunFile {
    crqkd_run_format: u32,
    arrays: Vec<Arrays>,
    run: RunData,
}

/// The version alone, so that a later format is named before its fields are refused.
#[derive(Deserialize)]
struct FormatOnly {
    crqkd_run_format: u32,
}

/// Which arrays a link has and their sizes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arrays {
    probes: usize,
    carriers: usize,
    eve_csi: bool,
    features: Option<usize>,
    eve_bits: bool,
    impulse: Option<[usize; 2]>,
}

impl RunData {
    /// Writes the run into the folder `dir`, which is made if needed.
    ///
    /// Every file is complete or absent; `run.json` is removed first and written last, so that an
    /// interrupted save never looks like a run.
    ///
    /// # Errors
    /// A run that [`RunData::validate`] refuses, or a file that cannot be written.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<(), ReportError> {
        let dir = dir.as_ref();
        self.validate()?;
        let io = |action| move |source| ReportError::Io { path: dir.into(), action, source };
        std::fs::create_dir_all(dir).map_err(io("make the folder"))?;
        match std::fs::remove_file(dir.join("run.json")) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(io("replace run.json")(e));
            }
            _ => {}
        }
        for (i, link) in self.links.iter().enumerate() {
            link.save_arrays(&Paths { dir, link: i })?;
        }
        let file = RunFile {
            crqkd_run_format: FORMAT,
            arrays: self.links.iter().map(Arrays::of).collect(),
            run: self.clone_without_arrays(),
        };
        npy::write_atomic(&dir.join("run.json"), |out| {
            serde_json::to_writer_pretty(&mut *out, &file)?;
            out.write_all(b"\n")
        })
    }

    /// Reads the run in the folder `dir`.
    ///
    /// # Errors
    /// A file that is missing, damaged, of another shape or type, or a run that
    /// [`RunData::validate`] refuses.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self, ReportError> {
        let dir = dir.as_ref();
        let path = dir.join("run.json");
        let text = match npy::read_at_most(&path, MAX_JSON_BYTES) {
            Err(ReportError::Missing { path, .. }) => {
                let expected = String::from("the description of a run");
                return Err(ReportError::Missing { path, expected });
            }
            other => other?,
        };
        let json = |e: serde_json::Error| ReportError::Json {
            path: path.clone(),
            line: e.line(),
            column: e.column(),
            reason: e.to_string(),
        };
        let found = serde_json::from_slice::<FormatOnly>(&text).map_err(json)?.crqkd_run_format;
        if found != FORMAT {
            return Err(ReportError::Version { path, expected: FORMAT, found });
        }
        let RunFile { arrays, mut run, .. } = serde_json::from_slice(&text).map_err(json)?;
        let in_file = |inner| ReportError::InFile { path: path.clone(), inner: Box::new(inner) };
        if arrays.len() != run.links.len() {
            return Err(in_file(ReportError::Inconsistent {
                place: "arrays".into(),
                expected: format!("one entry for each of {} links", run.links.len()),
                found: arrays.len().to_string(),
            }));
        }
        for (i, (link, arrays)) in run.links.iter_mut().zip(&arrays).enumerate() {
            link.load_arrays(&Paths { dir, link: i }, arrays)?;
        }
        run.validate().map_err(in_file)?;
        Ok(run)
    }

    fn clone_without_arrays(&self) -> Self {
        Self {
            scenario: self.scenario.clone(),
            command: self.command.clone(),
            version: self.version.clone(),
            options: self.options.clone(),
            air_time_s: self.air_time_s,
            disturbances: self.disturbances,
            quantum: self.quantum.clone(),
            facts: self.facts.clone(),
            table: self.table.clone(),
            links: self.links.iter().map(LinkData::clone_without_arrays).collect(),
            seed: self.seed,
        }
    }
}

impl LinkData {
    fn clone_without_arrays(&self) -> Self {
        let impulse = self.impulse.as_ref().map(|impulse| crate::run::Impulse {
            measured_by: impulse.measured_by.clone(),
            air_time_s: Vec::new(),
            taps: Matrix::default(),
            ..*impulse
        });
        Self {
            qap: self.qap.clone(),
            user: self.user.clone(),
            carriers: self.carriers.clone(),
            windows: self.windows.clone(),
            groups: self.groups.clone(),
            tolerable_kdr: self.tolerable_kdr,
            impulse,
            ..Self::default()
        }
    }

    fn save_arrays(&self, at: &Paths<'_>) -> Result<(), ReportError> {
        npy::write_list(&at.file("air_time_s"), &self.air_time_s)?;
        save_ends(at, "csi", &self.csi)?;
        if let Some(SimulatedBits(bits)) = &self.simulated_bits {
            save_ends(at, "bits", bits)?;
        }
        if let Some(impulse) = &self.impulse {
            npy::write_list(&at.file("impulse_air_time_s"), &impulse.air_time_s)?;
            npy::write_matrix(&at.file("impulse"), &impulse.taps)?;
        }
        Ok(())
    }

    fn load_arrays(&mut self, at: &Paths<'_>, arrays: &Arrays) -> Result<(), ReportError> {
        let probes = arrays.probes;
        self.air_time_s = npy::read_list(&at.file("air_time_s"), probes)?;
        self.csi = load_ends(at, "csi", [probes, arrays.carriers], arrays.eve_csi)?;
        if let Some(features) = arrays.features {
            let bits = load_ends(at, "bits", [probes, features], arrays.eve_bits)?;
            self.simulated_bits = Some(SimulatedBits(bits));
        }
        if let (Some(impulse), Some(shape)) = (&mut self.impulse, arrays.impulse) {
            impulse.air_time_s = npy::read_list(&at.file("impulse_air_time_s"), shape[0])?;
            impulse.taps = npy::read_matrix(&at.file("impulse"), shape)?;
        }
        Ok(())
    }
}

impl Arrays {
    fn of(link: &LinkData) -> Self {
        let bits = link.simulated_bits.as_ref().map(|SimulatedBits(bits)| bits);
        Self {
            probes: link.probes(),
            carriers: link.carriers.len(),
            eve_csi: link.csi.eve.is_some(),
            features: bits.map(|bits| bits.qap.cols()),
            eve_bits: bits.is_some_and(|bits| bits.eve.is_some()),
            impulse: link.impulse.as_ref().map(|i| [i.taps.rows(), i.taps.cols()]),
        }
    }
}

/// Where the arrays of one link lie.
struct Paths<'a> {
    dir: &'a Path,
    link: usize,
}

impl Paths<'_> {
    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("link{}_{name}.npy", self.link))
    }
}

fn save_ends<T: Element>(
    at: &Paths<'_>,
    name: &str,
    ends: &ByEnd<Matrix<T>>,
) -> Result<(), ReportError> {
    ends.named()
        .try_for_each(|(end, matrix)| npy::write_matrix(&at.file(&format!("{name}_{end}")), matrix))
}

fn load_ends<T: Element>(
    at: &Paths<'_>,
    name: &str,
    shape: [usize; 2],
    eve: bool,
) -> Result<ByEnd<Matrix<T>>, ReportError> {
    let load = |end: &str| npy::read_matrix(&at.file(&format!("{name}_{end}")), shape);
    Ok(ByEnd {
        qap: load("qap")?,
        user: load("user")?,
        eve: if eve { Some(load("eve")?) } else { None },
    })
}
