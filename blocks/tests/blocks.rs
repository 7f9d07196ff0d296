//! Every block on its own: the same under any split of its input, and it ends when its input does.

use crqkd_air::medium::{AirTime, Promises};
use crqkd_bits::{BitString, PolyHash64, SecretBits, Toeplitz};
use crqkd_blocks::envelope::{holds, pack, unpack};
use crqkd_blocks::messages::*;
use crqkd_blocks::radio::file::{Chunk, FileRadio};
use crqkd_blocks::radio::{RadioError, RadioPort, RadioTx, WireArrival, WireHorizon};
use crqkd_blocks::time_tag::{last_tag, stretches, time_tag};
use crqkd_blocks::transceiver::Tee;
use crqkd_blocks::*;
use crqkd_channel_key::{ChannelKeyConfig, SoftBits};
use crqkd_forwarding::desk::{Desk, Done};
use crqkd_forwarding::*;
use crqkd_keys::{
    Epoch, Group, GroupId, KeyId, MemoryStore, Pad, PadRef, PairId, ProbeId, QapId, Record, UserId,
    WindowId,
};
use crqkd_otp::{OtpCodec, OtpConfig};
use crqkd_sounding::{Estimator, FrameLayout, Header, PayloadShape, SoundingConfig, Synthesizer};
use futuresdr::num_complex::Complex32;
use futuresdr::runtime::__private::KernelInterface;
use futuresdr::runtime::PortId;
use futuresdr::runtime::dev::prelude::*;
use futuresdr::runtime::mocker::{Mocker, Reader, Writer};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::{Arc, Mutex};

const PROBE: ProbeId = ProbeId { epoch: Epoch(3), window: WindowId(7), index: 5 };

fn header(control: usize) -> Header {
    Header {
        epoch: 3,
        window: 7,
        index: 5,
        direction: crqkd_sounding::Direction::Forward,
        sender: 9,
        kind: if control > 0 {
            crqkd_sounding::FrameKind::Control
        } else {
            crqkd_sounding::FrameKind::Probe
        },
        gain: 0,
        follow: true,
        more: false,
        payload: PayloadShape::of(control, 0).expect("short enough"),
    }
}

/// Three stretches of samples with a frame each, as gates of a radio.
fn gates() -> Vec<Chunk> {
    let synthesizer = Synthesizer::new();
    let mut rng = 1u32;
    let mut noise = move || {
        rng = rng.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (rng >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    let mut gate = |time: AirTime, control: &[u8]| {
        let burst = synthesizer.burst(Some(&header(control.len())), control, &[]);
        let burst = burst.expect("a valid header");
        let mut samples: Vec<Complex32> =
            (0..burst.len() + 300).map(|_| Complex32::new(noise(), noise()) * 0.2).collect();
        for (sample, sent) in samples[150..].iter_mut().zip(&burst) {
            *sample += sent;
        }
        Chunk { time, samples }
    };
    vec![gate(1_000, &[]), gate(50_000, b"a message"), gate(90_000, &[])]
}

/// Cuts a stream at the given places; tags stay with their samples.
fn pieces(
    stream: &[Complex32],
    tags: &[ItemTag],
    cuts: &[usize],
) -> Vec<(Vec<Complex32>, Vec<ItemTag>)> {
    let mut cuts: Vec<usize> = cuts.iter().map(|c| c % (stream.len() + 1)).collect();
    cuts.extend([0, stream.len()]);
    cuts.sort_unstable();
    let piece = |w: &[usize]| {
        let inside = tags.iter().filter(|t| (w[0]..w[1]).contains(&t.index));
        let tags = inside.map(|t| ItemTag { index: t.index - w[0], tag: t.tag.clone() });
        (stream[w[0]..w[1]].to_vec(), tags.collect())
    };
    cuts.windows(2).map(piece).collect()
}

fn messages(lists: Vec<Vec<Pmt>>, port: usize) -> Vec<Pmt> {
    lists.into_iter().nth(port).expect("the block has the port")
}

/// What a file radio hands to the transceiver comes out of it in the same pieces of air time.
fn transceive(chunks: Vec<Chunk>, room: usize) -> (Vec<Complex32>, Vec<ItemTag>, usize) {
    let radio = FileRadio::new(chunks.into_iter().map(Ok));
    radio.starter().start();
    let (sender, captures) = async_channel::unbounded();
    let tee = Tee { radio: 1, sender };
    let block = Transceiver::<_, Writer<Complex32>>::new(radio, Some(tee), Hooks::default());
    let mut mocker = Mocker::new(block);
    let (mut samples, mut tags) = (Vec::new(), Vec::new());
    loop {
        mocker.output().reserve(room);
        mocker.run();
        let (some, marks) = mocker.output().take();
        if some.is_empty() {
            break;
        }
        tags.extend(
            marks.into_iter().map(|t| ItemTag { index: t.index + samples.len(), tag: t.tag }),
        );
        samples.extend(some);
    }
    mocker.deinit();
    let captured = std::iter::from_fn(|| captures.try_recv().ok()).map(|c| c.samples.len()).sum();
    (samples, tags, captured)
}

#[test]
fn the_transceiver_keeps_air_time_whatever_the_room() {
    let chunks = gates();
    let expected: Vec<Complex32> = chunks.iter().flat_map(|c| c.samples.clone()).collect();
    let times: Vec<_> = chunks.iter().map(|c| (c.samples.len(), Some(c.time), true)).collect();
    for room in [4_096, 5_000, 1 << 16] {
        let (samples, tags, captured) = transceive(chunks.clone(), room);
        assert!(samples == expected);
        assert_eq!(captured, expected.len());
        let cut = stretches(samples.len(), &tags);
        let seen: Vec<_> = cut.iter().map(|s| (s.range.len(), s.time, s.last)).collect();
        assert_eq!(seen, times, "room {room}");
    }
}

/// Frames and the last progress of what a synchronizer finds.
fn synchronize(
    pieces: Vec<(Vec<Complex32>, Vec<ItemTag>)>,
) -> (Vec<crqkd_sounding::Frame>, AirTime) {
    let block = Synchronizer::<Reader<_>>::new(&SoundingConfig::default(), Hooks::default());
    let mut mocker = Mocker::new(block.expect("the default is valid"));
    let (mut frames, mut progress) = (Vec::new(), 0);
    for (samples, tags) in pieces {
        mocker.input().set_with_tags(samples, tags);
        mocker.run();
    }
    for message in messages(mocker.take_messages(), 0) {
        let found: Detections = unpack(&message).expect("detections");
        assert!(found.progress >= progress);
        assert!(found.frames.iter().all(|f| f.start() >= progress), "progress is a promise");
        progress = found.progress;
        frames.extend(found.frames);
    }
    (frames, progress)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_synchronizer_finds_the_same_under_any_split(cuts in prop::collection::vec(any::<usize>(), 0..12)) {
        let (samples, tags, _) = transceive(gates(), 1 << 16);
        let whole = synchronize(pieces(&samples, &tags, &[]));
        prop_assert_eq!(whole.0.iter().map(|f| f.start()).collect::<Vec<_>>(), [1_150, 50_150, 90_150]);
        prop_assert_eq!(whole.1, 90_000 + gates()[2].samples.len() as AirTime);
        let split = synchronize(pieces(&samples, &tags, &cuts));
        prop_assert!(whole == split);
    }
}

#[test]
fn a_sample_that_is_not_a_number_is_a_fault_with_its_place() {
    let hooks = Hooks::default();
    let config = SoundingConfig::default();
    let block = Synchronizer::<Reader<_>>::new(&config, hooks.of("synchronizer")).unwrap();
    let mut mocker = Mocker::new(block);
    mocker.input().set_with_tags(
        vec![Complex32::ONE, Complex32::new(f32::NAN, 0.0)],
        vec![ItemTag { index: 0, tag: time_tag(70) }, ItemTag { index: 1, tag: last_tag() }],
    );
    let (kernel, mo, meta) = mocker.parts_mut();
    let mut io = WorkIo { call_again: false, finished: false, block_on: None };
    let result = Runtime::block_on(kernel.work(&mut io, mo, meta));
    assert!(result.is_err());
    let fault = hooks.fault().unwrap();
    assert!(fault.text.starts_with("synchronizer: ") && fault.text.contains("71"), "{fault:?}");
}

/// Whether the block ends when its input on this port does.
fn ends<K: Kernel + KernelInterface + 'static>(mocker: &mut Mocker<K>, port: &str) -> bool {
    let (kernel, mo, meta) = mocker.parts_mut();
    let mut io = WorkIo { call_again: false, finished: false, block_on: None };
    let call = kernel.call_handler(&mut io, mo, meta, PortId::new(port), Pmt::Finished);
    Runtime::block_on(call).is_ok() && io.finished
}

/// The messages that a block has posted since the last call, by port.
fn news<K, const N: usize>(mocker: &mut Mocker<K>, seen: &mut [usize; N]) -> [Vec<Pmt>; N]
where
    K: Kernel + KernelInterface + 'static,
{
    mocker.run();
    let mut lists: [Vec<Pmt>; N] = mocker.messages().try_into().expect("as many ports");
    for (list, seen) in lists.iter_mut().zip(seen) {
        let all = list.len();
        list.drain(..*seen);
        *seen = all;
    }
    lists
}

#[test]
fn the_channel_estimator_reads_frames_in_any_batches() {
    let (samples, tags, _) = transceive(gates(), 1 << 16);
    let (frames, progress) = synchronize(pieces(&samples, &tags, &[]));
    let measure = |batches: Vec<Vec<crqkd_sounding::Frame>>| {
        let config = SoundingConfig::default();
        let mut mocker = Mocker::new(ChannelEstimator::new(&config, Hooks::default()).unwrap());
        for frames in batches {
            mocker.post("frames", pack(Detections { frames, progress })).unwrap();
        }
        mocker.run();
        let out = messages(mocker.take_messages(), 0);
        let lists = out.iter().map(|m| unpack::<Measurements>(m).unwrap());
        let measured: Vec<_> = lists.flat_map(|m| m.list).map(|m| (m.estimate, m.frame)).collect();
        assert!(ends(&mut mocker, "frames"));
        measured
    };
    let together = measure(vec![frames.clone()]);
    let apart = measure(frames.iter().map(|f| vec![f.clone()]).collect());
    assert!(together == apart);
    let read: Vec<_> = together.iter().map(|m| m.1.clone().unwrap()).collect();
    assert_eq!(read[1].control.as_deref(), Some(&b"a message"[..]));
    assert_eq!((read[1].kind, read[0].kind), (FrameKind::Control, FrameKind::Probe));
    assert_eq!((read[0].probe(), read[0].sender, read[0].follow), (PROBE, 9, true));
    assert!(read.iter().all(|f| !f.clipped && f.direction == Direction::Forward));
}

/// A patient channel estimator tells what an eager one tells, at the end at the latest.
#[test]
fn measurements_may_be_late_and_none_is_lost() {
    let (samples, tags, _) = transceive(gates(), 1 << 16);
    let (frames, progress) = synchronize(pieces(&samples, &tags, &[]));
    let run = |patience: AirTime| {
        let block = ChannelEstimator::new(&SoundingConfig::default(), Hooks::default()).unwrap();
        let mut mocker = Mocker::new(block.with_patience(patience));
        for frame in &frames {
            let detections = Detections { frames: vec![frame.clone()], progress };
            mocker.post("frames", pack(detections)).unwrap();
        }
        mocker.run();
        assert!(ends(&mut mocker, "frames"));
        mocker.run();
        let lists = messages(mocker.take_messages(), 0);
        let told = lists.len();
        let lists = lists.iter().map(|m| unpack::<Measurements>(m).unwrap().list);
        (told, lists.flatten().map(|m| (m.estimate, m.frame)).collect::<Vec<_>>())
    };
    let (eager, patient) = (run(0), run(1 << 30));
    assert_eq!((eager.0, eager.1.len(), patient.0), (3, 3, 1));
    assert!(eager.1 == patient.1);
}

/// Notes what a radio is told.
#[derive(Clone, Default)]
struct Note(Arc<Mutex<Vec<String>>>);

impl Note {
    fn put(&self, line: String) -> Result<(), RadioError> {
        self.0.lock().expect("no panic").push(line);
        Ok(())
    }
}

impl RadioPort<WireMessage> for Note {
    fn send_at(&self, time: AirTime, burst: Vec<Complex32>) -> Result<(), RadioError> {
        self.put(format!("burst {time} {}", burst.len()))
    }
    fn promise(&self, p: Promises) -> Result<(), RadioError> {
        self.put(format!("promise {} {} {}", p.transmit, p.wire, p.listen))
    }
    fn listen(&self, from: AirTime, to: AirTime) -> Result<(), RadioError> {
        self.put(format!("listen {from} {to}"))
    }
    fn listen_until(&self, at: AirTime) -> Result<(), RadioError> {
        self.put(format!("until {at}"))
    }
    fn wire(&self, to: u16, arrival: AirTime, _message: WireMessage) -> Result<(), RadioError> {
        self.put(format!("wire {to} {arrival}"))
    }
    fn leave(&self) {
        self.put("leave".into()).expect("it never fails");
    }
}

fn tx_frame(control: &[u8], cipher: Option<BitString>) -> TxFrame {
    TxFrame {
        kind: FrameKind::Control,
        direction: Direction::Reverse,
        probe: PROBE,
        sender: 9,
        follow: false,
        more: true,
        control: control.to_vec(),
        cipher,
    }
}

#[test]
fn the_sounder_carries_out_orders_in_order_and_promises_behind_them() {
    let note = Note::default();
    let layout = FrameLayout::default();
    let sounder = Sounder::new(layout, RadioTx::new(note.clone()), Hooks::default());
    let mut mocker = Mocker::new(sounder);
    let promises = Promises { transmit: 7, wire: 8, listen: 9 };
    let cipher = Some(BitString::with_len(256));
    let list = vec![
        Order::Listen { from: 10, to: 20 },
        Order::Transmit { at: 30, frame: tx_frame(b"", None) },
        Order::ListenUntil(40),
        Order::Transmit { at: 50, frame: tx_frame(b"abc", cipher) },
    ];
    mocker.post("orders", pack(Orders { list, promises, leave: false })).unwrap();
    mocker.post("orders", pack(Orders { list: vec![], promises, leave: true })).unwrap();
    assert_eq!(
        *note.0.lock().unwrap(),
        [
            "listen 10 20",
            "burst 30 3903",
            "until 40",
            "burst 50 4863",
            "promise 7 8 9",
            "promise 7 8 9",
            "leave"
        ]
    );
    assert!(mocker.post("orders", Pmt::Usize(1)).is_err());
    assert!(ends(&mut mocker, "orders"));
}

fn probe_data(index: u16) -> ProbeData {
    let chunk = gates().swap_remove(0);
    let mut frames = Vec::new();
    let mut synchronizer =
        crqkd_sounding::Synchronizer::new(&SoundingConfig::default()).expect("valid");
    synchronizer.process(0, &chunk.samples, &mut frames).expect("finite");
    synchronizer.flush(&mut frames);
    let mut estimate = Estimator::new().estimate(&frames[0]);
    for (c, csi) in estimate.csi.iter_mut().enumerate() {
        *csi *= 1.0 + ((usize::from(index) * 7 + c) % 13) as f32;
    }
    ProbeData { probe: ProbeId { index, ..PROBE }, direction: Direction::Forward, estimate }
}

#[test]
fn the_quantizer_does_its_own_work_and_passes_the_rest_on() {
    let view = View::End(Direction::Forward);
    let config = ChannelKeyConfig::default();
    let mut mocker = Mocker::new(Quantizer::new(&config, view, true, Hooks::default()).unwrap());
    let one = probe_data(0);
    for index in 0..20 {
        let probe = ProbeId { index, ..PROBE };
        let mut data = ProbeData { probe, ..one.clone() };
        data.estimate.csi.iter_mut().for_each(|h| *h *= 1.0 + f32::from(index * 7 % 13));
        mocker.post("tasks", pack(data)).unwrap();
    }
    let (epoch, window) = (PROBE.epoch, PROBE.window);
    let derive = |kept: Vec<u16>| Job::Derive { epoch, window, kept };
    let mut work = |ticket, job| {
        mocker.post("tasks", pack(Work { ticket: Ticket(ticket), job })).unwrap();
    };
    work(1, Job::Wipe { groups: vec![] });
    work(2, derive((0..16).collect()));
    work(3, derive((0..16).collect())); // the measurements are gone
    work(4, Job::DropWindow { epoch, window });
    mocker.run();
    let lists = mocker.take_messages();
    let tasks = &lists[0];
    assert_eq!(unpack::<Work>(&tasks[0]).unwrap().ticket, Ticket(1));
    let pads: Pads = unpack(&tasks[1]).unwrap();
    assert_eq!((pads.ticket, pads.soft.len()), (Ticket(2), 64));
    let reply: Reply = unpack(&tasks[2]).unwrap();
    assert!(matches!(reply.answer, Answer::Failed { reason } if reason.contains("16 of 16")));
    assert_eq!(tasks.len(), 3);
    let shown: WindowBits = unpack(&lists[1][0]).unwrap();
    assert!(shown.soft.bits.ct_eq(&pads.soft.bits));
    assert!(ends(&mut mocker, "tasks"));
}

fn group(id: u64) -> Group {
    let mut rng = ChaCha8Rng::seed_from_u64(id);
    Group { id: GroupId(id), bits: SecretBits::random(&mut rng, 96) }
}

fn codec() -> OtpCodec {
    OtpCodec::new(OtpConfig { n: 256, k: 96, list_size: 2, ..Default::default() }).expect("valid")
}

fn pad_ref(start: u32) -> PadRef {
    PadRef { epoch: PROBE.epoch, window: PROBE.window, start, len: 256 }
}

fn pads(ticket: u64) -> Pads {
    let bits = SecretBits::random(&mut ChaCha8Rng::seed_from_u64(77), 512);
    let llr = bits.expose().iter().map(|b| if b { -2.0 } else { 2.0 }).collect::<Vec<f32>>();
    let soft = crqkd_channel_key::SoftBits { bits, llr: zeroize::Zeroizing::new(llr) };
    Pads { ticket: Ticket(ticket), epoch: PROBE.epoch, window: PROBE.window, soft }
}

/// A group goes from the key buffer of one station through its codec and the other's codec into the
/// key buffer of the other station, and becomes a key there.
#[test]
fn a_group_goes_from_key_buffer_to_key_buffer() {
    let buffer = || {
        let mut mocker =
            Mocker::new(KeyBuffer::new(Desk::new(10, 10, true), true, Hooks::default()));
        mocker.post("tasks", pack(pads(1))).unwrap();
        mocker
    };
    let otp = || Mocker::new(PolarOtp::new(codec(), Hooks::default()));
    let (mut here, mut there, mut otp_here, mut otp_there) = (buffer(), buffer(), otp(), otp());
    let begin = Begin { supply: vec![(5, vec![group(2)])], requests: vec![(6, UserId(1), 1)] };
    here.post("begin", pack(begin)).unwrap();
    let job = Job::Encrypt { group: GroupId(2), attempt: 0, pad: vec![pad_ref(0)] };
    here.post("tasks", pack(Work { ticket: Ticket(2), job: job.clone() })).unwrap();
    here.post("tasks", pack(Work { ticket: Ticket(3), job })).unwrap(); // the pad is spent
    let [codec_port, answers, keys, referee] = news(&mut here, &mut [0; 4]);
    assert!(keys.is_empty() && referee.is_empty());
    let derived: Reply = unpack(&answers[0]).unwrap();
    assert_eq!(derived.answer, Answer::Derived { bits: 512 });
    let began: Began = unpack(&answers[1]).unwrap();
    assert_eq!(began.supply, [(5, vec![GroupId(2)])]);
    assert!(matches!(unpack::<Reply>(&answers[2]).unwrap().answer, Answer::Failed { .. }));

    otp_here.post("codec", codec_port[0].clone()).unwrap();
    otp_here.run();
    let reply: Reply = unpack(&messages(otp_here.take_messages(), 0)[0]).unwrap();
    let Answer::Encrypted { ciphertext } = reply.answer else { unreachable!("{reply:?}") };

    let received = crqkd_otp::Received::Exact(ciphertext);
    let job = Job::Decrypt { group: GroupId(2), attempt: 0, pad: vec![pad_ref(0)], received };
    there.post("tasks", pack(Work { ticket: Ticket(4), job })).unwrap();
    let mut seen = [0; 4];
    let [codec_port, answers, ..] = news(&mut there, &mut seen);
    assert_eq!(answers.len(), 1);
    assert!(holds::<Decryption>(&codec_port[0]));
    otp_there.post("codec", codec_port[0].clone()).unwrap();
    otp_there.run();
    there.post("results", messages(otp_there.take_messages(), 0)[0].clone()).unwrap();

    let groups = vec![GroupId(2)];
    let job = Job::TagBlock { block: 0, groups: groups.clone(), hash_key: 99 };
    there.post("tasks", pack(Work { ticket: Ticket(5), job })).unwrap();
    let pair = PairId { a: UserId(1), b: UserId(2) };
    let seed = BlockSeed {
        hash_key: 99,
        toeplitz: BitString::random(&mut ChaCha8Rng::seed_from_u64(3), 96 + 40 - 1),
    };
    let job = Job::Release {
        key: KeyId::of(pair, Epoch(3), 0, &[]),
        pair,
        block: 0,
        groups: groups.clone(),
        seed: seed.clone(),
        len: 40,
    };
    there.post("tasks", pack(Work { ticket: Ticket(6), job })).unwrap();
    let [_, answers, keys, referee] = news(&mut there, &mut seen);
    let answer = |i: usize| unpack::<Reply>(&answers[i]).unwrap().answer;
    assert_eq!(answer(0), Answer::Decrypted { ok: true, corrected: 0 });
    let tag = PolyHash64::new(99).hash(group(2).bits.expose());
    assert_eq!(answer(1), Answer::Tagged { tag });
    let key: FinalKey = unpack(&keys[0]).unwrap();
    let toeplitz = Toeplitz::new(seed.toeplitz, 96, 40).unwrap();
    assert!(key.bits.ct_eq(&toeplitz.hash_secret(&group(2).bits).unwrap()));
    assert_eq!(answer(2), Answer::Released { fingerprint: key.bits.fingerprint() });
    assert!(there.desk().buffer().is_empty(), "the groups of a key are wiped");
    let opened: OpenedGroup = unpack(&referee[0]).unwrap();
    assert!(opened.group.bits.ct_eq(&group(2).bits));
    assert!(ends(&mut here, "tasks") && ends(&mut otp_here, "codec"));
}

#[test]
fn a_ciphertext_under_another_pad_is_not_opened() {
    let mut mocker = Mocker::new(PolarOtp::new(codec(), Hooks::default()));
    let pad = |seed| {
        let bits = SecretBits::random(&mut ChaCha8Rng::seed_from_u64(seed), 256);
        Pad::uniform(vec![], bits, 1.0)
    };
    let ticket = Ticket(1);
    mocker.post("codec", pack(Encryption { ticket, group: group(2), pad: pad(1) })).unwrap();
    mocker.run();
    let reply: Reply = unpack(&messages(mocker.take_messages(), 0)[0]).unwrap();
    let Answer::Encrypted { ciphertext } = reply.answer else { unreachable!("{reply:?}") };
    let received = crqkd_otp::Received::Exact(ciphertext);
    let work = Decryption { ticket, group: GroupId(2), received, pad: pad(2), earlier: None };
    let mut mocker = Mocker::new(PolarOtp::new(codec(), Hooks::default()));
    mocker.post("codec", pack(work)).unwrap();
    mocker.run();
    let opened: Opened = unpack(&messages(mocker.take_messages(), 0)[0]).unwrap();
    assert!(opened.group.is_none());
    assert_eq!(opened.again.unwrap().count(), 1);
}

/// Pads of which a quarter differs are not opened one by one, and are when their attempts add up. The desk keeps what is
/// left of an attempt for the next one, and wipes it with the group.
#[test]
fn attempts_at_a_group_add_up_until_it_is_opened_or_given_up() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let here = codec();
    let mut otp = Mocker::new(PolarOtp::new(codec(), Hooks::default()));
    let mut desk = Desk::new(10, 10, true);
    let mut seen = [0];
    // How many attempts were handed in with this one, and the answer.
    let mut attempt = |desk: &mut Desk, number: u32| -> (usize, Answer) {
        let pad = SecretBits::random(&mut rng, 256);
        let own: BitString =
            pad.expose().iter().map(|bit| bit ^ rand::Rng::random_bool(&mut rng, 0.25)).collect();
        let sent = here.encrypt(&group(2), Pad::uniform(vec![], pad, 1.0)).unwrap();
        let (ticket, epoch, window) = (Ticket(number.into()), Epoch(3), WindowId(number));
        let soft = SoftBits { bits: own.into(), llr: vec![0.5; 256].into() };
        let (bits, llr) = soft.into_parts();
        desk.pads(ticket, (epoch, window), bits, llr);
        let pad = vec![PadRef { epoch, window, start: 0, len: 256 }];
        let job =
            Job::Decrypt { group: GroupId(2), attempt: number as u8, pad, received: sent.into() };
        let Done::Decrypt(work) = desk.work(Work { ticket, job }) else { unreachable!() };
        let earlier = work.earlier.as_ref().map_or(0, crqkd_otp::Attempts::count);
        otp.post("codec", pack(work)).unwrap();
        let [results] = news(&mut otp, &mut seen);
        let opened: Opened = unpack(&results[0]).unwrap();
        let (Done::Reply(reply), _) = desk.opened(opened) else { unreachable!() };
        (earlier, reply.answer)
    };
    let failed = Answer::Decrypted { ok: false, corrected: 0 };
    assert_eq!(attempt(&mut desk, 0), (0, failed.clone()));
    assert_eq!(attempt(&mut desk, 1).0, 1);
    desk.work(Work { ticket: Ticket(9), job: Job::Wipe { groups: vec![GroupId(2)] } });
    assert_eq!(attempt(&mut desk, 2), (0, failed));
    let opened = (3..9).find(|&number| {
        let (earlier, answer) = attempt(&mut desk, number);
        assert_eq!(earlier, number as usize - 2);
        matches!(answer, Answer::Decrypted { ok: true, corrected } if corrected > 40)
    });
    assert!(opened.is_some_and(|number| number > 3), "{opened:?}");
}

/// A station that does a bit of everything at known times, to watch the block around it.
#[derive(Debug)]
struct Scripted {
    asked: bool,
    finished: bool,
}

impl Station for Scripted {
    fn handle(&mut self, now: AirTime, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Start => {
                let records = vec![Record::Epoch { epoch: Epoch(3) }];
                out.push(Output::Persist { number: 1, records });
                out.push(Output::Listen(Listen { from: 25_000, last_start: 90_500, to: 99_000 }));
            }
            Input::Persisted(1) => {
                out.push(Output::Transmit { at: now + 20_000, frame: tx_frame(b"", None) });
            }
            Input::Frame(f) => {
                let direction = f.direction;
                out.push(Output::Keep { start: f.start, probe: f.probe(), direction });
                if !self.asked {
                    self.asked = true;
                    out.push(Output::Job(Job::TagBlock { block: 4, groups: vec![], hash_key: 1 }));
                }
            }
            Input::Answer { answer: Answer::Tagged { tag: 6 }, .. } => {
                out.push(Output::Event(Event::Finished { ending: Ending::Done }));
                self.finished = true;
            }
            other => unreachable!("{other:?}"),
        }
    }
    fn next_timer(&self) -> Option<AirTime> {
        None
    }
    fn advance(&mut self, _now: AirTime, _out: &mut Vec<Output>) {}
    fn promise(&self, progress: AirTime) -> AirTime {
        progress.saturating_add(20_000)
    }
    fn finished(&self) -> bool {
        self.finished
    }
}

fn plan() -> Plan {
    let config = ForwardingConfig { turnaround_ms: 1.0, job_latency_ms: 1.0, ..Default::default() };
    let frames = FrameLimits {
        probe_samples: 3_903,
        control_samples: 15_423,
        control_bytes: 534,
        cipher_bits: 0,
    };
    Plan::new(config, frames).expect("valid")
}

fn frame(start: AirTime) -> Measurement {
    let mut estimate = probe_data(0).estimate;
    estimate.start = start;
    let frame = RxFrame {
        start,
        epoch: PROBE.epoch,
        window: PROBE.window,
        index: PROBE.index,
        direction: Direction::Forward,
        kind: FrameKind::Probe,
        sender: 9,
        follow: false,
        more: false,
        clipped: false,
        control: None,
        cipher_llr: vec![],
    };
    Measurement { estimate, header: Some(header(0)), frame: Some(frame), odd_tone: None }
}

#[test]
fn the_protocol_block_starts_when_told_and_leaves_when_it_has_finished() {
    let station = Scripted { asked: false, finished: false };
    let sequencer = Sequencer::new(station, &plan(), &[QapId(2)], 0);
    let store = Box::new(MemoryStore::new());
    let mut mocker = Mocker::new(Protocol::new(sequencer, store, true, Hooks::default()));
    let mut seen = [0; 4];
    let mut step = |port: &str, message: Pmt| -> [Vec<Pmt>; 4] {
        mocker.post(port, message).unwrap();
        news(&mut mocker, &mut seen)
    };
    // Nothing happens before the beginning, everything that is known happens then.
    let horizon = WireHorizon { from: 2, until: 80_000 };
    assert!(step("wire", pack(horizon)).iter().all(Vec::is_empty));
    let [orders, tasks, events, _] = step("answers", pack(Began::default()));
    assert!(tasks.is_empty() && events.is_empty());
    let first: Orders = unpack(&orders[0]).unwrap();
    let lists: Vec<String> = first.list.iter().map(|o| format!("{o:?}")[..8].to_owned()).collect();
    assert_eq!(lists, ["Listen {", "Transmit"], "persisting is answered at once");
    assert_eq!(first.promises.transmit, 25_000 + 20_000, "up to the gate");
    assert!(!first.leave);

    let list = vec![frame(30_000), frame(40_000)];
    let [orders, tasks, _, seen] =
        step("measurements", pack(Measurements { list, progress: 45_000 }));
    assert!(holds::<ProbeData>(&tasks[0]), "a measurement comes before work on it");
    assert_eq!(unpack::<ProbeData>(&tasks[0]).unwrap().estimate.start, 30_000);
    let work: Work = unpack(&tasks[1]).unwrap();
    assert_eq!(seen.len(), 2);
    let second: Orders = unpack(&orders[0]).unwrap();
    assert_eq!(second.promises.transmit, 65_000);

    let reply = Reply { ticket: work.ticket, answer: Answer::Tagged { tag: 6 } };
    let _ = step("answers", pack(reply));
    let [orders, _, events, _] =
        step("measurements", pack(Measurements { list: vec![], progress: 60_000 }));
    let events: Vec<TimedEvent> = events.iter().map(|m| unpack(m).unwrap()).collect();
    assert_eq!(events[0].at, 50_000, "when the work is due");
    let last: Orders = unpack(orders.last().unwrap()).unwrap();
    assert!(last.leave);
    assert_eq!(last.promises, Promises::SILENT);
    assert!(ends(&mut mocker, "measurements"));
}

#[test]
fn input_that_comes_too_late_is_a_fault() {
    let station = Scripted { asked: false, finished: false };
    let sequencer = Sequencer::new(station, &plan(), &[], 0);
    let hooks = Hooks::default();
    let store = Box::new(MemoryStore::new());
    let mut mocker = Mocker::new(Protocol::new(sequencer, store, false, hooks.of("protocol")));
    mocker.post("answers", pack(Began::default())).unwrap();
    let message = Measurements { list: vec![], progress: 50_000 };
    mocker.post("measurements", pack(message)).unwrap();
    let message = Measurements { list: vec![frame(20_000)], progress: 60_000 };
    assert!(mocker.post("measurements", pack(message)).is_err());
    assert!(hooks.fault().unwrap().text.contains("20000"), "{:?}", hooks.fault());
    let stranger = WireArrival { time: 0, from: 5, message: () };
    assert!(mocker.post("wire", pack(stranger)).is_err());
}

#[test]
fn a_tap_hands_out_what_it_is_given_and_does_not_mind_being_ignored() {
    let (sender, receiver) = async_channel::unbounded();
    let mut mocker = Mocker::new(Tap::new(sender, |n: u32| n + 1, Hooks::default()));
    mocker.post("in", pack(6u32)).unwrap();
    assert_eq!(receiver.try_recv(), Ok(7));
    drop(receiver);
    mocker.post("in", pack(6u32)).unwrap();
    assert!(mocker.post("in", pack("a string")).is_err());
    assert!(ends(&mut mocker, "in"));
}
