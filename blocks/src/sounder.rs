//! From frames and promises to a radio.

use crate::envelope::unpack;
use crate::hooks::Hooks;
use crate::messages::{Order, Orders};
use crate::radio::RadioTx;
use crqkd_forwarding::{TxFrame, WireMessage};
use crqkd_sounding::{FrameLayout, Header, PayloadShape, SoundingError, Synthesizer};
use futuresdr::num_complex::Complex32;
use futuresdr::runtime::dev::prelude::*;

/// Synthesizes bursts and carries out the orders of the protocol, in their order, through a
/// [`RadioTx`] that bypasses all inboxes; a shell on [`crqkd_sounding::Synthesizer`].
///
/// # Message Inputs
///
/// `orders`: [`Orders`]. The promise in them is passed on behind everything that it covers.
#[derive(Block)]
#[message_inputs(orders)]
#[null_kernel]
pub struct Sounder {
    synthesizer: Synthesizer,
    radio: RadioTx<WireMessage>,
    hooks: Hooks,
}

impl Sounder {
    /// A sounder of frames of this layout that writes to `radio`.
    pub fn new(layout: FrameLayout, radio: RadioTx<WireMessage>, hooks: Hooks) -> Self {
        Sounder { synthesizer: Synthesizer::with_layout(layout), radio, hooks }
    }

    async fn orders(
        &mut self,
        io: &mut WorkIo,
        _mo: &mut MessageOutputs,
        _meta: &mut BlockMeta,
        message: Pmt,
    ) -> Result<Pmt> {
        self.hooks.nap().await;
        if message == Pmt::Finished {
            io.finished = true;
            return Ok(Pmt::Ok);
        }
        let carried_out = self.carry_out(&message);
        self.hooks.watch(carried_out)?;
        Ok(Pmt::Ok)
    }

    fn carry_out(&mut self, message: &Pmt) -> Result<()> {
        let orders: Orders = unpack(message)?;
        for order in orders.list {
            match order {
                Order::Transmit { at, frame } => self.radio.send_at(at, self.burst(&frame)?)?,
                Order::Listen { from, to } => self.radio.listen(from, to)?,
                Order::ListenUntil(at) => self.radio.listen_until(at)?,
                Order::Wire { to, arrives, message } => self.radio.wire(to.0, arrives, message)?,
            }
        }
        self.radio.promise(orders.promises)?;
        if orders.leave {
            self.radio.leave();
        }
        Ok(())
    }

    fn burst(&self, frame: &TxFrame) -> Result<Vec<Complex32>, SoundingError> {
        let cipher = frame.cipher.as_ref().map(|bits| bits.to_bits()).unwrap_or_default();
        let header = Header {
            epoch: frame.probe.epoch.0,
            window: frame.probe.window.0,
            index: frame.probe.index,
            direction: frame.direction,
            sender: frame.sender,
            kind: frame.kind,
            gain: 0,
            follow: frame.follow,
            more: frame.more,
            payload: PayloadShape::of(frame.control.len(), cipher.len())?,
        };
        self.synthesizer.burst(Some(&header), &frame.control, &cipher)
    }
}
