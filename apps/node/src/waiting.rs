//! [`Waiting`]: whoever waits says so, and for what.

use std::time::{Duration, Instant};

/// How long nothing is said.
const SILENCE: Duration = Duration::from_secs(2);

/// Between two times that it is said.
const AGAIN: Duration = Duration::from_secs(30);

/// Says what is waited for: first after two seconds, then every half a minute.
#[derive(Debug)]
pub struct Waiting {
    next: Instant,
    said: bool,
}

impl Waiting {
    /// The wait begins now.
    pub fn new() -> Self {
        Self { next: Instant::now() + SILENCE, said: false }
    }

    /// To be called again and again while waiting. True when it was said just now.
    pub fn say(&mut self, what: impl FnOnce() -> String) -> bool {
        let now = Instant::now();
        if now < self.next {
            return false;
        }
        tracing::warn!("{}", what());
        self.next = now + AGAIN;
        self.said = true;
        true
    }

    /// The wait is over: says so if it was said that there is one.
    pub fn over(self, what: impl FnOnce() -> String) {
        if self.said {
            tracing::warn!("{}", what());
        }
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Self::new()
    }
}
