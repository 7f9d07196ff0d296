//! Radios by name: [`open_radio`].

use crate::air::{Address, AirClient, Part, RunId};
use crate::wired::wired;
use crqkd_air::medium::{AirTime, Promises};
use crqkd_blocks::radio::file::{Chunk, FileRadio, Starter};
use crqkd_blocks::radio::{Progress, Radio, RadioError, RadioPort, RadioTx, Reception};
use crqkd_forwarding::WireMessage;
use crqkd_recording::open_iq;
use futuresdr::num_complex::Complex32;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Samples that are read from a file at once.
const CHUNK: usize = 1 << 16;

/// What a radio is: `air:ADDRESS`, `file:PATH` or `soapy:ARGUMENTS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RadioSpec {
    /// A place on the virtual air of a `crqkd air` server.
    Air(Address),
    /// A recording; it cannot transmit.
    File(PathBuf),
    /// A device that SoapySDR knows by these arguments.
    Soapy(String),
}

impl RadioSpec {
    /// The channel is that of a virtual air: whoever has its seed knows it.
    pub fn is_simulated(&self) -> bool {
        match self {
            RadioSpec::Air(_) => true,
            RadioSpec::File(_) => false,
            RadioSpec::Soapy(arguments) => {
                arguments.split(',').any(|argument| argument == "driver=crqkd")
            }
        }
    }
}

impl FromStr for RadioSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("air", address)) => Ok(RadioSpec::Air(address.parse()?)),
            Some(("file", path)) if !path.is_empty() => Ok(RadioSpec::File(path.into())),
            Some(("soapy", arguments)) => Ok(RadioSpec::Soapy(arguments.to_owned())),
            _ => Err(format!("'{text}' is not air:ADDRESS, file:PATH or soapy:ARGUMENTS")),
        }
    }
}

impl fmt::Display for RadioSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RadioSpec::Air(address) => write!(f, "air:{address}"),
            RadioSpec::File(path) => write!(f, "file:{}", path.display()),
            RadioSpec::Soapy(arguments) => write!(f, "soapy:{arguments}"),
        }
    }
}

/// A radio of any kind, with its transmitting side.
pub struct OpenRadio {
    /// The receiving side.
    pub radio: Box<dyn Radio<Wire = WireMessage>>,
    /// The transmitting side.
    pub tx: RadioTx<WireMessage>,
    /// Shows whether its air moves.
    pub progress: Arc<dyn Progress>,
}

/// Opens radio number `number`. `run` names the simulation that it takes part in, if it is one; `wire` is the air that
/// carries the wire between access points, for a radio that has none of its own.
///
/// # Errors
/// When the device, file or server cannot be used; the error says why.
pub fn open_radio(
    spec: &RadioSpec,
    number: u16,
    run: Option<RunId>,
    wire: Option<&Address>,
) -> Result<OpenRadio, RadioError> {
    let open = match spec {
        RadioSpec::Air(address) => {
            let part = if wire.is_some() { Part::Samples } else { Part::Whole };
            let radio = AirClient::join(address, number, part, run)?;
            let (tx, progress) = (radio.handle(), radio.progress());
            OpenRadio { radio: Box::new(radio), tx, progress }
        }
        RadioSpec::File(path) => open_file(path)?,
        RadioSpec::Soapy(arguments) => open_soapy(arguments)?,
    };
    let Some(address) = wire else { return Ok(open) };
    let wire = AirClient::join(address, number, Part::Wire, run)?;
    let wire_tx = wire.handle();
    let (radio, tx) = wired((open.radio, open.tx), (Box::new(wire), wire_tx));
    Ok(OpenRadio { radio: Box::new(radio), tx, progress: open.progress })
}

#[cfg(feature = "soapy")]
fn open_soapy(arguments: &str) -> Result<OpenRadio, RadioError> {
    use crqkd_blocks::radio::soapy::{SoapyConfig, SoapyRadio};
    let failed = |reason| RadioError::File { name: format!("soapy:{arguments}"), reason };
    let radio = SoapyRadio::open(&SoapyConfig::parse(arguments).map_err(failed)?)?;
    let (tx, progress) = (radio.handle(), radio.progress());
    Ok(OpenRadio { radio: Box::new(radio), tx, progress })
}

#[cfg(not(feature = "soapy"))]
fn open_soapy(arguments: &str) -> Result<OpenRadio, RadioError> {
    Err(RadioError::Device {
        name: format!("soapy:{arguments}"),
        reason: "this program was built without the feature soapy".into(),
    })
}

fn open_file(path: &std::path::Path) -> Result<OpenRadio, RadioError> {
    let name = path.display().to_string();
    let failed = |reason: String| RadioError::File { name: name.clone(), reason };
    let mut reader = open_iq(path).map_err(|error| failed(error.to_string()))?;
    if let Some(rate) = reader.sample_rate_hz()
        && rate != crqkd_air::SAMPLE_RATE_HZ
    {
        let expected = crqkd_air::SAMPLE_RATE_HZ;
        return Err(failed(format!("recorded at {rate} samples a second, expected {expected}")));
    }
    let of_chunks = name.clone();
    let chunks = std::iter::from_fn(move || {
        let mut samples = Vec::new();
        match reader.read(&mut samples, CHUNK) {
            Ok(Some(time)) => Some(Ok(Chunk { time, samples })),
            Ok(None) => None,
            Err(error) => {
                let (name, reason) = (of_chunks.clone(), error.to_string());
                Some(Err(RadioError::File { name, reason }))
            }
        }
    });
    let radio = FileRadio::new(chunks);
    let shared = Arc::new(FileShared { name, starter: radio.starter(), played: AtomicU64::new(0) });
    let tx = RadioTx::new(FilePort(Arc::clone(&shared)));
    let progress = Arc::new(FilePort(Arc::clone(&shared)));
    Ok(OpenRadio { radio: Box::new(Player { radio, shared }), tx, progress })
}

struct FileShared {
    name: String,
    starter: Starter,
    /// Air time after the last sample that was handed out.
    played: AtomicU64,
}

/// A recording in the place of a role's radio: it begins once the role listens.
struct Player {
    radio: FileRadio,
    shared: Arc<FileShared>,
}

impl Radio for Player {
    type Wire = WireMessage;

    fn try_recv(&mut self, out: &mut [Complex32]) -> Result<Reception<WireMessage>, RadioError> {
        Ok(match self.radio.try_recv(out)? {
            Reception::Samples { time, len, last } => {
                self.shared.played.fetch_max(time + len as AirTime, Ordering::Relaxed);
                Reception::Samples { time, len, last }
            }
            Reception::Wired(wired) => match wired.message {},
            Reception::WireHorizon(horizon) => Reception::WireHorizon(horizon),
            Reception::Wait(ready) => Reception::Wait(ready),
            Reception::End => Reception::End,
        })
    }
}

/// A transmitter that nobody hears.
struct FilePort(Arc<FileShared>);

impl RadioPort<WireMessage> for FilePort {
    fn send_at(&self, time: AirTime, _burst: Vec<Complex32>) -> Result<(), RadioError> {
        let reason = format!("a recording cannot transmit, at {time}");
        Err(RadioError::File { name: self.0.name.clone(), reason })
    }

    fn promise(&self, _promises: Promises) -> Result<(), RadioError> {
        self.0.starter.start();
        Ok(())
    }

    fn listen(&self, _from: AirTime, _to: AirTime) -> Result<(), RadioError> {
        Ok(()) // it plays what was recorded
    }

    fn listen_until(&self, _at: AirTime) -> Result<(), RadioError> {
        Ok(())
    }

    fn wire(&self, to: u16, _arrival: AirTime, _message: WireMessage) -> Result<(), RadioError> {
        Err(RadioError::NoWire { to })
    }

    fn leave(&self) {}
}

impl Progress for FilePort {
    fn activity(&self) -> u64 {
        self.0.played.load(Ordering::Relaxed)
    }

    fn air_time(&self) -> AirTime {
        self.0.played.load(Ordering::Relaxed)
    }

    fn describe(&self) -> String {
        format!("{} was played to air time {}", self.0.name, self.air_time())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radios_are_named_by_kind_and_place() {
        for text in [
            "air:127.0.0.1:7700",
            "air:/run/air.sock",
            "file:a b.cf32",
            "soapy:driver=uhd,serial=1",
        ] {
            assert_eq!(text.parse::<RadioSpec>().unwrap().to_string(), text);
        }
        for text in ["", "air", "air:", "air:7700", "air::7700", "file:", "uhd:x"] {
            assert!(text.parse::<RadioSpec>().is_err(), "{text}");
        }
    }
}
