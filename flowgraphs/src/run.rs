//! A running system: what comes out of it, how it is watched, stopped and ended.

use crate::assembly::Member;
use crate::config::FlowgraphError;
use crate::role::Role;
use crate::station::Notice;
use async_channel::Receiver;
use crqkd_blocks::Hooks;
use crqkd_blocks::envelope::pack;
use crqkd_blocks::messages::Begin;
use crqkd_blocks::radio::Progress;
use crqkd_blocks::transceiver::Capture;
use crqkd_forwarding::{Counters, UserBalance};
use crqkd_keys::Group;
use futuresdr::futures::future::{Either, select};
use futuresdr::prelude::*;
use futuresdr::runtime::scheduler::SmolScheduler;
use futuresdr::runtime::{BlockId, Error, FlowgraphHandle, config};
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;

/// A runtime on `workers` threads. Its control port stays closed, and it does not log to stdout.
pub(crate) fn runtime(workers: usize) -> Runtime<SmolScheduler> {
    config::set("ctrlport_enable", false);
    config::set("log_level", "off");
    Runtime::with_scheduler(SmolScheduler::new(workers.max(1), false))
}

/// Bytes that the stream buffers of a whole run take, at most.
const BUFFER_BYTES: usize = 8 << 20;

/// Looks for room in the system's temporary folder before streams are connected: FutureSDR maps their buffers from files
/// there, panics when one cannot be made, and is killed when there is no room for what is written to it.
///
/// # Errors
/// [`FlowgraphError::Buffers`].
pub(crate) fn check_buffers() -> Result<(), FlowgraphError> {
    let folder = std::env::temp_dir();
    let fill = || -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&folder)?;
        file.write_all(&vec![0; BUFFER_BYTES])?;
        file.flush()
    };
    fill().map_err(|source| FlowgraphError::Buffers { folder, source })
}

/// How a run is done; nothing here changes its result.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Worker threads of the flowgraph.
    pub workers: usize,
    /// Random sleeps in every block, up to so many microseconds, for tests.
    pub sleeps_us: Option<u64>,
    /// Seed of the random sleeps.
    pub sleep_seed: u64,
    /// Show secrets to a referee.
    pub referee: bool,
    /// Whether channel measurements are handed out too.
    pub observe: bool,
    /// Hand out all received samples.
    pub record: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions {
            workers: 1,
            sleeps_us: None,
            sleep_seed: 0,
            referee: true,
            observe: false,
            record: false,
        }
    }
}

/// A system of stations that is running.
pub struct Running {
    members: Vec<(Role, Member)>,
    progress: Arc<dyn Progress>,
    hooks: Hooks,
    handle: FlowgraphHandle,
    /// Who is fed through which block.
    key_buffers: Vec<(Role, BlockId)>,
    noticed: Receiver<(Role, Notice)>,
    captured: Option<Receiver<Capture>>,
    ended: Receiver<Result<Flowgraph, Error>>,
    /// Closed when it has ended.
    over: Receiver<()>,
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

/// Brings groups of quantum key to a role that runs.
#[derive(Clone, Debug)]
pub struct Supplier {
    handle: FlowgraphHandle,
    key_buffer: BlockId,
    /// Closed when the run has ended.
    over: Receiver<()>,
}

impl Supplier {
    /// Hands groups over; they take effect as soon as possible. False when the run has ended.
    pub fn supply(&self, groups: Vec<Group>) -> bool {
        let begin = Begin { supply: vec![(0, groups)], requests: Vec::new() };
        post_begin(&self.handle, self.key_buffer, begin, &self.over).is_ok()
    }
}

/// Counts of a role that has ended.
#[derive(Clone, Debug, Default)]
pub struct RoleEnd {
    /// Which role the station has.
    pub role: Role,
    /// What it dropped, and why.
    pub counters: Counters,
    /// Frames that started when the radio was not meant to listen.
    pub ignored_frames: u64,
    /// Bits of quantum key (user).
    pub balance: Option<UserBalance>,
    /// Ciphertexts that she tried, and those whose check was right (eavesdropper).
    pub tries: Option<(u64, u64)>,
}

/// Counts of a system that has ended, in the order in which the roles were added.
#[derive(Clone, Debug)]
pub struct Finished(Vec<RoleEnd>);

impl Finished {
    /// All roles of this flowgraph.
    pub fn roles(&self) -> &[RoleEnd] {
        &self.0
    }

    /// Counters of one role; zero when it is not in this flowgraph.
    pub fn counters(&self, role: Role) -> Counters {
        self.0.iter().find(|end| end.role == role).map_or_else(Counters::default, |e| e.counters)
    }
}

/// Hands a message to a key buffer. A flowgraph that ends in the meantime may keep it, and its answer, for ever: its end is
/// waited for as well.
fn post_begin(
    handle: &FlowgraphHandle,
    key_buffer: BlockId,
    begin: Begin,
    over: &Receiver<()>,
) -> Result<(), Error> {
    Runtime::block_on(async {
        let posted = pin!(handle.post(key_buffer, "begin", pack(begin)));
        let ended = pin!(over.recv());
        match select(posted, ended).await {
            Either::Left((posted, _)) => posted,
            Either::Right(_) => Err(Error::FlowgraphTerminated),
        }
    })
}

impl Running {
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn start(
        fg: Flowgraph,
        members: Vec<(Role, Member)>,
        begins: Vec<(BlockId, Begin)>,
        progress: Arc<dyn Progress>,
        hooks: Hooks,
        noticed: Receiver<(Role, Notice)>,
        captured: Option<Receiver<Capture>>,
        workers: usize,
    ) -> Result<Self, FlowgraphError> {
        let runtime = runtime(workers);
        let running = runtime.start(fg)?;
        let handle = running.handle();
        let blocks = begins.iter().map(|(block, _)| *block);
        let key_buffers = members.iter().map(|(role, _)| *role).zip(blocks).collect();
        let (end, ended) = async_channel::bounded(1);
        let (alive, over) = async_channel::bounded(1);
        let notices = noticed.clone();
        runtime.spawn_background(async move {
            let result = running.wait_async().await;
            let _ = end.send(result).await;
            notices.close();
            drop(alive);
        });
        for (block, begin) in begins {
            // Any other error: a radio whose air was stopped has ended the flowgraph already, and `wait` tells why.
            if let Err(error @ Error::InvalidMessagePort(..)) =
                post_begin(&handle, block, begin, &over)
            {
                return Err(error.into());
            }
        }
        Ok(Running {
            members,
            progress,
            hooks,
            handle,
            key_buffers,
            noticed,
            captured,
            ended,
            over,
            _runtime: runtime,
        })
    }

    /// A handle with which the run can be stopped.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(self.handle.clone())
    }

    /// To bring groups to a role of this run, if it has one of that name.
    pub fn supplier(&self, role: Role) -> Option<Supplier> {
        let (_, key_buffer) = *self.key_buffers.iter().find(|(of, _)| *of == role)?;
        Some(Supplier { handle: self.handle.clone(), key_buffer, over: self.over.clone() })
    }

    /// A view of how far the run has come.
    pub fn monitor(&self) -> Arc<dyn Progress> {
        self.progress.clone()
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
            return Err(fault.into());
        }
        let fg = result.map_err(|_| FlowgraphError::Fault("the runtime has died".into()))??;
        let ends = self.members.iter().map(|(role, member)| member.end(*role, &fg));
        Ok(Finished(ends.collect::<Result<_, _>>()?))
    }
}
