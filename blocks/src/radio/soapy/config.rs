//! The arguments of a radio named `soapy:ARGUMENTS`: how a device is used.

use crqkd_air::medium::AirTime;

/// How a device is used; everything else in the arguments goes to SoapySDR.
#[derive(Clone, Debug, PartialEq)]
pub struct SoapyConfig {
    /// Arguments by which SoapySDR finds the device, as `SoapySDRUtil --find` prints them.
    pub device: String,
    /// Carrier in Hz, both ways.
    pub frequency_hz: f64,
    /// Receive gain in dB; `None` leaves it as it is.
    pub rx_gain_db: Option<f64>,
    /// Transmit gain in dB; `None` leaves it as it is.
    pub tx_gain_db: Option<f64>,
    /// Name of the receive antenna; `None` leaves it as it is.
    pub rx_antenna: Option<String>,
    /// Name of the transmit antenna; `None` leaves it as it is.
    pub tx_antenna: Option<String>,
    /// Amplitude of a burst of unit power, as a share of full scale.
    pub tx_scale: f32,
    /// Samples between handing over a burst and its start (the virtual air's driver); `None` on hardware.
    pub lookahead: Option<AirTime>,
}

impl SoapyConfig {
    /// Reads `key=value,...`; unknown keys are SoapySDR's.
    ///
    /// # Errors
    /// A value that is not a number, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut config = SoapyConfig {
            device: String::new(),
            frequency_hz: 2.605e9,
            rx_gain_db: None,
            tx_gain_db: None,
            rx_antenna: None,
            tx_antenna: None,
            tx_scale: 0.5,
            lookahead: None,
        };
        let mut device = Vec::new();
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let (key, value) = part.split_once('=').ok_or(format!("'{part}' is not key=value"))?;
            let (key, value) = (key.trim(), value.trim());
            let number =
                || value.parse::<f64>().map_err(|_| format!("{key}={value}: not a number"));
            match key {
                "frequency" => config.frequency_hz = number()?,
                "rx_gain" => config.rx_gain_db = Some(number()?),
                "tx_gain" => config.tx_gain_db = Some(number()?),
                "rx_antenna" => config.rx_antenna = Some(value.to_owned()),
                "tx_antenna" => config.tx_antenna = Some(value.to_owned()),
                "tx_scale" => config.tx_scale = number()? as f32,
                "lookahead" => {
                    config.lookahead = Some(number()? as AirTime);
                    device.push(part); // the driver wants to know it too
                }
                _ => device.push(part),
            }
        }
        config.device = device.join(",");
        Ok(config)
    }
}
