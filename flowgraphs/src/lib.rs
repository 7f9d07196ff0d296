//! The roles of crqkd wired up as FutureSDR flowgraphs.
//!
//! ```text
//!  cell 0                                                   cell 1
//!  Alice ~~~ air ~~~ QAP1 ================================ QAP2 ~~~ air ~~~ Bob
//!          Eve1               wire, with air time and latency         Eve2
//! ```
//!
//! [`qap`], [`user`] and [`eve`] add a role to a flowgraph, on any radio; an [`Assembly`] gives a flowgraph
//! all that its roles share and runs it; [`loopback()`] is the assembly of all six on the virtual air; [`receive()`] finds the frames in stored samples. Which block
//! talks to which is drawn in [`crqkd_blocks`] and connected in [`station`].
//!
//! A run is a function of its [`LoopbackConfig`] and the quantum key alone: the number of threads
//! and when they run do not matter.
//!
//! ```
//! use crqkd_bits::SecretBits;
//! use crqkd_flowgraphs::*;
//! use crqkd_keys::{Group, GroupId};
//! use rand::SeedableRng;
//!
//! // One group of 96 bits a window of 64 probes; two groups make a key.
//! let mut system = SystemConfig::default();
//! (system.otp.n, system.otp.k) = (256, 96);
//! (system.forwarding.code_bits, system.forwarding.group_bits) = (256, 96);
//! (system.forwarding.window_probes, system.forwarding.groups_per_block) = (64, 2);
//! let config = LoopbackConfig { system, seed: 1, groups: 2, faults: vec![] };
//!
//! // What the quantum link gives: the same groups at both access points.
//! let groups = || {
//!     let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
//!     let group = |id| Group { id: GroupId(id), bits: SecretBits::random(&mut rng, 96) };
//!     vec![(0, (0..8).map(group).collect())]
//! };
//! let supply = Supply { qap1: groups(), qap2: groups() };
//!
//! let running = loopback(&config, supply, simulated(&config)?, &RunOptions::default())?;
//! let mut keys = Vec::new();
//! running.wait(|role, notice| {
//!     if let Notice::Key(key) = notice {
//!         keys.push((role, key.key, key.bits.fingerprint()));
//!     }
//! })?;
//! keys.sort();
//! let [(Role::Alice, name, key), (Role::Bob, same_name, same_key)] = keys[..] else { panic!() };
//! assert_eq!((name, key), (same_name, same_key));
//! # Ok::<(), FlowgraphError>(())
//! ```

pub mod assembly;
pub mod config;
pub mod loopback;
pub mod receive;
pub mod role;
pub mod run;
pub mod station;

pub use assembly::{Assembly, Seat, simulated_rng};
pub use config::{FlowgraphError, SystemConfig};
pub use loopback::{
    LoopbackConfig, Supply, begin, join_all, loopback, simulated, simulated_for, with_faults,
};
pub use receive::{receive, receive_iq};
pub use role::Role;
pub use run::{Finished, RoleEnd, RunOptions, Running, StopHandle, Supplier};
pub use station::{Notice, Outfit, StationRef, eve, qap, user};
