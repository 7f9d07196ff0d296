//! The files of `data/frames`, `data/measurements` and `data/damaged`, made from fixed seeds.
//!
//! `cargo run --release -p crqkd --example make_fixtures -- data` writes them; the test `fixtures` makes them again and
//! compares every byte. Sample values are whole multiples of a power of two, so that the last bit of a sine in somebody's
//! mathematics library does not show.
//!
//! [`cases`] makes the inputs of the test `cases`, which nobody keeps.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

pub mod cases;
mod damaged;
pub mod frames;
mod measurements;
mod scenarios;

use std::path::Path;

/// Any failure ends the making.
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The folders that [`make`] fills.
pub const FOLDERS: [&str; 3] = ["damaged", "frames", "measurements"];

/// Makes [`FOLDERS`] in `dir`, which must not hold them yet.
pub fn make(dir: &Path) -> Result {
    for folder in FOLDERS {
        std::fs::create_dir(dir.join(folder))?;
    }
    frames::make(&dir.join("frames"))?;
    measurements::make(&dir.join("measurements"))?;
    damaged::make(&dir.join("damaged"))?;
    scenarios::make(&dir.join("damaged"))
}
