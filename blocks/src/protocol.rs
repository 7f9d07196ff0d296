//! The protocol of a role.

use crate::envelope::{holds, pack, unpack};
use crate::hooks::Hooks;
use crate::messages::{Began, Measurements, Order, Orders, ProbeData, Reply, TimedEvent, Work};
use crate::radio::{WireArrival, WireHorizon};
use crqkd_air::medium::{AirTime, Promises};
use crqkd_forwarding::{Action, Input, Promise, Sequencer, Station, WireMessage};
use crqkd_keys::{QapId, Store};
use crqkd_sounding::Estimate;
use futuresdr::runtime::dev::prelude::*;
use std::collections::BTreeMap;

/// Drives the state machine of a role; a shell on [`crqkd_forwarding::Sequencer`].
///
/// # Message Inputs
///
/// `measurements`: [`Measurements`].
/// `wire`: [`WireArrival`] and [`WireHorizon`].
/// `answers`: [`Reply`] to work, and [`Began`], with which everything starts.
///
/// # Message Outputs
///
/// `orders`: [`Orders`] for the radio, with the promise behind everything that it covers.
/// `tasks`: [`ProbeData`] and [`Work`].
/// `events`: [`TimedEvent`].
/// `observations`: [`ProbeData`], if wanted: a copy of every measurement that is kept.
#[derive(Block)]
#[message_inputs(measurements, wire, answers)]
#[message_outputs(orders, tasks, events, observations)]
#[null_kernel]
pub struct Protocol<S>
where
    S: Station + Send + 'static,
{
    sequencer: Sequencer<S>,
    store: Box<dyn Store + Send>,
    observe: bool,
    /// Estimates of frames that may still be kept, by start.
    estimates: BTreeMap<AirTime, Estimate>,
    promised: Option<Promise>,
    actions: Vec<Action>,
    hooks: Hooks,
}

impl<S> Protocol<S>
where
    S: Station + Send + 'static,
{
    /// A block around a station. `observe`: post a copy of every measurement that is kept.
    pub fn new(
        sequencer: Sequencer<S>,
        store: Box<dyn Store + Send>,
        observe: bool,
        hooks: Hooks,
    ) -> Self {
        let (estimates, actions) = (BTreeMap::new(), Vec::new());
        Protocol { sequencer, store, observe, estimates, promised: None, actions, hooks }
    }

    /// The sequencer, for counters and what it waits for.
    pub fn sequencer(&self) -> &Sequencer<S> {
        &self.sequencer
    }

    async fn measurements(
        &mut self,
        io: &mut WorkIo,
        mo: &mut MessageOutputs,
        _meta: &mut BlockMeta,
        message: Pmt,
    ) -> Result<Pmt> {
        if message == Pmt::Finished {
            io.finished = true;
            return Ok(Pmt::Ok);
        }
        let taken = self.take_measurements(&message);
        self.go_on(taken, mo).await
    }

    async fn wire(
        &mut self,
        _io: &mut WorkIo,
        mo: &mut MessageOutputs,
        _meta: &mut BlockMeta,
        message: Pmt,
    ) -> Result<Pmt> {
        if message == Pmt::Finished {
            return Ok(Pmt::Ok); // the end comes through the measurements
        }
        let taken = self.take_wire(&message);
        self.go_on(taken, mo).await
    }

    async fn answers(
        &mut self,
        _io: &mut WorkIo,
        mo: &mut MessageOutputs,
        _meta: &mut BlockMeta,
        message: Pmt,
    ) -> Result<Pmt> {
        if message == Pmt::Finished {
            return Ok(Pmt::Ok);
        }
        let taken = self.take_answer(&message);
        self.go_on(taken, mo).await
    }

    fn take_measurements(&mut self, message: &Pmt) -> Result<()> {
        let Measurements { list, progress } = unpack(message)?;
        for measurement in list {
            let start = measurement.estimate.start;
            match measurement.frame {
                Some(frame) => {
                    self.sequencer.frame(frame)?;
                    self.estimates.insert(start, measurement.estimate);
                }
                None => self.sequencer.bad_frame(start)?,
            }
        }
        self.sequencer.radio_progress(progress);
        Ok(())
    }

    fn take_wire(&mut self, message: &Pmt) -> Result<()> {
        if holds::<WireHorizon>(message) {
            let horizon: WireHorizon = unpack(message)?;
            self.sequencer.wire_horizon(QapId(horizon.from), horizon.until)?;
        } else {
            let arrival: WireArrival<WireMessage> = unpack(message)?;
            self.sequencer.wire(QapId(arrival.from), arrival.time, arrival.message)?;
        }
        Ok(())
    }

    fn take_answer(&mut self, message: &Pmt) -> Result<()> {
        if holds::<Reply>(message) {
            let reply: Reply = unpack(message)?;
            self.sequencer.answer(reply.ticket, reply.answer)?;
            return Ok(());
        }
        let began: Began = unpack(message)?;
        for (at, groups) in began.supply {
            self.sequencer.local(at, Input::GroupsReady(groups))?;
        }
        for (at, target, groups) in began.requests {
            self.sequencer.local(at, Input::Request { target, groups })?;
        }
        self.promised.get_or_insert(self.sequencer.promise());
        Ok(())
    }

    /// Lets the station do what it can, and carries that out.
    async fn go_on(&mut self, taken: Result<()>, mo: &mut MessageOutputs) -> Result<Pmt> {
        self.hooks.nap().await;
        self.hooks.watch(taken)?;
        let Some(before) = self.promised else { return Ok(Pmt::Ok) }; // not begun
        let mut list = Vec::new();
        let promise = loop {
            let promise = self.sequencer.step(&mut self.actions);
            if self.actions.is_empty() {
                break promise;
            }
            for action in std::mem::take(&mut self.actions) {
                let carried_out = self.carry_out(action, &mut list, mo).await;
                self.hooks.watch(carried_out)?;
            }
        };
        self.estimates = self.estimates.split_off(&promise.handled);
        if !list.is_empty() || promise != before {
            self.promised = Some(promise);
            let leave = promise.finished && !before.finished;
            let promises = Promises {
                transmit: promise.transmit,
                wire: if promise.finished { AirTime::MAX } else { promise.wire },
                listen: promise.listen,
            };
            mo.post("orders", pack(Orders { list, promises, leave })).await?;
        }
        Ok(Pmt::Ok)
    }

    async fn carry_out(
        &mut self,
        action: Action,
        orders: &mut Vec<Order>,
        mo: &mut MessageOutputs,
    ) -> Result<()> {
        match action {
            Action::Transmit { at, frame } => orders.push(Order::Transmit { at, frame }),
            Action::Listen(gate) => orders.push(Order::Listen { from: gate.from, to: gate.to }),
            Action::ListenUntil(at) => orders.push(Order::ListenUntil(at)),
            Action::Wire { to, arrives, message } => {
                orders.push(Order::Wire { to, arrives, message });
            }
            Action::Keep { start, probe, direction } => {
                if let Some(estimate) = self.estimates.remove(&start) {
                    let data = ProbeData { probe, direction, estimate };
                    if self.observe {
                        mo.post("observations", pack(data.clone())).await?;
                    }
                    mo.post("tasks", pack(data)).await?;
                }
            }
            Action::Job { ticket, job } => mo.post("tasks", pack(Work { ticket, job })).await?,
            Action::Persist { ticket, records } => {
                self.store.persist(&records)?;
                self.sequencer.persisted(ticket)?;
            }
            Action::Event { at, event } => {
                mo.post("events", pack(TimedEvent { at, event })).await?;
            }
        }
        Ok(())
    }
}
