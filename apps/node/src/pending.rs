//! [`Pending`]: connections that have not shown who they are.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// At most so many connections wait side by side. When there are too many, the oldest of the address that has the most of them
/// makes room: whoever opens many, and is slow, pushes out its own.
#[derive(Debug)]
pub(crate) struct Pending<S> {
    most: usize,
    /// The oldest first.
    waiting: VecDeque<Waiting<S>>,
}

#[derive(Debug)]
struct Waiting<S> {
    number: u64,
    from: Option<IpAddr>,
    since: Instant,
    stream: S,
}

impl<S> Pending<S> {
    pub(crate) fn new(most: usize) -> Self {
        Pending { most, waiting: VecDeque::new() }
    }

    /// Notes connection `number` from an address, if it has one; the connection that makes room for it is to be closed.
    pub(crate) fn add(&mut self, number: u64, from: Option<IpAddr>, stream: S) -> Option<S> {
        self.waiting.push_back(Waiting {
            number,
            from: from.map(network),
            since: Instant::now(),
            stream,
        });
        if self.waiting.len() <= self.most {
            return None;
        }
        let count = |from| self.waiting.iter().filter(|other| other.from == from).count();
        let crowd = self.waiting.iter().map(|one| count(one.from)).max();
        let at = self.waiting.iter().position(|one| Some(count(one.from)) == crowd)?;
        self.waiting.remove(at).map(|one| one.stream)
    }

    /// The connection has shown who it is, or has gone.
    pub(crate) fn remove(&mut self, number: u64) {
        self.waiting.retain(|one| one.number != number);
    }

    /// A connection that has waited longer than this; it is to be closed.
    pub(crate) fn overdue(&mut self, longer: Duration) -> Option<S> {
        self.waiting.front().filter(|one| one.since.elapsed() > longer)?;
        self.waiting.pop_front().map(|one| one.stream)
    }
}

/// What one subscriber has: an IPv4 address, or the first 64 bits of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_opens_many_connections_pushes_out_its_own() {
        let mut pending = Pending::new(4);
        let address = |text: &str| Some(text.parse().unwrap());
        assert_eq!(pending.add(0, address("10.0.0.1"), "honest"), None);
        // One subscriber's addresses are one.
        for number in 1..4 {
            assert_eq!(pending.add(number, address(&format!("2001:db8::{number}")), "many"), None);
        }
        for number in 4..40 {
            let from = address(&format!("2001:db8::{number:x}"));
            assert_eq!(pending.add(number, from, "many"), Some("many"));
        }
        assert_eq!(pending.add(40, address("::ffff:10.0.0.1"), "honest"), Some("many"));
        pending.remove(0);
        pending.remove(40);
        assert_eq!(pending.waiting.len(), 2);
        // Local sockets have no address, and are one crowd.
        for number in 41..50 {
            pending.add(number, None, "local");
        }
        let left: Vec<_> = pending.waiting.iter().map(|one| one.stream).collect();
        assert_eq!(left, ["many", "many", "local", "local"]);
        assert_eq!(pending.overdue(Duration::from_secs(9)), None);
        assert_eq!(pending.overdue(Duration::ZERO), Some("many"));
    }
}
