//! [`Voice`]: a role that waits says for what.

use crqkd_flowgraphs::{Role, Running};
use crqkd_node::waiting::Waiting;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How far a role has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// No frame of the other end has come.
    Start,
    /// There is contact, but no group has been handed over or received.
    Contact,
    /// Something was handed over or received.
    Groups,
    /// The role is over.
    Over,
}

/// Watches a run from a thread of its own.
pub(super) struct Voice {
    stage: Arc<AtomicU8>,
    thread: Option<JoinHandle<()>>,
}

const LOOK: Duration = Duration::from_millis(100);

impl Voice {
    pub(super) fn start(running: &Running, role: Role) -> Self {
        let (stage, monitor) = (Arc::new(AtomicU8::new(Stage::Start as u8)), running.monitor());
        let seen = Arc::clone(&stage);
        let watch = move || {
            let (mut waiting, mut last) = (Waiting::new(), (Stage::Start as u8, u64::MAX));
            loop {
                let (now, air) = (seen.load(Ordering::SeqCst), monitor.air_time());
                if now == Stage::Over as u8 {
                    return;
                }
                let still = air == last.1;
                if now != last.0 || (!still && now == Stage::Groups as u8) {
                    waiting = Waiting::new();
                }
                last = (now, air);
                waiting.say(|| match now {
                    _ if still => format!("{role} waits for the other radios of the air"),
                    stage if stage == Stage::Start as u8 => {
                        format!("{role} waits for contact: no frame of the other end has come yet")
                    }
                    _ => format!("{role} has contact, and waits for groups of quantum key"),
                });
                std::thread::park_timeout(LOOK);
            }
        };
        let thread = std::thread::Builder::new().name("voice".into()).spawn(watch).ok();
        Voice { stage, thread }
    }

    /// The role has come further.
    pub(super) fn reached(&self, stage: Stage) {
        self.stage.fetch_max(stage as u8, Ordering::SeqCst);
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.reached(Stage::Over);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A thread that has died has nothing more to say.
            let _ = thread.join();
        }
    }
}
