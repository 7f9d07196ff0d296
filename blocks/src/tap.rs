//! Messages out of a flowgraph.

use crate::envelope::unpack;
use crate::hooks::Hooks;
use async_channel::Sender;
use futuresdr::runtime::dev::prelude::*;

/// Passes messages of one type to application code.
///
/// A full channel holds the flowgraph back; a closed one does not end it, what nobody wants is
/// dropped.
///
/// # Message Inputs
///
/// `in`: Parcels of `T`.
#[derive(Block)]
#[message_inputs(r#in)]
#[null_kernel]
pub struct Tap<T, U>
where
    T: Send + 'static,
    U: Send + 'static,
{
    sender: Sender<U>,
    wrap: Box<dyn Fn(T) -> U + Send>,
    hooks: Hooks,
}

impl<T, U> Tap<T, U>
where
    T: Send + 'static,
    U: Send + 'static,
{
    /// A tap into `sender`; `wrap` may add to each message where it comes from.
    pub fn new(sender: Sender<U>, wrap: impl Fn(T) -> U + Send + 'static, hooks: Hooks) -> Self {
        Tap { sender, wrap: Box::new(wrap), hooks }
    }

    async fn r#in(
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
        let content = self.hooks.watch(unpack::<T>(&message).map_err(Into::into))?;
        let _ = self.sender.send((self.wrap)(content)).await;
        Ok(Pmt::Ok)
    }
}
