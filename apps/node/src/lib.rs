//! What touches network or disk in a running role.
//!
//! | module | what it is |
//! |---|---|
//! | [`air`] | the virtual air across processes: server and client |
//! | [`bounded`] | files that are read whole and must be small |
//! | [`delivery`] | final keys as files in a folder |
//! | [`frames`] | whole messages over a stream |
//! | [`journal`] | what must survive a power cut: lines of JSON with checksums |
//! | [`key_files`] | quantum key from files in a directory |
//! | [`key_store`] | keys by number in one file that only grows |
//! | [`lines`] | a file of lines that grows while a program runs |
//! | [`number`] | numbers on the command line, each with its range |
//! | [`private`] | files that only their owner may read |
//! | [`qkd`] | the two ends of a quantum link as processes, and the link in one process |
//! | [`radio`] | radios by name: `air:`, `file:`, `soapy:` |
//! | [`stop`] | Ctrl-C and SIGTERM |
//! | [`store`] | a station's marks in a journal |
//! | [`told`] | what is said to people: an error and its causes as one line |
//! | [`waiting`] | whoever waits says so |

#![cfg_attr(not(test), warn(clippy::print_stderr, clippy::print_stdout))]

pub mod air;
pub mod bounded;
pub mod delivery;
pub mod frames;
pub mod journal;
pub mod key_files;
pub mod key_store;
pub mod lines;
pub mod number;
mod pending;
pub mod private;
pub mod qkd;
pub mod radio;
pub mod stop;
pub mod store;
pub mod told;
pub mod waiting;
mod wired;
