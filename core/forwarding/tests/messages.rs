//! Bytes of messages: what is written is read back, and hostile bytes never do harm.

use crqkd_bits::BitString;
use crqkd_forwarding::*;
use crqkd_keys::*;
use proptest::prelude::*;

fn bits(max: usize) -> impl Strategy<Value = BitString> {
    prop::collection::vec(any::<bool>(), 0..max).prop_map(|bits| bits.into_iter().collect())
}

fn groups() -> impl Strategy<Value = Vec<GroupId>> {
    prop::collection::vec(any::<u64>().prop_map(GroupId), 0..40)
}

fn pair() -> impl Strategy<Value = PairId> {
    (any::<u16>(), any::<u16>()).prop_map(|(a, b)| PairId { a: UserId(a), b: UserId(b) })
}

fn pads() -> impl Strategy<Value = Vec<PadRef>> {
    let place = (any::<u32>(), any::<u32>(), any::<u32>());
    (any::<u16>(), prop::collection::vec(place, 1..=16)).prop_map(|(epoch, places)| {
        let place = |(window, start, len)| PadRef {
            epoch: Epoch(epoch),
            window: WindowId(window),
            start,
            len,
        };
        places.into_iter().map(place).collect()
    })
}

fn ciphertext() -> impl Strategy<Value = Message> {
    let numbers = (any::<u64>(), any::<u8>(), any::<u8>(), any::<u32>());
    (numbers, pads(), prop::option::of(bits(600))).prop_map(
        |((group, attempt, code, check32), pad, bits)| {
            let group = GroupId(group);
            Message::Ciphertext(CiphertextMessage { group, attempt, code, pad, check32, bits })
        },
    )
}

fn peer_message() -> impl Strategy<Value = PeerMessage> {
    let block = any::<u32>();
    prop_oneof![
        (block, any::<u16>(), groups()).prop_map(|(block, epoch, groups)| {
            PeerMessage::BlockPropose { block, epoch: Epoch(epoch), groups }
        }),
        (block, groups()).prop_map(|(block, groups)| PeerMessage::BlockAccept { block, groups }),
        (block, any::<u32>(), prop::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(block, offset, bytes)| PeerMessage::BlockSeed { block, offset, bytes }),
        (block, any::<u64>()).prop_map(|(block, tag)| PeerMessage::BlockVerify { block, tag }),
        (block, any::<bool>()).prop_map(|(block, ok)| PeerMessage::BlockConfirm { block, ok }),
        block.prop_map(|block| PeerMessage::BlockReleased { block }),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    let window = || any::<u32>().prop_map(WindowId);
    let reception = (any::<u64>(), any::<u8>(), any::<bool>())
        .prop_map(|(group, attempt, ok)| Reception { group: GroupId(group), attempt, ok });
    let user = || any::<u16>().prop_map(UserId);
    prop_oneof![
        window().prop_map(|window| Message::CloseWindow { window }),
        (window(), bits(257)).prop_map(|(window, bitmap)| Message::Bitmap { window, bitmap }),
        (window(), bits(257), any::<u32>()).prop_map(|(window, bitmap, check32)| {
            Message::Intersection { window, bitmap, check32 }
        }),
        (window(), any::<u32>())
            .prop_map(|(window, check32)| Message::WindowAck { window, check32 }),
        window().prop_map(|window| Message::WindowDropped { window }),
        ciphertext(),
        Just(Message::BatchEnd),
        prop::collection::vec(reception, 0..20).prop_map(|results| Message::Received { results }),
        groups().prop_map(|groups| Message::Burned { groups }),
        (user(), any::<u32>()).prop_map(|(target, groups)| Message::Request { target, groups }),
        (pair(), any::<u32>()).prop_map(|(pair, groups)| Message::Notify { pair, groups }),
        user().prop_map(|target| Message::Refused { target }),
        (user(), user(), peer_message()).prop_map(|(from, to, body)| Message::Relay {
            from,
            to,
            body
        }),
        (groups(), groups()).prop_map(|(released, burned)| Message::Settled { released, burned }),
        Just(Message::Abort),
        Just(Message::Done),
        Just(Message::DoneAck),
    ]
}

fn wire_message() -> impl Strategy<Value = WireMessage> {
    prop_oneof![
        (pair(), any::<u32>()).prop_map(|(pair, groups)| WireMessage::Notify { pair, groups }),
        (pair(), groups()).prop_map(|(pair, groups)| WireMessage::Allocate { pair, groups }),
        (pair(), groups(), groups()).prop_map(|(pair, accepted, refused)| {
            WireMessage::Allocated { pair, accepted, refused }
        }),
        groups().prop_map(|groups| WireMessage::Burned { groups }),
        (any::<u16>(), any::<u16>(), peer_message()).prop_map(|(from, to, body)| {
            WireMessage::Relay { from: UserId(from), to: UserId(to), body }
        }),
        pair().prop_map(|pair| WireMessage::Refused { pair }),
        Just(WireMessage::Closing),
        any::<u64>().prop_map(|group| WireMessage::SupplyFrom { group: GroupId(group) }),
    ]
}

fn control_frame() -> impl Strategy<Value = ControlFrame> {
    let tag = prop::collection::vec(any::<u8>(), 0..20);
    (any::<u16>(), any::<u16>(), tag, prop::collection::vec(message(), 0..6))
        .prop_map(|(seq, ack, tag, messages)| ControlFrame { seq, ack, tag, messages })
}

proptest! {
    #[test]
    fn what_is_emitted_is_parsed(frame in control_frame()) {
        let bytes = frame.emit();
        let lengths: usize = frame.messages.iter().map(Message::emitted_len).sum();
        prop_assert_eq!(bytes.len(), ControlFrame::OVERHEAD + frame.tag.len() + lengths);
        prop_assert_eq!(ControlFrame::parse(&bytes), Ok(frame));
    }

    #[test]
    fn wired_messages_too(message in wire_message()) {
        prop_assert_eq!(WireMessage::parse(&message.emit()), Ok(message));
    }

    #[test]
    fn a_frame_cut_short_or_with_bytes_behind_it_is_refused(
        frame in control_frame(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = frame.emit();
        let cut = cut.index(bytes.len());
        prop_assert!(ControlFrame::parse(&bytes[..cut]).is_err());
        bytes.push(0);
        prop_assert!(ControlFrame::parse(&bytes).is_err());
    }

    #[test]
    fn hostile_bytes_are_refused_or_mean_exactly_themselves(
        frame in control_frame(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut bytes = frame.emit();
        for (index, value) in changes {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        for bytes in [bytes, noise] {
            if let Ok(frame) = ControlFrame::parse(&bytes)
                && frame.messages.iter().all(|m| !matches!(m, Message::Ciphertext(c) if c.pad.is_empty()))
            {
                prop_assert_eq!(frame.emit(), bytes.clone());
            }
            let _ = WireMessage::parse(&bytes);
        }
    }
}

#[test]
fn counts_beyond_the_protocol_are_refused_before_anything_is_allocated() {
    // 65535 groups announced, none there
    let bytes = [0, 1, 0, 0, 0, 0, 1, 9, 0xff, 0xff];
    assert_eq!(
        ControlFrame::parse(&bytes),
        Err(WireError::TooMany { at: 8, what: "groups", count: 65535, max: 1024 })
    );
    let bytes = [0, 1, 0, 0, 0, 0, 1, 99];
    assert_eq!(
        ControlFrame::parse(&bytes),
        Err(WireError::Unknown { at: 7, what: "message kind", value: 99 })
    );
}
