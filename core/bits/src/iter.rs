//! [`Iter`]: the bits of a string one by one.

use std::fmt;
use std::ops::Range;

use crate::BitString;

/// The bits of a [`BitString`] in order.
#[derive(Clone)]
pub struct Iter<'a> {
    bits: &'a BitString,
    range: Range<usize>,
}

impl<'a> Iter<'a> {
    pub(crate) fn new(bits: &'a BitString) -> Self {
        Self { bits, range: 0..bits.len() }
    }
}

impl fmt::Debug for Iter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iter({:?} of {})", self.range, self.bits.len())
    }
}

impl Iterator for Iter<'_> {
    type Item = bool;

    fn next(&mut self) -> Option<bool> {
        self.range.next().and_then(|i| self.bits.get(i))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<bool> {
        self.range.next_back().and_then(|i| self.bits.get(i))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a BitString {
    type Item = bool;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}
