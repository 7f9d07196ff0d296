//! Command-line arguments, for the program to flatten into its own.

use std::path::PathBuf;

use super::secret::{MAX_SECRET_BYTES, MIN_SECRET_BYTES};
use crate::bounded;
use crate::number::{real, whole};
use anyhow::{Context, Result};
use clap::Args;
use crqkd_quantum::decoy::DecoyConfig;
use crqkd_scenario::parse_link;

/// The link: a file of parameters, and the ones that are changed most.
#[derive(Debug, Clone, Args, Default)]
pub struct LinkArgs {
    /// TOML file with the parameters of the link; `crqkd qkd link show` prints one with every default.
    #[arg(long, value_name = "FILE")]
    pub link: Option<PathBuf>,
    /// Fibre length in km (default: what the link says).
    #[arg(long, value_name = "KM", value_parser = real(0.0, 1000.0), allow_negative_numbers = true)]
    pub distance_km: Option<f64>,
    /// Pulses per block (default: what the link says).
    #[arg(long, value_name = "N", value_parser = whole::<u64>(1000, 100_000_000_000))]
    pub pulses_per_block: Option<u64>,
    /// Share of the photons that take the wrong detector, 0 to 0.5 (default: what the link says).
    #[arg(long, value_name = "SHARE", value_parser = real(0.0, 0.5), allow_negative_numbers = true)]
    pub misalignment: Option<f64>,
    /// Share of the pulses that an eavesdropper measures and sends again, 0 to 1 (default: what the link says).
    #[arg(long, value_name = "SHARE", value_parser = real(0.0, 1.0), allow_negative_numbers = true)]
    pub intercept_share: Option<f64>,
    /// Share of the pulses on which an eavesdropper splits photon numbers, 0 to 1 (default: what the link says).
    #[arg(long, value_name = "SHARE", value_parser = real(0.0, 1.0), allow_negative_numbers = true)]
    pub splitting_share: Option<f64>,
}

impl LinkArgs {
    /// The resolved configuration.
    ///
    /// # Errors
    /// A file that cannot be read or parsed, or a value out of its range, with file and line.
    pub fn resolve(&self) -> Result<DecoyConfig> {
        let mut config = match &self.link {
            Some(path) => {
                let name = path.display();
                let text =
                    bounded::text(path).with_context(|| format!("{name}: cannot read the link"))?;
                parse_link(&text, &name.to_string())?
            }
            None => DecoyConfig::default(),
        };
        let set = |to: &mut f64, from: Option<f64>| *to = from.unwrap_or(*to);
        set(&mut config.distance_km, self.distance_km);
        set(&mut config.misalignment, self.misalignment);
        set(&mut config.intercept_share, self.intercept_share);
        set(&mut config.splitting_share, self.splitting_share);
        config.pulses_per_block = self.pulses_per_block.unwrap_or(config.pulses_per_block);
        config.validate()?;
        Ok(config)
    }
}

/// `qkd alice` and `qkd bob`.
#[derive(Debug, Clone, Args)]
#[group(id = "address", required = true)]
pub struct EndArgs {
    /// Connect to the other end, HOST:PORT, again and again until it answers.
    #[arg(long, value_name = "ADDR", group = "address", conflicts_with = "listen")]
    pub connect: Option<String>,
    /// Wait for the other end to connect, at HOST:PORT.
    #[arg(long, value_name = "ADDR", group = "address")]
    pub listen: Option<String>,
    /// Directory of this end's journal and keys; made when it is missing. It belongs to the secret that it was begun with.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Start-up secret, the same at both ends (see `qkd secret`). The directory takes a copy, and the file is marked as used.
    #[arg(long, value_name = "FILE")]
    pub secret: PathBuf,
    /// Write the bits of every released key that are for groups to this folder as well, as NUMBER.key: what an access point
    /// takes as its `--keys`. Each key is handed over once, those of earlier runs without this option never.
    #[arg(long, value_name = "DIR")]
    pub deliver: Option<PathBuf>,
    /// Blocks to attempt before the link ends; 0 means no end.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<u64>(0, 1_000_000_000))]
    pub blocks: u64,
    /// Generate all blocks before connecting, so that generation does not count.
    #[arg(long)]
    pub pregenerate: bool,
    /// Tags kept back in each pool: below that no block begins. To go on all the same, start both ends with fewer; a block
    /// that gives a key brings two tags each way.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = whole::<u64>(0, 1_000_000))]
    pub reserve_tags: u64,
    /// Seconds of silence after which a connection is given up.
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = whole::<u64>(1, 86_400))]
    pub timeout_s: u64,
    /// The link, the same at both ends.
    #[command(flatten)]
    pub link: LinkArgs,
}

/// `qkd secret`: makes a start-up secret.
#[derive(Debug, Clone, Args)]
pub struct SecretArgs {
    /// File to write; it must not exist.
    pub file: PathBuf,
    /// Bytes of it, 112 to 16777216: 4096 are about 500 tags.
    #[arg(long, default_value_t = 4096, value_parser = whole::<usize>(MIN_SECRET_BYTES as u64, MAX_SECRET_BYTES))]
    pub bytes: usize,
}

/// `qkd simulate`.
#[derive(Debug, Clone, Args)]
pub struct SimulateArgs {
    /// The link; with several distances the one in here is the first.
    #[command(flatten)]
    pub link: LinkArgs,
    /// Up to this distance in km as well, in steps of `--step-km`.
    #[arg(long, value_name = "KM", value_parser = real(0.0, 1000.0), allow_negative_numbers = true)]
    pub to_km: Option<f64>,
    /// Step in km, 0.1 to 1000.
    #[arg(long, value_name = "KM", default_value_t = 10.0, value_parser = real(0.1, 1000.0), requires = "to_km", allow_negative_numbers = true)]
    pub step_km: f64,
    /// Blocks at each distance.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole::<u64>(1, 1_000_000))]
    pub blocks: u64,
    /// Seed: the same seed gives the same numbers.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write a plot of the secret rate against the distance to this file (SVG).
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}
