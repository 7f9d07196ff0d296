//! What a forger gets: transcripts that were spoilt in every way, and the true ones again.

use cpu_time::ProcessTime;
use crqkd_bits::{SecretBits, TagHash};
use crqkd_keys::{AuthDirection, Authenticator, Tag, Transcript};
use rand::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::QuantumRow;
use crate::Goal;

/// Transcripts of the size of a small block, spoilt in every way, under tags of full length.
pub(super) fn transcripts(most: u32, rng: &mut Xoshiro256PlusPlus) -> QuantumRow {
    let (mut mutated, mut replayed, mut accepted, mut refused) = (0u32, 0u32, 0u32, 0u32);
    let start = ProcessTime::now();
    while mutated < most {
        let messages = conversation(rng);
        let (mut alice, mut bob) = ends(rng, 64);
        for number in 0..250 {
            let Some(tag) = send(&mut alice, number, &messages) else { break };
            let spoilt = spoil(&messages, rng);
            if spoilt != messages {
                mutated += 1;
                accepted += u32::from(check(&mut bob, tag, number, &spoilt));
            }
            if number % 10 == 0 {
                // The true one is right, and its pad is gone then, with those before it.
                refused += u32::from(!check(&mut bob, tag, number, &messages));
                replayed += 1;
                accepted += u32::from(check(&mut bob, tag, number, &messages));
            }
        }
    }
    QuantumRow {
        what: "transcripts, 64-bit tags",
        qber: None,
        figures: vec![
            ("mutated", f64::from(mutated)),
            ("replayed", f64::from(replayed)),
            ("accepted", f64::from(accepted)),
            ("true ones refused", f64::from(refused)),
            ("CPU s", start.elapsed().as_secs_f64()),
        ],
        goals: vec![
            Goal::new("accepted", 0.0, f64::from(accepted)),
            Goal::new("true ones refused", 0.0, f64::from(refused)),
        ],
    }
}

/// The same under tags of 8 bits, where the bound can be seen.
pub(super) fn toy_tags(most: u32, rng: &mut Xoshiro256PlusPlus) -> QuantumRow {
    let (mut tried, mut accepted) = (0u32, 0u32);
    while tried < most {
        let messages = conversation(rng);
        let (mut alice, mut bob) = ends(rng, 8);
        for number in 0..1900 {
            let Some(mut tag) = send(&mut alice, number, &messages) else { break };
            let spoilt = spoil(&messages, rng);
            let value = tag.value;
            tag.value ^= rng.random_range(0..256);
            if spoilt != messages {
                tried += 1;
                accepted += u32::from(check(&mut bob, tag, number, &spoilt));
            }
            if number % 10 == 0 {
                // The right one, so that the window follows.
                tag.value = value;
                check(&mut bob, tag, number, &messages);
            }
        }
    }
    let rate = f64::from(accepted) / f64::from(tried);
    let bound = TagHash::forgery_bound(1 << 16, 8);
    let sigma = (bound / f64::from(tried)).sqrt();
    QuantumRow {
        what: "transcripts, 8-bit toy tags",
        qber: None,
        figures: vec![
            ("mutated", f64::from(tried)),
            ("accepted", f64::from(accepted)),
            ("forgery rate", rate),
            ("bound", bound),
            ("sigma of the count", sigma),
        ],
        goals: vec![Goal::new("forgery rate, 4 sigma", bound + 4.0 * sigma, rate)],
    }
}

type Messages = Vec<(AuthDirection, Vec<u8>)>;

/// Some random messages, in both directions by turns.
fn conversation(rng: &mut Xoshiro256PlusPlus) -> Messages {
    let message = |i: usize, rng: &mut Xoshiro256PlusPlus| {
        let direction = if i.is_multiple_of(2) { AuthDirection::BToA } else { AuthDirection::AToB };
        let mut bytes = vec![0; rng.random_range(1..400)];
        rng.fill(&mut bytes[..]);
        (direction, bytes)
    };
    (0..12).map(|i| message(i, rng)).collect()
}

/// Altered, cut, lengthened, dropped, doubled, swapped, reflected, or moved over a border.
fn spoil(messages: &Messages, rng: &mut Xoshiro256PlusPlus) -> Messages {
    let mut spoilt = messages.clone();
    let at = rng.random_range(0..spoilt.len());
    match rng.random_range(0..8) {
        0 => {
            let place = rng.random_range(0..spoilt[at].1.len());
            spoilt[at].1[place] ^= rng.random_range(1..=255u8);
        }
        1 => spoilt[at].1.truncate(rng.random_range(0..messages[at].1.len())),
        2 => spoilt[at].1.push(rng.random()),
        3 => drop(spoilt.remove(at)),
        4 => spoilt.insert(at, messages[at].clone()),
        5 => spoilt.swap(at, rng.random_range(0..messages.len())),
        6 => spoilt[at].0 = spoilt[at].0.reversed(),
        _ => {
            let next = (at + 1) % messages.len();
            let moved = spoilt[next].1.remove(0);
            spoilt[at].1.push(moved);
        }
    }
    spoilt
}

fn transcript(end: &Authenticator, number: u64, messages: &Messages) -> Option<Transcript> {
    let mut transcript = end.transcript(number).ok()?;
    messages.iter().for_each(|(direction, bytes)| transcript.push(*direction, bytes));
    Some(transcript)
}

fn ends(rng: &mut Xoshiro256PlusPlus, tag_bits: u32) -> (Authenticator, Authenticator) {
    let secret = SecretBits::random(rng, 4096 * 8);
    let end = |secret, own| {
        Authenticator::new(secret, own, 0, tag_bits).expect("four KiB are enough to begin with")
    };
    (end(secret.duplicate(), AuthDirection::AToB), end(secret, AuthDirection::BToA))
}

fn send(end: &mut Authenticator, number: u64, said: &Messages) -> Option<Tag> {
    let pad = end.reserve().ok()?;
    Some(end.tag(pad, &transcript(end, number, said)?))
}

fn check(end: &mut Authenticator, tag: Tag, number: u64, said: &Messages) -> bool {
    transcript(end, number, said).is_some_and(|said| end.verify(tag, &said).is_ok())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn every_spoilt_conversation_that_differs_has_another_transcript() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        for _ in 0..500 {
            let messages = conversation(&mut rng);
            let spoilt = spoil(&messages, &mut rng);
            let (mut alice, _) = ends(&mut rng.clone(), 64);
            let (mut again, _) = ends(&mut rng.clone(), 64);
            let same = send(&mut alice, 1, &messages) == send(&mut again, 1, &spoilt);
            assert_eq!(same, messages == spoilt);
        }
    }
}
