//! The secret material of a station.

use crate::envelope::{holds, pack, unpack};
use crate::hooks::Hooks;
use crate::messages::{Began, Begin, Opened, Pads, Reply};
use crqkd_forwarding::desk::{Desk, Done};
use futuresdr::runtime::dev::prelude::*;

/// Holds the groups and the channel key of a station and gives them out once; a shell on
/// [`crqkd_keys::KeyBuffer`].
///
/// # Message Inputs
///
/// `begin`: [`Begin`], once, when the flowgraph runs; [`Began`] goes to the protocol.
/// `tasks`: [`Pads`], [`Work`](crate::messages::Work) and [`Reply`] from the quantizer.
/// `results`: [`Opened`] and [`Reply`] from the codec.
///
/// # Message Outputs
///
/// `codec`: [`Encryption`](crate::messages::Encryption) and
/// [`Decryption`](crate::messages::Decryption).
/// `answers`: [`Reply`] and [`Began`].
/// `keys`: [`FinalKey`](crate::messages::FinalKey), for programs.
/// `referee`: [`OpenedGroup`](crate::messages::OpenedGroup), in simulations only.
#[derive(Block)]
#[message_inputs(begin, tasks, results)]
#[message_outputs(codec, answers, keys, referee)]
#[null_kernel]
pub struct KeyBuffer {
    desk: Desk,
    referee: bool,
    hooks: Hooks,
}

impl KeyBuffer {
    /// A block around a desk. `referee`: show copies of all opened groups (simulations only).
    pub fn new(desk: Desk, referee: bool, hooks: Hooks) -> Self {
        KeyBuffer { desk, referee, hooks }
    }

    /// The desk, for counts when the run is over.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    async fn begin(
        &mut self,
        _io: &mut WorkIo,
        mo: &mut MessageOutputs,
        _meta: &mut BlockMeta,
        message: Pmt,
    ) -> Result<Pmt> {
        self.hooks.nap().await;
        let begin = self.hooks.watch(unpack::<Begin>(&message).map_err(Into::into))?;
        let mut began = Began { requests: begin.requests, supply: Vec::new() };
        for (at, groups) in begin.supply {
            began.supply.push((at, groups.iter().map(|group| group.id).collect()));
            let supplied = self.desk.supply(groups).map_err(Into::into);
            self.hooks.watch(supplied)?;
        }
        mo.post("answers", pack(began)).await?;
        Ok(Pmt::Ok)
    }

    async fn tasks(
        &mut self,
        io: &mut WorkIo,
        mo: &mut MessageOutputs,
        _meta: &mut BlockMeta,
        message: Pmt,
    ) -> Result<Pmt> {
        self.hooks.nap().await;
        if message == Pmt::Finished {
            io.finished = true;
            return Ok(Pmt::Ok);
        }
        let done = if holds::<Reply>(&message) {
            Done::Reply(unpack(&message)?)
        } else if holds::<Pads>(&message) {
            let Pads { ticket, epoch, window, soft } = unpack(&message)?;
            let (bits, llr) = soft.into_parts();
            self.desk.pads(ticket, (epoch, window), bits, llr)
        } else {
            self.desk.work(self.hooks.watch(unpack(&message).map_err(Into::into))?)
        };
        post(mo, done).await?;
        Ok(Pmt::Ok)
    }

    async fn results(
        &mut self,
        _io: &mut WorkIo,
        mo: &mut MessageOutputs,
        _meta: &mut BlockMeta,
        message: Pmt,
    ) -> Result<Pmt> {
        self.hooks.nap().await;
        if message == Pmt::Finished {
            return Ok(Pmt::Ok); // the codec ends after us
        }
        if holds::<Reply>(&message) {
            post(mo, Done::Reply(unpack(&message)?)).await?;
        } else {
            let opened = self.hooks.watch(unpack::<Opened>(&message).map_err(Into::into))?;
            let (done, copy) = self.desk.opened(opened);
            if let (true, Some(copy)) = (self.referee, copy) {
                mo.post("referee", pack(copy)).await?;
            }
            post(mo, done).await?;
        }
        Ok(Pmt::Ok)
    }
}

async fn post(mo: &mut MessageOutputs, done: Done) -> Result<()> {
    match done {
        Done::Reply(reply) => mo.post("answers", pack(reply)).await?,
        Done::Encrypt(encryption) => mo.post("codec", pack(encryption)).await?,
        Done::Decrypt(decryption) => mo.post("codec", pack(decryption)).await?,
        Done::Key(reply, key) => {
            mo.post("keys", pack(key)).await?;
            mo.post("answers", pack(reply)).await?;
        }
        Done::Nothing => {}
    }
    Ok(())
}
