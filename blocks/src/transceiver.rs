//! The receiving side of a radio as a stream.

use crate::envelope::pack;
use crate::hooks::Hooks;
use crate::radio::{Radio, Reception};
use crate::time_tag::{last_tag, time_tag};
use async_channel::Sender;
use crqkd_air::medium::AirTime;
use futuresdr::num_complex::Complex32;
use futuresdr::runtime::dev::prelude::*;
use std::sync::Arc;

/// Samples that a radio received, for a recorder.
#[derive(Clone, Debug)]
pub struct Capture {
    /// Number of the radio that received them.
    pub radio: u16,
    /// Air time of the first sample.
    pub time: AirTime,
    /// The samples, one after the other without a gap.
    pub samples: Arc<[Complex32]>,
    /// The radio did not listen after them.
    pub last: bool,
}

/// Where a recorder listens in.
#[derive(Clone, Debug)]
pub struct Tee {
    /// Number of the radio, as it appears in [`Capture::radio`].
    pub radio: u16,
    /// Gets a copy of everything received. A full channel holds the radio back.
    pub sender: Sender<Capture>,
}

/// Reads a [`Radio`]. Bursts do not pass through here but through the radio's
/// [`RadioTx`](crate::radio::RadioTx).
///
/// # Stream Outputs
///
/// `output`: Received samples. A tag `time` ([`time_tag`]) with the air time is on the first
/// sample and on every one that does not follow its predecessor at once; a tag `last`
/// ([`last_tag`]) is on the last sample before the radio stops listening.
///
/// # Message Outputs
///
/// `wire`: [`WireArrival`](crate::radio::WireArrival), a message that came over a wire, and
/// [`WireHorizon`](crate::radio::WireHorizon), how far a wire is complete.
#[derive(Block)]
#[message_outputs(wire)]
pub struct Transceiver<R, O = DefaultCpuWriter<Complex32>>
where
    R: Radio,
    O: CpuBufferWriter<Item = Complex32>,
{
    #[output]
    output: O,
    radio: R,
    /// Air time of the sample that would follow without a gap.
    next: Option<AirTime>,
    /// Samples before this were received already.
    floor: AirTime,
    tee: Option<Tee>,
    hooks: Hooks,
}

/// Buffer of a stream of samples: several listening gates.
pub const STREAM_ITEMS: usize = 1 << 15;
/// Do not receive into less room than this, a gate should stay in one piece.
const MIN_ROOM: usize = 1 << 12;

impl<R, O> Transceiver<R, O>
where
    R: Radio,
    O: CpuBufferWriter<Item = Complex32>,
{
    /// A transceiver that reads `radio`; `tee` gets a copy of everything received.
    pub fn new(radio: R, tee: Option<Tee>, hooks: Hooks) -> Self {
        let mut output = O::default();
        output.set_min_items(MIN_ROOM);
        output.set_min_buffer_size_in_items(STREAM_ITEMS);
        Transceiver { output, radio, next: None, floor: 0, tee, hooks }
    }
}

#[doc(hidden)]
impl<R, O> Kernel for Transceiver<R, O>
where
    R: Radio,
    O: CpuBufferWriter<Item = Complex32>,
{
    async fn work(
        &mut self,
        io: &mut WorkIo,
        mo: &mut MessageOutputs,
        _meta: &mut BlockMeta,
    ) -> Result<()> {
        self.hooks.nap().await;
        let (room, mut tags) = self.output.slice_with_tags();
        if room.len() < MIN_ROOM {
            return Ok(()); // called again when the reader has consumed
        }
        let received = self.radio.try_recv(room).map_err(Into::into);
        match self.hooks.watch(received)? {
            Reception::Samples { mut time, mut len, last } => {
                // A device that delivers the same samples again must not take time back.
                let old = self.floor.saturating_sub(time).min(len as AirTime) as usize;
                if old > 0 {
                    room.copy_within(old..len, 0);
                    (time, len) = (time + old as AirTime, len - old);
                }
                io.call_again = true;
                if len == 0 {
                    return Ok(());
                }
                self.floor = time + len as AirTime;
                if self.next != Some(time) {
                    tags.add_tag(0, time_tag(time));
                }
                if last {
                    tags.add_tag(len - 1, last_tag());
                }
                if let Some(tee) = &self.tee {
                    let samples = room[..len].into();
                    let capture = Capture { radio: tee.radio, time, samples, last };
                    let _ = tee.sender.send(capture).await; // a recorder that went away is not missed
                }
                self.output.produce(len);
                self.next = (!last).then_some(time + len as AirTime);
            }
            Reception::Wired(message) => {
                mo.post("wire", pack(message)).await?;
                io.call_again = true;
            }
            Reception::WireHorizon(horizon) => {
                mo.post("wire", pack(horizon)).await?;
                io.call_again = true;
            }
            Reception::Wait(ready) => io.block_on(ready),
            Reception::End => io.finished = true,
        }
        Ok(())
    }

    async fn deinit(&mut self, _mo: &mut MessageOutputs, _meta: &mut BlockMeta) -> Result<()> {
        self.radio.leave();
        Ok(())
    }
}
