//! The virtual air across processes: server, client, and what they say to each other.

pub mod client;
pub mod protocol;
mod seats;
pub mod server;
pub mod stream;

pub use client::AirClient;
pub use protocol::{Part, RunId};
pub use seats::{Place, WireBytes};
pub use server::{AirServer, Noticed, ServeOptions};
pub use stream::Address;
