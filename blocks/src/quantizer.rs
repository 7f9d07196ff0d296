//! From measurements to channel key.

use crate::envelope::{holds, pack, unpack};
use crate::hooks::Hooks;
use crate::messages::{Pads, ProbeData, Reply, WindowBits, Work};
use crqkd_channel_key::{ChannelKeyConfig, ConfigError, SoftBits, Windows};
use crqkd_forwarding::{Answer, Direction, Job};
use futuresdr::runtime::dev::prelude::*;

/// Which measurements a role makes its channel key of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Those of frames in this direction, all of them needed.
    End(Direction),
    /// An eavesdropper's: of the access point's frames, with gaps; of the user's for the referee.
    Eavesdropper,
}

/// Collects the channel estimates of each window and quantises them when the protocol says so; a
/// shell on [`crqkd_channel_key::Quantizer`].
///
/// # Message Inputs
///
/// `tasks`: [`ProbeData`] and [`Work`]; work of other kinds is passed on.
///
/// # Message Outputs
///
/// `tasks`: [`Pads`], [`Reply`] and [`Work`].
/// `referee`: [`WindowBits`], in simulations only.
#[derive(Block)]
#[message_inputs(tasks)]
#[message_outputs(tasks, referee)]
#[null_kernel]
pub struct Quantizer {
    windows: Windows,
    view: View,
    referee: bool,
    hooks: Hooks,
}

impl Quantizer {
    /// A quantizer without measurements. `referee`: show copies of all bits (simulations only).
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(
        config: &ChannelKeyConfig,
        view: View,
        referee: bool,
        hooks: Hooks,
    ) -> Result<Self, ConfigError> {
        Ok(Quantizer { windows: Windows::new(config)?, view, referee, hooks })
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
        if holds::<ProbeData>(&message) {
            let p: ProbeData = unpack(&message)?;
            let (epoch, window) = (p.probe.epoch, p.probe.window);
            self.windows.add(epoch, window, p.probe.index, p.direction, &p.estimate.csi);
            return Ok(Pmt::Ok);
        }
        let work = self.hooks.watch(unpack::<Work>(&message).map_err(Into::into))?;
        for (port, answer) in self.answer(work) {
            mo.post(port, answer).await?;
        }
        Ok(Pmt::Ok)
    }

    /// Does the work that is the quantizer's; what to post, and where.
    fn answer(&mut self, work: Work) -> Vec<(&'static str, Pmt)> {
        let ticket = work.ticket;
        let (epoch, window, kept) = match work.job {
            Job::Derive { epoch, window, kept } => (epoch, window, kept),
            Job::DropWindow { epoch, window } => {
                self.windows.forget(epoch, window);
                return Vec::new();
            }
            job => return vec![("tasks", pack(Work { ticket, job }))],
        };
        let mut posts = Vec::new();
        let (direction, gaps) = match self.view {
            View::End(direction) => (direction, false),
            View::Eavesdropper => (Direction::Forward, true),
        };
        let mut show = |direction, soft: SoftBits| {
            let kept = kept.clone();
            posts.push(("referee", pack(WindowBits { epoch, window, direction, kept, soft })));
        };
        let derived = self.windows.derive(epoch, window, direction, &kept, gaps);
        if let (true, Ok(soft)) = (self.referee, &derived) {
            let copy = SoftBits { bits: soft.bits.duplicate(), llr: soft.llr.clone() };
            show(direction, copy);
            let other = self.windows.derive(epoch, window, Direction::Reverse, &kept, true);
            if let (View::Eavesdropper, Ok(soft)) = (self.view, other) {
                show(Direction::Reverse, soft);
            }
        }
        self.windows.forget(epoch, window);
        posts.push(match derived {
            Ok(soft) => ("tasks", pack(Pads { ticket, epoch, window, soft })),
            Err(reason) => ("tasks", pack(Reply { ticket, answer: Answer::Failed { reason } })),
        });
        posts
    }
}
