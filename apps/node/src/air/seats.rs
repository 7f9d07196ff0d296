//! The places of the radios on a served air: who has taken which, and who has left.

use super::protocol::{FromServer, Hello, Part};
use super::stream::Stream;
use crqkd_blocks::radio::{Radio, RadioTx};
use std::io;

/// A radio's messages on the wire; the air does not look inside.
pub type WireBytes = Vec<u8>;

/// A radio that waits for its client.
pub struct Place {
    /// Number of the radio.
    pub number: u16,
    /// What people call it.
    pub name: String,
    /// Radios of one cell hear each other.
    pub cell: u32,
    /// Whether the radio only receives.
    pub receiver: bool,
    /// There is a wire to another radio.
    pub wired: bool,
    /// The receiving side of the radio.
    pub radio: Box<dyn Radio<Wire = WireBytes>>,
    /// The transmitting side of the radio.
    pub tx: RadioTx<WireBytes>,
}

/// What a place's clients are.
#[derive(Default)]
struct Claims {
    /// The connection for samples.
    samples: Option<Stream>,
    /// The connection for wired messages, when it is another one.
    wire: Option<Stream>,
    /// The first one carries both.
    whole: bool,
}

struct Seat {
    number: u16,
    name: String,
    cell: u32,
    receiver: bool,
    wired: bool,
    /// Until the pump takes it.
    radio: Option<Box<dyn Radio<Wire = WireBytes>>>,
    tx: RadioTx<WireBytes>,
    claims: Claims,
    left: bool,
    /// Why, when the client did not say goodbye.
    reason: Option<String>,
}

/// A place that a client was given.
pub(super) struct Claimed {
    pub(super) number: u16,
    pub(super) receiver: bool,
    pub(super) tx: RadioTx<WireBytes>,
}

/// The radio of a place, and its connections.
pub(super) struct Complete {
    pub(super) radio: Box<dyn Radio<Wire = WireBytes>>,
    pub(super) samples: Stream,
    /// For wired messages, when it is another one.
    pub(super) wire: Option<Stream>,
}

/// Why a client does not have a place.
pub(super) enum Denied {
    /// It never will.
    For(String),
    /// It has to wait for the next run.
    Now(String),
}

impl From<String> for Denied {
    fn from(reason: String) -> Self {
        Denied::For(reason)
    }
}

/// All places of an air.
pub(super) struct Seats {
    seats: Vec<Seat>,
    /// When every radio has left, another run begins.
    again: bool,
}

impl Seats {
    pub(super) fn new(places: Vec<Place>, again: bool) -> Self {
        let seat = |place: Place| Seat {
            number: place.number,
            name: place.name,
            cell: place.cell,
            receiver: place.receiver,
            wired: place.wired,
            radio: Some(place.radio),
            tx: place.tx,
            claims: Claims::default(),
            left: false,
            reason: None,
        };
        Seats { seats: places.into_iter().map(seat).collect(), again }
    }

    fn get(&self, number: u16) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.number == number)
    }

    fn get_mut(&mut self, number: u16) -> Option<&mut Seat> {
        self.seats.iter_mut().find(|seat| seat.number == number)
    }

    /// Radios, or wires of radios, that have not come yet: the air stands still until they are there.
    pub(super) fn missing(&self) -> Vec<String> {
        let to_come = self.seats.iter().filter(|seat| seat.radio.is_some() && !seat.left);
        let part = |seat: &Seat| match &seat.claims {
            Claims { samples: None, .. } => seat.name.clone(),
            _ => format!("the wire of {}", seat.name),
        };
        to_come.map(part).collect()
    }

    /// Every radio has left.
    pub(super) fn all_left(&self) -> bool {
        self.seats.iter().all(|seat| seat.left)
    }

    /// Gives a place, or a part of one, to a client.
    ///
    /// # Errors
    /// Why the client cannot have it.
    pub(super) fn claim(&mut self, hello: &Hello, stream: &Stream) -> Result<Claimed, Denied> {
        let again = self.again;
        let here: Vec<String> =
            self.seats.iter().map(|seat| format!("{} ({})", seat.name, seat.number)).collect();
        let Some(seat) = self.get_mut(hello.radio) else {
            let here = here.join(", ");
            return Err(format!("no radio {} on this air, only {here}", hello.radio).into());
        };
        if seat.left {
            let why = seat.reason.as_ref().map_or(String::new(), |why| format!(" ({why})"));
            let left = format!("{} has left the air{why}", seat.name);
            return Err(match again {
                true => Denied::Now(format!("{left}; the next run begins when all have")),
                false => Denied::For(format!(
                    "{left}; a new run needs a new air, or one that has several (`crqkd air --runs`)"
                )),
            });
        }
        if hello.part == Part::Wire && !seat.wired {
            return Err(format!("{} has no wire", seat.name).into());
        }
        let taken = match hello.part {
            Part::Whole => seat.claims.samples.is_some() || seat.claims.wire.is_some(),
            Part::Samples => seat.claims.samples.is_some(),
            Part::Wire => seat.claims.wire.is_some() || seat.claims.whole,
        };
        if taken {
            return Err(format!("the place of {} is taken", seat.name).into());
        }
        let another = || stream.another().map_err(|error| error.to_string());
        match hello.part {
            Part::Whole | Part::Samples => seat.claims.samples = Some(another()?),
            Part::Wire => seat.claims.wire = Some(another()?),
        }
        seat.claims.whole |= hello.part == Part::Whole;
        Ok(Claimed { number: seat.number, receiver: seat.receiver, tx: seat.tx.clone() })
    }

    /// The radio and its connections, once, when every part of its place is taken.
    pub(super) fn complete(&mut self, number: u16) -> io::Result<Option<Complete>> {
        let Some(seat) = self.get_mut(number) else { return Ok(None) };
        let Claims { samples: Some(samples), wire, whole } = &seat.claims else {
            return Ok(None);
        };
        if seat.wired && wire.is_none() && !whole {
            return Ok(None);
        }
        let samples = samples.another()?;
        let wire = wire.as_ref().map(Stream::another).transpose()?;
        Ok(seat.radio.take().map(|radio| Complete { radio, samples, wire }))
    }

    /// The radio is gone for good; false when it was already.
    pub(super) fn leave(&mut self, number: u16, reason: Option<&str>) -> bool {
        let Some(seat) = self.get_mut(number) else { return false };
        seat.tx.leave();
        let news = !std::mem::replace(&mut seat.left, true);
        if news {
            seat.reason = reason.map(str::to_owned);
        }
        news
    }

    /// The cell of this radio had other transmitters, and all of them have left.
    pub(super) fn is_alone(&self, number: u16) -> bool {
        let Some(seat) = self.get(number) else { return false };
        let in_cell = self.seats.iter().filter(|other| other.cell == seat.cell && !other.receiver);
        let mut others = in_cell.filter(|other| other.number != number).peekable();
        others.peek().is_some() && others.all(|other| other.left)
    }

    /// Takes every radio off the air.
    pub(super) fn silence(&self) {
        self.seats.iter().for_each(|seat| seat.tx.leave());
    }

    /// Closes every connection.
    pub(super) fn close(&self) {
        let claims = self.seats.iter().flat_map(|seat| [&seat.claims.samples, &seat.claims.wire]);
        claims.flatten().for_each(Stream::close);
    }

    /// Somebody else says goodbye to the client.
    pub(super) fn has_pump(&self, number: u16) -> bool {
        self.get(number).is_some_and(|seat| seat.radio.is_none())
    }

    /// The last message for a client.
    pub(super) fn goodbye(&self, number: u16) -> FromServer {
        match self.get(number).and_then(|seat| seat.reason.clone()) {
            Some(reason) => FromServer::Failed(reason),
            None => FromServer::End,
        }
    }
}
