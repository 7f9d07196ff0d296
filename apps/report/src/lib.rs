//! The data of one run, kept as files, and the page that shows it.
//!
//! A run of the demo, a replayed recording or a measurement of one's own ends as [`RunData`]: the
//! table, and for each last-mile link ([`LinkData`]) the CSI of both ends and of Eve, the
//! thresholds, the (simulated) bits, the groups and the channel impulse responses.
//! [`RunData::save`] and [`RunData::load`] keep it as one `run.json` beside `.npy` arrays that
//! numpy reads. [`render`] makes one HTML page of it that needs nothing else: no script, no
//! network, dark and light, wide and narrow. [`bit_raster_svg`] is its best-known picture alone.
//!
//! [`Plot`] draws curves of other commands with the same axes, legends and style, as SVG files.
//!
//! ```
//! use crqkd_report::{Counting, RunData, TableRow, render};
//!
//! let mut run = RunData::new("hall", 1);
//! run.table.push(
//!     TableRow::new("Key disagreement rate", 4.6, "%", Counting::Raw)
//!         .interval(4.2, 5.1)
//!         .paper(4.7),
//! );
//! let page = render(&run);
//! assert!(page.starts_with("<!DOCTYPE html>"));
//! ```

mod error;
mod figures;
mod files;
mod matrix;
mod npy;
mod page;
mod picture;
mod plot;
mod provenance;
mod quantum;
mod run;
mod style;
mod svg;
mod table;
mod validate;

pub use error::ReportError;
pub use figures::raster::bit_raster_svg;
pub use matrix::Matrix;
pub use page::render;
pub use plot::{Look, Panel, Plot, Scale, Series};
pub use quantum::{QuantumBlock, QuantumData};
pub use run::{
    ByEnd, Counting, Disturbances, Fact, GroupRecord, Impulse, LinkData, RunData, SimulatedBits,
    TableRow, WindowData,
};
