//! Everything that all roles of a system agree on.

use crqkd_air::{AirConfig, AirError};
use crqkd_blocks::hooks::Fault;
use crqkd_channel_key::ChannelKeyConfig;
use crqkd_forwarding::{CipherMode, ForwardingConfig, FrameLimits, Plan};
use crqkd_otp::{CiphertextMode, OtpCodec, OtpConfig};
use crqkd_sounding::{
    HEADER_FRAME_LEN, MAX_CONTROL_BYTES, PayloadShape, SoundingConfig, SoundingError,
};
use futuresdr::runtime::Error;
use std::path::PathBuf;
use thiserror::Error;

/// Parameters of a system, the same for all its roles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SystemConfig {
    /// The channel, on the virtual air.
    pub air: AirConfig,
    /// Parameters of the receivers of sounding frames.
    pub sounding: SoundingConfig,
    /// How bits are made of channel measurements: features and quantizer.
    pub channel_key: ChannelKeyConfig,
    /// Code of the one-time pad.
    pub otp: OtpConfig,
    /// Parameters of the forwarding protocol.
    pub forwarding: ForwardingConfig,
}

/// A flowgraph that cannot be built or has failed.
#[derive(Debug, Error)]
pub enum FlowgraphError {
    /// The description of the channel is out of range.
    #[error("air: {0}")]
    Air(#[from] AirError),
    /// In the parameters of the receivers.
    #[error("sounding: {0}")]
    Sounding(#[from] SoundingError),
    /// The parameters of features and quantizer are out of range.
    #[error("channel_key: {0}")]
    ChannelKey(#[from] crqkd_channel_key::ConfigError),
    /// The code of the one-time pad is out of range.
    #[error("otp: {0}")]
    Otp(#[from] crqkd_otp::ConfigError),
    /// In the parameters of the protocol.
    #[error("forwarding: {0}")]
    Forwarding(#[from] crqkd_forwarding::ConfigError),
    /// Two parts of the configuration contradict each other.
    #[error("{one} is {first}, but {other} is {second}")]
    Contradiction {
        /// Name of the first key of the configuration.
        one: &'static str,
        /// The value of the first key.
        first: String,
        /// Name of the other key of the configuration.
        other: &'static str,
        /// The value of the other key.
        second: String,
    },
    /// A store holds something that cannot be.
    #[error("store: {0}")]
    Keys(#[from] crqkd_keys::KeysError),
    /// A block of the flowgraph has failed; what it says.
    #[error("{0}")]
    Fault(String),
    /// A radio has failed; what it says.
    #[error("{0}")]
    Device(String),
    /// There is no room for the buffers between the blocks.
    #[error(
        "{}: the buffers of the flowgraph cannot be made there (choose another folder with TMPDIR): {source}",
        folder.display()
    )]
    Buffers {
        /// The system's folder for temporary files.
        folder: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The runtime of the flowgraph has failed.
    #[error("runtime: {0}")]
    Runtime(#[from] Error),
}

impl From<Fault> for FlowgraphError {
    fn from(fault: Fault) -> Self {
        if fault.device {
            FlowgraphError::Device(fault.text)
        } else {
            FlowgraphError::Fault(fault.text)
        }
    }
}

impl SystemConfig {
    /// Checks everything and gives the protocol's plan.
    ///
    /// # Errors
    /// The first value that is out of range or contradicts another.
    pub fn plan(&self) -> Result<Plan, FlowgraphError> {
        self.air.validate()?;
        self.sounding.validate()?;
        self.channel_key.validate()?;
        self.otp.validate()?;
        let (otp, forwarding) = (&self.otp, &self.forwarding);
        let cascade = forwarding.ciphertext == CipherMode::Cascade;
        let equal = |one, first: String, other, second: String| {
            let error = FlowgraphError::Contradiction { one, first, other, second };
            if matches!(&error, FlowgraphError::Contradiction { first, second, .. } if first == second)
            {
                Ok(())
            } else {
                Err(error)
            }
        };
        equal(
            "otp.k",
            otp.k.to_string(),
            "forwarding.group_bits",
            forwarding.group_bits.to_string(),
        )?;
        equal(
            "otp.n",
            otp.n.to_string(),
            "forwarding.code_bits",
            forwarding.code_bits.to_string(),
        )?;
        equal(
            "otp.ciphertext",
            otp.ciphertext.to_string(),
            "forwarding.ciphertext",
            if cascade { CiphertextMode::Cascade } else { CiphertextMode::Protected }.to_string(),
        )?;
        let cipher_bits = if cascade { otp.n } else { 0 };
        let frames = FrameLimits {
            probe_samples: HEADER_FRAME_LEN as u64,
            control_samples: PayloadShape::of(MAX_CONTROL_BYTES, cipher_bits)?.frame_len() as u64,
            control_bytes: MAX_CONTROL_BYTES,
            cipher_bits,
        };
        Ok(Plan::new(forwarding.clone(), frames)?)
    }

    /// The codec of the one-time pad.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn codec(&self) -> Result<OtpCodec, FlowgraphError> {
        Ok(OtpCodec::new(self.otp.clone())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_has_a_plan_and_contradictions_are_named() {
        SystemConfig::default().plan().unwrap();
        let mut config = SystemConfig::default();
        config.otp.k = 256;
        let error = config.plan().unwrap_err().to_string();
        assert_eq!(error, "otp.k is 256, but forwarding.group_bits is 384");
        let mut config = SystemConfig::default();
        config.otp.ciphertext = CiphertextMode::Cascade;
        assert!(config.plan().unwrap_err().to_string().starts_with("otp.ciphertext is cascade"));
    }
}
