//! The roles of crqkd wired up as FutureSDR flowgraphs.

pub mod config;
pub mod loopback;
pub mod receive;
pub mod role;
pub mod run;
pub mod station;

pub use config::{FlowgraphError, SystemConfig};
pub use loopback::{LoopbackConfig, RunOptions, Supply, loopback, simulated};
pub use receive::receive;
pub use role::Role;
pub use run::{Finished, Monitor, Running, StopHandle};
pub use station::{Notice, Outfit, StationRef, eve, qap, user};
