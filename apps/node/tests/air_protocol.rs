//! The air protocol against hostile bytes, and a server against hostile clients.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use crqkd_air::RESPONSE_SAMPLES;
use crqkd_air::medium::{AirTime, Promises, RadioKind, Transmission};
use crqkd_blocks::radio::air::{Propagation, VirtualAir};
use crqkd_blocks::radio::{Radio, RadioError, Reception};
use crqkd_node::air::protocol::{
    Emitter, FromRadio, FromServer, Hello, MAX_HELLO_BYTES, MAX_MESSAGE_BYTES, VERSION,
    read_message,
};
use crqkd_node::air::{Address, AirClient, AirServer, Part, Place, RunId, ServeOptions, WireBytes};
use crqkd_node::stop;
use futuresdr::num_complex::Complex32;
use futuresdr::prelude::Runtime;
use proptest::prelude::*;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn samples() -> impl Strategy<Value = Vec<Complex32>> {
    let sample = (-9.0f32..9.0, -9.0f32..9.0).prop_map(|(re, im)| Complex32::new(re, im));
    prop::collection::vec(sample, 1..40)
}

fn from_radio() -> impl Strategy<Value = FromRadio> {
    let part = prop_oneof![Just(Part::Whole), Just(Part::Samples), Just(Part::Wire)];
    let run =
        (any::<u64>(), any::<[u8; 32]>()).prop_map(|(seed, scenario)| RunId { seed, scenario });
    let hello = (any::<u16>(), part, any::<u16>(), prop::option::of(run));
    let promises = (any::<AirTime>(), any::<AirTime>(), any::<AirTime>());
    let wire = (any::<u16>(), any::<AirTime>(), prop::collection::vec(any::<u8>(), 0..90));
    prop_oneof![
        hello.prop_map(|(version, part, radio, run)| {
            FromRadio::Hello(Hello { version, part, radio, run })
        }),
        (any::<AirTime>(), samples())
            .prop_map(|(start, samples)| FromRadio::Transmit { start, samples }),
        promises.prop_map(|(transmit, wire, listen)| {
            FromRadio::Promise(Promises { transmit, wire, listen })
        }),
        (any::<AirTime>(), any::<AirTime>()).prop_map(|(from, to)| FromRadio::Listen { from, to }),
        any::<AirTime>().prop_map(FromRadio::ListenUntil),
        wire.prop_map(|(to, arrival, bytes)| FromRadio::Wire { to, arrival, bytes }),
        Just(FromRadio::Leave),
    ]
}

fn from_server() -> impl Strategy<Value = FromServer> {
    let wired = (any::<u16>(), any::<AirTime>(), prop::collection::vec(any::<u8>(), 0..90));
    prop_oneof![
        (any::<u16>(), any::<bool>())
            .prop_map(|(version, receiver)| FromServer::Welcome { version, receiver }),
        ".{0,50}".prop_map(FromServer::Refused),
        (any::<AirTime>(), any::<bool>(), samples())
            .prop_map(|(time, last, samples)| FromServer::Samples { time, last, samples }),
        wired.prop_map(|(from, arrival, bytes)| FromServer::Wired { from, arrival, bytes }),
        (any::<u16>(), any::<AirTime>())
            .prop_map(|(from, until)| FromServer::WireHorizon { from, until }),
        Just(FromServer::End),
        ".{0,50}".prop_map(FromServer::Failed),
        ".{0,50}".prop_map(FromServer::NotYet),
    ]
}

proptest! {
    #[test]
    fn what_is_said_is_understood(radio in from_radio(), server in from_server()) {
        let (mut emitter, mut buffer) = (Emitter::default(), Vec::new());
        let bytes = emitter.radio(&radio).to_vec();
        prop_assert!(read_message(&mut &bytes[..], &mut buffer, MAX_MESSAGE_BYTES).unwrap());
        prop_assert_eq!(FromRadio::parse(&buffer), Ok(radio));
        let bytes = emitter.server(&server).to_vec();
        prop_assert!(read_message(&mut &bytes[..], &mut buffer, MAX_MESSAGE_BYTES).unwrap());
        prop_assert_eq!(FromServer::parse(&buffer), Ok(server));
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = FromRadio::parse(&bytes);
        let _ = FromServer::parse(&bytes);
        let mut buffer = Vec::new();
        let _ = read_message(&mut &bytes[..], &mut buffer, MAX_MESSAGE_BYTES);
        prop_assert!(buffer.capacity() <= MAX_MESSAGE_BYTES, "{}", buffer.capacity());
    }

    #[test]
    fn a_damaged_message_is_a_message_or_an_error(
        radio in from_radio(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Emitter::default().radio(&radio)[4..].to_vec();
        let place = at.index(bytes.len());
        bytes[place] = byte;
        let _ = FromRadio::parse(&bytes);
        let _ = FromRadio::parse(&bytes[..cut.index(bytes.len())]);
    }
}

#[test]
fn a_length_beyond_the_limit_takes_no_memory() {
    let mut buffer = Vec::new();
    let bytes = [255, 255, 255, 255, 2, 0, 0];
    let error = read_message(&mut &bytes[..], &mut buffer, MAX_MESSAGE_BYTES).unwrap_err();
    assert!(error.to_string().contains("4294967295 bytes"), "{error}");
    assert_eq!(buffer.capacity(), 0);
}

/// Silence.
struct Quiet;

impl Propagation for Quiet {
    fn receive(
        &mut self,
        _: AirTime,
        _: &[Transmission],
        out: &mut [Complex32],
    ) -> Result<(), RadioError> {
        out.fill(Complex32::ZERO);
        Ok(())
    }
}

/// An air with an access point and a user, without wires, served until dropped.
struct Served {
    address: Address,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Served {
    fn new() -> Self {
        Served::with_runs(1)
    }

    fn with_runs(runs: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address: Address = dir.path().join("air").display().to_string().parse().unwrap();
        let server = AirServer::bind(&address, ServeOptions::default(), |_| {}).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = Some(std::thread::spawn(move || {
            for left in (0..runs).rev() {
                server.run(two_places(), left > 0, || stopped.load(Ordering::SeqCst));
            }
        }));
        Served { address, stop, thread, _dir: dir }
    }

    fn say(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = self.address.connect(Duration::from_secs(5)).unwrap();
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    fn hello(radio: u16) -> Vec<u8> {
        let hello = Hello { version: VERSION, part: Part::Whole, radio, run: None };
        Emitter::default().radio(&FromRadio::Hello(hello)).to_vec()
    }
}

/// Radios 1 and 101 of one cell on a new air.
fn two_places() -> Vec<Place> {
    let air = VirtualAir::<WireBytes>::new(RESPONSE_SAMPLES);
    let place = |number| {
        let radio = air.join(0, number, RadioKind::Transceiver, Box::new(Quiet));
        let tx = radio.handle();
        let name = format!("radio {number}");
        let radio = Box::new(radio);
        Place { number, name, cell: 0, receiver: false, wired: false, tx, radio }
    };
    vec![place(1), place(101)]
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn answer(bytes: &[u8]) -> Vec<FromServer> {
    let (mut bytes, mut buffer, mut all) = (bytes, Vec::new(), Vec::new());
    while read_message(&mut bytes, &mut buffer, MAX_MESSAGE_BYTES).unwrap_or(false) {
        all.push(FromServer::parse(&buffer).unwrap());
    }
    all
}

#[test]
fn nonsense_instead_of_a_hello_is_refused_and_the_air_goes_on() {
    let served = Served::new();
    let long = (MAX_HELLO_BYTES as u32 + 1).to_le_bytes();
    let leave = Emitter::default().radio(&FromRadio::Leave).to_vec();
    for bytes in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[1, 0, 0, 0, 99], &long, &leave, &Served::hello(7)]
    {
        let said = answer(&served.say(bytes));
        assert!(matches!(&said[..], [FromServer::Refused(_)]), "{bytes:?}: {said:?}");
    }
    let radio = AirClient::join(&served.address, 1, Part::Whole, None).unwrap();
    let taken = AirClient::join(&served.address, 1, Part::Whole, None).err().unwrap();
    assert!(
        taken.is_device() && taken.to_string().ends_with("the place of radio 1 is taken"),
        "{taken}"
    );
    drop(radio);
}

#[test]
fn a_client_that_breaks_the_rules_is_told_and_has_left_the_air() {
    let served = Served::new();
    let mut bytes = Served::hello(1);
    let mut emitter = Emitter::default();
    let promise = Promises { transmit: 1_000, ..Promises::default() };
    bytes.extend(emitter.radio(&FromRadio::Promise(promise)));
    let late = FromRadio::Transmit { start: 999, samples: vec![Complex32::ONE; 3] };
    bytes.extend(emitter.radio(&late));
    let said = answer(&served.say(&bytes));
    let [FromServer::Welcome { .. }, FromServer::Failed(reason)] = &said[..] else {
        panic!("{said:?}")
    };
    assert!(reason.contains("burst at 999 comes after the promise"), "{reason}");
    // The other radio is not held up.
    let mut user = AirClient::join(&served.address, 101, Part::Whole, None).unwrap();
    let tx = user.handle();
    tx.listen(50_000, 50_010).unwrap();
    tx.promise(Promises::SILENT).unwrap();
    let mut room = [Complex32::ZERO; 64];
    let received = loop {
        match user.try_recv(&mut room).unwrap() {
            Reception::Wait(ready) => Runtime::block_on(ready),
            Reception::Samples { time, len, last } => break (time, len, last),
            _ => panic!("no samples"),
        }
    };
    assert_eq!(received, (50_000, 10, true));
}

#[test]
fn whoever_listens_to_an_empty_cell_is_told_after_ten_seconds_of_air() {
    let served = Served::new();
    let mut bytes = Served::hello(1);
    bytes.extend(Emitter::default().radio(&FromRadio::Leave));
    assert!(matches!(&answer(&served.say(&bytes))[..], [FromServer::Welcome { .. }, ..]));
    let mut user = AirClient::join(&served.address, 101, Part::Whole, None).unwrap();
    let tx = user.handle();
    tx.listen(0, 1_000_000_000).unwrap();
    tx.promise(Promises::SILENT).unwrap();
    let (mut room, mut heard) = (vec![Complex32::ZERO; 1 << 16], 0);
    let error = loop {
        match user.try_recv(&mut room) {
            Ok(Reception::Wait(ready)) => Runtime::block_on(ready),
            Ok(Reception::Samples { time, len, .. }) => heard = time + len as u64,
            Ok(_) => panic!("no samples"),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("nobody is left in its cell"), "{error}");
    assert!((200_000_000..201_000_000).contains(&heard), "{heard}");
}

#[test]
fn a_server_that_goes_away_is_a_device_that_failed() {
    let served = Served::new();
    let mut radio = AirClient::join(&served.address, 1, Part::Whole, None).unwrap();
    served.stop.store(true, Ordering::SeqCst);
    let mut room = [Complex32::ZERO; 64];
    loop {
        match radio.try_recv(&mut room) {
            Ok(Reception::Wait(ready)) => Runtime::block_on(ready),
            Ok(Reception::End) => break,
            Ok(_) => panic!("nothing was to be received"),
            Err(error) => {
                assert!(error.is_device(), "{error}");
                break;
            }
        }
    }
}

/// After Ctrl-C a process has [`stop::GRACE`] to write its report; a client that never reads takes none of it.
#[test]
fn a_server_that_is_stopped_does_not_wait_for_a_client_that_does_not_read() {
    let served = Served::new();
    let mut bytes = Served::hello(1);
    bytes.extend(Emitter::default().radio(&FromRadio::Leave));
    served.say(&bytes);
    let mut client = served.address.connect(Duration::from_secs(5)).unwrap();
    let mut bytes = Served::hello(101);
    bytes.extend(Emitter::default().radio(&FromRadio::Listen { from: 0, to: 1_000_000_000 }));
    bytes.extend(Emitter::default().radio(&FromRadio::Promise(Promises::SILENT)));
    client.write_all(&bytes).unwrap();
    // Its pump fills the connection and stands still.
    std::thread::sleep(Duration::from_millis(300));
    let begin = Instant::now();
    drop(served);
    assert!(begin.elapsed() < stop::GRACE, "{:?}", begin.elapsed());
}

/// Whatever else lies at the path is the user's.
#[test]
fn only_a_socket_on_which_nobody_answers_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let bind = |path: &std::path::Path| {
        let address: Address = path.display().to_string().parse().unwrap();
        AirServer::bind(&address, ServeOptions::default(), |_| {})
    };
    std::fs::write(path("notes.txt"), "mine").unwrap();
    std::os::unix::fs::symlink(path("notes.txt"), path("link")).unwrap();
    std::fs::create_dir(path("folder")).unwrap();
    for name in ["notes.txt", "link", "folder"] {
        let error = bind(&path(name)).err().unwrap();
        assert!(error.to_string().contains("no socket"), "{name}: {error}");
    }
    assert_eq!(std::fs::read_to_string(path("link")).unwrap(), "mine");
    let live = std::os::unix::net::UnixListener::bind(path("live")).unwrap();
    assert!(bind(&path("live")).is_err());
    drop(live);
    bind(&path("live")).unwrap();
}

#[test]
fn samples_that_would_reach_others_as_no_numbers_are_refused() {
    for bad in [3e38, f32::NAN, f32::INFINITY, -1001.0] {
        let served = Served::new();
        let mut bytes = Served::hello(1);
        let mut samples = vec![Complex32::ONE; 100];
        samples[57].im = bad;
        let mut emitter = Emitter::default();
        bytes.extend(emitter.radio(&FromRadio::Transmit { start: 10, samples }));
        let said = answer(&served.say(&bytes));
        let [FromServer::Welcome { .. }, FromServer::Failed(reason)] = &said[..] else {
            panic!("{bad}: {said:?}")
        };
        assert!(reason.contains("amplitude") || reason.contains("a sample is"), "{reason}");
    }
}

#[test]
fn a_hundred_silent_connections_keep_no_radio_out_and_are_told_that_they_are_refused() {
    let served = Served::new();
    let mut silent: Vec<_> = (0..100)
        .map(|_| {
            let mut stream = served.address.connect(Duration::from_secs(5)).unwrap();
            // A byte now and then is no hello.
            let _ = stream.write_all(&[9]);
            stream
        })
        .collect();
    let begun = std::time::Instant::now();
    let radio = AirClient::join(&served.address, 1, Part::Whole, None).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3));
    let mut told = Vec::new();
    silent[0].read_timeout(Some(Duration::from_secs(3))).unwrap();
    let _ = silent[0].read_to_end(&mut told);
    let said = answer(&told);
    assert!(matches!(&said[..], [FromServer::Refused(_)]), "{said:?}");
    drop(radio);
}

/// A radio that died is told to wait while its run goes on, and is taken in by the next one; so is one that never left.
#[test]
fn a_radio_that_comes_back_is_taken_in_when_the_next_run_begins() {
    let served = Served::with_runs(2);
    let join = |radio| AirClient::join(&served.address, radio, Part::Whole, None);
    let first = join(1).unwrap();
    drop(join(101).unwrap());
    std::thread::sleep(Duration::from_millis(200)); // until the server has seen that it left
    let said = answer(&served.say(&Served::hello(101)));
    let [FromServer::NotYet(reason)] = &said[..] else { panic!("{said:?}") };
    assert!(reason.contains("radio 101 has left") && reason.contains("next run"), "{reason}");
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| join(101));
        std::thread::sleep(Duration::from_millis(500));
        assert!(!waits.is_finished());
        drop(first);
        drop(waits.join().unwrap().unwrap());
    });
    drop(join(1).unwrap());
    // There is no third run.
    let begun = Instant::now();
    while !served.thread.as_ref().unwrap().is_finished() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the server does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}
