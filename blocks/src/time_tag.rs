//! The stream tags that carry air time.

use crqkd_air::medium::AirTime;
use futuresdr::runtime::dev::{ItemTag, Tag};

/// Name of the tag on the first sample after every discontinuity.
pub const TIME: &str = "time";
/// Name of the tag on the last sample before a discontinuity, where one is known to follow.
pub const LAST: &str = "last";

/// A tag that says: this sample was received at `time`.
pub fn time_tag(time: AirTime) -> Tag {
    Tag::NamedAny(TIME.to_owned(), Box::new(time))
}

/// A tag that says: the radio does not listen after this sample.
pub fn last_tag() -> Tag {
    Tag::NamedAny(LAST.to_owned(), Box::new(()))
}

/// Air time of a sample if the tag is a time tag.
pub fn time_of(tag: &ItemTag) -> Option<AirTime> {
    match &tag.tag {
        Tag::NamedAny(name, any) if name == TIME => any.downcast_ref::<AirTime>().copied(),
        _ => None,
    }
}

/// True when the tag marks the last sample of a stretch.
pub fn is_last(tag: &ItemTag) -> bool {
    matches!(&tag.tag, Tag::NamedAny(name, _) if name == LAST)
}

/// One stretch of contiguous samples within a slice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Place of the samples in the slice.
    pub range: std::ops::Range<usize>,
    /// Air time of the first one; `None` when it follows the sample before.
    pub time: Option<AirTime>,
    /// Nothing follows the last one.
    pub last: bool,
}

/// Cuts a slice of `len` samples at its tags.
pub fn stretches(len: usize, tags: &[ItemTag]) -> Vec<Stretch> {
    let mut cuts: Vec<Stretch> = Vec::new();
    let mut begin = Stretch { range: 0..len, time: None, last: false };
    let mut tags: Vec<&ItemTag> = tags.iter().filter(|tag| tag.index < len).collect();
    tags.sort_by_key(|tag| (tag.index, is_last(tag)));
    for tag in tags {
        if let Some(time) = time_of(tag) {
            if begin.range.start < tag.index {
                cuts.push(Stretch { range: begin.range.start..tag.index, ..begin });
            }
            begin = Stretch { range: tag.index..len, time: Some(time), last: false };
        } else if is_last(tag) {
            let range = begin.range.start..tag.index + 1;
            cuts.push(Stretch { range, time: begin.time, last: true });
            begin = Stretch { range: tag.index + 1..len, time: None, last: false };
        }
    }
    if begin.range.start < len {
        cuts.push(begin);
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_cut_at_its_tags() {
        let at = |index, tag| ItemTag { index, tag };
        let tags = [at(0, time_tag(70)), at(4, last_tag()), at(5, time_tag(90)), at(7, last_tag())];
        let cut = |len| -> Vec<_> {
            let all = stretches(len, &tags).into_iter();
            all.map(|s| (s.range.start, s.range.end, s.time, s.last)).collect()
        };
        assert_eq!(cut(9)[..2], [(0, 5, Some(70), true), (5, 8, Some(90), true)]);
        assert_eq!(cut(9)[2], (8, 9, None, false));
        assert_eq!(cut(4), [(0, 4, Some(70), false)]);
        assert_eq!(cut(0), []);
        let gap = [at(3, time_tag(70))];
        let s = stretches(5, &gap);
        assert_eq!((s[0].range.clone(), s[0].time, s[0].last), (0..3, None, false));
        assert_eq!((s[1].range.clone(), s[1].time), (3..5, Some(70)));
    }
}
