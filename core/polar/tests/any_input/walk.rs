//! A walk through the public interface that any bytes can lead.

use crqkd_polar::{
    AdaptiveDecoder, BatchAdaptiveDecoder, BatchListDecoder, BatchScDecoder, CodeSpec,
    Construction, Crc, InstructionSet, ListDecoder, MatchedCode, Matching, Outcome, PolarCode,
    Quantizer, ScDecoder,
};

/// Takes numbers off the input; zeros when it is used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn number(&mut self) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()]))
    }

    fn real(&mut self) -> f32 {
        f32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }
}

/// Builds a code of sizes as they come, encodes and decodes in every way, and checks what must hold.
///
/// # Panics
/// When something that must hold does not.
pub(crate) fn walk(data: &[u8]) {
    let mut input = Bytes(data);
    let crc = [Crc::None, Crc::Crc11, Crc::Crc16, Crc::Crc32][usize::from(input.byte() % 4)];
    // Half of the lengths are allowed ones; the longest are left out, as they only cost time.
    let n = match input.byte() {
        choice if choice < 128 => 32 << (choice % 5),
        _ => input.number() % 2048,
    };
    let k = input.number() % 600;
    let construction = match input.byte() % 4 {
        0 => Construction::Nr5g,
        1 => Construction::BscDensityEvolution { p: f64::from(input.real()) },
        _ => Construction::BetaExpansion,
    };
    let _ = Quantizer::new(input.real()).quantize(input.real());
    let spec = CodeSpec { n, k, crc };
    // Density evolution is for short codes here: it takes time, and its input is a number only.
    let slow = matches!(construction, Construction::BscDensityEvolution { .. }) && n > 64;
    let construction = if slow { Construction::BetaExpansion } else { construction };
    if let Ok(code) = PolarCode::new(spec, construction) {
        assert!(n.is_power_of_two() && k > 0 && k + crc.len() <= n);
        decode(&code, &mut input);
    }
    let matching = [Matching::Puncture, Matching::Shorten, Matching::Repeat];
    let matching = matching[usize::from(input.byte() % 3)];
    if let Ok(code) = MatchedCode::new(n, k, crc, matching, Construction::BetaExpansion) {
        let message: Vec<u8> = (0..k).map(|_| input.byte() & 1).collect();
        let sent: Vec<f32> =
            code.encode(&message).iter().map(|&bit| 2.0 - 4.0 * f32::from(bit)).collect();
        let mut llr = vec![0.0; code.mother().n()];
        code.spread(&sent, &mut llr);
        let mut found = vec![0; k];
        let outcome =
            ListDecoder::new(code.mother(), 4).expect("a list size").decode(&llr, &mut found);
        assert!(
            crc.is_empty() || matching == Matching::Puncture || found == message,
            "{outcome:?}"
        );
    }
}

fn decode(code: &PolarCode, input: &mut Bytes<'_>) {
    let (n, k) = (code.n(), code.k());
    // Message bits beyond 0 and 1 are cut down to their lowest.
    let message: Vec<u8> = (0..k).map(|_| input.byte()).collect();
    let word = code.encode(&message);
    let message: Vec<u8> = message.iter().map(|bit| bit & 1).collect();
    assert!(word.iter().all(|&bit| bit < 2));

    let clean: Vec<f32> = word.iter().map(|&bit| if bit == 0 { 1.0 } else { -1.0 }).collect();
    let mut found = vec![0; k];
    assert!(ScDecoder::new(code).decode(&clean, &mut found).is_decoded());
    assert_eq!(found, message);

    let real: Vec<f32> = (0..n).map(|_| input.real()).collect();
    for size in [1, 3, 8] {
        let outcome = ListDecoder::new(code, size).expect("a list size").decode(&real, &mut found);
        sane(outcome, &found, n);
    }
    let outcome = AdaptiveDecoder::new(code, 4).expect("a list size").decode(&real, &mut found);
    sane(outcome, &found, n);

    let frames = 3;
    let bytes: Vec<i8> = (0..frames * n).map(|_| input.byte() as i8).collect();
    let mut expected: Option<(Vec<u8>, Vec<Outcome>)> = None;
    for set in InstructionSet::ALL {
        let mut results = (vec![0; frames * k], vec![Outcome::Failed; frames]);
        BatchListDecoder::with_instructions(code, 8, set).expect("a list size").decode(
            &bytes,
            &mut results.0,
            &mut results.1,
        );
        assert_eq!(*expected.get_or_insert_with(|| results.clone()), results);
    }
    let mut results = (vec![0; frames * k], vec![Outcome::Failed; frames]);
    BatchScDecoder::new(code).decode(&bytes, &mut results.0, &mut results.1);
    BatchAdaptiveDecoder::new(code, 8).expect("a list size").decode(
        &bytes,
        &mut results.0,
        &mut results.1,
    );
    for (outcome, message) in results.1.iter().zip(results.0.chunks(k)) {
        sane(*outcome, message, n);
    }
}

fn sane(outcome: Outcome, message: &[u8], n: usize) {
    assert!(message.iter().all(|&bit| bit < 2));
    if let Outcome::Decoded { path_metric, corrected } = outcome {
        assert!(path_metric.is_finite() && path_metric >= 0.0 && corrected <= n);
    }
}
