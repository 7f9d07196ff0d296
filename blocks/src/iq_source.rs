//! Stored samples as a stream.

use crate::hooks::Hooks;
use crate::iq::Iq;
use crate::radio::RadioError;
use crate::radio::file::Starter;
use crate::time_tag::{last_tag, time_tag};
use crate::transceiver::STREAM_ITEMS;
use crqkd_air::medium::AirTime;
use futuresdr::num_complex::Complex32;
use futuresdr::runtime::dev::prelude::*;

/// Samples that a source has put into a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Air time of the first one.
    pub time: AirTime,
    /// Number of samples, at least 1.
    pub len: usize,
    /// The next one, if any, does not follow without a gap.
    pub last: bool,
}

/// Fills the front of a buffer; `None` at the end.
pub type Fill<S> = Box<dyn FnMut(&mut [S]) -> Result<Option<Piece>, RadioError> + Send>;

/// Plays stored samples as fast as they are taken: they are read into the stream's buffer itself.
///
/// # Stream Outputs
///
/// `output`: Samples with the tags of [`time_tag`](crate::time_tag).
#[derive(Block)]
pub struct IqSource<S: Iq = Complex32, O = DefaultCpuWriter<S>>
where
    O: CpuBufferWriter<Item = S>,
{
    #[output]
    output: O,
    fill: Fill<S>,
    starter: Starter,
    next: Option<AirTime>,
    hooks: Hooks,
}

/// Do not read into less room than this.
const MIN_ROOM: usize = STREAM_ITEMS / 4;

impl<S: Iq, O> IqSource<S, O>
where
    O: CpuBufferWriter<Item = S>,
{
    /// A source of what `fill` reads, once it is [started](Self::starter).
    pub fn new(fill: Fill<S>, hooks: Hooks) -> Self {
        let mut output = O::default();
        output.set_min_items(MIN_ROOM);
        output.set_min_buffer_size_in_items(STREAM_ITEMS);
        IqSource { output, fill, starter: Starter::default(), next: None, hooks }
    }

    /// A handle that lets the source begin, once the flowgraph runs.
    pub fn starter(&self) -> Starter {
        self.starter.clone()
    }
}

#[doc(hidden)]
impl<S: Iq, O> Kernel for IqSource<S, O>
where
    O: CpuBufferWriter<Item = S>,
{
    async fn work(
        &mut self,
        io: &mut WorkIo,
        _mo: &mut MessageOutputs,
        _meta: &mut BlockMeta,
    ) -> Result<()> {
        if let Some(ready) = self.starter.wait() {
            io.block_on(ready);
            return Ok(());
        }
        self.hooks.nap().await;
        let (room, mut tags) = self.output.slice_with_tags();
        if room.len() < MIN_ROOM {
            return Ok(()); // called again when the reader has consumed
        }
        let filled = (self.fill)(room).map_err(Into::into);
        let Some(Piece { time, len, last }) = self.hooks.watch(filled)? else {
            io.finished = true;
            return Ok(());
        };
        if self.next != Some(time) {
            tags.add_tag(0, time_tag(time));
        }
        if last {
            tags.add_tag(len - 1, last_tag());
        }
        self.output.produce(len);
        self.next = (!last).then_some(time + len as AirTime);
        io.call_again = true;
        Ok(())
    }
}
