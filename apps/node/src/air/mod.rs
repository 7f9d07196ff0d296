//! The virtual air across processes: server, client, and what they say to each other.

pub mod client;
pub mod protocol;
pub mod server;
pub mod stream;

pub use client::AirClient;
pub use protocol::{Part, RunId};
pub use server::{AirServer, Noticed, Place, ServeOptions, WireBytes};
pub use stream::Address;
