//! FutureSDR blocks of crqkd, one a file, each a thin shell on a core crate, and the radios.
//!
//! ```text
//!  radio ~> transceiver ~IQ~> synchronizer -> channel_estimator -> protocol -> sounder -> radio
//!                |                                                  ^    |
//!                +------------------- wire ------------------------>|    v
//!                                                                   |  quantizer
//!                                              polar_otp <-> key_buffer <-+
//! ```
//!
//! `~>` is a stream of samples with the tags of [`time_tag`], `->` messages of [`messages`] in the
//! parcels of [`envelope`]. A frame as it comes out of the first three:
//!
//! ```
//! use crqkd_blocks::{Hooks, Synchronizer, envelope::unpack, messages::Detections};
//! use crqkd_sounding::{SoundingConfig, Synthesizer};
//! use futuresdr::runtime::mocker::{Mocker, Reader};
//!
//! let burst = Synthesizer::new().burst(None, &[], &[])?;
//! let mut samples = vec![Default::default(); 20_000];
//! samples[1_000..1_000 + burst.len()].copy_from_slice(&burst);
//!
//! let block = Synchronizer::<Reader<_>>::new(&SoundingConfig::default(), Hooks::default())?;
//! let mut mocker = Mocker::new(block);
//! mocker.input().set(samples);
//! mocker.run();
//! let found: Detections = unpack(&mocker.messages()[0][0])?;
//! assert_eq!(found.frames[0].start(), 1_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod channel_estimator;
pub mod envelope;
pub mod hooks;
pub mod iq;
pub mod iq_source;
pub mod key_buffer;
pub mod messages;
pub mod polar_otp;
pub mod protocol;
pub mod quantizer;
pub mod radio;
pub mod sounder;
pub mod synchronizer;
pub mod tap;
pub mod time_tag;
pub mod transceiver;

pub use channel_estimator::ChannelEstimator;
pub use hooks::Hooks;
pub use iq::Iq;
pub use iq_source::IqSource;
pub use key_buffer::KeyBuffer;
pub use polar_otp::PolarOtp;
pub use protocol::Protocol;
pub use quantizer::{Quantizer, View};
pub use sounder::Sounder;
pub use synchronizer::Synchronizer;
pub use tap::Tap;
pub use transceiver::{Capture, Transceiver};
