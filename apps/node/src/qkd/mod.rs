//! The two ends of a quantum link as processes: `alice` sends pulses, `bob` receives them.
//!
//! ```text
//!   alice  ==== simulated fibre (one connection; clicks instead of photons; trusted, marked as simulated) ===>  bob
//!          <=== classical channel (another connection; hostile; one tag a block and direction) ==============>
//!   directory: journal.jsonl (no secrets), keys.bin (secret)          the same on the other side
//! ```
//!
//! A connection that breaks costs the block that was under way; its pads are gone, nothing is used again. After a
//! restart the state is what the journal says: pads below the last mark are skipped, a key that Bob held is released
//! when Alice says that she has it and burned when not.

mod args;
mod audit;
mod ends;
mod fibre;
mod line;
mod record;
mod simulate;
mod state;

pub use args::{EndArgs, LinkArgs, SecretArgs, SimulateArgs};
pub use audit::{Audit, audit};
pub use ends::{EndReport, run_alice, run_bob, write_secret};
pub use fibre::PhotonBlock;
pub use record::Ledger;
pub use simulate::{SimulatedPoint, plot, simulate};
pub use state::{KeyState, QkdRecord, group_id};
