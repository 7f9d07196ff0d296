//! The key forwarding protocol: QAP, user and eavesdropper as state machines, input in, messages and events out.
//!
//! Time is *air time*: a sample index at 20 Msample/s, never a clock. A frame is handled at the air time of its first
//! sample, an answer to a job a fixed latency after the job, a wired message a fixed latency after it was sent, so
//! that a run is the same whatever machine it runs on.
//!
//! | module | what it holds |
//! |---|---|
//! | [`Qap`], [`User`], [`Eve`] | the roles |
//! | [`Station`], [`Input`], [`Output`], [`Job`], [`Answer`], [`Event`] | the door of every role |
//! | [`Sequencer`], [`Action`], [`Promise`] | hands a station its inputs in order of air time |
//! | [`RxFrame`], [`TxFrame`], [`Listen`] | the air |
//! | [`ControlFrame`], [`Message`], [`PeerMessage`], [`WireMessage`] | what is said, and its bytes |
//! | [`ForwardingConfig`], [`FrameLimits`], [`Plan`] | parameters |
//! | [`final_key_len`], [`BlockSeed`] | from a block of groups to a key |
//!
//! A QAP comes up: its new epoch is made durable, then the first probe goes out and the answer is listened for.
//!
//! ```
//! use crqkd_forwarding::{Action, ForwardingConfig, FrameKind, FrameLimits, Peer, Plan, Qap, QapConfig, Sequencer};
//! use crqkd_keys::{QapId, UserId};
//!
//! let frames =
//!     FrameLimits { probe_samples: 3903, control_samples: 16_000, control_bytes: 400, cipher_bits: 0 };
//! let plan = Plan::new(ForwardingConfig::default(), frames)?;
//! let peer = Peer { qap: QapId(2), user: UserId(102) };
//! let config = QapConfig { id: QapId(1), user: UserId(101), peer, group_capacity: 1000 };
//! let mut qap = Sequencer::new(Qap::new(plan.clone(), config, &[])?, &plan, &[peer.qap], 0);
//! qap.wire_horizon(peer.qap, 1_000_000)?; // no wired message arrives before
//!
//! let mut actions = Vec::new();
//! qap.step(&mut actions);
//! let Some(Action::Persist { ticket, .. }) = actions.pop() else { unreachable!() };
//! qap.persisted(ticket)?;
//!
//! let promise = qap.step(&mut actions);
//! let [Action::Transmit { at, frame }, Action::Listen(gate)] = &actions[..] else { unreachable!() };
//! assert_eq!((frame.kind, frame.probe.index), (FrameKind::Probe, 0));
//! // 5 ms until the epoch is durable, and a turnaround of 2 ms.
//! assert_eq!((*at, gate.from), (140_000, 140_000 + 40_000 - 128));
//! // The next frame leaves one probe period later, whatever arrives until then.
//! assert_eq!(promise.transmit, 140_000 + 200_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod arq;
mod block;
mod check;
mod codec;
mod config;
pub mod desk;
mod eve;
mod frame;
mod message;
mod pads;
mod qap;
mod sequencer;
mod station;
mod tracker;
mod user;

pub use block::{BlockSeed, PA_SECURITY_BITS, TAG_BITS, final_key_len};
pub use check::{pad_check, window_check};
pub use codec::WireError;
pub use config::{CipherMode, ConfigError, ForwardingConfig, FrameLimits, MAX_REQUEST, Plan};
pub use crqkd_ids::{AirTime, Direction, FrameKind, SAMPLE_RATE_HZ};
pub use crqkd_otp::Received;
pub use eve::{Eve, EveConfig};
pub use frame::{Listen, RxFrame, TxFrame};
pub use message::{CiphertextMessage, ControlFrame, Message, PeerMessage, Reception, WireMessage};
pub use qap::{Peer, Qap, QapConfig};
pub use sequencer::{Action, Promise, Sequencer, SequencerError, Ticket, WaitingFor};
pub use station::{
    Answer, Counters, DropReason, Ending, Event, Input, Job, JobKey, Output, Station,
};

pub use user::{User, UserBalance, UserConfig};
