//! What travels between blocks inside `Pmt::Any`.
//!
//! Every other variant of `Pmt` can be serialised and printed, so nothing of ours uses one. A
//! message is any Rust type in a [`Parcel`]: cloning a parcel (the runtime clones on every post)
//! shares it, the first receiver takes the content out, and nothing of it is ever printed. Secret
//! content wipes itself when it is dropped, in the parcel or out of it.

use futuresdr::runtime::Pmt;
use std::any::type_name;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;

/// A message that can be taken out once.
pub struct Parcel<T>(Arc<Mutex<Option<T>>>);

impl<T> Clone for Parcel<T> {
    fn clone(&self) -> Self {
        Parcel(self.0.clone())
    }
}

impl<T> fmt::Debug for Parcel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parcel<{}>(sealed)", type_name::<T>())
    }
}

/// A message that is not what the port expects; always a wiring mistake.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum EnvelopeError {
    /// Another type, or a plain `Pmt`.
    #[error("expected a parcel of {0}")]
    WrongType(&'static str),
    /// The content was taken before: the port feeds two receivers.
    #[error("the parcel of {0} is empty")]
    Empty(&'static str),
}

/// Packs a message for a port.
///
/// ```
/// use crqkd_blocks::envelope::{pack, unpack};
/// let message = pack(vec![1u8, 2, 3]);
/// assert_eq!(unpack::<Vec<u8>>(&message), Ok(vec![1, 2, 3]));
/// assert!(unpack::<Vec<u8>>(&message).is_err()); // only once
/// ```
pub fn pack<T: Send + 'static>(content: T) -> Pmt {
    Pmt::Any(Box::new(Parcel(Arc::new(Mutex::new(Some(content))))))
}

/// True when the message is a parcel of `T`, full or empty.
pub fn holds<T: Send + 'static>(message: &Pmt) -> bool {
    matches!(message, Pmt::Any(any) if any.is::<Parcel<T>>())
}

/// Takes the content out of a message.
///
/// # Errors
/// When it is of another type or was taken before.
pub fn unpack<T: Send + 'static>(message: &Pmt) -> Result<T, EnvelopeError> {
    let parcel = match message {
        Pmt::Any(any) => any.downcast_ref::<Parcel<T>>(),
        _ => None,
    };
    let parcel = parcel.ok_or(EnvelopeError::WrongType(type_name::<T>()))?;
    let mut content = parcel.0.lock().unwrap_or_else(PoisonError::into_inner);
    content.take().ok_or(EnvelopeError::Empty(type_name::<T>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_shares_the_content() {
        let a = pack(7u32);
        let b = a.clone();
        assert!(holds::<u32>(&b) && !holds::<i32>(&b));
        assert_eq!(unpack::<u32>(&b), Ok(7));
        assert_eq!(unpack::<u32>(&a), Err(EnvelopeError::Empty("u32")));
    }

    #[test]
    fn another_type_is_refused_and_kept() {
        let a = pack(7u32);
        assert_eq!(unpack::<String>(&a), Err(EnvelopeError::WrongType(type_name::<String>())));
        assert_eq!(unpack::<u32>(&Pmt::U32(7)), Err(EnvelopeError::WrongType("u32")));
        assert_eq!(unpack::<u32>(&a), Ok(7));
    }

    #[test]
    fn debug_shows_nothing() {
        let parcel = Parcel(Arc::new(Mutex::new(Some(String::from("secret")))));
        assert!(!format!("{parcel:?}").contains("secret"));
        assert!(!format!("{:?}", pack(String::from("secret"))).contains("secret"));
    }
}
