//! The two ends of a quantum link as processes: `alice` sends pulses, `bob` receives them.
//!
//! ```text
//!   alice  ==== simulated fibre (one connection; clicks instead of photons; trusted, marked as simulated) ===>  bob
//!          <=== classical channel (another connection; hostile; one tag a block and direction) ==============>
//!   directory: journal.jsonl (no secrets), keys.bin (secret)          the same on the other side
//! ```
//!
//! A connection that breaks costs the block that was under way, and a pad only if its tag was being sent. After a restart the
//! state is what the journal says: pads below the last mark are skipped, a key that was held is released when the other end
//! says that it has it and given up when it is authenticated that it has not.
//!
//! | file | what it decides |
//! |---|---|
//! | `secret` | which directory may use a start-up secret |
//! | `handshake`, `line` | who may keep an end busy, and for how long |
//! | `greeting` | whether the two ends fit together, and who tags first |
//! | `ends`, `source`, `fibre` | the course of a block |
//! | `state`, `record` | what is durable |
//! | `outlet` | how keys reach an access point |
//! | `audit` | what the files of both ends say together |

mod args;
mod audit;
mod ends;
mod fibre;
mod greeting;
mod handshake;
mod line;
mod outlet;
mod record;
mod secret;
mod simulate;
mod source;
mod state;

pub use args::{EndArgs, LinkArgs, SecretArgs, SimulateArgs};
pub use audit::{Audit, Finding, audit};
pub use ends::{EndReport, run_alice, run_bob};
pub use fibre::PhotonBlock;
pub use outlet::SIMULATED;
pub use record::Ledger;
pub use secret::{MIN_SECRET_BYTES, write_secret};
pub use simulate::{SimulatedPoint, plot, simulate};
pub use state::{KeyState, LinkEnd, QkdRecord, group_id};
