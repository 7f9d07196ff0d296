//! A running system: what comes out of it, how it is watched, stopped and ended.

use crate::config::FlowgraphError;
use crate::loopback::Roles;
use crate::role::Role;
use crate::station::Notice;
use async_channel::Receiver;
use crqkd_air::medium::Air;
use crqkd_blocks::Hooks;
use crqkd_blocks::envelope::pack;
use crqkd_blocks::messages::Begin;
use crqkd_blocks::radio::air::VirtualAir;
use crqkd_blocks::transceiver::Capture;
use crqkd_forwarding::{Counters, UserBalance, WireMessage};
use futuresdr::prelude::*;
use futuresdr::runtime::scheduler::SmolScheduler;
use futuresdr::runtime::{BlockId, Error, FlowgraphHandle, config};

/// A runtime on `workers` threads. Its control port stays closed, and it does not log to stdout.
pub(crate) fn runtime(workers: usize) -> Runtime<SmolScheduler> {
    config::set("ctrlport_enable", false);
    config::set("log_level", "off");
    Runtime::with_scheduler(SmolScheduler::new(workers.max(1), false))
}

/// A system that runs.
pub struct Running {
    roles: Roles,
    air: VirtualAir<WireMessage>,
    hooks: Hooks,
    handle: FlowgraphHandle,
    noticed: Receiver<(Role, Notice)>,
    captured: Option<Receiver<Capture>>,
    ended: Receiver<Result<Flowgraph, Error>>,
    /// Threads live as long as it.
    _runtime: Runtime<SmolScheduler>,
}

/// Stops a run from another thread, or from a handler of Ctrl-C.
#[derive(Clone, Debug)]
pub struct StopHandle(FlowgraphHandle);

impl StopHandle {
    /// Ends all blocks; the run then ends without an error. Does not wait for it.
    pub fn stop(&self) {
        let _ = Runtime::block_on(self.0.stop()); // it may have ended already
    }
}

/// Shows whether a run goes on.
#[derive(Clone)]
pub struct Monitor(VirtualAir<WireMessage>);

impl Monitor {
    /// Changes as long as anything happens on the air.
    pub fn activity(&self) -> u64 {
        self.0.activity()
    }

    /// The air time of the radio that is furthest.
    pub fn air_time(&self) -> Air {
        self.0.now()
    }

    /// Who waits where, in one line.
    pub fn describe(&self) -> String {
        self.0.describe()
    }
}

/// Counts of a system that has ended.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What each role dropped, and why, in the order of [`Role::ALL`].
    pub counters: [Counters; 6],
    /// Frames that started when the radio was not meant to listen.
    pub ignored_frames: [u64; 6],
    /// Bits of quantum key at Alice and Bob.
    pub balances: [UserBalance; 2],
    /// Ciphertexts that each Eve tried, and those whose check was right.
    pub tries: [(u64, u64); 2],
}

impl Running {
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn start(
        fg: Flowgraph,
        roles: Roles,
        begins: impl IntoIterator<Item = (BlockId, Begin)>,
        air: VirtualAir<WireMessage>,
        hooks: Hooks,
        noticed: Receiver<(Role, Notice)>,
        captured: Option<Receiver<Capture>>,
        workers: usize,
    ) -> Result<Self, FlowgraphError> {
        let runtime = runtime(workers);
        let running = runtime.start(fg)?;
        let handle = running.handle();
        for (block, begin) in begins {
            Runtime::block_on(handle.post(block, "begin", pack(begin)))?;
        }
        let (end, ended) = async_channel::bounded(1);
        let notices = noticed.clone();
        runtime.spawn_background(async move {
            let result = running.wait_async().await;
            let _ = end.send(result).await;
            notices.close();
        });
        Ok(Running { roles, air, hooks, handle, noticed, captured, ended, _runtime: runtime })
    }

    /// To stop the run.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(self.handle.clone())
    }

    /// To watch the run.
    pub fn monitor(&self) -> Monitor {
        Monitor(self.air.clone())
    }

    /// The received samples of all radios, when they are to be recorded. They must be read while
    /// the run goes on: it waits for a slow reader.
    pub fn captures(&mut self) -> Option<Receiver<Capture>> {
        self.captured.take()
    }

    /// Waits for the end and hands out everything that is noticed on the way: in order for each
    /// kind and role, in any order among them.
    ///
    /// # Errors
    /// The first fault of a block.
    pub fn wait(
        mut self,
        mut notice: impl FnMut(Role, Notice),
    ) -> Result<Finished, FlowgraphError> {
        self.captured = None; // samples that nobody asked for must not hold the run
        while let Ok((role, what)) = self.noticed.recv_blocking() {
            notice(role, what);
        }
        let result = self.ended.recv_blocking();
        if let Some(fault) = self.hooks.fault() {
            return Err(FlowgraphError::Fault(fault));
        }
        let fg = result.map_err(|_| FlowgraphError::Fault("the runtime has died".into()))??;
        self.roles.finished(&fg)
    }
}

impl Roles {
    fn finished(&self, fg: &Flowgraph) -> Result<Finished, FlowgraphError> {
        let [q1, q2] = [fg.block(&self.qaps[0].protocol)?, fg.block(&self.qaps[1].protocol)?];
        let [u1, u2] = [fg.block(&self.users[0].protocol)?, fg.block(&self.users[1].protocol)?];
        let [e1, e2] = [fg.block(&self.eves[0].protocol)?, fg.block(&self.eves[1].protocol)?];
        let (q1, q2) = (q1.sequencer(), q2.sequencer());
        let (u1, u2) = (u1.sequencer(), u2.sequencer());
        let (e1, e2) = (e1.sequencer(), e2.sequencer());
        Ok(Finished {
            counters: [
                q1.station().counters(),
                u1.station().counters(),
                e1.station().counters(),
                q2.station().counters(),
                u2.station().counters(),
                e2.station().counters(),
            ],
            ignored_frames: [
                q1.ignored_frames(),
                u1.ignored_frames(),
                e1.ignored_frames(),
                q2.ignored_frames(),
                u2.ignored_frames(),
                e2.ignored_frames(),
            ],
            balances: [u1.station().balance(), u2.station().balance()],
            tries: [e1.station().tries(), e2.station().tries()],
        })
    }
}
