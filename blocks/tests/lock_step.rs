//! Two radios that wait for each other: the promises of each pass through the inbox of a block,
//! and still nobody waits for ever, whatever the number of workers and the order of their steps.

use crqkd_air::medium::{AirTime, Promises, RadioKind, Transmission};
use crqkd_blocks::Hooks;
use crqkd_blocks::Transceiver;
use crqkd_blocks::envelope::{pack, unpack};
use crqkd_blocks::radio::air::{Propagation, VirtualAir};
use crqkd_blocks::radio::{Radio, RadioError, RadioTx, Reception};
use crqkd_blocks::time_tag::stretches;
use futuresdr::num_complex::Complex32;
use futuresdr::prelude::*;
use futuresdr::runtime::config;
use futuresdr::runtime::dev::prelude::*;
use futuresdr::runtime::scheduler::SmolScheduler;

const TURN: AirTime = 5_000;
const END: AirTime = 400_000;

/// Adds up what is on the air, without a channel.
struct Ideal;

impl Propagation for Ideal {
    fn receive(
        &mut self,
        from: AirTime,
        bursts: &[Transmission],
        out: &mut [Complex32],
    ) -> Result<(), RadioError> {
        out.fill(Complex32::ZERO);
        for b in bursts {
            for (i, s) in b.samples.iter().enumerate() {
                let t = b.start + i as AirTime;
                if t >= from && t < from + out.len() as AirTime {
                    out[(t - from) as usize] += s;
                }
            }
        }
        Ok(())
    }
}

/// Posts how far it has listened, and where it heard something.
#[derive(Block)]
#[message_outputs(progress)]
struct Listener<I: CpuBufferReader<Item = Complex32> = DefaultCpuReader<Complex32>> {
    #[input]
    input: I,
    time: AirTime,
    hooks: Hooks,
}

impl<I: CpuBufferReader<Item = Complex32>> Kernel for Listener<I> {
    async fn work(
        &mut self,
        io: &mut WorkIo,
        mo: &mut MessageOutputs,
        _meta: &mut BlockMeta,
    ) -> Result<()> {
        self.hooks.nap().await;
        let (samples, tags) = self.input.slice_with_tags();
        let mut heard = Vec::new();
        for stretch in stretches(samples.len(), tags) {
            self.time = stretch.time.unwrap_or(self.time);
            for s in &samples[stretch.range] {
                if s.re == 1.0 {
                    heard.push(self.time);
                }
                self.time += 1;
            }
        }
        let n = samples.len();
        self.input.consume(n);
        if n > 0 {
            mo.post("progress", pack((self.time, heard))).await?;
        }
        io.finished = self.input.finished() && self.input.slice().is_empty();
        Ok(())
    }
}

/// Answers each heard sample with a burst a fixed time later, and promises silence before that.
#[derive(Block)]
#[message_inputs(progress)]
struct Answerer {
    tx: RadioTx<()>,
    heard: Vec<AirTime>,
    gated: bool,
    hooks: Hooks,
    log: async_channel::Sender<Vec<AirTime>>,
}

impl Answerer {
    async fn progress(
        &mut self,
        io: &mut WorkIo,
        _mo: &mut MessageOutputs,
        _meta: &mut BlockMeta,
        p: Pmt,
    ) -> Result<Pmt> {
        self.hooks.nap().await;
        if p == Pmt::Finished {
            io.finished = true;
            return Ok(Pmt::Ok);
        }
        let (time, heard): (AirTime, Vec<AirTime>) = unpack(&p)?;
        let mut promise = time + TURN;
        for t in heard {
            self.heard.push(t);
            self.tx.send_at(t + TURN, vec![Complex32::ONE])?;
            if self.gated {
                // Nothing can be heard, hence answered, before the next gate.
                let gate = t + 2 * TURN - 10;
                self.tx.listen(gate, gate + 20)?;
                promise = gate + TURN;
            }
        }
        let promises = Promises { transmit: promise, wire: promise, listen: promise };
        self.tx.promise(promises)?;
        if time >= END {
            self.tx.leave();
            let _ = self.log.send(std::mem::take(&mut self.heard)).await;
        }
        Ok(Pmt::Ok)
    }
}

impl Kernel for Answerer {}

/// Air times at which each of the two heard the other.
fn ping_pong(workers: usize, hooks: Hooks, gated: bool) -> Result<[Vec<AirTime>; 2]> {
    config::set("ctrlport_enable", false);
    let air = VirtualAir::new(0);
    let mut fg = Flowgraph::new();
    let mut logs = Vec::new();
    let radios = [0, 1].map(|name| air.join(0, name, RadioKind::Transceiver, Box::new(Ideal)));
    for (name, radio) in radios.into_iter().enumerate() {
        let tx = radio.handle();
        if name == 0 {
            tx.send_at(1_000, vec![Complex32::ONE])?;
        }
        if gated {
            let at = if name == 0 { 1_000 + TURN } else { 1_000 };
            tx.listen(at - 10, at + 10)?;
        } else {
            tx.listen(0, AirTime::MAX)?;
        }
        tx.promise(Promises { transmit: TURN, wire: TURN, listen: TURN })?;
        let (log, read) = async_channel::unbounded();
        logs.push(read);
        let name = name as u64;
        let trx = Transceiver::<_>::new(radio, None, hooks.of(format!("transceiver {name}")));
        let listener = Listener::<DefaultCpuReader<Complex32>> {
            input: Default::default(),
            time: 0,
            hooks: hooks.of(format!("listener {name}")),
        };
        let answerer =
            Answerer { tx, heard: vec![], gated, hooks: hooks.of(format!("answerer {name}")), log };
        connect!(fg,
            trx > listener;
            listener.progress | progress.answerer;
        );
    }
    let runtime = Runtime::with_scheduler(SmolScheduler::new(workers, false));
    runtime.run(fg)?;
    let [a, b] = [0, 1].map(|i| logs[i].try_recv());
    Ok([a?, b?])
}

#[test]
fn two_radios_that_wait_for_each_other_go_on() {
    let user: Vec<AirTime> = (0..).map(|k| 1_000 + 2 * TURN * k).take_while(|&t| t < END).collect();
    let qap: Vec<AirTime> = user.iter().map(|t| t + TURN).take_while(|&t| t < END).collect();
    for workers in [1, 2, 4] {
        for hooks in [Hooks::default(), Hooks::default().with_sleeps(workers as u64, 100)] {
            for gated in [false, true] {
                let [heard_by_qap, heard_by_user] =
                    ping_pong(workers, hooks.clone(), gated).unwrap();
                let upto = |v: &[AirTime]| -> Vec<AirTime> {
                    v.iter().copied().take_while(|&t| t < END).collect()
                };
                assert_eq!(upto(&heard_by_user), user, "{workers} workers");
                assert_eq!(upto(&heard_by_qap), qap, "{workers} workers");
            }
        }
    }
}

#[test]
fn a_radio_that_dies_counts_as_silent() {
    let air = VirtualAir::<()>::new(0);
    let [mut here, there] =
        [1, 2].map(|name| air.join(0, name, RadioKind::Transceiver, Box::new(Ideal)));
    there.handle().send_at(10, vec![Complex32::ONE]).unwrap();
    here.handle().listen(0, 100).unwrap();
    let mut buffer = [Complex32::ZERO; 200];
    let Ok(Reception::Wait(ready)) = here.try_recv(&mut buffer) else { unreachable!() };
    drop(there);
    Runtime::block_on(ready);
    let received = here.try_recv(&mut buffer).unwrap();
    assert!(matches!(received, Reception::Samples { time: 0, len: 100, last: true }));
    assert_eq!(buffer[10], Complex32::ONE);
}
