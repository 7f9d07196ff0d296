//! Two cells on a virtual air: QAP, user and Eve each, driven in air time through their sequencers.
//!
//! Frames are lost, doubled, forged and damaged as [`Conditions`] say; the channel key is made of shared random bits of
//! which the user's are flipped at the disagreement rate; the code is ideal (it corrects up to a share of the bits).
//! How the shell schedules the machines is random too, and must not matter.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test harness")]
#![allow(dead_code, unreachable_pub)] // each test file uses its own part

use std::collections::{BTreeMap, BTreeSet};

use crqkd_bits::{BitString, PolyHash64, SecretBits};
use crqkd_forwarding::desk::{Decryption, Desk, Done, Encryption, FinalKey, Opened, Reply, Work};
use crqkd_forwarding::*;
use crqkd_keys::*;
use rand::seq::SliceRandom;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What happens to frames, pads and decoders. Shares from 0 to 1.
#[derive(Debug, Clone)]
pub struct Conditions {
    pub forward_loss: f64,
    pub reverse_loss: f64,
    /// Control messages that arrive with a good header and a bad check.
    pub bad_control: f64,
    /// Frames that arrive twice.
    pub doubled: f64,
    /// Frames from a stranger, frames of another epoch, and unreadable headers beside the real ones.
    pub forged: f64,
    pub clipped: f64,
    /// Share of the user's pad bits that differ.
    pub kdr: f64,
    /// Spread of that share from window to window.
    pub kdr_spread: f64,
    /// Groups that the user's decoder gets wrong without noticing.
    pub wrong_at: BTreeSet<(UserId, GroupId)>,
    /// The control frames that this drops are lost whatever the shares say.
    pub drop_control: fn(&ControlFrame, Direction) -> bool,
    /// When each user is switched on.
    pub user_start: [AirTime; 2],
    /// From then on nothing of this QAP is heard any more.
    pub qap_silent_from: [AirTime; 2],
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            forward_loss: 0.0,
            reverse_loss: 0.0,
            bad_control: 0.0,
            doubled: 0.0,
            forged: 0.0,
            clipped: 0.0,
            kdr: 0.05,
            kdr_spread: 0.0,
            wrong_at: BTreeSet::new(),
            drop_control: |_, _| false,
            user_start: [0, 0],
            qap_silent_from: [AirTime::MAX, AirTime::MAX],
        }
    }
}

pub const FRAMES: FrameLimits = FrameLimits {
    probe_samples: 3903,
    control_samples: 16_000,
    control_bytes: 400,
    cipher_bits: 1024,
};

/// Share of wrong pad bits that the ideal code corrects.
const CORRECTABLE: f64 = 0.12;
/// Channel key bits of a probe.
const BITS_PER_PROBE: u16 = 16;

pub fn config() -> ForwardingConfig {
    ForwardingConfig {
        window_probes: 64,
        min_kept_probes: 16,
        groups_per_block: 4,
        group_bits: 256,
        code_bits: 512,
        max_air_time_s: 200.0,
        ..Default::default()
    }
}

#[derive(Debug)]
pub enum Role {
    Qap(Qap),
    User(User),
    Eve(Eve),
}

impl Role {
    fn station(&self) -> &dyn Station {
        match self {
            Role::Qap(s) => s,
            Role::User(s) => s,
            Role::Eve(s) => s,
        }
    }

    fn station_mut(&mut self) -> &mut dyn Station {
        match self {
            Role::Qap(s) => s,
            Role::User(s) => s,
            Role::Eve(s) => s,
        }
    }
}

impl Station for Role {
    fn handle(&mut self, now: AirTime, input: Input, out: &mut Vec<Output>) {
        self.station_mut().handle(now, input, out);
    }
    fn next_timer(&self) -> Option<AirTime> {
        self.station().next_timer()
    }
    fn advance(&mut self, now: AirTime, out: &mut Vec<Output>) {
        self.station_mut().advance(now, out);
    }
    fn promise(&self, progress: AirTime) -> AirTime {
        self.station().promise(progress)
    }
    fn finished(&self) -> bool {
        self.station().finished()
    }
}

/// One role with its secrets.
pub struct Node {
    pub sequencer: Sequencer<Role>,
    pub store: MemoryStore,
    pub desk: Desk,
    pub events: Vec<(AirTime, Event)>,
    pub keys: BTreeMap<KeyId, SecretBits>,
    /// Frames on the air towards this radio.
    air: Vec<(AirTime, Heard)>,
    jobs: Vec<(Ticket, Job)>,
    /// Starts of frames that counted as measurements.
    pub kept: Vec<(ProbeId, Direction)>,
}

#[derive(Debug, Clone)]
enum Heard {
    Frame(RxFrame),
    Bad,
}

pub struct Network {
    pub plan: Plan,
    pub conditions: Conditions,
    /// Cell c has its QAP at 3c, its user at 3c+1 and its Eve at 3c+2.
    pub nodes: Vec<Node>,
    seed: u64,
    schedule: ChaCha8Rng,
    groups: BTreeMap<GroupId, BitString>,
    pad_bits_used: BTreeSet<(usize, PadRef)>,
    owners: BTreeMap<GroupId, PairId>,
    /// Groups that Eve's pad decoded.
    pub cracked: u64,
    pub encryptions: u64,
}

pub const QAP1: usize = 0;
pub const ALICE: usize = 1;
pub const EVE1: usize = 2;
pub const QAP2: usize = 3;
pub const BOB: usize = 4;
pub const EVE2: usize = 5;
pub const USERS: [UserId; 2] = [UserId(101), UserId(102)];
const QAPS: [QapId; 2] = [QapId(1), QapId(2)];

fn hash(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |state: u64, &part| {
        let mut z = (state ^ part).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 32)
    })
}

fn chance(share: f64, parts: &[u64]) -> bool {
    (hash(parts) >> 11) as f64 / (1u64 << 53) as f64 <= share && share > 0.0
}

impl Network {
    pub fn new(config: ForwardingConfig, conditions: Conditions, seed: u64) -> Self {
        Self::scheduled(config, conditions, seed, seed)
    }

    /// `schedule` decides only in which order the shell does things.
    pub fn scheduled(
        config: ForwardingConfig,
        conditions: Conditions,
        seed: u64,
        schedule: u64,
    ) -> Self {
        let plan = Plan::new(config, FRAMES).unwrap();
        let mut nodes = Vec::new();
        for cell in 0..2 {
            let peer = Peer { qap: QAPS[1 - cell], user: USERS[1 - cell] };
            let (id, user) = (QAPS[cell], USERS[cell]);
            let qap = QapConfig { id, user, peer, group_capacity: 4096 };
            let qap = Qap::new(plan.clone(), qap, &[]).unwrap();
            let rng = Box::new(ChaCha8Rng::seed_from_u64(hash(&[seed, cell as u64])));
            let user = User::new(plan.clone(), UserConfig { id: user, qap: id }, rng);
            let eve = Eve::new(plan.clone(), EveConfig { qap: id, user: USERS[cell] });
            let start = conditions.user_start[cell];
            nodes.push(Node::new(Role::Qap(qap), &plan, &[peer.qap], 0));
            nodes.push(Node::new(Role::User(user), &plan, &[], start));
            nodes.push(Node::new(Role::Eve(eve), &plan, &[], 0));
        }
        Self {
            plan,
            conditions,
            nodes,
            seed,
            schedule: ChaCha8Rng::seed_from_u64(schedule),
            groups: BTreeMap::new(),
            pad_bits_used: BTreeSet::new(),
            owners: BTreeMap::new(),
            cracked: 0,
            encryptions: 0,
        }
    }

    /// Puts groups of quantum key into both QAPs' buffers at an air time.
    pub fn quantum(&mut self, ids: std::ops::Range<u64>, at: [AirTime; 2]) {
        self.quantum_at(&[QAP1, QAP2], ids, at);
    }

    /// Puts groups into the buffers of some QAPs only.
    pub fn quantum_at(&mut self, qaps: &[usize], ids: std::ops::Range<u64>, at: [AirTime; 2]) {
        let mut rng = ChaCha8Rng::seed_from_u64(hash(&[self.seed, 77, ids.start]));
        let groups: Vec<GroupId> = ids.map(GroupId).collect();
        for &id in &groups {
            let bits = BitString::random(&mut rng, self.plan.config.group_bits as usize);
            for &qap in qaps {
                let group = Group { id, bits: bits.clone().into() };
                self.nodes[qap].desk.supply(vec![group]).unwrap();
            }
            self.groups.insert(id, bits);
        }
        for (qap, at) in [QAP1, QAP2].into_iter().zip(at).filter(|(qap, _)| qaps.contains(qap)) {
            self.nodes[qap].sequencer.local(at, Input::GroupsReady(groups.clone())).unwrap();
        }
    }

    /// Announces groups at both QAPs that were put there before.
    pub fn quantum_again(&mut self, ids: std::ops::Range<u64>, at: AirTime) {
        let groups: Vec<GroupId> = ids.map(GroupId).collect();
        for qap in [QAP1, QAP2] {
            self.nodes[qap].sequencer.local(at, Input::GroupsReady(groups.clone())).unwrap();
        }
    }

    pub fn request(&mut self, user: usize, groups: u32, at: AirTime) {
        let target = if user == ALICE { USERS[1] } else { USERS[0] };
        self.nodes[user].sequencer.local(at, Input::Request { target, groups }).unwrap();
    }

    /// Runs until every station has finished.
    pub fn run(&mut self) {
        let mut stuck = 0;
        while !self.nodes.iter().all(|node| node.sequencer.promise().finished) {
            let mut order: Vec<usize> = (0..self.nodes.len()).collect();
            order.shuffle(&mut self.schedule);
            let mut moved = false;
            for index in order {
                // Sometimes a machine just does not get its turn.
                if self.schedule.random_bool(0.2) {
                    moved = true;
                    continue;
                }
                moved |= self.turn(index);
            }
            stuck = if moved { 0 } else { stuck + 1 };
            assert!(stuck < 3, "deadlock: {:?}", self.states());
        }
        if std::env::var_os("TRACE").is_some() {
            self.print();
        }
        for index in 0..self.nodes.len() {
            self.work(index, true);
            self.check_balance(index);
        }
    }

    /// Every event in order of air time, with the frame counts at the end.
    fn print(&self) {
        let mut all: Vec<_> = (0..6)
            .flat_map(|n| self.nodes[n].events.iter().map(move |(at, event)| (*at, n, event)))
            .collect();
        all.sort_by_key(|(at, n, _)| (*at, *n));
        for (at, n, event) in all {
            println!("{:9.4} s  {n}  {event:?}", at as f64 / SAMPLE_RATE_HZ);
        }
        for node in &self.nodes {
            println!("{:?}", node.sequencer.station());
        }
    }

    fn states(&self) -> Vec<(Promise, WaitingFor)> {
        let state = |n: &Node| (n.sequencer.promise(), n.sequencer.waiting_for());
        self.nodes.iter().map(state).collect()
    }

    fn turn(&mut self, index: usize) -> bool {
        let before = self.nodes[index].sequencer.promise();
        let worked = self.work(index, false);
        let cell = index / 3;
        let limit = (3 * cell..3 * cell + 3)
            .filter(|other| *other != index)
            .map(|other| self.nodes[other].sequencer.promise().transmit)
            .min()
            .unwrap();
        // A frame is decided when its last sample is there.
        let progress = limit.saturating_sub(if limit == AirTime::MAX { 0 } else { 16_500 });
        let node = &mut self.nodes[index];
        node.air.sort_by_key(|(start, _)| *start);
        while node.air.first().is_some_and(|(start, _)| *start < progress) {
            match node.air.remove(0) {
                (_, Heard::Frame(frame)) => node.sequencer.frame(frame).unwrap(),
                (start, Heard::Bad) => node.sequencer.bad_frame(start).unwrap(),
            }
        }
        node.sequencer.radio_progress(progress);
        if matches!(node.sequencer.station(), Role::Qap(_)) {
            let other = 3 - index;
            let horizon = self.nodes[other].sequencer.promise().wire;
            self.nodes[index].sequencer.wire_horizon(QAPS[1 - cell], horizon).unwrap();
        }
        let mut actions = Vec::new();
        let promise = self.nodes[index].sequencer.step(&mut actions);
        let acted = !actions.is_empty();
        for action in actions {
            self.carry_out(index, action);
        }
        self.check_balance(index);
        assert!(promise.handled >= before.handled && promise.transmit >= before.transmit);
        acted || worked || promise != before
    }

    fn carry_out(&mut self, index: usize, action: Action) {
        match action {
            Action::Transmit { at, frame } => self.transmit(index, at, &frame),
            Action::Keep { start: _, probe, direction } => {
                let kept = &mut self.nodes[index].kept;
                assert!(!kept.contains(&(probe, direction)), "{probe} was measured twice");
                kept.push((probe, direction));
                if kept.len() > 600 {
                    kept.drain(..200);
                }
            }
            Action::Job { ticket, job } => self.nodes[index].jobs.push((ticket, job)),
            Action::Persist { ticket, records } => {
                self.check_records(index, &records);
                let node = &mut self.nodes[index];
                node.store.persist(&records).unwrap();
                node.sequencer.persisted(ticket).unwrap();
            }
            Action::Wire { to, arrives, message } => {
                let message = WireMessage::parse(&message.emit()).unwrap();
                let from = QAPS[index / 3];
                let other = 3 * QAPS.iter().position(|qap| *qap == to).unwrap();
                self.nodes[other].sequencer.wire(from, arrives, message).unwrap();
            }
            Action::Event { at, event } => self.nodes[index].events.push((at, event)),
            Action::Listen(_) | Action::ListenUntil(_) => {}
        }
    }

    fn transmit(&mut self, from: usize, at: AirTime, frame: &TxFrame) {
        let cell = from / 3;
        let forward = frame.direction == Direction::Forward;
        let c = self.conditions.clone();
        let silent = forward && at >= c.qap_silent_from[cell];
        let control = ControlFrame::parse(&frame.control).ok();
        let dropped = control.is_some_and(|control| (c.drop_control)(&control, frame.direction));
        for to in (3 * cell..3 * cell + 3).filter(|to| *to != from) {
            let draw = |what: u64| [self.seed, what, to as u64, at];
            let delay = 7 + to as AirTime;
            let start = at + delay;
            let loss = if forward { c.forward_loss } else { c.reverse_loss };
            let mut heard = Vec::new();
            let rx = RxFrame {
                start,
                epoch: frame.probe.epoch,
                window: frame.probe.window,
                index: frame.probe.index,
                direction: frame.direction,
                kind: frame.kind,
                sender: frame.sender,
                follow: frame.follow,
                more: frame.more,
                clipped: chance(c.clipped, &draw(1)),
                control: (!frame.control.is_empty() && !chance(c.bad_control, &draw(2)))
                    .then(|| frame.control.clone()),
                cipher_llr: frame.cipher.iter().flat_map(|b| b.iter().map(llr)).collect(),
            };
            if chance(c.forged, &draw(3)) {
                let mut forged = rx.clone();
                match hash(&draw(4)) % 5 {
                    0 => forged.sender ^= 0x4000,
                    1 => forged.epoch.0 ^= 1,
                    2 => forged.index ^= 3,
                    3 => forged.direction = Direction::Forward,
                    _ => heard.push((start - 1, Heard::Bad)),
                }
                forged.start = start - 1;
                if forged != (RxFrame { start: start - 1, ..rx.clone() })
                    && forged.direction == rx.direction
                {
                    heard.push((start - 1, Heard::Frame(forged)));
                }
            }
            if !silent && !dropped && !chance(loss, &draw(5)) {
                if chance(c.doubled, &draw(6)) {
                    let twin = RxFrame { start: start + 2, ..rx.clone() };
                    heard.push((start + 2, Heard::Frame(twin)));
                }
                heard.push((start, Heard::Frame(rx)));
            }
            self.nodes[to].air.extend(heard);
        }
    }

    /// Does the jobs handed out to a role, all of them or those that the schedule gets to. They are done in order.
    fn work(&mut self, index: usize, all: bool) -> bool {
        let mut worked = false;
        while !self.nodes[index].jobs.is_empty() && (all || self.schedule.random_bool(0.7)) {
            let (ticket, job) = self.nodes[index].jobs.remove(0);
            let answered = job.key().is_some();
            match self.do_job(index, Work { ticket, job }) {
                Some(reply) if answered => {
                    self.nodes[index].sequencer.answer(ticket, reply.answer).unwrap();
                }
                reply => assert_eq!(reply.is_some(), answered),
            }
            worked = true;
        }
        worked || !self.nodes[index].jobs.is_empty()
    }

    /// What the quantizer, the desk and the codec do together.
    fn do_job(&mut self, index: usize, work: Work) -> Option<Reply> {
        let done = match &work.job {
            Job::Derive { epoch, window, kept } => {
                let bits = self.channel_key(index, *window, kept);
                let llr = vec![1.0; bits.len()];
                self.nodes[index].desk.pads(work.ticket, (*epoch, *window), bits.into(), llr)
            }
            Job::DropWindow { .. } => Done::Nothing,
            Job::Encrypt { pad, .. } => {
                self.check_pad(index, pad);
                self.nodes[index].desk.work(work)
            }
            _ => self.nodes[index].desk.work(work),
        };
        match done {
            Done::Reply(reply) => Some(reply),
            Done::Encrypt(encryption) => Some(encrypt(encryption)),
            Done::Decrypt(decryption) => {
                let opened = self.decrypt(index, decryption);
                match self.nodes[index].desk.opened(opened).0 {
                    Done::Reply(reply) => Some(reply),
                    other => panic!("{other:?}"),
                }
            }
            Done::Key(reply, key) => {
                self.check_key(index, key);
                Some(reply)
            }
            Done::Nothing => None,
        }
    }

    /// No pad bit masks two things.
    fn check_pad(&mut self, index: usize, pad: &[PadRef]) {
        self.encryptions += 1;
        for place in pad {
            for used in &self.pad_bits_used {
                assert!(used.0 != index || !used.1.overlaps(place), "{place} masks two things");
            }
            self.pad_bits_used.insert((index, *place));
        }
    }

    fn decrypt(&mut self, index: usize, decryption: Decryption) -> Opened {
        let Decryption { ticket, group, received, pad, .. } = decryption;
        let mut word = match received {
            Received::Exact(bits) => bits,
            Received::Soft(llrs) => llrs.iter().map(|llr| *llr < 0.0).collect(),
        };
        word.xor_assign(pad.bits().expose()).unwrap();
        let truth = &self.groups[&group];
        let wrong = codeword(truth, word.len()).hamming_distance(&word).unwrap();
        let ok = wrong as f64 <= CORRECTABLE * word.len() as f64;
        let user = USERS[index / 3];
        let mut bits = truth.clone();
        if index % 3 == 1 && self.conditions.wrong_at.contains(&(user, group)) {
            bits.set(5, !bits[5]);
        }
        if ok && index % 3 == 2 {
            self.cracked += 1;
        }
        let group = ok.then(|| Group { id: group, bits: bits.into() });
        Opened { ticket, group, corrected: wrong as u32, again: None }
    }

    /// A key is released once, and is durable before.
    fn check_key(&mut self, index: usize, key: FinalKey) {
        let node = &mut self.nodes[index];
        let name = key.key;
        assert!(node.keys.insert(name, key.bits).is_none(), "key {name} was released twice");
        let mut records = node.store.history().unwrap().into_iter();
        let recorded =
            records.any(|record| matches!(record, Record::Key { key, .. } if key == name));
        assert!(recorded, "key {name} is released before it is durable");
    }

    /// Channel key: shared random bits at the QAP, with errors at the user, unrelated ones at Eve.
    fn channel_key(&self, index: usize, window: WindowId, kept: &[u16]) -> BitString {
        let cell = (index / 3) as u64;
        let window = u64::from(window.0);
        let spread = (hash(&[self.seed, 40, cell, window]) >> 11) as f64 / (1u64 << 53) as f64;
        let kdr = self.conditions.kdr + self.conditions.kdr_spread * (2.0 * spread - 1.0);
        let bit = |probe: u64, c: u64| {
            let at = |what: u64| [self.seed, what, cell, window, probe, c];
            let shared = hash(&at(41)) & 1 == 1;
            match index % 3 {
                0 => shared,
                1 => shared ^ chance(kdr, &at(42)),
                _ => hash(&at(43)) & 1 == 1,
            }
        };
        kept.iter()
            .flat_map(|probe| (0..BITS_PER_PROBE).map(|c| bit((*probe).into(), c.into())))
            .collect()
    }

    /// A group goes to one pair, ever, at both QAPs.
    fn check_records(&mut self, index: usize, records: &[Record]) {
        for record in records {
            if let Record::Mark { group, mark } = record
                && let Some(pair) = mark.pair()
            {
                let owner = *self.owners.entry(*group).or_insert(pair);
                assert_eq!(owner, pair, "{group} has two owners, seen at {index}");
            }
        }
    }

    fn check_balance(&self, index: usize) {
        match self.nodes[index].sequencer.station() {
            Role::Qap(qap) => {
                let pads = qap.pad_counts();
                assert_eq!(pads.inserted, pads.taken + pads.dropped + pads.free);
            }
            Role::User(user) => {
                let balance = user.balance();
                assert!(balance.holds(), "{balance:?}");
            }
            Role::Eve(_) => {}
        }
    }

    pub fn qap(&self, index: usize) -> &Qap {
        match self.nodes[index].sequencer.station() {
            Role::Qap(qap) => qap,
            other => panic!("{other:?}"),
        }
    }

    pub fn user(&self, index: usize) -> &User {
        match self.nodes[index].sequencer.station() {
            Role::User(user) => user,
            other => panic!("{other:?}"),
        }
    }

    pub fn eve(&self, index: usize) -> &Eve {
        match self.nodes[index].sequencer.station() {
            Role::Eve(eve) => eve,
            other => panic!("{other:?}"),
        }
    }

    pub fn ending(&self, index: usize) -> Option<Ending> {
        self.nodes[index].events.iter().find_map(|(_, event)| match event {
            Event::Finished { ending } => Some(*ending),
            _ => None,
        })
    }

    pub fn count(&self, index: usize, what: fn(&Event) -> bool) -> usize {
        self.nodes[index].events.iter().filter(|(_, event)| what(event)).count()
    }

    /// Keys at both ends are the same, name by name and bit by bit. Returns their number.
    pub fn assert_equal_keys(&self) -> usize {
        let (alice, bob) = (&self.nodes[ALICE].keys, &self.nodes[BOB].keys);
        assert_eq!(alice.keys().collect::<Vec<_>>(), bob.keys().collect::<Vec<_>>());
        for (id, key) in alice {
            assert!(key.ct_eq(&bob[id]), "key {id} differs");
        }
        alice.len()
    }

    pub fn end_air_time(&self) -> f64 {
        let last = self.nodes.iter().filter_map(|node| node.events.last()).map(|(at, _)| *at).max();
        last.unwrap_or(0) as f64 / SAMPLE_RATE_HZ
    }
}

impl Node {
    fn new(role: Role, plan: &Plan, peers: &[QapId], start: AirTime) -> Self {
        let keep = !matches!(role, Role::Eve(_));
        Self {
            sequencer: Sequencer::new(role, plan, peers, start),
            store: MemoryStore::new(),
            desk: Desk::new(4096, plan.config.pad_windows as usize + 16, keep),
            events: Vec::new(),
            keys: BTreeMap::new(),
            air: Vec::new(),
            jobs: Vec::new(),
            kept: Vec::new(),
        }
    }
}

fn llr(bit: bool) -> f32 {
    if bit { -4.0 } else { 4.0 }
}

fn encrypt(encryption: Encryption) -> Reply {
    let Encryption { ticket, group, pad } = encryption;
    let mut ciphertext = codeword(group.bits.expose(), pad.len());
    ciphertext.xor_assign(pad.bits().expose()).unwrap();
    Reply { ticket, answer: Answer::Encrypted { ciphertext } }
}

/// An ideal code: the group and a public function of it.
fn codeword(group: &BitString, len: usize) -> BitString {
    let mut word = group.clone();
    let mut rng = ChaCha8Rng::seed_from_u64(PolyHash64::new(12345).hash(group));
    let more = len.saturating_sub(word.len());
    word.extend_from(&BitString::random(&mut rng as &mut dyn RngCore, more));
    word
}
